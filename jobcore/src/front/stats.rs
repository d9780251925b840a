//! What jobs did over a time: how many, how they ended, how long they took, and how the runs of one name compare.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::id::JobId;
use crate::job::Job;
use crate::state::Status;

/// How many earlier runs it takes to say what is usual.
const ENOUGH: usize = 5;
/// How many of the last runs of a name are listed.
const LAST: usize = 20;

/// What the jobs of a selection did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Statistics {
    /// How many there are.
    pub jobs: usize,
    /// How many have each status; only those that occur.
    pub statuses: BTreeMap<Status, usize>,
    /// How long they ran.
    pub ran: Sum,
    /// How long they were queued until they were started. Jobs that had to wait for a time or for other jobs count too.
    pub queued: Sum,
    /// How much they wrote, in bytes.
    pub output_bytes: u64,
    /// The job that wrote most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most_output: Option<JobId>,
    /// How much that wrote, in bytes.
    pub most_output_bytes: u64,
    /// The runs of each name, the most time first. Jobs without a name are counted by the first line of their command.
    pub names: Vec<Runs>,
}

/// Times added up, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Sum {
    /// All together.
    pub total_ms: u64,
    /// The median.
    pub median_ms: u64,
    /// The longest.
    pub longest_ms: u64,
    /// The job with the longest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest: Option<JobId>,
}

/// The runs of one name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Runs {
    /// The name, or the command of jobs without one.
    pub name: String,
    /// How many there are.
    pub runs: usize,
    /// How many of them failed or timed out.
    pub failed: usize,
    /// How long they ran.
    pub ran: Sum,
    /// How long the last of them ran, in milliseconds, the oldest first: at most 20.
    pub last_ms: Vec<u64>,
}

impl Statistics {
    /// Sums up jobs. `now` ends the time of those that are running.
    pub fn of(jobs: &[Job], now: Timestamp) -> Self {
        let ran: Vec<_> = jobs.iter().filter_map(|job| Some((job, millis(ran(job, now)?)))).collect();
        let queued =
            jobs.iter().filter_map(|job| Some((job, job.state.started_at()?.duration_since(job.submitted_at))));
        let queued: Vec<_> = queued.map(|(job, time)| (job, millis(time.try_into().unwrap_or_default()))).collect();
        let count = |status| jobs.iter().filter(|job| job.status() == status).count();
        let statuses = Status::ALL.into_iter().map(|status| (status, count(status))).filter(|(_, count)| *count > 0);
        let mut by_name = BTreeMap::<String, Vec<(&Job, u64)>>::new();
        for (job, time) in &ran {
            by_name.entry(name_of(job)).or_default().push((job, *time));
        }
        let mut names: Vec<_> = by_name.into_iter().map(|(name, runs)| Runs::of(name, runs)).collect();
        names.sort_by(|one, other| other.ran.total_ms.cmp(&one.ran.total_ms).then_with(|| one.name.cmp(&other.name)));
        let most = jobs.iter().max_by_key(|job| job.output.bytes).filter(|job| job.output.bytes > 0);
        Self {
            jobs: jobs.len(),
            statuses: statuses.collect(),
            ran: Sum::of(&ran),
            queued: Sum::of(&queued),
            output_bytes: jobs.iter().map(|job| job.output.bytes).sum(),
            most_output: most.map(|job| job.id),
            most_output_bytes: most.map(|job| job.output.bytes).unwrap_or_default(),
            names,
        }
    }
}

impl Runs {
    fn of(name: String, mut runs: Vec<(&Job, u64)>) -> Self {
        runs.sort_by_key(|(job, _)| job.state.started_at());
        let failed = |job: &Job| matches!(job.status(), Status::Failed | Status::TimedOut);
        Self {
            name,
            runs: runs.len(),
            failed: runs.iter().filter(|(job, _)| failed(job)).count(),
            ran: Sum::of(&runs),
            last_ms: runs.iter().skip(runs.len().saturating_sub(LAST)).map(|(_, time)| *time).collect(),
        }
    }
}

impl Sum {
    fn of(times: &[(&Job, u64)]) -> Self {
        let longest = times.iter().max_by_key(|(_, time)| *time);
        Self {
            total_ms: times.iter().map(|(_, time)| time).sum(),
            median_ms: median(times.iter().map(|(_, time)| *time).collect()).unwrap_or_default(),
            longest_ms: longest.map(|(_, time)| *time).unwrap_or_default(),
            longest: longest.map(|(job, _)| job.id),
        }
    }
}

/// How long a job usually takes, compared with one run of it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Usual {
    /// The median time of the earlier runs.
    pub time: Duration,
    /// How many earlier runs there are.
    pub runs: usize,
    /// How many times as long this run took.
    pub ratio: f64,
}

impl Usual {
    /// Compares a job with its earlier runs that completed; nothing if there are fewer than five of them, or it was not started.
    pub fn of(job: &Job, others: &[Job], now: Timestamp) -> Option<Self> {
        let earlier = others.iter().filter(|other| other.id < job.id && other.status() == Status::Completed);
        let times: Vec<_> = earlier.filter_map(|other| Some(millis(ran(other, now)?))).collect();
        let (runs, own) = (times.len(), millis(ran(job, now)?));
        let usual = median(times).filter(|_| runs >= ENOUGH)?;
        #[expect(clippy::cast_precision_loss, reason = "no time is so long")]
        let ratio = own as f64 / usual.max(1) as f64;
        Some(Self { time: Duration::from_millis(usual), runs, ratio })
    }
}

/// Returns times as a row of bars, each as high as its part of the longest.
pub fn sparkline(times: &[u64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let longest = times.iter().copied().max().unwrap_or_default().max(1);
    let steps = BARS.len() as u64 - 1;
    let bar = |time: &u64| BARS[usize::try_from((time * steps + longest / 2) / longest).unwrap_or_default()];
    times.iter().map(bar).collect()
}

fn ran(job: &Job, now: Timestamp) -> Option<Duration> {
    let until = job.state.outcome().map_or(now, |outcome| outcome.ended_at);
    Some(Duration::try_from(until.duration_since(job.state.started_at()?)).unwrap_or_default())
}

fn name_of(job: &Job) -> String {
    match &job.spec.name {
        Some(name) => name.to_string(),
        None => job.spec.command.line().lines().next().unwrap_or_default().to_owned(),
    }
}

fn median(mut times: Vec<u64>) -> Option<u64> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::OutputSize;
    use crate::spec::JobSpec;
    use crate::state::{Cause, End, Outcome, Run, State};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).unwrap()
    }

    /// A job that was submitted at a time, started a second later and ran for some seconds; with an exit code if it has ended.
    fn job(name: Option<&str>, submitted: i64, seconds: i64, code: Option<i32>) -> Job {
        let mut spec = JobSpec::shell("make all\nmake test");
        if let Some(name) = name {
            spec = spec.name(name.parse().unwrap());
        }
        let started_at = Some(at(submitted + 1));
        let state = match code {
            Some(code) => {
                let mut outcome = Outcome::new(Cause::Exited, at(submitted + 1 + seconds));
                outcome.exit_code = Some(code);
                State::Ended(End { started_at, outcome })
            }
            None => State::Running(Run { started_at, supervised: true }),
        };
        let id = JobId::mint(at(submitted), &crate::clock::SystemRandom).unwrap();
        let output = OutputSize::new(u64::try_from(seconds).unwrap(), 0);
        Job { output, ..Job::sample(id, at(submitted), spec.build().unwrap(), state) }
    }

    #[test]
    fn jobs_are_summed_up_by_name() {
        let jobs = [
            job(Some("test"), 30, 9, Some(1)),
            job(Some("test"), 10, 3, Some(0)),
            job(Some("test"), 20, 4, Some(0)),
            job(None, 40, 0, None),
        ];
        let stats = Statistics::of(&jobs, at(43));
        assert_eq!(stats.jobs, 4);
        let statuses = BTreeMap::from([(Status::Running, 1), (Status::Completed, 2), (Status::Failed, 1)]);
        assert_eq!(stats.statuses, statuses);
        assert_eq!((stats.ran.total_ms, stats.ran.longest_ms, stats.ran.longest), (18_000, 9_000, Some(jobs[0].id)));
        assert_eq!((stats.queued.total_ms, stats.queued.median_ms), (4_000, 1_000));
        assert_eq!((stats.output_bytes, stats.most_output_bytes, stats.most_output), (16, 9, Some(jobs[0].id)));
        let [test, unnamed] = stats.names.as_slice() else { panic!("{:?}", stats.names) };
        assert_eq!((test.name.as_str(), test.runs, test.failed, test.ran.median_ms), ("test", 3, 1, 4_000));
        assert_eq!(test.last_ms, [3_000, 4_000, 9_000], "in the order in which they were started");
        assert_eq!((unnamed.name.as_str(), unnamed.ran.total_ms), ("make all", 2_000), "until now");
        assert_eq!(Statistics::of(&[], at(0)), Statistics::default());
    }

    #[test]
    fn a_run_is_compared_with_five_earlier_ones_that_completed() {
        let mut jobs: Vec<_> = (0..4).map(|run| job(Some("test"), run * 10, 4, Some(0))).collect();
        jobs.push(job(Some("test"), 40, 9, Some(1)));
        let own = job(Some("test"), 100, 8, Some(0));
        assert_eq!(Usual::of(&own, &jobs, at(200)), None, "one of the five has failed");
        jobs.push(job(Some("test"), 50, 4, Some(0)));
        jobs.push(job(Some("test"), 150, 1, Some(0)));
        let usual = Usual::of(&own, &jobs, at(200)).unwrap();
        assert_eq!((usual.time, usual.runs, usual.ratio), (Duration::from_secs(4), 5, 2.0));
    }

    #[test]
    fn bars_are_as_high_as_the_times_are_long() {
        assert_eq!(sparkline(&[0, 50, 100]), "▁▅█");
        assert_eq!(sparkline(&[7, 7]), "██");
        assert_eq!((sparkline(&[]), sparkline(&[0])), (String::new(), "▁".to_owned()));
    }
}
