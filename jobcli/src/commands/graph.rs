use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

use jobcore::front::{Failures, Settings};
use jobcore::queue::{After, AfterWhen};
use jobcore::{Job, JobId, JobManager, Query, escape};

use super::Result;
use super::select::{Asked, Which, asked};
use crate::cli::Graph;

pub(super) async fn run(jobs: &JobManager, settings: &Settings, arguments: Graph) -> Result {
    let mut failures = Failures::default();
    let Graph { ids, dot, selection } = &arguments;
    let all = ids.is_empty() && !selection.is_given();
    let wanted = Asked { references: ids, selection, all, which: if all { Which::Unfinished } else { Which::All } };
    let asked = asked(jobs, settings, &wanted, &mut failures).await?;
    let network = Network::around(jobs, &asked).await?;
    let text = if *dot { network.to_dot() } else { network.to_tree() };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::from(failures.code().unwrap_or_default()))
}

/// Jobs, and which of them start after which.
struct Network {
    jobs: BTreeMap<JobId, Job>,
    /// The jobs that start after each job.
    followers: BTreeMap<JobId, Vec<(JobId, AfterWhen)>>,
}

impl Network {
    /// Returns the given jobs and all jobs connected with them.
    async fn around(jobs: &JobManager, ids: &[JobId]) -> Result<Self> {
        // A job only starts after jobs that were submitted before it.
        let first = ids.iter().min().map(|id| id.minted_at());
        let later = jobs.list(&Query::default().with_times(first, None)).await?.jobs;
        let (mut found, mut open) = (BTreeMap::new(), ids.to_vec());
        while let Some(id) = open.pop() {
            if found.contains_key(&id) {
                continue;
            }
            // A job that has been removed is no longer waited for.
            let Ok(job) = jobs.job(id).await else { continue };
            open.extend(job.spec.after.iter().map(|after| after.job_id));
            let waits_for_it = |other: &&Job| other.spec.after.iter().any(|after| after.job_id == id);
            open.extend(later.iter().filter(waits_for_it).map(|other| other.id));
            found.insert(id, job);
        }
        let mut followers: BTreeMap<JobId, Vec<_>> = BTreeMap::new();
        for job in found.values() {
            for After { job_id, when, .. } in &job.spec.after {
                followers.entry(*job_id).or_default().push((job.id, *when));
            }
        }
        Ok(Self { jobs: found, followers })
    }

    /// Draws each job below the first job that it starts after. At other places, only its label is drawn.
    fn to_tree(&self) -> String {
        let (mut text, mut drawn) = (String::new(), BTreeSet::new());
        for job in self.jobs.values() {
            if !job.spec.after.iter().any(|after| self.jobs.contains_key(&after.job_id)) {
                self.draw(job, "", "", None, &mut drawn, &mut text);
            }
        }
        text
    }

    fn draw(
        &self,
        job: &Job,
        first: &str,
        rest: &str,
        when: Option<AfterWhen>,
        drawn: &mut BTreeSet<JobId>,
        text: &mut String,
    ) {
        let when = when.filter(|when| *when != AfterWhen::Ended).map(|when| format!("[{when}] ")).unwrap_or_default();
        let is_new = drawn.insert(job.id);
        let line = job.shape(job.submitted_at).command_line();
        let command = if is_new { format!("  {}", escape::one_line(&line)) } else { " (see above)".to_owned() };
        // Writing to a String does not fail.
        let _ = writeln!(text, "{first}{when}{}  {}{command}", job.label(), job.status());
        if !is_new {
            return;
        }
        let followers = self.followers.get(&job.id).map(Vec::as_slice).unwrap_or_default();
        for (index, (id, when)) in followers.iter().enumerate() {
            let is_last = index + 1 == followers.len();
            let (branch, line) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let (first, rest) = (format!("{rest}{branch}"), format!("{rest}{line}"));
            self.draw(&self.jobs[id], &first, &rest, Some(*when), drawn, text);
        }
    }

    fn to_dot(&self) -> String {
        let mut text = "digraph jobs {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
        for job in self.jobs.values() {
            let label = format!("{}\n{}", job.label(), job.status());
            let _ = writeln!(text, "  {:?} [label={label:?}];", job.id.short());
        }
        for (id, followers) in &self.followers {
            // A job that has been removed is drawn by its id.
            for (follower, when) in followers {
                let _ = writeln!(text, "  {:?} -> {:?} [label={:?}];", id.short(), follower.short(), when.as_str());
            }
        }
        text.push_str("}\n");
        text
    }
}
