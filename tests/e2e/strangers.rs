//! Jobs made of processes that were started elsewhere.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use crate::background::{touch, until};
use crate::pausing::stands_still;
use crate::support::{TestEnv, is_alive, send, wait_for};

/// A process that the test itself started. It is killed and reaped when this is dropped.
struct Stranger(Child);

impl Stranger {
    fn spawn(mut command: Command) -> Self {
        Self(command.spawn().unwrap())
    }

    fn pid(&self) -> i32 {
        self.0.id().try_into().unwrap()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn bash(env: &TestEnv, line: &str) -> Command {
    let mut command = env.command("bash");
    command.args(["-c", line]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn adopt(env: &TestEnv, pid: i32) -> String {
    env.ok(["adopt", "--quiet", &pid.to_string()])
}

#[test]
fn output_that_a_process_writes_to_files_is_kept_across_supervisors() {
    let env = TestEnv::new();
    let line = format!(
        "echo before; {}; echo one; echo two >&2; {}; echo three; echo four >&2; {}; echo five; echo six >&2; exit 7",
        until("first"),
        until("second"),
        until("third")
    );
    let mut command = bash(&env, &line);
    let [out, err] = ["out", "err"].map(|name| env.dir().join(name));
    command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
    let process = Stranger::spawn(command);
    wait_for("the line before", || (std::fs::read(&out).unwrap() == b"before\n").then_some(()));
    let ran = env.run(["adopt", &process.pid().to_string(), "--name", "elsewhere"]);
    let id = ran.stdout.trim().to_owned();
    assert!(ran.stderr.contains(&format!("standard output: followed in `{}` from byte 7 on", out.display())), "{ran}");
    assert!(ran.stderr.contains(&format!("standard error: followed in `{}` from byte 0 on", err.display())), "{ran}");
    touch(&env, "first");
    let has = |lines: [&str; 2]| {
        let output = env.ok(["output", &id]);
        lines.iter().all(|line| output.contains(line)).then_some(())
    };
    wait_for("output of both files", || has(["one", "two"]));
    // Output that is written while there is no supervisor is found by the next one.
    send(env.supervisor(&id), Signal::SIGSTOP);
    touch(&env, "second");
    wait_for("what no supervisor has seen", || std::fs::read_to_string(&err).unwrap().contains("four").then_some(()));
    env.replace_supervisor(&id);
    wait_for("output of the time without", || has(["three", "four"]));
    touch(&env, "third");
    wait_for("its end", || (env.status(&id) == "failed").then_some(()));
    assert_eq!(env.ok(["output", &id, "--stdout"]), "one\nthree\nfive");
    assert_eq!(env.ok(["output", &id, "--stderr"]), "two\nfour\nsix");
    let job = env.job(&id);
    assert_eq!((&job["name"], &job["adopts"]["process"]["pid"]), (&"elsewhere".into(), &process.pid().into()));
    // The test has not reaped it, so any kernel can report its exit code.
    assert_eq!(job["exit_code"], 7, "{job}");
    drop(process);
    env.wait_until_empty();
}

#[test]
fn a_file_that_is_emptied_is_read_from_its_beginning() {
    let env = TestEnv::new();
    let mut command = bash(&env, &format!("echo long before; {}; echo now; {}", until("go"), until("end")));
    let path = env.dir().join("out");
    let append = File::options().append(true).create(true).open(&path).unwrap();
    command.stdout(append.try_clone().unwrap()).stderr(append);
    let process = Stranger::spawn(command);
    wait_for("the line before", || (std::fs::read(&path).unwrap().len() == 12).then_some(()));
    let ran = env.run(["adopt", &process.pid().to_string()]);
    assert!(ran.stderr.contains("standard error: goes where standard output goes"), "{ran}");
    let id = ran.stdout.trim().to_owned();
    File::options().write(true).truncate(true).open(&path).unwrap();
    touch(&env, "go");
    wait_for("its output", || (env.ok(["output", &id]) == "now").then_some(()));
    touch(&env, "end");
    wait_for("its end", || (env.status(&id) != "running").then_some(()));
    drop(process);
    env.wait_until_empty();
}

#[test]
fn a_pipe_is_read_only_if_no_other_process_reads_it() {
    let env = TestEnv::new();
    let mut command = bash(&env, &format!("trap '' PIPE; {}; echo alone; {}", until("go"), until("end")));
    let (read, unread) = (Stdio::piped(), Stdio::piped());
    let mut process = Stranger::spawn({
        command.stdout(unread).stderr(read);
        command
    });
    drop(process.0.stdout.take());
    let ran = env.run(["adopt", &process.pid().to_string()]);
    assert!(ran.stderr.contains("standard output: read from its pipe, which no other process reads"), "{ran}");
    assert!(ran.stderr.contains("standard error: not followed: a pipe that another process reads"), "{ran}");
    let id = ran.stdout.trim().to_owned();
    touch(&env, "go");
    wait_for("what it writes", || (env.ok(["output", &id]) == "alone").then_some(()));
    touch(&env, "end");
    wait_for("its end", || (env.status(&id) != "running").then_some(()));
    drop(process);
    env.wait_until_empty();
}

/// The process leads no process group: its group is that of the test, in which no other process may get a signal.
#[test]
fn a_process_is_signalled_paused_and_stopped_with_its_descendants_and_without_its_siblings() {
    let env = TestEnv::new();
    let sibling = Stranger::spawn(bash(&env, "exec sleep 1000"));
    let line = "trap 'echo hup >> got' HUP; sleep 1000 & sleep 1000 & echo $! > child; while :; do wait; done";
    let process = Stranger::spawn(bash(&env, line));
    let child = wait_for("its children", || std::fs::read_to_string(env.dir().join("child")).ok()?.trim().parse().ok());
    let id = adopt(&env, process.pid());
    env.ok(["kill", "--signal", "HUP", &id]);
    wait_for("the signal", || (std::fs::read_to_string(env.dir().join("got")).ok()? == "hup\n").then_some(()));
    env.ok(["pause", &id]);
    assert!(stands_still(child) && stands_still(process.pid()) && !stands_still(sibling.pid()));
    env.ok(["kill", &id]);
    assert_eq!(env.status(&id), "killed");
    assert!(!is_alive(child) && !is_alive(process.pid()) && is_alive(sibling.pid()));
    let message = env.job(&id)["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("it was started elsewhere; "), "{message}");
    drop((process, sibling));
    env.wait_until_empty();
}

#[test]
fn an_adopted_process_runs_at_once_whatever_the_limits_are() {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "1"]);
    let running = env.submit("exec sleep 1000");
    let queued = env.submit("true");
    let process = Stranger::spawn(bash(&env, "exec sleep 1000"));
    let id = adopt(&env, process.pid());
    assert_eq!((env.status(&id), env.status(&queued)), ("running".to_owned(), "queued".to_owned()));
    env.ok(["kill", &id, &running]);
    wait_for("the queue to go on", || (env.status(&queued) == "completed").then_some(()));
    // A rerun of it is an ordinary job.
    let again = env.ok(["rerun", &id]);
    wait_for("the second run", || (env.status(&again) == "running").then_some(()));
    assert!(env.job(&again)["adopts"].is_null());
    env.ok(["kill", &again]);
    drop(process);
    env.wait_until_empty();
}

#[test]
fn a_process_that_is_gone_or_belongs_to_a_job_is_refused() {
    let env = TestEnv::new();
    let refusal = |pid: i32| {
        let ran = env.run(["adopt", &pid.to_string()]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran}");
        ran.stderr
    };
    let gone = {
        let process = Stranger::spawn(bash(&env, "exec sleep 1000"));
        process.pid()
    };
    assert!(refusal(gone).contains(&format!("cannot adopt process {gone}: ")));
    let running = env.submit("sleep 1000 & echo $! > child; wait");
    let child = wait_for("its child", || std::fs::read_to_string(env.dir().join("child")).ok()?.trim().parse().ok());
    let short = env.job(&running)["short_id"].as_str().unwrap().to_owned();
    for pid in [env.main_process(&running), child] {
        let refusal = refusal(pid);
        assert!(refusal.contains(&format!("process {pid} already belongs to job {short}")), "{refusal}");
    }
    assert!(refusal(env.supervisor(&running)).contains("is the supervisor of a job"));
    assert_eq!(env.ok(["list", "--count"]), "running          1", "a refused adoption left something behind");
    let process = Stranger::spawn(bash(&env, "exec sleep 1000"));
    let id = adopt(&env, process.pid());
    assert!(refusal(process.pid()).contains("belongs to job"));
    env.ok(["kill", &id, &running]);
    drop(process);
    env.wait_until_empty();
}

/// The supervisor was killed after it had put itself on record, but before the process was on record.
#[test]
fn a_job_has_not_ended_while_its_unrecorded_process_lives() {
    let env = TestEnv::new();
    let process = Stranger::spawn(bash(&env, "exec sleep 1000"));
    let id = adopt(&env, process.pid());
    let supervisor = env.supervisor(&id);
    send(supervisor, Signal::SIGKILL);
    wait_for("its death", || (!is_alive(supervisor)).then_some(()));
    env.records(&id).forget("running");
    assert_eq!(env.status(&id), "running");
    wait_for("another supervisor", || {
        env.status(&id);
        (env.supervisor(&id) != supervisor).then_some(())
    });
    assert_eq!(env.main_process(&id), process.pid());
    env.ok(["kill", &id]);
    assert_eq!(env.status(&id), "killed");
    drop(process);
    env.wait_until_empty();
}

#[test]
fn many_concurrent_adopters_of_one_process_get_one_job() {
    let env = TestEnv::new();
    let process = Stranger::spawn(bash(&env, "exec sleep 1000"));
    let pid = process.pid().to_string();
    let ran = std::thread::scope(|scope| {
        let start = |_| scope.spawn(|| env.run(["adopt", "--quiet", &pid]));
        let threads: Vec<_> = (0..8).map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let (adopted, refused): (Vec<_>, Vec<_>) = ran.iter().partition(|ran| ran.code == Some(0));
    assert!(!adopted.is_empty() && adopted.iter().all(|ran| ran.stdout == adopted[0].stdout), "{}", adopted.len());
    // The adopters that came a little later.
    assert!(refused.iter().all(|ran| ran.stderr.contains("belongs to job")), "{}", refused.len());
    assert_eq!(env.ok(["list", "--count"]), "running          1");
    let id = adopted[0].stdout.trim();
    env.ok(["kill", id]);
    drop(process);
    env.wait_until_empty();
}
