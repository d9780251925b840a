//! The facade that every front end uses: all decisions about jobs are made here.

// In the order in which to read them:
// - `find.rs`, `list.rs`: which job is meant, and which jobs exist
// - `start.rs`, `starts.rs`, `queue.rs`, `order.rs`, `schedules.rs`, `rerun.rs`: starting what is due, counting starts,
//   why a job is queued, changing what is queued, schedules, and running ended jobs again
// - `stop.rs`, `pause.rs`, `input.rs`: stopping, signals, pausing, and sending input
// - `leftovers.rs`, `adopt.rs`: what ended jobs left behind, and processes that were started elsewhere
// - `wait.rs`, `reach.rs`: waiting for many jobs, and for one
// - `read.rs`, `follow.rs`, `view.rs`: reading output, following it and events, and views of output
// - `inbox.rs`: ends that are to be delivered to callers
// - `report.rs`, `waiting.rs`, `used.rs`, `junit.rs`: jobs as every interface prints them, whether they wait for input,
//   what they use, and reports that their commands leave on disk
// - `delegate.rs`, `agent.rs`, `usage.rs`: agent runs
// - `offload.rs`, `workplace.rs`: where work that takes more than microseconds is done
// - `tests.rs`: calls that fail or coincide

mod adopt;
#[cfg(feature = "agents")]
mod agent;
#[cfg(feature = "agents")]
mod delegate;
mod find;
mod follow;
mod inbox;
mod input;
mod junit;
mod leftovers;
mod list;
mod offload;
mod order;
mod pause;
mod queue;
mod reach;
mod read;
mod report;
mod rerun;
mod schedules;
mod start;
mod starts;
mod stop;
#[cfg(test)]
mod tests;
#[cfg(feature = "agents")]
mod usage;
mod used;
mod view;
mod wait;
mod waiting;
mod workplace;

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

pub use follow::{Follow, ViewPart};
pub use inbox::{Delivery, Watch};
pub use input::{Message, Sent};
pub use leftovers::Leftover;
pub use reach::Reached;
pub use read::OutputReader;
pub use schedules::{Schedule, ScheduleShape};
pub use stop::{StopOptions, StopReport};
pub use used::Used;
pub use wait::{WaitFor, WaitOptions, WaitReason, WaitShape, Waited, WaitedJob};

use starts::Starts;
use workplace::Workplace;

#[cfg(feature = "agents")]
use crate::agent::AgentSettings;
use crate::clock::{Clock, Random, SystemClock, SystemRandom, Timestamp};
use crate::environment::JOB_ID;
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::output::{Cursor, OutputQuery, Stream};
#[cfg(feature = "policy")]
use crate::policy::Policy;
use crate::program;
use crate::record::{Ended, Evidence, Submission, Verdict, WITHDRAWN};
use crate::runner::{Runner, run_hooks};
use crate::shape::{JobShape, OutputShape};
use crate::spec::JobSpec;
use crate::state::{Cause, Outcome, Status};
use crate::store::tend::{Found, evidence_of_own, look_after, start_due};
use crate::store::{Change, EndedJob, Events, JobClaim, JobStore, Lending, Retention, StoreSettings, Submitted};
use crate::sys::{namespace, world};

/// How long the supervisor of a job may take to exit when the end is on record and no process was left.
const LETTING_GO: Duration = Duration::from_millis(500);
/// How long a supervisor may take to record the process of its command.
const STARTING: Duration = Duration::from_millis(250);
/// How many events one read covers.
const EVENTS_AT_ONCE: usize = 10_000;
/// How often to check in both cases: they take a few milliseconds.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Jobs of one store: submit, inspect, wait, stop, remove.
///
/// Clones share the store and the runner. Nothing is cached: what is returned was true at the time of the call.
///
/// No method blocks the polling thread for longer than it takes to read the records of one job, some microseconds:
/// anything that may take longer runs on threads of the tokio runtime's blocking pool, 32 at most, unless
/// [`JobManager::with_inline_work`] is used.
#[derive(Debug, Clone)]
pub struct JobManager {
    store: Arc<dyn JobStore>,
    runner: Arc<dyn Runner>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    name: String,
    own_job: Option<JobId>,
    #[cfg(feature = "policy")]
    policy: Policy,
    workplace: Workplace,
    starts: Starts,
    lending: Arc<Mutex<Weak<Lending>>>,
}

/// How often to look at a job for which this program may not start a supervisor: it is in a sandbox or in another
/// container, or runs jobs only within itself.
const UNSUPERVISED: Duration = Duration::from_millis(200);

/// Jobs in the order of a query, and those whose records cannot be read.
#[derive(Debug)]
#[non_exhaustive]
pub struct Listing {
    /// The matching jobs.
    pub jobs: Vec<Job>,
    /// Jobs whose records cannot be read, with the reason.
    pub damaged: Vec<(JobId, Error)>,
    /// Whether there may be more than the limit allowed.
    pub more: bool,
}

impl JobManager {
    /// Uses this store and this runner.
    ///
    /// A runner whose supervisors are another program starts that program once, and blocks until it has answered: see
    /// [`LocalRunner::with_program`](crate::LocalRunner::with_program).
    ///
    /// # Errors
    /// [`Error::Unsupported`] with the reason, if they do not work together.
    pub fn new(store: Arc<dyn JobStore>, runner: Arc<dyn Runner>) -> Result<Self> {
        runner.check(store.as_ref())?;
        let name = format!("a program with process id {}", std::process::id());
        Ok(Self {
            store,
            runner,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            name,
            own_job: None,
            #[cfg(feature = "policy")]
            policy: Policy::default(),
            workplace: Workplace::pool(),
            starts: Starts::default(),
            lending: Arc::default(),
        })
    }

    /// Takes the time of submissions from this clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Mints ids with this randomness.
    #[must_use]
    pub fn with_random(self, random: Arc<dyn Random>) -> Self {
        Self { random, ..self }
    }

    /// Records stops under this name.
    #[must_use]
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Sets the job that this program runs in: [`JobManager::stop_all`] stops that one last, since this program ends
    /// with it.
    #[must_use]
    pub fn with_own_job(self, own_job: Option<JobId>) -> Self {
        Self { own_job, ..self }
    }

    /// Also permits only what this policy permits. The policy in the store's settings applies in any case.
    #[cfg(feature = "policy")]
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// Refuses what the settings and policy of the store or the policy of this manager forbid. Returns the settings.
    async fn check_permitted(&self, spec: &JobSpec) -> Result<StoreSettings> {
        let settings = self.store.settings().await?;
        #[cfg(feature = "agents")]
        if let Some(run) = &spec.agent_run() {
            run.check(&AgentSettings::of(&settings)?)?;
        }
        #[cfg(not(feature = "policy"))]
        settings.check_policy(spec)?;
        #[cfg(feature = "policy")]
        {
            let of_its_end = spec.of_its_end();
            let others: Vec<_> = spec.of_its_readiness().chain(of_its_end).collect();
            // A process that is already running is not started by this.
            for spec in Some(spec).filter(|spec| spec.adopts.is_none()).into_iter().chain(&others) {
                settings.policy.check(spec).and_then(|()| self.policy.check(spec))?;
            }
        }
        Ok(settings)
    }

    /// Returns the store.
    pub fn store(&self) -> &Arc<dyn JobStore> {
        &self.store
    }

    /// Submits a job. When this returns, the job is on record, and either a process other than the caller holds it or
    /// it is queued. If a job on record has the same key, that job is returned, and nothing is started.
    ///
    /// # Errors
    /// Whatever can be known beforehand is refused here, and leaves nothing behind: [`Error::InvalidSpec`],
    /// [`Error::ProgramNotFound`], [`Error::NotExecutable`], [`Error::BadCwd`], [`Error::NameTaken`],
    /// [`Error::KeyTaken`], [`Error::Full`], [`Error::TooFast`], [`Error::Forbidden`], refusals of a layer above, and
    /// [`Error::Unsupported`] if `/proc` does not show this program's own processes. A store without room fails the
    /// same way. An error means that nothing was started, and that nothing will be: what was already on record is
    /// withdrawn. If that is impossible, the job is returned.
    pub async fn submit(&self, spec: JobSpec) -> Result<Job> {
        // On the heap: the polling thread may have little stack.
        self.offload(move |jobs| Box::pin(async move { jobs.submit_here(spec).await })).await
    }

    pub(crate) fn mint(&self, now: Timestamp) -> Result<JobId> {
        JobId::mint(now, self.random.as_ref()).context("read randomness from", "the kernel".as_ref())
    }

    async fn submit_here(&self, mut spec: JobSpec) -> Result<Job> {
        spec.validate()?;
        namespace::check_proc()?;
        let program = program::check(&mut spec)?;
        let has_guard = !self.check_permitted(&spec).await?.guard.is_empty();
        self.check_adoption(&spec).await?;
        self.check_queue(&spec).await?;
        spec.parent = spec.environment.get(JOB_ID).and_then(|id| id.to_str()?.parse().ok());
        spec.run_of = None;
        let now = self.clock.now();
        spec.set_first_time(now)?;
        let id = self.mint(now)?;
        let mut submission = Submission::new(id, now, spec, program, world::capture()?);
        program::check_size(&submission)?;
        let is_delayed = submission.spec.not_before.is_some() || !submission.spec.when.is_empty() || has_guard;
        let mut known = Evidence::new(submission.as_recorded());
        let submitted = self.store.submit(submission).await?;
        // From here on the job is on record, and any process may start it at any time.
        let started = match submitted {
            Submitted::Existing(id) => {
                let job = self.job(id).await?;
                return self.check_existing(job, known.submission.spec.adopts.is_some());
            }
            Submitted::Due(claim) => self.start(claim).await.map(|()| true),
            // It is already running, whatever the limits are.
            Submitted::Queued if known.submission.spec.adopts.is_some() => self.start_now(id).await.map(|job| job.held),
            Submitted::Queued => self.start_submitted(id, is_delayed).await,
        };
        match started {
            Ok(is_started) => known.held = is_started,
            Err(error) if self.withdraw(id).await => return Err(error),
            Err(error) => tracing::warn!(%id, %error, "a submitted job may not have been started"),
        }
        // The answer is its id, whether or not more can be learned about it. A job waiting in the queue needs no
        // further look.
        let looked = match known.held {
            true => self.job(id).await,
            false => self.as_it_is(id).await,
        };
        match looked {
            Err(error) => {
                tracing::warn!(%id, %error, "a submitted job could not be read");
                Ok(known.judge(now)?.0)
            }
            looked => looked,
        }
    }

    /// Starts what is due after a job was submitted, and returns whether that job was among it.
    async fn start_submitted(&self, id: JobId, is_delayed: bool) -> Result<bool> {
        let started = start_due(self.store.as_ref(), |claim| self.start(claim)).await?;
        if is_delayed {
            self.wake_later().await;
        }
        match started.failed {
            Some((due, error)) if due == id => Err(error),
            _ => Ok(started.jobs.contains(&id)),
        }
    }

    /// Withdraws a submitted job, and returns whether it never was and never will be started. Its end is recorded
    /// before it is removed, so that it stays unstarted even if it cannot be removed.
    async fn withdraw(&self, id: JobId) -> bool {
        let withdrawn = async {
            let Some(mut claim) = self.claim_unstarted(id).await? else { return Ok(false) };
            let evidence = evidence_of_own(self.store.as_ref(), claim.as_ref()).await?;
            if evidence.start.is_some() || evidence.ended.is_some() {
                return Ok(false);
            }
            let mut outcome = Outcome::new(Cause::NeverStarted, self.clock.now());
            outcome.stopped_by = Some(self.name.clone());
            outcome.message = Some(WITHDRAWN.to_owned());
            claim.finish(&Ended::new(None, outcome)).await?;
            drop(claim);
            if let Err(error) = self.store.remove(id).await {
                tracing::debug!(%id, %error, "a withdrawn job could not be removed");
            }
            Ok::<_, Error>(true)
        };
        match withdrawn.await {
            Ok(is_withdrawn) => is_withdrawn,
            Err(Error::NotFound { .. }) => true,
            Err(error) => {
                tracing::debug!(%id, %error, "a job could not be withdrawn");
                false
            }
        }
    }

    /// Takes the lock of a job that could not be started; `None` if another process has started it. A process that
    /// another thread of this program is forking has a copy of the lock until it executes its own program.
    async fn claim_unstarted(&self, id: JobId) -> Result<Option<Box<dyn JobClaim>>> {
        let deadline = tokio::time::Instant::now() + STARTING;
        loop {
            let claim = self.store.claim(id).await?;
            if claim.is_some()
                || tokio::time::Instant::now() >= deadline
                || self.store.evidence(id).await?.start.is_some()
            {
                return Ok(claim);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Changes the settings of the store, for all its users and from now on, and starts what then is due.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub async fn change_settings(
        &self,
        mut change: impl FnMut(&mut StoreSettings) + Send + 'static,
    ) -> Result<StoreSettings> {
        let changing = move |jobs: Self| async move {
            let settings = jobs.store.change_settings(&mut change).await?;
            jobs.tend().await;
            Ok(settings)
        };
        self.offload(changing).await
    }

    /// Returns a job as it is now.
    ///
    /// # Errors
    /// [`Error::NotFound`], and [`Error::Damaged`] for records that cannot be read.
    pub async fn job(&self, id: JobId) -> Result<Job> {
        let evidence = self.store.evidence(id).await?;
        let (job, verdict) = evidence.judge(self.clock.now())?;
        match verdict {
            // Checked before the lock is taken: a process that may adopt the job would find it held.
            Verdict::OnRecord if job.is_unsupervised() && evidence.is_to_be_adopted_by(&world::capture()?)? => {
                let looking_after = move |jobs: Self| async move {
                    match jobs.look_after(id).await {
                        Ok(Some(job)) => Ok(job),
                        // Another process is doing it, and accepts stops.
                        Ok(None) | Err(_) => jobs.as_it_is(id).await,
                    }
                };
                self.offload(looking_after).await
            }
            Verdict::OnRecord if job.status() == Status::Queued && self.is_put_back(id).await => {
                if let Err(error) = self.start_due().await {
                    tracing::debug!(%id, %error, "a job that was put back into the queue could not be started");
                }
                self.as_it_is(id).await
            }
            Verdict::OnRecord if evidence.is_being_settled() => self.recorded_elsewhere(id).await,
            Verdict::OnRecord => Ok(job),
            Verdict::FoundOut => match self.look_after(id).await? {
                Some(recorded) => Ok(recorded),
                None => self.recorded_elsewhere(id).await,
            },
        }
    }

    /// Returns a job as [`JobManager::job`] does, but waits up to a quarter of a second for one that is just being
    /// started: a moment after the submission, its process is not on record yet.
    ///
    /// # Errors
    /// As [`JobManager::job`].
    pub async fn look(&self, id: JobId) -> Result<Job> {
        let deadline = tokio::time::Instant::now() + STARTING;
        loop {
            let job = self.job(id).await?;
            let is_starting = job.status() == Status::Running && job.held && job.state.started_at().is_none();
            if !is_starting || tokio::time::Instant::now() >= deadline {
                return Ok(job);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Puts a job that was missing from the queue back into it, and returns whether it was missing. If that fails,
    /// nothing changes.
    async fn is_put_back(&self, id: JobId) -> bool {
        self.store.put_back(id).await.unwrap_or_else(|error| {
            tracing::debug!(%id, %error, "could not make sure that a waiting job is in the queue");
            false
        })
    }

    /// Looks after a job that lost its holder: starts a new supervisor for its command, or records that it has ended
    /// unseen. Returns the job as it is then; `None` if another process is doing that.
    async fn look_after(&self, id: JobId) -> Result<Option<Job>> {
        match look_after(self.store.as_ref(), id, self.clock.now()).await? {
            Found::Held => Ok(None),
            Found::Settled(job, is_recorded) => {
                if is_recorded {
                    run_hooks(self.runner.as_ref(), &self.store, id).await;
                }
                Ok(Some(*job))
            }
            Found::Unsupervised(claim) => {
                if let Err(error) = self.runner.adopt(&self.store, claim).await {
                    tracing::debug!(%id, %error, "a job without a supervisor could not be adopted");
                }
                self.as_it_is(id).await.map(Some)
            }
        }
    }

    /// Returns a job as it is, without doing anything for it.
    async fn as_it_is(&self, id: JobId) -> Result<Job> {
        Ok(self.store.evidence(id).await?.judge(self.clock.now())?.0)
    }

    /// Returns a job that was found to have ended while another process holds its lock: that process is about to record
    /// the end. An end reported before it is on record would be contradicted by the next look, which finds the lock
    /// held.
    async fn recorded_elsewhere(&self, id: JobId) -> Result<Job> {
        // A holder that is stopped by a signal records nothing.
        let _ = tokio::time::timeout(LETTING_GO, self.store.changed(Change::Settled(id))).await;
        match self.look_after(id).await? {
            Some(recorded) => Ok(recorded),
            None => self.as_it_is(id).await,
        }
    }

    /// Returns the events of jobs, as [`JobStore::events`] does.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn events(&self, since: u64, limit: usize) -> Result<Events> {
        let reading = move |jobs: Self| async move {
            jobs.tend().await;
            jobs.store.events(since, limit).await
        };
        self.offload(reading).await
    }

    /// Returns the number of the first kept event that happened at this time or later; if there is none, the number of
    /// the next event.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn first_event(&self, since: Timestamp) -> Result<u64> {
        let mut next = 0;
        loop {
            let Events { events, next: after, end, .. } = self.events(next, EVENTS_AT_ONCE).await?;
            if let Some(event) = events.iter().find(|event| event.at >= since) {
                return Ok(event.number);
            }
            if after >= end || after <= next {
                return Ok(end.max(next));
            }
            next = after;
        }
    }

    /// Returns when there may be an event with this number or a later one. What no process did, such as a queued job
    /// that none starts, is no event; to notice that, look at the store now and then.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn happened(&self, number: u64) -> Result<()> {
        self.store.changed(Change::Event(number)).await
    }

    /// Removes ended jobs that should not be kept, the oldest first, and returns those that it removed. Held jobs stay:
    /// their stragglers may still be running.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn prune(&self, retention: &Retention, dry_run: bool) -> Result<Vec<EndedJob>> {
        let retention = retention.clone();
        self.offload(move |jobs| async move { jobs.prune_here(&retention, dry_run).await }).await
    }

    async fn prune_here(&self, retention: &Retention, dry_run: bool) -> Result<Vec<EndedJob>> {
        self.tend().await;
        let mut excess = retention.excess(self.store.ended_jobs().await?, self.clock.now());
        if dry_run {
            return Ok(excess);
        }
        let mut removed = Vec::new();
        for job in excess.drain(..) {
            match self.store.remove(job.id).await {
                Ok(()) => removed.push(job),
                // Another process removed it, or holds it because of its stragglers.
                Err(Error::NotFound { .. } | Error::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(removed)
    }

    /// Reads output of a job as text, with the status that it had before.
    ///
    /// # Errors
    /// As [`JobManager::output`] and [`JobManager::job`].
    pub async fn output_text(&self, id: JobId, query: &OutputQuery) -> Result<OutputShape> {
        // The status first: if it says that the job has ended, the output is complete.
        let status = self.job(id).await?.status();
        let chunk = self.output(id, query).await?.whole_characters(status.is_final());
        let text = |stream| String::from_utf8_lossy(&chunk.bytes(Some(stream))).into_owned();
        Ok(OutputShape {
            job_id: id,
            status,
            stdout: text(Stream::Stdout),
            stderr: text(Stream::Stderr),
            cursor: chunk.cursor,
            dropped_bytes: chunk.dropped(),
            left_out: None,
            more: chunk.more,
        })
    }

    /// Returns when there is output after `cursor`, or when no more will come.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn more_output(&self, id: JobId, cursor: Cursor) -> Result<()> {
        let job = self.job(id).await?;
        let _lending = self.lend_own_slot().await;
        if job.status() == Status::Queued {
            self.tend().await;
        }
        self.until_supervised(&job).await?;
        self.store.changed(Change::Output { id, beyond: cursor.0 }).await
    }

    /// Removes the record and the output of a job that has ended, or whose records cannot be read.
    ///
    /// # Errors
    /// [`Error::StillLive`], [`Error::Unsupervised`], [`Error::StragglersLeft`], [`Error::NotFound`].
    pub async fn remove(&self, id: JobId) -> Result<()> {
        self.check_removable(id).await?;
        self.offload(move |jobs| async move { jobs.store.remove(id).await }).await
    }

    /// Refuses a job that may still have a holder.
    async fn check_removable(&self, id: JobId) -> Result<()> {
        match self.job(id).await {
            Ok(job) if job.is_unsupervised() => Err(Error::Unsupervised { id, pid: job.pid }),
            Ok(job) if !job.status().is_final() => Err(Error::StillLive { id, status: job.status() }),
            Ok(job) if job.held && !self.is_released(id, LETTING_GO).await? => Err(Error::StragglersLeft { id }),
            Ok(_) | Err(Error::Damaged { .. } | Error::Refused { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Returns whether a job that has ended is released by its holder within `time`.
    async fn is_released(&self, id: JobId, time: Duration) -> Result<bool> {
        let deadline = tokio::time::Instant::now() + time;
        loop {
            if !self.store.evidence(id).await?.held {
                return Ok(true);
            }
            if tokio::time::Instant::now() >= deadline {
                return Ok(false);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Returns the shape in which a job is printed, as of now.
    pub fn shape(&self, job: &Job) -> JobShape {
        job.shape(self.clock.now())
    }

    /// Does what killed processes left undone: starts supervisors for commands that lost theirs, records ends that no
    /// process saw, and starts what is due.
    async fn tend(&self) {
        if let Err(error) = self.try_to_tend().await {
            tracing::debug!(%error, "what is due could not be started");
        }
    }

    /// Does the same, and returns why what is due could not be started: that is left to the next process that uses the
    /// store.
    async fn try_to_tend(&self) -> Result<()> {
        self.offload(|jobs| async move { jobs.tend_here().await }).await
    }

    async fn tend_here(&self) -> Result<()> {
        // Those first, since they may free a slot.
        for id in self.store.unsupervised().await.unwrap_or_default() {
            match self.job(id).await {
                Ok(job) if job.status().is_final() => run_hooks(self.runner.as_ref(), &self.store, id).await,
                Ok(_) => {}
                Err(error) => tracing::debug!(%id, %error, "a job without a holder could not be read"),
            }
        }
        self.start_due().await
    }

    /// Records the end of a job that this program has claimed, and has its end hooks run.
    async fn finish(&self, mut claim: Box<dyn JobClaim>, ended: &Ended) -> Result<()> {
        let id = claim.submission().job_id;
        claim.finish(ended).await?;
        drop(claim);
        run_hooks(self.runner.as_ref(), &self.store, id).await;
        Ok(())
    }

    /// Starts what is due.
    async fn start_due(&self) -> Result<()> {
        let started = start_due(self.store.as_ref(), |claim| self.start(claim)).await?;
        self.wake_later().await;
        started.failed.map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Makes sure that what is due later is started then.
    async fn wake_later(&self) {
        let woken = match self.store.next_start().await {
            Ok(Some(at)) => self.runner.wake_at(&self.store, at).await,
            next => next.map(drop),
        };
        if let Err(error) = woken {
            tracing::debug!(%error, "the process that starts delayed jobs could not be started");
        }
    }
}
