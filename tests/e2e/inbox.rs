//! The callers of jobs, and the delivery of an end to its caller: once, through whichever door is open.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::background::{touch, until};
use crate::mcp_client::{Client, JOBMCP};
use crate::support::{Ran, TestEnv, send, wait_for};

/// The variable that Claude Code sets for the programs it starts.
const SESSION: &str = "CLAUDE_CODE_SESSION_ID";

/// Runs jobcli as a conversation of Claude Code does.
fn by(env: &TestEnv, session: &str, arguments: &[&str]) -> Ran {
    let mut command = env.jobcli(arguments);
    command.env(SESSION, session);
    Ran::of(command)
}

fn submit(env: &TestEnv, session: &str, line: &str) -> String {
    by(env, session, &["run", line]).ok()
}

/// Submits a job, and waits for its end outside of that conversation.
fn ended(env: &TestEnv, session: &str, line: &str) -> String {
    let id = submit(env, session, line);
    env.run(["wait", "--quiet", &id]);
    id
}

/// A hook, not yet run, of a session with a person or of one that runs by itself.
fn hook(env: &TestEnv, event: &str, entrypoint: &str) -> Command {
    let mut command = env.jobcli(["hook", "claude-code", event]);
    command
        .env("CLAUDE_CODE_ENTRYPOINT", entrypoint)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn said(env: &TestEnv, session: &str) -> Value {
    json!({ "session_id": session, "cwd": env.dir(), "hook_event_name": "made up" })
}

fn start(mut hook: Command, said: &Value) -> Child {
    let mut running = hook.spawn().unwrap();
    // A hook that needs to know nothing may have exited already.
    let _ = running.stdin.take().unwrap().write_all(said.to_string().as_bytes());
    running
}

fn outcome(hook: Child) -> (Option<i32>, String, String) {
    let output = hook.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn hooked(env: &TestEnv, event: &str, session: &str) -> (Option<i32>, String, String) {
    outcome(start(hook(env, event, "sdk-cli"), &said(env, session)))
}

fn ids(listed: &str) -> Vec<String> {
    listed.lines().map(str::to_owned).collect()
}

#[test]
fn a_job_knows_its_caller_and_its_project() {
    let env = TestEnv::new();
    std::fs::write(env.dir().join(".git"), "").unwrap();
    let project = env.dir().join("project");
    std::fs::create_dir_all(project.join("inner")).unwrap();
    std::fs::write(project.join(".git"), "").unwrap();
    let own = submit(&env, "s-1", "true");
    let codex = Ran::of({
        let mut command = env.jobcli(["run", "env"]);
        command.env("CODEX_THREAD_ID", "t-1").current_dir(project.join("inner"));
        command
    })
    .ok();
    let nobody = env.submit("true");
    assert_eq!(env.job(&own)["caller"], "claude-code:s-1");
    assert_eq!(env.job(&own)["project"], env.dir().to_str().unwrap());
    assert_eq!(env.job(&codex)["caller"], "codex:t-1");
    assert_eq!(env.job(&codex)["project"], project.to_str().unwrap());
    assert_eq!(env.job(&nobody)["caller"], Value::Null);
    let shown = env.ok(["show", &codex]);
    assert!(shown.contains("caller       codex:t-1\n") && shown.contains("project      "), "{shown}");
    // A job submitted by a job does not belong to the conversation.
    env.run(["wait", "--quiet", &codex]);
    assert!(!env.ok(["output", &codex]).contains("CODEX_THREAD_ID"));

    assert_eq!(ids(&by(&env, "s-1", &["list", "-q", "--mine"]).ok()), [own.as_str()]);
    assert_eq!(ids(&env.ok(["list", "-q", "--caller", "codex:t-1"])), [codex.as_str()]);
    assert_eq!(ids(&env.ok(["list", "-q", "--here"])), [nobody.as_str(), own.as_str()]);
    let mut here = env.jobcli(["list", "-q", "--here"]);
    here.current_dir(&project);
    assert_eq!(ids(&Ran::of(here).ok()), [codex.as_str()]);
    let nobody = env.run(["list", "--mine"]);
    assert!(nobody.code == Some(2) && nobody.stderr.contains("this is not the shell of a coding agent"), "{nobody}");
    assert_eq!(env.run(["list", "--caller", "nonsense"]).code, Some(2));
}

#[test]
fn an_end_is_printed_until_it_is_acknowledged() {
    let env = TestEnv::new();
    let failed = ended(&env, "s-1", "exit 3");
    ended(&env, "s-2", "true");
    let inbox = |arguments: &[&str]| by(&env, "s-1", &[&["inbox"], arguments].concat()).ok();
    for _ in 0..2 {
        let told = inbox(&[]);
        assert!(told.contains("failed with exit code 3") && told.lines().count() == 1, "{told}");
    }
    let shape: Value = serde_json::from_str(&inbox(&["--json"])).unwrap();
    assert_eq!((&shape["job_id"], &shape["exit_code"]), (&json!(failed), &json!(3)));
    assert_eq!(env.ok(["inbox", "--here"]).lines().count(), 2);
    assert!(inbox(&["--ack"]).contains("exit code 3"));
    assert_eq!((inbox(&[]), inbox(&["--ack"])), (String::new(), String::new()));
    assert_eq!(env.ok(["inbox", "--here", "--ack"]).lines().count(), 1);
    assert_eq!(env.ok(["inbox", "--here"]), "");
    // A caller that waited for a job knows of its end.
    let id = submit(&env, "s-1", &until("go"));
    touch(&env, "go");
    by(&env, "s-1", &["wait", "--quiet", &id]).ok();
    assert_eq!(inbox(&[]), "");
    by(&env, "s-1", &["run", "--wait", "--quiet", "true"]).ok();
    assert_eq!(inbox(&[]), "");
    // So does a caller that stopped it.
    let id = submit(&env, "s-1", "sleep 1000");
    by(&env, "s-1", &["kill", &id]).ok();
    assert_eq!(inbox(&[]), "");
    let nobody = env.run(["inbox"]);
    assert!(nobody.code == Some(2) && nobody.stderr.contains("--caller"), "{nobody}");
}

#[test]
fn ends_are_followed_until_no_job_is_unfinished() {
    let env = TestEnv::new();
    submit(&env, "s-1", &until("one"));
    submit(&env, "s-1", &until("two"));
    let mut following = env.jobcli(["inbox", "--caller", "claude-code:s-1", "--follow"]);
    let following = following.stdout(Stdio::piped()).spawn().unwrap();
    touch(&env, "one");
    touch(&env, "two");
    let output = following.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2);
    assert_eq!(by(&env, "s-1", &["inbox"]).ok(), "");
}

#[test]
fn a_hook_wakes_once_for_all_that_end_together() {
    let env = TestEnv::new();
    // Without a job there is nothing to wait for.
    assert_eq!(hooked(&env, "stop", "s-1"), (Some(0), String::new(), String::new()));
    for n in 0..20 {
        submit(&env, "s-1", &format!("{}; exit {n}", until("go")));
    }
    submit(&env, "s-2", &until("other"));
    // Each turn of the session starts a hook; one of them watches.
    let mut hooks: Vec<_> = (0..4).map(|_| start(hook(&env, "stop", "cli"), &said(&env, "s-1"))).collect();
    wait_for("all hooks but one to end", || {
        hooks.retain_mut(|hook| hook.try_wait().unwrap().is_none_or(|status| !status.success()));
        (hooks.len() == 1).then_some(())
    });
    touch(&env, "go");
    let (code, stdout, stderr) = outcome(hooks.remove(0));
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
    assert!(stderr.starts_with("Not an error: background jobs have ended.\n"), "{stderr}");
    // Under load some jobs end too late for the first hook.
    let mut told = stderr.matches("after").count() + more(&stderr);
    while told < 20 {
        let (code, _, stderr) = hooked(&env, "stop", "s-1");
        assert_eq!(code, Some(2), "{told}: {stderr}");
        told += stderr.matches("after").count() + more(&stderr);
    }
    assert_eq!(told, 20);
    assert_eq!(hooked(&env, "stop", "s-1").0, Some(0));
    touch(&env, "other");
    let (code, _, stderr) = hooked(&env, "stop", "s-2");
    assert!(code == Some(2) && stderr.contains("completed") && stderr.contains("jobcli output"), "{stderr}");
}

/// How many jobs a hook counted without naming them.
fn more(said: &str) -> usize {
    let line = said.lines().find_map(|line| line.split_once(" more; "));
    line.map_or(0, |(count, _)| count.parse().unwrap())
}

#[test]
fn a_run_without_a_person_is_not_held_up_by_a_server_or_for_ever() {
    let env = TestEnv::new();
    let listen = "python3 -c 'import socket, time; s = socket.create_server((\"127.0.0.1\", 0)); print(\"up\", flush=True); \
                  time.sleep(1000)'";
    let server = submit(&env, "s-1", listen);
    env.ok(["wait", "--until", "output:up", &server]);
    assert_eq!(hooked(&env, "stop", "s-1").0, Some(0));
    submit(&env, "s-1", "sleep 1000");
    let mut bounded = env.jobcli(["hook", "claude-code", "stop", "--hold", "100ms"]);
    bounded.env("CLAUDE_CODE_ENTRYPOINT", "sdk-cli").stdin(Stdio::piped());
    assert_eq!(outcome(start(bounded, &said(&env, "s-1"))).0, Some(0));
    // This event would hold up a call.
    assert_eq!(hooked(&env, "post-tool-use", "s-1").0, Some(0));
}

#[test]
fn a_hook_whose_host_is_gone_delivers_nothing() {
    let env = TestEnv::new();
    submit(&env, "s-1", &until("go"));
    let mut watching = start(hook(&env, "stop", "cli"), &said(&env, "s-1"));
    drop((watching.stdout.take(), watching.stderr.take()));
    assert_eq!(watching.wait().unwrap().code(), Some(0));
    touch(&env, "go");
    let (code, _, stderr) = hooked(&env, "stop", "s-1");
    assert!(code == Some(2) && stderr.contains("completed"), "{stderr}");
}

#[test]
fn a_hook_makes_no_store() {
    let env = TestEnv::without_store();
    for event in ["session-start", "stop", "post-tool-use"] {
        let mut command = hook(&env, event, "cli");
        command.env_remove("JOBCORE_STORE");
        assert_eq!(outcome(start(command, &said(&env, "s-1"))), (Some(0), String::new(), String::new()), "{event}");
    }
    assert!(std::fs::read_dir(env.dir()).unwrap().next().is_none());
}

#[test]
fn a_hook_never_fails_its_host() {
    let env = TestEnv::new();
    let store = env.store().join("format");
    let silent = (Some(0), String::new(), String::new());
    for said in ["", "{", "null", "[]", r#"{"session_id": 7}"#, r#"{"session_id": ""}"#, r#"{"session_id": "a\nb"}"#] {
        let mut running = hook(&env, "stop", "cli").spawn().unwrap();
        running.stdin.take().unwrap().write_all(said.as_bytes()).unwrap();
        assert_eq!(outcome(running), silent, "{said}");
    }
    for arguments in [["hook", "claude-code", "made-up"], ["hook", "made-up", "stop"]] {
        let mut command = env.jobcli(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        assert_eq!(outcome(start(command, &said(&env, "s-1"))), silent, "{arguments:?}");
    }
    std::fs::write(&store, "nonsense").unwrap();
    assert_eq!(hooked(&env, "stop", "s-1"), silent);
    assert_eq!(hooked(&env, "session-start", "s-1"), silent);
    std::fs::remove_dir_all(env.store()).unwrap();
}

/// The text that a hook adds to the conversation.
fn context(stdout: &str) -> String {
    if stdout.is_empty() {
        return String::new();
    }
    let answer: Value = serde_json::from_str(stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"));
    let added = &answer["hookSpecificOutput"];
    assert_eq!(added["hookEventName"], "made up", "{answer}");
    added["additionalContext"].as_str().unwrap().to_owned()
}

#[test]
fn a_prompt_brings_the_ends_that_were_missed() {
    let env = TestEnv::new();
    let id = Ran::of({
        let mut command = env.jobcli(["run", "exit 5"]);
        command.env("CODEX_THREAD_ID", "t-1");
        command
    })
    .ok();
    env.run(["wait", "--quiet", &id]);
    let prompt = |host: &str, session: &str| {
        let mut command = env.jobcli(["hook", host, "prompt"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (code, stdout, _) = outcome(start(command, &said(&env, session)));
        assert_eq!(code, Some(0));
        context(&stdout)
    };
    assert_eq!((prompt("codex", "t-2"), prompt("claude-code", "t-1")), (String::new(), String::new()));
    let told = prompt("codex", "t-1");
    assert!(told.starts_with("Background jobs that have ended since") && told.contains("exit code 5"), "{told}");
    assert_eq!(prompt("codex", "t-1"), "");
}

/// A host that waits for its hooks is answered at once while a person is there, and in words that it does not take for
/// an error.
#[test]
fn a_host_that_waits_for_its_hooks_is_not_held_up() {
    let env = TestEnv::new();
    let submitted = |line: &str| {
        let mut command = env.jobcli(["run", line]);
        command.env("CODEX_THREAD_ID", "t-1");
        Ran::of(command).ok()
    };
    let stop = || {
        let mut command = env.jobcli(["hook", "codex", "stop"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        outcome(start(command, &said(&env, "t-1")))
    };
    let id = submitted(&until("go"));
    assert_eq!(stop(), (Some(0), String::new(), String::new()));
    touch(&env, "go");
    env.run(["wait", "--quiet", &id]);
    let (code, stdout, stderr) = stop();
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let answer: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(answer["decision"], "block", "{answer}");
    assert!(answer["reason"].as_str().unwrap().starts_with("Not an error: a background job has ended."), "{answer}");
    assert_eq!(stop(), (Some(0), String::new(), String::new()));
}

#[test]
fn a_hundred_callers_of_one_store_hear_of_their_own_jobs() {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "0"]);
    for n in 0..100 {
        submit(&env, &format!("s-{n}"), &format!("exit {n}"));
    }
    env.run(["wait", "--quiet", "--all"]);
    let hooks: Vec<_> =
        (0..100).map(|n| start(hook(&env, "stop", "sdk-cli"), &said(&env, &format!("s-{n}")))).collect();
    for (n, hook) in hooks.into_iter().enumerate() {
        let (code, _, stderr) = outcome(hook);
        let end = if n == 0 { "completed".to_owned() } else { format!("failed with exit code {n} ") };
        assert!(code == Some(2) && stderr.contains(&end) && stderr.matches("after").count() == 1, "{n}: {stderr}");
    }
    for n in 0..100 {
        assert_eq!(by(&env, &format!("s-{n}"), &["inbox"]).ok(), "");
    }
}

#[test]
fn a_session_begins_with_what_it_missed() {
    let env = TestEnv::new();
    let recap = |session: &str| {
        let (code, stdout, stderr) = hooked(&env, "session-start", session);
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        context(&stdout)
    };
    assert_eq!(recap("s-1"), "");
    ended(&env, "s-1", "exit 4");
    by(&env, "s-1", &["run", "--name", "web", "sleep 1000"]).ok();
    // Another session of the project is notified once, and the session that owns the job all the same.
    let told = recap("s-2");
    assert!(told.starts_with("Background jobs of this project") && told.contains("exit code 4"), "{told}");
    assert!(told.contains("web (") && told.contains("running"), "{told}");
    assert!(!recap("s-2").contains("exit code 4"));
    assert!(recap("s-1").contains("exit code 4"));
    assert!(!recap("s-1").contains("exit code 4"));
    for _ in 0..15 {
        ended(&env, "s-1", "true");
    }
    let told = recap("s-1");
    assert!(told.lines().count() == 11 && told.contains(" more; "), "{told}");
}

#[test]
fn a_background_command_of_the_agents_shell_is_refused_only_by_its_own_hook() {
    let env = TestEnv::new();
    let decided = |input: Value| {
        let said = json!({ "session_id": "s-1", "tool_name": "Bash", "tool_input": input });
        let (code, stdout, _) = outcome(start(hook(&env, "pre-tool-use", "cli"), &said));
        assert_eq!(code, Some(0));
        if stdout.is_empty() { Value::Null } else { serde_json::from_str(&stdout).unwrap() }
    };
    for input in [
        json!({ "command": "make", "run_in_background": true }),
        json!({ "command": "nohup make" }),
        json!({ "command": "make & " }),
    ] {
        let answer = &decided(input.clone())["hookSpecificOutput"];
        assert_eq!(answer["permissionDecision"], "deny", "{input}");
        assert!(answer["permissionDecisionReason"].as_str().unwrap().contains("jobcli run"));
    }
    for input in [json!({ "command": "make && ./run" }), json!({ "command": "make" }), json!({})] {
        assert_eq!(decided(input.clone()), Value::Null, "{input}");
    }
}

#[test]
fn a_status_line_is_short_and_empty_without_jobs() {
    let env = TestEnv::new();
    assert_eq!(env.ok(["statusline"]), "");
    ended(&env, "s-1", "exit 1");
    env.ok(["run", "--stdin", "open", "read -r line"]);
    env.ok(["group", "set", "one", "--limit", "1"]);
    env.ok(["run", "--group", "one", "sleep 1000"]);
    env.ok(["run", "--group", "one", "sleep 1000"]);
    let line = "2 running, 1 waiting for input, 1 queued, 1 failed";
    wait_for("the job to wait for input", || (env.ok(["statusline"]) == line).then_some(()));
    let mut elsewhere = env.jobcli(["statusline"]);
    elsewhere.current_dir("/");
    assert_eq!(Ran::of(elsewhere).ok(), "");
    let mut all = env.jobcli(["statusline", "--all", "--since", "2026-01-01T00:00:00Z"]);
    all.current_dir("/");
    assert_eq!(Ran::of(all).ok(), line);
}

/// A server started by a conversation of Claude Code.
fn server(env: &TestEnv, session: &str) -> Client {
    let mut command = env.command(JOBMCP);
    command.env(SESSION, session);
    Client::of(command)
}

/// The news in an answer, besides what was asked for.
fn news(client: &mut Client) -> String {
    let number = client.send_call("list", json!({ "name": "made-up" }));
    let content = client.answer(number)["result"]["content"].clone();
    content[1]["text"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_end_reaches_the_next_server_of_the_conversation_and_no_other() {
    let env = TestEnv::new();
    let (mut first, mut other) = (server(&env, "s-1"), server(&env, "s-2"));
    first.ok("execute", json!({ "command": until("go"), "name": "build", "wait_s": 0 }));
    send(first.pid(), Signal::SIGKILL);
    first.end();
    touch(&env, "go");
    env.run(["wait", "--quiet", "build"]);
    assert_eq!(news(&mut other), "");
    let mut second = server(&env, "s-1");
    let told = news(&mut second);
    assert!(told.contains("`build`") && told.contains("completed"), "{told}");
    assert_eq!(news(&mut second), "");
    // An end that a tool has reported is not reported by a hook again.
    assert_eq!(hooked(&env, "stop", "s-1").0, Some(0));
    // And the other way round.
    second.ok("execute", json!({ "command": "sleep 0.1", "name": "second", "wait_s": 0 }));
    let (code, _, stderr) = hooked(&env, "stop", "s-1");
    assert!(code == Some(2) && stderr.contains("second ("), "{stderr}");
    assert_eq!(news(&mut second), "");
}

#[test]
fn threads_of_one_server_hear_of_their_own_jobs() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let mut call = |thread: &str, tool: &str, arguments: Value| {
        let params = json!({ "name": tool, "arguments": arguments, "_meta": { "threadId": thread } });
        let number = client.send("tools/call", params);
        client.answer(number)["result"]["content"].clone()
    };
    call("t-1", "execute", json!({ "command": until("go"), "name": "own", "wait_s": 0 }));
    assert_eq!(env.job("own")["caller"], "test:t-1");
    touch(&env, "go");
    env.run(["wait", "--quiet", "own"]);
    assert_eq!(call("t-2", "list", json!({ "name": "made-up" }))[1], Value::Null);
    let news = call("t-1", "list", json!({ "name": "made-up" }));
    assert!(news[1]["text"].as_str().unwrap_or_default().contains("`own`"), "{news}");
}

#[test]
fn the_end_of_a_task_wakes_by_the_task_alone() {
    let env = TestEnv::new();
    std::fs::write(env.dir().join(".git"), "").unwrap();
    let mut client = Client::with_tasks(&env);
    let number = client.send_call("execute", json!({ "command": format!("echo up; {}", until("go")), "wait_s": 0.2 }));
    let created = client.answer(number)["result"].clone();
    let note = created["_meta"]["com.anthropic/agent-task"]["modelImmediateResponse"].as_str().unwrap_or_default();
    assert!(note.contains("running") && note.contains("up") && note.contains("do not poll"), "{created}");
    let caller = format!("test:{}", env.dir().display());
    assert_eq!(env.job(created["taskId"].as_str().unwrap())["caller"], caller.as_str());
    touch(&env, "go");
    let id = created["taskId"].as_str().unwrap().to_owned();
    env.run(["wait", "--quiet", &id]);
    // The host is about to ask.
    assert_eq!(env.ok(["inbox", "--caller", &caller, "--ack"]), "");
    let got = client.ask("tasks/get", json!({ "taskId": id }));
    assert_eq!(got["result"]["status"], "completed", "{got}");
    wait_for("the end to count as delivered", || env.ok(["inbox", "--caller", &caller]).is_empty().then_some(()));
    assert_eq!(news(&mut client), "");
}

/// Hooks and servers are killed at any moment. Each end is delivered, and twice only if the process that delivered it
/// was killed.
#[test]
fn no_end_is_lost_and_none_is_delivered_twice_except_after_a_kill() {
    let env = TestEnv::new();
    let (mut told, mut settled, mut unnamed) = (BTreeSet::new(), BTreeSet::new(), 0);
    let mut note = |text: &str, is_killed: bool| {
        // An answer names a few, and counts the others.
        let more = text.lines().find_map(|line| line.split_once(" more of your jobs ended"));
        unnamed += more.map_or(0, |(count, _)| count.parse::<usize>().unwrap());
        for name in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.starts_with("endof")) {
            assert!(!settled.contains(name), "{name} was delivered before: {text}");
            told.insert(name.to_owned());
            if !is_killed {
                settled.insert(name.to_owned());
            }
        }
    };
    for round in 0..60 {
        by(&env, "s-1", &["run", "--name", &format!("endof{round}"), "true"]).ok();
        // The moment of the kill ranges from before it has read its input to after it has written its answer.
        let moment = (round % 3 != 0).then(|| std::time::Duration::from_millis(round * 10));
        let kill = |pid: i32| {
            if let Some(moment) = moment {
                std::thread::sleep(moment);
                send(pid, Signal::SIGKILL);
            }
        };
        if round % 2 == 0 {
            let watching = start(hook(&env, "stop", "cli"), &said(&env, "s-1"));
            kill(watching.id().try_into().unwrap());
            note(&outcome(watching).2, moment.is_some());
        } else {
            let mut server = server(&env, "s-1");
            let call = server.send_call("list", json!({ "name": "made-up" }));
            kill(server.pid());
            // The client reads what a server wrote before it died.
            let answer = match moment {
                Some(_) => server.last_answer(call).unwrap_or_default(),
                None => server.answer(call),
            };
            server.close();
            note(answer["result"]["content"][1]["text"].as_str().unwrap_or_default(), moment.is_some());
        }
    }
    note(&hooked(&env, "stop", "s-1").2, false);
    assert!(told.len() <= 60 && told.len() + unnamed >= 60, "{unnamed} and {told:?}");
    assert_eq!(hooked(&env, "stop", "s-1").0, Some(0));
}
