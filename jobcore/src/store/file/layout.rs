//! Which file is where. Every path of a store is made here, and none from text that a user gave.

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

    /// One directory a UTC day, in them one a job.
    pub(crate) fn days(&self) -> PathBuf {
        self.root.join("jobs")
    }

    /// Jobs that are being made.
    pub(crate) fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    /// Jobs that are being deleted.
    pub(crate) fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    /// The lock under which everything is decided that concerns several jobs, and what waits or has a slot.
    pub(crate) fn admission(&self) -> PathBuf {
        self.root.join("admission")
    }

    /// The newest job of a name: a file that holds its id.
    /// The pointer to the newest job of a name in a project; the path of that may be longer than the name of a file.
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

    /// The job that has a key: a file that holds its id. A key may have any bytes, so that its file has their digits.
    pub(crate) fn key(&self, key: &str) -> PathBuf {
        let digits: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
        self.keys().join(digits)
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// What concerns everybody who uses the store.
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

    /// What happened.
    pub(crate) fn events(&self) -> PathBuf {
        self.root.join("events")
    }

    /// The events from this number on.
    pub(crate) fn event_segment(&self, first: u64) -> PathBuf {
        self.events().join(format!("{first:012}"))
    }

    /// What was delivered to callers.
    pub(crate) fn inboxes(&self) -> PathBuf {
        self.root.join("inboxes")
    }

    /// When retention was last looked at: its time of change.
    /// The lock of the process that waits for what is due later.
    pub(crate) fn sleeper(&self) -> PathBuf {
        self.root.join("sleeper")
    }

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

    /// What its command is given to read.
    pub(crate) fn given(&self) -> PathBuf {
        self.path.join("given")
    }

    /// What can be made anew from the rest.
    pub(crate) fn cache(&self, name: &'static str) -> PathBuf {
        self.path.join(format!("{name}.cache"))
    }

    pub(crate) fn stdout(&self) -> PathBuf {
        self.path.join("out")
    }

    pub(crate) fn stderr(&self) -> PathBuf {
        self.path.join("err")
    }

    /// The pipe of a job that something can be sent to.
    pub(crate) fn stdin(&self) -> PathBuf {
        self.path.join("in")
    }

    /// How it ended before its command was started again.
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
