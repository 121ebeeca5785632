//! Health (floor 1): what is kept between looks at the file. [`probe`] reads, writes and tells; [`watch`] keeps probing
//! and sees what happens to the file in between; [`isolation`] looks into a file that was isolated, and lets it back.
//!
//! What must stay true: a probe can fail; an isolated file is let back only after it was verified and is on the disk ([`durable`]).

mod after_gap;
mod durable;
pub(super) mod isolation;
pub(super) mod probe;
mod reindex;
mod watch;

use std::time::Duration;

use parking_lot::Mutex;

use self::isolation::Case;
use super::connection::Epoch;
use super::disk::Space;
use super::identity::Identity;
use super::log::{LogGeneration, WriteAheadLog};

pub use self::isolation::DamageReport;

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
    /// What was free on the file's disk.
    pub space: Option<Space>,
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
    case: Mutex<Case>,
}

impl Health {
    /// For the file that was opened.
    pub fn new(opened: Identity, epoch: Epoch, log: WriteAheadLog) -> Self {
        Self {
            opened,
            epoch,
            log,
            latest: Mutex::default(),
            case: Mutex::default(),
        }
    }

    /// What the latest probe found; `None` before the first.
    pub fn latest(&self) -> Option<ProbeReport> {
        self.latest.lock().clone()
    }

    /// Which write-ahead log is in use; `None` when that can't be told.
    pub fn log_generation(&self) -> Option<LogGeneration> {
        self.log.generation()
    }

    /// Holds the log as the copying of evidence does.
    #[cfg(test)]
    pub fn while_log_is_copied<T>(&self, done: impl FnOnce() -> T) -> T {
        self.log.with_anchor(|_| done())
    }

    /// What was found in an isolated file that can't be let back.
    pub fn damage(&self) -> Option<DamageReport> {
        self.case.lock().report.clone()
    }
}
