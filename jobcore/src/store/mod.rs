//! Where jobs are kept, and where those who run them and those who ask meet.

// In the order in which to read them:
// - `query.rs`, `events.rs`, `inbox.rs`, `settings.rs`, `sections.rs`, `retention.rs`: what a store is asked and told
// - `slot.rs`, `room.rs`, `dependencies.rs`: what jobs take, and which may be started
// - `derived.rs`, `holders.rs`, `incoming.rs`, `lending.rs`: what an own store need not write
// - `tend.rs`: what every user of a store does for all
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
pub use retention::{Disposable, Retention};
pub use sections::Sections;
#[cfg(feature = "agents")]
pub(crate) use settings::BUILT_IN_GROUP;
pub use settings::{CallerSettings, GroupSettings, SetError, StoreSettings, WhenFull};
pub use slot::Slot;

/// At what distance the queue is looked at while a job waits for the machine to be less busy. The kernel makes its averages about as often.
pub(crate) const LOOK_AT_LOAD: Duration = Duration::from_secs(2);

/// Where jobs are kept.
///
/// Any number of handles, in any number of processes if the backend says so, may use one store at the same time. All
/// methods may be called at any time for any id.
///
/// # The claim
/// Each job has one lock. Who holds it, by a [`JobClaim`], is the only writer of the job's records and output; that
/// the lock is held is what makes a job alive. The lock falls when the claim is dropped, or with the process that
/// holds it, however that ends.
///
/// # What to implement
/// Only the methods without a body. The others are derived from them and are correct for any store; override those that the
/// store can do faster. A store that is used by one program only gets locks, requests, input and wake-ups from [`Holders`],
/// which it returns from [`JobStore::holders`] and [`JobClaim::hold`]; any other store overrides the methods that depend on
/// these. [`FileLogWriter`] keeps output in files for any store. A store that wraps another one forwards
/// every method, since the other one may have overridden it.
///
/// # The conformance suite
/// What a backend must do is written down as tests: module `conformance`, feature `conformance`.
#[async_trait]
pub trait JobStore: Send + Sync + Debug {
    /// Takes the lock under which everything is decided that concerns several jobs: which names and keys are taken, which
    /// job starts next, what is set. It is held for a moment, and never while a job is started.
    ///
    /// # Errors
    /// If the store cannot be written, or the lock is held for too long.
    async fn admit(&self) -> Result<Box<dyn Admission>>;

    /// Takes the lock of a job. Returns nothing while somebody else holds it; does not wait.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such job, or no more.
    async fn claim(&self, id: JobId) -> Result<Option<Box<dyn JobClaim>>>;

    /// Returns what is known of a job. What it says was true at one moment: an end record is never missed. Of a job that has
    /// not ended, [`look`] tells what is seen of it.
    ///
    /// # Errors
    /// [`Error::NotFound`], and [`Error::Damaged`] for a record that
    /// cannot be read.
    async fn evidence(&self, id: JobId) -> Result<Evidence>;

    /// Returns at most `limit` ids in order from the newest, those older than `before` if that is given. The oldest is the
    /// first that starts. A store may leave out jobs of which it knows without opening them that `query` does not want
    /// them, see [`Query::may_want`]; those that it cannot tell, and those whose records cannot be read, are in. How many
    /// jobs the query leaves out and lists, and in which order, is not looked at.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn ids(&self, query: &Query, before: Option<JobId>, limit: usize) -> Result<Vec<JobId>>;

    /// Removes the records and the output of a job, whatever they say and whether or not they can be read. Readers from
    /// then on find no such job.
    ///
    /// # Errors
    /// [`Error::Refused`] while somebody holds its lock.
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

    /// Returns what happened to jobs, at most `limit` events from number `since` on. Events are numbered from 0 without a
    /// gap, whatever job they concern. An end is told at least once: if its holder was killed before he could tell, by who
    /// asks for [`JobStore::unattended`] jobs next, or for what is due. Any other change goes untold if whoever made it
    /// was killed in that moment. Old events are dropped in the end, and how many are missing is told.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn events(&self, since: u64, limit: usize) -> Result<Events>;

    /// Returns what was last written into the inbox of a caller; nothing if nothing was.
    ///
    /// # Errors
    /// If the store cannot be read, and [`Error::Unsupported`] of a store that keeps no inboxes, as this does.
    async fn inbox_state(&self, _: &Caller) -> Result<Option<InboxState>> {
        Err(Error::Unsupported { reason: "this store keeps no inboxes".to_owned() })
    }

    /// Takes the inbox of a caller, of which there is one, new at first. Returns nothing while another has it; does not wait.
    ///
    /// # Errors
    /// As [`JobStore::inbox_state`].
    async fn inbox(&self, _: &Caller) -> Result<Option<Box<dyn Inbox>>> {
        Err(Error::Unsupported { reason: "this store keeps no inboxes".to_owned() })
    }

    /// Returns the holders of this store's jobs, if all of them are within this program. [`JobStore::send`],
    /// [`JobStore::request`] and [`JobStore::changed`] are derived from it; a store that returns none overrides them.
    fn holders(&self) -> Option<&Holders> {
        None
    }

    /// Sends to the input that the job's holder opened, and returns how many bytes were taken. While none is taken, it is
    /// waited for as long as `patience`; what was sent by others at the same time may stand in between.
    ///
    /// # Errors
    /// [`Error::NoInput`] if the input was ended or nobody reads it any more; [`Error::NoAnswer`] if nobody opens one.
    async fn send(&self, id: JobId, bytes: &[u8], patience: Duration) -> Result<usize> {
        let holders = derived::holders_of(self, id).await?;
        holders.send(id, bytes, patience).await
    }

    /// Asks whoever holds the job's lock, and returns the answer. Bounded: about a second.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] if nobody is there or nobody answers.
    async fn request(&self, id: JobId, request: Request) -> Result<Answer> {
        let holders = derived::holders_of(self, id).await?;
        holders.request(id, request).await
    }

    /// Waits until `change` has come or the job has been removed. It may return early, but not repeatedly without waiting.
    ///
    /// Without [`JobStore::holders`], the derived method polls: at first after a millisecond, in the end every tenth of a
    /// second.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn changed(&self, change: Change) -> Result<()> {
        derived::changed(self, change).await
    }

    /// Puts a new job on record, queued. If this fails, or the process dies within it, there is no such job, or else
    /// it is there as a whole. Whoever creates a job then looks for what is due: a slot may be free.
    ///
    /// A key that a job on record has already makes no second one.
    ///
    /// # Errors
    /// [`Error::NameTaken`] if a job that has not ended has the name; [`Error::KeyTaken`] if the job with the key runs
    /// something else; [`Error::Full`] where the settings say that a job without a slot is refused; [`Error::TooFast`] where
    /// the rate of its group is reached; if there is no room on the disk; or if the id exists.
    async fn create(&self, submission: Submission) -> Result<Created> {
        derived::create(self, submission).await
    }

    /// Puts a new job on record as [`JobStore::create`] does, and takes charge of it if it may start at once: as if
    /// [`JobStore::next_due`] followed, for no other job, in one step. The world of the submission must be that of this
    /// process.
    ///
    /// # Errors
    /// As [`JobStore::create`].
    async fn submit(&self, submission: Submission) -> Result<Submitted> {
        Ok(match self.create(submission).await? {
            Created::New => Submitted::Queued,
            Created::Existing(id) => Submitted::Existing(id),
        })
    }

    /// Returns the newest job of this name in this project that is on record; without one, of those that are in none.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn named(&self, name: &Name, project: Option<&Path>) -> Result<Option<JobId>> {
        let query = Query::default().with_name(Some(name.clone())).with_project(project.map(Path::to_owned));
        derived::find(self, &query, |spec| spec.project.as_deref() == project).await
    }

    /// Returns the job that has this key, whether it is over or not: [`JobStore::create`] makes no other of the same key.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn keyed(&self, key: &str) -> Result<Option<JobId>> {
        derived::find(self, &Query::default().with_key(Some(key.to_owned())), |_| true).await
    }

    /// Takes charge of the job that is to start next, and of a slot for it; nothing if none waits or none may start.
    ///
    /// Jobs start in the order in which they were created, but one whose group is full does not hold up others. A slot
    /// is free when its job has an end record. Of many who ask at the same time, each gets another job.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    async fn next_due(&self) -> Result<Option<Box<dyn JobClaim>>> {
        derived::next_due(self).await
    }

    /// Sees to it that a job that waits can be found by [`JobStore::next_due`], and returns whether it could not. To be called
    /// for jobs that were found to be queued. A store that finds them by nothing that could be lost has nothing to do.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    async fn put_back(&self, _: JobId) -> Result<bool> {
        Ok(false)
    }

    /// Returns when the queue is to be looked at next: when the next of the jobs that wait for a time may be started,
    /// [`Place::not_before`], and soon if one waits for the machine to be less busy, [`JobSpec::when`]. Those that may be started by
    /// now are not waited for.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn next_start(&self) -> Result<Option<Timestamp>> {
        derived::next_start(self).await
    }

    /// Returns what is set, who has a slot, and who waits for one in order.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn load(&self) -> Result<Load> {
        derived::load(self).await
    }

    /// Lends the slot of a job to others, until what is returned is dropped, or this process ends, however it does: the job only
    /// waits for others meanwhile. Afterwards more jobs than the limit may run until one of them has ended. Whoever lends a
    /// slot then looks for what is due.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such job; [`Error::NoAnswer`] of a store that knows no holders, see
    /// [`JobStore::holders`], and does not override this.
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

    /// Returns jobs that were started and are not over, and of which nobody is in charge. Cheap, since everybody who uses
    /// the store asks. Where very many run, one answer may leave out some, but not the same ones each time. What is left
    /// to do of an end, whose holder was killed when it was on record, is done by this. A store may add jobs that have ended and
    /// at whose end something is to be run: [`Runner::run_hooks`](crate::runner::Runner::run_hooks).
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn unattended(&self) -> Result<Vec<JobId>> {
        derived::unattended(self).await
    }

    /// Changes the settings of the store, and returns what is set then. What others changed meanwhile is kept.
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

    /// Counts the jobs that are known to be over by their status, and names all others.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn tally(&self) -> Result<Tally> {
        derived::tally(self).await
    }

    /// Returns the jobs that are over, the oldest first, with what retention goes by. Somebody may still be in charge of
    /// one: of its stragglers.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn disposable(&self) -> Result<Vec<Disposable>> {
        derived::disposable(self).await
    }

    /// Removes jobs that are over and that the settings of the store do not keep: a few at a time, and not every time.
    /// Whoever ends a job calls this.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn sweep(&self) -> Result<()> {
        derived::sweep(self).await
    }

    /// Returns what [`JobStore::cache`] kept last under this name, if it is still there.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such job; if the store cannot be read.
    async fn cached(&self, id: JobId, _: &'static str) -> Result<Option<Vec<u8>>> {
        self.evidence(id).await.map(|_| None)
    }

    /// Keeps something that can be made anew from what else is known of a job, instead of what was kept under this name
    /// before. Anybody may do so, at any time: of several who do at once, one is kept, or none. It may be lost at any
    /// time, so that a store may just as well keep nothing, as this does; that it cannot be written is no error. It goes
    /// with the job.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such job.
    async fn cache(&self, id: JobId, _: &'static str, _: &[u8]) -> Result<()> {
        self.evidence(id).await.map(drop)
    }

    /// Returns the directory in which jobs are kept as a [`FileStore`](file::FileStore) keeps them, where supervisors that
    /// are processes of their own find them. Any other store has none.
    fn directory(&self) -> Option<&Path> {
        None
    }
}

/// The lock of the store, [`JobStore::admit`], and with it the right to add jobs and to change settings. Dropping it releases
/// the lock.
#[async_trait]
pub trait Admission: Send + Debug {
    /// Puts a new job on record, queued, behind all others. What [`JobStore::create`] refuses is refused before this.
    ///
    /// # Errors
    /// If there is no room on the disk; or if the id exists. Then there is no such job.
    async fn insert(&mut self, submission: Submission) -> Result<()>;

    /// Writes the settings of the store.
    ///
    /// # Errors
    /// If the store cannot be written.
    async fn set(&mut self, settings: &StoreSettings) -> Result<()>;

    /// Takes note of a job that waits in the queue and whose place or submission was changed by the holder of its lock:
    /// [`JobClaim::set_place`], [`JobClaim::replace`]. A store that reads these where it needs them has nothing to do.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    async fn note_change(&mut self, _: JobId) -> Result<()> {
        Ok(())
    }
}

/// The lock of a job, and with it the right to write. Dropping it lets go.
#[async_trait]
pub trait JobClaim: Send + Sync + Debug {
    /// Returns what was submitted.
    fn submission(&self) -> &Submission;

    /// Returns what nobody but the command reads: its environment, and what it is given to read, as submitted.
    ///
    /// # Errors
    /// If it cannot be read, or is gone since the job has ended.
    async fn secrets(&self) -> Result<(Environment, Given)>;

    /// Writes a record. That of an end wakes those who wait, and the secrets are forgotten; an end that is on record already
    /// is kept, and no error.
    ///
    /// # Errors
    /// If it cannot be written.
    async fn record(&mut self, record: Record<'_>) -> Result<()>;

    /// Adds output. What cannot be kept is counted and no error.
    async fn append(&mut self, stream: Stream, at: Timestamp, bytes: &[u8]);

    /// Returns how much output came by this claim.
    fn output(&self) -> OutputSize;

    /// Returns what comes to the holder of a job within this program, if the store has [`JobStore::holders`]. From this follow
    /// [`JobClaim::open_input`], [`JobClaim::end_input`] and [`JobClaim::next_request`].
    fn hold(&mut self) -> Option<&mut Hold> {
        None
    }

    /// Opens the input of the job, to which others send, and returns the end that the command is to read from. To be done
    /// before the command is started.
    ///
    /// # Errors
    /// If no pipe can be made.
    async fn open_input(&mut self) -> Result<OwnedFd> {
        let none = || Error::Unsupported { reason: "this store gives jobs no input".to_owned() };
        self.hold().ok_or_else(none)?.open_input()
    }

    /// Ends the input: the command reads the end of it when all is read that was sent before.
    async fn end_input(&mut self) {
        if let Some(hold) = self.hold() {
            hold.end_input();
        }
    }

    /// Returns the next thing that somebody asks. May be cancelled without losing any.
    async fn next_request(&mut self) -> Incoming {
        match self.hold() {
            Some(hold) => hold.next_request().await,
            None => std::future::pending().await,
        }
    }

    /// Returns the environment of the command: the first of [`JobClaim::secrets`].
    ///
    /// # Errors
    /// As those.
    async fn environment(&self) -> Result<Environment> {
        Ok(self.secrets().await?.0)
    }

    /// Opens what the command is given to read, from its beginning: the second of [`JobClaim::secrets`].
    ///
    /// # Errors
    /// As those.
    async fn given(&self) -> Result<OwnedFd> {
        self.secrets().await?.1.open().map_err(Error::io("make", "a file in memory".as_ref()))
    }

    /// Puts on record who is in charge: [`Record::Start`].
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

    /// Puts on record what was noted of the main process: [`Record::Noted`].
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

    /// Takes a slot for a job that is not due, past the limits. A store that tells who has a slot by who holds a lock has nothing
    /// to do.
    ///
    /// # Errors
    /// If it cannot be written.
    async fn take_slot(&mut self) -> Result<()> {
        Ok(())
    }

    /// Returns where the job stands in the queue, and what it was given when it left it.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn place(&self) -> Result<Place> {
        Ok(self.submission().spec.first_place())
    }

    /// Puts it on record that a job which has not been started stands in another place of the queue: [`Admission::note_change`] is
    /// to follow.
    ///
    /// # Errors
    /// [`Error::Unsupported`] of a store that keeps no places, as this does; if it cannot be written.
    async fn set_place(&mut self, _: &Place) -> Result<()> {
        Err(Error::Unsupported {
            reason: "this store starts jobs in the order in which they were submitted".to_owned(),
        })
    }

    /// Puts another submission on record for a job that has not been started: its spec with its environment, which is in force as
    /// a whole or not at all. Its id, its name and its key stay, and so does what the command is given to read.
    /// [`Admission::note_change`] is to follow.
    ///
    /// # Errors
    /// [`Error::Unsupported`] of a store that cannot do that, as this; if it cannot be written.
    async fn replace(&mut self, _: Submission) -> Result<()> {
        Err(Error::Unsupported { reason: "this store keeps jobs as they were submitted".to_owned() })
    }

    /// Gives away what another process needs to take charge of the job, which a [`LocalRunner`](crate::LocalRunner) starts;
    /// nothing if no other process can hold the lock.
    fn hand_over(self: Box<Self>) -> Option<HandOver> {
        None
    }
}

/// What a process needs to take charge of a job. It has the lock as long as any process has a copy of the descriptor.
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

/// What somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The job has an end record, or nobody holds its lock.
    Settled(JobId),
    /// The job has been started, or has ended.
    LeftQueue(JobId),
    /// The job is ready, as its spec says when it is, or is settled.
    Ready(JobId),
    /// The job has written more than so many bytes, or is settled.
    Output {
        /// The job.
        id: JobId,
        /// How many bytes are known.
        beyond: u64,
    },
    /// There is an event of this number or a later one.
    Event(u64),
}

impl Change {
    /// Returns whether it has come, or the job is gone, as far as `store` knows by now.
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

/// Returns what can be seen of a job, as far as no end is on record: what a store puts into [`Evidence::seen`] when it knows
/// all else.
pub fn look(evidence: &Evidence) -> Seen {
    if evidence.ended.is_some() {
        return Seen::Gone;
    }
    // A process that was started elsewhere is known before it is on record that it runs.
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
                // The holder was killed before it put the command on record that it had started.
                (Some(first), None) => Seen::Alive(first.pid),
            }
        }
    }
}

/// Refuses a name for a job in this directory, since this one has it.
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

/// The refusal to remove what somebody is in charge of.
fn held(id: JobId) -> Error {
    Error::Refused { id, reason: "it is supervised; stop it first".to_owned() }
}

/// What became of a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a key is known or it is not")]
pub enum Created {
    /// There is a new job.
    New,
    /// The key is that of this job, which runs the same.
    Existing(JobId),
}

/// What came of a submission.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "whoever submits has to do with each of them")]
pub enum Submitted {
    /// There is a new job, which is to start now, by whoever has this claim.
    Due(Box<dyn JobClaim>),
    /// There is a new job, which [`JobStore::next_due`] returns when it is its turn: that may be now.
    Queued,
    /// The key is that of this job, which runs the same.
    Existing(JobId),
}

/// Returns the job that has the key already, if it runs the same.
fn same_key(new: &Submission, old: &Submission) -> Result<JobId> {
    let what = |spec: &'_ JobSpec| (spec.command.clone(), spec.cwd.clone());
    // A later version may have written fields into the old record that this one reads as annotations.
    if what(&new.spec) == what(&old.spec) && new.spec.annotations.are_in(&old.spec.annotations) {
        return Ok(old.job_id);
    }
    Err(Error::KeyTaken { key: new.spec.key.clone().unwrap_or_default(), id: old.job_id })
}

/// How many jobs there are, as far as that is known without looking at them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// How many are over, by status.
    pub ended: BTreeMap<Status, u64>,
    /// All others: jobs that may not be over, or whose records cannot be read.
    pub others: Vec<JobId>,
}

/// How busy a store is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Load {
    /// What is set.
    pub settings: StoreSettings,
    /// Jobs that have a slot. One may have ended a moment ago.
    pub running: Vec<Slot>,
    /// Jobs that wait for one, in the order in which they will start. One may be about to.
    pub waiting: Vec<Slot>,
}
