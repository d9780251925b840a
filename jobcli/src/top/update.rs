//! How events change the state, and which effects they ask for.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use jobcore::output::Pattern;
use jobcore::words::counted;
use jobcore::{JobId, Status};

use super::keys::{Command, command};
use super::line::Line;
use super::messages::{Action, Arrangement, Effect, Entry, Event, Reading, Towards};
use super::pane::Pane;
use super::row::Row;
use super::state::{For, Mode, State};

/// How many rows one step of the mouse wheel scrolls.
const WHEEL: isize = 3;
/// How many columns the output is scrolled sideways.
const SIDEWAYS: usize = 16;

impl State {
    /// Applies an event, and returns the effects to carry out.
    pub(super) fn update(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        let before = self.wanted();
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.key(key, &mut effects),
            Event::Key(_) => {}
            Event::Mouse(mouse) => self.mouse(mouse, &mut effects),
            Event::Paste(text) => {
                // In other modes the text would act as keys.
                if let Mode::Type(line, _) = &mut self.mode {
                    line.insert(&text);
                    self.typed();
                }
            }
            Event::Resize(columns, rows) => (self.columns, self.rows) = (columns, rows),
            Event::Listed { entries, more } => self.list(entries, more),
            Event::Rows(rows) => self.details.extend(rows),
            Event::Header(header) => self.header = header,
            Event::Output(id, read) => {
                if self.pane.job == Some(id) {
                    let reading = self.pane.take(read);
                    self.read(reading, &mut effects);
                }
            }
            Event::Done(Ok(said)) => self.say(said),
            Event::Done(Err(error)) => self.complain(error),
            Event::Now(now) => self.now = now,
        }
        self.fit();
        self.look_at_current(&mut effects);
        let wanted = self.wanted();
        if wanted != before {
            self.details.retain(|id, _| wanted.visible.contains(id) || self.marks.contains(id));
            effects.push(Effect::Want);
        }
        effects
    }

    /// Takes a new list of jobs. The selected job stays selected, wherever it is now.
    fn list(&mut self, entries: Arc<Vec<Entry>>, more: bool) {
        let (current, before) = (self.current(), self.selected);
        let place = current.and_then(|id| entries.iter().position(|entry| entry.job() == Some(id)));
        (self.entries, self.more, self.is_listed) = (entries, more, true);
        // At the top, the list stays there, so that new jobs are visible.
        let is_at_top =
            before == 0 || (before == 1 && self.first == 0 && matches!(self.entries.first(), Some(Entry::Group(_))));
        self.selected = match place {
            Some(place) => {
                self.first = (self.first + place).saturating_sub(before);
                place
            }
            None => before.min(self.entries.len().saturating_sub(1)),
        };
        if is_at_top
            && place.is_some()
            && self.marks.is_empty()
            && self.selected < usize::from(self.areas().list.height)
        {
            self.first = 0;
        }
        if self.to_last {
            self.selected = self.entries.len().saturating_sub(1);
            self.to_last = self.more;
        }
        self.skip_groups(true);
    }

    /// Moves the selection from a group title to a job.
    fn skip_groups(&mut self, down: bool) {
        let is_job = |entry: &Entry| entry.job().is_some();
        if self.entries.get(self.selected).is_none_or(is_job) {
            return;
        }
        let after = self.entries.iter().skip(self.selected).position(is_job).map(|step| self.selected + step);
        let before = self.entries[..self.selected].iter().rposition(is_job);
        let nearest = if down { after.or(before) } else { before.or(after) };
        self.selected = nearest.unwrap_or(self.selected);
    }

    /// Shows the output of the selected job if the selection has changed.
    fn look_at_current(&mut self, effects: &mut Vec<Effect>) {
        let current = self.current().filter(|_| !self.areas().pane.is_empty());
        if self.pane.job == current {
            return;
        }
        self.pane = Pane::of(current, &self.pane);
        match current {
            Some(id) => effects.push(Effect::Read(id, self.pane.which, Reading::Follow)),
            None => effects.push(Effect::ReadNothing),
        }
    }

    fn read(&mut self, reading: Option<Reading>, effects: &mut Vec<Effect>) {
        if let (Some(reading), Some(id)) = (reading, self.pane.job) {
            effects.push(Effect::Read(id, self.pane.which, reading));
        }
    }

    fn key(&mut self, key: KeyEvent, effects: &mut Vec<Effect>) {
        let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers == KeyModifiers::CONTROL;
        self.notice = None;
        match &mut self.mode {
            Mode::Browse => {
                if let Some(command) = command(key) {
                    self.command(command, effects);
                }
            }
            Mode::Help(first) => match command(key) {
                Some(Command::Up) => *first = first.saturating_sub(1),
                Some(Command::Down) => *first = first.saturating_add(1),
                Some(Command::PageUp) => *first = first.saturating_sub(self.rows),
                Some(Command::PageDown) => *first = first.saturating_add(self.rows),
                _ => self.mode = Mode::Browse,
            },
            Mode::Confirm(..) => {
                let Mode::Confirm(action, ids) = std::mem::take(&mut self.mode) else { return };
                match key.code {
                    KeyCode::Char('y' | 'Y') => self.act(action, ids, effects),
                    _ => self.say("cancelled"),
                }
            }
            Mode::Type(..) if key.code == KeyCode::Esc || is_interrupt => {
                if let Mode::Type(_, For::Filter(before)) = std::mem::take(&mut self.mode) {
                    self.set_filter(before);
                }
            }
            Mode::Type(..) if key.code == KeyCode::Enter => {
                if let Mode::Type(line, purpose) = std::mem::take(&mut self.mode) {
                    self.enter(&line.text(), purpose, effects);
                }
            }
            Mode::Type(line, _) => {
                if line.key(key) {
                    self.typed();
                } else if matches!(command(key), Some(Command::Up | Command::Down))
                    && !matches!(key.code, KeyCode::Char(_))
                {
                    let down = command(key) == Some(Command::Down);
                    self.step(if down { 1 } else { -1 });
                }
            }
        }
    }

    /// Applies the typed line at once, if it is a filter.
    fn typed(&mut self) {
        if let Mode::Type(line, For::Filter(_)) = &self.mode {
            let text = line.text();
            self.set_filter(text);
        }
    }

    fn set_filter(&mut self, text: String) {
        match self.filter_of(&text) {
            Ok(filter) => self.filter = filter,
            // The last valid filter stays.
            Err(error) => self.complain(error),
        }
        (self.filter_text, self.to_last) = (text, false);
    }

    /// Handles a line that was entered.
    fn enter(&mut self, text: &str, purpose: For, effects: &mut Vec<Effect>) {
        match purpose {
            For::Filter(_) => {}
            For::Search if text.is_empty() => self.pane.pattern = None,
            For::Search => {
                // As in less: case matters only if the pattern has capitals.
                let ignores_case = !text.chars().any(char::is_uppercase);
                let pattern = if ignores_case { format!("(?i){text}") } else { text.to_owned() };
                match pattern.parse::<Pattern>() {
                    Ok(pattern) => {
                        self.pane.pattern = Some(pattern);
                        let reading = self.pane.find(true);
                        self.read(reading, effects);
                    }
                    Err(error) => self.complain(error.to_string()),
                }
            }
            For::Signal(ids) => match text.trim().parse() {
                Ok(signal) => self.act(Action::Signal(signal), ids, effects),
                Err(error) => self.complain(format!("{error}")),
            },
            For::Input(ids) => self.act(Action::Send(text.to_owned()), ids, effects),
        }
    }

    /// Requests an action on jobs.
    fn act(&mut self, action: Action, ids: Vec<JobId>, effects: &mut Vec<Effect>) {
        if ids.is_empty() {
            return self.complain("no job is selected");
        }
        if action == Action::Stop {
            // Stopping may take a while.
            self.say(format!("stopping {}", self.named(&ids)));
        }
        self.marks.clear();
        effects.push(Effect::Act(action, ids));
    }

    /// Asks for confirmation of an action that cannot be undone.
    fn ask(&mut self, action: Action) {
        match self.meant() {
            ids if ids.is_empty() => self.complain("no job is selected"),
            ids => self.mode = Mode::Confirm(action, ids),
        }
    }

    /// Describes jobs: a single one by its label, several by their number.
    pub(super) fn named(&self, ids: &[JobId]) -> String {
        match ids {
            [id] => self.label(*id),
            ids => counted(u64::try_from(ids.len()).unwrap_or(u64::MAX), "job", "jobs"),
        }
    }

    fn command(&mut self, command: Command, effects: &mut Vec<Effect>) {
        let meant = self.meant();
        match command {
            Command::Quit => effects.push(Effect::Quit),
            Command::Suspend => effects.push(Effect::Suspend),
            Command::Redraw => effects.push(Effect::Redraw),
            Command::Help => self.mode = Mode::Help(0),
            Command::Up => self.go(-1, effects),
            Command::Down => self.go(1, effects),
            Command::PageUp => self.go(-self.page(), effects),
            Command::PageDown => self.go(self.page(), effects),
            Command::First if self.is_in_pane => {
                let reading = self.pane.first();
                self.read(reading, effects);
            }
            Command::First => {
                (self.selected, self.first, self.to_last) = (0, 0, false);
                self.skip_groups(true);
            }
            Command::Last if self.is_in_pane => self.follow(effects),
            Command::Last => {
                (self.selected, self.to_last) = (self.entries.len().saturating_sub(1), self.more);
                self.skip_groups(false);
            }
            Command::Left => self.pane.left = self.pane.left.saturating_sub(SIDEWAYS),
            Command::Right if !self.pane.wraps => self.pane.left = self.pane.left.saturating_add(SIDEWAYS),
            Command::Right => {}
            Command::Focus => {
                self.has_pane = true;
                self.is_in_pane = !self.is_in_pane && !self.areas().pane.is_empty();
            }
            Command::ShowOutput => {
                self.has_pane = !self.has_pane;
                self.is_in_pane &= self.has_pane;
            }
            Command::Filter if self.is_in_pane => self.mode = Mode::Type(Line::default(), For::Search),
            Command::Filter => {
                self.mode = Mode::Type(Line::of(&self.filter_text), For::Filter(self.filter_text.clone()));
            }
            Command::FindNext | Command::FindBefore => match self.pane.find(command == Command::FindBefore) {
                None => self.complain("there is nothing to search for; `Tab` and `/` search the output"),
                reading => self.read(reading, effects),
            },
            Command::Order => {
                self.arrangement = match self.arrangement {
                    Arrangement::RunningFirst => Arrangement::Newest,
                    Arrangement::Newest | Arrangement::Tree => Arrangement::RunningFirst,
                }
            }
            Command::Tree => {
                self.arrangement = match self.arrangement {
                    Arrangement::Tree => Arrangement::RunningFirst,
                    Arrangement::RunningFirst | Arrangement::Newest => Arrangement::Tree,
                }
            }
            Command::Project => {
                self.is_of_project = !self.is_of_project;
                self.set_filter(self.filter_text.clone());
            }
            Command::Mark => {
                if let Some(id) = self.current() {
                    if !self.marks.remove(&id) {
                        self.marks.insert(id);
                    }
                    self.step(1);
                }
            }
            Command::MarkAll => {
                let is_meant = |row: &Row| matches!(row, Row::Job(row) if !row.shape.status.is_final());
                let entries = self.entries.iter().filter_map(Entry::job);
                let shown = entries.filter(|id| self.details.get(id).is_some_and(is_meant));
                self.marks = shown.collect();
            }
            Command::Back => {
                if !self.marks.is_empty() {
                    self.marks.clear();
                } else if self.is_in_pane {
                    self.is_in_pane = false;
                } else {
                    self.set_filter(String::new());
                }
            }
            Command::Stop => self.ask(Action::Stop),
            Command::Remove => self.ask(Action::Remove),
            Command::Signal => self.mode = Mode::Type(Line::of("TERM"), For::Signal(meant)),
            Command::Send => self.mode = Mode::Type(Line::default(), For::Input(meant)),
            Command::Rerun => self.act(Action::Rerun, meant, effects),
            Command::Pause => self.act(Action::Pause, meant, effects),
            Command::Hold => self.act(Action::Hold, meant, effects),
            Command::Higher => self.act_again(Action::Priority(1), meant, effects),
            Command::Lower => self.act_again(Action::Priority(-1), meant, effects),
            Command::Earlier => self.act_again(Action::Move(Towards::Earlier), meant, effects),
            Command::Later => self.act_again(Action::Move(Towards::Later), meant, effects),
            Command::Attach => effects.extend(self.current().map(Effect::Attach)),
            Command::Page => effects.extend(self.current().map(|id| Effect::Page(id, self.pane.which))),
            Command::Copy => {
                if let Some(id) = self.current() {
                    effects.push(Effect::Copy(id.to_string()));
                    self.say(format!("copied {id}"));
                }
            }
            Command::Wrap => {
                (self.pane.wraps, self.pane.left) = (!self.pane.wraps, 0);
                let reading = self.pane.scroll(0);
                self.read(reading, effects);
            }
            Command::Follow => self.follow(effects),
            Command::Stream => {
                let is_agent = self.current_row().is_some_and(|row| row.is_agent);
                self.pane.switch(is_agent);
                self.read(Some(Reading::Follow), effects);
            }
        }
    }

    /// Requests an action that is often repeated, so the marks are kept.
    fn act_again(&mut self, action: Action, ids: Vec<JobId>, effects: &mut Vec<Effect>) {
        let marks = self.marks.clone();
        self.act(action, ids, effects);
        self.marks = marks;
    }

    fn follow(&mut self, effects: &mut Vec<Effect>) {
        if self.pane.job.is_some() {
            let reading = self.pane.follow();
            self.read(reading, effects);
        }
    }

    fn page(&self) -> isize {
        let areas = self.areas();
        let area = if self.is_in_pane { areas.pane } else { areas.list };
        isize::try_from(area.height.saturating_sub(1).max(1)).unwrap_or(1)
    }

    fn go(&mut self, rows: isize, effects: &mut Vec<Effect>) {
        match self.is_in_pane {
            true => {
                let reading = self.pane.scroll(rows);
                self.read(reading, effects);
            }
            false => self.step(rows),
        }
    }

    /// Moves the selection by some rows.
    fn step(&mut self, rows: isize) {
        self.to_last = false;
        self.selected = self.selected.saturating_add_signed(rows).min(self.entries.len().saturating_sub(1));
        self.skip_groups(rows > 0);
    }

    fn mouse(&mut self, mouse: MouseEvent, effects: &mut Vec<Effect>) {
        let areas = self.areas();
        let at = ratatui::layout::Position::new(mouse.column, mouse.row);
        match (mouse.kind, &self.mode) {
            (MouseEventKind::ScrollUp | MouseEventKind::ScrollDown, Mode::Browse | Mode::Type(..)) => {
                let rows = if mouse.kind == MouseEventKind::ScrollUp { -WHEEL } else { WHEEL };
                match areas.pane.contains(at) || areas.pane_title.contains(at) {
                    true => {
                        let reading = self.pane.scroll(rows);
                        self.read(reading, effects);
                    }
                    false => self.step(rows),
                }
            }
            (MouseEventKind::Down(MouseButton::Left), Mode::Browse) if areas.list.contains(at) => {
                let place = self.first + usize::from(mouse.row - areas.list.y);
                self.is_in_pane = false;
                if self.entries.get(place).and_then(Entry::job).is_some() {
                    (self.selected, self.to_last) = (place, false);
                }
            }
            (MouseEventKind::Down(MouseButton::Left), Mode::Browse) if areas.pane.contains(at) => {
                self.is_in_pane = true;
            }
            _ => {}
        }
    }

    /// Returns whether a command applies to the selected job. Keys of other commands are not shown at the bottom.
    pub(super) fn is_for_current(&self, command: Command) -> bool {
        let status = self.current_row().map(|row| row.shape.status);
        let runs = matches!(status, Some(Status::Running | Status::Paused));
        let is_queued = status == Some(Status::Queued);
        match command {
            Command::Stop => !self.marks.is_empty() || runs || is_queued,
            Command::Signal | Command::Pause => runs,
            Command::Send => runs && self.current_row().is_some_and(|row| row.shape.input.is_some()),
            Command::Attach => {
                runs && self.current_row().is_some_and(|row| row.shape.input == Some(jobcore::shape::Input::Terminal))
            }
            Command::Hold | Command::Higher | Command::Lower | Command::Earlier | Command::Later => is_queued,
            Command::Rerun | Command::Remove => status.is_some_and(Status::is_final),
            _ => true,
        }
    }
}
