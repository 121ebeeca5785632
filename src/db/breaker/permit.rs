//! The right to one attempt (floor 1).
//!
//! What must stay true: it is settled or released exactly once, whatever becomes of its holder.

use std::borrow::Borrow;
use std::sync::Arc;

use super::Breaker;
use super::state::{Outcome, Ticket};
use crate::db::operation::Origin;

/// The right to one attempt. Dropping it unsettled releases it without a verdict. It owns its breaker, to travel with
/// a job, or borrows it, which costs less.
#[must_use]
pub struct Permit<B: Borrow<Breaker> = Arc<Breaker>, O: Borrow<Arc<Origin>> = Arc<Origin>> {
    pub(super) breaker: B,
    pub(super) ticket: Ticket,
    pub(super) operation: u64,
    pub(super) origin: Option<O>,
    pub(super) settled: bool,
}

/// A permit of a caller that holds on to the breaker.
pub type BorrowedPermit<'a> = Permit<&'a Breaker, &'a Arc<Origin>>;

impl<B: Borrow<Breaker>, O: Borrow<Arc<Origin>>> Permit<B, O> {
    /// Whether the breaker is still in the generation that gave this permit.
    pub fn is_current(&self) -> bool {
        self.breaker.borrow().generation() == self.ticket.generation
    }

    /// The number of the operation it was given to.
    pub fn operation(&self) -> u64 {
        self.operation
    }

    /// Settles it.
    #[inline]
    pub fn settle(mut self, outcome: Outcome) {
        #[cfg(test)]
        crate::db::simulation::settling(self.breaker.borrow(), self.is_current(), self.operation, &outcome);
        self.settled = true;
        let breaker = self.breaker.borrow();
        let is_quick = self.ticket.lease.is_none() && outcome == Outcome::Success;
        if is_quick && breaker.gate.succeed(self.ticket.generation, breaker.clock.second()) {
            return;
        }
        self.tell(outcome);
    }

    // Out of line, so that the quick way stays small enough to become a part of its caller.
    #[cold]
    #[inline(never)]
    fn tell(&self, outcome: Outcome) {
        let breaker = self.breaker.borrow();
        let now = breaker.moment();
        // Only opening spreads its time at random; what hardly ever opens shall not pay for that.
        let random = match outcome {
            Outcome::Failure { .. } | Outcome::Trip { .. } | Outcome::Slow { .. } => fastrand::f64(),
            _ => 0.5,
        };
        let origin = self.origin.as_ref().map(Borrow::borrow);
        breaker.change(origin, |m| {
            ((), m.settle(now, self.ticket, self.operation, outcome, random))
        });
    }
}

impl<B: Borrow<Breaker>, O: Borrow<Arc<Origin>>> Drop for Permit<B, O> {
    #[inline]
    fn drop(&mut self) {
        // Without a lease nothing is held, so there is nothing to give back.
        if !self.settled && self.ticket.lease.is_some() {
            self.tell(Outcome::Ignored);
        }
        #[cfg(test)]
        crate::db::simulation::permit_gone(self.breaker.borrow(), self.ticket.lease);
    }
}
