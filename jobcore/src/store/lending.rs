//! Lent slots.

use std::any::Any;
use std::fmt::{self, Debug};

/// A slot that is lent until this is dropped: [`JobStore::lend`](super::JobStore::lend).
#[must_use = "the slot is lent until this is dropped"]
pub struct Lending(#[expect(dead_code, reason = "it is held")] Box<dyn Any + Send + Sync>);

impl Lending {
    /// Creates a lending that ends when `kept` is dropped.
    pub fn new(kept: impl Any + Send + Sync) -> Self {
        Self(Box::new(kept))
    }
}

impl Debug for Lending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lending").finish_non_exhaustive()
    }
}
