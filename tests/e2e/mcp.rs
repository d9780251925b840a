//! The MCP server, driven as a client drives it.

use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::background::touch;
use crate::mcp_client::{Called, Client};
use crate::needs;
use crate::support::{TestEnv, send, wait_for};

#[test]
fn a_short_command_is_answered_with_its_end_and_a_long_one_with_its_id() {
    let env = TestEnv::new();
    for mut client in [Client::legacy(&env), Client::modern(&env)] {
        let short = client.ok("execute", json!({ "command": "echo out && echo err >&2 | cat; exit 3", "wait_s": 30 }));
        assert!(short.text.contains("failed with exit code 3") && short.text.contains("out\n"), "{}", short.text);
        assert_eq!((&short.job["exit_code"], &short.job["status"]), (&3.into(), &"failed".into()), "{}", short.job);
        let long = client.ok("execute", json!({ "command": "echo started; sleep 1000", "wait_s": 0, "cwd": "/" }));
        assert!(long.text.starts_with("Job ") && long.text.ends_with(" is running."), "{}", long.text);
        assert_eq!(long.job["status"], "running", "{}", long.job);
        // A person sees and stops what an agent runs.
        assert_eq!(env.job(&long.id())["cwd"], "/");
        env.ok(["kill", &long.id()]);
        let wait = client.ok("wait", json!({ "job_ids": [long.id()] }));
        assert!(wait.text.contains("killed by jobcli"), "{}", wait.text);
        assert!(client.close().success());
    }
}

#[test]
fn a_wait_says_why_it_ended() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let line =
        "echo up; while [ ! -e go ]; do sleep 0.02; done; echo ready on 1; while [ ! -e end ]; do sleep 0.02; done";
    let job = client.ok("execute", json!({ "command": line, "name": "web", "wait_s": 0 }));
    let up = client.ok("wait", json!({ "job_ids": ["web"], "until": "output:^up" }));
    assert!(up.text.ends_with("`output:^up` is met at cursor 3.\nup"), "{}", up.text);
    let not_yet = client.ok("wait", json!({ "job_ids": ["web"], "timeout_s": 0.05, "cursor": up.job["cursor"] }));
    assert!(not_yet.text.starts_with("`web` is running") && !not_yet.text.contains("up\n"), "{}", not_yet.text);
    touch(&env, "go");
    let ready = client.ok("wait", json!({ "job_ids": ["web"], "until": "output:ready", "cursor": up.job["cursor"] }));
    assert!(ready.text.contains("ready on 1"), "{}", ready.text);
    let other = client.ok("execute", json!({ "command": "sleep 1000", "wait_s": 0 }));
    touch(&env, "end");
    let ids = json!([job.id(), other.id()]);
    let any = client.ok("wait", json!({ "job_ids": ids, "mode": "any", "timeout_s": 50 }));
    assert!(any.text.starts_with("1 of 2 completed (`web`), 1 running: "), "{}", any.text);
    let never = client.ok("wait", json!({ "job_ids": ["web"], "until": "port:1" }));
    assert!(never.text.contains("`port:1` can no longer be met"), "{}", never.text);
    client.ok("kill", json!({ "job_id": other.id() }));
}

#[test]
fn a_repl_is_talked_to() {
    let Some(_) = needs::program("python3") else { return };
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    client.ok("execute", json!({ "command": "python3 -iq", "stdin": "open", "name": "repl", "wait_s": 0 }));
    client.ok("wait", json!({ "job_ids": ["repl"], "until": "output:>>> $" }));
    let answer =
        client.ok("interact", json!({ "job_id": "repl", "input": "6 * 7", "until": "output:^42$", "wait_s": 50 }));
    assert!(answer.text.contains("42"), "{}", answer.text);
    let fields = client.ok(
        "interact",
        json!({
            "job_id": "repl", "input": "print('x')", "format": "json", "stream": "stdout", "until": "output:^x$", "wait_s": 50,
        }),
    );
    assert_eq!((&fields.structured["stdout"], &fields.structured["status"]), (&"x\n".into(), &"running".into()));
    let end = client.ok("interact", json!({ "job_id": "repl", "eof": true, "wait_s": 30 }));
    assert!(end.text.contains("completed"), "{}", end.text);
    let late = client.call("interact", json!({ "job_id": "repl", "input": "x" }));
    assert!(late.is_error && late.text.contains("not running"), "{}", late.text);
}

#[test]
fn kill_reports_what_became_of_each_job() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let over = client.ok("execute", json!({ "command": "true", "wait_s": 30 }));
    let alive = client.ok("execute", json!({ "command": "sleep 1000", "wait_s": 0 }));
    let killed = client.ok("kill", json!({ "job_ids": [alive.id(), over.id(), "nosuch"], "remove": true }));
    let results = killed.structured["results"].as_array().unwrap();
    let statuses: Vec<_> = ["killed", "already_terminated", "not_found"]
        .map(|status| results.iter().filter(|result| result["status"] == status).count())
        .into_iter()
        .collect();
    assert_eq!(statuses, [1, 1, 1], "{}", killed.text);
    assert_eq!(client.ok("list", json!({})).structured["jobs"], json!([]), "they were removed");
    let line = "trap 'exit 7' USR1; echo up; while :; do sleep 0.02; done";
    let signalled = client.ok("execute", json!({ "command": line, "wait_s": 0 }));
    client.ok("wait", json!({ "job_ids": [signalled.id()], "until": "output:up" }));
    client.ok("kill", json!({ "job_id": signalled.id(), "signal": "USR1" }));
    let ended = client.ok("wait", json!({ "job_ids": [signalled.id()] }));
    assert!(ended.text.contains("exit code 7"), "{}", ended.text);
}

/// A call that waits for a stubborn job holds up no other call.
#[test]
fn other_calls_are_answered_while_one_blocks() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let stubborn =
        client.ok("execute", json!({ "command": "trap '' TERM; echo up; while :; do sleep 0.02; done", "wait_s": 0 }));
    client.ok("wait", json!({ "job_ids": [stubborn.id()], "until": "output:up" }));
    let wait = client.send_call("wait", json!({ "job_ids": [stubborn.id()], "timeout_s": 50 }));
    let kill = client.send_call("kill", json!({ "job_id": stubborn.id(), "grace_s": 1 }));
    let list = client.send_call("list", json!({}));
    let listed = Called::of(&client.answer(list));
    assert!(listed.text.contains("running"), "the list was answered before the job was dead: {}", listed.text);
    assert!(Called::of(&client.answer(kill)).text.contains("killed"));
    assert!(Called::of(&client.answer(wait)).text.contains("killed by jobmcp"));
}

#[test]
fn errors_say_what_would_work() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    client.ok("execute", json!({ "command": "sleep 1000", "name": "web", "wait_s": 0 }));
    for (tool, arguments, expected) in [
        ("execute", json!({}), "either `command`"),
        ("execute", json!({ "command": "" }), "empty"),
        ("execute", json!({ "command": "true", "colour": 1 }), "unknown field `colour`, expected one of"),
        ("execute", json!({ "command": 7 }), "command: 7 is not a string"),
        ("execute", json!({ "command": null }), "either `command`"),
        ("execute", json!({ "argv": "ls -l" }), "a line in `command`"),
        ("execute", json!({ "argv": ["ls", 7] }), "argv[1]: 7 is not a string"),
        ("execute", json!({ "command": "true", "env": { "PORT": 3000 } }), "env.PORT: 3000 is not a string"),
        ("execute", json!({ "command": "true", "env": { "A=B": "x" } }), "env: `A=B`"),
        ("execute", json!({ "command": "true", "tty": "yes" }), "tty: \"yes\" is not true or false"),
        ("execute", json!({ "command": "true", "group": "a/b" }), "group: `a/b` is not a name"),
        ("execute", json!({ "command": "true", "cwd": "x".repeat(1_000_000) }), "cwd: a path has"),
        ("wait", json!({ "job_ids": null }), "job_ids: name at least one job"),
        ("wait", json!({ "job_ids": ["web"], "wait_s": "5s" }), "wait_s: \"5s\" is not a number"),
        ("wait", json!({ "job_ids": vec!["web"; 501] }), "at most 500"),
        ("wait", json!({ "job_ids": ["web"], "mode": "both" }), "mode: \"both\" is not one of \"all\", \"any\""),
        ("tail", json!({ "job_id": "web", "lines": 5.5 }), "lines: 5.5 is not a whole number from 0"),
        ("tail", json!({ "job_id": "web", "lines": "five" }), "lines: \"five\" is not a whole number"),
        ("output", json!({ "job_id": "web", "cursor": -1 }), "cursor: -1 is not a whole number"),
        ("output", json!({ "job_id": "web", "cursor": 1e30 }), "cursor: 1e+30 is not a whole number"),
        ("execute", json!({ "command": "true", "name": "web" }), "use another name"),
        ("execute", json!({ "command": "true", "cwd": "/nosuch" }), "/nosuch"),
        ("wait", json!({ "job_ids": [] }), "at least one"),
        ("wait", json!({ "job_ids": ["web"], "until": "ready" }), "without a readiness condition"),
        ("wait", json!({ "job_ids": ["web"], "until": "listening" }), "output:RE"),
        ("status", json!({ "job_id": "nosuch" }), "`web`"),
        ("output", json!({ "job_id": "web", "grep": "a(b" }), "unclosed group"),
        ("output", json!({ "job_id": "web", "max_bytes": 1 }), "between 1000 and 36000"),
        ("tail", json!({ "job_id": "web", "lines": 0 }), "between 1 and 1000"),
        ("interact", json!({ "job_id": "web", "input": "x" }), "\"stdin\": \"open\""),
        ("interact", json!({ "job_id": "web" }), "give `input`"),
        ("kill", json!({}), "job_ids"),
        ("kill", json!({ "job_id": "web", "signal": "NOSUCH" }), "NOSUCH"),
        ("list", json!({ "status": ["done"] }), "done"),
        ("list", json!({ "since": "soon" }), "yesterday"),
    ] {
        let called = client.call(tool, arguments.clone());
        assert!(called.is_error && called.text.contains(expected), "{tool} {arguments}: {}", called.text);
        assert!(called.text.chars().count() <= 2_000);
    }
    // What would work is reported however long the wrong value is.
    for (tool, field, expected) in
        [("status", "job_id", "`web`"), ("kill", "signal", "a name such as"), ("list", "x", "`limit`")]
    {
        let mut arguments = json!({ "job_id": "web" });
        let field = if field == "x" { "x".repeat(100_000) } else { field.to_owned() };
        arguments[field] = "x".repeat(100_000).into();
        let huge = client.call(tool, arguments);
        assert!(huge.is_error && huge.text.contains(expected), "{}", huge.text);
        assert!(huge.text.chars().count() <= 2_000);
    }
    let unknown = client.ask("tools/call", json!({ "name": "nosuch", "arguments": {} }));
    assert!(unknown["error"]["message"].as_str().unwrap().contains("execute"), "{unknown}");
}

/// Many clients have only one kind of number.
#[test]
fn a_whole_number_may_be_written_as_a_fraction() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    client.ok("execute", json!({ "command": "seq 1 9", "name": "seq", "wait_s": 30.0 }));
    let tail = client.ok("tail", json!({ "job_id": "seq", "lines": 2.0, "stream": null }));
    assert!(tail.text.ends_with("\n8\n9") && !tail.text.ends_with("\n7\n8\n9"), "{}", tail.text);
    assert!(client.ok("output", json!({ "job_id": "seq", "cursor": 16.0 })).text.ends_with("\n9"));
    let listed = client.ok("list", json!({ "limit": 1.0, "offset": 0.0, "ended_since": 0.0 }));
    assert!(listed.text.contains("`seq`"), "{}", listed.text);
}

/// Each job is reported once, however often it is named and by whatever reference, in the place where it is named
/// first.
#[test]
fn a_job_that_is_named_twice_is_reported_once() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let web = client.ok("execute", json!({ "command": "sleep 1000", "name": "web", "wait_s": 0 })).id();
    let over = client.ok("execute", json!({ "command": "true", "name": "over", "wait_s": 30 })).id();
    let waited = client.ok("wait", json!({ "job_ids": [over, "over", over], "cursor": 0 }));
    assert_eq!(waited.text.matches("completed").count(), 1, "{}", waited.text);
    assert_eq!(waited.job["name"], "over");
    for signal in [json!("WINCH"), Value::Null] {
        let named = json!([web, "nosuch", "over", "web", "nosuch", over]);
        let killed = client.ok("kill", json!({ "job_ids": named, "signal": signal }));
        let lines: Vec<_> = killed.text.lines().map(|line| line.split('`').nth(1).unwrap()).collect();
        assert_eq!(lines, ["web", "nosuch", "over"], "{}", killed.text);
        assert_eq!(killed.structured["results"].as_array().unwrap().len(), 3);
    }
}

/// However much there is, a result stays small: 8,000 characters, and 40,000 if more is asked for.
#[test]
fn results_are_bounded() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let line = "head -c 16000000 /dev/zero | tr '\\0' x; seq 1 2000000; printf '\\377\\376 bytes\\n' >&2";
    let id = env.ok(["run", "--output-limit", "0", "--name", "big", line]);
    env.ok(["wait", &id]);
    for number in 0..150 {
        env.ok(["run", "--label", "n=1", &format!("echo {number} {}", "x".repeat(1000))]);
    }
    for (tool, arguments, most) in [
        ("output", json!({ "job_id": "big" }), 8_000),
        ("output", json!({ "job_id": "big", "max_bytes": 36_000 }), 40_000),
        ("output", json!({ "job_id": "big", "grep": "9", "context": 3 }), 8_000),
        ("output", json!({ "job_id": "big", "stream": "stdout" }), 8_000),
        ("tail", json!({ "job_id": "big", "lines": 1000 }), 8_000),
        ("wait", json!({ "job_ids": ["big"] }), 8_000),
        ("status", json!({ "job_id": "big" }), 8_000),
        ("list", json!({}), 8_000),
        ("list", json!({ "limit": 100 }), 40_000),
        ("execute", json!({ "command": "seq 1 200000", "wait_s": 50 }), 8_000),
    ] {
        let called = client.ok(tool, arguments.clone());
        let length = called.text.chars().count();
        assert!(length <= most, "{tool} {arguments}: {length} characters");
        assert!(called.structured.to_string().len() <= 40_000, "{tool} {arguments}");
    }
    let output = client.ok("output", json!({ "job_id": "big" }));
    assert!(
        output.text.contains("left out; continue from cursor") && output.text.contains("2000000\n"),
        "{}",
        output.text
    );
    assert!(
        client.ok("output", json!({ "job_id": "big", "stream": "stderr" })).text.contains("\u{fffd}\u{fffd} bytes")
    );
}

/// A server that dies takes nothing with it, and another one knows all that it knew.
#[test]
fn jobs_outlive_the_server_and_continue_under_another() {
    let env = TestEnv::new();
    let mut first = Client::legacy(&env);
    let job = first.ok("execute", json!({ "command": "cat; exit 5", "stdin": "open", "name": "cat", "wait_s": 0 }));
    let _ = first.send_call("wait", json!({ "job_ids": ["cat"], "timeout_s": 50 }));
    send(first.pid(), Signal::SIGKILL);
    first.end();
    let mut second = Client::modern(&env);
    let answer = second.ok("interact", json!({ "job_id": "cat", "input": "hello", "wait_s": 30 }));
    assert_eq!(answer.text, "hello");
    // Several servers and people at the same time.
    let mut third = Client::legacy(&env);
    assert_eq!(env.ok(["send", "cat", "from a person"]), "sent 14 bytes");
    third.ok("wait", json!({ "job_ids": [job.id()], "until": "output:from a person" }));
    third.ok("interact", json!({ "job_id": "cat", "eof": true, "wait_s": 0 }));
    let ended = second.ok("wait", json!({ "job_ids": ["cat"] }));
    assert!(ended.text.contains("exit code 5"), "{}", ended.text);
}

/// Neither a call that waits nor a client that keeps its end of a pipe open holds up the end of the server.
#[test]
fn the_server_ends_when_its_client_goes_or_a_signal_comes() {
    let env = TestEnv::new();
    for signal in [None, Some(Signal::SIGTERM), Some(Signal::SIGINT)] {
        let mut client = Client::legacy(&env);
        let job = client.ok("execute", json!({ "command": "sleep 1000", "wait_s": 0 }));
        let wait = client.send_call("wait", json!({ "job_ids": [job.id()], "timeout_s": 50 }));
        let begun = Instant::now();
        let status = match signal {
            None => client.close(),
            Some(signal) => {
                send(client.pid(), signal);
                client.end()
            }
        };
        assert!(status.success(), "{signal:?}: {status:?}");
        assert!(begun.elapsed().as_secs() < 40, "it waited for the call");
        // It answered what it could before it ended.
        if signal.is_some() {
            assert!(Called::of(&client.answer(wait)).text.contains(" is running"));
        }
        assert_eq!(env.status(&job.id()), "running", "no job ends with a server");
        env.ok(["kill", &job.id()]);
    }
}

#[test]
fn progress_is_reported_on_request_and_cancelled_calls_are_not_answered() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let job = client.ok("execute", json!({ "command": "while [ ! -e go ]; do sleep 0.02; done", "wait_s": 0 }));
    let wait = client.send(
        "tools/call",
        json!({ "name": "wait", "arguments": { "job_ids": [job.id()], "timeout_s": 50 }, "_meta": { "progressToken": "t" } }),
    );
    let cancelled = client.send_call("wait", json!({ "job_ids": [job.id()], "timeout_s": 50 }));
    client.notify("notifications/cancelled", json!({ "requestId": cancelled }));
    wait_for("word of progress", || {
        client.ok("list", json!({}));
        client.notes().iter().any(|note| note["method"] == "notifications/progress").then_some(())
    });
    touch(&env, "go");
    assert!(Called::of(&client.answer(wait)).text.contains("completed"));
    assert_eq!(client.notes()[0]["params"]["progressToken"], "t");
}

/// What has happened in the meantime.
#[test]
fn a_list_shows_what_ended_since() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    client.ok("execute", json!({ "command": "true", "wait_s": 30 }));
    let event = client.ok("list", json!({})).structured["event"].clone();
    let job = client.ok("execute", json!({ "command": "exit 4", "wait_s": 30, "name": "later" }));
    client.ok("execute", json!({ "command": "sleep 1000", "wait_s": 0 }));
    // A start is on record before it is reported as an event, and nothing may happen between the calls that follow.
    let started = || env.ok(["events", "--json"]).lines().filter(|line| line.contains("\"started\"")).count();
    wait_for("the last start to be reported", || (started() == 3).then_some(()));
    let listed = client.ok("list", json!({ "ended_since": event }));
    let jobs = listed.structured["jobs"].as_array().unwrap();
    assert!(jobs.len() == 1 && jobs[0]["name"] == "later" && jobs[0]["exit_code"] == 4, "{}", listed.text);
    let again = client.ok("list", json!({ "ended_since": listed.structured["event"] }));
    assert_eq!(again.structured["jobs"], json!([]), "{}", again.text);
    // A number that no event has yet is not passed on: the events to come would be missed.
    let beyond = client.ok("list", json!({ "ended_since": 1_000_000 }));
    assert_eq!(beyond.structured["event"], again.structured["event"], "{}", beyond.text);
    for (arguments, count) in [
        (json!({ "status": ["running"] }), 1),
        (json!({ "name": "later" }), 1),
        (json!({ "limit": 1 }), 1),
        (json!({ "limit": 1, "offset": 2 }), 1),
        (json!({ "limit": 100, "offset": u64::MAX }), 0),
        (json!({ "cwd": "/nosuch" }), 0),
        (json!({ "since": "1h" }), 3),
    ] {
        let listed = client.ok("list", arguments.clone());
        assert_eq!(listed.structured["jobs"].as_array().unwrap().len(), count, "{arguments}: {}", listed.text);
    }
    env.ok(["kill", "--all"]);
    drop(job);
}

#[test]
fn the_tools_are_the_same_in_every_era() {
    let env = TestEnv::new();
    let (mut legacy, mut modern) = (Client::legacy(&env), Client::modern(&env));
    let discovered = modern.ask("server/discover", json!({}));
    assert!(discovered["result"]["supportedVersions"].as_array().unwrap().len() >= 5, "{discovered}");
    let tools = |client: &mut Client| client.ask("tools/list", json!({}))["result"]["tools"].clone();
    let (before, now) = (tools(&mut legacy), tools(&mut modern));
    assert_eq!(before, now);
    assert!(before.to_string().len() < 8 * 1024);
}
