//! The jobs of a project, as its file says: started, left alone, started again, and stopped.

use std::path::Path;

use crate::support::{Ran, TestEnv, wait_for};

const JOBS: &str = "\
[jobs.api]
command = 'echo api >> order; exec sleep 1000'
needs = ['db']
env = { PORT = '3000' }

[jobs.db]
command = 'while [ ! -e go ]; do sleep 0.02; done; echo db >> order; touch listening; exec sleep 1000'
ready = 'file:listening'

[jobs.migrate]
command = ['sh', '-c', 'echo migrate >> order']
after_ready = ['db']
cwd = 'inner'
";

fn in_directory(env: &TestEnv, directory: &Path, arguments: &[&str]) -> Ran {
    let mut command = env.jobcli(arguments);
    command.current_dir(directory);
    Ran::of(command)
}

fn write(env: &TestEnv, file: &str, text: &str) {
    std::fs::write(env.dir().join(file), text).unwrap();
}

/// What was done to each job, by its name.
fn done(ran: &Ran) -> Vec<(String, String)> {
    assert_eq!(ran.code, Some(0), "{ran}");
    let line = |line: &str| {
        let (label, what) = line.rsplit_once(": ").unwrap();
        (label.split(' ').next().unwrap().to_owned(), what.to_owned())
    };
    ran.stdout.lines().map(line).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, what)| ((*name).to_owned(), (*what).to_owned())).collect()
}

#[test]
fn dependencies_are_started_first_and_changed_jobs_again() {
    let env = TestEnv::new();
    std::fs::create_dir(env.dir().join("inner")).unwrap();
    write(&env, "jobs.toml", JOBS);
    let up = env.run(["up"]);
    assert_eq!(done(&up), pairs(&[("db", "started"), ("api", "started"), ("migrate", "started")]), "{up}");
    assert_eq!(
        (env.status("db"), env.status("api"), env.status("migrate")),
        ("running".into(), "queued".into(), "queued".into())
    );
    write(&env, "go", "");
    assert_eq!(env.run(["wait", "migrate"]).code, Some(0));
    assert_eq!(std::fs::read_to_string(env.dir().join("inner/order")).unwrap(), "migrate\n");
    wait_for("the api", || (env.status("api") == "running").then_some(()));
    wait_for("its word", || (std::fs::read_to_string(env.dir().join("order")).unwrap() == "db\napi\n").then_some(()));
    let db = env.job("db")["job_id"].clone();
    // Ended jobs are run again, and jobs that run as the file says are left alone.
    let again = env.run(["up", "--wait"]);
    assert_eq!(done(&again), pairs(&[("db", "unchanged"), ("api", "unchanged"), ("migrate", "started")]), "{again}");
    write(&env, "jobs.toml", &JOBS.replace("3000", "4000").replace("[jobs.migrate]", "[jobs.other]"));
    let changed = env.run(["up", "api"]);
    assert_eq!(done(&changed), pairs(&[("db", "unchanged"), ("api", "restarted")]), "{changed}");
    assert_eq!(env.job("db")["job_id"], db);
    assert!(env.ok(["show", "api"]).contains("label        up="));
    env.ok(["wait", "migrate"]);
    write(&env, "jobs.toml", "[jobs.db]\ncommand = 'exec sleep 1000'\n");
    let fewer = env.run(["up"]);
    assert_eq!(done(&fewer), pairs(&[("db", "restarted")]), "{fewer}");
    assert!(fewer.stderr.contains("api (") && fewer.stderr.contains("is no longer in"), "{fewer}");
    let down = env.run(["down"]);
    assert_eq!(done(&down), pairs(&[("db", "stopped"), ("api", "stopped")]), "{down}");
    assert_eq!(env.run(["down"]).stderr.trim(), "nothing is running that `jobcli up` started");
    env.wait_until_empty();
}

#[test]
fn two_worktrees_do_not_collide() {
    let env = TestEnv::new();
    for directory in ["one", "two"] {
        let directory = env.dir().join(directory);
        std::fs::create_dir_all(directory.join("inner")).unwrap();
        std::fs::write(directory.join(".git"), "gitdir: elsewhere\n").unwrap();
        std::fs::write(directory.join("Procfile"), "web: pwd > where; exec sleep 1000\n").unwrap();
        // The file is found from a directory below.
        let up = in_directory(&env, &directory.join("inner"), &["up"]);
        assert_eq!(done(&up), pairs(&[("web", "started")]), "{up}");
        wait_for("its word", || {
            std::fs::read_to_string(directory.join("where")).is_ok_and(|text| !text.is_empty()).then_some(())
        });
    }
    let [one, two] = ["one", "two"].map(|directory| env.dir().join(directory));
    let down = in_directory(&env, &one, &["down"]);
    assert_eq!(done(&down), pairs(&[("web", "stopped")]), "{down}");
    assert_eq!(in_directory(&env, &two, &["status", "web"]).stdout.trim(), "running");
    assert_eq!(in_directory(&env, &two, &["down", "web"]).code, Some(0));
    env.wait_until_empty();
}

#[test]
fn files_of_other_tools_are_read() {
    let env = TestEnv::new();
    let compose = "\
version: '0.5'
processes:
  db: { command: 'echo up; exec sleep 1000', ready_log_line: up }
  web:
    command: echo $WORD; exec sleep 1000
    environment: ['WORD=compose']
    namespace: front
    depends_on: { db: { condition: process_log_ready } }
";
    write(&env, "process-compose.yaml", compose);
    let up = env.run(["up", "--wait"]);
    assert_eq!(done(&up), pairs(&[("db", "started"), ("web", "started")]), "{up}");
    assert!(up.stderr.contains("processes.web.namespace is ignored"), "{up}");
    wait_for("its word", || (env.ok(["output", "web"]) == "compose").then_some(()));
    env.ok(["down"]);
    std::fs::remove_file(env.dir().join("process-compose.yaml")).unwrap();
    let daemons = "\
[daemons.web]
run = 'echo $PORT; exec sleep 1000'
port = 4100
depends = ['db']
retry = 2
watch = ['src/**']
[daemons.db]
run = 'echo up; exec sleep 1000'
ready_output = 'up'
";
    write(&env, "pitchfork.toml", daemons);
    let up = env.run(["up"]);
    assert_eq!(done(&up), pairs(&[("db", "started"), ("web", "started")]), "{up}");
    assert!(up.stderr.contains("daemons.web.watch is ignored"), "{up}");
    wait_for("its word", || (env.ok(["output", "web"]) == "4100").then_some(()));
    env.ok(["down"]);
    env.wait_until_empty();
}

#[test]
fn contradictory_files_are_refused_and_nothing_is_stopped() {
    let env = TestEnv::new();
    let nothing = env.run(["up"]);
    assert!(nothing.code == Some(2) && nothing.stderr.contains("jobs.toml, jobs.json"), "{nothing}");
    for (text, reason) in [
        ("[jobs.a]\ncommand = 'a'\ncolour = 'red'\n", "unknown field `colour`"),
        ("[jobs.a]\ncommand = 'a'\nneeds = ['b']\n", "`a` needs \"b\", which is not a job in it"),
        ("[jobs.a]\ncommand = 'a'\nneeds = ['a']\n", "before itself"),
        ("[jobs.'a b']\ncommand = 'a'\n", "`a b` is not a name"),
        ("jobs = 1\n", "jobs.toml: "),
    ] {
        write(&env, "jobs.toml", text);
        let refused = env.run(["up"]);
        assert!(refused.code == Some(2) && refused.stderr.contains(reason), "{refused}");
    }
    let by_hand = env.ok(["run", "--quiet", "--name", "a", "exec sleep 1000"]);
    write(&env, "jobs.toml", "[jobs.a]\ncommand = 'a'\n");
    let refused = env.run(["up"]);
    assert!(refused.code == Some(4) && refused.stderr.contains("was not started by `jobcli up`"), "{refused}");
    assert_eq!(env.run(["down", "a"]).code, Some(3));
    assert_eq!(env.status(&by_hand), "running");
    env.ok(["kill", "a"]);
}

/// A job that ends before it is ready.
#[test]
fn a_wait_for_a_job_that_never_gets_ready_ends() {
    let env = TestEnv::new();
    write(&env, "jobs.json", r#"{"jobs": {"a": {"command": "exit 3", "ready": "file:never"}}}"#);
    let up = env.run(["up", "--wait"]);
    assert!(up.code == Some(1) && up.stderr.contains("failed with exit code 3"), "{up}");
}
