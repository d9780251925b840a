//! Many processes do everything at once, and some of them are killed, supervisors among them.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Ran, TestEnv, send, wait_for};

const PROCESSES: u64 = 20;
const OPERATIONS: u64 = 50;

/// What all players know: the ids that were printed and those that were removed, among other things.
#[derive(Default)]
struct Known {
    printed: Mutex<Vec<(String, Line)>>,
    removed: Mutex<BTreeSet<String>>,
    /// The number of supervisors that were killed.
    killed: AtomicU64,
}

/// The line of a job, as an index into the lines.
type Line = usize;

/// Whether a job of this line may complete, so that it may be pruned.
fn may_complete(line: Line) -> bool {
    (1..=2).contains(&line)
}

/// Numbers that are the same each time, so that a failure can be reproduced (as far as the order of events allows).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // xorshift64: any mixing will do.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Runs jobcli to its end, or kills it on its way there.
fn run(env: &TestEnv, arguments: &[&str], dice: &mut Dice) -> Option<Ran> {
    let mut command: Command = env.jobcli(arguments);
    if dice.roll(8) != 0 {
        return Some(Ran::of(command));
    }
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Some turns of the scheduler later: anywhere between its first instruction and its end.
    for _ in 0..dice.roll(200) {
        std::thread::yield_now();
    }
    send(child.id().try_into().unwrap(), Signal::SIGKILL);
    child.wait().unwrap();
    None
}

/// Kills the current supervisor of a job, if there is one: by its pidfd, so that no other process is hit.
fn kill_supervisor(env: &TestEnv, id: &str) -> bool {
    let supervisor = || {
        let start = env.records(id).get("start")?;
        let pid = start["holder"]["pid"].as_i64()?;
        let pid = rustix::process::Pid::from_raw(pid.try_into().ok()?)?;
        let fd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()?;
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line);
        (line.contains("jobcore-supervisor") && line.contains(id)).then_some(fd)
    };
    let kill = |fd| rustix::process::pidfd_send_signal(fd, rustix::process::Signal::KILL);
    supervisor().is_some_and(|fd| kill(fd).is_ok())
}

fn pick(known: &Known, dice: &mut Dice) -> Option<String> {
    let printed = known.printed.lock().unwrap();
    let count = printed.len() as u64;
    (count > 0).then(|| printed[usize::try_from(dice.roll(count)).unwrap()].0.clone())
}

/// One of many users of the store.
fn play(env: &TestEnv, known: &Known, seed: u64) {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (seed + 1));
    // A job records once that it ran, in a file of its own.
    let lines = [
        "echo x >> ran.$JOBCORE_JOB_ID; echo out; exit 3",
        "echo x >> ran.$JOBCORE_JOB_ID; sleep 0.05; seq 100",
        "echo x >> ran.$JOBCORE_JOB_ID; (setsid sleep 0.2 &) ; exit 0",
        "echo x >> ran.$JOBCORE_JOB_ID; exec sleep 1000",
    ];
    for _ in 0..OPERATIONS {
        let id = pick(known, &mut dice);
        match (dice.roll(10), id) {
            (0..=2, _) | (_, None) => {
                let line = usize::try_from(dice.roll(4)).unwrap();
                if let Some(ran) = run(env, &["run", lines[line]], &mut dice) {
                    assert_eq!(ran.code, Some(0), "{ran}");
                    known.printed.lock().unwrap().push((ran.stdout.trim_end().to_owned(), line));
                }
            }
            (3, _) => check(run(env, &["list", "--json"], &mut dice), &[0]),
            (4, Some(id)) => check(run(env, &["output", &id], &mut dice), &[0, 3]),
            (5, Some(id)) => {
                check(run(env, &["wait", "--timeout", "100ms", &id], &mut dice), &[0, 3, 124, 125, 137, 143]);
            }
            // 1 means that it is still stopping, which is a valid answer on a slow machine.
            (6, Some(id)) => check(run(env, &["kill", "--grace", "100ms", &id], &mut dice), &[0, 1, 3]),
            (7, Some(_)) => {
                // One of the newest: most of the others have ended.
                let newest: Vec<_> = known.printed.lock().unwrap().iter().rev().take(10).cloned().collect();
                let is_killed = newest.iter().any(|(id, _)| kill_supervisor(env, id));
                known.killed.fetch_add(is_killed.into(), Ordering::Relaxed);
            }
            (8, _) => check(run(env, &["prune", "--status", "completed", "--keep", "10"], &mut dice), &[0]),
            (_, Some(id)) => {
                // Before the attempt: a remover that is killed may have removed it.
                known.removed.lock().unwrap().insert(id.clone());
                check(run(env, &["rm", &id], &mut dice), &[0, 3, 4]);
            }
        }
    }
}

fn check(ran: Option<Ran>, codes: &[i32]) {
    if let Some(ran) = ran {
        assert!(ran.code.is_some_and(|code| codes.contains(&code)), "{ran}");
    }
}

#[test]
fn many_processes_doing_everything_at_once_lose_nothing_and_run_nothing_twice() {
    let env = TestEnv::new();
    let known = Known::default();
    std::thread::scope(|scope| {
        for seed in 0..PROCESSES {
            let (env, known) = (&env, &known);
            scope.spawn(move || play(env, known, seed));
        }
    });
    env.run(["kill", "--all", "--grace", "100ms"]);
    let jobs: Vec<Value> = wait_for("all jobs to end", || {
        let jobs: Vec<Value> = serde_json::from_str(&env.ok(["list", "--all", "--json"])).unwrap();
        let is_over = |job: &Value| !["queued", "running", "paused"].contains(&job["status"].as_str().unwrap());
        if !jobs.iter().all(is_over) {
            env.run(["kill", "--all", "--grace", "100ms"]);
            return None;
        }
        Some(jobs)
    });
    let ids: Vec<String> = jobs.iter().map(|job| job["job_id"].as_str().unwrap().to_owned()).collect();
    let unique: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "no job is listed twice");
    let (printed, removed) = (known.printed.into_inner().unwrap(), known.removed.into_inner().unwrap());
    assert!(printed.len() > 100, "only {} jobs", printed.len());
    let killed = known.killed.into_inner();
    assert!(killed > 5, "only {killed} supervisors were killed");
    for (id, line) in &printed {
        let may_be_gone = removed.contains(id) || (may_complete(*line) && env.dir().join(format!("ran.{id}")).exists());
        assert!(unique.contains(id) || may_be_gone, "{id} was printed, but is gone");
    }
    for job in &jobs {
        assert!(job["cause"].is_string() && job["ended_at"].is_string(), "an end without an outcome: {job}");
        let id = job["job_id"].as_str().unwrap();
        assert!(env.records(id).environment().is_none(), "an environment that is no longer needed: {job}");
        if job["status"] == "orphaned" {
            assert!(job["cause"] == "supervisor_lost" && job.get("exit_code").is_none(), "{job}");
        }
    }
    // A shell that is stopped between opening the file and writing to it leaves it empty.
    let ended_by_itself = |id: &str| jobs.iter().any(|job| job["job_id"] == id && job["cause"] == "exited");
    for entry in std::fs::read_dir(env.dir()).unwrap() {
        let path = entry.unwrap().path();
        if let Some(id) = path.file_name().unwrap().to_string_lossy().strip_prefix("ran.") {
            let written = std::fs::read_to_string(&path).unwrap();
            assert!(written == "x\n" || (written.is_empty() && !ended_by_itself(id)), "{id}: {written:?}");
        }
    }
    let ran = |id: &String| env.dir().join(format!("ran.{id}")).exists();
    for job in jobs.iter().filter(|job| job["status"] == "completed") {
        assert!(ran(&job["job_id"].as_str().unwrap().to_owned()), "completed, but never run: {job}");
    }
    env.wait_until_empty();
    check_index(&env, &ids);
    assert_eq!(env.queued_and_running(), 0);
}

/// Each job records once in a file of its own that it ran, and makes a directory named after its slot number while it
/// runs: two jobs with the same slot at the same time would collide there.
#[test]
fn a_thousand_jobs_of_twenty_submitters_run_once_each_and_no_more_than_their_group_may() {
    const LINE: &str = "mkdir slot.$JOBCORE_SLOT && echo x >> ran.$JOBCORE_JOB_ID && sleep 0.04 && rmdir slot.$JOBCORE_SLOT || \
                        echo $JOBCORE_JOB_ID >> overlap";
    let env = TestEnv::new();
    env.ok(["config", "set", "groups.g.limit", "4"]);
    let known = Known::default();
    let submit = |seed: u64| {
        let mut dice = Dice(0x2545_f491_4f6c_dd1d ^ (seed + 1));
        for _ in 0..OPERATIONS {
            if let Some(ran) = run(&env, &["run", "--quiet", "--group", "g", LINE], &mut dice) {
                assert_eq!(ran.code, Some(0), "{ran}");
                known.printed.lock().unwrap().push((ran.stdout.trim_end().to_owned(), 0));
            }
            if dice.roll(10) == 0 {
                let printed: Vec<_> = known.printed.lock().unwrap().iter().map(|(id, _)| id.clone()).collect();
                let is_killed = printed.iter().any(|id| kill_supervisor(&env, id));
                known.killed.fetch_add(is_killed.into(), Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| (0..PROCESSES).for_each(|seed| drop(scope.spawn(move || submit(seed)))));
    let jobs: Vec<Value> = wait_for("all jobs to end", || {
        let counts = env.ok(["list", "--count"]);
        let is_over = !counts.contains("queued") && !counts.contains("running");
        is_over.then(|| serde_json::from_str(&env.ok(["list", "--all", "--json"])).unwrap())
    });
    let (printed, killed) = (known.printed.into_inner().unwrap(), known.killed.into_inner());
    assert!(printed.len() > 700 && killed > 5, "only {} jobs, {killed} supervisors killed", printed.len());
    let listed: BTreeSet<&str> = jobs.iter().map(|job| job["job_id"].as_str().unwrap()).collect();
    assert!(listed.len() == jobs.len() && printed.iter().all(|(id, _)| listed.contains(id.as_str())));
    for job in &jobs {
        let ran = std::fs::read_to_string(env.dir().join(format!("ran.{}", job["job_id"].as_str().unwrap())));
        match job["status"].as_str().unwrap() {
            "completed" => assert_eq!(ran.unwrap(), "x\n", "{job}"),
            // Its supervisor was killed: whether the command was started is unknown, and it is not started again.
            "orphaned" => assert!(ran.is_err() || ran.is_ok_and(|ran| ran == "x\n"), "{job}"),
            _ => panic!("{job}"),
        }
    }
    let overlap = std::fs::read_to_string(env.dir().join("overlap"));
    assert!(overlap.is_err(), "two jobs had the same slot: {overlap:?}");
    env.wait_until_empty();
    assert_eq!(env.queued_and_running(), 0);
}

/// A rebuilt index equals the old one.
fn check_index(env: &TestEnv, listed: &[String]) {
    const HEADER: usize = 96;
    const ROW: usize = 48;
    const STATE: usize = 40;
    let directory = env.store().join("index");
    let rows = || -> Vec<Vec<u8>> {
        let mut days: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        days.sort();
        let bytes: Vec<u8> = days.iter().flat_map(|day| std::fs::read(day).unwrap().split_off(HEADER)).collect();
        let is_there = |row: &&[u8]| {
            let id = uuid::Uuid::from_slice(&row[..16]).unwrap().to_string();
            row[STATE] != 255 && env.job_dir(&id).exists()
        };
        bytes.chunks(ROW).filter(is_there).map(<[u8]>::to_vec).collect()
    };
    let before = rows();
    assert_eq!(before.len(), listed.len(), "each job has one row");
    std::fs::remove_dir_all(&directory).unwrap();
    let again: Vec<Value> = serde_json::from_str(&env.ok(["list", "--all", "--json"])).unwrap();
    assert!(again.iter().map(|job| job["job_id"].as_str().unwrap()).eq(listed.iter().map(String::as_str)));
    for (before, after) in before.iter().zip(rows()) {
        // 0 means that the job has to be looked at: the process that was about to record its end, or to remove it, was
        // killed.
        let never_changes = [0..24, STATE + 1..STATE + 4];
        let same = if before[STATE] == 0 { &never_changes[..] } else { &[0..ROW, ROW..ROW] };
        for part in same {
            assert_eq!(before[part.clone()], after[part.clone()], "{part:?} of {before:?} and {after:?}");
        }
    }
}
