//! The readers' pools (floor 6): how they are used, and their limits, which can be changed while they run.
//!
//! What must stay true: a change that isn't allowed changes nothing in either database; a change by hand is an event
//! that carries the request.

use std::sync::Arc;

use rocket::data::Data;
use rocket::serde::json::Json;
use rocket::{Route, State, get, post, routes};
use serde_json::{Value, json};

use crate::db::{Database, PoolChange, PoolStatus};
use crate::http::body::Media;
use crate::http::guards::{MonitorRead, MonitorWrite, Needs, NoParameters, RequestContext};
use crate::http::{ApiResult, FieldError, Members, Problem, Query};
use crate::monitoring::Monitor;

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
    let (databases, change) = wanted(monitor, Members::read(media.0, body, &MEMBERS).await?)?;
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

fn wanted(monitor: &Monitor, mut body: Members) -> ApiResult<(Vec<&Database>, PoolChange)> {
    let one = body.known(
        "database",
        || "must be app or events; without it, both".to_owned(),
        |name| match name.as_str() {
            Some("app") => Some(&monitor.app),
            Some("events") => Some(&monitor.events),
            _ => None,
        },
    );
    let mut number = |name| {
        let wrong = || "must be a whole number".to_owned();
        body.known(name, wrong, |value| u32::try_from(value.as_u64()?).ok())
    };
    let (limit, min, max) = (number("limit"), number("min"), number("max"));
    let adaptive = body.truth("adaptive");
    let change = PoolChange {
        limit,
        min,
        max,
        adaptive,
    };
    body.sound()?;
    if change == PoolChange::default() {
        let detail = "needs at least one of limit, min, max, adaptive";
        return Err(Problem::validation(vec![FieldError::new("", detail)]));
    }
    Ok((
        one.map_or_else(|| vec![&monitor.app, &monitor.events], |one| vec![one]),
        change,
    ))
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
