//! Stores that earlier versions left: `tests/stores` holds one of each, and every later version reads them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::damaged::contents;
use crate::support::{TestEnv, wait_for};

/// Copies a store, with the modes that it had, and the empty directories that are in no repository.
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

/// What is known of each job of the store of 0.1.0, the newest first.
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
            assert_eq!(&job[key], value, "{id}: {key} of {job}");
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
    // The same command in the same directory is that job.
    assert!(env.ok(["run", "--cwd", "/", "--key", "once", "echo named; exit 3"]).ends_with("f23112a073bf"));
    // No record of a job that had ended was touched.
    for (path, was) in &before {
        let name = path.strip_prefix(env.store()).unwrap();
        let is_unfinished = ["10906d790054", "16e718d671cf"].iter().any(|id| name.to_string_lossy().contains(id));
        // What was read of an agent's output is a cache, which a later version makes again.
        let is_cache = name.file_name().is_some_and(|name| name == "digest.cache");
        if name.starts_with("jobs") && !is_unfinished && !is_cache {
            let is = fs::symlink_metadata(path).unwrap();
            assert!(is.is_dir() || fs::read(path).unwrap() == was.1, "{}", name.display());
        }
    }
}

/// It is of another container, and waits; whoever is in that starts it, with its environment.
#[test]
fn what_0_1_0_left_in_the_queue_is_started() {
    let env = store_of("0.1.0");
    assert_eq!(env.status("later"), "queued");
    let spec = env.job_dir("01a22270-6c66-74f7-a5e6-16e718d671cf").join("spec.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&spec).unwrap()).unwrap();
    for kind in ["pid", "mnt"] {
        use std::os::unix::fs::MetadataExt;
        let inode = fs::metadata(format!("/proc/self/ns/{kind}")).unwrap().ino();
        let key = if kind == "pid" { "pid_namespace" } else { "mount_namespace" };
        record["world"][key] = inode.into();
    }
    fs::write(&spec, record.to_string()).unwrap();
    assert_eq!(env.run(["wait", "later"]).code, Some(4));
    assert_eq!(env.ok(["output", "later"]), "hello");
    wait_for("its supervisor to be gone", || env.processes().is_empty().then_some(()));
    assert!(!env.job_dir("01a22270-6c66-74f7-a5e6-16e718d671cf").join("env").exists());
    // The numbers of the queue go on.
    let id = env.ok(["run", "--wait", "true"]);
    let queued: Value = serde_json::from_slice(&fs::read(env.job_dir(&id).join("queued.json")).unwrap()).unwrap();
    assert_eq!(queued["sequence"], 11);
}
