//! The shells that are trusted to be what their names say, and how each parses a line.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::words::{Result, base_name};

/// How a line is parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Like bash.
    Bash,
    /// Like `sh`, which may be dash, ash or bash: constructs that one of them reads differently are refused.
    Posix,
}

/// The shells whose lines can be parsed.
const SHELLS: [(&str, Dialect); 5] = [
    ("bash", Dialect::Bash),
    ("rbash", Dialect::Bash),
    ("sh", Dialect::Posix),
    ("dash", Dialect::Posix),
    ("ash", Dialect::Posix),
];

/// Other shells, whose lines cannot be parsed.
const OTHERS: [&str; 13] =
    ["zsh", "ksh", "ksh93", "mksh", "oksh", "pdksh", "lksh", "yash", "fish", "csh", "tcsh", "nu", "xonsh"];

/// The programs that a shell named `sh` may actually be.
const SH_IN_TRUTH: [&str; 6] = ["sh", "dash", "ash", "busybox", "bash", "rbash"];

/// The directories of the system's shells, in addition to the shells that this file lists.
const DIRECTORIES: [&str; 2] = ["/bin", "/usr/bin"];
const LISTED: &str = "/etc/shells";

/// The owner that a user namespace shows for files of root, if root is not mapped in it.
const OVERFLOW_USER: u32 = 65534;

/// Single-letter options that do not change the meaning of a line. Only `o` has a value.
const LETTERS: &str = "aefhlmnuvxC";
/// Values of `-o` that do not change it either.
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
/// Long options that do not change it either.
const LONG: [&str; 6] = ["--login", "--noediting", "--noprofile", "--norc", "--restricted", "--verbose"];

/// Returns how a shell with this name parses a line, or `None` if it is not a shell.
///
/// # Errors
/// If it is a shell whose lines cannot be parsed.
pub(super) fn dialect(name: &str) -> Result<Option<Dialect>> {
    if OTHERS.contains(&name) {
        let known: Vec<_> = SHELLS.iter().map(|(name, _)| *name).collect();
        return Err(format!("lines for the shell `{name}` cannot be judged; those for {} can", known.join(", ")));
    }
    Ok(SHELLS.iter().find(|(shell, _)| *shell == name).map(|(_, dialect)| *dialect))
}

/// Returns how the shell of a job, given as a program and its options, parses a line.
///
/// # Errors
/// If it is not a shell of the system, or may parse a line in another way.
pub(super) fn check(words: &[&str]) -> Result<Dialect> {
    let program = words.first().copied().unwrap_or_default();
    let options = Options::read(words.get(1..).unwrap_or_default())?;
    if options.used + 1 < words.len() || options.is_line || options.is_input {
        return Err(format!("`{}` is not a known option of a shell", words[words.len() - 1]));
    }
    let name = base_name(program);
    let Some(dialect) = dialect(name)? else { return Err(format!("`{name}` is not a known shell")) };
    let path = Path::new(program);
    let is_listed = || fs::read_to_string(LISTED).is_ok_and(|list| list.lines().any(|line| line.trim() == program));
    if !path.is_absolute()
        || !(DIRECTORIES.iter().any(|directory| path.parent() == Some(Path::new(directory))) || is_listed())
    {
        let directories = DIRECTORIES.join(", ");
        return Err(format!(
            "the shell `{program}` is not a shell of the system: it is neither in {directories} nor in {LISTED}"
        ));
    }
    let real = fs::canonicalize(path).map_err(|error| format!("the shell `{program}`: {error}"))?;
    if let Some(open) = real.ancestors().find(|path| !is_guarded(path)) {
        return Err(format!(
            "the shell `{program}` is not a shell of the system: users other than root can change `{}`",
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
        // In a sticky directory, other users cannot replace files of root.
        let is_sticky = metadata.is_dir() && metadata.mode() & 0o1000 != 0;
        [0, OVERFLOW_USER].contains(&metadata.uid()) && (!is_open || is_sticky)
    })
}

/// The effect of the options of a shell.
pub(super) struct Options {
    /// Whether the next word is a line.
    pub(super) is_line: bool,
    /// Whether it reads its commands from its input, whatever follows.
    pub(super) is_input: bool,
    /// How many words the options take.
    pub(super) used: usize,
}

impl Options {
    /// Reads the options at the beginning of the words after the name of a shell.
    ///
    /// # Errors
    /// If one of them could change the meaning of a line.
    pub(super) fn read(words: &[&str]) -> Result<Self> {
        let mut options = Self { is_line: false, is_input: false, used: 0 };
        while let Some(word) = words.get(options.used) {
            let unknown =
                |text: &str| Err(format!("the effect of the shell option `{text}` on a line cannot be judged"));
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
