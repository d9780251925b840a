//! Properties of the output of any agent.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::tests::{digest, fold, samples};
use super::*;
use crate::fuzzing;
use crate::generate::{cases, damaged};

/// Returns the pieces of a sample that is divided at these places.
fn pieces<'s>(bytes: &'s [u8], cuts: &[Index]) -> Vec<&'s [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let ends = cuts.iter().copied().chain([bytes.len()]);
    let starts = [0].into_iter().chain(cuts.iter().copied());
    starts.zip(ends).map(|(start, end)| &bytes[start..end]).collect()
}

/// Returns the samples with the prefix that [`fuzzing::agent`] expects: the format and the size of the pieces.
fn fuzzed() -> Vec<Vec<u8>> {
    let place = |format| match format {
        Format::Claude => 0,
        Format::Codex => 1,
        Format::Gemini => 2,
        Format::Opencode => 3,
        Format::Text => 4,
    };
    let samples = samples().into_iter().filter(|sample| sample.bytes.len() < 20_000);
    samples.map(|sample| [&[place(sample.format), 97][..], &sample.bytes].concat()).collect()
}

proptest! {
    #![proptest_config(cases(24))]

    /// The state may be saved and restored at any time.
    #[test]
    fn dividing_the_bytes_makes_no_difference(sample in any::<Index>(), cuts in vec(any::<Index>(), 0..200)) {
        let samples = samples();
        let sample = sample.get(&samples);
        let whole = fold(sample.format, &[&sample.bytes]);
        let mut told = Transcript::new(sample.format);
        let told = told.feed(&sample.bytes) + &told.end();
        let (mut fold, mut transcript) = (Fold::new(sample.format), Transcript::new(sample.format));
        let mut in_pieces = String::new();
        for piece in pieces(&sample.bytes, &cuts) {
            fold.feed(piece);
            in_pieces += &transcript.feed(piece);
            fold = serde_json::from_slice(&serde_json::to_vec(&fold).unwrap()).unwrap();
        }
        prop_assert_eq!(fold, whole, "{}", sample.name);
        prop_assert_eq!(in_pieces + &transcript.end(), told, "{}", sample.name);
    }

    #[test]
    fn noise_between_events_does_no_harm(sample in any::<Index>(), noise in vec(noise(), 1..40)) {
        let samples: Vec<_> = samples().into_iter().filter(|sample| sample.name.ends_with(".jsonl")).collect();
        let sample = sample.get(&samples);
        let (mut noisy, mut lines) = (Vec::new(), 0);
        for (line, noise) in sample.bytes.split_inclusive(|byte| *byte == b'\n').zip(noise.iter().cycle()) {
            noisy.extend_from_slice(noise.as_bytes());
            noisy.push(b'\n');
            noisy.extend_from_slice(line);
            lines += u64::from(line.ends_with(b"\n"));
        }
        let mut digest_of_noisy = fold(sample.format, &[&noisy]).digest();
        prop_assert_eq!(std::mem::take(&mut digest_of_noisy.noise), lines, "{}", sample.name);
        prop_assert_eq!(digest_of_noisy, digest(sample), "{}", sample.name);
    }

    #[test]
    fn damaged_output_of_an_agent_is_read_within_bounds(bytes in damaged(fuzzed())) {
        fuzzing::agent(&bytes);
    }

    #[test]
    fn any_output_of_an_agent_is_read_within_bounds(bytes in vec(any::<u8>(), 0..300)) {
        fuzzing::agent(&bytes);
    }
}

/// A line of another program.
fn noise() -> impl Strategy<Value = &'static str> {
    select(&["npm WARN deprecated", "{ not JSON", "[warn] x", "{\"a\":", "\u{1b}[0m", "}"][..])
}
