//! Which threads a manager works on.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// How many threads of the runtime's blocking pool the clones of a manager use at the same time, at most: a thousand
/// callers that wait for jobs must not start a thousand threads.
const THREADS: usize = 32;

/// Which threads a manager works on. Clones share the limit.
#[derive(Debug, Clone)]
pub(super) enum Workplace {
    /// On the calling thread.
    Inline,
    /// On threads of the runtime's blocking pool.
    Pool(Arc<Semaphore>),
}

impl Workplace {
    pub(super) fn pool() -> Self {
        Self::Pool(Arc::new(Semaphore::new(THREADS)))
    }
}
