//! What can be seen of a database (floor 1): numbers for statistics, health and metrics.
//!
//! What must stay true: looking never waits for the database: counters, and `stat` on the files.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::breaker::BreakerStatus;
use super::database::Database;
use super::gap::Gap;
use super::health::{DamageReport, ProbeReport};
use super::holders::LockHolder;
use super::reserve::ReserveStatus;
use super::wal::WalStatus;
use crate::quantiles::Percentiles;

/// A lock that is held for longer is told when writes wait for it.
const LONG_HELD_MS: u64 = 1500;

/// Reader connections and their use.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PoolStatus {
    /// DB_POOL_MAX.
    pub max: u32,
    /// DB_POOL_MIN.
    pub min: u32,
    /// Operations admitted at once, at most.
    pub limit: u32,
    /// Connections open.
    pub open: u32,
    /// Operations admitted now.
    pub in_use: u32,
    /// Operations waiting for admission now.
    pub waiting: u64,
    /// Recent waits for admission, in milliseconds.
    pub wait_ms: Percentiles,
    /// Waits that ran out since the start.
    pub timeouts: u64,
    /// Connections open that nobody uses.
    pub idle: u32,
    /// Operations turned away under overload since the start.
    pub shed: u64,
    /// Operations that got no reader, for whatever reason, within the last minute.
    pub turned_away: u64,
    /// Whether it is overloaded now: the newest go first and nobody waits long.
    pub overloaded: bool,
    /// What the limit moves between.
    pub bounds: (u32, u32),
    /// Whether the limit moves by itself.
    pub adaptive: bool,
    /// Why the limit last moved.
    pub moved: &'static str,
    /// How long a step usually takes; `None` before enough were seen.
    pub usual_step: Option<Duration>,
    /// Recent waits of admitted operations for a connection, in milliseconds.
    pub connection_wait_ms: Percentiles,
    /// Recent steps on reader threads, in milliseconds.
    pub step_ms: Percentiles,
    /// Connections held for suspiciously long, since the start.
    pub leaks_suspected: u64,
}

impl PoolStatus {
    /// Admitted over limit, 0 to 1.
    pub fn utilization(&self) -> f64 {
        f64::from(self.in_use) / f64::from(self.limit.max(1))
    }
}

/// The writer.
#[derive(Debug, Clone, PartialEq)]
pub struct WriterStatus {
    /// Jobs waiting now.
    pub queued: usize,
    /// Bytes that the jobs carry which wait or run; at most 64 MiB together.
    pub queued_bytes: usize,
    /// Jobs taken from the queue and not yet answered: they run, wait for a lock, or between two attempts.
    pub in_hand: usize,
    /// Jobs refused because the queue was full, by number or by bytes, since the start.
    pub refused: u64,
    /// Of those, within the last minute.
    pub turned_away: u64,
    /// Transactions committed since the start.
    pub commits: u64,
    /// Jobs in them.
    pub jobs: u64,
    /// Jobs that the next commit takes at most; follows measured times.
    pub batch_limit: usize,
    /// Recent jobs for each commit.
    pub batch_size: Percentiles,
    /// Recent times from `BEGIN` to the end of `COMMIT`, in milliseconds.
    pub commit_ms: Percentiles,
}

/// Retries of reads and writes together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryStatus {
    /// Attempts repeated since the start.
    pub attempts: u64,
    /// Operations given up after their attempts, deadline or budget, since the start.
    pub gave_up: u64,
    /// Retries the budget allows now.
    pub budget_left: u64,
}

/// Everything.
#[derive(Debug, Clone, PartialEq)]
pub struct DatabaseStatus {
    /// `app` or `events`.
    pub name: &'static str,
    /// Size of the database file in bytes.
    pub size_bytes: u64,
    /// Its write-ahead log.
    pub wal: WalStatus,
    /// Locks that other processes hold on it, seen within the last second or so, the longest first. On systems other
    /// than Linux none is ever seen.
    pub locks: Vec<LockHolder>,
    /// Readers.
    pub pool: PoolStatus,
    /// The writer.
    pub writer: WriterStatus,
    /// Retries.
    pub retries: RetryStatus,
    /// Read and write breaker.
    pub breakers: [BreakerStatus; 2],
    /// The latest probe.
    pub probe: Option<ProbeReport>,
    /// Acknowledged commits that a start found missing within the last day.
    pub missing_commits: Option<Gap>,
    /// What was found in an isolated file that can't be let back by itself.
    pub damage: Option<DamageReport>,
    /// The room held back for a full disk.
    pub reserve: ReserveStatus,
    /// Whether the disk was found full, and no room was seen since.
    pub disk_is_full: bool,
}

impl DatabaseStatus {
    /// Whether it reads and writes: both breakers let calls pass and the latest probe found nothing.
    pub fn is_healthy(&self) -> bool {
        self.breakers.iter().all(BreakerStatus::is_healthy) && self.probe.as_ref().is_none_or(|p| p.problem().is_none())
    }

    /// Why writes wait, when it is somebody else's lock that has kept them for longer than a moment.
    pub fn writes_wait(&self) -> Option<String> {
        let holder = self
            .locks
            .iter()
            .find(|holder| holder.lock.blocks(true) && holder.held_ms >= LONG_HELD_MS)?;
        (self.writer.queued + self.writer.in_hand > 0).then(|| format!("writes wait: {}", holder.sentence()))
    }

    /// Why callers were turned away within the last minute though nothing is broken: there was too much to do.
    pub fn overload(&self) -> Option<String> {
        let (pool, writer) = (&self.pool, &self.writer);
        let reads = (pool.turned_away > 0).then(|| {
            format!(
                "{} reads were turned away within the last minute: {} of {} readers busy",
                pool.turned_away, pool.in_use, pool.limit
            )
        });
        let writes = (writer.turned_away > 0).then(|| {
            format!(
                "{} writes were turned away within the last minute: the queue was full, {} wait",
                writer.turned_away, writer.queued
            )
        });
        let told: Vec<_> = reads.into_iter().chain(writes).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    /// Whether it can be read.
    pub fn can_read(&self) -> bool {
        self.breakers[0].is_healthy() && self.probe.as_ref().is_none_or(|p| p.read_problem.is_none())
    }
}

impl Database {
    /// Whether it reads and writes, cheaply: see [`DatabaseStatus::is_healthy`].
    pub fn is_healthy(&self) -> bool {
        let probe_is_fine = self.inner.health.latest().is_none_or(|p| p.problem().is_none());
        probe_is_fine && self.breakers().iter().all(|breaker| breaker.status().is_healthy())
    }

    /// What can be seen now.
    pub fn status(&self) -> DatabaseStatus {
        let inner = &self.inner;
        let metrics = &inner.writer.shared.metrics;
        // `stat` alone: opening and closing the file here would drop SQLite's locks.
        let bytes = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |m| m.len());
        let readers = &inner.readers;
        let limiter = readers.limiter.view();
        let now = crate::clock::now();
        let (open, idle) = readers.pool.counts();
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        DatabaseStatus {
            name: inner.options.name,
            size_bytes: bytes(&inner.options.path),
            wal: inner.keeper.status(),
            locks: inner.keeper.holders().all().into_iter().filter(|h| !h.ours).collect(),
            pool: PoolStatus {
                max: inner.options.settings.pool.max,
                min: inner.options.settings.pool.min,
                limit: limiter.limit,
                open,
                in_use: limiter.in_use,
                waiting: limiter.waiting,
                wait_ms: readers.limiter.waits().milliseconds(),
                timeouts: limiter.timeouts,
                idle,
                shed: limiter.shed,
                turned_away: readers.turned_away.per_minute(now),
                overloaded: limiter.overloaded,
                bounds: limiter.bounds,
                adaptive: limiter.adaptive,
                moved: limiter.moved.sentence(),
                usual_step: limiter.usual_step,
                connection_wait_ms: readers.connection_waits.milliseconds(),
                step_ms: readers.steps.milliseconds(),
                leaks_suspected: inner.readers.active.leaks(),
            },
            writer: WriterStatus {
                queued: metrics.queued.load(Ordering::Relaxed),
                queued_bytes: metrics.queued_bytes.load(Ordering::Relaxed),
                in_hand: metrics.in_hand.load(Ordering::Relaxed),
                refused: count(&metrics.refused),
                turned_away: metrics.turned_away.per_minute(now),
                commits: count(&metrics.commits),
                jobs: count(&metrics.jobs),
                batch_limit: metrics.batch_limit.load(Ordering::Relaxed),
                batch_size: metrics.batch_size.counts(),
                commit_ms: metrics.commit_time.milliseconds(),
            },
            retries: RetryStatus {
                attempts: count(&metrics.retries),
                gave_up: count(&metrics.gave_up),
                budget_left: inner.budget.left(now),
            },
            breakers: [inner.read_breaker.status(), inner.write_breaker.status()],
            probe: inner.health.latest(),
            missing_commits: inner.gap.clone().filter(|gap| gap.is_told_at(inner.clock.wall())),
            damage: inner.health.damage(),
            reserve: inner.writer.shared.room.reserve(),
            disk_is_full: inner.writer.shared.room.is_full(),
        }
    }
}
