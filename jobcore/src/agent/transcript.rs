//! What an agent does, as lines for people.

use std::time::Duration;

use super::event::{AgentEvent, AgentResult, OpenTools};
use super::format::Format;
use super::stderr::Lines;
use super::stream::{Found, Values};
use super::words::{background, dollars, plain, squeezed};
use crate::units::short_duration;
use crate::words::counted;

/// The maximum length of a line that is not the model's, in characters.
const LINE: usize = 200;

/// Describes what an agent does while it does it: its texts verbatim, and a line for each action. The transcript cannot
/// control a terminal: its only control characters are line breaks and tabs.
#[derive(Debug)]
pub struct Transcript {
    format: Format,
    values: Values,
    /// For standard error.
    errors: Lines,
    /// The incomplete character at the end of plain text.
    torn: Vec<u8>,
    told: Told,
}

#[derive(Debug, Default)]
struct Told {
    text: String,
    tools: OpenTools,
    /// Whether the last text ended within a line.
    within_line: bool,
    /// Whether the model's text arrives in parts: then it is reported again as a whole.
    by_parts: bool,
    /// Whether the model wrote anything since the previous result.
    spoke: bool,
    /// The error that was reported last, if nothing followed it.
    error: Option<String>,
}

impl Transcript {
    /// Starts at the beginning of an output in this format.
    pub fn new(format: Format) -> Self {
        Self { format, values: Values::default(), errors: Lines::default(), torn: Vec::new(), told: Told::default() }
    }

    /// Reads the next bytes of the agent's standard output, and returns the text to show.
    pub fn feed(&mut self, bytes: &[u8]) -> String {
        if self.format == Format::Text {
            self.torn.extend_from_slice(bytes);
            let whole = whole_characters(&self.torn);
            let text: Vec<u8> = self.torn.drain(..whole).collect();
            self.told.say(&String::from_utf8_lossy(&text));
        } else {
            let Self { format, values, told, .. } = self;
            values.feed(bytes, |found| told.find(*format, found));
        }
        std::mem::take(&mut self.told.text)
    }

    /// Reads the next bytes of the agent's standard error, and returns the text to show: only what the CLI reports
    /// nowhere else.
    pub fn feed_stderr(&mut self, bytes: &[u8]) -> String {
        let Self { format, errors, told, .. } = self;
        errors.feed(bytes, |line| {
            if let Some(event) = format.stderr_event(line) {
                told.tell(event);
            }
        });
        std::mem::take(&mut self.told.text)
    }

    /// Continues after missing bytes, and returns a line that says so.
    pub fn gap(&mut self) -> String {
        self.values.gap();
        self.errors.gap();
        self.torn.clear();
        self.told.lose();
        std::mem::take(&mut self.told.text)
    }

    /// Returns the remaining text when no more bytes will arrive.
    pub fn end(mut self) -> String {
        let (format, mut told) = (self.format, self.told);
        told.say(&String::from_utf8_lossy(&std::mem::take(&mut self.torn)));
        self.values.end(|found| told.find(format, found));
        told.close();
        told.text
    }
}

impl Told {
    fn find(&mut self, format: Format, found: Found) {
        match found {
            Found::Value(value) => format.events(&value).into_iter().for_each(|event| self.tell(event)),
            Found::Oversized => self.lose(),
        }
    }

    fn lose(&mut self) {
        self.line("… a part of the output is missing");
    }

    fn tell(&mut self, event: AgentEvent) {
        match event {
            AgentEvent::Text(text) => {
                if !std::mem::take(&mut self.by_parts) {
                    self.close();
                    self.say(&text);
                }
                self.close();
                self.spoke = true;
            }
            AgentEvent::TextDelta(text) => {
                self.say(&text);
                (self.by_parts, self.spoke) = (true, true);
            }
            AgentEvent::ToolStart { id, tool } => {
                self.line(&format!("→ {}", tool.summary));
                self.tools.start(&id, &tool);
            }
            AgentEvent::ToolEnd { id, ok, summary } => {
                self.tools.end(&id);
                match (ok, summary) {
                    (true, _) => self.line("← ok"),
                    (false, Some(summary)) => self.line(&format!("← failed: {summary}")),
                    (false, None) => self.line("← failed"),
                }
            }
            AgentEvent::Retry(retry) => self.line(&format!("… {retry}")),
            AgentEvent::Denied { id, tool } => {
                let called = id.as_deref().and_then(|id| self.tools.get(id)).or(tool.as_ref());
                let what = called.map_or("a tool", |tool| &tool.summary).to_owned();
                self.line(&format!("! denied {what}"));
            }
            AgentEvent::Background { running } if running > 0 => {
                self.line(&format!("… {}", background(running)));
            }
            AgentEvent::Error(failure) => self.fail(failure.message),
            AgentEvent::Warning(message) => self.line(&format!("! {message}")),
            AgentEvent::Result(result) => self.result(*result),
            AgentEvent::Session { .. }
            | AgentEvent::Turn { .. }
            | AgentEvent::Thinking
            | AgentEvent::Background { .. }
            | AgentEvent::Spent { .. }
            | AgentEvent::Unknown { .. } => {}
        }
    }

    fn result(&mut self, result: AgentResult) {
        if !std::mem::take(&mut self.spoke)
            && let Some(text) = &result.text
        {
            self.close();
            self.say(text);
        }
        self.by_parts = false;
        if !result.success {
            self.fail(result.error.map(|error| error.message).unwrap_or_default());
            // The next attempt may fail for the same reason.
            self.error = None;
            return;
        }
        let turns = |turns| counted(turns, "turn", "turns");
        let time = result.duration_ms.map(|ms| short_duration(Duration::from_millis(ms)));
        let figures: Vec<String> =
            [result.turns.map(turns), result.cost_usd.map(dollars), time].into_iter().flatten().collect();
        let between = if figures.is_empty() { "" } else { ": " };
        self.line(&format!("✓ done{between}{}", figures.join(", ")));
    }

    /// Reports an error, but not twice in a row: the result may report it again.
    fn fail(&mut self, message: String) {
        if self.error.as_ref() != Some(&message) {
            self.line(&format!("✗ error: {message}"));
            self.error = Some(message);
        }
    }

    fn say(&mut self, text: &str) {
        let text = plain(text, text.len());
        if let Some(last) = text.chars().next_back() {
            self.within_line = last != '\n';
        }
        self.text.push_str(&text);
    }

    fn line(&mut self, line: &str) {
        self.close();
        (self.by_parts, self.error) = (false, None);
        self.text.push_str(&squeezed(line, LINE));
        self.text.push('\n');
    }

    fn close(&mut self) {
        if std::mem::take(&mut self.within_line) {
            self.text.push('\n');
        }
    }
}

/// Returns the number of bytes before an incomplete character at the end.
fn whole_characters(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(3);
    let torn = (tail..bytes.len()).find(|at| {
        std::str::from_utf8(&bytes[*at..]).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    });
    torn.unwrap_or(bytes.len())
}
