//! What a front end may ask of whoever runs a job, and the answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::signal::Signal;
use crate::state::Survivor;
use crate::sys::pty::TerminalSize;

/// The version of the protocol. Whoever runs a job may be older or newer than whoever asks: unknown verbs are refused
/// by an answer, unknown fields are ignored.
pub const PROTOCOL_VERSION: u32 = 1;

/// The size of every request and answer on its way through a pipe: small enough to be written as a whole or not at
/// all (`PIPE_BUF`, pipe(7)).
pub const FRAME: usize = 512;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verb")]
#[non_exhaustive]
pub enum Request {
    /// End the job and all its processes: asked first, killed after the grace.
    Stop {
        /// How long it may take to end by itself, in milliseconds; absent: as the spec says.
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
    /// Stop all processes of the job, and its time, until it is resumed; answered with those that do not stand still yet.
    Pause,
    /// Let all processes of the job go on, and its time.
    Resume,
    /// Let the lease of the job begin again.
    Renew,
    /// Count the processes of the job.
    Count,
    /// Let the job read the end of its input; on a terminal, as Ctrl-D does.
    EndInput,
    /// Give its terminal another size; the job is told even if that is the one it has.
    Resize {
        /// The size.
        size: TerminalSize,
    },
}

impl Request {
    /// Asks for the end of a job.
    pub fn stop(grace: Option<Duration>, requester: &str) -> Self {
        let grace_ms = grace.map(|grace| u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
        Self::Stop { grace_ms, requester: short(requester) }
    }

    /// Sends a signal.
    pub fn signal(signal: Signal, requester: &str) -> Self {
        Self::Signal { signal, requester: short(requester) }
    }
}

/// Keeps a text within what a frame has room for.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
#[non_exhaustive]
pub enum Answer {
    /// It is being done.
    Accepted,
    /// So many processes there are.
    Processes {
        /// How many.
        count: u32,
        /// Those that were killed and are still there, as far as there is room in the answer.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        survivors: Vec<Survivor>,
    },
    /// It is not done, for this reason.
    Refused {
        /// Why.
        reason: String,
    },
}

impl Answer {
    /// Says how many processes there are.
    pub fn processes(count: u32) -> Self {
        Self::Processes { count, survivors: Vec::new() }
    }
}

/// One request or answer as it travels: its version, where to answer, and the thing itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frame<T> {
    pub(crate) v: u32,
    /// Which request this is or answers; also the name of the pipe to answer through.
    pub(crate) request_id: u64,
    pub(crate) body: T,
}

impl Frame<Answer> {
    /// Leaves out survivors for which there is no room.
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
        // Texts are cut before they come here, so that everything fits; what would not is nothing that can be parsed.
        let fits = json.len().min(FRAME);
        bytes[..fits].copy_from_slice(&json[..fits]);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survivors_are_named_as_far_as_there_is_room() {
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
