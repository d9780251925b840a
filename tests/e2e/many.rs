//! A thousand jobs at once, and all of them stopped by one command.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::needs;
use crate::support::{JOBCLI, Ran, TestEnv, wait_for};

const COUNT: usize = 1000;
const SUBMITTERS: usize = 4;
/// The user `nobody`.
const UNPRIVILEGED: u32 = 65_534;
/// The size of a new pipe on Linux, unless its user has too much in pipes already; see pipe(7).
const PIPE_SIZE: &str = "65536";

/// The user that the jobs belong to. When this is dropped, all jobs are stopped, even if the test failed.
struct World<'e> {
    env: &'e TestEnv,
    user: Option<u32>,
}

impl World<'_> {
    fn command(&self, program: &str) -> Command {
        let mut command = self.env.command(program);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    fn jobcli(&self, arguments: &[&str]) -> String {
        let mut command = self.command(JOBCLI);
        command.args(arguments);
        let ran = Ran::of(command);
        assert_eq!(ran.code, Some(0), "{ran}");
        ran.stdout
    }

    /// Submits all jobs, several at a time.
    fn submit(&self) -> Vec<String> {
        std::thread::scope(|scope| {
            let submitters: Vec<_> = (0..SUBMITTERS)
                .map(|_| {
                    let mut command = self.command(env!("CARGO_BIN_EXE_submit-with"));
                    let count = (COUNT / SUBMITTERS).to_string();
                    command.arg(self.env.store()).args([JOBCLI, &count, "sleep", "1000"]);
                    scope.spawn(move || Ran::of(command))
                })
                .collect();
            let submitted = submitters.into_iter().flat_map(|submitter| {
                let ran = submitter.join().unwrap();
                assert_eq!(ran.code, Some(0), "{ran}");
                ran.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
            });
            submitted.collect()
        })
    }

    fn statuses(&self) -> Vec<String> {
        let jobs: Vec<serde_json::Value> = serde_json::from_str(&self.jobcli(&["list", "--all", "--json"])).unwrap();
        jobs.iter().map(|job| job["status"].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        let mut command = self.command(JOBCLI);
        let _ = command.args(["kill", "--all", "--grace", "0s"]).output();
    }
}

#[test]
fn a_thousand_jobs_are_stopped_by_one_command() {
    let env = TestEnv::new();
    start_and_stop(&World { env: &env, user: None });
}

#[test]
fn a_thousand_jobs_leave_an_unprivileged_user_working_pipes() {
    if !needs::root() {
        return;
    }
    let env = TestEnv::without_store();
    std::os::unix::fs::chown(env.dir(), Some(UNPRIVILEGED), Some(UNPRIVILEGED)).unwrap();
    start_and_stop(&World { env: &env, user: Some(UNPRIVILEGED) });
}

fn start_and_stop(world: &World<'_>) {
    let begun = Instant::now();
    world.jobcli(&["config", "set", "max_running", "0"]);
    let mut ids = world.submit();
    let submitted = begun.elapsed();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), COUNT);
    wait_for("all commands to run", || (sleepers(world.env) == COUNT).then_some(()));
    assert_eq!(world.statuses(), vec!["running"; COUNT]);

    // Pipes are limited for each user, and not at all for a privileged one.
    let mut pipe_size = world.command(env!("CARGO_BIN_EXE_submit-with"));
    pipe_size.arg("pipe-size");
    let pipe_size = Ran::of(pipe_size);
    let mut piped = world.command("/bin/sh");
    piped.args(["-c", "head -c 1000000 /dev/zero | cat | wc -c"]);
    let piped = Ran::of(piped);

    let begun = Instant::now();
    let told = world.jobcli(&["kill", "--all"]);
    let stopped = begun.elapsed();
    assert_eq!(told.lines().filter(|line| line.ends_with(": killed")).count(), COUNT, "{told}");
    // The answer is true when it is printed; supervisors themselves may take a moment longer.
    assert_eq!(sleepers(world.env), 0);
    assert_eq!(world.statuses(), vec!["killed"; COUNT]);
    world.env.wait_until_empty();
    tell(submitted, stopped);

    assert_eq!(piped.stdout.trim(), "1000000", "{piped}");
    assert_eq!(pipe_size.stdout.trim(), PIPE_SIZE, "a thousand jobs took the user's pipe budget: {pipe_size}");
}

/// The number of commands of jobs that are alive.
fn sleepers(env: &TestEnv) -> usize {
    env.processes().iter().filter(|line| line.ends_with(" sleep 1000 ")).count()
}

#[expect(clippy::print_stderr, reason = "worth a look in the log, and no reason to fail")]
fn tell(submitted: Duration, stopped: Duration) {
    eprintln!("{COUNT} jobs: submitted in {submitted:?}, stopped in {stopped:?}");
}
