//! The file of one day: a header and rows.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::row::{ENDED_AT, ROW, Row, STATE, STATE_CHECKSUM};
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::store::file::atomic;
use crate::sys::process;

/// The size of a row, and of the header before the first.
pub(super) const ROW_BYTES: u64 = ROW as u64;
/// How many rows are read at a time.
const CHUNK: u64 = 4096;
/// What the header begins with: 16 bytes; the id of the boot follows, then the number of rows, and the checksum of all of it.
const MAGIC: &[u8; 16] = b"jobcore index 1\n";
pub(super) const BOOT: std::ops::Range<usize> = 16..56;
pub(super) const COUNT: std::ops::Range<usize> = 56..64;
pub(super) const COUNT_CHECKSUM: std::ops::Range<usize> = 64..68;
/// How often a header is read that does not fit its checksum: it may just be changing.
const READING: usize = 3;

pub(super) fn header(count: u64) -> [u8; ROW] {
    let mut header = [0; ROW];
    header[..MAGIC.len()].copy_from_slice(MAGIC);
    let boot = process::boot_id().as_bytes();
    let length = boot.len().min(BOOT.len());
    header[BOOT][..length].copy_from_slice(&boot[..length]);
    set_count(&mut header, count);
    header
}

fn set_count(header: &mut [u8; ROW], count: u64) {
    header[COUNT].copy_from_slice(&count.to_le_bytes());
    let checksum = crc32fast::hash(&header[..COUNT.end]);
    header[COUNT_CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
}

/// Reads the header of an index; nothing if the file is too short for one or does not begin with one.
fn read_header(file: &File) -> io::Result<Option<[u8; ROW]>> {
    let mut header = [0; ROW];
    for _ in 0..READING {
        match file.read_exact_at(&mut header, 0) {
            // That a file cannot be read says nothing about what it is: others see its rows.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        if !header.starts_with(MAGIC) {
            return Ok(None);
        }
        if header[COUNT_CHECKSUM] == crc32fast::hash(&header[..COUNT.end]).to_le_bytes() {
            return Ok(Some(header));
        }
    }
    Ok(None)
}

/// The index of one day, open.
#[derive(Debug)]
pub(super) struct DayIndex {
    file: File,
    header: [u8; ROW],
    /// How many rows there are.
    rows: u64,
}

impl DayIndex {
    /// Opens an index; nothing if it is missing or not one. One of another boot is only good for adding rows.
    pub(super) fn open(path: &Path, any_boot: bool) -> Result<Option<Self>> {
        let file = match atomic::open_if_there(path, OpenOptions::new().read(true).write(true)) {
            Ok(Some(file)) => file,
            // What is no file is no index either.
            Ok(None) | Err(Error::Damaged { .. }) => return Ok(None),
            // One on a file system that is read-only can still be read.
            Err(_) => atomic::open(path, OpenOptions::new().read(true))?,
        };
        let Some(there) = read_header(&file).context("read", path)? else { return Ok(None) };
        let count = u64::from_le_bytes(there[COUNT].try_into().unwrap_or_default());
        let length = file.metadata().context("look at", path)?.len();
        let rows = (length / ROW_BYTES).saturating_sub(1);
        let is_whole = rows >= count && (any_boot || there[BOOT] == header(count)[BOOT]);
        Ok(is_whole.then_some(Self { file, header: there, rows }))
    }

    /// Adds a row and returns its number. Only under the admission lock.
    pub(super) fn push(&mut self, row: &Row) -> io::Result<u64> {
        let number = self.rows;
        // A part of a row that somebody left is written over.
        self.file.write_all_at(&row.0, (number + 1) * ROW_BYTES)?;
        self.rows += 1;
        set_count(&mut self.header, self.rows);
        self.file.write_all_at(&self.header[COUNT.start..COUNT_CHECKSUM.end], COUNT.start as u64)?;
        Ok(number)
    }

    fn read(&self, first: u64, count: u64) -> io::Result<Vec<Row>> {
        let mut bytes = vec![0; usize::try_from(count).unwrap_or(0) * ROW];
        self.file.read_exact_at(&mut bytes, (first + 1) * ROW_BYTES)?;
        let (rows, _) = bytes.as_chunks::<ROW>();
        Ok(rows.iter().map(|bytes| Row(*bytes)).collect())
    }

    /// Shows the rows from the newest on, until `visit` has seen enough. Returns whether those that it saw are in order.
    pub(super) fn visit(&self, visit: &mut dyn FnMut(Option<&Row>) -> bool) -> io::Result<bool> {
        let mut end = self.rows;
        while end > 0 {
            let first = end.saturating_sub(CHUNK);
            for row in self.read(first, end - first)?.iter().rev() {
                if !row.is_sound() {
                    return Ok(false);
                }
                if !visit(Some(row)) {
                    return Ok(true);
                }
            }
            end = first;
        }
        Ok(true)
    }

    /// Finds the row of a job: at its number, or wherever it has got to since.
    pub(super) fn find(&self, id: JobId, hint: Option<u64>) -> io::Result<Option<(u64, Row)>> {
        if let Some(number) = hint.filter(|number| *number < self.rows) {
            let row = self.read(number, 1)?[0];
            if row.id() == Some(id) {
                return Ok(Some((number, row)));
            }
        }
        let mut end = self.rows;
        while end > 0 {
            let first = end.saturating_sub(CHUNK);
            let rows = self.read(first, end - first)?;
            if let Some(place) = rows.iter().rposition(|row| row.id() == Some(id)) {
                return Ok(Some((first + place as u64, rows[place])));
            }
            end = first;
        }
        Ok(None)
    }

    /// Sets what may change of a row; the state last, so that who sees it sees the rest.
    pub(super) fn set(&self, number: u64, row: &Row) -> io::Result<()> {
        let start = (number + 1) * ROW_BYTES;
        self.file.write_all_at(&row.0[ENDED_AT.start..], start + ENDED_AT.start as u64)?;
        self.file.write_all_at(&row.0[STATE..STATE_CHECKSUM.end], start + STATE as u64)
    }
}
