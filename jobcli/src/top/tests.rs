//! Screens of scripted jobs at several sizes, and a check that no sequence of events breaks the view.

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use jobcore::clock::Clock;
use jobcore::escape::is_obeyed;
use jobcore::output::Stream;
use jobcore::shape::WaitingForInput;
use jobcore::testing::{FakeRunner, ManualClock, Script, SeededRandom};
use jobcore::{Job, JobId, JobManager, JobSpec, JobSpecBuilder, MemoryStore, Query};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::draw::draw;
use super::messages::{Effect, Entry, Event, Part, Read, Reading, Wanted, Which};
use super::output::{self, Block, OutputLine};
use super::reader;
use super::row::{JobRow, Row};
use super::state::{Mode, State};
use super::theme::Theme;

/// A name, command and output meant to fool a terminal: control sequences, a reversed text direction, wide characters.
const HOSTILE: &str = "echo '\x1b]0;title\x07\x1b[2J\u{202e}gnp.exe\u{9b}31m' 日本語👩‍👩‍👧 \t\r\n rm -rf";
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("timed out") })
}

/// A store in which nothing happens by itself, on a clock that does not advance.
struct Bench {
    clock: ManualClock,
    jobs: JobManager,
}

impl Bench {
    fn new() -> Self {
        let clock = ManualClock::new();
        let runner = FakeRunner::new(&clock).otherwise(|spec| {
            let line = spec.command.line().into_owned();
            match line.as_str() {
                "npm run dev" => {
                    let requests: String = (0..2000).map(|number| format!("GET /{number} 200\n")).collect();
                    Script::new()
                        .stdout("listening on :3000\n")
                        .stderr("warning: old browser\n")
                        .stdout(requests)
                        .stays()
                }
                "cargo test" => {
                    Script::new().stdout("test a ... ok\ntest b ... FAILED\n").takes(Duration::from_secs(90)).exits(101)
                }
                line if line.starts_with("sleep") => Script::new().stays(),
                line => Script::new().stdout(format!("{line}\n")).stdout("x".repeat(200)),
            }
        });
        let jobs = JobManager::new(Arc::new(MemoryStore::new()), Arc::new(runner)).unwrap();
        let jobs = jobs.with_clock(Arc::new(clock.clone())).with_random(Arc::new(SeededRandom::new(7)));
        Self { clock, jobs: jobs.with_inline_work() }
    }

    async fn submit(&self, spec: JobSpecBuilder) -> Job {
        self.clock.advance(Duration::from_secs(1));
        self.jobs.submit(spec.cwd("/").env("PATH", "/usr/bin:/bin").build().unwrap()).await.unwrap()
    }

    fn named(line: &str, name: &str) -> JobSpecBuilder {
        JobSpec::shell(line).name(name.parse().unwrap())
    }

    /// Submits a job of each kind, and returns when each has its intended status.
    async fn fill(&self) {
        self.jobs.limit_group(&"gpu".parse().unwrap(), 1).await.unwrap();
        let tests = self.submit(Self::named("cargo test", "tests")).await;
        self.clock.advance(Duration::from_secs(90));
        self.jobs.wait_for(tests.id).await.unwrap();
        let web = self.submit(Self::named("npm run dev", "web").label("kind", "server")).await;
        self.jobs.more_output(web.id, jobcore::output::Cursor(26_900)).await.unwrap();
        let hostile = self.submit(JobSpec::shell(HOSTILE)).await;
        self.jobs.wait_for(hostile.id).await.unwrap();
        let gpu = |name| Self::named("sleep 1000", name).group("gpu".parse().unwrap());
        let first = self.submit(gpu("train")).await;
        self.submit(gpu("evaluate").after(first.id, jobcore::queue::AfterWhen::Ok)).await;
        self.submit(gpu("another-run-with-quite-a-long-name-here")).await;
        self.submit(Self::named("sleep 7", "ask")).await;
        self.clock.advance(Duration::from_secs(65));
    }
}

/// A running job with a name and a label, for tests that need only a job.
pub(super) fn job(name: &str, line: &str) -> Job {
    block_on(async {
        let bench = Bench::new();
        let job = bench.submit(Bench::named(line, name).label("kind", "server")).await;
        let id = job.id;
        bench.jobs.job(id).await.unwrap()
    })
}

/// The view with its readers, but without a terminal.
struct Shown {
    bench: Bench,
    state: State,
    events: UnboundedSender<Event>,
    coming: UnboundedReceiver<Event>,
    wants: watch::Sender<Wanted>,
    follower: Option<JoinHandle<()>>,
    asked: Vec<Effect>,
}

impl Shown {
    async fn new(columns: u16, rows: u16) -> Self {
        let bench = Bench::new();
        bench.fill().await;
        let state = State::new(Query::default(), "/src/shop".into(), (columns, rows), bench.clock.now());
        let (events, coming) = unbounded_channel();
        let (wants, wanted) = watch::channel(state.wanted());
        tokio::spawn(reader::read(bench.jobs.clone(), wanted, events.clone()));
        let mut shown = Self { bench, state, events, coming, wants, follower: None, asked: Vec::new() };
        shown.until(|state| state.entries.len() == 7 && state.details.len() == 7).await;
        shown.until(|state| !state.header.counts.is_empty() && state.pane.job == state.current()).await;
        shown
    }

    fn update(&mut self, event: Event) {
        for effect in self.state.update(steady(event)) {
            match effect {
                Effect::Want => drop(self.wants.send_replace(self.state.wanted())),
                Effect::Read(id, which, reading) => {
                    let follows = matches!(reading, Reading::Follow);
                    let read =
                        tokio::spawn(output::read(self.bench.jobs.clone(), id, which, reading, self.events.clone()));
                    if let Some(before) = self.follower.take_if(|_| follows) {
                        before.abort();
                    }
                    if follows {
                        self.follower = Some(read);
                    }
                }
                other => self.asked.push(other),
            }
        }
    }

    /// Waits until the state meets a condition.
    async fn until(&mut self, is_so: impl Fn(&State) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE / 2;
        while !is_so(&self.state) {
            let event = tokio::time::timeout_at(deadline, self.coming.recv()).await;
            self.update(event.unwrap_or_else(|_| panic!("{}", self.text())).unwrap());
        }
    }

    fn press(&mut self, keys: &str) {
        for c in keys.chars() {
            let code = match c {
                '\n' => KeyCode::Enter,
                '\t' => KeyCode::Tab,
                '\x1b' => KeyCode::Esc,
                c => KeyCode::Char(c),
            };
            self.update(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
        }
    }

    fn terminal(&self, theme: Theme) -> Terminal<TestBackend> {
        let mut terminal = Terminal::new(TestBackend::new(self.state.columns, self.state.rows)).unwrap();
        terminal.draw(|frame| draw(frame, &self.state, theme)).unwrap();
        terminal
    }

    /// Returns the text on the screen.
    fn text(&self) -> String {
        let terminal = self.terminal(Theme { has_colours: true });
        let buffer = terminal.backend().buffer();
        let mut text = String::new();
        for y in 0..buffer.area.height {
            let mut line = String::new();
            let mut x = 0;
            while x < buffer.area.width {
                let symbol = buffer[(x, y)].symbol();
                line.push_str(symbol);
                x += u16::try_from(jobcore::front::text::width(symbol)).unwrap().clamp(1, 2);
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Removes from an event what differs between machines.
fn steady(event: Event) -> Event {
    match event {
        Event::Rows(rows) => {
            let steady = |row: JobRow| {
                let runs = row.moves();
                let mut shape = row.shape;
                if shape.name.as_ref().is_some_and(|name| name.as_str() == "ask") {
                    let mut waiting: WaitingForInput = serde_json::from_str("{}").unwrap();
                    waiting.last_line = Some("Overwrite? [y/N]".to_owned());
                    shape.waiting_for_input = Some(waiting);
                }
                let (cpu, memory) = (runs.then_some(7), runs.then_some(12 << 20));
                JobRow { when: "14:03".to_owned(), cpu, memory, shape, ..row }
            };
            let steady = |row| match row {
                Row::Job(row) => Row::Job(Box::new(steady(*row))),
                damaged => damaged,
            };
            Event::Rows(rows.into_iter().map(|(id, row)| (id, steady(row))).collect())
        }
        Event::Header(header) => Event::Header(super::header::Header { load: Some(0.52), ..header }),
        other => other,
    }
}

fn snapshot(columns: u16, rows: u16) -> String {
    block_on(async {
        let mut shown = Shown::new(columns, rows).await;
        shown.press("jj");
        shown.until(|state| state.pane.job == state.current() && !state.pane.is_empty()).await;
        shown.text()
    })
}

#[test]
fn a_small_screen() {
    insta::assert_snapshot!(snapshot(80, 24));
}

#[test]
fn a_usual_screen() {
    insta::assert_snapshot!(snapshot(120, 40));
}

#[test]
fn a_large_screen() {
    insta::assert_snapshot!(snapshot(300, 80));
}

#[test]
fn jobs_as_a_tree_with_marks_and_a_question() {
    let text = block_on(async {
        let mut shown = Shown::new(100, 30).await;
        shown.press("t");
        shown.until(|state| state.entries.len() == 9).await;
        shown.press("g  x");
        shown.text()
    });
    insta::assert_snapshot!(text);
}

#[test]
fn all_keys_are_explained() {
    let text = block_on(async {
        let mut shown = Shown::new(100, 45).await;
        shown.press("?");
        shown.text()
    });
    insta::assert_snapshot!(text);
}

/// Whatever a job's name, command and output are.
#[test]
fn the_screen_has_no_control_characters_and_no_unwanted_colours() {
    block_on(async {
        let mut shown = Shown::new(200, 50).await;
        shown.press("G");
        let is_hostile =
            |state: &State| state.current_row().is_some_and(|row| row.shape.command_line().contains("gnp"));
        for _ in 0..8 {
            if is_hostile(&shown.state) {
                break;
            }
            shown.press("k");
        }
        shown.until(|state| is_hostile(state) && !state.pane.is_empty()).await;
        assert!(shown.text().contains("日本語"), "{}", shown.text());
        for keys in ["", "?", "\x1bx", "n/\u{202e}", "\x1b\t/\u{9b}"] {
            shown.press(keys);
            let terminal = shown.terminal(Theme { has_colours: false });
            for cell in terminal.backend().buffer().content() {
                assert!(!cell.symbol().chars().any(is_obeyed), "{:?}", cell.symbol());
                assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset));
            }
        }
    });
}

#[test]
fn typing_filters_at_once_and_escape_restores_the_filter() {
    block_on(async {
        let mut shown = Shown::new(120, 40).await;
        shown.press("/status:q");
        shown.until(|state| state.entries.len() == 2).await;
        shown.press(" another");
        shown.until(|state| state.entries.len() == 1).await;
        shown.press("\x1b");
        shown.until(|state| state.entries.len() == 7).await;
        shown.press("/group:gpu\n");
        shown.until(|state| state.entries.len() == 3).await;
        shown.press("/ status:nonsense");
        assert!(shown.state.notice.as_ref().is_some_and(|notice| notice.is_error), "{}", shown.text());
        assert_eq!(shown.state.entries.len(), 3, "the last valid filter stays");
    });
}

#[test]
fn irreversible_actions_ask_for_confirmation() {
    block_on(async {
        let mut shown = Shown::new(120, 40).await;
        let is_act = |shown: &Shown| shown.asked.iter().any(|effect| matches!(effect, Effect::Act(..)));
        for keys in ["x", "d"] {
            for no in ["n", "q", "\x1b", "\n"] {
                shown.press(keys);
                assert!(matches!(shown.state.mode, Mode::Confirm(..)));
                shown.press(no);
                assert!(!is_act(&shown) && shown.state.mode == Mode::Browse, "{no}");
            }
        }
        shown.press("  x");
        assert!(shown.text().contains("Stop 2 jobs? (y/n)"), "{}", shown.text());
        // Pasted text is not an answer.
        shown.update(Event::Paste("y".to_owned()));
        assert!(!is_act(&shown));
        shown.press("y");
        assert!(is_act(&shown) && shown.state.marks.is_empty());
    });
}

#[test]
fn a_selected_job_stays_selected_when_it_ends() {
    block_on(async {
        let mut shown = Shown::new(120, 40).await;
        shown.press("j");
        let id = shown.state.current().unwrap();
        shown.bench.jobs.stop(id, &jobcore::stop::StopOptions::default()).await.unwrap();
        shown.until(|state| state.row(id).is_some_and(|row| row.shape.status.is_final())).await;
        shown
            .until(|state| {
                state.entries.iter().position(|entry| entry.job() == Some(id)).is_some_and(|place| place > 3)
            })
            .await;
        assert_eq!(shown.state.current(), Some(id), "{}", shown.text());
        assert!(shown.text().contains(" killed"), "{}", shown.text());
    });
}

#[test]
fn the_output_is_scrolled_and_searched() {
    block_on(async {
        let mut shown = Shown::new(120, 40).await;
        for _ in 0..7 {
            if shown.state.current_row().is_some_and(|row| row.label.starts_with("web")) {
                break;
            }
            shown.press("j");
        }
        shown.until(|state| !state.pane.is_empty()).await;
        shown.press("\tk");
        assert!(shown.text().contains("GET /1998 200") && !shown.text().contains("GET /1999 200"), "{}", shown.text());
        shown.press("g");
        shown.until(|state| state.pane.rows().first().is_some_and(|row| row.text.starts_with("listening"))).await;
        shown.press("/get /77 \n");
        shown.until(|state| state.pane.error.is_some()).await;
        shown.press("n");
        shown
            .until(|state| state.pane.rows().first().is_some_and(|row| row.text == "GET /77 200" && row.is_found))
            .await;
        shown.press("S");
        shown.press("S");
        shown.until(|state| state.pane.rows().iter().map(|row| row.text).eq(["warning: old browser"])).await;
    });
}

/// Any event that may arrive at any time.
fn any_event(ids: Vec<JobId>) -> impl Strategy<Value = Event> {
    let code = prop_oneof![
        8 => proptest::sample::select("qkjgG/xdrsaipvtPoyh+-<>fwSnN?*y \u{202e}日9".chars().collect::<Vec<_>>()).prop_map(KeyCode::Char),
        4 => proptest::sample::select(vec![
            KeyCode::Enter, KeyCode::Tab, KeyCode::Esc, KeyCode::Up, KeyCode::Down, KeyCode::PageUp, KeyCode::PageDown,
            KeyCode::Home, KeyCode::End, KeyCode::Left, KeyCode::Right, KeyCode::Backspace, KeyCode::Delete, KeyCode::F(1),
        ]),
        1 => any::<char>().prop_map(KeyCode::Char),
    ];
    let modifiers =
        prop_oneof![8 => Just(KeyModifiers::NONE), 1 => Just(KeyModifiers::CONTROL), 1 => Just(KeyModifiers::ALT)];
    let key = (code, modifiers).prop_map(|(code, modifiers)| Event::Key(KeyEvent::new(code, modifiers)));
    let kind = prop_oneof![
        Just(MouseEventKind::ScrollUp),
        Just(MouseEventKind::ScrollDown),
        Just(MouseEventKind::Down(MouseButton::Left)),
    ];
    let mouse = (kind, 0..400_u16, 0..100_u16)
        .prop_map(|(kind, column, row)| Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
    let listed = (proptest::sample::subsequence(ids.clone(), 0..=ids.len()), any::<bool>(), any::<bool>());
    let listed = listed.prop_map(|(ids, more, has_groups)| {
        let group = has_groups.then(|| Entry::Group("group x".to_owned()));
        let entries = group.into_iter().chain(ids.into_iter().map(|id| Entry::Job { id, depth: 3 }));
        Event::Listed { entries: Arc::new(entries.collect()), more }
    });
    let read = (proptest::sample::select(ids), 0..30_u64, 0..50_u64, 0..4_u8).prop_map(|(id, from, count, kind)| {
        let line = |number: u64| OutputLine {
            offset: number * 100,
            end: number * 100 + 100,
            stream: (!number.is_multiple_of(7)).then_some(Stream::Stdout),
            text: "日x".repeat(usize::try_from(number).unwrap()),
            begins: !number.is_multiple_of(5),
            ends: !number.is_multiple_of(3),
        };
        let lines: Vec<_> = (from..from + count).map(line).collect();
        let block = Block { lines, is_first: from == 0, is_last: from + count > 60 };
        Event::Output(
            id,
            match kind {
                0 => Read::Last(block),
                1 => Read::Part(Part::Before(from * 100), block),
                2 => Read::Found(Some(block)),
                _ => Read::Failed("no".to_owned()),
            },
        )
    });
    prop_oneof![
        20 => key,
        3 => mouse,
        1 => any::<String>().prop_map(Event::Paste),
        1 => (0..320_u16, 0..90_u16).prop_map(|(columns, rows)| Event::Resize(columns, rows)),
        3 => listed,
        3 => read,
    ]
}

/// Each effect is answered as the reader would: the requested output exists.
#[test]
fn no_sequence_of_events_breaks_the_view() {
    let rows: Vec<(JobId, Row)> = block_on(async {
        let bench = Bench::new();
        bench.fill().await;
        let listed = bench.jobs.list(&Query::default()).await.unwrap().jobs;
        let shapes = bench.jobs.reports(&listed).await;
        let row = |(job, shape): (&Job, _)| (job.id, Row::Job(Box::new(JobRow::new(job, shape, None))));
        listed.iter().zip(shapes).map(row).collect()
    });
    let ids: Vec<_> = rows.iter().map(|(id, _)| *id).collect();
    let config = ProptestConfig { source_file: Some(file!()), ..ProptestConfig::with_cases(48) };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let events = proptest::collection::vec(any_event(ids), 0..150);
    let now = jobcore::clock::Timestamp::UNIX_EPOCH;
    let checked = runner.run(&events, |events| {
        let mut state = State::new(Query::default(), "/".into(), (80, 24), now);
        state.update(Event::Rows(rows.clone()));
        for event in events {
            let mut effects = state.update(event);
            while let Some(effect) = effects.pop() {
                if let Effect::Read(id, which, Reading::Part(part)) = effect {
                    prop_assert!(Some(id) == state.pane.job && which == state.pane.which);
                    let at_the_end = Block { is_first: true, is_last: true, ..Block::default() };
                    effects.extend(state.update(Event::Output(id, Read::Part(part, at_the_end))));
                }
            }
            state.details.extend(rows.clone());
            prop_assert!(state.selected == 0 || state.selected < state.entries.len());
            prop_assert!(state.first <= state.selected);
            prop_assert!(state.pane.rows().len() <= usize::from(state.rows));
            let mut terminal = Terminal::new(TestBackend::new(state.columns, state.rows)).unwrap();
            terminal.draw(|frame| draw(frame, &state, Theme { has_colours: true })).unwrap();
        }
        Ok(())
    });
    checked.unwrap();
}

/// An account of the agent run, and its output as it was written.
#[test]
fn the_streams_of_an_output_are_shown_in_turn() {
    let mut pane = super::pane::Pane::default();
    let mut seen = vec![pane.which];
    for _ in 0..4 {
        pane.switch(true);
        seen.push(pane.which);
    }
    let [out, err] = [Stream::Stdout, Stream::Stderr].map(Which::Only);
    assert_eq!(seen, [Which::Told, Which::Both, out, err, Which::Told]);
}
