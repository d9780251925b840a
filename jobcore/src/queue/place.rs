//! A job's place in the queue, and what it was assigned when it left the queue.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::id::JobId;
use crate::limit::Resource;

/// A job's place in the queue, and what it was assigned when it left the queue. Unlike the spec, this changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// Jobs with a higher priority start first.
    pub priority: i32,
    /// Among jobs with the same priority, those with a lower number start first.
    pub order: u128,
    /// Whether it has to be released before it is started.
    pub on_hold: bool,
    /// The earliest time at which it may be started.
    pub not_before: Option<Timestamp>,
    /// The last run of a schedule, recorded just before that run is put into the queue.
    pub last_run: Option<JobId>,
    /// Its number among the running jobs of its group, or among those in no group, counted from 0. Known only for a job
    /// that has been assigned a slot.
    pub slot: Option<u32>,
    /// Which units of its resources it was assigned, one bit each, for resources with at most [`UNITS`] units.
    pub units: BTreeMap<Resource, u64>,
}

/// Where a job is moved to in the queue.
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

/// Up to how many units of a resource are assigned individually.
pub const UNITS: u32 = u64::BITS;

impl Place {
    /// Returns the sort key of jobs in the queue.
    pub(crate) fn rank(&self) -> impl Ord + use<> {
        (Reverse(self.priority), self.order)
    }

    /// Returns the numbers of the units of a resource that it was assigned.
    pub fn units_of(&self, resource: &Resource) -> impl Iterator<Item = u32> + use<> {
        let units = self.units.get(resource).copied().unwrap_or(0);
        (0..UNITS).filter(move |unit| units & (1 << unit) != 0)
    }
}
