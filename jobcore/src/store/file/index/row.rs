//! What one row says, and where: `docs/on-disk-format.md` has the table.

use std::fs;
use std::path::Path;

use crate::clock::Timestamp;
use crate::id::JobId;
use crate::record::Ended;
use crate::spec::JobSpec;
use crate::state::Status;
use crate::store::Query;
use crate::store::file::jobs::Jobs;
use crate::store::file::layout::{JobDir, Layout};

/// The size of a row.
pub(super) const ROW: usize = 128;

/// Where the parts of a row are. What stands before `STATE` never changes and is covered by the checksum.
const NAME_LENGTH: usize = 0;
const CHECKSUM: std::ops::Range<usize> = 4..8;
const ID: std::ops::Range<usize> = 8..24;
const NAME: std::ops::Range<usize> = 24..88;
const LABELS: std::ops::Range<usize> = 88..104;
pub(super) const STATE: usize = 104;
/// The checksum of the state and of what belongs to it. Zero in rows of version 0.1.0, which had none.
pub(super) const STATE_CHECKSUM: std::ops::Range<usize> = 108..112;
pub(super) const ENDED_AT: std::ops::Range<usize> = 112..120;
const OUTPUT: std::ops::Range<usize> = 120..128;

/// What a row says of its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowState {
    /// It has to be looked at: it may not be over, or not be there yet.
    Open,
    /// Its record could not be read when the row was made anew.
    Unreadable,
    /// It has been removed.
    Removed,
    /// It is over.
    Over(Status),
}

impl RowState {
    const UNREADABLE: u8 = 254;
    const REMOVED: u8 = 255;

    fn from_byte(byte: u8) -> Self {
        match byte {
            Self::UNREADABLE => Self::Unreadable,
            Self::REMOVED => Self::Removed,
            // What a later version writes is looked at.
            byte => Status::ALL.get(usize::from(byte)).filter(|s| s.is_final()).map_or(Self::Open, |s| Self::Over(*s)),
        }
    }

    fn to_byte(self) -> u8 {
        match self {
            Self::Open => 0,
            Self::Unreadable => Self::UNREADABLE,
            Self::Removed => Self::REMOVED,
            Self::Over(status) => {
                let place = Status::ALL.iter().position(|other| *other == status);
                place.and_then(|place| u8::try_from(place).ok()).unwrap_or(0)
            }
        }
    }
}

/// One row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row(pub(super) [u8; ROW]);

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row").field("id", &self.id()).field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Row {
    pub(super) fn new(id: JobId, spec: Option<&JobSpec>) -> Self {
        let mut row = Self([0; ROW]);
        row.0[ID].copy_from_slice(&id.to_bytes());
        if let Some(name) = spec.and_then(|spec| spec.name.as_ref()) {
            let name = name.as_str().as_bytes();
            row.0[NAME_LENGTH] = u8::try_from(name.len()).unwrap_or(0);
            row.0[NAME][..name.len()].copy_from_slice(name);
        }
        let mut marks = [0_u8; LABELS.end - LABELS.start];
        for mark in spec.into_iter().flat_map(|spec| {
            let group = spec.group.iter().map(|group| group_mark(group.as_str()));
            group.chain(spec.labels.iter().flat_map(|(name, value)| [label_mark(name, ""), label_mark(name, value)]))
        }) {
            for bit in bits(&mark) {
                marks[bit / 8] |= 1 << (bit % 8);
            }
        }
        row.0[LABELS].copy_from_slice(&marks);
        let checksum = row.checksum();
        row.0[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
        row.set_state(RowState::Open);
        row
    }

    /// Makes the row of a job that is there, from its records.
    pub(crate) fn of(layout: &Layout, id: JobId) -> Self {
        let job = layout.job(id);
        let read = Jobs::new(layout).read(id);
        let Ok((read, submission)) = read.and_then(|read| read.submission().map(|submission| (read, submission)))
        else {
            let mut row = Self::new(id, None);
            row.set_state(RowState::Unreadable);
            return row;
        };
        let mut row = Self::new(id, Some(&submission.spec));
        if let Ok(Some(ended)) = read.get::<Ended>() {
            row.end(&ended, output_bytes(&job));
        }
        row
    }

    pub(super) fn end(&mut self, ended: &Ended, output: u64) {
        self.0[ENDED_AT].copy_from_slice(&ended.outcome.ended_at.as_microsecond().to_le_bytes());
        self.0[OUTPUT].copy_from_slice(&output.to_le_bytes());
        self.set_state(RowState::Over(ended.outcome.status()));
    }

    /// Sets the state, last of all that belongs to it.
    pub(super) fn set_state(&mut self, state: RowState) {
        self.0[STATE] = state.to_byte();
        let checksum = self.state_checksum();
        self.0[STATE_CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
    }

    /// Returns the checksum of the state, of this very job. It is never zero.
    fn state_checksum(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.0[CHECKSUM]);
        hasher.update(&self.0[STATE..STATE_CHECKSUM.start]);
        hasher.update(&self.0[STATE_CHECKSUM.end..]);
        hasher.finalize().max(1)
    }

    fn checksum(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.0[..CHECKSUM.start]);
        hasher.update(&self.0[CHECKSUM.end..STATE]);
        hasher.finalize()
    }

    pub(super) fn is_sound(&self) -> bool {
        self.0[CHECKSUM] == self.checksum().to_le_bytes() && self.id().is_some()
    }

    fn number(&self, range: std::ops::Range<usize>) -> u64 {
        u64::from_le_bytes(self.0[range].try_into().unwrap_or_default())
    }

    pub(crate) fn id(&self) -> Option<JobId> {
        JobId::from_bytes(self.0[ID].try_into().ok()?).ok()
    }

    pub(crate) fn state(&self) -> RowState {
        let checksum = &self.0[STATE_CHECKSUM];
        match checksum == self.state_checksum().to_le_bytes() || checksum == [0; 4] {
            true => RowState::from_byte(self.0[STATE]),
            // It was changed, or is just being written: the job itself says.
            false => RowState::Open,
        }
    }

    pub(crate) fn ended_at(&self) -> Timestamp {
        let micros = i64::from_le_bytes(self.0[ENDED_AT].try_into().unwrap_or_default());
        Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    pub(crate) fn output_bytes(&self) -> u64 {
        self.number(OUTPUT)
    }

    fn name(&self) -> &[u8] {
        &self.0[NAME][..usize::from(self.0[NAME_LENGTH]).min(NAME.len())]
    }

    fn may_have(&self, mark: &str) -> bool {
        bits(mark).into_iter().all(|bit| self.0[LABELS][bit / 8] & (1 << (bit % 8)) != 0)
    }

    /// Returns whether the job may be one that is wanted.
    pub(crate) fn may_match(&self, query: &Query) -> bool {
        let Some(id) = self.id() else { return false };
        if self.state() == RowState::Removed || !query.may_be(id) {
            return false;
        }
        if self.state() == RowState::Unreadable {
            return true;
        }
        let has_status = match self.state() {
            RowState::Over(status) => query.statuses.is_empty() || query.statuses.contains(&status),
            RowState::Open | RowState::Unreadable | RowState::Removed => true,
        };
        has_status
            && query.name.as_ref().is_none_or(|name| name.as_str().as_bytes() == self.name())
            && query.group.as_ref().is_none_or(|group| self.may_have(&group_mark(group.as_str())))
            && query.labels.iter().all(|(name, value)| self.may_have(&label_mark(name, value)))
    }
}

fn label_mark(name: &str, value: &str) -> String {
    format!("{name}={value}")
}

/// No label looks like this: a name has no slash before its `=`.
fn group_mark(group: &str) -> String {
    format!("\0{group}")
}

/// The two bits that a label sets: what shares them has to be told apart by the record.
fn bits(mark: &str) -> [usize; 2] {
    let hash = crc32fast::hash(mark.as_bytes()).to_le_bytes();
    [usize::from(hash[0] & 127), usize::from(hash[2] & 127)]
}

/// Returns how many bytes of the output of a job are kept. The rows beside them are left out: whoever adopts a job adds some.
pub(super) fn output_bytes(job: &JobDir) -> u64 {
    let files = fs::read_dir(&job.path).into_iter().flatten().flatten();
    let segments = files.filter(|entry| Path::new(&entry.file_name()).extension().is_some_and(|kind| kind == "log"));
    segments.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}
