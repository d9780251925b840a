//! `jobcli`: background jobs for people and scripts. Settings in, one call of jobcore, one printer.

// In the order in which to read them:
// - `main.rs`: the program
// - `habits.rs`, `cli/`, `help.rs`, `complete.rs`: the command line, its help, and what a shell is told at a Tab
// - `project/`: files that say what the jobs of a project are
// - `commands/`: the verbs
// - `ui.rs`, `terminal.rs`: what is printed
// - `top/`: jobs on the whole screen
// - `reference.rs`: docs/cli.md

pub mod cli;
mod commands;
mod complete;
mod habits;
mod help;
mod project;
pub mod reference;
mod terminal;
mod top;
mod ui;

use std::process::ExitCode;

use clap::FromArgMatches;
use jobcore::front::text::print_if_hostile;
use jobcore::front::{Failure, codes, process};

/// How many events of descriptors are taken note of at a time.
const IO_EVENTS: usize = 64;

/// Runs the program.
pub fn main() -> ExitCode {
    // Before the command line is looked at: a supervisor is started as this program with a hidden first argument.
    jobcore::supervisor::run_if_asked();
    process::open_missing_streams();
    process::survive_writes();
    process::with_enough_stack(program)
}

fn program() -> ExitCode {
    complete::answer_if_asked(help::command);
    let matches = match help::matches(habits::understood(std::env::args_os())) {
        Ok(matches) => matches,
        Err(error) => match habits::explanation(&error) {
            Some(failure) => return failure.report(false),
            None => refuse(&error),
        },
    };
    let arguments = cli::Cli::from_arg_matches(&matches).unwrap_or_else(|error| refuse(&error));
    // Few things happen at a time here, and room for many takes memory.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_io_events_per_tick(IO_EVENTS).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Failure::new(codes::FAILED, format!("cannot start: {error}")).report(false),
    };
    let passes_code = arguments.verb.passes_code();
    let result = runtime.block_on(commands::run(arguments));
    // Whatever still waits for a job waits in vain: this program ends, and no job does. The kernel takes all away at once.
    std::mem::forget(runtime);
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
