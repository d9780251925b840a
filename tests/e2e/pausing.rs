//! Paused jobs: until they are resumed, nothing of them runs, and neither does their time.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{JOBCLI, Ran, TestEnv, is_alive, send, wait_for};

/// How long to watch that nothing happens.
const A_WHILE: Duration = Duration::from_millis(700);

/// The state of a process, [`FROZEN`] in a freezer, and the CPU time that it has used, in ticks.
fn look(pid: i32) -> Option<(char, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<_> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let state = if freezer(pid).is_some() { FROZEN } else { fields[0].chars().next()? };
    Some((state, fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?))
}

const FROZEN: char = 'F';

pub(crate) fn stands_still(pid: i32) -> bool {
    look(pid).is_some_and(|(state, _)| is_still(state))
}

fn is_still(state: char) -> bool {
    ['T', FROZEN].contains(&state)
}

/// Returns the control group of a process if it is the freezer of a job.
fn freezer(pid: i32) -> Option<String> {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    group.ends_with(".paused").then(|| group.to_owned())
}

/// The processes of a job, found by their environment, without zombies, with the state and CPU time of each.
fn tree(id: &str) -> BTreeMap<i32, (char, u64)> {
    let marker = format!("JOBCORE_JOB_ID={id}");
    let pids =
        std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let members = pids.filter(|pid: &i32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == marker.as_bytes())
    });
    members.filter_map(|pid| Some((pid, look(pid)?))).filter(|(_, (state, _))| *state != 'Z').collect()
}

/// Fails if any process of a job runs, over several looks in which another job makes progress.
fn assert_stands_still(env: &TestEnv, id: &str, least: usize) {
    let lines = |name: &str| env.job(name)["output_bytes"].as_u64().unwrap();
    let other = env.submit("while :; do echo; sleep 0.02; done");
    let before = tree(id);
    assert!(before.len() >= least, "{before:?}");
    assert!(before.values().all(|(state, _)| "TtDF".contains(*state)), "{before:?}");
    for _ in 0..3 {
        let written = lines(&other);
        wait_for("progress elsewhere", || (lines(&other) >= written + 5).then_some(()));
        assert_eq!(tree(id), before);
    }
    env.ok(["kill", "--grace", "0s", &other]);
    env.ok(["rm", &other]);
}

fn events(env: &TestEnv, id: &str) -> Vec<String> {
    let events = env.ok(["events", "--since", "0", "--json"]);
    let events = events.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    events.filter(|event| event["job_id"] == id).map(|event| event["event"].as_str().unwrap().to_owned()).collect()
}

fn paused(env: &TestEnv, id: &str) {
    let said = env.ok(["pause", id]);
    assert!(said.ends_with(": paused"), "{said}");
}

/// Counts in several sessions at once.
const FAMILY: &str = "spin() { while :; do i=$((i+1)); done; }; spin & \
    setsid bash -c 'while :; do i=$((i+1)); done' & \
    (setsid bash -c '(while :; do i=$((i+1)); done) & while :; do sleep 0.01; done' &) ; \
    touch ready; spin";

#[test]
fn a_tree_of_many_sessions_uses_no_cpu_while_it_is_paused() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--stdin", "open", FAMILY]);
    wait_for("all of it", || (tree(&id).len() >= 5).then_some(()));
    paused(&env, &id);
    assert_stands_still(&env, &id, 5);
    let job = env.job(&id);
    assert_eq!(job["status"], "paused", "{job}");
    assert!(job["paused_ms"].as_u64().unwrap() > 0, "{job}");
    // Input that is sent waits for the job.
    env.ok(["send", &id, "later"]);
    // Pausing again changes nothing.
    paused(&env, &id);
    assert!(env.ok(["resume", &id]).ends_with(": running"));
    assert!(env.ok(["resume", &id]).ends_with(": running"));
    let used = |id: &str| tree(id).values().map(|(_, used)| used).sum::<u64>();
    let before = used(&id);
    wait_for("it to go on", || (used(&id) > before + 5).then_some(()));
    assert_eq!(events(&env, &id), ["submitted", "started", "paused", "resumed"]);
}

/// If control groups can be made, signals do not continue a paused process, and no group is left afterwards.
#[test]
fn a_frozen_tree_ignores_signals_and_leaves_no_group() {
    let env = TestEnv::new();
    for ends in [&["resume"][..], &["kill", "--grace", "1h"], &["kill", "--grace", "0s"]] {
        let id = env.ok(["run", FAMILY]);
        wait_for("all of it", || (tree(&id).len() >= 5).then_some(()));
        let main = env.main_process(&id);
        paused(&env, &id);
        let Some(group) = freezer(main) else {
            return crate::needs::skip("no control group can be made here");
        };
        tree(&id).keys().for_each(|pid| send(*pid, Signal::SIGCONT));
        assert_stands_still(&env, &id, 5);
        assert!(!tree(&id).values().any(|(state, _)| *state != FROZEN));
        env.ok([ends, &[&id]].concat());
        let there = ["", "/unified"].map(|mount| format!("/sys/fs/cgroup{mount}{group}"));
        wait_for("the end of the group", || (!there.iter().any(|path| Path::new(path).exists())).then_some(()));
        assert!(tree(&id).keys().all(|pid| freezer(*pid).is_none()));
    }
}

/// A supervisor that was killed has left its job in a freezer: its processes get the signals of a stop all the same.
#[test]
fn what_a_killed_supervisor_has_frozen_can_be_stopped() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--grace", "1h", "trap 'echo bye; exit' TERM; while :; do sleep 0.02; done"]);
    paused(&env, &id);
    send(env.supervisor(&id), Signal::SIGKILL);
    assert!(env.ok(["kill", &id]).ends_with(": killed"));
    assert!(env.ok(["output", &id]).contains("bye"));
}

#[test]
fn without_a_freezer_processes_are_stopped_by_signals() {
    let Some(unshare) = crate::needs::namespaces() else { return };
    let env = TestEnv::new();
    let script = r#"
        mount -t tmpfs none /sys/fs/cgroup && short=$($JOBCLI run "$1") || exit
        id=$($JOBCLI show --json $short | grep -o '"job_id": *"[^"]*"' | cut -d'"' -f4)
        members() { grep -lsz "^JOBCORE_JOB_ID=$id\$" /proc/[0-9]*/environ | cut -d/ -f3; }
        until [ $(members | wc -l) -ge 5 ]; do sleep 0.01; done
        $JOBCLI pause $id || exit
        for pid in $(members); do sed 's/.*) \(.\).*/state \1/' /proc/$pid/stat; done
        $JOBCLI resume $id && $JOBCLI kill --grace 0s $id"#;
    let mut command = env.command(unshare[0]);
    command.args(&unshare[1..]).args(["sh", "-c", script, "sh", FAMILY]).env("JOBCLI", JOBCLI);
    let ran = Ran::of(command);
    let states: Vec<_> = ran.stdout.lines().filter_map(|line| line.strip_prefix("state ")).collect();
    assert!(ran.code == Some(0) && states.len() >= 5 && states.iter().all(|state| *state == "T"), "{ran}");
    assert!(ran.stdout.contains(": paused") && ran.stdout.contains(": running") && ran.stdout.contains(": killed"));
}

#[test]
fn no_process_of_a_fork_storm_escapes() {
    let env = TestEnv::new();
    let storm = "storm() { while :; do (setsid sh -c 'sleep 0.03' &); sh -c : ; done; }; \
                 storm & storm & setsid bash -c 'while :; do (setsid sleep 0.02 &); done' & storm";
    let id = env.submit(storm);
    for _ in 0..5 {
        wait_for("the storm", || (tree(&id).len() >= 4).then_some(()));
        paused(&env, &id);
        assert_stands_still(&env, &id, 3);
        env.ok(["resume", &id]);
    }
}

#[test]
fn a_paused_job_is_not_timed_out_and_keeps_the_rest_of_its_time() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--timeout", "1s", "sleep 1000"]);
    for _ in 0..2 {
        paused(&env, &id);
        std::thread::sleep(A_WHILE);
        assert_eq!(env.status(&id), "paused");
        env.ok(["resume", &id]);
    }
    assert_eq!(env.run(["wait", "--timeout", "60s", &id]).code, Some(143));
    let job = env.job(&id);
    assert_eq!(job["status"], "timed_out", "{job}");
    let ms = |field: &str| job[field].as_u64().unwrap();
    assert!(ms("paused_ms") >= 1400 && ms("duration_ms") >= 1000 + ms("paused_ms"), "{job}");
    assert!(env.ok(["show", &id]).contains("\npaused "));
}

#[test]
fn a_paused_tree_is_stopped_at_once() {
    let env = TestEnv::new();
    let line = "trap 'echo bye; exit 3' TERM; setsid bash -c 'trap \"echo child; exit\" TERM; touch ready; while :; do sleep 0.02; done' & \
                while :; do sleep 0.02; done";
    for options in [&["--grace", "1h"][..], &["--grace", "1h", "--stop-signal", "TERM"]] {
        let id = env.ok([&["run", "--merge"], options, &[line]].concat());
        wait_for("it to be ready", || env.dir().join("ready").exists().then_some(()));
        paused(&env, &id);
        let began = Instant::now();
        assert!(env.ok(["kill", &id]).ends_with(": killed"));
        assert!(began.elapsed() < Duration::from_secs(30));
        let output = env.ok(["output", &id]);
        assert!(output.contains("bye") && output.contains("child"), "{output}");
        std::fs::remove_file(env.dir().join("ready")).unwrap();
    }
    // A job that gets no chance to answer.
    let id = env.submit(FAMILY);
    paused(&env, &id);
    assert!(env.ok(["kill", "--grace", "0s", &id]).ends_with(": killed"));
    assert!(tree(&id).is_empty());
}

#[test]
fn a_pause_outlives_its_supervisor() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--timeout", "1h", FAMILY]);
    wait_for("all of it", || (tree(&id).len() >= 5).then_some(()));
    paused(&env, &id);
    env.replace_supervisor(&id);
    assert_eq!(env.status(&id), "paused");
    assert_stands_still(&env, &id, 5);
    // Its main process is killed from outside: the other processes stay paused.
    send(env.main_process(&id), Signal::SIGKILL);
    assert_stands_still(&env, &id, 4);
    assert_eq!(env.status(&id), "paused");
    env.ok(["resume", &id]);
    wait_for("its end", || (!["running", "paused"].contains(&env.status(&id).as_str())).then_some(()));
    assert!(tree(&id).is_empty());
    // The supervisor may be killed at any moment: the next one answers the request to resume.
    let id = env.submit(FAMILY);
    paused(&env, &id);
    send(env.supervisor(&id), Signal::SIGKILL);
    env.ok(["resume", &id]);
    assert_eq!(env.status(&id), "running");
    assert!(tree(&id).values().any(|(state, _)| !is_still(*state)));
}

#[test]
fn concurrent_pauses_and_resumes_agree() {
    let env = TestEnv::new();
    let id = env.submit(FAMILY);
    wait_for("all of it", || (tree(&id).len() >= 5).then_some(()));
    for _ in 0..5 {
        let mut both: Vec<_> =
            (0..2).map(|_| env.jobcli(["pause", &id]).stdout(Stdio::null()).spawn().unwrap()).collect();
        assert!(both.iter_mut().all(|pauser| pauser.wait().unwrap().success()));
        assert_stands_still(&env, &id, 5);
        let mut both: Vec<_> =
            ["pause", "resume"].map(|verb| env.jobcli([verb, &id]).stdout(Stdio::null()).spawn().unwrap()).into();
        assert!(both.iter_mut().all(|one| one.wait().unwrap().success()));
        let states: Vec<_> = tree(&id).values().map(|(state, _)| is_still(*state)).collect();
        assert!(env.status(&id) != "paused" || states.iter().all(|stopped| *stopped), "{states:?}");
        env.ok(["resume", &id]);
        assert!(tree(&id).values().any(|(state, _)| !is_still(*state)));
    }
}

/// Pausing a job does not pause the jobs that it has submitted.
#[test]
fn jobs_within_jobs_are_left_alone() {
    let env = TestEnv::new();
    let outer =
        env.submit("inner=$($JOBCLI run 'while :; do echo; sleep 0.02; done'); echo $inner > inner; sleep 1000");
    let inner = wait_for("the inner job", || {
        std::fs::read_to_string(env.dir().join("inner")).ok()?.trim().parse::<String>().ok()
    });
    wait_for("its output", || (env.job(&inner)["output_bytes"] != 0).then_some(()));
    paused(&env, &outer);
    assert_eq!(env.status(&inner), "running");
    let before = env.job(&inner)["output_bytes"].clone();
    wait_for("the inner job to go on", || (env.job(&inner)["output_bytes"] != before).then_some(()));
    // Its supervisor loses its parent, and the job is still not a part of the outer one.
    env.replace_supervisor(&inner);
    paused(&env, &outer);
    assert_eq!(env.status(&inner), "running");
    assert!(is_alive(env.main_process(&inner)));
}

#[test]
fn several_jobs_are_paused_and_those_not_running_are_refused() {
    let env = TestEnv::new();
    let ended = env.ok(["run", "--name", "ended", "--wait", "true"]);
    env.ok(["group", "set", "batch", "--limit", "2"]);
    let ids: Vec<_> = (0..3).map(|_| env.ok(["run", "--group", "batch", "sleep 1000"])).collect();
    let outside = env.submit("sleep 1000");
    let said = env.ok(["pause", "--group", "batch"]);
    assert_eq!(said.lines().filter(|line| line.ends_with(": paused")).count(), 2, "{said}");
    let status = |id: &String| env.status(id);
    let statuses: Vec<_> = ids.iter().chain([&outside]).map(status).collect();
    assert_eq!(statuses, ["paused", "paused", "queued", "running"], "a paused job keeps its slot");
    for (id, what) in [(&ended, "completed"), (&ids[2], "queued")] {
        for verb in ["pause", "resume"] {
            let ran = env.run([verb, id]);
            assert!(ran.code == Some(4) && ran.stderr.contains(&format!("is not running: it is {what}")), "{ran}");
        }
    }
    let json: serde_json::Value = serde_json::from_str(&env.ok(["pause", "--json", "--all"])).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 3, "{json}");
    env.ok(["resume", "--status", "paused"]);
    assert_eq!(env.ok(["list", "--status", "paused", "--json"]), "[]");
    // As done before there was a command for it.
    env.ok(["kill", "--signal", "STOP", &outside]);
    wait_for("the signal", || (env.status(&outside) == "paused").then_some(()));
    env.ok(["resume", &outside]);
    wait_for("it to go on", || (env.status(&outside) == "running").then_some(()));
    paused(&env, &outside);
    env.ok(["kill", "--signal", "CONT", &outside]);
    assert_eq!(env.status(&outside), "running");
}
