//! Sessions, which clients before revision 2026-07-28 use: a limited number, and unused ones end, since few clients end
//! theirs.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use rmcp::transport::streamable_http_server::SessionManager;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use tokio::time::Instant;

/// How many sessions there may be at a time. Each takes about 50 kB.
const MOST: usize = 500;
/// How long an unused session is kept. A waiting call does not count as use, but takes a minute at most.
const IDLE: Duration = Duration::from_secs(24 * 3600);

const SESSION: &str = "mcp-session-id";

/// The sessions, and when each was last used.
#[derive(Debug)]
pub(super) struct Sessions {
    manager: Arc<LocalSessionManager>,
    used: std::sync::Mutex<HashMap<Arc<str>, Instant>>,
}

impl Default for Sessions {
    fn default() -> Self {
        let mut manager = LocalSessionManager::default();
        manager.session_config.keep_alive = Some(IDLE);
        Self { manager: Arc::new(manager), used: std::sync::Mutex::default() }
    }
}

impl Sessions {
    pub(super) fn manager(&self) -> Arc<LocalSessionManager> {
        Arc::clone(&self.manager)
    }

    fn touch(&self, id: &str) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = used.get_mut(id) {
            *used = Instant::now();
        }
    }

    /// Notes new and ended sessions, and ends the least recently used ones if there are too many.
    async fn settle(&self) {
        let there: Vec<Arc<str>> = self.manager.sessions.read().await.keys().cloned().collect();
        let oldest: Vec<Arc<str>> = {
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            *used = there.into_iter().map(|id| (Arc::clone(&id), used.get(&id).copied().unwrap_or(now))).collect();
            let mut ids: Vec<_> = used.iter().map(|(id, used)| (*used, Arc::clone(id))).collect();
            ids.sort_unstable();
            ids.truncate(ids.len().saturating_sub(MOST));
            ids.into_iter().map(|(_, id)| id).collect()
        };
        for id in oldest {
            tracing::info!("too many sessions: ending the least recently used one");
            if let Err(error) = self.manager.close_session(&id).await {
                tracing::warn!(%error, "cannot end a session");
            }
        }
    }
}

/// Returns the session of a request or an answer.
pub(super) fn session(headers: &HeaderMap) -> Option<&str> {
    headers.get(SESSION)?.to_str().ok()
}

/// Notes which sessions are used, started and ended.
pub(super) async fn bound(State(sessions): State<Arc<Sessions>>, request: Request, next: Next) -> Response {
    let known = session(request.headers()).map(|id| sessions.touch(id)).is_some();
    let is_end = request.method() == Method::DELETE;
    let mut response = next.run(request).await;
    if is_end && response.status() == StatusCode::ACCEPTED {
        // The session has been ended, not just accepted for ending, about which some clients warn.
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    if !known && session(response.headers()).is_some() {
        sessions.settle().await;
    }
    response
}
