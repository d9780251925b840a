//! Whether a command is started again.

use clap::Args;
use jobcore::front::{Backoff, ExitCodes, Restarting as Asked};
use jobcore::spec::RestartWhen;

/// Whether the command of a job is started again when it has ended.
#[derive(Debug, Default, Args)]
pub struct Restarting {
    /// Restart the command up to N times if it fails
    #[arg(long, value_name = "N", help_heading = RESTARTS)]
    pub retries: Option<u32>,
    /// Restart the command whenever it fails, or whenever it ends; `--retries` sets a limit
    #[arg(long, value_name = "on-failure|always", help_heading = RESTARTS)]
    pub restart: Option<RestartWhen>,
    /// Keep the job running: the same as `--restart always`
    #[arg(long, conflicts_with = "restart", help_heading = RESTARTS)]
    pub keep_alive: bool,
    /// Wait before a restart: the first delay, which doubles each time, and the longest [default: 1s..5m]
    #[arg(long, value_name = "TIME[..TIME]", help_heading = RESTARTS)]
    pub backoff: Option<Backoff>,
    /// Restart only after these exit codes, such as `75` or `100..110`
    #[arg(long, value_name = "CODES", value_delimiter = ',', help_heading = RESTARTS)]
    pub retry_on: Vec<ExitCodes>,
}

impl Restarting {
    /// Returns the requested rule.
    pub fn asked(self) -> Asked {
        let when = if self.keep_alive { Some(RestartWhen::Always) } else { self.restart };
        Asked { when, retries: self.retries, backoff: self.backoff, retry_on: self.retry_on }
    }
}

const RESTARTS: &str = "Restarts";
