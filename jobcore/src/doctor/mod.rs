//! Tests that jobs work in this store and on this machine, and reports what is degraded.
//!
//! What can be tested is tested with real jobs: a promise that was kept a moment ago means more than a version number.
//! What cannot be tested, because it would take a logout or a full disk, is read from the system's own reports.

// In the order in which to read them:
// - `report.rs`: the findings and their health
// - `store.rs`, `machine.rs`, `systemd.rs`: what is examined without jobs
// - `bench.rs`, `proofs.rs`: real jobs, and what they prove

mod bench;
mod machine;
mod proofs;
mod report;
mod store;
mod systemd;

use std::collections::BTreeMap;
use std::fmt;
use std::process::Command;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::environment::Environment;
use crate::error::Result;
use crate::id::JobId;
use crate::manager::JobManager;
use crate::spec::JobSpec;
use crate::state::Status;
use crate::store::Query;
use crate::store::file::supervisors::version;
use crate::words::counted;
use bench::{Bench, PATIENCE};
use machine::Machine;
use proofs::Submitter;
use report::Doubt;

pub use bench::LABEL;
pub use report::{Health, Report, Step};

/// Examines a store and the machine.
///
/// ```no_run
/// # async fn look(jobs: jobcore::JobManager) {
/// use jobcore::doctor::{Doctor, Health};
///
/// let report = Doctor::default().examine(Ok(jobs)).await;
/// for step in report.steps.iter().filter(|step| step.result != Health::Ok) {
///     println!("{} is {}: {}", step.name, step.result, step.detail);
/// }
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Doctor {
    environment: Environment,
    submitter: Option<Submitter>,
    own_job: Option<JobId>,
}

impl fmt::Debug for Doctor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doctor")
            .field("environment", &self.environment)
            .field("submitter", &self.submitter.is_some())
            .field("own_job", &self.own_job)
            .finish()
    }
}

impl Doctor {
    /// Sets the environment of the test jobs: `sh`, `sleep` and `setsid` are looked up in its `PATH`.
    #[must_use]
    pub fn with_environment(self, environment: Environment) -> Self {
        Self { environment, ..self }
    }

    /// Lets a separate process submit a job and be killed afterwards: that a job outlives its submitter cannot be
    /// proven by a submitter that stays alive.
    ///
    /// `command` returns a program that submits such a job (the shell line, the shell, the labels and the timeout
    /// matter) to the same store, prints its full id as the first line of its standard output, and then stays.
    #[must_use]
    pub fn with_submitter(self, command: impl Fn(&JobSpec) -> Command + Send + Sync + 'static) -> Self {
        Self { submitter: Some(Arc::new(command)), ..self }
    }

    /// Sets the job that this program runs in.
    #[must_use]
    pub fn with_own_job(self, own_job: Option<JobId>) -> Self {
        Self { own_job, ..self }
    }

    /// Examines everything. `jobs` is the store with its runner, or the reason why it could not be opened, which
    /// becomes a step of its own.
    ///
    /// Takes less than a second if all is well, and is bounded if not: each step has a limit of some seconds. The jobs
    /// that it runs have the label [`LABEL`]; they are stopped and removed, whatever the outcome of the steps. They
    /// appear in the events of the store. Other jobs are not touched.
    pub async fn examine(&self, jobs: Result<JobManager>) -> Report {
        let mut report = Report::default();
        let (mut max_running, mut guard) = (0, Vec::new());
        match jobs {
            // If there is no room to create the store, report that as a matter of room.
            Err(error) if error.is_full() => report.add("room", Err(error.into())),
            Err(error) => report.add("store", Err(Doubt::from(error).advise(store::MAKE_WRITABLE))),
            Ok(jobs) => {
                if let Ok(settings) = jobs.store().settings().await {
                    (max_running, guard) = (settings.max_running, settings.guard);
                }
                self.examine_jobs(&jobs, &mut report).await;
            }
        }
        let machine = Machine::own();
        machine::examine(&machine, self.own_job, max_running, &mut report);
        if let Some(finding) = machine::guard(&machine, &guard) {
            report.add("guard", finding);
        }
        systemd::examine(&machine, &mut report);
        report
    }

    async fn examine_jobs(&self, jobs: &JobManager, report: &mut Report) {
        let Some(root) = jobs.store().directory() else {
            let detail = "it is in memory: jobs and their output are lost when this program ends";
            report.add("store", Err(Doubt::degraded(detail).advise("use a store of files")));
            return;
        };
        store::examine(root, report);
        // A job that is missing from the queue is put back when it is looked at: this looks at all queued jobs.
        if let Err(error) = jobs.list(&Query::default().with_statuses(vec![Status::Queued])).await {
            tracing::debug!(%error, "queued jobs could not be listed");
        }
        match supervisors(jobs).await {
            Ok(Some(found)) => report.add("supervisors", Ok(found)),
            Ok(None) => {}
            Err(error) => report.add("supervisors", Err(error.into())),
        }
        let failed = report.failed().next().map(|step| step.name);
        if let Some(name) = failed {
            let detail = format!("not tested, because `{name}` failed");
            report.add("jobs", Err(Doubt::degraded(detail)));
            return;
        }
        let mark = match jobs.mint(Timestamp::now()) {
            Ok(mark) => mark.to_string(),
            Err(error) => return report.add("jobs", Err(error.into())),
        };
        let bench = Bench { jobs, environment: &self.environment, mark, patience: PATIENCE };
        proofs::examine(&bench, self.submitter.as_ref(), report).await;
    }
}

/// Reports the versions of the supervisors of running jobs; nothing if there are none.
async fn supervisors(jobs: &JobManager) -> Result<Option<String>> {
    let running = Query::default().with_statuses(vec![Status::Running, Status::Paused]).with_limit(None);
    let mut versions = Vec::new();
    for job in jobs.list(&running).await?.jobs {
        let start = jobs.store().evidence(job.id).await?.start;
        // Jobs that run within another program have no supervisor.
        versions.extend(start.filter(|start| start.dedicated).map(|start| version(&start.holder)));
    }
    Ok(in_words(&versions, env!("CARGO_PKG_VERSION")))
}

/// Describes the versions of supervisors, which may be unknown, beside that of this program; nothing if there are none.
fn in_words(versions: &[Option<String>], own: &str) -> Option<String> {
    let mut others = BTreeMap::<_, u64>::new();
    for version in versions.iter().map(|version| version.as_deref().unwrap_or("unknown")) {
        if version != own {
            *others.entry(version).or_default() += 1;
        }
    }
    let all = counted(u64::try_from(versions.len()).unwrap_or(u64::MAX), "running job has a", "running jobs have a");
    let others: Vec<_> = others.into_iter().map(|(version, number)| format!("{number} of version {version}")).collect();
    match (versions, others.as_slice()) {
        ([], _) => None,
        (_, []) => Some(format!("{all} supervisor of this version ({own})")),
        _ => Some(format!("{all} supervisor, {}; this is {own}, and they continue", others.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supervisors_of_other_versions_are_counted() {
        let versions =
            |versions: &[&str]| versions.iter().map(|version| Some((*version).to_owned())).collect::<Vec<_>>();
        assert_eq!(in_words(&[], "0.2.0"), None);
        let words = in_words(&versions(&["0.2.0"]), "0.2.0").unwrap();
        assert_eq!(words, "1 running job has a supervisor of this version (0.2.0)");
        let mixed = [versions(&["0.2.0", "0.1.0", "0.1.0"]), vec![None]].concat();
        let words = in_words(&mixed, "0.2.0").unwrap();
        let expected = "4 running jobs have a supervisor, 2 of version 0.1.0, 1 of version unknown; this is 0.2.0, and they continue";
        assert_eq!(words, expected);
    }
}
