//! Connections: a limited number, and none that only occupies a place.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// How many connections are served at a time. Others wait until one is closed.
const MOST: usize = 512;
/// How long a client may take to send the head of each request. Most clients close an unused connection after half of
/// that.
const HEAD: Duration = Duration::from_secs(10);
/// How long to wait after a connection could not be accepted.
const AGAIN: Duration = Duration::from_millis(100);

/// Serves connections until `closing`, and then finishes the requests under way.
pub(super) async fn serve(listener: TcpListener, app: Router, closing: CancellationToken) {
    let served = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(MOST));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let next = async || (Arc::clone(&room).acquire_owned().await, listener.accept().await);
    while let Some((place, accepted)) = closing.run_until_cancelled(next()).await {
        let Ok((stream, _)) = accepted else {
            // Too many open files, or the client has already disconnected.
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app.clone()));
        let connection = served.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
            drop(place);
        });
    }
    drop(listener);
    served.shutdown().await;
}
