//! Jobs that wait for the machine to be less busy, and the resources that jobs use.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::mcp_client::Client;
use crate::queueing::sleepers;
use crate::support::{TestEnv, wait_for};

/// No machine has that much memory, and none has less than no load.
const NEVER: &str = "free-mem>1000000T";
const NEVER_EITHER: &str = "load<0";

fn waiting(env: &TestEnv, id: &str) -> Value {
    env.job(id)["queued"].clone()
}

#[test]
fn a_job_waits_until_its_conditions_hold_and_holds_up_no_other() {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "1"]);
    let submitted = env.run([
        "run",
        "--name",
        "big",
        "--when",
        "free-mem>0",
        "--when",
        NEVER,
        "--priority",
        "9",
        "echo big >> ran",
    ]);
    assert!(
        submitted.stderr.starts_with("queued: it starts when free memory is above 976.6 PiB; it is "),
        "{submitted}"
    );
    let queued = waiting(&env, "big");
    assert_eq!((&queued["reason"], &queued["condition"]), (&json!("load"), &json!(NEVER)));
    assert!(queued["now"].is_u64(), "{queued}");
    assert!(env.ok(["list"]).contains(&format!("[{NEVER}, now ")), "{}", env.ok(["list"]));
    assert!(env.ok(["show", "big"]).contains("it starts when free memory is above 976.6 PiB; it is "));
    // It is the first in the queue.
    env.ok(["run", "--wait", "echo small >> ran"]);
    wait_for("a process that waits for it", || (sleepers(&env).len() == 1).then_some(()));
    env.ok(["edit", "big", "--when", "free-mem>1M"]);
    env.ok(["wait", "big"]);
    assert_eq!(fs::read_to_string(env.dir().join("ran")).unwrap(), "small\nbig\n");
    env.ok(["run", "--name", "other", "--when", NEVER_EITHER, "true"]);
    env.ok(["edit", "other", "--no-when"]);
    env.ok(["wait", "other"]);
    // The same in JSON, and rerun.
    let spec = |when: Value| {
        let mut command = env.jobcli(["run", "--json", "--spec", "-"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let text = json!({ "command": "true", "name": "json", "when": when }).to_string();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let submitted = spec(json!([NEVER_EITHER]));
    let job: Value = serde_json::from_slice(&submitted.stdout).unwrap();
    assert_eq!((&job["queued"]["reason"], &job["queued"]["condition"]), (&json!("load"), &json!(NEVER_EITHER)));
    env.ok(["start", "json"]);
    env.ok(["wait", "json"]);
    assert_eq!(spec(json!("busy")).status.code(), Some(2));
    env.ok(["rerun", "json"]);
    assert_eq!(waiting(&env, "json")["condition"], NEVER_EITHER);
    env.ok(["kill", "json"]);
    let refused = env.run(["run", "--when", "load=4", "true"]);
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.stderr.contains("write `load<4`, `free-mem>8G`"), "{refused}");
    env.wait_until_empty();
}

#[test]
fn conditions_are_taken_from_the_file_of_a_project_and_by_mcp() {
    let env = TestEnv::new();
    let file = format!("[jobs.build]\ncommand = \"true\"\nwhen = [\"{NEVER}\", \"load<1000000\"]\n");
    fs::write(env.dir().join("jobs.toml"), file).unwrap();
    env.ok(["up"]);
    assert_eq!(waiting(&env, "build")["condition"], NEVER);
    let mut client = Client::legacy(&env);
    let executed =
        client.ok("execute", json!({ "command": "true", "name": "web", "when": [NEVER_EITHER], "wait_s": 0 }));
    assert!(executed.text.contains("it starts when the load average is below 0; it is "), "{}", executed.text);
    let status = client.ok("status", json!({ "job_id": "web" }));
    assert!(status.text.contains("it starts when the load average is below 0; it is "), "{}", status.text);
    let refused = client.call("execute", json!({ "command": "true", "when": "memory>4" }));
    assert!(refused.is_error && refused.text.contains("when: `memory>4`: write `load<4`"), "{}", refused.text);
    env.ok(["kill", "--all"]);
}

#[test]
fn a_guard_keeps_all_jobs_in_the_queue_and_the_first_moment_without_it_starts_them() {
    let env = TestEnv::new();
    env.ok(["config", "set", "guard", &format!("{NEVER}, load<1000000")]);
    assert_eq!(env.ok(["config", "get", "guard"]), format!("{NEVER}, load<1000000"));
    let submitted = env.run(["run", "--name", "first", "echo first >> ran"]);
    let said = "queued: the store starts jobs only when free memory is above 976.6 PiB; it is ";
    assert!(submitted.stderr.starts_with(said), "{submitted}");
    assert_eq!(waiting(&env, "first")["reason"], "guard");
    assert!(env.ok(["list"]).contains(&format!("[guard {NEVER}, now ")), "{}", env.ok(["list"]));
    env.ok(["run", "--name", "second", "echo second >> ran"]);
    env.ok(["start", "second"]);
    env.ok(["wait", "second"]);
    assert_eq!(env.status("first"), "queued");
    wait_for("a process that waits for it", || (sleepers(&env).len() == 1).then_some(()));
    // As if the machine had become less busy: the store is not notified.
    fs::write(env.store().join("settings.toml"), "guard = [\"free-mem>0\"]\n").unwrap();
    let ran = || fs::read_to_string(env.dir().join("ran")).unwrap();
    wait_for("the first to run", || (ran() == "second\nfirst\n").then_some(()));
    wait_for("that process to end", || sleepers(&env).is_empty().then_some(()));
    env.ok(["run", "--wait", "true"]);
    env.ok(["config", "set", "guard", NEVER_EITHER]);
    env.ok(["run", "--name", "third", "echo third >> ran"]);
    env.ok(["config", "set", "guard", ""]);
    env.ok(["wait", "third"]);
    let refused = env.run(["config", "set", "guard", "load<4,busy"]);
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.stderr.contains("`busy`: write `load<4`"), "{refused}");
    assert_eq!(env.ok(["config", "get", "guard"]), "");
    env.wait_until_empty();
}

#[test]
fn a_wide_list_has_what_the_processes_of_jobs_use() {
    let env = TestEnv::new();
    env.ok(["run", "--name", "runs", "sleep 1000 & sleep 1000 & echo up; wait"]);
    env.ok(["wait", "runs", "--until", "output:up"]);
    env.ok(["run", "--wait", "--name", "ended", "true"]);
    env.ok(["run", "--name", "waits", "--hold", "true"]);
    let table = env.ok(["list", "--wide"]);
    let cells: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(cells[0], ["ID", "NAME", "STATUS", "EXIT", "STARTED", "TIME", "CPU", "MEM", "COMMAND"], "{table}");
    // The figures are right-aligned with their titles.
    let end = |title: &str| table.lines().next().unwrap().find(title).unwrap() + title.len();
    for line in table.lines().skip(2) {
        assert!(line[..end("MEM")].ends_with("iB") && line[..end("CPU")].ends_with('s'), "{table}");
    }
    assert_eq!(table.lines().nth(1).unwrap()[end("TIME")..end("MEM")].trim(), "", "{table}");
    let jobs = |options: &[&str]| -> Value {
        serde_json::from_str(&env.ok([&["list", "--json", "--name", "runs"], options].concat())).unwrap()
    };
    let wide = jobs(&["--wide"]);
    assert_eq!(wide[0]["processes"], 3, "{wide}");
    assert!(wide[0]["memory_bytes"].is_u64() && wide[0]["cpu_ms"].is_u64(), "{wide}");
    let plain = jobs(&[]);
    assert!(plain[0].get("processes").is_none() && plain[0].get("memory_bytes").is_none(), "{plain}");
    assert!(!env.ok(["list"]).contains("MEM"));
    env.ok(["kill", "--all", "--grace", "0s"]);
}

#[test]
fn execute_waits_until_a_job_is_ready_by_its_own_conditions() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let line = "sleep 0.2; echo up; touch go; exec sleep 1000";
    let ready = client.ok("execute", json!({ "command": line, "name": "web", "ready": ["output:up", "file:go"] }));
    assert!(ready.text.contains(" is running") && ready.text.contains("; `ready` is met"), "{}", ready.text);
    assert!(env.job("web").get("ready_at").is_some());
    let waited = client.ok("wait", json!({ "job_id": "web", "until": "ready" }));
    assert!(waited.text.contains("`ready` is met"), "{}", waited.text);
    let after = json!({ "command": "echo tested", "after_ready": ["web"], "wait_s": 50 });
    assert!(client.ok("execute", after).text.contains("tested"));
    let slow = json!({ "command": "exec sleep 1000", "ready": "port:1", "ready_timeout_s": 0.2 });
    let slow = client.ok("execute", slow);
    assert!(slow.text.contains("was not ready in time and was stopped"), "{}", slow.text);
    let goes_on = json!({
        "command": "exec sleep 1000", "ready": "file:never", "ready_timeout_s": 0.1, "not_ready": "continue", "wait_s": 0.5,
    });
    let goes_on = client.ok("execute", goes_on);
    assert!(goes_on.text.contains("`ready` is not met yet"), "{}", goes_on.text);
    // Another condition may be waited for, or none.
    let other = json!({ "command": "echo a; exec sleep 1000", "ready": "file:never", "until": "output:a" });
    assert!(client.ok("execute", other).text.contains("`output:a` is met"));
    let at_once = client.ok("execute", json!({ "command": "exec sleep 1000", "ready": "file:never", "wait_s": 0 }));
    assert!(at_once.text.contains(" is running"), "{}", at_once.text);
    for (name, value) in [("ready", json!("exit")), ("not_ready", json!("ignore")), ("ready_timeout_s", json!(1))] {
        let refused = client.call("execute", json!({ "command": "true", name: value }));
        assert!(refused.is_error && refused.text.contains(name.trim_end_matches("_s")), "{name}: {}", refused.text);
    }
    env.ok(["kill", "--all", "--grace", "0s"]);
}
