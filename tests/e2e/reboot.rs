//! Records from before a restart of the machine, and process ids that other processes have in the meantime.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::background::Background;
use crate::support::{TestEnv, is_alive, send, wait_for};

/// Changes a record of a job in place.
fn change(env: &TestEnv, id: &str, record: &str, change: impl FnOnce(&mut Value)) {
    env.records(id).change(record, change);
}

/// Makes it look as if all that is known of a job's processes were from another boot.
fn date_back(env: &TestEnv, id: &str, records: &[(&str, &str)]) {
    for (record, process) in records {
        change(env, id, record, |value| value[process]["boot_id"] = "5a5e1d3c-0000-4000-8000-0123456789ab".into());
    }
}

/// Kills the command of a job and its supervisor without any process noticing.
fn kill_all_of(env: &TestEnv, id: &str) {
    let (main, supervisor) = (env.main_process(id), env.supervisor(id));
    for pid in [supervisor, main] {
        send(pid, Signal::SIGKILL);
    }
    wait_for("both to be dead", || (!is_alive(main) && !is_alive(supervisor)).then_some(()));
}

fn assert_rebooted(env: &TestEnv, id: &str) {
    let job = env.job(id);
    assert_eq!((&job["status"], &job["cause"]), (&"orphaned".into(), &"rebooted".into()), "{job}");
    assert!(job.get("exit_code").is_none() && job.get("signal").is_none(), "{job}");
    assert!(env.records(id).has("end"), "an end was not recorded");
}

#[test]
fn after_a_restart_unfinished_jobs_are_orphaned_and_the_queue_moves_on() {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "1"]);
    let first = env.submit("echo before; exec sleep 1000");
    let second = env.submit("echo second >> order");
    let third = env.submit("echo third >> order");
    wait_for("output", || (env.ok(["output", &first]) == "before").then_some(()));
    kill_all_of(&env, &first);
    date_back(&env, &first, &[("start", "holder"), ("running", "process")]);
    // The first job is not looked at: waiting for the others frees its slot.
    assert_eq!(env.run(["wait", &second, &third]).code, Some(0));
    assert_eq!(std::fs::read_to_string(env.dir().join("order")).unwrap(), "second\nthird\n");
    assert_rebooted(&env, &first);
    assert_eq!(env.ok(["output", &first]), "before");
    assert_eq!(env.run(["wait", &first]).code, Some(125));
    wait_for("the slots to be free", || (env.queued_and_running() == 0).then_some(()));
}

/// The machine went down after the supervisor had put itself on record, but before the command was started.
#[test]
fn after_a_restart_a_job_that_was_just_starting_is_orphaned_and_never_run_again() {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "1"]);
    let first = env.submit("echo x >> ran; exec sleep 1000");
    let second = env.submit("echo second");
    wait_for("the command", || env.dir().join("ran").exists().then_some(()));
    kill_all_of(&env, &first);
    env.records(&first).forget("running");
    date_back(&env, &first, &[("start", "holder")]);
    assert_eq!(env.status(&first), "orphaned");
    assert_rebooted(&env, &first);
    assert_eq!(env.run(["wait", &second]).code, Some(0));
    assert_eq!(std::fs::read_to_string(env.dir().join("ran")).unwrap(), "x\n");
    wait_for("the slots to be free", || (env.queued_and_running() == 0).then_some(()));
}

/// The dependents of a job that was lost are decided, and its resources are free.
#[test]
fn after_a_restart_the_dependents_of_a_lost_job_are_decided_and_its_resources_free() {
    let env = TestEnv::new();
    let lost = env.ok(["run", "--quiet", "--resource", "lock:db", "echo x > ran; exec sleep 1000"]);
    let submit = |options: &[&str], word: &str| {
        let line = format!("echo {word} >> order");
        env.ok([&["run", "--quiet"], options, &[&line]].concat())
    };
    let ok = submit(&["--after-ok", &lost], "ok");
    let behind_ok = submit(&["--after-ok", &ok], "behind");
    let failed = submit(&["--after-failed", &lost], "failed");
    let ended = submit(&["--after", &failed], "ended");
    let other = submit(&["--resource", "lock:db"], "other");
    wait_for("the command", || env.dir().join("ran").exists().then_some(()));
    for id in [&ok, &behind_ok, &failed, &ended, &other] {
        assert_eq!(env.status(id), "queued");
    }
    kill_all_of(&env, &lost);
    date_back(&env, &lost, &[("start", "holder"), ("running", "process")]);
    assert_eq!(env.run(["wait", &other]).code, Some(0));
    assert_eq!(env.run(["wait", &failed, &ended]).code, Some(0));
    assert_rebooted(&env, &lost);
    for id in [&ok, &behind_ok] {
        wait_for("it to be skipped", || (env.status(id) == "skipped").then_some(()));
    }
    let order = std::fs::read_to_string(env.dir().join("order")).unwrap();
    let place = |word: &str| order.lines().position(|line| line == word);
    assert!(order.lines().count() == 3 && place("failed") < place("ended") && place("other").is_some(), "{order}");
    wait_for("the slots to be free", || (env.queued_and_running() == 0).then_some(()));
}

/// The run of a schedule that was in progress when the machine went down is orphaned, and does not keep later runs from
/// being started.
#[test]
fn after_a_restart_a_schedule_continues() {
    let env = TestEnv::new();
    let line = "echo x >> ran; [ -e again ] || exec sleep 1000";
    let id = env.ok(["run", "--quiet", "--name", "hourly", "--every", "1h", line]);
    let run = wait_for("a run", || env.job(&id)["queued"]["last_run"].as_str().map(str::to_owned));
    wait_for("the command", || env.dir().join("ran").exists().then_some(()));
    kill_all_of(&env, &run);
    date_back(&env, &run, &[("start", "holder"), ("running", "process")]);
    std::fs::write(env.dir().join("again"), "").unwrap();
    env.ok(["edit", "hourly", "--at", "2020-01-01T00:00:00Z"]);
    assert_rebooted(&env, &run);
    let next = env.job(&id)["queued"]["last_run"].as_str().unwrap().to_owned();
    assert!(next != run && env.run(["wait", &next]).code == Some(0));
    assert_eq!(std::fs::read_to_string(env.dir().join("ran")).unwrap(), "x\nx\n");
    env.ok(["schedule", "remove", "hourly"]);
}

/// A living process has the process ids on record, those of the command and of the supervisor: it is neither taken for
/// them nor signalled.
#[test]
fn a_process_that_reuses_an_id_is_not_part_of_the_job() {
    let env = TestEnv::new();
    let mut sleep = env.command("sleep");
    sleep.arg("1000");
    let stranger = Background::spawn(sleep);
    // A process id is not reused within the hundredth of a second in which its process was started.
    let path = format!("/proc/{}/stat", stranger.pid());
    let started = std::fs::read_to_string(path).unwrap().split(' ').nth(21).unwrap().parse::<f64>().unwrap();
    let now = || std::fs::read_to_string("/proc/uptime").unwrap().split(' ').next().unwrap().parse::<f64>().unwrap();
    wait_for("the clock to go on", || (now() * 100.0 > started + 1.0).then_some(()));
    let number = |value: &mut Value| value["pid"] = stranger.pid().into();
    let lost = env.submit("exec sleep 1000");
    kill_all_of(&env, &lost);
    change(&env, &lost, "start", |start| number(&mut start["holder"]));
    change(&env, &lost, "running", |running| number(&mut running["process"]));
    let killed = env.run(["kill", &lost]);
    assert!(killed.stdout.ends_with(": already orphaned\n"), "{killed}");
    assert_eq!(env.job(&lost)["cause"], "supervisor_lost");

    // Only the supervisor's process id is reused: the command is still there, and gets another supervisor.
    let adopted = env.submit("exec sleep 1000");
    let (main, supervisor) = (env.main_process(&adopted), env.supervisor(&adopted));
    send(supervisor, Signal::SIGKILL);
    wait_for("the supervisor to be dead", || (!is_alive(supervisor)).then_some(()));
    change(&env, &adopted, "start", |start| number(&mut start["holder"]));
    let killed = env.run(["kill", &adopted]);
    assert!(killed.stdout.ends_with(": killed\n"), "{killed}");
    assert!(!is_alive(main));
    assert!(is_alive(stranger.pid()));
}
