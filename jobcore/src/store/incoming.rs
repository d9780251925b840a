//! Requests to the holder of a job.

use std::fmt::{self, Debug};

use crate::control::{Answer, Request};

/// A request and the way to answer it.
#[must_use]
pub struct Incoming {
    /// What is asked.
    pub request: Request,
    answer: Box<dyn FnOnce(Answer) + Send>,
}

impl Incoming {
    /// Wraps a request; `answer` is called at most once.
    pub fn new(request: Request, answer: impl FnOnce(Answer) + Send + 'static) -> Self {
        Self { request, answer: Box::new(answer) }
    }

    /// Answers. It is no error if the sender of the request is no longer waiting.
    pub fn answer(self, answer: Answer) {
        (self.answer)(answer);
    }
}

impl Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("request", &self.request).finish_non_exhaustive()
    }
}
