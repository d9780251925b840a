//! Reports how a job ended, in one line for people, on standard error.

use std::fmt::Write;
use std::io::{IsTerminal, Write as _};
use std::time::Duration;

use jobcore::clock::Timestamp;
use jobcore::escape::one_line;
use jobcore::front::{Notify, Settings};
use jobcore::spec::Stragglers;
use jobcore::stop::Signal;
use jobcore::units::short_duration;
use jobcore::words::{counted, exit_code};
use jobcore::{Cause, Job, Outcome};

use super::tell;

/// Reports how a job ended. For agent runs, more is reported elsewhere.
pub(super) fn tell_of(job: &Job) {
    if let Some(line) = of(job) {
        tell(&line);
    }
}

/// Returns how a job ended; nothing if it is unfinished.
pub(super) fn of(job: &Job) -> Option<String> {
    Some(line(&job.label(), job.state.started_at(), job.attempt, job.state.outcome()?, job.spec.stragglers))
}

/// How long a job must have run for the setting `notify` to count.
const WORTH_A_NOTICE: Duration = Duration::from_secs(10);

/// How to notify the terminal of an end: as requested on the command line, or as set for jobs that ran for long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Notice {
    asked: Option<Notify>,
    set: Option<Notify>,
}

impl Notice {
    pub(super) fn new(asked: Option<Option<Notify>>, settings: &Settings) -> Self {
        let set = settings.notify;
        Self { asked: asked.map(|how| how.or(set).unwrap_or_default()), set }
    }

    /// Notifies the terminal of the end of a job, if standard error is a terminal.
    pub(super) fn give(self, job: &Job) {
        let is_long = job.run_time().is_some_and(|time| time >= WORTH_A_NOTICE);
        let how = self.asked.or(self.set.filter(|_| is_long)).filter(|_| job.status().is_final());
        let mut terminal = std::io::stderr();
        if let Some(how) = how.filter(|_| terminal.is_terminal()) {
            let _ = terminal.write_all(how.sequence(&job.summary()).as_bytes());
        }
    }
}

/// Returns the label of the job, how it ended, after what time, and what was stopped with it.
fn line(
    label: &str,
    started_at: Option<Timestamp>,
    attempts: u32,
    outcome: &Outcome,
    stragglers: Stragglers,
) -> String {
    let mut line = format!("{label}: {}", came_to(outcome));
    if let Some(started_at) = started_at {
        let time = Duration::try_from(outcome.ended_at.duration_since(started_at)).unwrap_or_default();
        // Writing to a String does not fail.
        let _ = write!(line, " after {}", short_duration(time));
        if attempts > 1 {
            let _ = write!(line, " and {attempts} attempts");
        }
    }
    if outcome.shell_code().is_none()
        && !matches!(outcome.cause, Cause::NeverStarted | Cause::SpawnFailed | Cause::Skipped)
    {
        line.push_str("; its exit code is unknown");
    }
    line.push_str(&left(outcome, stragglers));
    line
}

fn came_to(outcome: &Outcome) -> String {
    let signal = |signal: Signal| format!("{signal}{}", if outcome.core_dumped { ", core dumped" } else { "" });
    let code = outcome.exit_code.map(exit_code);
    let how = code.or_else(|| outcome.signal.map(signal));
    let in_brackets = how.as_ref().map(|how| format!(" ({how})")).unwrap_or_default();
    let message = outcome.message.as_ref().map(|message| one_line(message));
    let reason = message.unwrap_or_else(|| outcome.cause.as_str().replace('_', " ").into());
    match (outcome.cause, how) {
        (Cause::Exited, _) if outcome.exit_code == Some(0) => "completed".to_owned(),
        (Cause::Exited, Some(how)) => format!("failed with {how}"),
        (Cause::Signalled, Some(how)) => format!("failed: ended by {how}"),
        (Cause::SpawnFailed, _) => format!("could not be started: {reason}"),
        (Cause::Stopped, _) => match &outcome.stopped_by {
            Some(who) => format!("killed{in_brackets} by {}", one_line(who)),
            None => format!("killed{in_brackets}"),
        },
        (Cause::Stalled, _) => format!("stalled and was stopped{in_brackets}"),
        (Cause::NotReady, _) => format!("was not ready in time and was stopped{in_brackets}"),
        (Cause::TimedOut, _) => format!("timed out{in_brackets}"),
        (Cause::NeverStarted, _) => "killed before it was started".to_owned(),
        _ => format!("{}{in_brackets}: {reason}", outcome.status()),
    }
}

/// Returns what happened to stragglers if the job ended by itself, and how many processes could not be stopped.
fn left(outcome: &Outcome, stragglers: Stragglers) -> String {
    let mut text = String::new();
    let ended_by_itself = matches!(outcome.cause, Cause::Exited | Cause::Signalled);
    if outcome.stragglers > 0 && ended_by_itself {
        let it_left =
            format!("{} that it had left in the background", counted(outcome.stragglers, "process", "processes"));
        text = match stragglers {
            Stragglers::Leave => format!("; {it_left} may still be running"),
            _ => format!("; stopped {it_left} (`--leave-stragglers` keeps them)"),
        };
    }
    if !outcome.survivors.is_empty() {
        let _ = write!(text, "; {} could not be stopped", counted(outcome.survivors.len(), "process", "processes"));
    }
    text
}

#[cfg(test)]
mod tests {
    use jobcore::state::Survivor;

    use super::*;

    fn told(stragglers: Stragglers, cause: Cause, change: impl FnOnce(&mut Outcome)) -> String {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let mut outcome = Outcome::new(cause, at("2026-11-21T10:00:13Z"));
        change(&mut outcome);
        let started_at = (cause != Cause::NeverStarted).then(|| at("2026-11-21T10:00:01Z"));
        line("web", started_at, 1, &outcome, stragglers)
    }

    #[test]
    fn every_end_is_reported_in_one_line() {
        let told = |cause, change: fn(&mut Outcome)| told(Stragglers::Stop, cause, change);
        for (cause, change, expected) in [
            (Cause::Exited, (|o| o.exit_code = Some(0)) as fn(&mut Outcome), "completed after 12s"),
            (Cause::Exited, |o| o.exit_code = Some(3), "failed with exit code 3 after 12s"),
            (
                Cause::Exited,
                |o| o.exit_code = Some(141),
                "failed with exit code 141 (SIGPIPE in a pipe, as with `... | head`) after 12s",
            ),
            (Cause::Exited, |_| {}, "failed: exited after 12s; its exit code is unknown"),
            (
                Cause::Signalled,
                |o| (o.signal, o.core_dumped) = (Some("SEGV".parse().unwrap()), true),
                "failed: ended by SIGSEGV, core dumped after 12s",
            ),
            (
                Cause::SpawnFailed,
                |o| o.message = Some("no\x1b[2Jne".to_owned()),
                "could not be started: no\\u{1b}[2Jne after 12s",
            ),
            (Cause::Stopped, |o| o.exit_code = Some(0), "killed (exit code 0) after 12s"),
            (
                Cause::Stopped,
                |o| (o.signal, o.stopped_by) = (Some(Signal::TERM), Some("jobcli, process 7".to_owned())),
                "killed (SIGTERM) by jobcli, process 7 after 12s",
            ),
            (Cause::TimedOut, |o| o.signal = Some(Signal::KILL), "timed out (SIGKILL) after 12s"),
            (Cause::NeverStarted, |_| {}, "killed before it was started"),
            (Cause::SupervisorLost, |_| {}, "orphaned: supervisor lost after 12s; its exit code is unknown"),
            (
                Cause::Exited,
                |o| (o.exit_code, o.stragglers) = (Some(0), 2),
                "completed after 12s; stopped 2 processes that it had left in the background (`--leave-stragglers` keeps \
                 them)",
            ),
            (Cause::Stopped, |o| (o.exit_code, o.stragglers) = (Some(1), 2), "killed (exit code 1) after 12s"),
            (
                Cause::Stopped,
                |o| o.survivors = vec![Survivor::new(9, "sudo".to_owned(), "another user's".to_owned())],
                "killed after 12s; its exit code is unknown; 1 process could not be stopped",
            ),
        ] {
            assert_eq!(told(cause, change), format!("web: {expected}"), "{cause:?}");
        }
    }

    #[test]
    fn stragglers_kept_on_request_are_not_reported_as_stopped() {
        let told = told(Stragglers::Leave, Cause::Exited, |o| (o.exit_code, o.stragglers) = (Some(0), 1));
        let expected = "completed after 12s; 1 process that it had left in the background may still be running";
        assert_eq!(told, format!("web: {expected}"));
    }
}
