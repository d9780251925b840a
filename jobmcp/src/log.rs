//! The log of the server: on standard error, since standard output belongs to the protocol, and in a file if one is
//! named.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jobcore::front::{Failure, codes};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::MakeWriterExt;

/// The largest log file, in bytes. At this size it is renamed, replacing the one renamed before.
const LARGEST: u64 = 1 << 20;

/// Starts logging. `RUST_LOG` sets the level; by default, only warnings are logged, or more if there is a file.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn start(path: Option<PathBuf>) -> Result<(), Failure> {
    let default = if path.is_some() { "info,rmcp=warn" } else { "warn,rmcp=error" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    let Some(path) = path else {
        log.with_writer(io::stderr).init();
        return Ok(());
    };
    let file = LogFile::open(&path).map_err(|error| {
        Failure::new(codes::FAILED, format!("cannot write the log file `{}`: {error}", path.display()))
    })?;
    log.with_writer(io::stderr.and(Mutex::new(file))).init();
    Ok(())
}

/// A file of bounded size that only its owner can read. Several servers may write to the same one.
struct LogFile {
    path: PathBuf,
    file: File,
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Renames the file and opens a new one, unless another server has renamed it.
    fn turn(&mut self) -> io::Result<()> {
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        if fs::metadata(&self.path).map(identity).ok() == Some(identity(self.file.metadata()?)) {
            let mut aside = self.path.clone().into_os_string();
            aside.push(".1");
            fs::rename(&self.path, aside)?;
        }
        *self = Self::open(&self.path)?;
        Ok(())
    }
}

impl Write for LogFile {
    /// Writes a line into a single file.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.file.metadata()?.len() + line.len() as u64 > LARGEST {
            self.turn()?;
        }
        self.file.write_all(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_private_and_bounded_with_several_writers() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        fs::write(&path, "before\n").unwrap();
        let mut writers = [LogFile::open(&path).unwrap(), LogFile::open(&path).unwrap()];
        let line = format!("{}\n", "x".repeat(999));
        for number in 0..5000 {
            writers[number % 2].write_all(line.as_bytes()).unwrap();
        }
        let aside = directory.path().join("log.1");
        for path in [&path, &aside] {
            let metadata = fs::metadata(path).unwrap();
            assert!(metadata.len() <= LARGEST && metadata.mode() & 0o777 == 0o600, "{metadata:?}");
            assert_eq!(fs::read_to_string(path).unwrap().lines().filter(|kept| kept.len() != 999).count(), 0);
        }
        assert!(fs::metadata(&aside).unwrap().len() > LARGEST - 2000);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_log_that_is_not_a_regular_file_is_refused() {
        assert!(LogFile::open(Path::new("/dev/null")).is_err());
        assert!(LogFile::open(Path::new("/")).is_err());
    }
}
