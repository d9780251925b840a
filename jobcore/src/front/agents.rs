//! Descriptions of agent runs, for people and for models.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::text::fit;
use crate::agent::{
    AgentRun, AgentShape, Agents, Delegation, Denial, Format, PermissionMode, Progress, Transcript, Usage, dollars,
};
use crate::environment::Environment;
use crate::escape::one_line;
use crate::output::{OutputChunk, OutputQuery, Piece, Position, Stream};
use crate::units::short_duration;
use crate::words::counted;
use crate::{Job, JobManager};

/// How many denied calls are named.
const NAMED: usize = 3;
/// How much of the end of a run is searched for its last lines, in bytes.
const TAIL: u64 = 1024 * 1024;

/// Returns the text for a run in the command column of a table.
pub fn row(agent: &AgentShape) -> String {
    format!("{}: {}; {}", agent.agent, fit(&agent.prompt, 60), line(agent))
}

/// Returns the progress of a run, or how it ended, in one line: `working: Bash: cargo test (3 turns, 2 retries)`.
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
            tasks => format!("answered, waiting for {}", counted(tasks, "background task", "background tasks")),
        },
        _ => word,
    };
    let figures = figures(agent);
    if !figures.is_empty() {
        line.push_str(&format!(" ({})", figures.join(", ")));
    }
    if let Some(error) = digest.error.as_ref().filter(|_| agent.progress != Progress::Succeeded) {
        let status = error.http_status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
        line.push_str(&format!(": {}{status}", one_line(&error.message)));
    }
    line
}

fn figures(agent: &AgentShape) -> Vec<String> {
    let digest = &agent.digest;
    let at_least = |name: &str| if digest.lower_bounds.contains(name) { "at least " } else { "" };
    let of_all = |name: &str| if agent.of_conversation.contains(name) { " in the whole conversation" } else { "" };
    let count = |name: &str, count: u64, one: &str, several: &str| {
        (count > 0).then(|| format!("{}{}", at_least(name), counted(count, one, several)))
    };
    [
        count("turns", digest.turns.unwrap_or(0), "turn", "turns"),
        count("retries", digest.retries, "retry", "retries"),
        count("denials", digest.denials, "call denied", "calls denied"),
        digest.duration_ms.map(|ms| short_duration(Duration::from_millis(ms))),
        digest.cost_usd.map(|cost| format!("{}{}{}", at_least("cost_usd"), dollars(cost), of_all("cost_usd"))),
        digest.incomplete.then(|| "a part of its output is missing".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Returns token counts as `1,200 in, 300 out`, followed by what was read from and written to a cache.
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

/// Returns the denied calls in one line, or `None` if there were none.
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
    let what = fit(&denial.what, 80);
    if what.is_empty() { denial.tool.clone() } else { format!("{} `{what}`", denial.tool) }
}

/// The smallest permission that lets a run continue after denied calls.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Permit {
    /// Tools to allow.
    pub tools: Vec<String>,
    /// Directories in which its tools may work as well.
    pub directories: Vec<PathBuf>,
    /// A less restricted permission mode, if nothing smaller is enough.
    pub mode: Option<PermissionMode>,
}

/// Returns what would permit the denied calls to a run in `cwd`, or `None` if nothing would.
pub fn to_permit(agent: &AgentShape, cwd: &Path) -> Option<Permit> {
    let known = Agents::default();
    // Single tools cannot be allowed for agents that are declared in the settings.
    let takes = |permit: &Permit| {
        let mut asked = Delegation::new("Go on.", "/");
        (asked.allow_tools, asked.add_dirs) = (permit.tools.clone(), permit.directories.clone());
        known.get(&agent.agent).is_ok_and(|known| known.spec(&asked, Environment::default()).is_ok())
    };
    let mut permit = Permit::default();
    for denial in &agent.digest.denied {
        match outside(denial, cwd).filter(|_| agent.permission_mode != PermissionMode::ReadOnly) {
            Some(directory) => add(&mut permit.directories, directory),
            None if !denial.tool.is_empty() => add(&mut permit.tools, denial.tool.clone()),
            None => {}
        }
    }
    if permit == Permit::default() || !takes(&permit) {
        let mode = match agent.permission_mode {
            PermissionMode::ReadOnly => PermissionMode::Edit,
            PermissionMode::Edit => PermissionMode::Full,
            PermissionMode::Full => return None,
        };
        return Some(Permit { mode: Some(mode), ..Permit::default() });
    }
    Some(permit)
}

/// Tools whose purpose is a command, which may begin with the path of a program.
const SHELLS: [&str; 4] = ["Bash", "bash", "shell", "run_shell_command"];

/// Returns the directory of the file that a call was for, if it is outside the working directory of the run.
fn outside(denial: &Denial, cwd: &Path) -> Option<PathBuf> {
    let path = Path::new(&denial.what);
    // A path that was cut because of its length is no longer a valid path.
    let is_path = path.is_absolute() && !denial.what.ends_with('…') && !SHELLS.contains(&denial.tool.as_str());
    (is_path && !path.starts_with(cwd)).then(|| path.parent().unwrap_or(path).to_owned())
}

fn add<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// Returns the agent run of a job, if its output needs a transcript to be readable.
pub fn told_run(job: &Job) -> Option<AgentRun> {
    job.agent_run().filter(|run| run.format != Format::Text)
}

/// Returns the last lines of an agent's transcript.
///
/// # Errors
/// See [`JobManager::output`].
pub async fn last_lines(jobs: &JobManager, job: &Job, run: &AgentRun, lines: u64) -> crate::Result<String> {
    let mut transcript = Transcript::new(run.format);
    let mut query = OutputQuery::from(Position::TailBytes(TAIL)).with_stream(run.format.stream());
    let mut text = String::new();
    loop {
        let chunk = jobs.output(job.id, &query).await?;
        if text.is_empty()
            && chunk.pieces.first().is_some_and(|piece| matches!(piece, Piece::Data { offset, .. } if *offset > 0))
        {
            // Earlier output is left out on purpose.
            transcript.gap();
        }
        text.push_str(&feed(&mut transcript, &chunk));
        query = query.after(&chunk);
        if !chunk.more {
            break;
        }
    }
    text.push_str(&transcript.end());
    let count = text.lines().count();
    let skipped = count.saturating_sub(usize::try_from(lines).unwrap_or(usize::MAX));
    Ok(text.lines().skip(skipped).map(|line| format!("{line}\n")).collect())
}

/// Returns the transcript of this part of an agent's output.
pub fn feed(transcript: &mut Transcript, chunk: &OutputChunk) -> String {
    let mut text = String::new();
    for piece in &chunk.pieces {
        match piece {
            Piece::Data { stream: Stream::Stdout, bytes, .. } => text.push_str(&transcript.feed(bytes)),
            Piece::Data { stream: Stream::Stderr, bytes, .. } => text.push_str(&transcript.feed_stderr(bytes)),
            Piece::Gap { .. } => text.push_str(&transcript.gap()),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::Status;
    use crate::agent::{AgentRun, Digest, Format, PermissionMode};
    use serde_json::json;

    use super::*;

    fn agent(status: Status, digest: serde_json::Value) -> AgentShape {
        let run = AgentRun::new("claude", Format::Claude, PermissionMode::Edit, "Fix it.");
        let digest: Digest = serde_json::from_value(digest).unwrap();
        AgentShape::new(&run, status, digest, None)
    }

    #[test]
    fn a_run_is_described_in_one_line() {
        for (status, digest, expected) in [
            (Status::Queued, json!({}), "queued"),
            (Status::Running, json!({}), "starting"),
            (
                Status::Running,
                json!({ "activity": "Bash: cargo test", "turns": 3, "retries": 1 }),
                "working: Bash: cargo test (3 turns, 1 retry)",
            ),
            (Status::Running, json!({ "success": true, "background": 2 }), "answered, waiting for 2 background tasks"),
            (
                Status::Completed,
                json!({ "success": true, "turns": 1, "duration_ms": 12_300, "cost_usd": 0.0191, "denials": 2 }),
                "succeeded (1 turn, 2 calls denied, 12s, $0.02)",
            ),
            (
                Status::Failed,
                json!({ "success": false, "error": { "message": "bad\nrequest", "http_status": 400 }, "cost_usd": 0.0009,
                    "lower_bounds": ["cost_usd"], "incomplete": true }),
                "failed (at least $0.0009, a part of its output is missing): bad⏎request (HTTP 400)",
            ),
            (Status::TimedOut, json!({}), "timed out"),
        ] {
            assert_eq!(line(&agent(status, digest)), expected);
        }
    }

    #[test]
    fn denied_calls_are_named() {
        let denied_calls = json!([
            { "tool": "Write", "what": "out.txt" }, { "tool": "Bash", "what": "npm i" }, { "tool": "Write" },
        ]);
        let agent = agent(Status::Completed, json!({ "success": true, "denials": 5, "denied": denied_calls }));
        assert_eq!(denied(&agent).unwrap(), "not permitted: Write `out.txt`; Bash `npm i`; Write and 2 more");
        let tools = to_permit(&agent, Path::new("/work")).unwrap().tools;
        assert_eq!(tools, ["Write", "Bash"]);
    }

    #[test]
    fn a_permit_is_the_smallest_that_the_agent_supports() {
        use PermissionMode::{Edit, Full, ReadOnly};
        let tools = |tools: &[&str]| Permit {
            tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
            ..Permit::default()
        };
        let directories =
            |paths: &[&str]| Permit { directories: paths.iter().map(PathBuf::from).collect(), ..Permit::default() };
        let mode = |mode| Permit { mode: Some(mode), ..Permit::default() };
        let shell = json!([{ "tool": "bash", "what": "/bin/ls" }, { "tool": "" }]);
        let outside = json!([
            { "tool": "Write", "what": "/etc/app/a.conf" }, { "tool": "Edit", "what": "/etc/app/b.conf" },
            { "tool": "Write", "what": "/workshop/c" },
        ]);
        let mixed = json!([{ "tool": "Write", "what": "/etc/a" }, { "tool": "Write", "what": "/work/b" }]);
        for (name, own_mode, denied, expected) in [
            ("claude", ReadOnly, &shell, Some(tools(&["bash"]))),
            ("opencode", ReadOnly, &shell, Some(mode(Edit))),
            ("opencode", Edit, &shell, Some(mode(Full))),
            ("codex", Full, &shell, None),
            ("declared", Edit, &shell, Some(mode(Full))),
            ("claude", Edit, &outside, Some(directories(&["/etc/app", "/workshop"]))),
            ("gemini", Full, &outside, Some(directories(&["/etc/app", "/workshop"]))),
            ("opencode", Edit, &outside, Some(mode(Full))),
            // A directory would not be enough to change files in it.
            ("claude", ReadOnly, &outside, Some(tools(&["Write", "Edit"]))),
            ("claude", Edit, &mixed, Some(Permit { directories: vec!["/etc".into()], ..tools(&["Write"]) })),
        ] {
            let mut agent = agent(Status::Completed, json!({ "success": true, "denials": 2, "denied": denied }));
            (agent.agent, agent.permission_mode) = (name.to_owned(), own_mode);
            assert_eq!(to_permit(&agent, Path::new("/work")), expected, "{name} {own_mode} {denied}");
        }
    }

    #[test]
    fn the_cost_of_a_conversation_is_not_shown_as_that_of_a_run() {
        let mut agent = agent(Status::Completed, json!({ "success": true, "turns": 1, "cost_usd": 0.0019 }));
        agent.of_conversation = ["cost_usd".to_owned()].into();
        assert_eq!(line(&agent), "succeeded (1 turn, $0.0019 in the whole conversation)");
    }

    #[test]
    fn tokens_are_grouped() {
        let usage: Usage = serde_json::from_value(json!({ "input_tokens": 1_234_567, "output_tokens": 30 })).unwrap();
        assert_eq!(tokens(&usage), "1,234,567 in, 30 out");
    }
}
