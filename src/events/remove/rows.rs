//! Rows that leave, with every number that counts them (floor 2): the SQL of one removing job.
//!
//! What must stay true: what is deleted is what is counted, in one transaction, a sample of a storm as often as it occurred;
//! the text index follows by its trigger, and whoever follows the log is told that something left (`event_sequence`).
//! Called inside a write job.

use rusqlite::{Connection, OptionalExtension, Row};

use super::{Taken, Terms};
use crate::clock;
use crate::events::model::{ErrorType, Severity};
use crate::events::store::Hours;

/// What a row takes besides its texts: numbers, its id twice, its places in three indexes.
const BYTES_BESIDE_TEXT: i64 = 160;

/// The bytes of a row's texts, as SQL.
pub(super) const TEXT_BYTES: &str = "octet_length(message) + coalesce(octet_length(body), 0)
    + coalesce(octet_length(path), 0) + coalesce(octet_length(ip), 0) + coalesce(octet_length(request_id), 0)
    + coalesce(octet_length(source), 0) + coalesce(octet_length(release), 0) + coalesce(octet_length(environment), 0)
    + CASE typeof(user_id) WHEN 'text' THEN octet_length(user_id) ELSE 8 END";

/// Removes the events of these places, from the first on until the share of time is over; at least one. A place that is
/// empty, or has an event that came later than the terms allow, counts as done. Best in the order of their places.
///
/// # Errors
/// Those of SQLite; the caller's savepoint undoes all of it.
pub fn remove(c: &Connection, places: &[i64], terms: Terms) -> rusqlite::Result<Taken> {
    let _wiping = Wiping::begin(c)?;
    let began = clock::now();
    let mut taken = Taken::default();
    let mut hours = Hours::default();
    let mut delete = c.prepare_cached(&format!(
        "DELETE FROM events WHERE at = ?1 AND received <= ?2 AND coalesce(stored, 0) <= ?3 RETURNING type, severity, group_id, coalesce(ts, at >> 20),
         occurrences, {TEXT_BYTES}, coalesce(stored, 0)"
    ))?;
    let mut newest = 0;
    for place in places {
        // A row with a long text may take as long as hundreds of others.
        if taken.done > 0 && clock::since(began) >= terms.share {
            break;
        }
        taken.done += 1;
        if let Some(row) = delete
            .query_row([*place, terms.received_until_ms, terms.stored_until], |row| {
                newest = newest.max(row.get(6)?);
                Counted::read(row)
            })
            .optional()?
        {
            hours.take(*place, row.kind, row.severity, row.occurrences);
            taken.removed.add(&row);
            *taken.groups.entry(row.group).or_default() += row.occurrences;
        }
    }
    hours.write(c)?;
    c.prepare_cached("UPDATE event_sequence SET removed = ?1 WHERE removed < ?1")?
        .execute([newest])?;
    let mut fewer = c.prepare_cached("UPDATE groups SET removed = removed + ?2 WHERE id = ?1")?;
    for (group, count) in &taken.groups {
        fewer.execute((*group, *count))?;
    }
    Ok(taken)
}

/// When the event came in that is the newest by its time, milliseconds since the epoch: later than now where the clock has
/// been set back.
///
/// # Errors
/// Those of SQLite.
pub fn newest_received(c: &Connection) -> rusqlite::Result<i64> {
    let newest = c
        .prepare_cached("SELECT received FROM events ORDER BY at DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(newest.unwrap_or(i64::MIN))
}

/// What is counted of a row.
pub(super) struct Counted {
    pub kind: ErrorType,
    pub severity: Severity,
    pub group: i64,
    pub time_ms: i64,
    pub occurrences: i64,
    pub bytes: u64,
}

impl Counted {
    /// Reads type, severity, group, time, occurrences and [`TEXT_BYTES`].
    pub fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            kind: ErrorType::from_number(row.get(0)?),
            severity: Severity::from_number(row.get(1)?),
            group: row.get(2)?,
            time_ms: row.get(3)?,
            occurrences: row.get(4)?,
            bytes: (row.get::<_, i64>(5)? + BYTES_BESIDE_TEXT).unsigned_abs(),
        })
    }
}

/// While it lives, what this connection deletes is overwritten with zeros, also in pages that become free.
pub(super) struct Wiping<'c>(&'c Connection);

impl<'c> Wiping<'c> {
    /// Begins.
    pub fn begin(c: &'c Connection) -> rusqlite::Result<Self> {
        c.query_row("PRAGMA secure_delete = ON", [], |_| Ok(()))?;
        Ok(Self(c))
    }
}

impl Drop for Wiping<'_> {
    fn drop(&mut self) {
        // As every writer has it. Should it stay on, that costs time and nothing else.
        let _ = self.0.query_row("PRAGMA secure_delete = FAST", [], |_| Ok(()));
    }
}
