//! Lines that are remembered since they may still be shown.

use std::collections::VecDeque;

use super::shown::Shown;

/// How much is remembered at most of lines that may still be shown.
const MOST: u64 = 16 * 1024 * 1024;

/// The last of what was pushed, bounded in lines and in bytes.
#[derive(Debug)]
pub(crate) struct Remembered {
    /// Each with how many bytes it stands for.
    shown: VecDeque<(Shown, u64)>,
    lines: u64,
    bytes: u64,
    max_lines: u64,
    max_bytes: u64,
    /// What each takes beside its text.
    overhead: u64,
    forgotten: Forgotten,
}

/// What is no longer remembered.
#[derive(Debug, Default)]
pub(crate) struct Forgotten {
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
    /// Whether there was no room for a line that was wanted.
    pub(crate) is_cut: bool,
}

impl Remembered {
    /// Remembers so many lines, as far as there is memory for them.
    pub(crate) fn lines(max_lines: u64) -> Self {
        let overhead = size_of::<Shown>() as u64;
        Self { max_lines, max_bytes: MOST, overhead, ..Self::bytes(0, 0) }
    }

    /// Remembers lines that take so many bytes when each takes `overhead` beside its text.
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

    /// Adds what stands for so many bytes, of which some may have been cut off.
    pub(crate) fn push(&mut self, shown: Shown, stands_for: u64) {
        self.lines += u64::from(shown.begins());
        self.bytes += shown.len() + self.overhead;
        self.shown.push_back((shown, stands_for));
        while self.lines > self.max_lines || self.bytes > self.max_bytes {
            self.forgotten.is_cut |= self.lines <= self.max_lines;
            self.drop_first();
        }
        // What is left of a line whose beginning is gone.
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
