//! Which processes are supervisors of jobs, by their arguments and by the lock that they hold.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use super::job_file::JobFile;
use super::layout::Layout;
use crate::environment::marker;
use crate::id::JobId;
use crate::record::Start;
use crate::sys::process::{self, ProcessId, Seen};
use crate::sys::stat::{self, Stat};
use crate::sys::{boot, heap, lock, members};

/// The name of a supervisor in a list of processes.
pub(crate) const NAME: &str = "jobcore-supervisor";
/// The hidden first argument.
pub(crate) const MARKER: &str = "__jobcore-supervisor";
/// The last argument of a process that runs what is due at the end of a job.
pub(crate) const HOOKS: &str = "on_end";
/// The last argument of the process that sleeps until a job is due.
pub(crate) const SLEEPER: &str = "sleeper";
/// The version of the arguments and the descriptor that are handed over.
pub(crate) const HANDOVER_VERSION: &str = "1";

/// The variable in the environment of a supervisor that has the version of its program.
const VERSION: &str = "JOBCORE_VERSION";

/// Returns the environment of supervisors.
pub(crate) fn environment() -> [Vec<u8>; 2] {
    [heap::SPARING.to_vec(), format!("{VERSION}={}", env!("CARGO_PKG_VERSION")).into_bytes()]
}

/// Returns the version of a supervisor's program; nothing if its environment cannot be read or does not have it.
pub(crate) fn version(supervisor: &ProcessId) -> Option<String> {
    let stat = Stat::read(supervisor.pid).filter(|stat| stat.start_time == supervisor.start_time)?;
    stat::variable(&stat, VERSION)
}

/// How long a supervisor may take to put itself on record. One that is killed after that is replaced, because nothing
/// says that its job was started.
const COMING_UP: Duration = Duration::from_secs(2);

/// Returns the store and the job for which a process runs what is due at the job's end, according to its arguments.
fn parse_hook_arguments(arguments: &[Vec<u8>]) -> Option<(&[u8], JobId)> {
    let (last, rest) = arguments.split_last()?;
    parse_arguments(rest).filter(|_| last == HOOKS.as_bytes())
}

/// Returns the store for which a process sleeps until a job is due, according to its arguments.
fn parse_sleeper_arguments(arguments: &[Vec<u8>]) -> Option<&[u8]> {
    match arguments {
        [_, marker, _, root, last] if marker == MARKER.as_bytes() && last == SLEEPER.as_bytes() => Some(root),
        _ => None,
    }
}

/// Returns the store and the job that a supervisor was started for, according to its arguments.
pub(crate) fn parse_arguments(arguments: &[Vec<u8>]) -> Option<(&[u8], JobId)> {
    match arguments {
        [_, marker, _, root, id] if marker == MARKER.as_bytes() => {
            Some((root, std::str::from_utf8(id).ok()?.parse().ok()?))
        }
        _ => None,
    }
}

/// Returns the name of the control group that holds the processes of a job to what is limited for all of them together.
pub(crate) fn control_group(id: JobId) -> String {
    format!("jobcore-{id}")
}

/// Returns the name of the control group in which a job stands still while it is paused.
pub(crate) fn freezer(id: JobId) -> String {
    format!("{}.paused", control_group(id))
}

/// Returns the living processes that visibly belong to a job: the tree below its main process and every process with
/// its marker in the environment, but no supervisor of another job and nothing below one.
pub(crate) fn visible_members(main: Option<&ProcessId>, id: JobId) -> Vec<Stat> {
    members::visible_tree(main, &marker(id), is_other_supervisor)
}

/// Returns whether a process is the supervisor of another job or sleeps until one is due, or may be one that is just
/// starting up: no stop of this job may affect it or anything below it.
pub(crate) fn is_other_supervisor(stat: &Stat) -> bool {
    !matches!(Claim::of(stat), Claim::None)
}

/// Returns whether a process is certainly the supervisor of another job, or sleeps until one is due. This job has not
/// ended while another child claims that and has not proven it yet.
pub(crate) fn is_proven_supervisor(stat: &Stat) -> bool {
    matches!(Claim::of(stat), Claim::Proven)
}

/// What the claim of a process to be the supervisor of another job, to run what is due at the end of one, or to sleep
/// until one is due, is worth. Its arguments make that claim, and any process could forge them.
enum Claim {
    /// There is no claim, or it is false.
    None,
    /// It holds the lock of the job, and has had little time to put itself on record.
    ComingUp,
    /// The records of the job name it as the holder of the lock, which is held; or it holds that lock itself, and the
    /// records name a process that is dead or that belongs to another namespace.
    Proven,
}

impl Claim {
    fn of(stat: &Stat) -> Self {
        let arguments = stat::arguments(stat);
        if let Some(root) = parse_sleeper_arguments(&arguments) {
            let lock = File::open(Layout::new(Path::new(OsStr::from_bytes(root))).sleeper());
            return match lock.is_ok_and(|lock| lock::is_held_by(&lock, stat)) {
                true => Self::Proven,
                false => Self::coming_up(stat),
            };
        }
        if let Some((root, id)) = parse_hook_arguments(&arguments) {
            // It was started with the lock in its hands.
            let turn = File::open(Layout::new(Path::new(OsStr::from_bytes(root))).job(id).on_end());
            return if turn.is_ok_and(|turn| lock::is_held_by(&turn, stat)) { Self::Proven } else { Self::None };
        }
        let Some((root, id)) = parse_arguments(&arguments) else { return Self::None };
        let job = Layout::new(Path::new(OsStr::from_bytes(root))).job(id);
        let Ok(lock) = File::open(job.record()) else { return Self::None };
        if !lock::is_held(&lock).unwrap_or(false) {
            return Self::None;
        }
        let start = JobFile::read(&lock, job.record(), id).and_then(|read| read.get::<Start>()).ok().flatten();
        match start.map(|start| start.holder) {
            Some(holder) if (holder.pid, holder.start_time) == (stat.pid, stat.start_time) => Self::Proven,
            Some(holder) if matches!(process::look(&holder), Seen::Alive(_) | Seen::Paused(_)) => Self::None,
            _ if !lock::is_held_by(&lock, stat) => Self::None,
            Some(_) => Self::Proven,
            None => Self::coming_up(stat),
        }
    }

    fn coming_up(stat: &Stat) -> Self {
        match boot::age(stat.start_time).is_some_and(|age| age < COMING_UP) {
            true => Self::ComingUp,
            false => Self::None,
        }
    }
}
