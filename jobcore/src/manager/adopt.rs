//! Adopting a process that was started elsewhere.

use super::JobManager;
use crate::environment::JOB_ID;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::spec::JobSpec;
use crate::state::Status;
use crate::store::Query;
use crate::store::file::supervisors::is_other_supervisor;
use crate::sys::members;
use crate::sys::process::{self, Seen};
use crate::sys::stat::{self, Stat};

impl JobManager {
    /// Refuses a process that has ended, belongs to an unfinished job, or is a supervisor.
    pub(super) async fn check_adoption(&self, spec: &JobSpec) -> Result<()> {
        let Some(process) = spec.adopts.as_ref().map(|adoption| &adoption.process) else { return Ok(()) };
        let pid = process.pid;
        let refuse = |reason: String| Err(Error::InvalidSpec { field: "adopts", reason });
        let (Seen::Alive(_) | Seen::Paused(_), Some(stat)) = (process::look(process), Stat::read(pid)) else {
            return refuse(format!("process {pid} has ended"));
        };
        if is_other_supervisor(&stat) {
            return refuse(format!("process {pid} is the supervisor of a job"));
        }
        if let Err(error) = process::may_signal(pid) {
            return refuse(format!("process {pid} may not be signalled: {error}"));
        }
        let line = members::line_of(pid);
        let named = stat::variable(&stat, JOB_ID).and_then(|id| id.parse::<JobId>().ok());
        let unfinished = Status::ALL.into_iter().filter(|status| !status.is_final()).collect();
        for id in self.store.ids(&Query::default().with_statuses(unfinished), None, usize::MAX).await? {
            // A job that cannot be read claims no process.
            let Ok(job) = self.job(id).await else { continue };
            if !job.status().is_final() && (job.pid.is_some_and(|main| line.contains(&main)) || named == Some(id)) {
                return refuse(format!("process {pid} already belongs to job {}", id.short()));
            }
        }
        Ok(())
    }

    /// Returns the existing job with the same key; refuses it if it has ended although the process to adopt is still
    /// running.
    pub(super) fn check_existing(&self, job: Job, adopts: bool) -> Result<Job> {
        if adopts && job.status().is_final() {
            let reason = format!("the process was job {}, which has ended; remove that job first", job.id.short());
            return Err(Error::InvalidSpec { field: "adopts", reason });
        }
        Ok(job)
    }
}
