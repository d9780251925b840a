//! Stores that are unsafe or not understood, that contain foreign files, or that many processes make at once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::bad_input::check_refusal;
use crate::damaged::contents;
use crate::needs;
use crate::support::{JOBCLI, Ran, TestEnv, script, wait_for};

/// Runs every command on a store that must be refused, and checks that nothing in it was changed.
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
fn a_store_that_is_unsafe_or_not_understood_is_refused_and_left_alone() {
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
    for (text, message) in [("jobcore store, format 3\n", "format 3"), ("", "`format`"), ("garbage", "`format`")] {
        let env = made();
        fs::write(env.store().join("format"), text).unwrap();
        check_store_refused(&env, 4, message, text);
    }
    let env = TestEnv::without_store();
    fs::write(env.store(), "precious").unwrap();
    check_store_refused(&env, 4, "it is not a directory", "a file");
    let env = TestEnv::without_store();
    fs::create_dir(env.store()).unwrap();
    set_mode(env.store(), 0o700);
    fs::write(env.store().join("precious"), "precious").unwrap();
    check_store_refused(&env, 4, "neither empty nor a store", "a directory that is no store");
    let env = TestEnv::without_store();
    let below = env.dir().join("file/store");
    fs::write(env.dir().join("file"), "precious").unwrap();
    check_store_refused(&env.with_store(below), 1, "file/store", "below a file");
    let env = TestEnv::without_store();
    std::os::unix::fs::symlink("nowhere", env.store()).unwrap();
    check_store_refused(&env, 1, "store", "a link to nowhere");
}

#[test]
fn a_store_of_another_user_is_refused_and_left_alone() {
    if !needs::root() {
        return;
    }
    let env = TestEnv::new();
    env.ok(["run", "--wait", "true"]);
    env.wait_until_empty();
    std::os::unix::fs::chown(env.store(), Some(65_534), Some(65_534)).unwrap();
    check_store_refused(&env, 4, "it belongs to user 65534", "owned by nobody");
}

/// A mistyped name used to make another store, which was empty.
#[test]
fn a_look_makes_no_store_and_reports_a_named_one_that_is_missing() {
    let verbs: &[&[&str]] = &[
        &["list"],
        &["status", "web"],
        &["show", "web"],
        &["output", "web"],
        &["tail", "web"],
        &["events"],
        &["usage"],
        &["kill", "--all"],
        &["rm", "web"],
        &["prune"],
        &["config", "get"],
        &["group", "list"],
    ];
    let env = TestEnv::without_store();
    let mistyped = env.dir().join("mistyped");
    let message = format!("there is no store at `{}`", mistyped.display());
    for verb in verbs {
        for is_flag in [true, false] {
            let mut command = env.jobcli(*verb);
            match is_flag {
                true => command.env_remove("JOBCORE_STORE").args(["--store", "mistyped"]),
                false => command.env("JOBCORE_STORE", &mistyped),
            };
            check_refusal(&Ran::of(command), 1, &message, &format!("{verb:?}"));
        }
    }
    check_refusal(&env.run(["wait", "web"]), 125, "there is no store at", "wait");
    // As long as the user has no store, the default one counts as empty.
    let default = |words: &[&str]| {
        let mut command = env.jobcli(words);
        command.env_remove("JOBCORE_STORE");
        Ran::of(command)
    };
    for verb in verbs {
        let ran = default(verb);
        let code = if verb.contains(&"web") { 3 } else { 0 };
        assert_eq!(ran.code, Some(code), "{verb:?}: {ran}");
    }
    assert_eq!(default(&["list", "--all", "--json"]).stdout, "[]\n");
    check_refusal(&default(&["run", "no-such-program", "x"]), 1, "no-such-program", "a command that is refused");
    assert_eq!(fs::read_dir(env.dir()).unwrap().count(), 0, "something was made");
    // Changing a setting or submitting a job makes it.
    assert_eq!(default(&["config", "set", "max_running", "2"]).code, Some(0));
    assert_eq!(default(&["run", "--follow", "echo $JOBCORE_STORE"]).stdout, format!("{}\n", own_store(&env).display()));
    assert_eq!(default(&["config", "get", "max_running"]).stdout, "2\n");
    wait_for("its end", || env.processes().is_empty().then_some(()));
}

/// The store that is used when none is named.
fn own_store(env: &TestEnv) -> std::path::PathBuf {
    env.dir().join(".local/state/jobcore")
}

/// `sudo jobcli list` used to make `~/.local` belong to root, so that its owner could no longer use it.
#[test]
fn root_makes_nothing_in_the_home_of_another_user() {
    if !needs::root() {
        return;
    }
    let env = TestEnv::without_store();
    std::os::unix::fs::chown(env.dir(), Some(65_534), Some(65_534)).unwrap();
    let run = |words: &[&str]| {
        let mut command = env.jobcli(words);
        command.env_remove("JOBCORE_STORE");
        Ran::of(command)
    };
    for words in [&["run", "true"][..], &["config", "set", "max_running", "1"]] {
        check_refusal(&run(words), 4, "in a directory of user 65534", &format!("{words:?}"));
        assert!(run(words).stderr.contains("`sudo -H`"));
    }
    let doctor = run(&["doctor"]);
    assert!(doctor.code == Some(1) && doctor.stderr.contains("user 65534"), "{doctor}");
    assert_eq!(run(&["list", "--json"]).stdout, "[]\n");
    assert_eq!(fs::read_dir(env.dir()).unwrap().count(), 0, "something was made");
    // A store that is named explicitly is used.
    env.ok(["run", "--wait", "true"]);
    env.wait_until_empty();
}

/// It would be another store in each directory.
#[test]
fn a_store_named_for_all_directories_needs_an_absolute_path() {
    let env = TestEnv::without_store();
    let mut command = env.jobcli(["list"]);
    command.env("JOBCORE_STORE", "relative");
    check_refusal(
        &Ran::of(command),
        2,
        "variable `JOBCORE_STORE`: `relative` would be a different store",
        "the variable",
    );
    fs::write(env.dir().join("config.toml"), "store = 'relative'\n").unwrap();
    let mut command = env.jobcli(["--config", "config.toml", "list"]);
    command.env_remove("JOBCORE_STORE");
    check_refusal(&Ran::of(command), 2, "`store` in config.toml: `relative` would be a different store", "the file");
    assert!(!env.dir().join("relative").exists());
}

/// A job submitted by a job is kept in the same store, wherever it runs.
#[test]
fn jobs_submitted_by_jobs_are_in_the_same_store() {
    let env = TestEnv::new();
    let other = env.dir().join("other");
    fs::create_dir(env.dir().join("elsewhere")).unwrap();
    let run = |words: &[&str]| Ran::of(env.jobcli(words)).ok();
    let line = "\"$JOBCLI\" run --wait 'echo inner'";
    run(&["--store", "other", "run", "--cwd", "elsewhere", "--follow", line]);
    let listed = Ran::of(env.jobcli(["--store", "other", "list", "--all", "--json"])).ok();
    assert_eq!(listed.matches("\"job_id\"").count(), 2, "{listed}");
    assert_eq!(env.ok(["list", "--all", "--json"]), "[]");
    assert!(!env.dir().join("elsewhere/other").exists());
    let line = "echo $JOBCORE_STORE";
    assert_eq!(run(&["--store", "other", "run", "--follow", line]), other.display().to_string());
    assert_eq!(run(&["--store", "other", "run", "--follow", "-e", "JOBCORE_STORE=/mine", line]), "/mine");
    wait_for("all processes to end", || env.processes().is_empty().then_some(()));
}

/// Under some umasks the files could not be used at all, or not under another umask.
#[test]
fn files_are_private_to_their_owner_whatever_the_umask() {
    let as_nobody = needs::root().then(|| needs::program("setpriv")).flatten();
    for umask in ["0777", "0277", "0177", "0000"] {
        let env = TestEnv::without_store();
        let store = env.dir().join("a/store");
        let env = env.with_store(store);
        fs::set_permissions(env.dir(), fs::Permissions::from_mode(0o777)).unwrap();
        let run = |line: &str| {
            let command = match &as_nobody {
                Some(setpriv) => {
                    let mut command = env.command(setpriv);
                    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", line]);
                    command
                }
                None => {
                    let mut command = env.command("sh");
                    command.args(["-c", line]);
                    command
                }
            };
            Ran::of(command)
        };
        let id =
            run(&format!("umask {umask}; \"$JOBCLI\" config set max_running 3 && \"$JOBCLI\" run --name web umask"));
        assert_eq!(id.code, Some(0), "{umask}: {id}");
        assert_eq!(run("\"$JOBCLI\" wait web").code, Some(0), "{umask}");
        assert_eq!(run("\"$JOBCLI\" output web").stdout, format!("{umask}\n"), "the job has that of its submitter");
        assert_eq!(run(&format!("umask {umask}; \"$JOBCLI\" run --wait true")).code, Some(0), "{umask}");
        for (path, (mode, _)) in contents(&env.dir().join("a")) {
            let expected = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode & 0o7777, expected, "{umask}: {}", path.display());
        }
        assert!(run("\"$JOBCLI\" rm web; \"$JOBCLI\" list --json").code == Some(0));
        wait_for("all processes to end", || env.processes().is_empty().then_some(()));
    }
}

#[test]
fn foreign_files_in_a_store_are_harmless() {
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
        ("slots/file".to_owned(), false),
        ("names/.hidden".to_owned(), false),
        ("index/directory".to_owned(), true),
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
        for arguments in [&["list"][..], &["status", short], &["run", "--wait", "--quiet", "true"], &["kill", "--all"]]
        {
            let ran = env.run(arguments);
            if ran.code != Some(0) || !ran.stderr.is_empty() {
                disturbed.push(format!("`{name}`: {arguments:?}: {ran}"));
            }
        }
        assert!(path.exists(), "`{name}` is not jobcore's to remove");
    }
    assert!(disturbed.is_empty(), "{}", disturbed.join("\n"));
}

/// The settings are also read by supervisors, which may be older than the program that set them.
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
fn many_processes_may_make_the_same_store_at_once() {
    for _ in 0..5 {
        let env = TestEnv::without_store();
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
            // Their open blocks until a writer opens the pipe; its end of file then releases all of them.
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
