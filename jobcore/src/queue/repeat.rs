//! When a schedule runs.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::JobId;
use crate::parse_error::ParseError;

/// The shortest and the longest time between two runs.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// After what delay a time counts as missed: no program was running when it came.
const MISSED_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// When a schedule runs: a rule, and what happens if a time was missed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Repeat {
    /// The rule.
    pub rule: RepeatRule,
    /// What happens when times were missed, for example because the machine was off.
    #[serde(default, skip_serializing_if = "Missed::is_run")]
    pub missed: Missed,
}

/// The schedule that a job is a run of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunOf {
    /// The schedule.
    pub job_id: JobId,
    /// The scheduled time of the run; the time of the request if it was started outside the rule.
    pub at: Timestamp,
}

impl RunOf {
    /// Names a schedule and one of its times.
    pub(crate) fn new(job_id: JobId, at: Timestamp) -> Self {
        Self { job_id, at }
    }
}

/// A rule for when a job runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RepeatRule {
    /// At this interval, in milliseconds. It counts from one scheduled time to the next, however late a run was
    /// started.
    EveryMs(u64),
    /// When a clock in a time zone shows one of these times.
    Cron {
        /// The times, in the five fields of cron (minute, hour, day of the month, month, day of the week), or as
        /// `@daily`.
        pattern: String,
        /// The time zone of the clock, by its IANA name.
        zone: String,
    },
}

/// What happens when times of a schedule were missed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Missed {
    /// One run makes up for all of them.
    #[default]
    Run,
    /// They are skipped.
    Skip,
}

impl Missed {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_run(&self) -> bool {
        *self == Self::Run
    }
}

impl FromStr for Missed {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "run" => Ok(Self::Run),
            "skip" => Ok(Self::Skip),
            _ => Err(ParseError::new(format!("`{text}` is not a rule for missed times: use `run` or `skip`"))),
        }
    }
}

impl Repeat {
    /// Repeats a job at this interval.
    pub fn every(period: Duration) -> Self {
        let rule = RepeatRule::EveryMs(u64::try_from(period.as_millis()).unwrap_or(u64::MAX));
        Self { rule, missed: Missed::default() }
    }

    /// Repeats a job when a clock in this time zone shows one of these times.
    pub fn cron(pattern: impl Into<String>, zone: impl Into<String>) -> Self {
        let rule = RepeatRule::Cron { pattern: pattern.into(), zone: zone.into() };
        Self { rule, missed: Missed::default() }
    }

    /// Sets what happens when times were missed.
    #[must_use]
    pub fn with_missed(self, missed: Missed) -> Self {
        Self { missed, ..self }
    }

    /// Checks what can be known without inspecting the machine.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(crate) fn check(&self) -> Result<(), ParseError> {
        match &self.rule {
            RepeatRule::EveryMs(period) => {
                let is_possible = (SHORTEST..=LONGEST).contains(&Duration::from_millis(*period));
                is_possible.then_some(()).ok_or_else(|| ParseError::new("use at least a second and at most ten years"))
            }
            RepeatRule::Cron { pattern, .. } => parse(pattern).map(drop),
        }
    }

    /// Returns the first time: for an interval, `at` or else now; for a pattern, the first match at or after `at`, or
    /// else after now.
    ///
    /// # Errors
    /// If the time zone is not known here, or the pattern never matches.
    pub(crate) fn first(&self, at: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, ParseError> {
        match (&self.rule, at) {
            (RepeatRule::EveryMs(_), at) => Ok(at.unwrap_or(now)),
            (RepeatRule::Cron { pattern, zone }, Some(at)) => find(pattern, zone, at, true),
            (RepeatRule::Cron { pattern, zone }, None) => find(pattern, zone, now, false),
        }
    }

    /// Returns the next time after `now` in the series that contains `last`.
    ///
    /// # Errors
    /// If the time zone is not known here, or there is no further time.
    pub(crate) fn next(&self, last: Timestamp, now: Timestamp) -> Result<Timestamp, ParseError> {
        match &self.rule {
            RepeatRule::EveryMs(period) => {
                let period = i64::try_from((*period).max(1)).unwrap_or(i64::MAX);
                let passed = now.duration_since(last).as_millis();
                let periods = passed.max(0) / i128::from(period) + 1;
                let distance = i64::try_from(periods.saturating_mul(i128::from(period))).unwrap_or(i64::MAX);
                last.checked_add(SignedDuration::from_millis(distance)).map_err(|_| ParseError::new(NO_TIME))
            }
            RepeatRule::Cron { pattern, zone } => find(pattern, zone, now.max(last), false),
        }
    }

    /// Returns whether a time that has come is skipped because it was missed.
    pub(crate) fn leaves_out(&self, time: Timestamp, now: Timestamp) -> bool {
        self.missed == Missed::Skip && now.duration_since(time) > MISSED_AFTER
    }
}

/// In words: `every 1h`, or `cron 0 3 * * 1-5 (Europe/Berlin)`.
impl fmt::Display for Repeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            RepeatRule::EveryMs(period) => {
                write!(f, "every {}", humantime::format_duration(Duration::from_millis(*period)))
            }
            RepeatRule::Cron { pattern, zone } => write!(f, "cron {pattern} ({zone})"),
        }
    }
}

const NO_TIME: &str = "there is no such time";

fn parse(pattern: &str) -> Result<Cron, ParseError> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(pattern).map_err(|error| {
        let error = error.to_string();
        let error = error.trim_end_matches('.');
        ParseError::new(format!(
            "`{pattern}` cannot be read ({error}); write five fields, minute, hour, day of the month, month and day of the \
             week, as in `0 3 * * 1-5`, or `@daily`"
        ))
    })
}

/// Finds the first time of a pattern after this one, or exactly at it if `inclusive`.
fn find(pattern: &str, zone: &str, from: Timestamp, inclusive: bool) -> Result<Timestamp, ParseError> {
    let cron = parse(pattern)?;
    let zone = TimeZone::get(zone)
        .map_err(|_| ParseError::new(format!("the time zone `{zone}` is not known on this machine")))?;
    // Patterns have no fractions of a second, and a fraction is no reason to skip a time.
    let whole = Timestamp::from_second(from.as_second()).unwrap_or(from);
    let (from, inclusive) = if whole < from { (whole, false) } else { (from, inclusive) };
    let found = cron.find_next_occurrence(&from.to_zoned(zone), inclusive);
    found.map(|time| time.timestamp()).map_err(|_| ParseError::new(format!("`{pattern}`: {NO_TIME}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn berlin(pattern: &str) -> Repeat {
        Repeat::cron(pattern, "Europe/Berlin")
    }

    /// The next few times after one.
    fn times(repeat: &Repeat, after: &str, count: usize) -> Vec<String> {
        let next = |last: &Timestamp| Some(repeat.next(*last, *last).unwrap());
        std::iter::successors(Some(at(after)), next).skip(1).take(count).map(|time| time.to_string()).collect()
    }

    #[test]
    fn an_interval_is_kept_however_late_a_run_was() {
        let hourly = Repeat::every(Duration::from_secs(3600));
        let first = hourly.first(None, at("2026-11-29T10:20:00.5Z")).unwrap();
        assert_eq!(first, at("2026-11-29T10:20:00.5Z"));
        assert_eq!(hourly.next(first, first).unwrap(), at("2026-11-29T11:20:00.5Z"));
        assert_eq!(hourly.next(first, at("2026-11-29T11:20:00.4Z")).unwrap(), at("2026-11-29T11:20:00.5Z"));
        assert_eq!(hourly.next(first, at("2026-11-29T11:20:00.5Z")).unwrap(), at("2026-11-29T12:20:00.5Z"));
        assert_eq!(hourly.next(first, at("2026-12-05T01:00:00Z")).unwrap(), at("2026-12-05T01:20:00.5Z"));
        // The clock was set back.
        assert_eq!(hourly.next(first, at("2026-11-29T02:00:00Z")).unwrap(), at("2026-11-29T11:20:00.5Z"));
        assert_eq!(hourly.first(Some(at("2026-12-01T00:00:00Z")), first).unwrap(), at("2026-12-01T00:00:00Z"));
    }

    /// On 2026-03-29 there is no time from 02:00 to 03:00 in Berlin.
    #[test]
    fn a_time_that_is_skipped_in_spring_comes_right_after_the_gap() {
        let times = times(&berlin("30 2 * * *"), "2026-03-28T00:00:00Z", 3);
        assert_eq!(times, ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
        let hourly = self::times(&berlin("15 * * * *"), "2026-03-29T00:00:00Z", 3);
        assert_eq!(hourly, ["2026-03-29T00:15:00Z", "2026-03-29T01:15:00Z", "2026-03-29T02:15:00Z"]);
    }

    /// On 2026-10-25 the time from 02:00 to 03:00 comes twice in Berlin.
    #[test]
    fn a_time_that_comes_twice_in_autumn_counts_once_but_hourly_runs_stay_hourly() {
        let times = times(&berlin("30 2 * * *"), "2026-10-24T10:00:00Z", 2);
        assert_eq!(times, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
        let hourly = self::times(&berlin("15 * * * *"), "2026-10-24T23:30:00Z", 4);
        assert_eq!(
            hourly,
            ["2026-10-25T00:15:00Z", "2026-10-25T01:15:00Z", "2026-10-25T02:15:00Z", "2026-10-25T03:15:00Z"]
        );
    }

    #[test]
    fn months_have_ends_and_weeks_have_days() {
        let last = times(&berlin("0 12 L * *"), "2027-01-31T12:00:00Z", 3);
        assert_eq!(last, ["2027-02-28T11:00:00Z", "2027-03-31T10:00:00Z", "2027-04-30T10:00:00Z"]);
        let thirty_first = times(&berlin("0 12 31 * *"), "2027-01-31T12:00:00Z", 2);
        assert_eq!(thirty_first, ["2027-03-31T10:00:00Z", "2027-05-31T10:00:00Z"]);
        // 2026-11-27 is a Friday.
        let working_days = times(&berlin("0 3 * * 1-5"), "2026-11-27T12:00:00Z", 2);
        assert_eq!(working_days, ["2026-11-30T02:00:00Z", "2026-12-01T02:00:00Z"]);
        assert_eq!(times(&berlin("@daily"), "2026-11-27T12:00:00Z", 1), ["2026-11-27T23:00:00Z"]);
        assert_eq!(times(&berlin("0 0 29 2 *"), "2026-11-27T12:00:00Z", 1), ["2028-02-28T23:00:00Z"]);
    }

    #[test]
    fn the_first_time_of_a_pattern_may_be_the_given_time() {
        let (daily, now) = (berlin("0 12 * * *"), at("2026-11-29T11:00:00Z"));
        assert_eq!(daily.first(None, now).unwrap(), at("2026-11-30T11:00:00Z"));
        assert_eq!(daily.first(Some(now), now).unwrap(), now);
        assert_eq!(daily.first(Some(at("2026-11-29T11:00:00.25Z")), now).unwrap(), at("2026-11-30T11:00:00Z"));
    }

    #[test]
    fn missed_times_are_skipped_only_on_request() {
        let (run, time) = (Repeat::every(Duration::from_secs(60)), at("2026-11-29T11:00:00Z"));
        let skip = run.clone().with_missed(Missed::Skip);
        for (now, expected) in [("2026-11-29T11:01:00Z", false), ("2026-11-29T11:01:00.1Z", true)] {
            assert_eq!([run.leaves_out(time, at(now)), skip.leaves_out(time, at(now))], [false, expected]);
        }
    }

    #[test]
    fn an_invalid_pattern_is_refused() {
        for pattern in ["", "0 3 * *", "0 0 3 * * *", "61 3 * * *", "@reboot"] {
            let error = berlin(pattern).check().unwrap_err().to_string();
            assert!(error.contains("five fields"), "{error}");
        }
    }

    #[test]
    fn a_time_that_never_comes_and_an_unknown_zone_are_refused() {
        let now = at("2026-11-29T11:00:00Z");
        let error = |repeat: &Repeat| repeat.first(None, now).unwrap_err().to_string();
        assert_eq!(error(&berlin("0 0 30 2 *")), "`0 0 30 2 *`: there is no such time");
        assert!(error(&Repeat::cron("@daily", "Europe/Nowhere")).contains("`Europe/Nowhere` is not known"));
        for period in [Duration::ZERO, Duration::from_millis(999), LONGEST * 2] {
            assert!(Repeat::every(period).check().is_err(), "{period:?}");
        }
        assert!(Repeat::every(SHORTEST).check().is_ok());
    }

    #[test]
    fn rules_are_read_back_and_printed_in_words() {
        let repeats = [
            (Repeat::every(Duration::from_secs(5400)), "every 1h 30m", r#"{"rule":{"every_ms":5400000}}"#),
            (
                berlin("0 3 * * 1-5").with_missed(Missed::Skip),
                "cron 0 3 * * 1-5 (Europe/Berlin)",
                r#"{"rule":{"cron":{"pattern":"0 3 * * 1-5","zone":"Europe/Berlin"}},"missed":"skip"}"#,
            ),
        ];
        for (repeat, words, json) in repeats {
            assert_eq!((repeat.to_string().as_str(), serde_json::to_string(&repeat).unwrap().as_str()), (words, json));
            assert_eq!(serde_json::from_str::<Repeat>(json).unwrap(), repeat);
        }
    }
}
