//! A client of the MCP server that knows no more than the protocol: lines of JSON.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use serde_json::{Value, json};

use crate::support::{PATIENCE, TestEnv, wait_for};

/// The server under test.
pub(crate) const JOBMCP: &str = env!("CARGO_BIN_EXE_jobmcp-under-test");

fn hello(capabilities: &Value) -> Value {
    json!({
        "protocolVersion": "2025-06-18", "capabilities": capabilities, "clientInfo": { "name": "test", "version": "0" },
    })
}

/// Reads the messages of a server.
fn messages(stdout: ChildStdout) -> Receiver<Value> {
    let (sender, messages) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let message = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"));
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    messages
}

/// A server, and the client that started it. The server is killed when this is dropped, if it is still running.
pub(crate) struct Client {
    server: Child,
    stdin: Option<ChildStdin>,
    messages: Receiver<Value>,
    /// The answers that arrived while another one was awaited.
    answers: Vec<Value>,
    notes: Vec<Value>,
    next: u64,
    /// What a request says about its client, if the protocol wants that in each request.
    meta: Option<Value>,
    /// The output of a server whose client does not read.
    unread: Option<ChildStdout>,
}

impl Client {
    fn start(env: &TestEnv) -> Self {
        Self::start_as(env.command(JOBMCP))
    }

    fn start_as(mut server: Command) -> Self {
        let mut server = server.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let messages = messages(server.stdout.take().unwrap());
        let stdin = server.stdin.take();
        Self { server, stdin, messages, answers: Vec::new(), notes: Vec::new(), next: 0, meta: None, unread: None }
    }

    /// Starts a server and greets it, but does not read.
    pub(crate) fn deaf(env: &TestEnv) -> Self {
        let mut server = env.command(JOBMCP).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, unread) = (server.stdin.take(), server.stdout.take());
        let (messages, (answers, notes)) = (channel().1, Default::default());
        let mut client = Self { server, stdin, messages, answers, notes, next: 0, meta: None, unread };
        client.send("initialize", hello(&json!({})));
        client.notify("notifications/initialized", json!({}));
        client
    }

    /// Starts to read what the server has written since it was started.
    pub(crate) fn hear(&mut self) {
        self.messages = messages(self.unread.take().unwrap());
    }

    /// Writes lines that the server may never read.
    pub(crate) fn flood(&self, lines: String) {
        let stdin = self.stdin.as_ref().unwrap().as_fd().try_clone_to_owned().unwrap();
        std::thread::spawn(move || File::from(stdin).write_all(lines.as_bytes()));
    }

    /// Starts a server and greets it as clients have done for years.
    pub(crate) fn legacy(env: &TestEnv) -> Self {
        Self::greeting(env, &json!({}))
    }

    /// Like [`Client::legacy`], but names an extension that such clients cannot use.
    pub(crate) fn legacy_that_names_tasks(env: &TestEnv) -> Self {
        Self::greeting(env, &json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } }))
    }

    fn greeting(env: &TestEnv, capabilities: &Value) -> Self {
        let mut client = Self::start(env);
        client.greet(capabilities);
        client
    }

    fn greet(&mut self, capabilities: &Value) {
        let answer = self.ask("initialize", hello(capabilities));
        assert_eq!(answer["result"]["protocolVersion"], "2025-06-18", "{answer}");
        self.notify("notifications/initialized", json!({}));
    }

    /// Starts a server with this command, and greets it.
    pub(crate) fn of(server: Command) -> Self {
        let mut client = Self::start_as(server);
        client.greet(&json!({}));
        client
    }

    /// Starts a server without a greeting: each request speaks for itself.
    pub(crate) fn modern(env: &TestEnv) -> Self {
        let mut client = Self::start(env);
        client.meta = Some(json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "0" },
            "io.modelcontextprotocol/clientCapabilities": {},
        }));
        client
    }

    /// Like [`Client::modern`], but each request says that its client supports tasks.
    pub(crate) fn with_tasks(env: &TestEnv) -> Self {
        let mut client = Self::modern(env);
        let capabilities = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
        client.meta.as_mut().unwrap()["io.modelcontextprotocol/clientCapabilities"] = capabilities;
        client
    }

    pub(crate) fn pid(&self) -> i32 {
        self.server.id().try_into().unwrap()
    }

    fn write(&mut self, message: &Value) {
        self.write_line(message.to_string().as_bytes());
    }

    /// Writes a line, which need not be a message.
    pub(crate) fn write_line(&mut self, line: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(&[line, b"\n"].concat()).unwrap();
    }

    pub(crate) fn notify(&mut self, method: &str, params: Value) {
        let mut message = json!({ "jsonrpc": "2.0", "method": method });
        message["params"] = params;
        self.write(&message);
    }

    /// Sends a request, and returns its id.
    pub(crate) fn send(&mut self, method: &str, mut params: Value) -> u64 {
        self.next += 1;
        if let Some(meta) = &self.meta {
            for (key, value) in meta.as_object().unwrap() {
                params["_meta"][key] = value.clone();
            }
        }
        self.write(&json!({ "jsonrpc": "2.0", "id": self.next, "method": method, "params": params }));
        self.next
    }

    /// Sends a call of a tool, and returns its id.
    pub(crate) fn send_call(&mut self, tool: &str, arguments: Value) -> u64 {
        let mut params = json!({ "name": tool });
        params["arguments"] = arguments;
        self.send("tools/call", params)
    }

    /// Returns the answer to a request.
    pub(crate) fn answer(&mut self, number: u64) -> Value {
        self.answer_to(&number.into())
    }

    /// Returns the answer with this id, which is null if the server could not read the id.
    pub(crate) fn answer_to(&mut self, id: &Value) -> Value {
        loop {
            if let Some(index) = self.answers.iter().position(|answer| answer["id"] == *id) {
                return self.answers.remove(index);
            }
            match self.messages.recv_timeout(PATIENCE) {
                Ok(message) if message.get("id").is_some() => self.answers.push(message),
                Ok(note) => self.notes.push(note),
                Err(RecvTimeoutError::Disconnected) => panic!("the server ended before it answered"),
                Err(RecvTimeoutError::Timeout) => panic!("waited {PATIENCE:?} for an answer"),
            }
        }
    }

    /// Returns the answer of a server that was killed, if it was written in time.
    pub(crate) fn last_answer(&mut self, number: u64) -> Option<Value> {
        let rest = std::iter::from_fn(|| self.messages.recv_timeout(PATIENCE).ok());
        self.answers.extend(rest.filter(|message| message.get("id").is_some()));
        self.answers.iter().position(|answer| answer["id"] == number).map(|index| self.answers.remove(index))
    }

    /// Returns whether there is no answer that was not asked for.
    pub(crate) fn has_no_answers(&self) -> bool {
        self.answers.is_empty()
    }

    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        let number = self.send(method, params);
        self.answer(number)
    }

    /// The notifications of the server so far.
    pub(crate) fn notes(&self) -> &[Value] {
        &self.notes
    }

    /// Returns and removes the first notification that `is_it` accepts.
    pub(crate) fn note(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            if let Some(index) = self.notes.iter().position(&is_it) {
                return self.notes.remove(index);
            }
            match self.messages.recv_timeout(PATIENCE) {
                Ok(message) if message.get("id").is_some() => self.answers.push(message),
                Ok(note) => self.notes.push(note),
                Err(error) => panic!("waited for a notification: {error}"),
            }
        }
    }

    /// Calls a tool, and returns its result, whether or not that is an error.
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Called {
        let number = self.send_call(tool, arguments);
        Called::of(&self.answer(number))
    }

    /// Calls a tool, which must succeed.
    pub(crate) fn ok(&mut self, tool: &str, arguments: Value) -> Called {
        let called = self.call(tool, arguments);
        assert!(!called.is_error, "{}", called.text);
        called
    }

    /// Closes the connection, and returns how the server ended.
    pub(crate) fn close(&mut self) -> ExitStatus {
        drop(self.stdin.take());
        self.end()
    }

    /// Waits for the end of the server.
    pub(crate) fn end(&mut self) -> ExitStatus {
        wait_for("the end of the server", || self.server.try_wait().unwrap())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The result of a call.
pub(crate) struct Called {
    pub(crate) text: String,
    pub(crate) is_error: bool,
    pub(crate) structured: Value,
    /// The job as programs see it.
    pub(crate) job: Value,
}

impl Called {
    pub(crate) fn of(answer: &Value) -> Self {
        let result = &answer["result"];
        assert!(result.is_object(), "{answer}");
        Self {
            text: result["content"][0]["text"].as_str().unwrap().to_owned(),
            is_error: result["isError"] == true,
            structured: result["structuredContent"].clone(),
            job: result["_meta"]["jobcore/job"].clone(),
        }
    }

    /// The full id of the job.
    pub(crate) fn id(&self) -> String {
        self.job["job_id"].as_str().unwrap().to_owned()
    }
}
