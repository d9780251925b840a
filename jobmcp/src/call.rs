//! Who makes a call, and which ends it is told of by the answer.

use std::sync::{Mutex, PoisonError};

use jobcore::front::caller::{host_name, of_project, project_of};
use jobcore::front::settings::current_dir;
use jobcore::{Caller, Job, JobId};
use rmcp::RoleServer;
use rmcp::service::RequestContext;
use tokio_util::sync::CancellationToken;

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
    /// `own` is the conversation that this program was started from.
    pub(crate) fn of(own: Option<&Caller>, context: &RequestContext<RoleServer>) -> Self {
        Self { caller: caller(own, context), known: Mutex::default() }
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
    // The one client of standard input and output started this server, where it works and with what it knows.
    let of_project = || of_project(&client, &project_of(&current_dir().ok()?));
    own.cloned().or_else(of_project)
}

/// Is cancelled when the answer to a request was written to its client.
#[derive(Debug, Clone)]
pub(crate) struct Written(pub(crate) CancellationToken);
