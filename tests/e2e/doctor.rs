//! `jobcli doctor`: what it proves, what it leaves behind, and which step it names when something is broken.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use jobcore::doctor::{Doctor, Health};
use jobcore::{FileStore, InProcessRunner, JobManager, LocalRunner, MemoryStore};
use serde_json::Value;

use crate::needs;
use crate::support::{JOBCLI, Ran, TestEnv};

/// The checks that are made with jobs, in order.
const PROOFS: [&str; 9] = ["start", "detach", "adopt", "exit_code", "output", "stdin", "terminal", "survive", "stop"];

/// The steps that were printed as JSON.
pub(crate) fn steps(ran: &Ran) -> Vec<Value> {
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran}"));
    report["steps"].as_array().unwrap().clone()
}

/// The result of a step; `None` if it is not among them.
pub(crate) fn result<'a>(steps: &'a [Value], name: &str) -> Option<&'a str> {
    steps.iter().find(|step| step["name"] == name)?["result"].as_str()
}

fn examine(env: &TestEnv) -> Ran {
    env.run(["doctor", "--json"])
}

/// All files of a store except those that the store keeps for itself: caches and events.
fn files_of_jobs(store: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories: Vec<_> = ["jobs", "staging", "trash", "names", "keys"].map(|name| store.join(name)).into();
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => directories.push(entry.path()),
                false => found.push(entry.path()),
            }
        }
    }
    found
}

#[test]
fn a_clean_store_is_all_right_and_nothing_is_left_in_it() {
    let env = TestEnv::new();
    let ran = examine(&env);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran}");
    let steps = steps(&ran);
    for name in ["store", "room", "file_system"].into_iter().chain(PROOFS) {
        let result = result(&steps, name);
        // Kernels before 6.15 do not report exit codes to processes other than the parent, and some machines have
        // little disk space.
        let is_proof = PROOFS.contains(&name) && name != "adopt";
        assert!(result == Some("ok") || !is_proof && result == Some("degraded"), "{name}: {ran}");
    }
    assert_eq!(env.ok(["list", "--all", "--json"]), "[]");
    env.wait_until_empty();
    assert_eq!(files_of_jobs(env.store()), Vec::<PathBuf>::new());
    assert!(!env.store().join("settings.toml").exists());
}

#[test]
fn each_step_is_a_line_and_is_explained() {
    let env = TestEnv::new();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/doctor.md");
    let page = std::fs::read_to_string(page).unwrap();
    let lines = env.ok(["doctor"]);
    let steps = steps(&examine(&env));
    assert_eq!(lines.lines().count(), steps.len(), "{lines}");
    for (line, step) in lines.lines().zip(steps) {
        let words: Vec<_> = line.split_whitespace().take(2).collect();
        assert_eq!(words, [step["result"].as_str().unwrap(), step["name"].as_str().unwrap()], "{lines}");
        assert!(page.contains(&format!("| `{}` |", words[1])), "{line}");
        assert!(step["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{step}");
        assert!(step["result"] == "ok" || step["result"] == "degraded" && step["advice"].is_string(), "{step}");
    }
}

#[test]
fn jobs_of_others_are_not_touched() {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "2"]);
    let running = env.ok(["run", "--name", "mine", "sleep", "1000"]);
    let over = env.submit("echo kept");
    env.ok(["wait", &over]);
    let (supervisor, main) = (env.supervisor(&running), env.main_process(&running));
    let ran = examine(&env);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(result(&steps(&ran), "stop"), Some("ok"), "one slot is enough: {ran}");
    assert_eq!((env.supervisor(&running), env.main_process(&running)), (supervisor, main));
    assert_eq!(env.ok(["output", &over]), "kept");
    assert_eq!(env.ok(["list", "--all", "--json"]).matches("job_id").count(), 2);
}

/// Waiting for a slot could take for ever, and would hold up the jobs behind it.
#[test]
fn a_step_that_cannot_be_proven_now_is_degraded_and_says_why() {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "1"]);
    let running = env.ok(["run", "sleep", "1000"]);
    let ran = env.run(["doctor"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran}");
    assert!(ran.stdout.contains("not tested: 1 of 1 jobs are already running; try: wait until fewer "), "{ran}");
    env.ok(["kill", &running]);
    env.ok(["config", "set", "policy.allow", "make"]);
    let ran = examine(&env);
    assert_eq!((ran.code, result(&steps(&ran), "start")), (Some(0), Some("degraded")), "{ran}");
    assert!(ran.stdout.contains("not permitted: allowed commands: make"), "{ran}");
    assert_eq!(env.ok(["list", "--all", "--json"]).matches("job_id").count(), 1);
}

#[test]
fn a_store_that_cannot_be_written_fails_by_name() {
    let Some(unshare) = needs::namespaces() else { return };
    let env = TestEnv::new();
    let before = env.submit("true");
    env.ok(["wait", &before]);
    env.wait_until_empty();
    let read_only = "mount --bind \"$JOBCORE_STORE\" \"$JOBCORE_STORE\" && \
                     mount -o remount,bind,ro \"$JOBCORE_STORE\" && exec \"$JOBCLI\" \"$@\"";
    let inside = |arguments: &[&str]| {
        let mut command = env.command(unshare[0]);
        command.args(&unshare[1..]).args(["sh", "-c", read_only, "sh"]).args(arguments);
        Ran::of(command)
    };
    let ran = inside(&["doctor", "--json"]);
    assert_eq!((ran.code, result(&steps(&ran), "store")), (Some(1), Some("failed")), "{ran}");
    assert_eq!(result(&steps(&ran), "jobs"), Some("degraded"), "{ran}");
    assert!(ran.stderr.starts_with("error: `store` failed: cannot write ") && ran.stderr.contains("\nhint: "), "{ran}");
    assert_eq!(env.ok(["list", "--all", "--json"]).matches("job_id").count(), 1);

    // A store that does not exist yet and cannot be made.
    let store = env.store().join("another");
    let ran = inside(&["doctor", "--store", store.to_str().unwrap()]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.starts_with("error: `store` failed: cannot make the store "), "{ran}");
}

#[test]
fn a_store_that_is_refused_fails_by_name() {
    let env = TestEnv::without_store();
    std::fs::create_dir(env.store()).unwrap();
    std::fs::write(env.store().join("letter"), "").unwrap();
    let ran = examine(&env);
    assert_eq!((ran.code, result(&steps(&ran), "store")), (Some(1), Some("failed")), "{ran}");
    assert!(ran.stderr.contains("neither empty nor a store"), "{ran}");
    // Steps that need no store are reported all the same.
    assert!(result(&steps(&ran), "kernel").is_some(), "{ran}");
}

/// A user who may not start a process at all. Root always may, so another user is needed.
#[test]
fn a_supervisor_that_cannot_start_fails_by_name_and_leaves_nothing() {
    let (Some(prlimit), Some(setpriv)) = (needs::program("prlimit"), needs::program("setpriv")) else { return };
    let env = TestEnv::new();
    let mut command = match rustix::process::geteuid().is_root() {
        false => env.command(&prlimit),
        true => {
            // That user can enter neither the directory of the program nor that of the test.
            let prepare = "cp \"$JOBCLI\" jobcli && mkdir home && chown 65534:65534 home && chmod 711 .";
            let ran = Ran::of({
                let mut shell = env.command("sh");
                shell.args(["-c", prepare]);
                shell
            });
            assert_eq!(ran.code, Some(0), "{ran}");
            let mut command = env.command(&setpriv);
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&prlimit);
            command.env("HOME", env.dir().join("home"));
            command
        }
    };
    let home = env.dir().join("home");
    let (program, store) = match home.exists() {
        true => (env.dir().join("jobcli"), home.join("store")),
        false => (JOBCLI.into(), env.store().to_owned()),
    };
    command.arg("--nproc=1").arg(program).args(["doctor", "--json", "--store"]).arg(&store);
    let ran = Ran::of(command);
    assert_eq!((ran.code, result(&steps(&ran), "start")), (Some(1), Some("failed")), "{ran}");
    assert!(ran.stderr.starts_with("error: `start` failed: cannot start a supervisor "), "{ran}");
    assert!(ran.stderr.contains("\nhint: ") && ran.stderr.contains("ulimit -u"), "{ran}");
    assert_eq!(result(&steps(&ran), "processes"), Some("degraded"), "it says why: {ran}");
    assert_eq!(files_of_jobs(&store), Vec::<PathBuf>::new());
}

#[test]
fn a_look_from_within_a_job_says_so() {
    let env = TestEnv::new();
    let mut command: Command = env.jobcli(["run", "--follow", "--"]);
    command.args([JOBCLI, "doctor", "--json"]);
    let ran = Ran::of(command);
    assert_eq!((ran.code, result(&steps(&ran), "nested")), (Some(0), Some("ok")), "{ran}");
    assert_eq!(result(&steps(&ran), "survive"), Some("ok"), "{ran}");
}

/// For a program that embeds the library: what it cannot prove is reported, and what it is given is tried.
#[test]
fn an_embedding_program_proves_what_it_can() {
    let env = TestEnv::new();
    let store = Arc::new(FileStore::open(env.store()).unwrap());
    let jobs = JobManager::new(store, Arc::new(LocalRunner::with_program(JOBCLI))).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let examine = |doctor: Doctor, jobs: &JobManager| {
        let report = runtime.block_on(doctor.examine(Ok(jobs.clone())));
        report.steps.into_iter().map(|step| (step.name, step)).collect::<BTreeMap<_, _>>()
    };
    let steps = examine(Doctor::default(), &jobs);
    assert_eq!((steps["stop"].result, steps["survive"].result), (Health::Ok, Health::Degraded), "{steps:?}");
    let steps = examine(Doctor::default().with_submitter(|_| Command::new("false")), &jobs);
    assert_eq!((steps["stop"].result, steps["survive"].result), (Health::Ok, Health::Failed), "{steps:?}");
    let in_memory = JobManager::new(Arc::new(MemoryStore::new()), Arc::new(InProcessRunner::new())).unwrap();
    let steps = examine(Doctor::default(), &in_memory);
    assert_eq!((steps["store"].result, steps.get("start")), (Health::Degraded, None), "{steps:?}");
    assert_eq!(files_of_jobs(env.store()), Vec::<PathBuf>::new());
}
