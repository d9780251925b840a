//! What a row says, and where: `docs/on-disk-format.md` has the table.

use std::fs;
use std::path::Path;

use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::id::JobId;
use crate::name::Name;
use crate::record::Ended;
use crate::spec::JobSpec;
use crate::state::Status;
use crate::store::Query;
use crate::store::file::jobs::Jobs;
use crate::store::file::layout::{JobDir, Layout};

/// The size of a row: all of 100,000 are checked in two milliseconds, most of which is spent reading them.
pub(super) const ROW: usize = 48;

/// Where the parts of a row are. All of it is written at once, and covered by the checksum.
const ID: std::ops::Range<usize> = 0..16;
const LABELS: std::ops::Range<usize> = 16..24;
const ENDED_AT: std::ops::Range<usize> = 24..32;
const OUTPUT: std::ops::Range<usize> = 32..40;
pub(super) const STATE: usize = 40;
const NAME: std::ops::Range<usize> = 41..44;
const CHECKSUM: std::ops::Range<usize> = 44..48;

/// What a row says about its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowState {
    /// The job has to be checked: it may not have ended, or not exist yet.
    Open,
    /// Its record could not be read when the row was rebuilt.
    Unreadable,
    /// It has been removed.
    Removed,
    /// It has ended.
    Over(Status),
}

impl RowState {
    const UNREADABLE: u8 = 254;
    const REMOVED: u8 = 255;

    fn from_byte(byte: u8) -> Self {
        match byte {
            Self::UNREADABLE => Self::Unreadable,
            Self::REMOVED => Self::Removed,
            // A state that a later version wrote is checked against the job.
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
        row.0[NAME].copy_from_slice(&name_mark(spec.and_then(|spec| spec.name.as_ref())));
        if let Some(spec) = spec {
            row.add_marks(spec);
        }
        row.set_state(RowState::Open);
        row
    }

    /// Makes the job findable by the labels, the group, the caller and the project of a spec.
    pub(super) fn add_marks(&mut self, spec: &JobSpec) {
        let group = spec.group.iter().map(|group| group_mark(group.as_str()));
        let caller = spec.caller.iter().map(caller_mark);
        let project = spec.project.iter().map(|project| project_mark(project));
        let labels = spec.labels.iter().flat_map(|(name, value)| [label_mark(name, ""), label_mark(name, value)]);
        for mark in group.chain(caller).chain(project).chain(labels) {
            for bit in bits(&mark) {
                self.0[LABELS][bit / 8] |= 1 << (bit % 8);
            }
        }
        self.set_state(self.state());
    }

    /// Builds the row of an existing job from its records.
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

    /// Sets the state and the checksum, which have to come last.
    pub(super) fn set_state(&mut self, state: RowState) {
        self.0[STATE] = state.to_byte();
        let checksum = self.checksum();
        self.0[CHECKSUM].copy_from_slice(&checksum);
    }

    /// Returns the checksum of the rest. A CRC of so few bytes takes several times as long as everything else that is
    /// done with a row.
    fn checksum(&self) -> [u8; 4] {
        /// The fractional part of the golden ratio, whose multiples are far apart.
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let (words, rest) = self.0[..CHECKSUM.start].as_chunks::<8>();
        let rest = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        let words = words.iter().map(|word| u64::from_le_bytes(*word)).chain([rest]);
        let hash = words.fold(SPREAD, |hash, word| (hash.rotate_left(32) ^ word).wrapping_mul(SPREAD));
        let [.., a, b, c, d] = hash.to_le_bytes();
        [a, b, c, d]
    }

    pub(super) fn is_sound(&self) -> bool {
        self.0[CHECKSUM] == self.checksum() && self.id().is_some()
    }

    pub(super) fn is_of(&self, id: JobId) -> bool {
        self.0[ID] == id.to_bytes()
    }

    fn number(&self, range: std::ops::Range<usize>) -> u64 {
        u64::from_le_bytes(self.0[range].try_into().unwrap_or_default())
    }

    pub(crate) fn id(&self) -> Option<JobId> {
        JobId::from_bytes(self.0[ID].try_into().ok()?).ok()
    }

    pub(crate) fn state(&self) -> RowState {
        RowState::from_byte(self.0[STATE])
    }

    pub(crate) fn ended_at(&self) -> Timestamp {
        let micros = i64::from_le_bytes(self.0[ENDED_AT].try_into().unwrap_or_default());
        Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    pub(crate) fn output_bytes(&self) -> u64 {
        self.number(OUTPUT)
    }

    fn may_have(&self, mark: &str) -> bool {
        bits(mark).into_iter().all(|bit| self.0[LABELS][bit / 8] & (1 << (bit % 8)) != 0)
    }

    /// Returns whether the job may be wanted.
    pub(crate) fn may_match(&self, query: &Query) -> bool {
        let Some(id) = self.id() else { return false };
        if self.state() == RowState::Removed || !query.may_be(id) {
            return false;
        }
        if self.state() == RowState::Unreadable {
            return true;
        }
        let may_end_so = match self.state() {
            RowState::Over(status) => query.may_want_end(status, self.ended_at()),
            RowState::Open | RowState::Unreadable | RowState::Removed => true,
        };
        may_end_so
            && query.name.as_ref().is_none_or(|name| self.0[NAME] == name_mark(Some(name)))
            && query.group.as_ref().is_none_or(|group| self.may_have(&group_mark(group.as_str())))
            && query.caller.as_ref().is_none_or(|caller| self.may_have(&caller_mark(caller)))
            && query.project.as_ref().is_none_or(|project| self.may_have(&project_mark(project)))
            && query.labels.iter().all(|(name, value)| self.may_have(&label_mark(name, value)))
    }
}

/// The mark of a name in a row. Names that share a mark are told apart by the record.
fn name_mark(name: Option<&Name>) -> [u8; NAME.end - NAME.start] {
    let [mark @ .., _] = crc32fast::hash(name.map_or("", Name::as_str).as_bytes()).to_le_bytes();
    mark
}

fn label_mark(name: &str, value: &str) -> String {
    format!("{name}={value}")
}

/// No label looks like this mark or those below, because labels have no control characters.
fn group_mark(group: &str) -> String {
    format!("\0{group}")
}

fn caller_mark(caller: &Caller) -> String {
    format!("\0\0{caller}")
}

fn project_mark(project: &Path) -> String {
    format!("\0\0/{}", project.display())
}

/// The two bits that a mark sets. Marks that share them are told apart by the record.
fn bits(mark: &str) -> [usize; 2] {
    let hash = crc32fast::hash(mark.as_bytes()).to_le_bytes();
    [usize::from(hash[0] & 63), usize::from(hash[2] & 63)]
}

/// Returns how many bytes of a job's output are kept. The rows next to them do not count, because a process that adopts
/// a job adds some.
pub(super) fn output_bytes(job: &JobDir) -> u64 {
    let files = fs::read_dir(&job.path).into_iter().flatten().flatten();
    let segments = files.filter(|entry| Path::new(&entry.file_name()).extension().is_some_and(|kind| kind == "log"));
    segments.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}
