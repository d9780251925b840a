//! The server over streamable HTTP: the same handler, protected by a token, with limits on what it keeps for each
//! client.

// In the order in which to read them:
// - `names.rs`: the host names that the server answers to
// - `connections.rs`, `sessions.rs`, `turns.rs`: connections, sessions, and requests within one

mod connections;
mod names;
mod sessions;
mod turns;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rmcp::ServerHandler;
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::StreamableHttpServerConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::names::Names;
use self::sessions::Sessions;
use self::turns::Turns;
use crate::ending;
use crate::lines;
use crate::server::{LARGEST_REQUEST, Server};
use crate::token::Token;

/// How long a client may take to send the body of a request.
const BODY: Duration = Duration::from_secs(30);
/// How long connections may take to close after the last answer.
const CLOSING: Duration = Duration::from_millis(100);

/// Serves clients until a signal ends the server.
pub(crate) async fn serve<H: ServerHandler>(
    server: Server,
    before: fn(Server) -> H,
    listener: TcpListener,
    address: SocketAddr,
    hosts: &[String],
    token: Token,
) {
    let closing = server.closing().clone();
    let silence = CancellationToken::new();
    let sessions = Arc::new(Sessions::default());
    let names = Names::of(address, hosts);
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(true)
        // `names` checks Host and Origin, and more strictly.
        .disable_allowed_hosts()
        .with_max_request_body_bytes(LARGEST_REQUEST)
        .with_cancellation_token(silence.clone());
    let service = StreamableHttpService::new(move || Ok(before(server.for_client())), sessions.manager(), config);
    let app = Router::new()
        .route_service("/mcp", service)
        .route_layer(from_fn_with_state(sessions, sessions::bound))
        .route_layer(from_fn_with_state(Turns::default(), read_whole))
        .route_layer(from_fn_with_state(names, names::known))
        .route_layer(from_fn_with_state(token, authorize))
        .route("/healthz", get(async || "ok\n"));
    let serving = connections::serve(listener, app, closing.clone());
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => return,
        () = ending::by_signal() => closing.cancel(),
    }
    // Waiting calls answer now. Sessions are ended only afterwards, since that would cut off the answers.
    if tokio::time::timeout(ending::LAST_WORDS, &mut serving).await.is_err() {
        silence.cancel();
        let _ = tokio::time::timeout(CLOSING, serving).await;
    }
}

async fn authorize(State(token): State<Token>, headers: HeaderMap, request: Request, next: Next) -> Response {
    if headers.get(AUTHORIZATION).is_some_and(|header| token.is_in(header.as_bytes())) {
        return next.run(request).await;
    }
    let reason = "The token is missing or wrong: send the header `Authorization: Bearer TOKEN`.\n";
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], reason).into_response()
}

/// Reads the whole request before handling it, so that nothing waits for a client that never finishes.
async fn read_whole(State(turns): State<Turns>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match tokio::time::timeout(BODY, to_bytes(body, LARGEST_REQUEST)).await {
        Ok(Ok(body)) => {
            let turn = match (sessions::session(&head.headers), lines::request_id(&body)) {
                (Some(session), Some(id)) => Some(turns.take(session, &id).await),
                _ => None,
            };
            let response = next.run(Request::from_parts(head, body.clone().into())).await;
            if response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE
                && let Err(Some(answer)) = lines::read(&body, body.len())
            {
                // The SDK reports invalid messages as an unsupported media type.
                let json = [(CONTENT_TYPE, "application/json")];
                return (StatusCode::BAD_REQUEST, json, answer.to_string()).into_response();
            }
            match turn {
                Some(turn) => turn.until_sent(response),
                None => response,
            }
        }
        Ok(Err(_)) => {
            let reason = format!("A request has at most {LARGEST_REQUEST} bytes.\n");
            (StatusCode::PAYLOAD_TOO_LARGE, reason).into_response()
        }
        Err(_) => {
            let reason = format!("The request was not complete after {} seconds.\n", BODY.as_secs());
            (StatusCode::REQUEST_TIMEOUT, reason).into_response()
        }
    }
}
