//! The health probe (floor 1): a real page read, a real write, and whether the file is still the one we opened.
//!
//! What must stay true: the probe can fail; it goes through the breakers like everybody else, so its success is what
//! closes them when nobody else calls; a busy writer of our own is not an outage; an isolated file is let back only
//! after it was verified. The service keeps [`Database::watch`] running.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::backoff::within_ten_percent;
use super::connection::{Epoch, read_real_page};
use super::database::Database;
use super::error::{DbError, ErrorKind};
use super::identity::{Identity, identity};
use super::log::WriteAheadLog;
use super::operation::{Effect, Operation};
use super::wait;
use crate::clock;

/// Size of the heartbeat: a row of a realistic size, because a nearly full disk still takes tiny ones.
const HEARTBEAT_BYTES: i32 = 8192;
/// Soonest next probe, so that a breaker whose time has come is not hammered.
const SOONEST: Duration = Duration::from_millis(50);
/// Between two looks at which files are there: what is written into a file that is gone is lost, so this is short.
const STEP: Duration = Duration::from_millis(250);
/// A check of the whole file may take this long, and longer for a large file.
const SHORTEST_CHECK: Duration = Duration::from_secs(10);
const SLOW_DISK_BYTES_PER_SECOND: u64 = 10 << 20;
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
    epoch: Epoch,
    log: WriteAheadLog,
    latest: Mutex<Option<ProbeReport>>,
}

impl Health {
    /// For the file that was opened.
    pub fn new(opened: Identity, epoch: Epoch, log: WriteAheadLog) -> Self {
        Self {
            opened,
            epoch,
            log,
            latest: Mutex::new(None),
        }
    }

    /// What the latest probe found; `None` before the first.
    pub fn latest(&self) -> Option<ProbeReport> {
        self.latest.lock().clone()
    }
}

impl Database {
    /// Probes once, tells the observer when the verdict changed, and keeps the report. Ends even when the disk hangs.
    pub async fn probe(&self) -> ProbeReport {
        let limit = self.settings().health.timeout;
        let looked = wait::at_most(limit, self.check_identity()).await;
        if looked == Ok(true) {
            self.verify_isolated().await;
        }
        let began = clock::now();
        let read = self.read(READ.within(limit), read_real_page).await;
        let read_time = clock::since(began);
        let commits = || self.inner.writer.shared.metrics.commits.load(Ordering::Relaxed);
        let (began, commits_before) = (clock::now(), commits());
        let written = self.write_heartbeat(limit).await;
        let write_time = clock::since(began);
        // Others' commits went through meanwhile: the writer has much to do, which is no outage.
        let writer_is_busy = |error: &DbError| {
            let waited = matches!(
                error.kind,
                ErrorKind::QueueFull | ErrorKind::NotBegun | ErrorKind::OutcomeUnknown
            );
            waited && commits() > commits_before
        };
        // Every reader is taken: a lot to do again, unless none of them comes back, which the breaker counts.
        let readers_are_busy = |error: &DbError| error.kind == ErrorKind::PoolTimeout;
        let hung = looked.is_err().then(|| "the storage does not answer".to_owned());
        let report = ProbeReport {
            at: self.inner.clock.wall(),
            read_time,
            write_time: written.is_ok().then_some(write_time),
            read_problem: hung.or(read.err().filter(|e| !readers_are_busy(e)).map(|e| e.to_string())),
            write_problem: written.err().filter(|e| !writer_is_busy(e)).map(|e| e.to_string()),
        };
        self.keep(&report);
        report
    }

    async fn write_heartbeat(&self, limit: Duration) -> Result<(), DbError> {
        let at_ms = crate::clock::epoch_ms(self.inner.clock.wall());
        self.write(WRITE.within(limit), move |connection| {
            connection.execute_batch(
                "CREATE TABLE IF NOT EXISTS heartbeat(id INTEGER PRIMARY KEY, at INTEGER, filler BLOB)",
            )?;
            let sql = "INSERT OR REPLACE INTO heartbeat(id, at, filler) VALUES (1, ?1, randomblob(?2))";
            connection.prepare_cached(sql)?.execute((at_ms, HEARTBEAT_BYTES))?;
            Ok(Effect::Commit(()))
        })
        .await
    }

    fn keep(&self, report: &ProbeReport) {
        let before = self.inner.health.latest.lock().replace(report.clone());
        let was_well = before.as_ref().is_none_or(|b| b.problem().is_none());
        if was_well != report.problem().is_none() {
            self.inner.observer.health_changed(self.name(), report.problem());
        }
    }

    /// Isolates a file that is gone or another one; whether it is the right one.
    async fn check_identity(&self) -> bool {
        let (path, opened) = (self.path().to_owned(), self.inner.health.opened);
        let found = wait::blocking(move || identity(&path)).await;
        let Ok(found) = found else { return false };
        let problem = match found {
            Ok(found) if found == opened => None,
            Ok(_) => {
                Some("the database file was replaced by another one; put it back, or stop, remove its -wal and -shm, and start".to_owned())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Some("the database file was deleted; put it back, or stop, remove its -wal and -shm, and start".to_owned())
            }
            // Not allowed to look: says nothing about which file it is.
            Err(_) => return false,
        };
        if let Some(cause) = &problem {
            self.breakers().iter().for_each(|breaker| breaker.isolate(cause));
            return false;
        }
        self.check_log().await;
        true
    }

    /// What goes into a deleted write-ahead log is lost at the next start. What it holds is brought into the database
    /// file at once, by the connection that still has it open, and every connection is made anew.
    async fn check_log(&self) {
        if self.inner.health.log.is_ours() {
            return;
        }
        let cause = "the write-ahead log was deleted or replaced; what it held is being saved";
        self.breakers().iter().for_each(|breaker| breaker.isolate(cause));
        let database = self.clone();
        let limit = clock::now() + self.settings().operation.timeout;
        let saved = wait::blocking(move || {
            let shared = &database.inner.writer.shared;
            let mut writer = shared.pool.checkout("health.save", limit)?;
            let saved = save_log(&writer);
            writer.poison();
            drop(writer);
            // From here on nobody uses a connection that reads or writes the lost log.
            database.inner.health.epoch.fetch_add(1, Ordering::AcqRel);
            let failed = |error: &rusqlite::Error| DbError::from_sqlite(database.name(), "health.save", error);
            saved
                .and_then(|()| database.inner.health.log.anchor_anew())
                .map_err(|error| failed(&error))
        });
        if let Ok(Err(error)) = saved.await {
            tracing::error!(%error, "the deleted write-ahead log could not be saved yet; it is tried again");
        }
    }

    fn is_isolated(&self) -> bool {
        self.breakers()
            .iter()
            .any(|breaker| breaker.status().state == "ISOLATED")
    }

    /// Verifies an isolated file whose identity is right: its pages are checked, on a connection of its own.
    async fn verify_isolated(&self) {
        if !self.is_isolated() {
            return;
        }
        let path = self.path().to_owned();
        let checked = wait::blocking(move || quick_check(&path)).await;
        if matches!(checked, Ok(Ok(true))) {
            // What was opened before the trouble saw a file that may have been another one.
            self.inner.health.epoch.fetch_add(1, Ordering::AcqRel);
            self.breakers().iter().for_each(|breaker| breaker.verified());
        }
    }

    /// Probes for as long as it is polled: at the configured interval ±10 %, and as soon as an open breaker's time has
    /// come, so that recovery needs nobody.
    pub async fn watch(&self) {
        let mut was_there = true;
        loop {
            self.probe().await;
            let regular = clock::now() + within_ten_percent(self.settings().health.interval, fastrand::f64());
            loop {
                let due = self.next_probe(regular);
                let now = clock::now();
                if now >= due {
                    break;
                }
                // In short steps, because a breaker may open while this sleeps, and a file may go.
                wait::sleep((due - now).min(STEP)).await;
                // A change is probed at once, a lasting state at the regular time: a probe is a call like any other.
                let was_isolated = self.is_isolated();
                let is_there = self.check_identity().await;
                if is_there != was_there || self.is_isolated() != was_isolated {
                    was_there = is_there;
                    break;
                }
            }
            wait::sleep(SOONEST).await;
        }
    }

    fn next_probe(&self, regular: Instant) -> Instant {
        let wants_probe =
            |breaker: &&std::sync::Arc<super::breaker::Breaker>| matches!(breaker.status().state, "OPEN" | "HALF_OPEN");
        let soonest = self
            .breakers()
            .into_iter()
            .filter(wants_probe)
            .map(|b| b.retry_at().unwrap_or_else(clock::now));
        soonest.min().map_or(regular, |at| at.min(regular))
    }
}

/// Brings everything in the write-ahead log into the database file.
fn save_log(writer: &rusqlite::Connection) -> rusqlite::Result<()> {
    writer.busy_timeout(SHORTEST_CHECK)?;
    let busy: i64 = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy == 0 {
        return Ok(());
    }
    let text = Some("a reader kept the checkpoint from its end".to_owned());
    Err(rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
        text,
    ))
}

/// SQLite's own check of the whole file. Blocking; it may take as long as reading the file from a slow disk does.
fn quick_check(path: &std::path::Path) -> rusqlite::Result<bool> {
    use rusqlite::OpenFlags;
    let size = std::fs::metadata(path).map_or(0, |meta| meta.len());
    let limit = SHORTEST_CHECK + Duration::from_secs(size / SLOW_DISK_BYTES_PER_SECOND);
    let file = rusqlite::Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    super::deadline::obey_scopes(&file)?;
    let _scope = super::deadline::Scope::enter(super::deadline::Limits {
        deadline: clock::now() + limit,
        lock_budget: SHORTEST_CHECK,
        cancelled: None,
    });
    let verdict: String = file.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok(verdict == "ok")
}
