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

/// How many bytes of earlier output are shown again.
const BEFORE: u64 = 16 * 1024;
/// Ctrl-], which detaches.
const LET_GO: u8 = 0x1d;
/// Switches to the alternate screen, and back (xterm control sequences).
const OWN_SCREEN: &[u8] = b"\x1b[?1049h";
const SHARED_SCREEN: &[u8] = b"\x1b[?1049l";
/// Resets a terminal to what shells expect: normal keys and text, a visible cursor, no mouse reports and no bracketed
/// paste.
const AS_USUAL: &[u8] = b"\x1b[0m\x1b[?1l\x1b>\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l";

pub(crate) async fn run(jobs: &JobManager, arguments: &Attach) -> Result {
    let id = find(jobs, &arguments.id).await?;
    if jobs.job(id).await?.spec.terminal.is_none() {
        return Err(Failure::from(Error::NoTerminal { id }));
    }
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Failure::new(codes::USAGE, "standard input and output must be a terminal")
            .with_hint("use `jobcli send` and `jobcli tail --follow`"));
    }
    // Before this terminal is changed: the job may have ended.
    resize(jobs, id).await?;
    tell(&format!("connected to job {}; Ctrl-] detaches", id.short()));
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
        tell(&format!("detached from job {0}, which is still running; come back with `jobcli attach {0}`", id.short()));
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

/// Shows the output of the job until it ends.
async fn show(jobs: &JobManager, id: JobId, has_own_screen: &mut bool) -> Result<()> {
    let before = jobs.output(id, &OutputQuery::from(Position::TailBytes(BEFORE))).await?;
    // Raw: this terminal obeys what the job writes to its own.
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

/// Forwards what is typed here, until Ctrl-] or the end of input.
async fn forward(jobs: &JobManager, id: JobId) -> Result<()> {
    let (sender, receiver) = unbounded_channel();
    let mut typing = pin!(type_all(jobs, id, receiver));
    tokio::select! {
        typed = &mut typing => return typed,
        read = read_keys(sender) => read?,
    }
    // What was typed before detaching still goes to the job, if it reads soon.
    timeout(JobManager::PATIENCE, typing).await.unwrap_or(Ok(()))
}

/// Reads what is typed here, until Ctrl-] or the end of input. Never waits for the job.
async fn read_keys(typed: UnboundedSender<Vec<u8>>) -> Result<()> {
    let mut bytes = [0; 4096];
    // What is typed after detaching is for other programs.
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

/// Types the input on the job's terminal. Nothing is lost while the job is not reading.
async fn type_all(jobs: &JobManager, id: JobId, mut typed: UnboundedReceiver<Vec<u8>>) -> Result<()> {
    while let Some(mut bytes) = typed.recv().await {
        while !bytes.is_empty() {
            match jobs.send(id, &Message::bytes(bytes.as_slice()), JobManager::PATIENCE).await {
                // `show` notices the end of the job.
                Err(Error::NotRunning { .. }) => std::future::pending().await,
                sent => drop(bytes.drain(..sent?.bytes)),
            }
        }
    }
    Ok(())
}

/// Catches the signals that ask this program to end, so that the terminal is restored first. The future waits for one.
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

/// Resizes the job's terminal whenever this one changes. Returns only if changes cannot be observed.
async fn follow_size(jobs: &JobManager, id: JobId) -> Failure {
    let mut changes = match signal(SignalKind::window_change()) {
        Ok(changes) => changes,
        Err(error) => return error.into(),
    };
    while changes.recv().await.is_some() {
        // The job may have ended meanwhile; its last output still has to be shown.
        let _ = resize(jobs, id).await;
    }
    std::future::pending().await
}

/// A terminal in raw mode, until this is dropped.
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

    /// Restores the terminal.
    fn leave(&mut self) {
        let Some(before) = self.before.take() else { return };
        let mut stdout = std::io::stdout().lock();
        // Errors are ignored: the terminal may no longer exist.
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
