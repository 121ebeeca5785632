//! Every interleaving of the breaker's lock-free part, by loom.
//!
//! The files of `src/db/breaker` are compiled here once more, with the model checker's atomics and mutex in the place
//! of `sync.rs` and a window small enough to be explored; a few seconds in all. Without the test harness, because with
//! it those files would bring their own unit tests along.
#![allow(clippy::modulo_one, reason = "a window of one second here")]
#![allow(dead_code, unused_imports, reason = "the models use a part of each file")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use db::breaker::gate::Gate;
use db::breaker::machine::Machine;
use db::breaker::state::{Cause, Moment, Outcome, Ticket};
use db::breaker::stripes::Owners;
use mainstay::config::BreakerSettings;
use mainstay::db::classify::Told;

// What the included files know as `crate::config`.
use mainstay::config;

#[path = "../src/db"]
mod db {
    pub use mainstay::db::classify;

    pub mod backoff;

    pub mod breaker {
        pub mod gate;
        pub mod machine;
        pub mod state;
        pub mod stripes;
        pub mod tally;
        #[allow(clippy::modulo_one, reason = "a window of one second has one bucket")]
        pub mod window;

        /// As `sync.rs`, for the model checker.
        pub mod sync {
            pub use loom::sync::atomic::{AtomicU64, Ordering};

            pub const WINDOW_SECONDS: u64 = 1;
            pub const SLOTS: u64 = 2;
            pub const OWNED: usize = 1;
            pub const SHARED: usize = 1;

            pub struct Mutex<T>(loom::sync::Mutex<T>);

            impl<T> Mutex<T> {
                pub fn new(value: T) -> Self {
                    Self(loom::sync::Mutex::new(value))
                }

                pub fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
                    self.0.lock().expect("no thread panicked")
                }
            }
        }
    }
}

const OPEN_FOR: Duration = Duration::from_secs(30);
/// The window's second in which a model's calls fall.
const SECOND: u64 = 3;

/// The breaker without its clock and observer: what [`Gate`] and [`Machine`] do together.
struct Breaker {
    gate: Gate<Machine>,
    owners: Owners,
    start: Instant,
}

/// The stripe that is a thread's own for a while, as `thread.rs` keeps it until the thread ends.
struct Own<'a>(&'a Breaker, usize);

impl Drop for Own<'_> {
    fn drop(&mut self) {
        self.0.owners.give_back(self.1);
    }
}

impl Breaker {
    fn new(threshold: u32) -> Arc<Self> {
        let settings = BreakerSettings {
            threshold,
            open_for: OPEN_FOR,
        };
        Arc::new(Self {
            gate: Gate::new(Machine::new(settings)),
            owners: Owners(loom::sync::atomic::AtomicU64::new(0)),
            start: Instant::now(),
        })
    }

    /// Half-open from the first call on.
    fn about_to_probe(threshold: u32) -> (Arc<Self>, Instant) {
        let breaker = Self::new(threshold);
        let ticket = breaker.acquire(breaker.start).expect("closed");
        breaker.settle(breaker.start, ticket, 1, trip());
        let due = breaker.start + OPEN_FOR;
        (breaker, due)
    }

    fn acquire(&self, at: Instant) -> Option<Ticket> {
        let closed = self.gate.closed().map(|generation| Ticket {
            generation,
            lease: None,
        });
        closed.or_else(|| self.gate.locked(|machine| machine.acquire(at).0.ok()))
    }

    fn own(&self) -> Option<Own<'_>> {
        self.owners.take().map(|stripe| Own(self, stripe))
    }

    /// Whether it changed the state. The caller counts a success in the shared stripe.
    fn settle(&self, at: Instant, ticket: Ticket, operation: u64, outcome: Outcome) -> bool {
        self.settle_by(None, at, ticket, operation, outcome)
    }

    /// The same for a caller that has a stripe of its own, or hasn't.
    fn settle_by(&self, own: Option<&Own>, at: Instant, ticket: Ticket, operation: u64, outcome: Outcome) -> bool {
        let quick = ticket.lease.is_none() && outcome == SUCCESS;
        let succeed = || match own {
            Some(own) => self.gate.succeed(own.1, ticket.generation, SECOND),
            None => self.gate.succeed_shared(0, ticket.generation, SECOND),
        };
        if quick && succeed() {
            return false;
        }
        let now = Moment { at, second: SECOND };
        self.gate
            .locked(|machine| machine.settle(now, ticket, operation, outcome, 0.5))
            .is_some()
    }

    fn state(&self) -> &'static str {
        self.gate.locked(|machine| machine.state().name())
    }

    /// Calls and failures in the window.
    fn counts(&self) -> (u64, u64) {
        let totals = self.gate.locked(|machine| machine.totals(SECOND));
        (totals.calls, totals.failures)
    }
}

const SUCCESS: Outcome = Outcome::Success;

fn cause() -> Cause {
    Cause {
        text: "lock held".into(),
        told: Told::Busy,
    }
}

fn failure() -> Outcome {
    Outcome::Failure { cause: cause() }
}

fn trip() -> Outcome {
    Outcome::Trip { cause: cause() }
}

fn a_success_races_with_the_failure_that_opens() {
    loom::model(|| {
        let breaker = Breaker::new(2);
        let at = breaker.start;
        let tickets: Vec<_> = (0..3).map(|_| breaker.acquire(at).expect("closed")).collect();
        let success = {
            let (breaker, ticket) = (Arc::clone(&breaker), tickets[2]);
            loom::thread::spawn(move || breaker.settle(at, ticket, 9, SUCCESS))
        };
        breaker.settle(at, tickets[0], 1, failure());
        let opened = breaker.settle(at, tickets[1], 2, failure());
        assert!(!success.join().expect("ended"), "a success opens nothing");
        // Either it came between the two and ended their row, or the second opened; nothing else, and no call is lost
        // or counted twice while the breaker stayed closed.
        assert_eq!(breaker.state(), if opened { "OPEN" } else { "CLOSED" });
        let (calls, failures) = breaker.counts();
        assert_eq!(failures, 2);
        assert!(if opened { calls <= 3 } else { calls == 3 });
        if !opened {
            let next = breaker.acquire(at).expect("closed");
            assert!(
                breaker.settle(at, next, 3, failure()),
                "one failure stood, the next opens"
            );
        }
    });
}

fn of_racing_failures_exactly_one_opens() {
    loom::model(|| {
        let breaker = Breaker::new(3);
        let at = breaker.start;
        let first = breaker.acquire(at).expect("closed");
        assert!(!breaker.settle(at, first, 1, failure()));
        let fail = |operation| {
            let breaker = Arc::clone(&breaker);
            move || {
                let ticket = breaker.acquire(at).expect("two failures leave it closed");
                breaker.settle(at, ticket, operation, failure())
            }
        };
        let second = loom::thread::spawn(fail(2));
        let third = fail(3)();
        let second = second.join().expect("ended");
        assert!(second ^ third, "exactly the third failure opens");
        assert_eq!((breaker.state(), breaker.counts()), ("OPEN", (3, 3)));
    });
}

fn half_open_never_admits_more_than_its_permits() {
    loom::model(|| {
        let (breaker, due) = Breaker::about_to_probe(2);
        let ask = || {
            let breaker = Arc::clone(&breaker);
            move || breaker.acquire(due)
        };
        let other = loom::thread::spawn(ask());
        let (own, other) = (ask()(), other.join().expect("ended"));
        let probe = own.xor(other).expect("one probe at first, never two");
        breaker.settle(due, probe, 1, SUCCESS);
        let other = loom::thread::spawn(ask());
        let (one, two) = (ask()(), ask()());
        let admitted = [one, two, other.join().expect("ended")].iter().flatten().count();
        assert_eq!(admitted, 2, "then two");
    });
}

fn a_lease_counts_and_comes_back_once_whoever_gives_it() {
    // The same lease is given back twice, as when a caller is cancelled while its job ends.
    for (other, admitted_then) in [(SUCCESS, vec![2]), (Outcome::Ignored, vec![1, 2])] {
        loom::model(move || {
            let (breaker, due) = Breaker::about_to_probe(2);
            let probe = breaker.acquire(due).expect("a probe");
            let settled = {
                let breaker = Arc::clone(&breaker);
                loom::thread::spawn(move || breaker.settle(due, probe, 1, SUCCESS))
            };
            breaker.settle(due, probe, 1, other.clone());
            settled.join().expect("ended");
            // One success doubles the permits once; a lease ignored first leaves the success nothing to count.
            let admitted = (0..5).filter_map(|_| breaker.acquire(due)).count();
            assert!(admitted_then.contains(&admitted), "{admitted}");
        });
    }
}

fn a_success_after_a_failure_ends_the_row_beside_others() {
    loom::model(|| {
        let breaker = Breaker::new(2);
        let at = breaker.start;
        let call = |operation, outcome| {
            let ticket = breaker.acquire(at).expect("closed");
            breaker.settle(at, ticket, operation, outcome)
        };
        let other = {
            let breaker = Arc::clone(&breaker);
            let ticket = breaker.acquire(at).expect("closed");
            loom::thread::spawn(move || breaker.settle(at, ticket, 9, SUCCESS))
        };
        let moved = [call(1, failure()), call(2, SUCCESS), call(3, failure())];
        assert_eq!(moved, [false; 3], "no two failures in a row");
        other.join().expect("ended");
        assert_eq!((breaker.state(), breaker.counts()), ("CLOSED", (4, 2)));
    });
}

fn a_generation_that_is_over_changes_nothing() {
    loom::model(|| {
        let breaker = Breaker::new(1);
        let at = breaker.start;
        let stale = breaker.acquire(at).expect("closed");
        let late = {
            let breaker = Arc::clone(&breaker);
            loom::thread::spawn(move || breaker.settle(at, stale, 1, SUCCESS))
        };
        // Isolated and verified meanwhile: closed again, in a new generation with an empty window.
        breaker.gate.locked(|machine| machine.isolate("CORRUPT".into()));
        breaker.gate.locked(|machine| machine.verified(at));
        let fresh = breaker.acquire(at).expect("closed again");
        breaker.settle(at, fresh, 2, SUCCESS);
        late.join().expect("ended");
        assert_eq!(breaker.counts(), (1, 0), "the fresh one alone");
    });
}

fn successes_of_two_threads_are_all_counted() {
    loom::model(|| {
        let breaker = Breaker::new(5);
        let at = breaker.start;
        let succeed = || {
            let breaker = Arc::clone(&breaker);
            move || {
                let ticket = breaker.acquire(at).expect("closed");
                breaker.settle(at, ticket, 1, SUCCESS);
            }
        };
        let other = loom::thread::spawn(succeed());
        succeed()();
        succeed()();
        other.join().expect("ended");
        assert_eq!(breaker.counts(), (3, 0));
    });
}

fn an_owners_success_races_with_the_failure_that_opens() {
    loom::model(|| {
        let breaker = Breaker::new(2);
        let at = breaker.start;
        let tickets: Vec<_> = (0..3).map(|_| breaker.acquire(at).expect("closed")).collect();
        let success = {
            let (breaker, ticket) = (Arc::clone(&breaker), tickets[2]);
            loom::thread::spawn(move || {
                let own = breaker.own().expect("free");
                breaker.settle_by(Some(&own), at, ticket, 9, SUCCESS)
            })
        };
        breaker.settle(at, tickets[0], 1, failure());
        let opened = breaker.settle(at, tickets[1], 2, failure());
        assert!(!success.join().expect("ended"), "a success opens nothing");
        assert_eq!(breaker.state(), if opened { "OPEN" } else { "CLOSED" });
        let (calls, failures) = breaker.counts();
        assert_eq!(failures, 2);
        assert!(if opened { calls <= 3 } else { calls == 3 });
    });
}

fn an_owner_that_comes_late_changes_nothing() {
    loom::model(|| {
        let breaker = Breaker::new(1);
        let at = breaker.start;
        let (early, stale) = (
            breaker.acquire(at).expect("closed"),
            breaker.acquire(at).expect("closed"),
        );
        let late = {
            let breaker = Arc::clone(&breaker);
            loom::thread::spawn(move || {
                let own = breaker.own().expect("free");
                // The second comes upon what the first has counted; each before, amid or after the change.
                breaker.settle_by(Some(&own), at, early, 1, SUCCESS);
                breaker.settle_by(Some(&own), at, stale, 2, SUCCESS);
                // What it is given in the new generation counts, whatever the stripe has in it.
                let fresh = breaker.acquire(at);
                let is_fresh = |ticket: &Ticket| ticket.generation > stale.generation;
                fresh.filter(is_fresh).map_or(0, |ticket| {
                    breaker.settle_by(Some(&own), at, ticket, 3, SUCCESS);
                    1
                })
            })
        };
        breaker.gate.locked(|machine| machine.isolate("CORRUPT".into()));
        breaker.gate.locked(|machine| machine.verified(at));
        let seen = breaker.counts().0;
        let fresh = late.join().expect("ended");
        assert!(seen <= fresh, "nothing of before");
        assert_eq!(breaker.counts(), (fresh, 0), "the fresh one alone");
    });
}

fn a_stripe_passes_from_one_owner_to_the_next_with_all_that_stands_in_it() {
    loom::model(|| {
        let breaker = Breaker::new(5);
        let at = breaker.start;
        let call = || {
            let breaker = Arc::clone(&breaker);
            move || {
                // Whichever comes first owns it; the other takes it over, or shares another.
                let own = breaker.own();
                let ticket = breaker.acquire(at).expect("closed");
                breaker.settle_by(own.as_ref(), at, ticket, 1, SUCCESS);
                own.is_some()
            }
        };
        let other = loom::thread::spawn(call());
        let own = call()();
        let other = other.join().expect("ended");
        assert!(own || other, "one of them at least finds it free");
        assert_eq!(breaker.counts(), (2, 0));
    });
}

fn who_takes_a_stripe_over_has_seen_the_generation_of_what_stands_in_it() {
    loom::model(|| {
        let breaker = Breaker::new(1);
        let at = breaker.start;
        let stale = breaker.acquire(at).expect("closed");
        let late = {
            let breaker = Arc::clone(&breaker);
            loom::thread::spawn(move || {
                let own = breaker.own();
                breaker.settle_by(own.as_ref(), at, stale, 1, SUCCESS);
            })
        };
        breaker.gate.locked(|machine| machine.isolate("CORRUPT".into()));
        breaker.gate.locked(|machine| machine.verified(at));
        let own = breaker.own();
        let fresh = breaker.acquire(at).expect("closed again");
        breaker.settle_by(own.as_ref(), at, fresh, 2, SUCCESS);
        drop(own);
        late.join().expect("ended");
        assert_eq!(
            breaker.counts(),
            (1, 0),
            "the late one writes over nothing of its successors"
        );
    });
}

fn main() {
    let models: [(&str, fn()); 11] = [
        (
            "a_success_races_with_the_failure_that_opens",
            a_success_races_with_the_failure_that_opens,
        ),
        (
            "of_racing_failures_exactly_one_opens",
            of_racing_failures_exactly_one_opens,
        ),
        (
            "half_open_never_admits_more_than_its_permits",
            half_open_never_admits_more_than_its_permits,
        ),
        (
            "a_success_after_a_failure_ends_the_row_beside_others",
            a_success_after_a_failure_ends_the_row_beside_others,
        ),
        (
            "a_lease_counts_and_comes_back_once_whoever_gives_it",
            a_lease_counts_and_comes_back_once_whoever_gives_it,
        ),
        (
            "a_generation_that_is_over_changes_nothing",
            a_generation_that_is_over_changes_nothing,
        ),
        (
            "successes_of_two_threads_are_all_counted",
            successes_of_two_threads_are_all_counted,
        ),
        (
            "an_owners_success_races_with_the_failure_that_opens",
            an_owners_success_races_with_the_failure_that_opens,
        ),
        (
            "an_owner_that_comes_late_changes_nothing",
            an_owner_that_comes_late_changes_nothing,
        ),
        (
            "a_stripe_passes_from_one_owner_to_the_next_with_all_that_stands_in_it",
            a_stripe_passes_from_one_owner_to_the_next_with_all_that_stands_in_it,
        ),
        (
            "who_takes_a_stripe_over_has_seen_the_generation_of_what_stands_in_it",
            who_takes_a_stripe_over_has_seen_the_generation_of_what_stands_in_it,
        ),
    ];
    for (name, model) in models {
        let started = Instant::now();
        model();
        println!("{name} ... ok ({} ms)", started.elapsed().as_millis());
    }
    println!("{} passed, 0 failed", models.len());
}
