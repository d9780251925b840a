//! Simulated models: the requests of coding agents are answered over HTTP as their prompt says. Each line of a prompt
//! that starts with one of these words is a step, and each result of a tool leads to the next step:
//!
//! - `say TEXT`: answers, and is done.
//! - `shell COMMAND`: has the agent run it.
//! - `write PATH TEXT`: has the agent make a file of one line.
//! - `call TOOL JSON`: calls a tool of the agent, or, as `SERVER.TOOL`, one of an MCP server.
//! - `fail STATUS`: the request fails, whenever it is made.
//! - `never`: starts to answer, and never ends.
//!
//! After the last step, the answer is the last result; a prompt without any step gets a greeting.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use jobcore::clock::Timestamp;
use serde_json::{Value, json};

/// The answer to a prompt without a step.
pub(crate) const GREETING: &str = "Hello. What can I do?";

/// A server that speaks Anthropic's Messages, OpenAI's Responses and Gemini's contents. It ends when it is dropped,
/// with all answers that are being sent.
pub(crate) struct Models {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A request to a model.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) prompt: String,
    /// The prompts before it in the same conversation.
    pub(crate) before: Vec<String>,
    /// The tools that it could call; those of MCP servers as `SERVER.TOOL`.
    pub(crate) tools: Vec<String>,
    /// The results of the tools that it called since the prompt.
    pub(crate) results: Vec<String>,
    /// What is new since its last answer, including text that the agent adds itself.
    pub(crate) said: String,
    pub(crate) at: Timestamp,
}

impl Models {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, over) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::spawn({
            let (heard, over) = (Arc::clone(&heard), Arc::clone(&over));
            move || serve(&listener, &heard, &over)
        });
        Self { address, heard, over, thread: Some(thread) }
    }

    /// The address, without a path.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, in order.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Models {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts connections, so that it sees the flag.
        let _ = TcpStream::connect(self.address);
        let served = self.thread.take().unwrap().join();
        assert!(served.is_ok() || std::thread::panicking(), "a request could not be answered");
    }
}

fn serve(listener: &TcpListener, heard: &Mutex<Vec<Heard>>, over: &AtomicBool) {
    std::thread::scope(|scope| {
        let mut open = Vec::new();
        for stream in listener.incoming().map_while(Result::ok) {
            if over.load(Ordering::SeqCst) {
                break;
            }
            open.push(stream.try_clone().unwrap());
            let connection = Connection(stream);
            // An agent that is stopped hangs up in the middle of an answer.
            scope.spawn(move || answer(&connection.0, heard).unwrap_or_default());
        }
        for stream in open {
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
}

/// A connection that the other side sees closed when this is dropped, even if the socket is still open elsewhere.
struct Connection(TcpStream);

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Answers one request. The end of the connection is the end of the answer.
fn answer(mut stream: &TcpStream, heard: &Mutex<Vec<Heard>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line)?;
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    while !line.trim().is_empty() {
        line.clear();
        reader.read_line(&mut line)?;
        let header = line.to_ascii_lowercase();
        length = header.strip_prefix("content-length:").map_or(length, |value| value.trim().parse().unwrap());
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let dialect: &dyn Dialect = match target.split('?').next().unwrap_or_default() {
        "/v1/messages" => &Messages,
        "/v1/responses" => &Responses,
        path if path.ends_with(":streamGenerateContent") => &Contents,
        "/v1/messages/count_tokens" => return reply(stream, 200, &json!({ "input_tokens": 1000 })),
        // Gemini CLI asks a model for its own purposes, such as who is to speak next.
        path if path.ends_with(":generateContent") => return reply(stream, 200, &Contents::aside()),
        _ => return reply(stream, 404, &error(404)),
    };
    let asked = dialect.heard(&serde_json::from_slice(&body).unwrap());
    let (step, tools) = (Step::of(&asked), asked.tools.clone());
    heard.lock().unwrap().push(asked);
    if let Step::Fail(status) = step {
        return reply(stream, status, &error(status));
    }
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")?;
    for event in dialect.events(&step, &tools) {
        if let Some(kind) = event["type"].as_str() {
            writeln!(stream, "event: {kind}")?;
        }
        write!(stream, "data: {event}\n\n")?;
    }
    if matches!(step, Step::Never) {
        reader.read_to_end(&mut Vec::new())?;
    }
    Ok(())
}

fn reply(mut stream: &TcpStream, status: u16, body: &Value) -> std::io::Result<()> {
    let text = body.to_string();
    let length = text.len();
    let head = format!("HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {length}");
    write!(stream, "{head}\r\nConnection: close\r\n\r\n{text}")
}

/// An error, in a shape that all dialects have.
fn error(status: u16) -> Value {
    let message = format!("failed with {status}, as asked");
    json!({ "type": "error", "error": { "type": "api_error", "message": message, "code": status } })
}

/// What a model does next.
enum Step {
    Say(String),
    Shell(String),
    Write { path: String, text: String },
    Call { tool: String, arguments: Value },
    Fail(u16),
    Never,
}

impl Step {
    fn of(asked: &Heard) -> Self {
        // Requests without a tool are for titles and the like.
        let steps = asked.prompt.lines().filter(|_| !asked.tools.is_empty()).filter_map(Self::parse);
        let mut left = steps.skip(asked.results.len());
        left.next().unwrap_or_else(|| Self::Say(asked.results.last().map_or(GREETING, String::as_str).to_owned()))
    }

    fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (first, second) = rest.split_once(' ').unwrap_or((rest, "{}"));
        let step = match word {
            "say" => Self::Say(rest.to_owned()),
            "shell" => Self::Shell(rest.to_owned()),
            "write" => Self::Write { path: first.to_owned(), text: second.to_owned() },
            "call" => Self::Call { tool: first.to_owned(), arguments: serde_json::from_str(second).unwrap() },
            "fail" => Self::Fail(first.parse().unwrap()),
            "never" => Self::Never,
            _ => return None,
        };
        Some(step)
    }
}

/// The format of requests and answers.
trait Dialect {
    fn heard(&self, body: &Value) -> Heard;

    /// The events of an answer to an agent that has these tools.
    fn events(&self, step: &Step, tools: &[String]) -> Vec<Value>;
}

/// The texts of a content, which may be one text or a list of parts.
fn texts(content: &Value) -> Vec<&str> {
    let parts = content.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
    content.as_str().into_iter().chain(parts).collect()
}

fn array<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

/// Anthropic's Messages, which Claude Code and opencode speak.
struct Messages;

impl Dialect for Messages {
    fn heard(&self, body: &Value) -> Heard {
        let results = |message: &Value| -> Vec<String> {
            let parts = array(message, "content").iter().filter(|part| part["type"] == "tool_result");
            parts.map(|part| texts(&part["content"]).concat()).collect()
        };
        let messages = array(body, "messages");
        // The agent puts text of its own before the prompt.
        let asks = |message: &Value| message["role"] == "user" && results(message).is_empty();
        let last = messages.iter().rposition(asks).unwrap_or_default();
        let prompt = |message: &Value| texts(&message["content"]).last().copied().unwrap_or_default().to_owned();
        let before = messages[..last].iter().filter(|message| asks(message)).map(prompt).collect();
        let prompt = prompt(&messages[last]);
        let names = array(body, "tools").iter().filter_map(|tool| tool["name"].as_str());
        let tools = names.map(|name| match name.strip_prefix("mcp__") {
            Some(name) => name.replacen("__", ".", 1),
            None => name.to_owned(),
        });
        let (tools, results) = (tools.collect(), messages[last..].iter().flat_map(results).collect());
        let answer = messages.iter().rposition(|message| message["role"] == "assistant");
        let new = &messages[answer.map_or(0, |answer| answer + 1)..];
        let said = new.iter().flat_map(|message| texts(&message["content"])).collect::<Vec<_>>().concat();
        Heard { prompt, before, tools, results, said, at: Timestamp::now() }
    }

    fn events(&self, step: &Step, tools: &[String]) -> Vec<Value> {
        let is_opencode = tools.iter().any(|tool| tool == "read");
        let usage = json!({
            "input_tokens": 1000, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 300, "output_tokens": 40,
        });
        // Claude Code takes messages of one id for parts of one message.
        let id = format!("msg_{}", uuid::Uuid::new_v4().simple());
        let message = json!({
            "id": id, "type": "message", "role": "assistant", "model": "made-up", "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": usage,
        });
        let (block, delta, reason) = match step {
            Step::Say(text) => {
                (json!({ "type": "text", "text": "" }), json!({ "type": "text_delta", "text": text }), "end_turn")
            }
            Step::Shell(command) => {
                let name = if is_opencode { "bash" } else { "Bash" };
                self.tool(name, &json!({ "command": command, "description": "As asked" }))
            }
            Step::Write { path, text } if is_opencode => {
                self.tool("write", &json!({ "filePath": path, "content": format!("{text}\n") }))
            }
            Step::Write { path, text } => {
                self.tool("Write", &json!({ "file_path": path, "content": format!("{text}\n") }))
            }
            Step::Call { tool, arguments } => match tool.split_once('.') {
                Some((server, tool)) => self.tool(&format!("mcp__{server}__{tool}"), arguments),
                None => self.tool(tool, arguments),
            },
            Step::Fail(_) | Step::Never => return vec![json!({ "type": "message_start", "message": message })],
        };
        vec![
            json!({ "type": "message_start", "message": message }),
            json!({ "type": "content_block_start", "index": 0, "content_block": block }),
            json!({ "type": "content_block_delta", "index": 0, "delta": delta }),
            json!({ "type": "content_block_stop", "index": 0 }),
            json!({
                "type": "message_delta", "delta": { "stop_reason": reason, "stop_sequence": null },
                "usage": { "output_tokens": 40 },
            }),
            json!({ "type": "message_stop" }),
        ]
    }
}

impl Messages {
    /// The block that calls a tool, its content, and the reason why the answer stops there.
    fn tool(&self, name: &str, input: &Value) -> (Value, Value, &'static str) {
        let id = format!("toolu_{}", uuid::Uuid::new_v4().simple());
        (
            json!({ "type": "tool_use", "id": id, "name": name, "input": {} }),
            json!({ "type": "input_json_delta", "partial_json": input.to_string() }),
            "tool_use",
        )
    }
}

/// OpenAI's Responses, which Codex speaks.
struct Responses;

impl Dialect for Responses {
    fn heard(&self, body: &Value) -> Heard {
        let items = array(body, "input");
        let last = items.iter().rposition(|item| item["role"] == "user").unwrap_or_default();
        let prompt = |item: &Value| texts(&item["content"]).concat();
        let before = items[..last].iter().filter(|item| item["role"] == "user").map(prompt).collect();
        let prompt = prompt(&items[last]);
        let outputs = items[last..].iter().filter(|item| item["type"] == "function_call_output");
        let results = outputs.map(|item| texts(&item["output"]).concat()).collect();
        let tools = array(body, "tools").iter().flat_map(|tool| {
            let name = tool["name"].as_str().or(tool["type"].as_str()).unwrap_or_default();
            let server = name.strip_prefix("mcp__").unwrap_or(name);
            match array(tool, "tools") {
                [] => vec![name.to_owned()],
                tools => tools.iter().map(|tool| format!("{server}.{}", tool["name"].as_str().unwrap())).collect(),
            }
        });
        let is_old = |item: &Value| item["role"] == "assistant" || item["type"] != "message";
        let new = items.iter().rposition(is_old).map_or(0, |old| old + 1);
        let said = items[new..].iter().flat_map(|item| texts(&item["content"])).collect::<Vec<_>>().concat();
        Heard { prompt, before, tools: tools.collect(), results, said, at: Timestamp::now() }
    }

    fn events(&self, step: &Step, _: &[String]) -> Vec<Value> {
        let item = match step {
            Step::Say(text) => {
                let content = json!([{ "type": "output_text", "text": text }]);
                json!({ "type": "message", "role": "assistant", "id": "msg_1", "content": content })
            }
            // It is waited for, however long it runs.
            Step::Shell(command) => {
                self.tool(None, "exec_command", &json!({ "cmd": command, "yield_time_ms": 600_000 }))
            }
            Step::Write { path, text } => {
                let patch = format!("*** Begin Patch\n*** Add File: {path}\n+{text}\n*** End Patch");
                self.tool(None, "exec_command", &json!({ "cmd": format!("apply_patch <<'EOF'\n{patch}\nEOF") }))
            }
            Step::Call { tool, arguments } => match tool.split_once('.') {
                Some((server, tool)) => self.tool(Some(&format!("mcp__{server}")), tool, arguments),
                None => self.tool(None, tool, arguments),
            },
            Step::Fail(_) | Step::Never => {
                return vec![json!({ "type": "response.created", "response": { "id": "resp_1" } })];
            }
        };
        let usage = json!({
            "input_tokens": 1000, "input_tokens_details": { "cached_tokens": 300 }, "total_tokens": 1040,
            "output_tokens": 40, "output_tokens_details": { "reasoning_tokens": 5 },
        });
        vec![
            json!({ "type": "response.created", "response": { "id": "resp_1" } }),
            json!({ "type": "response.output_item.done", "output_index": 0, "item": item }),
            json!({ "type": "response.completed", "response": { "id": "resp_1", "usage": usage } }),
        ]
    }
}

impl Responses {
    fn tool(&self, namespace: Option<&str>, name: &str, arguments: &Value) -> Value {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let mut call = json!({ "type": "function_call", "id": format!("fc_{id}"), "call_id": id, "name": name });
        call["arguments"] = arguments.to_string().into();
        if let Some(namespace) = namespace {
            call["namespace"] = namespace.into();
        }
        call
    }
}

/// Gemini's contents, which Gemini CLI speaks.
struct Contents;

impl Dialect for Contents {
    fn heard(&self, body: &Value) -> Heard {
        let results = |content: &Value| -> Vec<String> {
            let answered =
                array(content, "parts").iter().filter_map(|part| part["functionResponse"]["response"].as_object());
            answered.map(|response| response.values().filter_map(Value::as_str).collect()).collect()
        };
        let contents = array(body, "contents");
        let asks = |content: &Value| content["role"] == "user" && results(content).is_empty();
        let last = contents.iter().rposition(asks).unwrap_or_default();
        let prompt = |content: &Value| {
            let parts = array(content, "parts").iter();
            parts.filter_map(|part| part["text"].as_str()).next_back().unwrap_or_default().to_owned()
        };
        let before = contents[..last].iter().filter(|content| asks(content)).map(prompt).collect();
        let said = contents.last().map(prompt).unwrap_or_default();
        let (prompt, results) = (prompt(&contents[last]), contents[last..].iter().flat_map(results).collect());
        let declared = array(body, "tools").iter().flat_map(|tool| array(tool, "functionDeclarations"));
        let tools = declared.filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect();
        Heard { prompt, before, tools, results, said, at: Timestamp::now() }
    }

    fn events(&self, step: &Step, _: &[String]) -> Vec<Value> {
        let call = |name: &str, arguments: &Value| json!({ "functionCall": { "name": name, "args": arguments } });
        let part = match step {
            Step::Say(text) => json!({ "text": text }),
            Step::Shell(command) => {
                call("run_shell_command", &json!({ "command": command, "description": "As asked" }))
            }
            Step::Write { path, text } => {
                call("write_file", &json!({ "file_path": path, "content": format!("{text}\n") }))
            }
            Step::Call { tool, arguments } => call(tool, arguments),
            Step::Fail(_) | Step::Never => return vec![json!({ "candidates": [] })],
        };
        vec![Self::answer(&part)]
    }
}

impl Contents {
    fn answer(part: &Value) -> Value {
        json!({
            "candidates": [{ "index": 0, "finishReason": "STOP", "content": { "role": "model", "parts": [part] } }],
            "usageMetadata": { "promptTokenCount": 1000, "candidatesTokenCount": 40, "totalTokenCount": 1040,
                "cachedContentTokenCount": 300 },
            "modelVersion": "made-up",
        })
    }

    /// The answer to a question that the CLI asks for its own purposes.
    fn aside() -> Value {
        Self::answer(&json!({ "text": r#"{"reasoning": "made up", "next_speaker": "user"}"# }))
    }
}
