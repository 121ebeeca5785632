//! SQLite's own counters of a connection (floor 1). Called by the writer.

use std::ffi::c_int;

use rusqlite::{Connection, ffi};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// Violations of deferred foreign keys in the open transaction.
    DeferredViolations,
    /// Pages written to the log or the file since this was asked last.
    PagesWritten,
}

/// The present number; 0 where SQLite doesn't count.
pub fn counted(connection: &Connection, counter: Counter) -> u64 {
    let (what, begin_anew): (c_int, c_int) = match counter {
        Counter::DeferredViolations => (ffi::SQLITE_DBSTATUS_DEFERRED_FKS, 0),
        Counter::PagesWritten => (ffi::SQLITE_DBSTATUS_CACHE_WRITE, 1),
    };
    let (mut number, mut highest) = (0, 0);
    // SAFETY: the handle belongs to this open connection; the call writes two numbers.
    unsafe {
        ffi::sqlite3_db_status(connection.handle(), what, &raw mut number, &raw mut highest, begin_anew);
    }
    u64::try_from(number).unwrap_or(0)
}
