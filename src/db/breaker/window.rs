//! Calls, failures and slow calls of the last 60 seconds (floor 1, pure), in one-second buckets.
//!
//! What must stay true: memory is fixed, and a bucket older than the window never counts.

use std::time::Instant;

/// How far back the rates look, in seconds.
pub const WINDOW_SECONDS: u64 = 60;

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    second: u64,
    calls: u32,
    failures: u32,
    slow: u32,
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

/// The sliding window.
#[derive(Debug)]
pub struct Window {
    start: Instant,
    buckets: [Bucket; WINDOW_SECONDS as usize],
}

impl Window {
    /// An empty window that begins now.
    pub fn new(now: Instant) -> Self {
        Self {
            start: now,
            buckets: [Bucket::default(); WINDOW_SECONDS as usize],
        }
    }

    fn second(&self, now: Instant) -> u64 {
        // Counted from 1, so that an untouched bucket (second 0) is told from one of the first second.
        now.saturating_duration_since(self.start).as_secs() + 1
    }

    /// Counts one settled call.
    pub fn record(&mut self, now: Instant, failed: bool, slow: bool) {
        let second = self.second(now);
        let bucket = &mut self.buckets[(second % WINDOW_SECONDS) as usize];
        if bucket.second != second {
            *bucket = Bucket {
                second,
                ..Bucket::default()
            };
        }
        bucket.calls += 1;
        bucket.failures += u32::from(failed);
        bucket.slow += u32::from(slow);
    }

    /// The sums of the last 60 seconds.
    pub fn totals(&self, now: Instant) -> Totals {
        let second = self.second(now);
        let fresh = |b: &&Bucket| b.second > 0 && b.second + WINDOW_SECONDS > second;
        self.buckets
            .iter()
            .filter(fresh)
            .fold(Totals::default(), |sum, b| Totals {
                calls: sum.calls + u64::from(b.calls),
                failures: sum.failures + u64::from(b.failures),
                slow: sum.slow + u64::from(b.slow),
            })
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.buckets = [Bucket::default(); WINDOW_SECONDS as usize];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_older_than_a_minute_does_not_count() {
        let start = Instant::now();
        let mut window = Window::new(start);
        window.record(start, true, false);
        window.record(start + Duration::from_secs(30), false, true);
        assert_eq!(
            window.totals(start + Duration::from_secs(59)),
            Totals {
                calls: 2,
                failures: 1,
                slow: 1
            }
        );
        assert_eq!(
            window.totals(start + Duration::from_secs(60)),
            Totals {
                calls: 1,
                failures: 0,
                slow: 1
            }
        );
        assert_eq!(window.totals(start + Duration::from_secs(600)), Totals::default());
    }

    #[test]
    fn a_reused_bucket_starts_empty() {
        let start = Instant::now();
        let mut window = Window::new(start);
        window.record(start, true, true);
        let later = start + Duration::from_secs(WINDOW_SECONDS);
        window.record(later, false, false);
        assert_eq!(
            window.totals(later),
            Totals {
                calls: 1,
                failures: 0,
                slow: 0
            }
        );
    }
}
