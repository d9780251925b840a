//! The admission lock of a store, under which everything is decided that concerns several jobs, and the numbers of the queue,
//! which are given out under it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use super::atomic;
use super::entry::{Entry, entries};
use super::layout::Layout;
use crate::error::{Error, IoContext, Result};
use crate::sys::lock;

/// How long to wait for the admission lock. Its holders need microseconds; one that is stopped by a signal keeps it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The admission lock; free when it is dropped.
#[derive(Debug)]
pub(super) struct Admission {
    file: File,
    layout: Layout,
}

impl Admission {
    pub(super) fn take(layout: &Layout) -> Result<Self> {
        let path = layout.admission();
        let file = atomic::open_or_create(&path, OpenOptions::new().read(true).write(true).truncate(false))?;
        if !lock::take_within(&file, PATIENCE).context("lock", &path)? {
            let reason =
                format!("it has been busy for {PATIENCE:?}; a process that uses it may be stopped by a signal");
            return Err(Error::StoreRefused { path: layout.root.to_path_buf(), reason });
        }
        Ok(Self { file, layout: layout.clone() })
    }

    /// Returns the next number of the queue.
    pub(super) fn next_number(&self) -> Result<u64> {
        let path = self.layout.admission();
        let mut text = [0; Counter::SIZE];
        let length = self.file.read_at(&mut text, 0).context("read", &path)?;
        let last = match Counter::parse(&text[..length]) {
            Counter::Sealed(last) if last < MOST => last,
            // It was changed from outside, or written by a version that wrote no checksum. The jobs that wait count.
            counter => counter.near(&entries(&self.layout.queue())?.unwrap_or_default()),
        };
        let number = last + 1;
        self.file.write_all_at(&Counter::to_bytes(number), 0).context("write", &path)?;
        Ok(number)
    }
}

/// What the file `admission` holds: the last number of the queue. It is no truth, and cannot stop the queue.
#[derive(Debug, PartialEq, Eq)]
enum Counter {
    /// With the checksum that belongs to it.
    Sealed(u64),
    /// A number without one.
    Bare(u64),
    /// Nothing that could be one.
    Unreadable,
}

/// Numbers of the queue are smaller: sixteen digits, which all versions read.
const MOST: u64 = 9_999_999_999_999_999;
/// How far the counter may be from the numbers of the jobs that wait.
const NEAR: u64 = 1_000_000;

impl Counter {
    /// Twenty digits, a blank, the checksum of the digits, and the end of the line.
    const SIZE: usize = 30;

    fn to_bytes(number: u64) -> Vec<u8> {
        let digits = format!("{number:020}");
        format!("{digits} {:08x}\n", crc32fast::hash(digits.as_bytes())).into_bytes()
    }

    fn parse(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let Some(number) = text.get(..20).unwrap_or(text).trim().parse().ok() else { return Self::Unreadable };
        if bytes == Self::to_bytes(number) { Self::Sealed(number) } else { Self::Bare(number) }
    }

    /// Returns the last number: the counter if it fits the jobs that wait, else the last of theirs.
    fn near(&self, waiting: &[Entry]) -> u64 {
        let last = waiting.iter().filter_map(|entry| entry.number).filter(|number| *number < MOST).max();
        match (self, last) {
            (Self::Sealed(number) | Self::Bare(number), None) if *number < MOST => *number,
            (Self::Bare(number), Some(last)) if (last..last.saturating_add(NEAR)).contains(number) => *number,
            (_, last) => last.unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_believed_only_where_it_may_be_right() {
        assert_eq!(Counter::parse(&Counter::to_bytes(7)), Counter::Sealed(7));
        assert_eq!(Counter::to_bytes(u64::MAX).len(), Counter::SIZE);
        assert_eq!(Counter::parse(b"00000000000000000007"), Counter::Bare(7), "of version 0.1.0");
        let mut changed = Counter::to_bytes(7);
        changed[3] = b'9';
        assert_eq!(Counter::parse(&changed), Counter::Bare(90_000_000_000_000_007));
        for noise in [&b""[..], b"garbage", b"\xff\xff", b"99999999999999999999"] {
            assert_eq!(Counter::parse(noise), Counter::Unreadable);
        }
        let waiting = |numbers: &[u64]| -> Vec<Entry> {
            let entry = |number: &u64| Entry::parse(format!("{number}-01922270-2fd9-7d4d-b2cf-5a521f07d537")).unwrap();
            numbers.iter().map(entry).collect()
        };
        let last = |counter: Counter, numbers: &[u64]| counter.near(&waiting(numbers));
        assert_eq!(last(Counter::Bare(7), &[]), 7);
        assert_eq!(last(Counter::Bare(7), &[5, 6]), 7);
        assert_eq!(last(Counter::Bare(3), &[5, 6]), 6, "a job that waits has a later number");
        assert_eq!(last(Counter::Bare(90_000_007), &[5, 6]), 6, "so many were never given");
        assert_eq!(last(Counter::Bare(u64::MAX), &[]), 0);
        assert_eq!(last(Counter::Bare(u64::MAX), &[6, u64::MAX]), 6);
        assert_eq!(last(Counter::Unreadable, &[5, 6]), 6);
        assert_eq!(last(Counter::Unreadable, &[]), 0);
    }
}
