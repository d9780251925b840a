//! Records that are damaged or of another version: they are reported clearly, affect no other job, and are left as they
//! are.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::bad_input::check_refusal;
use crate::crash::NoneLeft;
use crate::needs;
use crate::records::JobRecords;
use crate::support::{JOBCLI, Ran, TestEnv, send, wait_for};

/// A job that has ended and another one beside it, one of whose records is to be damaged.
struct Damaged {
    env: TestEnv,
    good: String,
    bad: String,
    directory: PathBuf,
}

impl Damaged {
    fn new() -> Self {
        let env = TestEnv::new();
        let [good, bad] = ["echo good", "echo bad; echo err >&2"].map(|line| env.submit(line));
        env.ok(["wait", &good, &bad]);
        env.wait_until_empty();
        let directory = env.job_dir(&bad);
        Self { env, good, bad, directory }
    }

    fn records(&self) -> JobRecords {
        JobRecords::at(&self.directory)
    }

    fn listed(&self) -> (Vec<String>, String) {
        let ran = self.env.run(["list", "--all", "--json"]);
        assert_eq!(ran.code, Some(0), "{ran}");
        let jobs: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
        (jobs.iter().map(|job| job["job_id"].as_str().unwrap().to_owned()).collect(), ran.stderr)
    }

    /// Checks that the damage is reported, affects no other job, is left as it is, and can be removed.
    fn check(&self, what: &str) {
        let Self { env, good, bad, directory } = self;
        let before = contents(directory);
        let (listed, told) = self.listed();
        assert_eq!(listed, [good.as_str()], "{what}");
        assert!(told.contains(bad.as_str()) && told.contains("cannot be read"), "{what}: {told}");
        assert_eq!(env.status(good), "completed", "{what}");
        assert_eq!(env.ok(["output", good]), "good", "{what}");
        for (verb, code) in [("status", 1), ("show", 1), ("kill", 1), ("wait", 125)] {
            check_refusal(&env.run([verb, bad]), code, "damaged record", &format!("{what}: {verb}"));
        }
        env.ok(["kill", "--all"]);
        let another = env.run(["run", "--follow", "echo another"]);
        assert_eq!((another.code, another.stdout.as_str()), (Some(0), "another\n"), "{what}: {another}");
        assert_eq!(contents(directory), before, "{what}: the damaged job was written to");
        let removed = env.run(["rm", bad]);
        assert_eq!(removed.code, Some(0), "{what}: {removed}");
        assert!(!directory.exists(), "{what}");
        assert_eq!(self.listed().1, "", "{what}");
    }
}

pub(crate) type Contents = BTreeMap<PathBuf, (u32, Vec<u8>)>;

/// Everything in a directory: names, modes and bytes.
pub(crate) fn contents(directory: &Path) -> Contents {
    let mut found = BTreeMap::new();
    let mut left = vec![directory.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let bytes = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        found.insert(path, (metadata.mode(), bytes));
    }
    found
}

const BROKEN: [&[u8]; 6] = [b"", b"{", b"null", b"[1, 2]", b"{\"v\":1}", b"\xff\x00\xfe garbage"];

#[test]
fn a_damaged_spec_or_end_spoils_one_job_and_stays_as_it_is() {
    for bytes in BROKEN {
        let damaged = Damaged::new();
        fs::write(damaged.records().path, bytes).unwrap();
        damaged.check(&format!("the file: {}", bytes.escape_ascii()));
    }
    // Zeros in the place of an end mean that there is none.
    for bytes in BROKEN.into_iter().filter(|bytes| !bytes.is_empty()) {
        let damaged = Damaged::new();
        damaged.records().put("end", bytes);
        damaged.check(&format!("the end: {}", bytes.escape_ascii()));
    }
    let damaged = Damaged::new();
    let whole = fs::read(damaged.records().path).unwrap();
    for (what, bytes) in [
        ("cut off in the submission", whole[..4096 + 50].to_vec()),
        ("cut off in the end", whole[..2048 + 50].to_vec()),
        ("zeros, as after a power loss", vec![0; whole.len()]),
    ] {
        let damaged = Damaged::new();
        fs::write(damaged.records().path, bytes).unwrap();
        damaged.check(what);
    }
    fs::remove_file(damaged.records().path).unwrap();
    damaged.check("no file");
    let damaged = Damaged::new();
    fs::copy(damaged.env.records(&damaged.good).path, damaged.records().path).unwrap();
    damaged.check("the records of another job");
    // These used to be shown as the truth.
    let damaged = Damaged::new();
    let (path, whole) = (damaged.records().path, fs::read(damaged.records().path).unwrap());
    let text = String::from_utf8(whole).unwrap();
    assert!(text.contains("\"exit_code\":0"));
    fs::write(path, text.replace("\"exit_code\":0", "\"exit_code\":3")).unwrap();
    damaged.check("the end with another digit");
    let damaged = Damaged::new();
    damaged.records().put("end", &fs::read(damaged.env.records(&damaged.good).path).unwrap()[2048..4096]);
    damaged.check("the end of another job");
    let damaged = Damaged::new();
    damaged.records().put("end", &fs::read(damaged.records().path).unwrap()[512..1024]);
    damaged.check("another record in the place of the end");
}

/// A process that opened one used to wait for ever.
#[test]
fn a_named_pipe_in_the_place_of_the_records_spoils_one_job() {
    let damaged = Damaged::new();
    let path = damaged.records().path;
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    damaged.check("a named pipe");
}

/// An end is derived from them if none was recorded: a guess would be put on record for good.
#[test]
fn a_damaged_start_or_run_record_is_no_reason_to_invent_an_end() {
    for record in ["start", "running"] {
        for bytes in BROKEN.into_iter().filter(|bytes| !bytes.is_empty()) {
            let damaged = Damaged::new();
            damaged.records().forget("end");
            damaged.records().put(record, bytes);
            damaged.check(&format!("{record}: {}", bytes.escape_ascii()));
        }
    }
}

#[test]
fn a_directory_in_the_place_of_the_records_spoils_one_job() {
    let damaged = Damaged::new();
    fs::remove_file(damaged.records().path).unwrap();
    fs::create_dir(damaged.records().path).unwrap();
    let (listed, _) = damaged.listed();
    assert!(listed.contains(&damaged.good), "{listed:?}");
    damaged.env.ok(["rm", &damaged.bad]);
    assert!(!damaged.directory.exists());
}

/// No process holds the lock of the new file, but the job must neither be reported as ended nor be started again.
#[test]
fn a_job_whose_lock_was_replaced_has_not_ended_while_it_runs() {
    let env = TestEnv::new();
    let _none_left = NoneLeft(&env);
    let id = env.submit("echo x >> marker; exec sleep 1000");
    let main = env.main_process(&id);
    wait_for("the marker", || env.dir().join("marker").exists().then_some(()));
    let file = env.records(&id).path;
    fs::copy(&file, env.dir().join("copy")).unwrap();
    fs::rename(env.dir().join("copy"), &file).unwrap();
    let job = env.job(&id);
    assert_eq!((&job["status"], &job["supervised"]), (&"running".into(), &false.into()), "{job}");
    assert_eq!(env.run(["rm", &id]).code, Some(4));
    assert_eq!(env.run(["kill", &id]).code, Some(4));
    send(main, Signal::SIGKILL);
    wait_for("the end", || (!["running", "paused"].contains(&env.status(&id).as_str())).then_some(()));
    env.wait_until_empty();
    assert_eq!(fs::read_to_string(env.dir().join("marker")).unwrap(), "x\n");
    env.ok(["rm", &id]);
}

#[test]
fn a_damaged_log_is_read_as_far_as_it_goes() {
    let Some(timeout) = needs::program("timeout") else { return };
    type Damage = (&'static str, fn(&Path));
    let cases: [Damage; 10] = [
        ("rows of ff", |log| fs::write(log.join("000000000000.idx"), [0xff; 4096]).unwrap()),
        ("rows of 0", |log| fs::write(log.join("000000000000.idx"), [0; 4096]).unwrap()),
        ("text for rows", |log| fs::write(log.join("000000000000.idx"), "garbage ".repeat(99)).unwrap()),
        ("a torn row", |log| fs::write(log.join("000000000000.idx"), [0; 5]).unwrap()),
        ("no rows", |log| fs::write(log.join("000000000000.idx"), "").unwrap()),
        ("no file of rows", |log| fs::remove_file(log.join("000000000000.idx")).unwrap()),
        ("no bytes", |log| fs::write(log.join("000000000000.log"), "").unwrap()),
        ("no segment", |log| fs::remove_file(log.join("000000000000.log")).unwrap()),
        ("names that are none", |log| {
            for name in ["x.log", "-1.log", "99999999999999999999999.log", ".log", "000000000000.log.bak"] {
                fs::write(log.join(name), "garbage").unwrap();
            }
        }),
        ("segments that overlap", |log| fs::write(log.join("000000000002.log"), "garbage").unwrap()),
    ];
    for (what, damage) in cases {
        let damaged = Damaged::new();
        let Damaged { env, good, bad, directory } = &damaged;
        damage(directory);
        let before = contents(directory);
        let options: [&[&str]; 6] =
            [&[], &["--stdout"], &["--stderr"], &["--tail", "1"], &["--json"], &["--bytes", "1..3"]];
        for options in options {
            let mut command = env.command(&timeout);
            command.args(["60", JOBCLI, "output"]).args(options).arg(bad);
            let ran = Ran::of(command);
            assert!(matches!(ran.code, Some(0 | 1)) && !ran.stderr.contains("panicked"), "{what}: {options:?}: {ran}");
            if what.contains("rows") && options.is_empty() {
                assert_eq!(ran.stdout.len(), 8, "{what}: the bytes are still there: {ran}");
            }
        }
        assert_eq!(env.status(bad), "completed", "{what}");
        assert_eq!(damaged.listed(), (vec![bad.clone(), good.clone()], String::new()), "{what}");
        assert_eq!(contents(directory), before, "{what}");
        env.ok(["rm", bad]);
    }
}

#[test]
fn a_record_of_a_newer_version_is_read_and_not_rewritten() {
    let damaged = Damaged::new();
    let Damaged { env, good, bad, directory } = &damaged;
    let change = |value: &mut Value| {
        value["v"] = 99.into();
        value["of_the_future"] = serde_json::json!({ "a": [1, null] });
        for key in ["spec", "outcome", "holder", "process"] {
            if let Some(inner) = value.get_mut(key) {
                inner["of_the_future"] = true.into();
            }
        }
    };
    ["end", "start", "running"].into_iter().for_each(|record| damaged.records().change(record, change));
    damaged.records().change_submission(change);
    let before = contents(directory);
    assert_eq!(damaged.listed(), (vec![bad.clone(), good.clone()], String::new()));
    let job = env.job(bad);
    assert_eq!((&job["status"], &job["exit_code"]), (&"completed".into(), &0.into()));
    assert_eq!(env.run(["wait", bad]).code, Some(0));
    env.ok(["output", bad]);
    assert_eq!(contents(directory), before);
    env.ok(["rm", bad]);
}
