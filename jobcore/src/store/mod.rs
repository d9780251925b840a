//! Stores: keep jobs on record, and connect the processes that run jobs with the callers that ask about them.

// In the order in which to read them:
// - `query.rs`, `events.rs`, `inbox.rs`, `settings.rs`, `sections.rs`, `retention.rs`: what goes into a store, and
//   comes out
// - `slot.rs`, `room.rs`, `dependencies.rs`: what jobs take, and which may start
// - `derived.rs`, `holders.rs`, `incoming.rs`, `lending.rs`: what a new backend need not write itself
// - `tend.rs`: what every program that uses a store does for all of its jobs
// - `memory.rs`: jobs in memory
// - `file/`: jobs on disk
// - `conformance/`, `model.rs`: the contract, as tests

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod dependencies;
mod derived;
mod events;
pub(crate) mod file;
mod holders;
mod inbox;
mod incoming;
mod lending;
pub(crate) mod memory;
#[cfg(test)]
mod model;
pub(crate) mod query;
mod retention;
pub(crate) mod room;
mod sections;
pub(crate) mod settings;
mod slot;
pub(crate) mod tend;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;

use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::control::{Answer, Request};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::name::Name;
use crate::output::{JobLog, OutputSize, Stream};
use crate::queue::Place;
use crate::record::{Ended, Evidence, Note, Record, Running, Start, Submission};
use crate::spec::{Given, JobSpec};
use crate::state::Status;
use crate::sys::process::Seen;
use crate::sys::{namespace, process};

pub use crate::id::IdPrefix;
pub use events::{EventKind, Events, JobEvent};
pub use file::{FileLog, FileLogWriter, job_directory};
pub(crate) use holders::STARTING;
pub use holders::{Hold, Holders};
pub use inbox::{Inbox, InboxState};
pub use incoming::Incoming;
pub use lending::Lending;
pub(crate) use query::Query;
pub use retention::{EndedJob, Retention};
pub use sections::Sections;
#[cfg(feature = "agents")]
pub(crate) use settings::BUILT_IN_GROUP;
pub use settings::{CallerSettings, GroupSettings, SetError, StoreSettings, WhenFull};
pub use slot::Slot;

/// How often the queue is checked while a job waits for the machine to be less busy. The kernel updates its averages
/// about as often.
pub(crate) const LOOK_AT_LOAD: Duration = Duration::from_secs(2);

/// A store of jobs.
///
/// Any number of handles, in any number of processes if the backend says so, may use one store at the same time. All
/// methods may be called at any time for any id.
///
/// # The claim
/// Each job has one lock. Its holder, by a [`JobClaim`], is the only writer of the job's records and output. A job is
/// supervised as long as its lock is held. The lock is released when the claim is dropped, or when the process that
/// holds it ends, in whatever way.
///
/// # What to implement
/// Only the methods without a body. The others are derived from them and are correct for any store; override those that
/// the store can do faster. A store that only one program uses gets locks, requests, input and wake-ups from
/// [`Holders`], which it returns from [`JobStore::holders`] and [`JobClaim::hold`]; any other store overrides the
/// methods that depend on these. [`FileLogWriter`] keeps output in files for any store. A store that wraps another one
/// forwards every method, because the other one may have overridden it.
///
/// # The conformance suite
/// What a backend must do is specified by tests: module `conformance`, feature `conformance`.
#[async_trait]
pub trait JobStore: Send + Sync + Debug {
    /// Takes the lock for every decision that concerns several jobs: which names and keys are taken, which job starts
    /// next, what the settings are. It is held for a moment, and never while a job is being started.
    ///
    /// # Errors
    /// If the store cannot be written, or the lock is held for too long.
    async fn admit(&self) -> Result<Box<dyn Admission>>;

    /// Takes the lock of a job. Returns nothing if the lock is already held; does not wait.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such job, or no longer.
    async fn claim(&self, id: JobId) -> Result<Option<Box<dyn JobClaim>>>;

    /// Returns what is known of a job, as of one moment: an end record is never missed. For a job that has not ended,
    /// [`look`] finds out what can be seen of it.
    ///
    /// # Errors
    /// [`Error::NotFound`], and [`Error::Damaged`] for a record that cannot be read.
    async fn evidence(&self, id: JobId) -> Result<Evidence>;

    /// Returns at most `limit` ids, the newest first, and only those older than `before` if it is given. The oldest job
    /// is the first to start. A store may leave out jobs that it knows, without opening them, not to match `query`, see
    /// [`Query::may_want`]. Jobs that it cannot judge, and jobs whose records cannot be read, are included. The query's
    /// `skip`, `limit` and `order` are ignored.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn ids(&self, query: &Query, before: Option<JobId>, limit: usize) -> Result<Vec<JobId>>;

    /// Removes the records and the output of a job, whatever they contain and whether or not they can be read. From
    /// then on readers find no such job.
    ///
    /// # Errors
    /// [`Error::Refused`] while its lock is held.
    async fn remove(&self, id: JobId) -> Result<()>;

    /// Opens the output of a job.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such job.
    async fn log(&self, id: JobId) -> Result<Box<dyn JobLog>>;

    /// Returns the settings of the store.
    ///
    /// # Errors
    /// If they cannot be read.
    async fn settings(&self) -> Result<StoreSettings>;

    /// Returns what happened to jobs: at most `limit` events, from number `since` on. Events are numbered from 0
    /// without gaps, across all jobs. Each end is reported at least once: if the holder is killed before it could
    /// report the end, the next caller of [`JobStore::unsupervised`] or [`JobStore::next_due`] does. Any other change is
    /// not reported if the process that made it was killed at that moment. Old events are dropped eventually, and the
    /// answer says how many are missing.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn events(&self, since: u64, limit: usize) -> Result<Events>;

    /// Returns what was last written to the inbox of a caller, if anything.
    ///
    /// # Errors
    /// If the store cannot be read, and [`Error::Unsupported`] from a store without inboxes, as by default.
    async fn inbox_state(&self, _: &Caller) -> Result<Option<InboxState>> {
        Err(Error::Unsupported { reason: "this store keeps no inboxes".to_owned() })
    }

    /// Takes the inbox of a caller. There is one for each caller, and it starts out empty. Returns nothing while it is
    /// held elsewhere; does not wait.
    ///
    /// # Errors
    /// As [`JobStore::inbox_state`].
    async fn inbox(&self, _: &Caller) -> Result<Option<Box<dyn Inbox>>> {
        Err(Error::Unsupported { reason: "this store keeps no inboxes".to_owned() })
    }

    /// Returns the holders of this store's jobs, if all of them are in this program. [`JobStore::send`],
    /// [`JobStore::request`] and [`JobStore::changed`] are derived from it; a store that returns none overrides them.
    fn holders(&self) -> Option<&Holders> {
        None
    }

    /// Sends to the input that the job's holder opened, and returns how many bytes were accepted. If none are, this
    /// waits for up to `patience`. Bytes that others send at the same time may come in between.
    ///
    /// # Errors
    /// [`Error::NoInput`] if the input has been ended or is no longer read; [`Error::NoAnswer`] if no holder opens one.
    async fn send(&self, id: JobId, bytes: &[u8], patience: Duration) -> Result<usize> {
        let holders = derived::holders_of(self, id).await?;
        holders.send(id, bytes, patience).await
    }

    /// Sends a request to the holder of the job's lock, and returns the answer. Takes about a second at most.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] if there is no holder or it does not answer.
    async fn request(&self, id: JobId, request: Request) -> Result<Answer> {
        let holders = derived::holders_of(self, id).await?;
        holders.request(id, request).await
    }

    /// Waits until `change` has happened or the job has been removed. May return early, but not repeatedly without
    /// waiting.
    ///
    /// Without [`JobStore::holders`], the derived method polls: after a millisecond at first, every tenth of a second
    /// in the end.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn changed(&self, change: Change) -> Result<()> {
        derived::changed(self, change).await
    }

    /// Puts a new job on record, queued. If this fails, or the process dies during it, the job either does not exist or
    /// is complete. The caller then checks what is due, because a slot may be free.
    ///
    /// If a job on record already has the key, no second one is created.
    ///
    /// # Errors
    /// [`Error::NameTaken`] if a job that has not ended has the name; [`Error::KeyTaken`] if the job with the key runs
    /// something else; [`Error::Full`] if the settings refuse a job for which there is no slot; [`Error::TooFast`] if
    /// the rate of its group is reached; if there is no room on the disk; or if the id exists.
    async fn create(&self, submission: Submission) -> Result<Created> {
        derived::create(self, submission).await
    }

    /// Puts a new job on record as [`JobStore::create`] does, and claims it if it may start at once: as if
    /// [`JobStore::next_due`] followed for this job alone, in one step. The world of the submission must be that of
    /// this process.
    ///
    /// # Errors
    /// As [`JobStore::create`].
    async fn submit(&self, submission: Submission) -> Result<Submitted> {
        Ok(match self.create(submission).await? {
            Created::New => Submitted::Queued,
            Created::Existing(id) => Submitted::Existing(id),
        })
    }

    /// Returns the newest job on record with this name in this project; without a project, among the jobs that are in
    /// none.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn named(&self, name: &Name, project: Option<&Path>) -> Result<Option<JobId>> {
        let query = Query::default().with_name(Some(name.clone())).with_project(project.map(Path::to_owned));
        derived::find(self, &query, |spec| spec.project.as_deref() == project).await
    }

    /// Returns the job with this key, whether or not it has ended: [`JobStore::create`] creates no other with the same
    /// key.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn keyed(&self, key: &str) -> Result<Option<JobId>> {
        derived::find(self, &Query::default().with_key(Some(key.to_owned())), |_| true).await
    }

    /// Claims the job that is to start next, and takes a slot for it. Returns nothing if no job waits or none may
    /// start.
    ///
    /// Jobs start in the order in which they were created, but a job whose group is full does not hold up others. A
    /// slot is free once its job has an end record. Concurrent callers each get a different job.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    async fn next_due(&self) -> Result<Option<Box<dyn JobClaim>>> {
        derived::next_due(self).await
    }

    /// Makes sure that [`JobStore::next_due`] can find a job that waits, and returns whether it could not before. To be
    /// called for jobs that were found to be queued. A store whose queue cannot lose a job has nothing to do.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    async fn put_back(&self, _: JobId) -> Result<bool> {
        Ok(false)
    }

    /// Returns when to check the queue next: when the next of the jobs that wait for a time may start,
    /// [`Place::not_before`], and soon if one waits for the machine to be less busy, [`JobSpec::when`]. Jobs that may
    /// already start do not count.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn next_start(&self) -> Result<Option<Timestamp>> {
        derived::next_start(self).await
    }

    /// Returns the settings, the jobs that have a slot, and the jobs that wait for one, in order.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn load(&self) -> Result<Load> {
        derived::load(self).await
    }

    /// Lends the slot of a job to others until the returned value is dropped or this process ends, in whatever way.
    /// Meanwhile the job only waits for other jobs. Afterwards more jobs than the limit may run until one of them has
    /// ended. The caller then checks what is due.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such job; [`Error::NoAnswer`] from a store that has no [`JobStore::holders`]
    /// and does not override this.
    async fn lend(&self, id: JobId) -> Result<Lending> {
        derived::holders_of(self, id).await.map(|holders| holders.lend(id))
    }

    /// Returns whether the slot of a job is lent.
    ///
    /// # Errors
    /// As [`JobStore::lend`].
    async fn is_lent(&self, id: JobId) -> Result<bool> {
        derived::holders_of(self, id).await.map(|holders| holders.is_lent(id))
    }

    /// Returns jobs that were started, have not ended, and are not supervised. Cheap, because every program that uses
    /// the store calls it. If very many jobs run, one answer may leave out some, but not the same ones each time. This
    /// also completes an end whose holder was killed right after putting it on record. A store may add ended jobs for
    /// which something is still to be run: [`Runner::run_hooks`](crate::runner::Runner::run_hooks).
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn unsupervised(&self) -> Result<Vec<JobId>> {
        derived::unsupervised(self).await
    }

    /// Changes the settings of the store, and returns the new settings. What others change at the same time is kept.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    async fn change_settings(
        &self,
        change: &mut (dyn for<'s> FnMut(&'s mut StoreSettings) + Send),
    ) -> Result<StoreSettings> {
        let mut admission = self.admit().await?;
        let mut settings = self.settings().await?;
        change(&mut settings);
        admission.set(&settings).await?;
        Ok(settings)
    }

    /// Counts the jobs that are known to have ended by status, and lists all others.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn tally(&self) -> Result<Tally> {
        derived::tally(self).await
    }

    /// Returns the jobs that have ended, the oldest first, with what retention goes by. The lock of one may still be
    /// held, by the supervisor of its stragglers.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn ended_jobs(&self) -> Result<Vec<EndedJob>> {
        derived::ended_jobs(self).await
    }

    /// Removes jobs that have ended and that the settings of the store do not keep: a few at a time, and not every
    /// time. To be called by each process that ends a job.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn sweep(&self) -> Result<()> {
        derived::sweep(self).await
    }

    /// Returns what [`JobStore::cache`] last kept under this name, if it still exists.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such job; if the store cannot be read.
    async fn cached(&self, id: JobId, _: &'static str) -> Result<Option<Vec<u8>>> {
        self.evidence(id).await.map(|_| None)
    }

    /// Keeps something that can be computed again from what else is known of a job, and replaces what was kept under
    /// this name. Anyone may call this at any time: of several concurrent calls, one takes effect, or none. The data
    /// may be lost at any time, so a store may keep nothing, as by default, and failing to write it is no error. It is
    /// removed with the job.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such job.
    async fn cache(&self, id: JobId, _: &'static str, _: &[u8]) -> Result<()> {
        self.evidence(id).await.map(drop)
    }

    /// Returns the directory in which a [`FileStore`](file::FileStore) keeps the jobs, and in which supervisors in
    /// processes of their own find them. Other stores have none.
    fn directory(&self) -> Option<&Path> {
        None
    }
}

/// The lock of the store, [`JobStore::admit`], and with it the right to add jobs and to change settings. Dropping it
/// releases the lock.
#[async_trait]
pub trait Admission: Send + Debug {
    /// Puts a new job on record, queued, after all others. What [`JobStore::create`] refuses is refused before this.
    ///
    /// # Errors
    /// If there is no room on the disk; or if the id exists. Then there is no such job.
    async fn insert(&mut self, submission: Submission) -> Result<()>;

    /// Writes the settings of the store.
    ///
    /// # Errors
    /// If the store cannot be written.
    async fn set(&mut self, settings: &StoreSettings) -> Result<()>;

    /// Takes note of a job in the queue whose place or submission was changed by the holder of its lock:
    /// [`JobClaim::set_place`], [`JobClaim::replace`]. A store that reads these whenever it needs them has nothing to
    /// do.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    async fn note_change(&mut self, _: JobId) -> Result<()> {
        Ok(())
    }
}

/// The lock of a job, and with it the right to write. Dropping it releases the lock.
#[async_trait]
pub trait JobClaim: Send + Sync + Debug {
    /// Returns what was submitted.
    fn submission(&self) -> &Submission;

    /// Returns what only the command reads, as submitted: its environment and the input it is given.
    ///
    /// # Errors
    /// If it cannot be read, or no longer exists because the job has ended.
    async fn secrets(&self) -> Result<(Environment, Given)>;

    /// Writes a record. An end record wakes the waiters and erases the secrets. If an end is already on record, it is
    /// kept, and that is no error.
    ///
    /// # Errors
    /// If it cannot be written.
    async fn record(&mut self, record: Record<'_>) -> Result<()>;

    /// Adds output. Output that cannot be kept is counted, and is no error.
    async fn append(&mut self, stream: Stream, at: Timestamp, bytes: &[u8]);

    /// Returns how much output was added by this claim.
    fn output(&self) -> OutputSize;

    /// Returns the connection to a holder within this program, if the store has [`JobStore::holders`].
    /// [`JobClaim::open_input`], [`JobClaim::end_input`] and [`JobClaim::next_request`] are derived from it.
    fn hold(&mut self) -> Option<&mut Hold> {
        None
    }

    /// Opens the input of the job, to which others send, and returns the end that the command is to read from. To be
    /// called before the command is started.
    ///
    /// # Errors
    /// If no pipe can be made.
    async fn open_input(&mut self) -> Result<OwnedFd> {
        let none = || Error::Unsupported { reason: "this store gives jobs no input".to_owned() };
        self.hold().ok_or_else(none)?.open_input()
    }

    /// Ends the input: the command reads the end of it after everything that was sent before.
    async fn end_input(&mut self) {
        if let Some(hold) = self.hold() {
            hold.end_input();
        }
    }

    /// Returns the next request. May be cancelled without losing one.
    async fn next_request(&mut self) -> Incoming {
        match self.hold() {
            Some(hold) => hold.next_request().await,
            None => std::future::pending().await,
        }
    }

    /// Returns the environment of the command: the first of [`JobClaim::secrets`].
    ///
    /// # Errors
    /// As [`JobClaim::secrets`].
    async fn environment(&self) -> Result<Environment> {
        Ok(self.secrets().await?.0)
    }

    /// Opens the input that the command is given, from its beginning: the second of [`JobClaim::secrets`].
    ///
    /// # Errors
    /// As [`JobClaim::secrets`].
    async fn given(&self) -> Result<OwnedFd> {
        self.secrets().await?.1.open().map_err(Error::io("make", "a file in memory".as_ref()))
    }

    /// Puts the supervisor on record: [`Record::Start`].
    ///
    /// # Errors
    /// As [`JobClaim::record`].
    async fn start(&mut self, start: &Start) -> Result<()> {
        self.record(Record::Start(start)).await
    }

    /// Puts the main process on record: [`Record::Running`].
    ///
    /// # Errors
    /// As [`JobClaim::record`].
    async fn running(&mut self, running: &Running) -> Result<()> {
        self.record(Record::Running(running)).await
    }

    /// Puts on record what was noted about the main process: [`Record::Noted`].
    ///
    /// # Errors
    /// As [`JobClaim::record`].
    async fn note(&mut self, running: &Running, note: Note) -> Result<()> {
        self.record(Record::Noted(running, note)).await
    }

    /// Puts the end on record: [`Record::Ended`].
    ///
    /// # Errors
    /// As [`JobClaim::record`].
    async fn finish(&mut self, ended: &Ended) -> Result<()> {
        self.record(Record::Ended(ended)).await
    }

    /// Takes a slot for a job that is not due, regardless of the limits. A store that counts jobs as running because
    /// their lock is held has nothing to do.
    ///
    /// # Errors
    /// If it cannot be written.
    async fn take_slot(&mut self) -> Result<()> {
        Ok(())
    }

    /// Returns the job's place in the queue, and what it was given when it left the queue.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn place(&self) -> Result<Place> {
        Ok(self.submission().spec.first_place())
    }

    /// Puts a new place in the queue on record, for a job that has not been started. [`Admission::note_change`] is to
    /// follow.
    ///
    /// # Errors
    /// [`Error::Unsupported`] from a store that keeps no places, as by default; if it cannot be written.
    async fn set_place(&mut self, _: &Place) -> Result<()> {
        Err(Error::Unsupported {
            reason: "this store starts jobs in the order in which they were submitted".to_owned(),
        })
    }

    /// Replaces the submission of a job that has not been started: its spec and its environment, which take effect
    /// together or not at all. Its id, name and key stay, and so does the input that the command is given.
    /// [`Admission::note_change`] is to follow.
    ///
    /// # Errors
    /// [`Error::Unsupported`] from a store that cannot do that, as by default; if it cannot be written.
    async fn replace(&mut self, _: Submission) -> Result<()> {
        Err(Error::Unsupported { reason: "this store keeps jobs as they were submitted".to_owned() })
    }

    /// Gives away what another process, which a [`LocalRunner`](crate::LocalRunner) starts, needs to supervise the job.
    /// Returns nothing if no other process can hold the lock.
    fn hand_over(self: Box<Self>) -> Option<HandOver> {
        None
    }
}

/// What a process needs to supervise a job. The lock is held as long as any process has a copy of the descriptor.
#[derive(Debug)]
#[non_exhaustive]
pub struct HandOver {
    /// The directory of the store: [`JobStore::directory`].
    pub directory: PathBuf,
    /// The job.
    pub id: JobId,
    /// The descriptor that holds the lock.
    pub lock: OwnedFd,
}

/// What a caller waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The job has an end record, or its lock is not held.
    Settled(JobId),
    /// The job has been started, or has ended.
    LeftQueue(JobId),
    /// The job is ready, by the definition in its spec, or is settled.
    Ready(JobId),
    /// The job has written more than this many bytes, or is settled.
    Output {
        /// The job.
        id: JobId,
        /// How many bytes the caller knows.
        beyond: u64,
    },
    /// There is an event with this number or a later one.
    Event(u64),
}

impl Change {
    /// Returns whether it has happened, or the job has been removed, as far as `store` knows by now.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn has_come<S: JobStore + ?Sized>(self, store: &S) -> Result<bool> {
        let id = match self {
            Self::Event(number) => return Ok(store.events(number, 1).await?.next > number),
            Self::Settled(id) | Self::LeftQueue(id) | Self::Ready(id) | Self::Output { id, .. } => id,
        };
        let evidence = match store.evidence(id).await {
            Err(Error::NotFound { .. }) => return Ok(true),
            evidence => evidence?,
        };
        let is_settled = evidence.ended.is_some() || !evidence.held;
        Ok(match self {
            Self::LeftQueue(_) => evidence.ended.is_some() || evidence.start.is_some(),
            Self::Ready(_) => is_settled || evidence.running.is_some_and(|running| running.ready_at.is_some()),
            Self::Output { beyond, .. } => is_settled || evidence.output.bytes > beyond,
            Self::Settled(_) | Self::Event(_) => is_settled,
        })
    }
}

/// Returns what can be seen of a job whose end is not on record. A store puts this into [`Evidence::seen`] once it
/// knows everything else.
pub fn look(evidence: &Evidence) -> Seen {
    if evidence.ended.is_some() {
        return Seen::Gone;
    }
    // An adopted process is known before it is on record that it runs.
    let adopted = evidence.start.as_ref().zip(evidence.submission.spec.adopts.as_ref());
    let adopted = adopted.map(|(start, adoption)| (&adoption.process, start.at));
    let running = evidence.running.as_ref().map(|running| (&running.process, running.at)).or(adopted);
    let main = running.map(|(process, _)| process);
    if evidence.held {
        return main.map_or(Seen::Gone, process::look);
    }
    let Some((known, at)) = running.or(evidence.start.as_ref().map(|start| (&start.holder, start.at))) else {
        return Seen::Gone;
    };
    match process::look(known) {
        Seen::Unknown if namespace::has_ended(known, at) => Seen::NamespaceEnded,
        seen @ (Seen::Unknown | Seen::Rebooted | Seen::NamespaceEnded | Seen::Stragglers) => seen,
        seen @ (Seen::Alive(_) | Seen::Paused(_)) if main.is_some() => seen,
        Seen::Alive(_) | Seen::Paused(_) | Seen::Gone => {
            let tree = file::supervisors::visible_members(main, evidence.submission.job_id);
            match (tree.first(), main) {
                (None, _) => Seen::Gone,
                (Some(_), Some(_)) => Seen::Stragglers,
                // The holder was killed before it could record that the command had started.
                (Some(first), None) => Seen::Alive(first.pid),
            }
        }
    }
}

/// The refusal of a name for a job in the directory `cwd`, because `job` has it.
fn name_taken(name: &Name, job: &Job, cwd: &Path) -> Error {
    let since = job.state.started_at().unwrap_or(job.submitted_at);
    let age = Duration::try_from(Timestamp::now().duration_since(since)).unwrap_or_default();
    Error::NameTaken {
        name: name.clone(),
        id: job.id,
        status: job.status(),
        cwd: job.spec.cwd.clone(),
        age: Duration::from_secs(age.as_secs()),
        same_directory: job.spec.cwd == cwd,
    }
}

/// The refusal to remove a job whose lock is held.
fn held(id: JobId) -> Error {
    Error::Refused { id, reason: "it is supervised; stop it first".to_owned() }
}

/// The result of [`JobStore::create`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a key is known or it is not")]
pub enum Created {
    /// A new job was created.
    New,
    /// The key belongs to this job, which runs the same.
    Existing(JobId),
}

/// The result of [`JobStore::submit`].
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "every caller has to handle each of them")]
pub enum Submitted {
    /// A new job was created, and the holder of this claim is to start it now.
    Due(Box<dyn JobClaim>),
    /// A new job was created. [`JobStore::next_due`] returns it when its turn comes, which may be now.
    Queued,
    /// The key belongs to this job, which runs the same.
    Existing(JobId),
}

/// Returns the job that already has the key, if it runs the same.
fn same_key(new: &Submission, old: &Submission) -> Result<JobId> {
    let what = |spec: &'_ JobSpec| (spec.command.clone(), spec.cwd.clone());
    // A later version may have written fields to the old record that this version reads as annotations.
    if what(&new.spec) == what(&old.spec) && new.spec.annotations.are_in(&old.spec.annotations) {
        return Ok(old.job_id);
    }
    Err(Error::KeyTaken { key: new.spec.key.clone().unwrap_or_default(), id: old.job_id })
}

/// How many jobs there are, as far as that is known without opening them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// How many have ended, by status.
    pub ended: BTreeMap<Status, u64>,
    /// All others: jobs that may not have ended, or whose records cannot be read.
    pub others: Vec<JobId>,
}

/// How busy a store is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Load {
    /// The settings.
    pub settings: StoreSettings,
    /// Jobs that have a slot. One may have ended a moment ago.
    pub running: Vec<Slot>,
    /// Jobs that wait for a slot, in the order in which they will start. One may be about to.
    pub waiting: Vec<Slot>,
}
