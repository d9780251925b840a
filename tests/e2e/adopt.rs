//! Commands that outlive their supervisors get new ones.

use nix::sys::signal::Signal;

use crate::background::Background;
use crate::support::{Ran, TestEnv, is_alive, send, wait_for};

/// Kills the supervisor of a job and waits until it is gone, without looking at the job in the meantime.
fn kill_supervisor(env: &TestEnv, id: &str) -> i32 {
    let supervisor = env.supervisor(id);
    send(supervisor, Signal::SIGKILL);
    wait_for("the supervisor to be dead", || (!is_alive(supervisor)).then_some(()));
    supervisor
}

/// Counts the processes that supervise a job, according to `/proc` alone.
fn supervisors(env: &TestEnv, id: &str) -> usize {
    let named = |line: &&String| line.contains("jobcore-supervisor") && line.contains(id);
    env.processes().iter().filter(named).count()
}

/// Waits until another supervisor has put itself on record, without a look that would bring one about.
fn until_replaced(env: &TestEnv, id: &str, before: i32) {
    wait_for("another supervisor", || (env.supervisor(id) != before).then_some(()));
    assert_eq!(supervisors(env, id), 1);
}

fn touch(env: &TestEnv, name: &str) {
    std::fs::write(env.dir().join(name), "").unwrap();
}

#[test]
fn an_adopted_job_continues_and_its_exit_code_is_recorded() {
    let env = TestEnv::new();
    let line = "echo one; while [ ! -e go ]; do sleep 0.02; done; echo two; echo bad >&2; exit 42";
    let id = env.submit(line);
    wait_for("the first line", || (env.ok(["output", &id]) == "one").then_some(()));
    let (main, before) = (env.main_process(&id), kill_supervisor(&env, &id));
    // The first process to look puts a new supervisor in charge.
    assert_eq!(env.status(&id), "running");
    wait_for("another supervisor", || (env.supervisor(&id) != before).then_some(()));
    let job = env.job(&id);
    assert_eq!((&job["status"], &job["pid"]), (&"running".into(), &main.into()), "{job}");
    assert!(job.get("supervised").is_none(), "{job}");
    touch(&env, "go");
    let waited = env.run(["wait", &id]);
    let job = env.job(&id);
    if waited.code == Some(125) {
        // Kernels before 6.15 do not report the exit code to a process that is not the parent.
        assert_eq!((&job["status"], &job["cause"]), (&"orphaned".into(), &"supervisor_lost".into()), "{job}");
        assert!(job.get("exit_code").is_none(), "{job}");
    } else {
        assert_eq!(waited.code, Some(42), "{waited}");
        assert_eq!((&job["status"], &job["cause"]), (&"failed".into(), &"exited".into()), "{job}");
    }
    assert_eq!(env.ok(["output", "--stdout", &id]), "one\ntwo");
    assert_eq!(env.ok(["output", "--stderr", &id]), "bad");
}

/// The command writes all the time while supervisors are killed one after the other: nothing is lost or duplicated, and
/// no write fails for want of a reader.
#[test]
fn output_has_no_gap_across_many_adoptions() {
    let env = TestEnv::new();
    let program = "i=0; while [ ! -e stop ]; do i=$((i+1)); echo line $i || exit 9; done; echo $i > count";
    let id = env.ok(["run", "--output-limit", "0", program]);
    for _ in 0..10 {
        let written = env.job(&id)["output_bytes"].as_u64().unwrap();
        wait_for("more output", || (env.job(&id)["output_bytes"].as_u64().unwrap() > written + 1000).then_some(()));
        let before = kill_supervisor(&env, &id);
        env.ok(["status", &id]);
        wait_for("another supervisor", || (env.supervisor(&id) != before).then_some(()));
    }
    touch(&env, "stop");
    let waited = env.run(["wait", &id]);
    assert!(matches!(waited.code, Some(0 | 125)), "{waited}");
    let count: u64 = std::fs::read_to_string(env.dir().join("count")).unwrap().trim().parse().unwrap();
    let output = env.ok(["output", &id]);
    let expected: Vec<_> = (1..=count).map(|number| format!("line {number}")).collect();
    assert!(output == expected.join("\n"), "{} lines of {count}", output.lines().count());
}

#[test]
fn a_kill_of_an_adopted_job_reaches_every_visible_process() {
    let env = TestEnv::new();
    let line = "trap '' TERM; (setsid sh -c 'trap \"\" TERM; echo $$ > escaped.new; mv escaped.new escaped; exec sleep 1000' &); \
                sleep 1000 & wait; sleep 1000";
    let id = env.submit(line);
    wait_for("the escaped child", || env.dir().join("escaped").exists().then_some(()));
    let escaped: i32 = std::fs::read_to_string(env.dir().join("escaped")).unwrap().trim().parse().unwrap();
    let main = env.main_process(&id);
    kill_supervisor(&env, &id);
    let ran = env.run(["kill", "--grace", "100ms", &id]);
    assert!(ran.stdout.ends_with(": killed\n"), "{ran}");
    assert!(!is_alive(main) && !is_alive(escaped));
    let job = env.job(&id);
    assert_eq!((&job["status"], &job["cause"]), (&"killed".into(), &"stopped".into()), "{job}");
    assert!(
        job["message"].as_str().unwrap().contains("only processes that visibly belonged to it were stopped"),
        "{job}"
    );
    env.wait_until_empty();
}

/// Kills the main process of a job and its supervisor, which must not notice, and then looks at the job from a place
/// where no other supervisor can be put in charge: the job has not ended while one of its processes lives.
fn lose_main_and_supervisor(env: &TestEnv, id: &str) {
    let (main, supervisor) = (env.main_process(id), env.supervisor(id));
    send(supervisor, Signal::SIGSTOP);
    send(main, Signal::SIGKILL);
    send(supervisor, Signal::SIGKILL);
    wait_for("both to be dead", || (!is_alive(main) && !is_alive(supervisor)).then_some(()));
    let Some(setpriv) = crate::needs::program("setpriv") else { return };
    let mut sandboxed = env.command(setpriv);
    sandboxed.args(["--no-new-privs", crate::support::JOBCLI, "show", "--json", id]);
    let job: serde_json::Value = serde_json::from_str(&Ran::of(sandboxed).ok()).unwrap();
    assert_eq!((&job["status"], &job["supervised"]), (&"running".into(), &false.into()), "{job}");
    assert!(job.get("pid").is_none(), "{job}");
    assert!(!env.records(id).has("end"));
}

/// Submits a job with a process that outlives its main process, and returns both.
fn with_straggler(env: &TestEnv, options: &[&str]) -> (String, i32) {
    let line = "(setsid sh -c 'trap \"\" TERM; echo $$ > straggler.new; mv straggler.new straggler; exec sleep 1000' &); \
                exec sleep 1000";
    let id = env.ok(["run", "--grace", "200ms"].iter().chain(options).chain(&[line]));
    let straggler = wait_for("the straggler", || std::fs::read_to_string(env.dir().join("straggler")).ok());
    (id, straggler.trim().parse().unwrap())
}

#[test]
fn stragglers_of_a_job_whose_main_process_died_unseen_are_stopped() {
    let env = TestEnv::new();
    let (id, straggler) = with_straggler(&env, &[]);
    lose_main_and_supervisor(&env, &id);
    assert_eq!(env.run(["wait", "--timeout", "60s", &id]).code, Some(125));
    assert!(!is_alive(straggler));
    let job = env.job(&id);
    assert_eq!((&job["status"], &job["cause"]), (&"orphaned".into(), &"supervisor_lost".into()), "{job}");
    assert_eq!((&job["stragglers"], job.get("exit_code")), (&1.into(), None), "{job}");
}

#[test]
fn stragglers_of_a_job_whose_main_process_died_unseen_are_kept_on_request() {
    let env = TestEnv::new();
    let (id, straggler) = with_straggler(&env, &["--leave-stragglers"]);
    lose_main_and_supervisor(&env, &id);
    assert_eq!(env.run(["wait", "--timeout", "60s", &id]).code, Some(125));
    assert!(is_alive(straggler));
    let job = env.job(&id);
    assert_eq!((&job["status"], &job["stragglers"]), (&"orphaned".into(), &1.into()), "{job}");
    assert_eq!(job["stragglers_alive"], true);
    let killed = env.run(["kill", "--grace", "0s", &id]);
    assert!(killed.stdout.ends_with(": had been orphaned; stopped 1 process that was still running\n"), "{killed}");
    assert!(!is_alive(straggler));
}

#[test]
fn a_job_whose_main_process_died_unseen_can_be_killed() {
    let env = TestEnv::new();
    let (id, straggler) = with_straggler(&env, &[]);
    lose_main_and_supervisor(&env, &id);
    let killed = env.run(["kill", "--grace", "0s", &id]);
    assert!(killed.code == Some(0) && !is_alive(straggler), "{killed}");
    assert_eq!(env.status(&id), "orphaned");
}

/// The origin of a stop request and the time that is left outlive the supervisor that received the request.
#[test]
fn a_stop_continues_across_an_adoption() {
    let env = TestEnv::new();
    let id = env.submit("trap 'touch asked' TERM; echo ready; while :; do sleep 0.02; done");
    wait_for("the trap", || (env.ok(["output", &id]) == "ready").then_some(()));
    env.ok(["kill", "--no-wait", "--grace", "2s", &id]);
    wait_for("the request to be carried out", || env.dir().join("asked").exists().then_some(()));
    kill_supervisor(&env, &id);
    // Submitting another job takes care of jobs that have lost their supervisors.
    env.ok(["run", "true"]);
    wait_for("the end", || env.records(&id).has("end").then_some(()));
    let job = env.job(&id);
    assert_eq!((&job["status"], &job["cause"]), (&"killed".into(), &"stopped".into()), "{job}");
    assert!(job["stopped_by"].as_str().is_some_and(|who| who.contains("jobcli")), "{job}");
    env.wait_until_empty();
}

#[test]
fn a_wait_continues_across_an_adoption() {
    let env = TestEnv::new();
    let id = env.submit("while [ ! -e go ]; do sleep 0.02; done");
    let mut waiter = Background::spawn(env.jobcli(["wait", &id]));
    waiter.until_it_waits();
    let before = kill_supervisor(&env, &id);
    // The waiter is woken and takes care of the job itself.
    wait_for("another supervisor", || (env.supervisor(&id) != before).then_some(()));
    touch(&env, "go");
    let code = waiter.end().code();
    assert!(matches!(code, Some(0 | 125)), "{code:?}");
}

#[test]
fn one_of_many_concurrent_adopters_wins() {
    let env = TestEnv::new();
    let id = env.submit("echo x >> ran; while [ ! -e go ]; do sleep 0.02; done; exit 3");
    wait_for("the command", || env.dir().join("ran").exists().then_some(()));
    env.main_process(&id);
    kill_supervisor(&env, &id);
    let looks: Vec<_> = (0..10)
        .map(|_| {
            let command = env.jobcli(["status", &id]);
            std::thread::spawn(move || Ran::of(command))
        })
        .collect();
    for look in looks {
        let ran = look.join().unwrap();
        assert_eq!(ran.stdout, "running\n", "{ran}");
    }
    let named = |line: &String| line.contains("jobcore-supervisor") && line.contains(&id);
    wait_for("one supervisor", || (env.processes().iter().filter(|line| named(line)).count() == 1).then_some(()));
    touch(&env, "go");
    assert!(matches!(env.run(["wait", &id]).code, Some(3 | 125)));
    assert_eq!(std::fs::read_to_string(env.dir().join("ran")).unwrap(), "x\n");
}

/// The slot of an adopted job is free once the job has ended, and a waiting job gets it.
#[test]
fn a_queue_moves_on_after_an_adoption() {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "1"]);
    let first = env.submit("while [ ! -e go ]; do sleep 0.02; done");
    let second = env.submit("echo second");
    env.main_process(&first);
    let before = kill_supervisor(&env, &first);
    env.ok(["list"]);
    wait_for("another supervisor", || (env.supervisor(&first) != before).then_some(()));
    assert_eq!(env.status(&second), "queued");
    touch(&env, "go");
    assert_eq!(env.run(["wait", &second]).code, Some(0));
    assert_eq!(env.ok(["output", &second]), "second");
}

/// No process asks for the job that lost its supervisor: another job is submitted, or waited for.
#[test]
fn any_use_of_the_store_takes_care_of_jobs_without_supervisors() {
    let env = TestEnv::new();
    let first = env.submit("while [ ! -e go ]; do sleep 0.02; done; echo done");
    env.main_process(&first);
    let before = kill_supervisor(&env, &first);
    let other = env.submit("true");
    until_replaced(&env, &first, before);
    env.ok(["wait", &other]);
    let before = kill_supervisor(&env, &first);
    env.ok(["wait", &other]);
    until_replaced(&env, &first, before);
    touch(&env, "go");
    assert!(matches!(env.run(["wait", &first]).code, Some(0 | 125)));
    assert_eq!(env.ok(["output", &first]), "done");
}

/// No process uses the store at all: a supervisor that ends takes care of the others.
#[test]
fn a_supervisor_that_ends_takes_care_of_jobs_without_one() {
    let env = TestEnv::new();
    let first = env.submit("while [ ! -e go ]; do sleep 0.02; done; echo done");
    let gone = env.submit("exec sleep 1000");
    let second = env.submit("while [ ! -e end ]; do sleep 0.02; done");
    let (main, main_of_gone) = (env.main_process(&first), env.main_process(&gone));
    env.main_process(&second);
    let before = kill_supervisor(&env, &first);
    kill_supervisor(&env, &gone);
    send(main_of_gone, Signal::SIGKILL);
    wait_for("the command to be dead", || (!is_alive(main_of_gone)).then_some(()));
    touch(&env, "end");
    until_replaced(&env, &first, before);
    assert!(is_alive(main));
    // The command of the other one is gone too, so its end is recorded.
    wait_for("the end record", || env.records(&gone).has("end").then_some(()));
    assert_eq!(env.status(&gone), "orphaned");
    touch(&env, "go");
    assert!(matches!(env.run(["wait", &first]).code, Some(0 | 125)));
    assert_eq!(env.ok(["output", &first]), "done");
}

/// A supervisor started in a sandbox would be confined by it, which no caller wants.
#[test]
fn a_front_end_in_a_sandbox_neither_starts_nor_adopts() {
    let Some(setpriv) = crate::needs::program("setpriv") else { return };
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "1"]);
    let first = env.submit("while [ ! -e go ]; do sleep 0.02; done");
    let second = env.submit("echo second");
    let main = env.main_process(&first);
    kill_supervisor(&env, &first);
    let sandboxed = |arguments: &[&str]| {
        let mut command = env.command(&setpriv);
        command.args(["--no-new-privs", crate::support::JOBCLI]).args(arguments);
        Ran::of(command)
    };
    let shown = sandboxed(&["show", "--json", &first]);
    let job: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!((&job["status"], &job["supervised"], &job["pid"]), (&"running".into(), &false.into(), &main.into()));
    let killed = sandboxed(&["kill", &first]);
    assert_eq!((killed.code, killed.stdout.as_str()), (Some(4), ""), "{killed}");
    assert!(killed.stderr.contains(&format!("process {main}")), "{killed}");
    touch(&env, "go");
    wait_for("the command to end", || (!is_alive(main)).then_some(()));
    assert_eq!(sandboxed(&["status", &first]).stdout, "orphaned\n");
    assert_eq!(sandboxed(&["status", &second]).stdout, "queued\n");
    // It may start a job of its own, submitted in the sandbox.
    env.ok(["config", "set", "max_running", "0"]);
    env.ok(["wait", &second]);
    let third = sandboxed(&["run", "--wait", "exit 5"]);
    assert_eq!(third.code, Some(5), "{third}");
}
