//! Requests that a front end sends to the supervisor or runner of a job, and their answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::signal::Signal;
use crate::state::Survivor;
use crate::sys::pty::TerminalSize;

/// The version of the protocol. The two sides may be of different versions: an unknown verb is refused in the answer,
/// and unknown fields are ignored.
pub const PROTOCOL_VERSION: u32 = 1;

/// The size of every request and answer in a pipe: small enough to be written as a whole or not at all (`PIPE_BUF`,
/// pipe(7)).
pub const FRAME: usize = 512;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verb")]
#[non_exhaustive]
pub enum Request {
    /// Stop the job and all of its processes: they are asked to end, and killed after the grace period.
    Stop {
        /// How long it may take to end by itself, in milliseconds. If absent, the spec decides.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grace_ms: Option<u64>,
        /// Who asks.
        requester: String,
    },
    /// Send one signal to the process group of the main process.
    Signal {
        /// Which.
        signal: Signal,
        /// Who asks.
        requester: String,
    },
    /// Stop all processes of the job and its clock until it is resumed. The answer names the processes that have not
    /// stopped yet.
    Pause,
    /// Let all processes of the job and its clock continue.
    Resume,
    /// Renew the lease of the job.
    Renew,
    /// Count the processes of the job.
    Count,
    /// Close the input of the job; on a terminal, as Ctrl-D does.
    EndInput,
    /// Resize its terminal. The job is notified even if the size is the same.
    Resize {
        /// The size.
        size: TerminalSize,
    },
}

impl Request {
    /// Creates a request to stop a job.
    pub fn stop(grace: Option<Duration>, requester: &str) -> Self {
        let grace_ms = grace.map(|grace| u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
        Self::Stop { grace_ms, requester: short(requester) }
    }

    /// Creates a request to send a signal.
    pub fn signal(signal: Signal, requester: &str) -> Self {
        Self::Signal { signal, requester: short(requester) }
    }
}

/// Shortens a text so that it fits into a frame.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
#[non_exhaustive]
pub enum Answer {
    /// The request is being carried out.
    Accepted,
    /// How many processes the job has.
    Processes {
        /// How many.
        count: u32,
        /// Those that were killed and are still there, as many as the answer has room for.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        survivors: Vec<Survivor>,
    },
    /// The request is refused.
    Refused {
        /// Why.
        reason: String,
    },
}

impl Answer {
    /// Creates an answer with the number of processes.
    pub fn processes(count: u32) -> Self {
        Self::Processes { count, survivors: Vec::new() }
    }
}

/// A request or an answer in transit: its version, where to answer, and its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frame<T> {
    pub(crate) v: u32,
    /// Which request this is or answers. It is also the name of the pipe for the answer.
    pub(crate) request_id: u64,
    pub(crate) body: T,
}

impl Frame<Answer> {
    /// Leaves out survivors that do not fit.
    pub(crate) fn fitted(mut self) -> Self {
        while serde_json::to_vec(&self).is_ok_and(|json| json.len() > FRAME) {
            let Answer::Processes { survivors, .. } = &mut self.body else { break };
            if survivors.pop().is_none() {
                break;
            }
        }
        self
    }
}

impl<T: Serialize> Frame<T> {
    /// Returns the frame as [`FRAME`] bytes of JSON and blanks.
    pub(crate) fn to_bytes(&self) -> [u8; FRAME] {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut bytes = [b' '; FRAME];
        // Texts were shortened before, so that everything fits. A frame that did not would be invalid JSON and be
        // rejected.
        let fits = json.len().min(FRAME);
        bytes[..fits].copy_from_slice(&json[..fits]);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survivors_that_do_not_fit_are_left_out() {
        let survivor = |pid| Survivor::new(pid, "\u{1}\u{1}\u{1}\u{1}".repeat(4), "cannot be signalled".to_owned());
        let body = Answer::Processes { count: 8, survivors: (1..=8).map(survivor).collect() };
        let frame = Frame { v: 1, request_id: u64::MAX, body }.fitted();
        let parsed: Frame<Answer> = serde_json::from_slice(&frame.to_bytes()).unwrap();
        let Answer::Processes { count: 8, survivors } = parsed.body else { panic!("{:?}", parsed.body) };
        assert_eq!(survivors, (1..=2).map(survivor).collect::<Vec<_>>());
    }

    #[test]
    fn the_longest_request_fits_its_frame() {
        let requester = "\"😀".repeat(500);
        for body in [Request::stop(Some(Duration::MAX), &requester), Request::signal(Signal::TERM, &requester)] {
            let frame = Frame { v: u32::MAX, request_id: u64::MAX, body };
            let parsed: Frame<Request> = serde_json::from_slice(&frame.to_bytes()).unwrap();
            assert_eq!(parsed, frame);
        }
    }
}
