//! Successes of the last minute, counted without a lock (floor 1).
//!
//! ```text
//! a slot's word:  era (16 bits) | lap (20 bits) | count (28 bits)     second = lap × SLOTS + index of the slot
//! ```
//! What must stay true: a count belongs to one era (the generation in which the window began) and one second; who
//! comes late with an older era can't add to a newer one. The first stripes are written by their owners only. Called by
//! the [`super::gate`] to count and by the window to sum.

use super::sync::{AtomicU64, OWNED, Ordering, SHARED, SLOTS, WINDOW_SECONDS};

const COUNT_BITS: u32 = 28;
const LAP_BITS: u32 = 20;
const MOST: u64 = (1 << COUNT_BITS) - 1;
const LAPS: u64 = (1 << LAP_BITS) - 1;

/// The counters of one thread, or of those that share them, on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Stripe([AtomicU64; SLOTS as usize]);

impl Stripe {
    fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    #[inline]
    fn slot(&self, second: u64) -> &AtomicU64 {
        &self.0[(second % SLOTS) as usize]
    }
}

/// The counters.
#[derive(Debug)]
pub struct Tally {
    /// Each written by its owner alone.
    owned: [Stripe; OWNED],
    shared: [Stripe; SHARED],
}

/// A word that counts nothing yet.
#[inline]
fn zero(era: u64, second: u64) -> u64 {
    era << (LAP_BITS + COUNT_BITS) | ((second / SLOTS) & LAPS) << COUNT_BITS
}

/// The word that counts one more call, or `None` when it can't be counted: the slot is full, or it has gone on to a
/// later second of the same era while the caller slept. The caller has made sure that `era` is not over.
#[inline]
pub fn one_more(word: u64, era: u64, second: u64) -> Option<u64> {
    let zero = zero(era, second);
    // Of the same era and second, the two differ by the count alone.
    if word ^ zero < MOST {
        Some(word + 1)
    } else {
        first(word, zero)
    }
}

/// The first one of its era and second, once a second.
#[cold]
fn first(word: u64, zero: u64) -> Option<u64> {
    if word ^ zero == MOST {
        return None;
    }
    let is_same_era = (word ^ zero) >> (LAP_BITS + COUNT_BITS) == 0;
    let is_later = ((word >> COUNT_BITS).wrapping_sub(zero >> COUNT_BITS) & LAPS) < LAPS / 2;
    (!is_same_era || !is_later || word & MOST == 0).then_some(zero | 1)
}

impl Tally {
    /// All zero.
    pub fn new() -> Self {
        Self {
            owned: std::array::from_fn(|_| Stripe::new()),
            shared: std::array::from_fn(|_| Stripe::new()),
        }
    }

    /// The slot that counts this second's calls of the owner of a stripe.
    #[inline]
    pub fn own(&self, stripe: usize, second: u64) -> &AtomicU64 {
        self.owned[stripe].slot(second)
    }

    /// The slot that counts this second's calls of those who share a stripe.
    pub fn shared(&self, stripe: usize, second: u64) -> &AtomicU64 {
        self.shared[stripe].slot(second)
    }

    /// How many were counted in this era in the window that ends with `second`.
    pub fn sum(&self, era: u64, second: u64) -> u64 {
        let first = second.saturating_sub(WINDOW_SECONDS - 1);
        let counted = |stripe: &Stripe, second: u64| {
            let count = stripe.slot(second).load(Ordering::Acquire) ^ zero(era, second);
            if count <= MOST { count } else { 0 }
        };
        let of_stripe = |stripe: &Stripe| (first..=second).map(|second| counted(stripe, second)).sum::<u64>();
        self.owned.iter().chain(&self.shared).map(of_stripe).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(tally: &Tally, stripe: usize, era: u64, second: u64) {
        let slot = tally.own(stripe, second);
        if let Some(next) = one_more(slot.load(Ordering::Relaxed), era, second) {
            slot.store(next, Ordering::Relaxed);
        }
    }

    #[test]
    fn counts_of_all_stripes_leave_after_a_minute() {
        let tally = Tally::new();
        (0..2).for_each(|stripe| count(&tally, stripe, 1, 100));
        let shared = tally.shared(SHARED - 1, 100);
        shared.store(one_more(0, 1, 100).expect("room"), Ordering::Relaxed);
        count(&tally, 0, 1, 130);
        assert_eq!((tally.sum(1, 100), tally.sum(1, 159), tally.sum(1, 160)), (3, 4, 1));
        count(&tally, 0, 1, 164);
        assert_eq!(tally.sum(1, 164), 2, "the slot of second 100 starts again");
    }

    #[test]
    fn another_era_counts_from_nothing() {
        let tally = Tally::new();
        count(&tally, 0, 1, 7);
        assert_eq!(tally.sum(2, 7), 0);
        count(&tally, 0, 2, 7);
        assert_eq!((tally.sum(1, 7), tally.sum(2, 7)), (0, 1));
    }

    #[test]
    fn who_slept_for_a_lap_counts_for_nothing_and_a_full_slot_stays_full() {
        let tally = Tally::new();
        count(&tally, 0, 1, 7 + SLOTS);
        count(&tally, 0, 1, 7);
        assert_eq!(tally.sum(1, 7 + SLOTS), 1);
        let full = zero(1, 7) | MOST;
        assert_eq!(one_more(full, 1, 7), None);
        assert_eq!(one_more(full, 2, 7), Some(zero(2, 7) | 1));
    }
}
