//! Runs of coding agents: the preconditions of a run, and its worktree and conversation.

use crate::agent::{
    AGENT_DEPTH, AGENTS, Agent, AgentError, AgentRun, Delegation, NewWorktree, REPOSITORY_VARIABLES, Worktree,
    WorktreeNames,
};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::program;
use crate::spec::{JobSpec, JobSpecBuilder};
use crate::sys::members;

use super::JobManager;

impl JobManager {
    /// Submits a job that runs an agent. When this returns, the job is on record and either has a holder or is queued.
    /// `environment` becomes that of the job, and `described` adds details such as a name; a requested worktree is part
    /// of its spec.
    ///
    /// # Errors
    /// Whatever can be known beforehand is refused here, and leaves nothing behind: [`AgentError::Refused`] if the
    /// agent is not installed, would fail at once, or is forbidden by the settings of the store; [`Error::InvalidSpec`]
    /// for a request that the agent does not support; [`AgentError::Git`] for a worktree that cannot be made; and
    /// whatever [`JobManager::submit`] refuses.
    pub async fn delegate(
        &self,
        agent: &Agent,
        mut asked: Delegation,
        environment: Environment,
        described: impl FnOnce(JobSpecBuilder) -> JobSpecBuilder,
    ) -> Result<Job> {
        if let Some(reference) = asked.resume.take() {
            asked.resume = Some(self.conversation(agent, &reference, &asked).await?);
        }
        let mut spec = described(agent.spec(&asked, environment)?).build()?;
        self.deepen(&mut spec).await?;
        self.check_conversation(agent, &asked, &spec).await?;
        self.check_agent(agent, &asked, &spec).await?;
        match asked.worktree {
            None => self.submit_run(spec).await,
            Some(worktree) => {
                if let Some(job) = self.same_call(&spec).await? {
                    return Ok(job);
                }
                let (wanted, environment) = (spec.clone(), spec.environment.clone());
                let made = self.move_into_worktree(&mut spec, &worktree).await?;
                let submitted = match self.submit_run(spec).await {
                    // Another call submitted it meanwhile.
                    Err(Error::KeyTaken { key, id }) => {
                        self.same_call(&wanted).await.and_then(|job| job.ok_or(Error::KeyTaken { key, id }))
                    }
                    submitted => submitted,
                };
                if submitted.as_ref().ok().and_then(worktree_of).as_ref() != Some(&made)
                    && let Err(error) = made.remove(&environment).await
                {
                    tracing::warn!(path = %made.path.display(), %error, "a worktree without a job was not removed");
                }
                submitted
            }
        }
    }

    /// Submits a run. To the caller, the limit of its group is a limit on agents.
    async fn submit_run(&self, spec: JobSpec) -> Result<Job> {
        self.submit(spec).await.map_err(|error| match error {
            Error::TooFast { group, limit, retry_after } if group.as_str() == AGENTS => {
                AgentError::TooFast { limit, retry_after }.into()
            }
            error => error,
        })
    }

    /// Removes the git worktree that was made for a job that has ended, and its branch.
    ///
    /// # Errors
    /// [`AgentError::WouldLose`] if that would lose work, unless `force` is set; [`Error::Refused`] if another job runs
    /// in the worktree, or the job has none; [`Error::StillLive`], [`Error::StragglersLeft`], [`Error::NotFound`],
    /// [`AgentError::Git`].
    pub async fn remove_worktree(&self, id: JobId, force: bool, environment: &Environment) -> Result<()> {
        self.check_removable(id).await?;
        let refuse = |reason: String| Err(Error::Refused { id, reason });
        let job = self.job(id).await?;
        let Some(worktree) = worktree_of(&job) else { return refuse("no worktree was made for it".to_owned()) };
        let load = self.store.load().await?;
        for slot in load.running.iter().chain(&load.waiting) {
            // A job that was removed does not need it.
            let Ok(other) = self.job(slot.id).await else { continue };
            if !other.status().is_final() && other.spec.cwd.starts_with(&worktree.path) {
                return refuse(format!("job {} is {} in its worktree", other.label(), other.status()));
            }
        }
        if !force && let Some(losses) = worktree.losses(environment).await? {
            let Worktree { path, branch, .. } = worktree;
            let reason = format!("its worktree `{}`, branch `{branch}`, has {losses}", path.display());
            return Err(AgentError::WouldLose { id, reason }.into());
        }
        worktree.remove(environment).await
    }

    /// Nests the run below the agent run that this program descends from. The environment may not show it: some agents
    /// start their MCP servers with hardly any.
    async fn deepen(&self, spec: &mut JobSpec) -> Result<()> {
        let line = members::own_line();
        let mut depth = 0;
        for slot in self.store.load().await?.running {
            // A job that was removed or cannot be read did not start this program.
            let Ok(job) = self.job(slot.id).await else { continue };
            if let (Some(run), Some(pid)) = (job.agent_run(), job.pid)
                && line.contains(&pid)
            {
                depth = depth.max(run.depth);
            }
        }
        if spec.agent_run().is_some_and(|run| run.depth <= depth) {
            spec.change_agent_run(|run| run.depth = depth + 1);
            spec.environment.set(AGENT_DEPTH, (depth + 1).to_string());
        }
        Ok(())
    }

    /// Refuses what would fail at once.
    async fn check_agent(&self, agent: &Agent, asked: &Delegation, spec: &JobSpec) -> Result<()> {
        let refused = |reason: String| Error::from(AgentError::Refused { agent: agent.name.clone(), reason });
        program::check(&mut spec.clone()).map_err(|error| match error {
            Error::ProgramNotFound { .. } | Error::NotExecutable { .. } => {
                refused(format!("{error}; {}", agent.remedy()))
            }
            error => error,
        })?;
        if let Some(path) = asked.add_dirs.iter().find(|path| !path.is_dir()) {
            let reason = format!("`{}` is not a directory", path.display());
            return Err(Error::InvalidSpec { field: "add dir", reason });
        }
        self.check_permitted(spec).await?;
        agent.obstacle(asked, &spec.environment).map_or(Ok(()), |reason| Err(refused(reason)))
    }

    /// Creates a worktree and moves the job into it.
    async fn move_into_worktree(&self, spec: &mut JobSpec, wanted: &NewWorktree) -> Result<Worktree> {
        let other = self.mint(self.clock.now())?.short();
        let name = spec.name.as_ref().map_or(other.as_str(), |name| name.as_str()).to_owned();
        let branch = wanted.branch.as_deref();
        let name = branch.map_or(name, |branch| branch.replace('/', "-"));
        let names = WorktreeNames { name: &name, other: &other, branch };
        let (made, cwd) = Worktree::create(&spec.cwd, names, &spec.environment).await?;
        for variable in REPOSITORY_VARIABLES {
            spec.environment.remove(variable);
        }
        spec.environment.enter(&cwd);
        spec.cwd = cwd;
        spec.change_agent_run(|run| run.worktree = Some(made.clone()));
        Ok(made)
    }

    /// Returns the run with the same key. A run that differs only in its worktree counts as the same.
    async fn same_call(&self, spec: &JobSpec) -> Result<Option<Job>> {
        let Some(key) = &spec.key else { return Ok(None) };
        let Some(id) = self.store.keyed(key).await? else { return Ok(None) };
        let job = self.job(id).await?;
        let at = std::fs::canonicalize(&spec.cwd).unwrap_or_else(|_| spec.cwd.clone());
        let is_there = worktree_of(&job).is_some_and(|worktree| at.starts_with(&worktree.repository));
        let what = |spec: &JobSpec| (spec.command.clone(), without_worktree(spec));
        match is_there && what(&job.spec) == what(spec) {
            true => Ok(Some(job)),
            false => Err(Error::KeyTaken { key: key.clone(), id }),
        }
    }

    /// Refuses to continue a conversation that another run is using, or that the agent would not find.
    async fn check_conversation(&self, agent: &Agent, asked: &Delegation, spec: &JobSpec) -> Result<()> {
        let Some(session) = &asked.resume else { return Ok(()) };
        let load = self.store.load().await?;
        for slot in load.running.iter().chain(&load.waiting) {
            let Ok(job) = self.job(slot.id).await else { continue };
            let Some(run) = job.agent_run().filter(|run| run.agent == agent.name) else { continue };
            let is_same_call = spec.key.is_some() && job.spec.key == spec.key;
            if is_same_call || job.status().is_final() {
                continue;
            }
            let has_it = run.resumes.as_ref() == Some(session)
                || self.digest(job.id, run.format).await?.session_id.as_ref() == Some(session);
            if has_it {
                let reason = "it is using this conversation; wait until it has ended, then continue".to_owned();
                return Err(Error::Refused { id: job.id, reason });
            }
        }
        Ok(())
    }

    /// Returns the agent's id of the conversation to continue, which may be given as the job that had it.
    async fn conversation(&self, agent: &Agent, reference: &str, asked: &Delegation) -> Result<String> {
        let found = match self.find(reference).await {
            Ok(id) => self.job(id).await,
            Err(error) => Err(error),
        };
        let job = match found {
            Ok(job) => job,
            Err(Error::NotFound { .. }) if agent.is_session(reference) => return Ok(reference.to_owned()),
            Err(error) => return Err(error),
        };
        let run = match job.agent_run() {
            Some(run) if run.agent == agent.name => run,
            Some(run) => {
                let reason = format!("it is a run of `{}`, and no other agent can resume it", run.agent);
                return Err(Error::Refused { id: job.id, reason });
            }
            None => return Err(Error::Refused { id: job.id, reason: "it is not an agent run".to_owned() }),
        };
        if !job.status().is_final() {
            let reason = "it is still running; wait until it has ended, then continue".to_owned();
            return Err(Error::Refused { id: job.id, reason });
        }
        if agent.stays_where_it_was() && (asked.worktree.is_some() || asked.cwd != job.spec.cwd) {
            let reason = format!("`{}` finds its conversation only in `{}`", agent.name, job.spec.cwd.display());
            return Err(Error::Refused { id: job.id, reason });
        }
        // A run that resumed a conversation and was stopped before it reported anything keeps that conversation's id.
        let session = self.digest(job.id, run.format).await?.session_id.or(run.resumes);
        let reason = "it ended before it reported its conversation; there is nothing to resume";
        session.ok_or_else(|| Error::Refused { id: job.id, reason: reason.to_owned() })
    }
}

fn worktree_of(job: &Job) -> Option<Worktree> {
    job.agent_run()?.worktree
}

fn without_worktree(spec: &JobSpec) -> Option<AgentRun> {
    let mut run = spec.agent_run()?;
    run.worktree = None;
    Some(run)
}
