//! Running ended jobs again.

use super::JobManager;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::spec::{JobSpec, Stdin};

impl JobManager {
    /// Returns a spec that runs an ended job again, for [`JobManager::submit`]: the job's spec with this environment,
    /// because its own is not kept. It has no key, adopts no running process, waits for no other job and is not on
    /// hold. The caller sets who submits it and what input it is given.
    ///
    /// # Errors
    /// As [`JobManager::job`]; [`Error::Refused`] for a job that has not ended, for one whose input is not kept, and
    /// for an agent run, whose conversation can be resumed instead.
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
            return refused("the input of its command is not kept; submit it again with its input");
        }
        let first = JobSpec { environment, key: None, caller: None, parent: None, ..*job.spec };
        let first =
            JobSpec { after: Vec::new(), on_hold: false, not_before: None, ends_with: None, adopts: None, ..first };
        // If the option was set, it is part of the recorded shell.
        Ok(JobSpec { pipefail: Some(false), ..first })
    }
}
