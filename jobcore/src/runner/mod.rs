//! What runs jobs.

// In the order in which to read them:
// - `local.rs`: each job under its own detached supervisor
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

/// Runs jobs: starts the command of a claimed job and has it watched.
///
/// Everything after the start goes through the store: the holder of the job keeps its output, answers requests made
/// through [`JobStore::request`], and records its end. So any front end can inspect and stop any job, whatever runner
/// started it.
#[async_trait]
pub trait Runner: Send + Sync + Debug {
    /// Checks that this runner can run jobs that are kept in `store`.
    ///
    /// # Errors
    /// [`Error::Unsupported`], with the reason, if it cannot.
    fn check(&self, store: &dyn JobStore) -> Result<()>;

    /// Starts the job. When this returns, the claim has passed from the caller to the holder of the running job. A
    /// command that cannot be executed is an end of the job, not an error. When the job has ended, its holder starts
    /// what is due then, see [`JobStore::next_due`].
    ///
    /// # Errors
    /// If no holder could be started. Then the claim is dropped and nothing was started.
    async fn start(&self, store: &Arc<dyn JobStore>, claim: Box<dyn JobClaim>) -> Result<()>;

    /// Starts a new holder for a job whose command is still running after its holder was killed. The command is never
    /// started again. Its output continues, and its exit code is recorded if the kernel reports it to processes other
    /// than the parent.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for runners whose jobs end with their holder.
    async fn adopt(&self, store: &Arc<dyn JobStore>, claim: Box<dyn JobClaim>) -> Result<()>;

    /// Makes sure that what is due at this time is started then, even if no process uses the store at that moment. Call
    /// it again after each change of [`JobStore::next_start`].
    ///
    /// With a runner that does not override this, the next user of the store starts it.
    ///
    /// # Errors
    /// If no process could be started for it.
    async fn wake_at(&self, _: &Arc<dyn JobStore>, _: Timestamp) -> Result<()> {
        Ok(())
    }

    /// Has another process than the caller run the end hooks of an ended job: the lines of its spec, of its group and
    /// of the store. Hooks that are running or have run are not run again.
    ///
    /// A runner that does not override this runs none.
    ///
    /// # Errors
    /// If no process could be started for it.
    async fn run_hooks(&self, _: &Arc<dyn JobStore>, _: JobId) -> Result<()> {
        Ok(())
    }
}

/// Has the end hooks of a job run. Failures are left to the next user of the store.
pub(crate) async fn run_hooks(runner: &dyn Runner, store: &Arc<dyn JobStore>, id: JobId) {
    if let Err(error) = runner.run_hooks(store, id).await {
        tracing::debug!(%id, %error, "the end hooks of a job could not be run");
    }
}

/// The refusal by a runner whose jobs end with this program.
fn cannot_adopt() -> Error {
    let reason = "a job that ran within a program that was killed can only be adopted by a detached supervisor";
    Error::Unsupported { reason: reason.to_owned() }
}

/// Starts what is due after a slot has become free. What cannot be started is left to the next user of the store.
async fn start_due(runner: &dyn Runner, store: &Arc<dyn JobStore>) {
    let _ = tend::start_due(store.as_ref(), |claim| runner.start(store, claim)).await;
}
