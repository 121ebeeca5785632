//! What an SQLite result code means (floor 1, pure): one row a code, nothing decided by message text.
//!
//! What must stay true: every result code of the bundled `sqlite3.h` is named here (a test reads the header);
//! an unknown extended code falls back to its primary code, an unknown primary code is never retried.
//! Called by retry, breaker, writer, pool and the error types of this room; `tests.rs` holds the whole table.

use serde::Serialize;

/// When an attempt that failed with a code may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// At once in a new transaction (the millisecond lane), then by the backoff schedule.
    NewTransaction,
    /// Once and at once, in a new transaction.
    Once,
    /// Once, after the first step of the backoff schedule.
    OnceLater,
    /// By the backoff schedule, after the connection was discarded. For a write only while nothing can have been committed.
    Discard,
    /// Only with an idempotency key: the outcome is unknown.
    OnlyIdempotent,
    /// Never.
    Never,
}

/// What a failure means to the circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Impact {
    /// Neither a success nor a failure.
    Ignored,
    /// The database did its work: the caller's data was at fault.
    Success,
    /// Counts on the breaker of its direction when the attempt spent its whole lock budget.
    LockBudget,
    /// Counts as a failure.
    Failure,
    /// Opens the write breaker at once; for a read it is a failure.
    OpensWrite,
    /// Isolates the file until it is verified.
    Isolates,
}

/// How bad it is, in the words of the error log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Gravity {
    /// Informational.
    Low,
    /// Worth a look.
    Medium,
    /// Service suffers.
    High,
    /// Data or all service at risk.
    Critical,
}

/// What a client is told; the words are chosen by the HTTP skin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// M1: busy, try again.
    Busy,
    /// M2: temporarily unavailable.
    Unavailable,
    /// M3: changes cannot be saved; reading still works.
    ReadOnly,
    /// M4: conflicts with existing data.
    Conflict,
    /// M5: took too long.
    TooLong,
    /// M5: too large.
    TooLarge,
    /// M6: internal error with a reference.
    Internal,
    /// M7: data problem detected; the operator was told.
    DataProblem,
}

impl Told {
    /// In words that show nothing internal.
    pub const fn sentence(self) -> &'static str {
        match self {
            Told::Busy => "busy",
            Told::Unavailable => "temporarily unavailable",
            Told::ReadOnly => "changes cannot be saved",
            Told::Conflict => "conflict",
            Told::TooLong => "took too long",
            Told::TooLarge => "too large",
            Told::Internal => "internal error",
            Told::DataProblem => "data problem detected",
        }
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// The code's name without the `SQLITE_` prefix.
    pub name: &'static str,
    /// When to repeat.
    pub retry: Retry,
    /// What the breaker makes of it.
    pub impact: Impact,
    /// Severity in the error log.
    pub gravity: Gravity,
    /// What the client is told.
    pub told: Told,
}

const fn row(name: &'static str, retry: Retry, impact: Impact, gravity: Gravity, told: Told) -> Class {
    Class {
        name,
        retry,
        impact,
        gravity,
        told,
    }
}

use Gravity::{Critical, High, Low, Medium};
use Impact::{Failure, Ignored, Isolates, LockBudget, OpensWrite, Success};
use Retry::{Discard, Never, NewTransaction, Once, OnceLater, OnlyIdempotent};
use Told::{Busy, Conflict, DataProblem, Internal, ReadOnly, TooLarge, TooLong, Unavailable};

/// Name of an extended I/O error that has no row of its own, or `None` for a code that is not one.
fn io_error_name(code: i32) -> Option<&'static str> {
    const NAMES: [&str; 34] = [
        "IOERR_READ",
        "IOERR_SHORT_READ",
        "IOERR_WRITE",
        "IOERR_FSYNC",
        "IOERR_DIR_FSYNC",
        "IOERR_TRUNCATE",
        "IOERR_FSTAT",
        "IOERR_UNLOCK",
        "IOERR_RDLOCK",
        "IOERR_DELETE",
        "IOERR_BLOCKED",
        "IOERR_NOMEM",
        "IOERR_ACCESS",
        "IOERR_CHECKRESERVEDLOCK",
        "IOERR_LOCK",
        "IOERR_CLOSE",
        "IOERR_DIR_CLOSE",
        "IOERR_SHMOPEN",
        "IOERR_SHMSIZE",
        "IOERR_SHMLOCK",
        "IOERR_SHMMAP",
        "IOERR_SEEK",
        "IOERR_DELETE_NOENT",
        "IOERR_MMAP",
        "IOERR_GETTEMPPATH",
        "IOERR_CONVPATH",
        "IOERR_VNODE",
        "IOERR_AUTH",
        "IOERR_BEGIN_ATOMIC",
        "IOERR_COMMIT_ATOMIC",
        "IOERR_ROLLBACK_ATOMIC",
        "IOERR_DATA",
        "IOERR_CORRUPTFS",
        "IOERR_IN_PAGE",
    ];
    (code & 0xff == 10)
        .then(|| (code >> 8).checked_sub(1))
        .flatten()
        .and_then(|i| NAMES.get(i as usize))
        .copied()
}

fn io_error(code: i32) -> Option<Class> {
    let name = io_error_name(code)?;
    Some(match code {
        1034 | 1290 | 7434 | 7690 | 7946 => row(name, OnlyIdempotent, Isolates, Critical, DataProblem),
        3082 => row(name, Never, Failure, Critical, Unavailable),
        8202 | 8458 | 8714 => row(name, Never, Isolates, Critical, DataProblem),
        _ => row(name, Discard, Failure, High, Unavailable),
    })
}

fn constraint(code: i32) -> Option<Class> {
    const NAMES: [&str; 13] = [
        "CONSTRAINT",
        "CONSTRAINT_CHECK",
        "CONSTRAINT_COMMITHOOK",
        "CONSTRAINT_FOREIGNKEY",
        "CONSTRAINT_FUNCTION",
        "CONSTRAINT_NOTNULL",
        "CONSTRAINT_PRIMARYKEY",
        "CONSTRAINT_TRIGGER",
        "CONSTRAINT_UNIQUE",
        "CONSTRAINT_VTAB",
        "CONSTRAINT_ROWID",
        "CONSTRAINT_PINNED",
        "CONSTRAINT_DATATYPE",
    ];
    let name = NAMES.get((code >> 8) as usize)?;
    (code & 0xff == 19).then(|| row(name, Never, Success, Low, Conflict))
}

/// The row of exactly this code, or `None` when the table doesn't name it.
fn exact(code: i32) -> Option<Class> {
    Some(match code {
        5 => row("BUSY", NewTransaction, LockBudget, High, Busy),
        773 => row("BUSY_TIMEOUT", NewTransaction, LockBudget, High, Busy),
        517 => row("BUSY_SNAPSHOT", NewTransaction, Ignored, Low, Busy),
        261 => row("BUSY_RECOVERY", NewTransaction, LockBudget, Medium, Busy),
        6 => row("LOCKED", Never, Ignored, High, Internal),
        262 => row("LOCKED_SHAREDCACHE", NewTransaction, Ignored, Medium, Busy),
        518 => row("LOCKED_VTAB", NewTransaction, Ignored, Medium, Busy),
        15 => row("PROTOCOL", OnceLater, Failure, High, Unavailable),
        17 => row("SCHEMA", Once, Ignored, Low, Busy),
        513 => row("ERROR_RETRY", Once, Ignored, Low, Busy),
        769 => row("ERROR_SNAPSHOT", Once, Ignored, Low, Busy),
        4 => row("ABORT", NewTransaction, Ignored, Low, Busy),
        516 => row("ABORT_ROLLBACK", NewTransaction, Ignored, Low, Busy),
        9 => row("INTERRUPT", Never, Ignored, Low, TooLong),
        7 => row("NOMEM", Never, Failure, Critical, Unavailable),
        13 => row("FULL", Never, OpensWrite, Critical, ReadOnly),
        10 => row("IOERR", Discard, Failure, High, Unavailable),
        11 => row("CORRUPT", Never, Isolates, Critical, DataProblem),
        267 => row("CORRUPT_VTAB", Never, Isolates, Critical, DataProblem),
        523 => row("CORRUPT_SEQUENCE", Never, Isolates, Critical, DataProblem),
        779 => row("CORRUPT_INDEX", Never, Isolates, Critical, DataProblem),
        26 => row("NOTADB", Never, Isolates, Critical, DataProblem),
        8970 => row("IOERR_BADKEY", Never, Isolates, Critical, Internal),
        9226 => row("IOERR_CODEC", Never, Isolates, Critical, Internal),
        1281 => row("ERROR_KEY", Never, Isolates, Critical, Internal),
        8 => row("READONLY", Never, OpensWrite, Critical, ReadOnly),
        264 => row("READONLY_RECOVERY", Never, OpensWrite, Critical, ReadOnly),
        520 => row("READONLY_CANTLOCK", Never, OpensWrite, Critical, ReadOnly),
        776 => row("READONLY_ROLLBACK", Never, OpensWrite, Critical, ReadOnly),
        1288 => row("READONLY_CANTINIT", Never, OpensWrite, Critical, ReadOnly),
        1544 => row("READONLY_DIRECTORY", Never, OpensWrite, Critical, ReadOnly),
        3 => row("PERM", Never, OpensWrite, Critical, ReadOnly),
        1032 => row("READONLY_DBMOVED", Never, Isolates, Critical, DataProblem),
        14 => row("CANTOPEN", Discard, Failure, High, Unavailable),
        782 => row("CANTOPEN_FULLPATH", Discard, Failure, High, Unavailable),
        1038 => row("CANTOPEN_CONVPATH", Discard, Failure, High, Unavailable),
        270 => row("CANTOPEN_NOTEMPDIR", Never, Ignored, High, Internal),
        526 => row("CANTOPEN_ISDIR", Never, Ignored, High, Internal),
        1294 => row("CANTOPEN_DIRTYWAL", Never, Ignored, High, Internal),
        1550 => row("CANTOPEN_SYMLINK", Never, Ignored, High, Internal),
        18 => row("TOOBIG", Never, Ignored, Low, TooLarge),
        20 => row("MISMATCH", Never, Ignored, Low, Conflict),
        _ => return bug(code),
    })
}

/// Codes that mean a bug of ours, and those that are not errors at all.
fn bug(code: i32) -> Option<Class> {
    let name = match code {
        1 => "ERROR",
        257 => "ERROR_MISSING_COLLSEQ",
        1025 => "ERROR_RESERVESIZE",
        1537 => "ERROR_UNABLE",
        2 => "INTERNAL",
        12 => "NOTFOUND",
        16 => "EMPTY",
        21 => "MISUSE",
        22 => "NOLFS",
        23 => "AUTH",
        279 => "AUTH_USER",
        24 => "FORMAT",
        25 => "RANGE",
        0 | 256 | 512 => return Some(row("OK", Never, Success, Low, Internal)),
        27 | 283 | 539 | 795 => return Some(row("NOTICE", Never, Ignored, Low, Internal)),
        28 | 284 => return Some(row("WARNING", Never, Ignored, Low, Internal)),
        100 => return Some(row("ROW", Never, Success, Low, Internal)),
        101 => return Some(row("DONE", Never, Success, Low, Internal)),
        _ => return None,
    };
    Some(row(name, Never, Ignored, High, Internal))
}

/// The row of exactly this code, or `None` when the table doesn't name it.
pub fn named(code: i32) -> Option<Class> {
    exact(code).or_else(|| constraint(code)).or_else(|| io_error(code))
}

/// What `extended` (an SQLite extended result code) means.
pub fn classify(extended: i32) -> Class {
    named(extended)
        .or_else(|| named(extended & 0xff))
        .unwrap_or(row("UNKNOWN", Never, Failure, High, Unavailable))
}

/// What an error of rusqlite means; one without an SQLite code is a bug of ours.
pub fn classify_error(error: &rusqlite::Error) -> Class {
    classify(code_of(error).unwrap_or(1))
}

/// The extended SQLite code of an error, where it has one.
pub fn code_of(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|e| e.extended_code)
}

#[cfg(test)]
mod tests;
