//! Jobs kept in the memory of one process, with the same limits as on disk. They end with it.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::unix::pipe::Sender;
use tokio::sync::{Notify, mpsc, oneshot};

use super::{
    Created, Disposable, EventKind, Events, Incoming, JobClaim, JobEvent, JobStore, Load, Query, STARTING, Slot,
    StoreSettings, Tally, WhenFull,
};
use crate::clock::Timestamp;
use crate::control::{Answer, Request};
use crate::environment::Environment;
use crate::error::{Error, NoInput, Result};
use crate::id::JobId;
use crate::name::Name;
use crate::output::{JobLog, LogBackend, LogWriter, OutputSize, Row, Segment, Stream};
use crate::record::{Ended, Evidence, Running, Start, Submission};
use crate::sys::{self, pipe};

/// How many events are kept.
const EVENTS: usize = 10_000;
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(1);

/// Jobs in memory. Clones are handles of the same store.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    jobs: Arc<Mutex<BTreeMap<JobId, Arc<Entry>>>>,
    /// Taken before any other lock: who starts next is decided under it.
    admission: Arc<Mutex<Admission>>,
    events: Arc<Mutex<Feed>>,
    told: Arc<Notify>,
}

/// What happened, as far as it is kept.
#[derive(Debug, Default)]
struct Feed {
    events: VecDeque<JobEvent>,
    next: u64,
}

#[derive(Debug, Default)]
struct Admission {
    settings: StoreSettings,
    /// In the order in which they were created; who has been started or has ended is taken out when somebody looks.
    waiting: Vec<Arc<Entry>>,
    slots: Vec<Arc<Entry>>,
}

impl Admission {
    /// Forgets what is not true any more.
    fn tidy(&mut self) {
        self.slots.retain(|entry| {
            let records = lock(&entry.records);
            // A slot is free when there is an end; or when its claimer gave up before anything was started.
            !records.removed && records.ended.is_none() && (records.start.is_some() || records.holder.is_some())
        });
        self.waiting.retain(|entry| {
            let records = lock(&entry.records);
            !records.removed && records.ended.is_none() && records.start.is_none()
        });
    }

    fn has_room(&self, group: Option<&Name>, taken: &[Arc<Entry>]) -> bool {
        self.settings.has_room(group, taken.iter().map(|entry| entry.submission.spec.group.as_ref()))
    }
}

/// One job.
#[derive(Debug)]
struct Entry {
    submission: Submission,
    records: Mutex<Records>,
    log: Mutex<LogWriter<Segments>>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Records {
    environment: Option<Environment>,
    start: Option<Start>,
    running: Option<Running>,
    ended: Option<Ended>,
    /// Through which something is sent to the job.
    input: Option<io::PipeWriter>,
    cached: BTreeMap<&'static str, Vec<u8>>,
    /// There while somebody holds the lock.
    holder: Option<mpsc::UnboundedSender<Incoming>>,
    removed: bool,
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

    fn remove(&mut self, start: u64) {
        self.0.remove(&start);
    }
}

/// Locks, and goes on where another thread panicked: every change below is whole or not made.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl MemoryStore {
    /// Returns an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn tell(&self, mut event: JobEvent) {
        let mut feed = lock(&self.events);
        event.number = feed.next;
        feed.next += 1;
        feed.events.push_back(event);
        if feed.events.len() > EVENTS {
            feed.events.pop_front();
        }
        drop(feed);
        self.told.notify_waiters();
    }

    fn entry(&self, id: JobId) -> Result<Arc<Entry>> {
        lock(&self.jobs).get(&id).cloned().ok_or_else(|| Error::NotFound { reference: id.to_string() })
    }
}

impl Entry {
    /// Returns whether there is nothing more to wait for.
    fn is_settled(&self) -> bool {
        let records = lock(&self.records);
        records.ended.is_some() || records.holder.is_none() || records.removed
    }

    /// Returns whether the job has ended, or nobody will ever see its end.
    fn is_over(&self) -> bool {
        let records = lock(&self.records);
        records.ended.is_some() || (records.start.is_some() && records.holder.is_none())
    }

    fn evidence(&self) -> Evidence {
        let records = lock(&self.records);
        let mut evidence = Evidence::new(self.submission.clone());
        evidence.start = records.start.clone();
        evidence.running = records.running.clone();
        evidence.ended = records.ended.clone();
        evidence.held = records.holder.is_some();
        if evidence.ended.is_none() {
            evidence.seen = super::look(&evidence);
        }
        evidence.output = lock(&self.log).size();
        evidence
    }

    async fn until(&self, condition: impl Fn() -> bool + Send) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Listen before looking, so that no change falls between the two.
            changed.as_mut().enable();
            if condition() {
                return;
            }
            changed.await;
        }
    }

    fn claim(self: &Arc<Self>, store: &MemoryStore) -> Option<Claim> {
        let mut records = lock(&self.records);
        if records.holder.is_some() || records.removed {
            return None;
        }
        let (sender, requests) = mpsc::unbounded_channel();
        records.holder = Some(sender);
        drop(records);
        Some(Claim { store: store.clone(), entry: Arc::clone(self), requests })
    }
}

#[async_trait]
impl JobStore for MemoryStore {
    async fn create(&self, submission: Submission) -> Result<Created> {
        let mut admission = lock(&self.admission);
        admission.tidy();
        let spec = &submission.spec;
        let jobs: Vec<_> = lock(&self.jobs).values().cloned().collect();
        // A key makes no second job, whatever name that would have.
        if spec.key.is_some()
            && let Some(entry) = jobs.iter().find(|entry| entry.submission.spec.key == spec.key)
        {
            return super::same_key(&submission, &entry.submission).map(Created::Existing);
        }
        if let Some(name) = &spec.name
            && let Some(entry) = jobs.iter().find(|it| it.submission.spec.name == spec.name && !it.is_over())
        {
            let (job, _) = entry.evidence().judge(Timestamp::now())?;
            return Err(super::name_taken(name, &job, &spec.cwd));
        }
        if let Some(group) = &spec.group {
            let of_group = jobs.iter().map(|entry| &entry.submission).filter(|other| other.spec.group == spec.group);
            let times = of_group.map(|other| other.submitted_at).collect();
            admission.settings.check_rate(group, submission.submitted_at, times)?;
        }
        // One that is about to be started has a slot and waits still: it counts once.
        let has_slot = |entry: &&Arc<Entry>| admission.slots.iter().any(|slot| Arc::ptr_eq(slot, entry));
        let waiting = admission.waiting.iter().filter(|entry| !has_slot(entry));
        let taken = admission.slots.iter().chain(waiting).map(|entry| entry.submission.spec.group.as_ref());
        let reached = admission.settings.reached(submission.spec.group.as_ref(), taken);
        if let Some(reached) = reached.filter(|_| admission.settings.when_full == WhenFull::Refuse) {
            return Err(reached.into());
        }
        let id = submission.job_id;
        let limit = submission.spec.output_limit;
        let environment = Some(submission.spec.environment.clone());
        let entry = Arc::new(Entry {
            submission,
            records: Mutex::new(Records { environment, ..Records::default() }),
            log: Mutex::new(LogWriter::new(Segments::default(), limit)),
            changed: Notify::new(),
        });
        match lock(&self.jobs).entry(id) {
            std::collections::btree_map::Entry::Vacant(vacant) => vacant.insert(Arc::clone(&entry)),
            std::collections::btree_map::Entry::Occupied(_) => {
                return Err(Error::Refused { id, reason: "there is a job with this id".to_owned() });
            }
        };
        admission.waiting.push(entry);
        self.tell(JobEvent::now(id, EventKind::Submitted));
        Ok(Created::New)
    }

    async fn next_due(&self) -> Result<Option<Box<dyn JobClaim>>> {
        let mut admission = lock(&self.admission);
        admission.tidy();
        for entry in admission.waiting.clone() {
            if !admission.has_room(entry.submission.spec.group.as_ref(), &admission.slots) {
                continue;
            }
            if let Some(claim) = entry.claim(self) {
                admission.slots.push(entry);
                return Ok(Some(Box::new(claim)));
            }
        }
        Ok(None)
    }

    async fn named(&self, name: &Name) -> Result<Option<JobId>> {
        let jobs = lock(&self.jobs);
        let newest = jobs.iter().rev().find(|(_, entry)| entry.submission.spec.name.as_ref() == Some(name));
        Ok(newest.map(|(id, _)| *id))
    }

    async fn keyed(&self, key: &str) -> Result<Option<JobId>> {
        let jobs = lock(&self.jobs);
        Ok(jobs.iter().find(|(_, entry)| entry.submission.spec.key.as_deref() == Some(key)).map(|(id, _)| *id))
    }

    async fn load(&self) -> Result<Load> {
        let mut admission = lock(&self.admission);
        admission.tidy();
        let slot = |entry: &Arc<Entry>| {
            let (id, group) = (entry.submission.job_id, entry.submission.spec.group.clone());
            Slot { id, group }
        };
        let running: Vec<_> = admission.slots.iter().map(slot).collect();
        let waiting = admission.waiting.iter().map(slot).filter(|slot| !running.contains(slot)).collect();
        Ok(Load { settings: admission.settings.clone(), running, waiting })
    }

    async fn unattended(&self) -> Result<Vec<JobId>> {
        let mut admission = lock(&self.admission);
        admission.tidy();
        let is_unattended = |entry: &&Arc<Entry>| {
            let records = lock(&entry.records);
            records.start.is_some() && records.holder.is_none()
        };
        Ok(admission.slots.iter().filter(is_unattended).map(|entry| entry.submission.job_id).collect())
    }

    async fn settings(&self) -> Result<StoreSettings> {
        Ok(lock(&self.admission).settings.clone())
    }

    async fn change_settings(
        &self,
        change: &mut (dyn for<'s> FnMut(&'s mut StoreSettings) + Send),
    ) -> Result<StoreSettings> {
        let mut admission = lock(&self.admission);
        change(&mut admission.settings);
        Ok(admission.settings.clone())
    }

    async fn claim(&self, id: JobId) -> Result<Option<Box<dyn JobClaim>>> {
        Ok(self.entry(id)?.claim(self).map(|claim| Box::new(claim) as _))
    }

    async fn evidence(&self, id: JobId) -> Result<Evidence> {
        Ok(self.entry(id)?.evidence())
    }

    async fn ids(&self, query: &Query, before: Option<JobId>, limit: usize) -> Result<Vec<JobId>> {
        let jobs = lock(&self.jobs);
        let newest_first = jobs.keys().rev().filter(|id| before.is_none_or(|before| **id < before));
        Ok(newest_first.filter(|id| query.may_be(**id)).take(limit).copied().collect())
    }

    async fn tally(&self) -> Result<Tally> {
        let mut tally = Tally::default();
        for (id, entry) in lock(&self.jobs).iter() {
            match &lock(&entry.records).ended {
                Some(ended) => *tally.ended.entry(ended.outcome.status()).or_default() += 1,
                None => tally.others.push(*id),
            }
        }
        Ok(tally)
    }

    async fn events(&self, since: u64, limit: usize) -> Result<Events> {
        let events = lock(&self.events);
        let there = events.events.iter().skip_while(|event| event.number < since).take(limit);
        let told: Vec<_> = there.cloned().collect();
        let first = events.events.front().map_or(events.next, |event| event.number);
        let next = told.last().map_or(since.max(first), |event| event.number + 1);
        Ok(Events::new(told, next, first.saturating_sub(since), events.next))
    }

    async fn happened(&self, number: u64) -> Result<()> {
        loop {
            let told = self.told.notified();
            tokio::pin!(told);
            // Listen before looking, so that no event falls between the two.
            told.as_mut().enable();
            if lock(&self.events).next > number {
                return Ok(());
            }
            told.await;
        }
    }

    async fn disposable(&self) -> Result<Vec<Disposable>> {
        let over = |(id, entry): (&JobId, &Arc<Entry>)| {
            let records = lock(&entry.records);
            let outcome = &records.ended.as_ref()?.outcome;
            Some(Disposable::new(*id, outcome.status(), outcome.ended_at, lock(&entry.log).size().bytes))
        };
        let mut jobs: Vec<_> = lock(&self.jobs).iter().filter_map(over).collect();
        jobs.sort_unstable_by_key(|job| (job.ended_at, job.id));
        Ok(jobs)
    }

    async fn sweep(&self) -> Result<()> {
        let retention = lock(&self.admission).settings.retention();
        for job in retention.excess(self.disposable().await?, Timestamp::now()) {
            // One that somebody is in charge of goes later.
            let _ = self.remove(job.id).await;
        }
        Ok(())
    }

    async fn remove(&self, id: JobId) -> Result<()> {
        let entry = self.entry(id)?;
        let _claim = entry.claim(self).ok_or_else(|| super::held(id))?;
        lock(&self.jobs).remove(&id);
        self.tell(JobEvent::now(id, EventKind::Removed));
        lock(&entry.records).removed = true;
        entry.changed.notify_waiters();
        Ok(())
    }

    async fn settled(&self, id: JobId) -> Result<()> {
        if let Ok(entry) = self.entry(id) {
            entry.until(|| entry.is_settled()).await;
        }
        Ok(())
    }

    async fn left_queue(&self, id: JobId) -> Result<()> {
        if let Ok(entry) = self.entry(id) {
            let has_left = || {
                let records = lock(&entry.records);
                records.removed || records.start.is_some() || records.ended.is_some()
            };
            entry.until(has_left).await;
        }
        Ok(())
    }

    async fn written(&self, id: JobId, beyond: u64) -> Result<()> {
        if let Ok(entry) = self.entry(id) {
            entry.until(|| entry.is_settled() || lock(&entry.log).size().bytes > beyond).await;
        }
        Ok(())
    }

    async fn log(&self, id: JobId) -> Result<Box<dyn JobLog>> {
        Ok(Box::new(Log(self.entry(id)?)))
    }

    async fn cached(&self, id: JobId, name: &'static str) -> Result<Option<Vec<u8>>> {
        Ok(lock(&self.entry(id)?.records).cached.get(name).cloned())
    }

    async fn cache(&self, id: JobId, name: &'static str, bytes: &[u8]) -> Result<()> {
        lock(&self.entry(id)?.records).cached.insert(name, bytes.to_vec());
        Ok(())
    }

    async fn send(&self, id: JobId, bytes: &[u8], patience: Duration) -> Result<usize> {
        let entry = self.entry(id)?;
        let no_input = |reason| Error::NoInput { id, reason };
        let is_decided = || {
            let records = lock(&entry.records);
            records.input.is_some() || records.running.is_some() || records.ended.is_some() || records.removed
        };
        tokio::time::timeout(STARTING, entry.until(is_decided)).await.map_err(|_| Error::NoAnswer { id })?;
        let writer = lock(&entry.records).input.as_ref().map(io::PipeWriter::try_clone);
        let Some(Ok(writer)) = writer else { return Err(no_input(NoInput::Ended)) };
        let cannot = |error| Error::io("write to", "a pipe".as_ref())(error);
        let sender = Sender::from_owned_fd(writer.into()).map_err(cannot)?;
        match pipe::push(&sender, bytes, patience).await {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(no_input(NoInput::Closed)),
            pushed => pushed.map_err(cannot),
        }
    }

    async fn request(&self, id: JobId, request: Request) -> Result<Answer> {
        let entry = self.entry(id)?;
        let (sender, answer) = oneshot::channel();
        let incoming = Incoming::new(request, move |answer| drop(sender.send(answer)));
        let holder = lock(&entry.records).holder.clone();
        let is_sent = holder.is_some_and(|holder| holder.send(incoming).is_ok());
        match tokio::time::timeout(ANSWER, answer).await {
            Ok(Ok(answer)) if is_sent => Ok(answer),
            _ => Err(Error::NoAnswer { id }),
        }
    }
}

#[derive(Debug)]
struct Claim {
    store: MemoryStore,
    entry: Arc<Entry>,
    requests: mpsc::UnboundedReceiver<Incoming>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.entry.records).holder = None;
        self.entry.changed.notify_waiters();
    }
}

#[async_trait]
impl JobClaim for Claim {
    fn submission(&self) -> &Submission {
        &self.entry.submission
    }

    async fn evidence(&self) -> Result<Evidence> {
        Ok(Evidence { held: false, ..self.entry.evidence() })
    }

    async fn environment(&self) -> Result<Environment> {
        let id = self.entry.submission.job_id;
        let gone = || Error::Refused { id, reason: "its environment is forgotten, since it has ended".to_owned() };
        lock(&self.entry.records).environment.clone().ok_or_else(gone)
    }

    async fn given(&self) -> Result<OwnedFd> {
        let given = &self.entry.submission.spec.given.0;
        sys::file_in_memory(given).map_err(Error::io("make", "a file in memory".as_ref()))
    }

    async fn start(&mut self, start: &Start) -> Result<()> {
        lock(&self.entry.records).start = Some(start.clone());
        self.entry.changed.notify_waiters();
        Ok(())
    }

    async fn running(&mut self, running: &Running) -> Result<()> {
        lock(&self.entry.records).running = Some(running.clone());
        self.store.tell(JobEvent::now(self.entry.submission.job_id, EventKind::Started));
        Ok(())
    }

    async fn open_input(&mut self) -> Result<OwnedFd> {
        let (reader, writer) = io::pipe().map_err(Error::io("make", "a pipe".as_ref()))?;
        lock(&self.entry.records).input = Some(writer);
        self.entry.changed.notify_waiters();
        Ok(reader.into())
    }

    async fn end_input(&mut self) {
        lock(&self.entry.records).input = None;
    }

    async fn append(&mut self, stream: Stream, at: Timestamp, mut bytes: &[u8]) {
        let micros = u64::try_from(at.as_microsecond()).unwrap_or(0);
        let mut log = lock(&self.entry.log);
        while !bytes.is_empty() {
            let room = log.prepare(stream, micros).expect("memory is not refused");
            let (now, later) = bytes.split_at(bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
            if let Some(mut current) = log.backend.0.last_entry() {
                current.get_mut().1.extend_from_slice(now);
            }
            log.wrote(now.len() as u64);
            bytes = later;
        }
        drop(log);
        self.entry.changed.notify_waiters();
    }

    fn output(&self) -> OutputSize {
        lock(&self.entry.log).size()
    }

    async fn finish(&mut self, ended: &Ended) -> Result<()> {
        let mut records = lock(&self.entry.records);
        if records.ended.is_none() {
            records.ended = Some(ended.clone());
            self.store.tell(JobEvent::end(self.entry.submission.job_id, &ended.outcome));
        }
        (records.environment, records.input) = (None, None);
        drop(records);
        self.entry.changed.notify_waiters();
        Ok(())
    }

    async fn next_request(&mut self) -> Incoming {
        match self.requests.recv().await {
            Some(incoming) => incoming,
            // The sender is kept in the entry for as long as this claim lives.
            None => std::future::pending().await,
        }
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
