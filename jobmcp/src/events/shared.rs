//! The state of the extension that all clients share.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::reading::Feed;
use super::webhook::Webhooks;
use crate::cli;

/// The limit on concurrent streams.
pub(super) const MOST_STREAMS: usize = 100;

/// The shared state.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) feed: Arc<Feed>,
    /// Permits for streams.
    pub(super) streams: Semaphore,
    pub(super) webhooks: Webhooks,
}

impl Shared {
    /// Creates the state. `webhooks` lists where events can be posted.
    pub(crate) fn new(webhooks: &[cli::Webhooks]) -> Self {
        Self { feed: Arc::default(), streams: Semaphore::new(MOST_STREAMS), webhooks: Webhooks::new(webhooks) }
    }
}
