//! What every [`Runner`](crate::runner::Runner) must do, as tests: see [`store::conformance`](crate::store::conformance) for
//! how a suite is used. The cases run real commands, `/bin/sh` among them.

// In the order in which to read them:
// - `bench.rs`: where the cases run
// - `attempts.rs`: jobs whose command is started again
// - `leases.rs`: jobs with a lease
// - `limits.rs`: jobs with limits

mod attempts;
mod bench;
mod leases;
mod limits;

use std::path::Path;
use std::time::Duration;

use crate::error::{Error, NoInput};
use crate::job::Job;
use crate::manager::{Message, StopOptions, StopReport, WaitOptions, WaitReason};
use crate::output::{MIN_OUTPUT_LIMIT, OutputQuery, Position, Stream};
use crate::signal::Signal;
use crate::spec::{JobSpec, NotReady, Stdin, Stragglers};
use crate::state::{Cause, Outcome, Status};
use crate::sys::process;
use crate::sys::pty::TerminalSize;
use crate::until::Until;
use bench::{PATIENCE, is_alive, stands};

pub use attempts::{
    a_command_that_fails_is_started_again, a_job_is_stopped_between_two_attempts, a_stopped_job_is_not_started_again,
    an_attempt_that_times_out_is_followed_by_another, attempts_are_limited,
};
pub use bench::Bench;
pub use leases::{a_job_that_is_not_renewed_is_stopped, a_renewed_job_continues};
pub use limits::{limits_that_cannot_be_applied_are_refused, the_limits_of_a_job_apply_to_its_command};

/// Makes a test of each case of the contract of [`Runner`](crate::runner::Runner), for the runner of the second
/// expression over the [`Backend`](crate::store::conformance::Backend) of the first.
#[macro_export]
macro_rules! runner_conformance {
    ($backend:expr, $runner:expr) => {
        $crate::runner_conformance! { @cases $backend, $runner =>
            an_exit_code_is_recorded
            a_signal_is_recorded
            both_streams_are_kept_apart
            merged_streams_keep_their_order
            standard_input_is_empty_unless_a_file_is_named
            a_file_is_read_from_its_beginning
            given_input_is_read_to_its_end
            sent_input_and_its_end_are_read
            a_send_does_not_block_on_a_job_that_does_not_read
            a_job_that_takes_no_input_refuses_it_with_the_reason
            the_environment_and_the_directory_are_those_of_the_spec
            arguments_arrive_unchanged
            a_program_that_cannot_be_executed_ends_the_job
            a_script_that_names_no_interpreter_is_run_by_sh
            a_stop_asks_first
            a_stop_begins_with_the_signal_of_the_spec
            a_stop_kills_processes_that_do_not_obey
            a_stop_reaches_children_that_left_the_session
            a_timeout_ends_the_job
            a_command_that_fails_is_started_again
            attempts_are_limited
            an_attempt_that_times_out_is_followed_by_another
            a_job_is_stopped_between_two_attempts
            a_stopped_job_is_not_started_again
            the_limits_of_a_job_apply_to_its_command
            limits_that_cannot_be_applied_are_refused
            a_signal_is_sent_once
            a_paused_job_stands_still_until_it_is_resumed
            a_paused_job_can_be_stopped
            the_clock_of_a_paused_job_stands_still
            a_job_is_ready_when_its_conditions_are_met
            a_job_that_is_not_ready_in_time_is_stopped_or_continues
            a_job_ends_with_the_process_that_its_spec_names
            a_job_that_is_not_renewed_is_stopped
            a_renewed_job_continues
            stragglers_are_stopped_and_counted
            a_stop_is_answered_while_stragglers_are_being_stopped
            stragglers_are_left_if_the_spec_says_so
            stragglers_that_were_left_can_be_stopped
            output_is_followed_to_the_end
            requests_are_answered_for_every_handle
            usage_is_recorded_or_absent
        }
    };
    (@cases $backend:expr, $runner:expr => $($case:ident)*) => {
        $(
            #[test]
            fn $case() {
                let backend = $backend;
                let runner: ::std::sync::Arc<dyn $crate::runner::Runner> = ::std::sync::Arc::new($runner);
                $crate::store::conformance::block_on(async {
                    let bench = $crate::runner::conformance::Bench::new(&backend, &runner);
                    $crate::runner::conformance::$case(&bench).await;
                });
            }
        )*
    };
}

struct Companion(std::process::Child);

impl Drop for Companion {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn quickly() -> StopOptions {
    StopOptions::default().with_grace(Some(Duration::from_millis(200)))
}

async fn stopped(bench: &Bench, job: &Job, options: &StopOptions) -> (Job, Outcome) {
    let report = bench.other.stop(job.id, options).await.expect("it is stopped");
    let StopReport::Stopped(job) = report else { panic!("{report:?}") };
    let outcome = job.state.outcome().expect("it has ended").clone();
    (job, outcome)
}

/// Zero means completed, everything else failed.
pub async fn an_exit_code_is_recorded(bench: &Bench) {
    for (code, status) in [(0, Status::Completed), (1, Status::Failed), (255, Status::Failed)] {
        let (job, outcome) = bench.finish(bench.shell(&format!("exit {code}"))).await;
        assert_eq!((job.status(), outcome.exit_code, outcome.cause), (status, Some(code), Cause::Exited));
        assert!(job.state.started_at().is_some_and(|started| started <= outcome.ended_at));
    }
}

/// A death that was not requested is a failure.
pub async fn a_signal_is_recorded(bench: &Bench) {
    let (job, outcome) = bench.finish(bench.shell("kill -KILL $$")).await;
    assert_eq!((job.status(), outcome.cause), (Status::Failed, Cause::Signalled));
    assert_eq!((outcome.exit_code, outcome.signal), (None, Some(Signal::KILL)));
}

/// Each stream has its own bytes in order.
pub async fn both_streams_are_kept_apart(bench: &Bench) {
    let (job, outcome) = bench.finish(bench.shell("for i in 1 2 3; do echo o$i; echo e$i >&2; done")).await;
    assert_eq!(bench.output(&job, Some(Stream::Stdout)).await, "o1\no2\no3\n");
    assert_eq!(bench.output(&job, Some(Stream::Stderr)).await, "e1\ne2\ne3\n");
    assert_eq!((outcome.output_bytes, outcome.dropped_bytes), (18, 0));
}

/// With one pipe there is one order.
pub async fn merged_streams_keep_their_order(bench: &Bench) {
    let line = "i=0; while [ $i -lt 200 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done";
    let (job, _) = bench.finish(bench.shell(line).merge(true)).await;
    let expected: String = (0..200).map(|i| format!("o{i}\ne{i}\n")).collect();
    assert_eq!(bench.output(&job, None).await, expected);
}

/// A prompt fails at once instead of waiting forever.
pub async fn standard_input_is_empty_unless_a_file_is_named(bench: &Bench) {
    let (job, outcome) = bench.finish(bench.shell("read answer; echo \"got $?\"")).await;
    assert_eq!(outcome.exit_code, Some(0));
    assert_eq!(bench.output(&job, None).await, "got 1\n");
}

/// The file is read as with a shell's `<`.
pub async fn a_file_is_read_from_its_beginning(bench: &Bench) {
    std::fs::write(bench.directory.join("input"), "first\nsecond\n").expect("it is written");
    let (job, _) = bench.finish(bench.shell("cat").stdin(Stdin::File("input".into()))).await;
    assert_eq!(bench.output(&job, None).await, "first\nsecond\n");
}

/// Any bytes, and much more than a pipe holds.
pub async fn given_input_is_read_to_its_end(bench: &Bench) {
    let given: Vec<u8> = (0..=255).cycle().take(1_000_000).collect();
    let (job, outcome) = bench.finish(bench.shell("cat").given(given.clone()).output_limit(0)).await;
    assert_eq!(outcome.exit_code, Some(0));
    let query = OutputQuery { max_bytes: 2_000_000, ..OutputQuery::from(Position::Start) };
    let read = bench.jobs.output(job.id, &query).await.expect("it is read").bytes(None);
    assert!(read == given, "{} bytes of {}", read.len(), given.len());
    let (job, _) = bench.finish(bench.shell("cat; echo end").given("")).await;
    assert_eq!(bench.output(&job, None).await, "end\n");
}

/// Input stays open between two senders, and ends when it is ended.
pub async fn sent_input_and_its_end_are_read(bench: &Bench) {
    let job = bench.submit(bench.shell("cat; echo end").stdin(Stdin::Open)).await;
    for (jobs, text) in [(&bench.jobs, "one"), (&bench.other, "two\n")] {
        let sent = jobs.send(job.id, &Message::line(text), PATIENCE).await.expect("it is sent");
        assert_eq!((sent.bytes, sent.refused), (4, 0));
        jobs.answered(job.id, sent.cursor, Duration::ZERO, PATIENCE).await.expect("it is answered");
    }
    assert_eq!(bench.output(&job, None).await, "one\ntwo\n");
    bench.jobs.end_input(job.id).await.expect("it is ended");
    let (job, outcome) = bench.ended(&job).await;
    assert_eq!((outcome.exit_code, bench.output(&job, None).await.as_str()), (Some(0), "one\ntwo\nend\n"));
    let late = bench.jobs.send(job.id, &Message::line("x"), PATIENCE).await;
    assert!(matches!(late, Err(Error::NotRunning { .. })), "{late:?}");
}

/// The number of accepted bytes is reported; the rest can be sent later.
pub async fn a_send_does_not_block_on_a_job_that_does_not_read(bench: &Bench) {
    let line = "echo ready; while [ ! -e go ]; do sleep 0.02; done; wc -c";
    let job = bench.submit(bench.shell(line).stdin(Stdin::Open)).await;
    let bytes = vec![b'x'; 1024 * 1024];
    let patience = Duration::from_millis(50);
    let first = bench.jobs.send(job.id, &Message::bytes(&bytes[..]), patience).await.expect("it is sent");
    assert_eq!(first.bytes + first.refused, bytes.len());
    assert!(first.bytes > 0 && first.refused > 0, "{first:?}");
    let second = bench.other.send(job.id, &Message::bytes(&b"y"[..]), patience).await.expect("there is no room");
    assert_eq!((second.bytes, second.refused), (0, 1));
    std::fs::write(bench.directory.join("go"), "").expect("it is written");
    let rest = bench.jobs.send(job.id, &Message::bytes(&bytes[first.bytes..]), PATIENCE).await.expect("it is sent");
    assert_eq!(rest.refused, 0);
    bench.jobs.end_input(job.id).await.expect("it is ended");
    bench.ended(&job).await;
    let output = bench.output(&job, None).await;
    assert_eq!(output.split_whitespace().collect::<Vec<_>>(), ["ready", "1048576"]);
}

/// There never was an input, it was ended, or the job has closed it.
pub async fn a_job_that_takes_no_input_refuses_it_with_the_reason(bench: &Bench) {
    let send = async |job: &Job| bench.jobs.send(job.id, &Message::line("x"), PATIENCE).await;
    let never = bench.submit(bench.shell("sleep 1000")).await;
    let closed = bench.submit(bench.shell("exec 0<&-; echo > closed; sleep 1000").stdin(Stdin::Open)).await;
    let ended = bench.submit(bench.shell("sleep 1000").stdin(Stdin::Open)).await;
    bench.file("closed").await;
    bench.jobs.end_input(ended.id).await.expect("it is ended");
    bench.jobs.end_input(ended.id).await.expect("it is ended already");
    for (job, expected) in [(&never, NoInput::NeverHad), (&closed, NoInput::Closed), (&ended, NoInput::Ended)] {
        let refused = send(job).await;
        assert!(matches!(refused, Err(Error::NoInput { reason, .. }) if reason == expected), "{expected}: {refused:?}");
    }
    let keys = Message::bytes("").with_keys(vec!["C-c".parse().expect("a key")]);
    let refused = bench.jobs.send(ended.id, &keys, PATIENCE).await;
    assert!(matches!(refused, Err(Error::NoTerminal { .. })), "{refused:?}");
    let refused = bench.jobs.resize(ended.id, TerminalSize::default()).await;
    assert!(matches!(refused, Err(Error::NoTerminal { .. })), "{refused:?}");
    for job in [&never, &closed, &ended] {
        stopped(bench, job, &quickly()).await;
    }
}

/// Nothing leaks in from the host program.
pub async fn the_environment_and_the_directory_are_those_of_the_spec(bench: &Bench) {
    let spec =
        JobSpec::command(["/usr/bin/env"]).cwd(&bench.directory).env("ONE", "1 =2").env("JOBCORE_JOB_ID", "outer");
    let job = bench.submit(spec).await;
    bench.ended(&job).await;
    let output = bench.output(&job, None).await;
    let mut lines: Vec<_> = output.lines().collect();
    lines.sort_unstable();
    let id = format!("JOBCORE_JOB_ID={}", job.id);
    // A store that keeps no places assigns no slot numbers.
    let slot = bench.jobs.job(job.id).await.expect("it is there").place.slot.map(|slot| format!("JOBCORE_SLOT={slot}"));
    let mut expected = vec![id.as_str(), "JOBCORE_PARENT_JOB_ID=outer", "ONE=1 =2"];
    expected.splice(2..2, slot.as_deref());
    assert_eq!(lines, expected);
    let (job, _) = bench.finish(JobSpec::command(["/bin/pwd", "-P"]).cwd(&bench.directory)).await;
    let expected = bench.directory.canonicalize().expect("it exists");
    assert_eq!(Path::new(bench.output(&job, None).await.trim_end()), expected);
}

/// No shell interprets an argv; a line may begin with a dash.
pub async fn arguments_arrive_unchanged(bench: &Bench) {
    let words = ["/usr/bin/printf", "[%s]", "a b", "", "$HOME", "*", "-n", "ä\n"];
    let (job, _) = bench.finish(JobSpec::command(words)).await;
    assert_eq!(bench.output(&job, None).await, "[a b][][$HOME][*][-n][ä\n]");
    let (job, outcome) = bench.finish(bench.shell("-nosuch-program || echo line")).await;
    assert_eq!(outcome.exit_code, Some(0));
    assert_eq!(bench.output(&job, Some(Stream::Stdout)).await, "line\n");
}

/// What submit cannot know is found out at the start, and reported.
pub async fn a_program_that_cannot_be_executed_ends_the_job(bench: &Bench) {
    // Written by a job: a file written by this process may be open in a process that another test starts, and then it
    // is busy.
    bench.finish(bench.shell("echo '#!/nosuch/interpreter' > no-program; chmod 755 no-program")).await;
    let path = bench.directory.join("no-program");
    let (job, outcome) = bench.finish(JobSpec::command([path.to_str().expect("it is text")])).await;
    assert_eq!((job.status(), outcome.cause), (Status::Failed, Cause::SpawnFailed));
    assert_eq!((outcome.exit_code, outcome.signal, job.state.started_at()), (None, None, None));
    let message = outcome.message.expect("there is a reason");
    assert!(message.contains("no-program"), "{message}");
}

/// As with execvp(3) and every shell.
pub async fn a_script_that_names_no_interpreter_is_run_by_sh(bench: &Bench) {
    bench.finish(bench.shell("echo 'echo \"$0 $1\"' > script; chmod 755 script")).await;
    let (job, _) = bench.finish(JobSpec::command(["./script", "a b"]).cwd(&bench.directory)).await;
    let output = bench.output(&job, None).await;
    assert!(output.ends_with("/script a b\n"), "{output}");
}

/// A job that obeys is not killed.
pub async fn a_stop_asks_first(bench: &Bench) {
    let line = "trap 'echo bye; exit 0' TERM; touch ready; while :; do sleep 0.02; done";
    let job = bench.submit(bench.shell(line)).await;
    bench.file("ready").await;
    let (job, outcome) = stopped(bench, &job, &StopOptions::default()).await;
    assert_eq!((job.status(), outcome.cause, outcome.exit_code), (Status::Killed, Cause::Stopped, Some(0)));
    assert!(outcome.stopped_by.is_some());
    assert_eq!(bench.output(&job, Some(Stream::Stdout)).await, "bye\n");
}

/// It goes only to the main process and its group. Whatever is left then is asked as usual.
pub async fn a_stop_begins_with_the_signal_of_the_spec(bench: &Bench) {
    // The child is the last to be ready: it starts after the main process has set its traps, which it does not inherit.
    let line = "trap 'echo main; exit 7' INT; trap 'echo wrong' TERM; \
                setsid bash -c 'trap \"echo child; exit\" TERM; touch ready; while :; do sleep 0.02; done' & \
                while :; do sleep 0.02; done";
    let job = bench.submit(bench.shell(line).stop_signal(Signal::INT)).await;
    bench.file("ready").await;
    let (job, outcome) = stopped(bench, &job, &StopOptions::default()).await;
    assert_eq!((job.status(), outcome.exit_code), (Status::Killed, Some(7)));
    assert_eq!(bench.output(&job, Some(Stream::Stdout)).await, "main\nchild\n");
    // A job that ignores the signal is asked as usual before it is killed, after half of the grace: the other half must
    // be enough for its answer on a loaded machine.
    let line = "trap '' INT; trap 'echo bye; exit 0' TERM; touch deaf; while :; do sleep 0.02; done";
    let job = bench.submit(bench.shell(line).stop_signal(Signal::INT).grace(Duration::from_secs(8))).await;
    bench.file("deaf").await;
    let (job, outcome) = stopped(bench, &job, &StopOptions::default()).await;
    assert_eq!((job.status(), outcome.exit_code), (Status::Killed, Some(0)));
    assert_eq!(bench.output(&job, Some(Stream::Stdout)).await, "bye\n");
}

/// A job that does not obey is killed.
pub async fn a_stop_kills_processes_that_do_not_obey(bench: &Bench) {
    let line = "trap '' TERM; (trap '' TERM; echo $BASHPID; while :; do sleep 1; done) & echo $$ > main; echo $! > child; \
                touch ready; while :; do sleep 1; done";
    let job = bench.submit(bench.shell(line)).await;
    bench.file("ready").await;
    let (job, outcome) = stopped(bench, &job, &quickly()).await;
    assert_eq!((job.status(), outcome.signal), (Status::Killed, Some(Signal::KILL)));
    assert!(!is_alive(bench.pid("main")) && !is_alive(bench.pid("child")));
}

/// Leaving the session and losing the parent does not help.
pub async fn a_stop_reaches_children_that_left_the_session(bench: &Bench) {
    let line = "(setsid sh -c 'trap \"\" TERM; echo $$ > escaped.new; mv escaped.new escaped; exec sleep 1000' &) ; sleep 1000";
    let job = bench.submit(bench.shell(line)).await;
    bench.file("escaped").await;
    stopped(bench, &job, &quickly()).await;
    let escaped = bench.pid("escaped");
    bench.until("the escaped process to be gone", || !is_alive(escaped)).await;
}

/// The time limit applies to the whole job.
pub async fn a_timeout_ends_the_job(bench: &Bench) {
    let (job, outcome) = bench.finish(bench.shell("exec sleep 1000").timeout(Duration::from_millis(50))).await;
    assert_eq!((job.status(), outcome.cause), (Status::TimedOut, Cause::TimedOut));
    assert_eq!((outcome.signal, outcome.stopped_by), (Some(Signal::TERM), None));
}

/// The named process may end before the job is started, while it is running, or after it.
pub async fn a_job_ends_with_the_process_that_its_spec_names(bench: &Bench) {
    let session = std::process::Command::new("sleep").arg("1000").spawn().expect("it is started");
    let session = Companion(session);
    let id = i32::try_from(session.0.id()).expect("a process id");
    let process = process::identify(id).expect("it is there");
    let bound = |line: &str| bench.shell(line).ends_with(process.clone());
    let (short, _) = bench.finish(bound("exit 0")).await;
    assert_eq!(short.status(), Status::Completed);
    let job = bench.submit(bound("trap 'exit 7' TERM; touch ready; while :; do sleep 0.02; done")).await;
    bench.file("ready").await;
    drop(session);
    let (job, outcome) = bench.ended(&job).await;
    assert_eq!((job.status(), outcome.cause, outcome.exit_code), (Status::Killed, Cause::Stopped, Some(7)));
    assert_eq!(outcome.stopped_by.as_deref(), Some("the end of its session"));
    let (late, outcome) = bench.finish(bound("touch late")).await;
    assert_eq!((late.status(), outcome.cause), (Status::Killed, Cause::NeverStarted));
    assert_eq!((late.state.started_at(), bench.directory.join("late").exists()), (None, false));
}

/// A signal is not a stop, but dying of it counts as requested.
pub async fn a_signal_is_sent_once(bench: &Bench) {
    let line = "trap 'touch got' USR1; touch ready; while [ ! -e go ]; do sleep 0.02; done; exit 3";
    let job = bench.submit(bench.shell(line)).await;
    bench.file("ready").await;
    bench.other.signal(job.id, "USR1".parse().expect("a signal")).await.expect("it is sent");
    bench.file("got").await;
    std::fs::write(bench.directory.join("go"), "").expect("it is written");
    let (job, outcome) = bench.ended(&job).await;
    assert_eq!((job.status(), outcome.cause, outcome.exit_code), (Status::Failed, Cause::Exited, Some(3)));
    let job = bench.submit(bench.shell("exec sleep 1000")).await;
    bench.jobs.signal(job.id, Signal::INT).await.expect("it is sent");
    let (job, outcome) = bench.ended(&job).await;
    assert_eq!((job.status(), outcome.cause, outcome.signal), (Status::Killed, Cause::Stopped, Some(Signal::INT)));
    assert!(bench.jobs.signal(job.id, Signal::INT).await.is_err(), "it has ended");
}

/// A job leaves no processes behind.
pub async fn stragglers_are_stopped_and_counted(bench: &Bench) {
    let (job, outcome) = bench.finish(bench.shell("sleep 1000 & echo $! > child; exit 4")).await;
    assert_eq!((job.status(), outcome.exit_code, outcome.stragglers), (Status::Failed, Some(4), 1));
    let child = bench.pid("child");
    bench.until("the straggler to be gone", || !is_alive(child)).await;
}

/// A caller that cannot wait for the grace of the stragglers can shorten it. The recorded end of the job stays its own.
pub async fn a_stop_is_answered_while_stragglers_are_being_stopped(bench: &Bench) {
    use crate::control::{Answer, Request};
    let line = "(trap '' TERM; : > child; while :; do sleep 1; done) & echo $$ > main; \
                while [ ! -e child ]; do sleep 0.02; done; : > ready; exit 4";
    let job = bench.submit(bench.shell(line).grace(Duration::from_secs(1000))).await;
    bench.file("ready").await;
    let main = bench.pid("main");
    bench.until("the main process to end", || !is_alive(main)).await;
    let count = bench.other.store().request(job.id, Request::Count).await.expect("it is answered");
    assert!(matches!(count, Answer::Processes { count: 1.., .. }), "{count:?}");
    assert!(bench.other.signal(job.id, Signal::INT).await.is_err(), "no process can get it");
    let (job, outcome) = stopped(bench, &job, &quickly()).await;
    assert_eq!((job.status(), outcome.cause, outcome.exit_code), (Status::Failed, Cause::Exited, Some(4)));
    assert_eq!(outcome.stopped_by, None);
}

/// Including all processes that it started, in whatever session, and even if it is paused twice.
pub async fn a_paused_job_stands_still_until_it_is_resumed(bench: &Bench) {
    let line =
        "setsid sh -c 'echo $$ > child.new; mv child.new child; while :; do echo; done' & while :; do echo; done";
    let job = bench.submit(bench.shell(line).output_limit(MIN_OUTPUT_LIMIT)).await;
    bench.file("child").await;
    let child = bench.pid("child");
    for jobs in [&bench.jobs, &bench.other] {
        let paused = jobs.pause(job.id).await.expect("it is paused");
        assert_eq!(paused.status(), Status::Paused);
        let main = paused.pid.expect("it has a main process");
        assert_eq!([main, child].map(stands), [true; 2]);
    }
    let resumed = bench.other.resume(job.id).await.expect("it is resumed");
    assert_eq!((resumed.status(), resumed.paused > Duration::ZERO), (Status::Running, true));
    bench.until("both to continue", || [resumed.pid.expect("it runs"), child].iter().all(|pid| !stands(*pid))).await;
    assert_eq!(bench.jobs.resume(job.id).await.expect("it runs").status(), Status::Running);
    let (ended, _) = stopped(bench, &job, &quickly()).await;
    for refused in [bench.jobs.pause(ended.id).await, bench.jobs.resume(ended.id).await] {
        assert!(matches!(refused, Err(Error::NotRunning { .. })), "{refused:?}");
    }
    assert!(ended.paused > Duration::ZERO);
}

/// It gets the signal.
pub async fn a_paused_job_can_be_stopped(bench: &Bench) {
    let line = "trap 'echo bye; exit 0' TERM; touch ready; while :; do sleep 0.02; done";
    let job = bench.submit(bench.shell(line)).await;
    bench.file("ready").await;
    bench.jobs.pause(job.id).await.expect("it is paused");
    let (job, outcome) = stopped(bench, &job, &StopOptions::default()).await;
    assert_eq!((job.status(), outcome.exit_code), (Status::Killed, Some(0)));
    assert_eq!(bench.output(&job, Some(Stream::Stdout)).await, "bye\n");
}

/// What was left of it before the pause is left afterwards.
pub async fn the_clock_of_a_paused_job_stands_still(bench: &Bench) {
    let timeout = Duration::from_millis(300);
    let job = bench.submit(bench.shell("exec sleep 1000").timeout(timeout)).await;
    bench.jobs.pause(job.id).await.expect("it is paused");
    tokio::time::sleep(timeout * 2).await;
    assert_eq!(bench.other.job(job.id).await.expect("it is there").status(), Status::Paused);
    bench.other.resume(job.id).await.expect("it is resumed");
    let (job, outcome) = bench.ended(&job).await;
    assert_eq!(outcome.cause, Cause::TimedOut);
    assert!(job.run_time().expect("it ran") >= timeout + job.paused && job.paused >= timeout, "{job:?}");
}

/// Lines of its output, files, and commands that succeed; and the waiter is woken.
pub async fn a_job_is_ready_when_its_conditions_are_met(bench: &Bench) {
    let line = "while [ ! -e go ]; do sleep 0.02; done; echo listening; touch made; exec sleep 1000";
    let conditions = ["output:^listening$", "file:made", "cmd:test \"$WORD\" = said && test -e made"];
    let spec = conditions.iter().fold(bench.shell(line).env("WORD", "said"), |spec, condition| {
        spec.ready(condition.parse().expect("it is a condition"))
    });
    let job = bench.submit(spec).await;
    let until = WaitOptions::default().with_until(Until::Ready);
    let early = until.clone().with_timeout(Some(Duration::from_millis(300)));
    assert!(bench.other.wait_until(&[job.id], &early).await.expect("it is waited for").timed_out);
    let starting = bench.jobs.job(job.id).await.expect("it is there");
    assert!(starting.is_starting() && starting.ready_at.is_none());
    std::fs::write(bench.directory.join("go"), "").expect("it is written");
    let waited =
        bench.other.wait_until(&[job.id], &until.with_timeout(Some(PATIENCE))).await.expect("it is waited for");
    assert_eq!(waited.reason(), WaitReason::Met);
    let ready = &waited.jobs[0];
    assert!(!ready.is_starting() && ready.ready_at.is_some());
    let (job, _) = stopped(bench, &job, &quickly()).await;
    assert_eq!(job.ready_at, ready.ready_at);
}

/// As its spec says.
pub async fn a_job_that_is_not_ready_in_time_is_stopped_or_continues(bench: &Bench) {
    let spec = || {
        let never = "file:never".parse().expect("it is a condition");
        bench.shell("exec sleep 1000").ready(never).ready_timeout(Duration::from_millis(100))
    };
    let (job, outcome) = bench.finish(spec()).await;
    assert_eq!((job.status(), outcome.cause), (Status::TimedOut, Cause::NotReady));
    let job = bench.submit(spec().not_ready(NotReady::Continue)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(bench.jobs.job(job.id).await.expect("it is there").is_starting());
    std::fs::write(bench.directory.join("never"), "").expect("it is written");
    let until = WaitOptions::default().with_until(Until::Ready).with_timeout(Some(PATIENCE));
    let waited = bench.other.wait_until(&[job.id], &until).await.expect("it is waited for");
    assert_eq!(waited.reason(), WaitReason::Met);
    stopped(bench, &job, &quickly()).await;
}

/// A program that puts itself into the background can be a job.
pub async fn stragglers_are_left_if_the_spec_says_so(bench: &Bench) {
    let line = "(while [ ! -e go ]; do sleep 0.02; done) & echo $! > child; exit 0";
    let (job, outcome) = bench.finish(bench.shell(line).stragglers(Stragglers::Leave)).await;
    assert_eq!((job.status(), outcome.stragglers > 0), (Status::Completed, true));
    let child = bench.pid("child");
    assert!(is_alive(child));
    std::fs::write(bench.directory.join("go"), "").expect("it is written");
    bench.until("the straggler to end", || !is_alive(child)).await;
}

/// The holder of a job stays with its stragglers, keeps their output and answers requests; the recorded end does not
/// change.
pub async fn stragglers_that_were_left_can_be_stopped(bench: &Bench) {
    let line = "(trap 'echo bye; exit' TERM; : > ready; while :; do sleep 0.02; done) & echo $! > child; \
                while [ ! -e ready ]; do sleep 0.02; done; exit 4";
    let (job, before) = bench.finish(bench.shell(line).stragglers(Stragglers::Leave)).await;
    assert_eq!((before.exit_code, before.stragglers > 0), (Some(4), true));
    let report = bench.other.stop(job.id, &StopOptions::default()).await.expect("it is stopped");
    let StopReport::StragglersStopped { job, processes: 1.. } = report else { panic!("{report:?}") };
    assert_eq!(job.state.outcome(), Some(&before));
    assert!(!is_alive(bench.pid("child")));
    assert_eq!(bench.output(&job, Some(Stream::Stdout)).await, "bye\n");
}

/// A follower sees every byte, and then the end.
pub async fn output_is_followed_to_the_end(bench: &Bench) {
    let job = bench.submit(bench.shell("for i in 1 2 3; do echo $i; sleep 0.05; done")).await;
    let mut query = OutputQuery::from(Position::Start);
    let mut seen = Vec::new();
    loop {
        let has_ended = bench.other.job(job.id).await.expect("it is there").status().is_final();
        let chunk = bench.other.output(job.id, &query).await.expect("it is read");
        seen.extend(chunk.bytes(None));
        query.from = Position::Cursor(chunk.cursor);
        if has_ended {
            break;
        }
        let more = bench.other.more_output(job.id, chunk.cursor);
        tokio::time::timeout(PATIENCE, more).await.expect("there is more, or an end").expect("it is read");
    }
    assert_eq!(seen, b"1\n2\n3\n");
}

/// The requester need not be the one that started the job.
pub async fn requests_are_answered_for_every_handle(bench: &Bench) {
    use crate::control::{Answer, Request};
    let job = bench.submit(bench.shell("touch ready; sleep 1000 & wait")).await;
    bench.file("ready").await;
    let count = bench.other.store().request(job.id, Request::Count).await.expect("it is answered");
    assert!(matches!(count, Answer::Processes { count: 1.., .. }), "{count:?}");
    stopped(bench, &job, &quickly()).await;
}

/// Unknown values are left out, not made up.
pub async fn usage_is_recorded_or_absent(bench: &Bench) {
    let (_, outcome) = bench.finish(bench.shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")).await;
    assert!(outcome.cpu_ms.is_none_or(|ms| ms > 0));
    assert!(outcome.peak_rss_bytes.is_none_or(|bytes| bytes > 100_000));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;

    use super::bench::BENCH;
    use super::*;
    use crate::error::Result;
    use crate::runner::Runner;
    use crate::store::conformance::Backend;
    use crate::store::{JobClaim, JobStore};
    use crate::sys::members;
    use crate::{FileStore, InProcessRunner};

    /// Starts a job, and then fails.
    #[derive(Debug)]
    struct Broken;

    #[async_trait]
    impl Runner for Broken {
        fn check(&self, _: &dyn JobStore) -> Result<()> {
            Ok(())
        }

        async fn start(&self, store: &Arc<dyn JobStore>, claim: Box<dyn JobClaim>) -> Result<()> {
            InProcessRunner::new().start(store, claim).await?;
            panic!("{}", "it breaks after the start")
        }

        async fn adopt(&self, _: &Arc<dyn JobStore>, _: Box<dyn JobClaim>) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_case_that_fails_leaves_nothing_running() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("store");
        let backend = Backend::new(move || Arc::new(FileStore::open(&root).unwrap())).keeping(directory);
        let runner: Arc<dyn Runner> = Arc::new(Broken);
        let marker = std::sync::OnceLock::new();
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            crate::store::conformance::block_on(async {
                let bench = Bench::new(&backend, &runner);
                marker.set(format!("{BENCH}={}", bench.directory.display())).unwrap();
                // Its first job sleeps for 1,000 seconds.
                a_job_that_takes_no_input_refuses_it_with_the_reason(&bench).await;
            });
        }));
        let message = failed.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("it breaks after the start"), "{message}");
        let left = members::visible_tree(None, marker.get().unwrap(), |_| false);
        for stat in &left {
            let _ = process::signal(stat, Signal::KILL);
        }
        assert!(left.is_empty(), "{left:?}");
    }
}
