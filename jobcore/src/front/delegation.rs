//! What the settings say of a run of an agent, where whoever asks for it does not.

use std::path::PathBuf;

use super::{Settings, caller};
use crate::agent::{AGENT_OUTPUT_LIMIT, Agent, AgentRun, Delegation, PermissionMode};
use crate::spec::Stragglers;
use crate::{Error, JobManager, JobSpecBuilder};

/// What whoever asks says of it.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The agent, by its name.
    pub agent: Option<String>,
    /// What to do.
    pub prompt: String,
    /// Where.
    pub cwd: Option<PathBuf>,
    /// What it may do.
    pub permission_mode: Option<PermissionMode>,
    /// The conversation to go on with.
    pub resume: Option<String>,
}

impl Settings {
    /// Returns the agent to ask, and what: a conversation goes on with the agent that had it, where it was, and as it did,
    /// unless something else is asked for. `current` finds the directory from which paths are looked at, if that is
    /// needed.
    ///
    /// # Errors
    /// If there is no agent of that name, and those of `current`.
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

    /// Gives a run what is set here for all jobs, but for the limit of their output: it would cut off what the run came to.
    /// What an agent leaves behind is stopped in any case: nobody asked for that.
    pub fn apply_to_run(&self, spec: JobSpecBuilder) -> JobSpecBuilder {
        self.apply(spec).output_limit(AGENT_OUTPUT_LIMIT).stragglers(Stragglers::Stop)
    }
}

/// Returns the run that had a conversation, if that was a job, and where it was.
async fn earlier_run(jobs: &JobManager, reference: &str) -> Option<(AgentRun, PathBuf)> {
    let job = jobs.job(caller::find(jobs, reference).await.ok()?).await.ok()?;
    Some((job.agent_run()?, job.spec.cwd))
}
