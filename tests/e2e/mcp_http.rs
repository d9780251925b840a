//! The MCP server over HTTP: which clients it serves, in which revisions of the protocol, and how it ends.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::mcp_client::{Called, Client, JOBMCP};
use crate::mcp_http_client::{HttpServer, Response};
use crate::support::{Ran, TestEnv, send, wait_for};

fn hello() -> Value {
    let params = json!({
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "test", "version": "0" },
    });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params })
}

#[test]
fn no_request_is_served_without_the_token() {
    let env = TestEnv::new();
    let server = HttpServer::start(&env);
    assert!(server.said.contains(&server.token) && server.token.len() == 64, "{}", server.said);
    let file = env.store().join("mcp-token");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let body = hello().to_string();
    let wrong = format!("Bearer {}", "0".repeat(64));
    let short = format!("Bearer {}", &server.token[1..]);
    for authorization in [None, Some("Bearer"), Some(&*wrong), Some(&*short), Some(&*server.token)] {
        let headers: Vec<_> = authorization.map(|value| ("Authorization", value)).into_iter().collect();
        let refused = server.request("POST", "/mcp", &headers, &body);
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")), "{authorization:?}");
    }
    assert_eq!(server.request("GET", &format!("/mcp?token={}", server.token), &[], "").status, 401);
    assert_eq!(server.post(&[], &hello()).status, 200);
    let healthy = server.request("GET", "/healthz", &[], "");
    assert_eq!((healthy.status, &*healthy.body), (200, "ok\n"));
    assert_eq!(server.request("GET", "/", &[], "").status, 404);
    // The token is shown once.
    let again = HttpServer::start(&env);
    assert!(again.said.contains(&*file.to_string_lossy()) && !again.said.contains(&server.token), "{}", again.said);
    assert_eq!(again.post(&[], &hello()).status, 200);
}

/// A page in a browser, or a name that was made to point here, is refused even with the token.
#[test]
fn only_known_names_and_pages_are_answered() {
    let env = TestEnv::new();
    let server = HttpServer::start_with(&env, &["--allow-host", "jobs.example"], &[]);
    for (header, value, status) in [
        ("Host", "evil.example", 403),
        ("Host", "localhost:1", 200),
        ("Host", "[::1]:1", 200),
        ("Host", "jobs.example", 200),
        ("Origin", "http://evil.example", 403),
        ("Origin", "null", 403),
        ("Origin", "http://localhost.evil.example:80", 403),
        ("Origin", "http://localhost:5173", 200),
        ("Origin", "https://jobs.example", 200),
        ("Origin", "HTTP://LocalHost", 200),
        // Names that only start with a permitted one.
        ("Host", "[::1].evil.example", 403),
        ("Host", "[::1]evil.example:80", 403),
        ("Host", "localhost:1.evil.example", 403),
        ("Host", "localhost@evil.example", 403),
        ("Origin", "http://[::1].evil.example", 403),
        ("Origin", "http://[::1]:1.evil.example", 403),
        ("Origin", "http://localhost@evil.example", 403),
        ("Origin", "http://localhost:80@evil.example", 403),
        ("Origin", "http://localhost/evil", 403),
        ("Origin", "http://localhost:65536", 403),
        ("Origin", "file://localhost", 403),
        ("Origin", "http://localhost http://evil.example", 403),
        ("Origin", "", 403),
    ] {
        assert_eq!(server.post(&[(header, value)], &hello()).status, status, "{header}: {value}");
    }
    // A proxy on the way may have checked the other one.
    for header in ["Host", "Origin"] {
        for values in [["localhost", "localhost"], ["localhost", "evil.example"], ["evil.example", "localhost"]] {
            let values = values.map(|value| if header == "Host" { value.into() } else { format!("http://{value}") });
            let headers = [(header, &*values[0]), (header, &*values[1])];
            assert_eq!(server.post(&headers, &hello()).status, 400, "{headers:?}");
        }
    }
    let authorization = format!("Bearer {}", server.token);
    let named_twice = server.request("POST", "http://evil.example/mcp", &[("Authorization", &authorization)], "{}");
    assert_eq!(named_twice.status, 403);
}

/// The SDK answers only one of them, so that the other client would wait for ever.
#[test]
fn two_requests_of_a_session_with_one_id_are_both_answered() {
    let env = TestEnv::new();
    let server = HttpServer::start(&env);
    let session = server.post(&[], &hello()).header("mcp-session-id").unwrap().to_owned();
    let session = [("Mcp-Session-Id", session.as_str())];
    server.post(&session, &json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    let job = server.ok("execute", &json!({ "command": "sleep 1000", "wait_s": 0 })).id();
    let call = |tool: &str, arguments: Value| {
        let params = json!({ "name": tool, "arguments": arguments });
        server.send_post(&session, &json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params }))
    };
    let waits = [(); 2].map(|()| call("wait", json!({ "job_ids": [job] })));
    // In another session, or without one, the same id is a different request.
    server.ok("kill", &json!({ "job_id": job }));
    for wait in waits {
        let called = Called::of(&Response::read(wait).message());
        assert!(called.text.contains("killed by"), "{}", called.text);
    }
}

#[test]
fn requests_that_are_too_large_are_refused() {
    let env = TestEnv::new();
    let server = HttpServer::start(&env);
    let execute = |size: usize| json!({ "command": format!("true {}", "x".repeat(size)), "wait_s": 0 });
    assert_eq!(Response::read(server.send_call("execute", &execute(5 << 20))).status, 413);
    // A request that does not announce its size is stopped as well.
    let mut endless = server.connect();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        server.token
    );
    endless.write_all(head.as_bytes()).unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let mut other = endless.try_clone().unwrap();
    std::thread::spawn(move || while other.write_all(chunk.as_bytes()).is_ok() {});
    assert_eq!(Response::read(endless).status, 413);
    assert_eq!(env.ok(["list", "--json"]), "[]");
    server.ok("execute", &execute(50_000));
}

#[test]
fn unreadable_requests_are_answered_as_on_standard_input() {
    let env = TestEnv::new();
    let server = HttpServer::start(&env);
    let authorization = format!("Bearer {}", server.token);
    let headers = [
        ("Authorization", &*authorization),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
    ];
    for (body, id, code) in [
        (r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"\ud800"}}"#, json!(7), -32700),
        ("garbage", Value::Null, -32700),
        (r#"{"jsonrpc":"2.0","id":"x"}"#, json!("x"), -32600),
        ("[]", Value::Null, -32600),
    ] {
        let response = server.request("POST", "/mcp", &headers, body);
        let answer = response.message();
        assert_eq!((response.status, &answer["id"], &answer["error"]["code"]), (400, &id, &code.into()), "{answer}");
    }
    let text = [headers[0], ("Content-Type", "text/plain"), headers[2]];
    assert_eq!(server.request("POST", "/mcp", &text, &hello().to_string()).status, 415);
}

/// Connections that only keep a place lose it to a client that waits for one.
#[test]
fn idle_connections_give_way_to_active_ones() {
    let env = TestEnv::new();
    let server = HttpServer::start(&env);
    let begun: Vec<_> = (0..520)
        .map(|_| {
            let mut half = server.connect();
            half.write_all(b"GET /healthz HTTP/1.1\r\nHost: lo").unwrap();
            half
        })
        .collect();
    assert_eq!(server.request("GET", "/healthz", &[], "").status, 200);
    for mut half in begun {
        // The connection was closed or reset; it did not time out.
        let read = half.read(&mut [0; 100]);
        assert!(!matches!(&read, Err(error) if error.kind() == ErrorKind::WouldBlock), "{read:?}");
    }
}

/// Few clients end their sessions.
#[test]
fn the_least_recently_used_sessions_give_way() {
    let env = TestEnv::new();
    let server = HttpServer::start(&env);
    let begin = || server.post(&[], &hello()).header("mcp-session-id").unwrap().to_owned();
    let is_there = |session: &str| {
        let ping = json!({ "jsonrpc": "2.0", "id": 2, "method": "ping" });
        server.post(&[("Mcp-Session-Id", session)], &ping).status == 200
    };
    let (used, unused) = (begin(), begin());
    for _ in 2..500 {
        begin();
    }
    assert!(is_there(&used));
    let newest = begin();
    assert!(is_there(&used) && is_there(&newest));
    assert!(!is_there(&unused), "there are more than 500");
}

#[test]
fn clients_of_all_eras_are_served_by_one_server() {
    let env = TestEnv::new();
    let server = HttpServer::start(&env);
    let answer = server.post(&[], &hello());
    assert_eq!(answer.message()["result"]["protocolVersion"], "2025-06-18");
    let session = answer.header("mcp-session-id").unwrap();
    let headers = [("Mcp-Session-Id", session), ("MCP-Protocol-Version", "2025-06-18")];
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(server.post(&headers, &note).status, 202);
    let ask = |id: u64, method: &str, params: Value| {
        let asked = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        server.post(&headers, &asked)
    };
    let tools = ask(2, "tools/list", json!({})).message();
    let names = tools["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap());
    let ours = ["execute", "wait", "output", "interact", "kill", "status", "list"];
    assert!(names.eq(ours), "there are no fixtures of the conformance suite here: {tools}");
    let arguments = json!({ "command": "echo from a session", "name": "web", "wait_s": 30 });
    let called = ask(3, "tools/call", json!({ "name": "execute", "arguments": arguments }));
    assert_eq!(called.header("content-type"), Some("text/event-stream"));
    assert!(Called::of(&called.message()).text.contains("\nfrom a session"));
    // Without a session, and without a greeting.
    let modern = server.ok("output", &json!({ "job_id": "web" }));
    assert!(modern.text.ends_with("from a session"), "{}", modern.text);
    let authorization = format!("Bearer {}", server.token);
    let close = [headers[0], headers[1], ("Authorization", &*authorization)];
    let closed = server.request("DELETE", "/mcp", &close, "");
    assert_eq!((closed.status, &*closed.body), (204, ""), "of 202, some clients warn");
    assert_eq!(ask(4, "tools/list", json!({})).status, 404);
}

#[test]
fn other_machines_are_served_only_on_request() {
    let env = TestEnv::new();
    let ran = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = env.command(JOBMCP);
        command.arg("serve").args(arguments).envs(variables.iter().copied());
        Ran::of(command)
    };
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8000"] {
        let refused = ran(&["--http", address], &[]);
        assert!(refused.code == Some(4) && refused.stderr.contains("--allow-remote"), "{refused}");
    }
    let file = env.dir().join("token");
    std::fs::write(&file, "0123456789abcdef").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let path = file.to_str().unwrap();
    let open = ran(&["--http", "127.0.0.1:0", "--token-file", path], &[]);
    assert!(open.code == Some(1) && open.stderr.contains("chmod 600"), "{open}");
    let short = ran(&["--http", "127.0.0.1:0"], &[("JOBMCP_TOKEN", "secret")]);
    assert!(short.code == Some(2) && !short.stderr.contains("secret"), "{short}");
    assert!(!env.store().join("mcp-token").exists());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut remote = HttpServer::start_with(&env, &["--allow-remote", "--token-file", path], &[]);
    assert_eq!(remote.post(&[], &hello()).status, 401, "it is the token of the file");
    remote.token = "0123456789abcdef".to_owned();
    assert_eq!(remote.post(&[], &hello()).status, 200);
}

/// Jobs get neither the token nor the ids of waiting requests.
#[test]
fn the_token_in_the_environment_is_not_passed_to_jobs() {
    let env = TestEnv::new();
    let mut server = HttpServer::start_with(&env, &[], &[("JOBMCP_TOKEN", "0123456789abcdef")]);
    assert!(server.said.contains("JOBMCP_TOKEN") && server.token.is_empty(), "{}", server.said);
    server.token = "0123456789abcdef".to_owned();
    let job = server.ok("execute", &json!({ "command": "env", "wait_s": 30 }));
    assert!(job.text.contains("JOBCORE_STORE=") && !job.text.contains("0123456789abcdef"), "{}", job.text);
}

/// Neither calls that wait, nor clients that listen, nor requests that are never completed hold up its end.
#[test]
fn the_server_answers_waiting_calls_and_ends() {
    let env = TestEnv::new();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut server = HttpServer::start(&env);
        let job = server.ok("execute", &json!({ "command": "sleep 1000", "wait_s": 0 }));
        let hello = server.post(&[], &hello());
        let session = hello.header("mcp-session-id").unwrap();
        let authorization = format!("Bearer {}", server.token);
        let headers =
            [("Authorization", &*authorization), ("Mcp-Session-Id", session), ("Accept", "text/event-stream")];
        let _listening = server.send("GET", "/mcp", &headers, "");
        let mut half = server.connect();
        half.write_all(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-").unwrap();
        let params = json!({ "name": "wait", "arguments": { "job_ids": [job.id()], "timeout_s": 50 } });
        let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params });
        let wait = server.send_post(&[("Mcp-Session-Id", session)], &call);
        // An answer that has started proves that the call was accepted.
        wait.peek(&mut [0]).unwrap();
        let begun = Instant::now();
        send(server.pid(), signal);
        let answer = Called::of(&Response::read(wait).message());
        assert!(answer.text.contains(" is running"), "{}", answer.text);
        assert!(server.end().success(), "{signal:?}");
        assert!(begun.elapsed().as_secs() < 40, "it waited for a client");
        assert_eq!(env.status(&job.id()), "running", "no job ends with a server");
        env.ok(["kill", &job.id()]);
    }
}

#[test]
fn several_servers_serve_one_store() {
    let env = TestEnv::new();
    let (one, other) = (HttpServer::start(&env), HttpServer::start(&env));
    assert_eq!(one.token, other.token);
    let mut third = Client::legacy(&env);
    let job =
        one.ok("execute", &json!({ "command": "echo up; cat; exit 3", "stdin": "open", "name": "cat", "wait_s": 0 }));
    other.ok("wait", &json!({ "job_ids": ["cat"], "until": "output:up" }));
    other.ok("interact", &json!({ "job_id": "cat", "input": "hello", "wait_s": 0 }));
    third.ok("wait", json!({ "job_ids": ["cat"], "until": "output:hello" }));
    third.ok("interact", json!({ "job_id": "cat", "eof": true, "wait_s": 0 }));
    let ended = one.ok("wait", &json!({ "job_ids": [job.id()] }));
    assert!(ended.text.contains("exit code 3"), "{}", ended.text);
    drop(one);
    assert!(other.ok("status", &json!({ "job_id": "cat" })).text.contains("exit code 3"));
}

#[test]
fn its_log_is_private_and_holds_no_secrets() {
    let env = TestEnv::new();
    let log = env.dir().join("log");
    let server = HttpServer::start_with(&env, &["--log-file", log.to_str().unwrap()], &[]);
    server.ok("execute", &json!({ "command": "true hush", "wait_s": 0 }));
    let text = wait_for("the call in the log", || {
        std::fs::read_to_string(&log).ok().filter(|text| text.contains("called tool=execute"))
    });
    assert!(text.contains(&server.address) && !text.contains(&server.token) && !text.contains("hush"), "{text}");
    assert_eq!(std::fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
    let mut command = env.command(JOBMCP);
    command.args(["--log-file", "/nosuch/log"]);
    let refused = Ran::of(command);
    assert!(refused.code == Some(1) && refused.stderr.contains("/nosuch/log"), "{refused}");
}
