//! `docs/cli.md`, made from the definitions, so that it cannot say anything else.

use std::fmt::Write;

use jobcore::front::settings::VARIABLES;

use crate::help;

/// Returns the whole page.
pub fn markdown() -> String {
    let mut command = help::command().term_width(100);
    command.build();
    let mut page = String::from(
        "# jobcli\n\n\
         This page is made from the program's own definitions: `UPDATE_DOCS=1 cargo test -p jobcli` writes it, and a test \
         compares it.\n",
    );
    section(&mut page, &mut command.clone());
    let verbs = help::GROUPS.iter().flat_map(|(_, verbs)| *verbs);
    for verb in verbs.filter_map(|verb| command.find_subcommand(verb)) {
        section(&mut page, &mut verb.clone());
        for what in verb.get_subcommands().filter(|what| what.get_name() != "help") {
            section(&mut page, &mut what.clone());
        }
    }
    page.push_str(SETTINGS);
    for (name, meaning) in VARIABLES {
        // Writing to a String does not fail.
        let _ = writeln!(page, "| `{name}` | {meaning} |");
    }
    page
}

fn section(page: &mut String, command: &mut clap::Command) {
    let title = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    let help = command.render_long_help().to_string();
    let help: Vec<_> = help.lines().map(str::trim_end).collect();
    let _ = write!(page, "\n## {title}\n\n```text\n{}\n```\n", help.join("\n").trim_end());
}

const SETTINGS: &str = "
## Settings

A flag wins over the environment, the environment over the settings file, and that over the default. The file is TOML; a
key that is not known and a value that is wrong are errors that name the place. Sizes take K, M and G, with or without B
or iB, and are powers of 1024. Times are written as `90s`, `5m` or `1h 30m`.

```toml
# ~/.config/jobcore/config.toml
store = \"/var/tmp/my-jobs\"   # where jobs are kept
shell = \"/bin/bash\"          # for shell lines
pipefail = true              # whether a line in bash fails if any part of a pipe fails
timeout = \"2h\"               # how long a job may run
grace = \"5s\"                 # how long it may take to end when it is stopped
output_limit = \"10M\"         # how much of its output is kept, 0 for all
stragglers = \"stop\"          # or \"leave\": what happens to what a job leaves in the background
scrub = [\"*SECRET*\"]         # variables that jobs do not get
keep = [\"CLAUDE_CODE_X\"]     # variables that jobs get although other settings leave them out
env_only = [\"CARGO_*\"]       # the only variables that jobs get, beside the basic ones
allow = [\"npm run *\"]        # the only commands that may be submitted
deny = [\"rm\", \"git push\"]    # commands that may not be submitted
unattended = true            # whether jobs are told that nobody is there

agent = \"claude\"             # the agent that `delegate` asks
permission_mode = \"edit\"     # what agents may do: read_only or edit

[env]                        # variables that all jobs get
CI = \"1\"

[agents.claude]              # how an agent is started; agents.md has the rest
program = \"/opt/bin/claude\"
model = \"sonnet\"
effort = \"medium\"
arguments = [\"--strict-mcp-config\"]
```

A line runs in `bash` if there is one, and fails then if any part of a pipe fails: `cargo test | tail` has the exit code of
`cargo test`. The line stays as it is; `show` prints the shell with its option, `bash -o pipefail`. A part that is cut off by the next
one, as in `yes | head`, fails with 141 (SIGPIPE). `run --pipefail=false` and the setting `pipefail` turn this off, and other shells
have it only with `run --pipefail`; what the options of the shell say of it wins. `--shell 'bash -l'` reads the profile first, and
`--shell 'bash -i'` also knows the aliases of `~/.bashrc`.

A job gets the environment of its submitter, less the variables that belong to the session of a calling agent
(`AI_AGENT`, `CLAUDECODE`, `CLAUDE_CODE_*`, `CLAUDE_PROJECT_DIR`, `CODEX_*`, `GEMINI_CLI`, `GEMINI_CLI_*`, `OPENCODE`,
`OPENCODE_*`), plus `[env]`, plus `--env`. Of those variables, what is the user's own configuration stays:
`CLAUDE_CODE_API_KEY_HELPER_TTL_MS`, `CLAUDE_CODE_CLIENT_*`, `CLAUDE_CODE_DISABLE_*`, `CLAUDE_CODE_EFFORT_LEVEL`,
`CLAUDE_CODE_ENABLE_TELEMETRY`, `CLAUDE_CODE_MAX_*`, `CLAUDE_CODE_OAUTH_TOKEN`, `CLAUDE_CODE_SKIP_*`,
`CLAUDE_CODE_SUBAGENT_MODEL`, `CLAUDE_CODE_TMPDIR`, `CLAUDE_CODE_USE_*`, `CODEX_ACCESS_TOKEN`, `CODEX_API_KEY`,
`CODEX_CA_CERTIFICATE`, `CODEX_HOME`, `GEMINI_CLI_HOME`, `GEMINI_CLI_SYSTEM_SETTINGS_PATH`, `GEMINI_CLI_TRUST_WORKSPACE`,
`OPENCODE_API_KEY`, `OPENCODE_CONFIG`, `OPENCODE_CONFIG_DIR` and `OPENCODE_DISABLE_*`.

`scrub` leaves out more, and `keep` passes a variable on whatever else leaves it out. With `env_only` (or `run --env-only`)
a job gets no variables but those, what is kept, and the basic ones: `HOME`, `JOBCORE_*`, `LANG`, `LANGUAGE`, `LC_*`,
`LOGNAME`, `PATH`, `PWD`, `SHELL`, `TERM`, `TMPDIR`, `TZ`, `USER` and `XDG_*`, of which `scrub` can leave out some. In all
of these names, `*` stands for any characters and `?` for one, anywhere. A name that can match nothing, such as one with a
`=`, is an error. `run --env-clear` passes on nothing at all.

Where nobody is there, `PYTHONUNBUFFERED=1`, `PAGER=cat`, `GIT_PAGER=cat` and `GIT_TERMINAL_PROMPT=0` are added unless they are set. Every
job finds `JOBCORE_JOB_ID` and `JOBCORE_SLOT` (its number among the running jobs of its group), in a group `JOBCORE_GROUP`, for each
resource `JOBCORE_RESOURCE_NAME` (which units it was given), and one that was started by a job `JOBCORE_PARENT_JOB_ID`.

| variable | what it sets |
| --- | --- |
";

#[cfg(test)]
mod tests {
    #[test]
    fn the_lists_in_the_page_are_those_in_the_code() {
        let page = super::markdown();
        let names =
            jobcore::environment::AGENT_SESSION_VARIABLES.into_iter().chain(jobcore::environment::KEPT_VARIABLES);
        for name in names.chain(jobcore::environment::BASIC_VARIABLES) {
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
        for (name, value) in jobcore::environment::UNATTENDED_DEFAULTS {
            assert!(page.contains(&format!("`{name}={value}`")), "{name}");
        }
    }
}
