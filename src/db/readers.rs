//! Reading (floor 1): in place when that is quick, otherwise on a reader thread; never longer than the deadline.
//!
//! What must stay true: nothing that can wait for a lock, the pool or a long scan runs on the async worker; a reader
//! thread runs only for an admitted operation; a connection that saw trouble is poisoned before it goes back; a
//! caller that leaves stops its query. Called by `Database::read` and the probe.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::classify::{Impact, classify_error};
use super::connection::Guarded;
use super::deadline::{Limits, Scope};
use super::error::{DbError, ErrorKind};
use super::limiter::{Admission, Limiter};
use super::observe::Observer;
use super::operation::{Cost, Operation};
use super::pool::ConnectionPool;
use super::slow;
use super::wait;
use crate::clock;
use crate::config::OperationSettings;

/// Longest stay of a read on an async worker; past it the read starts anew on a thread.
const IN_PLACE: Duration = Duration::from_millis(2);

/// A read that is not back this long after its deadline hangs in the storage.
const HUNG_AFTER: Duration = Duration::from_secs(1);

/// The readers of one database.
pub struct Readers {
    pub(super) pool: ConnectionPool,
    pub(super) limiter: Limiter,
    pub(super) settings: OperationSettings,
    pub(super) connect_timeout: Duration,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) database: &'static str,
}

/// How one attempt went wrong.
pub struct ReadFailure {
    /// The error.
    pub error: DbError,
    /// Whether it waited its whole lock budget.
    pub lock_budget_spent: bool,
}

impl From<DbError> for ReadFailure {
    fn from(error: DbError) -> Self {
        Self {
            error,
            lock_budget_spent: false,
        }
    }
}

/// Raised when the future that waits for a reader thread is dropped.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Readers {
    /// Reads in place, if admission and a connection are free at once and the read is short. `None`: use a thread.
    pub fn in_place<T>(
        &self,
        operation: Operation,
        query: &dyn Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Option<Result<T, ReadFailure>> {
        let _place = self.limiter.try_admit()?;
        let mut connection = self.pool.try_checkout()?;
        let limits = Limits {
            deadline: clock::now() + IN_PLACE,
            lock_budget: Duration::ZERO,
            cancelled: None,
        };
        match self.run(operation, &mut connection, limits, query) {
            // Contention, an unfinished recovery or a read that isn't short: a thread can wait for it.
            Err(failure)
                if matches!(
                    failure.error.kind,
                    ErrorKind::Sqlite {
                        code: 5 | 9 | 261 | 262
                    }
                ) =>
            {
                None
            }
            done => Some(done),
        }
    }

    /// Reads on a thread, waiting for admission, a connection and locks until the deadline.
    pub async fn on_thread<T, F>(
        self: &Arc<Self>,
        operation: Operation,
        deadline: Instant,
        query: Arc<F>,
    ) -> Result<T, ReadFailure>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + Sync + 'static,
    {
        let patience = deadline
            .saturating_duration_since(clock::now())
            .min(self.connect_timeout);
        let Some(admission) = self.limiter.admit(patience).await else {
            let shown = format!("{} operations were ahead", self.limiter.in_use());
            return Err(DbError::new(self.database, operation.name, ErrorKind::PoolTimeout)
                .with_detail(shown)
                .into());
        };
        let cancel = CancelOnDrop(Arc::default());
        let cancelled = Arc::clone(&cancel.0);
        let readers = Arc::clone(self);
        let thread = wait::blocking(move || readers.admitted(operation, deadline, cancelled, &*query, admission));
        let failed = |kind| Err(DbError::new(self.database, operation.name, kind).into());
        // The statement deadline ends everything but I/O that hangs; then the thread keeps its place until it returns.
        match wait::until(deadline + HUNG_AFTER, thread).await {
            Ok(Ok(done)) => done,
            Ok(Err(_)) => failed(ErrorKind::Panicked),
            Err(_) => failed(ErrorKind::Stuck),
        }
    }

    fn admitted<T>(
        &self,
        operation: Operation,
        deadline: Instant,
        cancelled: Arc<AtomicBool>,
        query: &dyn Fn(&Connection) -> rusqlite::Result<T>,
        _admission: Admission,
    ) -> Result<T, ReadFailure> {
        let until = deadline.min(clock::now() + self.connect_timeout);
        let mut connection = self.pool.checkout(operation.name, until)?;
        let limits = Limits {
            deadline,
            lock_budget: self.settings.lock_timeout,
            cancelled: Some(cancelled),
        };
        if operation.cost == Cost::Point {
            return self.run(operation, &mut connection, limits, query);
        }
        // One snapshot for all statements of the operation.
        self.run(operation, &mut connection, limits, &|connection| {
            let snapshot = connection.unchecked_transaction()?;
            let value = query(&snapshot)?;
            snapshot.finish().map(|()| value)
        })
    }

    fn run<T>(
        &self,
        operation: Operation,
        connection: &mut Guarded,
        limits: Limits,
        query: &dyn Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, ReadFailure> {
        let scope = Scope::enter(limits);
        slow::collect_above(self.settings.slow_query);
        let outcome = catch_unwind(AssertUnwindSafe(|| query(connection)));
        for (sql, took) in slow::take() {
            self.observer.slow_statement(self.database, operation.name, &sql, took);
        }
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                let class = classify_error(&error);
                if matches!(class.impact, Impact::Failure | Impact::OpensWrite | Impact::Isolates) {
                    connection.poison();
                }
                let error = DbError::from_sqlite(self.database, operation.name, &error);
                Err(ReadFailure {
                    error,
                    lock_budget_spent: scope.lock_budget_spent(),
                })
            }
            Err(panic) => {
                connection.poison();
                let error = DbError::new(self.database, operation.name, ErrorKind::Panicked);
                Err(error.with_detail(panic_text(&*panic)).into())
            }
        }
    }
}

/// The message of a panic.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
