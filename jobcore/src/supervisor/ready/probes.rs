//! Conditions that are probed: whether something listens, a file exists, a command succeeds. That may take time, so it
//! is not done by a process with other things to do.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::environment::Environment;
use crate::program::exec;
use crate::record::Submission;
use crate::signal::Signal;
use crate::spec::{self, HOOK_SHELL};
use crate::store::file::supervisors::visible_members;
use crate::sys::port::{self, Listener};
use crate::sys::process::{self, ProcessId};
use crate::sys::ready::{self, Wanted};
use crate::sys::stat::{self, Stat};
use crate::sys::world;
use crate::until::{Condition, Until, Url};

/// When to probe again: soon at first, later at the longer interval.
const FIRST: Duration = Duration::from_millis(250);
const LAST: Duration = Duration::from_secs(1);
/// How long a connection and an answer may take.
const ANSWER: Duration = Duration::from_secs(1);
/// How long a command may run before it is killed.
const RUN: Duration = Duration::from_secs(10);
/// As many bytes of an answer as its status needs: `HTTP/1.1 200`.
const STATUS: usize = 12;

/// The conditions of one job that are not yet met.
#[derive(Debug)]
pub(crate) struct Probes {
    awaited: Vec<Condition>,
    submission: Submission,
    main: ProcessId,
    /// Whether this process lives in another world than the job, and may take on the job's for a moment.
    lends_world: bool,
    distance: Duration,
}

impl Probes {
    /// Probes the conditions of a spec for a job that runs as `main`; `None` if there is nothing to probe.
    pub(crate) fn of(submission: &Submission, main: ProcessId, lends_world: bool) -> Option<Self> {
        let awaited: Vec<_> = submission.spec.ready.iter().filter(|one| !one.is_output()).cloned().collect();
        let submission = submission.clone();
        (!awaited.is_empty()).then(|| Self { awaited, submission, main, lends_world, distance: FIRST })
    }

    /// Probes the conditions not yet met; each has to be met once. Returns when to do so again; `None` if all are met.
    pub(crate) fn look(&mut self) -> Option<Duration> {
        let awaited = std::mem::take(&mut self.awaited);
        self.awaited = awaited.into_iter().filter(|condition| !self.is_met(condition)).collect();
        let distance = self.distance;
        self.distance = (distance * 2).min(LAST);
        (!self.awaited.is_empty()).then_some(distance)
    }

    fn is_met(&self, condition: &Condition) -> bool {
        match condition {
            Condition::Until(Until::Port(port)) => {
                let members = || visible_members(Some(&self.main), self.submission.job_id);
                port::listener(*port, self.main.pid, members) == Listener::Own
            }
            Condition::Until(Until::File(path)) => self.submission.spec.cwd.join(path).exists(),
            // A spec accepts no others of this kind, and lines are checked as they pass.
            Condition::Until(_) => false,
            Condition::Address { host, port } => connect(host, *port).is_ok(),
            Condition::Http(url) => get(url).is_ok_and(|status| (200..400).contains(&status)),
            Condition::Command(line) => self.spawn(line).is_ok_and(succeeds),
        }
    }

    /// Starts a command line as the job would, with the environment of its main process.
    fn spawn(&self, line: &str) -> io::Result<Child> {
        let main = Stat::read(self.main.pid).filter(|stat| stat.start_time == self.main.start_time);
        let environment = main.map(|stat| stat::environment(&stat)).filter(|variables| !variables.is_empty());
        let environment = Environment::from_bytes(&environment.ok_or(io::ErrorKind::NotFound)?);
        let mut submission = self.submission.clone();
        if let spec::Command::Argv(_) = submission.spec.command {
            (submission.program, submission.spec.shell) = (HOOK_SHELL.into(), None);
        }
        submission.spec.command = spec::Command::Shell(line.to_owned());
        let arguments = exec::arguments(&submission);
        let mut words = arguments.iter().map(|word| std::ffi::OsStr::from_bytes(word));
        let mut command = Command::new(&submission.program);
        command.arg0(words.next().unwrap_or_default()).args(words).current_dir(&submission.spec.cwd);
        command.env_clear().envs(environment.iter());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match self.lends_world {
            true => {
                world::lend(&submission.world, &submission.spec.limits, || command.spawn()).map_err(io::Error::other)?
            }
            false => command.spawn(),
        }
    }
}

/// Returns whether a command exits with 0 in time. When the time is up, it is killed with all of its descendants.
fn succeeds(mut child: Child) -> bool {
    let pid = i32::try_from(child.id()).unwrap_or(0);
    let open = process::identify(pid).ok().and_then(|process| process::open(&process));
    // A process that cannot be opened has ended.
    let has_ended = open.is_none_or(|open| ready::wait([Wanted::Read(open.as_fd())], Some(RUN)) == [true]);
    if !has_ended {
        kill_tree(pid);
    }
    child.wait().is_ok_and(|status| has_ended && status.success())
}

fn kill_tree(root: i32) {
    let mut found: Vec<_> = Stat::read(root).into_iter().collect();
    let mut next = 0;
    while let Some(parent) = found.get(next) {
        let children: Vec<_> = stat::children(parent.pid).into_iter().filter_map(Stat::read).collect();
        found.extend(children);
        next += 1;
    }
    for stat in found.iter().rev() {
        let _ = process::signal(stat, Signal::KILL);
    }
}

/// Connects to the first address of a host that accepts.
fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    for address in (host.trim_matches(['[', ']']), port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, ANSWER) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Sends an HTTP request, and returns the status of the answer.
fn get(url: &Url) -> io::Result<u16> {
    let mut stream = connect(&url.host, url.port)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    let (path, host) = (&url.path, url.authority());
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: jobcore\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    // In one piece: a server that answers to the first line and closes would reset what comes after its answer.
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut read, until) = ([0; STATUS], 0, Instant::now() + ANSWER);
    while read < STATUS && Instant::now() < until {
        match stream.read(&mut answer[read..])? {
            0 => break,
            count => read += count,
        }
    }
    let text = std::str::from_utf8(&answer[..read]).ok().filter(|text| text.starts_with("HTTP/1."));
    let status = text.and_then(|text| text.get(9..STATUS)?.parse().ok());
    status.ok_or(io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Answers one request with this, and returns the request.
    fn answered(answer: &'static str) -> (Option<u16>, String) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut request, mut piece) = (Vec::new(), [0; 1024]);
            while !request.ends_with(b"\r\n\r\n") {
                let count = stream.read(&mut piece).unwrap();
                assert_ne!(count, 0, "a request ends with an empty line");
                request.extend_from_slice(&piece[..count]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        let Condition::Http(url) = format!("http://127.0.0.1:{port}/health?a=1").parse().unwrap() else { panic!() };
        (get(&url).ok(), server.join().unwrap())
    }

    #[test]
    fn an_answer_is_judged_by_its_status() {
        let (status, request) = answered("HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(status, Some(204));
        assert!(request.starts_with("GET /health?a=1 HTTP/1.1\r\nHost: 127.0.0.1:"), "{request}");
        assert_eq!(answered("HTTP/1.0 503 Busy\r\n\r\n").0, Some(503));
        for noise in ["", "HTTP/1.1", "SSH-2.0-OpenSSH", "HTTP/1.1 ok ok"] {
            assert_eq!(answered(noise).0, None, "{noise}");
        }
    }
}
