//! The file of a job, and the rows of jobs that wait or have a slot: read and changed as `docs/on-disk-format.md`
//! describes them.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::TestEnv;

const PLACES: [(&str, Range<usize>); 5] =
    [("start", 0..512), ("running", 512..1024), ("stopping", 1024..1536), ("queued", 1536..2048), ("end", 2048..4096)];
const SUBMISSION: usize = 4096;
const ROW: usize = 256;

/// The file of a job.
pub(crate) struct JobRecords {
    pub(crate) path: PathBuf,
}

impl JobRecords {
    pub(crate) fn at(directory: &Path) -> Self {
        Self { path: directory.join("job") }
    }

    fn place(name: &str) -> Range<usize> {
        PLACES.into_iter().find(|(known, _)| *known == name).expect("it is one of them").1
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap_or_default()
    }

    /// The offset of the environment, which follows the line of the submission.
    fn environment_at(bytes: &[u8]) -> usize {
        SUBMISSION + 1 + bytes[SUBMISSION..].iter().position(|byte| *byte == b'\n').unwrap()
    }

    pub(crate) fn get(&self, name: &str) -> Option<Value> {
        serde_json::from_slice(self.bytes().get(Self::place(name))?.trim_ascii()).ok()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.bytes().get(Self::place(name)).is_some_and(|bytes| !bytes.trim_ascii().is_empty())
    }

    pub(crate) fn submission(&self) -> Value {
        let bytes = self.bytes();
        serde_json::from_slice(&bytes[SUBMISSION..Self::environment_at(&bytes)]).unwrap()
    }

    /// Returns the environment, if it is there.
    pub(crate) fn environment(&self) -> Option<Vec<u8>> {
        let bytes = self.bytes();
        let environment = &bytes[Self::environment_at(&bytes)..];
        (!environment.is_empty()).then(|| environment.to_vec())
    }

    /// Writes bytes in the place of a record, in the same file.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        let place = Self::place(name);
        let mut padded = bytes.to_vec();
        padded.resize(place.len(), b' ');
        let file = OpenOptions::new().write(true).open(&self.path).unwrap();
        file.write_all_at(&padded, place.start as u64).unwrap();
    }

    pub(crate) fn forget(&self, name: &str) {
        self.put(name, b"");
    }

    /// Changes a record of a job as jobcore would have written it.
    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let record = self.get(name).unwrap();
        self.put(name, &sealed(record, change));
    }

    /// Changes the submission as jobcore would have written it.
    pub(crate) fn change_submission(&self, change: impl FnOnce(&mut Value)) {
        let bytes = self.bytes();
        let submission = sealed(self.submission(), change);
        let mut file = fs::File::create(&self.path).unwrap();
        for part in [&bytes[..SUBMISSION], &submission, b"\n", &bytes[Self::environment_at(&bytes)..]] {
            file.write_all(part).unwrap();
        }
    }
}

/// Returns the changed record with a new seal.
fn sealed(mut record: Value, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut seal = record.as_object_mut().unwrap().remove("seal").expect("it has one");
    change(&mut record);
    let body = record.to_string();
    let body = body.strip_suffix('}').unwrap();
    seal["crc32"] = format!("{:08x}", crc32fast::hash(body.as_bytes())).into();
    format!("{body},\"seal\":{seal}}}").into_bytes()
}

impl TestEnv {
    pub(crate) fn records(&self, id: &str) -> JobRecords {
        JobRecords::at(&self.job_dir(id))
    }

    /// How many jobs wait or have a slot, according to the rows of the store.
    pub(crate) fn queued_and_running(&self) -> usize {
        rows(self.store())
    }
}

/// How many jobs wait or have a slot in a store.
pub(crate) fn rows(store: &Path) -> usize {
    let bytes = fs::read(store.join("admission")).unwrap_or_default();
    bytes.chunks(ROW).skip(1).filter(|row| row.iter().any(|byte| *byte != 0)).count()
}
