//! The jobs that a file of the project defines, such as its servers and what has to run before them.
//!
//! All formats are read into the same form: for each job, the JSON that `run --spec` takes.

// In the order in which to read them:
// - `file.rs`: finding the file, and the order in which its jobs are started
// - `jobs.rs`: the result of reading a file
// - `own.rs`: `jobs.toml` and `jobs.json`
// - `procfile.rs`, `pitchfork.rs`, `process_compose.rs`: files of other tools, as far as they have the same meaning here

mod file;
mod jobs;
mod own;
mod pitchfork;
mod process_compose;
mod procfile;

pub(crate) use file::Project;
