//! `pitchfork.toml` (<https://pitchfork.jdx.dev>): how a job is run, when it is ready and what it waits for.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::jobs::{Jobs, note_rest};

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    daemons: BTreeMap<String, Daemon>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Daemon {
    run: String,
    dir: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    depends: Vec<String>,
    retry: Option<Value>,
    port: Option<u16>,
    ready_port: Option<u16>,
    ready_output: Option<String>,
    ready_http: Option<Value>,
    ready_cmd: Option<String>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

pub(super) fn read(text: &str, left_out: &mut Vec<String>) -> Result<Jobs, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    left_out.extend(file.rest.into_keys());
    file.daemons.into_iter().map(|(name, daemon)| Ok((name.clone(), daemon.spec(&name, left_out)?))).collect()
}

impl Daemon {
    fn spec(self, name: &str, left_out: &mut Vec<String>) -> Result<Map<String, Value>, String> {
        note_rest(left_out, &format!("daemons.{name}"), &self.rest);
        let mut spec = Map::from_iter([("command".to_owned(), self.run.into())]);
        if let Some(dir) = self.dir {
            spec.insert("cwd".to_owned(), dir.into());
        }
        let mut env = self.env;
        if let Some(port) = self.port {
            env.entry("PORT".to_owned()).or_insert_with(|| port.to_string());
        }
        if !env.is_empty() {
            spec.insert("env".to_owned(), json!(env));
        }
        if !self.depends.is_empty() {
            spec.insert("needs".to_owned(), json!(self.depends));
        }
        match self.retry {
            None | Some(Value::Bool(false)) => {}
            Some(Value::Bool(true)) => drop(spec.insert("restart".to_owned(), "on_failure".into())),
            Some(Value::Number(number)) => drop(spec.insert("retries".to_owned(), number.into())),
            Some(other) => {
                return Err(format!("daemons.{name}.retry: `{other}` is neither a number nor true or false"));
            }
        }
        let url = match self.ready_http {
            None => None,
            Some(Value::String(url)) => Some(url),
            Some(Value::Object(http)) => http.get("url").and_then(Value::as_str).map(str::to_owned),
            Some(other) => return Err(format!("daemons.{name}.ready_http: `{other}` is not a URL")),
        };
        let conditions = [
            self.ready_port.map(|port| format!("port:{port}")),
            self.ready_output.map(|pattern| format!("output:{pattern}")),
            url,
            self.ready_cmd.map(|line| format!("cmd:{line}")),
        ];
        let ready: Vec<_> = conditions.into_iter().flatten().collect();
        if !ready.is_empty() {
            spec.insert("ready".to_owned(), json!(ready));
        }
        Ok(spec)
    }
}
