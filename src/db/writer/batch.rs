//! One attempt at one batch (floor 1): `BEGIN IMMEDIATE`, the jobs one after the other, one `COMMIT`.
//!
//! What must stay true: after every error it is checked whether SQLite has rolled the transaction back by itself,
//! because the next statement would otherwise commit on its own; a job that fails for its own reasons undoes only
//! itself; a job that panics or whose statement was interrupted costs the others one repetition and nothing else; what
//! is kept carries the number of its commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ffi};

use super::job::{Job, Ran};
use crate::clock;
use crate::db::active::{Active, Beginning};
use crate::db::classify::{Impact, Retry, Told, classify_error};
use crate::db::connection::Guarded;
use crate::db::deadline::{Limits, Scope, lock_holder};
use crate::db::error::{DbError, ErrorKind};
use crate::db::internal::SET_SEQUENCE;
use crate::db::sequence::Sequence;
use crate::db::statements::{self, Statements};

/// What an attempt came to.
pub enum Attempt {
    /// Committed.
    Committed(Committed),
    /// Rolled back because of the job at this index alone.
    Culprit(usize, DbError),
    /// Rolled back because one job must be undone without the others, which takes savepoints.
    NeedsSavepoints,
    /// Rolled back because of the database.
    Failed(BatchFailure),
}

/// A committed batch.
pub struct Committed {
    /// One a job.
    pub results: Vec<Result<(), DbError>>,
    /// The commit's number; `None` when there was nothing to keep.
    pub sequence: Option<u64>,
    /// How long the jobs ran.
    pub work: Duration,
    /// How long the commit took.
    pub commit: Duration,
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

/// How one job's changes are kept apart from those of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    /// Not at all: almost every job is kept, and a batch with one that isn't is run again with savepoints. It saves two
    /// statements and the copies of pages that a savepoint makes.
    Transaction,
    /// Each in its savepoint.
    Savepoints,
}

/// Where what runs is told: who runs now, and what each statement took.
pub struct Watched<'a> {
    /// The operations that run.
    pub active: &'a Arc<Active>,
    /// The statements.
    pub statements: &'a Statements,
}

/// What an attempt works with.
pub struct Bench<'a> {
    pub database: &'static str,
    pub connection: &'a mut Guarded,
    pub lock_budget: Duration,
    pub fence: Fence,
    pub sequence: &'a mut Sequence,
    pub watched: Watched<'a>,
}

/// Makes the attempt. `jobs` is not empty.
pub fn attempt(mut bench: Bench<'_>, jobs: &mut [Box<dyn Job>]) -> Attempt {
    let last_deadline = jobs.iter().map(|job| job.deadline()).max().unwrap_or_else(clock::now);
    let scope = Scope::enter(Limits {
        deadline: last_deadline,
        lock_budget: bench.lock_budget,
        cancelled: None,
    })
    .watching(bench.connection.holders());
    let made = bench.run_all(jobs, &scope).unwrap_or_else(|other| other);
    let connection = bench.connection;
    if !matches!(made, Attempt::Committed(_))
        && !connection.is_autocommit()
        && connection.execute_batch("ROLLBACK").is_err()
    {
        connection.poison();
    }
    made
}

impl Bench<'_> {
    fn run_all(&mut self, jobs: &mut [Box<dyn Job>], scope: &Scope) -> Result<Attempt, Attempt> {
        let lead = jobs[0].operation().name;
        execute(self.connection, "BEGIN IMMEDIATE").map_err(|error| self.failed(lead, error, scope, false))?;
        let (began, alone) = (clock::now(), jobs.len() == 1);
        let (mut results, mut sequence) = (Vec::with_capacity(jobs.len()), None);
        for (index, job) in jobs.iter_mut().enumerate() {
            let ran = run_one(self.connection, job.as_mut(), scope, self.fence, &self.watched);
            let own = ran.map_err(|error| self.failed(lead, error, scope, false))?;
            let operation = job.operation().name;
            results.push(match own {
                Own::Kept => {
                    sequence.get_or_insert_with(|| self.sequence.next());
                    Ok(())
                }
                Own::Undone => Ok(()),
                Own::Refused(error) => Err(DbError::from_sqlite(self.database, operation, &error)),
                // Alone, all there is to undo is the transaction: it ends below without anything to commit.
                Own::Unfenced(error) if alone => {
                    let undone = execute(self.connection, "ROLLBACK");
                    undone.map_err(|error| self.failed(lead, error, scope, false))?;
                    error.map_or(Ok(()), |error| {
                        Err(DbError::from_sqlite(self.database, operation, &error))
                    })
                }
                Own::Unfenced(_) => return Err(Attempt::NeedsSavepoints),
                own => return Err(Attempt::Culprit(index, self.culprit(operation, own))),
            });
        }
        // From here on nothing may interrupt: a commit that was begun is carried to its end.
        scope.set_deadline(far());
        let worked = clock::now();
        self.commit(sequence)
            .map_err(|(error, unknown)| self.failed(lead, error, scope, unknown))?;
        Ok(Attempt::Committed(Committed {
            results,
            sequence,
            work: worked - began,
            commit: worked.elapsed(),
        }))
    }

    /// Ends the transaction, with its number where it changed anything; the flag says whether a failure leaves open what
    /// became of it.
    fn commit(&self, sequence: Option<u64>) -> Result<(), (rusqlite::Error, bool)> {
        if self.connection.is_autocommit() {
            return Ok(());
        }
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
    use rustix::io::Errno;
    const IOERR_WRITE: i32 = 778;
    if crate::db::classify::code_of(&error) != Some(IOERR_WRITE) {
        return error;
    }
    // SAFETY: the handle belongs to this open connection, and the call only reads a number from it.
    let number = unsafe { ffi::sqlite3_system_errno(connection.handle()) };
    let number = Errno::from_raw_os_error(number);
    let (code, what) = match number {
        Errno::DQUOT | Errno::FBIG => (ffi::SQLITE_FULL, "a quota or file-size limit was reached"),
        Errno::ROFS => (ffi::SQLITE_READONLY, "the file system is read-only"),
        _ => return error,
    };
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(format!("{what} ({number})")))
}

/// How one job ended, for its own reasons.
enum Own {
    Kept,
    Undone,
    Refused(rusqlite::Error),
    /// It must be undone or was refused, and there is no savepoint to go back to.
    Unfenced(Option<rusqlite::Error>),
    /// Refused, and it rolled the whole transaction back (`ON CONFLICT ROLLBACK`).
    RolledBack(rusqlite::Error),
    /// It went on after SQLite had rolled back, or ended the transaction itself: what it did then is not known.
    LeftTheTransaction,
    Panicked(String),
    /// At its deadline, or by an operator.
    Stopped(ErrorKind),
}

/// Runs a job behind its fence; an `Err` concerns the whole transaction. The job's deadline is in force for the job
/// alone: a savepoint's own statements must not fail because one caller is late.
fn run_one(
    connection: &Connection,
    job: &mut dyn Job,
    scope: &Scope,
    fence: Fence,
    watched: &Watched<'_>,
) -> rusqlite::Result<Own> {
    if fence == Fence::Savepoints {
        execute(connection, "SAVEPOINT job")?;
    }
    scope.set_deadline(job.deadline());
    let running = watched.active.begin(&beginning(job), Some(connection));
    scope.set_cancelled(Some(running.flag()));
    statements::now_for(job.operation().name);
    let ran = job.run(connection);
    if let Ran::Failed(error) = &ran {
        statements::failed(watched.statements, error);
    }
    let was_cancelled = running.was_cancelled();
    // From here on it can't be stopped: neither its savepoint's end nor the others' work.
    drop(running);
    scope.set_cancelled(None);
    scope.set_deadline(far());
    // SQLite has rolled everything back by itself, or the job ended the transaction: the batch is gone.
    let is_gone = connection.is_autocommit();
    match ran {
        Ran::Keep | Ran::Undo if is_gone => Ok(Own::LeftTheTransaction),
        Ran::Keep if has_deferred_violation(connection) => {
            let refused = Some(foreign_key_error());
            undo(connection, fence, refused)
        }
        Ran::Keep if fence == Fence::Transaction => Ok(Own::Kept),
        Ran::Keep => execute(connection, "RELEASE job").map(|()| Own::Kept),
        Ran::Undo => undo(connection, fence, None),
        Ran::Panicked(text) => Ok(Own::Panicked(text)),
        Ran::Failed(error) if crate::db::classify::code_of(&error) == Some(9) => Ok(Own::Stopped(if was_cancelled {
            ErrorKind::Cancelled
        } else {
            ErrorKind::DeadlineExceeded
        })),
        Ran::Failed(error) => {
            let class = classify_error(&error);
            let own = class.retry == Retry::Never && matches!(class.impact, Impact::Ignored | Impact::Success);
            match (own, is_gone) {
                (false, _) => Err(error),
                (true, true) => Ok(Own::RolledBack(error)),
                (true, false) => undo(connection, fence, Some(error)),
            }
        }
    }
}

/// Whether a deferred foreign key is violated. Asked after each job, because the COMMIT would fail for all of them, and
/// because a job that another one happens to mend would have failed in a transaction of its own.
fn has_deferred_violation(connection: &Connection) -> bool {
    let (mut violated, mut highest) = (0, 0);
    // SAFETY: the handle belongs to this open connection; the call writes two numbers.
    unsafe {
        let wanted = ffi::SQLITE_DBSTATUS_DEFERRED_FKS;
        ffi::sqlite3_db_status(connection.handle(), wanted, &raw mut violated, &raw mut highest, 0);
    }
    violated != 0
}

/// What the job's own COMMIT would have said.
fn foreign_key_error() -> rusqlite::Error {
    let code = ffi::Error::new(ffi::SQLITE_CONSTRAINT_FOREIGNKEY);
    rusqlite::Error::SqliteFailure(code, Some("FOREIGN KEY constraint failed".to_owned()))
}

fn beginning(job: &dyn Job) -> Beginning<'_> {
    Beginning {
        operation: job.operation().name,
        writes: true,
        snapshot: true,
        caller: job.caller(),
        now: clock::now(),
        deadline: job.deadline(),
    }
}

/// Later than anything that is carried to its end.
fn far() -> Instant {
    clock::now() + Duration::from_secs(3600)
}

/// Undoes one job, where its fence allows, for the reason it was refused or because it wants so.
fn undo(connection: &Connection, fence: Fence, refused: Option<rusqlite::Error>) -> rusqlite::Result<Own> {
    if fence == Fence::Transaction {
        return Ok(Own::Unfenced(refused));
    }
    execute(connection, "ROLLBACK TO job")?;
    execute(connection, "RELEASE job")?;
    Ok(refused.map_or(Own::Undone, Own::Refused))
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}
