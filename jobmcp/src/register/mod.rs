//! Writes this server into the configuration of clients, and takes it out again.
//!
//! Those files belong to other programs and to people: all that is not ours stays as it is, and a file that is not understood
//! is not touched.

mod clients;
mod edit;
mod file;
#[cfg(test)]
mod tests;

use std::env;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use jobcore::escape;
use jobcore::front::{Failure, codes};
use serde_json::Value;
use similar::TextDiff;

use self::clients::Places;
use self::edit::{Format, Slot};
use self::file::Configuration;
use crate::cli::{Client, Place, Register, Unregister};

/// The name of the program, by which an entry is known to be ours.
const PROGRAM: &str = "jobmcp";
/// How long a line may be to be shown: some files have all in one.
const LINE: usize = 160;

type Result<T = ()> = std::result::Result<T, Failure>;

/// Registers this program with clients, or prints what is to be written for it.
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
        // An escape that JSON and TOML both understand.
        io::stdout().write_all(escape::json(&block).as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let places = Places::own()?;
    each(&arguments.place, &places, |client, configuration| {
        let slot = client.slot(name);
        check(&slot, configuration)?;
        let entry = client.entry(&command, &options);
        let changed = slot.put(configuration.text(), &entry).map_err(|reason| configuration.refused(&reason))?;
        let done = format!("`{name}` is registered in");
        if tell(client, configuration, &changed, &done, &format!("`{name}` is registered already in"))? {
            writeln!(io::stdout(), "next: {}", client.next_step(*scope))?;
        }
        Ok(())
    })
}

/// Takes out what was registered.
pub(crate) fn unregister(arguments: &Unregister) -> Result<ExitCode> {
    let name = &arguments.place.name;
    let places = Places::own()?;
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
        Ok(())
    })
}

/// Does something for the client that was named, or for all that are found. One that fails does not stop the others.
fn each(place: &Place, places: &Places, change: impl Fn(Client, &Configuration) -> Result) -> Result<ExitCode> {
    let clients = match place.client {
        Some(client) => vec![client],
        None => found(place, places)?,
    };
    let mut code = ExitCode::SUCCESS;
    for client in clients {
        let Some(path) = client.file(place.scope, places) else {
            let message = format!("{} has no configuration of a project", client.word());
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
    let message = format!("no client is found here; name one with `--client`: {}", known.join(", "));
    Err(Failure::new(codes::FAILED, message).with_hint("`jobmcp register --print` prints what others want"))
}

/// Refuses to touch a server of somebody else that has our name.
fn check(slot: &Slot<'_>, configuration: &Configuration) -> Result {
    let there = slot.get(configuration.text()).map_err(|reason| configuration.refused(&reason))?;
    let Some(there) = there else { return Ok(()) };
    let command = there.get("command").and_then(Value::as_str).map(Path::new).and_then(Path::file_name);
    let own = program()?;
    match command {
        Some(command) if command == PROGRAM || own.file_name() == Some(command) => Ok(()),
        _ => {
            let reason = format!("its `{}` is another server than this", slot.name);
            Err(configuration.refused(&reason).with_hint("use another name: `--name`"))
        }
    }
}

/// Writes what changed, if anything did, and shows it. Returns whether something did.
fn tell(client: Client, configuration: &Configuration, changed: &str, done: &str, nothing: &str) -> Result<bool> {
    let path = configuration.path().display().to_string();
    let (word, path) = (client.word(), escape::one_line(&path));
    if changed == configuration.text() {
        writeln!(io::stdout(), "{word}: {nothing} {path}: nothing is changed")?;
        return Ok(false);
    }
    let backup = configuration.replace(changed)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{word}: {done} {path}")?;
    // Without the lines around: they are not ours, and may be secret.
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

/// Returns the path of this program as it was called: where a package manager puts a link to each version, the link outlives
/// the version.
fn program() -> Result<PathBuf> {
    let failed =
        |error: io::Error| Failure::new(codes::FAILED, format!("the path of this program is not known: {error}"));
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
