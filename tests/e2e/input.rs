//! Talking to jobs through a pipe.

use std::fs::{self, File};
use std::io::Write;
use std::process::Stdio;
use std::time::Instant;

use crate::background::{touch, until};
use crate::needs;
use crate::support::{Ran, TestEnv, send, wait_for};

/// Lines, some without a line end because that was asked for, and the end of input.
#[test]
fn sent_input_arrives_unchanged() {
    let env = TestEnv::new();
    env.ok(["run", "--stdin", "open", "--name", "reader", "cat; echo end"]);
    for (arguments, sent) in [
        (&["reader", "one"][..], "sent 4 bytes"),
        (&["reader", "two\n"], "sent 4 bytes"),
        (&["--raw", "reader", "thr"], "sent 3 bytes"),
        (&["reader", "ee"], "sent 3 bytes"),
        (&["reader", ""], "sent 1 byte"),
        (&["reader", "--", "-x"], "sent 3 bytes"),
    ] {
        let arguments = [&["send"], arguments].concat();
        assert_eq!(env.ok(&arguments), sent, "{arguments:?}");
    }
    let path = env.dir().join("file");
    fs::write(&path, "from\na file").unwrap();
    for arguments in [&["send", "reader", "-"][..], &["send", "--raw", "reader", "-"]] {
        let mut command = env.jobcli(arguments);
        command.stdin(File::open(&path).unwrap());
        assert_eq!(Ran::of(command).code, Some(0));
    }
    let report: serde_json::Value =
        serde_json::from_str(&env.ok(["send", "--json", "--eof", "reader", "last"])).unwrap();
    assert_eq!((&report["sent_bytes"], &report["complete"]), (&5.into(), &true.into()), "{report}");
    env.ok(["wait", "reader"]);
    let expected = "one\ntwo\nthree\n\n-x\nfrom\na file\nfrom\na filelast\nend";
    assert_eq!(env.ok(["output", "reader"]), expected);
    assert_eq!(env.job("reader")["input"], "open");
}

/// Input given with the job is kept with it, also while the job waits for a slot.
#[test]
fn input_given_with_a_job_waits_with_it() {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "1"]);
    env.ok(["run", "--name", "first", &until("go")]);
    let path = env.dir().join("file");
    let big = "x".repeat(1 << 20);
    fs::write(&path, &big).unwrap();
    let given = |arguments: &[&str]| {
        let mut command = env.jobcli(arguments);
        command.stdin(File::open(&path).unwrap());
        Ran::of(command)
    };
    let ran = given(&["run", "--stdin", "-", "--name", "reader", "wc -c; tail -c 1"]);
    assert_eq!((ran.code, env.status("reader").as_str()), (Some(0), "queued"), "{ran}");
    fs::write(&path, "").unwrap();
    touch(&env, "go");
    env.ok(["wait", "reader"]);
    assert_eq!(env.ok(["output", "reader"]), "1048576");
    // Raw bytes get no line end, and a spec cannot come from the same stream.
    fs::write(&path, "{\"command\": \"cat\", \"stdin\": \"-\"}").unwrap();
    let ran = given(&["run"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("name a file"), "{ran}");
}

#[test]
fn no_sender_is_blocked_by_a_job_that_does_not_read() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--stdin", "open", &format!("{}; wc -c", until("go"))]);
    let path = env.dir().join("big");
    fs::write(&path, vec![b'x'; 1024 * 1024]).unwrap();
    let feed = |timeout: &str| {
        let mut command = env.jobcli(["send", "--timeout", timeout, "--raw", "--json", &id, "-"]);
        command.stdin(File::open(&path).unwrap());
        Ran::of(command)
    };
    let ran = feed("20ms");
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("is not reading its input now"), "{ran}");
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let taken = report["sent_bytes"].as_u64().unwrap();
    assert!(taken > 0 && taken < 1024 * 1024 && report["complete"] == false, "{report}");
    touch(&env, "go");
    assert_eq!(feed("1m").code, Some(0));
    env.ok(["send", "--eof", &id]);
    env.ok(["wait", &id]);
    assert_eq!(env.ok(["output", &id]), (taken + 1024 * 1024).to_string());
}

/// Neither a job that does not read nor a slow source of the input may hold up the refusal.
#[test]
fn a_refusal_is_reported_before_more_is_read() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--stdin", "open", "sleep 1000"]);
    let mut command = env.jobcli(["send", "--timeout", "20ms", "--raw", &id, "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut sender = command.spawn().unwrap();
    let mut writer = sender.stdin.take().unwrap();
    writer.write_all(&[b'x'; 64 * 1024]).unwrap();
    let status = wait_for("the refusal", || sender.try_wait().unwrap());
    assert_eq!(status.code(), Some(1));
    drop(writer);
}

#[test]
fn input_that_cannot_be_sent_is_refused() {
    let env = TestEnv::new();
    let deaf = env.submit("sleep 1000");
    let listener = env.ok(["run", "--stdin", "open", "sleep 1000"]);
    let over = env.submit("true");
    env.ok(["wait", &over]);
    for (arguments, code, expected) in [
        (&["send", &deaf, "x"][..], 4, "--stdin open"),
        (&["send", "--eof", &deaf], 4, "--stdin open"),
        (&["send", &over, "x"], 4, "not running"),
        (&["send", "--key", "C-c", &listener], 4, "no terminal"),
        (&["send", "--key", "Upp", &listener], 2, "is not a key"),
        (&["send", &listener], 2, "nothing to send"),
        (&["send", "--timeout", "soon", &listener, "x"], 2, "soon"),
        (&["send", "nosuch", "x"], 3, "nosuch"),
        (&["interact", &listener, "--input", r"\q"], 2, r"\q"),
        (&["attach", &listener], 125, "no terminal"),
        (&["run", "--tty", "--stdin", "open", "true"], 2, "--tty"),
        (&["run", "--tty=0x5", "true"], 2, "terminal"),
        (&["run", "--tty=wide", "true"], 2, "120x40"),
    ] {
        let ran = env.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{arguments:?}: {ran}");
        assert!(ran.stderr.contains(expected), "{arguments:?}: {ran}");
    }
    let limited = env.ok(["run", "--stdin", "open", "exec 0<&-; echo closed; sleep 1000"]);
    wait_for("its input to be closed", || (env.ok(["output", &limited]) == "closed").then_some(()));
    let ran = env.run(["send", &limited, "x"]);
    assert!(ran.code == Some(4) && ran.stderr.contains("no longer reads its input"), "{ran}");
}

/// As typed for the tools that this one replaces: every job takes input, and an answer is printed.
#[test]
fn lines_of_other_tools_talk_to_a_repl() {
    let Some(_) = needs::program("python3") else { return };
    let env = TestEnv::new();
    let line = r#"
        set -e
        job_id=$(echo '{"command": "python3 -iq"}' | "$JOBCLI" execute)
        "$JOBCLI" interact --job_id "$job_id" --input "print('Hi')\n" 2>/dev/null
        "$JOBCLI" interact --job_id "$job_id" --input "6 * 7" 2>/dev/null
        "$JOBCLI" interact --job_id "$job_id" --input "exit()\n" 2>/dev/null
        "$JOBCLI" wait "$job_id" >/dev/null
        "$JOBCLI" status --job_id "$job_id"
        "$JOBCLI" interact --job_id "$job_id" --input "print(1)\n" || echo refused
    "#;
    let mut command = env.command("sh");
    command.args(["-c", line]);
    let ran = Ran::of(command);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "Hi\n42\ncompleted\nrefused\n"), "{ran}");
}

/// If the job goes on printing, its answer is cut off when the time is up.
#[test]
fn an_answer_is_waited_for_no_longer_than_asked() {
    let env = TestEnv::new();
    let slow = env.ok(["run", "--stdin", "open", "while read -r line; do sleep 0.5; echo \"got $line\"; done"]);
    assert_eq!(env.ok(["send", "--wait=1m", &slow, "it"]), "got it");
    let busy = env.ok(["run", "--stdin", "open", "while :; do echo busy; sleep 0.01; done"]);
    let answer = env.ok(["send", "--wait=300ms", "--json", &busy, "hush"]);
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert!(answer["answer"]["stdout"].as_str().unwrap().starts_with("busy\n"), "{answer}");
}

#[test]
fn an_answer_that_cannot_come_is_not_waited_for() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--stdin", "open", "read -r line; exit 3"]);
    let before = Instant::now();
    assert_eq!(env.ok(["send", "--wait=1h", &id, "x"]), "");
    assert!(before.elapsed().as_secs() < 600, "the end of the job was not seen");
    assert_eq!(env.run(["wait", &id]).code, Some(3));
}

/// The successor of a killed supervisor also takes over the pipe. A process that is reading at that moment reads an end
/// of file.
#[test]
fn input_continues_when_the_supervisor_is_replaced() {
    let env = TestEnv::new();
    let line = format!("echo ready; {}; cat", until("go"));
    let id = env.ok(["run", "--stdin", "open", &line]);
    wait_for("the command", || (env.ok(["output", &id]) == "ready").then_some(()));
    let supervisor = env.supervisor(&id);
    send(supervisor, nix::sys::signal::Signal::SIGKILL);
    wait_for("another supervisor", || {
        env.status(&id);
        (env.supervisor(&id) != supervisor).then_some(())
    });
    assert_eq!(env.ok(["send", &id, "hello"]), "sent 6 bytes");
    touch(&env, "go");
    wait_for("the text", || (env.ok(["output", &id]) == "ready\nhello").then_some(()));
    env.ok(["send", "--eof", &id]);
    let code = env.run(["wait", &id]).code;
    assert!(matches!(code, Some(0 | 125)), "{code:?}");
}
