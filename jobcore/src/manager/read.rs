//! Reading the output of a job, once or chunk by chunk.

use std::fmt;

use super::JobManager;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::output::{Cursor, JobLog, LogReader, OutputChunk, OutputQuery};

/// The output of one job, for callers that read much of it: [`JobManager::output_reader`].
///
/// The job's records are read once, not for each chunk. A chunk near the end of the output contains what exists when it
/// is read; only the amount that could not be kept at the very end stays as it was at the beginning.
pub struct OutputReader {
    jobs: JobManager,
    id: JobId,
    /// `None` if the last read failed or was cancelled.
    log: Option<LogReader<Box<dyn JobLog>>>,
}

impl OutputReader {
    /// Reads a chunk.
    ///
    /// # Errors
    /// As [`JobManager::output`]. After an error nothing more can be read.
    pub async fn read(&mut self, query: &OutputQuery) -> Result<OutputChunk> {
        let (id, query) = (self.id, *query);
        let mut log = self.log.take().ok_or_else(|| Error::not_found(id))?;
        let reading = move |jobs: JobManager| async move {
            let chunk = log.read(&query);
            // It may have been removed during the read, and what was read may have holes.
            jobs.store.log(id).await?;
            Ok((chunk?, log))
        };
        let (chunk, log) = self.jobs.offload(reading).await?;
        self.log = Some(log);
        Ok(chunk)
    }

    /// Returns how many bytes between two positions were dropped, as far as the last read showed; 0 before the first.
    pub fn dropped(&self, from: Cursor, to: Cursor) -> u64 {
        self.log.as_ref().map_or(0, |log| log.dropped(from.0, to.0))
    }

    /// Reads the next chunk into the memory of this one, which saves a tenth of the time.
    pub fn reuse(&mut self, chunk: OutputChunk) {
        if let Some(log) = &mut self.log {
            log.reuse(chunk);
        }
    }
}

impl fmt::Debug for OutputReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputReader").field("id", &self.id).finish_non_exhaustive()
    }
}

impl JobManager {
    /// Reads output of a job.
    ///
    /// # Errors
    /// [`Error::NotFound`], and if the store cannot be read.
    pub async fn output(&self, id: JobId, query: &OutputQuery) -> Result<OutputChunk> {
        let query = *query;
        self.offload(move |jobs| async move { jobs.output_reader(id).await?.read(&query).await }).await
    }

    /// Returns a reader of the output of a job, to read more than one chunk of it.
    ///
    /// # Errors
    /// As [`JobManager::output`].
    pub async fn output_reader(&self, id: JobId) -> Result<OutputReader> {
        let end = self.store.evidence(id).await?.output.bytes;
        let log = LogReader::new(self.store.log(id).await?, end);
        Ok(OutputReader { jobs: self.clone(), id, log: Some(log) })
    }
}
