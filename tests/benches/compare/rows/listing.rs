//! Looking at jobs, with many on record.

use super::row;
use crate::measure::Contestant;
use crate::process::run;
use crate::report::over;
use crate::{Bench, Outcome};

pub(super) fn measure(bench: &Bench) -> Outcome<()> {
    for count in [bench.much(10_000, 100), bench.much(100_000, 200)] {
        let filled = bench.filled(bench.memory(), count)?;
        let id = filled.ids[filled.ids.len() / 2];
        let (full, short) = (id.to_string(), id.short().to_string());
        let all = [
            ("--version", vec!["--version"], "jobcli"),
            ("list", vec!["list"], "completed"),
            ("list --count", vec!["list", "--count"], "completed"),
            ("status", vec!["status", &full], "completed"),
            ("show", vec!["show", &full], &full),
            ("status of a short id", vec!["status", &short], "completed"),
        ];
        let contestants = all.iter().map(|(name, words, printed)| {
            let filled = &filled;
            let sample = move || {
                let ran = run(filled.peer.command().args(words))?;
                let is_right = ran.stdout.contains(printed);
                if is_right { Ok(ran.time) } else { Err(format!("{words:?} printed {}", ran.stdout).into()) }
            };
            Contestant::new(*name, sample)
        });
        let targets: Vec<_> = all[1..].iter().map(|(name, ..)| over(name, 3.0, "--version")).collect();
        row(bench, (format!("{count} jobs on record"), "", "ms"), bench.rounds(), contestants.collect(), targets)?;
    }
    Ok(())
}
