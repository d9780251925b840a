//! A failure of each system call: what a full or broken disk, too many open files and a lack of memory do to each step.
//!
//! A scene is run once to see which system calls it makes, and then once for each call and each error, which strace
//! returns in place of the call. Whatever fails, the answer is true, nothing is run twice or after a refusal, nothing
//! hangs, and the store goes on working. The ordinary suite takes a sample of the points; `.ci/campaign` takes them
//! all.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::background::{touch, until};
use crate::crash::{NoneLeft, commands, is_final, jobs, runs};
use crate::needs;
use crate::support::{JOBCLI, Ran, TestEnv, is_alive, script, send, wait_for};

/// The errors that calls fail with.
const ERRORS: [&str; 4] = ["EIO", "ENOSPC", "EMFILE", "ENOMEM"];
/// How many points are tried in parallel: most of the time is spent waiting.
const THREADS: usize = 4;
/// How many points of a scene the ordinary suite takes.
const SAMPLE: usize = 12;
/// How many calls of one name are failed at most: a program makes more of them only in a loop.
const MOST: usize = 80;
/// Set by `.ci/campaign` to take all points.
const ALL: &str = "JOBCORE_CAMPAIGN";
/// The number of seconds after which a program that does not answer counts as hanging: longer than any wait of its own.
const BOUND: &str = "60";
/// Calls that cannot fail in such a way, and those whose failure strace cannot simulate: it suppresses the call, and
/// `close` closes even if it fails.
const NEVER_FAIL: [&str; 12] = [
    "close",
    "execve",
    "exit",
    "exit_group",
    "geteuid",
    "getpid",
    "gettid",
    "munmap",
    "restart_syscall",
    "rt_sigprocmask",
    "rt_sigreturn",
    "wait4",
];
/// Calls of the allocator, of the start of libc and the standard library, and of the runtime: a failure may make these
/// end the program, which is a death like one by a signal.
const MAY_END_THE_PROGRAM: [&str; 23] = [
    "arch_prctl",
    "brk",
    "clone3",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "eventfd2",
    "futex",
    "getrandom",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "poll",
    "prctl",
    "prlimit64",
    "rseq",
    "rt_sigaction",
    "sched_getaffinity",
    "set_robust_list",
    "set_tid_address",
    "sigaltstack",
    "socketpair",
];

/// The line of a job that ends by itself: it leaves a trace of each run.
const LINE: &str = "echo x >> marker; echo out";
/// The line of a job that has to be stopped.
const HELD: &str = "echo x >> marker; exec sleep 1000";

/// One failure: the `when`-th call of this name in each thread fails with this error.
#[derive(Debug, Clone)]
struct Fault {
    call: String,
    error: &'static str,
    when: usize,
}

/// How a program is traced: to record its calls, or to let one of them fail.
#[derive(Debug)]
struct Tracer {
    strace: PathBuf,
    fault: Option<Fault>,
}

impl Tracer {
    /// The words before the program.
    fn words(&self, env: &TestEnv) -> Vec<String> {
        let (strace, trace) = (self.strace.to_str().unwrap(), Self::trace(env));
        let mut words: Vec<String> = [strace, "-o", trace.to_str().unwrap()].map(str::to_owned).into();
        if let Some(Fault { call, error, when }) = &self.fault {
            words.extend(["-e".to_owned(), format!("trace=?{call}")]);
            words.extend(["-e".to_owned(), format!("inject=?{call}:error={error}:when={when}")]);
        }
        words
    }

    fn trace(env: &TestEnv) -> PathBuf {
        env.dir().join("trace")
    }

    /// Returns whether a traced supervisor has ended, in whatever way.
    fn has_ended(env: &TestEnv) -> bool {
        let text = fs::read_to_string(Self::trace(env)).unwrap_or_default();
        text.lines().any(|line| line.starts_with("+++ "))
    }

    /// Runs jobcli under the tracer, with a time limit.
    fn jobcli<S: AsRef<OsStr>>(&self, env: &TestEnv, arguments: impl IntoIterator<Item = S>) -> Ran {
        let mut command = env.command("timeout");
        command.args(["-k", "5", BOUND]).args(self.words(env));
        // It is followed into its threads, and into a child up to the child's `execve`.
        command.args(["-f", "-b", "execve", JOBCLI]).args(arguments);
        self.check(Ran::of(command))
    }

    /// Checks that a program ended, and that it did not crash unless the fault may end it.
    fn check(&self, ran: Ran) -> Ran {
        assert_ne!(ran.code, Some(124), "it hangs: {ran}");
        let may_die = self.fault.as_ref().is_some_and(|fault| MAY_END_THE_PROGRAM.contains(&fault.call.as_str()));
        // The runtime wakes itself up by a `write` and panics if that fails.
        let is_woken = !ran.stderr.contains("failed to wake I/O driver");
        assert!(may_die || !is_woken || !has_died(&ran), "it crashes: {ran}");
        ran
    }

    /// Submits jobs whose supervisors are traced.
    fn submit_supervised(&self, env: &TestEnv, count: &str, words: &[&str]) -> Ran {
        let text = format!("#!/bin/sh\nexec {} {JOBCLI} \"$@\"\n", self.words(env).join(" "));
        let supervisor = script(&env.dir().join("supervisor"), &text);
        let mut command = env.command("timeout");
        command.args(["-k", "5", BOUND, env!("CARGO_BIN_EXE_submit-with")]);
        command.arg(env.store()).arg(supervisor).arg(count).args(words);
        let ran = Ran::of(command);
        assert!(ran.code != Some(124) && !has_died(&ran), "{ran}");
        ran
    }

    /// The calls of a program that was traced without a fault, and the highest number of each that a single thread
    /// made.
    fn calls(env: &TestEnv) -> BTreeMap<String, usize> {
        let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
        for line in fs::read_to_string(Self::trace(env)).unwrap().lines() {
            // If threads are followed, the id of the thread precedes its call.
            let call = line.trim_start_matches(|c: char| c.is_ascii_digit());
            let thread = &line[..line.len() - call.len()];
            if let Some((call, _)) = call.trim_start().split_once('(')
                && call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            {
                *counts.entry((call.to_owned(), thread.to_owned())).or_default() += 1;
            }
        }
        let mut most = BTreeMap::new();
        for ((call, _), count) in counts.into_iter().filter(|((call, _), _)| !NEVER_FAIL.contains(&call.as_str())) {
            let of_call: &mut usize = most.entry(call).or_default();
            *of_call = count.max(*of_call);
        }
        most
    }
}

fn has_died(ran: &Ran) -> bool {
    ran.code.is_none_or(|code| code >= 128 && code != 143) || ran.stderr.contains("panicked at")
}

/// Returns a sample that is always the same and spread evenly, or all points.
fn choose(points: Vec<Fault>) -> Vec<Fault> {
    if std::env::var_os(ALL).is_some() {
        return points;
    }
    let step = (points.len() / SAMPLE).max(1);
    // Neighbours differ in the error: a step that is not a multiple of the number of errors covers each of them.
    let step = step + usize::from(step.is_multiple_of(ERRORS.len()));
    points.into_iter().step_by(step).collect()
}

/// Runs a scene with one call failing after the other. Wrong results are collected and reported at the end.
fn at_every_call(name: &str, scene: impl Fn(&TestEnv, &Tracer) + Sync) {
    let (Some(strace), Some(_)) = (needs::program("strace"), needs::program("timeout")) else { return };
    let env = TestEnv::new();
    scene(&env, &Tracer { strace: strace.clone(), fault: None });
    let calls = Tracer::calls(&env);
    let total: usize = calls.values().sum();
    assert!(total > 50, "{name}: only {total} calls were seen: {calls:?}");
    let errors = |call: &str, when| ERRORS.map(|error| Fault { call: call.to_owned(), error, when });
    let points = calls.iter().flat_map(|(call, count)| (1..=MOST.min(*count)).flat_map(|when| errors(call, when)));
    let points = choose(points.collect());
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(fault) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let tracer = Tracer { strace: strace.clone(), fault: Some(fault.clone()) };
                    let run = || scene(&TestEnv::new(), &tracer);
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
                        let what = panic.downcast_ref::<String>().cloned();
                        let what = what.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                        wrong.lock().unwrap().push(format!("{fault:?}: {}", what.unwrap_or_default()));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    let (tried, found) = (points.len(), wrong.len());
    let _ =
        writeln!(std::io::stdout(), "{name}: {tried} failures of {total} calls, {found} of them with a wrong result");
    assert!(wrong.is_empty(), "{name}: {} of {}:\n{}", wrong.len(), points.len(), wrong.join("\n\n"));
}

/// Runs jobcli without a fault, with a time limit.
fn plain<S: AsRef<OsStr>>(env: &TestEnv, arguments: impl IntoIterator<Item = S>) -> Ran {
    let mut command = env.command("timeout");
    command.args(["-k", "5", BOUND, JOBCLI]).args(arguments);
    let ran = Ran::of(command);
    assert!(ran.code != Some(124) && !has_died(&ran), "{ran}");
    ran
}

/// Checks that another job runs, which also starts due jobs, and returns all others once they have ended.
fn the_store_goes_on(env: &TestEnv) -> Vec<Value> {
    let ran = plain(env, ["run", "--follow", "--name", "second", "echo second"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "second\n"), "the store is stuck: {ran}");
    let ended = || Some(jobs(env)).filter(|jobs| jobs.iter().all(is_final));
    let mut all = wait_for(&format!("all jobs to end: {:?}", jobs(env)), ended);
    all.retain(|job| job["name"] != "second");
    all
}

/// Checks that the events explain the end of a job.
fn check_end(env: &TestEnv, job: &Value) {
    let id = job["job_id"].as_str().unwrap();
    let (runs, alive) = (runs(env), commands(env));
    assert!(runs <= 1, "it was run {runs} times: {job}");
    assert!(alive.is_empty(), "it is alive: {alive:?}: {job}");
    let records = env.records(id);
    assert!(records.has("end"), "an end without a record: {job}");
    match (job["status"].as_str().unwrap(), job["cause"].as_str().unwrap()) {
        ("completed", "exited") => {
            assert_eq!((&job["exit_code"], runs), (&0.into(), 1), "{job}");
            let kept = env.run(["output", id]).stdout.len() as u64;
            let dropped = job["dropped_bytes"].as_u64().unwrap_or(0);
            assert_eq!(kept + dropped, 4, "output is missing and not reported as dropped: {job}");
        }
        ("failed", "spawn_failed") => assert!(runs == 0 && job["message"].is_string(), "{runs} runs of {job}"),
        ("killed", "stopped") => assert!(job["stopped_by"].is_string(), "{job}"),
        ("killed", "never_started") => assert_eq!(runs, 0, "{job}"),
        ("timed_out", "timed_out") => assert!(job.get("stopped_by").is_none(), "{job}"),
        ("orphaned", "supervisor_lost") => {
            assert!(job.get("exit_code").is_none() && job.get("signal").is_none(), "{job}");
            assert!(records.has("start"), "lost before it was started: {job}");
        }
        _ => panic!("an end that nothing explains: {job}\n{}", env.run(["show", id])),
    }
}

/// Returns the id that a submission printed as its answer, on either stream.
fn answered(ran: &Ran) -> Option<String> {
    let is_id = |word: &&str| word.len() == 36 && word.matches('-').count() == 4;
    ran.stdout.split_whitespace().chain(ran.stderr.split_whitespace()).find(is_id).map(str::to_owned)
}

/// Checks that the answer of a submission is true, now and later.
fn check_submitted(env: &TestEnv, ran: &Ran) {
    let answer = answered(ran);
    let others = the_store_goes_on(env);
    match &answer {
        Some(id) => {
            let [job] = others.as_slice() else { panic!("{id} was printed, and there are {others:?}") };
            assert_eq!(job["job_id"], id.as_str(), "{ran}");
            check_end(env, job);
        }
        None if has_died(ran) => {
            assert!(others.len() <= 1, "{others:?}");
            others.iter().for_each(|job| check_end(env, job));
            assert!(runs(env) <= others.len(), "it ran, but nothing is on record: {ran}");
        }
        None => {
            assert_ne!(ran.code, Some(0), "neither an id nor an error: {ran}");
            assert_eq!((others.len(), runs(env)), (0, 0), "refused, but on record: {others:?}: {ran}");
        }
    }
    env.wait_until_empty();
}

/// Waits until the first supervisor has ended, and its strace too, which also holds the lock.
fn until_supervisor_is_gone(env: &TestEnv) {
    wait_for("the end of the supervisor", || Tracer::has_ended(env).then_some(()));
    wait_for("the end of strace", || {
        let is_traced = |line: &String| line.contains("__jobcore-supervisor") && line.contains("strace");
        (!env.processes().iter().any(is_traced)).then_some(())
    });
}

/// Stops the job for good, with or without its supervisor, and returns it once it has ended.
fn put_down(env: &TestEnv, id: &str) -> Value {
    wait_for("the job to end", || {
        let job = env.job(id);
        if is_final(&job) {
            return Some(job);
        }
        let ran = plain(env, ["kill", "--grace", "0s", id]);
        if ran.code == Some(4)
            && let Some(pid) = env.job(id)["pid"].as_i64().map(|pid| i32::try_from(pid).unwrap())
        {
            // There is no supervisor that could be asked.
            assert!(is_alive(pid), "{job}");
            send(pid, Signal::SIGKILL);
        }
        None
    })
}

/// Submits a job and returns its id once the job runs.
fn running(env: &TestEnv) -> String {
    let id = env.submit(HELD);
    wait_for("the command", || (runs(env) > 0 && !commands(env).is_empty()).then_some(()));
    id
}

#[test]
fn a_call_that_fails_in_a_submit_makes_no_answer_untrue() {
    at_every_call("submit", |env, tracer| {
        let ran = tracer.jobcli(env, ["run", LINE]);
        check_submitted(env, &ran);
    });
}

#[test]
fn a_call_that_fails_in_a_supervisor_makes_no_end_untrue() {
    at_every_call("supervisor", |env, tracer| {
        let ran = tracer.submit_supervised(env, "1", &[LINE]);
        if answered(&ran).is_some() {
            until_supervisor_is_gone(env);
        }
        check_submitted(env, &ran);
    });
}

#[test]
fn a_call_that_fails_in_a_stopping_supervisor_reports_no_end_of_a_living_job() {
    at_every_call("stopping supervisor", |env, tracer| {
        let _none_left = NoneLeft(env);
        let ran = tracer.submit_supervised(env, "1", &[HELD]);
        if let Some(id) = answered(&ran) {
            let is_up = || (runs(env) > 0 || Tracer::has_ended(env)).then_some(());
            wait_for("the command or the end of its supervisor", is_up);
            let stopped = plain(env, ["kill", "--grace", "0s", &id]);
            assert!(!stopped.stdout.contains(": killed") || commands(env).is_empty(), "{stopped}");
            check_end(env, &put_down(env, &id));
        }
        check_submitted(env, &ran);
    });
}

#[test]
fn a_call_that_fails_in_a_supervisor_keeps_no_job_beyond_its_time() {
    at_every_call("timeout", |env, tracer| {
        let _none_left = NoneLeft(env);
        let ran = tracer.submit_supervised(env, "1", &["timeout=300", HELD]);
        if answered(&ran).is_some() {
            until_supervisor_is_gone(env);
        }
        check_submitted(env, &ran);
    });
}

/// Two jobs with one slot: the supervisor of the first starts the second.
#[test]
fn a_call_that_fails_in_a_supervisor_keeps_no_other_job_waiting() {
    at_every_call("successor", |env, tracer| {
        env.ok(["config", "set", "max_running", "1"]);
        let first = format!("{}; echo first", until("go"));
        let ran = tracer.submit_supervised(env, "1", &[&first]);
        let Some(first) = answered(&ran) else { return check_submitted(env, &ran) };
        let ran = plain(env, ["run", LINE]);
        let second = answered(&ran).unwrap_or_else(|| panic!("{ran}"));
        touch(env, "go");
        until_supervisor_is_gone(env);
        let jobs = the_store_goes_on(env);
        assert_eq!(jobs.len(), 2, "{jobs:?}");
        let first = jobs.iter().find(|job| job["job_id"] == first.as_str()).unwrap();
        assert!(["completed", "orphaned", "failed"].contains(&first["status"].as_str().unwrap()), "{first}");
        let second = jobs.iter().find(|job| job["job_id"] == second.as_str()).unwrap();
        // No call failed in its own supervisor.
        assert_eq!((&second["status"], runs(env)), (&"completed".into(), 1), "{second}");
        env.wait_until_empty();
    });
}

#[test]
fn a_call_that_fails_in_an_adoption_makes_no_end_untrue() {
    at_every_call("adopting supervisor", |env, tracer| {
        let id = env.submit(&format!("echo x >> marker; {}; echo out", until("go")));
        env.main_process(&id);
        wait_for("the command", || (runs(env) > 0).then_some(()));
        send(env.supervisor(&id), Signal::SIGKILL);
        // The look adopts it.
        let ran = tracer.submit_supervised(env, "0", &["true"]);
        let job = env.job(&id);
        assert_eq!(job["status"], "running", "it lives: {job}: {ran}");
        touch(env, "go");
        let jobs = the_store_goes_on(env);
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        check_end(env, &jobs[0]);
        assert_eq!(runs(env), 1, "{jobs:?}");
        env.wait_until_empty();
    });
}

#[test]
fn a_call_that_fails_in_a_look_at_a_job_without_a_supervisor_ends_no_job() {
    at_every_call("adopting look", |env, tracer| {
        let _none_left = NoneLeft(env);
        let id = running(env);
        env.main_process(&id);
        send(env.supervisor(&id), Signal::SIGKILL);
        let ran = tracer.jobcli(env, ["status", &id]);
        assert!(ran.code != Some(0) || ran.stdout == "running\n", "it lives: {ran}");
        let job = env.job(&id);
        assert_eq!((&job["status"], commands(env).len()), (&"running".into(), 1), "it lives: {job}");
        check_end(env, &put_down(env, &id));
        the_store_goes_on(env);
        env.wait_until_empty();
    });
}

#[test]
fn a_call_that_fails_in_a_stop_makes_no_answer_untrue() {
    at_every_call("stop", |env, tracer| {
        let _none_left = NoneLeft(env);
        let id = running(env);
        let ran = tracer.jobcli(env, ["kill", "--grace", "0s", &id]);
        if ran.stdout.contains(": killed") || ran.code == Some(0) {
            assert_eq!((env.status(&id).as_str(), commands(env).len()), ("killed", 0), "{ran}");
        }
        let job = put_down(env, &id);
        assert_eq!(job["status"], "killed", "{job}: {ran}");
        check_end(env, &job);
        the_store_goes_on(env);
        env.wait_until_empty();
    });
}

#[test]
fn a_call_that_fails_in_a_removal_leaves_the_job_whole_or_gone() {
    at_every_call("rm", |env, tracer| {
        let (id, other) = (env.submit(LINE), env.submit("echo other"));
        env.ok(["wait", &id, &other]);
        env.wait_until_empty();
        let ran = tracer.jobcli(env, ["rm", &id]);
        check_removed(env, &id, ran.code == Some(0));
        assert_eq!(env.ok(["output", &other]), "other");
        let others = the_store_goes_on(env);
        assert_eq!(others.len(), 1, "{others:?}");
    });
}

/// Checks that a job is gone if that was reported, and otherwise either whole or gone.
fn check_removed(env: &TestEnv, id: &str, was_said: bool) {
    let there = jobs(env).into_iter().find(|job| job["job_id"] == id);
    if let Some(job) = there {
        assert!(!was_said, "it is there: {job}");
        check_end(env, &job);
        env.ok(["rm", id]);
    }
    assert_eq!(env.run(["status", id]).code, Some(3));
    assert!(!env.job_dir(id).exists());
}

#[test]
fn a_call_that_fails_in_a_prune_leaves_each_job_whole_or_gone() {
    at_every_call("prune", |env, tracer| {
        let _none_left = NoneLeft(env);
        let (id, other) = (env.submit(LINE), env.submit("echo other"));
        env.ok(["wait", &id, &other]);
        let living = env.submit("exec sleep 1000");
        env.main_process(&living);
        let ran = tracer.jobcli(env, ["prune", "--keep", "0"]);
        assert_eq!(env.status(&living), "running", "{ran}");
        env.ok(["kill", "--grace", "0s", &living]);
        check_removed(env, &id, ran.code == Some(0));
        if jobs(env).iter().any(|job| job["job_id"] == other.as_str()) {
            assert_ne!(ran.code, Some(0), "it is there: {ran}");
            assert_eq!(env.ok(["output", &other]), "other");
        }
        the_store_goes_on(env);
        env.wait_until_empty();
    });
}

/// What is seen as a fault must be what was injected: a tracer that fails nothing would prove nothing.
#[test]
fn a_fault_is_really_made() {
    let Some(strace) = needs::program("strace") else { return };
    let env = TestEnv::new();
    let fault = Fault { call: "openat".to_owned(), error: "EMFILE", when: 1 };
    let tracer = Tracer { strace, fault: Some(fault) };
    tracer.jobcli(&env, ["list"]);
    let trace = fs::read_to_string(Path::new(&Tracer::trace(&env))).unwrap();
    assert_eq!(trace.matches("(INJECTED)").count(), 1, "{trace}");
}
