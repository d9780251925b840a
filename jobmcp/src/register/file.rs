//! A file of another program: read whole, backed up, and replaced atomically.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jobcore::front::{Failure, codes};

/// A configuration file as it was read.
#[derive(Debug)]
pub(super) struct Configuration {
    /// The path that is shown to people.
    path: PathBuf,
    /// The resolved path: the target of a symbolic link is changed, and the link is kept.
    target: PathBuf,
    /// Nothing if there was no file.
    text: Option<String>,
}

impl Configuration {
    pub(super) fn read(path: PathBuf) -> Result<Self, Failure> {
        let failed = |action: &str, error: io::Error| cannot(action, &path, &error);
        let target = match fs::canonicalize(&path) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
                return Ok(Self { target: path.clone(), path, text: None });
            }
            Err(error) => return Err(failed("find", error)),
        };
        if !target.is_file() {
            return Err(refused(&path, "it is not a file"));
        }
        let bytes = fs::read(&target).map_err(|error| failed("read", error))?;
        let text = String::from_utf8(bytes).map_err(|_| refused(&path, "it is not valid UTF-8"))?;
        Ok(Self { path, target, text: Some(text) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the contents, empty if the file does not exist.
    pub(super) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// Returns the error for a file that is left unchanged.
    pub(super) fn refused(&self, reason: &str) -> Failure {
        refused(&self.path, reason)
    }

    /// Replaces the contents, and returns the path of the backup if the file existed.
    ///
    /// Owner and mode are kept. If this is interrupted, the file is unchanged.
    pub(super) fn replace(&self, text: &str) -> Result<Option<PathBuf>, Failure> {
        let backup = self.text.as_ref().map(|text| self.back_up(text)).transpose()?;
        self.write(text).map_err(|error| cannot("write", &self.path, &error))?;
        Ok(backup)
    }

    /// Removes the file, and returns the path of the backup if there was one.
    pub(super) fn remove(&self) -> Result<Option<PathBuf>, Failure> {
        let Some(text) = &self.text else { return Ok(None) };
        let backup = self.back_up(text)?;
        fs::remove_file(&self.target).map_err(|error| cannot("remove", &self.path, &error))?;
        Ok(Some(backup))
    }

    fn back_up(&self, text: &str) -> Result<PathBuf, Failure> {
        let mut name = self.path.clone().into_os_string();
        name.push(Timestamp::now().strftime(".bak-%Y%m%dT%H%M%S.%3fZ").to_string());
        let path = PathBuf::from(name);
        let write = || {
            let metadata = fs::metadata(&self.target)?;
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
            keep(&file, &metadata)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|error| cannot("write the backup", &path, &error))?;
        Ok(path)
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let directory = self.target.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(directory)?;
        // Reduced by the umask, as for any new file.
        let permissions = Permissions::from_mode(0o666);
        let mut staged = tempfile::Builder::new().prefix(".jobmcp-").permissions(permissions).tempfile_in(directory)?;
        staged.write_all(text.as_bytes())?;
        if self.text.is_some() {
            keep(staged.as_file(), &fs::metadata(&self.target)?)?;
        }
        staged.as_file().sync_all()?;
        // Clients write these files themselves while they run.
        if self.text.as_deref() != fs::read_to_string(&self.target).ok().as_deref() {
            return Err(io::Error::other("another program has just changed it; run this again"));
        }
        staged.persist(&self.target)?;
        File::open(directory)?.sync_all()
    }
}

/// Gives a file the owner and the mode of another.
fn keep(file: &File, metadata: &fs::Metadata) -> io::Result<()> {
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (metadata.uid(), metadata.gid()) {
        fchown(file, Some(metadata.uid()), Some(metadata.gid()))?;
    }
    file.set_permissions(metadata.permissions())
}

fn cannot(action: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(codes::FAILED, format!("cannot {action} `{}`: {error}", path.display()))
}

fn refused(path: &Path, reason: &str) -> Failure {
    Failure::new(codes::REFUSED, format!("`{}` is not changed: {reason}", path.display()))
}
