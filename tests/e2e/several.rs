//! Several jobs in one call: named, or found by a label or a group.

use serde_json::Value;

use crate::support::{TestEnv, is_alive, wait_for};

/// The jobs that exist are handled, the others are reported, and the exit code shows it.
#[test]
fn a_missing_job_does_not_hold_up_the_others() {
    let env = TestEnv::new();
    let unknown = "01a1fdbc-1c9c-728b-8d5e-f8c40c2a6702";
    for missing in ["nope", unknown] {
        for (verb, code) in [
            (&["kill"][..], 3),
            (&["kill", "--json"], 3),
            (&["kill", "--signal", "KILL"], 3),
            (&["show"], 3),
            (&["rm", "--kill"], 3),
            (&["wait"], 125),
            (&["wait", "--any"], 125),
            (&["wait", "--json"], 125),
            (&["wait", "--until", "output:ready"], 125),
        ] {
            for order in [["live", missing], [missing, "live"]] {
                let line = if verb[0] == "wait" { "echo ready" } else { "echo ready; exec sleep 1000" };
                let id = env.ok(["run", "--name", "live", line]);
                if verb[0] != "wait" {
                    env.main_process(&id);
                }
                let ran = env.run(verb.iter().chain(&order));
                let what = format!("{verb:?} {order:?}: {ran}");
                assert_eq!(ran.code, Some(code), "{what}");
                assert!(ran.stderr.contains(missing), "{what}");
                assert!(ran.stdout.contains(&id) || ran.stdout.contains(&id[24..32]), "{what}");
                match verb[0] {
                    "rm" => assert_eq!(env.run(["status", &id]).code, Some(3), "{what}"),
                    "kill" => assert_ne!(env.run(["wait", "--quiet", &id]).code, Some(0), "{what}"),
                    _ => {}
                }
                env.ok(["kill", "--all"]);
            }
        }
    }
}

#[test]
fn a_refused_job_does_not_hold_up_the_others() {
    let env = TestEnv::new();
    let (running, over, last) = (env.submit("sleep 1000"), env.submit("true"), env.submit("true"));
    env.ok(["wait", &over, &last]);
    let ran = env.run(["rm", &over, &running, &last]);
    assert_eq!(ran.code, Some(4), "{ran}");
    assert_eq!(ran.stdout.matches(": removed").count(), 2, "{ran}");
    assert_eq!(env.ok(["list", "--quiet"]), running);
    let over = env.submit("true");
    env.ok(["wait", &over]);
    let ran = env.run(["kill", "--signal", "TERM", &over, &running]);
    assert!(ran.code == Some(4) && ran.stdout.contains("sent SIGTERM"), "{ran}");
}

/// The same job, by its name and by its id, is one job.
#[test]
fn a_job_that_is_named_twice_counts_once() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--name", "web", "true"]);
    env.ok(["wait", &id]);
    assert_eq!(env.ok(["show", "--json", "web", &id, &id[24..]]).lines().count(), 1);
    assert_eq!(env.ok(["rm", "web", &id]), format!("web ({}): removed", &id[24..32]));
}

#[test]
fn jobs_are_stopped_waited_for_and_removed_by_label_and_group() {
    let env = TestEnv::new();
    let run = |options: &[&str], line: &str| env.ok([&["run"], options, &[line]].concat());
    let a = run(&["--label", "batch=7", "--group", "web"], "sleep 1000");
    let b = run(&["--label", "batch=8"], "sleep 1000");
    let c = run(&["--label", "batch=7"], "sleep 1000");
    let d = run(&["--label", "batch=7", "--group", "web"], "exit 3");
    assert_eq!(env.run(["wait", "--quiet", &d]).code, Some(3));
    let supervisor = env.supervisor(&d);
    wait_for("its supervisor to be gone", || (!is_alive(supervisor)).then_some(()));
    let listed = |arguments: &[&str]| {
        let ids = env.ok([&["list", "--quiet"], arguments].concat());
        ids.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(listed(&[]), [&d, &c, &b, &a].map(String::clone));
    assert_eq!(listed(&["--label", "batch=7", "--status", "running"]), [&c, &a].map(String::clone));

    let killed = env.ok(["kill", "--label", "batch=7", "--group", "web"]);
    assert_eq!(killed, format!("{}: killed", &a[24..32]), "and the one that had ended is not named");
    assert_eq!((env.status(&b), env.status(&c)), ("running".to_owned(), "running".to_owned()));

    // Only unfinished jobs are waited for.
    env.ok(["kill", "--signal", "KILL", &c]);
    let ran = env.run(["wait", "--label", "batch=7"]);
    assert!(ran.code == Some(137) || (ran.code == Some(0) && ran.stderr.contains("have ended")), "{ran}");
    assert_eq!(env.run(["wait", "--label", "batch=7"]).code, Some(0));
    let ran = env.run(["wait", "--label", "batch", "--timeout", "1ms"]);
    assert_eq!(ran.code, Some(124), "{ran}");

    let ran = env.run(["rm", "--label", "batch"]);
    assert_eq!((ran.code, ran.stdout.matches(": removed").count()), (Some(4), 3), "{ran}");
    assert_eq!(env.ok(["rm", "--kill", "--label", "batch=8"]), format!("{}: removed", &b[24..32]));
    assert_eq!(env.ok(["list", "--json"]), "[]");
}

#[test]
fn a_label_that_no_job_has_is_an_error() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--label", "batch=7", "sleep 1000"]);
    for (verb, code) in [("kill", 3), ("rm", 3), ("wait", 125)] {
        for selection in [&["--label", "bacth"][..], &["--label", "batch=8"], &["--group", "web"]] {
            let ran = env.run([verb].iter().chain(selection));
            assert_eq!(ran.code, Some(code), "{ran}");
            assert!(ran.stderr.contains("no job has the "), "{ran}");
        }
        for wrong in [&["--label", "batch", &id][..], &["--label", "=x"], &["--group", ""]] {
            assert_eq!(env.run([verb].iter().chain(wrong)).code, Some(2), "{verb} {wrong:?}");
        }
    }
    assert_eq!(env.run(["kill", "--all", "--label", "batch"]).code, Some(2));
    assert_eq!(env.status(&id), "running");
}

/// What is left out of the answer is reported, in every format, and separately from what a program reads.
#[test]
fn a_list_that_is_cut_says_so() {
    let env = TestEnv::new();
    let ids = [env.submit("true"), env.submit("true")];
    for form in [&["list"][..], &["list", "--json"], &["list", "--quiet"]] {
        for (limit, more) in [("1", true), ("2", false), ("0", false)] {
            let ran = env.run(form.iter().chain(&["-n", limit]));
            assert_eq!(ran.code, Some(0), "{ran}");
            assert_eq!(ran.stderr.contains("there are more"), more, "{form:?} {limit}: {ran}");
            let shown = ids.iter().filter(|id| ran.stdout.contains(&id[24..32])).count();
            assert_eq!(shown, if more { 1 } else { 2 }, "{form:?} {limit}: {ran}");
        }
    }
    let jobs: Vec<Value> = serde_json::from_str(&env.ok(["list", "--json", "-n", "1"])).unwrap();
    assert_eq!(jobs[0]["job_id"], ids[1].as_str());
}
