//! Claude Code, `claude --print`.

use std::fs;
use std::path::Path;

use super::{Adapter, Invocation, Place, is_uuid, mentions};
use crate::agent::{Delegation, Format, PermissionMode, Schema};
use crate::error::{Error, Result};
use crate::signal::Signal;

pub(super) const ADAPTER: Adapter = Adapter {
    name: "claude",
    title: "Claude Code",
    install: "npm install --global @anthropic-ai/claude-code",
    format: Format::Claude,
    // On SIGINT it stops its tools, and reports what the run has cost.
    stop_signal: Some(Signal::INT),
    is_session: is_uuid,
    stays_where_it_was: false,
    invocation,
    obstacle,
};

/// The maximum number of bytes that it reads from standard input.
const LONGEST: usize = 10 * 1024 * 1024;

/// Its tools that change nothing. The last one finds others, including those of MCP servers.
const LOOKING: [&str; 6] = ["Read", "Grep", "Glob", "WebFetch", "WebSearch", "ToolSearch"];

/// Efforts that it accepts. It replaces any other word with only a warning, so others are refused here.
const EFFORTS: [&str; 6] = ["low", "medium", "high", "xhigh", "max", "ultracode"];

fn invocation(asked: &Delegation) -> Result<Invocation> {
    let mut arguments: Vec<String> = ["--print", "--output-format=stream-json", "--verbose"].map(str::to_owned).into();
    // Always with `=`: a separate value may be taken for a flag, or for the next of several values.
    let mut say = |flag: &str, value: &str| arguments.push(format!("--{flag}={value}"));
    match asked.permission_mode {
        PermissionMode::ReadOnly => {
            say("permission-mode", "dontAsk");
            // No rule in the user's settings can permit a tool that does not exist.
            say("tools", &tools(&asked.allow_tools));
        }
        PermissionMode::Edit => say("permission-mode", "acceptEdits"),
        PermissionMode::Full => say("permission-mode", "bypassPermissions"),
    }
    for tool in &asked.allow_tools {
        say("allowedTools", tool);
    }
    for directory in &asked.add_dirs {
        say("add-dir", &directory.display().to_string());
    }
    if let Some(model) = &asked.model {
        say("model", model);
    }
    match asked.effort.as_deref() {
        None => {}
        Some("ultracode") => {
            say("effort", "xhigh");
            say("settings", r#"{"ultracode":true}"#);
        }
        Some(effort) if EFFORTS.contains(&effort) => say("effort", effort),
        Some(effort) => {
            let reason = format!("`{effort}` is not an effort of Claude Code; use one of {}", EFFORTS.join(", "));
            return Err(Error::InvalidSpec { field: "effort", reason });
        }
    }
    if let Some(turns) = asked.max_turns {
        say("max-turns", &turns.to_string());
    }
    if let Some(budget) = asked.max_budget_usd {
        say("max-budget-usd", &budget.to_string());
    }
    if let Some(session) = &asked.resume {
        say("resume", session);
    }
    if let Some(id) = &asked.session_id {
        if !is_uuid(id) {
            let reason = format!("`{id}` is not a UUID, which Claude Code requires");
            return Err(Error::InvalidSpec { field: "session id", reason });
        }
        say("session-id", id);
    }
    if let Some(prompt) = &asked.system_prompt {
        say("append-system-prompt", prompt);
    }
    if let Some(schema) = &asked.schema {
        say("json-schema", &text(schema)?);
    }
    Ok(Invocation { arguments, input: Some(input(&asked.prompt)?), ..Invocation::default() })
}

/// Returns the tools that exist in read-only mode: those that change nothing, and those that the caller names.
fn tools(allowed: &[String]) -> String {
    let named =
        allowed.iter().map(|rule| rule.split('(').next().unwrap_or(rule)).filter(|tool| !tool.starts_with("mcp__"));
    LOOKING.into_iter().chain(named).collect::<Vec<_>>().join(",")
}

/// Returns its input. A slash at the very beginning would make the prompt a command of the CLI itself.
fn input(prompt: &str) -> Result<String> {
    let input = format!("{}{prompt}", if prompt.starts_with('/') { "\n" } else { "" });
    if input.len() > LONGEST {
        let reason =
            format!("{} bytes, but Claude Code accepts {LONGEST}; put it into a file and name the file", prompt.len());
        return Err(Error::InvalidSpec { field: "prompt", reason });
    }
    Ok(input)
}

fn text(schema: &Schema) -> Result<String> {
    match schema {
        Schema::Json(schema) => Ok(schema.to_string()),
        Schema::File(path) => fs::read_to_string(path).map_err(Error::io("read", path)),
    }
}

fn obstacle(place: &Place<'_>) -> Option<String> {
    let is_sandbox = place.environment.get("IS_SANDBOX").is_some_and(|value| value == "1");
    if place.asked.permission_mode == PermissionMode::Full && place.is_root && !is_sandbox {
        let reason = "it refuses full permissions as root; use another permission mode or another user, or set \
                      IS_SANDBOX=1 in a sandbox";
        return Some(reason.to_owned());
    }
    // There are too many ways to log in to know them all: anything that looks like one counts.
    let is_said = |name: &str| name.starts_with("ANTHROPIC_") || name.starts_with("CLAUDE_CODE_");
    if place.environment.iter().any(|(name, _)| is_said(&name.to_string_lossy())) {
        return None;
    }
    let directory = place.directory("CLAUDE_CONFIG_DIR", ".claude")?;
    let credentials = directory.join(".credentials.json");
    let own = place.directory("CLAUDE_CONFIG_DIR", "")?.join(".claude.json");
    let project = place.asked.cwd.join(".claude");
    let settings = [
        directory.join("settings.json"),
        project.join("settings.json"),
        project.join("settings.local.json"),
        Path::new("/etc/claude-code/managed-settings.json").to_owned(),
    ];
    let words = ["apiKeyHelper", "ANTHROPIC_", "CLAUDE_CODE_"];
    let is_logged_in = place.has_own_arguments
        || credentials.exists()
        || mentions(&own, &["primaryApiKey"])
        || settings.iter().any(|settings| mentions(settings, &words))
        || crate::sys::user::HAS_KEYCHAIN;
    (!is_logged_in).then(|| {
        format!(
            "it is not logged in: neither `{}` nor ANTHROPIC_API_KEY exists; start `claude` and log in, or set that \
             variable",
            credentials.display()
        )
    })
}
