//! The caller of a call, and the ends that its answer reports.

use std::sync::{Mutex, PoisonError};

use jobcore::front::caller::{host_name, of_project, project_of};
use jobcore::front::settings::current_dir;
use jobcore::{Caller, Job, JobId};
use rmcp::RoleServer;
use rmcp::service::RequestContext;
use tokio_util::sync::CancellationToken;

/// The metadata field in which Codex names its conversation.
const THREAD: &str = "threadId";
/// The header in which HTTP clients name their session.
const SESSION: &str = "mcp-session-id";

/// One call.
#[derive(Debug, Default)]
pub(crate) struct Call {
    caller: Option<Caller>,
    known: Mutex<Vec<JobId>>,
}

impl Call {
    /// Identifies the caller of a call, as far as its client allows. `own` is the conversation from which this program
    /// was started.
    pub(crate) fn of(own: Option<&Caller>, context: &RequestContext<RoleServer>) -> Self {
        Self { caller: caller(own, context), known: Mutex::default() }
    }

    /// Returns the caller; nothing if its calls cannot be distinguished from those of others.
    pub(crate) fn caller(&self) -> Option<&Caller> {
        self.caller.as_ref()
    }

    /// Notes that the answer shows this state of a job.
    pub(crate) fn shows(&self, job: &Job) {
        if job.status().is_final() {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).push(job.id);
        }
    }

    /// Takes the jobs whose end the answer shows.
    pub(crate) fn take_known(&self) -> Vec<JobId> {
        std::mem::take(&mut *self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn caller(own: Option<&Caller>, context: &RequestContext<RoleServer>) -> Option<Caller> {
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
    // The client on standard input and output started this server, in its own directory and with its own environment.
    let of_project = || of_project(&client, &project_of(&current_dir().ok()?));
    own.cloned().or_else(of_project)
}

/// Is cancelled when the answer to a request has been written to its client.
#[derive(Debug, Clone)]
pub(crate) struct Written(pub(crate) CancellationToken);
