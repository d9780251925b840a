//! The server over streamable HTTP: the same handler, behind a token.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::StreamableHttpServerConfig;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::ending;
use crate::server::{LARGEST_REQUEST, Server};
use crate::token::Token;

/// How long connections may take to close when all that there was to say is said.
const CLOSING: Duration = Duration::from_millis(100);

/// Serves clients until a signal ends this.
pub(crate) async fn serve(server: Server, listener: TcpListener, address: SocketAddr, hosts: &[String], token: Token) {
    let closing = server.closing().clone();
    let silence = CancellationToken::new();
    let mut sessions = LocalSessionManager::default();
    // A client may be silent for hours, and a call that waits counts as silence.
    sessions.session_config.keep_alive = None;
    let hosts = known_hosts(address, hosts);
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(true)
        .with_allowed_origins(hosts.iter().flat_map(|host| [format!("http://{host}:*"), format!("https://{host}:*")]))
        .enforce_origin_validation()
        .with_allowed_hosts(hosts)
        .with_max_request_body_bytes(LARGEST_REQUEST)
        .with_cancellation_token(silence.clone());
    let service = StreamableHttpService::new(move || Ok(server.for_client()), Arc::new(sessions), config);
    let app = Router::new()
        .route_service("/mcp", service)
        .route_layer(from_fn_with_state(token, authorize))
        .route("/healthz", get(async || "ok\n"));
    let serving = axum::serve(listener, app).with_graceful_shutdown(closing.clone().cancelled_owned());
    let serving = async { serving.await };
    tokio::pin!(serving);
    tokio::select! {
        _ = &mut serving => return,
        () = ending::by_signal() => closing.cancel(),
    }
    // Calls that wait answer now. Only then are sessions ended, which would cut off their answers.
    if tokio::time::timeout(ending::LAST_WORDS, &mut serving).await.is_err() {
        silence.cancel();
        let _ = tokio::time::timeout(CLOSING, serving).await;
    }
}

/// What clients may call this server: pages of other sites, and names that somebody else made to point here, are refused.
fn known_hosts(address: SocketAddr, more: &[String]) -> Vec<String> {
    let mut hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned()];
    if !address.ip().is_unspecified() {
        hosts.push(match address {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        });
    }
    hosts.extend_from_slice(more);
    hosts
}

async fn authorize(State(token): State<Token>, headers: HeaderMap, request: Request, next: Next) -> Response {
    if headers.get(AUTHORIZATION).is_some_and(|header| token.is_in(header.as_bytes())) {
        return next.run(request).await;
    }
    let reason = "The token is missing or wrong: send the header `Authorization: Bearer TOKEN`.\n";
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], reason).into_response()
}
