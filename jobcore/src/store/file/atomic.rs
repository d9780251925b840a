//! How a record gets on disk: whole or not at all, private from birth, and with room kept for those that must not fail.

use std::fs::{self, DirBuilder, File, FileType, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::libc;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::seal;
use crate::error::{Error, IoContext, Result};
use crate::sys::world;

/// The size of a reserved record: one block of most file systems.
const BLOCK: usize = 4096;
/// What stands around the name of a file that is to be published, and before the number of the process. No name of a job
/// begins with a dot, so that none is taken for such a file.
const STAGED: (&str, &str) = (".", ".staged.");

/// The modes of all that is made here: for the owner alone, and whatever the umask says.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Creates a directory that only the owner may enter.
pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(DIRECTORY_MODE).create(path)?;
    if world::umask_hits_owner() {
        fs::set_permissions(path, Permissions::from_mode(DIRECTORY_MODE))?;
    }
    Ok(())
}

/// Creates a directory and those above it that are missing.
pub(crate) fn create_dir_all(path: &Path) -> io::Result<()> {
    match create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().ok_or(error)?;
            create_dir_all(parent)?;
            match create_dir(path) {
                // Another process makes it at the same time.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
                created => created,
            }
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        created => created,
    }
}

/// Creates a directory that only the owner may enter, unless it is there.
pub(crate) fn ensure_dir(path: &Path) -> Result<()> {
    match create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.context("make", path),
    }
}

/// Returns the names in a directory; none if there is no such directory.
pub(crate) fn names(directory: &Path) -> Result<Vec<String>> {
    Ok(list(directory)?.unwrap_or_default())
}

/// Returns the names in a directory; nothing if there is no such directory.
pub(crate) fn list(directory: &Path) -> Result<Option<Vec<String>>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // Nothing of the store is in there, whatever it is.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(Some(Vec::new())),
        entries => entries.context("list", directory)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.context("list", directory)?.file_name().into_string());
    }
    Ok(Some(names))
}

/// Creates a file that only the owner may read; there must be none of this name.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).open(path)?;
    made_for_owner(file)
}

fn made_for_owner(file: File) -> io::Result<File> {
    if world::umask_hits_owner() {
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    }
    Ok(file)
}

/// Opens a file of the store in this way: never through a link, and nothing that an open or a read would wait for.
///
/// # Errors
/// [`Error::Damaged`] if something other than a regular file has its name.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> Result<File> {
    match options.custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path) {
        Ok(file) => {
            check_kind(path, file.metadata().context("look at", path)?.file_type())?;
            Ok(file)
        }
        Err(error) => match fs::symlink_metadata(path) {
            // A socket, a directory or a link: the open itself fails, each in its own way.
            Ok(metadata) if !metadata.is_file() => {
                check_kind(path, metadata.file_type())?;
                Err(Error::io("open", path)(error))
            }
            _ => Err(Error::io("open", path)(error)),
        },
    }
}

/// Opens a file as [`open`] does; nothing if there is none.
pub(crate) fn open_if_there(path: &Path, options: &mut OpenOptions) -> Result<Option<File>> {
    unless_missing(open(path, options))
}

/// Opens a file as [`open`] does, and makes it if there is none.
pub(crate) fn open_or_create(path: &Path, options: &mut OpenOptions) -> Result<File> {
    match open_if_there(path, options)? {
        Some(file) => Ok(file),
        None => made_for_owner(open(path, options.create(true).mode(FILE_MODE))?).context("make", path),
    }
}

/// Turns the error that says that something is not there into nothing. Any other error stays one: what cannot be looked
/// at may well be there.
pub(crate) fn unless_missing<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

/// Returns whether there is something of this name.
pub(crate) fn is_there(path: &Path) -> Result<bool> {
    Ok(unless_missing(fs::symlink_metadata(path).context("look at", path))?.is_some())
}

fn check_kind(path: &Path, kind: FileType) -> Result<()> {
    let found = match kind {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a named pipe",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_symlink() => "a link",
        _ => "a device",
    };
    Err(Error::Damaged { path: path.to_owned(), reason: format!("it is {found}, and not a file") })
}

/// Reads a file of the store; nothing if there is none.
pub(crate) fn read_bytes(path: &Path) -> Result<Option<Vec<u8>>> {
    let Some(file) = open_if_there(path, OpenOptions::new().read(true))? else { return Ok(None) };
    let mut bytes = Vec::with_capacity(BLOCK + 1);
    // Through `take`, since a file would be asked for its size again: nearly all fit.
    file.take(u64::MAX).read_to_end(&mut bytes).context("read", path)?;
    Ok(Some(bytes))
}

/// Writes a new file that nobody else looks at yet: one in a directory that is still to be published.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    create_file(path).and_then(|mut file| file.write_all(bytes)).context("write", path)
}

/// Publishes a new file under `path`, whole: it is written beside it first.
pub(crate) fn publish(path: &Path, bytes: &[u8]) -> Result<()> {
    let staged = staged(path);
    // A process of the same number may have died here.
    let _ = fs::remove_file(&staged);
    let written = write_private(&staged, bytes).and_then(|()| fs::rename(&staged, path).context("publish", path));
    if written.is_err() {
        let _ = fs::remove_file(&staged);
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
    write_over(&reserved, &padded(record, path)?)?;
    fs::rename(&reserved, path).context("publish", path)
}

/// Publishes a record that is never replaced, in the room that was set aside for it if that is still there. A record that
/// another process has published meanwhile stays.
pub(crate) fn publish_once<T: Serialize>(path: &Path, record: &T) -> Result<()> {
    let bytes = padded(record, path)?;
    // Taken away first: another writer would change the record after it was published.
    let staged = staged(path);
    let written = match unless_missing(fs::rename(reservation(path), &staged).context("take", path)) {
        Ok(Some(())) => write_over(&staged, &bytes),
        Ok(None) => {
            // A process of the same number may have died here.
            let _ = fs::remove_file(&staged);
            write_private(&staged, &bytes)
        }
        Err(error) => Err(error),
    };
    let published = written.and_then(|()| match fs::hard_link(&staged, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked.context("publish", path),
    });
    match &published {
        Ok(()) => drop(fs::remove_file(&staged)),
        // The room is for the next try.
        Err(_) => drop(fs::rename(&staged, reservation(path))),
    }
    published
}

/// Writes over the beginning of a file, and checks that all of it is there, whatever the file system says of the write.
fn write_over(path: &Path, bytes: &[u8]) -> Result<()> {
    let file = open(path, OpenOptions::new().write(true))?;
    file.write_all_at(bytes, 0).context("write", path)?;
    let length = file.metadata().context("check", path)?.len();
    if length < bytes.len() as u64 {
        return Err(Error::io("write", path)(io::ErrorKind::WriteZero.into()));
    }
    Ok(())
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

/// Returns a record as JSON, sealed for its place.
pub(crate) fn to_json<T: Serialize>(record: &T, path: &Path) -> Result<Vec<u8>> {
    let mut json = serde_json::to_vec(record).map_err(|error| damaged(path, error.to_string()))?;
    seal::set(&mut json, path);
    Ok(json)
}

/// Reads a record; nothing if there is none.
///
/// # Errors
/// [`Error::Damaged`] if it cannot be read as such a record, was changed since it was written, or belongs elsewhere.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let Some(bytes) = read_bytes(path)? else { return Ok(None) };
    seal::check(&bytes, path).map_err(|reason| damaged(path, reason))?;
    serde_json::from_slice(&bytes).map(Some).map_err(|error| damaged(path, error.to_string()))
}

fn damaged(path: &Path, reason: String) -> Error {
    Error::Damaged { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second of two writers wrote into the record that the first had published.
    #[test]
    fn a_record_that_is_never_replaced_is_not_written_into_either() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("end.json");
        let read = || read::<u32>(&path).unwrap();
        reserve(&path).unwrap();
        publish_once(&path, &1).unwrap();
        publish_once(&path, &2).unwrap();
        assert_eq!(read(), Some(1));
        reserve(&path).unwrap();
        publish_once(&path, &3).unwrap();
        let names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!((read(), names), (Some(1), vec!["end.json".into()]));
        // A directory has no second name, so that nothing can be published: the room stays.
        fs::remove_file(&path).unwrap();
        fs::create_dir(reservation(&path)).unwrap();
        assert!(publish_once(&path, &4).is_err());
        assert!(reservation(&path).is_dir() && !path.exists());
    }

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
