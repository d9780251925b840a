//! How a record gets on disk: whole or not at all, private from birth, and with room kept for those that must not fail.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, IoContext, Result};

/// The size of a reserved record: one block of most file systems.
const BLOCK: usize = 4096;
/// What stands around the name of a file that is to be published, and before the number of the process. No name of a job
/// begins with a dot, so that none is taken for such a file.
const STAGED: (&str, &str) = (".", ".staged.");

/// Creates a directory that only the owner may enter.
pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Creates a file that only the owner may read; there must be none of this name.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Writes a new file that nobody else looks at yet: one in a directory that is still to be published.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    create_file(path).and_then(|mut file| file.write_all(bytes)).context("write", path)
}

/// Publishes a new file under `path`, whole: it is written beside it first.
pub(crate) fn publish(path: &Path, bytes: &[u8]) -> Result<()> {
    let staged = staged(path);
    // A process of the same number may have died here.
    let _ = std::fs::remove_file(&staged);
    let written = write_private(&staged, bytes).and_then(|()| std::fs::rename(&staged, path).context("publish", path));
    if written.is_err() {
        let _ = std::fs::remove_file(&staged);
    }
    written
}

/// Returns under which name a file is written that is to be published as `path`.
pub(crate) fn staged(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{}{name}{}{}", STAGED.0, STAGED.1, std::process::id()))
}

/// Returns whether a file was written to be published and was not.
pub(crate) fn is_staged(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(STAGED.0) && name.contains(STAGED.1)
}

/// Sets aside the room for a record that is to be published later under `path`, so that a full disk cannot lose it.
pub(crate) fn reserve(path: &Path) -> Result<()> {
    write_private(&reservation(path), &[b' '; BLOCK])
}

fn reservation(path: &Path) -> PathBuf {
    path.with_extension("reserve")
}

/// Publishes a record in the room that was set aside for it, by one rename.
pub(crate) fn publish_reserved<T: Serialize>(path: &Path, record: &T) -> Result<()> {
    let reserved = reservation(path);
    let bytes = padded(record, path)?;
    let file = OpenOptions::new().write(true).open(&reserved).context("open", &reserved)?;
    file.write_all_at(&bytes, 0).context("write", &reserved)?;
    // Never publish what is not there in full, whatever the file system says of the write.
    let length = file.metadata().context("check", &reserved)?.len();
    if length < bytes.len() as u64 {
        return Err(Error::io("write", &reserved)(io::ErrorKind::WriteZero.into()));
    }
    std::fs::rename(&reserved, path).context("publish", path)
}

/// Returns a record as JSON, filled up with blanks to the reserved size.
fn padded<T: Serialize>(record: &T, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = to_json(record, path)?;
    if bytes.len() < BLOCK {
        bytes.resize(BLOCK - 1, b' ');
        bytes.push(b'\n');
    }
    Ok(bytes)
}

pub(crate) fn to_json<T: Serialize>(record: &T, path: &Path) -> Result<Vec<u8>> {
    serde_json::to_vec(record).map_err(|error| damaged(path, &error))
}

/// Reads a record; nothing if there is none.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| damaged(path, &error))
}

fn damaged(path: &Path, error: &serde_json::Error) -> Error {
    Error::Damaged { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_staged_is_told_from_all_that_is_published() {
        for name in ["settings.toml", "2026-11-21", "a.b", "web.staged.1"] {
            let path = Path::new("/store").join(name);
            assert!(is_staged(&staged(&path)) && !is_staged(&path), "{name}");
            assert_eq!(staged(&path).parent(), path.parent());
        }
        assert_ne!(staged(Path::new("a.b")), staged(Path::new("a.c")));
    }
}
