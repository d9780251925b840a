//! `process-compose.yaml` (<https://f1bonacc1.github.io/process-compose>): how a process is run, when it is ready and
//! what it waits for.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::jobs::{Jobs, note_rest};

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    environment: Vec<String>,
    #[serde(default)]
    processes: BTreeMap<String, Process>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Process {
    command: String,
    working_dir: Option<String>,
    #[serde(default)]
    environment: Vec<String>,
    #[serde(default)]
    depends_on: BTreeMap<String, Dependency>,
    #[serde(default)]
    availability: Availability,
    readiness_probe: Option<Probe>,
    ready_log_line: Option<String>,
    #[serde(default)]
    shutdown: Shutdown,
    #[serde(default)]
    disabled: bool,
    is_tty: Option<bool>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Dependency {
    condition: Option<String>,
}

#[derive(Default, Deserialize)]
struct Availability {
    restart: Option<String>,
    backoff_seconds: Option<u64>,
    max_restarts: Option<u32>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Probe {
    http_get: Option<HttpGet>,
    exec: Option<Exec>,
}

#[derive(Deserialize)]
struct HttpGet {
    host: Option<String>,
    scheme: Option<String>,
    path: Option<String>,
    port: Value,
}

#[derive(Deserialize)]
struct Exec {
    command: String,
}

#[derive(Default, Deserialize)]
struct Shutdown {
    signal: Option<Value>,
    timeout_seconds: Option<u64>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

pub(super) fn read(text: &str, left_out: &mut Vec<String>) -> Result<Jobs, String> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    left_out.extend(file.rest.into_keys().filter(|key| key != "version"));
    let mut jobs = Jobs::new();
    for (name, process) in file.processes {
        let place = format!("processes.{name}");
        if process.disabled {
            left_out.push(format!("{place}, which is disabled"));
            continue;
        }
        jobs.insert(name, process.spec(&place, &file.environment, left_out)?);
    }
    Ok(jobs)
}

impl Process {
    fn spec(
        self,
        place: &str,
        environment: &[String],
        left_out: &mut Vec<String>,
    ) -> Result<Map<String, Value>, String> {
        note_rest(left_out, place, &self.rest);
        note_rest(left_out, &format!("{place}.availability"), &self.availability.rest);
        note_rest(left_out, &format!("{place}.shutdown"), &self.shutdown.rest);
        let mut spec = Map::from_iter([("command".to_owned(), self.command.into())]);
        let mut set = |field: &str, value: Value| drop(spec.insert(field.to_owned(), value));
        if let Some(directory) = self.working_dir {
            set("cwd", directory.into());
        }
        let variables: BTreeMap<_, _> =
            environment.iter().chain(&self.environment).filter_map(|variable| variable.split_once('=')).collect();
        if !variables.is_empty() {
            set("env", json!(variables));
        }
        let mut first: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (name, dependency) in self.depends_on {
            let field = match dependency.condition.as_deref() {
                None | Some("process_started") => "needs",
                Some("process_healthy" | "process_log_ready") => "after_ready",
                Some("process_completed") => "after",
                Some("process_completed_successfully") => "after_ok",
                Some(other) => return Err(format!("{place}.depends_on.{name}: there is no condition `{other}`")),
            };
            first.entry(field).or_default().push(name);
        }
        for (field, names) in first {
            set(field, json!(names));
        }
        match self.availability.restart.as_deref() {
            None | Some("no" | "exit_on_failure") => {}
            Some("always") => set("restart", "always".into()),
            Some("on_failure") => set("restart", "on_failure".into()),
            Some(other) => return Err(format!("{place}.availability.restart: there is no rule `{other}`")),
        }
        if self.availability.restart.as_deref().is_some_and(|rule| ["always", "on_failure"].contains(&rule)) {
            if let Some(limit) = self.availability.max_restarts.filter(|limit| *limit > 0) {
                set("retries", limit.into());
            }
            set("backoff", format!("{}s", self.availability.backoff_seconds.unwrap_or(1)).into());
        }
        let mut ready: Vec<String> = self.ready_log_line.map(|line| format!("output:{line}")).into_iter().collect();
        if let Some(Probe { http_get, exec }) = self.readiness_probe {
            ready.extend(http_get.map(|get| get.url()));
            ready.extend(exec.map(|exec| format!("cmd:{}", exec.command)));
        }
        if !ready.is_empty() {
            set("ready", json!(ready));
        }
        match self.shutdown.signal {
            Some(Value::Number(number)) => set("stop_signal", number.to_string().into()),
            Some(Value::String(signal)) => set("stop_signal", signal.into()),
            _ => {}
        }
        if let Some(seconds) = self.shutdown.timeout_seconds {
            set("grace", seconds.into());
        }
        if self.is_tty == Some(true) {
            set("tty", true.into());
        }
        Ok(spec)
    }
}

impl HttpGet {
    fn url(self) -> String {
        let port = self.port.as_str().map_or_else(|| self.port.to_string(), str::to_owned);
        let (scheme, host) = (self.scheme.as_deref().unwrap_or("http"), self.host.as_deref().unwrap_or("127.0.0.1"));
        let path = self.path.unwrap_or_default();
        format!("{scheme}://{host}:{port}/{}", path.trim_start_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
version: '0.5'
log_level: info
environment: ['A=1']
processes:
  db:
    command: postgres -D data
    ready_log_line: ready to accept
    availability: { restart: on_failure, backoff_seconds: 2, max_restarts: 5 }
  migrate:
    command: |
      ./migrate
    depends_on: { db: { condition: process_log_ready } }
  api:
    command: ./api
    working_dir: server
    environment: ['B=2', 'A=3']
    replicas: 2
    readiness_probe: { http_get: { path: health, port: 8080 } }
    shutdown: { signal: 2, timeout_seconds: 20 }
    depends_on:
      migrate: { condition: process_completed_successfully }
  off: { command: x, disabled: true }
";

    #[test]
    fn supported_settings_are_converted_and_the_rest_is_reported() {
        let mut left_out = Vec::new();
        let jobs = read(FILE, &mut left_out).unwrap();
        assert_eq!(
            json!(jobs),
            json!({
                "db": { "command": "postgres -D data", "env": { "A": "1" }, "ready": ["output:ready to accept"],
                    "restart": "on_failure", "retries": 5, "backoff": "2s" },
                "migrate": { "command": "./migrate\n", "env": { "A": "1" }, "after_ready": ["db"] },
                "api": { "command": "./api", "cwd": "server", "env": { "A": "3", "B": "2" }, "after_ok": ["migrate"],
                    "ready": ["http://127.0.0.1:8080/health"], "stop_signal": "2", "grace": 20 },
            })
        );
        assert_eq!(left_out, ["log_level", "processes.api.replicas", "processes.off, which is disabled"]);
        for wrong in ["processes: { a: { command: x, depends_on: { b: { condition: soon } } } }", "processes: [", "{"] {
            assert!(read(wrong, &mut Vec::new()).is_err(), "{wrong}");
        }
    }
}
