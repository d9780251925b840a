//! Jobs of many processes: stopped means stopped, and stragglers are dealt with.

use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::background::{Background, alive_with, bytes, touch, until};
use crate::mcp_client::Client;
use crate::support::{Ran, TestEnv, is_alive, script, send, wait_for};

/// A variable that only the processes of one test have: its name and value, as it stands in an environment.
struct Mark {
    value: String,
    variable: String,
}

impl Mark {
    fn new(env: &TestEnv) -> Self {
        let value = env.dir().display().to_string();
        Self { variable: format!("MARK={value}"), value }
    }

    /// Submits a job all of whose processes have the mark, while jobcli does not.
    fn submit(&self, env: &TestEnv, options: &[&str], line: &str) -> String {
        let mut command = env.jobcli(["run", "--env", &self.variable]);
        command.args(options).arg(line);
        let ran = Ran::of(command);
        assert_eq!(ran.code, Some(0), "{ran}");
        ran.stdout.trim_end().to_owned()
    }

    fn alive(&self) -> Vec<String> {
        alive_with(&self.variable)
    }

    /// Waits until there is a process with each of these command lines.
    fn wait_for(&self, lines: &[&str]) {
        wait_for(&format!("{lines:?} of {}", self.value), || {
            let alive = self.alive();
            lines.iter().all(|line| alive.iter().any(|process| process.trim_end().ends_with(line))).then_some(())
        });
    }
}

/// Double forks, sessions of their own, `nohup`, ignored signals, and loops that restart what dies.
const WILD: &str = r#"#!/bin/bash
trap '' TERM HUP INT
# The parent is gone at once, the session is another.
(setsid sh -c 'trap "" TERM; while :; do sleep 901; done' &)
((setsid setsid sleep 902 &) &)
nohup sleep 903 > /dev/null 2>&1 &
# What is killed is started again, in a new session.
setsid sh -c 'while :; do setsid --wait sleep 904; done' &
(setsid sh -c 'trap "" TERM; while :; do (setsid --wait sleep 905 &); setsid --wait sleep 906; done' &)
# One that leaves the job's standard streams, directory and group.
(cd / && setsid sleep 907 < /dev/null > /dev/null 2>&1 &)
# Stopped ones cannot obey.
sh -c 'kill -STOP $$; exec sleep 908' &
while :; do sleep 909; done
"#;
const WILD_ONES: [&str; 9] = [
    "sleep 901",
    "sleep 902",
    "sleep 903",
    "sleep 904",
    "sleep 905",
    "sleep 906",
    "sleep 907",
    "kill -STOP $$; exec sleep 908",
    "sleep 909",
];

#[test]
fn no_process_of_a_wild_tree_is_left_when_kill_says_so() {
    let env = TestEnv::new();
    script(&env.dir().join("wild"), WILD);
    let mark = Mark::new(&env);
    let id = mark.submit(&env, &[], "./wild");
    mark.wait_for(&WILD_ONES);
    let ran = env.run(["kill", "--grace", "300ms", &id]);
    // Checked at once: the answer itself must be true.
    assert_eq!(mark.alive(), [""; 0], "{ran}");
    assert!(ran.code == Some(0) && ran.stdout.ends_with(": killed\n"), "{ran}");
    let job = env.job(&id);
    assert_eq!((&job["status"], &job["signal"]), (&"killed".into(), &"SIGKILL".into()));
    assert!(job.get("survivors").is_none() && job.get("stragglers").is_none(), "{job}");
}

#[test]
fn a_wild_tree_is_stopped_when_its_main_process_ends_by_itself() {
    let env = TestEnv::new();
    let text = WILD.replace("while :; do sleep 909; done\n", &format!("{}; exit 4\n", until("go")));
    script(&env.dir().join("wild"), &text);
    let mark = Mark::new(&env);
    let id = mark.submit(&env, &["--grace", "200ms"], "exec ./wild");
    mark.wait_for(&WILD_ONES[..8]);
    touch(&env, "go");
    let ran = env.run(["wait", &id]);
    assert_eq!(mark.alive(), [""; 0], "{ran}");
    assert_eq!(ran.code, Some(4), "{ran}");
    let job = env.job(&id);
    assert_eq!((&job["status"], &job["cause"]), (&"failed".into(), &"exited".into()));
    // Some are just being restarted, so their exact number is unknown.
    assert!(job["stragglers"].as_u64().unwrap() >= 8, "{job}");
}

#[test]
fn stragglers_are_stopped_and_counted() {
    let env = TestEnv::new();
    let mark = Mark::new(&env);
    let id = mark.submit(&env, &[], "sleep 1000 & exit 0");
    assert_eq!(env.run(["wait", &id]).code, Some(0));
    assert_eq!(mark.alive(), [""; 0]);
    let job = env.job(&id);
    assert_eq!((&job["status"], &job["exit_code"], &job["stragglers"]), (&"completed".into(), &0.into(), &1.into()));
}

/// A pipe that a straggler reads from, so that it waits without a child process.
fn gate(env: &TestEnv) -> PathBuf {
    let path = env.dir().join("gate");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    path
}

#[test]
fn stragglers_that_are_left_live_on_and_their_output_is_kept() {
    let env = TestEnv::new();
    let mark = Mark::new(&env);
    let gate = gate(&env);
    let straggler = "(read x < gate; echo late; echo late too >&2; exec sleep 1000)";
    let id = mark.submit(&env, &["--leave-stragglers"], &format!("{straggler} & echo early; {}; exit 0", until("end")));
    // A wait that began before the end is woken by it, although the supervisor stays.
    let mut waiter = Background::spawn(env.jobcli(["wait", &id]));
    waiter.until_it_waits();
    touch(&env, "end");
    assert_eq!(waiter.end().code(), Some(0));
    let job = env.job(&id);
    assert_eq!((&job["status"], &job["stragglers"], &job["output_bytes"]), (&"completed".into(), &1.into(), &6.into()));
    assert_eq!(env.ok(["output", &id]), "early");
    let supervisor = env.supervisor(&id);
    std::fs::write(gate, "\n").unwrap();
    mark.wait_for(&["sleep 1000"]);
    wait_for("what the straggler wrote", || (env.ok(["output", "--stdout", &id]) == "early\nlate").then_some(()));
    wait_for("what it wrote there", || (env.ok(["output", "--stderr", &id]) == "late too").then_some(()));
    assert_eq!(env.job(&id)["output_bytes"], "early\nlate\nlate too\n".len());
    assert_eq!(env.run(["kill", "--grace", "0s", &id]).code, Some(0));
    wait_for("the straggler to be gone", || mark.alive().is_empty().then_some(()));
    wait_for("the supervisor to be gone", || (!is_alive(supervisor)).then_some(()));
    assert_eq!(env.status(&id), "completed");
    assert_eq!(env.ok(["output", "--stdout", &id]), "early\nlate");
}

#[test]
fn one_straggler_is_counted_as_one() {
    let env = TestEnv::new();
    let mark = Mark::new(&env);
    let ids = ["first", "second"].map(|name| {
        let id = mark.submit(&env, &["--leave-stragglers", "--name", name], "sleep 1000 & exit 0");
        assert_eq!(env.run(["wait", &id]).code, Some(0));
        id
    });
    assert_eq!(
        env.ok(["kill", "first"]),
        format!("first ({}): had completed; stopped 1 process that was still running", &ids[0][24..32])
    );
    let mut client = Client::legacy(&env);
    let waited = client.ok("wait", json!({ "job_ids": ["second"], "until": "output:nothing", "wait_s": 1 }));
    assert!(waited.text.contains("; `output:nothing` is not met yet."), "{}", waited.text);
    let killed = client.ok("kill", json!({ "job_ids": ["second"], "remove": true }));
    assert!(killed.text.contains(" Stopped 1 process that it had left running."), "{}", killed.text);
}

#[test]
fn stragglers_that_are_left_are_shown_and_their_stop_is_reported() {
    let env = TestEnv::new();
    let mark = Mark::new(&env);
    let id = mark.submit(&env, &["--leave-stragglers"], "sleep 1000 & sleep 1001 & exit 0");
    let short = &id[24..32];
    assert_eq!(env.run(["wait", &id]).code, Some(0));
    assert_eq!(env.job(&id)["stragglers_alive"], true);
    let listed: serde_json::Value = serde_json::from_str(&env.ok(["list", "--json"])).unwrap();
    assert_eq!(listed[0]["stragglers_alive"], true);
    assert!(env.ok(["list"]).lines().any(|line| line.starts_with(&format!("{short}  completed+"))));
    assert!(env.ok(["show", &id]).contains("2, still running"));
    let told = format!("{short}: had completed; stopped 2 processes that were still running");
    assert_eq!(env.ok(["kill", &id]), told);
    assert_eq!(mark.alive(), [""; 0]);
    let job = env.job(&id);
    assert_eq!((job.get("stragglers_alive"), &job["stragglers"]), (None, &2.into()));
    assert!(!env.ok(["list"]).contains('+'));
    assert_eq!(env.ok(["kill", &id]), format!("{short}: already completed"));
}

/// A killed process exists until its tracer lets go of it, which no stop can speed up.
#[test]
fn a_stop_that_cannot_be_proven_names_the_reason() {
    let Some(_) = crate::needs::program("python3") else { return };
    let env = TestEnv::new();
    let id = env.submit("exec sleep 1000");
    let main = env.main_process(&id);
    let mut tracer = env.command("python3");
    const TRACER: &str = "import ctypes, sys\nPTRACE_SEIZE = 0x4206\n\
        print(ctypes.CDLL(None).ptrace(PTRACE_SEIZE, int(sys.argv[1]), None, None), flush=True)\nsys.stdin.read()";
    tracer.args(["-c", TRACER, &main.to_string()]).stdin(std::process::Stdio::piped());
    let mut tracer = Background::spawn(tracer);
    if tracer.line().as_deref() != Some("0") {
        return crate::needs::say_skipped("processes cannot be traced");
    }
    let killed = env.run(["kill", "--grace", "0s", &id]);
    assert_eq!(killed.code, Some(1), "{killed}");
    assert!(
        killed.stdout.contains(&format!("stopping, 1 process left; process {main} (sleep) has ended and")),
        "{killed}"
    );
    // The supervisor answers while it stops the job.
    assert_eq!(env.status(&id), "running");
    assert_eq!(env.run(["kill", "--grace", "0s", &id]).code, Some(1));
    tracer.close_input();
    tracer.end();
    assert_eq!(env.run(["wait", &id]).code, Some(128 + 9));
    let job = env.job(&id);
    assert_eq!((&job["status"], job.get("survivors")), (&"killed".into(), None), "{job}");
}

#[test]
fn output_of_a_straggler_after_the_end_is_counted_once_it_is_gone() {
    let env = TestEnv::new();
    let gate = gate(&env);
    let id = submit_leaving(&env, "8K", "(read x < gate; head -c 100000 /dev/zero) & exit 0");
    assert_eq!(env.run(["wait", &id]).code, Some(0));
    let supervisor = env.supervisor(&id);
    std::fs::write(gate, "\n").unwrap();
    wait_for("the supervisor to be gone", || (!is_alive(supervisor)).then_some(()));
    let kept = bytes(env.jobcli(["output", &id])).len();
    assert!(kept <= 8192, "{kept}");
    let job = env.job(&id);
    assert_eq!((&job["output_bytes"], &job["dropped_bytes"]), (&100_000.into(), &(100_000 - kept).into()));
}

fn submit_leaving(env: &TestEnv, limit: &str, line: &str) -> String {
    env.ok(["run", "--leave-stragglers", "--output-limit", limit, line])
}

#[test]
fn a_job_ends_although_a_straggler_that_is_left_never_stops_writing() {
    let env = TestEnv::new();
    let mark = Mark::new(&env);
    let id = mark.submit(&env, &["--leave-stragglers", "--output-limit", "1M"], "yes & exit 5");
    assert_eq!(env.run(["wait", "--timeout", "60s", &id]).code, Some(5));
    assert_eq!(env.run(["kill", "--grace", "0s", &id]).code, Some(0));
    wait_for("the straggler to be gone", || mark.alive().is_empty().then_some(()));
}

#[test]
fn a_process_substitution_loses_nothing_and_is_not_a_straggler() {
    let env = TestEnv::new();
    let id = env.submit("exec > >(cat); for i in {1..500}; do echo line $i; done; exit 3");
    assert_eq!(env.run(["wait", &id]).code, Some(3));
    let expected: Vec<_> = (1..=500).map(|i| format!("line {i}")).collect();
    let found = env.ok(["output", "--stdout", &id]);
    assert!(found == expected.join("\n"), "{} bytes of {}", found.len(), expected.join("\n").len());
    assert!(env.job(&id).get("stragglers").is_none(), "{}", env.job(&id));
}

#[test]
fn a_signal_is_delivered_once_and_does_not_end_a_job_that_handles_it() {
    let env = TestEnv::new();
    let line = format!("trap 'echo usr1' USR1; touch ready; {}; exit 5", until("go"));
    let id = env.submit(&line);
    wait_for("the job to be ready", || env.dir().join("ready").exists().then_some(()));
    let ran = env.run(["kill", "--signal", "USR1", &id]);
    assert_eq!((ran.code, ran.stdout), (Some(0), format!("{}: sent SIGUSR1\n", &id[24..32])));
    wait_for("the signal to be handled", || (env.ok(["output", "--stdout", &id]) == "usr1").then_some(()));
    assert_eq!(env.status(&id), "running");
    touch(&env, "go");
    assert_eq!(env.run(["wait", &id]).code, Some(5));
    assert_eq!(env.ok(["output", "--stdout", &id]), "usr1");
    let job = env.job(&id);
    assert_eq!((&job["status"], &job["cause"]), (&"failed".into(), &"exited".into()));
    let ran = env.run(["kill", "--signal", "USR1", &id]);
    assert_eq!(ran.code, Some(4), "it has ended: {ran}");
}

#[test]
fn a_job_that_dies_of_a_requested_signal_was_killed() {
    let env = TestEnv::new();
    let id = env.submit("exec sleep 1000");
    let main = env.main_process(&id);
    assert_eq!(env.run(["kill", "--signal", "TERM", &id]).code, Some(0));
    assert_eq!(env.run(["wait", &id]).code, Some(128 + 15));
    let job = env.job(&id);
    assert_eq!(
        (&job["status"], &job["cause"], &job["signal"]),
        (&"killed".into(), &"stopped".into(), &"SIGTERM".into())
    );
    assert!(job["stopped_by"].as_str().unwrap().starts_with("jobcli"), "{job}");
    assert!(!is_alive(main));

    // The same signal from elsewhere was not requested through jobcore.
    let id = env.submit("exec sleep 1000");
    send(env.main_process(&id), Signal::SIGTERM);
    assert_eq!(env.run(["wait", &id]).code, Some(128 + 15));
    let job = env.job(&id);
    assert_eq!((&job["status"], &job["cause"]), (&"failed".into(), &"signalled".into()));
    assert!(job.get("stopped_by").is_none(), "{job}");
}

#[test]
fn a_stopped_job_is_paused_and_can_be_killed() {
    let env = TestEnv::new();
    let id = env.submit("trap 'echo bye; exit 9' TERM; sleep 1000 & touch ready; wait");
    wait_for("the job to be ready", || env.dir().join("ready").exists().then_some(()));
    let main = env.main_process(&id);
    send(main, Signal::SIGSTOP);
    wait_for("the job to be paused", || (env.status(&id) == "paused").then_some(()));
    assert_eq!(env.job(&id)["pid"], main);
    send(main, Signal::SIGCONT);
    wait_for("the job to go on", || (env.status(&id) == "running").then_some(()));
    send(main, Signal::SIGSTOP);
    wait_for("the job to be paused again", || (env.status(&id) == "paused").then_some(()));
    let ran = env.run(["kill", &id]);
    assert!(ran.code == Some(0) && ran.stdout.ends_with(": killed\n"), "{ran}");
    let job = env.job(&id);
    assert_eq!((&job["exit_code"], &job["cause"]), (&9.into(), &"stopped".into()), "it could still obey");
    assert_eq!(env.ok(["output", "--stdout", &id]), "bye");
}

#[test]
fn a_stop_reaches_all_jobs_at_once_and_waits_for_none_in_turn() {
    let env = TestEnv::new();
    let stubborn: Vec<_> = (0..4).map(|_| env.submit("trap '' TERM; touch ready.$$; sleep 1000; sleep 1000")).collect();
    for id in &stubborn {
        let ready = env.dir().join(format!("ready.{}", env.main_process(id)));
        wait_for("a job to ignore the signal", || ready.exists().then_some(()));
    }
    let kill = Background::spawn(env.jobcli(["kill", "--all", "--grace", "300ms"]));
    let mut lines: Vec<_> = std::iter::from_fn(|| kill.line()).collect();
    lines.sort_unstable();
    let mut expected: Vec<_> = stubborn.iter().map(|id| format!("{}: killed", &id[24..32])).collect();
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[test]
fn a_program_with_children_of_its_own_starts_a_thousand_jobs_and_loses_none() {
    let env = TestEnv::new();
    let mut program = env.command(env!("CARGO_BIN_EXE_many-short-jobs-under-test"));
    program.arg(env.store()).arg("1000");
    let ran = Ran::of(program);
    assert_eq!(
        ran.stdout, "1000 of 1000 jobs completed, 10 of 10 children reported their exit code, 0 zombies\n",
        "{ran}"
    );
    assert_eq!(ran.code, Some(0), "{ran}");
    let listed: serde_json::Value = serde_json::from_str(&env.ok(["list", "--all", "--json"])).unwrap();
    let jobs = listed.as_array().unwrap();
    assert_eq!(jobs.len(), 1000);
    assert!(jobs.iter().all(|job| job["status"] == "completed" && job["exit_code"] == 0));
}
