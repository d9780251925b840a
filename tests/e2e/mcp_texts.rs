//! What models read, word for word: the text of each tool for the usual cases. The files are in `snapshots/`; after a
//! deliberate change of a text, run this with `INSTA_UPDATE=always` and read the difference.

use serde_json::{Value, json};

use crate::mcp_client::Client;
use crate::mcp_delegate;
use crate::support::TestEnv;

/// A server, and the dialogue so far.
struct Talk {
    client: Client,
    env: TestEnv,
    text: String,
}

impl Talk {
    fn new() -> Self {
        Self::within(TestEnv::new())
    }

    fn within(env: TestEnv) -> Self {
        Self { client: Client::legacy(&env), env, text: String::new() }
    }

    /// Calls a tool without adding its text to the dialogue.
    fn quietly(&mut self, tool: &str, arguments: Value) -> String {
        self.client.ok(tool, arguments).job["job_id"].as_str().unwrap_or_default().to_owned()
    }

    fn call(&mut self, tool: &str, arguments: Value) {
        let shown = arguments.to_string();
        let called = self.client.call(tool, arguments);
        let kind = if called.is_error { " (error)" } else { "" };
        self.text.push_str(&format!("> {tool} {shown}{kind}\n{}\n\n", called.text));
    }

    /// Starts a job that runs until it is killed, and waits for its first output.
    fn start(&mut self, name: &str) {
        self.quietly("execute", json!({ "command": "echo up; exec sleep 1000", "name": name, "wait_s": 0 }));
        self.quietly("wait", json!({ "job_ids": [name], "until": "output:up" }));
    }

    /// Runs a line to its end.
    fn finish(&mut self, name: &str, line: &str) -> String {
        self.quietly("execute", json!({ "command": line, "name": name, "wait_s": 50 }))
    }

    /// Compares the dialogue with the golden file of the tool, except for what differs each time.
    fn pin(&self, tool: &str) {
        let directory = self.env.dir().display().to_string();
        let mut settings = insta::Settings::clone_current();
        settings.set_omit_expression(true);
        settings.set_prepend_module_to_snapshot(false);
        for (pattern, shown) in [
            (directory.as_str(), "[DIR]"),
            (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "[ID]"),
            (r"\b[0-9a-f]{8}\b", "[SHORT]"),
            ("`PATH`, which is `[^`]*`", "`PATH`, which is `[PATH]`"),
            // Printed only for what takes a second, as anything may on a busy machine.
            (r"is running \(\d+(\.\d)?s, ", "is running ("),
            (r"is running \(\d+(\.\d)?s\)", "is running"),
            (r"(after|for) \d+(\.\d)?s", "$1 [TIME]"),
            (r"(failed \(|killed \(1 turn, )\d+(\.\d)?s\)", "$1[TIME])"),
            (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "[WHEN]"),
            (r"process \d+", "process [PID]"),
            (r"(pid|cpu_ms): \d+", "$1: [NUMBER]"),
            (r"memory: .*", "memory: [SIZE]"),
            (r"Event \d+", "Event [NUMBER]"),
            (r"try again in \d+ s", "try again in [NUMBER] s"),
        ] {
            settings.add_filter(pattern, shown);
        }
        settings.bind(|| insta::assert_snapshot!(tool, self.text));
    }
}

#[test]
fn execute() {
    let mut talk = Talk::new();
    talk.call("execute", json!({ "command": "echo hello", "wait_s": 50 }));
    talk.call("execute", json!({ "argv": ["true"], "name": "silent", "wait_s": 50 }));
    talk.call("execute", json!({ "command": "echo 'no such target' >&2; exit 3", "wait_s": 50 }));
    talk.call("execute", json!({ "command": "kill -SEGV $$", "wait_s": 50 }));
    talk.call("execute", json!({ "command": "sleep 1000 & echo started", "wait_s": 50 }));
    talk.call("execute", json!({ "command": "sleep 1000", "timeout_s": 0.05, "wait_s": 50 }));
    talk.call("execute", json!({ "command": "exec sleep 1000", "wait_s": 0 }));
    let up = json!({ "command": "echo up; exec sleep 1000", "name": "web", "key": "web", "wait_s": 0 });
    talk.quietly("execute", up.clone());
    talk.quietly("wait", json!({ "job_ids": ["web"], "until": "output:up" }));
    talk.call("execute", up);
    talk.call("execute", json!({ "command": "echo fields", "wait_s": 50, "format": "json" }));
    talk.env.ok(["config", "set", "max_running", "1"]);
    talk.call("execute", json!({ "command": "echo later", "wait_s": 0 }));
    talk.env.ok(["config", "set", "when_full", "refuse"]);
    talk.call("execute", json!({ "command": "echo later" }));
    for wrong in [
        json!({}),
        json!({ "command": "true", "colour": "red" }),
        json!({ "command": "true", "wait_s": -1 }),
        json!({ "command": "true", "lifetime": "short" }),
        json!({ "command": "true", "name": "web" }),
        json!({ "command": "true", "cwd": "/nosuch" }),
        json!({ "argv": ["no-such-program"] }),
    ] {
        talk.call("execute", wrong);
    }
    talk.pin("execute");
}

#[test]
fn wait() {
    let mut talk = Talk::new();
    talk.finish("tests", "echo '3 passed'; exit 1");
    talk.finish("build", "true");
    talk.start("web");
    talk.call("wait", json!({ "job_ids": ["tests"] }));
    talk.call("wait", json!({ "job_ids": ["tests", "build"] }));
    talk.call("wait", json!({ "job_ids": ["web", "build"], "mode": "any" }));
    talk.call("wait", json!({ "job_ids": ["web"], "until": "output:^up" }));
    talk.call("wait", json!({ "job_ids": ["web"], "until": "file:/dev/null", "cursor": 3 }));
    talk.call("wait", json!({ "job_ids": ["web"], "wait_s": 0, "cursor": 3 }));
    talk.call("wait", json!({ "job_ids": ["tests"], "until": "output:listening" }));
    talk.call("wait", json!({ "job_ids": ["tests"], "format": "json" }));
    talk.env.ok(["config", "set", "max_running", "1"]);
    talk.quietly("execute", json!({ "command": "true", "name": "later", "wait_s": 0 }));
    talk.call("wait", json!({ "job_ids": ["later"], "wait_s": 0 }));
    for wrong in [
        json!({ "job_ids": [] }),
        json!({ "job_ids": ["nosuch"] }),
        json!({ "job_ids": ["web"], "until": "ready" }),
        json!({ "job_ids": ["web"], "wait_s": -1 }),
        json!({ "job_ids": ["web", "build"], "cursor": 3 }),
    ] {
        talk.call("wait", wrong);
    }
    talk.pin("wait");
}

#[test]
fn output_and_tail() {
    let mut talk = Talk::new();
    talk.finish("short", "echo one; echo two");
    talk.finish("long", "seq -f 'line %g: some sixty bytes of what a compiler may tell us' 1 1000");
    talk.finish("silent", "true");
    talk.start("web");
    talk.call("output", json!({ "job_id": "short" }));
    talk.call("output", json!({ "job_id": "short", "cursor": 4 }));
    talk.call("output", json!({ "job_id": "short", "cursor": 8 }));
    talk.call("output", json!({ "job_id": "short", "format": "json" }));
    talk.call("output", json!({ "job_id": "short", "stream": "stderr" }));
    talk.call("output", json!({ "job_id": "silent" }));
    talk.call("output", json!({ "job_id": "web" }));
    talk.call("output", json!({ "job_id": "long", "max_bytes": 1000 }));
    talk.call("output", json!({ "job_id": "long", "grep": "line 50:", "context": 1 }));
    talk.call("output", json!({ "job_id": "long", "grep": "error" }));
    talk.call("tail", json!({ "job_id": "long", "lines": 2 }));
    talk.call("output", json!({ "job_id": "nosuch" }));
    talk.call("output", json!({ "job_id": "short", "grep": "(" }));
    talk.call("output", json!({ "job_id": "short", "max_bytes": 1 }));
    talk.call("output", json!({ "job_id": "short", "cursor": 1, "lines": 1 }));
    talk.call("tail", json!({ "job_id": "short", "lines": 0 }));
    talk.pin("output");
}

#[test]
fn interact() {
    let mut talk = Talk::new();
    talk.quietly("execute", json!({ "command": "cat", "stdin": "open", "name": "cat", "wait_s": 0 }));
    talk.quietly("execute", json!({ "command": "exec sleep 1000", "stdin": "open", "name": "deaf-ears", "wait_s": 0 }));
    talk.start("closed");
    talk.call("interact", json!({ "job_id": "cat", "input": "hello", "wait_s": 30 }));
    talk.call("interact", json!({ "job_id": "deaf-ears", "input": "hello", "wait_s": 0 }));
    talk.call("interact", json!({ "job_id": "cat", "eof": true, "wait_s": 30 }));
    talk.call("interact", json!({ "job_id": "cat", "input": "late" }));
    talk.call("interact", json!({ "job_id": "closed", "input": "hello" }));
    talk.call("interact", json!({ "job_id": "deaf-ears" }));
    talk.call("interact", json!({ "job_id": "deaf-ears", "keys": ["C-c"] }));
    talk.call("interact", json!({ "job_id": "deaf-ears", "keys": ["Hyper-x"] }));
    talk.pin("interact");
}

#[test]
fn kill() {
    let mut talk = Talk::new();
    talk.finish("over", "exit 3");
    for name in ["web", "api", "worker"] {
        talk.start(name);
    }
    talk.call("kill", json!({ "job_id": "web" }));
    talk.call("kill", json!({ "job_ids": ["api", "over", "nosuch"] }));
    talk.call("kill", json!({ "job_id": "over", "remove": true }));
    talk.call("kill", json!({ "job_id": "worker", "signal": "WINCH" }));
    talk.call("kill", json!({}));
    talk.call("kill", json!({ "job_id": "worker", "signal": "NOSUCH" }));
    talk.call("kill", json!({ "job_id": "worker", "grace_s": 600 }));
    talk.pin("kill");
}

#[test]
fn status() {
    let mut talk = Talk::new();
    talk.finish("tests", "echo '3 failed'; exit 1");
    talk.start("web");
    talk.start("stopped");
    talk.quietly("kill", json!({ "job_id": "stopped" }));
    talk.call("status", json!({ "job_id": "tests" }));
    talk.call("status", json!({ "job_id": "web" }));
    talk.call("status", json!({ "job_id": "stopped" }));
    talk.call("status", json!({ "job_id": "nosuch" }));
    talk.pin("status");
}

#[test]
fn list() {
    let mut talk = Talk::new();
    talk.call("list", json!({}));
    talk.call("status", json!({ "job_id": "nosuch" }));
    talk.finish("tests", "exit 1");
    talk.finish("build", "true");
    talk.start("web");
    talk.env.ok(["config", "set", "max_running", "1"]);
    talk.quietly("execute", json!({ "argv": ["echo", "a b"], "wait_s": 0 }));
    talk.call("list", json!({}));
    talk.call("list", json!({ "status": ["running", "queued"] }));
    talk.call("list", json!({ "limit": 2 }));
    talk.call("list", json!({ "ended_since": 0 }));
    talk.call("list", json!({ "cwd": "/nosuch" }));
    talk.call("list", json!({ "status": ["done"] }));
    talk.call("list", json!({ "since": "yesterday", "text": "SLEEP" }));
    talk.call("list", json!({ "group": "nosuch" }));
    talk.call("list", json!({ "since": "soon" }));
    talk.call("list", json!({ "limit": 1000 }));
    talk.pin("list");
}

/// What all tools say about agent runs.
#[test]
fn delegate() {
    let mut talk = Talk::within(mcp_delegate::world());
    talk.call("delegate", json!({ "prompt": "What is it?", "name": "look", "wait_s": 50 }));
    talk.call("delegate", json!({ "prompt": "deny it", "name": "denied", "wait_s": 50 }));
    talk.call("delegate", json!({ "prompt": "fail", "name": "failed", "wait_s": 50 }));
    talk.call("delegate", json!({ "prompt": "break", "wait_s": 50 }));
    talk.quietly("delegate", json!({ "prompt": "work on it", "name": "fix", "key": "fix" }));
    talk.quietly("wait", json!({ "job_ids": ["fix"], "until": "output:cargo test" }));
    talk.call("delegate", json!({ "prompt": "work on it", "name": "fix", "key": "fix" }));
    talk.call("wait", json!({ "job_ids": ["look"] }));
    talk.call("wait", json!({ "job_ids": ["fix", "denied"], "wait_s": 0 }));
    talk.call("wait", json!({ "job_ids": ["fix"], "until": "output:cargo" }));
    for job in ["look", "fix", "failed"] {
        talk.call("status", json!({ "job_id": job }));
        talk.call("output", json!({ "job_id": job }));
        talk.call("tail", json!({ "job_id": job, "lines": 2 }));
    }
    talk.call("output", json!({ "job_id": "look", "raw": true }));
    talk.call("list", json!({}));
    talk.quietly("kill", json!({ "job_id": "fix" }));
    talk.call("output", json!({ "job_id": "fix" }));
    talk.env.ok(["config", "set", "agents.per_minute", "1"]);
    for wrong in [
        json!({}),
        json!({ "prompt": "x", "agent": "codex" }),
        json!({ "prompt": "x", "agent": "nosuch" }),
        json!({ "prompt": "x", "permission_mode": "full" }),
        json!({ "prompt": "x", "cwd": "/nosuch" }),
        json!({ "prompt": "x", "resume": "nosuch" }),
        json!({ "prompt": "x" }),
    ] {
        talk.call("delegate", wrong);
    }
    talk.pin("delegate");
}
