//! The database files (floor 6): what an operator can do for one of them.
//!
//! What must stay true: only a file that is isolated for wrong indexes is touched; it is let back by its check alone.

use std::sync::Arc;

use rocket::serde::json::Json;
use rocket::{Route, State, post, routes};
use serde_json::{Value, json};

use crate::db::Database;
use crate::http::guards::{MonitorWrite, Needs, NoParameters};
use crate::http::{ApiResult, Code, Problem};
use crate::monitoring::Monitor;

/// `POST /api/monitoring/databases/{name}/reindex`: makes the wrong indexes of an isolated file anew.
#[post("/api/monitoring/databases/<name>/reindex")]
async fn reindex(
    _may: Needs<MonitorWrite>,
    _none: NoParameters,
    name: &str,
    monitor: &State<Arc<Monitor>>,
) -> ApiResult<Json<Value>> {
    let database = known(monitor, name)?;
    let made = database.reindex().await?;
    let indexes = made.ok_or_else(|| {
        Problem::new(
            Code::Conflict,
            format!("The file of {name} is not isolated for indexes alone; there is nothing to make anew."),
        )
    })?;
    Ok(Json(json!({ "database": name, "reindexed": indexes })))
}

fn known<'a>(monitor: &'a Monitor, name: &str) -> ApiResult<&'a Database> {
    let both = [&monitor.app, &monitor.events];
    let found = both.into_iter().find(|database| database.name() == name);
    found.ok_or_else(|| {
        Problem::new(
            Code::NotFound,
            format!("There is no database {name}; there are app, events."),
        )
    })
}

pub(super) fn routes() -> Vec<Route> {
    routes![reindex]
}
