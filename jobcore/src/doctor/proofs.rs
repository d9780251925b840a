//! Tests with real jobs in the examined store.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

use super::bench::{Bench, CODE, LABEL, PATIENCE, UNTIL_ASKED};
use super::report::{Doubt, Finding, Report};
use crate::id::JobId;
use crate::manager::{Message, StopOptions, StopReport};
use crate::output::Stream;
use crate::signal::Signal;
use crate::spec::{JobSpec, Stdin};
use crate::state::{Cause, State, Status};
use crate::store::file::supervisors::visible_members;
use crate::sys::process::{self, ProcessId, Seen};
use crate::sys::pty::TerminalSize;
use crate::sys::stat::{self, Stat};

/// Advice if no terminal is available.
const NEEDS_PTS: &str = "make sure that `/dev/ptmx` can be opened and that `/dev/pts` is mounted (devpts)";

const MAY_START: &str =
    "make sure that this program can be started again: `ulimit -u`, `noexec` mounts, filters of system calls";

/// A tree of processes that ignore SIGTERM: a child, and an orphaned process, in its own session if `setsid` is
/// available.
const TREE: &str = "trap '' TERM; sleep 60 & \
    if command -v setsid > /dev/null; then (setsid sh -c 'echo; sleep 60; exit' &); else (sh -c 'echo; sleep 60; exit' &); fi; \
    wait; sleep 60";
/// The main process, its child, and the two escaped processes.
const TREE_SIZE: usize = 4;

/// How a front end has a job submitted by another process.
pub(super) type Submitter = Arc<dyn Fn(&JobSpec) -> Command + Send + Sync>;

/// Runs all tests, one after the other.
pub(super) async fn examine(bench: &Bench<'_>, submitter: Option<&Submitter>, report: &mut Report) {
    if let Some(doubt) = bench.full().await {
        return report.add("jobs", Err(doubt));
    }
    match bench.within(start(bench)).await {
        Ok((id, detail)) => {
            report.add("start", Ok(detail));
            report.add("detach", bench.within(detach(bench, id)).await);
            report.add("adopt", bench.within(adopt(bench, id)).await);
            report.add("exit_code", bench.within(exit_code(bench)).await);
            report.add("output", bench.within(output(bench)).await);
            report.add("stdin", bench.within(stdin(bench)).await);
            report.add("terminal", bench.within(terminal(bench)).await);
            report.add("survive", bench.within(survive(bench, submitter)).await);
            report.add("stop", bench.within(stop(bench)).await);
        }
        // None of the others can work.
        Err(doubt) => {
            let advice = doubt.advice.or(Some(MAY_START.to_owned()));
            report.add("start", Err(Doubt { advice, ..doubt }));
        }
    }
    // However short the tests' own time limit is, their jobs are removed.
    let patient = Bench { patience: bench.patience.max(PATIENCE), ..bench.clone() };
    if let Err(doubt) = patient.within(patient.remove_all()).await {
        report.add("clean_up", Err(doubt.advise(format!("remove the jobs with the label `{LABEL}` by hand"))));
    }
}

/// A supervisor starts, and its lock is visible from here.
async fn start(bench: &Bench<'_>) -> Result<(JobId, String), Doubt> {
    let job = bench.submit(bench.spec(UNTIL_ASKED)).await?;
    if let State::Ended(end) = &job.state {
        let message = end.outcome.message.clone().unwrap_or_else(|| end.outcome.cause.as_str().to_owned());
        return Err(Doubt::failed(format!("a command was not started: {message}")));
    }
    let (supervisor, _) = bench.processes(job.id).await?;
    if !bench.evidence(job.id).await?.held {
        return Err(Doubt::failed("the lock of a running job is not visible: the file system does not support locks")
            .advise("use a store on a local disk"));
    }
    Ok((job.id, format!("supervisor {} holds the job, and its lock is visible", supervisor.pid)))
}

/// Neither the supervisor nor the command can be reached by a hangup of this session, and neither holds a descriptor of
/// this process.
async fn detach(bench: &Bench<'_>, id: JobId) -> Finding {
    let (supervisor, main) = bench.processes(id).await?;
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let gone = || Doubt::failed("a process of a running job is not visible in `/proc`");
    let stat = |pid| Stat::read(pid).ok_or_else(gone);
    let (own, supervisor, main) = (stat(own)?, stat(supervisor.pid)?, stat(main.pid)?);
    if supervisor.session == own.session || main.session == own.session {
        return Err(Doubt::failed("the job is in the session of its submitter and would end with it"));
    }
    if main.parent != supervisor.pid {
        return Err(Doubt::failed("the command is not a child of its supervisor"));
    }
    let ours = stat::open_ends(own.pid);
    if let Some(held) = [supervisor.pid, main.pid].into_iter().flat_map(stat::open_ends).find(|end| ours.contains(end))
    {
        let detail =
            format!("the job holds {held} of its submitter: a program that waits for it to close waits for the job");
        return Err(Doubt::failed(detail));
    }
    let (supervisor, main) = (supervisor.session, main.session);
    Ok(format!("supervisor and command are in separate sessions, {supervisor} and {main}"))
}

/// The supervisor is killed; the command continues under another one, and its exit code is known.
async fn adopt(bench: &Bench<'_>, id: JobId) -> Finding {
    let (first, main) = bench.processes(id).await?;
    let stat = Stat::read(first.pid).filter(|stat| stat.start_time == first.start_time);
    let stat = stat.ok_or_else(|| Doubt::failed("the supervisor of a running job has ended"))?;
    process::signal(&stat, Signal::KILL)
        .map_err(|error| Doubt::failed(format!("cannot kill a supervisor: {error}")))?;
    bench.until("the end of a supervisor", async || Ok((process::look(&first) == Seen::Gone).then_some(()))).await?;
    let second = bench
        .until("another supervisor", async || {
            bench.jobs.job(id).await?;
            let evidence = bench.evidence(id).await?;
            Ok(evidence.start.filter(|start| evidence.held && start.holder != first).map(|start| start.holder))
        })
        .await?;
    if !matches!(process::look(&main), Seen::Alive(_)) {
        return Err(Doubt::failed("the command did not outlive its supervisor"));
    }
    let (before, after) = (first.pid, second.pid);
    let adopted = format!("supervisor {before} was killed and {after} took over");
    let job = bench.let_end(id).await?;
    match job.state.outcome() {
        Some(outcome) if outcome.exit_code == Some(CODE) => Ok(format!("{adopted}; the exit code is known")),
        Some(outcome) if outcome.cause == Cause::SupervisorLost => {
            let detail = format!("{adopted}, but the kernel does not report the exit code: such jobs end as orphaned");
            Err(Doubt::degraded(detail).advise("Linux 6.15 or later"))
        }
        _ => Err(Doubt::failed(format!("{adopted}, but its exit code is not {CODE}: the job is {}", job.status()))),
    }
}

async fn exit_code(bench: &Bench<'_>) -> Finding {
    let exited = bench.run(bench.spec("exit 42")).await?;
    let code = exited.state.outcome().and_then(|outcome| outcome.exit_code);
    if code != Some(CODE) {
        return Err(Doubt::failed(format!("a job that exited with {CODE} was recorded with {code:?}")));
    }
    let killed = bench.run(bench.spec("kill -KILL $$")).await?;
    let signal = killed.state.outcome().and_then(|outcome| outcome.signal);
    if signal != Some(Signal::KILL) {
        return Err(Doubt::failed(format!("a job that was killed by SIGKILL was recorded with {signal:?}")));
    }
    Ok("an exit code and a signal are recorded correctly".to_owned())
}

async fn output(bench: &Bench<'_>) -> Finding {
    let id = bench.run(bench.spec("echo out; echo err >&2; printf out")).await?.id;
    for (stream, expected) in [(Stream::Stdout, "out\nout"), (Stream::Stderr, "err\n")] {
        let found = bench.read(id, stream).await?;
        if found != expected.as_bytes() {
            let found = String::from_utf8_lossy(&found).into_owned();
            return Err(Doubt::failed(format!("a job wrote {expected:?}, but {found:?} was kept")));
        }
    }
    Ok("both streams are kept, byte for byte".to_owned())
}

/// One job reads the input that is sent to it, up to its end; another has no input.
async fn stdin(bench: &Bench<'_>) -> Finding {
    let echo = bench.spec("while IFS= read -r line; do printf '%s\\n' \"$line\"; done; exit 42");
    let id = bench.submit(echo.stdin(Stdin::Open)).await?.id;
    for text in ["one", "two"] {
        bench.jobs.send(id, &Message::line(text), bench.patience).await?;
    }
    bench.jobs.end_input(id).await?;
    let reader = bench.ended(id).await?;
    let code = reader.state.outcome().and_then(|outcome| outcome.exit_code);
    if bench.read(id, Stream::Stdout).await? != b"one\ntwo\n" || code != Some(CODE) {
        return Err(Doubt::failed("a job did not read the input that was sent to it, or not its end"));
    }
    let reader = bench.run(bench.spec("if read -r line; then exit 1; fi")).await?;
    if reader.status() != Status::Completed {
        return Err(Doubt::failed("a job without input did not read end of file at once"));
    }
    Ok("input that is sent is read to its end, and a job without input reads end of file at once".to_owned())
}

/// A job on a terminal reads a line that is typed on it.
async fn terminal(bench: &Bench<'_>) -> Finding {
    let spec = bench.spec("test -t 0 && test -t 1 && read -r line && test \"$line\" = typed && exit 42");
    let job = bench.submit(spec.terminal(TerminalSize::default())).await?;
    if job.status().is_final() {
        let message = job.state.outcome().and_then(|outcome| outcome.message.clone()).unwrap_or_default();
        return Err(Doubt::degraded(format!("jobs cannot have a terminal: {message}")).advise(NEEDS_PTS));
    }
    bench.jobs.send(job.id, &Message::line("typed"), bench.patience).await?;
    match bench.ended(job.id).await?.state.outcome().and_then(|outcome| outcome.exit_code) {
        Some(CODE) => Ok("a job reads what is typed on its terminal".to_owned()),
        _ => Err(Doubt::failed("a job on a terminal did not read what was typed on it")),
    }
}

/// The submitter is killed with its whole process group as soon as it has printed the id.
async fn survive(bench: &Bench<'_>, submitter: Option<&Submitter>) -> Finding {
    let Some(submitter) = submitter else {
        return Err(Doubt::degraded("not tested: this program provides no submitter that can be killed"));
    };
    let failed = |what: &str| Doubt::failed(format!("the submitter that is to be killed {what}"));
    let mut command = tokio::process::Command::from(submitter(&bench.spec(UNTIL_ASKED).build()?));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| failed(&format!("was not started: {error}")))?;
    let (Some(pid), Some(stdout)) = (child.id(), child.stdout.take()) else { return Err(failed("has ended")) };
    let mut line = String::new();
    // A timeout or an early end of the output shows in what was read.
    let _ = timeout(bench.patience, BufReader::new(stdout).read_line(&mut line)).await;
    let Ok(id) = line.trim_end().parse::<JobId>() else {
        let _ = child.start_kill();
        let said = child.wait_with_output().await.map(|output| output.stderr).unwrap_or_default();
        return Err(failed(&format!("printed {line:?} instead of an id: {}", String::from_utf8_lossy(&said).trim())));
    };
    let group = i32::try_from(pid).unwrap_or(0);
    if process::signal_group(group, Signal::KILL).is_err() {
        return Err(failed("cannot be killed"));
    }
    child.wait().await.map_err(|error| failed(&format!("could not be waited for: {error}")))?;
    let job = bench.until_started(id).await?;
    if job.status() != Status::Running {
        return Err(Doubt::failed(format!("the job of a killed submitter is {}", job.status())));
    }
    let job = bench.let_end(id).await?;
    let code = job.state.outcome().and_then(|outcome| outcome.exit_code);
    if code != Some(CODE) {
        return Err(Doubt::failed(format!("the job of a killed submitter ended with {code:?}")));
    }
    Ok(format!("submitter {pid} was killed; its job continued, and its exit code is known"))
}

async fn stop(bench: &Bench<'_>) -> Finding {
    let id = bench.submit(bench.spec(TREE)).await?.id;
    let (_, main) = bench.processes(id).await?;
    let tree = bench
        .until("a tree of processes", async || {
            let tree = visible_members(Some(&main), id);
            Ok((tree.len() >= TREE_SIZE).then_some(tree))
        })
        .await?;
    let members: Vec<_> = tree.iter().filter_map(|stat| process::identify(stat.pid).ok()).collect();
    let report = bench.jobs.stop(id, &StopOptions::default().with_grace(Some(Duration::ZERO))).await?;
    let is_there = |member: &&ProcessId| process::look(member) != Seen::Gone;
    if let Some(member) = members.iter().find(is_there) {
        return Err(Doubt::failed(format!("process {} of a job outlived its stop", member.pid)));
    }
    match report {
        StopReport::Stopped(job) if job.status() == Status::Killed => {
            Ok(format!("a tree of {} processes, including escaped ones, was stopped", members.len()))
        }
        report => Err(Doubt::failed(format!("a stop was not confirmed: {report:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::clock::{Clock, Timestamp};
    use crate::doctor::{Health, Step};
    use crate::environment::Environment;
    use crate::manager::JobManager;
    use crate::runner::in_process::InProcessRunner;
    use crate::runner::local::LocalRunner;
    use crate::store::Query;
    use crate::store::file::FileStore;

    /// Examines a store with supervisors of this program, and returns the steps. No job may be left.
    fn examine(store: &FileStore, program: &str) -> Vec<Step> {
        let jobs = JobManager::new(Arc::new(store.clone()), Arc::new(LocalRunner::trusting(program.into()))).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut report = Report::default();
        let patience = Duration::from_millis(200);
        let bench = Bench { jobs: &jobs, environment: &Environment::default(), mark: "test".to_owned(), patience };
        runtime.block_on(super::examine(&bench, None, &mut report));
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

    /// An examination that was killed could not remove anything; jobs of other users are not leftovers.
    #[test]
    fn leftovers_of_an_earlier_examination_are_removed() {
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
        let bench = Bench {
            jobs: &jobs,
            environment: &Environment::default(),
            mark: "test".to_owned(),
            patience: Duration::from_millis(200),
        };
        runtime.block_on(bench.remove_all()).unwrap();
        let is_there = |id| runtime.block_on(jobs.job(id)).is_ok();
        assert_eq!([left_over, foreign, recent].map(is_there), [false, true, true]);
    }
}
