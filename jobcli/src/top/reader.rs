//! Reads jobs for the view, in the background: the whole list once and then only what events name, and all details of
//! the visible jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jobcore::front::process::load_average;
use jobcore::{Error, JobId, JobManager, Result, Status};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::header::Header;
use super::messages::{Arrangement, Event, Wanted};
use super::roster::Roster;
use super::row::{JobRow, Row};

/// How long events are collected before the changed jobs are read: no screen needs more than 20 frames a second.
const COLLECT: Duration = Duration::from_millis(50);
/// How many events are read at a time. If there are more, everything is read again.
const EVENTS: usize = 2_000;
/// How many ended jobs are read between two checks of what is wanted.
const AT_A_TIME: usize = 64;
/// How often visible running jobs are read.
const TICK: Duration = Duration::from_secs(1);
/// How often the figures of the store are read while events arrive.
const HEADER: Duration = Duration::from_secs(2);
/// How often the jobs found so far are sent while the search continues.
const TELL: Duration = Duration::from_millis(200);

/// Reads what is wanted, and its changes, until the view ends.
pub(super) async fn read(jobs: JobManager, wanted: watch::Receiver<Wanted>, events: UnboundedSender<Event>) {
    let mut reader = Reader {
        jobs,
        wanted,
        events,
        roster: None,
        told: None,
        seen: BTreeMap::new(),
        used: BTreeMap::new(),
        next_event: 0,
        header: Header::default(),
        header_at: Some(Instant::now()),
        header_was_at: None,
        tick_at: None,
    };
    if let Err(error) = reader.run().await {
        reader.tell(Event::Done(Err(format!("cannot read the store: {error}"))));
    }
}

struct Reader {
    jobs: JobManager,
    wanted: watch::Receiver<Wanted>,
    events: UnboundedSender<Event>,
    roster: Option<Roster>,
    /// The arrangement of the list that was sent last; nothing if the list has changed since.
    told: Option<Arrangement>,
    /// The visible jobs that were sent, and how they may change.
    seen: BTreeMap<JobId, Seen>,
    /// The CPU time that each job had used, and when.
    used: BTreeMap<JobId, (Instant, Duration)>,
    next_event: u64,
    header: Header,
    /// When to read the figures of the store, if that is due.
    header_at: Option<Instant>,
    header_was_at: Option<Instant>,
    /// When to read visible running jobs again, if there are any.
    tick_at: Option<Instant>,
}

/// Why a visible job may have to be read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// It changes with time.
    Moves,
    /// It changes with other jobs.
    Waits,
    /// It changes only with events.
    Stays,
}

/// Why the reader woke.
enum Woken {
    Wanted,
    Happened,
    Header,
    Tick,
    /// The view has ended.
    Unwanted,
}

impl Reader {
    async fn run(&mut self) -> Result<()> {
        self.next_event = self.jobs.events(0, 0).await?.end;
        self.wanted.mark_changed();
        let mut happened = happened(&self.jobs, self.next_event);
        loop {
            let woken = tokio::select! {
                biased;
                changed = self.wanted.changed() => changed.map_or(Woken::Unwanted, |()| Woken::Wanted),
                came = &mut happened => came.map(|()| Woken::Happened)?,
                () = until(self.header_at) => Woken::Header,
                () = until(self.tick_at) => Woken::Tick,
            };
            match woken {
                Woken::Unwanted => return Ok(()),
                Woken::Wanted => self.look_at_wanted().await?,
                Woken::Happened => {
                    tokio::time::sleep(COLLECT).await;
                    self.note_events().await?;
                    happened = self::happened(&self.jobs, self.next_event);
                }
                Woken::Header => {
                    self.header = Header::look(&self.jobs).await?;
                    self.tell(Event::Header(self.header.clone()));
                    (self.header_at, self.header_was_at) = (None, Some(Instant::now()));
                }
                Woken::Tick => {
                    self.look_again(|seen| seen == Seen::Moves).await;
                    // The load of the machine changes without an event.
                    self.header.load = load_average();
                    self.tell(Event::Header(self.header.clone()));
                }
            }
        }
    }

    fn tell(&self, event: Event) {
        // There is no receiver once the view has ended.
        let _ = self.events.send(event);
    }

    fn want_header(&mut self) {
        let earliest = self.header_was_at.map_or_else(Instant::now, |at| at + HEADER);
        self.header_at.get_or_insert(earliest);
    }

    /// Reads what is wanted but not yet known.
    async fn look_at_wanted(&mut self) -> Result<()> {
        let wanted = self.wanted.borrow_and_update().clone();
        if self.roster.as_ref().is_none_or(|roster| *roster.filter() != wanted.filter) {
            self.roster = Some(Roster::find(&self.jobs, wanted.filter.clone()).await?);
            self.told = None;
        }
        self.complete(&wanted).await;
        self.seen.retain(|id, _| wanted.visible.contains(id));
        self.used.retain(|id, _| wanted.visible.contains(id));
        let unseen: Vec<_> = wanted.visible.into_iter().filter(|id| !self.seen.contains_key(id)).collect();
        self.look(&unseen).await;
        Ok(())
    }

    /// Reads ended jobs until enough are found or something else is wanted, and sends the list if it has changed.
    async fn complete(&mut self, wanted: &Wanted) {
        let Some(mut roster) = self.roster.take() else { return };
        let mut began = Instant::now();
        while roster.is_short_of(wanted.at_least) && !self.wanted.has_changed().unwrap_or(true) {
            roster.look_further(&self.jobs, AT_A_TIME).await;
            self.told = None;
            if began.elapsed() > TELL {
                self.tell_entries(&roster, wanted).await;
                began = Instant::now();
            }
        }
        if self.told != Some(wanted.arrangement) {
            self.tell_entries(&roster, wanted).await;
        }
        self.roster = Some(roster);
    }

    async fn tell_entries(&mut self, roster: &Roster, wanted: &Wanted) {
        let (entries, more) = roster.entries(&self.jobs, wanted.arrangement).await;
        self.tell(Event::Listed { entries: Arc::new(entries), more });
        self.told = Some(wanted.arrangement);
    }

    /// Reads new events, and the jobs that they name.
    async fn note_events(&mut self) -> Result<()> {
        let happened = self.jobs.events(self.next_event, EVENTS).await?;
        let is_too_much = happened.gone > 0 || happened.events.len() == EVENTS;
        let changed: BTreeSet<JobId> = happened.events.iter().map(|event| event.job_id).collect();
        self.next_event = if is_too_much { happened.end } else { happened.next };
        match self.roster.as_mut().filter(|_| !is_too_much) {
            Some(roster) => {
                for id in &changed {
                    roster.note(&self.jobs, *id).await;
                }
            }
            None => {
                self.roster = None;
                self.seen.clear();
            }
        }
        self.told = None;
        for id in &changed {
            self.seen.remove(id);
        }
        self.look_at_wanted().await?;
        // A waiting job may have become the next one.
        self.look_again(|seen| seen == Seen::Waits).await;
        self.want_header();
        Ok(())
    }

    async fn look_again(&mut self, is_meant: impl Fn(Seen) -> bool) {
        let meant: Vec<_> = self.seen.iter().filter(|(_, seen)| is_meant(**seen)).map(|(id, _)| *id).collect();
        self.look(&meant).await;
    }

    /// Reads visible jobs, and sends their rows.
    async fn look(&mut self, ids: &[JobId]) {
        let (mut found, mut rows) = (Vec::with_capacity(ids.len()), Vec::new());
        for id in ids {
            match self.jobs.job(*id).await {
                Ok(job) => found.push(job),
                // An event follows.
                Err(Error::NotFound { .. }) => {}
                Err(error) => {
                    self.seen.insert(*id, Seen::Stays);
                    rows.push((*id, Row::Damaged(error.to_string())));
                }
            }
        }
        for (job, shape) in found.iter().zip(self.jobs.reports(&found).await) {
            let used = self.jobs.used(job).await.ok().flatten();
            let used = used.map(|used| (used, self.percent(job.id, used.cpu)));
            let row = JobRow::new(job, shape, used);
            let seen = match job.status() {
                _ if row.moves() => Seen::Moves,
                Status::Queued => Seen::Waits,
                _ => Seen::Stays,
            };
            self.seen.insert(job.id, seen);
            rows.push((job.id, Row::Job(Box::new(row))));
        }
        if !rows.is_empty() {
            self.tell(Event::Rows(rows));
        }
        let moves = self.seen.values().any(|seen| *seen == Seen::Moves);
        let now = Instant::now();
        self.tick_at = moves.then(|| self.tick_at.filter(|at| *at > now).unwrap_or(now + TICK));
    }

    /// Returns how much of a processor a job has used since it was last read, in percent.
    fn percent(&mut self, id: JobId, cpu: Duration) -> Option<u32> {
        let now = Instant::now();
        let (at, before) = self.used.insert(id, (now, cpu))?;
        let used = cpu.saturating_sub(before).as_secs_f64() / now.duration_since(at).as_secs_f64().max(0.001);
        Some((used * 100.0).round() as u32)
    }
}

/// Waits until there may be an event with this number.
fn happened(jobs: &JobManager, number: u64) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
    let jobs = jobs.clone();
    Box::pin(async move { jobs.happened(number).await })
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
