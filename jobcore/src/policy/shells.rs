//! Which shells are taken for what they are called, and how each reads a line.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::words::{Result, base_name};

/// How a line is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// As bash reads it.
    Bash,
    /// As `sh` reads it, which may be dash, ash or bash: what one of them reads differently is refused.
    Posix,
}

/// The shells whose lines are understood.
const SHELLS: [(&str, Dialect); 5] = [
    ("bash", Dialect::Bash),
    ("rbash", Dialect::Bash),
    ("sh", Dialect::Posix),
    ("dash", Dialect::Posix),
    ("ash", Dialect::Posix),
];

/// Other shells, whose lines are not.
const OTHERS: [&str; 13] =
    ["zsh", "ksh", "ksh93", "mksh", "oksh", "pdksh", "lksh", "yash", "fish", "csh", "tcsh", "nu", "xonsh"];

/// What a shell that is called `sh` may be in truth.
const SH_IN_TRUTH: [&str; 6] = ["sh", "dash", "ash", "busybox", "bash", "rbash"];

/// Where the shells of the system are, beside those that this file lists.
const DIRECTORIES: [&str; 2] = ["/bin", "/usr/bin"];
const LISTED: &str = "/etc/shells";

/// How a user namespace shows that a file is root's, if root is not in it.
const OVERFLOW_USER: u32 = 65534;

/// Letters of options, all without a value but `o`, by which a line means no more than it says.
const LETTERS: &str = "aefhlmnuvxC";
/// Values of `-o` of which this is true.
const NAMES: [&str; 14] = [
    "allexport",
    "errexit",
    "errtrace",
    "functrace",
    "hashall",
    "monitor",
    "noclobber",
    "noexec",
    "noglob",
    "notify",
    "nounset",
    "pipefail",
    "verbose",
    "xtrace",
];
/// The same among the long options.
const LONG: [&str; 6] = ["--login", "--noediting", "--noprofile", "--norc", "--restricted", "--verbose"];

/// Returns how a shell of this name reads a line: none, if it is no shell.
///
/// # Errors
/// If it is a shell whose lines are not understood.
pub(super) fn dialect(name: &str) -> Result<Option<Dialect>> {
    if OTHERS.contains(&name) {
        let known: Vec<_> = SHELLS.iter().map(|(name, _)| *name).collect();
        return Err(format!("lines for the shell `{name}` cannot be judged; those for {} can", known.join(", ")));
    }
    Ok(SHELLS.iter().find(|(shell, _)| *shell == name).map(|(_, dialect)| *dialect))
}

/// Returns how the shell of a job, which is a program and its options, reads a line.
///
/// # Errors
/// If it is not one of the system's, or may read a line in another way.
pub(super) fn check(words: &[&str]) -> Result<Dialect> {
    let program = words.first().copied().unwrap_or_default();
    let options = Options::read(words.get(1..).unwrap_or_default())?;
    if options.used + 1 < words.len() || options.is_line || options.is_input {
        return Err(format!("`{}` is not known as an option of a shell", words[words.len() - 1]));
    }
    let name = base_name(program);
    let Some(dialect) = dialect(name)? else { return Err(format!("`{name}` is not known as a shell")) };
    let path = Path::new(program);
    let is_listed = || fs::read_to_string(LISTED).is_ok_and(|list| list.lines().any(|line| line.trim() == program));
    if !path.is_absolute()
        || !(DIRECTORIES.iter().any(|directory| path.parent() == Some(Path::new(directory))) || is_listed())
    {
        let directories = DIRECTORIES.join(", ");
        return Err(format!(
            "the shell `{program}` is not one of the system: it is neither in {directories} nor in {LISTED}"
        ));
    }
    let real = fs::canonicalize(path).map_err(|error| format!("the shell `{program}`: {error}"))?;
    if let Some(open) = real.ancestors().find(|path| !is_guarded(path)) {
        return Err(format!(
            "the shell `{program}` is not one of the system: others than root can change `{}`",
            open.display()
        ));
    }
    let real = real.file_name().unwrap_or_default().to_string_lossy();
    match dialect {
        Dialect::Bash if real == "bash" => Ok(Dialect::Bash),
        _ if SH_IN_TRUTH.contains(&&*real) => Ok(Dialect::Posix),
        _ => Err(format!("the shell `{program}` is `{real}`, whose lines cannot be judged")),
    }
}

/// Returns whether only root can change what is at this path.
fn is_guarded(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| {
        let is_open = metadata.mode() & 0o022 != 0;
        // In a sticky directory nobody else can replace what is root's.
        let is_sticky = metadata.is_dir() && metadata.mode() & 0o1000 != 0;
        [0, OVERFLOW_USER].contains(&metadata.uid()) && (!is_open || is_sticky)
    })
}

/// What the options of a shell say.
pub(super) struct Options {
    /// Whether the next word is a line.
    pub(super) is_line: bool,
    /// Whether it reads its commands, whatever follows.
    pub(super) is_input: bool,
    /// How many words belong to the options.
    pub(super) used: usize,
}

impl Options {
    /// Reads the options with which the words behind the name of a shell begin.
    ///
    /// # Errors
    /// If there is one by which a line could mean more than it says.
    pub(super) fn read(words: &[&str]) -> Result<Self> {
        let mut options = Self { is_line: false, is_input: false, used: 0 };
        while let Some(word) = words.get(options.used) {
            let unknown =
                |text: &str| Err(format!("what the option `{text}` of a shell does to a line cannot be judged"));
            match *word {
                "-" | "--" => {
                    options.used += 1;
                    break;
                }
                long if long.starts_with("--") => {
                    if !LONG.contains(&long) {
                        return unknown(long);
                    }
                }
                letters if letters.starts_with(['-', '+']) => {
                    for letter in letters.chars().skip(1) {
                        match letter {
                            'c' => options.is_line |= letters.starts_with('-'),
                            's' => options.is_input |= letters.starts_with('-'),
                            'o' => {
                                options.used += 1;
                                let name = words.get(options.used).copied().unwrap_or_default();
                                if !NAMES.contains(&name) {
                                    return unknown(&format!("{letters} {name}"));
                                }
                            }
                            letter if LETTERS.contains(letter) => {}
                            _ => return unknown(letters),
                        }
                    }
                }
                _ => break,
            }
            options.used += 1;
        }
        Ok(options)
    }
}
