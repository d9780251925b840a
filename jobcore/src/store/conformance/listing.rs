//! Which jobs there are.

use std::fmt;

use super::{Backend, create, create_from, ended, simple, start, submission};
use crate::clock::{SystemRandom, Timestamp};
use crate::id::JobId;
use crate::record::Submission;
use crate::spec::JobSpec;
use crate::state::Status;
use crate::store::Query;
use crate::store::query::Period;

/// Pages neither skip nor repeat.
pub async fn ids_are_listed_newest_first_and_in_pages(backend: &Backend) {
    let store = backend.open();
    let mut expected = Vec::new();
    // Over several days, which a store may keep separately.
    for day in 0..3_i64 {
        for minute in 0..3_i64 {
            let now = Timestamp::from_second(1_795_000_000 + day * 86_400 + minute * 60).expect("a time");
            let submission = simple();
            let id = JobId::mint(now, &SystemRandom).expect("there is randomness");
            let submission = Submission { job_id: id, submitted_at: now, ..submission };
            store.create(submission).await.expect("the job is created");
            expected.insert(0, id);
        }
    }
    assert_eq!(store.ids(&Query::default(), None, usize::MAX).await.expect("it is read"), expected);
    let mut paged: Vec<JobId> = Vec::new();
    loop {
        let page = store.ids(&Query::default(), paged.last().copied(), 2).await.expect("it is read");
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, expected);
}

fn text<T: std::str::FromStr<Err: fmt::Debug>>(text: &str) -> T {
    text.parse().expect("it is well formed")
}

/// A store may leave out unwanted jobs, and no others.
pub async fn no_wanted_job_is_left_out(backend: &Backend) {
    let store = backend.open();
    let mut jobs = Vec::new();
    for (number, (name, group, branch)) in
        [("one", "a", "main"), ("two", "a", "next"), ("three", "b", "main"), ("four", "b", "")].into_iter().enumerate()
    {
        let spec =
            JobSpec::shell(format!("make {name}")).cwd("/").name(text(name)).group(text(group)).label("branch", branch);
        let (id, mut claim) = create_from(store.as_ref(), submission(spec)).await;
        if number < 3 {
            claim.start(&start()).await.expect("it is written");
            claim.finish(&ended(i32::from(number != 0))).await.expect("it is written");
        }
        jobs.push((id, claim));
    }
    let id = |number: usize| jobs[number].0;
    let all = Query::default();
    let with_label = |value: &str| all.clone().with_labels(vec![("branch".to_owned(), value.to_owned())]);
    let long_ago = Timestamp::from_second(0).expect("a time");
    let period = |since, before| Period::new(since, before);
    let cases = [
        (all.clone().with_text(Some("MAKE T".to_owned())), vec![2, 1]),
        (all.clone().with_cwd(Some("/".into())), vec![3, 2, 1, 0]),
        (all.clone().with_name_pattern(Some(text("*o*"))), vec![3, 1, 0]),
        (all.clone().with_name_pattern(Some(text("two"))), vec![1]),
        (all.clone().with_exit_codes(vec![0]), vec![0]),
        (all.clone().with_exit_codes(vec![1, 2]), vec![2, 1]),
        (all.clone().with_ended(period(Some(long_ago), None)), vec![2, 1, 0]),
        (all.clone().with_ended(period(None, Some(long_ago))), vec![]),
        (all.clone().with_started(period(Some(long_ago), None)), vec![2, 1, 0]),
        (all.clone(), vec![3, 2, 1, 0]),
        (all.clone().with_name(Some(text("two"))), vec![1]),
        (all.clone().with_group(Some(text("b"))), vec![3, 2]),
        (with_label("main"), vec![2, 0]),
        (with_label(""), vec![3, 2, 1, 0]),
        (all.clone().with_statuses(vec![Status::Failed]), vec![2, 1]),
        (all.clone().with_statuses(vec![Status::Failed]).with_group(Some(text("a"))), vec![1]),
        (all.clone().with_statuses(vec![Status::Queued, Status::Completed]), vec![3, 0]),
        (all.clone().with_prefix(text(&id(2).tail())), vec![2]),
        (all.clone().with_times(Some(id(1).minted_at()), None), vec![3, 2, 1]),
        (all.clone().with_times(None, Some(id(0).minted_at())), vec![]),
    ];
    for (query, expected) in cases {
        let found = backend.open().ids(&query, None, usize::MAX).await.expect("it is read");
        for number in expected {
            assert!(found.contains(&id(number)), "{query:?} misses number {number}: {found:?}");
        }
        assert!(found.is_sorted_by(|a, b| a > b), "{found:?}");
    }
}

/// Ended jobs are counted by their status, and all others are listed.
pub async fn jobs_are_counted_by_their_end(backend: &Backend) {
    let store = backend.open();
    for code in [0, 1, 1] {
        let (_, mut claim) = create(store.as_ref()).await;
        claim.start(&start()).await.expect("it is written");
        claim.finish(&ended(code)).await.expect("it is written");
    }
    let (queued, _) = create(store.as_ref()).await;
    let (running, mut claim) = create(store.as_ref()).await;
    claim.start(&start()).await.expect("it is written");
    let mut tally = backend.open().tally().await.expect("it is read");
    tally.others.sort_unstable();
    assert_eq!(tally.ended, [(Status::Completed, 1), (Status::Failed, 2)].into());
    assert_eq!(tally.others, [queued, running]);
}
