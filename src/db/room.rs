//! A full disk (floor 1): from the moment SQLite says FULL until there is room for a write of full size again.
//!
//! What must stay true: a full disk still takes small writes, so the write breaker is held open from the first FULL until
//! the reserve could be made again (where there was one) and a full-size write has passed, also over a restart; the
//! reserve is given up at the first FULL, so that SQLite can shrink its log and the spool can take events. The writer
//! and the spool tell of it; [`Database::watch`] looks for room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::Connection;

use super::breaker::{Breaker, Cause, Outcome};
use super::classify::Told;
use super::database::Database;
use super::deadline::{Limits, Scope};
use super::error::{DbError, ErrorKind};
use super::reserve::{Reserve, ReserveStatus};
use super::wait;
use crate::clock;

/// SQLite's FULL; the writer names a quota and a file-size limit so too.
const FULL: i32 = 13;
/// Between two looks for room.
const PACE: Duration = Duration::from_secs(1);
/// A write of this size must pass, log and database file included, before small ones are believed again.
const FULL_SIZE_BYTES: i32 = 1 << 20;
/// Longest wait for readers while the log is emptied.
const SHRINK_WAIT: Duration = Duration::from_millis(100);

/// Whether one database has room.
pub struct Room {
    reserve: Reserve,
    is_full: AtomicBool,
    /// Whether there was a reserve to give up: where there never was one, none is asked for.
    had_reserve: AtomicBool,
    next_look: Mutex<Instant>,
}

impl Room {
    /// For the database with this reserve, which is made here where there is ample room. Where the disk was full before a
    /// restart it still is, until room was seen: then the reserve stays given up, or is given up now.
    pub fn with(reserve: Reserve, is_full: bool) -> Self {
        if is_full {
            reserve.release();
        } else if !reserve.make() {
            tracing::warn!(why = ?reserve.status().missing, "no room is held back for a full disk");
        }
        Self {
            reserve,
            is_full: AtomicBool::new(is_full),
            // After a restart nobody knows; the write of full size is proof enough.
            had_reserve: AtomicBool::new(false),
            next_look: Mutex::new(clock::now()),
        }
    }

    /// Told of every failed attempt to write, before it is settled: the first FULL holds the breaker and gives up the
    /// reserve.
    pub fn failed(&self, error: &DbError, breaker: &Breaker) {
        if error.kind != (ErrorKind::Sqlite { code: FULL }) {
            return;
        }
        self.filled(breaker);
    }

    /// The reserve was given up for the start: the disk is full from the beginning, until there is room for it again.
    pub fn begins_full(&self, breaker: &Arc<Breaker>) {
        self.filled(breaker);
        // A hold keeps only an open breaker open; one that a restart found open or isolated gives no permit.
        if let Ok(permit) = breaker.acquire(breaker.operation_number(), None) {
            let cause = Cause {
                text: "SQLite FULL (13): the disk was full at the start".to_owned(),
                told: Told::ReadOnly,
            };
            permit.settle(Outcome::Trip { cause });
        }
        self.had_reserve.store(true, Ordering::Release);
    }

    /// The disk is full: holds the breaker and gives up the reserve; whether it was given up now.
    fn filled(&self, breaker: &Breaker) -> bool {
        breaker.hold(true);
        if self.is_full.swap(true, Ordering::AcqRel) {
            return false;
        }
        let had_reserve = self.reserve.status().bytes > 0;
        self.had_reserve.store(had_reserve, Ordering::Release);
        self.reserve.release();
        had_reserve
    }

    /// Whether the disk was found full and no room was seen since.
    pub fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Acquire)
    }

    /// The reserve.
    pub fn reserve(&self) -> ReserveStatus {
        self.reserve.status()
    }

    fn is_time(&self) -> bool {
        let now = clock::now();
        let mut next = self.next_look.lock();
        let due = now >= *next;
        if due {
            *next = now + PACE;
        }
        due
    }
}

impl Database {
    /// Told by whoever writes beside the file that the disk took nothing more: from now on it is as if SQLite had said so.
    /// Whether the reserve was given up for that, so that another try is worth while.
    pub async fn disk_was_full(&self) -> bool {
        let shared = Arc::clone(&self.inner.writer.shared);
        let released = wait::blocking(move || shared.room.filled(&shared.breaker));
        released.await.unwrap_or(false)
    }

    /// While the disk is full: looks for room. Otherwise sees to it that there is a reserve.
    pub(super) async fn look_for_room(&self) {
        let room = &self.inner.writer.shared.room;
        let wanted = room.is_full() || room.reserve().bytes == 0;
        // A damaged file is not written to.
        if !wanted || self.is_isolated() || !room.is_time() {
            return;
        }
        let database = self.clone();
        let looked = wait::blocking(move || database.find_room()).await;
        if let Ok(Err(error)) = looked {
            tracing::debug!(%error, "no room yet");
        }
    }

    fn find_room(&self) -> Result<(), DbError> {
        let shared = &self.inner.writer.shared;
        let room = &shared.room;
        if !room.is_full() {
            room.reserve.make();
            return Ok(());
        }
        let until = clock::now() + self.settings().operation.timeout;
        let mut writer = shared.pool.checkout("health.room", until)?;
        let scope = |lock_budget| {
            Scope::enter(Limits {
                deadline: until,
                lock_budget,
                cancelled: None,
            })
        };
        // The log first: what it gives back is room too. A reader in the way is no reason not to go on.
        {
            let _scope = scope(SHRINK_WAIT);
            let _ = shrink(&writer);
        }
        if !room.reserve.make() && room.had_reserve.load(Ordering::Acquire) {
            return Err(DbError::new(
                self.name(),
                "health.room",
                ErrorKind::Sqlite { code: FULL },
            ));
        }
        let _scope = scope(self.settings().operation.lock_timeout);
        if let Err(error) = write_full_size(&writer) {
            writer.poison();
            room.reserve.release();
            return Err(DbError::from_sqlite(self.name(), "health.room", &error));
        }
        room.is_full.store(false, Ordering::Release);
        shared.breaker.hold(false);
        tracing::info!(database = self.name(), "there is room on the disk again");
        Ok(())
    }
}

/// Brings the log into the database file and cuts it off.
fn shrink(writer: &Connection) -> rusqlite::Result<()> {
    writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Writes as much as a busy second does, into the log and on into the database file, and frees it again: the pages it
/// leaves behind are the first that the next writes use.
fn write_full_size(writer: &Connection) -> rusqlite::Result<()> {
    writer.execute_batch("BEGIN IMMEDIATE")?;
    writer.execute_batch(super::health::probe::HEARTBEAT_TABLE)?;
    writer.execute(
        "INSERT OR REPLACE INTO heartbeat(id, at, filler) VALUES (2, 0, randomblob(?1))",
        [FULL_SIZE_BYTES],
    )?;
    writer.execute_batch("COMMIT")?;
    writer.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    writer.execute_batch("DELETE FROM heartbeat WHERE id = 2")
}

#[cfg(test)]
mod tests;
