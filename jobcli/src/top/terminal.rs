//! The terminal: taken over while the view is shown, and restored however the view ends.

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

/// Reports clicks and turns of the wheel as decimal text, but not mere movements (xterm control sequences).
const MOUSE: &[u8] = b"\x1b[?1000h\x1b[?1006h";
const NO_MOUSE: &[u8] = b"\x1b[?1006l\x1b[?1000l";
/// Marks the beginning and end of a frame: terminals that support this show it only when it is complete.
const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";

/// The signals by which a shell suspends and continues a program.
pub(super) const STOP: i32 = Signal::TSTP.as_raw();
pub(super) const GO_ON: i32 = Signal::CONT.as_raw();

/// Whether the terminal has been changed and not yet restored.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, taken over until this is dropped.
pub(super) struct Screen {
    terminal: ratatui::Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    /// The input; nothing while another program has the terminal.
    keys: Option<EventStream>,
    theme: Theme,
}

impl Screen {
    /// Takes over the terminal.
    ///
    /// # Errors
    /// If there is no terminal.
    pub(super) fn enter() -> Result<Self> {
        let is_there = io::stdin().is_terminal() && io::stdout().is_terminal();
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        if !is_there || is_dumb {
            let message =
                if is_there { "this terminal (`TERM`) does not support drawing" } else { "there is no terminal" };
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

    /// Takes over the terminal again.
    ///
    /// # Errors
    /// If it no longer exists.
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

    /// Returns whether this program has the terminal.
    pub(super) fn is_taken(&self) -> bool {
        self.keys.is_some()
    }

    /// Restores the terminal for another program.
    pub(super) fn give(&mut self) {
        // Input from now on is for other programs.
        self.keys = None;
        give_back();
    }

    /// Makes the next frame redraw everything, whatever is on the screen.
    ///
    /// # Errors
    /// If the terminal no longer exists.
    pub(super) fn redraw(&mut self) -> Result<()> {
        // ratatui's `clear` asks the terminal for the cursor position, and the answer would be taken for keys.
        let size = self.terminal.size()?;
        Ok(self.terminal.resize(Rect::new(0, 0, size.width, size.height))?)
    }

    /// Returns the columns and rows of the terminal.
    ///
    /// # Errors
    /// If the terminal no longer exists.
    pub(super) fn size(&self) -> Result<(u16, u16)> {
        let size = self.terminal.size()?;
        Ok((size.width, size.height))
    }

    /// Draws the state.
    ///
    /// # Errors
    /// If the terminal no longer exists.
    pub(super) fn draw(&mut self, state: &State) -> Result<()> {
        self.terminal.backend_mut().write_all(BEGIN)?;
        self.terminal.draw(|frame| draw(frame, state, self.theme))?;
        self.terminal.backend_mut().write_all(END)?;
        Ok(Write::flush(self.terminal.backend_mut())?)
    }

    /// Asks the terminal to copy a text (xterm control sequence OSC 52).
    ///
    /// # Errors
    /// If the terminal no longer exists.
    pub(super) fn copy(&mut self, text: &str) -> Result<()> {
        let mut out = io::stdout();
        write!(out, "\x1b]52;c;{}\x07", BASE64_STANDARD.encode(text))?;
        Ok(out.flush()?)
    }

    /// Returns the next event of the terminal, or nothing if the terminal no longer exists.
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

/// Restores the terminal, once. Errors are ignored: the terminal may no longer exist.
fn give_back() {
    if !IS_TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout();
    let _ = out.write_all(NO_MOUSE);
    let _ = execute!(out, DisableBracketedPaste, Show, LeaveAlternateScreen);
    let _ = terminal::disable_raw_mode();
}

/// Restores the terminal before a panic message is printed, so that the message stays visible.
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

/// Suspends this program, as a shell does, until it is continued.
pub(super) fn stop_here() {
    let _ = kill_process(getpid(), Signal::STOP);
}
