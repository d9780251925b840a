//! MCP servers that run commands, under the same plain client.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Outcome;
use crate::measure::{milliseconds, now};
use crate::peers::{Tools, command};

/// The servers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    Jobmcp,
    /// Python; keeps everything in memory.
    BackgroundJob,
    /// Python; keeps jobs on disk.
    Awaitless,
    /// Node; keeps the list in memory, and output in files.
    BashCommand,
}

impl Server {
    /// The servers that are installed.
    pub(crate) fn here(tools: &Tools) -> impl Iterator<Item = Self> {
        let all = [Self::Jobmcp, Self::BackgroundJob, Self::Awaitless, Self::BashCommand];
        all.into_iter().filter(|server| *server == Self::Jobmcp || tools.find(server.name()).is_some())
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Jobmcp => "jobmcp",
            Self::BackgroundJob => "mcp-background-job",
            Self::Awaitless => "awaitless-mcp",
            Self::BashCommand => "bash-command-mcp",
        }
    }
}

/// A server on standard input and output that has been greeted.
pub(crate) struct Client {
    pub(crate) server: Server,
    /// From its start to its first reply, in milliseconds.
    pub(crate) started: f64,
    number: u64,
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    _home: TempDir,
}

impl Client {
    pub(crate) fn start(server: Server, tools: &Tools, home: TempDir) -> Outcome<Self> {
        let program = if server == Server::Jobmcp { tools.jobmcp.clone() } else { tools.need(server.name())? };
        let mut command = command(program, home.path());
        command.env("JOBCORE_STORE", home.path().join("store")).env("AWAITLESS_DATA_DIR", home.path());
        command.env("MCP_BG_MAX_JOBS", "100");
        let begin = now();
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let input = process.stdin.take().ok_or("no standard input")?;
        let output = BufReader::new(process.stdout.take().ok_or("no standard output")?);
        let mut client = Self { server, started: 0.0, number: 0, process, input, output, _home: home };
        let who = json!({ "name": "compare", "version": "0" });
        client.ask("initialize", &json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": who }))?;
        client.started = milliseconds(now() - begin);
        client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))?;
        client.ask("tools/list", &json!({}))?;
        Ok(client)
    }

    pub(crate) fn pid(&self) -> i32 {
        self.process.id().cast_signed()
    }

    fn send(&mut self, message: &Value) -> Outcome<()> {
        Ok(self.input.write_all(format!("{message}\n").as_bytes())?)
    }

    /// Sends a request, and returns the result and the time until it arrived, in milliseconds.
    fn ask(&mut self, method: &str, params: &Value) -> Outcome<(Value, f64)> {
        self.number += 1;
        let request = json!({ "jsonrpc": "2.0", "id": self.number, "method": method, "params": params });
        let begin = now();
        self.send(&request)?;
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line)? == 0 {
                return Err(format!("{} ended", self.server.name()).into());
            }
            let time = milliseconds(now() - begin);
            // Some servers also log to standard output.
            let Ok(mut message) = serde_json::from_str::<Value>(&line) else { continue };
            if message["id"] == self.number {
                return Ok((message["result"].take(), time));
            }
        }
    }

    /// Calls a tool, which must succeed.
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Outcome<(Value, f64)> {
        let (result, time) = self.ask("tools/call", &json!({ "name": tool, "arguments": arguments }))?;
        if result["isError"] == true || result.is_null() {
            return Err(format!("{}: {tool} {arguments}: {result}", self.server.name()).into());
        }
        Ok((result, time))
    }

    /// Starts a command in the background, and returns its id.
    pub(crate) fn start_job(&mut self, words: &str) -> Outcome<(Value, f64)> {
        let (tool, arguments) = match self.server {
            Server::Jobmcp => ("execute", json!({ "command": words, "wait_s": 0 })),
            Server::BackgroundJob => ("execute_command", json!({ "command": words })),
            Server::Awaitless => ("submit_job", json!({ "command": words.split(' ').collect::<Vec<_>>() })),
            Server::BashCommand => ("run_background", json!({ "command": words })),
        };
        let (result, time) = self.call(tool, &arguments)?;
        let text = text(&result);
        let id = match self.server {
            Server::Jobmcp => result["_meta"]["jobcore/job"]["job_id"].clone(),
            Server::BackgroundJob => result["structuredContent"]["job_id"].clone(),
            Server::Awaitless => serde_json::from_str::<Value>(text)?["job_id"].clone(),
            Server::BashCommand => text.lines().find_map(|line| line.strip_prefix("PID: ")).into(),
        };
        if id.is_null() { Err(format!("{} gave no id: {result}", self.server.name()).into()) } else { Ok((id, time)) }
    }

    /// Asks for the state of a job, and returns whether it is unfinished.
    pub(crate) fn is_running(&mut self, id: &Value) -> Outcome<(bool, f64)> {
        let (tool, arguments) = match self.server {
            Server::Jobmcp => ("status", json!({ "job_id": id })),
            Server::BackgroundJob | Server::Awaitless => ("get_job_status", json!({ "job_id": id })),
            // It has no tool for a single job.
            Server::BashCommand => ("list_background", json!({})),
        };
        let (result, time) = self.call(tool, &arguments)?;
        let status = match self.server {
            Server::Jobmcp | Server::BackgroundJob => result["structuredContent"]["status"].clone(),
            Server::Awaitless => serde_json::from_str::<Value>(text(&result))?["state"].clone(),
            Server::BashCommand => {
                let of_this = format!("{}\n", id.as_str().unwrap_or_default());
                let record = text(&result).split("PID: ").find(|record| record.starts_with(&of_this));
                let status = record.and_then(|record| record.split_once("STATUS: ")).map(|(_, status)| status);
                status.and_then(|status| status.split_whitespace().next()).into()
            }
        };
        let unfinished = ["queued", "submitted", "starting", "running"];
        Ok((status.as_str().is_some_and(|status| unfinished.contains(&status)), time))
    }

    /// Starts a job, and waits until it has ended: some servers count a job as running until they are asked about it.
    pub(crate) fn settle(&mut self, words: &str) -> Outcome<(Value, f64)> {
        let (id, time) = self.start_job(words)?;
        while self.is_running(&id)?.0 {}
        Ok((id, time))
    }

    /// Runs `echo hi` until its output has arrived, and returns the time in milliseconds.
    pub(crate) fn echo(&mut self) -> Outcome<f64> {
        let begin = now();
        let (tool, arguments) = match self.server {
            Server::Jobmcp => ("execute", json!({ "command": "echo hi", "wait_s": 50 })),
            Server::Awaitless => ("run", json!({ "command": ["echo", "hi"] })),
            Server::BashCommand => ("run", json!({ "command": "echo hi" })),
            Server::BackgroundJob => ("get_job_output", json!({ "job_id": self.settle("echo hi")?.0 })),
        };
        loop {
            let (result, _) = self.call(tool, &arguments)?;
            let time = milliseconds(now() - begin);
            if result.to_string().contains("hi") {
                return Ok(time);
            }
            // This server may report an end before the output is available.
            if self.server != Server::BackgroundJob {
                return Err(format!("no output in {result}").into());
            }
        }
    }
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_default()
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
