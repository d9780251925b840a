//! Property tests for the control pipe.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::control::{Answer, FRAME, Frame, PROTOCOL_VERSION, Request};
use crate::fuzzing;
use crate::generate::{cases, damaged};
use crate::signal::Signal;
use crate::store::file::control::parse_request;
use crate::sys::pty::TerminalSize;

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        (any::<Option<u64>>(), any::<String>())
            .prop_map(|(ms, who)| Request::stop(ms.map(Duration::from_millis), &who)),
        (any::<i32>(), any::<String>()).prop_map(|(number, who)| Request::signal(Signal::from_number(number), &who)),
        Just(Request::Count),
        Just(Request::EndInput),
        Just(Request::Resize { size: TerminalSize::default() }),
    ]
}

fn samples() -> Vec<Vec<u8>> {
    let requests = [Request::stop(None, "x"), Request::signal(Signal::TERM, "x"), Request::Count, Request::EndInput];
    let frame = |body| Frame { v: PROTOCOL_VERSION, request_id: 7, body }.to_bytes().to_vec();
    requests.into_iter().map(frame).chain([br#"{"answer":"refused","reason":"x"}"#.to_vec()]).collect()
}

proptest! {
    #![proptest_config(cases(256))]

    /// A frame has room for any request from any requester.
    #[test]
    fn a_request_arrives_as_it_was_sent(body in request(), request_id in any::<u64>()) {
        let frame = Frame { v: u32::MAX, request_id, body };
        let bytes = frame.to_bytes();
        prop_assert_eq!(bytes.len(), FRAME);
        prop_assert_eq!(parse_request(&bytes).unwrap(), (request_id, frame.body));
    }

    /// An answer need not fit, but then it is not an answer: a truncated one is never taken for another.
    #[test]
    fn an_answer_arrives_as_it_was_sent_or_not_at_all(reason in any::<String>(), request_id in any::<u64>()) {
        let frame = Frame { v: PROTOCOL_VERSION, request_id, body: Answer::Refused { reason } };
        if let Ok(read) = serde_json::from_slice::<Frame<Answer>>(&frame.to_bytes()) {
            prop_assert_eq!(read, frame);
        }
    }

    #[test]
    fn damaged_requests_are_refused(bytes in prop_oneof![3 => damaged(samples()), 1 => vec(any::<u8>(), 0..FRAME)]) {
        fuzzing::request(&bytes);
    }
}
