//! Which copies of the counters have an owner (floor 1).
//!
//! What must stay true: a copy has one owner at a time, and who takes one sees everything that its owners before have
//! read and written. Checked by `tests/breaker_loom.rs`. Called by [`super::thread`] only.

use super::sync::{AtomicU64, OWNED, Ordering};

/// One bit for each copy that has an owner.
#[derive(Debug)]
pub struct Owners(pub AtomicU64);

impl Owners {
    /// A copy for the caller alone, until it is given back; `None` when all have owners.
    pub fn take(&self) -> Option<usize> {
        let mut taken = self.0.load(Ordering::Relaxed);
        loop {
            let free = taken.trailing_ones();
            if free as usize >= OWNED {
                return None;
            }
            let with_it = taken | 1 << free;
            match self
                .0
                .compare_exchange_weak(taken, with_it, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return Some(free as usize),
                Err(found) => taken = found,
            }
        }
    }

    /// Gives it back: the caller counts in it no more.
    pub fn give_back(&self, stripe: usize) {
        self.0.fetch_and(!(1 << stripe), Ordering::Release);
    }
}
