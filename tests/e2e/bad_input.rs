//! Wrong input: it is reported clearly, and nothing is changed.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;

use jobcore::{FileStore, Job, JobManager, JobSpec, JobSpecBuilder, LocalRunner};
use serde_json::Value;

use crate::support::{JOBCLI, Ran, TestEnv};

/// Texts that are not valid ids.
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

/// Checks that a call failed with this code and a message written for people.
pub(crate) fn check_refusal(ran: &Ran, code: i32, message: &str, what: &str) {
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{what}: {ran}");
    assert!(ran.stderr.contains(message), "{what}: `{message}` is missing: {ran}");
    for word in ["panicked", "RUST_BACKTRACE", "Os {", "Error("] {
        assert!(!ran.stderr.contains(word), "{what}: not written for people: {ran}");
    }
}

/// Checks that there is no job, nor any trace of one.
fn check_empty(env: &TestEnv, what: &str) {
    assert_eq!(env.ok(["list", "--all", "--json"]), "[]", "{what}");
    for name in ["staging", "trash"] {
        assert_eq!(fs::read_dir(env.store().join(name)).unwrap().count(), 0, "{what}: {name}");
    }
    assert_eq!(env.queued_and_running(), 0, "{what}");
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
        (&["--output-limit=1X", "true"], 2, "the unit is unknown"),
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

/// A typing mistake must not become a command that is started and fails later.
#[test]
fn an_option_that_does_not_exist_is_not_taken_for_a_command() {
    let env = TestEnv::new();
    for arguments in [&["--tiemout", "5s", "true"][..], &["--follw", "true"], &["--wiat"], &["-x"]] {
        let ran = env.run(["run"].iter().chain(arguments));
        check_refusal(&ran, 2, arguments[0], &format!("{arguments:?}"));
        check_empty(&env, &format!("{arguments:?}"));
    }
    // After the first word of the command, and after `--`, options belong to the command.
    assert_eq!(env.ok(["run", "--follow", "echo", "--follow", "-x"]), "--follow -x");
    assert_eq!(env.run(["run", "--", "--no-such-program"]).code, Some(1));
}

#[test]
fn a_job_that_does_not_exist_is_reported_and_nothing_is_done() {
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
fn invalid_numbers_and_words_are_wrong_usage() {
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
    // The largest values mean all or nothing, and cause no overflow.
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

/// Submits through the library what no argument of a program could carry.
fn submit(env: &TestEnv, spec: JobSpecBuilder) -> jobcore::Result<Job> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(FileStore::open(env.store())?);
        let jobs = JobManager::new(store, Arc::new(LocalRunner::with_program(JOBCLI)))?;
        jobs.submit(spec.env("JOBCORE_STORE", env.store()).build()?).await
    })
}

#[test]
fn a_command_line_too_long_for_the_kernel_is_refused() {
    let env = TestEnv::new();
    let words =
        |count: usize, size: usize| std::iter::once("/bin/true".to_owned()).chain(vec!["x".repeat(size); count]);
    let cases = [
        (JobSpec::command(words(1, 200 << 10)), "204800 bytes in one argument"),
        (JobSpec::command(words(32, 100 << 10)), "the kernel accepts"),
        // The cost of each word beyond its bytes.
        (JobSpec::command(words(2 << 20, 0)), "the kernel accepts"),
        (JobSpec::shell("x".repeat(200 << 10)), "204800 bytes in one argument"),
        (JobSpec::command(["/bin/echo", "a\0b"]), "NUL"),
        (JobSpec::shell("true").cwd("relative"), "not an absolute path"),
        (JobSpec::shell("true").env("BIG", "x".repeat(200 << 10)), "larger than the kernel accepts"),
    ];
    for (spec, message) in cases {
        let error = submit(&env, spec).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        check_empty(&env, message);
    }
    // Just below the limit, it runs.
    let job = submit(&env, JobSpec::command(words(15, 100 << 10))).unwrap();
    assert_eq!(env.run(["wait", &job.id.to_string()]).code, Some(0));
    let mut command = env.jobcli(["run", "--wait", "--", "/bin/true"]);
    command.args(words(15, 100 << 10));
    let ran = Ran::of(command);
    assert_eq!(ran.code, Some(0), "{ran}");
}

#[test]
fn wrong_settings_are_refused_with_their_place() {
    let env = TestEnv::new();
    let file = env.dir().join("settings.toml");
    let path = file.to_str().unwrap();
    let cases: [(&[u8], &str); 18] = [
        (b"bogus = 1", "bogus"),
        (b"[env]\nA = 1", "A = 1"),
        (b"timeout = \"never\"", "`timeout`"),
        (b"timeout = \"-1s\"", "`timeout`"),
        (b"timeout = 5", "timeout"),
        (b"grace = \"x\"", "`grace`"),
        (b"output_limit = \"1X\"", "`output_limit`"),
        (b"output_limit = -5", "`output_limit`"),
        (b"stragglers = \"keep\"", "`stragglers`"),
        (b"unattended = \"yes\"", "unattended"),
        (b"scrub = \"A\"", "scrub"),
        (b"scrub = [\"A=1\"]", "`A=1` matches no variable"),
        (b"keep = [\"\"]", "an empty pattern matches no variable"),
        (b"env_only = [\"A\", \"=\"]", "`=` matches no variable"),
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
        ("JOBCORE_SCRUB", "A,,B".into()),
        ("JOBCORE_KEEP", "A=1".into()),
        ("JOBCORE_ENV_ONLY", "*=*".into()),
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
    // A duration that can be parsed but not used.
    let mut command = env.jobcli(["run", "true"]);
    command.env("JOBCORE_TIMEOUT", "0s");
    check_refusal(&Ran::of(command), 2, "timeout", "no time at all");
    assert!(!env.store().exists() || env.ok(["list", "--all", "--json"]) == "[]");
}
