//! JSON from the wire into a complete event (floor 2, pure): every wrong member is named, with what is allowed.
//!
//! What must stay true: nothing is repaired silently: a value that is too long, of the wrong type or unknown is a
//! [`Flaw`], and an item with a flaw is not stored. Called by the HTTP handlers, one item at a time.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::classify::{Class, class_of_report};
use super::model::{ErrorEvent, ErrorType, Extras, Severity};
use crate::clock::{epoch_ms, rfc3339_ms};

mod compact;
mod exported;
mod members;
mod nested;
mod shape;
mod surroundings;
pub use exported::{Exported, MAX_EXPORTED_BYTES, exported};
pub use members::parse_id as id;
pub use shape::{Items, MAX_ITEMS, Unreadable, array_items, ndjson_items, single_item, without_mark};

/// Most bytes of one event's JSON.
pub const MAX_EVENT_BYTES: usize = 1 << 20;
/// Most bytes of a source's name.
pub const MAX_SOURCE_BYTES: usize = 128;
/// Most bytes of a message.
pub const MAX_MESSAGE_BYTES: usize = 8 << 10;
/// How far ahead of our clock a timestamp may be, in hours.
const MAX_AHEAD_HOURS: i64 = 24;
/// The members that an event may have.
const MEMBERS: &str = "id, timestamp, type, severity, message, details, userId, ip, path, requestId, source, release, \
                       environment, tags, exception, causes, breadcrumbs, request, user, fingerprint";

/// What is wrong with one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flaw {
    /// JSON pointer to the member, from the event's root.
    pub pointer: String,
    /// What is wrong and what is allowed.
    pub detail: String,
}

impl Flaw {
    /// One member's flaw.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            detail: detail.into(),
        }
    }
}

/// A fresh event id for `at`, ordered by time.
pub fn new_id(at: Timestamp) -> Uuid {
    let seconds = u64::try_from(at.as_second()).unwrap_or(0);
    let nanos = u32::try_from(at.subsec_nanosecond()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos))
}

/// The members as they come in, before defaults and the class.
#[derive(Default)]
struct Draft {
    id: Option<Uuid>,
    timestamp_ms: Option<i64>,
    kind: Option<ErrorType>,
    severity: Option<Severity>,
    message: Option<String>,
    user_id: Option<super::model::UserId>,
    ip: Option<String>,
    path: Option<String>,
    request_id: Option<String>,
    source: Option<String>,
    release: Option<String>,
    environment: Option<String>,
    extras: Extras,
}

/// The event of one JSON object; `now` is the default timestamp and the time of receipt.
///
/// # Errors
/// Every flaw that was found.
pub fn event(json: &str, now: Timestamp) -> Result<ErrorEvent, Vec<Flaw>> {
    let mut draft = Draft::default();
    read(json, MAX_EVENT_BYTES, |name, value| take(&mut draft, name, value, now))?;
    Ok(complete(draft, now))
}

/// Hands each member of an object to `take`, with all flaws at the end; one without a message is flawed.
fn read(
    json: &str,
    most_bytes: usize,
    mut take: impl FnMut(&str, &RawValue) -> Result<(), Vec<Flaw>>,
) -> Result<(), Vec<Flaw>> {
    if json.len() > most_bytes {
        let detail = format!("must be at most {most_bytes} bytes, has {}", json.len());
        return Err(vec![Flaw::new("", detail)]);
    }
    let members = shape::members(json).map_err(|detail| vec![Flaw::new("", detail)])?;
    let (mut flaws, mut has_message) = (Vec::new(), false);
    for (name, value) in &members {
        // An explicit null is the same as leaving the member out.
        if value.get() == "null" {
            continue;
        }
        has_message |= name == "message";
        if let Err(mut found) = take(name, value) {
            flaws.append(&mut found);
        }
    }
    if !has_message {
        flaws.push(Flaw::new("/message", "is required"));
    }
    if flaws.is_empty() { Ok(()) } else { Err(flaws) }
}

fn take(draft: &mut Draft, name: &str, value: &RawValue, now: Timestamp) -> Result<(), Vec<Flaw>> {
    use members::{address, id, integer_or_text, text, time, word};
    match name {
        "id" => draft.id = Some(id(value)?),
        "timestamp" => draft.timestamp_ms = Some(not_ahead(time("/timestamp", value)?, now)?),
        "type" => {
            draft.kind = Some(word(
                "/type",
                value,
                ErrorType::from_name,
                &ErrorType::ALL.map(ErrorType::name),
            )?)
        }
        "severity" => {
            draft.severity = Some(word(
                "/severity",
                value,
                Severity::from_name,
                &Severity::ALL.map(Severity::name),
            )?);
        }
        "message" => draft.message = Some(text("/message", value, MAX_MESSAGE_BYTES)?),
        "userId" => draft.user_id = Some(integer_or_text("/userId", value, 256)?),
        "ip" => draft.ip = Some(address("/ip", value)?),
        "path" => draft.path = Some(text("/path", value, 2048)?),
        "requestId" => draft.request_id = Some(text("/requestId", value, 128)?),
        "source" => draft.source = Some(text("/source", value, MAX_SOURCE_BYTES)?),
        "release" => draft.release = Some(text("/release", value, 256)?),
        "environment" => draft.environment = Some(text("/environment", value, 128)?),
        "details" => draft.extras.details = Some(compact::compact(value).map_err(|d| vec![Flaw::new("/details", d)])?),
        "tags" => draft.extras.tags = nested::tags(value, nested::MAX_TAGS)?,
        "exception" => draft.extras.exception = Some(nested::exception("/exception", value)?),
        "causes" => draft.extras.causes = surroundings::causes(value)?,
        "breadcrumbs" => draft.extras.breadcrumbs = surroundings::breadcrumbs(value)?,
        "request" => draft.extras.request = Some(surroundings::request(value)?),
        "user" => draft.extras.user = Some(surroundings::user(value)?),
        "fingerprint" => draft.extras.fingerprint = nested::fingerprint(value, 256)?,
        _ => {
            let pointer = format!("/{}", shape::escape_pointer(name));
            return Err(vec![Flaw::new(
                pointer,
                format!("is not a known member; allowed are {MEMBERS}"),
            )]);
        }
    }
    Ok(())
}

/// A clock that is hours ahead would keep its events at the top of every list, so they are refused rather than moved.
fn not_ahead(at: Timestamp, now: Timestamp) -> Result<i64, Flaw> {
    let latest = now + jiff::SignedDuration::from_hours(MAX_AHEAD_HOURS);
    if at > latest {
        let detail = format!(
            "must be at most {MAX_AHEAD_HOURS} hours ahead of the server's clock, which is at {}",
            rfc3339_ms(now)
        );
        return Err(Flaw::new("/timestamp", detail));
    }
    Ok(epoch_ms(at))
}

fn complete(draft: Draft, now: Timestamp) -> ErrorEvent {
    let kind = draft.kind.unwrap_or(ErrorType::System);
    let class = class_of_draft(kind, &draft.extras);
    let assessed = class.advice().severity;
    ErrorEvent {
        id: draft.id.unwrap_or_else(|| new_id(now)),
        timestamp_ms: draft.timestamp_ms.unwrap_or_else(|| epoch_ms(now)),
        received_ms: epoch_ms(now),
        kind,
        severity: draft.severity.unwrap_or(assessed),
        assessed,
        class,
        message: draft.message.unwrap_or_default(),
        user_id: draft
            .user_id
            .or_else(|| draft.extras.user.as_ref().and_then(|user| user.id.clone())),
        ip: draft.ip,
        path: draft.path,
        request_id: draft.request_id,
        source: draft.source,
        release: draft.release,
        environment: draft.environment,
        extras: draft.extras,
    }
}

fn class_of_draft(kind: ErrorType, extras: &Extras) -> Class {
    let code = extras.details.as_deref().and_then(nested::code_of_details);
    // An exception without a type is still one; the empty name is in no table.
    let thrown = extras.exception.as_ref().map(|e| e.kind.as_deref().unwrap_or(""));
    class_of_report(kind, code.as_deref(), thrown)
}

#[cfg(test)]
mod tests;
