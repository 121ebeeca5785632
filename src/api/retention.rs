//! `GET /api/monitoring/retention` (floor 6): the bounds of the event log, and what others would do.
//!
//! What must stay true: nothing leaves by asking.

use std::sync::Arc;
use std::time::Duration;

use rocket::serde::json::Json;
use rocket::{Route, State, get, routes};
use serde_json::Value;

use crate::events::retention::Bounds;
use crate::http::guards::{MonitorRead, Needs};
use crate::http::{ApiResult, Problem, Query};
use crate::monitoring::{Monitor, preview_view};

const DRY_RUN: &str = "dryRun";
const MOST_DAYS: u64 = 3650;
const MOST_COUNT: u64 = 1_000_000_000;
const MOST_MIB: u64 = 16 << 20;
const MOST_PERCENT: u64 = 95;

/// What is allowed, in use, and left; with `dryRun=true` also what would leave now.
#[get("/api/monitoring/retention")]
async fn retention(_may: Needs<MonitorRead>, query: Query, monitor: &State<Arc<Monitor>>) -> ApiResult<Json<Value>> {
    query.only(&[DRY_RUN, "maxDays", "maxCount", "maxMib", "maxDiskPercent"])?;
    let bounds = wanted(&query, monitor.retention.status().bounds)?;
    let mut shown = monitor.retention_view();
    if let Some(bounds) = bounds {
        let preview = monitor.retention.preview(Some(bounds)).await?;
        shown["preview"] = preview_view(&preview);
    }
    Ok(Json(shown))
}

/// The bounds to be tried out; those that aren't named are the ones in force, and 0 is none.
fn wanted(query: &Query, in_force: Bounds) -> Result<Option<Bounds>, Problem> {
    let is_dry_run = match query.text(DRY_RUN) {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Problem::invalid(DRY_RUN, "must be true or false")),
    };
    let bound = |name: &str, most: u64, in_force: Option<u64>| {
        let given = query.number(name, 0, most)?;
        if given.is_some() && !is_dry_run {
            return Err(Problem::invalid(name, "is for a preview only, with dryRun=true"));
        }
        Ok(given.map_or(in_force, |number| (number > 0).then_some(number)))
    };
    let days = in_force.max_age.map(|age| age.as_secs() / 86_400);
    let bounds = Bounds {
        max_age: bound("maxDays", MOST_DAYS, days)?.map(|days| Duration::from_secs(days * 86_400)),
        max_count: bound("maxCount", MOST_COUNT, in_force.max_count)?,
        max_bytes: bound("maxMib", MOST_MIB, in_force.max_bytes.map(|bytes| bytes >> 20))?.map(|mib| mib << 20),
        max_disk_percent: bound("maxDiskPercent", MOST_PERCENT, in_force.max_disk_percent)?,
    };
    Ok(is_dry_run.then_some(bounds))
}

pub(super) fn routes() -> Vec<Route> {
    routes![retention]
}
