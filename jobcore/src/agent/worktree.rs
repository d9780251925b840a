//! Git worktrees of runs, so that several agents can work on one repository: each has its own files and branch.

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

/// How long other processes may take to create theirs: a large repository is copied.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the lock is checked.
const PAUSE: Duration = Duration::from_millis(10);

/// Variables that make git use another repository than that of the directory in which it runs. They are set in git
/// hooks.
pub(crate) const REPOSITORY_VARIABLES: [&str; 6] =
    ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY"];

/// The names for a new worktree and its branch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a> {
    /// The name of its directory, and of its branch after `jobcore/`.
    pub(crate) name: &'a str,
    /// The suffix if that name is taken.
    pub(crate) other: &'a str,
    /// The branch, if it was given explicitly.
    pub(crate) branch: Option<&'a str>,
}

impl Worktree {
    /// Creates a worktree of the repository of `cwd`, at its current commit and on a new branch, beside the repository:
    /// `REPOSITORY-worktrees/NAME`. Returns it with the directory in it that corresponds to `cwd`.
    ///
    /// If the name of the worktree or its branch is taken, `other` is appended; an explicit branch must be new. Hooks
    /// run as usual in git; if one fails, nothing is left behind.
    pub(crate) async fn create(
        cwd: &Path,
        Names { name, other, branch }: Names<'_>,
        environment: &Environment,
    ) -> Result<(Self, PathBuf)> {
        let _lock = lock(cwd, environment).await?;
        let repository = repository(cwd, environment).await?;
        if git(cwd, ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], environment).await.is_err() {
            return Err(failed("the repository has no commit yet, and a worktree needs one; commit something first"));
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
            let reason = format!(
                "a branch named `{}` already exists; choose a new one with `--worktree=BRANCH`",
                worktree.branch
            );
            return Err(failed(reason));
        }
        if is_taken || worktree.path.exists() {
            worktree = own(&format!("{name}-{other}"));
        }
        if worktree.path.exists() {
            return Err(failed(format!("`{}` already exists", worktree.path.display())));
        }
        worktree.add(cwd, environment).await?;
        let inside = worktree.path.join(subdirectory.trim_end_matches('\n'));
        if inside.is_dir() {
            return Ok((worktree, inside));
        }
        worktree.take_away(environment).await?;
        let reason = "it is not part of the commit, so a worktree does not contain it".to_owned();
        Err(Error::BadCwd { path: cwd.to_owned(), reason })
    }

    /// Refuses a branch that git would not create, with a helpful message.
    async fn check_branch(&self, environment: &Environment) -> Result<()> {
        let branch = &self.branch;
        let is_valid = git(&self.repository, ["check-ref-format", "--branch", branch], environment).await.is_ok();
        // Git takes `@` for the commit that is checked out.
        if !is_valid || branch == "@" {
            let reason = format!("`{branch}` is not a valid branch name; choose another with `--worktree=BRANCH`");
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
            let reason = format!(
                "branch `{branch}` conflicts with the existing branch `{other}`; choose another \
                 with `--worktree=BRANCH`"
            );
            return Err(failed(reason));
        }
        Ok(())
    }

    /// Has git create it. Neither the worktree nor its branch may exist before, so whatever is there after a failure
    /// was created here.
    async fn add(&self, cwd: &Path, environment: &Environment) -> Result<()> {
        let path = self.path.to_string_lossy();
        let words = ["worktree", "add", "--quiet", "--no-track", "-b", &self.branch, "--", &path, "HEAD"];
        let Err(mut error) = git(cwd, words, environment).await else { return Ok(()) };
        // Git itself removes everything, except when a hook fails.
        if let (true, Some(AgentError::Git { reason })) = (self.path.exists(), AgentError::of(&error)) {
            error = failed(format!("a git hook (perhaps post-checkout) failed in the new worktree: {reason}"));
        }
        if let Err(left) = self.take_away(environment).await {
            tracing::warn!(path = %self.path.display(), error = %left, "a worktree that failed could not be removed");
        }
        Err(error)
    }

    /// Returns what would be lost with it: uncommitted changes, and commits that are on no other branch or tag.
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
            // Git would inspect a submodule by its contents, which may have been prepared to run something.
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
            let commits: u64 =
                count.trim().parse().map_err(|_| failed(format!("it printed `{count}` for a number of commits")))?;
            losses.extend((commits > 0).then(|| counted(commits, "commit", "commits") + " that no other branch has"));
        }
        Ok((!losses.is_empty()).then(|| losses.join(" and ")))
    }

    /// Removes it and its branch, with everything that would be lost.
    pub(crate) async fn remove(&self, environment: &Environment) -> Result<()> {
        if self.is_orphan()? {
            return Ok(());
        }
        let _lock = lock(&self.repository, environment).await?;
        self.take_away(environment).await
    }

    async fn take_away(&self, environment: &Environment) -> Result<()> {
        if self.records(environment).await?.is_some() {
            // Given twice to remove a locked worktree as well.
            let words = ["worktree", "remove", "--force", "--force", "--", &self.path.to_string_lossy()];
            git(&self.repository, words, environment).await?;
        }
        if has_branch(&self.repository, &self.branch, environment).await {
            git(&self.repository, ["branch", "--quiet", "-D", "--", &self.branch], environment).await?;
        }
        // Succeeds once it is empty.
        let _ = self.path.parent().map(std::fs::remove_dir);
        Ok(())
    }

    /// Returns whether both the worktree and its repository are gone. Fails if only the repository is.
    fn is_orphan(&self) -> Result<bool> {
        let (repository, path) = (self.repository.display(), self.path.display());
        match (self.repository.exists(), self.path.exists()) {
            (true, _) => Ok(false),
            (false, false) => Ok(true),
            (false, true) => {
                let reason = format!("move it back, or remove the worktree `{path}` yourself");
                Err(failed(format!("the repository `{repository}` no longer exists; {reason}")))
            }
        }
    }

    /// Returns the directory in which the repository keeps its records of this worktree, if any. A worktree that does
    /// not point there is refused: an agent had access to its `.git` file, and could make git run anything through it.
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
            // Only its directory was removed, or all of it.
            _ if !self.path.exists() => Ok(found),
            _ => {
                let (path, own) = (self.path.display(), own.display());
                let reason = format!("inspect it, and remove `{path}` yourself");
                Err(failed(format!("`{own}` is not what git created there, and is not trusted; {reason}")))
            }
        }
    }

    /// Returns options with which git inspects the worktree without following its contents.
    fn options(&self, records: &Path) -> Vec<String> {
        let directory = format!("--git-dir={}", records.display());
        let tree = format!("--work-tree={}", self.path.display());
        // Both settings can name a program in the worktree.
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

/// Returns the main worktree of a repository, or what takes its place.
async fn repository(cwd: &Path, environment: &Environment) -> Result<PathBuf> {
    let list = git(cwd, ["worktree", "list", "--porcelain"], environment).await?;
    let mut lines = list.lines();
    let main = lines.next().and_then(|line| line.strip_prefix("worktree ")).map(PathBuf::from);
    let main = main.ok_or_else(|| failed("it lists no worktree of the repository"))?;
    if lines.next() == Some("bare") || main.join(".git").exists() {
        return Ok(main);
    }
    // For a submodule, git lists its directory inside the parent repository.
    let top = git(cwd, ["rev-parse", "--show-toplevel"], environment).await?;
    Ok(PathBuf::from(top.trim_end_matches('\n')))
}

async fn common_directory(directory: &Path, environment: &Environment) -> Result<PathBuf> {
    let common = git(directory, ["rev-parse", "--path-format=absolute", "--git-common-dir"], environment).await?;
    Ok(PathBuf::from(common.trim_end_matches('\n')))
}

/// Waits until no other process is creating or removing worktrees of a repository: git fails if it finds one half
/// created.
async fn lock(directory: &Path, environment: &Environment) -> Result<File> {
    let path = common_directory(directory, environment).await?.join("jobcore-worktrees.lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).context("open", &path)?;
    let deadline = Instant::now() + PATIENCE;
    while !sys::lock::try_take(&file).context("lock", &path)? {
        if Instant::now() >= deadline {
            let reason = format!(
                "other processes have been changing worktrees for {PATIENCE:?}; `{}` is locked",
                path.display()
            );
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

/// Runs git in a directory, with the environment of a job, and returns its output.
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
        std::io::ErrorKind::NotFound => failed("it is not in `PATH`, and worktrees need it"),
        _ => failed(format!("it cannot be started: {error}")),
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    // Its hints are for interactive users.
    let said: Vec<_> = said.trim().lines().filter(|line| !line.starts_with("hint:")).collect();
    Err(match said.is_empty() {
        true => failed(format!("it failed without a message: {}", output.status)),
        false => failed(said.join("\n").trim_start_matches("fatal: ")),
    })
}
