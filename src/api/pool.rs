//! The readers' pools (floor 6): how they are used, and their limits, which can be changed while they run.
//!
//! What must stay true: a change that isn't allowed changes nothing in either database; a change by hand is an event
//! that carries the request.

use std::sync::Arc;

use rocket::data::Data;
use rocket::serde::json::Json;
use rocket::{Route, State, get, post, routes};
use serde_json::{Map, Value, json};

use crate::db::{Database, PoolChange, PoolStatus};
use crate::http::body::{Media, expect_media_type, parse_json, read_body};
use crate::http::guards::{MonitorRead, MonitorWrite, Needs, NoParameters, RequestContext};
use crate::http::{ApiResult, FieldError, Problem, Query};
use crate::monitoring::Monitor;

const MOST_BODY_BYTES: u64 = 16 << 10;
const MEMBERS: [&str; 5] = ["database", "limit", "min", "max", "adaptive"];

/// `GET /api/monitoring/pool`.
#[get("/api/monitoring/pool")]
fn show(_may: Needs<MonitorRead>, query: Query, monitor: &State<Arc<Monitor>>) -> ApiResult<Json<Value>> {
    query.only(&[])?;
    Ok(Json(view(monitor)))
}

/// `POST /api/monitoring/pool`: changes limits at once.
#[post("/api/monitoring/pool", data = "<body>")]
async fn change(
    _may: Needs<MonitorWrite>,
    _none: NoParameters,
    context: RequestContext,
    monitor: &State<Arc<Monitor>>,
    media: Media<'_>,
    body: Data<'_>,
) -> ApiResult<Json<Value>> {
    expect_media_type(media.0, &["application/json"])?;
    let body = read_body(body, MOST_BODY_BYTES).await?;
    let (databases, change) = parse(monitor, &parse_json(&body)?)?;
    // Both have the same ceiling, but their bounds may differ: what one refuses is not done to the other.
    for database in &databases {
        database.check_readers(change).map_err(refused)?;
    }
    for database in databases {
        let database = database.on_behalf_of(Arc::clone(&context.0));
        database.adjust_readers(change).map_err(refused)?;
    }
    Ok(Json(view(monitor)))
}

fn refused(refusals: Vec<(&'static str, String)>) -> Problem {
    let of = |(member, detail)| FieldError::new(format!("/{member}"), detail);
    Problem::validation(refusals.into_iter().map(of).collect())
}

fn parse<'a>(monitor: &'a Monitor, body: &Value) -> ApiResult<(Vec<&'a Database>, PoolChange)> {
    let Value::Object(members) = body else {
        return Err(Problem::validation(vec![FieldError::new("", "must be an object")]));
    };
    let mut refusals: Vec<_> = members
        .keys()
        .filter(|name| !MEMBERS.contains(&name.as_str()))
        .map(|name| {
            let detail = format!("is not known; allowed: {}", MEMBERS.join(", "));
            FieldError::new(format!("/{name}"), detail)
        })
        .collect();
    let databases = match members.get("database").map(Value::as_str) {
        None => vec![&monitor.app, &monitor.events],
        Some(Some("app")) => vec![&monitor.app],
        Some(Some("events")) => vec![&monitor.events],
        Some(_) => {
            refusals.push(FieldError::new("/database", "must be app or events; without it, both"));
            Vec::new()
        }
    };
    let change = PoolChange {
        limit: number(members, "limit", &mut refusals),
        min: number(members, "min", &mut refusals),
        max: number(members, "max", &mut refusals),
        adaptive: members.get("adaptive").and_then(|value| {
            let known = value.as_bool();
            if known.is_none() {
                refusals.push(FieldError::new("/adaptive", "must be true or false"));
            }
            known
        }),
    };
    if refusals.is_empty() && change == PoolChange::default() {
        refusals.push(FieldError::new("", "needs at least one of limit, min, max, adaptive"));
    }
    if refusals.is_empty() {
        Ok((databases, change))
    } else {
        Err(Problem::validation(refusals))
    }
}

fn number(members: &Map<String, Value>, name: &str, refusals: &mut Vec<FieldError>) -> Option<u32> {
    let value = members.get(name)?;
    let known = value.as_u64().and_then(|number| u32::try_from(number).ok());
    if known.is_none() {
        refusals.push(FieldError::new(format!("/{name}"), "must be a whole number"));
    }
    known
}

fn view(monitor: &Monitor) -> Value {
    let of = |database: &Database| pool_view(&database.status().pool);
    json!({ "pools": { "app": of(&monitor.app), "events": of(&monitor.events) } })
}

fn pool_view(pool: &PoolStatus) -> Value {
    json!({
        "ceiling": pool.max, "limit": pool.limit, "min": pool.bounds.0, "max": pool.bounds.1,
        "adaptive": pool.adaptive, "lastMove": pool.moved,
        "usualStepMs": pool.usual_step.map(|step| step.as_micros() as f64 / 1000.0),
        "open": pool.open, "idle": pool.idle, "inUse": pool.in_use, "utilization": pool.utilization(),
        "waiting": pool.waiting, "overloaded": pool.overloaded,
        "waitMs": pool.wait_ms, "connectionWaitMs": pool.connection_wait_ms, "stepMs": pool.step_ms,
        "timeouts": pool.timeouts, "shed": pool.shed, "leaksSuspected": pool.leaks_suspected,
    })
}

pub(super) fn routes() -> Vec<Route> {
    routes![show, change]
}
