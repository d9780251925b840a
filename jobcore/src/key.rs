//! The keys of a terminal, under the names that tmux and Emacs made common.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::parse_error::ParseError;

/// A key that can be pressed on a job's terminal: `C-c`, `M-x`, `Up`, `F5`, `Enter`, `a`.
///
/// It sends the bytes that an xterm sends in its normal cursor mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key {
    name: String,
    bytes: Vec<u8>,
}

/// The keys that have names, and the bytes that they send.
const NAMED: &[(&[&str], &str)] = &[
    (&["Enter", "Return", "CR"], "\r"),
    (&["Tab"], "\t"),
    (&["BTab", "S-Tab"], "\x1b[Z"),
    (&["Escape", "Esc"], "\x1b"),
    (&["Space"], " "),
    (&["BSpace", "Backspace"], "\x7f"),
    (&["Up"], "\x1b[A"),
    (&["Down"], "\x1b[B"),
    (&["Right"], "\x1b[C"),
    (&["Left"], "\x1b[D"),
    (&["Home"], "\x1b[H"),
    (&["End"], "\x1b[F"),
    (&["Insert", "IC"], "\x1b[2~"),
    (&["Delete", "DC"], "\x1b[3~"),
    (&["PageUp", "PgUp", "PPage"], "\x1b[5~"),
    (&["PageDown", "PgDn", "NPage"], "\x1b[6~"),
    (&["F1"], "\x1bOP"),
    (&["F2"], "\x1bOQ"),
    (&["F3"], "\x1bOR"),
    (&["F4"], "\x1bOS"),
    (&["F5"], "\x1b[15~"),
    (&["F6"], "\x1b[17~"),
    (&["F7"], "\x1b[18~"),
    (&["F8"], "\x1b[19~"),
    (&["F9"], "\x1b[20~"),
    (&["F10"], "\x1b[21~"),
    (&["F11"], "\x1b[23~"),
    (&["F12"], "\x1b[24~"),
];

impl Key {
    /// The byte that Enter sends, which ends a typed line.
    pub const ENTER: u8 = b'\r';

    /// Returns the bytes that the key sends.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn bytes_of(name: &str) -> Option<Vec<u8>> {
    // There may be any number of `M-` prefixes: each adds one byte.
    let (mut plain, mut escapes) = (name, Vec::new());
    while let Some(rest) = plain.strip_prefix("M-").filter(|rest| !rest.is_empty()) {
        plain = rest;
        escapes.push(b'\x1b');
    }
    Some([escapes, bytes_of_plain(plain)?].concat())
}

fn bytes_of_plain(name: &str) -> Option<Vec<u8>> {
    if let Some((_, bytes)) = NAMED.iter().find(|(names, _)| names.iter().any(|known| known.eq_ignore_ascii_case(name)))
    {
        return Some(bytes.as_bytes().to_vec());
    }
    if let Some(rest) = name.strip_prefix("C-").or_else(|| name.strip_prefix('^')).filter(|rest| !rest.is_empty()) {
        return match rest.as_bytes() {
            [byte @ (b'a'..=b'z' | b'@'..=b'_')] => Some(vec![byte & 0x1f]),
            b"?" => Some(vec![0x7f]),
            _ if rest.eq_ignore_ascii_case("Space") => Some(vec![0]),
            _ => None,
        };
    }
    let mut characters = name.chars();
    let is_one = characters.next().is_some_and(|first| !first.is_control()) && characters.next().is_none();
    is_one.then(|| name.as_bytes().to_vec())
}

impl FromStr for Key {
    type Err = ParseError;

    fn from_str(name: &str) -> Result<Self, ParseError> {
        let unknown = || {
            ParseError::new(format!(
                "`{name}` is not a key; write a character, `C-c` for Ctrl-C, `M-x` for Alt-x, or Enter, Tab, S-Tab, \
                 Escape, Space, Backspace, Up, Down, Left, Right, Home, End, PageUp, PageDown, Insert, Delete, \
                 F1 to F12"
            ))
        };
        Ok(Self { name: name.to_owned(), bytes: bytes_of(name).ok_or_else(unknown)? })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

impl TryFrom<String> for Key {
    type Error = ParseError;

    fn try_from(name: String) -> Result<Self, ParseError> {
        name.parse()
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_send_what_an_xterm_sends() {
        for (name, bytes) in [
            ("C-c", &b"\x03"[..]),
            ("C-C", b"\x03"),
            ("^D", b"\x04"),
            ("C-]", b"\x1d"),
            ("C-Space", b"\0"),
            ("C-?", b"\x7f"),
            ("^", b"^"),
            ("Up", b"\x1b[A"),
            ("enter", b"\r"),
            ("M-x", b"\x1bx"),
            ("M-C-c", b"\x1b\x03"),
            ("M-Left", b"\x1b\x1b[D"),
            ("F12", b"\x1b[24~"),
            ("a", b"a"),
            ("-", b"-"),
            ("ß", "ß".as_bytes()),
        ] {
            assert_eq!(name.parse::<Key>().map(|key| key.bytes), Ok(bytes.to_vec()), "{name}");
        }
        for wrong in ["", "C-", "C-cc", "Upp", "M-", "F13", "\n", "C-ä"] {
            assert!(wrong.parse::<Key>().is_err(), "{wrong}");
        }
    }
}
