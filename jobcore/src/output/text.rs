//! A view as text.

use super::{Shown, Stream, View};
use crate::units::format_size;
use crate::words::counted;

/// Where a line is torn: it begins before, or goes on behind what is shown of it.
pub(super) const TORN: &str = "…";

/// Writes a view down, line by line.
///
/// Groups of lines are divided by `--`, as grep does; `[repeated 3 more times]` stands for lines, and a line in brackets
/// with bytes and a cursor for what was left out. Bytes that were not kept are not told: whoever shows the text is to say
/// so where it fits. `…` is where a line is torn. Time stamps are RFC 3339 in UTC, with milliseconds.
#[derive(Debug)]
pub struct ViewText {
    timestamps: bool,
    only: Option<Stream>,
    /// The line that is not at its end: its stream, and where more of it would begin.
    open: Option<(Stream, u64)>,
    /// Whether a separator is due, and whether there is anything for it to stand behind.
    separator: bool,
    any: bool,
    bytes: Vec<u8>,
}

impl ViewText {
    /// Writes a view down, of one stream or of both.
    pub fn new(view: &View, only: Option<Stream>) -> Self {
        Self { timestamps: view.timestamps, only, open: None, separator: false, any: false, bytes: Vec::new() }
    }

    /// Adds what is shown next.
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
            Shown::Gap { .. } => self.close(),
            Shown::LeftOut(left) => {
                self.close();
                let size = if left.bytes < 1024 { String::new() } else { format!(" ({})", format_size(left.bytes)) };
                let lines =
                    left.lines.map(|lines| format!(" in {}", counted(lines, "line", "lines"))).unwrap_or_default();
                let bytes = counted(left.bytes, "byte", "bytes");
                self.note(&format!("{bytes}{size}{lines} left out; go on from cursor {}", left.cursor));
            }
            Shown::Line(_) | Shown::Repeated { .. } => {}
        }
    }

    /// Returns whether lines are written as they are, whatever stream they are of and whenever they came.
    pub(super) fn is_of_any_line(&self) -> bool {
        !self.timestamps && self.only.is_none()
    }

    /// Adds whole lines, with their ends.
    pub(super) fn push_whole(&mut self, lines: &[u8]) {
        self.close();
        self.any = true;
        self.bytes.extend_from_slice(lines);
    }

    /// Returns what was written down since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    fn is_wanted(&self, stream: Stream) -> bool {
        self.only.is_none_or(|only| only == stream)
    }

    /// Ends a line of which the rest is not shown.
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

    fn note(&mut self, text: &str) {
        self.bytes.extend_from_slice(format!("[{text}]\n").as_bytes());
    }
}
