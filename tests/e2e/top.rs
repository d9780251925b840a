//! The full-screen view, on a terminal such as a person would use.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jobcore::clock::{SystemRandom, Timestamp};
use jobcore::record::{Ended, Start, Submission, World};
use jobcore::store::{JobClaim, JobStore};
use jobcore::{Cause, FileStore, JobId, JobSpec, Outcome};
use nix::sys::signal::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::background::{touch, until};
use crate::support::{JOBCLI, TestEnv, send, used, wait_for, wait_until_idle};
use crate::terminal::Screen;

/// Opens a terminal with a shell in which the view is shown, and waits until it has read the jobs.
fn open<'e>(env: &'e TestEnv, options: &str) -> Option<Screen<'e>> {
    let line = "PS1='shell> ' TERM=xterm-256color bash --norc --noprofile -i";
    let screen = Screen::open(env, "terminal", line)?;
    screen.until_shown("shell>");
    screen.press(&["stty -g > before; $JOBCLI top ", options, "; stty -g > after", "Enter"]);
    screen.until_shown("running first");
    screen.until_shown(" slots ");
    Some(screen)
}

fn view(env: &TestEnv) -> i32 {
    let is_view = |line: &String| line.contains(" top ") && !line.contains("tmux") && !line.contains("bash");
    let find = || env.processes().into_iter().find(is_view)?.split(' ').next()?.parse().ok();
    wait_for("the view", find)
}

/// Leaves the view, and checks that the terminal is as it was.
fn leave(env: &TestEnv, screen: &Screen<'_>) {
    screen.press(&["q"]);
    is_as_before(env, screen);
}

fn is_as_before(env: &TestEnv, screen: &Screen<'_>) {
    let read = |name: &str| std::fs::read_to_string(env.dir().join(name)).ok().filter(|text| text.ends_with('\n'));
    assert_eq!(wait_for("the end of the view", || read("after")), read("before").unwrap());
    screen.until_shown("shell>");
    assert!(!screen.text().contains("running first"), "{}", screen.text());
    let modes = screen.tmux(&["display", "-p", "#{alternate_on}#{mouse_any_flag}#{cursor_flag}"]);
    assert_eq!(modes.trim(), "001");
}

#[test]
fn jobs_are_filtered_and_stopped_and_their_ends_are_seen() {
    let env = TestEnv::new();
    let web = env.ok(["run", "--name", "web", "echo listening; sleep 1000"]);
    let build = env.ok(["run", "--name", "build", &format!("echo compiling; {}; exit 3", until("done"))]);
    let Some(screen) = open(&env, "") else { return };
    screen.until_shown("2 running");
    screen.until_shown("compiling");
    touch(&env, "done");
    screen.until_shown("failed with exit code 3");
    screen.until_shown("1 failed");
    env.ok(["run", "--name", "later", "true"]);
    screen.until_shown("completed");
    screen.press(&["/"]);
    screen.press(&["status:run"]);
    screen.until_shown("filter: status:run");
    screen.until_shown("1 of 1");
    screen.press(&["Enter", "x"]);
    screen.until_shown("Stop web (");
    screen.press(&["n"]);
    screen.until_shown("cancelled");
    assert_eq!(env.status(&web), "running");
    screen.press(&["x"]);
    screen.until_shown("(y/n)");
    screen.press(&["y"]);
    screen.until_shown("): killed");
    screen.until_shown("no job matches");
    screen.press(&["Escape"]);
    screen.until_shown("1 of 3");
    leave(&env, &screen);
    assert_eq!(env.status(&web) + &env.status(&build), "killedfailed");
}

#[test]
fn it_is_resized_stopped_and_continued_and_leaves_the_terminal_as_it_was() {
    let env = TestEnv::new();
    env.ok(["run", "--name", "web", "echo listening; sleep 1000"]);
    let Some(screen) = open(&env, "") else { return };
    screen.until_shown("listening");
    screen.tmux(&["resize-window", "-x", "200", "-y", "50"]);
    screen.until_shown("MEMORY");
    screen.tmux(&["resize-window", "-x", "20", "-y", "5"]);
    screen.tmux(&["resize-window", "-x", "90", "-y", "30"]);
    screen.until_shown("quit");
    screen.press(&["C-z"]);
    screen.until_shown("Stopped");
    assert!(!screen.text().contains("running first"));
    screen.press(&["fg", "Enter"]);
    screen.until_shown("running first");
    screen.until_shown("listening");
    // Stopped by a signal that it cannot handle.
    send(view(&env), Signal::SIGSTOP);
    screen.until_shown("Stopped");
    screen.press(&["fg", "Enter"]);
    screen.until_shown("quit");
    leave(&env, &screen);
}

#[test]
fn a_signal_that_ends_it_leaves_the_terminal_as_it_was() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let env = TestEnv::new();
        let id = env.ok(["run", "sleep 1000"]);
        let Some(screen) = open(&env, "") else { return };
        send(view(&env), signal);
        is_as_before(&env, &screen);
        assert_eq!(env.status(&id), "running");
    }
}

#[test]
fn the_terminal_is_lent_to_a_job_or_a_pager() {
    let env = TestEnv::new();
    let ask = env.ok([
        "run",
        "--name",
        "ask",
        "--tty",
        "read -p 'Overwrite? ' a; read -p 'Sure? ' b; echo \"$a $b\"; sleep 1000",
    ]);
    let Some(screen) = open(&env, "") else { return };
    screen.until_shown("waiting for input");
    screen.press(&["a"]);
    screen.until_shown("connected to job");
    screen.press(&["yes", "Enter"]);
    screen.until_shown("Sure?");
    screen.press(&["C-]"]);
    screen.until_shown("running first");
    // The next key is for the view.
    screen.press(&["?"]);
    screen.until_shown("Connect this terminal");
    // Escape together with the next key would be a different key.
    screen.press(&["q"]);
    screen.until_shown("running first");
    screen.press(&["i"]);
    screen.until_shown("send to ask");
    screen.press(&["certainly", "Enter"]);
    screen.until_shown("yes certainly");
    screen.press(&["v"]);
    screen.until_shown("(END)");
    screen.press(&["q"]);
    screen.until_shown("running first");
    leave(&env, &screen);
    assert_eq!(env.status(&ask), "running");
}

/// The memory it takes does not depend on the length of a line.
#[test]
fn a_line_of_megabytes_is_shown_in_little_memory() {
    let env = TestEnv::new();
    let line = "echo first; head -c 16000000 /dev/zero | tr '\\0' x; echo; echo last; sleep 1000";
    let id = env.ok(["run", "--output-limit", "0", line]);
    wait_for("the output", || (env.job(&id)["output_bytes"] == 16_000_012).then_some(()));
    let Some(screen) = open(&env, "") else { return };
    screen.until_shown("last");
    screen.press(&["Tab", "PPage", "PPage", "PPage"]);
    screen.until_shown("xxxxxxxxxxxxxxxxxxxx");
    screen.press(&["g"]);
    screen.until_shown("first");
    screen.press(&["/"]);
    screen.press(&["last", "Enter", "n", "G"]);
    screen.until_shown("last");
    let (peak, _) = used(view(&env));
    assert!(peak < 100 << 20, "{peak}");
    leave(&env, &screen);
}

#[test]
fn without_a_terminal_it_says_what_to_use() {
    let env = TestEnv::new();
    let ran = env.run(["top"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    assert!(ran.stderr.contains("no terminal") && ran.stderr.contains("jobcli list"), "{ran}");
    let ran = env.run(["view", "--here"]);
    assert_eq!(ran.code, Some(2), "{ran}");
}

/// How many jobs are on record, how many run according to their records, and how many really run and are in sight.
const ON_RECORD: u32 = 100_000;
const HELD: u32 = 960;
const REAL: u32 = 40;

/// Measures the cost of very many jobs; run it with `--ignored --nocapture`. `JOBCORE_TEST_JOBCLI` names the program,
/// for example that of a release.
#[test]
#[ignore = "it takes minutes, and measures"]
#[expect(clippy::print_stderr, reason = "printed for measurements")]
fn the_cost_with_a_hundred_thousand_jobs() {
    let memory = tempfile::Builder::new().prefix("jobcore-test-").tempdir_in("/dev/shm").unwrap();
    let env = TestEnv::without_store().with_store(memory.path().join("store"));
    let store = Arc::new(FileStore::open(env.store()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let begun = Instant::now();
    let claims = runtime.block_on(fill(&store));
    for number in 0..REAL {
        env.ok(["run", "--name", &format!("real-{number}"), "while :; do echo working; sleep 1; done"]);
    }
    eprintln!("{} jobs made in {:?}", ON_RECORD + HELD + REAL, begun.elapsed());
    let program = std::env::var("JOBCORE_TEST_JOBCLI").unwrap_or_else(|_| JOBCLI.to_owned());
    let mut played = Played::start(&env, &program, 300, 80);
    eprintln!("first picture with jobs: {:?}", played.until("101000"));
    played.settle();
    for (what, keys) in [("down", "j"), ("page down", "\x1b[6~"), ("last", "G"), ("page up", "\x1b[5~"), ("first", "g")]
    {
        let mut times: Vec<_> = (0..50).map(|_| played.press(keys)).collect();
        times.sort();
        eprintln!("{what}: {:?} median, {:?} at most until the picture is there", times[25], times[49]);
    }
    // Only the changed part of a line is drawn.
    let found = played.type_until("/target-500", " of ");
    wait_until_idle(played.pid());
    eprintln!("a filter by text over all jobs: {found:?} until the first are there");
    played.press("\x1b");
    played.settle();
    wait_until_idle(played.pid());
    played.settle();
    // The job that was found stays selected, far from all running ones.
    played.rest("with nothing that runs in sight");
    played.press("g");
    played.rest(&format!("with {REAL} running jobs in sight"));
    let (peak, _) = used(played.pid());
    eprintln!("memory: {} KiB at most", peak / 1024);
    played.end();
    drop(claims);
    env.ok(["kill", "--status", "running", "--grace", "0s"]);
}

/// Puts jobs on record: ended ones, and ones that this process holds.
async fn fill(store: &FileStore) -> Vec<Box<dyn JobClaim>> {
    let unlimited = &mut |settings: &mut jobcore::store::StoreSettings| {
        settings.max_running = 0;
        (settings.keep_days, settings.keep_jobs, settings.keep_bytes) = (0, 0, 0);
    };
    store.change_settings(unlimited).await.unwrap();
    let namespace =
        |kind: &str| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(format!("/proc/self/ns/{kind}")).unwrap());
    let mut world = World::default();
    (world.pid_namespace, world.mount_namespace) = (Some(namespace("pid")), Some(namespace("mnt")));
    world.sandboxed = true;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let start_time: u64 = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap();
    let holder = serde_json::json!({
        "boot_id": std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim(),
        "pid_namespace": namespace("pid"),
        "pid": std::process::id(),
        "start_time": start_time,
    });
    let holder: jobcore::record::ProcessId = serde_json::from_value(holder).unwrap();
    let mut claims = Vec::new();
    for number in 0..ON_RECORD + HELD {
        let at = Timestamp::now() - Duration::from_secs(20) * (ON_RECORD + HELD - number);
        let id = JobId::mint(at, &SystemRandom).unwrap();
        let spec = JobSpec::command(["make", "-j4", &format!("target-{number}")]).cwd("/").env("PATH", "/bin");
        let spec = spec.name(format!("job-{number}").parse().unwrap()).build().unwrap();
        store.create(Submission::new(id, at, spec, "/bin/true".into(), world.clone())).await.unwrap();
        let mut claim = store.next_due().await.unwrap().expect("it is due");
        claim.start(&Start::new(holder.clone(), false, at)).await.unwrap();
        if number < ON_RECORD {
            let mut outcome = Outcome::new(Cause::Exited, at);
            outcome.exit_code = Some(i32::from(number.is_multiple_of(100)));
            claim.finish(&Ended::new(Some(at), outcome)).await.unwrap();
        } else {
            claims.push(claim);
        }
    }
    claims
}

/// The view on a terminal that this program plays.
struct Played {
    child: std::process::Child,
    terminal: File,
    _other_end: OwnedFd,
    last: String,
    pictures: u32,
}

impl Played {
    fn start(env: &TestEnv, program: &str, columns: u16, rows: u16) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let path = ptsname(&ours, Vec::new()).unwrap();
        let theirs = File::options().read(true).write(true).open(path.to_str().unwrap()).unwrap();
        tcsetwinsize(&theirs, Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let end = || Stdio::from(theirs.try_clone().unwrap());
        let mut command: Command = env.command(program);
        command.arg("top").env("TERM", "xterm-256color").stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().unwrap();
        rustix::io::ioctl_fionbio(&ours, true).unwrap();
        Self { child, terminal: File::from(ours), _other_end: theirs.into(), last: String::new(), pictures: 0 }
    }

    fn pid(&self) -> i32 {
        self.child.id().try_into().unwrap()
    }

    /// Reads what is drawn, waiting a moment for it.
    fn read(&mut self) -> bool {
        let mut wanted = [rustix::event::PollFd::new(&self.terminal, rustix::event::PollFlags::IN)];
        let moment = rustix::event::Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        if rustix::event::poll(&mut wanted, Some(&moment)).unwrap() == 0 {
            return false;
        }
        let mut bytes = vec![0; 1 << 20];
        let count = self.terminal.read(&mut bytes).unwrap_or(0);
        let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
        self.pictures += u32::try_from(text.matches("\x1b[?2026l").count()).unwrap();
        self.last.push_str(&text);
        count > 0
    }

    fn until(&mut self, what: &str) -> Duration {
        let begun = Instant::now();
        self.last.clear();
        self.until_drawn(what);
        begun.elapsed()
    }

    fn until_drawn(&mut self, what: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.last.contains(what) {
            assert!(Instant::now() < deadline, "{what}");
            self.read();
        }
    }

    /// Waits until nothing is drawn for a moment.
    fn settle(&mut self) {
        while self.read() {}
    }

    /// Presses a key, and returns how long it takes until the screen is drawn.
    fn press(&mut self, keys: &str) -> Duration {
        self.settle();
        let (begun, before) = (Instant::now(), self.pictures);
        self.terminal.write_all(keys.as_bytes()).unwrap();
        while self.pictures == before {
            self.read();
            assert!(begun.elapsed() < Duration::from_secs(60));
        }
        begun.elapsed()
    }

    fn type_until(&mut self, keys: &str, what: &str) -> Duration {
        self.settle();
        self.last.clear();
        let begun = Instant::now();
        self.terminal.write_all(keys.as_bytes()).unwrap();
        self.until_drawn(what);
        begun.elapsed()
    }

    /// Prints what the view costs while nothing is typed.
    #[expect(clippy::print_stderr, reason = "printed for measurements")]
    fn rest(&mut self, how: &str) {
        const TIME: Duration = Duration::from_secs(15);
        wait_until_idle(self.pid());
        self.settle();
        let (cpu, pictures, begun) = (self.cpu(), self.pictures, Instant::now());
        while begun.elapsed() < TIME {
            self.read();
        }
        let (cpu, pictures) = (self.cpu() - cpu, self.pictures - pictures);
        eprintln!("at rest {how}: {cpu:?} of CPU and {pictures} pictures in {TIME:?}");
    }

    /// Returns the CPU time that it has used.
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
    }

    fn end(mut self) {
        self.terminal.write_all(b"q").unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.child.try_wait().unwrap().is_none() && Instant::now() < deadline {
            self.read();
        }
        assert!(self.child.wait().unwrap().success());
    }
}
