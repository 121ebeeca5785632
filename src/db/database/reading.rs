//! Reading through the handle (floor 1): breaker permit, in place or on a thread, settle, repeat where that can help.

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::Database;
use crate::clock;
use crate::db::breaker::{BorrowedPermit, Outcome};
use crate::db::error::{DbError, ErrorKind};
use crate::db::operation::{Cost, Operation, Safe};
use crate::db::readers::ReadFailure;
use crate::db::retry::{Decision, Failed, GiveUp, RECOVERY, decide};
use crate::db::verdict::{Direction, verdict, worked};
use crate::db::wait;

impl Database {
    /// Reads. The query runs on a `query_only` connection and may be repeated. A [`Cost::Scan`] sees one snapshot;
    /// a [`Cost::Point`] read sees one for each statement and may run in place.
    ///
    /// # Errors
    /// [`DbError`]: nothing is ever changed by a read.
    #[track_caller]
    pub fn read<T, F>(&self, operation: Operation, query: F) -> impl Future<Output = Result<T, DbError>> + Send
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + Sync + 'static,
    {
        // Not `async` itself: where it was called from is known only to a plain function.
        self.read_for(Location::caller(), operation, query)
    }

    async fn read_for<T, F>(
        &self,
        site: &'static Location<'static>,
        operation: Operation,
        query: F,
    ) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + Sync + 'static,
    {
        let caller = self.caller(site);
        // One look at the clock serves all that begins here.
        let now = clock::now();
        let deadline = self.deadline(operation, now);
        self.inner.budget.earn();
        let number = self.inner.read_breaker.operation_number();
        let mut permit = self.read_permit(operation, number)?;
        let mut first = 1;
        if operation.cost == Cost::Point
            && let Some(done) = self.inner.readers.in_place(operation, &caller, now, &query)
        {
            // In place is over in milliseconds or goes to a thread.
            let done = done.map(|value| (value, Duration::ZERO));
            match self.settle_read(operation, permit, done) {
                Ok(value) => return Ok(value),
                Err(failure) => {
                    self.sleep(operation, self.pause(operation, deadline, failure, 1)?)
                        .await?
                }
            }
            permit = self.read_permit(operation, number)?;
            first = 2;
        }
        let query = Arc::new(query);
        for attempt in first.. {
            let done = self
                .inner
                .readers
                .on_thread(operation, &caller, deadline, Arc::clone(&query))
                .await;
            match self.settle_read(operation, permit, done) {
                Ok(value) => return Ok(value),
                Err(failure) => {
                    self.sleep(operation, self.pause(operation, deadline, failure, attempt)?)
                        .await?
                }
            }
            permit = self.read_permit(operation, number)?;
        }
        unreachable!("the loop ends by returning")
    }

    /// Sleeps between attempts, unless the database is closed meanwhile.
    pub(super) async fn sleep(&self, operation: Operation, delay: Duration) -> Result<(), DbError> {
        tokio::select! {
            // In this order, so that a simulation's run follows from its seed alone.
            biased;
            () = self.inner.writer.shared.stop.raised() => {
                Err(DbError::new(self.name(), operation.name, ErrorKind::ShuttingDown))
            }
            () = wait::sleep(delay) => Ok(()),
        }
    }

    /// Tells the breaker what became of an attempt and how long its step took: waits for a reader are not the database's.
    fn settle_read<T>(
        &self,
        operation: Operation,
        permit: BorrowedPermit<'_>,
        done: Result<(T, Duration), ReadFailure>,
    ) -> Result<T, ReadFailure> {
        match &done {
            Ok((_, took)) => permit.settle(worked(operation.name, *took, self.limit(operation))),
            Err(failure) => {
                let outcome = verdict(Direction::Read, &failure.error, failure.lock_budget_spent);
                if let Outcome::Isolate { cause } = &outcome {
                    self.inner.write_breaker.isolate(cause);
                }
                permit.settle(outcome);
            }
        }
        done.map(|(value, _)| value)
    }

    /// How long to wait before a failed read is repeated, or its error when it isn't.
    fn pause(
        &self,
        operation: Operation,
        deadline: Instant,
        failure: ReadFailure,
        attempt: u32,
    ) -> Result<Duration, DbError> {
        let error = failure.error;
        if error.kind == ErrorKind::Cancelled && self.is_closed() {
            return Err(DbError {
                kind: ErrorKind::ShuttingDown,
                ..error
            });
        }
        let name = error.class().map(|class| class.name);
        if name == Some("INTERRUPT") {
            return Err(DbError {
                kind: ErrorKind::DeadlineExceeded,
                ..error
            });
        }
        // Only what came from SQLite, and a connection that may be back in a moment; who wasn't admitted has waited.
        if name.is_none() && !failure.may_wait_again {
            return Err(error);
        }
        let now = clock::now();
        let failed = Failed {
            retry: error.retry(),
            // What would need it has isolated the file, and a read changes nothing to be doubtful about.
            is_repeatable: false,
            awaits_recovery: name == Some(RECOVERY),
            attempt,
            lock_budget_spent: failure.lock_budget_spent,
        };
        let why = match decide(&self.settings().retry, failed, now, deadline, fastrand::f64()) {
            Decision::After(delay) if self.inner.budget.spend(now) => {
                self.inner.writer.shared.metrics.retries.fetch_add(1, Ordering::Relaxed);
                self.inner.observer.retrying(&error, attempt, delay);
                return Ok(delay);
            }
            Decision::After(_) => GiveUp::Budget,
            Decision::GiveUp(why) => why,
        };
        self.inner.writer.shared.metrics.gave_up.fetch_add(1, Ordering::Relaxed);
        let operation = operation.name;
        Err(DbError { operation, ..error }.given_up(why))
    }

    /// Like [`Database::read`], with a substitute (and its age) when the database gives nothing.
    #[track_caller]
    pub fn read_or<T, F>(
        &self,
        operation: Operation,
        query: F,
        fallback: impl FnOnce() -> (T, Option<Duration>) + Send,
    ) -> impl Future<Output = Safe<T>> + Send
    where
        T: Send + 'static,
        F: Fn(&Connection) -> rusqlite::Result<T> + Send + Sync + 'static,
    {
        let reading = self.read_for(Location::caller(), operation, query);
        async move {
            match reading.await {
                Ok(value) => Safe::Value(value),
                Err(reason) => {
                    let (value, age) = fallback();
                    Safe::Fallback { value, reason, age }
                }
            }
        }
    }
}
