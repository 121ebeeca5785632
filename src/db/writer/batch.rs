//! One attempt at one batch (floor 1): `BEGIN IMMEDIATE`, each job in its own savepoint, one `COMMIT`.
//!
//! What must stay true: after every error it is checked whether SQLite has rolled the transaction back by itself,
//! because the next statement would otherwise commit on its own; a job that fails for its own reasons undoes only
//! itself; a job that panics or whose statement was interrupted costs the others one repetition and nothing else.

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
use crate::db::statements::{self, Statements};

/// What an attempt came to.
pub enum Attempt {
    /// Committed; one result a job.
    Committed(Vec<Result<(), DbError>>),
    /// Rolled back because of the job at this index alone.
    Culprit(usize, DbError),
    /// Rolled back because of the database.
    Failed(BatchFailure),
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

/// Where what runs is told: who runs now, and what each statement took.
pub struct Watched<'a> {
    /// The operations that run.
    pub active: &'a Arc<Active>,
    /// The statements.
    pub statements: &'a Statements,
}

/// Makes the attempt. `jobs` is not empty.
pub fn attempt(
    database: &'static str,
    connection: &mut Guarded,
    jobs: &mut [Box<dyn Job>],
    lock_budget: Duration,
    watched: &Watched<'_>,
) -> Attempt {
    let last_deadline = jobs.iter().map(|job| job.deadline()).max().unwrap_or_else(clock::now);
    let scope = Scope::enter(Limits {
        deadline: last_deadline,
        lock_budget,
        cancelled: None,
    })
    .watching(connection.holders());
    let made = run_all(database, connection, jobs, &scope, watched);
    if !matches!(made, Attempt::Committed(_))
        && !connection.is_autocommit()
        && connection.execute_batch("ROLLBACK").is_err()
    {
        connection.poison();
    }
    made
}

fn run_all(
    database: &'static str,
    connection: &mut Guarded,
    jobs: &mut [Box<dyn Job>],
    scope: &Scope,
    watched: &Watched<'_>,
) -> Attempt {
    let lead = jobs[0].operation().name;
    let failed = |connection: &mut Guarded, error: rusqlite::Error, outcome_unknown: bool| {
        let error = with_true_code(connection, error);
        let class = classify_error(&error);
        let outcome_unknown = outcome_unknown && !is_certain(&error);
        if matches!(class.impact, Impact::Failure | Impact::OpensWrite | Impact::Isolates) {
            connection.poison();
        }
        let holder = lock_holder(&error, scope, connection.holders(), true);
        let error = DbError::from_sqlite(database, lead, &error).with_holder(holder);
        Attempt::Failed(BatchFailure {
            error,
            lock_budget_spent: scope.lock_budget_spent(),
            outcome_unknown,
        })
    };
    if let Err(error) = execute(connection, "BEGIN IMMEDIATE") {
        return failed(connection, error, false);
    }
    let mut results = Vec::with_capacity(jobs.len());
    for (index, job) in jobs.iter_mut().enumerate() {
        match run_one(connection, job.as_mut(), scope, watched) {
            Ok(Own::Done) => results.push(Ok(())),
            Ok(Own::Refused(error)) => results.push(Err(DbError::from_sqlite(database, job.operation().name, &error))),
            Ok(Own::Panicked(text)) => {
                connection.poison();
                let error = DbError::new(database, job.operation().name, ErrorKind::Panicked).with_detail(text);
                return Attempt::Culprit(index, error);
            }
            Ok(Own::Stopped(kind)) => {
                let error = DbError::new(database, job.operation().name, kind);
                return Attempt::Culprit(index, error);
            }
            Ok(Own::RolledBack(error)) => {
                return Attempt::Culprit(index, DbError::from_sqlite(database, job.operation().name, &error));
            }
            Ok(Own::LeftTheTransaction) => {
                connection.poison();
                let error = DbError::new(database, job.operation().name, ErrorKind::OutcomeUnknown);
                return Attempt::Culprit(index, error.with_detail("the job went on outside its transaction"));
            }
            Err(error) => return failed(connection, error, false),
        }
    }
    // From here on nothing may interrupt: a commit that was begun is carried to its end.
    scope.set_deadline(far());
    match execute(connection, "COMMIT") {
        Ok(()) => Attempt::Committed(results),
        Err(error) => failed(connection, error, true),
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
    // Compared as plain numbers: SQLite may have none (0), which `Errno::from_raw_os_error` panics at.
    let is = |errno: Errno| errno.raw_os_error() == number;
    let (code, what) = if is(Errno::DQUOT) || is(Errno::FBIG) {
        (ffi::SQLITE_FULL, "a quota or file-size limit was reached")
    } else if is(Errno::ROFS) {
        (ffi::SQLITE_READONLY, "the file system is read-only")
    } else {
        return error;
    };
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(format!("{what} ({number})")))
}

/// How one job ended, for its own reasons.
enum Own {
    Done,
    Refused(rusqlite::Error),
    /// Refused, and it rolled the whole transaction back (`ON CONFLICT ROLLBACK`).
    RolledBack(rusqlite::Error),
    /// It went on after SQLite had rolled back, or ended the transaction itself: what it did then is not known.
    LeftTheTransaction,
    Panicked(String),
    /// At its deadline, or by an operator.
    Stopped(ErrorKind),
}

/// Runs a job in its savepoint; an `Err` concerns the whole transaction. The job's deadline is in force for the job
/// alone: a savepoint's own statements must not fail because one caller is late.
fn run_one(connection: &Connection, job: &mut dyn Job, scope: &Scope, watched: &Watched<'_>) -> rusqlite::Result<Own> {
    execute(connection, "SAVEPOINT job")?;
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
        Ran::Keep => execute(connection, "RELEASE job").map(|()| Own::Done),
        Ran::Undo => undo(connection).map(|()| Own::Done),
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
                (true, false) => undo(connection).map(|()| Own::Refused(error)),
            }
        }
    }
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

fn undo(connection: &Connection) -> rusqlite::Result<()> {
    execute(connection, "ROLLBACK TO job")?;
    execute(connection, "RELEASE job")
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}
