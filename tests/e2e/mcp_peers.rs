//! What mcp-background-job documents, and what it got wrong, as far as no other test covers it. docs/parity.md lists
//! all of it, with the test for each line.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::mcp_client::Client;
use crate::mcp_http_client::HttpServer;
use crate::support::TestEnv;

const TOOLS: [&str; 8] = ["execute", "wait", "output", "tail", "interact", "kill", "status", "list"];

/// A part of a page: the text below a heading, up to the next heading of the same or a higher level.
fn part(page: &str, heading: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    let page = std::fs::read_to_string(path).unwrap();
    let below = page.split(&format!("\n{heading}\n")).nth(1).unwrap_or_else(|| panic!("there is no `{heading}`"));
    let kind = heading.split(' ').next().unwrap();
    let ends = [format!("\n{kind} "), "\n## ".to_owned()];
    let end = ends.iter().filter_map(|end| below.find(end)).min().unwrap_or(below.len());
    below[..end].to_owned()
}

/// The entries of this name in the configurations shown in a part.
fn entries(part: &str, name: &str) -> Vec<Value> {
    let blocks = part.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let servers = blocks.map(|block| serde_json::from_str::<Value>(block).unwrap()["mcpServers"].take());
    servers.filter_map(|servers| servers.get(name).cloned()).collect()
}

/// mcp-background-job passed all words to the first one: `echo hi | wc -c` printed `hi | wc -c`.
#[test]
fn a_line_is_run_by_a_shell() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let line = "mkdir sub && cd sub && echo one > a.txt; echo two > b.txt; cat *.txt | wc -l; echo \"$HOME\"; pwd";
    let ran = client.ok("execute", json!({ "command": line, "wait_s": 50, "format": "json" }));
    let home = env.dir().display();
    assert_eq!(ran.structured["stdout"], format!("2\n{home}\n{home}/sub\n"));
}

#[test]
fn jobs_have_uuids_and_the_known_states() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let mut expected = Vec::new();
    for (line, status) in [
        ("true", "completed"),
        ("exit 3", "failed"),
        // mcp-background-job reported this one as `killed`, although it was not stopped on request.
        ("kill -TERM $$", "failed"),
        ("exec sleep 1000 # to be stopped", "killed"),
        ("exec sleep 1000", "running"),
    ] {
        let wait_s = if line.starts_with("exec") { 0 } else { 50 };
        let id = client.ok("execute", json!({ "command": line, "wait_s": wait_s })).id();
        assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 7);
        if status == "killed" {
            client.ok("kill", json!({ "job_id": id }));
        }
        let told = client.ok("status", json!({ "job_id": id })).structured;
        assert_eq!((&told["status"], &told["command"]), (&status.into(), &line.into()), "{told}");
        assert!(told["submitted_at"].is_string(), "{told}");
        expected.insert(0, (line, status));
    }
    let listed = client.ok("list", json!({})).structured;
    let listed = listed["jobs"].as_array().unwrap().iter();
    let listed: Vec<_> =
        listed.map(|job| (job["command"].as_str().unwrap(), job["status"].as_str().unwrap())).collect();
    assert_eq!(listed, expected, "the newest first");
}

#[test]
fn every_tool_but_kill_refuses_a_job_that_is_not_there() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    for unknown in ["nosuch", "01a1fdae-f732-79d8-863c-36d74826f0c8"] {
        for (tool, arguments) in [
            ("wait", json!({ "job_ids": [unknown] })),
            ("output", json!({ "job_id": unknown })),
            ("tail", json!({ "job_id": unknown })),
            ("interact", json!({ "job_id": unknown, "input": "x" })),
            ("status", json!({ "job_id": unknown })),
        ] {
            let refused = client.call(tool, arguments);
            assert!(refused.is_error && refused.text.contains(unknown), "{tool}: {}", refused.text);
        }
        let killed = client.ok("kill", json!({ "job_id": unknown })).structured;
        assert_eq!(killed["results"][0]["status"], "not_found", "{killed}");
    }
}

#[test]
fn tail_has_fifty_lines_or_as_many_as_asked_for() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    client.ok("execute", json!({ "command": "seq 1 1200; seq 1 3 >&2", "name": "seq", "wait_s": 50 }));
    let mut first = |lines: Value| {
        let mut arguments = json!({ "job_id": "seq", "stream": "stdout", "format": "json" });
        if !lines.is_null() {
            arguments["lines"] = lines;
        }
        let tail = client.ok("tail", arguments).structured;
        assert_eq!(tail["stderr"], "");
        tail["stdout"].as_str().unwrap().lines().next().unwrap().to_owned()
    };
    assert_eq!((first(Value::Null), first(1.into()), first(1000.into())), ("1151".into(), "1200".into(), "201".into()));
    let stderr = client.ok("tail", json!({ "job_id": "seq", "lines": 2, "stream": "stderr", "format": "json" }));
    assert_eq!((&stderr.structured["stdout"], &stderr.structured["stderr"]), (&"".into(), &"2\n3\n".into()));
    for lines in [json!(0), json!(-1), json!(1001)] {
        assert!(client.call("tail", json!({ "job_id": "seq", "lines": lines })).is_error, "{lines}");
    }
}

/// However long an output is, all of it can be read.
#[test]
fn a_long_output_is_read_whole_piece_by_piece() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    client.ok("execute", json!({ "command": "seq 1 50000", "name": "seq", "wait_s": 50 }));
    let (mut whole, mut cursor) = (String::new(), json!(0));
    loop {
        let arguments = json!({ "job_id": "seq", "cursor": cursor, "max_bytes": 36000, "format": "json" });
        let piece = client.ok("output", arguments).structured;
        let stdout = piece["stdout"].as_str().unwrap();
        let Some(left) = piece["left_out"].as_object() else {
            assert_eq!(piece["omitted"], 0);
            whole.push_str(stdout);
            break;
        };
        cursor = left["cursor"].clone();
        let note = stdout.find(&format!("[{} bytes", left["bytes"])).unwrap();
        whole.push_str(&stdout[..note]);
    }
    let expected: String = (1..=50_000).map(|number| format!("{number}\n")).collect();
    assert!(whole == expected, "{} bytes and not {}", whole.len(), expected.len());
}

/// mcp-background-job had a ring of lines: it kept much less than it claimed, silently, and once the ring was full,
/// nothing was answered any more.
#[test]
fn a_job_that_wrote_more_than_is_kept_says_so_and_still_answers() {
    let env = TestEnv::new();
    let server = HttpServer::start_with(&env, &[], &[("MCP_BG_MAX_OUTPUT_SIZE", "100000")]);
    let job = json!({ "command": "seq 1 200000; cat", "stdin": "open", "name": "seq", "wait_s": 0 });
    server.ok("execute", &job);
    server.ok("wait", &json!({ "job_ids": ["seq"], "until": "output:^200000$", "timeout_s": 50 }));
    let kept = server.ok("output", &json!({ "job_id": "seq", "max_bytes": 36000 }));
    let status = server.ok("status", &json!({ "job_id": "seq" })).structured;
    let (written, dropped) = (status["output_bytes"].as_u64().unwrap(), status["dropped_bytes"].as_u64().unwrap());
    assert!((50_000..=100_000).contains(&(written - dropped)), "{status}");
    assert!(kept.text.contains(&format!("[{dropped} bytes (")) && kept.text.contains(" not kept]\n"), "{}", kept.text);
    assert!(kept.text.contains("\n1\n2\n") && kept.text.ends_with("\n200000"), "{}", kept.text);
    for word in ["first", "second"] {
        let answer = server.ok("interact", &json!({ "job_id": "seq", "input": word, "wait_s": 50, "format": "json" }));
        assert_eq!(answer.structured["stdout"], format!("{word}\n"));
    }
}

#[test]
fn a_sent_line_ends_once() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    client.ok("execute", json!({ "command": "cat", "stdin": "open", "name": "cat", "wait_s": 0 }));
    for input in ["first", "second\n"] {
        let arguments = json!({ "job_id": "cat", "input": input, "wait_s": 50, "format": "json" });
        let answer = client.ok("interact", arguments).structured;
        assert_eq!(answer["stdout"], format!("{}\n", input.trim_end()));
    }
}

/// In mcp-background-job, the input of each job was a pipe that no caller could close.
#[test]
fn a_job_that_reads_its_input_to_the_end_does_not_hang() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let ran = client.ok("execute", json!({ "command": "cat; echo done", "wait_s": 50, "format": "json" }));
    assert_eq!((&ran.structured["stdout"], &ran.structured["status"]), (&"done\n".into(), &"completed".into()));
}

/// In mcp-background-job, only the shell was killed.
#[test]
fn kill_leaves_no_process_of_the_job() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let line = "sleep 1077 & setsid sleep 1078 & (sleep 1079 &) ; sh -c 'echo up; sleep 1080'";
    client.ok("execute", json!({ "command": line, "name": "tree", "wait_s": 0 }));
    client.ok("wait", json!({ "job_ids": ["tree"], "until": "output:up", "timeout_s": 50 }));
    let killed = client.ok("kill", json!({ "job_id": "tree" })).structured;
    assert_eq!(killed["results"][0]["status"], "killed", "{killed}");
    let left: Vec<_> = env.processes().into_iter().filter(|line| line.contains(" sleep 10")).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// In mcp-background-job, ended jobs counted until each had been asked about.
#[test]
fn ended_jobs_take_no_place() {
    let env = TestEnv::new();
    let server = HttpServer::start_with(&env, &[], &[("MCP_BG_MAX_JOBS", "2")]);
    for name in ["first", "second"] {
        server.ok("execute", &json!({ "command": "true", "name": name, "wait_s": 0 }));
    }
    // Without asking this server.
    env.ok(["wait", "first", "second"]);
    server.ok("execute", &json!({ "command": "sleep 1000", "wait_s": 0 }));
    server.ok("execute", &json!({ "command": "sleep 1000", "wait_s": 0 }));
    assert!(server.call("execute", &json!({ "command": "sleep 1000" })).is_error);
}

/// mcp-background-job had thirteen patterns, which refused what only looked dangerous, and permitted `rm -r -f`.
#[test]
fn harmless_lines_are_permitted_and_denied_ones_refused_in_any_spelling() {
    let env = TestEnv::new();
    std::fs::write(env.dir().join("notes.txt"), "fdisk, mkfs and shutdown\n").unwrap();
    let server = HttpServer::start_with(&env, &[], &[("JOBCORE_DENY", "rm")]);
    for line in ["grep fdisk notes.txt", "ls >/dev/null", "echo 'rm -rf /'"] {
        let ran = server.ok("execute", &json!({ "command": line, "wait_s": 50 }));
        assert_eq!(ran.job["exit_code"], 0, "{line}: {}", ran.text);
    }
    for line in ["rm -r -f x", "rm -fr x", "true; /bin/rm x", "sh -c 'rm x'", "echo $(rm x)"] {
        let refused = server.call("execute", &json!({ "command": line }));
        assert!(refused.is_error && refused.text.contains("rm"), "{line}: {}", refused.text);
    }
}

/// The configurations with our entries in the place of theirs: the settings in `env` still hold.
#[test]
fn a_configuration_works_with_the_new_command() {
    let configuration = part("migrating-mcp.md", "### Configuration");
    let [theirs] = entries(&configuration, "background-job").try_into().unwrap();
    let [ours] = entries(&configuration, "jobs").try_into().unwrap();
    assert_eq!((&theirs["env"], &ours["args"]), (&ours["env"], &json!([])));
    let variables: Vec<_> =
        ours["env"].as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    let env = TestEnv::new();
    let server = HttpServer::start_with(&env, &[], &variables);
    let id = server.ok("execute", &json!({ "command": "echo it works", "wait_s": 50 })).id();
    let spec = env.records(&id).submission().to_string();
    let spec: Value = serde_json::from_str(&spec).unwrap();
    assert_eq!(spec["spec"]["output_limit"], 20_971_520);
    // From Windows, the words after `--exec` run inside WSL, with the variables that are named there.
    let [windows] = entries(&part("install.md", "## Windows"), "jobs").try_into().unwrap();
    let words: Vec<_> = windows["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let (command, words) = (windows["command"].as_str().unwrap(), words.as_slice());
    assert!(command == "wsl.exe" && words.starts_with(&["--exec", "env"]), "{windows}");
    assert_eq!(words.last(), ours["command"].as_str().as_ref());
    for assignment in &words[2..words.len() - 1] {
        let (name, value) = assignment.split_once('=').unwrap();
        assert_eq!(ours["env"][name], value);
    }
}

/// Each line of the lists names existing tests, and the first table of tools names all of ours.
#[test]
fn the_lists_of_parity_name_existing_tests() {
    for (heading, fewest) in [("## mcp-background-job", 20), ("## claude-async", 15), ("## cc-multi-process-mcp", 7)] {
        let list = part("parity.md", heading);
        let rows: Vec<_> =
            list.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---")).skip(1).collect();
        assert!(rows.len() >= fewest, "{heading}: {}", rows.len());
        for row in rows {
            let proofs = row.trim_end_matches(" |").rsplit("| ").next().unwrap();
            proofs.split(", ").for_each(|proof| prove(proof.trim_matches('`')));
        }
    }
    let tools = part("migrating-mcp.md", "### Tools");
    let named = tools.lines().filter_map(|line| line.split('|').nth(2)?.trim().strip_prefix('`')?.split('`').next());
    assert_eq!(named.collect::<BTreeSet<_>>(), BTreeSet::from(TOOLS));
}

/// Checks that there is a test of this name.
fn prove(proof: &str) {
    let (module, test) = proof.split_once("::").unwrap_or_else(|| panic!("`{proof}` is not the name of a test"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e").join(format!("{module}.rs"));
    let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{proof}: {error}"));
    assert!(source.contains(&format!("#[test]\nfn {test}()")), "{proof}");
}
