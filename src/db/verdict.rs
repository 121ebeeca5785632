//! What an error means to the breakers (floor 1, pure): from code and circumstances to an outcome.
//!
//! What must stay true: the caller's own mistakes are never failures of the database; contention counts only when
//! the whole lock budget was waited for. Called by `Database::read` and the writer.

use std::time::Duration;

use super::breaker::{Cause, Outcome};
use super::classify::{Impact, classify};
use super::error::{DbError, ErrorKind};

/// In which direction the failed attempt went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// A read: nothing trips the read breaker at once, because reading may still work where writing can't.
    Read,
    /// A write.
    Write,
}

/// The log is being recovered.
pub const BUSY_RECOVERY: i32 = 261;
const INTERRUPT: i32 = 9;
/// A recovery that takes longer counts against the breaker.
const LONG_RECOVERY_MS: u64 = 30_000;

fn recovery_ms(error: &DbError) -> u64 {
    error.holder.as_ref().map_or(0, |holder| holder.held_ms)
}

/// Names the holder where it could be seen; otherwise claims no more than that there is one.
fn lock_cause(error: &DbError) -> String {
    let unseen = || "the lock is held by another connection".to_owned();
    error.holder.as_ref().map_or_else(unseen, |holder| holder.sentence())
}

/// It ran into its deadline: slow, whoever is to blame.
fn stopped(error: &DbError) -> Outcome {
    Outcome::Slow {
        operation: error.operation,
        worked: false,
    }
}

/// The outcome of an attempt that worked and took `took` of the `limit` it had.
#[inline]
pub fn worked(operation: &'static str, took: Duration, limit: Duration) -> Outcome {
    if took >= limit / 2 {
        let worked = true;
        return Outcome::Slow { operation, worked };
    }
    Outcome::Success
}

/// The outcome of a failed attempt.
pub fn verdict(direction: Direction, error: &DbError, lock_budget_spent: bool) -> Outcome {
    let code = match &error.kind {
        ErrorKind::Isolated { cause } => return Outcome::Isolate { cause: cause.clone() },
        ErrorKind::DeadlineExceeded => return stopped(error),
        ErrorKind::Stuck => {
            // No more than is known: a closure that blocks in its own code looks the same. It counts all the same, because
            // where only such closures hang, others succeed in between, and each success ends the row of failures.
            let text = "operations did not come back, long after their deadlines".to_owned();
            return Outcome::Failure {
                cause: Cause {
                    text,
                    told: error.told(),
                },
            };
        }
        ErrorKind::Sqlite { code } => *code,
        _ => return Outcome::Ignored,
    };
    let class = classify(code);
    let text = format!("SQLite {} ({code})", class.name);
    let cause = |text: &str| Cause {
        text: text.to_owned(),
        told: class.told,
    };
    match class.impact {
        // SQLite is at work on it and ends by itself; only one that lasts is a failure.
        Impact::LockBudget if code == BUSY_RECOVERY && recovery_ms(error) < LONG_RECOVERY_MS => Outcome::Ignored,
        Impact::LockBudget if lock_budget_spent || code == BUSY_RECOVERY => Outcome::Failure {
            cause: cause(&lock_cause(error)),
        },
        Impact::Ignored if code == INTERRUPT => stopped(error),
        Impact::LockBudget | Impact::Ignored => Outcome::Ignored,
        Impact::Success => Outcome::Success,
        Impact::Failure => Outcome::Failure { cause: cause(&text) },
        Impact::OpensWrite if direction == Direction::Write => Outcome::Trip { cause: cause(&text) },
        Impact::OpensWrite => Outcome::Failure { cause: cause(&text) },
        Impact::Isolates => Outcome::Isolate { cause: text },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Lock, LockHolder};

    fn of(direction: Direction, code: i32, spent: bool) -> Outcome {
        verdict(
            direction,
            &DbError::new("app", "test", ErrorKind::Sqlite { code }),
            spent,
        )
    }

    #[test]
    fn the_callers_mistakes_are_not_the_databases() {
        assert_eq!(of(Direction::Write, 2067, false), Outcome::Success);
        assert_eq!(of(Direction::Write, 1, false), Outcome::Ignored);
        assert_eq!(of(Direction::Read, 20, false), Outcome::Ignored);
    }

    #[test]
    fn what_was_stopped_at_its_deadline_is_no_success() {
        let stopped = Outcome::Slow {
            operation: "test",
            worked: false,
        };
        assert_eq!(of(Direction::Read, INTERRUPT, false), stopped);
        let late = DbError::new("app", "test", ErrorKind::DeadlineExceeded);
        assert_eq!(verdict(Direction::Read, &late, false), stopped);
    }

    #[test]
    fn half_of_its_time_is_slow() {
        let second = Duration::from_secs(1);
        assert_eq!(worked("test", second.mul_f64(0.49), second), Outcome::Success);
        let slow = Outcome::Slow {
            operation: "test",
            worked: true,
        };
        assert_eq!(worked("test", second / 2, second), slow);
    }

    #[test]
    fn contention_counts_only_when_the_lock_budget_is_spent() {
        assert_eq!(of(Direction::Write, 5, false), Outcome::Ignored);
        assert!(matches!(of(Direction::Write, 5, true), Outcome::Failure { .. }));
    }

    #[test]
    fn the_cause_names_the_holder_and_claims_nothing_that_was_not_seen() {
        let cause = |error: &DbError| match verdict(Direction::Write, error, true) {
            Outcome::Failure { cause } => cause.text,
            other => panic!("{other:?}"),
        };
        let busy = DbError::new("app", "test", ErrorKind::Sqlite { code: 5 });
        assert_eq!(cause(&busy), "the lock is held by another connection");
        let holder = |ours| LockHolder {
            pid: Some(4242),
            command: Some("sqlite3".into()),
            ours,
            lock: Lock::Write,
            held_ms: 3000,
        };
        let foreign = busy.clone().with_holder(Some(holder(false)));
        assert_eq!(
            cause(&foreign),
            "the write lock is held by sqlite3 (pid 4242) for at least 3 s"
        );
        assert!(foreign.detail.contains("4242"));
        let own = cause(&busy.with_holder(Some(holder(true))));
        assert!(own.contains("this process itself") && !own.contains("4242"), "{own}");
    }

    #[test]
    fn a_recovery_counts_only_when_it_lasts() {
        let after = |held_ms| {
            let error = DbError::new("app", "test", ErrorKind::Sqlite { code: BUSY_RECOVERY });
            let holder = LockHolder {
                pid: None,
                command: None,
                ours: false,
                lock: Lock::Recovery,
                held_ms,
            };
            verdict(Direction::Read, &error.with_holder(Some(holder)), false)
        };
        assert_eq!(of(Direction::Read, BUSY_RECOVERY, true), Outcome::Ignored);
        assert_eq!(after(29_000), Outcome::Ignored);
        assert!(matches!(after(31_000), Outcome::Failure { .. }));
    }

    #[test]
    fn a_full_disk_trips_writing_and_corruption_isolates() {
        assert!(matches!(of(Direction::Write, 13, false), Outcome::Trip { .. }));
        assert!(matches!(of(Direction::Read, 8, false), Outcome::Failure { .. }));
        assert!(matches!(of(Direction::Read, 11, false), Outcome::Isolate { .. }));
    }
}
