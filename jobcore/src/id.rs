//! Ids of jobs: the full id, and the short form that people type.

use std::fmt;
use std::io;
use std::str::FromStr;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use uuid::fmt::{Hyphenated, Simple};

use crate::clock::{Random, Timestamp};
use crate::parse_error::ParseError;

/// The id of a job: a UUIDv7 (RFC 9562, section 5.7), never reused.
///
/// Ids sort by the time at which they were minted, to about a quarter of a microsecond; 62 bits are random. A file
/// store derives the directory of the job's day from the id alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct JobId(Uuid);

impl JobId {
    /// The number of hexadecimal digits in the random tail, from which short ids are taken.
    const TAIL: usize = 12;
    /// How many of them are shown.
    const SHOWN: usize = 8;

    /// Mints an id for a job submitted at `now`.
    ///
    /// # Errors
    /// If no randomness is available.
    pub fn mint(now: Timestamp, random: &dyn Random) -> io::Result<Self> {
        let nanos = u128::try_from(now.as_nanosecond()).unwrap_or(0);
        let millis = u64::try_from(nanos / 1_000_000).unwrap_or(u64::MAX);
        // RFC 9562, section 6.2, method 3: the 12 bits after the milliseconds hold a fraction of the millisecond, so
        // that ids minted within the same millisecond still sort by time.
        let fraction = u16::try_from((nanos % 1_000_000) * 4096 / 1_000_000).unwrap_or(0);
        let mut tail = [0; 10];
        random.fill(&mut tail[2..])?;
        tail[..2].copy_from_slice(&fraction.to_be_bytes());
        Ok(Self(uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid()))
    }

    /// Returns the 16 bytes of the id, which sort as ids do.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// Returns the id with these bytes.
    ///
    /// # Errors
    /// If they are not those of a UUIDv7.
    pub fn from_bytes(bytes: [u8; 16]) -> Result<Self, ParseError> {
        Self::try_from_uuid(Uuid::from_bytes(bytes))
    }

    fn try_from_uuid(uuid: Uuid) -> Result<Self, ParseError> {
        match uuid.get_version() {
            Some(uuid::Version::SortRand) => Ok(Self(uuid)),
            _ => Err(ParseError::new(format!("`{uuid}` is not a UUID of version 7"))),
        }
    }

    /// Returns the UTC day on which the job was submitted, such as `2026-11-21`.
    pub fn day(self) -> String {
        self.minted_at().strftime("%Y-%m-%d").to_string()
    }

    /// Returns the time at which the id was minted, to the millisecond.
    pub fn minted_at(self) -> Timestamp {
        let millis = i64::from_be_bytes(self.0.as_u64_pair().0.to_be_bytes()) >> 16;
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Returns the part that is shown and typed: 8 of the 12 digits of the random tail.
    pub fn short(self) -> String {
        let mut tail = self.tail();
        tail.truncate(Self::SHOWN);
        tail
    }

    /// Returns the whole random tail: 12 hexadecimal digits.
    pub fn tail(self) -> String {
        let text = self.0.as_simple().to_string();
        text[text.len() - Self::TAIL..].to_owned()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({self})")
    }
}

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from_uuid(Uuid::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl FromStr for JobId {
    type Err = ParseError;

    /// Parses the hyphenated form, 36 characters.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.len() != 36 {
            return Err(ParseError::new(format!("`{text}` is not a job id")));
        }
        let uuid = Uuid::try_parse(text).map_err(|_| ParseError::new(format!("`{text}` is not a job id")))?;
        Self::try_from_uuid(uuid)
    }
}

/// A part of an id by which a job can be found: the beginning or the end of the id, with or without its dashes, or the
/// beginning of its random tail, as in short ids. It has 4 digits or more, and is never a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdPrefix(Vec<Digits>);

/// Digits at one position in an id, as a mask and a value, so that a hundred thousand ids are compared almost
/// instantly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Digits {
    mask: u128,
    value: u128,
}

impl Digits {
    /// Places `count` digits after the first `before` digits of an id.
    fn at(before: usize, count: usize, value: u128) -> Self {
        let behind = 4 * (Simple::LENGTH - before - count);
        let mask = u128::MAX >> (4 * (Simple::LENGTH - count));
        Self { mask: mask << behind, value: value << behind }
    }
}

impl IdPrefix {
    /// The minimum number of digits: with fewer, a typing error would too often match another job.
    const LEAST: usize = 4;

    /// Returns whether this part matches `id`.
    pub fn matches(&self, id: JobId) -> bool {
        let id = id.0.as_u128();
        self.0.iter().any(|digits| id & digits.mask == digits.value)
    }

    /// Returns what a text that looks like a part of an id can match: the positions at which its dashes, if it has any,
    /// are where they belong.
    fn of(text: &str) -> Option<Self> {
        /// Where a hyphenated id has its dashes.
        const DASHES: [usize; 4] = [8, 13, 18, 23];
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        let (count, value) = (digits.len(), u128::from_str_radix(&digits, 16).ok()?);
        let has_dashes = count < text.len();
        let fits = |before: usize| {
            text.bytes().enumerate().all(|(at, byte)| (byte == b'-') == DASHES.contains(&(before + at)))
        };
        let is_place = |before| !has_dashes || fits(before);
        let mut places = Vec::new();
        if is_place(0) {
            places.push(0);
        }
        if is_place(Hyphenated::LENGTH.checked_sub(text.len())?) {
            places.push(Simple::LENGTH - count);
        }
        if !has_dashes && count <= JobId::TAIL {
            places.push(Simple::LENGTH - JobId::TAIL);
        }
        Some(Self(places.into_iter().map(|before| Digits::at(before, count, value)).collect()))
    }
}

impl FromStr for IdPrefix {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let part = looks_like_id(text).then(|| Self::of(text)).flatten();
        part.ok_or_else(|| {
            let what = "give at least 4 hexadecimal digits of its beginning or its end";
            ParseError::new(format!("`{text}` is not a part of an id: {what}"))
        })
    }
}

/// Returns whether a text can be read as an id: a part of one with 4 hexadecimal digits or more, with or without
/// dashes. Names that look like this are refused.
pub(crate) fn looks_like_id(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    (IdPrefix::LEAST..=Simple::LENGTH).contains(&digits)
        && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug)]
    struct Fixed(u8);

    impl Random for Fixed {
        fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
            bytes.fill(self.0);
            Ok(())
        }
    }

    /// Simulates a kernel without randomness: no descriptors were left, and `/dev` was missing in a chroot.
    #[derive(Debug)]
    struct None;

    impl Random for None {
        fn fill(&self, _: &mut [u8]) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    #[test]
    fn minting_without_randomness_fails() {
        assert_eq!(JobId::mint(at(0), &None).unwrap_err().kind(), io::ErrorKind::Unsupported);
    }

    fn at(nanos: i128) -> Timestamp {
        Timestamp::from_nanosecond(nanos).unwrap()
    }

    #[test]
    fn ids_sort_by_time_within_a_millisecond() {
        let start = 1_795_254_000_000_000_000;
        let ids: Vec<_> =
            (0..1000).map(|i| JobId::mint(at(start + i * 1000), &Fixed(0xff - (i % 7) as u8)).unwrap()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn an_id_names_its_day_and_time() {
        let id = JobId::mint("2026-11-21T23:59:59.999Z".parse().unwrap(), &Fixed(0xab)).unwrap();
        assert_eq!(id.day(), "2026-11-21");
        assert_eq!(id.minted_at().to_string(), "2026-11-21T23:59:59.999Z");
        assert_eq!(id.tail(), "abababababab");
        assert_eq!(id.short(), "abababab");
        assert_eq!(id.to_string().parse::<JobId>().unwrap(), id);
    }

    #[test]
    fn malformed_references_are_refused() {
        let long = "0".repeat(33);
        for text in ["", "..", "../../etc/passwd", "abc", "a-b-c", "----", "abcg", "ab\0cd", &long, "é12é", "*"] {
            assert!(text.parse::<JobId>().is_err() && text.parse::<IdPrefix>().is_err(), "{text}");
        }
        assert!("7d444840-9dc0-11d1-b245-5ffdce74fad2".parse::<JobId>().is_err(), "version 1");
    }

    #[test]
    fn parts_of_an_id_look_like_an_id() {
        let id = JobId::mint(at(0), &Fixed(0xab)).unwrap();
        for part in [id.short(), id.tail(), id.to_string(), id.to_string()[..10].to_owned(), "FACE".to_owned()] {
            assert!(looks_like_id(&part), "{part}");
        }
        for name in ["", "web", "add", "bad", "7", "deadbeefs", "facade.1", "a_b_c_d", "build-1", &"a".repeat(33)] {
            assert!(!looks_like_id(name), "{name}");
        }
    }

    #[test]
    fn a_prefix_matches_whatever_its_case() {
        let id = JobId::mint(at(0), &Fixed(0xab)).unwrap();
        assert!("ABAB".parse::<IdPrefix>().unwrap().matches(id));
    }

    proptest::proptest! {
        /// Whichever part of it is written, in whichever form.
        #[test]
        fn a_part_of_an_id_is_its_text(id in crate::generate::job_id(), from in 0..36_usize, count in 4..37_usize) {
            let hyphenated = id.to_string();
            let simple = hyphenated.replace('-', "");
            for whole in [&hyphenated, &simple] {
                let Some(part) = whole.get(from..(from + count).min(whole.len())) else { continue };
                let Ok(parsed) = part.parse::<IdPrefix>() else { continue };
                let is_end = |id: &str| id.starts_with(part) || id.ends_with(part);
                let is_meant = is_end(&hyphenated) || is_end(&simple) || id.tail().starts_with(part);
                proptest::prop_assert_eq!(parsed.matches(id), is_meant, "{}", part);
            }
        }
    }

    #[test]
    fn a_job_is_found_by_the_beginning_or_the_end_of_its_id() {
        let id: JobId = "01a1fdae-f732-79d8-863c-36d74826f0c8".parse().unwrap();
        let matches = |text: &str| text.parse::<IdPrefix>().unwrap().matches(id);
        for text in [
            "36d7",
            "36d74826",
            "36d74826f0c8",
            "f0c8",
            "26F0C8",
            "863c-36d74826f0c8",
            "863c36d74826f0c8",
            "01a1",
            "01a1fdae-f",
            "01a1fdaef",
            "01a1fdae-",
            "01a1fdaef73279d8863c36d74826f0c8",
            "01A1FDAE-F732-79D8-863C-36D74826F0C8",
        ] {
            assert!(matches(text), "{text}");
        }
        // Its middle, digits with misplaced dashes, and too many digits.
        for text in ["fdae", "79d8", "4826", "f732-79d8", "01a1-fdae", "36d7-4826", "36d74826f0c80"] {
            assert!(!matches(text), "{text}");
        }
    }
}
