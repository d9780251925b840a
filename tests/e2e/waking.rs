//! Agents are woken when their jobs end: the real ones, with models that are no models.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::agents::{Agent, CLAUDE, events};
use crate::background::{touch, until};
use crate::mcp_client::JOBMCP;
use crate::models::Models;
use crate::support::{JOBCLI, Ran, TestEnv, send, wait_for};

/// What a person has answered who has used Claude Code before.
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

/// The plugin of this repository, with programs that it finds in the `PATH`.
fn plugin(env: &TestEnv) -> (String, String) {
    let bin = env.dir().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    for (name, program) in [("jobcli", JOBCLI), ("jobmcp", JOBMCP)] {
        let _ = std::os::unix::fs::symlink(program, bin.join(name));
    }
    let path = std::env::var("PATH").unwrap();
    let plugin = concat!(env!("CARGO_MANIFEST_DIR"), "/../jobmcp/plugins/claude-code");
    (plugin.to_owned(), format!("{}:{path}", bin.display()))
}

/// Waits until the model is told something, and returns the whole message.
fn told(models: &Models, what: &str) -> String {
    let found = || models.heard().into_iter().map(|heard| heard.said).find(|said| said.contains(what));
    wait_for(&format!("the model to be told `{what}`"), found)
}

/// Waits until the model has read a result of a tool.
fn answered(models: &Models, what: &str) {
    let is_there = || models.heard().iter().flat_map(|heard| &heard.results).any(|result| result.contains(what));
    wait_for(&format!("a tool to answer `{what}`"), || is_there().then_some(()));
}

/// How many turns began by telling the model this.
fn turns(models: &Models, what: &str) -> usize {
    let heard = models.heard();
    heard.iter().filter(|heard| !heard.tools.is_empty() && heard.said.contains(what)).count()
}

/// A session of Claude Code that a person sits at: on the terminal of a job in a store of its own.
struct Session {
    terminals: TestEnv,
    id: String,
}

impl Session {
    fn start(env: &TestEnv, claude: &Agent, more: &[(&str, &str)]) -> Self {
        settle_in(env);
        let (plugin, path) = plugin(env);
        let terminals = TestEnv::new();
        let store = env.store().to_str().unwrap().to_owned();
        let home = env.dir().to_str().unwrap().to_owned();
        let mut variables: Vec<String> = [("PATH", path.as_str()), ("JOBCORE_STORE", &store), ("HOME", &home)]
            .iter()
            .chain(more)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        variables.extend(claude.variables.iter().map(|(name, value)| format!("{name}={value}")));
        let mut command = terminals.jobcli(["run", "--tty=200x50", "--cwd", &home]);
        for variable in &variables {
            command.args(["-e", variable]);
        }
        command.arg("--").arg(&claude.program).args(["--plugin-dir", &plugin]);
        command.args(["--allowedTools=mcp__plugin_jobcore_jobs", "--permission-mode=default"]);
        let id = Ran::of(command).ok();
        let session = Self { terminals, id };
        session.shows("\u{276f}");
        session
    }

    fn screen(&self) -> String {
        self.terminals.ok(["output", "--tail", "200", &self.id])
    }

    fn shows(&self, what: &str) {
        wait_for(&format!("`{what}` on the screen"), || {
            let screen = self.screen();
            assert_eq!(self.terminals.status(&self.id), "running", "{screen}");
            screen.contains(what).then_some(())
        });
    }

    /// Types a prompt, and sends it once it is on the screen: what comes at once is taken for something that was pasted.
    fn say(&self, prompt: &str) {
        self.terminals.run(["wait", "--until", "quiet:500ms", "--timeout", "20s", &self.id]);
        self.terminals.ok(["send", "--raw", &self.id, prompt]);
        self.shows(&prompt[prompt.len() - 12..]);
        self.terminals.ok(["send", &self.id, "--key", "Enter"]);
    }

    /// Starts a job that waits for a file of its name, and then exits with this code.
    fn execute(&self, models: &Models, name: &str, code: i32) {
        let call = json!({ "command": format!("{}; exit {code}", until(name)), "name": name, "wait_s": 0.1 });
        self.say(&format!("call plugin_jobcore_jobs.execute {call}\nsay {name} runs"));
        answered(models, &format!("`{name}` is running"));
    }

    fn end(self) {
        self.terminals.ok(["kill", "--grace", "5s", &self.id]);
    }
}

#[test]
fn a_run_of_claude_code_goes_on_when_its_job_ends() {
    let (env, models) = (TestEnv::new(), Models::start());
    let Some(claude) = Agent::claude(&models) else { return };
    settle_in(&env);
    let (plugin, path) = plugin(&env);
    let arguments = ["--allowedTools=mcp__plugin_jobcore_jobs", "--plugin-dir", &plugin];
    let call = json!({ "command": format!("{}; exit 3", until("go")), "name": "build", "wait_s": 0 });
    let prompt = format!("call plugin_jobcore_jobs.execute {call}\nsay it runs");
    let mut command = claude.asked(&env, &[&CLAUDE[..], &arguments].concat(), &prompt);
    command.env("PATH", path);
    let running = std::thread::scope(|scope| {
        let running = scope.spawn(move || Ran::of(command));
        answered(&models, "`build` is running");
        touch(&env, "go");
        running.join().unwrap()
    });
    assert_eq!(running.code, Some(0), "{running}");
    let woken = told(&models, "failed with exit code 3");
    assert!(woken.contains("Not an error") && woken.contains("build ("), "{woken}");
    assert_eq!(turns(&models, "failed with exit code 3"), 1);
    assert_eq!(env.job("build")["caller"].as_str().unwrap().split(':').next(), Some("claude-code"));
    assert!(events(&running).iter().filter(|event| event["type"] == "result").count() >= 1, "{running}");
}

#[test]
fn an_idle_claude_code_takes_a_turn_when_its_jobs_end() {
    let (env, models) = (TestEnv::new(), Models::start());
    let Some(claude) = Agent::claude(&models) else { return };
    let session = Session::start(&env, &claude, &[]);
    for (name, code) in [("good", 0), ("bad", 4)] {
        session.execute(&models, name, code);
        touch(&env, name);
        let end = format!("with exit code {code}");
        told(&models, &end);
        assert_eq!(turns(&models, &end), 1, "{:#?}", models.heard());
    }
    session.end();
}

#[test]
fn where_tasks_are_switched_off_a_hook_wakes_once_for_two_jobs() {
    let (env, models) = (TestEnv::new(), Models::start());
    let Some(claude) = Agent::claude(&models) else { return };
    let session = Session::start(&env, &claude, &[("CLAUDE_CODE_DISABLE_MCP_TASKS", "1")]);
    let line = |code: i32| format!("{}; exit {code}", until("go"));
    let call = json!({ "commands": [line(0), line(4)], "wait_s": 0 });
    session.say(&format!("call plugin_jobcore_jobs.execute {call}\nsay they run"));
    answered(&models, "running");
    touch(&env, "go");
    let woken = told(&models, "background jobs have ended");
    assert!(woken.contains("completed after") && woken.contains("failed with exit code 4"), "{woken}");
    assert_eq!(turns(&models, "Not an error"), 1);
    session.end();
}

#[test]
fn what_ended_while_claude_code_was_closed_is_told_at_its_start() {
    let (env, models) = (TestEnv::new(), Models::start());
    let Some(claude) = Agent::claude(&models) else { return };
    let session = Session::start(&env, &claude, &[]);
    session.execute(&models, "build", 3);
    session.end();
    touch(&env, "build");
    env.run(["wait", "--quiet", "build"]);
    let session = Session::start(&env, &claude, &[]);
    session.say("say good morning");
    let recap = told(&models, "Background jobs of this project");
    assert!(recap.contains("build (") && recap.contains("failed with exit code 3"), "{recap}");
    session.end();
}

#[test]
fn an_end_is_told_although_the_server_was_killed() {
    let (env, models) = (TestEnv::new(), Models::start());
    let Some(claude) = Agent::claude(&models) else { return };
    let session = Session::start(&env, &claude, &[]);
    session.execute(&models, "build", 3);
    let processes = env.processes();
    let words = processes.iter().map(|process| process.split(' ').collect::<Vec<_>>());
    let server = words.into_iter().find(|words| words[1].ends_with("jobmcp")).unwrap();
    send(server[0].parse().unwrap(), Signal::SIGKILL);
    touch(&env, "build");
    let woken = told(&models, "failed with exit code 3");
    assert!(woken.contains("Not an error"), "{woken}");
    session.end();
}
