//! Writing through the handle (floor 1): breaker permit, the writer's queue, and an answer that says what is certain.

use std::panic::Location;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Database;
use crate::clock;
use crate::db::active::Job;
use crate::db::breaker::Permit;
use crate::db::error::{DbError, ErrorKind};
use crate::db::idempotency::{self, Answered, Once};
use crate::db::operation::{Effect, Operation};
use crate::db::verdict::{Direction, verdict};
use crate::db::wait;
use crate::db::writer::{Submitted, Turn};

/// How long a caller waits past its deadline for a commit that has already begun, before the outcome is unknown.
pub const COMMIT_GRACE: Duration = Duration::from_secs(2);

impl Database {
    /// Writes: the job is committed together with others, and answered after it is on disk. Its changes are kept or
    /// undone apart from those of the others; it may be run again from its start, and must not begin or commit.
    ///
    /// # Errors
    /// [`DbError`]; [`ErrorKind::OutcomeUnknown`] when it may have been committed, otherwise nothing was done.
    #[track_caller]
    pub fn write<T, F>(&self, operation: Operation, job: F) -> impl Future<Output = Result<T, DbError>> + Send
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<Effect<T>> + Send + 'static,
    {
        self.write_for(Location::caller(), operation, job)
    }

    async fn write_for<T, F>(
        &self,
        site: &'static Location<'static>,
        operation: Operation,
        job: F,
    ) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<Effect<T>> + Send + 'static,
    {
        let deadline = self.deadline(operation, crate::clock::now());
        self.inner.budget.earn();
        let permit = self.write_permit(operation, deadline).await?;
        let permit = self.unless_stuck(operation, permit)?;
        let number = permit.operation();
        let (caller, started) = (self.caller(site), clock::now());
        let Submitted { mut answer, turn } =
            self.inner
                .writer
                .submit(operation, caller.clone(), deadline, permit, job)?;
        let _awaited = self.inner.readers.active.awaits(Job {
            operation: operation.name,
            caller,
            started,
            deadline,
            turn: turn.clone(),
        });
        let error = |kind| DbError::new(self.name(), operation.name, kind);
        let gone = |_| {
            // It was dropped unanswered. One that was never begun, or was rolled back, can't take effect any more.
            let kind = if turn.cancel() {
                ErrorKind::Panicked
            } else {
                ErrorKind::OutcomeUnknown
            };
            Err(error(kind).with_detail("the writer failed"))
        };
        if let Ok(answered) = wait::until(deadline, &mut answer).await {
            return answered
                .unwrap_or_else(gone)
                .map_err(|error| as_cancelled(error, &turn));
        }
        if turn.cancel() {
            self.count_stuck(operation, number, self.settings().operation.timeout);
            return Err(error(ErrorKind::NotBegun));
        }
        // Its statements stop by themselves, save where the progress handler isn't asked.
        self.inner.readers.active.stop_overdue(clock::now());
        match wait::at_most(COMMIT_GRACE, answer).await {
            Ok(answered) => answered.unwrap_or_else(gone),
            Err(_) => {
                self.count_stuck(operation, number, COMMIT_GRACE);
                Err(error(ErrorKind::OutcomeUnknown).with_detail("the commit did not end in time"))
            }
        }
    }

    /// Writes once however often it is called: a call with a key that was used before gets the first call's answer,
    /// without running the job. The answer is kept in the transaction of the job's effect, for 24 hours and as long as
    /// the ledger's bounds allow (100,000 answers, 64 MiB). An outcome that isn't known is settled by repeating the job
    /// within the deadline; after that, by calling again with the same key. What a job rolled back is not kept.
    ///
    /// # Errors
    /// [`DbError`], as [`Database::write`]. A key that belongs to another request is no error: [`Answered::Mismatch`].
    #[track_caller]
    pub fn write_once<T, F>(
        &self,
        operation: Operation,
        once: Once,
        mut job: F,
    ) -> impl Future<Output = Result<Answered<T>, DbError>> + Send
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<Effect<T>> + Send + 'static,
    {
        let now_ms = clock::epoch_ms(self.inner.clock.wall());
        let mut has_run = false;
        let job = move |connection: &Connection| idempotency::run(connection, &once, now_ms, &mut has_run, &mut job);
        self.write_for(Location::caller(), operation.idempotent(), job)
    }

    /// A permit; a patient operation waits for one where the breaker says when, and that lies before its deadline.
    async fn write_permit(&self, operation: Operation, deadline: Instant) -> Result<Permit, DbError> {
        let number = self.inner.write_breaker.operation_number();
        loop {
            let refused = match self.permit(&self.inner.write_breaker, operation, number) {
                Ok(permit) => return Ok(permit),
                Err(refused) => refused,
            };
            let fits = |after: &Duration| clock::now() + *after < deadline;
            let Some(after) = refused.retry_after.filter(fits).filter(|_| operation.is_patient) else {
                return Err(refused);
            };
            self.sleep(operation, after.max(Duration::from_millis(1))).await?;
        }
    }

    /// Refuses at once while the writer's thread hangs in an attempt for longer than any caller would wait.
    fn unless_stuck(&self, operation: Operation, permit: Permit) -> Result<Permit, DbError> {
        let longest = self.settings().operation.timeout + COMMIT_GRACE;
        if !self.inner.writer.shared.underway.is_longer_than(longest) {
            return Ok(permit);
        }
        let error = DbError::new(self.name(), operation.name, ErrorKind::Stuck);
        permit.settle(verdict(Direction::Write, &error, false));
        Err(error)
    }

    /// A caller waited in vain: where the writer's thread has been in one attempt for at least `limit`, the storage or a
    /// job hangs, and the breaker hears of it, since the thread can't tell: either way nobody's write comes back.
    fn count_stuck(&self, operation: Operation, number: u64, limit: Duration) {
        if !self.inner.writer.shared.underway.is_longer_than(limit) {
            return;
        }
        let error = DbError::new(self.name(), operation.name, ErrorKind::Stuck);
        if let Ok(permit) = self.permit(&self.inner.write_breaker, operation, number) {
            permit.settle(verdict(Direction::Write, &error, false));
        }
    }
}

/// A write that was not begun because somebody wanted it stopped: not its caller, who still waits.
fn as_cancelled(error: DbError, turn: &Turn) -> DbError {
    let kind = match error.kind {
        ErrorKind::NotBegun if turn.is_taken_back() => ErrorKind::Cancelled,
        kind => kind,
    };
    DbError { kind, ..error }
}
