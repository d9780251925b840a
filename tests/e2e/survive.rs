//! What a job survives, and what it gets from its submitter.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::background::{Background, alive_with, bytes, touch, until};
use crate::support::{Ran, TestEnv, is_alive, send, wait_for};

/// A terminal with a shell in it, as a terminal emulator makes it.
struct Terminal {
    master: OwnedFd,
    shell: Child,
}

impl Terminal {
    fn open(env: &TestEnv) -> Self {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap();
        let open = || File::options().read(true).write(true).open(std::ffi::OsStr::from_bytes(path.as_bytes()));
        let (stdin, stdout, stderr) = (open().unwrap(), open().unwrap(), open().unwrap());
        // The leader of a session of its own, with the terminal as its controlling terminal.
        let mut shell = env.command("setsid");
        shell.args(["--ctty", "bash", "--norc", "--noprofile", "-i"]).env("TERM", "dumb");
        shell.stdin(stdin).stdout(stdout).stderr(stderr);
        Self { master, shell: shell.spawn().unwrap() }
    }

    fn type_line(&self, line: &str) {
        let line = format!("{line}\n");
        assert_eq!(rustix::io::write(&self.master, line.as_bytes()).unwrap(), line.len());
    }

    /// Closes the window: the kernel hangs up on the session, and the shell passes the signal on to what it started.
    fn close(self) {
        let Self { master, mut shell } = self;
        drop(master);
        wait_for("the shell to be gone", || shell.try_wait().unwrap());
    }
}

/// The id in a file that a shell redirects it into.
fn id_in(env: &TestEnv, file: &str) -> String {
    let path = env.dir().join(file);
    wait_for("an id in a file", || {
        let text = std::fs::read_to_string(&path).ok()?;
        let (line, _) = text.split_once('\n')?;
        Some(line.trim_start_matches("job ").to_owned())
    })
}

/// The part of an id that people see.
fn short(id: &str) -> &str {
    &id[24..32]
}

fn waited(env: &TestEnv, id: &str) -> Option<i32> {
    env.run(["wait", id]).code
}

#[test]
fn a_job_outlives_the_terminal_it_was_started_in() {
    let env = TestEnv::new();
    // With job control, jobcli has a process group of its own; without it, jobcli is in the group of the shell, to
    // which the kernel sends the signal.
    for mode in ["-m", "+m"] {
        let terminal = Terminal::open(&env);
        terminal.type_line(&format!("set {mode}"));
        terminal.type_line(&format!("\"$JOBCLI\" run '{}; exit 42' > id{mode}", until("go")));
        let id = id_in(&env, &format!("id{mode}"));
        terminal.close();
        assert_eq!(env.status(&id), "running");
        touch(&env, "go");
        assert_eq!(waited(&env, &id), Some(42), "set {mode}");
        assert_eq!(env.status(&id), "failed");
        std::fs::remove_file(env.dir().join("go")).unwrap();
    }
}

#[test]
fn a_job_that_is_followed_outlives_the_terminal() {
    let env = TestEnv::new();
    let terminal = Terminal::open(&env);
    terminal.type_line(&format!("\"$JOBCLI\" run --follow 'echo hi; {}; echo ho; exit 42' 2> id", until("go")));
    let id = id_in(&env, "id");
    terminal.close();
    touch(&env, "go");
    assert_eq!(waited(&env, &id), Some(42));
    assert_eq!(env.ok(["output", &id]), "hi\nho");
}

#[test]
fn a_job_outlives_a_submitter_that_is_killed_right_after_it_printed_the_id() {
    let env = TestEnv::new();
    for round in 0..5 {
        let go = format!("go{round}");
        let mut submitter = Background::spawn(env.jobcli(["run", "--wait", &format!("{}; exit 42", until(&go))]));
        let id = submitter.line().unwrap();
        send(submitter.pid(), Signal::SIGKILL);
        assert_eq!(submitter.end().signal(), Some(9));
        touch(&env, &go);
        assert_eq!(waited(&env, &id), Some(42));
    }
}

#[test]
fn a_hangup_of_the_callers_group_never_takes_the_supervisor_along() {
    let env = TestEnv::new();
    for round in 0..30 {
        let go = format!("go{round}");
        // A test suite that runs under nohup passes on that this signal is ignored.
        let mut caller = env.command("env");
        // The shell stays, so that the group does, whatever jobcli does at that moment.
        caller
            .args(["--default-signal=HUP", "sh", "-c", "\"$JOBCLI\" run \"$LINE\"; sleep 1000"])
            .env("LINE", format!("{}; exit 7", until(&go)));
        let mut caller = Background::spawn({
            caller.process_group(0);
            caller
        });
        let id = caller.line().unwrap();
        killpg(Pid::from_raw(caller.pid()), Signal::SIGHUP).unwrap();
        assert_eq!(caller.end().signal(), Some(1), "the signal reached the group");
        // A process that the shell was just starting may have missed it.
        let _ = killpg(Pid::from_raw(caller.pid()), Signal::SIGKILL);
        touch(&env, &go);
        assert_eq!(waited(&env, &id), Some(7), "round {round}");
        assert_eq!(env.status(&id), "failed");
    }
}

#[test]
fn a_job_whose_processes_were_all_killed_is_orphaned_and_affects_no_other() {
    let env = TestEnv::new();
    let id = env.submit("exec sleep 1000");
    let (supervisor, main) = (env.supervisor(&id), env.main_process(&id));
    let mut waiter = Background::spawn({
        let mut command = env.jobcli(["wait", &id]);
        command.stderr(Stdio::null());
        command
    });
    waiter.until_it_waits();
    // The supervisor is stopped, so that the waiter cannot take over in between.
    send(supervisor, Signal::SIGSTOP);
    send(main, Signal::SIGKILL);
    send(supervisor, Signal::SIGKILL);
    wait_for("both to be dead", || (!is_alive(supervisor) && !is_alive(main)).then_some(()));

    assert_eq!(env.status(&id), "orphaned");
    let job = env.job(&id);
    assert_eq!((&job["status"], &job["cause"]), (&"orphaned".into(), &"supervisor_lost".into()));
    let absent = |key: &str| job.get(key).is_none();
    assert!(absent("exit_code") && absent("signal") && absent("pid") && absent("supervised"), "{job}");
    assert_eq!(env.ok(["list", "--status", "running", "--json"]), "[]");
    assert_eq!(waiter.end().code(), Some(125));
    assert_eq!(waiter.line(), Some(format!("{} orphaned", short(&id))));
    let ran = env.run(["wait", &id]);
    assert_eq!(ran.code, Some(125), "{ran}");

    assert_eq!(env.run(["run", "--wait", "exit 3"]).code, Some(3));
    assert_eq!(env.status(&id), "orphaned");
}

#[test]
fn a_command_that_died_unseen_does_not_count_as_alive_while_unreaped() {
    let env = TestEnv::new();
    let id = env.submit("exec sleep 1000");
    let (supervisor, main) = (env.supervisor(&id), env.main_process(&id));
    // A stopped supervisor reaps no child: the command is a zombie when its supervisor is killed.
    send(supervisor, Signal::SIGSTOP);
    send(main, Signal::SIGKILL);
    wait_for("the command to be dead", || (!is_alive(main)).then_some(()));
    send(supervisor, Signal::SIGKILL);
    wait_for("the supervisor to be dead", || (!is_alive(supervisor)).then_some(()));
    assert_eq!(env.status(&id), "orphaned");
    assert_eq!(waited(&env, &id), Some(125));
}

/// The open descriptors of a process.
fn descriptors(pid: i32) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let described = entries.filter_map(|entry| {
        let link = std::fs::read_link(entry.path()).ok()?;
        Some((entry.file_name().into_string().unwrap(), link.to_string_lossy().into_owned()))
    });
    described.collect()
}

#[test]
fn a_planted_descriptor_is_open_neither_in_the_job_nor_in_its_supervisor() {
    let env = TestEnv::new();
    let mut caller = env.command("bash");
    let line = format!("ls /proc/self/fd; {}", until("go"));
    caller.args(["-c", "exec 37</etc/hostname; exec \"$JOBCLI\" run \"$LINE\""]).env("LINE", line);
    let id = Ran::of(caller).stdout.trim_end().to_owned();
    let open = descriptors(env.supervisor(&id));
    assert!(open.iter().all(|(_, link)| !link.contains("hostname")), "{open:?}");
    touch(&env, "go");
    assert_eq!(waited(&env, &id), Some(0));
    // The last is the directory that `ls` itself reads.
    assert_eq!(env.ok(["output", &id]), "0\n1\n2\n3");
}

#[test]
fn a_pipe_of_the_caller_is_at_its_end_while_the_job_runs() {
    let env = TestEnv::new();
    let mut caller = env.command("bash");
    // jobcli has the pipe only in descriptors that it does not know of, and as standard error.
    caller.args(["-c", "exec 37>&1 38>&1; exec \"$JOBCLI\" run 'sleep 1000' > id 2>&1"]);
    let reader = Background::spawn(caller);
    assert_eq!(reader.line(), None, "the output has not ended");
    let id = id_in(&env, "id");
    assert_eq!(env.status(&id), "running");

    // The same for the streams themselves, and for a submitter that a shell waits for: `id=$(jobcli run …)`.
    let mut caller = env.command("sh");
    caller.args(["-c", "id=$(\"$JOBCLI\" run 'sleep 1000' 2>&1); echo \"$id\""]);
    let reader = Background::spawn(caller);
    let id = reader.line().unwrap();
    assert_eq!(env.status(&id), "running");
}

#[test]
fn a_job_knows_its_id_and_that_of_the_job_that_submitted_it() {
    let env = TestEnv::new();
    let line = r#"echo "$JOBCORE_JOB_ID ${JOBCORE_PARENT_JOB_ID-none}"
        "$JOBCLI" run --follow 'echo "$JOBCORE_JOB_ID $JOBCORE_PARENT_JOB_ID"'"#;
    let outer = env.submit(line);
    assert_eq!(waited(&env, &outer), Some(0));
    let inner = env.ok(["output", "--stderr", &outer]);
    let inner = inner.lines().next().unwrap().strip_prefix("job ").unwrap();
    assert_eq!(env.ok(["output", "--stdout", &outer]), format!("{outer} none\n{inner} {outer}"));
}

/// The names and values of a job's variables if its caller has these variables.
fn environment_of_job(env: &TestEnv, options: &[&str], caller: &[(&str, &str)]) -> Vec<String> {
    let mut command = env.jobcli(["run"]);
    command.args(options).args(["--", "/usr/bin/env"]).envs(caller.iter().copied());
    let ran = Ran::of(command);
    assert_eq!(ran.code, Some(0), "{ran}");
    let id = ran.stdout.trim_end();
    assert_eq!(waited(env, id), Some(0));
    let text = env.ok(["output", "--stdout", id]);
    let mut variables: Vec<_> = text.lines().map(|line| line.replace(id, "ID")).collect();
    variables.sort_unstable();
    variables
}

#[test]
fn the_session_of_a_calling_agent_is_scrubbed_and_the_rest_is_passed_on() {
    let env = TestEnv::new();
    let caller =
        [("CLAUDECODE", "1"), ("CLAUDE_CODE_X", "2"), ("CODEX_HOME", "/c"), ("MINE", "a b"), ("PAGER", "less")];
    let variables = environment_of_job(&env, &[], &caller);
    let has = |variable: &str| variables.iter().any(|line| line == variable);
    assert!(!variables.iter().any(|line| line.starts_with("CLAUDE")), "{variables:?}");
    for variable in ["CODEX_HOME=/c", "MINE=a b", "JOBCORE_JOB_ID=ID"] {
        assert!(has(variable), "{variable} of {variables:?}");
    }
    // There is no person at a terminal, and variables of the caller win.
    for variable in ["PYTHONUNBUFFERED=1", "GIT_PAGER=cat", "GIT_TERMINAL_PROMPT=0", "PAGER=less"] {
        assert!(has(variable), "{variable} of {variables:?}");
    }
}

#[test]
fn variables_are_left_out_by_patterns_and_passed_on_by_a_list() {
    let env = TestEnv::new();
    let caller = [("MY_SECRET_1", "x"), ("GITHUB_TOKEN", "x"), ("CARGO_HOME", "/c"), ("RUST_LOG", "info")];
    let scrubbed = [&caller[..], &[("JOBCORE_SCRUB", "*SECRET*,*_TOKEN")]].concat();
    let with = |variables: &[String], name: &str| variables.iter().any(|line| line.starts_with(&format!("{name}=")));
    let variables = environment_of_job(&env, &[], &scrubbed);
    for (name, is_there) in [("MY_SECRET_1", false), ("GITHUB_TOKEN", false), ("CARGO_HOME", true), ("RUST_LOG", true)]
    {
        assert_eq!(with(&variables, name), is_there, "{name}: {variables:?}");
    }
    let only = [&caller[..], &[("JOBCORE_ENV_ONLY", "CARGO_*"), ("JOBCORE_KEEP", "RUST_LOG")]].concat();
    for (flags, variables) in [(&[][..], &only[..]), (&["--env-only", "?ARGO_HOME,RUST_*"], &caller)] {
        let variables = environment_of_job(&env, flags, variables);
        for name in ["CARGO_HOME", "RUST_LOG", "HOME", "PATH", "JOBCORE_STORE"] {
            assert!(with(&variables, name), "{name}: {variables:?}");
        }
        assert!(!with(&variables, "MY_SECRET_1") && !with(&variables, "GITHUB_TOKEN"), "{variables:?}");
    }
    let wrong = env.run(["run", "--env-only", "A=1", "true"]);
    assert!(wrong.code == Some(2) && wrong.stderr.contains("`A=1` matches no variable"), "{wrong}");
}

#[test]
fn a_job_from_a_terminal_gets_no_variables_for_unattended_runs() {
    let env = TestEnv::new();
    let terminal = Terminal::open(&env);
    terminal.type_line("\"$JOBCLI\" run -- /usr/bin/env > id");
    let id = id_in(&env, "id");
    assert_eq!(waited(&env, &id), Some(0));
    let variables = env.ok(["output", &id]);
    assert!(variables.contains(&format!("JOBCORE_JOB_ID={id}")), "{variables}");
    for name in ["PYTHONUNBUFFERED", "PAGER", "GIT_TERMINAL_PROMPT"] {
        assert!(!variables.contains(name), "{variables}");
    }
    terminal.close();
}

#[test]
fn an_environment_can_be_cleared_and_set() {
    let env = TestEnv::new();
    let set = environment_of_job(&env, &["--env-clear", "--env", "A=1", "-e", "B=x=y", "-e", "MINE"], &[("MINE", "2")]);
    assert_eq!(set, ["A=1", "B=x=y", "JOBCORE_JOB_ID=ID", "JOBCORE_SLOT=0", "MINE=2"]);
    let added = environment_of_job(&env, &["--env", "MINE=3", "--env", "EMPTY="], &[("MINE", "2")]);
    let has = |variable: &str| added.iter().any(|line| line == variable);
    assert!(has("MINE=3") && has("EMPTY=") && !has("MINE=2"), "{added:?}");
}

#[test]
fn values_of_variables_are_shown_nowhere_and_not_kept() {
    let env = TestEnv::new();
    let secret = "correct-horse-battery-staple";
    let mut command = env.jobcli(["run", "--env", "TOKEN", &until("go")]);
    command.env("TOKEN", secret).env("OTHER", secret);
    let id = Ran::of(command).stdout.trim_end().to_owned();
    let main = env.main_process(&id);
    let environment = String::from_utf8(std::fs::read(format!("/proc/{main}/environ")).unwrap()).unwrap();
    assert!(environment.contains(&format!("TOKEN={secret}")), "the job has it");
    let supervisor = env.supervisor(&id);
    let of_supervisor = std::fs::read_to_string(format!("/proc/{supervisor}/environ")).unwrap();
    assert_eq!(
        of_supervisor,
        concat!("GLIBC_TUNABLES=glibc.malloc.tcache_count=0\0JOBCORE_VERSION=", env!("CARGO_PKG_VERSION"), "\0"),
        "its supervisor has no variables of the caller"
    );
    let tells = || {
        for arguments in [
            vec!["list", "--json"],
            vec!["list"],
            vec!["show", "--json", &id],
            vec!["show", &id],
            vec!["status", "--json", &id],
        ] {
            let ran = env.run(&arguments);
            assert!(ran.stdout.contains(&id) || ran.stdout.contains(short(&id)), "{ran}");
            assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{ran}");
        }
    };
    tells();
    touch(&env, "go");
    assert_eq!(waited(&env, &id), Some(0));
    tells();
    let mut search = env.command("grep");
    search.args(["-r", "-l", "--", secret]).arg(env.store());
    // Pipes that still exist would be waited for.
    wait_for("the supervisor to be gone", || (!is_alive(supervisor)).then_some(()));
    let found = Ran::of(search);
    assert_eq!(
        (found.code, found.stdout.as_str()),
        (Some(1), ""),
        "no file of the store may still contain it: {found}"
    );
}

#[test]
fn a_job_that_a_job_submitted_outlives_it() {
    let env = TestEnv::new();
    let inner_line = format!("{}; exit 8", until("go"));
    for ends_by_itself in [false, true] {
        let last = if ends_by_itself { "exit 3" } else { "sleep 1000" };
        let mut command = env.jobcli(["run", &format!("\"$JOBCLI\" run \"$INNER\"; {last}")]);
        let marker = format!("MARK={ends_by_itself}-{}", env.dir().display());
        command.env("INNER", &inner_line).env("MARK", marker.strip_prefix("MARK=").unwrap());
        let outer = Ran::of(command).stdout.trim_end().to_owned();
        let inner = wait_for("the inner id", || Some(env.ok(["output", &outer])).filter(|id| id.len() == 36));
        if ends_by_itself {
            assert_eq!(waited(&env, &outer), Some(3));
            assert!(env.job(&outer).get("stragglers").is_none(), "another job is not a straggler");
        } else {
            let ran = env.run(["kill", "--grace", "200ms", &outer]);
            assert!(ran.stdout.ends_with(": killed\n"), "{ran}");
        }
        assert_eq!(env.status(&inner), "running");
        assert!(is_alive(env.supervisor(&inner)) && is_alive(env.main_process(&inner)));
        let left = alive_with(&marker);
        assert!(left.iter().all(|process| !process.contains("1000")), "{left:?}");
        touch(&env, "go");
        assert_eq!(waited(&env, &inner), Some(8));
        std::fs::remove_file(env.dir().join("go")).unwrap();
    }
}

#[test]
fn a_command_sees_the_umask_directory_niceness_and_limits_of_the_submitter() {
    let env = TestEnv::new();
    std::fs::create_dir(env.dir().join("below")).unwrap();
    let line = "umask; pwd; nice; ulimit -S -n; ulimit -S -f; ulimit -S -c; head -c 100000 /dev/zero";
    let mut caller = env.command("bash");
    // With a limit of 32 KiB for each file, which applies to the command and not to its supervisor.
    let text =
        "cd below; umask 027; ulimit -n 77; ulimit -S -f 32; ulimit -S -c 0; exec nice -n 5 \"$JOBCLI\" run \"$LINE\"";
    caller.args(["-c", text]).env("LINE", line);
    let ran = Ran::of(caller);
    let id = ran.stdout.trim_end();
    assert_eq!((ran.code, waited(&env, id)), (Some(0), Some(0)), "{ran}");
    let output = bytes(env.jobcli(["output", "--stdout", id]));
    let zeros = output.iter().filter(|byte| **byte == 0).count();
    assert_eq!(zeros, 100_000);
    let text = String::from_utf8(output[..output.len() - zeros].to_vec()).unwrap();
    let own = nice_of_this_process() + 5;
    let below = env.dir().join("below");
    assert_eq!(text, format!("0027\n{}\n{}\n77\n32\n0\n", below.display(), own.min(19)));
}

fn nice_of_this_process() -> i32 {
    String::from_utf8(bytes(Command::new("nice"))).unwrap().trim().parse().unwrap()
}

#[test]
fn a_job_is_stopped_when_its_time_is_up() {
    let env = TestEnv::new();
    let ran = env.run(["run", "--wait", "--timeout", "300ms", "sleep", "1000"]);
    assert_eq!(ran.code, Some(128 + 15), "{ran}");
    let job = env.job(ran.stdout.lines().next().unwrap());
    assert_eq!(
        (&job["status"], &job["cause"], &job["signal"]),
        (&"timed_out".into(), &"timed_out".into(), &"SIGTERM".into())
    );
    assert!(job["duration_ms"].as_u64().unwrap() >= 300, "{job}");

    // A job that does not end when asked, with a child of its own.
    let line = "trap '' TERM; sleep 1000 & sleep 1000; sleep 1000";
    let ran = env.run(["run", "--wait", "--timeout", "300ms", "--grace", "200ms", line]);
    assert_eq!(ran.code, Some(128 + 9), "{ran}");
    assert_eq!(env.status(ran.stdout.lines().next().unwrap()), "timed_out");

    // A job that uses its grace period: it ended with a code, because its time was up.
    let line = "trap 'exit 6' TERM; sleep 1000 & wait";
    let ran = env.run(["run", "--wait", "--timeout", "300ms", line]);
    assert_eq!(ran.code, Some(6), "{ran}");
    assert_eq!(env.status(ran.stdout.lines().next().unwrap()), "timed_out");
}

#[test]
fn run_and_wait_pass_the_code_of_the_job() {
    let env = TestEnv::new();
    for (line, code) in [("true", 0), ("exit 7", 7), ("exit 255", 255), ("kill -KILL $$", 137), ("kill -USR1 $$", 138)]
    {
        let ran = env.run(["run", "--wait", line]);
        assert_eq!(ran.code, Some(code), "{line}: {ran}");
        let id = ran.stdout.lines().next().unwrap();
        assert_eq!(waited(&env, id), Some(code), "{line}");
        assert_eq!(waited(&env, short(id)), Some(code), "{line}, by its short id");
        assert_eq!(env.run(["run", "--follow", line]).code, Some(code), "{line}");
    }
    for unknown in ["01900000-0000-7000-8000-000000000000", "ffffffff", "no such thing"] {
        let ran = env.run(["wait", unknown]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(125), ""), "{ran}");
    }
}

#[test]
fn a_wait_has_a_deadline_of_its_own() {
    let env = TestEnv::new();
    let id = env.submit("sleep 1000");
    let ran = env.run(["wait", "--timeout", "50ms", &id]);
    assert_eq!(ran.code, Some(124), "{ran}");
    assert_eq!(env.status(&id), "running");
}

#[test]
fn all_or_any_of_several_jobs_are_waited_for() {
    let env = TestEnv::new();
    let fine = env.submit("exit 0");
    let seven = env.submit(&format!("{}; exit 7", until("go")));
    let six = env.submit("exit 6");
    assert_eq!(env.run(["wait", "--any", &seven, &fine]).code, Some(0));
    assert_eq!(env.run(["wait", "--any", &seven, &six]).code, Some(6));
    assert_eq!(env.status(&seven), "running");
    let mut any = Background::spawn(env.jobcli(["wait", "--any", &seven, &env.submit("sleep 1000")]));
    let mut all = Background::spawn(env.jobcli(["wait", &fine, &seven, &six]));
    any.until_it_waits();
    all.until_it_waits();
    touch(&env, "go");
    assert_eq!(any.end().code(), Some(7));
    assert_eq!(all.end().code(), Some(7), "the first in the order given that is not 0");
    assert_eq!(env.run(["wait", &fine, &six, &seven]).code, Some(6));
    assert_eq!(env.run(["wait", &fine, &fine]).code, Some(0));
}

#[test]
fn control_c_ends_the_waiting_and_not_the_job() {
    let env = TestEnv::new();
    let id = env.submit(&until("go"));
    for arguments in [vec!["wait", &id], vec!["tail", "--follow", &id], vec!["output", "--follow", &id]] {
        let mut command = env.jobcli(&arguments);
        command.stderr(Stdio::null());
        let mut waiter = Background::spawn(command);
        let path = format!("/proc/{}/status", waiter.pid());
        wait_for("the signal to be handled", || {
            let status = std::fs::read_to_string(&path).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
            let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
            (caught & (1 << (Signal::SIGINT as u64 - 1)) != 0).then_some(())
        });
        send(waiter.pid(), Signal::SIGINT);
        assert_eq!(waiter.end().code(), Some(130), "{arguments:?}");
    }
    assert_eq!(env.status(&id), "running");
    touch(&env, "go");
    assert_eq!(waited(&env, &id), Some(0));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let env = TestEnv::new();
    let mut command = env.command("bash");
    command.args(["-c", "\"$JOBCLI\" run --follow yes 2> id | head -n 1; echo \"${PIPESTATUS[0]}\""]);
    let ran = Ran::of(command);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("y\n0\n", ""), "{ran}");
    let said = std::fs::read_to_string(env.dir().join("id")).unwrap();
    let id = said.trim_end().strip_prefix("job ").unwrap();
    assert_eq!(id.len(), 36, "something else was printed: {said}");
    assert_eq!(env.status(id), "running");
    assert_eq!(env.ok(["kill", "--grace", "0s", id]), format!("{}: killed", short(id)));
    for arguments in ["output", "tail -n 1000000", "list --json", "show"] {
        let id = if arguments.starts_with("list") { "" } else { id };
        let mut command = env.command("bash");
        command.args(["-c", &format!("\"$JOBCLI\" {arguments} {id} 2> /dev/null | true; echo \"${{PIPESTATUS[0]}}\"")]);
        assert_eq!(Ran::of(command).stdout, "0\n", "{arguments}");
    }
}

/// After a store has been deleted, no process is left that waits for it to come back.
#[test]
fn a_supervisor_ends_with_its_job_if_the_store_is_gone() {
    let env = TestEnv::new();
    let id = env.submit("sleep 1000");
    let (main, supervisor) = (env.main_process(&id), env.supervisor(&id));
    std::fs::remove_dir_all(env.store()).unwrap();
    send(main, Signal::SIGKILL);
    wait_for("the supervisor to be gone", || (!is_alive(supervisor)).then_some(()));
    assert!(!env.store().exists(), "the store was made again");
}
