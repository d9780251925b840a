use std::io::Write;
use std::process::ExitCode;

use jobcore::JobManager;
use jobcore::clock::Timestamp;
use jobcore::front::text::print_json;

use super::select::find;
use super::{Result, tell};
use crate::cli::StatusOf;

pub(super) async fn run(jobs: &JobManager, arguments: StatusOf) -> Result {
    let job = jobs.look(find(jobs, arguments.job.reference()).await?).await?;
    if arguments.active {
        return Ok(ExitCode::from(u8::from(job.status().is_final())));
    }
    if arguments.json {
        print_json(&jobs.report(&job).await?)?;
    } else {
        writeln!(std::io::stdout(), "{}", job.status())?;
        // On standard error, since scripts expect a single word.
        if let Some(queued) = jobs.why_queued(&job).await? {
            tell(&format!("queued: {queued}"));
        }
        if let Some(attempt) = jobs.shape(&job).attempt_in_words(Timestamp::now()).filter(|_| !job.status().is_final())
        {
            tell(&attempt);
        }
        if job.is_starting() {
            tell("starting: not ready yet");
        }
        if let Some(waiting) = jobs.waiting_for_input(&job).await? {
            tell(&waiting.to_string());
        }
    }
    Ok(ExitCode::SUCCESS)
}
