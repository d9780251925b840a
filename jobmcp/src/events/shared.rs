//! What all clients of a server share of the extension.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::reading::Feed;
use super::webhook::Webhooks;
use crate::cli;

/// How many streams there may be at a time.
pub(super) const MOST_STREAMS: usize = 100;

/// What they share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) feed: Arc<Feed>,
    /// The places for streams.
    pub(super) streams: Semaphore,
    pub(super) webhooks: Webhooks,
}

impl Shared {
    /// Nothing yet, and events may be posted to these places.
    pub(crate) fn new(webhooks: &[cli::Webhooks]) -> Self {
        Self { feed: Arc::default(), streams: Semaphore::new(MOST_STREAMS), webhooks: Webhooks::new(webhooks) }
    }
}
