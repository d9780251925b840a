//! Texts for display: plain, bounded, and unable to control a terminal.

use crate::escape::is_obeyed;
use crate::words::{counted, cut};

/// Returns at most this many characters, without control characters except line breaks and tabs, and without those that
/// change the direction of the text that follows.
pub(super) fn plain(text: &str, longest: usize) -> String {
    let shown: String = text.chars().filter(|c| is_plain(*c)).take(longest + 1).collect();
    cut(&shown, longest)
}

/// Returns at most this many characters as one line, like [`plain`], with all white space replaced by single blanks.
pub(super) fn squeezed(text: &str, longest: usize) -> String {
    // Anything after that will not be shown, however long it is.
    let begin: String = text.chars().take(longest * 4).collect();
    plain(&begin.split_whitespace().collect::<Vec<_>>().join(" "), longest)
}

fn is_plain(c: char) -> bool {
    c == '\n' || c == '\t' || !is_obeyed(c)
}

/// Returns an amount of US dollars such as `$0.02`, with more digits if it is small.
pub fn dollars(cost: f64) -> String {
    match cost {
        cost if cost == 0.0 || cost >= 0.01 => format!("${cost:.2}"),
        cost if cost < 0.0001 => "<$0.0001".to_owned(),
        cost => format!("${cost:.4}"),
    }
}

/// Returns a number of tasks in words.
pub(super) fn background(tasks: u64) -> String {
    counted(tasks, "background task", "background tasks")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_controls_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\r\u{9b}2J\u{202e}c\td\ne\u{7f}", 99), "a[31mb2Jc\td\ne");
        assert_eq!(plain("abcdef", 6), "abcdef");
        assert_eq!(plain("abcdefg", 6), "abcde…");
        assert_eq!(squeezed(" a \n\n b\tc", 9), "a b c");
        assert_eq!(squeezed(&"a ".repeat(1_000_000), 5), "a a …");
    }

    #[test]
    fn amounts_have_as_many_digits_as_they_need() {
        assert_eq!(
            [0.0, 0.00001, 0.0019, 0.019, 12.0].map(dollars),
            ["$0.00", "<$0.0001", "$0.0019", "$0.02", "$12.00"]
        );
    }
}
