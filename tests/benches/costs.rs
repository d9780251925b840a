//! Counts what the released programs cost, independently of the load of the machine: system calls, inodes,
//! instructions, and the memory of a supervisor. The table below has the last number of each, which may be exceeded by
//! five per cent.
//!
//! `.ci/costs` runs this; with `--update` it prints the table as it is now.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What is counted, and its last number.
const TODAY: &[(&str, u64)] = &[
    ("system calls of `run -- true`", 121),
    ("system calls of its supervisor", 149),
    ("system calls of `status`", 43),
    ("system calls of `list`", 93),
    ("system calls of `wait` for an ended job", 74),
    ("inodes of a job that prints nothing", 5),
    ("inodes of a job that prints", 7),
    ("thousand instructions of `run -- true` for a job that waits", 1324),
    ("thousand instructions of `status`", 417),
    ("thousand instructions of `list`", 1086),
    ("thousand instructions of `wait` for an ended job", 816),
    ("kB of private memory of a supervisor", 77),
];
/// The number of supervisors whose memory is measured.
const SUPERVISORS: u64 = 16;
/// The fraction by which a number may grow.
const SLACK: f64 = 0.05;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Outcome<()> {
    let mut arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let is_update =
        arguments.iter().position(|argument| argument == "--update").map(|at| arguments.remove(at)).is_some();
    let [jobcli] = arguments.as_slice() else { return Err("usage: costs [--update] JOBCLI".into()) };
    let home = tempfile::tempdir()?;
    let costs = Costs { jobcli: fs::canonicalize(jobcli)?, home: home.path().to_owned() };
    let counted = costs.count()?;
    let mut exceeded = Vec::new();
    for ((what, today), now) in TODAY.iter().zip(&counted) {
        if is_update {
            writeln!(std::io::stdout(), "    (\"{what}\", {now}),")?;
        } else if *now as f64 > *today as f64 * (1.0 + SLACK) {
            exceeded.push(format!("{what}: {now}, and it was {today}"));
        }
    }
    match exceeded.is_empty() {
        true => Ok(()),
        false => Err(exceeded.join("\n").into()),
    }
}

/// What a trace shows of a command and all that it started.
struct Traced {
    front_end: u64,
    /// How each other process was executed, and its system calls from then on.
    others: Vec<(String, u64)>,
    /// How many files, directories and pipes were made in the store.
    inodes: u64,
}

struct Costs {
    jobcli: PathBuf,
    home: PathBuf,
}

impl Costs {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(&self.home).stdin(Stdio::null());
        // The size of the caller's environment affects the count.
        command.env_clear().env("HOME", &self.home).env("PATH", "/usr/bin:/bin").env("JOBCORE_STORE", self.store());
        command
    }

    fn store(&self) -> PathBuf {
        self.home.join("store")
    }

    fn jobcli(&self) -> &str {
        self.jobcli.to_str().expect("a path of text")
    }

    fn run(&self, words: &[&str]) -> Outcome<String> {
        let ran = self.command(words).output()?;
        match ran.status.success() {
            true => Ok(String::from_utf8(ran.stdout)?.trim_end().to_owned()),
            false => Err(format!("{words:?}: {}", String::from_utf8_lossy(&ran.stderr)).into()),
        }
    }

    fn count(&self) -> Outcome<Vec<u64>> {
        let verb = |words: &[&str]| self.run(&[&[self.jobcli()], words].concat());
        // The first job makes the store with its index and events.
        let id = verb(&["run", "--wait", "--", "true"])?;
        self.settle(&id)?;
        let (front_end, supervisor, silent) = self.trace_job(&["true"])?;
        let (_, _, printing) = self.trace_job(&["echo", "hi"])?;
        let verbs: [&[&str]; 3] = [&["status", &id], &["list"], &["wait", &id]];
        let mut counted = vec![front_end, supervisor];
        for words in verbs {
            counted.push(self.trace(words)?.front_end);
        }
        counted.extend([silent, printing]);
        counted.push(self.instructions_of_waiting()?);
        for words in verbs {
            counted.push(self.instructions(words)?);
        }
        counted.push(self.memory()?);
        Ok(counted)
    }

    /// Waits until the supervisor of a job is gone.
    fn settle(&self, id: &str) -> Outcome<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.supervisor(id)?.is_some() {
            if Instant::now() > deadline {
                return Err("a supervisor does not end".into());
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Returns the supervisor of a job.
    fn supervisor(&self, id: &str) -> Outcome<Option<u32>> {
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if line.starts_with(b"jobcore-supervisor\0")
                && line.split(|byte| *byte == 0).any(|word| word == id.as_bytes())
            {
                return Ok(Some(pid));
            }
        }
        Ok(None)
    }

    /// Traces a command and all that it starts. The system calls that posix_spawn(3) makes in a new process before the
    /// program is executed are left out: they depend on the C library.
    fn trace(&self, words: &[&str]) -> Outcome<Traced> {
        let traces = tempfile::tempdir()?;
        let output = traces.path().join("trace");
        let output = output.to_str().expect("a path of text");
        self.run(&[&["strace", "-f", "-ff", "-qq", "-s", "4096", "-o", output, self.jobcli()], words].concat())?;
        let mut traced = Traced { front_end: 0, others: Vec::new(), inodes: 0 };
        for trace in fs::read_dir(traces.path())? {
            let text = fs::read_to_string(trace?.path())?;
            let calls: Vec<&str> =
                text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase())).collect();
            traced.inodes += calls.iter().filter(|call| makes_inode(call, &self.store())).count() as u64;
            let executed = calls.iter().position(|call| call.starts_with("execve(") && call.ends_with(" = 0"));
            let Some(executed) = executed else { continue };
            let count = (calls.len() - executed) as u64;
            match executed {
                0 => traced.front_end = count,
                _ => traced.others.push((calls[executed].to_owned(), count)),
            }
        }
        Ok(traced)
    }

    fn trace_job(&self, words: &[&str]) -> Outcome<(u64, u64, u64)> {
        let Traced { front_end, others, inodes } = self.trace(&[&["run", "--"], words].concat())?;
        let supervisor = others.iter().find(|(call, _)| call.contains("jobcore-supervisor")).map(|(_, count)| *count);
        Ok((front_end, supervisor.ok_or("no supervisor was traced")?, inodes))
    }

    /// Counts the instructions of submitting a job that waits for another. A job that starts at once cannot start here,
    /// because under valgrind `/proc/self/exe` is valgrind itself.
    fn instructions_of_waiting(&self) -> Outcome<u64> {
        self.run(&[self.jobcli(), "config", "set", "max_running", "1"])?;
        let id = self.run(&[self.jobcli(), "run", "--", "sleep", "1000"])?;
        let counted = self.instructions(&["run", "--", "true"])?;
        self.run(&[self.jobcli(), "kill", &id])?;
        self.settle(&id)?;
        self.run(&[self.jobcli(), "config", "set", "max_running", "0"])?;
        Ok(counted)
    }

    /// Counts the instructions of a command, in thousands.
    fn instructions(&self, words: &[&str]) -> Outcome<u64> {
        let options = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"];
        let ran = self.command(&[&options, &[self.jobcli()][..], words].concat()).output()?;
        let text = String::from_utf8(ran.stderr)?;
        let line = text.lines().find_map(|line| line.split_once("Collected : ")).ok_or_else(|| text.clone())?.1;
        Ok(line.trim().parse::<u64>()? / 1000)
    }

    /// Returns how many kB belong to the supervisor of a job alone, on average: where the kernel puts the stack makes a
    /// difference of a page or two.
    fn memory(&self) -> Outcome<u64> {
        let kilobytes = (0..SUPERVISORS).map(|_| self.memory_of_one()).collect::<Outcome<Vec<_>>>()?;
        Ok(kilobytes.iter().sum::<u64>() / SUPERVISORS)
    }

    fn memory_of_one(&self) -> Outcome<u64> {
        let id = self.run(&[self.jobcli(), "run", "--", "sleep", "1000"])?;
        self.run(&[self.jobcli(), "wait", "--until", "quiet:100ms", &id])?;
        let pid = self.supervisor(&id)?.ok_or("the supervisor is gone")?;
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        // Private and dirty pages do not qualify: those of a freshly linked program count as dirty until they are on
        // the disk.
        let fields = rollup.lines().filter(|line| line.starts_with("Anonymous:"));
        let kilobytes = fields.filter_map(|line| line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()).sum();
        self.run(&[self.jobcli(), "kill", &id])?;
        self.settle(&id)?;
        Ok(kilobytes)
    }
}

/// Returns whether a system call made a file in a directory.
fn makes_inode(call: &str, directory: &Path) -> bool {
    let makes = ["mkdir(", "mkdirat(", "mknod(", "mknodat("].iter().any(|name| call.starts_with(name))
        || (call.starts_with("open") && call.contains("O_CREAT|O_EXCL"));
    makes && call.contains(directory.to_str().expect("a path of text")) && !call.contains(" = -1 ")
}
