//! A client of the MCP server over HTTP that knows no more than the protocol: one connection for each request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ExitStatus, Stdio};

use serde_json::{Value, json};

use crate::mcp_client::{Called, JOBMCP};
use crate::support::{PATIENCE, TestEnv, wait_for};

/// A server on a port of its own. It is killed when this is dropped, if it is still running.
pub(crate) struct HttpServer {
    server: Child,
    pub(crate) address: String,
    /// What it printed about the token.
    pub(crate) said: String,
    pub(crate) token: String,
}

impl HttpServer {
    pub(crate) fn start(env: &TestEnv) -> Self {
        Self::start_with(env, &[], &[])
    }

    /// Starts a server with these arguments and these variables.
    pub(crate) fn start_with(env: &TestEnv, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = env.command(JOBMCP);
        command.args(["serve", "--http", "127.0.0.1:0"]).args(arguments).envs(variables.iter().copied());
        let mut server = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(server.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut after = |start: &str| {
            let found = lines.find_map(|line| line.strip_prefix(start).map(str::to_owned));
            found.unwrap_or_else(|| panic!("the server did not print `{start}`"))
        };
        let address = after("jobmcp serves http://").strip_suffix("/mcp").unwrap().to_owned();
        let said = after("clients must send a token: ");
        // The rest of its output is not needed, but must be read so that the server does not block.
        std::thread::spawn(move || lines.for_each(drop));
        let token = std::fs::read_to_string(env.store().join("mcp-token")).unwrap_or_default();
        Self { server, address, said, token: token.trim().to_owned() }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.server.id().try_into().unwrap()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a request, and returns the connection.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        let has_host = headers.iter().any(|(name, _)| *name == "Host");
        let host = [("Host", self.address.as_str())];
        for (name, value) in host.iter().filter(|_| !has_host).chain(headers) {
            text += &format!("{name}: {value}\r\n");
        }
        let mut stream = self.connect();
        stream.write_all(format!("{text}\r\n").as_bytes()).unwrap();
        // The server may have answered, and closed its end, before it read everything.
        let _ = stream.write_all(body.as_bytes());
        stream
    }

    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        Response::read(self.send(method, path, headers, body))
    }

    /// Posts a message with the token, to be answered with JSON or events.
    pub(crate) fn post(&self, headers: &[(&str, &str)], message: &Value) -> Response {
        Response::read(self.send_post(headers, message))
    }

    /// Posts a message with the token, and returns the connection.
    pub(crate) fn send_post(&self, headers: &[(&str, &str)], message: &Value) -> TcpStream {
        let authorization = format!("Bearer {}", self.token);
        let usual = [
            ("Authorization", authorization.as_str()),
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
        ];
        self.send("POST", "/mcp", &[&usual, headers].concat(), &message.to_string())
    }

    /// Sends a request as clients do that send no greeting, and returns the connection.
    pub(crate) fn send_modern(&self, method: &str, headers: &[(&str, &str)], mut params: Value) -> TcpStream {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "0" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let usual = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", method)];
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.send_post(&[&usual, headers].concat(), &message)
    }

    /// Sends a call of a tool in the same way, and returns the connection.
    pub(crate) fn send_call(&self, tool: &str, arguments: &Value) -> TcpStream {
        self.send_modern("tools/call", &[("Mcp-Name", tool)], json!({ "name": tool, "arguments": arguments }))
    }

    /// Sends a request in the same way, and returns the answer.
    pub(crate) fn ask(&self, method: &str, params: Value) -> Value {
        Response::read(self.send_modern(method, &[], params)).message()
    }

    /// Calls a tool, and returns its result, whether or not that is an error.
    pub(crate) fn call(&self, tool: &str, arguments: &Value) -> Called {
        Called::of(&Response::read(self.send_call(tool, arguments)).message())
    }

    /// Calls a tool, which must succeed.
    pub(crate) fn ok(&self, tool: &str, arguments: &Value) -> Called {
        let called = self.call(tool, arguments);
        assert!(!called.is_error, "{}", called.text);
        called
    }

    /// Waits for the end of the server.
    pub(crate) fn end(&mut self) -> ExitStatus {
        wait_for("the end of the server", || self.server.try_wait().unwrap())
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The response to a request.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Response {
    /// Reads until the server closes the connection.
    pub(crate) fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        // The part that was received before a connection is reset counts.
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut response = Self { status, head: head.to_owned(), body: String::new() };
        response.body = match response.header("transfer-encoding") {
            Some("chunked") => unchunked(body),
            _ => body.to_owned(),
        };
        response
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The answer: the only message, or the last event.
    pub(crate) fn message(&self) -> Value {
        let mut events = self.body.lines().filter_map(|line| line.strip_prefix("data: "));
        let message = events.rfind(|data| !data.is_empty()).unwrap_or(&self.body);
        serde_json::from_str(message).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// Joins the chunks of a body, the last of which is empty and must be present.
fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n").unwrap_or_else(|| panic!("cut off after {whole:?}"));
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return whole;
        }
        whole += &rest[..size];
        body = &rest[size + 2..];
    }
}
