//! What was delivered to callers.

use super::Backend;
use crate::caller::Caller;
use crate::clock::{Clock, SystemClock};
use crate::error::Error;
use crate::store::InboxState;

/// An inbox has one holder at a time, and what is written to it is there for the next. A store may keep no inboxes.
pub async fn an_inbox_has_one_holder_and_keeps_what_was_written(backend: &Backend) {
    let (store, other) = (backend.open(), backend.open());
    let caller: Caller = "codex:1".parse().expect("a caller");
    if matches!(store.inbox_state(&caller).await, Err(Error::Unsupported { .. })) {
        return;
    }
    assert_eq!(store.inbox_state(&caller).await.expect("it is read"), None);
    let mut inbox = store.inbox(&caller).await.expect("it is there").expect("it is free");
    assert_eq!(inbox.state(), None);
    assert!(other.inbox(&caller).await.expect("it is there").is_none());
    let another = other.inbox(&"codex:2".parse().expect("a caller")).await.expect("it is there");
    assert!(another.is_some(), "it is that of another caller");
    for next in [70_000, 7] {
        let state = InboxState::new(caller.clone(), next, SystemClock.now());
        inbox.write(state.clone()).await.expect("it is written");
        assert_eq!(inbox.state(), Some(&state));
        assert_eq!(other.inbox_state(&caller).await.expect("it is read"), Some(state));
    }
    drop(inbox);
    let inbox = other.inbox(&caller).await.expect("it is there").expect("it was released");
    assert_eq!(inbox.state().map(|state| state.next), Some(7));
}
