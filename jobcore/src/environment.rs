//! The environment of a job: the caller's, without what belongs to a calling agent's session, plus the variables that
//! are set.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

use crate::id::JobId;
use crate::parse_error::ParseError;

/// The variable that holds the id of the job.
pub const JOB_ID: &str = "JOBCORE_JOB_ID";
/// The variable that holds the id of the job that submitted this one.
pub const PARENT_JOB_ID: &str = "JOBCORE_PARENT_JOB_ID";
/// The variable that holds the group of the job, if it is in one.
pub const GROUP: &str = "JOBCORE_GROUP";

/// The variable that holds the number of the job among the running jobs of its group, counted from 0.
pub const SLOT: &str = "JOBCORE_SLOT";
/// The variable that holds the number of the attempt of a job that is restarted; the first is 1.
pub const ATTEMPT: &str = "JOBCORE_ATTEMPT";
/// The prefix of the variables that name the units of a resource that the job was assigned: `JOBCORE_RESOURCE_GPU=0,2`.
pub const RESOURCE: &str = "JOBCORE_RESOURCE_";

/// The variable that every process of a job was started with, unless the environment was cleared.
pub(crate) fn marker(id: JobId) -> String {
    format!("{JOB_ID}={id}")
}

/// The environment of a command. Its values are secrets and are never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// Returns the value of a variable.
    pub fn get(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.0.get(name.as_ref()).map(OsString::as_os_str)
    }

    /// Sets a variable.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.0.insert(name.into(), value.into());
    }

    /// Removes a variable and returns its value.
    pub fn remove(&mut self, name: impl AsRef<OsStr>) -> Option<OsString> {
        self.0.remove(name.as_ref())
    }

    /// Returns the variables in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// Returns `NAME=VALUE` for each variable, each terminated by a NUL: the form in which a store keeps it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, value) in &self.0 {
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(b'=');
            bytes.extend_from_slice(value.as_bytes());
            bytes.push(0);
        }
        bytes
    }

    /// Returns the variables that [`Environment::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        bytes.split(|byte| *byte == 0).filter_map(|entry| assignment(OsStr::from_bytes(entry))).collect()
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.0.len())
    }
}

/// Variables that belong to the session of the calling agent and not to its work: ids, sockets and tokens that would
/// make a nested agent take itself for a part of the caller. Each is a [`VariablePattern`].
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

/// Variables that match [`AGENT_SESSION_VARIABLES`] but are the user's own configuration, and are kept. Agents use them
/// to log in, to reach their models and to find their settings; no agent sets them for its children. Each is a
/// [`VariablePattern`].
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

/// Variables without which little works: jobs get them even when only others are named. Each is a [`VariablePattern`].
pub const BASIC_VARIABLES: [&str; 14] = [
    "HOME",
    "JOBCORE_*",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "LOGNAME",
    "PATH",
    "PWD",
    "SHELL",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_*",
];

/// A pattern for names of variables: `*` stands for any characters and `?` for one, anywhere. A name is never empty and
/// has no `=`, so a pattern that requires either is refused: it would silently match nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VariablePattern(WildMatch);

impl Eq for VariablePattern {}

impl FromStr for VariablePattern {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let refuse = |reason: &str| Err(ParseError::new(format!("`{text}` matches no variable: {reason}")));
        match text {
            "" => Err(ParseError::new("an empty pattern matches no variable")),
            text if text.contains('=') => refuse("a pattern is a name, without `=` and a value"),
            text if text.contains('\0') => refuse("a name cannot contain a NUL character"),
            text => Ok(Self(WildMatch::new(text))),
        }
    }
}

impl TryFrom<String> for VariablePattern {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<VariablePattern> for String {
    fn from(pattern: VariablePattern) -> Self {
        pattern.to_string()
    }
}

#[cfg(feature = "policy")]
impl VariablePattern {
    /// Returns whether the pattern matches this name.
    pub(crate) fn matches(&self, name: &str) -> bool {
        self.0.matches(name)
    }

    /// Returns whether the pattern is exactly this name.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.to_string() == name
    }
}

impl fmt::Display for VariablePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Parses patterns that are separated by commas.
///
/// # Errors
/// Names the first pattern that can match nothing, and says why.
pub fn parse_patterns(text: &str) -> Result<Vec<VariablePattern>, ParseError> {
    text.split(',').map(|pattern| pattern.trim().parse()).collect()
}

/// Variables that are set if they are unset, for callers without a terminal. They keep programs from waiting
/// for a person, and from buffering their output.
pub const UNATTENDED_DEFAULTS: [(&str, &str); 4] =
    [("PYTHONUNBUFFERED", "1"), ("PAGER", "cat"), ("GIT_PAGER", "cat"), ("GIT_TERMINAL_PROMPT", "0")];

/// How the environment of a job is derived from that of the caller.
#[derive(Debug, Clone, Default)]
pub struct EnvironmentPolicy {
    /// If not empty, the only names to pass on, besides [`BASIC_VARIABLES`] and those in `keep`.
    pub only: Vec<VariablePattern>,
    /// Additional names to leave out.
    pub scrub: Vec<VariablePattern>,
    /// Names to keep even if another rule leaves them out.
    pub keep: Vec<VariablePattern>,
    /// Variables to set, regardless of the caller's values.
    pub set: Vec<(OsString, OsString)>,
    /// Whether to add [`UNATTENDED_DEFAULTS`].
    pub unattended: bool,
}

impl EnvironmentPolicy {
    /// Returns the environment of a job, given that of its caller.
    pub fn apply(&self, caller: impl IntoIterator<Item = (OsString, OsString)>) -> Environment {
        let leaves_out = self.leaves_out();
        let mut environment: Environment = caller.into_iter().filter(|(name, _)| !leaves_out(name)).collect();
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

    /// Returns a predicate that decides whether a name is left out.
    fn leaves_out(&self) -> impl Fn(&OsStr) -> bool {
        let known = |names: &[&str]| names.iter().map(|name| VariablePattern(WildMatch::new(name))).collect::<Vec<_>>();
        let (session, settings) = (known(&AGENT_SESSION_VARIABLES), known(&KEPT_VARIABLES));
        let basic = known(&BASIC_VARIABLES);
        move |name| {
            // Replacement characters, for bytes that are not UTF-8, are matched only by wildcards.
            let name = &*name.to_string_lossy();
            let any = |patterns: &[VariablePattern]| patterns.iter().any(|pattern| pattern.0.matches(name));
            let is_session = any(&session) && !any(&settings);
            let is_other = !self.only.is_empty() && !any(&self.only) && !any(&basic);
            (is_session || is_other || any(&self.scrub)) && !any(&self.keep)
        }
    }
}

impl Environment {
    /// Adapts the environment to a job that runs in `directory`. `PWD`, if it is set at all, is set to what a shell
    /// that had changed into the directory would report.
    pub fn enter(&mut self, directory: impl Into<OsString>) {
        if self.get("PWD").is_some() {
            self.set("PWD", directory);
        }
    }

    /// Adapts the environment to a job on its own terminal, whatever the caller's terminal is. Nearly every terminal is
    /// compatible with this type.
    pub fn enter_terminal(&mut self) {
        self.set("TERM", "xterm-256color");
    }
}

/// Returns the parts of `NAME=VALUE`. A name may begin with `=`, because some shells create such variables: a leading
/// `=` separates name and value only if there is no other.
pub fn assignment(text: &OsStr) -> Option<(&OsStr, &OsStr)> {
    let bytes = text.as_bytes();
    let is_border = |index: &usize| bytes[*index] == b'=';
    let border = (1..bytes.len()).find(is_border).or_else(|| bytes.starts_with(b"=").then_some(0))?;
    Some((OsStr::from_bytes(&bytes[..border]), OsStr::from_bytes(&bytes[border + 1..])))
}

/// Returns the directory `current` under the name by which its user knows it: `pwd`, the value of the variable `PWD`,
/// if that is an absolute path of the same directory (for example through a symbolic link), and `current` otherwise.
pub fn known_directory(current: &Path, pwd: Option<&OsStr>) -> PathBuf {
    let same = |path: &Path| {
        let (a, b) = (path.metadata().ok()?, current.metadata().ok()?);
        Some((a.dev(), a.ino()) == (b.dev(), b.ino()))
    };
    let known = pwd.map(Path::new).filter(|path| path.is_absolute());
    match known {
        Some(known) if known == current || same(known) == Some(true) => known.to_owned(),
        _ => current.to_owned(),
    }
}

/// Returns a path with a leading `~` replaced by `home`, the value of the variable `HOME`, as shells do; `~user` and
/// everything else is left as it is.
pub fn expand_home(path: &Path, home: Option<&OsStr>) -> PathBuf {
    match (path.strip_prefix("~"), home.filter(|home| !home.is_empty())) {
        (Ok(rest), Some(home)) if rest.as_os_str().is_empty() => PathBuf::from(home),
        (Ok(rest), Some(home)) => Path::new(home).join(rest),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(text: &str) -> Vec<VariablePattern> {
        parse_patterns(text).unwrap()
    }

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
            scrub: patterns("SECRET_*, *_TOKEN, ?*KEY*, CODEX_HOME"),
            keep: patterns("CLAUDECODE, SECRET_B"),
            set: vec![("A".into(), "2".into())],
            ..EnvironmentPolicy::default()
        };
        let caller = [
            ("CLAUDECODE", "1"),
            ("CODEX_HOME", "x"),
            ("SECRET_A", "x"),
            ("SECRET_B", "y"),
            ("GITHUB_TOKEN", "x"),
            ("API_KEY_1", "x"),
            ("KEY", "1"),
            ("TOKENS", "1"),
            ("A", "1"),
        ];
        assert_eq!(applied(&policy, &caller), ["A=2", "CLAUDECODE=1", "KEY=1", "SECRET_B=y", "TOKENS=1"]);
    }

    #[test]
    fn only_named_and_basic_variables_are_passed_on() {
        let policy = EnvironmentPolicy {
            only: patterns("CARGO_*, ?AVA_HOME, LANG"),
            scrub: patterns("LC_*"),
            keep: patterns("CI"),
            ..EnvironmentPolicy::default()
        };
        let caller = [
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("CARGO_HOME", "/c"),
            ("CI", "1"),
            ("CODEX_CI", "1"),
            ("HOME", "/h"),
            ("JAVA_HOME", "/j"),
            ("JOBCORE_JOB_ID", "i"),
            ("LC_ALL", "C"),
            ("PATH", "/bin"),
        ];
        let expected = ["CARGO_HOME=/c", "CI=1", "HOME=/h", "JAVA_HOME=/j", "JOBCORE_JOB_ID=i", "PATH=/bin"];
        assert_eq!(applied(&policy, &caller), expected);
    }

    #[test]
    fn a_pattern_that_can_match_nothing_is_refused() {
        for (text, reason) in [
            ("", "an empty pattern"),
            ("A,,B", "an empty pattern"),
            ("A=1", "`A=1` matches no variable: a pattern is a name"),
            ("A, *=*", "`*=*` matches no variable"),
        ] {
            let error = parse_patterns(text).unwrap_err().to_string();
            assert!(error.starts_with(reason), "{error}");
        }
        assert!("a\0b".parse::<VariablePattern>().is_err());
        assert_eq!(String::from(patterns("*SECRET*, A?").remove(1)), "A?");
    }

    #[test]
    fn a_job_gets_its_own_directory_and_terminal() {
        let mut environment: Environment = [("PWD", "/caller"), ("TERM", "dumb")].into_iter().collect();
        environment.enter("/job");
        environment.enter_terminal();
        let expected: Environment = [("PWD", "/job"), ("TERM", "xterm-256color")].into_iter().collect();
        assert!(environment == expected);
        let mut without = Environment::default();
        without.enter("/job");
        assert!(without == Environment::default());
    }

    #[test]
    fn a_variable_is_split_at_the_first_separator() {
        for (text, expected) in [
            ("A=1", Some(("A", "1"))),
            ("A==b=", Some(("A", "=b="))),
            ("A=", Some(("A", ""))),
            ("=C:=x", Some(("=C:", "x"))),
            ("A", None),
            ("=x", Some(("", "x"))),
            ("", None),
        ] {
            let expected = expected.map(|(name, value)| (OsStr::new(name), OsStr::new(value)));
            assert_eq!(assignment(OsStr::new(text)), expected, "{text}");
        }
    }

    #[test]
    fn a_tilde_is_the_home_directory() {
        for (path, expected) in [
            ("~", "/h"),
            ("~/", "/h"),
            ("~/x/y", "/h/x/y"),
            ("~user/x", "~user/x"),
            ("./~", "./~"),
            ("a/~", "a/~"),
            ("", ""),
            ("/x", "/x"),
        ] {
            assert_eq!(expand_home(Path::new(path), Some(OsStr::new("/h"))), Path::new(expected), "{path}");
        }
        for home in [None, Some(OsStr::new(""))] {
            assert_eq!(expand_home(Path::new("~/x"), home), Path::new("~/x"));
        }
    }

    #[test]
    fn a_directory_has_the_name_that_its_user_knows() {
        let directory = tempfile::tempdir().unwrap();
        let (real, link) = (directory.path().join("real"), directory.path().join("link"));
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let known = |pwd: &Path| known_directory(&real, Some(pwd.as_os_str()));
        assert_eq!(known(&link), link);
        assert_eq!(known(&real), real);
        for wrong in [directory.path(), Path::new("link"), Path::new(""), &directory.path().join("gone")] {
            assert_eq!(known(wrong), real, "{}", wrong.display());
        }
        assert_eq!(known_directory(&real, None), real);
    }

    #[test]
    fn unattended_defaults_fill_only_gaps() {
        let policy = EnvironmentPolicy { unattended: true, ..EnvironmentPolicy::default() };
        let expected = ["GIT_PAGER=cat", "GIT_TERMINAL_PROMPT=0", "PAGER=less", "PYTHONUNBUFFERED=1"];
        assert_eq!(applied(&policy, &[("PAGER", "less")]), expected);
    }
}
