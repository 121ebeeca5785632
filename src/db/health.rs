//! The health probe (floor 1): a real page read, a real write, and whether the file is still the one we opened.
//!
//! What must stay true: the probe can fail; it goes through the breakers like everybody else, so its success is what
//! closes them when nobody else calls; a busy writer of our own is not an outage; an isolated file is let back only
//! after it was verified. Called by the task that [`Database::watch`] starts, and by tests.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::backoff::within_ten_percent;
use super::connection::read_real_page;
use super::database::Database;
use super::error::{DbError, ErrorKind};
use super::identity::{Identity, identity};
use super::operation::{Effect, Operation};

/// Size of the heartbeat: a row of a realistic size, because a nearly full disk still takes tiny ones.
const HEARTBEAT_BYTES: i32 = 8192;
/// Soonest next probe, so that a breaker whose time has come is not hammered.
const SOONEST: Duration = Duration::from_millis(50);
const READ: Operation = Operation::scan("health.read");
const WRITE: Operation = Operation::write("health.write");

/// What the latest probe found.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeReport {
    /// When.
    pub at: jiff::Timestamp,
    /// How long the read took.
    pub read_time: Duration,
    /// How long the write took, commit included; `None` when it failed.
    pub write_time: Option<Duration>,
    /// What was wrong with reading.
    pub read_problem: Option<String>,
    /// What was wrong with writing.
    pub write_problem: Option<String>,
}

impl ProbeReport {
    /// The first problem, if any.
    pub fn problem(&self) -> Option<&str> {
        self.read_problem.as_deref().or(self.write_problem.as_deref())
    }
}

/// What is kept between probes.
pub struct Health {
    opened: Identity,
    latest: Mutex<Option<ProbeReport>>,
}

impl Health {
    /// For the file that was opened.
    pub fn new(opened: Identity) -> Self {
        Self {
            opened,
            latest: Mutex::new(None),
        }
    }

    /// What the latest probe found; `None` before the first.
    pub fn latest(&self) -> Option<ProbeReport> {
        self.latest.lock().clone()
    }
}

impl Database {
    /// Probes once, tells the observer when the verdict changed, and keeps the report.
    pub async fn probe(&self) -> ProbeReport {
        self.check_identity().await;
        let limit = self.settings().health.timeout;
        let began = Instant::now();
        let read = self.read(READ.within(limit), read_real_page).await;
        let read_time = began.elapsed();
        let began = Instant::now();
        let commits_before = self
            .inner
            .writer
            .shared
            .metrics
            .commits
            .load(std::sync::atomic::Ordering::Relaxed);
        let at_ms = crate::clock::epoch_ms(self.inner.clock.wall());
        let written = self
            .write(WRITE.within(limit), move |connection| {
                connection.execute_batch(
                    "CREATE TABLE IF NOT EXISTS heartbeat(id INTEGER PRIMARY KEY, at INTEGER, filler BLOB)",
                )?;
                let sql = "INSERT OR REPLACE INTO heartbeat(id, at, filler) VALUES (1, ?1, randomblob(?2))";
                connection.prepare_cached(sql)?.execute((at_ms, HEARTBEAT_BYTES))?;
                Ok(Effect::Commit(()))
            })
            .await;
        let write_time = began.elapsed();
        let commits_after = self
            .inner
            .writer
            .shared
            .metrics
            .commits
            .load(std::sync::atomic::Ordering::Relaxed);
        // Others' commits went through meanwhile: the writer has much to do, which is no outage.
        let only_busy = commits_after > commits_before
            && written
                .as_ref()
                .is_err_and(|e| matches!(e.kind, ErrorKind::QueueFull | ErrorKind::NotBegun));
        let words = |error: &DbError| error.to_string();
        let report = ProbeReport {
            at: self.inner.clock.wall(),
            read_time,
            write_time: written.is_ok().then_some(write_time),
            read_problem: read.as_ref().err().map(words),
            write_problem: written.as_ref().err().filter(|_| !only_busy).map(words),
        };
        self.keep(&report);
        report
    }

    fn keep(&self, report: &ProbeReport) {
        let before = self.inner.health.latest.lock().replace(report.clone());
        let was_well = before.as_ref().is_none_or(|b| b.problem().is_none());
        if was_well != report.problem().is_none() {
            self.inner.observer.health_changed(self.name(), report.problem());
        }
    }

    /// Isolates a file that is gone or another one; lets the right one back in once it can be read.
    async fn check_identity(&self) {
        let (path, opened) = (self.path().to_owned(), self.inner.health.opened);
        let found = tokio::task::spawn_blocking(move || identity(&path)).await;
        let Ok(found) = found else { return };
        let problem = match found {
            Ok(found) if found == opened => None,
            Ok(_) => Some("the database file was replaced by another one".to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Some("the database file was deleted".to_owned())
            }
            // Not allowed to look: says nothing about which file it is.
            Err(_) => return,
        };
        match problem {
            Some(cause) => self.breakers().iter().for_each(|breaker| breaker.isolate(&cause)),
            None => self.verify_isolated().await,
        }
    }

    /// Verifies an isolated file whose identity is right: its pages are checked, on a connection of its own.
    async fn verify_isolated(&self) {
        if self
            .breakers()
            .iter()
            .all(|breaker| breaker.status().state != "ISOLATED")
        {
            return;
        }
        let path = self.path().to_owned();
        let limit = self.settings().operation.timeout;
        let checked = tokio::task::spawn_blocking(move || quick_check(&path, limit)).await;
        if matches!(checked, Ok(Ok(true))) {
            self.breakers().iter().for_each(|breaker| breaker.verified());
        }
    }

    /// Probes for as long as the returned task lives: at the configured interval ±10 %, and as soon as an open
    /// breaker's time has come, so that recovery needs nobody. Needs a tokio runtime.
    pub fn watch(&self) -> tokio::task::JoinHandle<()> {
        let database = self.clone();
        tokio::spawn(async move {
            loop {
                database.probe().await;
                let regular = Instant::now() + within_ten_percent(database.settings().health.interval, fastrand::f64());
                loop {
                    let due = database.next_probe(regular);
                    let now = Instant::now();
                    if now >= due {
                        break;
                    }
                    // In short steps, because a breaker may open while this sleeps.
                    tokio::time::sleep((due - now).min(Duration::from_millis(250))).await;
                }
                tokio::time::sleep(SOONEST).await;
            }
        })
    }

    fn next_probe(&self, regular: Instant) -> Instant {
        let wants_probe =
            |breaker: &&std::sync::Arc<super::breaker::Breaker>| matches!(breaker.status().state, "OPEN" | "HALF_OPEN");
        let soonest = self
            .breakers()
            .into_iter()
            .filter(wants_probe)
            .map(|b| b.retry_at().unwrap_or_else(Instant::now));
        soonest.min().map_or(regular, |at| at.min(regular))
    }
}

/// SQLite's own check of the whole file, within `limit`. Blocking.
fn quick_check(path: &std::path::Path, limit: Duration) -> rusqlite::Result<bool> {
    use rusqlite::OpenFlags;
    let file = rusqlite::Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    super::deadline::obey_scopes(&file)?;
    let deadline = Instant::now() + limit;
    let _scope = super::deadline::Scope::enter(super::deadline::Limits {
        deadline,
        lock_budget: limit,
        cancelled: None,
    });
    let verdict: String = file.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok(verdict == "ok")
}
