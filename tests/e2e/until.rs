//! Waiting for jobs to meet a condition.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Instant;

use serde_json::Value;

use crate::background::{Background, touch, until};
use crate::needs;
use crate::support::{Ran, TestEnv, send, wait_for};

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran}"))
}

#[test]
fn a_line_is_waited_for_and_its_cursor_continues() {
    let env = TestEnv::new();
    let line = format!(
        "echo starting; {}; printf '\\033[32mready\\033[0m on 1\\nready on 2\\n'; {}",
        until("go"),
        until("end")
    );
    let id = env.submit(&line);
    let mut waiter = Background::spawn(env.jobcli(["wait", "--until", "output:^ready on [0-9]+$", "--json", &id]));
    waiter.until_it_waits();
    touch(&env, "go");
    let first: Value = serde_json::from_str(&waiter.line().unwrap()).unwrap();
    assert_eq!(waiter.end().code(), Some(0));
    assert_eq!((&first["reason"], &first["jobs"][0]["met"]), (&"met".into(), &true.into()), "{first}");
    assert_eq!((&first["jobs"][0]["line"], &first["jobs"][0]["job_id"]), (&"ready on 1".into(), &id.as_str().into()));
    let cursor = first["jobs"][0]["cursor"].to_string();
    let again = env.run(["wait", "--until", "output:^ready", "--cursor", &cursor, &id]);
    assert_eq!(
        again.stdout,
        format!("{} running: ready on 2\n", env.job(&id)["short_id"].as_str().unwrap()),
        "{again}"
    );
    // From the first byte if there is no cursor.
    assert!(env.ok(["wait", "--until", "output:starting", &id]).ends_with("starting"));
    touch(&env, "end");
    env.ok(["wait", &id]);
    assert!(env.ok(["wait", "--until", "output:ready", &id]).ends_with(": ready on 1"), "after its end");
}

/// The wait ends at once, and not with the exit code of the job, because the condition is not met.
#[test]
fn a_condition_that_can_no_longer_be_met_is_not_waited_for() {
    let env = TestEnv::new();
    let id = env.submit("echo hello; exit 0");
    env.ok(["wait", &id]);
    for condition in ["output:nothing", "quiet:1h", "port:1", "file:nothing"] {
        let ran = env.run(["wait", "--until", condition, &id]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{condition}: {ran}");
        assert!(ran.stderr.contains("completed") && ran.stderr.contains(condition), "{condition}: {ran}");
    }
    let ran = env.run(["wait", "--until", "output:nothing", "--json", &id]);
    assert_eq!((ran.code, &json(&ran)["reason"]), (Some(1), &"impossible".into()), "{ran}");
    // The job ends while the condition is waited for.
    for condition in ["output:nothing", "quiet:1h", "port:1", "file:nothing"] {
        let id = env.submit(&format!("{}; exit 7", until(&format!("go-{}", &condition[..4]))));
        let mut waiter = Background::spawn(env.jobcli(["wait", "--until", condition, &id]));
        waiter.until_it_waits();
        touch(&env, &format!("go-{}", &condition[..4]));
        assert_eq!(waiter.end().code(), Some(1), "{condition}");
    }
}

#[test]
fn a_prompt_without_an_end_of_line_is_seen() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--stdin", "open", "printf 'Name? '; read -r name; echo \"hello $name\""]);
    env.ok(["wait", "--until", r"output:\? $", &id]);
    env.ok(["send", &id, "you"]);
    env.ok(["wait", "--until", "output:hello you", &id]);
}

#[test]
fn quiet_is_counted_from_the_last_output() {
    let env = TestEnv::new();
    let id = env.submit(&format!("while [ ! -e hush ]; do echo noise; sleep 0.01; done; {}", until("end")));
    let ran = env.run(["wait", "--until", "quiet:1h", "--timeout", "50ms", &id]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(124), ""), "{ran}");
    touch(&env, "hush");
    let before = env.job(&id)["output_bytes"].as_u64().unwrap();
    let ran = env.run(["wait", "--until", "quiet:200ms", "--json", &id]);
    let cursor = json(&ran)["jobs"][0]["cursor"].as_u64().unwrap();
    assert!(
        ran.code == Some(0) && cursor >= before && cursor == env.job(&id)["output_bytes"].as_u64().unwrap(),
        "{ran}"
    );
    // It has been quiet already.
    let begun = Instant::now();
    env.ok(["wait", "--until", "quiet:100ms", &id]);
    assert!(begun.elapsed().as_secs() < 30);
    let silent = env.submit("sleep 1000");
    env.ok(["wait", "--until", "quiet:50ms", &silent]);
}

#[test]
fn a_file_is_seen_when_it_appears_wherever_its_directory_is() {
    let env = TestEnv::new();
    let id = env.submit(&format!("{}; mkdir -p out/deep; echo > out/deep/done; {}", until("go"), until("end")));
    let waiters: Vec<_> = ["file:out/deep/done".to_owned(), format!("file:{}/out/deep/done", env.dir().display())]
        .map(|condition| Background::spawn(env.jobcli(["wait", "--until", &condition, &id])))
        .into_iter()
        .collect();
    waiters.iter().for_each(Background::until_it_waits);
    touch(&env, "go");
    for mut waiter in waiters {
        assert_eq!(waiter.end().code(), Some(0));
    }
    assert!(env.ok(["wait", "--until", "file:go", &id]).ends_with("file:go"));
}

/// The file that is made is then in a different directory from the one that is waited for.
#[test]
fn a_dangling_link_does_not_count_as_a_file() {
    let env = TestEnv::new();
    std::fs::create_dir(env.dir().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere/done", env.dir().join("link")).unwrap();
    let id = env.submit(&until("end"));
    let mut waiter = Background::spawn(env.jobcli(["wait", "--until", "file:link", "--timeout", "10s", &id]));
    waiter.until_it_waits();
    touch(&env, "elsewhere/done");
    assert_eq!(waiter.end().code(), Some(0));
    touch(&env, "end");
}

/// The port of another process is reported, and does not count.
#[test]
fn a_port_counts_when_the_job_has_it() {
    let Some(_) = needs::program("python3") else { return };
    let env = TestEnv::new();
    let own = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = own.local_addr().unwrap().port();
    let condition = format!("port:{port}");
    let server = format!("{}; exec python3 -m http.server --bind 127.0.0.1 {port}", until("go"));
    let id = env.ok(["run", "--merge", &server]);
    let ran = env.run(["wait", "--until", &condition, "--timeout", "300ms", "--json", &id]);
    let holder = format!("port {port} is held by process {}", std::process::id());
    assert_eq!((ran.code, &json(&ran)["reason"]), (Some(124), &"timed_out".into()), "{ran}");
    assert!(ran.stderr.contains(&holder), "reported at once: {ran}");
    assert!(json(&ran)["jobs"][0]["note"].as_str().unwrap().starts_with(&holder), "{ran}");
    let mut waiter = Background::spawn(env.jobcli(["wait", "--until", &condition, &id]));
    waiter.until_it_waits();
    drop(own);
    touch(&env, "go");
    assert_eq!(waiter.end().code(), Some(0), "{}", env.ok(["output", &id]));
    // A child of the job has it as well.
    let child = env.submit(&format!("sh -c '{server}; true'"));
    let ran = env.run(["wait", "--until", &condition, &child]);
    assert_eq!(ran.code, Some(1), "the port is taken: {ran}");
    env.ok(["kill", &id]);
    let child = env.submit(&format!("sh -c '{server}; true'"));
    env.ok(["wait", "--until", &condition, &child]);
}

#[test]
fn a_straggler_can_still_meet_a_condition() {
    let Some(_) = needs::program("python3") else { return };
    let env = TestEnv::new();
    let own = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = own.local_addr().unwrap().port();
    drop(own);
    let server = format!("python3 -m http.server --bind 127.0.0.1 {port}");
    let line = format!("({}; echo ready; touch made; exec {server}) & exit 0", until("go"));
    let id = env.ok(["run", "--leave-stragglers", &line]);
    assert_eq!(env.run(["wait", &id]).code, Some(0));
    let conditions = [format!("port:{port}"), "output:ready".to_owned(), "file:made".to_owned()];
    for condition in &conditions {
        let ran = env.run(["wait", "--until", condition, "--timeout", "300ms", &id]);
        assert!(ran.code == Some(124) && !ran.stderr.contains("can no longer"), "{condition}: {ran}");
    }
    touch(&env, "go");
    for condition in &conditions {
        env.ok(["wait", "--until", condition, &id]);
    }
    env.ok(["kill", &id]);
    for condition in [conditions[0].as_str(), "output:nothing", "file:nothing"] {
        let ran = env.run(["wait", "--until", condition, &id]);
        assert!(ran.code == Some(1) && ran.stderr.contains("can no longer"), "{condition}: {ran}");
    }
}

/// A wait that began before the end continues after it.
#[test]
fn a_wait_for_a_port_continues_while_a_straggler_may_listen() {
    let Some(_) = needs::program("python3") else { return };
    let env = TestEnv::new();
    let own = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = own.local_addr().unwrap().port();
    drop(own);
    let server = format!("({}; exec python3 -m http.server --bind 127.0.0.1 {port})", until("go"));
    let id = env.ok(["run", "--leave-stragglers", &format!("{server} & {}; exit 0", until("end"))]);
    let mut waiter = Background::spawn(env.jobcli(["wait", "--until", &format!("port:{port}"), &id]));
    waiter.until_it_waits();
    touch(&env, "end");
    assert_eq!(env.run(["wait", &id]).code, Some(0));
    touch(&env, "go");
    assert_eq!(waiter.end().code(), Some(0), "{}", env.ok(["output", &id]));
    env.ok(["kill", &id]);
}

#[test]
fn one_or_all_of_several_jobs_are_waited_for() {
    let env = TestEnv::new();
    let job = |name: &str| {
        env.ok(["run", "--name", name, &format!("{}; echo up; {}", until(&format!("go-{name}")), until("end"))])
    };
    let (one, two) = (job("one"), job("two"));
    let mut any = Background::spawn(env.jobcli(["wait", "--any", "--until", "output:up", "--json", "one", "two"]));
    let mut all = Background::spawn(env.jobcli(["wait", "--until", "output:up", "--json", "one", "two"]));
    any.until_it_waits();
    all.until_it_waits();
    touch(&env, "go-two");
    let first: Value = serde_json::from_str(&any.line().unwrap()).unwrap();
    assert_eq!((any.end().code(), &first["reason"]), (Some(0), &"met".into()), "{first}");
    assert_eq!((&first["jobs"][0]["met"], &first["jobs"][1]["met"]), (&false.into(), &true.into()), "{first}");
    touch(&env, "go-one");
    let both: Value = serde_json::from_str(&all.line().unwrap()).unwrap();
    assert_eq!(all.end().code(), Some(0));
    assert!(both["jobs"].as_array().unwrap().iter().all(|job| job["met"] == true), "{both}");
    // An ended job can no longer meet the condition: a wait for all can never succeed, and a wait for any ignores it.
    env.ok(["kill", "one"]);
    let ran = env.run(["wait", "--until", "output:more", &one, &two]);
    assert!(ran.code == Some(1) && ran.stderr.contains("can no longer be met"), "{ran}");
    let ran = env.run(["wait", "--any", "--until", "output:more", "--timeout", "50ms", &one, &two]);
    assert_eq!(ran.code, Some(124), "{ran}");
}

#[test]
fn the_wait_continues_while_the_supervisor_is_replaced() {
    let env = TestEnv::new();
    let id = env.submit(&format!("echo up; {}; echo ready; {}", until("go"), until("end")));
    wait_for("the command", || (env.ok(["output", &id]) == "up").then_some(()));
    let mut waiter = Background::spawn(env.jobcli(["wait", "--until", "output:ready", &id]));
    waiter.until_it_waits();
    send(env.supervisor(&id), nix::sys::signal::Signal::SIGKILL);
    touch(&env, "go");
    assert_eq!(waiter.end().code(), Some(0));
}

#[test]
fn meaningless_conditions_are_refused() {
    let env = TestEnv::new();
    let id = env.submit("true");
    let other = env.submit("true");
    for (arguments, expected) in [
        (&["--until", "done", &id][..], "output:RE"),
        (&["--until", "ready", &id], "without a readiness condition"),
        (&["--until", "output:a(b", &id], "unclosed group"),
        (&["--until", "port:http", &id], "65535"),
        (&["--until", "quiet:soon", &id], "quiet:5s"),
        (&["--cursor", "3", &id], "--until"),
        (&["--all", "--any", &id], "--any"),
        (&["--until", "output:x", "--cursor", "0", &id, &other], "one job"),
    ] {
        let ran = env.run([&["wait"], arguments].concat());
        assert!(matches!(ran.code, Some(2 | 125)), "{arguments:?}: {ran}");
        assert!(ran.stderr.contains(expected), "{arguments:?}: {ran}");
    }
}
