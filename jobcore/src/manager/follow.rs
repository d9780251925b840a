//! Events of jobs and their output, as they come.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::{JobManager, OutputReader};
use crate::error::Result;
use crate::id::JobId;
use crate::output::{Cursor, OutputChunk, OutputQuery, View, ViewText, Viewer};
use crate::store::JobEvent;

/// How many events are read at a time.
const PAGE: usize = 1000;

/// A stream of items as they come: [`JobManager::follow_output`], [`JobManager::follow_view`] and
/// [`JobManager::follow_events`]. An error ends it; a new one can continue where the last item ended.
///
/// It is a [`Stream`], for combinators such as those of the crate `futures-util`; [`Follow::next`] works without them.
/// Nothing is read before it is polled, and nothing is lost if a future of `next` is dropped.
#[must_use = "nothing is read until it is polled"]
pub struct Follow<T>(Option<Turn<T>>);

/// The next item and what follows it; `None` at the end.
struct Turn<T>(Pin<Box<Coming<(T, Self)>>>);

type Coming<T> = dyn Future<Output = Result<Option<T>>> + Send;

/// Where items come from.
trait Source: Send + Sized + 'static {
    type Item;

    fn next(self) -> impl Future<Output = Result<Option<(Self::Item, Self)>>> + Send;
}

impl<T: 'static> Turn<T> {
    fn of(source: impl Source<Item = T>) -> Self {
        Self(Box::pin(async { Ok(source.next().await?.map(|(item, source)| (item, Self::of(source)))) }))
    }
}

impl<T> Follow<T> {
    /// Returns the next item when it has come; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<T>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl<T> Stream for Follow<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(turn) = &mut self.0 else { return Poll::Ready(None) };
        let came = ready!(turn.0.as_mut().poll(context));
        let (item, next) = match came {
            Ok(Some((item, next))) => (Some(Ok(item)), Some(next)),
            Ok(None) => (None, None),
            Err(error) => (Some(Err(error)), None),
        };
        self.0 = next;
        Poll::Ready(item)
    }
}

impl<T> fmt::Debug for Follow<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow").field("has_ended", &self.0.is_none()).finish_non_exhaustive()
    }
}

/// Reads a job's output.
struct Output {
    jobs: JobManager,
    id: JobId,
    query: OutputQuery,
    then: Then,
}

enum Then {
    Look,
    /// There is more; whether the job had ended.
    Read(Box<OutputReader>, bool),
    /// There was nothing more up to this cursor.
    Wait(Cursor),
    End,
}

impl Source for Output {
    type Item = OutputChunk;

    async fn next(mut self) -> Result<Option<(OutputChunk, Self)>> {
        loop {
            let (mut output, has_ended) = match self.then {
                Then::Look => {
                    // Checked before reading, so that everything written before the end is read after it is known.
                    let has_ended = self.jobs.job(self.id).await?.status().is_final();
                    (Box::new(self.jobs.output_reader(self.id).await?), has_ended)
                }
                Then::Read(output, has_ended) => (output, has_ended),
                Then::Wait(cursor) => {
                    self.jobs.more_output(self.id, cursor).await?;
                    self.then = Then::Look;
                    continue;
                }
                Then::End => return Ok(None),
            };
            let chunk = output.read(&self.query).await?;
            self.query = self.query.after(&chunk);
            self.then = match chunk.more {
                true => Then::Read(output, has_ended),
                false if has_ended || self.query.until.is_some_and(|until| chunk.cursor >= until) => Then::End,
                false => Then::Wait(chunk.cursor),
            };
            if !chunk.pieces.is_empty() {
                return Ok(Some((chunk, self)));
            }
        }
    }
}

/// A part of a view as text: whole lines, except for one longer than 64 KiB and a last one without an end of line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ViewPart {
    /// The text.
    pub text: Vec<u8>,
    /// Whether it begins within a line so long that its beginning was not searched for.
    pub cut: bool,
    /// Whether fewer lines are shown than requested, because there was no room to remember them.
    pub fewer: bool,
}

/// Reads a view of a job's output.
struct ViewOf {
    jobs: JobManager,
    id: JobId,
    viewer: Viewer,
    query: OutputQuery,
    text: ViewText,
    follows: bool,
    then: Then,
}

/// Writes what should be shown now.
fn write(viewer: &mut Viewer, text: &mut ViewText) {
    loop {
        viewer.write_whole(text);
        let Some(shown) = viewer.next_shown() else { break };
        text.push(&shown);
    }
}

impl Source for ViewOf {
    type Item = ViewPart;

    async fn next(mut self) -> Result<Option<(ViewPart, Self)>> {
        loop {
            let (mut output, has_ended) = match self.then {
                Then::Look => {
                    // Checked before reading, so that everything written before the end is read after it is known.
                    let has_ended = !self.follows || self.jobs.job(self.id).await?.status().is_final();
                    (Box::new(self.jobs.output_reader(self.id).await?), has_ended)
                }
                Then::Read(output, has_ended) => (output, has_ended),
                Then::Wait(cursor) => {
                    self.jobs.more_output(self.id, cursor).await?;
                    self.then = Then::Look;
                    continue;
                }
                Then::End => return Ok(None),
            };
            let chunk = output.read(&self.query).await?;
            let (cursor, more) = (chunk.cursor, chunk.more);
            let mut part = ViewPart { cut: chunk.cut, ..ViewPart::default() };
            self.query = self.query.after(&chunk);
            self.viewer.feed(chunk);
            write(&mut self.viewer, &mut self.text);
            self.then = if more && !self.viewer.is_full() {
                Then::Read(output, has_ended)
            } else {
                let is_done = has_ended || self.viewer.is_full();
                match self.viewer.is_full() {
                    true => self.viewer.stop(),
                    false if has_ended => self.viewer.finish(),
                    false => self.viewer.release(),
                }
                write(&mut self.viewer, &mut self.text);
                part.fewer = is_done && self.viewer.is_cut();
                if is_done { Then::End } else { Then::Wait(cursor) }
            };
            part.text = self.text.take();
            if part != ViewPart::default() {
                return Ok(Some((part, self)));
            }
        }
    }
}

/// Reads the events of a store.
struct EventsOf {
    jobs: JobManager,
    next: u64,
    read: VecDeque<JobEvent>,
}

impl Source for EventsOf {
    type Item = JobEvent;

    async fn next(mut self) -> Result<Option<(JobEvent, Self)>> {
        loop {
            if let Some(event) = self.read.pop_front() {
                return Ok(Some((event, self)));
            }
            let read = self.jobs.events(self.next, PAGE).await?;
            if read.next == self.next {
                self.jobs.happened(self.next).await?;
            }
            (self.next, self.read) = (read.next, read.events.into());
        }
    }
}

impl JobManager {
    /// Follows the output of a job: returns what the query matches and then what comes, chunk by chunk, until the job
    /// has ended and everything is read, or until the end of the query. The limits of the query apply to each chunk.
    ///
    /// To continue later, even in another program, begin at the cursor of the last chunk.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use jobcore::output::{OutputQuery, Position};
    /// # use jobcore::{InProcessRunner, JobManager, JobSpec, MemoryStore};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # let jobs = JobManager::new(Arc::new(MemoryStore::new()), Arc::new(InProcessRunner::new()))?;
    /// let job = jobs.submit(JobSpec::shell("echo one; echo two").inherit_env().build()?).await?;
    /// let mut chunks = jobs.follow_output(job.id, OutputQuery::from(Position::Start));
    /// let (mut written, mut cursor) = (Vec::new(), None);
    /// while let Some(chunk) = chunks.next().await {
    ///     let chunk = chunk?;
    ///     written.extend(chunk.bytes(None));
    ///     cursor = Some(chunk.cursor);
    /// }
    /// assert_eq!(written, b"one\ntwo\n");
    /// # assert_eq!(cursor.unwrap().0, 8);
    /// # Ok::<(), jobcore::Error>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn follow_output(&self, id: JobId, query: OutputQuery) -> Follow<OutputChunk> {
        Follow(Some(Turn::of(Output { jobs: self.clone(), id, query, then: Then::Look })))
    }

    /// Shows a view of a job's output as text, part by part: what the query matches and, if `follows`, what comes then,
    /// until the job has ended or the requested number of lines was shown. A budget of the view is ignored: use
    /// [`JobManager::view`] for those.
    ///
    /// The parts of several jobs can be printed as they come without tearing lines apart.
    pub fn follow_view(&self, id: JobId, query: &OutputQuery, view: &View, follows: bool) -> Follow<ViewPart> {
        let (viewer, query) = Viewer::new(view, &query.with_max_bytes(u64::MAX));
        let (jobs, text) = (self.clone(), ViewText::new(view, None));
        Follow(Some(Turn::of(ViewOf { jobs, id, viewer, query, text, follows, then: Then::Look })))
    }

    /// Follows the events of the store's jobs, from event number `since`. It has no end.
    ///
    /// Events are numbered without gaps: a missing number belongs to an event that is no longer kept. To continue
    /// later, begin at the number after the last event; to get only what happens from now on, begin at the end of
    /// [`JobManager::events`]. What no process did is no event, see [`JobManager::happened`].
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use jobcore::store::EventKind;
    /// # use jobcore::{InProcessRunner, JobManager, JobSpec, MemoryStore};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # let jobs = JobManager::new(Arc::new(MemoryStore::new()), Arc::new(InProcessRunner::new()))?;
    /// let mut events = jobs.follow_events(jobs.events(0, 0).await?.end);
    /// let job = jobs.submit(JobSpec::shell("true").inherit_env().build()?).await?;
    /// while let Some(event) = events.next().await {
    ///     let event = event?;
    ///     if (event.job_id, event.event) == (job.id, EventKind::Ended) {
    ///         break;
    ///     }
    /// }
    /// # Ok::<(), jobcore::Error>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn follow_events(&self, since: u64) -> Follow<JobEvent> {
        Follow(Some(Turn::of(EventsOf { jobs: self.clone(), next: since, read: VecDeque::new() })))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::clock::Timestamp;
    use crate::manager::view::tests::{block_on, writes};
    use crate::output::{Position, Stream as Of};
    use crate::record::Ended;
    use crate::state::{Cause, Outcome};
    use crate::store::EventKind;

    const MOMENT: Duration = Duration::from_millis(20);

    #[test]
    fn output_comes_as_it_is_written_and_ends_with_the_job() {
        block_on(async {
            let (jobs, id, mut claim) = writes(&[(Of::Stdout, b"one")]).await;
            let mut chunks = jobs.follow_output(id, OutputQuery::from(Position::Start));
            let first = chunks.next().await.unwrap().unwrap();
            assert_eq!(first.bytes(None), b"one");
            assert!(timeout(MOMENT, chunks.next()).await.is_err(), "there is no more");
            claim.append(Of::Stderr, Timestamp::UNIX_EPOCH, b"two").await;
            assert_eq!(chunks.next().await.unwrap().unwrap().bytes(None), b"two");
            claim.append(Of::Stdout, Timestamp::UNIX_EPOCH, b"three").await;
            claim.finish(&Ended::new(None, Outcome::new(Cause::Exited, Timestamp::UNIX_EPOCH))).await.unwrap();
            assert_eq!(chunks.next().await.unwrap().unwrap().bytes(None), b"three");
            for _ in 0..2 {
                assert!(chunks.next().await.is_none());
            }
            // Continued from a cursor, and with an end.
            let rest = OutputQuery::from(Position::Cursor(first.cursor)).with_until(Some(Cursor(6)));
            let mut chunks = jobs.follow_output(id, rest);
            assert_eq!(chunks.next().await.unwrap().unwrap().bytes(None), b"two");
            assert!(chunks.next().await.is_none());
        });
    }

    #[test]
    fn lines_come_as_they_end_and_the_last_with_the_job() {
        block_on(async {
            let (jobs, id, mut claim) = writes(&[(Of::Stdout, b"one\ntwo\nth")]).await;
            let last = OutputQuery::from(Position::TailLines(2));
            let mut parts = jobs.follow_view(id, &last, &View::default(), true);
            assert_eq!(parts.next().await.unwrap().unwrap().text, b"two\n");
            assert!(timeout(MOMENT, parts.next()).await.is_err(), "the line is not at its end");
            claim.append(Of::Stderr, Timestamp::UNIX_EPOCH, b"error\n").await;
            assert_eq!(parts.next().await.unwrap().unwrap().text, b"error\n");
            claim.append(Of::Stdout, Timestamp::UNIX_EPOCH, b"ree").await;
            claim.finish(&Ended::new(None, Outcome::new(Cause::Exited, Timestamp::UNIX_EPOCH))).await.unwrap();
            assert_eq!(parts.next().await.unwrap().unwrap().text, b"three");
            assert!(parts.next().await.is_none());
            let all = OutputQuery::from(Position::Start).with_max_lines(Some(2));
            let mut parts = jobs.follow_view(id, &all, &View::default(), false);
            let mut text = Vec::new();
            while let Some(part) = parts.next().await {
                text.extend(part.unwrap().text);
            }
            assert_eq!(text, b"one\ntwo\n");
        });
    }

    #[test]
    fn events_come_one_by_one_and_an_error_is_the_last_item() {
        block_on(async {
            let (jobs, id, mut claim) = writes(&[]).await;
            let mut events = jobs.follow_events(0);
            let mut kinds = vec![events.next().await.unwrap().unwrap().event];
            assert!(timeout(MOMENT, events.next()).await.is_err());
            claim.finish(&Ended::new(None, Outcome::new(Cause::Exited, Timestamp::UNIX_EPOCH))).await.unwrap();
            drop(claim);
            kinds.push(events.next().await.unwrap().unwrap().event);
            assert_eq!(kinds, [EventKind::Submitted, EventKind::Ended]);
            jobs.remove(id).await.unwrap();
            let mut chunks = jobs.follow_output(id, OutputQuery::from(Position::Start));
            assert!(chunks.next().await.unwrap().is_err());
            assert!(chunks.next().await.is_none());
        });
    }
}
