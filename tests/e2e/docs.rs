//! The examples in the documents work as written.

use std::path::Path;
use std::process::Command;

use crate::delegate::{AUTHOR, told_id};
use crate::mcp_client::Client;
use crate::needs;
use crate::support::{Ran, TestEnv, installed, is_alive, script, wait_for};

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The blocks of a page that begin with this fence, one after the other.
fn blocks(document_name: &str, fence: &str) -> String {
    let page = document(document_name);
    let blocks: String =
        page.split(&format!("```{fence}\n")).skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty(), "{document_name} has no block of `{fence}`");
    blocks
}

/// Runs the tour of a document, and returns what it printed.
fn tour(document_name: &str) -> Ran {
    let env = TestEnv::new();
    let settings = env.ok(["config", "get"]);
    let ran = Ran::of(touring(installed(&env, "bash"), document_name));
    let unexpected = ran.stderr.lines().find(|line| !tells_an_end(line));
    assert_eq!((ran.code, unexpected), (Some(0), None), "{ran}");
    assert_eq!(env.ok(["config", "get"]), settings, "the reader's settings are what they were");
    ran
}

/// Returns whether a line reports the end of a job to a waiting process.
fn tells_an_end(line: &str) -> bool {
    let ends = ["completed after ", "failed with exit code ", "killed ("];
    line.split_once(": ").is_some_and(|(_, came_to)| ends.iter().any(|end| came_to.starts_with(end)))
}

/// The words of other tools, as docs/migrating.md shows them.
#[test]
fn the_words_of_other_tools_work_as_they_are_shown() {
    let env = TestEnv::new();
    let page = document("docs/migrating.md");
    let example = page.split("```sh example\n").nth(1).unwrap().split("```").next().unwrap();
    let mut shell = installed(&env, "bash");
    shell.args(["-euo", "pipefail", "-c", example]);
    let ran = Ran::of(shell);
    assert!(ran.code == Some(0) && ran.stdout.contains("\n18\n19\n20\n"), "{ran}");
    assert_eq!(env.ok(["list", "--json"]), "[]");
}

/// Makes the calls of the tour for an agent in a document. The text after an arrow has to be in the result.
fn agents_tour(document_name: &str) {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let tour = blocks(document_name, "text tour");
    let mut last = String::new();
    for line in tour.lines().filter(|line| !line.is_empty()) {
        if let Some(expected) = line.strip_prefix("  -> ") {
            assert!(last.contains(expected), "{expected} is missing in:\n{last}");
            continue;
        }
        let (tool, arguments) = line.split_once(' ').unwrap();
        last = client.ok(tool, serde_json::from_str(arguments).unwrap()).text;
    }
}

#[test]
fn the_tour_for_an_agent_works_line_by_line() {
    agents_tour("docs/mcp-setup.md");
}

/// The lines that mcp-background-job shows, with a function in the place of a program that never existed.
#[test]
fn the_lines_of_mcp_background_job_work_as_they_are() {
    let Some(_) = needs::program("python3") else { return };
    agents_tour("docs/migrating-mcp.md");
    let ran = tour("docs/migrating-mcp.md");
    for expected in ["listening on 3000\nrunning\n", ": killed\n", "compiling 3 of 3\n", "Hello, World!\n"] {
        assert!(ran.stdout.contains(expected), "{expected} is missing in:\n{ran}");
    }
}

/// Lets a shell run the tour of a document.
fn touring(mut shell: Command, document_name: &str) -> Command {
    shell.args(["-euo", "pipefail", "-c", &blocks(document_name, "sh tour")]);
    shell
}

/// The output of the agent in the tour.
const EVENTS: &str = r#"{"type":"system","subtype":"init","session_id":"109a7d28-e02b-4042-ab7c-251fa9834d6e","model":"opus"}
{"type":"assistant","message":{"content":[{"type":"text","text":"I look at the last builds."}]}}
{"type":"assistant","message":{"content":[{"type":"tool_use","id":"1","name":"Bash","input":{"command":"make --dry-run"}}]}}
{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"1","content":"cc a.c"}]}}
{"type":"assistant","message":{"content":[{"type":"tool_use","id":"2","name":"Write","input":{"file_path":"/etc/make.conf"}}]}}
{"type":"system","subtype":"permission_denied","tool_name":"Write","tool_use_id":"2"}
{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"2","is_error":true,"content":"Claude requested permissions to write to /etc/make.conf"}]}}
{"type":"system","subtype":"api_retry","attempt":1,"max_retries":10,"retry_delay_ms":1200,"error_status":529}
{"type":"assistant","message":{"content":[{"type":"text","text":"Each file is compiled twice."}]}}
{"type":"result","subtype":"success","is_error":false,"result":"Each file is compiled twice.","num_turns":3,"duration_ms":12000,"total_cost_usd":0.02,"modelUsage":{"opus":{"inputTokens":1200}},"session_id":"109a7d28-e02b-4042-ab7c-251fa9834d6e"}
"#;

/// With a script in the place of the agent.
#[test]
fn the_tour_of_agents_works_line_by_line() {
    let env = TestEnv::new();
    let mut shell = touring(installed(&env, "bash"), "docs/agents.md");
    std::fs::write(env.dir().join("events"), EVENTS).unwrap();
    script(&env.dir().join("bin/claude"), "#!/bin/sh\ncat ~/events\n");
    shell.env("ANTHROPIC_API_KEY", "key").envs(AUTHOR);
    let ran = Ran::of(shell);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stderr.contains("shop-worktrees/fix-login, branch jobcore/fix-login"), "{ran}");
    let page = document("docs/agents.md");
    let told = page.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(ran.stdout.contains(&format!("completed\nEach file is compiled twice.\n{told}")), "{ran}");
    // The run that continued the first one reports no further cost, and the first one is gone.
    assert!(ran.stdout.contains("TOTAL           1       $0.02  "), "{ran}");
    assert_eq!(ran.stdout.matches(": removed").count(), 2, "{ran}");
    assert!(!env.dir().join("shop-worktrees").exists());
}

/// The settings file that the page shows can be read.
#[test]
fn the_settings_of_agents_are_read() {
    let env = TestEnv::new();
    let page = document("docs/agents.md");
    let settings = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    std::fs::write(env.dir().join("config.toml"), settings).unwrap();
    script(&env.dir().join("aider"), "#!/bin/sh\necho \"$@\"\n");
    let mut delegate =
        env.jobcli(["--config", "config.toml", "delegate", "--agent", "aider", "--permission-mode", "edit"]);
    delegate.args(["--wait", "fix it"]).env("PATH", env.dir());
    let ran = Ran::of(delegate);
    assert_eq!(ran.stdout, "--no-pretty --yes-always --message=fix it\n", "{ran}");
    assert_eq!(env.ok(["output", &told_id(&ran)]), ran.stdout.trim(), "{ran}");
}

#[test]
fn the_tour_of_reading_works_line_by_line() {
    let ran = tour("docs/reading.md");
    for expected in [
        "waiting for the lock\nerror: b.c:7: no such thing\n  see above\n",
        "warning: unused\n100%\n",
        "waiting for the lock\n[repeated 4 more times]\n",
        "Z compiling b\n",
        " left out; continue from cursor ",
        "\n5000\n",
        // Of several jobs, and of those that have failed.
        "api | GET /3\n",
        "web | 200 OK\n",
        "error: no such table\n",
    ] {
        assert!(ran.stdout.contains(expected), "{expected} is missing in:\n{ran}");
    }
}

#[test]
fn the_tour_of_the_readme_works_line_by_line() {
    let ran = tour("README.md");
    for expected in ["  running  ", "compiling\ndone\n", "it exited with 3", "already failed"] {
        assert!(ran.stdout.contains(expected), "{expected} is missing in:\n{ran}");
    }
}

#[test]
fn the_first_job_works_line_by_line() {
    let ran = tour("docs/getting-started.md");
    for expected in ["listening\n", "the tests exited with 1\ntest adds ... FAILED\n", "\nkilled\n"] {
        assert!(ran.stdout.contains(expected), "{expected} is missing in:\n{ran}");
    }
    assert_eq!(ran.stdout.matches(": removed").count(), 2, "{ran}");
}

#[test]
fn the_guide_to_dev_servers_works_line_by_line() {
    let (Some(_), Some(_)) = (needs::program("python3"), needs::program("curl")) else { return };
    let ran = tour("docs/dev-servers.md");
    for expected in ["running\n", "it runs already\n", "GET / HTTP/1.1", "\n42\n", "attempt 3"] {
        assert!(ran.stdout.contains(expected), "{expected} is missing in:\n{ran}");
    }
    assert_eq!(ran.stdout.matches(": killed\n").count(), 5, "{ran}");
}

#[test]
fn the_guide_to_builds_works_line_by_line() {
    let ran = tour("docs/builds.md");
    for expected in [
        "the build exited with 2\n",
        "compiling a.c\na.c:7: error: no such file\n",
        "it still fails\n",
        "the first failure exited with 1\n",
        "test-web",
        "5 jobs: 2 completed, 3 failed\n",
    ] {
        assert!(ran.stdout.contains(expected), "{expected} is missing in:\n{ran}");
    }
}

/// The table of on-disk-format.md: a lock that is free, detected with nothing but the files.
#[test]
fn the_files_are_those_named_by_the_format() {
    let env = TestEnv::new();
    let id = env.submit("echo hi; sleep 1000");
    let main = env.main_process(&id);
    let directory = env.job_dir(&id);
    let names = |path: &Path| {
        let mut names: Vec<_> =
            std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    wait_for("the output", || directory.join("000000000000.log").exists().then_some(()));
    let output = ["000000000000.idx", "000000000000.log"];
    assert_eq!(names(&directory), [output[0], output[1], "control", "err", "job", "out"]);
    let records = env.records(&id);
    let there = || ["start", "running", "stopping", "queued", "end"].map(|name| records.has(name));
    assert_eq!(there(), [true, true, false, true, false]);
    assert_eq!(records.submission()["job_id"], id);
    env.ok(["kill", &id]);
    wait_for("the supervisor to be gone", || env.processes().is_empty().then_some(()));
    assert!(!is_alive(main));
    assert_eq!(names(&directory), [output[0], output[1], "job"]);
    assert_eq!((there(), records.environment()), ([true; 5], None));
    // A job that prints nothing has no files for its output.
    let silent = env.ok(["run", "--wait", "true"]);
    wait_for("the supervisor to be gone", || env.processes().is_empty().then_some(()));
    assert_eq!(names(&env.job_dir(&silent)), ["job"]);
    let format = document("docs/on-disk-format.md");
    for name in [
        "names/",
        "keys/",
        "admission",
        "settings.toml",
        "`job`",
        "`start`",
        "`running`",
        "`stopping`",
        "`queued`",
        "`end`",
        "control",
        "000000000000.log",
    ] {
        assert!(format.contains(name), "{name}");
    }
    assert_eq!(std::fs::read_to_string(env.store().join("format")).unwrap(), "jobcore store, format 2\n");
}

#[test]
fn manual_pages_are_printed_and_written() {
    let env = TestEnv::without_store();
    let page = env.ok(["man"]);
    assert!(page.contains(".TH jobcli 1") && page.contains("jobcli\\-run(1)"), "{page}");
    env.ok(["man", "--dir", "share/man1"]);
    let written = std::fs::read_dir(env.dir().join("share/man1")).unwrap();
    let written: Vec<_> = written.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    for page in ["jobcli.1", "jobcli-run.1", "jobcli-config-set.1", "jobcli-man.1"] {
        assert!(written.iter().any(|name| name == page), "{page} in {written:?}");
    }
    let kill = std::fs::read_to_string(env.dir().join("share/man1/jobcli-kill.1")).unwrap();
    assert!(kill.contains("jobcli kill \\-\\-signal HUP 3f9a2c1b"), "{kill}");
    assert!(!env.store().exists(), "no store is made for this");
    std::fs::write(env.dir().join("file"), "").unwrap();
    let ran = env.run(["man", "--dir", "file/x"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.starts_with("error: cannot write to `file/x`: "), "{ran}");
}

/// The page's blocks of Rust are documentation tests of jobcore.
#[test]
fn the_guide_to_embedding_names_existing_items() {
    let guide = document("docs/embedding.md");
    let manifest = document("jobcore/Cargo.toml");
    let features = manifest.split("[features]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let declared = features.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned());
    let table = guide.split("| feature |").nth(1).unwrap().split("\n\n").next().unwrap();
    let named = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).map(str::to_owned);
    // `default` is not a feature of its own, and `fuzzing` is for this repository alone.
    let declared = declared.filter(|name| !["default", "fuzzing"].contains(&name.as_str()));
    assert_eq!(named.collect::<Vec<_>>(), declared.collect::<Vec<_>>());
}

/// All blocks of the guide, one after the other.
#[test]
fn the_guide_to_queues_works_line_by_line() {
    let env = TestEnv::new();
    let mut shell = installed(&env, "bash");
    // A wait passes on the codes of its jobs, some of which fail on purpose here.
    shell.args(["-uo", "pipefail", "-c", &blocks("docs/queues.md", "sh tour")]);
    let ran = Ran::of(shell);
    assert!(!ran.stderr.contains("error:"), "{ran}");
    let printed = |name: &str| env.ok(["output", name]);
    assert_eq!(["unit", "report", "soon", "agent"].map(printed), ["240 passed", "reported", "soon", &printed("agent")]);
    assert_eq!(["deploy", "nightly", "agent"].map(|name| env.status(name)), ["skipped", "killed", "completed"]);
    for expected in
        ["\ndocs                      2 ", "[ok] unit (", "status       skipped\nmessage      lint (", "[at 2"]
    {
        assert!(ran.stdout.contains(expected), "{expected} is missing in:\n{ran}");
    }
    let trained = env.ok(["output", "--label", "train"]);
    for unit in [0, 1] {
        assert!(trained.contains(&format!("on GPU {unit}")), "{trained}");
    }
}

#[test]
fn the_guide_to_projects_works_line_by_line() {
    let env = TestEnv::new();
    let ran = Ran::of(touring(installed(&env, "bash"), "docs/projects.md"));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran}");
    for (expected, times) in
        [(": started", 3), (": unchanged", 1), (": restarted", 1), (": stopped", 2), ("\nready\n", 1)]
    {
        assert_eq!(ran.stdout.matches(expected).count(), times, "{expected} in:\n{ran}");
    }
    assert_eq!(env.ok(["output", "api"]), "serving on 4000");
}

/// The documented commands of pueue, task-spooler and nq, line by line: each has to succeed.
#[test]
fn the_commands_of_other_queues_have_counterparts() {
    let page = document("docs/migrating.md");
    for (tool, least) in [("pueue", 40), ("tsp", 20), ("nq", 8)] {
        let env = TestEnv::new();
        let block = page.split(&format!("```sh {tool}\n")).nth(1).unwrap().split("```").next().unwrap();
        assert!(block.lines().count() >= least, "{tool}");
        // The job that is moved in the queue must not have been started by then, however slow the machine is.
        let block = block.replace("'sleep 0.2;", "'until [ -e go ]; do sleep 0.02; done;");
        let block = block.replace("jobcli wait first second", "touch go; jobcli wait first second");
        let mut shell = installed(&env, "bash");
        shell.args(["-euxo", "pipefail", "-c", &block]);
        let ran = Ran::of(shell);
        assert_eq!(ran.code, Some(0), "{tool}: {ran}");
    }
}
