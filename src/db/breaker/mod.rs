//! The circuit breaker (floor 1): the machine behind a lock, permits that settle exactly once, and its recent changes.
//!
//! What must stay true: a [`Permit`] is settled or released exactly once, on success, failure, cancellation or
//! panic (its drop releases it); observers are called outside the lock, in the order of the changes; a closed breaker takes no
//! lock for a permit and none for a quick success.
//! Called by `Database`, the writer and the health probe; the HTTP skin only peeks.

mod gate;
mod kept;
mod machine;
mod number;
mod permit;
mod state;
mod status;
mod stripes;
mod sync;
mod tally;
mod telling;
mod thread;
mod window;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use self::gate::Gate;
pub use self::kept::KeptStates;
use self::machine::Machine;
pub use self::permit::{BorrowedPermit, Permit};
pub use self::state::{ByHand, Cause, Moment, Outcome, Refusal, State, Ticket, Transition};
pub use self::status::BreakerStatus;
use self::thread::Stripe;
use super::observe::{BreakerChange, Observer};
use super::operation::Origin;
use crate::clock::SharedClock;
use crate::config::BreakerSettings;
use jiff::Timestamp;

/// A breaker; shared by everybody who uses its database in its direction.
pub struct Breaker {
    name: String,
    clock: SharedClock,
    observer: Arc<dyn Observer>,
    refused: AtomicU64,
    gate: Gate<Inner>,
}

/// What stands under the breaker's lock.
struct Inner {
    machine: Machine,
    since: Timestamp,
    /// When it stopped letting everything through; kept through HALF_OPEN until it closes.
    opened_at: Option<Timestamp>,
    recent: VecDeque<BreakerChange>,
    /// Changes the observer hasn't heard of yet, and whether somebody is telling it.
    untold: VecDeque<BreakerChange>,
    telling: bool,
}

impl AsRef<Machine> for Inner {
    fn as_ref(&self) -> &Machine {
        &self.machine
    }
}

impl Breaker {
    /// A closed breaker.
    pub fn new(name: String, settings: BreakerSettings, clock: SharedClock, observer: Arc<dyn Observer>) -> Arc<Self> {
        let inner = Inner {
            machine: Machine::new(settings),
            since: clock.wall(),
            opened_at: None,
            recent: VecDeque::new(),
            untold: VecDeque::new(),
            telling: false,
        };
        Arc::new(Self {
            gate: Gate::new(inner),
            refused: AtomicU64::new(0),
            name,
            clock,
            observer,
        })
    }

    /// A number for an operation, so that one operation's own retries can't open the breaker. Unique in this process.
    pub fn operation_number(&self) -> u64 {
        number::next()
    }

    /// Asks for a permit for operation number `operation`.
    ///
    /// # Errors
    /// The refusal, with the time to come back and the cause.
    #[inline]
    pub fn acquire(self: &Arc<Self>, operation: u64, origin: Option<&Arc<Origin>>) -> Result<Permit, Refusal> {
        let ticket = self.ticket(origin)?;
        Ok(Permit::new(Arc::clone(self), ticket, operation, origin.cloned()))
    }

    /// [`Breaker::acquire`] for a caller that holds on to the breaker: the cheaper way.
    ///
    /// # Errors
    /// The refusal, with the time to come back and the cause.
    #[inline]
    pub fn borrow_permit<'a>(
        &'a self,
        operation: u64,
        origin: Option<&'a Arc<Origin>>,
    ) -> Result<BorrowedPermit<'a>, Refusal> {
        Ok(Permit::new(self, self.ticket(origin)?, operation, origin))
    }

    #[inline]
    fn ticket(&self, origin: Option<&Arc<Origin>>) -> Result<Ticket, Refusal> {
        // The machine's answer is taken apart at once: handed on whole, it would take the quick way's ticket into
        // memory with it.
        Ok(match self.gate.closed() {
            Some(generation) => Ticket {
                generation,
                lease: None,
            },
            None => self.ask(origin)?,
        })
    }

    #[cold]
    #[inline(never)]
    fn ask(&self, origin: Option<&Arc<Origin>>) -> Result<Ticket, Refusal> {
        let now = self.clock.now();
        self.change(origin, |machine| machine.acquire(now))
            .inspect_err(|_| self.count_refusal())
    }

    /// Counts a quick success of a call that passed without a lease; `false` when the machine has to hear of it.
    #[inline]
    fn succeed(&self, generation: u64) -> bool {
        let second = self.clock.second();
        match thread::own() {
            Some(own) => self.gate.succeed(own, generation, second),
            None => self.succeed_without(generation, second),
        }
    }

    /// The same on a thread that has no stripe of its own, as far as it knows.
    #[cold]
    #[inline(never)]
    fn succeed_without(&self, generation: u64, second: u64) -> bool {
        match thread::seek() {
            Stripe::Own(own) => self.gate.succeed(own, generation, second),
            Stripe::Shared(shared) => self.gate.succeed_shared(shared, generation, second),
        }
    }

    // Out of line, and handed what it needs by value, so that the quick way becomes a part of its caller and keeps the
    // permit in registers.
    #[cold]
    #[inline(never)]
    fn settle(&self, ticket: Ticket, operation: u64, origin: Option<&Arc<Origin>>, outcome: Outcome) {
        let now = self.moment();
        // Only opening spreads its time at random; what hardly ever opens shall not pay for that.
        let random = match outcome {
            Outcome::Failure { .. } | Outcome::Trip { .. } | Outcome::Slow { .. } => fastrand::f64(),
            _ => 0.5,
        };
        self.change(origin, |m| ((), m.settle(now, ticket, operation, outcome, random)));
    }

    fn count_refusal(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    fn generation(&self) -> u64 {
        let ask = || self.gate.locked(|inner| inner.machine.generation());
        self.gate.closed().unwrap_or_else(ask)
    }

    fn moment(&self) -> Moment {
        Moment {
            at: self.clock.now(),
            second: self.clock.second(),
        }
    }

    /// Whether a call would pass now; counts the refusal when it would not.
    ///
    /// # Errors
    /// The refusal.
    pub fn peek(&self) -> Result<(), Refusal> {
        if self.gate.closed().is_some() {
            return Ok(());
        }
        let now = self.clock.now();
        self.gate
            .locked(|inner| inner.machine.peek(now))
            .inspect_err(|_| self.count_refusal())
    }

    /// Runs a change under the lock, then tells the observer outside it.
    fn change<T>(
        &self,
        origin: Option<&Arc<Origin>>,
        change: impl FnOnce(&mut Machine) -> (T, Option<Transition>),
    ) -> T {
        let (value, changed) = self.gate.locked(|inner| {
            let (value, transition) = change(&mut inner.machine);
            let changed = transition.map(|transition| self.note(inner, transition, origin));
            (value, changed.is_some())
        });
        if changed {
            self.tell();
        }
        value
    }

    /// The file was found bad: nothing passes until [`Breaker::verified`].
    pub fn isolate(&self, cause: &str) {
        self.change(None, |m| ((), m.isolate(cause.to_owned())));
    }

    /// The isolated file was verified.
    pub fn verified(&self) {
        let now = self.clock.now();
        self.change(None, |m| ((), m.verified(now)));
    }

    /// Nothing passes, by hand, until reset or for a time. For an isolated file this comes after its verification.
    pub fn force_open(&self, lasting: Option<Duration>, reason: &str, origin: Option<&Arc<Origin>>) {
        self.set_by_hand(true, lasting, reason, origin);
    }

    /// Everything passes, by hand, until reset or for a time. For an isolated file this comes after its verification.
    pub fn disable(&self, lasting: Option<Duration>, reason: &str, origin: Option<&Arc<Origin>>) {
        self.set_by_hand(false, lasting, reason, origin);
    }

    fn set_by_hand(&self, forced_open: bool, lasting: Option<Duration>, reason: &str, origin: Option<&Arc<Origin>>) {
        let hand = ByHand {
            forced_open,
            until: lasting.map(|lasting| self.clock.now() + lasting),
            cause: reason.to_owned(),
        };
        self.change(origin, |m| ((), m.set_by_hand(hand)));
    }

    /// While held, an OPEN breaker stays OPEN past its time and its refusals say to look again in a second. Lifting the
    /// hold lets time go on as usual. A hold on a breaker that isn't OPEN shows when it opens; a reset by hand ends it.
    pub fn hold(&self, held: bool) {
        self.gate.locked(|inner| inner.machine.hold(held));
    }

    /// Whether it is held: by this process, or from before a restart.
    pub fn is_held(&self) -> bool {
        self.gate.locked(|inner| inner.machine.is_held())
    }

    /// Back to CLOSED, by hand; `false` when the file is isolated, which only verification ends.
    pub fn reset(&self, reason: &str, origin: Option<&Arc<Origin>>) -> bool {
        self.change(origin, |m| match m.reset(reason.to_owned()) {
            Ok(transition) => (true, transition),
            Err(state::StillIsolated) => (false, None),
        })
    }

    /// When a probe will be let through, for an OPEN breaker.
    pub fn retry_at(&self) -> Option<Instant> {
        let now = self.clock.now();
        self.gate.locked(|inner| inner.machine.retry_at(now))
    }
}

#[cfg(test)]
mod tests;
