//! What is done when SQLite gets no memory (floor 1): every connection's unused pages are given back, and fewer readers
//! are let in.
//!
//! What must stay true: it touches no connection that somebody uses: SQLite frees only pages that no statement holds.
//! It comes before the line in the log, which is the first here to want memory. Called where reads and batches fail.

use rusqlite::ffi;

use super::adaptive::Adaptive;
use super::classify::code_of;
use super::limiter::Limiter;
use crate::clock;

const NOMEM: i32 = 7;
const IOERR_NOMEM: i32 = 3082;

/// Gives memory back when this error says that there is none, and lets fewer in where a limiter is named. The connection
/// it came from is the caller's to give up.
pub fn relieve(database: &str, error: &rusqlite::Error, limiter: Option<&Limiter>) {
    if !matches!(code_of(error), Some(NOMEM | IOERR_NOMEM)) {
        return;
    }
    // SAFETY: it may be called at any time on any thread: the page caches of all connections have locks of their own.
    let released_bytes = unsafe { ffi::sqlite3_release_memory(i32::MAX) };
    if let Some(limiter) = limiter {
        limiter.adjust(|adaptive: &mut Adaptive| adaptive.out_of_memory(clock::now()));
    }
    tracing::warn!(
        database,
        released_bytes,
        "SQLite is out of memory: its caches were given back"
    );
}
