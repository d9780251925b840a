//! Gemini CLI.

use super::{Adapter, Invocation, is_uuid, no_way_for};
use crate::agent::{Delegation, Format, PermissionMode};
use crate::error::Result;

pub(super) const ADAPTER: Adapter = Adapter {
    name: "gemini",
    title: "Gemini CLI",
    install: "npm install --global @google/gemini-cli",
    format: Format::Gemini,
    stop_signal: None,
    is_session: is_uuid,
    stays_where_it_was: true,
    invocation,
    obstacle: |_| None,
};

fn invocation(asked: &Delegation) -> Result<Invocation> {
    no_way_for("effort", asked.effort.is_some(), "Gemini CLI has no such setting; choose a model")?;
    let reason = "Gemini CLI has no flag for it; `model.maxSessionTurns` in its settings limits them";
    no_way_for("max turns", asked.max_turns.is_some(), reason)?;
    no_way_for(
        "max budget",
        asked.max_budget_usd.is_some(),
        "Gemini CLI does not know its cost; use a timeout instead",
    )?;
    let reason = "Gemini CLI has no flag for it; put it into the prompt, or into GEMINI.md";
    no_way_for("system prompt", asked.system_prompt.is_some(), reason)?;
    no_way_for("schema", asked.schema.is_some(), "Gemini CLI has no flag for it; put it into the prompt")?;
    let mut arguments: Vec<String> = ["--skip-trust", "--output-format=stream-json"].map(str::to_owned).into();
    let mut say = |flag: &str, value: &str| arguments.push(format!("--{flag}={value}"));
    let mode = match asked.permission_mode {
        // In this mode, tools that would need approval do not exist.
        PermissionMode::ReadOnly => "default",
        PermissionMode::Edit => "auto_edit",
        PermissionMode::Full => "yolo",
    };
    say("approval-mode", mode);
    for tool in &asked.allow_tools {
        say("allowed-tools", tool);
    }
    for directory in &asked.add_dirs {
        say("include-directories", &directory.display().to_string());
    }
    if let Some(model) = &asked.model {
        say("model", model);
    }
    if let Some(session) = &asked.resume {
        say("resume", session);
    }
    if let Some(id) = &asked.session_id {
        say("session-id", id);
    }
    Ok(Invocation {
        arguments,
        input: Some(asked.prompt.clone()),
        // Otherwise it restarts itself, and the first of the two processes ignores signals.
        environment: vec![("GEMINI_CLI_NO_RELAUNCH", "true".to_owned())],
        ..Invocation::default()
    })
}
