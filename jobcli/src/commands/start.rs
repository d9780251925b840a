use std::io::Write;
use std::process::ExitCode;

use jobcore::JobManager;
use jobcore::front::Failures;

use super::Result;
use super::select::find_all;
use crate::cli::Start;

pub(super) async fn run(jobs: &JobManager, arguments: &Start) -> Result {
    let mut failures = Failures::default();
    for id in find_all(jobs, &arguments.ids, &mut failures).await {
        match jobs.start_now(id).await {
            Ok(job) => writeln!(std::io::stdout(), "{}: {}", job.label(), job.status())?,
            Err(error) => failures.add(error),
        }
    }
    Ok(ExitCode::from(failures.code().unwrap_or_default()))
}
