//! Which environment a job gets: the caller's, less what belongs to a calling agent's session, plus what is set.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::spec::Environment;

/// Variables that belong to the session of the agent that calls, and not to its work: ids, sockets and tokens by which
/// a nested agent would take itself for a part of the caller. A `*` at the end stands for any rest.
pub const AGENT_SESSION_VARIABLES: [&str; 9] = [
    "AI_AGENT",
    "CLAUDECODE",
    "CLAUDE_CODE_*",
    "CLAUDE_PROJECT_DIR",
    "CODEX_*",
    "GEMINI_CLI",
    "GEMINI_CLI_*",
    "OPENCODE",
    "OPENCODE_*",
];

/// Variables that match [`AGENT_SESSION_VARIABLES`] and yet are the user's own configuration: kept. By them agents log in,
/// reach their models and find their settings; no agent sets them for its children. A `*` at the end stands for any rest.
pub const KEPT_VARIABLES: [&str; 22] = [
    "CLAUDE_CODE_API_KEY_HELPER_TTL_MS",
    "CLAUDE_CODE_CLIENT_*",
    "CLAUDE_CODE_DISABLE_*",
    "CLAUDE_CODE_EFFORT_LEVEL",
    "CLAUDE_CODE_ENABLE_TELEMETRY",
    "CLAUDE_CODE_MAX_*",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_SKIP_*",
    "CLAUDE_CODE_SUBAGENT_MODEL",
    "CLAUDE_CODE_TMPDIR",
    "CLAUDE_CODE_USE_*",
    "CODEX_ACCESS_TOKEN",
    "CODEX_API_KEY",
    "CODEX_CA_CERTIFICATE",
    "CODEX_HOME",
    "GEMINI_CLI_HOME",
    "GEMINI_CLI_SYSTEM_SETTINGS_PATH",
    "GEMINI_CLI_TRUST_WORKSPACE",
    "OPENCODE_API_KEY",
    "OPENCODE_CONFIG",
    "OPENCODE_CONFIG_DIR",
    "OPENCODE_DISABLE_*",
];

/// What is set, and only where it is unset, for callers without a terminal: programs that would wait for a person, or
/// hold back their output, are told that nobody is there.
pub const UNATTENDED_DEFAULTS: [(&str, &str); 4] =
    [("PYTHONUNBUFFERED", "1"), ("PAGER", "cat"), ("GIT_PAGER", "cat"), ("GIT_TERMINAL_PROMPT", "0")];

/// How the environment of a job is made from that of the caller.
#[derive(Debug, Clone, Default)]
pub struct EnvironmentPolicy {
    /// Further names to leave out; a `*` at the end stands for any rest.
    pub scrub: Vec<String>,
    /// Names to keep whatever else says to leave them out.
    pub keep: Vec<String>,
    /// Variables to set, whatever the caller has.
    pub set: Vec<(OsString, OsString)>,
    /// Whether to add [`UNATTENDED_DEFAULTS`].
    pub unattended: bool,
}

impl EnvironmentPolicy {
    /// Returns the environment of a job whose caller has `caller`.
    pub fn apply(&self, caller: impl IntoIterator<Item = (OsString, OsString)>) -> Environment {
        let mut environment: Environment = caller.into_iter().filter(|(name, _)| !self.leaves_out(name)).collect();
        for (name, value) in &self.set {
            environment.set(name, value);
        }
        if self.unattended {
            for (name, value) in UNATTENDED_DEFAULTS {
                if environment.get(name).is_none() {
                    environment.set(name, value);
                }
            }
        }
        environment
    }

    fn leaves_out(&self, name: &OsStr) -> bool {
        let kept = KEPT_VARIABLES.into_iter().chain(self.keep.iter().map(String::as_str));
        let scrubbed = AGENT_SESSION_VARIABLES.into_iter().chain(self.scrub.iter().map(String::as_str));
        matches(name, scrubbed) && !matches(name, kept)
    }
}

fn matches<'a>(name: &OsStr, patterns: impl IntoIterator<Item = &'a str>) -> bool {
    patterns.into_iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(prefix) => name.as_bytes().starts_with(prefix.as_bytes()),
        None => name == pattern,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(policy: &EnvironmentPolicy, caller: &[(&str, &str)]) -> Vec<String> {
        let environment = policy.apply(caller.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        environment.iter().map(|(name, value)| format!("{}={}", name.display(), value.display())).collect()
    }

    #[test]
    fn the_session_of_an_agent_is_left_out_and_the_users_settings_are_kept() {
        let caller = [
            ("CLAUDECODE", "1"),
            ("CLAUDE_CODE_SSE_PORT", "1"),
            ("CLAUDE_CODE_USE_BEDROCK", "1"),
            ("CODEX_HOME", "/x"),
            ("CODEX_X", "1"),
            ("HOME", "/h"),
        ];
        assert_eq!(
            applied(&EnvironmentPolicy::default(), &caller),
            ["CLAUDE_CODE_USE_BEDROCK=1", "CODEX_HOME=/x", "HOME=/h"]
        );
    }

    #[test]
    fn settings_leave_out_and_keep_more() {
        let policy = EnvironmentPolicy {
            scrub: vec!["SECRET_*".into()],
            keep: vec!["CLAUDECODE".into(), "SECRET_B".into()],
            set: vec![("A".into(), "2".into())],
            unattended: false,
        };
        let caller = [("CLAUDECODE", "1"), ("SECRET_A", "x"), ("SECRET_B", "y"), ("A", "1")];
        assert_eq!(applied(&policy, &caller), ["A=2", "CLAUDECODE=1", "SECRET_B=y"]);
    }

    #[test]
    fn unattended_defaults_fill_only_gaps() {
        let policy = EnvironmentPolicy { unattended: true, ..EnvironmentPolicy::default() };
        let expected = ["GIT_PAGER=cat", "GIT_TERMINAL_PROMPT=0", "PAGER=less", "PYTHONUNBUFFERED=1"];
        assert_eq!(applied(&policy, &[("PAGER", "less")]), expected);
    }
}
