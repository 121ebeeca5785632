//! Successes of the last minute, counted without a lock (floor 1).
//!
//! ```text
//! a slot's word:  era (16 bits) | lap (20 bits) | count (28 bits)     second = lap × SLOTS + index of the slot
//! ```
//! What must stay true: a count belongs to one era (the generation in which the window began) and one second; it is
//! changed by compare-and-swap only, so that who comes late with an older era can't add to a newer one. Called by the
//! [`super::gate`] to count and by the window to sum.

use super::sync::{AtomicU64, SLOTS, STRIPES, WINDOW_SECONDS};

const COUNT_BITS: u32 = 28;
const LAP_BITS: u32 = 20;
const MOST: u64 = (1 << COUNT_BITS) - 1;
const LAPS: u64 = (1 << LAP_BITS) - 1;

/// One thread group's counters, on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Stripe([AtomicU64; SLOTS as usize]);

/// The counters.
#[derive(Debug)]
pub struct Tally([Stripe; STRIPES]);

fn tag(era: u64, second: u64) -> u64 {
    (era & 0xffff) << LAP_BITS | (second / SLOTS) & LAPS
}

/// The word that counts one more call, or `None` when it can't be counted: the slot is full, or it has gone on to a
/// later second of the same era while the caller slept. The caller has made sure that `era` is not over.
#[inline]
pub fn one_more(word: u64, era: u64, second: u64) -> Option<u64> {
    let (found, wanted) = (word >> COUNT_BITS, tag(era, second));
    if found == wanted {
        return (word & MOST < MOST).then_some(word + 1);
    }
    let is_same_era = found >> LAP_BITS == wanted >> LAP_BITS;
    let is_later = (found.wrapping_sub(wanted) & LAPS) < LAPS / 2;
    (!is_same_era || !is_later || word & MOST == 0).then_some(wanted << COUNT_BITS | 1)
}

impl Tally {
    /// All zero.
    pub fn new() -> Self {
        Self(std::array::from_fn(|_| {
            Stripe(std::array::from_fn(|_| AtomicU64::new(0)))
        }))
    }

    /// The slot that counts this second's calls for a group of threads.
    #[inline]
    pub fn slot(&self, stripe: usize, second: u64) -> &AtomicU64 {
        &self.0[stripe].0[(second % SLOTS) as usize]
    }

    /// How many were counted in this era in the window that ends with `second`.
    pub fn sum(&self, era: u64, second: u64) -> u64 {
        let first = second.saturating_sub(WINDOW_SECONDS - 1);
        let counted = |second: u64| {
            let words = (0..STRIPES).map(move |stripe| self.slot(stripe, second).load(super::sync::Ordering::Acquire));
            words
                .filter(move |word| word >> COUNT_BITS == tag(era, second))
                .map(|word| word & MOST)
                .sum::<u64>()
        };
        (first..=second).map(counted).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::breaker::sync::Ordering;

    fn count(tally: &Tally, stripe: usize, era: u64, second: u64) {
        let slot = tally.slot(stripe, second);
        if let Some(next) = one_more(slot.load(Ordering::Relaxed), era, second) {
            slot.store(next, Ordering::Relaxed);
        }
    }

    #[test]
    fn counts_of_all_stripes_leave_after_a_minute() {
        let tally = Tally::new();
        (0..3).for_each(|stripe| count(&tally, stripe, 1, 100));
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
        let full = tag(1, 7) << COUNT_BITS | MOST;
        assert_eq!(one_more(full, 1, 7), None);
        assert_eq!(one_more(full, 2, 7), Some(tag(2, 7) << COUNT_BITS | 1));
    }
}
