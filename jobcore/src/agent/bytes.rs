//! Bytes in JSON, one character per byte, so that text stays readable and short.

use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&bytes.iter().copied().map(char::from).collect::<String>())
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let byte = |c: char| u8::try_from(c).map_err(|_| serde::de::Error::custom("a character is beyond one byte"));
    text.chars().map(byte).collect()
}
