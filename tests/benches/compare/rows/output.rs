//! Much output: how long a job that writes it takes, from its submission to the record of its end.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use super::row;
use crate::measure::{Contestant, milliseconds, now};
use crate::peers::{Kind, Peer, command};
use crate::process::{run, run_into};
use crate::report::times;
use crate::stores::Place;
use crate::{Bench, Outcome};

/// The size of a block that `work blocks` writes.
const BLOCK: u64 = 1 << 16;
const KEEP_ALL: [&str; 2] = ["--output-limit", "0"];

pub(super) fn measure(bench: &Bench) -> Outcome<()> {
    for place in &bench.places {
        // The disks of other users must not fill up.
        if place.free()? > 8 << 30 {
            blocks(bench, place)?;
        } else {
            writeln!(io::stdout(), "less than 8 GiB are free on {}: 2 GiB of output are left out there", place.name)?;
        }
    }
    lines(bench)
}

fn blocks(bench: &Bench, place: &Place) -> Outcome<()> {
    let count: u64 = bench.much(1 << 15, 1 << 9);
    let size = count * BLOCK;
    let (work, count) = (bench.tools.work()?, count.to_string());
    let words = [&*work, "blocks", &count];
    let redirected = || {
        let home = place.directory()?;
        let file = File::create(home.path().join("file"))?;
        Ok(run_into(command(&work, home.path()).args(&words[1..]), file)? / 1000.0)
    };
    let limited = "jobcore with the default limit";
    let mut contestants = vec![
        Contestant::new("redirect", redirected),
        Contestant::new(limited, || job(bench, place, Kind::Jobcore, &[], &words, size)),
    ];
    for kind in bench.tools.keepers().filter(|kind| *kind != Kind::Floor) {
        let sample = move || job(bench, place, kind, &KEEP_ALL, &words, size);
        contestants.push(Contestant::new(kind.name(), sample));
    }
    let what = (format!("{} MiB in writes of 64 KiB", size >> 20), place.name, "s");
    let targets = [times("jobcore", 1.1, "redirect"), times(limited, 1.0, "redirect")];
    row(bench, what, bench.rounds(), contestants, targets)
}

/// One line per write, as a program that does not buffer writes.
fn lines(bench: &Bench) -> Outcome<()> {
    let count: u64 = bench.much(10_000_000, 100_000);
    let size = count * "line 00000000\n".len() as u64;
    let (work, place, count) = (bench.tools.work()?, bench.memory(), count.to_string());
    let words = [&*work, "lines", &count];
    let contestants = vec![
        Contestant::new("cat > file", || through_cat(&words, place, size)),
        Contestant::new("jobcore", || job(bench, place, Kind::Jobcore, &KEEP_ALL, &words, size)),
    ];
    let what = (format!("{count} lines, each a write, to both streams in turn"), "", "s");
    row(bench, what, bench.rounds(), contestants, [times("jobcore", 1.1, "cat > file")])
}

fn through_cat(words: &[&str], place: &Place, size: u64) -> Outcome<f64> {
    let home = place.directory()?;
    let file = File::create(home.path().join("file"))?;
    let (reader, writer) = io::pipe()?;
    let begin = now();
    let mut cat = command("cat", home.path()).stdin(reader).stdout(file).spawn()?;
    // Nothing here keeps the pipe open, so that there is an end of file.
    let mut writes = command(words[0], home.path())
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()?;
    let statuses = [writes.wait()?, cat.wait()?];
    let time = milliseconds(now() - begin);
    if !statuses.iter().all(|status| status.success()) || kept(home.path())? != size {
        return Err(format!("through `cat`: {statuses:?}, {} bytes of {size}", kept(home.path())?).into());
    }
    Ok(time / 1000.0)
}

fn job(bench: &Bench, place: &Place, kind: Kind, options: &[&str], words: &[&str], size: u64) -> Outcome<f64> {
    let peer = Peer::open(kind, &bench.tools, place, 1)?;
    let begin = now();
    let (id, _) = peer.start(options, words)?;
    peer.finish(&id)?;
    let time = milliseconds(now() - begin);
    if kind == Kind::Jobcore {
        let job: Value = serde_json::from_str(&run(peer.command().args(["show", "--json", &id]))?.stdout)?;
        if job["output_bytes"] != size {
            return Err(format!("{size} bytes were written, but {}", job["output_bytes"]).into());
        }
    }
    let kept = kept(peer.home())?;
    if !options.is_empty() && kept < size {
        return Err(format!("{kept} bytes were kept of {size}").into());
    }
    Ok(time / 1000.0)
}

/// The bytes in all files below a directory.
fn kept(directory: &Path) -> Outcome<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() { kept(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(sum)
}
