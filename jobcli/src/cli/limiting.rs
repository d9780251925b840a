//! Limits on the processes of a job.

use clap::Args;
use jobcore::spec::{Cpus, IoPriority, Limits};
use jobcore::units::parse_size;

/// Limits on each process of a job.
#[derive(Debug, Default, Args)]
pub struct Limiting {
    /// Run the job with this niceness, from -20 (most favourable) to 19 (least) [default: the niceness of this shell]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, help_heading = LIMITS)]
    pub nice: Option<i32>,
    /// Run the job only on these CPUs, such as `0-3,6`
    #[arg(long, value_name = "LIST", help_heading = LIMITS)]
    pub cpus: Option<Cpus>,
    /// Limit the memory of the job to SIZE; of each process if no control group can be made
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = LIMITS)]
    pub memory: Option<u64>,
    /// Refuse new processes and threads while the user has NUMBER of them in total
    #[arg(long, value_name = "NUMBER", help_heading = LIMITS)]
    pub max_processes: Option<u64>,
    /// Limit the open files of each process to NUMBER
    #[arg(long, value_name = "NUMBER", help_heading = LIMITS)]
    pub open_files: Option<u64>,
    /// Limit core files to SIZE; 0 disables them
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = LIMITS)]
    pub core: Option<u64>,
    /// Set the disk I/O priority: `idle`, or `best-effort:0` (highest) to `best-effort:7`
    #[arg(long, value_name = "PRIORITY", help_heading = LIMITS)]
    pub io: Option<IoPriority>,
}

impl Limiting {
    /// Returns the requested limits.
    pub fn asked(self) -> Limits {
        let mut limits = Limits::default();
        (limits.nice, limits.cpus, limits.memory, limits.processes) =
            (self.nice, self.cpus, self.memory, self.max_processes);
        (limits.open_files, limits.core, limits.io) = (self.open_files, self.core, self.io);
        limits
    }
}

const LIMITS: &str = "Limits";
