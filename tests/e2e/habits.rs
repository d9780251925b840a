//! What people type who are used to other tools, or to another order of words.

use crate::support::{TestEnv, is_alive, wait_for};

fn check_nothing_started(env: &TestEnv, what: &str) {
    assert_eq!(env.ok(["list", "--all", "--json"]), "[]", "{what}");
}

/// They would be arguments of the command, and the job would start silently without what was asked for.
#[test]
fn options_after_the_command_are_answered_with_the_line_that_was_meant() {
    let env = TestEnv::new();
    for (typed, meant) in [
        (&["echo hi", "--wait"][..], "`jobcli run --wait 'echo hi'`"),
        (&["echo hi", "-w"], "`jobcli run -w 'echo hi'`"),
        (&["--name", "x", "echo hi; exit 3", "--follow"], "`jobcli run --name x --follow 'echo hi; exit 3'`"),
        (&["echo", "--follow"], "`jobcli run --follow echo`; or, to pass it to `echo`, `jobcli run -- echo --follow`"),
        (&["echo", "a b", "--name", "web", "--json"], "`jobcli run --name web --json echo 'a b'`"),
        (&["echo", "x", "--timeout=5m"], "`jobcli run --timeout=5m echo x`"),
    ] {
        let ran = env.run(["run"].iter().chain(typed));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{typed:?}: {ran}");
        assert!(ran.stderr.contains("options go before the command") && ran.stderr.contains(meant), "{typed:?}: {ran}");
        check_nothing_started(&env, &format!("{typed:?}"));
    }
    // The suggested line passes it on; and an option that `run` does not have can only be the command's own.
    for (words, expected) in [
        (&["--follow", "--", "echo", "--follow"][..], "--follow"),
        (&["--follow", "echo", "--json"], "--json"),
        (&["--follow", "echo", "--release"], "--release"),
        (&["--follow", "echo", "--timeout", "60"], "--timeout 60"),
        (&["--follow", "echo", "--", "--wait"], "-- --wait"),
        (&["--follow", "echo", "-w"], "-w"),
    ] {
        assert_eq!(env.ok(["run"].iter().chain(words)), expected, "{words:?}");
    }
}

#[test]
fn a_misspelt_command_is_reported_at_once() {
    let env = TestEnv::new();
    let ran = env.run(["run", "no-such-program-here"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran}");
    assert!(ran.stderr.contains("no program `no-such-program-here`"), "{ran}");
    assert_eq!(env.run(["run", "--wait", "no-such-program-here"]).code, Some(125));
    check_nothing_started(&env, "a word that is not a program");
    for line in ["no-such-program-here x", "no-such-program-here; echo", "./missing"] {
        let ran = env.run(["run", line]);
        assert_eq!((ran.code, ran.stdout.trim_end().len()), (Some(0), 36), "{line}: {ran}");
        assert!(ran.stderr.starts_with("warning: "), "{line}: {ran}");
        assert_eq!(env.run(["run", "--quiet", line]).stderr, "", "{line}");
    }
    std::fs::write(env.dir().join("tool"), "").unwrap();
    for line in [
        "cd",
        "true",
        "exit 3",
        "A=1 no-such-program-here",
        "here() { true; }; here",
        "'no such'",
        "$SHELL -c :",
        "{ true; }",
        "if true; then :; fi",
        "# a comment",
        "> file",
        "sh -c :",
    ] {
        let ran = env.run(["run", line]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{line}: {ran}");
    }
    let json = "{\"command\": \"no-such-program-here\"}";
    std::fs::write(env.dir().join("job.json"), json).unwrap();
    assert_eq!(env.run(["run", "--spec", "job.json"]).code, Some(1));
}

#[test]
fn signals_are_written_as_with_kill() {
    let env = TestEnv::new();
    // No process of it heeds SIGTERM, and half of them are in another session.
    let stubborn = "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$ > other; while :; do sleep 0.02; done' & \
        echo $$ > main; while :; do sleep 0.02; done";
    let id = env.submit(stubborn);
    let pid = |name: &str| {
        let path = env.dir().join(name);
        wait_for(name, || std::fs::read_to_string(&path).ok()?.trim().parse::<i32>().ok())
    };
    let (main, other) = (pid("main"), pid("other"));
    assert_eq!(env.ok(["kill", "-9", &id]), format!("{}: killed", &id[24..32]));
    assert!(!is_alive(main) && !is_alive(other));
    assert_eq!(env.job(&id)["signal"], "SIGKILL");

    let id = env.submit("trap 'exit 7' HUP; echo ready; while :; do sleep 0.02; done");
    wait_for("the trap", || (env.ok(["output", &id]) == "ready").then_some(()));
    assert_eq!(env.ok(["kill", "-HUP", &id]), format!("{}: sent SIGHUP", &id[24..32]));
    assert_eq!(env.run(["wait", &id]).code, Some(7));
    let id = env.submit("sleep 1000");
    assert_eq!(env.ok(["stop", &id]), format!("{}: killed", &id[24..32]));
    assert_eq!(env.run(["kill", "-99", &id]).code, Some(2));
}

#[test]
fn words_of_other_tools_work_or_name_what_does() {
    let env = TestEnv::new();
    let id = env.ok(["add", "--name", "web", "seq 20"]);
    env.ok(["wait", "web"]);
    assert_eq!(env.ok(["tail", "-3", "web"]), "18\n19\n20");
    assert_eq!(env.ok(["log", "--head", "1", "web"]), "1");
    assert_eq!(env.ok(["ps", "--quiet"]), id);
    for (word, hint) in [
        ("follow", "jobcli tail --follow"),
        ("suspend", "jobcli pause"),
        ("continue", "jobcli resume"),
        ("clean", "jobcli prune"),
        ("inspect", "jobcli show"),
    ] {
        let ran = env.run([word, "web"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{word}: {ran}");
        assert!(ran.stderr.contains(hint), "{word}: {ran}");
    }
    assert!(env.run(["lst"]).stderr.contains("list"), "a slip is answered as before");
    assert_eq!(env.ok(["remove", "web"]), format!("web ({}): removed", &id[24..32]));
}

#[test]
fn restart_runs_an_ended_job_again_unchanged() {
    let env = TestEnv::new();
    let options = ["--label", "a=b c", "--group", "g", "--timeout", "90s", "--grace", "1s", "--merge", "--name", "web"];
    let line = "echo \"it's $0\"; exec sleep 1000";
    let id = env.ok([&["run"], &options[..], &[line]].concat());
    let refused = env.run(["restart", "web"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(4), ""), "{refused}");
    env.ok(["kill", "web"]);
    let again = env.ok(["restart", "web"]);
    assert_ne!(again, id);
    let (before, after) = (env.job(&id), env.job(&again));
    for field in ["command", "cwd", "name", "group", "labels"] {
        assert_eq!(before[field], after[field], "{field}");
    }
    let shown = |id: &str| {
        let lines = env.ok(["show", id]);
        let kept = |line: &&str| ["timeout", "grace", "streams", "shell"].iter().any(|name| line.starts_with(name));
        lines.lines().filter(kept).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(shown(&id), shown(&again));
    assert_eq!(env.run(["restart", "nope"]).code, Some(3));
    env.ok(["kill", "web"]);
}

/// A shell that entered a directory through a link shows the link's path; so do jobs.
#[test]
fn a_directory_keeps_the_name_by_which_it_was_entered() {
    let env = TestEnv::new();
    let real = env.dir().canonicalize().unwrap().join("real");
    std::fs::create_dir_all(real.join("below")).unwrap();
    let link = env.dir().join("link");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let pwd = |options: &[&str], pwd: &std::path::Path| {
        let mut command = env.jobcli([&["run", "--follow"], options, &["echo $PWD; pwd -P"]].concat());
        command.current_dir(&real).env("PWD", pwd);
        crate::support::Ran::of(command).ok()
    };
    let both = |logical: &std::path::Path, physical: &std::path::Path| {
        format!("{}\n{}", logical.display(), physical.display())
    };
    assert_eq!(pwd(&[], &link), both(&link, &real));
    assert_eq!(pwd(&[], &real), both(&real, &real));
    assert_eq!(pwd(&[], env.dir()), both(&real, &real), "it is another directory");
    assert_eq!(pwd(&["--cwd", "below"], &link), both(&real.join("below"), &real.join("below")));
}

/// The shell expands none in `--cwd=~/x`, nor in JSON.
#[test]
fn a_tilde_is_the_home_directory() {
    let env = TestEnv::new();
    let home = env.dir().canonicalize().unwrap();
    std::fs::create_dir(home.join("x")).unwrap();
    std::fs::write(home.join("x/text"), "hi\n").unwrap();
    std::fs::write(
        home.join("x/job.json"),
        "{\"command\": \"pwd -P; cat\", \"cwd\": \"~/x\", \"stdin\": \"~/x/text\"}",
    )
    .unwrap();
    let expected = format!("{}\nhi", home.join("x").display());
    assert_eq!(env.ok(["run", "--follow", "--cwd=~/x", "--stdin=~/x/text", "pwd -P; cat"]), expected);
    assert_eq!(env.ok(["run", "--follow", "--spec=~/x/job.json"]), expected);
    assert_eq!(env.ok(["run", "--follow", "--cwd", "~", "pwd -P"]), home.display().to_string());
    assert_eq!(env.run(["run", "--cwd", "~nobody/x", "true"]).code, Some(1));
}
