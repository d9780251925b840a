//! The events of jobs, posted to a URL that a client names: which URLs are accepted, and what arrives there.

use jobcore::clock::Timestamp;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::mcp_client::{Client, JOBMCP};
use crate::mcp_http_client::HttpServer;
use crate::receiver::{LOCALHOST, Receiver, answers, takes};
use crate::support::{TestEnv, send, wait_for};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
const OTHER_SECRET: &str = "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIz";

/// A server that may send to this machine.
fn client(env: &TestEnv) -> Client {
    client_with(env, &[])
}

fn client_with(env: &TestEnv, variables: &[(&str, &str)]) -> Client {
    let mut command = env.command(JOBMCP);
    command.args(["serve", "--webhooks", "loopback"]).envs(variables.iter().copied());
    Client::of(command)
}

fn subscription(url: &str, arguments: Value) -> Value {
    let mut params = json!({ "name": "job.ended", "delivery": { "mode": "webhook", "url": url, "secret": SECRET } });
    params["arguments"] = arguments;
    params
}

fn subscribe(client: &mut Client, params: Value) -> Value {
    let answer = client.ask("events/subscribe", params);
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
    answer["result"].clone()
}

fn refused(client: &mut Client, params: Value) -> Value {
    let answer = client.ask("events/subscribe", params);
    assert!(answer["error"].is_object(), "{answer}");
    answer["error"].clone()
}

fn run(env: &TestEnv, name: &str) -> String {
    let job = env.ok(["run", "--name", name, "true"]);
    env.run(["wait", &job]);
    job
}

#[test]
fn a_receiver_is_verified_first_and_then_gets_events() {
    let env = TestEnv::new();
    let receiver = Receiver::start(takes);
    let mut client = client(&env);
    let listed = client.ask("events/list", json!({}));
    assert_eq!(listed["result"]["events"][0]["delivery"], json!(["poll", "push", "webhook"]));
    let url = receiver.url("/hook?for=me");
    let subscribed = subscribe(&mut client, subscription(&url, json!({ "name": "a" })));
    assert!(subscribed["truncated"] == false && subscribed["refreshBefore"].is_string(), "{subscribed}");
    let asked = receiver.next();
    assert_eq!((&*asked.path, &asked.body["type"]), ("/hook?for=me", &json!("verification")));
    assert!(asked.is_signed_with(SECRET) && asked.header("webhook-id").starts_with("msg_verification_"));
    run(&env, "b");
    let job = run(&env, "a");
    let event = receiver.next();
    assert!(event.is_signed_with(SECRET) && !event.is_signed_with(OTHER_SECRET));
    assert_eq!((&event.body["name"], &event.body["data"]["job_id"]), (&json!("job.ended"), &json!(job)));
    assert_eq!(event.body["eventId"], event.header("webhook-id"));
    for one in [&asked, &event] {
        assert_eq!(subscribed["id"], one.header("x-mcp-subscription-id"));
        assert_eq!(one.header("content-type"), "application/json");
    }
    // The cursor is the same as for the other ways of delivery.
    let polled = client.ask("events/poll", json!({ "name": "job.ended", "cursor": event.body["cursor"] }));
    assert_eq!(polled["result"]["events"], json!([]));
    // The subscription that was removed has ended, and the other one continues. A known receiver is not verified again.
    let other = subscribe(&mut client, subscription(&url, json!({})));
    assert_ne!(other["id"], subscribed["id"]);
    let key = json!({ "name": "job.ended", "arguments": { "name": "a" }, "delivery": { "url": url } });
    assert_eq!(client.ask("events/unsubscribe", key.clone())["result"], json!({ "resultType": "complete" }));
    let again = client.ask("events/unsubscribe", key)["error"].clone();
    assert_eq!((&again["code"], &again["data"]["kind"]), (&json!(-32023), &json!("subscription")));
    for _ in 0..2 {
        run(&env, "a");
        assert_eq!(other["id"], receiver.next().header("x-mcp-subscription-id"));
    }
}

#[test]
fn webhooks_work_over_http_too() {
    let env = TestEnv::new();
    let receiver = Receiver::start(takes);
    let mut server = HttpServer::start_with(&env, &["--webhooks", "loopback"], &[]);
    let params = subscription(&receiver.url("/"), json!({}));
    let subscribed = server.ask("events/subscribe", params.clone());
    assert!(subscribed["result"]["id"].is_string(), "{subscribed}");
    let job = run(&env, "a");
    assert_eq!(receiver.event().body["data"]["job_id"], json!(job));
    let renewed = server.ask("events/subscribe", params);
    assert_eq!(renewed["result"]["id"], subscribed["result"]["id"]);
    // The end of the server is not held up; another server could continue from the cursor.
    send(server.pid(), Signal::SIGTERM);
    assert!(server.end().success());
}

#[test]
fn events_that_are_not_accepted_are_sent_again_unless_refused_for_good() {
    let env = TestEnv::new();
    let mut sent = 0;
    let receiver = Receiver::start(answers(move |_| {
        sent += 1;
        let redirect = "Location: http://127.0.0.1:1/\r\n";
        let (status, headers) = [(500, ""), (307, redirect), (204, ""), (410, "")][sent.min(4) - 1];
        (status, headers.to_owned(), String::new())
    }));
    let mut client = client(&env);
    let params = subscription(&receiver.url("/"), json!({}));
    subscribe(&mut client, params.clone());
    run(&env, "first");
    let failed = receiver.event();
    assert_eq!(failed.body["data"]["name"], "first");
    let renewed = wait_for("it to be known", || {
        let renewed = subscribe(&mut client, params.clone());
        renewed["deliveryStatus"]["failedSince"].is_string().then_some(renewed)
    });
    assert!(renewed["deliveryStatus"]["lastError"].as_str().unwrap().starts_with("http_"), "{renewed}");
    let polled = client.ask("events/poll", json!({ "name": "job.ended", "cursor": renewed["cursor"] }));
    assert_eq!(polled["result"]["events"][0]["eventId"], failed.body["eventId"], "the cursor is before the event");
    // A redirect is a failure as well, and is not followed.
    for _ in 0..2 {
        let again = receiver.event();
        assert_eq!((again.header("webhook-id"), again.path.as_str()), (failed.header("webhook-id"), "/"));
        assert!(again.is_signed_with(SECRET));
    }
    let renewed = wait_for("it to be known", || {
        let renewed = subscribe(&mut client, params.clone());
        (renewed["cursor"] == failed.body["cursor"]).then_some(renewed)
    });
    let status = &renewed["deliveryStatus"];
    assert!(status["lastError"].is_null() && status["lastDeliveryAt"].is_string(), "{renewed}");
    for name in ["second", "third"] {
        run(&env, name);
        assert_eq!(
            receiver.event().body["data"]["name"],
            name,
            "an event that was answered with 410 is not sent again"
        );
    }
}

#[test]
fn a_receiver_that_does_not_agree_gets_nothing() {
    let env = TestEnv::new();
    let mut client = client(&env);
    let elsewhere = Receiver::start(takes);
    let location = format!("Location: {}\r\n", elsewhere.url("/"));
    for (answer, reason) in [
        ((200, String::new(), String::new()), "challenge_failed"),
        ((200, String::new(), json!({ "challenge": "guessed" }).to_string()), "challenge_failed"),
        ((200, String::new(), "x".repeat(100_000)), "challenge_failed"),
        ((307, location, String::new()), "challenge_failed"),
        ((404, String::new(), String::new()), "http_4xx"),
        ((503, String::new(), String::new()), "http_5xx"),
    ] {
        let receiver = Receiver::start(move |_| answer.clone());
        let refused = refused(&mut client, subscription(&receiver.url("/"), json!({})));
        assert_eq!((&refused["code"], &refused["data"]), (&json!(-32027), &json!({ "reason": reason })), "{refused}");
        run(&env, "unheard");
        assert_eq!(receiver.all().len(), 1, "it was asked once, and gets nothing else");
    }
    assert!(elsewhere.all().is_empty(), "a redirect was followed");
    // Bound once, so that no other program listens there.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = refused(&mut client, subscription(&format!("http://{nobody}/"), json!({})));
    assert_eq!(refused["data"]["reason"], "connection_refused", "{refused}");
}

#[test]
fn nothing_is_sent_to_forbidden_addresses() {
    let env = TestEnv::new();
    let receiver = Receiver::start(takes);
    let port = receiver.address.port();
    let mut off = Client::legacy(&env);
    let unsupported = refused(&mut off, subscription(&receiver.url("/"), json!({})));
    let data = json!({ "feature": "deliveryMode", "value": "webhook" });
    assert_eq!((&unsupported["code"], &unsupported["data"]), (&json!(-32026), &data), "{unsupported}");
    let mut command = env.command(JOBMCP);
    command.args(["serve", "--webhooks", "public"]);
    let mut public = Client::of(command);
    for url in [
        receiver.url("/"),
        format!("https://127.0.0.1:{port}/"),
        format!("https://localhost:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        "https://10.0.0.1/".to_owned(),
        "https://192.168.0.1/".to_owned(),
        "https://169.254.169.254/".to_owned(),
        "https://[fe80::1]/".to_owned(),
        "http://hooks.example/".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        let refused = refused(&mut public, subscription(&url, json!({})));
        assert_eq!(refused["code"], -32602, "{url}: {refused}");
    }
    let mut loopback = client(&env);
    for url in ["http://10.0.0.1/", "https://8.8.8.8/", "http://0.0.0.0/", "http://hooks.example/"] {
        assert_eq!(refused(&mut loopback, subscription(url, json!({})))["code"], -32602, "{url}");
    }
    let url = receiver.url("/");
    let with = |field: &str, value: Value| {
        let mut params = subscription(&url, json!({}));
        params["delivery"][field] = value;
        params
    };
    for (params, code) in [
        (with("secret", json!("whsec_c2hvcnQ=")), -32602),
        (with("secret", json!("secret")), -32602),
        (with("secret", Value::Null), -32602),
        (with("mode", json!("poll")), -32026),
        (json!({ "name": "job.ended" }), -32602),
        (json!({ "name": "job.exploded", "delivery": { "url": url, "secret": SECRET } }), -32023),
    ] {
        assert_eq!(refused(&mut loopback, params.clone())["code"], code, "{params}");
    }
    assert!(receiver.all().is_empty());
}

#[test]
fn a_key_is_replaced_and_both_count_for_a_while() {
    let env = TestEnv::new();
    let receiver = Receiver::start(takes);
    let mut client = client(&env);
    let mut params = subscription(&receiver.url("/"), json!({}));
    let subscribed = subscribe(&mut client, params.clone());
    params["delivery"]["secret"] = json!(OTHER_SECRET);
    assert_eq!(subscribe(&mut client, params)["id"], subscribed["id"]);
    run(&env, "a");
    let event = receiver.event();
    assert!(event.is_signed_with(SECRET) && event.is_signed_with(OTHER_SECRET));
}

#[test]
fn a_gap_is_sent_before_what_comes_after_it() {
    let env = TestEnv::new();
    let receiver = Receiver::start(takes);
    let mut client = client(&env);
    run(&env, "before");
    subscribe(&mut client, subscription(&receiver.url("/"), json!({})));
    receiver.next();
    // As if there had been more events than are kept.
    let events = env.store().join("events");
    std::fs::rename(events.join("000000000000"), events.join("000000016384")).unwrap();
    run(&env, "after");
    let gap = receiver.next();
    assert!(gap.body["type"] == "gap" && gap.is_signed_with(SECRET), "{gap:?}");
    assert!(gap.header("webhook-id").starts_with("msg_gap_"), "{gap:?}");
    // All events that are left are sent, starting at the cursor in the gap.
    let names = [(); 2].map(|()| receiver.next().body["data"]["name"].clone());
    assert_eq!(names, ["before", "after"]);
    let polled = client.ask("events/poll", json!({ "name": "job.ended", "cursor": gap.body["cursor"] }));
    assert_eq!(polled["result"]["events"].as_array().unwrap().len(), 2, "{polled}");
}

/// A subscription is in memory only; its client continues from its cursor.
#[test]
fn a_subscription_continues_at_another_server() {
    let env = TestEnv::new();
    let receiver = Receiver::start(takes);
    let mut params = subscription(&receiver.url("/"), json!({}));
    let mut first = client(&env);
    let subscribed = subscribe(&mut first, params.clone());
    send(first.pid(), Signal::SIGKILL);
    first.end();
    run(&env, "missed");
    let mut second = client(&env);
    params["cursor"] = subscribed["cursor"].clone();
    assert_eq!(subscribe(&mut second, params)["id"], subscribed["id"]);
    let event = receiver.event();
    assert_eq!(event.body["data"]["name"], "missed");
    run(&env, "next");
    assert_eq!(receiver.event().body["data"]["name"], "next");
}

#[test]
fn a_subscription_that_is_not_renewed_ends() {
    let env = TestEnv::new();
    let (short, long) = (Receiver::start(takes), Receiver::start(takes));
    let mut client = client(&env);
    let mut granted = |ttl: Value, url: &str| {
        let mut params = subscription(url, json!({}));
        params["ttlMs"] = ttl;
        subscribe(&mut client, params)["refreshBefore"].as_str().unwrap().parse::<Timestamp>().unwrap()
    };
    granted(json!(600_000), &long.url("/"));
    let mut end = Timestamp::now();
    for (ttl, least, most) in [
        (json!(100_000), 40, 100),
        (json!(u64::MAX), 86_340, 86_400),
        (Value::Null, 3_540, 3_600),
        // Whatever was granted before, and however little is asked for.
        (json!(0), 0, 5),
    ] {
        end = granted(ttl.clone(), &short.url("/"));
        let seconds = end.duration_since(Timestamp::now()).as_secs();
        assert!((least..=most).contains(&seconds), "{seconds} s for {ttl}");
    }
    wait_for("the end of its time", || (Timestamp::now() > end).then_some(()));
    let key = json!({ "name": "job.ended", "arguments": {}, "delivery": { "url": short.url("/") } });
    assert_eq!(client.ask("events/unsubscribe", key)["error"]["code"], -32023);
    run(&env, "a");
    assert_eq!(long.event().body["data"]["name"], "a");
    assert_eq!(short.all().len(), 1, "it was verified, and gets nothing else");
}

#[test]
fn subscriptions_are_limited_and_a_receiver_is_verified_once() {
    let env = TestEnv::new();
    let receiver = Receiver::start(takes);
    let mut client = client(&env);
    let of = |number: usize| subscription(&receiver.url("/"), json!({ "name": format!("job{number}") }));
    for number in 0..20 {
        subscribe(&mut client, of(number));
    }
    let refused = refused(&mut client, of(20));
    let data = json!({ "limit": "subscriptions", "max": 20 });
    assert_eq!((&refused["code"], &refused["data"]), (&json!(-32025), &data), "{refused}");
    assert!(subscribe(&mut client, of(7))["deliveryStatus"]["active"] == true, "existing subscriptions continue");
    assert_eq!(receiver.all().len(), 1);
}

#[test]
fn a_tls_receiver_must_have_a_trusted_certificate_for_its_name() {
    let env = TestEnv::new();
    let receiver = Receiver::with_tls(takes);
    let at = |host: &str| subscription(&format!("https://{host}:{}/", receiver.address.port()), json!({}));
    let trusted = env.dir().join("trusted.pem");
    std::fs::write(&trusted, LOCALHOST).unwrap();
    let mut client = client_with(&env, &[("SSL_CERT_FILE", trusted.to_str().unwrap())]);
    subscribe(&mut client, at("localhost"));
    let job = run(&env, "a");
    let event = receiver.event();
    assert!(event.body["data"]["job_id"] == json!(job) && event.is_signed_with(SECRET));
    let wrong_name = refused(&mut client, at("127.0.0.1"));
    assert_eq!(wrong_name["data"]["reason"], "tls_error", "{wrong_name}");
    // The same receiver, but its certificate is not trusted.
    std::fs::write(&trusted, "").unwrap();
    let mut other = client_with(&env, &[("SSL_CERT_FILE", trusted.to_str().unwrap())]);
    let unknown = refused(&mut other, at("localhost"));
    assert_eq!(unknown["data"]["reason"], "tls_error", "{unknown}");
}
