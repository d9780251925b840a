//! Limits of the submitting process: they are reported as errors or respected, and never make a job wait for ever.

use nix::sys::signal::Signal;

use crate::bad_input::check_refusal;
use crate::mcp_client::JOBMCP;
use crate::support::{Ran, TestEnv, is_alive, send, wait_for};

fn under(env: &TestEnv, limit: &str, line: &str) -> Ran {
    let mut command = env.command("sh");
    command.args(["-c", &format!("{limit}; {line}")]);
    Ran::of(command)
}

/// The kernel used to kill it without a message.
#[test]
fn a_limit_of_file_size_is_an_error_of_the_submitter_and_holds_for_the_job() {
    let env = TestEnv::new();
    for limit in ["ulimit -f 0", "ulimit -f 1"] {
        let ran = under(&env, limit, "\"$JOBCLI\" run true");
        check_refusal(&ran, 1, "the limit of file size (`ulimit -f`) is smaller than the records of a job", limit);
        assert_eq!(env.ok(["list", "--all", "--json"]), "[]", "{limit}");
    }
    let ran = under(&env, "ulimit -f 100", "\"$JOBCLI\" run --wait 'exec head -c 1000000 /dev/zero > large'");
    assert_eq!(ran.code, Some(128 + 25), "the limit kills the job: {ran}");
    env.wait_until_empty();
}

/// The stack used to overflow, and the program was aborted.
#[test]
fn a_small_stack_is_enough() {
    let env = TestEnv::new();
    for limit in ["ulimit -s 64", "ulimit -s 100"] {
        let ran = under(&env, limit, "\"$JOBCLI\" run --wait 'ulimit -s; exit 7'");
        assert_eq!(ran.code, Some(7), "{limit}: {ran}");
        let size = limit.rsplit_once(' ').unwrap().1;
        assert_eq!(env.ok(["output", &ran.stdout[..36]]), size, "the limit of the job");
        let ran = under(&env, limit, &format!("\"{JOBMCP}\" --version"));
        assert_eq!(ran.code, Some(0), "{limit}: {ran}");
    }
}

/// Files that the program opened used to take the place of the stream.
#[test]
fn streams_that_are_closed_are_no_obstacle() {
    let env = TestEnv::new();
    for closed in ["exec <&-", "exec >&-", "exec 2>&-", "exec <&- >&- 2>&-"] {
        let ran = under(&env, closed, "\"$JOBCLI\" run --wait 'echo hi; exit 7'");
        assert_eq!(ran.code, Some(7), "{closed}: {ran}");
        let id = env.ok(["list", "--quiet", "--limit", "1"]);
        assert_eq!(env.ok(["output", &id]), "hi", "{closed}");
    }
}

/// It used to wait for ever with no job running: the supervisor had no descriptors, and no error was reported.
#[test]
fn with_few_descriptors_a_job_runs_or_the_reason_is_reported() {
    let env = TestEnv::new();
    let mut ran_well = 0;
    for limit in (4..24).flat_map(|number| [format!("ulimit -Sn {number}"), format!("ulimit -n {number}")]) {
        let ran = under(&env, &limit, "timeout 60 \"$JOBCLI\" run --wait 'exit 7'");
        match ran.code {
            Some(7) => ran_well += 1,
            _ => assert!(ran.code != Some(124) && !ran.stderr.is_empty(), "{limit}: {ran}"),
        }
    }
    // A job that waits, and a waiter that could not start it.
    env.ok(["config", "set", "max_running", "1"]);
    let first = env.ok(["run", "sleep", "1000"]);
    let (main, supervisor) = (env.main_process(&first), env.supervisor(&first));
    let queued = env.submit("exit 7");
    // Nothing is left that would start it.
    send(supervisor, Signal::SIGKILL);
    send(main, Signal::SIGKILL);
    wait_for("both to be dead", || (!is_alive(main) && !is_alive(supervisor)).then_some(()));
    for limit in 4..16 {
        let ran = under(&env, &format!("ulimit -Sn {limit}"), &format!("timeout 60 \"$JOBCLI\" wait {queued}"));
        assert!(ran.code == Some(7) || ran.code != Some(124) && !ran.stderr.is_empty(), "{limit}: {ran}");
    }
    assert_eq!(env.run(["wait", &queued]).code, Some(7));
    assert!(ran_well > 0);
    env.wait_until_empty();
    let left: serde_json::Value = serde_json::from_str(&env.ok(["list", "--all", "--json"])).unwrap();
    for job in left.as_array().unwrap() {
        let is_first = job["job_id"] == first.as_str();
        assert!(is_first || job["exit_code"] == 7 || job["cause"] == "never_started", "{job}");
    }
}
