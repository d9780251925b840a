//! The queue in words: where a job stands in it, what it waits for, and why it has not been started.

// In the order in which to read them:
// - `place.rs`: where a job stands
// - `after.rs`: jobs that others wait for
// - `repeat.rs`: when a job is run again and again
// - `reason.rs`: why a job has not been started

mod after;
mod place;
mod reason;
mod repeat;

pub use crate::limit::{LimitOn, ReachedLimit, Resource};
pub use after::{After, AfterWhen};
pub use place::{MoveTo, Place, UNITS};
pub use reason::{InQueue, QueueReason};
pub use repeat::{Missed, Repeat, RepeatRule, RunOf};
