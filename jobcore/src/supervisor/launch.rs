//! Starting a supervisor.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Error, IoContext, Result};
use crate::store::file::supervisors::{HANDOVER_VERSION, MARKER, NAME, environment};
use crate::store::{HandOver, JobClaim};
use crate::sys::descriptor;
use crate::sys::spawn::{self, Source};

/// Starts a supervisor for a job, and returns its process id: from then on the job belongs to the supervisor.
pub(crate) fn start(program: &Path, claim: Box<dyn JobClaim>) -> Result<i32> {
    let Some(HandOver { directory, id, lock }) = claim.hand_over() else {
        return Err(Error::Unsupported { reason: "the lock of this job cannot be handed over".to_owned() });
    };
    let lock = away(lock)?;
    let words = [NAME.as_bytes(), MARKER.as_bytes(), HANDOVER_VERSION.as_bytes(), directory.as_os_str().as_bytes()];
    let arguments: Vec<_> = words.into_iter().map(<[u8]>::to_vec).chain([id.to_string().into_bytes()]).collect();
    let streams = [Source::Descriptor(lock.as_fd()), Source::ReadWrite("/dev/null".as_ref()), Source::Same];
    spawn::session_leader(program, &arguments, &environment(), streams).context("start a supervisor from", program)
}

pub(super) fn away(fd: OwnedFd) -> Result<OwnedFd> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    descriptor::away(fd).context("copy", "a descriptor".as_ref())
}
