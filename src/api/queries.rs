//! Statement statistics (floor 6): what runs on the databases, how long, and what would help.
//!
//! What must stay true: only who may monitor sees SQL; it is the statements' shape, without values. Looking touches no
//! database.

use std::sync::Arc;

use rocket::serde::json::Json;
use rocket::{Route, State, get, post, routes};
use serde_json::{Map, Value, json};

use crate::clock::rfc3339_ms;
use crate::db::Database;
use crate::db::statements::{Explained, StatementStatistics};
use crate::http::guards::{MonitorRead, MonitorWrite, Needs, NoParameters};
use crate::http::{ApiResult, Problem, Query};
use crate::monitoring::Monitor;

const ALLOWED: [&str; 4] = ["database", "sort", "limit", "slow"];
const DEFAULT_LIMIT: u64 = 50;
const MAX_LIMIT: u64 = 1000;

/// A figure to sort by, largest first.
type Sort = fn(&StatementStatistics) -> f64;

const SORTS: [(&str, Sort); 7] = [
    ("-totalMs", |s| s.total_ms),
    ("-calls", |s| s.calls as f64),
    ("-meanMs", |s| s.mean_ms),
    ("-p95Ms", |s| s.p95_ms),
    ("-maxMs", |s| s.max_ms),
    ("-errors", |s| s.errors as f64),
    ("-fullScanSteps", |s| s.full_scan_steps as f64),
];

/// What a list asks for.
struct Wanted {
    database: Option<String>,
    sort: Sort,
    limit: usize,
    slow: Option<bool>,
}

/// `GET /api/monitoring/queries`.
#[get("/api/monitoring/queries")]
fn list(_may: Needs<MonitorRead>, query: Query, monitor: &State<Arc<Monitor>>) -> ApiResult<Json<Value>> {
    let wanted = wanted(&query)?;
    let databases = both(monitor)
        .into_iter()
        .filter(|database| wanted.database.as_ref().is_none_or(|name| name == database.name()));
    let (mut found, mut other, mut since) = (Vec::new(), Map::new(), None);
    for database in databases {
        let report = database.statements();
        found.extend(
            report
                .statements
                .into_iter()
                .map(|statement| (database.name(), statement)),
        );
        other.insert(database.name().to_owned(), figures(&report.other));
        // Both are reset together; their clocks are read one after the other.
        since = since.into_iter().chain([report.since]).min();
    }
    found.retain(|(_, statement)| wanted.slow.is_none_or(|slow| slow == (statement.slow > 0)));
    found.sort_by(|(_, a), (_, b)| (wanted.sort)(b).total_cmp(&(wanted.sort)(a)));
    let queries: Vec<_> = found
        .iter()
        .take(wanted.limit)
        .map(|(database, s)| view(database, s))
        .collect();
    Ok(Json(
        json!({ "queries": queries, "other": other, "since": since.map(rfc3339_ms) }),
    ))
}

/// `POST /api/monitoring/queries/reset`: counts anew.
#[post("/api/monitoring/queries/reset")]
fn reset(_may: Needs<MonitorWrite>, _none: NoParameters, monitor: &State<Arc<Monitor>>) -> Json<Value> {
    let databases = both(monitor);
    databases.iter().for_each(|database| database.reset_statements());
    Json(json!({ "reset": databases.map(Database::name) }))
}

fn both(monitor: &Monitor) -> [&Database; 2] {
    [&monitor.app, &monitor.events]
}

fn wanted(query: &Query) -> ApiResult<Wanted> {
    query.only(&ALLOWED)?;
    let one_of = |name: &'static str, allowed: &[&str]| match query.text(name) {
        Some(text) if !allowed.contains(&text) => {
            Err(Problem::invalid(name, format!("must be one of {}", allowed.join(", "))))
        }
        text => Ok(text.map(str::to_owned)),
    };
    let sort = one_of("sort", &SORTS.map(|(name, _)| name))?;
    let limit = query.number("limit", 1, MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT);
    Ok(Wanted {
        database: one_of("database", &["app", "events"])?,
        sort: SORTS
            .iter()
            .find(|(name, _)| Some(*name) == sort.as_deref())
            .unwrap_or(&SORTS[0])
            .1,
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
        slow: one_of("slow", &["true", "false"])?.map(|text| text == "true"),
    })
}

fn view(database: &str, statement: &StatementStatistics) -> Value {
    let mut view = json!({
        "database": database,
        "statement": statement.statement,
        "operations": statement.operations,
    });
    if let (Value::Object(members), Value::Object(more)) = (&mut view, figures(statement)) {
        members.extend(more);
        let explained = statement.explained.as_deref();
        members.insert("plan".into(), json!(explained.map_or(&[][..], |e| &e.plan)));
        members.insert("advice".into(), explained.map_or(Value::Null, advice));
    }
    view
}

fn advice(explained: &Explained) -> Value {
    let advice = &explained.advice;
    json!({ "summary": advice.words, "index": advice.index, "reason": advice.reason })
}

/// The numbers alone.
fn figures(statement: &StatementStatistics) -> Value {
    // Nanoseconds are as fine as they were measured.
    let rounded = |ms: f64| (ms * 1e6).round() / 1e6;
    json!({
        "calls": statement.calls,
        "errors": statement.errors,
        "lastError": statement.last_error,
        "rows": statement.rows,
        "totalMs": rounded(statement.total_ms),
        "meanMs": rounded(statement.mean_ms),
        "p95Ms": rounded(statement.p95_ms),
        "maxMs": rounded(statement.max_ms),
        "fullScanSteps": statement.full_scan_steps,
        "sorts": statement.sorts,
        "automaticIndexes": statement.automatic_indexes,
        "vmSteps": statement.vm_steps,
        "slow": statement.slow,
        "lastSeen": statement.last_seen.map(rfc3339_ms),
    })
}

pub(super) fn routes() -> Vec<Route> {
    routes![list, reset]
}
