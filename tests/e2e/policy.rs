//! Which commands may be submitted: what is refused leaves nothing behind.

use crate::support::{Ran, TestEnv};

/// A store in which only these are allowed.
fn allowing(patterns: &str) -> TestEnv {
    let env = TestEnv::new();
    env.ok(["config", "set", "policy.allow", patterns]);
    env
}

fn run_with(env: &TestEnv, variable: &str, value: &str, line: &str) -> Ran {
    let mut command = env.jobcli(["run", line]);
    command.env(variable, value);
    Ran::of(command)
}

fn assert_refused(env: &TestEnv, ran: &Ran, why: &str) {
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(4), ""), "{ran}");
    assert!(ran.stderr.contains("is not permitted: ") && ran.stderr.contains(why), "{ran}");
    assert_eq!(env.ok(["list", "--all", "--json"]), "[]");
    for directory in ["staging", "queue", "slots", "names", "keys"] {
        let left = std::fs::read_dir(env.store().join(directory)).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{directory}");
    }
}

#[test]
fn what_is_not_allowed_is_refused_and_leaves_nothing() {
    let env = allowing("echo, git status");
    for line in ["touch ran", "echo x; touch ran", "echo $(touch ran)", "echo x | sh -c 'touch ran'", "git stash"] {
        assert_refused(&env, &env.run(["run", line]), "allowed are: echo, git status");
    }
    for words in [&["touch", "ran"][..], &["sh", "-c", "touch ran"], &["env", "touch", "ran"]] {
        assert_refused(&env, &env.run(["run", "--"].iter().chain(words)), "allowed are: ");
    }
    let refused = env.run(["run", "--name", "n", "--key", "k", "echo x && touch ran"]);
    assert_refused(&env, &refused, "`touch ran`");
    assert!(refused.stderr.contains("jobcli config get policy.allow"), "{refused}");
    assert!(!env.dir().join("ran").exists());
    let id = env.submit("X=1 echo \"a; touch ran\" 2>&1");
    env.ok(["wait", &id]);
    assert_eq!(env.ok(["output", &id]), "a; touch ran");
}

#[test]
fn what_cannot_be_judged_is_refused_under_any_policy() {
    for key in ["policy.allow", "policy.deny"] {
        let env = TestEnv::new();
        env.ok(["config", "set", key, "echo"]);
        for line in ["echo 'x", "$CMD x", "sh -c \"$X\"", "if true"] {
            assert_refused(&env, &env.run(["run", line]), "");
        }
    }
}

#[test]
fn deny_wins_over_allow() {
    let env = allowing("*");
    env.ok(["config", "set", "policy.deny", "rm, git push --force*"]);
    for line in ["rm x", "/bin/rm x", "true && env rm x", "git push --force-with-lease"] {
        assert_refused(&env, &env.run(["run", line]), "is denied");
    }
    env.ok(["run", "--wait", "echo rm"]);
}

#[test]
fn a_policy_is_shown_changed_and_taken_away() {
    let env = allowing("npm, git   status,cargo *");
    assert_eq!(env.ok(["config", "get", "policy.allow"]), "npm, git status, cargo *");
    let wrong = env.run(["config", "set", "policy.allow", "npm; rm"]);
    assert_eq!(wrong.code, Some(2), "{wrong}");
    assert_refused(&env, &env.run(["run", "echo x"]), "allowed are: npm, git status, cargo *");
    env.ok(["config", "set", "policy.allow", ""]);
    assert_eq!(env.ok(["config", "get", "policy.allow"]), "");
    env.ok(["run", "--wait", "echo x; eval \"$X\""]);
}

/// Whoever submits may ask for less than the store permits, never for more.
#[test]
fn a_front_end_tightens_only() {
    let env = TestEnv::new();
    assert_refused(&env, &run_with(&env, "JOBCORE_ALLOW", "echo, cat", "true"), "allowed are: echo, cat");
    assert_refused(&env, &run_with(&env, "JOBCORE_DENY", "touch", "echo; touch ran"), "`touch` is denied");
    let wrong = run_with(&env, "JOBCORE_DENY", "a; b", "true");
    assert_eq!(wrong.code, Some(2), "{wrong}");
    assert!(wrong.stderr.contains("variable `JOBCORE_DENY`"), "{wrong}");
    env.ok(["config", "set", "policy.allow", "echo"]);
    assert_refused(&env, &run_with(&env, "JOBCORE_ALLOW", "echo, true", "true"), "allowed are: echo");
    let config = env.dir().join("config.toml");
    std::fs::write(&config, "allow = [\"cat\"]\ndeny = [\"rm\"]\n").unwrap();
    let with_file = |line: &str| env.run(["--config".as_ref(), config.as_os_str(), "run".as_ref(), line.as_ref()]);
    assert_refused(&env, &with_file("echo x"), "allowed are: cat");
    std::fs::write(&config, "deny = [\"rm\"]\n").unwrap();
    let ran = with_file("echo x");
    assert_eq!(ran.code, Some(0), "{ran}");
    env.ok(["wait", ran.stdout.trim_end()]);
}

/// The tables of patterns and lines in the documents are what happens.
#[test]
fn the_examples_of_the_document_are_true() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/policy.md");
    let document = std::fs::read_to_string(path).unwrap();
    let example = document.split("```sh example\n").nth(1).unwrap().split("```").next().unwrap();
    let env = TestEnv::new();
    let bin = env.dir().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(crate::support::JOBCLI, bin.join("jobcli")).unwrap();
    let mut path = vec![bin];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let mut checked = 0;
    for line in example.lines().filter(|line| line.starts_with("jobcli ")) {
        let mut shell = env.command("bash");
        shell.env("PATH", std::env::join_paths(&path).unwrap()).args(["-c", line]);
        let ran = Ran::of(shell);
        let expected = if line.contains("# refused") { 4 } else { 0 };
        assert_eq!(ran.code, Some(expected), "{line}\n{ran}");
        checked += 1;
    }
    assert!(checked > 5, "{checked}");
}
