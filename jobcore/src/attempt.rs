//! The attempts of a command that is restarted, and the decision whether another follows.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::spec::{Restart, RestartWhen};
use crate::state::{Cause, Outcome, Status};

/// How many attempts are kept on record: the first, and the last ones.
const KEPT: usize = 100;

/// A run of a job's command that was followed by another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Attempt {
    /// Its number; the first is 1.
    pub number: u32,
    /// When the command was started, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// How it ended. The output sizes in it are those of this attempt alone.
    pub outcome: Outcome,
    /// Where its output ends, as an offset in the output of the job. It begins where that of the previous attempt ends.
    pub output_end: u64,
}

impl Attempt {
    /// Returns how long it ran.
    pub fn run_time(&self) -> Duration {
        let ran = self.started_at.map(|started_at| self.outcome.ended_at.duration_since(started_at));
        ran.and_then(|ran| Duration::try_from(ran).ok()).unwrap_or_default()
    }
}

/// Returns where the output of the attempt that follows these begins.
pub(crate) fn output_start(before: &[Attempt]) -> u64 {
    before.last().map_or(0, |attempt| attempt.output_end)
}

/// Returns the delay before the attempt that follows these, the last of which has just ended, or `None` if none
/// follows.
pub(crate) fn delay(restart: &Restart, attempts: &[Attempt]) -> Option<Duration> {
    let last = attempts.last()?;
    let is_within_limit = restart.limit.is_none_or(|limit| last.number <= limit);
    if !is_within_limit || !deserves_another(restart, last) {
        return None;
    }
    let is_short = |attempt: &&Attempt| attempt.run_time() < restart.backoff_max();
    let short = attempts.iter().rev().take_while(is_short).count();
    Some(restart.delay(u32::try_from(short).unwrap_or(u32::MAX)))
}

fn deserves_another(restart: &Restart, last: &Attempt) -> bool {
    let outcome = &last.outcome;
    // A process that could not be killed would run beside the next attempt.
    if !outcome.survivors.is_empty() {
        return false;
    }
    match outcome.status() {
        Status::Killed | Status::Skipped | Status::Queued | Status::Running | Status::Paused => false,
        Status::Completed => restart.when == RestartWhen::Always,
        // A command that could not be started at first will not be found the next time either.
        Status::Failed if outcome.cause == Cause::SpawnFailed && last.number == 1 => false,
        Status::Failed | Status::TimedOut | Status::Orphaned => {
            let code = outcome.exit_code.and_then(|code| u8::try_from(code).ok());
            restart.exit_codes.is_empty() || code.is_some_and(|code| restart.exit_codes.contains(&code))
        }
    }
}

/// Adds an attempt to the earlier ones. If there are very many, one in the middle is dropped.
pub(crate) fn add(attempts: &mut Vec<Attempt>, attempt: Attempt) {
    attempts.push(attempt);
    if attempts.len() > KEPT {
        attempts.remove(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn attempt(number: u32, code: i32, ran: Duration) -> Attempt {
        let started_at = Timestamp::UNIX_EPOCH;
        let mut outcome = Outcome::new(Cause::Exited, started_at + ran);
        outcome.exit_code = Some(code);
        Attempt { number, started_at: Some(started_at), outcome, output_end: 0 }
    }

    fn restart(when: RestartWhen, limit: Option<u32>) -> Restart {
        Restart::new(when).with_limit(limit).with_backoff(SECOND, SECOND * 10)
    }

    #[test]
    fn a_failure_is_retried_up_to_the_limit() {
        let rule = restart(RestartWhen::OnFailure, Some(2));
        assert_eq!(delay(&rule, &[attempt(1, 1, SECOND)]), Some(SECOND));
        assert_eq!(delay(&rule, &[attempt(1, 1, SECOND), attempt(2, 1, SECOND)]), Some(SECOND * 2));
        assert_eq!(delay(&rule, &[attempt(3, 1, SECOND)]), None);
        assert_eq!(delay(&rule, &[attempt(1, 0, SECOND)]), None);
        assert_eq!(delay(&restart(RestartWhen::Always, None), &[attempt(1000, 0, SECOND)]), Some(SECOND));
    }

    #[test]
    fn a_long_run_resets_the_delay() {
        let rule = restart(RestartWhen::OnFailure, None);
        let attempts =
            [attempt(1, 1, SECOND), attempt(2, 1, SECOND), attempt(3, 1, SECOND * 10), attempt(4, 1, SECOND)];
        assert_eq!(delay(&rule, &attempts), Some(SECOND));
        assert_eq!(delay(&rule, &attempts[..3]), Some(SECOND));
        assert_eq!(delay(&rule, &attempts[..2]), Some(SECOND * 2));
    }

    #[test]
    fn only_the_named_exit_codes_are_retried() {
        let rule = restart(RestartWhen::OnFailure, None).with_exit_codes([75]);
        let mut last = attempt(1, 75, SECOND);
        assert!(delay(&rule, std::slice::from_ref(&last)).is_some());
        last.outcome.exit_code = Some(1);
        assert!(delay(&rule, std::slice::from_ref(&last)).is_none());
    }

    #[test]
    fn a_stopped_or_unstartable_command_is_not_retried() {
        let rule = restart(RestartWhen::Always, None);
        for (number, cause, expected) in [
            (1, Cause::Stopped, false),
            (1, Cause::SpawnFailed, false),
            (2, Cause::SpawnFailed, true),
            (1, Cause::SupervisorLost, true),
            (1, Cause::Rebooted, true),
            (1, Cause::TimedOut, true),
        ] {
            let mut last = attempt(number, 0, SECOND);
            (last.outcome.cause, last.outcome.exit_code) = (cause, None);
            assert_eq!(delay(&rule, &[last]).is_some(), expected, "{cause:?}");
        }
    }

    #[test]
    fn the_first_and_the_last_of_many_attempts_are_kept() {
        let mut attempts = Vec::new();
        for number in 1..=300 {
            add(&mut attempts, attempt(number, 1, SECOND));
        }
        let numbers: Vec<_> = attempts.iter().map(|attempt| attempt.number).collect();
        assert_eq!((numbers.len(), numbers[0], numbers[1], numbers[KEPT - 1]), (KEPT, 1, 202, 300));
    }
}
