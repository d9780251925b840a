//! The occurrences of a subscription, from a place in the feed on.

use std::sync::Arc;

use jiff::SignedDuration;
use jobcore::clock::Timestamp;
use jobcore::store::JobEvent;
use jobcore::{Error, JobManager};
use rmcp::model::ErrorData;
use serde_json::{Value, json};
use tokio::sync::{Mutex, watch};

use super::refusal;
use super::wanted::Wanted;

/// How many occurrences are read at a time by deliveries without a limit of their own.
pub(super) const PAGE: usize = 100;
/// How many events are read at a time, and after how many the occurrences found so far are returned.
const EVENTS: usize = 500;
const LOOKED_AT: u64 = 5_000;
/// The largest shape of a job that is sent, in bytes: a command may have megabytes.
const LARGEST: usize = 64 << 10;

/// The end of the feed, shared by all readers. Only one waiting reader watches for changed files, and the others wait
/// for its result: a user can have only some hundred inotify instances.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    /// The number that the next event will have.
    end: watch::Sender<u64>,
    turn: Mutex<()>,
}

impl Feed {
    /// Notes the end that was read. `known` is the end that was known before reading.
    fn ends(&self, known: u64, end: u64) {
        self.end.send_if_modified(|now| {
            // A smaller end than before means that the feed was lost and starts again.
            let end = if end < known { end } else { end.max(*now) };
            std::mem::replace(now, end) != end
        });
    }
}

/// A subscription and its place in the feed.
#[derive(Debug)]
pub(super) struct Reading {
    feed: Arc<Feed>,
    jobs: JobManager,
    wanted: Wanted,
    next: u64,
    /// Events before this time are skipped.
    oldest: Option<Timestamp>,
}

/// A batch of occurrences.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) occurrences: Vec<Occurrence>,
    /// Whether wanted events may have been skipped.
    pub(super) truncated: bool,
    /// Whether there may be more.
    pub(super) more: bool,
}

/// An event, as it is delivered.
#[derive(Debug)]
pub(super) struct Occurrence {
    number: u64,
    fields: Value,
}

impl Occurrence {
    /// Returns it in the form for polling.
    pub(super) fn into_fields(self) -> Value {
        self.fields
    }

    /// Returns it with the cursor after it.
    pub(super) fn with_cursor(mut self) -> Value {
        self.fields["cursor"] = cursor(self.number + 1);
        self.fields
    }
}

impl Reading {
    /// Starts at a cursor, or at the end of the feed without one. `max_age_ms` limits the age of events after a cursor.
    pub(super) async fn start(
        feed: Arc<Feed>,
        jobs: JobManager,
        wanted: Wanted,
        cursor: Option<&str>,
        max_age_ms: Option<u64>,
    ) -> Result<Self, ErrorData> {
        let Some(cursor) = cursor else {
            let next = jobs.events(0, 0).await.map_err(|error| refusal::failed(&error))?.end;
            return Ok(Self { feed, jobs, wanted, next, oldest: None });
        };
        let next = place(cursor).ok_or_else(refusal::wrong_cursor)?;
        // An age out of range is treated as no limit.
        let age = max_age_ms.and_then(|age| i64::try_from(age).ok()).map(SignedDuration::from_millis);
        let oldest = age.and_then(|age| Timestamp::now().checked_sub(age).ok());
        Ok(Self { feed, jobs, wanted, next, oldest })
    }

    /// Returns the current place: everything before it was returned, or is not wanted.
    pub(super) fn cursor(&self) -> Value {
        cursor(self.next)
    }

    /// Returns the place where the batch that was read last begins.
    pub(super) fn before(&self, batch: &Batch) -> Value {
        cursor(batch.occurrences.first().map_or(self.next, |first| first.number))
    }

    /// Reads until there are `most` occurrences, or no more for now.
    pub(super) async fn read(&mut self, most: usize) -> Result<Batch, Error> {
        let mut batch = Batch::default();
        let mut looked_at = 0;
        loop {
            let known = *self.feed.end.borrow();
            let mut events = self.jobs.events(self.next, EVENTS).await?;
            self.feed.ends(known, events.end);
            if events.end < self.next {
                // The feed was lost, and numbers start again.
                (self.next, batch.truncated) = (0, true);
                events = self.jobs.events(0, EVENTS).await?;
            }
            batch.truncated |= events.gone > 0;
            for event in &events.events {
                self.take(event, &mut batch).await?;
                if batch.occurrences.len() >= most {
                    self.next = event.number + 1;
                    batch.more = self.next < events.end;
                    return Ok(batch);
                }
            }
            looked_at += events.next.abs_diff(self.next);
            self.next = events.next;
            batch.more = self.next < events.end;
            if !batch.more || looked_at >= LOOKED_AT {
                return Ok(batch);
            }
        }
    }

    /// Waits until there may be more events.
    pub(super) async fn more(&self) -> Result<(), Error> {
        let mut end = self.feed.end.subscribe();
        tokio::select! {
            // Another reader has read it. The sender is in the feed itself, so this cannot fail.
            _ = end.wait_for(|end| *end > self.next) => Ok(()),
            happened = async {
                let _turn = self.feed.turn.lock().await;
                self.jobs.happened(self.next).await?;
                let known = *self.feed.end.borrow();
                let end = self.jobs.events(self.next, 0).await?.end;
                self.feed.ends(known, end);
                Ok(())
            } => happened,
        }
    }

    async fn take(&self, event: &JobEvent, batch: &mut Batch) -> Result<(), Error> {
        if !self.wanted.may_be(event) {
            return Ok(());
        }
        if self.oldest.is_some_and(|oldest| event.at < oldest) {
            batch.truncated = true;
            return Ok(());
        }
        let data = match self.jobs.job(event.job_id).await {
            Ok(job) if self.wanted.is_of(&job) => {
                let shape = serde_json::to_value(self.jobs.shape(&job)).unwrap_or_default();
                if shape.to_string().len() <= LARGEST { shape } else { known(event) }
            }
            Ok(_) => return Ok(()),
            Err(Error::NotFound { .. } | Error::Damaged { .. }) if self.wanted.is_by_id() => known(event),
            // It can no longer be determined whether the event was wanted.
            Err(Error::NotFound { .. } | Error::Damaged { .. }) => {
                batch.truncated = true;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let fields = json!({
            "eventId": format!("{}-{}", event.job_id, event.number),
            "name": self.wanted.kind.1,
            "timestamp": event.at,
            "data": data,
        });
        batch.occurrences.push(Occurrence { number: event.number, fields });
        Ok(())
    }
}

/// Returns what the feed itself contains about a job.
fn known(event: &JobEvent) -> Value {
    let mut data = json!({ "job_id": event.job_id, "short_id": event.job_id.short() });
    for (field, value) in [("status", json!(event.status)), ("exit_code", json!(event.exit_code))] {
        if !value.is_null() {
            data[field] = value;
        }
    }
    data
}

/// Returns the cursor for a place in the feed, which is opaque to clients.
fn cursor(number: u64) -> Value {
    number.to_string().into()
}

/// Returns the place of a cursor.
fn place(cursor: &str) -> Option<u64> {
    let number = cursor.parse().ok()?;
    (self::cursor(number) == cursor).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_the_largest_read_unless_the_feed_was_lost() {
        let feed = Feed::default();
        let known = || *feed.end.borrow();
        feed.ends(0, 7);
        // Read earlier, but noted later.
        feed.ends(0, 5);
        assert_eq!(known(), 7);
        feed.ends(7, 2);
        assert_eq!(known(), 2);
        feed.ends(2, 3);
        assert_eq!(known(), 3);
    }

    #[test]
    fn only_returned_cursors_are_accepted() {
        for number in [0, 7, u64::MAX] {
            assert_eq!(place(cursor(number).as_str().unwrap()), Some(number));
        }
        for wrong in ["", "-1", "+1", "01", "1 ", "x", "18446744073709551616"] {
            assert_eq!(place(wrong), None, "{wrong}");
        }
    }
}
