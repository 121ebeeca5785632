//! The thread that keeps the write-ahead log short (floor 1): when it checkpoints, and what it notes.
//!
//! What must stay true: it never panics and never holds its state while it waits for SQLite; a failed checkpoint is
//! counted and tried again, and only one that shows damage isolates. Started by `Database::open`, ends with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

use super::alarm::{Alarm, Woken};
use super::{BUSY_CAP, Checkpoint, CheckpointReport};
use crate::clock::{self, SharedClock};
use crate::db::active::Active;
use crate::db::breaker::{Breaker, Outcome};
use crate::db::connection::WAL_SIZE_LIMIT_BYTES;
use crate::db::deadline::{Limits, Scope};
use crate::db::error::{DbError, ErrorKind};
use crate::db::holders::{Holders, OFTEN};
use crate::db::identity::log_path;
use crate::db::observe::Observer;
use crate::db::pool::{Checkout, ConnectionPool};
#[cfg(test)]
use crate::db::simulation;
use crate::db::verdict::{Direction, verdict};
use crate::db::wal::{WalStatus, oldest_read, readers_in_words};

/// Between two looks at the log's file and at the locks.
const LOOK: Duration = Duration::from_secs(1);
/// Between two regular checkpoints of a log that is written.
const REGULAR: Duration = Duration::from_secs(10);
/// A log larger than this (4000 pages, as the writer wakes for) is checkpointed at each look that finds it written.
const LARGE_BYTES: u64 = 16 << 20;
/// For the keeper's own connection, and for the pages to be written.
const PATIENCE: Duration = Duration::from_secs(1);
const NAME: &str = "checkpoint";

/// What the keeper works with.
pub struct Parts {
    /// `app` or `events`.
    pub database: &'static str,
    /// The database file.
    pub path: PathBuf,
    /// One connection.
    pub pool: ConnectionPool,
    /// Read and write breaker.
    pub breakers: [Arc<Breaker>; 2],
    /// Told of a log that can't shrink.
    pub observer: Arc<dyn Observer>,
    /// Who holds the file's locks.
    pub holders: Arc<Holders>,
    /// What runs in this process.
    pub active: Arc<Active>,
    /// Wall time for reports.
    pub clock: SharedClock,
    /// How the writer wakes it.
    pub alarm: Arc<Alarm>,
}

/// What the file at the log's path looks like: it changes with each commit.
type Look = (u64, Option<SystemTime>);

#[derive(Default)]
struct State {
    last: Option<CheckpointReport>,
    checkpoints: u64,
    failures: u64,
    last_error: Option<String>,
    /// When the latest checkpoint began, and what the file looked like then.
    began: Option<(Instant, Look)>,
    told: bool,
    /// What the file looked like at the latest look.
    looked_at: Option<Look>,
}

struct Shared {
    parts: Parts,
    state: Mutex<State>,
}

/// The handle; the thread ends when it is dropped or stopped.
pub struct Keeper {
    shared: Arc<Shared>,
}

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system's, when it gives no thread.
    pub fn start(parts: Parts) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            parts,
            state: Mutex::default(),
        });
        let of_thread = Arc::clone(&shared);
        #[cfg(test)]
        if simulation::is_running() {
            simulation::regularly(LOOK, move || {
                let goes_on = !of_thread.parts.alarm.is_stopped();
                if goes_on {
                    of_thread.look();
                }
                goes_on
            });
            return Ok(Self { shared });
        }
        std::thread::Builder::new()
            .name(format!("{}-keeper", shared.parts.database))
            .spawn(move || {
                loop {
                    match of_thread.parts.alarm.sleep(LOOK) {
                        Woken::Stopped => return,
                        // What came of it is in the state.
                        Woken::Rung => drop(of_thread.checkpoint(Checkpoint::Passive)),
                        Woken::InTime => of_thread.look(),
                    }
                }
            })?;
        Ok(Self { shared })
    }

    /// No more regular checkpoints.
    pub fn stop(&self) {
        self.shared.parts.alarm.stop();
    }

    /// See [`crate::db::Database::checkpoint`].
    pub fn checkpoint(&self, kind: Checkpoint) -> Result<CheckpointReport, DbError> {
        self.shared.checkpoint(kind)
    }

    /// Who holds the file's locks.
    pub fn holders(&self) -> &Holders {
        &self.shared.parts.holders
    }

    /// What can be seen now, without touching the database.
    pub fn status(&self) -> WalStatus {
        self.shared.status()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn file(&self) -> Look {
        #[cfg(test)]
        if let Some(look) = simulation::stat(&log_path(&self.parts.path)) {
            return look;
        }
        // `stat` alone: opening and closing would drop SQLite's locks.
        let meta = std::fs::metadata(log_path(&self.parts.path));
        meta.map_or((0, None), |meta| (meta.len(), meta.modified().ok()))
    }

    /// One look at the log, at the locks where they matter, and a checkpoint where it is due.
    fn look(&self) {
        let file = self.file();
        if self.locks_matter(file) {
            self.parts.holders.look(OFTEN);
        }
        if self.is_due(file) {
            let done = self.checkpoint(Checkpoint::Passive);
            if file.0 > WAL_SIZE_LIMIT_BYTES.unsigned_abs() && done.is_ok_and(|report| report.is_complete()) {
                // What came of it is in the state.
                let _ = self.checkpoint(Checkpoint::Truncate);
            }
        }
        self.tell();
    }

    /// The system's list of all locks is long to read: only while the log is written, a checkpoint was kept from its end, or
    /// somebody was seen who may be gone by now. Who waits for a lock looks for itself.
    fn locks_matter(&self, file: Look) -> bool {
        let mut state = self.state.lock();
        let unfinished = state.last.as_ref().is_some_and(|last| last.busy || !last.is_complete());
        let written = state.looked_at.replace(file) != Some(file);
        written || unfinished || self.parts.holders.all().iter().any(|holder| !holder.ours)
    }

    fn is_due(&self, file: Look) -> bool {
        let state = self.state.lock();
        let Some((began, seen)) = state.began else {
            return file.0 > 0;
        };
        let too_large = file.0 > WAL_SIZE_LIMIT_BYTES.unsigned_abs();
        let unfinished = state.last_error.is_some() || state.last.as_ref().is_none_or(|last| !last.is_complete());
        let waited = clock::now().saturating_duration_since(began) >= REGULAR;
        let written = file != seen;
        too_large || (written && (waited || file.0 > LARGE_BYTES)) || (unfinished && waited)
    }

    /// Tells once that a reader keeps the log too large, and once that it is over.
    fn tell(&self) {
        let problem = self.status().problem();
        let was_told = std::mem::replace(&mut self.state.lock().told, problem.is_some());
        if was_told != problem.is_some() {
            self.parts.observer.log_pinned(self.parts.database, problem.as_deref());
        }
    }

    fn checkpoint(&self, kind: Checkpoint) -> Result<CheckpointReport, DbError> {
        self.state.lock().began = Some((clock::now(), self.file()));
        let done = self.try_checkpoint(kind);
        let mut state = self.state.lock();
        match &done {
            Ok(report) => {
                state.checkpoints += 1;
                state.last = Some(report.clone());
                state.last_error = None;
            }
            Err(error) => {
                state.failures += 1;
                state.last_error = Some(error.to_string());
            }
        }
        drop(state);
        if let Err(error) = &done
            && let Outcome::Isolate { cause } = verdict(Direction::Write, error, false)
        {
            self.parts.breakers.iter().for_each(|breaker| breaker.isolate(&cause));
        }
        done
    }

    fn try_checkpoint(&self, kind: Checkpoint) -> Result<CheckpointReport, DbError> {
        let isolated = self
            .parts
            .breakers
            .iter()
            .map(|b| b.status())
            .find(|b| b.state == "ISOLATED");
        if let Some(breaker) = isolated {
            let cause = breaker.cause;
            return Err(DbError::new(self.parts.database, NAME, ErrorKind::Isolated { cause }));
        }
        let mut connection = self.parts.pool.checkout(NAME, clock::now() + PATIENCE)?;
        let passive = self.run(&mut connection, Checkpoint::Passive)?;
        if kind == Checkpoint::Passive || !passive.is_complete() {
            // A reader is in the way: whoever waited for it with the write lock would keep every writer waiting too.
            return Ok(passive);
        }
        self.run(&mut connection, kind)
    }

    fn run(&self, connection: &mut Checkout, kind: Checkpoint) -> Result<CheckpointReport, DbError> {
        let began = clock::now();
        let scope = Scope::enter(Limits {
            deadline: began + PATIENCE,
            lock_budget: BUSY_CAP,
            cancelled: None,
        });
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let done: rusqlite::Result<(i64, i64, i64)> = connection.query_row(kind.sql(), [], row);
        drop(scope);
        let (busy, frames, checkpointed) = done.map_err(|error| {
            connection.poison();
            DbError::from_sqlite(self.parts.database, NAME, &error)
        })?;
        // SQLite says -1 where another checkpoint was under way and it could not look.
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        Ok(CheckpointReport {
            at: self.parts.clock.wall(),
            kind,
            busy: busy != 0,
            frames: count(frames),
            checkpointed_frames: count(checkpointed),
            took: clock::now().saturating_duration_since(began),
        })
    }

    fn status(&self) -> WalStatus {
        let (holders, operations) = (self.parts.holders.all(), self.parts.active.list(clock::now()));
        let state = self.state.lock();
        let pinned = state.last.as_ref().is_some_and(|last| !last.is_complete());
        WalStatus {
            bytes: self.file().0,
            last: state.last.clone(),
            checkpoints: state.checkpoints,
            failures: state.failures,
            last_error: state.last_error.clone(),
            oldest_reader: oldest_read(&holders, &operations),
            pinned_by: pinned.then(|| readers_in_words(&holders, &operations)),
        }
    }
}
