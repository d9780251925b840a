//! The figures of the store: its jobs by status, its load and its size.

use std::collections::BTreeMap;

use jobcore::front::process::load_average;
use jobcore::{JobManager, Query, Result, Status};

/// The figures of the store.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Header {
    /// The number of jobs by status.
    pub(super) counts: BTreeMap<Status, u64>,
    /// The slots in use, and their limit; 0 means no limit.
    pub(super) slots: (u64, u32),
    /// Whether the store is paused.
    pub(super) is_paused: bool,
    /// The load average of the machine, if known.
    pub(super) load: Option<f32>,
    /// Roughly how many bytes the ended jobs take.
    pub(super) bytes: u64,
}

impl Header {
    /// Reads the figures.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) async fn look(jobs: &JobManager) -> Result<Self> {
        let load = jobs.store().load().await?;
        let in_use = load.running.iter().filter(|slot| !slot.lent).map(|slot| u64::from(slot.weight)).sum();
        Ok(Self {
            counts: jobs.count(&Query::default()).await?,
            slots: (in_use, load.settings.max_running),
            is_paused: load.settings.paused,
            load: load_average(),
            bytes: jobs.store().ended_jobs().await?.iter().map(|job| job.bytes).sum(),
        })
    }
}
