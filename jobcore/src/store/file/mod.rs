//! Jobs as directories of a local file system, shared by any number of processes. `docs/on-disk-format.md` describes
//! the layout for users.

// In the order in which to read them:
// - `layout.rs`: which file is where
// - `atomic.rs`, `seal.rs`: how a record gets on disk, and how damage is noticed
// - `claim.rs`: the lock of a job, and what its holder writes
// - `log.rs`, `input.rs`, `control.rs`: output, input and requests
// - `queue.rs`, `hints.rs`: what is decided under the admission lock, and the files that point to jobs
// - `index/`, `feed.rs`: rows of jobs and of events
// - `settings.rs`, `sweep.rs`: settings, and what is removed
// - `watch.rs`: waiting
// - `supervisors.rs`: which processes are supervisors
// - `tests.rs`, `properties/`: files that are not as the store left them

pub(crate) mod atomic;
mod claim;
pub(crate) mod control;
mod feed;
mod hints;
mod index;
pub(crate) mod input;
pub(crate) mod layout;
pub(crate) mod log;
#[cfg(test)]
mod properties;
mod queue;
mod seal;
mod settings;
pub(crate) mod supervisors;
mod sweep;
mod watch;

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use claim::FileClaim;
pub(crate) use claim::Records;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use feed::check_events;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use index::check_index;
use layout::{JobDir, Layout};
pub use log::{FileLog, FileLogWriter};
use queue::Admission;

use super::{Change, Created, Disposable, Events, JobClaim, JobStore, Load, Query, StoreSettings, Tally};
use crate::control::{Answer, Request};
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::name::Name;
use crate::output::{JobLog, OutputSize};
use crate::record::{Ended, Evidence, RECORD_VERSION, Running, Submission};
use crate::spec::{Stdin, Stragglers};
use crate::sys::process::Seen;
use crate::sys::{self, lock, process};

/// The version of the layout.
const FORMAT: u32 = 1;
/// What stands before it in the file that says so.
const FORMAT_TEXT: &str = "jobcore store, format ";
/// How often a job is tried to be published while the directory of its day comes and goes.
const PUBLISHING: usize = 8;
/// How long an answer may take that was given by a process that is gone.
const LAST_BREATH: Duration = Duration::from_millis(10);

/// A store on a local file system.
///
/// Handles are cheap, and any number of processes may use the same store. The directory belongs to one user: it is
/// made with mode 0700, and refused if it belongs to somebody else or if others may write to it.
#[derive(Debug, Clone)]
pub struct FileStore {
    layout: Layout,
    /// Whether there is a store that is safe and understood. Until then there is none, or an empty directory.
    is_made: Arc<AtomicBool>,
}

impl FileStore {
    /// Opens a store, and makes it if there is none.
    ///
    /// # Errors
    /// [`Error::StoreRefused`] if it is not safe or not understood, with the reason; [`Error::Io`] if it cannot be
    /// made or read.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        let store = Self::at(root)?;
        store.make()?;
        Ok(store)
    }

    /// Opens a store, and makes nothing: where there is none, it is an empty one, which is made by the first job that is
    /// submitted to it, or the first setting that is changed. For programs that may only be asked to look.
    ///
    /// # Errors
    /// As [`FileStore::open`].
    pub fn at(root: impl AsRef<Path>) -> Result<Self> {
        let root = std::path::absolute(root.as_ref()).context("find", root.as_ref())?;
        let store = Self::of_layout(Layout::new(&root));
        if store.is_made()? {
            store.clear_left_overs();
        }
        Ok(store)
    }

    fn of_layout(layout: Layout) -> Self {
        Self { layout, is_made: Arc::default() }
    }

    /// Returns whether there is a store by now. Once there was, that is not looked at again.
    ///
    /// # Errors
    /// As [`FileStore::open`], where something else is in its place.
    pub fn is_made(&self) -> Result<bool> {
        if self.is_made.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let root = &self.layout.root;
        if !atomic::is_there(root)? {
            return Ok(false);
        }
        check_owner(root)?;
        match atomic::read_bytes(&self.layout.format())? {
            Some(text) => check_format(root, &String::from_utf8_lossy(&text))?,
            None => {
                let is_empty = fs::read_dir(root).context("list", root)?.next().is_none();
                let is_ours = [self.layout.days(), self.layout.queue()].iter().any(|path| path.exists());
                if !is_empty && !is_ours {
                    let reason = "it is neither empty nor a store; name another directory".to_owned();
                    return Err(Error::StoreRefused { path: root.clone(), reason });
                }
                return Ok(false);
            }
        }
        self.is_made.store(true, Ordering::Relaxed);
        Ok(true)
    }

    /// Makes the store, if there is none.
    fn make(&self) -> Result<()> {
        if self.is_made()? {
            return Ok(());
        }
        let layout = &self.layout;
        atomic::create_dir_all(&layout.root).context("make the store", &layout.root)?;
        check_owner(&layout.root)?;
        let hints = [layout.queue(), layout.slots(), layout.names(), layout.keys()];
        for directory in [layout.days(), layout.staging(), layout.trash()].into_iter().chain(hints) {
            make_dir(&directory)?;
        }
        atomic::publish(&layout.format(), format!("{FORMAT_TEXT}{FORMAT}\n").as_bytes())?;
        self.is_made.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Returns the directory of the store.
    pub fn root(&self) -> &Path {
        &self.layout.root
    }

    fn existing(&self, id: JobId) -> Result<JobDir> {
        let job = self.layout.job(id);
        if atomic::is_there(&job.path)? { Ok(job) } else { Err(Self::not_found(id)) }
    }

    fn not_found(id: JobId) -> Error {
        Error::NotFound { reference: id.to_string() }
    }

    /// Makes the directory of a job where nobody looks.
    fn stage(&self, submission: &Submission) -> Result<()> {
        let id = submission.job_id;
        let job = self.layout.staged(id);
        self.make()?;
        let make = || atomic::create_dir(&job.path).context("make", &job.path);
        if atomic::unless_missing(make())?.is_none() {
            // The directory, or the whole store, was removed since it was opened.
            self.is_made.store(false, Ordering::Relaxed);
            self.make()?;
            make_dir(&self.layout.staging())?;
            make()?;
        }
        let made = Self::fill(&job, submission);
        if made.is_err() {
            let _ = fs::remove_dir_all(&job.path);
        }
        made
    }

    fn fill(job: &JobDir, submission: &Submission) -> Result<()> {
        atomic::write_private(&job.lock(), b"")?;
        let attempt = job.attempt();
        for directory in [job.attempts(), attempt.path.clone()] {
            atomic::create_dir(&directory).context("make", &directory)?;
        }
        atomic::write_private(&job.submission(), &atomic::to_json(submission, &job.submission())?)?;
        atomic::write_private(&job.environment(), &submission.spec.environment.to_bytes())?;
        if submission.spec.stdin == Stdin::Given {
            atomic::write_private(&job.given(), &submission.spec.given.0)?;
        }
        for record in [attempt.start(), attempt.running(), attempt.ended()] {
            atomic::reserve(&record)?;
        }
        Ok(())
    }

    /// Renames a staged job into its place.
    fn publish(&self, id: JobId) -> Result<()> {
        let (from, to) = (self.layout.staged(id).path, self.layout.job(id).path);
        let rename = || fs::rename(&from, &to).context("publish", &to);
        for _ in 0..PUBLISHING {
            if atomic::unless_missing(rename())?.is_some() {
                return Ok(());
            }
            // The first job of a day; an empty day may also be removed at any time.
            if atomic::unless_missing(make_dir(&self.layout.day(id)))?.is_none() {
                make_dir(&self.layout.days())?;
            }
        }
        rename()
    }

    /// Removes what was staged of a job that does not come into its place.
    fn or_unstage(&self, id: JobId, created: Result<Created>) -> Result<Created> {
        if !matches!(created, Ok(Created::New)) {
            let _ = fs::remove_dir_all(self.layout.staged(id).path);
        }
        created
    }

    fn end_on_record(job: &JobDir) -> Result<Option<Ended>> {
        match atomic::read(&job.ended())? {
            Some(ended) => Ok(Some(ended)),
            // Whoever published it died before it was linked; with one attempt there is, it is the job's end.
            None => atomic::read(&job.attempt().ended()),
        }
    }

    fn is_held(&self, id: JobId) -> Result<bool> {
        let path = self.layout.job(id).lock();
        match atomic::open_if_there(&path, OpenOptions::new().read(true))? {
            Some(file) => lock::is_held(&file).context("look at the lock", &path),
            None => Err(self.missing(id, path)?),
        }
    }

    /// Returns what is wrong where a job has no such record: that there is no such job, or that the record was lost.
    fn missing(&self, id: JobId, path: PathBuf) -> Result<Error> {
        Ok(match atomic::is_there(&self.layout.job(id).path)? {
            true => Error::Damaged { path, reason: "it is not there".to_owned() },
            false => Self::not_found(id),
        })
    }

    /// Returns whether the main process of a job lives, as far as that is on record.
    fn has_living_process(&self, id: JobId) -> Result<bool> {
        let running: Option<Running> = match atomic::read(&self.layout.job(id).attempt().running()) {
            Err(Error::Damaged { .. }) => None,
            running => running?,
        };
        Ok(running.is_some_and(|running| matches!(process::look(&running.process), Seen::Alive(_) | Seen::Paused(_))))
    }

    fn collect(&self, id: JobId) -> Result<Evidence> {
        let job = self.layout.job(id);
        let attempt = job.attempt();
        let submission: Submission = match atomic::read(&job.submission())? {
            Some(submission) => submission,
            None => return Err(self.missing(id, job.submission())?),
        };
        if submission.job_id != id {
            let reason = format!("it is the record of another job, {}", submission.job_id);
            return Err(Error::Damaged { path: job.submission(), reason });
        }
        let mut evidence = Evidence::new(submission);
        evidence.ended = Self::end_on_record(&job)?;
        evidence.held = self.is_held(id)?;
        if evidence.ended.is_none() && !evidence.held {
            // It may have ended between the two looks; the record is there before the lock falls.
            evidence.ended = Self::end_on_record(&job)?;
        }
        let log = log::FileLog::new(attempt.clone());
        if let Some(ended) = &evidence.ended {
            let (bytes, dropped) = (ended.outcome.output_bytes, ended.outcome.dropped_bytes);
            evidence.output = OutputSize::new(bytes, dropped);
            // What was left of the job may have written on. The log knows of that, but not of what it could not keep
            // at its end.
            if evidence.submission.spec.stragglers == Stragglers::Leave || !ended.outcome.survivors.is_empty() {
                if evidence.held {
                    // By its main process, what is left of it can be recognised.
                    evidence.running = atomic::read(&attempt.running())?;
                }
                let there = log.size()?;
                evidence.output = OutputSize::new(bytes.max(there.bytes), dropped.max(there.dropped));
            }
            return Ok(evidence);
        }
        evidence.output = log.size()?;
        evidence.start = atomic::read(&attempt.start())?;
        evidence.running = atomic::read(&attempt.running())?;
        evidence.seen = super::look(&evidence);
        Ok(evidence)
    }
}

/// Returns the directory in which a job is kept in the store in `root`, whether or not there is such a job.
pub fn job_directory(root: &Path, id: JobId) -> PathBuf {
    Layout::new(root).job(id).path
}

fn make_dir(path: &Path) -> Result<()> {
    match atomic::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.context("make", path),
    }
}

fn check_owner(root: &Path) -> Result<()> {
    let metadata = fs::metadata(root).context("look at", root)?;
    let refuse = |reason: String| Err(Error::StoreRefused { path: root.to_owned(), reason });
    if !metadata.is_dir() {
        return refuse("it is not a directory".to_owned());
    }
    let user = sys::user::id();
    if metadata.uid() != user {
        let owner = metadata.uid();
        return refuse(format!("it belongs to user {owner}, and this is user {user}; run the command as its owner"));
    }
    if metadata.mode() & 0o022 != 0 {
        let mode = metadata.mode() & 0o777;
        return refuse(format!("others may write to it (mode {mode:o}); `chmod 700` it if you trust what it holds"));
    }
    Ok(())
}

fn check_format(root: &Path, text: &str) -> Result<()> {
    let refuse = |reason: String| Err(Error::StoreRefused { path: root.to_owned(), reason });
    match text.strip_prefix(FORMAT_TEXT).and_then(|version| version.trim().parse::<u32>().ok()) {
        Some(FORMAT) => Ok(()),
        Some(version) => refuse(format!("it has format {version}, and this version understands {FORMAT}; upgrade")),
        None => refuse("its file `format` is not one of a store".to_owned()),
    }
}

#[async_trait]
impl JobStore for FileStore {
    async fn admit(&self) -> Result<Box<dyn super::Admission>> {
        self.make()?;
        Ok(Box::new(Admitted { admission: Admission::take(&self.layout)?, store: self.clone() }))
    }

    async fn create(&self, submission: Submission) -> Result<Created> {
        // Before the lock is taken: others need not wait for that.
        self.stage(&submission)?;
        let created = self.enqueue(&submission).await;
        self.or_unstage(submission.job_id, created)
    }

    async fn named(&self, name: &Name) -> Result<Option<JobId>> {
        self.find_named(name)
    }

    async fn keyed(&self, key: &str) -> Result<Option<JobId>> {
        self.find_keyed(key)
    }

    async fn next_due(&self) -> Result<Option<Box<dyn JobClaim>>> {
        Ok(self.due().await?.map(|claim| Box::new(claim) as _))
    }

    async fn put_back(&self, id: JobId) -> Result<bool> {
        self.put_back_queued(id)
    }

    async fn load(&self) -> Result<Load> {
        self.read_load()
    }

    async fn unattended(&self) -> Result<Vec<JobId>> {
        self.find_unattended()
    }

    async fn settings(&self) -> Result<StoreSettings> {
        self.read_settings()
    }

    async fn claim(&self, id: JobId) -> Result<Option<Box<dyn JobClaim>>> {
        let Some(records) = Records::claim(&self.layout, id)? else { return Ok(None) };
        let submission = records.submission()?;
        if submission.v > RECORD_VERSION {
            let reason =
                format!("its record has version {}, and this one writes {RECORD_VERSION}; upgrade", submission.v);
            return Err(Error::Refused { id, reason });
        }
        Ok(Some(Box::new(FileClaim::new(records, submission))))
    }

    async fn evidence(&self, id: JobId) -> Result<Evidence> {
        self.collect(id)
    }

    async fn ids(&self, query: &Query, before: Option<JobId>, limit: usize) -> Result<Vec<JobId>> {
        self.query_ids(query, before, limit)
    }

    async fn tally(&self) -> Result<Tally> {
        let mut tally = Tally::default();
        for (state, id) in self.all_rows(|row| Some((row.state(), row.id()?)))? {
            match state {
                index::RowState::Over(status) => *tally.ended.entry(status).or_default() += 1,
                _ => tally.others.push(id),
            }
        }
        Ok(tally)
    }

    async fn events(&self, since: u64, limit: usize) -> Result<Events> {
        self.read_events(since, limit)
    }

    async fn changed(&self, change: Change) -> Result<()> {
        match change {
            Change::Settled(id) => self.settled(id).await,
            Change::LeftQueue(id) => self.left_queue(id).await,
            Change::Output { id, beyond } => self.written(id, beyond).await,
            Change::Event(number) => self.happened(number).await,
        }
    }

    async fn disposable(&self) -> Result<Vec<Disposable>> {
        self.read_disposable()
    }

    async fn sweep(&self) -> Result<()> {
        self.sweep_if_due()
    }

    async fn remove(&self, id: JobId) -> Result<()> {
        // Kept until all is gone, so that nobody takes charge of it meanwhile.
        let _records = match Records::claim(&self.layout, id) {
            Ok(records) => {
                let records = records.ok_or_else(|| super::held(id))?;
                // Nobody can tell of its end after that. What cannot be read has none to tell of.
                let _ = records.complete_end();
                Some(records)
            }
            // Without a lock that can be taken nobody will ever be in charge of it; whether somebody is, only the main
            // process tells.
            Err(error) => {
                if !atomic::is_there(&self.layout.job(id).path)? || self.has_living_process(id)? {
                    return Err(error);
                }
                None
            }
        };
        let trash = self.unlink(id)?;
        fs::remove_dir_all(&trash).context("remove", &trash)
    }

    async fn log(&self, id: JobId) -> Result<Box<dyn JobLog>> {
        Ok(Box::new(log::FileLog::new(self.existing(id)?.attempt())))
    }

    async fn cached(&self, id: JobId, name: &'static str) -> Result<Option<Vec<u8>>> {
        atomic::read_bytes(&self.existing(id)?.cache(name))
    }

    async fn cache(&self, id: JobId, name: &'static str, bytes: &[u8]) -> Result<()> {
        // A full disk costs whoever wants it next some time, and nothing else.
        let _ = atomic::publish(&self.existing(id)?.cache(name), bytes);
        Ok(())
    }

    async fn send(&self, id: JobId, bytes: &[u8], patience: Duration) -> Result<usize> {
        input::send(id, &self.layout.job(id).attempt(), bytes, patience).await
    }

    async fn request(&self, id: JobId, request: Request) -> Result<Answer> {
        if !self.is_held(id)? {
            return Err(Error::NoAnswer { id });
        }
        let attempt = self.layout.job(id).attempt();
        let gone = async {
            // What has ended answers nothing; waiting for the deadline would tell nothing more.
            let _ = self.settled(id).await;
            if self.is_held(id).unwrap_or(false) {
                std::future::pending::<()>().await;
            }
        };
        let asking = control::ask(id, &attempt, request);
        tokio::pin!(asking);
        tokio::select! {
            biased;
            answer = &mut asking => answer,
            // What it answered with its last breath is in the pipe.
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
        self.store.stage(&submission)?;
        let placed = self.store.place(&self.admission, &submission).map(|()| Created::New);
        self.store.or_unstage(submission.job_id, placed).map(drop)
    }

    async fn set(&mut self, settings: &StoreSettings) -> Result<()> {
        self.store.write_settings(&self.admission, settings)
    }
}

/// Returns what is in a directory; nothing also if there is no such directory.
fn names(directory: &Path) -> Result<Vec<String>> {
    Ok(list(directory)?.unwrap_or_default())
}

/// Returns what is in a directory; nothing if there is no such directory.
fn list(directory: &Path) -> Result<Option<Vec<String>>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // Nothing of ours is there, whatever else is.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(Some(Vec::new())),
        entries => entries.context("list", directory)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.context("list", directory)?.file_name().into_string());
    }
    Ok(Some(names))
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
