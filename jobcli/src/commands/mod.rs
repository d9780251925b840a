//! One file a verb.

// In the order in which to read them:
// - `result.rs`, `select.rs`: what a verb comes to, and which jobs it is about
// - `run.rs`, `order.rs`, `spec.rs`, `delegate.rs`: starting a job
// - `list.rs`, `show.rs`, `status.rs`, `output.rs`, `agent.rs`, `events.rs`, `usage.rs`: looking
// - `wait.rs`, `ending.rs`: waiting, and how a job ended
// - `send.rs`, `attach.rs`, `kill.rs`, `restart.rs`: acting on what runs
// - `rm.rs`, `prune.rs`, `config.rs`, `group.rs`, `doctor.rs`: what is kept
// - `completions.rs`, `man.rs`: jobcli itself

mod agent;
mod attach;
mod completions;
mod config;
mod delegate;
mod doctor;
mod ending;
mod events;
mod group;
mod kill;
mod list;
mod man;
mod order;
mod output;
mod prune;
mod restart;
mod result;
mod rm;
mod run;
mod select;
mod send;
mod show;
mod spec;
mod status;
mod usage;
mod wait;

use jobcore::JobManager;
use jobcore::front::Settings;

use crate::cli::{Cli, StdinFrom, Verb};
use result::{Result, code_of, tell, unless_interrupted};

/// Carries out a verb.
pub(crate) async fn run(cli: Cli) -> Result {
    match &cli.verb {
        Verb::Completions(arguments) => return completions::run(arguments),
        Verb::Man(arguments) => return man::run(arguments),
        _ => {}
    }
    let settings = Settings::read(cli.store.clone(), cli.config.clone())?;
    if let Verb::Doctor(arguments) = cli.verb {
        return doctor::run(settings.open("jobcli").map(JobManager::with_inline_work), &settings, &arguments).await;
    }
    let jobs = match cli.verb.makes_store() {
        true => settings.open_to_write("jobcli")?,
        false => settings.open_to_look("jobcli")?,
    };
    // There is nothing else to do meanwhile, and a thread costs time.
    let jobs = jobs.with_inline_work();
    match cli.verb {
        Verb::Run(arguments) => run::run(&jobs, &settings, arguments, None).await,
        // As it was with the tools that had this word: something could be sent to every job.
        Verb::Execute(arguments) => run::run(&jobs, &settings, arguments, Some(StdinFrom::Open)).await,
        Verb::Delegate(arguments) => delegate::run(&jobs, &settings, *arguments).await,
        Verb::List(arguments) => list::run(&jobs, arguments).await,
        Verb::Show(arguments) => show::run(&jobs, arguments).await,
        Verb::Status(arguments) => status::run(&jobs, arguments).await,
        Verb::Output(arguments) => output::run(&jobs, arguments).await,
        Verb::Tail(arguments) => output::tail(&jobs, arguments).await,
        Verb::Wait(arguments) => wait::run(&jobs, arguments).await,
        Verb::Send(arguments) => send::run(&jobs, arguments).await,
        Verb::Interact(arguments) => send::interact(&jobs, arguments).await,
        Verb::Attach(arguments) => attach::run(&jobs, &arguments).await,
        Verb::Kill(arguments) => kill::run(&jobs, arguments).await,
        Verb::Restart(arguments) => restart::run(&jobs, &arguments).await,
        Verb::Rm(arguments) => rm::run(&jobs, arguments).await,
        Verb::Prune(arguments) => prune::run(&jobs, arguments).await,
        Verb::Events(arguments) => events::run(&jobs, &arguments).await,
        Verb::Usage(arguments) => usage::run(&jobs, arguments).await,
        Verb::Config(arguments) => config::run(&jobs, arguments).await,
        Verb::Group(arguments) => group::run(&jobs, arguments).await,
        Verb::Doctor(arguments) => doctor::run(Ok(jobs), &settings, &arguments).await,
        Verb::Completions(arguments) => completions::run(&arguments),
        Verb::Man(arguments) => man::run(&arguments),
    }
}
