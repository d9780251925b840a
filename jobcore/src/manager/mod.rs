//! The facade that every front end uses: whatever needs an `if` about jobs is here.

// In the order in which to read them:
// - `find.rs`, `list.rs`: which job is meant, and which jobs there are
// - `start.rs`, `starts.rs`, `queue.rs`, `order.rs`, `schedules.rs`, `rerun.rs`: starting what is due, how often, why a job is
//   queued, changing what is queued, schedules, and running again what has ended
// - `stop.rs`, `pause.rs`, `input.rs`: stopping, signals, pausing, and what is sent to a job
// - `leftovers.rs`, `adopt.rs`: what ended jobs have left behind, and processes that were started elsewhere
// - `wait.rs`, `reach.rs`: waiting for many jobs, and for one
// - `read.rs`, `follow.rs`, `view.rs`: reading output, following it and events, and views of output
// - `inbox.rs`: ends that are to be delivered
// - `report.rs`, `waiting.rs`, `used.rs`, `junit.rs`: jobs as every interface prints them, whether they wait for input, what
//   they use, and reports that their commands leave on disk
// - `delegate.rs`, `agent.rs`, `usage.rs`: runs of agents
// - `offload.rs`, `workplace.rs`: where work is done that takes more than microseconds
// - `tests.rs`: calls that fail or meet

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
use crate::store::{Change, Disposable, Events, JobClaim, JobStore, Lending, Retention, StoreSettings, Submitted};
use crate::sys::{namespace, world};

/// How long the supervisor of a job may take to be gone when the end is on record and nothing was left.
const LETTING_GO: Duration = Duration::from_millis(500);
/// How long a supervisor may take to record the process of its command.
const STARTING: Duration = Duration::from_millis(250);
/// How many events are looked at in one read.
const EVENTS_AT_ONCE: usize = 10_000;
/// How often either is looked at: it takes a few milliseconds.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Jobs of one store: submit, look, wait, stop, remove.
///
/// Clones share the store and the runner. Nothing here is cached: what is returned was true when it was looked at.
///
/// No method blocks the thread that polls it for longer than it takes to read the records of one job, some microseconds:
/// whatever may take longer is done on threads of the tokio runtime's blocking pool, 32 at most, unless
/// [`JobManager::with_inline_work`] says otherwise.
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

/// How often a job is looked at that this program may not put a supervisor in charge of: it is in a sandbox, or another
/// container, or runs jobs only within itself.
const UNSUPERVISED: Duration = Duration::from_millis(200);

/// Jobs in the order of a query, and those whose records cannot be read.
#[derive(Debug)]
#[non_exhaustive]
pub struct Listing {
    /// Those that match.
    pub jobs: Vec<Job>,
    /// Those of which nothing is known but the reason.
    pub damaged: Vec<(JobId, Error)>,
    /// Whether there may be more than the limit allowed.
    pub more: bool,
}

impl JobManager {
    /// Uses this store and this runner.
    ///
    /// A runner whose supervisors are another program starts that once, and blocks until it has answered: see
    /// [`LocalRunner::with_program`](crate::LocalRunner::with_program).
    ///
    /// # Errors
    /// [`Error::Unsupported`] if they do not work together, with the reason.
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

    /// Makes ids with this randomness.
    #[must_use]
    pub fn with_random(self, random: Arc<dyn Random>) -> Self {
        Self { random, ..self }
    }

    /// Signs stops with this name.
    #[must_use]
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Says which job this program runs in: [`JobManager::stop_all`] stops that one last, since this program ends with it.
    #[must_use]
    pub fn with_own_job(self, own_job: Option<JobId>) -> Self {
        Self { own_job, ..self }
    }

    /// Permits only what this policy permits too. That of the store's settings holds whatever is set here.
    #[cfg(feature = "policy")]
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// Refuses what the settings and the policy of the store, or the policy of this manager, do not permit. Returns the settings.
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
            // What runs already is not run by this.
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

    /// Submits a job. When this returns, the job is on record and somebody other than the caller is in charge of it, or
    /// it is queued. With a key that a job on record has, that job is returned, and nothing is started.
    ///
    /// # Errors
    /// What can be known before is refused here, and leaves nothing behind: [`Error::InvalidSpec`],
    /// [`Error::ProgramNotFound`], [`Error::NotExecutable`], [`Error::BadCwd`], [`Error::NameTaken`],
    /// [`Error::KeyTaken`], [`Error::Full`], [`Error::TooFast`], [`Error::Forbidden`], what a layer above refuses;
    /// [`Error::Unsupported`] where `/proc` does not show this program's own processes. So does a store without room. An
    /// error means that nothing was started, and that nothing will be: what was on record already is withdrawn. Where it
    /// cannot be, the job is returned.
    pub async fn submit(&self, spec: JobSpec) -> Result<Job> {
        // On the heap: whoever waits for it may have little stack.
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
        // From here on the job is on record, and may be started by anybody at any time.
        let started = match submitted {
            Submitted::Existing(id) => {
                let job = self.job(id).await?;
                return self.check_existing(job, known.submission.spec.adopts.is_some());
            }
            Submitted::Due(claim) => self.start(claim).await.map(|()| true),
            // It runs already, whatever the limits say.
            Submitted::Queued if known.submission.spec.adopts.is_some() => self.start_now(id).await.map(|job| job.held),
            Submitted::Queued => self.start_submitted(id, is_delayed).await,
        };
        match started {
            Ok(is_started) => known.held = is_started,
            Err(error) if self.withdraw(id).await => return Err(error),
            Err(error) => tracing::warn!(%id, %error, "a job that was submitted may not have been started"),
        }
        // Its id is the answer, whether or not more is to be learned of it. That it waits in the queue is known.
        let looked = match known.held {
            true => self.job(id).await,
            false => self.as_it_is(id).await,
        };
        match looked {
            Err(error) => {
                tracing::warn!(%id, %error, "a job that was submitted could not be looked at");
                Ok(known.judge(now)?.0)
            }
            looked => looked,
        }
    }

    /// Starts what is due now that a job was submitted, and returns whether that was among it.
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

    /// Withdraws a job that was submitted, and returns whether it never was and never will be started. Its end is put on record
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
                tracing::debug!(%id, %error, "a job that was withdrawn could not be removed");
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

    /// Takes the lock of a job that could not be started; nothing if another process has started it. A process that another
    /// thread of this program is forking has a copy of the lock until it executes its own program.
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

    /// Changes the settings of the store, for everybody and from now on, and starts what is due then.
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
            // Asked before the lock is taken, which whoever may adopt it would find taken.
            Verdict::OnRecord if job.is_unsupervised() && evidence.is_to_be_adopted_by(&world::capture()?)? => {
                let looking_after = move |jobs: Self| async move {
                    match jobs.look_after(id).await {
                        Ok(Some(job)) => Ok(job),
                        // Somebody else is doing it: to him a stop can be sent.
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

    /// Returns a job as [`JobManager::job`] does. One that is just being started is waited for, a quarter of a second at most:
    /// a moment after its submission, its process is not on record yet.
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

    /// Puts a job back into the queue that was lost from it, and returns whether it was. Where that fails it is as before.
    async fn is_put_back(&self, id: JobId) -> bool {
        self.store.put_back(id).await.unwrap_or_else(|error| {
            tracing::debug!(%id, %error, "whether a job that waits is in the queue could not be seen to");
            false
        })
    }

    /// Looks after a job that lost its holder: puts a new supervisor in charge of its command, or puts on record that it is over
    /// and that nobody saw its end. Returns the job as it is then; nothing if somebody else is doing that.
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

    /// Returns a job that was found to have ended while another process holds its lock: that process is about to put the end on
    /// record. An end that is reported before it is on record would be taken back by the next look, which finds the lock held.
    async fn recorded_elsewhere(&self, id: JobId) -> Result<Job> {
        // A holder that was stopped by a signal records nothing.
        let _ = tokio::time::timeout(LETTING_GO, self.store.changed(Change::Settled(id))).await;
        match self.look_after(id).await? {
            Some(recorded) => Ok(recorded),
            None => self.as_it_is(id).await,
        }
    }

    /// Returns what happened to jobs, as [`JobStore::events`].
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

    /// Returns the number of the first event that is kept and happened at this time or later; that of the next event, if none did.
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

    /// Returns when there may be an event of this number or a later one. What nobody did, such as a queued job that nobody
    /// starts, is no event; to see to that, look at the store now and then.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn happened(&self, number: u64) -> Result<()> {
        self.store.changed(Change::Event(number)).await
    }

    /// Removes jobs that are over and that are not to be kept, the oldest first, and returns those that it removed. What
    /// somebody is in charge of stays: the stragglers of a job may run on.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn prune(&self, retention: &Retention, dry_run: bool) -> Result<Vec<Disposable>> {
        let retention = retention.clone();
        self.offload(move |jobs| async move { jobs.prune_here(&retention, dry_run).await }).await
    }

    async fn prune_here(&self, retention: &Retention, dry_run: bool) -> Result<Vec<Disposable>> {
        self.tend().await;
        let mut excess = retention.excess(self.store.disposable().await?, self.clock.now());
        if dry_run {
            return Ok(excess);
        }
        let mut removed = Vec::new();
        for job in excess.drain(..) {
            match self.store.remove(job.id).await {
                Ok(()) => removed.push(job),
                // Somebody else removed it, or is in charge of what is left of it.
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
        // The status first: when it says that the job is over, the output is whole.
        let status = self.job(id).await?.status();
        let chunk = self.output(id, query).await?.whole_characters(status.is_final());
        let text = |stream| String::from_utf8_lossy(&chunk.bytes(Some(stream))).into_owned();
        Ok(OutputShape {
            job_id: id,
            status,
            stdout: text(Stream::Stdout),
            stderr: text(Stream::Stderr),
            cursor: chunk.cursor,
            omitted_bytes: chunk.omitted(),
            left_out: None,
            more: chunk.more,
        })
    }

    /// Returns when there is output behind `cursor`, or nothing more will come.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn more_output(&self, id: JobId, cursor: Cursor) -> Result<()> {
        let job = self.job(id).await?;
        let _lending = self.lend_own_slot().await;
        if job.status() == Status::Queued {
            self.tend().await;
        }
        self.until_attended(&job).await?;
        self.store.changed(Change::Output { id, beyond: cursor.0 }).await
    }

    /// Removes the record and the output of a job that is over, or whose records cannot be read.
    ///
    /// # Errors
    /// [`Error::StillLive`], [`Error::Unsupervised`], [`Error::StragglersLeft`], [`Error::NotFound`].
    pub async fn remove(&self, id: JobId) -> Result<()> {
        self.check_removable(id).await?;
        self.offload(move |jobs| async move { jobs.store.remove(id).await }).await
    }

    /// Refuses what somebody may still be in charge of.
    async fn check_removable(&self, id: JobId) -> Result<()> {
        match self.job(id).await {
            Ok(job) if job.is_unsupervised() => Err(Error::Unsupervised { id, pid: job.pid }),
            Ok(job) if !job.status().is_final() => Err(Error::StillLive { id, status: job.status() }),
            Ok(job) if job.held && !self.is_let_go(id, LETTING_GO).await? => Err(Error::StragglersLeft { id }),
            Ok(_) | Err(Error::Damaged { .. } | Error::Refused { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Returns whether nobody is in charge of a job that is over, within a time.
    async fn is_let_go(&self, id: JobId, time: Duration) -> Result<bool> {
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

    /// Does what those left undone who were killed: puts supervisors in charge of commands that lost theirs, puts ends on
    /// record that nobody saw, and starts what is due.
    async fn tend(&self) {
        if let Err(error) = self.try_to_tend().await {
            tracing::debug!(%error, "what is due could not be started");
        }
    }

    /// Does so, and returns why what is due could not be started: that is left to the next process that uses the store.
    async fn try_to_tend(&self) -> Result<()> {
        self.offload(|jobs| async move { jobs.tend_here().await }).await
    }

    async fn tend_here(&self) -> Result<()> {
        // Those first, since a slot may be free then.
        for id in self.store.unattended().await.unwrap_or_default() {
            match self.job(id).await {
                Ok(job) if job.status().is_final() => run_hooks(self.runner.as_ref(), &self.store, id).await,
                Ok(_) => {}
                Err(error) => tracing::debug!(%id, %error, "a job without a holder could not be looked at"),
            }
        }
        self.start_due().await
    }

    /// Puts the end of a job on record that this program takes charge of, and has run what is due at its end.
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

    /// Sees to it that what is due later is started then.
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
