//! What an error means to the breakers (floor 1, pure): from code and circumstances to an outcome.
//!
//! What must stay true: the caller's own mistakes are never failures of the database; contention counts only when
//! the whole lock budget was waited for. Called by `Database::read` and the writer.

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

/// The outcome of a failed attempt.
pub fn verdict(direction: Direction, error: &DbError, lock_budget_spent: bool) -> Outcome {
    let code = match &error.kind {
        ErrorKind::Isolated { cause } => return Outcome::Isolate { cause: cause.clone() },
        ErrorKind::DeadlineExceeded => return Outcome::Success { slow: true },
        ErrorKind::Stuck => {
            let text = "the storage does not answer".to_owned();
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
        Impact::LockBudget if lock_budget_spent => Outcome::Failure {
            cause: cause("the lock is held by another process"),
        },
        Impact::Ignored if code == 9 => Outcome::Success { slow: true },
        Impact::LockBudget | Impact::Ignored => Outcome::Ignored,
        Impact::Success => Outcome::Success { slow: false },
        Impact::Failure => Outcome::Failure { cause: cause(&text) },
        Impact::OpensWrite if direction == Direction::Write => Outcome::Trip { cause: cause(&text) },
        Impact::OpensWrite => Outcome::Failure { cause: cause(&text) },
        Impact::Isolates => Outcome::Isolate { cause: text },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(direction: Direction, code: i32, spent: bool) -> Outcome {
        verdict(
            direction,
            &DbError::new("app", "test", ErrorKind::Sqlite { code }),
            spent,
        )
    }

    #[test]
    fn the_callers_mistakes_are_not_the_databases() {
        assert_eq!(of(Direction::Write, 2067, false), Outcome::Success { slow: false });
        assert_eq!(of(Direction::Write, 1, false), Outcome::Ignored);
        assert_eq!(of(Direction::Read, 20, false), Outcome::Ignored);
    }

    #[test]
    fn contention_counts_only_when_the_lock_budget_is_spent() {
        assert_eq!(of(Direction::Write, 5, false), Outcome::Ignored);
        assert!(matches!(of(Direction::Write, 5, true), Outcome::Failure { .. }));
    }

    #[test]
    fn a_full_disk_trips_writing_and_corruption_isolates() {
        assert!(matches!(of(Direction::Write, 13, false), Outcome::Trip { .. }));
        assert!(matches!(of(Direction::Read, 8, false), Outcome::Failure { .. }));
        assert!(matches!(of(Direction::Read, 11, false), Outcome::Isolate { .. }));
    }
}
