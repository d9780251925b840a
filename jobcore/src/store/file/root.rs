//! The directory of a store: whether there is one, whether it is safe and understood, and how it is created.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::layout::Layout;
use super::{atomic, upgrade};
use crate::error::{Error, IoContext, Result};
use crate::sys;

/// The version of the layout.
const FORMAT: u32 = 2;
/// What precedes the version in the file `format`.
const FORMAT_TEXT: &str = "jobcore store, format ";

/// The directory of a store.
#[derive(Debug, Clone)]
pub(super) struct Root {
    layout: Layout,
    /// Whether a safe and understood store was found here. Until then there is none, or an empty directory.
    is_made: Arc<AtomicBool>,
}

impl Root {
    pub(super) fn new(layout: &Layout) -> Self {
        Self { layout: layout.clone(), is_made: Arc::default() }
    }

    /// Notes that another process has found a safe and understood store here.
    pub(super) fn is_checked(&self) {
        self.is_made.store(true, Ordering::Relaxed);
    }

    /// Returns whether there is a store by now. Once one was found, it is not looked for again.
    ///
    /// # Errors
    /// As [`FileStore::open`](super::FileStore::open), if something else has its name.
    pub(super) fn is_made(&self) -> Result<bool> {
        if self.is_made.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let root = &*self.layout.root;
        match check_owner(root) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                // Not even a dangling link.
                if !atomic::is_there(root)? {
                    return Ok(false);
                }
                // Another process may have created it in between.
                check_owner(root)?;
            }
            checked => checked?,
        }
        match atomic::read_bytes(&self.layout.format())? {
            Some(text) => {
                if check_format(root, &String::from_utf8_lossy(&text))? == Format::First {
                    upgrade::upgrade(&self.layout)?;
                }
            }
            None => {
                let is_empty = fs::read_dir(root).context("list", root)?.next().is_none();
                let is_ours = [self.layout.days(), self.layout.staging()].iter().any(|path| path.exists());
                if !is_empty && !is_ours {
                    return refuse(root, "it is neither empty nor a store; name another directory".to_owned());
                }
                return Ok(false);
            }
        }
        self.is_made.store(true, Ordering::Relaxed);
        Ok(true)
    }

    /// Creates the store if there is none.
    pub(super) fn make(&self) -> Result<()> {
        if self.is_made()? {
            return Ok(());
        }
        let layout = &self.layout;
        atomic::create_dir_all(&layout.root).context("make the store", &layout.root)?;
        check_owner(&layout.root)?;
        for directory in [layout.days(), layout.staging(), layout.trash(), layout.names(), layout.keys()] {
            atomic::ensure_dir(&directory)?;
        }
        write_format(layout)?;
        self.is_made.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Creates the store again after a part of it, or all, was removed.
    pub(super) fn make_again(&self) -> Result<()> {
        self.is_made.store(false, Ordering::Relaxed);
        self.make()
    }
}

/// Writes the current format to the store.
pub(super) fn write_format(layout: &Layout) -> Result<()> {
    atomic::publish(&layout.format(), format!("{FORMAT_TEXT}{FORMAT}\n").as_bytes())
}

/// Returns whether the store has the current format.
pub(super) fn has_own_format(layout: &Layout) -> Result<bool> {
    let text = atomic::read_bytes(&layout.format())?.unwrap_or_default();
    Ok(check_format(&layout.root, &String::from_utf8_lossy(&text))? == Format::Own)
}

fn refuse<T>(root: &Path, reason: String) -> Result<T> {
    Err(Error::StoreRefused { path: root.to_owned(), reason })
}

fn check_owner(root: &Path) -> Result<()> {
    let metadata = fs::metadata(root).context("look at", root)?;
    if !metadata.is_dir() {
        return refuse(root, "it is not a directory".to_owned());
    }
    let user = sys::user::id();
    if metadata.uid() != user {
        let owner = metadata.uid();
        let reason =
            format!("it belongs to user {owner}, but this process runs as user {user}; run the command as its owner");
        return refuse(root, reason);
    }
    if metadata.mode() & 0o022 != 0 {
        let mode = metadata.mode() & 0o777;
        let reason = format!("others may write to it (mode {mode:o}); `chmod 700` it if you trust what it holds");
        return refuse(root, reason);
    }
    Ok(())
}

/// A format that is understood.
#[derive(Debug, PartialEq, Eq)]
enum Format {
    /// The format of version 0.1.0.
    First,
    /// The current format.
    Own,
}

fn check_format(root: &Path, text: &str) -> Result<Format> {
    match text.strip_prefix(FORMAT_TEXT).and_then(|version| version.trim().parse::<u32>().ok()) {
        Some(FORMAT) => Ok(Format::Own),
        Some(1) => Ok(Format::First),
        Some(version) => {
            refuse(root, format!("it has format {version}, but this version supports formats up to {FORMAT}; upgrade"))
        }
        None => refuse(root, "its file `format` is not that of a store".to_owned()),
    }
}
