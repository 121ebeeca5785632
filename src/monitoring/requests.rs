//! Requests (floor 3): totals since the start, rates and latencies of the last minute.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::quantiles::Quantiles;
use crate::rate::MinuteRate;

/// The recorder; the skin's fairing feeds it.
pub struct Requests {
    total: AtomicU64,
    slow: AtomicU64,
    in_flight: AtomicI64,
    latency: Quantiles,
    answered: MinuteRate,
    failed: MinuteRate,
    began: Instant,
}

/// What is shown of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestStatus {
    /// Answered since the start.
    pub total: u64,
    /// On their way now.
    pub in_flight: i64,
    /// Answered in the last minute.
    pub last_minute: u64,
    /// Answered each second, over the last minute.
    pub per_second: f64,
    /// Share answered with 5xx, over the last minute, 0 to 1.
    pub error_rate: f64,
    /// Slower than MAINSTAY_SLOW_REQUEST_MS, since the start.
    pub slow: u64,
    /// Recent latencies in milliseconds.
    pub latency_ms: crate::quantiles::Percentiles,
}

impl Requests {
    /// Nothing recorded yet.
    pub fn starting_at(now: Instant) -> Self {
        Self {
            total: AtomicU64::new(0),
            slow: AtomicU64::new(0),
            in_flight: AtomicI64::new(0),
            latency: Quantiles::new(),
            answered: MinuteRate::starting_at(now),
            failed: MinuteRate::starting_at(now),
            began: now,
        }
    }

    /// On their way now.
    pub fn in_flight(&self) -> i64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// A request came in.
    pub fn began(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Its answer left.
    pub fn ended(&self, now: Instant, took: Duration, status: u16, slow: bool) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
        self.slow.fetch_add(u64::from(slow), Ordering::Relaxed);
        self.latency.record(took);
        self.answered.add(now, 1);
        if status >= 500 {
            self.failed.add(now, 1);
        }
    }

    /// What is shown.
    pub fn status(&self, now: Instant) -> RequestStatus {
        let answered = self.answered.per_minute(now) as f64;
        let failed = self.failed.per_minute(now) as f64;
        // Younger than a minute, the rate is over what there was.
        let seconds = now.saturating_duration_since(self.began).as_secs_f64().clamp(1.0, 60.0);
        RequestStatus {
            total: self.total.load(Ordering::Relaxed),
            in_flight: self.in_flight(),
            last_minute: answered as u64,
            per_second: answered / seconds,
            error_rate: if answered > 0.0 {
                (failed / answered).min(1.0)
            } else {
                0.0
            },
            slow: self.slow.load(Ordering::Relaxed),
            latency_ms: self.latency.milliseconds(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_last_minute() {
        let start = Instant::now();
        let requests = Requests::starting_at(start);
        for i in 0..60 {
            requests.began();
            requests.ended(
                start,
                Duration::from_millis(5),
                if i % 4 == 0 { 503 } else { 200 },
                i == 0,
            );
        }
        let seen = requests.status(start);
        assert_eq!((seen.total, seen.in_flight, seen.slow), (60, 0, 1));
        assert!((seen.error_rate - 0.25).abs() < 1e-9, "{seen:?}");
        let at_ten = requests.status(start + Duration::from_secs(10));
        assert!((at_ten.per_second - 6.0).abs() < 1e-9, "{at_ten:?}");
        let later = requests.status(start + Duration::from_secs(120));
        assert_eq!((later.total, later.per_second, later.error_rate), (60, 0.0, 0.0));
    }
}
