//! Calls, failures and slow calls of the last 60 seconds (floor 1, pure), in one-second buckets.
//!
//! What must stay true: memory is fixed, and a bucket older than the window never counts. What is counted without the
//! machine's lock stands in the [`Tally`]; both together are the window.

use std::sync::Arc;

use super::sync::WINDOW_SECONDS;
use super::tally::Tally;

/// What became of a call that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It worked, and soon enough.
    Success,
    /// It failed.
    Failure,
    /// It was slow: the operation's name.
    Slow(&'static str),
}

/// Of which operations the slow calls were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Slow {
    /// There were none.
    #[default]
    None,
    /// All of this one.
    One(&'static str),
    /// Of more than one.
    Several,
}

impl Slow {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Slow::None, known) | (known, Slow::None) => known,
            (Slow::One(one), Slow::One(other)) if one == other => self,
            _ => Slow::Several,
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    second: u64,
    calls: u32,
    failures: u32,
    slow: u32,
    slow_operations: Slow,
}

/// Sums over the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Settled calls.
    pub calls: u64,
    /// Of these, counted failures.
    pub failures: u64,
    /// Of these, slow ones.
    pub slow: u64,
    /// Of which operations.
    pub slow_operations: Slow,
}

impl Totals {
    /// Failures over calls, 0 without calls.
    pub fn failure_rate(&self) -> f64 {
        ratio(self.failures, self.calls)
    }

    /// Slow calls over calls, 0 without calls.
    pub fn slow_rate(&self) -> f64 {
        ratio(self.slow, self.calls)
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The sliding window. Seconds are those of [`crate::clock::Clock::second`].
#[derive(Debug)]
pub struct Window {
    /// The generation in which it began: what the tally counted in others is not in it.
    era: u64,
    tally: Arc<Tally>,
    buckets: [Bucket; WINDOW_SECONDS as usize],
}

impl Window {
    /// An empty window that begins with this generation.
    pub fn new(era: u64) -> Self {
        Self {
            era,
            tally: Arc::new(Tally::new()),
            buckets: [Bucket::default(); WINDOW_SECONDS as usize],
        }
    }

    /// Where calls are counted without the machine's lock.
    pub fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// Counts one settled call.
    pub fn record(&mut self, second: u64, how: How) {
        let bucket = &mut self.buckets[(second % WINDOW_SECONDS) as usize];
        if bucket.second != second {
            *bucket = Bucket {
                second,
                ..Bucket::default()
            };
        }
        bucket.calls += 1;
        match how {
            How::Success => {}
            How::Failure => bucket.failures += 1,
            How::Slow(operation) => {
                bucket.slow += 1;
                bucket.slow_operations = bucket.slow_operations.and(Slow::One(operation));
            }
        }
    }

    /// The sums of the 60 seconds that end with this one.
    pub fn totals(&self, second: u64) -> Totals {
        let quick = Totals {
            calls: self.tally.sum(self.era, second),
            ..Totals::default()
        };
        self.buckets
            .iter()
            .filter(|b| b.second + WINDOW_SECONDS > second)
            .fold(quick, |sum, b| Totals {
                calls: sum.calls + u64::from(b.calls),
                failures: sum.failures + u64::from(b.failures),
                slow: sum.slow + u64::from(b.slow),
                slow_operations: sum.slow_operations.and(b.slow_operations),
            })
    }

    /// Forgets everything: a new window begins with this generation.
    pub fn begin(&mut self, era: u64) {
        self.era = era;
        self.buckets = [Bucket::default(); WINDOW_SECONDS as usize];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(calls: u64, failures: u64, slow: u64) -> Totals {
        let slow_operations = if slow > 0 { Slow::One("a") } else { Slow::None };
        Totals {
            calls,
            failures,
            slow,
            slow_operations,
        }
    }

    #[test]
    fn what_is_older_than_a_minute_does_not_count() {
        let mut window = Window::new(1);
        window.record(100, How::Failure);
        window.record(130, How::Slow("a"));
        assert_eq!(window.totals(159), totals(2, 1, 1));
        assert_eq!(window.totals(160), totals(1, 0, 1));
        assert_eq!(window.totals(700), Totals::default());
    }

    #[test]
    fn a_reused_bucket_starts_empty() {
        let mut window = Window::new(1);
        window.record(0, How::Slow("b"));
        window.record(WINDOW_SECONDS, How::Success);
        assert_eq!(window.totals(WINDOW_SECONDS), totals(1, 0, 0));
    }

    #[test]
    fn slow_calls_are_of_several_operations_only_while_both_are_in_the_window() {
        let mut window = Window::new(1);
        (0..3).for_each(|second| window.record(second, How::Slow("a")));
        assert_eq!(window.totals(2).slow_operations, Slow::One("a"));
        window.record(1, How::Slow("b"));
        assert_eq!(window.totals(60).slow_operations, Slow::Several);
        assert_eq!(window.totals(61).slow_operations, Slow::One("a"), "second 1 is over");
    }

    #[test]
    fn a_new_window_is_empty() {
        let mut window = Window::new(1);
        window.record(5, How::Failure);
        window.begin(2);
        assert_eq!(window.totals(5), Totals::default());
    }
}
