//! The limits of a job: they hold from its first instruction, strictly, and for the job alone.

use serde_json::json;

use crate::bad_input::check_refusal;
use crate::mcp_client::Client;
use crate::needs;
use crate::support::{JOBCLI, Ran, TestEnv};

/// Every limit that needs no privilege, except that of CPUs.
const ALL: [&str; 12] = [
    "--nice=19",
    "--memory",
    "64M",
    "--max-processes",
    "20000",
    "--open-files",
    "64",
    "--core",
    "1M",
    "--io",
    "best-effort:7",
    "--quiet",
];

/// Runs `jobcli` as a user who may not lower a niceness.
fn unprivileged(env: &TestEnv, arguments: &[&str]) -> Option<Ran> {
    let mut command = match rustix::process::geteuid().is_root() {
        true => {
            let mut command = env.command(needs::program("setpriv")?);
            command.args(["--bounding-set=-sys_nice", JOBCLI]);
            command
        }
        false => env.command(JOBCLI),
    };
    command.args(arguments);
    Some(Ran::of(command))
}

/// Returns a row of proc_pid_limits(5), split into words.
fn row(limits: &str, name: &str) -> Vec<String> {
    let row = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {limits}"));
    row.split_whitespace().map(str::to_owned).collect()
}

fn limits_of(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap()
}

/// Returns one of the CPUs on which this test may run.
fn cpu() -> String {
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    cpus(&own).split([',', '-']).next().unwrap().to_owned()
}

/// Returns the CPUs on which a process may run, as proc_pid_status(5) shows them.
fn cpus(status: &str) -> &str {
    status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim()
}

/// Without a shell in between: what is printed is what the program was executed with.
#[test]
fn a_command_has_its_limits_from_its_first_instruction() {
    let env = TestEnv::new();
    let files = ["/proc/self/limits", "/proc/self/status", "/proc/self/stat"];
    let cpu = cpu();
    let id = env.ok(["run", "--wait", "--cpus", &cpu].iter().chain(&ALL).chain(&["--", "cat"]).chain(&files));
    let output = env.ok(["output", &id]);
    for (name, soft) in [
        ("Max data size", "67108864"),
        ("Max processes", "20000"),
        ("Max open files", "64"),
        ("Max core file size", "1048576"),
    ] {
        assert_eq!(row(&output, name)[0], soft, "{output}");
    }
    assert_eq!(cpus(&output), cpu);
    let niceness = output.rsplit_once(") ").unwrap().1.split(' ').nth(16);
    assert_eq!(niceness, Some("19"), "{output}");
    if let Some(ionice) = needs::program("ionice") {
        let id = env.ok(["run", "--wait"].iter().chain(&ALL).chain(&["--", ionice.to_str().unwrap()]));
        assert_eq!(env.ok(["output", &id]), "best-effort: prio 7");
    }
    env.wait_until_empty();
}

/// The supervisor writes the output of all processes, and starts due jobs.
#[test]
fn limits_are_hard_and_the_supervisor_has_its_own() {
    let env = TestEnv::new();
    let plain = env.ok(["run", "--quiet", "sleep", "1000"]);
    let limited = env.ok(["run", "--cpus", &cpu()].iter().chain(&ALL).chain(&["--", "sleep", "1000"]));
    let of_command = limits_of(env.main_process(&limited));
    for (name, limit) in [
        ("Max data size", "67108864"),
        ("Max processes", "20000"),
        ("Max open files", "64"),
        ("Max core file size", "1048576"),
    ] {
        assert_eq!(row(&of_command, name)[..2], [limit, limit], "{of_command}");
    }
    let (supervisor, other) = (env.supervisor(&limited), env.supervisor(&plain));
    assert_eq!(limits_of(supervisor), limits_of(other));
    let status = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert_eq!(cpus(&status(supervisor)), cpus(&status(other)));
    if let Some(ionice) = needs::program("ionice") {
        let priority = |pid: i32| {
            let mut command = env.command(&ionice);
            command.args(["-p", &pid.to_string()]);
            Ran::of(command).ok()
        };
        assert_eq!(priority(env.main_process(&limited)), "best-effort: prio 7");
        assert_eq!(priority(supervisor), priority(other));
    }
    env.ok(["kill", &plain, &limited]);
    env.wait_until_empty();
}

#[test]
fn a_command_that_exceeds_its_limits_fails() {
    let env = TestEnv::new();
    let ran = env.run(["run", "--wait", "--memory", "32M", "head -c 100M /dev/zero | tail"]);
    assert_ne!(ran.code, Some(0), "{ran}");
    // Using all that is permitted is not a failure.
    assert_eq!(env.run(["run", "--wait", "--memory", "64M", "head -c 1M /dev/zero | tail"]).code, Some(0));
    let line = "for fd in $(seq 3 40); do eval \"exec $fd< /dev/null\" || exit 9; done";
    assert_ne!(env.run(["run", "--wait", "--open-files", "16", line]).code, Some(0));
    assert_eq!(env.run(["run", "--wait", "--open-files", "64", line]).code, Some(0));
    env.wait_until_empty();
}

#[test]
fn limits_that_may_not_be_set_are_refused_by_name_and_leave_nothing() {
    let env = TestEnv::new();
    for (arguments, code, message) in [
        (["--nice", "20"], 2, "nice: must be from -20 (the largest share of the CPU) to 19"),
        (["--cpus", "0,1000-1001"], 2, "cpus: there is no CPU 1000-1001; this machine has "),
        (["--cpus", "3-1"], 2, "`3-1` is not a list of CPUs from 0 to 1023; write for example `0-3,6`"),
        (["--memory", "1K"], 2, "memory: must be at least 8.0 MiB"),
        (["--max-processes", "0"], 2, "processes: 0 would keep the job itself from being started"),
        (["--open-files", "3"], 2, "open_files: must be at least 4"),
        (["--open-files", "4611686018427387904"], 2, "is more than the hard limit `nofile`, "),
        (["--io", "best-effort:8"], 2, "`best-effort:8`: write `idle`, or `best-effort:0` to `best-effort:7`"),
    ] {
        check_refusal(&env.run(["run"].iter().chain(&arguments).chain(&["true"])), code, message, &arguments.join(" "));
    }
    if let Some(ran) = unprivileged(&env, &["run", "--nice", "-5", "true"]) {
        check_refusal(
            &ran,
            2,
            "nice: -5 is lower than that of this program, and this user may not lower it",
            "--nice -5",
        );
    }
    assert_eq!(env.ok(["list", "--all", "--json"]), "[]");
}

/// The process that starts a queued job may be less privileged than its submitter.
#[test]
fn a_limit_that_cannot_be_set_at_the_start_ends_the_job_and_is_named() {
    let env = TestEnv::new();
    if !needs::root() {
        return;
    }
    let id = env.ok(["run", "--quiet", "--hold", "--nice", "-5", "touch started"]);
    let Some(released) = unprivileged(&env, &["release", &id]) else { return };
    assert_eq!(released.code, Some(0), "{released}");
    env.run(["wait", &id]);
    let job = env.job(&id);
    assert_eq!((&job["status"], &job["cause"]), (&"failed".into(), &"spawn_failed".into()), "{job}");
    let message = job["message"].as_str().unwrap();
    assert!(message.starts_with("nice: it cannot be set to -5: "), "{message}");
    assert!(!env.dir().join("started").exists());
    // Its supervisor goes on, and other jobs may have the limit.
    let ran = env.run(["run", "--wait", "--nice", "-5", "exit $(($(nice) + 12))"]);
    assert_eq!(ran.code, Some(7), "{ran}");
    env.wait_until_empty();
}

#[test]
fn limits_are_shown_and_kept_by_reruns_edits_and_attempts() {
    let env = TestEnv::new();
    let line = "ulimit -n; ulimit -c; [ $JOBCORE_ATTEMPT = 2 ]";
    let id = env.ok(["run", "--wait", "--retries", "1", "--backoff", "1ms"].iter().chain(&ALL).chain(&[line]));
    assert_eq!(env.ok(["output", &id]), "64\n1024\n64\n1024", "each attempt has them");
    let words = "limits       niceness 19, 64.0 MiB of memory, 20000 processes of the user, \
                 64 open files, core files of 1.0 MiB, I/O best-effort:7";
    let shown = env.ok(["show", &id]);
    assert!(shown.contains(words), "{shown}");
    let again = env.ok(["rerun", "--wait", &id]);
    assert!(env.ok(["show", &again]).contains(words));
    let queued = env.ok(["run", "--hold"].iter().chain(&ALL).chain(&["true"]));
    env.ok(["edit", &queued, "--line", "ulimit -n"]);
    assert!(env.ok(["show", &queued]).contains(words));
    env.ok(["release", &queued]);
    env.run(["wait", &queued]);
    assert_eq!(env.ok(["output", &queued]), "64");
    env.wait_until_empty();
}

#[test]
fn programs_and_models_ask_for_limits() {
    let env = TestEnv::new();
    let cpu = cpu();
    let spec = json!({
        "command": "true", "name": "limited", "nice": 19, "cpus": cpu, "memory": "64M", "max_processes": 20000,
        "open_files": 64, "core": 0, "io": "idle",
    });
    let path = env.dir().join("spec.json");
    std::fs::write(&path, spec.to_string()).unwrap();
    env.ok(["run", "--wait", "--spec", path.to_str().unwrap()]);
    let recorded = |name: &str| {
        let id = env.job(name)["job_id"].as_str().unwrap().to_owned();
        env.records(&id).submission()["spec"]["limits"].clone()
    };
    let limits = json!({
        "nice": 19, "cpus": cpu, "memory": 64 << 20, "processes": 20000, "open_files": 64, "core": 0, "io": "idle",
    });
    assert_eq!(recorded("limited"), limits);
    let mut client = Client::legacy(&env);
    let execute = json!({ "command": "nice", "name": "model", "nice": 19, "cpus": cpu, "memory": "64M", "wait_s": 50 });
    let answer = client.ok("execute", execute);
    assert!(answer.text.contains("\n19"), "{}", answer.text);
    assert_eq!(recorded("model"), json!({ "nice": 19, "cpus": cpu, "memory": 64 << 20 }));
    for wrong in [json!({ "nice": 50 }), json!({ "cpus": "all" }), json!({ "memory": "much" })] {
        let mut arguments = wrong.clone();
        arguments["command"] = "true".into();
        let refused = client.call("execute", arguments);
        assert!(refused.is_error, "{wrong}: {}", refused.text);
    }
    drop(client);
    env.wait_until_empty();
}
