//! The ends of the caller's jobs since its last call, which are added to each answer.

use std::time::Duration;

use jobcore::Job;
use jobcore::clock::Timestamp;
use jobcore::inbox::Delivery;
use tokio::time::timeout;

use crate::call::Written;
use crate::runs::Run;
use crate::server::{Context, Server};
use crate::text;

/// How many ends one answer reports.
const REPORTED: usize = 3;
/// How long a client may take to read an answer that reports ends. If it takes longer, they are reported again.
const READING: Duration = Duration::from_secs(10);

/// Returns a line for each ended job that the caller has not been notified of, a few at most. These, and the ends that
/// the answer itself shows, count as delivered once the answer is written.
pub(crate) async fn since_last_call(server: &Server, context: &Context) -> Option<String> {
    let caller = server.call().caller()?;
    let delivery = match server.jobs().deliver(caller, &server.call().take_known()).await {
        Ok(delivery) => delivery?,
        Err(error) => {
            tracing::debug!(%error, "no ends can be delivered");
            return None;
        }
    };
    let mut lines = Vec::new();
    for job in delivery.jobs().iter().take(REPORTED) {
        lines.push(line(server, job).await);
    }
    if let Some(more) = delivery.jobs().len().checked_sub(REPORTED).filter(|more| *more > 0) {
        lines.push(format!("{more} more of your jobs ended; list shows them."));
    }
    acknowledge(server, context, delivery);
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Counts the ends that the answer shows as delivered once it is written, for answers to which nothing can be added.
pub(crate) async fn count_shown(server: &Server, context: &Context) {
    let (Some(caller), known) = (server.call().caller(), server.call().take_known()) else { return };
    if known.is_empty() {
        return;
    }
    match server.jobs().deliver_known(caller, &known).await {
        Ok(delivery) => delivery.into_iter().for_each(|delivery| acknowledge(server, context, delivery)),
        Err(error) => tracing::debug!(%error, "an end that was delivered will be delivered again"),
    }
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

/// Counts ends as delivered once the answer that reports them has been written.
fn acknowledge(server: &Server, context: &Context, delivery: Delivery) {
    let written = context.extensions.get::<Written>().cloned();
    server.acknowledgements().spawn_on(
        async move {
            // Over HTTP, it is not known when the answer is written, so it counts as written at once.
            let is_written = match written {
                Some(Written(written)) => timeout(READING, written.cancelled()).await.is_ok(),
                None => true,
            };
            if !is_written {
                return;
            }
            if let Err(error) = delivery.acknowledge().await {
                tracing::debug!(%error, "ends that were delivered will be delivered again");
            }
        },
        server.work(),
    );
}
