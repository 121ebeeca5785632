//! What is told about a database without an operation having failed (floor 2, pure): leaks, logs that grow, missing
//! commits, limits that somebody changed.
//!
//! What must stay true: as for every event of our own, see `occurrence`. Called by the observer.

use serde_json::json;

use super::{EventContext, NewEvent, own};
use crate::db::{ActiveOperation, MissingCommits, Origin, PoolStatus};
use crate::events::classify::Class;
use crate::events::model::{ErrorType, Severity};

impl NewEvent {
    /// A database lacks commits that had been acknowledged.
    pub fn commits_missing(database: &str, missing: &MissingCommits) -> Self {
        let details = match missing {
            MissingCommits::Behind { expected, found } => json!({ "expected": expected, "found": found }),
            MissingCommits::OtherDatabase { expected } => json!({ "expected": expected, "found": null }),
        };
        let message = format!("{database}.db: {missing}");
        Self {
            details,
            fingerprint: own(&["commits missing", database]),
            ..Self::of(ErrorType::Database, Class::Corruption, message, EventContext::default())
        }
    }

    /// A connection that an operation holds for suspiciously long.
    pub fn leak(database: &str, operation: &ActiveOperation) -> Self {
        let (name, site) = (operation.operation, operation.call_site.as_str());
        let held_ms = operation.held.unwrap_or_default().as_millis() as u64;
        let context = EventContext {
            request_id: operation.request_id.clone(),
            ..EventContext::default()
        };
        let message =
            format!("{database}.{name} holds a connection for suspiciously long: {held_ms} ms, asked for at {site}");
        Self {
            details: json!({ "database": database, "operation": name, "callSite": site, "heldMs": held_ms,
                "active": format!("{database}-{}", operation.id) }),
            fingerprint: own(&["leak", database, name, site]),
            ..Self::of(ErrorType::Database, Class::ResourcesExhausted, message, context)
        }
    }

    /// A reader keeps a write-ahead log too large; `problem` says how large and who it is.
    pub fn log_pinned(database: &str, problem: &str) -> Self {
        Self {
            details: json!({ "database": database, "problem": problem }),
            fingerprint: own(&["wal", database]),
            severity: Severity::Medium,
            ..Self::of(
                ErrorType::Database,
                Class::LockContention,
                format!("{database}: {problem}"),
                EventContext::default(),
            )
        }
    }

    /// The readers' limit as somebody has set it.
    pub fn pool_change(database: &str, pool: &PoolStatus, origin: Option<&Origin>) -> Self {
        let (limit, (min, max)) = (pool.limit, pool.bounds);
        Self {
            severity: Severity::Low,
            details: json!({ "database": database, "limit": limit, "min": min, "max": max, "adaptive": pool.adaptive }),
            fingerprint: own(&["pool", database]),
            ..Self::of(
                ErrorType::Database,
                Class::StateChange,
                format!("the readers' limit of {database} was changed by hand: {limit}, from {min} to {max}"),
                origin.map(EventContext::from).unwrap_or_default(),
            )
        }
    }
}
