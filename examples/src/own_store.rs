//! A store of one's own: one that keeps a trail of every change, in front of any other store.
//!
//! `own_store TRAIL LINE...` runs each shell line as a job within this program, and writes a line into the file TRAIL
//! before anything is changed: what cannot be written there is not done. The tests below run the contract of all stores.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jobcore::clock::Timestamp;
use jobcore::control::{Answer, Request};
use jobcore::output::{JobLog, Stream};
use jobcore::record::{Ended, Evidence, Running, Start, Submission};
use jobcore::store::{Incoming, JobClaim};
use jobcore::{
    Created, Disposable, Environment, Events, InProcessRunner, JobId, JobManager, JobSpec, JobStore, Load, MemoryStore,
    Name, OutputSize, Query, Result, StoreSettings, Tally, WaitFor,
};

/// Keeps jobs in another store, and a trail of who changed what.
#[derive(Debug, Clone)]
struct AuditedStore {
    jobs: Arc<dyn JobStore>,
    trail: Trail,
}

/// The lock of a job, whose holder writes the trail, too.
#[derive(Debug)]
struct AuditedClaim {
    claim: Box<dyn JobClaim>,
    trail: Trail,
}

/// A file to which lines are added. Clones add to the same.
#[derive(Debug, Clone)]
struct Trail {
    path: PathBuf,
    file: Arc<Mutex<File>>,
}

impl Trail {
    fn open(path: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(path).map_err(|source| Self::error(path, source))?;
        Ok(Self { path: path.to_owned(), file: Arc::new(Mutex::new(file)) })
    }

    fn add(&self, subject: &str, what: &str) -> Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // One write, so that no line is torn by another program that keeps the same trail.
        let line = format!("{} {subject} {what}\n", Timestamp::now());
        file.write_all(line.as_bytes()).map_err(|source| Self::error(&self.path, source))
    }

    fn error(path: &Path, source: std::io::Error) -> jobcore::Error {
        jobcore::Error::Io { action: "write the trail", path: path.to_owned(), source }
    }
}

impl AuditedStore {
    fn new(jobs: Arc<dyn JobStore>, trail: Trail) -> Self {
        Self { jobs, trail }
    }

    fn audited(&self, claim: Option<Box<dyn JobClaim>>) -> Option<Box<dyn JobClaim>> {
        claim.map(|claim| Box::new(AuditedClaim { claim, trail: self.trail.clone() }) as _)
    }
}

// What only looks is passed on as it is. `as_file` is not: a detached supervisor would write past the trail, and so
// `LocalRunner` is told that this is no store for it.
#[async_trait]
impl JobStore for AuditedStore {
    async fn create(&self, submission: Submission) -> Result<Created> {
        self.trail.add(&submission.job_id.to_string(), &format!("create {:?}", submission.spec.command))?;
        self.jobs.create(submission).await
    }

    async fn next_due(&self) -> Result<Option<Box<dyn JobClaim>>> {
        // Taking the lock changes no record: what its holder does is on the trail.
        Ok(self.audited(self.jobs.next_due().await?))
    }

    async fn claim(&self, id: JobId) -> Result<Option<Box<dyn JobClaim>>> {
        Ok(self.audited(self.jobs.claim(id).await?))
    }

    async fn change_settings(
        &self,
        change: &mut (dyn for<'s> FnMut(&'s mut StoreSettings) + Send),
    ) -> Result<StoreSettings> {
        self.trail.add("settings", "change")?;
        self.jobs.change_settings(change).await
    }

    async fn remove(&self, id: JobId) -> Result<()> {
        self.trail.add(&id.to_string(), "remove")?;
        self.jobs.remove(id).await
    }

    async fn sweep(&self) -> Result<()> {
        self.trail.add("old jobs", "sweep")?;
        self.jobs.sweep().await
    }

    async fn request(&self, id: JobId, request: Request) -> Result<Answer> {
        self.trail.add(&id.to_string(), &format!("request {request:?}"))?;
        self.jobs.request(id, request).await
    }

    async fn named(&self, name: &Name) -> Result<Option<JobId>> {
        self.jobs.named(name).await
    }

    async fn keyed(&self, key: &str) -> Result<Option<JobId>> {
        self.jobs.keyed(key).await
    }

    async fn load(&self) -> Result<Load> {
        self.jobs.load().await
    }

    async fn unattended(&self) -> Result<Vec<JobId>> {
        self.jobs.unattended().await
    }

    async fn settings(&self) -> Result<StoreSettings> {
        self.jobs.settings().await
    }

    async fn evidence(&self, id: JobId) -> Result<Evidence> {
        self.jobs.evidence(id).await
    }

    async fn ids(&self, query: &Query, before: Option<JobId>, limit: usize) -> Result<Vec<JobId>> {
        self.jobs.ids(query, before, limit).await
    }

    async fn tally(&self) -> Result<Tally> {
        self.jobs.tally().await
    }

    async fn cached(&self, id: JobId, name: &'static str) -> Result<Option<Vec<u8>>> {
        self.jobs.cached(id, name).await
    }

    async fn cache(&self, id: JobId, name: &'static str, bytes: &[u8]) -> Result<()> {
        self.jobs.cache(id, name, bytes).await
    }

    async fn send(&self, id: JobId, bytes: &[u8], patience: Duration) -> Result<usize> {
        self.trail.add(&id.to_string(), &format!("send {} bytes", bytes.len()))?;
        self.jobs.send(id, bytes, patience).await
    }

    async fn events(&self, since: u64, limit: usize) -> Result<Events> {
        self.jobs.events(since, limit).await
    }

    async fn happened(&self, number: u64) -> Result<()> {
        self.jobs.happened(number).await
    }

    async fn disposable(&self) -> Result<Vec<Disposable>> {
        self.jobs.disposable().await
    }

    async fn settled(&self, id: JobId) -> Result<()> {
        self.jobs.settled(id).await
    }

    async fn left_queue(&self, id: JobId) -> Result<()> {
        self.jobs.left_queue(id).await
    }

    async fn written(&self, id: JobId, beyond: u64) -> Result<()> {
        self.jobs.written(id, beyond).await
    }

    async fn log(&self, id: JobId) -> Result<Box<dyn JobLog>> {
        self.jobs.log(id).await
    }
}

impl AuditedClaim {
    fn add(&self, what: &str) -> Result<()> {
        self.trail.add(&self.claim.submission().job_id.to_string(), what)
    }
}

#[async_trait]
impl JobClaim for AuditedClaim {
    async fn given(&self) -> Result<OwnedFd> {
        self.claim.given().await
    }

    async fn start(&mut self, start: &Start) -> Result<()> {
        self.add(&format!("start by process {}", start.holder.pid))?;
        self.claim.start(start).await
    }

    async fn running(&mut self, running: &Running) -> Result<()> {
        self.add(&format!("running as process {}", running.process.pid))?;
        self.claim.running(running).await
    }

    async fn finish(&mut self, ended: &Ended) -> Result<()> {
        self.add(&format!("finish {} by {}", ended.outcome.status(), ended.outcome.cause.as_str()))?;
        self.claim.finish(ended).await
    }

    async fn append(&mut self, stream: Stream, at: Timestamp, bytes: &[u8]) {
        self.claim.append(stream, at, bytes).await;
    }

    fn submission(&self) -> &Submission {
        self.claim.submission()
    }

    async fn evidence(&self) -> Result<Evidence> {
        self.claim.evidence().await
    }

    async fn environment(&self) -> Result<Environment> {
        self.claim.environment().await
    }

    async fn open_input(&mut self) -> Result<OwnedFd> {
        self.claim.open_input().await
    }

    async fn end_input(&mut self) {
        self.claim.end_input().await;
    }

    fn output(&self) -> OutputSize {
        self.claim.output()
    }

    async fn next_request(&mut self) -> Incoming {
        self.claim.next_request().await
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let trail = arguments.next().ok_or("usage: own_store TRAIL LINE...")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(trail.as_ref(), arguments.collect()))
}

async fn run(trail: &Path, lines: Vec<String>) -> Result<(), Box<dyn Error>> {
    let store = AuditedStore::new(Arc::new(MemoryStore::new()), Trail::open(trail)?);
    let jobs = JobManager::new(Arc::new(store), Arc::new(InProcessRunner::new()))?;
    let mut ids = Vec::new();
    for line in lines {
        ids.push(jobs.submit(JobSpec::shell(line).inherit_env().build()?).await?.id);
    }
    for job in jobs.wait(&ids, WaitFor::All, None).await?.jobs {
        writeln!(std::io::stdout(), "{} {}", job.id, job.status())?;
    }
    Ok(())
}

#[cfg(test)]
mod conformance {
    use super::*;

    use jobcore::store::conformance::Backend;

    /// Handles of one store, whose trail is a file in a directory of its own.
    fn audited<S: JobStore + Clone + 'static>(store: S) -> Backend {
        let directory = tempfile::tempdir().unwrap();
        let trail = Trail::open(&directory.path().join("trail")).unwrap();
        Backend::new(move || Arc::new(AuditedStore::new(Arc::new(store.clone()), trail.clone()))).keeping(directory)
    }

    mod store {
        jobcore::store_conformance!(super::audited(jobcore::MemoryStore::new()));
    }

    mod runner {
        jobcore::runner_conformance!(super::audited(jobcore::MemoryStore::new()), jobcore::InProcessRunner::new());
    }
}
