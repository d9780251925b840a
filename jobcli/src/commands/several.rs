//! Output of several jobs at once: each line is prefixed with the name of its job, and lines are never mixed.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use jobcore::agent::{AgentRun, Transcript};
use jobcore::front::text::print_json;
use jobcore::front::{Failures, agents, process};
use jobcore::output::{OutputQuery, Position, View};
use jobcore::{Job, JobId, JobManager};
use tokio::sync::mpsc::{self, Sender};
use tokio::task::JoinSet;

use super::reading::{OfRun, What, tell_cut, tell_fewer, view};
use super::{Result, unless_interrupted};
use crate::terminal::Harmless;

/// How many parts may wait to be printed. Readers that are faster than the printer wait.
const PARTS: usize = 16;
/// The colours given to jobs in turn.
const COLOURS: [AnsiColor; 6] =
    [AnsiColor::Cyan, AnsiColor::Yellow, AnsiColor::Green, AnsiColor::Magenta, AnsiColor::Blue, AnsiColor::Red];

/// Prints the output of several jobs, one after the other, or as it arrives if they are followed.
pub(super) async fn print(jobs: &JobManager, ids: &[JobId], what: &What<'_>, failures: &mut Failures) -> Result {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        match jobs.job(*id).await {
            Ok(job) => found.push(job),
            Err(error) => failures.add(error),
        }
    }
    if what.show.json {
        for job in &found {
            let (query, view) = (what.query(), view(what.show, job));
            match view.is_plain() {
                true => print_json(&jobs.output_text(job.id, &query).await?)?,
                false => print_json(&jobs.view_text(job.id, &query, &view).await?)?,
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let is_raw = what.show.raw;
    let mut printer = Printer::new(&found, is_raw);
    let readers: Vec<_> =
        found.into_iter().enumerate().map(|(place, job)| Reader::new(jobs, place, job, what)).collect();
    let printed = print_as_it_comes(readers, what.show.follow, &mut printer, failures);
    if !what.show.follow {
        return printed.await.map(|()| ExitCode::SUCCESS);
    }
    process::raise_open_files();
    let references = ids.iter().map(|id| id.short()).collect::<Vec<_>>().join(" ");
    Ok(unless_interrupted(&references, printed).await?.err().unwrap_or(ExitCode::SUCCESS))
}

async fn print_as_it_comes(
    readers: Vec<Reader>,
    at_once: bool,
    printer: &mut Printer,
    failures: &mut Failures,
) -> Result<()> {
    let (parts, mut came) = mpsc::channel(PARTS);
    let mut reading = JoinSet::new();
    if at_once {
        for reader in readers {
            reading.spawn(reader.read(parts.clone()));
        }
        drop(parts);
    } else {
        reading.spawn(async move {
            for reader in readers {
                reader.read(parts.clone()).await;
            }
        });
    }
    while let Some((place, part)) = came.recv().await {
        match part {
            Ok(text) => printer.print(place, &text)?,
            Err(failure) => failures.add(failure),
        }
    }
    printer.finish()
}

/// A message from a reader: its place, and a part of the text to print.
type Part = (usize, Result<Vec<u8>>);

/// Reads the output of a job for printing.
struct Reader {
    jobs: JobManager,
    place: usize,
    job: Job,
    query: OutputQuery,
    view: View,
    /// The agent run, if the job is one, and what to print of it.
    run: Option<(AgentRun, OfRun)>,
    follows: bool,
}

impl Reader {
    fn new(jobs: &JobManager, place: usize, job: Job, what: &What<'_>) -> Self {
        let mut view = view(what.show, &job);
        // A line that redraws itself would overwrite the name before it.
        view.clean |= !what.show.raw && io::stdout().is_terminal();
        let (query, run) = (what.query(), what.of_run(&job));
        Self { jobs: jobs.clone(), place, job, query, view, run, follows: what.show.follow }
    }

    /// Reads and sends everything. A failure is sent as the last part.
    async fn read(self, parts: Sender<Part>) {
        if let Err(failure) = self.send_all(&parts).await {
            let _ = parts.send((self.place, Err(failure))).await;
        }
    }

    async fn send_all(&self, parts: &Sender<Part>) -> Result<()> {
        let Self { jobs, job, query, view, .. } = self;
        match &self.run {
            Some((run, _)) if self.follows => {
                let mut transcript = Transcript::new(run.format);
                let query = OutputQuery::from(Position::Start).with_stream(run.format.stream());
                let mut chunks = jobs.follow_output(job.id, query);
                while let Some(chunk) = chunks.next().await {
                    self.send(parts, agents::feed(&mut transcript, &chunk?).into_bytes()).await;
                }
                self.send(parts, transcript.end().into_bytes()).await;
            }
            Some((run, OfRun::LastLines(lines))) => {
                let last = agents::last_lines(jobs, job, run, *lines).await?;
                self.send(parts, last.into_bytes()).await;
            }
            Some((_, OfRun::Answer)) => {
                let answer = jobs.report(job).await?.agent.and_then(|agent| agent.digest.result);
                self.send(parts, answer.unwrap_or_default().into_bytes()).await;
            }
            None if view.budget.is_some() => {
                let viewed = jobs.view(job.id, query, view).await?;
                tell_fewer(viewed.cut);
                self.send(parts, viewed.text(view, None)).await;
            }
            None => {
                let mut lines = jobs.follow_view(job.id, query, view, self.follows);
                while let Some(part) = lines.next().await {
                    let part = part?;
                    tell_cut(part.cut);
                    tell_fewer(part.fewer);
                    self.send(parts, part.text).await;
                }
            }
        }
        Ok(())
    }

    async fn send(&self, parts: &Sender<Part>, text: Vec<u8>) {
        if !text.is_empty() {
            // There is no receiver once printing has failed.
            let _ = parts.send((self.place, Ok(text))).await;
        }
    }
}

/// Prints lines prefixed with the names of their jobs.
struct Printer {
    /// The prefix for the lines of each job.
    prefixes: Vec<String>,
    is_raw: bool,
    /// The job whose line is incomplete.
    open: Option<usize>,
}

impl Printer {
    fn new(jobs: &[Job], is_raw: bool) -> Self {
        let stdout = io::stdout();
        let has_colours = AutoStream::choice(&stdout) != ColorChoice::Never;
        let prefixes = prefixes(jobs, has_colours);
        Self { prefixes, is_raw: is_raw || !stdout.is_terminal(), open: None }
    }

    /// Prints lines, or a part of a line, of a job. An incomplete line of another job is ended first.
    fn print(&mut self, place: usize, text: &[u8]) -> Result<()> {
        let mut out = Vec::with_capacity(text.len() + text.len() / 4);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            if self.open != Some(place) {
                if self.open.is_some() {
                    out.push(b'\n');
                }
                out.extend_from_slice(self.prefixes[place].as_bytes());
            }
            match self.is_raw {
                true => out.extend_from_slice(line),
                false => {
                    let mut harmless = Harmless::new(&mut out);
                    harmless.write_all(line)?;
                    harmless.finish()?;
                }
            }
            self.open = (!line.ends_with(b"\n")).then_some(place);
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(&out)?;
        Ok(stdout.flush()?)
    }

    /// Ends the last line.
    fn finish(&mut self) -> Result<()> {
        if self.open.take().is_some() {
            writeln!(io::stdout())?;
        }
        Ok(())
    }
}

/// Returns the prefix for the lines of each job: its name or id, padded to a column.
fn prefixes(jobs: &[Job], has_colours: bool) -> Vec<String> {
    let name = |job: &Job| job.spec.name.as_ref().map(ToString::to_string);
    let names = jobs.iter().map(|job| match name(job) {
        Some(name) if jobs.iter().filter(|other| other.spec.name == job.spec.name).count() == 1 => name,
        // Ended jobs may have had the same name.
        Some(name) => format!("{name} {}", job.id.short()),
        None => job.id.short(),
    });
    let names: Vec<_> = names.collect();
    let widest = names.iter().map(String::len).max().unwrap_or(0);
    let mut colours = COLOURS.iter().cycle();
    let prefix = |name: &String| {
        let colour = colours.next().filter(|_| has_colours);
        let style = colour.map_or_else(Style::new, |colour| Style::new().fg_color(Some((*colour).into())));
        format!("{style}{name:<widest$} |{style:#} ")
    };
    names.iter().map(prefix).collect()
}
