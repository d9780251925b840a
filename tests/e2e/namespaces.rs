//! Front ends in other namespaces: they see the store, and neither the processes nor the files that its jobs mean.

use std::process::Command;

use nix::sys::signal::Signal;

use crate::background::{Background, touch, until};
use crate::support::{JOBCLI, Ran, TestEnv, is_alive, send, wait_for};

/// jobcli with these arguments, in a pid and a mount namespace of its own.
fn foreign(env: &TestEnv, unshare: &[&str], arguments: &[&str]) -> Command {
    let mut command = env.command(unshare[0]);
    command.args(&unshare[1..]).arg(JOBCLI).args(arguments);
    command
}

fn statuses(listed: &Ran) -> Vec<(String, String)> {
    let jobs: Vec<serde_json::Value> = serde_json::from_str(&listed.stdout).unwrap();
    let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    jobs.iter().map(|job| (word(&job["job_id"]), word(&job["status"]))).collect()
}

#[test]
fn from_another_namespace_nothing_is_started_adopted_or_declared_dead() {
    let Some(unshare) = crate::needs::namespaces() else { return };
    let env = TestEnv::new();
    let inside = |arguments: &[&str]| Ran::of(foreign(&env, unshare, arguments));
    env.ok(["config", "set", "max_running", "1"]);
    let first = env.submit(&format!("{}; echo done", until("go")));
    let second = env.submit("echo second");
    let main = env.main_process(&first);
    let expected = [(second.clone(), "queued".to_owned()), (first.clone(), "running".to_owned())];
    // The lock can be seen from everywhere.
    let listed = inside(&["list", "--json"]);
    assert_eq!(statuses(&listed), expected, "{listed}");

    let supervisor = env.supervisor(&first);
    send(supervisor, Signal::SIGKILL);
    wait_for("the supervisor to be dead", || (!is_alive(supervisor)).then_some(()));
    let listed = inside(&["list", "--json"]);
    assert_eq!(statuses(&listed), expected, "{listed}");
    let waited = inside(&["wait", "--timeout", "300ms", &first]);
    assert_eq!(waited.code, Some(124), "{waited}");
    let killed = inside(&["kill", &first]);
    assert_eq!((killed.code, killed.stdout.as_str()), (Some(4), ""), "{killed}");
    let removed = inside(&["rm", &first]);
    assert_eq!(removed.code, Some(4), "{removed}");
    assert!(is_alive(main));
    assert_eq!(env.supervisor(&first), supervisor, "nobody has taken charge of it");
    assert!(!env.job_dir(&first).join("end.json").exists());

    // From outside everything goes on.
    assert_eq!(env.status(&first), "running");
    wait_for("another supervisor", || (env.supervisor(&first) != supervisor).then_some(()));
    touch(&env, "go");
    assert!(matches!(env.run(["wait", &first]).code, Some(0 | 125)));
    assert_eq!(env.run(["wait", &second]).code, Some(0));
    assert_eq!(env.ok(["output", &first]), "done");
}

/// The command is gone, too: from inside that cannot be known, and a slot that may be taken is not given away.
#[test]
fn from_another_namespace_a_lost_job_keeps_its_slot() {
    let Some(unshare) = crate::needs::namespaces() else { return };
    let env = TestEnv::new();
    let inside = |arguments: &[&str]| Ran::of(foreign(&env, unshare, arguments));
    env.ok(["config", "set", "max_running", "1"]);
    let first = env.submit("exec sleep 1000");
    let second = env.submit("echo second");
    for pid in [env.supervisor(&first), env.main_process(&first)] {
        send(pid, Signal::SIGKILL);
        wait_for("it to be dead", || (!is_alive(pid)).then_some(()));
    }
    let listed = inside(&["list", "--json"]);
    let expected = [(second.clone(), "queued".to_owned()), (first.clone(), "running".to_owned())];
    assert_eq!(statuses(&listed), expected, "{listed}");
    // One that is submitted there waits as well, and holds up nobody when its world is gone.
    let third = inside(&["run", "true"]);
    assert!(third.stderr.starts_with("queued: "), "{third}");
    assert!(!env.job_dir(&first).join("end.json").exists());
    assert_eq!(env.run(["wait", &second]).code, Some(0));
    assert_eq!(env.status(&first), "orphaned");
    let third = third.stdout.trim_end();
    assert_eq!(env.status(third), "queued");
    let killed = env.run(["kill", third]);
    assert!(killed.stdout.ends_with(": killed\n"), "{killed}");
}

/// What needs no processes works from everywhere: to wait, to read, and to ask a supervisor.
#[test]
fn a_job_can_be_waited_for_and_killed_from_another_namespace() {
    let Some(unshare) = crate::needs::namespaces() else { return };
    let env = TestEnv::new();
    let (first, second) = (env.submit(&format!("{}; exit 3", until("go"))), env.submit("exec sleep 1000"));
    let main = env.main_process(&second);
    let mut waiter = Background::spawn(foreign(&env, unshare, &["wait", &first]));
    let killed = Ran::of(foreign(&env, unshare, &["kill", &second]));
    assert!(killed.stdout.ends_with(": killed\n"), "{killed}");
    assert!(!is_alive(main));
    touch(&env, "go");
    assert_eq!(waiter.end().code(), Some(3));
}
