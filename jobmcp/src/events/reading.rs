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

/// How many occurrences are read at a time by what delivers all of them.
pub(super) const PAGE: usize = 100;
/// How many events are read at a time, and how many are looked at before what was found is returned.
const EVENTS: usize = 500;
const LOOKED_AT: u64 = 5_000;
/// How large the shape of a job may be, in bytes: a command may have megabytes.
const LARGEST: usize = 64 << 10;

/// What all who read the feed know of it. One of those who wait waits for the kernel, and the others for what it reads: a user has
/// no more than some hundred descriptors to be told of changed files.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    /// The number that the next event will have.
    end: watch::Sender<u64>,
    turn: Mutex<()>,
}

impl Feed {
    /// Takes note of what was read of the end, when it was known to be at `known` before that.
    fn ends(&self, known: u64, end: u64) {
        self.end.send_if_modified(|now| {
            // Less than before is what is left of a feed that was lost.
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
    /// What happened before this time is passed over.
    oldest: Option<Timestamp>,
}

/// A part of what happened.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) occurrences: Vec<Occurrence>,
    /// Whether something may have been passed over that was wanted.
    pub(super) truncated: bool,
    /// Whether there may be more.
    pub(super) more: bool,
}

/// Something that happened.
#[derive(Debug)]
pub(super) struct Occurrence {
    number: u64,
    fields: Value,
}

impl Occurrence {
    /// Returns it as it is polled for.
    pub(super) fn into_fields(self) -> Value {
        self.fields
    }

    /// Returns it with the place behind it.
    pub(super) fn with_cursor(mut self) -> Value {
        self.fields["cursor"] = cursor(self.number + 1);
        self.fields
    }
}

impl Reading {
    /// Goes to the place that a cursor names; without one, to the end of the feed. `max_age_ms` is for what is behind a cursor.
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
        // What is too long ago to be said is as good as no bound.
        let age = max_age_ms.and_then(|age| i64::try_from(age).ok()).map(SignedDuration::from_millis);
        let oldest = age.and_then(|age| Timestamp::now().checked_sub(age).ok());
        Ok(Self { feed, jobs, wanted, next, oldest })
    }

    /// Returns where it is: all before it was returned, or is not wanted.
    pub(super) fn cursor(&self) -> Value {
        cursor(self.next)
    }

    /// Returns where a batch begins that was read last.
    pub(super) fn before(&self, batch: &Batch) -> Value {
        cursor(batch.occurrences.first().map_or(self.next, |first| first.number))
    }

    /// Reads on, until there are `most` occurrences or no more.
    pub(super) async fn read(&mut self, most: usize) -> Result<Batch, Error> {
        let mut batch = Batch::default();
        let mut looked_at = 0;
        loop {
            let known = *self.feed.end.borrow();
            let mut events = self.jobs.events(self.next, EVENTS).await?;
            self.feed.ends(known, events.end);
            if events.end < self.next {
                // All were lost, and numbers begin again.
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

    /// Waits until something more may have happened.
    pub(super) async fn more(&self) -> Result<(), Error> {
        let mut end = self.feed.end.subscribe();
        tokio::select! {
            // Another one has read it; the sender is in the feed itself.
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
            // Nobody can say any more whether it was wanted.
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

/// Returns what the feed itself says of a job.
fn known(event: &JobEvent) -> Value {
    let mut data = json!({ "job_id": event.job_id, "short_id": event.job_id.short() });
    for (field, value) in [("status", json!(event.status)), ("exit_code", json!(event.exit_code))] {
        if !value.is_null() {
            data[field] = value;
        }
    }
    data
}

/// Returns the cursor of a place in the feed. Clients keep it and look at nothing in it.
fn cursor(number: u64) -> Value {
    number.to_string().into()
}

/// Returns the place that a cursor names.
fn place(cursor: &str) -> Option<u64> {
    let number = cursor.parse().ok()?;
    (self::cursor(number) == cursor).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_the_latest_that_was_read_unless_the_feed_was_lost() {
        let feed = Feed::default();
        let known = || *feed.end.borrow();
        feed.ends(0, 7);
        // What was read before, and is told afterwards.
        feed.ends(0, 5);
        assert_eq!(known(), 7);
        feed.ends(7, 2);
        assert_eq!(known(), 2);
        feed.ends(2, 3);
        assert_eq!(known(), 3);
    }

    #[test]
    fn a_cursor_is_what_was_returned_and_nothing_else() {
        for number in [0, 7, u64::MAX] {
            assert_eq!(place(cursor(number).as_str().unwrap()), Some(number));
        }
        for wrong in ["", "-1", "+1", "01", "1 ", "x", "18446744073709551616"] {
            assert_eq!(place(wrong), None, "{wrong}");
        }
    }
}
