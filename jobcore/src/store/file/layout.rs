//! Which file is where. Every path of a store is built here, and none from text that a user gave.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use crate::id::JobId;
use crate::name::Name;

/// The paths of a store. Cheap to clone: each part of the store has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) root: Arc<Path>,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.into() }
    }

    /// The version of the layout.
    pub(crate) fn format(&self) -> PathBuf {
        self.root.join("format")
    }

    /// One directory for each UTC day, with one directory for each job in it.
    pub(crate) fn days(&self) -> PathBuf {
        self.root.join("jobs")
    }

    /// Jobs that are being created.
    pub(crate) fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    /// Jobs that are being deleted.
    pub(crate) fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    /// The admission lock, and the jobs that wait or have a slot.
    pub(crate) fn admission(&self) -> PathBuf {
        self.root.join("admission")
    }

    /// The file that points to the newest job of a name in a project: it holds the job's id. The path of the project
    /// may be longer than a file name may be.
    pub(crate) fn name(&self, name: &Name, project: Option<&Path>) -> PathBuf {
        match project {
            Some(project) => {
                let digest = Uuid::new_v5(&Uuid::NAMESPACE_URL, project.as_os_str().as_bytes());
                self.names().join(format!("{name}@{}", digest.simple()))
            }
            None => self.names().join(name.as_str()),
        }
    }

    pub(crate) fn names(&self) -> PathBuf {
        self.root.join("names")
    }

    /// The file that points to the job with a key: it holds the job's id. A key may have any bytes, so its file is
    /// named by their hexadecimal digits.
    pub(crate) fn key(&self, key: &str) -> PathBuf {
        let digits: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
        self.keys().join(digits)
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// The settings of the store.
    pub(crate) fn settings(&self) -> PathBuf {
        self.root.join("settings.toml")
    }

    /// What is known of all jobs without opening them: a cache.
    pub(crate) fn indexes(&self) -> PathBuf {
        self.root.join("index")
    }

    pub(crate) fn index(&self, day: &str) -> PathBuf {
        self.indexes().join(day)
    }

    pub(crate) fn index_of(&self, id: JobId) -> PathBuf {
        self.index(&id.day())
    }

    /// The events.
    pub(crate) fn events(&self) -> PathBuf {
        self.root.join("events")
    }

    /// The events from this number on.
    pub(crate) fn event_segment(&self, first: u64) -> PathBuf {
        self.events().join(format!("{first:012}"))
    }

    /// The inboxes of callers.
    pub(crate) fn inboxes(&self) -> PathBuf {
        self.root.join("inboxes")
    }

    /// The lock of the process that waits for what is due later.
    pub(crate) fn sleeper(&self) -> PathBuf {
        self.root.join("sleeper")
    }

    /// A file whose modification time is when retention was last checked.
    pub(crate) fn swept(&self) -> PathBuf {
        self.root.join("swept")
    }

    pub(crate) fn day(&self, id: JobId) -> PathBuf {
        self.days().join(id.day())
    }

    pub(crate) fn job(&self, id: JobId) -> JobDir {
        JobDir { path: self.day(id).join(id.to_string()) }
    }

    pub(crate) fn staged(&self, id: JobId) -> JobDir {
        JobDir { path: self.staging().join(id.to_string()) }
    }
}

/// The paths of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JobDir {
    pub(crate) path: PathBuf,
}

impl JobDir {
    /// All records, and the lock.
    pub(crate) fn record(&self) -> PathBuf {
        self.path.join("job")
    }

    /// The input that its command is given.
    pub(crate) fn given(&self) -> PathBuf {
        self.path.join("given")
    }

    /// What can be computed again from the rest.
    pub(crate) fn cache(&self, name: &'static str) -> PathBuf {
        self.path.join(format!("{name}.cache"))
    }

    pub(crate) fn stdout(&self) -> PathBuf {
        self.path.join("out")
    }

    pub(crate) fn stderr(&self) -> PathBuf {
        self.path.join("err")
    }

    /// The pipe through which input is sent to the job.
    pub(crate) fn stdin(&self) -> PathBuf {
        self.path.join("in")
    }

    /// How the earlier attempts of its command ended.
    pub(crate) fn attempts(&self) -> PathBuf {
        self.path.join("attempts")
    }

    /// What was run at its end.
    pub(crate) fn on_end(&self) -> PathBuf {
        self.path.join("on_end")
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.path.join("control")
    }

    /// The pipe through which one request is answered.
    pub(crate) fn answer(&self, request_id: u64) -> PathBuf {
        self.path.join(format!("answer.{request_id:016x}"))
    }

    /// The bytes of a segment of the output.
    pub(crate) fn segment(&self, start: u64) -> PathBuf {
        self.path.join(format!("{start:012}.log"))
    }

    /// The rows of a segment.
    pub(crate) fn rows(&self, start: u64) -> PathBuf {
        self.path.join(format!("{start:012}.idx"))
    }
}
