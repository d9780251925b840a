//! opencode, `opencode run`.

use super::{Adapter, Invocation, no_way_for};
use crate::agent::{Delegation, Format, PermissionMode};
use crate::error::Result;

pub(super) const ADAPTER: Adapter = Adapter {
    name: "opencode",
    title: "opencode",
    install: "npm install --global opencode-ai",
    format: Format::Opencode,
    stop_signal: None,
    is_session: |text| text.starts_with("ses_"),
    stays_where_it_was: true,
    invocation,
    obstacle: |_| None,
};

fn invocation(asked: &Delegation) -> Result<Invocation> {
    let reason = "opencode has no flag for it; `steps` of an agent in opencode.json limits them";
    no_way_for("max turns", asked.max_turns.is_some(), reason)?;
    no_way_for("max budget", asked.max_budget_usd.is_some(), "opencode cannot limit it; use a timeout instead")?;
    let reason = "opencode has no flag for it; use another permission mode";
    no_way_for("allow tool", !asked.allow_tools.is_empty(), reason)?;
    let reason = "opencode has no flag for it; `external_directory` in opencode.json permits directories";
    no_way_for("add dir", !asked.add_dirs.is_empty(), reason)?;
    no_way_for("session id", asked.session_id.is_some(), "opencode chooses it; leave it out")?;
    let reason = "opencode has no flag for it; put it into the prompt, or into AGENTS.md";
    no_way_for("system prompt", asked.system_prompt.is_some(), reason)?;
    no_way_for("schema", asked.schema.is_some(), "opencode has no flag for it; put it into the prompt")?;
    let mut arguments = vec!["--format=json".to_owned()];
    let permission = match asked.permission_mode {
        // Commands cannot be confined to a directory. A permission that is neither allowed nor denied would end the
        // run.
        PermissionMode::ReadOnly => Some(r#"{"edit":"deny","bash":"deny","external_directory":"deny","task":"deny"}"#),
        PermissionMode::Edit => Some(r#"{"edit":"allow","bash":"deny","external_directory":"deny"}"#),
        PermissionMode::Full => {
            arguments.push("--auto".to_owned());
            None
        }
    };
    arguments.extend(asked.model.iter().map(|model| format!("--model={model}")));
    arguments.extend(asked.effort.iter().map(|effort| format!("--variant={effort}")));
    arguments.extend(asked.resume.iter().map(|session| format!("--session={session}")));
    Ok(Invocation {
        first: vec!["run".to_owned()],
        arguments,
        input: Some(asked.prompt.clone()),
        environment: permission.map(|permission| ("OPENCODE_PERMISSION", permission.to_owned())).into_iter().collect(),
    })
}
