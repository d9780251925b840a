//! `jobcli`: background jobs for people and scripts. Settings in, one call of jobcore, one printer.

pub mod agents;
pub mod cli;
mod commands;
mod complete;
pub mod delegation;
pub mod error;
mod habits;
mod help;
pub mod limits;
#[cfg(test)]
mod properties;
pub mod reference;
pub mod report;
pub mod settings;
mod terminal;
pub mod ui;

use std::process::ExitCode;

use clap::FromArgMatches;

/// Runs the program.
pub fn main() -> ExitCode {
    // Before the command line is looked at: a supervisor is started as this program with a hidden first argument.
    jobcore::supervisor::run_if_asked();
    limits::survive_file_size();
    complete::answer_if_asked();
    let matches = match help::command().try_get_matches_from(habits::understood(std::env::args_os())) {
        Ok(matches) => matches,
        Err(error) => match habits::explanation(&error) {
            Some(failure) => return error::report(&failure, false),
            None => error::refuse(&error),
        },
    };
    let arguments = cli::Cli::from_arg_matches(&matches).unwrap_or_else(|error| error::refuse(&error));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return error::report(&error::Failure::new(1, format!("cannot start: {error}")), false),
    };
    let passes_code = arguments.verb.passes_code();
    let result = runtime.block_on(commands::run(arguments));
    // Whatever still waits for a job waits in vain: this program ends, and no job does.
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(failure) => error::report(&failure, passes_code),
    }
}
