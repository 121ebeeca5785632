//! One attempt at one batch (floor 1): `BEGIN IMMEDIATE`, the jobs one after the other, one `COMMIT`.
//!
//! What must stay true: after every error it is checked whether SQLite has rolled the transaction back by itself,
//! because the next statement would otherwise commit on its own; a job that fails for its own reasons undoes only
//! itself; a job that panics or whose statement was interrupted costs the others one repetition and nothing else; what
//! is kept carries the number of its commit.

use std::time::Duration;

use rusqlite::{Connection, ffi};
use rustix::io::Errno;

use super::fence::{Fence, Fencing, Own, Watched, execute, far, run_one};
use super::gather::Arrivals;
use super::repeat::Jobs;
use crate::clock;
use crate::db::classify::{Impact, Told, classify_error};
use crate::db::connection::{Counter, Guarded, counted};
use crate::db::deadline::{Limits, Scope, lock_holder};
use crate::db::error::{DbError, ErrorKind};
use crate::db::internal::SET_SEQUENCE;
use crate::db::sequence::Sequence;

/// What an attempt came to.
pub enum Attempt {
    /// Committed.
    Committed(Committed),
    /// Rolled back because of the job at this index alone.
    Culprit(usize, DbError),
    /// Rolled back because of the database.
    Failed(BatchFailure),
    /// Rolled back because a job must be undone alone, for which each needs a savepoint.
    Unfenced,
}

/// One a job.
type Results = Vec<Result<(), DbError>>;

/// What ends the jobs' runs early.
enum Broken {
    /// The database.
    Batch(rusqlite::Error),
    /// One job, at this index, of this operation.
    Culprit(usize, &'static str, Own),
    /// One job that has no savepoint.
    Unfenced,
}

/// A committed batch.
pub struct Committed {
    /// One a job.
    pub results: Results,
    /// The commit's number; `None` when there was nothing to keep.
    pub sequence: Option<u64>,
    /// How long the jobs ran.
    pub work: Duration,
    /// How long the commit took.
    pub commit: Duration,
    /// Pages that were written to the log.
    pub pages: u64,
}

/// Why a whole batch failed.
pub struct BatchFailure {
    /// The error, naming the first job's operation.
    pub error: DbError,
    /// Whether the lock budget was waited for in vain.
    pub lock_budget_spent: bool,
    /// Whether it may have been committed all the same.
    pub outcome_unknown: bool,
}

/// What an attempt works with.
pub struct Bench<'a> {
    pub database: &'static str,
    pub connection: &'a mut Guarded,
    pub lock_budget: Duration,
    pub sequence: &'a mut Sequence,
    pub watched: Watched<'a>,
    pub fencing: Fencing,
}

/// Makes the attempt. `jobs` is not empty.
pub fn attempt(bench: &mut Bench<'_>, jobs: &mut Jobs, arrivals: Option<&mut Arrivals<'_>>) -> Attempt {
    let last_deadline = jobs.iter().map(|job| job.deadline()).max().unwrap_or_else(clock::now);
    let scope = Scope::enter(Limits {
        deadline: last_deadline,
        lock_budget: bench.lock_budget,
        cancelled: None,
    })
    .watching(bench.connection.holders());
    let made = bench.run_all(jobs, arrivals, &scope).unwrap_or_else(|other| other);
    let connection = &mut *bench.connection;
    if !matches!(made, Attempt::Committed(_))
        && !connection.is_autocommit()
        && connection.execute_batch("ROLLBACK").is_err()
    {
        connection.poison();
    }
    made
}

impl Bench<'_> {
    fn run_all(
        &mut self,
        jobs: &mut Jobs,
        arrivals: Option<&mut Arrivals<'_>>,
        scope: &Scope,
    ) -> Result<Attempt, Attempt> {
        let lead = jobs[0].operation().name;
        execute(self.connection, "BEGIN IMMEDIATE").map_err(|error| self.failed(lead, error, scope, false))?;
        let began = clock::now();
        let (results, sequence) = self.run_jobs(jobs, arrivals, scope)?;
        // From here on nothing may interrupt: a commit that was begun is carried to its end.
        scope.set_deadline(far());
        let worked = clock::now();
        self.commit(sequence)
            .map_err(|(error, unknown)| self.failed(lead, error, scope, unknown))?;
        self.connection
            .moved()
            .map_or(Ok(()), |what| Err(self.lost(lead, what)))?;
        Ok(Attempt::Committed(Committed {
            results,
            sequence,
            work: worked - began,
            commit: clock::now().saturating_duration_since(worked),
            pages: counted(self.connection, Counter::PagesWritten),
        }))
    }

    /// Runs them one after the other: what became of each, and the commit's number once one wants to be kept.
    fn run_jobs(
        &mut self,
        jobs: &mut Jobs,
        mut arrivals: Option<&mut Arrivals<'_>>,
        scope: &Scope,
    ) -> Result<(Results, Option<u64>), Attempt> {
        let lead = jobs[0].operation().name;
        let (mut results, mut sequence) = (Vec::with_capacity(jobs.len()), None);
        let mut run = || {
            let mut fence = Fence::on(self.connection, self.fencing).map_err(Broken::Batch)?;
            for index in 0.. {
                if index == jobs.len() {
                    match arrivals.as_mut().and_then(|arrivals| arrivals.next()) {
                        Some(job) => jobs.push(job),
                        None => break,
                    }
                }
                let job = &mut jobs[index];
                let own = run_one(&mut fence, job.as_mut(), scope, &self.watched).map_err(Broken::Batch)?;
                let operation = job.operation().name;
                results.push(match own {
                    Own::Kept => {
                        sequence.get_or_insert_with(|| self.sequence.next());
                        Ok(())
                    }
                    Own::Undone => Ok(()),
                    Own::Refused(error) => Err(DbError::from_sqlite(self.database, operation, &error)),
                    Own::Unfenced => return Err(Broken::Unfenced),
                    own => return Err(Broken::Culprit(index, operation, own)),
                });
            }
            Ok(())
        };
        match run() {
            Ok(()) => Ok((results, sequence)),
            Err(Broken::Batch(error)) => Err(self.failed(lead, error, scope, false)),
            Err(Broken::Unfenced) => Err(Attempt::Unfenced),
            Err(Broken::Culprit(index, operation, own)) => Err(Attempt::Culprit(index, self.culprit(operation, own))),
        }
    }

    /// Ends the transaction, with its number where it changed anything; the flag says whether a failure leaves open what
    /// became of it.
    fn commit(&self, sequence: Option<u64>) -> Result<(), (rusqlite::Error, bool)> {
        if let Some(sequence) = sequence {
            let number = sequence as i64;
            let mut set = self
                .connection
                .prepare_cached(SET_SEQUENCE)
                .map_err(|error| (error, false))?;
            set.execute([number]).map_err(|error| (error, false))?;
        }
        execute(self.connection, "COMMIT").map_err(|error| (error, true))
    }

    fn failed(&mut self, lead: &'static str, error: rusqlite::Error, scope: &Scope, outcome_unknown: bool) -> Attempt {
        let error = with_true_code(self.connection, error);
        crate::db::memory::relieve(self.database, &error, None);
        let class = classify_error(&error);
        let outcome_unknown = outcome_unknown && !is_certain(&error);
        // What became of a commit is asked on another connection.
        if outcome_unknown || matches!(class.impact, Impact::Failure | Impact::OpensWrite | Impact::Isolates) {
            self.connection.poison();
        }
        let holder = lock_holder(&error, scope, self.connection.holders(), true);
        Attempt::Failed(BatchFailure {
            outcome_unknown,
            error: DbError::from_sqlite(self.database, lead, &error).with_holder(holder),
            lock_budget_spent: scope.lock_budget_spent(),
        })
    }

    /// It was committed into a file that is no longer at its path: nobody is told that it is kept.
    fn lost(&mut self, lead: &'static str, cause: String) -> Attempt {
        self.connection.poison();
        Attempt::Failed(BatchFailure {
            error: DbError::new(self.database, lead, ErrorKind::Isolated { cause }),
            lock_budget_spent: false,
            outcome_unknown: true,
        })
    }

    /// The error of a job that takes the whole transaction with it.
    fn culprit(&mut self, operation: &'static str, own: Own) -> DbError {
        let error = |kind| DbError::new(self.database, operation, kind);
        match own {
            Own::Panicked(text) => {
                self.connection.poison();
                error(ErrorKind::Panicked).with_detail(text)
            }
            Own::Stopped(kind) => error(kind),
            Own::RolledBack(refused) => DbError::from_sqlite(self.database, operation, &refused),
            // What it did then is not known.
            _ => {
                self.connection.poison();
                error(ErrorKind::OutcomeUnknown).with_detail("the job went on outside its transaction")
            }
        }
    }
}

/// Whether a failed COMMIT has certainly committed nothing: full, busy and read-only are refused before the commit is
/// on disk; any other error may come after it.
fn is_certain(error: &rusqlite::Error) -> bool {
    let class = classify_error(error);
    matches!(class.told, Told::ReadOnly | Told::Busy) || class.impact == Impact::Success
}

/// The error under its true code. A quota or a file-size limit (EDQUOT, EFBIG) and a file system that turned read-only
/// reach SQLite as a failed write like any other, and only the system's number tells. A failed growth of the shared
/// memory is not among them: it may come after the commit is on disk. Must be asked before the connection is used again.
fn with_true_code(connection: &Connection, error: rusqlite::Error) -> rusqlite::Error {
    const IOERR_WRITE: i32 = 778;
    if crate::db::classify::code_of(&error) != Some(IOERR_WRITE) {
        return error;
    }
    // SAFETY: the handle belongs to this open connection, and the call only reads a number from it.
    let number = unsafe { ffi::sqlite3_system_errno(connection.handle()) };
    true_code(number).map_or(error, |(code, what)| {
        let number = std::io::Error::from_raw_os_error(number);
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(format!("{what} ({number})")))
    })
}

/// What the system's number says of a failed write; it is 0 where the system has none to say.
fn true_code(number: i32) -> Option<(i32, &'static str)> {
    let is = |errno: Errno| number == errno.raw_os_error();
    if is(Errno::DQUOT) || is(Errno::FBIG) {
        Some((ffi::SQLITE_FULL, "a quota or file-size limit was reached"))
    } else if is(Errno::ROFS) {
        Some((ffi::SQLITE_READONLY, "the file system is read-only"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_number_tells_a_quota_from_a_broken_disk() {
        let code = |number| true_code(number).map(|(code, _)| code);
        assert_eq!(code(Errno::DQUOT.raw_os_error()), Some(ffi::SQLITE_FULL));
        assert_eq!(code(Errno::FBIG.raw_os_error()), Some(ffi::SQLITE_FULL));
        assert_eq!(code(Errno::ROFS.raw_os_error()), Some(ffi::SQLITE_READONLY));
        assert_eq!(code(Errno::IO.raw_os_error()), None);
        assert_eq!(code(0), None, "nothing came from the system");
    }
}
