//! Proves that jobs work here, in this store and on this machine, and says what is degraded.
//!
//! What can be tried is tried, with real jobs: a promise that was kept a moment ago says more than a version number. What
//! cannot be tried, since it would take a logout or a full disk, is read from where the system tells it.

// In the order in which to read them:
// - `report.rs`: what was found, and how good it is
// - `store.rs`, `machine.rs`, `systemd.rs`: what is looked at
// - `bench.rs`, `proofs.rs`: real jobs, and what is proven by them

mod bench;
mod machine;
mod proofs;
mod report;
mod store;
mod systemd;

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
use bench::{Bench, PATIENCE};
use machine::Machine;
use proofs::Submitter;
use report::Doubt;

pub use bench::LABEL;
pub use report::{Health, Report, Step};

/// Looks at a store and at the machine.
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
    /// Gives the jobs by which things are proven this environment: `sh`, `sleep` and `setsid` are looked for in its
    /// `PATH`.
    #[must_use]
    pub fn with_environment(self, environment: Environment) -> Self {
        Self { environment, ..self }
    }

    /// Has a job submitted by a process of its own, which is then killed: that a job outlives its submitter cannot be
    /// proven by one who lives on.
    ///
    /// `command` returns a program that submits such a job (the shell line, the shell, the labels and the timeout count)
    /// to the same store, prints its full id as the first line of its standard output, and then stays.
    #[must_use]
    pub fn with_submitter(self, command: impl Fn(&JobSpec) -> Command + Send + Sync + 'static) -> Self {
        Self { submitter: Some(Arc::new(command)), ..self }
    }

    /// Says which job this program runs in.
    #[must_use]
    pub fn with_own_job(self, own_job: Option<JobId>) -> Self {
        Self { own_job, ..self }
    }

    /// Looks at everything. `jobs` is the store with its runner, or why it could not be opened: a step of its own.
    ///
    /// Takes less than a second where all is well, and is bounded where it is not: each step has some seconds. The jobs
    /// that it runs have the label [`LABEL`]; they are stopped and removed, whatever becomes of the steps. The events of
    /// the store tell of them. Other jobs are not touched.
    pub async fn examine(&self, jobs: Result<JobManager>) -> Report {
        let mut report = Report::default();
        let (mut max_running, mut guard) = (0, Vec::new());
        match jobs {
            // That a store cannot be made for want of room is a matter of room.
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
            let detail = "it is in memory: jobs and their output end with this program";
            report.add("store", Err(Doubt::degraded(detail).advise("use a store of files")));
            return;
        };
        store::examine(root, report);
        // A job that was lost from the queue is put back when it is looked at: this looks at all queued jobs.
        if let Err(error) = jobs.list(&Query::default().with_statuses(vec![Status::Queued])).await {
            tracing::debug!(%error, "jobs that wait could not be looked at");
        }
        let failed = report.failed().next().map(|step| step.name);
        if let Some(name) = failed {
            let detail = format!("nothing was proven, since `{name}` failed");
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
