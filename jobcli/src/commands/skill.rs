use std::io::Write;
use std::process::ExitCode;

use jobcore::front::{Failure, SKILL, codes};

use super::{Result, tell};
use crate::cli::Skill;

pub(super) fn run(arguments: &Skill) -> Result {
    let Some(directory) = &arguments.dir else {
        std::io::stdout().write_all(SKILL.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    };
    let directory = directory.join("background-jobs");
    let path = directory.join("SKILL.md");
    std::fs::create_dir_all(&directory)
        .and_then(|()| std::fs::write(&path, SKILL))
        .map_err(|error| Failure::new(codes::FAILED, format!("write `{}`: {error}", path.display())))?;
    tell(&format!("wrote {}", path.display()));
    Ok(ExitCode::SUCCESS)
}
