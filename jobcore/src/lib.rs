//! Background jobs that survive the call, the session and the server that started them.
//!
//! A job is one command run in the background. It is described by a [`JobSpec`], kept in a [`JobStore`], started by a
//! [`Runner`], and looked at, waited for and stopped through a [`JobManager`]. There is no daemon: with a
//! [`FileStore`] and a [`LocalRunner`] each running job has one small supervisor process, and any number of programs
//! may use the same store at the same time.
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

pub mod agent;
mod annotations;
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
pub mod policy;
mod program;
mod queue;
pub mod record;
pub mod runner;
mod shape;
mod signal;
pub mod spec;
mod state;
pub mod store;
pub mod supervisor;
mod sys;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod units;
mod until;
pub mod words;

pub use agent::{Agent, AgentRun, Agents, Delegation, PermissionMode};
pub use annotations::Annotations;
pub use environment::Environment;
pub use error::{Error, NoInput, Result};
pub use id::{IdPrefix, JobId};
pub use job::{Job, quoted};
pub use key::Key;
pub use manager::{
    JobManager, Listing, Message, Reached, Sent, Spent, StopOptions, StopReport, WaitFor, WaitOptions, WaitReason,
    WaitShape, Waited, WaitedJob,
};
pub use name::Name;
pub use output::OutputSize;
pub use parse_error::ParseError;
pub use policy::Policy;
pub use queue::{InQueue, QueueReason};
pub use runner::Runner;
pub use runner::in_process::InProcessRunner;
pub use runner::local::LocalRunner;
pub use shape::{Input, JobShape, OutputShape};
pub use signal::Signal;
pub use spec::{Command, Given, JobSpec, JobSpecBuilder, Stdin, Stragglers, TerminalSize};
pub use state::{Cause, End, Event, IllegalTransition, Outcome, Run, State, Status, Survivor};
pub use store::file::FileStore;
pub use store::memory::MemoryStore;
pub use store::{
    AGENTS, AgentSettings, Created, Disposable, EventKind, Events, JobEvent, JobStore, Load, Query, ReachedLimit,
    Retention, Slot, StoreSettings, Tally, WhenFull,
};
pub use until::Until;

/// The blocks of the guide are compiled and run as tests.
#[cfg(all(doctest, feature = "conformance", feature = "testing"))]
#[doc = include_str!("../../docs/embedding.md")]
struct Embedding;
