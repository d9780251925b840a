//! How busy the machine is.

use super::file;

/// Returns how many processes ran or were about to, on average over the last minute, proc_loadavg(5); nothing where the system
/// does not say.
pub(crate) fn average() -> Option<f32> {
    file::read_text("/proc/loadavg").ok()?.split_ascii_whitespace().next()?.parse().ok()
}
