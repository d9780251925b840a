//! How each program that keeps jobs is called: to start a job, to wait for it, and to read what is on record.

use std::cell::Cell;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use jobcore::JobId;
use serde_json::Value;
use tempfile::TempDir;

use crate::Outcome;
use crate::process::{reap, run, until};
use crate::stores::{Place, fill};

/// The programs that take a command and run it detached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Jobcore,
    /// The C supervisor of floor.c.
    Floor,
    Nq,
    TaskSpooler,
    Pueue,
    Awaitless,
    /// `setsid nohup`: keeps no record.
    Nohup,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Jobcore, Self::Floor, Self::Nq, Self::TaskSpooler, Self::Pueue, Self::Awaitless, Self::Nohup];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Jobcore => "jobcore",
            Self::Floor => "C floor",
            Self::Nq => "nq",
            Self::TaskSpooler => "tsp",
            Self::Pueue => "pueue",
            Self::Awaitless => "Awaitless",
            Self::Nohup => "setsid nohup",
        }
    }
}

/// The installed programs.
pub(crate) struct Tools {
    pub(crate) jobcli: PathBuf,
    pub(crate) jobmcp: PathBuf,
    /// The directory into which .ci/compare installs.
    directory: PathBuf,
}

impl Tools {
    pub(crate) fn new(jobcli: PathBuf, jobmcp: PathBuf, directory: PathBuf) -> Self {
        Self { jobcli, jobmcp, directory }
    }

    /// A program that was installed for this benchmark, or else the system's.
    pub(crate) fn find(&self, name: &str) -> Option<PathBuf> {
        let places =
            ["", "debian/usr/bin", "cargo/bin", "awaitless/bin", "mcp-background-job/bin", "node_modules/.bin"];
        let installed = places.iter().map(|place| self.directory.join(place));
        let path = env::var_os("PATH").unwrap_or_default();
        installed.chain(env::split_paths(&path)).map(|place| place.join(name)).find(|path| path.is_file())
    }

    pub(crate) fn need(&self, name: &str) -> Outcome<PathBuf> {
        self.find(name).ok_or_else(|| format!("there is no {name}").into())
    }

    /// The path of `work`, whose commands are the jobs.
    pub(crate) fn work(&self) -> Outcome<String> {
        Ok(self.need("work")?.into_os_string().into_string().map_err(|_| "the path of work is not text")?)
    }

    fn program(&self, kind: Kind) -> Option<PathBuf> {
        match kind {
            Kind::Jobcore => Some(self.jobcli.clone()),
            Kind::Floor => self.find("floor"),
            Kind::Nq => self.find("nq"),
            Kind::TaskSpooler => self.find("tsp"),
            Kind::Pueue => self.find("pueue").filter(|_| self.find("pueued").is_some()),
            Kind::Awaitless => self.find("awaitless"),
            Kind::Nohup => self.find("setsid"),
        }
    }

    /// The programs that are installed.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(|kind| self.program(*kind).is_some())
    }

    /// The programs that are installed and keep a record.
    pub(crate) fn keepers(&self) -> impl Iterator<Item = Kind> {
        self.kinds().filter(|kind| *kind != Kind::Nohup)
    }

    /// The names of the programs that are not installed.
    pub(crate) fn absent(&self) -> Vec<&'static str> {
        let kinds = Kind::ALL.into_iter().filter(|kind| self.program(*kind).is_none()).map(Kind::name);
        let others = ["parallel", "xargs", "strace", "mcp-background-job", "awaitless-mcp", "bash-command-mcp"];
        kinds.chain(others.into_iter().filter(|name| self.find(name).is_none())).collect()
    }
}

/// A command in an environment of its own: it gets only the `PATH` of the caller.
pub(crate) fn command(program: impl AsRef<Path>, home: &Path) -> Command {
    let mut command = Command::new(program.as_ref());
    command.env_clear().current_dir(home).env("HOME", home).env("TMPDIR", home).env("LC_ALL", "C.UTF-8");
    command.env("PATH", env::var_os("PATH").unwrap_or_default());
    command
}

/// One of the programs, with a record of its own that is removed when this is dropped.
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    program: PathBuf,
    /// How many jobs were started.
    started: Cell<usize>,
    daemon: Option<Child>,
    home: TempDir,
}

/// A store with ended jobs, and their ids from the oldest to the newest.
pub(crate) struct Filled {
    pub(crate) peer: Peer,
    pub(crate) ids: Vec<JobId>,
}

impl Filled {
    pub(crate) fn make(tools: &Tools, place: &Place, count: u32) -> Outcome<Self> {
        let peer = Peer::new(Kind::Jobcore, tools, place)?;
        let ids = fill(&peer.store(), count)?;
        Ok(Self { peer, ids })
    }

    /// Copies the store to another place.
    pub(crate) fn copy(&self, tools: &Tools, place: &Place) -> Outcome<Self> {
        let peer = Peer::new(Kind::Jobcore, tools, place)?;
        run(Command::new("cp").arg("-a").arg(self.peer.store()).arg(peer.store()))?;
        Ok(Self { peer, ids: self.ids.clone() })
    }
}

impl Peer {
    /// Makes an empty record in which `slots` jobs may run at a time, or any number of them if it is 0, if the program
    /// has a limit.
    pub(crate) fn open(kind: Kind, tools: &Tools, place: &Place, slots: usize) -> Outcome<Self> {
        let mut peer = Self::new(kind, tools, place)?;
        let slots_word = slots.to_string();
        match kind {
            Kind::Jobcore => {
                let settings =
                    [("max_running", &*slots_word), ("keep_days", "0"), ("keep_jobs", "0"), ("keep_bytes", "0")];
                for (name, value) in settings {
                    run(peer.command().args(["config", "set", name, value]))?;
                }
            }
            Kind::TaskSpooler => {
                let most = if slots == 0 { "10000" } else { &slots_word };
                run(peer.command().args(["-S", most]))?;
            }
            Kind::Pueue => {
                let settings = peer.home().join("pueue.yml");
                let home = peer.home().display();
                let text = format!(
                    "shared:\n  pueue_directory: {home}/pueue\n  runtime_directory: {home}\n  use_unix_socket: true\n"
                );
                fs::write(&settings, text)?;
                let mut daemon = command(tools.need("pueued")?, peer.home());
                daemon.arg("-c").arg(&settings).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                peer.daemon = Some(daemon.spawn()?);
                until("pueued", || Ok(run(peer.command().arg("status")).ok()))?;
                run(peer.command().args(["parallel", &slots_word]))?;
            }
            Kind::Floor | Kind::Nq | Kind::Awaitless | Kind::Nohup => {}
        }
        Ok(peer)
    }

    /// Opens as many as are needed to run this many jobs at a time, because a queue of nq runs one.
    pub(crate) fn open_for(kind: Kind, tools: &Tools, place: &Place, slots: usize) -> Outcome<Vec<Self>> {
        let count = if kind == Kind::Nq { slots } else { 1 };
        (0..count).map(|_| Self::open(kind, tools, place, slots)).collect()
    }

    fn new(kind: Kind, tools: &Tools, place: &Place) -> Outcome<Self> {
        let program = tools.program(kind).ok_or_else(|| format!("there is no {}", kind.name()))?;
        Ok(Self { kind, program, started: Cell::new(0), daemon: None, home: place.directory()? })
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The directory of jobcore's records.
    pub(crate) fn store(&self) -> PathBuf {
        self.home().join("store")
    }

    /// The program with what it needs to find its record.
    pub(crate) fn command(&self) -> Command {
        let home = self.home();
        let mut command = command(&self.program, home);
        match self.kind {
            Kind::Jobcore => command.env("JOBCORE_STORE", self.store()),
            Kind::Nq => command.env("NQDIR", home),
            Kind::TaskSpooler => command.env("TS_SOCKET", home.join("socket")).env("TS_MAXFINISHED", "100000"),
            Kind::Pueue => command.arg("-c").arg(home.join("pueue.yml")),
            Kind::Awaitless => command.env("AWAITLESS_DATA_DIR", home),
            Kind::Floor | Kind::Nohup => &mut command,
        };
        command
    }

    /// The client that starts this command, with options that only jobcore has.
    pub(crate) fn client(&self, options: &[&str], words: &[&str]) -> Command {
        let mut command = self.command();
        match self.kind {
            Kind::Jobcore => command.arg("run").args(options).arg("--"),
            Kind::Floor => command.arg("run").arg(self.home()),
            Kind::Nq | Kind::TaskSpooler => &mut command,
            Kind::Pueue => command.args(["add", "--print-task-id", "--"]),
            Kind::Awaitless => command.args(["submit", "--"]),
            Kind::Nohup => command.args(["-f", "nohup"]),
        };
        command.args(words);
        command
    }

    /// Starts a job, and returns its id and how many milliseconds the client took.
    pub(crate) fn start(&self, options: &[&str], words: &[&str]) -> Outcome<(String, f64)> {
        let ran = run(&mut self.client(options, words))?;
        self.started.set(self.started.get() + 1);
        Ok((ran.stdout.split_whitespace().next().unwrap_or_default().to_owned(), ran.time))
    }

    /// Starts a job, and returns how long the client took once the job has ended.
    pub(crate) fn settle(&self, words: &[&str]) -> Outcome<f64> {
        let (id, time) = self.start(&[], words)?;
        self.finish(&id)?;
        Ok(time)
    }

    /// The client that waits for the end of a job, if there is one.
    pub(crate) fn wait(&self, id: &str) -> Option<Command> {
        let mut command = self.command();
        match self.kind {
            Kind::Jobcore | Kind::Awaitless => command.args(["wait", id]),
            Kind::Nq | Kind::TaskSpooler => command.args(["-w", id]),
            Kind::Pueue => command.args(["wait", "--quiet", id]),
            Kind::Floor | Kind::Nohup => return None,
        };
        Some(command)
    }

    /// Waits for the end of a job by whatever means the program offers.
    pub(crate) fn finish(&self, id: &str) -> Outcome<()> {
        match self.wait(id) {
            Some(mut wait) => drop(run(&mut wait)?),
            None if self.kind == Kind::Floor => {
                let end = self.home().join(format!("{id}.end"));
                until("an end", || Ok(end.exists().then_some(())))?;
            }
            None => {}
        }
        reap();
        Ok(())
    }

    /// The number of jobs that are on record as successful.
    fn ended(&self) -> Outcome<usize> {
        let asked = |words: &[&str]| run(self.command().args(words)).map(|ran| ran.stdout);
        Ok(match self.kind {
            Kind::Jobcore => {
                let counts: Value = serde_json::from_str(&asked(&["list", "--count", "--json"])?)?;
                usize::try_from(counts["completed"].as_u64().unwrap_or(0))?
            }
            Kind::TaskSpooler => asked(&["-l"])?
                .lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>())
                .filter(|words| words.get(1) == Some(&"finished") && words.get(3) == Some(&"0"))
                .count(),
            Kind::Pueue => asked(&["status", "--json"])?.matches("\"result\":\"Success\"").count(),
            Kind::Awaitless => asked(&["list"])?.matches("exit=0").count(),
            Kind::Nq => self.files(",", "[exited with status 0.]\n")?,
            Kind::Floor => self.files(".end", " 0\n")?,
            Kind::Nohup => self.started.get(),
        })
    }

    /// The number of files with this text in their name and this text at their end.
    fn files(&self, mark: &str, end: &str) -> Outcome<usize> {
        let mut count = 0;
        for entry in fs::read_dir(self.home())? {
            let entry = entry?;
            let is_record = entry.file_name().to_string_lossy().contains(mark);
            count += usize::from(is_record && fs::read_to_string(entry.path())?.ends_with(end));
        }
        Ok(count)
    }

    /// Waits until all jobs that were started have succeeded.
    pub(crate) fn until_all_ended(&self) -> Outcome<()> {
        let count = self.started.get();
        until(&format!("{count} ends of {}", self.kind.name()), || Ok((self.ended()? == count).then_some(())))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let ask = |words: &[&str]| drop(run(self.command().args(words)));
        match self.kind {
            Kind::Jobcore => ask(&["kill", "--all", "--grace", "0"]),
            Kind::TaskSpooler => ask(&["-K"]),
            Kind::Pueue => {
                ask(&["kill", "--all"]);
                ask(&["shutdown"]);
            }
            Kind::Floor | Kind::Nq | Kind::Awaitless | Kind::Nohup => {}
        }
        if let Some(daemon) = &mut self.daemon {
            let _ = daemon.wait();
        }
    }
}
