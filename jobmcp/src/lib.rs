//! `jobmcp`: background jobs for coding agents, as an MCP server. Settings in, one call of jobcore, one text.

pub mod cli;
mod failure;
mod prompts;
mod resources;
mod server;
mod stdio;
mod tasks;
mod text;
mod tools;

use std::process::ExitCode;

use clap::Parser;
use jobcli::error;
use jobcli::settings::Settings;
use tracing_subscriber::EnvFilter;

use crate::server::Server;

/// Runs the program.
pub fn main() -> ExitCode {
    // Before the command line is looked at: a supervisor is started as this program with a hidden first argument.
    jobcore::supervisor::run_if_asked();
    let arguments = cli::Cli::parse();
    // Standard output belongs to the protocol.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,rmcp=error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    let code = match serve(arguments) {
        Ok(()) => 0,
        Err(failure) => return error::report(&failure, false),
    };
    // A read of standard input cannot be cancelled, and would hold up the end of the program until a client closes it.
    std::process::exit(code);
}

fn serve(arguments: cli::Cli) -> Result<(), error::Failure> {
    let settings = Settings::read(arguments.store, arguments.config)?;
    let jobs = settings.open("jobmcp")?;
    let failed = |error: std::io::Error| error::Failure::new(error::codes::FAILED, format!("cannot start: {error}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(failed)?;
    let server = Server::new(jobs, settings);
    runtime.block_on(stdio::serve(server));
    runtime.shutdown_background();
    Ok(())
}
