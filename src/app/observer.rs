//! What the databases report (floor 7), turned into log lines and error events.
//!
//! What must stay true: nothing here blocks: the databases call it from their own threads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rocket::tokio::task::AbortHandle;

use crate::db::{BreakerChange, Database, DbError, Observer};
use crate::events::{Capture, EventContext, EventLog, NewEvent};
use crate::http::{Databases, panics};
use crate::monitoring::{Evidence, Growth};

/// The observer of both databases.
pub(super) struct Recorder {
    capture: Capture,
    evidence: Arc<Evidence>,
}

impl Recorder {
    pub(super) fn new(capture: Capture, evidence: Arc<Evidence>) -> Self {
        Self { capture, evidence }
    }
}

impl Observer for Recorder {
    fn breaker_changed(&self, change: &BreakerChange) {
        let evidence = self.evidence.of(&change.name);
        let event = self.capture.capture(NewEvent::breaker_change(change, &evidence));
        match change.to {
            "CLOSED" | "DISABLED" => self.evidence.clear(&change.name),
            "HALF_OPEN" => {}
            _ => self.evidence.add(&change.name, event, Instant::now()),
        }
    }

    fn retrying(&self, error: &DbError, attempt: u32, delay: Duration) {
        tracing::warn!(%error, attempt, delay_ms = delay.as_millis() as u64, "an attempt failed and will be repeated");
    }

    fn slow_statement(&self, database: &str, operation: &str, sql: &str, took: Duration) {
        let duration_ms = took.as_millis() as u64;
        if took >= Duration::from_secs(1) {
            tracing::error!(database, operation, sql, duration_ms, "slow statement");
        } else {
            tracing::warn!(database, operation, sql, duration_ms, "slow statement");
        }
    }

    fn health_changed(&self, database: &str, problem: Option<&str>) {
        match problem {
            Some(problem) => tracing::error!(database, problem, "the health probe found a problem"),
            None => tracing::info!(database, "the health probe finds the database well again"),
        }
    }
}

/// Notes once a minute how much room our files take, so that "days until full" has something to go by.
pub(super) fn watch_growth(databases: &Arc<Databases>, log: &EventLog, growth: &Arc<Growth>) {
    let (databases, log, growth) = (Arc::clone(databases), log.clone(), Arc::clone(growth));
    rocket::tokio::spawn(async move {
        let mut minutes = rocket::tokio::time::interval(Duration::from_secs(60));
        loop {
            minutes.tick().await;
            let used = |database: &Database| {
                let status = database.status();
                status.size_bytes + status.wal_bytes
            };
            let all = used(&databases.app) + used(&databases.events) + log.spool_status().bytes;
            growth.sample(Instant::now(), all);
        }
    });
}

/// Probes a database for as long as the service runs; a panic of the probe becomes an event and the probe starts anew.
pub(super) fn watch(database: &Database, capture: &Capture) -> AbortHandle {
    let (database, capture) = (database.clone(), capture.clone());
    let task = rocket::tokio::spawn(async move {
        loop {
            let ended = database.watch().await;
            if !ended.is_err_and(|error| error.is_panic()) {
                return;
            }
            let seen = panics::take_last();
            let (message, location) = seen.map_or(("unknown".into(), "unknown".into()), |s| (s.message, s.location));
            capture.capture(NewEvent::panic(&message, &location, EventContext::default()));
            rocket::tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    task.abort_handle()
}
