//! A program that embeds the library, for tests that need a different supervisor or many jobs at once.
//!
//! `submit-with STORE PROGRAM COUNT WORD...` submits COUNT jobs and prints their ids. Supervisors are started from
//! PROGRAM, or from this program itself if it is `-`; one WORD is a shell line, several are a program and its
//! arguments. A first WORD `timeout=MS` limits their time. With a COUNT of 0 it looks at all jobs, which adopts those
//! without a supervisor.
//! `submit-with pipe-size` prints the size of a new pipe of this user.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use jobcore::{FileStore, JobManager, JobSpec, LocalRunner, Query};

fn main() -> Result<(), Box<dyn Error>> {
    jobcore::supervisor::run_if_asked();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [what] if what == "pipe-size" => {
            let (reader, _writer) = rustix::pipe::pipe()?;
            writeln!(std::io::stdout(), "{}", rustix::pipe::fcntl_getpipe_size(reader)?)?;
            Ok(())
        }
        [store, program, count, words @ ..] if !words.is_empty() => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(submit(store, program, count.parse()?, words))
        }
        _ => Err("usage: submit-with STORE PROGRAM COUNT WORD...".into()),
    }
}

async fn submit(store: &str, program: &str, count: u32, words: &[String]) -> Result<(), Box<dyn Error>> {
    let runner = match program {
        "-" => LocalRunner::new()?,
        program => LocalRunner::with_program(program),
    };
    let jobs = JobManager::new(Arc::new(FileStore::open(store)?), Arc::new(runner))?;
    if count == 0 {
        jobs.list(&Query::default()).await?;
    }
    let (timeout, words) = match words.split_first() {
        Some((first, rest)) if !rest.is_empty() && first.starts_with("timeout=") => {
            let milliseconds = first.trim_start_matches("timeout=").parse()?;
            (Some(Duration::from_millis(milliseconds)), rest)
        }
        _ => (None, words),
    };
    for _ in 0..count {
        let spec = match words {
            [line] => JobSpec::shell(line),
            words => JobSpec::command(words.iter().cloned()),
        };
        let spec = match timeout {
            Some(timeout) => spec.timeout(timeout),
            None => spec,
        };
        let job = jobs.submit(spec.cwd(std::env::current_dir()?).inherit_env().build()?).await?;
        writeln!(std::io::stdout(), "{}", job.id)?;
    }
    Ok(())
}
