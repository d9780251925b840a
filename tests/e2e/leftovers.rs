//! Processes that outlive their jobs, and jobs that end with a process.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::background::Background;
use crate::support::{TestEnv, is_alive, send, wait_for};

fn short(env: &TestEnv, id: &str) -> String {
    env.job(id)["short_id"].as_str().unwrap().to_owned()
}

/// Leaves behind a process that is no longer watched, and returns the job and the process.
fn left_behind(env: &TestEnv) -> (String, i32) {
    let line = "sleep 1000 & echo $! > left";
    let id = env.ok(["run", "--quiet", "--leave-stragglers", "--name", "server", line]);
    wait_for("its end", || (env.status(&id) == "completed").then_some(()));
    let pid = std::fs::read_to_string(env.dir().join("left")).unwrap().trim().parse().unwrap();
    let supervisor = env.supervisor(&id);
    send(supervisor, Signal::SIGKILL);
    wait_for("the supervisor to be dead", || (!is_alive(supervisor)).then_some(()));
    (id, pid)
}

#[test]
fn leftovers_of_ended_jobs_are_listed_and_stopped() {
    let env = TestEnv::new();
    let nothing = env.run(["gc"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(0), ""), "{nothing}");
    let running = env.submit("exec sleep 1000");
    let watched = env.ok(["run", "--quiet", "--leave-stragglers", "sleep 1000 & echo $! > watched"]);
    wait_for("its end", || (env.status(&watched) == "completed").then_some(()));
    let (id, pid) = left_behind(&env);
    let listed: Value = serde_json::from_str(&env.ok(["gc", "--json"])).unwrap();
    let [process] = listed["processes"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!((&process["pid"], &process["command"]), (&pid.into(), &"sleep 1000".into()));
    assert_eq!(process["job_id"], env.job(&id)["job_id"]);
    let listed = env.ok(["gc"]);
    assert!(listed.starts_with(&format!("process {pid} of server ({}), which ended ", short(&env, &id))), "{listed}");
    assert!(listed.ends_with(" ago: sleep 1000") && is_alive(pid), "{listed}");
    let stopped = env.run(["gc", "--stop"]);
    assert_eq!(stopped.code, Some(0), "{stopped}");
    assert!(stopped.stderr.contains("stopped 1 process") && !is_alive(pid), "{stopped}");
    assert_eq!(env.status(&running), "running");
    env.ok(["kill", &running, &watched]);
    env.wait_until_empty();
}

#[test]
fn a_leftover_that_was_adopted_is_not_listed() {
    let env = TestEnv::new();
    let (_, pid) = left_behind(&env);
    let id = env.ok(["adopt", "--quiet", &pid.to_string()]);
    let listed = env.run(["gc", "--stop"]);
    assert_eq!((listed.code, listed.stdout.as_str()), (Some(0), ""), "{listed}");
    assert!(is_alive(pid) && env.status(&id) == "running", "its environment names the job that started it");
    env.ok(["kill", &id]);
    assert!(!is_alive(pid));
}

#[test]
fn long_running_jobs_are_listed_and_stopped_on_request() {
    let env = TestEnv::new();
    let old = env.submit("exec sleep 1000");
    env.main_process(&old);
    let listed = env.ok(["gc", "--older-than", "0s"]);
    assert!(listed.starts_with(&format!("job {}, running for ", short(&env, &old))), "{listed}");
    assert_eq!(env.ok(["gc", "--older-than", "1h"]), "");
    assert_eq!(env.run(["gc", "--stop"]).code, Some(0));
    assert_eq!(env.status(&old), "running", "it was not listed");
    assert_eq!(env.run(["gc", "--stop", "--older-than", "0s"]).code, Some(0));
    assert_eq!(env.status(&old), "killed");
    env.wait_until_empty();
}

#[test]
fn a_job_ends_with_the_named_process() {
    let env = TestEnv::new();
    let mut sleep = env.command("sleep");
    sleep.arg("1000");
    let companion = Background::spawn(sleep);
    let pid = companion.pid().to_string();
    let id = env.ok(["run", "--quiet", "--with-pid", &pid, "exec sleep 1000"]);
    assert_eq!(env.status(&id), "running");
    drop(companion);
    wait_for("its end", || (env.status(&id) == "killed").then_some(()));
    let refused = env.run(["run", "--with-pid", &pid, "true"]);
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.stderr.contains(&format!("--with-pid {pid}")), "{refused}");
    env.wait_until_empty();
}

#[test]
fn a_job_whose_lease_is_not_renewed_is_stopped_even_by_its_next_supervisor() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--quiet", "--lease", "300ms", "exec sleep 1000"]);
    wait_for("its end", || (env.status(&id) == "killed").then_some(()));
    assert_eq!(env.job(&id)["stopped_by"], "the end of its lease");

    let id = env.ok(["run", "--quiet", "--lease", "1h", "exec sleep 1000"]);
    let until = || env.job(&id)["lease_until"].as_str().map(str::to_owned);
    let first = wait_for("its start", until);
    wait_for("a later end of the lease", || {
        env.ok(["renew", &id]);
        (until().unwrap() > first).then_some(())
    });
    let renewed = until();
    env.replace_supervisor(&id);
    assert_eq!(until(), renewed, "it is that of the job, and not of its supervisor");
    let shown = env.ok(["show", &id]);
    assert!(shown.contains("\nlease        until ") && shown.contains(", unless it is renewed\n"), "{shown}");

    let without = env.submit("exec sleep 1000");
    let refused = env.run(["renew", &without]);
    assert_eq!(refused.code, Some(4), "{refused}");
    assert!(refused.stderr.contains("it has no lease"), "{refused}");
    env.ok(["kill", &id, &without]);
    env.wait_until_empty();
}
