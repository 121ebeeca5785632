//! How many things happened during the last minute (floor 0): sixty buckets of a second.
//!
//! What must stay true: monotonic time only; a bucket older than a minute never counts.

use std::time::Instant;

use parking_lot::Mutex;

const SECONDS: usize = 60;

/// A sliding minute.
#[derive(Debug)]
pub struct MinuteRate {
    started: Instant,
    /// The second that a bucket belongs to, and its count.
    buckets: Mutex<[(u64, u64); SECONDS]>,
}

impl MinuteRate {
    /// An empty minute; `now` is the beginning of its time.
    pub fn starting_at(now: Instant) -> Self {
        Self {
            started: now,
            buckets: Mutex::new([(0, 0); SECONDS]),
        }
    }

    /// Counts events that came in `now`.
    pub fn add(&self, now: Instant, count: u64) {
        let second = self.second(now);
        let bucket = &mut self.buckets.lock()[(second % SECONDS as u64) as usize];
        if bucket.0 != second {
            *bucket = (second, 0);
        }
        bucket.1 += count;
    }

    /// Events of the last 60 seconds.
    pub fn per_minute(&self, now: Instant) -> u64 {
        let second = self.second(now);
        let oldest = (second + 1).saturating_sub(SECONDS as u64);
        self.buckets
            .lock()
            .iter()
            .filter(|(at, _)| (oldest..=second).contains(at))
            .map(|(_, count)| count)
            .sum()
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_secs()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_the_last_minute_counts() {
        let start = Instant::now();
        let rate = MinuteRate::starting_at(start);
        let at = |seconds| start + Duration::from_secs(seconds);
        rate.add(at(0), 3);
        rate.add(at(59), 4);
        assert_eq!(rate.per_minute(at(59)), 7);
        assert_eq!(rate.per_minute(at(60)), 4);
        rate.add(at(60), 1);
        assert_eq!(rate.per_minute(at(60)), 5);
        assert_eq!(rate.per_minute(at(1000)), 0);
    }
}
