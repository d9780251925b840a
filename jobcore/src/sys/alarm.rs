//! Waiting for a time of day, even if the clock is set meanwhile.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use jiff::Timestamp;
#[cfg(target_os = "linux")]
use rustix::time::{self, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

use super::ready::{self, Wanted};

/// The longest wait if the kernel does not report that the clock was set.
const LONGEST: Duration = Duration::from_secs(60);

/// Waits until this time, until the clock is set, or until `other` can be read; the caller checks which it was. Time
/// during which the machine is suspended counts, timerfd_create(2).
pub(crate) fn wait_until(at: Timestamp, other: BorrowedFd<'_>) {
    #[cfg(target_os = "linux")]
    if let Ok(alarm) = time::timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC) {
        let at = Timespec { tv_sec: at.as_second(), tv_nsec: at.subsec_nanosecond().into() };
        let timer = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
        if time::timerfd_settime(&alarm, TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET, &timer).is_ok()
        {
            ready::wait([Wanted::Read(alarm.as_fd()), Wanted::Read(other)], None);
            return;
        }
    }
    let rest = Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
    ready::wait([Wanted::Read(other)], Some(rest.min(LONGEST)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_at_its_time_or_when_the_other_descriptor_is_readable() {
        let (reader, writer) = std::io::pipe().unwrap();
        let soon = Timestamp::now() + Duration::from_millis(20);
        wait_until(soon, reader.as_fd());
        assert!(Timestamp::now() >= soon);
        drop(writer);
        let later = Timestamp::now() + Duration::from_secs(3600);
        wait_until(later, reader.as_fd());
        assert!(Timestamp::now() < later);
        wait_until(Timestamp::UNIX_EPOCH + Duration::from_secs(1), std::io::pipe().unwrap().0.as_fd());
    }
}
