//! Coding agents that are asked over MCP, with a script in the place of an agent's CLI.

use std::path::Path;

use serde_json::{Value, json};

use crate::background::touch;
use crate::delegate::AUTHOR;
use crate::mcp_client::{Called, Client};
use crate::mcp_http_client::HttpServer;
use crate::support::{Ran, TestEnv, script, wait_for};

/// Prints what Claude Code would. The prompt says what a test wants it to do; `work` goes on until there is a file
/// `go`.
const FAKE: &str = r#"#!/bin/bash
prompt=$(tr -d '\0')
session=109a7d28-e02b-4042-ab7c-251fa9834d6e
tool() {
    echo '{"type":"assistant","message":{"id":"m1","content":[{"type":"tool_use","id":"t1","name":"'"$1"'","input":'"$2"'}]}}'
}
result() {
    echo '{"type":"result","subtype":"success","session_id":"'$session'","num_turns":2,"duration_ms":1200,"total_cost_usd":0.02,'"$1"'}'
}
echo '{"type":"system","subtype":"init","session_id":"'$session'","model":"made-up"}'
case $* in
    *--resume=$session*) result '"is_error":false,"result":"Went on with '"$*"'."'; exit ;;
esac
case $prompt in
    work*)
        tool Bash '{"command":"cargo test"}'
        while [ ! -e go ]; do sleep 0.02; done
        result '"is_error":false,"result":"The tests pass."' ;;
    deny*)
        tool Write '{"file_path":"out.txt","content":"x"}'
        result '"is_error":false,"result":"I could not write it.","permission_denials":[{"tool_name":"Write","tool_use_id":"t1","tool_input":{"file_path":"out.txt"}}]' ;;
    fail*)
        result '"is_error":true,"result":"Overloaded","api_error_status":529'
        exit 1 ;;
    break*)
        echo 'error: unknown option --nonsense' >&2
        exit 2 ;;
    long*)
        result '"is_error":false,"result":"It begins. '"$(head -c 200000 /dev/zero | tr '\0' x)"' It ends."' ;;
    half*)
        result '"is_error":false,"result":"It begins. '"$(head -c 20000 /dev/zero | tr '\0' x)"' It ends."' ;;
    *)
        result '"is_error":false,"result":"The answer is 42."' ;;
esac
"#;

/// An environment with an agent called claude in the `PATH` that is logged in.
pub(crate) fn world() -> TestEnv {
    let env = TestEnv::new();
    let bin = env.dir().join("bin");
    std::fs::create_dir(&bin).unwrap();
    script(&bin.join("claude"), FAKE);
    configure(&env, &format!("PATH = \"{}:/usr/bin:/bin\"\nANTHROPIC_API_KEY = \"key\"", bin.display()));
    env.ok(["config", "set", "agents.per_minute", "0"]);
    env
}

/// Sets the environment of jobs.
fn configure(env: &TestEnv, variables: &str) {
    let directory = env.dir().join(".config/jobcore");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("config.toml"), format!("[env]\n{variables}\n")).unwrap();
}

/// The arguments of a call of this tool that a text contains.
fn named_call(text: &str, tool: &str) -> Value {
    let start = text.find(&format!("{tool} {{")).unwrap_or_else(|| panic!("no call of {tool} in {text}")) + tool.len();
    serde_json::Deserializer::from_str(&text[start..]).into_iter().next().unwrap().unwrap()
}

/// Delegates, and waits for the end.
fn delegate(client: &mut Client, prompt: &str) -> Called {
    client.ok("delegate", json!({ "prompt": prompt, "wait_s": 50 }))
}

fn has(text: &str, expected: &[&str]) {
    for expected in expected {
        assert!(text.contains(expected), "`{expected:.1000}` is not in {text:.8000}");
    }
}

#[test]
fn an_agent_answers_the_call_that_waits_for_it() {
    let env = world();
    let mut client = Client::legacy(&env);
    let answered = client.ok("delegate", json!({ "prompt": "What is it?", "name": "look", "wait_s": 50 }));
    has(&answered.text, &["claude: succeeded (2 turns, 1.2s, $0.02).", "\n\nThe answer is 42."]);
    assert!(!answered.text.contains("{\"type\""), "{}", answered.text);
    assert_eq!((&answered.job["status"], &answered.job["name"]), (&"completed".into(), &"look".into()));
    // Later, the report is the same for every caller.
    for (tool, arguments) in [("wait", json!({ "job_ids": ["look"] })), ("output", json!({ "job_id": "look" }))] {
        let told = client.ok(tool, arguments);
        has(&told.text, &["succeeded (2 turns, 1.2s, $0.02).", "The answer is 42."]);
        assert_eq!(told.job["progress"], "succeeded");
    }
    has(&client.ok("tail", json!({ "job_id": "look" })).text, &["The answer is 42.", "✓ done"]);
    let status = client.ok("status", json!({ "job_id": "look" }));
    has(&status.text, &["agent: claude: succeeded", "prompt: What is it?", "result:\nThe answer is 42."]);
    let agent = &status.structured["agent"];
    assert_eq!((&agent["progress"], &agent["result"]), (&"succeeded".into(), &"The answer is 42.".into()), "{agent}");
    let listed = client.ok("list", json!({}));
    has(&listed.text, &["`look`", "claude `What is it?`: succeeded"]);
    assert_eq!(listed.structured["jobs"][0]["prompt"], "What is it?");
}

#[test]
fn the_raw_stream_is_read_on_request() {
    let env = world();
    let mut client = Client::legacy(&env);
    let id = delegate(&mut client, "x").id();
    for (tool, arguments) in [
        ("output", json!({ "raw": true })),
        ("output", json!({ "stream": "stdout" })),
        ("output", json!({ "grep": "result" })),
        ("output", json!({ "cursor": 0 })),
        ("output", json!({ "format": "json" })),
        ("tail", json!({ "stream": "stdout" })),
        ("tail", json!({ "format": "json" })),
    ] {
        let mut arguments = arguments;
        arguments["job_id"] = id.as_str().into();
        let read = client.ok(tool, arguments.clone());
        let text = read.structured["stdout"].as_str().unwrap_or(&read.text).to_owned();
        assert!(text.contains("\"num_turns\":2"), "{tool} {arguments}: {text}");
    }
    let cursor = client.ok("wait", json!({ "job_ids": [id], "cursor": 0 })).text;
    has(&cursor, &["completed with exit code 0", "\"num_turns\":2"]);
}

#[test]
fn a_working_agent_shows_its_activity() {
    let env = world();
    let mut client = Client::legacy(&env);
    let begun = client.ok("delegate", json!({ "prompt": "work on it", "name": "fix" }));
    has(&begun.text, &["continues in the background", "wait {\"job_ids\":"]);
    assert_eq!(begun.job["status"], "running");
    wait_for("the agent", || client.ok("tail", json!({ "job_id": "fix" })).text.contains("cargo test").then_some(()));
    let waited = client.ok("wait", json!({ "job_ids": ["fix"], "timeout_s": 0.01 }));
    has(&waited.text, &["claude: working: Bash: cargo test (1 turn). It has run for"]);
    let status = client.ok("status", json!({ "job_id": "fix" }));
    has(&status.text, &["agent: claude: working: Bash: cargo test", "last_lines: → Bash: cargo test"]);
    assert_eq!(status.structured["agent"]["activity"], "Bash: cargo test");
    for tool in ["output", "tail"] {
        let read = client.ok(tool, json!({ "job_id": "fix" }));
        has(&read.text, &["working", "\n\n→ Bash: cargo test"]);
    }
    has(&client.ok("list", json!({})).text, &["claude `work on it`: working: Bash: cargo test"]);
    touch(&env, "go");
    let waited = client.ok("wait", json!({ "job_ids": ["fix"], "timeout_s": 50 }));
    has(&waited.text, &["claude: succeeded", "\n\nThe tests pass."]);
}

#[test]
fn a_denied_tool_is_named_with_the_call_that_permits_it() {
    let env = world();
    let mut client = Client::legacy(&env);
    let denied = delegate(&mut client, "deny it");
    has(&denied.text, &["1 call denied", "not permitted: Write `out.txt`", "\n\nI could not write it."]);
    let mut call = named_call(&denied.text, "delegate");
    assert_eq!((&call["allow_tools"], &call["prompt"]), (&json!(["Write"]), &"Go on.".into()), "{call}");
    call["wait_s"] = 50.into();
    let went_on = client.ok("delegate", call);
    has(&went_on.text, &["Went on with", "--allowedTools=Write", "--resume=109a7d28"]);
}

#[test]
fn an_agent_that_failed_says_why_and_the_call_succeeds() {
    let env = world();
    let mut client = Client::legacy(&env);
    let failed = delegate(&mut client, "fail");
    has(&failed.text, &["claude: failed (2 turns, 1.2s, $0.02): Overloaded (HTTP 529)."]);
    assert_eq!((&failed.job["progress"], &failed.job["exit_code"]), (&"failed".into(), &1.into()));
    has(&delegate(&mut client, "break").text, &["claude: failed", "error: unknown option --nonsense"]);
    let id = client.ok("delegate", json!({ "prompt": "work", "timeout_s": 0.3, "wait_s": 50 }));
    has(&id.text, &["claude: timed out", "What it did last:\n\n→ Bash: cargo test"]);
    let running = client.ok("delegate", json!({ "prompt": "work", "name": "stopped" })).id();
    client.ok("kill", json!({ "job_id": running }));
    has(&client.ok("output", json!({ "job_id": running })).text, &["claude: killed", "It was stopped by jobmcp"]);
}

#[test]
fn a_run_that_cannot_start_is_refused_with_what_would_work() {
    let env = world();
    let mut client = Client::legacy(&env);
    let mut refused = |arguments: Value, expected: &[&str]| {
        let called = client.call("delegate", arguments.clone());
        assert!(called.is_error, "{arguments}: {}", called.text);
        has(&called.text, expected);
    };
    refused(
        json!({ "prompt": "x", "agent": "codex" }),
        &["program `codex` is not installed", "npm i", "Installed: claude"],
    );
    refused(
        json!({ "prompt": "x", "agent": "nosuch" }),
        &["agent: `nosuch` is not known", "claude, codex, gemini, opencode"],
    );
    refused(json!({ "prompt": "x", "permission_mode": "full" }), &["set `agents.full`"]);
    refused(json!({ "prompt": "x", "permission_mode": "all" }), &["permission_mode", "\"read_only\""]);
    refused(json!({ "prompt": "x", "cwd": "/nosuch" }), &["/nosuch"]);
    refused(json!({ "prompt": "x", "cwd": "" }), &["leave it out for the current directory"]);
    refused(json!({ "prompt": "x", "max_turns": 0 }), &["max turns"]);
    refused(json!({ "prompt": "x", "worktree": true }), &["not a git repository", "Without `worktree`"]);
    refused(json!({ "prompt": "x", "resume": "nosuch" }), &["nosuch"]);
    refused(json!({}), &["prompt"]);
    env.ok(["config", "set", "agents.per_minute", "1"]);
    client.ok("delegate", json!({ "prompt": "work", "name": "live" }));
    let mut refused = |arguments: Value, expected: &[&str]| {
        let called = client.call("delegate", arguments.clone());
        assert!(called.is_error, "{arguments}: {}", called.text);
        has(&called.text, expected);
    };
    refused(json!({ "prompt": "x" }), &["1 agent was started within a minute; try again in ", " s."]);
    env.ok(["config", "set", "agents.per_minute", "0"]);
    refused(json!({ "prompt": "x", "name": "live" }), &["the name `live` is taken by job"]);
    refused(json!({ "prompt": "x", "resume": "live" }), &["it is still running", "wait until it has ended"]);
    env.ok(["config", "set", "groups.agents.limit", "1"]);
    let queued = client.ok("delegate", json!({ "prompt": "x", "wait_s": 0.05 }));
    has(&queued.text, &["claude: queued: 1 of 1 running in group agents", "starts when one of them ends"]);
    env.ok(["config", "set", "when_full", "refuse"]);
    let full = client.call("delegate", json!({ "prompt": "x" }));
    assert!(full.is_error && full.text.contains("list {\"status\": [\"running\"]}"), "{}", full.text);
    env.ok(["kill", "--all"]);
}

#[test]
fn a_missing_login_or_excess_depth_is_reported_before_anything_starts() {
    let env = world();
    let path = format!("PATH = \"{}:/usr/bin:/bin\"", env.dir().join("bin").display());
    for (variables, expected) in [
        (path.clone(), "log"),
        (format!("{path}\nANTHROPIC_API_KEY = \"key\"\nJOBCORE_AGENT_DEPTH = \"1\""), "sets `agents.depth` to more"),
    ] {
        configure(&env, &variables);
        let mut client = Client::legacy(&env);
        let refused = client.call("delegate", json!({ "prompt": "x" }));
        assert!(refused.is_error && refused.text.contains(expected), "{}", refused.text);
        assert_eq!(client.ok("list", json!({})).structured["jobs"], json!([]));
    }
}

#[test]
fn the_limits_of_the_server_hold() {
    let env = world();
    let variables = [("MCP_BG_MAX_JOBS", "1"), ("MCP_BG_JOB_TIMEOUT", "600"), ("MCP_BG_ALLOWED_COMMANDS", "^claude ")];
    let server = HttpServer::start_with(&env, &[], &variables);
    let delegate = |more: Value| {
        let mut arguments = json!({ "prompt": "work", "key": "k" });
        more.as_object().unwrap().iter().for_each(|(name, value)| arguments[name] = value.clone());
        server.call("delegate", &arguments)
    };
    assert!(delegate(json!({ "timeout_s": 601 })).is_error);
    let live = delegate(json!({}));
    assert!(!live.is_error, "{}", live.text);
    assert_eq!(delegate(json!({})).id(), live.id(), "of the same key");
    let refused = delegate(json!({ "key": "other" }));
    assert!(refused.is_error && refused.text.contains("Job limit reached"), "{}", refused.text);
    env.ok(["kill", "--all"]);
    drop(server);
    let server = HttpServer::start_with(&env, &[], &[("MCP_BG_ALLOWED_COMMANDS", "^ls ")]);
    let refused = server.call("delegate", &json!({ "prompt": "x" }));
    assert!(refused.is_error && refused.text.contains("is not permitted"), "{}", refused.text);
}

#[test]
fn the_tool_is_offered_only_if_there_is_an_agent() {
    let env = world();
    let told = |variables: &str, more: &str| {
        configure(&env, &format!("{variables}\n{more}"));
        let mut client = Client::modern(&env);
        let tools = client.ask("tools/list", json!({}))["result"]["tools"].clone();
        let instructions = client.ask("server/discover", json!({}))["result"]["instructions"].clone();
        let instructions = instructions.as_str().unwrap().to_owned();
        assert!(tools.to_string().len() <= 8 * 1024 && instructions.len() <= 2_048);
        let is_listed = tools.as_array().unwrap().iter().any(|tool| tool["name"] == "delegate");
        assert_eq!(instructions.contains("delegate"), is_listed, "{instructions}");
        (is_listed, client)
    };
    let bin = env.dir().join("bin");
    assert!(told(&format!("PATH = \"{}:/usr/bin:/bin\"", bin.display()), "").0);
    assert!(told("PATH = \"/nosuch\"", "[agents.mine]\nprogram = \"mine\"\nedit = []").0);
    assert!(told("PATH = \"/nosuch\"", "[agents.claude]\nprogram = \"/opt/claude\"").0);
    let (is_listed, mut client) = told("PATH = \"/nosuch\"", "[agents.claude]\nmodel = \"sonnet\"");
    assert!(!is_listed);
    let refused = client.call("delegate", json!({ "prompt": "x" }));
    assert!(refused.is_error);
    has(&refused.text, &["program `claude` is not installed", "npm i", "`agents.claude.program` in the settings file"]);
}

#[test]
fn a_long_answer_is_shown_with_beginning_end_and_how_to_get_the_rest() {
    let env = world();
    let mut client = Client::legacy(&env);
    let half = delegate(&mut client, "half");
    has(&half.text, &["It begins.", "It ends.", "bytes of the answer are left out"]);
    let whole = client.ok("output", named_call(&half.text, "output")).text;
    has(&whole, &["It begins.", &"x".repeat(20_000), "It ends."]);
    let long = delegate(&mut client, "long");
    let id = long.id();
    for called in [
        client.ok("wait", json!({ "job_ids": [id] })),
        client.ok("output", json!({ "job_id": id })),
        client.ok("tail", json!({ "job_id": id })),
        client.ok("status", json!({ "job_id": id })),
        long,
    ] {
        let (text, fields) = (called.text.chars().count(), called.structured.to_string().len());
        assert!(text <= 8_000 && fields <= 8_000, "{text} {fields}");
    }
    let more = client.ok("output", json!({ "job_id": id, "max_bytes": 36_000 })).text;
    assert!((30_000..=40_000).contains(&more.chars().count()), "{}", more.len());
    let mut call = named_call(&more, "output");
    call["max_bytes"] = 36_000.into();
    // The cursors lead through all of it.
    let mut cursor = 0;
    loop {
        let part = client.ok("output", call.clone()).text;
        let Some((_, rest)) = part.split_once("continue from cursor ") else { break has(&part, &["x It ends."]) };
        let next = rest.split(']').next().unwrap().parse().unwrap();
        assert!(next >= cursor + 10_000, "{next}");
        cursor = next;
        call["cursor"] = cursor.into();
    }
    assert!(cursor > 150_000, "{cursor}");
    // Many runs at once are reported briefly.
    let mut ids: Vec<String> = (0..12).map(|_| id.clone()).collect();
    ids.extend((0..14).map(|_| delegate(&mut client, "half").id()));
    let many = client.ok("wait", json!({ "job_ids": ids })).text;
    assert!(many.chars().count() <= 8_000, "{}", many.len());
    has(&many, &["claude: succeeded."]);
}

#[test]
fn a_run_that_outlives_its_grace_is_a_task_with_the_same_result() {
    let env = world();
    let mut client = Client::with_tasks(&env);
    let arguments = json!({ "prompt": "work", "key": "k" });
    let created = client.ask("tools/call", json!({ "name": "delegate", "arguments": arguments }))["result"].clone();
    assert_eq!((&created["resultType"], &created["status"]), (&"task".into(), &"working".into()), "{created}");
    let task = created["taskId"].as_str().unwrap().to_owned();
    let message = wait_for("the agent", || {
        let got = client.ask("tasks/get", json!({ "taskId": task }))["result"]["statusMessage"].clone();
        got.as_str().filter(|message| message.contains("cargo")).map(str::to_owned)
    });
    has(&message, &["claude: working: Bash: cargo test (1 turn)"]);
    touch(&env, "go");
    let got = wait_for("the end of the task", || {
        let got = client.ask("tasks/get", json!({ "taskId": task }))["result"].clone();
        (got["status"] == "completed").then_some(got)
    });
    let mut arguments = arguments;
    arguments["wait_s"] = 50.into();
    let answered = client.ask("tools/call", json!({ "name": "delegate", "arguments": arguments }))["result"].clone();
    assert_eq!(answered["content"], got["result"]["content"]);
    assert_eq!((&answered["isError"], &got["result"]["isError"]), (&false.into(), &false.into()));
    has(answered["content"][0]["text"].as_str().unwrap(), &["claude: succeeded", "The tests pass."]);
}

#[test]
fn a_run_in_a_worktree_says_where_its_work_is() {
    let env = world();
    let repository = env.dir().join("repository");
    std::fs::create_dir(&repository).unwrap();
    git(&env, &repository, &["init", "--quiet"]);
    git(&env, &repository, &["commit", "--quiet", "--allow-empty", "-m", "first"]);
    let mut client = Client::legacy(&env);
    let arguments = json!({ "prompt": "x", "cwd": "repository", "worktree": true, "name": "fix", "wait_s": 50 });
    let answered = client.ok("delegate", arguments).text;
    let worktree = env.dir().join("repository-worktrees/fix");
    has(&answered, &[&format!("Its work is in `{}`, branch `jobcore/fix`.", worktree.display()), "42"]);
    assert!(worktree.exists());
}

fn git(env: &TestEnv, directory: &Path, words: &[&str]) {
    let mut git = env.command("git");
    git.envs(AUTHOR).arg("-C").arg(directory).args(words);
    let ran = Ran::of(git);
    assert_eq!(ran.code, Some(0), "{ran}");
}
