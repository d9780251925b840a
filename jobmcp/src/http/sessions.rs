//! Sessions, which clients of before 2026-07-28 have: so many, and none that nobody uses. Few clients end theirs.

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

/// How many there may be at a time. Each costs some 50 kB.
const MOST: usize = 500;
/// How long one is kept that nobody uses. A call that waits counts for nothing, but that is a minute at most.
const IDLE: Duration = Duration::from_secs(24 * 3600);

const SESSION: &str = "mcp-session-id";

/// The sessions, and when each was used last.
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

    /// Takes note of what is new and what has ended, and ends what was not used for longest, if there are too many.
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
            tracing::info!("there are too many sessions; the one that was not used for longest ends");
            if let Err(error) = self.manager.close_session(&id).await {
                tracing::warn!(%error, "cannot end a session");
            }
        }
    }
}

/// Returns the session that a request or an answer is part of.
pub(super) fn session(headers: &HeaderMap) -> Option<&str> {
    headers.get(SESSION)?.to_str().ok()
}

/// Takes note of which session is used, begun and ended.
pub(super) async fn bound(State(sessions): State<Arc<Sessions>>, request: Request, next: Next) -> Response {
    let known = session(request.headers()).map(|id| sessions.touch(id)).is_some();
    let is_end = request.method() == Method::DELETE;
    let mut response = next.run(request).await;
    if is_end && response.status() == StatusCode::ACCEPTED {
        // It is done, and not only accepted, of which some clients warn.
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    if !known && session(response.headers()).is_some() {
        sessions.settle().await;
    }
    response
}
