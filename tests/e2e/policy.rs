//! Which commands may be submitted; a refused one leaves nothing behind.

use serde_json::json;

use crate::mcp_client::Client;
use crate::support::{Ran, TestEnv};

/// A store in which only these commands are allowed.
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
fn commands_that_are_not_allowed_are_refused_and_leave_nothing() {
    let env = allowing("echo, git status");
    for line in ["touch ran", "echo x; touch ran", "echo $(touch ran)", "echo x | sh -c 'touch ran'", "git stash"] {
        assert_refused(&env, &env.run(["run", line]), "allowed commands: echo, git status");
    }
    for words in [&["touch", "ran"][..], &["sh", "-c", "touch ran"], &["env", "touch", "ran"]] {
        assert_refused(&env, &env.run(["run", "--"].iter().chain(words)), "allowed commands: ");
    }
    // Nor as a readiness check, whatever the job itself is.
    for command in [&["echo x"][..], &["--", "echo", "x"]] {
        let words = ["run", "--ready", "file:x", "--ready", "cmd:touch ran"].iter().chain(command);
        assert_refused(&env, &env.run(words), "`touch ran`");
    }
    let refused = env.run(["run", "--name", "n", "--key", "k", "echo x && touch ran"]);
    assert_refused(&env, &refused, "`touch ran`");
    assert!(refused.stderr.contains("jobcli config get policy.allow"), "{refused}");
    assert!(!env.dir().join("ran").exists());
    let id = env.submit("x=1 echo \"a; touch ran\" 2>&1");
    env.ok(["wait", &id]);
    assert_eq!(env.ok(["output", &id]), "a; touch ran");
}

#[test]
fn lines_that_cannot_be_judged_are_refused_under_any_policy() {
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
fn a_policy_is_shown_changed_and_removed() {
    let env = allowing("npm, git   status,cargo *");
    assert_eq!(env.ok(["config", "get", "policy.allow"]), "npm, git status, cargo *");
    let wrong = env.run(["config", "set", "policy.allow", "npm; rm"]);
    assert_eq!(wrong.code, Some(2), "{wrong}");
    assert_refused(&env, &env.run(["run", "echo x"]), "allowed commands: npm, git status, cargo *");
    env.ok(["config", "set", "policy.allow", ""]);
    assert_eq!(env.ok(["config", "get", "policy.allow"]), "");
    env.ok(["run", "--wait", "echo x; eval \"$X\""]);
}

/// A submitter may tighten the policy of the store, never loosen it.
#[test]
fn a_front_end_only_tightens() {
    let env = TestEnv::new();
    assert_refused(&env, &run_with(&env, "JOBCORE_ALLOW", "echo, cat", "true"), "allowed commands: echo, cat");
    assert_refused(&env, &run_with(&env, "JOBCORE_DENY", "touch", "echo; touch ran"), "`touch` is denied");
    let wrong = run_with(&env, "JOBCORE_DENY", "a; b", "true");
    assert_eq!(wrong.code, Some(2), "{wrong}");
    assert!(wrong.stderr.contains("variable `JOBCORE_DENY`"), "{wrong}");
    env.ok(["config", "set", "policy.allow", "echo"]);
    assert_refused(&env, &run_with(&env, "JOBCORE_ALLOW", "echo, true", "true"), "allowed commands: echo");
    let config = env.dir().join("config.toml");
    std::fs::write(&config, "allow = [\"cat\"]\ndeny = [\"rm\"]\n").unwrap();
    let with_file = |line: &str| env.run(["--config".as_ref(), config.as_os_str(), "run".as_ref(), line.as_ref()]);
    assert_refused(&env, &with_file("echo x"), "allowed commands: cat");
    std::fs::write(&config, "deny = [\"rm\"]\n").unwrap();
    let ran = with_file("echo x");
    assert_eq!(ran.code, Some(0), "{ran}");
    env.ok(["wait", ran.stdout.trim_end()]);
}

/// `sh` may be a shell other than bash, so its lines are read accordingly.
#[test]
fn a_line_for_sh_is_read_as_sh_reads_it() {
    let env = allowing("echo, true");
    for line in ["((touch ran))", "echo x &>y touch ran", "[[ a || touch ran ]]", "echo $'\\'; touch ran #'"] {
        assert_refused(&env, &env.run(["run", "--shell", "sh", line]), "");
    }
    env.ok(["run", "--wait", "--shell", "sh", "echo a && (true)"]);
    env.ok(["run", "--wait", "((1)) && [[ a ]] && echo a &>y"]);
}

#[test]
fn only_a_shell_of_the_system_runs_a_line() {
    let env = allowing("echo");
    std::fs::copy("/bin/bash", env.dir().join("bash")).unwrap();
    for shell in ["./bash", &env.dir().join("bash").display().to_string()] {
        assert_refused(&env, &env.run(["run", "--shell", shell, "echo x"]), "is not a shell of the system");
        assert_refused(&env, &run_with(&env, "JOBCORE_SHELL", shell, "echo x"), "is not a shell of the system");
    }
    // Whatever `PATH` contains.
    let path = format!("{}:/usr/bin:/bin", env.dir().display());
    assert_refused(&env, &run_with(&env, "PATH", &path, "echo x"), "is not a shell of the system");
    env.ok(["run", "--wait", "--shell", "bash", "echo x"]);
    let ran = env.run(["run", "--wait", "--shell", "/usr/bin/bash", "echo x"]);
    assert_eq!(ran.code, Some(0), "{ran}");
}

/// A variable that is given with a job is judged like one that its line sets; the variables of the submitter itself are
/// not.
#[test]
fn the_variables_of_a_job_are_judged_too() {
    let env = allowing("echo, env");
    let spec = env.dir().join("spec.json");
    for (name, value) in
        [("PATH", "/usr/bin"), ("BASH_ENV", "x"), ("BASH_FUNC_echo%%", "() { touch ran; }"), ("FOO", "1")]
    {
        let why = if name == "BASH_FUNC_echo%%" { "a shell runs" } else { "this variable could change" };
        assert_refused(&env, &env.run(["run", "-e", &format!("{name}={value}"), "echo x"]), why);
        assert_refused(&env, &env.run(["run", "-e", &format!("{name}={value}"), "--", "echo", "x"]), why);
        std::fs::write(&spec, json!({ "command": "echo x", "env": { name: value } }).to_string()).unwrap();
        assert_refused(&env, &env.run(["run".as_ref(), "--spec".as_ref(), spec.as_os_str()]), why);
        let mut client = Client::legacy(&env);
        let told = client.call("execute", json!({ "command": "echo x", "env": { name: value } }));
        assert!(told.is_error && told.text.contains(why), "{}", told.text);
    }
    assert_refused(&env, &run_with(&env, "JOBCORE_ALLOW", "echo", "FOO=1 echo x"), "this variable could change");
    env.ok(["run", "--wait", "-e", "NODE_ENV=test", "-e", "x=1", "echo x"]);
    let mut own = env.jobcli(["run", "--wait", "-e", "FOO", "echo x"]);
    own.env("FOO", "1").env("GIT_DIR", "x");
    Ran::of(own).ok();
    env.ok(["config", "set", "policy.allow_variables", "FOO, B*"]);
    assert_eq!(env.ok(["config", "get", "policy.allow_variables"]), "FOO, B*");
    env.ok(["run", "--wait", "-e", "FOO=1", "BAR=2 env"]);
    let refused = env.run(["run", "-e", "BASH_ENV=x", "echo x"]);
    assert!(refused.code == Some(4) && refused.stderr.contains("this variable could change"), "{refused}");
    let refused = run_with(&env, "JOBCORE_ALLOW", "echo", "FOO=1 echo x");
    assert!(refused.code == Some(4) && refused.stderr.contains("this variable could change"), "{refused}");
    let mut own = env.jobcli(["run", "--wait", "FOO=1 echo x"]);
    own.env("JOBCORE_ALLOW", "echo").env("JOBCORE_ALLOW_VARIABLES", "FOO");
    Ran::of(own).ok();
}

/// The examples of patterns and lines in the document are true.
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
    let settings = env.ok(["config", "get"]);
    // Each line is followed by its exit code.
    let checked: String = example
        .lines()
        .map(|line| if line.starts_with("jobcli ") { format!("{line}\necho \"= $?\"\n") } else { format!("{line}\n") })
        .collect();
    let mut shell = env.command("bash");
    shell.env("PATH", std::env::join_paths(&path).unwrap()).env("TMPDIR", env.dir()).args(["-c", &checked]);
    let ran = Ran::of(shell);
    let codes: Vec<_> = ran.stdout.lines().filter(|line| line.starts_with("= ")).collect();
    let lines = example.lines().filter(|line| line.starts_with("jobcli "));
    let expected: Vec<_> = lines.map(|line| if line.contains("# refused") { "= 4" } else { "= 0" }).collect();
    assert_eq!(codes, expected, "{ran}");
    assert!(expected.len() > 5 && ran.code == Some(0), "{ran}");
    // Trying the examples leaves the reader's store unchanged.
    assert_eq!((env.ok(["config", "get"]), env.ok(["list", "--json"])), (settings, "[]".to_owned()));
}
