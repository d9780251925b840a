//! What is proven by doing it: real jobs in the store that is looked at, under a label of their own, short and removed.

use std::process::Stdio;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::{Instant, sleep, timeout};

use super::{Doctor, Doubt, Finding, LABEL, Report};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::manager::{JobManager, Message, StopOptions, StopReport};
use crate::output::{OutputQuery, Position, Stream};
use crate::record::Evidence;
use crate::signal::Signal;
use crate::spec::{JobSpec, JobSpecBuilder, Stdin};
use crate::state::{Cause, State, Status};
use crate::store::Query;
use crate::store::file::supervisors::visible_members;
use crate::sys::process::{self, ProcessId, Seen};
use crate::sys::pty::TerminalSize;
use crate::sys::stat::{self, Stat};
use crate::words::counted;

pub(super) const WHEN_FREE: &str = "look again when fewer run, or raise `max_running`";

/// What a terminal needs.
const NEEDS_PTS: &str = "see that `/dev/ptmx` can be opened and that `/dev/pts` is mounted (devpts)";

const MAY_START: &str =
    "see that this program may be started again: `ulimit -u`, `noexec` mounts, filters of system calls";

/// How long anything may take: far more than it does, since a machine under load is no broken one.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether something has happened.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// What becomes of these jobs should this process be killed: they end by themselves, and the next look removes them.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// How long after that at the latest nobody counts on them any more.
const LEFT_OVER: SignedDuration = SignedDuration::from_secs(120);

/// Runs until it is asked to end, and then exits with [`CODE`]. The signal reaches the whole group, `sleep` included.
const HELD: &str = "trap 'exit 42' USR1; echo ready; while :; do sleep 1; done";
const CODE: i32 = 42;
/// A tree that ignores to be asked: a child, and one whose parent is gone, in a session of its own where that can be made.
const TREE: &str = "trap '' TERM; sleep 60 & \
    if command -v setsid > /dev/null; then (setsid sh -c 'echo; sleep 60; exit' &); else (sh -c 'echo; sleep 60; exit' &); fi; \
    wait; sleep 60";
/// The main process, its child, and the two that escaped.
const TREE_SIZE: usize = 4;

pub(super) async fn examine(doctor: &Doctor, jobs: &JobManager, report: &mut Report) {
    let mark = match jobs.mint(Timestamp::now()) {
        Ok(mark) => mark.to_string(),
        Err(error) => return report.add("jobs", Err(error.into())),
    };
    let proofs = Proofs { doctor, jobs, mark, patience: PATIENCE };
    proofs.examine(report).await;
}

struct Proofs<'a> {
    doctor: &'a Doctor,
    jobs: &'a JobManager,
    /// The value of the label, by which the jobs of this look are told from those of another.
    mark: String,
    patience: Duration,
}

impl Proofs<'_> {
    async fn examine(&self, report: &mut Report) {
        if let Some(doubt) = self.full().await {
            return report.add("jobs", Err(doubt));
        }
        match self.within(self.start()).await {
            Ok((id, detail)) => {
                report.add("start", Ok(detail));
                report.add("detach", self.within(self.detach(id)).await);
                report.add("adopt", self.within(self.adopt(id)).await);
                report.add("exit_code", self.within(self.exit_code()).await);
                report.add("output", self.within(self.output()).await);
                report.add("stdin", self.within(self.stdin()).await);
                report.add("terminal", self.within(self.terminal()).await);
                report.add("survive", self.within(self.survive()).await);
                report.add("stop", self.within(self.stop()).await);
            }
            // Nothing of the rest can work.
            Err(doubt) => {
                let advice = doubt.advice.or(Some(MAY_START.to_owned()));
                report.add("start", Err(Doubt { advice, ..doubt }));
            }
        }
        // However soon the proofs were given up: what they leave is removed.
        let patient = Self { mark: self.mark.clone(), patience: self.patience.max(PATIENCE), ..*self };
        if let Err(doubt) = patient.within(patient.clean_up()).await {
            report.add("clean_up", Err(doubt.advise(format!("remove the jobs with the label `{LABEL}` by hand"))));
        }
    }

    /// Bounds a step, whatever it waits for.
    async fn within<T>(&self, step: impl Future<Output = Result<T, Doubt>>) -> Result<T, Doubt> {
        let limit = self.patience * 2;
        let time = || counted(limit.as_secs_f32(), "second", "seconds");
        let late = |_| Err(Doubt::failed(format!("not done within {}", time())));
        timeout(limit, step).await.unwrap_or_else(late)
    }

    /// Looks until something is found.
    async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Result<Option<T>, Doubt>) -> Result<T, Doubt> {
        let deadline = Instant::now() + self.patience;
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            if Instant::now() >= deadline {
                let time = counted(self.patience.as_secs_f32(), "second", "seconds");
                return Err(Doubt::failed(format!("{what} was waited for in vain, for {time}")));
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Returns what there is to say where no job would be started now.
    async fn full(&self) -> Option<Doubt> {
        let load = self.jobs.store().load().await.ok()?;
        let (running, limit) = (load.running.len(), load.settings.max_running);
        let is_full = limit != 0 && u32::try_from(running).is_ok_and(|running| running >= limit);
        let detail = || format!("nothing was proven: {running} of {limit} jobs run already");
        is_full.then(|| Doubt::degraded(detail()).advise(WHEN_FREE))
    }

    fn spec(&self, line: &str) -> JobSpecBuilder {
        JobSpec::shell(line)
            .with_shell("/bin/sh")
            .environment(self.doctor.environment.clone())
            .label(LABEL, &self.mark)
            .timeout(TIME_LIMIT)
            .grace(Duration::ZERO)
    }

    /// Submits a job and returns it when its command runs or has ended.
    async fn submit(&self, spec: JobSpecBuilder) -> Result<Job, Doubt> {
        let job = self.jobs.submit(spec.build()?).await?;
        self.until_started(job.id).await
    }

    async fn until_started(&self, id: JobId) -> Result<Job, Doubt> {
        self.until("a supervisor that takes charge of a job", async || {
            let job = self.jobs.job(id).await?;
            if job.status() == Status::Queued
                && let Some(doubt) = self.full().await
            {
                return Err(doubt);
            }
            Ok((job.status() != Status::Queued && job.state.started_at().is_some() || job.status().is_final())
                .then_some(job))
        })
        .await
    }

    async fn ended(&self, id: JobId) -> Result<Job, Doubt> {
        let late = |_| Doubt::failed("the job has not ended");
        Ok(timeout(self.patience, self.jobs.wait_for(id)).await.map_err(late)??)
    }

    /// Runs a job to its end.
    async fn run(&self, spec: JobSpecBuilder) -> Result<Job, Doubt> {
        self.ended(self.submit(spec).await?.id).await
    }

    /// Lets a job end that runs [`HELD`], and returns it.
    async fn let_end(&self, id: JobId) -> Result<Job, Doubt> {
        self.until("the first line of a job", async || {
            Ok((self.read(id, Stream::Stdout).await? == b"ready\n").then_some(()))
        })
        .await?;
        self.jobs.signal(id, Signal::USR1).await?;
        self.ended(id).await
    }

    async fn read(&self, id: JobId, stream: Stream) -> Result<Vec<u8>, Doubt> {
        let query = OutputQuery::from(Position::Start).with_stream(Some(stream));
        Ok(self.jobs.output(id, &query).await?.bytes(Some(stream)))
    }

    async fn evidence(&self, id: JobId) -> Result<Evidence> {
        self.jobs.store().evidence(id).await
    }

    /// Returns the supervisor and the main process of a job that runs.
    async fn processes(&self, id: JobId) -> Result<(ProcessId, ProcessId), Doubt> {
        let evidence = self.evidence(id).await?;
        match (evidence.start, evidence.running) {
            (Some(start), Some(running)) => Ok((start.holder, running.process)),
            _ => Err(Doubt::failed("the records of a job that runs do not name its processes")),
        }
    }

    /// A supervisor comes up, and its lock is seen from here.
    async fn start(&self) -> Result<(JobId, String), Doubt> {
        let job = self.submit(self.spec(HELD)).await?;
        if let State::Ended(end) = &job.state {
            let message = end.outcome.message.clone().unwrap_or_else(|| end.outcome.cause.as_str().to_owned());
            return Err(Doubt::failed(format!("a command was not started: {message}")));
        }
        let (supervisor, _) = self.processes(job.id).await?;
        if !self.evidence(job.id).await?.held {
            return Err(Doubt::failed("the lock of a job that runs is not seen: the file system does not keep locks")
                .advise("name a store on a local disk"));
        }
        Ok((job.id, format!("supervisor {} is in charge, and its lock is seen", supervisor.pid)))
    }

    /// Neither the supervisor nor the command is where a hang-up of this session would reach it, and neither holds
    /// anything of this process.
    async fn detach(&self, id: JobId) -> Finding {
        let (supervisor, main) = self.processes(id).await?;
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let gone = || Doubt::failed("a process of a job that runs is not to be seen in `/proc`");
        let stat = |pid| Stat::read(pid).ok_or_else(gone);
        let (own, supervisor, main) = (stat(own)?, stat(supervisor.pid)?, stat(main.pid)?);
        if supervisor.session == own.session || main.session == own.session {
            return Err(Doubt::failed("the job is in the session of its submitter, and ends with it"));
        }
        if main.parent != supervisor.pid {
            return Err(Doubt::failed("the command is not a child of its supervisor"));
        }
        let ours = stat::open_ends(own.pid);
        if let Some(held) =
            [supervisor.pid, main.pid].into_iter().flat_map(stat::open_ends).find(|end| ours.contains(end))
        {
            let detail = format!("the job holds {held} of its submitter: whoever waits for its end waits for the job");
            return Err(Doubt::failed(detail));
        }
        let (supervisor, main) = (supervisor.session, main.session);
        Ok(format!("supervisor and command are in sessions of their own, {supervisor} and {main}"))
    }

    /// The supervisor is killed; the command runs on under another, and its exit code is known.
    async fn adopt(&self, id: JobId) -> Finding {
        let (first, main) = self.processes(id).await?;
        let stat = Stat::read(first.pid).filter(|stat| stat.start_time == first.start_time);
        let stat = stat.ok_or_else(|| Doubt::failed("the supervisor of a job that runs is gone"))?;
        process::signal(&stat, Signal::KILL)
            .map_err(|error| Doubt::failed(format!("cannot kill a supervisor: {error}")))?;
        self.until("the end of a supervisor", async || Ok((process::look(&first) == Seen::Gone).then_some(()))).await?;
        let second = self
            .until("another supervisor", async || {
                self.jobs.job(id).await?;
                let evidence = self.evidence(id).await?;
                Ok(evidence.start.filter(|start| evidence.held && start.holder != first).map(|start| start.holder))
            })
            .await?;
        if !matches!(process::look(&main), Seen::Alive(_)) {
            return Err(Doubt::failed("the command did not outlive its supervisor"));
        }
        let (before, after) = (first.pid, second.pid);
        let adopted = format!("supervisor {before} was killed and {after} took over");
        let job = self.let_end(id).await?;
        match job.state.outcome() {
            Some(outcome) if outcome.exit_code == Some(CODE) => Ok(format!("{adopted}; the exit code is known")),
            Some(outcome) if outcome.cause == Cause::SupervisorLost => {
                let detail =
                    format!("{adopted}, but the kernel does not tell the exit code: such jobs end as orphaned");
                Err(Doubt::degraded(detail).advise("Linux 6.15 or later"))
            }
            _ => Err(Doubt::failed(format!("{adopted}, but the exit code is not {CODE}: the job is {}", job.status()))),
        }
    }

    async fn exit_code(&self) -> Finding {
        let exited = self.run(self.spec("exit 42")).await?;
        let code = exited.state.outcome().and_then(|outcome| outcome.exit_code);
        if code != Some(CODE) {
            return Err(Doubt::failed(format!("a job that exited with {CODE} is on record with {code:?}")));
        }
        let killed = self.run(self.spec("kill -KILL $$")).await?;
        let signal = killed.state.outcome().and_then(|outcome| outcome.signal);
        if signal != Some(Signal::KILL) {
            return Err(Doubt::failed(format!("a job that died of SIGKILL is on record with {signal:?}")));
        }
        Ok("an exit code and a signal are on record as they were".to_owned())
    }

    async fn output(&self) -> Finding {
        let id = self.run(self.spec("echo out; echo err >&2; printf out")).await?.id;
        for (stream, expected) in [(Stream::Stdout, "out\nout"), (Stream::Stderr, "err\n")] {
            let found = self.read(id, stream).await?;
            if found != expected.as_bytes() {
                let found = String::from_utf8_lossy(&found).into_owned();
                return Err(Doubt::failed(format!("a job wrote {expected:?}, and {found:?} was kept")));
            }
        }
        Ok("both streams are kept, byte for byte".to_owned())
    }

    /// One job reads what is sent to it, and the end of that; another nothing.
    async fn stdin(&self) -> Finding {
        let echo = self.spec("while IFS= read -r line; do printf '%s\\n' \"$line\"; done; exit 42");
        let id = self.submit(echo.stdin(Stdin::Open)).await?.id;
        for text in ["one", "two"] {
            self.jobs.send(id, &Message::line(text), self.patience).await?;
        }
        self.jobs.end_input(id).await?;
        let reader = self.ended(id).await?;
        let code = reader.state.outcome().and_then(|outcome| outcome.exit_code);
        if self.read(id, Stream::Stdout).await? != b"one\ntwo\n" || code != Some(CODE) {
            return Err(Doubt::failed("a job did not read what was sent to it, and then the end"));
        }
        let reader = self.run(self.spec("if read -r line; then exit 1; fi")).await?;
        if reader.status() != Status::Completed {
            return Err(Doubt::failed("a job that was given nothing to read did not find the end of it at once"));
        }
        Ok("what is sent is read, and its end; and where nothing is sent, the end at once".to_owned())
    }

    /// A job on a terminal reads a line that is typed there.
    async fn terminal(&self) -> Finding {
        let spec = self.spec("test -t 0 && test -t 1 && read -r line && test \"$line\" = typed && exit 42");
        let job = self.submit(spec.terminal(TerminalSize::default())).await?;
        if job.status().is_final() {
            let message = job.state.outcome().and_then(|outcome| outcome.message.clone()).unwrap_or_default();
            return Err(Doubt::degraded(format!("no job can have a terminal: {message}")).advise(NEEDS_PTS));
        }
        self.jobs.send(job.id, &Message::line("typed"), self.patience).await?;
        match self.ended(job.id).await?.state.outcome().and_then(|outcome| outcome.exit_code) {
            Some(CODE) => Ok("what is typed on the terminal of a job is read by it".to_owned()),
            _ => Err(Doubt::failed("a job on a terminal did not read what was typed there")),
        }
    }

    /// The submitter is killed, with its whole group, as soon as it has told the id.
    async fn survive(&self) -> Finding {
        let Some(submitter) = &self.doctor.submitter else {
            return Err(Doubt::degraded("not proven: this program names none that could be killed"));
        };
        let failed = |what: &str| Doubt::failed(format!("the program that is to be killed {what}"));
        let mut command = tokio::process::Command::from(submitter(&self.spec(HELD).build()?));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| failed(&format!("was not started: {error}")))?;
        let (Some(pid), Some(stdout)) = (child.id(), child.stdout.take()) else { return Err(failed("is gone")) };
        let mut line = String::new();
        // That nothing comes in time, or nothing at all, is seen by what was read.
        let _ = timeout(self.patience, BufReader::new(stdout).read_line(&mut line)).await;
        let Ok(id) = line.trim_end().parse::<JobId>() else {
            let _ = child.start_kill();
            let said = child.wait_with_output().await.map(|output| output.stderr).unwrap_or_default();
            return Err(failed(&format!("printed {line:?} for an id: {}", String::from_utf8_lossy(&said).trim())));
        };
        let group = i32::try_from(pid).unwrap_or(0);
        if process::signal_group(group, Signal::KILL).is_err() {
            return Err(failed("cannot be killed"));
        }
        child.wait().await.map_err(|error| failed(&format!("is not seen to end: {error}")))?;
        let job = self.until_started(id).await?;
        if job.status() != Status::Running {
            return Err(Doubt::failed(format!("the job of a submitter that was killed is {}", job.status())));
        }
        let job = self.let_end(id).await?;
        let code = job.state.outcome().and_then(|outcome| outcome.exit_code);
        if code != Some(CODE) {
            return Err(Doubt::failed(format!("the job of a submitter that was killed ended with {code:?}")));
        }
        Ok(format!("submitter {pid} was killed; its job went on, and its exit code is known"))
    }

    async fn stop(&self) -> Finding {
        let id = self.submit(self.spec(TREE)).await?.id;
        let (_, main) = self.processes(id).await?;
        let tree = self
            .until("a tree of processes", async || {
                let tree = visible_members(Some(&main), id);
                Ok((tree.len() >= TREE_SIZE).then_some(tree))
            })
            .await?;
        let members: Vec<_> = tree.iter().filter_map(|stat| process::identify(stat.pid).ok()).collect();
        let report = self.jobs.stop(id, &StopOptions::default().with_grace(Some(Duration::ZERO))).await?;
        let is_there = |member: &&ProcessId| process::look(member) != Seen::Gone;
        if let Some(member) = members.iter().find(is_there) {
            return Err(Doubt::failed(format!("process {} of a job outlived its stop", member.pid)));
        }
        match report {
            StopReport::Stopped(job) if job.status() == Status::Killed => {
                Ok(format!("a tree of {} processes, one of them escaped, was stopped and is gone", members.len()))
            }
            report => Err(Doubt::failed(format!("a stop did not end in proof: {report:?}"))),
        }
    }

    /// Stops and removes all jobs of this look, and removes those of an earlier one that was killed.
    async fn clean_up(&self) -> Result<(), Doubt> {
        let labelled = |mark: &str| Query::default().with_labels(vec![(LABEL.to_owned(), mark.to_owned())]);
        let until = Timestamp::now().checked_sub(LEFT_OVER).ok();
        for query in [labelled(&self.mark), labelled("").with_times(None, until)] {
            // Not by a list, which would start what is due: a job whose supervisor dies would be held for a moment by the
            // next one, again and again.
            for id in self.jobs.store().ids(&query, None, usize::MAX).await? {
                if self.jobs.job(id).await.is_ok_and(|job| query.matches(&job)) {
                    self.until("the removal of a job of these", async || Ok(self.remove(id).await.then_some(())))
                        .await?;
                }
            }
        }
        Ok(())
    }

    /// Stops and removes a job, and returns whether it is gone.
    async fn remove(&self, id: JobId) -> bool {
        let _ = self.jobs.stop(id, &StopOptions::default().with_grace(Some(Duration::ZERO))).await;
        matches!(self.jobs.remove(id).await, Ok(()) | Err(Error::NotFound { .. }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Clock;
    use crate::doctor::{Health, Step};
    use crate::runner::in_process::InProcessRunner;
    use crate::runner::local::LocalRunner;
    use crate::store::file::FileStore;

    /// Looks at a store with supervisors from this program, and returns the steps. No job may be left.
    fn examine(store: &FileStore, program: &str) -> Vec<Step> {
        let jobs = JobManager::new(Arc::new(store.clone()), Arc::new(LocalRunner::trusting(program.into()))).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let doctor = Doctor::default();
        let mut report = Report::default();
        let patience = Duration::from_millis(200);
        let proofs = Proofs { doctor: &doctor, jobs: &jobs, mark: "test".to_owned(), patience };
        runtime.block_on(proofs.examine(&mut report));
        let left = runtime.block_on(jobs.list(&Query::default())).unwrap().jobs;
        assert!(left.is_empty(), "{left:?}");
        report.steps
    }

    #[test]
    fn a_supervisor_that_cannot_start_fails_the_step_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path().join("store")).unwrap();
        for program in ["/nosuch/program", "/bin/true", "/dev/null"] {
            let steps = examine(&store, program);
            let [step] = steps.as_slice() else { panic!("{program}: {steps:?}") };
            assert_eq!((step.name, step.result), ("start", Health::Failed), "{program}: {step:?}");
        }
    }

    #[derive(Debug)]
    struct HourAgo;

    impl Clock for HourAgo {
        fn now(&self) -> Timestamp {
            Timestamp::now() - SignedDuration::from_hours(1)
        }
    }

    /// A look that was killed could remove nothing; a job of somebody else is nobody's rest.
    #[test]
    fn what_an_earlier_look_left_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path().join("store")).unwrap();
        let jobs = JobManager::new(Arc::new(store), Arc::new(InProcessRunner::new())).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let run = |jobs: JobManager, label: &str| {
            let spec = JobSpec::command(["/bin/true"]).label(label, "earlier").build().unwrap();
            runtime.block_on(async { jobs.wait_for(jobs.submit(spec).await.unwrap().id).await.unwrap().id })
        };
        let old = jobs.clone().with_clock(Arc::new(HourAgo));
        let (left_over, foreign, recent) = (run(old.clone(), LABEL), run(old, "other"), run(jobs.clone(), LABEL));
        let proofs = Proofs {
            doctor: &Doctor::default(),
            jobs: &jobs,
            mark: "test".to_owned(),
            patience: Duration::from_millis(200),
        };
        runtime.block_on(proofs.clean_up()).unwrap();
        let is_there = |id| runtime.block_on(jobs.job(id)).is_ok();
        assert_eq!([left_over, foreign, recent].map(is_there), [false, true, true]);
    }
}
