//! What Sentry's SDKs send, as events (floor 2, pure): framing, mapping, and what is left out.
//!
//! What must stay true: an SDK can't be told what is wrong and doesn't send again, so an event is never refused for an
//! odd member: the member is left out and named in the event's details, a text that is too long is cut with a mark.
//! Only bytes that hold no event at all are an error. Called by the HTTP handlers. The format is that of
//! <https://develop.sentry.dev/sdk/data-model/envelopes/>, as the SDKs really write it.

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::model::ErrorEvent;

mod crumbs;
mod details;
mod dsn;
mod event;
mod feedback;
mod framing;
mod lenient;
mod message;
mod stack;
mod time;

pub use dsn::{Dsn, key_of_header};
pub use framing::MAX_ITEMS;

use framing::Framed;

/// Most bytes of one event's JSON.
pub const MAX_EVENT_BYTES: usize = super::parse::MAX_EVENT_BYTES;

/// The kinds of items that SDKs are told not to send, as `X-Sentry-Rate-Limits` names them.
pub const UNSUPPORTED: &str =
    "transaction;span;session;profile;profile_chunk;profile_chunk_ui;replay;log_item;log_byte;monitor;trace_metric";

/// How a report came.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// When.
    pub now: Timestamp,
    /// Through which source.
    pub source: String,
    /// From which address; it stands for the user's where the SDK asks for that.
    pub peer: Option<String>,
}

/// What a body held.
#[derive(Debug, Default)]
pub struct Report {
    /// The id that the sender knows it by.
    pub id: Option<Uuid>,
    /// Its events.
    pub events: Vec<ErrorEvent>,
    /// What the SDK itself has thrown away since its last report, by its reason.
    pub discarded: Vec<(String, u64)>,
    /// The kinds of its items that are not kept, one entry an item.
    pub skipped: Vec<String>,
}

/// Why a body gives nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// It is not what its path says; the text says why.
    Malformed(String),
    /// Something in it is larger than allowed; the text says what.
    TooLarge(String),
}

/// The DSN that an envelope carries for itself, as one that came through a tunnel does.
pub fn dsn_of_envelope(body: &[u8]) -> Option<String> {
    let header = framing::header(body).ok()?;
    header.get("dsn").and_then(Value::as_str).map(str::to_owned)
}

/// The events of an envelope.
///
/// # Errors
/// It has no readable header, too many items, or nothing but items that can't be used.
pub fn envelope(body: &[u8], arrival: &Arrival) -> Result<Report, Unusable> {
    let Framed { header, items, broken } = framing::parse(body)?;
    let mut report = Report {
        id: header.get("event_id").and_then(event::id),
        ..Report::default()
    };
    let mut unusable = broken.map(Unusable::Malformed);
    // The envelope's id is that of its one event; a second one has its own.
    let mut id = report.id;
    for item in items {
        let taken = match item.kind.as_str() {
            "event" => event::of_json(item.payload, id.take(), arrival).map(|event| report.events.push(event)),
            "feedback" => feedback::of_event(item.payload, id.take(), arrival).map(|event| report.events.push(event)),
            "user_report" => feedback::of_user_report(item.payload, arrival).map(|event| report.events.push(event)),
            "client_report" => {
                report.discarded.extend(discarded(item.payload));
                Ok(())
            }
            _ => {
                report.skipped.push(item.kind);
                Ok(())
            }
        };
        unusable = unusable.or(taken.err());
    }
    match unusable {
        Some(why) if report.events.is_empty() => Err(why),
        _ => Ok(report.with_id()),
    }
}

/// The one event of a body that went to `store`.
///
/// # Errors
/// It isn't a JSON object, or too large.
pub fn store(body: &[u8], arrival: &Arrival) -> Result<Report, Unusable> {
    let event = event::of_json(body, None, arrival)?;
    let report = Report {
        events: vec![event],
        ..Report::default()
    };
    Ok(report.with_id())
}

impl Report {
    fn with_id(mut self) -> Self {
        self.id = self.id.or_else(|| self.events.first().map(|event| event.id));
        self
    }
}

/// Reason and quantity of each entry of a client report; what isn't an error has its category behind the reason,
/// because SDKs throw away on our own word what is not kept.
fn discarded(payload: &[u8]) -> Vec<(String, u64)> {
    let report = lenient::value(payload).unwrap_or_default();
    let entries = report["discarded_events"].as_array().map_or(&[][..], Vec::as_slice);
    let entry = |entry: &Value| {
        let reason = entry["reason"].as_str()?;
        let name = match entry["category"].as_str() {
            None | Some("error" | "default") => reason.to_owned(),
            Some(category) => format!("{reason}.{category}"),
        };
        Some((name, entry["quantity"].as_u64()?))
    };
    entries.iter().filter_map(entry).collect()
}

#[cfg(test)]
mod tests;
