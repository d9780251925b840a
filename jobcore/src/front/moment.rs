//! Times as people write them: an age, a day, a time of day. The only place that parses them.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan, Zoned};

use crate::clock::Timestamp;

/// The accepted forms, for error messages.
const FORMS: &str = "write for example `2h` or `3 days ago`, `yesterday`, `09:00`, `2026-11-28`, `2026-11-28 09:00` or `2026-11-28T09:00:00Z`";

/// The accepted forms of a time in the future.
const COMING_FORMS: &str =
    "write for example `10m`, `18:30`, `tomorrow 09:00`, `2026-11-28 09:00` or `2026-11-28T09:00:00Z`";

/// Parses a time, in the time zone of this machine.
///
/// # Errors
/// Lists the accepted forms.
pub fn parse(text: &str) -> Result<Timestamp, String> {
    // Only relative times need the clock and the time zone.
    match text.parse() {
        Ok(at) => Ok(at),
        Err(_) => before(text, &Zoned::now()),
    }
}

/// Parses a time in the future: a duration such as `10m` counts from now, and a time of day means its next occurrence.
///
/// # Errors
/// Lists the accepted forms.
pub fn parse_coming(text: &str) -> Result<Timestamp, String> {
    match text.parse() {
        Ok(at) => Ok(at),
        Err(_) => after(text, &Zoned::now()),
    }
}

/// Formats a time in the time zone of this machine: the time of day, preceded by the date if it is not today.
pub fn local(at: Timestamp, now: Timestamp) -> String {
    let zone = TimeZone::system();
    let (at, today) = (at.to_zoned(zone.clone()), now.to_zoned(zone).date());
    let format = if at.date() == today { "%H:%M:%S" } else { "%Y-%m-%d %H:%M" };
    at.strftime(format).to_string()
}

/// Returns the name of the time zone of this machine, or of the variable `TZ`.
///
/// # Errors
/// Says that it has none, and what helps.
pub fn zone() -> Result<String, String> {
    let zone = TimeZone::system();
    match zone.iana_name() {
        // jiff uses UTC for a machine that does not define its time zone.
        _ if zone.is_unknown() => Ok("UTC".to_owned()),
        Some(name) => Ok(name.to_owned()),
        None => Err("the time zone of this machine has no name; set one, as in `TZ=Europe/Berlin`".to_owned()),
    }
}

/// Formats a time briefly for a column of a table, in the time zone of this machine: the time of day if it is today, or
/// else the day.
pub fn short(moment: Timestamp) -> String {
    let now = Zoned::now();
    written(&moment.to_zoned(now.time_zone().clone()), &now)
}

fn written(moment: &Zoned, now: &Zoned) -> String {
    let form = match (moment.date() == now.date(), moment.year() == now.year()) {
        (true, _) => "%H:%M",
        (false, true) => "%b %d",
        (false, false) => "%b %Y",
    };
    moment.strftime(form).to_string()
}

/// Parses a time in the future of `now`.
fn after(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let text = text.trim();
    let coming = match (humantime::parse_duration(text.strip_prefix("in ").unwrap_or(text).trim_start()), time(text)) {
        (Ok(time), _) => SignedDuration::try_from(time).ok().and_then(|time| now.timestamp().checked_add(time).ok()),
        // The next occurrence of this time of day.
        (_, Some(time)) => at(now.date(), time, now)
            .filter(|today| *today > now.timestamp())
            .or_else(|| at(now.date().tomorrow().ok()?, time, now)),
        _ => relative(text, now),
    };
    coming.ok_or_else(|| format!("`{text}` is not a time; {COMING_FORMS}"))
}

/// Parses a time relative to `now`.
fn before(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let text = text.trim();
    relative(text, now).ok_or_else(|| format!("`{text}` is not a time; {FORMS}"))
}

fn relative(text: &str, now: &Zoned) -> Option<Timestamp> {
    if let Ok(ago) = humantime::parse_duration(text.strip_suffix("ago").unwrap_or(text).trim_end()) {
        return now.timestamp().checked_sub(SignedDuration::try_from(ago).ok()?).ok();
    }
    if text == "now" {
        return Some(now.timestamp());
    }
    if let Some(time) = time(text) {
        // The last occurrence of this time of day.
        let today = at(now.date(), time, now)?;
        return if today <= now.timestamp() { Some(today) } else { at(now.date().yesterday().ok()?, time, now) };
    }
    let (day, rest) = text.split_once([' ', 'T']).unwrap_or((text, ""));
    let day = match day {
        "today" => now.date(),
        "yesterday" => now.date().yesterday().ok()?,
        "tomorrow" => now.date().checked_add(1.day()).ok()?,
        date => date.parse::<Date>().ok()?,
    };
    let time = if rest.is_empty() { Time::midnight() } else { time(rest.trim())? };
    at(day, time, now)
}

/// Parses a time of day: `09:00` or `09:00:30`.
fn time(text: &str) -> Option<Time> {
    // The parser would find a time in a longer text.
    let is_time = text.contains(':') && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    if is_time { text.parse().ok() } else { None }
}

fn at(day: Date, time: Time, now: &Zoned) -> Option<Timestamp> {
    Some(DateTime::from_parts(day, time).to_zoned(now.time_zone().clone()).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use jiff::tz::offset;

    use super::*;

    /// Noon in a zone two hours east of UTC.
    fn now() -> Zoned {
        let zone = TimeZone::fixed(offset(2));
        "2026-11-29T10:00:00Z".parse::<Timestamp>().unwrap().to_zoned(zone)
    }

    #[test]
    fn a_time_is_formatted_briefly() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap().to_zoned(now().time_zone().clone());
        let shown = ["2026-11-28T22:05:00Z", "2026-11-28T21:59:00Z", "2025-11-29T10:00:00Z"];
        assert_eq!(shown.map(|text| written(&at(text), &now())), ["00:05", "Nov 28", "Nov 2025"]);
    }

    #[test]
    fn past_times_are_parsed() {
        for (text, expected) in [
            ("now", "2026-11-29T10:00:00Z"),
            ("2h", "2026-11-29T08:00:00Z"),
            ("2h ago", "2026-11-29T08:00:00Z"),
            ("1h 30m", "2026-11-29T08:30:00Z"),
            ("3 days ago", "2026-11-26T10:00:00Z"),
            ("0s", "2026-11-29T10:00:00Z"),
            ("today", "2026-11-28T22:00:00Z"),
            ("yesterday", "2026-11-27T22:00:00Z"),
            ("tomorrow", "2026-11-29T22:00:00Z"),
            ("yesterday 09:00", "2026-11-28T07:00:00Z"),
            ("09:00", "2026-11-29T07:00:00Z"),
            ("12:00", "2026-11-29T10:00:00Z"),
            ("12:00:01", "2026-11-28T10:00:01Z"),
            ("2026-11-28", "2026-11-27T22:00:00Z"),
            ("2026-11-28 09:00", "2026-11-28T07:00:00Z"),
            ("2026-11-28T09:00:30", "2026-11-28T07:00:30Z"),
            (" today ", "2026-11-28T22:00:00Z"),
        ] {
            assert_eq!(before(text, &now()), Ok(expected.parse().unwrap()), "{text}");
        }
        let at = "2026-11-21T12:00:00+01:00";
        assert_eq!(parse(at), Ok("2026-11-21T11:00:00Z".parse().unwrap()));
    }

    #[test]
    fn a_future_time_of_day_is_its_next_occurrence() {
        for (text, expected) in [
            ("10m", "2026-11-29T10:10:00Z"),
            ("in 1h 30m", "2026-11-29T11:30:00Z"),
            ("12:00", "2026-11-30T10:00:00Z"),
            ("18:30", "2026-11-29T16:30:00Z"),
            ("09:00", "2026-11-30T07:00:00Z"),
            ("tomorrow 09:00", "2026-11-30T07:00:00Z"),
            ("2026-12-24", "2026-12-23T22:00:00Z"),
        ] {
            assert_eq!(after(text, &now()), Ok(expected.parse().unwrap()), "{text}");
        }
        let error = after("soon", &now()).unwrap_err();
        assert!(error.contains("`18:30`"), "{error}");
    }

    /// An hour that occurs twice or never when clocks change is a single time.
    #[test]
    fn an_hour_that_is_skipped_is_the_next_one() {
        let Ok(zone) = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3") else { panic!("a valid time zone") };
        let now = "2026-04-01T10:00:00Z".parse::<Timestamp>().unwrap().to_zoned(zone);
        assert_eq!(before("2026-03-29 02:30", &now), Ok("2026-03-29T01:30:00Z".parse().unwrap()));
        assert_eq!(before("2026-03-29", &now), Ok("2026-03-28T23:00:00Z".parse().unwrap()));
    }

    #[test]
    fn an_invalid_time_is_refused_with_the_accepted_forms() {
        for text in ["", "soon", "25:00", "2026-13-01", "2026-11-28 9", "yesterday noon", "-2h", "99999999999y", "12"] {
            let error = before(text, &now()).unwrap_err();
            assert!(error.contains("`yesterday`"), "{text}: {error}");
        }
    }
}
