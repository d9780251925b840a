//! How an end is reported, and the exit code that goes with it.

use crate::background::{touch, until};
use crate::support::{TestEnv, wait_for};

#[test]
fn a_waiter_gets_a_report_of_the_end() {
    let env = TestEnv::new();
    for (line, code, told) in [
        ("exit 0", 0, "completed after "),
        ("exit 3", 3, "failed with exit code 3 after "),
        ("kill -SEGV $$", 139, "failed: ended by SIGSEGV"),
    ] {
        for options in [&["run", "--wait"][..], &["run", "--follow"]] {
            let ran = env.run(options.iter().chain(&["--name", "it", line]));
            assert_eq!(ran.code, Some(code), "{line}: {ran}");
            let last = ran.stderr.lines().last().unwrap_or_default();
            assert!(last.starts_with("it (") && last.contains(told), "{options:?} {line}: {ran}");
        }
        let ran = env.run(["wait", "it"]);
        assert!(ran.code == Some(code) && ran.stderr.contains(told), "{line}: {ran}");
        assert_eq!(ran.stdout.lines().count(), 1, "what programs read is unchanged: {ran}");
        for options in [&["wait", "--quiet", "it"][..], &["wait", "--json", "it"], &["run", "--wait", "--quiet", line]]
        {
            assert_eq!(env.run(options).stderr, "", "{options:?}");
        }
    }
    assert_eq!(env.run(["run", "--follow", "--quiet", "echo out; echo err >&2"]).stderr, "err\n");
}

/// A server that a line starts in the background is stopped with the job, and a waiter gets to know.
#[test]
fn a_waiter_gets_a_report_of_what_was_stopped_with_the_job() {
    let env = TestEnv::new();
    let line = "sleep 1000 & sleep 1000 & echo started";
    for options in [&["--wait"][..], &["--follow"]] {
        let ran = env.run(["run", "--name", "it"].iter().chain(options).chain(&[line]));
        assert_eq!(ran.code, Some(0), "{ran}");
        let told = "; stopped 2 processes that it had left in the background (`--leave-stragglers` keeps them)";
        assert!(ran.stderr.trim_end().ends_with(told), "{ran}");
        assert!(env.run(["wait", "it"]).stderr.contains(told));
    }
    let ran = env.run(["run", "--wait", "--leave-stragglers", line]);
    assert!(ran.stderr.trim_end().ends_with("may still be running"), "{ran}");
    let ran = env.run(["run", "--wait", "true"]);
    assert!(!ran.stderr.contains("background"), "{ran}");
}

#[test]
fn each_end_is_reported_when_it_happens() {
    let env = TestEnv::new();
    env.ok(["run", "--name", "slow", &until("go")]);
    env.ok(["run", "--name", "fast", "exit 3"]);
    let mut command = env.jobcli(["wait", "slow", "fast"]);
    command.stderr(std::fs::File::create(env.dir().join("told")).unwrap()).stdout(std::process::Stdio::piped());
    let waiting = command.spawn().unwrap();
    let told = || std::fs::read_to_string(env.dir().join("told")).unwrap();
    wait_for("the first end to be reported", || told().contains("fast (").then_some(()));
    assert!(!told().contains("slow ("), "{}", told());
    assert_eq!(env.status("slow"), "running");
    touch(&env, "go");
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(told().lines().count(), 2, "{}", told());
    // Of several jobs that have already ended, the one named first counts as the one that was waited for.
    let ran = env.run(["wait", "--any", "fast", "slow"]);
    assert_eq!((ran.code, ran.stderr.lines().count()), (Some(3), 1), "{ran}");
}

/// Whatever its trap returned: the job did not do what it was started for.
#[test]
fn a_job_that_was_stopped_never_passes_on_zero() {
    let env = TestEnv::new();
    let polite = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.02; done";
    let id = env.submit(polite);
    wait_for("the trap", || (env.ok(["output", &id]) == "ready").then_some(()));
    env.ok(["kill", &id]);
    let job = env.job(&id);
    assert_eq!((&job["status"], &job["exit_code"]), (&"killed".into(), &0.into()), "what it did is on record");
    for options in [&["wait"][..], &["wait", "--any"], &["wait", "--json"]] {
        assert_eq!(env.run(options.iter().chain(&[id.as_str()])).code, Some(143), "{options:?}");
    }
    // It has the time to set its trap.
    let slow = format!("{polite}; :");
    for options in [&["run", "--wait"][..], &["run", "--follow"], &["run", "--wait", "--json"]] {
        let ran = env.run(options.iter().chain(&["--timeout", "2s", &slow]));
        assert_eq!(ran.code, Some(143), "{options:?}: {ran}");
    }
    assert_eq!(env.run(["run", "--wait", "exit 143"]).code, Some(143));
}

/// Each kind of call has one code for the same refusal, and the page that documents the codes is right.
#[test]
fn a_refusal_has_the_documented_code() {
    let env = TestEnv::new();
    env.ok(["config", "set", "policy.deny", "rm"]);
    for (options, code) in
        [(&[][..], 4), (&["--json"], 4), (&["--wait"], 125), (&["--follow"], 125), (&["--wait", "--json"], 125)]
    {
        let ran = env.run(["run"].iter().chain(options).chain(&["rm x"]));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{options:?}: {ran}");
    }
}

/// As an option, and in JSON.
#[test]
fn a_stop_begins_with_the_signal_that_was_asked_for() {
    let env = TestEnv::new();
    let line = "trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.02; done";
    let json = serde_json::json!({ "command": line, "stop_signal": "INT", "output_limit": "64K" });
    std::fs::write(env.dir().join("job.json"), json.to_string()).unwrap();
    for arguments in [&["--stop-signal", "INT", "--output-limit", "64K", line][..], &["--spec", "job.json"]] {
        let id = env.ok(["run"].iter().chain(arguments));
        wait_for("the trap", || (env.ok(["output", &id]) == "ready").then_some(()));
        env.ok(["kill", "--grace", "1h", &id]);
        assert_eq!(env.ok(["output", &id]), "ready\ninterrupted");
        let ran = env.run(["wait", &id]);
        assert!(ran.code == Some(5) && ran.stderr.contains(": killed (exit code 5) by jobcli, process "), "{ran}");
        assert!(env.ok(["show", &id]).contains("output limit 64.0 KiB"), "{}", env.ok(["show", &id]));
    }
}
