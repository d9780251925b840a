//! Shells with options, wherever a shell can be named.

use serde_json::json;

use crate::mcp_client::Client;
use crate::needs;
use crate::support::{Ran, TestEnv};

/// Fails only in a shell that looks at all parts of a pipe.
const HIDDEN: &str = "false | true";

#[test]
fn a_shell_takes_options() {
    let env = TestEnv::new();
    let run = |shell: &str, line: &str| env.run(["run", "--wait", "--shell", shell, line]);
    assert_eq!(run("sh", HIDDEN).code, Some(0));
    let failed = run("bash -o pipefail", HIDDEN);
    assert_eq!(failed.code, Some(1), "{failed}");
    assert_ne!(run("bash -euo pipefail", "echo $nosuch; true").code, Some(0));
    let shown = env.ok(["show", failed.stdout.trim_end()]);
    assert!(shown.lines().any(|line| line.starts_with("shell ") && line.ends_with("/bash -o pipefail")), "{shown}");
    assert_eq!(run("sh -e", "false; true").code, Some(1));
    std::fs::write(env.dir().join(".profile"), "greeting=hello\n").unwrap();
    let id = run("sh -l", "echo $greeting").ok();
    assert_eq!(env.ok(["output", &id]), "hello");
}

/// As people expect of a job, although bash does not do it by default. The line is shown as it was written.
#[test]
fn a_line_in_bash_fails_if_a_part_of_a_pipe_does() {
    let env = TestEnv::new();
    let failed = env.run(["run", "--wait", HIDDEN]);
    assert_eq!(failed.code, Some(1), "{failed}");
    let id = failed.stdout.trim_end();
    assert_eq!(env.job(id)["command"], HIDDEN);
    assert!(env.ok(["show", id]).contains("/bash -o pipefail\n"));
    let with = |options: &[&str]| env.run([&["run", "--wait"], options, &[HIDDEN]].concat()).code;
    assert_eq!(with(&["--pipefail=false"]), Some(0));
    assert_eq!(with(&["--shell", "bash +o pipefail"]), Some(0));
    assert_eq!(with(&["--shell", "bash -l"]), Some(1));
    assert_eq!(with(&["--pipefail", "--shell", "bash"]), Some(1));
    let refused = env.run(["run", "--pipefail", "--shell", "sh", HIDDEN]);
    assert!(refused.code == Some(2) && refused.stderr.contains("pipefail: not every shell"), "{refused}");
    assert_eq!(env.run(["rerun", id, "--wait"]).code, Some(1));
    let without = env.ok(["run", "--wait", "--pipefail=false", HIDDEN]);
    assert_eq!(env.run(["rerun", &without, "--wait"]).code, Some(0));
    env.ok(["run", "--quiet", "--name", "without", "--pipefail=false", "--hold", HIDDEN]);
    env.ok(["edit", "without", "--priority", "1"]);
    env.ok(["release", "without"]);
    assert_eq!(env.run(["wait", "without"]).code, Some(0));

    let mut command = env.jobcli(["run", "--wait", HIDDEN]);
    command.env("JOBCORE_PIPEFAIL", "false");
    assert_eq!(Ran::of(command).code, Some(0));
    let spec = env.dir().join("spec.json");
    std::fs::write(&spec, json!({ "command": HIDDEN, "pipefail": false }).to_string()).unwrap();
    assert_eq!(env.run(["run", "--wait", "--spec", spec.to_str().unwrap()]).code, Some(0));
    let mut client = Client::legacy(&env);
    let mut execute = |options: serde_json::Value| {
        let mut arguments = json!({ "command": HIDDEN, "wait_s": 30 });
        arguments.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        client.ok("execute", arguments).text
    };
    assert!(execute(json!({})).contains("failed with exit code 1"));
    assert!(execute(json!({ "pipefail": false })).contains("completed with exit code 0"));
    assert!(execute(json!({ "shell": "sh" })).contains("completed with exit code 0"));
    assert!(execute(json!({ "shell": "bash -l" })).contains("failed with exit code 1"));
}

#[test]
fn an_interactive_bash_knows_aliases() {
    let env = TestEnv::new();
    std::fs::write(env.dir().join(".bashrc"), "alias greet='echo hello'\n").unwrap();
    let id = env.ok(["run", "--wait", "--shell", "bash -i", "greet world"]);
    assert_eq!(env.ok(["output", "--stdout", &id]), "hello world");
    assert_eq!(env.run(["run", "--wait", "greet world"]).code, Some(127));
}

/// fish takes `--` for a command.
#[test]
fn fish_runs_a_line() {
    let Some(_) = needs::program("fish") else { return };
    let env = TestEnv::new();
    let id = env.ok(["run", "--wait", "--shell", "fish --no-config", "set word hello; echo $word"]);
    assert_eq!(env.ok(["output", &id]), "hello");
}

#[test]
fn a_path_with_a_space_is_quoted() {
    let env = TestEnv::new();
    let directory = env.dir().join("my shell");
    std::fs::create_dir(&directory).unwrap();
    std::os::unix::fs::symlink("/bin/sh", directory.join("sh")).unwrap();
    let path = directory.join("sh").display().to_string();
    let ran = env.run(["run", "--wait", "--shell", &format!("'{path}' -e"), "false; true"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    let shown = env.ok(["show", ran.stdout.trim_end()]);
    assert!(shown.contains(&format!("'{path}' -e\n")), "{shown}");
    for (wrong, code, reason) in [
        ("bash 'x", 2, "has an unterminated quote or backslash"),
        ("", 2, "there is no program in it"),
        ("nosuch -x", 1, "no program `nosuch`"),
    ] {
        let ran = env.run(["run", "--shell", wrong, "true"]);
        assert!(ran.code == Some(code) && ran.stderr.contains(reason), "{ran}");
    }
}

#[test]
fn settings_and_specs_name_one_too() {
    let env = TestEnv::new();
    let pipefail = "bash -o pipefail";
    let mut command = env.jobcli(["run", "--wait", HIDDEN]);
    command.env("JOBCORE_SHELL", pipefail);
    assert_eq!(Ran::of(command).code, Some(1));
    let spec = env.dir().join("spec.json");
    std::fs::write(&spec, json!({ "command": HIDDEN, "shell": pipefail }).to_string()).unwrap();
    assert_eq!(env.run(["run", "--wait", "--spec", spec.to_str().unwrap()]).code, Some(1));
    let settings = env.dir().join(".config/jobcore");
    std::fs::create_dir_all(&settings).unwrap();
    std::fs::write(settings.join("config.toml"), format!("shell = '{pipefail}'\n")).unwrap();
    assert_eq!(env.run(["run", "--wait", HIDDEN]).code, Some(1));
    let mut client = Client::legacy(&env);
    let answer = client.ok("execute", json!({ "command": HIDDEN, "wait_s": 30 }));
    assert!(answer.text.contains("failed with exit code 1"), "{}", answer.text);
}

#[test]
fn under_a_policy_few_options_are_permitted() {
    let env = TestEnv::new();
    env.ok(["config", "set", "policy.allow", "true, false"]);
    assert_eq!(env.run(["run", "--wait", "--shell", "bash -l -o pipefail", HIDDEN]).code, Some(1));
    let refused = env.run(["run", "--shell", "bash --init-file x -i", "true"]);
    assert!(
        refused.code == Some(4)
            && refused.stderr.contains("the effect of the shell option `--init-file` on a line cannot be judged"),
        "{refused}"
    );
    // Its aliases may be anything.
    for pipefail in ["--pipefail", "--pipefail=false"] {
        let refused = env.run(["run", pipefail, "--shell", "bash -i", "true"]);
        assert!(refused.code == Some(4) && refused.stderr.contains("the shell option `-i`"), "{refused}");
    }
    let mut client = Client::legacy(&env);
    let answer = client.call("execute", json!({ "command": "true", "shell": "bash -i" }));
    assert!(answer.is_error && answer.text.contains("the shell option `-i`"), "{}", answer.text);
    assert!(client.ok("execute", json!({ "command": HIDDEN, "wait_s": 30 })).text.contains("exit code 1"));
}
