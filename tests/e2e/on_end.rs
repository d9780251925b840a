//! What is run when a job has ended.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::mcp_client::Client;
use crate::needs;
use crate::support::{JOBCLI, PATIENCE, Ran, TestEnv, installed, is_alive, script, send, wait_for};

/// A line that records its input and environment, and then prints a word.
fn telling(env: &TestEnv, file: &str) -> String {
    let path = env.dir().join(file);
    let path = path.display();
    format!("cat > {path}.json; env > {path}.env; echo run >> {path}; echo told")
}

fn read(env: &TestEnv, file: &str) -> String {
    std::fs::read_to_string(env.dir().join(file)).unwrap_or_default()
}

/// Waits until the lines at the end of a job have been run, and returns their results.
fn ends(env: &TestEnv, id: &str, count: usize) -> Vec<Value> {
    ends_looking(env, id, count, || ())
}

/// Does the same, and looks at the store in the meantime.
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
fn it_is_run_after_every_kind_of_end() {
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
    assert!(env.ok(["show", &id]).contains("on end       the job's on_end exited with 0: told\n"));
    told(&submit(&env, "true", &line), "completed");
    told(&env.ok(["run", "--on-end", &line, "--timeout", "50ms", "sleep 1000"]), "timed_out");
    told(&submit(&env, "kill -KILL $$", &line), "failed");
    // A job that cannot be executed.
    script(&env.dir().join("broken"), "#!/nosuch/interpreter\n");
    told(&env.ok(["run", "--on-end", &line, "--", "./broken"]), "failed");
    let id = submit(&env, "sleep 1000", &line);
    env.ok(["kill", &id]);
    told(&id, "killed");
    // A job that was never started.
    env.ok(["config", "set", "max_running", "1"]);
    let first = env.submit("sleep 1000");
    let id = submit(&env, "true", &line);
    env.ok(["kill", &id]);
    told(&id, "killed");
    env.ok(["kill", &first]);
    // A job whose end was not seen: the process that finds out has the line run.
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
    // It ended too soon for a user to look away.
    ends(&env, &run(&["true"]), 2);
    assert_eq!(read(&env, "said"), "job\ngroup\n");
    env.ok(["config", "set", "on_end_after", "0s"]);
    ends(&env, &run(&["true"]), 3);
    assert_eq!(read(&env, "said"), "job\ngroup\njob\ngroup\nstore\n");
    // A caller that stopped it knows.
    std::fs::remove_file(env.dir().join("said")).unwrap();
    let id = env.ok(["run", "--group", "web", "--on-end", &say("job"), "sleep 1000"]);
    env.ok(["kill", &id]);
    ends(&env, &id, 1);
    // And nothing at all is run if that is asked for.
    let id = env.ok(["run", "--wait", "--group", "web", "--on-end", "", "true"]);
    assert!(env.job(&id).get("on_end").is_none());
    // A setting that is changed while the job runs counts, too.
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
fn it_is_not_waited_for_and_its_time_is_limited() {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "1"]);
    env.ok(["config", "set", "on_end_timeout", "6s"]);
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
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    assert!(env.job(&id).get("stragglers_alive").is_none());
    let runs = ends(&env, &id, 1);
    assert_eq!((&runs[0]["message"], &runs[0]["output"]), (&"was killed after 6.0s".into(), &"begun\n".into()));
    let pids: Vec<i32> = read(&env, "pids").lines().map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.len() == 3 && pids.iter().all(|pid| !is_alive(*pid)), "{pids:?}");
    env.wait_until_empty();
}

#[test]
fn its_failure_is_shown_and_its_leftovers_are_killed() {
    let env = TestEnv::new();
    let pid = env.dir().join("pid");
    let line = format!(
        "(setsid sleep 1000 & echo $! > {}) & wait; printf 'a\\033[2Jb\\nno such host\\n' >&2; exit 6",
        pid.display()
    );
    let id = submit(&env, "true", &line);
    let runs = ends(&env, &id, 1);
    assert_eq!((&runs[0]["exit_code"], &runs[0]["output"]), (&6.into(), &"a\u{1b}[2Jb\nno such host\n".into()));
    assert!(env.ok(["show", &id]).contains("on end       the job's on_end exited with 6: no such host\n"));
    assert!(!is_alive(read(&env, "pid").trim().parse().unwrap()));
    // No signal is blocked in it.
    let id = submit(&env, "true", "kill $$; sleep 1000");
    assert_eq!(ends(&env, &id, 1)[0]["signal"], "SIGTERM");
    // Only the end of what it prints is kept.
    let id = submit(&env, "true", "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; done");
    let output = ends(&env, &id, 1)[0]["output"].as_str().unwrap().to_owned();
    assert!(output.len() <= 4096 && output.ends_with("2999\n3000\n"), "{output}");
    // A large job description, which the line does not read.
    let id = submit(&env, &format!("true {}", "x".repeat(100_000)), "exec <&-; sleep 0.1");
    assert_eq!(ends(&env, &id, 1)[0]["exit_code"], 0);
    let id = submit(&env, &format!("true {}", "x".repeat(100_000)), "wc -c");
    assert!(ends(&env, &id, 1)[0]["output"].as_str().unwrap().trim().parse::<usize>().unwrap() > 100_000);
    env.wait_until_empty();
}

/// The end of a job that leaves processes behind is reported all the same, and they are not confused with the processes
/// of the line.
#[test]
fn stragglers_and_lines_run_at_the_end_leave_each_other_alone() {
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

/// A job within a job: the line of the inner one is not a straggler of the outer one.
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
fn it_is_run_once_by_many_lookers_and_again_only_after_a_crash() {
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
    // The process that runs the line is killed, and the next one to look starts again, without the remains of the first
    // attempt.
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

/// A line that kills the process that runs it is not run for ever.
#[test]
fn a_line_that_always_kills_its_runner_is_given_up() {
    let env = TestEnv::new();
    let line = format!("echo run >> {}/told; kill -KILL $PPID", env.dir().display());
    let id = submit(&env, "true", &line);
    let message = ends_looking(&env, &id, 1, || drop(env.ok(["list"])))[0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("3 times"), "{message}");
    assert_eq!(read(&env, "told").lines().count(), 3);
}

/// The supervisor is killed when the end is on record and no line has been started.
#[test]
fn a_supervisor_that_is_killed_after_the_end_loses_nothing() {
    let env = TestEnv::new();
    let line = telling(&env, "told");
    let id = submit(&env, "while [ ! -e go ]; do sleep 0.02; done", &line);
    env.main_process(&id);
    // Holding the admission lock keeps the supervisor from doing what follows from the end.
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

/// Otherwise a command could be run although the policy denies it.
#[test]
fn denied_commands_are_not_run_at_the_end_either() {
    let env = TestEnv::new();
    env.ok(["config", "set", "policy.deny", "curl"]);
    env.ok(["config", "set", "on_end_after", "0s"]);
    env.ok(["config", "set", "on_end", "command -v curl > /dev/null; echo of the store"]);
    let refused: Ran = env.run(["run", "--on-end", "curl localhost", "true"]);
    assert!(refused.code != Some(0) && refused.stderr.contains("`curl` is denied"), "{refused}");
    let refused = env.run(["run", "--on-end", "for x in 'a", "true"]);
    assert!(refused.code != Some(0), "a line that cannot be judged is not permitted: {refused}");
    // A user who sets the lines of the store also sets the policy.
    let id = env.ok(["run", "--wait", "true"]);
    assert_eq!(ends(&env, &id, 1)[0]["output"], "of the store\n");
    assert_eq!(env.ok(["list", "--json"]).matches("job_id").count(), 1);
}

/// An agent cannot set a line, but the lines in its user's settings are run for its jobs.
#[test]
fn agents_cannot_set_a_line_but_those_of_the_settings_are_run_for_their_jobs() {
    let env = TestEnv::new();
    env.ok(["config", "set", "on_end_after", "0s"]);
    env.ok(["config", "set", "on_end", "echo of the store"]);
    let mut client = Client::legacy(&env);
    let line = format!("echo run > {}", env.dir().join("said").display());
    client.call("execute", serde_json::json!({ "command": "true", "on_end": line }));
    let id = client.ok("execute", serde_json::json!({ "command": "echo hi" })).id();
    assert_eq!(ends(&env, &id, 1)[0]["output"], "of the store\n");
    assert_eq!(read(&env, "said"), "");
}

/// Jobs within a program, in a store of files and in memory.
#[test]
fn lines_are_run_for_jobs_within_a_program_too() {
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

/// The recipes of the page work as written, except for the addresses.
#[test]
fn the_recipes_report_an_end() {
    let Some(_) = needs::program("curl") else { return };
    let env = TestEnv::new();
    let server = Server::start();
    let sent = env.dir().join("sent");
    script(&env.dir().join("notify-send"), &format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > {}\n", sent.display()));
    env.ok(["config", "set", "on_end_after", "0s"]);
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/notifications.md")).unwrap();
    let recipes: Vec<_> = page.split("```sh recipe\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let run = |recipe: &str| {
        let here = recipe.replace("notify-send", env.dir().join("notify-send").to_str().unwrap());
        let address = format!("http://127.0.0.1:{}/", server.port);
        let local = ["https://ntfy.sh/", "https://hooks.slack.com/", "https://discord.com/"];
        let here = local.iter().fold(here, |line, there| line.replace(there, &address));
        let mut shell = installed(&env, "sh");
        shell.args(["-euc", &here]);
        Ran::of(shell).ok();
        let id = env.ok(["run", "--name", "tests", "exit 2"]);
        let runs = ends(&env, &id, 1);
        assert_eq!(runs[0]["exit_code"], 0, "{recipe} {runs:?}");
        let job = env.job(&id);
        let time = Duration::from_millis(job["duration_ms"].as_u64().unwrap());
        let time = jobcore::units::short_duration(time);
        format!("tests ({}) failed with exit code 2 after {time}", job["short_id"].as_str().unwrap())
    };
    let [desktop, ntfy, slack, discord] = recipes.as_slice() else { panic!("{recipes:?}") };
    let summary = run(desktop);
    assert_eq!(read(&env, "sent"), format!("--app-name=jobcli\n{summary}\n"));
    let summary = run(ntfy);
    assert_eq!(server.request(), ("/my-secret-topic".to_owned(), summary));
    let summary = run(slack);
    let (path, body) = server.request();
    assert_eq!(path, "/services/T0/B0/secret");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), serde_json::json!({ "text": summary }));
    let summary = run(discord);
    let (path, body) = server.request();
    assert_eq!(path, "/api/webhooks/1/secret");
    let expected = serde_json::json!({ "content": summary, "allowed_mentions": { "parse": [] } });
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
}

/// A server that takes what is posted to it.
struct Server {
    port: u16,
    requests: std::sync::mpsc::Receiver<(String, String)>,
}

impl Server {
    fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, requests) = std::sync::mpsc::channel();
        // The thread ends with the tests.
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = BufReader::new(connection.unwrap());
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    connection.read_until(b'\n', &mut head).unwrap();
                }
                let head = String::from_utf8(head).unwrap();
                let length = head
                    .lines()
                    .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
                let mut body = vec![0; length.unwrap()];
                connection.read_exact(&mut body).unwrap();
                let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
                connection.get_mut().write_all(answer).unwrap();
                let path = head.split(' ').nth(1).unwrap().to_owned();
                if sender.send((path, String::from_utf8(body).unwrap())).is_err() {
                    return;
                }
            }
        });
        Self { port, requests }
    }

    fn request(&self) -> (String, String) {
        self.requests.recv_timeout(PATIENCE).unwrap()
    }
}

/// On a terminal, and nowhere else.
#[test]
fn the_terminal_is_notified_of_an_end() {
    let env = TestEnv::new();
    let told = |line: &str| {
        let id = env.ok(["run", "--wait", "--tty", "--env", &format!("JOBCLI={JOBCLI}"), line]);
        env.ok(["output", "--raw", &id])
    };
    for (options, expected) in [
        ("run --wait --notify --name a", "\u{1b}]9;a ("),
        ("run --follow --notify=osc777 --name a", "\u{1b}]777;notify;jobcli;a ("),
        ("run --wait --quiet --notify=bell --name a", "\u{7}"),
    ] {
        let output = told(&format!("$JOBCLI {options} 'exit 3'; true"));
        assert!(output.contains(expected), "{options}: {output:?}");
        assert_eq!(output.matches('\u{1b}').count(), 2 * expected.matches('\u{1b}').count(), "{output:?}");
    }
    let output = told("$JOBCLI wait --notify a; true");
    assert!(output.contains(") failed with exit code 3 after 0.") && output.contains("\u{1b}]9;a ("), "{output:?}");
    // As the settings ask for jobs that took their time.
    let output = told("JOBCORE_NOTIFY=osc9 $JOBCLI wait a; true");
    assert!(!output.contains('\u{1b}'), "{output:?}");
    let output = told("JOBCORE_NOTIFY=nothing $JOBCLI wait a; true");
    assert!(output.contains("`nothing` is not one of `osc9`, `osc777` and `bell`"), "{output:?}");
    let ran = env.run(["wait", "--notify", "a"]);
    assert!(!ran.stderr.contains('\u{1b}') && !ran.stdout.contains('\u{1b}'), "{ran}");
}
