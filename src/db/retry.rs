//! Whether an attempt is repeated, and when (floor 1, pure): policy and budget; the schedule is `backoff`.
//!
//! What must stay true: there is one retry layer (nothing above or below repeats); the attempts of one operation
//! never exceed DB_MAX_ATTEMPTS; a sleep that would cross the deadline is not slept; retries over all operations
//! stay within a budget, so that a failing database isn't hit harder than a working one.
//! Called by `Database::read` and the writer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::backoff;
use super::classify::Retry;
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
    /// All operations together have repeated too much.
    Budget,
}

impl GiveUp {
    /// In words for the log; `None` where repeating was never a choice.
    pub const fn words(self) -> Option<&'static str> {
        match self {
            GiveUp::NotRetryable => None,
            GiveUp::Attempts => Some("given up: all attempts are used"),
            GiveUp::Deadline => Some("given up: the next attempt would begin after the deadline"),
            GiveUp::Budget => Some("given up: the retry budget is spent"),
        }
    }
}

/// What is known of the failed attempt.
#[derive(Debug, Clone, Copy)]
pub struct Failed {
    /// What the error allows.
    pub retry: Retry,
    /// Whether it may be repeated although it isn't known what became of it.
    pub is_repeatable: bool,
    /// Whether somebody recovers the log meanwhile.
    pub awaits_recovery: bool,
    /// Which attempt failed: 1 is the first.
    pub attempt: u32,
    /// Whether it waited its whole lock budget; if not, contention has its own millisecond lane.
    pub lock_budget_spent: bool,
}

/// The classified name of the code that tells of a recovery.
pub const RECOVERY: &str = "BUSY_RECOVERY";
/// Before the next try while the log is being recovered, which takes longer than a lock's everyday hold.
const RECOVERY_DELAY: Duration = Duration::from_millis(100);
/// Tries within the millisecond lane before the schedule takes over.
const LANE_ATTEMPTS: u32 = 3;

/// Decides; `random` is in [0, 1).
pub fn decide(settings: &RetrySettings, failed: Failed, now: Instant, deadline: Instant, random: f64) -> Decision {
    let most = match failed.retry {
        Retry::Never => return Decision::GiveUp(GiveUp::NotRetryable),
        Retry::OnlyIdempotent if !failed.is_repeatable => return Decision::GiveUp(GiveUp::NotRetryable),
        Retry::Once | Retry::OnceLater => settings.max_attempts.min(2),
        Retry::NewTransaction | Retry::Discard | Retry::OnlyIdempotent => settings.max_attempts,
    };
    if failed.attempt >= most {
        return Decision::GiveUp(GiveUp::Attempts);
    }
    let in_lane = failed.retry == Retry::NewTransaction && !failed.lock_budget_spent && failed.attempt <= LANE_ATTEMPTS;
    let delay = if failed.awaits_recovery {
        RECOVERY_DELAY
    } else if in_lane || failed.retry == Retry::Once {
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

/// The retry budget: a fifth of the calls plus ten a second, at most ten seconds' worth saved up. Shared by reads and
/// writes: a call only adds one to a counter, and the sum is made when somebody wants to spend.
#[derive(Debug)]
pub struct Budget {
    calls: AtomicU64,
    account: Mutex<Account>,
}

#[derive(Debug)]
struct Account {
    tokens: f64,
    refilled: Instant,
    calls_counted: u64,
}

const TOKENS_PER_CALL: f64 = 0.2;
const TOKENS_PER_SECOND: f64 = 10.0;
const MOST_TOKENS: f64 = 100.0;

impl Budget {
    /// A full budget.
    pub fn new(now: Instant) -> Self {
        Self {
            calls: AtomicU64::new(0),
            account: Mutex::new(Account {
                tokens: MOST_TOKENS,
                refilled: now,
                calls_counted: 0,
            }),
        }
    }

    /// A call began: its first attempt, whether it reads or writes.
    pub fn earn(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes one retry out of the budget, or says that there is none.
    pub fn spend(&self, now: Instant) -> bool {
        let mut account = self.account.lock();
        account.refill(self.calls.load(Ordering::Relaxed), now);
        if account.tokens < 1.0 {
            return false;
        }
        account.tokens -= 1.0;
        true
    }

    /// Retries left now.
    pub fn left(&self, now: Instant) -> u64 {
        let mut account = self.account.lock();
        account.refill(self.calls.load(Ordering::Relaxed), now);
        account.tokens as u64
    }
}

impl Account {
    fn refill(&mut self, calls: u64, now: Instant) {
        let elapsed = now.saturating_duration_since(self.refilled).as_secs_f64();
        let earned = calls.saturating_sub(self.calls_counted) as f64 * TOKENS_PER_CALL;
        self.tokens = (self.tokens + earned + elapsed * TOKENS_PER_SECOND).min(MOST_TOKENS);
        self.refilled = self.refilled.max(now);
        self.calls_counted = self.calls_counted.max(calls);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::classify::{Gravity, classify};
    use crate::db::error::{DbError, ErrorKind};

    fn failed(code: i32, attempt: u32, spent: bool) -> Failed {
        Failed {
            retry: classify(code).retry,
            is_repeatable: false,
            awaits_recovery: classify(code).name == RECOVERY,
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
    fn giving_up_says_why_where_repeating_was_a_choice() {
        let error = || DbError::new("app", "test", ErrorKind::PoolTimeout { at_ceiling: false });
        let told = |why| error().given_up(why).detail;
        assert_eq!(told(GiveUp::NotRetryable), "");
        assert_eq!(told(GiveUp::Budget), "given up: the retry budget is spent");
        let more = error().with_detail("it was busy").given_up(GiveUp::Attempts);
        assert_eq!(more.detail, "it was busy; given up: all attempts are used");
    }

    #[test]
    fn only_a_pool_exhausted_at_its_ceiling_is_critical() {
        let gravity = |at_ceiling| DbError::new("app", "test", ErrorKind::PoolTimeout { at_ceiling }).gravity();
        assert_eq!((gravity(true), gravity(false)), (Gravity::Critical, Gravity::Medium));
    }

    #[test]
    fn once_is_at_once_save_where_sqlite_has_waited_already() {
        let long = Duration::from_secs(60);
        let delay = |code| match decision(failed(code, 1, false), long) {
            Decision::After(delay) => delay,
            given_up => panic!("{given_up:?}"),
        };
        for code in [17, 513, 769] {
            assert!(delay(code) <= Duration::from_millis(25), "{code}");
        }
        assert_eq!(delay(15), Duration::from_millis(2500));
    }

    #[test]
    fn an_unknown_outcome_is_repeated_only_where_that_is_safe() {
        let long = Duration::from_secs(60);
        assert_eq!(
            decision(failed(1034, 1, false), long),
            Decision::GiveUp(GiveUp::NotRetryable)
        );
        let safe = Failed {
            is_repeatable: true,
            ..failed(1034, 1, false)
        };
        assert!(matches!(decision(safe, long), Decision::After(_)));
        assert_eq!(
            decision(Failed { attempt: 5, ..safe }, long),
            Decision::GiveUp(GiveUp::Attempts)
        );
    }

    #[test]
    fn the_budget_stops_a_storm_and_comes_back() {
        let start = Instant::now();
        let budget = Budget::new(start);
        let granted = (0..1000).filter(|_| budget.spend(start)).count();
        assert_eq!(granted, 100);
        (0..5).for_each(|_| budget.earn());
        assert!(budget.spend(start));
        assert!(!budget.spend(start));
        assert!(budget.spend(start + Duration::from_secs(1)));
    }
}
