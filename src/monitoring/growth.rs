//! How fast the files grow (floor 3), and so how many days the disk will last.
//!
//! What must stay true: no guess before there is something to go by ([`ENOUGH`] of observation); files that don't
//! grow never fill a disk. `app` samples once a minute.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Samples kept: a day of minutes.
const KEPT: usize = 24 * 60;
/// Shorter observation says nothing.
const ENOUGH: Duration = Duration::from_secs(600);
const SECONDS_A_DAY: f64 = 86_400.0;

/// The sizes of the last day.
#[derive(Debug, Default)]
pub struct Growth(Mutex<VecDeque<(Instant, u64)>>);

impl Growth {
    /// Notes how many bytes our files take now.
    pub fn sample(&self, now: Instant, used_bytes: u64) {
        let mut samples = self.0.lock();
        samples.push_back((now, used_bytes));
        while samples.len() > KEPT {
            samples.pop_front();
        }
    }

    /// Days until `free_bytes` are used up at the pace observed; `None` while that isn't known or nothing grows.
    pub fn days_until_full(&self, free_bytes: u64) -> Option<f64> {
        let samples = self.0.lock();
        let (first, last) = (samples.front()?, samples.back()?);
        let observed = last.0.saturating_duration_since(first.0);
        let grown = last.1.checked_sub(first.1).filter(|grown| *grown > 0)?;
        if observed < ENOUGH {
            return None;
        }
        let bytes_a_day = grown as f64 / observed.as_secs_f64() * SECONDS_A_DAY;
        Some((free_bytes as f64 / bytes_a_day * 10.0).round() / 10.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_of_the_observation_is_carried_on() {
        let start = Instant::now();
        let growth = Growth::default();
        growth.sample(start, 0);
        assert_eq!(growth.days_until_full(1000), None);
        growth.sample(start + Duration::from_secs(60), 100);
        assert_eq!(growth.days_until_full(1000), None, "too short an observation");
        growth.sample(start + Duration::from_secs(3600), 100);
        assert_eq!(growth.days_until_full(2400), Some(1.0));
    }

    #[test]
    fn files_that_shrink_or_stand_still_never_fill_the_disk() {
        let start = Instant::now();
        let growth = Growth::default();
        growth.sample(start, 500);
        growth.sample(start + Duration::from_secs(86_400), 400);
        assert_eq!(growth.days_until_full(1000), None);
    }
}
