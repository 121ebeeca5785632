//! One Sentry event into ours (floor 2, pure).
//!
//! What must stay true: any JSON object gives an event; what can't be kept is noted in `details._dropped`.

use std::collections::BTreeMap;

use serde_json::Value;
use uuid::Uuid;

use super::details::details;
use super::lenient::{self, Notes};
use super::message::message;
use super::{Arrival, MAX_EVENT_BYTES, Unusable, crumbs, stack, time};
use crate::clock::epoch_ms;
use crate::events::classify::class_of_report;
use crate::events::model::{ErrorEvent, ErrorType, Extras, Severity, UserId};
use crate::events::parse::{self, new_id};

const MAX_TAGS: usize = 64;
const MAX_FINGERPRINT_PARTS: usize = 32;
/// Members as SDKs before 2018 call them.
const OLD_NAMES: [(&str, &str); 5] = [
    ("sentry.interfaces.Breadcrumbs", "breadcrumbs"),
    ("sentry.interfaces.Exception", "exception"),
    ("sentry.interfaces.Http", "request"),
    ("sentry.interfaces.Message", "logentry"),
    ("sentry.interfaces.User", "user"),
];
/// How far ahead of our clock an event may be; a wrong clock must not keep it at the top of every list.
const MAX_AHEAD_HOURS: i64 = 24;

/// Members that are understood, or known and left out on purpose: they say nothing that an error's reader looks for.
const KNOWN: [&str; 38] = [
    "_meta",
    "_metrics",
    "breadcrumbs",
    "contexts",
    "culprit",
    "debug_meta",
    "dist",
    "environment",
    "errors",
    "event_id",
    "exception",
    "extra",
    "fingerprint",
    "level",
    "logentry",
    "logger",
    "measurements",
    "message",
    "modules",
    "platform",
    "project",
    "received",
    "release",
    "repos",
    "request",
    "sdk",
    "server_name",
    "site",
    "spans",
    "stacktrace",
    "start_timestamp",
    "tags",
    "threads",
    "time_spent",
    "timestamp",
    "transaction",
    "transaction_info",
    "user",
];

/// An event's id of its two forms; the nil id stands for none.
pub(super) fn id(value: &Value) -> Option<Uuid> {
    value.as_str().and_then(parse::id).filter(|id| !id.is_nil())
}

/// The event of a payload; `given` goes before the id in it.
pub(super) fn of_json(payload: &[u8], given: Option<Uuid>, arrival: &Arrival) -> Result<ErrorEvent, Unusable> {
    if payload.len() > MAX_EVENT_BYTES {
        let detail = format!(
            "an event may have at most {MAX_EVENT_BYTES} bytes, this one has {}",
            payload.len()
        );
        return Err(Unusable::TooLarge(detail));
    }
    match lenient::value(payload) {
        Some(Value::Object(mut members)) => {
            for (old, new) in OLD_NAMES {
                if let Some(value) = members.remove(old) {
                    members.entry(new).or_insert(value);
                }
            }
            Ok(of_value(&Value::Object(members), given, arrival))
        }
        _ => Err(Unusable::Malformed("an event must be a JSON object".to_owned())),
    }
}

/// The event of a JSON object.
pub(super) fn of_value(sent: &Value, given: Option<Uuid>, arrival: &Arrival) -> ErrorEvent {
    let notes = &mut Notes::default();
    let mut chain = stack::exceptions(notes, &sent["exception"]);
    let exception = chain.pop();
    chain.reverse();
    let extras = Extras {
        details: None,
        tags: tags(notes, &sent["tags"]),
        exception,
        causes: chain,
        fingerprint: fingerprint(notes, &sent["fingerprint"]),
        breadcrumbs: crumbs::breadcrumbs(notes, &sent["breadcrumbs"]),
        request: crumbs::request(notes, &sent["request"]),
        user: crumbs::user(notes, &sent["user"], arrival.peer.as_deref()),
    };
    let mut event = event(notes, sent, extras, given, arrival);
    if let Some(members) = sent.as_object() {
        let unknown = members
            .iter()
            .filter(|(name, value)| !value.is_null() && !KNOWN.contains(&name.as_str()));
        unknown.for_each(|(name, _)| notes.add(name));
    }
    let details = details(notes, sent);
    event.extras.details = (!details.is_empty())
        .then(|| serde_json::value::to_raw_value(&details).ok())
        .flatten();
    event
}

/// All but the details, which also tell what was left out of the rest.
fn event(notes: &mut Notes, sent: &Value, extras: Extras, given: Option<Uuid>, arrival: &Arrival) -> ErrorEvent {
    let thrown = extras.exception.as_ref();
    let kind = thrown.map_or(ErrorType::System, stack::type_of);
    let code = sent["exception"]
        .get("values")
        .and_then(|values| values.as_array()?.last())
        .and_then(|last| last["mechanism"]["meta"]["errno"]["name"].as_str());
    let class = class_of_report(kind, code, thrown.map(|e| e.kind.as_deref().unwrap_or("")));
    let assessed = class.advice().severity;
    let path = crumbs::path(extras.request.as_ref(), sent["transaction"].as_str());
    let headers = extras.request.iter().flat_map(|request| &request.headers);
    let request_id = headers
        .filter(|(name, id)| name.eq_ignore_ascii_case("x-request-id") && id.len() <= 128 && !id.is_empty())
        .map(|(_, id)| id.clone())
        .next();
    ErrorEvent {
        id: given
            .or_else(|| id(&sent["event_id"]))
            .unwrap_or_else(|| new_id(arrival.now)),
        timestamp_ms: timestamp_ms(notes, &sent["timestamp"], arrival),
        received_ms: epoch_ms(arrival.now),
        kind,
        severity: severity(notes, &sent["level"]),
        assessed,
        class,
        message: message(notes, sent, thrown),
        user_id: extras.user.as_ref().and_then(user_id),
        ip: extras.user.as_ref().and_then(|user| user.ip.clone()),
        path,
        request_id,
        source: Some(arrival.source.clone()),
        release: notes.member("", sent, "release", 256),
        environment: notes.member("", sent, "environment", 128),
        extras,
    }
}

/// Who has no id is known by what they have.
fn user_id(user: &crate::events::User) -> Option<UserId> {
    let other = || user.email.clone().or(user.username.clone()).map(UserId::Text);
    user.id.clone().or_else(other)
}

fn timestamp_ms(notes: &mut Notes, sent: &Value, arrival: &Arrival) -> i64 {
    let latest = arrival.now + jiff::SignedDuration::from_hours(MAX_AHEAD_HOURS);
    match time::of(sent) {
        Some(at) if at <= latest => epoch_ms(at),
        _ => {
            if !sent.is_null() {
                notes.add("timestamp");
            }
            epoch_ms(arrival.now)
        }
    }
}

fn severity(notes: &mut Notes, sent: &Value) -> Severity {
    // Older SDKs for Python send the numbers of its `logging`.
    if let Some(number) = sent.as_u64() {
        return match number {
            50.. => Severity::Critical,
            40.. => Severity::High,
            30.. => Severity::Medium,
            _ => Severity::Low,
        };
    }
    match sent.as_str().map(str::to_ascii_lowercase).as_deref() {
        Some("fatal" | "critical") => Severity::Critical,
        Some("error") => Severity::High,
        Some("warning" | "warn") => Severity::Medium,
        Some("info" | "log" | "debug" | "sample") => Severity::Low,
        // An event without a level is an error, as the protocol says.
        _ => {
            if !sent.is_null() {
                notes.add("level");
            }
            Severity::High
        }
    }
}

fn tags(notes: &mut Notes, sent: &Value) -> BTreeMap<String, String> {
    let Some(pairs) = lenient::pairs(sent) else {
        if !sent.is_null() {
            notes.add("tags");
        }
        return BTreeMap::new();
    };
    let mut tags = BTreeMap::new();
    for (name, value) in pairs {
        let path = format!("tags.{name}");
        if tags.len() == MAX_TAGS || name.is_empty() || name.len() > 200 {
            notes.add(path);
        } else if let Some(text) = notes.text(&path, value, 1024) {
            tags.insert(name.to_owned(), text);
        }
    }
    tags
}

/// The client's own grouping; that which asks for the usual one alone is none.
fn fingerprint(notes: &mut Notes, sent: &Value) -> Vec<String> {
    let Value::Array(items) = sent else {
        if !sent.is_null() {
            notes.add("fingerprint");
        }
        return Vec::new();
    };
    if items.len() > MAX_FINGERPRINT_PARTS {
        notes.add("fingerprint");
    }
    let parts = items.iter().take(MAX_FINGERPRINT_PARTS);
    let parts: Vec<String> = parts
        .filter_map(|part| notes.text("fingerprint", part, 256))
        .map(|part| {
            if part == "{{default}}" {
                "{{ default }}".to_owned()
            } else {
                part
            }
        })
        .collect();
    if parts == ["{{ default }}"] { Vec::new() } else { parts }
}
