//! Runs of agents in words, for people and for models.

use std::time::Duration;

use jobcore::agent::{
    AgentRun, AgentShape, Agents, Delegation, Denial, Format, PermissionMode, Progress, Transcript, Usage,
};
use jobcore::output::{OutputChunk, OutputQuery, Piece, Position, Stream};
use jobcore::spec::Environment;
use jobcore::{Job, JobManager};

pub use jobcore::agent::dollars;

use crate::ui;

/// How many calls are named that were not permitted.
const NAMED: usize = 3;
/// How much of the end of a run is looked at for its last lines, in bytes.
const TAIL: u64 = 1024 * 1024;

/// Returns what stands for the command of a run in a table.
pub fn row(agent: &AgentShape) -> String {
    format!("{}: {}; {}", agent.agent, ui::one_line(&agent.prompt, Some(60)), line(agent))
}

/// Returns in one line how far a run is, or how it ended: `working: Bash: cargo test (3 turns, 2 retries)`.
pub fn line(agent: &AgentShape) -> String {
    let digest = &agent.digest;
    let word = agent.progress.as_str().replace('_', " ");
    let mut line = match agent.progress {
        Progress::Working => match &digest.activity {
            Some(activity) => format!("{word}: {activity}"),
            None => word,
        },
        Progress::Answered => match digest.background {
            0 => "answered, about to end".to_owned(),
            1 => "answered, and waits for 1 task in the background".to_owned(),
            tasks => format!("answered, and waits for {tasks} tasks in the background"),
        },
        _ => word,
    };
    let figures = figures(agent);
    if !figures.is_empty() {
        line.push_str(&format!(" ({})", figures.join(", ")));
    }
    if let Some(error) = digest.error.as_ref().filter(|_| agent.progress != Progress::Succeeded) {
        let status = error.http_status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
        line.push_str(&format!(": {}{status}", ui::one_line(&error.message, None)));
    }
    line
}

fn figures(agent: &AgentShape) -> Vec<String> {
    let digest = &agent.digest;
    let at_least = |name: &str| if digest.lower_bounds.contains(name) { "at least " } else { "" };
    let count = |name: &str, count: u64, one: &str, many: &str| match count {
        0 => None,
        1 => Some(format!("{}1 {one}", at_least(name))),
        count => Some(format!("{}{count} {many}", at_least(name))),
    };
    [
        count("turns", digest.turns.unwrap_or(0), "turn", "turns"),
        count("retries", digest.retries, "retry", "retries"),
        count("denials", digest.denials, "call denied", "calls denied"),
        digest.duration_ms.map(|ms| ui::short_duration(Duration::from_millis(ms))),
        digest.cost_usd.map(|cost| format!("{}{}", at_least("cost_usd"), dollars(cost))),
        digest.incomplete.then(|| "a part of its output is gone".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Returns tokens as `1,200 in, 300 out`, with what was read from a cache and written to one.
pub fn tokens(usage: &Usage) -> String {
    let part = |count: Option<u64>, what: &str| count.map(|count| format!("{} {what}", grouped(count)));
    let parts = [
        part(usage.input_tokens, "in"),
        part(usage.output_tokens, "out"),
        part(usage.cache_read_tokens, "cache read"),
        part(usage.cache_write_tokens, "cache write"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns in one line what was not permitted; nothing if all was.
pub fn denied(agent: &AgentShape) -> Option<String> {
    let digest = &agent.digest;
    if digest.denials == 0 {
        return None;
    }
    let named: Vec<_> = digest.denied.iter().take(NAMED).map(described).collect();
    let named_count = u64::try_from(named.len()).unwrap_or(u64::MAX);
    let rest = match digest.denials.saturating_sub(named_count) {
        0 => String::new(),
        rest => format!(" and {rest} more"),
    };
    Some(format!("not permitted: {}{rest}", named.join("; ")))
}

fn described(denial: &Denial) -> String {
    let what = ui::one_line(&denial.what, Some(80));
    if what.is_empty() { denial.tool.clone() } else { format!("{} `{what}`", denial.tool) }
}

/// What lets a run go on that was not permitted something.
#[derive(Debug, PartialEq, Eq)]
pub enum Permit {
    /// That it may use these tools.
    Tools(Vec<String>),
    /// That it may do more.
    Mode(PermissionMode),
}

/// Returns what would permit what was not; nothing if nothing would.
pub fn to_permit(agent: &AgentShape) -> Option<Permit> {
    let tools = to_allow(agent);
    let mut asked = Delegation::new("Go on.", "/");
    asked.allow_tools = tools.clone();
    // One that the settings declare can be permitted no single tool.
    let known = Agents::default();
    let takes_tools = known.get(&agent.agent).is_ok_and(|known| known.spec(&asked, Environment::default()).is_ok());
    match agent.permission_mode {
        _ if takes_tools && !tools.is_empty() => Some(Permit::Tools(tools)),
        PermissionMode::ReadOnly => Some(Permit::Mode(PermissionMode::Edit)),
        PermissionMode::Edit => Some(Permit::Mode(PermissionMode::Full)),
        PermissionMode::Full => None,
    }
}

/// Returns the tools whose use was not permitted, each once, as they could be permitted.
pub fn to_allow(agent: &AgentShape) -> Vec<String> {
    let mut tools: Vec<String> = Vec::new();
    for denial in &agent.digest.denied {
        if !denial.tool.is_empty() && !tools.contains(&denial.tool) {
            tools.push(denial.tool.clone());
        }
    }
    tools
}

/// Returns the run of an agent that the job is, if its output is not what people want to read.
pub fn told_run(job: &Job) -> Option<&AgentRun> {
    job.spec.agent.as_ref().filter(|run| run.format != Format::Text)
}

/// Returns the last lines of what an agent did.
///
/// # Errors
/// As [`JobManager::output`].
pub async fn last_lines(jobs: &JobManager, job: &Job, run: &AgentRun, lines: u64) -> jobcore::Result<String> {
    let mut transcript = Transcript::new(run.format);
    let mut query = OutputQuery::from(Position::TailBytes(TAIL)).with_stream(Some(Stream::Stdout));
    let mut text = String::new();
    loop {
        let chunk = jobs.output(job.id, &query).await?;
        if text.is_empty()
            && chunk.pieces.first().is_some_and(|piece| matches!(piece, Piece::Data { offset, .. } if *offset > 0))
        {
            // What was written before is left out, and is nobody's loss.
            transcript.gap();
        }
        text.push_str(&feed(&mut transcript, &chunk));
        query = query.behind(&chunk);
        if !chunk.more {
            break;
        }
    }
    text.push_str(&transcript.end());
    let count = text.lines().count();
    let skipped = count.saturating_sub(usize::try_from(lines).unwrap_or(usize::MAX));
    Ok(text.lines().skip(skipped).map(|line| format!("{line}\n")).collect())
}

/// Returns what there is to tell of this part of an agent's output.
pub fn feed(transcript: &mut Transcript, chunk: &OutputChunk) -> String {
    let mut text = String::new();
    for piece in &chunk.pieces {
        match piece {
            Piece::Data { bytes, .. } => text.push_str(&transcript.feed(bytes)),
            Piece::Gap { .. } => text.push_str(&transcript.gap()),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use jobcore::agent::{AgentRun, Digest, Format};
    use jobcore::{PermissionMode, Status};
    use serde_json::json;

    use super::*;

    fn agent(status: Status, digest: serde_json::Value) -> AgentShape {
        let run = AgentRun::new("claude", Format::Claude, PermissionMode::Edit, "Fix it.");
        let digest: Digest = serde_json::from_value(digest).unwrap();
        AgentShape::new(&run, status, digest, None)
    }

    #[test]
    fn a_run_is_told_in_one_line() {
        for (status, digest, expected) in [
            (Status::Queued, json!({}), "queued"),
            (Status::Running, json!({}), "starting"),
            (
                Status::Running,
                json!({ "activity": "Bash: cargo test", "turns": 3, "retries": 1 }),
                "working: Bash: cargo test (3 turns, 1 retry)",
            ),
            (
                Status::Running,
                json!({ "success": true, "background": 2 }),
                "answered, and waits for 2 tasks in the background",
            ),
            (
                Status::Completed,
                json!({ "success": true, "turns": 1, "duration_ms": 12_300, "cost_usd": 0.0191, "denials": 2 }),
                "succeeded (1 turn, 2 calls denied, 12s, $0.02)",
            ),
            (
                Status::Failed,
                json!({ "success": false, "error": { "message": "bad\nrequest", "http_status": 400 }, "cost_usd": 0.0009,
                    "lower_bounds": ["cost_usd"], "incomplete": true }),
                "failed (at least $0.0009, a part of its output is gone): bad⏎request (HTTP 400)",
            ),
            (Status::TimedOut, json!({}), "timed out"),
        ] {
            assert_eq!(line(&agent(status, digest)), expected);
        }
    }

    #[test]
    fn what_was_not_permitted_is_named() {
        let denied_calls = json!([
            { "tool": "Write", "what": "out.txt" }, { "tool": "Bash", "what": "npm i" }, { "tool": "Write" },
        ]);
        let agent = agent(Status::Completed, json!({ "success": true, "denials": 5, "denied": denied_calls }));
        assert_eq!(denied(&agent).unwrap(), "not permitted: Write `out.txt`; Bash `npm i`; Write and 2 more");
        assert_eq!(to_allow(&agent), ["Write", "Bash"]);
    }

    #[test]
    fn what_lets_a_run_go_on_is_what_its_agent_takes() {
        let digest = json!({ "success": true, "denials": 2, "denied": [{ "tool": "bash" }, { "tool": "" }] });
        for (name, mode, expected) in [
            ("claude", PermissionMode::ReadOnly, Some(Permit::Tools(vec!["bash".to_owned()]))),
            ("opencode", PermissionMode::ReadOnly, Some(Permit::Mode(PermissionMode::Edit))),
            ("opencode", PermissionMode::Edit, Some(Permit::Mode(PermissionMode::Full))),
            ("codex", PermissionMode::Full, None),
            ("declared", PermissionMode::Edit, Some(Permit::Mode(PermissionMode::Full))),
        ] {
            let mut agent = agent(Status::Completed, digest.clone());
            (agent.agent, agent.permission_mode) = (name.to_owned(), mode);
            assert_eq!(to_permit(&agent), expected, "{name} {mode}");
        }
    }

    #[test]
    fn tokens_are_grouped() {
        let usage: Usage = serde_json::from_value(json!({ "input_tokens": 1_234_567, "output_tokens": 30 })).unwrap();
        assert_eq!(tokens(&usage), "1,234,567 in, 30 out");
    }
}
