//! Reading an output: what matches, since when, cleaned, folded, cut to a size; and large outputs in little memory.

use std::io::Read;
use std::process::Stdio;

use serde_json::Value;

use crate::background::{Background, bytes, touch, until};
use crate::support::{Ran, TestEnv, wait_for};

/// Runs a job to its end and returns its id.
fn done(env: &TestEnv, options: &[&str], line: &str) -> String {
    let mut command = env.jobcli(["run", "--wait"]);
    command.args(options).arg(line);
    let ran = Ran::of(command);
    assert_eq!(ran.code, Some(0), "{ran}");
    ran.stdout.trim_end().to_owned()
}

/// The output of jobcli with these arguments, byte by byte.
fn printed(env: &TestEnv, words: &[&str]) -> String {
    String::from_utf8(bytes(env.jobcli(words))).unwrap()
}

fn json(env: &TestEnv, words: &[&str]) -> Value {
    serde_json::from_str(&printed(env, &[words, &["--json"]].concat())).unwrap()
}

#[test]
fn options_for_reading_can_be_combined() {
    let env = TestEnv::new();
    let line =
        r"printf 'start\n\033[31merror\033[0m: one\n 10%%\r 50%%\r100%%\nsame\nsame\nsame\nmore\nerror: two\nend'";
    let id = done(&env, &[], line);
    let output = |options: &[&str]| printed(&env, &[&["output", &id], options].concat());
    let tail = |options: &[&str]| printed(&env, &[&["tail", &id], options].concat());
    assert_eq!(output(&["--clean"]), "start\nerror: one\n100%\nsame\nsame\nsame\nmore\nerror: two\nend");
    assert_eq!(
        output(&["--fold", "--clean", "--tail", "5"]),
        "100%\nsame\n[repeated 2 more times]\nmore\nerror: two\nend"
    );
    assert_eq!(output(&["--grep", "^error"]), "error: two\n");
    assert_eq!(output(&["--grep", "^error", "--clean"]), "error: one\nerror: two\n");
    assert_eq!(output(&["--grep", "^error", "--clean", "-A1"]), "error: one\n100%\n--\nerror: two\nend");
    assert_eq!(output(&["--grep", "two", "-B", "2", "-C", "1"]), "same\nmore\nerror: two\nend");
    assert_eq!(output(&["--grep", "(?i)ERROR", "--clean", "--head", "1"]), "error: one\n");
    assert_eq!(output(&["--grep", "e", "--tail", "2"]), "error: two\nend");
    assert_eq!(tail(&["--grep", "s", "-n", "2", "--fold"]), "start\nsame\n[repeated 2 more times]\n");
    assert_eq!(tail(&["--clean", "-n", "1"]), "end");
    assert_eq!(output(&["--grep", "r", "--bytes", "0..7"]), "start\n");
    assert_eq!(output(&["--grep", "e", "--stderr"]), "");
    assert_eq!(env.run(["output", &id, "--grep", "nothing like it"]).code, Some(0));
    let answer = json(&env, &["output", &id, "--clean", "--grep", "error"]);
    assert_eq!((&answer["stdout"], &answer["more"]), (&"error: one\nerror: two\n".into(), &false.into()));
    assert_eq!(answer["cursor"], env.job(&id)["output_bytes"]);
    let part = json(&env, &["output", &id, "--grep", "e", "--head", "1"]);
    assert_eq!((&part["stdout"], &part["more"]), (&"\u{1b}[31merror\u{1b}[0m: one\n".into(), &true.into()));
    let rest = json(&env, &["output", &id, "--grep", "two", "--cursor", &part["cursor"].to_string()]);
    assert_eq!(rest["stdout"], "error: two\n");
}

#[test]
fn meaningless_options_are_refused() {
    let env = TestEnv::new();
    let cases: &[(&[&str], &str)] = &[
        (&["--grep", "a(b"], "unclosed group"),
        (&["--grep", r"(\w{1000}){1000}"], "size limit"),
        (&["-A", "1"], "--grep"),
        (&["--context", "1"], "--grep"),
        (&["--grep", "x", "-B", "-1"], "-1"),
        (&["--since", "soon"], "`soon` is not a time"),
        (&["--max-bytes", "1K", "--follow"], "--follow"),
        (&["--max-bytes", "100"], "too small"),
        (&["--max-bytes", "many"], "`many` is not a size"),
    ];
    for verb in ["output", "tail"] {
        for (options, said) in cases {
            let ran = env.run([&[verb, "1234"], *options].concat());
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{options:?}: {ran}");
            assert!(ran.stderr.contains(said), "{options:?}: {ran}");
        }
    }
}

#[test]
fn a_time_stamp_can_be_used_to_read_on() {
    let env = TestEnv::new();
    let id = env.submit(&format!("echo one; {}; echo two; echo err >&2; {}; echo three", until("1"), until("2")));
    for (step, length) in [("1", 4), ("2", 12)] {
        wait_for("the next lines", || (env.job(&id)["output_bytes"] == length).then_some(()));
        touch(&env, step);
    }
    assert_eq!(env.run(["wait", &id]).code, Some(0));
    let stamped = printed(&env, &["output", &id, "--timestamps", "--stdout"]);
    let lines: Vec<_> = stamped.lines().map(|line| line.split_once(' ').unwrap()).collect();
    assert_eq!(lines.iter().map(|(_, text)| *text).collect::<Vec<_>>(), ["one", "two", "three"]);
    for (stamp, _) in &lines {
        assert!(stamp.len() == 24 && stamp.ends_with('Z'), "{stamp}");
    }
    let since = |time: &str, options: &[&str]| printed(&env, &[&["output", &id, "--since", time], options].concat());
    assert_eq!(since(lines[0].0, &[]), "one\ntwo\nerr\nthree\n");
    assert_eq!(since(lines[1].0, &[]), "two\nerr\nthree\n");
    assert_eq!(since(lines[1].0, &["--stdout", "--tail", "9"]), "two\nthree\n");
    assert_eq!(since(lines[1].0, &["--grep", "e"]), "err\nthree\n");
    assert_eq!(since(lines[2].0, &["--head", "1"]), "three\n");
    assert_eq!(since("1h", &["--tail", "1"]), "three\n");
    assert_eq!(since("2999-01-01T00:00:00Z", &[]), "");
    assert_eq!(json(&env, &["output", &id, "--since", lines[2].0])["stdout"], "three\n");
}

#[test]
fn a_follower_sees_a_match_when_its_line_ends() {
    let env = TestEnv::new();
    let line = format!(
        r"echo old; echo a1; echo b1; {}; printf '\033[1ma'; {}; printf '2\033[m\n'; echo b2; echo b2; {}; echo a3",
        until("1"),
        until("2"),
        until("3"),
    );
    let id = env.submit(&line);
    wait_for("the first lines", || (env.job(&id)["output_bytes"] == 10).then_some(()));
    let follow = |words: &[&str]| {
        let mut command = env.jobcli(words);
        command.args(["--follow", &id]);
        Background::spawn(command)
    };
    let mut matching = follow(&["tail", "--clean", "--grep", "^a", "-n", "1"]);
    let mut folded = follow(&["output", "--fold", "--clean"]);
    assert_eq!(matching.line().as_deref(), Some("a1"));
    for expected in ["old", "a1", "b1"] {
        assert_eq!(folded.line().as_deref(), Some(expected));
    }
    touch(&env, "1");
    wait_for("a part of a line", || (env.job(&id)["output_bytes"] == 15).then_some(()));
    assert_eq!(matching.waiting_line(), None);
    touch(&env, "2");
    assert_eq!(matching.line().as_deref(), Some("a2"));
    assert_eq!(folded.line().as_deref(), Some("a2"));
    assert_eq!(folded.line().as_deref(), Some("b2"));
    touch(&env, "3");
    for expected in ["[repeated once more]", "a3"] {
        assert_eq!(folded.line().as_deref(), Some(expected));
    }
    assert_eq!(matching.line().as_deref(), Some("a3"));
    for follower in [&mut matching, &mut folded] {
        assert_eq!(follower.line(), None);
        assert_eq!(follower.end().code(), Some(0));
    }
}

#[test]
fn dropped_output_is_reported_and_lines_are_not_joined_across_it() {
    let env = TestEnv::new();
    let id = done(&env, &["--output-limit", "64K"], "seq 100000 200000");
    let ran = env.run(["output", &id, "--grep", "[05]$"]);
    assert!(ran.stdout.contains(" lines not kept]\n"), "{ran}");
    assert!(ran.stdout.starts_with("100000\n100005\n") && ran.stdout.ends_with("200000\n"), "{ran}");
    let dropped = env.job(&id)["dropped_bytes"].clone();
    assert_eq!(json(&env, &["output", &id, "--grep", "[05]$"])["dropped_bytes"], dropped);
}

/// jobcli with at most this much memory, in KiB, including everything that a program maps, most of which is its code
/// here.
fn confined(env: &TestEnv, memory: u64, words: &[&str]) -> Vec<u8> {
    let mut shell = env.command("sh");
    shell.args(["-c", &format!("ulimit -v {memory}; exec \"$JOBCLI\" \"$@\""), "sh"]).args(words);
    bytes(shell)
}

const MEMORY: u64 = 96 * 1024;

#[test]
fn three_hundred_megabytes_are_read_in_little_memory() {
    const LINES: u64 = 30_000;
    let env = TestEnv::new();
    let line =
        format!("pad=$(head -c 10000 /dev/zero | tr '\\0' x); for ((i = 0; i < {LINES}; i++)); do echo $i $pad; done");
    let id = done(&env, &["--output-limit", "0"], &line);
    let size = env.job(&id)["output_bytes"].as_u64().unwrap();
    assert!(size > 300_000_000, "{size}");
    let line_of = |i: u64| format!("{i} {}\n", "x".repeat(10_000));
    let output =
        |options: &[&str]| String::from_utf8(confined(&env, MEMORY, &[&["output", &id], options].concat())).unwrap();
    assert!(output(&["--grep", "^29.99 "]) == (0..10).map(|i| line_of(29_099 + i * 100)).collect::<String>());
    assert!(output(&["--grep", "[05] ", "--tail", "3"]) == [29_985, 29_990, 29_995].map(line_of).concat());
    // That many lines are not remembered; those that are remembered are the last.
    let many = output(&["--grep", "", "--tail", "20000"]);
    assert!(
        many.ends_with(&line_of(LINES - 1)) && many.len() > 15_000_000 && many.len() < 17_000_000,
        "{}",
        many.len()
    );
    assert!(output(&["--grep", "^20000 ", "-B", "1000000", "--head", "1"]).len() == 10_000 + 7);
    let excerpt = output(&["--grep", "x", "--max-bytes", "100K"]);
    let shown = excerpt.lines().count() as u64 - 1;
    assert!(excerpt.len() <= 100 * 1024 && excerpt.len() > 90_000, "{}", excerpt.len());
    assert!(excerpt.contains(&format!(" in {} lines left out; ", LINES - shown)), "{shown}");

    // Without an expression to search for, the part between the beginning and the end is not read.
    let mut excerpt = env.jobcli(["output", &id, "--max-bytes", "4M"]);
    let mut excerpt = excerpt.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = excerpt.stdout.take().unwrap();
    let mut found = vec![0; 3 * 1024 * 1024];
    stdout.read_exact(&mut found).unwrap();
    // More than a pipe holds is still to come, so that the process is there to be looked at.
    let io = std::fs::read_to_string(format!("/proc/{}/io", excerpt.id())).unwrap();
    let read: u64 = io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap();
    assert!(read < 16_000_000, "{read}");
    stdout.read_to_end(&mut found).unwrap();
    assert!(excerpt.wait().unwrap().success());
    let found = String::from_utf8(found).unwrap();
    assert!(found.len() <= 4 * 1024 * 1024 && found.len() > 4_100_000, "{}", found.len());
    assert!(found.starts_with(&line_of(0)) && found.ends_with(&line_of(LINES - 1)));
    let note = found.lines().find(|line| line.starts_with('[')).unwrap();
    let answer = json(&env, &["output", &id, "--max-bytes", "4M"]);
    let (bytes, cursor) = (&answer["left_out"]["bytes"], &answer["left_out"]["cursor"]);
    assert!(note.starts_with(&format!("[{bytes} bytes")) && note.ends_with(&format!("cursor {cursor}]")), "{note}");
    assert_eq!(found.len() - note.len() - 1, usize::try_from(size - bytes.as_u64().unwrap()).unwrap());
}

#[test]
fn a_line_of_64_megabytes_is_read_in_parts() {
    const LINE: usize = 64_000_000;
    let env = TestEnv::new();
    let line = format!("echo first; head -c {LINE} /dev/zero | tr '\\0' x; echo; echo last");
    let id = done(&env, &["--output-limit", "0"], &line);
    let output =
        |options: &[&str]| String::from_utf8(confined(&env, MEMORY, &[&["output", &id], options].concat())).unwrap();
    let all = format!("first\n{}\nlast\n", "x".repeat(LINE));
    assert!(output(&["--grep", ""]) == all, "parts are put together again");
    assert_eq!(output(&["--grep", "[ft]"]), "first\nlast\n");
    let before = output(&["--grep", "last", "-B", "1"]);
    assert!(before.starts_with("…xxx") && before.ends_with("xxx\nlast\n") && before.len() <= 16 * 1024 * 1024);
    let cleaned = output(&["--clean", "--max-bytes", "2K"]);
    assert!(
        cleaned.len() <= 2048 && cleaned.starts_with("first\nxxx") && cleaned.ends_with("xxx\nlast\n"),
        "{cleaned}"
    );
    let left: u64 = cleaned.split_once("…\n[").unwrap().1.split_once(' ').unwrap().0.parse().unwrap();
    let shown = cleaned.matches('x').count() as u64;
    assert_eq!(left + shown, LINE as u64);
}

/// A progress bar has no line break: only what is visible of it is remembered.
#[test]
fn millions_of_redraws_are_one_line() {
    let env = TestEnv::new();
    let line = r#"awk 'BEGIN { for (i = 0; i <= 300000; i++) printf "\r\033[K%d of 300000", i; print "" }'"#;
    let id = done(&env, &["--output-limit", "0"], line);
    let output = confined(&env, MEMORY, &["output", &id, "--clean"]);
    assert_eq!(String::from_utf8(output).unwrap(), "300000 of 300000\n");
}
