//! The answers to reports (floor 6): shapes, and which outcome becomes which status.

use std::time::Duration;

use rocket::Responder;
use rocket::http::Header;
use rocket::serde::json::Json;
use serde::Serialize;
use uuid::Uuid;

use super::intake::{Item, field_errors};
use crate::events::{ErrorEvent, EventLog, IngestOutcome, LoggedEvent, query};
use crate::http::guards::EventsRead;
use crate::http::{ApiResult, Code, FieldError, Problem};

/// What a report is answered with.
#[derive(Responder)]
pub(super) enum Reported {
    /// A new event.
    #[response(status = 201)]
    Created(Json<LoggedEvent>, Header<'static>),
    /// An event that was there already, as it is stored.
    #[response(status = 200)]
    Known(Json<LoggedEvent>),
    /// A batch, item by item.
    #[response(status = 200)]
    Batch(Json<BatchAnswer>),
}

/// What became of a batch.
#[derive(Debug, Default, Serialize)]
pub(super) struct BatchAnswer {
    accepted: usize,
    rejected: usize,
    duplicates: usize,
    /// `spool` when at least one event went there.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<&'static str>,
    results: Vec<ItemAnswer>,
}

#[derive(Debug, Default, Serialize)]
struct ItemAnswer {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

/// Ingests one event: 201, or 200 with the stored one when its id is known.
pub(super) async fn report_one(
    log: &EventLog,
    event: ErrorEvent,
    events: Result<EventsRead, Problem>,
) -> ApiResult<Reported> {
    let outcome = log.ingest(vec![event.clone()]).await.pop();
    let (group_id, spooled) = match outcome {
        Some(IngestOutcome::Stored { group_id }) => (Some(group_id), false),
        Some(IngestOutcome::Spooled) => (None, true),
        Some(IngestOutcome::Duplicate) => {
            // It may have been removed since; then what was sent is the best that is known of it.
            let stored = query::get(&events?.0, event.id).await?;
            let sent = LoggedEvent {
                event,
                group_id: None,
                occurrences: 1,
                spooled: false,
            };
            return Ok(Reported::Known(Json(stored.unwrap_or(sent))));
        }
        Some(IngestOutcome::NotAccepted { retry_after }) => return Err(not_accepted(retry_after)),
        None => return Err(not_accepted(Duration::from_secs(1))),
    };
    let location = Header::new("Location", format!("/api/monitoring/errors/{}", event.id));
    Ok(Reported::Created(
        Json(LoggedEvent {
            event,
            group_id,
            occurrences: 1,
            spooled,
        }),
        location,
    ))
}

/// Ingests the sound items of a batch; 503 only when there were some and none could be kept.
pub(super) async fn report_many(log: &EventLog, items: Vec<Item>) -> ApiResult<Reported> {
    let ids: Vec<Option<Uuid>> = items
        .iter()
        .map(|item| item.as_ref().ok().map(|event| event.id))
        .collect();
    let (mut sound, mut flaws) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Ok(event) => sound.push(event),
            Err(found) => flaws.push(field_errors(found)),
        }
    }
    let outcomes = log.ingest(sound).await;
    let answer = batch_answer(&ids, outcomes, flaws)?;
    Ok(Reported::Batch(Json(answer)))
}

/// `ids` has one entry an item, `None` for a wrong one; the other two hold the sound and the wrong ones in order.
fn batch_answer(
    ids: &[Option<Uuid>],
    outcomes: Vec<IngestOutcome>,
    flaws: Vec<Vec<FieldError>>,
) -> ApiResult<BatchAnswer> {
    let refused = outcomes.iter().filter_map(|outcome| match outcome {
        IngestOutcome::NotAccepted { retry_after } => Some(*retry_after),
        _ => None,
    });
    if let Some(longest) = refused.clone().max()
        && refused.count() == outcomes.len()
    {
        return Err(not_accepted(longest));
    }
    let (mut outcomes, mut flaws) = (outcomes.into_iter(), flaws.into_iter());
    let mut answer = BatchAnswer::default();
    for (index, id) in ids.iter().enumerate() {
        let outcome = id.and_then(|id| outcomes.next().map(|outcome| (id, outcome)));
        let result = match outcome {
            Some((id, outcome)) => answer.count(index, id, outcome),
            None => ItemAnswer {
                index,
                errors: flaws.next().unwrap_or_default(),
                ..ItemAnswer::default()
            },
        };
        answer.rejected += usize::from(!result.errors.is_empty());
        answer.results.push(result);
    }
    Ok(answer)
}

impl BatchAnswer {
    fn count(&mut self, index: usize, id: Uuid, outcome: IngestOutcome) -> ItemAnswer {
        let mut result = ItemAnswer {
            index,
            id: Some(id),
            ..ItemAnswer::default()
        };
        match outcome {
            IngestOutcome::Stored { .. } => self.accepted += 1,
            IngestOutcome::Spooled => {
                self.accepted += 1;
                self.stored = Some("spool");
                result.stored = Some("spool");
            }
            IngestOutcome::Duplicate => {
                self.duplicates += 1;
                result.duplicate = Some(true);
            }
            IngestOutcome::NotAccepted { retry_after } => {
                let detail = format!("could not be stored; send it again after {} s", seconds(retry_after));
                result.errors.push(FieldError::new("", detail));
            }
        }
        result
    }
}

/// 503: neither events.db nor the spool took them.
pub(in crate::api) fn not_accepted(retry_after: Duration) -> Problem {
    let mut problem = Problem::new(
        Code::EventsNotAccepted,
        "Neither the event database nor its spool could take the events; nothing of them was stored.",
    );
    problem.retry_after = Some(seconds(retry_after));
    problem
}

/// Whole seconds, never zero: a client that comes back at once would find the same.
fn seconds(after: Duration) -> u64 {
    (after.as_secs() + u64::from(after.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(ids: &[Option<Uuid>], outcomes: Vec<IngestOutcome>, flaws: usize) -> ApiResult<serde_json::Value> {
        let flaws = vec![vec![FieldError::new("/message", "is required")]; flaws];
        batch_answer(ids, outcomes, flaws).map(|answer| serde_json::to_value(answer).unwrap())
    }

    const LATER: IngestOutcome = IngestOutcome::NotAccepted {
        retry_after: Duration::from_millis(1200),
    };

    #[test]
    fn every_item_has_its_answer() {
        let ids = [1, 2, 3].map(Uuid::from_u128);
        let items = [Some(ids[0]), None, Some(ids[1]), Some(ids[2])];
        let outcomes = vec![IngestOutcome::Stored { group_id: 1 }, IngestOutcome::Duplicate, LATER];
        let wire = answer(&items, outcomes, 1).unwrap();
        assert_eq!(
            (&wire["accepted"], &wire["rejected"], &wire["duplicates"]),
            (&1.into(), &2.into(), &1.into())
        );
        assert_eq!(wire["results"][0], serde_json::json!({ "index": 0, "id": ids[0] }));
        let wrong = serde_json::json!({ "index": 1, "errors": [{ "pointer": "/message", "detail": "is required" }] });
        assert_eq!(wire["results"][1], wrong);
        assert_eq!(wire["results"][2]["duplicate"], true);
        assert_eq!(
            wire["results"][3]["errors"][0]["detail"],
            "could not be stored; send it again after 2 s"
        );
        assert!(wire.get("stored").is_none());
    }

    #[test]
    fn the_spool_is_told() {
        let wire = answer(&[Some(Uuid::nil())], vec![IngestOutcome::Spooled], 0).unwrap();
        assert_eq!(
            (&wire["stored"], &wire["results"][0]["stored"]),
            (&"spool".into(), &"spool".into())
        );
    }

    #[test]
    fn only_when_nothing_could_be_kept_the_whole_is_refused() {
        let problem = answer(&[Some(Uuid::nil()), None], vec![LATER], 1).unwrap_err();
        assert_eq!((problem.code, problem.retry_after), (Code::EventsNotAccepted, Some(2)));
        let empty = answer(&[], vec![], 0).unwrap();
        assert_eq!(
            empty,
            serde_json::json!({ "accepted": 0, "rejected": 0, "duplicates": 0, "results": [] })
        );
        assert_eq!(answer(&[None], vec![], 1).unwrap()["rejected"], 1);
    }
}
