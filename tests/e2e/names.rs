//! Jobs by name and by key.

use crate::support::{Ran, TestEnv, wait_for};

#[test]
fn a_job_is_found_by_its_name_and_told_by_it() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--name", "web", "sleep 1000"]);
    assert_eq!(env.status("web"), "running");
    assert_eq!(env.job("web")["job_id"], id.as_str());
    assert_eq!(env.job("web")["name"], "web");
    let table = env.ok(["list"]);
    assert!(table.starts_with("ID        NAME  STATUS"), "{table}");
    let listed: Vec<serde_json::Value> = serde_json::from_str(&env.ok(["list", "--json", "--name", "web"])).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(env.ok(["list", "--json", "--name", "other"]), "[]");
    let short = env.job(&id)["short_id"].as_str().unwrap().to_owned();
    assert_eq!(env.ok(["kill", "web"]), format!("web ({short}): killed"));
    assert_eq!(env.ok(["rm", "web"]), format!("web ({short}): removed"));
    assert_eq!(env.run(["status", "web"]).code, Some(3));
}

#[test]
fn a_name_is_unique_among_jobs_that_are_not_over() {
    let env = TestEnv::new();
    let first = env.ok(["run", "--name", "web", "sleep 1000"]);
    let taken = env.run(["run", "--name", "web", "touch started"]);
    assert_eq!((taken.code, taken.stdout.as_str()), (Some(4), ""), "{taken}");
    assert!(taken.stderr.contains("the name `web` is that of job"), "{taken}");
    env.ok(["kill", "web"]);
    let second = env.ok(["run", "--name", "web", "exit 5"]);
    assert_eq!(env.run(["wait", "web"]).code, Some(5), "the newest of the name");
    assert_ne!(first, second);
    env.ok(["rm", "web"]);
    assert_eq!(env.job("web")["job_id"], first.as_str(), "an earlier one is still there");
    for wrong in ["", "../x", "a b", "-x", &first] {
        let ran = env.run(["run", &format!("--name={wrong}"), "true"]);
        assert_eq!(ran.code, Some(2), "{ran}");
    }
    assert!(!env.dir().join("started").exists());
}

/// `deadbeef` may be a name and a short id: the name wins, and a full id is always itself.
#[test]
fn a_name_comes_before_a_short_id() {
    let env = TestEnv::new();
    let first = env.submit("true");
    let short = env.job(&first)["short_id"].as_str().unwrap().to_owned();
    let second = env.ok(["run", "--name", &short, "true"]);
    assert_eq!(env.job(&short)["job_id"], second.as_str());
    assert_eq!(env.job(&first)["job_id"], first.as_str());
    assert_eq!(env.job(&first[24..])["job_id"], first.as_str(), "all 12 digits are no name of the other");
}

#[test]
fn a_key_makes_submitting_idempotent() {
    let env = TestEnv::new();
    let run = |key: &str, line: &str| env.run(["run", "--key", key, line]);
    let first = run("deploy 42/ä", "echo x >> ran");
    let again = run("deploy 42/ä", "echo x >> ran");
    assert_eq!((first.code, again.code), (Some(0), Some(0)), "{again}");
    assert_eq!(first.stdout, again.stdout);
    let id = first.stdout.trim_end();
    env.ok(["wait", id]);
    assert_eq!(run("deploy 42/ä", "echo x >> ran").stdout, first.stdout, "also when it has ended");
    let other = run("deploy 42/ä", "echo y >> ran");
    assert_eq!((other.code, other.stdout.as_str()), (Some(4), ""), "{other}");
    assert!(other.stderr.contains(&id[24..32]), "{other}");
    let elsewhere = env.run(["run", "--cwd", "/", "--key", "deploy 42/ä", "echo x >> ran"]);
    assert_eq!(elsewhere.code, Some(4), "{elsewhere}");
    assert_eq!(std::fs::read_to_string(env.dir().join("ran")).unwrap(), "x\n");
    env.ok(["rm", id]);
    let new = run("deploy 42/ä", "echo x >> ran");
    assert_ne!(new.stdout, first.stdout);
    env.ok(["wait", new.stdout.trim_end()]);
    assert_eq!(run(&"k".repeat(200), "true").code, Some(2));
}

#[test]
fn twenty_submitters_with_one_key_make_one_job() {
    let env = TestEnv::new();
    let submitters: Vec<_> = (0..20)
        .map(|_| {
            let command = env.jobcli(["run", "--key", "one", "echo x >> ran"]);
            std::thread::spawn(move || Ran::of(command))
        })
        .collect();
    let mut ids: Vec<_> = submitters
        .into_iter()
        .map(|submitter| {
            let ran = submitter.join().unwrap();
            assert_eq!(ran.code, Some(0), "{ran}");
            ran.stdout
        })
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 1);
    env.ok(["wait", ids[0].trim_end()]);
    wait_for("the supervisor to be gone", || env.processes().is_empty().then_some(()));
    assert_eq!(std::fs::read_to_string(env.dir().join("ran")).unwrap(), "x\n");
}
