//! How the output of a coding agent's CLI is read: claude, codex, gemini, opencode, or any other as plain text.
//!
//! Bytes become JSON values (`stream`), values become events that are the same for all CLIs (`event`, `format`),
//! and events become a [`Digest`] for programs or a [`Transcript`] for people. Nothing here does I/O or asks for the time.

mod bytes;
mod digest;
mod event;
mod fold;
mod format;
mod last_words;
mod stream;
#[cfg(test)]
mod tests;
mod transcript;
mod words;

pub use digest::{Denial, Digest, Failure, Usage};
pub use fold::Fold;
pub use format::Format;
pub use last_words::last_words;
pub use transcript::Transcript;
