//! `GET /api/monitoring/alerts` (floor 6): what is active, since when, and what to do.

use std::sync::Arc;

use rocket::serde::json::Json;
use rocket::{Route, State, get, routes};
use serde_json::{Value, json};

use crate::alerts::Alerts;
use crate::http::guards::{MonitorRead, Needs};
use crate::http::{ApiResult, Query};
use crate::monitoring::Monitor;

/// Active alerts, worst first.
#[get("/api/monitoring/alerts")]
fn list(
    _may: Needs<MonitorRead>,
    query: Query,
    alerts: &State<Arc<Alerts>>,
    monitor: &State<Arc<Monitor>>,
) -> ApiResult<Json<Value>> {
    query.only(&[])?;
    Ok(Json(json!({ "alerts": alerts.active(monitor) })))
}

pub(super) fn routes() -> Vec<Route> {
    routes![list]
}
