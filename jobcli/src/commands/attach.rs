use std::io::{IsTerminal, Write};
use std::pin::pin;
use std::process::ExitCode;

use jobcore::front::process::Typed;
use jobcore::front::{Failure, codes};
use jobcore::input::Message;
use jobcore::output::{OutputChunk, OutputQuery, Position};
use jobcore::{Error, JobId, JobManager};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::ending;
use super::output::{Sink, follow};
use super::select::find;
use super::{Result, code_of, tell};
use crate::cli::Attach;
use crate::ui;

/// How much of what was shown before is shown again.
const BEFORE: u64 = 16 * 1024;
/// Ctrl-], which lets go.
const LET_GO: u8 = 0x1d;
/// What a program does to a screen that is to be all its own, and takes back when it ends; xterm's control sequences.
const OWN_SCREEN: &[u8] = b"\x1b[?1049h";
const SHARED_SCREEN: &[u8] = b"\x1b[?1049l";
/// Makes a terminal what shells expect: keys and text as usual, a cursor, no reports of the mouse, no marks around what is
/// pasted.
const AS_USUAL: &[u8] = b"\x1b[0m\x1b[?1l\x1b>\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l";

pub(crate) async fn run(jobs: &JobManager, arguments: &Attach) -> Result {
    let id = find(jobs, &arguments.id).await?;
    if jobs.job(id).await?.spec.terminal.is_none() {
        return Err(Failure::from(Error::NoTerminal { id }));
    }
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Failure::new(codes::USAGE, "there is no terminal here that could be connected")
            .with_hint("use `jobcli send` and `jobcli tail --follow`"));
    }
    // Before anything is changed here: it may be over.
    resize(jobs, id).await?;
    tell(&format!("connected to job {}; Ctrl-] lets go of it", id.short()));
    let told_to_end = told_to_end()?;
    let mut raw = Raw::enter()?;
    let ended = tokio::select! {
        shown = show(jobs, id, &mut raw.has_own_screen) => shown.map(|()| true),
        typed = forward(jobs, id) => typed.map(|()| false),
        () = told_to_end => Ok(false),
        error = follow_size(jobs, id) => Err(error),
    };
    raw.leave();
    if !ended? {
        tell(&format!("let go of job {0}, which runs on; come back with `jobcli attach {0}`", id.short()));
        return Ok(ExitCode::SUCCESS);
    }
    let job = jobs.wait_for(id).await?;
    ending::tell_of(&job);
    Ok(ExitCode::from(code_of(&job)))
}

async fn resize(jobs: &JobManager, id: JobId) -> Result<()> {
    if let Some(size) = ui::terminal_size() {
        jobs.resize(id, size).await?;
    }
    Ok(())
}

/// Shows what the job shows, until it ends.
async fn show(jobs: &JobManager, id: JobId, has_own_screen: &mut bool) -> Result<()> {
    let before = jobs.output(id, &OutputQuery::from(Position::TailBytes(BEFORE))).await?;
    // The two terminals are one: this one obeys what the job's is told.
    let mut sink = Sink::together(true);
    let mut print = |chunk: &OutputChunk| {
        let bytes = chunk.bytes(None);
        let last = |sequence: &[u8]| bytes.windows(sequence.len()).rposition(|window| window == sequence);
        match (last(OWN_SCREEN), last(SHARED_SCREEN)) {
            (None, None) => {}
            (own, shared) => *has_own_screen = own > shared,
        }
        sink.write(chunk)
    };
    print(&before)?;
    follow(jobs, id, before.cursor, None, print).await
}

/// Types what is typed here, until Ctrl-], or until nothing more can be typed here.
async fn forward(jobs: &JobManager, id: JobId) -> Result<()> {
    let (sender, receiver) = unbounded_channel();
    let mut typing = pin!(type_all(jobs, id, receiver));
    tokio::select! {
        typed = &mut typing => return typed,
        read = read_keys(sender) => read?,
    }
    // What was typed before it let go is for the job, if that reads now.
    timeout(JobManager::PATIENCE, typing).await.unwrap_or(Ok(()))
}

/// Reads what is typed here, until Ctrl-], or until nothing more can be typed here. Never waits for the job.
async fn read_keys(typed: UnboundedSender<Vec<u8>>) -> Result<()> {
    let mut bytes = [0; 4096];
    // What is typed after it lets go is for others.
    let stdin = Typed::new()?;
    loop {
        let count = stdin.read(&mut bytes).await?;
        let until = bytes[..count].iter().position(|byte| *byte == LET_GO);
        let _ = typed.send(bytes[..until.unwrap_or(count)].to_vec());
        if until.is_some() || count == 0 {
            return Ok(());
        }
    }
}

/// Types on the job's terminal what comes, and loses nothing of it while the job does not read.
async fn type_all(jobs: &JobManager, id: JobId, mut typed: UnboundedReceiver<Vec<u8>>) -> Result<()> {
    while let Some(mut bytes) = typed.recv().await {
        while !bytes.is_empty() {
            match jobs.send(id, &Message::bytes(bytes.as_slice()), JobManager::PATIENCE).await {
                // Its end is told by what it shows.
                Err(Error::NotRunning { .. }) => std::future::pending().await,
                sent => drop(bytes.drain(..sent?.bytes)),
            }
        }
    }
    Ok(())
}

/// Catches the signals by which this program is asked to end, and waits for one then: before it ends, the terminal is to
/// be what it was.
fn told_to_end() -> Result<impl Future<Output = ()>> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Gives the job's terminal the size of this one whenever that changes. Returns only if that cannot be done.
async fn follow_size(jobs: &JobManager, id: JobId) -> Failure {
    let mut changes = match signal(SignalKind::window_change()) {
        Ok(changes) => changes,
        Err(error) => return error.into(),
    };
    while changes.recv().await.is_some() {
        // A job that has ended meanwhile needs no size; what it showed last is still to be shown.
        let _ = resize(jobs, id).await;
    }
    std::future::pending().await
}

/// A terminal that passes on everything that is typed, until this is dropped.
struct Raw {
    before: Option<Termios>,
    has_own_screen: bool,
}

impl Raw {
    fn enter() -> Result<Self> {
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin).map_err(std::io::Error::from)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&stdin, OptionalActions::Now, &raw).map_err(std::io::Error::from)?;
        Ok(Self { before: Some(before), has_own_screen: false })
    }

    /// Makes the terminal what it was.
    fn leave(&mut self) {
        let Some(before) = self.before.take() else { return };
        let mut stdout = std::io::stdout().lock();
        // A terminal that is gone needs nothing.
        if self.has_own_screen {
            let _ = stdout.write_all(SHARED_SCREEN);
        }
        let _ = stdout.write_all(AS_USUAL).and_then(|()| stdout.write_all(b"\r\n")).and_then(|()| stdout.flush());
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &before);
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.leave();
    }
}
