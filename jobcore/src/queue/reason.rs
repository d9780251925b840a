//! Why a job is queued, in the shape and the words that all interfaces use.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{After, AfterWhen, Repeat, Unmet};
use crate::clock::Timestamp;
use crate::id::JobId;
use crate::limit::Resource;
use crate::name::Name;

/// How many of the awaited jobs are named.
const NAMED: usize = 3;

/// Why a job is queued, and since when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InQueue {
    /// What keeps it from starting.
    #[serde(flatten)]
    pub reason: QueueReason,
    /// Its position among the jobs that wait for the same thing, counted from 1. Absent if it is about to start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<usize>,
    /// Since when it has been queued.
    pub since: Timestamp,
}

/// What keeps a job from starting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum QueueReason {
    /// The slots of its group are in use, or too many of them for it to fit.
    GroupLimit {
        /// The group.
        group: Name,
        /// How many of its slots are in use.
        running: u64,
        /// How many it has.
        limit: u32,
    },
    /// The slots of the store are in use, or too many of them for it to fit.
    StoreLimit {
        /// How many are in use.
        running: u64,
        /// How many there are.
        limit: u32,
    },
    /// Too much of a resource is in use.
    Resource {
        /// The resource.
        resource: Resource,
        /// How much the job needs.
        needed: u32,
        /// How much is in use.
        in_use: u64,
        /// How much there is.
        limit: u32,
    },
    /// Jobs before it wait for the same slots or resources, and there is not enough for both.
    Reserved,
    /// It is on hold.
    OnHold,
    /// It will be started later.
    Scheduled {
        /// When.
        at: Timestamp,
    },
    /// It is a schedule, which is never started itself.
    Repeats {
        /// When its runs are started.
        repeat: Repeat,
        /// The next time; absent if it is on hold.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
        /// Its last run, if it has had one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_run: Option<JobId>,
    },
    /// It will be started after other jobs.
    After {
        /// The jobs that it still waits for.
        after: Vec<After>,
    },
    /// Its group is paused, or the whole store if no group is named.
    Paused {
        /// The group.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<Name>,
    },
    /// A condition of the job on the load of the machine is not met.
    Load(Unmet),
    /// A condition of the store on the load of the machine is not met.
    Guard(Unmet),
    /// It was submitted in another pid or mount namespace, and only a program there may start it.
    OtherNamespace,
    /// This program is in a sandbox that the submitter was not in, and only a program outside may start the job.
    Sandboxed,
    /// It was submitted by a later version, and only a program of that version may start it.
    LaterVersion,
    /// Nothing: it starts as soon as a program looks at the queue.
    Due,
}

impl fmt::Display for InQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            QueueReason::GroupLimit { group, running, limit } => {
                write!(f, "{running} of {limit} running in group {group}")
            }
            QueueReason::StoreLimit { running, limit } => write!(f, "{running} of {limit} running"),
            QueueReason::Resource { resource, needed: 1, in_use, limit } => {
                write!(f, "{in_use} of {limit} in use of resource {resource}")
            }
            QueueReason::Resource { resource, needed, in_use, limit } => {
                write!(f, "needs {needed} of resource {resource}, and {in_use} of {limit} are in use")
            }
            QueueReason::Reserved => f.write_str("jobs before it need the same slots or resources"),
            QueueReason::OnHold => f.write_str("it is on hold"),
            QueueReason::Scheduled { at } => write!(f, "it starts at {at:.0}"),
            QueueReason::Repeats { repeat, at, last_run } => {
                match at {
                    Some(at) => write!(f, "{repeat}, next at {at:.0}"),
                    None => write!(f, "{repeat}, on hold"),
                }?;
                last_run.map_or(Ok(()), |run| write!(f, ", last run {}", run.short()))
            }
            QueueReason::After { after } => write!(f, "it starts after {}", listed(after)),
            QueueReason::Paused { group: Some(group) } => write!(f, "group {group} is paused"),
            QueueReason::Paused { group: None } => f.write_str("the store is paused"),
            QueueReason::Load(unmet) => write!(f, "it starts when {unmet}"),
            QueueReason::Guard(unmet) => write!(f, "the store starts jobs only when {unmet}"),
            QueueReason::OtherNamespace => {
                f.write_str("it was submitted in another namespace, such as a container, and can only start there")
            }
            QueueReason::Sandboxed => {
                f.write_str("this program is in a sandbox that the submitter was not in, and may not start it")
            }
            QueueReason::LaterVersion => f.write_str("it was submitted by a later version, which has to start it"),
            QueueReason::Due => f.write_str("it is due, and starts when a program next uses the store"),
        }?;
        self.position.map_or(Ok(()), |position| write!(f, ", position {position}"))
    }
}

impl InQueue {
    /// Returns the reason in short, for a table: `#2: 4 of 4 in agents`.
    pub fn in_short(&self) -> String {
        let reason = match &self.reason {
            QueueReason::GroupLimit { group, running, limit } => format!("{running} of {limit} in {group}"),
            QueueReason::StoreLimit { running, limit } => format!("{running} of {limit}"),
            QueueReason::Resource { resource, in_use, limit, .. } => format!("{in_use} of {limit} of {resource}"),
            QueueReason::Reserved => "reserved".to_owned(),
            QueueReason::OnHold => "on hold".to_owned(),
            QueueReason::Scheduled { at } => format!("at {at:.0}"),
            QueueReason::Repeats { repeat, at: Some(_), .. } => repeat.to_string(),
            QueueReason::Repeats { repeat, at: None, .. } => format!("{repeat}, on hold"),
            QueueReason::After { after } => format!("after {}", listed(after)),
            QueueReason::Paused { group: Some(group) } => format!("{group} paused"),
            QueueReason::Paused { group: None } => "store paused".to_owned(),
            QueueReason::Load(unmet) => unmet.in_short(),
            QueueReason::Guard(unmet) => format!("guard {}", unmet.in_short()),
            QueueReason::OtherNamespace => "other namespace".to_owned(),
            QueueReason::Sandboxed => "sandboxed here".to_owned(),
            QueueReason::LaterVersion => "later version".to_owned(),
            QueueReason::Due => "due".to_owned(),
        };
        self.position.map_or(reason.clone(), |position| format!("#{position}: {reason}"))
    }
}

/// Names the first few of the awaited jobs.
fn listed(after: &[After]) -> String {
    let name = |after: &After| match after.when {
        AfterWhen::Ended => after.job_id.short(),
        when => format!("{} ({when})", after.job_id.short()),
    };
    let mut names: Vec<_> = after.iter().take(NAMED).map(name).collect();
    match after.len().saturating_sub(NAMED) {
        0 => {}
        rest => names.push(format!("{rest} more")),
    }
    names.join(", ")
}
