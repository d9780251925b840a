//! Jobs that each have a detached supervisor process: they survive everything but the machine.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use super::Runner;
use crate::clock::Timestamp;
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::store::file::layout::Layout;
use crate::store::{JobClaim, JobStore};
use crate::supervisor;
use crate::sys::{child, own};

/// Runs each job under a supervisor process of its own.
///
/// The supervisor is this program, started again; see [`supervisor::run_if_asked`]. It has left the caller's session
/// before [`Runner::start`] returns, inherits nothing from it, and outlives it. The caller's only duty, to reap a
/// supervisor that ends before the caller does, is done by a task of the current tokio runtime, which waits for that
/// one process and touches no other child and no signal handler.
#[derive(Debug, Clone)]
pub struct LocalRunner {
    program: PathBuf,
    /// Whether another program has identified itself as a supervisor; `None` if the supervisor is this program.
    answered: Option<Arc<OnceLock<()>>>,
}

impl LocalRunner {
    /// Returns a runner whose supervisors are this program.
    ///
    /// # Errors
    /// [`Error::Unsupported`] unless [`supervisor::run_if_asked`] was called before this program had threads: otherwise
    /// it would start a second copy of itself instead of a supervisor.
    pub fn new() -> Result<Self> {
        supervisor::check_prepared()?;
        let program = own::program().context("find", "this program".as_ref())?;
        Ok(Self::trusting(program))
    }

    /// Returns a runner whose supervisors are another program, one that calls [`supervisor::run_if_asked`].
    ///
    /// The program is started once as a probe, by [`Runner::check`] and so by
    /// [`JobManager::new`](crate::JobManager::new), which fails if it does not answer within 5 s.
    pub fn with_program(program: impl Into<PathBuf>) -> Self {
        Self { answered: Some(Arc::default()), ..Self::trusting(program.into()) }
    }

    /// Returns a runner whose supervisors are a program that is not probed.
    pub(crate) fn trusting(program: PathBuf) -> Self {
        Self { program, answered: None }
    }
}

#[async_trait]
impl Runner for LocalRunner {
    fn check(&self, store: &dyn JobStore) -> Result<()> {
        if store.directory().is_none() {
            let reason = "a detached supervisor needs a store whose jobs are directories, such as `FileStore`; \
                          use `InProcessRunner` with this one"
                .to_owned();
            return Err(Error::Unsupported { reason });
        }
        if let Some(answered) = self.answered.as_ref().filter(|answered| answered.get().is_none()) {
            supervisor::probe(&self.program)?;
            let _ = answered.set(());
        }
        Ok(())
    }

    async fn start(&self, store: &Arc<dyn JobStore>, claim: Box<dyn JobClaim>) -> Result<()> {
        self.check(store.as_ref())?;
        let pid = supervisor::start(&self.program, claim)?;
        child::reap_when_ended(pid);
        Ok(())
    }

    async fn adopt(&self, store: &Arc<dyn JobStore>, claim: Box<dyn JobClaim>) -> Result<()> {
        // The supervisor finds in the records that the job was started before.
        self.start(store, claim).await
    }

    async fn wake_at(&self, store: &Arc<dyn JobStore>, at: Timestamp) -> Result<()> {
        let Some(root) = store.directory() else { return Ok(()) };
        if let Some(pid) = supervisor::sleeper::ensure(&self.program, &Layout::new(root), at)? {
            child::reap_when_ended(pid);
        }
        Ok(())
    }

    async fn run_hooks(&self, store: &Arc<dyn JobStore>, id: JobId) -> Result<()> {
        let Some(root) = store.directory() else { return Ok(()) };
        if let Some(pid) = supervisor::on_end::start(&self.program, &Layout::new(root), id)? {
            child::reap_when_ended(pid);
        }
        Ok(())
    }
}
