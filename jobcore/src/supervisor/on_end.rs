//! What is run when a job has ended: by a process of its own that nothing waits for and that shares nothing with the
//! job.
//!
//! Nothing that a job wrote becomes part of the command line: it is passed as JSON on standard input, and in variables.

use std::fs::File;
use std::io::{PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::launch::away;
use super::tree::Family;
use crate::clock::Timestamp;
use crate::environment::{self, Environment};
use crate::error::{IoContext, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::signal::Signal;
use crate::spec::HOOK_SHELL;
use crate::state::HookRun;
use crate::store::file::layout::Layout;
use crate::store::file::on_end::{EndHooks, Turn};
use crate::store::file::supervisors::{HANDOVER_VERSION, HOOKS, MARKER, NAME, is_other_supervisor};
use crate::store::settings::Hook;
use crate::sys::process::{self, ProcessId};
use crate::sys::ready::{self, Wanted};
use crate::sys::spawn::{self, Source};
use crate::sys::{child, file, members, own, signals, user};
use crate::units::short_duration;

/// The variable that names the job to what is run at its end. It differs from the one of the job's own processes, which
/// a stop would reach.
const ENDED_JOB: &str = "JOBCORE_ENDED_JOB_ID";
/// How many bytes of output are kept.
const OUTPUT: usize = 4096;
/// How long killed processes may take to end, and how often to check.
const GONE: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Where programs are looked up, after the directory of this one.
const SEARCHED: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Starts a process that runs what is due at the end of a job, and returns its id; `None` if nothing is due or another
/// process runs it already.
pub(crate) fn start(program: &Path, layout: &Layout, id: JobId) -> Result<Option<i32>> {
    let Some(turn) = EndHooks::new(layout).take(id)? else { return Ok(None) };
    let lock = away(turn.file.into())?;
    let (root, id) = (layout.root.as_os_str().as_bytes(), id.to_string());
    let words =
        [NAME.as_bytes(), MARKER.as_bytes(), HANDOVER_VERSION.as_bytes(), root, id.as_bytes(), HOOKS.as_bytes()];
    let arguments: Vec<_> = words.into_iter().map(<[u8]>::to_vec).collect();
    let streams = [Source::Descriptor(lock.as_fd()), Source::ReadWrite("/dev/null".as_ref()), Source::Same];
    let started = spawn::session_leader(program, &arguments, &[], streams);
    started.map(Some).context("run the end hooks of a job with", program)
}

/// Runs as such a process, which was handed this turn.
pub(super) fn run_as_process(layout: &Layout, id: JobId, turn: File) -> Result<()> {
    let Some(turn) = EndHooks::new(layout).adopt(id, turn)? else { return Ok(()) };
    let reach = Reach::Descendants(Family::Own { layout: layout.clone(), id, apart: None });
    turn.run(|turn, hook, begun, is_again| run_due(turn, hook, begun, is_again, &reach))
}

/// Runs what is due at the end of a job within this program, and returns when it has ended.
pub(crate) fn run_here(layout: &Layout, id: JobId) -> Result<()> {
    let Some(turn) = EndHooks::new(layout).take(id)? else { return Ok(()) };
    turn.run(|turn, hook, begun, is_again| run_due(turn, hook, begun, is_again, &Reach::Visible))
}

fn run_due(turn: &Turn, hook: &Hook, begun: HookRun, is_again: bool, reach: &Reach) -> HookRun {
    if is_again {
        // What a killed predecessor left running.
        Reach::Visible.kill(None, turn.job.id);
    }
    run(&turn.job, hook, turn.limit, begun, Some(&turn.layout.root), reach)
}

/// Runs one line within this program for a job of a store that has no directory.
pub(crate) fn run_unrecorded(job: &Job, hook: &Hook, limit: Duration) -> HookRun {
    run(job, hook, limit, HookRun::begin(hook.of, Timestamp::now()), None, &Reach::Visible)
}

/// Where to look for the processes that a line has started.
enum Reach {
    /// Among the descendants of this process, which has no others.
    Descendants(Family),
    /// Among all visible processes.
    Visible,
}

impl Reach {
    /// Kills what a line has started, and returns how many processes were found.
    fn kill(&self, main: Option<&ProcessId>, id: JobId) -> usize {
        match self {
            Self::Descendants(family) => {
                family.kill_all();
                while child::reap_any().is_some() {}
                family.kill_remaining()
            }
            Self::Visible => {
                let members = members::visible_tree(main, &format!("{ENDED_JOB}={id}"), is_other_supervisor);
                for stat in &members {
                    let _ = process::signal(stat, Signal::KILL);
                }
                members.len()
            }
        }
    }
}

/// Runs one line until it has ended or its time is up. Stragglers are killed.
fn run(job: &Job, hook: &Hook, limit: Duration, begun: HookRun, store: Option<&Path>, reach: &Reach) -> HookRun {
    let ran = spawn(job, hook, store).map(|running| running.until(Instant::now() + limit, reach, job.id));
    let ended = HookRun { ended_at: Some(Timestamp::now()), ..begun };
    match ran {
        Ok(Ran { status, output }) => HookRun {
            exit_code: status.and_then(|status| status.code()),
            signal: status.and_then(|status| status.signal()).map(Signal::from_number),
            message: status.is_none().then(|| format!("was killed after {}", short_duration(limit))),
            output: String::from_utf8_lossy(&output).into_owned(),
            ..ended
        },
        Err(error) => HookRun { message: Some(format!("could not be started: {error}")), ..ended },
    }
}

/// A running line.
struct Running {
    child: Child,
    identity: Option<ProcessId>,
    /// Its output, until no process has it open any more.
    output: Option<PipeReader>,
}

/// How it ended, if it did on its own, and the end of its output.
struct Ran {
    status: Option<ExitStatus>,
    output: Vec<u8>,
}

fn spawn(job: &Job, hook: &Hook, store: Option<&Path>) -> std::io::Result<Running> {
    let (output, stdout) = std::io::pipe()?;
    let shape = job.shape(Timestamp::now());
    let mut json = serde_json::to_vec(&shape)?;
    json.push(b'\n');
    let cwd = if job.spec.cwd.is_dir() { &job.spec.cwd } else { Path::new("/") };
    let mut command = Command::new(HOOK_SHELL);
    command.arg("-c").arg(&hook.line).current_dir(cwd).env_clear().process_group(0);
    command.envs(variables(job, store).iter());
    // A file is complete at once: nothing has to keep writing, or fails if the line does not read.
    command.stdin(file::in_memory(&json)?).stderr(stdout.try_clone()?).stdout(Stdio::from(stdout));
    let child = signals::lend_none(|| command.spawn())?;
    let identity = i32::try_from(child.id()).ok().and_then(|pid| process::identify(pid).ok());
    Ok(Running { child, identity, output: Some(output) })
}

impl Running {
    fn until(mut self, deadline: Instant, reach: &Reach, id: JobId) -> Ran {
        let end = self.identity.as_ref().and_then(process::open);
        let mut output = Vec::new();
        let mut status = None;
        while status.is_none() && Instant::now() < deadline {
            let rest = deadline.saturating_duration_since(Instant::now());
            // Without a descriptor that reports its end, look again and again.
            let timeout = if end.is_some() { rest } else { rest.min(LOOK_AGAIN) };
            self.turn(end.as_ref().map(AsFd::as_fd), timeout, &mut output);
            status = self.child.try_wait().ok().flatten();
        }
        let gone_by = Instant::now() + GONE;
        if status.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        while reach.kill(self.identity.as_ref(), id) > 0 && Instant::now() < gone_by {
            std::thread::sleep(LOOK_AGAIN);
        }
        while self.turn(None, Duration::ZERO, &mut output) {}
        Ran { status, output }
    }

    /// Waits until there is something to do, and does it; returns whether anything was read.
    fn turn(&mut self, end: Option<BorrowedFd<'_>>, timeout: Duration, output: &mut Vec<u8>) -> bool {
        let reading = self.output.as_ref().map(|pipe| Wanted::Read(pipe.as_fd()));
        let wanted = reading.into_iter().chain(end.map(Wanted::Read));
        let ready = ready::wait(wanted, Some(timeout));
        let is_readable = reading.is_some() && ready.first() == Some(&true);
        let mut buffer = [0; OUTPUT];
        let read = self.output.as_mut().filter(|_| is_readable).map(|pipe| pipe.read(&mut buffer).unwrap_or(0));
        let Some(read) = read else { return false };
        output.extend_from_slice(&buffer[..read]);
        output.drain(..output.len().saturating_sub(OUTPUT));
        if read == 0 {
            self.output = None;
        }
        read > 0
    }
}

/// Returns the environment of what is run at the end of a job. The job's own environment has been erased, and
/// supervisors have none, so it is built from what the system knows about the user, and from the job.
fn variables(job: &Job, store: Option<&Path>) -> Environment {
    let mut variables = Environment::default();
    let directory = own::program().and_then(|program| program.read_link()).ok();
    let directory = directory.as_deref().and_then(Path::parent).and_then(Path::to_str).map(|path| format!("{path}:"));
    variables.set("PATH", format!("{}{SEARCHED}", directory.unwrap_or_default()));
    variables.set("LANG", "C.UTF-8");
    if let Some(account) = user::account() {
        variables.set("HOME", account.home);
        variables.set("SHELL", account.shell);
        variables.set("USER", account.name.clone());
        variables.set("LOGNAME", account.name);
    }
    let runtime = PathBuf::from(format!("/run/user/{}", user::id()));
    if runtime.is_dir() {
        let bus = runtime.join("bus");
        if bus.exists() {
            variables.set("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", bus.display()));
        }
        variables.set("XDG_RUNTIME_DIR", runtime);
    }
    if let Some(store) = store {
        variables.set("JOBCORE_STORE", store);
    }
    let shape = job.shape(Timestamp::now());
    variables.set(ENDED_JOB, job.id.to_string());
    variables.set("JOBCORE_SUMMARY", job.summary());
    variables.set("JOBCORE_COMMAND", cut(&shape.command_line()));
    variables.set("JOBCORE_SHORT_ID", shape.short_id);
    variables.set("JOBCORE_STATUS", shape.status.as_str());
    let known = [
        ("JOBCORE_NAME", shape.name.map(String::from)),
        (environment::GROUP, shape.group.map(String::from)),
        ("JOBCORE_CAUSE", shape.cause.map(|cause| cause.as_str().to_owned())),
        ("JOBCORE_EXIT_CODE", shape.exit_code.map(|code| code.to_string())),
        ("JOBCORE_SIGNAL", shape.signal.map(|signal| signal.to_string())),
        ("JOBCORE_DURATION_MS", shape.duration_ms.map(|millis| millis.to_string())),
    ];
    for (name, value) in known {
        if let Some(value) = value {
            variables.set(name, value);
        }
    }
    variables
}

/// Returns the beginning of a command: a long one would leave no room for the rest, execve(2).
fn cut(command: &str) -> String {
    crate::words::cut(command, 1000)
}
