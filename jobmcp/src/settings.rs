//! The variables of mcp-background-job, for its former users. An invalid value is an error at start.

use std::ffi::OsString;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jobcore::ParseError;
use jobcore::front::{Failure, Settings, codes};
use jobcore::policy::{Pattern, Policy};
use jobcore::units::parse_size;
use jobcore::words::counted;

/// What these variables set that has no equivalent in the other settings.
#[derive(Debug, Default)]
pub(crate) struct Background {
    /// The limit on unfinished jobs in the whole store.
    pub(crate) max_jobs: Option<usize>,
    /// How many bytes of a job's output are kept.
    max_output_size: Option<u64>,
    /// The longest run time of a job, whatever the call requests.
    pub(crate) job_timeout: Option<Duration>,
    /// The shortest time between two prunings.
    pub(crate) cleanup_interval: Option<Duration>,
    /// The default directory of jobs.
    pub(crate) working_dir: Option<PathBuf>,
    /// The only commands that can be submitted.
    pub(crate) allowed_commands: Policy,
}

impl Background {
    /// Reads the variables. Empty ones count as unset.
    ///
    /// # Errors
    /// If a value is invalid. The error names the variable.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Failure> {
        let text = |name: &str| variable(name).filter(|value| !value.is_empty());
        Ok(Self {
            max_jobs: parsed("MCP_BG_MAX_JOBS", text, |text| number(text, 1..=100))?,
            max_output_size: parsed("MCP_BG_MAX_OUTPUT_SIZE", text, |text| match parse_size(text)? {
                size if size >= 1024 => Ok(size),
                size => Err(format!("{} too few; use at least 1024", counted(size, "byte is", "bytes are"))),
            })?,
            job_timeout: parsed("MCP_BG_JOB_TIMEOUT", text, |text| seconds(text, 1..=366 * 24 * 3600))?,
            cleanup_interval: parsed("MCP_BG_CLEANUP_INTERVAL", text, |text| seconds(text, 10..=3600))?,
            working_dir: parsed("MCP_BG_WORKING_DIR", text, directory)?,
            allowed_commands: parsed("MCP_BG_ALLOWED_COMMANDS", text, allowed)?.unwrap_or_default(),
        })
    }

    /// Applies what has an equivalent in the other settings.
    pub(crate) fn apply(&self, settings: &mut Settings) {
        settings.output_limit = self.max_output_size.or(settings.output_limit);
        settings.timeout = self.job_timeout.or(settings.timeout);
    }
}

fn parsed<T>(
    name: &str,
    variable: impl Fn(&str) -> Option<OsString>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Failure> {
    let Some(value) = variable(name) else { return Ok(None) };
    let value = value.to_str().ok_or_else(|| "it is not valid UTF-8".to_owned()).and_then(parse);
    value.map(Some).map_err(|reason| Failure::new(codes::USAGE, format!("variable `{name}`: {reason}")))
}

fn number<T: FromStr + PartialOrd + Display>(text: &str, range: RangeInclusive<T>) -> Result<T, String> {
    let number = text.trim().parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("`{text}` is not a whole number from {} to {}", range.start(), range.end()))
}

fn seconds(text: &str, range: RangeInclusive<u64>) -> Result<Duration, String> {
    number(text, range).map(Duration::from_secs).map_err(|reason| format!("{reason}, in seconds"))
}

fn directory(text: &str) -> Result<PathBuf, String> {
    // Resolved now, so that it must exist, and later changes of links or of the current directory have no effect.
    let path = std::fs::canonicalize(text).map_err(|error| format!("cannot use the directory `{text}`: {error}"))?;
    if path.is_dir() { Ok(path) } else { Err(format!("`{text}` is not a directory")) }
}

fn allowed(text: &str) -> Result<Policy, String> {
    let patterns = text.split(',').filter(|pattern| !pattern.trim().is_empty());
    let patterns: Vec<_> = patterns.map(|pattern| translated(pattern.trim_start())).collect::<Result<_, _>>()?;
    if patterns.is_empty() {
        return Err("it contains no pattern".to_owned());
    }
    Ok(Policy::new(patterns, Vec::new()))
}

/// Translates a regular expression for the beginning of a line into a pattern for the words of a command.
fn translated(regex: &str) -> Result<Pattern, String> {
    let refuse = |reason: &str| {
        format!(
            "`{regex}`: {reason}; only prefixes such as `^npm ` and `^npm run` are supported; JOBCORE_ALLOW takes patterns such \
            as `npm run *`"
        )
    };
    let rest = regex.strip_prefix('^').ok_or_else(|| refuse("it does not begin with `^`"))?;
    // Anything can follow in any case.
    let rest = rest.strip_suffix(".*").filter(|rest| !rest.ends_with('\\')).unwrap_or(rest);
    if rest.is_empty() {
        return Err(refuse("it allows everything"));
    }
    let mut words = String::new();
    let mut letters = rest.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some(literal @ ('.' | '-' | '/' | '+' | '_' | ' ')) => words.push(literal),
                _ => return Err(refuse("`\\` is followed by something other than punctuation")),
            },
            // Any one character, in both syntaxes.
            '.' => words.push('?'),
            literal if literal.is_alphanumeric() || "-_/@:=% ".contains(literal) => words.push(literal),
            other => return Err(refuse(&format!("`{other}` cannot be translated"))),
        }
    }
    // Without a space at the end, the last word can be longer.
    let last = if words.ends_with(' ') { "" } else { "*" };
    format!("{words}{last}").parse().map_err(|error: ParseError| refuse(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use jobcore::{JobSpec, JobSpecBuilder};

    use super::*;

    fn read(name: &str, value: &str) -> Result<Background, String> {
        let variable = |asked: &str| (asked == name).then(|| OsString::from(value));
        Background::read(variable).map_err(|failure| format!("{failure:?}"))
    }

    fn permits(patterns: &str, line: &str) -> bool {
        let background = read("MCP_BG_ALLOWED_COMMANDS", patterns).unwrap();
        let spec: JobSpecBuilder = JobSpec::shell(line);
        background.allowed_commands.check(&spec.cwd("/").build().unwrap()).is_ok()
    }

    #[test]
    fn the_documented_values_are_accepted() {
        assert_eq!(read("MCP_BG_MAX_JOBS", "20").unwrap().max_jobs, Some(20));
        for size in ["20MB", "20971520"] {
            assert_eq!(read("MCP_BG_MAX_OUTPUT_SIZE", size).unwrap().max_output_size, Some(20_971_520));
        }
        assert_eq!(read("MCP_BG_JOB_TIMEOUT", "3600").unwrap().job_timeout, Some(Duration::from_secs(3600)));
        let cleanup = read("MCP_BG_CLEANUP_INTERVAL", "600").unwrap().cleanup_interval;
        assert_eq!(cleanup, Some(Duration::from_secs(600)));
        assert_eq!(read("MCP_BG_WORKING_DIR", "/").unwrap().working_dir, Some(PathBuf::from("/")));
        let nothing = read("MCP_BG_MAX_JOBS", "").unwrap();
        assert!(nothing.max_jobs.is_none() && nothing.allowed_commands.is_empty());
    }

    #[test]
    fn errors_name_the_variable() {
        for (name, value) in [
            ("MCP_BG_MAX_JOBS", "0"),
            ("MCP_BG_MAX_JOBS", "101"),
            ("MCP_BG_MAX_JOBS", "many"),
            ("MCP_BG_MAX_OUTPUT_SIZE", "20XB"),
            ("MCP_BG_MAX_OUTPUT_SIZE", "1023"),
            ("MCP_BG_JOB_TIMEOUT", "0"),
            ("MCP_BG_JOB_TIMEOUT", "1h"),
            ("MCP_BG_CLEANUP_INTERVAL", "9"),
            ("MCP_BG_WORKING_DIR", "/nosuch"),
            ("MCP_BG_WORKING_DIR", "/proc/self/cmdline"),
            ("MCP_BG_ALLOWED_COMMANDS", " , "),
        ] {
            let error = read(name, value).unwrap_err();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn prefixes_of_lines_become_prefixes_of_commands() {
        let documented = "^npm ,^python ,^echo ,^ls";
        for line in ["npm test", "npm", "python -i", "echo x", "ls", "ls -l", "lsblk", "echo x && npm test"] {
            assert!(permits(documented, line), "{line}");
        }
        for line in ["npmx", "python3 x", "rm x", "echo x; rm x", "echo $(rm x)", "./npm test"] {
            assert!(!permits(documented, line), "{line}");
        }
        assert!(permits("^npm run,^git status ", "npm run-script x") && !permits("^npm run", "npm install"));
        assert!(permits("^git status", "git status -s") && !permits("^git status", "git stash"));
        assert!(permits("^python3\\.12 .*", "python3.12 x") && !permits("^python3\\.12 ", "python3x12 x"));
        assert!(permits("^python3.12", "python3x12 x"));
    }

    #[test]
    fn unsupported_expressions_are_refused() {
        for regex in ["npm ", "^pwd$", "^(npm|yarn) ", "^np?m", "^[a-z]+", "^a|b", "^git .*status", "^\\w", "^", "^x\\"]
        {
            let error = read("MCP_BG_ALLOWED_COMMANDS", &format!("^ls,{regex}")).unwrap_err();
            assert!(error.contains(&format!("`{}`", regex.escape_debug())), "{error}");
        }
    }
}
