//! A directory that was removed: the current one, or that of a job that waits.

use std::process::Command;

use serde_json::json;

use crate::bad_input::check_refusal;
use crate::delegate::Agents;
use crate::mcp_client::Client;
use crate::support::{Ran, TestEnv, script};

/// Runs a program in a directory that is removed before the program starts.
fn nowhere(env: &TestEnv, mut command: Command) -> Ran {
    let words: Vec<_> = [command.get_program()].into_iter().chain(command.get_args()).map(ToOwned::to_owned).collect();
    let directory = env.dir().join("gone");
    std::fs::create_dir(&directory).unwrap();
    let variables: Vec<_> =
        command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
    command = env.command("sh");
    command.args(["-c", "rmdir ../gone && exec \"$@\"", "sh"]).args(words).current_dir(directory);
    for (name, value) in variables {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Ran::of(command)
}

/// It used to stop everything, including commands that name another directory: an agent's worktree is removed while its
/// shell is still in it.
#[test]
fn a_missing_current_directory_matters_only_if_it_is_needed() {
    let env = TestEnv::new();
    let run = |words: &[&str]| nowhere(&env, env.jobcli(words));
    let id = env.ok(["run", "--wait", "--name", "web", "true"]);
    for words in [&["list"][..], &["show", "web"], &["status", &id], &["output", "web"], &["config", "get"]] {
        assert_eq!(run(words).code, Some(0), "{words:?}");
    }
    for cwd in ["/tmp", "/"] {
        assert_eq!(run(&["run", "--cwd", cwd, "--follow", "pwd"]).stdout, format!("{cwd}\n"));
    }
    let spec = env.dir().join("job.json");
    std::fs::write(&spec, json!({ "command": "pwd", "cwd": "/tmp" }).to_string()).unwrap();
    assert_eq!(run(&["run", "--follow", "--spec", spec.to_str().unwrap()]).stdout, "/tmp\n");
    let doctor = run(&["doctor"]);
    assert_eq!(doctor.code, Some(0), "{doctor}");
    let gone = "the current directory no longer exists";
    check_refusal(&run(&["run", "pwd"]), 1, gone, "without another");
    check_refusal(&run(&["run", "--cwd", "below", "pwd"]), 1, gone, "a relative one");
    check_refusal(&run(&["--store", "store", "list"]), 1, gone, "a relative store");
    env.wait_until_empty();
}

#[test]
fn an_agent_can_be_asked_from_a_missing_directory_if_it_runs_in_another() {
    let agents = Agents::new();
    let work = agents.env.dir().join("work");
    let run = |words: &[&str]| nowhere(&agents.env, agents.command(words.iter().copied()));
    let ran = run(&["delegate", "--cwd", work.to_str().unwrap(), "--wait", "x"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "done\n"), "{ran}");
    check_refusal(&run(&["delegate", "x"]), 1, "the current directory no longer exists", "without another");
}

#[test]
fn a_server_whose_directory_is_missing_executes_elsewhere() {
    let other = TestEnv::new();
    let env = TestEnv::without_store().with_store(other.store());
    let mut client = Client::legacy(&env);
    std::fs::remove_dir_all(env.dir()).unwrap();
    let done = client.ok("execute", json!({ "command": "pwd", "cwd": "/tmp", "wait_s": 30 }));
    assert!(done.text.ends_with("\n/tmp"), "{}", done.text);
    for arguments in [json!({ "command": "pwd" }), json!({ "command": "pwd", "cwd": "below" })] {
        let refused = client.call("execute", arguments);
        assert!(refused.is_error && refused.text.contains("give `cwd` as an absolute path"), "{}", refused.text);
    }
    client.ok("list", json!({}));
}

/// The message used to name the shell instead of what was missing.
#[test]
fn the_missing_file_is_named() {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "1"]);
    let first = env.ok(["run", "sleep", "1000"]);
    env.main_process(&first);
    for name in ["d1", "d2"] {
        std::fs::create_dir(env.dir().join(name)).unwrap();
    }
    script(&env.dir().join("d2/lost"), "#!/no/such/interpreter -x\necho hi\n");
    script(&env.dir().join("removed"), "#!/bin/sh\n");
    let gone = env.ok(["run", "--cwd", "d1", "ls"]);
    let interpreter = env.ok(["run", "--", "d2/lost"]);
    let program = env.ok(["run", "--", "./removed"]);
    std::fs::remove_dir(env.dir().join("d1")).unwrap();
    std::fs::remove_file(env.dir().join("removed")).unwrap();
    env.ok(["kill", "--grace", "0s", &first]);
    let message = |id: &str| {
        env.run(["wait", id]);
        let job = env.job(id);
        assert_eq!(job["cause"], "spawn_failed", "{job}");
        job["message"].as_str().unwrap().to_owned()
    };
    let directory = env.dir().join("d1");
    let expected = format!("cannot enter the working directory `{}`: No such file or directory", directory.display());
    assert!(message(&gone).contains(&expected), "{}", message(&gone));
    assert!(message(&interpreter).contains("lost`: its interpreter `/no/such/interpreter` does not exist"));
    let expected = "removed`: No such file or directory";
    assert!(message(&program).contains(expected), "{}", message(&program));
    env.wait_until_empty();
}

/// In a third of the looks the job used to be running without a process.
#[test]
fn a_look_at_a_job_that_was_just_submitted_shows_its_process() {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "0"]);
    for _ in 0..20 {
        let mut command = env.command("sh");
        command.args(["-c", "id=$(\"$JOBCLI\" run sleep 1000) && \"$JOBCLI\" show --json $id"]);
        let job: serde_json::Value = serde_json::from_str(&Ran::of(command).ok()).unwrap();
        assert!(job["status"] == "running" && job["pid"].is_i64(), "{job}");
    }
}
