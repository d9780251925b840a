//! The files in `queue/` and `slots/`, which say by their names what they say.
//!
//! `queue/NUMBER-ID` says that a job may not have been started, `slots/ID` that it has taken one of the places that the limits
//! allow; the name of a group follows after an `@`. Both are hints that are checked against the job itself.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::atomic;
use super::layout::{JobDir, Layout};
use crate::error::Result;
use crate::id::JobId;
use crate::name::Name;
use crate::store::Slot;

/// Where a job stands in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Queued {
    pub(crate) v: u32,
    /// The order in which jobs are started.
    pub(crate) sequence: u64,
    /// Where its row was put in the index of the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) row: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<Name>,
}

impl Queued {
    /// Reads where a job stands; nothing if that is not on record.
    pub(crate) fn read(job: &JobDir) -> Result<Option<Self>> {
        atomic::read(&job.queued())
    }

    pub(crate) fn entry_name(&self, id: JobId) -> String {
        format!("{:016}-{}", self.sequence, self.slot_name(id))
    }

    pub(crate) fn slot_name(&self, id: JobId) -> String {
        slot_name(&Slot { id, group: self.group.clone() })
    }
}

pub(super) fn slot_name(Slot { id, group }: &Slot) -> String {
    match group {
        Some(group) => format!("{id}@{group}"),
        None => id.to_string(),
    }
}

/// A name in `queue/` or `slots/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The number of the queue, which slots do not have. One that is too large to be any is the largest.
    pub(super) number: Option<u64>,
    pub(super) name: String,
    pub(super) slot: Slot,
}

impl Entry {
    pub(super) fn parse(name: String) -> Option<Self> {
        if let Some(slot) = Self::parse_slot(&name) {
            return Some(Self { number: None, name, slot });
        }
        let (digits, slot) = name.split_once('-')?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (number, slot) = (digits.parse().unwrap_or(u64::MAX), Self::parse_slot(slot)?);
        Some(Self { number: Some(number), name, slot })
    }

    fn parse_slot(name: &str) -> Option<Slot> {
        let (id, group) = match name.split_once('@') {
            Some((id, group)) => (id, Some(group.parse().ok()?)),
            None => (name, None),
        };
        Some(Slot { id: id.parse().ok()?, group })
    }
}

/// Returns what is in `queue/` or `slots/`, in order; nothing if there is no such directory.
pub(super) fn entries(directory: &Path) -> Result<Option<Vec<Entry>>> {
    let Some(names) = atomic::list(directory)? else { return Ok(None) };
    let mut entries: Vec<_> = names.into_iter().filter_map(Entry::parse).collect();
    entries.sort_unstable_by(|a, b| (a.number, &a.name).cmp(&(b.number, &b.name)));
    Ok(Some(entries))
}

/// Removes the entries of a job in the queue and among the slots. Without its place, all entries are looked through.
pub(super) fn forget(layout: &Layout, id: JobId, queued: Option<&Queued>) {
    if let Some(queued) = queued {
        let _ = fs::remove_file(layout.queue().join(queued.entry_name(id)));
        let _ = fs::remove_file(layout.slots().join(queued.slot_name(id)));
        return;
    }
    for directory in [layout.queue(), layout.slots()] {
        for entry in entries(&directory).ok().flatten().unwrap_or_default() {
            if entry.slot.id == id {
                let _ = fs::remove_file(directory.join(entry.name));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        let id: JobId = "01a1fdae-f732-79d8-863c-36d74826f0c8".parse().unwrap();
        let queued = Queued { v: 1, sequence: 42, row: None, group: Some("a-b.c".parse().unwrap()) };
        let entry = Entry::parse(queued.entry_name(id)).unwrap();
        assert_eq!(entry.slot, Slot { id, group: queued.group.clone() });
        assert_eq!((slot_name(&entry.slot), entry.number), (queued.slot_name(id), Some(42)));
        assert_eq!(Entry::parse(queued.slot_name(id)).unwrap().slot, entry.slot);
        let plain = Queued { group: None, ..queued };
        assert_eq!(Entry::parse(plain.entry_name(id)).unwrap().slot, Slot { id, group: None });
        assert_eq!(Entry::parse(plain.slot_name(id)).unwrap().slot, Slot { id, group: None });
        // The first digits of an id are no number, whatever they are.
        let digits = "01922270-2fd9-7d4d-b2cf-5a521f07d537";
        assert_eq!(Entry::parse(digits.to_owned()).unwrap().number, None);
        for (name, number) in [("7", 7), ("00090000000000000003", 90_000_000_000_000_003), (&"9".repeat(30), u64::MAX)]
        {
            assert_eq!(Entry::parse(format!("{name}-{digits}@g")).unwrap().number, Some(number), "{name}");
        }
        for wrong in
            ["", "x", "0000000000000001-x", "..", ".hidden", "-1", "1", &format!("-{digits}"), &format!("x-{digits}")]
        {
            assert_eq!(Entry::parse(wrong.to_owned()), None, "{wrong}");
        }
    }
}
