//! The server on standard input and output.

use std::time::Duration;

use jobcore::front::process;
use rmcp::ServiceExt;
use tokio::io::BufReader;
use tokio::time::{sleep, timeout};

use crate::ending;
use crate::lines::Lines;
use crate::server::Server;

/// How much is read at a time.
const CHUNK: usize = 64 << 10;
/// How long it may take to read what was sent last.
const UNREAD: Duration = Duration::from_millis(100);

/// Serves one client, until it goes away or a signal ends this.
pub(crate) async fn serve(server: Server) {
    serve_client(&server).await;
    // What the client has read is not delivered to it again by the next server.
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
            // A client that went away before it said anything, or that speaks something else.
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
    // Calls that wait answer now; whoever still writes after that is not waited for.
    let _ = timeout(ending::LAST_WORDS, serving).await;
}

/// Returns when the client has closed its end some time ago. Usually that is noticed before, by whoever reads; but what a
/// client has sent that does not read itself may be left unread.
async fn hung_up() {
    process::input_closed().await;
    sleep(UNREAD).await;
}
