//! The settings structs, one per concern, already checked: a value that exists here is within its range.
//!
//! Only `config::load` makes them outside tests. Durations are `Duration`s; names say what they bound.

use std::path::PathBuf;
use std::time::Duration;

/// Reader connections of one database.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolSettings {
    /// DB_POOL_MAX: most reader connections (r2d2's ceiling).
    pub max: u32,
    /// DB_POOL_MIN: connections kept ready, and the limiter's floor.
    pub min: u32,
    /// DB_IDLE_TIMEOUT: after this an idle connection above the minimum closes.
    pub idle_timeout: Duration,
    /// DB_MAX_LIFETIME: how long a connection may live, ±10 %.
    pub max_lifetime: Duration,
    /// DB_CONNECT_TIMEOUT: longest wait for a connection.
    pub connect_timeout: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            max: 50,
            min: 5,
            idle_timeout: Duration::from_secs(30),
            max_lifetime: Duration::from_secs(600),
            connect_timeout: Duration::from_secs(10),
        }
    }
}

/// When and how often an attempt is repeated.
#[derive(Debug, Clone, PartialEq)]
pub struct RetrySettings {
    /// DB_RETRY_DELAY_MS: base of the exponential schedule.
    pub base_delay: Duration,
    /// DB_MAX_ATTEMPTS: attempts in all.
    pub max_attempts: u32,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            base_delay: Duration::from_millis(2000),
            max_attempts: 5,
        }
    }
}

/// When a circuit breaker opens and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerSettings {
    /// DB_BREAKER_THRESHOLD: consecutive counted failures that open it.
    pub threshold: u32,
    /// DB_BREAKER_TIMEOUT_MS: how long it stays open before a probe.
    pub open_for: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            threshold: 5,
            open_for: Duration::from_millis(30_000),
        }
    }
}

/// Limits of one operation.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationSettings {
    /// DB_OPERATION_TIMEOUT_MS: the whole deadline: queue, lock, steps, retries, backoff.
    pub timeout: Duration,
    /// DB_LOCK_TIMEOUT_MS: lock wait within one attempt.
    pub lock_timeout: Duration,
    /// DB_SLOW_QUERY_MS: a statement at least this long is slow.
    pub slow_query: Duration,
}

impl Default for OperationSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_millis(10_000),
            lock_timeout: Duration::from_millis(1000),
            slow_query: Duration::from_millis(100),
        }
    }
}

/// The health probe.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthSettings {
    /// DB_HEALTH_TIMEOUT_MS: one probe's limit.
    pub timeout: Duration,
    /// DB_HEALTH_INTERVAL: time between probes, ±10 %.
    pub interval: Duration,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_millis(2000),
            interval: Duration::from_secs(30),
        }
    }
}

/// Everything the database layer wants; both files share what is configured.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DatabaseSettings {
    /// Reader connections.
    pub pool: PoolSettings,
    /// Repetition.
    pub retry: RetrySettings,
    /// Circuit breakers.
    pub breaker: BreakerSettings,
    /// Deadlines and thresholds.
    pub operation: OperationSettings,
    /// Probes.
    pub health: HealthSettings,
    /// A new file is made so that the pages it no longer needs can be given back to the disk step by step
    /// (`auto_vacuum = INCREMENTAL`); whoever fills it says so, nobody configures it.
    pub gives_pages_back: bool,
}

/// Where files live.
#[derive(Debug, Clone, PartialEq)]
pub struct StorageSettings {
    /// MAINSTAY_DATA_DIR: the folder of both databases, the spool, the logs and the backups.
    pub data_dir: PathBuf,
    /// MAINSTAY_SPOOL_MAX_MIB, in bytes: the most that the spool may hold.
    pub spool_max_bytes: u64,
}

impl Default for StorageSettings {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data"),
            spool_max_bytes: 256 << 20,
        }
    }
}

/// What bounds the event log; 0 is no bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionSettings {
    /// MAINSTAY_EVENTS_MAX_DAYS: older events leave.
    pub max_days: u64,
    /// MAINSTAY_EVENTS_MAX_COUNT: most events that are kept.
    pub max_count: u64,
    /// MAINSTAY_EVENTS_MAX_MIB, in bytes: most that events.db may hold.
    pub max_bytes: u64,
    /// MAINSTAY_EVENTS_MAX_DISK_PERCENT: the same as a share of its file system.
    pub max_disk_percent: u64,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self {
            max_days: 90,
            max_count: 10_000_000,
            max_bytes: 4096 << 20,
            max_disk_percent: 20,
        }
    }
}

/// How many events are taken before they are refused or thinned.
#[derive(Debug, Clone, PartialEq)]
pub struct IngestSettings {
    /// MAINSTAY_INGEST_PER_SOURCE_PER_MINUTE: most events of one source a minute; more are refused.
    pub per_source: u32,
    /// MAINSTAY_INGEST_PER_GROUP_PER_MINUTE: most events of one group a minute that are stored whole; more are counted.
    pub per_group: u32,
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self {
            per_source: 60_000,
            per_group: 1000,
        }
    }
}

/// What bounds the live tail of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailSettings {
    /// MAINSTAY_TAIL_READERS: most readers at once.
    pub readers: u32,
    /// MAINSTAY_TAIL_PATIENCE: a reader that takes nothing for so long is let go.
    pub patience: Duration,
}

impl Default for TailSettings {
    fn default() -> Self {
        Self {
            readers: 32,
            patience: Duration::from_secs(30),
        }
    }
}

/// What the HTTP skin wants.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpSettings {
    /// MAINSTAY_SLOW_REQUEST_MS: a request at least this long is slow.
    pub slow_request: Duration,
    /// MAINSTAY_STATIC_DIR: serve the dashboard from this folder instead of the binary (development).
    pub static_dir: Option<PathBuf>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            slow_request: Duration::from_millis(1000),
            static_dir: None,
        }
    }
}

/// All settings of the service.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    /// The database layer.
    pub database: DatabaseSettings,
    /// Files.
    pub storage: StorageSettings,
    /// What the event log may hold.
    pub retention: RetentionSettings,
    /// Limits of reported events.
    pub ingest: IngestSettings,
    /// The live tail of events.
    pub tail: TailSettings,
    /// The HTTP skin.
    pub http: HttpSettings,
}
