//! What makes a job run.

// In the order in which to read them:
// - `local.rs`: a detached supervisor for each job
// - `in_process.rs`, `child.rs`, `readiness.rs`: jobs as children of this program
// - `fake/`: jobs that follow a script
// - `conformance/`: the contract, as tests

mod child;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fake;
pub(crate) mod in_process;
pub(crate) mod local;
mod readiness;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::store::{JobClaim, JobStore, tend};

/// What makes a job run: starts the command of a claimed job and has somebody watch it.
///
/// Everything after the start goes through the store: whoever watches the job holds its lock, keeps its output, answers
/// what is asked through [`JobStore::request`], and puts its end on record. So any front end can look at and stop any
/// job, whatever runner started it.
#[async_trait]
pub trait Runner: Send + Sync + Debug {
    /// Returns whether this runner can run jobs that are kept in `store`.
    ///
    /// # Errors
    /// [`Error::Unsupported`], with the reason, if it cannot.
    fn check(&self, store: &dyn JobStore) -> Result<()>;

    /// Starts the job. When this returns, somebody else than the caller holds the claim, and the job goes its way; that
    /// the command cannot be executed is an end of the job and no error. When it has ended, whoever watched it starts
    /// what is due then, as [`JobStore::next_due`] says.
    ///
    /// # Errors
    /// If nobody could be put in charge. Then the claim is dropped and nothing was started.
    async fn start(&self, store: &Arc<dyn JobStore>, claim: Box<dyn JobClaim>) -> Result<()>;

    /// Puts somebody in charge of a job whose command runs on after whoever watched it was killed. The command is never
    /// started again. Its output goes on, and its exit code is recorded where the kernel tells strangers.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for runners whose jobs end with whoever watches them.
    async fn adopt(&self, store: &Arc<dyn JobStore>, claim: Box<dyn JobClaim>) -> Result<()>;

    /// Sees to it that what is due at this time is started then, although nobody uses the store at that moment. To be called
    /// again after each change of [`JobStore::next_start`].
    ///
    /// With a runner that does not override this, it is started by whoever uses the store next.
    ///
    /// # Errors
    /// If nobody could be found to do it.
    async fn wake_at(&self, _: &Arc<dyn JobStore>, _: Timestamp) -> Result<()> {
        Ok(())
    }

    /// Sees to it that somebody else than the caller runs what is due at the end of a job that has ended: the lines of its spec,
    /// of its group and of the store. What is being run already, or was, is not run again.
    ///
    /// A runner that does not override this runs none.
    ///
    /// # Errors
    /// If nobody could be found to do it.
    async fn run_hooks(&self, _: &Arc<dyn JobStore>, _: JobId) -> Result<()> {
        Ok(())
    }
}

/// Has run what is due at the end of a job. What fails is left to whoever uses the store next.
pub(crate) async fn run_hooks(runner: &dyn Runner, store: &Arc<dyn JobStore>, id: JobId) {
    if let Err(error) = runner.run_hooks(store, id).await {
        tracing::debug!(%id, %error, "what is due at the end of a job could not be run");
    }
}

/// The refusal of a runner whose jobs end with this program.
fn cannot_adopt() -> Error {
    let reason = "a job that ran within a program that was killed can only be adopted by a detached supervisor";
    Error::Unsupported { reason: reason.to_owned() }
}

/// Starts what is due now that a slot is free. What cannot be started is left to whoever uses the store next.
async fn start_due(runner: &dyn Runner, store: &Arc<dyn JobStore>) {
    let _ = tend::start_due(store.as_ref(), |claim| runner.start(store, claim)).await;
}
