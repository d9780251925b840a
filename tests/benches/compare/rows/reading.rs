//! Reading much output, or the end of it.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use super::row;
use crate::measure::Contestant;
use crate::peers::{Kind, Peer, command};
use crate::process::run_into;
use crate::report::times;
use crate::{Bench, Outcome};

/// A word that occurs once in each block that `work` writes.
const SOUGHT: &str = "needle";

pub(super) fn measure(bench: &Bench) -> Outcome<()> {
    let place = bench.memory();
    let count: usize = bench.much(1 << 14, 1 << 8);
    let size = format!("{} MiB", count >> 4);
    let (work, home) = (bench.tools.work()?, place.directory()?);
    let peer = Peer::open(Kind::Jobcore, &bench.tools, place, 0)?;
    let job = |what: &str| {
        let (id, _) = peer.start(&["--output-limit", "0"], &[&work, what, &count.to_string()])?;
        peer.finish(&id)?;
        Ok::<_, Box<dyn std::error::Error>>(id)
    };
    let (with_lines, without) = (job("blocks")?, job("solid")?);
    let [large, small, found] = ["large", "small", "found"].map(|name| home.path().join(name));
    for (file, count) in [(&large, count), (&small, 1)] {
        run_into(Command::new(&work).args(["blocks", &count.to_string()]), File::create(file)?)?;
    }

    let ours = |words: &[&str]| {
        let mut command = peer.command();
        command.arg("output").args(words);
        command
    };
    let other = |words: &[&str], file: &Path| {
        let mut command = command(words[0], home.path());
        command.args(&words[1..]).arg(file);
        command
    };
    let null = |mut command: Command| run_into(&mut command, File::create("/dev/null")?);
    // Output to /dev/null cannot be counted, so it is counted once in advance.
    run_into(&mut ours(&[&with_lines]), File::create(&found)?)?;
    if fs::metadata(&found)?.len() != fs::metadata(&large)?.len() {
        return Err("`output` did not print all".into());
    }
    let contestants = vec![
        Contestant::new("cat", || null(other(&["cat"], &large))),
        Contestant::new("jobcore", || null(ours(&[&with_lines]))),
        Contestant::new("jobcore --clean", || null(ours(&["--clean", &with_lines]))),
    ];
    let what = (format!("`output` of {size}"), "", "ms");
    row(bench, what, bench.rounds(), contestants, [times("jobcore", 1.5, "cat")])?;

    let search = |mut command: Command| {
        let time = run_into(&mut command, File::create(&found)?)?;
        let lines = fs::read_to_string(&found)?.lines().filter(|line| line.contains(SOUGHT)).count();
        if lines == count { Ok(time) } else { Err(format!("{lines} lines were found of {count}").into()) }
    };
    let contestants = vec![
        Contestant::new("grep", || search(other(&["grep", SOUGHT], &large))),
        Contestant::new("jobcore", || search(ours(&["--grep", SOUGHT, &with_lines]))),
    ];
    let what = (format!("`output --grep` in {size}"), "", "ms");
    row(bench, what, bench.rounds(), contestants, [times("jobcore", 1.5, "grep")])?;

    let (reference, solid) = ("tail of a small file", "jobcore without a newline");
    let contestants = vec![
        Contestant::new(reference, || null(other(&["tail", "-n", "20"], &small))),
        Contestant::new("jobcore", || null(ours(&["--tail", "20", &with_lines]))),
        Contestant::new(solid, || null(ours(&["--tail", "20", &without]))),
    ];
    let what = (format!("the last 20 lines of {size}"), "", "ms");
    row(bench, what, bench.rounds(), contestants, [times("jobcore", 1.5, reference), times(solid, 1.5, reference)])
}
