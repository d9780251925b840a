//! What was delivered to callers: a file for each caller that listens, which is locked during a delivery.
//!
//! Its first line holds a checksum and the state as JSON. It is overwritten in place, because the lock belongs to the
//! file. A file that a crash left half written counts as new: ends may then be delivered again, but none is lost.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use uuid::Uuid;

use super::atomic;
use super::layout::Layout;
use crate::caller::Caller;
use crate::error::{IoContext, Result};
use crate::store::{Inbox, InboxState};
use crate::sys::lock;

/// How long the inbox of a caller that does not return is kept.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// Returns the file of a caller. The text of a caller may be longer than a file name may be.
fn path(layout: &Layout, caller: &Caller) -> PathBuf {
    let name = Uuid::new_v5(&Uuid::NAMESPACE_OID, caller.to_string().as_bytes());
    layout.inboxes().join(name.to_string())
}

/// Returns the state in a file with these bytes; nothing if they are damaged.
fn decode(bytes: &[u8], caller: &Caller) -> Option<InboxState> {
    let line = bytes.split(|byte| *byte == b'\n').next()?;
    let (checksum, json) = line.split_at_checked(8)?;
    let checksum = u32::from_str_radix(std::str::from_utf8(checksum).ok()?, 16).ok()?;
    let state: InboxState = (checksum == crc32fast::hash(json)).then(|| serde_json::from_slice(json).ok())??;
    (state.caller == *caller).then_some(state)
}

fn encode(state: &InboxState) -> Vec<u8> {
    let json = serde_json::to_string(state).unwrap_or_default();
    format!("{:08x}{json}\n", crc32fast::hash(json.as_bytes())).into_bytes()
}

/// Reads what was last written for a caller, if anything.
pub(super) fn read(layout: &Layout, caller: &Caller) -> Result<Option<InboxState>> {
    let bytes = atomic::read_bytes(&path(layout, caller))?;
    Ok(bytes.and_then(|bytes| decode(&bytes, caller)))
}

/// Takes the inbox of a caller; nothing while it is held elsewhere.
pub(super) fn take(layout: &Layout, caller: &Caller) -> Result<Option<FileInbox>> {
    let path = path(layout, caller);
    atomic::ensure_dir(&layout.inboxes())?;
    loop {
        let file = atomic::open_or_create(&path, OpenOptions::new().read(true).write(true))?;
        if !lock::try_take(&file).context("lock", &path)? {
            return Ok(None);
        }
        // A file that was cleared away in between must not be written to.
        if atomic::is_at(&file, &path)? {
            let bytes = atomic::read_all(&file).context("read", &path)?;
            return Ok(Some(FileInbox { state: decode(&bytes, caller), file, path }));
        }
    }
}

/// Removes inboxes whose callers have not returned for a long time.
pub(super) fn clear_old(layout: &Layout) {
    for name in atomic::names(&layout.inboxes()).unwrap_or_default() {
        let path = layout.inboxes().join(name);
        if is_old(&path)
            && let Ok(file) = atomic::open(&path, OpenOptions::new().read(true).write(true))
            && lock::try_take(&file).unwrap_or(false)
        {
            let _ = fs::remove_file(&path);
        }
    }
}

fn is_old(path: &Path) -> bool {
    let modified = fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| SystemTime::now().duration_since(modified).is_ok_and(|age| age > KEPT))
}

/// An inbox whose lock is held.
#[derive(Debug)]
pub(super) struct FileInbox {
    state: Option<InboxState>,
    file: File,
    path: PathBuf,
}

#[async_trait]
impl Inbox for FileInbox {
    fn state(&self) -> Option<&InboxState> {
        self.state.as_ref()
    }

    async fn write(&mut self, state: InboxState) -> Result<()> {
        let bytes = encode(&state);
        self.file.write_all_at(&bytes, 0).context("write", &self.path)?;
        self.file.set_len(bytes.len() as u64).context("write", &self.path)?;
        self.state = Some(state);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::FileTimes;

    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn a_damaged_inbox_counts_as_new_and_an_old_one_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path());
        let caller: Caller = "codex:1".parse().unwrap();
        let state = InboxState::new(caller.clone(), 7, Timestamp::UNIX_EPOCH);
        let bytes = encode(&state);
        let behind = [bytes.as_slice(), b"rest of a longer one\n"].concat();
        assert_eq!(decode(&behind, &caller).as_ref(), Some(&state));
        for place in 0..bytes.len() - 1 {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1;
            assert_eq!(decode(&damaged, &caller), None, "{place}");
            assert_eq!(decode(&bytes[..place], &caller), None, "{place}");
        }
        assert_eq!(decode(&bytes, &"codex:2".parse().unwrap()), None);

        drop(take(&layout, &caller).unwrap().unwrap());
        let path = path(&layout, &caller);
        clear_old(&layout);
        assert!(path.exists());
        File::open(&path).unwrap().set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH)).unwrap();
        let held = take(&layout, &caller).unwrap().unwrap();
        clear_old(&layout);
        assert!(path.exists(), "it is held");
        drop(held);
        clear_old(&layout);
        assert!(!path.exists());
    }
}
