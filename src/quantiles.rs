//! Percentiles of durations in bounded memory (floor 0): a recorder that starts anew every minute and answers from
//! the last full and the current minute together, so that what it says is recent.
//!
//! What must stay true: recording never allocates and never blocks for long; values outside 1 µs to 1 h are held at
//! the ends. Anyone may call it.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use parking_lot::Mutex;

const MOST_MICROS: u64 = 3_600_000_000;
const SIGNIFICANT_DIGITS: u8 = 2;
const TURN: Duration = Duration::from_secs(60);

struct Recent {
    current: Histogram<u32>,
    previous: Histogram<u32>,
    turned: Instant,
}

/// Recorder of one quantity, shared by reference.
pub struct Quantiles {
    recent: Mutex<Recent>,
}

/// 50th, 95th and 99th percentile; zeros without samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Percentiles {
    /// Half were at most this.
    pub p50: f64,
    /// 95 % were at most this.
    pub p95: f64,
    /// 99 % were at most this.
    pub p99: f64,
}

impl Default for Quantiles {
    fn default() -> Self {
        Self::new()
    }
}

impl Quantiles {
    /// An empty recorder.
    ///
    /// # Panics
    /// Never: the bounds are constants that the histogram accepts.
    pub fn new() -> Self {
        let empty = || {
            Histogram::new_with_bounds(1, MOST_MICROS, SIGNIFICANT_DIGITS).expect("constant bounds that are in range")
        };
        Self {
            recent: Mutex::new(Recent {
                current: empty(),
                previous: empty(),
                turned: Instant::now(),
            }),
        }
    }

    fn record_raw(&self, value: u64) {
        let now = Instant::now();
        let mut recent = self.recent.lock();
        recent.turn(now);
        recent.current.saturating_record(value.clamp(1, MOST_MICROS));
    }

    /// Records a duration.
    pub fn record(&self, took: Duration) {
        self.record_raw(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// Records a count (a batch's size, say), to be read back with [`Quantiles::counts`].
    pub fn record_count(&self, count: u64) {
        self.record_raw(count);
    }

    /// Percentiles in milliseconds.
    pub fn milliseconds(&self) -> Percentiles {
        self.percentiles(1000.0)
    }

    /// Percentiles of recorded counts.
    pub fn counts(&self) -> Percentiles {
        self.percentiles(1.0)
    }

    fn percentiles(&self, unit: f64) -> Percentiles {
        let mut recent = self.recent.lock();
        recent.turn(Instant::now());
        let mut both = recent.current.clone();
        // Same bounds on both sides, so adding can't fail; if it did, the current minute alone is still true.
        let _ = both.add(&recent.previous);
        drop(recent);
        if both.is_empty() {
            return Percentiles::default();
        }
        let at = |q: f64| both.value_at_quantile(q).min(both.max()) as f64 / unit;
        Percentiles {
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
        }
    }
}

impl Recent {
    fn turn(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.turned);
        if elapsed < TURN {
            return;
        }
        std::mem::swap(&mut self.current, &mut self.previous);
        self.current.reset();
        if elapsed >= 2 * TURN {
            self.previous.reset();
        }
        self.turned = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let quantiles = Quantiles::new();
        assert_eq!(quantiles.milliseconds(), Percentiles::default());
        (1..=100).for_each(|ms| quantiles.record(Duration::from_millis(ms)));
        let seen = quantiles.milliseconds();
        assert!((seen.p50 - 50.0).abs() < 1.0, "{seen:?}");
        assert!((seen.p99 - 99.0).abs() < 2.0, "{seen:?}");
    }

    #[test]
    fn old_minutes_are_forgotten() {
        let quantiles = Quantiles::new();
        quantiles.record_count(7);
        {
            let mut recent = quantiles.recent.lock();
            let later = recent.turned + TURN;
            recent.turn(later);
        }
        assert_eq!(quantiles.counts().p50, 7.0, "the last full minute still counts");
        {
            let mut recent = quantiles.recent.lock();
            let later = recent.turned + 2 * TURN;
            recent.turn(later);
        }
        assert_eq!(quantiles.counts(), Percentiles::default());
    }
}
