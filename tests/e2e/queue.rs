//! Limits, the queue, groups, and the settings of a store.

use std::path::Path;
use std::process::Command;

use crate::support::{Ran, TestEnv, is_alive, send, wait_for};

/// A store that runs at most this many jobs at a time.
fn limited(max_running: u32) -> TestEnv {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", &max_running.to_string()]);
    env
}

/// A shell line that reports that it runs, and then waits for a file.
fn until(file: &str) -> String {
    format!("echo run >> {file}.started; while [ ! -e {file} ]; do sleep 0.02; done")
}

fn release(env: &TestEnv, file: &str) {
    std::fs::write(env.dir().join(file), "").unwrap();
}

fn wait_status(env: &TestEnv, id: &str, status: &str) {
    wait_for(&format!("{id} to be {status}"), || (env.status(id) == status).then_some(()));
}

/// The names of files in a directory of the store.
fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn over_the_limit_jobs_wait_and_start_in_order_by_themselves() {
    let env = limited(1);
    let first = env.submit(&until("a"));
    let told = env.run(["run", &until("b")]);
    assert_eq!(told.code, Some(0), "{told}");
    assert!(told.stderr.starts_with("queued: 1 of 1 running, position 1; oldest: "), "{told}");
    assert!(told.stderr.contains("jobcli list --status running"), "{told}");
    let second = told.stdout.trim_end().to_owned();
    let third = env.submit(&until("c"));
    assert_eq!([env.status(&first), env.status(&second), env.status(&third)], ["running", "queued", "queued"]);
    release(&env, "a");
    // No process looks at the store in the meantime: the file that the second job writes shows that it runs.
    wait_for("the second job", || env.dir().join("b.started").exists().then_some(()));
    assert_eq!([env.status(&first), env.status(&second), env.status(&third)], ["completed", "running", "queued"]);
    release(&env, "b");
    release(&env, "c");
    assert_eq!(env.run(["wait", &second, &third]).code, Some(0));
    for name in ["a", "b", "c"] {
        assert_eq!(std::fs::read_to_string(env.dir().join(format!("{name}.started"))).unwrap(), "run\n");
    }
    env.wait_until_empty();
    assert!(env.queued_and_running() == 0);
}

/// A job that was missing from the queue used to wait for ever, although the queue is only derived from the records.
#[test]
fn a_job_that_was_lost_from_the_queue_is_started_by_the_next_look_at_it() {
    for (number, look) in
        [&["list"][..], &["show", "lost"], &["status", "lost"], &["wait", "lost"], &["doctor"]].iter().enumerate()
    {
        let env = limited(1);
        let first = env.submit(&until("a"));
        let lost = env.ok(["run", "--name", "lost", "exit 4"]);
        // Its row, or all of them.
        let rows = env.store().join("admission");
        match number % 2 {
            0 => {
                let file = std::fs::OpenOptions::new().write(true).open(&rows).unwrap();
                std::os::unix::fs::FileExt::write_all_at(&file, &[0; 256], 512).unwrap();
                assert_eq!(env.queued_and_running(), 1);
            }
            _ => std::fs::remove_file(&rows).unwrap(),
        }
        release(&env, "a");
        wait_status(&env, &first, "completed");
        env.wait_until_empty();
        env.run(*look);
        // After that look, the job is only waited for.
        wait_for(&format!("the end after {look:?}"), || env.records(&lost).has("end").then_some(()));
        assert_eq!(env.run(["wait", &lost]).code, Some(4), "{look:?}");
    }
}

/// A single wrong digit in the counter used to stop the store for good.
#[test]
fn a_counter_that_was_changed_stops_nothing() {
    let env = limited(1);
    env.ok(["run", "--wait", "true"]);
    std::fs::write(env.store().join("admission"), "00090000000000000003").unwrap();
    let ids = [0, 1, 2].map(|number| env.submit(&format!("echo {number} >> order; exit 7")));
    for id in &ids {
        assert_eq!(env.run(["wait", id]).code, Some(7));
    }
    assert_eq!(std::fs::read_to_string(env.dir().join("order")).unwrap(), "0\n1\n2\n");
}

/// The next look starts the job that the supervisor would have started.
#[test]
fn a_queue_moves_on_after_its_supervisor_was_killed() {
    let env = limited(1);
    let first = env.submit("sleep 1000");
    let second = env.submit("echo done");
    let (main, supervisor) = (env.main_process(&first), env.supervisor(&first));
    send(supervisor, nix::sys::signal::Signal::SIGKILL);
    send(main, nix::sys::signal::Signal::SIGKILL);
    wait_for("both to be gone", || (!is_alive(main) && !is_alive(supervisor)).then_some(()));
    assert_eq!(env.run(["wait", &second]).code, Some(0));
    assert_eq!(env.status(&first), "orphaned");
    assert_eq!(env.ok(["output", &second]), "done");
}

/// A command that lives on without a supervisor still takes its slot.
#[test]
fn a_slot_is_not_free_while_the_command_lives() {
    let env = limited(1);
    let first = env.submit("exec sleep 1000");
    let second = env.submit("echo done");
    let (main, supervisor) = (env.main_process(&first), env.supervisor(&first));
    send(supervisor, nix::sys::signal::Signal::SIGKILL);
    wait_for("the supervisor to be gone", || (!is_alive(supervisor)).then_some(()));
    assert_eq!(env.status(&first), "running");
    env.ok(["list"]);
    assert_eq!(env.status(&second), "queued");
    send(main, nix::sys::signal::Signal::SIGKILL);
    wait_for("the command to be gone", || (!is_alive(main)).then_some(()));
    assert_eq!(env.run(["wait", &second]).code, Some(0));
}

#[test]
fn a_queued_job_that_is_killed_never_starts() {
    let env = limited(1);
    let first = env.submit(&until("a"));
    let second = env.submit("echo x > started");
    let ran = env.run(["kill", &second]);
    assert!(ran.stdout.ends_with(": killed\n"), "{ran}");
    let job = env.job(&second);
    assert_eq!((&job["status"], &job["cause"]), (&"killed".into(), &"never_started".into()), "{job}");
    assert!(job["started_at"].is_null() && job["exit_code"].is_null(), "{job}");
    release(&env, "a");
    env.ok(["wait", &first]);
    let third = env.submit("echo third");
    env.ok(["wait", &third]);
    assert!(!env.dir().join("started").exists());
}

#[test]
fn by_setting_a_full_store_refuses() {
    let env = limited(1);
    env.ok(["config", "set", "when_full", "refuse"]);
    let first = env.submit(&until("a"));
    let refused = env.run(["run", "echo x > started"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(4), ""), "{refused}");
    assert!(refused.stderr.contains("1 of 1 slots are taken by running or queued jobs"), "{refused}");
    assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&env.ok(["list", "--json"])).unwrap().len(), 1);
    assert!(names(&env.store().join("staging")).is_empty() && env.queued_and_running() == 1);
    release(&env, "a");
    env.ok(["wait", &first]);
    let again = env.submit("true");
    env.ok(["wait", &again]);
    assert!(!env.dir().join("started").exists());
}

#[test]
fn a_group_has_a_limit_of_its_own_and_the_stores_counts_all() {
    let env = limited(3);
    env.ok(["group", "set", "web", "--limit", "1"]);
    let submit = |group: &str, file: &str| env.ok(["run", "--group", group, &until(file)]);
    let (first, second, other) = (submit("web", "a"), submit("web", "b"), submit("db", "c"));
    assert_eq!([&first, &second, &other].map(|id| env.status(id)), ["running", "queued", "running"]);
    let groups: serde_json::Value = serde_json::from_str(&env.ok(["group", "list", "--json"])).unwrap();
    let expected = serde_json::json!([
        {"name": "agents", "limit": 4, "running": 0, "queued": 0, "paused": false},
        {"name": "db", "limit": 0, "running": 1, "queued": 0, "paused": false},
        {"name": "web", "limit": 1, "running": 1, "queued": 1, "paused": false},
    ]);
    assert_eq!(groups, expected);
    let (third, fourth) = (env.submit(&until("d")), env.submit(&until("e")));
    assert_eq!([&third, &fourth].map(|id| env.status(id)), ["running", "queued"]);
    // A higher limit takes effect at once, also for jobs that wait.
    env.ok(["config", "set", "max_running", "0"]);
    wait_status(&env, &fourth, "running");
    assert_eq!(env.status(&second), "queued");
    env.ok(["group", "set", "web", "--limit", "0"]);
    wait_status(&env, &second, "running");
    for file in ["a", "b", "c", "d", "e"] {
        release(&env, file);
    }
    env.ok(["wait", &first, &second, &other, &third, &fourth]);
    assert_eq!(env.job(&first)["group"], "web");
    let wrong = env.run(["run", "--group", "../etc", "true"]);
    assert_eq!(wrong.code, Some(2), "{wrong}");
}

/// The group's limit is reached long before the store's.
#[test]
fn a_queued_job_shows_its_place_and_the_limit_that_holds_it() {
    let env = TestEnv::new();
    env.ok(["config", "set", "agents.per_minute", "0"]);
    let other = env.submit(&until("a"));
    let submit = || env.run(["run", "--group", "agents", &until("a")]);
    for _ in 0..4 {
        assert_eq!(submit().stderr, "");
    }
    let (first, second) = (submit(), submit());
    let why = "4 of 4 running in group agents, position";
    assert!(first.stderr.starts_with(&format!("queued: {why} 1; oldest: ")), "{first}");
    assert!(first.stderr.ends_with("; see `jobcli list --status running --group agents`\n"), "{first}");
    assert!(second.stderr.starts_with(&format!("queued: {why} 2; oldest: ")), "{second}");
    let id = second.stdout.trim_end();
    let status = env.run(["status", id]);
    assert_eq!((status.stdout.as_str(), status.stderr), ("queued\n", format!("queued: {why} 2\n")));
    assert!(env.ok(["show", id]).contains(&format!("\nqueued       {why} 2\n")), "{}", env.ok(["show", id]));
    assert!(env.ok(["list"]).contains("  [#2: 4 of 4 in agents] echo run"), "{}", env.ok(["list"]));
    let queued = &env.job(id)["queued"];
    let expected = serde_json::json!({ "reason": "group_limit", "group": "agents", "running": 4, "limit": 4,
        "position": 2, "since": env.job(id)["submitted_at"] });
    assert_eq!(*queued, expected);
    let json: serde_json::Value =
        serde_json::from_str(&env.ok(["run", "--json", "--group", "agents", "true"])).unwrap();
    assert_eq!(json["queued"]["position"], 3, "{json}");
    let listed: Vec<serde_json::Value> = serde_json::from_str(&env.ok(["list", "--json"])).unwrap();
    assert_eq!(listed.iter().filter(|job| !job["queued"].is_null()).count(), 3);
    assert!(env.job(&other)["queued"].is_null());
    env.ok(["kill", "--all", "--grace", "0s"]);
}

#[test]
fn a_refusal_has_the_numbers_of_the_limit_that_refused() {
    let env = limited(3);
    env.ok(["config", "set", "when_full", "refuse"]);
    env.ok(["group", "set", "web", "--limit", "1"]);
    let submit = |group: &str| env.run(["run", "--group", group, &until("a")]);
    assert_eq!([submit("web").code, submit("db").code], [Some(0), Some(0)]);
    let refused = submit("web");
    let expected = "error: 1 of 1 slots of group web are taken by running or queued jobs\n\
        hint: see them with `jobcli list --status running --group web`; `jobcli config set when_full queue` lets jobs wait\n";
    assert_eq!((refused.code, refused.stderr.as_str()), (Some(4), expected));
    assert_eq!(submit("db").code, Some(0));
    let refused = submit("db");
    assert!(refused.stderr.starts_with("error: 3 of 3 slots are taken by running or queued jobs\n"), "{refused}");
    release(&env, "a");
}

#[test]
fn status_active_is_an_exit_code() {
    let env = limited(1);
    let (first, second) = (env.submit(&until("a")), env.submit("true"));
    for id in [&first, &second] {
        let ran = env.run(["status", "--active", id]);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""), "{ran}");
    }
    release(&env, "a");
    env.ok(["wait", &first, &second]);
    for id in [&first, &second] {
        let ran = env.run(["status", "--active", id]);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(1), "", ""), "{ran}");
    }
    assert_eq!(env.run(["status", "--active", "00000000"]).code, Some(3));
}

#[test]
fn settings_are_shown_set_and_checked() {
    let env = TestEnv::new();
    assert_eq!(
        env.ok(["config", "get"]),
        "max_running = 10\npaused = false\nwhen_full = queue\nguard = \nkeep_days = 30\nkeep_jobs = 10000\nkeep_bytes = 10737418240\non_end = \non_end_after = 10s\non_end_timeout = 30s\npolicy.allow = \npolicy.deny = \npolicy.allow_variables = \nagents.per_minute = 6\nagents.depth = 1\nagents.full = false"
    );
    env.ok(["config", "set", "max_running", "4"]);
    env.ok(["config", "set", "groups.web.limit", "2"]);
    assert_eq!(env.ok(["config", "get", "max_running"]), "4");
    assert_eq!(
        env.ok(["config", "get"]),
        "max_running = 4\npaused = false\nwhen_full = queue\nguard = \nkeep_days = 30\nkeep_jobs = 10000\nkeep_bytes = 10737418240\non_end = \non_end_after = 10s\non_end_timeout = 30s\npolicy.allow = \npolicy.deny = \npolicy.allow_variables = \nagents.per_minute = 6\nagents.depth = 1\nagents.full = false\ngroups.web.limit = 2"
    );
    for wrong in
        [["max_running", "-1"], ["max_running", "x"], ["when_full", "never"], ["nosuch", "1"], ["groups./.limit", "1"]]
    {
        let ran = env.run(["config", "set", "--"].into_iter().chain(wrong));
        assert_eq!(ran.code, Some(2), "{ran}");
    }
    assert_eq!(env.run(["config", "get", "nosuch"]).code, Some(2));
    assert_eq!(env.ok(["config", "get", "max_running"]), "4");
    // Settings that cannot be read are neither guessed nor overwritten.
    let path = env.store().join("settings.toml");
    std::fs::write(&path, "max_running = \"many\"\n").unwrap();
    for arguments in [vec!["run", "true"], vec!["config", "get"], vec!["config", "set", "max_running", "1"]] {
        let ran = env.run(&arguments);
        assert_eq!(ran.code, Some(1), "{ran}");
        assert!(ran.stderr.contains("settings.toml"), "{ran}");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "max_running = \"many\"\n");
}

/// Whatever is submitted and ends at the same moment, each job runs once, and never more of them at a time than
/// permitted.
#[test]
fn many_submitters_at_once_exceed_no_limit_and_lose_nothing() {
    let env = limited(3);
    // Each job counts the jobs that are in the room with it.
    let line = "mkdir -p room; touch room/$JOBCORE_JOB_ID; ls room | wc -l >> counts; echo $JOBCORE_JOB_ID >> ran; \
                sleep 0.02; rm room/$JOBCORE_JOB_ID";
    let submitters: Vec<_> = (0..8)
        .map(|_| {
            let script = format!("for i in 1 2 3 4 5; do \"$JOBCLI\" run '{line}' 2>/dev/null || exit 1; done");
            let mut shell: Command = env.command("sh");
            shell.args(["-c", &script]);
            std::thread::spawn(move || Ran::of(shell))
        })
        .collect();
    let mut ids: Vec<String> = Vec::new();
    for submitter in submitters {
        let ran = submitter.join().unwrap();
        assert_eq!(ran.code, Some(0), "{ran}");
        ids.extend(ran.stdout.lines().map(str::to_owned));
    }
    assert_eq!(ids.len(), 40);
    env.ok(["wait"].into_iter().chain(ids.iter().map(String::as_str)));
    let read = |name: &str| std::fs::read_to_string(env.dir().join(name)).unwrap();
    let mut ran: Vec<_> = read("ran").lines().map(str::to_owned).collect();
    ran.sort();
    ids.sort();
    assert_eq!(ran, ids);
    let most = read("counts").lines().map(|line| line.trim().parse::<u32>().unwrap()).max();
    assert!(most <= Some(3), "{most:?}");
}

/// Waiting for a queued job, or following it, really sleeps, and respects its own deadline.
#[test]
fn waiting_for_a_queued_job_costs_nothing_and_ends_in_time() {
    let env = limited(1);
    let first = env.submit(&until("a"));
    let second = env.submit("echo second; exit 4");
    let waited = env.run(["wait", "--timeout", "300ms", &second]);
    assert_eq!(waited.code, Some(124), "{waited}");
    let mut followers: Vec<_> = [vec!["wait", &second], vec!["output", "--follow", &second]]
        .into_iter()
        .map(|arguments| crate::background::Background::spawn(env.jobcli(arguments)))
        .collect();
    for follower in &mut followers {
        follower.until_it_waits();
    }
    release(&env, "a");
    let codes: Vec<_> = followers.iter_mut().map(|follower| follower.end().code()).collect();
    assert_eq!(codes, [Some(4), Some(0)]);
    env.ok(["wait", &first]);
}

#[test]
fn a_paused_queue_starts_nothing_until_it_is_resumed() {
    let env = TestEnv::new();
    let running = env.ok(["run", "--group", "builds", &until("go")]);
    for (pause, resume, reason) in [
        (["group", "pause", "builds"], ["group", "resume", "builds"], "group builds is paused"),
        (["group", "pause", "--all"], ["group", "resume", "--all"], "the store is paused"),
    ] {
        env.ok(pause);
        let queued = env.run(["run", "--group", "builds", "echo $JOBCORE_GROUP"]);
        assert!(queued.stderr.contains(reason), "{queued}");
        let id = queued.stdout.trim().to_owned();
        assert_eq!((env.status(&id), env.status(&running)), ("queued".to_owned(), "running".to_owned()));
        assert!(env.ok(["group", "list"]).contains("  paused"));
        let other = env.submit("true");
        env.run(["wait", "--quiet", "--timeout", "50ms", &other]);
        assert_eq!(env.status(&other) == "queued", pause[2] == "--all");
        env.ok(resume);
        env.ok(["wait", "--quiet", &id, &other]);
        assert_eq!(env.ok(["output", &id]), "builds");
        assert!(!env.ok(["group", "list"]).contains("  paused"));
    }
    // A job that a job submits is in no group unless it says so.
    let outer = env.ok([
        "run",
        "--group",
        "builds",
        "\"$JOBCLI\" run --wait --quiet -- sh -c 'echo in:$JOBCORE_GROUP > group'",
    ]);
    release(&env, "go");
    env.ok(["wait", "--quiet", &running, &outer]);
    assert_eq!(std::fs::read_to_string(env.dir().join("group")).unwrap(), "in:\n");
}

#[test]
fn a_queued_job_is_started_past_the_limits_on_request() {
    let env = limited(1);
    let first = env.submit(&until("first"));
    let (second, third) = (env.submit(&until("third")), env.submit(&until("third")));
    let started = env.ok(["start", &third]);
    assert!(started.ends_with(": running"), "{started}");
    assert_eq!([&first, &second, &third].map(|id| env.status(id)), ["running", "queued", "running"]);
    let again = env.run(["start", &third]);
    assert_eq!((again.code, again.stdout.trim_end().ends_with(": running")), (Some(0), true), "{again}");
    // Its slot counts: when the first has ended, one job runs, and that is the limit.
    release(&env, "first");
    env.ok(["wait", "--quiet", &first]);
    assert_eq!(env.status(&second), "queued");
    release(&env, "third");
    env.ok(["wait", "--quiet", &second, &third]);
    let ended = env.run(["start", &first]);
    assert!(ended.code != Some(0) && ended.stderr.contains("it is not queued"), "{ended}");
    // From a paused queue as well.
    env.ok(["group", "pause", "--all"]);
    let paused = env.submit("true");
    env.ok(["start", &paused]);
    env.ok(["wait", "--quiet", &paused]);
}
