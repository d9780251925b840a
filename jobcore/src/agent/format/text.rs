//! Plain text has no events: only its end is kept.

use serde::{Deserialize, Serialize};

/// The end of a text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::agent) struct Tail {
    #[serde(with = "crate::agent::bytes")]
    kept: Vec<u8>,
    cut: u64,
}

impl Tail {
    /// Appends bytes, and keeps at least the last `longest` bytes but not many more.
    pub(in crate::agent) fn push(&mut self, bytes: &[u8], longest: usize) {
        self.kept.extend_from_slice(bytes);
        if self.kept.len() > 2 * longest {
            self.drop_to(longest);
        }
    }

    /// Discards what is kept: the next bytes do not follow it.
    pub(in crate::agent) fn clear(&mut self) {
        self.drop_to(0);
    }

    fn drop_to(&mut self, longest: usize) {
        let over = self.kept.len() - longest;
        self.kept.drain(..over);
        self.cut += over as u64;
    }

    /// Returns at most the last `longest` bytes, starting at the beginning of a character, and how many bytes came
    /// before.
    pub(in crate::agent) fn end(&self, longest: usize) -> (String, u64) {
        let mut from = self.kept.len().saturating_sub(longest);
        let goes_on = |at: usize| self.kept.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
        if from > 0 || self.cut > 0 {
            from += (from..from + 3).take_while(|at| goes_on(*at)).count();
        }
        (String::from_utf8_lossy(&self.kept[from..]).into_owned(), self.cut + from as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_text_begins_with_a_character() {
        let mut tail = Tail::default();
        for _ in 0..1000 {
            tail.push("日".as_bytes(), 10);
            assert!(tail.kept.len() <= 23);
        }
        assert_eq!(tail.end(10), ("日日日".to_owned(), 2991));
        tail.clear();
        tail.push(b"x", 10);
        assert_eq!(tail.end(10), ("x".to_owned(), 3000));
    }
}
