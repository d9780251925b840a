use std::io::Write;

use super::Result;
use crate::cli::Completions;
use crate::complete;

pub(super) fn run(arguments: &Completions) -> Result {
    let script = complete::script(arguments.shell)?;
    std::io::stdout().write_all(&script)?;
    Ok(std::process::ExitCode::SUCCESS)
}
