//! What is read from the output of agents while it grows and after it has ended. Scripts take the place of an agent's
//! CLI and print what real ones did, or what no real one should.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Ran, TestEnv, script, wait_for};

/// A line of Claude Code that calls a tool. It has 10,000 bytes.
const CALL: &str = r#"{"type":"assistant","message":{"id":"m","content":[{"type":"tool_use","id":"t","name":"Bash","input":{"command":"make","description":"PAD"}}]}}"#;

/// An environment in which the agent called claude is a script.
struct Fake(TestEnv);

impl Fake {
    /// The script finds the prompt in its standard input, and helper functions at its top.
    fn new(body: &str) -> Self {
        let env = TestEnv::new();
        std::fs::create_dir(env.dir().join("bin")).unwrap();
        let call = CALL.replace("PAD", &"x".repeat(10_000 - 1 - (CALL.len() - 3)));
        std::fs::write(env.dir().join("call"), call).unwrap();
        let helpers = r#"#!/bin/bash
result() { printf '{"type":"result","subtype":"success","is_error":%s,"result":"%s","session_id":"%s","num_turns":1,"total_cost_usd":%s,"modelUsage":{"m":{"inputTokens":%s}}}\n' "${5:-false}" "$1" "$2" "$3" "$4"; }
until_there() { until test -e "$1"; do sleep 0.02; done; }
calls() { yes "$(cat call)" | head -n "$1"; }
"#;
        script(&env.dir().join("bin/claude"), &format!("{helpers}{body}\n"));
        let fake = Self(env);
        fake.ok(&["config", "set", "agents.per_minute", "0"]);
        fake
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.0.jobcli(words);
        let others = std::env::var_os("PATH").unwrap_or_default();
        let bin = self.0.dir().join("bin");
        let path = std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&others))).unwrap();
        command.env("PATH", path).env("ANTHROPIC_API_KEY", "key");
        command
    }

    fn run(&self, words: &[&str]) -> Ran {
        Ran::of(self.command(words))
    }

    fn ok(&self, words: &[&str]) -> String {
        self.run(words).ok()
    }

    fn told(&self, id: &str) -> Value {
        self.0.job(id)["agent"].clone()
    }

    fn touch(&self, name: &str) {
        std::fs::write(self.0.dir().join(name), "").unwrap();
    }

    /// Returns the report on a run, and how many bytes were read to make it.
    fn told_by_reading(&self, id: &str) -> (Value, u64) {
        // The bytes a process has read include those read by the children it waited for.
        let mut shell = self.0.command("sh");
        shell.args(["-c", "\"$JOBCLI\" show --json \"$0\" && grep rchar /proc/$$/io", id]);
        let ran = Ran::of(shell);
        let (shown, read) = ran.stdout.split_once("\nrchar: ").unwrap_or_else(|| panic!("{ran}"));
        let shown: Value = serde_json::from_str(shown).unwrap();
        (shown["agent"].clone(), read.trim().parse().unwrap())
    }
}

#[test]
fn output_that_was_read_is_not_read_again() {
    const CALLS: u64 = 20_000;
    let fake = Fake::new(&format!("calls {CALLS}; until_there more; calls 10; until_there end; result done s 1 2"));
    let id = fake.ok(&["delegate", "x"]);
    // No reader of the events looks at it.
    let log = fake.0.job_dir(&id);
    wait_for("200 MB", || (directory_size(&log) >= 10_000 * CALLS).then_some(()));
    let (told, read) = fake.told_by_reading(&id);
    assert_eq!((&told["progress"], &told["tool_calls"]), (&"working".into(), &CALLS.into()), "{told}");
    assert!(read > 10_000 * CALLS, "{read}");
    let (told, read) = fake.told_by_reading(&id);
    assert_eq!(told["tool_calls"], CALLS);
    assert!(read < 1_000_000, "{read}");
    fake.touch("more");
    wait_for("more calls", || (fake.told(&id)["tool_calls"] == CALLS + 10).then_some(()));
    fake.touch("end");
    fake.ok(&["wait", &id]);
    let (told, read) = fake.told_by_reading(&id);
    assert_eq!((&told["progress"], &told["tool_calls"]), (&"succeeded".into(), &(CALLS + 10).into()), "{told}");
    assert!(told["incomplete"].is_null() && read < 1_000_000, "{read}: {told}");
    assert!(fake.ok(&["list"]).contains("succeeded"));
}

/// The size of all files in a directory.
fn directory_size(path: &Path) -> u64 {
    let files = std::fs::read_dir(path).into_iter().flatten().flatten();
    files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}

#[test]
fn dropped_output_makes_figures_lower_bounds() {
    const CALLS: u64 = 30_000;
    let fake = Fake::new(&format!("calls {CALLS}; result done s 1.5 2"));
    let ran = fake.run(&["delegate", "--wait", "--name", "long", "x"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "done\n"), "{ran}");
    assert!(ran.stderr.contains("succeeded (at least 1 turn, $1.50, a part of its output is missing)"), "{ran}");
    let told = fake.told("long");
    let calls = told["tool_calls"].as_u64().unwrap();
    assert!(told["incomplete"] == true && calls > CALLS / 2 && calls < CALLS, "{told}");
    let bounds = told["lower_bounds"].as_array().unwrap();
    assert!(bounds.contains(&"tool_calls".into()) && !bounds.contains(&"cost_usd".into()), "{told}");
    assert!(fake.0.job("long")["dropped_bytes"].as_u64().unwrap() > 0);
    // The run has no other result: what another one would have reported is unknown.
    assert!(fake.ok(&["usage"]).contains('≥'));
}

#[test]
fn a_run_that_never_ends_is_stopped() {
    // Without the trap, bash goes on if one of its children ends by itself just when the signal comes.
    let fake = Fake::new(r#"trap 'trap - INT; kill -INT $$' INT; calls 1; result early s 1 2; until_there never"#);
    let ran = fake.run(&["delegate", "--wait", "--name", "timed", "--timeout", "1s", "x"]);
    // The wait was not interrupted, although the agent died of the signal that says so.
    assert_eq!(ran.code, Some(1), "{ran}");
    // How much it had reported within a second depends on the machine.
    assert!(ran.stderr.contains(": timed out"), "{ran}");
    // Whatever it had reported before.
    assert_eq!(fake.told("timed")["progress"], "timed_out");
    fake.ok(&["delegate", "--name", "killed", "x"]);
    wait_for("the answer", || (fake.told("killed")["progress"] == "answered").then_some(()));
    fake.ok(&["kill", "killed"]);
    assert_eq!(fake.told("killed")["progress"], "killed");
    assert_eq!(fake.ok(&["output", "killed"]), "early");
}

#[test]
fn an_answer_is_available_while_tasks_continue_in_the_background() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../jobcore/samples/agents/claude/bgtool.jsonl");
    let sample = std::fs::read_to_string(sample).unwrap();
    let lines: Vec<_> = sample.lines().collect();
    let first = 1 + lines.iter().position(|line| line.contains("\"result\"") && line.contains("num_turns")).unwrap();
    let fake = Fake::new(&format!("head -n {first} sample; until_there go; tail -n +{} sample", first + 1));
    std::fs::write(fake.0.dir().join("sample"), &sample).unwrap();
    fake.ok(&["delegate", "--name", "busy", "x"]);
    wait_for("the answer", || (fake.told("busy")["progress"] == "answered").then_some(()));
    let told = fake.told("busy");
    assert_eq!((&told["results"], &told["background"]), (&1.into(), &1.into()), "{told}");
    let ran = fake.run(&["output", "busy"]);
    assert!(ran.stdout.contains("bydm54e2l"), "{ran}");
    assert!(ran.stderr.contains("answered, waiting for 1 background task"), "{ran}");
    fake.touch("go");
    fake.ok(&["wait", "busy"]);
    let told = fake.told("busy");
    assert_eq!((&told["progress"], &told["results"]), (&"succeeded".into(), &4.into()), "{told}");
    assert!(fake.ok(&["output", "busy"]).contains("bg1enhbw8"), "the last result holds");
}

#[test]
fn the_last_result_counts_and_not_the_exit_code() {
    let fake = Fake::new(
        r#"case $(cat) in
    cut) result done s 1 2 | head -c 60 ;;
    nothing) ;;
    words) echo 'no JSON'; echo 'error: it does not work' >&2; exit 3 ;;
    noise) echo 'npm WARN old'; result done s 1 2; echo '{ "a' ;;
    exits) result done s 1 2; exit 1 ;;
    fails) result done s 1 2; result 'no more' s 1 2 true ;;
    again) result 'no more' s 1 2 true; result done s 1 2 ;;
esac"#,
    );
    for (prompt, progress, code, stdout, told) in [
        ("cut", "failed", 1, "", "it ended without a result"),
        ("nothing", "failed", 1, "", "it ended without a result"),
        ("words", "failed", 3, "", "error: it does not work"),
        ("noise", "succeeded", 0, "done\n", ""),
        ("exits", "succeeded", 0, "done\n", ""),
        ("fails", "failed", 1, "", "no more"),
        ("again", "succeeded", 0, "done\n", ""),
    ] {
        let ran = fake.run(&["delegate", "--wait", "--name", prompt, prompt]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), stdout), "{prompt}: {ran}");
        let last = ran.stderr.lines().last().unwrap();
        assert!(last.contains(&format!(": {progress}")) && last.ends_with(told), "{prompt}: {ran}");
        assert_eq!(fake.told(prompt)["progress"], progress, "{prompt}");
        // Waiting for it gives the same answer.
        let ran = fake.run(&["wait", prompt]);
        assert_eq!(ran.code, Some(code), "{prompt}: {ran}");
    }
}

#[test]
fn every_verb_shows_an_agent_run_as_such() {
    let fake = Fake::new(
        r#"echo '{"type":"system","subtype":"init","session_id":"s","model":"opus"}'
echo '{"type":"assistant","message":{"id":"1","content":[{"type":"text","text":"I look."},{"type":"tool_use","id":"t","name":"Bash","input":{"command":"ls"}}]}}'
echo '{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t","content":"a"}]}}'
until_there go
echo '{"type":"assistant","message":{"id":"2","content":[{"type":"text","text":"It is done."}]}}'
echo 'a warning' >&2
result 'It is done.' s 0.5 7"#,
    );
    fake.ok(&["delegate", "--name", "run", "--label", "for=me", "Look."]);
    let told = ["I look.", "→ Bash: ls", "← ok", "It is done.", "✓ done: 1 turn, $0.50"];
    let mut follow = fake.command(&["output", "--follow", "run"]);
    let follow = follow.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the call", || (fake.told("run")["tool_calls"] == 1).then_some(()));
    assert!(fake.ok(&["list"]).contains("claude: Look.; working: thinking (1 turn)"), "{}", fake.ok(&["list"]));
    assert_eq!(fake.ok(&["tail", "run"]).lines().collect::<Vec<_>>(), told[..3]);
    assert_eq!(fake.ok(&["output", "run"]), "");
    fake.touch("go");
    let ended: Value = serde_json::from_str(&fake.ok(&["wait", "--json", "run"])).unwrap();
    assert_eq!(ended["jobs"][0]["agent"], fake.told("run"), "{ended}");
    let followed = String::from_utf8(follow.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(followed.lines().collect::<Vec<_>>(), told);
    assert_eq!(fake.ok(&["tail", "--lines", "2", "run"]).lines().collect::<Vec<_>>(), told[3..]);
    assert_eq!(fake.ok(&["output", "run"]), "It is done.");
    let raw = fake.ok(&["output", "--raw", "run"]);
    assert!(raw.starts_with("{\"type\":\"system\"") && raw.contains("a warning"), "{raw}");
    let shown = fake.ok(&["show", "run"]);
    for expected in ["agent        claude: succeeded (1 turn, $0.50)", "answer       It is done.", "session      s"] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(fake.ok(&["list", "--all"]).contains("claude: Look.; succeeded (1 turn, $0.50)"));
    let listed: Value = serde_json::from_str(&fake.ok(&["list", "--all", "--json"])).unwrap();
    let agent = &listed[0]["agent"];
    assert_eq!((&agent["progress"], &agent["result"]), (&"succeeded".into(), &Value::Null), "no list of long answers");
}

#[test]
fn the_usage_of_runs_is_summed_up() {
    let fake = Fake::new(r#"read -r words; result done $words"#);
    let ask = |label: &str, words: &str| fake.ok(&["delegate", "--wait", "--label", label, words]);
    ask("for=me", "a 0.5 100");
    ask("for=you", "b 1 10");
    // It resumes the first, and reports what both used.
    ask("for=me", "a 0.75 150");
    fake.ok(&["run", "--wait", "--name", "other", "true"]);
    let day = fake.0.job("other")["submitted_at"].as_str().unwrap()[..10].to_owned();
    let usage =
        |words: &[&str]| -> Value { serde_json::from_str(&fake.ok(&[&["usage", "--json"], words].concat())).unwrap() };
    let sum = |of: &str, runs: u64, cost: f64, tokens: u64| json!({ "of": of, "runs": runs, "cost_usd": cost, "input_tokens": tokens, "at_least": false });
    assert_eq!(usage(&[])["by"], json!([sum("claude", 3, 1.75, 160)]));
    assert_eq!(usage(&["--by", "label:for"])["by"], json!([sum("me", 2, 0.75, 150), sum("you", 1, 1.0, 10)]));
    assert_eq!(usage(&["--by", "day"])["by"], json!([sum(&day, 3, 1.75, 160)]));
    assert_eq!(usage(&["--label", "for=me"])["total"], {
        let mut sum = sum("", 2, 0.75, 150);
        sum.as_object_mut().unwrap().remove("of");
        sum
    });
    let text = fake.ok(&["usage", "--by", "label:for"]);
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1], ["me", "2", "$0.75", "150", "in"], "{text}");
    assert_eq!(lines[3], ["TOTAL", "3", "$1.75", "160", "in"], "{text}");
}

/// The supervisor of a run may be killed at any moment without losing what the agent reports.
#[test]
fn no_event_is_lost_when_a_run_is_adopted() {
    const CALLS: u64 = 2000;
    let fake = Fake::new(&format!(
        "for n in {{1..{CALLS}}}; do echo '{{\"type\":\"assistant\",\"message\":{{\"id\":\"'$n'\",\"content\":\
         [{{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"Bash\",\"input\":{{}}}}]}}}}'; done; until_there go; result done s 1 2"
    ));
    let id = fake.ok(&["delegate", "x"]);
    let mut before = 0;
    for _ in 0..3 {
        fake.0.replace_supervisor(&id);
        let now = fake.told(&id)["tool_calls"].as_u64().unwrap_or(0);
        assert!(now >= before);
        before = now;
    }
    wait_for("all calls", || (fake.told(&id)["tool_calls"] == CALLS).then_some(()));
    fake.touch("go");
    fake.run(&["wait", &id]);
    let told = fake.told(&id);
    assert_eq!((&told["progress"], &told["tool_calls"]), (&"succeeded".into(), &CALLS.into()), "{told}");
    assert!(told["incomplete"].is_null() && told["noise"].is_null(), "{told}");
}
