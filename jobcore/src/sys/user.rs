//! The user as whom this process acts, and what it may do.

use std::path::Path;

use rustix::fs::Access;

/// Whether programs keep secrets where files do not show them.
#[cfg(feature = "agents")]
pub(crate) const HAS_KEYCHAIN: bool = cfg!(target_os = "macos");

/// What can be done to a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deed {
    Read,
    /// Of a directory: enter it.
    Execute,
}

/// Returns the number of the user.
pub(crate) fn id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Returns whether it is the user whom no permission and few limits hold back.
pub(crate) fn is_root() -> bool {
    id() == 0
}

/// Returns whether the user may do this to a file, access(2).
pub(crate) fn may(deed: Deed, path: &Path) -> bool {
    let access = match deed {
        Deed::Read => Access::READ_OK,
        Deed::Execute => Access::EXEC_OK,
    };
    rustix::fs::access(path, access).is_ok()
}
