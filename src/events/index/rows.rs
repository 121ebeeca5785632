//! The statements of the text index (floor 2): what waits, putting it in, merging.
//!
//! What must stay true: an event leaves the queue in the transaction that indexes it; its key there is the complement of its
//! place, so that ascending keys are newest first; within one transaction places descend, which is the order that the text
//! index takes without writing in between. Called by the index's task.

use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::words::{Body, Indexed};
use crate::clock;
use crate::events::model::{ErrorType, Severity};

/// A write job ends its share after so long.
const SHARE: Duration = Duration::from_millis(10);
/// Events between two looks at the clock.
const LOOK_EVERY: usize = 16;

/// What is put into the index.
pub struct Entry {
    at: i64,
    id: [u8; 16],
    text: String,
    terms: String,
}

/// How many events wait.
///
/// # Errors
/// Those of SQLite.
pub fn waiting(connection: &Connection) -> rusqlite::Result<u64> {
    let count: i64 = connection.query_row("SELECT count(*) FROM to_index", [], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// The oldest that wait, at most `most`, the newest of them first.
///
/// # Errors
/// Those of SQLite.
pub fn next(connection: &Connection, most: usize) -> rusqlite::Result<Vec<Entry>> {
    let entry = |row: &Row<'_>| {
        let event = indexed(row)?;
        Ok(Entry {
            at: event.at,
            id: row.get(12)?,
            text: event.text(),
            terms: event.terms(),
        })
    };
    let mut oldest: Vec<Entry> = connection
        .prepare_cached(
            "SELECT e.at, e.type, e.severity, e.message, e.body, e.path, e.user_id, e.ip, e.request_id, e.source, e.release,
                    e.environment, e.id
             FROM to_index JOIN events AS e USING (at) ORDER BY to_index.at LIMIT ?1",
        )?
        .query_map([i64::try_from(most).unwrap_or(i64::MAX)], entry)?
        .collect::<rusqlite::Result<_>>()?;
    oldest.reverse();
    Ok(oldest)
}

fn indexed(row: &Row<'_>) -> rusqlite::Result<Indexed> {
    const FIRST_VALUE: usize = 5;
    let mut event = Indexed {
        at: row.get(0)?,
        kind: Some((ErrorType::from_number(row.get(1)?), Severity::from_number(row.get(2)?))),
        message: row.get(3)?,
        ..Indexed::default()
    };
    // A row whose JSON can't be read is found by what else it has.
    let body = row.get_ref(4)?.as_str_or_null().ok().flatten();
    event.body = body
        .and_then(|json| serde_json::from_str::<Body>(json).ok())
        .unwrap_or_default();
    for (index, value) in event.values.iter_mut().enumerate() {
        *value = match row.get_ref(FIRST_VALUE + index)? {
            ValueRef::Integer(number) => Some(number.to_string()),
            ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        };
    }
    Ok(event)
}

/// Indexes entries from the first on until its share of time is over; how many were done, and at least one.
///
/// # Errors
/// Those of SQLite.
pub fn index(connection: &Connection, entries: &[Entry]) -> rusqlite::Result<usize> {
    let began = clock::now();
    // A place whose event was removed since it was read may have been given to another one, which is not this entry's.
    let mut leave = connection.prepare_cached(
        "DELETE FROM to_index WHERE at = ?1 AND EXISTS (SELECT 1 FROM events WHERE at = ?1 AND id = ?2)",
    )?;
    let mut put = connection.prepare_cached("INSERT INTO event_text (rowid, text, terms) VALUES (~?1, ?2, ?3)")?;
    for (index, entry) in entries.iter().enumerate() {
        if index % LOOK_EVERY == LOOK_EVERY - 1 && is_over(began) {
            return Ok(index);
        }
        // One that has left the queue was removed meanwhile, or indexed by this very job in an attempt before.
        if leave.execute((entry.at, entry.id))? == 1 {
            put.execute((entry.at, &entry.text, &entry.terms))?;
        }
    }
    Ok(entries.len())
}

fn is_over(began: Instant) -> bool {
    clock::since(began) >= SHARE
}

/// Merges about so many pages of the index; whether there was something to merge.
///
/// # Errors
/// Those of SQLite.
pub fn merge(connection: &Connection, pages: u32) -> rusqlite::Result<bool> {
    // The command itself counts as one change, as SQLite documents; more are what it merged.
    let before = connection.total_changes();
    connection
        .prepare_cached("INSERT INTO event_text (event_text, rank) VALUES ('merge', ?1)")?
        .execute([pages])?;
    Ok(connection.total_changes() - before > 1)
}
