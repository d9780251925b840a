//! Documentation generated from the definitions, so that both agree: `docs/cli.md` and the table of variables.

use std::fmt::Write;

use jobcore::front::settings::VARIABLES;

use crate::help;

/// Returns the whole of `docs/cli.md`.
pub fn markdown() -> String {
    let mut command = help::command().term_width(100);
    command.build();
    let mut page = String::from(
        "# jobcli\n\n\
         This page has the help text of every command. It is generated from the program: `UPDATE_DOCS=1 cargo test -p jobcli` \
         writes it, and a test checks it. [Settings](settings.md) describes the settings file and the environment variables.\n",
    );
    section(&mut page, &mut command.clone());
    let verbs = help::GROUPS.iter().flat_map(|(_, verbs)| *verbs);
    for verb in verbs.filter_map(|verb| command.find_subcommand(verb)) {
        section(&mut page, &mut verb.clone());
        for what in verb.get_subcommands().filter(|what| what.get_name() != "help") {
            section(&mut page, &mut what.clone());
        }
    }
    page
}

/// Returns the rows of the table in `docs/settings.md` that lists the variables.
pub fn variables() -> String {
    VARIABLES.iter().map(|(name, meaning)| format!("| `{name}` | {meaning} |\n")).collect()
}

fn section(page: &mut String, command: &mut clap::Command) {
    let title = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    let help = command.render_long_help().to_string();
    let help: Vec<_> = help.lines().map(str::trim_end).collect();
    let _ = write!(page, "\n## {title}\n\n```text\n{}\n```\n", help.join("\n").trim_end());
}
