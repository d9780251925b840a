//! Which boot of the machine this is, and how long ago something in it happened.

use std::sync::OnceLock;
use std::time::Duration;

/// Returns the id of this boot; empty if it cannot be read.
pub(crate) fn id() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let id = super::file::read_text("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        id.trim().to_owned()
    })
}

/// Returns how long ago a process was started, given its start time as read by this process.
pub(crate) fn age(start_time: u64) -> Option<Duration> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let start = start_time.checked_mul(1000)?.checked_div(rustix::param::clock_ticks_per_second())?;
    Duration::try_from(now).ok()?.checked_sub(Duration::from_millis(start))
}
