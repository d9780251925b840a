//! What a job writes, and what is read of it.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::background::{Background, bytes, touch, until};
use crate::support::{TestEnv, used, wait_for};

const MIB: u64 = 1024 * 1024;

/// Runs a job to its end, which must have this exit code, and returns its id.
fn done(env: &TestEnv, options: &[&str], line: &str, code: i32) -> String {
    let mut command = env.jobcli(["run", "--wait"]);
    let ran = crate::support::Ran::of({
        command.args(options).arg(line);
        command
    });
    assert_eq!(ran.code, Some(code), "{ran}");
    ran.stdout.trim_end().to_owned()
}

/// The output byte by byte.
fn output(env: &TestEnv, options: &[&str], id: &str) -> Vec<u8> {
    let mut command = env.jobcli(["output"]);
    command.args(options).arg(id);
    bytes(command)
}

fn text(env: &TestEnv, options: &[&str], id: &str) -> String {
    String::from_utf8(output(env, options, id)).unwrap()
}

fn json(env: &TestEnv, options: &[&str], id: &str) -> Value {
    serde_json::from_slice(&output(env, &[&["--json"], options].concat(), id)).unwrap()
}

/// Compares without printing megabytes on failure.
#[track_caller]
fn assert_same(found: &[u8], expected: &[u8]) {
    let differs = found.iter().zip(expected).position(|(a, b)| a != b);
    assert_eq!((found.len(), differs), (expected.len(), None), "the lengths, and the first byte that differs");
}

/// The bytes from `from` to `to` of the output of `seq 1 infinity`: every place has its own content.
fn of_seq(from: u64, to: u64) -> Vec<u8> {
    // The number in the line that contains the first byte, and where that line starts.
    let (mut number, mut at) = (1_u64, 0_u64);
    for digits in 1_u32.. {
        let (count, width) = (9 * 10_u64.pow(digits - 1), u64::from(digits) + 1);
        if at + count * width > from {
            number += (from - at) / width;
            at += (from - at) / width * width;
            break;
        }
        (number, at) = (number + count, at + count * width);
    }
    let skip = usize::try_from(from - at).unwrap();
    let length = usize::try_from(to - from).unwrap();
    let mut bytes = Vec::with_capacity(skip + length + 32);
    while bytes.len() < skip + length {
        bytes.extend_from_slice(format!("{number}\n").as_bytes());
        number += 1;
    }
    bytes.drain(..skip);
    bytes.truncate(length);
    bytes
}

#[test]
fn the_expected_content_is_right() {
    assert_eq!(of_seq(0, 25), b"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n1");
    assert_eq!(of_seq(18, 24), b"10\n11\n");
    assert_eq!(of_seq(188 + 270 * 10 + 1, 188 + 270 * 10 + 9), of_seq(0, 4000)[2889..2897]);
}

/// The size of a directory's files in bytes, and the space they take on disk.
fn size_of_files(directory: &Path) -> (u64, u64) {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    // A file may be removed while the job runs.
    let files = entries.filter_map(|entry| entry.metadata().ok());
    files.fold((0, 0), |(bytes, disk), file| (bytes + file.len(), disk + file.blocks() * 512))
}

#[test]
fn a_gigabyte_is_cut_to_its_head_and_its_end_with_an_exact_gap() {
    const GIB: u64 = 1024 * MIB;
    const LIMIT: u64 = 10 * MIB;
    let env = TestEnv::new();
    let id = env.ok(["run", "--pipefail=false", &format!("seq 1 1000000000 | head -c {GIB}")]);
    let log = env.job_dir(&id);
    wait_for("the end of the job, within bounds", || {
        // A look is not atomic: another file may have been filled in the meantime.
        let (size, _) = size_of_files(&log);
        assert!(size <= LIMIT + LIMIT / 4, "{size}");
        env.job(&id).get("ended_at").map(drop)
    });
    let job = env.job(&id);
    let (all, dropped) = (job["output_bytes"].as_u64().unwrap(), job["dropped_bytes"].as_u64().unwrap());
    assert_eq!((&job["status"], all), (&"completed".into(), GIB), "{job}");

    let printed = env.jobcli(["output", &id]).output().unwrap();
    let kept = printed.stdout;
    assert_eq!(kept.len() as u64 + dropped, GIB);
    assert!(kept.len() as u64 >= LIMIT / 8 * 7 - 4096 * 8, "{}", kept.len());
    let told = String::from_utf8(printed.stderr).unwrap();
    let head = told.trim_end().strip_suffix(" on were not kept]").and_then(|told| told.rsplit_once(' ')).unwrap().1;
    let head: usize = head.parse().unwrap();
    assert!(told.starts_with(&format!("[{dropped} bytes (")), "{told}");
    assert!(head as u64 > LIMIT / 9, "{head}");
    assert_same(&kept[..head], &of_seq(0, head as u64));
    assert_same(&kept[head..], &of_seq(head as u64 + dropped, GIB));

    let (size, disk) = size_of_files(&log);
    assert!(size <= LIMIT && disk <= LIMIT + 64 * 1024, "{size} bytes, {disk} on disk");
    assert_eq!(text(&env, &["--head", "2"], &id), "1\n2\n");
    assert_same(&output(&env, &["--bytes", &format!("{}..", GIB - 100)], &id), &of_seq(GIB - 100, GIB));
    // A range within the gap is empty, and says so.
    let json = json(&env, &["--bytes", "500000000..500000010"], &id);
    assert_eq!(
        (&json["stdout"], &json["dropped_bytes"], &json["cursor"]),
        (&"".into(), &10.into(), &500_000_010.into())
    );
}

#[test]
fn without_a_limit_every_byte_is_kept() {
    let env = TestEnv::new();
    let size = 64 * MIB;
    let id = done(&env, &["--output-limit", "0", "--pipefail=false"], &format!("seq 1 1000000000 | head -c {size}"), 0);
    assert_same(&output(&env, &[], &id), &of_seq(0, size));
    let job = env.job(&id);
    assert_eq!((&job["output_bytes"], &job["dropped_bytes"]), (&size.into(), &0.into()));
    // Across the boundaries of segments and of the blocks that are read.
    let range = format!("{}..{}", MIB - 5, 2 * MIB + 5);
    assert_same(&output(&env, &["--bytes", &range], &id), &of_seq(MIB - 5, 2 * MIB + 5));
    let lines = output(&env, &["--tail", "1000000"], &id);
    assert_eq!(std::str::from_utf8(&lines).unwrap().lines().count(), 1_000_000);
    assert_same(&lines, &of_seq(size - lines.len() as u64, size));
}

#[test]
fn the_end_of_one_enormous_line_costs_little() {
    const LINE: usize = 64_000_000;
    let env = TestEnv::new();
    let id = done(&env, &["--output-limit", "0"], &format!("head -c {LINE} /dev/zero | tr '\\0' x"), 0);
    let mut tail = env.jobcli(["tail", "-n", "1", &id]);
    let mut tail = tail.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = tail.stdout.take().unwrap();
    let mut found = vec![0; 512 * 1024];
    stdout.read_exact(&mut found).unwrap();
    // More than a pipe holds is still to come, so that the process is there to be looked at.
    let (memory, read) = used(tail.id().try_into().unwrap());
    stdout.read_to_end(&mut found).unwrap();
    assert!(tail.wait().unwrap().success());
    assert!(memory < 64_000_000, "{memory}");
    assert!(read < 20_000_000, "{read}");
    assert!(found.len() <= 2 * 1024 * 1024, "{}", found.len());
    assert!(found.iter().all(|byte| *byte == b'x'));
    // If a short line follows it, the long one is not touched.
    let id = done(&env, &["--output-limit", "0"], &format!("head -c {LINE} /dev/zero | tr '\\0' x; echo; echo end"), 0);
    assert_eq!(env.ok(["tail", "-n", "1", &id]), "end");
    assert_eq!(json(&env, &["--tail", "1"], &id)["stdout"], "end\n");
    let whole = output(&env, &["--head", "1"], &id);
    assert_eq!((whole.len(), whole.last()), (LINE + 1, Some(&b'\n')));
}

#[test]
fn reading_all_of_a_large_output_takes_little_memory() {
    let env = TestEnv::new();
    let size = 64 * MIB;
    let id = done(&env, &["--output-limit", "0"], &format!("head -c {size} /dev/zero"), 0);
    for arguments in [vec!["output", &id], vec!["output", "--follow", &id]] {
        let mut child = env.jobcli(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut found = vec![0; usize::try_from(size - MIB).unwrap()];
        stdout.read_exact(&mut found).unwrap();
        let (memory, _) = used(child.id().try_into().unwrap());
        let rest = std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
        assert!(child.wait().unwrap().success());
        assert!(memory < 32 * MIB, "{memory}");
        assert_eq!(rest, MIB, "{arguments:?}");
    }
}

#[test]
fn bytes_are_bytes() {
    let env = TestEnv::new();
    let mut data: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    for percent in 0..=100 {
        data.extend_from_slice(format!("\r\x1b[2K{percent:3}% done").as_bytes());
    }
    // A character that is torn, one without its first byte, and no line break at the end.
    data.extend_from_slice(b"\n\xe6\x97\xa5\xe6\x97\n\x97\0\xff\xfe\xc3");
    std::fs::write(env.dir().join("data"), &data).unwrap();
    let id = done(&env, &[], "cat data; cat data >&2", 0);
    for stream in ["--stdout", "--stderr"] {
        assert_same(&output(&env, &[stream], &id), &data);
        assert_same(&output(&env, &[stream, "--follow"], &id), &data);
    }
    assert_eq!(output(&env, &[], &id).len(), 2 * data.len());
    let followed = env.jobcli(["run", "--follow", "--quiet", "cat data; cat data >&2"]).output().unwrap();
    assert_same(&followed.stdout, &data);
    assert_same(&followed.stderr, &data);

    let answer = json(&env, &[], &id);
    let decoded = String::from_utf8_lossy(&data);
    assert_eq!((answer["stdout"].as_str(), answer["stderr"].as_str()), (Some(&*decoded), Some(&*decoded)));
    assert_eq!((&answer["cursor"], &answer["more"]), (&(2 * data.len()).into(), &false.into()));
    // The JSON of a job with such a command, too.
    let id = done(&env, &["--label", "what=é"], "echo $'\\xff\\0' '\u{7}\u{1b}[31mé'", 0);
    assert_eq!(env.job(&id)["command"], "echo $'\\xff\\0' '\u{7}\u{1b}[31mé'");
}

#[test]
fn a_script_that_opens_its_streams_by_name_erases_nothing() {
    let env = TestEnv::new();
    let line = "echo a; echo b >&2; echo c > /dev/stderr; : > /dev/stdout; : > /dev/stderr; echo d > /dev/stdout
        echo e | tee /dev/stdout; echo f | tee /dev/stderr > /dev/null; echo g >> /dev/stderr
        echo h > /proc/self/fd/1; echo i > /dev/fd/2; echo j";
    let id = done(&env, &[], line, 0);
    assert_eq!(text(&env, &["--stdout"], &id), "a\nd\ne\ne\nh\nj\n");
    assert_eq!(text(&env, &["--stderr"], &id), "b\nc\nf\ng\ni\n");
    let id = done(&env, &["--merge"], line, 0);
    assert_eq!(text(&env, &[], &id), "a\nb\nc\nd\ne\ne\nf\ng\nh\ni\nj\n");
}

#[test]
fn merged_streams_are_in_exact_order_and_separate_ones_each_in_their_own() {
    let env = TestEnv::new();
    let line = "for i in {1..2000}; do echo out $i; echo err $i >&2; done";
    let of = |name: &'static str| (1..=2000).map(move |i| format!("{name} {i}\n"));
    let merged: String = of("out").zip(of("err")).map(|(out, err)| out + &err).collect();
    let id = done(&env, &["--merge"], line, 0);
    assert_same(&output(&env, &[], &id), merged.as_bytes());
    assert_same(&output(&env, &["--stdout"], &id), merged.as_bytes());
    assert_eq!(text(&env, &["--stderr"], &id), "");
    let id = done(&env, &[], line, 0);
    assert_same(&output(&env, &["--stdout"], &id), of("out").collect::<String>().as_bytes());
    assert_same(&output(&env, &["--stderr"], &id), of("err").collect::<String>().as_bytes());
    let mut both: Vec<_> = text(&env, &[], &id).lines().map(str::to_owned).collect();
    assert_eq!(both.len(), 4000);
    both.sort_unstable();
    both.dedup();
    assert_eq!(both.len(), 4000, "no line is torn or duplicated");
}

#[test]
fn parts_of_an_output_are_lines_or_bytes() {
    let env = TestEnv::new();
    // Each round waits until the last one was seen, so that the order between the streams is known.
    let line = format!(
        "echo o1; echo o2; {}; echo e1 >&2; {}; echo o3; {}; echo e2 >&2; {}; printf o4",
        until("1"),
        until("2"),
        until("3"),
        until("4"),
    );
    let id = env.submit(&line);
    for (step, length) in [("1", 6), ("2", 9), ("3", 12), ("4", 15)] {
        wait_for("the next line", || (output(&env, &[], &id).len() == length).then_some(()));
        touch(&env, step);
    }
    assert_eq!(env.run(["wait", &id]).code, Some(0));
    let all = "o1\no2\ne1\no3\ne2\no4";
    let part = |options: &[&str]| text(&env, options, &id);
    assert_eq!(part(&[]), all);
    assert_eq!(part(&["--stdout"]), "o1\no2\no3\no4");
    assert_eq!(part(&["--stderr"]), "e1\ne2\n");
    assert_eq!(part(&["--head", "3"]), "o1\no2\ne1\n");
    assert_eq!(part(&["--head", "0"]), "");
    assert_eq!(part(&["--head", "100"]), all);
    assert_eq!(part(&["--head", "3", "--stdout"]), "o1\no2\no3\n");
    assert_eq!(part(&["--head", "1", "--stderr"]), "e1\n");
    assert_eq!(part(&["--tail", "2"]), "e2\no4");
    assert_eq!(part(&["--tail", "0"]), "");
    assert_eq!(part(&["--tail", "100"]), all);
    assert_eq!(part(&["--tail", "3", "--stdout"]), "o2\no3\no4");
    assert_eq!(part(&["--tail", "1", "--stderr"]), "e2\n");
    assert_eq!(env.ok(["tail", "-n", "3", &id]), "o3\ne2\no4");
    assert_eq!(env.ok(["tail", "-n", "1", "--stderr", &id]), "e2");
    assert_eq!(part(&["--bytes", "0..5"]), "o1\no2");
    assert_eq!(part(&["--bytes", "7..10"]), "1\no");
    assert_eq!(part(&["--bytes", "..2"]), "o1");
    assert_eq!(part(&["--bytes", "15.."]), "o4");
    assert_eq!(part(&["--bytes", "4..4"]), "");
    assert_eq!(part(&["--bytes", "100..200"]), "");
    assert_eq!(part(&["--bytes", "0..9", "--stderr"]), "e1\n");
    assert_eq!(part(&["--cursor", "6"]), "e1\no3\ne2\no4");
    assert_eq!(part(&["--cursor", "17"]), "");
    assert_eq!(part(&["--cursor", "999999"]), "");
    assert_eq!(part(&["--cursor", "6", "--stdout"]), "o3\no4");
    let answer = json(&env, &["--head", "3"], &id);
    assert_eq!((&answer["stdout"], &answer["stderr"]), (&"o1\no2\n".into(), &"e1\n".into()));
    assert_eq!((&answer["cursor"], &answer["more"], &answer["status"]), (&9.into(), &true.into(), &"completed".into()));
    for wrong in [["--head", "-1"], ["--bytes", "5..2"], ["--cursor", "x"]] {
        let ran = env.run(["output", wrong[0], wrong[1], &id]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran}");
    }
    assert_eq!(env.run(["output", "--head", "1", "--tail", "1", &id]).code, Some(2));
    assert_eq!(env.run(["output", "ffffffff"]).code, Some(3));
}

/// Follows a job that writes a line whenever the test says so.
fn follow(env: &TestEnv, arguments: &[&str], lines: usize) {
    let steps: Vec<_> =
        (1..=lines).map(|i| format!("{}; echo line {i}; echo err {i} >&2", until(&format!("go{i}")))).collect();
    let id = env.submit(&format!("{}; {}; exit 3", steps.join("; "), until("end")));
    let mut command = env.jobcli(arguments);
    command.arg(&id).stderr(Stdio::piped());
    let mut follower = Background::spawn(command);
    let stderr_too = !arguments.contains(&"--stdout");
    for i in 1..=lines {
        touch(env, &format!("go{i}"));
        let mut expected = vec![format!("line {i}")];
        if stderr_too {
            expected.push(format!("err {i}"));
        }
        let mut found: Vec<_> = expected.iter().map(|_| follower.line().unwrap()).collect();
        // The order between the streams is not guaranteed.
        found.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(found, expected);
    }
    assert_eq!(env.status(&id), "running");
    touch(env, "end");
    assert_eq!(follower.line(), None);
    assert_eq!(follower.end().code(), Some(0));
    for i in 1..=lines {
        std::fs::remove_file(env.dir().join(format!("go{i}"))).unwrap();
    }
    std::fs::remove_file(env.dir().join("end")).unwrap();
    assert_eq!(env.run(["wait", &id]).code, Some(3));
}

#[test]
fn a_follower_sees_output_as_it_is_written_and_ends_with_the_job() {
    let env = TestEnv::new();
    follow(&env, &["output", "--follow"], 4);
    follow(&env, &["output", "--follow", "--stdout"], 3);
    follow(&env, &["tail", "--follow", "-n", "5"], 3);
    follow(&env, &["tail", "-f", "--stdout"], 3);
}

#[test]
fn a_job_followed_from_its_start_keeps_its_streams_apart_and_passes_its_code() {
    let env = TestEnv::new();
    let line = format!("echo one; echo err >&2; {}; echo two; exit 9", until("go"));
    let mut command = env.jobcli(["run", "--follow", &line]);
    command.stderr(std::fs::File::create(env.dir().join("err")).unwrap());
    let mut follower = Background::spawn(command);
    assert_eq!(follower.line().as_deref(), Some("one"));
    assert_eq!(follower.waiting_line(), None);
    touch(&env, "go");
    assert_eq!(follower.line().as_deref(), Some("two"));
    assert_eq!(follower.line(), None);
    assert_eq!(follower.end().code(), Some(9));
    let said = std::fs::read_to_string(env.dir().join("err")).unwrap();
    let (first, rest) = said.split_once('\n').unwrap();
    let (rest, last) = rest.split_once('\n').unwrap();
    assert!(first.starts_with("job ") && rest == "err" && last.contains(": failed with exit code 9 after "), "{said}");
}

#[test]
fn a_follower_of_an_ended_job_prints_all_and_ends() {
    let env = TestEnv::new();
    let id = done(&env, &[], "seq 1 300000", 0);
    assert_same(&output(&env, &["--follow"], &id), &of_seq(0, 1_988_895));
    assert_eq!(env.ok(["tail", "-n", "2", "--follow", &id]), "299999\n300000");
}

/// Reads a whole output answer by answer, and returns both streams and the number of answers.
fn chain(env: &TestEnv, id: &str) -> (String, String, usize) {
    let (mut stdout, mut stderr, mut cursor) = (String::new(), String::new(), 0);
    for answers in 1.. {
        let answer = json(env, &["--cursor", &cursor.to_string()], id);
        stdout.push_str(answer["stdout"].as_str().unwrap());
        stderr.push_str(answer["stderr"].as_str().unwrap());
        let next = answer["cursor"].as_u64().unwrap();
        assert!(next - cursor <= 256 * 1024, "{next}");
        if answer["more"] == false {
            return (stdout, stderr, answers);
        }
        assert!(next > cursor);
        cursor = next;
    }
    unreachable!("the numbers do not end")
}

#[test]
fn a_chain_of_cursors_gives_everything_once() {
    let env = TestEnv::new();
    let id = done(&env, &[], "for part in 1 2 3; do seq 1 50000; seq 1 20000 >&2; done", 0);
    let seq = |end: u64| (1..=end).map(|i| format!("{i}\n")).collect::<String>().repeat(3);
    let (stdout, stderr, answers) = chain(&env, &id);
    assert_same(stdout.as_bytes(), seq(50_000).as_bytes());
    assert_same(stderr.as_bytes(), seq(20_000).as_bytes());
    assert!(answers >= 4, "{answers}");
    // The same while the job runs: a reader that comes back gets what is new.
    let id = env.submit(&format!("printf 'ab'; {}; printf 'cd'; {}", until("1"), until("2")));
    wait_for("the first part", || (json(&env, &[], &id)["stdout"] == "ab").then_some(()));
    let cursor = json(&env, &[], &id)["cursor"].to_string();
    assert_eq!(json(&env, &["--cursor", &cursor], &id)["stdout"], "");
    touch(&env, "1");
    wait_for("the second", || (json(&env, &["--cursor", &cursor], &id)["stdout"] == "cd").then_some(()));
    touch(&env, "2");
    assert_eq!(env.run(["wait", &id]).code, Some(0));
}

/// The boundary between two answers is never within a character.
#[test]
fn a_chain_of_cursors_tears_no_character() {
    let env = TestEnv::new();
    let line = "日本語の行 – £5 😀\n";
    std::fs::write(env.dir().join("data"), format!("x{}", line.repeat(20_000))).unwrap();
    let id = done(&env, &[], "cat data", 0);
    let (stdout, ..) = chain(&env, &id);
    assert_same(stdout.as_bytes(), format!("x{}", line.repeat(20_000)).as_bytes());
}

/// A character that has been written only in part is not torn either.
#[test]
fn a_cursor_is_never_within_a_character() {
    let env = TestEnv::new();
    let id = env.submit(&format!("printf 'a\\xe6\\x97'; {}; printf '\\xa5b'", until("go")));
    wait_for("the first part", || (env.job(&id)["output_bytes"] == 3).then_some(()));
    let first = json(&env, &[], &id);
    touch(&env, "go");
    assert_eq!(env.run(["wait", &id]).code, Some(0));
    let second = json(&env, &["--cursor", &first["cursor"].to_string()], &id);
    assert_eq!((&first["stdout"], &second["stdout"]), (&"a".into(), &"日b".into()));
}

#[test]
fn a_job_has_no_input_unless_it_is_given_a_file() {
    let env = TestEnv::new();
    // Even if the caller has input: that is the caller's own.
    let mut command = env.command("sh");
    command.args(["-c", "yes | \"$JOBCLI\" run --follow 'cat; echo done; read x; echo $? \"$x\"' 2> /dev/null"]);
    assert_eq!(crate::support::Ran::of(command).stdout, "done\n1 \n");

    std::fs::write(env.dir().join("input"), "first\nsecond\n").unwrap();
    let id = done(&env, &["--stdin", "input"], "read a; echo \"got $a\"; cat", 0);
    assert_eq!(text(&env, &[], &id), "got first\nsecond\n");
    // The path is relative to the caller's directory, and the file is read from its beginning every time.
    std::fs::create_dir(env.dir().join("below")).unwrap();
    let id = done(&env, &["--stdin", "input", "--cwd", "below"], "cat; pwd", 0);
    assert_eq!(text(&env, &[], &id), format!("first\nsecond\n{}\n", env.dir().join("below").display()));
    let id = done(&env, &["--stdin", "/dev/null"], "cat; echo done", 0);
    assert_eq!(text(&env, &[], &id), "done\n");
    for missing in ["none", "below"] {
        let ran = env.run(["run", "--stdin", missing, "cat"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran}");
    }
}

#[test]
fn a_store_in_memory_keeps_output_as_well() {
    let directory = tempfile::Builder::new().prefix("jobcore-test-").tempdir_in("/dev/shm").unwrap();
    let env = TestEnv::new().with_store(directory.path().join("store"));
    let size = 20 * MIB;
    let id = done(
        &env,
        &["--output-limit", "0", "--pipefail=false"],
        &format!("seq 1 1000000000 | head -c {size}; echo err >&2"),
        0,
    );
    assert_same(&output(&env, &["--stdout"], &id), &of_seq(0, size));
    assert_eq!(text(&env, &["--stderr"], &id), "err\n");
}
