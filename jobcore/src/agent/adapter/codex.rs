//! Codex, `codex exec`.

use std::path::Path;

use serde_json::Value;

use super::{Adapter, Invocation, Place, is_uuid, mentions, no_way_for};
use crate::agent::{Delegation, Format, PermissionMode, Schema};
use crate::error::{Error, Result};
use crate::signal::Signal;

pub(super) const ADAPTER: Adapter = Adapter {
    name: "codex",
    title: "Codex",
    install: "npm install --global @openai/codex",
    format: Format::Codex,
    // On SIGTERM it leaves its tools running.
    stop_signal: Some(Signal::INT),
    // Any other word would begin a new conversation.
    is_session: is_uuid,
    stays_where_it_was: false,
    invocation,
    obstacle,
};

/// The maximum number of characters that it accepts.
const LONGEST: usize = 1 << 20;

fn invocation(asked: &Delegation) -> Result<Invocation> {
    no_way_for("max turns", asked.max_turns.is_some(), "Codex cannot limit them; use a timeout instead")?;
    no_way_for("max budget", asked.max_budget_usd.is_some(), "Codex does not know its cost; use a timeout instead")?;
    let reason = "Codex does not permit single tools: its sandbox confines all of them; use another \
                  permission mode, or add directories";
    no_way_for("allow tool", !asked.allow_tools.is_empty(), reason)?;
    no_way_for("session id", asked.session_id.is_some(), "Codex chooses it; leave it out")?;
    let length = asked.prompt.chars().count();
    if length > LONGEST {
        let reason = format!("{length} characters, but Codex accepts {LONGEST}; put it into a file and name the file");
        return Err(Error::InvalidSpec { field: "prompt", reason });
    }
    let mut arguments: Vec<String> = ["--json", "--skip-git-repo-check"].map(str::to_owned).into();
    let mut say = |flag: &str, value: &str| arguments.push(format!("--{flag}={value}"));
    let sandbox = match asked.permission_mode {
        PermissionMode::ReadOnly => "read-only",
        PermissionMode::Edit => "workspace-write",
        PermissionMode::Full => "danger-full-access",
    };
    say("sandbox", sandbox);
    for directory in &asked.add_dirs {
        say("add-dir", &directory.display().to_string());
    }
    if let Some(model) = &asked.model {
        say("model", model);
    }
    if let Some(effort) = &asked.effort {
        say("config", &format!("model_reasoning_effort={}", toml(effort)));
    }
    if let Some(prompt) = &asked.system_prompt {
        say("config", &format!("developer_instructions={}", toml(prompt)));
    }
    match &asked.schema {
        None => {}
        Some(Schema::File(path)) => say("output-schema", &path.display().to_string()),
        Some(Schema::Json(_)) => {
            let reason = "Codex reads it from a file that must exist while it runs; name a file";
            return Err(Error::InvalidSpec { field: "schema", reason: reason.to_owned() });
        }
    }
    // All flags come first: fewer are accepted after `resume`.
    arguments.extend(asked.resume.iter().flat_map(|session| ["resume".to_owned(), session.clone()]));
    arguments.push("-".to_owned());
    Ok(Invocation {
        first: vec!["exec".to_owned()],
        arguments,
        input: Some(asked.prompt.clone()),
        ..Invocation::default()
    })
}

/// Returns a text as a TOML value, which has the same escapes as JSON.
fn toml(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

fn obstacle(place: &Place<'_>) -> Option<String> {
    if ["CODEX_API_KEY", "OPENAI_API_KEY", "CODEX_ACCESS_TOKEN"].iter().any(|name| place.is_set(name)) {
        return None;
    }
    let directory = place.directory("CODEX_HOME", ".codex")?;
    let login = directory.join("auth.json");
    let words = ["model_provider", "env_key", "cli_auth_credentials_store", "profile", "oss"];
    let settings = [
        directory.join("config.toml"),
        place.asked.cwd.join(".codex/config.toml"),
        Path::new("/etc/codex/config.toml").to_owned(),
    ];
    let is_logged_in =
        place.has_own_arguments || login.exists() || settings.iter().any(|settings| mentions(settings, &words));
    (!is_logged_in).then(|| {
        format!(
            "it is not logged in: neither `{}` nor CODEX_API_KEY exists; run `codex login`, or set that variable",
            login.display()
        )
    })
}
