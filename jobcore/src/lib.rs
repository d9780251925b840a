//! Background jobs that survive the call, the session and the server that started them.
//!
//! A job is one command run in the background. It is described by a [`JobSpec`], kept in a [store], started by a [runner],
//! and looked at, waited for and stopped through a [`JobManager`]. There is no daemon: with a [`FileStore`] and a
//! [`LocalRunner`] each running job has one small supervisor process, and any number of programs may use the same store at
//! the same time.
//!
//! [store]: store::JobStore
//! [runner]: runner::Runner
//!
//! ```no_run
//! use std::sync::Arc;
//! use jobcore::{FileStore, JobManager, JobSpec, LocalRunner};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // Turns this process into a supervisor if it was started as one: the first thing that main does.
//!     jobcore::supervisor::run_if_asked();
//!     let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//!     runtime.block_on(async {
//!         let store = Arc::new(FileStore::open("/tmp/my-jobs")?);
//!         let jobs = JobManager::new(store, Arc::new(LocalRunner::new()?))?;
//!         let job = jobs.submit(JobSpec::shell("make -j4").cwd("/src").inherit_env().build()?).await?;
//!         let ended = jobs.wait_for(job.id).await?;
//!         println!("{} {:?}", ended.status(), ended.state.outcome());
//!         Ok(())
//!     })
//! }
//! ```
//!
//! # What is guaranteed
//! When [`JobManager::submit`] returns, the job is on record and somebody is in charge of it: it goes on when the
//! caller ends, however it ends. Its state is never guessed: alive means that the kernel says that a lock is held, and
//! nothing is final without an end record. See `docs/guarantees.md` for the whole list and its limits, and
//! `docs/embedding.md` for a guide.
//!
//! # What the library does not do
//! It never prints, never reads the terminal, and reads neither `$HOME` nor the environment by itself. (The feature `front`
//! does, for the programs of this repository.)

#[cfg(not(unix))]
compile_error!("jobcore needs Linux. On Windows use it inside WSL.");

#[cfg(feature = "agents")]
pub mod agent;
mod annotations;
#[cfg(feature = "blocking")]
pub mod blocking;
pub mod clock;
pub mod control;
pub mod doctor;
pub mod environment;
mod error;
pub mod escape;
#[cfg(feature = "front")]
#[doc(hidden)]
pub mod front;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
mod generate;
mod id;
mod job;
mod key;
mod life;
mod manager;
mod name;
pub mod output;
mod parse_error;
#[cfg(feature = "policy")]
pub mod policy;
mod program;
pub mod queue;
pub mod record;
pub mod runner;
pub mod shape;
mod signal;
pub mod spec;
pub mod state;
pub mod store;
pub mod supervisor;
mod sys;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod units;
mod until;
pub mod words;

pub mod follow {
    //! What comes of jobs, as it comes: [`JobManager::follow_output`](crate::JobManager::follow_output) and
    //! [`JobManager::follow_events`](crate::JobManager::follow_events).
    pub use crate::manager::Follow;
}

pub mod input {
    //! What is sent to a job: [`JobManager::send`](crate::JobManager::send).
    pub use crate::error::NoInput;
    pub use crate::key::Key;
    pub use crate::manager::{Message, Sent};
}

pub mod stop {
    //! Stopping jobs, and sending them signals: [`JobManager::stop`](crate::JobManager::stop).
    pub use crate::manager::{StopOptions, StopReport};
    pub use crate::signal::Signal;
}

pub mod wait {
    //! Waiting for jobs to end or to come to something else: [`JobManager::wait_until`](crate::JobManager::wait_until).
    pub use crate::manager::{Reached, WaitFor, WaitOptions, WaitReason, WaitShape, Waited, WaitedJob};
    pub use crate::until::Until;
}

pub use error::{Error, Result};
pub use id::JobId;
pub use job::Job;
pub use manager::{JobManager, Listing};
pub use name::Name;
pub use parse_error::ParseError;
pub use runner::in_process::InProcessRunner;
pub use runner::local::LocalRunner;
pub use spec::builder::JobSpecBuilder;
pub use spec::job_spec::JobSpec;
pub use state::machine::State;
pub use state::outcome::{Cause, Outcome};
pub use state::status::Status;
pub use store::file::FileStore;
pub use store::memory::MemoryStore;
pub use store::query::Query;

/// The blocks of the guide are compiled and run as tests.
#[cfg(all(doctest, feature = "blocking", feature = "conformance", feature = "testing"))]
#[doc = include_str!("../../docs/embedding.md")]
struct Embedding;
