//! What a job takes.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::id::JobId;
use crate::limit::Resource;
use crate::name::Name;
use crate::queue::Place;
use crate::spec::JobSpec;

/// A job that waits in the queue, or counts against the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Slot {
    /// The job.
    pub id: JobId,
    /// Its group, if it is in one.
    pub group: Option<Name>,
    /// Whether it has lent its slot, and does not count: [`JobStore::lend`](super::JobStore::lend).
    pub lent: bool,
    /// How many slots it takes of the store and of its group.
    pub weight: u32,
    /// The resources it takes.
    pub resources: BTreeMap<Resource, u32>,
    /// Whether it is a schedule, which takes nothing, is never started itself, and blocks no other job.
    pub repeats: bool,
    /// Its place in the queue, and what it was given when it left the queue.
    pub place: Place,
}

impl Slot {
    /// Returns the slot of a job that takes one slot and nothing else.
    pub fn new(id: JobId) -> Self {
        Self {
            id,
            group: None,
            lent: false,
            weight: 1,
            resources: BTreeMap::new(),
            repeats: false,
            place: Place::default(),
        }
    }

    /// Returns what a job with this spec and place takes.
    pub(crate) fn of(id: JobId, spec: &JobSpec, place: Place) -> Self {
        let (group, resources) = (spec.group.clone(), spec.resources.clone());
        Self { id, group, lent: false, weight: spec.slots, resources, repeats: spec.repeat.is_some(), place }
    }

    /// Returns whether it is a schedule whose time has come.
    pub(crate) fn is_due_schedule(&self, now: Timestamp) -> bool {
        self.repeats && !self.place.on_hold && self.place.not_before.is_none_or(|at| at <= now)
    }

    /// Returns whether the job's own place allows it to start.
    pub(crate) fn is_eligible(&self, now: Timestamp) -> bool {
        !self.repeats && !self.place.on_hold && self.place.not_before.is_none_or(|at| at <= now)
    }
}
