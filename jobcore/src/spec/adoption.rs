//! A process that was started elsewhere and is adopted by a job.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Error, IoContext, Result};
use crate::sys::outlet::Outlet;
use crate::sys::process::ProcessId;
use crate::sys::stat::{self, Stat};

/// A process that was started elsewhere, and where its output goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Adoption {
    /// The process.
    pub process: ProcessId,
    /// Where its standard output goes.
    pub stdout: Outlet,
    /// Where its standard error goes.
    pub stderr: Outlet,
}

impl Adoption {
    /// Looks up a process, and returns it with its arguments and its working directory.
    ///
    /// # Errors
    /// If there is no such process, or `/proc` does not show its owner and its command.
    pub(super) fn of(pid: i32) -> Result<(Self, Vec<String>, PathBuf)> {
        let process = ProcessId::of(pid)?;
        let argv = Stat::read(pid).map(|stat| stat::arguments(&stat)).unwrap_or_default();
        let argv: Vec<_> = argv.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        if argv.first().is_none_or(String::is_empty) {
            let reason = format!("process {pid} is a kernel thread, or has ended");
            return Err(Error::InvalidSpec { field: "adopts", reason });
        }
        let directory = PathBuf::from(format!("/proc/{pid}/cwd"));
        let cwd = std::fs::read_link(&directory).context("look at", &directory)?;
        let [stdout, stderr] = Outlet::of(pid);
        Ok((Self { process, stdout, stderr }, argv, cwd))
    }

    /// Does not follow its output.
    #[must_use]
    pub fn without_output(self) -> Self {
        let ignored = Outlet::NotFollowed("not asked for".to_owned());
        Self { stdout: ignored.clone(), stderr: ignored, ..self }
    }
}
