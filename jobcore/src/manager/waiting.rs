//! Whether a job waits for input.

use std::time::Duration;

use super::JobManager;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::job::Job;
use crate::output::{Cursor, OutputQuery, Position, View};
use crate::record::Waiting;
use crate::shape::WaitingForInput;
use crate::state::State;
use crate::store::file::job_directory;
use crate::sys::reading::{self, Source};
use crate::words::cut;

/// How long a job that waits for input, and not just for CPU time, has written nothing.
const QUIET: Duration = Duration::from_secs(1);
/// The longest last line to report, in characters, and how many bytes of output are searched for it.
const LONGEST: usize = 200;
const LOOKED_AT: u64 = 1024;

impl JobManager {
    /// Returns whether a job waits for input: it has been quiet for a second, and one of the processes in the
    /// foreground of its terminal, or in the group of its main process, is blocked until it can read from its terminal
    /// or its standard input. `None` if the kernel does not report that. Costs nothing for a job that takes no input.
    ///
    /// # Errors
    /// As [`JobManager::output`].
    pub async fn waiting_for_input(&self, job: &Job) -> Result<Option<WaitingForInput>> {
        match (&job.state, job.pid) {
            (State::Running(run), Some(pid)) if job.spec.takes_input() => {
                let (job, started_at) = (job.clone(), run.started_at);
                // All descendants are inspected, and there may be many.
                self.offload(move |jobs| async move { jobs.waiting_here(&job, pid, started_at).await }).await
            }
            _ => Ok(None),
        }
    }

    async fn waiting_here(
        &self,
        job: &Job,
        main: i32,
        started_at: Option<Timestamp>,
    ) -> Result<Option<WaitingForInput>> {
        let pipe = self.store.directory().map(|root| job_directory(root, job.id).join("in"));
        let source = match (job.spec.terminal, &pipe) {
            (Some(_), _) => Source::Terminal,
            (None, Some(pipe)) => Source::Pipe(pipe),
            (None, None) => return Ok(None),
        };
        match (job.waiting, reading::is_awaited(main, source)) {
            // The supervisor does not see input that is sent through a pipe.
            (_, Some(false)) | (None, None) => Ok(None),
            (Some(waiting), _) => {
                Ok(Some(WaitingForInput { since: Some(waiting.at), last_line: self.asked(job, waiting).await? }))
            }
            // Its supervisor has stopped looking, or has ended.
            (None, Some(true)) => {
                let began = self.clock.now().checked_sub(QUIET).unwrap_or(Timestamp::UNIX_EPOCH);
                let recent = OutputQuery::from(Position::TailBytes(1)).with_since(Some(began));
                let is_quiet =
                    started_at.is_some_and(|at| at <= began) && self.output(job.id, &recent).await?.pieces.is_empty();
                Ok(is_quiet.then_some(WaitingForInput { since: None, last_line: None }))
            }
        }
    }

    /// Returns the line with which a job asks: the last one on its terminal, or the unfinished one that it wrote into a
    /// pipe; never what was typed after it.
    async fn asked(&self, job: &Job, waiting: Waiting) -> Result<Option<String>> {
        let until = match waiting.typed_from {
            Some(from) if !self.written(job, from, waiting.output_bytes).await?.contains(&b'\n') => from,
            _ => waiting.output_bytes,
        };
        if job.spec.terminal.is_none() && self.written(job, until.saturating_sub(1), until).await? == b"\n" {
            return Ok(None);
        }
        let query = OutputQuery::from(Position::Cursor(Cursor(until.saturating_sub(LOOKED_AT))));
        let view = View::default().with_clean(true);
        let viewed = self.view(job.id, &query.with_until(Some(Cursor(until))), &view).await?;
        let text = viewed.text(&view, None);
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty());
        Ok(line.map(|line| cut(line, LONGEST)))
    }

    async fn written(&self, job: &Job, from: u64, until: u64) -> Result<Vec<u8>> {
        let query = OutputQuery::from(Position::Cursor(Cursor(from))).with_until(Some(Cursor(until)));
        Ok(self.output(job.id, &query).await?.bytes(None))
    }
}
