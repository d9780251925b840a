//! Rows as text, as JSON, as the table of docs/benchmarks.md and as a chart.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::Outcome;
use crate::measure::Measured;

/// The measurements of a row, and the targets.
pub(crate) struct Row {
    pub(crate) what: String,
    /// The file system; empty if it does not matter.
    pub(crate) place: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) measured: Vec<Measured>,
    pub(crate) targets: Vec<Target>,
}

/// The target of one of our programs: at most this many times what the reference takes, plus a constant.
pub(crate) struct Target {
    ours: &'static str,
    reference: Option<&'static str>,
    factor: f64,
    more: f64,
}

pub(crate) const fn times(ours: &'static str, factor: f64, reference: &'static str) -> Target {
    Target { ours, reference: Some(reference), factor, more: 0.0 }
}

pub(crate) const fn over(ours: &'static str, more: f64, reference: &'static str) -> Target {
    Target { ours, reference: Some(reference), factor: 1.0, more }
}

pub(crate) const fn at_most(ours: &'static str, more: f64) -> Target {
    Target { ours, reference: None, factor: 0.0, more }
}

impl Target {
    fn text(&self, unit: &str) -> String {
        let Self { reference, factor, more, .. } = self;
        match reference {
            None => format!("≤ {more} {unit}").trim_end().to_owned(),
            Some(reference) if *more > 0.0 => format!("≤ {reference} + {more} {unit}"),
            Some(reference) => format!("≤ {factor} x {reference}"),
        }
    }
}

/// A target compared with the measurement.
struct Verdict {
    /// Our figure relative to the reference, or to the target itself if there is no reference.
    ratio: Option<f64>,
    /// The ratio that has to be reached.
    limit: Option<f64>,
    is_reached: Option<bool>,
}

impl Verdict {
    fn ratio(&self) -> String {
        self.ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"))
    }

    fn is_reached(&self) -> &'static str {
        self.is_reached.map_or("–", |is_reached| if is_reached { "yes" } else { "no" })
    }
}

impl Row {
    fn median(&self, name: &str) -> Option<f64> {
        self.measured.iter().find(|one| one.name == name)?.median()
    }

    fn verdict(&self, target: &Target) -> Verdict {
        let ours = self.median(target.ours);
        let base = target.reference.map_or(Some(target.more), |reference| self.median(reference));
        let most = base.map(|base| base * target.factor + target.more);
        let to_base = |value: Option<f64>| value.zip(base.filter(|base| *base > 0.0)).map(|(value, base)| value / base);
        Verdict {
            ratio: to_base(ours),
            limit: to_base(most),
            is_reached: ours.zip(most).map(|(ours, most)| ours <= most),
        }
    }

    /// The failures, each with the contestant.
    pub(crate) fn failures(&self) -> Vec<String> {
        let failed = self.measured.iter().filter_map(|one| one.samples.as_ref().err().map(|error| (one, error)));
        failed.map(|(one, error)| format!("{}: {}: {error}", self.label(""), one.name)).collect()
    }

    /// Prints everything, one line for each contestant and each target.
    pub(crate) fn print(&self) -> Outcome<()> {
        use io::Write;
        let mut out = io::stdout().lock();
        writeln!(out, "{}", self.label(""))?;
        for one in &self.measured {
            let samples = one.samples.as_deref().unwrap_or_default();
            let least = samples.first().copied().map_or_else(|| "–".to_owned(), short);
            let (name, median, count) = (&one.name, figure(one), samples.len());
            writeln!(out, "  {name:30}{median:>10} {:8}(least {least}, {count} samples)", self.unit)?;
        }
        for target in &self.targets {
            let (verdict, wanted) = (self.verdict(target), target.text(self.unit));
            writeln!(out, "  {:30}{:>10} target {wanted}: {}", target.ours, verdict.ratio(), verdict.is_reached())?;
        }
        Ok(())
    }

    /// The medians of all but one contestant.
    fn others(&self, ours: &str) -> String {
        let others = self.measured.iter().filter(|one| one.name != ours);
        others.map(|one| format!("{} {}", one.name, figure(one))).collect::<Vec<_>>().join(", ")
    }

    /// The row with its file system and contestant, unless these are the usual ones.
    fn label(&self, ours: &str) -> String {
        let usual = if self.what.starts_with("MCP") { "jobmcp" } else { "jobcore" };
        let words = [self.place, ours].into_iter().filter(|word| !word.is_empty() && *word != usual);
        let words = words.collect::<Vec<_>>().join(", ");
        if words.is_empty() { self.what.clone() } else { format!("{} ({words})", self.what) }
    }
}

fn figure(one: &Measured) -> String {
    one.median().map_or_else(|| "failed".to_owned(), short)
}

/// Three significant digits.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// The machine, without its name.
fn machine() -> Outcome<Value> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let version: String = kernel.chars().take_while(|letter| letter.is_ascii_digit() || *letter == '.').collect();
    let memory = fs::read_to_string("/proc/meminfo")?;
    let kilobytes: u64 = memory.split_whitespace().nth(1).ok_or("no MemTotal")?.parse()?;
    let cores = std::thread::available_parallelism()?.get();
    Ok(json!({ "cores": cores, "kernel": version, "memory_gib": kilobytes.div_ceil(1 << 20) }))
}

pub(crate) fn json(rows: &[Row], absent: &[&str]) -> Outcome<String> {
    let rows = rows.iter().map(|row| {
        let measured = row.measured.iter().map(|one| match &one.samples {
            Ok(samples) => {
                json!({ "who": one.name, "median": one.median(), "least": samples.first(), "samples": samples.len() })
            }
            Err(error) => json!({ "who": one.name, "failed": error }),
        });
        let targets = row.targets.iter().map(|target| {
            let (verdict, wanted) = (row.verdict(target), target.text(row.unit));
            json!({ "who": target.ours, "target": wanted, "ratio": verdict.ratio, "reached": verdict.is_reached })
        });
        json!({
            "what": row.what, "place": row.place, "unit": row.unit,
            "measured": measured.collect::<Vec<_>>(), "targets": targets.collect::<Vec<_>>(),
        })
    });
    let rows: Vec<_> = rows.collect();
    Ok(serde_json::to_string_pretty(&json!({ "machine": machine()?, "absent": absent, "rows": rows }))? + "\n")
}

const BEGIN: &str = "<!-- The part below is written by `.ci/compare --docs`. -->\n";

/// Writes the chart, and the table after the line of the page below which nothing is written by hand.
pub(crate) fn write_docs(directory: &Path, rows: &[Row], absent: &[&str]) -> Outcome<()> {
    let page = directory.join("benchmarks.md");
    let text = fs::read_to_string(&page)?;
    let (by_hand, _) =
        text.split_once(BEGIN).ok_or_else(|| format!("{} has no place for the table", page.display()))?;
    fs::write(&page, format!("{by_hand}{BEGIN}\n{}", table(rows, absent)?))?;
    Ok(fs::write(directory.join("benchmarks.svg"), chart(rows)?)?)
}

fn table(rows: &[Row], absent: &[&str]) -> Outcome<String> {
    let machine = machine()?;
    let kernel = machine["kernel"].as_str().unwrap_or_default();
    let mut text =
        format!("Measured on {} cores, {} GiB of memory, Linux {kernel}.", machine["cores"], machine["memory_gib"]);
    if !absent.is_empty() {
        write!(text, " Not there: {}.", absent.join(", "))?;
    }
    text +=
        "\n\n| what | unit | ours | others | ratio | target | reached |\n| --- | --- | --- | --- | --- | --- | --- |\n";
    for row in rows {
        for target in &row.targets {
            let (ours, verdict) =
                (row.median(target.ours).map_or_else(|| "failed".to_owned(), short), row.verdict(target));
            let cells = [
                &*row.label(target.ours),
                row.unit,
                &ours,
                &row.others(target.ours),
                &verdict.ratio(),
                &target.text(row.unit),
                verdict.is_reached(),
            ];
            writeln!(text, "| {} |", cells.join(" | "))?;
        }
        if row.targets.is_empty() {
            writeln!(text, "| {} | {} | {} | | | | |", row.label(""), row.unit, row.others(""))?;
        }
    }
    Ok(text)
}

const LABELS: f64 = 430.0;
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 18.0;
/// The top of the first bar.
const TOP: f64 = 42.0;
/// The ratios at both ends.
const ENDS: (f64, f64) = (0.02, 50.0);

/// The position of a ratio.
fn x(ratio: f64) -> f64 {
    let (least, most) = ENDS;
    let part = (ratio.clamp(least, most) / least).ln() / (most / least).ln();
    LABELS + part * (WIDTH - LABELS - 60.0)
}

/// Bars of ratios on a logarithmic scale, each with a mark at its target.
fn chart(rows: &[Row]) -> Outcome<String> {
    let (mut bars, mut top) = (String::new(), TOP);
    for row in rows {
        for target in &row.targets {
            let Verdict { ratio: Some(ratio), limit: Some(limit), is_reached } = row.verdict(target) else { continue };
            let class = if is_reached == Some(true) { "reached" } else { "missed" };
            let (left, right, limit) = (x(ratio.min(1.0)), x(ratio.max(1.0)), x(limit));
            let label = row.label(target.ours).replace('`', "").replace('&', "&amp;").replace('<', "&lt;");
            let (edge, baseline, upper, bottom) = (LABELS - 6.0, top + 12.0, top + 2.0, top + 16.0);
            let (wide, beside) = ((right - left).max(1.0), right + 6.0);
            writeln!(
                bars,
                r#"<text x="{edge}" y="{baseline}" text-anchor="end">{label}</text>
<rect class="{class}" x="{left:.1}" y="{upper}" width="{wide:.1}" height="12"/>
<text x="{beside:.1}" y="{baseline}">{ratio:.2}</text>
<line class="target" x1="{limit:.1}" x2="{limit:.1}" y1="{top}" y2="{bottom}"/>"#
            )?;
            top += HEIGHT;
        }
    }
    for ratio in [0.1, 1.0, 10.0] {
        let at = x(ratio);
        writeln!(bars, r#"<line class="scale" x1="{at:.1}" x2="{at:.1}" y1="38" y2="{top}"/>"#)?;
        writeln!(bars, r#"<text x="{at:.1}" y="34" text-anchor="middle">{ratio} x</text>"#)?;
    }
    let height = top + HEIGHT;
    Ok(format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11">
<style>
text {{ fill: #24292f }} .scale {{ stroke: #8c959f; stroke-width: 0.5 }} .target {{ stroke: #24292f; stroke-width: 2 }}
.reached {{ fill: #2da44e }} .missed {{ fill: #d4774c }}
@media (prefers-color-scheme: dark) {{
  text {{ fill: #d0d7de }} .target {{ stroke: #f0f6fc }} .reached {{ fill: #3fb950 }} .missed {{ fill: #e08d63 }}
}}
</style>
<text x="8" y="16">Ours to the reference, or to the target if there is none: left of 1 x is better; the upright mark is the target (green: reached)</text>
{bars}</svg>
"#
    ))
}
