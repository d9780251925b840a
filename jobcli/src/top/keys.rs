//! The keys: one table for input, the bottom row and the help.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Left,
    Right,
    Focus,
    ShowOutput,
    Filter,
    FindNext,
    FindBefore,
    Order,
    Tree,
    Project,
    Mark,
    MarkAll,
    Back,
    Stop,
    Signal,
    Rerun,
    Remove,
    Attach,
    Send,
    Pause,
    Hold,
    Higher,
    Lower,
    Earlier,
    Later,
    Page,
    Copy,
    Wrap,
    Follow,
    Stream,
    Help,
    Redraw,
    Suspend,
    Quit,
}

/// Keys, and their command.
pub(super) struct Binding {
    keys: &'static [(KeyModifiers, KeyCode)],
    /// How the keys are written.
    pub(super) shown: &'static str,
    /// What they do, in a word for the bottom row; empty if they are not shown there.
    pub(super) short: &'static str,
    /// What they do, for the help.
    pub(super) long: &'static str,
    pub(super) command: Command,
}

const NONE: KeyModifiers = KeyModifiers::NONE;
const CONTROL: KeyModifiers = KeyModifiers::CONTROL;

const fn key(c: char) -> (KeyModifiers, KeyCode) {
    (NONE, KeyCode::Char(c))
}

const fn control(c: char) -> (KeyModifiers, KeyCode) {
    (CONTROL, KeyCode::Char(c))
}

macro_rules! bindings {
    ($($command:ident: [$($key:expr),+] $shown:literal, $short:literal, $long:literal;)+) => {
        /// All keys, the most used first.
        pub(super) const BINDINGS: &[Binding] = &[
            $(Binding { keys: &[$($key),+], shown: $shown, short: $short, long: $long, command: Command::$command },)+
        ];
    };
}

bindings! {
    Quit: [key('q'), control('c')] "q", "quit", "Quit; no job ends with it";
    Help: [key('?'), (NONE, KeyCode::F(1))] "?", "help", "Show or hide all keys";
    Filter: [key('/')] "/", "filter", "Filter the jobs; in the output, search it";
    Stop: [key('x')] "x", "stop", "Stop the job, or the marked ones, with all of their processes";
    Focus: [(NONE, KeyCode::Tab), (KeyModifiers::SHIFT, KeyCode::BackTab)] "Tab", "output", "Switch between the jobs and the output";
    Mark: [key(' ')] "Space", "mark", "Mark the job; actions then apply to all marked jobs";
    Rerun: [key('r')] "r", "rerun", "Run an ended job again, as a new job";
    Remove: [key('d'), (NONE, KeyCode::Delete)] "d", "remove", "Remove an ended job and its output";
    Attach: [key('a')] "a", "attach", "Connect this terminal to the job's; Ctrl-] detaches";
    Send: [key('i')] "i", "send", "Send a line to the job";
    Pause: [key('p')] "p", "pause", "Pause the job, or resume it";
    Signal: [key('s')] "s", "signal", "Send a signal to the job";
    Page: [key('v')] "v", "pager", "Show the output in $PAGER";
    Tree: [key('t')] "t", "tree", "Show the jobs as a tree by group and order of start, or as a list";
    Project: [key('P')] "P", "project", "Show the jobs of this project, or all jobs";
    Order: [key('o')] "o", "order", "Show running jobs first, or the newest first";
    Copy: [key('y')] "y", "copy id", "Copy the id to the clipboard, through the terminal";
    Hold: [key('h')] "h", "hold", "Keep a queued job from starting, or release it";
    Higher: [key('+'), key('=')] "+", "priority", "Raise the priority of a queued job";
    Lower: [key('-')] "-", "", "Lower the priority of a queued job";
    Earlier: [key('<')] "<", "move", "Move a queued job one place forward";
    Later: [key('>')] ">", "", "Move a queued job one place back";
    Follow: [key('f')] "f", "follow", "Follow the output as it arrives";
    Wrap: [key('w')] "w", "wrap", "Wrap long lines, or cut them";
    Stream: [key('S')] "S", "stream", "Show both streams, standard output or standard error";
    FindNext: [key('n')] "n", "", "Go to the next match in the output";
    FindBefore: [key('N')] "N", "", "Go to the previous match";
    ShowOutput: [(NONE, KeyCode::Enter)] "Enter", "", "Show or hide the output";
    MarkAll: [key('*')] "*", "", "Mark all unfinished jobs shown";
    Back: [(NONE, KeyCode::Esc)] "Esc", "", "Clear the marks or the filter, or close the help";
    Up: [(NONE, KeyCode::Up), key('k')] "↑ k", "", "Go up";
    Down: [(NONE, KeyCode::Down), key('j')] "↓ j", "", "Go down";
    PageUp: [(NONE, KeyCode::PageUp), control('b')] "PgUp", "", "Go up by a page";
    PageDown: [(NONE, KeyCode::PageDown), control('f')] "PgDn", "", "Go down by a page";
    First: [(NONE, KeyCode::Home), key('g')] "Home g", "", "Go to the beginning";
    Last: [(NONE, KeyCode::End), key('G')] "End G", "", "Go to the end";
    Left: [(NONE, KeyCode::Left)] "←", "", "Scroll the output to the left";
    Right: [(NONE, KeyCode::Right)] "→", "", "Scroll the output to the right";
    Redraw: [control('l')] "Ctrl-L", "", "Redraw the screen";
    Suspend: [control('z')] "Ctrl-Z", "", "Suspend; `fg` in the shell continues";
}

/// Returns what a key asks for.
pub(super) fn command(key: KeyEvent) -> Option<Command> {
    // A capital letter comes with Shift from some terminals and without it from others.
    let modifiers = match key.code {
        KeyCode::Char(_) => key.modifiers - KeyModifiers::SHIFT,
        _ => key.modifiers,
    };
    BINDINGS.iter().find(|binding| binding.keys.contains(&(modifiers, key.code))).map(|binding| binding.command)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_key_has_one_command() {
        let keys: Vec<_> = BINDINGS.iter().flat_map(|binding| binding.keys).collect();
        let different: BTreeSet<_> = keys.iter().map(|key| format!("{key:?}")).collect();
        assert_eq!(different.len(), keys.len());
    }

    #[test]
    fn capitals_work_with_and_without_shift() {
        let of = |modifiers, code| command(KeyEvent::new(code, modifiers));
        assert_eq!(of(KeyModifiers::SHIFT, KeyCode::Char('G')), Some(Command::Last));
        assert_eq!(of(NONE, KeyCode::Char('G')), Some(Command::Last));
        assert_eq!(of(CONTROL, KeyCode::Char('q')), None);
    }
}
