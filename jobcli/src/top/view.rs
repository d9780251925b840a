//! The main loop: input, results of reading and of actions, and signals.

use std::process::ExitCode;
use std::time::Duration;

use jobcore::clock::Timestamp;
use jobcore::front::Settings;
use jobcore::front::caller::project_of;
use jobcore::front::settings::current_dir;
use jobcore::{JobId, JobManager};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::act::act;
use super::messages::{Effect, Event, Reading, Wanted, Which};
use super::state::State;
use super::terminal::{GO_ON, STOP, Screen, stop_here};
use super::{output, pager, reader};
use crate::cli::{Attach, Top};
use crate::commands::select::query;
use crate::commands::{Result, attach};

/// How long results are collected before they are drawn. Input is answered at once.
const BETWEEN_PICTURES: Duration = Duration::from_millis(50);

/// Shows the full-screen view until the user quits.
///
/// # Errors
/// If there is no terminal, or it no longer exists.
pub(crate) async fn run(jobs: &JobManager, settings: &Settings, arguments: Top) -> Result {
    let base = query(&arguments.selection, settings)?;
    let project = project_of(&current_dir()?);
    // Before the terminal is taken, so that no signal leaves it changed.
    let signals = Signals::catch()?;
    let screen = Screen::enter()?;
    let state = State::new(base, project, screen.size()?, Timestamp::now());
    let (events, coming) = unbounded_channel();
    let (wants, wanted) = watch::channel(state.wanted());
    let reading = reader::read(jobs.clone().with_inline_work(), wanted, events.clone());
    let runtime = tokio::runtime::Handle::current();
    // On its own thread, so that keys are answered at once however much there is to read.
    tokio::task::spawn_blocking(move || runtime.block_on(reading));
    let (follower, reading) = (None, None);
    let view = View { jobs, settings, screen, state, signals, events, coming, wants, follower, reading };
    view.run().await
}

/// The signals that ask a program to end.
struct Ends([Signal; 4]);

/// The signals that matter to a program with a terminal.
struct Signals {
    ends: Ends,
    stop: Signal,
    goes_on: Signal,
}

impl Signals {
    fn catch() -> Result<Self> {
        let caught = |number| signal(SignalKind::from_raw(number));
        let ends = [
            signal(SignalKind::hangup())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::quit())?,
            signal(SignalKind::terminate())?,
        ];
        Ok(Self { ends: Ends(ends), stop: caught(STOP)?, goes_on: caught(GO_ON)? })
    }
}

impl Ends {
    /// Waits for one of them.
    async fn recv(&mut self) {
        let [hangup, interrupt, quit, terminate] = &mut self.0;
        tokio::select! {
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

struct View<'a> {
    jobs: &'a JobManager,
    settings: &'a Settings,
    screen: Screen,
    state: State,
    signals: Signals,
    events: UnboundedSender<Event>,
    coming: UnboundedReceiver<Event>,
    wants: watch::Sender<Wanted>,
    /// The task that follows the shown output, and the one that reads other parts of it.
    follower: Option<JoinHandle<()>>,
    reading: Option<JoinHandle<()>>,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    Leave,
}

impl View<'_> {
    async fn run(mut self) -> Result {
        let mut drawn_at = Instant::now();
        self.screen.draw(&self.state)?;
        let mut draw_at: Option<Instant> = None;
        loop {
            let event = tokio::select! {
                biased;
                () = self.signals.ends.recv() => return Ok(ExitCode::SUCCESS),
                _ = self.signals.stop.recv() => {
                    self.suspend();
                    continue;
                }
                _ = self.signals.goes_on.recv() => {
                    // The program may have been stopped by a signal that cannot be caught.
                    self.screen.give();
                    self.come_back(Ok(()))?;
                    draw_at = Some(Instant::now());
                    continue;
                }
                () = until(draw_at), if self.screen.is_taken() => {
                    self.state.update(Event::Now(Timestamp::now()));
                    self.screen.draw(&self.state)?;
                    (drawn_at, draw_at) = (Instant::now(), None);
                    continue;
                }
                typed = self.screen.next() => match typed {
                    Some(typed) => match event(typed?) {
                        Some(event) => {
                            draw_at = Some(Instant::now());
                            event
                        }
                        None => continue,
                    },
                    // The terminal no longer exists.
                    None => return Ok(ExitCode::SUCCESS),
                },
                Some(event) = self.coming.recv() => {
                    draw_at.get_or_insert(drawn_at + BETWEEN_PICTURES);
                    event
                }
            };
            for effect in self.state.update(event) {
                if self.carry_out(effect).await? == Next::Leave {
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
    }

    async fn carry_out(&mut self, effect: Effect) -> Result<Next> {
        match effect {
            Effect::Want => {
                let wanted = self.state.wanted();
                self.wants.send_replace(wanted);
            }
            Effect::Read(id, which, reading) => self.read(id, which, reading),
            Effect::ReadNothing => self.stop_reading(),
            Effect::Act(action, ids) => {
                let (jobs, settings, events) = (self.jobs.clone(), self.settings.clone(), self.events.clone());
                tokio::spawn(async move {
                    let _ = events.send(Event::Done(act(&jobs, &settings, &action, &ids).await));
                });
            }
            Effect::Attach(id) => {
                self.screen.give();
                let came = attach::run(self.jobs, &Attach { id: id.to_string() }).await;
                self.come_back(came.map(drop))?;
            }
            Effect::Page(id, which) => {
                self.screen.give();
                let came = pager::show(self.jobs, id, which).await;
                self.come_back(came)?;
            }
            Effect::Copy(text) => self.screen.copy(&text)?,
            Effect::Suspend => self.suspend(),
            Effect::Redraw => self.screen.redraw()?,
            Effect::Quit => return Ok(Next::Leave),
        }
        Ok(Next::GoOn)
    }

    fn read(&mut self, id: JobId, which: Which, reading: Reading) {
        let follows = matches!(reading, Reading::Follow);
        let read = tokio::spawn(output::read(self.jobs.clone(), id, which, reading, self.events.clone()));
        if follows {
            self.stop_reading();
            self.follower = Some(read);
        } else if let Some(before) = self.reading.replace(read) {
            before.abort();
        }
    }

    fn stop_reading(&mut self) {
        for reading in [self.follower.take(), self.reading.take()].into_iter().flatten() {
            reading.abort();
        }
    }

    /// Takes the terminal back from another program.
    fn come_back(&mut self, came: Result<()>) -> Result<()> {
        self.screen.take()?;
        // Its size may have changed meanwhile.
        let (columns, rows) = self.screen.size()?;
        let _ = self.events.send(Event::Resize(columns, rows));
        if let Err(failure) = came {
            self.state.complain(failure.to_string());
        }
        Ok(())
    }

    /// Suspends this program. A signal continues it.
    fn suspend(&mut self) {
        self.screen.give();
        stop_here();
    }
}

/// Converts an event of the terminal, if it matters here.
fn event(event: crossterm::event::Event) -> Option<Event> {
    use crossterm::event::Event as Typed;
    match event {
        Typed::Key(key) => Some(Event::Key(key)),
        Typed::Mouse(mouse) => Some(Event::Mouse(mouse)),
        Typed::Paste(text) => Some(Event::Paste(text)),
        Typed::Resize(columns, rows) => Some(Event::Resize(columns, rows)),
        Typed::FocusGained | Typed::FocusLost => None,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
