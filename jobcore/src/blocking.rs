//! Jobs for programs without a tokio runtime: the methods of [`crate::JobManager`] under the same names, as blocking
//! calls.
//!
//! ```no_run
//! use std::sync::Arc;
//! use jobcore::{FileStore, JobSpec, LocalRunner, blocking::JobManager};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     jobcore::supervisor::run_if_asked();
//!     let jobs = JobManager::new(Arc::new(FileStore::open("/tmp/my-jobs")?), Arc::new(LocalRunner::new()?))?;
//!     let job = jobs.submit(JobSpec::shell("make -j4").cwd("/src").inherit_env().build()?)?;
//!     println!("{}", jobs.wait_for(job.id)?.status());
//!     Ok(())
//! }
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::clock::Timestamp;
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::manager::{
    self, Leftover, Listing, Message, Schedule, Sent, StopOptions, StopReport, ViewPart, WaitFor, WaitOptions, Waited,
};
use crate::output::{OutputChunk, OutputQuery, View, Viewed};
use crate::queue::MoveTo;
use crate::runner::Runner;
use crate::shape::{JobShape, OutputShape};
use crate::signal::Signal;
use crate::spec::JobSpec;
use crate::state::Status;
use crate::store::{EndedJob, Events, JobEvent, JobStore, Query, Retention, StoreSettings};

/// The jobs of a store, as in [`crate::JobManager`].
///
/// A separate thread drives a tokio runtime for as long as there is a clone of this manager: it reaps supervisors and
/// runs the jobs of an [`InProcessRunner`](crate::InProcessRunner). The manager can therefore be used anywhere, even
/// from a task of another runtime, which it blocks meanwhile. A callback that the manager itself invokes, such as that
/// of [`WaitOptions::with_notice`], cannot call it: it gets [`Error::Unsupported`].
#[derive(Debug, Clone)]
pub struct JobManager {
    jobs: manager::JobManager,
    worker: Arc<Worker>,
}

/// The thread that drives the runtime.
struct Worker {
    runtime: Handle,
    /// Dropped to end the runtime.
    goes_on: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn new() -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build().context("make", "a tokio runtime".as_ref())?;
        let handle = runtime.handle().clone();
        let (goes_on, ended) = oneshot::channel::<()>();
        let drive = move || drop(runtime.block_on(ended));
        let thread = thread::Builder::new().name("jobcore".to_owned()).spawn(drive);
        let thread = thread.context("start", "a thread".as_ref())?;
        Ok(Self { runtime: handle, goes_on: Some(goes_on), thread: Some(thread) })
    }

    fn is_this_thread(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| thread.thread().id() == thread::current().id())
    }

    fn run<T: Send + 'static>(&self, call: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        if self.is_this_thread() {
            let reason = "a callback of a blocking `JobManager` cannot call it";
            return Err(Error::Unsupported { reason: reason.to_owned() });
        }
        let (tell, told) = mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            // A separate task, so that a panic is reported too.
            let done = tokio::spawn(call).await;
            let _ = tell.send(done);
        });
        match told.recv() {
            Ok(Ok(done)) => done,
            Ok(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
            Ok(Err(_)) | Err(_) => {
                Err(Error::Unsupported { reason: "the thread of the blocking `JobManager` has ended".to_owned() })
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.goes_on = None;
        if !self.is_this_thread()
            && let Some(thread) = self.thread.take()
        {
            // A panic of the thread was reported to the caller.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

/// An iterator over items as they arrive: [`JobManager::follow_output`] and [`JobManager::follow_events`].
#[derive(Debug)]
#[must_use = "nothing is read until it is iterated"]
pub struct Follow<T> {
    follow: Option<manager::Follow<T>>,
    worker: Arc<Worker>,
}

impl<T: Send + 'static> Iterator for Follow<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut follow = self.follow.take()?;
        let next = async {
            let item = follow.next().await.transpose()?;
            Ok(item.map(|item| (item, follow)))
        };
        match self.worker.run(next).transpose()? {
            Ok((item, follow)) => {
                self.follow = Some(follow);
                Some(Ok(item))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

impl JobManager {
    /// Creates a manager for this store and this runner, as [`crate::JobManager::new`] does.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if they do not work together; [`Error::Io`] if no thread can be started.
    pub fn new(store: Arc<dyn JobStore>, runner: Arc<dyn Runner>) -> Result<Self> {
        Self::of(manager::JobManager::new(store, runner)?)
    }

    /// Creates a blocking manager around this one, which may have its own clock, name or policy.
    ///
    /// # Errors
    /// [`Error::Io`] if no thread can be started.
    pub fn of(jobs: manager::JobManager) -> Result<Self> {
        Ok(Self { jobs, worker: Arc::new(Worker::new()?) })
    }

    /// Returns the asynchronous manager.
    pub fn inner(&self) -> &manager::JobManager {
        &self.jobs
    }

    fn run<T, F>(&self, call: impl FnOnce(manager::JobManager) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.worker.run(call(self.jobs.clone()))
    }

    /// Submits a job.
    ///
    /// # Errors
    /// See [`crate::JobManager::submit`].
    pub fn submit(&self, spec: JobSpec) -> Result<Job> {
        self.run(|jobs| async move { jobs.submit(spec).await })
    }

    /// Returns the current state of a job.
    ///
    /// # Errors
    /// See [`crate::JobManager::job`].
    pub fn job(&self, id: JobId) -> Result<Job> {
        self.run(|jobs| async move { jobs.job(id).await })
    }

    /// Finds a job by its id, a part of its id, or its name.
    ///
    /// # Errors
    /// See [`crate::JobManager::find`].
    pub fn find(&self, reference: &str) -> Result<JobId> {
        let reference = reference.to_owned();
        self.run(|jobs| async move { jobs.find(&reference).await })
    }

    /// Lists jobs, in the order of the query.
    ///
    /// # Errors
    /// See [`crate::JobManager::list`].
    pub fn list(&self, query: &Query) -> Result<Listing> {
        let query = query.clone();
        self.run(|jobs| async move { jobs.list(&query).await })
    }

    /// Counts the jobs that match a query by their status.
    ///
    /// # Errors
    /// See [`crate::JobManager::count`].
    pub fn count(&self, query: &Query) -> Result<BTreeMap<Status, u64>> {
        let query = query.clone();
        self.run(|jobs| async move { jobs.count(&query).await })
    }

    /// Returns the shape in which a job is printed, including what has to be looked up for it.
    ///
    /// # Errors
    /// See [`crate::JobManager::report`].
    pub fn report(&self, job: &Job) -> Result<JobShape> {
        let job = job.clone();
        self.run(|jobs| async move { jobs.report(&job).await })
    }

    /// Waits until a job has ended.
    ///
    /// # Errors
    /// See [`crate::JobManager::wait_for`].
    pub fn wait_for(&self, id: JobId) -> Result<Job> {
        self.run(|jobs| async move { jobs.wait_for(id).await })
    }

    /// Waits for any or all of several jobs to end, for `timeout` at most.
    ///
    /// # Errors
    /// See [`crate::JobManager::wait`].
    pub fn wait(&self, ids: &[JobId], what: WaitFor, timeout: Option<Duration>) -> Result<Waited> {
        self.wait_until(ids, &WaitOptions::default().with_what(what).with_timeout(timeout))
    }

    /// Waits for any or all of several jobs to meet a condition.
    ///
    /// # Errors
    /// See [`crate::JobManager::wait_until`].
    pub fn wait_until(&self, ids: &[JobId], options: &WaitOptions) -> Result<Waited> {
        let (ids, options) = (ids.to_vec(), options.clone());
        self.run(|jobs| async move { jobs.wait_until(&ids, &options).await })
    }

    /// Reads output of a job.
    ///
    /// # Errors
    /// See [`crate::JobManager::output`].
    pub fn output(&self, id: JobId, query: &OutputQuery) -> Result<OutputChunk> {
        let query = *query;
        self.run(|jobs| async move { jobs.output(id, &query).await })
    }

    /// Reads output of a job as text.
    ///
    /// # Errors
    /// See [`crate::JobManager::output_text`].
    pub fn output_text(&self, id: JobId, query: &OutputQuery) -> Result<OutputShape> {
        let query = *query;
        self.run(|jobs| async move { jobs.output_text(id, &query).await })
    }

    /// Reads a part of a view of a job's output.
    ///
    /// # Errors
    /// See [`crate::JobManager::view`].
    pub fn view(&self, id: JobId, query: &OutputQuery, view: &View) -> Result<Viewed> {
        let (query, view) = (*query, view.clone());
        self.run(|jobs| async move { jobs.view(id, &query, &view).await })
    }

    /// Follows the output of a job until it has ended, as [`crate::JobManager::follow_output`] does.
    pub fn follow_output(&self, id: JobId, query: OutputQuery) -> Follow<OutputChunk> {
        Follow { follow: Some(self.jobs.follow_output(id, query)), worker: self.worker.clone() }
    }

    /// Shows a view of a job's output part by part, as [`crate::JobManager::follow_view`] does.
    pub fn follow_view(&self, id: JobId, query: &OutputQuery, view: &View, follows: bool) -> Follow<ViewPart> {
        Follow { follow: Some(self.jobs.follow_view(id, query, view, follows)), worker: self.worker.clone() }
    }

    /// Follows what happens to jobs, as [`crate::JobManager::follow_events`] does.
    pub fn follow_events(&self, since: u64) -> Follow<JobEvent> {
        Follow { follow: Some(self.jobs.follow_events(since)), worker: self.worker.clone() }
    }

    /// Returns what has happened to jobs.
    ///
    /// # Errors
    /// See [`crate::JobManager::events`].
    pub fn events(&self, since: u64, limit: usize) -> Result<Events> {
        self.run(|jobs| async move { jobs.events(since, limit).await })
    }

    /// Sends a message to the input of a job.
    ///
    /// # Errors
    /// See [`crate::JobManager::send`].
    pub fn send(&self, id: JobId, message: &Message, patience: Duration) -> Result<Sent> {
        let message = message.clone();
        self.run(|jobs| async move { jobs.send(id, &message, patience).await })
    }

    /// Closes the input of a job.
    ///
    /// # Errors
    /// See [`crate::JobManager::end_input`].
    pub fn end_input(&self, id: JobId) -> Result<()> {
        self.run(|jobs| async move { jobs.end_input(id).await })
    }

    /// Stops a job and all of its processes.
    ///
    /// # Errors
    /// See [`crate::JobManager::stop`].
    pub fn stop(&self, id: JobId, options: &StopOptions) -> Result<StopReport> {
        let options = *options;
        self.run(|jobs| async move { jobs.stop(id, &options).await })
    }

    /// Keeps a queued job from being started until it is released.
    ///
    /// # Errors
    /// See [`crate::JobManager::hold`].
    pub fn hold(&self, id: JobId) -> Result<Job> {
        self.run(|jobs| async move { jobs.hold(id).await })
    }

    /// Returns the schedules.
    ///
    /// # Errors
    /// See [`crate::JobManager::schedules`].
    pub fn schedules(&self) -> Result<Vec<Schedule>> {
        self.run(|jobs| async move { jobs.schedules().await })
    }

    /// Runs a schedule now, in addition to its rule, and returns the run.
    ///
    /// # Errors
    /// See [`crate::JobManager::run_schedule`].
    pub fn run_schedule(&self, id: JobId) -> Result<Job> {
        self.run(|jobs| async move { jobs.run_schedule(id).await })
    }

    /// Lets a queued job be started when its turn comes.
    ///
    /// # Errors
    /// See [`crate::JobManager::release`].
    pub fn release(&self, id: JobId) -> Result<Job> {
        self.run(|jobs| async move { jobs.release(id).await })
    }

    /// Sets the priority of a queued job: it is started before those of a lower priority.
    ///
    /// # Errors
    /// See [`crate::JobManager::set_priority`].
    pub fn set_priority(&self, id: JobId, priority: i32) -> Result<Job> {
        self.run(|jobs| async move { jobs.set_priority(id, priority).await })
    }

    /// Delays a queued job: it is not started before this time.
    ///
    /// # Errors
    /// See [`crate::JobManager::delay`].
    pub fn delay(&self, id: JobId, until: Timestamp) -> Result<Job> {
        self.run(|jobs| async move { jobs.delay(id, until).await })
    }

    /// Moves a queued job.
    ///
    /// # Errors
    /// See [`crate::JobManager::move_to`].
    pub fn move_to(&self, id: JobId, to: MoveTo) -> Result<Job> {
        self.run(|jobs| async move { jobs.move_to(id, to).await })
    }

    /// Changes the spec of a queued job.
    ///
    /// # Errors
    /// See [`crate::JobManager::edit`].
    pub fn edit(&self, id: JobId, change: impl FnOnce(&mut JobSpec) + Send + 'static) -> Result<Job> {
        self.run(|jobs| async move { jobs.edit(id, change).await })
    }

    /// Starts a queued job now, regardless of the limits.
    ///
    /// # Errors
    /// See [`crate::JobManager::start_now`].
    pub fn start_now(&self, id: JobId) -> Result<Job> {
        self.run(|jobs| async move { jobs.start_now(id).await })
    }

    /// Pauses a job with all of its processes.
    ///
    /// # Errors
    /// See [`crate::JobManager::pause`].
    pub fn pause(&self, id: JobId) -> Result<Job> {
        self.run(|jobs| async move { jobs.pause(id).await })
    }

    /// Resumes a paused job.
    ///
    /// # Errors
    /// See [`crate::JobManager::resume`].
    pub fn resume(&self, id: JobId) -> Result<Job> {
        self.run(|jobs| async move { jobs.resume(id).await })
    }

    /// Sends a signal to the process group of the main process of a job.
    ///
    /// # Errors
    /// See [`crate::JobManager::signal`].
    pub fn signal(&self, id: JobId, signal: Signal) -> Result<()> {
        self.run(|jobs| async move { jobs.signal(id, signal).await })
    }

    /// Removes the record and the output of a job that has ended.
    ///
    /// # Errors
    /// See [`crate::JobManager::remove`].
    pub fn remove(&self, id: JobId) -> Result<()> {
        self.run(|jobs| async move { jobs.remove(id).await })
    }

    /// Removes ended jobs that are not to be kept.
    ///
    /// # Errors
    /// See [`crate::JobManager::prune`].
    pub fn prune(&self, retention: &Retention, dry_run: bool) -> Result<Vec<EndedJob>> {
        let retention = retention.clone();
        self.run(|jobs| async move { jobs.prune(&retention, dry_run).await })
    }

    /// Returns the processes that ended jobs left running.
    ///
    /// # Errors
    /// See [`crate::JobManager::leftovers`].
    pub fn leftovers(&self) -> Result<Vec<Leftover>> {
        self.run(|jobs| async move { jobs.leftovers().await })
    }

    /// Ends leftover processes that were found: see [`crate::JobManager::end_leftovers`].
    ///
    /// # Errors
    /// If this program has no runtime.
    pub fn end_leftovers(&self, leftovers: Vec<Leftover>, grace: Duration) -> Result<Vec<Leftover>> {
        self.run(move |jobs| async move { Ok(jobs.end_leftovers(leftovers, grace).await) })
    }

    /// Changes the settings of the store.
    ///
    /// # Errors
    /// See [`crate::JobManager::change_settings`].
    pub fn change_settings(&self, change: impl FnMut(&mut StoreSettings) + Send + 'static) -> Result<StoreSettings> {
        self.run(|jobs| async move { jobs.change_settings(change).await })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::output::Position;
    use crate::wait::Until;
    use crate::{InProcessRunner, MemoryStore};

    fn jobs() -> JobManager {
        JobManager::new(Arc::new(MemoryStore::new()), Arc::new(InProcessRunner::new())).unwrap()
    }

    fn shell(line: &str) -> JobSpec {
        JobSpec::shell(line).inherit_env().build().unwrap()
    }

    fn written(jobs: &JobManager, id: JobId) -> Vec<u8> {
        let chunks = jobs.follow_output(id, OutputQuery::from(Position::Start));
        chunks.flat_map(|chunk| chunk.unwrap().bytes(None)).collect()
    }

    #[test]
    fn a_job_is_run_without_a_runtime() {
        let jobs = jobs();
        let job = jobs.submit(shell("exit 3")).unwrap();
        assert_eq!(jobs.wait_for(job.id).unwrap().status(), Status::Failed);
        let spec = JobSpec::shell("read line; echo got $line").inherit_env().stdin(crate::spec::Stdin::Open);
        let job = jobs.submit(spec.build().unwrap()).unwrap();
        jobs.send(job.id, &Message::line("it"), Duration::from_secs(20)).unwrap();
        assert_eq!(written(&jobs, job.id), b"got it\n");
        assert_eq!(jobs.list(&Query::default()).unwrap().jobs.len(), 2);
        jobs.remove(job.id).unwrap();
        assert!(matches!(jobs.job(job.id), Err(Error::NotFound { .. })));
    }

    /// The job continues between calls: its output is kept, and its timeout ends it.
    #[test]
    fn a_job_continues_between_two_calls() {
        let jobs = jobs();
        let spec = JobSpec::shell("echo out; exec sleep 60").inherit_env().timeout(Duration::from_millis(100));
        let job = jobs.submit(spec.build().unwrap()).unwrap();
        let mut events = jobs.follow_events(0).map(Result::unwrap);
        let ended = events.find(|event| event.status.is_some()).unwrap();
        assert_eq!((ended.job_id, ended.status), (job.id, Some(Status::TimedOut)));
        assert_eq!(written(&jobs, job.id), b"out\n");
    }

    #[test]
    fn inside_a_runtime_it_blocks_and_does_not_panic() {
        for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
            builder.enable_all().build().unwrap().block_on(async {
                let jobs = jobs();
                let job = jobs.submit(shell("true")).unwrap();
                assert_eq!(jobs.wait_for(job.id).unwrap().status(), Status::Completed);
            });
        }
    }

    #[test]
    fn a_callback_gets_an_error_and_may_hold_the_last_clone() {
        let jobs = jobs();
        let job = jobs.submit(shell("sleep 0.05")).unwrap();
        let (asked, told) = (Mutex::new(Some(jobs.clone())), Arc::new(Mutex::new(None)));
        let keep = told.clone();
        let options = WaitOptions::default().with_until(Until::Exit).with_arrival(move |job| {
            let asked = asked.lock().unwrap().take().unwrap();
            *keep.lock().unwrap() = Some(asked.job(job.id).unwrap_err().to_string());
        });
        jobs.wait_until(&[job.id], &options).unwrap();
        let told = told.lock().unwrap().clone().unwrap();
        assert_eq!(told, "a callback of a blocking `JobManager` cannot call it");
    }
}
