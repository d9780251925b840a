//! How much the processes of a job may use.

use clap::Args;
use jobcore::spec::{Cpus, IoPriority, Limits};
use jobcore::units::parse_size;

/// How much each process of a job may use.
#[derive(Debug, Default, Args)]
pub struct Limiting {
    /// Run it with this niceness: 19 leaves the CPU to all others, -20 to none [default: that of this shell]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, help_heading = LIMITS)]
    pub nice: Option<i32>,
    /// Run it on these CPUs only, such as `0-3,6`
    #[arg(long, value_name = "LIST", help_heading = LIMITS)]
    pub cpus: Option<Cpus>,
    /// Give each of its processes at most SIZE of memory of its own
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = LIMITS)]
    pub memory: Option<u64>,
    /// Let it start no process or thread while its user has NUMBER of them, in all
    #[arg(long, value_name = "NUMBER", help_heading = LIMITS)]
    pub max_processes: Option<u64>,
    /// Let each of its processes have at most NUMBER open files
    #[arg(long, value_name = "NUMBER", help_heading = LIMITS)]
    pub open_files: Option<u64>,
    /// Write at most SIZE of a core file when it crashes; 0 for none
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = LIMITS)]
    pub core: Option<u64>,
    /// Read and write disks with this priority: `idle`, or `best-effort:0`, the highest, to `best-effort:7`
    #[arg(long, value_name = "PRIORITY", help_heading = LIMITS)]
    pub io: Option<IoPriority>,
}

impl Limiting {
    /// Returns what is asked for.
    pub fn asked(self) -> Limits {
        let mut limits = Limits::default();
        (limits.nice, limits.cpus, limits.memory, limits.processes) =
            (self.nice, self.cpus, self.memory, self.max_processes);
        (limits.open_files, limits.core, limits.io) = (self.open_files, self.core, self.io);
        limits
    }
}

const LIMITS: &str = "How much it may use";
