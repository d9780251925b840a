//! MCP servers: their start, their memory, their calls, and many clients at a time.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::row;
use crate::client::{Client, Server};
use crate::measure::{Contestant, milliseconds, now};
use crate::peers::command;
use crate::process::{PATIENCE, descendants, memory_of, sweep};
use crate::report::{Target, at_most, times};
use crate::{Bench, Outcome};

pub(super) fn measure(bench: &Bench) -> Outcome<()> {
    start(bench)?;
    calls(bench)?;
    growth(bench)?;
    pages(bench)?;
    http(bench)
}

fn client(bench: &Bench, server: Server) -> Outcome<Client> {
    Client::start(server, &bench.tools, bench.memory().directory()?)
}

fn start(bench: &Bench) -> Outcome<()> {
    let each = |sample: fn(&Client) -> Outcome<f64>| {
        let one = |server: Server| Contestant::new(server.name(), move || sample(&client(bench, server)?));
        Server::here(&bench.tools).map(one).collect()
    };
    let what = ("MCP: start to the first reply", "", "ms");
    row(bench, what, bench.rounds(), each(|client| Ok(client.started)), [at_most("jobmcp", 6.0)])?;
    let idle = |_: &Client| {
        let memory: Outcome<f64> = descendants().into_iter().map(|pid| memory_of(pid, &["Pss"])).sum();
        Ok(memory? / 1000.0)
    };
    let what = ("MCP: memory of an idle server (PSS)", "", "MB");
    row(bench, what, 1, each(idle), [at_most("jobmcp", 8.0)])
}

/// All servers wait at the same time, and each is called in turn.
fn calls(bench: &Bench) -> Outcome<()> {
    let open = |server| Ok((client(bench, server)?, Value::Null));
    let mut clients = Server::here(&bench.tools).map(open).collect::<Outcome<Vec<_>>>()?;
    let target = at_most("jobmcp", 3.0);
    turns(
        bench,
        "MCP: start of a job in the background",
        &mut clients,
        |client, _| Ok(client.settle("true")?.1),
        target,
    )?;
    let target = times("jobmcp", 1.2, "mcp-background-job");
    turns(bench, "MCP: `echo hi` to its output", &mut clients, |client, _| client.echo(), target)?;
    for (client, id) in &mut clients {
        *id = client.start_job("sleep 1000")?.0;
    }
    let status = |client: &mut Client, id: &Value| match client.is_running(id)? {
        (true, time) => Ok(time),
        (false, _) => Err("a job that runs is said not to".into()),
    };
    turns(bench, "MCP: status of a running job", &mut clients, status, at_most("jobmcp", 0.5))?;
    drop(clients);
    sweep();
    Ok(())
}

fn turns(
    bench: &Bench,
    what: &str,
    clients: &mut [(Client, Value)],
    sample: fn(&mut Client, &Value) -> Outcome<f64>,
    target: Target,
) -> Outcome<()> {
    let each = clients.iter_mut().map(|(client, id)| Contestant::new(client.server.name(), move || sample(client, id)));
    row(bench, (what, "", "ms"), bench.rounds(), each.collect(), [target])
}

/// How much the memory of a server that is in use grows over many more calls.
fn growth(bench: &Bench) -> Outcome<()> {
    let count = bench.much(10_000, 200);
    let sample = || {
        let mut client = client(bench, Server::Jobmcp)?;
        let (id, _) = client.settle("true")?;
        let mut call = |times: usize| {
            for _ in 0..times / 2 {
                client.is_running(&id)?;
                client.call("list", &json!({}))?;
            }
            memory_of(client.pid(), &["Private_Dirty", "Private_Clean"])
        };
        let before = call(count / 10)?;
        Ok(call(count)? - before)
    };
    let what = (format!("MCP: growth over {count} calls"), "", "kB");
    row(bench, what, 1, vec![Contestant::new("jobmcp", sample)], [at_most("jobmcp", 64.0)])
}

fn pages(bench: &Bench) -> Outcome<()> {
    let count = bench.much(10_000, 100);
    let filled = bench.filled(bench.memory(), count)?;
    // The server's default store is the one with many jobs.
    let home = bench.memory().directory()?;
    symlink(filled.peer.store(), home.path().join("store"))?;
    let client = RefCell::new(Client::start(Server::Jobmcp, &bench.tools, home)?);
    let page = |offset: u32| {
        let arguments = json!({ "limit": 100, "offset": offset });
        let (result, time) = client.borrow_mut().call("list", &arguments)?;
        let jobs = result["structuredContent"]["jobs"].as_array().map_or(0, Vec::len);
        if jobs == 100 { Ok(time) } else { Err(format!("{jobs} jobs on the page at {offset}").into()) }
    };
    let (first, last) = ("first page", "last page");
    let contestants = vec![Contestant::new(first, || page(0)), Contestant::new(last, || page(count - 100))];
    let what = (format!("MCP: a page of 100 of {count} jobs"), "", "ms");
    row(bench, what, bench.rounds(), contestants, [times(last, 1.1, first)])
}

const TOKEN: &str = "a-token-for-the-benchmark";

/// Many clients that call at once for a while: the output of each job is read, and each answer must be a success.
fn http(bench: &Bench) -> Outcome<()> {
    let (clients, seconds) = (bench.much(64, 8), bench.much(60, 1));
    let home = bench.memory().directory()?;
    let mut serve = command(&bench.tools.jobmcp, home.path());
    serve.env("JOBCORE_STORE", home.path().join("store")).env("JOBMCP_TOKEN", TOKEN);
    serve.args(["serve", "--http", "127.0.0.1:0"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut server = serve.spawn()?;
    let mut lines = BufReader::new(server.stderr.take().ok_or("no standard error")?).lines().map_while(Result::ok);
    let address =
        lines.find_map(|line| Some(line.strip_prefix("jobmcp serves http://")?.strip_suffix("/mcp")?.to_owned()));
    let address = address.ok_or("the server did not say its address")?;
    thread::spawn(move || lines.for_each(drop));

    let until = Instant::now() + Duration::from_secs(seconds);
    let one = || talk(&address, until).map_err(|error| error.to_string());
    let results: Vec<_> = thread::scope(|scope| {
        let all: Vec<_> = (0..clients).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(|client| client.join().unwrap_or_else(|_| Err("a client panicked".to_owned()))).collect()
    });
    server.kill()?;
    server.wait()?;
    sweep();
    let mut all = results.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    all.sort_by(f64::total_cmp);
    let at = |percent: usize| all[(all.len() - 1) * percent / 100];
    let figures = [("p50", 50), ("p99", 99)].map(|(name, percent)| Contestant::new(name, move || Ok(at(percent))));
    let what = format!("MCP over HTTP: {clients} clients for {seconds} s, {} calls, no error", all.len());
    row(bench, (what, "", "ms"), 1, figures.into(), [])
}

/// One client on one connection: starts a job, asks for its state, reads it and lists all jobs, until the time is up.
fn talk(address: &str, until: Instant) -> Outcome<Vec<f64>> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let (mut reader, mut times) = (BufReader::new(stream), Vec::new());
    while Instant::now() < until {
        let mut call = |tool: &str, arguments: &Value| post(&mut reader, address, tool, arguments, &mut times);
        let started = call("execute", &json!({ "command": "echo hi", "wait_s": 10 }))?;
        let id = started["_meta"]["jobcore/job"]["job_id"].clone();
        if !started.to_string().contains("hi") {
            return Err(format!("no output in {started}").into());
        }
        for _ in 0..3 {
            call("status", &json!({ "job_id": id }))?;
            call("output", &json!({ "job_id": id }))?;
            call("list", &json!({}))?;
        }
    }
    Ok(times)
}

fn post(
    reader: &mut BufReader<TcpStream>,
    address: &str,
    tool: &str,
    arguments: &Value,
    times: &mut Vec<f64>,
) -> Outcome<Value> {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "compare", "version": "0" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n\
         Mcp-Name: {tool}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let begin = now();
    reader.get_mut().write_all(request.as_bytes())?;
    let (status, body) = answer(reader)?;
    times.push(milliseconds(now() - begin));
    let mut events = body.lines().filter_map(|line| line.strip_prefix("data: "));
    let mut message: Value = serde_json::from_str(events.rfind(|data| !data.is_empty()).unwrap_or(&body))?;
    let result = message["result"].take();
    if status != "200" || result.is_null() || result["isError"] == true {
        return Err(format!("{tool} {arguments}: {status} {body}").into());
    }
    Ok(result)
}

/// Reads one answer, and leaves the connection for the next.
fn answer(reader: &mut BufReader<TcpStream>) -> Outcome<(String, String)> {
    let line = |reader: &mut BufReader<TcpStream>| {
        let mut text = String::new();
        match reader.read_line(&mut text)? {
            0 => Err("the server closed the connection".into()),
            _ => Ok::<_, Box<dyn std::error::Error>>(text.trim_end().to_owned()),
        }
    };
    let status = line(reader)?.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut is_chunked) = (0, false);
    loop {
        let header = line(reader)?.to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse()?;
        }
        is_chunked |= header == "transfer-encoding: chunked";
    }
    let mut body = Vec::new();
    if !is_chunked {
        reader.take(length).read_to_end(&mut body)?;
        return Ok((status, String::from_utf8(body)?));
    }
    loop {
        let size = u64::from_str_radix(&line(reader)?, 16)?;
        reader.by_ref().take(size).read_to_end(&mut body)?;
        line(reader)?;
        if size == 0 {
            return Ok((status, String::from_utf8(body)?));
        }
    }
}
