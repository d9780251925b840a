//! Signals by name and number.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::parse_error::ParseError;

/// A signal that a process can be sent or be killed by.
///
/// Printed and serialized by name (`SIGTERM`); a signal without a name on this system is printed as `SIG34`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Signal(i32);

impl Signal {
    /// Asks a process to end.
    pub const TERM: Self = Self(nix::libc::SIGTERM);
    /// Ends a process at once.
    pub const KILL: Self = Self(nix::libc::SIGKILL);
    /// What Ctrl-C sends.
    pub const INT: Self = Self(nix::libc::SIGINT);
    /// Has the meaning that a program and its users agree on.
    pub(crate) const USR1: Self = Self(nix::libc::SIGUSR1);
    /// Stops a process until it is continued; the process cannot refuse.
    pub const STOP: Self = Self(nix::libc::SIGSTOP);
    /// Continues a stopped process.
    pub const CONT: Self = Self(nix::libc::SIGCONT);

    /// Returns the signal with this number, whether or not it has a name.
    pub fn from_number(number: i32) -> Self {
        Self(number)
    }

    /// Returns the number of the signal on this system.
    pub fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match nix::sys::signal::Signal::try_from(self.0) {
            Ok(signal) => f.write_str(signal.as_str()),
            Err(_) => write!(f, "SIG{}", self.0),
        }
    }
}

impl FromStr for Signal {
    type Err = ParseError;

    /// Parses `TERM`, `SIGTERM` (in any case) or `15`.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let upper = text.to_ascii_uppercase();
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        let named = match bare.parse::<i32>() {
            Ok(number) => nix::sys::signal::Signal::try_from(number).ok(),
            Err(_) => format!("SIG{bare}").parse().ok(),
        };
        named.map(|signal| Self(signal as i32)).ok_or_else(|| {
            let reason =
                format!("`{text}` is not a signal; use a name such as `TERM` or `INT`, or a number from 1 to 31");
            ParseError::new(reason)
        })
    }
}

impl TryFrom<String> for Signal {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        let nameless = text.strip_prefix("SIG").and_then(|number| number.parse().ok());
        nameless.map(Self).map_or_else(|| text.parse(), Ok)
    }
}

impl From<Signal> for String {
    fn from(signal: Signal) -> Self {
        signal.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_understood() {
        for text in ["TERM", "term", "SIGTERM", "15"] {
            assert_eq!(text.parse(), Ok(Signal::TERM), "{text}");
        }
        for text in ["", "0", "-1", "999", "NOPE", "SIG"] {
            assert!(text.parse::<Signal>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_nameless_signal_survives_its_record() {
        let signal = Signal::from_number(40);
        let json = serde_json::to_string(&signal).unwrap();
        assert_eq!(json, "\"SIG40\"");
        assert_eq!(serde_json::from_str::<Signal>(&json).unwrap(), signal);
    }
}
