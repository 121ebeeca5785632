//! `GET /api/monitoring/stream` (floor 6): the live state by server-sent events.
//!
//! What must stay true: a reader that doesn't keep up misses error events (the lag is told) but never holds anything
//! up; the stream ends at shutdown, and when its token is revoked or expires.

use std::time::Duration;

use std::sync::Arc;

use rocket::response::stream::{Event, EventStream};
use rocket::tokio::select;
use rocket::tokio::sync::broadcast::error::RecvError;
use rocket::tokio::time::{MissedTickBehavior, interval};
use rocket::{Route, Shutdown, State, get, routes};
use serde_json::{Value, json};

use crate::access::Scope;
use crate::alerts::Alerts;
use crate::http::guards::{MonitorRead, Needs, Standing};
use crate::http::{ApiResult, Door, Query};
use crate::monitoring::Monitor;

/// Time between two states.
const EVERY: Duration = Duration::from_secs(2);

async fn state(monitor: &Monitor, alerts: &Alerts) -> Value {
    json!({
        "health": super::health::view(monitor, &monitor.health()),
        "stats": monitor.stats().await.0,
        "circuitBreakers": monitor.breakers(),
        "breakerEvents": monitor.breaker_changes().into_iter().take(20).collect::<Vec<_>>(),
        "alerts": alerts.active(monitor),
    })
}

/// `state` every two seconds, `error` for each event as it is stored, `lag` when the reader missed some.
#[get("/api/monitoring/stream")]
fn stream<'r>(
    _may: Needs<MonitorRead>,
    standing: Standing,
    door: &'r State<Door>,
    query: Query,
    monitor: &'r State<Arc<Monitor>>,
    alerts: &'r State<Arc<Alerts>>,
    mut end: Shutdown,
) -> ApiResult<EventStream![Event + 'r]> {
    query.only(&[])?;
    let mut errors = monitor.log.subscribe();
    Ok(EventStream! {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 0_u64.. {
            select! {
                _ = ticks.tick() => {
                    if !standing.holds(door, Scope::MonitorRead) {
                        break;
                    }
                    yield Event::json(&state(monitor, alerts).await).event("state").id(number.to_string());
                }
                stored = errors.recv() => match stored {
                    Ok(event) => yield Event::json(&*event).event("error"),
                    Err(RecvError::Lagged(missed)) => yield Event::json(&json!({ "missed": missed })).event("lag"),
                    Err(RecvError::Closed) => break,
                },
                _ = &mut end => break,
            }
        }
    })
}

pub(super) fn routes() -> Vec<Route> {
    routes![stream]
}
