//! Real programs of coding agents as jobs: `jobcli delegate`, with simulated models.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::agents::Agent;
use crate::models::{GREETING, Heard, Models};
use crate::support::{Ran, TestEnv, installed, send, wait_for};

/// An agent in a clean environment, with a working directory of its own.
pub(crate) struct Runs {
    pub(crate) env: TestEnv,
    models: Models,
    agent: Agent,
    name: &'static str,
    pub(crate) work: PathBuf,
}

impl Runs {
    fn claude() -> Option<Self> {
        Self::new("claude", |_, models| Agent::claude(models))
    }

    fn codex() -> Option<Self> {
        Self::new("codex", Agent::codex)
    }

    pub(crate) fn gemini() -> Option<Self> {
        Self::new("gemini", Agent::gemini)
    }

    pub(crate) fn opencode() -> Option<Self> {
        Self::new("opencode", Agent::opencode)
    }

    fn new(name: &'static str, agent: impl Fn(&TestEnv, &Models) -> Option<Agent>) -> Option<Self> {
        let (env, models) = (TestEnv::new(), Models::start());
        let agent = agent(&env, &models)?;
        let work = env.dir().join("work");
        std::fs::create_dir(&work).unwrap();
        let runs = Self { env, models, agent, name, work };
        // The agent is found wherever jobcli is found.
        runs.shell("true");
        std::os::unix::fs::symlink(&runs.agent.program, runs.env.dir().join("bin").join(name)).unwrap();
        let config = format!("agent = '{name}'\n");
        std::fs::write(runs.env.dir().join("config.toml"), config).unwrap();
        runs.ok(&["config", "set", "agents.per_minute", "0"]);
        Some(runs)
    }

    /// A program in an environment where the agent is installed and logged in.
    fn program(&self, program: &str) -> Command {
        let mut command = installed(&self.env, program);
        command
            .env("JOBCORE_CONFIG", self.env.dir().join("config.toml"))
            .envs(self.agent.variables.iter().cloned())
            .current_dir(&self.work);
        command
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.program("jobcli");
        command.args(words);
        command
    }

    pub(crate) fn shell(&self, line: &str) -> Ran {
        let mut shell = self.program("bash");
        shell.args(["-c", line]);
        Ran::of(shell)
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        Ran::of(self.command(words))
    }

    pub(crate) fn ok(&self, words: &[&str]) -> String {
        self.run(words).ok()
    }

    /// Submits a run of this name, which may use the tools of this test.
    fn start(&self, name: &str, prompt: &str) -> String {
        self.ok(&[&["delegate", "--name", name], self.permits(), &[prompt]].concat())
    }

    /// The options that let the agent run any command.
    fn permits(&self) -> &'static [&'static str] {
        // Codex runs all of them in its sandbox.
        if self.name == "claude" { &["--allow-tool", "Bash"] } else { &[] }
    }

    /// Returns the report on a job's run.
    pub(crate) fn told(&self, id: &str) -> Value {
        self.env.job(id)["agent"].clone()
    }

    pub(crate) fn heard(&self) -> Heard {
        self.models.heard().pop().unwrap()
    }

    /// Waits for a process of a tool, found by a part of its command line.
    pub(crate) fn wait_for_tool(&self, what: &str) {
        wait_for("the tool", || self.env.processes().iter().any(|process| process.contains(what)).then_some(()));
    }
}

/// Runs a test with each agent that is installed.
fn with_each(test: impl Fn(&Runs)) {
    for runs in [Runs::claude(), Runs::codex()].into_iter().flatten() {
        test(&runs);
    }
}

/// A directory that is writable only for users who may write neither here nor below the directory for temporary files.
pub(crate) fn elsewhere() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("jobcore-test-").tempdir_in("/var/tmp").unwrap()
}

pub(crate) fn written(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

#[test]
fn an_answer_is_brought_back() {
    with_each(|runs| {
        let ran = runs.run(&["delegate", "--wait", "--name", "greet", "Good morning."]);
        assert_eq!((ran.code, ran.stdout.trim_end()), (Some(0), GREETING), "{ran}");
        assert!(ran.stderr.contains(": succeeded (1 turn"), "{ran}");
        let told = runs.told("greet");
        assert_eq!((&told["progress"], &told["result"]), (&"succeeded".into(), &GREETING.into()), "{told}");
        let is_uuid = |id: &Value| uuid::Uuid::try_parse(id.as_str().unwrap()).is_ok();
        assert!(is_uuid(&told["session_id"]) && told["error"].is_null(), "{told}");
        let (cost, is_told) = (told["cost_usd"].as_f64(), runs.name == "claude");
        assert_eq!((cost.is_some_and(|cost| cost > 0.0), &told["turns"]), (is_told, &1.into()), "{told}");
        assert_eq!((&told["usage"]["input_tokens"], &told["usage"]["output_tokens"]), (&1000.into(), &40.into()));
        assert_eq!(runs.ok(&["output", "greet"]), GREETING);
        assert_eq!(runs.ok(&["status", "greet"]), "completed");
    });
}

#[test]
fn the_tools_of_a_run_are_shown_at_work() {
    with_each(|runs| {
        let prompt = "Please\nshell echo out of a shell\nsay it is done";
        let ran = runs.run(&[&["delegate", "--follow", "--name", "tool"], runs.permits(), &[prompt]].concat());
        assert_eq!(ran.code, Some(0), "{ran}");
        let lines: Vec<_> = ran.stdout.lines().collect();
        let at = lines.iter().position(|line| line.ends_with(": echo out of a shell")).unwrap();
        assert_eq!((lines[at].starts_with("→ "), &lines[at + 1..at + 3]), (true, &["← ok", "it is done"][..]), "{ran}");
        assert!(lines[at + 3].starts_with("✓ done") && lines.len() == at + 4, "{ran}");
        assert!(runs.heard().results[0].contains("out of a shell"));
        let told = runs.told("tool");
        assert_eq!((&told["tool_calls"], &told["result"]), (&1.into(), &"it is done".into()), "{told}");
        // The output is the same afterwards.
        let mut follow = runs.command(&["output", "--follow", "tool"]);
        follow.stderr(Stdio::null());
        assert_eq!(Ran::of(follow).stdout, ran.stdout);
    });
}

#[test]
fn an_error_of_the_model_is_a_failure_with_its_reason() {
    with_each(|runs| {
        // For a bad request, Codex reports the answer without its status.
        let status = if runs.name == "claude" { 400 } else { 401 };
        let ran = runs.run(&["delegate", "--wait", "--name", "fails", &format!("fail {status}")]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran}");
        let (said, shown) = (format!("failed with {status}, as asked"), format!("(HTTP {status})"));
        assert!(ran.stderr.contains(&said) && ran.stderr.contains(&shown), "{ran}");
        let told = runs.told("fails");
        assert_eq!((&told["progress"], &told["error"]["http_status"]), (&"failed".into(), &status.into()), "{told}");
    });
}

#[test]
fn by_default_a_run_changes_files_in_its_directory_only() {
    with_each(|runs| {
        let other = elsewhere();
        let file = other.path().join("file");
        let prompt = format!("write here.txt inside\nwrite {} outside\nsay tried", file.display());
        let ran = runs.run(&["delegate", "--wait", "--name", "edits", &prompt]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "tried\n"), "{ran}");
        assert_eq!(written(&runs.work.join("here.txt")).as_deref(), Some("inside\n"), "{ran}");
        assert_eq!(written(&file), None, "{ran}");
        let looked = runs.run(&["delegate", "--wait", "--permission-mode", "read_only", "write more.txt x\nsay tried"]);
        assert_eq!((looked.code, written(&runs.work.join("more.txt"))), (Some(0), None), "{looked}");
        if runs.name == "codex" {
            // The sandbox of Codex confines its tools, so nothing has to be permitted.
            assert_eq!(runs.told("edits")["denials"], Value::Null);
            return;
        }
        assert!(looked.stderr.contains("not permitted: Write `more.txt`"), "{looked}");
        let told = runs.told("edits");
        assert_eq!((&told["denials"], &told["denied"][0]["tool"]), (&1.into(), &"Write".into()), "{told}");
        assert!(ran.stderr.contains(&format!("not permitted: Write `{}`; to continue: ", file.display())), "{ran}");
        // The command that is printed for continuing works.
        let line = ran.stderr.lines().find_map(|line| line.split_once("; to continue: ")).unwrap().1;
        let again = runs.shell(&line.replace("Go on.", &format!("write {} outside", file.display())));
        assert_eq!(again.code, Some(0), "{line}: {again}");
        runs.ok(&["wait", again.stdout.trim()]);
        assert_eq!(written(&file).as_deref(), Some("outside\n"), "{line}: {again}");
        assert_eq!(runs.heard().before, [prompt]);
    });
}

#[test]
fn a_run_stopped_within_a_tool_leaves_nothing_and_can_continue() {
    with_each(|runs| {
        let prompt = "shell echo up > up; exec sleep 1234567";
        runs.start("stopped", prompt);
        runs.wait_for_tool("sleep 1234567");
        wait_for("the call", || {
            let told = runs.told("stopped");
            let is_told = told["activity"].as_str().is_some_and(|activity| activity.contains("exec sleep 1234567"));
            (is_told && told["progress"] == "working").then_some(())
        });
        runs.ok(&["kill", "stopped"]);
        runs.env.wait_until_empty();
        let told = runs.told("stopped");
        assert_eq!((runs.ok(&["status", "stopped"]), &told["progress"]), ("killed".into(), &"killed".into()), "{told}");
        let session = told["session_id"].as_str().unwrap();
        for reference in ["stopped", session] {
            let ran = runs.run(&["delegate", "--wait", "--resume", reference, &format!("say {reference}")]);
            assert_eq!((ran.code, ran.stdout.trim_end()), (Some(0), reference), "{ran}");
            let before = runs.heard().before;
            assert!(before.iter().any(|asked| asked == prompt), "{before:?}");
        }
        // The session is the same, whichever way it was named.
        let jobs: Vec<Value> = serde_json::from_str(&runs.ok(&["list", "--all", "--json"])).unwrap();
        assert!(jobs.len() == 3 && jobs.iter().all(|job| job["agent"]["session_id"] == session), "{jobs:#?}");
    });
}

/// The run has no supervisor when it is to be stopped, and its tools have sessions of their own.
#[test]
fn a_run_whose_supervisor_was_killed_is_stopped_with_its_tools() {
    with_each(|runs| {
        let id = runs.start("stopped", "shell echo up > up; exec sleep 1234569");
        runs.wait_for_tool("sleep 1234569");
        send(runs.env.supervisor(&id), Signal::SIGKILL);
        runs.ok(&["kill", &id]);
        runs.env.wait_until_empty();
        assert_eq!(runs.told(&id)["progress"], "killed");
    });
}

#[test]
fn a_run_that_never_answers_is_stopped_in_time() {
    with_each(|runs| {
        let ran = runs.run(&["delegate", "--wait", "--name", "slow", "--timeout", "2s", "never"]);
        assert!(ran.code.is_some_and(|code| code != 0) && ran.stdout.is_empty(), "{ran}");
        assert!(ran.stderr.contains(": timed out"), "{ran}");
        assert_eq!(runs.told("slow")["progress"], "timed_out");
        runs.env.wait_until_empty();
    });
}

#[test]
fn a_refusal_of_the_cli_is_reported_in_its_words() {
    with_each(|runs| {
        let unknown = "11111111-2222-4333-8444-555555555555";
        let fails = |words: &[&str], expected: &str| {
            let ran = runs.run(&[&["delegate", "--wait"], words].concat());
            assert!(ran.code == Some(1) && ran.stdout.is_empty() && ran.stderr.contains(expected), "{ran}");
        };
        if runs.name == "codex" {
            return fails(&["--resume", unknown, "x"], "no rollout found for thread id 11111111");
        }
        fails(
            &["--resume", unknown, "x"],
            "in the whole conversation): No conversation found with session ID: 11111111",
        );
        runs.ok(&["delegate", "--wait", "--session-id", unknown, "x"]);
        fails(&["--session-id", unknown, "x"], "is already in use");
        fails(
            &["--max-turns", "1", "call Read {\"file_path\": \"/etc/hostname\"}"],
            "Reached maximum number of turns (1)",
        );
        fails(&["--max-budget", "0.0000001", "call Read {\"file_path\": \"/etc/hostname\"}"], "budget");
    });
}

#[test]
fn a_run_works_on_while_its_waiter_and_supervisor_are_killed() {
    with_each(|runs| {
        let prompt = "shell echo 1234568; until test -e go; do sleep 0.1; done; echo went on\nsay after all";
        // Not passed as an argument: only the tool may have it in its command line.
        std::fs::write(runs.work.join("prompt"), prompt).unwrap();
        let words = [&["delegate", "--wait", "--name", "goes-on"], runs.permits(), &["@prompt"]].concat();
        let mut waits = runs.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        runs.wait_for_tool("echo 1234568");
        let id = runs.env.job("goes-on")["job_id"].as_str().unwrap().to_owned();
        waits.kill().unwrap();
        waits.wait().unwrap();
        // Half of the events have been read already; the next reader continues from there.
        assert_eq!(runs.told(&id)["progress"], "working");
        runs.env.replace_supervisor(&id);
        std::fs::write(runs.work.join("go"), "").unwrap();
        runs.run(&["wait", &id]);
        let told = runs.told(&id);
        assert_eq!((&told["progress"], &told["result"]), (&"succeeded".into(), &"after all".into()), "{told}");
        assert_eq!((&told["tool_calls"], &told["incomplete"], &told["noise"]), (&1.into(), &Value::Null, &Value::Null));
        assert!(runs.heard().results[0].contains("went on"));
        // The report is the same without the state kept by earlier reads.
        std::fs::remove_file(runs.env.job_dir(&id).join("digest.cache")).unwrap();
        assert_eq!(runs.told(&id), told);
    });
}

#[test]
fn prompts_arrive_unchanged() {
    with_each(|runs| {
        let long = "0123456789abcdé\n".repeat((1 << 20) / 16);
        let prompts = ["-x --help", "--", "a\0b", "'\"$(id)`\\\n\r\n\t🙂 é", "@no file", "/cost", "!ls", long.as_str()];
        for prompt in prompts {
            let path = runs.env.dir().join("asked");
            std::fs::write(&path, prompt).unwrap();
            let ran = runs.run(&["delegate", "--wait", &format!("@{}", path.display())]);
            assert_eq!((ran.code, ran.stdout.trim_end()), (Some(0), GREETING), "{ran}");
            let heard = runs.heard().prompt;
            // For Claude Code it would otherwise be a command of its own.
            let heard = if prompt == "/cost" { heard.trim_start_matches('\n') } else { &heard };
            assert!(heard == prompt, "{} bytes instead of {}: {:.100}", heard.len(), prompt.len(), heard);
        }
    });
}

#[test]
fn several_runs_wait_for_their_turn() {
    with_each(|runs| {
        runs.ok(&["config", "set", "groups.agents.limit", "1"]);
        for name in ["one", "two", "three"] {
            runs.start(name, &format!("say {name}"));
        }
        runs.ok(&["wait", "one", "two", "three"]);
        for name in ["one", "two", "three"] {
            assert_eq!(runs.ok(&["output", name]), name);
        }
        let jobs: Vec<Value> = serde_json::from_str(&runs.ok(&["list", "--all", "--json"])).unwrap();
        let mut times: Vec<_> =
            jobs.iter().map(|job| (job["started_at"].to_string(), job["ended_at"].to_string())).collect();
        times.sort();
        assert!(times.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{times:?}");
    });
}

#[test]
fn an_answer_follows_the_schema_or_is_a_failure() {
    with_each(|runs| {
        let schema = json!({
            "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"],
            "additionalProperties": false,
        });
        std::fs::write(runs.env.dir().join("schema.json"), schema.to_string()).unwrap();
        let ask =
            |name, prompt| runs.run(&["delegate", "--wait", "--name", name, "--schema", "../schema.json", prompt]);
        let answers = if runs.name == "claude" { "call StructuredOutput {\"n\": 1}\nsay ok" } else { "say {\"n\": 1}" };
        let ran = ask("follows", answers);
        assert_eq!((ran.code, &runs.told("follows")["structured"]), (Some(0), &json!({ "n": 1 })), "{ran}");
        let ran = ask("does-not", "say one");
        // One of the agents reminds its model of the schema, once.
        let last = if runs.name == "claude" { GREETING } else { "one" };
        assert_eq!((ran.code, ran.stdout.trim_end()), (Some(1), last), "{ran}");
        assert!(ran.stderr.contains("its answer does not follow the schema"), "{ran}");
        assert_eq!(runs.told("does-not")["progress"], "failed");
    });
}
