//! What the MCP server offers besides its tools: tasks, resources, prompts, and jobs that end with it.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::background::touch;
use crate::mcp_client::{Called, Client};
use crate::support::{TestEnv, is_alive, send, wait_for};

/// Runs until there is a file `go`.
const UNTIL_GO: &str = "echo begun; while [ ! -e go ]; do sleep 0.02; done; echo done; exit 3";

/// Polls a task until it has ended.
fn finished(client: &mut Client, task: &str) -> Value {
    wait_for("the end of the task", || {
        let got = client.ask("tasks/get", json!({ "taskId": task }))["result"].clone();
        (got["status"] != "working").then_some(got)
    })
}

#[test]
fn a_call_that_outlives_its_grace_is_a_task_with_the_result_of_a_call_that_waited() {
    let env = TestEnv::new();
    let mut first = Client::with_tasks(&env);
    let arguments = json!({ "command": UNTIL_GO, "wait_s": 0.05, "key": "k", "name": "long" });
    let created = first.ask("tools/call", json!({ "name": "execute", "arguments": arguments }))["result"].clone();
    assert_eq!((&created["resultType"], &created["status"]), (&"task".into(), &"working".into()), "{created}");
    assert_eq!((&created["ttlMs"], &created["pollIntervalMs"]), (&Value::Null, &1000.into()), "{created}");
    let task = created["taskId"].as_str().unwrap().to_owned();
    // It is on record before the client gets an answer, and all tools know it.
    assert_eq!(env.job(&task)["name"], "long");
    assert!(first.ok("tail", json!({ "job_id": task })).text.contains("begun"));
    assert_eq!(first.ask("tasks/get", json!({ "taskId": task }))["result"]["status"], "working");
    send(first.pid(), Signal::SIGKILL);
    first.end();
    touch(&env, "go");
    let mut second = Client::with_tasks(&env);
    let got = finished(&mut second, &task);
    assert_eq!((&got["status"], &got["result"]["isError"]), (&"completed".into(), &false.into()), "{got}");
    assert!(got["result"]["content"][0]["text"].as_str().unwrap().contains("exit code 3"), "{got}");
    assert!(got["ttlMs"].as_u64().unwrap() > 29 * 24 * 3600 * 1000, "ended jobs are kept for 30 days: {got}");
    // With the same key, a call on the ended job returns at once.
    let mut arguments = arguments;
    arguments["wait_s"] = 50.into();
    let answered = second.ask("tools/call", json!({ "name": "execute", "arguments": arguments }))["result"].clone();
    let mut result = got["result"].clone();
    assert_eq!(answered["content"], result["content"]);
    // Parts that the SDK adds to each answer do not belong to the result of the call.
    for part in ["resultType", "_meta"] {
        result[part] = answered[part].clone();
    }
    assert_eq!(answered, result);
    assert_eq!(answered["_meta"]["jobcore/job"], got["result"]["_meta"]["jobcore/job"]);
    let update = second.ask("tasks/update", json!({ "taskId": task, "inputResponses": {} }));
    assert_eq!(update["result"]["resultType"], "complete", "{update}");
}

#[test]
fn a_task_that_is_cancelled_stops_its_job() {
    let env = TestEnv::new();
    let mut client = Client::with_tasks(&env);
    let arguments = json!({ "command": "sleep 1000", "wait_s": 0 });
    let created = client.ask("tools/call", json!({ "name": "execute", "arguments": arguments }));
    let task = created["result"]["taskId"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        let acknowledged = client.ask("tasks/cancel", json!({ "taskId": task }));
        assert_eq!(acknowledged["result"]["resultType"], "complete", "{acknowledged}");
        let got = finished(&mut client, &task);
        assert!(got["status"] == "cancelled" && got["result"].is_null(), "{got}");
    }
    assert_eq!((env.status(&task).as_str(), &env.job(&task)["stopped_by"]), ("killed", &"tasks/cancel".into()));
    for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
        for unknown in ["nosuch", "01a1fdae-f732-79d8-863c-36d74826f0c8", ""] {
            let refused = client.ask(method, json!({ "taskId": unknown, "inputResponses": {} }));
            assert_eq!(refused["error"]["code"], -32602, "{method} {unknown}: {refused}");
        }
    }
}

/// It was stopped by another program or could not even be started: the call would have returned a result, so the task
/// is completed.
#[test]
fn a_job_that_failed_is_a_task_that_completed() {
    let env = TestEnv::new();
    let mut client = Client::with_tasks(&env);
    let arguments = json!({ "command": "sleep 1000", "wait_s": 0 });
    let created = client.ask("tools/call", json!({ "name": "execute", "arguments": arguments }));
    let task = created["result"]["taskId"].as_str().unwrap().to_owned();
    env.ok(["kill", &task]);
    let got = finished(&mut client, &task);
    assert_eq!(got["status"], "completed", "{got}");
    assert!(got["result"]["content"][0]["text"].as_str().unwrap().contains("killed by jobcli"), "{got}");
}

/// Older clients name the extension in their greeting, but cannot read a task.
#[test]
fn only_a_request_that_asks_for_a_task_gets_one() {
    let env = TestEnv::new();
    for mut client in [Client::legacy_that_names_tasks(&env), Client::modern(&env)] {
        let called = client.ok("execute", json!({ "command": "sleep 1000", "wait_s": 0 }));
        assert!(called.text.ends_with(" is running."), "{}", called.text);
    }
    let mut modern = Client::modern(&env);
    let refused = modern.ask("tasks/get", json!({ "taskId": "x" }));
    assert_eq!(refused["error"]["code"], -32021, "{refused}");
    // A call that asks for fields gets fields.
    let mut client = Client::with_tasks(&env);
    let fields = client.ok("execute", json!({ "command": "sleep 1000", "wait_s": 0, "format": "json" }));
    assert_eq!(fields.structured["status"], "running");
}

#[test]
fn a_session_job_ends_with_its_server_and_a_detached_one_does_not() {
    let env = TestEnv::new();
    for signal in [None, Some(Signal::SIGKILL)] {
        let mut client = Client::legacy(&env);
        let stubborn = "trap 'echo asked' TERM; echo up; while :; do sleep 0.02; done";
        let session = json!({ "command": stubborn, "lifetime": "session", "wait_s": 0 });
        let session = client.ok("execute", session).id();
        let detached = json!({ "command": "sleep 1000", "lifetime": "detached", "wait_s": 0 });
        let detached = client.ok("execute", detached).id();
        client.ok("wait", json!({ "job_ids": [session], "until": "output:up" }));
        match signal {
            Some(signal) => {
                send(client.pid(), signal);
                client.end();
            }
            None => assert!(client.close().success()),
        }
        env.run(["wait", &session]);
        let job = env.job(&session);
        assert_eq!((&job["status"], &job["stopped_by"]), (&"killed".into(), &"the end of its session".into()), "{job}");
        // It was asked to end first, with a grace period of 5 seconds.
        assert_eq!(job["signal"], "SIGKILL", "{job}");
        assert!(env.ok(["output", &session]).contains("asked"));
        assert_eq!(env.status(&detached), "running");
        env.ok(["kill", &detached]);
    }
}

/// A supervisor that takes over knows with which process the job ends, even if that process is already gone.
#[test]
fn a_session_job_that_lost_its_supervisor_still_ends_with_its_server() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let arguments = json!({ "command": "exec sleep 1000", "lifetime": "session", "wait_s": 0 });
    let watched = client.ok("execute", arguments.clone()).id();
    let lost = client.ok("execute", arguments).id();
    let (first, second) = (env.main_process(&watched), env.main_process(&lost));
    send(env.supervisor(&watched), Signal::SIGKILL);
    wait_for("another supervisor", || (env.job(&watched)["supervised"] != false).then_some(()));
    send(env.supervisor(&lost), Signal::SIGKILL);
    send(client.pid(), Signal::SIGKILL);
    client.end();
    for (id, main) in [(&watched, first), (&lost, second)] {
        env.run(["wait", id]);
        assert_eq!(env.job(id)["stopped_by"], "the end of its session", "{id}");
        assert!(!is_alive(main));
    }
}

/// A job that waited for a slot when its session ended is not started when there is one.
#[test]
fn a_queued_session_job_is_never_started_after_the_end_of_its_server() {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "1"]);
    let holder = env.submit("while [ ! -e go ]; do sleep 0.02; done");
    let mut client = Client::legacy(&env);
    let arguments = json!({ "command": "touch started", "lifetime": "session", "wait_s": 0 });
    let queued = client.ok("execute", arguments).id();
    assert_eq!(env.status(&queued), "queued");
    assert!(client.close().success());
    touch(&env, "go");
    env.ok(["wait", &holder]);
    env.run(["wait", &queued]);
    let job = env.job(&queued);
    assert_eq!((&job["cause"], &job["stopped_by"]), (&"never_started".into(), &"the end of its session".into()));
    assert!(!env.dir().join("started").exists());
}

#[test]
fn jobs_are_resources() {
    let env = TestEnv::new();
    let mut client = Client::modern(&env);
    let line = "echo out; printf '\\033[31mred\\033[0m\\n' >&2; exit 4";
    let id = client.ok("execute", json!({ "command": line, "name": "web", "wait_s": 50 })).id();
    for number in 0..20 {
        env.ok(["run", "--label", "n=1", &format!("exit {number}")]);
    }
    let page = client.ask("resources/list", json!({}))["result"].clone();
    assert_eq!(page["resources"].as_array().unwrap().len(), 20, "{page}");
    let rest = client.ask("resources/list", json!({ "cursor": page["nextCursor"] }))["result"].clone();
    assert_eq!(rest["resources"][0]["uri"], format!("job://{id}"), "{rest}");
    assert_eq!((rest["resources"].as_array().unwrap().len(), &rest["nextCursor"]), (1, &Value::Null));
    assert_eq!(client.ask("resources/list", json!({ "cursor": "x" }))["error"]["code"], -32602);
    let templates = client.ask("resources/templates/list", json!({}))["result"]["resourceTemplates"].clone();
    assert_eq!(templates[1]["uriTemplate"], "job://{id}/stdout", "{templates}");
    let mut read = |uri: &str| client.ask("resources/read", json!({ "uri": uri }))["result"]["contents"][0].clone();
    let job: Value = serde_json::from_str(read("job://web")["text"].as_str().unwrap()).unwrap();
    assert_eq!((&job["job_id"], &job["exit_code"]), (&id.as_str().into(), &4.into()));
    assert_eq!(read(&format!("job://{id}/stdout"))["text"], "out\n");
    assert_eq!(read(&format!("job://{}/stderr", &id[24..32]))["text"], "red\n", "cleaned");
    for (mut client, code) in [(Client::modern(&env), -32602), (Client::legacy(&env), -32002)] {
        for uri in ["job://nosuch", "job://web/stdin", "file:///etc/passwd", ""] {
            let refused = client.ask("resources/read", json!({ "uri": uri }));
            assert_eq!(refused["error"]["code"], code, "{uri}: {refused}");
            assert_eq!(refused["error"]["data"]["uri"], uri, "{refused}");
        }
    }
}

#[test]
fn a_large_stream_is_read_in_part() {
    let env = TestEnv::new();
    let mut client = Client::modern(&env);
    client.ok("execute", json!({ "command": "seq 1 200000", "name": "big", "wait_s": 50 }));
    let read = client.ask("resources/read", json!({ "uri": "job://big/stdout" }));
    let text = read["result"]["contents"][0]["text"].as_str().unwrap();
    assert!(text.len() < 40_000 && text.contains("left out") && text.ends_with("200000\n"), "{} bytes", text.len());
}

#[test]
fn subscribers_are_notified_of_changes() {
    let env = TestEnv::new();
    let updated = |client: &mut Client| {
        wait_for("word of a change", || {
            client.ok("list", json!({}));
            let is_update = |note: &&Value| note["method"] == "notifications/resources/updated";
            client.notes().iter().find(is_update).map(|note| note["params"]["uri"].clone())
        })
    };
    let start = |client: &mut Client| client.ok("execute", json!({ "command": UNTIL_GO, "wait_s": 0 })).id();
    let mut modern = Client::modern(&env);
    let mut legacy = Client::legacy(&env);
    let (first, second) = (start(&mut modern), start(&mut legacy));
    let uri = format!("job://{first}/stdout");
    let listen = modern.send("subscriptions/listen", json!({ "notifications": { "resourceSubscriptions": [uri] } }));
    let subscribed = legacy.ask("resources/subscribe", json!({ "uri": format!("job://{second}") }));
    assert_eq!(subscribed["result"], json!({}), "{subscribed}");
    wait_for("the acknowledgment", || {
        modern.ok("list", json!({}));
        let is_one = |note: &Value| note["method"] == "notifications/subscriptions/acknowledged";
        modern.notes().iter().any(is_one).then_some(())
    });
    touch(&env, "go");
    assert_eq!(updated(&mut modern), uri);
    assert_eq!(updated(&mut legacy), format!("job://{second}"));
    let unsubscribed = legacy.ask("resources/unsubscribe", json!({ "uri": format!("job://{second}") }));
    assert_eq!(unsubscribed["result"], json!({}), "{unsubscribed}");
    let unknown = legacy.ask("resources/subscribe", json!({ "uri": "job://nosuch" }));
    assert_eq!(unknown["error"]["code"], -32002, "{unknown}");
    // The end of the server ends the subscription and does not wait for it.
    send(modern.pid(), Signal::SIGTERM);
    assert!(modern.end().success());
    assert!(modern.answer(listen)["result"].is_object());
}

#[test]
fn prompts_and_completions_are_offered() {
    let env = TestEnv::new();
    for mut client in [Client::legacy(&env), Client::modern(&env)] {
        let job = client.ok("execute", json!({ "command": "echo hello", "name": "greeter", "wait_s": 50 }));
        let prompts = client.ask("prompts/list", json!({}))["result"]["prompts"].clone();
        let names: Vec<_> = prompts.as_array().unwrap().iter().map(|prompt| prompt["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["dev_server", "run_tests", "while_away"]);
        let arguments = json!({ "command": "npm start", "port": "3000" });
        let got = client.ask("prompts/get", json!({ "name": "dev_server", "arguments": arguments }))["result"].clone();
        assert!(got["messages"][0]["content"]["text"].as_str().unwrap().contains("port:3000"), "{got}");
        for wrong in [json!({ "name": "nosuch" }), json!({ "name": "dev_server" })] {
            assert_eq!(client.ask("prompts/get", wrong)["error"]["code"], -32602);
        }
        let short = &job.id()[24..32];
        for (reference, argument, typed, expected) in [
            (json!({ "type": "ref/resource", "uri": "job://{id}" }), "id", "gre", "greeter"),
            (json!({ "type": "ref/resource", "uri": "job://{id}/stdout" }), "id", &short[..4], short),
            (json!({ "type": "ref/prompt", "name": "run_tests" }), "command", "echo", "echo hello"),
            (json!({ "type": "ref/prompt", "name": "while_away" }), "since", "8", "8h"),
        ] {
            let asked = json!({ "ref": reference, "argument": { "name": argument, "value": typed } });
            let completed = client.ask("completion/complete", asked)["result"]["completion"].clone();
            assert!(completed["values"].as_array().unwrap().contains(&expected.into()), "{reference}: {completed}");
        }
    }
}

/// Cancelling a call does not cancel its job: only `tasks/cancel` and `kill` do.
#[test]
fn a_call_that_is_cancelled_leaves_its_job_alone() {
    let env = TestEnv::new();
    let mut client = Client::with_tasks(&env);
    let call = client.send_call("execute", json!({ "command": UNTIL_GO, "name": "kept", "wait_s": 50 }));
    wait_for("the job", || env.run(["status", "kept"]).stdout.contains("running").then_some(()));
    client.notify("notifications/cancelled", json!({ "requestId": call }));
    let waiting = client.send_call("wait", json!({ "job_ids": ["kept"], "timeout_s": 50 }));
    touch(&env, "go");
    assert!(Called::of(&client.answer(waiting)).text.contains("exit code 3"));
}
