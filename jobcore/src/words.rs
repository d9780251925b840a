//! Numbers with words that agree with them, and text that is cut to fit.

use std::fmt::Display;

/// Returns a number with the form of the word that agrees with it: `1 process is`, `2 processes are`.
pub fn counted<T: Copy + From<u8> + PartialEq + Display>(number: T, one: &str, several: &str) -> String {
    format!("{number} {}", if number == T::from(1) { one } else { several })
}

/// Returns an estimate of a number: only its first two digits are kept.
pub fn about(number: u64) -> u64 {
    let unit = 10_u64.pow(number.max(1).ilog10().saturating_sub(1));
    number / unit * unit
}

/// Cuts a text to at most this many characters; a cut text ends with `…`.
pub fn cut(text: &str, longest: usize) -> String {
    cut_by(text, longest, |_| 1)
}

/// Cuts a text like [`cut`], with `room_of` giving the width of each character.
pub(crate) fn cut_by(text: &str, room: usize, room_of: impl Fn(char) -> usize) -> String {
    if text.chars().map(&room_of).sum::<usize>() <= room {
        return text.to_owned();
    }
    let mut left = room.saturating_sub(1);
    let fits = |c: &char| {
        let rest = left.checked_sub(room_of(*c));
        left = rest.unwrap_or_default();
        rest.is_some()
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// Returns an exit code in words. A shell exits with 141 if a part of a pipe was killed by SIGPIPE because a later part
/// stopped reading. For `... | head` that is not a failure, and the number alone does not explain it.
pub fn exit_code(code: i32) -> String {
    let why = if code == 141 { " (SIGPIPE in a pipe, as with `... | head`)" } else { "" };
    format!("exit code {code}{why}")
}

/// Quotes a word for a POSIX shell, if it needs to be.
pub fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:=@%+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_agree_with_numbers() {
        let counts = [0_u32, 1, 2].map(|number| counted(number, "job is", "jobs are"));
        assert_eq!(counts, ["0 jobs are", "1 job is", "2 jobs are"]);
        assert_eq!([0.5, 1.0].map(|number: f32| counted(number, "second", "seconds")), ["0.5 seconds", "1 second"]);
    }

    #[test]
    fn an_estimate_has_two_digits() {
        assert_eq!([0, 7, 42, 199, 123_456, u64::MAX].map(about), [0, 7, 42, 190, 120_000, 18_000_000_000_000_000_000]);
    }

    #[test]
    fn a_cut_text_ends_with_an_ellipsis() {
        assert_eq!([cut("äöü", 3), cut("äöüx", 3), cut("", 0), cut("ä", 0)], ["äöü", "äö…", "", "…"]);
    }
}
