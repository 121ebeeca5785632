use parking_lot::Mutex;

use super::*;
use crate::clock::ManualClock;
use crate::db::classify::Told;
use crate::db::observe::Unobserved;

struct Heard(Mutex<Vec<String>>);

impl Observer for Heard {
    fn breaker_changed(&self, change: &BreakerChange) {
        self.0.lock().push(format!("{}>{}", change.from, change.to));
    }
}

fn breaker(observer: Arc<dyn Observer>) -> (Arc<Breaker>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::starting_at(crate::clock::from_epoch_ms(0)));
    (
        Breaker::new("app.write".into(), BreakerSettings::default(), clock.clone(), observer),
        clock,
    )
}

fn fail(breaker: &Arc<Breaker>, operation: u64) {
    breaker
        .acquire(operation, None)
        .expect("closed")
        .settle(Outcome::Failure {
            cause: Cause {
                text: "lock held".into(),
                told: Told::Busy,
            },
        });
}

#[test]
fn observers_hear_each_change_outside_the_lock() {
    struct Asks(
        parking_lot::Mutex<Option<Arc<Breaker>>>,
        parking_lot::Mutex<Vec<&'static str>>,
    );
    impl Observer for Asks {
        fn breaker_changed(&self, _: &BreakerChange) {
            // Would deadlock if the breaker's lock were held.
            let state = self.0.lock().as_ref().map(|b| b.status().state);
            self.1.lock().extend(state);
        }
    }
    let observer = Arc::new(Asks(Mutex::new(None), Mutex::new(Vec::new())));
    let (breaker, _) = breaker(observer.clone());
    *observer.0.lock() = Some(breaker.clone());
    (0..5).for_each(|operation| fail(&breaker, operation));
    assert_eq!(*observer.1.lock(), ["OPEN"]);
}

#[test]
fn opens_refuses_recovers_and_tells() {
    let told = Arc::new(Heard(Mutex::new(Vec::new())));
    let (breaker, clock) = breaker(told.clone());
    (0..5).for_each(|operation| fail(&breaker, operation));
    assert!(breaker.acquire(9, None).is_err());
    assert!(breaker.peek().is_err());
    assert_eq!(breaker.status().not_permitted_calls, 2);
    assert_eq!(breaker.status().cause, "lock held");
    clock.advance(Duration::from_secs(34));
    for operation in 0..3 {
        breaker
            .acquire(operation, None)
            .expect("probe")
            .settle(Outcome::Success);
    }
    assert_eq!(*told.0.lock(), ["CLOSED>OPEN", "OPEN>HALF_OPEN", "HALF_OPEN>CLOSED"]);
    assert_eq!(breaker.recent().len(), 3);
}

#[test]
fn a_jump_of_the_wall_clock_does_not_move_the_timer() {
    let (breaker, clock) = breaker(Arc::new(Unobserved));
    (0..5).for_each(|operation| fail(&breaker, operation));
    clock.set_wall(crate::clock::from_epoch_ms(3_600_000));
    assert!(breaker.acquire(9, None).is_err());
    clock.set_wall(crate::clock::from_epoch_ms(-3_600_000));
    clock.advance(Duration::from_secs(34));
    assert!(breaker.acquire(9, None).is_ok());
}

#[test]
fn fault_27_a_probe_that_panics_gives_its_place_back() {
    let (breaker, clock) = breaker(Arc::new(Unobserved));
    (0..5).for_each(|operation| fail(&breaker, operation));
    clock.advance(Duration::from_secs(34));
    let held = breaker.acquire(1, None).expect("probe");
    assert!(breaker.acquire(2, None).is_err());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _held = held;
        panic!("in the probe");
    }));
    assert!(panicked.is_err());
    assert!(breaker.acquire(3, None).is_ok(), "the lease came back");
}

#[test]
fn a_permit_knows_when_its_generation_is_over() {
    let (breaker, _) = breaker(Arc::new(Unobserved));
    let permit = breaker.acquire(1, None).expect("closed");
    assert!(permit.is_current());
    breaker.force_open(None, "maintenance", None);
    assert!(!permit.is_current());
}

#[test]
fn racing_changes_are_told_in_their_order() {
    let told = Arc::new(Heard(Mutex::new(Vec::new())));
    let (breaker, _) = breaker(told.clone());
    let change = |n: usize| {
        for _ in 0..200 {
            match n {
                0 => breaker.force_open(None, "drill", None),
                1 => breaker.disable(None, "drill", None),
                _ => drop(breaker.reset("drill", None)),
            }
        }
    };
    std::thread::scope(|scope| (0..3).for_each(|n| drop(scope.spawn(move || change(n)))));
    let told = told.0.lock();
    assert!(told.len() >= 400);
    for pair in told.windows(2) {
        let (before, after) = (pair[0].split_once('>'), pair[1].split_once('>'));
        assert_eq!(
            before.map(|b| b.1),
            after.map(|a| a.0),
            "each begins where the one before ended"
        );
    }
}

#[test]
fn an_observer_that_panics_once_hears_of_the_next_change() {
    struct Panics(Mutex<Vec<&'static str>>);
    impl Observer for Panics {
        fn breaker_changed(&self, change: &BreakerChange) {
            let mut heard = self.0.lock();
            heard.push(change.to);
            assert!(heard.len() > 1, "the first time");
        }
    }
    let observer = Arc::new(Panics(Mutex::new(Vec::new())));
    let (breaker, _) = breaker(observer.clone());
    let first = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| breaker.isolate("CORRUPT")));
    assert!(first.is_err());
    breaker.verified();
    assert_eq!(*observer.0.lock(), ["ISOLATED", "CLOSED"]);
}

#[test]
fn quick_successes_count_and_break_a_row_of_failures() {
    let (breaker, clock) = breaker(Arc::new(Unobserved));
    let succeed = || breaker.borrow_permit(1, None).expect("closed").settle(Outcome::Success);
    (0..3).for_each(|_| succeed());
    (0..4).for_each(|operation| fail(&breaker, operation));
    succeed();
    (0..4).for_each(|operation| fail(&breaker, operation));
    let status = breaker.status();
    assert_eq!(
        (status.state, status.buffered_calls, status.failed_calls),
        ("CLOSED", 12, 8)
    );
    clock.advance(Duration::from_secs(60));
    assert_eq!(breaker.status().buffered_calls, 0);
}
