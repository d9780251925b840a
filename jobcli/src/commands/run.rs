use std::ffi::OsString;
use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory;
use jobcore::output::{Cursor, OutputQuery, Position, View};
use jobcore::spec::MAX_GIVEN;
use jobcore::{Backlog, Environment, Job, JobManager, JobSpec, JobSpecBuilder, Status, Stdin, Stragglers};

use super::output::{Sink, follow, print_view, write};
use super::{Result, code_of, print_json, tell, tell_unknown_code, unless_interrupted};
use crate::cli::{Cli, Run, StdinFrom, Terminal};
use crate::error::{Failure, codes};
use crate::settings::Settings;
use crate::ui;

/// Starts a job, which reads from `stdin` unless something else is said.
pub(super) async fn run(
    jobs: &JobManager,
    settings: &Settings,
    mut arguments: Run,
    stdin: Option<StdinFrom>,
) -> Result {
    // What is said by no words is said in JSON.
    let is_silent = arguments.command.is_empty() && !std::io::stdin().is_terminal();
    let spec_file = arguments.spec.take().or_else(|| is_silent.then(|| PathBuf::from("-")));
    let is_argv = match spec_file {
        Some(path) => super::spec::add(&mut arguments, &path)?,
        None => is_argv(&arguments)?,
    };
    arguments.stdin = arguments.stdin.or(stdin.filter(|_| arguments.tty.is_none()));
    let (wait, follows, json) = (arguments.wait, arguments.follow, arguments.json);
    let job = jobs.submit(spec(settings, arguments, is_argv)?).await?;
    match (json, follows, wait) {
        // Standard output is the job's own.
        (false, true, _) => tell(&format!("job {}", job.id)),
        _ => print_submitted(jobs, &job, wait, json)?,
    }
    tell_if_queued(jobs, &job).await?;
    if !wait && !follows {
        return Ok(ExitCode::SUCCESS);
    }
    let print = async {
        if follows {
            let view = View::of(&job);
            match view.is_plain() || std::io::stdout().is_terminal() {
                true => follow(jobs, job.id, Cursor(0), None, |chunk| write(chunk, Sink::Apart)).await?,
                false => print_view(jobs, job.id, &OutputQuery::from(Position::Start), &view, true).await?,
            }
        }
        Ok(())
    };
    end(jobs, &job, json, print).await
}

/// Prints what a program needs of a job that was just submitted: its id, or all of it, unless that follows at its end.
pub(super) fn print_submitted(jobs: &JobManager, job: &Job, wait: bool, json: bool) -> Result<()> {
    match (json, wait) {
        (true, false) => print_json(&jobs.shape(job)),
        (true, true) => Ok(()),
        (false, _) => Ok(writeln!(std::io::stdout(), "{}", job.id)?),
    }
}

/// Does what prints the output of a job, waits for its end, and returns its exit code.
async fn end(jobs: &JobManager, job: &Job, json: bool, print: impl Future<Output = Result<()>>) -> Result {
    let ended = async {
        print.await?;
        Ok(jobs.wait_for(job.id).await?)
    };
    match unless_interrupted(&job.id.short(), ended).await? {
        Err(code) => Ok(code),
        Ok(job) => finished(jobs, &job, json),
    }
}

/// Says why a job does not start at once, if so, and where to see what it waits for.
pub(super) async fn tell_if_queued(jobs: &JobManager, job: &Job) -> Result<()> {
    if job.status() != Status::Queued {
        return Ok(());
    }
    let Backlog { load, oldest, .. } = jobs.backlog().await?;
    let (running, limit) = (load.running.len(), load.settings.max_running);
    let oldest = oldest.map(|job| jobs.shape(&job)).map(|job| {
        let time = ui::short_duration(Duration::from_millis(job.duration_ms.unwrap_or_default()));
        format!("; oldest: {}, {time}", job.name.map_or(job.short_id, String::from))
    });
    let limit = if limit == 0 { String::new() } else { format!(" of {limit}") };
    let oldest = oldest.unwrap_or_default();
    tell(&format!("queued: {running}{limit} running{oldest}; see `jobcli list --status running`"));
    Ok(())
}

fn finished(jobs: &JobManager, job: &Job, json: bool) -> Result {
    if json {
        print_json(&jobs.shape(job))?;
    }
    tell_unknown_code(job);
    Ok(ExitCode::from(code_of(job)))
}

fn spec(settings: &Settings, arguments: Run, is_argv: bool) -> Result<JobSpec> {
    let current =
        || std::env::current_dir().map_err(|error| Failure::new(codes::FAILED, format!("current directory: {error}")));
    let absolute = |path: PathBuf| Ok::<_, Failure>(current()?.join(path));
    let cwd = match arguments.cwd.clone() {
        Some(cwd) => absolute(cwd)?,
        None => current()?,
    };
    let builder = command(&arguments, is_argv)?.cwd(&cwd).environment(environment(settings, &arguments, cwd));
    let mut builder = settings.apply(builder);
    if let Some(shell) = arguments.shell {
        builder = builder.with_shell(shell);
    }
    if let Some(timeout) = arguments.timeout {
        builder = builder.timeout(timeout);
    }
    if let Some(grace) = arguments.grace {
        builder = builder.grace(grace);
    }
    if let Some(signal) = arguments.stop_signal {
        builder = builder.stop_signal(signal);
    }
    if let Some(limit) = arguments.output_limit {
        builder = builder.output_limit(limit);
    }
    match arguments.stdin {
        Some(StdinFrom::Open) => builder = builder.stdin(Stdin::Open),
        Some(StdinFrom::Given) => builder = builder.given(given()?),
        // Relative to where this is typed, as a shell's `<` would be.
        Some(StdinFrom::File(path)) => builder = builder.stdin(Stdin::File(absolute(path)?)),
        None => {}
    }
    if let Some(Terminal(size)) = arguments.tty {
        builder = builder.terminal(size.or_else(ui::terminal_size).unwrap_or_default());
    }
    for (name, value) in arguments.label {
        builder = builder.label(name, value);
    }
    if let Some(name) = arguments.name {
        builder = builder.name(name);
    }
    if let Some(key) = arguments.key {
        builder = builder.key(key);
    }
    if let Some(group) = arguments.group {
        builder = builder.group(group);
    }
    if arguments.leave_stragglers {
        builder = builder.stragglers(Stragglers::Leave);
    }
    Ok(builder.merge(arguments.merge).build()?)
}

/// Reads all of standard input, as far as a job can be given it.
fn given() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_GIVEN).unwrap_or(u64::MAX).saturating_add(1);
    let read = std::io::stdin().lock().take(most).read_to_end(&mut bytes);
    read.map_err(|error| Failure::new(codes::FAILED, format!("standard input: {error}")))?;
    Ok(bytes)
}

/// Returns whether the words are a program and its arguments: several, or any behind `--`. One word is a line for a shell.
fn is_argv(arguments: &Run) -> Result<bool> {
    let words = &arguments.command;
    let Some(first) = words.first() else {
        return Err(Failure::new(codes::USAGE, "there is no command").with_hint("see `jobcli run --help`"));
    };
    let is_argv = words.len() > 1 || follows_dashes(words.len());
    if first.as_encoded_bytes().starts_with(b"-") && !follows_dashes(words.len()) {
        // A slip of the keyboard, not the name of a program.
        let first = first.display();
        let message = format!("unexpected option `{first}`; put `--` before a command that begins with a dash\n");
        Cli::command().error(clap::error::ErrorKind::UnknownArgument, message).exit();
    }
    Ok(is_argv)
}

fn command(arguments: &Run, is_argv: bool) -> Result<JobSpecBuilder> {
    let words: Vec<String> =
        arguments.command.iter().enumerate().map(|(index, word)| text(index, word)).collect::<Result<_>>()?;
    match words.as_slice() {
        [line] if !is_argv => Ok(JobSpec::shell(line)),
        _ => Ok(JobSpec::command(words)),
    }
}

/// Returns whether `--` stood before the last `count` words, which are the command. The parser takes it away.
fn follows_dashes(count: usize) -> bool {
    let before = std::env::args_os().len().checked_sub(count + 1);
    before.is_some_and(|index| std::env::args_os().nth(index).is_some_and(|word| word == "--"))
}

fn text(index: usize, word: &OsString) -> Result<String> {
    let refuse = || {
        let message = format!("word {} of the command is not valid UTF-8: {}", index + 1, word.display());
        Failure::new(codes::USAGE, message).with_hint("pass a shell line that writes it as `$'\\xff'`")
    };
    word.to_str().map(str::to_owned).ok_or_else(refuse)
}

fn environment(settings: &Settings, arguments: &Run, cwd: PathBuf) -> Environment {
    let mut environment = match arguments.env_clear {
        true => Environment::default(),
        false => settings.environment.apply(std::env::vars_os()),
    };
    if environment.get("PWD").is_some() {
        // What a shell that had changed into it would say.
        environment.set("PWD", cwd);
    }
    if arguments.tty.is_some() && !std::io::stdout().is_terminal() {
        // Whatever is said of the terminal here is not true of the job's, which has what everybody's has by now.
        environment.set("TERM", "xterm-256color");
    }
    for variable in &arguments.env {
        let bytes = variable.as_encoded_bytes();
        match bytes.iter().position(|byte| *byte == b'=') {
            Some(border) => {
                use std::os::unix::ffi::OsStringExt;
                let part = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
                environment.set(part(&bytes[..border]), part(&bytes[border + 1..]));
            }
            None => {
                if let Some(value) = std::env::var_os(variable) {
                    environment.set(variable, value);
                }
            }
        }
    }
    environment
}
