//! The variables that a line may set when only some commands are allowed.

use wildmatch::WildMatch;

use crate::environment::VariablePattern;

/// Variables that only affect the verbosity or the format of a program's output, and the like: any line may set them. A
/// `*` at the end stands for any rest.
pub const HARMLESS_VARIABLES: [&str; 49] = [
    "APP_ENV",
    "CARGO_INCREMENTAL",
    "CARGO_TERM_COLOR",
    "CGO_ENABLED",
    "CI",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLUMNS",
    "CONTINUOUS_INTEGRATION",
    "COVERAGE",
    "DEBIAN_FRONTEND",
    "DEBUG",
    "DRY_RUN",
    "FORCE_COLOR",
    "GIT_TERMINAL_PROMPT",
    "GOARCH",
    "GOOS",
    "HEADLESS",
    "HOST",
    "LANG",
    "LC_*",
    "LINES",
    "LOGLEVEL",
    "LOG_LEVEL",
    "NODE_ENV",
    "NO_COLOR",
    "OPTIND",
    "PORT",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONHASHSEED",
    "PYTHONIOENCODING",
    "PYTHONUNBUFFERED",
    "PYTHONUTF8",
    "RACK_ENV",
    "RAILS_ENV",
    "RANDOM",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "RUST_TEST_THREADS",
    "SECONDS",
    "SEED",
    "SOURCE_DATE_EPOCH",
    "STAGE",
    "TERM",
    "TEST",
    "TZ",
    "UPDATE_SNAPSHOTS",
    "VERBOSE",
    "WATCH",
];

/// Variables that are known to change which program a word starts, what a shell does before its line, or what programs
/// run and load: a pattern with a `*` or a `?` does not permit them, only their full names do. A `*` stands for any
/// characters.
pub const POWERFUL_VARIABLES: [&str; 84] = [
    "*_ASKPASS",
    "*_EDITOR",
    "*_OPTIONS",
    "*_OPTS",
    "*_PAGER",
    "*_PROXY",
    "*_WRAPPER",
    "*_proxy",
    "*FLAGS",
    "*PATH",
    "ALL_PROXY",
    "ANT_*",
    "AR",
    "AS",
    "AWKPATH",
    "BASH*",
    "BROWSER",
    "BUNDLE_*",
    "CARGO*",
    "CC",
    "CDPATH",
    "CLASSPATH",
    "COMPOSER_*",
    "CONDA_*",
    "COREPACK_*",
    "CXX",
    "DENO_*",
    "DOCKER_*",
    "DOTNET_*",
    "DYLD_*",
    "EDITOR",
    "ENV",
    "FCEDIT",
    "FIGNORE",
    "GCONV_PATH",
    "GEM_*",
    "GETCONF_DIR",
    "GIT_*",
    "GLIBC_TUNABLES",
    "GO*",
    "GRADLE_*",
    "HISTFILE",
    "HOME",
    "HOSTALIASES",
    "IFS",
    "JAVA_*",
    "JDK_*",
    "JRUBY_*",
    "KUBE*",
    "LD",
    "LD_*",
    "LESS*",
    "LOCPATH",
    "LUA_*",
    "MAIL*",
    "MAKE*",
    "MALLOC_*",
    "MANPAGER",
    "MAVEN_*",
    "NIX_*",
    "NODE_*",
    "NPM_*",
    "OPENSSL_*",
    "PAGER",
    "PERL*",
    "PHP*",
    "PIP_*",
    "POETRY_*",
    "PROMPT_COMMAND",
    "PS?",
    "PWD",
    "PYTEST_*",
    "PYTHON*",
    "RUBY*",
    "RUST*",
    "SHELL",
    "SHELLOPTS",
    "SSH_*",
    "TMPDIR",
    "UV_*",
    "VISUAL",
    "XDG_*",
    "YARN_*",
    "ZDOTDIR",
];

/// The same for names in lower case. Other names in lower case are taken for a script's own data.
const POWERFUL_IN_SMALL_LETTERS: [&str; 6] = ["*_proxy", "auto_resume", "histchars", "npm_*", "pnpm_*", "yarn_*"];

/// Variables whose values a shell runs as code, or uses to resolve commands: setting them amounts to running something.
/// These are refused under any policy.
const CODE: [&str; 5] = ["BASH_ALIASES", "BASH_CMDS", "BASH_FUNC_*", "PROMPT_COMMAND", "PS?"];

/// Variables that the shell itself sets to texts from elsewhere.
const TEXTS_OF_THE_SHELL: [&str; 11] =
    ["BASH*", "COMP_*", "COPROC", "DIRSTACK", "FUNCNAME", "MAPFILE", "OLDPWD", "OPTARG", "PWD", "READLINE_*", "REPLY"];

fn matches(patterns: &[&str], name: &str) -> bool {
    patterns.iter().any(|pattern| WildMatch::new(pattern).matches(name))
}

/// Returns whether a shell runs the value of this variable.
pub(super) fn is_code(name: &str) -> bool {
    matches(&CODE, name)
}

/// Returns whether the value of this variable is a text that the shell took from elsewhere.
pub(super) fn is_text_of_the_shell(name: &str) -> bool {
    name == "_" || (matches(&TEXTS_OF_THE_SHELL, name) && name != "BASHPID")
}

/// Returns whether a line may set this variable, given the permitted variables besides the harmless ones.
pub(super) fn may_be_set(name: &str, permitted: &[VariablePattern]) -> bool {
    let is_small = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let is_powerful = matches(if is_small { &POWERFUL_IN_SMALL_LETTERS } else { &POWERFUL_VARIABLES }, name);
    permitted.iter().any(|pattern| pattern.is(name))
        || matches(&HARMLESS_VARIABLES, name)
        || (!is_powerful && (is_small || permitted.iter().any(|pattern| pattern.matches(name))))
}

/// Returns whether this is the name of a variable.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
