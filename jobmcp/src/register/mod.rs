//! Writes this server into the configuration of clients, and removes it again.
//!
//! Those files belong to other programs and to people: whatever is not ours is kept, and a file that is not understood
//! is not touched.

// In the order in which to read them:
// - `clients.rs`: where each client keeps its servers
// - `edit.rs`, `hooks.rs`: changing one entry of a text, and our hooks in it
// - `file.rs`: replacing a file of another program
// - `tests.rs`: realistic files

mod clients;
mod edit;
mod file;
mod hooks;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use jobcore::escape;
use jobcore::front::{Failure, codes};
use jobcore::words::quoted;
use similar::TextDiff;

use self::clients::{PROGRAM, Places};
use self::edit::{Format, Slot};
use self::file::Configuration;
use self::hooks::Hooks;
use crate::cli::{Client, Place, Register, Scope, Unregister};

/// The program that answers hooks.
const SHELL_PROGRAM: &str = "jobcli";
/// The longest line that is shown, in characters: some files have everything in one.
const LINE: usize = 160;

type Result<T = ()> = std::result::Result<T, Failure>;

/// Registers this program with clients, or prints its entry.
pub(crate) fn register(arguments: &Register, store: Option<PathBuf>, config: Option<PathBuf>) -> Result<ExitCode> {
    let command = text(&program()?)?;
    let options = options(store, config)?;
    let Place { client, scope, name } = &arguments.place;
    if arguments.print {
        let block = match client {
            Some(client) => client.slot(name).put("", &client.entry(&command, &options)),
            None => Slot { format: Format::Json, key: "mcpServers", name }.put("", &clients::entry(&command, &options)),
        };
        let block = block.map_err(|reason| Failure::new(codes::FAILED, reason))?;
        // JSON and TOML both support this escape.
        io::stdout().write_all(escape::json(&block).as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let places = Places::own()?;
    let jobcli = arguments.hooks.then(|| check_hooks(&arguments.place, &places).and_then(|()| jobcli())).transpose()?;
    each(&arguments.place, &places, |client, configuration| {
        let slot = client.slot(name);
        check(&slot, configuration)?;
        let entry = client.entry(&command, &options);
        let changed = slot.put(configuration.text(), &entry).map_err(|reason| configuration.refused(&reason))?;
        let done = format!("`{name}` is registered in");
        if tell(client, configuration, &changed, &done, &format!("`{name}` is already registered in"))? {
            writeln!(io::stdout(), "next: {}", client.next_step(*scope))?;
        }
        match &jobcli {
            Some(jobcli) => register_hooks(client, &arguments.place, &places, jobcli),
            None => Ok(()),
        }
    })
}

fn register_hooks(client: Client, place: &Place, places: &Places, jobcli: &str) -> Result {
    let Some((hooks, configuration)) = hooks_of(client, place, places)? else { return Ok(()) };
    let changed = hooks.put(configuration.text(), jobcli).map_err(|reason| configuration.refused(&reason))?;
    tell(client, &configuration, &changed, "its hooks are written into", "its hooks are already in")?;
    if client == Client::Codex {
        let codex = found_program("codex").map_or_else(|| "codex".to_owned(), |path| path.display().to_string());
        let home = env::var("CODEX_HOME").ok().filter(|home| !home.is_empty());
        let home = home.map(|home| format!("CODEX_HOME={} ", quoted(&home))).unwrap_or_default();
        let line = format!("{home}{} hook codex end --program {}", quoted(jobcli), quoted(&codex));
        writeln!(io::stdout(), "next: review the hooks in Codex with `/hooks`, and trust them")?;
        writeln!(
            io::stdout(),
            "to wake an idle Codex as well: {} config set callers.codex.on_end {}",
            quoted(jobcli),
            quoted(&line)
        )?;
    }
    Ok(())
}

fn unregister_hooks(client: Client, place: &Place, places: &Places) -> Result {
    let Some((hooks, configuration)) = hooks_of(client, place, places)? else { return Ok(()) };
    let changed = hooks.take(configuration.text()).map_err(|reason| configuration.refused(&reason))?;
    tell(client, &configuration, &changed, "its hooks are removed from", "there are no hooks of jobcore in")?;
    Ok(())
}

/// Returns the hooks of a client, and their file; nothing if it has none.
fn hooks_of(client: Client, place: &Place, places: &Places) -> Result<Option<(Hooks, Configuration)>> {
    let of_client = Hooks::of(client, place.scope, places);
    of_client.map(|(hooks, path)| Ok((hooks, Configuration::read(path)?))).transpose()
}

/// Refuses a client that was named and has no hooks, before anything is changed.
fn check_hooks(place: &Place, places: &Places) -> Result {
    match place.client.filter(|client| Hooks::of(*client, place.scope, places).is_none()) {
        Some(client) => {
            let message = format!("{} has no hooks that notify its model", client.word());
            Err(Failure::new(codes::USAGE, message).with_hint("leave out `--hooks`"))
        }
        None => Ok(()),
    }
}

/// Removes what was registered.
pub(crate) fn unregister(arguments: &Unregister) -> Result<ExitCode> {
    let name = &arguments.place.name;
    let places = Places::own()?;
    if arguments.hooks {
        check_hooks(&arguments.place, &places)?;
    }
    each(&arguments.place, &places, |client, configuration| {
        let slot = client.slot(name);
        check(&slot, configuration)?;
        let changed = slot.take(configuration.text()).map_err(|reason| configuration.refused(&reason))?;
        tell(
            client,
            configuration,
            &changed,
            &format!("`{name}` is removed from"),
            &format!("there is no `{name}` in"),
        )?;
        match arguments.hooks {
            true => unregister_hooks(client, &arguments.place, &places),
            false => Ok(()),
        }
    })
}

/// Returns the clients that have this program or our hooks, and errors for those whose program does not exist.
/// Unreadable files are skipped.
pub(crate) fn examine() -> Vec<std::result::Result<String, String>> {
    let Ok(places) = Places::own() else { return Vec::new() };
    let scopes = |client: &Client| Scope::value_variants().iter().map(|scope| (*client, *scope)).collect::<Vec<_>>();
    let mut found = Vec::new();
    // In the home directory, the files of the project and of the user may be the same.
    let mut seen = BTreeSet::new();
    for (client, scope) in Client::value_variants().iter().flat_map(scopes) {
        let read = |path: PathBuf| Configuration::read(path).ok();
        if let Some(path) = client.file(scope, &places).filter(|path| seen.insert((path.clone(), "server"))) {
            let program = read(path).and_then(|configuration| client.server(configuration.text()));
            found.extend(program.map(|program| examined(client, "server", "", &program)));
        }
        let hooks = Hooks::of(client, scope, &places);
        if let Some((hooks, path)) = hooks.filter(|(_, path)| seen.insert((path.clone(), "hooks"))) {
            let program = read(path).and_then(|configuration| hooks.program(configuration.text()).ok()?);
            found.extend(program.map(|program| examined(client, "hooks", " --hooks", &program)));
        }
    }
    found
}

fn examined(client: Client, what: &str, flag: &str, program: &Path) -> std::result::Result<String, String> {
    let is_there = match program.is_absolute() {
        true => program.is_file(),
        false => program.to_str().and_then(found_program).is_some(),
    };
    let (word, program) = (client.word(), program.display().to_string());
    match is_there {
        true => Ok(format!("{word} ({what})")),
        false => Err(format!(
            "{word} ({what}) would run `{}`, which does not exist; run `jobmcp register --client {word}{flag}`",
            escape::one_line(&program)
        )),
    }
}

/// Applies a change to the named client, or to all that are found. A failure does not stop the others.
fn each(place: &Place, places: &Places, change: impl Fn(Client, &Configuration) -> Result) -> Result<ExitCode> {
    let clients = match place.client {
        Some(client) => vec![client],
        None => found(place, places)?,
    };
    let mut code = ExitCode::SUCCESS;
    for client in clients {
        let Some(path) = client.file(place.scope, places) else {
            let message = format!("{} has no configuration for a project", client.word());
            return Err(Failure::new(codes::USAGE, message).with_hint("use `--scope user`"));
        };
        if let Err(failure) = Configuration::read(path).and_then(|configuration| change(client, &configuration)) {
            code = failure.report(false);
        }
    }
    Ok(code)
}

fn found(place: &Place, places: &Places) -> Result<Vec<Client>> {
    let found: Vec<_> =
        Client::value_variants().iter().copied().filter(|client| client.is_here(place.scope, places)).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let known: Vec<_> = Client::value_variants().iter().map(|client| client.word()).collect();
    let message = format!("no client was found; name one with `--client`: {}", known.join(", "));
    Err(Failure::new(codes::FAILED, message).with_hint("`jobmcp register --print` prints the entry for other clients"))
}

/// Refuses to touch another server that has our name.
fn check(slot: &Slot<'_>, configuration: &Configuration) -> Result {
    let there = slot.get(configuration.text()).map_err(|reason| configuration.refused(&reason))?;
    let Some(there) = there else { return Ok(()) };
    let command = clients::program_of(&there).map(Path::new).and_then(Path::file_name);
    let own = program()?;
    match command {
        Some(command) if command == PROGRAM || own.file_name() == Some(command) => Ok(()),
        _ => {
            let reason = format!("its `{}` is a different server", slot.name);
            Err(configuration.refused(&reason).with_hint("use another name: `--name`"))
        }
    }
}

/// Writes and shows a change, if there is one. Returns whether there was.
fn tell(client: Client, configuration: &Configuration, changed: &str, done: &str, nothing: &str) -> Result<bool> {
    let path = configuration.path().display().to_string();
    let (word, path) = (client.word(), escape::one_line(&path));
    if changed == configuration.text() {
        writeln!(io::stdout(), "{word}: {nothing} {path}: nothing is changed")?;
        return Ok(false);
    }
    let backup = match changed.is_empty() {
        true => configuration.remove()?,
        false => configuration.replace(changed)?,
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{word}: {done} {path}")?;
    // Without context lines: they are not ours, and may contain secrets.
    for line in TextDiff::from_lines(configuration.text(), changed).unified_diff().context_radius(0).to_string().lines()
    {
        match line.chars().count() {
            0..=LINE => writeln!(out, "  {}", escape::lines(line))?,
            length => writeln!(out, "  {}… ({length} characters)", &line[..1])?,
        }
    }
    if let Some(backup) = backup {
        writeln!(out, "backup: {}", escape::one_line(&backup.display().to_string()))?;
    }
    Ok(true)
}

/// Returns the path of this program as it was called. If that is a package manager's link to the installed version, the
/// link outlives the version.
fn program() -> Result<PathBuf> {
    let failed =
        |error: io::Error| Failure::new(codes::FAILED, format!("the path of this program is unknown: {error}"));
    let own = env::current_exe().map_err(failed)?;
    let called = env::args_os().next().map(PathBuf::from).unwrap_or_default();
    let candidates = match called.parent() {
        Some(parent) if parent != Path::new("") => vec![called.clone()],
        _ => env::split_paths(&env::var_os("PATH").unwrap_or_default()).map(|path| path.join(&called)).collect(),
    };
    let is_this = |path: &PathBuf| matches!((path.canonicalize(), own.canonicalize()), (Ok(a), Ok(b)) if a == b);
    let found = candidates.into_iter().find(is_this).unwrap_or(own);
    std::path::absolute(found).map_err(failed)
}

/// Returns the path of the program that answers hooks: beside this program, or in the `PATH`.
fn jobcli() -> Result<String> {
    let beside = program()?.with_file_name(SHELL_PROGRAM);
    match Some(beside).filter(|path| path.is_file()).or_else(|| found_program(SHELL_PROGRAM)) {
        Some(path) => text(&path),
        None => {
            let message =
                format!("`{SHELL_PROGRAM}`, which answers the hooks, is neither beside this program nor in the `PATH`");
            Err(Failure::new(codes::FAILED, message)
                .with_hint("install it: `cargo install --path jobcli` in a checkout"))
        }
    }
}

fn found_program(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|directory| directory.join(name)).find(|path| path.is_file())
}

fn options(store: Option<PathBuf>, config: Option<PathBuf>) -> Result<Vec<String>> {
    let mut options = Vec::new();
    for (flag, path) in [("--store", store), ("--config", config)] {
        let Some(path) = path else { continue };
        let absolute = std::path::absolute(&path)
            .map_err(|error| Failure::new(codes::USAGE, format!("`{flag} {}`: {error}", path.display())))?;
        options.extend([flag.to_owned(), text(&absolute)?]);
    }
    Ok(options)
}

fn text(path: &(impl AsRef<OsStr> + ?Sized)) -> Result<String> {
    let path = path.as_ref();
    let not_text =
        || Failure::new(codes::FAILED, format!("`{}` is not valid UTF-8, as the file must be", path.display()));
    path.to_str().map(str::to_owned).ok_or_else(not_text)
}
