//! Checks that jobs work here as a client would use them: starts a server, talks to it in its own protocol, and kills
//! it.

use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use jobcore::clock::Timestamp;
use jobcore::doctor::{Health, LABEL, Report, Step};
use jobcore::front::{Failure, Settings, codes, process, report};
use jobcore::stop::StopOptions;
use jobcore::{JobManager, Query};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::cli::Doctor;
use crate::register;
use crate::text::cut;

/// How long a server may take to answer: far more than it needs, since a machine under load is not broken.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a call may wait, in seconds: less than that, so that the call itself reports the timeout.
const BLOCKS_S: u64 = 15;
/// The time limit of the test jobs, in seconds, in case this process is killed.
const TIME_LIMIT_S: u64 = 60;
/// How many characters of a server's last output are shown if it ends.
const LAST_WORDS: usize = 500;

/// A command that reads a line, prints it and ends.
const READER: &str = "echo ready; read -r line; echo \"got $line\"; exit 42";
const CODE: i64 = 42;

type Found<T = ()> = Result<(T, String), String>;

/// Carries out all checks, and prints the report.
pub(crate) fn run(arguments: &Doctor, store: Option<PathBuf>, config: Option<PathBuf>) -> Result<ExitCode, Failure> {
    let settings = Settings::read(store, config.clone())?;
    let failed = |error: std::io::Error| Failure::new(codes::FAILED, format!("cannot start: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let report = runtime.block_on(examine(&settings, config));
    report::tell(&report, arguments.json)
}

async fn examine(settings: &Settings, config: Option<PathBuf>) -> Report {
    let jobs = settings.open("jobmcp");
    let manager = jobs.as_ref().ok().cloned();
    let mut machine = jobcore::doctor::Doctor::default()
        .with_environment(settings.environment.apply(std::env::vars_os()))
        .with_own_job(settings.own_job)
        .examine(jobs)
        .await;
    let can_start = machine.steps.iter().any(|step| step.name == "start" && step.result == Health::Ok);
    let mark = format!("{}-{}", std::process::id(), Timestamp::now());
    let mut proofs = Proofs { settings, config, mark, steps: Vec::new() };
    proofs.examine(can_start).await;
    if let Some(manager) = manager
        && let Err(reason) = clean_up(&manager, &proofs.mark).await
    {
        let detail = format!("{reason}; remove the jobs with the label `{LABEL}` by hand");
        proofs.steps.push(Step::new("clean_up", Health::Failed, detail));
    }
    proofs.steps.extend(clients());
    // That a job outlives its submitter has been checked above, with a server.
    machine.steps.retain(|step| step.name != "survive");
    proofs.steps.append(&mut machine.steps);
    machine.steps = proofs.steps;
    machine
}

/// Checks what `register` wrote for clients; nothing if there is none.
fn clients() -> Option<Step> {
    let (told, gone): (Vec<_>, Vec<_>) = register::examine().into_iter().partition(Result::is_ok);
    let told: Vec<_> = told.into_iter().flatten().collect();
    let gone: Vec<_> = gone.into_iter().filter_map(Result::err).collect();
    match (told.is_empty(), gone.is_empty()) {
        (true, true) => None,
        (false, true) => Some(Step::new("clients", Health::Ok, format!("registered with {}", told.join(", ")))),
        (_, false) => Some(Step::new("clients", Health::Failed, gone.join("; "))),
    }
}

struct Proofs<'a> {
    settings: &'a Settings,
    config: Option<PathBuf>,
    /// The value of the label of all jobs of this check.
    mark: String,
    steps: Vec<Step>,
}

impl Proofs<'_> {
    /// Takes the steps until one fails: the later ones depend on it.
    async fn examine(&mut self, can_start: bool) -> Option<()> {
        let serving = self.serve().await;
        let mut first = self.note("serve", serving)?;
        let tools = first.tools().await;
        self.note("tools", tools)?;
        if !can_start {
            let detail = "no tool was called, since no job can be started now: see `start`, `jobs` and `store` below";
            self.steps.push(Step::new("execute", Health::Degraded, detail));
            return None;
        }
        let short = self.short(&mut first).await;
        let short = self.note("execute", short)?;
        let long = self.long(&mut first).await;
        let long = self.note("background", long)?;
        let survived = self.survive(first, &long).await;
        let mut second = self.note("survive", survived)?;
        let answered = second.answer_job(&long).await;
        self.note("interact", answered)?;
        let ended = second.wait(&long).await;
        self.note("wait", ended)?;
        let killed = self.kill(&mut second, [short, long]).await;
        self.note("kill", killed)
    }

    fn note<T>(&mut self, name: &'static str, found: Found<T>) -> Option<T> {
        let (value, step) = match found {
            Ok((value, detail)) => (Some(value), Step::new(name, Health::Ok, detail)),
            Err(detail) => (None, Step::new(name, Health::Failed, detail)),
        };
        self.steps.push(step);
        value
    }

    async fn serve(&self) -> Found<Session> {
        // If the path of this program is unknown, the start fails, which is reported.
        let mut command = Command::new(process::own_program().unwrap_or_default());
        command.arg("--store").arg(&self.settings.store);
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        let begun = Instant::now();
        let session = Session::start(command).await?;
        let detail = format!("server {} answered within {} ms", session.pid(), begun.elapsed().as_millis());
        Ok((session, detail))
    }

    /// Returns the arguments of a call that starts a job of this check.
    fn job(&self, line: &str, wait_s: u64) -> Value {
        json!({
            "argv": ["/bin/sh", "-c", line], "stdin": "open", "wait_s": wait_s, "timeout_s": TIME_LIMIT_S, "cwd": "/",
            "labels": { LABEL: self.mark },
        })
    }

    async fn short(&self, server: &mut Session) -> Found<String> {
        let called = server.call("execute", self.job("echo out; exit 42", BLOCKS_S)).await?;
        match called.exit_code == Some(CODE) && called.text.ends_with("\nout") {
            true => Ok((called.job_id, "a short command returned its output and exit code".to_owned())),
            false => Err(format!("a command that exits with {CODE} returned: {}", called.text)),
        }
    }

    async fn long(&self, server: &mut Session) -> Found<String> {
        let called = server.call("execute", self.job(READER, 0)).await?;
        let is_on = ["queued", "running"].contains(&&*called.status);
        match is_on {
            true => Ok((called.job_id, "a long command returned its id".to_owned())),
            false => Err(format!("a long command returned: {}", called.text)),
        }
    }

    /// Kills the server, and checks that another one sees its job running.
    async fn survive(&self, first: Session, job: &str) -> Found<Session> {
        let pid = first.pid();
        first.kill().await?;
        let (mut second, _) = self.serve().await?;
        let until = json!({ "job_ids": [job], "until": "output:ready", "wait_s": BLOCKS_S });
        second.call("wait", until).await?;
        let called = second.call("status", json!({ "job_id": job })).await?;
        match &*called.status {
            "running" => {
                let detail =
                    format!("server {pid} was killed; its job is still running, as server {} sees", second.pid());
                Ok((second, detail))
            }
            _ => Err(format!("the job of a server that was killed is not running: {}", called.text)),
        }
    }

    async fn kill(&self, server: &mut Session, ended: [String; 2]) -> Found {
        let running = server.call("execute", self.job("sleep 60", 0)).await?.job_id;
        let ids: Vec<_> = ended.into_iter().chain([running]).collect();
        let called = server.call("kill", json!({ "job_ids": ids, "grace_s": 0, "remove": true })).await?;
        let results = called.fields["results"].as_array().cloned().unwrap_or_default();
        match results.iter().filter(|result| result["removed"] == true).count() == ids.len() {
            true => Ok(((), "a job was stopped, and all test jobs were removed".to_owned())),
            false => Err(format!("a job was not removed: {}", called.text)),
        }
    }
}

/// Stops and removes the remaining jobs of this check, however the steps ended.
async fn clean_up(jobs: &JobManager, mark: &str) -> Result<(), String> {
    let failed = |error: jobcore::Error| format!("a job could not be removed: {error}");
    let query = Query::default().with_labels(vec![(LABEL.to_owned(), mark.to_owned())]);
    let removing = async {
        for id in jobs.store().ids(&query, None, usize::MAX).await.map_err(failed)? {
            if jobs.job(id).await.is_ok_and(|job| query.matches(&job)) {
                jobs.stop(id, &StopOptions::default().with_grace(Some(Duration::ZERO))).await.map_err(failed)?;
                jobs.remove(id).await.map_err(failed)?;
            }
        }
        Ok(())
    };
    timeout(PATIENCE, removing).await.unwrap_or_else(|_| Err("the jobs could not be removed in time".to_owned()))
}

/// A server, and its only client. The server is killed at the latest when this is dropped.
struct Session {
    server: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    asked: u64,
}

/// The result of a call.
struct Called {
    text: String,
    fields: Value,
    job_id: String,
    status: String,
    exit_code: Option<i64>,
}

impl Session {
    /// Starts a server, and initializes the session.
    async fn start(mut command: Command) -> Result<Self, String> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut server = command.spawn().map_err(|error| format!("a server cannot be started: {error}"))?;
        let (Some(stdin), Some(stdout)) = (server.stdin.take(), server.stdout.take()) else {
            return Err("a server has no standard input and output".to_owned());
        };
        let mut session = Self { server, stdin, lines: BufReader::new(stdout).lines(), asked: 0 };
        let hello = json!({
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": { "name": "jobmcp doctor", "version": env!("CARGO_PKG_VERSION") },
        });
        session.ask("initialize", hello).await?;
        session.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await?;
        Ok(session)
    }

    fn pid(&self) -> u32 {
        self.server.id().unwrap_or_default()
    }

    async fn kill(mut self) -> Result<(), String> {
        self.server.kill().await.map_err(|error| format!("a server cannot be killed: {error}"))
    }

    async fn send(&mut self, message: &Value) -> Result<(), String> {
        let line = format!("{message}\n");
        match self.stdin.write_all(line.as_bytes()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.end().await),
        }
    }

    /// Sends a request, and waits for the answer.
    async fn ask(&mut self, method: &str, params: Value) -> Result<Value, String> {
        timeout(PATIENCE, self.exchange(method, params))
            .await
            .unwrap_or_else(|_| Err(format!("`{method}` was not answered within {} seconds", PATIENCE.as_secs())))
    }

    async fn exchange(&mut self, method: &str, params: Value) -> Result<Value, String> {
        self.asked += 1;
        let id = self.asked;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await?;
        loop {
            let Ok(Some(line)) = self.lines.next_line().await else { return Err(self.end().await) };
            let message: Value = serde_json::from_str(&line).map_err(|error| format!("{error} in `{line}`"))?;
            match (message["id"] == json!(id), message.get("result")) {
                (true, Some(result)) => return Ok(result.clone()),
                (true, None) => return Err(format!("`{method}` was refused: {}", message["error"]["message"])),
                // A notification.
                (false, _) => {}
            }
        }
    }

    /// Returns the error output of a server that has ended.
    async fn end(&mut self) -> String {
        let mut said = Vec::new();
        if let Some(stderr) = self.server.stderr.take() {
            let _ = timeout(PATIENCE, stderr.take(1 << 16).read_to_end(&mut said)).await;
        }
        let said = String::from_utf8_lossy(&said);
        format!("the server ended: {}", cut(said.trim().trim_start_matches("error: "), LAST_WORDS))
    }

    async fn tools(&mut self) -> Found {
        let listed = self.ask("tools/list", json!({})).await?;
        let tools = listed["tools"].as_array().cloned().unwrap_or_default();
        let names: Vec<_> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
        match names.contains(&"execute") {
            true => Ok(((), format!("there are {}", names.join(", ")))),
            false => Err(format!("`execute` is not among the tools: {}", names.join(", "))),
        }
    }

    /// Calls a tool. A tool that fails is an error.
    async fn call(&mut self, tool: &str, arguments: Value) -> Result<Called, String> {
        let result = self.ask("tools/call", json!({ "name": tool, "arguments": arguments })).await?;
        let text = result["content"][0]["text"].as_str().unwrap_or_default().to_owned();
        if result["isError"] == true {
            return Err(format!("{tool} failed: {text}"));
        }
        let job = &result["_meta"]["jobcore/job"];
        let word = |name: &str| job[name].as_str().unwrap_or_default().to_owned();
        Ok(Called {
            job_id: word("job_id"),
            status: word("status"),
            exit_code: job["exit_code"].as_i64(),
            fields: result["structuredContent"].clone(),
            text,
        })
    }

    async fn answer_job(&mut self, job: &str) -> Found {
        self.call("interact", json!({ "job_id": job, "input": "hello", "wait_s": 0 })).await?;
        Ok(((), "a job that waits for a line was sent one".to_owned()))
    }

    async fn wait(&mut self, job: &str) -> Found {
        let called = self.call("wait", json!({ "job_ids": [job], "wait_s": BLOCKS_S })).await?;
        let output = self.call("output", json!({ "job_id": job })).await?;
        if called.exit_code != Some(CODE) {
            return Err(format!("waiting for a job that exits with {CODE} returned: {}", called.text));
        }
        match output.text.contains("got hello") {
            true => Ok(((), "its end was reported with its exit code; it had read the line".to_owned())),
            false => Err(format!("a job did not write what it had been sent: {}", output.text)),
        }
    }
}
