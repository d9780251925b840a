//! What a model is shown of jobs and their output: the end of it, what is new, and never a claim that something was or
//! was not written without having looked.

use serde_json::{Value, json};

use crate::background::{touch, until};
use crate::mcp_client::{Client, JOBMCP};
use crate::support::{TestEnv, wait_for};

/// Runs a line to its end, and returns the answer.
fn ran(client: &mut Client, mut arguments: Value) -> String {
    arguments["wait_s"] = 50.into();
    client.ok("execute", arguments).text
}

#[test]
fn a_success_shows_its_end_and_a_failure_its_likely_cause() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let short = ran(&mut client, json!({ "command": "seq 1 30", "name": "short" }));
    assert!(short.contains("\n1\n2\n") && short.ends_with("\n30"), "{short}");
    let long = ran(&mut client, json!({ "command": "seq -f 'step %g is done' 1 1000 | tr 0-9 a-j; echo 'all done'" }));
    assert!(long.lines().count() <= 13 && long.ends_with("\nall done") && long.contains(" above]\n"), "{long}");
    let failed = ran(
        &mut client,
        json!({
            "command": "seq -f 'unit %g' 1 500; echo 'ERROR: no such field'; seq -f 'unit %g' 501 1000; exit 2",
            "name": "failed",
        }),
    );
    assert!(failed.starts_with("`failed` failed with exit code 2 after "), "{failed}");
    assert!(failed.contains("output {\"job_id\": \"failed\", \"grep\": \"REGEX\"} searches it]\n"), "{failed}");
    assert!(failed.contains("\nERROR: no such field\n…\n") && failed.ends_with("\nunit 1000"), "{failed}");
    assert!(failed.len() <= 1_700, "{}", failed.len());
    let lines = ran(&mut client, json!({ "command": "seq 1 1000", "lines": 3 }));
    assert!(lines.ends_with(" above]\n998\n999\n1000"), "{lines}");
    let grepped = ran(&mut client, json!({ "command": "seq 1 1000", "grep": "^50.$", "context": 1 }));
    assert!(grepped.ends_with(".\n499\n500\n501\n502\n503\n504\n505\n506\n507\n508\n509\n510"), "{grepped}");
    let none = ran(&mut client, json!({ "command": "seq 1 1000; exit 1", "grep": "nothing" }));
    assert!(none.contains("No line matches in 3.8 KiB of output.\n") && none.ends_with("\n1000"), "{none}");
}

#[test]
fn the_failing_items_of_a_known_tool_are_shown_first() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let pad = "seq -f 'tests/test_%g.py .................................. [ 50%%]' 1 100";
    let report = "=================================== FAILURES ===================================\n\
        __________________________________ test_adds ___________________________________\n\n    def test_adds():\n\
        >       assert add(1, 1) == 3\nE       assert 2 == 3\nE        +  where 2 = add(1, 1)\n\n\
        tests/test_sum.py:4: AssertionError\n\
        =========================== short test summary info ============================\n\
        FAILED tests/test_sum.py::test_adds - assert 2 == 3\n\
        ========================= 1 failed, 99 passed in 0.42s =========================";
    std::fs::write(env.dir().join("report"), report).unwrap();
    let failed = ran(&mut client, json!({ "command": format!("{pad}; cat report; exit 1"), "name": "tests" }));
    assert!(failed.contains("\npytest: 1 failed, 99 passed"), "{failed}");
    assert!(failed.contains("test_adds") && failed.contains("assert 2 == 3") && !failed.contains("[ 50%]"), "{failed}");
    assert!(
        failed.ends_with(
            "[digest of the output; output {\"job_id\": \"tests\", \"lines\": 100} prints the end of the output]"
        ),
        "{failed}"
    );
}

/// Tools that print nothing useful leave a report, which is read if it was written by this job.
#[test]
fn a_report_that_the_command_writes_is_read() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let report = r#"<testsuite tests="2" failures="1"><testcase classname="sum" name="adds" file="sum.py" line="4"/>
        <testcase classname="sum" name="carries"><failure message="2 is not 3">no</failure></testcase></testsuite>"#;
    std::fs::write(env.dir().join("report"), report).unwrap();
    let dots = "seq -f '................ %g' 1 200";
    let line = format!("runner() {{ cp report \"$1\"; {dots}; exit 1; }}; runner out/../report.xml");
    std::fs::create_dir(env.dir().join("out")).unwrap();
    let failed = ran(&mut client, json!({ "command": line }));
    assert!(failed.contains("1 failed") && failed.contains("carries") && failed.contains("2 is not 3"), "{failed}");
    // An older report says nothing about this job.
    let other = ran(&mut client, json!({ "command": format!("{dots}; test -e report.xml && exit 1") }));
    assert!(!other.contains("carries") && other.ends_with(" 200"), "{other}");
}

#[test]
fn dropped_output_is_named_where_it_is_missing() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let line = "seq -f 'line %g' 1 100000";
    let ended = ran(&mut client, json!({ "command": line, "name": "much", "output_limit": "64K" }));
    let marker = ended.lines().nth(1).unwrap();
    let is_named =
        marker.starts_with("[1.0 MiB above, ") && marker.ends_with(" lines) of it dropped: over output_limit]");
    assert!(is_named && marker.contains(" KiB (about "), "{marker}");
    assert!(ended.ends_with("\nline 100000"), "{ended}");
    for (tool, arguments) in [
        ("output", json!({ "job_id": "much" })),
        ("output", json!({ "job_id": "much", "grep": "line (1|.*0000)$" })),
        ("output", json!({ "job_id": "much", "cursor": 0, "max_bytes": 36000 })),
    ] {
        let read = client.ok(tool, arguments.clone()).text;
        let gap =
            read.lines().find(|line| line.ends_with(" not kept]")).unwrap_or_else(|| panic!("{arguments}: {read}"));
        assert!(gap.contains(" KiB), about ") && gap.contains(" lines "), "{gap}");
    }
    let fields = client.ok("output", json!({ "job_id": "much", "format": "json" })).structured;
    let dropped = env.job("much")["dropped_bytes"].as_u64().unwrap();
    assert!(fields["omitted"].as_u64().unwrap() >= dropped, "{fields}");
    let running = format!("{line}; exec sleep 1000");
    let running = json!({ "command": running, "output_limit": "64K", "until": "output:^line 100000$" });
    let running = client.ok("execute", running).text;
    assert!(running.contains(" of it dropped)"), "{running}");
    let none = client.ok("output", json!({ "job_id": "much", "grep": "^line 5000$" })).text;
    assert!(none.contains("No line matches in the ") && none.contains(" KiB kept of 1.0 MiB"), "{none}");
    let uri = json!({ "uri": "job://much/stdout" });
    let read = client.ask("resources/read", uri)["result"]["contents"][0]["text"].clone();
    assert!(read.as_str().unwrap().contains(" not kept]\n"), "{read}");
    let looked = env.run(["output", "much", "--clean"]);
    assert!(looked.stdout.contains(" not kept]\n"), "{looked}");
}

#[test]
fn a_repeated_look_shows_what_is_new() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let line = format!(
        "seq -f 'compiling module %g of a large program' 1 100; {}; seq -f 'linking %g, which takes a while for some' 1 50; {}",
        until("1"),
        until("2")
    );
    client.ok("execute", json!({ "command": line, "name": "build", "wait_s": 0 }));
    let look = |client: &mut Client, mark: &str| {
        let arguments = json!({ "job_ids": ["build"], "until": format!("output:{mark}"), "wait_s": 50 });
        client.ok("wait", arguments).text
    };
    let first = look(&mut client, "module 100 ");
    assert!(
        first.contains("output: 100 lines") && first.ends_with("\ncompiling module 100 of a large program"),
        "{first}"
    );
    let again = client.ok("wait", json!({ "job_ids": ["build"], "wait_s": 0 })).text;
    assert!(again.starts_with("`build` is running") && again.ends_with("no new output)."), "{again}");
    touch(&env, "1");
    let second = look(&mut client, "linking 50,");
    assert!(second.contains("new output: 50 lines") && !second.contains("compiling"), "{second}");
    assert_eq!(second.lines().count(), 2, "{second}");
    touch(&env, "2");
    let ended = client.ok("wait", json!({ "job_ids": ["build"], "wait_s": 50 })).text;
    assert!(ended.starts_with("`build` completed with exit code 0") && ended.lines().count() == 1, "{ended}");
    // Another client has seen none of it.
    let other = Client::legacy(&env).ok("wait", json!({ "job_ids": ["build"] })).text;
    assert!(other.contains("\n[") && other.ends_with("linking 50, which takes a while for some"), "{other}");
}

#[test]
fn several_commands_are_one_call_with_one_summary() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let commands = [
        json!("echo one"),
        json!({ "name": "two", "command": "echo 'two: error: no disk'; exit 3" }),
        json!("exit 4"),
        json!({ "command": "pwd > where", "cwd": "/" }),
    ];
    // The last command cannot write there unless the test runs as root.
    let text = ran(&mut client, json!({ "commands": commands[..3], "at_a_time": 1 }));
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "1 of 3 completed, 2 failed.");
    assert_eq!(lines[1], "`two` failed with exit code 3: two: error: no disk");
    assert!(lines[2].starts_with("`exit 4` (") && lines[2].ends_with(") failed with exit code 4"), "{text}");

    // One at a time, in a group of their own, which is waited for as a whole.
    let line = "n=$(ls running 2>/dev/null | wc -l); echo $n >> most; mkdir -p running; touch running/$$; sleep 0.05; rm running/$$";
    let gate = until("go");
    let begun = client.ok(
        "execute",
        json!({
            "commands": [&gate, line, line, line, "exit 1"], "at_a_time": 1, "wait_s": 0, "grep": "x",
        }),
    );
    assert!(
        begun.text.starts_with("0 of 5 completed, 1 running: ") && begun.text.contains(", 4 queued."),
        "{}",
        begun.text
    );
    let (_, call) = begun.text.split_once("Next: wait ").unwrap();
    let mut call: Value = serde_json::from_str(call.trim_end_matches('.')).unwrap();
    call["wait_s"] = 50.into();
    touch(&env, "go");
    let ended = client.ok("wait", call.clone()).text;
    assert!(ended.starts_with("4 of 5 completed, 1 failed.\n`exit 1` ("), "{ended}");
    assert_eq!(std::fs::read_to_string(env.dir().join("most")).unwrap(), "0\n0\n0\n");

    // The limits of batches that ended long ago are not kept for ever; a new batch may still be about to submit its
    // jobs.
    let group = call["group"].as_str().unwrap();
    env.ok(["group", "set", "batch-00000001abcd", "--limit", "3"]);
    let limits = || env.ok(["group", "list"]);
    assert!(limits().contains(group) && limits().contains("batch-00000001abcd"), "{}", limits());
    ran(&mut client, json!({ "commands": ["true"], "at_a_time": 7 }));
    assert!(limits().contains(group) && !limits().contains("batch-00000001abcd"), "{}", limits());

    // A filter of the output applies to all of them.
    let commands = ["echo 'warning: a'; echo x", "echo y", "echo 'warning: b'; echo 'warning: c'; exit 1"];
    let warnings = ran(&mut client, json!({ "commands": commands, "grep": "warning" }));
    let lines: Vec<_> = warnings.lines().collect();
    assert_eq!((lines.len(), lines[0]), (5, "2 of 3 completed, 1 failed."), "{warnings}");
    assert!(
        lines[1].ends_with("failed with exit code 1:") && lines[2..4] == ["warning: b", "warning: c"],
        "{warnings}"
    );
    assert!(lines[4].ends_with("): warning: a"), "{warnings}");
    let last = ran(&mut client, json!({ "commands": ["seq 1 9", "seq 11 19"], "lines": 2 }));
    assert!(last.contains(":\n8\n9\n") && last.ends_with(":\n18\n19"), "{last}");

    ran(&mut client, json!({ "commands": ["true", "false"], "labels": { "kind": "lint" } }));
    let labelled = client.ok("wait", json!({ "label": "kind=lint" })).text;
    assert!(labelled.starts_with("1 of 2 completed, 1 failed."), "{labelled}");
    for (wrong, expected) in [
        (json!({ "commands": [] }), "give 1 to 100"),
        (json!({ "commands": ["true"], "command": "true" }), "command: it belongs to one command"),
        (json!({ "commands": ["true"], "name": "x" }), "name: it belongs to one command"),
        (json!({ "commands": ["true"], "at_a_time": 0 }), "at least 1"),
        (json!({ "commands": [{ "name": "x" }] }), "a command is a line, or an object with `command`"),
        (json!({ "command": "true", "at_a_time": 2 }), "it needs `commands` or a `group`"),
    ] {
        let refused = client.call("execute", wrong.clone());
        assert!(refused.is_error && refused.text.contains(expected), "{wrong}: {}", refused.text);
    }
}

#[test]
fn one_call_starts_a_server_or_gets_the_answer_of_a_repl() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let line = format!("{}; echo 'ready on 1'; exec sleep 1000", until("go"));
    touch(&env, "go");
    let ready = client.ok("execute", json!({ "command": line, "name": "web", "until": "output:ready on" })).text;
    assert!(
        ready.starts_with("`web` is running") && ready.ends_with("`output:ready on` is met at cursor 11.\nready on 1"),
        "{ready}"
    );
    let never = client.ok("execute", json!({ "command": "echo no", "until": "output:ready on" })).text;
    assert!(
        never.contains(" completed with exit code 0") && never.contains("`output:ready on` can no longer be met"),
        "{never}"
    );
    let late = json!({ "command": "exec sleep 1000", "until": "file:/nosuch/file", "wait_s": 0.05, "name": "late" });
    let late = client.ok("execute", late).text;
    assert_eq!(late, "`late` is running (no output); `file:/nosuch/file` is not met yet.");

    // With the cursor, the next matching line is waited for.
    let again = "for n in 1 2; do echo built $n; done; exec sleep 1000";
    let first = client.ok("execute", json!({ "command": again, "name": "again", "until": "output:^built" })).text;
    let cursor: u64 = first.split("at cursor ").nth(1).unwrap().split('.').next().unwrap().parse().unwrap();
    let second = json!({ "job_ids": ["again"], "until": "output:^built", "cursor": cursor });
    assert!(client.ok("wait", second).text.ends_with("built 2"), "{first}");

    // If the input cannot be sent, the job is not submitted again.
    env.ok(["config", "set", "max_running", "1"]);
    let queued = json!({ "command": "cat", "stdin": "open", "input": "x", "wait_s": 0 });
    let queued = client.ok("execute", queued).text;
    assert!(queued.contains(" is queued") && queued.contains("\nIts input was not sent: "), "{queued}");
    env.ok(["config", "set", "max_running", "0"]);

    // A prompt that comes late or in between is not an answer.
    let repl = "printf '> '; while read -r n; do printf '> '; sleep 0.4; echo \"got $n\"; done";
    let begun = json!({ "command": repl, "name": "repl", "stdin": "open", "input": "1", "until": "output:got" });
    assert!(client.ok("execute", begun).text.contains("got 1"));
    for n in 2..5 {
        let asked = json!({ "job_id": "repl", "input": n.to_string(), "until": "output:got" });
        let answer = client.ok("interact", asked).text;
        assert!(answer.contains(&format!("got {n}")) && !answer.contains("running"), "{answer}");
    }
    let ended =
        client.ok("interact", json!({ "job_id": "repl", "eof": true, "until": "output:got", "wait_s": 30 })).text;
    assert!(ended.contains("`repl` completed with exit code 0") && ended.contains("can no longer be met"), "{ended}");
}

#[test]
fn an_end_that_was_not_asked_for_is_reported_once() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    // A client of another conversation.
    let mut other = Client::of({
        let mut command = env.command(JOBMCP);
        command.env("CODEX_THREAD_ID", "another");
        command
    });
    for (name, code) in [("a", 1), ("b", 0), ("c", 0), ("d", 0), ("e", 0), ("f", 0)] {
        let line = format!("{}; exit {code}", until("go"));
        client.ok("execute", json!({ "command": line, "name": name, "wait_s": 0 }));
    }
    touch(&env, "go");
    wait_for("the ends", || (env.ok(["list", "--status", "running", "--json"]) == "[]").then_some(()));
    // The end of a job that the call is about is not news.
    let number = client.send_call("wait", json!({ "job_ids": ["b"] }));
    let content = client.answer(number)["result"]["content"].clone();
    let news = content[1]["text"].as_str().unwrap_or_else(|| panic!("{content}"));
    let lines: Vec<_> = news.lines().collect();
    assert_eq!(lines.len(), 4, "{news}");
    let told = lines.iter().filter(|line| line.starts_with("[Meanwhile: `") && line.ends_with(" ago.]")).count();
    assert!(told == 3 && lines[3] == "2 more of your jobs ended; list shows them." && !news.contains("`b`"), "{news}");
    let contents = |client: &mut Client| {
        let number = client.send_call("list", json!({}));
        client.answer(number)["result"]["content"].as_array().unwrap().len()
    };
    assert_eq!((contents(&mut client), contents(&mut other)), (1, 1));
}
