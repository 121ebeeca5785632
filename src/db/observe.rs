//! What others may watch (floor 1): an observer with no-op defaults, so that this layer knows nothing of events, metrics or logs.
//!
//! What must stay true: it is never called under a lock of this layer and must not block or panic.

use std::sync::Arc;
use std::time::Duration;

use super::gap::Gap;
use super::{ActiveOperation, DbError, Origin, PoolStatus};

/// A state change of a circuit breaker.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerChange {
    /// The breaker: `app.write` and the like.
    pub name: String,
    /// State before: CLOSED, OPEN, HALF_OPEN, FORCED_OPEN, DISABLED, ISOLATED.
    pub from: &'static str,
    /// State after.
    pub to: &'static str,
    /// Why.
    pub cause: String,
    /// When a probe will be let through, counted from now.
    pub retry_after: Option<Duration>,
    /// When it happened.
    pub at: jiff::Timestamp,
    /// The request whose operation brought it about, where it was one.
    pub origin: Option<Arc<Origin>>,
}

/// A run of a statement that took at least the slow threshold, and where its operation's time went.
#[derive(Debug, Clone, Copy)]
pub struct SlowStatement<'a> {
    /// `app` or `events`.
    pub database: &'a str,
    /// The operation that ran it.
    pub operation: &'a str,
    /// The statement's shape: its text without values.
    pub sql: &'a str,
    /// From its first step to its end, with what the caller did with its rows in between: SQLite tells of no step's end.
    pub took: Duration,
    /// The wait for a connection.
    pub acquire: Duration,
    /// The wait for locks: `BEGIN` of the writer, or within the statement.
    pub lock: Duration,
    /// The commit of the transaction that it was part of; zero for a read.
    pub commit: Duration,
    /// Slow runs of the same statement that weren't told of since the last one that was.
    pub suppressed: u64,
}

/// Watches a database.
pub trait Observer: Send + Sync + 'static {
    /// A breaker changed its state.
    fn breaker_changed(&self, _change: &BreakerChange) {}
    /// An attempt failed and will be repeated after `delay`.
    fn retrying(&self, _error: &DbError, _attempt: u32, _delay: Duration) {}
    /// A statement took at least the slow threshold. Told at most once a minute of each statement.
    fn slow_statement(&self, _slow: &SlowStatement<'_>) {}
    /// The file that was opened lacks commits that had been acknowledged.
    fn commits_missing(&self, _database: &str, _gap: &Gap) {}
    /// An operation holds its connection for suspiciously long; told once for each.
    fn leak_suspected(&self, _database: &str, _operation: &ActiveOperation) {}
    /// Somebody changed the readers' limit or its bounds.
    fn readers_adjusted(&self, _database: &str, _pool: &PoolStatus, _origin: Option<&Origin>) {}
    /// A health probe found the database failing (`Some`) or well again (`None`).
    fn health_changed(&self, _database: &str, _problem: Option<&str>) {}
    /// A reader keeps the write-ahead log too large (`Some`), or does no more (`None`).
    fn log_pinned(&self, _database: &str, _problem: Option<&str>) {}
}

/// Watches nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Unobserved;

impl Observer for Unobserved {}
