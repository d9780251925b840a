//! How busy the machine is.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::file;

/// A figure for how busy the machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Measure {
    /// The average number of processes that ran or were ready to run over the last minute, proc_loadavg(5).
    Load,
    /// How many bytes of memory are available to new programs without swapping: `MemAvailable` of proc_meminfo(5).
    FreeMemory,
    /// The percentage of the last ten seconds during which some process waited for a CPU.
    CpuPressure,
    /// The percentage of the last ten seconds during which some process waited for memory.
    MemoryPressure,
    /// The percentage of the last ten seconds during which some process waited for a disk.
    IoPressure,
}

impl Measure {
    /// All measures.
    pub(crate) const ALL: [Self; 5] =
        [Self::Load, Self::FreeMemory, Self::CpuPressure, Self::MemoryPressure, Self::IoPressure];
}

/// The figures of one moment: each is read once, on first use.
#[derive(Debug)]
pub(crate) struct Readings {
    proc: PathBuf,
    read: [OnceLock<Option<f64>>; Measure::ALL.len()],
}

impl Readings {
    /// Returns the readings of this machine.
    pub(crate) fn now() -> Self {
        Self::of(Path::new("/proc"))
    }

    /// Returns the readings from a directory that looks like `/proc`.
    pub(crate) fn of(proc: &Path) -> Self {
        Self { proc: proc.to_owned(), read: Default::default() }
    }

    /// Returns a figure; `None` if the system does not report it.
    pub(crate) fn get(&self, measure: Measure) -> Option<f64> {
        *self.read[measure as usize].get_or_init(|| match measure {
            Measure::Load => self.text("loadavg")?.split_ascii_whitespace().next()?.parse().ok(),
            Measure::FreeMemory => {
                let text = self.text("meminfo")?;
                let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
                let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
                Some(kibibytes * 1024.0)
            }
            Measure::CpuPressure => self.pressure("cpu"),
            Measure::MemoryPressure => self.pressure("memory"),
            Measure::IoPressure => self.pressure("io"),
        })
    }

    /// Returns the pressure on a resource, <https://docs.kernel.org/accounting/psi.html>.
    fn pressure(&self, on: &str) -> Option<f64> {
        let text = self.text(&format!("pressure/{on}"))?;
        let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
        some.split_ascii_whitespace().find_map(|field| field.strip_prefix("avg10="))?.parse().ok()
    }

    fn text(&self, name: &str) -> Option<String> {
        file::read_text(self.proc.join(name)).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn figures_are_read_once_and_unreported_ones_are_unknown() {
        let directory = tempfile::tempdir().unwrap();
        let proc = directory.path();
        fs::create_dir(proc.join("pressure")).unwrap();
        fs::write(proc.join("loadavg"), "3.53 2.25 1.77 6/116 13569\n").unwrap();
        fs::write(proc.join("meminfo"), "MemTotal:  8152 kB\nMemAvailable:    2048 kB\n").unwrap();
        let pressure =
            "some avg10=12.50 avg60=58.44 avg300=23.08 total=10295\nfull avg10=1.00 avg60=0.00 avg300=0.00 total=0\n";
        fs::write(proc.join("pressure/memory"), pressure).unwrap();
        let readings = Readings::of(proc);
        let expected = [Some(3.53), Some(2048.0 * 1024.0), None, Some(12.5), None];
        assert_eq!(Measure::ALL.map(|measure| readings.get(measure)), expected);
        fs::write(proc.join("loadavg"), "0.00 2.25 1.77 6/116 13569\n").unwrap();
        assert_eq!(readings.get(Measure::Load), Some(3.53));
        assert_eq!(Readings::of(proc).get(Measure::Load), Some(0.0));
    }
}
