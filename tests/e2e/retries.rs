//! Jobs whose command is started again: attempts, their limits and delays, and what kills in between do to them.

use std::collections::BTreeSet;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::mcp_client::Client;
use crate::support::{TestEnv, is_alive, send, wait_for};

/// A line that fails until its attempt has this number, and records its attempts.
fn fails_until(attempt: u32) -> String {
    format!("echo attempt $JOBCORE_ATTEMPT; echo $JOBCORE_ATTEMPT >> ran; [ $JOBCORE_ATTEMPT -ge {attempt} ] || exit 3")
}

fn ran(env: &TestEnv) -> Vec<u32> {
    let text = std::fs::read_to_string(env.dir().join("ran")).unwrap_or_default();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

fn kill_supervisor(env: &TestEnv, id: &str) {
    let supervisor = env.supervisor(id);
    send(supervisor, Signal::SIGKILL);
    wait_for("the supervisor to be dead", || (!is_alive(supervisor)).then_some(()));
}

/// Kills the supervisor of a job and its command without any process noticing.
fn kill_all_of(env: &TestEnv, id: &str) {
    let main = env.main_process(id);
    kill_supervisor(env, id);
    send(main, Signal::SIGKILL);
    wait_for("the command to be dead", || (!is_alive(main)).then_some(()));
}

/// Waits until the next attempt of a job is recorded as due.
fn until_between_attempts(env: &TestEnv, id: &str) {
    wait_for("the time between two attempts", || {
        let start = env.records(id).get("start")?;
        start["due_at"].is_string().then_some(())
    });
}

#[test]
fn each_attempt_is_kept_and_shown() {
    let env = TestEnv::new();
    let line = fails_until(3);
    let ran = env.run(["run", "--wait", "--retries", "5", "--backoff", "10ms..20ms", "--name", "flaky", &line]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stderr.contains("completed after") && ran.stderr.contains("and 3 attempts"), "{ran}");
    let job = env.job("flaky");
    assert_eq!((&job["attempt"], &job["exit_code"]), (&3.into(), &0.into()), "{job}");
    let attempts: Vec<_> = job["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["exit_code"]).collect();
    assert_eq!(attempts, [&Value::from(3), &Value::from(3)]);
    assert_eq!(job["started_at"], job["attempts"][0]["started_at"]);
    let shown = env.ok(["show", "flaky"]);
    assert!(shown.contains("attempt 1    exit code 3 after"), "{shown}");
    assert!(shown.contains("restarts     on failure, up to 5 times, after 10ms to 20ms"), "{shown}");
    assert_eq!(env.ok(["output", "flaky"]), "attempt 1\nattempt 2\nattempt 3");
    for attempt in 1..=3 {
        let number = attempt.to_string();
        let expected = format!("attempt {attempt}");
        assert_eq!(env.ok(["output", "--attempt", &number, "flaky"]), expected);
        assert_eq!(env.ok(["output", "--attempt", &number, "--tail", "5", "flaky"]), expected);
        assert_eq!(env.ok(["output", "--attempt", &number, "--grep", "attempt", "flaky"]), expected);
    }
    let unknown = env.run(["output", "--attempt", "4", "flaky"]);
    assert_eq!(unknown.code, Some(2), "{unknown}");
    assert!(unknown.stderr.contains("nothing is on record about attempt 4"), "{unknown}");
    let events = env.ok(["events", "--since", "0"]);
    assert_eq!(events.matches("retrying").count(), 2, "{events}");
}

#[test]
fn a_job_whose_attempts_all_fail_has_failed() {
    let env = TestEnv::new();
    let run = |options: &[&str], line: &str| {
        let mut arguments = vec!["run", "--wait", "--quiet", "--backoff", "1ms"];
        arguments.extend(options);
        arguments.push(line);
        env.run(arguments).code
    };
    assert_eq!(run(&["--retries", "2"], "echo x >> two; exit 7"), Some(7));
    assert_eq!(run(&["--retries", "5", "--retry-on", "70,75..80"], "echo x >> once; exit 7"), Some(7));
    assert_eq!(run(&["--restart", "on-failure"], "echo x >> good; exit 0"), Some(0));
    assert_eq!(run(&["--keep-alive", "--retries", "3"], "echo x >> kept; exit 0"), Some(0));
    assert_eq!(
        run(&["--retries", "1", "--timeout", "50ms", "--grace", "1s"], "echo x >> slow; exec sleep 1000"),
        Some(143)
    );
    let lines = |name: &str| std::fs::read_to_string(env.dir().join(name)).unwrap().lines().count();
    assert_eq!(["two", "once", "good", "kept", "slow"].map(lines), [3, 1, 1, 4, 2]);
    for wrong in [
        &["--backoff", "5m..1s", "--retries", "1"] as &[_],
        &["--retry-on", "300", "--retries", "1"],
        &["--retry-on", "75"],
        &["--keep-alive", "--restart", "always"],
        &["--retries", "1", "--leave-stragglers"],
    ] {
        let ran = env.run([&["run"], wrong, &["true"]].concat());
        assert_eq!(ran.code, Some(2), "{ran}");
    }
}

#[test]
fn between_attempts_a_job_shows_that_and_can_be_stopped() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--quiet", "--restart", "on-failure", "--backoff", "1h", "exit 4"]);
    until_between_attempts(&env, &id);
    let job = env.job(&id);
    assert_eq!((&job["status"], &job["attempt"]), (&"running".into(), &2.into()), "{job}");
    assert!(job.get("pid").is_none() && job["next_attempt_at"].is_string(), "{job}");
    let words = "attempt 2 in 59m, after exit code 4";
    assert!(env.ok(["list"]).contains(&format!("[{words}]")));
    assert_eq!(env.run(["status", &id]).stderr.trim(), words);
    let paused = env.run(["pause", &id]);
    assert!(paused.code != Some(0) && paused.stderr.contains("is about to be started again"), "{paused}");
    env.ok(["kill", &id]);
    let job = env.job(&id);
    assert_eq!((&job["status"], &job["cause"]), (&"killed".into(), &"stopped".into()), "{job}");
    assert_eq!(job["attempts"].as_array().unwrap().len(), 1);
    env.wait_until_empty();
}

/// The next look starts the next attempt. A command that may have run is not run again as part of the same attempt.
#[test]
fn a_job_that_loses_its_supervisor_and_its_command_is_started_again() {
    let env = TestEnv::new();
    let line = "echo $JOBCORE_ATTEMPT >> ran; echo $SECRET; [ $JOBCORE_ATTEMPT = 3 ] || exec sleep 1000";
    let id =
        env.ok(["run", "--quiet", "--env", "SECRET=hush", "--keep-alive", "--retries", "2", "--backoff", "1ms", line]);
    for attempt in 1..=2 {
        wait_for("the attempt", || (ran(&env).len() == attempt).then_some(()));
        wait_for("it on record", || env.records(&id).has("running").then_some(()));
        kill_all_of(&env, &id);
        assert_eq!(env.status(&id), "running");
    }
    assert_eq!(env.run(["wait", &id]).code, Some(0));
    assert_eq!(ran(&env), [1, 2, 3]);
    assert_eq!(env.ok(["output", &id]), "hush\nhush\nhush", "the environment is kept as long as it is needed");
    let job = env.job(&id);
    let causes: Vec<_> = job["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["cause"]).collect();
    assert_eq!(causes, ["supervisor_lost", "supervisor_lost"]);
    assert_eq!(env.records(&id).environment(), None, "and no longer");
    env.wait_until_empty();
}

#[test]
fn a_supervisor_that_is_killed_between_attempts_is_replaced() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--quiet", "--retries", "3", "--backoff", "600ms", &fails_until(3)]);
    for attempts in 1..=2 {
        wait_for("the attempt", || (ran(&env).len() == attempts).then_some(()));
        until_between_attempts(&env, &id);
        kill_supervisor(&env, &id);
        assert_eq!(env.status(&id), "running");
    }
    assert_eq!(env.run(["wait", &id]).code, Some(0));
    assert_eq!(ran(&env), [1, 2, 3]);
    let job = env.job(&id);
    let codes: Vec<_> = job["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["exit_code"]).collect();
    assert_eq!(codes, [3, 3], "{job}");
}

#[test]
fn a_keep_alive_job_is_started_again_after_a_restart_of_the_machine() {
    let env = TestEnv::new();
    let line = "echo $JOBCORE_ATTEMPT >> ran; exec sleep 1000";
    let id = env.ok(["run", "--quiet", "--keep-alive", "--backoff", "1ms", line]);
    wait_for("the command", || (ran(&env).len() == 1).then_some(()));
    wait_for("it on record", || env.records(&id).has("running").then_some(()));
    kill_all_of(&env, &id);
    for (record, process) in [("start", "holder"), ("running", "process")] {
        let boot_id = "5a5e1d3c-0000-4000-8000-0123456789ab";
        env.records(&id).change(record, |value| value[process]["boot_id"] = boot_id.into());
    }
    assert_eq!(env.status(&id), "running");
    wait_for("the next attempt", || (ran(&env) == [1, 2]).then_some(()));
    assert_eq!(env.job(&id)["attempts"][0]["cause"], "rebooted");
    env.ok(["kill", &id]);
    assert_eq!(env.status(&id), "killed");
    env.wait_until_empty();
}

#[test]
fn a_job_that_was_being_stopped_when_its_supervisor_was_killed_is_not_started_again() {
    let env = TestEnv::new();
    let line = "trap '' TERM; echo x >> ran_once; while :; do sleep 0.02; done";
    let id = env.ok(["run", "--quiet", "--keep-alive", "--backoff", "1ms", line]);
    wait_for("the command", || env.dir().join("ran_once").exists().then_some(()));
    env.ok(["kill", "--no-wait", "--grace", "1h", &id]);
    wait_for("the stop on record", || env.records(&id).has("stopping").then_some(()));
    kill_all_of(&env, &id);
    wait_for("its end", || (env.status(&id) != "running").then_some(()));
    assert_eq!(std::fs::read_to_string(env.dir().join("ran_once")).unwrap(), "x\n");
    env.wait_until_empty();
}

/// However often its supervisor is killed, no attempt runs twice, and the job comes to its end.
#[test]
fn no_attempt_runs_twice_over_many_kills() {
    let env = TestEnv::new();
    let line = "echo $JOBCORE_ATTEMPT >> ran; sleep 0.01; [ $JOBCORE_ATTEMPT -ge 25 ]";
    let id = env.ok(["run", "--quiet", "--restart", "on-failure", "--backoff", "5ms", line]);
    let mut kills = 0;
    wait_for("its end", || {
        let job = env.job(&id);
        if job["status"] == "running" && kills < 40 {
            kills += 1;
            let full_id = job["job_id"].as_str().unwrap();
            let supervisor =
                env.processes().into_iter().find(|line| line.contains("jobcore-supervisor") && line.contains(full_id));
            if let Some(pid) = supervisor.and_then(|line| line.split_whitespace().next()?.parse().ok()) {
                send(pid, Signal::SIGKILL);
            }
        }
        (job["status"] != "running").then_some(())
    });
    assert_eq!(env.status(&id), "completed", "{}", env.job(&id));
    let ran = ran(&env);
    assert_eq!(ran.iter().collect::<BTreeSet<_>>().len(), ran.len(), "{ran:?}");
    assert!(ran.is_sorted(), "{ran:?}");
    env.wait_until_empty();
}

#[test]
fn a_model_asks_for_attempts_and_sees_them() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let execute = json!({ "command": fails_until(2), "name": "flaky", "retries": 2, "backoff": "1ms", "wait_s": 50 });
    let answer = client.ok("execute", execute);
    assert!(answer.text.contains("`flaky` completed with exit code 0"), "{}", answer.text);
    let status = client.ok("status", json!({ "job_id": "flaky" })).text;
    assert!(status.contains("and 2 attempts"), "{status}");
    let resting =
        json!({ "command": "exit 3", "name": "resting", "restart": "on_failure", "backoff": "1h", "wait_s": 0 });
    client.ok("execute", resting);
    until_between_attempts(&env, env.job("resting")["job_id"].as_str().unwrap());
    let status = client.ok("status", json!({ "job_id": "resting" })).text;
    assert!(status.contains("attempt 2 in 59m, after exit code 3"), "{status}");
    for wrong in
        [json!({ "retry_on": [75] }), json!({ "restart": "sometimes" }), json!({ "retries": 1, "backoff": "soon" })]
    {
        let mut arguments = wrong.clone();
        arguments["command"] = "true".into();
        let refused = client.call("execute", arguments);
        assert!(refused.is_error, "{wrong}: {}", refused.text);
    }
    client.ok("kill", json!({ "job_id": "resting" }));
}
