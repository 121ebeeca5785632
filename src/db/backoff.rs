//! The delay between attempts (floor 1, pure): `min(10 s, base · 2^attempt + U(0, 1 s))`.
//!
//! What must stay true: no delay exceeds the cap, and at the cap the jitter goes downward, so that sleepers whose
//! schedule has saturated never line up. Randomness comes in as a number in [0, 1). Called by the retry policy.

use std::time::Duration;

/// No delay is longer than this.
pub const CAP: Duration = Duration::from_secs(10);

/// The widest jitter.
pub const JITTER: Duration = Duration::from_secs(1);

/// The delay after failed attempt number `attempt` (0 is the first), for `random` in [0, 1).
///
/// The jitter is one second, or the base delay where that is shorter, so that a short schedule stays short.
pub fn delay(base: Duration, attempt: u32, random: f64) -> Duration {
    let jitter = JITTER.min(base).mul_f64(random.clamp(0.0, 1.0));
    let exponential = base.saturating_mul(2_u32.saturating_pow(attempt));
    if exponential + JITTER.min(base) >= CAP {
        CAP - jitter
    } else {
        exponential + jitter
    }
}

/// `value` moved by up to ten per cent either way, for `random` in [0, 1).
pub fn within_ten_percent(value: Duration, random: f64) -> Duration {
    value.mul_f64(0.9 + 0.2 * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(2000);

    #[test]
    fn the_documented_schedule_doubles_and_adds_up_to_a_second() {
        assert_eq!(delay(BASE, 0, 0.0), Duration::from_secs(2));
        assert_eq!(delay(BASE, 1, 0.5), Duration::from_millis(4500));
        assert_eq!(delay(BASE, 0, 0.999), Duration::from_millis(2999));
    }

    #[test]
    fn at_the_cap_jitter_goes_downward() {
        for attempt in 3..40 {
            let spread: Vec<_> = (0..10).map(|i| delay(BASE, attempt, f64::from(i) / 10.0)).collect();
            assert!(
                spread.iter().all(|d| *d <= CAP && *d >= CAP - JITTER),
                "{attempt}: {spread:?}"
            );
            assert!(spread.windows(2).all(|w| w[0] > w[1]), "{attempt}: {spread:?}");
        }
    }

    #[test]
    fn a_short_base_keeps_short_delays() {
        assert!(delay(Duration::from_millis(10), 0, 0.99) < Duration::from_millis(20));
    }

    #[test]
    fn ten_percent_is_ten_percent() {
        assert_eq!(
            within_ten_percent(Duration::from_secs(100), 0.0),
            Duration::from_secs(90)
        );
        assert!(within_ten_percent(Duration::from_secs(100), 0.9999) < Duration::from_secs(110));
    }
}
