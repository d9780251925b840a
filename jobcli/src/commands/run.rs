use std::ffi::OsString;
use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory;
use jobcore::clock::Timestamp;
use jobcore::environment::{Environment, assignment, known_directory};
use jobcore::front::settings::{absolute, current_dir, expanded};
use jobcore::front::text::print_json;
use jobcore::front::{Failure, Settings, codes, moment};
use jobcore::output::{Cursor, OutputChunk, OutputQuery, Piece, Position};
use jobcore::queue::{After, AfterWhen, Missed, QueueReason, Repeat};
use jobcore::record::ProcessId;
use jobcore::spec::{MAX_GIVEN, Stdin, Stragglers};
use jobcore::units::short_duration;
use jobcore::wait::{Until, WaitOptions, WaitReason};
use jobcore::{Job, JobManager, JobSpec, JobSpecBuilder};

use super::output::{Sink, follow, print_view};
use super::select::find;
use super::{Result, code_of, ending, inbox, tell, unless_interrupted};
use crate::cli::{Cli, Queueing, Run, StdinFrom, Terminal};
use crate::progress::while_waiting;
use crate::ui;

/// Starts a job. It reads from `stdin` unless the arguments name another input.
pub(super) async fn run(
    jobs: &JobManager,
    settings: &Settings,
    mut arguments: Run,
    stdin: Option<StdinFrom>,
) -> Result {
    // Without a command, the job is read as JSON from standard input.
    let is_silent = arguments.command.is_empty() && !std::io::stdin().is_terminal();
    let spec_file = arguments.spec.take().or_else(|| is_silent.then(|| PathBuf::from("-")));
    let is_argv = match spec_file {
        Some(path) => super::spec::add(&mut arguments, &expanded(&path))?,
        None => {
            super::order::check(&arguments.command)?;
            is_argv(&arguments)?
        }
    };
    arguments.stdin = arguments.stdin.or(stdin.filter(|_| arguments.tty.is_none()));
    let (wait, follows, json, quiet) = (arguments.wait, arguments.follow, arguments.json, arguments.quiet);
    let until_ready = arguments.readiness.0.wait_ready;
    if until_ready && arguments.readiness.0.ready.is_empty() {
        return Err(Failure::new(codes::USAGE, "`--wait-ready` needs a condition: add `--ready`"));
    }
    let notice = ending::Notice::new(arguments.notify, settings);
    let queueing = arguments.queueing.0.clone();
    let repeat = repeat(queueing.every, queueing.cron.clone(), queueing.missed)?;
    if repeat.is_some() && (wait || follows || until_ready) {
        return Err(Failure::new(codes::USAGE, "a schedule cannot be waited for, since it does not end")
            .with_hint("`jobcli schedule` shows its last run"));
    }
    let spec = prepared(jobs, settings, arguments, is_argv).await?;
    let doubt = spec.doubt().filter(|_| !quiet);
    let job = jobs.submit(spec).await?;
    if let Some(doubt) = doubt {
        tell(&format!("warning: {doubt}; the shell may not find it either"));
    }
    match (json, follows, wait) {
        // Standard output is for the output of the job.
        (false, true, _) if quiet => {}
        (false, true, _) => tell(&format!("job {}", job.id)),
        _ => print_submitted(jobs, &job, wait, json).await?,
    }
    if !quiet {
        tell_if_queued(jobs, &job).await?;
    }
    if until_ready {
        return become_ready(jobs, &job, quiet).await;
    }
    if !wait && !follows {
        return Ok(ExitCode::SUCCESS);
    }
    let ended = async {
        let ended = pin!(jobs.wait_for(job.id));
        Ok(match (follows, quiet) {
            (true, _) => {
                print_output(jobs, &job).await?;
                ended.await?
            }
            (false, true) => ended.await?,
            (false, false) => while_waiting(jobs, &[job.id], ended).await?,
        })
    };
    match unless_interrupted(&job.id.short(), ended).await? {
        Err(code) => Ok(code),
        Ok(job) => {
            notice.give(&job);
            inbox::shown(jobs, settings.caller.as_ref(), [&job]).await;
            finished(jobs, &job, json, quiet)
        }
    }
}

/// Waits until a job is ready.
async fn become_ready(jobs: &JobManager, job: &Job, quiet: bool) -> Result {
    let options = WaitOptions::default().with_until(Until::Ready);
    let waiting = async {
        let ids = [job.id];
        let waiting = pin!(jobs.wait_until(&ids, &options));
        Ok(if quiet { waiting.await? } else { while_waiting(jobs, &ids, waiting).await? })
    };
    let waited = match unless_interrupted(&job.id.short(), waiting).await? {
        Ok(waited) => waited,
        Err(code) => return Ok(code),
    };
    let [job] = waited.jobs.as_slice() else { return Ok(ExitCode::from(codes::OWN_FAILURE)) };
    if waited.reason() == WaitReason::Met {
        return Ok(ExitCode::SUCCESS);
    }
    if !quiet {
        ending::tell_of(job);
    }
    Ok(ExitCode::from(code_of(job).max(codes::FAILED)))
}

/// Prints the output of a job until it ends.
async fn print_output(jobs: &JobManager, job: &Job) -> Result<()> {
    let view = job.view();
    let is_terminal = std::io::stdout().is_terminal();
    // If the job runs on a terminal, what it draws is shown unchanged, as by `attach`.
    let mut sink = Sink::apart(job.spec.terminal.is_some());
    if !view.is_plain() && !is_terminal {
        return print_view(jobs, job.id, &OutputQuery::from(Position::Start), &view, true, &mut sink).await;
    }
    let mut is_line_open = false;
    let print = |chunk: &OutputChunk| {
        if let Some(Piece::Data { bytes, .. }) = chunk.pieces.last() {
            is_line_open = !bytes.ends_with(b"\n");
        }
        sink.write(chunk)
    };
    follow(jobs, job.id, Cursor(0), None, print).await?;
    if is_line_open && is_terminal && std::io::stderr().is_terminal() {
        // The report of the end starts on a new line.
        tell("");
    }
    Ok(())
}

/// Prints a job that was just submitted: its id, or the whole job as JSON unless it is printed at its end. On a
/// terminal, the short id comes first, since that is what people type.
pub(super) async fn print_submitted(jobs: &JobManager, job: &Job, wait: bool, json: bool) -> Result<()> {
    match (json, wait) {
        (true, false) => print_json(&jobs.report(job).await?),
        (true, true) => Ok(()),
        (false, _) if std::io::stdout().is_terminal() => {
            Ok(writeln!(std::io::stdout(), "{}  {}", job.id.short(), job.id)?)
        }
        (false, _) => Ok(writeln!(std::io::stdout(), "{}", job.id)?),
    }
}

/// If a job is queued, reports why, and how to see what it waits for.
pub(super) async fn tell_if_queued(jobs: &JobManager, job: &Job) -> Result<()> {
    let Some(queued) = jobs.why_queued(job).await? else { return Ok(()) };
    let (group, filter) = match &queued.reason {
        QueueReason::GroupLimit { group, .. } => (Some(group), format!(" --group {group}")),
        QueueReason::StoreLimit { .. } => (None, String::new()),
        _ => {
            tell(&format!("queued: {queued}"));
            return Ok(());
        }
    };
    let oldest = jobs.oldest_running(group).await?.map(|job| jobs.shape(&job)).map(|job| {
        let time = short_duration(Duration::from_millis(job.duration_ms.unwrap_or_default()));
        format!("; oldest: {}, {time}", job.name.map_or(job.short_id, String::from))
    });
    let oldest = oldest.unwrap_or_default();
    tell(&format!("queued: {queued}{oldest}; see `jobcli list --status running{filter}`"));
    Ok(())
}

fn finished(jobs: &JobManager, job: &Job, json: bool, quiet: bool) -> Result {
    if json {
        print_json(&jobs.shape(job))?;
    } else if !quiet {
        ending::tell_of(job);
    }
    Ok(ExitCode::from(code_of(job)))
}

/// Returns the spec to submit, and sets the limit of its group if that is requested.
pub(super) async fn prepared(jobs: &JobManager, settings: &Settings, arguments: Run, is_argv: bool) -> Result<JobSpec> {
    let queueing = arguments.queueing.0.clone();
    let after = after(jobs, &queueing).await?;
    let spec = spec(settings, arguments, after, is_argv)?;
    if let (Some(limit), Some(group)) = (queueing.at_a_time, spec.group.clone()) {
        jobs.limit_group(&group, limit).await?;
    }
    Ok(spec)
}

/// Returns the jobs after which this one is started.
async fn after(jobs: &JobManager, queueing: &Queueing) -> Result<Vec<After>> {
    let lists = [
        (&queueing.after, AfterWhen::Ended),
        (&queueing.after_ok, AfterWhen::Ok),
        (&queueing.after_failed, AfterWhen::Failed),
        (&queueing.after_ready, AfterWhen::Ready),
    ];
    let mut after = Vec::new();
    for (references, when) in lists {
        for reference in references {
            after.push(After::new(find(jobs, reference).await?, when));
        }
    }
    Ok(after)
}

fn spec(settings: &Settings, arguments: Run, after: Vec<After>, is_argv: bool) -> Result<JobSpec> {
    let cwd = match arguments.cwd.clone() {
        Some(cwd) => absolute(expanded(&cwd))?,
        None => current_dir()?,
    };
    let builder = command(&arguments, is_argv)?.cwd(&cwd).environment(environment(settings, &arguments, cwd));
    let mut builder = settings.sign(settings.apply(builder));
    for variable in &arguments.env {
        if let Some((name, value)) = assignment(variable) {
            builder = builder.env(name, value);
        }
    }
    if let Some(shell) = arguments.shell {
        builder = builder.with_shell(shell);
    }
    if let Some(pipefail) = arguments.pipefail {
        builder = builder.pipefail(pipefail);
    }
    if let Some(timeout) = arguments.timeout {
        builder = builder.timeout(timeout);
    }
    if let Some(stall) = arguments.stall {
        builder = builder.stall(stall);
    }
    builder = builder.stall_stop(arguments.stall_stop);
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
        // Relative to the current directory, as with `<` in a shell.
        Some(StdinFrom::File(path)) => builder = builder.stdin(Stdin::File(absolute(expanded(&path))?)),
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
    let queueing = arguments.queueing.0;
    for After { job_id, when, .. } in after {
        builder = builder.after(job_id, when);
    }
    for (resource, amount) in queueing.resource {
        builder = builder.resource(resource, amount);
    }
    if let Some(slots) = queueing.slots {
        builder = builder.slots(slots);
    }
    if let Some(priority) = queueing.priority {
        builder = builder.priority(priority);
    }
    if let Some(at) = not_before(queueing.at, queueing.delay) {
        builder = builder.not_before(at);
    }
    if let Some(repeat) = repeat(queueing.every, queueing.cron, queueing.missed)? {
        builder = builder.repeat(repeat);
    }
    for condition in queueing.when {
        builder = builder.when(condition);
    }
    if queueing.hold {
        builder = builder.on_hold();
    }
    if arguments.leave_stragglers {
        builder = builder.stragglers(Stragglers::Leave);
    }
    if let Some(lease) = arguments.lifetime.0.lease {
        builder = builder.lease(lease);
    }
    if let Some(pid) = arguments.lifetime.0.with_pid {
        let process = ProcessId::of(pid).map_err(|error| {
            Failure::new(codes::USAGE, format!("--with-pid {pid}: {error}")).with_hint("name a process that is running")
        })?;
        builder = builder.ends_with(process);
    }
    for condition in arguments.readiness.0.ready {
        builder = builder.ready(condition);
    }
    if let Some(timeout) = arguments.readiness.0.ready_timeout {
        builder = builder.ready_timeout(timeout);
    }
    if let Some(rule) = arguments.readiness.0.not_ready {
        builder = builder.not_ready(rule);
    }
    if let Some(restart) =
        arguments.restarting.0.asked().rule().map_err(|error| Failure::new(codes::USAGE, error.to_string()))?
    {
        builder = builder.restart(restart);
    }
    builder = builder.limits(arguments.limiting.0.asked());
    if let Some(line) = arguments.on_end {
        builder = builder.on_end(line);
    }
    Ok(builder.merge(arguments.merge).build()?)
}

/// Returns the earliest time at which a job can be started.
pub(super) fn not_before(at: Option<Timestamp>, delay: Option<Duration>) -> Option<Timestamp> {
    let delayed = |delay: Duration| Timestamp::now().checked_add(delay).unwrap_or(Timestamp::MAX);
    at.or(delay.map(delayed))
}

/// Returns the rule of a schedule, if the job is one.
pub(super) fn repeat(every: Option<Duration>, cron: Option<String>, missed: Option<Missed>) -> Result<Option<Repeat>> {
    let repeat = match (every, cron) {
        (Some(period), _) => Repeat::every(period),
        (None, Some(pattern)) => {
            Repeat::cron(pattern, moment::zone().map_err(|reason| Failure::new(codes::FAILED, reason))?)
        }
        (None, None) if missed.is_some() => {
            return Err(Failure::new(codes::USAGE, "`--missed` is only for schedules: add `--every` or `--cron`"));
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(repeat.with_missed(missed.unwrap_or_default())))
}

/// Reads standard input, up to just over the limit for a job's input.
fn given() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_GIVEN).unwrap_or(u64::MAX).saturating_add(1);
    let read = std::io::stdin().lock().take(most).read_to_end(&mut bytes);
    read.map_err(|error| Failure::new(codes::FAILED, format!("standard input: {error}")))?;
    Ok(bytes)
}

/// Returns whether the words are a program and its arguments: several words, or any after `--`. A single word is a
/// shell line.
fn is_argv(arguments: &Run) -> Result<bool> {
    let words = &arguments.command;
    let Some(first) = words.first() else {
        return Err(Failure::new(codes::USAGE, "there is no command").with_hint("see `jobcli run --help`"));
    };
    let is_argv = words.len() > 1 || follows_dashes(words.len());
    if first.as_encoded_bytes().starts_with(b"-") && !follows_dashes(words.len()) {
        // A mistyped option, not the name of a program.
        let first = first.display();
        let message = format!("unexpected option `{first}`; put `--` before a command that begins with a dash\n");
        crate::refuse(&Cli::command().error(clap::error::ErrorKind::UnknownArgument, message));
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

/// Returns whether `--` precedes the last `count` words, which are the command. The parser removes it.
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
        false => {
            let mut policy = settings.environment.clone();
            if !arguments.env_only.is_empty() {
                policy.only.clone_from(&arguments.env_only);
            }
            policy.apply(std::env::vars_os())
        }
    };
    let known = if arguments.cwd.is_none() { known_directory(&cwd, environment.get("PWD")) } else { cwd };
    environment.enter(known);
    if arguments.tty.is_some() && !std::io::stdout().is_terminal() {
        environment.enter_terminal();
    }
    for name in arguments.env.iter().filter(|variable| assignment(variable).is_none()) {
        // The caller's own value, even if it is otherwise not passed on.
        if let Some(value) = std::env::var_os(name) {
            environment.set(name, value);
        }
    }
    environment
}
