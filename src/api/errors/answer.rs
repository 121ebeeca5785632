//! The answers to reports (floor 6): shapes, and which outcome becomes which status.

use std::time::Duration;

use rocket::Responder;
use rocket::http::Header;
use rocket::serde::json::Json;
use serde::Serialize;
use uuid::Uuid;

use super::intake::{Item, field_errors};
use crate::events::{DropReason, ErrorEvent, EventLog, IngestOutcome, LoggedEvent, Refusal, Reporter, query};
use crate::http::guards::EventsRead;
use crate::http::{ApiResult, Code, FieldError, Problem};

/// What a report is answered with.
#[derive(Responder)]
pub(super) enum Reported {
    /// A new event.
    #[response(status = 201)]
    Created(Json<Taken>, Header<'static>),
    /// An event that was there already, as it is stored.
    #[response(status = 200)]
    Known(Json<Found>),
    /// A batch, item by item.
    #[response(status = 200)]
    Batch(Json<BatchAnswer>),
}

/// An event that was asked for by an id; another one where that was counted on it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Found {
    #[serde(flatten)]
    event: LoggedEvent,
    /// The id that was asked for, whose own event wasn't kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    stands_for: Option<Uuid>,
}

impl Found {
    pub(super) fn of(mut event: LoggedEvent, wanted: Uuid) -> Self {
        event.mark_own_frames();
        let stands_for = (event.event.id != wanted).then_some(wanted);
        Self { event, stands_for }
    }
}

/// An event as it was reported, and the one that stands for it where it was counted on that.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Taken {
    #[serde(flatten)]
    event: LoggedEvent,
    #[serde(skip_serializing_if = "Option::is_none")]
    sampled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_id: Option<Uuid>,
}

/// What became of a batch.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BatchAnswer {
    accepted: usize,
    rejected: usize,
    duplicates: usize,
    /// `spool` when at least one event went there.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<&'static str>,
    /// When those that were too many for their source may come again, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    results: Vec<ItemAnswer>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemAnswer {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<&'static str>,
    /// The event that it was counted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sampled: Option<bool>,
    /// Why it was refused, as the ledger names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

/// Ingests one event: 201, or 200 with the stored one when its id is known.
pub(super) async fn report_one(
    log: &EventLog,
    event: ErrorEvent,
    events: Result<EventsRead, Problem>,
) -> ApiResult<Reported> {
    let outcome = log.report(Reporter::Declared, vec![event.clone()]).await.pop();
    let (group_id, sample_id, spooled) = match outcome {
        Some(IngestOutcome::Stored { group_id }) => (Some(group_id), None, false),
        Some(IngestOutcome::Counted { group_id, sample }) => (Some(group_id), Some(sample), false),
        Some(IngestOutcome::Spooled) => (None, None, true),
        Some(IngestOutcome::RateLimited(refusal)) => return Err(rate_limited(refusal)),
        Some(IngestOutcome::Duplicate) => {
            // It may have been removed since; then what was sent is the best that is known of it.
            let stored = query::get(&events?.0, event.id).await?;
            let sent = LoggedEvent {
                event,
                group_id: None,
                occurrences: 1,
                spooled: false,
            };
            let id = sent.event.id;
            return Ok(Reported::Known(Json(Found::of(stored.unwrap_or(sent), id))));
        }
        Some(IngestOutcome::NotAccepted { retry_after }) => return Err(not_accepted(retry_after)),
        None => return Err(not_accepted(Duration::from_secs(1))),
    };
    let location = Header::new("Location", format!("/api/monitoring/errors/{}", event.id));
    let taken = Taken {
        event: LoggedEvent {
            event,
            group_id,
            occurrences: 1,
            spooled,
        },
        sampled: sample_id.map(|_| true),
        sample_id,
    };
    Ok(Reported::Created(Json(taken), location))
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
    let outcomes = log.report(Reporter::Declared, sound).await;
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
    let over = outcomes.iter().filter_map(|outcome| match outcome {
        IngestOutcome::RateLimited(refusal) => Some(*refusal),
        _ => None,
    });
    let longest = over.clone().max_by_key(|refusal| refusal.retry_after);
    if let Some(refusal) = longest
        && over.count() == outcomes.len()
    {
        return Err(rate_limited(refusal));
    }
    let (mut outcomes, mut flaws) = (outcomes.into_iter(), flaws.into_iter());
    let mut answer = BatchAnswer {
        retry_after: longest.map(|refusal| seconds(refusal.retry_after)),
        ..BatchAnswer::default()
    };
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
            IngestOutcome::Counted { sample, .. } => {
                self.accepted += 1;
                (result.sampled, result.sample_id) = (Some(true), Some(sample));
            }
            IngestOutcome::RateLimited(refusal) => {
                result.reason = Some(DropReason::RateLimited.name());
                result.errors.push(FieldError::new("", too_many(refusal)));
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

/// 429: its source sent more than its limit.
pub(in crate::api) fn rate_limited(refusal: Refusal) -> Problem {
    let seconds = seconds(refusal.retry_after);
    Problem::new(Code::RateLimited, format!("The source {}.", too_many(refusal)))
        .with_retry_after(seconds)
        .with_header("RateLimit-Policy", format!("\"ingest\";q={};w=60", refusal.per_minute))
        .with_header("RateLimit", format!("\"ingest\";r=0;t={seconds}"))
}

fn too_many(refusal: Refusal) -> String {
    let (most, seconds) = (refusal.per_minute, seconds(refusal.retry_after));
    format!("sent more than {most} events a minute; send it again after {seconds} s")
}

/// Whole seconds, never zero: a client that comes back at once would find the same.
fn seconds(after: Duration) -> u64 {
    (after.as_secs() + u64::from(after.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests;
