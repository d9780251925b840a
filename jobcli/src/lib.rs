//! `jobcli`: background jobs for people and scripts. Settings in, one call of jobcore, one printer.

pub mod cli;
mod commands;
mod complete;
mod habits;
mod help;
pub mod reference;
mod terminal;
mod ui;

use std::process::ExitCode;

use clap::FromArgMatches;
use jobcore::front::text::print_if_hostile;
use jobcore::front::{Failure, codes, limits};

/// Runs the program.
pub fn main() -> ExitCode {
    // Before the command line is looked at: a supervisor is started as this program with a hidden first argument.
    jobcore::supervisor::run_if_asked();
    limits::survive_file_size();
    limits::with_enough_stack(program)
}

fn program() -> ExitCode {
    complete::answer_if_asked();
    let matches = match help::command().try_get_matches_from(habits::understood(std::env::args_os())) {
        Ok(matches) => matches,
        Err(error) => match habits::explanation(&error) {
            Some(failure) => return failure.report(false),
            None => refuse(&error),
        },
    };
    let arguments = cli::Cli::from_arg_matches(&matches).unwrap_or_else(|error| refuse(&error));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::new(codes::FAILED, format!("cannot start: {error}")).report(false),
    };
    let passes_code = arguments.verb.passes_code();
    let result = runtime.block_on(commands::run(arguments));
    // Whatever still waits for a job waits in vain: this program ends, and no job does.
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(failure) => failure.report(passes_code),
    }
}

/// Prints what the parser of the command line has to say, which may be a help, and ends the program.
fn refuse(error: &clap::Error) -> ! {
    if error.use_stderr() && print_if_hostile(error.render()) {
        std::process::exit(error.exit_code());
    }
    error.exit()
}
