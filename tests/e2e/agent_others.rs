//! Gemini CLI and opencode as jobs, the real programs: how they differ from the others.

use serde_json::{Value, json};

use crate::agent_runs::{Runs, elsewhere, written};
use crate::models::GREETING;
use crate::support::wait_for;

fn answers(runs: &Runs) {
    let ran = runs.run(&["delegate", "--wait", "--name", "greet", "Good morning."]);
    assert_eq!((ran.code, ran.stdout.trim_end()), (Some(0), GREETING), "{ran}");
    let told = runs.told("greet");
    assert_eq!((&told["progress"], &told["result"]), (&"succeeded".into(), &GREETING.into()), "{told}");
    assert_eq!(told["usage"]["output_tokens"], 40, "{told}");
    assert_eq!((&told["noise"], &told["unknown"]), (&Value::Null, &Value::Null), "{told}");
    let ran = runs.run(&["delegate", "--wait", "--resume", "greet", "say again"]);
    assert_eq!((ran.code, ran.stdout.trim_end()), (Some(0), "again"), "{ran}");
    let before = runs.heard().before;
    assert!(before.iter().any(|asked| asked.contains("Good morning.")), "{before:?}");
    let jobs: Vec<Value> = serde_json::from_str(&runs.ok(&["list", "--all", "--json"])).unwrap();
    assert_eq!(jobs[0]["agent"]["session_id"], jobs[1]["agent"]["session_id"], "{jobs:#?}");
}

/// `code` is the exit code of the CLI.
fn fails_with_the_status_of_the_model(runs: &Runs, code: i32) {
    let ran = runs.run(&["delegate", "--wait", "--name", "fails", "fail 400"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{ran}");
    assert!(ran.stderr.contains("failed with 400, as asked (HTTP 400)"), "{ran}");
    assert_eq!(runs.told("fails")["error"]["http_status"], 400);
}

/// What an agent may do in each mode, inside and outside of its directory, with its own tool and with a shell.
fn is_permitted(runs: &Runs, mode: &str, expected: [bool; 3]) {
    let other = elsewhere();
    let (inside, outside) = (runs.work.join(format!("{mode}.txt")), other.path().join("file"));
    let shell = runs.work.join(format!("{mode}.sh.txt"));
    let (in_path, out_path, sh_path) = (inside.display(), outside.display(), shell.display());
    let prompt = format!("write {in_path} in\nwrite {out_path} out\nshell echo sh > {sh_path}\nsay tried");
    if mode == "full" {
        runs.ok(&["config", "set", "agents.full", "true"]);
    }
    let ran = runs.run(&["delegate", "--wait", "--name", mode, "--permission-mode", mode, &prompt]);
    let found = [&inside, &outside, &shell].map(|path| written(path).is_some());
    assert_eq!(found, expected, "{mode}: {ran}");
    let told = runs.told(mode);
    let denied = expected.iter().filter(|permitted| !**permitted).count() as u64;
    assert_eq!(told["denials"].as_u64().unwrap_or(0), denied, "{mode}: {told}");
}

fn is_stopped_with_its_tools(runs: &Runs, seconds: u32) {
    runs.ok(&["config", "set", "agents.full", "true"]);
    let prompt = format!("shell echo up > up; exec sleep {seconds}");
    runs.ok(&["delegate", "--name", "stopped", "--permission-mode", "full", &prompt]);
    runs.wait_for_tool(&format!("sleep {seconds}"));
    runs.ok(&["kill", "stopped"]);
    runs.env.wait_until_empty();
    assert_eq!(runs.told("stopped")["progress"], "killed");
}

#[test]
fn gemini_answers_and_continues() {
    let Some(runs) = Runs::gemini() else { return };
    answers(&runs);
    // The status itself, truncated to eight bits by the kernel.
    fails_with_the_status_of_the_model(&runs, 400 & 0xff);
}

#[test]
fn opencode_answers_and_continues() {
    let Some(runs) = Runs::opencode() else { return };
    answers(&runs);
    fails_with_the_status_of_the_model(&runs, 1);
}

/// It used to retry for minutes while it looked as if it was thinking.
#[test]
fn gemini_shows_that_it_retries() {
    let Some(runs) = Runs::gemini() else { return };
    runs.ok(&["delegate", "--name", "busy", "fail 429"]);
    let told = wait_for("the first retry", || Some(runs.told("busy")).filter(|told| !told["retries"].is_null()));
    assert_eq!((&told["progress"], &told["retry"]["http_status"]), (&"working".into(), &json!(429)), "{told}");
    assert!(told["activity"].as_str().unwrap().contains("after HTTP 429"), "{told}");
    let ran = runs.run(&["tail", "busy"]);
    assert!(ran.stdout.contains("… retry 1 after HTTP 429"), "{ran}");
    runs.ok(&["kill", "busy"]);
    let told = runs.told("busy");
    assert_eq!((&told["progress"], &told["error"]["http_status"]), (&"killed".into(), &json!(429)), "{told}");
    assert!(told["error"]["message"].as_str().unwrap().starts_with("the model had not answered: retry"), "{told}");
}

#[test]
fn gemini_may_do_what_its_mode_permits() {
    let Some(runs) = Runs::gemini() else { return };
    is_permitted(&runs, "read_only", [false, false, false]);
    is_permitted(&runs, "edit", [true, false, false]);
    // Its own tools stay in its workspace even then; its shell does not.
    is_permitted(&runs, "full", [true, false, true]);
}

#[test]
fn opencode_may_do_what_its_mode_permits() {
    let Some(runs) = Runs::opencode() else { return };
    is_permitted(&runs, "read_only", [false, false, false]);
    is_permitted(&runs, "edit", [true, false, false]);
    is_permitted(&runs, "full", [true, true, true]);
}

/// Permitting a directory grants less than permitting a tool, which may then write anywhere.
#[test]
fn gemini_continues_with_the_directory_it_was_refused() {
    let Some(runs) = Runs::gemini() else { return };
    let other = elsewhere();
    let file = other.path().join("file");
    let prompt = format!("write {} outside\nsay tried", file.display());
    let ran = runs.run(&["delegate", "--wait", &prompt]);
    assert_eq!((ran.code, written(&file)), (Some(0), None), "{ran}");
    let line = ran.stderr.lines().find_map(|line| line.split_once("; to continue: ")).unwrap().1;
    assert!(line.contains(&format!(" --add-dir {} ", other.path().display())), "{ran}");
    let again = runs.shell(&line.replace("Go on.", &prompt));
    runs.ok(&["wait", again.stdout.trim()]);
    assert_eq!(written(&file).as_deref(), Some("outside\n"), "{line}: {again}");
}

#[test]
fn gemini_and_opencode_are_stopped_with_their_tools() {
    for (runs, seconds) in [(Runs::gemini(), 1_234_571), (Runs::opencode(), 1_234_573)] {
        if let Some(runs) = runs {
            is_stopped_with_its_tools(&runs, seconds);
        }
    }
}
