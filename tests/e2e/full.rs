//! A full disk: a small tmpfs of the test's own, filled to the last block.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::needs;
use crate::support::{Ran, TestEnv, wait_for};

/// A file system of one megabyte, unmounted when this is dropped, whatever happens.
struct SmallDisk {
    directory: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        if !needs::root() {
            return None;
        }
        let directory = tempfile::Builder::new().prefix("jobcore-disk-").tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m,mode=700", "jobcore-test"]).arg(directory.path());
        let ran = Ran::of(mount);
        assert_eq!(ran.code, Some(0), "{ran}");
        Some(Self { directory })
    }

    fn store(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    fn filler(&self) -> PathBuf {
        self.directory.path().join("filler")
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.filler()).unwrap();
        let block = [0; 4096];
        let error = std::iter::from_fn(|| Some(file.write_all(&block))).find_map(Result::err).unwrap();
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    }

    fn make_room(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmount = |options: &[&str]| {
            let mut command = Command::new("umount");
            command.args(options).arg(self.directory.path());
            command.output().is_ok_and(|output| output.status.success())
        };
        // A supervisor that is still writing must not keep the mount.
        assert!(unmount(&[]) || unmount(&["--lazy"]) || std::thread::panicking(), "the disk could not be unmounted");
    }
}

/// Lets a job that waits in [`wait_line`] go on.
fn go(env: &TestEnv, name: &str) {
    File::create(env.dir().join(name)).unwrap();
}

/// A part of a shell line that waits for a file of this name.
fn wait_line(name: &str) -> String {
    format!("while [ ! -e {name} ]; do sleep 0.02; done")
}

fn wait_for_file(env: &TestEnv, name: &str) {
    wait_for(name, || env.dir().join(name).exists().then_some(()));
}

/// The names in a directory of the store.
fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    entries.map(|name| name.into_string().unwrap()).collect()
}

fn number(job: &serde_json::Value, key: &str) -> u64 {
    job[key].as_u64().unwrap_or_else(|| panic!("no {key} in {job}"))
}

#[test]
fn a_job_that_runs_into_a_full_disk_continues_and_its_end_is_on_record() {
    let Some(disk) = SmallDisk::mount() else { return };
    let env = TestEnv::new().with_store(disk.store());
    // Far more than pipes hold: if the supervisor stopped reading, the job would hang.
    let late = env.submit(&format!("{}; head -c 3000000 /dev/zero; exit 7", wait_line("go")));
    let early = env.submit(&format!("echo early; {}; head -c 100000 /dev/zero; exit 8", wait_line("go")));
    let limit = ["run", "--timeout", "1h", "--label", "a=b"];
    let silent = env.ok(limit.into_iter().chain([format!("{}; kill -9 $$", wait_line("go")).as_str()]));
    wait_for("the first output", || (env.ok(["output", &early]) == "early").then_some(()));
    for id in [&late, &early, &silent] {
        env.main_process(id);
    }
    disk.fill();
    go(&env, "go");
    assert_eq!(env.run(["wait", &late]).code, Some(7));
    assert_eq!(env.run(["wait", &early]).code, Some(8));
    assert_eq!(env.run(["wait", &silent]).code, Some(137));
    let job = env.job(&late);
    assert_eq!((&job["status"], &job["exit_code"], &job["cause"]), (&"failed".into(), &7.into(), &"exited".into()));
    for (id, bytes) in [(&late, 3_000_000), (&early, 100_006)] {
        let job = env.job(id);
        let output = env.run(["output", id]);
        let kept = output.stdout.len() as u64;
        assert_eq!(number(&job, "output_bytes"), bytes, "{job}");
        assert_eq!(number(&job, "dropped_bytes"), bytes - kept, "{job}");
        assert!(number(&job, "dropped_bytes") > 0 && output.code == Some(0), "{job}");
        assert!(output.stderr.contains("were not kept]"), "the gap is not reported: {}", output.stderr);
    }
    assert!(env.ok(["output", &early]).starts_with("early\n"));
    let job = env.job(&silent);
    assert_eq!((&job["signal"], number(&job, "dropped_bytes")), (&"SIGKILL".into(), 0), "{job}");
    env.wait_until_empty();
}

#[test]
fn a_submit_on_a_full_disk_is_refused_and_leaves_nothing() {
    let Some(disk) = SmallDisk::mount() else { return };
    let env = TestEnv::new().with_store(disk.store());
    let before = env.submit("true");
    env.ok(["wait", &before]);
    let look = || (["staging", "trash"].map(|name| names(&env.store().join(name))), env.queued_and_running());
    // From no room at all to room for all but the last block.
    for blocks in 0..5 {
        disk.fill();
        let filler = OpenOptions::new().write(true).open(disk.filler()).unwrap();
        filler.set_len(filler.metadata().unwrap().len() - blocks * 4096).unwrap();
        let ran = env.run(["run", "echo x >> marker"]);
        if ran.code == Some(0) {
            assert!(blocks >= 2, "it was accepted without room: {ran}");
            env.ok(["wait", ran.stdout.trim_end()]);
            env.ok(["rm", ran.stdout.trim_end()]);
            std::fs::remove_file(env.dir().join("marker")).unwrap();
        } else {
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran}");
            assert!(ran.stderr.contains("no room left") && !ran.stderr.contains("panic"), "{ran}");
        }
        assert_eq!(look(), ([const { Vec::<String>::new() }; 2], 0), "with {blocks} blocks left");
        assert_eq!(env.ok(["list", "--all", "--json"]).matches("job_id").count(), 1);
        env.wait_until_empty();
        assert!(!env.dir().join("marker").exists(), "it ran anyway");
    }
    disk.make_room();
    assert_eq!(env.run(["run", "--wait", "exit 5"]).code, Some(5));
}

/// A job that was already published when the last file could not be made used to stay in the queue and run once there
/// was room.
#[test]
fn a_submit_that_runs_out_of_files_anywhere_is_refused_and_never_runs() {
    let Some(disk) = SmallDisk::mount() else { return };
    let remount = |files: u64| {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,nr_inodes={files}")]).arg(disk.directory.path());
        Ran::of(mount)
    };
    let used = || {
        let there = rustix::fs::statvfs(disk.directory.path()).unwrap();
        there.f_files - there.f_ffree
    };
    let (mut accepted, mut refused) = (0, 0);
    for free in 0..40 {
        let env = TestEnv::new().with_store(disk.store());
        let mut first = env.jobcli(["config", "set", "max_running", "3"]);
        first.env("JOBCORE_STORE", disk.store());
        assert_eq!(Ran::of(first).code, Some(0));
        let ran = remount(used() + free);
        assert_eq!(ran.code, Some(0), "{ran}");
        let ran = env.run(["run", "echo x >> marker"]);
        assert_eq!(remount(10_000).code, Some(0));
        let jobs = wait_for("all jobs to end", || {
            let jobs: Vec<serde_json::Value> = serde_json::from_str(&env.ok(["list", "--all", "--json"])).unwrap();
            jobs.iter().all(|job| job.get("ended_at").is_some()).then_some(jobs)
        });
        env.wait_until_empty();
        let has_run = env.dir().join("marker").exists();
        match ran.code {
            Some(0) => {
                assert!(jobs.len() == 1 && jobs[0]["job_id"] == ran.stdout.trim_end(), "{free}: {jobs:?} {ran}");
                accepted += 1;
            }
            _ => {
                assert!(!has_run, "{free}: it was refused, but ran: {ran}");
                assert!(jobs.iter().all(|job| job["cause"] == "never_started"), "{free}: {jobs:?} {ran}");
                assert!(ran.stderr.contains("No space left") && ran.stdout.is_empty(), "{free}: {ran}");
                refused += 1;
            }
        }
        std::fs::remove_dir_all(disk.store()).unwrap();
    }
    assert!(accepted > 0 && refused > 3, "{accepted} accepted, {refused} refused");
}

#[test]
fn a_store_answers_while_its_disk_is_full() {
    let Some(disk) = SmallDisk::mount() else { return };
    let env = TestEnv::new().with_store(disk.store());
    let over = env.submit("echo over");
    env.ok(["wait", &over]);
    let stubborn = env.submit("trap '' TERM; echo ready; while :; do sleep 1000; done");
    let obedient = env.ok(["run", "sleep", "1000"]);
    wait_for("the trap to be set", || (env.ok(["output", &stubborn]) == "ready").then_some(()));
    env.main_process(&obedient);
    disk.fill();
    assert_eq!(env.ok(["list", "--all", "--json"]).matches("job_id").count(), 3);
    assert_eq!(env.ok(["output", &over]), "over");
    assert!(env.ok(["show", &obedient]).contains("running"));
    assert_eq!(env.run(["wait", "--timeout", "1ms", &obedient]).code, Some(124));
    assert!(env.ok(["kill", &obedient]).ends_with(": killed"));
    assert!(env.ok(["kill", "--grace", "0s", &stubborn]).ends_with(": killed"));
    assert_eq!(env.run(["wait", &obedient, &stubborn]).code, Some(143));
    for id in [&over, &obedient, &stubborn] {
        env.ok(["rm", id]);
    }
    assert_eq!(env.ok(["list", "--all", "--json"]), "[]");
    assert_eq!(names(&env.store().join("trash")), Vec::<String>::new());
}

#[test]
fn output_is_kept_again_when_there_is_room_and_the_gap_is_in_the_middle() {
    let Some(disk) = SmallDisk::mount() else { return };
    let env = TestEnv::new().with_store(disk.store());
    // What is written in the middle is more than the rest of a block and the pipe hold, so most of it must be dropped.
    let line = format!(
        "printf begin; {}; head -c 300000 /dev/zero; touch written; {}; printf end; {}; printf more; exit 3",
        wait_line("full"),
        wait_line("room"),
        wait_line("more"),
    );
    let id = env.submit(&line);
    wait_for("the beginning", || (env.ok(["output", &id]) == "begin").then_some(()));
    disk.fill();
    go(&env, "full");
    wait_for_file(&env, "written");
    // The supervisor looks for room until the pipe is empty; only output after that counts as new.
    wait_for("the supervisor to have nothing to do", || is_asleep(env.supervisor(&id)).then_some(()));
    disk.make_room();
    go(&env, "room");
    wait_for("the first output that there is room for", || env.ok(["output", &id]).ends_with("end").then_some(()));
    go(&env, "more");
    assert_eq!(env.run(["wait", &id]).code, Some(3));
    let (job, output) = (env.job(&id), env.run(["output", &id]));
    assert!(output.stdout.starts_with("begin") && output.stdout.ends_with("endmore"), "{output}");
    assert_eq!(number(&job, "output_bytes"), 300_000 + 12, "{job}");
    assert_eq!(number(&job, "dropped_bytes") + output.stdout.len() as u64, 300_000 + 12, "{job}");
    assert!(number(&job, "dropped_bytes") > 100_000, "{job}");
    assert!(output.stderr.contains("were not kept]"), "{output}");
}

/// Returns whether a process sleeps, and has done nothing between two looks.
fn is_asleep(pid: i32) -> bool {
    let look = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = |key: &str| status.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
        (line("State"), line("voluntary_ctxt_switches"))
    };
    let first = look();
    first.0.contains("S (sleeping)") && first == look()
}

/// A dropped piece must not cost a file: a disk without room for bytes has little room for names.
#[test]
fn dropped_output_takes_no_room() {
    let Some(disk) = SmallDisk::mount() else { return };
    let env = TestEnv::new().with_store(disk.store());
    let id =
        env.submit(&format!("{}; head -c 20000000 /dev/zero; echo done > written; {}", wait_line("a"), wait_line("b")));
    env.main_process(&id);
    disk.fill();
    go(&env, "a");
    wait_for_file(&env, "written");
    let files = names(&env.job_dir(&id));
    assert!(files.len() < 20, "{} files for nothing", files.len());
    go(&env, "b");
    env.ok(["wait", &id]);
}

#[test]
fn the_doctor_reports_that_there_is_no_room() {
    use crate::doctor::{result, steps};
    let Some(disk) = SmallDisk::mount() else { return };
    let env = TestEnv::new().with_store(disk.store());
    let ran = env.run(["doctor", "--json"]);
    assert_eq!((ran.code, result(&steps(&ran), "stop")), (Some(0), Some("ok")), "{ran}");
    assert_eq!(result(&steps(&ran), "room"), Some("degraded"), "a megabyte is not much: {ran}");
    assert_eq!(result(&steps(&ran), "file_system"), Some("degraded"), "it is in memory: {ran}");
    env.wait_until_empty();
    let before = names(env.store());
    disk.fill();
    let ran = env.run(["doctor", "--json"]);
    assert_eq!((ran.code, result(&steps(&ran), "room")), (Some(1), Some("failed")), "{ran}");
    assert!(ran.stderr.starts_with("error: `room` failed: ") && ran.stderr.contains("\nhint: "), "{ran}");
    assert_eq!(names(env.store()), before);
    // A store that cannot even be made, for want of room.
    let mut command = env.jobcli(["doctor", "--json", "--store"]);
    command.arg(disk.directory.path().join("another"));
    let ran = Ran::of(command);
    assert_eq!((ran.code, result(&steps(&ran), "room")), (Some(1), Some("failed")), "{ran}");
}

/// An end that cannot be marked as delivered would wake its caller at the end of each turn.
#[test]
fn a_hook_on_a_full_disk_wakes_no_caller_until_there_is_room() {
    let Some(disk) = SmallDisk::mount() else { return };
    let env = TestEnv::new().with_store(disk.store());
    for (host, variable) in [("claude-code", "CLAUDE_CODE_SESSION_ID"), ("codex", "CODEX_THREAD_ID")] {
        let mut submitting = env.jobcli(["run", "exit 3"]);
        submitting.env(variable, "s-1");
        let id = Ran::of(submitting).ok();
        env.run(["wait", "--quiet", &id]);
        let event = env.dir().join("event");
        std::fs::write(&event, r#"{"session_id": "s-1", "hook_event_name": "Stop"}"#).unwrap();
        let woken = || {
            let mut hook = env.jobcli(["hook", host, "stop"]);
            hook.stdin(File::open(&event).unwrap()).env("CLAUDE_CODE_ENTRYPOINT", "sdk-cli");
            let ran = Ran::of(hook);
            let is_blocking = serde_json::from_str::<serde_json::Value>(&ran.stdout).is_ok();
            assert!(ran.code == Some(2) || ran.code == Some(0), "{ran}");
            ran.code == Some(2) || is_blocking
        };
        disk.fill();
        assert!(!woken() && !woken(), "{host}");
        disk.make_room();
        assert!(woken(), "{host}");
        assert!(!woken(), "{host}: it was delivered");
    }
}
