//! Jobs that ask their client questions. The job itself is all that is kept of a dialogue: its output records the
//! questions and answers, and answers go to its standard input.

use jobcore::input::Message;
use jobcore::{Job, JobId, JobManager};
use jobmcp::Server;
use rmcp::model::{
    ClientCapabilities, ErrorData, InputRequests, InputRequiredResult, InputResponses, JsonObject, ProtocolVersion,
    ServerRequest,
};
use serde_json::{Value, json};

use crate::Context;
use crate::job::{self, Following};

/// Each argument is a round of questions, all asked at once.
const SCRIPT: &str = r#"
for round; do
    echo "asks $round"
    for question in $round; do read -r answer || exit 1; echo "told $answer"; done
done
echo knows enough"#;

/// The stage of a dialogue.
pub(crate) enum Stage {
    /// It continues when these are answered.
    Asks(InputRequiredResult),
    /// The job has all answers.
    Knows(JobId),
}

/// The reply of a client to questions.
pub(crate) struct Reply {
    pub(crate) state: Option<String>,
    pub(crate) answers: InputResponses,
}

/// Starts or continues a dialogue until the client has to answer. A client before revision 2026-07-28 is asked directly
/// meanwhile.
pub(crate) async fn hold(
    server: &Server,
    fixture: &str,
    rounds: &[&str],
    arguments: &JsonObject,
    reply: &Reply,
    context: &Context,
) -> Result<Stage, ErrorData> {
    let job = match &reply.state {
        Some(state) => resume(server, fixture, state).await?,
        None => begin(server, fixture, rounds, context).await?,
    };
    let (mut job, mut open) = answer(server, job.id, &reply.answers).await?;
    let is_asked_meanwhile = context.protocol_version() < Some(ProtocolVersion::V_2026_07_28);
    while is_asked_meanwhile && !open.is_empty() {
        let mut answers = InputResponses::new();
        for question in open {
            let request: ServerRequest = worded(&question, arguments)?;
            let answer = context.peer.send_request(request).await.map_err(|error| job::failed(&error))?;
            answers.insert(question, serde_json::to_value(answer).map_err(|error| job::failed(&error))?);
        }
        (job, open) = self::answer(server, job.id, &answers).await?;
    }
    if open.is_empty() {
        return Ok(Stage::Knows(job.id));
    }
    let state = state(job.id, &job::stdout(server, job.id).await?);
    Ok(Stage::Asks(InputRequiredResult::new(Some(requests(&open, arguments)?), Some(state))))
}

/// Returns the state that the client sends back: the job and the number of its answers. A changed state is never valid.
fn state(id: JobId, output: &str) -> String {
    format!("{id}/{}", output.lines().filter(|line| line.starts_with("told ")).count())
}

async fn resume(server: &Server, fixture: &str, brought: &str) -> Result<Job, ErrorData> {
    let job = job::find(server, brought.split('/').next().unwrap_or_default()).await?;
    if job::fixture(&job) == Some(fixture) && state(job.id, &job::stdout(server, job.id).await?) == brought {
        return Ok(job);
    }
    Err(ErrorData::invalid_params("this state was not returned by this server, or has been used before", None))
}

/// Starts a job that asks questions, for a client that supports all of them.
pub(crate) async fn begin(
    server: &Server,
    fixture: &str,
    rounds: &[&str],
    context: &Context,
) -> Result<Job, ErrorData> {
    let known = context.client_capabilities().unwrap_or_default();
    let questions = rounds.iter().flat_map(|round| round.split(' '));
    let lacking: JsonObject =
        questions.filter_map(|question| lacks(&known, question)).map(|name| (name.to_owned(), json!({}))).collect();
    if !lacking.is_empty() {
        let required = serde_json::from_value(Value::Object(lacking)).map_err(|error| job::failed(&error))?;
        return Err(ErrorData::missing_required_client_capability(required));
    }
    let argv: Vec<&str> = ["sh", "-c", SCRIPT, "sh"].iter().chain(rounds).copied().collect();
    job::start(server, fixture, json!({ "argv": argv, "stdin": "open" }), context).await
}

/// Returns the capability that a question requires, if the client lacks it.
pub(crate) fn lacks(known: &ClientCapabilities, question: &str) -> Option<&'static str> {
    match words(question, &JsonObject::new())["method"].as_str() {
        Some("sampling/createMessage") => known.sampling.is_none().then_some("sampling"),
        Some("roots/list") => known.roots.is_none().then_some("roots"),
        _ => known.elicitation.is_none().then_some("elicitation"),
    }
}

/// Passes on answers to a job, and returns its next questions. Answers to questions that it has not asked, and invalid
/// ones, are ignored.
pub(crate) async fn answer(
    server: &Server,
    id: JobId,
    answers: &InputResponses,
) -> Result<(Job, Vec<String>), ErrorData> {
    let (_, open) = settled(server, id, &[]).await?;
    let given: Vec<String> =
        open.into_iter().filter(|question| answers.get(question).is_some_and(Value::is_object)).collect();
    for question in &given {
        let line = Message::line(format!("{question} {}", answers[question]));
        server.jobs().send(id, &line, JobManager::PATIENCE).await.map_err(|error| job::failed(&error))?;
    }
    settled(server, id, &given).await
}

/// Waits until a job has read these answers, and either asks again or has all answers.
async fn settled(server: &Server, id: JobId, given: &[String]) -> Result<(Job, Vec<String>), ErrorData> {
    let mut following = Following::new(server, id);
    loop {
        let (job, output) = following.next().await?;
        let open = open_in(&output);
        if job.status().is_final() {
            // It can no longer be answered.
            return Ok((job, Vec::new()));
        }
        let is_noted = given.iter().all(|question| !open.contains(question));
        if is_noted && (!open.is_empty() || output.ends_with("knows enough\n")) {
            return Ok((job, open));
        }
    }
}

/// Returns the unanswered questions of a job.
pub(crate) fn open_in(output: &str) -> Vec<String> {
    let mut open = Vec::new();
    for line in output.lines() {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["asks", questions @ ..] => open.extend(questions.iter().map(|question| (*question).to_owned())),
            ["told", question, ..] => open.retain(|asked| asked != question),
            _ => {}
        }
    }
    open
}

/// Returns questions in the form in which a client is asked.
pub(crate) fn requests(questions: &[String], arguments: &JsonObject) -> Result<InputRequests, ErrorData> {
    questions.iter().map(|question| Ok((question.clone(), worded(question, arguments)?))).collect()
}

fn worded<T: serde::de::DeserializeOwned>(question: &str, arguments: &JsonObject) -> Result<T, ErrorData> {
    serde_json::from_value(words(question, arguments)).map_err(|error| job::failed(&error))
}

fn words(question: &str, arguments: &JsonObject) -> Value {
    let argument = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    let choices = json!([{ "const": "value1", "title": "First" }, { "const": "value2", "title": "Second" }]);
    let plain = json!({ "type": "string", "enum": ["option1", "option2", "option3"] });
    match question {
        "client_roots" => json!({ "method": "roots/list" }),
        "capital_question" => sampling("What is the capital of France?"),
        "greeting" => sampling("Write a greeting."),
        "prompt" => sampling(argument("prompt")),
        "message" => {
            form(argument("message"), &json!({ "username": { "type": "string" }, "email": { "type": "string" } }))
        }
        "defaults" => form(
            "Are these right?",
            &json!({
                "name": { "type": "string", "default": "John Doe" },
                "age": { "type": "integer", "default": 30 },
                "score": { "type": "number", "default": 95.5 },
                "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
                "verified": { "type": "boolean", "default": true },
            }),
        ),
        "choices" => form(
            "Which ones?",
            &json!({
                "untitledSingle": plain,
                "titledSingle": { "type": "string", "oneOf": choices },
                "legacyEnum": { "type": "string", "enum": ["opt1", "opt2"], "enumNames": ["One", "Two"] },
                "untitledMulti": { "type": "array", "items": plain },
                "titledMulti": { "type": "array", "items": { "anyOf": choices } },
            }),
        ),
        "confirm" => form("Is that right?", &json!({ "confirm": { "type": "boolean" } })),
        "step2" => form("Which colour do you like?", &json!({ "color": { "type": "string" } })),
        "user_context" => form("In which context?", &json!({ "context": { "type": "string" } })),
        // `user_name`, and `step1` of more.
        _ => form("What is your name?", &json!({ "name": { "type": "string" } })),
    }
}

fn sampling(text: &str) -> Value {
    let message = json!({ "role": "user", "content": { "type": "text", "text": text } });
    json!({ "method": "sampling/createMessage", "params": { "messages": [message], "maxTokens": 100 } })
}

fn form(message: &str, properties: &Value) -> Value {
    let schema = json!({ "type": "object", "properties": properties });
    json!({
        "method": "elicitation/create",
        "params": { "mode": "form", "message": message, "requestedSchema": schema },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answered_questions_are_not_open() {
        assert_eq!(open_in("asks a b\ntold b {\"asks\": \"c\"}\n"), ["a"]);
        assert!(open_in("asks a\ntold a {}\nknows enough\n").is_empty());
    }
}
