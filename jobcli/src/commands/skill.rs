use std::io::Write;
use std::process::ExitCode;

use jobcore::front::{Failure, codes};

use super::{Result, tell};
use crate::cli::Skill;

/// What teaches an agent when and how to use jobs: the plugins ship the same.
const TEXT: &str = include_str!("../skill.md");

pub(super) fn run(arguments: &Skill) -> Result {
    let Some(directory) = &arguments.dir else {
        std::io::stdout().write_all(TEXT.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    };
    let directory = directory.join("background-jobs");
    let path = directory.join("SKILL.md");
    std::fs::create_dir_all(&directory)
        .and_then(|()| std::fs::write(&path, TEXT))
        .map_err(|error| Failure::new(codes::FAILED, format!("write `{}`: {error}", path.display())))?;
    tell(&format!("wrote {}", path.display()));
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_ships_the_same_skill() {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../jobmcp/plugins/claude-code/skills/background-jobs/SKILL.md");
        assert_eq!(std::fs::read_to_string(path).unwrap(), TEXT);
    }
}
