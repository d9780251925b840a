//! Processes whose main thread has exited while other threads run on. The kernel shows them as zombies, of which
//! nothing can be read, but they are alive.

use nix::sys::signal::Signal;

use crate::background::{touch, until};
use crate::support::{TestEnv, is_alive, send, wait_for};

/// Ignores SIGTERM, lets its main thread exit, writes its process id to a file, and exits with code 5 once it may.
const LEADERLESS: &str = "\
import ctypes, os, signal, socket, threading, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def state():
    return open('/proc/self/stat').read().rsplit(')', 1)[1].split()[0]
def live():
    while state() != 'Z':
        time.sleep(0.01)
    with open('leaderless.new', 'w') as file:
        file.write(str(os.getpid()))
    os.rename('leaderless.new', 'leaderless')
    server = None
    while not os.path.exists('go'):
        if not server and os.path.exists('port'):
            server = socket.create_server(('127.0.0.1', int(open('port').read())))
        time.sleep(0.02)
    os._exit(5)
threading.Thread(target=live).start()
ctypes.CDLL(None).pthread_exit(0)
";

/// An environment with that program in it; `None` if the test is to be skipped.
fn world() -> Option<TestEnv> {
    crate::needs::program("python3")?;
    let env = TestEnv::new();
    std::fs::write(env.dir().join("leaderless.py"), LEADERLESS).unwrap();
    Some(env)
}

/// The process, once it has lost its main thread.
fn leaderless(env: &TestEnv) -> i32 {
    let pid = wait_for("a main thread to have exited", || std::fs::read_to_string(env.dir().join("leaderless")).ok());
    let pid = pid.parse().unwrap();
    assert!(is_alive(pid));
    pid
}

#[test]
fn a_main_process_without_its_main_thread_is_killed() {
    let Some(env) = world() else { return };
    let id = env.ok(["run", "--grace", "200ms", "--", "python3", "leaderless.py"]);
    let pid = leaderless(&env);
    assert_eq!((env.status(&id).as_str(), env.main_process(&id)), ("running", pid));
    let killed = env.run(["kill", &id]);
    assert!(killed.code == Some(0) && killed.stdout.ends_with(": killed\n"), "{killed}");
    assert!(!is_alive(pid));
}

#[test]
fn a_main_process_without_its_main_thread_is_adopted() {
    let Some(env) = world() else { return };
    let id = env.ok(["run", "--", "python3", "leaderless.py"]);
    let pid = leaderless(&env);
    env.replace_supervisor(&id);
    assert_eq!((env.status(&id).as_str(), env.main_process(&id)), ("running", pid));
    touch(&env, "go");
    let code = env.run(["wait", &id]).code;
    assert!(matches!(code, Some(5 | 125)), "{code:?}");
    // While it is there to be adopted, it can also be killed.
    std::fs::remove_file(env.dir().join("go")).unwrap();
    std::fs::remove_file(env.dir().join("leaderless")).unwrap();
    let id = env.ok(["run", "--grace", "200ms", "--", "python3", "leaderless.py"]);
    let pid = leaderless(&env);
    env.replace_supervisor(&id);
    let killed = env.run(["kill", &id]);
    assert!(killed.stdout.ends_with(": killed\n") && !is_alive(pid), "{killed}");
}

#[test]
fn a_process_without_its_main_thread_is_paused_by_a_signal() {
    let Some(env) = world() else { return };
    let id = env.ok(["run", "--", "python3", "leaderless.py"]);
    let pid = leaderless(&env);
    send(pid, Signal::SIGSTOP);
    wait_for("the job to be paused", || (env.status(&id) == "paused").then_some(()));
    send(pid, Signal::SIGCONT);
    wait_for("the job to go on", || (env.status(&id) == "running").then_some(()));
    touch(&env, "go");
    assert_eq!(env.run(["wait", &id]).code, Some(5));
}

#[test]
fn a_straggler_without_its_main_thread_is_stopped_and_counted() {
    for options in [&[][..], &["--timeout", "1h"]] {
        let Some(env) = world() else { return };
        let line = format!("python3 leaderless.py & {}; exit 3", until("leaderless"));
        let id = env.ok(["run", "--grace", "200ms"].iter().chain(options).chain(&[line.as_str()]));
        let pid = leaderless(&env);
        let waited = env.run(["wait", "--timeout", "60s", &id]);
        assert_eq!(waited.code, Some(3), "{waited}");
        assert!(!is_alive(pid));
        assert_eq!(env.job(&id)["stragglers"], 1);
    }
}

/// It has left the session, and its environment can be read only through another thread.
#[test]
fn a_process_without_its_main_thread_is_recognised_by_its_environment() {
    let Some(env) = world() else { return };
    let id = env.ok(["run", "--grace", "200ms", "(setsid python3 leaderless.py &); exec sleep 1000"]);
    let pid = leaderless(&env);
    env.replace_supervisor(&id);
    let killed = env.run(["kill", &id]);
    assert!(killed.stdout.ends_with(": killed\n") && !is_alive(pid), "{killed}");
}

#[test]
fn a_port_counts_that_a_process_without_its_main_thread_listens_on() {
    let Some(env) = world() else { return };
    let id = env.ok(["run", "--", "python3", "leaderless.py"]);
    leaderless(&env);
    let free = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    std::fs::write(env.dir().join("port.new"), &port).unwrap();
    std::fs::rename(env.dir().join("port.new"), env.dir().join("port")).unwrap();
    let waited = env.run(["wait", "--timeout", "60s", "--until", &format!("port:{port}"), &id]);
    assert_eq!(waited.code, Some(0), "{waited}");
    touch(&env, "go");
    assert_eq!(env.run(["wait", &id]).code, Some(5));
}
