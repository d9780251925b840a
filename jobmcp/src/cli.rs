//! The command line: types only.

use std::path::PathBuf;

use clap::Parser;

/// Background jobs for coding agents, as an MCP server on standard input and output.
///
/// Jobs survive the call, the session and this server; `jobcli` sees and stops the same jobs.
#[derive(Debug, Parser)]
#[command(name = "jobmcp", version)]
pub struct Cli {
    /// Where jobs are kept [env: JOBCORE_STORE] [default: the user's state directory]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Read settings from this file [env: JOBCORE_CONFIG] [default: jobcore/config.toml in the user's config directory]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}
