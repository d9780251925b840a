//! Where a job stands in the queue, and what it was given when it left it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::id::JobId;
use crate::limit::Resource;

/// Where a job stands in the queue, and what it was given when it left it. Unlike its spec, this changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// Jobs of a higher priority start first.
    pub priority: i32,
    /// Of jobs of the same priority, those with a lower number start first.
    pub order: u128,
    /// Whether it is not started until it is released.
    pub on_hold: bool,
    /// When it may be started at the earliest.
    pub not_before: Option<Timestamp>,
    /// The last run of a schedule, from the moment in which that is about to be put into the queue.
    pub last_run: Option<JobId>,
    /// Its number among the running jobs of its group, or of those in no group, counted from 0. Only known of a job that has
    /// been given a slot.
    pub slot: Option<u32>,
    /// Which units of its resources it was given, one bit for each, where there are at most [`UNITS`] of a resource.
    pub units: BTreeMap<Resource, u64>,
}

/// Where in the queue a job is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MoveTo {
    /// Before all others.
    First,
    /// After all others.
    Last,
    /// Just before this one.
    Before(JobId),
    /// Just after this one.
    After(JobId),
}

/// Of how many units at most it is said which of them a job has.
pub const UNITS: u32 = u64::BITS;

impl Place {
    /// Returns by what jobs in the queue are sorted.
    pub(crate) fn rank(&self) -> impl Ord + use<> {
        (Reverse(self.priority), self.order)
    }

    /// Returns the numbers of the units of a resource that it was given.
    pub fn units_of(&self, resource: &Resource) -> impl Iterator<Item = u32> + use<> {
        let units = self.units.get(resource).copied().unwrap_or(0);
        (0..UNITS).filter(move |unit| units & (1 << unit) != 0)
    }
}
