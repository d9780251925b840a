//! Verbs about the jobs of a project.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use jobcore::Name;

/// Start the jobs of a project.
#[derive(Debug, Args)]
#[command(after_help = "\
The file is the first of `jobs.toml`, `jobs.json`, `process-compose.yaml`, `process-compose.yml`, `pitchfork.toml`, `Procfile.dev` and \
`Procfile` in the current directory or above it, up to the top of the git worktree. In `jobs.toml`, each job has the fields of \
`jobcli run --spec`, and `needs`: jobs that are started first. If one of them has `ready`, the job waits until it is ready.

  [jobs.db]
  command = \"postgres -D data\"
  ready = \"port:5432\"

  [jobs.api]
  command = \"npm run api\"
  needs = [\"db\"]
  restart = \"always\"
  env = { PORT = \"3000\" }

Jobs run in the directory of the file unless `cwd` names another. A running job is left alone if its definition is unchanged; \
otherwise it is stopped and started again. Settings of other tools that jobcli does not support are reported and ignored.

  jobcli up
  jobcli up --wait api
  jobcli up --file deploy/jobs.toml
  jobcli down")]
pub struct Up {
    /// Start only these jobs and the jobs they need
    #[arg(value_name = "NAME")]
    pub names: Vec<Name>,
    /// Read FILE
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Also restart running jobs that are unchanged
    #[arg(long)]
    pub restart: bool,
    /// Wait until all jobs with `ready` are ready; exit with 1 if one ends first
    #[arg(long, short)]
    pub wait: bool,
}

/// Stop the jobs of a project.
#[derive(Debug, Args)]
#[command(after_help = "\
Stops the jobs that `jobcli up` started in this project, including those no longer in the file, the most recent first.

  jobcli down
  jobcli down api")]
pub struct Down {
    /// Stop only these jobs
    #[arg(value_name = "NAME")]
    pub names: Vec<Name>,
    /// Stop the jobs of the project that FILE is in
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
}
