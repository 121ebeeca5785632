//! The one error of the database layer (floor 1).
//!
//! What must stay true: an error says which database and operation it concerns, whether anything was done, and
//! when to come back; a cause is found by code, never by text. `detail` is for the log and never for a client.

use std::fmt;
use std::time::Duration;

use super::classify::{Class, Gravity, Retry, Told, classify};
use super::holders::LockHolder;
use super::retry::GiveUp;

/// Why an operation gave no result.
#[derive(Debug, Clone, PartialEq)]
pub enum ErrorKind {
    /// The circuit breaker refuses: nothing was tried. Carries the breaker's cause.
    CircuitOpen {
        /// Why the breaker opened.
        cause: String,
        /// What clients are told meanwhile.
        told: Told,
    },
    /// The file is isolated until it is verified: nothing was tried.
    Isolated {
        /// What was found.
        cause: String,
    },
    /// The writer's queue is full: nothing was tried.
    QueueFull,
    /// No connection became free in time: nothing was tried.
    PoolTimeout {
        /// Whether all connections that there may ever be (DB_POOL_MAX for readers) were in use.
        at_ceiling: bool,
    },
    /// Its turn did not come before the deadline: nothing was tried.
    NotBegun,
    /// It ran longer than its deadline allows; it was stopped and rolled back.
    DeadlineExceeded,
    /// Somebody stopped it while it ran: it was rolled back.
    Cancelled,
    /// Too many wait for a reader; this one was turned away: nothing was tried.
    Overloaded,
    /// It, or what it waited for, did not come back, long after the deadline: a disk that hangs, or code of ours that
    /// blocks outside SQLite. Which of them can't be seen from here. Nothing was changed.
    Stuck,
    /// SQLite refused with this extended code; nothing was changed.
    Sqlite {
        /// The extended result code.
        code: i32,
    },
    /// A value that was stored can't be read back as what it was; the rest of the file is not in doubt. Nothing was changed.
    DamagedValue,
    /// A write may or may not have been committed.
    OutcomeUnknown,
    /// The operation panicked; it was rolled back.
    Panicked,
    /// The database is shutting down: nothing was tried.
    ShuttingDown,
}

/// A failed operation.
#[derive(Debug, Clone, PartialEq)]
pub struct DbError {
    /// The database: `app` or `events`.
    pub database: &'static str,
    /// The operation's name, as in metrics and logs.
    pub operation: &'static str,
    /// Why.
    pub kind: ErrorKind,
    /// When to come back, where that is known.
    pub retry_after: Option<Duration>,
    /// For the log: codes, SQLite's text, attempts. Never shown to a client.
    pub detail: String,
    /// Who held the lock that was waited for in vain, where that could be seen. Never shown to a client.
    pub holder: Option<Box<LockHolder>>,
}

impl DbError {
    /// An error with nothing more to say than its kind.
    pub fn new(database: &'static str, operation: &'static str, kind: ErrorKind) -> Self {
        Self {
            database,
            operation,
            kind,
            retry_after: None,
            detail: String::new(),
            holder: None,
        }
    }

    /// From an error of rusqlite, by its code.
    pub fn from_sqlite(database: &'static str, operation: &'static str, error: &rusqlite::Error) -> Self {
        let kind = if is_damaged_value(error) {
            ErrorKind::DamagedValue
        } else {
            let code = super::classify::code_of(error).unwrap_or(1);
            ErrorKind::Sqlite { code }
        };
        let mut made = Self::new(database, operation, kind);
        made.detail = error.to_string();
        made
    }

    /// The same with words for the log.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// The same with who held the lock, in words too.
    #[must_use]
    pub fn with_holder(mut self, holder: Option<LockHolder>) -> Self {
        if let Some(holder) = &holder {
            self.detail = format!("{}; {}", self.detail, holder.sentence());
        }
        self.holder = holder.map(Box::new);
        self
    }

    /// The same with what ended its repetition, where it could have been repeated.
    #[must_use]
    pub fn given_up(mut self, why: GiveUp) -> Self {
        if let Some(words) = why.words() {
            let separator = if self.detail.is_empty() { "" } else { "; " };
            self.detail = format!("{}{separator}{words}", self.detail);
        }
        self
    }

    /// The same with the time to come back.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// The row of the code table, for an error that came from SQLite.
    pub fn class(&self) -> Option<Class> {
        match self.kind {
            ErrorKind::Sqlite { code } => Some(classify(code)),
            _ => None,
        }
    }

    /// When an attempt that failed so may be repeated.
    pub fn retry(&self) -> Retry {
        match &self.kind {
            ErrorKind::Sqlite { code } => classify(*code).retry,
            // Its connection may be back in a moment; a pool that is used up stays so.
            ErrorKind::PoolTimeout { .. } => Retry::Once,
            _ => Retry::Never,
        }
    }

    /// What a client is told.
    pub fn told(&self) -> Told {
        match &self.kind {
            ErrorKind::CircuitOpen { told, .. } => *told,
            ErrorKind::ShuttingDown | ErrorKind::Stuck => Told::Unavailable,
            ErrorKind::Isolated { .. } | ErrorKind::OutcomeUnknown | ErrorKind::DamagedValue => Told::DataProblem,
            ErrorKind::QueueFull | ErrorKind::PoolTimeout { .. } => Told::Busy,
            ErrorKind::NotBegun | ErrorKind::Overloaded => Told::Busy,
            ErrorKind::DeadlineExceeded | ErrorKind::Cancelled => Told::TooLong,
            ErrorKind::Sqlite { code } => classify(*code).told,
            ErrorKind::Panicked => Told::Internal,
        }
    }

    /// How bad it is.
    pub fn gravity(&self) -> Gravity {
        match &self.kind {
            ErrorKind::Isolated { .. } | ErrorKind::OutcomeUnknown => Gravity::Critical,
            ErrorKind::DamagedValue | ErrorKind::Stuck => Gravity::Critical,
            ErrorKind::PoolTimeout { at_ceiling: true } => Gravity::Critical,
            ErrorKind::PoolTimeout { at_ceiling: false } => Gravity::Medium,
            ErrorKind::CircuitOpen { .. } | ErrorKind::DeadlineExceeded | ErrorKind::Panicked => Gravity::High,
            ErrorKind::QueueFull | ErrorKind::NotBegun | ErrorKind::Overloaded => Gravity::High,
            ErrorKind::Sqlite { code } => classify(*code).gravity,
            ErrorKind::ShuttingDown | ErrorKind::Cancelled => Gravity::Low,
        }
    }

    /// Whether the same call may succeed later without anybody changing it.
    pub fn is_retryable(&self) -> bool {
        match &self.kind {
            ErrorKind::Sqlite { code } => {
                !matches!(classify(*code).retry, Retry::Never | Retry::OnlyIdempotent)
                    || matches!(classify(*code).told, Told::ReadOnly | Told::Unavailable)
            }
            ErrorKind::OutcomeUnknown | ErrorKind::DamagedValue | ErrorKind::Panicked | ErrorKind::Cancelled => false,
            _ => true,
        }
    }

    /// Whether the database itself is in trouble, rather than having too much to do, being asked for too much, or holding one
    /// bad value.
    pub fn shows_trouble(&self) -> bool {
        let told = matches!(
            self.told(),
            Told::Busy | Told::Unavailable | Told::ReadOnly | Told::DataProblem
        );
        let own_load = matches!(
            self.kind,
            ErrorKind::QueueFull
                | ErrorKind::PoolTimeout { .. }
                | ErrorKind::NotBegun
                | ErrorKind::Overloaded
                | ErrorKind::DamagedValue
                | ErrorKind::ShuttingDown
        );
        told && !own_load
    }

    /// Whether it is certain that nothing was changed.
    pub fn nothing_done(&self) -> bool {
        !matches!(self.kind, ErrorKind::OutcomeUnknown)
    }
}

/// Whether a value that we wrote can't be read back as what it was: not UTF-8, not JSON, or of another type.
fn is_damaged_value(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    matches!(
        error,
        FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..)
    )
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}: ", self.database, self.operation)?;
        match &self.kind {
            ErrorKind::CircuitOpen { cause, .. } => write!(f, "circuit breaker open: {cause}")?,
            ErrorKind::Isolated { cause } => write!(f, "isolated: {cause}")?,
            ErrorKind::QueueFull => f.write_str("the writer's queue is full")?,
            ErrorKind::PoolTimeout { .. } => f.write_str("no connection became free in time")?,
            ErrorKind::Stuck => f.write_str("did not come back, long after the deadline")?,
            ErrorKind::Cancelled => f.write_str("stopped by an operator")?,
            ErrorKind::Overloaded => f.write_str("too many operations wait for a reader")?,
            ErrorKind::NotBegun => f.write_str("not begun by its deadline")?,
            ErrorKind::DeadlineExceeded => f.write_str("deadline exceeded")?,
            ErrorKind::Sqlite { code } => write!(f, "SQLite {} ({code})", classify(*code).name)?,
            ErrorKind::OutcomeUnknown => f.write_str("outcome unknown")?,
            ErrorKind::DamagedValue => f.write_str("a stored value is damaged")?,
            ErrorKind::Panicked => f.write_str("panicked")?,
            ErrorKind::ShuttingDown => f.write_str("shutting down")?,
        }
        if self.detail.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.detail)
        }
    }
}

impl std::error::Error for DbError {}
