//! What an answer says beside what was asked for: which jobs of the client have ended since its last call.

use jobcore::Job;
use jobcore::clock::Timestamp;

use crate::runs::Run;
use crate::server::Server;
use crate::text;

/// How many ends one answer reports.
const REPORTED: usize = 3;

/// Returns a line for each job that has ended and that no answer has shown as ended, a few at most.
pub(crate) async fn since_last_call(server: &Server) -> Option<String> {
    let ended = server.caller().ended(server.jobs()).await;
    let mut lines = Vec::new();
    for id in ended.iter().take(REPORTED) {
        // One that was removed since was removed by somebody who knows.
        if let Ok(job) = server.jobs().job(*id).await {
            lines.push(line(server, &job).await);
        }
    }
    if let Some(more) = ended.len().checked_sub(REPORTED).filter(|more| *more > 0) {
        lines.push(format!("{more} more of your jobs ended; list shows them."));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

async fn line(server: &Server, job: &Job) -> String {
    let now = Timestamp::now();
    let ago = match job.state.outcome() {
        Some(outcome) => format!(", {} ago", text::short_time(now.duration_since(outcome.ended_at))),
        None => String::new(),
    };
    match Run::of(server, job).await {
        Ok(Some(run)) => format!("[Meanwhile: {} {}{ago}.]", text::name(job), run.row().1),
        Ok(None) | Err(_) => format!("[Meanwhile: {} {}{ago}.]", text::name(job), text::ended(&job.shape(now))),
    }
}
