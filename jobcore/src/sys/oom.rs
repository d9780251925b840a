//! Whether the kernel killed a process because memory ran out. It reports that only by a counter in each control group,
//! cgroups(7).

use std::path::{Path, PathBuf};

/// How many processes the kernel had killed in the control group of a process at the first look.
#[derive(Debug)]
pub(crate) struct OomKills {
    file: PathBuf,
    before: u64,
}

impl OomKills {
    /// Begins to count in the control group of a process; `self` is this one. `None` if the kernel does not count.
    pub(crate) fn of(process: &str) -> Option<Self> {
        Self::at("/".as_ref(), process)
    }

    /// Begins to count by a file of a control group.
    pub(super) fn in_file(file: PathBuf) -> Option<Self> {
        Some(Self { before: kills(&file)?, file })
    }

    fn at(root: &Path, process: &str) -> Option<Self> {
        let groups = super::file::read_text(root.join("proc").join(process).join("cgroup")).ok()?;
        groups.lines().flat_map(counters).find_map(|file| Self::in_file(root.join("sys/fs/cgroup").join(file)))
    }

    /// Returns whether the kernel has killed a process since.
    pub(crate) fn have_risen(&self) -> bool {
        kills(&self.file).is_some_and(|now| now > self.before)
    }
}

/// Returns the files that may hold the counter for a line of `/proc/PID/cgroup`. They count kills in that group, but
/// not in the groups below it.
fn counters(line: &str) -> Vec<String> {
    let mut fields = line.splitn(3, ':');
    let (Some(_), Some(controllers), Some(group)) = (fields.next(), fields.next(), fields.next()) else {
        return Vec::new();
    };
    let group = group.trim_start_matches('/');
    match controllers {
        "" => ["", "unified/"].map(|mount| format!("{mount}{group}/memory.events.local")).into(),
        _ if controllers.split(',').any(|controller| controller == "memory") => {
            vec![format!("{controllers}/{group}/memory.oom_control")]
        }
        _ => Vec::new(),
    }
}

fn kills(file: &Path) -> Option<u64> {
    let text = super::file::read_text(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn kills_are_counted_from_the_first_look() {
        for (groups, file, text) in [
            (
                "0::/user/a b\n",
                "user/a b/memory.events.local",
                "low 0\nmax 7\noom 4\noom_kill COUNT\noom_group_kill 0\n",
            ),
            ("0::/\n", "unified//memory.events.local", "oom_kill COUNT\n"),
            (
                "9:name=systemd:/\n4:memory:/x\n0::/\n",
                "memory/x/memory.oom_control",
                "oom_kill_disable 0\nunder_oom 0\noom_kill COUNT\n",
            ),
        ] {
            let root = tempfile::tempdir().unwrap();
            let count =
                |count: &str| write(root.path(), &format!("sys/fs/cgroup/{file}"), &text.replace("COUNT", count));
            write(root.path(), "proc/self/cgroup", groups);
            count("3");
            let kills = OomKills::at(root.path(), "self").unwrap();
            assert!(!kills.have_risen(), "{groups}");
            count("4");
            assert!(kills.have_risen(), "{groups}");
            fs::remove_file(root.path().join("sys/fs/cgroup").join(file)).unwrap();
            assert!(!kills.have_risen(), "the group is gone: {groups}");
        }
    }

    #[test]
    fn nothing_is_known_if_the_kernel_does_not_count() {
        let root = tempfile::tempdir().unwrap();
        assert!(OomKills::at(root.path(), "self").is_none());
        for groups in ["", "0::/a\n", "noise\n", "4:memoryless:/a\n"] {
            write(root.path(), "proc/self/cgroup", groups);
            assert!(OomKills::at(root.path(), "self").is_none(), "{groups}");
        }
        write(root.path(), "proc/self/cgroup", "0::/a\n");
        write(root.path(), "sys/fs/cgroup/a/memory.events.local", "oom 4\n");
        assert!(OomKills::at(root.path(), "self").is_none(), "another counter");
    }
}
