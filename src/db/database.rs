//! The database handle (floor 1): the only way in and out of an SQLite file.
//!
//! Order around an operation: deadline → admission → retry → breaker → pool → statement deadline. What must stay
//! true: every call ends by its deadline (plus, for a commit already begun, [`COMMIT_GRACE`]); a permit is settled
//! for each attempt; there is one retry layer. Anyone above floor 1 may call it; it knows nothing of them.

mod limits;
mod on_full_disk;
mod opening;
mod reading;
mod writing;

#[cfg(test)]
mod tests;

use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::active::{ActiveOperation, Caller, Cancel, OperationId};
use super::breaker::{BorrowedPermit, Breaker, KeptStates, Permit, Refusal};
use super::checkpoint::Keeper;
use super::error::{DbError, ErrorKind};
use super::gap::Gap;
use super::health::Health;
use super::migrations::Migration;
use super::observe::Observer;
use super::operation::{Operation, Origin};
use super::readers::Readers;
use super::retry::Budget;
use super::statements::Statements;
use super::writer::Writer;
use crate::clock::{self, SharedClock};
use crate::config::DatabaseSettings;

pub use limits::PoolChange;
pub use writing::COMMIT_GRACE;

/// What one database is.
#[derive(Debug, Clone)]
pub struct Options {
    /// `app` or `events`: the prefix of its breakers' names.
    pub name: &'static str,
    /// The file.
    pub path: PathBuf,
    /// SQLite's application_id of the file.
    pub application_id: i32,
    /// The schema.
    pub migrations: &'static [Migration],
    /// Limits.
    pub settings: DatabaseSettings,
}

pub(super) struct Inner {
    pub(super) options: Options,
    pub(super) clock: SharedClock,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) readers: Arc<Readers>,
    pub(super) writer: Writer,
    pub(super) read_breaker: Arc<Breaker>,
    pub(super) write_breaker: Arc<Breaker>,
    pub(super) kept: KeptStates,
    pub(super) budget: Arc<Budget>,
    pub(super) health: Health,
    pub(super) gap: Option<Gap>,
    pub(super) keeper: Keeper,
    pub(super) statements: Arc<Statements>,
    closed: AtomicBool,
}

/// A handle; clones share the database.
#[derive(Clone)]
pub struct Database {
    pub(super) inner: Arc<Inner>,
    origin: Option<Arc<Origin>>,
}

/// The error of a call that the breaker refused.
pub(super) fn refused(database: &'static str, operation: &'static str, refusal: Refusal) -> DbError {
    let Refusal {
        retry_after,
        cause,
        isolated,
    } = refusal;
    let cause_text = cause.text;
    let kind = if isolated {
        ErrorKind::Isolated { cause: cause_text }
    } else {
        ErrorKind::CircuitOpen {
            cause: cause_text,
            told: cause.told,
        }
    };
    DbError {
        retry_after,
        ..DbError::new(database, operation, kind)
    }
}

impl Database {
    /// The same database on behalf of a request: what its operations bring about is told with it.
    #[must_use]
    pub fn on_behalf_of(&self, origin: Arc<Origin>) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            origin: Some(origin),
        }
    }

    /// `app` or `events`.
    pub fn name(&self) -> &'static str {
        self.inner.options.name
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.inner.options.path
    }

    /// Its settings.
    pub fn settings(&self) -> &DatabaseSettings {
        &self.inner.options.settings
    }

    /// How long an operation may take.
    fn limit(&self, operation: Operation) -> Duration {
        let most = self.inner.options.settings.operation.timeout;
        operation.timeout.map_or(most, |own| own.min(most))
    }

    fn deadline(&self, operation: Operation, now: Instant) -> Instant {
        now + self.limit(operation)
    }

    fn caller(&self, site: &'static Location<'static>) -> Caller {
        Caller {
            site,
            origin: self.origin.clone(),
        }
    }

    /// The operations that run now, and the writes that wait for their turn or a lock, the oldest first. Reads that wait
    /// for admission aren't among them.
    pub fn active(&self) -> Vec<ActiveOperation> {
        self.inner.readers.active.list(clock::now())
    }

    /// Stops an operation; its caller gets [`ErrorKind::Cancelled`], and nothing was done. A write that waits hears of it
    /// when its turn comes or the attempt at the lock ends.
    pub fn cancel(&self, operation: OperationId) -> Cancel {
        self.inner.readers.active.cancel(operation)
    }

    fn permit(&self, breaker: &Arc<Breaker>, operation: Operation, number: u64) -> Result<Permit, DbError> {
        breaker
            .acquire(number, self.origin.as_ref())
            .map_err(|refusal| refused(self.name(), operation.name, refusal))
    }

    fn read_permit(&self, operation: Operation, number: u64) -> Result<BorrowedPermit<'_>, DbError> {
        if self.is_closed() {
            return Err(DbError::new(self.name(), operation.name, ErrorKind::ShuttingDown));
        }
        self.inner
            .read_breaker
            .borrow_permit(number, self.origin.as_ref())
            .map_err(|refusal| refused(self.name(), operation.name, refusal))
    }

    /// Whether a read would be let through now. Looks at the breaker only; no I/O.
    ///
    /// # Errors
    /// The refusal it would get, with the time to come back.
    pub fn admits_read(&self) -> Result<(), DbError> {
        self.inner
            .read_breaker
            .peek()
            .map_err(|refusal| refused(self.name(), "read", refusal))
    }

    /// Whether a write would be let through now. Looks at the breaker only; no I/O.
    ///
    /// # Errors
    /// The refusal it would get, with the time to come back.
    pub fn admits_write(&self) -> Result<(), DbError> {
        self.inner
            .write_breaker
            .peek()
            .map_err(|refusal| refused(self.name(), "write", refusal))
    }

    /// The two breakers: read, write.
    pub fn breakers(&self) -> [&Arc<Breaker>; 2] {
        [&self.inner.read_breaker, &self.inner.write_breaker]
    }

    fn is_closed(&self) -> bool {
        self.inner.closed.load(Ordering::Acquire)
    }

    /// The first part of [`Database::close`], while requests under way may still read: later writes are refused, sleeps
    /// between attempts end, what is queued reaches the disk within `patience`, and [`Database::watch`] ends. Blocking.
    pub fn drain(&self, patience: Duration) {
        self.inner.keeper.stop();
        self.inner.writer.close(patience);
    }

    /// Drains the writer, checkpoints and closes within `patience`; within as much again keeps the breakers' states for
    /// the next start, and saves a log that was deleted and isn't saved yet. Blocking. Later calls are refused; reads that still run once the writer is drained are
    /// stopped.
    pub fn close(&self, patience: Duration) {
        self.inner.closed.store(true, Ordering::Release);
        self.drain(patience);
        self.inner.readers.active.stop_reads();
        #[cfg(test)]
        if super::simulation::is_running() {
            return self.leave_in_order();
        }
        // On a thread of its own, which a disk that hangs may keep, but not the caller.
        let (done, kept) = std::sync::mpsc::channel::<()>();
        let database = self.clone();
        let keep = move || {
            database.leave_in_order();
            drop(done);
        };
        if let Err(error) = std::thread::Builder::new().spawn(keep) {
            tracing::warn!(%error, "the circuit breakers' states can't be kept");
        }
        let _ = kept.recv_timeout(patience);
    }

    /// What the next start wants to find, the short part first.
    fn leave_in_order(&self) {
        self.inner.kept.keep(&self.breakers());
        self.save_log_at_last();
    }
}
