//! Prompts: frequent requests to an agent, expressed in terms of our tools.

use jobcore::Query;
use jobcore::clock::Timestamp;
use jobcore::front::moment;
use rmcp::model::{ArgumentInfo, ErrorData, GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage, Role};
use serde_json::{Value, json};

use crate::server::Server;
use crate::text::cut;

const DEV_SERVER: &str = "dev_server";
const RUN_TESTS: &str = "run_tests";
const WHILE_AWAY: &str = "while_away";
/// The default of `since`.
const AWAY: &str = "12h";
/// How many jobs are read for completions of commands.
const OFFERED: usize = 100;

/// Returns all prompts.
pub(crate) fn all() -> Vec<Prompt> {
    let argument = |name: &str, description: &str| PromptArgument::new(name).with_description(description);
    let prompt = |name: &str, title: &str, description: &str, arguments| {
        Prompt::new(name, Some(description), Some(arguments)).with_title(title)
    };
    vec![
        prompt(
            DEV_SERVER,
            "Run a dev server",
            "Start a server in the background, wait until it is ready, and keep an eye on it",
            vec![
                argument("command", "The command that starts it, such as npm run dev").with_required(true),
                argument("port", "The port that it will listen on").with_required(false),
            ],
        ),
        prompt(
            RUN_TESTS,
            "Run the tests",
            "Run the tests in the background, and report what failed and why",
            vec![argument("command", "The command that runs them; found out by default").with_required(false)],
        ),
        prompt(
            WHILE_AWAY,
            "What happened while I was away",
            "Report which jobs ended, which failed and why, and what is still running",
            vec![argument("since", "How long ago you left, such as 8h or 2d; 12h by default").with_required(false)],
        ),
    ]
}

/// Returns the message of a prompt.
pub(crate) fn get(name: &str, arguments: &JsonObject) -> Result<GetPromptResult, ErrorData> {
    let Some(prompt) = all().into_iter().find(|prompt| prompt.name == name) else {
        return Err(unknown());
    };
    let known = prompt.arguments.iter().flatten();
    if let Some(stranger) = arguments.keys().find(|key| !known.clone().any(|known| known.name == **key)) {
        let names: Vec<_> = known.map(|known| known.name.as_str()).collect();
        return Err(wrong(format!("{name} has no argument `{}`; it takes {}", cut(stranger, 100), names.join(", "))));
    }
    let text = match name {
        DEV_SERVER => dev_server(arguments)?,
        RUN_TESTS => run_tests(given(arguments, "command")?),
        WHILE_AWAY => while_away(given(arguments, "since")?)?,
        _ => return Err(unknown()),
    };
    let result = GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]);
    Ok(match prompt.description {
        Some(description) => result.with_description(description),
        None => result,
    })
}

fn unknown() -> ErrorData {
    wrong(format!("there is no such prompt; there are {DEV_SERVER}, {RUN_TESTS} and {WHILE_AWAY}"))
}

fn wrong(reason: String) -> ErrorData {
    ErrorData::invalid_params(reason, None)
}

/// Returns an argument. Some clients send an empty text for a missing one.
fn given<'a>(arguments: &'a JsonObject, name: &str) -> Result<Option<&'a str>, ErrorData> {
    match arguments.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Some(other) => Err(wrong(format!("{name}: {other} is not text"))),
    }
}

fn dev_server(arguments: &JsonObject) -> Result<String, ErrorData> {
    let Some(command) = given(arguments, "command")? else {
        return Err(wrong("command: give the command that starts the server, such as npm run dev".to_owned()));
    };
    let until = match given(arguments, "port")? {
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 => format!("port:{port}"),
            _ => return Err(wrong(format!("port: `{port}` is not between 1 and 65535"))),
        },
        None => "output:(?i)listening|ready|running on|https?://".to_owned(),
    };
    let execute = json!({ "command": command, "name": "dev-server", "wait_s": 0 });
    let wait = json!({ "job_ids": ["dev-server"], "until": until, "wait_s": 50 });
    Ok(format!(
        "Run a dev server for me, and keep an eye on it while we work.

1. Call list {{\"status\": [\"running\"]}}. If the server is already running, use that job.
2. Otherwise call execute {execute}.
3. Call wait {wait}; repeat it if that has not happened yet. If the server ended instead, call output and tell me what is wrong.
4. Tell me its address, and the name of the job.

From then on, when something about it looks wrong, call output {{\"job_id\": \"dev-server\", \"grep\": \"(?i)error|warn\"}} \
before you guess. To restart it, call kill and then execute again. Leave it running when you are done, unless I say \
otherwise."
    ))
}

fn run_tests(command: Option<&str>) -> String {
    let first = match command {
        Some(command) => {
            let execute = json!({ "command": command, "wait_s": 50 });
            format!("Call execute {execute}.")
        }
        None => {
            "Find out how this project runs its tests, and call execute with that command and \"wait_s\": 50.".into()
        }
    };
    format!(
        "Run the tests and report.

1. {first}
2. If they are still running, do other work meanwhile, and call wait with the job's id until they have ended.
3. If they failed, call output with grep to find each failure, and with a cursor to read around it.

Report how many passed and failed, and for each failure its name, where it is, and the lines that show why. If the command \
could not be run at all, say so: that is not a failed test. Change nothing before I have seen the report."
    )
}

fn while_away(since: Option<&str>) -> Result<String, ErrorData> {
    let since = since.unwrap_or(AWAY);
    if moment::parse(since).is_ok_and(|since| since < Timestamp::now()) {
        let list = json!({ "since": since, "limit": 100 });
        return Ok(format!(
            "Tell me what happened while I was away.

1. Call list {list}, and list {{\"status\": [\"queued\", \"running\", \"paused\"]}} for jobs that started earlier and are unfinished.
2. For each job that failed, was killed, timed out or was orphaned, call output to see why.
3. For each running job, call status once to see whether it makes progress.

Report in a few lines, the worst first: what failed and why, what is still running and how far it is, and what succeeded. Start, \
stop and remove nothing before I have read it."
        ));
    }
    Err(wrong(format!("since: `{since}` is not a time in the past; use for example 90m, 2d, yesterday or 09:00")))
}

/// Returns completions of an argument: earlier commands, and times.
pub(crate) async fn complete(server: &Server, name: &str, argument: &ArgumentInfo) -> Result<Vec<String>, ErrorData> {
    let offered = match (name, argument.name.as_str()) {
        (DEV_SERVER | RUN_TESTS, "command") => commands(server).await?,
        (DEV_SERVER, "port") => Vec::new(),
        (WHILE_AWAY, "since") => ["1h", "8h", "12h", "1d", "2d", "7d"].map(ToOwned::to_owned).to_vec(),
        _ => return Err(wrong("there is no such prompt, or it has no such argument".to_owned())),
    };
    Ok(offered.into_iter().filter(|offer| offer.starts_with(&argument.value)).collect())
}

async fn commands(server: &Server) -> Result<Vec<String>, ErrorData> {
    let newest = Query::default().with_limit(Some(OFFERED));
    let listing = server.jobs().list(&newest).await;
    let listing = listing.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
    let mut commands: Vec<String> = Vec::new();
    for job in &listing.jobs {
        let line = server.jobs().shape(job).command_line();
        if !line.contains('\n') && !commands.contains(&line) {
            commands.push(line);
        }
    }
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str, arguments: Value) -> Result<String, String> {
        let Value::Object(arguments) = arguments else { panic!("an object") };
        let result = get(name, &arguments).map_err(|error| error.message.into_owned())?;
        Ok(serde_json::to_value(&result.messages[0]).unwrap()["content"]["text"].as_str().unwrap().to_owned())
    }

    #[test]
    fn a_prompt_contains_the_calls_to_make() {
        let server = text(DEV_SERVER, json!({ "command": "npm run \"dev\"", "port": "3000" })).unwrap();
        assert!(server.contains(r#""command":"npm run \"dev\"""#) && server.contains("port:3000"), "{server}");
        assert!(text(DEV_SERVER, json!({ "command": "x", "port": "" })).unwrap().contains("output:(?i)listening"));
        assert!(text(RUN_TESTS, json!({})).unwrap().contains("Find out how"));
        assert!(text(WHILE_AWAY, json!({ "since": "2d" })).unwrap().contains(r#""since":"2d""#));
    }

    #[test]
    fn invalid_arguments_are_named_in_the_error() {
        for (name, arguments, expected) in [
            ("nosuch", json!({}), "there are dev_server"),
            (DEV_SERVER, json!({}), "command: give"),
            (DEV_SERVER, json!({ "command": "x", "port": "70000" }), "port: `70000`"),
            (DEV_SERVER, json!({ "command": "x", "colour": "red" }), "no argument `colour`"),
            (RUN_TESTS, json!({ "command": 7 }), "command: 7"),
            (WHILE_AWAY, json!({ "since": "soon" }), "since: `soon`"),
        ] {
            let refusal = text(name, arguments).unwrap_err();
            assert!(refusal.contains(expected), "{refusal}");
        }
    }
}
