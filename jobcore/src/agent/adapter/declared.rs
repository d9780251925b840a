//! Agents that are declared in a settings file.

use super::{Invocation, no_way_for};
use crate::agent::{Delegation, Format, PermissionMode};
use crate::error::{Error, Result};
use crate::signal::Signal;

/// How to call a CLI that this library does not know. In the arguments, `{}` stands for the value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::agent) struct Declared {
    /// How the prompt is passed. If absent, on standard input.
    pub(in crate::agent) prompt: Option<Vec<String>>,
    pub(in crate::agent) model: Option<Vec<String>>,
    pub(in crate::agent) effort: Option<Vec<String>>,
    pub(in crate::agent) resume: Option<Vec<String>>,
    pub(in crate::agent) read_only: Option<Vec<String>>,
    pub(in crate::agent) edit: Option<Vec<String>>,
    pub(in crate::agent) full: Option<Vec<String>>,
    pub(in crate::agent) format: Format,
    pub(in crate::agent) stop_signal: Option<Signal>,
}

/// The maximum number of bytes in one argument: `MAX_ARG_STRLEN` of Linux without the final NUL.
const LONGEST: usize = 128 * 1024 - 1;

impl Declared {
    pub(in crate::agent) fn invocation(&self, name: &str, asked: &Delegation) -> Result<Invocation> {
        let unknown = [
            ("max turns", asked.max_turns.is_some()),
            ("max budget", asked.max_budget_usd.is_some()),
            ("allow tool", !asked.allow_tools.is_empty()),
            ("add dir", !asked.add_dirs.is_empty()),
            ("session id", asked.session_id.is_some()),
            ("system prompt", asked.system_prompt.is_some()),
            ("schema", asked.schema.is_some()),
        ];
        for (field, is_asked) in unknown {
            let reason =
                format!("there is no setting that passes it to `{name}`; put it into `agents.{name}.arguments`");
            no_way_for(field, is_asked, &reason)?;
        }
        let (mode, key) = match asked.permission_mode {
            PermissionMode::ReadOnly => (&self.read_only, "read_only"),
            PermissionMode::Edit => (&self.edit, "edit"),
            PermissionMode::Full => (&self.full, "full"),
        };
        let missing = |field, key: &str| {
            let reason =
                format!("no arguments are declared for it; declare them as `agents.{name}.{key}` in the settings file");
            Error::InvalidSpec { field, reason }
        };
        let mut arguments = mode.clone().ok_or_else(|| missing("permission mode", key))?;
        let values = [
            ("model", "model_arguments", &asked.model, &self.model),
            ("effort", "effort_arguments", &asked.effort, &self.effort),
            ("resume", "resume_arguments", &asked.resume, &self.resume),
        ];
        for (field, key, value, template) in values {
            if let Some(value) = value {
                let template = template.as_ref().ok_or_else(|| missing(field, key))?;
                arguments.extend(filled(field, template, value)?);
            }
        }
        let Some(template) = &self.prompt else {
            return Ok(Invocation { arguments, input: Some(asked.prompt.clone()), ..Invocation::default() });
        };
        let refuse = |reason: String| Err(Error::InvalidSpec { field: "prompt", reason });
        if asked.prompt.contains('\0') {
            return refuse(format!("`{name}` takes it as an argument, which cannot contain a NUL byte"));
        }
        let words = filled("prompt", template, &asked.prompt)?;
        if words.iter().any(|word| word.len() > LONGEST) {
            let size = asked.prompt.len();
            return refuse(format!(
                "{size} bytes, but `{name}` takes it as an argument of at most {LONGEST}; put it into a file and \
                 name the file"
            ));
        }
        arguments.extend(words);
        Ok(Invocation { arguments, ..Invocation::default() })
    }
}

/// Puts a value into its arguments. A value that would be taken for a flag is refused.
fn filled(field: &'static str, template: &[String], value: &str) -> Result<Vec<String>> {
    let own_word = template.iter().position(|word| word == "{}");
    let is_behind_dashes = own_word.and_then(|at| template.get(at.checked_sub(1)?)).is_some_and(|word| word == "--");
    if value.starts_with('-') && own_word.is_some() && !is_behind_dashes {
        let reason = "it begins with a dash and would be taken for a flag; declare its arguments as `--flag={}`, or \
                      with `--` before `{}`";
        return Err(Error::InvalidSpec { field, reason: reason.to_owned() });
    }
    Ok(template.iter().map(|word| word.replace("{}", value)).collect())
}
