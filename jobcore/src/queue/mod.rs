//! The queue in words: a job's place in it, what the job waits for, and why it has not been started.

// In the order in which to read them:
// - `place.rs`: the place of a job
// - `after.rs`: jobs that others wait for
// - `repeat.rs`: when a schedule runs
// - `load.rs`: how busy the machine may be for a job to start
// - `reason.rs`: why a job has not been started

mod after;
mod load;
mod place;
mod reason;
mod repeat;

pub use crate::limit::{LimitOn, ReachedLimit, Resource};
pub use after::{After, AfterWhen};
pub use load::{LoadCondition, Measure, Side, Unmet};
pub(crate) use load::{check_known, tag, unmet};
pub use place::{MoveTo, Place, UNITS};
pub use reason::{InQueue, QueueReason};
pub use repeat::{Missed, Repeat, RepeatRule, RunOf};
