//! Hooks of clients, which notify their models of ends. Ours are added beside those of others, and removed again.

use std::path::{Path, PathBuf};

use jobcore::spec::shell_words;
use jobcore::words::quoted;
use jsonc_parser::cst::{CstArray, CstInputValue, CstNode, CstObject};
use serde_json::{Map, Value};

use super::clients::Places;
use super::edit::{Format, behind_mark, input, only};
use crate::cli::{Client, Scope};

/// The key of the table of hooks in a file, and of the list of hooks in each group.
const KEY: &str = "hooks";
/// The program that the plugins run.
const PROGRAM: &str = "jobcli";

/// The form of hooks in a client's file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hooks {
    /// A table, which may also have hooks of others.
    Table {
        format: Format,
        /// The name of the client in our hooks.
        host: &'static str,
        /// The hooks of our plugin for the client.
        plugin: &'static str,
    },
    /// A script of our own.
    File(&'static str),
}

impl Hooks {
    /// Returns the hooks for a client, and their file; nothing if it has none.
    pub(super) fn of(client: Client, scope: Scope, places: &Places) -> Option<(Self, PathBuf)> {
        let table = |format, host, plugin| Self::Table { format, host, plugin };
        let hooks = match client {
            Client::ClaudeCode => {
                table(Format::Json, "claude-code", include_str!("../../plugins/claude-code/hooks/hooks.json"))
            }
            Client::Codex => table(Format::Json, "codex", include_str!("../../plugins/codex/hooks/hooks.json")),
            Client::GeminiCli => {
                table(Format::Jsonc, "gemini-cli", include_str!("../../plugins/gemini-cli/hooks/hooks.json"))
            }
            Client::Opencode => Self::File(include_str!("../../plugins/opencode/jobcore.js")),
            Client::ClaudeDesktop
            | Client::Cline
            | Client::CopilotCli
            | Client::Cursor
            | Client::Vscode
            | Client::Windsurf
            | Client::Zed => return None,
        };
        Some((hooks, places.hooks(client, scope)?))
    }

    /// Returns the text with our hooks, which run the given program.
    pub(super) fn put(self, text: &str, jobcli: &str) -> Result<String, String> {
        let (format, host, plugin) = match self {
            Self::Table { format, host, plugin } => (format, host, plugin),
            Self::File(ours) => {
                self.check(text)?;
                let program = serde_json::to_string(jobcli).map_err(|error| error.to_string())?;
                return Ok(ours.replace(&format!("\"{PROGRAM}\""), &program));
            }
        };
        let wanted = Self::wanted(plugin, jobcli)?;
        if split(&format.read(text)?, host)?.0 == wanted {
            return Ok(text.to_owned());
        }
        let taken = self.take(text)?;
        let changed = behind_mark(&taken, |text| {
            let root = format.parse(text)?;
            let whole = root.object_value_or_create().ok_or_else(no_table)?;
            let hooks = match only(&whole, KEY)? {
                Some(there) => there.object_value().ok_or_else(no_table)?,
                None => whole.append(KEY, CstInputValue::Object(Vec::new())).object_value_or_set(),
            };
            for (event, groups) in &wanted {
                let list = match only(&hooks, event)? {
                    Some(there) => there.array_value().ok_or_else(no_table)?,
                    None => hooks.append(event, CstInputValue::Array(Vec::new())).array_value_or_set(),
                };
                for group in groups.as_array().into_iter().flatten() {
                    list.append(input(group));
                }
            }
            Ok(root.to_string())
        })?;
        unchanged_but_for_ours(format, host, text, changed)
    }

    /// Returns the text without our hooks. Groups, events and the table are removed as well if nothing else is left in
    /// them.
    pub(super) fn take(self, text: &str) -> Result<String, String> {
        let Self::Table { format, host, .. } = self else {
            self.check(text)?;
            return Ok(String::new());
        };
        if split(&format.read(text)?, host)?.0.is_empty() {
            return Ok(text.to_owned());
        }
        let changed = behind_mark(text, |text| {
            let root = format.parse(text)?;
            let whole = root.object_value().ok_or_else(no_table)?;
            let table = only(&whole, KEY)?.ok_or_else(no_table)?;
            let events = table.object_value().ok_or_else(no_table)?;
            for event in events.properties() {
                let list = event.array_value().ok_or_else(no_table)?;
                if take_from_groups(&list, host) && list.elements().is_empty() {
                    event.remove();
                }
            }
            if events.properties().is_empty() {
                table.remove();
            }
            Ok(root.to_string())
        })?;
        unchanged_but_for_ours(format, host, text, changed)
    }

    /// Returns the program that our hooks run; nothing if there are none.
    pub(super) fn program(self, text: &str) -> Result<Option<PathBuf>, String> {
        match self {
            Self::Table { format, host, .. } => {
                let (ours, _) = split(&format.read(text)?, host)?;
                let groups = ours.values().filter_map(Value::as_array).flatten();
                let mut hooks = groups.filter_map(|group| group[KEY].as_array()).flatten();
                let Some(command) = hooks.find_map(|hook| hook["command"].as_str()) else { return Ok(None) };
                Ok(shell_words(command)?.into_iter().next().map(PathBuf::from))
            }
            Self::File(_) => {
                let program = text.split_once("spawn(").and_then(|(_, rest)| Some(rest.split_once(", [")?.0));
                Ok(program.and_then(|program| serde_json::from_str(program).ok()))
            }
        }
    }

    /// Refuses a file that is not ours.
    fn check(self, text: &str) -> Result<(), String> {
        match text.trim().is_empty() || text.contains("\"hook\", \"opencode\"") {
            true => Ok(()),
            false => Err("it is not what `jobmcp register --hooks` writes".to_owned()),
        }
    }

    /// Returns the groups of the plugin by event, running the given program.
    fn wanted(plugin: &str, jobcli: &str) -> Result<Map<String, Value>, String> {
        let mut hooks: Value = serde_json::from_str(plugin).map_err(|error| error.to_string())?;
        let program = quoted(jobcli);
        let events = hooks[KEY].as_object_mut().map(std::mem::take).unwrap_or_default();
        let with_program = |mut groups: Value| {
            for hook in
                groups.as_array_mut().into_iter().flatten().filter_map(|group| group[KEY].as_array_mut()).flatten()
            {
                let command = hook["command"].as_str().unwrap_or_default();
                hook["command"] = command.replacen(PROGRAM, &program, 1).into();
            }
            groups
        };
        Ok(events.into_iter().map(|(event, groups)| (event, with_program(groups))).collect())
    }
}

impl Places {
    /// Returns the file in which a client looks for hooks.
    fn hooks(&self, client: Client, scope: Scope) -> Option<PathBuf> {
        let name = match client {
            Client::Codex => "hooks.json",
            Client::Opencode => "plugin/jobcore.js",
            _ => "settings.json",
        };
        Some(self.directory(client, scope)?.join(name))
    }
}

fn no_table() -> String {
    format!("`{KEY}` is not a table of hooks")
}

/// Returns whether a command runs our program for this host.
fn is_ours(command: Option<&str>, host: &str) -> bool {
    command.and_then(|command| command.split_once(&format!(" hook {host} "))).is_some_and(|(program, _)| {
        let words = shell_words(program).unwrap_or_default();
        words.last().is_some_and(|program| Path::new(program).file_name().is_some_and(|name| name == PROGRAM))
    })
}

/// Removes our hooks from the groups of an event, and groups without others. Returns whether there were any.
fn take_from_groups(groups: &CstArray, host: &str) -> bool {
    let mut is_changed = false;
    for group in groups.elements() {
        let Some(hooks) = group.as_object().and_then(|group| group.array_value(KEY)) else { continue };
        let ours: Vec<_> = hooks.elements().into_iter().filter(|hook| is_our_hook(hook, host)).collect();
        if ours.is_empty() {
            continue;
        }
        is_changed = true;
        match ours.len() == hooks.elements().len() {
            true => group.remove(),
            false => ours.into_iter().for_each(CstNode::remove),
        }
    }
    is_changed
}

fn is_our_hook(hook: &CstNode, host: &str) -> bool {
    let command = |hook: CstObject| hook.get("command")?.value()?.as_string_lit()?.decoded_value().ok();
    is_ours(hook.as_object().and_then(command).as_deref(), host)
}

/// Returns our groups by event, and the contents of the text without them. Shared groups are split.
fn split(whole: &Value, host: &str) -> Result<(Map<String, Value>, Value), String> {
    let mut whole = whole.clone();
    let Some(table) = whole.get_mut(KEY) else { return Ok((Map::new(), whole)) };
    let events = table.as_object_mut().ok_or_else(no_table)?;
    let mut ours = Map::new();
    for (event, groups) in events.iter_mut() {
        let groups = groups.as_array_mut().ok_or_else(no_table)?;
        let mut of_event = Vec::new();
        for group in groups.iter_mut() {
            let Some(hooks) = group[KEY].as_array_mut() else { continue };
            let is_our_hook = |hook: &Value| is_ours(hook["command"].as_str(), host);
            let (our, their): (Vec<_>, Vec<_>) = std::mem::take(hooks).into_iter().partition(is_our_hook);
            *hooks = their;
            if !our.is_empty() {
                let mut our_group = group.clone();
                our_group[KEY] = our.into();
                of_event.push(our_group);
            }
        }
        groups.retain(|group| group[KEY].as_array().is_none_or(|hooks| !hooks.is_empty()));
        if !of_event.is_empty() {
            ours.insert(event.clone(), of_event.into());
        }
    }
    events.retain(|_, groups| groups.as_array().is_none_or(|groups| !groups.is_empty()));
    if events.is_empty()
        && let Some(whole) = whole.as_object_mut()
    {
        whole.remove(KEY);
    }
    Ok((ours, whole))
}

fn unchanged_but_for_ours(format: Format, host: &str, before: &str, after: String) -> Result<String, String> {
    match split(&format.read(before)?, host)?.1 == split(&format.read(&after)?, host)?.1 {
        true => Ok(after),
        false => Err("it cannot be changed without changing more than our hooks".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOBCLI: &str = "/opt/my bin/jobcli";
    const THEIRS: &str = "{\n  // mine\n  \"hooks\": {\n    \"Stop\": [\n      { \"hooks\": [{ \"type\": \"command\", \"command\": \"say done\" }] }\n    ]\n  },\n  \"theme\": \"dark\"\n}\n";

    fn claude(format: Format) -> Hooks {
        let plugin = include_str!("../../plugins/claude-code/hooks/hooks.json");
        Hooks::Table { format, host: "claude-code", plugin }
    }

    #[test]
    fn hooks_of_others_are_kept() {
        for (format, before) in [
            (Format::Jsonc, THEIRS),
            (Format::Json, "{\n  \"theme\": \"dark\"\n}\n"),
            (Format::Json, "{\n  \"hooks\": {\n    \"Stop\": []\n  }\n}\n"),
        ] {
            let hooks = claude(format);
            let after = hooks.put(before, JOBCLI).unwrap();
            assert_eq!(hooks.put(&after, JOBCLI).unwrap(), after, "the second time changes nothing");
            assert_eq!(hooks.program(&after).unwrap(), Some(JOBCLI.into()));
            let said: Value = format.read(&after).unwrap();
            let command = "'/opt/my bin/jobcli' hook claude-code session-start";
            assert_eq!(said["hooks"]["SessionStart"][0]["hooks"][0]["command"], command, "{after}");
            let moved = hooks.put(&after, "/usr/bin/jobcli").unwrap();
            assert!(!moved.contains("/opt") && moved.matches("/usr/bin/jobcli hook").count() == 3, "{moved}");
            let taken = hooks.take(&moved).unwrap();
            assert_eq!(format.read(&taken).unwrap()["theme"], format.read(before).unwrap()["theme"]);
            assert_eq!(taken.contains("say done"), before.contains("say done"));
            assert!(!taken.contains("jobcli") && hooks.program(&taken).unwrap().is_none(), "{taken}");
            assert_eq!(hooks.take(&taken).unwrap(), taken);
        }
    }

    #[test]
    fn unknown_forms_are_refused() {
        for text in ["{", "[]", "{\"hooks\": 1}", "{\"hooks\": {\"Stop\": 1}}", "{\"hooks\": {}, \"hooks\": {}}"] {
            assert!(claude(Format::Json).put(text, JOBCLI).is_err(), "{text}");
        }
    }

    #[test]
    fn a_shared_group_keeps_the_hooks_of_others() {
        let text = "{\"hooks\": {\"Stop\": [{\"hooks\": [{\"command\": \"say\"}, {\"command\": \"jobcli hook claude-code stop\"}]}]}}";
        let taken = claude(Format::Json).take(text).unwrap();
        assert_eq!(taken, "{\"hooks\": {\"Stop\": [{\"hooks\": [{\"command\": \"say\"}]}]}}");
        let other = "{\"hooks\": {\"Stop\": [{\"hooks\": [{\"command\": \"myjobcli hook claude-code stop\"}]}]}}";
        assert_eq!(claude(Format::Json).take(other).unwrap(), other);
    }

    #[test]
    fn a_script_of_ours_is_written_whole() {
        let hooks = Hooks::File(include_str!("../../plugins/opencode/jobcore.js"));
        let text = hooks.put("", JOBCLI).unwrap();
        assert_eq!(hooks.program(&text).unwrap(), Some(PathBuf::from(JOBCLI)), "{text}");
        assert!(text.contains("spawn(\"/opt/my bin/jobcli\", [\"hook\""), "{text}");
        assert_eq!(hooks.take(&text).unwrap(), "");
        assert!(hooks.put("export const Mine = 1", JOBCLI).is_err());
    }
}
