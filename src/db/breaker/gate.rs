//! The breaker's door (floor 1): who passes a closed breaker, and whose success counts, without a lock.
//!
//! ```text
//! the word:  generation << 1 | 1 while failures stand in a row      CLOSED
//!            0                                                      any other state
//! ```
//! What must stay true: the word is written under the lock only, before the lock is given back; a success counts
//! without the lock only while the word says that its generation is closed and no failure stands, which makes it
//! equal to the machine's own `settle`; a success of a generation that is over changes nothing, however late it comes.
//! Checked by `tests/breaker_loom.rs`. Called by [`super::Breaker`] and its permits.

use std::sync::Arc;

use super::machine::Machine;
use super::sync::{AtomicU64, Mutex, Ordering};
use super::tally::{Tally, one_more};

/// Something that holds the machine, with what else stands under its lock.
pub struct Gate<T> {
    word: AtomicU64,
    tally: Arc<Tally>,
    inner: Mutex<T>,
}

impl<T: AsRef<Machine>> Gate<T> {
    /// For a machine in any state.
    pub fn new(inner: T) -> Self {
        let machine = inner.as_ref();
        Self {
            word: AtomicU64::new(machine.word()),
            tally: Arc::clone(machine.tally()),
            inner: Mutex::new(inner),
        }
    }

    /// The generation that lets everybody through; `None` when somebody has to ask the machine.
    #[inline]
    pub fn closed(&self) -> Option<u64> {
        let word = self.word.load(Ordering::Acquire);
        (word != 0).then_some(word >> 1)
    }

    /// Settles the quick success of a call that passed in `generation` without a lease, by the owner of stripe `own`;
    /// `false` when that is a matter for the machine, because it ends a row of failures.
    #[inline]
    pub fn succeed(&self, own: usize, generation: u64, second: u64) -> bool {
        let slot = self.tally.own(own, second);
        let word = self.word.load(Ordering::Acquire);
        if word != generation << 1 {
            return word >> 1 != generation;
        }
        // Nobody else writes here, so nothing gets lost between the load and the store. If the generation ends between
        // the look at the word and the store, the count carries the old one, which no later sum takes. What it is
        // written over is never of a later generation: the caller, or the owner before it, has seen that in the word.
        if let Some(next) = one_more(slot.load(Ordering::Relaxed), generation, second) {
            slot.store(next, Ordering::Release);
        }
        true
    }

    /// The same in a stripe that others count in too.
    pub fn succeed_shared(&self, shared: usize, generation: u64, second: u64) -> bool {
        let slot = self.tally.shared(shared, second);
        // The slot is read before the word: if it belongs to a later generation already, the word says so too, and
        // if it comes to do so after the look at the word, the exchange fails.
        let mut seen = slot.load(Ordering::Acquire);
        loop {
            let word = self.word.load(Ordering::Acquire);
            if word != generation << 1 {
                return word >> 1 != generation;
            }
            let Some(next) = one_more(seen, generation, second) else {
                return true;
            };
            match slot.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(found) => seen = found,
            }
        }
    }

    /// Looks or changes under the lock, and tells the door.
    pub fn locked<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut inner = self.inner.lock();
        let result = change(&mut inner);
        let word = inner.as_ref().word();
        // Only written when it is another one, so that those who only look don't take its cache line from the others.
        if self.word.load(Ordering::Relaxed) != word {
            self.word.store(word, Ordering::Release);
        }
        result
    }
}
