//! What SQLite tells of each run (floor 1): its start, its rows and its end, timed here.
//!
//! SQLite's own times are whole milliseconds, so the clock is read at both events. The callback's context is the
//! connection's [`Statements`]; what belongs to the operation lies in a thread-local that [`Watch`] sets.
//! What must stay true: a statement outside a [`Watch`] isn't counted (configuring, checking a connection); nothing
//! here panics into C; counters are reset after every run, because a cached statement runs again.
//! Its time is that of its steps and of what the caller does with its rows in between: SQLite tells of no step's end.

use std::cell::RefCell;
use std::ffi::{CStr, c_int, c_uint, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ffi};

use super::figures::Sample;
use super::registry::{Ran, Statement, Statements};
use crate::clock;
use crate::db::classify::code_of;
use crate::db::deadline::stopped_to_run_again;

/// Those around every job of the writer, which are nobody's statements: not even timed.
const FENCE: [&CStr; 2] = [c"SAVEPOINT job", c"RELEASE job"];
/// Slow statements kept of one operation.
const MOST_SLOW: usize = 8;

struct Running {
    statement: *mut ffi::sqlite3_stmt,
    began: Instant,
    rows: u64,
    changes: i64,
}

/// A slow run.
pub struct Slow {
    /// Of which statement.
    pub statement: Arc<Statement>,
    /// Which operation ran it.
    pub operation: &'static str,
    /// The run.
    pub sample: Sample,
}

#[derive(Default)]
struct Run {
    operation: Option<&'static str>,
    running: Vec<Running>,
    slow: Vec<Slow>,
    /// The text of the statement that ended last.
    last: Vec<u8>,
    /// Whether a statement that writes has begun for the present operation.
    has_written: bool,
    begin: Duration,
    commit: Duration,
}

thread_local! {
    static RUN: RefCell<Run> = RefCell::default();
}

/// Statements on this thread belong to an operation while this lives.
#[must_use]
pub struct Watch {
    // Bound to the thread whose statements it names.
    _not_send: std::marker::PhantomData<*const ()>,
}

/// What a [`Watch`] saw.
pub struct Watched {
    /// Its slow runs.
    pub slow: Vec<Slow>,
    /// How long `BEGIN` waited for the write lock.
    pub begin: Duration,
    /// How long `COMMIT` took.
    pub commit: Duration,
}

impl Watch {
    /// Of this operation from now on.
    pub fn enter(operation: &'static str) -> Self {
        RUN.with_borrow_mut(|run| {
            run.operation = Some(operation);
            run.running.clear();
            run.slow.clear();
            run.last.clear();
            (run.begin, run.commit) = (Duration::ZERO, Duration::ZERO);
        });
        Self {
            _not_send: std::marker::PhantomData,
        }
    }

    /// What was seen since it was entered, once.
    pub fn take(&self) -> Watched {
        RUN.with_borrow_mut(|run| Watched {
            slow: std::mem::take(&mut run.slow),
            begin: run.begin,
            commit: run.commit,
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        RUN.with_borrow_mut(|run| run.operation = None);
    }
}

/// Runs what stands for another thread: what is watched here is set aside meanwhile.
#[cfg(test)]
pub fn aside<T>(other: impl FnOnce() -> T) -> T {
    let run = RUN.take();
    let done = other();
    RUN.set(run);
    done
}

/// The statements that follow in the present [`Watch`] are another operation's.
pub fn now_for(operation: &'static str) {
    RUN.with_borrow_mut(|run| {
        run.operation = Some(operation);
        run.last.clear();
        run.has_written = false;
    });
}

/// Whether any statement that is not read-only has begun since [`now_for`], whatever became of it.
pub fn has_written() -> bool {
    RUN.with_borrow(|run| run.has_written)
}

/// Counts an operation's error for its statement: for one that could not be prepared the text is in the error, and
/// otherwise it is the statement that ended last. An operation that goes on after an error and then fails without
/// one of its statements failing is not told apart from that.
pub fn failed(statements: &Statements, error: &rusqlite::Error) {
    let Some(code) = code_of(error) else { return };
    let (operation, last) = RUN.with_borrow(|run| (run.operation, run.last.clone()));
    let Some(operation) = operation else { return };
    match error {
        rusqlite::Error::SqlInputError { sql, .. } => statements.failed(sql.as_bytes(), code, operation),
        _ if last.is_empty() => {}
        _ => statements.failed(&last, code, operation),
    }
}

/// Has SQLite tell of every run on the connection.
///
/// The pointer to `statements` stays with the connection: the caller keeps the `Arc` for longer than that.
pub fn watch(connection: &Connection, statements: &Arc<Statements>) {
    let mask = ffi::SQLITE_TRACE_STMT | ffi::SQLITE_TRACE_PROFILE | ffi::SQLITE_TRACE_ROW;
    let context = Arc::as_ptr(statements).cast_mut().cast::<c_void>();
    // SAFETY: the handle is that of an open connection. The callback has the type SQLite wants, and its context is valid
    // for as long as the connection (see above); it only ever reads through it.
    unsafe {
        ffi::sqlite3_trace_v2(connection.handle(), mask, Some(traced), context);
    }
}

unsafe extern "C" fn traced(event: c_uint, context: *mut c_void, statement: *mut c_void, more: *mut c_void) -> c_int {
    let told = AssertUnwindSafe(|| {
        let statement = statement.cast::<ffi::sqlite3_stmt>();
        RUN.with_borrow_mut(|run| match (run.operation, event) {
            (None, _) => {}
            (Some(_), ffi::SQLITE_TRACE_ROW) => run.row(statement),
            // SAFETY: for these events SQLite hands out the running statement, and with the first its text.
            (Some(_), ffi::SQLITE_TRACE_STMT) => unsafe { run.begins(statement, more) },
            (Some(operation), ffi::SQLITE_TRACE_PROFILE) => {
                // SAFETY: as above; the context is what `watch` set, which outlives the connection.
                unsafe { run.ended(statement, &*context.cast::<Statements>(), operation) }
            }
            _ => {}
        });
    });
    drop(catch_unwind(told));
    ffi::SQLITE_OK
}

impl Run {
    unsafe fn begins(&mut self, statement: *mut ffi::sqlite3_stmt, text: *mut c_void) {
        // The start of a trigger comes with a comment of its own in place of the statement's text.
        // SAFETY: the caller's.
        if unsafe { ffi::sqlite3_sql(statement) }.cast::<c_void>() != text.cast_const() {
            return;
        }
        // SAFETY: the caller's; it is the statement's own text, a C string.
        if FENCE.contains(&unsafe { CStr::from_ptr(text.cast_const().cast()) }) {
            return;
        }
        // SAFETY: the caller's.
        self.has_written |= unsafe { ffi::sqlite3_stmt_readonly(statement) } == 0;
        self.running.push(Running {
            statement,
            began: clock::now(),
            rows: 0,
            // SAFETY: the caller's.
            changes: unsafe { changes(statement) },
        });
    }

    fn row(&mut self, statement: *mut ffi::sqlite3_stmt) {
        if let Some(running) = self.running.iter_mut().rfind(|running| running.statement == statement) {
            running.rows += 1;
        }
    }

    unsafe fn ended(&mut self, statement: *mut ffi::sqlite3_stmt, statements: &Statements, operation: &'static str) {
        let Some(place) = self.running.iter().rposition(|running| running.statement == statement) else {
            return;
        };
        let running = self.running.swap_remove(place);
        let at = clock::now();
        let took = at.saturating_duration_since(running.began);
        // SAFETY: the caller's; SQLite's text is a C string that lives as long as its statement.
        let (sql, changed, status, interrupted) = unsafe {
            let sql = ffi::sqlite3_sql(statement);
            if sql.is_null() {
                return;
            }
            let of = |counter| u64::from(ffi::sqlite3_stmt_status(statement, counter, 1).max(0).unsigned_abs());
            let status = [
                of(ffi::SQLITE_STMTSTATUS_FULLSCAN_STEP),
                of(ffi::SQLITE_STMTSTATUS_SORT),
                of(ffi::SQLITE_STMTSTATUS_AUTOINDEX),
                of(ffi::SQLITE_STMTSTATUS_VM_STEP),
            ];
            (
                CStr::from_ptr(sql).to_bytes(),
                changes(statement) - running.changes,
                status,
                ffi::sqlite3_is_interrupted(ffi::sqlite3_db_handle(statement)) != 0,
            )
        };
        let sample = Sample {
            at,
            took,
            rows: running.rows.max(u64::try_from(changed).unwrap_or(0)),
            status,
            // What will run again has made only some of its steps: its whole run tells whether it is slow, and why.
            slow: took >= statements.threshold && !stopped_to_run_again(interrupted),
        };
        match statements.ran(sql, &sample, operation) {
            Ran::Control if sql.starts_with(b"BEGIN") => self.begin += took,
            Ran::Control if sql.starts_with(b"COMMIT") => self.commit += took,
            Ran::Slow(statement) if self.slow.len() < MOST_SLOW => self.slow.push(Slow {
                statement,
                operation,
                sample,
            }),
            _ => {}
        }
        self.last.clear();
        self.last.extend_from_slice(sql);
    }
}

/// Rows that the connection has changed so far; zero for a statement that only reads.
///
/// # Safety
/// `statement` is a live statement.
unsafe fn changes(statement: *mut ffi::sqlite3_stmt) -> i64 {
    // SAFETY: the caller's.
    unsafe {
        if ffi::sqlite3_stmt_readonly(statement) != 0 {
            return 0;
        }
        ffi::sqlite3_total_changes64(ffi::sqlite3_db_handle(statement))
    }
}

#[cfg(test)]
mod tests;
