//! The circuit breaker (floor 1): the machine behind a lock, permits that settle exactly once, and its recent changes.
//!
//! What must stay true: a [`Permit`] is settled or released exactly once, on success, failure, cancellation or
//! panic (its drop releases it); observers are called outside the lock; the closed path takes no lock to acquire.
//! Called by `Database`, the writer and the health probe; the HTTP skin only peeks.

mod machine;
mod permit;
mod state;
mod window;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;

use self::machine::Machine;
pub use self::permit::Permit;
pub use self::state::{Cause, Outcome, Refusal, State, Ticket, Transition};
use super::observe::{BreakerChange, Observer};
use super::operation::Origin;
use crate::clock::SharedClock;
use crate::config::BreakerSettings;

/// State changes kept for the API.
const RECENT: usize = 100;

/// A breaker; shared by everybody who uses its database in its direction.
pub struct Breaker {
    name: String,
    clock: SharedClock,
    observer: Arc<dyn Observer>,
    /// Generation while CLOSED, 0 otherwise: lets the closed path pass without the lock.
    closed_generation: AtomicU64,
    refused: AtomicU64,
    operations: AtomicU64,
    inner: Mutex<Inner>,
}

struct Inner {
    machine: Machine,
    since: Timestamp,
    /// When it stopped letting everything through; kept through HALF_OPEN until it closes.
    opened_at: Option<Timestamp>,
    recent: VecDeque<BreakerChange>,
}

/// What the API shows of a breaker.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerStatus {
    /// `app.write` and the like.
    pub name: String,
    /// CLOSED, OPEN, HALF_OPEN, FORCED_OPEN, DISABLED or ISOLATED.
    pub state: &'static str,
    /// Since when.
    pub since: Timestamp,
    /// When it stopped letting everything through; `None` while it does.
    pub opened_at: Option<Timestamp>,
    /// Why; empty when nothing ever happened.
    pub cause: String,
    /// When a probe will be let through, counted from now.
    pub retry_after: Option<Duration>,
    /// Failures over calls in the last minute.
    pub failure_rate: f64,
    /// Slow calls over calls in the last minute.
    pub slow_call_rate: f64,
    /// Settled calls in the last minute.
    pub buffered_calls: u64,
    /// Counted failures in the last minute.
    pub failed_calls: u64,
    /// Refusals since the start.
    pub not_permitted_calls: u64,
}

impl BreakerStatus {
    /// Whether calls pass freely.
    pub fn is_healthy(&self) -> bool {
        matches!(self.state, "CLOSED" | "DISABLED")
    }
}

impl Breaker {
    /// A closed breaker.
    pub fn new(name: String, settings: BreakerSettings, clock: SharedClock, observer: Arc<dyn Observer>) -> Arc<Self> {
        let machine = Machine::new(settings, clock.now());
        Arc::new(Self {
            closed_generation: AtomicU64::new(machine.generation()),
            inner: Mutex::new(Inner {
                machine,
                since: clock.wall(),
                opened_at: None,
                recent: VecDeque::new(),
            }),
            refused: AtomicU64::new(0),
            operations: AtomicU64::new(1),
            name,
            clock,
            observer,
        })
    }

    /// A number for an operation, so that one operation's own retries can't open the breaker.
    pub fn operation_number(&self) -> u64 {
        self.operations.fetch_add(1, Ordering::Relaxed)
    }

    /// Asks for a permit for operation number `operation`.
    ///
    /// # Errors
    /// The refusal, with the time to come back and the cause.
    pub fn acquire(self: &Arc<Self>, operation: u64, origin: Option<&Arc<Origin>>) -> Result<Permit, Refusal> {
        let generation = self.closed_generation.load(Ordering::Acquire);
        if generation != 0 {
            return Ok(self.permit(
                Ticket {
                    generation,
                    lease: None,
                },
                operation,
                origin,
            ));
        }
        let now = self.clock.now();
        match self.change(origin, |machine| machine.acquire(now)) {
            Ok(ticket) => Ok(self.permit(ticket, operation, origin)),
            Err(refusal) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Err(refusal)
            }
        }
    }

    fn permit(self: &Arc<Self>, ticket: Ticket, operation: u64, origin: Option<&Arc<Origin>>) -> Permit {
        Permit {
            breaker: Arc::clone(self),
            ticket,
            operation,
            origin: origin.cloned(),
            settled: false,
        }
    }

    /// Whether a call would pass now; counts the refusal when it would not.
    ///
    /// # Errors
    /// The refusal.
    pub fn peek(&self) -> Result<(), Refusal> {
        if self.closed_generation.load(Ordering::Acquire) != 0 {
            return Ok(());
        }
        let seen = self.inner.lock().machine.peek(self.clock.now());
        if seen.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        seen
    }

    /// Runs a change under the lock, then tells the observer outside it.
    fn change<T>(
        &self,
        origin: Option<&Arc<Origin>>,
        change: impl FnOnce(&mut Machine) -> (T, Option<Transition>),
    ) -> T {
        let mut inner = self.inner.lock();
        let (value, transition) = change(&mut inner.machine);
        let Some(transition) = transition else { return value };
        let now = self.clock.now();
        let told = BreakerChange {
            name: self.name.clone(),
            from: transition.from,
            to: transition.to,
            cause: transition.cause,
            retry_after: inner.machine.retry_at(now).map(|at| at.saturating_duration_since(now)),
            at: self.clock.wall(),
            origin: origin.cloned(),
        };
        let closed = matches!(inner.machine.state(), State::Closed { .. });
        self.closed_generation
            .store(if closed { inner.machine.generation() } else { 0 }, Ordering::Release);
        inner.since = told.at;
        match told.to {
            "CLOSED" | "DISABLED" => inner.opened_at = None,
            _ => drop(inner.opened_at.get_or_insert(told.at)),
        }
        inner.recent.push_front(told.clone());
        inner.recent.truncate(RECENT);
        drop(inner);
        self.observer.breaker_changed(&told);
        value
    }

    /// The file was found bad: nothing passes until [`Breaker::verified`].
    pub fn isolate(&self, cause: &str) {
        self.change(None, |m| ((), m.isolate(cause.to_owned())));
    }

    /// The isolated file was verified.
    pub fn verified(&self) {
        self.change(None, |m| ((), m.verified()));
    }

    /// Nothing passes, by hand, until reset or for a time.
    pub fn force_open(&self, lasting: Option<Duration>, reason: &str, origin: Option<&Arc<Origin>>) {
        let until = lasting.map(|d| self.clock.now() + d);
        self.change(origin, |m| ((), m.force_open(until, reason.to_owned())));
    }

    /// Everything passes, by hand, until reset or for a time.
    pub fn disable(&self, lasting: Option<Duration>, reason: &str, origin: Option<&Arc<Origin>>) {
        let until = lasting.map(|d| self.clock.now() + d);
        self.change(origin, |m| ((), m.disable(until, reason.to_owned())));
    }

    /// While held, an OPEN breaker stays OPEN past its time and its refusals say to look again in a second. Lifting the
    /// hold lets time go on as usual. A hold on a breaker that isn't OPEN shows when it opens; a reset by hand ends it.
    pub fn hold(&self, held: bool) {
        self.inner.lock().machine.hold(held);
    }

    /// Back to CLOSED, by hand; `false` when the file is isolated, which only verification ends.
    pub fn reset(&self, reason: &str, origin: Option<&Arc<Origin>>) -> bool {
        self.change(origin, |m| match m.reset(reason.to_owned()) {
            Ok(transition) => (true, transition),
            Err(super::breaker::state::StillIsolated) => (false, None),
        })
    }

    /// When a probe will be let through, for an OPEN breaker.
    pub fn retry_at(&self) -> Option<Instant> {
        let now = self.clock.now();
        self.inner.lock().machine.retry_at(now)
    }

    /// What the API shows. Looking ends what was set by hand for a time that is over: without callers nobody else would.
    pub fn status(&self) -> BreakerStatus {
        let now = self.clock.now();
        self.change(None, |m| ((), m.end_by_hand(now)));
        let inner = self.inner.lock();
        let totals = inner.machine.totals(now);
        BreakerStatus {
            name: self.name.clone(),
            state: inner.machine.state().name(),
            since: inner.since,
            opened_at: inner.opened_at,
            cause: inner.machine.cause().to_owned(),
            retry_after: inner.machine.retry_at(now).map(|at| at.saturating_duration_since(now)),
            failure_rate: totals.failure_rate(),
            slow_call_rate: totals.slow_rate(),
            buffered_calls: totals.calls,
            failed_calls: totals.failures,
            not_permitted_calls: self.refused.load(Ordering::Relaxed),
        }
    }

    /// The latest changes, newest first.
    pub fn recent(&self) -> Vec<BreakerChange> {
        self.inner.lock().recent.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests;
