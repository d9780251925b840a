//! Lines that are kept in memory because they may still be shown.

use std::collections::VecDeque;

use super::shown::Shown;

/// The maximum size of the lines that are kept in memory, in bytes.
const MOST: u64 = 16 * 1024 * 1024;

/// The last items that were pushed, bounded in lines and in bytes.
#[derive(Debug)]
pub(crate) struct Remembered {
    /// Each with the number of bytes that it stands for.
    shown: VecDeque<(Shown, u64)>,
    lines: u64,
    bytes: u64,
    max_lines: u64,
    max_bytes: u64,
    /// What each item takes in addition to its text.
    overhead: u64,
    forgotten: Forgotten,
}

/// What is no longer kept.
#[derive(Debug, Default)]
pub(crate) struct Forgotten {
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
    /// Whether a wanted line was dropped for lack of memory.
    pub(crate) is_cut: bool,
}

impl Remembered {
    /// Keeps this many lines, as far as memory allows.
    pub(crate) fn lines(max_lines: u64) -> Self {
        let overhead = size_of::<Shown>() as u64;
        Self { max_lines, max_bytes: MOST, overhead, ..Self::bytes(0, 0) }
    }

    /// Keeps lines that take this many bytes, each with `overhead` in addition to its text.
    pub(crate) fn bytes(max_bytes: u64, overhead: u64) -> Self {
        Self {
            shown: VecDeque::new(),
            lines: 0,
            bytes: 0,
            max_lines: u64::MAX,
            max_bytes,
            overhead,
            forgotten: Forgotten::default(),
        }
    }

    /// Adds an item that stands for this many bytes, some of which may have been cut off.
    pub(crate) fn push(&mut self, shown: Shown, stands_for: u64) {
        self.lines += u64::from(shown.begins());
        self.bytes += shown.len() + self.overhead;
        self.shown.push_back((shown, stands_for));
        while self.lines > self.max_lines || self.bytes > self.max_bytes {
            self.forgotten.is_cut |= self.lines <= self.max_lines;
            self.drop_first();
        }
        // The rest of a line whose beginning was dropped.
        while self.lines == self.max_lines && self.first().is_some_and(Shown::goes_on) {
            self.drop_first();
        }
    }

    pub(crate) fn drop_first(&mut self) {
        let Some((gone, stands_for)) = self.shown.pop_front() else { return };
        self.lines -= u64::from(gone.begins());
        self.bytes -= gone.len() + self.overhead;
        self.forgotten.lines += u64::from(gone.begins());
        self.forgotten.bytes += stands_for;
    }

    pub(crate) fn forgotten(&self) -> &Forgotten {
        &self.forgotten
    }

    pub(crate) fn first(&self) -> Option<&Shown> {
        self.shown.front().map(|(first, _)| first)
    }

    pub(crate) fn count(&self) -> usize {
        self.shown.len()
    }

    pub(crate) fn take(&mut self) -> impl Iterator<Item = Shown> + use<> {
        (self.lines, self.bytes, self.forgotten) = (0, 0, Forgotten::default());
        std::mem::take(&mut self.shown).into_iter().map(|(shown, _)| shown)
    }
}
