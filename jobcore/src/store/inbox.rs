//! Which ends have been delivered to a caller.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::JobId;

/// What is known of the ends of one caller's jobs. Everything else follows from the events and the records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InboxState {
    /// The caller that submitted the jobs.
    pub caller: Caller,
    /// The number of the first event that has not been processed.
    pub next: u64,
    /// When the events before it were processed.
    pub at: Timestamp,
    /// Jobs whose ends are still to be delivered, the oldest end first.
    #[serde(default)]
    pub pending: Vec<JobId>,
    /// The most recent jobs whose ends were delivered, the newest last. An event may arrive after the end was
    /// delivered, and twice.
    #[serde(default)]
    pub delivered: Vec<JobId>,
    /// Jobs that are MCP tasks of the caller; its host asks for their ends.
    #[serde(default)]
    pub tasks: Vec<JobId>,
    /// Jobs of `pending` that were reported to another conversation of the project.
    #[serde(default)]
    pub recapped: Vec<JobId>,
}

impl InboxState {
    /// How many delivered ends are remembered.
    const REMEMBERED: usize = 64;
    /// How many ends are kept for a caller that never returns: the newest.
    const PENDING: usize = 1_000;

    /// Creates an inbox that has processed all events before `next`.
    pub fn new(caller: Caller, next: u64, at: Timestamp) -> Self {
        let (pending, delivered, tasks, recapped) = Default::default();
        Self { caller, next, at, pending, delivered, tasks, recapped }
    }

    /// Adds an end, unless it is pending or was delivered.
    pub fn add(&mut self, id: JobId) {
        if self.pending.contains(&id) || self.delivered.contains(&id) {
            return;
        }
        if self.pending.len() == Self::PENDING {
            self.forget(self.pending[0]);
        }
        self.pending.push(id);
    }

    /// Removes an end that was delivered.
    pub fn deliver(&mut self, id: JobId) {
        self.forget(id);
        if !self.delivered.contains(&id) {
            if self.delivered.len() == Self::REMEMBERED {
                self.delivered.remove(0);
            }
            self.delivered.push(id);
        }
    }

    /// Removes an end that cannot be delivered because its job was removed.
    pub fn forget(&mut self, id: JobId) {
        for list in [&mut self.pending, &mut self.tasks, &mut self.recapped] {
            list.retain(|other| *other != id);
        }
    }
}

/// The inbox of a caller, held: no other process or thread has it meanwhile. Dropping it releases it.
#[async_trait]
pub trait Inbox: Send + Debug {
    /// Returns what was written last; nothing for a new inbox.
    fn state(&self) -> Option<&InboxState>;

    /// Replaces the state.
    ///
    /// # Errors
    /// If it cannot be written. The previous state may then be lost.
    async fn write(&mut self, state: InboxState) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemRandom;

    #[test]
    fn an_end_is_added_once_and_the_lists_are_bounded() {
        let caller = "codex:1".parse().unwrap();
        let mut state = InboxState::new(caller, 0, Timestamp::UNIX_EPOCH);
        let ids: Vec<_> = (0..1_100).map(|_| JobId::mint(Timestamp::now(), &SystemRandom).unwrap()).collect();
        for id in ids.iter().chain(&ids[500..]) {
            state.add(*id);
        }
        assert_eq!(state.pending, ids[100..]);
        state.tasks.push(ids[100]);
        for id in &ids[100..200] {
            state.deliver(*id);
            state.deliver(*id);
            state.add(*id);
        }
        assert_eq!((state.pending.as_slice(), state.delivered.as_slice()), (&ids[200..], &ids[136..200]));
        assert!(state.tasks.is_empty());
    }
}
