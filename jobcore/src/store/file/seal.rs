//! What a record says of itself, so that one that was changed or swapped is not taken for the truth.
//!
//! The last field of a record is `seal`: the job and the attempt that it belongs to, and the CRC-32 of all that stands
//! before the seal. Records of version 0.1.0 have none, and are read as they are.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::id::JobId;

/// What a seal begins with. Within a string of JSON the quotes would have a backslash before them.
const BEGIN: &str = ",\"seal\":";

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seal {
    job_id: JobId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    crc32: String,
}

impl Seal {
    /// Returns the seal of a record at this place: `ID/NAME` or `ID/attempts/NUMBER/NAME`. What is kept elsewhere has none.
    fn of(body: &[u8], path: &Path) -> Option<Self> {
        let directory = path.parent()?;
        let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let (job, attempt) = match directory.parent() {
            Some(parent) if name(parent).as_deref() == Some("attempts") => {
                (parent.parent()?, Some(name(directory)?.parse().ok()?))
            }
            _ => (directory, None),
        };
        let crc32 = format!("{:08x}", crc32fast::hash(body));
        Some(Self { job_id: name(job)?.parse().ok()?, attempt, crc32 })
    }
}

/// Adds the seal to a record, an object in JSON that has a field at least.
pub(super) fn set(json: &mut Vec<u8>, path: &Path) {
    let Some(body) = json.strip_suffix(b"}") else { return };
    let Some(seal) = Seal::of(body, path).and_then(|seal| serde_json::to_vec(&seal).ok()) else { return };
    json.pop();
    json.extend_from_slice(BEGIN.as_bytes());
    json.extend_from_slice(&seal);
    json.push(b'}');
}

/// Checks the seal of a record that was found at a place.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn check(bytes: &[u8], path: &Path) -> Result<(), String> {
    let Some(begin) = bytes.windows(BEGIN.len()).rposition(|window| window == BEGIN.as_bytes()) else { return Ok(()) };
    let (body, rest) = (&bytes[..begin], &bytes[begin + BEGIN.len()..]);
    let there = rest.trim_ascii_end().strip_suffix(b"}").and_then(|seal| serde_json::from_slice::<Seal>(seal).ok());
    let there = there.ok_or("its seal cannot be read")?;
    let Some(expected) = Seal::of(body, path) else { return Ok(()) };
    if there.job_id != expected.job_id {
        return Err(format!("it is the record of another job, {}", there.job_id));
    }
    if let (Some(there), Some(expected)) = (there.attempt, expected.attempt)
        && there != expected
    {
        return Err(format!("it is the record of another attempt, {there}"));
    }
    if there.crc32 != expected.crc32 {
        return Err("it was changed after it was written: its checksum does not fit".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01a1fdae-f732-79d8-863c-36d74826f0c8";
    const OTHER: &str = "01a1fdae-f732-79d8-863c-36d74826f0c9";

    fn sealed(json: &str, path: &str) -> Vec<u8> {
        let mut json = json.as_bytes().to_vec();
        set(&mut json, Path::new(path));
        json
    }

    #[test]
    fn a_record_is_read_where_it_was_written_and_nowhere_else() {
        let path = format!("/store/jobs/day/{ID}/attempts/1/end.json");
        let record = sealed("{\"v\":1}", &path);
        assert!(String::from_utf8_lossy(&record).starts_with("{\"v\":1,\"seal\":{\"job_id\":\"01a1"), "{record:?}");
        let reason = |path: String| check(&record, Path::new(&path)).err().unwrap_or_default();
        assert_eq!(reason(path), "");
        assert_eq!(reason(format!("/store/jobs/day/{ID}/end.json")), "", "the link of the job");
        assert_eq!(reason(format!("/store/trash/{ID}/end.json")), "");
        assert!(reason(format!("/store/jobs/day/{OTHER}/end.json")).contains("another job"));
        assert!(reason(format!("/store/jobs/day/{ID}/attempts/2/end.json")).contains("another attempt"));
    }

    #[test]
    fn no_changed_byte_changes_what_is_read() {
        let path = format!("/store/{ID}/end.json");
        let text = "{\"v\":1,\"label\":\",\\\"seal\\\":{\",\"code\":13}";
        let mut record = sealed(text, &path);
        record.extend_from_slice(b"   \n");
        let read = |bytes: &[u8]| {
            check(bytes, Path::new(&path)).ok()?;
            let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
            Some((value["v"].clone(), value["label"].clone(), value["code"].clone()))
        };
        let truth = read(&record);
        assert!(truth.is_some());
        for place in 0..record.len() {
            for changed in [b'0', b'1', b'"', b' ', b'x', b'}', record[place] ^ 1, record[place] ^ 0x80] {
                let mut bytes = record.clone();
                bytes[place] = changed;
                let found = read(&bytes);
                assert!(found.is_none() || found == truth, "byte {place} as {changed}: {found:?}");
            }
        }
        assert_eq!(read(text.as_bytes()), truth, "a record of an earlier version");
    }
}
