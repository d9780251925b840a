//! Claude Code is woken when its jobs end: the real program, with a simulated model.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::agents::{Agent, CLAUDE, events};
use crate::background::{touch, until};
use crate::models::Models;
use crate::sessions::{Session, answered, goes_on_when_its_job_ends, path, plugin, report_latency, told, turns};
use crate::support::{TestEnv, send, wait_for};

/// The settings of a user who has used Claude Code before.
fn settle_in(env: &TestEnv) {
    std::fs::write(env.dir().join(".git"), "").unwrap();
    let directory = env.dir().to_str().unwrap();
    let settings = json!({
        "hasCompletedOnboarding": true, "theme": "dark", "numStartups": 5,
        "customApiKeyResponses": { "approved": ["made-up"], "rejected": [] },
        "projects": { directory: { "hasTrustDialogAccepted": true, "hasCompletedProjectOnboarding": true } },
    });
    std::fs::write(env.dir().join(".claude.json"), settings.to_string()).unwrap();
}

/// A session of Claude Code with a person at the terminal.
fn start(env: &TestEnv, claude: &Agent, more: &[(&str, &str)]) -> Session {
    settle_in(env);
    let arguments = [
        "--plugin-dir",
        &plugin("claude-code"),
        "--allowedTools=mcp__plugin_jobcore_jobs",
        "--permission-mode=default",
    ];
    let session = Session::start(env, claude, &arguments, more);
    session.shows("\u{276f}");
    session
}

/// Resumes a session.
fn resume(env: &TestEnv, claude: &Agent, id: &str) -> Session {
    let arguments = ["--plugin-dir", &plugin("claude-code"), "--allowedTools=mcp__plugin_jobcore_jobs", "--resume", id];
    let session = Session::start(env, claude, &arguments, &[]);
    session.shows("\u{276f}");
    session
}

/// Submits a job that waits for a file of its name, and then exits with this code.
fn execute(session: &Session, models: &Models, name: &str, code: i32) {
    let call = json!({ "command": format!("{}; exit {code}", until(name)), "name": name, "wait_s": 0.1 });
    session.say(&format!("call plugin_jobcore_jobs.execute {call}\nsay {name} runs"));
    answered(models, &format!("`{name}` is running"));
}

#[test]
fn a_run_of_claude_code_continues_when_its_job_ends() {
    let (env, models) = (TestEnv::new(), Models::start());
    let Some(claude) = Agent::claude(&models) else { return };
    settle_in(&env);
    let (plugin, path) = (plugin("claude-code"), path(&env));
    let arguments = ["--allowedTools=mcp__plugin_jobcore_jobs", "--plugin-dir", &plugin];
    let call = json!({ "command": format!("{}; exit 3", until("build")), "name": "build", "wait_s": 0 });
    let prompt = format!("call plugin_jobcore_jobs.execute {call}\nsay it runs");
    let mut command = claude.asked(&env, &[&CLAUDE[..], &arguments].concat(), &prompt);
    command.env("PATH", path);
    let running = goes_on_when_its_job_ends(&env, &models, command);
    assert_eq!(env.job("build")["caller"].as_str().unwrap().split(':').next(), Some("claude-code"));
    assert!(events(&running).iter().filter(|event| event["type"] == "result").count() >= 1, "{running}");
}

#[test]
fn an_idle_claude_code_takes_a_turn_when_its_jobs_end() {
    let (env, models) = (TestEnv::new(), Models::start());
    let Some(claude) = Agent::claude(&models) else { return };
    let session = start(&env, &claude, &[]);
    for (name, code) in [("good", 0), ("bad", 4)] {
        execute(&session, &models, name, code);
        touch(&env, name);
        let end = format!("with exit code {code}");
        told(&models, &end);
        assert_eq!(turns(&models, &end), 1, "{:#?}", models.heard());
        report_latency(&env, &models, name, &end);
    }
    session.end();
}

#[test]
fn without_tasks_a_hook_wakes_once_for_two_jobs() {
    let (env, models) = (TestEnv::new(), Models::start());
    let Some(claude) = Agent::claude(&models) else { return };
    let session = start(&env, &claude, &[("CLAUDE_CODE_DISABLE_MCP_TASKS", "1")]);
    let line = |code: i32| format!("{}; exit {code}", until("go"));
    let call = json!({ "commands": [line(0), line(4)], "wait_s": 0 });
    session.say(&format!("call plugin_jobcore_jobs.execute {call}\nsay they run"));
    answered(&models, "running");
    touch(&env, "go");
    let woken = told(&models, "background jobs have ended");
    assert!(woken.contains("completed after") && woken.contains("failed with exit code 4"), "{woken}");
    assert_eq!(turns(&models, "Not an error"), 1);
    let ids = env.ok(["list", "--all", "-q"]);
    report_latency(&env, &models, ids.lines().next().unwrap(), "background jobs have ended");
    session.end();
}

#[test]
fn ends_while_claude_code_was_closed_are_reported_at_its_start() {
    let (env, models) = (TestEnv::new(), Models::start());
    let Some(claude) = Agent::claude(&models) else { return };
    let session = start(&env, &claude, &[]);
    execute(&session, &models, "build", 3);
    session.end();
    touch(&env, "build");
    env.run(["wait", "--quiet", "build"]);
    let session = start(&env, &claude, &[]);
    session.say("say good morning");
    let recap = told(&models, "Background jobs of this project");
    assert!(recap.contains("build (") && recap.contains("failed with exit code 3"), "{recap}");
    session.end();
}

#[test]
fn an_end_is_reported_although_the_server_was_killed() {
    let (env, models) = (TestEnv::new(), Models::start());
    let Some(claude) = Agent::claude(&models) else { return };
    let session = start(&env, &claude, &[]);
    execute(&session, &models, "build", 3);
    let processes = env.processes();
    let words = processes.iter().map(|process| process.split(' ').collect::<Vec<_>>());
    let server = words.into_iter().find(|words| words[1].ends_with("jobmcp")).unwrap();
    send(server[0].parse().unwrap(), Signal::SIGKILL);
    touch(&env, "build");
    let woken = told(&models, "failed with exit code 3");
    assert!(woken.contains("Not an error"), "{woken}");
    report_latency(&env, &models, "build", "failed with exit code 3");
    session.end();
}

#[test]
fn a_resumed_claude_code_hears_what_ended_while_it_was_closed() {
    let (env, models) = (TestEnv::new(), Models::start());
    let Some(claude) = Agent::claude(&models) else { return };
    let session = start(&env, &claude, &[]);
    execute(&session, &models, "build", 3);
    session.end();
    touch(&env, "build");
    env.run(["wait", "--quiet", "build"]);
    let caller = env.job("build")["caller"].as_str().unwrap().to_owned();
    let session = resume(&env, &claude, caller.split_once(':').unwrap().1);
    session.say("say good morning");
    told(&models, "failed with exit code 3");
    wait_for("the end to count as delivered", || env.ok(["inbox", "--caller", &caller]).is_empty().then_some(()));
    session.end();
    assert_eq!(turns(&models, "failed with exit code 3"), 1, "{:#?}", models.heard());
}

#[test]
fn after_a_compaction_the_unfinished_jobs_are_named_again() {
    let (env, models) = (TestEnv::new(), Models::start());
    let Some(claude) = Agent::claude(&models) else { return };
    let session = start(&env, &claude, &[]);
    execute(&session, &models, "build", 3);
    session.say("/compact say in short");
    let recapped = || models.heard().iter().any(|heard| heard.said.contains("Background jobs of this project"));
    let is_compacting = || models.heard().iter().any(|heard| heard.said.contains("Respond with TEXT ONLY"));
    wait_for("the compaction", || is_compacting().then_some(()));
    session.say("say what runs");
    wait_for("the recap", || recapped().then_some(()));
    touch(&env, "build");
    told(&models, "failed with exit code 3");
    session.end();
}

#[test]
fn a_conversation_that_was_cleared_is_woken_for_jobs_of_its_own() {
    let (env, models) = (TestEnv::new(), Models::start());
    let Some(claude) = Agent::claude(&models) else { return };
    let session = start(&env, &claude, &[("CLAUDE_CODE_DISABLE_MCP_TASKS", "1")]);
    execute(&session, &models, "first", 3);
    session.say("/clear");
    execute(&session, &models, "second", 4);
    touch(&env, "second");
    told(&models, "failed with exit code 4");
    session.end();
}
