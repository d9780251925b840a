//! What a running job uses.

use std::time::Duration;

use super::JobManager;
use crate::error::Result;
use crate::id::JobId;
use crate::job::Job;
use crate::store::file::supervisors::{is_other_supervisor, parse_arguments};
use crate::sys::members;
use crate::sys::stat::{self, Stat};

/// What all processes of a running job together use, as far as they can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Used {
    /// The CPU time they have used so far. Two readings show how busy the job is.
    pub cpu: Duration,
    /// The memory they have now. Shared memory counts once for each process.
    pub memory_bytes: u64,
    /// The number of processes.
    pub processes: u32,
}

impl JobManager {
    /// Returns what the processes of a job use at this moment; `None` if it is not running or none of them can be seen.
    ///
    /// Only the processes of this job are inspected, so the cost does not depend on how many others there are.
    ///
    /// # Errors
    /// If the runtime is being shut down.
    pub async fn used(&self, job: &Job) -> Result<Option<Used>> {
        let Some(main) = job.pid.filter(|_| !job.status().is_final()) else { return Ok(None) };
        let id = job.id;
        self.offload(move |_| async move { Ok(used(main, id)) }).await
    }
}

fn used(main: i32, id: JobId) -> Option<Used> {
    let main = Stat::read(main)?;
    let is_own_supervisor =
        |stat: &Stat| parse_arguments(&stat::arguments(stat)).is_some_and(|(_, supervised)| supervised == id);
    // A process that lost its parent is a child of the supervisor. Without a supervisor, only descendants of the main
    // process are found.
    let members = match Stat::read(main.parent).filter(is_own_supervisor) {
        Some(supervisor) => members::descendants(supervisor.pid, is_other_supervisor),
        None => {
            let mut members = members::descendants(main.pid, is_other_supervisor);
            members.push(main);
            members
        }
    };
    Some(Used {
        cpu: members::cpu_time_of(&members),
        memory_bytes: members::resident_bytes(&members),
        processes: u32::try_from(members.len()).unwrap_or(u32::MAX),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::manager::view::tests::block_on;
    use crate::{InProcessRunner, JobSpec, MemoryStore};

    #[test]
    fn usage_covers_the_whole_tree_of_a_job() {
        block_on(async {
            let jobs = JobManager::new(Arc::new(MemoryStore::new()), Arc::new(InProcessRunner::new())).unwrap();
            let line =
                "sleep 1000 & sleep 1000 & i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done; echo counted; wait";
            let job = jobs.submit(JobSpec::shell(line).cwd("/").env("PATH", "/usr/bin:/bin").build().unwrap()).await;
            let id = job.unwrap().id;
            jobs.more_output(id, crate::output::Cursor(0)).await.unwrap();
            let used = jobs.used(&jobs.job(id).await.unwrap()).await.unwrap().unwrap();
            jobs.stop(id, &crate::stop::StopOptions::default()).await.unwrap();
            assert!(used.processes == 3 && used.memory_bytes > 100_000 && used.cpu > Duration::ZERO, "{used:?}");
            assert_eq!(jobs.used(&jobs.job(id).await.unwrap()).await.unwrap(), None, "it has ended");
        });
    }
}
