//! Defaults from the settings for agent runs.

use std::path::PathBuf;

use super::{Settings, caller};
use crate::agent::{AGENT_OUTPUT_LIMIT, Agent, AgentRun, Delegation, PermissionMode};
use crate::spec::Stragglers;
use crate::{Error, JobManager, JobSpecBuilder};

/// The explicit values of a request for an agent run.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The name of the agent.
    pub agent: Option<String>,
    /// The task.
    pub prompt: String,
    /// The working directory.
    pub cwd: Option<PathBuf>,
    /// The permission mode.
    pub permission_mode: Option<PermissionMode>,
    /// The conversation to resume.
    pub resume: Option<String>,
}

impl Settings {
    /// Returns the agent and its task. A resumed conversation continues with the same agent, in the same directory and
    /// with the same settings unless the request has other values. `current` returns the directory that relative paths
    /// are resolved against, if that is needed.
    ///
    /// # Errors
    /// If there is no such agent, and those of `current`.
    pub async fn delegation(
        &self,
        jobs: &JobManager,
        asked: Asked,
        current: impl FnOnce() -> crate::Result<PathBuf>,
    ) -> crate::Result<(&Agent, Delegation)> {
        let earlier = match &asked.resume {
            Some(reference) => earlier_run(jobs, reference).await,
            None => None,
        };
        let name = asked.agent.as_ref().or(earlier.as_ref().map(|(run, _)| &run.agent)).unwrap_or(&self.agent);
        let agent = self.agents.get(name)?;
        if asked.cwd.as_ref().is_some_and(|cwd| cwd.as_os_str().is_empty()) {
            let reason = "it is empty; leave it out for the current directory".to_owned();
            return Err(Error::InvalidSpec { field: "cwd", reason });
        }
        let cwd = asked.cwd.or_else(|| earlier.as_ref().map(|(_, cwd)| cwd.clone()));
        let cwd = match cwd.or_else(|| self.agent_cwd.clone()) {
            Some(cwd) if cwd.is_absolute() => cwd,
            Some(cwd) => current()?.join(cwd),
            None => current()?,
        };
        let mut delegation = Delegation::new(asked.prompt, cwd);
        delegation.permission_mode = self.permission_mode;
        if let Some((run, _)) = &earlier {
            delegation.go_on(run);
        }
        delegation.permission_mode = asked.permission_mode.unwrap_or(delegation.permission_mode);
        delegation.resume = asked.resume;
        Ok((agent, delegation))
    }

    /// Applies the settings for all jobs to a run, except the output limit, which could cut off the result. Stragglers
    /// of an agent are always stopped, because no user asked for them.
    pub fn apply_to_run(&self, spec: JobSpecBuilder) -> JobSpecBuilder {
        self.apply(spec).output_limit(AGENT_OUTPUT_LIMIT).stragglers(Stragglers::Stop)
    }
}

/// Returns the run of an earlier conversation and its directory, if it was a job.
async fn earlier_run(jobs: &JobManager, reference: &str) -> Option<(AgentRun, PathBuf)> {
    let job = jobs.job(caller::find(jobs, reference).await.ok()?).await.ok()?;
    Some((job.agent_run()?, job.spec.cwd))
}
