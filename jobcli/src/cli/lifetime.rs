//! How long a job may live.

use std::time::Duration;

use clap::Args;

/// What ends a job.
#[derive(Debug, Default, Args)]
pub struct Lifetime {
    /// Stop the job when process PID ends
    #[arg(long, value_name = "PID")]
    pub with_pid: Option<i32>,
    /// Stop the job unless `jobcli renew` is run at least every TIME
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub lease: Option<Duration>,
}
