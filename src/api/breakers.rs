//! Circuit breakers (floor 6): look at them, and set them by hand.
//!
//! What must stay true: what is set by hand is an event that carries the request, and is on disk before it is answered,
//! save where the disk doesn't take it; an isolated file's breakers can't be set.

use std::sync::Arc;
use std::time::Duration;

use rocket::data::Data;
use rocket::serde::json::Json;
use rocket::{Route, State, get, post, routes};
use serde_json::{Value, json};

use crate::db::breaker::Breaker;
use crate::http::body::Media;
use crate::http::guards::{MonitorRead, MonitorWrite, Needs, NoParameters, RequestContext};
use crate::http::{ApiResult, Code, Members, Problem, Query};
use crate::monitoring::Monitor;

const LONGEST_SECONDS: u64 = 7 * 24 * 3600;
/// What a setting by hand may say.
const BY_HAND: [&str; 2] = ["forSeconds", "reason"];

/// `GET /api/monitoring/circuit-breaker`.
#[get("/api/monitoring/circuit-breaker")]
fn list(_may: Needs<MonitorRead>, query: Query, monitor: &State<Arc<Monitor>>) -> ApiResult<Json<Value>> {
    query.only(&[])?;
    Ok(Json(
        json!({ "circuitBreakers": monitor.breakers(), "events": monitor.breaker_changes() }),
    ))
}

/// `POST /api/monitoring/circuit-breaker/reset`: all, or the one named in the body.
#[post("/api/monitoring/circuit-breaker/reset", data = "<body>")]
async fn reset_some(
    _may: Needs<MonitorWrite>,
    _none: NoParameters,
    context: RequestContext,
    monitor: &State<Arc<Monitor>>,
    media: Media<'_>,
    body: Data<'_>,
) -> ApiResult<Json<Value>> {
    let mut wanted = Members::read(media.0, body, &["name"]).await?;
    let one = wanted.known(
        "name",
        || format!("must be one of {}", names(monitor)),
        |name| named(monitor, name.as_str()?),
    );
    wanted.sound()?;
    let chosen = one.map_or_else(|| all(monitor), |one| vec![one]);
    reset(monitor, &chosen, &context).await
}

/// `POST /api/monitoring/circuit-breaker/{name}/reset`.
#[post("/api/monitoring/circuit-breaker/<name>/reset")]
async fn reset_one(
    _may: Needs<MonitorWrite>,
    _none: NoParameters,
    name: &str,
    context: RequestContext,
    monitor: &State<Arc<Monitor>>,
) -> ApiResult<Json<Value>> {
    reset(monitor, &[known(monitor, name)?], &context).await
}

/// `POST /api/monitoring/circuit-breaker/{name}/force-open`: refuses everything, for a time or until reset.
#[post("/api/monitoring/circuit-breaker/<name>/force-open", data = "<body>")]
async fn force_open(
    _may: Needs<MonitorWrite>,
    _none: NoParameters,
    name: &str,
    context: RequestContext,
    monitor: &State<Arc<Monitor>>,
    media: Media<'_>,
    body: Data<'_>,
) -> ApiResult<Json<Value>> {
    let breaker = settable(monitor, name)?;
    let (lasting, reason) = by_hand(Members::read(media.0, body, &BY_HAND).await?, "opened")?;
    breaker.force_open(lasting, &reason, Some(&context.0));
    monitor.keep_breakers().await;
    shown(monitor, name)
}

/// `POST /api/monitoring/circuit-breaker/{name}/disable`: lets everything through, for a time or until reset.
#[post("/api/monitoring/circuit-breaker/<name>/disable", data = "<body>")]
async fn disable(
    _may: Needs<MonitorWrite>,
    _none: NoParameters,
    name: &str,
    context: RequestContext,
    monitor: &State<Arc<Monitor>>,
    media: Media<'_>,
    body: Data<'_>,
) -> ApiResult<Json<Value>> {
    let breaker = settable(monitor, name)?;
    let (lasting, reason) = by_hand(Members::read(media.0, body, &BY_HAND).await?, "disabled")?;
    breaker.disable(lasting, &reason, Some(&context.0));
    monitor.keep_breakers().await;
    shown(monitor, name)
}

fn all(monitor: &Monitor) -> Vec<Arc<Breaker>> {
    [&monitor.app, &monitor.events]
        .iter()
        .flat_map(|database| database.breakers())
        .cloned()
        .collect()
}

fn named(monitor: &Monitor, name: &str) -> Option<Arc<Breaker>> {
    all(monitor).into_iter().find(|breaker| breaker.status().name == name)
}

fn names(monitor: &Monitor) -> String {
    all(monitor)
        .iter()
        .map(|breaker| breaker.status().name)
        .collect::<Vec<_>>()
        .join(", ")
}

fn known(monitor: &Monitor, name: &str) -> ApiResult<Arc<Breaker>> {
    let missing = || {
        Problem::new(
            Code::NotFound,
            format!("There is no circuit breaker {name}; there are {}.", names(monitor)),
        )
    };
    named(monitor, name).ok_or_else(missing)
}

/// One that can be set now: a setting that would wait for a check of the file is refused rather than kept in mind.
fn settable(monitor: &Monitor, name: &str) -> ApiResult<Arc<Breaker>> {
    let breaker = known(monitor, name)?;
    if breaker.status().state == "ISOLATED" {
        Err(isolated())
    } else {
        Ok(breaker)
    }
}

fn isolated() -> Problem {
    Problem::new(
        Code::Conflict,
        "The file is isolated; only a successful check of the file ends that.",
    )
}

async fn reset(monitor: &Monitor, breakers: &[Arc<Breaker>], context: &RequestContext) -> ApiResult<Json<Value>> {
    let mut done = Vec::new();
    for breaker in breakers {
        if breaker.reset("reset by hand", Some(&context.0)) {
            done.push(breaker.status().name);
        }
    }
    if done.is_empty() {
        return Err(isolated());
    }
    monitor.keep_breakers().await;
    Ok(Json(json!({ "reset": done })))
}

fn shown(monitor: &Monitor, name: &str) -> ApiResult<Json<Value>> {
    Ok(Json(
        monitor
            .breakers()
            .into_iter()
            .find(|breaker| breaker["name"] == name)
            .unwrap_or(Value::Null),
    ))
}

/// How long, and why.
fn by_hand(mut body: Members, what: &str) -> ApiResult<(Option<Duration>, String)> {
    let lasting = body.number("forSeconds", LONGEST_SECONDS).map(Duration::from_secs);
    let reason = body.reason();
    body.sound()?;
    let why = reason.map_or_else(|| format!("{what} by hand"), |text| format!("{what} by hand: {text}"));
    Ok((lasting, why))
}

pub(super) fn routes() -> Vec<Route> {
    routes![list, reset_some, reset_one, force_open, disable]
}
