//! What happens to jobs, as the events of the protocol: how they are listed, polled and streamed.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::mcp_client::Client;
use crate::mcp_http_client::HttpServer;
use crate::support::{TestEnv, send, wait_for};

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// Anything that answers requests.
trait Asked {
    fn request(&mut self, method: &str, params: Value) -> Value;

    /// Polls, which must succeed.
    fn poll(&mut self, params: Value) -> Value {
        let answer = self.request("events/poll", params);
        assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
        answer["result"].clone()
    }

    fn refused(&mut self, method: &str, params: Value) -> Value {
        let answer = self.request(method, params);
        assert!(answer["error"].is_object(), "{answer}");
        answer["error"].clone()
    }
}

impl Asked for Client {
    fn request(&mut self, method: &str, params: Value) -> Value {
        self.ask(method, params)
    }
}

impl Asked for HttpServer {
    fn request(&mut self, method: &str, params: Value) -> Value {
        self.ask(method, params)
    }
}

/// The names of the jobs in some events.
fn names(events: &Value) -> Vec<&str> {
    events.as_array().unwrap().iter().map(|event| event["data"]["name"].as_str().unwrap_or("")).collect()
}

/// Runs a job of this name to its end.
fn run(env: &TestEnv, name: &str, more: &[&str], line: &str) -> String {
    let job = env.ok([&["run", "--name", name], more, &[line]].concat());
    env.run(["wait", &job]);
    job
}

fn each_way(test: impl Fn(&TestEnv, &mut dyn Asked)) {
    let env = TestEnv::new();
    test(&env, &mut Client::modern(&env));
    let env = TestEnv::new();
    test(&env, &mut Client::legacy(&env));
    let env = TestEnv::new();
    test(&env, &mut HttpServer::start(&env));
}

#[test]
fn the_events_are_listed_and_declared() {
    let env = TestEnv::new();
    let declared = json!({ "listChanged": false });
    let extension = |result: &Value| result["capabilities"]["extensions"]["io.modelcontextprotocol/events"].clone();
    let discovered = HttpServer::start(&env).ask("server/discover", json!({}));
    assert_eq!(extension(&discovered["result"]), declared, "{discovered}");
    each_way(|_, client| {
        let listed = client.request("events/list", json!({}))["result"].clone();
        let offered: Vec<_> = listed["events"].as_array().unwrap().iter().map(|event| &event["name"]).collect();
        let expected = [
            "job.submitted",
            "job.started",
            "job.waiting_for_input",
            "job.stalled",
            "job.retrying",
            "job.ready",
            "job.not_ready",
            "job.paused",
            "job.resumed",
            "job.ended",
            "job.removed",
        ];
        assert_eq!(offered, expected);
        let ended = &listed["events"][9];
        assert_eq!(ended["delivery"], json!(["poll", "push"]));
        assert_eq!(ended["inputSchema"]["properties"]["status"]["items"]["enum"][0], "completed", "{ended}");
        assert_eq!(client.refused("events/list", json!({ "cursor": "2" }))["code"], -32602);
    });
}

#[test]
fn events_since_a_cursor_are_polled() {
    each_way(|env, client| {
        run(env, "before", &[], "true");
        let start = client.poll(json!({ "name": "job.ended", "arguments": {}, "cursor": null }));
        assert_eq!((&start["events"], &start["truncated"]), (&json!([]), &json!(false)));
        assert!(start["nextPollMs"].as_u64().unwrap() >= 1_000);
        let good = run(env, "good", &["--label", "kind=a"], "printf %s%s se cret");
        let bad = run(env, "bad", &["--group", "gr"], "exit 7");
        let ended =
            |arguments: Value| json!({ "name": "job.ended", "arguments": arguments, "cursor": start["cursor"] });
        let polled = client.poll(ended(json!({})));
        assert_eq!(names(&polled["events"]), ["good", "bad"], "{polled}");
        let event = &polled["events"][1];
        assert_eq!((&event["name"], &event["data"]["job_id"]), (&json!("job.ended"), &json!(bad)));
        assert_eq!((&event["data"]["status"], &event["data"]["exit_code"]), (&json!("failed"), &json!(7)));
        assert!(event["timestamp"].as_str().unwrap().ends_with('Z') && event.get("cursor").is_none(), "{event}");
        // The same job as everywhere else, and nothing that it wrote.
        assert_eq!(event["data"]["command"], env.job(&bad)["command"]);
        assert!(!polled.to_string().contains("secret"), "{polled}");
        for (arguments, wanted) in [
            (json!({ "job_id": good }), "good"),
            (json!({ "job_id": &bad[24..32] }), "bad"),
            (json!({ "name": "good" }), "good"),
            (json!({ "label": "kind" }), "good"),
            (json!({ "label": "kind=a" }), "good"),
            (json!({ "group": "gr" }), "bad"),
            (json!({ "status": ["failed", "timed_out"] }), "bad"),
        ] {
            assert_eq!(names(&client.poll(ended(arguments.clone()))["events"]), [wanted], "{arguments}");
        }
        for arguments in [json!({ "label": "kind=b" }), json!({ "project": "/elsewhere" }), json!({ "name": "before" })]
        {
            assert_eq!(client.poll(ended(arguments))["events"], json!([]));
        }
        // In parts, each starting where the last one ended, and nothing after the last.
        let mut part = ended(json!({}));
        part["maxEvents"] = json!(1);
        let first = client.poll(part.clone());
        assert_eq!((names(&first["events"]), &first["hasMore"]), (vec!["good"], &json!(true)));
        part["cursor"] = first["cursor"].clone();
        let second = client.poll(part.clone());
        assert_eq!(names(&second["events"]), ["bad"]);
        part["cursor"] = second["cursor"].clone();
        let third = client.poll(part);
        assert_eq!((&third["events"], &third["hasMore"]), (&json!([]), &json!(false)));
        // An event has the same id each time, so that a client recognises it.
        let again = client.poll(ended(json!({})));
        assert_eq!(again["events"][0]["eventId"], polled["events"][0]["eventId"]);
        assert_ne!(again["events"][1]["eventId"], polled["events"][0]["eventId"]);
        let started = json!({ "name": "job.started", "cursor": start["cursor"], "arguments": { "name": "bad" } });
        assert_eq!(names(&client.poll(started)["events"]), ["bad"]);
    });
}

#[test]
fn invalid_filters_are_refused() {
    each_way(|_, client| {
        for method in ["events/poll", "events/stream"] {
            let unknown = client.refused(method, json!({ "name": "job.exploded", "arguments": {} }));
            assert_eq!((&unknown["code"], &unknown["data"]["kind"]), (&json!(-32023), &json!("event")), "{unknown}");
            for wrong in [
                json!({ "arguments": {} }),
                json!({ "name": "job.ended", "arguments": { "nosuch": 1 } }),
                json!({ "name": "job.ended", "arguments": { "status": ["running"] } }),
                json!({ "name": "job.ended", "cursor": "yesterday" }),
                json!({ "name": "job.ended", "cursor": 7 }),
            ] {
                assert_eq!(client.refused(method, wrong.clone())["code"], -32602, "{method} {wrong}");
            }
        }
        assert_eq!(client.refused("events/nosuch", json!({}))["code"], -32601);
    });
}

/// The cursor is a place in the store, not state of a server.
#[test]
fn a_cursor_outlives_the_server() {
    let env = TestEnv::new();
    let mut client = Client::modern(&env);
    let start = client.poll(json!({ "name": "job.ended" }))["cursor"].clone();
    let ended = json!({ "name": "job.ended", "cursor": start });
    let job = client.ok("execute", json!({ "command": "echo x", "name": "one", "wait_s": 0 })).id();
    send(client.pid(), Signal::SIGKILL);
    client.end();
    env.ok(["wait", &job]);
    let mut client = Client::modern(&env);
    assert_eq!(names(&client.poll(ended.clone())["events"]), ["one"]);
    assert!(client.close().success());
    let mut server = HttpServer::start(&env);
    assert_eq!(names(&server.poll(ended)["events"]), ["one"]);
}

#[test]
fn events_can_be_limited_to_the_callers_jobs() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let start = client.poll(json!({ "name": "job.ended" }))["cursor"].clone();
    client.ok("execute", json!({ "command": "true", "name": "own", "wait_s": 50 }));
    run(&env, "other", &[], "true");
    let mine = json!({ "name": "job.ended", "arguments": { "mine": true }, "cursor": start });
    assert_eq!(names(&client.poll(mine.clone())["events"]), ["own"]);
    // Over HTTP, without a session, the caller is unknown.
    let refused = HttpServer::start(&env).refused("events/poll", mine);
    assert_eq!(refused["code"], -32602, "{refused}");
}

#[test]
fn gaps_are_reported_and_removed_jobs_are_known_from_the_feed_alone() {
    let env = TestEnv::new();
    let mut client = Client::modern(&env);
    let start = client.poll(json!({ "name": "job.ended" }))["cursor"].clone();
    let job = run(&env, "gone", &[], "exit 3");
    env.ok(["rm", &job]);
    let ended = |arguments: Value| json!({ "name": "job.ended", "arguments": arguments, "cursor": start });
    let polled = client.poll(ended(json!({})));
    assert_eq!(polled["truncated"], false, "{polled}");
    let known = json!({ "job_id": job, "short_id": &job[24..32], "status": "failed", "exit_code": 3 });
    assert_eq!(polled["events"][0]["data"], known);
    // Whether the job had that name is unknown.
    let polled = client.poll(ended(json!({ "name": "gone" })));
    assert_eq!((&polled["events"], &polled["truncated"]), (&json!([]), &json!(true)));
    let removed = client.poll(json!({ "name": "job.removed", "arguments": { "job_id": job }, "cursor": start }));
    assert_eq!(removed["events"][0]["data"]["job_id"], json!(job));
    // Events that are older than asked for are left out, and that is reported too.
    let mut young = ended(json!({}));
    young["maxAgeMs"] = json!(0);
    let polled = client.poll(young);
    assert_eq!((&polled["events"], &polled["truncated"]), (&json!([]), &json!(true)));
    // The numbers of a feed that was lost start again.
    assert!(client.close().success());
    std::fs::remove_dir_all(env.store().join("events")).unwrap();
    let mut client = Client::modern(&env);
    let polled = client.poll(ended(json!({})));
    let far = json!({ "name": "job.ended", "cursor": "1000000" });
    assert_eq!((&polled["events"], &client.poll(far.clone())["truncated"]), (&json!([]), &json!(true)));
    run(&env, "after", &[], "true");
    let polled = client.poll(far);
    assert_eq!((names(&polled["events"]), &polled["truncated"]), (vec!["after"], &json!(true)));
    assert_eq!(client.poll(json!({ "name": "job.ended", "cursor": polled["cursor"] }))["truncated"], false);
}

#[test]
fn events_that_are_no_longer_kept_are_reported_as_a_gap() {
    let env = TestEnv::new();
    run(&env, "kept", &[], "true");
    // As if there had been that many events before.
    let events = env.store().join("events");
    std::fs::rename(events.join("000000000000"), events.join("000000016384")).unwrap();
    let mut client = Client::modern(&env);
    let ended = |cursor: &Value| json!({ "name": "job.ended", "cursor": cursor });
    let polled = client.poll(ended(&json!("7")));
    assert_eq!((names(&polled["events"]), &polled["truncated"]), (vec!["kept"], &json!(true)));
    let polled = client.poll(ended(&polled["cursor"]));
    assert_eq!((&polled["events"], &polled["truncated"]), (&json!([]), &json!(false)));
    let stream = client.send("events/stream", ended(&json!("7")));
    assert_eq!(client.note(tells("active", stream))["params"]["truncated"], true);
    client.note(tells("event", stream));
}

/// Whether this is a notification of this kind about a stream.
fn tells(what: &str, stream: u64) -> impl Fn(&Value) -> bool {
    let method = format!("notifications/events/{what}");
    move |note| note["method"] == *method && note["params"]["_meta"][SUBSCRIPTION] == stream
}

#[test]
fn a_stream_reports_events_until_it_is_cancelled() {
    for begin in [Client::modern, Client::legacy] {
        let env = TestEnv::new();
        let mut client = begin(&env);
        let start = client.poll(json!({ "name": "job.ended" }))["cursor"].clone();
        run(&env, "missed", &[], "true");
        let old = client.send("events/stream", json!({ "name": "job.ended", "cursor": start }));
        let active = client.note(tells("active", old));
        assert_eq!(active["params"]["truncated"], false);
        assert_eq!(names(&json!([client.note(tells("event", old))["params"]])), ["missed"]);
        let fresh = client.send("events/stream", json!({ "name": "job.started", "arguments": { "name": "new" } }));
        assert!(client.note(tells("active", fresh))["params"]["cursor"].is_string());
        run(&env, "other", &[], "true");
        let job = run(&env, "new", &[], "true");
        let started = client.note(tells("event", fresh))["params"].clone();
        assert_eq!((&started["name"], &started["data"]["job_id"]), (&json!("job.started"), &json!(job)));
        // Reported on one stream and not on the other, although both share one feed.
        let ended = client.note(|note| tells("event", old)(note) && note["params"]["data"]["name"] == "new");
        let polled = client.poll(json!({ "name": "job.ended", "cursor": ended["params"]["cursor"] }));
        assert_eq!(polled["events"], json!([]), "the cursor is after the event");
        client.notify("notifications/cancelled", json!({ "requestId": old }));
        for _ in 0..2 {
            let job = run(&env, "new", &[], "true");
            client.note(|note| tells("event", fresh)(note) && note["params"]["data"]["job_id"] == job);
            let is_told = |note: &Value| tells("event", old)(note) && note["params"]["data"]["job_id"] == job;
            assert!(!client.notes().iter().any(is_told), "it was cancelled");
        }
        // The end of the server ends the stream with a result.
        send(client.pid(), Signal::SIGTERM);
        assert!(client.end().success());
        let result = client.answer(fresh)["result"].clone();
        assert_eq!(result, json!({ "resultType": "complete", "_meta": { SUBSCRIPTION: fresh } }));
    }
}

/// A client can tell a quiet stream from a dead one, and in this way also learns of a change that no event reports:
/// here, that all events were lost.
#[test]
fn a_quiet_stream_sends_its_cursor() {
    let env = TestEnv::new();
    run(&env, "before", &[], "true");
    let mut client = Client::modern(&env);
    let stream = client.send("events/stream", json!({ "name": "job.ended" }));
    client.note(tells("active", stream));
    let quiet = client.send("events/stream", json!({ "name": "job.removed" }));
    client.note(tells("active", quiet));
    std::fs::remove_dir_all(env.store().join("events")).unwrap();
    run(&env, "after", &[], "true");
    assert_eq!(client.note(tells("active", stream))["params"]["truncated"], true);
    assert_eq!(names(&json!([client.note(tells("event", stream))["params"]])), ["after"]);
    for stream in [stream, quiet] {
        let cursor = client.note(tells("heartbeat", stream))["params"]["cursor"].clone();
        let again = client.poll(json!({ "name": "job.ended", "cursor": cursor }));
        assert_eq!((&again["events"], &again["truncated"]), (&json!([]), &json!(false)));
    }
}

/// The messages on a connection.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(server: &HttpServer, params: Value) -> Self {
        Self(BufReader::new(server.send_modern("events/stream", &[], params)))
    }

    /// Returns the next message; `None` at the end.
    fn next(&mut self) -> Option<Value> {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(data) = line.strip_prefix("data: {") {
                return Some(serde_json::from_str(&format!("{{{data}")).unwrap());
            }
        }
    }
}

#[test]
fn over_http_a_stream_is_the_answer_of_its_request() {
    let env = TestEnv::new();
    let mut server = HttpServer::start(&env);
    let ended = json!({ "name": "job.ended" });
    let (mut one, mut other) = (Stream::open(&server, ended.clone()), Stream::open(&server, ended));
    for stream in [&mut one, &mut other] {
        assert_eq!(stream.next().unwrap()["method"], "notifications/events/active");
    }
    let job = run(&env, "both", &[], "true");
    for stream in [&mut one, &mut other] {
        let event = stream.next().unwrap();
        assert_eq!(
            (&event["params"]["data"]["job_id"], &event["params"]["_meta"][SUBSCRIPTION]),
            (&json!(job), &json!(1))
        );
    }
    drop(one);
    run(&env, "second", &[], "true");
    assert_eq!(other.next().unwrap()["params"]["data"]["name"], "second");
    send(server.pid(), Signal::SIGTERM);
    let last = other.next().unwrap();
    assert_eq!(last["result"]["resultType"], "complete", "{last}");
    assert!(server.end().success());
}

/// The place of a stream that ended is free again, even if the client just disappeared.
#[test]
fn the_number_of_streams_is_limited() {
    let env = TestEnv::new();
    let mut server = HttpServer::start(&env);
    let ended = json!({ "name": "job.ended" });
    let open = |server: &HttpServer| {
        let mut stream = Stream::open(server, ended.clone());
        stream.next().map(|first| (first, stream)).unwrap()
    };
    let streams: Vec<_> = (0..100).map(|_| open(&server)).collect();
    assert!(streams.iter().all(|(first, _)| first["method"] == "notifications/events/active"));
    let refused = server.refused("events/stream", ended.clone());
    assert_eq!((&refused["code"], &refused["data"]["limit"]), (&json!(-32025), &json!("subscriptions")), "{refused}");
    drop(streams);
    wait_for("a place", || (open(&server).0["method"] == "notifications/events/active").then_some(()));
}
