//! Jobs under a detached supervisor process each: they survive everything but the machine.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use rustix::process::{PidfdFlags, WaitId, WaitIdOptions};

use super::Runner;
use crate::error::{Error, IoContext, Result};
use crate::store::{JobClaim, JobStore};
use crate::supervisor;
use crate::sys::spawn;

/// Runs each job under a supervisor process of its own.
///
/// The supervisor is this program, started again; see [`supervisor::run_if_asked`]. It is out of the caller's session
/// before [`Runner::start`] returns, inherits nothing of it, and outlives it. The caller's only duty, to reap it when it
/// ends while the caller still lives, is done by a task of the current tokio runtime, which waits for that one process
/// and touches no other child and no signal handler.
#[derive(Debug, Clone)]
pub struct LocalRunner {
    program: PathBuf,
}

impl LocalRunner {
    /// Returns a runner whose supervisors are this program.
    ///
    /// # Errors
    /// [`Error::Unsupported`] unless [`supervisor::run_if_asked`] was called: the program would start a second copy of
    /// itself where a supervisor is meant.
    pub fn new() -> Result<Self> {
        if !supervisor::is_prepared() {
            let reason = "this program cannot be started as a supervisor: call `jobcore::supervisor::run_if_asked()` \
                          first thing in `main`, or name a program that does with `LocalRunner::with_program`"
                .to_owned();
            return Err(Error::Unsupported { reason });
        }
        // On Linux the running program itself, even if its file has been replaced by an upgrade since.
        let program = match cfg!(target_os = "linux") {
            true => PathBuf::from("/proc/self/exe"),
            false => std::env::current_exe().context("find", "this program".as_ref())?,
        };
        Ok(Self { program })
    }

    /// Returns a runner whose supervisors are another program, one that calls [`supervisor::run_if_asked`].
    pub fn with_program(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }
}

#[async_trait]
impl Runner for LocalRunner {
    fn check(&self, store: &dyn JobStore) -> Result<()> {
        if store.as_file().is_some() {
            return Ok(());
        }
        let reason = "a detached supervisor needs a store whose jobs are directories, such as `FileStore`; \
                      use `InProcessRunner` with this one"
            .to_owned();
        Err(Error::Unsupported { reason })
    }

    async fn start(&self, store: &dyn JobStore, claim: Box<dyn JobClaim>) -> Result<()> {
        self.check(store)?;
        let id = claim.submission().job_id;
        let (Some(store), Some(claim)) = (store.as_file(), claim.into_file()) else {
            return Err(Error::Unsupported { reason: "the claim is not one of this store".to_owned() });
        };
        let lock = claim.into_lock();
        let null_path = Path::new("/dev/null");
        let null = File::options().read(true).write(true).open(null_path).context("open", null_path)?;
        // Descriptors 0 to 2 may be closed in a caller, and then be given to these: they are moved out of the way.
        let away = |fd: std::os::fd::BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(fd, 3).context("copy", null_path);
        let (lock, null) = (away(lock.as_fd())?, away(null.as_fd())?);
        let streams = [lock.as_fd(), null.as_fd(), null.as_fd()];
        let arguments = supervisor::arguments(store.root(), id);
        let pid = spawn::session_leader(&self.program, &arguments, &[], streams);
        reap_when_over(pid.context("start a supervisor from", &self.program)?);
        Ok(())
    }
}

/// Reaps the supervisor when it ends, should this program still be there.
fn reap_when_over(pid: i32) {
    let Some(pid) = rustix::process::Pid::from_raw(pid) else { return };
    // It cannot have been reaped yet, so that the number is still its own.
    let Ok(process) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return };
    tokio::spawn(async move {
        let Ok(process) = crate::sys::readable(process) else { return };
        let _ = process.readable().await;
        let _ = rustix::process::waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED);
    });
}
