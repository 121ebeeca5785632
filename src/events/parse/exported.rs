//! A line of an export back into an event (floor 2, pure): what only the log itself may say of an event is taken too.
//!
//! What must stay true: what an export wrote of an event comes back as it was: id, times, class, occurrences, and every
//! member that a report may have; what follows from the rest is left out and worked out anew. Called by the import.

use jiff::Timestamp;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::members::{text, time, word};
use super::nested::{fingerprint, tags, typed};
use super::{Draft, Flaw, MAX_EVENT_BYTES, complete, read, take};
use crate::clock::epoch_ms;
use crate::events::classify::Class;
use crate::events::model::{ErrorEvent, Severity};

/// Most bytes of a line. An event of the largest size has more once it is exported, and numbers that an SDK sent short
/// may be long.
pub const MAX_EXPORTED_BYTES: usize = 4 * MAX_EVENT_BYTES;
/// Most tags: what SDKs report has some that say what it is.
const MAX_TAGS: usize = 128;
/// Most bytes of a path, and of a part of a fingerprint: what the log tells of itself names paths as long as they come.
const MAX_PATH_BYTES: usize = 64 << 10;

/// The members that follow from others, or from where the event lies.
const DERIVED: [&str; 6] = ["culprit", "groupId", "retryable", "userMessage", "suggestion", "stored"];

/// The member that an export ends with when it could not go on.
const ENDED_EARLY: &str = "exportEndedEarly";

/// An event with what the log knew of it.
#[derive(Debug, Clone)]
pub struct Exported {
    /// The event.
    pub event: ErrorEvent,
    /// How many occurrences it stands for; at least 1.
    pub occurrences: u32,
}

/// The event of one line; `now` stands in for times that it doesn't say, `id` for the id.
///
/// # Errors
/// Every flaw that was found.
pub fn exported(json: &str, now: Timestamp, id: impl FnOnce() -> Uuid) -> Result<Exported, Vec<Flaw>> {
    let mut draft = Draft::default();
    let (mut class, mut assessed, mut received, mut occurrences) = (None, None, None, 1);
    read(json, MAX_EXPORTED_BYTES, |name, value| {
        match name {
            _ if DERIVED.contains(&name) => {}
            "class" => class = Some(known_class(value)?),
            "assessedSeverity" => assessed = Some(severity(value)?),
            "receivedAt" => received = Some(time("/receivedAt", value)?),
            "occurrences" => occurrences = count(value)?,
            "tags" => draft.extras.tags = tags(value, MAX_TAGS)?,
            "path" => draft.path = Some(text("/path", value, MAX_PATH_BYTES)?),
            "fingerprint" => draft.extras.fingerprint = fingerprint(value, MAX_PATH_BYTES)?,
            ENDED_EARLY => return Err(vec![ended_early()]),
            _ => take(&mut draft, name, value, now)?,
        }
        Ok(())
    })
    .map_err(told_once)?;
    draft.id.get_or_insert_with(id);
    let mut event = complete(draft, now);
    if let Some(class) = class {
        // An export leaves our severity out where it is the event's.
        (event.class, event.assessed) = (class, assessed.unwrap_or(event.severity));
    }
    // A clock that was ahead when it came in would keep it out of what is removed by that time.
    event.received_ms = received.map_or(epoch_ms(now), |at| epoch_ms(at.min(now)));
    Ok(Exported { event, occurrences })
}

fn known_class(value: &RawValue) -> Result<Class, Flaw> {
    let names = Class::ALL.map(Class::name);
    word("/class", value, Class::from_name, &names)
}

fn severity(value: &RawValue) -> Result<Severity, Flaw> {
    let names = Severity::ALL.map(Severity::name);
    word("/assessedSeverity", value, Severity::from_name, &names)
}

fn count(value: &RawValue) -> Result<u32, Flaw> {
    const ALLOWED: &str = "must be a whole number from 1 to 4294967295";
    let number: u32 = typed("/occurrences", value, ALLOWED)?;
    if number == 0 {
        return Err(Flaw::new("/occurrences", ALLOWED));
    }
    Ok(number)
}

fn ended_early() -> Flaw {
    Flaw::new(
        "",
        "is the end of an export that could not go on; what it lacks is not in this file",
    )
}

/// Where an export ended early, that alone is said.
fn told_once(flaws: Vec<Flaw>) -> Vec<Flaw> {
    let ended = ended_early();
    if flaws.contains(&ended) { vec![ended] } else { flaws }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_epoch_ms;
    use crate::events::occurrence::{EventContext, NewEvent};
    use crate::events::wire::LoggedEvent;
    use serde_json::json;
    use std::time::Duration;

    const NOW: i64 = 1_750_000_000_000;

    fn of(json: &str) -> Result<Exported, Vec<Flaw>> {
        exported(json, from_epoch_ms(NOW), || Uuid::from_u128(7))
    }

    fn line(exported: &Exported) -> String {
        let logged = LoggedEvent {
            event: exported.event.clone(),
            group_id: Some(3),
            occurrences: exported.occurrences,
            spooled: false,
        };
        serde_json::to_string(&logged).unwrap()
    }

    #[test]
    fn an_exported_line_comes_back_as_it_was() {
        let sent = json!({
            "id": Uuid::from_u128(9), "timestamp": "2024-01-31T08:30:00.123Z", "receivedAt": "2024-02-01T00:00:00Z",
            "message": "m", "class": "disk_full", "severity": "low", "occurrences": 40, "userId": 5, "ip": "::1",
            "details": { "a": [1.50, null, "x"] }, "tags": { "k": "v" }, "fingerprint": ["a", "b"],
            "exception": { "type": "E", "frames": [{ "function": "f", "line": 3, "context": { "line": "x" } }] },
            "causes": [{ "value": "why" }], "breadcrumbs": [{ "message": "b", "timestamp": "2024-01-31T08:29:00.000Z" }],
            "request": { "method": "GET" }, "user": { "id": 5, "email": "a@b" }
        });
        let once = of(&sent.to_string()).unwrap();
        assert_eq!((once.event.class, once.occurrences), (Class::DiskFull, 40));
        let (first, again) = (line(&once), line(&of(&line(&once)).unwrap()));
        assert_eq!(first, again);
        for kept in [
            r#""receivedAt":"2024-02-01T00:00:00.000Z""#,
            r#""class":"disk_full""#,
            r#"{"a":[1.5,null,"x"]}"#,
        ] {
            assert!(first.contains(kept), "{kept} in {first}");
        }
    }

    #[test]
    fn what_it_does_not_say_is_filled_in() {
        let event = of(r#"{"message":"m"}"#).unwrap().event;
        assert_eq!(
            (event.id, event.timestamp_ms, event.received_ms),
            (Uuid::from_u128(7), NOW, NOW)
        );
        let ahead = of(r#"{"message":"m","receivedAt":"2999-01-01T00:00:00Z"}"#).unwrap();
        assert_eq!(ahead.event.received_ms, NOW);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, expected) in [
            (
                r#"{"message":"m","occurrences":0}"#,
                "/occurrences must be a whole number from 1 to 4294967295",
            ),
            (
                r#"{"message":"m","class":"odd"}"#,
                "/class must be one of informational, ",
            ),
            (
                r#"{"message":"m","receivedAt":1}"#,
                "/receivedAt must be an RFC 3339 time",
            ),
            (r#"{"message":"m","colour":"red"}"#, "/colour is not a known member"),
            (r#"{"exportEndedEarly":{"code":"x"}}"#, " is the end of an export"),
            ("[]", " must be a JSON object"),
        ] {
            let flaws = of(line).unwrap_err();
            let told = format!("{} {}", flaws[0].pointer, flaws[0].detail);
            assert!(told.starts_with(expected) && flaws.len() == 1, "{told}");
        }
    }

    #[test]
    fn what_only_sdks_and_the_log_itself_bring_comes_back() {
        let tags: serde_json::Map<_, _> = (0..66).map(|number| (number.to_string(), "v".into())).collect();
        let sdk = json!({ "message": "m", "tags": tags });
        assert_eq!(of(&sdk.to_string()).unwrap().event.extras.tags.len(), 66);
        let path = format!("/{}", "long/".repeat(1000));
        let context = EventContext {
            path: Some(path.clone()),
            ..EventContext::default()
        };
        let second = Duration::from_secs(1);
        for own in [
            NewEvent::slow_request(second, second, "GET", context.clone()),
            NewEvent::auth_failures(9, second, true, context.clone()),
            NewEvent::panic(&path, "src/a.rs:1:2", context),
            NewEvent::lost_from_spool(3),
        ] {
            let event = own.complete(from_epoch_ms(NOW));
            let written = line(&Exported { event, occurrences: 1 });
            assert_eq!(line(&of(&written).unwrap()), written);
        }
    }

    #[test]
    fn the_largest_event_comes_back_too() {
        let message = format!(r#"{{"message":"m","details":"{}"}}"#, "x".repeat(MAX_EVENT_BYTES - 28));
        assert_eq!(message.len(), MAX_EVENT_BYTES);
        let once = of(&message).unwrap();
        assert!(line(&once).len() > MAX_EVENT_BYTES && of(&line(&once)).is_ok());
    }
}
