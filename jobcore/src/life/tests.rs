use super::*;
use crate::spec::NotReady;

const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(1);
const TERMINATED: Option<Action> = Some(Action::Terminate);

fn life(spec: impl FnOnce(crate::JobSpecBuilder) -> crate::JobSpecBuilder) -> Life {
    Life::new(&spec(JobSpec::command(["true"]).grace(SECOND * 4)).build().unwrap())
}

fn exited(code: i32) -> Exit {
    Exit { code: Some(code), ..Exit::unseen(Timestamp::UNIX_EPOCH) }
}

fn died(signal: Signal) -> Exit {
    Exit { signal: Some(signal), ..Exit::unseen(Timestamp::UNIX_EPOCH) }
}

fn stop(life: &mut Life, grace: Option<Duration>, now: Duration) {
    life.stop(grace, "a caller".to_owned(), now);
}

fn recorded(grace: Duration) -> Option<Action> {
    Some(Action::RecordStop { cause: Cause::Stopped, requester: Some("a caller".to_owned()), grace })
}

/// Does everything that is due, for a job with no process but the main one.
fn due(life: &mut Life, now: Duration) -> Vec<Action> {
    std::iter::from_fn(|| life.next(now)).collect()
}

/// Its cause, and who stopped it.
fn why(outcome: &Outcome) -> (Cause, Option<&str>) {
    (outcome.cause, outcome.stopped_by.as_deref())
}

fn survivor() -> Survivor {
    Survivor::new(7, "deaf".to_owned(), "in an uninterruptible wait of the kernel".to_owned())
}

#[test]
fn a_main_process_that_leaves_nothing_ends_the_job_at_once() {
    let mut life = life(|spec| spec);
    assert_eq!((life.deadline(), life.next(SECOND)), (None, None));
    assert_eq!(life.end(|| true), None, "it runs");
    life.main_ended(exited(3), SECOND);
    assert_eq!(life.next(SECOND), None);
    let outcome = life.end(|| true).unwrap();
    assert_eq!((why(&outcome), outcome.exit_code, outcome.stragglers), ((Cause::Exited, None), Some(3), 0));
    assert_eq!(life.end(|| true), None, "it ends once");
}

#[test]
fn a_process_that_ends_within_the_last_words_is_no_straggler() {
    let mut life = life(|spec| spec);
    life.main_ended(exited(0), SECOND);
    assert_eq!(life.end(|| false), None);
    assert_eq!((life.deadline(), life.next(SECOND * 2 - SECOND)), (Some(SECOND + LAST_WORDS), None));
    assert_eq!(life.end(|| true).unwrap().stragglers, 0);
}

#[test]
fn stragglers_are_counted_and_then_stopped_without_a_record_of_a_stop() {
    let mut life = life(|spec| spec.stop_signal(Signal::INT));
    life.main_ended(exited(0), SECOND);
    let now = SECOND + LAST_WORDS;
    assert_eq!(life.next(now), Some(Action::Count));
    life.counted(2);
    assert_eq!(due(&mut life, now), [Action::Terminate]);
    assert_eq!(life.deadline(), Some(now + SECOND * 4));
    assert_eq!(life.next(now + SECOND * 4), Some(Action::Kill));
    let outcome = life.end(|| true).unwrap();
    assert_eq!((why(&outcome), outcome.stragglers), ((Cause::Exited, None), 2));
}

#[test]
fn stragglers_are_counted_and_left_if_the_spec_says_so() {
    let mut life = life(|spec| spec.stragglers(Stragglers::Leave));
    life.main_ended(exited(0), SECOND);
    assert_eq!(due(&mut life, SECOND), [Action::Count]);
    life.counted(2);
    let outcome = life.end(|| panic!("it is not needed")).unwrap();
    assert_eq!((why(&outcome), outcome.stragglers), ((Cause::Exited, None), 2));
    assert_eq!((life.deadline(), life.next(SECOND * 100)), (None, None), "they are left alone");
}

#[test]
fn stragglers_that_were_left_can_be_stopped_after_the_end() {
    let mut life = life(|spec| spec.stragglers(Stragglers::Leave));
    life.main_ended(exited(0), SECOND);
    assert_eq!(due(&mut life, SECOND), [Action::Count]);
    assert!(life.end(|| false).is_some());
    stop(&mut life, Some(SECOND), SECOND * 9);
    assert_eq!(due(&mut life, SECOND * 9), [Action::Terminate]);
    assert_eq!(due(&mut life, SECOND * 10), [Action::Kill]);
    assert_eq!(life.end(|| true), None, "the job had ended");
}

#[test]
fn a_stop_that_comes_with_the_end_is_carried_out_after_it() {
    let mut life = life(|spec| spec.stragglers(Stragglers::Leave));
    life.main_ended(exited(0), SECOND);
    stop(&mut life, None, SECOND);
    assert_eq!(due(&mut life, SECOND), [Action::Count, Action::Terminate]);
    assert_eq!(why(&life.end(|| false).unwrap()), (Cause::Exited, None));
    assert_eq!(life.deadline(), Some(SECOND * 5));
    assert_eq!(due(&mut life, SECOND * 5), [Action::Kill]);
}

#[test]
fn a_stop_is_recorded_and_then_asks_and_then_kills() {
    let mut life = life(|spec| spec);
    stop(&mut life, None, SECOND);
    assert_eq!((life.next(SECOND), life.next(SECOND), life.next(SECOND)), (recorded(SECOND * 4), TERMINATED, None));
    assert_eq!(life.next(SECOND * 5 - MOMENT), None);
    assert_eq!((life.deadline(), life.next(SECOND * 5)), (Some(SECOND * 5), Some(Action::Kill)));
    life.main_ended(died(Signal::KILL), SECOND * 5);
    let outcome = life.end(|| true).unwrap();
    assert_eq!(why(&outcome), (Cause::Stopped, Some("a caller")));
    assert_eq!((outcome.signal, outcome.stragglers), (Some(Signal::KILL), 0), "a stop names no stragglers");
}

#[test]
fn a_stop_asks_the_main_process_by_its_own_signal_for_half_of_the_grace() {
    let mut life = life(|spec| spec.stop_signal(Signal::INT));
    stop(&mut life, None, SECOND);
    assert_eq!(due(&mut life, SECOND)[1..], [Action::Ask(Signal::INT)]);
    assert_eq!((life.deadline(), life.next(SECOND * 3 - MOMENT)), (Some(SECOND * 3), None));
    assert_eq!(due(&mut life, SECOND * 3), [Action::Terminate]);
    assert_eq!(due(&mut life, SECOND * 5), [Action::Kill]);
}

#[test]
fn stragglers_of_a_stop_are_asked_at_once() {
    let mut life = life(|spec| spec.stop_signal(Signal::INT));
    stop(&mut life, None, SECOND);
    due(&mut life, SECOND);
    life.main_ended(exited(7), SECOND + MOMENT);
    assert_eq!(due(&mut life, SECOND + MOMENT), [Action::Terminate]);
    assert_eq!(life.end(|| false), None);
    assert_eq!(life.deadline(), Some(SECOND * 5), "the grace is that of the stop");
}

#[test]
fn a_main_process_that_cannot_be_asked_is_terminated_with_the_others() {
    let mut life = life(|spec| spec.stop_signal(Signal::INT));
    stop(&mut life, None, SECOND);
    assert_eq!(due(&mut life, SECOND)[1..], [Action::Ask(Signal::INT)]);
    life.cannot_ask();
    assert_eq!(due(&mut life, SECOND), [Action::Terminate]);
}

#[test]
fn a_second_stop_may_shorten_the_grace_and_does_not_ask_again() {
    let mut life = life(|spec| spec);
    stop(&mut life, None, SECOND);
    due(&mut life, SECOND);
    life.stop(Some(SECOND), "another".to_owned(), SECOND * 2);
    assert_eq!(due(&mut life, SECOND * 2), [recorded(SECOND).unwrap()], "the first requester is recorded");
    life.stop(Some(SECOND * 100), "another".to_owned(), SECOND * 2);
    assert_eq!((life.next(SECOND * 2), life.deadline()), (None, Some(SECOND * 3)), "it never gets longer");
}

#[test]
fn a_timeout_is_a_stop_without_a_requester() {
    let mut life = life(|spec| spec.timeout(SECOND));
    assert_eq!((life.deadline(), life.next(SECOND - MOMENT)), (Some(SECOND), None));
    let record = Action::RecordStop { cause: Cause::TimedOut, requester: None, grace: SECOND * 4 };
    assert_eq!(due(&mut life, SECOND), [record, Action::Terminate]);
    stop(&mut life, None, SECOND * 2);
    life.main_ended(exited(0), SECOND * 2);
    assert_eq!(why(&life.end(|| true).unwrap()), (Cause::TimedOut, None));
}

#[test]
fn a_job_that_has_ended_or_is_being_stopped_does_not_time_out() {
    let mut ended = life(|spec| spec.timeout(SECOND));
    ended.main_ended(exited(0), MOMENT);
    assert_eq!(ended.next(MOMENT), None);
    assert_eq!(why(&ended.end(|| true).unwrap()), (Cause::Exited, None));
    let mut stopped = life(|spec| spec.timeout(SECOND));
    stop(&mut stopped, None, MOMENT);
    assert_eq!(due(&mut stopped, SECOND).len(), 2);
    stopped.main_ended(died(Signal::TERM), SECOND);
    assert_eq!(why(&stopped.end(|| true).unwrap()), (Cause::Stopped, Some("a caller")));
}

#[test]
fn a_request_after_the_main_process_has_ended_did_not_end_the_job() {
    let mut life = life(|spec| spec);
    life.main_ended(exited(4), SECOND);
    stop(&mut life, Some(Duration::ZERO), SECOND);
    assert_eq!(due(&mut life, SECOND), [Action::Count, Action::Terminate, Action::Kill]);
    life.counted(1);
    let outcome = life.end(|| true).unwrap();
    assert_eq!((why(&outcome), outcome.stragglers), ((Cause::Exited, None), 1));
}

#[test]
fn killing_is_repeated_until_it_is_given_up_and_the_survivors_are_named() {
    let mut life = life(|spec| spec);
    stop(&mut life, Some(Duration::ZERO), SECOND);
    due(&mut life, SECOND);
    life.main_ended(died(Signal::KILL), SECOND);
    assert_eq!(due(&mut life, SECOND), [Action::Kill], "it may have kept others from ending");
    assert_eq!(life.deadline(), Some(SECOND + KILL_AGAIN));
    assert_eq!(due(&mut life, SECOND + KILL_AGAIN), [Action::KillAgain]);
    assert_eq!(life.end(|| false), None);
    assert_eq!(due(&mut life, SECOND + DYING), [Action::GiveUp]);
    life.survived(vec![survivor()]);
    let outcome = life.end(|| false).unwrap();
    assert_eq!(outcome.survivors, [survivor()]);
    assert_eq!((life.deadline(), life.next(SECOND * 100)), (None, None), "it is not tried forever");
}

#[test]
fn a_main_process_that_cannot_be_killed_keeps_the_job_from_ending() {
    let mut life = life(|spec| spec);
    stop(&mut life, Some(Duration::ZERO), SECOND);
    due(&mut life, SECOND);
    assert_eq!(due(&mut life, SECOND + DYING), [Action::GiveUp]);
    life.survived(vec![survivor()]);
    assert_eq!(life.end(|| false), None);
    assert_eq!((life.deadline(), due(&mut life, SECOND + DYING * 2)), (Some(SECOND + DYING * 2), vec![Action::GiveUp]));
    life.survived(vec![survivor()]);
    life.main_ended(died(Signal::KILL), SECOND + DYING * 3);
    assert_eq!(life.end(|| false), None, "what it kept from ending is killed first");
    assert_eq!(due(&mut life, SECOND + DYING * 3), [Action::Kill]);
    assert_eq!(life.end(|| true).unwrap().survivors, []);
}

#[test]
fn children_of_a_killed_process_are_killed_when_it_has_ended() {
    let mut life = life(|spec| spec);
    stop(&mut life, None, SECOND);
    due(&mut life, SECOND);
    life.child_ended(SECOND);
    assert_eq!(life.next(SECOND), None, "nothing has been killed yet");
    assert_eq!(due(&mut life, SECOND * 5), [Action::Kill]);
    life.child_ended(SECOND * 5 + MOMENT);
    assert_eq!(due(&mut life, SECOND * 5 + MOMENT), [Action::KillAgain]);
}

#[test]
fn dying_of_a_sent_signal_counts_as_requested() {
    for (dies_of, expected) in [
        (Signal::INT, (Cause::Stopped, Some("a caller"))),
        (Signal::TERM, (Cause::Signalled, None)),
        (Signal::CONT, (Cause::Signalled, None)),
    ] {
        let mut life = life(|spec| spec);
        assert_eq!(life.signal(Signal::INT, "a caller".to_owned(), SECOND, || Ok(())), Answer::Accepted);
        let refused = life.signal(Signal::CONT, "a caller".to_owned(), SECOND, || Err("no".to_owned()));
        assert_eq!(refused, Answer::Refused { reason: "no".to_owned() });
        life.main_ended(died(dies_of), SECOND);
        assert_eq!(why(&life.end(|| true).unwrap()), expected, "{dies_of}");
    }
}

#[test]
fn no_signal_is_sent_to_a_main_process_that_has_ended() {
    let mut life = life(|spec| spec);
    life.main_ended(exited(0), SECOND);
    let refused = life.signal(Signal::INT, "a caller".to_owned(), SECOND, || panic!("it may belong to another job"));
    assert_eq!(refused, Answer::Refused { reason: "its main process has ended".to_owned() });
}

fn pauses(since: Duration, before: Duration) -> [Action; 2] {
    [Action::NotePause { since: Some(since), before }, Action::Pause]
}

fn goes_on(before: Duration) -> [Action; 2] {
    [Action::Continue, Action::NotePause { since: None, before }]
}

/// Pauses a job whose processes all stop at once.
fn pause(life: &mut Life, now: Duration, before: Duration) {
    life.pause(now).unwrap();
    assert_eq!([life.next(now), life.next(now)], pauses(now, before).map(Some));
    life.stands_still(Vec::new(), now);
    assert_eq!(life.next(now), None);
}

fn resume(life: &mut Life, now: Duration, before: Duration) {
    life.resume(now).unwrap();
    assert_eq!(due(life, now), goes_on(before));
}

#[test]
fn the_clock_of_a_paused_job_stands_still() {
    let mut life = life(|spec| spec.timeout(SECOND * 10).stall(SECOND * 4));
    life.moved(SECOND * 3);
    pause(&mut life, SECOND * 3, Duration::ZERO);
    assert_eq!((life.deadline(), life.next(SECOND * 1000)), (None, None));
    resume(&mut life, SECOND * 1000, SECOND * 997);
    assert_eq!(life.deadline(), Some(SECOND * 1001), "it may do nothing for as long as before");
    life.moved(SECOND * 1006);
    pause(&mut life, SECOND * 1006, SECOND * 997);
    resume(&mut life, SECOND * 1008, SECOND * 999);
    life.moved(SECOND * 1008);
    assert_eq!(due(&mut life, SECOND * 1009 - MOMENT), []);
    assert_eq!(life.deadline(), Some(SECOND * 1009));
    life.moved(SECOND * 1009 - MOMENT);
    assert_eq!(due(&mut life, SECOND * 1009)[1], Action::Terminate);
}

#[test]
fn a_pause_is_retried_until_everything_is_stopped_but_not_forever() {
    let mut life = life(|spec| spec);
    life.pause(SECOND).unwrap();
    assert_eq!([life.next(SECOND), life.next(SECOND)], pauses(SECOND, Duration::ZERO).map(Some));
    life.stands_still(vec![survivor()], SECOND);
    assert_eq!(life.pause_answer(), Answer::Processes { count: 1, survivors: vec![survivor()] });
    let mut tries = 0;
    while let Some(at) = life.deadline() {
        assert_eq!(life.next(at), Some(Action::Pause));
        life.stands_still(vec![survivor()], at);
        tries += 1;
    }
    assert!((10..1000).contains(&tries), "{tries}");
    // A second request tries again.
    life.pause(SECOND * 60).unwrap();
    assert_eq!(life.next(SECOND * 60), Some(Action::Pause));
    life.stands_still(Vec::new(), SECOND * 60);
    assert_eq!((life.pause_answer(), life.deadline()), (Answer::processes(0), None));
    // Its end may have left others running.
    life.child_ended(SECOND * 61);
    assert_eq!(life.next(SECOND * 61), Some(Action::Pause));
}

#[test]
fn pausing_twice_and_resuming_twice_change_nothing() {
    let mut life = life(|spec| spec);
    life.resume(SECOND).unwrap();
    assert_eq!(due(&mut life, SECOND), [Action::Continue], "others may have stopped its processes");
    pause(&mut life, SECOND, Duration::ZERO);
    life.pause(SECOND * 2).unwrap();
    assert_eq!(life.next(SECOND * 2), Some(Action::Pause));
    life.stands_still(Vec::new(), SECOND * 2);
    resume(&mut life, SECOND * 3, SECOND * 2);
    life.resume(SECOND * 4).unwrap();
    assert_eq!(due(&mut life, SECOND * 4), [Action::Continue]);
    pause(&mut life, SECOND * 5, SECOND * 2);
    assert_eq!(life.signal(Signal::CONT, "a caller".to_owned(), SECOND * 6, || Ok(())), Answer::Accepted);
    assert_eq!(due(&mut life, SECOND * 6), goes_on(SECOND * 3));
}

#[test]
fn a_paused_job_is_stopped_at_once_and_cannot_be_paused_again() {
    let mut life = life(|spec| spec);
    pause(&mut life, SECOND, Duration::ZERO);
    stop(&mut life, None, SECOND * 2);
    let [go_on, note] = goes_on(SECOND);
    assert_eq!(due(&mut life, SECOND * 2), [recorded(SECOND * 4).unwrap(), Action::Terminate, go_on, note]);
    assert_eq!(life.pause(SECOND * 3), Err("it is being stopped".to_owned()));
    life.main_ended(died(Signal::TERM), SECOND * 3);
    assert!(life.end(|| true).is_some());
    assert_eq!(life.pause(SECOND * 4), Err("it has ended".to_owned()));
    assert_eq!(life.resume(SECOND * 4), Err("it has ended".to_owned()));
}

/// Its main process was killed from outside.
#[test]
fn stragglers_of_a_paused_job_stay_stopped_until_it_is_resumed() {
    for rule in [Stragglers::Stop, Stragglers::Leave] {
        let mut life = life(|spec| spec.stragglers(rule));
        pause(&mut life, SECOND, Duration::ZERO);
        life.main_ended(died(Signal::KILL), SECOND * 2);
        assert_eq!(life.next(SECOND * 60), Some(Action::Pause));
        life.stands_still(Vec::new(), SECOND * 60);
        assert_eq!((life.next(SECOND * 60), life.end(|| false), life.deadline()), (None, None, None));
        life.resume(SECOND * 100).unwrap();
        let [go_on, note] = goes_on(SECOND * 99);
        match rule {
            Stragglers::Stop => {
                assert_eq!(due(&mut life, SECOND * 100), [go_on, note]);
                assert_eq!(life.deadline(), Some(SECOND * 100 + LAST_WORDS));
            }
            Stragglers::Leave => {
                assert_eq!(due(&mut life, SECOND * 100), [Action::Count, go_on, note]);
                assert!(life.end(|| false).is_some());
            }
        }
    }
}

#[test]
fn a_pause_outlives_its_driver() {
    let mut life = life(|spec| spec.timeout(SECOND * 10));
    life.resume_pause(Some(SECOND * 8), SECOND * 5, SECOND * 30);
    assert!(life.is_paused());
    assert_eq!(life.next(SECOND * 30), Some(Action::Pause));
    life.stands_still(Vec::new(), SECOND * 30);
    resume(&mut life, SECOND * 40, SECOND * 37);
    assert_eq!(life.deadline(), Some(SECOND * 47));
}

fn awaited(rule: NotReady) -> Life {
    life(|spec| spec.ready("file:x".parse().unwrap()).ready_timeout(SECOND * 5).not_ready(rule))
}

#[test]
fn a_job_becomes_ready_once_and_then_has_no_time_limit_for_it() {
    let mut life = awaited(NotReady::Stop);
    assert_eq!((life.awaits_readiness(), life.deadline()), (true, Some(SECOND * 5)));
    life.is_ready();
    assert_eq!(due(&mut life, SECOND), [Action::NoteReady]);
    life.is_ready();
    assert_eq!((due(&mut life, SECOND * 60), life.deadline()), (vec![], None));
    assert!(!life.awaits_readiness());
    // Readiness in its last moment is recorded, too.
    let mut life = awaited(NotReady::Stop);
    life.is_ready();
    life.main_ended(exited(0), SECOND);
    assert_eq!(life.next(SECOND), Some(Action::NoteReady));
    assert!(!awaits_nothing().awaits_readiness());
}

fn awaits_nothing() -> Life {
    let mut life = life(|spec| spec);
    life.is_ready();
    assert_eq!(life.next(SECOND), None);
    life
}

#[test]
fn a_job_that_is_not_ready_in_time_is_stopped_or_reported() {
    let mut stopped = awaited(NotReady::Stop);
    let record = Action::RecordStop { cause: Cause::NotReady, requester: None, grace: SECOND * 4 };
    assert_eq!(due(&mut stopped, SECOND * 5), [record, Action::Terminate]);
    stopped.is_ready();
    stopped.main_ended(died(Signal::TERM), SECOND * 6);
    assert_eq!(why(&stopped.end(|| true).unwrap()), (Cause::NotReady, None));
    let mut goes_on = awaited(NotReady::Continue);
    pause(&mut goes_on, SECOND, Duration::ZERO);
    assert!(!goes_on.awaits_readiness());
    resume(&mut goes_on, SECOND * 3, SECOND * 2);
    assert_eq!(goes_on.deadline(), Some(SECOND * 7));
    assert_eq!(due(&mut goes_on, SECOND * 7), [Action::NoteNotReady]);
    assert_eq!((goes_on.deadline(), goes_on.awaits_readiness()), (None, true));
    goes_on.is_ready();
    assert_eq!(due(&mut goes_on, SECOND * 8), [Action::NoteReady]);
}

#[test]
fn readiness_is_not_reported_again_by_the_next_driver() {
    let mut ready = awaited(NotReady::Stop);
    ready.resume_readiness(true, SECOND * 60);
    assert_eq!((due(&mut ready, SECOND * 60), ready.awaits_readiness()), (vec![], false));
    let mut late = awaited(NotReady::Continue);
    late.resume_readiness(false, SECOND * 60);
    assert_eq!((due(&mut late, SECOND * 60), late.awaits_readiness()), (vec![], true));
    let mut stopped = awaited(NotReady::Stop);
    stopped.resume_readiness(false, SECOND * 60);
    assert_eq!(due(&mut stopped, SECOND * 60).len(), 2);
}

#[test]
fn the_kernel_is_blamed_only_without_a_request() {
    let killed = Exit { is_out_of_memory: true, ..died(Signal::KILL) };
    let mut alone = life(|spec| spec);
    alone.main_ended(killed, SECOND);
    assert_eq!(why(&alone.end(|| true).unwrap()), (Cause::Oom, None));
    let mut stopped = life(|spec| spec);
    stop(&mut stopped, None, SECOND);
    stopped.main_ended(killed, SECOND);
    assert_eq!(why(&stopped.end(|| true).unwrap()), (Cause::Stopped, Some("a caller")));
}

#[test]
fn an_unseen_end_is_not_made_up() {
    let mut life = life(|spec| spec);
    life.main_ended(Exit::unseen(Timestamp::UNIX_EPOCH), SECOND);
    let outcome = life.end(|| true).unwrap();
    assert_eq!((why(&outcome), outcome.exit_code, outcome.signal), ((Cause::SupervisorLost, None), None, None));
}

#[test]
fn the_first_end_of_a_main_process_is_its_only_one() {
    let mut life = life(|spec| spec);
    life.main_ended(exited(0), SECOND);
    life.main_ended(exited(9), SECOND * 2);
    assert_eq!(life.end(|| true).unwrap().exit_code, Some(0));
}

#[test]
fn a_stop_is_resumed_with_the_rest_of_its_grace() {
    let mut life = life(|spec| spec);
    life.resume_stop(Cause::TimedOut, None, SECOND, SECOND * 60);
    let record = Action::RecordStop { cause: Cause::TimedOut, requester: None, grace: SECOND };
    assert_eq!(due(&mut life, SECOND * 60), [record, Action::Terminate]);
    assert!(life.was_stopped());
    assert_eq!(due(&mut life, SECOND * 61), [Action::Kill]);
}

/// Reports the CPU time whenever that is due until this age, and returns what was to be noted, and when.
fn watch(
    life: &mut Life,
    until: Duration,
    cpu: impl Fn(Duration) -> Option<Duration>,
) -> Vec<(Duration, Option<Duration>)> {
    let mut noted = Vec::new();
    while let Some(now) = life.deadline().filter(|at| *at <= until) {
        while let Some(action) = life.next(now) {
            match action {
                Action::LookAtUse => life.used(cpu(now), now),
                Action::NoteStall { since } => noted.push((now, since)),
                other => panic!("{other:?}"),
            }
        }
    }
    noted
}

#[test]
fn an_idle_job_is_reported_as_stalled_once_until_it_continues() {
    let mut life = life(|spec| spec.stall(SECOND * 4));
    let still = |_| Some(SECOND);
    assert_eq!(watch(&mut life, SECOND * 4, still), [], "its use before the first look is unknown");
    assert_eq!(watch(&mut life, SECOND * 60, still), [(SECOND * 5, Some(SECOND))]);
    life.moved(SECOND * 61);
    assert_eq!(watch(&mut life, SECOND * 62, still), [(SECOND * 62, None)]);
    assert_eq!(watch(&mut life, SECOND * 90, still), [(SECOND * 66, Some(SECOND * 62))]);
    let works = |now: Duration| Some(now / 2);
    assert_eq!(watch(&mut life, SECOND * 120, works), [(SECOND * 91, None)]);
    life.main_ended(exited(0), SECOND * 121);
    assert_eq!(life.deadline(), Some(SECOND * 121 + LAST_WORDS), "its CPU time is no longer checked");
}

#[test]
fn a_job_that_works_or_is_paused_is_not_stalled_but_one_that_only_ticks_is() {
    let stalls = |cpu: &dyn Fn(Duration) -> Option<Duration>| {
        let mut life = life(|spec| spec.stall(SECOND * 4));
        watch(&mut life, SECOND * 60, cpu).len()
    };
    assert_eq!(stalls(&|now| Some(now / 100)), 0);
    assert_eq!(stalls(&|_| None), 0);
    assert_eq!(stalls(&|now| Some(now / 2000)), 1);
    // When a process ends that was never waited for, its time disappears.
    assert_eq!(stalls(&|now| Some(SECOND * 100 - now)), 0);
}

#[test]
fn a_stalled_job_is_stopped_if_its_spec_says_so() {
    let mut stopped = life(|spec| spec.stall(SECOND * 4).stall_stop(true));
    assert_eq!(watch(&mut stopped, SECOND * 4, |_| Some(SECOND)), []);
    assert_eq!(stopped.next(SECOND * 5), Some(Action::LookAtUse));
    stopped.used(Some(SECOND), SECOND * 5);
    let record = Action::RecordStop { cause: Cause::Stalled, requester: None, grace: SECOND * 4 };
    assert_eq!(due(&mut stopped, SECOND * 5), [record, Action::Terminate]);
    stopped.main_ended(died(Signal::TERM), SECOND * 6);
    assert_eq!(why(&stopped.end(|| true).unwrap()), (Cause::Stalled, None));
}

#[test]
fn a_stall_reported_by_the_previous_driver_is_not_reported_again() {
    let mut life = life(|spec| spec.stall(SECOND * 4));
    life.resume_stall();
    assert_eq!(watch(&mut life, SECOND * 60, |_| Some(SECOND)), []);
    life.moved(SECOND * 60);
    assert_eq!(life.next(SECOND * 60), Some(Action::NoteStall { since: None }));
}

#[test]
fn the_command_is_started_again_after_the_delay() {
    let spec = JobSpec::command(["true"]).timeout(SECOND).build().unwrap();
    let mut life = Life::between_attempts(&spec, SECOND * 5);
    assert!(life.is_wanted() && !life.is_active() && !life.has_exited());
    assert_eq!((life.deadline(), life.next(SECOND * 5 - MOMENT)), (Some(SECOND * 5), None), "no timeout in between");
    assert_eq!(life.end(|| true), None);
    assert_eq!(life.next(SECOND * 5), Some(Action::StartAgain));
}

#[test]
fn between_two_attempts_a_job_can_only_be_stopped() {
    let spec = JobSpec::command(["true"]).build().unwrap();
    let mut life = Life::between_attempts(&spec, SECOND * 5);
    assert!(life.pause(SECOND).unwrap_err().contains("is not running"));
    let sent = life.signal(Signal::TERM, "a caller".to_owned(), SECOND, || panic!("there is no process to send it to"));
    assert!(matches!(sent, Answer::Refused { .. }), "{sent:?}");
    stop(&mut life, Some(SECOND), SECOND);
    assert_eq!(life.deadline(), Some(Duration::ZERO));
    assert_eq!((life.next(SECOND), life.next(SECOND)), (recorded(SECOND), Some(Action::CallOff)));
    life.called_off(Timestamp::UNIX_EPOCH, SECOND);
    assert_eq!((life.next(SECOND), life.next(SECOND)), (TERMINATED, None));
    assert_eq!(why(&life.end(|| true).unwrap()), (Cause::Stopped, Some("a caller")));
    assert_eq!(life.end(|| true), None, "it ends once");
}

fn not_renewed() -> Action {
    Action::RecordStop { cause: Cause::Stopped, requester: Some("the end of its lease".to_owned()), grace: SECOND * 4 }
}

#[test]
fn a_job_is_stopped_at_the_end_of_its_lease_even_if_it_is_paused() {
    let mut renewed = life(|spec| spec.lease(SECOND * 10));
    assert_eq!((renewed.deadline(), renewed.next(SECOND * 9)), (Some(SECOND * 10), None));
    renewed.renew(SECOND * 9).unwrap();
    assert_eq!(renewed.next(SECOND * 9), Some(Action::NoteLease { rest: SECOND * 10 }));
    assert_eq!((renewed.deadline(), renewed.next(SECOND * 19 - MOMENT)), (Some(SECOND * 19), None));
    pause(&mut renewed, SECOND * 12, Duration::ZERO);
    assert_eq!(renewed.next(SECOND * 19), Some(not_renewed()));
    assert!(renewed.renew(SECOND * 19).unwrap_err().contains("is being stopped"));
    let mut without = life(|spec| spec);
    assert!(without.renew(SECOND).unwrap_err().contains("has no lease"));
}

#[test]
fn a_lease_outlives_attempts_and_drivers() {
    let spec = JobSpec::command(["true"]).lease(SECOND * 10).grace(SECOND * 4).build().unwrap();
    let first = Life::new(&spec);
    let mut between = Life::between_attempts(&spec, SECOND * 3).with_lease_of(&first, SECOND * 4);
    assert_eq!(between.next(Duration::ZERO), Some(Action::NoteLease { rest: SECOND * 6 }));
    assert_eq!(between.deadline(), Some(SECOND * 3));
    let mut second = Life::new(&spec).with_lease_of(&between, SECOND * 3);
    assert_eq!(second.next(Duration::ZERO), Some(Action::NoteLease { rest: SECOND * 3 }));
    assert_eq!((second.next(SECOND * 3 - MOMENT), second.next(SECOND * 3)), (None, Some(not_renewed())));

    let mut over = Life::between_attempts(&spec, SECOND * 30);
    assert_eq!(over.deadline(), Some(SECOND * 10));
    assert_eq!((over.next(SECOND * 10), over.next(SECOND * 10)), (Some(not_renewed()), Some(Action::CallOff)));

    let mut resumed = Life::new(&spec);
    resumed.resume_lease(SECOND * 2, SECOND * 20);
    assert_eq!((resumed.next(SECOND * 21), resumed.next(SECOND * 22)), (None, Some(not_renewed())));
}
