//! The help, with the verbs in groups, which clap does not support.

use std::ffi::OsString;
use std::fmt::Write;

use clap::builder::Styles;
use clap::error::ErrorKind;
use clap::{ArgMatches, Command, CommandFactory, Error};

use crate::cli::{Cli, without_rare};

/// Every visible verb once, in the order of the help.
pub(crate) const GROUPS: [(&str, &[&str]); 6] = [
    ("Run", &["run", "up", "down", "delegate", "rerun", "adopt"]),
    (
        "Look",
        &["list", "top", "show", "status", "output", "tail", "wait", "graph", "events", "stats", "usage", "statusline"],
    ),
    ("Act", &["send", "attach", "pause", "resume", "renew", "kill"]),
    ("Queue", &["start", "hold", "release", "move", "edit", "schedule", "group"]),
    ("For agents", &["inbox", "hook", "skill"]),
    ("Keep", &["rm", "prune", "gc", "config", "doctor", "completions", "man"]),
];

/// Parses a command line.
///
/// # Errors
/// Returns the parser's error, which may be the help that was asked for.
pub(crate) fn matches(line: Vec<OsString>) -> Result<ArgMatches, Error> {
    match without_rare(|| Cli::command().try_get_matches_from(&line)) {
        // The error may be due to a missing definition, and a help needs all of them.
        Err(error) if error.kind() != ErrorKind::DisplayVersion => {}
        parsed => return parsed,
    }
    match Cli::command().try_get_matches_from(&line) {
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | HELP_UNASKED) => {
            command().try_get_matches_from(line)
        }
        parsed => parsed,
    }
}

const HELP_UNASKED: ErrorKind = ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;

/// Returns the definition of the command line, with a help that shows the verbs in groups.
pub(crate) fn command() -> Command {
    let command = Cli::command();
    let template = template(&command);
    command.help_template(template)
}

fn template(command: &Command) -> String {
    let styles = Styles::styled();
    let (header, literal) = (styles.get_header(), styles.get_literal());
    let widest = GROUPS.iter().flat_map(|(_, verbs)| *verbs).map(|verb| verb.len()).max().unwrap_or(0);
    let mut template = "{about-with-newline}\n{usage-heading} {usage}\n\n".to_owned();
    for (group, verbs) in GROUPS {
        // Writing to a String does not fail.
        let _ = writeln!(template, "{header}{group}:{header:#}");
        for verb in verbs {
            let about = command.find_subcommand(verb).and_then(Command::get_about).map(ToString::to_string);
            let about = about.unwrap_or_default();
            let _ = writeln!(template, "  {literal}{verb:<widest$}{literal:#}  {about}");
        }
        template.push('\n');
    }
    let _ = write!(template, "{header}Global options:{header:#}\n{{options}}{{after-help}}");
    template
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// All verbs and their subcommands, such as `config get`.
    fn verbs(command: &Command) -> Vec<Command> {
        let with_own = |verb: &Command| [vec![verb.clone()], verbs(verb)].concat();
        command.get_subcommands().filter(|verb| verb.get_name() != "help").flat_map(with_own).collect()
    }

    #[test]
    fn every_verb_is_in_one_group() {
        let command = command();
        let visible: BTreeSet<_> =
            command.get_subcommands().filter(|verb| !verb.is_hide_set()).map(Command::get_name).collect();
        let grouped: Vec<_> = GROUPS.iter().flat_map(|(_, verbs)| *verbs).copied().collect();
        assert_eq!(grouped.iter().copied().collect::<BTreeSet<_>>(), visible);
        assert_eq!(grouped.len(), visible.len(), "a verb is in two groups");
    }

    #[test]
    fn the_help_fits_a_small_terminal() {
        let help = command().term_width(80).render_help().to_string();
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(help.contains("\nLook:\n  list"), "{help}");
    }

    /// The short help of `-h`; `--help` may explain more.
    #[test]
    fn no_help_text_is_longer_than_two_lines() {
        const TWO_LINES: usize = 2 * 90;
        let mut command = command();
        command.build();
        let mut long = Vec::new();
        for verb in verbs(&command) {
            let texts = verb.get_arguments().map(|argument| (argument.get_id().to_string(), argument.get_help()));
            for (name, text) in texts.chain([(String::from("about"), verb.get_about())]) {
                let text = text.map(ToString::to_string).unwrap_or_default();
                if text.chars().count() > TWO_LINES || text.contains('\n') {
                    long.push(format!("{} {name}: {text}", verb.get_name()));
                }
            }
        }
        assert_eq!(long, Vec::<String>::new());
    }

    #[test]
    fn every_verb_has_an_example() {
        let mut command = command();
        command.build();
        let verbs = verbs(&command);
        assert!(verbs.len() > 15);
        for verb in verbs {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.lines().any(|line| line.starts_with("  jobcli ")), "`{}` has no example", verb.get_name());
        }
    }

    /// They exist only for command lines written for other tools.
    #[test]
    fn aliases_are_not_shown() {
        let mut command = command();
        command.build();
        for verb in verbs(&command) {
            assert_eq!(verb.get_visible_aliases().next(), None, "{}", verb.get_name());
        }
        let help = command.render_long_help().to_string();
        for alias in ["execute", "interact", "logs", "ls"] {
            assert!(!help.lines().any(|line| line.split_whitespace().next() == Some(alias)), "{alias}:\n{help}");
        }
    }
}
