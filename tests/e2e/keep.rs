//! Ended jobs: which of them are kept, how they are found among many, and how events report them.

use std::thread;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::background::Background;
use crate::support::{TestEnv, is_alive, send, wait_for};

fn list(env: &TestEnv, arguments: &[&str]) -> Vec<String> {
    let all = [&["list", "--json", "--all"], arguments].concat();
    let jobs: Vec<Value> = serde_json::from_str(&env.ok(all)).unwrap();
    jobs.iter().map(|job| job["job_id"].as_str().unwrap().to_owned()).collect()
}

fn ended(env: &TestEnv, arguments: &[&str]) -> String {
    let id = env.ok([&["run"], arguments].concat());
    env.run(["wait", &id]);
    // Its supervisor holds it until the supervisor is gone.
    env.wait_until_empty();
    id
}

#[test]
fn jobs_are_found_by_status_name_label_group_and_time_and_counted() {
    let env = TestEnv::new();
    let fine = ended(&env, &["--label", "branch=main", "--group", "web", "true"]);
    let failed = ended(&env, &["--label", "branch=next", "--name", "web", "false"]);
    let running = env.ok(["run", "--label", "branch=main", "sleep 1000"]);
    assert_eq!(list(&env, &[]), [running.clone(), failed.clone(), fine.clone()]);
    assert_eq!(list(&env, &["--label", "branch=main"]), [running.clone(), fine.clone()]);
    assert_eq!(list(&env, &["--label", "branch"]).len(), 3);
    assert_eq!(list(&env, &["--status", "failed"]), [failed.as_str()]);
    assert_eq!(list(&env, &["--status", "running", "--status", "completed"]), [running, fine.clone()]);
    assert_eq!(list(&env, &["--name", "web"]), [failed.as_str()]);
    assert_eq!(list(&env, &["--group", "web"]), [fine.as_str()]);
    let submitted = env.job(&failed)["submitted_at"].as_str().unwrap().to_owned();
    assert_eq!(list(&env, &["--until", &submitted]), [fine.as_str()]);
    assert_eq!(list(&env, &["--since", "1h"]).len(), 3);
    assert_eq!(list(&env, &["--until", "1h"]).len(), 0);
    assert_eq!(env.run(["list", "--since", "soon"]).code, Some(2));
    let counts: Value = serde_json::from_str(&env.ok(["list", "--count", "--json"])).unwrap();
    assert_eq!(counts, serde_json::json!({ "running": 1, "completed": 1, "failed": 1 }));
    assert_eq!(env.ok(["list", "--count"]).lines().count(), 3);
}

#[test]
fn prune_removes_ended_jobs_only() {
    let env = TestEnv::new();
    let over: Vec<_> = (0..4).map(|code| ended(&env, &[&format!("exit {code}")])).collect();
    let running = env.submit("sleep 1000");
    let left = env.ok(["run", "--leave-stragglers", "sleep 1000 & exit 0"]);
    env.run(["wait", &left]);

    let would = env.run(["prune", "--keep", "2", "--status", "failed", "--dry-run"]);
    assert_eq!(would.stdout, format!("{}: would be removed\n", &over[1][24..32]), "{would}");
    assert!(would.stderr.starts_with("1 job, about "), "{would}");
    assert_eq!(list(&env, &[]).len(), 6, "nothing was removed");
    assert_eq!(env.ok(["prune"]), "", "the settings keep all of these");
    let pruned: Vec<Value> = serde_json::from_str(&env.ok(["prune", "--keep", "2", "--json"])).unwrap();
    let gone: Vec<_> = pruned.iter().map(|job| job["job_id"].as_str().unwrap()).collect();
    assert_eq!(gone, [&over[0], &over[1], &over[2]], "the oldest go first, and two are left with the newest");
    assert_eq!(env.run(["output", &over[0]]).code, Some(3));
    env.ok(["prune", "--older-than", "0s"]);
    assert_eq!(list(&env, &[]), [left, running.clone()], "these have a supervisor");
    assert_eq!(env.status(&running), "running");
    env.ok(["kill", "--all", "--grace", "0s"]);
    wait_for("the supervisors to let go", || {
        env.ok(["prune", "--max-size", "1"]);
        list(&env, &[]).is_empty().then_some(())
    });
    assert_eq!(std::fs::read_dir(env.store().join("trash")).unwrap().count(), 0);
    assert_eq!(env.run(["prune", "--max-size", "huge"]).code, Some(2));
}

#[test]
fn jobs_that_the_settings_do_not_keep_are_removed_automatically() {
    let env = TestEnv::new();
    let ids: Vec<_> = (0..3).map(|_| ended(&env, &["true"])).collect();
    env.ok(["config", "set", "keep_jobs", "2"]);
    assert_eq!(list(&env, &[]).len(), 3, "not by looking");
    // Retention is checked once a minute: this simulates the next minute.
    std::fs::remove_file(env.store().join("swept")).unwrap();
    let last = ended(&env, &["true"]);
    // A supervisor does not remove its own job.
    let expected = [last, ids[2].clone()];
    wait_for("the sweep", || (list(&env, &[]) == expected).then_some(()));
}

/// A reader gets the data, or the answer that there is no such job.
#[test]
fn a_reader_of_a_job_that_is_being_pruned_gets_all_or_nothing() {
    let env = TestEnv::new();
    let text = "0123456789".repeat(2000);
    let ids: Vec<_> = (0..12).map(|_| env.submit(&format!("printf %s {text}; printf %s {text} >&2"))).collect();
    for id in &ids {
        env.run(["wait", id]);
    }
    env.wait_until_empty();
    thread::scope(|scope| {
        for ids in ids.chunks(4) {
            let (env, text) = (&env, &text);
            scope.spawn(move || {
                for id in ids.iter().cycle() {
                    let ran = env.run(["output", "--stdout", id]);
                    match ran.code {
                        Some(0) => assert_eq!(&ran.stdout, text, "{}", ran.stderr),
                        Some(3) => {
                            assert_eq!(ran.stdout, "", "{}", ran.stderr);
                            if id == ids.last().unwrap() {
                                break;
                            }
                        }
                        code => panic!("{code:?}: {}", ran.stderr),
                    }
                }
            });
        }
        for kept in (0..ids.len()).rev() {
            env.ok(["prune", "--keep", &kept.to_string()]);
        }
    });
}

#[test]
fn events_report_what_happened_once_and_in_order() {
    let env = TestEnv::new();
    let id = ended(&env, &["exit 3"]);
    env.ok(["rm", &id]);
    let lines = env.ok(["events", "--json"]);
    let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(told, ["submitted", "started", "ended", "removed"]);
    assert_eq!((&events[2]["status"], &events[2]["exit_code"]), (&"failed".into(), &3.into()));
    assert!(events.iter().zip(0..).all(|(event, number)| event["number"] == number && event["job_id"] == id.as_str()));
    let text = env.ok(["events", "--since", "2"]);
    let words: Vec<_> = text.lines().next().unwrap().split(' ').collect();
    assert_eq!((words[0], &words[2..]), ("2", [&id[24..32], "ended", "failed", "3"].as_slice()));
    assert_eq!(env.ok(["events", "--since", "4"]), "");

    // A follower gets what happens, and nothing twice.
    let follower = Background::spawn(env.jobcli(["events", "--follow", "--since", "4", "--json"]));
    follower.until_it_waits();
    let second = env.ok(["run", "--wait", "true"]);
    for expected in ["submitted", "started", "ended"] {
        let event: Value = serde_json::from_str(&follower.line().unwrap()).unwrap();
        assert_eq!((&event["event"], &event["job_id"]), (&expected.into(), &second.as_str().into()));
    }
    assert_eq!(follower.waiting_line(), None);
}

#[test]
fn an_end_is_reported_although_the_supervisor_was_killed() {
    let env = TestEnv::new();
    let id = env.submit("sleep 1000");
    let (supervisor, main) = (env.supervisor(&id), env.main_process(&id));
    send(supervisor, Signal::SIGKILL);
    wait_for("its end", || (!is_alive(supervisor)).then_some(()));
    send(main, Signal::SIGKILL);
    wait_for("its end", || (!is_alive(main)).then_some(()));
    let ended = wait_for("the event", || {
        let events = env.ok(["events", "--json"]);
        events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).find(|e| e["event"] == "ended")
    });
    assert_eq!((&ended["job_id"], &ended["status"]), (&id.as_str().into(), &"orphaned".into()));
}
