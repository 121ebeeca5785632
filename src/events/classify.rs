//! What kind of trouble an event is, and what follows from it (floor 2, pure): severity, whether a retry makes sense, and
//! the words for the user and for the operator.
//!
//! What must stay true: a class is chosen by type, code and exception type, never by the wording of a message; the
//! numbers of [`Class`] are stored in events.db and never change; the words hold nothing of one event.
//! Called by the parser and by capture; the wire form reads [`Class::advice`], which is long because it is the table itself.

use serde::{Deserialize, Serialize};

use super::model::{ErrorType, Severity};

mod codes;
mod names;
pub use codes::{class_of_code, class_of_db_error, class_of_exception, severity_of};

/// What kind of trouble an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Class {
    /// Nothing more is known.
    Informational = 0,
    /// No connection, handle or memory is left.
    ResourcesExhausted = 1,
    /// Credentials were refused.
    AuthenticationFailed = 2,
    /// The disk or a quota is full.
    DiskFull = 3,
    /// Data is damaged, or the file is not the one that was opened.
    Corruption = 4,
    /// Something took longer than it may.
    Timeout = 5,
    /// A connection ended or could not be made.
    ConnectionLost = 6,
    /// A lock was not free within the budget.
    LockContention = 7,
    /// A bug stopped the work.
    Panic = 8,
    /// Something refuses work to protect itself or the data.
    Unavailable = 9,
    /// Changes can't be written.
    ReadOnly = 10,
    /// A write may or may not have happened.
    OutcomeUnknown = 11,
    /// Another error of a database.
    DatabaseError = 12,
    /// Data broke a rule.
    Validation = 13,
    /// Another error of a connection.
    SocketError = 14,
    /// Another error of a request.
    ApiError = 15,
    /// Another error of a program.
    ProgramError = 16,
    /// A request was answered with a server's failure.
    ServerFailure = 17,
    /// A request was slow.
    Slow = 18,
    /// A circuit breaker or a component changed its state.
    StateChange = 19,
}

/// What follows from a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// Severity when nobody says otherwise.
    pub severity: Severity,
    /// Whether the same call may succeed later without anybody changing it.
    pub retryable: bool,
    /// For the user of the application.
    pub user_message: &'static str,
    /// For the operator.
    pub suggestion: &'static str,
}

const fn advice(severity: Severity, retryable: bool, user_message: &'static str, suggestion: &'static str) -> Advice {
    Advice {
        severity,
        retryable,
        user_message,
        suggestion,
    }
}

impl Class {
    /// Every class, by its number.
    pub const ALL: [Class; 20] = [
        Self::Informational,
        Self::ResourcesExhausted,
        Self::AuthenticationFailed,
        Self::DiskFull,
        Self::Corruption,
        Self::Timeout,
        Self::ConnectionLost,
        Self::LockContention,
        Self::Panic,
        Self::Unavailable,
        Self::ReadOnly,
        Self::OutcomeUnknown,
        Self::DatabaseError,
        Self::Validation,
        Self::SocketError,
        Self::ApiError,
        Self::ProgramError,
        Self::ServerFailure,
        Self::Slow,
        Self::StateChange,
    ];

    /// The number in events.db.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The class of a number in events.db; an unknown one reads as `Informational`.
    pub fn from_number(number: u8) -> Self {
        Self::ALL
            .get(usize::from(number))
            .copied()
            .unwrap_or(Self::Informational)
    }

    /// The class of an event of which only the type is known; `thrown` when it carries an exception.
    pub const fn of_type(kind: ErrorType, thrown: bool) -> Self {
        match kind {
            ErrorType::Database => Self::DatabaseError,
            ErrorType::Socket => Self::SocketError,
            ErrorType::Api => Self::ApiError,
            ErrorType::System if thrown => Self::ProgramError,
            ErrorType::System => Self::Informational,
        }
    }

    /// What follows from the class.
    pub const fn advice(self) -> Advice {
        use Severity::{Critical, High, Low, Medium};
        const BUSY: &str = "The service is busy. Please try again shortly.";
        const UNAVAILABLE: &str = "The service is temporarily unavailable. Please try again in a few minutes.";
        const FAILED: &str = "Something went wrong. Please try again; if it stays, tell the operator.";
        match self {
            Self::Informational => advice(
                Low,
                false,
                "No action is needed.",
                "Nothing to do unless it becomes frequent.",
            ),
            Self::ResourcesExhausted => advice(
                Critical,
                true,
                BUSY,
                "Look for what holds connections, handles or memory (pool use, active statements); raise the limit only if the load is real.",
            ),
            Self::AuthenticationFailed => advice(
                Critical,
                false,
                "You could not be signed in. Check the credentials.",
                "Check the credentials in use; many tries from one address mean that somebody is guessing.",
            ),
            Self::DiskFull => advice(
                Critical,
                true,
                "Changes cannot be saved at the moment. Reading still works.",
                "Free space on the disk or raise the quota; writing resumes by itself.",
            ),
            Self::Corruption => advice(
                Critical,
                false,
                "A data problem was detected. The operator was told.",
                "Stop writing to the file, keep a copy as evidence, and restore the newest verified backup.",
            ),
            Self::Timeout => advice(
                High,
                true,
                "It took too long. Please try again.",
                "Find what is slow (slow statements, the other side, the network) before raising the limit.",
            ),
            Self::ConnectionLost => advice(
                High,
                true,
                UNAVAILABLE,
                "Check that the other side runs and can be reached; look for restarts at that time.",
            ),
            Self::LockContention => advice(
                High,
                true,
                BUSY,
                "Find the process or the long transaction that holds the lock; keep transactions short.",
            ),
            Self::Panic => advice(
                High,
                false,
                FAILED,
                "A bug: report it with the message and the location.",
            ),
            Self::Unavailable => advice(
                High,
                true,
                UNAVAILABLE,
                "Work is refused until the cause is gone; see the circuit breakers for the cause and the time of the next try.",
            ),
            Self::ReadOnly => advice(
                Critical,
                true,
                "Changes cannot be saved at the moment. Reading still works.",
                "Check the owner, the rights and the mount options of the file and its folder.",
            ),
            Self::OutcomeUnknown => advice(
                Critical,
                false,
                "It is not known whether the change was saved. Look before you repeat it.",
                "Compare what is stored with what was sent; check the disk and the kernel's log for I/O errors.",
            ),
            Self::DatabaseError => advice(
                Medium,
                false,
                FAILED,
                "See the details for the database's own code and the operation.",
            ),
            Self::Validation => advice(
                Medium,
                false,
                "Some of the data is not valid. Correct it and try again.",
                "See which rule was broken; if good data breaks it, correct the rule or the sender.",
            ),
            Self::SocketError => advice(
                Medium,
                true,
                UNAVAILABLE,
                "Check the connection and what is on its other end.",
            ),
            Self::ApiError => advice(Medium, false, FAILED, "Follow the request id through the log."),
            Self::ProgramError => advice(
                Medium,
                false,
                FAILED,
                "Start at the innermost frame of the application's own code.",
            ),
            Self::ServerFailure => advice(
                High,
                true,
                FAILED,
                "Follow the request id through the log to the cause.",
            ),
            Self::Slow => advice(
                Medium,
                true,
                "It took longer than usual.",
                "See the slow statements of that time and the load.",
            ),
            Self::StateChange => advice(
                Low,
                true,
                "No action is needed.",
                "See the cause; a change back follows by itself once the cause is gone.",
            ),
        }
    }
}

/// The class of what a client reported: its code decides, then its exception's type, then its declared type.
pub fn class_of_report(kind: ErrorType, code: Option<&str>, exception: Option<&str>) -> Class {
    code.and_then(class_of_code)
        .or_else(|| exception.and_then(class_of_exception))
        .unwrap_or(Class::of_type(kind, exception.is_some()))
}

#[cfg(test)]
mod tests;
