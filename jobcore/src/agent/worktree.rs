//! Git worktrees of runs, so that several agents can work on one repository: each has files and a branch of its own.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::Instant;

use super::Worktree;
use crate::error::{Error, IoContext, Result};
use crate::spec::Environment;
use crate::sys;

/// How long others may take to make theirs: a large repository is copied.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often that is looked at.
const PAUSE: Duration = Duration::from_millis(10);

/// What makes git look at another repository than that of the directory in which it runs. Whoever runs in a hook of git
/// has them.
pub(crate) const REPOSITORY_VARIABLES: [&str; 6] =
    ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY"];

impl Worktree {
    /// Makes a worktree of the repository of `cwd`, at its present commit and on a new branch. It is beside the repository:
    /// `REPOSITORY-worktrees/NAME`. Returns it with the directory in it that `cwd` is in the repository.
    ///
    /// Where a worktree or a branch has the name already, `other` is added to it; a branch that is given has to be new.
    pub(crate) async fn create(
        cwd: &Path,
        (name, other): (&str, &str),
        branch: Option<&str>,
        environment: &Environment,
    ) -> Result<(Self, PathBuf)> {
        let _lock = lock(cwd, environment).await?;
        let list = git(cwd, ["worktree", "list", "--porcelain"], environment).await?;
        let repository = list.lines().next().and_then(|line| line.strip_prefix("worktree ")).map(PathBuf::from);
        let repository =
            repository.ok_or_else(|| Error::Git { reason: "it names no worktree of the repository".to_owned() })?;
        let subdirectory = git(cwd, ["rev-parse", "--show-prefix"], environment).await?;
        let mut directory = repository.file_name().unwrap_or_default().to_owned();
        directory.push("-worktrees");
        let directory = repository.with_file_name(directory);
        let own = |name: &str| (directory.join(name), branch.map_or_else(|| format!("jobcore/{name}"), str::to_owned));
        let (mut path, mut new) = own(name);
        // That a branch which was asked for is there already, git will say.
        if path.exists() || (branch.is_none() && has_branch(cwd, &new, environment).await) {
            (path, new) = own(&format!("{name}-{other}"));
        }
        let words = ["worktree", "add", "--quiet", "--no-track", "-b", &new, "--", &path.to_string_lossy(), "HEAD"];
        git(cwd, words, environment).await?;
        let worktree = Self::new(repository, path, new);
        let inside = worktree.path.join(subdirectory.trim_end_matches('\n'));
        if inside.is_dir() {
            return Ok((worktree, inside));
        }
        worktree.take_away(environment).await?;
        let reason = "it is not part of the commit, so a worktree has none".to_owned();
        Err(Error::BadCwd { path: cwd.to_owned(), reason })
    }

    /// Says what would be lost with it: changes that are in no commit, and commits that no other branch or tag has.
    pub(crate) async fn losses(&self, environment: &Environment) -> Result<Option<String>> {
        let mut losses = Vec::new();
        let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        let mut tips = Vec::new();
        if self.path.exists() {
            let changes = git(&self.path, ["status", "--porcelain"], environment).await?.lines().count();
            losses.extend((changes > 0).then(|| count(changes, "uncommitted change")));
            tips.push("HEAD");
        }
        if self.repository.exists() && has_branch(&self.repository, &self.branch, environment).await {
            tips.push(&self.branch);
        }
        if !tips.is_empty() {
            let place = if self.path.exists() { &self.path } else { &self.repository };
            let exclude = format!("--exclude={}", self.branch);
            let others = ["--not", &exclude, "--branches", "--tags", "--remotes"];
            let words = ["rev-list", "--count"].into_iter().chain(tips).chain(others);
            let commits = git(place, words, environment).await?.trim().parse().unwrap_or(0);
            losses.extend((commits > 0).then(|| count(commits, "commit") + " that no other branch has"));
        }
        Ok((!losses.is_empty()).then(|| losses.join(" and ")))
    }

    /// Removes it and its branch, with all that would be lost.
    pub(crate) async fn remove(&self, environment: &Environment) -> Result<()> {
        if !self.repository.exists() {
            return Ok(());
        }
        let _lock = lock(&self.repository, environment).await?;
        self.take_away(environment).await
    }

    async fn take_away(&self, environment: &Environment) -> Result<()> {
        match self.path.exists() {
            // Twice, for one that is locked, too.
            true => {
                let words = ["worktree", "remove", "--force", "--force", "--", &self.path.to_string_lossy()];
                git(&self.repository, words, environment).await?;
            }
            false => drop(git(&self.repository, ["worktree", "prune"], environment).await?),
        }
        if has_branch(&self.repository, &self.branch, environment).await {
            git(&self.repository, ["branch", "--quiet", "-D", "--", &self.branch], environment).await?;
        }
        // Once it has none any more.
        let _ = self.path.parent().map(std::fs::remove_dir);
        Ok(())
    }
}

/// Waits until nobody else makes or removes worktrees of a repository: git fails where it finds one half made.
async fn lock(directory: &Path, environment: &Environment) -> Result<File> {
    let common = git(directory, ["rev-parse", "--path-format=absolute", "--git-common-dir"], environment).await?;
    let path = Path::new(common.trim_end_matches('\n')).join("jobcore-worktrees.lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).context("open", &path)?;
    let deadline = Instant::now() + PATIENCE;
    while !sys::lock::try_take(&file).context("lock", &path)? {
        if Instant::now() >= deadline {
            let reason = format!("others have been making worktrees for {PATIENCE:?}; `{}` is locked", path.display());
            return Err(Error::Git { reason });
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(file)
}

async fn has_branch(directory: &Path, branch: &str, environment: &Environment) -> bool {
    let reference = format!("refs/heads/{branch}");
    git(directory, ["show-ref", "--verify", "--quiet", &reference], environment).await.is_ok()
}

/// Runs git in a directory, in the environment of a job, and returns what it prints.
async fn git<'a>(
    directory: &Path,
    words: impl IntoIterator<Item = &'a str>,
    environment: &Environment,
) -> Result<String> {
    let mut command = Command::new("git");
    command.env_clear().envs(environment.iter()).env("LC_ALL", "C");
    for variable in REPOSITORY_VARIABLES {
        command.env_remove(variable);
    }
    command.arg("-C").arg(directory).args(words).stdin(std::process::Stdio::null()).kill_on_drop(true);
    let failed = |error: std::io::Error| Error::Git { reason: format!("it cannot be started: {error}") };
    let output = command.output().await.map_err(failed)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::Git { reason: said.trim().trim_start_matches("fatal: ").to_owned() })
}
