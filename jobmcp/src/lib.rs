//! `jobmcp`: background jobs for coding agents, as an MCP server. Each tool makes one call of jobcore and returns one
//! text.

// In the order in which to read them:
// - `main.rs`, `cli.rs`, `settings.rs`: the program, its command line and its settings
// - `server.rs`, `handler.rs`: what all calls share, and the dispatch of requests
// - `tools/`: the tools that a model calls
// - `task.rs`, `tasks.rs`: a job as a task, and requests about tasks
// - `resources.rs`, `prompts.rs`, `skill.rs`: resources, prompts and the skill
// - `events/`: job events, for programs
// - `text.rs`, `excerpt.rs`, `runs.rs`, `failure.rs`: the texts that models read
// - `call.rs`, `news.rs`, `shown.rs`: the caller, the ends it has missed, and the output it has been shown
// - `gate.rs`: the server's own limits
// - `stdio.rs`, `lines.rs`, `strangers.rs`: messages as lines
// - `http/`, `token.rs`: the server over HTTP
// - `ending.rs`, `log.rs`: ending the server, and its log
// - `register/`, `doctor.rs`: the configuration of clients, and checks that the server works
// - `properties.rs`: property tests for the lines of a client

mod call;
pub mod cli;
mod doctor;
mod ending;
mod events;
mod excerpt;
mod failure;
mod gate;
mod handler;
mod http;
mod lines;
mod log;
mod news;
mod prompts;
#[cfg(test)]
mod properties;
mod register;
mod resources;
mod runs;
mod server;
mod settings;
mod shown;
mod skill;
mod stdio;
mod strangers;
mod task;
mod tasks;
mod text;
mod token;
mod tools;

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use jobcore::escape;
use jobcore::front::text::print_if_hostile;
use jobcore::front::{Failure, Settings, codes, process};
use rmcp::ServerHandler;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

#[doc(hidden)]
pub use self::server::Server;
use crate::cli::{Cli, Doctor, Serve, Verb};
use crate::settings::Background;
use crate::token::{Origin, Token};

/// Printed if the server is started on a terminal instead of by a client. It still serves the terminal, since messages
/// can be typed.
const ON_A_TERMINAL: &str = "\
jobmcp is an MCP server: a coding agent starts it and sends it JSON, one message per line.
To give it to your agent, run `jobmcp register`; to try it, `jobmcp doctor`; for more, `jobmcp --help`.
It serves this terminal now, until Ctrl-D.
";

/// Runs the program.
pub fn main() -> ExitCode {
    main_behind(|server| server)
}

/// Runs the program with a handler that `before` makes of the server, which HTTP clients talk to: for tests that need
/// more than the server has.
#[doc(hidden)]
pub fn main_behind<H: ServerHandler>(before: fn(Server) -> H) -> ExitCode {
    // Before the command line is parsed: a supervisor is started as this program with a hidden first argument.
    jobcore::supervisor::run_if_asked();
    process::survive_writes();
    process::with_enough_stack(|| {
        let cli = Cli::try_parse().unwrap_or_else(|error| refuse(&error));
        run(cli, before).unwrap_or_else(|failure| failure.report(false))
    })
}

/// Prints the parser's error, or the help that was asked for, and exits.
fn refuse(error: &clap::Error) -> ! {
    if error.use_stderr() && print_if_hostile(error.render()) {
        std::process::exit(error.exit_code());
    }
    error.exit()
}

fn run<H: ServerHandler>(cli: Cli, before: fn(Server) -> H) -> Result<ExitCode, Failure> {
    log::start(cli.log_file)?;
    let verb = match (cli.selftest, cli.verb) {
        (true, None) => Verb::Doctor(Doctor::default()),
        (true, Some(_)) => {
            return Err(Failure::new(codes::USAGE, "`--selftest` means `doctor`, and cannot be combined with a verb"));
        }
        (false, verb) => verb.unwrap_or_else(|| Verb::Serve(Serve::default())),
    };
    match verb {
        Verb::Register(arguments) => register::register(&arguments, cli.store, cli.config),
        Verb::Unregister(arguments) => register::unregister(&arguments),
        Verb::Doctor(arguments) => doctor::run(&arguments, cli.store, cli.config),
        Verb::Serve(arguments) => {
            serve(arguments, Settings::read(cli.store, cli.config)?, before)?;
            // A read of standard input cannot be cancelled, and would keep the program from ending until the client
            // closes it.
            std::process::exit(0)
        }
    }
}

fn serve<H: ServerHandler>(arguments: Serve, mut settings: Settings, before: fn(Server) -> H) -> Result<(), Failure> {
    let background = Background::read(|name| std::env::var_os(name))?;
    background.apply(&mut settings);
    settings.environment.scrub.extend(token::VARIABLE.parse());
    let jobs = settings.open("jobmcp")?;
    let failed = |error| Failure::new(codes::FAILED, format!("cannot start: {error}"));
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    // Calls run on their own threads, so that the thread that reads from clients stays responsive.
    let work = Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(failed)?;
    let store = settings.store.clone();
    let events = events::Shared::new(&arguments.webhooks);
    let server = Server::new(jobs, settings, background, events, work.handle().clone());
    match arguments.http {
        None => {
            if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
                // It does not matter if no one reads this.
                let _ = anstream::stderr().write_all(ON_A_TERMINAL.as_bytes());
            }
            tracing::info!(store = %store.display(), "serving standard input and output");
            runtime.block_on(stdio::serve(server));
        }
        Some(address) => serve_http(&runtime, server, before, address, arguments, &store)?,
    }
    tracing::info!("stopped");
    runtime.shutdown_background();
    work.shutdown_background();
    Ok(())
}

fn serve_http<H: ServerHandler>(
    runtime: &Runtime,
    server: Server,
    before: fn(Server) -> H,
    address: SocketAddr,
    arguments: Serve,
    store: &Path,
) -> Result<(), Failure> {
    if !address.ip().to_canonical().is_loopback() && !arguments.allow_remote {
        let reason = format!("at {address}, other machines could start commands here");
        let hint = "use 127.0.0.1, and a proxy with TLS in front for other machines; or use `--allow-remote`";
        return Err(Failure::new(codes::REFUSED, reason).with_hint(hint));
    }
    let (token, origin) = Token::find(arguments.token_file, std::env::var_os(token::VARIABLE), store)?;
    let failed = |error| Failure::new(codes::FAILED, format!("cannot serve at {address}: {error}"));
    let listener = runtime.block_on(TcpListener::bind(address)).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    tracing::info!(store = %store.display(), %address, "serving HTTP");
    let about = match origin {
        Origin::Variable => format!("the value of {}", token::VARIABLE),
        Origin::File(path) => format!("the one in {}", path.display()),
        Origin::Made(path) => format!("{}, kept in {}; it is not shown again", token.reveal(), path.display()),
    };
    // Not through the log, which may be a file: the token must not be written anywhere else. A failed write does not
    // matter.
    let about = escape::one_line(&about);
    let _ = writeln!(anstream::stderr(), "jobmcp serves http://{address}/mcp\nclients must send a token: {about}");
    runtime.block_on(http::serve(server, before, listener, address, &arguments.allow_host, token));
    Ok(())
}
