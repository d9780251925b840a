//! The findings and their health.

use std::fmt;

use serde::Serialize;

use crate::error::Error;

pub(super) const MAKE_ROOM: &str = "remove ended jobs, or use a store on another file system";
pub(super) const WHEN_FREE: &str = "wait until fewer jobs are running, or raise `max_running`";
/// The health of something that was examined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "failed is the worst")]
pub enum Health {
    /// It works.
    Ok,
    /// Jobs work, but with weaker guarantees, or it could not be tested.
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

/// One thing that was examined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Step {
    /// Its name: `detach`, `room`. `docs/doctor.md` lists all names.
    pub name: &'static str,
    /// Its health.
    pub result: Health,
    /// What was found, and what it means for jobs.
    pub detail: String,
    /// What helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Step {
    /// Creates a step of a program that embeds the library, to be shown with those of
    /// [`Doctor::examine`](super::Doctor::examine).
    pub fn new(name: &'static str, result: Health, detail: impl Into<String>) -> Self {
        Self { name, result, detail: detail.into(), advice: None }
    }
}

/// All findings. Only additions to its shape are allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The steps, in order. Steps that do not apply to this machine are absent.
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

/// The finding of a step: why it is healthy, or what is wrong.
pub(super) type Finding = std::result::Result<String, Doubt>;

/// Something that is not as it should be.
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
            Error::Full { .. } => Self::degraded(format!("not tested: {detail}")).advise(WHEN_FREE),
            Error::Forbidden { .. } => Self::degraded(format!("not tested: {detail}"))
                .advise("examine another store, or use a policy that permits such lines"),
            error if error.is_full() => Self::failed(detail).advise(MAKE_ROOM),
            _ => Self::failed(detail),
        }
    }
}
