//! Ending the server on a signal: waiting calls are answered first.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

/// How long writing the last answers may take when the server ends.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(300);

/// Returns when a signal asks the server to end.
pub(crate) async fn by_signal() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
