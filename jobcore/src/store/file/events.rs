//! The events on disk: rows of fixed size in segments that are named by the number of their first event.
//!
//! Adding a row needs no lock: the kernel appends it after the last one, and its position is its number. A segment has
//! room for a fixed number of rows; a row that lands after these is ignored, and is added again to the next segment.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::atomic;
use super::layout::Layout;
use crate::clock::Timestamp;
use crate::error::{IoContext, Result};
use crate::id::JobId;
use crate::state::Status;
use crate::store::{EventKind, Events, JobEvent};

/// The size of a row.
const ROW: usize = 64;
const ROW_BYTES: u64 = ROW as u64;
/// How many rows fit into a segment.
const SEGMENT: u64 = 16_384;
/// No store comes near this number of events: a file with a larger number as its name is not ours.
const MOST: u64 = 1 << 53;
/// How many segments are kept.
const KEPT: usize = 8;
/// No segment is known.
const UNKNOWN: u64 = u64::MAX;
/// The part of a row that the checksum before it covers.
const BODY: std::ops::Range<usize> = 4..48;
/// In the order in which they were introduced: an earlier version ignores rows of kinds that it does not know.
const KINDS: [EventKind; 12] = [
    EventKind::Submitted,
    EventKind::Started,
    EventKind::Adopted,
    EventKind::Ended,
    EventKind::Removed,
    EventKind::WaitingForInput,
    EventKind::Stalled,
    EventKind::Paused,
    EventKind::Resumed,
    EventKind::Ready,
    EventKind::NotReady,
    EventKind::Retrying,
];

fn encode(event: &JobEvent) -> [u8; ROW] {
    let place = |place: Option<usize>| place.and_then(|place| u8::try_from(place + 1).ok()).unwrap_or(0);
    let mut row = [0; ROW];
    row[4] = place(KINDS.iter().position(|kind| *kind == event.event));
    row[5] = event.status.map_or(0, |status| place(Status::ALL.iter().position(|other| *other == status)));
    row[6] = u8::from(event.exit_code.is_some());
    row[8..24].copy_from_slice(&event.job_id.to_bytes());
    row[24..32].copy_from_slice(&event.at.as_microsecond().to_le_bytes());
    row[32..36].copy_from_slice(&event.exit_code.unwrap_or(0).to_le_bytes());
    let checksum = crc32fast::hash(&row[BODY]);
    row[..BODY.start].copy_from_slice(&checksum.to_le_bytes());
    row
}

/// Returns the event of a row; nothing if the row is damaged, or of a kind that only a later version knows.
fn decode(row: &[u8; ROW], number: u64) -> Option<JobEvent> {
    if row[..BODY.start] != crc32fast::hash(&row[BODY]).to_le_bytes() {
        return None;
    }
    let micros = i64::from_le_bytes(row[24..32].try_into().ok()?);
    let code = i32::from_le_bytes(row[32..36].try_into().ok()?);
    Some(JobEvent {
        number,
        at: Timestamp::from_microsecond(micros).ok()?,
        job_id: JobId::from_bytes(row[8..24].try_into().ok()?).ok()?,
        event: *KINDS.get(usize::from(row[4]).checked_sub(1)?)?,
        status: usize::from(row[5]).checked_sub(1).and_then(|place| Status::ALL.get(place).copied()),
        exit_code: (row[6] != 0).then_some(code),
    })
}

/// Adds a row to a segment, and returns whether there was room: a row after the last that fits does not count.
fn append(mut segment: File, row: &[u8; ROW]) -> io::Result<bool> {
    segment.write_all(row)?;
    Ok(segment.stream_position()? <= SEGMENT * ROW_BYTES)
}

/// The events of a store.
#[derive(Debug, Clone)]
pub(super) struct EventLog {
    layout: Layout,
    /// The last segment as far as this process knows.
    last: Arc<AtomicU64>,
}

impl EventLog {
    pub(super) fn new(layout: &Layout) -> Self {
        Self { layout: layout.clone(), last: Arc::new(AtomicU64::new(UNKNOWN)) }
    }

    /// Returns the directory in which something changes with each event.
    pub(super) fn directory(&self) -> Result<PathBuf> {
        let directory = self.layout.events();
        atomic::ensure_dir(&directory)?;
        Ok(directory)
    }

    /// Adds an event. If it cannot be written, for example on a full disk, it is dropped: the records say what
    /// happened.
    pub(super) fn add(&self, event: &JobEvent) {
        if let Err(error) = self.try_add(event) {
            tracing::debug!(job = %event.job_id, %error, "an event could not be written");
        }
    }

    fn try_add(&self, event: &JobEvent) -> Result<()> {
        let row = encode(event);
        let known = self.last.load(Ordering::Relaxed);
        if known != UNKNOWN {
            let path = self.layout.event_segment(known);
            // A segment that is full or was removed is not the last one.
            if let Some(file) = atomic::open_if_there(&path, OpenOptions::new().append(true))?
                && append(file, &row).context("write", &path)?
            {
                return Ok(());
            }
        }
        let mut first = match self.segments()?.last() {
            Some(last) => *last,
            None => {
                self.directory()?;
                0
            }
        };
        loop {
            let path = self.layout.event_segment(first);
            let file = atomic::open_or_create(&path, OpenOptions::new().append(true))?;
            if append(file, &row).context("write", &path)? {
                self.last.store(first, Ordering::Relaxed);
                return Ok(());
            }
            first += SEGMENT;
            self.remove_old()?;
        }
    }

    fn remove_old(&self) -> Result<()> {
        let segments = self.segments()?;
        for first in segments.iter().take((segments.len() + 1).saturating_sub(KEPT)) {
            let _ = fs::remove_file(self.layout.event_segment(*first));
        }
        Ok(())
    }

    fn segments(&self) -> Result<Vec<u64>> {
        let names = atomic::names(&self.layout.events())?;
        let mut segments: Vec<u64> = names.iter().filter_map(|name| name.parse().ok()).collect();
        // The numbers of events have to fit into JSON, with some to spare.
        segments.retain(|first| first % SEGMENT == 0 && *first < MOST);
        segments.sort_unstable();
        Ok(segments)
    }

    /// Returns how many events a segment has; 0 if it has been dropped since.
    fn rows(&self, first: u64) -> Result<u64> {
        let path = self.layout.event_segment(first);
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            metadata => Ok((metadata.context("look at", &path)?.len() / ROW_BYTES).min(SEGMENT)),
        }
    }

    /// Returns at most `limit` events from number `since` on.
    pub(super) fn read(&self, since: u64, limit: usize) -> Result<Events> {
        let segments = self.segments()?;
        let start = since.max(segments.first().copied().unwrap_or(since));
        let end = match segments.last() {
            Some(last) => last + self.rows(*last)?,
            None => 0,
        };
        let mut next = start;
        let mut events = Vec::new();
        for first in segments.into_iter().filter(|first| first + SEGMENT > start) {
            let path = self.layout.event_segment(first);
            // If it is missing, it has been dropped since.
            let Some(file) = atomic::open_if_there(&path, OpenOptions::new().read(true))? else { continue };
            let rows = (file.metadata().context("look at", &path)?.len() / ROW_BYTES).min(SEGMENT);
            let from = next.max(first);
            let count = (first + rows).saturating_sub(from).min((limit - events.len()) as u64);
            let mut bytes = vec![0; usize::try_from(count).unwrap_or(0) * ROW];
            file.read_exact_at(&mut bytes, (from - first) * ROW_BYTES).context("read", &path)?;
            let (rows, _) = bytes.as_chunks::<ROW>();
            events.extend((from..).zip(rows).filter_map(|(number, row)| decode(row, number)));
            next = next.max(from + count);
            if events.len() >= limit {
                break;
            }
        }
        Ok(Events::new(events, next, start - since, end))
    }
}

/// Checks what is read from a segment with these bytes: for the fuzz targets and the property tests.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn check_events(bytes: &[u8]) {
    let (rows, _) = bytes.as_chunks::<ROW>();
    for (number, row) in rows.iter().enumerate() {
        let Some(event) = decode(row, number as u64) else { continue };
        assert_eq!(event.number, number as u64);
        assert_eq!(decode(&encode(&event), event.number).as_ref(), Some(&event));
        serde_json::to_vec(&event).expect("an event can be shown");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemRandom;

    #[test]
    fn rows_are_read_back_and_damage_is_detected() {
        let id = JobId::mint(Timestamp::now(), &SystemRandom).unwrap();
        for (event, status, exit_code) in [
            (EventKind::Submitted, None, None),
            (EventKind::Ended, Some(Status::Failed), Some(-1)),
            (EventKind::Ended, Some(Status::Orphaned), None),
            (EventKind::WaitingForInput, None, None),
            (EventKind::Stalled, None, None),
            (EventKind::Paused, None, None),
            (EventKind::Resumed, None, None),
            (EventKind::Ready, None, None),
            (EventKind::NotReady, None, None),
            (EventKind::Retrying, Some(Status::Failed), Some(1)),
        ] {
            let mut event = JobEvent { status, exit_code, ..JobEvent::now(id, event) };
            event.at = Timestamp::from_microsecond(event.at.as_microsecond()).unwrap();
            let mut row = encode(&event);
            assert_eq!(decode(&row, 0), Some(event));
            row[9] ^= 1;
            assert_eq!(decode(&row, 0), None);
        }
    }

    #[test]
    fn many_writers_fill_segments_without_gaps_and_old_ones_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path());
        let events = EventLog::new(&layout);
        let ids: Vec<_> = (0..4).map(|_| JobId::mint(Timestamp::now(), &SystemRandom).unwrap()).collect();
        // Nearly full: the writers reach the end of the segment together.
        let path = layout.event_segment(0);
        let filler = encode(&JobEvent::now(ids[0], EventKind::Submitted)).repeat(SEGMENT as usize - 100);
        fs::create_dir_all(layout.events()).unwrap();
        fs::write(&path, filler).unwrap();
        std::thread::scope(|scope| {
            for id in &ids {
                scope.spawn(|| (0..100).for_each(|_| events.add(&JobEvent::now(*id, EventKind::Started))));
            }
        });
        let read = events.read(SEGMENT - 100, usize::MAX / 2).unwrap();
        assert_eq!((read.events.len(), read.next, read.gone), (400, SEGMENT + 300, 0));
        assert!(read.events.iter().map(|event| event.number).eq(SEGMENT - 100..SEGMENT + 300));
        let part = events.read(SEGMENT - 1, 2).unwrap();
        assert_eq!((part.events.len(), part.next), (2, SEGMENT + 1));

        // The last known segment is full, as each one is before another is begun.
        for segment in 1..12 {
            let file = File::create(layout.event_segment(segment * SEGMENT)).unwrap();
            file.set_len(SEGMENT * ROW_BYTES).unwrap();
        }
        events.add(&JobEvent::now(ids[0], EventKind::Removed));
        let read = events.read(0, 10).unwrap();
        assert_eq!(read.gone, (12 + 1 - KEPT as u64) * SEGMENT);
    }
}
