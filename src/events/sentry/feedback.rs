//! What people write about an error (floor 2, pure): the newer `feedback` and the older `user_report`, each an event
//! of low severity that names the error it is about.

use serde_json::{Value, json};
use uuid::Uuid;

use super::lenient;
use super::{Arrival, Unusable, event};
use crate::events::model::{ErrorEvent, Severity};
use crate::events::parse;

/// What of a feedback's context has a member of its own.
const TAKEN: [&str; 4] = ["message", "contact_email", "name", "associated_event_id"];

/// A feedback item: an event whose `contexts.feedback` holds what was written.
pub(super) fn of_event(payload: &[u8], id: Option<Uuid>, arrival: &Arrival) -> Result<ErrorEvent, Unusable> {
    let mut sent = object(payload)?;
    let contexts = sent.get_mut("contexts").and_then(Value::as_object_mut);
    let written = contexts
        .and_then(|contexts| contexts.remove("feedback"))
        .unwrap_or_default();
    sent["user"] = person(&sent["user"], &written, "contact_email");
    sent["message"] = written["message"].clone();
    // Where it was written, say: what has no member of its own stays a context.
    let mut rest = written.as_object().cloned().unwrap_or_default();
    rest.retain(|name, _| !TAKEN.contains(&name.as_str()));
    if !rest.is_empty() {
        sent["contexts"]["feedback"] = Value::Object(rest);
    }
    Ok(finish(&sent, id, &written["associated_event_id"], arrival))
}

/// A user report; its envelope's id is that of the error it is about, so it gets one of its own.
pub(super) fn of_user_report(payload: &[u8], arrival: &Arrival) -> Result<ErrorEvent, Unusable> {
    let written = object(payload)?;
    let sent = json!({
        "message": written["comments"],
        "user": person(&Value::Null, &written, "email"),
    });
    Ok(finish(&sent, None, &written["event_id"], arrival))
}

fn object(payload: &[u8]) -> Result<Value, Unusable> {
    if payload.len() > super::MAX_EVENT_BYTES {
        return Err(Unusable::TooLarge(
            "a feedback is larger than an event may be".to_owned(),
        ));
    }
    lenient::value(payload)
        .filter(Value::is_object)
        .ok_or_else(|| Unusable::Malformed("a feedback must be a JSON object".to_owned()))
}

/// The user as sent, with the name and address that they wrote.
fn person(user: &Value, written: &Value, email: &str) -> Value {
    let mut user = user.as_object().cloned().unwrap_or_default();
    for (name, value) in [("email", &written[email]), ("username", &written["name"])] {
        if value.as_str().is_some_and(|text| !text.is_empty()) {
            user.insert(name.to_owned(), value.clone());
        }
    }
    Value::Object(user)
}

fn finish(sent: &Value, id: Option<Uuid>, about: &Value, arrival: &Arrival) -> ErrorEvent {
    let mut event = event::of_value(sent, id, arrival);
    event.severity = Severity::Low;
    event.extras.tags.insert("feedback".to_owned(), "true".to_owned());
    if let Some(about) = about.as_str().and_then(parse::id) {
        event.extras.tags.insert("aboutEvent".to_owned(), about.to_string());
    }
    event
}
