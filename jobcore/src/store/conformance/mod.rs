//! What every [`JobStore`] must do, as tests.
//!
//! ```text
//! mod memory {
//!     jobcore::store_conformance!(jobcore::store::conformance::Backend::new({
//!         let store = jobcore::MemoryStore::new();
//!         move || std::sync::Arc::new(store.clone())
//!     }));
//! }
//! ```
//!
//! The macro makes one test of each case, so that all backends run all of them. The cases are not a stable interface:
//! a new version may ask for more.

// In the order in which to read them:
// - `jobs.rs`, `names.rs`, `listing.rs`: records, names, and which jobs there are
// - `queue.rs`: what is started next
// - `output.rs`, `events.rs`, `inboxes.rs`, `waiting.rs`, `requests.rs`: what jobs write, events, deliveries, waits and requests
// - `removal.rs`: what is removed, and what stays

mod events;
mod inboxes;
mod jobs;
mod listing;
mod names;
mod output;
mod queue;
mod removal;
mod requests;
mod waiting;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock, SystemRandom};
use crate::id::JobId;
use crate::record::{Ended, Start, Submission};
use crate::spec::{JobSpec, JobSpecBuilder};
use crate::state::{Cause, Outcome};
use crate::store::{JobClaim, JobStore};
use crate::sys::process;

// The macro names each case.
pub use events::*;
pub use inboxes::*;
pub use jobs::*;
pub use listing::*;
pub use names::*;
pub use output::*;
pub use queue::*;
pub use removal::*;
pub use requests::*;
pub use waiting::*;

/// How long a wait may take that should end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A store to be tested: opens one handle after another of the same store.
pub struct Backend {
    open: Box<dyn Fn() -> Arc<dyn JobStore> + Send + Sync>,
    _kept: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").finish_non_exhaustive()
    }
}

impl Backend {
    /// Tests the store that `open` opens, which is empty at first.
    pub fn new<S: JobStore + 'static>(open: impl Fn() -> Arc<S> + Send + Sync + 'static) -> Self {
        Self { open: Box::new(move || open()), _kept: Box::new(()) }
    }

    /// Keeps something for as long as the test runs, such as a temporary directory.
    #[must_use]
    pub fn keeping(self, kept: impl Any + Send + Sync) -> Self {
        Self { _kept: Box::new(kept), ..self }
    }

    /// Opens a handle.
    pub fn open(&self) -> Arc<dyn JobStore> {
        (self.open)()
    }
}

/// Makes a test of each case of the contract of [`JobStore`](crate::store::JobStore), for the [`Backend`] that the expression
/// gives. It is evaluated once for each case.
#[macro_export]
macro_rules! store_conformance {
    ($backend:expr) => {
        $crate::store_conformance! { @cases $backend =>
            a_new_job_is_on_record_and_queued
            an_id_is_taken_only_once
            an_unknown_job_is_not_found
            a_claim_keeps_others_out_until_it_is_dropped
            of_many_who_claim_at_once_one_wins
            records_come_back_as_they_were_written
            a_later_attempt_keeps_how_those_before_ended
            an_end_is_never_replaced
            the_environment_is_kept_until_the_end_and_no_longer
            ids_come_newest_first_and_in_pages
            no_job_that_is_wanted_is_left_out
            jobs_are_counted_by_their_end
            what_happens_is_told_in_order
            whoever_waits_for_events_is_woken
            an_inbox_is_held_by_one_and_keeps_what_was_written
            what_the_settings_do_not_keep_is_swept_away
            jobs_are_due_in_order_and_each_once
            what_is_submitted_is_started_by_one
            what_nobody_started_is_due_again
            what_lost_its_holder_is_unattended_until_its_end
            no_more_run_than_the_limit_says
            a_lent_slot_is_for_others
            many_who_look_at_once_exceed_no_limit
            a_group_has_a_queue_of_its_own
            a_full_store_may_refuse
            what_ended_in_the_queue_is_not_due
            jobs_stand_where_they_are_put
            a_submission_is_replaced_as_a_whole
            a_job_waits_for_others_and_is_skipped_if_they_fail
            what_is_waited_for_is_not_swept_away
            resources_are_taken_and_given_back
            what_is_to_start_later_is_not_due
            what_waits_for_a_less_busy_machine_is_passed_over
            a_guard_keeps_all_from_being_due
            a_schedule_is_run_at_its_times_and_never_started
            of_many_who_look_at_a_schedule_at_once_one_runs_it
            a_name_is_taken_until_its_job_has_ended
            each_project_has_its_own_names
            a_key_makes_one_job
            of_many_with_one_key_one_makes_a_job
            output_comes_back_by_stream_and_by_cursor
            the_output_limit_keeps_the_head_and_the_newest
            whoever_waits_is_woken_by_the_end
            whoever_waits_is_woken_when_nobody_is_in_charge_any_more
            whoever_waits_for_a_queued_job_is_woken_by_its_start
            whoever_follows_is_woken_by_output
            a_cache_is_what_was_kept_last_or_nothing
            a_request_is_answered_by_the_holder
            a_request_without_a_holder_is_not_answered
            what_is_changed_at_once_is_all_kept
            what_is_waited_for_is_told_and_no_more
            a_held_job_is_not_removed
            what_is_removed_is_gone_for_every_handle
            another_handle_finds_everything_as_it_was
            concurrent_writers_lose_nothing
        }
    };
    (@cases $backend:expr => $($case:ident)*) => {
        $(
            #[test]
            fn $case() {
                $crate::store::conformance::block_on($crate::store::conformance::$case(&$backend));
            }
        )*
    };
}

/// Runs a case.
pub fn block_on(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    runtime.block_on(case);
    runtime.shutdown_background();
}

fn submission(spec: JobSpecBuilder) -> Submission {
    let now = SystemClock.now();
    let spec = spec.build().expect("the spec is valid");
    Submission::new(
        JobId::mint(now, &SystemRandom).expect("there is randomness"),
        now,
        spec,
        "/bin/true".into(),
        crate::sys::world::capture().expect("the system tells of itself"),
    )
}

fn simple() -> Submission {
    submission(JobSpec::command(["true"]))
}

fn start() -> Start {
    let own = i32::try_from(std::process::id()).expect("a process id fits");
    Start::new(process::identify(own).expect("this process exists"), false, SystemClock.now())
}

fn ended(code: i32) -> Ended {
    let mut outcome = Outcome::new(Cause::Exited, SystemClock.now());
    outcome.exit_code = Some(code);
    Ended::new(Some(SystemClock.now()), outcome)
}

/// Creates a job and takes its lock, whatever the queue says.
async fn create_from(store: &dyn JobStore, submission: Submission) -> (JobId, Box<dyn JobClaim>) {
    let id = submission.job_id;
    store.create(submission).await.expect("the job is created");
    (id, store.claim(id).await.expect("the job is there").expect("nobody has it"))
}

async fn create(store: &dyn JobStore) -> (JobId, Box<dyn JobClaim>) {
    create_from(store, simple()).await
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} for {what}"),
    }
}
