//! Clients: where each keeps its servers, and what an entry for one contains.

use std::env;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use etcetera::BaseStrategy;
use jobcore::front::{Failure, codes};
use serde_json::{Value, json};

use super::edit::{Entry, Field, Format, Slot};
use crate::cli::{Client, Scope};

/// The name of the program, by which our entries are recognized.
pub(super) const PROGRAM: &str = "jobmcp";
/// How long Codex, Gemini CLI and Cline wait for a call, in seconds: more than twice as long as a call blocks.
const CALL_S: u64 = 120;
/// How long Codex waits for the server to start, in seconds: a machine that starts many programs at once is slow.
const START_S: u64 = 30;

/// The variables that Codex passes on: the job in which it runs, and the locations of jobs and of its own sessions.
const FORWARDED: [&str; 3] = ["JOBCORE_JOB_ID", "JOBCORE_STORE", "CODEX_HOME"];

/// The directories in which clients keep their configuration.
#[derive(Debug)]
pub(super) struct Places {
    home: PathBuf,
    /// The directory for the configuration of programs: `XDG_CONFIG_HOME`, or else `~/.config`.
    config: PathBuf,
    claude: Option<PathBuf>,
    codex: Option<PathBuf>,
    copilot: Option<PathBuf>,
    project: PathBuf,
    is_mac: bool,
}

impl Places {
    /// Returns the directories of this user and of the current directory.
    pub(super) fn own() -> Result<Self, Failure> {
        let failed = |reason: String| Failure::new(codes::FAILED, reason);
        let base = etcetera::choose_base_strategy()
            .map_err(|_| failed("there is no home directory; set `HOME`, or use `--print`".to_owned()))?;
        let project = env::current_dir().map_err(|error| failed(format!("there is no current directory: {error}")))?;
        let named = |name| env::var_os(name).filter(|value| !value.is_empty()).map(|value| project.join(value));
        Ok(Self {
            home: base.home_dir().to_owned(),
            config: base.config_dir(),
            claude: named("CLAUDE_CONFIG_DIR"),
            codex: named("CODEX_HOME"),
            copilot: named("COPILOT_HOME"),
            is_mac: cfg!(target_os = "macos"),
            project,
        })
    }

    /// Returns the directory in which a client keeps its configuration; nothing if it has none for the scope.
    pub(super) fn directory(&self, client: Client, scope: Scope) -> Option<PathBuf> {
        let user = |set: Option<&PathBuf>, name: &str| set.cloned().unwrap_or_else(|| self.home.join(name));
        let name = match client {
            Client::ClaudeCode => ".claude",
            Client::ClaudeDesktop => "Claude",
            // An extension of VS Code.
            Client::Cline => "Code/User/globalStorage/saoudrizwan.claude-dev/settings",
            Client::Codex => ".codex",
            Client::CopilotCli => ".copilot",
            Client::GeminiCli => ".gemini",
            Client::Opencode => ".opencode",
            Client::Cursor => ".cursor",
            Client::Vscode => ".vscode",
            Client::Windsurf => ".codeium/windsurf",
            Client::Zed => ".zed",
        };
        Some(match (client, scope) {
            (Client::ClaudeDesktop | Client::Cline | Client::Windsurf, Scope::Project) => return None,
            (Client::CopilotCli, Scope::Project) => self.project.join(".github"),
            (_, Scope::Project) => self.project.join(name),
            (Client::ClaudeCode, Scope::User) => user(self.claude.as_ref(), name),
            (Client::Codex, Scope::User) => user(self.codex.as_ref(), name),
            (Client::CopilotCli, Scope::User) => user(self.copilot.as_ref(), name),
            (Client::ClaudeDesktop | Client::Cline, Scope::User) => self.applications().join(name),
            (Client::Vscode, Scope::User) => self.applications().join("Code/User"),
            (Client::Opencode, Scope::User) => self.config.join("opencode"),
            (Client::Zed, Scope::User) => self.config.join("zed"),
            (Client::GeminiCli | Client::Cursor | Client::Windsurf, Scope::User) => self.home.join(name),
        })
    }

    /// Returns the directory for the configuration of desktop applications.
    fn applications(&self) -> PathBuf {
        match self.is_mac {
            true => self.home.join("Library/Application Support"),
            false => self.config.clone(),
        }
    }
}

/// Returns the file with one of these names that exists, or else the first.
fn either(directory: &Path, names: [&str; 2]) -> PathBuf {
    let [first, second] = names.map(|name| directory.join(name));
    if !first.exists() && second.exists() { second } else { first }
}

impl Client {
    /// Returns its name on the command line.
    pub(super) fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Returns the file in which it keeps its servers; nothing if it has none for the scope.
    pub(super) fn file(self, scope: Scope, places: &Places) -> Option<PathBuf> {
        let directory = places.directory(self, scope)?;
        let project = |path: &str| Some(places.project.join(path));
        Some(match (self, scope) {
            (Self::ClaudeCode, Scope::User) => places.claude.as_ref().unwrap_or(&places.home).join(".claude.json"),
            (Self::ClaudeCode, Scope::Project) => return project(".mcp.json"),
            (Self::ClaudeDesktop, _) => directory.join("claude_desktop_config.json"),
            (Self::Codex, _) => directory.join("config.toml"),
            (Self::Cline, _) => directory.join("cline_mcp_settings.json"),
            (Self::CopilotCli, Scope::User) => directory.join("mcp-config.json"),
            (Self::Windsurf, _) => directory.join("mcp_config.json"),
            (Self::GeminiCli | Self::Zed, _) => directory.join("settings.json"),
            (Self::Opencode, Scope::User) => either(&directory, ["opencode.json", "opencode.jsonc"]),
            (Self::Opencode, Scope::Project) => either(&places.project, ["opencode.json", "opencode.jsonc"]),
            (Self::CopilotCli, Scope::Project) | (Self::Cursor | Self::Vscode, _) => directory.join("mcp.json"),
        })
    }

    /// Returns whether the client appears to be used: its file exists, or a directory that only it has.
    pub(super) fn is_here(self, scope: Scope, places: &Places) -> bool {
        let Some(file) = self.file(scope, places) else { return false };
        let directory = file.parent().filter(|parent| *parent != places.home && *parent != places.project);
        let of_claude_code = (self, scope) == (Self::ClaudeCode, Scope::User) && places.home.join(".claude").is_dir();
        file.exists() || directory.is_some_and(Path::is_dir) || of_claude_code
    }

    /// Returns the place in its file for a server with this name.
    pub(super) fn slot(self, name: &str) -> Slot<'_> {
        let (format, key) = match self {
            Self::ClaudeCode | Self::ClaudeDesktop | Self::Cline | Self::CopilotCli | Self::Windsurf => {
                (Format::Json, "mcpServers")
            }
            Self::Cursor | Self::GeminiCli => (Format::Jsonc, "mcpServers"),
            Self::Opencode => (Format::Jsonc, "mcp"),
            Self::Vscode => (Format::Jsonc, "servers"),
            Self::Zed => (Format::Jsonc, "context_servers"),
            Self::Codex => (Format::Toml, "mcp_servers"),
        };
        Slot { format, key, name }
    }

    /// Returns the program of the first entry in a text that is ours, by the name of the program; nothing if there is
    /// none.
    pub(super) fn server(self, text: &str) -> Option<PathBuf> {
        let Slot { format, key, .. } = self.slot("");
        let whole = format.read(text).ok()?;
        whole.get(key)?.as_object()?.values().find_map(|server| {
            let program = PathBuf::from(program_of(server)?);
            program.file_name().is_some_and(|name| name == PROGRAM).then_some(program)
        })
    }

    /// Returns the entry for a server.
    ///
    /// A call blocks for at most 50 seconds. Claude Code waits longer by default, and the clients without a field for it
    /// here have no
    /// such setting.
    pub(super) fn entry(self, command: &str, arguments: &[String]) -> Entry {
        let mut entry = entry(command, arguments);
        match self {
            Self::ClaudeDesktop | Self::Windsurf => {}
            Self::Cline => entry.push(Field::unless_there("timeout", json!(CALL_S))),
            Self::CopilotCli => {
                entry.insert(0, Field::ours("type", json!("local")));
                entry.push(Field::unless_there("tools", json!(["*"])));
            }
            // Versions of 2025 need it; later ones ignore it.
            Self::Zed => entry.insert(0, Field::unless_there("source", json!("custom"))),
            Self::GeminiCli => entry.push(Field::unless_there("timeout", json!(CALL_S * 1000))),
            Self::Opencode => {
                let words = std::iter::once(command).chain(arguments.iter().map(String::as_str));
                let command = words.map(Value::from).collect::<Vec<_>>().into();
                return vec![
                    Field::ours("type", json!("local")),
                    Field::ours("command", command),
                    Field::unless_there("enabled", json!(true)),
                ];
            }
            Self::ClaudeCode | Self::Cursor | Self::Vscode => entry.insert(0, Field::ours("type", json!("stdio"))),
            Self::Codex => entry.extend([
                Field::unless_there("startup_timeout_sec", json!(START_S)),
                Field::unless_there("tool_timeout_sec", json!(CALL_S)),
                Field::unless_there("env_vars", json!(FORWARDED)),
            ]),
        }
        entry
    }

    /// Returns what the user has to do for the client to notice the change.
    pub(super) fn next_step(self, scope: Scope) -> &'static str {
        match (self, scope) {
            (Self::ClaudeCode, Scope::User) => "start a new session of Claude Code; `/mcp` shows the server",
            (Self::ClaudeCode, Scope::Project) => {
                "start a new session of Claude Code here, and agree when it asks for the servers of this project"
            }
            (Self::ClaudeDesktop, _) => "quit Claude Desktop (closing its window is not enough), and open it again",
            (Self::Codex, Scope::User) => "start a new session of Codex; `/mcp` shows the server",
            (Self::Codex, Scope::Project) => {
                "start a new session of Codex here; it reads this file only in projects that it trusts"
            }
            (Self::GeminiCli, _) => "start Gemini CLI again, in a folder that it trusts; `/mcp` shows the server",
            (Self::Opencode, _) => "start opencode again; `opencode mcp list` shows the server",
            (Self::Cline, _) => "check in Cline, under MCP Servers, that the server is switched on",
            (Self::CopilotCli, _) => "start a new session of Copilot CLI; `/mcp show` shows the server",
            (Self::Windsurf, _) => "refresh the MCP servers in Windsurf's Cascade panel",
            (Self::Zed, _) => "check in Zed's agent settings, under MCP Servers, that the server is active",
            (Self::Cursor, _) => "check in Cursor's settings, under MCP, that the server is switched on",
            (Self::Vscode, _) => "run `MCP: List Servers` in VS Code, and start the server there",
        }
    }
}

/// Returns the program of a server, in any of the forms that clients use.
pub(super) fn program_of(server: &Value) -> Option<&str> {
    let command = server.get("command")?;
    command.get(0).unwrap_or(command).as_str()
}

/// Returns the entry for most clients.
pub(super) fn entry(command: &str, arguments: &[String]) -> Entry {
    let arguments = arguments.iter().map(|argument| Value::from(argument.as_str())).collect();
    vec![Field::ours("command", json!(command)), Field::ours("args", Value::Array(arguments))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(is_mac: bool) -> Places {
        let (home, project) = (PathBuf::from("/h"), PathBuf::from("/p"));
        Places { config: home.join(".config"), home, claude: None, codex: None, copilot: None, project, is_mac }
    }

    fn files(places: &Places, scope: Scope) -> Vec<String> {
        let files = Client::value_variants().iter().filter_map(|client| client.file(scope, places));
        files.map(|file| file.display().to_string()).collect()
    }

    #[test]
    fn each_client_has_its_file() {
        let linux = [
            "/h/.claude.json",
            "/h/.config/Claude/claude_desktop_config.json",
            "/h/.config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
            "/h/.codex/config.toml",
            "/h/.copilot/mcp-config.json",
            "/h/.cursor/mcp.json",
            "/h/.gemini/settings.json",
            "/h/.config/opencode/opencode.json",
            "/h/.config/Code/User/mcp.json",
            "/h/.codeium/windsurf/mcp_config.json",
            "/h/.config/zed/settings.json",
        ];
        assert_eq!(files(&places(false), Scope::User), linux);
        let mac = files(&places(true), Scope::User);
        assert_eq!(mac[1], "/h/Library/Application Support/Claude/claude_desktop_config.json");
        assert_eq!(mac[8], "/h/Library/Application Support/Code/User/mcp.json");
        let project = [
            "/p/.mcp.json",
            "/p/.codex/config.toml",
            "/p/.github/mcp.json",
            "/p/.cursor/mcp.json",
            "/p/.gemini/settings.json",
            "/p/opencode.json",
            "/p/.vscode/mcp.json",
            "/p/.zed/settings.json",
        ];
        assert_eq!(files(&places(false), Scope::Project), project);
    }

    #[test]
    fn variables_that_move_a_configuration_are_respected() {
        let places =
            Places { claude: Some("/c".into()), codex: Some("/x".into()), copilot: Some("/g".into()), ..places(false) };
        let files = files(&places, Scope::User);
        assert_eq!([0, 3, 4].map(|at| &*files[at]), ["/c/.claude.json", "/x/config.toml", "/g/mcp-config.json"]);
    }
}
