//! The faults that break other job managers: a manager that is killed or asked to end, trees that are not stopped,
//! secrets and ids.
//!
//! Other faults of this kind are tested where they belong: full disks in `full.rs`, damaged files in `damaged.rs`,
//! reused process ids in `reboot.rs`, the remains of a killed writer in `crash.rs`, jobs that do not read or that read
//! to the end in `input.rs`, and children that keep an output open in `trees.rs`.

use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;

use crate::background::{touch, until};
use crate::support::{TestEnv, is_alive, send, wait_for};

/// A job that would exit with 7 and a queued one, while everything that manages them is killed or asked to end.
fn goes_on_without_its_manager(signal: Signal) {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "1"]);
    let running = env.submit(&format!("echo before; {}; echo after; exit 7", until("go")));
    let queued = env.submit("echo queued");
    wait_for("output", || (env.ok(["output", &running]) == "before").then_some(()));
    let main = env.main_process(&running);
    match signal {
        // The next look puts another supervisor in charge.
        Signal::SIGKILL => env.replace_supervisor(&running),
        signal => send(env.supervisor(&running), signal),
    }
    assert!(is_alive(main));
    touch(&env, "go");
    let waited = env.run(["wait", &running]);
    // Kernels before 6.15 do not report the exit code to the next supervisor.
    let expected = if signal == Signal::SIGKILL { [Some(7), Some(125)] } else { [Some(7); 2] };
    assert!(expected.contains(&waited.code), "{waited}");
    assert_eq!(env.ok(["output", &running]), "before\nafter");
    assert_eq!(env.run(["wait", &queued]).code, Some(0));
    assert_eq!(env.ok(["output", &queued]), "queued");
    env.wait_until_empty();
}

#[test]
fn a_killed_manager_costs_no_job_no_output_and_no_place_in_the_queue() {
    goes_on_without_its_manager(Signal::SIGKILL);
}

/// As at an upgrade or the end of a service.
#[test]
fn a_manager_that_is_asked_to_end_kills_no_job() {
    goes_on_without_its_manager(Signal::SIGTERM);
}

/// A child in the same group, one in a session of its own, one there that has lost its parent, and one in the
/// foreground: all of them ignore SIGTERM.
#[test]
fn a_stop_leaves_none_of_four_children_that_ignore_it() {
    let env = TestEnv::new();
    let line = "trap '' TERM; sleep 900 & setsid sleep 901 & (setsid sleep 902 &); touch up; sleep 903";
    let id = env.submit(line);
    wait_for("all of them", || {
        (env.processes().iter().filter(|line| line.contains("sleep 90")).count() == 4).then_some(())
    });
    env.ok(["kill", "--grace", "200ms", &id]);
    assert_eq!(env.status(&id), "killed");
    env.wait_until_empty();
}

#[test]
fn the_secrets_of_a_job_are_readable_by_its_user_alone() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--quiet", "--env", "TOKEN=hunter2", "--wait", "echo $TOKEN"]);
    let mut directories = vec![env.store().to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            assert_eq!(metadata.permissions().mode() & 0o077, 0, "{}", entry.path().display());
            if metadata.is_dir() {
                directories.push(entry.path());
            } else if !entry.path().starts_with(env.job_dir(&id))
                || entry.path().extension().is_none_or(|kind| kind != "log")
            {
                let bytes = std::fs::read(entry.path()).unwrap_or_default();
                assert!(!bytes.windows(7).any(|window| window == b"hunter2"), "{}", entry.path().display());
            }
        }
    }
}

#[test]
fn the_id_of_a_removed_job_is_never_used_again() {
    let env = TestEnv::new();
    let first = env.ok(["run", "--quiet", "--wait", "true"]);
    env.ok(["rm", &first]);
    let second = env.ok(["run", "--quiet", "--wait", "true"]);
    assert_ne!(first, second);
    assert_eq!(env.run(["status", &first]).code, Some(3));
}
