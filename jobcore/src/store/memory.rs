//! Jobs kept in the memory of one process, with the same limits as on disk. They end with the process.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use tokio::sync::OwnedMutexGuard;

use super::{
    Admission, EventKind, Events, Hold, Holders, Inbox, InboxState, JobClaim, JobEvent, JobStore, Query, StoreSettings,
};
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::output::{JobLog, LogBackend, LogWriter, OutputSize, Row, Segment, Stream};
use crate::queue::Place;
use crate::record::{Ended, Evidence, Record, Running, Start, Submission};
use crate::spec::Given;

/// How many events are kept.
const EVENTS: usize = 10_000;

/// Jobs in memory. Clones are handles of the same store.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    admission: Arc<tokio::sync::Mutex<()>>,
    jobs: Mutex<BTreeMap<JobId, Arc<Entry>>>,
    settings: Mutex<StoreSettings>,
    feed: Mutex<Feed>,
    holders: Holders,
    inboxes: Mutex<BTreeMap<Caller, Arc<Slot>>>,
}

/// The events that are kept.
#[derive(Debug, Default)]
struct Feed {
    events: VecDeque<JobEvent>,
    next: u64,
}

/// One job.
#[derive(Debug)]
struct Entry {
    /// Its place in the order in which jobs were created.
    number: usize,
    id: JobId,
    records: Mutex<Records>,
    log: Mutex<LogWriter<Segments>>,
}

#[derive(Debug)]
struct Records {
    submission: Arc<Submission>,
    place: Place,
    secrets: Option<(Environment, Given)>,
    start: Option<Start>,
    running: Option<Running>,
    ended: Option<Ended>,
    cached: BTreeMap<&'static str, Vec<u8>>,
}

/// The inbox of a caller.
#[derive(Debug, Default)]
struct Slot {
    held: Arc<tokio::sync::Mutex<()>>,
    written: Mutex<Option<InboxState>>,
}

#[derive(Debug)]
struct HeldInbox {
    state: Option<InboxState>,
    slot: Arc<Slot>,
    _held: OwnedMutexGuard<()>,
}

#[async_trait]
impl Inbox for HeldInbox {
    fn state(&self) -> Option<&InboxState> {
        self.state.as_ref()
    }

    async fn write(&mut self, state: InboxState) -> Result<()> {
        *lock(&self.slot.written) = Some(state.clone());
        self.state = Some(state);
        Ok(())
    }
}

/// Segments in memory.
#[derive(Debug, Default)]
struct Segments(BTreeMap<u64, (Vec<Row>, Vec<u8>)>);

impl LogBackend for Segments {
    fn create(&mut self, start: u64) -> io::Result<()> {
        self.0.insert(start, Default::default());
        Ok(())
    }

    fn push_row(&mut self, row: Row) -> io::Result<()> {
        if let Some(mut current) = self.0.last_entry() {
            current.get_mut().0.push(row);
        }
        Ok(())
    }

    fn write(&mut self, _: u64, bytes: &[u8]) -> io::Result<usize> {
        if let Some(mut current) = self.0.last_entry() {
            current.get_mut().1.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn remove(&mut self, start: u64) {
        self.0.remove(&start);
    }
}

/// Locks, and ignores that another thread panicked: every change below is made completely or not at all.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl MemoryStore {
    /// Returns an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn tell(&self, mut event: JobEvent) {
        let mut feed = lock(&self.0.feed);
        event.number = feed.next;
        feed.next += 1;
        feed.events.push_back(event);
        if feed.events.len() > EVENTS {
            feed.events.pop_front();
        }
    }

    fn entry(&self, id: JobId) -> Result<Arc<Entry>> {
        lock(&self.0.jobs).get(&id).cloned().ok_or_else(|| Error::not_found(id))
    }

    /// Takes the lock of a job, if the job exists.
    fn hold(&self, id: JobId) -> Result<Option<(Hold, Arc<Entry>)>> {
        let hold = self.0.holders.take(id);
        let entry = self.entry(id)?;
        Ok(hold.map(|hold| (hold, entry)))
    }
}

#[async_trait]
impl JobStore for MemoryStore {
    async fn admit(&self) -> Result<Box<dyn Admission>> {
        let lock = Arc::clone(&self.0.admission).lock_owned().await;
        Ok(Box::new(Admitted { store: self.clone(), _lock: lock }))
    }

    async fn claim(&self, id: JobId) -> Result<Option<Box<dyn JobClaim>>> {
        let claim = self.hold(id)?.map(|(hold, entry)| {
            let submission = Arc::clone(&lock(&entry.records).submission);
            Box::new(Claim { store: self.clone(), hold, submission, entry }) as _
        });
        Ok(claim)
    }

    async fn evidence(&self, id: JobId) -> Result<Evidence> {
        let entry = self.entry(id)?;
        let records = lock(&entry.records);
        let mut evidence = Evidence::new(Submission::clone(&records.submission));
        evidence.place = records.place.clone();
        evidence.start = records.start.clone();
        evidence.running = records.running.clone();
        evidence.ended = records.ended.clone();
        // Read under the lock of the records, so that a holder that starts the job after this look is not counted.
        evidence.held = self.0.holders.is_held(id);
        drop(records);
        evidence.seen = super::look(&evidence);
        evidence.output = lock(&entry.log).size();
        Ok(evidence)
    }

    async fn ids(&self, query: &Query, before: Option<JobId>, limit: usize) -> Result<Vec<JobId>> {
        let jobs = lock(&self.0.jobs);
        let border = before.and_then(|before| jobs.get(&before)).map(|entry| entry.number);
        let is_before = |entry: &Entry| match border {
            Some(border) => entry.number < border,
            None => before.is_none_or(|before| entry.id < before),
        };
        let may_be_wanted = |entry: &&Arc<Entry>| {
            let records = lock(&entry.records);
            query.may_want(&records.submission, records.ended.as_ref(), self.0.holders.is_held(entry.id))
        };
        let mut found: Vec<_> = jobs.values().filter(|entry| is_before(entry)).filter(may_be_wanted).collect();
        found.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.number));
        Ok(found.into_iter().take(limit).map(|entry| entry.id).collect())
    }

    async fn remove(&self, id: JobId) -> Result<()> {
        let (_hold, _) = self.hold(id)?.ok_or_else(|| super::held(id))?;
        lock(&self.0.jobs).remove(&id);
        self.tell(JobEvent::now(id, EventKind::Removed));
        Ok(())
    }

    async fn log(&self, id: JobId) -> Result<Box<dyn JobLog>> {
        Ok(Box::new(Log(self.entry(id)?)))
    }

    async fn settings(&self) -> Result<StoreSettings> {
        Ok(lock(&self.0.settings).clone())
    }

    async fn events(&self, since: u64, limit: usize) -> Result<Events> {
        let feed = lock(&self.0.feed);
        let told: Vec<_> = feed.events.iter().skip_while(|event| event.number < since).take(limit).cloned().collect();
        let first = feed.events.front().map_or(feed.next, |event| event.number);
        let next = told.last().map_or(since.max(first), |event| event.number + 1);
        Ok(Events::new(told, next, first.saturating_sub(since), feed.next))
    }

    async fn inbox_state(&self, caller: &Caller) -> Result<Option<InboxState>> {
        // A held inbox is only written as a whole, and read here between two writes.
        Ok(lock(&self.0.inboxes).get(caller).and_then(|inbox| lock(&inbox.written).clone()))
    }

    async fn inbox(&self, caller: &Caller) -> Result<Option<Box<dyn Inbox>>> {
        let slot = Arc::clone(lock(&self.0.inboxes).entry(caller.clone()).or_default());
        let Ok(held) = Arc::clone(&slot.held).try_lock_owned() else { return Ok(None) };
        let state = lock(&slot.written).clone();
        Ok(Some(Box::new(HeldInbox { state, slot, _held: held })))
    }

    fn holders(&self) -> Option<&Holders> {
        Some(&self.0.holders)
    }

    async fn cached(&self, id: JobId, name: &'static str) -> Result<Option<Vec<u8>>> {
        Ok(lock(&self.entry(id)?.records).cached.get(name).cloned())
    }

    async fn cache(&self, id: JobId, name: &'static str, bytes: &[u8]) -> Result<()> {
        lock(&self.entry(id)?.records).cached.insert(name, bytes.to_vec());
        Ok(())
    }
}

#[derive(Debug)]
struct Admitted {
    store: MemoryStore,
    _lock: OwnedMutexGuard<()>,
}

#[async_trait]
impl Admission for Admitted {
    async fn insert(&mut self, mut submission: Submission) -> Result<()> {
        let id = submission.job_id;
        let spec = &mut submission.spec;
        let secrets = Some((std::mem::take(&mut spec.environment), std::mem::take(&mut spec.given)));
        let mut place = spec.first_place();
        let log = Mutex::new(LogWriter::new(Segments::default(), submission.spec.output_limit));
        let mut jobs = lock(&self.store.0.jobs);
        if jobs.contains_key(&id) {
            return Err(Error::Refused { id, reason: "a job with this id already exists".to_owned() });
        }
        let number = jobs.values().map(|entry| entry.number + 1).max().unwrap_or(0);
        // There is room between any two places, and before the first.
        place.order = (number as u128 + 1) << 64;
        let records = Records {
            submission: Arc::new(submission),
            place,
            secrets,
            start: None,
            running: None,
            ended: None,
            cached: BTreeMap::new(),
        };
        jobs.insert(id, Arc::new(Entry { number, id, records: Mutex::new(records), log }));
        drop(jobs);
        self.store.tell(JobEvent::now(id, EventKind::Submitted));
        self.store.0.holders.ring(id);
        Ok(())
    }

    async fn set(&mut self, settings: &StoreSettings) -> Result<()> {
        *lock(&self.store.0.settings) = settings.clone();
        Ok(())
    }
}

#[derive(Debug)]
struct Claim {
    store: MemoryStore,
    hold: Hold,
    submission: Arc<Submission>,
    entry: Arc<Entry>,
}

#[async_trait]
impl JobClaim for Claim {
    fn submission(&self) -> &Submission {
        &self.submission
    }

    async fn place(&self) -> Result<Place> {
        Ok(lock(&self.entry.records).place.clone())
    }

    async fn set_place(&mut self, place: &Place) -> Result<()> {
        lock(&self.entry.records).place = place.clone();
        Ok(())
    }

    async fn replace(&mut self, mut submission: Submission) -> Result<()> {
        let environment = std::mem::take(&mut submission.spec.environment);
        self.submission = Arc::new(submission);
        let mut records = lock(&self.entry.records);
        records.submission = Arc::clone(&self.submission);
        if let Some((before, _)) = &mut records.secrets {
            *before = environment;
        }
        Ok(())
    }

    async fn secrets(&self) -> Result<(Environment, Given)> {
        let id = self.entry.id;
        let gone = || Error::Refused { id, reason: "it has ended, and its environment is no longer kept".to_owned() };
        lock(&self.entry.records).secrets.clone().ok_or_else(gone)
    }

    async fn record(&mut self, record: Record<'_>) -> Result<()> {
        let mut records = lock(&self.entry.records);
        let is_known = records.ended.is_some();
        match record {
            Record::Start(start) => (records.start, records.running) = (Some(start.clone()), None),
            Record::Running(running) | Record::Noted(running, _) => records.running = Some(running.clone()),
            Record::Ended(ended) => {
                records.ended.get_or_insert_with(|| ended.clone());
                records.secrets = None;
            }
        }
        // Before the end of the job can be read.
        if let Some(event) = JobEvent::of(self.entry.id, record).filter(|_| !is_known) {
            self.store.tell(event);
        }
        drop(records);
        self.hold.recorded(record);
        Ok(())
    }

    async fn append(&mut self, stream: Stream, at: Timestamp, bytes: &[u8]) {
        lock(&self.entry.log).append(stream, u64::try_from(at.as_microsecond()).unwrap_or(0), bytes);
        self.hold.ring();
    }

    fn output(&self) -> OutputSize {
        lock(&self.entry.log).size()
    }

    fn hold(&mut self) -> Option<&mut Hold> {
        Some(&mut self.hold)
    }
}

struct Log(Arc<Entry>);

impl JobLog for Log {
    fn segments(&self) -> Result<Vec<Segment>> {
        let log = lock(&self.0.log);
        Ok(log.backend.0.iter().map(|(start, (_, bytes))| Segment::new(*start, bytes.len() as u64)).collect())
    }

    fn read_at(&self, segment: u64, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let log = lock(&self.0.log);
        let skip = usize::try_from(offset.saturating_sub(segment)).unwrap_or(usize::MAX);
        let there = log.backend.0.get(&segment).and_then(|(_, bytes)| bytes.get(skip..)).unwrap_or_default();
        let count = there.len().min(buffer.len());
        buffer[..count].copy_from_slice(&there[..count]);
        Ok(count)
    }

    fn row_count(&self, segment: u64) -> Result<u64> {
        Ok(lock(&self.0.log).backend.0.get(&segment).map_or(0, |(rows, _)| rows.len() as u64))
    }

    fn rows(&self, segment: u64, first: u64, count: usize) -> Result<Vec<Row>> {
        let log = lock(&self.0.log);
        let skip = usize::try_from(first).unwrap_or(usize::MAX);
        let rows = log.backend.0.get(&segment).map(|(rows, _)| rows.as_slice()).unwrap_or_default();
        Ok(rows.iter().skip(skip).take(count).copied().collect())
    }
}

#[cfg(test)]
mod conformance {
    use super::*;
    use crate::store::conformance::Backend;

    crate::store_conformance!(Backend::new({
        let store = MemoryStore::new();
        move || Arc::new(store.clone())
    }));
}
