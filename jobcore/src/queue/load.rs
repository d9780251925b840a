//! Conditions on the load of the machine for starting jobs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use crate::parse_error::ParseError;
use crate::sys::load::Readings;
use crate::units::{format_size, parse_size};

pub use crate::sys::load::Measure;

const FORMS: &str = "write `load<4`, `free-mem>8G`, `cpu-pressure<20`, `memory-pressure<10` or `io-pressure<10`";

/// A condition on the load of the machine for starting a job: `load<4`, `free-mem>8G`, `memory-pressure<10`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub struct LoadCondition {
    /// The figure.
    pub measure: Measure,
    /// On which side of the amount it must be.
    pub side: Side,
    /// The amount, in bytes for memory and in percent for a pressure.
    pub amount: f64,
}

/// A side of an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third side")]
pub enum Side {
    /// Less than the amount.
    Below,
    /// More than the amount.
    Above,
}

impl LoadCondition {
    /// Returns whether these figures meet it; `None` if the system does not report its figure.
    pub(crate) fn holds(&self, readings: &Readings) -> Option<bool> {
        readings.get(self.measure).map(|now| match self.side {
            Side::Below => now < self.amount,
            Side::Above => now > self.amount,
        })
    }
}

/// Returns the first condition that these figures do not meet. A condition on a figure that the system does not report
/// is ignored, since it would keep jobs from starting forever.
pub(crate) fn unmet(conditions: &[LoadCondition], readings: &Readings) -> Option<Unmet> {
    let condition = *conditions.iter().find(|condition| condition.holds(readings) == Some(false))?;
    readings.get(condition.measure).map(|now| Unmet { condition, now })
}

/// Refuses conditions on a figure that the system does not report.
pub(crate) fn check_known(conditions: &[LoadCondition], readings: &Readings) -> Result<(), String> {
    match conditions.iter().find(|condition| condition.holds(readings).is_none()) {
        Some(condition) => Err(format!("`{condition}` has no effect: this system does not report that figure")),
        None => Ok(()),
    }
}

/// Returns a number that identifies the conditions of a job, so that jobs with the same ones are recognised; 0 if there
/// are none.
pub(crate) fn tag(conditions: &[LoadCondition]) -> u32 {
    if conditions.is_empty() {
        return 0;
    }
    let texts: Vec<_> = conditions.iter().map(ToString::to_string).collect();
    crc32fast::hash(texts.join("\n").as_bytes()).max(1)
}

/// A condition that is not met.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Unmet {
    /// The condition.
    pub condition: LoadCondition,
    /// The current figure.
    #[serde(serialize_with = "whole_as_integer")]
    pub now: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn whole_as_integer<S: Serializer>(amount: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if amount.fract() == 0.0 && (0.0..1e18).contains(amount) {
        serializer.serialize_u64(*amount as u64)
    } else {
        serializer.serialize_f64(*amount)
    }
}

/// In words: `the load average is below 4; it is 5.20 now`.
impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { condition: LoadCondition { measure, side, amount }, now } = self;
        let (what, amount, now) = match measure {
            Measure::Load => ("the load average", amount.to_string(), format!("{now:.2}")),
            Measure::FreeMemory => ("free memory", format_size(*amount as u64), format_size(*now as u64)),
            Measure::CpuPressure => ("CPU pressure", format!("{amount}%"), format!("{now:.2}%")),
            Measure::MemoryPressure => ("memory pressure", format!("{amount}%"), format!("{now:.2}%")),
            Measure::IoPressure => ("I/O pressure", format!("{amount}%"), format!("{now:.2}%")),
        };
        let side = match side {
            Side::Below => "below",
            Side::Above => "above",
        };
        write!(f, "{what} is {side} {amount}; it is {now} now")
    }
}

impl Unmet {
    /// Returns the same in short, for a table: `load<4, now 5.20`.
    pub(super) fn in_short(&self) -> String {
        let Self { condition, now } = self;
        match condition.measure {
            Measure::FreeMemory => format!("{condition}, now {}", format_size(*now as u64)),
            _ => format!("{condition}, now {now:.2}"),
        }
    }
}

fn name(measure: Measure) -> &'static str {
    match measure {
        Measure::Load => "load",
        Measure::FreeMemory => "free-mem",
        Measure::CpuPressure => "cpu-pressure",
        Measure::MemoryPressure => "memory-pressure",
        Measure::IoPressure => "io-pressure",
    }
}

impl FromStr for LoadCondition {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = |reason: &str| ParseError::new(format!("`{text}`: {reason}"));
        let at = text.find(['<', '>']).ok_or_else(|| wrong(FORMS))?;
        let side = if text.as_bytes()[at] == b'<' { Side::Below } else { Side::Above };
        let (of, amount) = (text[..at].trim(), text[at + 1..].trim());
        let measure = Measure::ALL.into_iter().find(|measure| name(*measure) == of).ok_or_else(|| wrong(FORMS))?;
        let amount = match measure {
            Measure::FreeMemory => parse_size(amount).map_err(|reason| wrong(&reason.to_string()))? as f64,
            _ => {
                let is_plain = !amount.is_empty() && amount.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
                let number = amount.parse::<f64>().ok().filter(|_| is_plain && amount.len() <= LONGEST_NUMBER);
                number.ok_or_else(|| wrong(&format!("`{amount}` is not a number such as `4` or `0.5`")))?
            }
        };
        Ok(Self { measure, side, amount })
    }
}

/// How many digits a plain number may have: more are a typing mistake, and would not be printed as written.
const LONGEST_NUMBER: usize = 12;

impl fmt::Display for LoadCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { measure, side, amount } = self;
        let side = match side {
            Side::Below => '<',
            Side::Above => '>',
        };
        write!(f, "{}{side}", name(*measure))?;
        match measure {
            Measure::FreeMemory => {
                // In a form that is read back exactly.
                let bytes = *amount as u64;
                let units = [(40, "T"), (30, "G"), (20, "M"), (10, "K")];
                match units.into_iter().find(|(shift, _)| bytes != 0 && bytes.trailing_zeros() >= *shift) {
                    Some((shift, unit)) => write!(f, "{}{unit}", bytes >> shift),
                    None => write!(f, "{bytes}"),
                }
            }
            _ => write!(f, "{amount}"),
        }
    }
}

impl TryFrom<String> for LoadCondition {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<LoadCondition> for String {
    fn from(condition: LoadCondition) -> Self {
        condition.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn conditions(texts: &[&str]) -> Vec<LoadCondition> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn conditions_are_printed_as_they_were_read() {
        for text in
            ["load<4", "load>0.5", "free-mem>8G", "free-mem>1536M", "free-mem>1", "cpu-pressure<20", "io-pressure<0"]
        {
            let condition = text.parse::<LoadCondition>().unwrap();
            assert_eq!(condition.to_string(), text);
            assert_eq!(serde_json::from_value::<LoadCondition>(serde_json::json!(text)).unwrap(), condition);
        }
        for (text, written) in
            [(" load < 04.50 ", "load<4.5"), ("free-mem>1.5 GiB", "free-mem>1536M"), ("free-mem>0K", "free-mem>0")]
        {
            assert_eq!(text.parse::<LoadCondition>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn an_invalid_condition_is_refused_with_valid_examples() {
        for (wrong, reason) in [
            ("", "write `load<4`"),
            ("load", "write `load<4`"),
            ("load=4", "write `load<4`"),
            ("swap<4", "write `load<4`"),
            ("<4", "write `load<4`"),
            ("load<", "`` is not a number"),
            ("load<=4", "`=4` is not a number"),
            ("load<-1", "`-1` is not a number"),
            ("load<1e3", "`1e3` is not a number"),
            ("load<inf", "`inf` is not a number"),
            ("load<.", "`.` is not a number"),
            ("load<1234567890123", "is not a number"),
            ("memory-pressure<10%", "`10%` is not a number"),
            ("free-mem>8Q", "the unit is unknown"),
            ("free-mem>", "there is no number"),
        ] {
            let error = wrong.parse::<LoadCondition>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{wrong}`: ")) && error.contains(reason), "{error}");
        }
    }

    #[test]
    fn the_first_unmet_condition_is_named_with_the_current_figure() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("loadavg"), "5.2 2.25 1.77 6/116 13569\n").unwrap();
        fs::write(directory.path().join("meminfo"), "MemAvailable:    3145728 kB\n").unwrap();
        let readings = Readings::of(directory.path());
        let unmet = |texts: &[&str]| unmet(&conditions(texts), &readings).map(|unmet| unmet.to_string());
        assert_eq!(unmet(&[]), None);
        assert_eq!(unmet(&["load<6", "free-mem>2G", "load>5"]), None);
        assert_eq!(unmet(&["free-mem>2G", "load<4"]).unwrap(), "the load average is below 4; it is 5.20 now");
        assert_eq!(unmet(&["free-mem>8G", "load<4"]).unwrap(), "free memory is above 8.0 GiB; it is 3.0 GiB now");
        assert_eq!(unmet(&["load<5.2"]).unwrap(), "the load average is below 5.2; it is 5.20 now");
        // An unreported figure keeps nothing from starting.
        assert_eq!(unmet(&["memory-pressure<10"]), None);
        let some = conditions(&["load<4", "memory-pressure<10"]);
        let refused = check_known(&some, &readings).unwrap_err();
        assert_eq!(refused, "`memory-pressure<10` has no effect: this system does not report that figure");
        assert_eq!(check_known(&some[..1], &readings), Ok(()));
    }

    #[test]
    fn figures_are_numbers_for_programs() {
        let now = |condition: &str, now| Unmet { condition: condition.parse().unwrap(), now };
        let json = |unmet: &Unmet| serde_json::to_string(unmet).unwrap();
        let memory = now("free-mem>8G", 3_221_225_472.0);
        assert_eq!(json(&memory), r#"{"condition":"free-mem>8G","now":3221225472}"#);
        assert_eq!(memory.in_short(), "free-mem>8G, now 3.0 GiB");
        let load = now("load<4", 5.25);
        assert_eq!(json(&load), r#"{"condition":"load<4","now":5.25}"#);
        assert_eq!(serde_json::from_str::<Unmet>(&json(&load)).unwrap(), load);
        assert_eq!(load.in_short(), "load<4, now 5.25");
    }

    #[test]
    fn the_same_conditions_have_the_same_tag() {
        assert_eq!(tag(&[]), 0);
        assert_eq!(tag(&conditions(&["load < 4.0"])), tag(&conditions(&["load<4"])));
        assert_ne!(tag(&conditions(&["load<4"])), tag(&conditions(&["load<4", "free-mem>1G"])));
        assert_ne!(tag(&conditions(&["load<4"])), 0);
    }
}
