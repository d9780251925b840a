//! Messages as lines of JSON. What can be read goes on to the SDK; what cannot is answered here, since the SDK passes over
//! most of it in silence, and a client would wait for an answer that never comes.

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

/// Of a line that is too long, the end is looked at, too: some clients put the id there.
const END: usize = 256;
/// Nothing more is read from a client while it owes this much reading, in bytes, so that nothing can pile up here.
const MOST_OWED: usize = 64 << 20;
/// What a request costs besides its bytes until it is answered: about as much as an answer has at most. So a client can
/// have about a thousand requests in flight.
const UNANSWERED: usize = 64 << 10;
/// What an answer costs besides its bytes until it is written.
const UNWRITTEN: usize = 1 << 10;
/// So much of what could be read is shown with what is wrong.
const SHOWN: usize = 40;

/// The lines of one client.
pub(crate) struct Lines<R, W> {
    reader: R,
    /// What has been read of a line: all of it, or as much as may be, and the end.
    line: Vec<u8>,
    length: usize,
    writer: Arc<Mutex<W>>,
    owed: Arc<Owed>,
    /// The requests that are not answered yet, by their ids.
    in_flight: HashMap<RequestId, (Arc<Share>, Written)>,
    is_greeted: bool,
    /// Is cancelled when the client has gone, so that calls that wait do not keep the server alive for nobody.
    closing: CancellationToken,
}

impl<R: AsyncBufRead + Unpin, W: AsyncWrite + Unpin + Send + 'static> Lines<R, W> {
    pub(crate) fn new(reader: R, writer: W, closing: CancellationToken) -> Self {
        let writer = Arc::new(Mutex::new(writer));
        let (line, owed, in_flight) = (Vec::new(), Arc::default(), HashMap::new());
        Self { reader, line, length: 0, writer, owed, in_flight, is_greeted: false, closing }
    }

    /// Reads a line, and returns how long it is; nothing at the end. Whoever gives up meanwhile loses nothing of it.
    async fn next_line(&mut self) -> Option<(Vec<u8>, usize)> {
        loop {
            // An error is as good as the end: nothing can come after it.
            let read = self.reader.fill_buf().await.unwrap_or_default();
            let is_over = read.is_empty();
            let line_end = read.iter().position(|byte| *byte == b'\n');
            let count = line_end.map_or(read.len(), |index| index + 1);
            self.line.extend_from_slice(&read[..line_end.unwrap_or(count)]);
            self.length += count;
            self.reader.consume(count);
            if let Some(excess) = self.line.len().checked_sub(LARGEST_REQUEST + END) {
                self.line.drain(LARGEST_REQUEST..LARGEST_REQUEST + excess);
            }
            if line_end.is_some() || is_over && self.length > 0 {
                return Some((std::mem::take(&mut self.line), std::mem::take(&mut self.length)));
            }
            if is_over {
                return None;
            }
        }
    }

    /// Writes a line, which nothing else comes between, and returns whether it was. Whoever cannot be written to any more has gone.
    fn write(&self, mut line: Vec<u8>) -> impl Future<Output = bool> + Send + 'static {
        line.push(b'\n');
        let writer = Arc::clone(&self.writer);
        let closing = self.closing.clone();
        // What was allocated is up to twice what is written.
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

    /// Counts a request until it is answered, and its handler has ended. Returns why not if another has its id: the SDK
    /// would answer only one of the two.
    fn admit(&mut self, message: &mut ClientJsonRpcMessage, length: usize) -> Result<(), Value> {
        match message {
            JsonRpcMessage::Request(request) if self.in_flight.contains_key(&request.id) => {
                let reason = "this id is that of a request that is not answered yet; give each request its own";
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
                // The SDK does not answer a request that was cancelled.
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

    /// Returns whether a message may go on to the SDK, which ends when it is told something before it is asked for anything.
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
                // In a task of its own: the SDK gives up on this one whenever it has something else to do.
                tokio::spawn(self.write(answer.to_string().into()));
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How much a client owes: what was asked and is not answered, and answers that it has not read.
#[derive(Debug, Default)]
struct Owed {
    bytes: AtomicUsize,
    less: Notify,
}

impl Owed {
    /// Waits until there is room for more.
    async fn little(&self) {
        while self.bytes.load(Ordering::Relaxed) > MOST_OWED {
            self.less.notified().await;
        }
    }
}

/// A part of what is owed, until it is dropped.
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

/// Reads a message, or returns the answer to what is none. What wants no answer gets none.
pub(crate) fn read(line: &[u8], length: usize) -> Result<ClientJsonRpcMessage, Option<Value>> {
    if length > LARGEST_REQUEST + END {
        let reason = format!("the line has {length} bytes; at most {LARGEST_REQUEST} are read");
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
        // A notification, or an answer to nothing.
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
            (ErrorCode::PARSE_ERROR, format!("this cannot be read as JSON: {error}, after `{before}`{halves}"))
        }
        Category::Data if line.starts_with(b"[") => {
            (ErrorCode::INVALID_REQUEST, "batches are not read; send each message on its own".to_owned())
        }
        Category::Data => (
            ErrorCode::INVALID_REQUEST,
            "this is no request of JSON-RPC 2.0: `jsonrpc` has to be \"2.0\", `id` a string or a whole number, `method` a \
             string, and `params`, if there are any, an object"
                .to_owned(),
        ),
    };
    Err(Some(refusal(head.id.as_ref(), code, &reason)))
}

/// Returns the id of a request, as it is written; nothing for what is none.
pub(crate) fn request_id(message: &[u8]) -> Option<String> {
    let head = Head::of(message);
    head.id.filter(|_| head.has_method).map(|id| id.to_string())
}

fn refusal(id: Option<&Value>, code: ErrorCode, reason: &str) -> Value {
    // An id that is none cannot be answered to.
    let id = id.filter(|id| serde_json::from_value::<NumberOrString>((*id).clone()).is_ok());
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": reason } })
}

/// What can be said of a message that cannot be read, as far as it goes.
#[derive(Debug, Default)]
struct Head {
    id: Option<Value>,
    has_method: bool,
    is_reply: bool,
    /// Whether it is an object, and all of it is there.
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
            // What is in it does not matter: strings that are no text, or numbers that are too large, are passed over.
            fields.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// Returns the id if it is the last of what a message has.
fn id_at_end(end: &[u8]) -> Option<Value> {
    let start = end.windows(4).rposition(|bytes| bytes == b"\"id\"")?;
    let head = Head::of(&[b"{", &end[start..]].concat());
    head.id.filter(|_| head.is_whole)
}

/// Checks what is said to a line of a client, whatever it is: it is passed on, or is answered with an error that has its id or
/// none, or wants no answer.
#[cfg(test)]
pub(crate) fn check(line: &[u8]) {
    let Err(Some(answer)) = read(line, line.len()) else { return };
    assert_eq!(answer["jsonrpc"], "2.0");
    let id = &answer["id"];
    assert!(id.is_null() || serde_json::from_value::<NumberOrString>(id.clone()).is_ok(), "{id} is no id");
    if let Ok(Value::Object(message)) = serde_json::from_slice(line) {
        let own = message.get("id").unwrap_or(&Value::Null);
        assert!(id.is_null() || id == own, "it has the id {own}, and is answered with {id}");
    }
    let code = &answer["error"]["code"];
    assert!([ErrorCode::INVALID_REQUEST, ErrorCode::PARSE_ERROR].iter().any(|known| *code == json!(known)), "{code}");
    let text = answer["error"]["message"].as_str().expect("it is said what is wrong");
    assert!(text.len() < 1000, "an answer of {} bytes", text.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &[u8]) -> Value {
        read(line, line.len()).expect_err("it is no message").expect("it is answered")
    }

    #[test]
    fn what_is_no_message_is_answered_with_its_id_if_it_has_one() {
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
    fn what_wants_no_answer_gets_none() {
        for line in ["", " \r", r#"{"jsonrpc":"2.0","method":7}"#, r#"{"jsonrpc":"2.0","id":1,"error":{}}"#] {
            assert_eq!(read(line.as_bytes(), line.len()).expect_err("it is no message"), None, "{line}");
        }
        assert!(read("\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r".as_bytes(), 50).is_ok());
    }

    #[tokio::test]
    async fn of_a_line_that_is_too_long_the_id_is_found_at_either_end() {
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
            assert_eq!(lines.next_line().await, Some((b"{}".to_vec(), 2)), "what comes after it is read, and the last");
            assert_eq!(lines.next_line().await, None);
        }
    }
}
