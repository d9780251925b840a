//! A custom store: jobs in an SQLite database, and their output in files next to it.
//!
//! `own_store DIRECTORY LINE...` runs each shell line as a job within this program, and prints all jobs of the
//! directory with the last line of their output, including those of earlier runs. Only one program may use a directory
//! at a time.

use std::error::Error as StdError;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jobcore::clock::Timestamp;
use jobcore::environment::Environment;
use jobcore::output::{JobLog, OutputQuery, OutputSize, Position, Stream};
use jobcore::record::{Evidence, Record, Submission};
use jobcore::spec::Given;
use jobcore::store::{
    self, Admission, EventKind, Events, FileLog, FileLogWriter, Hold, Holders, JobClaim, JobEvent, JobStore,
    StoreSettings,
};
use jobcore::wait::WaitFor;
use jobcore::{Error, InProcessRunner, JobId, JobManager, JobSpec, Query, Result};
use rusqlite::{Connection, Params, Result as Sql, Row, params, types::Type};
use serde::{Serialize, de::DeserializeOwned};

/// Records, events and settings are kept as JSON.
const TABLES: &str = "
    PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, submission TEXT NOT NULL, environment BLOB, given BLOB,
        start TEXT, running TEXT, ended TEXT);
    CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY, event TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS settings (one INTEGER PRIMARY KEY CHECK (one = 1), settings TEXT NOT NULL);";

/// Jobs in a database. Clones are handles of the same store.
#[derive(Debug, Clone)]
struct SqliteStore {
    directory: PathBuf,
    database: Arc<Mutex<Connection>>,
    admission: Arc<tokio::sync::Mutex<()>>,
    holders: Holders,
}

fn failed(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    Error::Io { action: "use", path: "the database".into(), source: io::Error::other(error) }
}

fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(failed)
}

/// Reads a column of JSON. For NULL, `T` must be an `Option`.
fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Sql<T> {
    let text: Option<String> = row.get(column)?;
    serde_json::from_str(text.as_deref().unwrap_or("null"))
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into()))
}

impl SqliteStore {
    fn open(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory).map_err(failed)?;
        let database = Connection::open(directory.join("jobs.sqlite")).map_err(failed)?;
        database.execute_batch(TABLES).map_err(failed)?;
        let database = Arc::new(Mutex::new(database));
        Ok(Self { directory: directory.to_owned(), database, admission: Arc::default(), holders: Holders::new() })
    }

    /// Makes a change and records its event in the same transaction; records nothing if no row changes.
    fn change(&self, event: Option<JobEvent>, sql: &str, values: impl Params) -> Result<()> {
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = database.unchecked_transaction().map_err(failed)?;
        let is_changed = transaction.execute(sql, values).map_err(failed)? > 0;
        if let Some(event) = event.filter(|_| is_changed) {
            let sql = "INSERT INTO events SELECT next, json_set(?1, '$.number', next)
                FROM (SELECT COALESCE(MAX(number) + 1, 0) AS next FROM events)";
            transaction.execute(sql, [to_json(&event)?]).map_err(failed)?;
        }
        transaction.commit().map_err(failed)
    }

    fn select<T>(&self, sql: &str, values: impl Params, read: impl Fn(&Row<'_>) -> Sql<T>) -> Result<Vec<T>> {
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let mut statement = database.prepare(sql).map_err(failed)?;
        let rows = statement.query_map(values, read).map_err(failed)?;
        rows.collect::<Sql<_>>().map_err(failed)
    }

    /// Reads a value of one job.
    fn job<T>(&self, id: JobId, what: &str, read: impl Fn(&Row<'_>) -> Sql<T>) -> Result<T> {
        let found = self.select(&format!("SELECT {what} FROM jobs WHERE id = ?1"), [id.to_string()], read)?;
        found.into_iter().next().ok_or_else(|| Error::NotFound { reference: id.to_string() })
    }

    fn submission(&self, id: JobId) -> Result<Submission> {
        self.job(id, "submission", |row| json(row, 0))
    }

    /// Takes the lock of a job, if the job exists.
    fn hold(&self, id: JobId) -> Result<Option<(Hold, Submission)>> {
        let hold = self.holders.take(id);
        let submission = self.submission(id)?;
        Ok(hold.map(|hold| (hold, submission)))
    }

    fn output(&self, id: JobId) -> PathBuf {
        self.directory.join(id.to_string())
    }
}

#[async_trait]
impl JobStore for SqliteStore {
    async fn admit(&self) -> Result<Box<dyn Admission>> {
        let lock = Arc::clone(&self.admission).lock_owned().await;
        Ok(Box::new(Admitted { store: self.clone(), _lock: lock }))
    }

    async fn claim(&self, id: JobId) -> Result<Option<Box<dyn JobClaim>>> {
        let Some((hold, submission)) = self.hold(id)? else { return Ok(None) };
        let log = FileLogWriter::at(&self.output(id), submission.spec.output_limit)?;
        Ok(Some(Box::new(Claim { store: self.clone(), hold, submission, log })))
    }

    async fn evidence(&self, id: JobId) -> Result<Evidence> {
        let mut evidence = self.job(id, "submission, start, running, ended", |row| {
            let mut evidence = Evidence::new(json(row, 0)?);
            (evidence.start, evidence.running, evidence.ended) = (json(row, 1)?, json(row, 2)?, json(row, 3)?);
            // Checked while the database is locked, so that the records are not those of a later holder.
            evidence.held = self.holders.is_held(id);
            Ok(evidence)
        })?;
        evidence.output = FileLog::at(&self.output(id)).size()?;
        evidence.seen = store::look(&evidence);
        Ok(evidence)
    }

    async fn ids(&self, query: &Query, before: Option<JobId>, limit: usize) -> Result<Vec<JobId>> {
        // Ids are in chronological order.
        let sql = "SELECT id, ended IS NULL FROM jobs WHERE (?1 IS NULL OR id < ?1)
            AND (?2 IS NULL OR submission ->> '$.spec.name' = ?2)
            AND (?3 IS NULL OR submission ->> '$.spec.key' = ?3) ORDER BY id DESC";
        let (before, name) = (before.map(|id| id.to_string()), query.name.as_ref().map(ToString::to_string));
        let read = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get(1)?));
        let rows = self.select(sql, params![before, name, query.key], read)?;
        let known = rows.into_iter().filter_map(|(id, is_open)| Some((id.parse().ok()?, is_open)));
        let may_be = |(id, is_open): &(JobId, bool)| !query.live || *is_open || self.holders.is_held(*id);
        Ok(known.filter(may_be).map(|(id, _)| id).take(limit).collect())
    }

    async fn remove(&self, id: JobId) -> Result<()> {
        let refused = || Error::Refused { id, reason: "it is supervised; stop it first".to_owned() };
        let _hold = self.hold(id)?.ok_or_else(refused)?;
        let event = JobEvent::now(id, EventKind::Removed);
        self.change(Some(event), "DELETE FROM jobs WHERE id = ?1", [id.to_string()])?;
        // A job without output has no directory.
        let _ = fs::remove_dir_all(self.output(id));
        Ok(())
    }

    async fn log(&self, id: JobId) -> Result<Box<dyn JobLog>> {
        self.submission(id)?;
        Ok(Box::new(FileLog::at(&self.output(id))))
    }

    async fn settings(&self) -> Result<StoreSettings> {
        Ok(self.select("SELECT settings FROM settings", [], |row| json(row, 0))?.pop().unwrap_or_default())
    }

    async fn events(&self, since: u64, limit: usize) -> Result<Events> {
        let sql = "SELECT event FROM events WHERE number >= ?1 ORDER BY number LIMIT ?2";
        let events: Vec<JobEvent> = self.select(sql, params![since, limit], |row| json(row, 0))?;
        let next = events.last().map_or(since, |event| event.number + 1);
        let end = self.select("SELECT COALESCE(MAX(number) + 1, 0) FROM events", [], |row| row.get(0))?;
        Ok(Events::new(events, next, 0, end[0]))
    }

    fn holders(&self) -> Option<&Holders> {
        Some(&self.holders)
    }
}

#[derive(Debug)]
struct Admitted {
    store: SqliteStore,
    _lock: tokio::sync::OwnedMutexGuard<()>,
}

#[async_trait]
impl Admission for Admitted {
    async fn insert(&mut self, submission: Submission) -> Result<()> {
        let (id, spec) = (submission.job_id, &submission.spec);
        let values = params![id.to_string(), to_json(&submission)?, spec.environment.to_bytes(), spec.given.as_bytes()];
        let event = JobEvent::now(id, EventKind::Submitted);
        let sql = "INSERT INTO jobs (id, submission, environment, given) VALUES (?1, ?2, ?3, ?4)";
        self.store.change(Some(event), sql, values)?;
        self.store.holders.ring(id);
        Ok(())
    }

    async fn set(&mut self, settings: &StoreSettings) -> Result<()> {
        self.store.change(None, "INSERT OR REPLACE INTO settings VALUES (1, ?1)", [to_json(settings)?])
    }
}

/// A job that is held within this program.
#[derive(Debug)]
struct Claim {
    store: SqliteStore,
    hold: Hold,
    submission: Submission,
    log: FileLogWriter,
}

#[async_trait]
impl JobClaim for Claim {
    fn submission(&self) -> &Submission {
        &self.submission
    }

    async fn secrets(&self) -> Result<(Environment, Given)> {
        let read = |row: &Row<'_>| row.try_into();
        let (environment, given): (Vec<u8>, Vec<u8>) =
            self.store.job(self.submission.job_id, "environment, given", read)?;
        Ok((Environment::from_bytes(&environment), given.into()))
    }

    async fn record(&mut self, record: Record<'_>) -> Result<()> {
        let id = self.submission.job_id;
        let set = match record {
            Record::Start(_) => "start = ?2, running = NULL",
            Record::Running(_) | Record::Noted(..) => "running = ?2",
            Record::Ended(_) => "ended = ?2, environment = NULL, given = NULL",
        };
        // A final record is never replaced.
        let sql = format!("UPDATE jobs SET {set} WHERE id = ?1 AND ended IS NULL");
        self.store.change(JobEvent::of(id, record), &sql, params![id.to_string(), to_json(&record)?])?;
        self.hold.recorded(record);
        Ok(())
    }

    async fn append(&mut self, stream: Stream, at: Timestamp, bytes: &[u8]) {
        self.log.append(stream, at.as_microsecond().try_into().unwrap_or(0), bytes);
        self.hold.ring();
    }

    fn output(&self) -> OutputSize {
        self.log.size()
    }

    fn hold(&mut self) -> Option<&mut Hold> {
        Some(&mut self.hold)
    }
}

fn main() -> Result<(), Box<dyn StdError>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("usage: own_store DIRECTORY LINE...")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = SqliteStore::open(directory.as_ref())?;
        let jobs = JobManager::new(Arc::new(store), Arc::new(InProcessRunner::new()))?;
        let mut ids = Vec::new();
        for line in arguments {
            ids.push(jobs.submit(JobSpec::shell(line).inherit_env().build()?).await?.id);
        }
        jobs.wait(&ids, WaitFor::All, None).await?;
        for job in jobs.list(&Query::default()).await?.jobs {
            let last = jobs.output(job.id, &OutputQuery::from(Position::TailLines(1))).await?.bytes(None);
            writeln!(io::stdout(), "{} {} {}", job.id, job.status(), String::from_utf8_lossy(&last).trim_end())?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod conformance {
    use super::*;

    fn backend() -> store::conformance::Backend {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path()).unwrap();
        store::conformance::Backend::new(move || Arc::new(store.clone())).keeping(directory)
    }

    mod store_contract {
        jobcore::store_conformance!(super::backend());
    }
    mod runner_contract {
        jobcore::runner_conformance!(super::backend(), jobcore::InProcessRunner::new());
    }
}
