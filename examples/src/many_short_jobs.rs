//! A program that has children of its own, starts many short jobs, and keeps track of both.
//!
//! `many_short_jobs STORE COUNT` prints one line about the results, and exits with 0 if all is well.

use std::error::Error;
use std::io::Write;
use std::process::Command;
use std::sync::Arc;

use jobcore::wait::WaitFor;
use jobcore::{FileStore, JobManager, JobSpec, LocalRunner, Status};

fn main() -> Result<(), Box<dyn Error>> {
    // First thing in main: this program is also started as the supervisor of each job.
    jobcore::supervisor::run_if_asked();
    let mut arguments = std::env::args_os().skip(1);
    let store = arguments.next().ok_or("usage: many_short_jobs STORE COUNT")?;
    let count: u32 = arguments.next().and_then(|count| count.to_str()?.parse().ok()).ok_or("COUNT is a number")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(store.as_ref(), count))
}

async fn run(store: &std::path::Path, count: u32) -> Result<(), Box<dyn Error>> {
    let jobs = JobManager::new(Arc::new(FileStore::open(store)?), Arc::new(LocalRunner::new()?))?;
    let mut own_children = Vec::new();
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(jobs.submit(JobSpec::command(["/bin/true"]).build()?).await?.id);
        if number % 100 == 0 {
            own_children.push(Command::new("/bin/sh").args(["-c", "exit 7"]).spawn()?);
        }
    }
    // In batches, because each wait takes a descriptor.
    let mut completed = 0;
    for part in ids.chunks(200) {
        let waited = jobs.wait(part, WaitFor::All, None).await?;
        completed += waited.jobs.iter().filter(|job| job.status() == Status::Completed).count();
    }
    let mut own_codes = 0;
    for child in &mut own_children {
        own_codes += u32::from(child.wait()?.code() == Some(7));
    }
    // The supervisors are reaped by tasks of the runtime, each by its own descriptor.
    let zombies = loop {
        tokio::task::yield_now().await;
        match zombie_children()? {
            0 => break 0,
            _ => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    };
    writeln!(
        std::io::stdout(),
        "{completed} of {count} jobs completed, {own_codes} of {} children reported their exit code, {zombies} zombies",
        own_children.len()
    )?;
    Ok(())
}

fn zombie_children() -> Result<usize, Box<dyn Error>> {
    let own = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children"))?;
    let is_zombie = |pid: &&str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
    };
    Ok(children.split_ascii_whitespace().filter(is_zombie).count())
}
