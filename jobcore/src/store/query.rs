//! Which jobs are wanted, and in what order.

use std::cmp::Ordering;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use jiff::SignedDuration;
use wildmatch::WildMatch;

use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::id::{IdPrefix, JobId};
use crate::job::Job;
use crate::name::Name;
use crate::parse_error::ParseError;
use crate::record::{Ended, Submission};
use crate::spec::JobSpec;
use crate::state::Status;

/// Which jobs to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Query {
    /// Only those with one of these statuses; all, if empty.
    pub statuses: Vec<Status>,
    /// Only those with this name.
    pub name: Option<Name>,
    /// Only those whose name matches this pattern.
    pub name_pattern: Option<NamePattern>,
    /// Only the one with this key.
    pub key: Option<String>,
    /// Only those whose command line contains this text; case is ignored.
    pub text: Option<String>,
    /// Only those that run in this directory.
    pub cwd: Option<PathBuf>,
    /// Only those that have all these labels; an empty value stands for any.
    pub labels: Vec<(String, String)>,
    /// Only those in this group.
    pub group: Option<Name>,
    /// Only those of this caller.
    pub caller: Option<Caller>,
    /// Only those of this project.
    pub project: Option<PathBuf>,
    /// Only those that were submitted at this time or later.
    pub since: Option<Timestamp>,
    /// Only those that were submitted before this time.
    pub until: Option<Timestamp>,
    /// Only those that were started within this period. A job that ended before the period is not one of them, whatever
    /// the clock said when it started.
    pub started: Period,
    /// Only those that ended within this period.
    pub ended: Period,
    /// Only those that exited with one of these codes; all, if empty.
    pub exit_codes: Vec<i32>,
    /// Only those whose id matches this partial id.
    pub prefix: Option<IdPrefix>,
    /// The order in which they are listed.
    pub order: Order,
    /// How many to leave out, from the first in this order.
    pub skip: usize,
    /// How many to list at most after that; all, if absent.
    pub limit: Option<usize>,
    /// Only those with processes that run or may run: jobs that have not ended, and those with stragglers.
    pub live: bool,
}

impl Query {
    /// Lists at most `limit` jobs.
    #[must_use]
    pub fn with_limit(self, limit: Option<usize>) -> Self {
        Self { limit, ..self }
    }

    /// Leaves out the first `skip` jobs that match: the newest, in the default order.
    #[must_use]
    pub fn with_skip(self, skip: usize) -> Self {
        Self { skip, ..self }
    }

    /// Lists only jobs with processes that run or may run.
    #[must_use]
    pub fn live(self) -> Self {
        Self { live: true, ..self }
    }

    /// Lists only jobs with one of these statuses.
    #[must_use]
    pub fn with_statuses(self, statuses: Vec<Status>) -> Self {
        Self { statuses, ..self }
    }

    /// Lists only jobs with this name.
    #[must_use]
    pub fn with_name(self, name: Option<Name>) -> Self {
        Self { name, ..self }
    }

    /// Lists only jobs whose name matches this pattern.
    #[must_use]
    pub fn with_name_pattern(self, pattern: Option<NamePattern>) -> Self {
        match pattern.as_ref().and_then(NamePattern::name) {
            // A store finds an exact name without opening jobs.
            Some(name) => self.with_name(Some(name)),
            None => Self { name_pattern: pattern, ..self },
        }
    }

    /// Lists only jobs whose command line contains this text; case is ignored.
    #[must_use]
    pub fn with_text(self, text: Option<String>) -> Self {
        Self { text, ..self }
    }

    /// Lists only jobs that run in this directory.
    #[must_use]
    pub fn with_cwd(self, cwd: Option<PathBuf>) -> Self {
        Self { cwd, ..self }
    }

    /// Lists only jobs that were started within this period.
    #[must_use]
    pub fn with_started(self, started: Period) -> Self {
        Self { started, ..self }
    }

    /// Lists only jobs that ended within this period.
    #[must_use]
    pub fn with_ended(self, ended: Period) -> Self {
        Self { ended, ..self }
    }

    /// Lists only jobs that exited with one of these codes.
    #[must_use]
    pub fn with_exit_codes(self, exit_codes: Vec<i32>) -> Self {
        Self { exit_codes, ..self }
    }

    /// Lists the jobs in this order.
    #[must_use]
    pub fn with_order(self, order: Order) -> Self {
        Self { order, ..self }
    }

    /// Lists only the job with this key.
    #[must_use]
    pub fn with_key(self, key: Option<String>) -> Self {
        Self { key, ..self }
    }

    /// Lists only jobs with all these labels.
    #[must_use]
    pub fn with_labels(self, labels: Vec<(String, String)>) -> Self {
        Self { labels, ..self }
    }

    /// Lists only jobs in this group.
    #[must_use]
    pub fn with_group(self, group: Option<Name>) -> Self {
        Self { group, ..self }
    }

    /// Lists only jobs of this caller.
    #[must_use]
    pub fn with_caller(self, caller: Option<Caller>) -> Self {
        Self { caller, ..self }
    }

    /// Lists only jobs of this project.
    #[must_use]
    pub fn with_project(self, project: Option<PathBuf>) -> Self {
        Self { project, ..self }
    }

    /// Lists only jobs that were submitted at `since` or later, and before `until`.
    #[must_use]
    pub fn with_times(self, since: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        Self { since, until, ..self }
    }

    /// Lists only jobs whose id matches this partial id.
    #[must_use]
    pub fn with_prefix(self, prefix: IdPrefix) -> Self {
        Self { prefix: Some(prefix), ..self }
    }

    /// Returns whether every job is wanted, the newest first.
    pub(crate) fn wants_all(&self) -> bool {
        *self == Self { skip: self.skip, limit: self.limit, ..Self::default() }
    }

    /// Returns whether the status alone decides which jobs are wanted.
    pub(crate) fn wants_statuses(&self) -> bool {
        let others = Self { statuses: Vec::new(), order: Order::default(), ..self.clone() };
        others.wants_all()
    }

    /// Returns whether a job is wanted.
    pub fn matches(&self, job: &Job) -> bool {
        let status = job.status();
        let end = job.state.outcome().map(|outcome| (outcome.ended_at, outcome.exit_code));
        (self.statuses.is_empty() || self.statuses.contains(&status))
            && (!self.live || !status.is_final() || job.held)
            && self.wants(job.id, job.submitted_at, &job.spec)
            && self.wants_run(job.state.started_at(), end)
    }

    /// Returns whether a job may be wanted, by what never changes about it: its submission, and how it ended, if it
    /// has.
    pub fn may_want(&self, submission: &Submission, ended: Option<&Ended>, held: bool) -> bool {
        let wants_end = |ended: &Ended| {
            let outcome = &ended.outcome;
            (self.statuses.is_empty() || self.statuses.contains(&outcome.status()))
                && self.wants_run(ended.started_at, Some((outcome.ended_at, outcome.exit_code)))
        };
        ended.is_none_or(wants_end)
            && (!self.live || ended.is_none() || held)
            && self.wants(submission.job_id, submission.submitted_at, &submission.spec)
    }

    fn wants(&self, id: JobId, submitted_at: Timestamp, spec: &JobSpec) -> bool {
        let has = |(name, value): &(String, String)| {
            spec.labels.get(name).is_some_and(|there| value.is_empty() || there == value)
        };
        let is_called_so = |pattern: &NamePattern| spec.name.as_ref().is_some_and(|name| pattern.matches(name));
        let contains = |text: &String| spec.command.line().to_lowercase().contains(&text.to_lowercase());
        self.labels.iter().all(has)
            && (self.name.is_none() || self.name == spec.name)
            && self.name_pattern.as_ref().is_none_or(is_called_so)
            && (self.key.is_none() || self.key == spec.key)
            && (self.group.is_none() || self.group == spec.group)
            && (self.caller.is_none() || self.caller == spec.caller)
            && (self.project.is_none() || self.project == spec.project)
            && self.cwd.as_ref().is_none_or(|cwd| *cwd == spec.cwd)
            && self.may_be(id)
            && self.since.is_none_or(|since| submitted_at >= since)
            && self.until.is_none_or(|until| submitted_at < until)
            && self.text.as_ref().is_none_or(contains)
    }

    /// Returns whether a job is wanted by its start time and by the time and exit code of its end.
    fn wants_run(&self, started_at: Option<Timestamp>, end: Option<(Timestamp, Option<i32>)>) -> bool {
        let (ended_at, exit_code) = end.unzip();
        let is_before = |since| ended_at.is_some_and(|at| at < since);
        self.started.has(started_at)
            && !self.started.since.is_some_and(is_before)
            && self.ended.has(ended_at)
            && (self.exit_codes.is_empty() || exit_code.flatten().is_some_and(|code| self.exit_codes.contains(&code)))
    }

    /// Returns whether a job may be wanted that ended with this status at this time, given to the microsecond.
    pub(crate) fn may_want_end(&self, status: Status, ended_at: Timestamp) -> bool {
        // The time is truncated to the microsecond.
        let is_before = |since: Timestamp| since.duration_since(ended_at) >= SignedDuration::from_micros(1);
        let may_exit_so = match status {
            Status::Completed => self.exit_codes.contains(&0),
            Status::Failed => self.exit_codes.iter().any(|code| *code != 0),
            _ => true,
        };
        (self.statuses.is_empty() || self.statuses.contains(&status))
            && (self.exit_codes.is_empty() || may_exit_so)
            && !self.started.since.is_some_and(is_before)
            && !self.ended.since.is_some_and(is_before)
            && self.ended.before.is_none_or(|before| ended_at < before)
    }

    /// Returns whether the id alone does not exclude a job. An id contains the time to the millisecond.
    pub fn may_be(&self, id: JobId) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| prefix.matches(id))
            && self.since.is_none_or(|since| since.duration_since(id.minted_at()) < SignedDuration::from_millis(1))
            && self.until.is_none_or(|until| id.minted_at() < until)
    }
}

/// A period of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Period {
    /// Its first moment; unbounded, if absent.
    pub since: Option<Timestamp>,
    /// The moment after its last; unbounded, if absent.
    pub before: Option<Timestamp>,
}

impl Period {
    /// Returns the period from `since` on, up to but excluding `before`.
    pub fn new(since: Option<Timestamp>, before: Option<Timestamp>) -> Self {
        Self { since, before }
    }

    /// Returns whether something happened within this period. An unbounded period also includes what has not happened.
    fn has(self, at: Option<Timestamp>) -> bool {
        let is_within =
            |at: Timestamp| self.since.is_none_or(|since| at >= since) && self.before.is_none_or(|before| at < before);
        self == Self::default() || at.is_some_and(is_within)
    }
}

/// A pattern for names of jobs: in it, `*` stands for any characters and `?` for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(String);

impl NamePattern {
    /// Returns whether a name matches.
    pub fn matches(&self, name: &Name) -> bool {
        WildMatch::new(&self.0).matches(name.as_str())
    }

    /// Returns the only matching name, if there is exactly one.
    fn name(&self) -> Option<Name> {
        self.0.parse().ok()
    }
}

impl FromStr for NamePattern {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let sample: String = text.replace(['*', '?'], "x");
        match (text.contains(['*', '?']), sample.parse::<Name>()) {
            (true, Err(_)) => Err(ParseError::new(format!("`{text}` cannot match any name"))),
            (false, Err(error)) => Err(error),
            (_, Ok(_)) => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The order in which jobs are listed. Jobs without a value to sort by come last; among equals, the newest comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Order {
    /// What to sort by.
    pub by: SortKey,
    /// Whether to reverse the order.
    pub reverse: bool,
}

impl Order {
    /// Returns the order by this key, or its reverse.
    pub fn new(by: SortKey, reverse: bool) -> Self {
        Self { by, reverse }
    }

    /// Returns which of two jobs comes first. `now` is for the time that a job has been running.
    pub(crate) fn compare(self, one: &Job, other: &Job, now: Timestamp) -> Ordering {
        let ended_at = |job: &Job| job.state.outcome().map(|outcome| outcome.ended_at);
        let duration = |job: &Job| Some(ended_at(job).unwrap_or(now).duration_since(job.state.started_at()?));
        match self.by {
            SortKey::Submitted => self.descending(Some(one.submitted_at), Some(other.submitted_at)),
            SortKey::Started => self.descending(one.state.started_at(), other.state.started_at()),
            SortKey::Ended => self.descending(ended_at(one), ended_at(other)),
            SortKey::Duration => self.descending(duration(one), duration(other)),
            SortKey::Output => self.descending(Some(one.output.bytes), Some(other.output.bytes)),
            SortKey::Name => self.ascending(one.spec.name.as_ref(), other.spec.name.as_ref()),
            SortKey::Status => self.ascending(Some(one.status()), Some(other.status())),
        }
    }

    /// Compares values, the largest first.
    pub(crate) fn descending<T: Ord>(self, one: Option<T>, other: Option<T>) -> Ordering {
        Self { reverse: !self.reverse, ..self }.ascending(one, other)
    }

    fn ascending<T: Ord>(self, one: Option<T>, other: Option<T>) -> Ordering {
        match (one, other) {
            (Some(one), Some(other)) if self.reverse => other.cmp(&one),
            (Some(one), Some(other)) => one.cmp(&other),
            (one, other) => one.is_none().cmp(&other.is_none()),
        }
    }
}

/// What jobs are sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SortKey {
    /// When they were submitted, the newest first.
    #[default]
    Submitted,
    /// When they were started, the newest first.
    Started,
    /// When they ended, the newest first.
    Ended,
    /// How long they ran or have been running, the longest first.
    Duration,
    /// How much they wrote, the most first.
    Output,
    /// Their names, in alphabetical order.
    Name,
    /// Their statuses, in the order of a job's life cycle.
    Status,
}

impl SortKey {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Submitted, Self::Started, Self::Ended, Self::Duration, Self::Output, Self::Name, Self::Status];

    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Started => "started",
            Self::Ended => "ended",
            Self::Duration => "duration",
            Self::Output => "output",
            Self::Name => "name",
            Self::Status => "status",
        }
    }
}

impl FromStr for SortKey {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let found = Self::ALL.into_iter().find(|key| key.as_str() == text);
        found.ok_or_else(|| {
            let known: Vec<_> = Self::ALL.into_iter().map(Self::as_str).collect();
            ParseError::new(format!("jobs cannot be sorted by `{text}`; use one of {}", known.join(", ")))
        })
    }
}

impl fmt::Display for SortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemRandom;
    use crate::state::{Cause, End, Outcome, Run, State};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    /// A job that was submitted at second 0, started at `started`, and ended at `ended` with this code, if it has.
    fn job(line: &str, started: Option<i64>, ended: Option<(i64, i32)>) -> Job {
        let started_at = started.map(at);
        let state = match (started, ended) {
            (_, Some((second, code))) => {
                let mut outcome = Outcome::new(Cause::Exited, at(second));
                outcome.exit_code = Some(code);
                State::Ended(End { started_at, outcome })
            }
            (Some(_), None) => State::Running(Run { started_at, supervised: true }),
            (None, None) => State::Queued,
        };
        let spec = JobSpec::shell(line).cwd("/src").name("web-1".parse().unwrap()).build().unwrap();
        Job::sample(JobId::mint(at(0), &SystemRandom).unwrap(), at(0), spec, state)
    }

    #[test]
    fn jobs_are_wanted_by_command_directory_and_name() {
        let job = job("make CHECK", None, None);
        let all = Query::default();
        let name = |pattern: &str| all.clone().with_name_pattern(Some(pattern.parse().unwrap()));
        let text = |text: &str| all.clone().with_text(Some(text.to_owned()));
        for (query, wanted) in [
            (text("check"), true),
            (text("E C"), true),
            (text("install"), false),
            (all.clone().with_cwd(Some("/src/".into())), true),
            (all.clone().with_cwd(Some("/".into())), false),
            (name("web-*"), true),
            (name("web-?"), true),
            (name("web-1"), true),
            (name("web"), false),
            (name("*x"), false),
        ] {
            assert_eq!(query.matches(&job), wanted, "{query:?}");
        }
        assert_eq!(name("web").name, Some("web".parse().unwrap()), "a store can look it up");
        for wrong in ["", "a b*", "-*", "web/"] {
            assert!(wrong.parse::<NamePattern>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn jobs_are_wanted_by_times_and_exit_codes() {
        let (queued, running) = (job("x", None, None), job("x", Some(10), None));
        let failed = job("x", Some(10), Some((20, 3)));
        let all = Query::default();
        let started = |since: Option<i64>, before: Option<i64>| {
            all.clone().with_started(Period::new(since.map(at), before.map(at)))
        };
        let ended = |since: Option<i64>, before: Option<i64>| {
            all.clone().with_ended(Period::new(since.map(at), before.map(at)))
        };
        for (query, wanted) in [
            (all.clone(), [true, true, true]),
            (started(Some(10), None), [false, true, true]),
            (started(Some(11), None), [false, false, false]),
            (started(None, Some(10)), [false, false, false]),
            (started(None, Some(11)), [false, true, true]),
            (ended(Some(20), Some(21)), [false, false, true]),
            (ended(None, Some(20)), [false, false, false]),
            (ended(Some(21), None), [false, false, false]),
            (all.clone().with_exit_codes(vec![0, 3]), [false, false, true]),
            (all.clone().with_exit_codes(vec![0]), [false, false, false]),
        ] {
            let found = [&queued, &running, &failed].map(|job| query.matches(job));
            assert_eq!(found, wanted, "{query:?}");
        }
    }

    #[test]
    fn jobs_without_a_value_to_sort_by_come_last() {
        let jobs = [job("x", None, None), job("x", Some(5), None), job("x", Some(1), Some((3, 0)))];
        let sorted = |by, reverse| {
            let order = Order::new(by, reverse);
            let mut places: Vec<_> = (0..jobs.len()).collect();
            places.sort_by(|one, other| order.compare(&jobs[*one], &jobs[*other], at(9)));
            places
        };
        assert_eq!(sorted(SortKey::Started, false), [1, 2, 0]);
        assert_eq!(sorted(SortKey::Started, true), [2, 1, 0]);
        assert_eq!(sorted(SortKey::Ended, false), [2, 0, 1]);
        assert_eq!(sorted(SortKey::Duration, false), [1, 2, 0]);
        assert_eq!(sorted(SortKey::Status, false), [0, 1, 2]);
        assert_eq!(sorted(SortKey::Status, true), [2, 1, 0]);
        for key in SortKey::ALL {
            assert_eq!(key.as_str().parse(), Ok(key));
        }
        assert!("size".parse::<SortKey>().unwrap_err().to_string().contains("submitted, started"));
    }
}
