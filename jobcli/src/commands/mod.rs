//! The verbs, one file each.

// In the order in which to read them:
// - `result.rs`, `select.rs`: the result of a verb, and which jobs it is about
// - `run.rs`, `order.rs`, `spec.rs`, `up.rs`, `delegate.rs`, `adopt.rs`: starting jobs, and adopting a process
// - `list.rs`, `show.rs`, `status.rs`, `output.rs`, `reading.rs`, `several.rs`, `agent.rs`, `events.rs`: showing jobs
// - `stats.rs`, `usage.rs`: summing up what jobs did and cost
// - `inbox.rs`, `hook/`, `statusline.rs`, `skill.rs`: agents, and what their hosts call
// - `wait.rs`, `ending.rs`: waiting, and how a job ended
// - `send.rs`, `attach.rs`, `pause.rs`, `kill.rs`: acting on running jobs
// - `start.rs`, `place.rs`, `edit.rs`, `schedule.rs`, `rerun.rs`, `graph.rs`: the queue
// - `rm.rs`, `prune.rs`, `gc.rs`, `config.rs`, `group.rs`, `doctor.rs`: what is kept in the store
// - `completions.rs`, `man.rs`: jobcli itself

mod adopt;
mod agent;
pub(crate) mod attach;
mod completions;
mod config;
mod delegate;
mod doctor;
mod edit;
mod ending;
mod events;
mod gc;
mod graph;
mod group;
mod hook;
mod inbox;
pub(crate) mod kill;
mod list;
mod man;
mod order;
mod output;
mod pause;
mod place;
mod prune;
mod reading;
pub(crate) mod rerun;
mod result;
pub(crate) mod rm;
mod run;
mod schedule;
pub(crate) mod select;
mod send;
mod several;
mod show;
mod skill;
mod spec;
mod start;
mod stats;
mod status;
mod statusline;
mod up;
mod usage;
mod wait;

use std::pin::Pin;

use jobcore::JobManager;
use jobcore::front::Settings;

use crate::cli::{Cli, Deferred, RareVerb, Seldom, StdinFrom, Verb};
use crate::top;
pub(crate) use result::Result;
use result::{code_of, tell, unless_interrupted};

/// Carries out a verb.
pub(crate) async fn run(cli: Cli) -> Result {
    if let Verb::Seldom(RareVerb(verb)) = &cli.verb {
        match verb {
            Seldom::Completions(Deferred(arguments)) => return completions::run(arguments),
            Seldom::Man(Deferred(arguments)) => return man::run(arguments),
            Seldom::Skill(Deferred(arguments)) => return skill::run(arguments),
            _ => {}
        }
    }
    if let Verb::Hook(Deferred(arguments)) = cli.verb {
        let jobs = || {
            let settings = Settings::read(cli.store, cli.config)?;
            settings.open_to_look("jobcli").map(JobManager::with_inline_work)
        };
        return Box::pin(hook::run(jobs, arguments)).await;
    }
    let settings = Settings::read(cli.store.clone(), cli.config.clone())?;
    if let Verb::Seldom(RareVerb(Seldom::Doctor(Deferred(arguments)))) = cli.verb {
        let jobs = settings.open("jobcli").map(JobManager::with_inline_work);
        return Box::pin(doctor::run(jobs, &settings, &arguments)).await;
    }
    let jobs = match cli.verb.makes_store() {
        true => settings.open_to_write("jobcli")?,
        false => settings.open_to_look("jobcli")?,
    };
    if let Verb::Seldom(RareVerb(Seldom::Top(Deferred(arguments)))) = cli.verb {
        // Unlike other verbs, it has other work to do while the store is read.
        return Box::pin(top::run(&jobs, &settings, arguments)).await;
    }
    // There is no other work to do while the store is read, and a thread costs time.
    let (jobs, settings) = (&jobs.with_inline_work(), &settings);
    // Boxed, since a future is as large as the largest of its branches, and the largest verb takes tens of kilobytes.
    let carried_out: Pin<Box<dyn Future<Output = Result> + '_>> = match cli.verb {
        Verb::Run(Deferred(arguments)) => Box::pin(run::run(jobs, settings, arguments, None)),
        // As in the tools that had this verb, every job accepts input.
        Verb::Execute(Deferred(arguments)) => Box::pin(run::run(jobs, settings, arguments, Some(StdinFrom::Open))),
        Verb::List(Deferred(arguments)) => Box::pin(list::run(jobs, settings, arguments)),
        Verb::Show(Deferred(arguments)) => Box::pin(show::run(jobs, arguments)),
        Verb::Status(Deferred(arguments)) => Box::pin(status::run(jobs, arguments)),
        Verb::Output(Deferred(arguments)) => Box::pin(output::run(jobs, settings, arguments)),
        Verb::Tail(Deferred(arguments)) => Box::pin(output::tail(jobs, settings, arguments)),
        Verb::Wait(Deferred(arguments)) => Box::pin(wait::run(jobs, settings, arguments)),
        Verb::Send(Deferred(arguments)) => Box::pin(send::run(jobs, arguments)),
        Verb::Kill(Deferred(arguments)) => Box::pin(kill::run(jobs, settings, arguments)),
        Verb::Start(Deferred(arguments)) => Box::pin(async move { start::run(jobs, &arguments).await }),
        Verb::Rm(Deferred(arguments)) => Box::pin(rm::run(jobs, settings, arguments)),
        Verb::Events(Deferred(arguments)) => Box::pin(async move { events::run(jobs, &arguments).await }),
        Verb::Statusline(Deferred(arguments)) => Box::pin(statusline::run(jobs, arguments)),
        Verb::Seldom(RareVerb(verb)) => carry_out(jobs, settings, verb),
        Verb::Hook(_) => unreachable!("hooks are handled above"),
    };
    carried_out.await
}

/// Carries out a rarely used verb.
fn carry_out<'j>(
    jobs: &'j JobManager,
    settings: &'j Settings,
    verb: Seldom,
) -> Pin<Box<dyn Future<Output = Result> + 'j>> {
    match verb {
        Seldom::Up(Deferred(arguments)) => Box::pin(up::up(jobs, settings, arguments)),
        Seldom::Down(Deferred(arguments)) => Box::pin(up::down(jobs, arguments)),
        Seldom::Delegate(Deferred(arguments)) => Box::pin(delegate::run(jobs, settings, *arguments)),
        Seldom::Adopt(Deferred(arguments)) => Box::pin(adopt::run(jobs, settings, arguments)),
        Seldom::Interact(Deferred(arguments)) => Box::pin(send::interact(jobs, arguments)),
        Seldom::Attach(Deferred(arguments)) => Box::pin(async move { attach::run(jobs, &arguments).await }),
        Seldom::Pause(Deferred(arguments)) => Box::pin(pause::run(jobs, settings, arguments)),
        Seldom::Resume(Deferred(arguments)) => Box::pin(pause::resume(jobs, settings, arguments)),
        Seldom::Renew(Deferred(arguments)) => Box::pin(pause::renew(jobs, settings, arguments)),
        Seldom::Rerun(Deferred(arguments)) => Box::pin(rerun::run(jobs, settings, arguments)),
        Seldom::Hold(Deferred(arguments)) => Box::pin(place::hold(jobs, settings, arguments)),
        Seldom::Release(Deferred(arguments)) => Box::pin(place::release(jobs, settings, arguments)),
        Seldom::Move(Deferred(arguments)) => Box::pin(async move { place::move_to(jobs, &arguments).await }),
        Seldom::Edit(Deferred(arguments)) => Box::pin(edit::run(jobs, arguments)),
        Seldom::Schedule(Deferred(arguments)) => Box::pin(schedule::run(jobs, arguments)),
        Seldom::Graph(Deferred(arguments)) => Box::pin(graph::run(jobs, settings, arguments)),
        Seldom::Gc(Deferred(arguments)) => Box::pin(gc::run(jobs, arguments)),
        Seldom::Prune(Deferred(arguments)) => Box::pin(prune::run(jobs, arguments)),
        Seldom::Inbox(Deferred(arguments)) => Box::pin(inbox::run(jobs, settings, arguments)),
        Seldom::Stats(Deferred(arguments)) => Box::pin(stats::run(jobs, settings, arguments)),
        Seldom::Usage(Deferred(arguments)) => Box::pin(usage::run(jobs, arguments)),
        Seldom::Config(Deferred(arguments)) => Box::pin(config::run(jobs, arguments)),
        Seldom::Group(Deferred(arguments)) => Box::pin(group::run(jobs, arguments)),
        Seldom::Top(_) | Seldom::Doctor(_) | Seldom::Completions(_) | Seldom::Man(_) | Seldom::Skill(_) => {
            unreachable!("these verbs are handled in `run`")
        }
    }
}
