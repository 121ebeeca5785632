//! Slow statements (floor 1): SQLite tells each statement's time, and those past the threshold are kept for the
//! operation that runs them.
//!
//! What must stay true: only statement text with its placeholders is kept, never bound values; memory is bounded.
//! SQLite measures in whole milliseconds, which is enough for a threshold of that size.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::trace::{TraceEvent, TraceEventCodes};

/// Slow statements kept of one operation.
const MOST: usize = 8;

thread_local! {
    static THRESHOLD: Cell<Duration> = const { Cell::new(Duration::MAX) };
    static SEEN: RefCell<Vec<(String, Duration)>> = const { RefCell::new(Vec::new()) };
}

/// Starts watching: the callback is a plain function, so the threshold travels in a thread-local that
/// [`collect_above`] sets for each operation.
pub fn watch(connection: &mut Connection, threshold: Duration) {
    if threshold < Duration::MAX {
        connection.trace_v2(TraceEventCodes::SQLITE_TRACE_PROFILE, Some(note));
    }
}

fn note(event: TraceEvent<'_>) {
    let TraceEvent::Profile(statement, took) = event else {
        return;
    };
    // BEGIN waits for a lock, which is told as contention and not as a slow statement.
    if took < THRESHOLD.get() || statement.sql().starts_with("BEGIN") {
        return;
    }
    SEEN.with_borrow_mut(|seen| {
        if seen.len() < MOST {
            seen.push((statement.sql().into_owned(), took));
        }
    });
}

/// Keeps what takes at least `threshold` on this thread from now on.
pub fn collect_above(threshold: Duration) {
    THRESHOLD.set(threshold);
}

/// The slow statements since the last call, with their times.
pub fn take() -> Vec<(String, Duration)> {
    SEEN.with_borrow_mut(|seen| {
        if seen.is_empty() {
            Vec::new()
        } else {
            std::mem::take(seen)
        }
    })
}
