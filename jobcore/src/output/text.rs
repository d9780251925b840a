//! A view as text.

use super::{Shown, Stream, View};
use crate::units::format_size;
use crate::words::{about, counted};

/// Marks where a line is torn: it begins earlier, or continues after the shown part.
pub(super) const TORN: &str = "…";

/// Formats a view as text, line by line.
///
/// Groups of lines are separated by `--`, as in grep. `[repeated 3 more times]` stands for repeated lines, a line in
/// brackets with bytes and a cursor for output that was left out, and another one for output that was dropped. The
/// number of dropped lines is estimated from the lines before them. `…` marks where a line is torn. Timestamps are RFC
/// 3339 in UTC, with milliseconds.
#[derive(Debug)]
pub struct ViewText {
    timestamps: bool,
    only: Option<Stream>,
    /// The unfinished line: its stream, and the offset at which it would continue.
    open: Option<(Stream, u64)>,
    /// Whether a separator is due, and whether there is any text for it to follow.
    separator: bool,
    any: bool,
    average: AverageLine,
    bytes: Vec<u8>,
}

/// The average length of the first lines.
#[derive(Debug, Default)]
struct AverageLine {
    lines: u64,
    bytes: u64,
}

impl AverageLine {
    /// How many lines are counted.
    const MOST: u64 = 1_000;

    fn add(&mut self, lines: u64, bytes: usize) {
        if self.lines < Self::MOST {
            self.lines += lines;
            self.bytes += bytes as u64;
        }
    }

    /// Returns an estimate of how many lines this many bytes are, to two digits.
    fn lines_in(&self, bytes: u64) -> Option<u64> {
        if self.lines == 0 {
            return None;
        }
        let lines = u128::from(bytes) * u128::from(self.lines) / u128::from(self.bytes.max(1));
        Some(about(u64::try_from(lines).unwrap_or(u64::MAX).max(1)))
    }
}

impl ViewText {
    /// Creates the text of one stream or of both.
    pub fn new(view: &View, only: Option<Stream>) -> Self {
        Self {
            timestamps: view.timestamps,
            only,
            open: None,
            separator: false,
            any: false,
            average: AverageLine::default(),
            bytes: Vec::new(),
        }
    }

    /// Adds the next item.
    pub fn push(&mut self, shown: &Shown) {
        match shown {
            Shown::Line(line) if self.is_wanted(line.stream) => {
                if self.open != Some((line.stream, line.offset)) || line.begins {
                    self.close();
                    if std::mem::take(&mut self.separator) && self.any {
                        self.bytes.extend_from_slice(b"--\n");
                    }
                    self.stamp(line.at);
                    if !line.begins {
                        self.bytes.extend_from_slice(TORN.as_bytes());
                    }
                }
                self.any = true;
                self.bytes.extend_from_slice(&line.text);
                self.average.add(u64::from(line.ends), line.text.len() + usize::from(line.ends));
                self.open = (!line.ends).then_some((line.stream, line.end));
                if line.ends {
                    self.bytes.push(b'\n');
                }
            }
            Shown::Repeated { times, stream, at } if self.is_wanted(*stream) => {
                self.close();
                self.stamp(*at);
                let times = if *times == 1 { "once more".to_owned() } else { format!("{times} more times") };
                self.note(&format!("repeated {times}"));
            }
            Shown::Separator => self.separator = true,
            Shown::Gap { bytes, .. } => {
                self.close();
                self.dropped(*bytes);
            }
            Shown::LeftOut(left) => {
                self.close();
                if left.bytes > 0 {
                    let lines =
                        left.lines.map(|lines| format!(" in {}", counted(lines, "line", "lines"))).unwrap_or_default();
                    self.note(&format!("{}{lines} left out; continue from cursor {}", bytes(left.bytes), left.cursor));
                }
                if left.dropped > 0 {
                    self.dropped(left.dropped);
                }
            }
            Shown::Line(_) | Shown::Repeated { .. } => {}
        }
    }

    /// Returns whether lines are written unchanged, whatever their stream and time.
    pub(super) fn is_of_any_line(&self) -> bool {
        !self.timestamps && self.only.is_none()
    }

    /// Adds whole lines, with their ends.
    pub(super) fn push_whole(&mut self, lines: &[u8]) {
        self.close();
        self.any = true;
        if self.average.lines < AverageLine::MOST {
            let some = &lines[..lines.len().min(64 * 1024)];
            self.average.add(memchr::memchr_iter(b'\n', some).count() as u64, some.len());
        }
        self.bytes.extend_from_slice(lines);
    }

    /// Returns the text since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    fn is_wanted(&self, stream: Stream) -> bool {
        self.only.is_none_or(|only| only == stream)
    }

    /// Ends a line whose rest is not shown.
    fn close(&mut self) {
        if self.open.take().is_some() {
            self.bytes.extend_from_slice(TORN.as_bytes());
            self.bytes.push(b'\n');
        }
    }

    fn stamp(&mut self, at: crate::clock::Timestamp) {
        if self.timestamps {
            self.bytes.extend_from_slice(format!("{at:.3} ").as_bytes());
        }
    }

    fn dropped(&mut self, count: u64) {
        let lines = self.average.lines_in(count).map(|lines| format!(", about {}", counted(lines, "line", "lines")));
        self.note(&format!("{}{} not kept", bytes(count), lines.unwrap_or_default()));
    }

    fn note(&mut self, text: &str) {
        self.bytes.extend_from_slice(format!("[{text}]\n").as_bytes());
    }
}

/// Returns a number of bytes in words, with a larger unit in parentheses if it is large.
fn bytes(count: u64) -> String {
    let size = if count < 1024 { String::new() } else { format!(" ({})", format_size(count)) };
    format!("{}{size}", counted(count, "byte", "bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_lines_are_estimated_from_the_shown_ones() {
        let mut average = AverageLine::default();
        assert_eq!(average.lines_in(1_000), None);
        average.add(10, 1_000);
        assert_eq!([1, 150, 123_456, 8_765_432].map(|bytes| average.lines_in(bytes).unwrap()), [1, 1, 1_200, 87_000]);
    }
}
