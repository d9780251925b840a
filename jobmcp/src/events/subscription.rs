//! What a client wants, and from which place in the feed on.

use std::sync::Arc;

use rmcp::model::{ErrorData, JsonObject};
use serde::Deserialize;

use super::reading::Reading;
use super::wanted::Wanted;
use crate::server::Server;

/// The params shared by all ways of delivery.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Subscription {
    pub(super) name: String,
    #[serde(default)]
    pub(super) arguments: Option<JsonObject>,
    #[serde(default)]
    cursor: Option<String>,
    #[serde(default)]
    max_age_ms: Option<u64>,
}

impl Subscription {
    /// Starts reading at its place in the feed.
    pub(super) async fn reading(&self, server: &Server) -> Result<Reading, ErrorData> {
        let wanted = Wanted::new(&self.name, self.arguments.clone(), server.call().caller())?;
        let (feed, jobs) = (Arc::clone(&server.events().feed), server.jobs().clone());
        Reading::start(feed, jobs, wanted, self.cursor.as_deref(), self.max_age_ms).await
    }
}
