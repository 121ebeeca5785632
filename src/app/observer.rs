//! What the databases report (floor 7), turned into log lines and error events.
//!
//! What must stay true: nothing here blocks: the databases call it from their own threads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::db::{ActiveOperation, BreakerChange, DbError, Gap, Observer, Origin, PoolStatus, SlowStatement};
use crate::events::{Capture, NewEvent};
use crate::monitoring::Evidence;

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
        let delay_ms = delay.as_millis() as u64;
        // A moment's contention is nobody's concern; what waits by the schedule is.
        if delay < Duration::from_millis(100) {
            tracing::debug!(%error, attempt, delay_ms, "an attempt failed and will be repeated at once");
        } else {
            tracing::warn!(%error, attempt, delay_ms, "an attempt failed and will be repeated");
        }
    }

    fn slow_statement(&self, slow: &SlowStatement<'_>) {
        let ms = |span: Duration| span.as_millis() as u64;
        let (duration_ms, acquire_ms, lock_ms) = (ms(slow.took), ms(slow.acquire), ms(slow.lock));
        let commit_ms = ms(slow.commit);
        let &SlowStatement {
            database,
            operation,
            sql,
            suppressed,
            ..
        } = slow;
        if slow.took >= Duration::from_secs(1) {
            tracing::error!(
                database,
                operation,
                sql,
                duration_ms,
                acquire_ms,
                lock_ms,
                commit_ms,
                suppressed,
                "slow statement"
            );
        } else {
            tracing::warn!(
                database,
                operation,
                sql,
                duration_ms,
                acquire_ms,
                lock_ms,
                commit_ms,
                suppressed,
                "slow statement"
            );
        }
    }

    fn commits_missing(&self, database: &str, gap: &Gap) {
        self.capture.capture(NewEvent::commits_missing(database, gap));
    }

    fn leak_suspected(&self, database: &str, operation: &ActiveOperation) {
        let held_ms = operation.held.unwrap_or_default().as_millis() as u64;
        let (name, call_site) = (operation.operation, operation.call_site.as_str());
        tracing::warn!(
            database,
            operation = name,
            call_site,
            held_ms,
            "a connection is held for suspiciously long"
        );
        self.capture.capture(NewEvent::leak(database, operation));
    }

    fn readers_adjusted(&self, database: &str, pool: &PoolStatus, origin: Option<&Origin>) {
        let (limit, adaptive, (min, max)) = (pool.limit, pool.adaptive, pool.bounds);
        let request_id = origin.map(|origin| origin.request_id.as_str());
        tracing::warn!(
            database,
            limit,
            min,
            max,
            adaptive,
            request_id,
            "the readers' limit was changed by hand"
        );
        self.capture.capture(NewEvent::pool_change(database, pool, origin));
    }

    fn health_changed(&self, database: &str, problem: Option<&str>) {
        match problem {
            Some(problem) => tracing::error!(database, problem, "the health probe found a problem"),
            None => tracing::info!(database, "the health probe finds the database well again"),
        }
    }

    fn log_pinned(&self, database: &str, problem: Option<&str>) {
        match problem {
            Some(problem) => drop(self.capture.capture(NewEvent::log_pinned(database, problem))),
            None => tracing::info!(database, "the write-ahead log is no longer kept from shrinking"),
        }
    }
}
