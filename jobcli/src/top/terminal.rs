//! The terminal, all of which is this program's while the view is shown, and which is left as it was, however that ends.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::pin::Pin;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste, EventStream};
use crossterm::terminal::{self, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{execute, queue};
use futures_core::Stream;
use jobcore::front::{Failure, codes};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use rustix::process::{Signal, getpid, kill_process};

use super::draw::draw;
use super::state::State;
use super::theme::Theme;
use crate::commands::Result;

/// Clicks and turns of the wheel are reported, as numbers in text; mere movements are not. xterm's control sequences.
const MOUSE: &[u8] = b"\x1b[?1000h\x1b[?1006h";
const NO_MOUSE: &[u8] = b"\x1b[?1006l\x1b[?1000l";
/// A picture is shown when all of it has come, by terminals that know this.
const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";

/// The signals by which a shell stops a program and lets it go on.
pub(super) const STOP: i32 = Signal::TSTP.as_raw();
pub(super) const GO_ON: i32 = Signal::CONT.as_raw();

/// Whether the terminal is not as it was.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, until this is dropped.
pub(super) struct Screen {
    terminal: ratatui::Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    /// What is typed; nothing while the terminal is another program's.
    keys: Option<EventStream>,
    theme: Theme,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn enter() -> Result<Self> {
        let is_there = io::stdin().is_terminal() && io::stdout().is_terminal();
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        if !is_there || is_dumb {
            let message =
                if is_there { "this terminal (`TERM`) cannot be drawn on" } else { "there is no terminal here" };
            return Err(Failure::new(codes::USAGE, message).with_hint("use `jobcli list` and `jobcli tail --follow`"));
        }
        give_back_before_a_panic_is_told();
        let has_colours = anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
        let backend = CrosstermBackend::new(BufWriter::with_capacity(64 * 1024, io::stdout()));
        let terminal = ratatui::Terminal::new(backend)?;
        let mut screen = Self { terminal, keys: None, theme: Theme { has_colours } };
        screen.take()?;
        Ok(screen)
    }

    /// Takes the terminal again.
    ///
    /// # Errors
    /// If it is gone.
    pub(super) fn take(&mut self) -> Result<()> {
        terminal::enable_raw_mode()?;
        IS_TAKEN.store(true, Ordering::SeqCst);
        let mut out = io::stdout();
        queue!(out, EnterAlternateScreen, EnableBracketedPaste, Hide)?;
        out.write_all(MOUSE)?;
        out.flush()?;
        self.keys = Some(EventStream::new());
        self.redraw()
    }

    /// Returns whether the terminal is this program's.
    pub(super) fn is_taken(&self) -> bool {
        self.keys.is_some()
    }

    /// Gives the terminal back.
    pub(super) fn give(&mut self) {
        // What is typed from now on is for others.
        self.keys = None;
        give_back();
    }

    /// Has all drawn the next time, whatever is on the screen.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub(super) fn redraw(&mut self) -> Result<()> {
        // Its own `clear` asks the terminal where the cursor is, and the answer would be taken for keys.
        let size = self.terminal.size()?;
        Ok(self.terminal.resize(Rect::new(0, 0, size.width, size.height))?)
    }

    /// Returns how many columns and rows there are.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub(super) fn size(&self) -> Result<(u16, u16)> {
        let size = self.terminal.size()?;
        Ok((size.width, size.height))
    }

    /// Draws all that is shown.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub(super) fn draw(&mut self, state: &State) -> Result<()> {
        self.terminal.backend_mut().write_all(BEGIN)?;
        self.terminal.draw(|frame| draw(frame, state, self.theme))?;
        self.terminal.backend_mut().write_all(END)?;
        Ok(Write::flush(self.terminal.backend_mut())?)
    }

    /// Asks the terminal to copy a text, OSC 52 of xterm's control sequences.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub(super) fn copy(&mut self, text: &str) -> Result<()> {
        let mut out = io::stdout();
        write!(out, "\x1b]52;c;{}\x07", BASE64_STANDARD.encode(text))?;
        Ok(out.flush()?)
    }

    /// Returns what comes from the terminal next; nothing if it is gone.
    pub(super) async fn next(&mut self) -> Option<io::Result<crossterm::event::Event>> {
        match &mut self.keys {
            Some(keys) => std::future::poll_fn(|context| Pin::new(&mut *keys).poll_next(context)).await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.give();
    }
}

/// Makes the terminal what it was, once. A terminal that is gone needs nothing.
fn give_back() {
    if !IS_TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout();
    let _ = out.write_all(NO_MOUSE);
    let _ = execute!(out, DisableBracketedPaste, Show, LeaveAlternateScreen);
    let _ = terminal::disable_raw_mode();
}

/// What a panic says is to be seen, and on a terminal that is as it was.
fn give_back_before_a_panic_is_told() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            give_back();
            before(info);
        }));
    });
}

/// Stops this program as a shell does, until it is to go on.
pub(super) fn stop_here() {
    let _ = kill_process(getpid(), Signal::STOP);
}
