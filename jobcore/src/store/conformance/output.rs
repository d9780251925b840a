//! What jobs write.

use super::{Backend, create, create_from, ended, start, submission};
use crate::clock::{Clock, SystemClock};
use crate::error::Error;
use crate::output::{Cursor, OutputQuery, Position, Stream, read};
use crate::spec::JobSpec;

/// Offsets count both streams together, in the order in which the bytes arrived.
pub async fn output_is_read_by_stream_and_by_cursor(backend: &Backend) {
    let store = backend.open();
    let (id, mut claim) = create(store.as_ref()).await;
    claim.start(&start()).await.expect("it is written");
    let now = SystemClock.now();
    for (stream, text) in [(Stream::Stdout, "one\n"), (Stream::Stderr, "bad\n"), (Stream::Stdout, "two\n")] {
        claim.append(stream, now, text.as_bytes()).await;
    }
    assert_eq!((claim.output().bytes, claim.output().dropped), (12, 0));
    let log = backend.open().log(id).await.expect("the job is there");
    let read = |query| read(log.as_ref(), 0, &query).expect("it is read");
    let all = read(OutputQuery::from(Position::Start));
    assert_eq!(all.bytes(None), b"one\nbad\ntwo\n");
    assert_eq!(all.bytes(Some(Stream::Stderr)), b"bad\n");
    assert_eq!(all.cursor, Cursor(12));
    let later = read(OutputQuery::from(Position::Cursor(Cursor(6))).with_stream(Some(Stream::Stdout)));
    assert_eq!(later.bytes(None), b"two\n");
    claim.append(Stream::Stdout, now, b"three\n").await;
    let more = crate::output::read(log.as_ref(), 0, &OutputQuery::from(Position::Cursor(all.cursor)));
    assert_eq!(more.expect("it is read").bytes(None), b"three\n");
}

/// What is kept is bounded, and what is dropped is reported in bytes.
pub async fn the_output_limit_keeps_the_beginning_and_the_end(backend: &Backend) {
    let store = backend.open();
    let submission = submission(JobSpec::command(["true"]).output_limit(64 * 1024));
    let (id, mut claim) = create_from(store.as_ref(), submission).await;
    claim.start(&start()).await.expect("it is written");
    let line = |number: u32| format!("line {number:08}\n");
    for number in 0..50_000 {
        claim.append(Stream::Stdout, SystemClock.now(), line(number).as_bytes()).await;
    }
    let written = 50_000 * 14;
    let size = store.evidence(id).await.expect("the job is there").output;
    assert_eq!(size.bytes, written);
    assert_eq!(claim.output(), size);
    let log = store.log(id).await.expect("the job is there");
    let query = OutputQuery::from(Position::Start).with_max_bytes(u64::MAX);
    let chunk = read(log.as_ref(), size.bytes, &query).expect("it is read");
    let kept = chunk.bytes(None);
    assert!(kept.len() <= 64 * 1024, "{}", kept.len());
    assert!(kept.len() > 48 * 1024, "{}", kept.len());
    assert!(kept.starts_with(line(0).as_bytes()));
    assert!(kept.ends_with(line(49_999).as_bytes()));
    assert_eq!(chunk.dropped(), size.dropped);
    assert_eq!(kept.len() as u64 + size.dropped, written);
}

/// It may be lost, but it is never partial or something else; and it is removed with the job.
pub async fn a_cache_returns_what_was_last_kept_or_nothing(backend: &Backend) {
    let (one, other) = (backend.open(), backend.open());
    let (id, mut claim) = create(one.as_ref()).await;
    assert_eq!(one.cached(id, "digest").await.expect("it is read"), None);
    for kept in [&b"first"[..], b"", &[0xff; 100_000]] {
        one.cache(id, "digest", kept).await.expect("the job is there");
        let cached = other.cached(id, "digest").await.expect("it is read");
        assert!(cached.is_none_or(|cached| cached == kept));
        assert_eq!(other.cached(id, "other").await.expect("it is read"), None);
    }
    claim.finish(&ended(0)).await.expect("it is written");
    drop(claim);
    one.remove(id).await.expect("it is removed");
    assert!(matches!(one.cached(id, "digest").await, Err(Error::NotFound { .. })));
    assert!(matches!(other.cache(id, "digest", b"x").await, Err(Error::NotFound { .. })));
}
