//! Stores that earlier versions left: `tests/stores` holds one of each, and every later version reads them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::damaged::{Contents, contents};
use crate::support::{TestEnv, wait_for};

/// Copies a store with the modes it had, and with the empty directories that a repository does not keep.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match from.is_dir() {
            true => copy(&from, &to),
            false => {
                fs::copy(&from, &to).unwrap();
                fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
            }
        }
    }
}

fn store_of(version: &str) -> TestEnv {
    let env = TestEnv::without_store();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("stores").join(version);
    copy(&from, env.store());
    env
}

/// What is known of each job in the store of 0.1.0, newest first.
fn jobs_of_0_1_0() -> [(&'static str, Value, &'static str); 9] {
    [
        ("16e718d6", json!({ "status": "queued", "name": "later", "group": "slow" }), ""),
        ("10906d79", json!({ "status": "orphaned", "cause": "rebooted", "group": "slow" }), "begun"),
        ("34166343", json!({ "status": "completed", "exit_code": 0, "group": "agents" }), ""),
        ("c630d859", json!({ "status": "failed", "signal": "SIGSEGV", "cause": "signalled" }), ""),
        ("a4c35690", json!({ "status": "completed", "exit_code": 0, "argv": ["cat"] }), ""),
        ("ad29d417", json!({ "status": "timed_out", "cause": "timed_out", "signal": "SIGTERM" }), ""),
        (
            "79748e78",
            json!({
                "status": "killed", "cause": "stopped", "stopped_by": "jobcli, process 15399",
                "started_at": "2026-11-28T13:55:07.460415112Z", "ended_at": "2026-11-28T13:55:07.987687112Z",
            }),
            "ready",
        ),
        (
            "f23112a0",
            json!({
                "status": "failed", "exit_code": 3, "name": "web", "group": "db", "output_bytes": 6,
                "labels": { "kind": "test", "solo": "" },
            }),
            "named",
        ),
        ("5a521f07", json!({ "status": "completed", "exit_code": 0, "cwd": "/", "output_bytes": 8 }), "out\nerr"),
    ]
}

#[test]
fn a_store_of_0_1_0_is_read() {
    let env = store_of("0.1.0");
    let before = contents(env.store());
    let listed: Vec<Value> = serde_json::from_str(&env.ok(["list", "--all", "--json"])).unwrap();
    let ids: Vec<_> = listed.iter().map(|job| job["short_id"].as_str().unwrap()).collect();
    assert_eq!(ids, jobs_of_0_1_0().map(|(id, ..)| id));
    for (id, expected, output) in jobs_of_0_1_0() {
        let job = env.job(id);
        for (key, value) in expected.as_object().unwrap() {
            // The records have more digits than the answers.
            let expected = value.as_str().filter(|_| key.ends_with("_at"));
            let expected = expected.and_then(|at| Some(format!("{}Z", at.get(..23)?.trim_end_matches('0')).into()));
            assert_eq!(job[key], expected.unwrap_or_else(|| value.clone()), "{id}: {key} of {job}");
        }
        assert_eq!(env.status(id), expected["status"].as_str().unwrap());
        if job.get("agent").is_none() {
            assert_eq!(env.ok(["output", id]), output, "{id}");
        }
    }
    let agent = env.job("34166343");
    assert_eq!(
        (&agent["agent"]["agent"], &agent["agent"]["progress"]),
        (&"claude".into(), &"succeeded".into()),
        "{agent}"
    );
    assert_eq!(env.ok(["output", "--stderr", "5a521f07"]), "err");
    assert_eq!(env.ok(["status", "web"]), "failed");
    assert_eq!(env.ok(["list", "--label", "kind=test", "--json"]).matches("job_id").count(), 1);
    assert_eq!(env.ok(["config", "get", "groups.slow.limit"]), "1");
    assert_eq!(env.run(["wait", "f23112a0"]).code, Some(3));
    let events = env.ok(["events", "--json"]);
    assert!(events.lines().count() >= 28 && events.contains("\"removed\""), "{events}");
    // The same command in the same directory, with the same key, is that job.
    assert!(env.ok(["run", "--cwd", "/", "--key", "once", "echo named; exit 3"]).ends_with("f23112a073bf"));
    // The store has the current format, and nothing is left of the old one.
    assert_eq!(fs::read_to_string(env.store().join("format")).unwrap(), "jobcore store, format 2\n");
    let after = contents(env.store());
    let old = [
        "spec.json",
        "queued.json",
        "end.json",
        "start.json",
        "run.json",
        "stop.json",
        "env",
        "lock",
        "attempts",
        "slots",
    ];
    for path in after.keys() {
        assert!(path.file_name().is_none_or(|name| old.iter().all(|old| name != *old)), "{}", path.display());
    }
    // No byte of any output was lost.
    let outputs = |contents: &Contents| -> Vec<Vec<u8>> {
        let logs =
            contents.iter().filter(|(path, _)| path.extension().is_some_and(|kind| kind == "log" || kind == "idx"));
        let mut bytes: Vec<_> = logs.map(|(_, (_, bytes))| bytes.clone()).collect();
        bytes.sort();
        bytes
    };
    assert_eq!(outputs(&after), outputs(&before));
    assert!(outputs(&after).len() >= 8, "{after:?}");
}

/// The supervisor of that job does not know the new format.
#[test]
fn a_store_of_0_1_0_in_which_a_job_runs_is_refused_and_left_as_it_is() {
    let env = store_of("0.1.0");
    let lock = env.job_dir("01a22270-6c66-74f7-a5e6-16e718d671cf").join("lock");
    let file = fs::File::options().read(true).write(true).open(lock).unwrap();
    let life = nix::libc::flock { l_type: 1, l_whence: 0, l_start: 1, l_len: 1, l_pid: 0 };
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_OFD_SETLK(&life)).unwrap();
    let before = contents(env.store());
    for verb in [&["list"][..], &["run", "true"], &["show", "web"]] {
        let refused = env.run(verb);
        assert!(refused.code != Some(0) && refused.stderr.contains("jobs are running in it"), "{verb:?}: {refused}");
    }
    assert_eq!(contents(env.store()), before);
    drop(file);
    assert_eq!(env.ok(["status", "web"]), "failed");
}

/// What could not be read before cannot be read afterwards, and no end is invented for it.
#[test]
fn damage_in_a_store_of_0_1_0_stays_damage() {
    let env = store_of("0.1.0");
    let directory = |id: &str| {
        let jobs = fs::read_dir(env.store().join("jobs/2026-11-28")).unwrap().map(|entry| entry.unwrap().path());
        jobs.into_iter().find(|path| path.to_string_lossy().contains(id)).unwrap()
    };
    let [swapped, torn, cut] = ["5a521f07", "c630d859", "f23112a0"].map(directory);
    fs::copy(cut.join("spec.json"), swapped.join("spec.json")).unwrap();
    fs::write(torn.join("spec.json"), "{").unwrap();
    fs::write(cut.join("attempts/1/end.json"), "").unwrap();
    for id in ["5a521f07", "c630d859", "f23112a0"] {
        let shown = env.run(["show", id]);
        assert!(shown.code != Some(0) && shown.stderr.contains("damaged record"), "{id}: {shown}");
    }
    assert_eq!(fs::read_to_string(torn.join("spec.json")).unwrap(), "{");
    assert!(torn.join("attempts/1/end.json").exists());
    assert_eq!(fs::read(cut.join("000000000000.log")).unwrap(), b"named\n");
    env.ok(["rm", "5a521f07", "c630d859", "f23112a0"]);
}

/// The process that was converting the store was killed: the next one continues.
#[test]
fn a_partly_converted_store_of_0_1_0_is_converted_to_the_end() {
    let whole = store_of("0.1.0");
    whole.ok(["list"]);
    let look = |env: &TestEnv| jobs_of_0_1_0().map(|(id, ..)| (env.status(id), env.ok(["output", id])));
    let expected = look(&whole);
    for brought in 0..jobs_of_0_1_0().len() {
        let env = store_of("0.1.0");
        let days = env.store().join("jobs/2026-11-28");
        let mut jobs: Vec<_> = fs::read_dir(&days).unwrap().map(|entry| entry.unwrap().path()).collect();
        jobs.sort();
        for job in &jobs[..brought] {
            let brought = whole.store().join("jobs/2026-11-28").join(job.file_name().unwrap());
            fs::remove_dir_all(job).unwrap();
            copy(&brought, job);
        }
        // The output of the next job has been moved already, but not its records.
        let log = jobs[brought].join("attempts/1/log");
        for file in fs::read_dir(&log).into_iter().flatten().map(Result::unwrap) {
            fs::rename(file.path(), jobs[brought].join(file.file_name())).unwrap();
        }
        assert_eq!(look(&env), expected, "after {brought}");
    }
}

/// The job belongs to another container and waits; a process in that container starts it, with its environment.
#[test]
fn a_job_that_0_1_0_left_in_the_queue_is_started() {
    let env = store_of("0.1.0");
    assert_eq!(env.status("later"), "queued");
    let id = "01a22270-6c66-74f7-a5e6-16e718d671cf";
    let mut namespaces = Vec::new();
    for kind in ["pid", "mnt"] {
        use std::os::unix::fs::MetadataExt;
        let inode = fs::metadata(format!("/proc/self/ns/{kind}")).unwrap().ino();
        let key = if kind == "pid" { "pid_namespace" } else { "mount_namespace" };
        namespaces.push((key, inode));
    }
    env.records(id).change_submission(|submission| {
        namespaces.into_iter().for_each(|(key, inode)| submission["world"][key] = inode.into());
    });
    assert_eq!(env.run(["wait", "later"]).code, Some(4));
    assert_eq!(env.ok(["output", "later"]), "hello");
    wait_for("its supervisor to be gone", || env.processes().is_empty().then_some(()));
    assert!(env.records(id).environment().is_none());
}
