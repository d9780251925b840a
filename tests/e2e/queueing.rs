//! What jobs wait for, and in which order they start.

use std::collections::BTreeSet;
use std::fs;

use nix::sys::signal::Signal;

use crate::support::{TestEnv, send, wait_for};

/// A store that runs at most this many jobs at a time.
fn limited(max_running: u32) -> TestEnv {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", &max_running.to_string()]);
    env
}

/// A shell line that waits for a file.
fn until(file: &str) -> String {
    format!("while [ ! -e {file} ]; do sleep 0.02; done; echo {file} >> order")
}

fn release(env: &TestEnv, file: &str) {
    fs::write(env.dir().join(file), "").unwrap();
}

/// The lines that jobs have written to a file.
fn written(env: &TestEnv, file: &str) -> Vec<String> {
    let text = fs::read_to_string(env.dir().join(file)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn reason(env: &TestEnv, id: &str) -> String {
    env.job(id)["queued"]["reason"].as_str().unwrap_or_default().to_owned()
}

/// Submits a job that writes its name, and returns its id.
fn submit(env: &TestEnv, name: &str, options: &[&str]) -> String {
    let line = format!("echo {name} >> order");
    env.ok([&["run", "--quiet", "--name", name], options, &[line.as_str()]].concat())
}

#[test]
fn priority_moves_and_holds_decide_the_order() {
    let env = limited(1);
    env.ok(["run", "--name", "gate", &until("gate")]);
    for (name, options) in [
        ("one", &[][..]),
        ("two", &[]),
        ("three", &["--priority", "5"]),
        ("four", &["--priority", "-1"]),
        ("five", &["--hold"]),
        ("six", &[]),
    ] {
        submit(&env, name, options);
    }
    assert_eq!(reason(&env, "five"), "on_hold");
    env.ok(["move", "six", "--before", "two"]);
    env.ok(["move", "four", "--first"]);
    let refused = env.run(["move", "gate", "--first"]);
    assert_eq!(refused.code, Some(4), "{refused}");
    assert!(refused.stderr.contains("it is not queued"), "{refused}");
    assert_eq!(env.run(["move", "one", "--first", "--last"]).code, Some(2));
    env.ok(["hold", "two"]);
    release(&env, "gate");
    env.ok(["wait", "gate", "one", "three", "four", "six"]);
    assert_eq!(written(&env, "order"), ["gate", "four", "three", "one", "six"]);
    assert_eq!([env.status("two"), env.status("five")], ["queued", "queued"]);
    env.ok(["release", "--all"]);
    env.ok(["wait", "two", "five"]);
    assert_eq!(written(&env, "order")[5..], ["two", "five"]);
}

#[test]
fn a_queued_job_is_edited_and_the_policy_applies_to_it_again() {
    let env = limited(1);
    env.ok(["run", "--name", "gate", &until("gate")]);
    env.ok(["config", "set", "policy.deny", "shutdown"]);
    let id = env.ok(["run", "--quiet", "--env", "SECRET=hunter2", "--env", "KEPT=1", "--name", "job", "echo old"]);
    let edited = env.ok([
        "edit",
        "job",
        "--group",
        "web",
        "--priority",
        "3",
        "--env",
        "NEW=2",
        "--unset-env",
        "SECRET",
        "--line",
        "echo \"$KEPT$NEW${SECRET-none} $JOBCORE_GROUP\"; pwd",
        "--cwd",
        "/",
    ]);
    assert!(edited.starts_with("job ("), "{edited}");
    let shown = env.job(&id);
    assert_eq!((shown["group"].as_str(), shown["priority"].as_i64()), (Some("web"), Some(3)));
    assert_eq!(env.ok(["list", "--group", "web", "--quiet"]), id, "it is found by its new group");
    let record = fs::read(shown["job_id"].as_str().map(|id| env.job_dir(id).join("job")).unwrap()).unwrap();
    assert!(!record.windows(7).any(|bytes| bytes == b"hunter2"), "what was replaced is not kept");
    let refused = env.run(["edit", "job", "--line", "shutdown now"]);
    assert_eq!(refused.code, Some(4), "{refused}");
    let refused = env.run(["edit", "job", "--", "no-such-program"]);
    assert_eq!(refused.code, Some(1), "{refused}");
    let empty = env.run(["edit", "job"]);
    assert_eq!(empty.code, Some(2), "{empty}");
    release(&env, "gate");
    env.ok(["wait", "job"]);
    assert_eq!(env.ok(["output", "job"]), "12none web\n/");
    let refused = env.run(["edit", "job", "--priority", "1"]);
    assert_eq!(refused.code, Some(4), "{refused}");
}

#[test]
fn weights_resources_and_numbers_of_slots_are_kept_apart() {
    let env = limited(0);
    env.ok(["config", "set", "resources.gpu", "2"]);
    let line = |gate: &str| format!("echo \"$JOBCORE_SLOT ${{JOBCORE_RESOURCE_GPU-none}}\"; {}", until(gate));
    let run = |name: &str, options: &[&str], gate: &str| {
        env.ok([&["run", "--quiet", "--name", name], options, &[line(gate).as_str()]].concat())
    };
    let group = ["--group", "train", "--at-a-time", "3"];
    run("a", &[&group[..], &["--resource", "gpu"]].concat(), "gate_a");
    run("b", &[&group[..], &["--resource", "gpu=1"]].concat(), "gate_b");
    run("c", &[&group[..], &["--resource", "gpu", "--resource", "lock:db"]].concat(), "gate_c");
    // There is room in the group for the light job, but not for the heavy one before it.
    run("heavy", &[&group[..], &["--slots", "3"]].concat(), "gate_d");
    run("light", &group, "gate_e");
    assert_eq!(
        [reason(&env, "c"), reason(&env, "heavy"), reason(&env, "light")],
        ["resource", "group_limit", "reserved"]
    );
    let first_line =
        |name: &str| wait_for("the first line", || env.ok(["output", name]).lines().next().map(str::to_owned));
    assert_eq!([first_line("a"), first_line("b")], ["0 0", "1 1"]);
    release(&env, "gate_a");
    assert_eq!(first_line("c"), "0 0", "a slot that was given back is given again");
    for gate in ["gate_b", "gate_c", "gate_d", "gate_e"] {
        release(&env, gate);
    }
    env.ok(["wait", "a", "b", "c", "heavy", "light"]);
    let order = written(&env, "order");
    assert_eq!(order[3..], ["gate_d", "gate_e"], "the heavy one came first");
    assert_eq!(first_line("light"), "0 none");
    let refused = env.run(["run", "--resource", "gpu=3", "true"]);
    assert_eq!(refused.code, Some(4), "{refused}");
    assert!(refused.stderr.contains("3 of resource gpu needed"), "{refused}");
    assert_eq!(env.run(["run", "--resource", "a/b", "true"]).code, Some(2));
}

/// A resource is free again however its job ended.
#[test]
fn a_resource_is_given_back_after_every_kind_of_end() {
    let env = limited(0);
    let hold = |name: &str| env.ok(["run", "--quiet", "--name", name, "--resource", "lock:db", "exec sleep 1000"]);
    hold("first");
    for (number, end) in ["kill", "supervisor", "both"].into_iter().enumerate() {
        let (before, next) = (if number == 0 { "first".to_owned() } else { format!("job{number}") }, number + 1);
        hold(&format!("job{next}"));
        assert_eq!(env.status(&format!("job{next}")), "queued");
        let id = env.job(&before)["job_id"].as_str().unwrap().to_owned();
        match end {
            "kill" => drop(env.ok(["kill", &before])),
            end => {
                let main = env.main_process(&id);
                send(env.supervisor(&id), Signal::SIGKILL);
                match end {
                    "both" => send(main, Signal::SIGKILL),
                    _ => drop(env.ok(["kill", &before])),
                }
            }
        }
        wait_for("the next to start", || {
            // If the end was not seen, the next command that uses the store finds it.
            env.ok(["list"]);
            (env.status(&format!("job{next}")) == "running").then_some(())
        });
    }
    env.ok(["kill", "--all", "--grace", "0s"]);
}

#[test]
fn jobs_that_can_no_longer_start_are_skipped_with_their_dependents() {
    let env = limited(2);
    env.ok(["run", "--quiet", "--name", "build", &format!("{}; exit 1", until("gate"))]);
    submit(&env, "test", &["--after-ok", "build"]);
    submit(&env, "deploy", &["--after-ok", "test"]);
    submit(&env, "report", &["--after", "deploy,build"]);
    submit(&env, "repair", &["--after-failed", "build"]);
    submit(&env, "late", &["--after-ok", "repair"]);
    assert_eq!(env.job("report")["queued"]["after"].as_array().unwrap().len(), 2);
    let graph = env.ok(["graph"]);
    assert!(graph.starts_with("build ("), "{graph}");
    assert!(graph.contains("[ok] test (") && graph.contains("│  └─ [ok] deploy ("), "{graph}");
    assert!(env.ok(["graph", "--dot"]).starts_with("digraph jobs {"));
    release(&env, "gate");
    env.run(["wait", "report", "late"]);
    let statuses = ["build", "test", "deploy", "report", "repair", "late"].map(|name| env.status(name));
    assert_eq!(statuses, ["failed", "skipped", "skipped", "completed", "completed", "completed"]);
    let ran: BTreeSet<_> = written(&env, "order").into_iter().collect();
    assert_eq!(ran, ["gate", "repair", "late", "report"].map(String::from).into());
    let skipped = env.job("test");
    let message = skipped["message"].as_str().unwrap();
    assert!(message.starts_with("build (") && message.ends_with(") failed"), "{message}");
    let missing = env.run(["run", "--after", "nosuch", "true"]);
    assert_eq!(missing.code, Some(3), "{missing}");
    // A job that is submitted when this is clear already.
    let (id, events) = (submit(&env, "never", &["--after-ok", "build"]), env.ok(["events", "--json"]));
    assert_eq!(env.status("never"), "skipped");
    assert!(events.lines().any(|line| line.contains(&id) && line.contains("\"skipped\"")), "{events}");
}

#[test]
fn a_group_is_paused_at_its_first_failure() {
    let env = limited(0);
    env.ok(["config", "set", "groups.ci.pause_on_failure", "true"]);
    let run =
        |name: &str, line: &str| env.ok(["run", "--quiet", "--name", name, "--group", "ci", "--at-a-time", "1", line]);
    run("good", "true");
    run("bad", &format!("{}; exit 1", until("gate")));
    run("next", "true");
    release(&env, "gate");
    env.run(["wait", "good", "bad"]);
    wait_for("the group to be paused", || (reason(&env, "next") == "paused").then_some(()));
    env.ok(["run", "--quiet", "--name", "other", "true"]);
    env.ok(["wait", "other"]);
    env.ok(["rerun", "--group", "ci", "--status", "failed"]);
    env.ok(["group", "resume", "ci"]);
    env.run(["wait", "next", "bad"]);
    assert_eq!([env.status("next"), env.status("bad")], ["completed", "failed"]);
}

/// A job that only waits for its child has a resource that the child needs too, and so does an unrelated job ahead of
/// it.
#[test]
fn a_resource_is_lent_to_descendants_alone() {
    let env = limited(1);
    let inner = "\"$JOBCLI\" run --quiet --wait --resource lock:db --name inner 'echo inner >> order'";
    fs::write(env.dir().join("middle.sh"), inner).unwrap();
    let outer = format!("{}; \"$JOBCLI\" run --quiet --wait --name middle 'sh middle.sh'", until("gate"));
    env.ok(["run", "--quiet", "--resource", "lock:db", "--name", "outer", &outer]);
    submit(&env, "stranger", &["--resource", "lock:db"]);
    release(&env, "gate");
    env.ok(["wait", "outer", "stranger"]);
    assert_eq!(written(&env, "order"), ["gate", "inner", "stranger"]);
    assert_eq!(env.job("inner")["parent_job_id"], env.job("middle")["job_id"]);
}

#[test]
fn ended_jobs_are_run_again_with_the_environment_of_the_caller() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--quiet", "--name", "job", "--label", "l=1", "echo ${WHO-nobody}; exit 3"]);
    let running = env.ok(["run", "--quiet", "--name", "server", "exec sleep 1000"]);
    assert_eq!(env.run(["wait", "job"]).code, Some(3));
    let ran = env.run(["rerun", "job", "--env", "WHO=me", "--wait"]);
    assert_eq!(ran.code, Some(3), "{ran}");
    let again = ran.stdout.trim_end().to_owned();
    assert!(again != id, "{ran}");
    assert_eq!([env.ok(["output", &id]), env.ok(["output", &again])], ["nobody", "me"]);
    assert_eq!(env.job(&again)["labels"]["l"], "1");
    let refused = env.run(["rerun", &running]);
    assert_eq!(refused.code, Some(4), "{refused}");
    assert!(refused.stderr.contains("it has not ended"), "{refused}");
    // Both jobs have the same name, and only one unfinished job may have it.
    env.ok(["config", "set", "paused", "true"]);
    let ran = env.run(["rerun", "--label", "l"]);
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(4), 1), "{ran}");
    env.ok(["kill", "--all", "--grace", "0s"]);
}

/// The process that sleeps until a job is due, if there is one.
pub(crate) fn sleepers(env: &TestEnv) -> Vec<i32> {
    let is_sleeper = |line: &&String| line.trim_end().ends_with(" sleeper");
    let pid = |line: &String| line.split_whitespace().next().unwrap().parse().unwrap();
    env.processes().iter().filter(is_sleeper).map(pid).collect()
}

#[test]
fn delayed_jobs_start_in_time_by_one_process_that_ends_when_unneeded() {
    let env = limited(0);
    let submitters: Vec<_> = (0..6)
        .map(|number| {
            let mut command = env.jobcli(["run", "--quiet", "--in", "1s", &format!("echo {number} >> order")]);
            std::thread::spawn(move || command.output().unwrap())
        })
        .collect();
    let ids: Vec<String> = submitters
        .into_iter()
        .map(|submitter| String::from_utf8(submitter.join().unwrap().stdout).unwrap().trim_end().to_owned())
        .collect();
    let far = env.ok(["run", "--quiet", "--at", "tomorrow 09:00", "--name", "far", "echo far >> order"]);
    wait_for("one that sleeps", || (sleepers(&env).len() == 1).then_some(()));
    // No process looks at the store in the meantime.
    wait_for("all to have run", || (written(&env, "order").len() == 6).then_some(()));
    for id in &ids {
        env.ok(["wait", id]);
        let job = env.job(id);
        let [submitted, started] = ["submitted_at", "started_at"]
            .map(|field| job[field].as_str().unwrap().parse::<jobcore::clock::Timestamp>().unwrap());
        assert!(started.duration_since(submitted).as_millis() >= 900, "{job}");
    }
    let scheduled = &env.job("far")["queued"];
    assert!(scheduled["reason"] == "scheduled" && scheduled["at"].is_string(), "{scheduled}");
    let [sleeper] = sleepers(&env)[..] else { panic!("it sleeps until tomorrow") };
    // It was killed, and the next use of the store starts another.
    send(sleeper, Signal::SIGKILL);
    wait_for("it to be gone", || sleepers(&env).is_empty().then_some(()));
    // Its lock is released a moment after the process is gone.
    wait_for("another one", || {
        env.ok(["list"]);
        sleepers(&env).first().is_some_and(|other| *other != sleeper).then_some(())
    });
    env.ok(["hold", "far"]);
    wait_for("the sleeper to end", || sleepers(&env).is_empty().then_some(()));
    env.ok(["release", "far"]);
    env.ok(["wait", &far]);
    assert_eq!(written(&env, "order").len(), 7);
    assert_eq!(env.run(["run", "--at", "yesterday noon", "true"]).code, Some(2));
    env.wait_until_empty();
}

/// As after a reboot: the first look starts what has become due in the meantime.
#[test]
fn jobs_that_became_due_unattended_are_started_at_the_next_look() {
    let env = limited(0);
    let id = env.ok(["run", "--quiet", "--in", "300ms", "true"]);
    wait_for("one that sleeps", || {
        let [sleeper] = sleepers(&env)[..] else { return None };
        send(sleeper, Signal::SIGKILL);
        Some(())
    });
    let due = env.job(&id)["submitted_at"].as_str().unwrap().parse::<jobcore::clock::Timestamp>().unwrap();
    wait_for("the time to come", || {
        (jobcore::clock::Timestamp::now().duration_since(due).as_millis() > 400).then_some(())
    });
    env.ok(["list"]);
    wait_for("its end", || (env.status(&id) == "completed").then_some(()));
    // A job that is stopped before its time leaves no sleeper behind.
    env.ok(["run", "--quiet", "--in", "1h", "--name", "later", "true"]);
    wait_for("one that sleeps", || (sleepers(&env).len() == 1).then_some(()));
    env.ok(["kill", "later"]);
    wait_for("the sleeper to end", || sleepers(&env).is_empty().then_some(()));
}

#[test]
fn a_job_starts_once_another_is_ready_and_not_if_that_ends_before() {
    let env = limited(0);
    let server = format!("{}; echo listening; exec sleep 1000", until("gate"));
    env.ok(["run", "--quiet", "--name", "server", "--ready", "output:listening", &server]);
    submit(&env, "client", &["--after-ready", "server"]);
    env.ok([
        "run",
        "--quiet",
        "--name",
        "broken",
        "--ready",
        "output:listening",
        &format!("{}; exit 1", until("stop")),
    ]);
    submit(&env, "never", &["--after-ready", "broken"]);
    assert_eq!([reason(&env, "client"), reason(&env, "never")], ["after", "after"]);
    release(&env, "gate");
    // No process looks at the store in the meantime.
    wait_for("the client to have run", || written(&env, "order").contains(&"client".to_owned()).then_some(()));
    release(&env, "stop");
    env.run(["wait", "never"]);
    assert_eq!(env.status("never"), "skipped");
    let message = env.job("never")["message"].as_str().unwrap().to_owned();
    assert!(message.ends_with("failed before it was ready"), "{message}");
    // A job that is ready already.
    env.ok(["run", "--quiet", "--wait", "--after-ready", "server", "true"]);
    let refused = env.run(["run", "--after-ready", "client", "true"]);
    assert_eq!(refused.code, Some(4), "{refused}");
    assert!(refused.stderr.contains("it has no readiness condition"), "{refused}");
    env.ok(["kill", "server", "--grace", "0s"]);
}

/// No job waits for itself: neither for a job that starts after it, nor through a job in between.
#[test]
fn a_wait_that_would_never_end_is_refused() {
    let env = limited(0);
    let waits = "\"$JOBCLI\" run --quiet --wait --after \"$JOBCORE_JOB_ID\" true 2>&1; echo code $?";
    let direct = env.ok(["run", "--quiet", "--wait", waits]);
    let printed = env.ok(["output", &direct]);
    assert!(printed.contains("the wait would never end") && printed.ends_with("code 125"), "{printed}");
    let inner = "\"$JOBCLI\" run --quiet --wait --after $OUTER true 2>&1; echo code $?";
    fs::write(env.dir().join("inner.sh"), inner).unwrap();
    let outer = "OUTER=$JOBCORE_JOB_ID \"$JOBCLI\" run --quiet --follow 'sh inner.sh'";
    let nested = env.ok(["run", "--quiet", "--wait", outer]);
    let printed = env.ok(["output", &nested]);
    assert!(printed.contains("the wait would never end"), "{printed}");
    // A job that was queued for later starts once the other has ended, as requested.
    wait_for("the others to have run", || env.ok(["list", "--status", "queued", "--quiet"]).is_empty().then_some(()));
}
