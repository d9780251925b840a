//! Input that is wrong, stores that are not safe, records that are damaged: told clearly, and nothing changed.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jobcore::{FileStore, Job, JobManager, JobSpec, JobSpecBuilder, LocalRunner};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::crash::NoneLeft;
use crate::needs;
use crate::support::{JOBCLI, Ran, TestEnv, script, send, wait_for};

/// Ids that are none.
const WILD: [&str; 9] = [
    "",
    "*",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "é12é",
    "💥",
    "01a1fdbc-1c9c-728b-8d5e-f8c40c2a6702",
    "7d444840-9dc0-11d1-b245-5ffdce74fad2",
];

/// Checks that a call failed with this code and a message for people.
fn check_refusal(ran: &Ran, code: i32, message: &str, what: &str) {
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{what}: {ran}");
    assert!(ran.stderr.contains(message), "{what}: `{message}` is not said: {ran}");
    for word in ["panicked", "RUST_BACKTRACE", "Os {", "Error("] {
        assert!(!ran.stderr.contains(word), "{what}: not for people: {ran}");
    }
}

/// Checks that there is no job, nor any trace of one.
fn check_empty(env: &TestEnv, what: &str) {
    assert_eq!(env.ok(["list", "--all", "--json"]), "[]", "{what}");
    for name in ["staging", "queue", "trash"] {
        assert_eq!(fs::read_dir(env.store().join(name)).unwrap().count(), 0, "{what}: {name}");
    }
    assert!(env.processes().is_empty(), "{what}: {:?}", env.processes());
}

#[test]
fn a_command_that_cannot_be_run_is_refused_and_leaves_nothing() {
    let env = TestEnv::new();
    fs::write(env.dir().join("plain"), "echo hi\n").unwrap();
    fs::create_dir(env.dir().join("directory")).unwrap();
    let path = std::env::var("PATH").unwrap();
    let cases: &[(&[&str], i32, &str)] = &[
        (&[], 2, "COMMAND"),
        (&[""], 2, "the shell line is empty"),
        (&[" \t\n "], 2, "the shell line is empty"),
        (&["--", ""], 2, "there is no program to run"),
        (&["", "x"], 2, "there is no program to run"),
        (&["no-such-program-here", "x"], 1, &path),
        (&["--", "no-such-program-here"], 1, "no-such-program-here"),
        (&["--env-clear", "--env", "PATH=/nowhere", "--", "true"], 1, "/nowhere"),
        (&["./missing", "x"], 1, "No such file"),
        (&["./plain", "x"], 1, "cannot be executed: permission denied"),
        (&["./plain/below", "x"], 1, "cannot be executed"),
        (&["./directory", "x"], 1, "cannot be executed: it is a directory"),
        (&["--shell", "./plain", "echo"], 1, "cannot be executed"),
        (&["--shell", "no-such-shell", "echo"], 1, "no-such-shell"),
        (&["--cwd", "missing", "true"], 1, "missing`: No such file"),
        (&["--cwd", "plain", "true"], 1, "plain`: it is not a directory"),
        (&["--cwd", "", "true"], 2, "--cwd"),
        (&["--stdin", "missing", "cat"], 2, "missing`: No such file"),
        (&["--stdin", "directory", "cat"], 2, "it is a directory"),
        (&["--timeout=-1s", "true"], 2, "--timeout"),
        (&["--timeout=-5", "true"], 2, "--timeout"),
        (&["--timeout=", "true"], 2, "--timeout"),
        (&["--timeout=soon", "true"], 2, "--timeout"),
        (&["--timeout=0s", "true"], 2, "timeout: 0"),
        (&["--timeout=11years", "true"], 2, "more than ten years"),
        (&["--timeout=99999999999999999999s", "true"], 2, "--timeout"),
        (&["--grace=-1s", "true"], 2, "--grace"),
        (&["--grace=11years", "true"], 2, "more than ten years"),
        (&["--grace=99999999999999999999s", "true"], 2, "--grace"),
        (&["--output-limit=-1", "true"], 2, "--output-limit"),
        (&["--output-limit=1", "true"], 2, "at least 4096"),
        (&["--output-limit=1X", "true"], 2, "the unit is not known"),
        (&["--output-limit=99999999999999999999T", "true"], 2, "--output-limit"),
        (&["--label", "=x", "true"], 2, "has no name"),
        (&["--label", "a\nb=x", "true"], 2, "control characters"),
        (&["--env", "=x", "true"], 2, "environment"),
        (&["--wait", "--cwd", "missing", "true"], 125, "missing`: No such file"),
        (&["--follow", "no-such-program-here", "x"], 125, "no-such-program-here"),
    ];
    for (arguments, code, message) in cases {
        let ran = env.run(["run"].iter().chain(*arguments));
        check_refusal(&ran, *code, message, &format!("{arguments:?}"));
        check_empty(&env, &format!("{arguments:?}"));
    }
    let wild = OsString::from_vec(b"\xff\xfe".to_vec());
    let words = ["run".as_ref(), "echo".as_ref(), wild.as_os_str()];
    check_refusal(&env.run(words), 2, "not valid UTF-8", "bytes");
    check_refusal(
        &env.run(["run".as_ref(), "--cwd".as_ref(), wild.as_os_str(), OsStr::new("true")]),
        2,
        "not valid UTF-8",
        "cwd",
    );
    check_empty(&env, "bytes");
}

/// A slip of the keyboard must not become a command that is started, and fails later.
#[test]
fn an_option_that_does_not_exist_is_no_command() {
    let env = TestEnv::new();
    for arguments in [&["--tiemout", "5s", "true"][..], &["--follw", "true"], &["--wiat"], &["-x"]] {
        let ran = env.run(["run"].iter().chain(arguments));
        check_refusal(&ran, 2, arguments[0], &format!("{arguments:?}"));
        check_empty(&env, &format!("{arguments:?}"));
    }
    // Behind the first word of the command, and behind `--`, they are the command's own.
    assert_eq!(env.ok(["run", "--follow", "echo", "--follow", "-x"]), "--follow -x");
    assert_eq!(env.run(["run", "--", "--no-such-program"]).code, Some(1));
}

#[test]
fn a_job_that_is_not_there_is_told_and_nothing_is_done() {
    let env = TestEnv::new();
    let long = "a".repeat(5000);
    for id in WILD.into_iter().chain([long.as_str()]) {
        let verbs: [(&[&str], i32); 10] = [
            (&["status"], 3),
            (&["show"], 3),
            (&["show", "--json"], 3),
            (&["output"], 3),
            (&["output", "--json"], 3),
            (&["tail", "--follow"], 3),
            (&["kill"], 3),
            (&["kill", "--signal", "HUP"], 3),
            (&["rm", "--kill"], 3),
            (&["wait"], 125),
        ];
        for (verb, code) in verbs {
            let ran = env.run(verb.iter().chain([&id]));
            check_refusal(&ran, code, "no job matches", &format!("{verb:?} {id}"));
        }
    }
    check_empty(&env, "wild ids");
    assert!(fs::exists("/etc/passwd").unwrap());
}

#[test]
fn numbers_and_words_that_are_none_are_wrong_usage() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--wait", "--json", "echo hi"]);
    let id = serde_json::from_str::<Value>(&id).unwrap()["job_id"].as_str().unwrap().to_owned();
    let cases: &[&[&str]] = &[
        &["output", "--head=-1"],
        &["output", "--head=99999999999999999999"],
        &["output", "--head=x"],
        &["output", "--tail=-1"],
        &["output", "--bytes=-1..2"],
        &["output", "--bytes=9..5"],
        &["output", "--bytes=5"],
        &["output", "--bytes=0..99999999999999999999"],
        &["output", "--cursor=-1"],
        &["output", "--cursor=x"],
        &["output", "--head=1", "--tail=1"],
        &["output", "--stdout", "--stderr"],
        &["tail", "-n=-1"],
        &["tail", "-n", "x"],
        &["wait", "--timeout=-1s"],
        &["wait", "--timeout=99999999999999999999s"],
        &["kill", "--grace=-1s"],
        &["kill", "--grace=x"],
        &["kill", "--signal=NOPE"],
        &["kill", "--signal=-1"],
        &["kill", "--signal=999"],
        &["kill", "--all"],
        &["nonsense"],
    ];
    for arguments in cases {
        check_refusal(&env.run(arguments.iter().chain([&id.as_str()])), 2, "error", &format!("{arguments:?}"));
    }
    for arguments in
        [&["list", "--status", "nonsense"][..], &["list", "-n=-1"], &["kill"], &["rm"], &["wait"], &["show"]]
    {
        check_refusal(&env.run(arguments), 2, "", &format!("{arguments:?}"));
    }
    // The largest there are mean all, or nothing, and no overflow.
    let most = u64::MAX.to_string();
    for option in ["--head", "--tail", "--cursor"] {
        let expected = if option == "--cursor" { "" } else { "hi" };
        assert_eq!(env.ok(["output", option, &most, &id]), expected, "{option}");
    }
    assert_eq!(env.ok(["output", "--bytes", &format!("0..{most}"), &id]), "hi");
    assert_eq!(env.ok(["output", "--bytes", &format!("{most}..{most}"), &id]), "");
    assert_eq!(env.ok(["tail", "-n", &most, &id]), "hi");
    assert_eq!(env.ok(["list", "-n", &most, "--json"]).matches("job_id").count(), 1);
    assert_eq!(env.status(&id), "completed");
}

/// Submits through the library, for what no argument of a program could carry.
fn submit(env: &TestEnv, spec: JobSpecBuilder) -> jobcore::Result<Job> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(FileStore::open(env.store())?);
        let jobs = JobManager::new(store, Arc::new(LocalRunner::with_program(JOBCLI)))?;
        jobs.submit(spec.env("JOBCORE_STORE", env.store()).build()?).await
    })
}

#[test]
fn a_command_line_that_the_kernel_would_not_take_is_refused() {
    let env = TestEnv::new();
    let words =
        |count: usize, size: usize| std::iter::once("/bin/true".to_owned()).chain(vec!["x".repeat(size); count]);
    let cases = [
        (JobSpec::command(words(1, 200 << 10)), "204800 bytes in one argument"),
        (JobSpec::command(words(32, 100 << 10)), "the kernel takes"),
        // What each word costs beyond its bytes.
        (JobSpec::command(words(2 << 20, 0)), "the kernel takes"),
        (JobSpec::shell("x".repeat(200 << 10)), "204800 bytes in one argument"),
        (JobSpec::command(["/bin/echo", "a\0b"]), "NUL"),
        (JobSpec::shell("true").cwd("relative"), "not an absolute path"),
        (JobSpec::shell("true").env("BIG", "x".repeat(200 << 10)), "larger than the kernel takes"),
    ];
    for (spec, message) in cases {
        let error = submit(&env, spec).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        check_empty(&env, message);
    }
    // Just below, it runs.
    let job = submit(&env, JobSpec::command(words(15, 100 << 10))).unwrap();
    assert_eq!(env.run(["wait", &job.id.to_string()]).code, Some(0));
    let mut command = env.jobcli(["run", "--wait", "--", "/bin/true"]);
    command.args(words(15, 100 << 10));
    let ran = Ran::of(command);
    assert_eq!(ran.code, Some(0), "{ran}");
}

/// A job that is over and a second one beside it, of which a record is to be damaged.
struct Damaged {
    env: TestEnv,
    good: String,
    bad: String,
    directory: PathBuf,
}

impl Damaged {
    fn new() -> Self {
        let env = TestEnv::new();
        let [good, bad] = ["echo good", "echo bad; echo err >&2"].map(|line| env.submit(line));
        env.ok(["wait", &good, &bad]);
        env.wait_until_empty();
        let directory = env.job_dir(&bad);
        Self { env, good, bad, directory }
    }

    fn forget_end(&self) {
        for path in ["end.json", "attempts/1/end.json"] {
            fs::remove_file(self.directory.join(path)).unwrap();
        }
    }

    fn listed(&self) -> (Vec<String>, String) {
        let ran = self.env.run(["list", "--all", "--json"]);
        assert_eq!(ran.code, Some(0), "{ran}");
        let jobs: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
        (jobs.iter().map(|job| job["job_id"].as_str().unwrap().to_owned()).collect(), ran.stderr)
    }

    /// Checks that the damage is told, concerns nobody else, is left as it is, and can be removed.
    fn check(&self, what: &str) {
        let Self { env, good, bad, directory } = self;
        let before = contents(directory);
        let (listed, told) = self.listed();
        assert_eq!(listed, [good.as_str()], "{what}");
        assert!(told.contains(bad.as_str()) && told.contains("cannot be read"), "{what}: {told}");
        assert_eq!(env.status(good), "completed", "{what}");
        assert_eq!(env.ok(["output", good]), "good", "{what}");
        for (verb, code) in [("status", 1), ("show", 1), ("kill", 1), ("wait", 125)] {
            check_refusal(&env.run([verb, bad]), code, "damaged record", &format!("{what}: {verb}"));
        }
        env.ok(["kill", "--all"]);
        let another = env.run(["run", "--follow", "echo another"]);
        assert_eq!((another.code, another.stdout.as_str()), (Some(0), "another\n"), "{what}: {another}");
        assert_eq!(contents(directory), before, "{what}: the damaged job was written to");
        let removed = env.run(["rm", bad]);
        assert_eq!(removed.code, Some(0), "{what}: {removed}");
        assert!(!directory.exists(), "{what}");
        assert_eq!(self.listed().1, "", "{what}");
    }
}

/// Everything in a directory: names, kinds and bytes.
fn contents(directory: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut left = vec![directory.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let bytes = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        found.insert(path, (metadata.mode(), bytes));
    }
    found
}

const BROKEN: [&[u8]; 6] = [b"", b"{", b"null", b"[1, 2]", b"{\"v\":1}", b"\xff\x00\xfe garbage"];

#[test]
fn a_damaged_spec_or_end_spoils_one_job_and_stays_as_it_is() {
    for record in ["spec.json", "end.json"] {
        for bytes in BROKEN {
            let damaged = Damaged::new();
            let path = damaged.directory.join(record);
            fs::remove_file(&path).unwrap();
            fs::write(&path, bytes).unwrap();
            damaged.check(&format!("{record}: {}", bytes.escape_ascii()));
        }
        let damaged = Damaged::new();
        let path = damaged.directory.join(record);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..50]).unwrap();
        damaged.check(&format!("{record}: cut off"));
    }
    let damaged = Damaged::new();
    fs::remove_file(damaged.directory.join("spec.json")).unwrap();
    damaged.check("no spec");
    let damaged = Damaged::new();
    fs::copy(damaged.env.job_dir(&damaged.good).join("spec.json"), damaged.directory.join("spec.json")).unwrap();
    damaged.check("the spec of another job");
}

/// They are what an end is derived from when nobody recorded one: a guess would be put on record for good.
#[test]
fn a_damaged_start_or_run_record_is_no_reason_to_invent_an_end() {
    for record in ["attempts/1/start.json", "attempts/1/run.json"] {
        for bytes in BROKEN {
            let damaged = Damaged::new();
            damaged.forget_end();
            fs::write(damaged.directory.join(record), bytes).unwrap();
            damaged.check(&format!("{record}: {}", bytes.escape_ascii()));
        }
    }
}

#[test]
fn a_lock_that_is_missing_spoils_one_job() {
    let damaged = Damaged::new();
    fs::remove_file(damaged.directory.join("lock")).unwrap();
    damaged.forget_end();
    damaged.check("no lock");
}

#[test]
fn a_lock_that_is_a_directory_spoils_one_job() {
    let damaged = Damaged::new();
    fs::remove_file(damaged.directory.join("lock")).unwrap();
    fs::create_dir(damaged.directory.join("lock")).unwrap();
    let (listed, _) = damaged.listed();
    assert!(listed.contains(&damaged.good), "{listed:?}");
    damaged.env.ok(["rm", &damaged.bad]);
    assert!(!damaged.directory.exists());
}

/// Nobody holds the new file, and yet the job must not be called over, nor be started again.
#[test]
fn a_job_whose_lock_was_replaced_is_not_over_while_it_runs() {
    let env = TestEnv::new();
    let _none_left = NoneLeft(&env);
    let id = env.submit("echo x >> marker; exec sleep 1000");
    let main = env.main_process(&id);
    wait_for("the marker", || env.dir().join("marker").exists().then_some(()));
    let lock = env.job_dir(&id).join("lock");
    fs::remove_file(&lock).unwrap();
    fs::write(&lock, "").unwrap();
    let job = env.job(&id);
    assert_eq!((&job["status"], &job["supervised"]), (&"running".into(), &false.into()), "{job}");
    assert_eq!(env.run(["rm", &id]).code, Some(4));
    assert_eq!(env.run(["kill", &id]).code, Some(4));
    send(main, Signal::SIGKILL);
    wait_for("the end", || (!["running", "paused"].contains(&env.status(&id).as_str())).then_some(()));
    env.wait_until_empty();
    assert_eq!(fs::read_to_string(env.dir().join("marker")).unwrap(), "x\n");
    env.ok(["rm", &id]);
}

#[test]
fn a_damaged_log_is_read_as_far_as_it_goes() {
    let Some(timeout) = needs::program("timeout") else { return };
    type Damage = (&'static str, fn(&Path));
    let cases: [Damage; 10] = [
        ("rows of ff", |log| fs::write(log.join("000000000000.idx"), [0xff; 4096]).unwrap()),
        ("rows of 0", |log| fs::write(log.join("000000000000.idx"), [0; 4096]).unwrap()),
        ("text for rows", |log| fs::write(log.join("000000000000.idx"), "garbage ".repeat(99)).unwrap()),
        ("a torn row", |log| fs::write(log.join("000000000000.idx"), [0; 5]).unwrap()),
        ("no rows", |log| fs::write(log.join("000000000000.idx"), "").unwrap()),
        ("no file of rows", |log| fs::remove_file(log.join("000000000000.idx")).unwrap()),
        ("no bytes", |log| fs::write(log.join("000000000000.log"), "").unwrap()),
        ("no segment", |log| fs::remove_file(log.join("000000000000.log")).unwrap()),
        ("names that are none", |log| {
            for name in ["x.log", "-1.log", "99999999999999999999999.log", ".log", "000000000000.log.bak"] {
                fs::write(log.join(name), "garbage").unwrap();
            }
        }),
        ("segments that overlap", |log| fs::write(log.join("000000000002.log"), "garbage").unwrap()),
    ];
    for (what, damage) in cases {
        let damaged = Damaged::new();
        let Damaged { env, good, bad, directory } = &damaged;
        damage(&directory.join("attempts/1/log"));
        let before = contents(directory);
        let options: [&[&str]; 6] =
            [&[], &["--stdout"], &["--stderr"], &["--tail", "1"], &["--json"], &["--bytes", "1..3"]];
        for options in options {
            let mut command = env.command(&timeout);
            command.args(["60", JOBCLI, "output"]).args(options).arg(bad);
            let ran = Ran::of(command);
            assert!(matches!(ran.code, Some(0 | 1)) && !ran.stderr.contains("panicked"), "{what}: {options:?}: {ran}");
            if what.contains("rows") && options.is_empty() {
                assert_eq!(ran.stdout.len(), 8, "{what}: the bytes themselves are there: {ran}");
            }
        }
        assert_eq!(env.status(bad), "completed", "{what}");
        assert_eq!(damaged.listed(), (vec![bad.clone(), good.clone()], String::new()), "{what}");
        assert_eq!(contents(directory), before, "{what}");
        env.ok(["rm", bad]);
    }
}

#[test]
fn names_that_are_no_jobs_disturb_nobody() {
    let mut disturbed = Vec::new();
    let day = "jobs/2020-01-01";
    let cases = [
        ("jobs/file".to_owned(), false),
        ("jobs/.hidden".to_owned(), false),
        ("jobs/directory".to_owned(), true),
        (format!("{day}/directory"), true),
        (format!("{day}/file"), false),
        (format!("{day}/01a1fdbc-1c9c-728b-8d5e-f8c40c2a6702"), true),
        (format!("{day}/7d444840-9dc0-11d1-b245-5ffdce74fad2"), true),
        (format!("{day}/💥"), false),
        ("queue/file".to_owned(), false),
        ("queue/directory".to_owned(), true),
        ("staging/file".to_owned(), false),
        ("trash/directory".to_owned(), true),
        ("file".to_owned(), false),
    ];
    for (name, is_directory) in cases {
        let env = TestEnv::new();
        let id = env.submit("echo hi");
        env.ok(["wait", &id]);
        let path = env.store().join(&name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match is_directory {
            true => fs::create_dir(&path).unwrap(),
            false => fs::write(&path, "hi").unwrap(),
        }
        let short = &env.job(&id)["short_id"].as_str().unwrap().to_owned();
        for arguments in [&["list"][..], &["status", short], &["run", "--wait", "true"], &["kill", "--all"]] {
            let ran = env.run(arguments);
            if ran.code != Some(0) || !ran.stderr.is_empty() {
                disturbed.push(format!("`{name}`: {arguments:?}: {ran}"));
            }
        }
        assert!(path.exists(), "`{name}` is not jobcore's to remove");
    }
    assert!(disturbed.is_empty(), "{}", disturbed.join("\n"));
}

#[test]
fn a_record_of_a_newer_version_is_read_and_not_rewritten() {
    let damaged = Damaged::new();
    let Damaged { env, good, bad, directory } = &damaged;
    for record in ["spec.json", "end.json", "attempts/1/start.json", "attempts/1/run.json"] {
        let path = directory.join(record);
        let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        value["v"] = 99.into();
        value["of_the_future"] = serde_json::json!({ "a": [1, null] });
        for key in ["spec", "outcome", "holder", "process"] {
            if let Some(inner) = value.get_mut(key) {
                inner["of_the_future"] = true.into();
            }
        }
        fs::remove_file(&path).unwrap();
        fs::write(&path, serde_json::to_vec(&value).unwrap()).unwrap();
    }
    let before = contents(directory);
    assert_eq!(damaged.listed(), (vec![bad.clone(), good.clone()], String::new()));
    let job = env.job(bad);
    assert_eq!((&job["status"], &job["exit_code"]), (&"completed".into(), &0.into()));
    assert_eq!(env.run(["wait", bad]).code, Some(0));
    env.ok(["output", bad]);
    assert_eq!(contents(directory), before);
    env.ok(["rm", bad]);
}

/// Also a supervisor reads them, which may be older than whoever set them.
#[test]
fn settings_of_a_newer_version_are_read_and_kept() {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "3"]);
    let path = env.store().join("settings.toml");
    fs::write(&path, fs::read_to_string(&path).unwrap() + "of_the_future = 7\n").unwrap();
    assert_eq!(env.run(["run", "--wait", "true"]).code, Some(0));
    env.ok(["config", "set", "max_running", "4"]);
    assert_eq!(env.ok(["config", "get", "max_running"]), "4");
    let before = fs::read_to_string(&path).unwrap();
    assert!(before.contains("of_the_future = 7"), "{before}");
    let ran = env.run(["config", "set", "of_the_future", "8"]);
    check_refusal(&ran, 2, "there is no setting `of_the_future`", "a key of the future");
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
}

/// Calls every verb on a store that must be refused, and checks that nothing in it was changed.
fn check_store_refused(env: &TestEnv, code: i32, message: &str, what: &str) {
    let before = env.store().exists().then(|| contents(env.store()));
    let id = "01a1fdbc-1c9c-728b-8d5e-f8c40c2a6702";
    let verbs: [&[&str]; 6] =
        [&["list"], &["run", "true"], &["status", id], &["kill", "--all"], &["rm", id], &["show", "abcd"]];
    for verb in verbs {
        check_refusal(&env.run(verb), code, message, &format!("{what}: {verb:?}"));
    }
    check_refusal(&env.run(["wait", id]), 125, message, what);
    assert_eq!(env.store().exists().then(|| contents(env.store())), before, "{what}");
}

#[test]
fn a_store_that_is_not_safe_or_not_understood_is_refused_and_left_alone() {
    let set_mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let made = || {
        let env = TestEnv::new();
        env.ok(["run", "--wait", "true"]);
        env.wait_until_empty();
        env
    };
    for mode in [0o777, 0o770, 0o702] {
        let env = made();
        set_mode(env.store(), mode);
        check_store_refused(&env, 4, "others may write to it", &format!("mode {mode:o}"));
    }
    for (text, message) in [("jobcore store, format 2\n", "format 2"), ("", "`format`"), ("garbage", "`format`")] {
        let env = made();
        fs::write(env.store().join("format"), text).unwrap();
        check_store_refused(&env, 4, message, text);
    }
    let env = TestEnv::new();
    fs::write(env.store(), "precious").unwrap();
    check_store_refused(&env, 4, "it is not a directory", "a file");
    let env = TestEnv::new();
    fs::create_dir(env.store()).unwrap();
    set_mode(env.store(), 0o700);
    fs::write(env.store().join("precious"), "precious").unwrap();
    check_store_refused(&env, 4, "neither empty nor a store", "a directory that is no store");
    let env = TestEnv::new();
    let below = env.dir().join("file/store");
    fs::write(env.dir().join("file"), "precious").unwrap();
    check_store_refused(&env.with_store(below), 1, "file/store", "below a file");
    let env = TestEnv::new();
    std::os::unix::fs::symlink("nowhere", env.store()).unwrap();
    check_store_refused(&env, 1, "store", "a link to nowhere");
}

#[test]
fn a_store_that_belongs_to_somebody_else_is_refused_and_left_alone() {
    if !needs::root() {
        return;
    }
    let env = TestEnv::new();
    env.ok(["run", "--wait", "true"]);
    env.wait_until_empty();
    std::os::unix::fs::chown(env.store(), Some(65_534), Some(65_534)).unwrap();
    check_store_refused(&env, 4, "it belongs to user 65534", "owned by nobody");
}

#[test]
fn settings_that_are_wrong_are_refused_with_their_place() {
    let env = TestEnv::new();
    let file = env.dir().join("settings.toml");
    let path = file.to_str().unwrap();
    let cases: [(&[u8], &str); 14] = [
        (b"bogus = 1", "bogus"),
        (b"[env]\nA = 1", "A = 1"),
        (b"timeout = \"never\"", "`timeout`"),
        (b"timeout = \"-1s\"", "`timeout`"),
        (b"timeout = 5", "timeout"),
        (b"grace = \"x\"", "`grace`"),
        (b"output_limit = \"1X\"", "`output_limit`"),
        (b"output_limit = -5", "`output_limit`"),
        (b"unattended = \"yes\"", "unattended"),
        (b"scrub = \"A\"", "scrub"),
        (b"store = 1", "store"),
        (b"timeout = ", "line 1"),
        (b"= [", "line 1"),
        (b"\xff\xfe", ""),
    ];
    for (text, message) in cases {
        fs::write(&file, text).unwrap();
        let what = text.escape_ascii().to_string();
        for verb in [&["list"][..], &["run", "true"]] {
            let ran = env.run(["--config", path].iter().chain(verb));
            check_refusal(&ran, 2, message, &what);
            assert!(ran.stderr.contains(path), "{what}: the file is not named: {ran}");
        }
    }
    for path in ["/missing/settings.toml", "/etc"] {
        check_refusal(&env.run(["--config", path, "list"]), 2, path, path);
    }
    let variables = [
        ("JOBCORE_TIMEOUT", OsString::from("soon")),
        ("JOBCORE_TIMEOUT", "-1s".into()),
        ("JOBCORE_GRACE", "5 apples".into()),
        ("JOBCORE_OUTPUT_LIMIT", "1X".into()),
        ("JOBCORE_OUTPUT_LIMIT", "-1".into()),
        ("JOBCORE_UNATTENDED", "maybe".into()),
        ("JOBCORE_TIMEOUT", OsString::from_vec(vec![0xff])),
        ("JOBCORE_CONFIG", "/missing/settings.toml".into()),
    ];
    for (name, value) in variables {
        for verb in [&["list"][..], &["run", "true"]] {
            let mut command = env.jobcli(verb);
            command.env(name, &value);
            let place = if name == "JOBCORE_CONFIG" { "/missing/settings.toml" } else { name };
            check_refusal(&Ran::of(command), 2, place, &format!("{name}={}", value.display()));
        }
    }
    // What no single setting could know.
    let mut command = env.jobcli(["run", "true"]);
    command.env("JOBCORE_TIMEOUT", "0s");
    check_refusal(&Ran::of(command), 2, "timeout", "no time at all");
    assert!(!env.store().exists() || env.ok(["list", "--all", "--json"]) == "[]");
}

#[test]
fn many_may_make_the_same_store_at_the_same_moment() {
    for _ in 0..5 {
        let env = TestEnv::new();
        let gate = script(&env.dir().join("gate"), "#!/bin/sh\nread line < gate.pipe; exec \"$@\"\n");
        let pipe = env.dir().join("gate.pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let ran: Vec<Ran> = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..20)
                .map(|number| {
                    let mut command = env.command(&gate);
                    command.args([JOBCLI, "run", "--follow", &format!("echo {number}")]);
                    scope.spawn(move || Ran::of(command))
                })
                .collect();
            let at_gate = || env.processes().iter().filter(|line| line.contains("/gate ")).count();
            wait_for("all to stand at the gate", || (at_gate() == 20).then_some(()));
            // They wait in their open until somebody opens it for writing; the end of file then lets all of them go.
            drop(fs::OpenOptions::new().write(true).open(&pipe).unwrap());
            while runs.iter().any(|run| !run.is_finished()) {
                use std::os::unix::fs::OpenOptionsExt;
                let late = fs::OpenOptions::new().write(true).custom_flags(nix::libc::O_NONBLOCK).open(&pipe);
                drop(late);
                std::thread::yield_now();
            }
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        for (number, ran) in ran.iter().enumerate() {
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), format!("{number}\n").as_str()), "{ran}");
        }
        assert_eq!(env.ok(["list", "--all", "--json"]).matches("job_id").count(), 20);
    }
}
