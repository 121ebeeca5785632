//! One probe (floor 1): a real page read, a real write, whether the file is still ours, and what is free beside it.
//!
//! What must stay true: it can fail; it goes through the breakers like everybody else, so its success is what closes
//! them when nobody else calls; a busy writer of our own is not an outage; it ends even when the disk hangs.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rusqlite::Connection;

use super::ProbeReport;
use crate::clock;
use crate::db::connection::read_real_page;
use crate::db::database::Database;
use crate::db::disk::Space;
use crate::db::error::{DbError, ErrorKind};
use crate::db::operation::{Effect, Operation};
use crate::db::verify::not_ours;
use crate::db::wait;

/// The table that probes write into.
pub const HEARTBEAT_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS heartbeat(id INTEGER PRIMARY KEY, at INTEGER, filler BLOB)";
/// Size of the heartbeat: a row of a realistic size. A full disk takes even these; see [`crate::db::room`].
const HEARTBEAT_BYTES: i32 = 8192;
const READ: Operation = Operation::scan("health.read");
const WRITE: Operation = Operation::write("health.write");

impl Database {
    /// Probes once, tells the observer when the verdict changed, and keeps the report. Ends even when the disk hangs.
    pub async fn probe(&self) -> ProbeReport {
        let limit = self.settings().health.timeout;
        let looked = wait::at_most(limit, self.check_identity()).await;
        if looked == Ok(true) {
            self.verify_isolated().await;
        }
        let space = wait::at_most(limit, self.space()).await.ok().flatten();
        let began = clock::now();
        let read = self.read(READ.within(limit), read_page_and_owner).await;
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
        let readers_are_busy =
            |error: &DbError| matches!(error.kind, ErrorKind::PoolTimeout { .. } | ErrorKind::Overloaded);
        let hung = looked.is_err().then(|| "the storage does not answer".to_owned());
        let read_problem = match read {
            Ok(owner) => self.check_owner(owner),
            Err(error) => (!readers_are_busy(&error)).then(|| error.to_string()),
        };
        let report = ProbeReport {
            at: self.inner.clock.wall(),
            read_time,
            write_time: written.is_ok().then_some(write_time),
            read_problem: hung.or(read_problem),
            write_problem: written.err().filter(|e| !writer_is_busy(e)).map(|e| e.to_string()),
            space,
        };
        self.keep(&report);
        report
    }

    async fn write_heartbeat(&self, limit: Duration) -> Result<(), DbError> {
        let at_ms = crate::clock::epoch_ms(self.inner.clock.wall());
        self.write(WRITE.within(limit), move |connection| {
            connection.execute_batch(HEARTBEAT_TABLE)?;
            let sql = "INSERT OR REPLACE INTO heartbeat(id, at, filler) VALUES (1, ?1, randomblob(?2))";
            connection.prepare_cached(sql)?.execute((at_ms, HEARTBEAT_BYTES))?;
            Ok(Effect::Commit(()))
        })
        .await
    }

    /// Isolates a file that another program's data was copied into: its inode is the same, its owner isn't.
    fn check_owner(&self, found: i32) -> Option<String> {
        let expected = self.owner();
        if found == expected {
            return None;
        }
        let cause = not_ours(found, expected);
        self.isolate_from_outside(&cause);
        Some(cause)
    }

    /// The `application_id` that the file must have: a file without a schema of ours was never given one.
    pub(in crate::db) fn owner(&self) -> i32 {
        let options = &self.inner.options;
        if options.migrations.is_empty() {
            0
        } else {
            options.application_id
        }
    }

    async fn space(&self) -> Option<Space> {
        let path = self.path().to_owned();
        wait::blocking(move || Space::of(&path)).await.ok().flatten()
    }

    fn keep(&self, report: &ProbeReport) {
        let before = self.inner.health.latest.lock().replace(report.clone());
        let was_well = before.as_ref().is_none_or(|b| b.problem().is_none());
        if was_well != report.problem().is_none() {
            self.inner.observer.health_changed(self.name(), report.problem());
        }
    }
}

fn read_page_and_owner(connection: &Connection) -> rusqlite::Result<i32> {
    read_real_page(connection)?;
    connection.query_row("PRAGMA application_id", [], |row| row.get(0))
}
