//! How files get on disk: completely or not at all, and private from the start.

use std::fs::{self, DirBuilder, File, FileType, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::libc;

use crate::error::{Error, IoContext, Result};
use crate::sys::world;

/// How much of a file is read at first: most files fit.
const FIRST_READ: usize = 8 * 1024;
/// What surrounds the name of a file that is to be published; the number of the process follows. No name of a job
/// begins with a dot, so none is mistaken for such a file.
const STAGED: (&str, &str) = (".", ".staged.");

/// The modes of everything that is created here: for the owner alone, whatever the umask is.
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

/// Creates a directory and its missing parents.
pub(crate) fn create_dir_all(path: &Path) -> io::Result<()> {
    match create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().ok_or(error)?;
            create_dir_all(parent)?;
            match create_dir(path) {
                // Another process created it at the same time.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
                created => created,
            }
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        created => created,
    }
}

/// Creates a directory that only the owner may enter, unless it exists.
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
        // Whatever it is, nothing of the store is in there.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(Some(Vec::new())),
        entries => entries.context("list", directory)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.context("list", directory)?.file_name().into_string());
    }
    Ok(Some(names))
}

/// Creates a file that only the owner may read; the name must not be taken.
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

/// Opens a file of the store with these options: never through a link, and nothing whose open or read could block.
///
/// # Errors
/// [`Error::Damaged`] if something other than a regular file has its name.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> Result<File> {
    match options.custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path) {
        Ok(file) => {
            check_kind(path, file.metadata().context("look at", path)?.file_type())?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::io("open", path)(error)),
        Err(error) => match fs::symlink_metadata(path) {
            // A socket, a directory or a link: opening it fails, each in its own way.
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

/// Opens a file as [`open`] does, and creates it if there is none.
pub(crate) fn open_or_create(path: &Path, options: &mut OpenOptions) -> Result<File> {
    match open_if_there(path, options)? {
        Some(file) => Ok(file),
        None => made_for_owner(open(path, options.create(true).mode(FILE_MODE))?).context("make", path),
    }
}

/// Turns the error that something does not exist into nothing. Other errors are kept: what cannot be examined may well
/// exist.
pub(crate) fn unless_missing<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

/// Returns whether something has this name.
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
    Err(Error::Damaged { path: path.to_owned(), reason: format!("it is {found}, not a file") })
}

/// Reads a file of the store; nothing if there is none.
pub(crate) fn read_bytes(path: &Path) -> Result<Option<Vec<u8>>> {
    match open_if_there(path, OpenOptions::new().read(true))? {
        Some(file) => read_all(&file).context("read", path).map(Some),
        None => Ok(None),
    }
}

/// Reads an open file from its beginning to its end.
pub(crate) fn read_all(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; FIRST_READ];
    let mut length = 0;
    loop {
        length += file.read_at(&mut bytes[length..], length as u64)?;
        // A short read means that the whole file was read.
        if length < bytes.len() {
            bytes.truncate(length);
            return Ok(bytes);
        }
        // Room for the whole file at once, and for one more byte, which would show that it has grown.
        let there = usize::try_from(file.metadata()?.len()).unwrap_or(0);
        bytes.resize((2 * bytes.len()).max(there + 1), 0);
    }
}

/// Returns whether an open file is (still) the one at `path`. If that cannot be determined, it is an error and not
/// `false`.
pub(crate) fn is_at(file: &File, path: &Path) -> Result<bool> {
    let open = file.metadata().context("look at", path)?;
    let there = unless_missing(fs::symlink_metadata(path).context("look at", path))?;
    Ok(there.is_some_and(|there| (open.dev(), open.ino()) == (there.dev(), there.ino())))
}

/// Writes a new file that no other process looks at yet: in a directory that is still to be published.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    create_file(path).and_then(|mut file| file.write_all(bytes)).context("write", path)
}

/// Publishes a new file at `path` as a whole: it is first written next to it.
pub(crate) fn publish(path: &Path, bytes: &[u8]) -> Result<()> {
    let staged = staged(path);
    // A process with the same number may have died here.
    let _ = fs::remove_file(&staged);
    let written = write_private(&staged, bytes).and_then(|()| fs::rename(&staged, path).context("publish", path));
    if written.is_err() {
        let _ = fs::remove_file(&staged);
    }
    written
}

/// Returns the name under which a file is written before it is published as `path`.
pub(crate) fn staged(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{}{name}{}{}", STAGED.0, STAGED.1, std::process::id()))
}

/// Returns whether a file was written to be published and never was.
pub(crate) fn is_staged(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(STAGED.0) && name.contains(STAGED.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staged_files_are_told_apart_from_published_ones() {
        for name in ["settings.toml", "2026-11-21", "a.b", "web.staged.1"] {
            let path = Path::new("/store").join(name);
            assert!(is_staged(&staged(&path)) && !is_staged(&path), "{name}");
            assert_eq!(staged(&path).parent(), path.parent());
        }
        assert_ne!(staged(Path::new("a.b")), staged(Path::new("a.c")));
    }
}
