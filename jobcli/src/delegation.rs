//! What the settings say of a run of an agent, where whoever asks for it does not.

use std::path::{Path, PathBuf};

use jobcore::agent::AGENT_OUTPUT_LIMIT;
use jobcore::{Agent, Delegation, JobManager, JobSpecBuilder, PermissionMode};

use crate::settings::Settings;

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
    /// Returns the agent to ask, and what: a conversation goes on with the agent that had it, and where it was. `current` is
    /// the directory from which paths are looked at.
    ///
    /// # Errors
    /// If there is no agent of that name.
    pub async fn delegation(
        &self,
        jobs: &JobManager,
        asked: Asked,
        current: &Path,
    ) -> jobcore::Result<(&Agent, Delegation)> {
        let (mut agent, mut cwd) = (asked.agent, asked.cwd);
        if let Some(reference) = &asked.resume {
            if agent.is_none() {
                agent = agent_of(jobs, reference).await;
            }
            if cwd.is_none() {
                cwd = jobs.directory_of_conversation(reference).await;
            }
        }
        let agent = self.agents.get(agent.as_ref().unwrap_or(&self.agent))?;
        let cwd = cwd.or_else(|| self.agent_cwd.clone()).map_or_else(|| current.to_owned(), |cwd| current.join(cwd));
        let mut delegation = Delegation::new(asked.prompt, cwd);
        delegation.permission_mode = asked.permission_mode.unwrap_or(self.permission_mode);
        delegation.resume = asked.resume;
        Ok((agent, delegation))
    }

    /// Gives a run what is set here for all jobs, but for the limit of their output: it would cut off what the run came to.
    pub fn apply_to_run(&self, spec: JobSpecBuilder) -> JobSpecBuilder {
        self.apply(spec).output_limit(AGENT_OUTPUT_LIMIT)
    }
}

/// Returns the agent that had a conversation, if that was a job.
async fn agent_of(jobs: &JobManager, reference: &str) -> Option<String> {
    let id = jobs.find(reference).await.ok()?;
    jobs.job(id).await.ok()?.spec.agent.map(|run| run.agent)
}
