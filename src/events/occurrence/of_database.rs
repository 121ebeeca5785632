//! What the database layer reports, as events (floor 2, pure): failures, breakers, locks, leaks, lost commits.
//!
//! What must stay true: as for all occurrences, codes and kinds decide. Handed to capture by the observers.

use serde_json::json;
use uuid::Uuid;

use super::{EventContext, NewEvent, own};
use crate::clock::rfc3339_ms;
use crate::db::{ActiveOperation, BreakerChange, DbError, ErrorKind, Gap, MissingCommits, Origin, PoolStatus};
use crate::events::classify::{Class, class_of_db_error, severity_of};
use crate::events::model::{ErrorType, Severity};

impl NewEvent {
    /// A failure of our own database layer.
    pub fn from_db_error(error: &DbError, context: EventContext) -> Self {
        let (code, number) = code_of(error);
        Self {
            severity: severity_of(error.gravity()),
            details: json!({ "database": error.database, "operation": error.operation, "code": code, "sqliteCode": number,
                "detail": error.detail, "retryable": error.is_retryable(), "holder": error.holder }),
            fingerprint: own(&["database", error.database, error.operation, &code]),
            ..Self::of(
                ErrorType::Database,
                class_of_db_error(error),
                error.to_string(),
                context,
            )
        }
    }

    /// A circuit breaker's change of state, with the ids of the events that tell of the failures before it.
    pub fn breaker_change(change: &BreakerChange, evidence: &[Uuid]) -> Self {
        let (class, severity) = match change.to {
            "ISOLATED" => (Class::Corruption, Severity::Critical),
            "OPEN" | "FORCED_OPEN" => (Class::Unavailable, Severity::High),
            _ => (Class::StateChange, Severity::Low),
        };
        let retry_at = change
            .retry_after
            .and_then(|after| change.at.checked_add(after).ok())
            .map(rfc3339_ms);
        let context = change.origin.as_deref().map(EventContext::from).unwrap_or_default();
        let message = format!(
            "circuit breaker {}: {} to {}: {}",
            change.name, change.from, change.to, change.cause
        );
        Self {
            severity,
            details: json!({ "breaker": change.name, "from": change.from, "to": change.to, "cause": change.cause,
                "at": rfc3339_ms(change.at), "retryAt": retry_at, "evidence": evidence }),
            fingerprint: own(&["breaker", &change.name, change.to]),
            ..Self::of(ErrorType::Database, class, message, context)
        }
    }

    /// A database lacks commits that had been acknowledged.
    pub fn commits_missing(database: &str, gap: &Gap) -> Self {
        let (expected, found) = match gap.missing {
            MissingCommits::Behind { expected, found } => (Some(expected), Some(found)),
            MissingCommits::OtherDatabase { expected } => (Some(expected), None),
            MissingCommits::RecordUnreadable => (None, None),
        };
        let message = format!("{database}.db: {}", gap.missing);
        Self {
            details: json!({ "expected": expected, "found": found, "evidence": gap.evidence }),
            fingerprint: own(&["commits missing", database]),
            ..Self::of(ErrorType::Database, Class::Corruption, message, EventContext::default())
        }
    }

    /// A connection that an operation holds for suspiciously long.
    pub fn leak(database: &str, operation: &ActiveOperation) -> Self {
        let (name, site) = (operation.operation, operation.call_site.as_str());
        let held_ms = operation.held.unwrap_or_default().as_millis() as u64;
        let context = EventContext {
            request_id: operation.request_id.clone(),
            ..EventContext::default()
        };
        let message =
            format!("{database}.{name} holds a connection for suspiciously long: {held_ms} ms, asked for at {site}");
        Self {
            details: json!({ "database": database, "operation": name, "callSite": site, "heldMs": held_ms,
                "active": format!("{database}-{}", operation.id) }),
            fingerprint: own(&["leak", database, name, site]),
            ..Self::of(ErrorType::Database, Class::ResourcesExhausted, message, context)
        }
    }

    /// A reader keeps a write-ahead log too large; `problem` says how large and who it is.
    pub fn log_pinned(database: &str, problem: &str) -> Self {
        Self {
            details: json!({ "database": database, "problem": problem }),
            fingerprint: own(&["wal", database]),
            severity: Severity::Medium,
            ..Self::of(
                ErrorType::Database,
                Class::LockContention,
                format!("{database}: {problem}"),
                EventContext::default(),
            )
        }
    }

    /// The readers' limit as somebody has set it.
    pub fn pool_change(database: &str, pool: &PoolStatus, origin: Option<&Origin>) -> Self {
        let (limit, (min, max)) = (pool.limit, pool.bounds);
        Self {
            severity: Severity::Low,
            details: json!({ "database": database, "limit": limit, "min": min, "max": max, "adaptive": pool.adaptive }),
            fingerprint: own(&["pool", database]),
            ..Self::of(
                ErrorType::Database,
                Class::StateChange,
                format!("the readers' limit of {database} was changed by hand: {limit}, from {min} to {max}"),
                origin.map(EventContext::from).unwrap_or_default(),
            )
        }
    }
}

/// The code of a database error in the words of the log, and SQLite's number where it has one.
fn code_of(error: &DbError) -> (String, Option<i32>) {
    let name = match &error.kind {
        ErrorKind::Sqlite { code } => {
            return (
                format!("SQLITE_{}", crate::db::classify::classify(*code).name),
                Some(*code),
            );
        }
        ErrorKind::CircuitOpen { .. } => "CIRCUIT_OPEN",
        ErrorKind::Isolated { .. } => "ISOLATED",
        ErrorKind::QueueFull => "QUEUE_FULL",
        ErrorKind::PoolTimeout { .. } => "POOL_TIMEOUT",
        ErrorKind::Overloaded => "OVERLOADED",
        ErrorKind::Cancelled => "CANCELLED",
        ErrorKind::DeadlineExceeded => "DEADLINE_EXCEEDED",
        ErrorKind::NotBegun => "NOT_BEGUN",
        ErrorKind::Stuck => "STUCK",
        ErrorKind::DamagedValue => "DAMAGED_VALUE",
        ErrorKind::OutcomeUnknown => "OUTCOME_UNKNOWN",
        ErrorKind::Panicked => "PANICKED",
        ErrorKind::ShuttingDown => "SHUTTING_DOWN",
    };
    (name.to_owned(), None)
}
