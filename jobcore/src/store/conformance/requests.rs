//! Requests to the holder of a job.

use super::{Backend, create, soon, start};
use crate::control::{Answer, Request};
use crate::error::Error;

/// Requests from any handle reach the holder.
pub async fn a_request_is_answered_by_the_holder(backend: &Backend) {
    let store = backend.open();
    let (id, mut claim) = create(store.as_ref()).await;
    claim.start(&start()).await.expect("it is written");
    let holder = tokio::spawn(async move {
        for count in 1..=2 {
            let incoming = claim.next_request().await;
            assert_eq!(incoming.request, Request::Count);
            incoming.answer(Answer::processes(count));
        }
        claim
    });
    for count in 1..=2 {
        let answer = soon("an answer", backend.open().request(id, Request::Count)).await.expect("it is answered");
        assert_eq!(answer, Answer::processes(count));
    }
    drop(soon("the holder", holder).await.expect("no panic"));
}

/// If there is no answer, that is reported within a limited time.
pub async fn a_request_without_a_holder_is_not_answered(backend: &Backend) {
    let store = backend.open();
    let (id, mut claim) = create(store.as_ref()).await;
    claim.start(&start()).await.expect("it is written");
    let silent = soon("a refusal", store.request(id, Request::Count)).await;
    assert!(matches!(silent, Err(Error::NoAnswer { .. })), "{silent:?}");
    drop(claim);
    let nobody = soon("a refusal", store.request(id, Request::Count)).await;
    assert!(matches!(nobody, Err(Error::NoAnswer { .. })), "{nobody:?}");
}
