//! Front ends in other namespaces: they see the store, but neither the processes nor the files that its jobs refer to.

use std::process::Command;

use nix::sys::signal::Signal;

use crate::background::{Background, touch, until};
use crate::support::{JOBCLI, Ran, TestEnv, is_alive, send, wait_for};

/// jobcli with these arguments, in a pid and a mount namespace of its own.
fn foreign(env: &TestEnv, unshare: &[&str], arguments: &[&str]) -> Command {
    let mut command = env.command(unshare[0]);
    command.args(&unshare[1..]).arg(JOBCLI).args(arguments);
    command
}

fn statuses(listed: &Ran) -> Vec<(String, String)> {
    let jobs: Vec<serde_json::Value> = serde_json::from_str(&listed.stdout).unwrap();
    let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    jobs.iter().map(|job| (word(&job["job_id"]), word(&job["status"]))).collect()
}

#[test]
fn from_another_namespace_nothing_is_started_adopted_or_declared_dead() {
    let Some(unshare) = crate::needs::namespaces() else { return };
    let env = TestEnv::new();
    let inside = |arguments: &[&str]| Ran::of(foreign(&env, unshare, arguments));
    env.ok(["config", "set", "max_running", "1"]);
    let first = env.submit(&format!("{}; echo done", until("go")));
    let second = env.submit("echo second");
    let main = env.main_process(&first);
    let expected = [(second.clone(), "queued".to_owned()), (first.clone(), "running".to_owned())];
    // The lock can be seen from everywhere.
    let listed = inside(&["list", "--json"]);
    assert_eq!(statuses(&listed), expected, "{listed}");

    let supervisor = env.supervisor(&first);
    send(supervisor, Signal::SIGKILL);
    wait_for("the supervisor to be dead", || (!is_alive(supervisor)).then_some(()));
    let listed = inside(&["list", "--json"]);
    assert_eq!(statuses(&listed), expected, "{listed}");
    let waited = inside(&["wait", "--timeout", "300ms", &first]);
    assert_eq!(waited.code, Some(124), "{waited}");
    let killed = inside(&["kill", &first]);
    assert_eq!((killed.code, killed.stdout.as_str()), (Some(4), ""), "{killed}");
    let removed = inside(&["rm", &first]);
    assert_eq!(removed.code, Some(4), "{removed}");
    assert!(is_alive(main));
    assert_eq!(env.supervisor(&first), supervisor, "no other supervisor has taken over");
    assert!(!env.records(&first).has("end"));

    // From outside, everything continues.
    assert_eq!(env.status(&first), "running");
    wait_for("another supervisor", || (env.supervisor(&first) != supervisor).then_some(()));
    touch(&env, "go");
    assert!(matches!(env.run(["wait", &first]).code, Some(0 | 125)));
    assert_eq!(env.run(["wait", &second]).code, Some(0));
    assert_eq!(env.ok(["output", &first]), "done");
}

/// The command is gone as well, but that cannot be known from inside; and a slot that may be taken is not given away.
#[test]
fn from_another_namespace_a_lost_job_keeps_its_slot() {
    let Some(unshare) = crate::needs::namespaces() else { return };
    let env = TestEnv::new();
    let inside = |arguments: &[&str]| Ran::of(foreign(&env, unshare, arguments));
    env.ok(["config", "set", "max_running", "1"]);
    let first = env.submit("exec sleep 1000");
    let second = env.submit("echo second");
    for pid in [env.supervisor(&first), env.main_process(&first)] {
        send(pid, Signal::SIGKILL);
        wait_for("it to be dead", || (!is_alive(pid)).then_some(()));
    }
    let listed = inside(&["list", "--json"]);
    let expected = [(second.clone(), "queued".to_owned()), (first.clone(), "running".to_owned())];
    assert_eq!(statuses(&listed), expected, "{listed}");
    // A job that is submitted there waits as well, and holds up no other when its namespace is gone.
    let third = inside(&["run", "true"]);
    assert!(third.stderr.starts_with("queued: 1 of 1 running, position 2; "), "{third}");
    assert!(!env.records(&first).has("end"));
    assert_eq!(env.run(["wait", &second]).code, Some(0));
    assert_eq!(env.status(&first), "orphaned");
    let third = third.stdout.trim_end();
    assert_eq!(env.status(third), "queued");
    let why = "it was submitted in another namespace, such as a container, and can only start there";
    assert!(env.ok(["show", third]).contains(&format!("\nqueued       {why}\n")), "{}", env.ok(["show", third]));
    assert_eq!(env.job(third)["queued"]["reason"], "other_namespace");
    let killed = env.run(["kill", third]);
    assert!(killed.stdout.ends_with(": killed\n"), "{killed}");
}

/// A job whose pid namespace has ended, and its supervisor and command with it. Its program was the only one in the
/// namespace.
fn of_an_ended_namespace(env: &TestEnv, unshare: &[&str], options: &[&str]) -> String {
    // `status` waits until the command is on record: if the namespace ended before that, the job would stay queued.
    let line = r#"id=$("$JOBCLI" run "$@" 'exec sleep 1000') && "$JOBCLI" status "$id" >&2 && echo "$id""#;
    let mut command = env.command(unshare[0]);
    command.args(&unshare[1..]).args(["sh", "-c", line, "sh"]).args(options);
    Ran::of(command).ok()
}

#[test]
fn a_job_whose_pid_namespace_has_ended_is_orphaned() {
    let Some(unshare) = crate::needs::namespaces() else { return };
    if !crate::needs::first_namespace() {
        return;
    }
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "1"]);
    let lost = of_an_ended_namespace(&env, unshare, &["--name", "web"]);
    // Its slot and its name are free without a request that names it. Another test may have a namespace that was given
    // the same number and is about as old, hence the wait.
    wait_for("the end of the namespace to be seen", || {
        (env.run(["run", "--wait", "--name", "web", "exit 7"]).code == Some(7)).then_some(())
    });
    let job = env.job(&lost);
    assert_eq!((&job["status"], &job["cause"]), (&"orphaned".into(), &"supervisor_lost".into()), "{job}");
    assert!(job["message"].as_str().unwrap().contains("has ended"), "{job}");
    assert!(job.get("exit_code").is_none(), "{job}");
    env.ok(["rm", &lost]);
}

/// A container's namespace of its own, while another process in it lives on.
#[test]
fn a_lost_job_is_not_declared_dead_while_its_namespace_lives() {
    let Some(unshare) = crate::needs::namespaces() else { return };
    let env = TestEnv::new();
    let mut container = env.command(unshare[0]);
    container.args(&unshare[1..]).args(["sh", "-c"]);
    container.arg("\"$JOBCLI\" run 'exec sleep 1000'; read x").stdin(std::process::Stdio::piped());
    let mut container = Background::spawn(container);
    let id = container.line().unwrap();
    wait_for("the command", || env.records(&id).has("running").then_some(()));
    let named = |word: &str| env.processes().into_iter().find(|line| line.contains(word) && !line.contains("unshare"));
    let pid_of = |line: String| line.split(' ').next().unwrap().parse::<i32>().unwrap();
    let supervisor = pid_of(wait_for("the supervisor", || named("__jobcore-supervisor")));
    send(supervisor, Signal::SIGKILL);
    wait_for("the supervisor to be dead", || (!is_alive(supervisor)).then_some(()));
    assert_eq!(env.status(&id), "running");
    let killed = env.run(["kill", &id]);
    assert_eq!(killed.code, Some(4), "{killed}");
    assert!(!killed.stderr.contains("kill 0") && !killed.stderr.contains("process 0"), "{killed}");
    for verb in [&["kill"][..], &["rm"], &["rm", "--kill"]] {
        let refused = env.run(verb.iter().copied().chain([id.as_str()]));
        assert_eq!(refused.code, Some(4), "{refused}");
        assert!(refused.stderr.contains(&format!("jobcli kill --gone {}", &id[24..32])), "{refused}");
    }
    container.close_input();
    container.end();
    if crate::needs::first_namespace() {
        wait_for("the end of the namespace to be seen", || (env.status(&id) == "orphaned").then_some(()));
    }
}

/// If it cannot be proven that the processes of a job are gone, a person can say so.
#[test]
fn a_person_can_say_that_the_world_of_a_job_is_gone() {
    let Some(unshare) = crate::needs::namespaces() else { return };
    let env = TestEnv::new();
    let inside = |arguments: &[&str]| Ran::of(foreign(&env, unshare, arguments));
    // While the lock is held, a person's word does not count.
    let living = env.submit("exec sleep 1000");
    let refused = inside(&["kill", "--gone", &living]);
    assert_eq!((refused.code, env.status(&living).as_str()), (Some(4), "running"), "{refused}");
    let refused = env.run(["kill", "--gone", &living]);
    assert_eq!((refused.code, env.status(&living).as_str()), (Some(4), "running"), "{refused}");
    // Nor if its processes can be seen.
    for pid in [env.supervisor(&living), env.main_process(&living)] {
        send(pid, Signal::SIGKILL);
        wait_for("it to be dead", || (!is_alive(pid)).then_some(()));
    }
    assert_eq!(inside(&["status", &living]).stdout, "running\n");
    let killed = inside(&["kill", &living]);
    assert!(killed.code == Some(4) && killed.stderr.contains("kill --gone"), "{killed}");
    let gone = inside(&["kill", "--gone", &living]);
    assert!(gone.code == Some(0) && gone.stdout.ends_with(": orphaned\n"), "{gone}");
    let job = env.job(&living);
    assert_eq!((&job["status"], &job["cause"]), (&"orphaned".into(), &"supervisor_lost".into()), "{job}");
    let message = job["message"].as_str().unwrap();
    assert!(message.starts_with("jobcli") && message.contains("no longer exists"), "{job}");
    assert_eq!(env.ok(["kill", "--gone", &living]), format!("{}: orphaned", &living[24..32]), "it has ended");
    let queued = {
        env.ok(["config", "set", "max_running", "1"]);
        env.submit("exec sleep 1000");
        env.submit("true")
    };
    assert_eq!(env.run(["kill", "--gone", &queued]).code, Some(4));
}

/// `/proc` is that of another pid namespace: what it shows for a process id belongs to a different process.
#[test]
fn nothing_is_started_where_proc_shows_the_processes_of_others() {
    let Some(unshare) = crate::needs::namespaces() else { return };
    let env = TestEnv::new();
    let first = env.submit("exec sleep 1000");
    let words: Vec<_> = unshare.iter().copied().filter(|word| *word != "--mount-proc").collect();
    let inside = |arguments: &[&str]| Ran::of(foreign(&env, &words, arguments));
    let refused = inside(&["run", "--wait", "exit 3"]);
    assert_eq!(refused.code, Some(125), "{refused}");
    assert!(refused.stderr.contains("`/proc`") && refused.stderr.contains("--mount-proc"), "{refused}");
    let listed: Vec<serde_json::Value> = serde_json::from_str(&env.ok(["list", "--json"])).unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    // Other commands work, and a living job is not reported as dead.
    assert_eq!(inside(&["status", &first]).stdout, "running\n");
    let supervisor = env.supervisor(&first);
    send(supervisor, Signal::SIGKILL);
    wait_for("the supervisor to be dead", || (!is_alive(supervisor)).then_some(()));
    assert_eq!(inside(&["status", &first]).stdout, "running\n");
    assert!(!env.records(&first).has("end"));
    let doctor = inside(&["doctor", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&doctor.stdout).unwrap();
    let steps = report["steps"].as_array().unwrap();
    let proc = steps.iter().find(|step| step["name"] == "proc" && step["result"] == "failed");
    assert!(proc.is_some_and(|step| step["advice"].as_str().unwrap().contains("--mount-proc")), "{doctor}");
    assert_eq!(env.status(&first), "running");
}

/// Commands that need no processes work from everywhere: waiting, reading, and asking a supervisor.
#[test]
fn a_job_can_be_waited_for_and_killed_from_another_namespace() {
    let Some(unshare) = crate::needs::namespaces() else { return };
    let env = TestEnv::new();
    let (first, second) = (env.submit(&format!("{}; exit 3", until("go"))), env.submit("exec sleep 1000"));
    let main = env.main_process(&second);
    let mut waiter = Background::spawn(foreign(&env, unshare, &["wait", &first]));
    let killed = Ran::of(foreign(&env, unshare, &["kill", &second]));
    assert!(killed.stdout.ends_with(": killed\n"), "{killed}");
    assert!(!is_alive(main));
    touch(&env, "go");
    assert_eq!(waiter.end().code(), Some(3));
}
