//! Background jobs that survive the call, the session and the program that started them.
//!
//! A job is one command that runs in the background. A [`JobSpec`] describes it, a store such as a [`FileStore`] keeps
//! it, a runner such as a [`LocalRunner`] starts it, and a [`JobManager`] submits jobs, lists them, waits for them and
//! stops them. There is no daemon: with a file store and a local runner, each running job has one small supervisor
//! process, and any number of programs can use the same store at the same time.
//!
//! ```no_run
//! use std::sync::Arc;
//! use jobcore::{FileStore, JobManager, JobSpec, LocalRunner};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//! //!     // If this process was started as a supervisor, it becomes one here: call this first in main.
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
//! # Guarantees
//! - When [`JobManager::submit`] returns, the job is on record, and it is queued or supervised. From then on it does
//!   not depend on the caller, however the caller ends.
//! - A job's state is never guessed. A job is alive if the kernel reports that its lock is held, and it has ended if
//!   its end is on record.
//! - A stop ends all processes of a job, or names those that could not be ended.
//!
//! [guarantees.md] has the whole list and its limits, and [embedding.md] is a guide.
//!
//! [guarantees.md]: https://github.com/jobcore/jobcore/blob/main/docs/guarantees.md
//! [embedding.md]: https://github.com/jobcore/jobcore/blob/main/docs/embedding.md
//!
//! # Where to look
//! The root has what most programs need. Everything else is in its module:
//!
//! - what to run: [`spec`], [`environment`]
//! - what happened to it: [`state`], [`shape`] (jobs as programs print them), [`output`], [`digest`] (why well-known
//!   tools failed), [`queue`]; selecting jobs: [`query`], and printing one line for each: [`template`]
//! - what to do with it: [`wait`], [`follow`], [`stop`], [`input`]
//! - your own stores and runners: [`store`], [`runner`], [`record`], [`control`], [`clock`]
//!
//! # Features
//! - `policy`, on by default: which commands may be submitted. Without this feature, nothing can be submitted to a
//!   store that has a policy.
//! - `agents`: jobs that run coding agents.
//! - `blocking`: a `JobManager` for programs without tokio.
//! - `conformance`: the contracts of stores and runners as test suites.
//! - `testing`: scripted jobs, a clock that stands still and repeatable ids, for tests.
//!
//! # What the library leaves to you
//! It never prints, never reads from the terminal, and never reads `$HOME` or the environment by itself.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(unix))]
compile_error!("jobcore needs Linux. On Windows use it inside WSL.");

#[cfg(feature = "agents")]
pub mod agent;
mod annotations;
mod attempt;
#[cfg(feature = "blocking")]
pub mod blocking;
mod caller;
pub mod clock;
pub mod control;
pub mod digest;
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
mod job_limits;
mod key;
mod life;
mod limit;
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
pub mod template;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod units;
mod until;
pub mod words;

pub mod schedule {
    //! Jobs that run repeatedly: [`JobManager::schedules`](crate::JobManager::schedules).
    pub use crate::manager::{Schedule, ScheduleShape};
}

pub mod follow {
    //! What jobs produce, as it arrives: [`JobManager::follow_output`](crate::JobManager::follow_output),
    //! [`JobManager::follow_view`](crate::JobManager::follow_view) and
    //! [`JobManager::follow_events`](crate::JobManager::follow_events). Existing output is read chunk by chunk with
    //! [`JobManager::output_reader`](crate::JobManager::output_reader), and the resources that a job is using with
    //! [`JobManager::used`](crate::JobManager::used).
    pub use crate::manager::{Follow, OutputReader, Used, ViewPart};
}

pub mod inbox {
    //! Ends of jobs, delivered to the callers that submitted them: [`JobManager::deliver`](crate::JobManager::deliver).
    pub use crate::manager::{Delivery, Watch};
}

pub mod input {
    //! Input for a job: [`JobManager::send`](crate::JobManager::send).
    pub use crate::error::NoInput;
    pub use crate::key::Key;
    pub use crate::manager::{Message, Sent};
}

pub mod query {
    //! Selecting and sorting jobs: the parts of a [`Query`](crate::Query).
    pub use crate::store::query::{NamePattern, Order, Period, SortKey};
}

pub mod stop {
    //! Stopping jobs, and sending them signals: [`JobManager::stop`](crate::JobManager::stop).
    pub use crate::manager::{Leftover, StopOptions, StopReport};
    pub use crate::signal::Signal;
}

pub mod ready {
    //! When a job is ready: [`JobSpecBuilder::ready`](crate::JobSpecBuilder::ready).
    pub use crate::until::{Condition, Url};
}

pub mod wait {
    //! Waiting for jobs to end or to meet another condition: [`JobManager::wait_until`](crate::JobManager::wait_until).
    pub use crate::manager::{Reached, WaitFor, WaitOptions, WaitReason, WaitShape, Waited, WaitedJob};
    pub use crate::until::Until;
}

pub use caller::Caller;
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
