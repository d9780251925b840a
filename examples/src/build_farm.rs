//! A small build farm: builds each target once its dependencies are built, as many at a time as there are processors.
//!
//! `build_farm STORE PLAN [PROGRAM [ARGUMENT...]]` takes a plan of lines `TARGET: NEED... = COMMAND`, and runs PROGRAM
//! as a child of its own when everything is built. It may be killed at any time, even by `kill -9`: jobs that have been
//! submitted continue, and the next call with the same plan takes up from there. Nothing is built twice as long as its
//! job is on record.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use jobcore::wait::WaitFor;
use jobcore::{FileStore, JobId, JobManager, JobSpec, LocalRunner, Name, Status};

const USAGE: &str = "usage: build_farm STORE PLAN [PROGRAM [ARGUMENT...]]";

/// A target of the plan.
struct Target {
    name: String,
    needs: BTreeSet<String>,
    command: String,
}

impl Target {
    fn parse(line: &str) -> Option<Self> {
        let (target, command) = line.split_once('=')?;
        let (name, needs) = target.split_once(':')?;
        let needs = needs.split_whitespace().map(str::to_owned).collect();
        Some(Self { name: name.trim().to_owned(), needs, command: command.trim().to_owned() })
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // First thing in main: this program is also started as the supervisor of each job.
    jobcore::supervisor::run_if_asked();
    let mut arguments = std::env::args_os().skip(1);
    let store = arguments.next().ok_or(USAGE)?;
    let plan = std::fs::canonicalize(arguments.next().ok_or(USAGE)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if !runtime.block_on(build(store.as_ref(), &plan))? {
        return Ok(ExitCode::FAILURE);
    }
    // An ordinary child: jobs are not children of this program, and their supervisors are reaped one by one.
    let Some(program) = arguments.next() else { return Ok(ExitCode::SUCCESS) };
    let status = Command::new(program).args(arguments).status()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Builds the targets that are not built yet, and returns whether all of them are built.
async fn build(store: &Path, plan: &Path) -> Result<bool, Box<dyn Error>> {
    let mut waiting = Vec::new();
    for line in std::fs::read_to_string(plan)?.lines().filter(|line| !line.trim().is_empty()) {
        waiting.push(Target::parse(line).ok_or_else(|| format!("`{line}` is not `TARGET: NEED... = COMMAND`"))?);
    }
    let jobs = JobManager::new(Arc::new(FileStore::open(store)?), Arc::new(LocalRunner::new()?))?;
    let farm: Name = "farm".parse()?;
    let processors = u32::try_from(std::thread::available_parallelism()?.get())?;
    let group = farm.clone();
    jobs.change_settings(move |settings| settings.set_group(group.clone(), processors)).await?;

    let mut out = std::io::stdout();
    let (mut building, mut built, mut failed) = (Vec::<(JobId, String)>::new(), BTreeSet::new(), 0);
    loop {
        for target in waiting.extract_if(.., |target| target.needs.is_subset(&built)) {
            let job = jobs.submit(spec(&target, plan, &farm)?).await?;
            building.push((job.id, target.name));
        }
        if building.is_empty() {
            break;
        }
        let ids: Vec<_> = building.iter().map(|(id, _)| *id).collect();
        let waited = jobs.wait(&ids, WaitFor::Any, None).await?;
        let first = waited.first.ok_or("a wait without a limit ends with a job")?;
        let (id, name) = building.swap_remove(first);
        let status = waited.jobs[first].status();
        if status == Status::Completed {
            writeln!(out, "{name}: built")?;
            built.insert(name);
        } else {
            // With the same key the result stays the same: remove the job once the cause is fixed.
            writeln!(out, "{name}: {status}, see job {id}")?;
            failed += 1;
        }
    }
    // The remaining targets need one that failed, one that is not in the plan, or themselves.
    writeln!(out, "{} built, {failed} failed, {} not tried", built.len(), waiting.len())?;
    Ok(failed == 0 && waiting.is_empty())
}

/// Describes the job that builds a target. Its key makes it safe to submit the job again.
fn spec(target: &Target, plan: &Path, farm: &Name) -> Result<JobSpec, Box<dyn Error>> {
    let directory = plan.parent().ok_or("a plan is in a directory")?;
    let spec = JobSpec::shell(&target.command).cwd(directory).inherit_env();
    Ok(spec.key(format!("farm {}", target.name)).label("target", &target.name).group(farm.clone()).build()?)
}
