//! An event's form on the wire (floor 2, pure): every list, answer and stream shows events through this one.
//!
//! What must stay true: members may be added and are never renamed; those without a value are left out.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::context::culprit;
use super::group::is_shown_as_own;
use super::model::ErrorEvent;
use crate::clock::{from_epoch_ms, rfc3339_ms};

/// An event with what the log knows of it; serialises to the wire.
#[derive(Debug, Clone)]
pub struct LoggedEvent {
    /// The event.
    pub event: ErrorEvent,
    /// Its group; unknown while it waits in the spool.
    pub group_id: Option<i64>,
    /// How many occurrences this event stands for.
    pub occurrences: u32,
    /// Whether it waits in the spool, which the answer to its sender says.
    pub spooled: bool,
}

impl LoggedEvent {
    /// Leaves out what only one event at a time is read for: breadcrumbs, causes and source lines. They can be most of
    /// an event, and a list has hundreds.
    pub fn abridge(&mut self) {
        let extras = &mut self.event.extras;
        extras.breadcrumbs.clear();
        extras.causes.clear();
        let frames = extras.exception.iter_mut().flat_map(|exception| &mut exception.frames);
        frames.for_each(|frame| frame.context = None);
    }

    /// Says of each frame whose sender didn't whether it is the application's own, by its place.
    pub fn mark_own_frames(&mut self) {
        let extras = &mut self.event.extras;
        let thrown = extras.exception.iter_mut().chain(&mut extras.causes);
        for frame in thrown.flat_map(|exception| &mut exception.frames) {
            frame.in_app = Some(is_shown_as_own(frame));
        }
    }
}

/// A group's id on the wire: `E-17`.
pub fn group_name(id: i64) -> String {
    format!("E-{id}")
}

/// The number of a group's id on the wire; `None` when it isn't one.
pub fn group_number(name: &str) -> Option<i64> {
    let digits = name.strip_prefix("E-")?;
    let number = digits.parse().ok().filter(|number| *number > 0)?;
    (group_name(number) == name).then_some(number)
}

impl Serialize for LoggedEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event = &self.event;
        let mut out = serializer.serialize_struct("ErrorEvent", 28)?;
        out.serialize_field("id", &event.id)?;
        out.serialize_field("timestamp", &rfc3339_ms(from_epoch_ms(event.timestamp_ms)))?;
        out.serialize_field("receivedAt", &rfc3339_ms(from_epoch_ms(event.received_ms)))?;
        out.serialize_field("type", &event.kind)?;
        out.serialize_field("severity", &event.severity)?;
        if event.assessed != event.severity {
            out.serialize_field("assessedSeverity", &event.assessed)?;
        }
        out.serialize_field("class", &event.class)?;
        out.serialize_field("message", &event.message)?;
        optional(&mut out, "details", &event.extras.details)?;
        optional(&mut out, "userId", &event.user_id)?;
        optional(&mut out, "ip", &event.ip)?;
        optional(&mut out, "path", &event.path)?;
        optional(&mut out, "requestId", &event.request_id)?;
        optional(&mut out, "source", &event.source)?;
        optional(&mut out, "release", &event.release)?;
        optional(&mut out, "environment", &event.environment)?;
        if !event.extras.tags.is_empty() {
            out.serialize_field("tags", &event.extras.tags)?;
        }
        let extras = &event.extras;
        optional(&mut out, "culprit", &extras.exception.as_ref().and_then(culprit))?;
        optional(&mut out, "exception", &extras.exception)?;
        listed(&mut out, "causes", &extras.causes)?;
        optional(&mut out, "request", &extras.request)?;
        optional(&mut out, "user", &extras.user)?;
        listed(&mut out, "breadcrumbs", &extras.breadcrumbs)?;
        listed(&mut out, "fingerprint", &extras.fingerprint)?;
        optional(&mut out, "groupId", &self.group_id.map(group_name))?;
        let advice = event.class.advice();
        out.serialize_field("retryable", &advice.retryable)?;
        out.serialize_field("userMessage", advice.user_message)?;
        out.serialize_field("suggestion", advice.suggestion)?;
        out.serialize_field("occurrences", &self.occurrences)?;
        if self.spooled {
            out.serialize_field("stored", "spool")?;
        }
        out.end()
    }
}

fn listed<S: SerializeStruct, T: Serialize>(out: &mut S, name: &'static str, values: &[T]) -> Result<(), S::Error> {
    if values.is_empty() {
        return Ok(());
    }
    out.serialize_field(name, values)
}

fn optional<S: SerializeStruct, T: Serialize>(
    out: &mut S,
    name: &'static str,
    value: &Option<T>,
) -> Result<(), S::Error> {
    match value {
        Some(value) => out.serialize_field(name, value),
        None => Ok(()),
    }
}
