//! Health and probes (floor 6): `/api/monitoring/health`, `/livez`, `/readyz`.
//!
//! What must stay true: `/livez` never touches a database; without authority only `status`, `databaseHealthy` and
//! `since` are shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rocket::http::Status;
use rocket::response::status::Custom;
use rocket::serde::json::Json;
use rocket::{Route, State, get, routes};
use serde_json::{Value, json};

use crate::clock::rfc3339_ms;
use crate::http::guards::MayMonitor;
use crate::http::{ApiResult, Query};
use crate::monitoring::{Health, HealthStatus, Monitor};

/// Whether the service is shutting down; managed state.
#[derive(Clone, Default)]
pub struct Draining(Arc<AtomicBool>);

impl Draining {
    /// From now on `/readyz` says no.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn status_of(health: &Health) -> Status {
    if health.status == HealthStatus::Unhealthy {
        Status::ServiceUnavailable
    } else {
        Status::Ok
    }
}

/// The whole health, as the API shows it.
pub fn view(monitor: &Monitor, health: &Health) -> Value {
    let components: serde_json::Map<String, Value> = health
        .components
        .iter()
        .map(|(name, component)| ((*name).to_owned(), json!(component)))
        .collect();
    json!({
        "status": health.status,
        "databaseHealthy": health.database_healthy,
        "since": rfc3339_ms(health.since),
        "version": env!("CARGO_PKG_VERSION"),
        "uptimeSeconds": monitor.uptime_seconds(),
        "because": health.because,
        "components": components,
        "circuitBreakers": monitor.breakers(),
    })
}

/// `GET /api/monitoring/health`: 503 when unhealthy.
#[get("/api/monitoring/health")]
fn health(may: MayMonitor, query: Query, monitor: &State<Arc<Monitor>>) -> ApiResult<Custom<Json<Value>>> {
    query.only(&[])?;
    let health = monitor.health();
    let shown = if may.0 {
        view(monitor, &health)
    } else {
        json!({
            "status": health.status, "databaseHealthy": health.database_healthy, "since": rfc3339_ms(health.since),
        })
    };
    Ok(Custom(status_of(&health), Json(shown)))
}

/// `GET /livez`: the process answers.
#[get("/livez")]
fn livez() -> &'static str {
    "ok"
}

/// `GET /readyz`: requests can be served; `?verbose` lists the checks to those with authority.
#[get("/readyz")]
fn readyz(
    may: MayMonitor,
    query: Query,
    monitor: &State<Arc<Monitor>>,
    draining: &State<Draining>,
) -> ApiResult<(Status, String)> {
    query.only(&["verbose"])?;
    let health = monitor.health();
    let draining = draining.0.load(Ordering::Relaxed);
    let status = if draining {
        Status::ServiceUnavailable
    } else {
        status_of(&health)
    };
    let verdict = if status == Status::Ok { "ok" } else { "not ready" };
    if query.text("verbose").is_none() || !may.0 {
        return Ok((status, verdict.to_owned()));
    }
    let mark = |good: bool| if good { '+' } else { '-' };
    let mut lines: Vec<_> = health
        .components
        .iter()
        .map(|(name, c)| (*name, c.status != HealthStatus::Unhealthy))
        .collect();
    lines.push(("shutdown", !draining));
    let listed: String = lines
        .iter()
        .map(|(name, good)| format!("[{}]{name} {}\n", mark(*good), if *good { "ok" } else { "failed" }))
        .collect();
    Ok((status, format!("{listed}{verdict}")))
}

pub(super) fn routes() -> Vec<Route> {
    routes![health, livez, readyz]
}
