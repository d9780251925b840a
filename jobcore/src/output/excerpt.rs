//! Excerpts of a view when there is no room for all of it: its beginning, or its beginning and its end with a note
//! about the gap.

use super::lines::whole_characters;
use super::remembered::Remembered;
use super::shown::{LeftOut, Shown};
use super::text::TORN;
use super::view::View;
use super::{Cursor, Line, OutputQuery, Position, Stream, ViewText};
use crate::state::Status;

/// The room that is reserved for the note about what was left out.
const NOTE: u64 = 128;
/// The length of a timestamp, including the blank after it.
const STAMP: u64 = 25;

/// A part of a view of a job's output, and where to continue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Viewed {
    /// The status of the job before its output was read: if it had ended and `more` is false, the output is complete.
    pub status: Status,
    /// The items to show, in order. What was left out is noted in its place.
    pub shown: Vec<Shown>,
    /// Pass this to read on from here.
    pub cursor: Cursor,
    /// What was left out in the middle, if anything was.
    pub left_out: Option<LeftOut>,
    /// Whether there was more to read.
    pub more: bool,
    /// Whether fewer lines are shown than requested because they were too long to search for.
    pub cut: bool,
}

impl Viewed {
    /// Returns the items as text, of one stream or of both.
    pub fn text(&self, view: &View, only: Option<Stream>) -> Vec<u8> {
        let mut text = ViewText::new(view, only);
        self.shown.iter().for_each(|shown| text.push(shown));
        text.take()
    }

    /// Returns whether any line of a stream is shown.
    pub(crate) fn has_lines_of(&self, stream: Stream) -> bool {
        self.shown.iter().any(|shown| matches!(shown, Shown::Line(line) if line.stream == stream))
    }

    /// Returns how many bytes within the shown part were not kept.
    pub fn dropped(&self) -> u64 {
        self.shown.iter().map(|shown| if let Shown::Gap { bytes, .. } = shown { *bytes } else { 0 }).sum()
    }
}

/// Cuts a text that is too long, and marks the cut.
fn shorten(text: &mut Vec<u8>, longest: usize) {
    if text.len() > longest {
        text.truncate(longest - TORN.len());
        text.truncate(whole_characters(text));
        text.extend_from_slice(TORN.as_bytes());
    }
}

/// Selects the items to show while a view is made.
#[derive(Debug)]
pub(crate) struct Excerpt {
    head: Vec<Shown>,
    head_room: u64,
    /// Where the last line of the head ends.
    head_end: u64,
    /// The end of the view, if it is wanted.
    tail: Option<Remembered>,
    tail_room: u64,
    /// What each line takes in addition to its text, and how much room two more may need.
    overhead: u64,
    reserve: u64,
    longest: usize,
    left_from: Option<u64>,
    jumped: bool,
}

impl Excerpt {
    pub(crate) fn new(view: &View, query: &OutputQuery) -> Self {
        let is_last = matches!(query.from, Position::TailLines(_)) && !view.is_line_by_line();
        let room = view.budget.unwrap_or(query.max_bytes);
        let (head_room, tail_room) = match (view.budget, is_last) {
            (Some(_), _) => (room.saturating_sub(NOTE) / 2, room.saturating_sub(NOTE).div_ceil(2)),
            (None, true) => (0, room.saturating_sub(NOTE)),
            (None, false) => (room, 0),
        };
        let overhead = 1 + if view.timestamps { STAMP } else { 0 };
        Self {
            head: Vec::new(),
            head_room,
            head_end: 0,
            tail: (tail_room > 0).then(|| Remembered::bytes(tail_room, overhead)),
            tail_room,
            overhead,
            reserve: 2 * (view.longest(room) as u64 + overhead),
            longest: view.longest(room),
            left_from: None,
            jumped: false,
        }
    }

    /// Returns whether there is no room for more. The items that finishing the view adds still fit.
    pub(crate) fn is_full(&self) -> bool {
        self.tail.is_none() && self.head_room < self.reserve && !self.head.is_empty()
    }

    /// Adds the next item. No earlier item began at `untold` or after it.
    pub(crate) fn push(&mut self, mut shown: Shown, untold: u64) {
        // Including its line break.
        let stands_for = shown.len() + u64::from(matches!(&shown, Shown::Line(line) if line.ends));
        if let Shown::Line(line) = &mut shown {
            shorten(&mut line.text, self.longest);
        }
        let size = shown.len() + self.overhead;
        let begins = match &shown {
            Shown::Line(Line { offset, .. }) | Shown::Gap { offset, .. } => *offset,
            _ => self.head_end,
        };
        match &mut self.tail {
            Some(tail) if self.left_from.is_some() || size > self.head_room => {
                self.left_from.get_or_insert(begins.min(untold));
                tail.push(shown, stands_for);
            }
            _ => {
                if let Shown::Line(line) = &shown {
                    self.head_end = line.end;
                }
                self.head_room = self.head_room.saturating_sub(size);
                self.head.push(shown);
            }
        }
    }

    /// Returns how much of the output is enough for the rest, if the first part of that rest is not to be shown.
    pub(crate) fn wants_only(&self) -> Option<u64> {
        (self.left_from.is_some() && !self.jumped).then_some(self.tail_room)
    }

    /// Records that the next item does not follow directly.
    pub(crate) fn jump(&mut self) {
        self.jumped = true;
        self.tail = Some(Remembered::bytes(self.tail_room, self.overhead));
    }

    /// Returns the items to show. `end` is the offset up to which output was read, and `dropped` counts the bytes
    /// between two offsets that were not kept.
    pub(crate) fn finish(self, end: u64, dropped: impl FnOnce(u64, u64) -> u64) -> (Vec<Shown>, Option<LeftOut>) {
        let mut shown = self.head;
        let (Some(mut tail), Some(from)) = (self.tail, self.left_from) else { return (shown, None) };
        // The rest of a line that began earlier is shown only if there is nothing better.
        let is_rest = |shown: &Shown| matches!(shown, Shown::Line(line) if !line.begins && line.ends);
        if self.jumped && tail.count() > 1 && tail.first().is_some_and(is_rest) {
            tail.drop_first();
        }
        let next = tail.first().map(|first| match first {
            Shown::Line(line) => line.offset,
            Shown::Gap { offset, .. } => *offset,
            _ => end,
        });
        let gone = tail.forgotten();
        let next = next.unwrap_or(end);
        let dropped = dropped(from, next);
        let (bytes, lines) = match self.jumped {
            true => (next.saturating_sub(from).saturating_sub(dropped), None),
            false => (gone.bytes, Some(gone.lines)),
        };
        let left_out = (bytes + dropped > 0).then(|| LeftOut::new(Cursor(from), bytes, dropped, lines));
        shown.extend(left_out.map(Shown::LeftOut));
        shown.extend(tail.take());
        (shown, left_out)
    }
}
