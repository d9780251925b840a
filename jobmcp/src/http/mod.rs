//! The server over streamable HTTP: the same handler, behind a token, and with limits to what it keeps for anybody.

mod connections;
mod sessions;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::StreamableHttpServerConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::sessions::Sessions;
use crate::ending;
use crate::lines;
use crate::server::{LARGEST_REQUEST, Server};
use crate::token::Token;

/// How long a client may take to send a request whose head it has sent.
const BODY: Duration = Duration::from_secs(30);
/// How long connections may take to close when all that there was to say is said.
const CLOSING: Duration = Duration::from_millis(100);

/// Serves clients until a signal ends this.
pub(crate) async fn serve(server: Server, listener: TcpListener, address: SocketAddr, hosts: &[String], token: Token) {
    let closing = server.closing().clone();
    let silence = CancellationToken::new();
    let sessions = Arc::new(Sessions::default());
    let hosts = known_hosts(address, hosts);
    #[cfg(feature = "conformance")]
    let server = crate::conformance::Fixtures::before(server);
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(true)
        .with_allowed_origins(hosts.iter().flat_map(|host| [format!("http://{host}:*"), format!("https://{host}:*")]))
        .enforce_origin_validation()
        .with_allowed_hosts(hosts)
        .with_max_request_body_bytes(LARGEST_REQUEST)
        .with_cancellation_token(silence.clone());
    let service = StreamableHttpService::new(move || Ok(server.for_client()), sessions.manager(), config);
    let app = Router::new()
        .route_service("/mcp", service)
        .route_layer(from_fn_with_state(sessions, sessions::bound))
        .route_layer(from_fn(read_whole))
        .route_layer(from_fn_with_state(token, authorize))
        .route("/healthz", get(async || "ok\n"));
    let serving = connections::serve(listener, app, closing.clone());
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => return,
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

/// Reads a request to its end, so that what begins with it does not wait for who never comes to one.
async fn read_whole(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match tokio::time::timeout(BODY, to_bytes(body, LARGEST_REQUEST)).await {
        Ok(Ok(body)) => {
            let response = next.run(Request::from_parts(head, body.clone().into())).await;
            if response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE
                && let Err(Some(answer)) = lines::read(&body, body.len())
            {
                // What the SDK cannot read, it calls a media type that it does not know.
                let json = [(CONTENT_TYPE, "application/json")];
                return (StatusCode::BAD_REQUEST, json, answer.to_string()).into_response();
            }
            response
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
