use super::*;
use crate::db::breaker::state::ByHand;

const OPEN_FOR: Duration = Duration::from_secs(30);

fn machine() -> Machine {
    Machine::new(BreakerSettings {
        threshold: 5,
        open_for: OPEN_FOR,
    })
}

/// The window's seconds don't matter here: all calls fall into one.
fn moment(at: Instant) -> Moment {
    Moment { at, second: 7 }
}

fn failure() -> Outcome {
    Outcome::Failure {
        cause: Cause {
            text: "lock held".into(),
            told: Told::Busy,
        },
    }
}

fn by_hand(forced_open: bool, until: Option<Instant>) -> ByHand {
    ByHand {
        forced_open,
        until,
        cause: "by hand".into(),
    }
}

const SUCCESS: Outcome = Outcome::Success;

fn slow(operation: &'static str, worked: bool) -> Outcome {
    Outcome::Slow { operation, worked }
}

fn call(m: &mut Machine, at: Instant, operation: u64, outcome: Outcome) -> Option<Transition> {
    let (ticket, moved) = m.acquire(at);
    m.settle(moment(at), ticket.expect("permitted"), operation, outcome, 0.5)
        .or(moved)
}

fn opened(start: Instant) -> Machine {
    let mut m = machine();
    for operation in 0..5 {
        call(&mut m, start, operation, failure());
    }
    assert_eq!(m.state().name(), "OPEN");
    m
}

#[test]
fn exactly_the_fifth_consecutive_failure_opens() {
    let start = Instant::now();
    let mut m = machine();
    for operation in 0..4 {
        assert_eq!(call(&mut m, start, operation, failure()), None);
    }
    call(&mut m, start, 9, SUCCESS);
    for operation in 0..4 {
        assert_eq!(call(&mut m, start, operation, failure()), None);
    }
    let opened = call(&mut m, start, 4, failure()).expect("opens");
    assert_eq!(
        (opened.from, opened.to, opened.cause.as_str()),
        ("CLOSED", "OPEN", "lock held")
    );
}

#[test]
fn one_operation_alone_cannot_open_it() {
    let start = Instant::now();
    let mut m = machine();
    for _ in 0..10 {
        assert_eq!(call(&mut m, start, 7, failure()), None);
    }
    assert!(call(&mut m, start, 8, failure()).is_some());
}

#[test]
fn half_the_calls_failing_opens_it_from_twenty_calls_on() {
    let start = Instant::now();
    let mut m = machine();
    for operation in 0..10 {
        call(&mut m, start, operation, SUCCESS);
        let moved = call(&mut m, start, operation, failure());
        assert_eq!(moved.is_some(), operation == 9, "call {operation}");
    }
}

#[test]
fn slow_calls_of_several_operations_open_it() {
    let start = Instant::now();
    let mut m = machine();
    let names = ["data.list", "data.search"];
    let moved: Vec<_> = (0..20)
        .filter_map(|o| call(&mut m, start, o, slow(names[o as usize % 2], o % 3 == 0)))
        .collect();
    assert_eq!(moved.len(), 1);
    assert_eq!(
        (m.state().name(), m.cause(), m.told),
        ("OPEN", "20 of 20 calls were slow", Told::Unavailable)
    );
}

#[test]
fn one_slow_query_called_over_and_over_does_not_open_it() {
    let start = Instant::now();
    let mut m = machine();
    for operation in 0..200 {
        assert_eq!(call(&mut m, start, operation, slow("data.search", false)), None);
    }
    assert!(call(&mut m, start, 200, slow("health.read", true)).is_some());
}

#[test]
fn a_slow_probe_reopens_for_longer() {
    let start = Instant::now();
    for worked in [true, false] {
        let mut m = opened(start);
        let moved = call(&mut m, start + OPEN_FOR, 9, slow("health.read", worked)).expect("reopens");
        assert_eq!((moved.to, moved.cause.as_str()), ("OPEN", "still slow: health.read"));
        let longer = OPEN_FOR.mul_f64(ESCALATION);
        assert!(m.peek(start + OPEN_FOR + longer - Duration::from_millis(1)).is_err());
        assert!(m.peek(start + OPEN_FOR + longer).is_ok());
    }
}

#[test]
fn what_was_stopped_neither_ends_a_row_of_failures_nor_extends_it() {
    let start = Instant::now();
    for (worked, opens) in [(false, true), (true, false)] {
        let mut m = machine();
        for operation in 0..4 {
            call(&mut m, start, operation, failure());
        }
        assert_eq!(call(&mut m, start, 4, slow("data.search", worked)), None);
        assert_eq!(call(&mut m, start, 5, failure()).is_some(), opens);
    }
}

#[test]
fn ignored_outcomes_change_nothing() {
    let start = Instant::now();
    let mut m = machine();
    for operation in 0..4 {
        call(&mut m, start, operation, failure());
    }
    call(&mut m, start, 5, Outcome::Ignored);
    assert!(
        call(&mut m, start, 6, failure()).is_some(),
        "an ignored result does not break the streak"
    );
}

#[test]
fn open_refuses_with_the_time_left_and_the_cause() {
    let start = Instant::now();
    let mut m = opened(start);
    let (refused, _) = m.acquire(start + Duration::from_secs(10));
    let refusal = refused.expect_err("open");
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(20)));
    assert_eq!(
        (refusal.cause.text.as_str(), refusal.cause.told),
        ("lock held", Told::Busy)
    );
    assert!(m.peek(start + OPEN_FOR).is_ok());
}

#[test]
fn half_open_lets_calls_back_gradually_and_closes_after_three_successes() {
    let start = Instant::now();
    let mut m = opened(start);
    let at = start + OPEN_FOR;
    let (first, moved) = m.acquire(at);
    assert_eq!(moved.expect("moves").to, "HALF_OPEN");
    assert!(m.acquire(at).0.is_err(), "one probe at first");
    m.settle(moment(at), first.expect("probe"), 1, SUCCESS, 0.5);
    let second: Vec<_> = (0..3).filter_map(|_| m.acquire(at).0.ok()).collect();
    assert_eq!(second.len(), 2, "then two");
    m.settle(moment(at), second[0], 2, SUCCESS, 0.5);
    let closed = m.settle(moment(at), second[1], 3, SUCCESS, 0.5).expect("closes");
    assert_eq!(closed.to, "CLOSED");
}

#[test]
fn a_failed_probe_reopens_for_half_as_long_again_up_to_five_minutes() {
    let start = Instant::now();
    let mut m = opened(start);
    let mut at = start;
    let mut spans = Vec::new();
    for operation in 0..9 {
        at = m.retry_at(at).expect("open");
        let (probe, _) = m.acquire(at);
        m.settle(moment(at), probe.expect("probe"), operation, failure(), 0.5);
        spans.push((m.retry_at(at).expect("open") - at).as_secs());
    }
    assert_eq!(spans, [45, 67, 101, 151, 227, 300, 300, 300, 300]);
    let _ = at;
}

#[test]
fn fault_27_a_hung_probe_loses_its_lease_and_its_late_result_counts_for_nothing() {
    let start = Instant::now();
    let mut m = opened(start);
    let at = start + OPEN_FOR;
    let hung = m.acquire(at).0.expect("probe");
    assert!(m.acquire(at + LEASE / 2).0.is_err());
    let later = at + LEASE;
    let next = m.acquire(later).0.expect("the lease ran out");
    assert_eq!(m.settle(moment(later), hung, 1, failure(), 0.5), None);
    assert_eq!(m.state().name(), "HALF_OPEN");
    m.settle(moment(later), next, 2, SUCCESS, 0.5);
    assert!(matches!(m.state(), State::HalfOpen { successes: 1, .. }));
}

#[test]
fn fault_27_a_probe_without_a_verdict_gives_its_place_back() {
    let start = Instant::now();
    let mut m = opened(start);
    let at = start + OPEN_FOR;
    let probe = m.acquire(at).0.expect("probe");
    m.settle(moment(at), probe, 1, Outcome::Ignored, 0.5);
    assert!(m.acquire(at).0.is_ok());
}

#[test]
fn fault_28_a_result_of_an_older_generation_changes_nothing() {
    let start = Instant::now();
    let mut m = machine();
    let old = m.acquire(start).0.expect("closed");
    for operation in 0..5 {
        call(&mut m, start, operation, failure());
    }
    assert_eq!(m.settle(moment(start), old, 9, SUCCESS, 0.5), None);
    assert_eq!(m.state().name(), "OPEN");
}

#[test]
fn isolation_ends_only_by_verification() {
    let start = Instant::now();
    let mut m = machine();
    call(
        &mut m,
        start,
        1,
        Outcome::Isolate {
            cause: "CORRUPT".into(),
        },
    );
    assert!(m.reset("by hand".into()).is_err());
    assert_eq!(m.set_by_hand(by_hand(true, None)), None);
    assert!(
        m.acquire(start + Duration::from_secs(9999))
            .0
            .expect_err("isolated")
            .isolated
    );
    assert_eq!(
        m.verified(start).expect("verified").to,
        "FORCED_OPEN",
        "what was set by hand meanwhile"
    );
}

#[test]
fn settings_by_hand_hold_until_reset_or_expiry() {
    let start = Instant::now();
    let mut m = machine();
    m.set_by_hand(by_hand(true, None));
    assert!(m.acquire(start + Duration::from_secs(99_999)).0.is_err());
    m.set_by_hand(by_hand(false, Some(start + Duration::from_secs(5))));
    for operation in 0..9 {
        call(&mut m, start, operation, failure());
    }
    assert_eq!(m.state().name(), "DISABLED");
    let moved = m.acquire(start + Duration::from_secs(5)).1;
    assert_eq!(moved.expect("expires").to, "CLOSED");
    m.set_by_hand(by_hand(true, None));
    let reset = m.reset("by hand".into()).expect("not isolated");
    assert_eq!(reset.expect("resets").to, "CLOSED");
    assert_eq!(
        m.reset("again".into()),
        Ok(None),
        "a closed breaker has nothing to change"
    );
}

#[test]
fn a_held_breaker_stays_open_past_its_time_until_the_hold_is_lifted() {
    let start = Instant::now();
    let mut m = opened(start);
    m.hold(true);
    assert_eq!(m.peek(start).expect_err("open").retry_after, Some(OPEN_FOR));
    let late = start + OPEN_FOR * 2;
    assert_eq!(m.peek(late).expect_err("held").retry_after, Some(HELD_LOOK));
    let (refused, moved) = m.acquire(late);
    assert_eq!(refused.expect_err("held").retry_after, Some(HELD_LOOK));
    assert_eq!(moved, None);
    m.hold(false);
    assert!(m.peek(late).is_ok());
    assert_eq!(m.acquire(late).1.expect("moves").to, "HALF_OPEN");
}

#[test]
fn a_hold_shows_only_in_open_and_ends_with_a_reset_by_hand() {
    let start = Instant::now();
    let mut m = machine();
    m.hold(true);
    for operation in 0..5 {
        call(&mut m, start, operation, failure());
    }
    assert!(m.acquire(start + OPEN_FOR).0.is_err(), "held from before it opened");
    m.reset("by hand".into()).expect("not isolated");
    for operation in 0..5 {
        call(&mut m, start, operation, failure());
    }
    let probe = m.acquire(start + OPEN_FOR).0.expect("the reset ended the hold");
    m.hold(true);
    m.settle(moment(start + OPEN_FOR), probe, 1, SUCCESS, 0.5);
    assert!(m.acquire(start + OPEN_FOR).0.is_ok(), "probes go on");
}

#[test]
fn what_was_set_by_hand_survives_an_isolation_unless_its_time_is_over() {
    let start = Instant::now();
    for (forced_open, name) in [(true, "FORCED_OPEN"), (false, "DISABLED")] {
        for (passed, expected) in [(9, name), (10, "CLOSED")] {
            let mut m = machine();
            m.set_by_hand(by_hand(forced_open, Some(start + Duration::from_secs(10))));
            m.isolate("CORRUPT".into());
            assert_eq!((m.state().name(), m.cause()), ("ISOLATED", "CORRUPT"));
            let back = m.verified(start + Duration::from_secs(passed)).expect("verified");
            assert_eq!(back.to, expected);
        }
    }
}
