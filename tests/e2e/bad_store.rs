//! Stores that are not safe or not understood, that have in them what is not ours, or that many make at once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::bad_input::check_refusal;
use crate::damaged::contents;
use crate::needs;
use crate::support::{JOBCLI, Ran, TestEnv, script, wait_for};

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
