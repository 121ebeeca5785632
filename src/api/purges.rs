//! `DELETE /api/monitoring/errors`, `/api/monitoring/erasures` and `/api/monitoring/purges` (floor 6): removing events on
//! purpose, and the receipts of that.
//!
//! What must stay true: nothing leaves without a filter unless `all=true` says so; what a preview with `dryRun` counts is
//! what leaves when its `confirm` is given; a user who is erased is named in a body alone, never in a path or a query,
//! because those are logged; 202 means that it goes on by itself, also after a restart.

use rocket::data::Data;
use rocket::serde::json::Json;
use rocket::{Responder, Route, State, delete, get, post, routes};
use serde::Serialize;
use serde_json::{Value, json};

use crate::clock::epoch_ms;
use crate::events::remove::{self, Asked, Counts, Kind, Purges, Receipt, Status};
use crate::events::{EventLog, parse, query};
use crate::http::body::Media;
use crate::http::guards::{Actor, Admin, EventsRead, EventsWrite, MonitorRead, Needs, NoParameters};
use crate::http::{ApiResult, Code, Problem, Query};

mod params;

use params::{Erasing, Purging};

const DEFAULT_RECEIPTS: u64 = 50;
const MOST_RECEIPTS: u64 = 500;

/// The routes, with their whole paths.
pub fn routes() -> Vec<Route> {
    routes![purge, remove_one, erase, receipts, receipt, cancel]
}

/// What a removal is answered with.
#[derive(Responder)]
enum Removal {
    /// It is at its end.
    #[response(status = 200)]
    Ended(Json<Receipt>),
    /// It goes on by itself.
    #[response(status = 202)]
    Begun(Json<Receipt>),
    /// What would leave.
    #[response(status = 200)]
    Preview(Json<Preview>),
}

/// What would leave.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Preview {
    dry_run: bool,
    #[serde(flatten)]
    counts: Counts,
    /// Given back with the same filter, exactly these leave.
    #[serde(skip_serializing_if = "Option::is_none")]
    confirm: Option<String>,
}

/// A page of receipts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Receipts {
    purges: Vec<Receipt>,
    next_cursor: Option<String>,
}

impl Removal {
    fn of(receipt: Receipt) -> Self {
        match receipt.status {
            Status::Running => Self::Begun(Json(receipt)),
            _ => Self::Ended(Json(receipt)),
        }
    }
}

#[delete("/api/monitoring/errors")]
async fn purge(
    _may: Needs<Admin>,
    parameters: Query,
    actor: Actor,
    events: EventsWrite,
    log: &State<EventLog>,
    purges: &State<Purges>,
) -> ApiResult<Removal> {
    let now_ms = epoch_ms(log.now());
    let wanted = Purging::of(&parameters, now_ms)?;
    if wanted.dry_run {
        let fixed = remove::fix(&events.0, &wanted.filter, wanted.bound_ms).await?;
        let confirm = Some(fixed.token.to_string());
        return preview(&events, log, &fixed.filter, wanted.bound_ms, confirm).await;
    }
    let asked = Asked {
        kind: Kind::Purge,
        filter: wanted.filter,
        shown: wanted.shown,
        actor: actor.0,
        reason: wanted.reason,
        now_ms,
        bound_ms: wanted.bound_ms,
        token: wanted.confirm,
    };
    begin(purges, asked).await
}

async fn begin(purges: &Purges, asked: Asked) -> ApiResult<Removal> {
    let begun = purges.begin(asked).await?;
    begun.map(Removal::of).ok_or_else(params::groups_changed)
}

/// Counts what matches, once searches find all that was stored before.
async fn preview(
    events: &EventsWrite,
    log: &EventLog,
    filter: &query::Filter,
    bound_ms: i64,
    confirm: Option<String>,
) -> ApiResult<Removal> {
    if filter.needs_index() && log.catch_up().await > 0 {
        let detail = "The text index is behind, so what would leave can't be counted yet.";
        return Err(Problem::new(Code::DatabaseBusy, detail).with_retry_after(2));
    }
    let counts = remove::preview(&events.0, filter, bound_ms).await?;
    let dry_run = true;
    Ok(Removal::Preview(Json(Preview {
        dry_run,
        counts,
        confirm,
    })))
}

#[delete("/api/monitoring/errors/<id>")]
async fn remove_one(
    _may: Needs<Admin>,
    _none: NoParameters,
    id: &str,
    actor: Actor,
    _events: EventsWrite,
    log: &State<EventLog>,
    purges: &State<Purges>,
) -> ApiResult<Json<Receipt>> {
    let Some(id) = parse::id(id) else {
        return Err(super::errors::not_an_id());
    };
    let now_ms = epoch_ms(log.now());
    let asked = Asked {
        kind: Kind::One,
        filter: query::Filter::default(),
        shown: String::new(),
        actor: actor.0,
        reason: None,
        now_ms,
        bound_ms: now_ms,
        token: None,
    };
    let removed = purges.remove_one(id, asked).await?;
    removed.map(Json).ok_or_else(|| super::errors::missing(id, log))
}

#[post("/api/monitoring/erasures", data = "<body>")]
async fn erase(
    _may: Needs<Admin>,
    _none: NoParameters,
    actor: Actor,
    events: EventsWrite,
    log: &State<EventLog>,
    purges: &State<Purges>,
    media: Media<'_>,
    body: Data<'_>,
) -> ApiResult<Removal> {
    let wanted = Erasing::read(media.0, body).await?;
    let now_ms = epoch_ms(log.now());
    if wanted.dry_run {
        return preview(&events, log, &wanted.filter, now_ms, None).await;
    }
    let asked = Asked {
        kind: Kind::Erasure,
        filter: wanted.filter,
        shown: String::new(),
        actor: actor.0,
        reason: wanted.reason,
        now_ms,
        bound_ms: now_ms,
        token: None,
    };
    begin(purges, asked).await
}

#[get("/api/monitoring/purges")]
async fn receipts(
    _may: Needs<MonitorRead>,
    parameters: Query,
    _events: EventsRead,
    purges: &State<Purges>,
) -> ApiResult<Json<Receipts>> {
    parameters.only(&["limit", "cursor"])?;
    let limit = parameters
        .number("limit", 1, MOST_RECEIPTS)?
        .unwrap_or(DEFAULT_RECEIPTS);
    let before = parameters.number("cursor", 1, i64::MAX.unsigned_abs())?;
    let before = before.map_or(i64::MAX, u64::cast_signed);
    let most = u32::try_from(limit).unwrap_or(u32::MAX);
    let purges = purges.page(before, most).await?;
    let is_full = purges.len() as u64 == limit;
    let next_cursor = purges.last().filter(|_| is_full).map(|last| last.id.to_string());
    Ok(Json(Receipts { purges, next_cursor }))
}

#[get("/api/monitoring/purges/<id>")]
async fn receipt(
    _may: Needs<MonitorRead>,
    _none: NoParameters,
    id: &str,
    _events: EventsRead,
    purges: &State<Purges>,
) -> ApiResult<Json<Receipt>> {
    let found = purges.get(number(id)?).await?;
    found.map(Json).ok_or_else(|| no_receipt(id))
}

#[post("/api/monitoring/purges/<id>/cancel")]
async fn cancel(
    _may: Needs<Admin>,
    _none: NoParameters,
    id: &str,
    _events: EventsWrite,
    purges: &State<Purges>,
) -> ApiResult<Json<Receipt>> {
    let found = purges.cancel(number(id)?).await?;
    found.map(Json).ok_or_else(|| no_receipt(id))
}

fn number(id: &str) -> ApiResult<i64> {
    let number = id
        .parse()
        .ok()
        .filter(|number: &i64| *number > 0 && number.to_string() == id);
    number.ok_or_else(|| Problem::invalid("id", "must be the number of a receipt"))
}

fn no_receipt(id: &str) -> Problem {
    Problem::new(Code::NotFound, format!("There is no receipt {id}."))
}

/// What is shown of a filter: the parameters as they came.
fn shown(pairs: impl Iterator<Item = (String, String)>) -> String {
    let members = pairs.map(|(name, value)| (name, json!(value)));
    Value::Object(members.collect()).to_string()
}
