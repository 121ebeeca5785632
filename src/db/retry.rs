//! Whether an attempt is repeated, and when (floor 1, pure): policy and budget; the schedule is `backoff`.
//!
//! What must stay true: there is one retry layer (nothing above or below repeats); the attempts of one operation
//! never exceed DB_MAX_ATTEMPTS; a sleep that would cross the deadline is not slept; retries over all operations
//! stay within a budget, so that a failing database isn't hit harder than a working one.
//! Called by `Database::read` and the writer.

use std::time::{Duration, Instant};

use super::backoff;
use super::classify::{Class, Retry};
use crate::config::RetrySettings;

/// What happens after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// Repeat after this delay.
    After(Duration),
    /// Answer with the error.
    GiveUp(GiveUp),
}

/// Why an operation isn't tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUp {
    /// Repeating can't help, or isn't safe.
    NotRetryable,
    /// All attempts are used.
    Attempts,
    /// The delay would cross the deadline.
    Deadline,
}

/// What is known of the failed attempt.
#[derive(Debug, Clone, Copy)]
pub struct Failed {
    /// What the code means.
    pub class: Class,
    /// Which attempt failed: 1 is the first.
    pub attempt: u32,
    /// Whether it waited its whole lock budget; if not, contention has its own millisecond lane.
    pub lock_budget_spent: bool,
}

/// Before the next try while the log is being recovered, which takes longer than a lock's everyday hold.
const RECOVERY_DELAY: Duration = Duration::from_millis(100);
/// Tries within the millisecond lane before the schedule takes over.
const LANE_ATTEMPTS: u32 = 3;

/// Decides; `random` is in [0, 1).
pub fn decide(settings: &RetrySettings, failed: Failed, now: Instant, deadline: Instant, random: f64) -> Decision {
    let most = match failed.class.retry {
        Retry::Never | Retry::OnlyIdempotent => return Decision::GiveUp(GiveUp::NotRetryable),
        Retry::Once => settings.max_attempts.min(2),
        Retry::NewTransaction | Retry::Discard => settings.max_attempts,
    };
    if failed.attempt >= most {
        return Decision::GiveUp(GiveUp::Attempts);
    }
    let in_lane =
        failed.class.retry == Retry::NewTransaction && !failed.lock_budget_spent && failed.attempt <= LANE_ATTEMPTS;
    let delay = if failed.class.name == "BUSY_RECOVERY" {
        RECOVERY_DELAY
    } else if in_lane || failed.class.retry == Retry::Once {
        Duration::from_millis(1 + (random * 24.0) as u64)
    } else {
        backoff::delay(settings.base_delay, failed.attempt - 1, random)
    };
    if now + delay >= deadline {
        Decision::GiveUp(GiveUp::Deadline)
    } else {
        Decision::After(delay)
    }
}

/// The retry budget: a fifth of the calls plus ten a second, at most ten seconds' worth saved up.
#[derive(Debug)]
pub struct Budget {
    tokens: f64,
    refilled: Instant,
}

const TOKENS_PER_CALL: f64 = 0.2;
const TOKENS_PER_SECOND: f64 = 10.0;
const MOST_TOKENS: f64 = 100.0;

impl Budget {
    /// A full budget.
    pub fn new(now: Instant) -> Self {
        Self {
            tokens: MOST_TOKENS,
            refilled: now,
        }
    }

    /// A first attempt was made.
    pub fn earn(&mut self) {
        self.tokens = (self.tokens + TOKENS_PER_CALL).min(MOST_TOKENS);
    }

    /// Takes one retry out of the budget, or says that there is none.
    pub fn spend(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.refilled = self.refilled.max(now);
        self.tokens = (self.tokens + elapsed * TOKENS_PER_SECOND).min(MOST_TOKENS);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }

    /// Retries left now.
    pub fn left(&self) -> u64 {
        self.tokens as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::classify::classify;

    fn failed(code: i32, attempt: u32, spent: bool) -> Failed {
        Failed {
            class: classify(code),
            attempt,
            lock_budget_spent: spent,
        }
    }

    fn decision(f: Failed, left: Duration) -> Decision {
        let now = Instant::now();
        decide(&RetrySettings::default(), f, now, now + left, 0.5)
    }

    #[test]
    fn only_what_is_retryable_is_retried() {
        let long = Duration::from_secs(60);
        for code in [13, 11, 19, 2067, 1, 21, 9, 1034] {
            assert_eq!(
                decision(failed(code, 1, false), long),
                Decision::GiveUp(GiveUp::NotRetryable),
                "{code}"
            );
        }
        assert!(matches!(decision(failed(5, 1, true), long), Decision::After(_)));
        assert!(matches!(decision(failed(266, 1, true), long), Decision::After(_)));
    }

    #[test]
    fn contention_has_a_millisecond_lane_until_the_lock_budget_is_spent() {
        let long = Duration::from_secs(60);
        let Decision::After(lane) = decision(failed(517, 1, false), long) else {
            panic!("not retried")
        };
        assert!(lane <= Duration::from_millis(25));
        let Decision::After(schedule) = decision(failed(5, 1, true), long) else {
            panic!("not retried")
        };
        assert_eq!(schedule, Duration::from_millis(2500));
    }

    #[test]
    fn a_recovery_is_waited_for_in_steps_of_a_tenth_of_a_second() {
        let long = Duration::from_secs(60);
        for (attempt, spent) in [(1, false), (4, true)] {
            assert_eq!(
                decision(failed(261, attempt, spent), long),
                Decision::After(RECOVERY_DELAY)
            );
        }
    }

    #[test]
    fn attempts_end_and_no_sleep_crosses_the_deadline() {
        assert_eq!(
            decision(failed(5, 5, true), Duration::from_secs(60)),
            Decision::GiveUp(GiveUp::Attempts)
        );
        assert_eq!(
            decision(failed(5, 1, true), Duration::from_secs(2)),
            Decision::GiveUp(GiveUp::Deadline)
        );
        assert_eq!(
            decision(failed(15, 2, false), Duration::from_secs(60)),
            Decision::GiveUp(GiveUp::Attempts)
        );
    }

    #[test]
    fn the_budget_stops_a_storm_and_comes_back() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let granted = (0..1000).filter(|_| budget.spend(start)).count();
        assert_eq!(granted, 100);
        (0..5).for_each(|_| budget.earn());
        assert!(budget.spend(start));
        assert!(!budget.spend(start));
        assert!(budget.spend(start + Duration::from_secs(1)));
    }
}
