//! `GET /api/monitoring/stats` (floor 6).

use std::sync::Arc;

use rocket::serde::json::Json;
use rocket::{Route, State, get, routes};
use serde_json::Value;

use crate::http::guards::{MonitorRead, Needs};
use crate::http::{ApiResult, Query};
use crate::monitoring::Monitor;

/// Live numbers of the process, requests, errors, databases, ledger and disk.
#[get("/api/monitoring/stats")]
async fn stats(_may: Needs<MonitorRead>, query: Query, monitor: &State<Arc<Monitor>>) -> ApiResult<Json<Value>> {
    query.only(&[])?;
    Ok(Json(monitor.stats().await.0))
}

pub(super) fn routes() -> Vec<Route> {
    routes![stats]
}
