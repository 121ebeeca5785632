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
// It has no destructor of its own, only its lease has: so that one without a lease stays in registers all its life.
#[must_use]
pub struct Permit<B: Borrow<Breaker> = Arc<Breaker>, O: Borrow<Arc<Origin>> = Arc<Origin>> {
    breaker: B,
    operation: u64,
    origin: Option<O>,
    generation: u64,
    lease: Option<Lease<B>>,
}

/// A permit of a caller that holds on to the breaker.
pub type BorrowedPermit<'a> = Permit<&'a Breaker, &'a Arc<Origin>>;

/// A half-open breaker's lease.
struct Lease<B: Borrow<Breaker>> {
    breaker: B,
    generation: u64,
    /// Its number, until it is settled.
    held: Option<u64>,
}

impl<B: Borrow<Breaker> + Clone, O: Borrow<Arc<Origin>>> Permit<B, O> {
    /// For who was given this ticket.
    #[inline]
    pub(super) fn new(breaker: B, ticket: Ticket, operation: u64, origin: Option<O>) -> Self {
        let lease = ticket.lease.map(|number| Lease {
            breaker: breaker.clone(),
            generation: ticket.generation,
            held: Some(number),
        });
        Self {
            breaker,
            operation,
            origin,
            generation: ticket.generation,
            lease,
        }
    }
}

impl<B: Borrow<Breaker>, O: Borrow<Arc<Origin>>> Permit<B, O> {
    /// Whether the breaker is still in the generation that gave this permit.
    pub fn is_current(&self) -> bool {
        self.breaker.borrow().generation() == self.generation
    }

    /// The number of the operation it was given to.
    pub fn operation(&self) -> u64 {
        self.operation
    }

    /// Settles it.
    // Always a part of its caller, who mostly knows the outcome: then there is no permit left to hand over.
    #[inline(always)]
    pub fn settle(self, outcome: Outcome) {
        #[cfg(test)]
        crate::db::simulation::settling(self.breaker.borrow(), self.is_current(), self.operation, &outcome);
        if matches!(outcome, Outcome::Success) {
            // It holds nothing; that the compiler need not think of dropping it keeps the quick way out of memory.
            std::mem::forget(outcome);
            self.succeed();
        } else {
            self.tell(outcome);
        }
    }

    #[inline(always)]
    fn succeed(self) {
        // Taken apart first, for the same reason: where there is no lease, there is nothing to drop.
        let Self {
            breaker,
            operation,
            origin,
            generation,
            lease,
        } = self;
        match lease {
            Some(lease) => Self {
                breaker,
                operation,
                origin,
                generation,
                lease: Some(lease),
            }
            .tell(Outcome::Success),
            None if breaker.borrow().succeed(generation) => {}
            None => Self {
                breaker,
                operation,
                origin,
                generation,
                lease: None,
            }
            .tell(Outcome::Success),
        }
    }

    #[cold]
    #[inline(never)]
    fn tell(self, outcome: Outcome) {
        let ticket = Ticket {
            generation: self.generation,
            lease: self.lease.and_then(|mut lease| lease.held.take()),
        };
        let origin = self.origin.as_ref().map(Borrow::borrow);
        self.breaker.borrow().settle(ticket, self.operation, origin, outcome);
        #[cfg(test)]
        crate::db::simulation::permit_gone(self.breaker.borrow(), ticket.lease);
    }
}

impl<B: Borrow<Breaker>> Drop for Lease<B> {
    fn drop(&mut self) {
        if self.held.is_some() {
            let ticket = Ticket {
                generation: self.generation,
                lease: self.held,
            };
            // No verdict changes no state, so that nobody will ask on whose behalf.
            self.breaker.borrow().settle(ticket, 0, None, Outcome::Ignored);
        }
        #[cfg(test)]
        crate::db::simulation::permit_gone(self.breaker.borrow(), self.held);
    }
}
