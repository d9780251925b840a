//! Names of jobs: the full id, and the short form that people type.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::{Random, Timestamp};

/// The id of a job: a UUIDv7 (RFC 9562, section 5.7), never reused.
///
/// Ids sort by the time at which they were minted, to about a quarter of a microsecond; 62 bits are random. The id
/// alone names the day directory in which a file store keeps the job.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Uuid", into = "Uuid")]
pub struct JobId(Uuid);

impl JobId {
    /// How many hexadecimal digits the random tail has of which short ids are made.
    const TAIL: usize = 12;
    /// How many of them are shown.
    const SHOWN: usize = 8;

    /// Mints an id for a job submitted at `now`.
    pub fn mint(now: Timestamp, random: &dyn Random) -> Self {
        let nanos = u128::try_from(now.as_nanosecond()).unwrap_or(0);
        let millis = u64::try_from(nanos / 1_000_000).unwrap_or(u64::MAX);
        // RFC 9562, section 6.2, method 3: the 12 bits after the milliseconds hold a fraction of the millisecond, so
        // that ids of one millisecond still sort by time.
        let fraction = u16::try_from((nanos % 1_000_000) * 4096 / 1_000_000).unwrap_or(0);
        let mut tail = [0; 10];
        random.fill(&mut tail[2..]);
        tail[..2].copy_from_slice(&fraction.to_be_bytes());
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid())
    }

    /// Returns the UTC day on which the job was submitted, as `2026-11-21`.
    pub fn day(self) -> String {
        self.minted_at().strftime("%Y-%m-%d").to_string()
    }

    /// Returns the time at which the id was minted, to the millisecond.
    pub fn minted_at(self) -> Timestamp {
        let millis = i64::from_be_bytes(self.0.as_u64_pair().0.to_be_bytes()) >> 16;
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Returns the part that people see and type: 8 of the 12 digits of the random tail.
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

impl TryFrom<Uuid> for JobId {
    type Error = String;

    fn try_from(uuid: Uuid) -> Result<Self, String> {
        match uuid.get_version() {
            Some(uuid::Version::SortRand) => Ok(Self(uuid)),
            _ => Err(format!("`{uuid}` is not a UUID of version 7")),
        }
    }
}

impl From<JobId> for Uuid {
    fn from(id: JobId) -> Self {
        id.0
    }
}

impl FromStr for JobId {
    type Err = String;

    /// Parses the hyphenated form, 36 characters.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() != 36 {
            return Err(format!("`{text}` is not a job id"));
        }
        Uuid::try_parse(text).map_err(|_| format!("`{text}` is not a job id"))?.try_into()
    }
}

/// The first digits of a job's random tail, 4 to 12 of them: enough to find a job, never a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdPrefix(String);

impl IdPrefix {
    /// Returns whether `id` is one that this prefix may mean.
    pub fn matches(&self, id: JobId) -> bool {
        id.tail().starts_with(&self.0)
    }
}

impl FromStr for IdPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_prefix = (4..=JobId::TAIL).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
        if is_prefix {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(format!("`{text}` is no short id: 4 to 12 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed(u8);

    impl Random for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    fn at(nanos: i128) -> Timestamp {
        Timestamp::from_nanosecond(nanos).unwrap()
    }

    #[test]
    fn ids_sort_by_time_within_a_millisecond() {
        let start = 1_795_254_000_000_000_000;
        let ids: Vec<_> = (0..1000).map(|i| JobId::mint(at(start + i * 1000), &Fixed(0xff - (i % 7) as u8))).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn an_id_names_its_day_and_time() {
        let id = JobId::mint("2026-11-21T23:59:59.999Z".parse().unwrap(), &Fixed(0xab));
        assert_eq!(id.day(), "2026-11-21");
        assert_eq!(id.minted_at().to_string(), "2026-11-21T23:59:59.999Z");
        assert_eq!(id.tail(), "abababababab");
        assert_eq!(id.short(), "abababab");
        assert_eq!(id.to_string().parse::<JobId>().unwrap(), id);
    }

    #[test]
    fn wild_references_are_no_jobs() {
        for text in ["", "..", "../../etc/passwd", "abc", "abcg", "ab\0cd", "0123456789abc", "é12é", "*"] {
            assert!(text.parse::<JobId>().is_err() && text.parse::<IdPrefix>().is_err(), "{text}");
        }
        assert!("7d444840-9dc0-11d1-b245-5ffdce74fad2".parse::<JobId>().is_err(), "version 1");
    }

    #[test]
    fn a_prefix_matches_whatever_its_case() {
        let id = JobId::mint(at(0), &Fixed(0xab));
        assert!("ABAB".parse::<IdPrefix>().unwrap().matches(id));
    }
}
