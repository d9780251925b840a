//! What is run when a job has ended.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Ran, TestEnv, is_alive, script, send, wait_for};

/// A line that says what it was told, and then that it was.
fn telling(env: &TestEnv, file: &str) -> String {
    let path = env.dir().join(file);
    let path = path.display();
    format!("cat > {path}.json; env > {path}.env; echo run >> {path}; echo told")
}

fn read(env: &TestEnv, file: &str) -> String {
    std::fs::read_to_string(env.dir().join(file)).unwrap_or_default()
}

/// Waits until something was run at the end of a job, and returns what came of each line.
fn ends(env: &TestEnv, id: &str, count: usize) -> Vec<Value> {
    ends_looking(env, id, count, || ())
}

/// Does so, and looks at the store meanwhile.
fn ends_looking(env: &TestEnv, id: &str, count: usize, look: impl Fn()) -> Vec<Value> {
    let all_ended = |runs: &Vec<Value>| runs.len() == count && runs.iter().all(|run| run.get("ended_at").is_some());
    wait_for("what is run at its end", || {
        look();
        let runs = env.job(id).get("on_end")?.as_array()?.clone();
        Some(runs).filter(all_ended)
    })
}

/// Submits a job with a line to be run at its end.
fn submit(env: &TestEnv, line: &str, on_end: &str) -> String {
    env.ok(["run", "--on-end", on_end, line])
}

fn variable(env: &TestEnv, file: &str, name: &str) -> Option<String> {
    let all = read(env, &format!("{file}.env"));
    all.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

#[test]
fn it_is_told_of_every_kind_of_end() {
    let env = TestEnv::new();
    let line = telling(&env, "told");
    let told = |id: &str, status: &str| {
        let runs = ends(&env, id, 1);
        assert_eq!(
            (&runs[0]["of"], &runs[0]["exit_code"], &runs[0]["output"]),
            (&"job".into(), &0.into(), &"told\n".into())
        );
        let json: Value = serde_json::from_str(&read(&env, "told.json")).unwrap();
        assert_eq!((&json["job_id"], &json["status"]), (&id.into(), &status.into()), "{json}");
        assert_eq!(variable(&env, "told", "JOBCORE_STATUS").unwrap(), status);
        assert_eq!(variable(&env, "told", "JOBCORE_ENDED_JOB_ID").unwrap(), id);
        assert_eq!(variable(&env, "told", "JOBCORE_JOB_ID"), None, "it belongs to no job");
        json
    };
    let id = env.ok(["run", "--name", "tests", "--on-end", &line, "exit 3"]);
    assert_eq!(told(&id, "failed")["exit_code"], 3);
    assert_eq!(variable(&env, "told", "JOBCORE_EXIT_CODE").unwrap(), "3");
    assert_eq!(variable(&env, "told", "JOBCORE_NAME").unwrap(), "tests");
    assert_eq!(variable(&env, "told", "JOBCORE_COMMAND").unwrap(), "exit 3");
    assert_eq!(variable(&env, "told", "JOBCORE_STORE").unwrap(), env.store().to_str().unwrap());
    let summary = variable(&env, "told", "JOBCORE_SUMMARY").unwrap();
    assert!(summary.starts_with("tests (") && summary.contains(") failed with exit code 3 after 0."), "{summary}");
    assert!(env.ok(["show", &id]).contains("on end       the job's own exited with 0: told\n"));
    told(&submit(&env, "true", &line), "completed");
    told(&env.ok(["run", "--on-end", &line, "--timeout", "50ms", "sleep 1000"]), "timed_out");
    told(&submit(&env, "kill -KILL $$", &line), "failed");
    // One that cannot be executed.
    script(&env.dir().join("broken"), "#!/nosuch/interpreter\n");
    told(&env.ok(["run", "--on-end", &line, "--", "./broken"]), "failed");
    let id = submit(&env, "sleep 1000", &line);
    env.ok(["kill", &id]);
    told(&id, "killed");
    // One that was never started.
    env.ok(["config", "set", "max_running", "1"]);
    let first = env.submit("sleep 1000");
    let id = submit(&env, "true", &line);
    env.ok(["kill", &id]);
    told(&id, "killed");
    env.ok(["kill", &first]);
    // One of which nobody saw the end: whoever finds that out has it run.
    let id = submit(&env, "sleep 1000", &line);
    let (main, supervisor) = (env.main_process(&id), env.supervisor(&id));
    send(supervisor, Signal::SIGKILL);
    send(main, Signal::SIGKILL);
    wait_for("it to be gone", || (!is_alive(main) && !is_alive(supervisor)).then_some(()));
    assert_eq!(env.status(&id), "orphaned");
    told(&id, "orphaned");
    assert_eq!(read(&env, "told").lines().count(), 8, "each once");
}

#[test]
fn the_lines_of_group_and_store_are_run_after_that_of_the_job() {
    let env = TestEnv::new();
    let say = |word: &str| format!("echo {word} >> {}", env.dir().join("said").display());
    env.ok(["config", "set", "on_end", &say("store")]);
    env.ok(["config", "set", "groups.web.on_end", &say("group")]);
    assert_eq!(env.ok(["config", "get", "on_end_after"]), "10s");
    let run = |arguments: &[&str]| {
        env.ok([&["run", "--wait", "--on-end", &say("job"), "--group", "web"], arguments].concat())
    };
    // It was over before anybody could look away.
    ends(&env, &run(&["true"]), 2);
    assert_eq!(read(&env, "said"), "job\ngroup\n");
    env.ok(["config", "set", "on_end_after", "0s"]);
    ends(&env, &run(&["true"]), 3);
    assert_eq!(read(&env, "said"), "job\ngroup\njob\ngroup\nstore\n");
    // Whoever stopped it knows.
    std::fs::remove_file(env.dir().join("said")).unwrap();
    let id = env.ok(["run", "--group", "web", "--on-end", &say("job"), "sleep 1000"]);
    env.ok(["kill", &id]);
    ends(&env, &id, 1);
    // And nothing at all is run where that is asked for.
    let id = env.ok(["run", "--wait", "--group", "web", "--on-end", "", "true"]);
    assert!(env.job(&id).get("on_end").is_none());
    // What is set while it runs counts, too.
    env.ok(["config", "set", "groups.web.on_end", ""]);
    env.ok(["config", "set", "on_end", ""]);
    let id = env.submit("while [ ! -e go ]; do sleep 0.02; done");
    env.ok(["config", "set", "on_end", &say("late")]);
    std::fs::write(env.dir().join("go"), "").unwrap();
    ends(&env, &id, 1);
    assert_eq!(read(&env, "said"), "job\nlate\n");
    let spec = serde_json::json!({ "command": "true", "on_end": say("spec") }).to_string();
    std::fs::write(env.dir().join("spec.json"), spec).unwrap();
    ends(&env, &env.ok(["run", "--spec", "spec.json"]), 2);
    assert_eq!(read(&env, "said"), "job\nlate\nspec\nlate\n");
}

#[test]
fn nobody_waits_for_it_and_its_time_is_bounded() {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "1"]);
    env.ok(["config", "set", "on_end_timeout", "2s"]);
    let pids = env.dir().join("pids");
    let hangs = format!(
        "echo begun; (setsid sleep 1000 & echo $!; sleep 1000 & echo $!; echo $$) > {}; sleep 1000",
        pids.display()
    );
    let begun = Instant::now();
    let id = env.ok(["run", "--wait", "--on-end", &hangs, "true"]);
    // The slot is free as well.
    env.ok(["run", "--wait", "true"]);
    assert_eq!(env.status(&id), "completed");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(env.job(&id).get("stragglers_alive").is_none());
    let runs = ends(&env, &id, 1);
    assert_eq!((&runs[0]["message"], &runs[0]["output"]), (&"was killed after 2.0s".into(), &"begun\n".into()));
    let pids: Vec<i32> = read(&env, "pids").lines().map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.len() == 3 && pids.iter().all(|pid| !is_alive(*pid)), "{pids:?}");
    env.wait_until_empty();
}

#[test]
fn its_failure_is_shown_and_what_it_leaves_behind_is_killed() {
    let env = TestEnv::new();
    let pid = env.dir().join("pid");
    let line = format!(
        "(setsid sleep 1000 & echo $! > {}) & wait; printf 'a\\033[2Jb\\nno such host\\n' >&2; exit 6",
        pid.display()
    );
    let id = submit(&env, "true", &line);
    let runs = ends(&env, &id, 1);
    assert_eq!((&runs[0]["exit_code"], &runs[0]["output"]), (&6.into(), &"a\u{1b}[2Jb\nno such host\n".into()));
    assert!(env.ok(["show", &id]).contains("on end       the job's own exited with 6: no such host\n"));
    assert!(!is_alive(read(&env, "pid").trim().parse().unwrap()));
    let id = submit(&env, "true", "kill -KILL $$");
    assert_eq!(ends(&env, &id, 1)[0]["signal"], "SIGKILL");
    // Only the end of what it prints is kept.
    let id = submit(&env, "true", "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; done");
    let output = ends(&env, &id, 1)[0]["output"].as_str().unwrap().to_owned();
    assert!(output.len() <= 4096 && output.ends_with("2999\n3000\n"), "{output}");
    // A large job, of which nothing is read.
    let id = submit(&env, &format!("true {}", "x".repeat(100_000)), "exec <&-; sleep 0.1");
    assert_eq!(ends(&env, &id, 1)[0]["exit_code"], 0);
    let id = submit(&env, &format!("true {}", "x".repeat(100_000)), "wc -c");
    assert!(ends(&env, &id, 1)[0]["output"].as_str().unwrap().trim().parse::<usize>().unwrap() > 100_000);
    env.wait_until_empty();
}

/// A job that leaves processes behind has its end told all the same, and neither is taken for the other.
#[test]
fn stragglers_and_what_is_run_at_the_end_leave_each_other_alone() {
    let env = TestEnv::new();
    let file = env.dir().join("go");
    let line = format!("while [ ! -e {} ]; do sleep 0.02; done", file.display());
    let id = env.ok(["run", "--wait", "--leave-stragglers", "--on-end", &line, "sleep 1000 & echo $! > straggler"]);
    let straggler: i32 = read(&env, "straggler").trim().parse().unwrap();
    wait_for("the line to be run", || env.job(&id).get("on_end").map(drop));
    std::fs::write(file, "").unwrap();
    assert_eq!(ends(&env, &id, 1)[0]["exit_code"], 0);
    assert!(is_alive(straggler));
    env.ok(["kill", &id]);
    assert!(!is_alive(straggler));
    // And a stop of the stragglers does not reach the line.
    let line = "sleep 0.5; echo whole";
    let id = env.ok(["run", "--wait", "--leave-stragglers", "--on-end", line, "sleep 1000 & true"]);
    wait_for("the line to be run", || env.job(&id).get("on_end").map(drop));
    env.ok(["kill", &id]);
    assert_eq!(ends(&env, &id, 1)[0]["output"], "whole\n");
}

/// A job within a job: the line of the inner one is no straggler of the outer one.
#[test]
fn the_line_of_a_nested_job_outlives_the_outer_job() {
    let env = TestEnv::new();
    let line = format!("sleep 0.5; {}", telling(&env, "told"));
    let outer = format!("$JOBCLI run --wait --on-end '{line}' true > inner");
    env.ok(["run", "--wait", &outer]);
    let id = read(&env, "inner").trim().to_owned();
    assert_eq!(ends(&env, &id, 1)[0]["exit_code"], 0);
    assert!(!read(&env, "told.env").contains("JOBCORE_PARENT_JOB_ID"));
}

#[test]
fn it_is_run_once_whoever_looks_and_again_only_after_a_crash() {
    let env = TestEnv::new();
    let line = format!("echo $PPID > {0}/runner; echo run >> {0}/told; sleep 1", env.dir().display());
    let id = submit(&env, "sleep 1000", &line);
    let (main, supervisor) = (env.main_process(&id), env.supervisor(&id));
    send(supervisor, Signal::SIGKILL);
    send(main, Signal::SIGKILL);
    wait_for("it to be gone", || (!is_alive(main) && !is_alive(supervisor)).then_some(()));
    let looks: Vec<_> =
        (0..8).map(|_| env.jobcli(["list"]).stdout(std::process::Stdio::null()).spawn().unwrap()).collect();
    for mut look in looks {
        assert!(look.wait().unwrap().success());
    }
    ends(&env, &id, 1);
    env.ok(["list"]);
    assert_eq!(read(&env, "told"), "run\n");
    // Whoever runs it is killed, and whoever looks next begins again, without what was left.
    let line =
        format!("echo $PPID > {0}/runner; echo $$ >> {0}/lines; [ -e {0}/go ] || sleep 1000", env.dir().display());
    let id = submit(&env, "true", &line);
    let first: i32 = wait_for("the line", || read(&env, "lines").trim().parse().ok());
    send(read(&env, "runner").trim().parse().unwrap(), Signal::SIGKILL);
    std::fs::write(env.dir().join("go"), "").unwrap();
    assert_eq!(ends_looking(&env, &id, 1, || drop(env.ok(["list"])))[0]["exit_code"], 0);
    assert_eq!(read(&env, "lines").lines().count(), 2);
    assert!(!is_alive(first));
    env.wait_until_empty();
}

/// A line that kills whoever runs it is not run for ever.
#[test]
fn a_line_that_always_kills_its_runner_is_given_up() {
    let env = TestEnv::new();
    let line = format!("echo run >> {}/told; kill -KILL $PPID", env.dir().display());
    let id = submit(&env, "true", &line);
    let message = ends_looking(&env, &id, 1, || drop(env.ok(["list"])))[0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("3 times"), "{message}");
    assert_eq!(read(&env, "told").lines().count(), 3);
}

/// The supervisor is killed when the end is on record and nothing has been begun.
#[test]
fn a_supervisor_that_is_killed_after_the_end_loses_nothing() {
    let env = TestEnv::new();
    let line = telling(&env, "told");
    let id = submit(&env, "while [ ! -e go ]; do sleep 0.02; done", &line);
    env.main_process(&id);
    // Whoever holds the admission lock keeps the supervisor from doing what follows from the end.
    let admission = std::fs::OpenOptions::new().read(true).write(true).open(env.store().join("admission")).unwrap();
    let lock = nix::libc::flock { l_type: nix::libc::F_WRLCK as i16, l_whence: 0, l_start: 1, l_len: 1, l_pid: 0 };
    nix::fcntl::fcntl(&admission, nix::fcntl::FcntlArg::F_OFD_SETLK(&lock)).unwrap();
    std::fs::write(env.dir().join("go"), "").unwrap();
    let supervisor = env.supervisor(&id);
    wait_for("the end", || env.records(&id).get("end"));
    send(supervisor, Signal::SIGKILL);
    drop(admission);
    wait_for("it to be gone", || (!is_alive(supervisor)).then_some(()));
    assert_eq!(read(&env, "told"), "");
    env.ok(["list"]);
    assert_eq!(ends(&env, &id, 1)[0]["exit_code"], 0);
    assert_eq!(read(&env, "told"), "run\n");
}

/// It would let whoever may not run a command run it after all.
#[test]
fn what_the_policy_denies_is_not_run_at_the_end_either() {
    let env = TestEnv::new();
    env.ok(["config", "set", "policy.deny", "curl"]);
    env.ok(["config", "set", "on_end_after", "0s"]);
    env.ok(["config", "set", "on_end", "command -v curl > /dev/null; echo of the store"]);
    let refused: Ran = env.run(["run", "--on-end", "curl localhost", "true"]);
    assert!(refused.code != Some(0) && refused.stderr.contains("`curl` is denied"), "{refused}");
    let refused = env.run(["run", "--on-end", "for x in 'a", "true"]);
    assert!(refused.code != Some(0), "what cannot be judged is not permitted: {refused}");
    // Whoever sets those of the store has set the policy, too.
    let id = env.ok(["run", "--wait", "true"]);
    assert_eq!(ends(&env, &id, 1)[0]["output"], "of the store\n");
    assert_eq!(env.ok(["list", "--json"]).matches("job_id").count(), 1);
}

/// Jobs within a program, in a store of files and in memory.
#[test]
fn jobs_within_a_program_have_it_run_as_well() {
    use std::sync::Arc;

    use jobcore::{FileStore, InProcessRunner, JobManager, JobSpec, MemoryStore};

    let env = TestEnv::new();
    let told = |file: &str| env.dir().join(file);
    let stores: [Arc<dyn jobcore::store::JobStore>; 2] =
        [Arc::new(MemoryStore::new()), Arc::new(FileStore::open(env.store()).unwrap())];
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for (number, store) in stores.into_iter().enumerate() {
            let jobs = JobManager::new(store, Arc::new(InProcessRunner::new())).unwrap();
            let file = told(&format!("told{number}"));
            let line =
                format!("sleep 1000 & cat > {0}.tmp; mv {0}.tmp {0}; echo no such host >&2; exit 6", file.display());
            let spec = JobSpec::command(["/bin/false"]).on_end(line).cwd(env.dir()).build().unwrap();
            let job = jobs.submit(spec).await.unwrap();
            assert_eq!(jobs.wait_for(job.id).await.unwrap().status(), jobcore::Status::Failed);
            let json: Value = wait_for("the line", || serde_json::from_str(&std::fs::read_to_string(&file).ok()?).ok());
            assert_eq!((&json["job_id"], &json["exit_code"]), (&job.id.to_string().into(), &1.into()));
            if number == 1 {
                assert_eq!(ends(&env, &job.id.to_string(), 1)[0]["exit_code"], 6);
            }
        }
    });
    drop(runtime);
    assert!(Path::new(&told("told0")).exists());
    env.wait_until_empty();
}
