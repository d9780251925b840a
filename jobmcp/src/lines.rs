//! Messages as lines of JSON. Valid messages are passed to the SDK. Invalid ones are answered here, since the SDK
//! silently ignores most of them, and the client would wait for an answer that never comes.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rmcp::RoleServer;
use rmcp::model::{
    CancelledNotification, ClientJsonRpcMessage, ClientNotification, ClientRequest, ErrorCode, GetExtensions, GetMeta,
    JsonRpcMessage, NumberOrString, ProtocolVersion, RequestId,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use crate::call::Written;
use crate::server::LARGEST_REQUEST;
use crate::text;

/// How many bytes of the end of an overlong line are kept as well: some clients put the id there.
const END: usize = 256;
/// Nothing more is read from a client while its unanswered requests and unread answers take this many bytes, so that
/// memory stays bounded.
const MOST_OWED: usize = 64 << 20;
/// What a request counts besides its bytes until it is answered: about the size of the largest answer. So a client can
/// have about a thousand requests in flight.
const UNANSWERED: usize = 64 << 10;
/// What an answer counts besides its bytes until it is written.
const UNWRITTEN: usize = 1 << 10;
/// How many characters before a syntax error are shown.
const SHOWN: usize = 40;

/// The lines of one client.
pub(crate) struct Lines<R, W> {
    reader: R,
    /// What has been read of the current line: all of it, or its beginning up to the limit and its end.
    line: Vec<u8>,
    length: usize,
    writer: Arc<Mutex<W>>,
    owed: Arc<Owed>,
    /// The unanswered requests, by id.
    in_flight: HashMap<RequestId, (Arc<Share>, Written)>,
    is_greeted: bool,
    /// Is cancelled when the client has disconnected, so that waiting calls do not keep the server alive.
    closing: CancellationToken,
}

impl<R: AsyncBufRead + Unpin, W: AsyncWrite + Unpin + Send + 'static> Lines<R, W> {
    pub(crate) fn new(reader: R, writer: W, closing: CancellationToken) -> Self {
        let writer = Arc::new(Mutex::new(writer));
        let (line, owed, in_flight) = (Vec::new(), Arc::default(), HashMap::new());
        Self { reader, line, length: 0, writer, owed, in_flight, is_greeted: false, closing }
    }

    /// Reads a line, and returns it with its length; nothing at the end. Cancellation loses nothing.
    async fn next_line(&mut self) -> Option<(Vec<u8>, usize)> {
        loop {
            // An error is treated as the end: nothing can come after it.
            let read = self.reader.fill_buf().await.unwrap_or_default();
            let is_last = read.is_empty();
            let line_end = read.iter().position(|byte| *byte == b'\n');
            let count = line_end.map_or(read.len(), |index| index + 1);
            self.line.extend_from_slice(&read[..line_end.unwrap_or(count)]);
            self.length += count;
            self.reader.consume(count);
            if let Some(excess) = self.line.len().checked_sub(LARGEST_REQUEST + END) {
                self.line.drain(LARGEST_REQUEST..LARGEST_REQUEST + excess);
            }
            if line_end.is_some() || is_last && self.length > 0 {
                return Some((std::mem::take(&mut self.line), std::mem::take(&mut self.length)));
            }
            if is_last {
                return None;
            }
        }
    }

    /// Writes a line without interruption by others, and returns whether it was written. If writing fails, the client has
    /// disconnected.
    fn write(&self, mut line: Vec<u8>) -> impl Future<Output = bool> + Send + 'static {
        line.push(b'\n');
        let writer = Arc::clone(&self.writer);
        let closing = self.closing.clone();
        // The allocation may be up to twice as large as the text.
        let share = Share::new(&self.owed, line.capacity() + UNWRITTEN);
        async move {
            let mut writer = writer.lock().await;
            let written = match writer.write_all(&line).await {
                Ok(()) => writer.flush().await,
                Err(error) => Err(error),
            };
            drop(share);
            if let Err(error) = &written {
                tracing::debug!(%error, "a message could not be written: the client does not read");
                closing.cancel();
            }
            written.is_ok()
        }
    }

    /// Counts a request until it is answered and its handler has ended. Refuses a request whose id is in use: the SDK
    /// would answer only one of the two.
    fn admit(&mut self, message: &mut ClientJsonRpcMessage, length: usize) -> Result<(), Value> {
        match message {
            JsonRpcMessage::Request(request) if self.in_flight.contains_key(&request.id) => {
                let reason = "a request with this id is still unanswered; give each request its own id";
                Err(refusal(Some(&json!(request.id)), ErrorCode::INVALID_REQUEST, reason))
            }
            JsonRpcMessage::Request(request) => {
                let share = Arc::new(Share::new(&self.owed, length + UNANSWERED));
                let written = Written(CancellationToken::new());
                let extensions = request.request.extensions_mut();
                extensions.insert(Arc::clone(&share));
                extensions.insert(written.clone());
                self.in_flight.insert(request.id.clone(), (share, written));
                Ok(())
            }
            JsonRpcMessage::Notification(notification) => {
                // The SDK does not answer a cancelled request.
                if let ClientNotification::CancelledNotification(CancelledNotification { params, .. }) =
                    &notification.notification
                    && let Some(id) = &params.request_id
                {
                    self.in_flight.remove(id);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Returns whether a message can be passed to the SDK, which ends if a notification comes before the first request.
    fn may_pass(&mut self, message: &ClientJsonRpcMessage) -> bool {
        let ClientJsonRpcMessage::Request(request) = message else { return self.is_greeted };
        self.is_greeted |= match &request.request {
            ClientRequest::InitializeRequest(_) => true,
            ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
            request => request.get_meta().missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty(),
        };
        true
    }
}

impl<R, W> Transport<RoleServer> for Lines<R, W>
where
    R: AsyncBufRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send + 'static,
{
    type Error = io::Error;

    fn send(&mut self, message: TxJsonRpcMessage<RoleServer>) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let answered = match &message {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            _ => None,
        };
        let written = answered.and_then(|id| self.in_flight.remove(id)).map(|(_, written)| written);
        let line = serde_json::to_vec(&message).map(|line| self.write(line));
        async move {
            if line?.await
                && let Some(Written(written)) = written
            {
                written.cancel();
            }
            Ok(())
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            self.owed.little().await;
            let Some((line, length)) = self.next_line().await else {
                self.closing.cancel();
                return None;
            };
            let refused = match read(&line, length) {
                Ok(mut message) if self.may_pass(&message) => match self.admit(&mut message, length) {
                    Ok(()) => return Some(message),
                    Err(answer) => Some(answer),
                },
                Ok(_) => None,
                Err(answer) => answer,
            };
            if let Some(answer) = refused {
                tracing::info!(%answer, "refused");
                // In its own task: the SDK drops this future whenever it has something else to do.
                tokio::spawn(self.write(answer.to_string().into()));
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a client owes: its unanswered requests, and answers that it has not read.
#[derive(Debug, Default)]
struct Owed {
    bytes: AtomicUsize,
    less: Notify,
}

impl Owed {
    /// Waits until the client owes little enough.
    async fn little(&self) {
        while self.bytes.load(Ordering::Relaxed) > MOST_OWED {
            self.less.notified().await;
        }
    }
}

/// A part of what is owed, until this is dropped.
#[derive(Debug)]
struct Share {
    owed: Arc<Owed>,
    bytes: usize,
}

impl Share {
    fn new(owed: &Arc<Owed>, bytes: usize) -> Self {
        owed.bytes.fetch_add(bytes, Ordering::Relaxed);
        Self { owed: Arc::clone(owed), bytes }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.owed.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.owed.less.notify_one();
    }
}

/// Parses a message, or returns the answer to an invalid one. Invalid notifications and replies get no answer.
pub(crate) fn read(line: &[u8], length: usize) -> Result<ClientJsonRpcMessage, Option<Value>> {
    if length > LARGEST_REQUEST + END {
        let reason = format!("the line has {length} bytes; at most {LARGEST_REQUEST} are accepted");
        let (start, end) = line.split_at(LARGEST_REQUEST);
        let id = Head::of(start).id.or_else(|| id_at_end(end));
        return Err(Some(refusal(id.as_ref(), ErrorCode::INVALID_REQUEST, &reason)));
    }
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line).trim_ascii();
    if line.is_empty() {
        return Err(None);
    }
    let error = match serde_json::from_slice(line) {
        Ok(message) => return Ok(message),
        Err(error) => error,
    };
    let head = Head::of(line);
    if head.is_whole && if head.has_method { head.id.is_none() } else { head.is_reply } {
        // A notification, or a reply to no request.
        return Err(None);
    }
    let (code, reason) = match error.classify() {
        Category::Syntax | Category::Eof | Category::Io => {
            let before = String::from_utf8_lossy(&line[..error.column().min(line.len())]);
            let before = text::end(&before, SHOWN);
            let halves = match before.to_lowercase().contains("\\ud") {
                true => "; \\ud800 to \\udfff are halves of surrogate pairs; both are needed",
                false => "",
            };
            (ErrorCode::PARSE_ERROR, format!("invalid JSON: {error}, after `{before}`{halves}"))
        }
        Category::Data if line.starts_with(b"[") => {
            (ErrorCode::INVALID_REQUEST, "batches are not supported; send each message on its own".to_owned())
        }
        Category::Data => (
            ErrorCode::INVALID_REQUEST,
            "not a JSON-RPC 2.0 request: `jsonrpc` must be \"2.0\", `id` a string or an integer, `method` a string, and \
            `params`, if present, an object"
                .to_owned(),
        ),
    };
    Err(Some(refusal(head.id.as_ref(), code, &reason)))
}

/// Returns the id of a request as it is written; nothing if the message is not a request.
pub(crate) fn request_id(message: &[u8]) -> Option<String> {
    let head = Head::of(message);
    head.id.filter(|_| head.has_method).map(|id| id.to_string())
}

fn refusal(id: Option<&Value>, code: ErrorCode, reason: &str) -> Value {
    // An invalid id cannot be used in an answer.
    let id = id.filter(|id| serde_json::from_value::<NumberOrString>((*id).clone()).is_ok());
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": reason } })
}

/// What is known about an invalid message, as far as it can be parsed.
#[derive(Debug, Default)]
struct Head {
    id: Option<Value>,
    has_method: bool,
    is_reply: bool,
    /// Whether it is a complete object.
    is_whole: bool,
}

impl Head {
    fn of(line: &[u8]) -> Self {
        let mut head = Self::default();
        let mut reader = serde_json::Deserializer::from_slice(line);
        head.is_whole = reader.deserialize_map(&mut head).and_then(|()| reader.end()).is_ok();
        head
    }
}

impl<'de> Visitor<'de> for &mut Head {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(field) = fields.next_key::<String>()? {
            match field.as_str() {
                "id" => {
                    self.id = Some(fields.next_value()?);
                    continue;
                }
                "method" => self.has_method = true,
                "result" | "error" => self.is_reply = true,
                _ => {}
            }
            // The value does not matter: invalid strings and numbers out of range are skipped.
            fields.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// Returns the id if it is the last field of a message.
fn id_at_end(end: &[u8]) -> Option<Value> {
    let start = end.windows(4).rposition(|bytes| bytes == b"\"id\"")?;
    let head = Head::of(&[b"{", &end[start..]].concat());
    head.id.filter(|_| head.is_whole)
}

/// Checks that any line of a client is passed on, is answered with an error that has its id or none, or needs no
/// answer.
#[cfg(test)]
pub(crate) fn check(line: &[u8]) {
    let Err(Some(answer)) = read(line, line.len()) else { return };
    assert_eq!(answer["jsonrpc"], "2.0");
    let id = &answer["id"];
    assert!(id.is_null() || serde_json::from_value::<NumberOrString>(id.clone()).is_ok(), "{id} is not an id");
    if let Ok(Value::Object(message)) = serde_json::from_slice(line) {
        let own = message.get("id").unwrap_or(&Value::Null);
        assert!(id.is_null() || id == own, "the id is {own}, and the answer has {id}");
    }
    let code = &answer["error"]["code"];
    assert!([ErrorCode::INVALID_REQUEST, ErrorCode::PARSE_ERROR].iter().any(|known| *code == json!(known)), "{code}");
    let text = answer["error"]["message"].as_str().expect("an error without a message");
    assert!(text.len() < 1000, "an answer of {} bytes", text.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &[u8]) -> Value {
        read(line, line.len()).expect_err("a valid message").expect("no answer")
    }

    #[test]
    fn an_invalid_message_is_answered_with_its_id() {
        for (line, id, code) in [
            (r#"{"jsonrpc":"2.0","id":7,"method":"x","params":{"a":"\ud800"}}"#, json!(7), -32700),
            (r#"{"method":"x","params":{"a":"\ud800"},"jsonrpc":"2.0","id":"end"}"#, json!("end"), -32700),
            (r#"{"jsonrpc":"2.0","id":7,"method":"x","params":{"#, json!(7), -32700),
            (r#"{"jsonrpc":"2.0","id":7,"method":"x","params":{"a":1e999}}"#, json!(7), -32700),
            ("nonsense", json!(null), -32700),
            (r#"{"jsonrpc":"2.0","id":7}"#, json!(7), -32600),
            (r#"{"jsonrpc":"2.0","id":7.5,"method":"x"}"#, json!(null), -32600),
            (r#"{"jsonrpc":"2.0","id":{},"method":"x"}"#, json!(null), -32600),
            (r#"{"jsonrpc":"1.0","id":7,"method":"x"}"#, json!(7), -32600),
            (r#"{"jsonrpc":"2.0","id":7,"method":"ping","result":{}}"#, json!(7), -32600),
            (r#"[{"jsonrpc":"2.0","id":7,"method":"x"}]"#, json!(null), -32600),
            ("7", json!(null), -32600),
        ] {
            let answer = refused(line.as_bytes());
            assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &code.into()), "{line}: {answer}");
        }
        let surrogate = refused(r#"{"id":7,"params":{"input":"a\ud800"}}"#.as_bytes());
        assert!(surrogate["error"]["message"].as_str().unwrap().contains(r#""input":"a\ud800"#), "{surrogate}");
        assert_eq!(refused(b"{\"id\":7,\"method\":\"x\",\"params\":{\"a\":\"\xff\"}}")["id"], 7);
    }

    #[test]
    fn invalid_notifications_and_replies_get_no_answer() {
        for line in ["", " \r", r#"{"jsonrpc":"2.0","method":7}"#, r#"{"jsonrpc":"2.0","id":1,"error":{}}"#] {
            assert_eq!(read(line.as_bytes(), line.len()).expect_err("a valid message"), None, "{line}");
        }
        assert!(read("\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r".as_bytes(), 50).is_ok());
    }

    #[tokio::test]
    async fn the_id_of_an_overlong_line_is_found_at_either_end() {
        let filler = "x".repeat(2 * LARGEST_REQUEST);
        for (line, id) in [
            (format!(r#"{{"id":1,"params":"{filler}"}}"#), json!(1)),
            (format!(r#"{{"params":"{filler}","jsonrpc":"2.0","id":"b"}}"#), json!("b")),
            (format!(r#"{{"params":{{"a":"{filler}","id":2}}}}"#), json!(null)),
            (format!(r#"{{"params":"{filler},\"id\":3}}"#), json!(null)),
        ] {
            let text = format!("{line}\n{{}}");
            let mut lines = Lines::new(text.as_bytes(), tokio::io::sink(), CancellationToken::new());
            let (kept, length) = lines.next_line().await.unwrap();
            assert!(kept.len() == LARGEST_REQUEST + END && length == line.len() + 1);
            assert_eq!(read(&kept, length).unwrap_err().unwrap()["id"], id);
            assert_eq!(lines.next_line().await, Some((b"{}".to_vec(), 2)), "the line after it is read");
            assert_eq!(lines.next_line().await, None);
        }
    }
}
