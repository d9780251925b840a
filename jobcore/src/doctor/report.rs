//! What was found, and how good it is.

use std::fmt;

use serde::Serialize;

use crate::error::Error;

pub(super) const MAKE_ROOM: &str = "remove ended jobs, or use a store on another file system";
pub(super) const WHEN_FREE: &str = "look again when fewer run, or raise `max_running`";
/// How good what was looked at is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "there is nothing beyond failed")]
pub enum Health {
    /// It works, or is as it should be.
    Ok,
    /// Jobs work, but less is promised; or it could not be proven.
    Degraded,
    /// It does not work.
    Failed,
}

impl Health {
    /// Returns the word, as serialized.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Step {
    /// What, in a word: `detach`, `room`. `docs/doctor.md` lists them.
    pub name: &'static str,
    /// How good it is.
    pub result: Health,
    /// What was found, and what it means for jobs.
    pub detail: String,
    /// What would work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Step {
    /// Returns a step of a program that embeds the library, to be shown with those of
    /// [`Doctor::examine`](super::Doctor::examine).
    pub fn new(name: &'static str, result: Health, detail: impl Into<String>) -> Self {
        Self { name, result, detail: detail.into(), advice: None }
    }
}

/// All that was looked at. Its shape may only be added to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The steps, in order. What does not concern this machine is not among them.
    pub steps: Vec<Step>,
}

impl Report {
    /// Returns the steps that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.result == Health::Failed)
    }

    pub(super) fn add(&mut self, name: &'static str, finding: Finding) {
        let step = match finding {
            Ok(detail) => Step::new(name, Health::Ok, detail),
            Err(Doubt { health, detail, advice }) => Step { advice, ..Step::new(name, health, detail) },
        };
        self.steps.push(step);
    }
}

/// What there is to say of a step: that it is all right and why, or what is wrong.
pub(super) type Finding = std::result::Result<String, Doubt>;

/// What is not as it should be.
#[derive(Debug, PartialEq)]
pub(super) struct Doubt {
    pub(super) health: Health,
    pub(super) detail: String,
    pub(super) advice: Option<String>,
}

impl Doubt {
    pub(super) fn failed(detail: impl Into<String>) -> Self {
        Self { health: Health::Failed, detail: detail.into(), advice: None }
    }

    pub(super) fn degraded(detail: impl Into<String>) -> Self {
        Self { health: Health::Degraded, detail: detail.into(), advice: None }
    }

    pub(super) fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }
}

impl From<Error> for Doubt {
    fn from(error: Error) -> Self {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        let detail = format!("{error}{source}");
        match error {
            Error::Full { .. } => Self::degraded(format!("nothing was proven: {detail}")).advise(WHEN_FREE),
            Error::Forbidden { .. } => Self::degraded(format!("nothing was proven: {detail}"))
                .advise("look at another store, or with a policy that permits such lines"),
            error if error.is_full() => Self::failed(detail).advise(MAKE_ROOM),
            _ => Self::failed(detail),
        }
    }
}
