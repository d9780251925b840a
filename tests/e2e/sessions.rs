//! Sessions of coding agents with a person at the terminal, and what their models hear.

use std::process::Command;

use jobcore::clock::Timestamp;

use crate::agents::Agent;
use crate::background::touch;
use crate::mcp_client::JOBMCP;
use crate::models::Models;
use crate::support::{JOBCLI, Ran, TestEnv, wait_for};

/// Returns the path of this repository's plugin for a host.
pub(crate) fn plugin(host: &str) -> String {
    format!("{}/../jobmcp/plugins/{host}", env!("CARGO_MANIFEST_DIR"))
}

/// Returns a `PATH` with the programs that plugins look for.
pub(crate) fn path(env: &TestEnv) -> String {
    let bin = env.dir().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    for (name, program) in [("jobcli", JOBCLI), ("jobmcp", JOBMCP)] {
        let _ = std::os::unix::fs::symlink(program, bin.join(name));
    }
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

/// Waits until the model gets a message with this text, and returns the whole message.
pub(crate) fn told(models: &Models, what: &str) -> String {
    let found = || models.heard().into_iter().map(|heard| heard.said).find(|said| said.contains(what));
    wait_for(&format!("the model to be told `{what}`"), found)
}

/// Waits until the model has read a result of a tool.
pub(crate) fn answered(models: &Models, what: &str) {
    let is_there = || models.heard().iter().flat_map(|heard| &heard.results).any(|result| result.contains(what));
    wait_for(&format!("a tool to answer `{what}`"), || is_there().then_some(()));
}

/// Prints how long it took from the end of a job until its model was notified, for measurements with `--nocapture`.
#[expect(clippy::print_stderr, reason = "printed for measurements")]
pub(crate) fn report_latency(env: &TestEnv, models: &Models, job: &str, what: &str) {
    let ended: Timestamp = env.job(job)["ended_at"].as_str().unwrap().parse().unwrap();
    let told = models.heard().into_iter().find(|heard| heard.said.contains(what)).unwrap().at;
    eprintln!("{job}: its end to the model's turn: {} ms", told.duration_since(ended).as_millis());
}

/// The number of turns that started with this message to the model.
pub(crate) fn turns(models: &Models, what: &str) -> usize {
    let heard = models.heard();
    heard.iter().filter(|heard| !heard.tools.is_empty() && heard.said.contains(what)).count()
}

/// Has an agent run without a person submit the job `build`, which waits for a file of its name and then exits with 3:
/// the run must continue after that, once.
pub(crate) fn goes_on_when_its_job_ends(env: &TestEnv, models: &Models, agent: Command) -> Ran {
    let ran = std::thread::scope(|scope| {
        let running = scope.spawn(move || Ran::of(agent));
        wait_for("the job", || (env.run(["status", "build"]).stdout == "running\n").then_some(()));
        touch(env, "build");
        running.join().unwrap()
    });
    assert_eq!(ran.code, Some(0), "{ran}");
    let end = "failed with exit code 3";
    let woken = told(models, end);
    assert!(woken.contains("Not an error") && woken.contains("build ("), "{woken}");
    assert_eq!(turns(models, end), 1);
    report_latency(env, models, "build", end);
    ran
}

/// A session with a person at the terminal: on the terminal of a job in a store of its own.
pub(crate) struct Session {
    terminals: TestEnv,
    id: String,
}

impl Session {
    pub(crate) fn start(env: &TestEnv, agent: &Agent, arguments: &[&str], more: &[(&str, &str)]) -> Self {
        let terminals = TestEnv::new();
        let (path, store, home) = (path(env), env.store().to_str().unwrap(), env.dir().to_str().unwrap());
        let mut command = terminals.jobcli(["run", "--tty=200x50", "--cwd", home]);
        let own = [("PATH", path.as_str()), ("JOBCORE_STORE", store), ("HOME", home), ("TERM", "xterm-256color")];
        let of_agent = agent.variables.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in own.into_iter().chain(of_agent).chain(more.iter().copied()) {
            command.args(["-e", &format!("{name}={value}")]);
        }
        command.arg("--").arg(&agent.program).args(arguments);
        let id = Ran::of(command).ok();
        Self { terminals, id }
    }

    fn screen(&self) -> String {
        self.terminals.ok(["output", "--tail", "200", &self.id])
    }

    pub(crate) fn shows(&self, what: &str) {
        wait_for(&format!("`{what}` on the screen"), || {
            let screen = self.screen();
            assert_eq!(self.terminals.status(&self.id), "running", "{screen}");
            screen.contains(what).then_some(())
        });
    }

    /// Types a prompt, and sends it once it is on the screen: text that arrives all at once is taken for a paste.
    pub(crate) fn say(&self, prompt: &str) {
        self.terminals.run(["wait", "--until", "quiet:500ms", "--timeout", "20s", &self.id]);
        self.terminals.ok(["send", "--raw", &self.id, prompt]);
        self.shows(&prompt[prompt.len().saturating_sub(12)..]);
        self.terminals.ok(["send", &self.id, "--key", "Enter"]);
    }

    pub(crate) fn end(self) {
        self.terminals.ok(["kill", "--grace", "5s", &self.id]);
    }
}
