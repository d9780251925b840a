//! The daily commands, as a person types them.

use crate::support::{TestEnv, wait_for};

#[test]
fn a_job_is_submitted_and_only_its_id_is_printed() {
    let env = TestEnv::new();
    let ran = env.run(["run", "echo hi; echo err >&2; exit 3"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran}");
    let id = ran.stdout.trim_end();
    assert_eq!(id.len(), 36, "{ran}");
    let waited = env.run(["wait", id]);
    assert_eq!(waited.code, Some(3), "{waited}");
    assert_eq!(env.status(id), "failed");
    assert_eq!(env.ok(["output", "--stdout", id]), "hi");
    assert_eq!(env.ok(["output", "--stderr", id]), "err");
}

#[test]
fn kill_prints_killed_when_nothing_is_left() {
    let env = TestEnv::new();
    let id = env.submit("sleep 1000");
    let main = env.main_process(&id);
    let ran = env.run(["kill", &id]);
    assert!(ran.stdout.ends_with(": killed\n"), "{ran}");
    assert!(!crate::support::is_alive(main));
    let job = env.job(&id);
    assert_eq!(
        (&job["status"], &job["cause"], &job["signal"]),
        (&"killed".into(), &"stopped".into(), &"SIGTERM".into())
    );
    wait_for("the supervisor to be gone", || env.processes().is_empty().then_some(()));
}
