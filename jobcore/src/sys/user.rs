//! The user that this process acts as, and what that user may do.

use std::path::Path;

use rustix::fs::Access;

/// Whether programs keep secrets in a keychain, where files do not show them.
#[cfg(feature = "agents")]
pub(crate) const HAS_KEYCHAIN: bool = cfg!(target_os = "macos");

/// What the system has on record about a user, passwd(5).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) home: String,
    pub(crate) shell: String,
}

/// Returns what the system has on record about this user; `None` if only a directory service has it. Read without the C
/// library, which would load code for that.
pub(crate) fn account() -> Option<Account> {
    account_in(&std::fs::read_to_string("/etc/passwd").ok()?, id())
}

fn account_in(table: &str, id: u32) -> Option<Account> {
    table.lines().find_map(|line| match line.split(':').collect::<Vec<_>>().as_slice() {
        [name, _, number, _, _, home, shell] if number.parse() == Ok(id) => {
            Some(Account { name: (*name).to_owned(), home: (*home).to_owned(), shell: (*shell).to_owned() })
        }
        _ => None,
    })
}

/// What can be done with a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deed {
    Read,
    /// For a directory: enter it.
    Execute,
}

/// Returns the number of the user.
pub(crate) fn id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Returns whether this is root, whom no permission and few limits restrict.
pub(crate) fn is_root() -> bool {
    id() == 0
}

/// Returns whether the user may do this to a file, access(2).
pub(crate) fn may(deed: Deed, path: &Path) -> bool {
    let access = match deed {
        Deed::Read => Access::READ_OK,
        Deed::Execute => Access::EXEC_OK,
    };
    rustix::fs::access(path, access).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_number() {
        let table = "root:x:0:0:root:/root:/bin/bash\nbroken\nann:x:1000:1000:Ann,,,:/home/ann:/bin/zsh\n";
        let ann = Account { name: "ann".to_owned(), home: "/home/ann".to_owned(), shell: "/bin/zsh".to_owned() };
        assert_eq!((account_in(table, 1000), account_in(table, 7)), (Some(ann), None));
    }
}
