//! Sizes and durations as people write them.

use std::time::Duration;

use crate::parse_error::ParseError;

/// Parses a size in bytes: `500`, `64K`, `10M`, `1.5GiB`. K, M, G and T, with or without `B` or `iB`, are powers of 1024.
///
/// # Errors
/// Says what is wrong, and what would be right.
pub fn parse_size(text: &str) -> Result<u64, ParseError> {
    let refuse = |reason: &str| {
        let reason = format!("`{text}` is not a size: {reason}; write for example `500K`, `10M` or `2GiB`");
        Err(ParseError::new(reason))
    };
    let trimmed = text.trim();
    let border = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(border);
    let unit = unit.trim().to_ascii_uppercase();
    let unit = unit.strip_suffix("IB").or_else(|| unit.strip_suffix('B')).unwrap_or(&unit);
    let shift = match unit {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return refuse("the unit is unknown"),
    };
    // Whole numbers are exact; fractions are rounded down.
    if let Ok(whole) = number.parse::<u64>() {
        return match whole.checked_mul(1 << shift) {
            Some(bytes) => Ok(bytes),
            None => refuse("it is too large"),
        };
    }
    match number.parse::<f64>() {
        Ok(number) if number.is_finite() && number * ((1_u64 << shift) as f64) < 1e18 => {
            Ok((number * ((1_u64 << shift) as f64)) as u64)
        }
        Ok(_) => refuse("it is too large"),
        Err(_) => refuse("there is no number"),
    }
}

/// Returns a size in three or four characters and a unit: `512 B`, `1.5 MiB`.
pub fn format_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // From this value on it would be shown as 1024.
    while value >= 1023.95 {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Returns a duration in a few characters, rounded down: `0.2s`, `12s`, `3m`, `5h`, `9d`.
pub fn short_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{seconds}.{}s", duration.subsec_millis() / 100),
        10..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024() {
        let sizes = [("0", 0), ("500", 500), ("1K", 1024), ("10mb", 10 << 20), ("2 GiB", 2 << 30), ("1.5k", 1536)];
        for (text, bytes) in sizes {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn malformed_sizes_are_refused() {
        for text in ["", "-1", "M", "1X", "99999999999T", "1e9", "0x10", "1.2.3K", "NaN", "inf"] {
            let error = parse_size(text).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn sizes_are_short() {
        let shown: Vec<_> = [0, 1023, 1024, 1536, 10 << 20, u64::MAX].into_iter().map(format_size).collect();
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "10.0 MiB", "16.0 EiB"]);
    }

    #[test]
    fn durations_take_a_few_characters() {
        let shown = [0, 254, 999, 1161, 9999, 99_000, 120_000, 7_199_000, 7_200_000, 172_799_000, 172_800_000]
            .map(Duration::from_millis)
            .map(short_duration);
        assert_eq!(shown, ["0.0s", "0.2s", "0.9s", "1.1s", "9.9s", "99s", "2m", "119m", "2h", "47h", "2d"]);
    }
}
