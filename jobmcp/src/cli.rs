//! The command line: types only.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Background jobs for coding agents, as an MCP server on standard input and output.
///
/// Jobs survive the call, the session and this server; `jobcli` sees and stops the same jobs.
#[derive(Debug, Parser)]
#[command(name = "jobmcp", version)]
pub struct Cli {
    /// Where jobs are kept [env: JOBCORE_STORE] [default: the user's state directory]
    #[arg(long, value_name = "DIR", global = true)]
    pub store: Option<PathBuf>,
    /// Read settings from this file [env: JOBCORE_CONFIG] [default: jobcore/config.toml in the user's config directory]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The same as `doctor`
    #[arg(long)]
    pub selftest: bool,
    /// What is to be done other than to serve on standard input and output.
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// What is done other than to serve on standard input and output.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "each has a type of its own")]
pub enum Verb {
    Register(Register),
    Unregister(Unregister),
    Doctor(Doctor),
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
    #[arg(long)]
    pub print: bool,
}

/// Remove what `register` wrote from the configuration of a client.
#[derive(Debug, Args)]
pub struct Unregister {
    /// Where it is to be removed.
    #[command(flatten)]
    pub place: Place,
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
