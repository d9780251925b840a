//! Running ended jobs again.

use super::JobManager;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::spec::{JobSpec, Stdin};

impl JobManager {
    /// Returns what would run an ended job again, for [`JobManager::submit`]: its spec with this environment instead of its own, of
    /// which nothing is kept. It has no key, is no process that is running already, waits for no other job and is not on hold; who submits it, and what it is given to
    /// read, is for the caller to say.
    ///
    /// # Errors
    /// As [`JobManager::job`]; [`Error::Refused`] for a job that has not ended, for one whose input is not kept, and for a run of
    /// an agent, which has a conversation to be resumed.
    pub async fn again(&self, id: JobId, environment: Environment) -> Result<JobSpec> {
        let job = self.job(id).await?;
        let refused = |reason: &str| Err(Error::Refused { id, reason: reason.to_owned() });
        if !job.status().is_final() {
            return refused("it has not ended; stop it first, or submit another like it under another name");
        }
        #[cfg(feature = "agents")]
        if job.is_agent_run() {
            return refused("it is an agent run: resume its conversation instead");
        }
        if job.spec.stdin == Stdin::Given {
            return refused("what its command was given to read is not kept; submit it again with its input");
        }
        let first = JobSpec { environment, key: None, caller: None, parent: None, ..*job.spec };
        let first =
            JobSpec { after: Vec::new(), on_hold: false, not_before: None, ends_with: None, adopts: None, ..first };
        // The shell on record has the option if it is to have it.
        Ok(JobSpec { pipefail: Some(false), ..first })
    }
}
