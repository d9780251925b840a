//! The kernel, this program, and the limits that jobs run under.

use std::fs;
use std::path::{Path, PathBuf};

use super::report::{Doubt, Finding, Report};
use crate::id::JobId;
use crate::queue::{self, LoadCondition};
use crate::sys::load::Readings;
use crate::sys::{cgroup, limits, namespace, own, process, user, world};
use crate::units::format_size;
use crate::words::counted;

/// The oldest kernel that docs/guarantees.md covers.
const OLDEST_KERNEL: (u32, u32) = (5, 10);
/// A supervisor has about twenty open descriptors; a front end that waits for many jobs has two per job.
const FEW_DESCRIPTORS: u64 = 256;
/// The pipes of a job: two, of four pages each.
const PIPE_PAGES: u64 = 8;
/// The minimum number of processes of a job: its supervisor and its command.
const JOB_PROCESSES: u64 = 2;
/// The number of jobs to plan for if it is not limited.
const MANY_JOBS: u32 = 100;

/// The files in which a system describes itself. A file that does not exist says nothing.
pub(super) struct Machine {
    root: PathBuf,
}

impl Machine {
    pub(super) fn own() -> Self {
        Self::at(Path::new("/"))
    }

    pub(super) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub(super) fn read(&self, path: &str) -> Option<String> {
        fs::read(self.path(path)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn number(&self, path: &str) -> Option<u64> {
        self.read(path)?.trim().parse().ok()
    }

    /// Returns the names in a directory.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(path)).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Returns the name of this user, if it is known on this machine.
    pub(super) fn user_name(&self) -> Option<String> {
        let uid = user::id().to_string();
        let passwd = self.read("etc/passwd")?;
        let mut users = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        users.find(|fields| fields.get(2) == Some(&uid.as_str()))?.first().map(|name| (*name).to_owned())
    }
}

pub(super) fn examine(machine: &Machine, own_job: Option<JobId>, max_running: u32, report: &mut Report) {
    let jobs = if max_running == 0 { MANY_JOBS } else { max_running };
    let steps = [
        ("kernel", machine.read("proc/sys/kernel/osrelease").map(|release| kernel(release.trim()))),
        ("program", own::program().and_then(fs::read).ok().and_then(|elf| program(&elf))),
        ("descriptors", Some(descriptors())),
        ("file_size", file_size()),
        ("processes", processes(machine, jobs)),
        ("pipes", pipes(machine, jobs)),
        ("cgroup", control_group(machine, jobs)),
        ("memory", Some(memory(cgroup::can_limit_memory()))),
        ("proc", foreign_proc(namespace::has_foreign_proc())),
        ("proc", machine.read("proc/self/mounts").and_then(|mounts| hidepid(&mounts))),
        ("container", container(namespace::own("pid").unwrap_or(0), machine.read("proc/1/comm").as_deref())),
        ("sandbox", sandbox(world::capture().is_ok_and(|world| world.sandboxed))),
        ("nested", own_job.map(nested)),
    ];
    for (name, finding) in steps {
        if let Some(finding) = finding {
            report.add(name, finding);
        }
    }
}

/// Returns whether this system reports the figures that the guard of the store needs, if it has a guard.
pub(super) fn guard(machine: &Machine, guard: &[LoadCondition]) -> Option<Finding> {
    if guard.is_empty() {
        return None;
    }
    let known = queue::check_known(guard, &Readings::of(&machine.path("proc")));
    let advice = "start the kernel with `psi=1`, or change the setting `guard`";
    Some(known.map_err(|reason| Doubt::degraded(reason).advise(advice)).map(|()| {
        let conditions: Vec<_> = guard.iter().map(|condition| format!("`{condition}`")).collect();
        format!("reported: {}", conditions.join(", "))
    }))
}

fn kernel(release: &str) -> Finding {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let version = numbers.next().and_then(Result::ok).zip(numbers.next().and_then(Result::ok));
    if version.is_some_and(|version| version < OLDEST_KERNEL) {
        let (major, minor) = OLDEST_KERNEL;
        let detail = format!("Linux {release}: versions before {major}.{minor} are not supported");
        return Err(Doubt::degraded(detail).advise(format!("Linux {major}.{minor} or later")));
    }
    // A filter of system calls may refuse what the kernel supports.
    if let Err(error) = process::check_open() {
        let detail = format!(
            "Linux {release} without pidfd_open(2) ({error}): waiting has to poll, and signals \
                              cannot be sent"
        );
        return Err(
            Doubt::degraded(detail).advise("permit this system call in the filter of this sandbox or container")
        );
    }
    Ok(format!("Linux {release}"))
}

/// Examines an ELF file, elf(5): whether it is the static program without relocation that a supervisor should be.
fn program(elf: &[u8]) -> Option<Finding> {
    const EXEC: u16 = 2;
    const INTERP: u32 = 3;
    // Only the two 64-bit formats that current machines use; nothing is reported about others.
    let little = match elf.get(..6)? {
        [0x7f, b'E', b'L', b'F', 2, 1] => true,
        [0x7f, b'E', b'L', b'F', 2, 2] => false,
        _ => return None,
    };
    let number = |at: usize, length: usize| {
        let mut bytes: Vec<u8> = elf.get(at..at.checked_add(length)?)?.to_vec();
        if little {
            bytes.reverse();
        }
        Some(bytes.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte)))
    };
    let is_fixed = number(16, 2)? == u64::from(EXEC);
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let kind = |index: u64| number(usize::try_from(table.checked_add(index * size)?).ok()?, 4);
    let is_dynamic = (0..count).any(|index| kind(index) == Some(u64::from(INTERP)));
    if is_fixed && !is_dynamic {
        return Some(Ok("static and not relocated, as it should be".to_owned()));
    }
    let how = if is_dynamic { "linked dynamically" } else { "relocated when it starts" };
    let detail = format!("it is {how}: it takes twice as long to start, and each running job needs 0.5 MB more");
    let advice = "build with RUSTFLAGS=\"-Ctarget-feature=+crt-static -Crelocation-model=static\" and `--target`";
    Some(Err(Doubt::degraded(detail).advise(advice)))
}

fn descriptors() -> Finding {
    match limits::open_files() {
        Some(limit) if limit < FEW_DESCRIPTORS => {
            let detail = format!("{limit} open files per process: waiting for jobs uses two open files per job");
            Err(Doubt::degraded(detail).advise(format!("`ulimit -n {}`", FEW_DESCRIPTORS * 4)))
        }
        Some(limit) => Ok(format!("{limit} open files per process")),
        None => Ok("not limited".to_owned()),
    }
}

/// The soft limit is for commands; the hard limit applies to supervisors.
fn file_size() -> Option<Finding> {
    let limit = limits::largest_file()?;
    let detail =
        format!("no file may be larger than {} (hard limit): output beyond that may be dropped", format_size(limit));
    Some(Err(Doubt::degraded(detail).advise("raise `fsize` in limits.conf(5)")))
}

fn processes(machine: &Machine, jobs: u32) -> Option<Finding> {
    let limit = limits::processes()?;
    // The limit does not apply to root.
    if user::is_root() {
        return None;
    }
    let pids = machine.names("proc").into_iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let threads = |pid: String| owned_threads(&machine.read(&format!("proc/{pid}/status"))?, user::id());
    let used = pids.filter_map(threads).sum();
    Some(judge_processes("the user", used, limit, jobs))
}

/// Returns how many threads a process has, if it is this user's: each counts.
fn owned_threads(status: &str, uid: u32) -> Option<u64> {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let owner: u32 = field("Uid:")?.split_whitespace().next()?.parse().ok()?;
    (owner == uid).then(|| field("Threads:")?.trim().parse().ok())?
}

fn judge_processes(whose: &str, used: u64, limit: u64, jobs: u32) -> Finding {
    let free = limit.saturating_sub(used);
    if free < u64::from(jobs) * JOB_PROCESSES {
        let (free, jobs) = (counted(free, "more process", "more processes"), counted(jobs, "job", "jobs"));
        let detail = format!("{whose} may start {free} of {limit}: too few for {jobs}");
        return Err(Doubt::degraded(detail).advise("raise the limit (`ulimit -u`, `pids.max`), or lower `max_running`"));
    }
    Ok(format!("{free} more may be started"))
}

fn pipes(machine: &Machine, jobs: u32) -> Option<Finding> {
    let pages = machine.number("proc/sys/fs/pipe-user-pages-soft")?;
    // The limit does not apply to root.
    (!user::is_root()).then(|| judge_pipes(pages, jobs))
}

fn judge_pipes(pages: u64, jobs: u32) -> Finding {
    if pages != 0 && pages < u64::from(jobs) * PIPE_PAGES {
        let (pages, jobs) = (counted(pages, "page", "pages"), counted(jobs, "job", "jobs"));
        let detail = format!("{pages} for all pipes of the user: the pipes of {jobs} would be small and slow");
        return Err(Doubt::degraded(detail).advise("raise `fs.pipe-user-pages-soft` with sysctl(8)"));
    }
    Ok("room for the pipes of all jobs".to_owned())
}

/// Examines the limits of this program's cgroup and of all those above it: they apply to jobs as well.
fn control_group(machine: &Machine, jobs: u32) -> Option<Finding> {
    let own = machine.read("proc/self/cgroup")?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?.to_owned();
    let base = ["sys/fs/cgroup", "sys/fs/cgroup/unified"].into_iter();
    let base = base.rev().find(|base| machine.path(base).join("cgroup.controllers").exists())?;
    let mut memory = None;
    for directory in Path::new(&path).ancestors() {
        let file = |name: &str| format!("{base}/{}", directory.join(name).display());
        if let Some(limit) = machine.number(&file("pids.max")) {
            let used = machine.number(&file("pids.current")).unwrap_or(0);
            let judged = judge_processes("this control group", used, limit, jobs);
            if judged.is_err() {
                return Some(judged);
            }
        }
        if let Some(limit) = machine.number(&file("memory.max")) {
            if machine.read(&file("memory.oom.group")).is_some_and(|group| group.trim() == "1") {
                let detail = format!(
                    "when {} of memory are used up, all processes of this control group are killed: jobs and \
                     supervisors",
                    format_size(limit)
                );
                return Some(Err(Doubt::degraded(detail).advise("set `memory.oom.group` to 0 (`OOMPolicy=continue`)")));
            }
            memory = Some(memory.map_or(limit, |least: u64| least.min(limit)));
        }
    }
    memory.map(|limit| Ok(format!("jobs and the programs that submit them share {} of memory", format_size(limit))))
}

/// Reports what the memory limit of a job applies to.
fn memory(together: bool) -> Finding {
    Ok(match together {
        true => "a memory limit applies to all processes of a job together",
        false => "a memory limit applies to each process of a job: no control group is delegated to this user here",
    }
    .to_owned())
}

/// Checks whether `/proc` belongs to another pid namespace.
fn foreign_proc(is_foreign: bool) -> Option<Finding> {
    let detail = "`/proc` belongs to another pid namespace: no job can be started";
    is_foreign.then(|| Err(Doubt::failed(detail).advise(namespace::MOUNT_PROC)))
}

fn hidepid(mounts: &str) -> Option<Finding> {
    let mut lines = mounts.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let proc = lines.rfind(|fields| fields.get(1) == Some(&"/proc"))?;
    let value = proc.get(3)?.split(',').find_map(|option| option.strip_prefix("hidepid="))?;
    if matches!(value, "0" | "off") {
        return None;
    }
    let detail = format!(
        "`/proc` shows only processes of the same user (hidepid={value}): leftovers of a job that run as another user \
                          cannot be named"
    );
    Some(Err(Doubt::degraded(detail).advise("mount it with `hidepid=0`, or run the jobs of one user only")))
}

fn container(namespace: u64, first: Option<&str>) -> Option<Finding> {
    if namespace == 0 || namespace == namespace::FIRST {
        return None;
    }
    let first = first.map_or(String::new(), |name| format!(" (`{}`)", name.trim()));
    let detail = format!("in a container or sandbox: when its process 1{first} ends, all of its jobs end");
    Some(Err(Doubt::degraded(detail).advise("use a process 1 that stays, and keep the store outside")))
}

fn sandbox(sandboxed: bool) -> Option<Finding> {
    let detail = "in a sandbox (no_new_privs, or a filter of system calls): jobs submitted outside are neither \
                  started nor adopted from here, and jobs submitted here stay in the sandbox";
    sandboxed.then(|| Err(Doubt::degraded(detail).advise("submit jobs from outside the sandbox")))
}

fn nested(job: JobId) -> Finding {
    Ok(format!("in job {}: jobs submitted here are not part of it, and outlive it", job.short()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_told_apart_by_their_numbers() {
        assert_eq!(kernel("6.18.44-fc"), Ok("Linux 6.18.44-fc".to_owned()));
        assert!(kernel("5.4.0-150-generic").unwrap_err().detail.contains("before 5.10"));
        assert_eq!(kernel("strange"), Ok("Linux strange".to_owned()));
    }

    /// A header of 64 bytes followed by one row.
    fn elf(kind: u8, segment: u8) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (bytes[16], bytes[32], bytes[54], bytes[56], bytes[64]) = (kind, 64, 56, 1, segment);
        bytes
    }

    #[test]
    fn a_program_is_judged_by_its_header() {
        let health = |elf: &[u8]| program(elf).map(|finding| finding.map_err(|doubt| doubt.detail));
        assert!(health(&elf(2, 1)).unwrap().is_ok());
        assert!(health(&elf(3, 3)).unwrap().unwrap_err().contains("dynamically"));
        assert!(health(&elf(3, 1)).unwrap().unwrap_err().contains("relocated"));
        for nothing in [&b""[..], b"#!/bin/sh", b"\x7fELF\x02\x01torn"] {
            assert_eq!(health(nothing), None);
        }
        let mut endless = elf(2, 1);
        endless[32..40].fill(0xff);
        assert!(program(&endless).is_some());
    }

    #[test]
    fn limits_are_compared_with_the_number_of_jobs() {
        assert!(judge_processes("x", 10, 100, 10).is_ok());
        assert!(judge_processes("x", 95, 100, 10).unwrap_err().detail.contains("5 more processes of 100"));
        assert!(judge_processes("x", 200, 100, 1).is_err());
        assert!(judge_pipes(16_384, 10).is_ok() && judge_pipes(0, 10).is_ok() && judge_pipes(64, 10).is_err());
        let status = "Name:\tx\nUid:\t7\t7\t7\t7\nThreads:\t3\n";
        assert_eq!((owned_threads(status, 7), owned_threads(status, 8), owned_threads("", 7)), (Some(3), None, None));
    }

    #[test]
    fn a_proc_that_hides_processes_is_reported() {
        let of = |options: &str| hidepid(&format!("sys /sys sysfs rw 0 0\nproc /proc proc {options} 0 0\n"));
        assert!(of("rw,hidepid=invisible").unwrap().unwrap_err().detail.contains("hidepid=invisible"));
        assert_eq!((of("rw,relatime"), of("rw,hidepid=0"), hidepid("")), (None, None, None));
        assert_eq!(foreign_proc(false), None);
        assert!(foreign_proc(true).unwrap().unwrap_err().advice.unwrap().contains("--mount-proc"));
    }

    #[test]
    fn a_container_ends_with_its_first_process() {
        assert_eq!(container(namespace::FIRST, Some("systemd\n")), None);
        assert_eq!(container(0, None), None);
        assert!(container(7, Some("node\n")).unwrap().unwrap_err().detail.contains("process 1 (`node`)"));
    }

    #[test]
    fn limits_of_control_groups_count_wherever_they_are_set() {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let machine = Machine::at(directory.path());
        let look = || control_group(&machine, 10);
        assert_eq!(look(), None);
        write("proc/self/cgroup", "0::/a/b\n");
        write("sys/fs/cgroup/cgroup.controllers", "memory pids\n");
        assert_eq!(look(), None);
        write("sys/fs/cgroup/a/b/memory.max", "max\n");
        write("sys/fs/cgroup/a/memory.max", "1073741824\n");
        assert!(look().unwrap().unwrap().contains("1.0 GiB"));
        write("sys/fs/cgroup/a/memory.oom.group", "1\n");
        assert!(look().unwrap().unwrap_err().advice.unwrap().contains("OOMPolicy"));
        write("sys/fs/cgroup/a/b/pids.max", "20\n");
        write("sys/fs/cgroup/a/b/pids.current", "5\n");
        assert!(look().unwrap().unwrap_err().detail.contains("15 more processes of 20"));
    }

    #[test]
    fn a_guard_on_an_unreported_figure_has_no_effect() {
        let directory = tempfile::tempdir().unwrap();
        let machine = Machine::at(directory.path());
        let look = |condition: &str| guard(&machine, &[condition.parse().unwrap()]).unwrap();
        assert_eq!(guard(&machine, &[]), None);
        assert!(look("memory-pressure<10").unwrap_err().detail.contains("has no effect"));
        fs::create_dir(directory.path().join("proc")).unwrap();
        fs::write(directory.path().join("proc/loadavg"), "0.10 0.20 0.30 1/100 7\n").unwrap();
        assert_eq!(look("load<4"), Ok("reported: `load<4`".to_owned()));
    }

    /// A missing file says nothing, and breaks nothing.
    #[test]
    fn an_empty_machine_is_examined_without_findings() {
        let directory = tempfile::tempdir().unwrap();
        let mut report = Report::default();
        examine(&Machine::at(directory.path()), None, 10, &mut report);
        let names: Vec<_> = report.steps.iter().map(|step| step.name).collect();
        for absent in ["kernel", "pipes", "cgroup", "proc", "nested"] {
            assert!(!names.contains(&absent), "{names:?}");
        }
        assert_eq!(report.failed().count(), 0);
    }
}
