//! What a database's failure looks like from outside (floor 5).
//!
//! What must stay true: it is decided by code; no sentence shows anything internal.

use super::Problem;
use crate::db::classify::Told;
use crate::db::{DbError, ErrorKind};
use crate::http::Code;

/// Seconds, rounded up, at least one.
fn seconds(after: std::time::Duration) -> u64 {
    after.as_secs() + u64::from(after.subsec_nanos() > 0)
}

/// Code, sentence and seconds to wait where the database doesn't say.
fn told(error: &DbError) -> (Code, &'static str, u64) {
    match (&error.kind, error.told()) {
        (ErrorKind::ShuttingDown, _) => (Code::ShuttingDown, "The service is shutting down; nothing was done.", 5),
        (ErrorKind::OutcomeUnknown, _) => (
            Code::OutcomeUnknown,
            "The change may or may not have been saved; read before you repeat it.",
            5,
        ),
        (ErrorKind::QueueFull, _) => (Code::DatabaseBusy, "Too many writes are waiting; nothing was done.", 1),
        (ErrorKind::PoolTimeout { .. }, _) => (Code::DatabaseBusy, "No database connection became free in time.", 1),
        (ErrorKind::Overloaded, _) => (
            Code::DatabaseBusy,
            "Too many requests are waiting for the database; nothing was done.",
            1,
        ),
        (ErrorKind::Cancelled, _) => (
            Code::Timeout,
            "The operation was stopped by an operator; nothing was changed.",
            0,
        ),
        (ErrorKind::NotBegun, _) => (
            Code::DatabaseBusy,
            "Its turn did not come in time; nothing was done.",
            1,
        ),
        (_, Told::Busy) => (
            Code::DatabaseBusy,
            "The database is locked; service resumes by itself when the lock is released.",
            2,
        ),
        (_, Told::Unavailable) => (
            Code::DatabaseUnavailable,
            "The database cannot be used now; service resumes by itself.",
            5,
        ),
        (_, Told::ReadOnly) => (
            Code::DatabaseReadOnly,
            "Changes cannot be saved: the disk is full or read-only. Reading still works.",
            30,
        ),
        (_, Told::DataProblem) => (
            Code::DatabaseDamaged,
            "A problem with the stored data was detected and the operator was told. Nothing was changed.",
            60,
        ),
        (_, Told::Conflict) => (
            Code::Conflict,
            "The change conflicts with existing data or a rule for it.",
            0,
        ),
        (_, Told::TooLong) => (
            Code::Timeout,
            "The operation was stopped at its deadline; nothing was changed.",
            0,
        ),
        (_, Told::TooLarge) => (Code::PayloadTooLarge, "A value is larger than the database takes.", 0),
        (_, Told::Internal) => (
            Code::Internal,
            "An internal error; the log has it under the request id.",
            0,
        ),
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        let (code, detail, wait) = told(&error);
        let mut made = Self::new(code, detail);
        if code.row().1 == 503 {
            made = made.with_retry_after(error.retry_after.map_or(wait, seconds));
        }
        made.internal = Some(error);
        made
    }
}
