//! Tests against the output of real CLIs: `samples/agents`, one folder per CLI, one file per case.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;

/// A recorded standard output.
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) format: Format,
    pub(super) bytes: Vec<u8>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/agents")
}

fn files(cli: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder().join(cli)).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())).collect()
}

pub(super) fn samples() -> Vec<Sample> {
    let clis = [
        ("claude", Format::Claude),
        ("codex", Format::Codex),
        ("gemini", Format::Gemini),
        ("opencode", Format::Opencode),
    ];
    let samples = clis.into_iter().flat_map(|(cli, format)| {
        let outputs = files(cli).into_iter().filter(|(name, _)| !name.ends_with(".stderr"));
        outputs.map(move |(name, bytes)| {
            let format = if name.ends_with(".txt") { Format::Text } else { format };
            Sample { name: format!("{cli}/{name}"), format, bytes }
        })
    });
    samples.collect()
}

fn sample(name: &str) -> Sample {
    samples().into_iter().find(|sample| sample.name == name).unwrap()
}

pub(super) fn fold(format: Format, pieces: &[&[u8]]) -> Fold {
    let mut fold = Fold::new(format);
    pieces.iter().for_each(|piece| fold.feed(piece));
    fold
}

pub(super) fn digest(sample: &Sample) -> Digest {
    fold(sample.format, &[&sample.bytes]).digest()
}

fn golden(name: &str, json: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, json).unwrap();
    }
    assert_eq!(json, std::fs::read_to_string(&path).unwrap(), "{name}");
}

/// The shape is an interface: fields in the golden file stay as they are; new ones may be added.
#[test]
fn the_golden_file_pins_the_digests() {
    let digests: BTreeMap<_, _> = samples().iter().map(|sample| (sample.name.clone(), digest(sample))).collect();
    let json = serde_json::to_string_pretty(&digests).unwrap() + "\n";
    golden("agent_digests.json", &json);
    assert_eq!(serde_json::from_str::<BTreeMap<String, Digest>>(&json).unwrap(), digests);
}

#[test]
fn the_golden_file_pins_the_transcripts() {
    let mut told = String::new();
    for sample in samples() {
        let mut transcript = Transcript::new(sample.format);
        let text = transcript.feed(&sample.bytes) + &transcript.end();
        assert!(text.is_empty() || text.ends_with('\n'), "{}", sample.name);
        assert!(!text.lines().any(|line| line.starts_with('{')), "{}", sample.name);
        told += &format!("=== {}\n{text}", sample.name);
    }
    golden("agent_transcripts.txt", &told);
}

#[test]
fn the_golden_file_pins_the_last_words() {
    let mut told = String::new();
    for cli in ["claude", "codex", "gemini", "opencode"] {
        for (name, bytes) in files(cli).into_iter().filter(|(name, _)| name.ends_with(".stderr")) {
            let Failure { message: words, http_status, .. } = last_words(&bytes, true).unwrap_or_default();
            assert!(words.chars().count() <= 500 && !words.contains('\n'));
            let status = http_status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
            told += &format!("{cli}/{name}: {words}{status}\n");
        }
    }
    golden("agent_last_words.txt", &told);
    assert_eq!(last_words(b"", false), None);
    assert_eq!(last_words(&b"x".repeat(100_000), false).unwrap().message.chars().count(), 500);
}

/// Regression: while Gemini CLI retried, it was shown as thinking, for minutes.
#[test]
fn retries_that_gemini_reports_only_on_standard_error_are_read() {
    for (name, status, count, last) in [("error429.jsonl.stderr", 429, 9, 5), ("error500.json.stderr", 500, 8, 4)] {
        let stderr = files("gemini").remove(name).unwrap();
        let mut fold = Fold::new(Format::Gemini);
        for bytes in stderr.chunks(100) {
            fold.feed_stderr(bytes);
        }
        let digest = fold.digest();
        let activity = format!("retry {last} after HTTP {status}");
        assert_eq!((digest.retries, digest.activity.as_deref()), (count, Some(activity.as_str())), "{name}");
        assert_eq!(digest.retry.unwrap().http_status, Some(status), "{name}");
        let mut transcript = Transcript::new(Format::Gemini);
        let told = transcript.feed_stderr(&stderr);
        assert_eq!(told.lines().count() as u64, count, "{told}");
        // It did answer in the end.
        fold.feed(&sample("gemini/plain.jsonl").bytes);
        assert_eq!((fold.digest().success, fold.digest().retry), (Some(true), None), "{name}");
    }
    let mut others = Fold::new(Format::Codex);
    others.feed_stderr(b"Attempt 1 failed with status 429. Retrying with backoff...\n");
    assert_eq!(others.digest().retries, 0);
}

/// Regression: a tool of Gemini CLI that was denied a path was shown as failed.
#[test]
fn a_path_outside_geminis_workspace_is_a_denial() {
    let output = br#"{"type":"tool_use","tool_name":"write_file","tool_id":"w","parameters":{"file_path":"/var/tmp/x"}}
{"type":"tool_result","tool_id":"w","status":"error","error":{"type":"invalid_tool_params","message":"Path not in workspace: \"/var/tmp/x\" resolves outside"}}
"#;
    let digest = fold(Format::Gemini, &[output]).digest();
    assert_eq!(digest.denials, 1);
    assert_eq!((digest.denied[0].tool.as_str(), digest.denied[0].what.as_str()), ("write_file", "/var/tmp/x"));
}

/// The expected results come from the file names, not from what is read.
#[test]
fn success_is_that_of_the_last_result() {
    for sample in samples() {
        let (digest, name) = (digest(&sample), &sample.name);
        let failed = ["error", "maxturns", "nokey", "connrefused", "badmodel", "claude/kill-int-midstream"];
        let expected = match () {
            () if sample.format == Format::Text => None,
            () if name.contains("badmodel") => digest.success,
            () if failed.iter().any(|case| name.contains(case)) => Some(false),
            () if name.contains("kill") || name.contains("norelaunch") => None,
            () if sample.bytes.is_empty() => None,
            () => Some(true),
        };
        assert_eq!(digest.success, expected, "{name}");
        if let Some(success) = digest.success {
            assert_eq!(success, digest.error.is_none(), "{name}");
            assert_eq!(success, digest.result.is_some(), "{name}");
            assert!(digest.results > 0 && digest.session_id.is_some(), "{name}");
        }
        assert_eq!((digest.unknown, digest.noise, digest.incomplete), (0, 0, false), "{name}");
    }
}

/// Counts the complete final events in another way.
fn finals(bytes: &[u8]) -> u64 {
    let of_line = |line: &[u8]| serde_json::from_slice::<serde_json::Value>(line).ok();
    let lines: Vec<_> = match of_line(bytes) {
        Some(whole) => vec![whole],
        None => bytes.split(|byte| *byte == b'\n').filter_map(of_line).collect(),
    };
    let is_final = |value: &serde_json::Value| match value["type"].as_str() {
        Some("result" | "turn.completed" | "turn.failed") => true,
        Some("error") => value.get("sessionID").is_some(),
        Some("step_finish") => value["part"]["reason"] == "stop",
        Some(_) => false,
        None => value.get("response").is_some(),
    };
    lines.iter().filter(|value| is_final(value)).count() as u64
}

/// Wherever the output is cut off, the digest is true of what is there: no figure decreases, and there is no success
/// before the event that reports it is complete.
#[test]
fn a_stream_may_end_anywhere() {
    for sample in samples() {
        let mut fold = Fold::new(sample.format);
        let mut transcript = Transcript::new(sample.format);
        let mut before = Digest::default();
        // For long samples, only around the ends of lines and at every 97th byte.
        let near_an_end =
            |at: usize| sample.bytes[at.saturating_sub(3)..sample.bytes.len().min(at + 3)].contains(&b'\n');
        for (at, byte) in sample.bytes.iter().enumerate() {
            fold.feed(&[*byte]);
            transcript.feed(&[*byte]);
            if sample.bytes.len() > 6000 && !near_an_end(at) && at % 97 != 0 {
                continue;
            }
            let digest = fold.digest();
            let figures = |digest: &Digest| {
                [digest.results, digest.tool_calls.unwrap_or_default(), digest.retries, digest.denials, digest.noise]
            };
            let pairs = figures(&before).into_iter().zip(figures(&digest));
            assert!(pairs.into_iter().all(|(before, now)| before <= now), "{} at {at}", sample.name);
            if *byte == b'}' {
                assert_eq!(digest.results, finals(&sample.bytes[..=at]), "{} at {at}", sample.name);
            } else {
                let said =
                    |digest: &Digest| (digest.results, digest.success, digest.result.clone(), digest.error.clone());
                let is_text = sample.format == Format::Text;
                assert!(is_text || said(&before) == said(&digest), "{} at {at}", sample.name);
            }
            assert!(digest.activity.as_ref().is_none_or(|line| line.chars().count() <= 120));
            before = digest;
        }
        assert_eq!(before, digest(&sample), "{} byte by byte", sample.name);
    }
}

#[test]
fn an_array_of_all_events_is_read_like_the_stream() {
    for sample in samples().into_iter().filter(|sample| sample.name.ends_with(".jsonl")) {
        let lines: Vec<serde_json::Value> =
            sample.bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        let array = serde_json::to_vec(&lines).unwrap();
        let spread = serde_json::to_vec_pretty(&lines).unwrap();
        assert_eq!(fold(sample.format, &[&array]).digest(), digest(&sample), "{}", sample.name);
        assert_eq!(fold(sample.format, &[&spread]).digest(), digest(&sample), "{}", sample.name);
    }
}

/// There is a result, but the agent waits for background tasks and is woken when they end.
#[test]
fn there_is_a_result_while_the_agent_is_still_busy() {
    let sample = sample("claude/bgtool.jsonl");
    let (mut fold, mut seen) = (Fold::new(Format::Claude), Vec::new());
    for line in sample.bytes.split_inclusive(|byte| *byte == b'\n') {
        fold.feed(line);
        let digest = fold.digest();
        seen.push((digest.results, digest.success, digest.background, digest.activity.unwrap_or_default()));
    }
    // It is busy with the next call, and another task is already running.
    let busy = (1, Some(true), 1, "Bash: sleep 200".to_owned());
    assert!(seen.contains(&busy), "{seen:#?}");
    let waits = (1, Some(true), 1, "waiting for 1 background task".to_owned());
    assert!(seen.contains(&waits), "{seen:#?}");
    let last = fold.digest();
    assert!(last.results > 1 && last.background == 0, "{last:#?}");
    // The cost in the last result covers all of them.
    assert_eq!(last.usage.input_tokens, Some(100 * 2 * last.results));
}

/// If the permissions take a tool away, that is reported only to the model that calls it anyway.
#[test]
fn calls_of_tools_that_were_taken_away_are_denied() {
    let denied = |name: &str| -> Vec<_> {
        let digest = digest(&sample(name));
        assert_eq!((digest.success, digest.denials), (Some(true), digest.denied.len() as u64), "{name}");
        digest.denied.into_iter().map(|denial| (denial.tool, denial.what)).collect()
    };
    let call = |tool: &str, what: &str| (tool.to_owned(), what.to_owned());
    assert_eq!(denied("claude/tool-taken-away.jsonl"), [call("Write", "/home/user/project/x")]);
    assert_eq!(denied("opencode/tool-taken-away.jsonl"), [call("bash", "")]);
    assert_eq!(denied("opencode/denied-outside.jsonl"), [call("write", "/home/user/other/x")]);
    // A tool that never existed is the model's mistake.
    let mistake = r#"{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"a","is_error":true,
        "content":"<tool_use_error>Error: No such tool available: Frobnicate</tool_use_error>"}]}}"#;
    assert_eq!(fold(Format::Claude, &[mistake.as_bytes()]).digest().denials, 0);
}

#[test]
fn after_a_gap_figures_are_lower_bounds() {
    let sample = sample("claude/write-denied.jsonl");
    let half = sample.bytes.len() / 2;
    let mut fold = fold(Format::Claude, &[&sample.bytes[..half]]);
    fold.gap();
    assert!(fold.digest().lower_bounds.contains("tool_calls"));
    fold.feed(&sample.bytes[half + 10..]);
    let (whole, digest) = (digest(&sample), fold.digest());
    assert!(digest.incomplete);
    assert_eq!(
        digest.lower_bounds.iter().map(String::as_str).collect::<Vec<_>>(),
        ["denials", "duration_ms", "results", "retries", "tool_calls", "turns"]
    );
    assert_eq!((digest.success, digest.cost_usd, digest.usage), (whole.success, whole.cost_usd, whole.usage));
    assert_eq!((digest.result, digest.denied), (whole.result, whole.denied));
    // Another result may have been in the gap.
    fold.gap();
    assert_eq!((fold.digest().success, fold.digest().result), (None, None));
    // The steps of opencode are added up, so missing ones count.
    let mut fold = self::fold(Format::Opencode, &[&self::sample("opencode/tool.jsonl").bytes]);
    assert_eq!(fold.digest().usage.input_tokens, Some(200));
    fold.gap();
    fold.feed(b"rest of a line\n");
    fold.feed(&self::sample("opencode/plain.jsonl").bytes);
    assert!(fold.digest().lower_bounds.contains("usage"));
    // For plain text, only the end is kept anyway.
    let mut fold = self::fold(Format::Text, &[b"one"]);
    fold.gap();
    fold.feed(b"two\n");
    let digest = fold.digest();
    assert_eq!((digest.result.as_deref(), digest.result_cut_bytes, digest.incomplete), (Some("two\n"), 3, true));
    assert!(digest.lower_bounds.is_empty());
}

/// However the bytes around it are divided.
#[test]
fn a_line_that_is_too_long_is_a_gap() {
    let long = vec![b'x'; 33 << 20];
    let sample = sample("claude/plain.jsonl");
    let before = self::sample("claude/nokey.jsonl");
    let whole: Vec<u8> = [&before.bytes[..], b"{", &long, b"\n", &sample.bytes].concat();
    let digest = fold(Format::Claude, &[&whole]).digest();
    assert_eq!((digest.success, digest.incomplete, digest.noise), (Some(true), true, 1));
    assert_eq!(fold(Format::Claude, &whole.chunks(100_000).collect::<Vec<_>>()).digest(), digest);
    let ends_in_it = fold(Format::Claude, &[&sample.bytes, &long]).digest();
    assert_eq!((ends_in_it.success, ends_in_it.incomplete), (None, true));
}

#[test]
fn long_values_are_cut_and_counted() {
    let long = "é".repeat(1 << 20);
    let delta = format!("{{\"type\":\"message\",\"role\":\"assistant\",\"delta\":true,\"content\":\"x{long}\"}}\n");
    let end = "{\"type\":\"result\",\"status\":\"success\"}\n";
    let digest = fold(Format::Gemini, &[delta.as_bytes(), delta.as_bytes(), end.as_bytes()]).digest();
    let result = digest.result.unwrap();
    assert!(result.len() <= 256 << 10 && result.len() > 255 << 10);
    assert_eq!(result.len() as u64 + digest.result_cut_bytes, 2 * (1 + 2 * (1 << 20)));
    let structured = format!(
        "{{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"\",\"structured_output\":[\"{long}\"]}}"
    );
    let digest = fold(Format::Claude, &[structured.as_bytes()]).digest();
    assert_eq!((digest.structured, digest.structured_cut_bytes), (None, 2 * (1 << 20) + 4));
    let denied = "{\"type\":\"system\",\"subtype\":\"permission_denied\",\"tool_name\":\"Bash\"}\n".repeat(2000);
    let digest = fold(Format::Claude, &[denied.as_bytes()]).digest();
    assert_eq!((digest.denials, digest.denied.len(), digest.lower_bounds.contains("denials")), (1000, 20, true));
}

#[test]
fn the_state_stays_small_for_any_length_of_output() {
    let mut events = String::new();
    for id in 0..2000 {
        let words = "word ".repeat(100);
        events += &format!(
            "{{\"type\":\"assistant\",\"message\":{{\"id\":\"m{id}\",\"content\":[{{\"type\":\"text\",\"text\":\"{words}\"}},\
             {{\"type\":\"tool_use\",\"id\":\"t{id}\",\"name\":\"Bash\",\"input\":{{\"command\":\"{words}\"}}}}]}}}}\n\
             {{\"type\":\"system\",\"subtype\":\"permission_denied\",\"tool_use_id\":\"t{id}\",\"tool_name\":\"Bash\"}}\n\
             {{\"type\":\"kind{id}\"}}\nnoise\n"
        );
    }
    let (mut claude, mut text) = (Fold::new(Format::Claude), Fold::new(Format::Text));
    let size = |fold: &Fold| serde_json::to_vec(fold).unwrap().len();
    claude.feed(events.as_bytes());
    let at_first = size(&claude);
    assert!(at_first < 100_000, "{at_first}");
    for _ in 0..10 {
        claude.feed(events.as_bytes());
    }
    // Numbers get longer.
    assert!(size(&claude) < at_first + 100, "{}", size(&claude));
    for _ in 0..200_000_000 / events.len() {
        text.feed(events.as_bytes());
    }
    assert!(size(&text) < 3 * (256 << 10), "{}", size(&text));
}
