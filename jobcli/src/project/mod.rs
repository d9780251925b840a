//! The jobs of a project, as a file in it says: its servers, and what has to run before them.
//!
//! Each format is read into the same thing: for each job, what `run --spec` takes as JSON.

// In the order in which to read them:
// - `file.rs`: which file it is, and in which order its jobs are started
// - `jobs.rs`: what is read of it
// - `own.rs`: `jobs.toml` and `jobs.json`
// - `procfile.rs`, `pitchfork.rs`, `process_compose.rs`: files of other tools, as far as they say the same

mod file;
mod jobs;
mod own;
mod pitchfork;
mod process_compose;
mod procfile;

pub(crate) use file::Project;
