//! Shell completion.
//!
//! The scripts that `jobcli completions` prints run this program again at each Tab, with a variable set. It only reads
//! the store: no store is created, and no job is started or put under a supervisor. Errors are not reported, because
//! they would be printed into the line being typed.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::Command;
use clap::builder::StyledStr;
use clap_complete::env::Shells;
use clap_complete::{ArgValueCandidates, ArgValueCompleter, CompleteEnv, CompletionCandidate, Shell};
use jobcore::agent::PermissionMode;
use jobcore::clock::Timestamp;
use jobcore::front::Settings;
use jobcore::front::store_settings;
use jobcore::front::text::fit;
use jobcore::query::SortKey;
use jobcore::store::{IdPrefix, JobStore};
use jobcore::{FileStore, Job, JobId, Query, Status};

/// zsh loads a file of its `fpath` at the first Tab, and expects the file to answer that Tab. The library's script only
/// defines the function for later ones, so without this the first Tab would offer nothing.
const ANSWER_FIRST_TAB: &str = r#"
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _clap_dynamic_completer_jobcli "$@"
fi
"#;
/// The variable that the scripts set to the name of the shell.
const VARIABLE: &str = "JOBCLI_COMPLETE";
/// How many jobs are offered at most, newest first.
const MOST: usize = 100;
/// How many columns of its command are shown beside a job.
const COMMAND_WIDTH: usize = 50;

/// If a shell asks for completions, prints them and exits.
pub(crate) fn answer_if_asked(command: fn() -> Command) {
    // Calls that are not for completion pay for no more than this check.
    if std::env::var_os(VARIABLE).is_some() {
        CompleteEnv::with_factory(command).var(VARIABLE).complete();
    }
}

/// Returns the script that makes a shell ask for completions.
pub(crate) fn script(shell: Shell) -> io::Result<Vec<u8>> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let adapter = shells.completer(&shell.to_string()).ok_or(io::ErrorKind::Unsupported)?;
    adapter.write_registration(VARIABLE, "jobcli", "jobcli", "jobcli", &mut script)?;
    if shell == Shell::Zsh {
        script.extend_from_slice(ANSWER_FIRST_TAB.as_bytes());
    }
    Ok(script)
}

/// Completes ids and names of jobs.
pub(crate) fn jobs() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| named_jobs(typed, |_| true))
}

/// Completes ids and names of jobs that are unfinished or still supervised.
pub(crate) fn live_jobs() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| named_jobs(typed, |job| !job.status().is_final() || job.held))
}

/// Completes ids and names of schedules.
pub(crate) fn schedules() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        named_jobs(typed, |job| !job.status().is_final() && job.spec.repeat.is_some())
    })
}

/// Completes names of jobs.
pub(crate) fn names() -> ArgValueCompleter {
    words(async |store| {
        let jobs = newest(&store).await?;
        Ok(jobs.into_iter().filter_map(|job| job.spec.name).map(|name| name.to_string()).collect())
    })
}

/// Completes the labels of jobs.
pub(crate) fn labels() -> ArgValueCompleter {
    words(async |store| {
        let labels = newest(&store).await?.into_iter().flat_map(|job| job.spec.labels);
        Ok(labels.map(|(name, value)| if value.is_empty() { name } else { format!("{name}={value}") }).collect())
    })
}

/// Completes groups: those with a limit, and those of running and waiting jobs.
pub(crate) fn groups() -> ArgValueCompleter {
    words(async |store| {
        let load = store.load().await?;
        let busy = load.running.into_iter().chain(load.waiting).filter_map(|slot| slot.group);
        Ok(load.settings.groups.into_keys().chain(busy).map(|group| group.to_string()).collect())
    })
}

/// Completes the names of settings of the store.
pub(crate) fn settings() -> ArgValueCompleter {
    words(async |store| {
        let entries = store_settings::entries(&store.settings().await?)?;
        Ok(entries.into_iter().map(|(key, _)| key).collect())
    })
}

/// Completes statuses.
pub(crate) fn statuses() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        Status::ALL.into_iter().map(|status| CompletionCandidate::new(status.as_str())).collect()
    })
}

/// Completes sort keys of lists.
pub(crate) fn sort_keys() -> ArgValueCandidates {
    ArgValueCandidates::new(|| SortKey::ALL.into_iter().map(|key| CompletionCandidate::new(key.as_str())).collect())
}

/// Completes permission modes of agents.
pub(crate) fn permission_modes() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        PermissionMode::ALL.into_iter().map(|mode| CompletionCandidate::new(mode.as_str())).collect()
    })
}

/// Completes the names of agents.
pub(crate) fn agents() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let agents = settings_of_line().map(|settings| settings.agents).unwrap_or_default();
        agents.names().map(CompletionCandidate::new).collect()
    })
}

/// Completes words found in the store, each once.
fn words(
    find: impl AsyncFn(FileStore) -> jobcore::Result<BTreeSet<String>> + Send + Sync + 'static,
) -> ArgValueCompleter {
    ArgValueCompleter::new(move |typed: &OsStr| {
        let typed = typed.to_string_lossy();
        // Some shells would split or expand other words.
        let is_plain = |c: char| c.is_alphanumeric() || "._-=/:@+,".contains(c);
        let found = look(&find).into_iter().filter(|word| word.starts_with(&*typed) && word.chars().all(is_plain));
        found.map(CompletionCandidate::new).collect()
    })
}

/// Finds jobs, newest first: each by its short id, and the newest of each name also by that name.
fn named_jobs(typed: &OsStr, is_wanted: fn(&Job) -> bool) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let found = look(async |store| {
        let mut jobs = newest(&store).await?;
        if let Ok(prefix) = typed.parse::<IdPrefix>() {
            // A typed part of an id may belong to an old job.
            let ids = store.ids(&Query::default().with_prefix(prefix), None, MOST).await?;
            let older: Vec<_> = ids.into_iter().filter(|id| jobs.iter().all(|job| job.id != *id)).collect();
            jobs.extend(read(&store, older).await);
        }
        Ok(jobs)
    });
    let mut names = BTreeSet::new();
    let mut candidates = Vec::new();
    for job in found {
        let name = job.spec.name.as_ref().filter(|name| names.insert((*name).clone())).map(|name| name.to_string());
        if !is_wanted(&job) {
            continue;
        }
        // The short id is the beginning of the tail, so a longer word is compared with the tail.
        let id = if typed.len() > job.id.short().len() { job.id.tail() } else { job.id.short() };
        let help = format!("{} {}", job.status(), fit(&command_line(&job), COMMAND_WIDTH));
        for word in name.into_iter().chain([id]).filter(|word| word.starts_with(typed)) {
            candidates.push(CompletionCandidate::new(word).help(Some(StyledStr::from(help.clone()))));
        }
    }
    candidates
}

fn command_line(job: &Job) -> String {
    job.shape(Timestamp::now()).command_line()
}

/// Reads the newest jobs, newest first.
async fn newest(store: &FileStore) -> jobcore::Result<Vec<Job>> {
    let ids = store.ids(&Query::default(), None, MOST).await?;
    Ok(read(store, ids).await)
}

/// Reads jobs. Those that cannot be read, or have been removed meanwhile, are left out.
async fn read(store: &FileStore, ids: Vec<JobId>) -> Vec<Job> {
    let mut jobs = Vec::new();
    for id in ids {
        if let Ok((job, _)) = store.evidence(id).await.and_then(|evidence| evidence.judge(Timestamp::now())) {
            jobs.push(job);
        }
    }
    jobs
}

/// Reads from the store that the command line names, if it exists.
fn look<T: Default>(find: impl AsyncFnOnce(FileStore) -> jobcore::Result<T>) -> T {
    let found = || {
        let root = settings_of_line()?.store;
        // Opening a store creates it.
        let store = if root.join("format").exists() { FileStore::open(root).ok()? } else { return None };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        runtime.block_on(find(store)).ok()
    };
    found().unwrap_or_default()
}

/// Returns the settings that apply to the command line being typed.
fn settings_of_line() -> Option<Settings> {
    let [store, config] = whereabouts(std::env::args_os());
    Settings::read(store, config).ok()
}

/// Returns the store and the settings file that a command line names.
fn whereabouts(line: impl IntoIterator<Item = OsString>) -> [Option<PathBuf>; 2] {
    let mut found = [None, None];
    let mut line = line.into_iter();
    while let Some(word) = line.next() {
        for (flag, named) in ["--store", "--config"].into_iter().zip(&mut found) {
            match word.as_bytes().strip_prefix(flag.as_bytes()) {
                Some([]) => *named = line.next().map(PathBuf::from),
                Some([b'=', path @ ..]) => *named = Some(OsStr::from_bytes(path).into()),
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_named_on_the_line_is_used() {
        let line = ["jobcli", "--", "jobcli", "--store", "/a", "show", "--json", "--config=/b", "3f"];
        assert_eq!(whereabouts(line.map(OsString::from)), [Some("/a".into()), Some("/b".into())]);
    }
}
