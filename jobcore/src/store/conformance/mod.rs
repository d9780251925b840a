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
//! The macro defines a test for each case, so that all backends run all of them. The cases are not a stable interface:
//! a new version may require more.

// In the order in which to read them:
// - `jobs.rs`, `names.rs`, `listing.rs`: records, names, and which jobs there are
// - `queue.rs`: which job starts next
// - `output.rs`, `events.rs`, `inboxes.rs`, `waiting.rs`, `requests.rs`: output, events, deliveries, waits and requests
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

/// How long a wait that should end may take.
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

/// Defines a test for each case of the contract of [`JobStore`], for the [`Backend`] that the
/// expression returns. The expression is evaluated once for each case.
#[macro_export]
macro_rules! store_conformance {
    ($backend:expr) => {
        $crate::store_conformance! { @cases $backend =>
            a_new_job_is_on_record_and_queued
            an_id_is_taken_only_once
            an_unknown_job_is_not_found
            a_claim_keeps_others_out_until_it_is_dropped
            one_of_many_concurrent_claims_wins
            records_are_read_as_they_were_written
            a_later_attempt_keeps_how_earlier_ones_ended
            an_end_is_never_replaced
            the_environment_is_kept_until_the_end_and_no_longer
            ids_are_listed_newest_first_and_in_pages
            no_wanted_job_is_left_out
            jobs_are_counted_by_their_end
            events_are_reported_in_order
            a_waiter_for_events_is_woken
            an_inbox_has_one_holder_and_keeps_what_was_written
            jobs_that_the_settings_do_not_keep_are_pruned
            jobs_are_due_in_order_and_once_each
            a_submitted_job_is_started_by_one_process
            a_job_that_was_not_started_is_due_again
            a_job_that_lost_its_holder_is_unattended_until_its_end
            no_more_jobs_run_than_the_limit_allows
            a_lent_slot_is_free_for_others
            concurrent_starters_exceed_no_limit
            a_group_has_a_queue_of_its_own
            a_full_store_may_refuse_jobs
            a_job_that_ended_in_the_queue_is_not_due
            jobs_keep_the_place_that_they_are_given
            a_submission_is_replaced_as_a_whole
            a_job_waits_for_others_and_is_skipped_if_they_fail
            a_job_that_others_wait_for_is_not_pruned
            resources_are_taken_and_given_back
            a_job_that_is_to_start_later_is_not_due
            a_job_that_waits_for_a_less_busy_machine_is_passed_over
            a_guard_keeps_all_jobs_from_being_due
            a_schedule_is_run_at_its_times_and_never_started
            one_of_many_concurrent_starters_runs_a_schedule
            a_name_is_taken_until_its_job_has_ended
            each_project_has_its_own_names
            a_key_makes_one_job
            concurrent_submissions_with_one_key_make_one_job
            output_is_read_by_stream_and_by_cursor
            the_output_limit_keeps_the_beginning_and_the_end
            a_waiter_is_woken_by_the_end
            a_waiter_is_woken_when_the_lock_is_released
            a_waiter_for_a_queued_job_is_woken_by_its_start
            a_follower_is_woken_by_output
            a_cache_returns_what_was_last_kept_or_nothing
            a_request_is_answered_by_the_holder
            a_request_without_a_holder_is_not_answered
            concurrent_changes_are_all_kept
            each_wait_ends_with_its_own_change_only
            a_held_job_is_not_removed
            a_removed_job_is_gone_for_every_handle
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
        crate::sys::world::capture().expect("the world of this process is known"),
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

/// Creates a job and takes its lock, regardless of the queue.
async fn create_from(store: &dyn JobStore, submission: Submission) -> (JobId, Box<dyn JobClaim>) {
    let id = submission.job_id;
    store.create(submission).await.expect("the job is created");
    (id, store.claim(id).await.expect("the job is there").expect("it is free"))
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
