//! What a terminal shows while jobs are waited for: a line for each, with its time and the last line of its output.

use std::io::IsTerminal;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jobcore::clock::Timestamp;
use jobcore::output::{OutputQuery, Position, View};
use jobcore::shape::JobShape;
use jobcore::units::short_duration;
use jobcore::{Job, JobId, JobManager, escape};

/// For how long nothing is shown: most waits are over by then.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the lines are drawn.
const EVERY: Duration = Duration::from_millis(500);
/// How many jobs have a line.
const SHOWN: usize = 5;
/// How much of a line of output is read, in characters; the terminal shows as much as fits.
const WIDEST: usize = 300;

/// The lines that are being shown.
static LINES: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Waits for a future that waits for jobs, and shows them meanwhile if standard error is a terminal. The future is pinned, since
/// such futures are large, and moving one costs more than the rest of a short wait.
pub(crate) async fn while_waiting<T>(jobs: &JobManager, ids: &[JobId], what: Pin<&mut impl Future<Output = T>>) -> T {
    if !std::io::stderr().is_terminal() {
        return what.await;
    }
    // Hidden on a terminal that cannot move its cursor.
    let target = ProgressDrawTarget::stderr();
    tokio::select! {
        biased;
        done = what => done,
        never = Box::pin(show(jobs, ids, target)) => match never {},
    }
}

/// Prints to standard error, above the lines that are being shown.
pub(crate) fn above(print: impl FnOnce()) {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match lines {
        Some(lines) => lines.suspend(print),
        None => print(),
    }
}

/// Removes the lines when the wait is over, or given up.
struct Lines(MultiProgress);

impl Lines {
    fn new(target: ProgressDrawTarget) -> Self {
        let lines = MultiProgress::with_draw_target(target);
        *LINES.lock().unwrap_or_else(PoisonError::into_inner) = Some(lines.clone());
        Self(lines)
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        *LINES.lock().unwrap_or_else(PoisonError::into_inner) = None;
        // If the terminal cannot be written, there is nothing to remove.
        let _ = self.0.clear();
    }
}

async fn show(jobs: &JobManager, ids: &[JobId], target: ProgressDrawTarget) -> std::convert::Infallible {
    tokio::time::sleep(PATIENCE).await;
    let lines = Lines::new(target);
    let mut bars: Vec<ProgressBar> = Vec::new();
    let mut left = ids.to_vec();
    loop {
        let shown = unfinished(jobs, &mut left).await;
        let mut texts = Vec::new();
        for (job, shape) in &shown {
            texts.push(line(jobs, job, shape).await);
        }
        texts.extend((left.len() > SHOWN).then(|| format!("{SHOWN} of {} jobs are shown", ids.len())));
        while bars.len() < texts.len() {
            bars.push(lines.0.add(ProgressBar::new_spinner().with_style(style())));
        }
        for bar in bars.drain(texts.len()..) {
            lines.0.remove(&bar);
        }
        for (bar, text) in bars.iter().zip(texts) {
            bar.set_message(text);
            bar.tick();
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// Returns the first jobs that have not ended, and drops those before them that have, or that cannot be read. The others are
/// not looked at, however many there are.
async fn unfinished(jobs: &JobManager, left: &mut Vec<JobId>) -> Vec<(Job, JobShape)> {
    let mut found = Vec::new();
    while found.len() < SHOWN
        && let Some(id) = left.get(found.len())
    {
        match jobs.look(*id).await {
            Ok(job) if !job.status().is_final() => match jobs.report(&job).await {
                Ok(shape) => found.push((job, shape)),
                Err(_) => drop(left.remove(found.len())),
            },
            _ => drop(left.remove(found.len())),
        }
    }
    found
}

/// Describes a job: what it is called, for how long it has been running, and what it does.
async fn line(jobs: &JobManager, job: &Job, shape: &JobShape) -> String {
    let since = shape.started_at.unwrap_or(shape.submitted_at);
    let time = short_duration(Timestamp::now().duration_since(since).try_into().unwrap_or_default());
    let doing = match (&shape.queued, &shape.waiting_for_input, shape.stalled_since) {
        (Some(queued), ..) => format!("queued: {queued}"),
        (_, Some(waiting), _) => waiting.to_string(),
        (.., Some(_)) => "stalled".to_owned(),
        _ => last_line(jobs, job).await.unwrap_or_else(|| shape.status.to_string()),
    };
    escape::one_line(&format!("{}  {time}  {doing}", job.label())).into_owned()
}

async fn last_line(jobs: &JobManager, job: &Job) -> Option<String> {
    let (query, view) = (OutputQuery::from(Position::TailLines(1)), View::default().with_clean(true));
    let viewed = jobs.view(job.id, &query, &view).await.ok()?;
    let text = String::from_utf8_lossy(&viewed.text(&view, None)).into_owned();
    let line = text.lines().last().map(str::trim).filter(|line| !line.is_empty())?;
    Some(line.chars().take(WIDEST).collect())
}
