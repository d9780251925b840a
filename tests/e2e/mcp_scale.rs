//! The MCP server with much of everything, and with jobs that end at a bad moment.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use jobcore::clock::{Clock, SystemClock, SystemRandom};
use jobcore::record::{Ended, Start, Submission, World};
use jobcore::store::JobStore;
use jobcore::{Cause, FileStore, JobId, JobSpec, Outcome};
use serde_json::{Value, json};

use crate::background::{touch, until};
use crate::mcp_client::{Called, Client};
use crate::support::{TestEnv, used};

const JOBS: u32 = 10_000;
/// One in this many jobs has failed.
const FAILED: u32 = 500;
const MIB: u64 = 1024 * 1024;

/// Puts ended jobs on record without running any: a day's worth, the last of them the newest.
fn make_jobs(env: &TestEnv) {
    let store = FileStore::open(env.store()).unwrap();
    let namespace = |kind: &str| fs::metadata(format!("/proc/self/ns/{kind}")).unwrap().ino();
    let now = SystemClock.now();
    let submission = |number: u32| {
        let command = ["echo".to_owned(), format!("{number} {}", "x".repeat(300))];
        let half = if number < JOBS / 2 { "first" } else { "second" };
        let spec = JobSpec::command(command).cwd("/").name(name(number).parse().unwrap()).label("half", half);
        // A world in which this process may act on the job: only then is the job due.
        let mut world = World::default();
        world.pid_namespace = Some(namespace("pid"));
        world.mount_namespace = Some(namespace("mnt"));
        world.sandboxed = true;
        let at = now - Duration::from_secs(8) * (JOBS - number);
        Submission::new(JobId::mint(at, &SystemRandom).unwrap(), at, spec.build().unwrap(), "/bin/echo".into(), world)
    };
    let holder = json!({
        "boot_id": "00000000-0000-0000-0000-000000000000", "pid_namespace": 0, "pid": std::process::id(), "start_time": 0,
    });
    let start = Start::new(serde_json::from_value(holder).unwrap(), false, now);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for number in 0..JOBS {
            store.create(submission(number)).await.unwrap();
            let mut claim = store.next_due().await.unwrap().unwrap();
            let mut outcome = Outcome::new(Cause::Exited, now);
            outcome.exit_code = Some(i32::from(number % FAILED == 0));
            claim.start(&start).await.unwrap();
            claim.finish(&Ended::new(Some(now), outcome)).await.unwrap();
        }
    });
}

fn name(number: u32) -> String {
    format!("job-{number}")
}

/// The names of the jobs on a page, the newest first.
fn names(page: &Called) -> Vec<String> {
    let jobs = page.structured["jobs"].as_array().unwrap();
    jobs.iter().map(|job| job["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn ten_thousand_jobs_are_found_page_by_page() {
    // A disk would be slow with so many files.
    let directory = tempfile::Builder::new().prefix("jobcore-test-").tempdir_in("/dev/shm").unwrap();
    let env = TestEnv::new().with_store(directory.path().join("store"));
    for limit in ["keep_days", "keep_jobs", "keep_bytes"] {
        env.ok(["config", "set", limit, "0"]);
    }
    make_jobs(&env);
    let mut client = Client::legacy(&env);
    let newest = client.ok("list", json!({}));
    assert!(newest.text.chars().count() <= 8_000, "{}", newest.text);
    assert!(newest.text.contains("There are more: pass offset 20."), "{}", newest.text);
    // Page after page, also far from the start: each continues where the last one ended, without repetition.
    let near = (0..1000).step_by(100);
    let far = (1000..JOBS).step_by(3000);
    for offset in near.chain(far).chain([JOBS - 30]) {
        let page = client.ok("list", json!({ "limit": 100, "offset": offset }));
        let expected: Vec<_> = (0..JOBS - offset).rev().take(100).map(name).collect();
        assert_eq!(names(&page), expected);
        assert_eq!(page.structured["more"], offset + 100 < JOBS);
        assert!(page.text.chars().count() <= 40_000);
    }
    let failed: Vec<_> = (0..JOBS).rev().filter(|number| number % FAILED == 0).map(name).collect();
    for (filter, expected) in [
        (json!({ "status": ["failed"], "limit": 100 }), failed.as_slice()),
        (json!({ "status": ["failed"], "label": "half=second", "limit": 100 }), &failed[..failed.len() / 2]),
        (json!({ "status": ["failed"], "limit": 5, "offset": 7 }), &failed[7..12]),
        (json!({ "name": "job-1234" }), &["job-1234".to_owned()]),
        // From 22 hours ago.
        (json!({ "name": "job-0", "since": "2d" }), &["job-0".to_owned()]),
        (json!({ "name": "job-0", "since": "12h" }), &[]),
        (json!({ "status": ["running", "queued"] }), &[]),
        (json!({ "cwd": "/nosuch" }), &[]),
    ] {
        assert_eq!(names(&client.ok("list", filter.clone())), expected, "{filter}");
    }
    // Among so many jobs, one is submitted, found and stopped as usual.
    client.ok("execute", json!({ "command": "sleep 1000", "name": "new", "wait_s": 0 }));
    assert_eq!(names(&client.ok("list", json!({ "status": ["running"] }))), ["new"]);
    assert_eq!(client.ok("kill", json!({ "job_id": "new" })).structured["results"][0]["status"], "killed");
    assert_eq!(client.ok("output", json!({ "job_id": "job-0" })).job["exit_code"], 1);
}

/// The shortest of several calls.
fn time_of(client: &mut Client, tool: &str, arguments: &Value) -> Duration {
    let times = (0..5).map(|_| {
        let begun = Instant::now();
        client.ok(tool, arguments.clone());
        begun.elapsed()
    });
    times.min().unwrap()
}

#[test]
fn a_part_of_an_enormous_output_is_read_in_little_memory() {
    let env = TestEnv::new();
    let line = "yes 'a line as long as lines of a build are, with a path and a message' | head -c 300M; echo; echo end";
    for (name, line) in [
        ("small", "echo begin; echo end"),
        ("long", line),
        ("line", "head -c 64M /dev/zero | tr '\\0' x; echo; echo end"),
    ] {
        env.ok(["run", "--wait", "--output-limit", "0", "--name", name, line]);
    }
    let mut client = Client::legacy(&env);
    let calls = |name: &str| {
        [
            ("tail", json!({ "job_id": name })),
            ("tail", json!({ "job_id": name, "lines": 1000 })),
            ("tail", json!({ "job_id": name, "lines": 3, "format": "json" })),
            ("output", json!({ "job_id": name })),
            ("output", json!({ "job_id": name, "max_bytes": 36000 })),
            ("output", json!({ "job_id": name, "format": "json", "stream": "stdout" })),
            ("wait", json!({ "job_ids": [name] })),
            ("status", json!({ "job_id": name })),
        ]
    };
    for (tool, arguments) in calls("small") {
        client.ok(tool, arguments);
    }
    let before = used(client.pid()).0;
    for name in ["long", "line"] {
        for (tool, arguments) in calls(name) {
            let called = client.ok(tool, arguments.clone());
            // Output that was shown before is not shown again.
            let is_shown = called.text.contains("end") || tool == "wait";
            assert!(is_shown, "{tool} {arguments}: {}", called.text);
            assert!(called.text.chars().count() <= 40_000, "{tool} {arguments}");
        }
        let uri = format!("job://{name}/stdout");
        let read = client.ask("resources/read", json!({ "uri": uri }))["result"]["contents"][0]["text"].clone();
        assert!(read.as_str().unwrap().ends_with("\nend\n"));
    }
    let grown = used(client.pid()).0 - before;
    assert!(grown < 32 * MIB, "{grown} bytes more than before");
    for (tool, arguments) in [("tail", json!({ "lines": 20 })), ("output", json!({}))] {
        let mut times = ["small", "long"].map(|name| {
            let mut arguments = arguments.clone();
            arguments["job_id"] = name.into();
            time_of(&mut client, tool, &arguments)
        });
        times[0] = times[0] * 50 + Duration::from_millis(100);
        assert!(times[1] <= times[0], "{tool}: {:?} for 300 MiB, and at most {:?} are expected", times[1], times[0]);
    }
}

/// In mcp-background-job, one byte that was not UTF-8 lost all output, even the lines before it.
#[test]
fn bytes_that_are_not_text_lose_nothing_around_them() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let line =
        r"echo before; printf '\377\376\0\303'; head -c 1000000 /dev/urandom; printf '\n\342\202'; echo; echo after";
    for line in [line.to_owned(), format!("{{ {line}; }} >&2")] {
        let id = client.ok("execute", json!({ "command": line, "wait_s": 50 })).id();
        for format in ["text", "json"] {
            let output = client.ok("output", json!({ "job_id": id, "format": format }));
            let tail = client.ok("tail", json!({ "job_id": id, "lines": 2, "format": format }));
            assert!(output.text.contains("before") && output.text.contains('\u{fffd}'), "{}", output.text);
            assert!(output.text.contains("after") && tail.text.contains("after"), "{}", tail.text);
            assert_eq!(output.job["status"], "completed");
        }
    }
}

/// What was true at the last call may have changed at the next.
#[test]
fn a_job_that_ends_between_two_calls_is_reported_as_it_is() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let line = format!("echo up; {}; echo last; exit 3", until("go"));
    let execute = json!({ "command": line, "name": "job", "stdin": "open", "wait_s": 0 });
    client.ok("execute", execute);
    let up = client.ok("wait", json!({ "job_ids": ["job"], "until": "output:up" }));
    assert_eq!(client.ok("status", json!({ "job_id": "job" })).structured["status"], "running");
    touch(&env, "go");
    // Not by a call of this client.
    env.run(["wait", "job"]);
    for format in ["text", "json"] {
        let rest = json!({ "job_id": "job", "cursor": up.job["cursor"], "format": format });
        for (tool, arguments) in [("output", rest), ("tail", json!({ "job_id": "job", "lines": 1, "format": format }))]
        {
            let called = client.ok(tool, arguments);
            assert!(called.text.contains("last") && !called.text.contains("up\n"), "{tool}: {}", called.text);
            assert_eq!((&called.job["status"], &called.job["exit_code"]), (&"failed".into(), &3.into()));
        }
    }
    for input in [json!({ "job_id": "job", "input": "x" }), json!({ "job_id": "job", "eof": true })] {
        let late = client.call("interact", input);
        assert!(late.is_error && late.text.contains("not running"), "{}", late.text);
    }
    for arguments in [json!({ "job_id": "job" }), json!({ "job_id": "job", "signal": "INT" })] {
        let killed = client.ok("kill", arguments).structured;
        assert_eq!(killed["results"][0]["status"], "already_terminated", "{killed}");
    }
    let waited = client.ok("wait", json!({ "job_ids": ["job"], "timeout_s": 50 }));
    assert!(waited.text.contains("failed with exit code 3"), "{}", waited.text);
    assert_eq!(client.ok("list", json!({})).structured["jobs"][0]["status"], "failed");
}

/// What was true when a call started may have changed when it ends.
#[test]
fn a_job_that_ends_because_of_its_input_is_reported_with_its_end() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let line = "read -r word; echo \"got $word\"; exit 3";
    client.ok("execute", json!({ "command": line, "name": "job", "stdin": "open", "wait_s": 0 }));
    let told = client.ok("interact", json!({ "job_id": "job", "input": "x", "wait_s": 50 }));
    assert!(told.text.contains("failed with exit code 3") && told.text.ends_with("\ngot x"), "{}", told.text);
}
