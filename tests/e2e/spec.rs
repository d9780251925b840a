//! Jobs described in JSON, and lines that were written for the tools that this one replaces.

use std::fs::{self, File};

use crate::support::{Ran, TestEnv};

fn run_with(env: &TestEnv, json: &str, arguments: &[&str]) -> Ran {
    let path = env.dir().join("spec.json");
    fs::write(&path, json).unwrap();
    let mut command = env.jobcli(arguments);
    command.stdin(File::open(path).unwrap());
    Ran::of(command)
}

#[test]
fn a_job_is_described_in_json() {
    let env = TestEnv::new();
    fs::create_dir(env.dir().join("sub")).unwrap();
    let json = r#"{"command": "echo $A $B; pwd", "cwd": "sub", "env": {"A": "1", "B": "x y"}, "timeout": 90, "grace": "2s",
        "merge": true, "labels": {"kind": "web"}, "output_limit": "1M", "name": "web", "key": "k", "group": "g"}"#;
    let ran = run_with(&env, json, &["run"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let id = ran.stdout.trim_end();
    env.ok(["wait", id]);
    assert_eq!(env.ok(["output", id]), format!("1 x y\n{}", env.dir().join("sub").display()));
    let job = env.job("web");
    assert_eq!((&job["job_id"], &job["labels"]["kind"]), (&id.into(), &"web".into()));
    assert_eq!(run_with(&env, json, &["execute"]).stdout, ran.stdout, "the key is that of this job");

    let argv = r#"{"command": ["printf", "%s|", "a b", "$HOME", "-x"]}"#;
    let path = env.dir().join("argv.json");
    fs::write(&path, argv).unwrap();
    assert_eq!(env.ok(["run", "--follow", "--spec", path.to_str().unwrap()]), "a b|$HOME|-x|");
    assert_eq!(run_with(&env, argv, &["run", "--follow", "--spec", "-"]).stdout, "a b|$HOME|-x|");
    // Options on the command line win.
    let named = run_with(&env, r#"{"command": "true", "name": "one", "env": {"A": "1"}}"#, &["run", "--name", "two"]);
    assert_eq!(env.job("two")["job_id"], named.stdout.trim_end());
}

#[test]
fn a_spec_that_is_wrong_is_refused_and_leaves_nothing() {
    let env = TestEnv::new();
    for (json, expected) in [
        ("", "standard input is empty"),
        ("{", "EOF"),
        ("[]", "spec in standard input"),
        (r#"{"cwd": "/"}"#, "command"),
        (r#"{"command": "true", "colour": "red"}"#, "unknown field `colour`"),
        (r#"{"command": "true", "timeout": "soon"}"#, "timeout"),
        (r#"{"command": "true", "timeout": -1}"#, "timeout"),
        (r#"{"command": "true", "output_limit": "huge"}"#, "output_limit"),
        (r#"{"command": "true", "name": "../x"}"#, "../x"),
        (r#"{"command": 3}"#, "spec in standard input"),
    ] {
        let ran = run_with(&env, json, &["run"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{json}: {ran}");
        assert!(ran.stderr.contains(expected), "{json}: {ran}");
    }
    assert_eq!(env.run(["run", "--spec", "/nonexistent"]).code, Some(2));
    assert_eq!(env.run(["run", "--spec", "x.json", "true"]).code, Some(2));
    assert_eq!(env.ok(["list", "--json"]), "[]");
}

/// As people typed them for other tools, with the name of the program changed.
#[test]
fn lines_that_were_written_for_other_tools_work() {
    let env = TestEnv::new();
    let line = r#"
        set -e
        job_id=$(echo '{"command": "seq 20; exec sleep 1000"}' | "$JOBCLI" execute)
        until "$JOBCLI" tail --job_id "$job_id" --lines 10 | grep -qx 20; do sleep 0.05; done
        "$JOBCLI" tail --job_id "$job_id" --lines 2
        "$JOBCLI" status --job_id "$job_id"
        "$JOBCLI" output --job_id "$job_id" | wc -l
        "$JOBCLI" logs --job_id "$job_id" | tail -n 1
        "$JOBCLI" ls | wc -l
        "$JOBCLI" kill --job_id "$job_id" | cut -d: -f2
        while [ "$("$JOBCLI" status "$job_id")" = running ]; do sleep 0.05; done
        "$JOBCLI" status "$job_id"
    "#;
    let mut command = env.command("sh");
    command.args(["-c", line]).env("JOBCLI", crate::support::JOBCLI);
    let ran = Ran::of(command);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran}");
    assert_eq!(ran.stdout, "19\n20\nrunning\n20\n20\n2\n killed\nkilled\n");
    for wrong in [&["status"][..], &["status", "--job_id", "x", "x"], &["kill"], &["kill", "--all", "--job_id", "x"]] {
        assert_eq!(env.run(wrong).code, Some(2), "{wrong:?}");
    }
}
