//! One job of a batch and the fence around it (floor 1): what it leaves behind when it isn't kept.
//!
//! What must stay true: a job's deadline and a stop are in force only while its own statements run; whoever goes on
//! after SQLite has rolled back is found out; a deferred violation is told to the job that made it; a job that isn't kept
//! leaves nothing. Called by `batch`.
//!
//! A savepoint around a job costs two statements and a copy of every page that it touches, and almost no job needs one:
//! it is kept, or it ran no statement that writes. So a batch is tried without them ([`Fencing::Open`]), and is rolled back
//! and run again with one around each job once a job that has written must be undone alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{CachedStatement, Connection, ffi};

use super::job::{Job, Ran};
use crate::clock;
use crate::db::active::{Active, Beginning};
use crate::db::classify::{Impact, Retry, classify_error, code_of};
use crate::db::connection::{Counter, counted};
use crate::db::deadline::Scope;
use crate::db::error::ErrorKind;
use crate::db::statements::{self, Statements};

/// Where what runs is told: who runs now, and what each statement took.
pub struct Watched<'a> {
    /// The operations that run.
    pub active: &'a Arc<Active>,
    /// The statements.
    pub statements: &'a Statements,
}

/// How one job ended, for its own reasons.
pub enum Own {
    Kept,
    Undone,
    Refused(rusqlite::Error),
    /// Refused, and it rolled the whole transaction back (`ON CONFLICT ROLLBACK`).
    RolledBack(rusqlite::Error),
    /// It went on after SQLite had rolled back, or ended the transaction itself: what it did then is not known.
    LeftTheTransaction,
    Panicked(String),
    /// At its deadline, or by an operator.
    Stopped(ErrorKind),
    /// It must be undone alone, has written, and has no savepoint.
    Unfenced,
}

/// Whether every job of an attempt has a savepoint of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fencing {
    /// None has.
    Open,
    /// Each has.
    Each,
}

/// Batches with savepoints after one that needed them: who fails once often fails again, and a batch that runs twice
/// costs more than its savepoints.
const FENCED: u32 = 64;

/// Which batches have savepoints.
#[derive(Debug, Default)]
pub struct Fences {
    left: u32,
}

impl Fences {
    /// For the next batch's first attempt.
    pub fn next(&mut self) -> Fencing {
        if self.left == 0 {
            return Fencing::Open;
        }
        self.left -= 1;
        Fencing::Each
    }

    /// A job had to be undone alone: for this batch's next attempt, and the batches after it.
    pub fn needed(&mut self) -> Fencing {
        self.left = FENCED;
        Fencing::Each
    }
}

/// What the jobs of one batch share: the statements around each, looked up once, and a deadline that never comes.
pub struct Fence<'a> {
    connection: &'a Connection,
    savepoints: Option<Savepoints<'a>>,
    far: Instant,
}

struct Savepoints<'a> {
    begin: CachedStatement<'a>,
    release: CachedStatement<'a>,
}

impl<'a> Fence<'a> {
    /// For a batch on this connection.
    ///
    /// # Errors
    /// SQLite's.
    pub fn on(connection: &'a Connection, fencing: Fencing) -> rusqlite::Result<Self> {
        let savepoints = || -> rusqlite::Result<Savepoints<'a>> {
            Ok(Savepoints {
                begin: connection.prepare_cached("SAVEPOINT job")?,
                release: connection.prepare_cached("RELEASE job")?,
            })
        };
        Ok(Self {
            connection,
            savepoints: (fencing == Fencing::Each).then(savepoints).transpose()?,
            far: far(),
        })
    }

    fn begin(&mut self) -> rusqlite::Result<()> {
        self.savepoints
            .as_mut()
            .map_or(Ok(()), |s| s.begin.execute([]).map(drop))
    }

    fn keep(&mut self) -> rusqlite::Result<Own> {
        if let Some(savepoints) = &mut self.savepoints {
            savepoints.release.execute([])?;
        }
        Ok(Own::Kept)
    }

    /// Undoes one job, for the reason it was refused or because it wants so.
    fn undo(&mut self, refused: Option<rusqlite::Error>) -> rusqlite::Result<Own> {
        if let Some(savepoints) = &mut self.savepoints {
            execute(self.connection, "ROLLBACK TO job")?;
            savepoints.release.execute([])?;
        } else if statements::has_written() {
            return Ok(Own::Unfenced);
        }
        Ok(refused.map_or(Own::Undone, Own::Refused))
    }
}

/// Runs a job behind its fence; an `Err` concerns the whole transaction. The job's deadline is in force for the job
/// alone: a savepoint's own statements must not fail because one caller is late.
pub fn run_one(
    fence: &mut Fence<'_>,
    job: &mut dyn Job,
    scope: &Scope,
    watched: &Watched<'_>,
) -> rusqlite::Result<Own> {
    if !job.turn().begin() {
        return Ok(Own::Stopped(ErrorKind::Cancelled));
    }
    let connection = fence.connection;
    fence.begin()?;
    scope.set_deadline(job.deadline());
    let (running, flag) = Active::begin(&**watched.active, &beginning(job), Some(connection));
    scope.set_cancelled(Some(flag));
    statements::now_for(job.operation().name);
    let ran = job.run(connection);
    if let Ran::Failed(error) = &ran {
        statements::failed(watched.statements, error);
    }
    let was_cancelled = watched.active.was_cancelled(running.id());
    // From here on it can't be stopped: neither its savepoint's end nor the others' work.
    drop(running);
    scope.set_cancelled(None);
    scope.set_deadline(fence.far);
    // SQLite has rolled everything back by itself, or the job ended the transaction: the batch is gone.
    let is_gone = connection.is_autocommit();
    match ran {
        Ran::Keep | Ran::Undo if is_gone => Ok(Own::LeftTheTransaction),
        Ran::Keep if has_deferred_violation(connection) => {
            let refused = Some(foreign_key_error());
            fence.undo(refused)
        }
        Ran::Keep => fence.keep(),
        Ran::Undo => fence.undo(None),
        Ran::Panicked(text) => Ok(Own::Panicked(text)),
        Ran::Failed(error) if code_of(&error) == Some(9) => Ok(Own::Stopped(if was_cancelled {
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
                (true, false) => fence.undo(Some(error)),
            }
        }
    }
}

/// Whether a deferred foreign key is violated. Asked after each job, because the COMMIT would fail for all of them, and
/// because a job that another one happens to mend would have failed in a transaction of its own.
fn has_deferred_violation(connection: &Connection) -> bool {
    counted(connection, Counter::DeferredViolations) > 0
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
pub fn far() -> Instant {
    clock::now() + Duration::from_secs(3600)
}

/// Runs a statement that every batch needs: prepared once a connection.
pub fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}
