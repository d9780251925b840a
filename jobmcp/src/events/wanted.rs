//! Which events a subscription wants.

use std::path::PathBuf;

use jobcore::store::{EventKind, JobEvent};
use jobcore::{Caller, Job, Name, ParseError, Query, Status};
use rmcp::model::{ErrorData, JsonObject};
use serde::Deserialize;

use super::kinds::{Kind, OFFERED};
use super::refusal;
use crate::text;

/// How many characters are shown of an unknown name, and of an error in arguments.
const SHOWN: usize = 100;
const LONGEST: usize = 300;

/// The arguments of the types of events, as in their schemas.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    job_id: Option<String>,
    name: Option<Name>,
    label: Option<String>,
    group: Option<Name>,
    project: Option<PathBuf>,
    #[serde(default)]
    mine: bool,
    #[serde(default)]
    status: Vec<Status>,
}

/// A type of event, and the jobs for which it is wanted.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) kind: Kind,
    jobs: Query,
    /// Only these final statuses; all if empty.
    ends: Vec<Status>,
}

impl Wanted {
    /// Parses what a subscription of `caller` wants.
    pub(super) fn new(name: &str, arguments: Option<JsonObject>, caller: Option<&Caller>) -> Result<Self, ErrorData> {
        let Some(kind) = Kind::named(name) else {
            let offered = OFFERED.map(|kind| kind.1).join(", ");
            return Err(refusal::no_such_event(&text::cut(name, SHOWN), &offered));
        };
        let arguments: Arguments = serde_json::from_value(arguments.unwrap_or_default().into())
            .map_err(|error| refusal::wrong_arguments(&text::cut(&error.to_string(), LONGEST)))?;
        let Arguments { job_id, name, label, group, project, mine, status } = arguments;
        let caller = match (mine, caller) {
            (false, _) => None,
            (true, Some(caller)) => Some(caller.clone()),
            (true, None) => {
                return Err(refusal::wrong_arguments(
                    "`mine` does not work here: the request does not name its conversation",
                ));
            }
        };
        let label = label.map(|label| match label.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (label, String::new()),
        });
        let mut jobs = Query::default()
            .with_name(name)
            .with_labels(label.into_iter().collect())
            .with_group(group)
            .with_project(project)
            .with_caller(caller);
        match kind.0 {
            EventKind::Removed if jobs != Query::default() => {
                return Err(refusal::wrong_arguments("for a removed job only the `job_id` is known"));
            }
            EventKind::Ended if status.iter().all(|status| status.is_final()) => {}
            _ if status.is_empty() => {}
            _ => return Err(refusal::wrong_arguments("`status` is how jobs ended, and only `job.ended` accepts it")),
        }
        if let Some(id) = job_id {
            let wrong = |error: ParseError| refusal::wrong_arguments(&format!("job_id: {error}"));
            jobs = jobs.with_prefix(id.parse().map_err(wrong)?);
        }
        Ok(Self { kind, jobs, ends: status })
    }

    /// Returns whether an event may be wanted, judging by the feed alone.
    pub(super) fn may_be(&self, event: &JobEvent) -> bool {
        event.event == self.kind.0
            && self.jobs.may_be(event.job_id)
            && (self.ends.is_empty() || event.status.is_none_or(|status| self.ends.contains(&status)))
    }

    /// Returns whether an event that may be wanted is, judging by its job.
    pub(super) fn is_of(&self, job: &Job) -> bool {
        self.jobs.matches(job)
    }

    /// Returns whether the feed alone decides, so that the job is not needed and may have been removed.
    pub(super) fn is_by_id(&self) -> bool {
        let Some(prefix) = &self.jobs.prefix else { return self.jobs == Query::default() };
        self.jobs == Query::default().with_prefix(prefix.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use test_case::test_case;

    use super::*;

    fn wanted(name: &str, arguments: Value) -> Result<Wanted, ErrorData> {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        Wanted::new(name, Some(arguments), None)
    }

    #[test_case("job.ended", json!({ "mine": true }), "conversation"; "no caller")]
    #[test_case("job.ended", json!({ "jobs": "x" }), "unknown field `jobs`"; "an unknown argument")]
    #[test_case("job.ended", json!({ "status": ["running"] }), "how jobs ended"; "not a final status")]
    #[test_case("job.started", json!({ "status": ["failed"] }), "only `job.ended`"; "a status for another event")]
    #[test_case("job.removed", json!({ "name": "x" }), "only the `job_id`"; "a property of a removed job")]
    #[test_case("job.ended", json!({ "job_id": "not an id" }), "job_id"; "not an id")]
    #[test_case("job.ended", json!({ "name": "" }), "name"; "not a name")]
    fn wrong_arguments_are_refused(name: &str, arguments: Value, reason: &str) {
        let refused = wanted(name, arguments).unwrap_err();
        assert!(refused.code.0 == -32602 && refused.message.contains(reason), "{refused:?}");
    }

    #[test]
    fn an_unknown_type_is_refused_with_the_known_ones() {
        let refused = wanted("job.adopted", json!({})).unwrap_err();
        assert!(refused.code.0 == -32023 && refused.message.contains("job.ended"), "{refused:?}");
        assert_eq!(refused.data, Some(json!({ "kind": "event" })));
    }

    #[test]
    fn only_filters_by_id_need_no_job() {
        for (arguments, enough) in [
            (json!({}), true),
            (json!({ "job_id": "3f9a2c1b", "status": ["failed"] }), true),
            (json!({ "job_id": "3f9a2c1b", "name": "x" }), false),
            (json!({ "label": "a=b" }), false),
        ] {
            assert_eq!(wanted("job.ended", arguments.clone()).unwrap().is_by_id(), enough, "{arguments}");
        }
    }
}
