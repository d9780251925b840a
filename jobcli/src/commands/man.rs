use std::io::Write;
use std::process::ExitCode;

use jobcore::front::{Failure, codes};

use super::Result;
use crate::cli::Man;
use crate::help;

pub(super) fn run(arguments: &Man) -> Result {
    let Some(directory) = &arguments.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(help::command()).render(&mut page)?;
        std::io::stdout().write_all(&page)?;
        return Ok(ExitCode::SUCCESS);
    };
    std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(help::command(), directory))
        .map_err(|error| Failure::new(codes::FAILED, format!("cannot write to `{}`: {error}", directory.display())))?;
    Ok(ExitCode::SUCCESS)
}
