//! The MCP server on standard input and output, with clients that send lines that are not messages, send much at once,
//! or do not read.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::mcp_client::{Called, Client};
use crate::support::{TestEnv, used, wait_until_idle};

/// The SDK drops most of these silently, so that a client would wait for ever.
#[test]
fn unreadable_lines_are_answered_and_the_next_ones_served() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let call = |id: &str, command: &[u8]| {
        let head = format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"tools/call","params":{{"name":"execute","#);
        [head.as_bytes(), br#""arguments":{"command":""#, command, br#""}}}"#].concat()
    };
    for (line, id, code, expected) in [
        (call("half", br"echo \ud800"), json!("half"), -32700, r"halves of surrogate pairs"),
        (call("bytes", b"echo \xff"), json!("bytes"), -32700, "unicode"),
        (call("cut", b"echo")[..90].to_vec(), json!("cut"), -32700, "EOF"),
        (call("deep", &[b"\"},\"x\":", &b"[".repeat(1000)[..]].concat()), json!("deep"), -32700, "recursion"),
        (b"\xff\xfe".to_vec(), Value::Null, -32700, "column 1"),
        (b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]".to_vec(), Value::Null, -32600, "on its own"),
        (b"{\"jsonrpc\":\"2.0\",\"id\":\"none\"}".to_vec(), json!("none"), -32600, "`method`"),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}".to_vec(), Value::Null, -32600, "`id`"),
        (call("long", &vec![b'x'; 20_000_000]), json!("long"), -32600, "4194304"),
    ] {
        client.write_line(&line);
        let answer = client.answer_to(&id);
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(answer["error"]["code"] == code && message.contains(expected), "{id}: {answer}");
        assert!(message.len() < 300, "{answer}");
        assert_eq!(client.ask("ping", json!({}))["result"], json!({}), "after {id}");
    }
    // Messages that expect no answer get none: an answer would have come first.
    client.write_line(br#"{"jsonrpc":"2.0","method":"notifications/nosuch","params":7}"#);
    client.write_line(br#"{"jsonrpc":"2.0","id":4711,"error":"unexpected"}"#);
    client.write_line(b"");
    client.ask("ping", json!({}));
    assert!(client.has_no_answers());
    assert_eq!(env.ok(["list", "--json"]), "[]", "nothing was started");
    assert!(client.close().success());
}

/// The SDK ends if it gets a notification before the first request.
#[test]
fn notifications_before_the_first_request_are_harmless() {
    let env = TestEnv::new();
    let mut client = Client::modern(&env);
    client.notify("notifications/initialized", json!({}));
    client.write_line(b"hello");
    client.write_line(br#"{"jsonrpc":"2.0","id":"x","result":{}}"#);
    assert_eq!(client.answer_to(&Value::Null)["error"]["code"], -32700);
    assert!(client.ask("server/discover", json!({}))["result"].is_object());
    client.notify("notifications/cancelled", json!({ "requestId": 1 }));
    assert!(client.ok("list", json!({})).text.contains("No jobs"));
}

#[test]
fn wrong_params_of_a_known_method_are_explained() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    for (method, params, code, expected) in [
        ("tools/call", json!({}), -32602, "`name`"),
        ("tools/call", json!({ "name": "list", "arguments": "{}" }), -32602, "expected a map"),
        ("resources/read", json!({}), -32602, "`uri`"),
        ("nosuch", json!({}), -32601, "there is no method `nosuch`"),
    ] {
        let error = client.ask(method, params)["error"].clone();
        assert!(error["code"] == code && error["message"].as_str().unwrap().contains(expected), "{method}: {error}");
    }
}

/// However many calls wait, each is served, others are answered in the meantime, and the end of the server is not held
/// up.
#[test]
fn many_calls_wait_at_once() {
    const CALLS: usize = 400;
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let job = client.ok("execute", json!({ "command": "sleep 1000", "wait_s": 0 }));
    let wait = |client: &mut Client, until: &str| {
        client.send_call("wait", json!({ "job_ids": [job.id()], "until": until, "timeout_s": 50 }))
    };
    let conditions = ["exit", "output:never", "port:1", "quiet:1000s", "file:/nosuch"];
    let waits: Vec<_> = conditions.iter().cycle().take(CALLS).map(|until| wait(&mut client, until)).collect();
    let list = client.send_call("list", json!({}));
    assert!(Called::of(&client.answer(list)).text.contains("running"));
    assert!(client.has_no_answers(), "the list was answered while all other calls waited");
    client.ok("kill", json!({ "job_id": job.id() }));
    for wait in waits {
        assert!(Called::of(&client.answer(wait)).text.contains("killed by jobmcp"));
    }
    let job = client.ok("execute", json!({ "command": "sleep 1000", "wait_s": 0 }));
    for _ in 0..CALLS {
        client.send_call("wait", json!({ "job_ids": [job.id()], "timeout_s": 50 }));
    }
    client.ask("ping", json!({}));
    let begun = Instant::now();
    assert!(client.close().success());
    assert!(begun.elapsed() < Duration::from_secs(30), "it waited for the calls");
    env.ok(["kill", &job.id()]);
}

/// A client that does not read, and closes only its own end: neither what it sent nor what it does not accept is waited
/// for.
#[test]
fn a_client_that_does_not_read_holds_up_no_end() {
    let env = TestEnv::new();
    env.ok(["run", "--wait", "--name", "seq", "seq 1 20000"]);
    for line in [
        &br#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"output","arguments":{"job_id":"seq"}}}"#[..],
        b"garbage",
    ] {
        let mut deaf = Client::deaf(&env);
        for _ in 0..2_000 {
            deaf.write_line(line);
        }
        let begun = Instant::now();
        assert!(deaf.close().success());
        assert!(begun.elapsed() < Duration::from_secs(30), "it waited for a reader");
    }
}

/// Answers that are not read pile up in the SDK, before the point where lines are written.
#[test]
fn a_client_that_sends_much_and_reads_nothing_costs_little_and_loses_nothing() {
    const REQUESTS: usize = 20_000;
    // More than there can be in flight.
    const READ: usize = 2_000;
    let env = TestEnv::new();
    let mut client = Client::deaf(&env);
    let request = |id: usize| format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"tools/list"}}"#) + "\n";
    client.flood((0..REQUESTS).map(request).collect());
    wait_until_idle(client.pid());
    let (peak, _) = used(client.pid());
    assert!(peak < 128 << 20, "{peak} bytes");
    client.hear();
    for id in 0..READ {
        assert!(client.answer_to(&id.to_string().into())["result"]["tools"].is_array());
    }
}

/// The SDK answers only one of them, so that the client would wait for the other for ever.
#[test]
fn a_second_request_with_an_unanswered_id_is_refused() {
    let env = TestEnv::new();
    let mut client = Client::legacy(&env);
    let job = client.ok("execute", json!({ "command": "sleep 1000", "wait_s": 0 })).id();
    let wait = json!({ "name": "wait", "arguments": { "job_ids": [job] } });
    let wait = json!({ "jsonrpc": "2.0", "id": "twice", "method": "tools/call", "params": wait }).to_string();
    client.write_line(wait.as_bytes());
    client.write_line(wait.as_bytes());
    let refused = client.answer_to(&"twice".into());
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(refused["error"]["code"] == -32600 && message.contains("its own"), "{refused}");
    client.ok("kill", json!({ "job_id": job }));
    let first = client.answer_to(&"twice".into());
    assert!(Called::of(&first).text.contains("killed by"), "{first}");
    // After that the id is free again.
    client.write_line(wait.as_bytes());
    assert!(Called::of(&client.answer_to(&"twice".into())).text.contains("killed by"));
    assert!(client.has_no_answers());
}
