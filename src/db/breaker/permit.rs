//! The right to one attempt (floor 1).
//!
//! What must stay true: it is settled or released exactly once, whatever becomes of its holder.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Breaker;
use super::state::{Outcome, Ticket};
use crate::db::operation::Origin;

/// The right to one attempt. Dropping it unsettled releases it without a verdict.
#[must_use]
pub struct Permit {
    pub(super) breaker: Arc<Breaker>,
    pub(super) ticket: Ticket,
    pub(super) operation: u64,
    pub(super) origin: Option<Arc<Origin>>,
    pub(super) settled: bool,
}

impl Permit {
    /// Whether the breaker is still in the generation that gave this permit.
    pub fn is_current(&self) -> bool {
        let closed = self.breaker.closed_generation.load(Ordering::Acquire);
        closed == self.ticket.generation
            || (closed == 0 && self.breaker.inner.lock().machine.generation() == self.ticket.generation)
    }

    /// The number of the operation it was given to.
    pub fn operation(&self) -> u64 {
        self.operation
    }

    /// Settles it.
    pub fn settle(mut self, outcome: Outcome) {
        self.settled = true;
        self.tell(outcome);
    }

    fn tell(&self, outcome: Outcome) {
        let now = self.breaker.clock.now();
        // Only opening spreads its time at random; a success hardly ever opens and shall not pay for that.
        let random = if matches!(outcome, Outcome::Failure { .. } | Outcome::Trip { .. }) {
            fastrand::f64()
        } else {
            0.5
        };
        self.breaker.change(self.origin.as_ref(), |m| {
            ((), m.settle(now, self.ticket, self.operation, outcome, random))
        });
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // Without a lease nothing is held, so there is nothing to give back.
        if !self.settled && self.ticket.lease.is_some() {
            self.tell(Outcome::Ignored);
        }
    }
}
