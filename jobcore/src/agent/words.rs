//! Words as they are shown: plain, bounded, and without what could take over a terminal.

use crate::escape::is_obeyed;

/// Returns at most so many characters, without control characters but line breaks and tabs, and without those that change
/// the direction of what follows.
pub(super) fn plain(text: &str, longest: usize) -> String {
    let mut shown: String = text.chars().filter(|c| is_plain(*c)).take(longest + 1).collect();
    if shown.chars().count() > longest {
        shown = shown.chars().take(longest.saturating_sub(1)).chain(['…']).collect();
    }
    shown
}

/// Returns at most so many characters in one line.
pub(super) fn one_line(text: &str, longest: usize) -> String {
    // What is behind that will not be shown, however much it is.
    let begin: String = text.chars().take(longest * 4).collect();
    plain(&begin.split_whitespace().collect::<Vec<_>>().join(" "), longest)
}

fn is_plain(c: char) -> bool {
    c == '\n' || c == '\t' || !is_obeyed(c)
}

/// Returns an amount of US dollars as `$0.02`, or with more digits where it is small.
pub fn dollars(cost: f64) -> String {
    match cost {
        cost if cost == 0.0 || cost >= 0.01 => format!("${cost:.2}"),
        cost if cost < 0.0001 => "<$0.0001".to_owned(),
        cost => format!("${cost:.4}"),
    }
}

/// Returns so many tasks in words.
pub(super) fn background(tasks: u64) -> String {
    if tasks == 1 { "1 background task".to_owned() } else { format!("{tasks} background tasks") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_takes_over_a_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\r\u{9b}2J\u{202e}c\td\ne\u{7f}", 99), "a[31mb2Jc\td\ne");
        assert_eq!(plain("abcdef", 6), "abcdef");
        assert_eq!(plain("abcdefg", 6), "abcde…");
        assert_eq!(one_line(" a \n\n b\tc", 9), "a b c");
        assert_eq!(one_line(&"a ".repeat(1_000_000), 5), "a a …");
    }

    #[test]
    fn amounts_have_as_many_digits_as_they_need() {
        assert_eq!(
            [0.0, 0.00001, 0.0019, 0.019, 12.0].map(dollars),
            ["$0.00", "<$0.0001", "$0.0019", "$0.02", "$12.00"]
        );
    }
}
