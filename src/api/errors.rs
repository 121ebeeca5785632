//! `/api/monitoring/errors` (floor 6): the event log over HTTP.
//!
//! What must stay true: a 2xx to a report means that the event is on disk, in events.db or in the spool; a failing
//! database is never reported as "not found".

use rocket::data::Data;
use rocket::serde::json::Json;
use rocket::{Route, State, get, post, routes};
use uuid::Uuid;

use crate::events::query::List;
use crate::events::{EventLog, LoggedEvent, parse, query};
use crate::http::Query;
use crate::http::body::{expect_media_type, read_body};
use crate::http::encoding::{Packed, decoded};
use crate::http::guards::{EventsRead, Ingest, MonitorRead, Needs, NoParameters};
use crate::http::{ApiResult, Code, Problem};

mod answer;
mod export;
mod import;
mod intake;
mod page;
pub(super) mod params;

use answer::{Found, Reported};
pub(super) use answer::{not_accepted, rate_limited};
use intake::Report;
pub(super) use page::ListAnswer;

/// Most bytes of a report's body, as it comes and unpacked.
const MAX_BODY_BYTES: usize = 10 << 20;

/// The routes, with their whole paths.
pub fn routes() -> Vec<Route> {
    routes![list, one, report, export::export, import::import]
}

#[get("/api/monitoring/errors")]
async fn list(
    _may: Needs<MonitorRead>,
    parameters: Query,
    events: EventsRead,
    log: &State<EventLog>,
) -> ApiResult<Json<ListAnswer>> {
    answer(params::list(&parameters, log.now())?, &events, log).await
}

/// A page of the list, for everybody who shows events.
pub(super) async fn answer(wanted: List, events: &EventsRead, log: &EventLog) -> ApiResult<Json<ListAnswer>> {
    let unfound = if wanted.filter.needs_index() {
        log.catch_up().await
    } else {
        0
    };
    let mut page = query::list(&events.0, wanted).await?;
    page.events.iter_mut().for_each(LoggedEvent::abridge);
    Ok(Json(ListAnswer::of(page, log.spool_status().events + unfound)))
}

#[get("/api/monitoring/errors/<id>")]
async fn one(
    _may: Needs<MonitorRead>,
    _none: NoParameters,
    id: &str,
    events: EventsRead,
    log: &State<EventLog>,
) -> ApiResult<Json<Found>> {
    let Some(id) = parse::id(id) else {
        return Err(not_an_id());
    };
    query::get(&events.0, id)
        .await?
        .map(|found| Json(Found::of(found, id)))
        .ok_or_else(|| missing(id, log))
}

pub(super) fn not_an_id() -> Problem {
    Problem::invalid("id", "must be a UUID, with dashes or as 32 hexadecimal digits")
}

/// 404, unless it may still come.
pub(super) fn missing(id: Uuid, log: &EventLog) -> Problem {
    match log.spool_status().events {
        0 => Problem::new(Code::NotFound, format!("There is no error event {id}.")),
        waiting => may_be_waiting(waiting),
    }
}

/// An acknowledged event that waits in the spool is not "not found".
fn may_be_waiting(waiting: u64) -> Problem {
    let detail = format!("It is not in the event database, but {waiting} events still wait to be stored there.");
    Problem::new(Code::DatabaseUnavailable, detail).with_retry_after(2)
}

#[post("/api/monitoring/errors", data = "<body>")]
async fn report(
    _may: Needs<Ingest>,
    _none: NoParameters,
    log: &State<EventLog>,
    packed: Packed<'_>,
    events: Result<EventsRead, Problem>,
    body: Data<'_>,
) -> ApiResult<Reported> {
    expect_media_type(packed.media, &intake::MEDIA_TYPES)?;
    let body = read_body(body, MAX_BODY_BYTES as u64).await?;
    let body = decoded(packed.encoding, body, MAX_BODY_BYTES).await?;
    match intake::parse(body, intake::is_ndjson(packed.media), log.now()).await? {
        Report::One(event) => answer::report_one(log, *event, events).await,
        Report::Many(items) => answer::report_many(log, items).await,
    }
}
