//! A digest that is updated as the output grows.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::digest::{Denial, Digest, Failure};
use super::event::{AgentEvent, AgentResult, OpenTools};
use super::format::{Format, Tail};
use super::stderr::Lines;
use super::stream::{Found, Values};
use super::words::{background, squeezed};

/// The maximum length of a result, in bytes.
const LONGEST_RESULT: usize = 256 << 10;
/// The maximum length of the line that describes the activity, in characters.
const ACTIVITY: usize = 120;
/// How many denials are listed.
const DENIED: usize = 20;
/// How many denials are told apart.
const DENIALS: usize = 1000;
/// The figures that become lower bounds when a part of the output could not be read.
const COUNTED: [&str; 8] = ["turns", "tool_calls", "retries", "denials", "results", "cost_usd", "usage", "duration_ms"];

/// Reads the output of an agent piece by piece, and has a digest of it at any time. It reads standard output and, for
/// CLIs that report some things only on standard error, that as well ([`Format::stream`]).
///
/// How the bytes are divided makes no difference. The state can be saved, for example as JSON, and resumed. Its size is
/// bounded however long the output is, by the longest line that is read: 32 MiB. It uses no clock and does no I/O.
///
/// ```
/// use jobcore::agent::{Fold, Format};
///
/// let mut fold = Fold::new(Format::Codex);
/// fold.feed(b"{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"Done.\"}}\n{\"type\":\"turn.com");
/// assert_eq!(fold.digest().success, None);
/// fold.feed(b"pleted\",\"usage\":{\"input_tokens\":100}}\n");
/// assert_eq!((fold.digest().success, fold.digest().result.as_deref()), (Some(true), Some("Done.")));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fold {
    format: Format,
    values: Values,
    /// For standard error.
    #[serde(default)]
    errors: Lines,
    /// For plain text.
    tail: Tail,
    state: State,
}

/// What is known so far, and what is needed to interpret the next events.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct State {
    digest: Digest,
    tools: OpenTools,
    answer: Answer,
    /// The id of the last turn.
    turn: Option<String>,
    /// How many turns there were up to the last result, and how many since.
    turns: (u64, u64),
    /// The ids of the denied calls.
    denied: BTreeSet<String>,
    /// Whether nothing has happened since the last result.
    rested: bool,
}

impl Fold {
    /// Starts at the beginning of an output in this format.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            values: Values::default(),
            errors: Lines::default(),
            tail: Tail::default(),
            state: State::default(),
        }
    }

    /// Returns the format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Reads the next bytes of standard output.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.format == Format::Text {
            return self.tail.push(bytes, LONGEST_RESULT);
        }
        let Self { format, values, state, .. } = self;
        values.feed(bytes, |found| state.find(*format, found));
    }

    /// Reads the next bytes of standard error.
    pub fn feed_stderr(&mut self, bytes: &[u8]) {
        let Self { format, errors, state, .. } = self;
        errors.feed(bytes, |line| {
            if let Some(event) = format.stderr_event(line) {
                state.add(event);
            }
        });
    }

    /// Continues after bytes of the job that are missing. They may have belonged to the other stream.
    pub fn gap(&mut self) {
        self.values.gap();
        self.errors.gap();
        self.tail.clear();
        self.state.lose();
    }

    /// Returns the digest of what was read so far. A last line without a line break counts if it is complete.
    pub fn digest(&self) -> Digest {
        let mut state = self.state.clone();
        let mut digest = if self.format == Format::Text {
            let (result, cut) = self.tail.end(LONGEST_RESULT);
            let last = result.lines().rev().find(|line| !line.trim().is_empty());
            state.digest.activity = last.map(|line| squeezed(line, ACTIVITY));
            Digest { result: Some(result).filter(|it| !it.is_empty()), result_cut_bytes: cut, ..state.digest }
        } else {
            self.values.clone().end(|found| state.find(self.format, found));
            state.digest
        };
        digest.noise = self.values.noise;
        let is_told = |digest: &Digest, figure: &str| match figure {
            "turns" => digest.turns.is_some(),
            "tool_calls" => digest.tool_calls.is_some(),
            "cost_usd" => digest.cost_usd.is_some(),
            "usage" => digest.usage != Default::default(),
            "duration_ms" => digest.duration_ms.is_some(),
            _ => self.format != Format::Text,
        };
        let bounds = std::mem::take(&mut digest.lower_bounds);
        digest.lower_bounds = bounds.into_iter().filter(|figure| is_told(&digest, figure)).collect();
        digest
    }

    /// Returns the size of the incomplete input in the state, in bytes. The rest of the state is small.
    pub(crate) fn pending(&self) -> usize {
        self.values.pending()
    }
}

impl State {
    fn find(&mut self, format: Format, found: Found) {
        match found {
            Found::Value(value) => format.events(&value).into_iter().for_each(|event| self.add(event)),
            Found::Oversized => self.lose(),
        }
    }

    fn add(&mut self, event: AgentEvent) {
        let digest = &mut self.digest;
        match event {
            AgentEvent::Result(result) => return self.end(*result),
            AgentEvent::Unknown { kind } => {
                digest.unknown += 1;
                digest.unknown_kind = Some(kind);
                return;
            }
            _ => {}
        }
        // A CLI that reports more than results reports tool calls as well.
        digest.tool_calls.get_or_insert_default();
        if event.is_answer() {
            digest.retry = None;
        }
        match event {
            AgentEvent::Session { id, model } => {
                digest.session_id = id.or(digest.session_id.take());
                digest.model = model.or(digest.model.take());
                self.thinks();
            }
            AgentEvent::Turn { id } => {
                if id.is_none() || id != self.turn {
                    self.turns.1 += 1;
                    digest.turns = Some(self.turns.0.saturating_add(self.turns.1));
                }
                self.turn = id;
                self.thinks();
            }
            AgentEvent::Text(text) => {
                self.answer = Answer::default();
                self.answer.push(&text);
                self.does("writing its answer");
            }
            AgentEvent::TextDelta(text) => {
                if !std::mem::replace(&mut self.answer.open, true) {
                    self.answer = Answer { open: true, ..Answer::default() };
                }
                self.answer.push(&text);
                self.does("writing its answer");
            }
            AgentEvent::Thinking => self.thinks(),
            AgentEvent::ToolStart { id, tool } => {
                *digest.tool_calls.get_or_insert_default() += 1;
                self.answer.open = false;
                self.does(&tool.summary);
                self.tools.start(&id, &tool);
            }
            AgentEvent::ToolEnd { id, .. } => {
                self.answer.open = false;
                self.tools.end(&id);
                self.thinks();
            }
            AgentEvent::Retry(retry) => {
                digest.retries += 1;
                let message = retry.to_string();
                digest.retry = Some(Failure { message: message.clone(), kind: None, http_status: retry.status });
                self.does(&message);
            }
            AgentEvent::Denied { id, tool } => {
                let called = id.as_deref().and_then(|id| self.tools.get(id)).or(tool.as_ref());
                let denial = called.map_or_else(Denial::default, |tool| Denial {
                    tool: tool.name.clone(),
                    what: tool.purpose().to_owned(),
                    id: None,
                });
                self.deny(Denial { id, ..denial });
            }
            AgentEvent::Background { running } => {
                digest.background = running;
                self.rests();
            }
            AgentEvent::Spent { usage, cost_usd } => {
                digest.usage = digest.usage.plus(usage);
                digest.cost_usd = cost_usd.map(|cost| cost + digest.cost_usd.unwrap_or_default()).or(digest.cost_usd);
            }
            AgentEvent::Error(failure) => {
                self.does(&format!("error: {}", failure.message));
                self.digest.error = Some(failure);
            }
            AgentEvent::Warning(_) | AgentEvent::Result(_) | AgentEvent::Unknown { .. } => {}
        }
    }

    fn end(&mut self, result: AgentResult) {
        let digest = &mut self.digest;
        digest.results += 1;
        digest.retry = None;
        digest.success = Some(result.success);
        digest.session_id = result.session_id.or(digest.session_id.take());
        digest.model = digest.model.take().or(result.model);
        if let Some(turns) = result.turns {
            self.turns = (self.turns.0.saturating_add(turns), 0);
            digest.turns = Some(self.turns.0);
        }
        digest.tool_calls = result.tool_calls.or(digest.tool_calls);
        digest.cost_usd = result.cost_usd.or(digest.cost_usd);
        digest.usage = result.usage.unwrap_or(digest.usage);
        digest.duration_ms = result
            .duration_ms
            .map(|ms| ms.saturating_add(digest.duration_ms.unwrap_or_default()))
            .or(digest.duration_ms);
        digest.api_duration_ms = result.api_duration_ms.or(digest.api_duration_ms);
        // A figure that is reported as a total is no longer a lower bound.
        let is_whole = |figure: &str| match figure {
            "tool_calls" => result.tool_calls.is_some(),
            "cost_usd" => result.cost_usd.is_some(),
            "usage" => result.usage.is_some(),
            _ => false,
        };
        digest.lower_bounds.retain(|figure| !is_whole(figure));
        let said = std::mem::take(&mut self.answer);
        let answer = result.text.map_or(said, |text| {
            let mut answer = Answer::default();
            answer.push(&text);
            answer
        });
        (digest.result, digest.result_cut_bytes) = match result.success {
            true => (Some(answer.text), answer.cut),
            false => (None, 0),
        };
        let size = result.structured.as_ref().map_or(0, |value| value.to_string().len());
        (digest.structured, digest.structured_cut_bytes) = match size > LONGEST_RESULT {
            true => (None, size as u64),
            false => (result.structured, 0),
        };
        digest.error = result.error;
        (self.tools, self.rested) = (OpenTools::default(), true);
        for denial in result.denied {
            self.deny(denial);
        }
        self.rests();
    }

    fn deny(&mut self, denial: Denial) {
        if self.denied.len() >= DENIALS {
            self.digest.lower_bounds.insert("denials".to_owned());
            return;
        }
        // A call without an id cannot be recognized as reported before.
        let id = denial.id.clone().unwrap_or_else(|| format!("#{}", self.denied.len()));
        if !self.denied.insert(squeezed(&id, ACTIVITY)) {
            return;
        }
        self.digest.denials += 1;
        if self.digest.denied.len() < DENIED {
            self.digest.denied.push(denial);
        }
    }

    /// Handles a missing part of the output: counts are too low, and the part may have contained another result.
    fn lose(&mut self) {
        let digest = &mut self.digest;
        digest.incomplete = true;
        digest.lower_bounds.extend(COUNTED.map(str::to_owned));
        (digest.success, digest.result, digest.result_cut_bytes) = (None, None, 0);
        (digest.structured, digest.structured_cut_bytes, digest.error, digest.retry) = (None, 0, None, None);
        (self.answer, self.tools, self.rested) = (Answer::default(), OpenTools::default(), false);
    }

    fn does(&mut self, what: &str) {
        self.rested = false;
        self.digest.activity = Some(squeezed(what, ACTIVITY));
    }

    /// Sets the activity to that of its latest tool, or to thinking.
    fn thinks(&mut self) {
        let summary = self.tools.latest().map_or("thinking", |tool| &tool.summary).to_owned();
        self.does(&summary);
    }

    /// Sets the activity after a result, if nothing has happened since.
    fn rests(&mut self) {
        let activity = match (&self.digest.error, self.digest.background) {
            (_, running) if running > 0 => format!("waiting for {}", background(running)),
            (Some(error), _) => format!("failed: {}", error.message),
            (None, _) => "done".to_owned(),
        };
        if self.rested {
            self.digest.activity = Some(squeezed(&activity, ACTIVITY));
        }
    }
}

/// The last text of the model, as far as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Answer {
    text: String,
    cut: u64,
    /// Whether the next part continues it.
    open: bool,
}

impl Answer {
    fn push(&mut self, text: &str) {
        // Nothing is added after a part was cut.
        let room = if self.cut > 0 { 0 } else { LONGEST_RESULT - self.text.len() };
        let kept = text.floor_char_boundary(room);
        self.text.push_str(&text[..kept]);
        self.cut += (text.len() - kept) as u64;
    }
}
