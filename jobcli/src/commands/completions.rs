use clap::CommandFactory;

use super::Result;
use crate::cli::{Cli, Completions};

pub(super) fn run(arguments: &Completions) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "jobcli", &mut script);
    std::io::Write::write_all(&mut std::io::stdout(), &script)?;
    Ok(std::process::ExitCode::SUCCESS)
}
