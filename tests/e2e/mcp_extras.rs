//! What the MCP server has beside its tools: tasks, jobs that end with it.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::background::touch;
use crate::mcp_client::{Called, Client};
use crate::support::{TestEnv, is_alive, send, wait_for};

/// Runs until there is a file `go`.
const UNTIL_GO: &str = "echo begun; while [ ! -e go ]; do sleep 0.02; done; echo done; exit 3";

/// Asks after a task until it is over.
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
    // It is on record before the client is told, and all tools know it.
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
    assert!(got["ttlMs"].as_u64().unwrap() > 29 * 24 * 3600 * 1000, "what is over is kept for 30 days: {got}");
    // The key makes a call that need not wait of the same job.
    let mut arguments = arguments;
    arguments["wait_s"] = 50.into();
    let answered = second.ask("tools/call", json!({ "name": "execute", "arguments": arguments }))["result"].clone();
    let mut result = got["result"].clone();
    assert_eq!(answered["content"], result["content"]);
    // What the SDK adds to each answer is no part of what the call returned.
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

/// Somebody else stopped it, or it could not even start: the call would have said so, and the task is completed.
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

/// Clients of before name the extension in their greeting, and cannot read a task.
#[test]
fn nobody_gets_a_task_who_did_not_ask_for_it_in_this_request() {
    let env = TestEnv::new();
    for mut client in [Client::legacy_that_names_tasks(&env), Client::modern(&env)] {
        let called = client.ok("execute", json!({ "command": "sleep 1000", "wait_s": 0 }));
        assert!(called.text.contains("goes on in the background"), "{}", called.text);
    }
    let mut modern = Client::modern(&env);
    let refused = modern.ask("tasks/get", json!({ "taskId": "x" }));
    assert_eq!(refused["error"]["code"], -32021, "{refused}");
    // Whoever asks for fields gets fields.
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
        // It was asked first, and then there was a grace: 5 seconds.
        assert_eq!(job["signal"], "SIGKILL", "{job}");
        assert!(env.ok(["output", &session]).contains("asked"));
        assert_eq!(env.status(&detached), "running");
        env.ok(["kill", &detached]);
    }
}

/// A supervisor that takes over knows with whom the job ends, also when that is gone already.
#[test]
fn a_session_job_that_lost_its_supervisor_ends_with_its_server_all_the_same() {
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

/// What waited for a slot when its session ended is not started when there is one.
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

/// A cancelled call is not a cancelled job: only `tasks/cancel` and `kill` are that.
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
