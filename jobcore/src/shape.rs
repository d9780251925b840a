//! The one shape in which a job is printed, by every interface.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

#[cfg(feature = "agents")]
use crate::agent::AgentShape;
use crate::attempt::Attempt;
use crate::caller::Caller;
use crate::clock::{Timestamp, to_milliseconds};
use crate::id::JobId;
use crate::job::Job;
use crate::name::Name;
use crate::output::{Cursor, LeftOut};
use crate::queue::{After, InQueue, LoadCondition, Repeat, Resource, RunOf};
use crate::signal::Signal;
use crate::spec::{Adoption, Command, JobSpec};
use crate::state::{Cause, HookRun, State, Status, Survivor};
use crate::units::short_duration;
use crate::until::Condition;
use crate::words::{exit_code, quoted};

impl JobShape {
    /// Returns whether the job is running but not ready yet, if its spec says when it is ready.
    pub fn is_starting(&self) -> bool {
        let runs = matches!(self.status, Status::Running | Status::Paused) && self.next_attempt_at.is_none();
        runs && !self.ready.is_empty() && self.ready_at.is_none()
    }

    /// Returns which attempt a restarted job is at, and when that starts if it has not: `attempt 2 in 4s, after exit
    /// code 1`.
    pub fn attempt_in_words(&self, now: Timestamp) -> Option<String> {
        let attempt = self.attempt?;
        let Some(at) = self.next_attempt_at else { return Some(format!("attempt {attempt}")) };
        let rest = short_duration(Duration::try_from(at.duration_since(now)).unwrap_or_default());
        let how = self.attempts.last().map(|last| format!(", after {}", last.in_words()));
        Some(format!("attempt {attempt} in {rest}{}", how.unwrap_or_default()))
    }
}

impl Job {
    /// Returns the shape in which every interface prints the job, without the reason why it is queued and the digest of
    /// an agent's output, which [`JobManager::report`] looks up. `now` ends the duration of a running job.
    ///
    /// [`JobManager::report`]: crate::JobManager::report
    pub fn shape(&self, now: Timestamp) -> JobShape {
        let (command, argv) = match self.spec.command.clone() {
            Command::Shell(line) => (Some(line), None),
            Command::Argv(argv) => (None, Some(argv)),
        };
        let outcome = self.state.outcome();
        let started_at = self.state.started_at();
        let until = outcome.map_or(now, |outcome| outcome.ended_at);
        let duration = |from: Timestamp| u64::try_from(until.duration_since(from).as_millis()).unwrap_or(0);
        JobShape {
            job_id: self.id,
            short_id: self.id.short(),
            name: self.spec.name.clone(),
            status: self.status(),
            queued: None,
            command,
            argv,
            cwd: self.spec.cwd.display().to_string(),
            group: self.spec.group.clone(),
            slot: self.place.slot.filter(|_| self.spec.group.is_some()),
            slots: Some(self.spec.slots).filter(|slots| *slots != 1),
            resources: self.spec.resources.clone(),
            priority: Some(self.place.priority).filter(|priority| *priority != 0),
            after: self.spec.after.clone(),
            when: self.spec.when.clone(),
            repeat: self.spec.repeat.clone(),
            run_of: self.spec.run_of,
            parent_job_id: self.spec.parent,
            labels: self.spec.labels.clone(),
            caller: self.spec.caller.clone(),
            project: self.spec.project.as_ref().map(|project| project.display().to_string()),
            input: Input::of(&self.spec),
            waiting_for_input: None,
            stalled_since: self.stalled_at.map(to_milliseconds),
            ready: self.spec.ready.clone(),
            ready_at: self.ready_at.map(to_milliseconds),
            lease_until: self.lease_until.map(to_milliseconds),
            attempt: Some(self.attempt).filter(|attempt| *attempt > 1),
            next_attempt_at: self.next_attempt_at.map(to_milliseconds),
            attempts: self.attempts.iter().map(AttemptShape::of).collect(),
            pid: self.pid,
            supervised: match &self.state {
                State::Running(run) | State::Paused(run) => (!run.supervised).then_some(false),
                State::Queued | State::Ended(_) => None,
            },
            adopts: self.spec.adopts.as_deref().cloned(),
            submitted_at: to_milliseconds(self.submitted_at),
            started_at: started_at.map(to_milliseconds),
            ended_at: outcome.map(|outcome| to_milliseconds(outcome.ended_at)),
            duration_ms: started_at.map(duration),
            paused_ms: u64::try_from(self.paused.as_millis()).ok().filter(|ms| *ms > 0),
            exit_code: outcome.and_then(|outcome| outcome.exit_code),
            signal: outcome.and_then(|outcome| outcome.signal),
            core_dumped: outcome.and_then(|outcome| outcome.core_dumped.then_some(true)),
            cause: outcome.map(|outcome| outcome.cause),
            message: outcome.and_then(|outcome| outcome.message.clone()),
            stopped_by: outcome.and_then(|outcome| outcome.stopped_by.clone()),
            cpu_ms: outcome.and_then(|outcome| outcome.cpu_ms),
            memory_bytes: None,
            processes: None,
            peak_rss_bytes: outcome.and_then(|outcome| outcome.peak_rss_bytes),
            stragglers: outcome.map(|outcome| outcome.stragglers).filter(|count| *count > 0),
            stragglers_alive: self.has_living_stragglers().then_some(true),
            survivors: outcome.map(|outcome| outcome.survivors.clone()).unwrap_or_default(),
            output_bytes: self.output.bytes,
            dropped_bytes: self.output.dropped,
            on_end: Vec::new(),
            #[cfg(feature = "agents")]
            agent: None,
        }
    }
}

/// The shape of a job in every interface: `jobcli --json`, MCP results, events.
///
/// Values that are unknown or do not apply are absent, never null. Times are RFC 3339 in UTC. Fields may be added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobShape {
    /// The full id.
    pub job_id: JobId,
    /// The part of the id that people type.
    pub short_id: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// What it is doing, or how it ended.
    pub status: Status,
    /// Why it is queued; absent if it is not queued, and from [`Job::shape`], which looks only at the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<InQueue>,
    /// The shell line, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The program and its arguments, if it is not a shell line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// The working directory.
    pub cwd: String,
    /// The group in whose queue it is or was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Name>,
    /// Its number among the running jobs of its group, counted from 0; absent if it has no group or has not been
    /// started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// How many slots it takes; absent for 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    /// The resources that it takes in addition to slots.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<Resource, u32>,
    /// Its priority in the queue; absent for 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// The jobs that it is started after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<After>,
    /// Conditions on the load of the machine that must hold for it to be started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<LoadCondition>,
    /// When runs of it are started, if it is a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Repeat>,
    /// The schedule that it is a run of, if it is one, and the scheduled time that the run is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_of: Option<RunOf>,
    /// The job whose command submitted it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_job_id: Option<JobId>,
    /// Labels to find it by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The caller that submitted it, as `HOST:CONVERSATION`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<Caller>,
    /// The project that it belongs to: a directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// How input can be sent to it while it runs; absent if that is not possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Input>,
    /// Set if it is quiet and one of its processes is blocked in a read of its terminal or its standard input; absent
    /// if it is not, if the kernel does not reveal it, and from [`Job::shape`], which looks only at the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for_input: Option<WaitingForInput>,
    /// Since when it has been stalled, by the stall time of its spec; absent if it is not stalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled_since: Option<Timestamp>,
    /// The conditions that make it ready once all of them have been met; absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ready: Vec<Condition>,
    /// When it became ready; absent until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<Timestamp>,
    /// When it will be stopped unless its lease is renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
    /// The current or last attempt; absent for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// When that attempt will be started; absent unless the job is waiting for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    /// The earlier attempts, the oldest first; absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<AttemptShape>,
    /// The main process, while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// `false` for a job that runs without a living supervisor; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervised: Option<bool>,
    /// The process that the job adopted, if it was not started for this job, and where its output goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopts: Option<Adoption>,
    /// When it was submitted.
    pub submitted_at: Timestamp,
    /// When the command was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The time from its start to its end, or to now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// How long it was paused during that time; absent if it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_ms: Option<u64>,
    /// The exit code of the main process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that killed the main process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// `true` if the main process dumped core; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_dumped: Option<bool>,
    /// Why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// More about the end, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Who requested its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<String>,
    /// CPU time, user and system, including descendants. While the job runs, that of its living processes so far, and
    /// only from [`JobManager::report`](crate::JobManager::report).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// Resident memory of its processes now, with shared memory counted for each of them; absent unless it is running,
    /// and from [`Job::shape`], which looks only at the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// How many processes it has now; absent in the same cases as `memory_bytes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// Peak resident memory of its largest process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
    /// How many processes outlived the main process; absent for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stragglers: Option<u32>,
    /// `true` if the job has ended and some of its processes are still running; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stragglers_alive: Option<bool>,
    /// Processes that could not be stopped; absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub survivors: Vec<Survivor>,
    /// Bytes written by the job.
    pub output_bytes: u64,
    /// How many of those bytes were not kept.
    pub dropped_bytes: u64,
    /// The commands that were run at its end, with their results; absent if there are none, and from [`Job::shape`],
    /// which looks only at the job.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_end: Vec<HookRun>,
    /// The progress or result of an agent run; absent for any other job.
    #[cfg(feature = "agents")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Box<AgentShape>>,
}

/// An attempt that was followed by another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AttemptShape {
    /// Its number; the first is 1.
    pub attempt: u32,
    /// How it ended.
    pub status: Status,
    /// When the command was started; absent if it could not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Timestamp,
    /// The exit code of the main process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that killed the main process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// Why it ended.
    pub cause: Cause,
    /// More about the end, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Bytes written by this attempt.
    pub output_bytes: u64,
}

impl AttemptShape {
    /// Returns how it ended: `exit code 1`, `SIGTERM`, `timed out`.
    pub fn in_words(&self) -> String {
        match (self.cause, self.exit_code, self.signal) {
            (Cause::Exited, Some(code), _) => exit_code(code),
            (Cause::Signalled, _, Some(signal)) => signal.to_string(),
            (cause, ..) => cause.as_str().replace('_', " "),
        }
    }

    fn of(attempt: &Attempt) -> Self {
        let Attempt { number, started_at, outcome, .. } = attempt;
        Self {
            attempt: *number,
            status: outcome.status(),
            started_at: started_at.map(to_milliseconds),
            ended_at: to_milliseconds(outcome.ended_at),
            exit_code: outcome.exit_code,
            signal: outcome.signal,
            cause: outcome.cause,
            message: outcome.message.clone(),
            output_bytes: outcome.output_bytes,
        }
    }
}

/// Details of a job that waits for input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WaitingForInput {
    /// The time by which it was waiting at the latest; absent if its supervisor has not observed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The last line on its terminal, or the unfinished line of its output if it has no terminal, cleaned and cut to
    /// 200 characters: the question, without any part of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_line: Option<String>,
}

/// In words, with the question if it is known.
impl fmt::Display for WaitingForInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.last_line {
            Some(line) => write!(f, "waiting for input: {line}"),
            None => f.write_str("waiting for input"),
        }
    }
}

/// How input can be sent to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Input {
    /// Through a pipe, which is its standard input.
    Open,
    /// By typing on its terminal.
    Terminal,
}

impl Input {
    fn of(spec: &JobSpec) -> Option<Self> {
        match spec.terminal {
            Some(_) => Some(Self::Terminal),
            None => spec.takes_input().then_some(Self::Open),
        }
    }
}

impl JobShape {
    /// Returns the command as one line that could be typed.
    pub fn command_line(&self) -> String {
        match (&self.command, &self.argv) {
            (Some(line), _) => line.clone(),
            (None, Some(argv)) => argv.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
            (None, None) => String::new(),
        }
    }
}

/// A part of a job's output as programs get it: both streams as text, and the cursor to continue from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OutputShape {
    /// The full id.
    pub job_id: JobId,
    /// The status of the job before its output was read: if it had ended and `more` is false, the output is complete.
    pub status: Status,
    /// Standard output; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
    /// Pass this to read on from here. It is never within a character.
    pub cursor: Cursor,
    /// How many bytes of the part that was read were not kept.
    pub dropped_bytes: u64,
    /// What was left out between the beginning and the end for lack of room; absent if nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
    /// Whether there was more to read.
    pub more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{AgentRun, Format, PermissionMode, Worktree};
    use crate::output::OutputSize;
    use crate::queue::QueueReason;

    #[test]
    fn words_are_quoted_only_if_a_shell_would_split_them() {
        let quoted: Vec<_> = ["make", "-j4", "", "a b", "it's", "$HOME"].into_iter().map(quoted).collect();
        assert_eq!(quoted, ["make", "-j4", "''", "'a b'", r"'it'\''s'", "'$HOME'"]);
    }
    /// The shape is an interface: fields in the golden file stay as they are; new ones may be added.
    #[test]
    fn the_golden_file_pins_the_shape() {
        use crate::Outcome;
        use crate::state::Run;
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let id: JobId = "01a1fdae-f732-79d8-863c-36d74826f0c8".parse().unwrap();
        let submitted_at = at("2026-11-21T10:00:00Z");
        let job = |spec: JobSpec, state, pid, output| Job {
            pid,
            held: true,
            output,
            ..Job::sample(id, submitted_at, spec, state)
        };
        let shell = || {
            JobSpec::shell("make && make test")
                .cwd("/src")
                .label("branch", "main")
                .name("tests".parse().unwrap())
                .group("web".parse().unwrap())
                .caller("codex:019a5c2f".parse().unwrap())
                .project("/src")
                .build()
                .unwrap()
        };
        let argv = || JobSpec::command(["sleep", "9"]).build().unwrap();
        let started_at = Some(at("2026-11-21T10:00:01Z"));
        let mut outcome = Outcome::new(Cause::Stopped, at("2026-11-21T10:00:03.5Z"));
        outcome.exit_code = Some(3);
        outcome.signal = Some(Signal::TERM);
        outcome.core_dumped = true;
        outcome.stopped_by = Some("jobcli, process 7".to_owned());
        outcome.cpu_ms = Some(1200);
        outcome.peak_rss_bytes = Some(4096);
        outcome.stragglers = 2;
        outcome.survivors = vec![Survivor::new(9, "sudo".to_owned(), "another user's".to_owned())];
        outcome.message = Some("all that can be said".to_owned());
        let run = |supervised| Run { started_at, supervised };
        let jobs = [
            job(shell(), State::Queued, None, OutputSize::default()),
            job(argv(), State::Running(run(true)), Some(7), OutputSize::new(10, 0)),
            job(argv(), State::Running(run(false)), Some(7), OutputSize::new(10, 0)),
            job(shell(), State::Ended(crate::state::End { started_at, outcome }), None, OutputSize::new(10, 4)),
        ];
        let mut shapes = jobs.map(|job| job.shape(at("2026-11-21T10:00:02Z")));
        shapes[2].stalled_since = started_at;
        let reason = QueueReason::GroupLimit { group: "web".parse().unwrap(), running: 4, limit: 4 };
        shapes[1].waiting_for_input =
            Some(WaitingForInput { since: started_at, last_line: Some("Overwrite? [y/N]".to_owned()) });
        shapes[0].queued = Some(InQueue { reason, position: Some(2), since: at("2026-11-21T10:00:00Z") });
        let mut run = AgentRun::new("claude", Format::Claude, PermissionMode::Edit, "Fix it.");
        run.effort = Some("high".to_owned());
        run.resumes = Some("bce1b187".to_owned());
        run.worktree = Some(Worktree::new("/src".into(), "/src-worktrees/fix".into(), "jobcore/fix"));
        let digest = serde_json::json!({ "success": true, "result": "Done.", "session_id": "bce1b187", "turns": 3,
            "denials": 1, "denied": [{ "tool": "Write", "what": "/etc/hosts" }], "results": 1, "cost_usd": 0.25,
            "usage": { "input_tokens": 100 } });
        let digest = serde_json::from_value(digest).unwrap();
        shapes[3].agent = Some(Box::new(AgentShape::new(&run, Status::Completed, digest, None)));
        let json = serde_json::to_string_pretty(&shapes).unwrap() + "\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/job_shapes.json");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, &json).unwrap();
        }
        assert_eq!(json, std::fs::read_to_string(path).unwrap());
        assert_eq!(serde_json::from_str::<Vec<JobShape>>(&json).unwrap(), shapes);
    }
}
