//! Who makes a call, and which ends it is told of by the answer.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jobcore::front::caller::{host_name, of_project, project_of};
use jobcore::front::settings::current_dir;
use jobcore::inbox::Delivery;
use jobcore::{Caller, Job, JobId};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::server::{Context, Server};

/// How long a client may take to read an answer that reports ends. Afterwards they are reported again.
const READING: Duration = Duration::from_secs(10);
/// Where Codex says in which conversation it is.
const THREAD: &str = "threadId";
/// Where clients of HTTP with sessions say in which they are.
const SESSION: &str = "mcp-session-id";

/// One call.
#[derive(Debug, Default)]
pub(crate) struct Call {
    caller: Option<Caller>,
    known: Mutex<Vec<JobId>>,
}

impl Call {
    /// Finds out who makes a call, as far as its client tells.
    pub(crate) fn of(server: &Server, context: &Context) -> Self {
        Self { caller: caller(server, context), known: Mutex::default() }
    }

    /// Returns the conversation that makes the call; nothing if none of its calls can be told from those of others.
    pub(crate) fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    /// Takes note that the answer shows this state of a job.
    pub(crate) fn shows(&self, job: &Job) {
        if job.status().is_final() {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).push(job.id);
        }
    }

    /// Takes the jobs that the answer shows to have ended.
    pub(crate) fn take_known(&self) -> Vec<JobId> {
        std::mem::take(&mut *self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn caller(server: &Server, context: &Context) -> Option<Caller> {
    let client = match context.meta.client_info() {
        Some(client) => Some(client.name),
        None => context.peer.peer_info().map(|info| info.client_info.name.clone()),
    };
    let client = client.unwrap_or_default();
    let of_client = |conversation: &str| Caller::new(host_name(&client)?, conversation).ok();
    if let Some(thread) = context.meta.0.0.get(THREAD).and_then(|thread| thread.as_str()) {
        return of_client(thread);
    }
    if let Some(request) = context.extensions.get::<axum::http::request::Parts>() {
        return of_client(request.headers.get(SESSION)?.to_str().ok()?);
    }
    // The one client of standard input and output started this server, where it works and with what it knows.
    let of_project = || of_project(&client, &project_of(&current_dir().ok()?));
    server.settings().caller.clone().or_else(of_project)
}

/// Is cancelled when the answer to a request was written to its client.
#[derive(Debug, Clone)]
pub(crate) struct Written(pub(crate) CancellationToken);

/// Counts ends as delivered once the answer that reports them was written.
pub(crate) fn acknowledge(server: &Server, context: &Context, delivery: Delivery) {
    let written = context.extensions.get::<Written>().cloned();
    server.acknowledgements().spawn_on(
        async move {
            // Where nobody tells, over HTTP, it is written as soon as it is given.
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
