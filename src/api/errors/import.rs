//! `POST /api/monitoring/errors/import` (floor 6): NDJSON as it was exported, taken in as it was.
//!
//! What must stay true: what is counted as accepted is on disk in events.db; a wrong line is the error of that line alone;
//! after a 503 the same body may come again and takes each event in once.

use std::sync::Arc;

use jiff::Timestamp;
use rocket::data::Data;
use rocket::serde::json::Json;
use rocket::{State, post};
use serde::Serialize;

use super::MAX_BODY_BYTES;
use super::intake::{self, field_errors, unreadable};
use crate::clock::epoch_ms;
use crate::events::parse::{self, Exported, Flaw};
use crate::events::{EventLog, retention};
use crate::http::body::{expect_media_type, read_body};
use crate::http::encoding::{Packed, decoded};
use crate::http::guards::{EventsWrite, MonitorWrite, Needs, NoParameters};
use crate::http::{ApiResult, Code, FieldError, Problem};
use crate::monitoring::Monitor;

/// What became of a body.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Imported {
    accepted: usize,
    duplicates: usize,
    rejected: usize,
    /// Of the accepted, those that a bound removes at once.
    too_old: usize,
    /// What is wrong with those that were rejected.
    results: Vec<Rejected>,
}

#[derive(Debug, Serialize)]
struct Rejected {
    index: usize,
    errors: Vec<FieldError>,
}

#[post("/api/monitoring/errors/import", data = "<body>")]
pub(super) async fn import(
    _may: Needs<MonitorWrite>,
    _none: NoParameters,
    _writes: EventsWrite,
    log: &State<EventLog>,
    monitor: &State<Arc<Monitor>>,
    packed: Packed<'_>,
    body: Data<'_>,
) -> ApiResult<Json<Imported>> {
    expect_media_type(packed.media, &intake::NDJSON_TYPES)?;
    let body = read_body(body, MAX_BODY_BYTES as u64).await?;
    let body = decoded(packed.encoding, body, MAX_BODY_BYTES).await?;
    let (mut answer, sound) = sorted(parsed(body, log.now()).await?);
    let cutoff_ms = monitor.retention.status().bounds.cutoff_ms(epoch_ms(log.now()));
    let times: Vec<i64> = sound.iter().map(|one| one.event.timestamp_ms).collect();
    for (is_new, time_ms) in log.import(sound).await?.into_iter().zip(times) {
        answer.accepted += usize::from(is_new);
        answer.duplicates += usize::from(!is_new);
        answer.too_old += usize::from(is_new && retention::is_too_old(time_ms, cutoff_ms));
    }
    Ok(Json(answer))
}

type Line = Result<Exported, Vec<Flaw>>;

async fn parsed(body: Vec<u8>, now: Timestamp) -> ApiResult<Vec<Line>> {
    let parse = move || {
        let lines = parse::ndjson_items(&body).map_err(unreadable)?;
        let event = |line: &str| parse::exported(line, now, || parse::new_id(now));
        Ok(lines.into_iter().map(|line| event(line?)).collect())
    };
    let parsed = tokio::task::spawn_blocking(parse).await;
    parsed.unwrap_or_else(|_| Err(Problem::new(Code::Internal, "The lines could not be read.")))
}

/// The sound ones, and an answer that has the others.
fn sorted(lines: Vec<Line>) -> (Imported, Vec<Exported>) {
    let (mut answer, mut sound) = (Imported::default(), Vec::with_capacity(lines.len()));
    for (index, line) in lines.into_iter().enumerate() {
        match line {
            Ok(event) => sound.push(event),
            Err(flaws) => {
                let errors = field_errors(flaws);
                answer.results.push(Rejected { index, errors });
            }
        }
    }
    answer.rejected = answer.results.len();
    (answer, sound)
}
