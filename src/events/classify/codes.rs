//! Which codes mean which class (floor 2, pure): SQLite's names, SQLSTATEs, errno names, exception types, and our own
//! database layer's kinds.
//!
//! What must stay true: a code that is not listed gives no class, so that the caller falls back to the declared type.

use super::{Class, Severity};
use crate::db::classify::{Gravity, Told};
use crate::db::{DbError, ErrorKind};

/// The severity of our database layer's gravity.
pub const fn severity_of(gravity: Gravity) -> Severity {
    match gravity {
        Gravity::Low => Severity::Low,
        Gravity::Medium => Severity::Medium,
        Gravity::High => Severity::High,
        Gravity::Critical => Severity::Critical,
    }
}

/// The class of a failure of our own database layer.
pub fn class_of_db_error(error: &DbError) -> Class {
    match &error.kind {
        ErrorKind::CircuitOpen { .. } | ErrorKind::QueueFull | ErrorKind::ShuttingDown => Class::Unavailable,
        ErrorKind::Isolated { .. } | ErrorKind::DamagedValue => Class::Corruption,
        ErrorKind::PoolTimeout { .. } | ErrorKind::Overloaded => Class::ResourcesExhausted,
        ErrorKind::DeadlineExceeded | ErrorKind::Cancelled | ErrorKind::NotBegun | ErrorKind::Stuck => Class::Timeout,
        ErrorKind::OutcomeUnknown => Class::OutcomeUnknown,
        ErrorKind::Panicked => Class::Panic,
        ErrorKind::Sqlite { code } => class_of_sqlite(*code),
    }
}

/// The class of an SQLite result code, primary or extended.
fn class_of_sqlite(code: i32) -> Class {
    match code & 0xff {
        5 | 6 => Class::LockContention,
        7 => Class::ResourcesExhausted,
        9 => Class::Timeout,
        13 => Class::DiskFull,
        18..=20 => Class::Validation,
        _ => match crate::db::classify::classify(code).told {
            Told::Busy => Class::LockContention,
            Told::ReadOnly => Class::ReadOnly,
            Told::DataProblem => Class::Corruption,
            Told::Unavailable => Class::Unavailable,
            Told::Conflict | Told::TooLong | Told::TooLarge | Told::Internal => Class::DatabaseError,
        },
    }
}

/// The class of a code that a client sent: an SQLite name, a SQLSTATE, or an errno name.
pub fn class_of_code(code: &str) -> Option<Class> {
    if let Some(name) = code.strip_prefix("SQLITE_") {
        return class_of_sqlite_name(name);
    }
    class_of_errno(code).or_else(|| class_of_sqlstate(code))
}

fn class_of_sqlite_name(name: &str) -> Option<Class> {
    const PRIMARY: [(&str, i32); 14] = [
        ("BUSY", 5),
        ("LOCKED", 6),
        ("NOMEM", 7),
        ("READONLY", 8),
        ("INTERRUPT", 9),
        ("IOERR", 10),
        ("CORRUPT", 11),
        ("FULL", 13),
        ("CANTOPEN", 14),
        ("TOOBIG", 18),
        ("CONSTRAINT", 19),
        ("MISMATCH", 20),
        ("NOTADB", 26),
        ("ERROR", 1),
    ];
    // Extended names start with their primary's: BUSY_SNAPSHOT, CONSTRAINT_UNIQUE.
    PRIMARY
        .iter()
        .find(|(primary, _)| {
            name.strip_prefix(primary)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        })
        .map(|(_, code)| class_of_sqlite(*code))
}

fn class_of_errno(code: &str) -> Option<Class> {
    Some(match code {
        "ENOSPC" | "EDQUOT" => Class::DiskFull,
        "EMFILE" | "ENFILE" | "ENOMEM" | "ENOBUFS" => Class::ResourcesExhausted,
        "ETIMEDOUT" | "ESOCKETTIMEDOUT" | "ETIME" => Class::Timeout,
        "ECONNRESET" | "ECONNREFUSED" | "ECONNABORTED" | "EPIPE" | "ENOTCONN" | "ENETUNREACH" | "EHOSTUNREACH"
        | "ENETDOWN" | "EHOSTDOWN" | "ENOTFOUND" | "EAI_AGAIN" => Class::ConnectionLost,
        "EROFS" => Class::ReadOnly,
        _ => return None,
    })
}

fn class_of_sqlstate(code: &str) -> Option<Class> {
    let well_formed = code.len() == 5 && code.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    if !well_formed {
        return None;
    }
    Some(match code {
        "53300" | "53200" | "53000" | "53400" => Class::ResourcesExhausted,
        "53100" => Class::DiskFull,
        "57014" | "25P03" => Class::Timeout,
        "57P01" | "57P02" => Class::ConnectionLost,
        "57P03" => Class::Unavailable,
        "55P03" | "40001" | "40P01" => Class::LockContention,
        "25006" => Class::ReadOnly,
        "08007" => Class::OutcomeUnknown,
        "XX001" | "XX002" => Class::Corruption,
        _ => match &code[..2] {
            "08" => Class::ConnectionLost,
            "28" => Class::AuthenticationFailed,
            "22" | "23" => Class::Validation,
            _ => return None,
        },
    })
}

/// The class of an exception's type, with or without its module.
pub fn class_of_exception(name: &str) -> Option<Class> {
    let last = name.rsplit(['.', ':', '\\', '/']).next().unwrap_or(name);
    Some(match last {
        "TimeoutError" | "TimeoutException" | "SocketTimeoutException" | "ReadTimeout" | "ConnectTimeout" => {
            Class::Timeout
        }
        "ConnectionResetError"
        | "ConnectionRefusedError"
        | "ConnectionAbortedError"
        | "BrokenPipeError"
        | "ConnectionError"
        | "ConnectException" => Class::ConnectionLost,
        "MemoryError" | "OutOfMemoryError" => Class::ResourcesExhausted,
        "ValidationError" | "ValidationException" => Class::Validation,
        "AuthenticationError" | "AuthenticationException" | "AuthenticationFailed" => Class::AuthenticationFailed,
        "panic" => Class::Panic,
        _ => return None,
    })
}
