//! Mainstay's own errors as events (floor 2, pure): one constructor for each thing that happens.
//!
//! What must stay true: class and severity come from codes and kinds, never from words; each carries a fingerprint of its own, so
//! that one cause is one group whatever the message says. Made at the boundaries (responses, panic hook, observers) and handed to capture.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::classify::{Class, class_of_db_error, severity_of};
use super::model::{ErrorEvent, ErrorType, Exception, Extras, Frame, Severity};
use super::parse::{MAX_MESSAGE_BYTES, new_id};
use crate::clock::{epoch_ms, rfc3339_ms};
use crate::db::{ActiveOperation, BreakerChange, DbError, ErrorKind, Origin, PoolStatus};

/// Who we are in our own events.
const SOURCE: &str = "mainstay";

/// The request that something happened in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventContext {
    /// The request's id.
    pub request_id: Option<String>,
    /// The peer's address.
    pub ip: Option<String>,
    /// The request's path.
    pub path: Option<String>,
}

impl From<&Origin> for EventContext {
    fn from(origin: &Origin) -> Self {
        Self {
            request_id: Some(origin.request_id.clone()),
            ip: origin.ip.clone(),
            path: Some(origin.path.clone()),
        }
    }
}

/// Something that happened here; capture gives it its id and time.
#[derive(Debug, Clone)]
pub struct NewEvent {
    kind: ErrorType,
    class: Class,
    severity: Severity,
    message: String,
    details: serde_json::Value,
    exception: Option<Exception>,
    fingerprint: Vec<String>,
    context: EventContext,
}

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

    /// A panic; `location` is `file:line`.
    pub fn panic(message: &str, location: &str, context: EventContext) -> Self {
        let (file, line) = location.split_once(':').unwrap_or((location, ""));
        let line = line.split(':').next().and_then(|n| n.parse().ok());
        let frame = Frame {
            file: Some(file.to_owned()),
            line,
            in_app: Some(true),
            ..Frame::default()
        };
        Self {
            exception: Some(Exception {
                kind: Some("panic".to_owned()),
                value: Some(shortened(message)),
                frames: vec![frame],
            }),
            fingerprint: own(&["panic", location]),
            ..Self::of(
                ErrorType::System,
                Class::Panic,
                format!("panicked at {location}: {message}"),
                context,
            )
        }
    }

    /// A request that was answered with a 5xx; `code` is the problem's code.
    pub fn http_failure(status: u16, code: &str, title: &str, context: EventContext) -> Self {
        let class = match status {
            503 => Class::Unavailable,
            504 => Class::Timeout,
            _ => Class::ServerFailure,
        };
        Self {
            details: json!({ "status": status, "code": code }),
            fingerprint: own(&["http", code]),
            ..Self::of(ErrorType::Api, class, format!("answered {status}: {title}"), context)
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

    /// A request that took at least the slow threshold.
    pub fn slow_request(took: Duration, threshold: Duration, method: &str, context: EventContext) -> Self {
        let (took_ms, threshold_ms) = (took.as_millis() as u64, threshold.as_millis() as u64);
        let path = context.path.clone().unwrap_or_default();
        Self {
            details: json!({ "method": method, "tookMs": took_ms, "thresholdMs": threshold_ms }),
            fingerprint: own(&["slow", method, &super::group::template(&path)]),
            ..Self::of(
                ErrorType::Api,
                Class::Slow,
                format!("slow request: {method} {path} took {took_ms} ms"),
                context,
            )
        }
    }

    /// Refused credentials: `tries` of them from one address in the time `within`; `burst` when that is more than mistakes explain.
    pub fn auth_failures(tries: u64, within: Duration, burst: bool, context: EventContext) -> Self {
        let message = format!("authentication failed: {tries} tries within {} s", within.as_secs());
        Self {
            severity: if burst { Severity::Critical } else { Severity::Medium },
            details: json!({ "tries": tries, "withinSeconds": within.as_secs(), "burst": burst }),
            fingerprint: own(&["authentication", if burst { "burst" } else { "single" }]),
            ..Self::of(ErrorType::Api, Class::AuthenticationFailed, message, context)
        }
    }

    /// An event with what its class says.
    fn of(kind: ErrorType, class: Class, message: String, context: EventContext) -> Self {
        Self {
            kind,
            class,
            severity: class.advice().severity,
            message,
            details: serde_json::Value::Null,
            exception: None,
            fingerprint: Vec::new(),
            context,
        }
    }

    /// The complete event, of the moment `now`.
    pub(super) fn complete(self, now: Timestamp) -> ErrorEvent {
        let details = if self.details.is_null() {
            None
        } else {
            serde_json::value::to_raw_value(&self.details).ok()
        };
        ErrorEvent {
            id: new_id(now),
            timestamp_ms: epoch_ms(now),
            received_ms: epoch_ms(now),
            kind: self.kind,
            severity: self.severity,
            assessed: self.severity,
            class: self.class,
            message: shortened(&self.message),
            user_id: None,
            ip: self.context.ip,
            path: self.context.path,
            request_id: self.context.request_id,
            source: Some(SOURCE.to_owned()),
            release: Some(env!("CARGO_PKG_VERSION").to_owned()),
            environment: None,
            extras: Extras {
                details,
                exception: self.exception,
                fingerprint: self.fingerprint,
                ..Extras::default()
            },
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
        ErrorKind::PoolTimeout => "POOL_TIMEOUT",
        ErrorKind::Overloaded => "OVERLOADED",
        ErrorKind::Cancelled => "CANCELLED",
        ErrorKind::DeadlineExceeded => "DEADLINE_EXCEEDED",
        ErrorKind::NotBegun => "NOT_BEGUN",
        ErrorKind::Stuck => "STUCK",
        ErrorKind::OutcomeUnknown => "OUTCOME_UNKNOWN",
        ErrorKind::Panicked => "PANICKED",
        ErrorKind::ShuttingDown => "SHUTTING_DOWN",
    };
    (name.to_owned(), None)
}

fn own(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

/// Our own messages obey the limit that we set for others.
fn shortened(text: &str) -> String {
    let mut end = text.len().min(MAX_MESSAGE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests;
