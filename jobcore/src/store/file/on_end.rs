//! The file `on_end` of a job that has ended: what was run at its end, one run per line as JSON, and the lock of the
//! process that runs it.
//!
//! A run is recorded before it starts, and again when everything that it started has ended; of several with the same
//! origin, the last counts. The file is created when something is to be run, so most jobs have none.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use super::atomic;
use super::jobs::Jobs;
use super::layout::Layout;
use super::settings::SettingsFile;
use super::slots::Slots;
use crate::clock::Timestamp;
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::record::RECORD_VERSION;
use crate::state::HookRun;
use crate::store::settings::Hook;
use crate::sys::{lock, world};

/// How many times a line is run if its runner is killed while it runs.
const TRIES: usize = 3;

/// What was run at the end of jobs, for readers.
#[derive(Debug, Clone)]
pub(crate) struct EndHooks {
    layout: Layout,
    jobs: Jobs,
    settings: SettingsFile,
}

impl EndHooks {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self { layout: layout.clone(), jobs: Jobs::new(layout), settings: SettingsFile::new(layout) }
    }

    /// Returns what was run at the end of a job, in order.
    pub(crate) fn runs(&self, id: JobId) -> Result<Vec<HookRun>> {
        Ok(last_of_each(&lines(&atomic::read_bytes(&self.layout.job(id).on_end())?.unwrap_or_default())))
    }

    /// Returns whether a process is running what is due at the end of a job.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such job.
    pub(super) fn are_running(&self, id: JobId) -> Result<bool> {
        let path = self.layout.job(id).on_end();
        match atomic::open_if_there(&path, OpenOptions::new().read(true))? {
            Some(file) => lock::is_held(&file).context("check the lock", &path),
            None => self.jobs.existing(id).map(|_| false),
        }
    }

    /// Returns whether something is still to be run at the end of a job.
    pub(super) fn are_due(&self, id: JobId) -> bool {
        self.due(id).is_ok_and(|due| due.is_some_and(|due| !due.hooks.is_empty()))
    }

    fn due(&self, id: JobId) -> Result<Option<Due>> {
        let evidence = self.jobs.evidence(id)?;
        if evidence.ended.is_none() || evidence.submission.v > RECORD_VERSION {
            return Ok(None);
        }
        let world = evidence.submission.world.clone();
        let (job, _) = evidence.judge(Timestamp::now())?;
        // Unreadable settings are reported to the next program that changes them.
        let settings = self.settings.read().unwrap_or_default();
        let mut hooks = settings.hooks(&job);
        if !hooks.is_empty() {
            let lines = lines(&atomic::read_bytes(&self.layout.job(id).on_end())?.unwrap_or_default());
            let is_done = |hook: &Hook| lines.iter().any(|run| run.of == hook.of && run.ended_at.is_some());
            hooks.retain(|hook| !is_done(hook));
        }
        Ok(Some(Due {
            job,
            hooks,
            limit: settings.on_end_timeout,
            is_of_this_world: world::capture()?.may_act_for(&world),
        }))
    }

    /// Takes the turn to run what is due at the end of a job. Returns nothing if nothing is due, the turn is already
    /// taken, or a process of this world is not to have it.
    pub(crate) fn take(&self, id: JobId) -> Result<Option<Turn>> {
        match self.due(id)? {
            Some(due) if due.hooks.is_empty() => {
                Slots::new(&self.layout).end_hooks(id);
                return Ok(None);
            }
            Some(due) if due.is_of_this_world => {}
            Some(_) | None => return Ok(None),
        }
        let path = self.layout.job(id).on_end();
        let file = atomic::open_or_create(&path, OpenOptions::new().read(true).write(true).truncate(false))?;
        if !lock::try_take(&file).context("lock", &path)? {
            return Ok(None);
        }
        self.with_lock(id, file)
    }

    /// Takes over a turn that was handed over.
    ///
    /// # Errors
    /// If `file` is not that of the job, or its lock is held elsewhere.
    pub(crate) fn adopt(&self, id: JobId, file: File) -> Result<Option<Turn>> {
        let path = self.layout.job(id).on_end();
        if !lock::try_take(&file).context("lock", &path)? {
            return Err(Error::Refused {
                id,
                reason: "the descriptor that was handed over is not the lock of its file `on_end`".to_owned(),
            });
        }
        self.with_lock(id, file)
    }

    fn with_lock(&self, id: JobId, file: File) -> Result<Option<Turn>> {
        let path = self.layout.job(id).on_end();
        // The job may have been removed since the file was opened.
        if !atomic::is_at(&file, &path)? {
            return Ok(None);
        }
        // Checked again: the previous holder of the turn may have run everything.
        let Some(Due { job, hooks, limit, .. }) = self.due(id)? else { return Ok(None) };
        let turn = Turn { layout: self.layout.clone(), file, job, hooks, limit };
        if turn.hooks.is_empty() {
            turn.end();
            return Ok(None);
        }
        Ok(Some(turn))
    }
}

struct Due {
    job: Job,
    hooks: Vec<Hook>,
    limit: Duration,
    is_of_this_world: bool,
}

/// The turn to run what is due at the end of a job. It lasts as long as the file is open, in whatever process.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) layout: Layout,
    pub(crate) file: File,
    pub(crate) job: Job,
    /// What is to be run, in order.
    pub(crate) hooks: Vec<Hook>,
    /// How long each may take.
    pub(crate) limit: Duration,
}

impl Turn {
    /// Runs what is due with `run`, and records each run before and after. The last argument of `run` is whether the
    /// line is run again because its runner was killed.
    ///
    /// # Errors
    /// If it cannot be put on record. Then it is due again.
    pub(crate) fn run(self, run: impl Fn(&Self, &Hook, HookRun, bool) -> HookRun) -> Result<()> {
        for hook in &self.hooks {
            let begun = HookRun::begin(hook.of, Timestamp::now());
            let tries = self.lines()?.iter().filter(|run| run.of == hook.of).count();
            let ran = if tries < TRIES {
                self.add(&begun)?;
                run(&self, hook, begun, tries > 0)
            } else {
                let message = format!("was started {TRIES} times, and its runner was killed each time");
                HookRun { ended_at: Some(Timestamp::now()), message: Some(message), ..begun }
            };
            self.add(&ran)?;
        }
        self.end();
        Ok(())
    }

    fn lines(&self) -> Result<Vec<HookRun>> {
        Ok(lines(&atomic::read_all(&self.file).context("read", &self.layout.job(self.job.id).on_end())?))
    }

    fn add(&self, run: &HookRun) -> Result<()> {
        let path = self.layout.job(self.job.id).on_end();
        let there = atomic::read_all(&self.file).context("read", &path)?;
        // After the last complete line.
        let end = there.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let json = serde_json::to_string(run).map_err(std::io::Error::from).context("write", &path)?;
        self.file.write_all_at(format!("{json}\n").as_bytes(), end as u64).context("write", &path)
    }

    /// Notes that nothing is left to run.
    fn end(&self) {
        Slots::new(&self.layout).end_hooks(self.job.id);
    }
}

fn lines(bytes: &[u8]) -> Vec<HookRun> {
    // An incomplete line is still being written, or never was completed.
    bytes.split_inclusive(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

fn last_of_each(lines: &[HookRun]) -> Vec<HookRun> {
    let mut runs: Vec<HookRun> = Vec::new();
    for line in lines {
        match runs.iter_mut().find(|run| run.of == line.of) {
            Some(run) => *run = line.clone(),
            None => runs.push(line.clone()),
        }
    }
    runs
}
