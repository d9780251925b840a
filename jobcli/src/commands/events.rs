use std::io::Write;
use std::process::ExitCode;

use jobcore::JobManager;
use jobcore::front::text::print_json;
use jobcore::store::JobEvent;
use jobcore::words::counted;

use super::{Result, tell};
use crate::cli::{EventOrTime, Events};

/// How many events are read at a time.
const PAGE: usize = 1000;

pub(super) async fn run(jobs: &JobManager, arguments: &Events) -> Result {
    let mut next = match (arguments.since, arguments.follow) {
        (Some(EventOrTime::Number(number)), _) => number,
        (Some(EventOrTime::Time(since)), _) => jobs.first_event(since).await?,
        (None, true) => jobs.events(0, 0).await?.end,
        (None, false) => 0,
    };
    loop {
        let read = jobs.events(next, PAGE).await?;
        if read.gone > 0 {
            tell(&format!("{} no longer kept", counted(read.gone, "event is", "events are")));
        }
        for event in &read.events {
            print(event, arguments.json)?;
        }
        let is_all = read.next == next;
        next = read.next;
        match (is_all, arguments.follow) {
            (false, _) => {}
            (true, false) => return Ok(ExitCode::SUCCESS),
            (true, true) => jobs.happened(next).await?,
        }
    }
}

fn print(event: &JobEvent, json: bool) -> Result<()> {
    if json {
        return print_json(event);
    }
    let status = event.status.map(|status| format!(" {status}")).unwrap_or_default();
    let code = event.exit_code.map(|code| format!(" {code}")).unwrap_or_default();
    let (number, at, job, what) = (event.number, event.at, event.job_id.short(), event.event);
    writeln!(std::io::stdout(), "{number} {at:.3} {job} {what}{status}{code}")?;
    Ok(())
}
