//! Jobs as directories of a local file system, shared by any number of processes. `docs/on-disk-format.md` describes
//! the layout for users.
//!
//! The store consists of parts that share the [`Layout`] and nothing else.

// In the order in which to read them:
// - `layout.rs`, `atomic.rs`, `job_file.rs`: which file is where, and how files and records are read and written
// - `root.rs`, `upgrade.rs`, `settings.rs`: the directory as a whole, one of an earlier format, the settings in it
// - `admission.rs`: its lock, and the jobs that wait or have a slot
// - `jobs.rs`, `staging.rs`, `records.rs`, `attempts.rs`, `removal.rs`: the directories of jobs: read, created, written
//   to, removed
// - `claim.rs`, `log.rs`, `control.rs`, `input.rs`: a job in the hands of its holder: records, output, requests, input
// - `index/`, `events.rs`, `catalogue.rs`: rows about all jobs, and finding jobs by them
// - `hints.rs`, `names.rs`: the files that point to jobs by name and key
// - `inboxes.rs`: which ends were delivered to which caller
// - `queue.rs`, `schedules.rs`, `slots.rs`, `sleeper.rs`: what starts next, runs of schedules, what has started, and
//   what starts later
// - `on_end.rs`: what is run at the end of a job
// - `retention.rs`, `watch.rs`, `supervisors.rs`: pruning, waiting, and which processes are supervisors
// - `tests.rs`, `properties/`: files that are not as the store left them

mod admission;
pub(crate) mod atomic;
mod attempts;
mod catalogue;
mod claim;
pub(crate) mod control;
mod events;
mod hints;
mod inboxes;
mod index;
pub(crate) mod input;
mod job_file;
mod jobs;
pub(crate) mod layout;
pub(crate) mod log;
mod names;
pub(crate) mod on_end;
#[cfg(test)]
mod properties;
mod queue;
mod records;
mod removal;
mod retention;
mod root;
mod schedules;
mod settings;
pub(crate) mod sleeper;
mod slots;
mod staging;
pub(crate) mod supervisors;
mod upgrade;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;

use admission::Admission;
use catalogue::Catalogue;
use claim::FileClaim;
use events::EventLog;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use events::check_events;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use index::check_index;
pub(crate) use job_file::JobFile;
pub(crate) use jobs::Jobs;
use layout::Layout;
pub use log::{FileLog, FileLogWriter};
use names::Names;
use queue::Queue;
pub(crate) use records::Records;
use removal::Removal;
use retention::Retention;
use root::Root;
use settings::SettingsFile;
use sleeper::Sleeper;
use slots::Slots;
use staging::Staging;

use super::{
    Change, Created, EndedJob, Events, Inbox, InboxState, JobClaim, JobStore, Lending, Load, Query, StoreSettings,
    Submitted, Tally,
};
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::control::{Answer, Request};
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::name::Name;
use crate::output::JobLog;
use crate::record::{Evidence, RECORD_VERSION, Submission};

/// How long to wait for an answer that a process may have given just before it ended.
const LAST_BREATH: Duration = Duration::from_millis(10);

/// A store on a local file system.
///
/// Handles are cheap, and any number of processes may use the same store. The directory belongs to one user: it is
/// created with mode 0700, and refused if it belongs to another user or if others may write to it.
#[derive(Debug, Clone)]
pub struct FileStore {
    layout: Layout,
    root: Root,
    settings: SettingsFile,
    jobs: Jobs,
    staging: Staging,
    catalogue: Catalogue,
    events: EventLog,
    slots: Slots,
    names: Names,
    queue: Queue,
    removal: Removal,
    retention: Retention,
    /// Whether the user of this handle holds the admission lock, and gives slots back itself.
    is_under_admission: bool,
}

impl FileStore {
    /// Opens a store, and creates it if there is none.
    ///
    /// # Errors
    /// [`Error::StoreRefused`] if it is not safe or not understood, with the reason; [`Error::Io`] if it cannot be
    /// created or read.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        let store = Self::at(root)?;
        store.root.make()?;
        Ok(store)
    }

    /// Opens a store without creating anything. A missing store counts as empty; it is created by the first job that is
    /// submitted to it or the first setting that is changed. For programs that may only read.
    ///
    /// # Errors
    /// As [`FileStore::open`].
    pub fn at(root: impl AsRef<Path>) -> Result<Self> {
        let root = std::path::absolute(root.as_ref()).context("find", root.as_ref())?;
        let store = Self::of_layout(&Layout::new(&root));
        store.is_made()?;
        Ok(store)
    }

    /// Returns a store that the process that started this one has already checked. It is not created again if it was
    /// removed.
    pub(crate) fn checked(layout: &Layout) -> Self {
        let store = Self::of_layout(layout);
        store.root.is_checked();
        store
    }

    fn of_layout(layout: &Layout) -> Self {
        let root = Root::new(layout);
        let staging = Staging::new(layout, &root);
        Self {
            layout: layout.clone(),
            settings: SettingsFile::new(layout),
            jobs: Jobs::new(layout),
            catalogue: Catalogue::new(layout),
            events: EventLog::new(layout),
            slots: Slots::new(layout),
            names: Names::new(layout),
            queue: Queue::new(layout, &staging),
            removal: Removal::new(layout),
            retention: Retention::new(layout),
            is_under_admission: false,
            staging,
            root,
        }
    }

    /// Returns a handle for the holder of the admission lock: no claim takes that lock to give a slot back.
    fn under_admission(&self) -> Self {
        Self { is_under_admission: true, ..self.clone() }
    }

    /// Gives back the slot of a job that has ended, and claims the job that is to start next.
    pub(crate) async fn leave(&self, id: JobId) -> Result<Left> {
        self.queue.leave(self, id).await
    }

    /// Returns until when the sleeper is to sleep; nothing if nothing is due later, in which case it no longer holds
    /// the lock.
    pub(crate) fn sleep_until(&self, sleeper: &Sleeper) -> Result<Option<Timestamp>> {
        let admission = Admission::take(&self.layout)?;
        let next = self.queue.next_start(&admission.rows);
        sleeper.sleep_until(&admission, next).map(|()| next)
    }

    /// Returns whether there is a store by now. Once one was found, it is not looked for again.
    ///
    /// # Errors
    /// As [`FileStore::open`], if something else has its name.
    pub fn is_made(&self) -> Result<bool> {
        self.root.is_made()
    }

    /// Returns the directory of the store.
    pub fn root(&self) -> &Path {
        &self.layout.root
    }

    /// Removes a few of the jobs that the settings do not keep, unless that was done a moment ago.
    pub(crate) fn prune_if_due(&self) -> Result<()> {
        self.retention.prune_if_due()
    }
}

/// What is left to do after a slot was given back.
#[derive(Debug)]
pub(crate) struct Left {
    /// The job that is to start next.
    pub(crate) next: Option<Box<dyn JobClaim>>,
    /// Whether other jobs have slots, or have ended and something is to be run at their end.
    pub(crate) has_others: bool,
    /// Whether something is to be run at the end of the job that gave it back.
    pub(crate) has_hooks: bool,
    /// When to check the queue next: [`JobStore::next_start`].
    pub(crate) next_start: Option<Timestamp>,
}

/// Returns the directory of a job in the store in `root`, whether or not there is such a job.
pub fn job_directory(root: &Path, id: JobId) -> PathBuf {
    Layout::new(root).job(id).path
}

#[async_trait]
impl JobStore for FileStore {
    async fn admit(&self) -> Result<Box<dyn super::Admission>> {
        self.root.make()?;
        Ok(Box::new(Admitted { admission: Admission::take(&self.layout)?, store: self.clone() }))
    }

    async fn create(&self, submission: Submission) -> Result<Created> {
        // Before the lock is taken, so that others need not wait for it.
        let staged = self.staging.stage(&submission)?;
        let created = self.queue.enqueue(self, &submission, &staged).await;
        if !matches!(created, Ok(Created::New)) {
            self.staging.discard(submission.job_id);
        }
        created
    }

    async fn submit(&self, submission: Submission) -> Result<Submitted> {
        let (id, staged) = (submission.job_id, self.staging.stage(&submission)?);
        let submitted = self.queue.submit(self, submission, staged).await;
        if matches!(submitted, Err(_) | Ok(Submitted::Existing(_))) {
            self.staging.discard(id);
        }
        submitted
    }

    async fn named(&self, name: &Name, project: Option<&Path>) -> Result<Option<JobId>> {
        self.names.named(name, project)
    }

    async fn keyed(&self, key: &str) -> Result<Option<JobId>> {
        self.names.keyed(key)
    }

    async fn next_due(&self) -> Result<Option<Box<dyn JobClaim>>> {
        if !self.is_made()? {
            return Ok(None);
        }
        Ok(self.queue.due(self).await?.map(|claim| Box::new(claim) as _))
    }

    async fn put_back(&self, id: JobId) -> Result<bool> {
        self.slots.put_back(id)
    }

    async fn next_start(&self) -> Result<Option<Timestamp>> {
        Ok(self.queue.next_start(&admission::rows(&self.layout)?))
    }

    async fn load(&self) -> Result<Load> {
        self.queue.load()
    }

    async fn lend(&self, id: JobId) -> Result<Lending> {
        self.queue.lend(id).map(Lending::new)
    }

    async fn is_lent(&self, id: JobId) -> Result<bool> {
        self.jobs.is_lent(id)
    }

    async fn unsupervised(&self) -> Result<Vec<JobId>> {
        if self.is_made()? { self.slots.unsupervised() } else { Ok(Vec::new()) }
    }

    async fn settings(&self) -> Result<StoreSettings> {
        self.settings.read()
    }

    async fn claim(&self, id: JobId) -> Result<Option<Box<dyn JobClaim>>> {
        let Some(records) = Records::claim(&self.layout, id)? else { return Ok(None) };
        let submission = records.read()?.submission()?;
        if submission.v > RECORD_VERSION {
            let reason = format!(
                "its record has version {}, but this program supports versions up to {RECORD_VERSION}; upgrade",
                submission.v
            );
            return Err(Error::Refused { id, reason });
        }
        let slots = (!self.is_under_admission).then(|| self.slots.clone());
        Ok(Some(Box::new(FileClaim::new(records, submission, slots))))
    }

    async fn evidence(&self, id: JobId) -> Result<Evidence> {
        self.jobs.evidence(id)
    }

    async fn ids(&self, query: &Query, before: Option<JobId>, limit: usize) -> Result<Vec<JobId>> {
        self.catalogue.ids(query, before, limit)
    }

    async fn tally(&self) -> Result<Tally> {
        self.catalogue.tally()
    }

    async fn events(&self, since: u64, limit: usize) -> Result<Events> {
        self.events.read(since, limit)
    }

    async fn inbox_state(&self, caller: &Caller) -> Result<Option<InboxState>> {
        inboxes::read(&self.layout, caller)
    }

    async fn inbox(&self, caller: &Caller) -> Result<Option<Box<dyn Inbox>>> {
        self.root.make()?;
        Ok(inboxes::take(&self.layout, caller)?.map(|inbox| Box::new(inbox) as _))
    }

    async fn changed(&self, change: Change) -> Result<()> {
        match change {
            Change::Settled(id) => self.settled(id).await,
            Change::LeftQueue(id) => self.left_queue(id).await,
            Change::Ready(id) => self.readied(id).await,
            Change::Output { id, beyond } => self.written(id, beyond).await,
            Change::Event(number) => self.happened(number).await,
        }
    }

    async fn ended_jobs(&self) -> Result<Vec<EndedJob>> {
        self.retention.ended_jobs()
    }

    async fn sweep(&self) -> Result<()> {
        self.prune_if_due()
    }

    async fn remove(&self, id: JobId) -> Result<()> {
        self.removal.remove(id)
    }

    async fn log(&self, id: JobId) -> Result<Box<dyn JobLog>> {
        Ok(Box::new(log::FileLog::new(self.jobs.existing(id)?)))
    }

    async fn cached(&self, id: JobId, name: &'static str) -> Result<Option<Vec<u8>>> {
        atomic::read_bytes(&self.jobs.existing(id)?.cache(name))
    }

    async fn cache(&self, id: JobId, name: &'static str, bytes: &[u8]) -> Result<()> {
        // On a full disk, the next reader computes it again; nothing else is lost.
        let _ = atomic::publish(&self.jobs.existing(id)?.cache(name), bytes);
        Ok(())
    }

    async fn send(&self, id: JobId, bytes: &[u8], patience: Duration) -> Result<usize> {
        input::send(id, &self.layout.job(id), bytes, patience).await
    }

    async fn request(&self, id: JobId, request: Request) -> Result<Answer> {
        if !self.jobs.is_held(id)? {
            return Err(Error::NoAnswer { id });
        }
        let attempt = self.layout.job(id);
        let gone = async {
            // A job that has ended does not answer, so there is no need to wait for the deadline.
            let _ = self.settled(id).await;
            if self.jobs.is_held(id).unwrap_or(false) {
                std::future::pending::<()>().await;
            }
        };
        let asking = control::ask(id, &attempt, request);
        tokio::pin!(asking);
        tokio::select! {
            biased;
            answer = &mut asking => answer,
            // An answer that it gave just before it ended is in the pipe.
            () = gone => tokio::time::timeout(LAST_BREATH, asking).await.unwrap_or(Err(Error::NoAnswer { id })),
        }
    }

    fn directory(&self) -> Option<&Path> {
        Some(self.root())
    }
}

/// The admission lock of a store.
#[derive(Debug)]
struct Admitted {
    store: FileStore,
    admission: Admission,
}

#[async_trait]
impl super::Admission for Admitted {
    async fn insert(&mut self, submission: Submission) -> Result<()> {
        let staged = self.store.staging.stage(&submission)?;
        let entry = self.store.queue.new_entry(&self.admission, &submission);
        let placed = self.store.queue.place(&mut self.admission, &submission, &staged, &entry);
        placed.inspect_err(|_| self.store.staging.discard(submission.job_id))
    }

    async fn set(&mut self, settings: &StoreSettings) -> Result<()> {
        self.store.settings.write(&self.admission, settings)?;
        self.admission.note_settings(settings)
    }

    async fn note_change(&mut self, id: JobId) -> Result<()> {
        self.store.slots.note_change(&mut self.admission, id)
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod conformance {
    use std::sync::Arc;

    use super::FileStore;
    use crate::store::conformance::Backend;

    fn backend() -> Backend {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("store");
        Backend::new(move || Arc::new(FileStore::open(&root).unwrap())).keeping(directory)
    }

    crate::store_conformance!(backend());
}
