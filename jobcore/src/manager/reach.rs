//! Waiting for one job to meet a condition.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::{JobManager, WaitOptions};
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::output::{self, Cursor, Line, LineMatcher, OutputQuery, Pattern, Position};
use crate::state::Status;
use crate::store::Change;
use crate::store::file::supervisors::visible_members;
use crate::sys::appear::Appearance;
use crate::sys::port::{self, Listener};
use crate::until::Until;

/// A line without an end counts if nothing follows for this long: it is a prompt.
const PROMPT: Duration = Duration::from_millis(100);
/// How often to check ports, since the kernel does not report them: soon at first, later at the longer interval.
const PORTS_FIRST: Duration = Duration::from_millis(20);
const PORTS_LAST: Duration = Duration::from_millis(250);
/// How often to check the stragglers of an ended job, since nothing reports their end.
const STRAGGLERS: Duration = Duration::from_millis(200);
/// One check at a time: however many waits for ports there are in this program, other work gets its turn.
static LOOK_AT_PORTS: Semaphore = Semaphore::const_new(1);

/// How far a job has come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reached {
    /// Whether the condition is met. If not, and the job has ended without stragglers, it never will be.
    pub met: bool,
    /// Where to continue reading: after the matching line, or else after all output so far.
    pub cursor: Cursor,
    /// The matching line.
    pub line: Option<String>,
    /// Why a listening port was not counted.
    pub note: Option<String>,
}

impl Reached {
    /// Describes a job as it is now, and whether the condition is met.
    pub(super) fn now(job: &Job, met: bool) -> Self {
        Self { met, cursor: Cursor(job.output.bytes), line: None, note: None }
    }
}

fn reached(job: Job, met: bool) -> (Job, Reached) {
    let reached = Reached::now(&job, met);
    (job, reached)
}

/// Returns whether nothing more can come from a job: it has ended, and so have its stragglers.
fn has_ended(job: &Job) -> bool {
    job.status().is_final() && !job.has_living_stragglers()
}

impl JobManager {
    /// Returns when a job has met the condition, or has ended so that it never will.
    pub(super) async fn reach(&self, id: JobId, options: &WaitOptions) -> Result<(Job, Reached)> {
        match &options.until {
            Until::Exit => Ok(reached(self.wait_for(id).await?, true)),
            Until::Ready => self.reach_ready(id).await,
            Until::Output(pattern) => self.reach_output(id, pattern, options.cursor.unwrap_or_default()).await,
            Until::Quiet(time) => self.reach_quiet(id, *time).await,
            Until::Port(port) => self.reach_port(id, *port, options).await,
            Until::File(path) => self.reach_file(id, path).await,
        }
    }

    async fn reach_ready(&self, id: JobId) -> Result<(Job, Reached)> {
        let mut end = pin!(self.wait_for(id));
        loop {
            let job = self.job(id).await?;
            if job.spec.ready.is_empty() {
                let reason = "it was submitted without a readiness condition".to_owned();
                return Err(Error::Refused { id, reason });
            }
            if job.ready_at.is_some() || job.status().is_final() {
                let is_ready = job.ready_at.is_some();
                return Ok(reached(job, is_ready));
            }
            let is_supervised = job.status() != Status::Queued && !job.is_unsupervised();
            let change = async {
                match is_supervised {
                    true => self.store.changed(Change::Ready(id)).await,
                    false => self.until_supervised(&job).await,
                }
            };
            tokio::select! {
                ended = &mut end => drop(ended?),
                changed = change => changed?,
            }
        }
    }

    async fn reach_output(&self, id: JobId, pattern: &Pattern, mut cursor: Cursor) -> Result<(Job, Reached)> {
        let mut matcher = LineMatcher::new(pattern.clone());
        let found = |line: Line| Reached {
            met: true,
            cursor: Cursor(line.end),
            line: Some(String::from_utf8_lossy(&line.text).into_owned()),
            note: None,
        };
        loop {
            // Checked before reading, so that everything written before the end is read after it is known.
            let job = self.job(id).await?;
            let ended = has_ended(&job);
            let chunk = self.output(id, &OutputQuery::from(Position::Cursor(cursor))).await?;
            let more = chunk.more;
            cursor = chunk.cursor;
            matcher.feed(chunk);
            if let Some(line) = matcher.next_match() {
                return Ok((job, found(line)));
            }
            if more {
                continue;
            }
            match matcher.open_match() {
                Some(line) if ended => return Ok((job, found(line))),
                None if ended => return Ok(reached(job, false)),
                Some(line) => match timeout(PROMPT, self.more_to_read(&job, cursor)).await {
                    Ok(more) => more?,
                    Err(_) => return Ok((job, found(line))),
                },
                None => self.more_to_read(&job, cursor).await?,
            }
        }
    }

    /// Returns when there may be more output of a job or of its stragglers.
    async fn more_to_read(&self, job: &Job, cursor: Cursor) -> Result<()> {
        if job.has_living_stragglers() {
            sleep(STRAGGLERS).await;
            return Ok(());
        }
        self.more_output(job.id, cursor).await
    }

    async fn reach_quiet(&self, id: JobId, time: Duration) -> Result<(Job, Reached)> {
        let mut seen_queued = self.clock.now();
        loop {
            let job = self.job(id).await?;
            if job.status().is_final() {
                return Ok(reached(job, false));
            }
            if job.status() == Status::Queued {
                self.tend().await;
                self.until_supervised(&job).await?;
                seen_queued = self.clock.now();
                continue;
            }
            let end = Cursor(job.output.bytes);
            let written = output::last_written(self.store.log(id).await?.as_ref())?;
            // In the first moments, its start is not on record yet.
            let last = written.into_iter().chain(job.state.started_at()).max().unwrap_or(seen_queued);
            let quiet = Duration::try_from(self.clock.now().duration_since(last)).unwrap_or_default();
            let Some(left) = time.checked_sub(quiet).filter(|left| !left.is_zero()) else {
                return Ok(reached(job, true));
            };
            match timeout(left, self.more_output(id, end)).await {
                Ok(more) => more?,
                // It was quiet all that time, even if a clock that was set back shows less.
                Err(_) => {
                    let job = self.job(id).await?;
                    if job.output.bytes == end.0 && !job.status().is_final() {
                        return Ok(reached(job, true));
                    }
                }
            }
        }
    }

    async fn reach_port(&self, id: JobId, port: u16, options: &WaitOptions) -> Result<(Job, Reached)> {
        let (mut distance, mut told) = (PORTS_FIRST, None);
        let mut end = pin!(self.wait_for(id));
        loop {
            let turn = LOOK_AT_PORTS.acquire().await;
            let job = self.job(id).await?;
            if has_ended(&job) {
                return Ok(reached(job, false));
            }
            let listener = self.port_listener(&job, port).await?;
            drop(turn);
            if listener == Listener::Own {
                return Ok(reached(job, true));
            }
            let note = note(port, &listener);
            if let Some(note) = note.as_ref().filter(|note| Some(*note) != told.as_ref()) {
                options.tell(id, note);
            }
            told = note;
            tokio::select! {
                ended = &mut end, if !job.status().is_final() => drop(ended?),
                () = sleep(distance) => {}
            }
            distance = (distance * 2).min(PORTS_LAST);
        }
    }

    async fn port_listener(&self, job: &Job, port: u16) -> Result<Listener> {
        let is_there = job.pid.is_some() || job.has_living_stragglers();
        let Some(running) = self.store.evidence(job.id).await?.running.filter(|_| is_there) else {
            return Ok(Listener::Nobody);
        };
        let id = job.id;
        let looking = move |_| async move {
            Ok(port::listener(port, running.process.pid, || visible_members(Some(&running.process), id)))
        };
        self.offload(looking).await
    }

    /// Returns whether a job visibly listens on a TCP port.
    pub(super) async fn is_server(&self, job: &Job) -> Result<bool> {
        let Some(running) = self.store.evidence(job.id).await?.running.filter(|_| job.pid.is_some()) else {
            return Ok(false);
        };
        let id = job.id;
        let looking = move |_| async move {
            Ok(port::listens(running.process.pid, || visible_members(Some(&running.process), id)))
        };
        self.offload(looking).await
    }

    /// Returns what keeps a job from meeting the condition.
    pub(super) async fn obstacle(&self, job: &Job, until: &Until) -> Option<String> {
        let Until::Port(port) = until else { return None };
        note(*port, &self.port_listener(job, *port).await.ok()?)
    }

    async fn reach_file(&self, id: JobId, path: &Path) -> Result<(Job, Reached)> {
        let path = self.job(id).await?.spec.cwd.join(path);
        let mut end = pin!(self.wait_for(id));
        loop {
            let appearance = Appearance::of(&path);
            if path.exists() {
                return Ok(reached(self.job(id).await?, true));
            }
            let job = self.job(id).await?;
            if has_ended(&job) {
                // A file created before the end is found, since the check follows the end.
                return Ok(reached(job, path.exists()));
            }
            tokio::select! {
                ended = &mut end, if !job.status().is_final() => drop(ended?),
                () = sleep(STRAGGLERS), if job.status().is_final() => {}
                () = appearance.changed() => {}
            }
        }
    }
}

/// Returns why a listener on a port does not count.
fn note(port: u16, listener: &Listener) -> Option<String> {
    match listener {
        Listener::Other(Some((pid, name))) => {
            Some(format!("port {port} is held by process {pid} ({name}), which does not belong to this job"))
        }
        Listener::Other(None) => Some(format!("port {port} is held by a process that does not belong to this job")),
        Listener::Nobody | Listener::Own => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::{Clock, Timestamp};
    use crate::manager::WaitReason;
    use crate::manager::view::tests::{block_on, writes};
    use crate::output::Stream;
    use crate::record::Start;
    use crate::sys::process;

    /// A clock that was set back.
    #[derive(Debug)]
    struct SetBack;

    impl Clock for SetBack {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(-3600).unwrap()
        }
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_prolong_a_wait() {
        block_on(async {
            let (jobs, id, mut claim) = writes(&[(Stream::Stdout, b"x")]).await;
            let holder = process::identify(std::process::id().try_into().unwrap()).unwrap();
            claim.start(&Start::new(holder, false, Timestamp::UNIX_EPOCH)).await.unwrap();
            let options = WaitOptions::default()
                .with_until(Until::Quiet(Duration::from_millis(10)))
                .with_timeout(Some(Duration::from_secs(20)));
            let waited = jobs.with_clock(Arc::new(SetBack)).wait_until(&[id], &options).await.unwrap();
            assert_eq!(waited.reason(), WaitReason::Met);
        });
    }
}
