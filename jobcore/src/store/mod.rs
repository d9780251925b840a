//! Where jobs are kept, and where those who run them and those who ask meet.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod events;
pub mod file;
pub mod memory;
#[cfg(test)]
mod model;
mod query;
mod retention;
mod settings;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::control::{Answer, Request};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::name::Name;
use crate::output::{JobLog, OutputSize, Stream};
use crate::record::{Ended, Evidence, Running, Start, Submission};
use crate::spec::JobSpec;
use crate::state::Status;
use crate::sys::process::Seen;
use crate::sys::{namespace, process};

pub use events::{EventKind, Events, JobEvent};
pub use query::Query;
pub use retention::{Disposable, Retention};
pub use settings::{AGENTS, AgentSettings, GroupSettings, ReachedLimit, StoreSettings, WhenFull};

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
/// # The conformance suite
/// What a backend must do is written down as tests: module `conformance`, feature `conformance`.
#[async_trait]
pub trait JobStore: Send + Sync + Debug {
    /// Puts a new job on record, queued. If this fails, or the process dies within it, there is no such job, or else
    /// it is there as a whole. Whoever creates a job then looks for what is due: a slot may be free.
    ///
    /// A key that a job on record has already makes no second one.
    ///
    /// # Errors
    /// [`Error::NameTaken`] if a job that has not ended has the name; [`Error::KeyTaken`] if the job with the key runs
    /// something else; [`Error::Full`] where the settings say that a job without a slot is refused; [`Error::TooFast`] where
    /// they let fewer agents be started; if there is no room on the disk; or if the id exists.
    async fn create(&self, submission: Submission) -> Result<Created>;

    /// Returns the newest job of this name that is on record.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn named(&self, name: &Name) -> Result<Option<JobId>>;

    /// Returns the job that has this key, whether it is over or not: [`JobStore::create`] makes no other of the same key.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn keyed(&self, key: &str) -> Result<Option<JobId>>;

    /// Takes charge of the job that is to start next, and of a slot for it; nothing if none waits or none may start.
    ///
    /// Jobs start in the order in which they were created, but one whose group is full does not hold up others. A slot
    /// is free when its job has an end record. Of many who ask at the same time, each gets another job.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    async fn next_due(&self) -> Result<Option<Box<dyn JobClaim>>>;

    /// Sees to it that a job that waits can be found by [`JobStore::next_due`], and returns whether it could not. To be called
    /// for jobs that were found to be queued. A store that finds them by nothing that could be lost has nothing to do.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    async fn put_back(&self, _: JobId) -> Result<bool> {
        Ok(false)
    }

    /// Returns what is set, who has a slot, and who waits for one in order.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn load(&self) -> Result<Load>;

    /// Returns jobs that were started and are not over, and of which nobody is in charge. Cheap, since everybody who uses
    /// the store asks. Where very many run, one answer may leave out some, but not the same ones each time. What is left
    /// to do of an end, whose holder was killed when it was on record, is done by this.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn unattended(&self) -> Result<Vec<JobId>>;

    /// Returns the settings of the store.
    ///
    /// # Errors
    /// If they cannot be read.
    async fn settings(&self) -> Result<StoreSettings>;

    /// Changes the settings of the store, and returns what is set then. What others changed meanwhile is kept.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    async fn change_settings(
        &self,
        change: &mut (dyn for<'s> FnMut(&'s mut StoreSettings) + Send),
    ) -> Result<StoreSettings>;

    /// Takes the lock of a job. Returns nothing while somebody else holds it; does not wait.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such job, or no more.
    async fn claim(&self, id: JobId) -> Result<Option<Box<dyn JobClaim>>>;

    /// Returns what is known of a job. What it says was true at one moment: an end record is never missed.
    ///
    /// # Errors
    /// [`Error::NotFound`], and [`Error::Damaged`] for a record that
    /// cannot be read.
    async fn evidence(&self, id: JobId) -> Result<Evidence>;

    /// Returns at most `limit` ids in order from the newest, those older than `before` if that is given. A store may leave
    /// out jobs of which it knows without opening them that `query` does not want them; those that it cannot tell, and
    /// those whose records cannot be read, are in. The limit of the query is not looked at.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn ids(&self, query: &Query, before: Option<JobId>, limit: usize) -> Result<Vec<JobId>>;

    /// Counts the jobs that are known to be over by their status, and names all others.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn tally(&self) -> Result<Tally>;

    /// Returns what happened to jobs, at most `limit` events from number `since` on. Events are numbered from 0 without a
    /// gap, whatever job they concern. An end is told at least once: if its holder was killed before he could tell, by who
    /// asks for [`JobStore::unattended`] jobs next, or for what is due. Any other change goes untold if whoever made it
    /// was killed in that moment. Old events are dropped in the end, and how many are missing is told.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn events(&self, since: u64, limit: usize) -> Result<Events>;

    /// Returns when there may be an event of this number or a later one.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn happened(&self, number: u64) -> Result<()>;

    /// Returns the jobs that are over, the oldest first, with what retention goes by. Somebody may still be in charge of
    /// one: of its stragglers.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn disposable(&self) -> Result<Vec<Disposable>>;

    /// Removes jobs that are over and that the settings of the store do not keep: a few at a time, and not every time.
    /// Whoever ends a job calls this.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn sweep(&self) -> Result<()>;

    /// Removes the records and the output of a job, whatever they say and whether or not they can be read. Readers from
    /// then on find no such job.
    ///
    /// # Errors
    /// [`Error::Refused`] while somebody holds its lock.
    async fn remove(&self, id: JobId) -> Result<()>;

    /// Returns when the job has an end record, or nobody holds its lock, or it is gone; it may also return for no
    /// reason. Does not wake up while nothing happens, where the system can tell.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn settled(&self, id: JobId) -> Result<()>;

    /// Returns when the job may not be queued any more: it has been started, or has ended, or is gone. It may also return
    /// for no reason, but not again and again without waiting in between.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn left_queue(&self, id: JobId) -> Result<()>;

    /// Returns when the job may have written more than `beyond` bytes, or as [`JobStore::settled`] does.
    ///
    /// # Errors
    /// If the store cannot be read.
    async fn written(&self, id: JobId, beyond: u64) -> Result<()>;

    /// Opens the output of a job.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such job.
    async fn log(&self, id: JobId) -> Result<Box<dyn JobLog>>;

    /// Returns what [`JobStore::cache`] kept last under this name, if it is still there.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such job; if the store cannot be read.
    async fn cached(&self, id: JobId, name: &'static str) -> Result<Option<Vec<u8>>>;

    /// Keeps something that can be made anew from what else is known of a job, instead of what was kept under this name
    /// before. Anybody may do so, at any time: of several who do at once, one is kept, or none. It may be lost at any
    /// time, so that a store may just as well keep nothing; that it cannot be written is no error. It goes with the job.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such job.
    async fn cache(&self, id: JobId, name: &'static str, bytes: &[u8]) -> Result<()>;

    /// Sends to the input that the job's holder opened, and returns how many bytes were taken. While none is taken, it is
    /// waited for as long as `patience`; what was sent by others at the same time may stand in between.
    ///
    /// # Errors
    /// [`Error::NoInput`] if the input was ended or nobody reads it any more; [`Error::NoAnswer`] if nobody opens one.
    async fn send(&self, id: JobId, bytes: &[u8], patience: Duration) -> Result<usize>;

    /// Asks whoever holds the job's lock, and returns the answer. Bounded: about a second.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] if nobody is there or nobody answers.
    async fn request(&self, id: JobId, request: Request) -> Result<Answer>;

    /// Returns the store as one whose jobs are directories, if it is: a detached supervisor needs them.
    fn as_file(&self) -> Option<&file::FileStore> {
        None
    }
}

/// The lock of a job, and with it the right to write. Dropping it lets go.
#[async_trait]
pub trait JobClaim: Send + Sync + Debug {
    /// Returns what was submitted.
    fn submission(&self) -> &Submission;

    /// Returns what is known of the job, as if nobody were in charge of it: what its holder finds who takes it over.
    ///
    /// # Errors
    /// As [`JobStore::evidence`].
    async fn evidence(&self) -> Result<Evidence>;

    /// Returns the environment of the command, as submitted.
    ///
    /// # Errors
    /// If it cannot be read, or is gone since the job has ended.
    async fn environment(&self) -> Result<Environment>;

    /// Opens what the command is given to read, from its beginning.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn given(&self) -> Result<OwnedFd>;

    /// Puts on record who is in charge: from here on, the command may have run.
    ///
    /// # Errors
    /// If it cannot be written.
    async fn start(&mut self, start: &Start) -> Result<()>;

    /// Puts the main process on record.
    ///
    /// # Errors
    /// If it cannot be written.
    async fn running(&mut self, running: &Running) -> Result<()>;

    /// Opens the input of the job, to which others send, and returns the end that the command is to read from. To be done
    /// before the command is started.
    ///
    /// # Errors
    /// If no pipe can be made.
    async fn open_input(&mut self) -> Result<OwnedFd>;

    /// Ends the input: the command reads the end of it when all is read that was sent before.
    async fn end_input(&mut self);

    /// Adds output. What cannot be kept is counted and no error.
    async fn append(&mut self, stream: Stream, at: Timestamp, bytes: &[u8]);

    /// Returns how much output came by this claim.
    fn output(&self) -> OutputSize;

    /// Puts the end on record and wakes those who wait. The environment is forgotten.
    ///
    /// # Errors
    /// If it cannot be written. An end that is on record already is kept, and no error.
    async fn finish(&mut self, ended: &Ended) -> Result<()>;

    /// Returns the next thing that somebody asks. May be cancelled without losing any.
    async fn next_request(&mut self) -> Incoming;

    /// Returns the claim as one of a file store, if it is, so that it can be handed to another process.
    fn into_file(self: Box<Self>) -> Option<file::FileClaim> {
        None
    }
}

/// How long whoever runs a job may take to open its input. That it comes up slowly says nothing of whether it reads.
const STARTING: Duration = Duration::from_secs(10);

/// Returns what can be seen of a job that has no end on record.
fn look(evidence: &Evidence) -> Seen {
    let main = evidence.running.as_ref().map(|running| &running.process);
    if evidence.held {
        return main.map_or(Seen::Gone, process::look);
    }
    let running = evidence.running.as_ref().map(|running| (&running.process, running.at));
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
    Error::Refused { id, reason: "somebody is in charge of it; stop it first".to_owned() }
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

/// Returns the job that has the key already, if it runs the same.
fn same_key(new: &Submission, old: &Submission) -> Result<JobId> {
    let what = |spec: &'_ JobSpec| (spec.command.clone(), spec.cwd.clone(), spec.annotations.clone());
    if what(&new.spec) == what(&old.spec) {
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
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Load {
    /// What is set.
    pub settings: StoreSettings,
    /// Jobs that have a slot. One may have ended a moment ago.
    pub running: Vec<Slot>,
    /// Jobs that wait for one, in the order in which they will start. One may be about to.
    pub waiting: Vec<Slot>,
}

/// A job that counts against the limits, and its group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Slot {
    /// The job.
    pub id: JobId,
    /// Its group, if it is in one.
    pub group: Option<Name>,
}

/// A request and the way to answer it.
#[must_use]
pub struct Incoming {
    /// What is asked.
    pub request: Request,
    answer: Box<dyn FnOnce(Answer) + Send>,
}

impl Incoming {
    /// Wraps a request; `answer` is called at most once.
    pub fn new(request: Request, answer: impl FnOnce(Answer) + Send + 'static) -> Self {
        Self { request, answer: Box::new(answer) }
    }

    /// Answers. Whoever asked may have gone away: that is no error.
    pub fn answer(self, answer: Answer) {
        (self.answer)(answer);
    }
}

impl Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming").field("request", &self.request).finish_non_exhaustive()
    }
}
