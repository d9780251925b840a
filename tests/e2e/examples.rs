//! The examples do what they promise. `many_short_jobs` is run in [`crate::trees`].

use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::background::{Background, touch, until};
use crate::support::{Ran, TestEnv, send, wait_for};

#[test]
fn run_and_wait_passes_on_the_output_and_the_exit_code() {
    let env = TestEnv::new();
    let run = |line: &str| {
        let mut program = env.command(env!("CARGO_BIN_EXE_run-and-wait-under-test"));
        program.arg(env.store()).args(["sh", "-c", line]);
        Ran::of(program)
    };
    let ran = run("echo out; echo err >&2; exit 7");
    assert_eq!((ran.stdout.as_str(), ran.code), ("out\n", Some(7)), "{ran}");
    let id = env.ok(["list", "--json"]);
    let id = id.split('"').find(|word| word.len() == 36).unwrap();
    assert_eq!(ran.stderr, format!("job {id}\nerr\nfailed: exited\n"));
    assert_eq!(run("kill -TERM $$").code, Some(128 + 15));
}

#[test]
fn in_turn_stops_at_the_first_line_that_fails() {
    let env = TestEnv::new();
    let mut program = env.command(env!("CARGO_BIN_EXE_in-turn-under-test"));
    program.arg(env.store()).args(["echo one; echo err >&2", "echo two; exit 7", "echo three"]);
    let ran = Ran::of(program);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str(), ran.code), ("one\ntwo\n", "err\n", Some(7)), "{ran}");
    assert_eq!(env.ok(["list", "--quiet", "--all"]).lines().count(), 2);
}

#[test]
fn own_store_finds_the_jobs_of_earlier_runs_and_their_output() {
    let env = TestEnv::new();
    let run = |lines: &[&str]| {
        let mut program = env.command(env!("CARGO_BIN_EXE_own-store-under-test"));
        program.arg("own").args(lines);
        let ran = Ran::of(program);
        assert_eq!(ran.code, Some(0), "{ran}");
        let jobs = ran.stdout.lines().map(|line| line.split_once(' ').unwrap().1.to_owned());
        jobs.collect::<Vec<_>>()
    };
    assert_eq!(run(&["echo one; exit 3"]), ["failed one"]);
    assert_eq!(run(&["echo a; echo two"]), ["completed two", "failed one"]);
    assert_eq!(run(&[]), ["completed two", "failed one"]);
}

fn build_farm(env: &TestEnv, plan: &str) -> Command {
    std::fs::write(env.dir().join("plan"), plan).unwrap();
    let mut program = env.command(env!("CARGO_BIN_EXE_build-farm-under-test"));
    program.arg(env.store()).arg("plan");
    program
}

/// The targets that were built, in order: each target of the plans below records itself.
fn built(env: &TestEnv) -> Vec<String> {
    let notes = std::fs::read_to_string(env.dir().join("notes")).unwrap_or_default();
    notes.lines().map(str::to_owned).collect()
}

#[test]
fn build_farm_compiles_a_program_and_runs_it() {
    let env = TestEnv::new();
    std::fs::write(env.dir().join("greet.c"), "const char *greeting(void) { return \"hello\"; }\n").unwrap();
    let main = "#include <stdio.h>\nconst char *greeting(void);\nint main(void) { puts(greeting()); return 7; }\n";
    std::fs::write(env.dir().join("main.c"), main).unwrap();
    let plan = "\
        app: main.o greet.o = cc -o app main.o greet.o\n\
        greet.o:            = cc -c greet.c\n\
        main.o:             = cc -c main.c\n";
    let mut program = build_farm(&env, plan);
    program.arg("./app");
    let ran = Ran::of(program);
    let mut lines: Vec<_> = ran.stdout.lines().collect();
    lines[..2].sort_unstable();
    assert_eq!(lines, ["greet.o: built", "main.o: built", "app: built", "3 built, 0 failed, 0 not tried", "hello"]);
    assert_eq!(ran.code, Some(7), "{ran}");
}

#[test]
fn build_farm_continues_after_a_kill_and_builds_nothing_twice() {
    let env = TestEnv::new();
    let plan = format!(
        "first: = echo first >> notes\n\
         slow: first = touch begun; {}; echo slow >> notes\n\
         last: slow = echo last >> notes\n",
        until("go"),
    );
    let farm = Background::spawn(build_farm(&env, &plan));
    assert_eq!(farm.line().as_deref(), Some("first: built"));
    let begun: PathBuf = env.dir().join("begun");
    wait_for("the second target", || begun.exists().then_some(()));
    send(farm.pid(), Signal::SIGKILL);
    assert_eq!(farm.line(), None);
    touch(&env, "go");
    for _ in 0..2 {
        let ran = Ran::of(build_farm(&env, &plan));
        let expected = "first: built\nslow: built\nlast: built\n3 built, 0 failed, 0 not tried\n";
        assert_eq!((ran.stdout.as_str(), ran.code), (expected, Some(0)), "{ran}");
    }
    assert_eq!(built(&env), ["first", "slow", "last"]);
}

#[test]
fn build_farm_skips_targets_whose_dependencies_failed() {
    let env = TestEnv::new();
    let plan = "bad: = exit 1\nneedy: bad = echo needy >> notes\nself: self = echo self >> notes\ngood: = echo good >> notes\n";
    let ran = Ran::of(build_farm(&env, plan));
    assert!(ran.stdout.contains("bad: failed, see job ") && ran.stdout.contains("good: built\n"), "{ran}");
    assert!(ran.stdout.ends_with("1 built, 1 failed, 2 not tried\n"), "{ran}");
    assert_eq!((ran.code, built(&env)), (Some(1), vec!["good".to_owned()]));
}
