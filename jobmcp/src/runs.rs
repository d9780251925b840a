//! Agent runs as models read them: their progress and result, instead of the output of the agent's CLI.

use std::time::Duration;

use jobcore::Job;
use jobcore::agent::{AgentShape, Progress};
use jobcore::front::agents;
use jobcore::front::agents::Permit;
use jobcore::shape::JobShape;
use jobcore::units::short_duration;
use jobcore::words::counted;
use serde_json::{Value, json};

use crate::server::Server;
use crate::text::{self, LARGEST};

/// The longest line about a run, in characters: an error may be long.
const LINE: usize = 1_000;
/// How many lines are shown of a run without an answer.
const LAST_LINES: u64 = 20;
/// How many bytes of an answer are shown at least, and how many in fields.
const LEAST: usize = 300;
const IN_FIELDS: usize = 1_000;
/// How many bytes are reserved for the note between the beginning and the end of an answer.
const NOTE: usize = 250;

/// An agent run in its current state.
pub(crate) struct Run<'a> {
    server: &'a Server,
    job: &'a Job,
    shape: JobShape,
    pub(crate) agent: AgentShape,
}

impl<'a> Run<'a> {
    /// Returns the run, or nothing if the job is not an agent run.
    pub(crate) async fn of(server: &'a Server, job: &'a Job) -> jobcore::Result<Option<Self>> {
        let mut shape = server.jobs().report(job).await?;
        let Some(mut agent) = shape.agent.take() else { return Ok(None) };
        if job.status().is_final() {
            // Not every CLI reports its duration.
            agent.digest.duration_ms = agent.digest.duration_ms.or(shape.duration_ms);
        }
        Ok(Some(Self { server, job, shape, agent: *agent }))
    }

    /// Returns the progress of the run, or how it ended: `succeeded (3 turns, 12s, $0.02)`.
    pub(crate) fn line(&self) -> String {
        text::cut(&self.described(), LINE)
    }

    /// Returns a sentence on what the run waits for, if it is queued until another job ends.
    pub(crate) fn when_due(&self) -> &'static str {
        text::when_due(&self.shape)
    }

    fn described(&self) -> String {
        let line = agents::line(&self.agent);
        match &self.shape.queued {
            Some(queued) => format!("{line}: {queued}"),
            None => line,
        }
    }

    /// Returns the prompt and the progress, shortened for a list.
    pub(crate) fn row(&self) -> (String, String) {
        (text::cut(&text::one_line(&self.agent.prompt), 80), text::cut(&self.described(), 120))
    }

    /// Returns everything but the answer: the job, its progress, its worktree, and what it was denied.
    pub(crate) fn head(&self) -> String {
        let line = self.line();
        let mut head = format!("Job {}, {}: {}.", text::name(self.job), self.agent.agent, line.trim_end_matches('.'));
        let mut say = |sentence: String| {
            head.push(' ');
            head.push_str(&sentence);
        };
        if !self.job.status().is_final() && self.agent.progress != Progress::Queued {
            let time = short_duration(Duration::from_millis(self.shape.duration_ms.unwrap_or_default()));
            say(format!("It has run for {time}."));
        }
        if let Some(who) = &self.shape.stopped_by {
            say(format!("It was stopped by {who}."));
        }
        if let Some(message) = &self.shape.message {
            say(format!("The job: {}.", text::cut(message, LEAST)));
        }
        if let Some(worktree) = &self.agent.worktree {
            say(format!("Its work is in `{}`, branch `{}`.", worktree.path.display(), worktree.branch));
        }
        if let Some(denied) = agents::denied(&self.agent) {
            say(format!("It was {denied}."));
            if let Some(call) = self.permitting().filter(|_| self.job.status().is_final()) {
                say(format!("To continue: {call}"));
            }
        }
        head
    }

    /// Returns the call that continues the run with the missing permissions; nothing if it was denied nothing.
    fn permitting(&self) -> Option<String> {
        let Permit { tools, directories, mode } = agents::to_permit(&self.agent, &self.job.spec.cwd)?;
        let permits = [
            (!tools.is_empty()).then(|| format!(r#""allow_tools": {}"#, json!(tools))),
            (!directories.is_empty()).then(|| format!(r#""add_dirs": {}"#, json!(directories))),
            mode.map(|mode| format!(r#""permission_mode": "{mode}""#)),
        ];
        let permits = permits.into_iter().flatten().collect::<Vec<_>>().join(", ");
        Some(format!(r#"delegate {{"resume": "{}", {permits}, "prompt": "Go on."}}"#, self.job.id.short()))
    }

    /// Returns whether there is an answer, or there will be none.
    pub(crate) fn has_ended(&self) -> bool {
        self.job.status().is_final() || self.agent.progress == Progress::Answered
    }

    /// Returns the head, followed by the answer, or by the last steps of a run that ended without one, in about
    /// `budget` bytes. `next` is what to call next.
    pub(crate) async fn told(&self, next: &str, budget: u64) -> jobcore::Result<String> {
        let head = self.head() + next;
        let room = usize::try_from(budget).unwrap_or(usize::MAX).saturating_sub(head.len()).max(LEAST);
        if !self.has_ended() {
            return Ok(head);
        }
        let body = match &self.agent.digest.result {
            Some(answer) if answer.trim().is_empty() => return Ok(format!("{head} Its answer is empty.")),
            Some(answer) => self.excerpt(answer, room),
            None => self.last_lines(LAST_LINES, room).await?,
        };
        Ok(match (body.is_empty(), &self.agent.digest.result) {
            (true, _) => head,
            (false, Some(_)) => format!("{head}\n\n{body}"),
            (false, None) => format!("{head} What it did last:\n\n{body}"),
        })
    }

    /// Returns the last lines of the account of the run.
    pub(crate) async fn last_lines(&self, lines: u64, room: usize) -> jobcore::Result<String> {
        let Some(run) = &self.job.agent_run() else { return Ok(String::new()) };
        let last = agents::last_lines(self.server.jobs(), self.job, run, lines).await?;
        Ok(text::end(last.trim_end(), room).to_owned())
    }

    /// Returns an answer, or the beginning and the end of a long one with the call that returns the rest.
    fn excerpt(&self, answer: &str, room: usize) -> String {
        let gone = usize::try_from(self.agent.digest.result_cut_bytes).unwrap_or(usize::MAX);
        let (start, end) = match answer.len() <= room {
            true => (answer.len(), answer.len()),
            false => {
                let half = room.saturating_sub(NOTE) / 2;
                (answer.floor_char_boundary(half), answer.ceil_char_boundary(answer.len() - half))
            }
        };
        let left_out = end - start + gone;
        if left_out == 0 {
            return answer.to_owned();
        }
        let id = self.job.id.short();
        let more = format!(r#"output {{"job_id": "{id}", "max_bytes": {LARGEST}}}"#);
        let all = format!(r#"output {{"job_id": "{id}", "raw": true, "cursor": 0}}"#);
        let largest = usize::try_from(LARGEST).unwrap_or(usize::MAX);
        let calls = match answer.len() + gone + LINE < largest {
            true => format!("{more} returns them"),
            false if room < largest / 2 => format!("{more} returns more of it, {all} the complete stream"),
            false => format!("{all} returns the complete stream"),
        };
        format!(
            "{}\n\n[{} left out here; {calls}]\n\n{}",
            answer[..start].trim_end(),
            counted(left_out, "byte of the answer is", "bytes of the answer are"),
            answer[end..].trim_start()
        )
    }

    /// Returns the fields that matter to models, as text.
    pub(crate) fn lines(&self) -> String {
        let mut lines = vec![
            format!("agent: {}: {}", self.agent.agent, self.line()),
            format!("prompt: {}", text::cut(&text::one_line(&self.agent.prompt), LEAST)),
            format!("permission_mode: {}", self.agent.permission_mode),
        ];
        if let Some(worktree) = &self.agent.worktree {
            lines.push(format!("worktree: {}, branch {}", worktree.path.display(), worktree.branch));
        }
        lines.extend(agents::denied(&self.agent));
        if let Some(answer) = &self.agent.digest.result {
            lines.push(format!("result:\n{}", text::cut(answer.trim(), IN_FIELDS)));
        }
        lines.join("\n")
    }

    /// Returns the run as fields, with long values cut.
    pub(crate) fn fields(&self) -> Value {
        let mut agent = self.agent.clone();
        let digest = &mut agent.digest;
        if let Some(answer) = digest.result.take() {
            let kept = answer.floor_char_boundary(IN_FIELDS);
            digest.result_cut_bytes += (answer.len() - kept) as u64;
            digest.result = Some(answer[..kept].to_owned());
        }
        let structured = digest.structured.take().map(|value| (value.to_string().len(), value));
        match structured {
            Some((length, value)) if length <= IN_FIELDS => digest.structured = Some(value),
            Some((length, _)) => digest.structured_cut_bytes = length as u64,
            None => {}
        }
        json!(agent)
    }
}
