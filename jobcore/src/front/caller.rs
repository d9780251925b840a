//! The caller of a front end, and its project.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::{Caller, JobId, JobManager, Name};

/// Hosts that pass the id of their conversation to the programs that they start, and the variable that holds it.
const CONVERSATIONS: [(&str, &str); 2] = [("claude-code", "CLAUDE_CODE_SESSION_ID"), ("codex", "CODEX_THREAD_ID")];
/// Hosts that only reveal that they are the caller.
const HOSTS: [(&str, &str); 3] =
    [("claude-code", "CLAUDECODE"), ("gemini-cli", "GEMINI_CLI"), ("opencode", "OPENCODE")];

/// Returns the conversation that this program is called from, according to the variables that its host has set, or
/// `None` if the caller is not an agent. The jobs of an agent do not inherit these variables, see
/// [`AGENT_SESSION_VARIABLES`](crate::environment::AGENT_SESSION_VARIABLES), so that jobs submitted by a job are not
/// attributed to the agent.
pub fn of_environment(project: impl Fn() -> Option<PathBuf>) -> Option<Caller> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let conversation = |(host, variable): &(&str, &str)| Caller::new(host.parse().ok()?, set(variable)?).ok();
    let host = |(host, variable): &(&str, &str)| set(variable).and_then(|_| of_project(host, &project()?));
    CONVERSATIONS.iter().find_map(conversation).or_else(|| HOSTS.iter().find_map(host))
}

/// Returns the caller for a host that does not tell its conversations apart: one per project.
pub fn of_project(host: &str, project: &Path) -> Option<Caller> {
    Caller::new(host_name(host)?, project.to_string_lossy()).ok()
}

/// Returns a host's name for itself, as far as a [`Name`] can express it.
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

/// Returns the project of a directory: the top of the git worktree that contains it, or else the directory itself.
pub fn project_of(directory: &Path) -> PathBuf {
    directory.ancestors().find(|path| is_worktree(path)).unwrap_or(directory).to_owned()
}

/// Finds a job by a reference that was given in the current directory: names of its project take precedence.
///
/// # Errors
/// See [`JobManager::find_in`].
pub async fn find(jobs: &JobManager, reference: &str) -> Result<JobId> {
    // A name cannot look like a part of an id, so for such references the walk through the directories is saved.
    let may_be_name = reference.bytes().any(|byte| !byte.is_ascii_hexdigit() && byte != b'-');
    let directory = if may_be_name { std::env::current_dir().ok() } else { None };
    jobs.find_in(reference, directory.as_deref().map(project_of).as_deref()).await
}

/// Returns whether a directory is the top of a git worktree. A linked worktree has a file in place of the repository.
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
        assert_eq!(project_of(&inner.join("c")), inner.join("c"), "an empty directory is not a repository");
        fs::write(directory.path().join("a/.git"), "gitdir: elsewhere").unwrap();
        assert_eq!(project_of(&inner), directory.path().join("a"));
    }

    #[test]
    fn a_host_is_named_after_its_own_name_for_itself() {
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
