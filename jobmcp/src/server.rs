//! The server: the state shared by all calls of all clients.

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
use tokio_util::task::TaskTracker;

use crate::call::Call;
use crate::events;
use crate::failure::Failure;
use crate::gate::{Gate, Question};
use crate::resources::Subscriptions;
use crate::settings::Background;
use crate::shown::Shown;

pub(crate) type Context = RequestContext<RoleServer>;

/// The largest request, in bytes.
pub(crate) const LARGEST_REQUEST: usize = 4 << 20;
/// How often a waiting client is notified of progress.
const PROGRESS: Duration = Duration::from_secs(5);

/// The MCP server as seen by one call of one client. Clones share the same server.
#[derive(Debug, Clone)]
pub struct Server {
    shared: Arc<Shared>,
    subscriptions: Arc<Subscriptions>,
    shown: Arc<Shown>,
    call: Arc<Call>,
}

#[derive(Debug)]
struct Shared {
    jobs: JobManager,
    settings: Settings,
    gate: Gate,
    events: events::Shared,
    closing: CancellationToken,
    acknowledgements: TaskTracker,
    work: Handle,
}

impl Server {
    pub(crate) fn new(
        jobs: JobManager,
        settings: Settings,
        background: Background,
        events: events::Shared,
        work: Handle,
    ) -> Self {
        let gate = Gate::new(background);
        let (closing, acknowledgements) = Default::default();
        let shared = Shared { jobs, settings, gate, events, closing, acknowledgements, work };
        Self { shared: Arc::new(shared), subscriptions: Arc::default(), shown: Arc::default(), call: Arc::default() }
    }

    /// Returns the same server for another client, with its own state.
    pub(crate) fn for_client(&self) -> Self {
        let shared = Arc::clone(&self.shared);
        Self { shared, subscriptions: Arc::default(), shown: Arc::default(), call: Arc::default() }
    }

    /// Returns the same server for one call of its client.
    pub(crate) fn for_call(&self, context: &Context) -> Self {
        Self { call: Arc::new(Call::of(self.settings().caller.as_ref(), context)), ..self.clone() }
    }

    pub(crate) fn subscriptions(&self) -> &Subscriptions {
        &self.subscriptions
    }

    /// Returns how much output this client has been shown.
    pub(crate) fn shown(&self) -> &Shown {
        &self.shown
    }

    /// Returns the current call.
    pub(crate) fn call(&self) -> &Call {
        &self.call
    }

    /// Returns the job manager.
    pub fn jobs(&self) -> &JobManager {
        &self.shared.jobs
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    pub(crate) fn background(&self) -> &Background {
        self.shared.gate.background()
    }

    /// Submits a job. This server submits jobs only here and in [`Server::delegate`].
    pub(crate) async fn submit(&self, mut spec: JobSpec) -> Result<Job, Failure> {
        spec.caller = self.call.caller().cloned();
        self.shared.gate.submit(self.jobs(), spec).await
    }

    /// Submits an agent run.
    pub(crate) async fn delegate(
        &self,
        question: Question<'_>,
        described: impl FnOnce(JobSpecBuilder) -> JobSpecBuilder,
    ) -> Result<Job, Failure> {
        let of_caller = |spec| match self.call.caller() {
            Some(caller) => described(spec).caller(caller.clone()),
            None => described(spec),
        };
        self.shared.gate.delegate(self.jobs(), question, of_caller).await
    }

    /// Returns the runtime that calls run on.
    pub(crate) fn work(&self) -> &Handle {
        &self.shared.work
    }

    /// Returns the part of the events that all clients share.
    pub(crate) fn events(&self) -> &events::Shared {
        &self.shared.events
    }

    /// Returns the token that is cancelled when the server ends. Waiting calls then answer with what they have.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.shared.closing
    }

    /// Returns the tracker of the tasks that acknowledge delivered ends.
    pub(crate) fn acknowledgements(&self) -> &TaskTracker {
        &self.shared.acknowledgements
    }

    /// Waits for a future, and notifies the client of progress meanwhile. Returns nothing if the call is cancelled or
    /// the server ends; that ends no job.
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
                    // The wait goes on even if the client cannot be notified.
                    let _ = context.peer.notify_progress(progress).await;
                }
            }
        }
    }
}
