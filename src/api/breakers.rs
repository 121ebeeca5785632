//! Circuit breakers (floor 6): look at them, and set them by hand.
//!
//! What must stay true: what is set by hand is an event that carries the request, and is on disk before it is answered,
//! save where the disk doesn't take it; an isolated file's breakers can't be set.

use std::sync::Arc;
use std::time::Duration;

use rocket::data::Data;
use rocket::http::ContentType;
use rocket::serde::json::Json;
use rocket::{Route, State, get, post, routes};
use serde_json::{Map, Value, json};

use crate::db::breaker::Breaker;
use crate::http::body::{Media, expect_media_type, parse_json, read_body};
use crate::http::guards::{MonitorRead, MonitorWrite, Needs, NoParameters, RequestContext};
use crate::http::{ApiResult, Code, FieldError, Problem, Query};
use crate::monitoring::Monitor;

const MOST_BODY_BYTES: u64 = 16 << 10;
const LONGEST_SECONDS: u64 = 7 * 24 * 3600;
const LONGEST_REASON: usize = 200;

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
    let wanted = members(media.0, body, &["name"]).await?;
    let chosen = match wanted.get("name") {
        None => all(monitor),
        Some(Value::String(name)) => vec![named(monitor, name).ok_or_else(|| {
            Problem::validation(vec![FieldError::new(
                "/name",
                format!("must be one of {}", names(monitor)),
            )])
        })?],
        Some(_) => return Err(Problem::validation(vec![FieldError::new("/name", "must be a string")])),
    };
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
    let (lasting, reason) = by_hand(&members(media.0, body, &["forSeconds", "reason"]).await?, "opened")?;
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
    let (lasting, reason) = by_hand(&members(media.0, body, &["forSeconds", "reason"]).await?, "disabled")?;
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

/// The members of an optional JSON object that may only have the allowed ones.
async fn members(media: Option<&ContentType>, body: Data<'_>, allowed: &[&str]) -> ApiResult<Map<String, Value>> {
    expect_media_type(media, &["application/json"])?;
    let body = read_body(body, MOST_BODY_BYTES).await?;
    if body.is_empty() {
        return Ok(Map::new());
    }
    let Value::Object(members) = parse_json(&body)? else {
        return Err(Problem::validation(vec![FieldError::new("", "must be an object")]));
    };
    let unknown = members.keys().filter(|name| !allowed.contains(&name.as_str()));
    let refusals: Vec<_> = unknown
        .map(|name| {
            FieldError::new(
                format!("/{name}"),
                format!("is not known; allowed: {}", allowed.join(", ")),
            )
        })
        .collect();
    if refusals.is_empty() {
        Ok(members)
    } else {
        Err(Problem::validation(refusals))
    }
}

/// How long, and why.
fn by_hand(members: &Map<String, Value>, what: &str) -> ApiResult<(Option<Duration>, String)> {
    let mut refusals = Vec::new();
    let lasting = match members.get("forSeconds").map(Value::as_u64) {
        None => None,
        Some(Some(seconds @ 1..=LONGEST_SECONDS)) => Some(Duration::from_secs(seconds)),
        Some(_) => {
            refusals.push(FieldError::new(
                "/forSeconds",
                format!("must be a whole number from 1 to {LONGEST_SECONDS}"),
            ));
            None
        }
    };
    let reason = match members.get("reason") {
        None => format!("{what} by hand"),
        Some(Value::String(text)) if text.len() <= LONGEST_REASON => format!("{what} by hand: {text}"),
        Some(_) => {
            refusals.push(FieldError::new(
                "/reason",
                format!("must be a string of at most {LONGEST_REASON} bytes"),
            ));
            String::new()
        }
    };
    if refusals.is_empty() {
        Ok((lasting, reason))
    } else {
        Err(Problem::validation(refusals))
    }
}

pub(super) fn routes() -> Vec<Route> {
    routes![list, reset_some, reset_one, force_open, disable]
}
