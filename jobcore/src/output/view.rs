//! Views: output as lines for reading, which can be filtered, cleaned and folded. The memory that a view takes does not
//! depend on the amount of output.

use std::collections::VecDeque;

use super::grep::{Filter, Grep};
use super::lines::Lines;
use super::remembered::Remembered;
use super::shown::{LONGEST, Line, Shown};
use super::{Cursor, OutputChunk, OutputQuery, Position, ViewText};
use crate::clock::Timestamp;

/// How output is shown.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct View {
    /// Whether lines are shown as on a terminal: without escape sequences, and with only the last state of redraws.
    pub clean: bool,
    /// Only lines that match, and their context.
    pub grep: Option<Grep>,
    /// Whether repeated lines are collapsed and counted.
    pub fold: bool,
    /// Whether lines are prefixed with the time at which they arrived.
    pub timestamps: bool,
    /// The maximum number of bytes to show: the first half and the last half, with a note about what is between.
    /// Without it, the first bytes are shown, as many as the query allows. Lines that match or are folded are cut to an
    /// eighth of that.
    pub budget: Option<u64>,
}

impl View {
    /// Shows lines as on a terminal.
    #[must_use]
    pub fn with_clean(self, clean: bool) -> Self {
        Self { clean, ..self }
    }

    /// Shows only lines that match, and their context.
    #[must_use]
    pub fn with_grep(self, grep: Option<Grep>) -> Self {
        Self { grep, ..self }
    }

    /// Collapses repeated lines.
    #[must_use]
    pub fn with_fold(self, fold: bool) -> Self {
        Self { fold, ..self }
    }

    /// Prefixes lines with their times.
    #[must_use]
    pub fn with_timestamps(self, timestamps: bool) -> Self {
        Self { timestamps, ..self }
    }

    /// Shows at most this many bytes: the first half and the last half.
    #[must_use]
    pub fn with_budget(self, budget: Option<u64>) -> Self {
        Self { budget, ..self }
    }

    /// Returns whether this shows output unchanged, so that no view is needed.
    pub fn is_plain(&self) -> bool {
        !self.clean && !self.fold && !self.timestamps && self.grep.is_none() && self.budget.is_none()
    }

    /// Returns whether each line of the output is a line of the view.
    pub(crate) fn is_line_by_line(&self) -> bool {
        self.grep.is_none() && !self.fold
    }

    /// Returns how long a line may be when there is this much room, so that other lines fit as well.
    pub(crate) fn longest(&self, room: u64) -> usize {
        usize::try_from(room / 8).unwrap_or(usize::MAX).clamp(16, LONGEST)
    }
}

/// Makes a view of chunks of output that are fed to it in order.
///
/// ```
/// # use jobcore::output::{OutputChunk, OutputQuery, Position, View, Viewer};
/// # fn read(_: &OutputQuery) -> OutputChunk { unimplemented!() }
/// # fn all() {
/// let view = View::default().with_clean(true);
/// let (mut viewer, mut query) = Viewer::new(&view, &OutputQuery::from(Position::Start));
/// loop {
///     let chunk = read(&query);
///     query = query.after(&chunk);
///     let more = chunk.more;
///     viewer.feed(chunk);
///     if !more {
///         viewer.finish();
///     }
///     while let Some(shown) = viewer.next_shown() {
///         println!("{shown:?}");
///     }
///     if !more || viewer.is_full() {
///         break;
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Viewer {
    lines: Lines,
    filter: Option<Filter>,
    fold: Option<Fold>,
    /// The last lines, if they are wanted and cannot be found from the end.
    last: Option<Remembered>,
    lines_left: Option<u64>,
    picked: VecDeque<Shown>,
    ready: VecDeque<Shown>,
    cut: bool,
    /// Where the last selected line ends.
    told: u64,
    stopped_at: u64,
}

impl Viewer {
    /// Creates a viewer for this view of what the query selects, whose limits on lines apply to the view. Also returns
    /// the query to read with, whose number of bytes is that of a chunk.
    pub fn new(view: &View, query: &OutputQuery) -> (Self, OutputQuery) {
        let room = view.budget.unwrap_or(query.max_bytes);
        let mut source = query.with_max_lines(None).with_max_bytes(OutputQuery::DEFAULT_BYTES);
        let mut last = None;
        if let (Position::TailLines(count), false) = (query.from, view.is_line_by_line()) {
            source.from = Position::Start;
            last = Some(Remembered::lines(count));
        }
        let viewer = Self {
            // A part of a line may not match although the whole line would.
            lines: Lines::new(view.clean, if view.is_line_by_line() { view.longest(room) } else { LONGEST }),
            filter: view.grep.clone().map(Filter::new),
            fold: view.fold.then(Fold::default),
            last,
            lines_left: query.max_lines,
            picked: VecDeque::new(),
            ready: VecDeque::new(),
            cut: false,
            told: 0,
            stopped_at: u64::MAX,
        };
        (viewer, source)
    }

    /// Searches each line by itself.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn look_at_each(&mut self) {
        self.filter.iter_mut().for_each(Filter::look_at_each);
    }

    /// Adds the next chunk.
    pub fn feed(&mut self, chunk: OutputChunk) {
        self.lines.feed(chunk);
    }

    /// Returns the next item to show, or `None` if more output has to be fed first, or the view is full.
    pub fn next_shown(&mut self) -> Option<Shown> {
        while !self.is_full() {
            if let Some(shown) = self.ready.pop_front() {
                if let (Shown::Line(line), Some(left)) = (&shown, &mut self.lines_left) {
                    *left -= u64::from(line.ends);
                }
                return Some(shown);
            }
            if let Some(filter) = &mut self.filter {
                filter.pass_over(&mut self.lines);
            }
            let shown = self.lines.next()?;
            self.pick(shown);
            self.pass_on();
        }
        None
    }

    /// Writes whole, unchanged lines to `text`, many at once, if they are next and none of them has to be filtered,
    /// counted or remembered.
    pub fn write_whole(&mut self, text: &mut ViewText) {
        let is_any_line =
            self.filter.is_none() && self.fold.is_none() && self.last.is_none() && self.lines_left.is_none();
        if is_any_line && self.ready.is_empty() && text.is_of_any_line() {
            self.lines.take_whole(|whole| {
                text.push_whole(whole);
                whole.len()
            });
        }
    }

    /// Returns whether as many lines were shown as requested.
    pub fn is_full(&self) -> bool {
        self.lines_left == Some(0)
    }

    /// Returns whether fewer lines are shown than requested because they were too long to be remembered.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Shows the last lines, which were held back because more might follow. From now on, lines are shown as they
    /// arrive.
    pub fn release(&mut self) {
        if let Some(mut remembered) = self.last.take() {
            self.cut = remembered.forgotten().is_cut;
            self.ready.extend(remembered.take());
        }
    }

    /// Shows everything that is left, because nothing more will be fed: unfinished lines, and how often the last one
    /// was repeated.
    pub fn finish(&mut self) {
        self.end(u64::MAX, false);
        self.release();
    }

    /// Shows everything that is left, like [`Viewer::finish`], although more may follow. Unfinished lines that do not
    /// match yet may match later. They are left for then, if nothing after their beginnings was shown.
    pub fn pause(&mut self) {
        self.end(u64::MAX, true);
        self.release();
    }

    /// Discards what was not shown yet, because nothing more is wanted; it is after the cursor then. Unfinished lines
    /// that begin before that are shown as they are.
    pub fn stop(&mut self) {
        let unshown = self.ready.iter().position(|shown| matches!(shown, Shown::Line(_)));
        if let Some(index) = unshown {
            if let Shown::Line(line) = &self.ready[index] {
                self.stopped_at = line.offset.min(self.lines.cursor());
            }
            self.ready.truncate(index);
        }
        self.lines_left = None;
        self.lines.forget();
        self.end(self.cursor().0, false);
    }

    fn end(&mut self, before: u64, holds: bool) {
        while let Some(shown) = self.lines.next() {
            self.pick(shown);
        }
        let open = self.lines.finish();
        let may_match = |line: &Line| self.filter.as_ref().is_some_and(|filter| !filter.matches(line));
        if holds && open.iter().all(|line| line.offset >= self.told && may_match(line)) {
            self.stopped_at = open.iter().map(|line| line.offset).min().unwrap_or(u64::MAX);
        } else {
            open.into_iter().filter(|line| line.offset < before).for_each(|line| self.pick(Shown::Line(line)));
        }
        if let Some(fold) = &mut self.fold {
            fold.end(&mut self.picked);
        }
        self.pass_on();
    }

    /// Returns where to continue after [`Viewer::finish`], [`Viewer::pause`] or [`Viewer::stop`].
    pub fn cursor(&self) -> Cursor {
        Cursor(self.lines.cursor().min(self.stopped_at))
    }

    /// Returns the offset from which on nothing has been shown.
    pub(crate) fn untold(&self) -> u64 {
        self.lines.untold()
    }

    /// Continues elsewhere, possibly within a line.
    pub(crate) fn jump(&mut self) {
        self.lines.jump();
    }

    fn pick(&mut self, shown: Shown) {
        let mut matching = VecDeque::new();
        match (shown, &mut self.filter) {
            (Shown::Line(line), Some(filter)) => filter.push(line, &mut matching),
            (shown, filter) => {
                filter.iter_mut().for_each(Filter::break_off);
                matching.push_back(shown);
            }
        }
        for shown in &matching {
            if let Shown::Line(line) = shown {
                self.told = self.told.max(line.end);
            }
        }
        match &mut self.fold {
            Some(fold) => matching.into_iter().for_each(|shown| fold.push(shown, &mut self.picked)),
            None => self.picked.append(&mut matching),
        }
    }

    fn pass_on(&mut self) {
        match &mut self.last {
            Some(remembered) => {
                for shown in self.picked.drain(..) {
                    let bytes = shown.len();
                    remembered.push(shown, bytes);
                }
            }
            None => self.ready.append(&mut self.picked),
        }
    }
}

/// Collapses repeated lines.
#[derive(Debug, Default)]
struct Fold {
    last: Option<Line>,
    repeated: Option<(u64, Timestamp)>,
}

impl Fold {
    fn push(&mut self, shown: Shown, folded: &mut VecDeque<Shown>) {
        let Shown::Line(line) = shown else {
            self.end(folded);
            folded.push_back(shown);
            return;
        };
        let is_whole = line.begins && line.ends;
        let is_same = |last: &Line| (last.stream, &last.text) == (line.stream, &line.text);
        if is_whole && self.last.as_ref().is_some_and(is_same) {
            let (times, _) = self.repeated.unwrap_or((0, line.at));
            self.repeated = Some((times + 1, line.at));
            return;
        }
        self.end(folded);
        self.last = is_whole.then(|| line.clone());
        folded.push_back(Shown::Line(line));
    }

    fn end(&mut self, folded: &mut VecDeque<Shown>) {
        if let (Some(last), Some((times, at))) = (self.last.take(), self.repeated.take()) {
            folded.push_back(Shown::Repeated { times, stream: last.stream, at });
        }
    }
}
