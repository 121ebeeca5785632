//! The keeper of the write-ahead log (floor 1): checkpoints on a thread and a connection of its own, so that no commit
//! pays for one. It looks every second, and at once when the writer tells it that the log has grown.
//!
//! What must stay true: a regular checkpoint is PASSIVE and makes nobody wait; TRUNCATE, which holds the write lock
//! while it waits for readers, is tried only when everything is checkpointed already, and waits at most [`BUSY_CAP`];
//! the log of an isolated file is evidence and stays as it is. Called by `Database`; statistics read what it counts.

mod alarm;
mod keeper;

use std::time::Duration;

use serde::Serialize;

pub use self::alarm::{Alarm, GROWN_PAGES};
pub use self::keeper::{Keeper, Parts};
use super::database::Database;
use super::error::DbError;
use super::log::LogGeneration;

/// The longest that a checkpoint waits for others, and others for it.
pub const BUSY_CAP: Duration = Duration::from_millis(100);

/// How thorough a checkpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Checkpoint {
    /// Brings what no reader needs into the database file; nobody waits.
    Passive,
    /// The same, and shortens the log to nothing if no reader is in the way.
    Truncate,
}

impl Checkpoint {
    const fn sql(self) -> &'static str {
        match self {
            Self::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
            Self::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
        }
    }
}

/// What a checkpoint came to.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointReport {
    /// When it ended.
    pub at: jiff::Timestamp,
    /// How thorough it was.
    pub kind: Checkpoint,
    /// Whether another checkpoint, a writer or a reader kept it from its end.
    pub busy: bool,
    /// Frames (pages) in the log.
    pub frames: u64,
    /// Of these, those that are in the database file.
    pub checkpointed_frames: u64,
    /// How long it took.
    pub took: Duration,
}

impl CheckpointReport {
    /// Whether everything in the log is in the database file.
    pub fn is_complete(&self) -> bool {
        self.checkpointed_frames >= self.frames
    }
}

impl Database {
    /// Makes a checkpoint now. Blocking: writers wait at most 100 ms for a [`Checkpoint::Truncate`], and not at all for a
    /// [`Checkpoint::Passive`]. A reader that is in the way makes the report incomplete or busy; that is no error.
    ///
    /// # Errors
    /// [`DbError`]: no connection in time, an isolated file, or SQLite's code.
    pub fn checkpoint(&self, kind: Checkpoint) -> Result<CheckpointReport, DbError> {
        self.inner.keeper.checkpoint(kind)
    }

    /// Which write-ahead log is in use; `None` when that can't be told. What was committed before this was asked has left
    /// the log for the database file, synced, once another generation is seen or an empty one. Blocking, but short.
    pub fn log_generation(&self) -> Option<LogGeneration> {
        self.inner.health.log_generation()
    }
}

#[cfg(test)]
mod tests;
