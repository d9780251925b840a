//! `kill`: stops jobs, or sends them a signal.

use std::time::Duration;

use jobcore::clock::Timestamp;
use jobcore::front::caller;
use jobcore::stop::{Signal, StopOptions, StopReport};
use jobcore::words::counted;
use jobcore::{Error, JobId};
use rmcp::model::Tool;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Result, job, told};
use super::arguments::{few, seconds};
use super::nature::{Nature, tool as describe};
use crate::failure::Failure;
use crate::server::Server;
use crate::text;

/// The longest grace period of a call, so that it is answered before the client gives up.
pub(super) const LONGEST_GRACE: Duration = Duration::from_secs(45);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    #[serde(default)]
    job_ids: Vec<String>,
    /// Only send this, such as "INT"
    signal: Option<String>,
    /// 0 to 45, default 5
    grace_s: Option<f64>,
    /// Also delete its record and output
    remove: Option<bool>,
}

pub(super) fn tool() -> Tool {
    describe::<Arguments>(
        "kill",
        "Stop jobs",
        "Stops jobs with everything they started, or sends them a signal.",
        &Nature { reads: false, destroys: true, repeats: true, open: false, core: true },
    )
}

pub(super) async fn run(server: &Server, arguments: Arguments) -> Result {
    let references = arguments.job_ids;
    if references.is_empty() {
        return Err(Failure::new("job_ids: name at least one job; list shows them."));
    }
    let grace =
        arguments.grace_s.map(|grace| seconds("grace_s", Some(grace), Duration::ZERO, LONGEST_GRACE)).transpose()?;
    let signal = match &arguments.signal {
        Some(signal) => Some(signal.parse::<Signal>().map_err(|reason| Failure::new(format!("signal: {reason}.")))?),
        None => None,
    };
    few(&references)?;
    // In the given order, and each job once: it may be given both by id and by name.
    let mut named = Vec::new();
    for reference in &references {
        let found = match caller::find(server.jobs(), reference).await {
            Ok(id) if server.jobs().job(id).await.is_ok() => Ok(id),
            Ok(_) | Err(Error::NotFound { .. }) => Err(reference),
            Err(error) => return Err(Failure::of(error, server.jobs()).await),
        };
        if !named.contains(&found) {
            named.push(found);
        }
    }
    let ids: Vec<JobId> = named.iter().copied().filter_map(std::result::Result::ok).collect();
    let mut found = Vec::new();
    match signal {
        Some(signal) => {
            for id in ids {
                found.push(send(server, id, signal).await?);
            }
        }
        None => {
            let options = StopOptions::default().with_grace(grace);
            for (id, report) in server.jobs().stop_all(&ids, &options).await {
                found.push(stopped(server, id, report).await?);
            }
        }
    }
    let mut found = found.into_iter();
    let results = named.into_iter().filter_map(|named| match named {
        Ok(_) => found.next(),
        Err(reference) => Some(Killed::not_found(reference)),
    });
    let mut results: Vec<Killed> = results.collect();
    if arguments.remove == Some(true) {
        for killed in &mut results {
            killed.remove(server).await;
        }
    }
    let text: Vec<_> = results.iter().map(|killed| format!("{}: {}", killed.name, killed.said)).collect();
    let structured = json!({ "results": results.into_iter().map(Killed::into_fields).collect::<Vec<_>>() });
    Ok(Answer::text(text.join("\n")).with_structured(structured))
}

/// The result for one job.
struct Killed {
    id: Option<JobId>,
    name: String,
    /// The report, both in the text and in the fields: clients show their models only one of them.
    said: String,
    fields: Value,
}

impl Killed {
    fn not_found(reference: &str) -> Self {
        let reference = text::cut(reference, 100);
        let said = "not_found. Call list to see the jobs there are.".to_owned();
        let fields = json!({ "job_id": reference, "status": "not_found" });
        Self { id: None, name: format!("`{reference}`"), said, fields }
    }

    fn into_fields(mut self) -> Value {
        self.fields["state"] = self.said.into();
        self.fields
    }

    async fn remove(&mut self, server: &Server) {
        let Some(id) = self.id else { return };
        match server.jobs().remove(id).await {
            Ok(()) => {
                self.said.push_str(" Its record and output are removed.");
                self.fields["removed"] = Value::Bool(true);
            }
            Err(error) => {
                self.said.push_str(&format!(" It was not removed: {error}."));
                self.fields["removed"] = Value::Bool(false);
            }
        }
    }
}

async fn send(server: &Server, id: JobId, signal: Signal) -> Result<Killed> {
    let job = job(server, id).await?;
    let name = text::name(&job);
    let sent = match signal {
        // Pause all processes and the timeouts: there is no reason to stop only the main process.
        Signal::STOP => server.jobs().pause(id).await.map(drop),
        Signal::CONT => server.jobs().resume(id).await.map(drop),
        _ => server.jobs().signal(id, signal).await,
    };
    match sent {
        Err(Error::NotRunning { .. }) => Ok(of(server, &job, "already_terminated", "")),
        sent => {
            told(server, sent).await?;
            let fields = json!({ "job_id": job.id.short(), "status": "signalled", "signal": signal });
            Ok(Killed { id: Some(id), name, said: format!("{signal} was sent."), fields })
        }
    }
}

async fn stopped(server: &Server, id: JobId, report: jobcore::Result<StopReport>) -> Result<Killed> {
    Ok(match told(server, report).await? {
        StopReport::Stopped(job) => of(server, &job, "killed", ""),
        StopReport::AlreadyEnded(job) => of(server, &job, "already_terminated", ""),
        StopReport::StragglersStopped { job, processes } => {
            let stopped = counted(processes, "process", "processes");
            of(server, &job, "already_terminated", &format!(" Stopped {stopped} that it had left running."))
        }
        StopReport::Stopping { job, processes, .. } => {
            let left = processes.map(|count| format!(" {} left.", counted(count, "process is", "processes are")));
            of(server, &job, "stopping", &left.unwrap_or_default())
        }
        StopReport::Bypassed { job, processes } => {
            let signalled = counted(processes, "process was", "processes were");
            of(server, &job, "stopping", &format!(" Its supervisor does not answer; {signalled} signalled."))
        }
        _ => of(server, &job(server, id).await?, "stopping", ""),
    })
}

fn of(server: &Server, job: &jobcore::Job, status: &str, note: &str) -> Killed {
    server.call().shows(job);
    let now = Timestamp::now();
    let shape = job.shape(now);
    let state = match status {
        "killed" => "with everything it started".to_owned(),
        "stopping" => format!("it is {}", text::state(&shape, now)),
        _ => format!("it {}", text::state(&shape, now)),
    };
    let said = format!("{status}, {state}.{note}");
    let mut fields = json!({ "job_id": job.id.short(), "status": status });
    for (field, value) in
        [("exit_code", json!(shape.exit_code)), ("signal", json!(shape.signal)), ("cause", json!(shape.cause))]
    {
        if !value.is_null() {
            fields[field] = value;
        }
    }
    Killed { id: Some(job.id), name: text::name(job), said, fields }
}
