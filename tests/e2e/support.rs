//! A clean environment for one test, and ways to wait for what the test is about.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

/// How long anything may take before a test gives up on it: far more than it needs on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The program under test.
pub(crate) const JOBCLI: &str = env!("CARGO_BIN_EXE_jobcli-under-test");

/// A store and a home of its own. When it is dropped, all jobs are stopped, and no process may be left.
pub(crate) struct TestEnv {
    directory: tempfile::TempDir,
    store: PathBuf,
}

impl TestEnv {
    pub(crate) fn new() -> Self {
        let env = Self::without_store();
        // Commands that only look make no store, and report a named one that does not exist as mistyped.
        jobcore::FileStore::open(&env.store).unwrap();
        env
    }

    /// A home in which there is no store yet.
    pub(crate) fn without_store() -> Self {
        let directory = tempfile::Builder::new().prefix("jobcore-test-").tempdir().unwrap();
        let store = directory.path().join("store");
        Self { directory, store }
    }

    /// Uses a store elsewhere, for example on another file system.
    pub(crate) fn with_store(mut self, store: impl Into<PathBuf>) -> Self {
        self.store = store.into();
        self
    }

    /// A directory to work in, which is also the home and the current directory of all commands.
    pub(crate) fn dir(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn store(&self) -> &Path {
        &self.store
    }

    /// Any program, in the clean environment.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir())
            .env("LC_ALL", "C.UTF-8")
            .env("JOBCORE_STORE", &self.store)
            .env("JOBCLI", JOBCLI)
            .current_dir(self.dir())
            .stdin(Stdio::null());
        command
    }

    /// jobcli with these arguments, not yet run.
    pub(crate) fn jobcli<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command(JOBCLI);
        command.args(arguments);
        command
    }

    /// Runs jobcli to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        Ran::of(self.jobcli(arguments))
    }

    /// Runs jobcli, which must succeed, and returns what it printed, without the last line break.
    pub(crate) fn ok<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        self.run(arguments).ok()
    }

    /// Submits a shell line and returns the id.
    pub(crate) fn submit(&self, line: &str) -> String {
        self.ok(["run", line])
    }

    /// The status of a job: one word.
    pub(crate) fn status(&self, id: &str) -> String {
        self.ok(["status", id])
    }

    /// A job in the shape of `--json`.
    pub(crate) fn job(&self, id: &str) -> serde_json::Value {
        serde_json::from_str(&self.ok(["show", "--json", id])).unwrap()
    }

    /// The directory in which a job is kept.
    pub(crate) fn job_dir(&self, id: &str) -> PathBuf {
        jobcore::store::job_directory(&self.store, id.parse().unwrap())
    }

    /// The process id of a job's supervisor, once it is on record.
    pub(crate) fn supervisor(&self, id: &str) -> i32 {
        let start = wait_for("the start record", || self.records(id).get("start"));
        start["holder"]["pid"].as_i64().unwrap().try_into().unwrap()
    }

    /// Kills the supervisor of a job, and looks at the job until it has another one. If the job ends before that, its
    /// last output may be lost.
    pub(crate) fn replace_supervisor(&self, id: &str) {
        // Without a command there is nothing to take over.
        self.main_process(id);
        let before = self.supervisor(id);
        send(before, Signal::SIGKILL);
        wait_for("another supervisor", || {
            self.status(id);
            (self.supervisor(id) != before).then_some(())
        });
    }

    /// The main process of a job, once it runs.
    pub(crate) fn main_process(&self, id: &str) -> i32 {
        wait_for("the main process", || self.job(id)["pid"].as_i64()).try_into().unwrap()
    }

    /// All processes of this environment: those that name the store in their arguments or their environment.
    pub(crate) fn processes(&self) -> Vec<String> {
        let own = std::process::id().to_string();
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let pids = pids.filter(|pid| pid.bytes().all(|b| b.is_ascii_digit()) && *pid != own);
        let described = pids.filter_map(|pid| {
            // If the main thread has exited, nothing can be read through it.
            let readable = |thread: &PathBuf| std::fs::read(thread.join("cmdline")).is_ok_and(|line| !line.is_empty());
            let thread = threads(&pid).into_iter().find(readable)?;
            let read = |name: &str| std::fs::read(thread.join(name)).unwrap_or_default();
            let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
            let environment = String::from_utf8_lossy(&read("environ")).into_owned();
            let store = self.store.to_string_lossy();
            (line.contains(&*store) || environment.contains(&*store)).then(|| format!("{pid} {line}"))
        });
        described.collect()
    }

    /// Waits until no process of this environment is left.
    pub(crate) fn wait_until_empty(&self) {
        wait_for(&format!("no process to be left: {:?}", self.processes()), || {
            self.processes().is_empty().then_some(())
        });
    }
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        if self.store.exists() {
            let _ = self.jobcli(["kill", "--all", "--grace", "0s"]).output();
        }
        if std::thread::panicking() {
            // Nothing of a broken test stays: neither stragglers of ended jobs nor lost commands.
            for process in self.processes() {
                let pid = process.split(' ').next().and_then(|pid| pid.parse().ok());
                let _ = pid.map(|pid| nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL));
            }
            return;
        }
        self.wait_until_empty();
    }
}

/// Any program, in an environment where `jobcli` comes first in the `PATH`.
pub(crate) fn installed(env: &TestEnv, program: &str) -> Command {
    let bin = env.dir().join("bin");
    if !bin.exists() {
        std::fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(JOBCLI, bin.join("jobcli")).unwrap();
    }
    let others = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&others)));
    let mut command = env.command(program);
    command.env("PATH", path.unwrap());
    command
}

/// The result of running a program.
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
}

impl Ran {
    /// Runs a command to its end.
    pub(crate) fn of(mut command: Command) -> Self {
        let output = command.output().unwrap();
        Self {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code(),
            signal: output.status.signal(),
        }
    }

    /// Returns what it printed; it must have succeeded.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self}");
        self.stdout.trim_end_matches('\n').to_owned()
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}------- stderr\n{}------- exit ", self.stdout, self.stderr)?;
        match (self.code, self.signal) {
            (Some(code), _) => writeln!(f, "{code}"),
            (None, signal) => writeln!(f, "by signal {signal:?}"),
        }
    }
}

/// Waits until `look` finds something, and returns it.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(5);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(pause);
        // Most looks start a process: a long wait must not keep the machine busy with that.
        pause = (pause * 5 / 4).min(Duration::from_millis(50));
    }
}

/// Returns whether a process exists and is not a zombie, that is, whether any of its threads is alive.
pub(crate) fn is_alive(pid: i32) -> bool {
    let is_alive = |thread: &std::path::PathBuf| {
        let stat = std::fs::read_to_string(thread.join("stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        state.is_some_and(|state| state != 'Z' && state != 'X')
    };
    threads(&pid.to_string()).iter().any(is_alive)
}

/// The directories of the threads of a process.
fn threads(pid: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// The resources that a running process has used: its peak of memory, and how much it has read, in bytes.
pub(crate) fn used(pid: i32) -> (u64, u64) {
    let number = |file: &str, key: &str| -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.split_ascii_whitespace().next().unwrap().parse().unwrap()
    };
    (number("status", "VmHWM:") * 1024, number("io", "rchar:"))
}

/// Waits until a process does nothing for a moment, however long that takes.
pub(crate) fn wait_until_idle(pid: i32) {
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').map(str::to_owned).collect();
        fields[11..13].to_vec()
    };
    let (mut last, mut quiet) = (ticks(), 0);
    while quiet < 40 {
        std::thread::sleep(Duration::from_millis(5));
        let now = ticks();
        quiet = if now == last { quiet + 1 } else { 0 };
        last = now;
    }
}

/// Sends a signal to a process that the test started.
pub(crate) fn send(pid: i32, signal: Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
}

/// Writes an executable script, in another process: a file that this one has open for writing may for a moment be open
/// in a child that another test is just starting, and cannot be executed then (`ETXTBSY`).
pub(crate) fn script(path: &Path, text: &str) -> OsString {
    let mut writer = Command::new("sh");
    writer.args(["-c", "cat > \"$1\" && chmod 755 \"$1\"", "sh"]).arg(path).stdin(Stdio::piped());
    let mut writer = writer.spawn().unwrap();
    writer.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
    path.into()
}
