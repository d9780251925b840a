//! Processes that jobs left behind and that nothing supervises any more.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::JobManager;
use crate::environment::JOB_ID;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::signal::Signal;
use crate::state::Status;
use crate::store::Query;
use crate::store::file::supervisors::{freezer, is_other_supervisor, visible_members};
use crate::sys::stat::{self, Stat};
use crate::sys::{pausing, process};
use crate::words::quoted;

/// How often to check processes that should end, since nothing reports their end.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A process that is still running although its job has ended and has no supervisor any more.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Leftover {
    /// The process.
    pub pid: i32,
    /// Its command line, quoted for a shell.
    pub command: String,
    /// The job that it belongs to, according to its environment.
    pub job: Job,
    stat: Stat,
}

impl JobManager {
    /// Returns the visible processes of ended jobs of this store that have no holder, found by the job's id in their
    /// initial environment. A process that removed the id, or whose job was removed, is not found, and neither are
    /// processes of other users.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn leftovers(&self) -> Result<Vec<Leftover>> {
        let marked = self.offload(|_| async { Ok(marked()) }).await?;
        let mut jobs: HashMap<JobId, Option<Job>> = HashMap::new();
        let mut found = Vec::new();
        for (stat, id) in marked {
            let job = match jobs.get(&id) {
                Some(job) => job.clone(),
                None => {
                    let job = match self.job(id).await {
                        Err(Error::NotFound { .. } | Error::Damaged { .. }) => None,
                        job => Some(job?),
                    };
                    jobs.entry(id).or_insert(job).clone()
                }
            };
            if let Some(job) = job.filter(|job| job.status().is_final() && !job.held) {
                let words = stat::arguments(&stat);
                let words: Vec<_> = words.iter().map(|word| quoted(&String::from_utf8_lossy(word))).collect();
                found.push(Leftover { pid: stat.pid, command: words.join(" "), job, stat });
            }
        }
        if !found.is_empty() {
            let adopted = self.adopted().await?;
            found.retain(|leftover| !adopted.contains(&leftover.pid));
        }
        Ok(found)
    }

    /// Returns the processes of adopted jobs: their environment may name an earlier job, which started them.
    async fn adopted(&self) -> Result<HashSet<i32>> {
        let query = Query::default().with_statuses(vec![Status::Running, Status::Paused]).with_limit(None);
        let jobs = self.list_here(&query).await?.jobs.into_iter();
        let mains =
            jobs.filter_map(|job| Some((job.id, job.spec.adopts.as_ref()?.process.clone()))).collect::<Vec<_>>();
        let members = move |_| async move {
            let members = mains.iter().flat_map(|(id, main)| visible_members(Some(main), *id));
            Ok(members.map(|stat| stat.pid).collect())
        };
        self.offload(members).await
    }

    /// Ends these processes: asks them to, and kills those that are left after `grace`. Returns those that are left
    /// even then.
    pub async fn end_leftovers(&self, leftovers: Vec<Leftover>, grace: Duration) -> Vec<Leftover> {
        let mut left = leftovers;
        for (signals, patience) in [(&[Signal::TERM, Signal::CONT] as &[_], grace), (&[Signal::KILL], LOOK_AGAIN * 20)]
        {
            for leftover in &left {
                pausing::thaw(std::slice::from_ref(&leftover.stat), &freezer(leftover.job.id));
                for signal in signals {
                    let _ = process::signal(&leftover.stat, *signal);
                }
            }
            let deadline = tokio::time::Instant::now() + patience;
            while !left.is_empty() {
                left.retain(Leftover::is_there);
                if left.is_empty() || tokio::time::Instant::now() >= deadline {
                    break;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
        left
    }
}

impl Leftover {
    fn is_there(&self) -> bool {
        let now = Stat::read(self.pid);
        now.is_some_and(|now| now.start_time == self.stat.start_time && !now.is_dead())
    }
}

/// Returns the processes that carry the id of a job, except supervisors and this process.
fn marked() -> Vec<(Stat, JobId)> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let living = stat::all().into_iter().filter(|stat| stat.pid != own && !stat.is_dead());
    let marked = living.filter_map(|stat| Some((stat.clone(), stat::variable(&stat, JOB_ID)?.parse().ok()?)));
    marked.filter(|(stat, _)| !is_other_supervisor(stat)).collect()
}
