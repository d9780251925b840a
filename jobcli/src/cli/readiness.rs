//! When a job is ready.

use std::time::Duration;

use clap::Args;
use jobcore::ready::Condition;
use jobcore::spec::NotReady;

/// When a job is ready, and what happens if it is not ready in time.
#[derive(Debug, Default, Args)]
pub struct Readiness {
    /// Record when the job is ready: when CONDITION, or each of several, has been met (see below)
    #[arg(long, value_name = "CONDITION", help_heading = READINESS)]
    pub ready: Vec<Condition>,
    /// Stop the job if it is not ready within TIME
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, help_heading = READINESS)]
    pub ready_timeout: Option<Duration>,
    /// If the job is not ready in time, `stop` it, or let it `continue` and report an event [default: stop]
    #[arg(long, value_name = "stop|continue", help_heading = READINESS)]
    pub not_ready: Option<NotReady>,
    /// Wait until the job is ready and exit with 0; if it ends first, exit with its code, or 1 instead of 0
    #[arg(long, conflicts_with_all = ["wait", "follow"], help_heading = READINESS)]
    pub wait_ready: bool,
}

const READINESS: &str = "Readiness";
