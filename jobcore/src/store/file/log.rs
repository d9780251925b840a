//! The output of a job on disk: segments `OFFSET.log`, and the rows of each, `OFFSET.idx`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::atomic::{self, create_file};
use super::layout::JobDir;
use crate::error::{Error, IoContext, Result};
use crate::output::{self, JobLog, LogBackend, LogWriter, OutputSize, Row, Segment, Stream};
use crate::sys::pipe;

/// How many bytes are moved from a pipe at a time, at most.
const MOVE: u64 = 1024 * 1024;

/// Segments as files.
#[derive(Debug)]
struct SegmentFiles {
    job: JobDir,
    current: Option<CurrentSegment>,
}

#[derive(Debug)]
struct CurrentSegment {
    bytes: File,
    rows: File,
    row_count: u64,
}

impl LogBackend for SegmentFiles {
    fn create(&mut self, start: u64) -> io::Result<()> {
        // An earlier writer may have been killed between the two files. If so, these rows are stale: no segment begins
        // where another one has bytes.
        let _ = fs::remove_file(self.job.rows(start));
        let rows = create_file(&self.job.rows(start))?;
        let bytes = create_file(&self.job.segment(start));
        if bytes.is_err() {
            let _ = fs::remove_file(self.job.rows(start));
        }
        self.current = Some(CurrentSegment { bytes: bytes?, rows, row_count: 0 });
        Ok(())
    }

    fn push_row(&mut self, row: Row) -> io::Result<()> {
        let current = self.current.as_mut().ok_or(io::ErrorKind::NotFound)?;
        current.rows.write_all_at(&row.to_bytes(), current.row_count * Row::SIZE as u64)?;
        current.row_count += 1;
        Ok(())
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<usize> {
        self.current.as_ref().ok_or(io::ErrorKind::NotFound)?.bytes.write_at(bytes, at)
    }

    fn remove(&mut self, start: u64) {
        // The bytes go first: a reader that finds no bytes does not look for rows.
        let _ = fs::remove_file(self.job.segment(start));
        let _ = fs::remove_file(self.job.rows(start));
    }
}

/// Writes the output of a job to files. Output that cannot be kept is counted; nothing here fails.
#[derive(Debug)]
pub struct FileLogWriter {
    log: LogWriter<SegmentFiles>,
    /// Whether this file system takes bytes directly from a pipe, as far as is known.
    splices: bool,
    buffer: Vec<u8>,
}

impl FileLogWriter {
    /// Begins or continues the log in a directory, which is created if it does not exist, and keeps at most `limit`
    /// bytes; 0 means no limit.
    ///
    /// # Errors
    /// If the directory cannot be created, or its contents cannot be read.
    pub fn at(directory: &Path, limit: u64) -> Result<Self> {
        atomic::create_dir_all(directory).context("make", directory)?;
        Self::resume(&JobDir { path: directory.to_owned() }, limit)
    }

    pub(crate) fn new(job: &JobDir, limit: u64) -> Self {
        let backend = SegmentFiles { job: job.clone(), current: None };
        Self { log: LogWriter::new(backend, limit), splices: true, buffer: Vec::new() }
    }

    /// Continues after an earlier writer that was killed.
    pub(crate) fn resume(job: &JobDir, limit: u64) -> Result<Self> {
        let log = FileLog::new(job.clone());
        let mut segments = Vec::new();
        for segment in log.segments()? {
            if segment.len == 0 {
                // Created and never written to. The next segment will have its name.
                let _ = fs::remove_file(job.segment(segment.start));
                let _ = fs::remove_file(job.rows(segment.start));
            } else {
                segments.push((segment, log.row_count(segment.start)?));
            }
        }
        let backend = SegmentFiles { job: job.clone(), current: None };
        let log = LogWriter::resume(backend, limit, &segments);
        Ok(Self { log, splices: true, buffer: Vec::new() })
    }

    /// Returns how much output there was, and how much of it was not kept.
    pub fn size(&self) -> OutputSize {
        self.log.size()
    }

    /// Moves what is in a pipe to the log, at most a megabyte, and returns how many bytes were moved: 0 if there are
    /// none.
    ///
    /// The bytes go from the pipe to the file within the kernel, so that the death of this process cannot lose any.
    pub(crate) fn pump(&mut self, pipe: &File, stream: Stream, micros: u64) -> io::Result<u64> {
        let Ok(room) = self.log.prepare(stream, micros) else { return self.discard(pipe) };
        if !self.splices {
            return self.copy(pipe, stream, micros);
        }
        match self.splice(pipe, room.min(MOVE)) {
            Ok(moved) => {
                self.log.wrote(moved);
                Ok(moved)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.splices = false;
                self.copy(pipe, stream, micros)
            }
            Err(_) => self.discard(pipe),
        }
    }

    fn splice(&mut self, pipe: &File, room: u64) -> io::Result<u64> {
        let (_, at) = self.log.position();
        let current = self.log.backend.current.as_ref().ok_or(io::ErrorKind::NotFound)?;
        pipe::move_into(&current.bytes, pipe, at, usize::try_from(room).unwrap_or(usize::MAX))
    }

    /// Reads and writes if splicing does not work, for example from a terminal: a death in between loses at most one
    /// buffer.
    pub(crate) fn copy(&mut self, pipe: &File, stream: Stream, micros: u64) -> io::Result<u64> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let read = read_some(pipe, &mut buffer);
        if let Ok(count) = read {
            self.append(stream, micros, &buffer[..count]);
        }
        self.buffer = buffer;
        read.map(|count| count as u64)
    }

    /// Empties a pipe whose bytes cannot be kept: a full disk must not stop the job.
    fn discard(&mut self, pipe: &File) -> io::Result<u64> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let read = read_some(pipe, &mut buffer);
        self.buffer = buffer;
        let count = read? as u64;
        self.log.lost(count);
        Ok(count)
    }

    /// Adds bytes of `stream` that arrived at this time, in microseconds since 1970.
    pub fn append(&mut self, stream: Stream, micros: u64, bytes: &[u8]) {
        self.log.append(stream, micros, bytes);
    }
}

/// Reads what is available, at most 64 KiB; 0 if there is nothing.
fn read_some(mut pipe: &File, buffer: &mut Vec<u8>) -> io::Result<usize> {
    buffer.resize(64 * 1024, 0);
    match pipe.read(buffer) {
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(0),
        read => read,
    }
}

/// Reads the output of a job from files.
#[derive(Debug)]
pub struct FileLog {
    job: JobDir,
}

impl FileLog {
    /// Opens the log in a directory. It is empty if there is no such directory.
    pub fn at(directory: &Path) -> Self {
        Self::new(JobDir { path: directory.to_owned() })
    }

    pub(crate) fn new(job: JobDir) -> Self {
        Self { job }
    }

    /// Returns how much output there was and how much of it is missing, according to the segments.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn size(&self) -> Result<OutputSize> {
        Ok(OutputSize::of(&self.segments()?))
    }
}

/// Turns "not found" into the value `gone`.
fn unless_gone<T>(result: io::Result<T>, gone: T, action: &'static str, path: &Path) -> Result<T> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(gone),
        result => result.map_err(Error::io(action, path)),
    }
}

/// Opens a file of the log; nothing if it no longer exists.
fn open(path: &Path) -> Result<Option<File>> {
    atomic::open_if_there(path, OpenOptions::new().read(true))
}

impl JobLog for FileLog {
    fn segments(&self) -> Result<Vec<Segment>> {
        let directory = &self.job.path;
        let Some(entries) = unless_gone(fs::read_dir(directory).map(Some), None, "list", directory)? else {
            return Ok(Vec::new());
        };
        let mut segments = Vec::new();
        for entry in entries {
            let name = entry.context("list", directory)?.file_name();
            let start = name.to_str().and_then(|name| name.strip_suffix(".log")).and_then(|start| start.parse().ok());
            // No log comes near the largest number, after which the length of a segment could not be added.
            let Some(start) = start.filter(|start: &u64| *start < u64::MAX / 2) else { continue };
            let path = self.job.segment(start);
            let length = unless_gone(fs::metadata(&path).map(|metadata| Some(metadata.len())), None, "look at", &path)?;
            segments.extend(length.map(|length| Segment::new(start, length)));
        }
        Ok(output::in_order(segments))
    }

    fn read_at(&self, segment: u64, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let path = self.job.segment(segment);
        let Some(file) = open(&path)? else { return Ok(0) };
        file.read_at(buffer, offset.saturating_sub(segment)).map_err(Error::io("read", &path))
    }

    fn row_count(&self, segment: u64) -> Result<u64> {
        let path = self.job.rows(segment);
        unless_gone(fs::metadata(&path).map(|metadata| metadata.len() / Row::SIZE as u64), 0, "look at", &path)
    }

    fn rows(&self, segment: u64, first: u64, count: usize) -> Result<Vec<Row>> {
        let path = self.job.rows(segment);
        let Some(file) = open(&path)? else { return Ok(Vec::new()) };
        let mut bytes = vec![0; count * Row::SIZE];
        let length = file.read_at(&mut bytes, first * Row::SIZE as u64).map_err(Error::io("read", &path))?;
        let rows = bytes[..length].chunks_exact(Row::SIZE);
        Ok(rows.map(|row| Row::from_bytes(row.try_into().expect("chunks are exact"))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_killed_between_two_files_loses_no_byte() {
        let directory = tempfile::tempdir().unwrap();
        let job = JobDir { path: directory.path().to_owned() };
        create_file(&job.rows(0)).unwrap();
        let mut writer = FileLogWriter::resume(&job, 0).unwrap();
        writer.append(Stream::Stdout, 0, b"kept");
        assert_eq!(writer.size(), OutputSize::new(4, 0));
    }
}
