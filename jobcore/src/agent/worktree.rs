//! Git worktrees of runs, so that several agents can work on one repository: each has files and a branch of its own.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::Instant;

use super::AgentError;
use super::Worktree;
use crate::environment::Environment;
use crate::error::{Error, IoContext, Result};
use crate::sys;
use crate::words::counted;

/// How long others may take to make theirs: a large repository is copied.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often that is looked at.
const PAUSE: Duration = Duration::from_millis(10);

/// What makes git look at another repository than that of the directory in which it runs. Whoever runs in a hook of git
/// has them.
pub(crate) const REPOSITORY_VARIABLES: [&str; 6] =
    ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY"];

/// What a new worktree and its branch are called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a> {
    /// The name of its directory, and of its branch after `jobcore/`.
    pub(crate) name: &'a str,
    /// What is added to that if it is taken.
    pub(crate) other: &'a str,
    /// The branch, if it has a name of its own.
    pub(crate) branch: Option<&'a str>,
}

impl Worktree {
    /// Makes a worktree of the repository of `cwd`, at its present commit and on a new branch. It is beside the repository:
    /// `REPOSITORY-worktrees/NAME`. Returns it with the directory in it that `cwd` is in the repository.
    ///
    /// Where a worktree or a branch has the name already, `other` is added to it; a branch that is given has to be new.
    /// Hooks run as git has them; if one fails, nothing is left.
    pub(crate) async fn create(
        cwd: &Path,
        Names { name, other, branch }: Names<'_>,
        environment: &Environment,
    ) -> Result<(Self, PathBuf)> {
        let _lock = lock(cwd, environment).await?;
        let repository = repository(cwd, environment).await?;
        if git(cwd, ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], environment).await.is_err() {
            return Err(failed(
                "the repository has no commit yet, and a worktree begins at one; commit something first",
            ));
        }
        let subdirectory = git(cwd, ["rev-parse", "--show-prefix"], environment).await?;
        let mut directory = repository.file_name().unwrap_or_default().to_owned();
        directory.push("-worktrees");
        let directory = repository.with_file_name(directory);
        let own = |name: &str| {
            let branch = branch.map_or_else(|| format!("jobcore/{name}"), str::to_owned);
            Self::new(repository.clone(), directory.join(name), branch)
        };
        let mut worktree = own(name);
        worktree.check_branch(environment).await?;
        let is_taken = has_branch(cwd, &worktree.branch, environment).await;
        if is_taken && branch.is_some() {
            let reason =
                format!("a branch named `{}` exists already; `--worktree=BRANCH` takes a new one", worktree.branch);
            return Err(failed(reason));
        }
        if is_taken || worktree.path.exists() {
            worktree = own(&format!("{name}-{other}"));
        }
        if worktree.path.exists() {
            return Err(failed(format!("`{}` exists already", worktree.path.display())));
        }
        worktree.add(cwd, environment).await?;
        let inside = worktree.path.join(subdirectory.trim_end_matches('\n'));
        if inside.is_dir() {
            return Ok((worktree, inside));
        }
        worktree.take_away(environment).await?;
        let reason = "it is not part of the commit, so a worktree has none".to_owned();
        Err(Error::BadCwd { path: cwd.to_owned(), reason })
    }

    /// Refuses a branch that git would not make, in words that fit.
    async fn check_branch(&self, environment: &Environment) -> Result<()> {
        let branch = &self.branch;
        let is_valid = git(&self.repository, ["check-ref-format", "--branch", branch], environment).await.is_ok();
        // That one git takes for the commit that is checked out.
        if !is_valid || branch == "@" {
            let reason = format!("`{branch}` is no name that a branch can have; `--worktree=BRANCH` takes another");
            return Err(Error::InvalidSpec { field: "worktree", reason });
        }
        let below = format!("refs/heads/{branch}/");
        let below = ["for-each-ref", "--count=1", "--format=%(refname:lstrip=2)", &below];
        let mut blocking =
            Some(git(&self.repository, below, environment).await?.trim().to_owned()).filter(|b| !b.is_empty());
        for (end, _) in branch.match_indices('/') {
            let above = &branch[..end];
            if has_branch(&self.repository, above, environment).await {
                blocking = Some(above.to_owned());
            }
        }
        if let Some(other) = blocking {
            let reason =
                format!("beside the branch `{other}` there cannot be `{branch}`; `--worktree=BRANCH` takes another");
            return Err(failed(reason));
        }
        Ok(())
    }

    /// Has git make it. Neither it nor its branch may be there before: what is there after a failure was made here.
    async fn add(&self, cwd: &Path, environment: &Environment) -> Result<()> {
        let path = self.path.to_string_lossy();
        let words = ["worktree", "add", "--quiet", "--no-track", "-b", &self.branch, "--", &path, "HEAD"];
        let Err(mut error) = git(cwd, words, environment).await else { return Ok(()) };
        // Git itself takes away all but what a hook does not like.
        if let (true, Some(AgentError::Git { reason })) = (self.path.exists(), AgentError::of(&error)) {
            error = failed(format!("a hook, post-checkout it may be, failed in the new worktree: {reason}"));
        }
        if let Err(left) = self.take_away(environment).await {
            tracing::warn!(path = %self.path.display(), error = %left, "a worktree that failed was left");
        }
        Err(error)
    }

    /// Says what would be lost with it: changes that are in no commit, and commits that no other branch or tag has.
    pub(crate) async fn losses(&self, environment: &Environment) -> Result<Option<String>> {
        if self.is_orphan()? {
            return Ok(None);
        }
        let mut losses = Vec::new();
        let mut tips = Vec::new();
        let branch = format!("refs/heads/{}", self.branch);
        let records = self.records(environment).await?;
        let place = records.as_ref().map(|records| self.options(records)).unwrap_or_default();
        let ask = async |words: &[&str]| {
            git(&self.repository, place.iter().map(String::as_str).chain(words.iter().copied()), environment).await
        };
        if records.is_some() {
            tips.push("HEAD");
        }
        if records.is_some() && self.path.exists() {
            // Git would look at a submodule by what is in it, which may have been put there to run something.
            let words = ["status", "--porcelain", "--untracked-files=normal", "--ignore-submodules=dirty"];
            let changes = ask(&words).await?.lines().count();
            losses.extend((changes > 0).then(|| counted(changes, "uncommitted change", "uncommitted changes")));
            let index = ask(&["ls-files", "--stage", "-z"]).await?;
            let submodules = index.split('\0').filter(|line| line.starts_with("160000 "));
            let paths = submodules.filter_map(|line| line.split_once('\t')).map(|(_, path)| self.path.join(path));
            let submodules = paths.filter(|path| path.join(".git").symlink_metadata().is_ok()).count();
            losses
                .extend((submodules > 0).then(|| counted(submodules, "submodule with files", "submodules with files")));
        }
        if has_branch(&self.repository, &self.branch, environment).await {
            tips.push(&branch);
        }
        if !tips.is_empty() {
            let exclude = format!("--exclude={}", self.branch);
            let others = ["--not", &exclude, "--branches", "--tags", "--remotes", "--"];
            let words: Vec<_> = ["rev-list", "--count"].into_iter().chain(tips).chain(others).collect();
            let count = ask(&words).await?;
            let commits: u64 = count.trim().parse().map_err(|_| failed(format!("it counts `{count}` commits")))?;
            losses.extend((commits > 0).then(|| counted(commits, "commit", "commits") + " that no other branch has"));
        }
        Ok((!losses.is_empty()).then(|| losses.join(" and ")))
    }

    /// Removes it and its branch, with all that would be lost.
    pub(crate) async fn remove(&self, environment: &Environment) -> Result<()> {
        if self.is_orphan()? {
            return Ok(());
        }
        let _lock = lock(&self.repository, environment).await?;
        self.take_away(environment).await
    }

    async fn take_away(&self, environment: &Environment) -> Result<()> {
        if self.records(environment).await?.is_some() {
            // Twice, for one that is locked, too.
            let words = ["worktree", "remove", "--force", "--force", "--", &self.path.to_string_lossy()];
            git(&self.repository, words, environment).await?;
        }
        if has_branch(&self.repository, &self.branch, environment).await {
            git(&self.repository, ["branch", "--quiet", "-D", "--", &self.branch], environment).await?;
        }
        // Once it has none any more.
        let _ = self.path.parent().map(std::fs::remove_dir);
        Ok(())
    }

    /// Returns whether both it and its repository are gone, and refuses it if only the repository is.
    fn is_orphan(&self) -> Result<bool> {
        let (repository, path) = (self.repository.display(), self.path.display());
        match (self.repository.exists(), self.path.exists()) {
            (true, _) => Ok(false),
            (false, false) => Ok(true),
            (false, true) => {
                let reason = format!("move it back, or remove the worktree `{path}` yourself");
                Err(failed(format!("the repository `{repository}` is not there any more; {reason}")))
            }
        }
    }

    /// Returns the directory in which the repository keeps what it knows of this worktree, if it does. A worktree that does
    /// not lead there is refused: its `.git` was in an agent's hands, and what is found through it may have git run anything.
    async fn records(&self, environment: &Environment) -> Result<Option<PathBuf>> {
        let own = self.path.join(".git");
        let leads = |directory: &Path, file: &Path, to: &Path| {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let text = text.trim_end_matches('\n');
            is_same(&directory.join(text.strip_prefix("gitdir: ").unwrap_or(text)), to)
        };
        let all = common_directory(&self.repository, environment).await?.join("worktrees");
        let all = std::fs::read_dir(all).into_iter().flatten().flatten().map(|entry| entry.path());
        let found = all.into_iter().find(|records| leads(records, &records.join("gitdir"), &own));
        let is_file = own.symlink_metadata().is_ok_and(|own| own.is_file());
        match &found {
            Some(records) if is_file && leads(&self.path, &own, records) => Ok(found),
            // Its directory was removed, or the whole of it.
            _ if !self.path.exists() => Ok(found),
            _ => {
                let (path, own) = (self.path.display(), own.display());
                let reason = format!("see what is in there, and remove `{path}` yourself");
                Err(failed(format!("`{own}` is not what git made there, and is not trusted; {reason}")))
            }
        }
    }

    /// Has git look at the worktree without being led by what is in it.
    fn options(&self, records: &Path) -> Vec<String> {
        let directory = format!("--git-dir={}", records.display());
        let tree = format!("--work-tree={}", self.path.display());
        // Both may name a program in the worktree.
        let without = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"].map(str::to_owned);
        [directory, tree].into_iter().chain(without).collect()
    }
}

fn failed(reason: impl Into<String>) -> Error {
    AgentError::Git { reason: reason.into() }.into()
}

fn is_same(one: &Path, other: &Path) -> bool {
    one == other
        || std::fs::canonicalize(one).is_ok_and(|one| std::fs::canonicalize(other).is_ok_and(|other| one == other))
}

/// Returns the main worktree of a repository, or what there is in the place of one.
async fn repository(cwd: &Path, environment: &Environment) -> Result<PathBuf> {
    let list = git(cwd, ["worktree", "list", "--porcelain"], environment).await?;
    let mut lines = list.lines();
    let main = lines.next().and_then(|line| line.strip_prefix("worktree ")).map(PathBuf::from);
    let main = main.ok_or_else(|| failed("it names no worktree of the repository"))?;
    if lines.next() == Some("bare") || main.join(".git").exists() {
        return Ok(main);
    }
    // Of a submodule, git names the directory in the repository it is part of.
    let top = git(cwd, ["rev-parse", "--show-toplevel"], environment).await?;
    Ok(PathBuf::from(top.trim_end_matches('\n')))
}

async fn common_directory(directory: &Path, environment: &Environment) -> Result<PathBuf> {
    let common = git(directory, ["rev-parse", "--path-format=absolute", "--git-common-dir"], environment).await?;
    Ok(PathBuf::from(common.trim_end_matches('\n')))
}

/// Waits until nobody else makes or removes worktrees of a repository: git fails where it finds one half made.
async fn lock(directory: &Path, environment: &Environment) -> Result<File> {
    let path = common_directory(directory, environment).await?.join("jobcore-worktrees.lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).context("open", &path)?;
    let deadline = Instant::now() + PATIENCE;
    while !sys::lock::try_take(&file).context("lock", &path)? {
        if Instant::now() >= deadline {
            let reason = format!("others have been making worktrees for {PATIENCE:?}; `{}` is locked", path.display());
            return Err(failed(reason));
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
    let output = command.output().await.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => failed("it is not in `PATH`, and a worktree needs it"),
        _ => failed(format!("it cannot be started: {error}")),
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    // Its hints are for somebody who calls it.
    let said: Vec<_> = said.trim().lines().filter(|line| !line.starts_with("hint:")).collect();
    Err(match said.is_empty() {
        true => failed(format!("it says nothing more than {}", output.status)),
        false => failed(said.join("\n").trim_start_matches("fatal: ")),
    })
}
