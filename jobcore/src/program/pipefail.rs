//! Whether a line fails if any part of a pipe fails: set by an option of the shell, so that the line stays as it was
//! written.

use std::path::Path;

use crate::error::{Error, Result};

/// The name of the option, which follows `-o`, or `+o` to turn it off.
const PIPEFAIL: &str = "pipefail";
/// The shells for which it is on by default.
const ON: [&str; 2] = ["bash", "rbash"];
/// Other shells that have it in all versions. A shell named `sh` may be any shell.
const KNOWN: [&str; 6] = ["ksh", "ksh93", "mksh", "oksh", "yash", "zsh"];

/// Returns the options of a shell with this one added if it is wanted. If the options already mention it, they take
/// precedence.
///
/// # Errors
/// If it is wanted for a shell that may not have it.
pub(super) fn options(shell: &Path, mut options: Vec<String>, wanted: Option<bool>) -> Result<Vec<String>> {
    let name = shell.file_name().unwrap_or_default().to_string_lossy();
    let is_on = ON.contains(&&*name);
    let is_added = match wanted {
        _ if options.iter().any(|option| option == PIPEFAIL) => false,
        Some(true) if !is_on && !KNOWN.contains(&&*name) => {
            let reason = format!("not every shell named `{name}` has this option; use another one, such as `bash`");
            return Err(Error::InvalidSpec { field: PIPEFAIL, reason });
        }
        Some(wanted) => wanted,
        None => is_on,
    };
    if is_added {
        options.extend(["-o", PIPEFAIL].map(str::to_owned));
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(shell: &str, wanted: Option<bool>) -> Result<String, String> {
        let words: Vec<_> = shell.split(' ').map(str::to_owned).collect();
        let options = options(Path::new(&words[0]), words[1..].to_vec(), wanted).map_err(|error| error.to_string())?;
        Ok([&words[..1], &options].concat().join(" "))
    }

    #[test]
    fn bash_has_it_by_default() {
        for (given, wanted, expected) in [
            ("/bin/bash", None, "/bin/bash -o pipefail"),
            ("/bin/bash -l", None, "/bin/bash -l -o pipefail"),
            ("/bin/bash -o pipefail", None, "/bin/bash -o pipefail"),
            ("/bin/bash +o pipefail", None, "/bin/bash +o pipefail"),
            ("/bin/bash -euo pipefail", Some(false), "/bin/bash -euo pipefail"),
            ("/bin/sh +o pipefail", Some(true), "/bin/sh +o pipefail"),
            ("/bin/bash", Some(false), "/bin/bash"),
            ("/bin/bash -i", Some(true), "/bin/bash -i -o pipefail"),
            ("/bin/zsh", Some(true), "/bin/zsh -o pipefail"),
            ("/bin/zsh", None, "/bin/zsh"),
            ("/bin/sh -e", None, "/bin/sh -e"),
            ("/bin/sh", Some(false), "/bin/sh"),
            ("/usr/bin/fish", None, "/usr/bin/fish"),
        ] {
            assert_eq!(shell(given, wanted).as_deref(), Ok(expected), "{given} {wanted:?}");
        }
        for given in ["/bin/sh", "/bin/dash -e", "/usr/bin/fish"] {
            assert!(shell(given, Some(true)).unwrap_err().contains("such as `bash`"), "{given}");
        }
    }
}
