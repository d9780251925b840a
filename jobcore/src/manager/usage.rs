//! What agent runs cost.

use std::collections::HashMap;

use super::JobManager;
use crate::agent::{AGENTS, Digest, Spent, Usage};
use crate::error::{Error, Result};
use crate::store::Query;

impl JobManager {
    /// Returns what the matching agent runs used, the newest first. A CLI reports the usage of a resumed session
    /// including its earlier runs: that is subtracted, as far as the earlier runs are on record.
    ///
    /// # Errors
    /// If the store cannot be read. Runs whose records cannot be read are left out.
    pub async fn usage(&self, query: &Query) -> Result<Vec<Spent>> {
        let query = query.clone();
        self.offload(move |jobs| async move { jobs.usage_here(&query).await }).await
    }

    async fn usage_here(&self, query: &Query) -> Result<Vec<Spent>> {
        let mut all = self.list(&Query::default().with_group(AGENTS.parse().ok())).await?.jobs;
        // In the order of submission: a session continues where an earlier run ended.
        all.reverse();
        let mut sessions: HashMap<(String, String), (f64, Usage)> = HashMap::new();
        let mut spent = Vec::new();
        for job in all {
            let Some(run) = job.agent_run() else { continue };
            let digest = match self.digest(job.id, run.format).await {
                Ok(digest) => digest,
                Err(Error::NotFound { .. }) => continue,
                Err(error) => {
                    tracing::warn!(id = %job.id, %error, "the usage of an agent run cannot be read");
                    continue;
                }
            };
            let (agent, format) = (run.agent, run.format);
            // A run that was stopped may have been about to report.
            let at_least = digest.incomplete || !job.status().is_final() || digest.success.is_none();
            let Digest { cost_usd, usage, session_id, .. } = digest;
            let mut own = (cost_usd, usage);
            if let Some(id) = session_id {
                let before = sessions.entry((agent.clone(), id)).or_default();
                if format.sums_up_cost() {
                    own.0 = own.0.map(|cost| if cost < before.0 { cost } else { cost - before.0 });
                    // A run that failed at once may report that nothing was spent.
                    before.0 = before.0.max(cost_usd.unwrap_or_default());
                }
                if format.sums_up_usage() {
                    own.1 = usage.minus(before.1).unwrap_or(usage);
                    before.1 = if usage.is_empty() { before.1 } else { usage };
                }
            }
            if query.matches(&job) {
                spent.push(Spent { job, agent, cost_usd: own.0, usage: own.1, at_least });
            }
        }
        spent.reverse();
        Ok(spent)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::view::tests::block_on;
    use crate::agent::{AgentRun, Format, PermissionMode};
    use crate::runner::fake::{FakeRunner, Script};
    use crate::testing::ManualClock;
    use crate::{JobManager, JobSpec, MemoryStore, Query};

    /// What claude writes at the end of a run whose session has cost this much so far.
    fn result(cost: f64, tokens: u64) -> String {
        serde_json::json!({ "type": "result", "subtype": "success", "is_error": false, "result": "Done.",
            "session_id": "a", "total_cost_usd": cost, "modelUsage": { "m": { "inputTokens": tokens } } })
        .to_string()
            + "\n"
    }

    #[test]
    fn a_resumed_session_is_not_counted_twice() {
        block_on(async {
            let clock = Arc::new(ManualClock::default());
            let mut runner = FakeRunner::new(&clock);
            for (prompt, output) in [
                ("first", result(0.5, 100)),
                ("second", result(0.75, 150)),
                // It was stopped, and reported nothing.
                ("third", "{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"a\"}\n".to_owned()),
                ("fourth", result(1.0, 160)),
            ] {
                runner = runner.script(prompt, Script::new().stdout(output));
            }
            let jobs =
                JobManager::new(Arc::new(MemoryStore::new()), Arc::new(runner)).unwrap().with_clock(clock.clone());
            for prompt in ["first", "second", "third", "fourth"] {
                let run = AgentRun::new("claude", Format::Claude, PermissionMode::Edit, prompt);
                let spec = JobSpec::shell(prompt).agent(&run).label("for", prompt);
                let job = jobs.submit(spec.build().unwrap()).await.unwrap();
                jobs.wait_for(job.id).await.unwrap();
                clock.advance(std::time::Duration::from_secs(1));
            }
            let spent = jobs.usage(&Query::default()).await.unwrap();
            let figures: Vec<_> = spent.iter().map(|spent| (spent.cost_usd, spent.usage.input_tokens)).collect();
            let expected = [(Some(0.25), Some(10)), (None, None), (Some(0.25), Some(50)), (Some(0.5), Some(100))];
            assert_eq!(figures, expected);
            // The earlier cost is known although those runs do not match the query.
            let query = Query::default().with_labels(vec![("for".to_owned(), "fourth".to_owned())]);
            assert_eq!(jobs.usage(&query).await.unwrap()[0].cost_usd, Some(0.25));
        });
    }
}
