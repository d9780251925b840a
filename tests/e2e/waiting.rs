//! Jobs that wait for input, and those that only look like it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::background::{touch, until};
use crate::mcp_client::Client;
use crate::needs;
use crate::support::{TestEnv, wait_for};

/// What a job is reported to wait for; `None` if it does not wait.
fn waiting(env: &TestEnv, name: &str) -> Option<Value> {
    env.job(name).get("waiting_for_input").cloned()
}

/// Waits until a job asks this.
fn until_asked(env: &TestEnv, name: &str, question: &str) {
    wait_for(&format!("`{question}` of {name}"), || (waiting(env, name)?["last_line"] == question).then_some(()));
}

/// How often a job was reported to wait.
fn reports(env: &TestEnv, name: &str) -> usize {
    let id = env.job(name)["job_id"].as_str().unwrap().to_owned();
    let events = env.ok(["events", "--since", "0", "--json"]);
    let events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["job_id"] == *id && event["event"] == "waiting_for_input").count()
}

#[test]
fn a_job_that_asks_on_a_terminal_is_shown_with_its_question() {
    let env = TestEnv::new();
    let script = "read -p 'Overwrite? [y/N] ' a; read -sp 'Password: ' b; printf '\\n%s\\n' \"$a\"; read -p 'Last: ' c";
    env.ok(["run", "--tty", "--name", "asks", script]);
    until_asked(&env, "asks", "Overwrite? [y/N]");
    assert!(waiting(&env, "asks").unwrap()["since"].is_string());
    let ran = env.run(["status", "asks"]);
    assert_eq!((ran.stdout.trim(), ran.stderr.trim()), ("running", "waiting for input: Overwrite? [y/N]"));
    assert!(env.ok(["list"]).contains("[waiting for input: Overwrite? [y/N]] read"), "{}", env.ok(["list"]));
    assert!(env.ok(["show", "asks"]).contains("waiting for input: Overwrite? [y/N]\n"));
    // It is reported once, however often it is looked at and however long it waits.
    assert_eq!(reports(&env, "asks"), 1);
    env.ok(["send", "asks", "yes"]);
    until_asked(&env, "asks", "Password:");
    assert_eq!(reports(&env, "asks"), 2);
    env.ok(["send", "asks", "secret"]);
    until_asked(&env, "asks", "Last:");
    // Unfinished input is echoed by the terminal, and is not part of the question.
    env.ok(["send", "--raw", "asks", "half an answer"]);
    wait_for("the echo", || env.ok(["output", "asks"]).contains("half an answer").then_some(()));
    until_asked(&env, "asks", "Last:");
    env.ok(["send", "asks", ""]);
    env.ok(["wait", "asks"]);
    assert_eq!((reports(&env, "asks"), waiting(&env, "asks")), (3, None));
}

/// Typed before the question was recognised.
#[test]
fn early_input_is_not_part_of_the_question() {
    let env = TestEnv::new();
    env.ok(["run", "--tty", "--name", "asks", "printf 'Name: '; read name"]);
    wait_for("the question", || env.ok(["output", "asks"]).contains("Name:").then_some(()));
    env.ok(["send", "--raw", "asks", "half"]);
    until_asked(&env, "asks", "Name:");
}

#[test]
fn programs_that_read_are_seen_to_wait() {
    let env = TestEnv::new();
    let mut programs = vec![
        ("cat", "cat", None),
        ("shell", "exec bash --norc --noprofile -i", None),
        ("group", "set -m; cat; :", None),
    ];
    if needs::program("python3").is_some() {
        programs.push(("python", "python3 -c 'input(\"Continue? \")'", Some("Continue?")));
        programs.push(("getpass", "python3 -c 'import getpass; getpass.getpass()'", Some("Password:")));
    }
    if needs::program("node").is_some() {
        let ask = "require(\"readline\").createInterface({input: process.stdin, output: process.stdout})\
                   .question(\"Ok to proceed? (y) \", () => {})";
        programs.push(("node", &*Box::leak(format!("node -e '{ask}'").into_boxed_str()), Some("Ok to proceed? (y)")));
    }
    for (name, line, _) in &programs {
        env.ok(["run", "--tty", "--name", name, line]);
    }
    for (name, _, question) in &programs {
        match question {
            Some(question) => until_asked(&env, name, question),
            None => drop(wait_for(name, || waiting(&env, name))),
        }
    }
}

#[test]
fn through_a_pipe_only_an_unfinished_line_is_a_question() {
    let env = TestEnv::new();
    env.ok([
        "run",
        "--stdin",
        "open",
        "--name",
        "asks",
        "printf 'Continue? '; read a; echo went on; read b; sleep 1000",
    ]);
    until_asked(&env, "asks", "Continue?");
    env.ok(["send", "asks", "yes"]);
    let waits = wait_for("the second", || waiting(&env, "asks").filter(|waits| waits.get("last_line").is_none()));
    assert!(waits["since"].is_string(), "{waits}");
    assert_eq!(reports(&env, "asks"), 2);
    // The job prints nothing when it continues, and its supervisor does not see what is sent to it.
    env.ok(["send", "asks", "yes"]);
    wait_for("it to go on", || waiting(&env, "asks").is_none().then_some(()));
    env.ok(["run", "--stdin", "open", "--name", "ended", "cat; sleep 1000"]);
    wait_for("it to wait", || waiting(&env, "ended"));
    env.ok(["send", "--eof", "ended"]);
    wait_for("it to go on", || waiting(&env, "ended").is_none().then_some(()));
}

#[test]
fn a_job_that_seems_to_ask_but_does_not_read_is_not_marked() {
    let env = TestEnv::new();
    let lines = [
        ("sleeps", "--tty", "printf 'Overwrite? [y/N] '; sleep 1000"),
        ("computes", "--tty", "printf 'Password: '; while :; do :; done"),
        ("nested", "--tty", "printf 'Sure? '; x=$(sleep 1000); read y"),
        ("background", "--tty", "set -m; cat & sleep 1000"),
        ("pipe", "--stdin=open", "printf 'Overwrite? [y/N] '; sleep 1000"),
        ("closed", "--stdin=/dev/null", "printf 'Overwrite? [y/N] '; sleep 1000"),
    ];
    for (name, input, line) in lines {
        env.ok(["run", input, "--name", name, line]);
    }
    // Submitted last: by the time its supervisor has looked at it twice, the others have been looked at, too.
    env.ok(["run", "--tty", "--name", "asks", "sleep 1.5; read -p 'Really? ' x"]);
    until_asked(&env, "asks", "Really?");
    for (name, ..) in lines {
        assert_eq!((waiting(&env, name), reports(&env, name)), (None, 0), "{name}");
    }
}

/// Killing a supervisor ends a read from a pipe in progress, and the next supervisor opens the pipe again.
#[test]
fn a_supervisor_that_took_over_looks_too() {
    let env = TestEnv::new();
    let line = format!("read a; {}; printf 'Continue? '; read b", until("go"));
    let id = env.ok(["run", "--stdin", "open", "--name", "asks", &line]);
    wait_for("it to wait", || waiting(&env, "asks"));
    env.replace_supervisor(&id);
    wait_for("it to go on", || waiting(&env, "asks").is_none().then_some(()));
    touch(&env, "go");
    until_asked(&env, "asks", "Continue?");
    assert_eq!(reports(&env, "asks"), 2);
}

/// A supervisor must not check again and again whether anything has changed.
#[test]
fn a_supervisor_looks_a_few_times_and_then_stops() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--tty", "--name", "asks", "read -p 'Continue? ' x"]);
    until_asked(&env, "asks", "Continue?");
    let supervisor = env.supervisor(&id);
    let switches = || {
        let status = std::fs::read_to_string(format!("/proc/{supervisor}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let (before, since) = (switches(), Instant::now());
    // Longer than the interval between its first looks: there is no other way to wait for something not to happen.
    while since.elapsed() < Duration::from_millis(2500) {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(switches(), before);
}

#[test]
fn models_are_shown_the_call_to_make() {
    let env = TestEnv::new();
    let mut client = Client::modern(&env);
    env.ok(["run", "--tty", "--name", "asks", "read -p 'Overwrite? [y/N] ' x"]);
    until_asked(&env, "asks", "Overwrite? [y/N]");
    let still = client.ok("execute", json!({ "command": "sleep 1000", "stall_s": 1, "wait_s": 0 })).id();
    let stalled = wait_for("the stall", || {
        let told = client.ok("status", json!({ "job_id": still })).text;
        told.contains("stalled: no output and no CPU time for ").then_some(told)
    });
    assert!(stalled.contains("\nstate: running for "), "{stalled}");
    let expected = "waiting for input: `Overwrite? [y/N]`; answer with interact";
    for (tool, arguments) in [
        ("list", json!({})),
        ("status", json!({ "job_id": "asks" })),
        ("wait", json!({ "job_ids": ["asks"], "wait_s": 0 })),
    ] {
        let told = client.ok(tool, arguments);
        assert!(told.text.contains(expected), "{tool}: {}", told.text);
    }
}

/// How long a test lets a job do nothing: as short as a busy machine allows.
const STALL: &str = "1500ms";

#[test]
fn a_job_that_does_nothing_is_reported_once_until_it_continues() {
    let env = TestEnv::new();
    let line = "read line; echo went on; sleep 1000";
    let id = env.ok(["run", "--stdin", "open", "--stall", STALL, "--name", "still", line]);
    env.ok(["run", "--stall", STALL, "--name", "busy", "while :; do :; done"]);
    env.ok(["run", "--stall", STALL, "--name", "talks", "while :; do echo x; sleep 0.2; done"]);
    env.ok(["run", "--name", "unwatched", "sleep 1000"]);
    let stalled = |name: &str| env.job(name).get("stalled_since").cloned();
    wait_for("the stall", || stalled("still"));
    let stalls = || {
        let events = env.ok(["events", "--since", "0", "--json"]);
        let events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.filter(|event| event["event"] == "stalled").map(|event| event["job_id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(stalls(), [id.as_str()]);
    assert!(env.ok(["list", "--name", "still"]).contains("waiting for input"), "that says more");
    env.ok(["send", "still", "go"]);
    wait_for("it to go on", || stalled("still").is_none().then_some(()));
    wait_for("the second stall", || stalled("still"));
    assert!(env.ok(["list", "--name", "still"]).contains("[stalled for "), "{}", env.ok(["list"]));
    assert!(env.ok(["show", "still"]).contains("stalled since "));
    assert_eq!(stalls(), [id.as_str(), id.as_str()]);
    for name in ["busy", "talks", "unwatched"] {
        assert_eq!(stalled(name), None, "{name}");
    }
}

#[test]
fn a_stalled_job_is_stopped_on_request() {
    let env = TestEnv::new();
    env.ok(["run", "--stall", STALL, "--stall-stop", "--name", "still", "sleep 1000"]);
    let ran = env.run(["wait", "still"]);
    assert!(ran.stderr.contains("stalled and was stopped"), "{ran}");
    let job = env.job("still");
    assert_eq!((&job["status"], &job["cause"]), (&"timed_out".into(), &"stalled".into()), "{job}");
    let path = env.dir().join("spec.json");
    std::fs::write(&path, r#"{"command": "sleep 1000", "stall": 300, "stall_stop": true, "name": "later"}"#).unwrap();
    env.ok(["run", "--spec", "spec.json"]);
    assert!(env.ok(["show", "later"]).contains("nothing for 5m, and is then stopped"), "{}", env.ok(["show", "later"]));
    let ran = env.run(["run", "--stall-stop", "true"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("stall"), "{ran}");
}

/// The next supervisor starts to watch, and does not report again what is on record.
#[test]
fn a_stall_outlives_a_supervisor() {
    let env = TestEnv::new();
    let reported = |id: &str| {
        let events = env.ok(["events", "--since", "0", "--json"]);
        events.lines().filter(|line| line.contains(id) && line.contains("\"stalled\"")).count()
    };
    let id = env.ok(["run", "--stall", STALL, "sleep 1000"]);
    wait_for("the stall", || env.job(&id).get("stalled_since").cloned());
    env.replace_supervisor(&id);
    let stopped = env.ok(["run", "--stall", STALL, "--stall-stop", "sleep 1000"]);
    env.replace_supervisor(&stopped);
    env.run(["wait", &stopped]);
    assert_eq!(env.job(&stopped)["cause"], "stalled");
    assert_eq!((reported(&id), env.job(&id).get("stalled_since").is_some()), (1, true));
}
