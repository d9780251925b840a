//! Jobs that are run again and again.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

use jobcore::clock::Timestamp;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::mcp_client::Client;
use crate::queueing::sleepers;
use crate::support::{JOBCLI, TestEnv, send, wait_for};

/// A time that passed long ago.
fn past(day: u32) -> String {
    format!("2020-{:02}-{:02}T00:00:00Z", day / 28 + 1, day % 28 + 1)
}

/// Submits a schedule with no time that comes while the test runs, and returns its id.
fn daily(env: &TestEnv, name: &str, options: &[&str], line: &str) -> String {
    env.ok([&["run", "--quiet", "--name", name, "--every", "1d", "--in", "1d"], options, &[line]].concat())
}

/// Makes a time of a schedule due.
fn let_come(env: &TestEnv, name: &str, day: u32) {
    env.ok(["edit", name, "--at", &past(day)]);
}

/// The schedules with their last runs.
fn schedules(env: &TestEnv) -> Vec<Value> {
    serde_json::from_str(&env.ok(["schedule", "list", "--json"])).unwrap()
}

/// The runs of a schedule, newest first.
fn runs(env: &TestEnv, schedule: &str) -> Vec<Value> {
    let jobs: Vec<Value> = serde_json::from_str(&env.ok(["list", "--all", "--json"])).unwrap();
    jobs.into_iter().filter(|job| job["run_of"]["job_id"] == schedule).collect()
}

fn ids(jobs: &[Value]) -> Vec<String> {
    jobs.iter().map(|job| job["job_id"].as_str().unwrap().to_owned()).collect()
}

/// The number of lines that jobs have written to a file.
fn lines(env: &TestEnv, file: &str) -> usize {
    fs::read_to_string(env.dir().join(file)).unwrap_or_default().lines().count()
}

/// Starts a command without reading its output.
fn start(env: &TestEnv, arguments: &[&str]) -> Child {
    env.jobcli(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Whether the record of a job contains this text.
fn is_kept(env: &TestEnv, id: &str, text: &str) -> bool {
    let record = fs::read(env.job_dir(id).join("job")).unwrap();
    record.windows(text.len()).any(|bytes| bytes == text.as_bytes())
}

#[test]
fn a_schedule_runs_again_and_again_without_any_look() {
    let env = TestEnv::new();
    let submitted = env.run(["run", "--name", "tick", "--env", "WHO=hunter2", "--every", "1s", "echo $WHO >> ticks"]);
    let id = submitted.stdout.trim_end().to_owned();
    assert!(submitted.stderr.contains("queued: every 1s, next at "), "{submitted}");
    wait_for("three runs", || (lines(&env, "ticks") >= 3).then_some(()));
    assert!(fs::read_to_string(env.dir().join("ticks")).unwrap().lines().all(|line| line == "hunter2"));
    let [schedule] = schedules(&env).try_into().unwrap();
    assert_eq!(schedule["schedule"]["name"], "tick");
    assert_eq!(schedule["schedule"]["repeat"], json!({ "rule": { "every_ms": 1000 } }));
    assert_eq!(schedule["last_run"]["run_of"]["job_id"], id.as_str());
    let paused = env.ok(["schedule", "pause", "tick"]);
    assert!(paused.contains(": queued (every 1s, on hold, last run "), "{paused}");
    wait_for("the sleeper to end", || sleepers(&env).is_empty().then_some(()));
    let last = ids(&runs(&env, &id)).remove(0);
    env.ok(["wait", &last]);
    let count = runs(&env, &id).len();
    assert!(env.ok(["schedule"]).contains("  paused  "));
    env.ok(["schedule", "resume", "tick"]);
    wait_for("another run", || (runs(&env, &id).len() > count).then_some(()));
    let listed = env.ok(["schedule"]);
    assert!(listed.starts_with("ID ") && listed.contains("  tick  every 1s  "), "{listed}");
    assert!(is_kept(&env, &id, "hunter2"));
    let removed = env.ok(["schedule", "remove", "tick"]);
    assert!(removed.ends_with(": killed"), "{removed}");
    let all = ids(&runs(&env, &id));
    env.run([&["wait"], all.iter().map(String::as_str).collect::<Vec<_>>().as_slice()].concat());
    for job in all.iter().chain([&id]) {
        assert!(!is_kept(&env, job, "hunter2"), "{job}");
    }
    assert_eq!(env.ok(["schedule", "list", "--json"]), "[]");
    env.wait_until_empty();
}

#[test]
fn missed_times_are_run_once_or_skipped_and_runs_never_overlap() {
    let env = TestEnv::new();
    let id = daily(&env, "run", &[], "while [ ! -e gate ]; do sleep 0.02; done; echo run >> ran");
    let skips = daily(&env, "skip", &["--missed", "skip"], "echo skip >> ran");
    wait_for("one that sleeps", || (sleepers(&env).len() == 1).then_some(()));
    assert_eq!(runs(&env, &id).len(), 0);
    for name in ["run", "skip"] {
        let_come(&env, name, 0);
    }
    let first = ids(&runs(&env, &id));
    assert_eq!((first.len(), runs(&env, &skips).len()), (1, 0));
    assert_eq!(env.job(&first[0])["run_of"]["at"], "2020-01-01T00:00:00Z");
    // A time that comes while a run is in progress is skipped.
    let_come(&env, "run", 1);
    assert_eq!(ids(&runs(&env, &id)), first);
    let refused = env.run(["schedule", "run", "run"]);
    assert!(refused.code == Some(4) && refused.stderr.contains("never overlap"), "{refused}");
    fs::write(env.dir().join("gate"), "").unwrap();
    env.ok(["wait", &first[0]]);
    let_come(&env, "run", 2);
    let second = ids(&runs(&env, &id)).remove(0);
    env.ok(["wait", &second]);
    // An extra run, which does not change the next time.
    let next = env.job(&id)["queued"]["at"].clone();
    let third = env.ok(["schedule", "run", "run"]);
    env.ok(["wait", &third]);
    assert_eq!((lines(&env, "ran"), runs(&env, &id).len()), (3, 3));
    assert_eq!((&env.job(&id)["queued"]["at"], env.job(&id)["queued"]["reason"].as_str()), (&next, Some("repeats")));
    // The rule is edited.
    env.ok(["edit", "run", "--every", "1h", "--missed", "skip"]);
    let repeat = &env.job(&id)["repeat"];
    assert_eq!(repeat, &json!({ "rule": { "every_ms": 3_600_000 }, "missed": "skip" }));
    let at = env.job(&id)["queued"]["at"].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert!(at.duration_since(Timestamp::now()).as_secs() <= 3600, "the next time follows the new rule: {at}");
    env.ok(["schedule", "remove", "run", "skip"]);
}

/// The process that runs a schedule is killed at any moment: each time has exactly one run.
#[test]
fn each_time_has_one_run_whenever_lookers_are_killed() {
    let env = TestEnv::new();
    let id = daily(&env, "often", &[], "echo run >> ran");
    let times = 24;
    for day in 0..times {
        let mut lookers: Vec<_> = (0..3).map(|_| start(&env, &["edit", "often", "--at", &past(day)])).collect();
        std::thread::sleep(Duration::from_micros(1500 * u64::from(day)));
        for looker in &mut lookers {
            looker.kill().unwrap();
            looker.wait().unwrap();
        }
        // Another process may be about to look.
        wait_for("its time to come", || (env.run(["edit", "often", "--at", &past(day)]).code == Some(0)).then_some(()));
        let run = wait_for("a run", || runs(&env, &id).into_iter().find(|run| run["run_of"]["at"] == past(day)));
        env.ok(["wait", run["job_id"].as_str().unwrap()]);
    }
    let runs = runs(&env, &id);
    let distinct: BTreeSet<_> = runs.iter().map(|run| run["run_of"]["at"].as_str().unwrap()).collect();
    assert_eq!((runs.len(), distinct.len(), lines(&env, "ran")), (24, 24, 24));
    env.ok(["schedule", "remove", "often"]);
}

#[test]
fn twenty_concurrent_looks_make_one_run() {
    let env = TestEnv::new();
    let id = daily(&env, "one", &[], "echo run >> ran");
    // Its time comes while no process looks.
    env.ok(["schedule", "pause", "one"]);
    let editors: Vec<_> = (0..20).map(|_| start(&env, &["edit", "one", "--at", &past(0)])).collect();
    for mut editor in editors {
        editor.wait().unwrap();
    }
    assert_eq!(runs(&env, &id).len(), 0);
    env.ok(["schedule", "resume", "one"]);
    assert_eq!(runs(&env, &id).len(), 0, "times during the pause are skipped");
    let lookers: Vec<_> = (0..20)
        .map(|number| {
            let arguments =
                if number == 10 { vec!["edit", "one", "--at", "2020-02-01T00:00:00Z"] } else { vec!["list"] };
            start(&env, &arguments)
        })
        .collect();
    for mut looker in lookers {
        looker.wait().unwrap();
    }
    let run = wait_for("a run", || ids(&runs(&env, &id)).pop());
    env.ok(["wait", &run]);
    assert_eq!((runs(&env, &id).len(), lines(&env, "ran")), (1, 1));
    env.ok(["schedule", "remove", "one"]);
}

/// In a paused or full queue, at most one run waits.
#[test]
fn runs_wait_like_other_jobs_and_a_schedule_holds_up_no_other() {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "1"]);
    let id = daily(&env, "ci", &["--group", "ci", "--priority", "5"], "echo run >> ran");
    env.ok(["run", "--wait", "--quiet", "true"]);
    env.ok(["group", "pause", "ci"]);
    for day in 0..3 {
        let_come(&env, "ci", day);
    }
    let [run] = runs(&env, &id).try_into().unwrap();
    assert_eq!((&run["status"], &run["queued"]["reason"]), (&json!("queued"), &json!("paused")));
    assert_eq!((&run["group"], &run["priority"], run.get("name")), (&json!("ci"), &json!(5), None));
    let groups: Value = serde_json::from_str(&env.ok(["group", "list", "--json"])).unwrap();
    let of_group = groups.as_array().unwrap().iter().find(|group| group["name"] == "ci").unwrap();
    assert_eq!(of_group["queued"], 1, "{of_group}");
    // A wait for other jobs does not wait for the schedule.
    env.ok(["run", "--wait", "--quiet", "true"]);
    env.ok(["group", "resume", "ci"]);
    env.ok(["wait", "--group", "ci"]);
    env.ok(["wait", "--all"]);
    assert_eq!(lines(&env, "ran"), 1);
    // Another store has a sleeper of its own.
    let other = TestEnv::new();
    daily(&other, "ci", &[], "echo run >> ran");
    wait_for("one that sleeps for each", || [&env, &other].iter().all(|env| sleepers(env).len() == 1).then_some(()));
    let_come(&other, "ci", 0);
    wait_for("its run", || (lines(&other, "ran") == 1).then_some(()));
    assert_eq!(runs(&env, &id).len(), 1);
    for env in [&env, &other] {
        env.ok(["schedule", "remove", "ci"]);
    }
}

#[test]
fn what_does_not_apply_to_a_schedule_is_refused_with_what_does() {
    let env = TestEnv::new();
    let id = daily(&env, "nightly", &["--on-end", "echo ended >> hooks"], "echo backing up");
    let refused = |arguments: &[&str], code: i32, words: &str| {
        let refused = env.run(arguments);
        assert!(refused.code == Some(code) && refused.stderr.contains(words), "{arguments:?}: {refused}");
    };
    refused(&["wait", "nightly"], 125, "it is a schedule, which does not end by itself");
    refused(&["output", "nightly"], 4, "it has not run yet");
    refused(&["start", "nightly"], 4, "it is a schedule");
    refused(&["run", "--after", "nightly", "true"], 4, "it is a schedule");
    refused(&["run", "--every", "1h", "--wait", "true"], 125, "a schedule cannot be waited for");
    refused(&["run", "--every", "1h", "--cron", "@daily", "true"], 2, "cannot be used with");
    refused(&["run", "--every", "1ms", "true"], 2, "every: use at least a second");
    refused(&["run", "--cron", "0 3 * *", "true"], 2, "five fields");
    refused(&["run", "--cron", "0 0 30 2 *", "true"], 2, "there is no such time");
    refused(&["run", "--missed", "skip", "true"], 2, "`--missed` is only for schedules");
    refused(&["run", "--every", "1h", "--missed", "twice", "true"], 2, "`run` or `skip`");
    refused(&["rm", "nightly"], 4, "queued");
    let job = env.ok(["run", "--quiet", "--hold", "true"]);
    refused(&["schedule", "pause", &job], 4, "it is not a schedule");
    refused(&["schedule", "run", &job], 4, "it is not a schedule");
    refused(&["edit", &job, "--every", "1h"], 2, "submit another");
    let run = env.ok(["schedule", "run", "nightly"]);
    env.ok(["wait", &run]);
    refused(&["output", "nightly"], 4, &format!("jobcli output {}", env.job(&run)["short_id"].as_str().unwrap()));
    assert!(env.ok(["show", &run]).contains("run of       schedule "));
    assert!(env.ok(["list"]).contains("[every 1day] echo backing up"));
    wait_for("what is run at the end of the run", || (lines(&env, "hooks") == 1).then_some(()));
    env.ok(["prune", "--keep", "0"]);
    assert_eq!([env.status(&id), env.status(&job)], ["queued", "queued"], "an unfinished job stays");
    env.ok(["schedule", "remove", "nightly"]);
    env.ok(["kill", &job]);
    env.wait_until_empty();
    assert_eq!(lines(&env, "hooks"), 1, "nothing is run at the end of the schedule");
}

#[test]
fn times_of_a_clock_are_those_of_the_submitter() {
    let env = TestEnv::new();
    let spec = r#"{"command": "echo backing up", "name": "nightly", "cron": "0 3 * * 1-5", "missed": "skip"}"#;
    fs::write(env.dir().join("nightly.json"), spec).unwrap();
    let mut submit = env.jobcli(["run", "--quiet", "--spec", "nightly.json"]);
    let submitted = submit.env("TZ", "Asia/Kolkata").output().unwrap();
    let id = String::from_utf8(submitted.stdout).unwrap().trim_end().to_owned();
    let job = env.job(&id);
    let rule = json!({ "cron": { "pattern": "0 3 * * 1-5", "zone": "Asia/Kolkata" } });
    assert_eq!(job["repeat"], json!({ "rule": rule, "missed": "skip" }));
    assert!(job["queued"]["at"].as_str().unwrap().ends_with("T21:30:00Z"), "{job}");
    env.ok(["schedule", "remove", "nightly"]);
}

/// The sleeper was killed, or the machine was off: the first look runs what was missed.
#[test]
fn times_that_passed_unattended_are_run_at_the_next_look() {
    let env = TestEnv::new();
    env.ok(["run", "--quiet", "--name", "soon", "--every", "1h", "--in", "400ms", "echo run >> ran"]);
    wait_for("one that sleeps", || {
        let [sleeper] = sleepers(&env)[..] else { return None };
        send(sleeper, Signal::SIGKILL);
        Some(())
    });
    let due = Timestamp::now();
    wait_for("the time to come", || (Timestamp::now().duration_since(due).as_millis() > 500).then_some(()));
    env.ok(["list"]);
    wait_for("its run", || (lines(&env, "ran") == 1).then_some(()));
    wait_for("another one that sleeps", || (sleepers(&env).len() == 1).then_some(()));
    env.ok(["schedule", "remove", "soon"]);
}

#[test]
fn models_make_schedules_too() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let made =
        client.ok("execute", json!({ "command": "echo run >> ran", "name": "hourly", "every": "1h", "wait_s": 50 }));
    assert!(made.text.contains("every 1h, next at "), "{}", made.text);
    wait_for("its run", || (lines(&env, "ran") == 1).then_some(()));
    let status = client.ok("status", json!({ "job_id": "hourly" }));
    assert!(status.text.contains("every 1h, next at ") && status.text.contains("last run "), "{}", status.text);
    let refused = client.call("wait", json!({ "job_id": "hourly" }));
    assert!(refused.is_error && refused.text.contains("does not end by itself; its last run is"), "{}", refused.text);
    for wrong in [
        json!({ "command": "true", "every": "1h", "cron": "@daily" }),
        json!({ "command": "true", "every": "soon" }),
        json!({ "command": "true", "cron": "@daily", "until": "port:3000" }),
        json!({ "commands": ["true", "true"], "every": "1h" }),
    ] {
        assert!(client.call("execute", wrong.clone()).is_error, "{wrong}");
    }
    client.ok("kill", json!({ "job_id": "hourly" }));
}

/// The sleeper is started by a command of the job in one case, and by the supervisor of the job in the other.
#[test]
fn the_sleeper_for_another_job_outlives_the_job_that_started_it() {
    let env = TestEnv::new();
    let line = "exec \"$JOBCLI\" run --quiet --in 1h true";
    let waited = env.run(["run", "--wait", "--timeout", "60s", &format!("JOBCLI={JOBCLI}; {line}")]);
    assert_eq!(waited.code, Some(0), "{waited}");
    assert!(!waited.stderr.contains("stopped"), "{waited}");
    assert_eq!(sleepers(&env).len(), 1);
    env.ok(["kill", "--all"]);
    wait_for("it to end", || sleepers(&env).is_empty().then_some(()));

    env.ok(["config", "set", "max_running", "1"]);
    let first = env.submit("while [ ! -e go ]; do sleep 0.05; done");
    let later = env.ok(["run", "--quiet", "--after", &first, "--in", "1h", "true"]);
    std::fs::write(env.dir().join("go"), "").unwrap();
    assert_eq!(env.run(["wait", "--timeout", "60s", &first]).code, Some(0));
    assert_eq!(env.status(&later), "queued");
    env.ok(["kill", "--all"]);
    env.wait_until_empty();
}
