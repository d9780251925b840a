//! How a request reaches the holder of a job, and how the answer comes back.
//!
//! Requests go through the named pipe `control` of the job, one frame each, written as a whole or not at all. An answer
//! comes through a pipe of its own that the requester creates and removes: nothing is written to disk, nothing polls,
//! and a requester that no longer waits costs the supervisor one failed open.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::net::unix::pipe::Receiver;

use super::layout::JobDir;
use crate::control::{Answer, FRAME, Frame, PROTOCOL_VERSION, Request};
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::sys::pipe;

/// How long an answer may take before the holder of the job is considered stuck.
const ANSWER: Duration = Duration::from_secs(1);
/// How often to look for the pipe of a supervisor that is starting up.
const STARTING: Duration = Duration::from_millis(2);

/// Creates and opens the pipe for requests.
pub(crate) fn listen(path: &Path) -> io::Result<File> {
    // A few requests fit, and it takes one page of what a user may have in pipes.
    pipe::make_and_open(path, 4096)
}

/// Reads one request; nothing if there is none.
///
/// # Errors
/// Returns the reason, and the id to answer to if that could be read.
pub(crate) fn read_request(mut control: &File) -> Result<Option<(u64, Request)>, Rejected> {
    let mut bytes = [0; FRAME];
    match control.read(&mut bytes) {
        Ok(FRAME) => {}
        Ok(_) => return Err(Rejected { request_id: None, reason: "an incomplete frame".to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
        Err(error) => return Err(Rejected { request_id: None, reason: error.to_string() }),
    }
    parse_request(&bytes).map(Some)
}

pub(crate) fn parse_request(bytes: &[u8]) -> Result<(u64, Request), Rejected> {
    let reject = |request_id, reason: String| Rejected { request_id, reason };
    let frame: Frame<serde_json::Value> =
        serde_json::from_slice(bytes).map_err(|error| reject(None, error.to_string()))?;
    match serde_json::from_value(frame.body) {
        Ok(request) => Ok((frame.request_id, request)),
        Err(_) => {
            let reason = format!("its supervisor speaks version {PROTOCOL_VERSION} and does not know this request");
            Err(reject(Some(frame.request_id), reason))
        }
    }
}

/// A frame that is not a request.
#[derive(Debug)]
pub(crate) struct Rejected {
    pub(crate) request_id: Option<u64>,
    pub(crate) reason: String,
}

/// Answers a request. If the requester no longer waits, the pipe that it left is removed.
pub(crate) fn answer(job: &JobDir, request_id: u64, answer: &Answer) {
    let path = job.answer(request_id);
    match pipe::open_writer(&path) {
        Ok(mut pipe) => {
            let frame = Frame { v: PROTOCOL_VERSION, request_id, body: answer.clone() }.fitted();
            let _ = pipe.write_all(&frame.to_bytes());
        }
        Err(_) => drop(std::fs::remove_file(&path)),
    }
}

/// Sends a request, and waits for the answer for a limited time.
pub(crate) async fn ask(id: JobId, job: &JobDir, request: Request) -> Result<Answer> {
    let no_answer = || Error::NoAnswer { id };
    let asked = async {
        let inbox = Inbox::make(job)?;
        let receiver = Receiver::from_file(pipe::open(&inbox.path).context("open", &inbox.path)?);
        let receiver = receiver.context("open", &inbox.path)?;
        let frame = Frame { v: PROTOCOL_VERSION, request_id: inbox.request_id, body: request };
        send(&job.control(), &frame.to_bytes(), no_answer).await?;
        loop {
            receiver.readable().await.context("wait for", &inbox.path)?;
            let mut bytes = [0; FRAME];
            match receiver.try_read(&mut bytes) {
                Ok(FRAME) => {
                    let frame: Frame<Answer> = serde_json::from_slice(&bytes).map_err(|error| Error::Refused {
                        id,
                        reason: format!("its supervisor gave an answer that this version does not understand: {error}"),
                    })?;
                    return Ok(frame.body);
                }
                Ok(_) => return Err(no_answer()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(Error::io("read", &inbox.path)(error)),
            }
        }
    };
    tokio::time::timeout(ANSWER, asked).await.unwrap_or_else(|_| Err(no_answer()))
}

async fn send(control: &Path, frame: &[u8], no_answer: impl Fn() -> Error) -> Result<()> {
    loop {
        match pipe::open_writer(control) {
            // A full pipe means that the supervisor does not read.
            Ok(mut pipe) => return pipe.write_all(frame).map_err(|_| no_answer()),
            // Its supervisor has not got that far yet, or has ended: the overall deadline decides.
            Err(error) if error.kind() == io::ErrorKind::NotFound => tokio::time::sleep(STARTING).await,
            Err(error) if pipe::has_no_reader(&error) => tokio::time::sleep(STARTING).await,
            Err(error) => return Err(Error::io("open", control)(error)),
        }
    }
}

/// The pipe for one answer; removed when it is dropped.
struct Inbox {
    path: PathBuf,
    request_id: u64,
}

impl Inbox {
    fn make(job: &JobDir) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            // Unique among the processes that see each other; for others, the existing pipe prevents a clash.
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let request_id = (u64::from(std::process::id()) << 32) | u64::from(number);
            let path = job.answer(request_id);
            match pipe::make(&path) {
                Ok(()) => return Ok(Self { path, request_id }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io("make the pipe", &path)(error)),
            }
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_a_later_version_is_refused_with_its_id() {
        let bytes = br#"{"v":9,"request_id":7,"body":{"verb":"teleport"}}"#;
        let rejected = parse_request(bytes).unwrap_err();
        assert_eq!(rejected.request_id, Some(7));
        assert!(rejected.reason.contains("version 1"), "{}", rejected.reason);
        let known = br#"{"v":9,"request_id":7,"body":{"verb":"count","new_field":1},"more":2}"#;
        assert_eq!(parse_request(known).unwrap(), (7, Request::Count));
    }

    #[test]
    fn noise_is_not_a_request() {
        for noise in [&b""[..], b"{", b"\xff\xff", b"[]", b"{\"v\":1}"] {
            assert!(parse_request(noise).unwrap_err().request_id.is_none());
        }
    }
}
