use std::path::Path;

use jobcore::Caller;
use jobcore::front::caller::of_project;
use jobcore::front::process::{self, Running};

/// The words by which Codex is told to run without a person.
pub(super) const CODEX_RUNS: [&str; 2] = ["exec", "e"];

/// A host whose hooks are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    ClaudeCode,
    Codex,
    GeminiCli,
    Opencode,
}

impl Host {
    /// Returns the host of this name; nothing for one that only a later version knows.
    pub(super) fn new(name: &str) -> Option<Self> {
        [Self::ClaudeCode, Self::Codex, Self::GeminiCli, Self::Opencode].into_iter().find(|host| host.name() == name)
    }

    /// Returns its name, which is the one that its callers have.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
            Self::GeminiCli => "gemini-cli",
            Self::Opencode => "opencode",
        }
    }

    /// Returns the conversation that a hook is called in. Some hosts name it to hooks alone: there it is the project, as for the
    /// jobs that are submitted from it.
    pub(super) fn caller(self, session: &str, project: &Path) -> Option<Caller> {
        match self {
            Self::ClaudeCode | Self::Codex => format!("{}:{session}", self.name()).parse().ok(),
            Self::GeminiCli | Self::Opencode => of_project(self.name(), project),
        }
    }

    /// Returns whether the host goes on while a hook runs, and is woken by it later. Others wait for the hook.
    pub(super) fn runs_hooks_aside(self) -> bool {
        matches!(self, Self::ClaudeCode | Self::Opencode)
    }

    /// Returns whether a person sits at the conversation, who would wait if this waited.
    pub(super) fn is_attended(self) -> bool {
        match self {
            Self::ClaudeCode => {
                std::env::var_os("CLAUDE_CODE_ENTRYPOINT").is_some_and(|entrypoint| entrypoint == "cli")
            }
            Self::Codex => !is_run_with(&CODEX_RUNS),
            Self::GeminiCli => process::ancestors().iter().any(is_gemini_with_a_person),
            Self::Opencode => true,
        }
    }
}

/// Returns whether a program is Gemini CLI and reads its prompts from a terminal.
fn is_gemini_with_a_person(program: &Running) -> bool {
    let is_gemini = program.arguments().iter().any(|argument| String::from_utf8_lossy(argument).contains("gemini"));
    is_gemini && program.reads_terminal() && !was_given(program, &["-p", "--prompt"])
}

/// Returns whether this was started by a program that was given one of these words.
fn is_run_with(words: &[&str]) -> bool {
    process::ancestors().iter().any(|program| was_given(program, words))
}

/// Returns whether a program was given one of these words.
pub(super) fn was_given(program: &Running, words: &[&str]) -> bool {
    program.arguments().iter().skip(1).any(|argument| words.iter().any(|word| word.as_bytes() == argument))
}
