//! Jobs that submit and stop jobs: a stop reaches the named job, and neither the job that asked for it nor those above.

use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::background::{Background, touch, until};
use crate::mcp_client::{Client, JOBMCP};
use crate::support::{TestEnv, is_alive, send, wait_for};

/// A shell line that submits a job, and writes its id to a file.
fn submits(inner: &str, file: &str) -> String {
    format!("\"$JOBCLI\" run '{inner}' > {file}.new && mv {file}.new {file}")
}

/// A shell line that kills a job when the test says so, and then records the exit code.
fn kills(what: &str) -> String {
    format!(
        "{}; \"$JOBCLI\" kill --grace 100ms {what} > /dev/null 2>&1; echo $? > code.new; mv code.new code",
        until("kill")
    )
}

fn read(env: &TestEnv, file: &str) -> String {
    let path = env.dir().join(file);
    wait_for(file, || path.exists().then_some(()));
    std::fs::read_to_string(path).unwrap().trim_end().to_owned()
}

/// What happens to a supervisor before its job is killed.
#[derive(Debug, Clone, Copy)]
enum Supervisor {
    Answers,
    StandsStill,
    IsKilled,
}

/// The killed job was submitted by the job that kills it. Its supervisor does the stopping, or the killer if the
/// supervisor does not answer.
#[test]
fn a_job_that_kills_a_job_it_submitted_lives_on() {
    for supervisor in [Supervisor::Answers, Supervisor::StandsStill, Supervisor::IsKilled] {
        let env = TestEnv::new();
        let line =
            format!("{}; {}; {}; exit 3", submits("exec sleep 1000", "inner"), kills("$(cat inner)"), until("go"));
        let outer = env.submit(&line);
        let inner = read(&env, "inner");
        let (outer_main, inner_main) = (env.main_process(&outer), env.main_process(&inner));
        let of_inner = env.supervisor(&inner);
        match supervisor {
            Supervisor::Answers => {}
            Supervisor::StandsStill => send(of_inner, Signal::SIGSTOP),
            Supervisor::IsKilled => {
                send(of_inner, Signal::SIGKILL);
                wait_for("it to be dead", || (!is_alive(of_inner)).then_some(()));
            }
        }
        touch(&env, "kill");
        let code = read(&env, "code");
        // A stopped supervisor does not reap its children, so there may be no proof.
        assert!(code == "0" || matches!(supervisor, Supervisor::StandsStill), "{supervisor:?}: {code}");
        assert!(!is_alive(inner_main), "{supervisor:?}");
        assert!(is_alive(outer_main), "{supervisor:?}");
        if matches!(supervisor, Supervisor::StandsStill) {
            send(of_inner, Signal::SIGCONT);
        }
        touch(&env, "go");
        assert_eq!(env.run(["wait", &outer]).code, Some(3), "{supervisor:?}");
        assert!(env.job(&outer).get("stragglers").is_none(), "{supervisor:?}");
    }
}

/// The other way round: the inner job kills the outer one, of which it is not a part.
#[test]
fn a_job_that_kills_the_job_that_submitted_it_lives_on() {
    for stands_still in [false, true] {
        let env = TestEnv::new();
        let inner = format!("{}; {}; exit 3", kills("$JOBCORE_PARENT_JOB_ID"), until("go"));
        let outer = env.submit(&format!("{}; exec sleep 1000", submits(&inner, "inner")));
        let inner = read(&env, "inner");
        let (outer_main, inner_main) = (env.main_process(&outer), env.main_process(&inner));
        let of_outer = env.supervisor(&outer);
        if stands_still {
            send(of_outer, Signal::SIGSTOP);
        }
        touch(&env, "kill");
        read(&env, "code");
        assert!(!is_alive(outer_main) && is_alive(inner_main), "{stands_still}");
        if stands_still {
            send(of_outer, Signal::SIGCONT);
        }
        assert_eq!(env.run(["wait", &outer]).code.map(|code| code > 128), Some(true));
        touch(&env, "go");
        assert_eq!(env.run(["wait", &inner]).code, Some(3), "{stands_still}");
    }
}

/// The command of the inner job became a child of the outer job's supervisor when its own was killed.
#[test]
fn a_nested_job_that_lost_its_supervisor_is_not_stopped_with_the_outer_one() {
    for is_killed in [false, true] {
        let env = TestEnv::new();
        let inner = format!("{} & wait; exit 3", until("go"));
        let outer = env.submit(&format!("{}; {}", submits(&inner, "inner"), until("end")));
        let inner = read(&env, "inner");
        let (inner_main, before) = (env.main_process(&inner), env.supervisor(&inner));
        send(before, Signal::SIGKILL);
        wait_for("it to be dead", || (!is_alive(before)).then_some(()));
        match is_killed {
            true => drop(env.ok(["kill", &outer])),
            false => touch(&env, "end"),
        }
        env.run(["wait", &outer]);
        assert!(is_alive(inner_main), "{is_killed}");
        let outer = env.job(&outer);
        assert!(outer.get("stragglers").is_none() && outer.get("survivors").is_none(), "{outer}");
        wait_for("another supervisor", || (env.supervisor(&inner) != before).then_some(()));
        touch(&env, "go");
        assert!(matches!(env.run(["wait", &inner]).code, Some(3 | 125)), "{is_killed}");
    }
}

/// Has the arguments of a supervisor and holds the lock of a job, in a store of its own, but no record names it.
const FORGED: &str = "\
import fcntl, os, signal, struct, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
lock = open(os.environ['LOCK'], 'r+')
F_OFD_SETLK = 37
fcntl.fcntl(lock, F_OFD_SETLK, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 2, 0))
with open('forged.new', 'w') as file:
    file.write(str(os.getpid()))
os.rename('forged.new', 'forged')
while True:
    time.sleep(1000)
";

#[test]
fn a_process_that_only_looks_like_a_supervisor_is_stopped_with_its_job() {
    let Some(_) = crate::needs::program("python3") else { return };
    for ends_by_itself in [false, true] {
        let env = TestEnv::new();
        let id = env.submit("true");
        let store = env.dir().join("own");
        let directory = jobcore::store::job_directory(&store, id.parse().unwrap());
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("job"), "").unwrap();
        // The name of the script is the hidden argument.
        std::fs::write(env.dir().join("__jobcore-supervisor"), FORGED).unwrap();
        let (lock, store) = (directory.join("job"), store.display().to_string());
        let line = format!(
            "LOCK={} setsid python3 __jobcore-supervisor 1 {store} {id} & {}",
            lock.display(),
            if ends_by_itself { format!("{}; exit 3", until("forged")) } else { "exec sleep 1000".to_owned() }
        );
        let job = env.ok(["run", "--grace", "100ms", &line]);
        let forged: i32 = read(&env, "forged").parse().unwrap();
        if !ends_by_itself {
            env.run(["kill", &job]);
        }
        let waited = env.run(["wait", "--timeout", "60s", &job]);
        assert_eq!(waited.code == Some(3), ends_by_itself, "{waited}");
        assert!(!is_alive(forged), "{waited}");
        assert!(env.job(&job).get("survivors").is_none());
    }
}

/// All jobs are stopped, the caller's own last; the terminal that submitted it is not part of any job.
#[test]
fn kill_all_from_within_a_job_stops_all_jobs_and_nothing_above() {
    let env = TestEnv::new();
    let stubborn = env.submit("trap \"\" TERM; echo ready; while :; do sleep 0.05; done");
    wait_for("the trap", || (env.ok(["output", &stubborn]) == "ready").then_some(()));
    let line =
        format!("{}; {}; \"$JOBCLI\" kill --all --grace 300ms", submits("exec sleep 1000", "inner"), until("kill"));
    let mut terminal = env.command("sh");
    terminal.args(["-c", "\"$JOBCLI\" run --wait \"$LINE\" > waited 2>&1; echo $?; read x; exit 7"]).env("LINE", line);
    terminal.stdin(std::process::Stdio::piped());
    let mut terminal = Background::spawn(terminal);
    let inner = read(&env, "inner");
    env.main_process(&inner);
    touch(&env, "kill");
    assert_eq!(terminal.line().as_deref(), Some("143"));
    let jobs: Vec<serde_json::Value> = serde_json::from_str(&env.ok(["list", "--all", "--json"])).unwrap();
    assert_eq!(jobs.len(), 3);
    for job in &jobs {
        assert_eq!((&job["status"], &job["cause"]), (&"killed".into(), &"stopped".into()), "{job}");
    }
    let ended =
        |id: &str| jobs.iter().find(|job| job["job_id"] == id).unwrap()["ended_at"].as_str().unwrap().to_owned();
    let last = jobs.iter().map(|job| job["ended_at"].as_str().unwrap()).max().unwrap();
    assert!(ended(&stubborn).as_str() < last && ended(&inner).as_str() < last, "{jobs:?}");
    // The terminal is still there to answer.
    terminal.close_input();
    assert_eq!(terminal.end().code(), Some(7));
}

/// jobcli as a job with this id runs it.
fn within(env: &TestEnv, id: &str, arguments: &[&str]) -> Command {
    let mut command = env.jobcli(arguments);
    command.env("JOBCORE_JOB_ID", id);
    command
}

/// Ten jobs, each of which waits for the next, and one slot.
#[test]
fn jobs_that_wait_for_jobs_need_no_slot_of_their_own() {
    for (setting, group) in [("max_running", ""), ("groups.builds.limit", "--group builds")] {
        for how in [
            "run GROUP --wait --quiet -- sh nest.sh N",
            "run GROUP --follow --quiet -- sh nest.sh N",
            "wait --quiet $(\"$JOBCLI\" run GROUP -- sh nest.sh N)",
            "output --follow $(\"$JOBCLI\" run GROUP -- sh nest.sh N)",
        ] {
            let env = TestEnv::new();
            env.ok(["config", "set", setting, "1"]);
            let how = how.replace("GROUP", group).replace(" N", " $(($1 - 1))");
            let script = format!("[ $1 = 0 ] && {{ echo innermost > done; exit 0; }}\n\"$JOBCLI\" {how}\n");
            std::fs::write(env.dir().join("nest.sh"), script).unwrap();
            let mut arguments = vec!["run", "--wait", "--quiet"];
            arguments.extend(group.split_whitespace());
            let ran = env.run([&arguments[..], &["--", "sh", "nest.sh", "10"]].concat());
            assert_eq!(ran.code, Some(0), "{how}: {ran}");
            assert_eq!(read(&env, "done"), "innermost", "{how}");
            assert_eq!(env.ok(["list", "--all", "-q"]).lines().count(), 11, "{how}");
        }
    }
}

#[test]
fn a_server_within_a_job_lends_its_slot_while_a_call_waits() {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "1"]);
    let outer = env.submit("sleep 1000");
    let mut command = env.command(JOBMCP);
    command.env("JOBCORE_JOB_ID", &outer);
    let mut client = Client::of(command);
    let called = client.ok("execute", json!({ "command": "echo inner", "wait_s": 50 }));
    assert!(called.text.contains("completed with exit code 0"), "{}", called.text);
    let queued = client.ok("execute", json!({ "command": "echo later", "name": "later", "wait_s": 0 }));
    assert!(queued.text.contains("queued"), "{}", queued.text);
    let waited = client.ok("wait", json!({ "job_ids": ["later"], "timeout_s": 50 }));
    assert!(waited.text.contains("completed with exit code 0"), "{}", waited.text);
}

/// A waiter lends the slot of its job, until it is killed.
#[test]
fn a_killed_waiter_no_longer_lends_its_slot() {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "1"]);
    let outer = env.submit(&until("outer"));
    let inner = env.submit(&until("inner"));
    assert_eq!(env.status(&inner), "queued");
    let mut waiter = within(&env, &outer, &["wait", "--quiet", &inner]).spawn().unwrap();
    wait_for("the inner job to run", || (env.status(&inner) == "running").then_some(()));
    let last = env.submit("true");
    assert_eq!(env.status(&last), "queued");
    waiter.kill().unwrap();
    waiter.wait().unwrap();
    touch(&env, "inner");
    env.ok(["wait", "--quiet", &inner]);
    assert_eq!(env.status(&last), "queued", "the outer job has the slot");
    touch(&env, "outer");
    env.ok(["wait", "--quiet", &outer, &last]);
}
