//! The command line: types only.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

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
    /// What to do: `serve` if nothing is said.
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Serve MCP on standard input and output, or over HTTP
    Serve(Serve),
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
}
