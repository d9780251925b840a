//! The server on standard input and output.

use std::time::Duration;

use jobcore::front::process;
use rmcp::ServiceExt;
use tokio::io::BufReader;
use tokio::time::{sleep, timeout};

use crate::ending;
use crate::lines::Lines;
use crate::server::Server;

/// How many bytes are read at a time.
const CHUNK: usize = 64 << 10;
/// How long reading the last messages may take after the client has closed its end.
const UNREAD: Duration = Duration::from_millis(100);

/// Serves one client, until it disconnects or a signal ends the server.
pub(crate) async fn serve(server: Server) {
    serve_client(&server).await;
    // Finish the acknowledgements, so that the next server does not deliver again what the client has read.
    server.acknowledgements().close();
    let _ = timeout(ending::LAST_WORDS, server.acknowledgements().wait()).await;
}

async fn serve_client(server: &Server) {
    let closing = server.closing().clone();
    let reader = BufReader::with_capacity(CHUNK, tokio::io::stdin());
    let lines = Lines::new(reader, tokio::io::stdout(), closing.clone());
    let serving = async {
        match server.for_client().serve(lines).await {
            Ok(running) => drop(running.waiting().await),
            // The client disconnected before its first message, or does not speak MCP.
            Err(error) => tracing::info!(%error, "no client"),
        }
    };
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => return,
        () = closing.cancelled() => {}
        () = hung_up() => closing.cancel(),
        () = ending::by_signal() => closing.cancel(),
    }
    // Waiting calls answer now. Writes that take longer are abandoned.
    let _ = timeout(ending::LAST_WORDS, serving).await;
}

/// Returns some time after the client has closed its end. Usually the reader notices that first, but not while it waits
/// for a client that does not read its answers.
async fn hung_up() {
    process::input_closed().await;
    sleep(UNREAD).await;
}
