//! The server on standard input and output.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rmcp::ServiceExt;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::CancellationToken;

use crate::ending;
use crate::server::Server;

/// Serves one client, until it goes away or a signal ends this.
pub(crate) async fn serve(server: Server) {
    let closing = server.closing().clone();
    let reader = UntilClosed { reader: tokio::io::stdin(), closing: closing.clone() };
    let serving = async {
        match server.for_client().serve((reader, tokio::io::stdout())).await {
            Ok(running) => drop(running.waiting().await),
            // A client that went away before it said anything, or that speaks something else.
            Err(error) => tracing::info!(%error, "no client"),
        }
    };
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => return,
        () = closing.cancelled() => {}
        () = ending::by_signal() => closing.cancel(),
    }
    // Calls that wait answer now; whoever still writes after that is not waited for.
    let _ = tokio::time::timeout(ending::LAST_WORDS, serving).await;
}

/// Tells when the client has closed its end, so that calls that wait do not keep the server alive for nobody.
struct UntilClosed<R> {
    reader: R,
    closing: CancellationToken,
}

impl<R: AsyncRead + Unpin> AsyncRead for UntilClosed<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.reader).poll_read(context, buffer);
        let is_over = match &read {
            Poll::Ready(Ok(())) => buffer.filled().len() == before && buffer.remaining() > 0,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if is_over {
            self.closing.cancel();
        }
        read
    }
}
