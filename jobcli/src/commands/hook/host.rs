use std::path::Path;

use jobcore::Caller;
use jobcore::front::caller::of_project;
use jobcore::front::process::{self, Running};

/// The arguments that make Codex run without a person.
pub(super) const CODEX_RUNS: [&str; 2] = ["exec", "e"];

/// A supported host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    ClaudeCode,
    Codex,
    GeminiCli,
    Opencode,
}

impl Host {
    /// Returns the host with this name; nothing for one that only a later version supports.
    pub(super) fn new(name: &str) -> Option<Self> {
        [Self::ClaudeCode, Self::Codex, Self::GeminiCli, Self::Opencode].into_iter().find(|host| host.name() == name)
    }

    /// Returns the name of the host, as used in callers.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
            Self::GeminiCli => "gemini-cli",
            Self::Opencode => "opencode",
        }
    }

    /// Returns the caller for a hook. Some hosts pass the conversation only to hooks: their caller is the project, as
    /// for the jobs submitted from it.
    pub(super) fn caller(self, session: &str, project: &Path) -> Option<Caller> {
        match self {
            Self::ClaudeCode | Self::Codex => format!("{}:{session}", self.name()).parse().ok(),
            Self::GeminiCli | Self::Opencode => of_project(self.name(), project),
        }
    }

    /// Returns whether the host continues while a hook runs, and is woken by it later. Others wait for the hook.
    pub(super) fn runs_hooks_aside(self) -> bool {
        matches!(self, Self::ClaudeCode | Self::Opencode)
    }

    /// Returns whether a person takes part in the conversation and would have to wait for the hook.
    pub(super) fn is_supervised(self) -> bool {
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

/// Returns whether a program is Gemini CLI, reading its prompts from a terminal.
fn is_gemini_with_a_person(program: &Running) -> bool {
    let is_gemini = program.arguments().iter().any(|argument| String::from_utf8_lossy(argument).contains("gemini"));
    is_gemini && program.reads_terminal() && !was_given(program, &["-p", "--prompt"])
}

/// Returns whether an ancestor of this process was given one of these arguments.
fn is_run_with(words: &[&str]) -> bool {
    process::ancestors().iter().any(|program| was_given(program, words))
}

/// Returns whether a program was given one of these arguments.
pub(super) fn was_given(program: &Running, words: &[&str]) -> bool {
    program.arguments().iter().skip(1).any(|argument| words.iter().any(|word| word.as_bytes() == argument))
}
