//! Arguments of the MCP tools: as clients really send them, under both of their names, and those that are rarely
//! needed.

use serde_json::json;

use crate::mcp_client::{Client, JOBMCP};
use crate::support::{TestEnv, is_alive, wait_for};

/// Some clients turn lists, objects and numbers into text on the way. The model wrote them correctly, so it could not
/// correct them.
#[test]
fn arguments_are_taken_as_json_text_and_under_both_names() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let execute = json!({
        "command": "echo \"$A\"; test -t 1 && echo terminal", "env": "{\"A\": \"1\"}", "wait_s": "50", "tty": "true",
        "labels": "{\"kind\": \"test\"}", "name": "b",
    });
    let ran = client.ok("execute", execute);
    assert!(ran.text.contains("1\nterminal"), "{}", ran.text);
    client.ok("execute", json!({ "argv": "[\"echo\", \"[a]\"]", "name": "c", "wait_s": 50.0 }));
    // A line stays a line, whatever it looks like.
    let line = client.ok("execute", json!({ "command": "[ \"x\" ]", "wait_s": 50 }));
    assert!(line.text.contains("completed with exit code 0"), "{}", line.text);
    for jobs in [json!("[\"b\",\"c\"]"), json!(["b", "c"])] {
        let waited = client.ok("wait", json!({ "job_ids": jobs, "wait_s": "5" }));
        assert_eq!(waited.text, "2 of 2 completed.");
    }
    for (name, value) in [
        ("job_ids", json!("b")),
        ("job_ids", json!("[\"b\"]")),
        ("job_ids", json!(["b"])),
        ("job_id", json!("b")),
        ("job_id", json!(["b"])),
    ] {
        for tool in ["wait", "output", "tail", "status", "kill"] {
            let called = client.ok(tool, json!({ name: value }));
            assert!(called.text.contains("b"), "{tool} {name} {value}: {}", called.text);
        }
    }
    for lines in [json!({ "lines": "1" }), json!({ "tail_lines": 1 })] {
        for tool in ["output", "tail"] {
            let mut arguments = lines.clone();
            arguments["job_id"] = "b".into();
            let called = client.ok(tool, arguments);
            assert!(called.text.ends_with("\nterminal"), "{tool} {lines}: {}", called.text);
        }
    }
    let listed = client.ok("list", json!({ "status": "completed", "limit": "1" }));
    assert_eq!(listed.structured["jobs"].as_array().unwrap().len(), 1);
    let several = client.call("status", json!({ "job_ids": ["b", "c"] }));
    assert!(several.is_error && several.text.contains("name one job"), "{}", several.text);
}

#[test]
fn a_wait_that_is_too_long_is_shortened_with_a_note() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    for (tool, name) in [("execute", "wait_s"), ("wait", "wait_s"), ("wait", "timeout_s")] {
        let mut arguments = match tool {
            "execute" => json!({ "command": "true", "name": "job" }),
            _ => json!({ "job_id": "job" }),
        };
        arguments[name] = "120".into();
        let number = client.send_call(tool, arguments);
        let content = client.answer(number)["result"]["content"].clone();
        assert!(content[0]["text"].as_str().unwrap().contains("exit code 0"), "{content}");
        assert_eq!(content[1]["text"], "[wait_s is 0 to 50.]", "{tool}");
    }
    let short = client.send_call("wait", json!({ "job_id": "job", "wait_s": 50 }));
    assert_eq!(client.answer(short)["result"]["content"].as_array().unwrap().len(), 1);
    let negative = client.send_call("wait", json!({ "job_id": "job", "wait_s": -1 }));
    assert_eq!(client.answer(negative)["result"]["content"][1]["text"], "[wait_s is 0 to 50.]");
}

#[test]
fn a_command_reads_the_input_that_it_is_given() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let ran = client.ok("execute", json!({ "command": "cat; echo end", "input": "a\n[\"ä\"]\n", "wait_s": 50 }));
    assert!(ran.text.ends_with("\na\n[\"ä\"]\nend"), "{:?}", ran.text);
    for more in [json!({ "stdin": "open" }), json!({ "tty": true })] {
        let mut arguments =
            json!({ "command": "read -r x; echo \"got $x\"; cat", "input": "a", "until": "output:got a$" });
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let typed = client.ok("execute", arguments);
        assert!(typed.text.contains(" is running") && typed.text.contains("\ngot a"), "{}", typed.text);
    }
}

#[test]
fn a_job_is_stopped_and_kept_as_requested() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let line = "trap 'echo interrupted; exit 7' INT; echo up; while :; do sleep 0.02; done";
    let execute = json!({
        "command": line, "name": "job", "stop_signal": "INT", "output_limit": "1M", "wait_s": 0,
    });
    let id = client.ok("execute", execute).id();
    client.ok("wait", json!({ "job_id": "job", "until": "output:up" }));
    client.ok("kill", json!({ "job_id": "job" }));
    assert!(client.ok("output", json!({ "job_id": "job" })).text.contains("interrupted"));
    let spec = env.records(&id).submission().to_string();
    assert!(spec.contains("\"output_limit\":1048576"), "{spec}");
    for (name, value) in [("stop_signal", "NOSUCH"), ("output_limit", "much"), ("output_limit", "1")] {
        assert!(client.call("execute", json!({ "command": "true", name: value })).is_error, "{name} {value}");
    }
}

/// This is how servers are started by mistake.
#[test]
fn stragglers_of_a_line_are_reported_and_kept_on_request() {
    const STOPPED: &str =
        "Stopped 1 process that it left in the background; to keep a server, run it as a job of its own";
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let line = "sleep 1000 & echo $!";
    let pid = |text: &str| -> i32 { text.trim_end().lines().last().unwrap().parse().unwrap() };
    let ran = client.ok("execute", json!({ "command": line, "name": "server", "wait_s": 50 }));
    assert!(ran.text.contains(STOPPED), "{}", ran.text);
    assert!(!is_alive(pid(&ran.text)));
    let waited = client.ok("wait", json!({ "job_id": "server" }));
    assert!(waited.text.contains(STOPPED), "{}", waited.text);
    let two = client.ok("execute", json!({ "command": "sleep 1000 & sleep 1000 & true", "wait_s": 50 }));
    assert!(two.text.contains("Stopped 2 processes that it left"), "{}", two.text);
    let none = client.ok("execute", json!({ "command": "true", "wait_s": 50 }));
    assert!(!none.text.contains("background"), "{}", none.text);
    let kept = client.ok("execute", json!({ "command": line, "leave_stragglers": true, "wait_s": 50 }));
    assert!(kept.text.contains(" 1 process was left in the background."), "{}", kept.text);
    assert!(is_alive(pid(&kept.text)));
    client.ok("kill", json!({ "job_id": kept.id() }));
    wait_for("the end of what was left", || (!is_alive(pid(&kept.text))).then_some(()));
    // All of a killed job was meant to end, so its stragglers are not reported.
    let execute = json!({ "command": "sleep 1000 & echo up; wait", "name": "killed", "wait_s": 0 });
    client.ok("execute", execute);
    client.ok("wait", json!({ "job_id": "killed", "until": "output:up" }));
    client.ok("kill", json!({ "job_id": "killed" }));
    let killed = client.ok("wait", json!({ "job_id": "killed" }));
    assert!(!killed.text.contains("background"), "{}", killed.text);
}

/// The setting holds for both front ends, and the argument of a call overrides it.
#[test]
fn stragglers_are_kept_by_a_setting() {
    let env = TestEnv::new();
    let file = env.dir().join("settings.toml");
    std::fs::write(&file, "stragglers = \"leave\"").unwrap();
    let execute = |stop: bool| {
        let mut server = env.command(JOBMCP);
        server.env("JOBCORE_CONFIG", &file);
        let mut client = Client::of(server);
        let line = "sleep 1000 & echo $!";
        let arguments = match stop {
            true => json!({ "command": line, "leave_stragglers": false, "wait_s": 50 }),
            false => json!({ "command": line, "wait_s": 50 }),
        };
        client.ok("execute", arguments)
    };
    let left = execute(false);
    assert!(left.text.contains("1 process was left"), "{}", left.text);
    env.ok(["kill", &left.id()]);
    let stopped = execute(true);
    assert!(stopped.text.contains("Stopped 1 process"), "{}", stopped.text);
    let id = env.ok(["--config", file.to_str().unwrap(), "run", "sleep 1000 & echo $!"]);
    env.ok(["wait", &id]);
    let pid: i32 = env.ok(["output", &id]).parse().unwrap();
    assert!(is_alive(pid));
    env.ok(["kill", &id]);
    wait_for("the end of what was left", || (!is_alive(pid)).then_some(()));
}

/// What the job printed before it hung is in `tail`, and comes out when it is too late.
#[test]
fn a_job_that_is_silent_because_of_tail_is_explained() {
    const WHY: &str = "It is piped into tail, which prints only at the end";
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let execute = |line: &str| json!({ "command": line, "wait_s": 1.2 });
    let piped = client.ok("execute", execute("(echo error; exec sleep 1000) 2>&1 | tail -40"));
    assert!(piped.text.contains(WHY), "{}", piped.text);
    let waited = client.ok("wait", json!({ "job_id": piped.id(), "wait_s": 0 }));
    assert!(waited.text.contains(WHY), "{}", waited.text);
    for line in ["exec sleep 1000", "(echo error; exec sleep 1000) 2>&1 | cat"] {
        let plain = client.ok("execute", execute(line));
        assert!(!plain.text.contains("tail"), "{}", plain.text);
        client.ok("kill", json!({ "job_id": plain.id() }));
    }
    client.ok("kill", json!({ "job_id": piped.id() }));
}

/// Some clients show their models nothing but the fields.
#[test]
fn the_text_of_kill_is_in_its_fields_too() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    client.ok("execute", json!({ "command": "sleep 1000", "name": "job", "wait_s": 0 }));
    let killed = client.ok("kill", json!({ "job_ids": ["job", "nosuch"] }));
    let results = &killed.structured["results"];
    assert_eq!(results[0]["state"], "killed, with everything it started.");
    let state = results[1]["state"].as_str().unwrap();
    assert!(state.contains("Call list") && killed.text.contains(state), "{}", killed.text);
}

/// A person who starts the server by hand learns what it is, and may go on to type what a client would send.
#[test]
fn on_a_terminal_the_server_says_what_it_is_and_serves() {
    let env = TestEnv::new();
    env.ok(["run", "--tty=100x20", "--name", "server", "--", JOBMCP]);
    let shown = |text: &str| {
        wait_for(&format!("`{text}`"), || env.ok(["output", "server"]).contains(text).then_some(()));
    };
    shown("jobmcp register");
    env.ok(["send", "server", r#"{"jsonrpc":"2.0","id":"typed","method":"ping"}"#]);
    shown(r#""id":"typed","result":{}"#);
    env.ok(["send", "--key", "C-d", "server"]);
    env.ok(["wait", "server"]);
    // A client that pipes into the server is not a person.
    let mut client = Client::legacy(&env);
    assert!(client.close().success());
}
