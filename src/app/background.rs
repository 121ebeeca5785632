//! What runs besides requests (floor 7): the probes of both databases, the bounds of the event log, and a look at health
//! and alerts every second.
//!
//! What must stay true: a panic of a task becomes one event and the task starts anew; every task ends with its handle.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use rocket::tokio;
use rocket::tokio::task::AbortHandle;
use rocket::tokio::time::{MissedTickBehavior, interval};

use crate::alerts::Alerts;
use crate::db::Database;
use crate::events::{Capture, EventContext, NewEvent};
use crate::http::panics;
use crate::monitoring::Monitor;

/// Between a task's panic and its next start.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two looks at health: what happens in between is dated at most this late.
const LOOK: Duration = Duration::from_secs(1);

/// Tasks that end when this is dropped.
pub(super) struct Tasks(Vec<AbortHandle>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

/// Starts them all.
pub(super) fn start(
    databases: [&Database; 2],
    monitor: &Arc<Monitor>,
    alerts: &Arc<Alerts>,
    capture: &Capture,
) -> Tasks {
    let mut tasks: Vec<_> = databases
        .into_iter()
        .map(|database| {
            let database = database.clone();
            keep_running(capture.clone(), move || {
                let database = database.clone();
                async move { database.watch().await }
            })
        })
        .collect();
    tasks.extend(databases.into_iter().map(|database| {
        let database = database.clone();
        keep_running(capture.clone(), move || {
            let database = database.clone();
            async move { database.explain_slow().await }
        })
    }));
    let retention = monitor.retention.clone();
    tasks.push(keep_running(capture.clone(), move || {
        let retention = retention.clone();
        async move { retention.run().await }
    }));
    let (monitor, alerts, teller) = (Arc::clone(monitor), Arc::clone(alerts), capture.clone());
    tasks.push(keep_running(capture.clone(), move || {
        look(Arc::clone(&monitor), Arc::clone(&alerts), teller.clone())
    }));
    Tasks(tasks)
}

/// Looks at health and alerts, so that their times are those of what happened and not of whoever asked first; tells which
/// storms began and ended.
async fn look(monitor: Arc<Monitor>, alerts: Arc<Alerts>, capture: Capture) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        monitor.health();
        alerts.active(&monitor);
        for turn in monitor.log.turns_of_storms() {
            capture.capture(NewEvent::storm(turn));
        }
        crate::db::sum_up_notices();
    }
}

/// Runs what `make` makes; after a panic it is recorded and made anew.
fn keep_running<F: Future<Output = ()> + Send>(
    capture: Capture,
    make: impl Fn() -> F + Send + Sync + 'static,
) -> AbortHandle {
    let task = tokio::spawn(async move {
        loop {
            if AssertUnwindSafe(make()).catch_unwind().await.is_ok() {
                return;
            }
            // The poll that panicked ran on this very thread.
            let seen = panics::take_last();
            let (message, location) = seen.map_or(("unknown".into(), "unknown".into()), |s| (s.message, s.location));
            capture.capture(NewEvent::panic(&message, &location, EventContext::default()));
            tokio::time::sleep(PAUSE).await;
        }
    });
    task.abort_handle()
}
