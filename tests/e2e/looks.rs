//! What people see on a terminal: tables that fit, and nothing that the terminal would obey.

use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::sync::Arc;

use jobcore::stop::StopOptions;
use jobcore::words::quoted;
use jobcore::{FileStore, JobManager, LocalRunner, escape};

use crate::background::{touch, until};
use crate::needs;
use crate::support::{JOBCLI, Ran, TestEnv, script, wait_for};

/// Runs a program on a terminal of this width, and returns all that it wrote there, with the line ends of a terminal.
fn on_terminal(env: &TestEnv, columns: u16, words: &[&str]) -> String {
    let line: Vec<_> = words.iter().map(|word| quoted(word)).collect();
    let line = format!("stty cols {columns} rows 24; {}", line.join(" "));
    let mut command = env.command("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    command.env("SHELL", "/bin/sh").env("JOBCORE_CONFIG", config(env));
    Ran::of(command).stdout
}

fn config(env: &TestEnv) -> std::path::PathBuf {
    let path = env.dir().join("config.toml");
    if !path.exists() {
        std::fs::write(&path, "").unwrap();
    }
    path
}

/// The number of columns that a line takes. The tests use no other wide characters.
fn width(line: &str) -> usize {
    line.chars().map(|c| if ('\u{3000}'..='\u{9fff}').contains(&c) { 2 } else { 1 }).sum()
}

/// A text without the colours that the program adds.
fn plain(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut plain = parts.next().unwrap().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(0);
        match part[end..].strip_prefix('m') {
            Some(rest) => plain.push_str(rest),
            None => plain.push_str(&format!("\x1b[{part}")),
        }
    }
    plain
}

#[test]
fn a_table_fits_the_terminal_and_is_whole_elsewhere() {
    let Some(_) = needs::program("script") else { return };
    let env = TestEnv::new();
    let name = format!("n{}", "0123456789".repeat(6));
    let long = format!("true # {} end", "a long line ".repeat(8));
    let wide = format!("true # {} end", "日本語".repeat(20));
    env.ok(["run", "--wait", "--name", &name, &long]);
    env.ok(["run", "--wait", "--name", "web", &wide]);
    env.ok(["run", "--wait", "true # short"]);
    for columns in [40, 80, 300] {
        let table = plain(&on_terminal(&env, columns, &[JOBCLI, "list"])).replace("\r\n", "\n");
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 4, "{table}");
        let border = lines[0].find("COMMAND").unwrap();
        for line in &lines {
            assert!(width(line) <= usize::from(columns), "{columns}: {line}");
        }
        for (line, command) in lines[1..].iter().zip(["true # short", "true # 日本", "true # a l"]) {
            let shown = &line[line.char_indices().nth(border).unwrap().0..];
            assert!(command.starts_with(shown.trim_end_matches('…').get(..7).unwrap()), "{columns}: {table}");
        }
        assert_eq!(lines[2].ends_with(" end"), columns == 300, "{table}");
        assert_eq!(lines[3].contains(&name), columns == 300, "{table}");
        assert_eq!(lines[3].ends_with('…'), columns < 300, "{table}");
        assert_eq!(lines[0].contains("STARTED"), columns > 40, "{table}");
    }
    let table = env.ok(["list"]);
    assert!(table.contains(&name) && table.contains(&long) && table.contains(&wide), "{table}");
}

/// One of each kind: C0, DEL, C1, text direction, line separator.
const HOSTILE: &str = "\x1b]0;x\x07\x7f\u{9b}2J\u{202e}\u{2066}\u{2028}";
/// The part of it that labels may contain.
const TURNED: &str = "\u{202e}\u{2066}\u{2028}";

/// Returns a character that a terminal would obey, other than what the program itself writes: colours and line ends.
fn obeyed(written: &str) -> Option<char> {
    plain(written).replace("\r\n", "\n").chars().find(|c| escape::is_obeyed(*c) && *c != '\n')
}

fn assert_harmless(env: &TestEnv, words: &[&str]) -> String {
    let written = on_terminal(env, 80, words);
    assert_eq!(obeyed(&written), None, "{words:?} wrote {written:?}");
    written
}

/// The output of an agent, as events of Claude Code.
fn events() -> String {
    let hostile = serde_json::json!(HOSTILE);
    format!(
        r#"{{"type":"system","subtype":"init","session_id":{hostile},"model":{hostile}}}
{{"type":"assistant","message":{{"content":[{{"type":"text","text":{hostile}}},{{"type":"tool_use","id":"1","name":{hostile},"input":{{"command":{hostile}}}}}]}}}}
{{"type":"system","subtype":"permission_denied","tool_name":{hostile},"tool_use_id":"1"}}
{{"type":"result","subtype":"success","is_error":false,"result":{hostile},"num_turns":3,"total_cost_usd":0.02,"session_id":{hostile}}}
"#
    )
}

/// Jobs in which everything that a job can have is hostile, and their ids.
fn hostile_jobs(env: &TestEnv) -> Vec<String> {
    let directory = env.dir().join(format!("d{HOSTILE}"));
    std::fs::create_dir(&directory).unwrap();
    let path = |name: &str| directory.join(format!("{name}{HOSTILE}")).to_str().unwrap().to_owned();
    let (shell, input, broken, bare) = (path("sh"), path("input"), path("broken"), path("claude"));
    symlink("/bin/sh", &shell).unwrap();
    std::fs::write(&input, HOSTILE).unwrap();
    script(broken.as_ref(), "#!/nosuch\n");
    script(bare.as_ref(), "#!/bin/sh\ncat \"$EVENTS\"\n");
    std::fs::write(env.dir().join("events"), events()).unwrap();
    // With the escapes of JSON, which TOML has too.
    let program = serde_json::json!(bare).to_string();
    std::fs::write(config(env), format!("[agents.claude]\nprogram = {}\n", escape::json(&program))).unwrap();
    let run = |words: &[&str]| {
        let mut command = env.jobcli(words);
        command.current_dir(&directory).env("JOBCORE_CONFIG", config(env));
        command.env("EVENTS", env.dir().join("events")).env("ANTHROPIC_API_KEY", "key");
        let ran = Ran::of(command);
        assert_eq!(ran.code, Some(0), "{ran}");
        ran.stdout.lines().next().unwrap().to_owned()
    };
    let label = format!("turned={TURNED}");
    let line = format!("cat; printf '%s' '{HOSTILE}' >&2; printf '%s\\n' '{HOSTILE}'");
    let wrote =
        run(&["run", "--stdin", &input, "--shell", &quoted(&shell), "--label", &label, "--key", HOSTILE, &line]);
    let argv = run(&["run", "--group", "web", "--", "echo", HOSTILE]);
    let failed = run(&["run", "--", &broken]);
    let stays = run(&["run", "--name", "stays", &format!("echo '{HOSTILE}'; sleep 1000")]);
    let stopped = run(&["run", &format!("sleep 1000; '{HOSTILE}'")]);
    let agent = run(&["delegate", "--model", HOSTILE, "--label", &label, HOSTILE]);
    let turned = directory.join(format!("turned{TURNED}"));
    std::fs::create_dir(&turned).unwrap();
    let turned = run(&["run", "--cwd", turned.to_str().unwrap(), &format!("echo '{TURNED}'")]);
    stop_as(env, &stopped);
    for id in [&wrote, &argv, &failed, &agent, &turned] {
        wait_for("the job to end", || env.job(id)["ended_at"].is_string().then_some(()));
    }
    wait_for("its output", || env.job(&stays)["output_bytes"].as_u64().filter(|bytes| *bytes > 0));
    vec![wrote, argv, failed, stays, stopped, agent, turned]
}

/// Stops a job under a hostile name.
fn stop_as(env: &TestEnv, id: &str) {
    let store = Arc::new(FileStore::open(env.store()).unwrap());
    let jobs = JobManager::new(store, Arc::new(LocalRunner::with_program(JOBCLI))).unwrap().with_name(HOSTILE);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(jobs.stop(id.parse().unwrap(), &StopOptions::default())).unwrap();
}

#[test]
fn nothing_of_a_job_is_obeyed_by_a_terminal() {
    let Some(_) = needs::program("script") else { return };
    let env = TestEnv::new();
    let ids = hostile_jobs(&env);
    for id in &ids {
        for verb in ["show", "status", "output", "tail", "wait"] {
            let timeout: &[&str] = if verb == "wait" { &["--timeout", "10ms"] } else { &[] };
            assert_harmless(&env, &[&[JOBCLI, verb, id], timeout].concat());
            assert_harmless(&env, &[&[JOBCLI, verb, id, "--json"], timeout].concat());
        }
        assert_harmless(&env, &[JOBCLI, "output", "--timestamps", "--grep", ".", id]);
        assert_harmless(&env, &[JOBCLI, "output", "--clean", "--max-bytes", "1K", id]);
    }
    let [wrote, .., agent, turned] = ids.as_slice() else { unreachable!() };
    for words in [
        &["list"][..],
        &["list", "--json", "--all"],
        &["events"],
        &["events", "--json"],
        &["usage", "--by", "label:turned"],
        &["usage", "--by", "agent", "--json"],
        &["group", "list"],
        &["config", "get"],
        &["wait", "--until", "output:x", "stays", "--timeout", "10s"],
        &["send", "stays", "x"],
        &["prune", "--dry-run", "--keep", "1"],
        &["kill", "stays", "--json"],
        &["run", "--follow", &format!("printf %s '{HOSTILE}'; printf %s '{HOSTILE}' >&2; exit 3")],
        &["run", "--wait", "--json", &format!("'{HOSTILE}'")],
        &["output", "--follow", wrote],
        &["tail", "--follow", agent],
        &["output", "--raw", "--json", agent],
        &["rm", wrote, turned],
    ] {
        let written = assert_harmless(&env, &[&[JOBCLI], words].concat());
        assert!(!written.is_empty() || words[0] == "run", "{words:?}");
    }
    // Asking for the raw bytes prints them.
    let raw = on_terminal(&env, 80, &[JOBCLI, "output", "--raw", &ids[1]]);
    assert_eq!(raw, format!("{HOSTILE}\r\n"));
    // So does writing to anything but a terminal.
    assert_eq!(env.ok(["output", &ids[1]]), HOSTILE);
}

/// Colours, and what redraws the line: progress bars.
#[test]
fn output_on_a_terminal_keeps_its_colours() {
    let Some(_) = needs::program("script") else { return };
    let env = TestEnv::new();
    let line = r"printf '10%%\r\033[K20%%\n\033[1;31mred\033[m \033[32mgreen\033]0;x\007\n'";
    let id = env.ok(["run", "--wait", line]);
    let expected = "10%\r\x1b[K20%\r\n\x1b[1;31mred\x1b[m \x1b[32mgreen\\u{1b}]0;x\\u{7}\r\n\x1b[0m";
    for words in [&[JOBCLI, "output", &id][..], &[JOBCLI, "tail", &id]] {
        assert_eq!(on_terminal(&env, 80, words), expected, "{words:?}");
    }
    let followed = on_terminal(&env, 80, &[JOBCLI, "run", "--follow", line]);
    // The report of the end starts on the line on which the colours are reset.
    assert!(followed.contains(expected), "{followed:?}");
}

/// Each job has a colour of its own unless colours are turned off; the text of a job gets no colour, and redraws
/// nothing.
#[test]
fn names_before_lines_are_coloured_and_cannot_be_overwritten() {
    let Some(_) = needs::program("script") else { return };
    let env = TestEnv::new();
    for name in ["one", "two"] {
        env.ok(["run", "--wait", "--name", name, r"printf '\033[31m10%%\r\b\b\b\b\b20%%\n'"]);
    }
    let words = ["env", "TERM=xterm", JOBCLI, "output", "one", "two"];
    assert_eq!(on_terminal(&env, 80, &words), "\x1b[36mone |\x1b[0m 20%\r\n\x1b[33mtwo |\x1b[0m 20%\r\n");
    let without = [&["env", "NO_COLOR=1"], &words[..]].concat();
    assert_eq!(on_terminal(&env, 80, &without), "one | 20%\r\ntwo | 20%\r\n");
    let piped = env.ok(&words[3..]);
    assert!(piped.starts_with("one | \x1b[31m10%\r"), "{piped:?}");
}

#[test]
fn nothing_that_is_typed_is_obeyed_by_a_terminal() {
    let Some(_) = needs::program("script") else { return };
    let env = TestEnv::new();
    let id = env.ok(["run", "--wait", "true"]);
    let path = format!("/nosuch{HOSTILE}");
    let (word, option) = (format!("x{HOSTILE}"), format!("--x{HOSTILE}"));
    let regex = format!("output:({HOSTILE}");
    let all: &[&[&str]] = &[
        &[HOSTILE],
        &[&option],
        &["list", &option],
        &["show", &word],
        &["status", &word],
        &["output", &word],
        &["tail", &word],
        &["wait", &word],
        &["send", &word, "x"],
        &["attach", &word],
        &["kill", &word],
        &["rm", &word],
        &["events", "--since", &word],
        &["usage", "--by", &word],
        &["usage", "--since", &word],
        &["prune", "--older-than", &word],
        &["prune", "--status", &word],
        &["config", "get", &word],
        &["config", "set", &word, "1"],
        &["config", "set", "max_running", &word],
        &["config", "set", "policy.allow", &format!("a;{HOSTILE}")],
        &["group", "set", &word, "--limit", "1"],
        &["completions", &word],
        &["man", "--dir", &format!("/dev/null/{HOSTILE}")],
        &["list", "--status", &word],
        &["list", "--name", &word],
        &["list", "--since", &word],
        &["output", "--grep", &format!("({HOSTILE}"), &id],
        &["output", "--bytes", &word, &id],
        &["wait", "--until", &regex, &id],
        &["wait", "--until", &format!("file:{HOSTILE}"), &id],
        &["kill", "--signal", &word, &id],
        &["run", "--cwd", &path, "true"],
        &["run", "--shell", &path, "true"],
        &["run", "--shell", &format!("sh '{HOSTILE}"), "true"],
        &["run", "--stdin", &path, "true"],
        &["run", "--timeout", &word, "true"],
        &["run", "--name", &word, "true"],
        &["run", "--label", &word, "true"],
        &["run", "--env-only", &format!("={HOSTILE}"), "true"],
        &["run", "--env", HOSTILE, "--spec", &path],
        &["run", "--", &word],
        &["run", &option, "true"],
        &["run", &format!("-{word}"), "true"],
        &["delegate", "--agent", &word, "x"],
        &["delegate", "--cwd", &path, "x"],
        &["delegate", "--schema", &path, "x"],
        &["delegate", &format!("@{path}")],
        &["--store", &format!("/dev/null/{HOSTILE}"), "list"],
        &["--config", &path, "list"],
    ];
    for words in all {
        let written = assert_harmless(&env, &[&[JOBCLI], *words].concat());
        assert!(!written.is_empty(), "{words:?} gets no message");
    }
    let jobmcp = crate::mcp_client::JOBMCP;
    for words in [&[jobmcp, &option][..], &[jobmcp, "--config", &path], &[jobmcp, "register", "--client", &word]] {
        assert!(!assert_harmless(&env, words).is_empty(), "{words:?}");
    }
}

/// The sum over all of its processes, while it runs and not after.
#[test]
fn the_resources_of_a_running_job_are_shown() {
    let env = TestEnv::new();
    let id = env.submit("sleep 1000 & i=0; while [ $i -lt 50000 ]; do i=$((i + 1)); done; echo counted; wait");
    wait_for("its word", || (env.ok(["output", &id]) == "counted").then_some(()));
    let job = env.job(&id);
    assert_eq!(job["processes"], 2, "{job}");
    assert!(job["memory_bytes"].as_u64().unwrap() > 100_000 && job["cpu_ms"].as_u64().unwrap() > 0, "{job}");
    let shown = env.ok(["show", &id]);
    assert!(
        shown.contains("\nmemory       ") && shown.contains("(2 processes)") && shown.contains("\ncpu time     "),
        "{shown}"
    );
    let mut client = crate::mcp_client::Client::legacy(&env);
    let status = client.ok("status", serde_json::json!({ "job_id": id })).text;
    assert!(status.contains("\nmemory: ") && status.contains("\ncpu_ms: "), "{status}");
    env.ok(["kill", &id]);
    let job = env.job(&id);
    assert!(job.get("memory_bytes").is_none() && job.get("processes").is_none(), "{job}");
}

#[test]
fn a_wait_shows_what_it_waits_for_on_a_terminal_only() {
    let Some(script) = needs::program("script") else { return };
    let env = TestEnv::new();
    let line = format!("printf 'compiling 1 of 2\\n\\033[2Jlinking\\n'; {}; exit 3", until("go"));
    let id = env.ok(["run", "--name", "build", &line]);
    let typescript = env.dir().join("typescript");
    let wait = format!("stty cols 60 rows 24; {} wait build", quoted(JOBCLI));
    let mut command = env.command(script);
    command.args(["--quiet", "--flush", "--return", "--command", &wait]).arg(&typescript);
    let mut waiter = command
        .env("SHELL", "/bin/sh")
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let written = || String::from_utf8_lossy(&std::fs::read(&typescript).unwrap_or_default()).into_owned();
    wait_for("its line", || written().contains("  linking").then_some(()));
    touch(&env, "go");
    assert_eq!(waiter.wait().unwrap().code(), Some(3));
    let written = written();
    let short = env.job(&id)["short_id"].as_str().unwrap().to_owned();
    assert!(written.contains(&format!("build ({short})  ")), "{written:?}");
    assert!(written.contains("failed with exit code 3"), "{written:?}");
    assert!(!written.contains("\u{1b}[2J"), "output cannot control the terminal: {written:?}");
    let ran = env.run(["wait", "build"]);
    assert!(!ran.stderr.contains("linking") && ran.stderr.contains("failed with exit code 3"), "{ran}");
}
