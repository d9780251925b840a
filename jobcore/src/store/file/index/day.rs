//! The file of one day: a header and rows.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::row::{ROW, Row};
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::store::file::atomic;
use crate::sys::boot;

/// The size of a row.
pub(super) const ROW_BYTES: u64 = ROW as u64;
/// The size of the header before the first row.
pub(super) const HEADER: usize = 96;
/// How many rows are read at first, and at most at a time: a list of the newest jobs needs only a few.
const FIRST: u64 = 64;
const MOST: u64 = 2048;
/// What the header begins with: 16 bytes. The id of the boot follows, then the number of rows, and the checksum of all
/// of it.
const MAGIC: &[u8; 16] = b"jobcore index 2\n";
pub(super) const BOOT: std::ops::Range<usize> = 16..56;
pub(super) const COUNT: std::ops::Range<usize> = 56..64;
pub(super) const COUNT_CHECKSUM: std::ops::Range<usize> = 64..68;
/// How many times a header or a row is read whose checksum does not match: it may just be changing.
const READING: usize = 3;

pub(super) fn header(count: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..MAGIC.len()].copy_from_slice(MAGIC);
    let boot = boot::id().as_bytes();
    let length = boot.len().min(BOOT.len());
    header[BOOT][..length].copy_from_slice(&boot[..length]);
    set_count(&mut header, count);
    header
}

fn set_count(header: &mut [u8; HEADER], count: u64) {
    header[COUNT].copy_from_slice(&count.to_le_bytes());
    let checksum = crc32fast::hash(&header[..COUNT.end]);
    header[COUNT_CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
}

/// Reads the header of an index; nothing if the file is too short for one or does not begin with one.
fn read_header(file: &File) -> io::Result<Option<[u8; HEADER]>> {
    let mut header = [0; HEADER];
    for _ in 0..READING {
        match file.read_exact_at(&mut header, 0) {
            // A file that cannot be read may still be an index: others see its rows.
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
    header: [u8; HEADER],
    /// How many rows there are.
    rows: u64,
}

impl DayIndex {
    /// Opens an index; nothing if it is missing or not one. An index of another boot is only good for adding rows.
    pub(super) fn open(path: &Path, any_boot: bool) -> Result<Option<Self>> {
        let file = match atomic::open_if_there(path, OpenOptions::new().read(true).write(true)) {
            Ok(Some(file)) => file,
            // Anything other than a file is not an index either.
            Ok(None) | Err(Error::Damaged { .. }) => return Ok(None),
            // An index on a read-only file system can still be read.
            Err(_) => atomic::open(path, OpenOptions::new().read(true))?,
        };
        let Some(there) = read_header(&file).context("read", path)? else { return Ok(None) };
        let count = u64::from_le_bytes(there[COUNT].try_into().unwrap_or_default());
        let length = file.metadata().context("look at", path)?.len();
        let rows = length.saturating_sub(HEADER as u64) / ROW_BYTES;
        let is_whole = rows >= count && (any_boot || there[BOOT] == header(count)[BOOT]);
        Ok(is_whole.then_some(Self { file, header: there, rows }))
    }

    /// Adds a row and returns its number. Only under the admission lock.
    pub(super) fn push(&mut self, row: &Row) -> io::Result<u64> {
        let number = self.rows;
        // Overwrites a partial row that another process left.
        self.set(number, row)?;
        self.rows += 1;
        set_count(&mut self.header, self.rows);
        self.file.write_all_at(&self.header[COUNT.start..COUNT_CHECKSUM.end], COUNT.start as u64)?;
        Ok(number)
    }

    /// Reads rows and their numbers, the newest first, until `look` has seen enough.
    fn read(&self, mut look: impl FnMut(u64, &Row) -> io::Result<bool>) -> io::Result<()> {
        let (mut end, mut count, mut bytes) = (self.rows, FIRST, Vec::new());
        while end > 0 {
            let first = end.saturating_sub(count);
            bytes.resize(usize::try_from(end - first).unwrap_or(0) * ROW, 0);
            self.file.read_exact_at(&mut bytes, place(first))?;
            let (rows, _) = bytes.as_chunks::<ROW>();
            for (number, row) in (first..end).rev().zip(rows.iter().rev()) {
                if !look(number, &Row(*row))? {
                    return Ok(());
                }
            }
            (end, count) = (first, MOST);
        }
        Ok(())
    }

    /// Returns a row if it is sound, reading it again if it is not.
    fn sound(&self, number: u64, row: &Row) -> io::Result<Option<Row>> {
        let mut row = *row;
        for _ in 0..READING {
            if row.is_sound() {
                return Ok(Some(row));
            }
            self.file.read_exact_at(&mut row.0, place(number))?;
        }
        Ok(None)
    }

    /// Shows the rows, the newest first, until `visit` has seen enough. Returns whether those that it read are sound.
    pub(super) fn visit(&self, visit: &mut dyn FnMut(Option<&Row>) -> bool) -> io::Result<bool> {
        let mut is_in_order = true;
        self.read(|number, row| {
            if row.is_sound() {
                return Ok(visit(Some(row)));
            }
            let again = self.sound(number, row)?;
            is_in_order = again.is_some();
            Ok(again.is_some_and(|row| visit(Some(&row))))
        })?;
        Ok(is_in_order)
    }

    /// Finds the row of a job, if it is sound: at its number, or wherever it is by now.
    pub(super) fn find(&self, id: JobId, hint: Option<u64>) -> io::Result<Option<(u64, Row)>> {
        if let Some(number) = hint.filter(|number| *number < self.rows) {
            let mut row = Row([0; ROW]);
            self.file.read_exact_at(&mut row.0, place(number))?;
            if row.is_of(id)
                && let Some(row) = self.sound(number, &row)?
            {
                return Ok(Some((number, row)));
            }
        }
        let mut found = None;
        self.read(|number, row| {
            if row.is_of(id) {
                found = self.sound(number, row)?.map(|row| (number, row));
            }
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    /// Writes a row.
    pub(super) fn set(&self, number: u64, row: &Row) -> io::Result<()> {
        self.file.write_all_at(&row.0, place(number))
    }
}

/// Returns where a row begins.
fn place(number: u64) -> u64 {
    HEADER as u64 + number * ROW_BYTES
}
