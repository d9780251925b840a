//! Jobs on terminals.

use std::process::Command;

use nix::sys::signal::Signal;

use crate::background::{touch, until};
use crate::needs;
use crate::support::{JOBCLI, Ran, TestEnv, send, used, wait_for};

/// A terminal such as a person would use, played by tmux.
pub(crate) struct Screen<'e> {
    env: &'e TestEnv,
    socket: std::path::PathBuf,
}

impl<'e> Screen<'e> {
    /// Opens a terminal in which a shell line runs; `None` if there is no tmux.
    pub(crate) fn open(env: &'e TestEnv, name: &str, line: &str) -> Option<Self> {
        needs::program("tmux")?;
        let screen = Self { env, socket: env.dir().join(name) };
        screen.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "90", "-y", "30", line]);
        Some(screen)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.env.command("tmux");
        command.arg("-S").arg(&self.socket).args(arguments);
        command
    }

    pub(crate) fn tmux(&self, arguments: &[&str]) -> String {
        let ran = Ran::of(self.command(arguments));
        assert_eq!(ran.code, Some(0), "tmux {arguments:?}: {ran}");
        ran.stdout
    }

    pub(crate) fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    pub(crate) fn text(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    pub(crate) fn until_shown(&self, text: &str) {
        wait_for(&format!("`{text}` on the screen"), || self.text().contains(text).then_some(()));
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        let _ = self.command(&["kill-server"]).output();
    }
}

fn until_written(env: &TestEnv, id: &str, text: &str) {
    wait_for(&format!("`{text}` in the output"), || env.ok(["output", id]).contains(text).then_some(()));
}

#[test]
fn a_job_on_a_terminal_sees_one() {
    let env = TestEnv::new();
    let line = "test -t 0 && test -t 1 && test -t 2 && stty size && echo $TERM && test \"$(tty)\" = \"$(readlink /proc/self/fd/0)\" && echo err >&2";
    let id = env.ok(["run", "--tty=97x31", line]);
    assert_eq!(env.run(["wait", &id]).code, Some(0), "{}", env.ok(["output", &id]));
    // The raw output is as the terminal got it, with two characters for each line end and a single stream. By default,
    // it is read as it was meant.
    assert_eq!(env.ok(["output", "--stdout", "--raw", &id]), "31 97\r\nxterm-256color\r\nerr\r");
    assert_eq!(env.ok(["output", "--stdout", &id]), "31 97\nxterm-256color\nerr");
    assert_eq!(env.job(&id)["input"], "terminal");
    let id = env.ok(["run", "--tty", "--env", "TERM=vt100", "stty size; echo $TERM"]);
    env.ok(["wait", &id]);
    assert_eq!(env.ok(["output", &id]), "24 80\nvt100");
}

/// The terminal is that of a session of its own: the job's, and no other's.
#[test]
fn ctrl_c_interrupts_the_job_and_nothing_else() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--tty", "trap 'echo interrupted; exit 7' INT; echo ready; while :; do sleep 0.02; done"]);
    let other = env.ok(["run", "--tty", "echo ready; sleep 1000"]);
    until_written(&env, &id, "ready");
    until_written(&env, &other, "ready");
    env.ok(["send", "--key", "C-c", &id]);
    assert_eq!(env.run(["wait", &id]).code, Some(7));
    assert!(env.ok(["output", &id]).contains("interrupted"));
    assert_eq!(env.status(&other), "running");
    env.ok(["kill", &other]);
}

#[test]
fn a_password_is_read_and_not_shown() {
    let env = TestEnv::new();
    let id =
        env.ok(["run", "--tty", "bash", "-c", "read -rs -p 'Password: ' word; echo; echo \"${#word} characters\""]);
    until_written(&env, &id, "Password: ");
    env.ok(["send", &id, "secret"]);
    env.ok(["wait", &id]);
    assert_eq!(env.ok(["output", &id]), "Password: \n6 characters");
}

#[test]
fn a_prompt_is_shown_and_its_end_is_typed() {
    let Some(_) = needs::program("python3") else { return };
    let env = TestEnv::new();
    let id = env.ok(["run", "--tty", "--env", "PYTHON_BASIC_REPL=1", "--", "python3", "-iq"]);
    until_written(&env, &id, ">>> ");
    assert_eq!(env.ok(["send", "--wait=1m", &id, "6 * 7"]), "6 * 7\n42\n>>> ");
    until_written(&env, &id, "42\n>>> ");
    env.ok(["send", "--eof", &id]);
    assert_eq!(env.run(["wait", &id]).code, Some(0));
}

#[test]
fn much_input_reaches_a_slow_reader_without_loss() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--tty", "stty raw -echo; echo ready; head -c 200000 | cksum"]);
    until_written(&env, &id, "ready");
    let path = env.dir().join("big");
    let bytes: Vec<u8> = (0..200_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    std::fs::write(&path, &bytes).unwrap();
    let mut command = env.jobcli(["send", "--raw", "--timeout", "1m", &id, "-"]);
    command.stdin(std::fs::File::open(&path).unwrap());
    assert_eq!(Ran::of(command).code, Some(0));
    env.ok(["wait", &id]);
    let mut expected = env.command("sh");
    expected.args(["-c", "cksum < big"]);
    let expected = Ran::of(expected).stdout;
    assert!(env.ok(["output", &id]).contains(expected.trim_end()), "{}\n{expected}", env.ok(["output", &id]));
}

/// Even if none of it could be typed yet, because the job does not read.
#[test]
fn the_end_is_typed_after_all_that_was_sent_before() {
    let env = TestEnv::new();
    let id = env.ok([
        "run",
        "--tty",
        &format!("stty raw -echo; echo ready; {}; head -c $(cat count) | tail -c 1 | od -An -tu1", until("go")),
    ]);
    until_written(&env, &id, "ready");
    std::fs::write(env.dir().join("big"), vec![b'x'; 1024 * 1024]).unwrap();
    let mut command = env.jobcli(["send", "--raw", "--json", "--timeout", "100ms", &id, "-"]);
    command.stdin(std::fs::File::open(env.dir().join("big")).unwrap());
    let report: serde_json::Value = serde_json::from_str(&Ran::of(command).stdout).unwrap();
    assert_eq!(report["complete"], false, "more was taken than a terminal has room for: {report}");
    env.ok(["send", "--eof", &id]);
    let count = report["sent_bytes"].as_u64().unwrap() + 1;
    std::fs::write(env.dir().join("count"), count.to_string()).unwrap();
    touch(&env, "go");
    env.ok(["wait", &id]);
    assert!(env.ok(["output", &id]).trim_end().ends_with(" 4"), "{}", env.ok(["output", &id]));
}

/// The processes of a job on a terminal are stopped even if they ignore SIGTERM and SIGHUP.
#[test]
fn a_stop_ends_a_job_on_a_terminal() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--tty", "trap '' TERM HUP; echo ready; while :; do sleep 0.02; done"]);
    until_written(&env, &id, "ready");
    env.ok(["kill", "--grace", "50ms", &id]);
    let job = env.job(&id);
    assert_eq!((&job["status"], &job["signal"]), (&"killed".into(), &"SIGKILL".into()), "{job}");
}

/// Two at once, one of which detaches; sizes are followed; the job's code is passed on.
#[test]
fn several_terminals_attach_and_detach() {
    let env = TestEnv::new();
    let line = "trap 'stty size' WINCH; echo hello; while read -r line; do echo \"got $line\"; [ \"$line\" = bye ] && exit 5; done";
    let id = env.ok(["run", "--tty", "--name", "shell", "bash", "-c", line]);
    until_written(&env, &id, "hello");
    let attach = format!("'{JOBCLI}' attach shell; echo \"code $?\"; sleep 1000");
    let Some(one) = Screen::open(&env, "one", &attach) else { return };
    one.until_shown("hello");
    let two = Screen::open(&env, "two", &attach).unwrap();
    two.until_shown("hello");
    one.press(&["first", "Enter"]);
    two.until_shown("got first");
    two.press(&["second", "Enter"]);
    one.until_shown("got second");
    two.tmux(&["resize-window", "-x", "70", "-y", "20"]);
    // The shell handles the change of size between two lines that it reads.
    wait_for("the new size", || {
        one.press(&["Enter"]);
        one.text().contains("20 70").then_some(())
    });
    two.press(&["C-]"]);
    two.until_shown("code 0");
    assert!(two.text().contains("is still running"), "{}", two.text());
    assert_eq!(env.status("shell"), "running");
    one.press(&["bye", "Enter"]);
    one.until_shown("code 5");
    assert_eq!(env.run(["wait", "shell"]).code, Some(5));
}

#[test]
fn a_signal_detaches_and_leaves_the_terminal_as_it_was() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--tty", "--name", "shell", "echo ready; cat"]);
    until_written(&env, &id, "ready");
    for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP] {
        let attach = format!(
            "before=$(stty -g); sh -c 'echo $$ > pid; exec \"$0\" attach shell' '{JOBCLI}'; \
             [ \"$(stty -g)\" = \"$before\" ] && echo as it was; sleep 1000"
        );
        let Some(screen) = Screen::open(&env, signal.as_str(), &attach) else { return };
        screen.until_shown("ready");
        send(std::fs::read_to_string(env.dir().join("pid")).unwrap().trim().parse().unwrap(), signal);
        screen.until_shown("as it was");
    }
}

/// How often the main thread of a process has waited for something.
fn wake_ups(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.unwrap().trim().parse().unwrap()
}

/// A job that does not read for a while gets all of it later.
#[test]
fn pasted_text_is_not_lost() {
    let env = TestEnv::new();
    let count = 150_000;
    let line = format!("stty raw -echo; echo ready; {}; head -c {count} | cksum", until("go"));
    let id = env.ok(["run", "--tty", "--name", "shell", &line]);
    let attach = format!("'{JOBCLI}' attach shell; sleep 1000");
    let Some(screen) = Screen::open(&env, "one", &attach) else { return };
    screen.until_shown("ready");
    let pasted: String = ('a'..='z').cycle().take(count).collect();
    std::fs::write(env.dir().join("big"), pasted).unwrap();
    screen.tmux(&["load-buffer", &env.dir().join("big").to_string_lossy()]);
    screen.tmux(&["paste-buffer"]);
    // The text is offered for longer than the patience of a single send: the process wakes up each time that patience
    // runs out.
    let processes = env.processes();
    let is_attached = |line: &&String| line.contains(&format!(" {JOBCLI} attach")) && !line.contains("sleep");
    let attached = processes.iter().find(is_attached).unwrap_or_else(|| panic!("{processes:?}"));
    let attached = attached.split(' ').next().unwrap().parse().unwrap();
    wait_for("all of it to be read", || (used(attached).1 >= count as u64).then_some(()));
    let before = wake_ups(attached);
    wait_for("its patience to end, again and again", || (wake_ups(attached) >= before + 8).then_some(()));
    touch(&env, "go");
    env.ok(["wait", "--timeout", "1m", &id]);
    let mut expected = env.command("sh");
    expected.args(["-c", "cksum < big"]);
    let expected = Ran::of(expected).stdout;
    assert!(env.ok(["output", &id]).contains(expected.trim_end()), "{}\n{expected}", env.ok(["output", &id]));
}

/// Typed into from outside, seen by attached terminals, and drawn again for one that attaches later.
#[test]
fn a_full_screen_program_is_driven() {
    let Some(_) = needs::program("vim") else { return };
    let env = TestEnv::new();
    std::fs::write(env.dir().join("notes"), "first line\n").unwrap();
    let id = env.ok(["run", "--tty=90x30", "--name", "editor", "--", "vim", "-u", "NONE", "-n", "notes"]);
    let attach = format!("'{JOBCLI}' attach editor; echo \"code $?\"; sleep 1000");
    let Some(screen) = Screen::open(&env, "one", &attach) else { return };
    screen.until_shown("first line");
    screen.press(&["o", "second line", "Escape"]);
    screen.until_shown("second line");
    env.ok(["send", "--raw", "editor", "othird line"]);
    env.ok(["send", "--key", "Escape", "editor"]);
    screen.until_shown("third line");
    screen.press(&["C-]"]);
    screen.until_shown("code 0");
    let late = Screen::open(&env, "late", &attach).unwrap();
    late.until_shown("third line");
    env.ok(["send", "editor", ":wq"]);
    late.until_shown("code 0");
    assert_eq!(env.run(["wait", &id]).code, Some(0));
    assert_eq!(std::fs::read_to_string(env.dir().join("notes")).unwrap(), "first line\nsecond line\nthird line\n");
}

/// Text and keys are pressed in the order of the command line: the line in the help leaves insert mode, and writes.
#[test]
fn the_line_in_the_help_ends_a_real_vi() {
    let Some(_) = needs::program("vim") else { return };
    let env = TestEnv::new();
    std::fs::write(env.dir().join("notes"), "first line\n").unwrap();
    let id = env.ok(["run", "--tty=90x30", "--name", "editor", "--", "vim", "-u", "NONE", "-n", "notes"]);
    until_written(&env, &id, "first line");
    env.ok(["send", "--raw", "editor", "osecond line"]);
    env.ok(["send", "editor", "--key", "Escape", ":wq"]);
    assert_eq!(env.run(["wait", "--timeout", "1m", &id]).code, Some(0), "{}", env.ok(["output", &id]));
    assert_eq!(std::fs::read_to_string(env.dir().join("notes")).unwrap(), "first line\nsecond line\n");
}

#[test]
fn text_and_keys_are_typed_in_the_order_given() {
    let env = TestEnv::new();
    std::fs::write(env.dir().join("file"), "in").unwrap();
    let cases: [(&[&str], &str); 7] = [
        (&["--key", "C-a", "x"], "01 78 0d"),
        (&["x", "--key", "C-a"], "78 01"),
        (&["--key", "C-a", "x", "--key", "C-b", "-k", "C-d"], "01 78 02 04"),
        (&["--key=C-a", "--raw", "x"], "01 78"),
        (&["--key", "C-a", "-"], "01 69 6e 0d"),
        (&["--key", "C-a", "-", "--key", "C-b"], "01 69 6e 02"),
        (&["--input", r"x\t", "--key", "C-a"], "78 09 01"),
    ];
    for (words, bytes) in cases {
        let count = bytes.split(' ').count();
        let id = env.ok(["run", "--tty", &format!("stty raw -echo; echo ready; head -c {count} | od -An -tx1")]);
        until_written(&env, &id, "ready");
        let mut command = env.jobcli(["send", &id]);
        command.args(words).stdin(std::fs::File::open(env.dir().join("file")).unwrap());
        assert_eq!(Ran::of(command).ok(), format!("sent {count} bytes"), "{words:?}");
        env.ok(["wait", "--timeout", "1m", &id]);
        assert!(env.ok(["output", &id]).trim_end().ends_with(bytes), "{words:?}: {}", env.ok(["output", &id]));
    }
}

/// On a terminal, a submission prints the short id, to be typed, and the full one, to be copied; a program gets only
/// the full id.
#[test]
fn a_person_is_shown_the_short_id_too() {
    let env = TestEnv::new();
    let line =
        format!("'{JOBCLI}' run true; '{JOBCLI}' run -f 'printf open'; '{JOBCLI}' wait web; echo ended; sleep 1000");
    env.ok(["run", "--name", "web", "exit 3"]);
    let Some(screen) = Screen::open(&env, "one", &line) else { return };
    screen.until_shown("ended");
    let text = screen.text();
    let listed: Vec<serde_json::Value> = serde_json::from_str(&env.ok(["list", "--json"])).unwrap();
    let [open, submitted, web] = listed.as_slice() else { panic!("{listed:?}") };
    let told = |job: &serde_json::Value, name: &str| job[name].as_str().unwrap().to_owned();
    let ids = format!("{}  {}", told(submitted, "short_id"), told(submitted, "job_id"));
    assert_eq!(text.lines().next(), Some(ids.as_str()), "{text}");
    // The report of the end has a line of its own, and is printed once.
    assert!(text.contains(&format!("open\n{}: completed after ", told(open, "short_id"))), "{text}");
    assert!(text.contains(&format!("web ({}): failed with exit code 3 after ", told(web, "short_id"))), "{text}");
    assert!(!text.contains(&format!("{} failed", told(web, "short_id"))), "{text}");
}
