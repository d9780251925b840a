//! The types of events on offer: one for each change of a job that a client may want to react to.

use jobcore::Status;
use jobcore::store::EventKind;
use rmcp::model::ErrorData;
use serde::Deserialize;
use serde_json::{Value, json};

/// The types, in the order in which they occur in the life of a job. A change of the supervisor is not one of them,
/// since it changes nothing for the job.
pub(super) const OFFERED: [Kind; 11] = [
    Kind(EventKind::Submitted, "job.submitted", "A job was submitted: it is on record, and queued until it starts."),
    Kind(EventKind::Started, "job.started", "The command of a job was started."),
    Kind(
        EventKind::WaitingForInput,
        "job.waiting_for_input",
        "A job waits for input. Reported once until it writes or is sent something.",
    ),
    Kind(
        EventKind::Stalled,
        "job.stalled",
        "A job stalled, by the time set at submission. Reported once until it continues.",
    ),
    Kind(EventKind::Retrying, "job.retrying", "An attempt of a job ended, and another follows."),
    Kind(EventKind::Ready, "job.ready", "A job is ready: its conditions are met."),
    Kind(EventKind::NotReady, "job.not_ready", "A job was not ready in time, and continues."),
    Kind(
        EventKind::Paused,
        "job.paused",
        "A job was paused: all of its processes are stopped, and so are its timeouts.",
    ),
    Kind(EventKind::Resumed, "job.resumed", "A paused job continues."),
    Kind(EventKind::Ended, "job.ended", "A job ended: it completed, failed, was killed, timed out or was orphaned."),
    Kind(EventKind::Removed, "job.removed", "The record and the output of a job were removed."),
];

/// A type of event: its kind in the feed, its name and its meaning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind(pub(super) EventKind, pub(super) &'static str, &'static str);

/// The requested page of types.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    cursor: Option<String>,
}

/// Returns the types, all on one page. `webhooks` tells whether webhooks are permitted.
pub(super) fn list(page: &Page, webhooks: bool) -> Result<Value, ErrorData> {
    let delivery: &[_] = if webhooks { &["poll", "push", "webhook"] } else { &["poll", "push"] };
    match page.cursor {
        None => Ok(json!({ "resultType": "complete", "events": OFFERED.map(|kind| kind.described(delivery)) })),
        Some(_) => Err(ErrorData::invalid_params("the cursor was not returned by this server", None)),
    }
}

impl Kind {
    /// Returns the type with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        OFFERED.into_iter().find(|kind| kind.1 == name)
    }

    fn described(self, delivery: &[&str]) -> Value {
        let Self(_, name, description) = self;
        json!({
            "name": name,
            "description": description,
            "delivery": delivery,
            "inputSchema": self.input(),
            "payloadSchema": payload(),
        })
    }

    fn input(self) -> Value {
        let mut properties = json!({
            "job_id": { "type": "string", "description": "Only this job: its id or its short id" },
        });
        // Of a removed job, only the id is known.
        if self.0 != EventKind::Removed {
            properties["name"] = json!({ "type": "string", "description": "Only jobs with this name" });
            properties["label"] =
                json!({ "type": "string", "description": "Only jobs with this label: NAME or NAME=VALUE" });
            properties["group"] = json!({ "type": "string", "description": "Only jobs of this group" });
            properties["project"] = json!({ "type": "string", "description": "Only jobs of the project in this directory: an absolute path" });
            properties["mine"] =
                json!({ "type": "boolean", "description": "Only jobs submitted by the conversation of this request" });
        }
        if self.0 == EventKind::Ended {
            let ends: Vec<_> = Status::ALL.into_iter().filter(|status| status.is_final()).collect();
            properties["status"] = json!({
                "type": "array", "items": { "enum": ends }, "description": "Only jobs that ended with one of these statuses",
            });
        }
        json!({ "type": "object", "properties": properties, "additionalProperties": false })
    }
}

/// The public shape of a job. Only the ids are always present: the job may have been removed since.
fn payload() -> Value {
    json!({
        "type": "object",
        "description": "The job in its current state, in the shape of `jobcli show --json`. For a job removed since, the ids \
        and how it ended.",
        "properties": {
            "job_id": { "type": "string" },
            "short_id": { "type": "string" },
            "name": { "type": "string" },
            "status": { "enum": Status::ALL },
            "exit_code": { "type": "integer" },
        },
        "required": ["job_id", "short_id"],
    })
}
