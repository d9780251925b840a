//! The definition of the command line: types only.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Background jobs for coding agents, as an MCP server, by default on standard input and output.
///
/// Jobs survive the call, the session and this server; `jobcli` sees and stops the same jobs.
#[derive(Debug, Parser)]
#[command(name = "jobmcp", version)]
pub struct Cli {
    /// Keep jobs in DIR [env: JOBCORE_STORE] [default: the user's state directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Read settings from FILE [env: JOBCORE_CONFIG] [default: jobcore/config.toml in the user's config directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Also log to FILE, in more detail; above 1 MiB it is renamed to FILE.1
    #[arg(long, global = true, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// The same as `doctor`
    #[arg(long)]
    pub selftest: bool,
    /// What to do [default: serve].
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Serve MCP on standard input and output, or over HTTP
    Serve(Serve),
    /// Write this server into the configuration of a client
    Register(Register),
    /// Remove what `register` wrote from the configuration of a client
    Unregister(Unregister),
    /// Check that jobs work on this machine, through the protocol and without a model
    Doctor(Doctor),
}

/// Serve MCP.
#[derive(Debug, Default, Args)]
#[command(after_help = "\
Over HTTP, clients must send a token. It is the value of the variable JOBMCP_TOKEN, or else the contents of the token file, \
which is created if it does not exist.

  jobmcp serve --http 127.0.0.1:8931
  curl http://127.0.0.1:8931/healthz")]
pub struct Serve {
    /// Serve streamable HTTP at this address, under /mcp; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub http: Option<SocketAddr>,
    /// Let other machines connect: allow an address that is not a loopback address
    #[arg(long, requires = "http")]
    pub allow_remote: bool,
    /// Also answer requests for HOST, such as the name of a proxy in front; may be repeated
    #[arg(long, value_name = "HOST", requires = "http")]
    pub allow_host: Vec<String>,
    /// Keep the token in FILE, readable only by you [default: mcp-token in the store]
    #[arg(long, value_name = "FILE", requires = "http")]
    pub token_file: Option<PathBuf>,
    /// Post events to webhooks of clients at these places; may be repeated [default: post nothing]
    #[arg(long, value_name = "WHERE")]
    pub webhooks: Vec<Webhooks>,
}

/// Where events can be posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(clippy::exhaustive_enums, reason = "a new place must state why it is safe")]
pub enum Webhooks {
    /// Public addresses, over https
    Public,
    /// Loopback addresses of this machine, over http or https
    Loopback,
}

/// Write this server into the configuration of a client.
///
/// The rest of the file is not changed, a backup is written beside it, and the difference is shown. `--store` and
/// `--config` are written as well if given. Does nothing if nothing changes.
#[derive(Debug, Args)]
pub struct Register {
    /// Where to write it.
    #[command(flatten)]
    pub place: Place,
    /// Print the entry without writing it; without `--client`, in the form that most clients share
    #[arg(long, conflicts_with = "hooks")]
    pub print: bool,
    /// Also write hooks that notify the client's model when a job ends; they run `jobcli`
    #[arg(long)]
    pub hooks: bool,
}

/// Remove what `register` wrote from the configuration of a client.
#[derive(Debug, Args)]
pub struct Unregister {
    /// Where to remove it.
    #[command(flatten)]
    pub place: Place,
    /// Also remove its hooks
    #[arg(long)]
    pub hooks: bool,
}

/// A place where a client looks for servers.
#[derive(Debug, Args)]
pub struct Place {
    /// Configure this client [default: all that are found]
    #[arg(long)]
    pub client: Option<Client>,
    /// Configure it for you, or for the project in the current directory
    #[arg(long, default_value = "user")]
    pub scope: Scope,
    /// Give the server this name in the configuration
    #[arg(long, default_value = "jobs", value_parser = server_name)]
    pub name: String,
}

/// A client whose configuration can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names of products")]
#[expect(clippy::exhaustive_enums, reason = "a new client must state where its configuration is")]
pub enum Client {
    ClaudeCode,
    ClaudeDesktop,
    Cline,
    Codex,
    CopilotCli,
    Cursor,
    GeminiCli,
    Opencode,
    Vscode,
    Windsurf,
    Zed,
}

/// For whom a server is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(clippy::exhaustive_enums, reason = "clients know no others")]
pub enum Scope {
    /// The user.
    User,
    /// The project in the current directory, for everyone who works on it.
    Project,
}

/// Check that jobs work on this machine, through the protocol and without a model.
///
/// Starts a server like a client, runs some short jobs with it and removes them. The exit code is 1 if a step failed.
#[derive(Debug, Default, Args)]
pub struct Doctor {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Clients derive names of tools from it, which cannot contain other characters.
fn server_name(name: &str) -> Result<String, String> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match !name.is_empty() && name.len() <= 32 && name.chars().all(is_fit) {
        true => Ok(name.to_owned()),
        false => Err("use at most 32 letters, digits, `-` and `_`".to_owned()),
    }
}
