//! Finding and reading the file, and the order in which its jobs are started.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jobcore::Name;
use jobcore::front::{Failure, codes};
use serde_json::{Map, Value};

use super::jobs::Jobs;
use super::{own, pitchfork, process_compose, procfile};

type Result<T> = std::result::Result<T, Failure>;
/// Reads a file of one format, and notes what it ignores.
type Reader = fn(&str, &mut Vec<String>) -> std::result::Result<Jobs, String>;

/// The files that are searched for, in this order, with their readers.
const FILES: [(&str, Reader); 7] = [
    ("jobs.toml", own::toml),
    ("jobs.json", own::json),
    ("process-compose.yaml", process_compose::read),
    ("process-compose.yml", process_compose::read),
    ("pitchfork.toml", pitchfork::read),
    ("Procfile.dev", procfile::read),
    ("Procfile", procfile::read),
];

/// The fields of `run --spec` that name jobs to start first.
const AFTER: [&str; 4] = ["after", "after_ok", "after_failed", "after_ready"];
/// A field that only project files have: jobs to start first. A job waits until they are ready, if they have `ready`.
const NEEDS: &str = "needs";

/// The jobs of a project.
pub(crate) struct Project {
    /// The file.
    pub(crate) path: PathBuf,
    /// The directory of jobs without `cwd`.
    pub(crate) directory: PathBuf,
    /// The spec of each job, as for `run --spec`, without its name.
    pub(crate) jobs: BTreeMap<Name, Map<String, Value>>,
    /// What the file contains but is ignored.
    pub(crate) left_out: Vec<String>,
}

impl Project {
    /// Reads the given file, or the first one found in `directory` or above it, up to `top`.
    pub(crate) fn open(file: Option<&Path>, directory: &Path, top: &Path) -> Result<Self> {
        let (path, reader) = match file {
            Some(file) => (directory.join(file), reader_of(file)),
            None => found(directory, top)?,
        };
        let wrong = |reason: String| Failure::new(codes::USAGE, format!("{}: {reason}", path.display()));
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
        let mut left_out = Vec::new();
        let mut jobs = BTreeMap::new();
        for (name, spec) in reader(&text, &mut left_out).map_err(wrong)? {
            jobs.insert(name.parse().map_err(|error| wrong(format!("{error}")))?, spec);
        }
        if jobs.is_empty() {
            return Err(wrong("it defines no jobs".to_owned()));
        }
        let directory = path.parent().unwrap_or(directory).to_owned();
        let project = Self { path, directory, jobs, left_out };
        project.check_needs()?;
        Ok(project)
    }

    /// Refuses a job that needs one not in the file.
    fn check_needs(&self) -> Result<()> {
        for (name, spec) in &self.jobs {
            let needs = spec.get(NEEDS).map(|needs| needs.as_array().cloned().unwrap_or_else(|| vec![needs.clone()]));
            for need in needs.into_iter().flatten() {
                let is_there = need.as_str().is_some_and(|need| self.jobs.keys().any(|name| name.as_str() == need));
                if !is_there {
                    let reason = format!("{}: `{name}` needs {need}, which is not a job in it", self.path.display());
                    return Err(Failure::new(codes::USAGE, reason));
                }
            }
        }
        Ok(())
    }

    /// Returns the spec of a job, as for `run --spec`. Jobs of the file that it refers to are replaced by their ids
    /// from `id_of`.
    pub(crate) fn spec(&self, name: &Name, id_of: impl Fn(&Name) -> Option<String>) -> Map<String, Value> {
        let mut spec = self.jobs.get(name).cloned().unwrap_or_default();
        let needs = spec.remove(NEEDS);
        for field in AFTER {
            for first in spec.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
                let id = first.as_str().and_then(|first| id_of(&first.parse().ok()?));
                if let Some(id) = id {
                    *first = id.into();
                }
            }
        }
        for first in needs.as_ref().and_then(Value::as_array).into_iter().flatten() {
            let first = first.as_str().and_then(|first| first.parse::<Name>().ok());
            let says_when = |first: &Name| self.jobs.get(first).is_some_and(|spec| spec.contains_key("ready"));
            if let Some(id) = first.filter(says_when).and_then(|first| id_of(&first)) {
                let after = spec.entry("after_ready").or_insert_with(|| Value::Array(Vec::new()));
                after.as_array_mut().into_iter().for_each(|after| after.push(id.clone().into()));
            }
        }
        spec
    }

    /// Returns the named jobs, or all, and the jobs that they depend on, each after its dependencies.
    pub(crate) fn in_order(&self, names: &[Name]) -> Result<Vec<&Name>> {
        let mut order = Vec::new();
        let wanted: Vec<&Name> = if names.is_empty() { self.jobs.keys().collect() } else { names.iter().collect() };
        for name in wanted {
            let (name, _) = self.jobs.get_key_value(name).ok_or_else(|| {
                let known: Vec<_> = self.jobs.keys().map(Name::as_str).collect();
                Failure::new(codes::USAGE, format!("there is no job `{name}` in {}", self.path.display()))
                    .with_hint(format!("its jobs are {}", known.join(", ")))
            })?;
            self.visit(name, &mut order, &mut BTreeSet::new())?;
        }
        Ok(order)
    }

    fn visit<'p>(&'p self, name: &'p Name, order: &mut Vec<&'p Name>, above: &mut BTreeSet<&'p Name>) -> Result<()> {
        if order.contains(&name) {
            return Ok(());
        }
        if !above.insert(name) {
            let reason = format!("{}: `{name}` would have to be started before itself", self.path.display());
            return Err(Failure::new(codes::USAGE, reason));
        }
        for first in self.first_for(name) {
            self.visit(first, order, above)?;
        }
        above.remove(name);
        order.push(name);
        Ok(())
    }

    /// Returns the dependencies of a job in the file.
    fn first_for<'p>(&'p self, name: &Name) -> impl Iterator<Item = &'p Name> {
        let spec = self.jobs.get(name);
        AFTER.into_iter().chain([NEEDS]).flat_map(move |field| {
            let names = spec.and_then(|spec| spec.get(field)?.as_array()).into_iter().flatten();
            names
                .filter_map(|name| self.jobs.get_key_value(&name.as_str()?.parse::<Name>().ok()?).map(|(name, _)| name))
        })
    }
}

fn found(directory: &Path, top: &Path) -> Result<(PathBuf, Reader)> {
    for directory in directory.ancestors() {
        for (name, reader) in FILES {
            let path = directory.join(name);
            if path.is_file() {
                return Ok((path, reader));
            }
        }
        if directory == top {
            break;
        }
    }
    let names: Vec<_> = FILES.iter().map(|(name, _)| *name).collect();
    Err(Failure::new(codes::USAGE, format!("no file defines jobs in {}", top.display()))
        .with_hint(format!("name a file with `--file`, or create one of {}", names.join(", "))))
}

/// Returns the reader of a file, by its name or else its extension.
fn reader_of(file: &Path) -> Reader {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let extension = file.extension().and_then(|extension| extension.to_str());
    match (FILES.iter().find(|(known, _)| *known == name), extension) {
        (Some((_, reader)), _) => *reader,
        (None, Some("toml")) => own::toml,
        (None, Some("json")) => own::json,
        (None, Some("yaml" | "yml")) => process_compose::read,
        (None, _) => procfile::read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(text: &str) -> Project {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("jobs.toml"), text).unwrap();
        Project::open(None, directory.path(), directory.path()).unwrap_or_else(|failure| panic!("{failure:?}"))
    }

    fn order(project: &Project, names: &[&str]) -> std::result::Result<Vec<String>, String> {
        let names: Vec<Name> = names.iter().map(|name| name.parse().unwrap()).collect();
        let order = project.in_order(&names).map_err(|failure| format!("{failure:?}"))?;
        Ok(order.into_iter().map(ToString::to_string).collect())
    }

    #[test]
    fn dependencies_come_first() {
        let project = project(
            "[jobs.api]\ncommand = 'a'\nafter_ready = ['db', 'cache']\n[jobs.cache]\ncommand = 'c'\nafter_ready = ['db']\n\
             [jobs.db]\ncommand = 'd'\n[jobs.web]\ncommand = 'w'\nafter = ['3f9a2c1b']\n",
        );
        assert_eq!(order(&project, &[]).unwrap(), ["db", "cache", "api", "web"]);
        assert_eq!(order(&project, &["cache"]).unwrap(), ["db", "cache"]);
        assert!(order(&project, &["nobody"]).unwrap_err().contains("there is no job `nobody`"));
    }

    #[test]
    fn a_cycle_is_refused() {
        let ring = project("[jobs.a]\ncommand = 'a'\nafter = ['b']\n[jobs.b]\ncommand = 'b'\nafter_ok = ['a']\n");
        assert!(order(&ring, &[]).unwrap_err().contains("before itself"));
    }

    #[test]
    fn the_nearest_file_within_the_project_is_used() {
        let directory = tempfile::tempdir().unwrap();
        let (top, inner) = (directory.path().join("top"), directory.path().join("top/a/b"));
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(directory.path().join("Procfile"), "x: y\n").unwrap();
        assert!(Project::open(None, &inner, &top).is_err());
        std::fs::write(top.join("Procfile"), "web: serve\n").unwrap();
        let project = Project::open(None, &inner, &top).unwrap_or_else(|failure| panic!("{failure:?}"));
        assert_eq!((project.directory, project.jobs.len()), (top, 1));
    }
}
