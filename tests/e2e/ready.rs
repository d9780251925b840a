//! Jobs that become ready after a while: their supervisors find out without any waiter.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{TestEnv, send, wait_for};

/// Serves as its arguments say: the port, the address, and what to answer.
const SERVER: &str = "\
import socket, sys
server = socket.create_server((sys.argv[2], int(sys.argv[1])))
while True:
    connection, _ = server.accept()
    try:
        if sys.argv[3:]:
            connection.recv(1000)
            connection.sendall(b'HTTP/1.1 ' + open(sys.argv[3], 'rb').read().strip() + b' x\\r\\n\\r\\n')
    except OSError:
        pass
    connection.close()
";

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn events(env: &TestEnv, id: &str) -> Vec<String> {
    let events = env.ok(["events", "--since", "0", "--json"]);
    let events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["job_id"] == id).map(|event| event["event"].as_str().unwrap().to_owned()).collect()
}

fn touch(path: &Path) {
    std::fs::write(path, "").unwrap();
}

/// Submits a job that waits for a file `go`, does something, and then sleeps.
fn starts(env: &TestEnv, options: &[&str], then: &str) -> String {
    let line = format!("while [ ! -e go ]; do sleep 0.02; done; {then}; exec sleep 1000");
    let mut arguments = vec!["run"];
    arguments.extend(options);
    arguments.push(&line);
    let _ = std::fs::remove_file(env.dir().join("go"));
    env.ok(arguments)
}

fn is_ready(env: &TestEnv, id: &str) -> bool {
    env.job(id).get("ready_at").is_some()
}

/// The number of processes that check whether jobs of this environment are ready.
fn probers(env: &TestEnv) -> usize {
    env.processes()
        .iter()
        .filter(|line| line.contains("jobcore-supervisor") && line.trim_end().ends_with(" ready"))
        .count()
}

#[test]
fn each_condition_is_met_when_it_is_and_not_before() {
    let env = TestEnv::new();
    for (condition, then) in [
        ("output:^listening on [0-9]+$", "echo listening on 80"),
        ("output:password: $", "printf 'password: '"),
        ("file:made", "touch made"),
        ("cmd:[ \"$WORD\" = said ] && test -e succeeds", "touch succeeds"),
    ] {
        let id = starts(&env, &["--env", "WORD=said", "--ready", condition], then);
        assert_eq!(env.job(&id)["ready"], serde_json::json!([condition]));
        assert!(env.ok(["show", &id]).contains("starting: not ready yet"));
        assert!(env.ok(["list"]).contains("[starting]"));
        let status = env.run(["status", &id]);
        assert_eq!((status.stdout.trim(), status.stderr.trim()), ("running", "starting: not ready yet"), "{status}");
        let waited = env.run(["wait", "--until", "ready", "--timeout", "300ms", &id]);
        assert_eq!(waited.code, Some(124), "{waited}");
        let waiting = env.jobcli(["wait", "--until", "ready", &id]).stdout(Stdio::piped()).spawn().unwrap();
        touch(&env.dir().join("go"));
        let waited = waiting.wait_with_output().unwrap();
        assert!(waited.status.success() && String::from_utf8_lossy(&waited.stdout).contains(": ready"));
        assert_eq!(events(&env, &id), ["submitted", "started", "ready"], "{condition}");
        assert!(is_ready(&env, &id) && !env.ok(["list"]).contains("[starting]"));
        wait_for("the checking process to end", || (probers(&env) == 0).then_some(()));
        env.ok(["kill", "--grace", "0s", &id]);
        let job = env.job(&id);
        assert!(job.get("ready_at").is_some() && job.get("stragglers").is_none(), "{job}");
        assert_eq!(env.run(["wait", "--until", "ready", &id]).code, Some(0), "it was ready");
    }
}

#[test]
fn a_server_is_ready_when_it_listens_or_answers_well() {
    let Some(_) = crate::needs::program("python3") else { return };
    let env = TestEnv::new();
    std::fs::write(env.dir().join("server.py"), SERVER).unwrap();
    let port = free_port();
    let (own, by_address) = (format!("port:{port}"), format!("port:127.0.0.1:{port}"));
    let server = format!("exec python3 server.py {port} 127.0.0.1");
    let other = env.ok(["run", "--name", "other", "--ready", &own, "--wait-ready", &server]);
    assert!(is_ready(&env, &other));
    // A port without an address must be the job's own; with an address, any listener counts.
    let id = env.ok(["run", "--ready", &own, "sleep 1000"]);
    env.ok(["run", "--ready", &by_address, "--wait-ready", "sleep 1000"]);
    assert!(!is_ready(&env, &id));
    let port = free_port();
    let url = format!("http://localhost:{port}/health");
    std::fs::write(env.dir().join("answer"), "503").unwrap();
    let id = env.ok(["run", "--ready", &url, &format!("exec python3 server.py {port} 127.0.0.1 answer")]);
    assert_eq!(env.run(["wait", "--until", "ready", "--timeout", "1s", &id]).code, Some(124));
    std::fs::write(env.dir().join("answer"), "302").unwrap();
    env.ok(["wait", "--until", "ready", &id]);
}

#[test]
fn all_conditions_have_to_be_met_once() {
    let env = TestEnv::new();
    let id = env.ok([
        "run",
        "--ready",
        "output:one",
        "--ready",
        "file:two",
        "--ready",
        "file:three",
        "echo one; exec sleep 1000",
    ]);
    for name in ["two", "three"] {
        assert_eq!(env.run(["wait", "--until", "ready", "--timeout", "500ms", &id]).code, Some(124));
        touch(&env.dir().join(name));
        if name == "two" {
            // Seen once is enough. The file is checked every second.
            std::thread::sleep(std::time::Duration::from_millis(1500));
            std::fs::remove_file(env.dir().join(name)).unwrap();
        }
    }
    env.ok(["wait", "--until", "ready", "--timeout", "60s", &id]);
}

#[test]
fn a_job_that_is_not_ready_in_time_is_stopped_or_continues() {
    let env = TestEnv::new();
    let late = ["--ready", "file:never", "--ready-timeout", "300ms"];
    let id = env.ok([&["run"], &late[..], &["sleep 1000"]].concat());
    let waited = env.run(["wait", &id]);
    assert!(waited.code == Some(143) && waited.stderr.contains("was not ready in time and was stopped"), "{waited}");
    let job = env.job(&id);
    assert_eq!((&job["status"], &job["cause"]), (&"timed_out".into(), &"not_ready".into()), "{job}");
    assert_eq!(env.run(["wait", "--until", "ready", &id]).code, Some(1));
    let id = env.ok([&["run"], &late[..], &["--not-ready", "continue", "sleep 1000"]].concat());
    wait_for("the event", || events(&env, &id).contains(&"not_ready".to_owned()).then_some(()));
    assert_eq!(env.status(&id), "running");
    touch(&env.dir().join("never"));
    env.ok(["wait", "--until", "ready", &id]);
    assert_eq!(events(&env, &id), ["submitted", "started", "not_ready", "ready"]);
    // While it is paused, its time stands still, and nothing is checked.
    std::fs::remove_file(env.dir().join("never")).unwrap();
    let id = env.ok(["run", "--ready", "file:never", "--ready-timeout", "1s", "sleep 1000"]);
    env.ok(["pause", &id]);
    wait_for("nothing to be tried", || (probers(&env) == 0).then_some(()));
    std::thread::sleep(std::time::Duration::from_millis(1300));
    assert_eq!(env.status(&id), "paused");
    touch(&env.dir().join("never"));
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(!is_ready(&env, &id));
    env.ok(["resume", &id]);
    env.ok(["wait", "--until", "ready", &id]);
}

#[test]
fn a_wait_for_a_job_that_ends_before_it_is_ready_ends_with_an_error() {
    let env = TestEnv::new();
    for (line, code) in [("exit 3", 3), ("exit 0", 1)] {
        let ran = env.run(["run", "--ready", "file:never", "--wait-ready", line]);
        assert_eq!(ran.code, Some(code), "{ran}");
    }
    // Output that was written before the end came before it.
    let ran = env.run(["run", "--ready", "output:up", "--wait-ready", "echo up; exit 3"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let id = env.submit("sleep 1000");
    let ran = env.run(["wait", "--until", "ready", &id]);
    assert!(ran.code == Some(125) && ran.stderr.contains("without a readiness condition"), "{ran}");
    let ran = env.run(["run", "--wait-ready", "true"]);
    assert!(ran.code == Some(2) || ran.code == Some(125), "{ran}");
    for wrong in [
        &["--ready", "https://a/"][..],
        &["--ready", "quiet:5s"],
        &["--ready-timeout", "1s"],
        &["--ready", "file:x", "--not-ready", "continue"],
    ] {
        let ran = env.run([&["run"], wrong, &["true"]].concat());
        assert_eq!(ran.code, Some(2), "{ran}");
    }
}

/// A job in the queue is waited for, too.
#[test]
fn a_queued_job_gets_ready_after_its_turn_has_come() {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "1"]);
    let first = env.submit("sleep 1000");
    let second = env.ok(["run", "--ready", "output:up", "echo up; exec sleep 1000"]);
    let waiting = env.jobcli(["wait", "--until", "ready", &second]).stdout(Stdio::null()).spawn().unwrap();
    env.ok(["kill", "--grace", "0s", &first]);
    assert!(waiting.wait_with_output().unwrap().status.success());
}

#[test]
fn unmet_conditions_are_checked_by_the_next_supervisor() {
    let env = TestEnv::new();
    for (condition, then) in
        [("output:^up$", "echo up"), ("file:made", "touch made"), ("cmd:test -e good", "touch good")]
    {
        // Written before the first supervisor is killed, and seen again by the next.
        let line = format!("echo before; while [ ! -e go ]; do sleep 0.02; done; {then}; exec sleep 1000");
        let id = env.ok(["run", "--ready", condition, "--ready", "output:^before$", &line]);
        wait_for("the first line", || (env.ok(["output", &id]) == "before").then_some(()));
        env.replace_supervisor(&id);
        assert!(!is_ready(&env, &id));
        let waiting = env.jobcli(["wait", "--until", "ready", &id]).stdout(Stdio::null()).spawn().unwrap();
        touch(&env.dir().join("go"));
        assert!(waiting.wait_with_output().unwrap().status.success());
        let ready_at = env.job(&id)["ready_at"].clone();
        // What is on record is not checked again.
        env.replace_supervisor(&id);
        assert_eq!(env.job(&id)["ready_at"], ready_at);
        assert_eq!(events(&env, &id).iter().filter(|event| *event == "ready").count(), 1);
        wait_for("nothing to be tried", || (probers(&env) == 0).then_some(()));
        env.ok(["kill", "--grace", "0s", &id]);
        std::fs::remove_file(env.dir().join("go")).unwrap();
    }
}

/// A check that hangs is killed with the job, and is not one of its stragglers.
#[test]
fn a_readiness_check_ends_with_the_job() {
    let env = TestEnv::new();
    for end in ["kill", "exit", "pause"] {
        let id = env.ok([
            "run",
            "--ready",
            "cmd:echo $$ > try.new; mv try.new try; sleep 1000",
            "while [ ! -e end ]; do sleep 0.02; done",
        ]);
        let pid = wait_for("a try", || std::fs::read_to_string(env.dir().join("try")).ok()?.trim().parse::<i32>().ok());
        match end {
            "kill" => drop(env.ok(["kill", &id])),
            "pause" => {
                env.ok(["pause", &id]);
                wait_for("the check to end", || (!crate::support::is_alive(pid)).then_some(()));
                env.ok(["kill", &id]);
            }
            _ => {
                touch(&env.dir().join("end"));
                assert_eq!(env.run(["wait", &id]).code, Some(0));
                std::fs::remove_file(env.dir().join("end")).unwrap();
            }
        }
        wait_for("the check to end", || (!crate::support::is_alive(pid)).then_some(()));
        assert!(env.job(&id).get("stragglers").is_none(), "{}", env.job(&id));
        std::fs::remove_file(env.dir().join("try")).unwrap();
    }
    // Nor does a check outlive a killed supervisor for long.
    let id = env.ok(["run", "--ready", "file:never", "sleep 1000"]);
    wait_for("a try", || (probers(&env) == 1).then_some(()));
    send(env.supervisor(&id), nix::sys::signal::Signal::SIGKILL);
    wait_for("it to be gone", || (probers(&env) == 0).then_some(()));
}

#[test]
fn readiness_can_be_set_in_json_and_is_kept_by_reruns() {
    let env = TestEnv::new();
    let spec = r#"{"command": "touch here; exec sleep 1000", "ready": ["file:here", "cmd:true"], "ready_timeout": 60, "not_ready": "continue"}"#;
    std::fs::write(env.dir().join("spec.json"), spec).unwrap();
    let id = env.ok(["run", "--spec", "spec.json"]);
    env.ok(["wait", "--until", "ready", &id]);
    env.ok(["kill", "--grace", "0s", &id]);
    let again = env.ok(["rerun", &id]);
    assert_eq!(env.job(&again)["ready"], env.job(&id)["ready"]);
    assert!(env.ok(["show", &id]).contains("or continues"));
}
