//! Settings shared by everything that uses a store. They are kept in the store and read at the moment of each decision.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Retention, Sections};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::limit::Resource;
use crate::name::Name;
use crate::parse_error::ParseError;
#[cfg(feature = "policy")]
use crate::policy::{self, Policy};
use crate::queue::LoadCondition;
use crate::record::WITHDRAWN;
#[cfg(not(feature = "policy"))]
use crate::spec::{Command, JobSpec};
use crate::state::{HookOf, Outcome, Status};
use crate::units::parse_size;

/// The settings of a store. Unknown keys, which a later version wrote, are ignored when they are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct StoreSettings {
    /// How many jobs run at a time; 0 means no limit.
    pub max_running: u32,
    /// Whether no queued job is started.
    #[serde(skip_serializing_if = "is_false")]
    pub paused: bool,
    /// What happens to a job that is submitted when no slot is free.
    pub when_full: WhenFull,
    /// Conditions on the load of the machine, all of which must be met for any queued job to be started. A condition on
    /// a value that the system does not report counts as met.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub guard: Vec<LoadCondition>,
    /// How many days a job is kept after its end; 0 means no limit.
    pub keep_days: u32,
    /// How many ended jobs are kept; 0 means no limit.
    pub keep_jobs: u64,
    /// How many bytes of ended jobs are kept; 0 means no limit.
    pub keep_bytes: u64,
    /// A shell line that is run at the end of each job that ran for at least `on_end_after` and was not stopped by
    /// request; nothing is run if it is empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub on_end: String,
    /// How long a job must have run for `on_end` to be run at its end.
    #[serde(with = "time", skip_serializing_if = "is_on_end_after")]
    pub on_end_after: Duration,
    /// How long a line that is run at the end of a job may take before it is killed along with everything it started.
    #[serde(with = "time", skip_serializing_if = "is_on_end_timeout")]
    pub on_end_timeout: Duration,
    /// Which commands may be submitted.
    #[cfg(feature = "policy")]
    #[serde(skip_serializing_if = "Policy::is_default")]
    pub policy: Policy,
    /// Groups that have a limit of their own. `agents` has a limit of 4 unless another is set.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<Name, GroupSettings>,
    /// How much there is of each resource that jobs take; of any other there is 1.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<Resource, u32>,
    /// What is done for the conversations of a host, by the host's name: [`Caller::host`](crate::Caller::host).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub callers: BTreeMap<Name, CallerSettings>,
    /// Settings of higher layers. A section with the name of a group limits that group: `per_minute` is the most jobs
    /// of the group that may be submitted within a minute, and 0 means no limit.
    #[serde(flatten)]
    pub sections: Sections,
}

/// A group that has limits unless others are set. It is defined here, and not only in the layer that uses it, because
/// every program that starts jobs of a store has to respect its limits.
pub(crate) struct BuiltIn {
    pub(crate) name: &'static str,
    limit: u32,
    pub(crate) per_minute: u32,
}

/// The group of agent runs.
pub(crate) const BUILT_IN_GROUP: BuiltIn = BuiltIn { name: "agents", limit: 4, per_minute: 6 };

const ON_END_AFTER: Duration = Duration::from_secs(10);
const ON_END_TIMEOUT: Duration = Duration::from_secs(30);

fn is_false(value: &bool) -> bool {
    !value
}

fn is_on_end_after(time: &Duration) -> bool {
    *time == ON_END_AFTER
}

fn is_on_end_timeout(time: &Duration) -> bool {
    *time == ON_END_TIMEOUT
}

/// Times as people write them: `10s`.
mod time {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*time))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        humantime::parse_duration(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// The period within which submissions are counted.
const MINUTE: Duration = Duration::from_secs(60);

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            max_running: 10,
            paused: false,
            when_full: WhenFull::default(),
            guard: Vec::new(),
            keep_days: 30,
            keep_jobs: 10_000,
            keep_bytes: 10 << 30,
            on_end: String::new(),
            on_end_after: ON_END_AFTER,
            on_end_timeout: ON_END_TIMEOUT,
            #[cfg(feature = "policy")]
            policy: Policy::default(),
            groups: BTreeMap::new(),
            resources: BTreeMap::new(),
            callers: BTreeMap::new(),
            sections: Sections::default(),
        }
    }
}

/// What happens to a job for which there is no slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WhenFull {
    /// It waits for its turn.
    #[default]
    Queue,
    /// Its submission is refused.
    Refuse,
}

/// The settings of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct GroupSettings {
    /// How many jobs of the group run at a time; 0 means no limit except the store's.
    pub limit: u32,
    /// Whether no queued job of the group is started.
    #[serde(skip_serializing_if = "is_false")]
    pub paused: bool,
    /// Whether the group is paused when one of its jobs fails, times out or is orphaned.
    #[serde(skip_serializing_if = "is_false")]
    pub pause_on_failure: bool,
    /// A shell line that is run at the end of each job of the group that was not stopped by request; nothing is run if
    /// it is empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub on_end: String,
}

/// The settings for callers of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct CallerSettings {
    /// A shell line that is run at the end of each job that a conversation of the host submitted, to notify that
    /// conversation.
    pub on_end: String,
}

/// A shell line to be run at the end of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hook {
    pub(crate) of: HookOf,
    pub(crate) line: String,
}

/// The names by which settings are read and set.
const KEYS: &[&str] = &[
    "max_running",
    "paused",
    "when_full",
    "guard",
    "keep_days",
    "keep_jobs",
    "keep_bytes",
    "on_end",
    "on_end_after",
    "on_end_timeout",
    #[cfg(feature = "policy")]
    "policy.allow",
    #[cfg(feature = "policy")]
    "policy.deny",
    #[cfg(feature = "policy")]
    "policy.allow_variables",
];

/// Why a setting was not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetError {
    /// There is no setting with this name that can be set this way.
    #[error("there is no setting `{key}`; the settings are {}, groups.NAME.limit, groups.NAME.paused, groups.NAME.pause_on_failure, groups.NAME.on_end, resources.NAME and callers.HOST.on_end", known.join(", "))]
    Unknown {
        /// The name.
        key: String,
        /// The names that exist.
        known: Vec<&'static str>,
    },
    /// It cannot have this value, for this reason.
    #[error("{0}")]
    Invalid(String),
}

impl SetError {
    pub(crate) fn unknown(key: &str, known: &[&'static str]) -> Self {
        Self::Unknown { key: key.to_owned(), known: known.to_vec() }
    }

    pub(crate) fn number(value: &str) -> Result<u32, Self> {
        value.parse().map_err(|_| Self::Invalid(format!("`{value}` is not a limit; use a number, or 0 for no limit")))
    }

    fn amount(value: &str) -> Result<Option<u32>, Self> {
        let invalid = || Self::Invalid(format!("`{value}` is not an amount; use a number, or an empty value for 1"));
        if value.is_empty() { Ok(None) } else { value.parse().map(Some).map_err(|_| invalid()) }
    }

    fn flag(value: &str) -> Result<bool, Self> {
        value.parse().map_err(|_| Self::Invalid(format!("`{value}` is neither `true` nor `false`")))
    }

    fn time(value: &str) -> Result<Duration, Self> {
        humantime::parse_duration(value).map_err(|error| Self::Invalid(format!("`{value}` is not a duration: {error}")))
    }
}

impl From<ParseError> for SetError {
    fn from(error: ParseError) -> Self {
        Self::Invalid(error.into())
    }
}

impl StoreSettings {
    /// Returns all settings except sections as pairs of name and value, as [`StoreSettings::set`] takes them.
    pub fn entries(&self) -> Vec<(String, String)> {
        let when_full = match self.when_full {
            WhenFull::Queue => "queue",
            WhenFull::Refuse => "refuse",
        };
        let values = [
            self.max_running.to_string(),
            self.paused.to_string(),
            when_full.to_owned(),
            self.guard.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            self.keep_days.to_string(),
            self.keep_jobs.to_string(),
            self.keep_bytes.to_string(),
            self.on_end.clone(),
            humantime::format_duration(self.on_end_after).to_string(),
            humantime::format_duration(self.on_end_timeout).to_string(),
            #[cfg(feature = "policy")]
            policy::list_text(&self.policy.allow),
            #[cfg(feature = "policy")]
            policy::list_text(&self.policy.deny),
            #[cfg(feature = "policy")]
            policy::list_text(&self.policy.allow_variables),
        ];
        let entries = KEYS.iter().map(|key| (*key).to_owned()).zip(values);
        let groups = self.groups.iter().flat_map(|(name, group)| {
            let limit = (format!("groups.{name}.limit"), group.limit.to_string());
            let paused = (format!("groups.{name}.paused"), group.paused.to_string());
            let on_end = (format!("groups.{name}.on_end"), group.on_end.clone());
            let on_failure = (format!("groups.{name}.pause_on_failure"), group.pause_on_failure.to_string());
            let others = [
                group.paused.then_some(paused),
                group.pause_on_failure.then_some(on_failure),
                (!group.on_end.is_empty()).then_some(on_end),
            ];
            [limit].into_iter().chain(others.into_iter().flatten())
        });
        let resources = self.resources.iter().map(|(name, amount)| (format!("resources.{name}"), amount.to_string()));
        let callers =
            self.callers.iter().map(|(host, caller)| (format!("callers.{host}.on_end"), caller.on_end.clone()));
        entries.chain(groups).chain(resources).chain(callers).collect()
    }

    /// Sets a setting from text.
    ///
    /// # Errors
    /// Returns what is wrong, and which settings exist.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), SetError> {
        let number = || SetError::number(value);
        match key {
            "max_running" => self.max_running = number()?,
            "paused" => self.paused = SetError::flag(value)?,
            "keep_days" => self.keep_days = number()?,
            "keep_jobs" => self.keep_jobs = number()?.into(),
            "keep_bytes" => self.keep_bytes = parse_size(value)?,
            "on_end" => self.on_end = value.to_owned(),
            "on_end_after" => self.on_end_after = SetError::time(value)?,
            "on_end_timeout" => self.on_end_timeout = SetError::time(value)?,
            "when_full" => {
                self.when_full = match value {
                    "queue" => WhenFull::Queue,
                    "refuse" => WhenFull::Refuse,
                    _ => return Err(SetError::Invalid(format!("`{value}` is neither `queue` nor `refuse`"))),
                };
            }
            "guard" => {
                let texts = value.split(',').map(str::trim).filter(|text| !text.is_empty());
                self.guard = texts.map(str::parse).collect::<Result<_, ParseError>>()?;
            }
            #[cfg(feature = "policy")]
            "policy.allow" => self.policy.allow = policy::parse_list(value)?,
            #[cfg(feature = "policy")]
            "policy.deny" => self.policy.deny = policy::parse_list(value)?,
            #[cfg(feature = "policy")]
            "policy.allow_variables" => self.policy.allow_variables = policy::parse_list(value)?,
            _ if key.starts_with("resources.") => {
                self.set_resource(key.trim_start_matches("resources.").parse()?, SetError::amount(value)?);
            }
            _ => match key.split_once('.').and_then(|(of, rest)| Some((of, rest.rsplit_once('.')?))) {
                Some(("groups", (name, "limit"))) => self.set_group(name.parse()?, number()?),
                Some(("groups", (name, "paused"))) => self.pause_group(name.parse()?, SetError::flag(value)?),
                Some(("groups", (name, "pause_on_failure"))) => {
                    self.pause_group_on_failure(name.parse()?, SetError::flag(value)?);
                }
                Some(("groups", (name, "on_end"))) => self.set_group_on_end(name.parse()?, value),
                Some(("callers", (host, "on_end"))) => self.set_caller_on_end(host.parse()?, value),
                _ => return Err(SetError::unknown(key, KEYS)),
            },
        }
        Ok(())
    }

    /// Refuses a job that a policy may forbid: only a program with the feature `policy` can evaluate it.
    #[cfg(not(feature = "policy"))]
    pub(crate) fn check_policy(&self, spec: &JobSpec) -> Result<()> {
        if !self.sections.contains("policy") {
            return Ok(());
        }
        let command = match &spec.command {
            Command::Shell(line) => line.clone(),
            Command::Argv(words) => words.join(" "),
        };
        let reason = "the store has a policy, and this program was built without the feature `policy` of jobcore";
        Err(Error::Forbidden { command, reason: reason.to_owned() })
    }

    /// Returns which ended jobs are kept.
    pub fn retention(&self) -> Retention {
        let days = (self.keep_days > 0).then(|| Duration::from_secs(u64::from(self.keep_days) * 24 * 60 * 60));
        Retention::default()
            .with_max_age(days)
            .with_max_jobs(Some(self.keep_jobs).filter(|jobs| *jobs > 0))
            .with_max_bytes(Some(self.keep_bytes).filter(|bytes| *bytes > 0))
    }

    /// Sets the limit of a group; 0 removes it.
    pub fn set_group(&mut self, name: Name, limit: u32) {
        self.change_group(name, |group| group.limit = limit);
    }

    /// Keeps queued jobs of a group from being started, or lets them start again.
    pub fn pause_group(&mut self, name: Name, paused: bool) {
        self.change_group(name, |group| group.paused = paused);
    }

    /// Sets whether a group is paused when one of its jobs fails.
    pub fn pause_group_on_failure(&mut self, name: Name, pause: bool) {
        self.change_group(name, |group| group.pause_on_failure = pause);
    }

    /// Sets how much there is of a resource; `None` resets it to 1, the default.
    pub fn set_resource(&mut self, resource: Resource, amount: Option<u32>) {
        match amount {
            Some(amount) => drop(self.resources.insert(resource, amount)),
            None => drop(self.resources.remove(&resource)),
        }
    }

    /// Returns how much there is of a resource.
    pub fn amount_of(&self, resource: &Resource) -> u32 {
        self.resources.get(resource).copied().unwrap_or(1)
    }

    /// Returns the group that is to be paused because a job of it ended with this status, if any.
    pub(crate) fn paused_by<'j>(&self, group: Option<&'j Name>, status: Status) -> Option<&'j Name> {
        let name = group.filter(|_| matches!(status, Status::Failed | Status::TimedOut | Status::Orphaned))?;
        self.groups.get(name).filter(|group| group.pause_on_failure && !group.paused).map(|_| name)
    }

    /// Returns whether jobs of this group are kept from being started, however few are running.
    pub fn is_paused(&self, group: Option<&Name>) -> bool {
        self.paused || group.is_some_and(|name| self.groups.get(name).is_some_and(|group| group.paused))
    }

    /// Sets the line that is run at the end of each job of a group; an empty line removes it.
    pub fn set_group_on_end(&mut self, name: Name, line: &str) {
        self.change_group(name, |group| line.clone_into(&mut group.on_end));
    }

    /// Sets the line that is run at the end of each job that a conversation of a host submitted; an empty line removes
    /// it.
    pub fn set_caller_on_end(&mut self, host: Name, line: &str) {
        match line.trim().is_empty() {
            true => drop(self.callers.remove(&host)),
            false => self.callers.entry(host).or_default().on_end = line.to_owned(),
        }
    }

    /// Changes the settings of a group. A group with default settings is removed, unless that would give it a built-in
    /// limit.
    fn change_group(&mut self, name: Name, change: impl FnOnce(&mut GroupSettings)) {
        let limit = self.group_limit(&name);
        let mut group = self.groups.remove(&name).unwrap_or(GroupSettings { limit, ..GroupSettings::default() });
        change(&mut group);
        if group != GroupSettings::default() || name.as_str() == BUILT_IN_GROUP.name {
            self.groups.insert(name, group);
        }
    }

    /// Returns whether anything may be done at the end of jobs without a line of their own: run a line, or pause their
    /// group.
    pub(crate) fn has_hooks(&self) -> bool {
        !self.on_end.is_empty()
            || !self.callers.is_empty()
            || self.groups.values().any(|group| !group.on_end.is_empty() || group.pause_on_failure)
    }

    /// Returns the lines to be run at the end of a job that has ended, in this order: that of its caller's host, its
    /// own, that of its group, and that of the store.
    pub(crate) fn hooks(&self, job: &Job) -> Vec<Hook> {
        let is_told = |outcome: &&Outcome| outcome.message.as_deref() != Some(WITHDRAWN);
        let Some(outcome) = job.state.outcome().filter(is_told) else { return Vec::new() };
        // When a schedule is removed, the lines that are meant for the end of its runs are not run.
        if job.spec.repeat.is_some() {
            return Vec::new();
        }
        let is_long = job.run_time().unwrap_or_default() >= self.on_end_after;
        // The caller that stopped a job knows about it, and an empty line of its own opts a job out.
        let wants_none = job.spec.on_end.as_ref().is_some_and(|line| line.trim().is_empty());
        let is_for_all = outcome.status() != Status::Killed && !wants_none;
        let group = job.spec.group.as_ref().and_then(|name| self.groups.get(name)).filter(|_| is_for_all);
        let host = job.spec.caller.as_ref().and_then(|caller| self.callers.get(caller.host()));
        let lines = [
            // First, so that the caller does not have to wait for the others.
            (HookOf::Caller, host.map(|host| &host.on_end)),
            (HookOf::Job, job.spec.on_end.as_ref()),
            (HookOf::Group, group.map(|group| &group.on_end)),
            (HookOf::Store, Some(&self.on_end).filter(|_| is_for_all && is_long)),
        ];
        let hook = |(of, line): (_, Option<&String>)| Some(Hook { of, line: line?.clone() });
        lines.into_iter().filter_map(hook).filter(|hook| !hook.line.trim().is_empty()).collect()
    }

    /// Returns how many jobs of a group run at a time; 0 means no limit except the store's.
    pub fn group_limit(&self, name: &Name) -> u32 {
        match self.groups.get(name) {
            Some(group) => group.limit,
            None if name.as_str() == BUILT_IN_GROUP.name => BUILT_IN_GROUP.limit,
            None => 0,
        }
    }

    /// Returns how many jobs of a group may be submitted within a minute; 0 means no limit.
    pub fn group_rate(&self, name: &Name) -> u32 {
        let built_in = if name.as_str() == BUILT_IN_GROUP.name { BUILT_IN_GROUP.per_minute } else { 0 };
        self.sections.number(name.as_str(), "per_minute").unwrap_or(built_in)
    }

    /// Refuses another job of a group now if too many were submitted within the last minute, given the times of
    /// submission.
    pub(crate) fn check_rate(&self, group: &Name, now: Timestamp, mut submitted: Vec<Timestamp>) -> Result<()> {
        let per_minute = self.group_rate(group);
        let limit = usize::try_from(per_minute).unwrap_or(usize::MAX);
        submitted.retain(|at| *at + MINUTE > now);
        submitted.sort_unstable();
        match submitted.len().checked_sub(limit).map(|first| submitted.get(first).copied()) {
            Some(Some(first)) if limit > 0 => {
                let retry_after = Duration::try_from((first + MINUTE).duration_since(now)).unwrap_or(MINUTE);
                let group = group.clone();
                Err(Error::TooFast { group, limit: per_minute, retry_after: retry_after.min(MINUTE) })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str) -> Name {
        name.parse().unwrap()
    }

    #[test]
    fn entries_can_be_set() {
        let mut settings = StoreSettings::default();
        settings.set("max_running", "3").unwrap();
        settings.set("when_full", "refuse").unwrap();
        settings.set("guard", "memory-pressure<10,free-mem > 512M").unwrap();
        settings.set("keep_days", "7").unwrap();
        settings.set("keep_jobs", "0").unwrap();
        settings.set("keep_bytes", "3G").unwrap();
        settings.set("groups.web.limit", "2").unwrap();
        settings.set("policy.allow", "npm, git status,cargo *").unwrap();
        settings.set("policy.deny", "rm -rf").unwrap();
        settings.set("policy.allow_variables", "APP_*, CC").unwrap();
        settings.set("on_end", "notify-send \"$JOBCORE_SUMMARY\"").unwrap();
        settings.set("on_end_after", "1m 30s").unwrap();
        settings.set("groups.ci.on_end", "true").unwrap();
        settings.set("groups.web.paused", "true").unwrap();
        settings.set("paused", "true").unwrap();
        settings.set("callers.codex.on_end", "jobcli hook codex end").unwrap();
        let mut copy = StoreSettings::default();
        for (key, value) in settings.entries() {
            copy.set(&key, &value).unwrap();
        }
        assert_eq!(copy, settings);
        let read: StoreSettings = toml::from_str(&toml::to_string(&settings).unwrap()).unwrap();
        assert_eq!(read, settings);
        settings.set("groups.web.limit", "0").unwrap();
        settings.set("groups.web.paused", "false").unwrap();
        settings.set("groups.ci.on_end", "").unwrap();
        settings.set("callers.codex.on_end", "").unwrap();
        assert!(settings.groups.is_empty() && settings.callers.is_empty());
    }

    #[test]
    fn nonsense_is_refused() {
        let mut settings = StoreSettings::default();
        for (key, value) in [
            ("nosuch", "1"),
            ("max_running", "-1"),
            ("max_running", "many"),
            ("when_full", "wait"),
            ("guard", "load"),
            ("on_end_after", "soon"),
            ("paused", "yes"),
            ("groups.web.on", "true"),
            ("policy.allow", "a; b"),
            ("policy.allow_variables", "A=1"),
        ] {
            assert!(settings.set(key, value).is_err(), "{key} {value}");
        }
        assert!(settings.set("groups.../etc.limit", "1").is_err());
        assert_eq!(settings, StoreSettings::default());
    }

    #[test]
    fn agents_have_a_limit_of_their_own_unless_another_is_set() {
        let mut settings = StoreSettings::default();
        let agents = group(BUILT_IN_GROUP.name);
        assert_eq!(settings.group_limit(&agents), 4);
        settings.set("groups.agents.on_end", "true").unwrap();
        assert_eq!(settings.group_limit(&agents), 4, "a line does not change the limit");
        settings.set_group(agents.clone(), 0);
        assert_eq!(settings.group_limit(&agents), 0);
    }

    #[test]
    fn the_rate_of_a_group_limits_submissions_within_a_minute() {
        let limited = |per_minute: u32| StoreSettings {
            sections: toml::from_str(&format!(
                "[agents]\nper_minute = {per_minute}\n[web]\nper_minute = {per_minute}\n"
            ))
            .unwrap(),
            ..StoreSettings::default()
        };
        let settings = limited(2);
        assert_eq!(["agents", "web", "db"].map(|name| settings.group_rate(&group(name))), [2, 2, 0]);
        assert_eq!(StoreSettings::default().group_rate(&group("agents")), 6);
        let agents = group(BUILT_IN_GROUP.name);
        let at = |second: i64| Timestamp::from_second(1_000 + second).unwrap();
        assert!(settings.check_rate(&agents, at(50), vec![at(0)]).is_ok());
        let refused = settings.check_rate(&agents, at(50), vec![at(20), at(0)]).unwrap_err();
        assert_eq!(refused.to_string(), "2 jobs of group agents were submitted within a minute; try again in 10 s");
        let refused = settings.check_rate(&agents, at(50), vec![at(20), at(0), at(30)]).unwrap_err();
        assert_eq!(refused.to_string(), "2 jobs of group agents were submitted within a minute; try again in 30 s");
        assert!(settings.check_rate(&agents, at(60), vec![at(20), at(0)]).is_ok());
        assert!(limited(0).check_rate(&agents, at(50), vec![at(20), at(0)]).is_ok());
    }
}
