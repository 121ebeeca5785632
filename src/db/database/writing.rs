//! Writing through the handle (floor 1): breaker permit, the writer's queue, and an answer that says what is certain.

use std::panic::Location;
use std::time::Duration;

use rusqlite::Connection;

use super::Database;
use crate::db::error::{DbError, ErrorKind};
use crate::db::operation::{Effect, Operation};
use crate::db::wait;
use crate::db::writer::Submitted;

/// How long a caller waits past its deadline for a commit that has already begun, before the outcome is unknown.
pub const COMMIT_GRACE: Duration = Duration::from_secs(2);

impl Database {
    /// Writes: the job is committed together with others, and answered after it is on disk. It runs in a savepoint
    /// of its own inside a shared transaction, may be run again from its start, and must not begin or commit.
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
        let deadline = self.deadline(operation);
        let number = self.inner.write_breaker.operation_number();
        let permit = self.permit(&self.inner.write_breaker, operation, number)?;
        self.inner.budget.lock().earn();
        let Submitted { mut answer, turn } =
            self.inner
                .writer
                .submit(operation, self.caller(site), deadline, permit, job)?;
        let error = |kind| DbError::new(self.name(), operation.name, kind);
        let gone = |_| Err(error(ErrorKind::OutcomeUnknown).with_detail("the writer ended"));
        if let Ok(answered) = wait::until(deadline, &mut answer).await {
            return answered.unwrap_or_else(gone);
        }
        if turn.cancel() {
            return Err(error(ErrorKind::NotBegun));
        }
        // Its statements stop by themselves, save where the progress handler isn't asked.
        self.inner.readers.active.stop_overdue(crate::clock::now());
        match wait::at_most(COMMIT_GRACE, answer).await {
            Ok(answered) => answered.unwrap_or_else(gone),
            Err(_) => Err(error(ErrorKind::OutcomeUnknown).with_detail("the commit did not end in time")),
        }
    }
}
