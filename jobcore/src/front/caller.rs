//! Who calls, and for which project.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::{Caller, JobId, JobManager, Name};

/// Hosts that tell the programs that they start in which conversation they are, and by which variable.
const CONVERSATIONS: [(&str, &str); 2] = [("claude-code", "CLAUDE_CODE_SESSION_ID"), ("codex", "CODEX_THREAD_ID")];
/// Hosts that only tell that it is they who call.
const HOSTS: [(&str, &str); 3] =
    [("claude-code", "CLAUDECODE"), ("gemini-cli", "GEMINI_CLI"), ("opencode", "OPENCODE")];

/// Returns the conversation that this program is called from, by what its host has put into the environment; nothing if no agent
/// calls. The jobs of an agent do not inherit these variables, see
/// [`AGENT_SESSION_VARIABLES`](crate::environment::AGENT_SESSION_VARIABLES), so that what a job submits is not its own.
pub fn of_environment(project: impl Fn() -> Option<PathBuf>) -> Option<Caller> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let conversation = |(host, variable): &(&str, &str)| Caller::new(host.parse().ok()?, set(variable)?).ok();
    let host = |(host, variable): &(&str, &str)| set(variable).and_then(|_| of_project(host, &project()?));
    CONVERSATIONS.iter().find_map(conversation).or_else(|| HOSTS.iter().find_map(host))
}

/// Returns the caller for a host that does not tell its conversations apart: they are one in each project.
pub fn of_project(host: &str, project: &Path) -> Option<Caller> {
    Caller::new(host_name(host)?, project.to_string_lossy()).ok()
}

/// Returns the name of a host as it calls itself, as far as a [`Name`] can have it.
pub fn host_name(host: &str) -> Option<Name> {
    let host: String = host
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c.to_ascii_lowercase() } else { '-' })
        .take(64)
        .collect();
    match host.trim_start_matches(['.', '-', '_']) {
        "codex-mcp-client" => "codex",
        host => host,
    }
    .parse()
    .ok()
}

/// Returns the project that a directory belongs to: the top of the git worktree that it is in, or else the directory itself.
pub fn project_of(directory: &Path) -> PathBuf {
    directory.ancestors().find(|path| is_worktree(path)).unwrap_or(directory).to_owned()
}

/// Finds the job that somebody means who is in the current directory: names are first those of its project.
///
/// # Errors
/// As [`JobManager::find_in`].
pub async fn find(jobs: &JobManager, reference: &str) -> Result<JobId> {
    // No name is a part of an id, and hardly anything is worth a walk through directories.
    let may_be_name = reference.bytes().any(|byte| !byte.is_ascii_hexdigit() && byte != b'-');
    let directory = if may_be_name { std::env::current_dir().ok() } else { None };
    jobs.find_in(reference, directory.as_deref().map(project_of).as_deref()).await
}

/// Returns whether a directory is the top of a git worktree: a linked one has a file in the place of the repository.
fn is_worktree(path: &Path) -> bool {
    let repository = path.join(".git");
    repository.metadata().is_ok_and(|found| found.is_file() || repository.join("HEAD").exists())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_project_is_the_top_of_its_worktree() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        assert_eq!(project_of(&inner), inner);
        fs::create_dir(directory.path().join("a/b/.git")).unwrap();
        assert_eq!(project_of(&inner.join("c")), inner.join("c"), "an empty directory is no repository");
        fs::write(directory.path().join("a/.git"), "gitdir: elsewhere").unwrap();
        assert_eq!(project_of(&inner), directory.path().join("a"));
    }

    #[test]
    fn a_host_is_named_as_it_calls_itself() {
        for (said, name) in [
            ("claude-code", "claude-code"),
            ("codex-mcp-client", "codex"),
            ("Visual Studio Code", "visual-studio-code"),
        ] {
            assert_eq!(host_name(said).unwrap().as_str(), name);
        }
        assert_eq!(host_name(""), None);
        assert_eq!(of_project("é!", Path::new("/src")), None);
        assert_eq!(of_project("cursor", Path::new("/src")).unwrap().to_string(), "cursor:/src");
    }
}
