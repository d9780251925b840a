//! Inputs for the property tests: values of all kinds, and real bytes that were damaged.
//!
//! `PROPTEST_CASES` sets how often each property is tried: the default is small, so that the ordinary suite is quick.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::clock::Timestamp;
use crate::queue::LoadCondition;
use crate::record::{Ended, Running, Start, Submission, Waiting};
use crate::signal::Signal;
use crate::spec::{IoPriority, JobSpecBuilder, Limits, Stdin, Stragglers};
use crate::state::{Cause, Outcome, Survivor};
use crate::sys::process::ProcessId;
use crate::sys::world::World;
use crate::{JobId, JobSpec, Name};

/// Returns a configuration with this number of cases, unless `PROPTEST_CASES` sets another. Cases that failed once are
/// kept in a file beside the test and are tried first.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    let cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default().cases,
        None => cases,
    };
    ProptestConfig { cases, ..ProptestConfig::default() }
}

/// One change to the bytes.
#[derive(Debug, Clone)]
enum Damage {
    Set(Index, u8),
    Cut(Index),
    Take(Index, u8),
    Put(Index, Vec<u8>),
    /// Repeats a part many times.
    Repeat(Index, u8, u16),
    /// Continues with a part of another sample.
    Join(Index, Index, Index),
}

/// Returns one of the samples, damaged a few times or not at all.
pub(crate) fn damaged(samples: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let damage = prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        4 => (any::<Index>(), select(b"09-\"{}[],:\\n \x1b".to_vec())).prop_map(|(at, byte)| Damage::Set(at, byte)),
        1 => any::<Index>().prop_map(Damage::Cut),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, count)| Damage::Take(at, count)),
        2 => (any::<Index>(), vec(any::<u8>(), 0..20)).prop_map(|(at, bytes)| Damage::Put(at, bytes)),
        2 => (any::<Index>(), select(BORDERS.map(str::as_bytes).to_vec()))
            .prop_map(|(at, bytes)| Damage::Put(at, bytes.to_vec())),
        1 => (any::<Index>(), any::<u8>(), 0..500_u16).prop_map(|(at, count, times)| Damage::Repeat(at, count, times)),
        1 => (any::<Index>(), any::<Index>(), any::<Index>()).prop_map(|(at, other, from)| Damage::Join(at, other, from)),
    ];
    (any::<Index>(), vec(damage, 0..4)).prop_map(move |(sample, damages)| {
        let mut bytes = samples[sample.index(samples.len())].clone();
        for damage in damages {
            harm(&mut bytes, damage, &samples);
        }
        bytes
    })
}

/// Numbers at which something may overflow, and other words that may confuse readers.
const BORDERS: [&str; 12] = [
    "18446744073709551615",
    "9223372036854775807",
    "-9223372036854775808",
    "1e308",
    "4294967296",
    "null",
    "\u{202e}",
    "\0",
    "[[[[[[[[",
    "9999-12-31T23:59:59.999999999Z",
    "-009999-01-01T00:00:00Z",
    "../../etc",
];

fn harm(bytes: &mut Vec<u8>, damage: Damage, samples: &[Vec<u8>]) {
    let place = |at: Index| at.index(bytes.len() + 1);
    match damage {
        Damage::Set(at, byte) => {
            let at = place(at);
            if let Some(there) = bytes.get_mut(at) {
                *there = byte;
            }
        }
        Damage::Cut(at) => bytes.truncate(place(at)),
        Damage::Take(at, count) => {
            let from = place(at);
            let to = (from + usize::from(count)).min(bytes.len());
            bytes.drain(from..to);
        }
        Damage::Put(at, new) => {
            let at = place(at);
            bytes.splice(at..at, new);
        }
        Damage::Repeat(at, count, times) => {
            let from = place(at);
            let to = (from + usize::from(count)).min(bytes.len());
            let part = bytes[from..to].repeat(times.into());
            bytes.splice(to..to, part);
        }
        Damage::Join(at, other, from) => {
            bytes.truncate(place(at));
            let other = &samples[other.index(samples.len())];
            bytes.extend_from_slice(&other[from.index(other.len() + 1)..]);
        }
    }
}

/// Some words in a row, some of them repeated very often: inputs that nest, or that take quadratic time.
pub(crate) fn repeated(words: &'static [&'static str], times: usize) -> impl Strategy<Value = String> {
    let word =
        (select(words), prop_oneof![4 => 1..4_usize, 1 => 1..times]).prop_map(|(word, times)| word.repeat(times));
    vec(word, 0..12).prop_map(|words| words.concat())
}

pub(crate) fn timestamp() -> impl Strategy<Value = Timestamp> {
    let range = Timestamp::MIN.as_second()..=Timestamp::MAX.as_second();
    prop_oneof![
        4 => 1_700_000_000..1_900_000_000_i64,
        1 => range,
        1 => Just(Timestamp::MIN.as_second()),
        1 => Just(Timestamp::MAX.as_second()),
    ]
    .prop_map(|second| Timestamp::from_second(second).expect("the time is within the range"))
}

pub(crate) fn job_id() -> impl Strategy<Value = JobId> {
    any::<[u8; 10]>().prop_map(|random| {
        let uuid = uuid::Builder::from_unix_timestamp_millis(1_764_000_000_000, &random).into_uuid();
        JobId::from_bytes(uuid.into_bytes()).expect("version 7")
    })
}

pub(crate) fn name() -> impl Strategy<Value = Name> {
    "[a-z][a-z0-9._-]{0,30}".prop_filter_map("not a name", |text| text.parse().ok())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,40}", "\\PC{0,20}", any::<String>()]
}

pub(crate) fn process() -> impl Strategy<Value = ProcessId> {
    (text(), any::<u64>(), any::<i32>(), any::<u64>()).prop_map(|(boot_id, pid_namespace, pid, start_time)| ProcessId {
        boot_id,
        pid_namespace,
        pid,
        start_time,
    })
}

fn signal() -> impl Strategy<Value = Signal> {
    prop_oneof![1..65_i32, any::<i32>()].prop_map(Signal::from_number)
}

pub(crate) fn spec() -> impl Strategy<Value = JobSpec> {
    let no_nul = || text().prop_map(|text| text.replace('\0', " "));
    let command = prop_oneof![
        no_nul().prop_map(JobSpec::shell),
        (vec(no_nul(), 0..4), "[a-z/]{1,9}")
            .prop_map(|(rest, program)| JobSpec::command(std::iter::once(program).chain(rest).collect::<Vec<_>>())),
    ];
    let settings = (
        proptest::option::of(name()),
        proptest::option::of(name()),
        proptest::option::of("[a-z0-9]{1,50}"),
        btree_map("[a-z]{1,8}", no_nul(), 0..4),
        proptest::option::of(0..1_000_000_u64),
        any::<bool>(),
        prop_oneof![Just(0), 4096..u64::from(u32::MAX)],
        proptest::option::of(signal()),
        proptest::option::of(process()),
        any::<bool>(),
        (limits(), conditions()),
    );
    (command, settings).prop_filter_map("not a valid job", |(command, settings)| build(command, settings).ok())
}

type Settings = (
    Option<Name>,
    Option<Name>,
    Option<String>,
    BTreeMap<String, String>,
    Option<u64>,
    bool,
    u64,
    Option<Signal>,
    Option<ProcessId>,
    bool,
    (Limits, Vec<LoadCondition>),
);

/// Conditions on the load of the machine.
pub(crate) fn conditions() -> impl Strategy<Value = Vec<LoadCondition>> {
    let figure = "(load|cpu-pressure|memory-pressure|io-pressure)[<>][0-9]{1,3}(\\.[0-9]{1,4})?";
    let condition = prop_oneof![figure, "free-mem[<>][0-9]{1,7}[KMGT]?"];
    vec(condition.prop_map(|text| text.parse().expect("a condition")), 0..3)
}

fn limits() -> impl Strategy<Value = Limits> {
    use proptest::option::of;

    let io = prop_oneof![Just(IoPriority::Idle), (0..8_u8).prop_map(IoPriority::BestEffort)];
    let cpus = "[0-9]{1,3}(,[0-9]{1,3}){0,3}".prop_map(|list| list.parse().expect("a list of CPUs"));
    let amounts = (of((8_u64 << 20)..), of(1_u64..), of(4_u64..), of(any::<u64>()));
    (of(-20..20), of(cpus), amounts, of(io)).prop_map(|(nice, cpus, amounts, io)| {
        let (memory, processes, open_files, core) = amounts;
        Limits { nice, cpus, memory, processes, open_files, core, io }
    })
}

fn build(command: JobSpecBuilder, settings: Settings) -> crate::Result<JobSpec> {
    let (name, group, key, labels, timeout, leave, limit, signal, process, open, (limits, conditions)) = settings;
    let mut spec = command.output_limit(limit).limits(limits);
    spec = name.into_iter().fold(spec, JobSpecBuilder::name);
    spec = group.into_iter().fold(spec, JobSpecBuilder::group);
    spec = key.into_iter().fold(spec, JobSpecBuilder::key);
    spec = labels.into_iter().fold(spec, |spec, (name, value)| spec.label(name, value));
    spec = timeout.into_iter().fold(spec, |spec, ms| spec.timeout(Duration::from_millis(ms)));
    spec = signal.into_iter().fold(spec, JobSpecBuilder::stop_signal);
    spec = process.into_iter().fold(spec, JobSpecBuilder::ends_with);
    spec = conditions.into_iter().fold(spec, JobSpecBuilder::when);
    if leave {
        spec = spec.stragglers(Stragglers::Leave);
    }
    if open {
        spec = spec.stdin(Stdin::Open);
    }
    spec.build()
}

pub(crate) fn submission() -> impl Strategy<Value = Submission> {
    let world = (proptest::option::of(any::<u32>()), btree_map(text(), any::<u64>(), 0..3), any::<bool>());
    (job_id(), timestamp(), spec(), world).prop_map(|(id, at, spec, (umask, soft_limits, sandboxed))| {
        let world = World { umask, soft_limits, sandboxed, pid_namespace: umask.map(u64::from), ..World::default() };
        Submission::new(id, at, spec, "/bin/sh".into(), world)
    })
}

pub(crate) fn start() -> impl Strategy<Value = Start> {
    (process(), any::<bool>(), timestamp(), proptest::option::of(timestamp())).prop_map(
        |(holder, dedicated, at, due_at)| {
            let attempt = if due_at.is_some() { 2 } else { 1 };
            Start { attempt, due_at, ..Start::new(holder, dedicated, at) }
        },
    )
}

pub(crate) fn running() -> impl Strategy<Value = Running> {
    let waiting = (timestamp(), any::<u64>(), proptest::option::of(any::<u64>()))
        .prop_map(|(at, bytes, typed_from)| Waiting { typed_from, ..Waiting::new(at, bytes) });
    let noted = (proptest::option::of(waiting), proptest::option::of(timestamp()));
    let paused = (proptest::option::of(timestamp()), 0..100_000_u64);
    (process(), timestamp(), noted, paused).prop_map(|(process, at, (waiting, stalled_at), (since, before))| {
        let mut running = Running { waiting, stalled_at, ..Running::new(process, at) };
        running.pause(since, Duration::from_millis(before));
        running.become_ready(at);
        running
    })
}

pub(crate) fn ended() -> impl Strategy<Value = Ended> {
    const CAUSES: [Cause; 11] = [
        Cause::Exited,
        Cause::Signalled,
        Cause::SpawnFailed,
        Cause::Stopped,
        Cause::NeverStarted,
        Cause::TimedOut,
        Cause::Stalled,
        Cause::NotReady,
        Cause::SupervisorLost,
        Cause::Rebooted,
        Cause::Skipped,
    ];
    let survivor = (any::<i32>(), text(), text()).prop_map(|(pid, name, reason)| Survivor::new(pid, name, reason));
    let figures = (proptest::option::of(any::<u64>()), any::<u32>(), any::<u64>(), any::<u64>());
    let what = (select(&CAUSES[..]), timestamp(), proptest::option::of(any::<i32>()), proptest::option::of(signal()));
    let words = (proptest::option::of(text()), proptest::option::of(text()), vec(survivor, 0..2));
    (proptest::option::of(timestamp()), what, figures, words).prop_map(|(started_at, what, figures, words)| {
        let (cause, at, exit_code, signal) = what;
        let (cpu_ms, stragglers, output_bytes, dropped_bytes) = figures;
        let (stopped_by, message, survivors) = words;
        let outcome = Outcome {
            exit_code,
            signal,
            stopped_by,
            cpu_ms,
            peak_rss_bytes: cpu_ms,
            stragglers,
            survivors,
            output_bytes,
            dropped_bytes,
            message,
            ..Outcome::new(cause, at)
        };
        Ended::new(started_at, outcome)
    })
}
