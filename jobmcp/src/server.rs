//! The server: what all calls of all clients share.

use std::sync::Arc;
use std::time::Duration;

use jobcore::front::Settings;
use jobcore::{Job, JobManager, JobSpec, JobSpecBuilder};
use rmcp::RoleServer;
use rmcp::model::ProgressNotificationParam;
use rmcp::service::RequestContext;
use tokio::runtime::Handle;
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;

use crate::caller::Caller;
use crate::failure::Failure;
use crate::gate::{Gate, Question};
use crate::resources::Subscriptions;
use crate::settings::Background;

pub(crate) type Context = RequestContext<RoleServer>;

/// The largest request, in bytes.
pub(crate) const LARGEST_REQUEST: usize = 4 << 20;
/// How often somebody who waits is told that the waiting goes on.
const PROGRESS: Duration = Duration::from_secs(5);

/// The MCP server, as one client sees it. Clones are the same server.
#[derive(Debug, Clone)]
pub struct Server {
    shared: Arc<Shared>,
    subscriptions: Arc<Subscriptions>,
    caller: Arc<Caller>,
}

#[derive(Debug)]
struct Shared {
    jobs: JobManager,
    settings: Settings,
    gate: Gate,
    closing: CancellationToken,
    work: Handle,
}

impl Server {
    pub(crate) fn new(jobs: JobManager, settings: Settings, background: Background, work: Handle) -> Self {
        let gate = Gate::new(background);
        let shared = Shared { jobs, settings, gate, closing: CancellationToken::new(), work };
        Self { shared: Arc::new(shared), subscriptions: Arc::default(), caller: Arc::default() }
    }

    /// Returns the same server for another client, of which the others learn nothing.
    pub(crate) fn for_client(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), subscriptions: Arc::default(), caller: Arc::default() }
    }

    pub(crate) fn subscriptions(&self) -> &Subscriptions {
        &self.subscriptions
    }

    /// Returns what this client has submitted and been shown.
    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Returns the jobs that it looks after.
    pub fn jobs(&self) -> &JobManager {
        &self.shared.jobs
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    pub(crate) fn background(&self) -> &Background {
        self.shared.gate.background()
    }

    /// Submits a job. This and [`Server::delegate`] are the only ways in which this server does.
    pub(crate) async fn submit(&self, spec: JobSpec) -> Result<Job, Failure> {
        self.caller.watch(self.jobs()).await;
        let job = self.shared.gate.submit(self.jobs(), spec).await?;
        self.caller.submitted(job.id);
        Ok(job)
    }

    /// Asks an agent, as a job.
    pub(crate) async fn delegate(
        &self,
        question: Question<'_>,
        described: impl FnOnce(JobSpecBuilder) -> JobSpecBuilder,
    ) -> Result<Job, Failure> {
        self.caller.watch(self.jobs()).await;
        let job = self.shared.gate.delegate(self.jobs(), question, described).await?;
        self.caller.submitted(job.id);
        Ok(job)
    }

    /// Returns where calls are done.
    pub(crate) fn work(&self) -> &Handle {
        &self.shared.work
    }

    /// Is cancelled when the server ends: whoever waits then answers with what there is.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.shared.closing
    }

    /// Waits for something, and tells the client now and then that it does. Returns nothing if nobody wants to know any
    /// more; no job ends because of that.
    pub(crate) async fn patiently<T>(&self, what: impl Future<Output = T>, context: &Context) -> Option<T> {
        let token = context.meta.get_progress_token();
        let begun = Instant::now();
        let mut ticks = interval_at(begun + PROGRESS, PROGRESS);
        tokio::pin!(what);
        loop {
            tokio::select! {
                done = &mut what => return Some(done),
                () = context.ct.cancelled() => return None,
                () = self.closing().cancelled() => return None,
                _ = ticks.tick(), if token.is_some() => {
                    let Some(token) = token.clone() else { continue };
                    let seconds = begun.elapsed().as_secs();
                    let progress = ProgressNotificationParam::new(token, seconds as f64)
                        .with_message(format!("waiting for {seconds} s"));
                    // A client that does not listen is no reason to end.
                    let _ = context.peer.notify_progress(progress).await;
                }
            }
        }
    }
}
