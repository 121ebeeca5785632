//! Statistics (floor 3): the shape of `/api/monitoring/stats`, made from live counters.
//!
//! What must stay true: only the error summary asks a database, and it has a fallback; the ledger says whether it
//! balances rather than assuming it.

use std::time::Duration;

use serde_json::{Value, json};

use super::health::Monitor;
use super::process::ProcessStatus;
use crate::clock::rfc3339_ms;
use crate::db::disk::Space;
use crate::db::{DatabaseStatus, Operation, Safe, WalStatus};
use crate::events::{ErrorSummary, LedgerSnapshot, SpoolStatus};

const SUMMARY: Operation = Operation::scan("errors.summary").within(Duration::from_millis(1500));

/// The statistics of now.
pub struct Stats(pub Value);

impl Monitor {
    /// Gathers the statistics. The error summary is `null`, with the reason, while the event database can't be read.
    pub async fn stats(&self) -> Stats {
        let now = self.clock.now();
        let now_ms = crate::clock::epoch_ms(self.clock.wall());
        let read = move |c: &crate::db::rusqlite::Connection| crate::events::summary(c, now_ms).map(Some);
        let errors = match self.events.read_or(SUMMARY, read, || (None, None)).await {
            Safe::Value(Some(summary)) => errors_view(&summary, self.log.per_minute(), self.log.unindexed()),
            Safe::Value(None) => Value::Null,
            Safe::Fallback { reason, .. } => {
                json!({ "unavailable": reason.told().sentence(), "perMinute": self.log.per_minute() })
            }
        };
        let spare = Space::of(&self.data_dir);
        Stats(json!({
            "uptimeSeconds": self.uptime_seconds(),
            "process": ProcessStatus::now(),
            "requests": self.requests.status(now),
            "errors": errors,
            "databases": { "app": database_view(&self.app.status()), "events": database_view(&self.events.status()) },
            "ledger": ledger_view(&self.log.ledger(), self.removed_view()),
            "retention": self.retention_view(),
            "rateLimited": self.log.refused(),
            "storms": self.log.storms(),
            "tail": self.tails.counts(),
            "clients": self.log.clients().counts(),
            "spool": spool_view(&self.log.spool_status()),
            "disk": {
                "freeBytes": spare.map(|s| s.free_bytes), "totalBytes": spare.map(|s| s.total_bytes),
                "freeInodes": spare.and_then(|s| s.free_inodes),
                "daysUntilFull": self.retention.status().forecast.and_then(|forecast| forecast.days_until_full),
                "forecast": self.retention.status().forecast,
            },
        }))
    }
}

fn errors_view(summary: &ErrorSummary, per_minute: u64, unindexed: u64) -> Value {
    let mut view = serde_json::to_value(summary).unwrap_or(Value::Null);
    if let Value::Object(members) = &mut view {
        members.insert("perMinute".into(), json!(per_minute));
        members.insert("unindexed".into(), json!(unindexed));
    }
    view
}

fn database_view(status: &DatabaseStatus) -> Value {
    let (pool, writer, retries) = (&status.pool, &status.writer, &status.retries);
    json!({
        "healthy": status.is_healthy(),
        "sizeBytes": status.size_bytes,
        "reserveBytes": status.reserve.bytes,
        "freeBytes": status.probe.as_ref().and_then(|probe| probe.space).map(|space| space.free_bytes),
        "walBytes": status.wal.bytes,
        "wal": wal_view(&status.wal),
        "locks": status.locks,
        "pool": {
            "max": pool.max, "min": pool.min, "limit": pool.limit, "open": pool.open, "inUse": pool.in_use,
            "waiting": pool.waiting, "utilization": pool.utilization(), "waitMs": pool.wait_ms, "timeouts": pool.timeouts,
            "leaksSuspected": pool.leaks_suspected,
            "idle": pool.idle, "shed": pool.shed, "overloaded": pool.overloaded, "adaptive": pool.adaptive,
        },
        "writer": {
            "queued": writer.queued, "queuedBytes": writer.queued_bytes,
            "inHand": writer.in_hand, "refused": writer.refused, "batchLimit": writer.batch_limit,
            "batchSize": writer.batch_size,
            "commits": writer.commits, "jobs": writer.jobs, "commitMs": writer.commit_ms,
        },
        "retries": { "attempts": retries.attempts, "gaveUp": retries.gave_up, "budgetLeft": retries.budget_left },
    })
}

fn wal_view(log: &WalStatus) -> Value {
    let last = log.last.as_ref();
    json!({
        "bytes": log.bytes, "frames": last.map(|l| l.frames), "checkpointedFrames": last.map(|l| l.checkpointed_frames),
        "lastCheckpointAt": last.map(|l| rfc3339_ms(l.at)), "lastCheckpointMs": last.map(|l| l.took.as_secs_f64() * 1000.0),
        "lastCheckpointBusy": last.map(|l| l.busy), "checkpoints": log.checkpoints, "failures": log.failures,
        "lastError": log.last_error, "oldestReaderMs": log.oldest_reader.map(|age| age.as_millis() as u64),
        "pinnedBy": log.pinned_by,
    })
}

/// The account, and whether it balances: computed, not assumed. What left later is told apart: it was stored.
fn ledger_view(ledger: &LedgerSnapshot, removed: Value) -> Value {
    let mut view = json!(ledger);
    if let Value::Object(members) = &mut view {
        members.insert("balanced".into(), json!(ledger.balanced()));
        members.insert("removed".into(), removed);
    }
    view
}

fn spool_view(spool: &SpoolStatus) -> Value {
    json!({
        "events": spool.events, "bytes": spool.bytes, "maxBytes": spool.max_bytes,
        "spareBytes": spool.spare_bytes, "replayedBytes": spool.replayed_bytes, "segments": spool.segments,
        "oldest": spool.oldest.map(rfc3339_ms), "corrupt": spool.corrupt, "keptAside": spool.kept_aside,
        "lastError": spool.last_error,
    })
}
