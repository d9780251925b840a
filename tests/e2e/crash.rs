//! kill -9 at every step: before each system call that changes a store, by strace's fault injection.
//!
//! A step is the N-th call of one system call. A program is run again and again and killed one step later each time,
//! until it ends by itself; each time the store must report the truth and go on working.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::needs;
use crate::support::{JOBCLI, Ran, TestEnv, is_alive, script, send, wait_for};

/// All calls that can change a store, change which process holds a lock, or start and reap processes; `exit_group`
/// comes after everything else. Not every machine has all of them, and not every program uses all of them.
const CALLS: [&str; 24] = [
    "openat",
    "fcntl",
    "write",
    "pwrite64",
    "splice",
    "mkdir",
    "mkdirat",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "rmdir",
    "mknod",
    "mknodat",
    "clone",
    "clone3",
    "vfork",
    "wait4",
    "waitid",
    "close",
    "exit_group",
];
/// How many steps are tried in parallel.
const THREADS: usize = 4;

#[derive(Debug)]
struct Step {
    call: &'static str,
    when: u32,
}

impl Step {
    /// The arguments that make strace kill at this step. A call that this machine does not have is never made.
    fn strace(&self, trace: &Path) -> Vec<String> {
        let Self { call, when } = self;
        let inject = format!("inject=?{call}:signal=KILL:when={when}");
        ["-o", trace.to_str().unwrap(), "-e", &format!("trace=?{call}"), "-e", &inject].map(str::to_owned).to_vec()
    }
}

/// Calls `run` at every step, until it returns for each call that nothing was killed. Returns how many steps there
/// were.
fn at_every_step(run: impl Fn(&Step) -> bool + Sync) -> usize {
    let (next, count) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(call) = CALLS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let killed = (1..).take_while(|when| run(&Step { call, when: *when })).count();
                    count.fetch_add(killed, Ordering::Relaxed);
                }
            });
        }
    });
    count.into_inner()
}

/// Returns whether the traced program was killed or ended by itself; `None` while it lives.
fn end_of(trace: &Path) -> Option<bool> {
    let text = std::fs::read_to_string(trace).unwrap_or_default();
    let ended = |how: &str| text.lines().any(|line| line.starts_with(how)).then_some(());
    ended("+++ killed by SIGKILL").map(|()| true).or(ended("+++ exited with").map(|()| false))
}

fn was_killed(trace: &Path) -> bool {
    end_of(trace).expect("strace has not seen the end of the program")
}

pub(crate) fn jobs(env: &TestEnv) -> Vec<Value> {
    let ran = env.run(["list", "--all", "--json"]);
    // No record may be torn, whatever was interrupted.
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran}");
    serde_json::from_str(&ran.stdout).unwrap()
}

pub(crate) fn is_final(job: &Value) -> bool {
    !["queued", "running", "paused"].contains(&job["status"].as_str().unwrap())
}

/// Waits until all jobs have ended, each looked at by a new process, and returns them.
fn ended(env: &TestEnv) -> Vec<Value> {
    wait_for("all jobs to end", || Some(jobs(env)).filter(|jobs| jobs.iter().all(is_final)))
}

/// How often the command has run.
pub(crate) fn runs(env: &TestEnv) -> usize {
    std::fs::read_to_string(env.dir().join("marker")).unwrap_or_default().lines().count()
}

/// Checks that the end of a job, as it is shown, agrees with its records and its traces.
fn check_end(env: &TestEnv, job: &Value, step: &Step) {
    let id = job["job_id"].as_str().unwrap();
    let records = env.records(id);
    assert!(records.has("end"), "{step:?}: an end without a record: {job}");
    let runs = runs(env);
    match (job["status"].as_str().unwrap(), job["cause"].as_str().unwrap()) {
        ("completed", "exited") => {
            assert_eq!((&job["exit_code"], runs), (&0.into(), 1), "{step:?}: {job}");
            assert_eq!(env.ok(["output", id]), "out", "{step:?}");
        }
        ("killed", "stopped") => assert!(job["stopped_by"].is_string() && runs <= 1, "{step:?}: {runs} runs of {job}"),
        ("killed", "never_started") => {
            assert!(job.get("started_at").is_none() && runs == 0, "{step:?}: {runs} runs of {job}");
        }
        ("orphaned", "supervisor_lost") => {
            assert!(job.get("exit_code").is_none() && job.get("signal").is_none(), "{step:?}: {job}");
            assert!(records.has("start"), "{step:?}: lost before it was started: {job}");
            assert!(runs <= 1, "{step:?}: {runs} runs of {job}");
            assert!("out\n".starts_with(&env.run(["output", id]).stdout), "{step:?}: invented output");
            assert_eq!(env.run(["wait", id]).code, Some(125), "{step:?}: the code is unknown: {job}");
        }
        _ => panic!("{step:?}: an end that nothing explains: {job}\n{}", env.run(["show", id])),
    }
}

fn check_goes_on(env: &TestEnv, step: &Step) {
    let ran = env.run(["run", "--follow", "echo second"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "second\n"), "{step:?}: the store is stuck: {ran}");
}

#[test]
fn a_submitter_killed_at_any_step_leaves_one_whole_job_or_none() {
    let Some(strace) = needs::program("strace") else { return };
    let steps = at_every_step(|step| {
        let env = TestEnv::new();
        let trace = env.dir().join("trace");
        let mut command = env.command(&strace);
        command.args(step.strace(&trace)).arg(JOBCLI).args(["run", "echo x >> marker; echo out"]);
        let ran = Ran::of(command);
        let killed = was_killed(&trace);
        assert_eq!(ran.code, if killed { None } else { Some(0) }, "{step:?}: {ran}");
        let jobs = ended(&env);
        // A printed id is that of a job.
        let expected = usize::from(!ran.stdout.is_empty());
        assert!((expected..=1).contains(&jobs.len()), "{step:?}: {jobs:?}");
        match jobs.first() {
            None => assert_eq!(runs(&env), 0, "{step:?}: no job, and yet it ran"),
            Some(job) => {
                // Its supervisor was not killed: the job must have ended by itself.
                assert_eq!(job["status"], "completed", "{step:?}: {job}");
                check_end(&env, job, step);
            }
        }
        check_goes_on(&env, step);
        killed
    });
    assert!(steps > 40, "only {steps} steps were found");
}

#[test]
fn a_job_whose_supervisor_is_killed_at_any_step_runs_at_most_once_and_ends_truthfully() {
    let Some(strace) = needs::program("strace") else { return };
    let steps = at_every_step(|step| {
        let env = TestEnv::new();
        let (trace, id) = submit_traced(&env, &strace, step, "echo x >> marker; echo out");
        let killed = supervisor_was_killed(&env, &trace);
        let jobs = ended(&env);
        assert_eq!(jobs.len(), 1, "{step:?}: {jobs:?}");
        assert_eq!(jobs[0]["job_id"], id.as_str(), "{step:?}");
        assert!(killed || jobs[0]["status"] == "completed", "{step:?}: {jobs:?}");
        check_end(&env, &jobs[0], step);
        check_goes_on(&env, step);
        env.wait_until_empty();
        killed
    });
    assert!(steps > 40, "only {steps} steps were found");
}

#[test]
fn a_job_whose_supervisor_is_killed_at_any_step_of_a_stop_never_ends_before_its_command() {
    let Some(strace) = needs::program("strace") else { return };
    let steps = at_every_step(|step| {
        let env = TestEnv::new();
        let _none_left = NoneLeft(&env);
        let (trace, id) = submit_traced(&env, &strace, step, "echo x >> marker; exec sleep 1000");
        wait_for("the command or the end of its supervisor", || {
            (runs(&env) > 0 || end_of(&trace).is_some()).then_some(())
        });
        // Whatever it answers, it must answer, and not claim what is not true.
        let ran = env.run(["kill", "--grace", "0s", &id]);
        assert!(!ran.stdout.contains(": killed") || commands(&env).is_empty(), "{step:?}: {ran}");
        let killed = supervisor_was_killed(&env, &trace);
        let is_settled = |job: &Value| is_final(job) || job["supervised"] == false;
        let job = wait_for("the job to end or lose its supervisor", || {
            let jobs = jobs(&env);
            assert_eq!(jobs.len(), 1, "{step:?}: {jobs:?}");
            if jobs[0]["status"] == "running" && jobs[0].get("supervised").is_none() {
                // The job had not been started, and a look has started it now.
                env.run(["kill", "--grace", "0s", &id]);
            }
            jobs.into_iter().next().filter(is_settled)
        });
        if is_final(&job) {
            assert_eq!(commands(&env), Vec::<String>::new(), "{step:?}: it lives, and is reported as {job}");
            assert!(killed || job["status"] == "killed", "{step:?}: {job}");
        } else {
            let pid = job["pid"]
                .as_i64()
                .unwrap_or_else(|| panic!("{step:?}: no process on record: {job}"))
                .try_into()
                .unwrap();
            assert!(killed && is_alive(pid), "{step:?}: {job}");
            assert!(job.get("exit_code").is_none() && job.get("ended_at").is_none(), "{step:?}: {job}");
            send(pid, Signal::SIGKILL);
        }
        check_end(&env, &ended(&env)[0], step);
        check_goes_on(&env, step);
        env.wait_until_empty();
        killed
    });
    assert!(steps > 40, "only {steps} steps were found");
}

#[test]
fn a_job_whose_remover_is_killed_at_any_step_is_whole_or_gone() {
    let Some(strace) = needs::program("strace") else { return };
    at_every_step(|step| {
        let env = TestEnv::new();
        let id = env.submit("echo x >> marker; echo out");
        ended(&env);
        env.wait_until_empty();
        let trace = env.dir().join("trace");
        let mut command = env.command(&strace);
        command.args(step.strace(&trace)).arg(JOBCLI).args(["rm", &id]);
        Ran::of(command);
        let killed = was_killed(&trace);
        let jobs = jobs(&env);
        assert!(jobs.len() <= usize::from(killed), "{step:?}: {jobs:?}");
        if let [job] = jobs.as_slice() {
            check_end(&env, job, step);
            env.ok(["rm", &id]);
        }
        assert_eq!(env.run(["status", &id]).code, Some(3), "{step:?}");
        check_goes_on(&env, step);
        killed
    });
}

/// The errors that each call may fail with, at the worst of disk and system.
const ERRORS: [(&str, &[&str]); 3] = [
    (
        "EIO",
        &[
            "openat",
            "getdents64",
            "statx",
            "newfstatat",
            "fcntl",
            "read",
            "pread64",
            "pwrite64",
            "mkdir",
            "rename",
            "renameat",
            "unlink",
        ],
    ),
    ("ENOSPC", &["openat", "mkdir", "mkdirat", "pwrite64", "rename", "renameat"]),
    (
        "EMFILE",
        &["openat", "socketpair", "epoll_create1", "eventfd2", "pidfd_open", "vfork", "clone", "clone3", "getrandom"],
    ),
];

/// A submission that was refused with "nothing was started" used to run later, because it was on record already when
/// the call failed. And one that was accepted never ran, because the queue forgot it when it could not be read.
#[test]
fn the_answer_of_a_submitter_is_true_whichever_call_fails() {
    let Some(strace) = needs::program("strace") else { return };
    let kinds: Vec<_> =
        ERRORS.iter().flat_map(|(error, calls)| calls.iter().map(move |call| (*error, *call))).collect();
    let (next, count) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some((error, call)) = kinds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let failed = (1..).take_while(|when| check_failing_submission(&strace, error, call, *when)).count();
                    count.fetch_add(failed, Ordering::Relaxed);
                }
            });
        }
    });
    let count = count.into_inner();
    // A submission makes about this many calls of these kinds: 97 when this was counted.
    assert!(count > 90, "too few calls were found: {count}");
}

/// Submits while one call fails, and checks the answer. Returns whether there was such a call.
fn check_failing_submission(strace: &Path, error: &str, call: &str, when: u32) -> bool {
    let env = TestEnv::new();
    // Something to read and to list: another job, ended, and a group.
    env.ok(["run", "--wait", "true"]);
    let trace = env.dir().join("trace");
    let inject = format!("inject=?{call}:error={error}:when={when}");
    let mut command = env.command(strace);
    let traced = format!("trace=?{call}");
    command.args(["-o", trace.to_str().unwrap(), "-e", &traced, "-e", &inject, JOBCLI]);
    let ran = Ran::of({
        command.args(["run", "echo x >> marker; echo out"]);
        command
    });
    let what = format!("{error} at {call} {when}: {ran}");
    let was_injected = std::fs::read_to_string(&trace).unwrap().contains("(INJECTED)");
    let submitted: Vec<Value> = ended(&env).into_iter().filter(|job| job["command"] != "true").collect();
    match (ran.stdout.trim_end(), ran.code) {
        ("", Some(0)) => panic!("it printed nothing: {what}"),
        ("", _) => {
            assert_eq!(runs(&env), 0, "it was refused, but ran: {what}");
            assert!(submitted.iter().all(|job| job["cause"] == "never_started"), "{what}{submitted:?}");
        }
        (id, _) => {
            assert!(submitted.len() == 1 && submitted[0]["job_id"] == id, "{what}{submitted:?}");
            assert_eq!((&submitted[0]["status"], runs(&env)), (&"completed".into(), 1), "{what}{submitted:?}");
        }
    }
    env.wait_until_empty();
    assert_eq!(env.queued_and_running(), 0, "{what}");
    was_injected
}

/// Secrets in the environment of a job used to stay if the environment could not be erased.
#[test]
fn an_environment_that_cannot_be_erased_is_erased_later() {
    let Some(strace) = needs::program("strace") else { return };
    let env = TestEnv::new();
    let trace = env.dir().join("trace");
    let text = format!(
        "#!/bin/sh\nexec {} -o {} -e trace=ftruncate -e inject=ftruncate:error=EROFS {JOBCLI} \"$@\"\n",
        strace.display(),
        trace.display(),
    );
    let supervisor = script(&env.dir().join("supervisor"), &text);
    let mut command: Command = env.command(env!("CARGO_BIN_EXE_submit-with"));
    command.env("SECRET", "hunter2").arg(env.store()).arg(supervisor).args(["1", "true"]);
    let id = Ran::of(command).ok();
    supervisor_was_killed(&env, &trace);
    assert!(std::fs::read_to_string(&trace).unwrap().contains("(INJECTED)"));
    // Its row stays, so that the environment is found later.
    let records = env.records(&id);
    assert!(records.has("end") && records.environment().is_some());
    assert_eq!(env.queued_and_running(), 1);
    assert_eq!(env.status(&id), "completed");
    // It takes no slot.
    env.ok(["config", "set", "max_running", "1"]);
    env.ok(["run", "--wait", "true"]);
    env.wait_until_empty();
    assert_eq!((records.environment(), env.queued_and_running()), (None, 0));
}

/// The remains of killed processes are small, but must not stay for ever.
#[test]
fn old_remains_of_dead_submitters_and_removers_are_cleared_away() {
    let env = TestEnv::new();
    env.ok(["run", "--wait", "true"]);
    let id = "01a1fdbc-1c9c-728b-8d5e-f8c40c2a6702";
    let make = |name: String, is_directory: bool| {
        let path = env.store().join(name);
        match is_directory {
            true => std::fs::create_dir(&path).unwrap(),
            false => std::fs::write(&path, "").unwrap(),
        }
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        std::fs::File::open(&path).unwrap().set_modified(long_ago).unwrap();
        path
    };
    let left = [
        make(format!("staging/{id}"), true),
        make(format!("trash/{id}"), true),
        make(format!("names/.web.staged.{id}"), false),
        make(".format.staged.4194303".to_owned(), false),
    ];
    // A process that ends a job checks for them if none has for a while.
    std::fs::remove_file(env.store().join("swept")).unwrap();
    env.ok(["run", "--wait", "true"]);
    env.wait_until_empty();
    let still_there: Vec<&PathBuf> = left.iter().filter(|path| path.exists()).collect();
    assert!(still_there.is_empty(), "{still_there:?}");
}

/// Submits a job whose supervisor is killed at that step. Returns the path of the trace, and the id.
fn submit_traced(env: &TestEnv, strace: &Path, step: &Step, line: &str) -> (PathBuf, String) {
    let trace = env.dir().join("trace");
    // Traced without its children, one of which is the command.
    let options = step.strace(&trace).join(" ");
    // It is first asked whether it is a supervisor, and must not be killed then.
    let is_asked = format!("[ \"$3\" = probe ] && exec {JOBCLI} \"$@\"");
    let text = format!("#!/bin/sh\n{is_asked}\nexec {} {options} {JOBCLI} \"$@\"\n", strace.display());
    let supervisor = script(&env.dir().join("supervisor"), &text);
    let mut command: Command = env.command(env!("CARGO_BIN_EXE_submit-with"));
    command.arg(env.store()).arg(supervisor).args(["1", line]);
    let ran = Ran::of(command);
    assert_eq!(ran.code, Some(0), "{step:?}: {ran}");
    (trace, ran.stdout.trim_end().to_owned())
}

/// Waits until the first supervisor is gone, and strace too, which also holds the lock. Returns whether it was killed.
fn supervisor_was_killed(env: &TestEnv, trace: &Path) -> bool {
    let killed = wait_for("the end of the supervisor", || end_of(trace));
    wait_for("the end of strace", || {
        let processes = env.processes();
        (!processes.iter().any(|line| line.contains("__jobcore-supervisor"))).then_some(())
    });
    killed
}

/// Kills what a failed test leaves behind, which no stop of a job may reach any more.
pub(crate) struct NoneLeft<'e>(pub(crate) &'e TestEnv);

impl Drop for NoneLeft<'_> {
    fn drop(&mut self) {
        for line in commands(self.0) {
            let pid = line.split(' ').next().and_then(|pid| pid.parse().ok());
            let _ = pid.map(|pid| nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL));
        }
    }
}

/// The commands of jobs that are alive.
pub(crate) fn commands(env: &TestEnv) -> Vec<String> {
    env.processes().into_iter().filter(|line| line.contains("sleep 1000")).collect()
}
