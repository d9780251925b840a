//! The variables of mcp-background-job, which this server honours.

use serde_json::json;

use crate::mcp_client::JOBMCP;
use crate::mcp_http_client::{HttpServer, Response};
use crate::support::{Ran, TestEnv};

#[test]
fn no_more_jobs_than_the_limit_are_started() {
    let env = TestEnv::new();
    let server = HttpServer::start_with(&env, &[], &[("MCP_BG_MAX_JOBS", "2")]);
    env.submit("sleep 1000");
    let keyed = json!({ "command": "sleep 1000", "key": "k", "wait_s": 0 });
    let job = server.ok("execute", &keyed);
    let refused = server.call("execute", &json!({ "command": "true" }));
    assert!(refused.is_error && refused.text.starts_with("Job limit reached: 2 jobs"), "{}", refused.text);
    assert_eq!(server.ok("execute", &keyed).id(), job.id(), "nothing is started");
    server.ok("kill", &json!({ "job_id": job.id() }));
    // Concurrent calls do not take the same place.
    let calls = [(); 4].map(|()| server.send_call("execute", &json!({ "command": "sleep 1000", "wait_s": 0 })));
    let answers = calls.map(|call| Response::read(call).message());
    let started = answers.iter().filter(|answer| answer["result"]["isError"] != true).count();
    assert_eq!(started, 1, "{answers:?}");
    // An ended job is still found by its key, even if there is no room for another.
    let over = server.ok("execute", &keyed);
    assert_eq!((over.id(), &over.job["status"]), (job.id(), &"killed".into()));
    env.ok(["kill", "--all"]);
}

#[test]
fn jobs_are_limited_as_the_variables_say() {
    let env = TestEnv::new();
    let work = env.dir().join("work");
    std::fs::create_dir(&work).unwrap();
    let variables = [
        ("MCP_BG_MAX_OUTPUT_SIZE", "20MB"),
        ("MCP_BG_JOB_TIMEOUT", "1"),
        ("MCP_BG_WORKING_DIR", work.to_str().unwrap()),
        ("MCP_BG_ALLOWED_COMMANDS", "^pwd,^sleep ,^echo "),
        // The server's own settings give way.
        ("JOBCORE_TIMEOUT", "1h"),
    ];
    let server = HttpServer::start_with(&env, &[], &variables);
    let job = server.ok("execute", &json!({ "command": "pwd", "wait_s": 30 }));
    assert!(job.text.contains(&format!("\n{}", work.canonicalize().unwrap().display())), "{}", job.text);
    let spec = env.records(&job.id()).submission().to_string();
    let spec: serde_json::Value = serde_json::from_str(&spec).unwrap();
    assert_eq!(spec["spec"]["output_limit"], 20_971_520, "{spec}");
    let relative = server.call("execute", &json!({ "command": "pwd", "cwd": "nosuch" }));
    assert!(relative.text.contains("work/nosuch"), "{}", relative.text);
    let long = server.ok("execute", &json!({ "command": "sleep 1000", "wait_s": 50 }));
    assert_eq!(long.job["status"], "timed_out", "{}", long.text);
    let longer = server.call("execute", &json!({ "command": "sleep 1000", "timeout_s": 2 }));
    assert!(longer.is_error && longer.text.contains("between 0 and 1 seconds"), "{}", longer.text);
    let forbidden = server.call("execute", &json!({ "command": "echo x; touch file" }));
    assert!(forbidden.is_error && forbidden.text.contains("allowed commands: pwd*, sleep, echo"), "{}", forbidden.text);
    // Jobs submitted by people are not limited.
    env.ok(["run", "--wait", "touch file"]);
}

#[test]
fn jobs_that_are_not_kept_are_removed_at_calls() {
    let env = TestEnv::new();
    env.ok(["run", "--wait", "true"]);
    env.ok(["config", "set", "keep_jobs", "1"]);
    for _ in 0..3 {
        env.ok(["run", "--wait", "true"]);
    }
    let server = HttpServer::start_with(&env, &[], &[("MCP_BG_CLEANUP_INTERVAL", "3600")]);
    server.ok("execute", &json!({ "command": "true", "wait_s": 30 }));
    let ids: Vec<serde_json::Value> = serde_json::from_str(&env.ok(["list", "--json", "--all"])).unwrap();
    assert!(ids.len() <= 2, "{ids:?}");
}

#[test]
fn a_wrong_value_is_an_error_at_start() {
    let env = TestEnv::new();
    for (name, value) in [
        ("MCP_BG_MAX_JOBS", "0"),
        ("MCP_BG_MAX_OUTPUT_SIZE", "20XB"),
        ("MCP_BG_JOB_TIMEOUT", "1h"),
        ("MCP_BG_CLEANUP_INTERVAL", "5"),
        ("MCP_BG_WORKING_DIR", "/nosuch"),
        ("MCP_BG_ALLOWED_COMMANDS", "^npm ,^pwd$"),
    ] {
        let mut command = env.command(JOBMCP);
        command.env(name, value);
        let refused = Ran::of(command);
        assert!(refused.code == Some(2) && refused.stderr.contains(name), "{refused}");
    }
}
