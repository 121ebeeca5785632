//! Order, fairness, overload; the overload in simulated time.

use jiff::Timestamp;

use super::*;
use crate::clock::{ManualClock, Simulated};

fn limiter(limit: u32) -> Arc<Limiter> {
    let mut adaptive = Adaptive::new(limit, 1, 50);
    adaptive.enable(false);
    Arc::new(Limiter::new(adaptive))
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn admits_up_to_the_limit_and_in_order() {
    let limiter = limiter(1);
    let first = limiter.try_admit().expect("free");
    assert!(limiter.try_admit().is_none());
    let (tell, mut order) = tokio::sync::mpsc::unbounded_channel();
    for name in ["a", "b", "c"] {
        let tell = tell.clone();
        let before = limiter.view().waiting;
        tokio::spawn({
            let limiter = Arc::clone(&limiter);
            async move {
                let _place = limiter.admit(LONG).await.expect("admitted");
                tell.send(name).expect("listening");
            }
        });
        while limiter.view().waiting == before {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(limiter.view().in_use, 1);
    drop(first);
    let seen = [order.recv().await, order.recv().await, order.recv().await];
    assert_eq!(seen, [Some("a"), Some("b"), Some("c")]);
}

#[tokio::test]
async fn a_waiter_that_gives_up_leaves_nothing_behind() {
    let limiter = limiter(1);
    let held = limiter.try_admit().expect("free");
    let refused = limiter.admit(Duration::from_millis(5)).await.err();
    assert_eq!(refused, Some(Refused::TimedOut));
    assert_eq!((limiter.view().waiting, limiter.view().timeouts), (0, 1));
    // Dropped before it was polled to its end, and after it was given a place that it never took.
    let (_, unread, _) = limiter.queue(clock::now());
    drop(held);
    assert_eq!(limiter.view().in_use, 1, "its place");
    drop(unread);
    assert_eq!((limiter.view().in_use, limiter.view().waiting), (0, 0));
    assert!(limiter.try_admit().is_some());
}

#[test]
fn ten_thousand_who_left_cost_no_stack_and_no_place() {
    let limiter = limiter(1);
    let held = limiter.try_admit().expect("free");
    for _ in 0..10_000 {
        drop(limiter.queue(clock::now()).1);
    }
    let (_, mut last, _) = limiter.queue(clock::now());
    drop(held);
    assert!(last.try_recv().is_ok());
    assert_eq!(limiter.view().waiting, 0);
}

#[test]
fn a_larger_limit_lets_waiters_in_at_once() {
    let limiter = limiter(1);
    let _held = limiter.try_admit().expect("free");
    let (_, mut waiting, _) = limiter.queue(clock::now());
    assert!(waiting.try_recv().is_err());
    limiter.adjust(|adaptive| adaptive.set_limit(2));
    assert!(waiting.try_recv().is_ok());
}

#[test]
fn places_that_never_come_back_shed_and_come_back_to_order_when_they_do() {
    let clock = Arc::new(ManualClock::starting_at(Timestamp::UNIX_EPOCH));
    let _simulated = Simulated::enter(clock.clone());
    let limiter = limiter(1);
    let leaked = limiter.try_admit().expect("free");
    let (_, mut old, none) = limiter.queue(clock::now());
    assert_eq!(none, None, "no overload yet");
    for _ in 0..20 {
        clock.advance(Duration::from_millis(10));
        limiter.shared.state.lock().judge(clock::now());
    }
    let (_, mut newest, limit) = limiter.queue(clock::now());
    assert_eq!(limit, Some(TARGET), "a later one waits no longer than the target");
    limiter.shared.let_in();
    assert_eq!(old.try_recv().err(), Some(oneshot::error::TryRecvError::Closed));
    assert_eq!((limiter.view().shed, limiter.view().overloaded), (1, true));
    drop(leaked);
    drop(newest.try_recv().expect("let in"));
    assert!(!limiter.view().overloaded);
}

/// What became of a load in simulated time.
#[derive(Default, Debug)]
struct Outcome {
    done: usize,
    sojourns: Vec<Duration>,
    refusals: Vec<Duration>,
}

/// Ten seconds of `rate` arrivals a second at four readers of 5 ms a step: 800 a second is what they can do.
fn load(rate: u32) -> Outcome {
    const TICK: Duration = Duration::from_micros(125);
    let clock = Arc::new(ManualClock::starting_at(Timestamp::UNIX_EPOCH));
    let _simulated = Simulated::enter(clock.clone());
    let limiter = limiter(4);
    let mut outcome = Outcome::default();
    let (mut waiting, mut serving) = (Vec::new(), Vec::new());
    let mut due = 0.0;
    for _ in 0..80_000 {
        let now = clock::now();
        let before = serving.len();
        serving.retain(|(until, _)| *until > now);
        outcome.done += before - serving.len();
        due += f64::from(rate) * TICK.as_secs_f64();
        while due >= 1.0 {
            due -= 1.0;
            let (number, place, limit) = limiter.queue(now);
            limiter.shared.let_in();
            waiting.push((now, number, place, now + limit.unwrap_or(LONG)));
        }
        waiting = waiting
            .into_iter()
            .filter_map(|(asked, number, mut place, until)| match place.try_recv() {
                Ok(admission) => {
                    outcome.sojourns.push(now - asked + Duration::from_millis(5));
                    serving.push((now + Duration::from_millis(5), admission));
                    None
                }
                Err(oneshot::error::TryRecvError::Empty) if now < until => Some((asked, number, place, until)),
                Err(_) => {
                    drop(Leave(&limiter.shared, number));
                    outcome.refusals.push(now - asked);
                    None
                }
            })
            .collect();
        clock.advance(TICK);
    }
    outcome
}

fn p99(values: &mut [Duration]) -> Duration {
    values.sort();
    values[values.len() * 99 / 100]
}

#[test]
fn ten_times_what_it_can_do_still_gets_done_what_it_can() {
    let peak = load(780);
    assert!(peak.refusals.is_empty(), "within what it can do nobody is refused");
    let mut over = load(8000);
    assert!(over.done * 10 >= peak.done * 9, "{} of {}", over.done, peak.done);
    assert!(p99(&mut over.sojourns) <= Duration::from_millis(250));
    assert!(p99(&mut over.refusals) <= Duration::from_millis(10));
}
