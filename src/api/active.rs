//! What the databases are doing now (floor 6): look at it, and stop one operation.
//!
//! What must stay true: a name that is over or was never given stops nothing and says so; stopping asks for the scope
//! that changes things. The name carries a generation, so that it can't mean a later operation in the same place.

use std::sync::Arc;

use rocket::serde::json::Json;
use rocket::{Route, State, get, post, routes};
use serde_json::{Value, json};

use crate::db::{ActiveOperation, Cancel, Database};
use crate::http::guards::{MonitorRead, MonitorWrite, Needs, NoParameters, RequestContext};
use crate::http::{ApiResult, Code, Problem, Query};
use crate::monitoring::Monitor;

/// `GET /api/monitoring/queries/active`.
#[get("/api/monitoring/queries/active")]
fn list(_may: Needs<MonitorRead>, query: Query, monitor: &State<Arc<Monitor>>) -> ApiResult<Json<Value>> {
    query.only(&[])?;
    let of = |database: &Database| {
        let name = database.name();
        database
            .active()
            .into_iter()
            .map(move |operation| view(name, &operation))
    };
    let all: Vec<_> = of(&monitor.app).chain(of(&monitor.events)).collect();
    Ok(Json(json!({ "operations": all })))
}

/// `POST /api/monitoring/queries/active/{id}/cancel`.
#[post("/api/monitoring/queries/active/<id>/cancel")]
fn cancel(
    _may: Needs<MonitorWrite>,
    _none: NoParameters,
    id: &str,
    context: RequestContext,
    monitor: &State<Arc<Monitor>>,
) -> ApiResult<Json<Value>> {
    match stop(monitor, id) {
        Cancel::Asked => {}
        Cancel::TooLate => {
            let detail = format!("The statements of {id} have run; its commit can't be stopped any more.");
            return Err(Problem::new(Code::Conflict, detail));
        }
        Cancel::Over => {
            let detail = format!("There is no running operation {id}; it may have ended.");
            return Err(Problem::new(Code::NotFound, detail));
        }
    }
    tracing::warn!(id, request_id = %context.0.request_id, "an operation was stopped by hand");
    Ok(Json(json!({ "cancelled": id })))
}

/// The name on the wire is the database's and the operation's: `app-12-7`.
fn stop(monitor: &Monitor, id: &str) -> Cancel {
    let of = |database: &Database| {
        let operation = id.strip_prefix(database.name())?.strip_prefix('-')?.parse().ok()?;
        Some(database.cancel(operation))
    };
    [&monitor.app, &monitor.events]
        .into_iter()
        .find_map(of)
        .unwrap_or(Cancel::Over)
}

fn view(database: &str, operation: &ActiveOperation) -> Value {
    let milliseconds = |span: std::time::Duration| span.as_micros() as f64 / 1000.0;
    json!({
        "id": format!("{database}-{}", operation.id),
        "database": database,
        "operation": operation.operation,
        "phase": operation.phase,
        "kind": if operation.writes { "write" } else { "read" },
        "ageMs": milliseconds(operation.age),
        "connectionHeldMs": operation.held.map(milliseconds),
        "snapshot": operation.snapshot,
        "callSite": operation.call_site,
        "requestId": operation.request_id,
        "cancellable": operation.is_cancellable(),
        "stopping": operation.stopping,
        "leakSuspected": operation.leak_suspected,
    })
}

pub(super) fn routes() -> Vec<Route> {
    routes![list, cancel]
}
