//! The options that select jobs which are not named, the same for all verbs.

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use jobcore::clock::Timestamp;
use jobcore::query::NamePattern;
use jobcore::{Caller, Name, Status};

use super::rare::Rare;
use super::values::{parse_label, parse_time};
use crate::complete;

/// The jobs with a label, a group, a status or other properties.
#[derive(Debug, Clone, Args)]
pub struct Selection {
    /// Select jobs with this label; if repeated, with all of them
    #[arg(long, short, value_name = "NAME[=VALUE]", value_parser = parse_label, add = complete::labels(),
        help_heading = SELECTION)]
    pub label: Vec<(String, String)>,
    /// Select jobs of this group
    #[arg(long, short, value_name = "NAME", add = complete::groups(), help_heading = SELECTION)]
    pub group: Option<Name>,
    /// Select jobs with this status, or with any of several, as in `failed,killed`
    #[arg(long, value_name = "STATUS", value_delimiter = ',', add = complete::statuses(), help_heading = SELECTION)]
    pub status: Vec<Status>,
    /// Rarely used options.
    #[command(flatten)]
    pub filters: Rare<Filters>,
}

const SELECTION: &str = "Selection";

/// Other properties by which jobs can be selected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Filters {
    /// Select jobs by name; `*` matches any characters and `?` one
    #[arg(long, value_name = "PATTERN", add = complete::names(), help_heading = SELECTION)]
    pub name: Option<NamePattern>,
    /// Select jobs with TEXT in their command; case is ignored
    #[arg(long, value_name = "TEXT", help_heading = SELECTION)]
    pub text: Option<String>,
    /// Select jobs that exited with one of these codes
    #[arg(long, value_name = "CODE", value_delimiter = ',', help_heading = SELECTION)]
    pub exit_code: Vec<i32>,
    /// Select jobs that run in DIR
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath, help_heading = SELECTION)]
    pub cwd: Option<PathBuf>,
    /// Select jobs of this project: the git worktree or else the directory
    #[arg(long, help_heading = SELECTION)]
    pub here: bool,
    /// Select jobs submitted by this conversation of a coding agent
    #[arg(long, conflicts_with = "caller", help_heading = SELECTION)]
    pub mine: bool,
    /// Select jobs submitted by this caller
    #[arg(long, value_name = "HOST:CONVERSATION", help_heading = SELECTION)]
    pub caller: Option<Caller>,
    /// Select jobs submitted at or after TIME
    #[arg(long, value_name = "TIME", value_parser = parse_time, help_heading = SELECTION)]
    pub submitted_since: Option<Timestamp>,
    /// Select jobs submitted before TIME
    #[arg(long, value_name = "TIME", value_parser = parse_time, help_heading = SELECTION)]
    pub submitted_before: Option<Timestamp>,
    /// Select jobs started at or after TIME
    #[arg(long, value_name = "TIME", value_parser = parse_time, help_heading = SELECTION)]
    pub started_since: Option<Timestamp>,
    /// Select jobs started before TIME
    #[arg(long, value_name = "TIME", value_parser = parse_time, help_heading = SELECTION)]
    pub started_before: Option<Timestamp>,
    /// Select jobs that ended at or after TIME
    #[arg(long, value_name = "TIME", value_parser = parse_time, help_heading = SELECTION)]
    pub ended_since: Option<Timestamp>,
    /// Select jobs that ended before TIME
    #[arg(long, value_name = "TIME", value_parser = parse_time, help_heading = SELECTION)]
    pub ended_before: Option<Timestamp>,
}

impl Selection {
    /// Returns whether any option is given.
    pub fn is_given(&self) -> bool {
        !self.label.is_empty()
            || self.group.is_some()
            || !self.status.is_empty()
            || self.filters.0 != Filters::default()
    }
}

/// Describes the selection for a sentence such as "no job has the label `x`".
impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filters = &self.filters.0;
        let mut words: Vec<String> = Vec::new();
        words.extend(self.label.iter().map(|(name, value)| match value.as_str() {
            "" => format!("the label `{name}`"),
            value => format!("the label `{name}={value}`"),
        }));
        words.extend(self.group.iter().map(|group| format!("the group `{group}`")));
        let statuses: Vec<_> = self.status.iter().map(|status| format!("`{status}`")).collect();
        words.extend((!statuses.is_empty()).then(|| format!("the status {}", statuses.join(" or "))));
        words.extend(filters.name.iter().map(|name| format!("the name `{name}`")));
        words.extend(filters.text.iter().map(|text| format!("`{text}` in its command")));
        let codes: Vec<_> = filters.exit_code.iter().map(ToString::to_string).collect();
        words.extend((!codes.is_empty()).then(|| format!("the exit code {}", codes.join(" or "))));
        words.extend(filters.cwd.iter().map(|cwd| format!("the directory `{}`", cwd.display())));
        words.extend(filters.here.then(|| "the project of this directory".to_owned()));
        words.extend(filters.mine.then(|| "this conversation as its caller".to_owned()));
        words.extend(filters.caller.iter().map(|caller| format!("the caller `{caller}`")));
        let times = [
            filters.submitted_since,
            filters.submitted_before,
            filters.started_since,
            filters.started_before,
            filters.ended_since,
            filters.ended_before,
        ];
        words.extend(times.iter().any(Option::is_some).then(|| "times in the given range".to_owned()));
        f.write_str(&words.join(" and "))
    }
}
