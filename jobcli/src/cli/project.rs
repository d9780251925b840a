//! Verbs about the jobs of a project.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use jobcore::Name;

/// Start the jobs of a project.
#[derive(Debug, Args)]
#[command(after_help = "\
The file is the first of `jobs.toml`, `jobs.json`, `process-compose.yaml`, `process-compose.yml`, `pitchfork.toml`, `Procfile.dev` and \
`Procfile` in the current directory or above it, up to the top of the git worktree. In `jobs.toml`, each job has the fields of \
`jobcli run --spec`, and `needs`: jobs that are started first, and waited for until they are ready if they say when that is.

  [jobs.db]
  command = \"postgres -D data\"
  ready = \"port:5432\"

  [jobs.api]
  command = \"npm run api\"
  needs = [\"db\"]
  restart = \"always\"
  env = { PORT = \"3000\" }

Jobs run in the directory of the file unless `cwd` says otherwise. A job that runs as the file says is left alone; one of which the file \
says something else now is stopped and started again. What a file of another tool says and jobcli does not do is named and left out.

  jobcli up
  jobcli up --wait api
  jobcli up --file deploy/jobs.toml
  jobcli down")]
pub struct Up {
    /// Only these jobs, and those that they need
    #[arg(value_name = "NAME")]
    pub names: Vec<Name>,
    /// Read this file
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Start jobs again that run unchanged, too
    #[arg(long)]
    pub restart: bool,
    /// Wait until all jobs are ready that say when they are; exit with 1 if one ends before
    #[arg(long, short)]
    pub wait: bool,
}

/// Stop the jobs of a project.
#[derive(Debug, Args)]
#[command(after_help = "\
Stopped is what `jobcli up` started in this project, also what is not in the file any more. What was started last is stopped first.

  jobcli down
  jobcli down api")]
pub struct Down {
    /// Only these jobs
    #[arg(value_name = "NAME")]
    pub names: Vec<Name>,
    /// Those of the project that this file is in
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
}
