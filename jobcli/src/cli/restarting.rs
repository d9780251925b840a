//! Whether a command is started again.

use clap::Args;
use jobcore::front::{Backoff, ExitCodes, Restarting as Asked};
use jobcore::spec::RestartWhen;

/// Whether the command of a job is started again when it has ended.
#[derive(Debug, Default, Args)]
pub struct Restarting {
    /// Start it again up to N times if it fails
    #[arg(long, value_name = "N", help_heading = RESTARTS)]
    pub retries: Option<u32>,
    /// Start it again whenever it fails, or, with `always`, whenever it ends; --retries limits that
    #[arg(long, value_name = "on-failure|always", help_heading = RESTARTS)]
    pub restart: Option<RestartWhen>,
    /// Keep it running, as --restart always does
    #[arg(long, conflicts_with = "restart", help_heading = RESTARTS)]
    pub keep_alive: bool,
    /// The delay before it is started again: the first, which doubles each time, and the longest [default: 1s..5m]
    #[arg(long, value_name = "TIME[..TIME]", help_heading = RESTARTS)]
    pub backoff: Option<Backoff>,
    /// Start it again after these exit codes only, such as `75` or `100..110`
    #[arg(long, value_name = "CODES", value_delimiter = ',', help_heading = RESTARTS)]
    pub retry_on: Vec<ExitCodes>,
}

impl Restarting {
    /// Returns what is asked for.
    pub fn asked(self) -> Asked {
        let when = if self.keep_alive { Some(RestartWhen::Always) } else { self.restart };
        Asked { when, retries: self.retries, backoff: self.backoff, retry_on: self.retry_on }
    }
}

const RESTARTS: &str = "When it is started again";
