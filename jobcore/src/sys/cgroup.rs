//! Control groups of version 2, cgroups(7), if this process may make some: as root, or because they are delegated to its user.
//! Everything here is best effort: callers do without when nothing is returned.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::Access;

use super::file;
use super::oom::OomKills;
use super::stat::Stat;

/// Where the hierarchy of version 2 is mounted: alone, or beside those of version 1.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// How often and for how long to retry the removal of a busy group.
const MOMENT: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_millis(100);
/// The processes of a group; writing a number moves that process into it.
const PROCESSES: &str = "cgroup.procs";

/// A group made for a job. It is removed when this is dropped; processes that are still in it are moved back.
#[derive(Debug)]
pub(crate) struct Group {
    directory: PathBuf,
    /// The group from which its processes come.
    outside: PathBuf,
}

impl Group {
    /// Makes a group. Nothing if that is not possible, or processes could not be moved back from it.
    fn make(directory: PathBuf, outside: PathBuf) -> Option<Self> {
        // Checked first: a process that could not be moved back must not be moved away.
        OpenOptions::new().write(true).open(outside.join(PROCESSES)).ok()?;
        match fs::create_dir(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => None,
            _ => Some(Self { directory, outside }),
        }
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        write(&self.directory.join(name), text)
    }

    /// Moves its processes back.
    fn empty(&self) {
        for pid in self.processes() {
            let _ = write(&self.outside.join(PROCESSES), &pid.to_string());
        }
    }

    fn processes(&self) -> HashSet<i32> {
        let text = file::read_text(self.directory.join(PROCESSES)).unwrap_or_default();
        // Processes of other pid namespaces have the number 0, which would mean this one.
        text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.empty();
        // Fails if there are groups below it, of jobs that this one has started.
        let _ = fs::remove_dir(&self.directory);
    }
}

/// A group whose processes are frozen, regardless of signals.
#[derive(Debug)]
pub(crate) struct Freezer(Group);

impl Freezer {
    /// Makes a freezer of this name below the group of a process, or opens it if the process is in it already.
    pub(crate) fn of(pid: i32, name: &str) -> Option<Self> {
        let freezer = Self::around(pid, name).or_else(|| {
            let outside = of(pid)?;
            Some(Self(Group::make(outside.join(name), outside)?))
        })?;
        freezer.0.write("cgroup.freeze", "1").ok()?;
        Some(freezer)
    }

    /// Opens the freezer of this name that a process is in: one left by a supervisor that was killed.
    pub(crate) fn around(pid: i32, name: &str) -> Option<Self> {
        let directory = of(pid).filter(|group| group.ends_with(name))?;
        let outside = directory.parent()?.to_owned();
        Some(Self(Group { directory, outside }))
    }

    /// Moves a process into the freezer, unless another program has moved it to a different group. Returns whether it is in.
    pub(crate) fn take(&self, stat: &Stat) -> bool {
        let number = stat.pid.to_string();
        if of(stat.pid).as_ref() != Some(&self.0.outside) || self.0.write(PROCESSES, &number).is_err() {
            return false;
        }
        // Groups know numbers only: a process that has got this one meanwhile is moved back.
        let is_same = Stat::read(stat.pid).is_none_or(|now| now.start_time == stat.start_time);
        if !is_same {
            let _ = write(&self.0.outside.join(PROCESSES), &number);
        }
        is_same
    }

    /// Returns the processes in the freezer, and whether all of them are frozen.
    pub(crate) fn look(&self) -> (HashSet<i32>, bool) {
        (self.0.processes(), stands_still(&self.0.directory))
    }
}

fn stands_still(group: &Path) -> bool {
    let events = file::read_text(group.join("cgroup.events")).unwrap_or_default();
    events.lines().any(|line| line == "frozen 1")
}

/// Returns whether the group of a process stands still.
#[cfg(any(test, feature = "conformance"))]
pub(crate) fn is_frozen(pid: i32) -> bool {
    of(pid).is_some_and(|group| stands_still(&group))
}

impl Drop for Freezer {
    fn drop(&mut self) {
        // While they are frozen: none of them can fork another process into the group.
        self.0.empty();
        let _ = self.0.write("cgroup.freeze", "0");
        // A process that is just ending cannot be moved, and keeps the group busy for a moment.
        let until = Instant::now() + PATIENCE;
        while fs::remove_dir(&self.0.directory).is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy)
            && Instant::now() < until
        {
            thread::sleep(MOMENT);
            self.0.empty();
        }
    }
}

/// A group that limits the memory of all its processes together.
#[derive(Debug)]
pub(crate) struct MemoryGroup(Group);

/// Stands for the process that writes it, cgroups(7).
const SELF: &str = "0";

impl MemoryGroup {
    /// Makes a group of this name with a limit in bytes, and moves this process into it, so that its new children are in it too.
    /// Its parent is the nearest ancestor of this process's group that enables the memory controller for its children.
    pub(crate) fn enter(name: &str, limit: u64) -> Option<Self> {
        let outside = of(i32::try_from(process::id()).ok()?)?;
        let parent = outside.ancestors().find(|group| enables_memory(group))?;
        let group = Group::make(parent.join(name), outside.clone())?;
        group.write("memory.max", &limit.to_string()).ok()?;
        group.write(PROCESSES, SELF).ok()?;
        Some(Self(group))
    }

    /// Opens the group of this name that a process is in, or was before it was paused.
    pub(crate) fn around(pid: i32, name: &str) -> Option<Self> {
        let group = of(pid)?;
        let directory = group.ancestors().find(|group| group.ends_with(name))?.to_owned();
        let outside = directory.parent()?.to_owned();
        Some(Self(Group { directory, outside }))
    }

    /// Returns a count of what the kernel has killed in the group.
    pub(crate) fn oom_kills(&self) -> Option<OomKills> {
        OomKills::in_file(self.0.directory.join("memory.events"))
    }

    /// Moves this process back.
    pub(crate) fn leave(&self) {
        let _ = write(&self.0.outside.join(PROCESSES), SELF);
    }
}

/// Returns whether a job started by this process can probably have a [`MemoryGroup`].
pub(crate) fn can_limit_memory() -> bool {
    let own = i32::try_from(process::id()).ok().and_then(of);
    own.is_some_and(|own| {
        let parent = own.ancestors().find(|group| enables_memory(group));
        parent.is_some_and(is_writable) && is_writable(&own.join(PROCESSES))
    })
}

fn is_writable(path: &Path) -> bool {
    rustix::fs::access(path, Access::WRITE_OK).is_ok()
}

fn enables_memory(group: &Path) -> bool {
    let handed_on = file::read_text(group.join("cgroup.subtree_control")).unwrap_or_default();
    handed_on.split_whitespace().any(|controller| controller == "memory")
}

/// Returns the directory of the group that a process is in.
fn of(pid: i32) -> Option<PathBuf> {
    let groups = file::read_text(format!("/proc/{pid}/cgroup")).ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mut groups = MOUNTS.iter().map(|mount| Path::new(mount).join(path));
    groups.find(|group| group.join("cgroup.events").exists() || group.join("cgroup.controllers").exists())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_frozen_process_is_moved_back() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let (before, name) = (of(pid), format!("jobcore-test-{pid}.paused"));
        match Freezer::of(pid, &name) {
            Some(freezer) => {
                let stat = Stat::read(pid).unwrap();
                let mut another = stat.clone();
                another.start_time += 1;
                assert!(!freezer.take(&another), "another process that had this number");
                assert_eq!(of(pid), before);
                assert!(freezer.take(&stat) && !freezer.take(&stat), "it is in already");
                while !freezer.look().1 {
                    std::thread::yield_now();
                }
                assert_eq!(freezer.look().0, HashSet::from([pid]));
                let again = Freezer::around(pid, &name).unwrap();
                assert!(Freezer::around(pid, "another.paused").is_none());
                let directory = again.0.directory.clone();
                std::mem::forget(again);
                drop(freezer);
                assert!(!directory.exists());
            }
            // The end-to-end tests report that.
            None => assert!(!is_writable(&before.clone().unwrap_or_default().join(PROCESSES))),
        }
        assert_eq!(of(pid), before);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn the_memory_controller_is_recognised_by_its_name() {
        let group = tempfile::tempdir().unwrap();
        assert!(!enables_memory(group.path()));
        for (controllers, expected) in [("cpu memory pids\n", true), ("cpu pids\n", false), ("memoryless\n", false)] {
            fs::write(group.path().join("cgroup.subtree_control"), controllers).unwrap();
            assert_eq!(enables_memory(group.path()), expected);
        }
    }
}
