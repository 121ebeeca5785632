//! `/api/monitoring/groups` (floor 6): which errors there are, what people do with them, and what became of them.
//!
//! What must stay true: an id is taken only as it is written (`E-17`); the id of a group that was swallowed stands for the
//! one that is left, everywhere; an act is on disk before it is answered.

use rocket::data::Data;
use rocket::serde::json::Json;
use rocket::{Route, State, get, post, routes};
use serde_json::Value;

use super::errors::{self, ListAnswer};
use crate::clock::epoch_ms;
use crate::events::life::{self, Act, Entries, GroupView};
use crate::events::{EventLog, group_number};
use crate::http::guards::{EventsRead, MonitorRead, MonitorWrite, Needs, NoParameters};
use crate::http::{ApiResult, Code, Problem, Query};

mod answer;
mod body;
mod bulk;
mod hand;
mod params;
mod together;

use answer::{GroupList, Shown};
use body::Body;
use hand::Hand;

/// The routes, with their whole paths.
pub fn routes() -> Vec<Route> {
    routes![
        list, one, its_events, history, resolve, reopen, mute, merge, split, undo, in_bulk
    ]
}

#[get("/api/monitoring/groups")]
async fn list(
    _may: Needs<MonitorRead>,
    parameters: Query,
    events: EventsRead,
    log: &State<EventLog>,
) -> ApiResult<Json<GroupList>> {
    let wanted = params::list(&parameters, log.now())?;
    Ok(Json(life::list(&events.0, wanted).await?.into()))
}

#[get("/api/monitoring/groups/<id>")]
async fn one(
    _may: Needs<MonitorRead>,
    _none: NoParameters,
    id: &str,
    events: EventsRead,
    log: &State<EventLog>,
) -> ApiResult<Json<Shown>> {
    let found = life::details(&events.0, number(id)?, epoch_ms(log.now())).await?;
    let found = found.ok_or_else(|| missing(id))?;
    let storms = log.storms();
    let family = if storms.is_empty() {
        Vec::new()
    } else {
        life::family(&events.0, number(id)?).await?
    };
    Ok(Json(Shown::of(found, &family, &storms)))
}

#[get("/api/monitoring/groups/<id>/events")]
async fn its_events(
    _may: Needs<MonitorRead>,
    parameters: Query,
    id: &str,
    events: EventsRead,
    log: &State<EventLog>,
) -> ApiResult<Json<ListAnswer>> {
    let mut wanted = errors::params::list(&parameters, log.now())?;
    if !(wanted.filter.groups.is_empty() && wanted.filter.statuses.is_empty()) {
        return Err(Problem::invalid(
            "group",
            "is named by the path; group and status are not taken here",
        ));
    }
    if life::family(&events.0, number(id)?).await?.is_empty() {
        return Err(missing(id));
    }
    wanted.filter.groups = vec![number(id)?];
    errors::answer(wanted, &events, log).await
}

#[get("/api/monitoring/groups/<id>/history")]
async fn history(
    _may: Needs<MonitorRead>,
    parameters: Query,
    id: &str,
    events: EventsRead,
) -> ApiResult<Json<Entries>> {
    let (before, limit) = params::history(&parameters)?;
    let found = life::entries(&events.0, number(id)?, before, limit).await?;
    found.map(Json).ok_or_else(|| missing(id))
}

#[post("/api/monitoring/groups/<id>/resolve", data = "<data>")]
async fn resolve(
    _may: Needs<MonitorWrite>,
    _none: NoParameters,
    id: &str,
    hand: Hand<'_>,
    data: Data<'_>,
) -> ApiResult<Json<GroupView>> {
    let mut body = Body::read(hand.media.0, data, &["inRelease"]).await?;
    let act = body.resolve();
    hand.act(id, body, act).await
}

#[post("/api/monitoring/groups/<id>/reopen", data = "<data>")]
async fn reopen(
    _may: Needs<MonitorWrite>,
    _none: NoParameters,
    id: &str,
    hand: Hand<'_>,
    data: Data<'_>,
) -> ApiResult<Json<GroupView>> {
    let body = Body::read(hand.media.0, data, &[]).await?;
    hand.act(id, body, Act::Reopen).await
}

#[post("/api/monitoring/groups/<id>/mute", data = "<data>")]
async fn mute(
    _may: Needs<MonitorWrite>,
    _none: NoParameters,
    id: &str,
    hand: Hand<'_>,
    data: Data<'_>,
) -> ApiResult<Json<GroupView>> {
    let mut body = Body::read(hand.media.0, data, &["until", "untilCount", "withinSeconds"]).await?;
    let act = body.mute(hand.log.now());
    hand.act(id, body, act).await
}

#[post("/api/monitoring/groups/<id>/merge", data = "<data>")]
async fn merge(
    _may: Needs<MonitorWrite>,
    _none: NoParameters,
    id: &str,
    hand: Hand<'_>,
    data: Data<'_>,
) -> ApiResult<Json<Value>> {
    let mut body = Body::read(hand.media.0, data, &["ids"]).await?;
    let wanted = together::merge(number(id)?, &mut body);
    hand.change(body, wanted).await
}

#[post("/api/monitoring/groups/<id>/split", data = "<data>")]
async fn split(
    _may: Needs<MonitorWrite>,
    _none: NoParameters,
    id: &str,
    hand: Hand<'_>,
    data: Data<'_>,
) -> ApiResult<Json<Value>> {
    let mut body = Body::read(hand.media.0, data, &["aliases", "keys", "events"]).await?;
    let wanted = together::split(number(id)?, &mut body);
    hand.change(body, wanted).await
}

#[post("/api/monitoring/groups/<id>/undo", data = "<data>")]
async fn undo(
    _may: Needs<MonitorWrite>,
    _none: NoParameters,
    id: &str,
    hand: Hand<'_>,
    data: Data<'_>,
) -> ApiResult<Json<Value>> {
    let mut body = Body::read(hand.media.0, data, &["change"]).await?;
    let wanted = together::undo(number(id)?, &mut body);
    hand.change(body, wanted).await
}

#[post("/api/monitoring/groups/bulk", data = "<data>")]
async fn in_bulk(
    _may: Needs<MonitorWrite>,
    _none: NoParameters,
    hand: Hand<'_>,
    data: Data<'_>,
) -> ApiResult<Json<Value>> {
    let mut body = Body::read(hand.media.0, data, &bulk::MEMBERS).await?;
    let wanted = bulk::Wanted::of(&mut body, hand.log.now());
    let by = hand.by(&mut body);
    body.sound()?;
    bulk::perform(&hand.events.0, wanted, by).await.map(Json)
}

/// The number of an id in the path.
fn number(id: &str) -> ApiResult<i64> {
    group_number(id).ok_or_else(|| Problem::invalid("id", "must be a group's id such as E-17"))
}

fn missing(id: &str) -> Problem {
    Problem::new(Code::NotFound, format!("There is no group {id}."))
}
