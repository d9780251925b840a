//! The resource limits of a job.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::parse_error::ParseError;
use crate::units::format_size;
use crate::words::counted;

/// The highest CPU number: `CPU_SETSIZE` of sched_setaffinity(2).
const MAX_CPU: u16 = 1023;

/// The minimum memory limit: a shell needs some of it, and so do the arguments and the environment of a command.
const MIN_MEMORY: u64 = 8 << 20;
/// The minimum number of open files: three streams, and the files that a program is loaded from.
const MIN_OPEN_FILES: u64 = 4;

/// The limits on each process of a job. Limits that are absent are inherited from the submitter.
///
/// An unprivileged process cannot raise them again. Niceness, CPUs and I/O priority are only initial values: a process
/// may change them as far as the kernel permits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// The niceness, from -20 to 19: the higher it is, the smaller the share of a busy CPU. If the kernel groups
    /// processes by session, sched(7), it matters only among the processes of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nice: Option<i32>,
    /// The CPUs on which it may run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Cpus>,
    /// The maximum bytes of memory of all processes of the job together, `memory.max` of cgroups(7), where its supervisor may make
    /// a control group. Elsewhere, the maximum bytes of private memory of each process, `RLIMIT_DATA` of getrlimit(2): heap, stacks
    /// of threads and other private memory that is writable. Address space that is only reserved counts if it is writable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// It can start no process or thread while its user has this many, in all jobs and elsewhere: `RLIMIT_NPROC` of
    /// getrlimit(2). The kernel does not enforce it for privileged users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// The maximum number of open files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// The maximum bytes of a core file that is written after a crash; 0 means no core files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core: Option<u64>,
    /// The priority of its disk I/O.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io: Option<IoPriority>,
}

impl Limits {
    /// Sets the niceness.
    #[must_use]
    pub fn with_nice(self, nice: i32) -> Self {
        Self { nice: Some(nice), ..self }
    }

    /// Sets the CPUs.
    #[must_use]
    pub fn with_cpus(self, cpus: Cpus) -> Self {
        Self { cpus: Some(cpus), ..self }
    }

    /// Limits the memory, in bytes.
    #[must_use]
    pub fn with_memory(self, bytes: u64) -> Self {
        Self { memory: Some(bytes), ..self }
    }

    /// Limits the processes of the user.
    #[must_use]
    pub fn with_processes(self, number: u64) -> Self {
        Self { processes: Some(number), ..self }
    }

    /// Limits the open files.
    #[must_use]
    pub fn with_open_files(self, number: u64) -> Self {
        Self { open_files: Some(number), ..self }
    }

    /// Limits core files, in bytes.
    #[must_use]
    pub fn with_core(self, bytes: u64) -> Self {
        Self { core: Some(bytes), ..self }
    }

    /// Sets the priority of I/O.
    #[must_use]
    pub fn with_io(self, priority: IoPriority) -> Self {
        Self { io: Some(priority), ..self }
    }

    /// Returns whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses limits that no machine could satisfy.
    ///
    /// # Errors
    /// [`Error::InvalidSpec`], naming the limit.
    pub(crate) fn validate(&self) -> Result<()> {
        let refuse = |field, reason: String| Err(Error::InvalidSpec { field, reason });
        if self.nice.is_some_and(|nice| !(-20..20).contains(&nice)) {
            return refuse("nice", "must be from -20 (the largest share of the CPU) to 19".to_owned());
        }
        if self.memory.is_some_and(|bytes| bytes < MIN_MEMORY) {
            return refuse(
                "memory",
                format!("must be at least {}; many programs cannot start with less", format_size(MIN_MEMORY)),
            );
        }
        if self.processes == Some(0) {
            return refuse("processes", "0 would keep the job itself from being started".to_owned());
        }
        if self.open_files.is_some_and(|number| number < MIN_OPEN_FILES) {
            let reason = format!(
                "must be at least {MIN_OPEN_FILES}: three streams, and the files that a program is loaded from"
            );
            return refuse("open_files", reason);
        }
        Ok(())
    }
}

/// In words: `niceness 10, CPUs 0-3, 1.0 GiB of memory`.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = [
            self.nice.map(|nice| format!("niceness {nice}")),
            self.cpus.as_ref().map(|cpus| format!("CPUs {cpus}")),
            self.memory.map(|bytes| format!("{} of memory", format_size(bytes))),
            self.processes.map(|number| format!("{} of the user", counted(number, "process", "processes"))),
            self.open_files.map(|number| format!("{number} open files")),
            self.core.map(|bytes| match bytes {
                0 => "no core files".to_owned(),
                bytes => format!("core files of {}", format_size(bytes)),
            }),
            self.io.map(|io| format!("I/O {io}")),
        ];
        f.write_str(&said.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// A set of CPUs, by their kernel numbers; as text, a list such as `0-3,6`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cpus(BTreeSet<u16>);

impl Cpus {
    /// Returns the numbers in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().copied()
    }

    /// Returns the CPUs for which `others` is false, if there are any.
    pub(crate) fn without(&self, others: impl Fn(u16) -> bool) -> Option<Self> {
        let missing: BTreeSet<_> = self.iter().filter(|cpu| !others(*cpu)).collect();
        (!missing.is_empty()).then_some(Self(missing))
    }

    /// Returns whether the set contains this CPU.
    pub(crate) fn contains(&self, cpu: u16) -> bool {
        self.0.contains(&cpu)
    }
}

impl FromStr for Cpus {
    type Err = ParseError;

    fn from_str(text: &str) -> std::result::Result<Self, ParseError> {
        let mut cpus = BTreeSet::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            match (first.parse::<u16>(), last.parse::<u16>()) {
                (Ok(first), Ok(last)) if first <= last && last <= MAX_CPU => cpus.extend(first..=last),
                _ => {
                    let reason =
                        format!("`{text}` is not a list of CPUs from 0 to {MAX_CPU}; write for example `0-3,6`");
                    return Err(ParseError::new(reason));
                }
            }
        }
        Ok(Self(cpus))
    }
}

impl TryFrom<String> for Cpus {
    type Error = ParseError;

    fn try_from(text: String) -> std::result::Result<Self, ParseError> {
        text.parse()
    }
}

impl From<Cpus> for String {
    fn from(cpus: Cpus) -> Self {
        cpus.to_string()
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        for cpu in self.iter() {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == cpu => *last = cpu,
                _ => ranges.push((cpu, cpu)),
            }
        }
        let range = |(first, last): (u16, u16)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        f.write_str(&ranges.into_iter().map(range).collect::<Vec<_>>().join(","))
    }
}

/// The I/O priority, ioprio_set(2), for disks whose scheduler respects it; as text, `idle` or for example
/// `best-effort:4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum IoPriority {
    /// Gets disk time only when no other process needs any.
    Idle,
    /// Shares disk time by level, from 0 (the highest) to 7.
    BestEffort(u8),
}

impl FromStr for IoPriority {
    type Err = ParseError;

    fn from_str(text: &str) -> std::result::Result<Self, ParseError> {
        let level = |text: &str| text.parse().ok().filter(|level| (0..8).contains(level));
        match text.split_once(':') {
            None if text == "idle" => Some(Self::Idle),
            Some(("best-effort", number)) => level(number).map(Self::BestEffort),
            _ => None,
        }
        .ok_or_else(|| ParseError::new(format!("`{text}`: write `idle`, or `best-effort:0` to `best-effort:7`")))
    }
}

impl TryFrom<String> for IoPriority {
    type Error = ParseError;

    fn try_from(text: String) -> std::result::Result<Self, ParseError> {
        text.parse()
    }
}

impl From<IoPriority> for String {
    fn from(priority: IoPriority) -> Self {
        priority.to_string()
    }
}

impl fmt::Display for IoPriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("idle"),
            Self::BestEffort(level) => write!(f, "best-effort:{level}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus_have_one_written_form() {
        for (text, shown) in [("0", "0"), ("0-3,6", "0-3,6"), ("6,2,1,1-3", "1-3,6"), ("0-1023", "0-1023")] {
            let cpus: Cpus = text.parse().unwrap();
            assert_eq!(cpus.to_string(), shown);
            assert_eq!(serde_json::from_str::<Cpus>(&serde_json::to_string(&cpus).unwrap()).unwrap(), cpus);
        }
        for text in ["", "a", "3-1", "0,", "-1", "1024", "0-1024", "0 1", "1-2-3"] {
            let error = text.parse::<Cpus>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is not a list of CPUs")), "{error}");
        }
    }

    #[test]
    fn io_priorities_are_idle_or_have_a_level() {
        for text in ["idle", "best-effort:0", "best-effort:7"] {
            assert_eq!(text.parse::<IoPriority>().unwrap().to_string(), text);
        }
        for text in ["", "Idle", "idle:1", "best-effort", "best-effort:8", "best-effort:-1", "realtime:0"] {
            assert!(text.parse::<IoPriority>().is_err(), "{text}");
        }
    }

    #[test]
    fn impossible_limits_are_refused_by_name() {
        let none = Limits::default;
        for (limits, field) in [
            (none().with_nice(20), "nice"),
            (none().with_nice(-21), "nice"),
            (none().with_memory(MIN_MEMORY - 1), "memory"),
            (none().with_processes(0), "processes"),
            (none().with_open_files(3), "open_files"),
        ] {
            let error = limits.validate().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{field}: ")), "{error}");
        }
        let least = none().with_nice(-20).with_memory(MIN_MEMORY).with_processes(1).with_open_files(4).with_core(0);
        least.validate().unwrap();
    }

    #[test]
    fn limits_are_described_in_words() {
        assert!(Limits::default().is_empty() && Limits::default().to_string().is_empty());
        let limits = Limits::default().with_nice(10).with_cpus("0-3".parse().unwrap()).with_memory(1 << 30);
        let limits = limits.with_processes(1).with_open_files(64).with_core(0).with_io(IoPriority::BestEffort(7));
        let words = "niceness 10, CPUs 0-3, 1.0 GiB of memory, 1 process of the user, 64 open files, no core files, \
                     I/O best-effort:7";
        assert_eq!(limits.to_string(), words);
    }
}
