//! The process that probes whether a job is ready: it may wait for answers, which its supervisor may not.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use super::probes::Probes;
use crate::error::{IoContext, Result};
use crate::id::JobId;
use crate::record::Running;
use crate::signal::Signal;
use crate::store::file::Jobs;
use crate::store::file::layout::Layout;
use crate::store::file::supervisors::{HANDOVER_VERSION, MARKER, NAME};
use crate::sys::ready::{self, Wanted};
use crate::sys::spawn::{self, Source};
use crate::sys::stat::Stat;
use crate::sys::{own, process};

/// The last argument of such a process.
pub(crate) const WORD: &str = "ready";
/// When to start another one after one has ended without an answer.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs as such a process: answers on standard output when all conditions are met, or ends when the other end of its
/// standard input is closed.
pub(crate) fn run_as_process(layout: &Layout, id: JobId) -> Result<()> {
    let read = Jobs::new(layout).read(id)?;
    let Some(Running { process: main, .. }) = read.get()? else { return Ok(()) };
    if let Some(mut probes) = Probes::of(&read.submission()?, main, true) {
        let stdin = io::stdin();
        while let Some(distance) = probes.look() {
            if ready::wait([Wanted::Read(stdin.as_fd())], Some(distance)) == [true] {
                return Ok(());
            }
        }
    }
    io::stdout().write_all(b"+").context("answer", "standard output".as_ref())
}

/// Such a process, as seen by its supervisor.
#[derive(Debug)]
pub(super) enum Prober {
    /// It should be started at this time.
    Due(Instant),
    Runs(Process),
    /// It has reported that all conditions are met.
    Done,
}

#[derive(Debug)]
pub(super) struct Process {
    pid: i32,
    start_time: u64,
    answer: PipeReader,
    /// Closed when this process ends, in whatever way.
    _needed: PipeWriter,
}

impl Prober {
    /// Starts it if it is time. Returns its identity if it was started.
    pub(super) fn start_if_due(&mut self, layout: &Layout, id: JobId, now: Instant) -> Option<(i32, u64)> {
        if !matches!(self, Self::Due(at) if *at <= now) {
            return None;
        }
        match Process::start(layout, id) {
            Ok(started) => {
                let identity = (started.pid, started.start_time);
                *self = Self::Runs(started);
                Some(identity)
            }
            Err(_) => {
                *self = Self::Due(now + AGAIN);
                None
            }
        }
    }

    /// Returns what becomes readable when it has answered or ended.
    pub(super) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Runs(process) => Some(process.answer.as_fd()),
            Self::Due(_) | Self::Done => None,
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        match self {
            Self::Due(at) => Some(*at),
            Self::Runs(_) | Self::Done => None,
        }
    }

    /// Reads its answer, which has arrived.
    pub(super) fn collect(&mut self, now: Instant) {
        if let Self::Runs(process) = self {
            let is_met = process.answer.read(&mut [0; 1]).is_ok_and(|count| count > 0);
            *self = if is_met { Self::Done } else { Self::Due(now + AGAIN) };
        }
    }

    /// Ends it until it is wanted again.
    pub(super) fn stop(&mut self, now: Instant) {
        if let Self::Runs(_) = self {
            *self = Self::Due(now);
        }
    }
}

impl Process {
    fn start(layout: &Layout, id: JobId) -> io::Result<Self> {
        let ((stdin, needed), (answer, stdout)) = (io::pipe()?, io::pipe()?);
        let (root, id) = (layout.root.as_os_str().as_bytes(), id.to_string());
        let words =
            [NAME.as_bytes(), MARKER.as_bytes(), HANDOVER_VERSION.as_bytes(), root, id.as_bytes(), WORD.as_bytes()];
        let null = Source::ReadWrite("/dev/null".as_ref());
        let streams = [Source::Descriptor(stdin.as_fd()), Source::Descriptor(stdout.as_fd()), null];
        let pid = spawn::session_leader(&own::program()?, &words.map(<[u8]>::to_vec), &[], streams)?;
        // Even if it has ended since, it has not been reaped.
        let start_time = Stat::read(pid).map_or(0, |stat| stat.start_time);
        Ok(Self { pid, start_time, answer, _needed: needed })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // What it has just started is in its process group.
        if Stat::read(self.pid).is_some_and(|stat| stat.start_time == self.start_time && !stat.is_dead()) {
            let _ = process::signal_group(self.pid, Signal::KILL);
        }
    }
}
