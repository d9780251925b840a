//! The input line.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The longest line, in characters.
const LONGEST: usize = 4096;

/// A line being typed, with the cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Line {
    before: String,
    after: String,
}

impl Line {
    /// Creates a line with this text, and the cursor at its end.
    pub(super) fn of(text: &str) -> Self {
        Self { before: text.to_owned(), after: String::new() }
    }

    /// Returns the text.
    pub(super) fn text(&self) -> String {
        format!("{}{}", self.before, self.after)
    }

    /// Returns the text before the cursor and after it.
    pub(super) fn halves(&self) -> (&str, &str) {
        (&self.before, &self.after)
    }

    /// Handles a key, and returns whether it is one that edits the line.
    pub(super) fn key(&mut self, key: KeyEvent) -> bool {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('a') if is_control => self.home(),
            KeyCode::Char('e') if is_control => self.end(),
            KeyCode::Char('u') if is_control => self.before.clear(),
            KeyCode::Char('k') if is_control => self.after.clear(),
            KeyCode::Char('w') if is_control => {
                let kept = self.before.trim_end().rfind(char::is_whitespace).map_or(0, |at| at + 1);
                let kept = (kept..=self.before.len()).find(|at| self.before.is_char_boundary(*at)).unwrap_or(0);
                self.before.truncate(kept);
            }
            KeyCode::Char(_) if is_control || key.modifiers.contains(KeyModifiers::ALT) => return false,
            KeyCode::Char(c) => self.insert(&c.to_string()),
            KeyCode::Backspace => drop(self.before.pop()),
            KeyCode::Delete => drop((!self.after.is_empty()).then(|| self.after.remove(0))),
            KeyCode::Left => {
                if let Some(c) = self.before.pop() {
                    self.after.insert(0, c);
                }
            }
            KeyCode::Right => {
                if !self.after.is_empty() {
                    self.before.push(self.after.remove(0));
                }
            }
            KeyCode::Home => self.home(),
            KeyCode::End => self.end(),
            _ => return false,
        }
        true
    }

    /// Inserts text at the cursor. Control characters become blanks, so that it stays one line.
    pub(super) fn insert(&mut self, text: &str) {
        let room = LONGEST.saturating_sub(self.before.chars().count() + self.after.chars().count());
        self.before.extend(text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(room));
    }

    fn home(&mut self) {
        self.after = std::mem::take(&mut self.before) + &self.after;
    }

    fn end(&mut self) {
        self.before += &std::mem::take(&mut self.after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_edited_as_in_a_shell() {
        let mut line = Line::of("one two");
        let mut press = |code, modifiers| {
            line.key(KeyEvent::new(code, modifiers));
            line.halves().0.to_owned() + "|" + line.halves().1
        };
        let control = KeyModifiers::CONTROL;
        assert_eq!(press(KeyCode::Char('w'), control), "one |");
        assert_eq!(press(KeyCode::Char('ä'), KeyModifiers::NONE), "one ä|");
        assert_eq!(press(KeyCode::Left, KeyModifiers::NONE), "one |ä");
        assert_eq!(press(KeyCode::Char('a'), control), "|one ä");
        assert_eq!(press(KeyCode::Delete, KeyModifiers::NONE), "|ne ä");
        assert_eq!(press(KeyCode::End, KeyModifiers::NONE), "ne ä|");
        assert_eq!(press(KeyCode::Char('u'), control), "|");
        line.insert("a\nb\x1b[2J");
        assert_eq!(line.text(), "a b [2J");
    }
}
