//! Coding agents that use the MCP server: the real ones, registered as a person registers them.

use std::process::Stdio;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::agents::{Agent, CLAUDE, CODEX, events};
use crate::mcp_client::JOBMCP;
use crate::models::Models;
use crate::support::{Ran, TestEnv, send, wait_for};

/// The prompt: start a job, look at it, start one that stays, and ask another agent.
const PROMPT: &str = r#"call jobs.execute {"command": "echo from a job; env", "name": "short", "wait_s": 30}
call jobs.wait {"job_ids": ["short"], "timeout_s": 30}
call jobs.output {"job_id": "short", "grep": "^from"}
call jobs.execute {"command": "sleep 1000", "name": "long", "wait_s": 0}
call jobs.delegate {"agent": "parrot", "prompt": "said by an agent", "wait_s": 30}
say all called"#;

/// Tells Codex that all tools of the server may be called.
const APPROVED: [&str; 2] = ["-c", "mcp_servers.jobs.default_tools_approval_mode=\"approve\""];

/// Registers the server, with an agent that repeats what it is asked.
fn register(env: &TestEnv, client: &str) {
    let settings = env.dir().join(".config/jobcore");
    std::fs::create_dir_all(&settings).unwrap();
    std::fs::write(settings.join("config.toml"), "[agents.parrot]\nprogram = \"cat\"\nedit = []\n").unwrap();
    let mut command = env.command(JOBMCP);
    command.args(["register", "--client", client, "--scope", "user", "--store"]).arg(env.store());
    let ran = Ran::of(command);
    assert_eq!(ran.code, Some(0), "{ran}");
}

/// The model got the result of every call of [`PROMPT`], and the jobs are as they should be although the server and the
/// agent are gone. `session` holds the prefixes of the variables that belong to the agent's session alone.
fn the_calls_did_what_they_should(env: &TestEnv, models: &Models, agent: &Agent, session: &[&str]) {
    let heard = models.heard();
    let [short, wait, output, long, asked] = heard.last().unwrap().results.as_slice() else { panic!("{heard:#?}") };
    assert!(short.contains("completed with exit code 0") && short.contains("from a job"), "{short}");
    assert!(wait.contains("completed with exit code 0"), "{wait}");
    assert!(output.contains("from a job") && !output.contains("PATH="), "{output}");
    assert!(long.contains("`long` is running"), "{long}");
    assert!(asked.contains("parrot: succeeded") && asked.contains("said by an agent"), "{asked}");
    let environment = env.ok(["output", "short"]);
    assert!(environment.contains("JOBCORE_JOB_ID="), "{environment}");
    // Variables that a user sets for the agent are not part of its session.
    let is_set = |line: &str| agent.variables.iter().any(|(name, value)| line == format!("{name}={value}"));
    let leaked = environment.lines().filter(|line| session.iter().any(|name| line.starts_with(name)) && !is_set(line));
    let leaked: Vec<_> = leaked.collect();
    assert!(leaked.is_empty(), "{leaked:?}");
    assert_eq!(env.status("long"), "running");
}

#[test]
fn claude_code_calls_the_tools() {
    let (env, models) = (TestEnv::new(), Models::start());
    let Some(claude) = Agent::claude(&models) else { return };
    register(&env, "claude-code");
    let ran = Ran::of(claude.asked(&env, &[&CLAUDE[..], &["--allowedTools=mcp__jobs"]].concat(), PROMPT));
    assert_eq!(ran.code, Some(0), "{ran}");
    let told = events(&ran);
    let init = told.iter().find(|event| event["subtype"] == "init").unwrap();
    assert_eq!(init["mcp_servers"][0]["status"], "connected", "{init}");
    let result = told.last().unwrap();
    assert_eq!((&result["is_error"], &result["result"]), (&false.into(), &"all called".into()), "{result}");
    let session = ["CLAUDECODE=", "CLAUDE_CODE_", "CLAUDE_PROJECT_DIR=", "AI_AGENT="];
    the_calls_did_what_they_should(&env, &models, &claude, &session);
    // Claude Code hides the tools of servers until a model searches for them, unless the tools ask not to be hidden.
    let first = &models.heard()[0].tools;
    for tool in ["execute", "wait", "output", "delegate"] {
        assert!(first.contains(&format!("jobs.{tool}")), "{first:?}");
    }
    // There is no user who could be asked for permission.
    let ran = Ran::of(claude.asked(&env, &CLAUDE, "call jobs.list {}"));
    let result = events(&ran).pop().unwrap();
    assert_eq!(result["permission_denials"][0]["tool_name"], "mcp__jobs__list", "{result}");
}

#[test]
fn codex_calls_the_tools() {
    let (env, models) = (TestEnv::new(), Models::start());
    let Some(codex) = Agent::codex(&env, &models) else { return };
    register(&env, "codex");
    let run = |approval: &[&str], prompt: &str| {
        let ran = Ran::of(codex.asked(&env, &[&CODEX[..], approval].concat(), prompt));
        assert_eq!((ran.code, &events(&ran).last().unwrap()["type"]), (Some(0), &"turn.completed".into()), "{ran}");
    };
    run(&APPROVED, PROMPT);
    assert!(env.job("long")["caller"].as_str().unwrap().starts_with("codex:"), "{}", env.job("long"));
    the_calls_did_what_they_should(&env, &models, &codex, &["CODEX_"]);
    // Tools that only look need no approval; tools that do anything need it.
    let looks = r#"call jobs.status {"job_id": "long"}
call jobs.list {}
call jobs.wait {"job_ids": ["long"], "timeout_s": 0.01}
call jobs.output {"job_id": "short", "grep": "^from"}
call jobs.output {"job_id": "short", "grep": "^JOBCORE_JOB_ID"}
call jobs.execute {"command": "touch done"}"#;
    run(&[], looks);
    let heard = models.heard();
    let results = &heard.last().unwrap().results;
    let expected = ["running", "long", "`long` is running", "from a job", "JOBCORE_JOB_ID", "approval"];
    assert_eq!(results.len(), expected.len(), "{results:#?}");
    for (result, expected) in results.iter().zip(expected) {
        assert!(result.contains(expected), "`{expected}` is not in {result}");
    }
    assert!(!env.dir().join("done").exists());
}

/// However an agent ends while it waits for a job, its server ends with it and the job does not.
fn the_job_outlives(env: &TestEnv, agent: &Agent, arguments: &[&str]) {
    let prompt = r#"call jobs.execute {"command": "echo up; exec sleep 1000", "wait_s": 50}"#;
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let mut agent =
            agent.asked(env, arguments, prompt).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let id = wait_for("the job", || {
            let running: Value = serde_json::from_str(&env.ok(["list", "--status", "running", "--json"])).unwrap();
            running[0]["job_id"].as_str().map(str::to_owned)
        });
        send(agent.id().try_into().unwrap(), signal);
        agent.wait().unwrap();
        wait_for("the end of the server", || {
            (!env.processes().iter().any(|process| process.contains("jobmcp"))).then_some(())
        });
        assert_eq!(env.status(&id), "running", "{signal}");
        env.ok(["kill", &id]);
    }
}

#[test]
fn a_job_outlives_claude_code() {
    let (env, models) = (TestEnv::new(), Models::start());
    let Some(claude) = Agent::claude(&models) else { return };
    register(&env, "claude-code");
    the_job_outlives(&env, &claude, &[&CLAUDE[..], &["--allowedTools=mcp__jobs"]].concat());
}

#[test]
fn a_job_outlives_codex() {
    let (env, models) = (TestEnv::new(), Models::start());
    let Some(codex) = Agent::codex(&env, &models) else { return };
    register(&env, "codex");
    the_job_outlives(&env, &codex, &[&CODEX[..], &APPROVED].concat());
}
