//! When a job is ready.

use std::time::Duration;

use clap::Args;
use jobcore::ready::Condition;
use jobcore::spec::NotReady;

/// When a job that is started is ready, and what happens when it is not.
#[derive(Debug, Default, Args)]
pub struct Readiness {
    /// Record when it is ready: when this is met, as below; given several times, when all of them were
    #[arg(long, value_name = "CONDITION", help_heading = READINESS)]
    pub ready: Vec<Condition>,
    /// Stop it when it is not ready in so long
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, help_heading = READINESS)]
    pub ready_timeout: Option<Duration>,
    /// When it is not ready in time, `stop` it, or let it `continue` and report that as an event [default: stop]
    #[arg(long, value_name = "stop|continue", help_heading = READINESS)]
    pub not_ready: Option<NotReady>,
    /// Wait until it is ready, and exit with 0; if it ends first, exit with its code, or with 1 if that is 0
    #[arg(long, conflicts_with_all = ["wait", "follow"], help_heading = READINESS)]
    pub wait_ready: bool,
}

const READINESS: &str = "When it is ready";
