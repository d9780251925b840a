//! The command line: types only.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Background jobs for coding agents, as an MCP server: on standard input and output if nothing else is said.
///
/// Jobs survive the call, the session and this server; `jobcli` sees and stops the same jobs.
#[derive(Debug, Parser)]
#[command(name = "jobmcp", version)]
pub struct Cli {
    /// Where jobs are kept [env: JOBCORE_STORE] [default: the user's state directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Read settings from this file [env: JOBCORE_CONFIG] [default: jobcore/config.toml in the user's config directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Log to this file too, and more; over 1 MiB it becomes FILE.1
    #[arg(long, global = true, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// The same as `doctor`
    #[arg(long)]
    pub selftest: bool,
    /// What to do: `serve` if nothing is said.
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
    /// Prove that jobs work on this machine, through the protocol and without a model
    Doctor(Doctor),
}

/// Serve MCP.
#[derive(Debug, Default, Args)]
#[command(after_help = "\
Over HTTP, clients must send a token. It is that of the variable JOBMCP_TOKEN, or else that of the token file, which is made \
if it is not there.

  jobmcp serve --http 127.0.0.1:8931
  curl http://127.0.0.1:8931/healthz")]
pub struct Serve {
    /// Serve streamable HTTP at this address, under /mcp; with port 0, at a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub http: Option<SocketAddr>,
    /// Let other machines connect: serve at an address that is not this machine's own
    #[arg(long, requires = "http")]
    pub allow_remote: bool,
    /// Answer to this name or address as well, such as that of a proxy in front; may be given several times
    #[arg(long, value_name = "HOST", requires = "http")]
    pub allow_host: Vec<String>,
    /// Where the token is kept, readable for you only [default: mcp-token in the store]
    #[arg(long, value_name = "FILE", requires = "http")]
    pub token_file: Option<PathBuf>,
    /// Post events to the webhooks of clients that are there; may be given several times [default: post nothing]
    #[arg(long, value_name = "WHERE")]
    pub webhooks: Vec<Webhooks>,
}

/// Where events may be posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(clippy::exhaustive_enums, reason = "whoever knows another place has to say what is safe about it")]
pub enum Webhooks {
    /// Public addresses, by https
    Public,
    /// This machine's own addresses, by http or https
    Loopback,
}

/// Write this server into the configuration of a client.
///
/// All else in the file stays as it is, a backup is written beside it, and the difference is shown. `--store` and `--config`
/// are written, too, where they are given. Does nothing where nothing changes.
#[derive(Debug, Args)]
pub struct Register {
    /// Where it is to be written.
    #[command(flatten)]
    pub place: Place,
    /// Print what belongs into the file, and write nothing; without `--client`, in the form that most clients share
    #[arg(long, conflicts_with = "hooks")]
    pub print: bool,
    /// Also write hooks that notify the client's model when a job ends; they run `jobcli`
    #[arg(long)]
    pub hooks: bool,
}

/// Remove what `register` wrote from the configuration of a client.
#[derive(Debug, Args)]
pub struct Unregister {
    /// Where it is to be removed.
    #[command(flatten)]
    pub place: Place,
    /// Also remove its hooks
    #[arg(long)]
    pub hooks: bool,
}

/// A place where a client looks for servers.
#[derive(Debug, Args)]
pub struct Place {
    /// Which client [default: all that are found]
    #[arg(long)]
    pub client: Option<Client>,
    /// For all that you do, or for the project in the current directory
    #[arg(long, default_value = "user")]
    pub scope: Scope,
    /// What the server is called there
    #[arg(long, default_value = "jobs", value_parser = server_name)]
    pub name: String,
}

/// A client of which it is known where its configuration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "they are products")]
#[expect(clippy::exhaustive_enums, reason = "whoever knows one more has to say where its configuration is")]
pub enum Client {
    ClaudeCode,
    ClaudeDesktop,
    Codex,
    Cursor,
    GeminiCli,
    Opencode,
    Vscode,
}

/// For whom a server is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(clippy::exhaustive_enums, reason = "clients know no others")]
pub enum Scope {
    /// All that the user does.
    User,
    /// The project in the current directory, and whoever works on it.
    Project,
}

/// Prove that jobs work on this machine, through the protocol and without a model.
///
/// Starts a server as a client does, runs some short jobs by it and removes them. The exit code is 1 if a step failed.
#[derive(Debug, Default, Args)]
pub struct Doctor {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Clients make names of tools from it, in which nothing else may be.
fn server_name(name: &str) -> Result<String, String> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match !name.is_empty() && name.len() <= 32 && name.chars().all(is_fit) {
        true => Ok(name.to_owned()),
        false => Err("use at most 32 letters, digits, `-` and `_`".to_owned()),
    }
}
