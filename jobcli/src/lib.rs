//! `jobcli`: background jobs for people and scripts. Each verb reads the settings, makes one call of jobcore and prints
//! the result.

// In the order in which to read them:
// - `main.rs`: the program
// - `habits.rs`, `cli/`, `help.rs`, `complete.rs`: the command line, its help, and shell completion
// - `project/`: files that define the jobs of a project
// - `commands/`: the verbs
// - `ui.rs`, `terminal.rs`, `progress.rs`: printing
// - `top/`: the full-screen view of jobs
// - `reference.rs`: docs/cli.md

pub mod cli;
mod commands;
mod complete;
mod habits;
mod help;
mod progress;
mod project;
pub mod reference;
mod terminal;
mod top;
mod ui;

use std::process::ExitCode;

use clap::FromArgMatches;
use jobcore::front::text::print_if_hostile;
use jobcore::front::{Failure, codes, process};

/// How many I/O events the runtime handles per tick.
const IO_EVENTS: usize = 64;

/// Runs the program.
pub fn main() -> ExitCode {
    // Before the command line is parsed: a supervisor is started as this program with a hidden first argument.
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
    // Few events happen at a time here, and room for many takes memory.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_io_events_per_tick(IO_EVENTS).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Failure::new(codes::FAILED, format!("cannot start: {error}")).report(false),
    };
    let passes_code = arguments.verb.passes_code();
    let result = runtime.block_on(commands::run(arguments));
    // Do not shut the runtime down: tasks may still be waiting for jobs. The process is about to end, no job ends with it,
    // and
    // the kernel frees everything at once.
    std::mem::forget(runtime);
    match result {
        Ok(code) => code,
        Err(failure) => failure.report(passes_code),
    }
}

/// Prints the parser's error, or the help that was asked for, and exits.
fn refuse(error: &clap::Error) -> ! {
    if error.use_stderr() && print_if_hostile(error.render()) {
        std::process::exit(error.exit_code());
    }
    error.exit()
}
