//! Mainstay's own errors as events (floor 2, pure): one constructor for each thing that happens.
//!
//! What must stay true: class and severity come from codes and kinds, never from words; each carries a fingerprint of its own, so
//! that one cause is one group whatever the message says. Made at the boundaries (responses, panic hook, observers) and handed to capture.

mod of_database;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::classify::Class;
use super::model::{ErrorEvent, ErrorType, Exception, Extras, Frame, Severity};
use super::parse::{MAX_MESSAGE_BYTES, new_id};
use super::storm::Turn;
use super::wire::group_name;
use crate::clock::epoch_ms;
use crate::db::Origin;

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
                handled: Some(false),
                frames: vec![frame],
                ..Exception::default()
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

    /// Accepted events that the spool no longer held when the service started.
    pub fn lost_from_spool(lost: u64) -> Self {
        let message = format!(
            "{lost} accepted events were lost: the spool was damaged or incomplete at the start; damaged segments are kept aside"
        );
        Self {
            severity: Severity::Critical,
            details: json!({ "lost": lost }),
            fingerprint: own(&["spool", "lost"]),
            ..Self::of(ErrorType::System, Class::Corruption, message, EventContext::default())
        }
    }

    /// The disk is low, and error events leave earlier than their bounds say.
    pub fn events_leave_early(free_bytes: u64) -> Self {
        let message = format!(
            "the disk is low ({} MiB free): error events of least value leave before their time",
            free_bytes >> 20
        );
        Self {
            severity: Severity::High,
            details: json!({ "freeBytes": free_bytes }),
            fingerprint: own(&["retention", "disk"]),
            ..Self::of(ErrorType::System, Class::DiskFull, message, EventContext::default())
        }
    }

    /// A group's storm began or is over.
    pub fn storm(turn: Turn) -> Self {
        let (Turn::Began(storm) | Turn::Ended(storm)) = turn;
        let (group, counted) = (group_name(storm.group), storm.counted);
        let (state, message) = match turn {
            Turn::Began(_) => (
                "began",
                format!(
                    "storm of {group}: so many events that most are now counted on samples instead of stored whole"
                ),
            ),
            Turn::Ended(_) => (
                "ended",
                format!("the storm of {group} is over: {counted} of its events were counted on samples"),
            ),
        };
        Self {
            details: json!({ "storm": storm, "state": state }),
            fingerprint: own(&["storm", state]),
            ..Self::of(ErrorType::System, Class::StateChange, message, EventContext::default())
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
