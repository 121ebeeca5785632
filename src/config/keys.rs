//! The table of Mainstay's own settings (floor 0): one row for each variable, and the only place that knows its range.
//!
//! What must stay true: the rows' defaults are those of the settings structs (a test compares them), and every row
//! changes a field. `config` reads the table to load, `cli` to explain.

mod ingest;
mod retention;
mod tail;

use std::path::PathBuf;
use std::time::Duration;

use super::Settings;
use super::text::whole;

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The environment variable; in Rocket.toml the same name in lower case.
    pub name: &'static str,
    /// The compiled-in value as a person would write it; `None` when it is unset.
    pub default: Option<&'static str>,
    /// What a number counts: `seconds`, `milliseconds`, `MiB`, `connections`; empty for paths.
    pub unit: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// Whether the value must never be shown.
    pub secret: bool,
    /// What it may be, and the field that it sets.
    pub kind: Kind,
}

/// The form of a value, with its range and its field.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A whole number from `min` to `max`, both included.
    Whole {
        /// The smallest allowed value.
        min: u64,
        /// The largest allowed value.
        max: u64,
        /// Puts it into its field.
        set: fn(&mut Settings, u64),
    },
    /// A folder's path, relative to the folder that the program is started in.
    Folder {
        /// Puts it into its field.
        set: fn(&mut Settings, PathBuf),
    },
}

impl Key {
    /// The key in Rocket.toml.
    pub fn field(&self) -> String {
        self.name.to_ascii_lowercase()
    }

    /// What is allowed, for an error or a manual: `a whole number of seconds from 1 to 3600`.
    pub fn allowed(&self) -> String {
        match self.kind {
            Kind::Whole { min, max, .. } => format!("a whole number of {} from {min} to {max}", self.unit),
            Kind::Folder { .. } => "the path of a folder, not empty".into(),
        }
    }

    /// Checks a value and puts it into its field; the error says what is allowed.
    pub fn apply(&self, text: &str, settings: &mut Settings) -> Result<(), String> {
        match self.kind {
            Kind::Whole { min, max, set } => match whole(text).filter(|number| (min..=max).contains(number)) {
                Some(number) => set(settings, number),
                None => return Err(format!("must be {}{}", self.allowed(), self.unit_hint(text))),
            },
            Kind::Folder { .. } if text.trim().is_empty() => return Err(format!("must be {}", self.allowed())),
            Kind::Folder { set } => set(settings, PathBuf::from(text)),
        }
        Ok(())
    }

    /// The value as it may be shown.
    pub fn shown(&self, text: &str) -> String {
        if self.secret { "********".into() } else { text.into() }
    }

    /// People write `10s`: say that the number stands alone.
    fn unit_hint(&self, text: &str) -> String {
        let has_unit = text.starts_with(|c: char| c.is_ascii_digit()) && text.ends_with(|c: char| c.is_alphabetic());
        if has_unit {
            format!(", written without a unit (whole {})", self.unit)
        } else {
            String::new()
        }
    }
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// For rows whose range lies within 32 bits.
fn small(number: u64) -> u32 {
    u32::try_from(number).expect("the row's range lies within 32 bits")
}

/// A row with a whole number.
const fn number(
    name: &'static str,
    default: &'static str,
    unit: &'static str,
    (min, max): (u64, u64),
    about: &'static str,
    set: fn(&mut Settings, u64),
) -> Key {
    Key {
        name,
        default: Some(default),
        unit,
        about,
        secret: false,
        kind: Kind::Whole { min, max, set },
    }
}

/// A row with a folder.
const fn folder(
    name: &'static str,
    default: Option<&'static str>,
    about: &'static str,
    set: fn(&mut Settings, PathBuf),
) -> Key {
    Key {
        name,
        default,
        unit: "",
        about,
        secret: false,
        kind: Kind::Folder { set },
    }
}

const DAY: u64 = 86_400;
const HOUR_MS: u64 = 3_600_000;

/// Every setting of Mainstay's own, in the order in which people read them.
pub const KEYS: &[Key] = &[
    number(
        "DB_POOL_MAX",
        "50",
        "connections",
        (1, 1000),
        "most reader connections per database",
        |s, n| s.database.pool.max = small(n),
    ),
    // Not 0: the minimum is also the limiter's floor, and a floor of 0 would admit nobody.
    number(
        "DB_POOL_MIN",
        "5",
        "connections",
        (1, 1000),
        "reader connections kept ready, and the limiter's floor; at most DB_POOL_MAX",
        |s, n| s.database.pool.min = small(n),
    ),
    number(
        "DB_IDLE_TIMEOUT",
        "30",
        "seconds",
        (1, DAY),
        "how long a connection above the minimum may be idle",
        |s, n| s.database.pool.idle_timeout = seconds(n),
    ),
    number(
        "DB_MAX_LIFETIME",
        "600",
        "seconds",
        (1, 7 * DAY),
        "how long a connection may live (spread by 10 %)",
        |s, n| s.database.pool.max_lifetime = seconds(n),
    ),
    number(
        "DB_CONNECT_TIMEOUT",
        "10",
        "seconds",
        (1, 3600),
        "longest wait for a connection",
        |s, n| s.database.pool.connect_timeout = seconds(n),
    ),
    // Every delay is held at 10 s, so a larger base would do nothing.
    number(
        "DB_RETRY_DELAY_MS",
        "2000",
        "milliseconds",
        (1, 10_000),
        "first delay before an attempt is repeated; doubles up to 10 s",
        |s, n| s.database.retry.base_delay = milliseconds(n),
    ),
    number(
        "DB_MAX_ATTEMPTS",
        "5",
        "attempts",
        (1, 100),
        "attempts of one operation in all",
        |s, n| s.database.retry.max_attempts = small(n),
    ),
    number(
        "DB_HEALTH_TIMEOUT_MS",
        "2000",
        "milliseconds",
        (1, 60_000),
        "limit of one health probe",
        |s, n| s.database.health.timeout = milliseconds(n),
    ),
    number(
        "DB_HEALTH_INTERVAL",
        "30",
        "seconds",
        (1, DAY),
        "time between health probes (spread by 10 %)",
        |s, n| s.database.health.interval = seconds(n),
    ),
    number(
        "DB_BREAKER_THRESHOLD",
        "5",
        "failures",
        (1, 10_000),
        "consecutive counted failures that open a circuit breaker",
        |s, n| s.database.breaker.threshold = small(n),
    ),
    // An open breaker's wait grows to 5 minutes at most, so it can't begin above that.
    number(
        "DB_BREAKER_TIMEOUT_MS",
        "30000",
        "milliseconds",
        (1, 300_000),
        "how long a circuit breaker stays open (±10 %; ×1.5 after each failed probe)",
        |s, n| s.database.breaker.open_for = milliseconds(n),
    ),
    number(
        "DB_OPERATION_TIMEOUT_MS",
        "10000",
        "milliseconds",
        (1, HOUR_MS),
        "one operation's whole deadline: queue, lock, steps, retries, backoff",
        |s, n| s.database.operation.timeout = milliseconds(n),
    ),
    number(
        "DB_LOCK_TIMEOUT_MS",
        "1000",
        "milliseconds",
        (1, HOUR_MS),
        "lock wait within one attempt; at most DB_OPERATION_TIMEOUT_MS",
        |s, n| s.database.operation.lock_timeout = milliseconds(n),
    ),
    number(
        "DB_SLOW_QUERY_MS",
        "100",
        "milliseconds",
        (1, HOUR_MS),
        "a statement that takes at least this long is slow",
        |s, n| s.database.operation.slow_query = milliseconds(n),
    ),
    folder(
        "MAINSTAY_DATA_DIR",
        Some("data"),
        "where the databases, the spool, the logs, the backups and the tokens live",
        |s, path| s.storage.data_dir = path,
    ),
    ingest::SPOOL_MAX,
    retention::MAX_DAYS,
    retention::MAX_COUNT,
    retention::MAX_MIB,
    retention::MAX_DISK_PERCENT,
    ingest::PER_SOURCE,
    ingest::PER_GROUP,
    tail::READERS,
    tail::PATIENCE,
    number(
        "MAINSTAY_SLOW_REQUEST_MS",
        "1000",
        "milliseconds",
        (1, HOUR_MS),
        "a request that takes at least this long is slow",
        |s, n| s.http.slow_request = milliseconds(n),
    ),
    folder(
        "MAINSTAY_STATIC_DIR",
        None,
        "serve the dashboard from this folder instead of the binary (development)",
        |s, path| s.http.static_dir = Some(path),
    ),
];

/// The row of an environment variable.
pub fn by_name(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}
