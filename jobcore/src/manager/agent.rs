//! What an agent is doing, read from its output without reading any part twice.

use serde::{Deserialize, Serialize};

use super::JobManager;
use crate::agent::{self, AgentShape, Digest, Failure, Fold, Format};
use crate::error::Result;
use crate::id::JobId;
use crate::job::Job;
use crate::output::{Cursor, OutputQuery, Piece, Position, Stream};
use crate::state::Status;

/// The name under which the state of a reading is cached.
const CACHE: &str = "digest";
/// Its version. Every change in how the same output is read needs a new one.
const VERSION: u32 = 3;
/// How much must be read before the position is worth caching, in bytes of both streams.
const WORTH_KEEPING: u64 = 64 << 10;
/// How much of the end of standard error is searched for a reason, in bytes.
const LAST_WORDS: u64 = 16 << 10;
/// How much incomplete input is cached, in bytes: beyond that, it is cheaper to read it again.
const SMALL: usize = 256 << 10;

/// How far an output was read, and what was found.
#[derive(Debug, Serialize, Deserialize)]
struct Reading {
    v: u32,
    cursor: Cursor,
    fold: Fold,
}

impl Reading {
    fn new(format: Format) -> Self {
        Self { v: VERSION, cursor: Cursor::default(), fold: Fold::new(format) }
    }

    /// Returns a cached reading, if it can be used.
    fn from_bytes(bytes: &[u8], format: Format) -> Option<Self> {
        let reading: Self = serde_json::from_slice(bytes).ok()?;
        (reading.v == VERSION && reading.fold.format() == format).then_some(reading)
    }
}

impl JobManager {
    /// Returns what an agent reports, if the job is an agent run.
    pub(super) async fn agent_shape(&self, job: &Job) -> Result<Option<Box<AgentShape>>> {
        let Some(run) = &job.agent_run() else { return Ok(None) };
        let digest = self.digest(job.id, run.format).await?;
        let last_words = match digest.error {
            None if job.status() == Status::Failed => self.last_words(job.id, digest.activity.is_some()).await?,
            _ => None,
        };
        Ok(Some(Box::new(AgentShape::new(run, job.status(), digest, last_words))))
    }

    /// Returns what a CLI reports on standard error when it gives up.
    async fn last_words(&self, id: JobId, has_begun: bool) -> Result<Option<Failure>> {
        let query = OutputQuery::from(Position::TailBytes(LAST_WORDS)).with_stream(Some(Stream::Stderr));
        let chunk = self.output(id, &query.with_max_bytes(LAST_WORDS)).await?;
        Ok(agent::last_words(&chunk.bytes(Some(Stream::Stderr)), has_begun))
    }

    /// Reads what an agent wrote in this format, and returns what it is doing or how it ended.
    ///
    /// Output that was read before is not read again: the position is cached with the job. An output of any size needs
    /// at most the memory of its longest line.
    ///
    /// # Errors
    /// As [`JobManager::output`] and [`JobManager::job`].
    pub async fn digest(&self, id: JobId, format: Format) -> Result<Digest> {
        self.offload(move |jobs| async move { jobs.digest_here(id, format).await }).await
    }

    async fn digest_here(&self, id: JobId, format: Format) -> Result<Digest> {
        // The status first: if it says that the job has ended, the output is complete.
        let has_ended = self.job(id).await?.status().is_final();
        let mut reading = self.reading(id, format).await?;
        let read = self.read_on(id, &mut reading).await?;
        let is_worth_keeping = read >= WORTH_KEEPING && reading.fold.pending() <= SMALL;
        if (is_worth_keeping || (has_ended && read > 0))
            && let Ok(bytes) = serde_json::to_vec(&reading)
        {
            self.store.cache(id, CACHE, &bytes).await?;
        }
        Ok(reading.fold.digest())
    }

    /// Returns where an earlier reading ended, or else the beginning.
    async fn reading(&self, id: JobId, format: Format) -> Result<Reading> {
        // An unreadable cache counts as none.
        let kept = self.store.cached(id, CACHE).await.ok().flatten();
        let reading = kept.and_then(|bytes| Reading::from_bytes(&bytes, format));
        let end = self.output(id, &OutputQuery::from(Position::Start).with_max_bytes(0)).await?.end;
        Ok(reading.filter(|reading| reading.cursor <= end).unwrap_or_else(|| Reading::new(format)))
    }

    /// Reads what is available, and returns how many bytes of output that was, of both streams.
    async fn read_on(&self, id: JobId, reading: &mut Reading) -> Result<u64> {
        let (begin, mut until) = (reading.cursor, None);
        loop {
            let from = Position::Cursor(reading.cursor);
            let query = OutputQuery::from(from).with_stream(reading.fold.format().stream()).with_until(until);
            let chunk = self.output(id, &query).await?;
            // What is written meanwhile is left to the next call, so that this one ends.
            until.get_or_insert(chunk.end);
            for piece in &chunk.pieces {
                match piece {
                    Piece::Data { stream: Stream::Stdout, bytes, .. } => reading.fold.feed(bytes),
                    Piece::Data { stream: Stream::Stderr, bytes, .. } => reading.fold.feed_stderr(bytes),
                    Piece::Gap { .. } => reading.fold.gap(),
                }
            }
            reading.cursor = chunk.cursor;
            if !chunk.more {
                return Ok(reading.cursor.0 - begin.0);
            }
            // There may be gigabytes to read: other tasks get a turn, and the caller may cancel.
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::view::tests::{block_on, writes};
    use super::*;
    use crate::clock::{SystemRandom, Timestamp};
    use crate::record::{Ended, Submission};
    use crate::store::{JobClaim, JobStore};
    use crate::{Cause, FileStore, InProcessRunner, JobSpec, Outcome};

    const OUT: Stream = Stream::Stdout;
    const ERR: Stream = Stream::Stderr;

    fn sample(name: &str) -> Vec<u8> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/agents").join(name);
        std::fs::read(path).unwrap()
    }

    fn expected(format: Format, bytes: &[u8]) -> Digest {
        let mut fold = Fold::new(format);
        fold.feed(bytes);
        fold.digest()
    }

    async fn say(claim: &mut Box<dyn JobClaim>, stream: Stream, bytes: &[u8]) {
        claim.append(stream, Timestamp::UNIX_EPOCH, bytes).await;
    }

    async fn end(claim: &mut Box<dyn JobClaim>) {
        claim.finish(&Ended::new(None, Outcome::new(Cause::Exited, Timestamp::UNIX_EPOCH))).await.unwrap();
    }

    /// A running job in a store on disk that keeps at most this many bytes of its output.
    async fn on_disk(output_limit: u64) -> (tempfile::TempDir, JobManager, JobId, Box<dyn JobClaim>) {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(FileStore::open(directory.path().join("store")).unwrap());
        let jobs = JobManager::new(store.clone(), Arc::new(InProcessRunner::new())).unwrap();
        let id = JobId::mint(Timestamp::UNIX_EPOCH, &SystemRandom).unwrap();
        let spec = JobSpec::command(["true"]).output_limit(output_limit).build().unwrap();
        let world = crate::sys::world::capture().unwrap();
        store.create(Submission::new(id, Timestamp::UNIX_EPOCH, spec, "/bin/true".into(), world)).await.unwrap();
        let claim = store.next_due().await.unwrap().unwrap();
        (directory, jobs, id, claim)
    }

    #[test]
    fn only_standard_output_is_read_and_at_any_time() {
        block_on(async {
            let (jobs, id, mut claim) = writes(&[]).await;
            assert_eq!(jobs.digest(id, Format::Claude).await.unwrap(), Digest::default());
            let (sample, mut told) = (sample("claude/write-denied.jsonl"), Vec::new());
            for bytes in sample.chunks(1000) {
                say(&mut claim, OUT, bytes).await;
                say(&mut claim, ERR, b"{\"type\":\"result\"").await;
                told.extend_from_slice(bytes);
                assert_eq!(jobs.digest(id, Format::Claude).await.unwrap(), expected(Format::Claude, &told));
            }
            end(&mut claim).await;
            assert_eq!(jobs.digest(id, Format::Claude).await.unwrap(), expected(Format::Claude, &sample));
            // What was cached for one format is useless for another.
            assert_eq!(jobs.digest(id, Format::Text).await.unwrap(), expected(Format::Text, &sample));
        });
    }

    #[test]
    fn output_that_was_read_is_not_read_again() {
        block_on(async {
            let (_directory, jobs, id, mut claim) = on_disk(0).await;
            let long = format!(
                "{{\"type\":\"tool_use\",\"part\":{{\"state\":{{\"output\":\"{}\"}}}}}}\n",
                "x".repeat(100_000)
            );
            let times = 200;
            say(&mut claim, OUT, long.repeat(times).as_bytes()).await;
            let first = jobs.digest(id, Format::Opencode).await.unwrap();
            assert_eq!(first.tool_calls, Some(times as u64));
            let sample = sample("opencode/tool.jsonl");
            say(&mut claim, OUT, &sample).await;
            let mut reading = jobs.reading(id, Format::Opencode).await.unwrap();
            assert_eq!(jobs.read_on(id, &mut reading).await.unwrap(), sample.len() as u64);
            assert_eq!(reading.fold.digest().tool_calls, Some(times as u64 + 1));
            // Too little to be cached, until it is the last.
            for (has_ended, left) in [(false, sample.len() as u64), (true, 0)] {
                if has_ended {
                    end(&mut claim).await;
                }
                let digest = jobs.digest(id, Format::Opencode).await.unwrap();
                assert_eq!(digest.tool_calls, Some(times as u64 + 1));
                let mut reading = jobs.reading(id, Format::Opencode).await.unwrap();
                assert_eq!(jobs.read_on(id, &mut reading).await.unwrap(), left);
            }
        });
    }

    #[test]
    fn a_useless_cache_is_replaced() {
        block_on(async {
            let (_directory, jobs, id, mut claim) = on_disk(0).await;
            let sample = sample("codex/tool.jsonl");
            say(&mut claim, OUT, &sample).await;
            end(&mut claim).await;
            let digest = jobs.digest(id, Format::Codex).await.unwrap();
            let kept = jobs.store.cached(id, CACHE).await.unwrap().unwrap();
            let with = |field: &str, value: u64| {
                let mut json: serde_json::Value = serde_json::from_slice(&kept).unwrap();
                json[field] = value.into();
                serde_json::to_vec(&json).unwrap()
            };
            let useless = [
                Vec::new(),
                b"null".to_vec(),
                kept[..kept.len() / 2].to_vec(),
                with("v", u64::from(VERSION) + 1),
                with("cursor", 1 << 40),
            ];
            for cache in useless {
                jobs.store.cache(id, CACHE, &cache).await.unwrap();
                assert_eq!(jobs.digest(id, Format::Codex).await.unwrap(), digest);
                assert_eq!(jobs.store.cached(id, CACHE).await.unwrap().unwrap(), kept);
            }
            // A cache that cannot be written or read counts as none.
            let path = crate::store::file::job_directory(jobs.store.directory().unwrap(), id).join("digest.cache");
            std::fs::remove_file(&path).unwrap();
            std::fs::create_dir(&path).unwrap();
            assert_eq!(jobs.digest(id, Format::Codex).await.unwrap(), digest);
        });
    }

    #[test]
    fn dropped_output_is_reported() {
        block_on(async {
            let (_directory, jobs, id, mut claim) = on_disk(64 * 1024).await;
            let sample = sample("claude/tool-allowed.jsonl");
            let times = 100;
            for _ in 0..times {
                say(&mut claim, OUT, &sample).await;
            }
            end(&mut claim).await;
            let (digest, whole) = (jobs.digest(id, Format::Claude).await.unwrap(), expected(Format::Claude, &sample));
            assert!(digest.incomplete && digest.lower_bounds.contains("tool_calls"), "{digest:#?}");
            assert!(digest.tool_calls.unwrap() > 0 && digest.tool_calls.unwrap() < times);
            assert_eq!((digest.success, digest.result, digest.cost_usd), (whole.success, whole.result, whole.cost_usd));
        });
    }
}
