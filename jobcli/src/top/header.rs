//! What is known of the store: how many jobs it has of each status, how busy it is, and how large.

use std::collections::BTreeMap;

use jobcore::front::process::load_average;
use jobcore::{JobManager, Query, Result, Status};

/// What is known of the store as a whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Header {
    /// How many jobs there are, by status.
    pub(super) counts: BTreeMap<Status, u64>,
    /// How many slots are in use, and how many there are; 0 for no limit.
    pub(super) slots: (u64, u32),
    /// Whether the store is paused.
    pub(super) is_paused: bool,
    /// How busy the machine is, if that is known.
    pub(super) load: Option<f32>,
    /// How much the ended jobs take, about.
    pub(super) bytes: u64,
}

impl Header {
    /// Looks at the store.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) async fn look(jobs: &JobManager) -> Result<Self> {
        let load = jobs.store().load().await?;
        let in_use = load.running.iter().filter(|slot| !slot.lent).map(|slot| u64::from(slot.weight)).sum();
        Ok(Self {
            counts: jobs.count(&Query::default()).await?,
            slots: (in_use, load.settings.max_running),
            is_paused: load.settings.paused,
            load: load_average(),
            bytes: jobs.store().disposable().await?.iter().map(|job| job.bytes).sum(),
        })
    }
}
