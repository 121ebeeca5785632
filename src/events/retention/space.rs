//! What events.db holds, what left it for good, and giving its free pages back to the disk (floor 2): the statements.
//!
//! What must stay true: a measure reads numbers, not events; what left is counted in the transaction that removes it; a
//! step of giving back is some milliseconds of the writer's time, however large the file is.

use std::path::Path;

use rusqlite::{Connection, params};

use super::bounds::{Measure, Reason};
use super::forecast::{HOURS_KEPT, Sample};
use crate::db::disk::Space;
use crate::events::order::ms_of;
use crate::events::remove::{FORGOTTEN, Removed, note_left};
use crate::events::store::HOUR_MS;

/// The kind of a receipt: the erasure of a user.
const ERASURE: i64 = 1;
/// SQLite's number of a file that gives its free pages back when it is told to.
const INCREMENTAL: i64 = 2;

/// Events that left for good, with about how many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Left {
    /// How many.
    pub events: u64,
    /// About how many bytes.
    pub bytes: u64,
}

/// Measures the file; the file system is looked at besides. The zeros of an erasure count as nothing: they are free pages
/// that are being overwritten, and no event has to leave for them.
///
/// # Errors
/// Those of SQLite.
pub fn measure(c: &Connection, path: &Path) -> rusqlite::Result<Measure> {
    let number = |sql: &str| c.prepare_cached(sql)?.query_row([], |row| row.get::<_, Option<i64>>(0));
    let bytes = |pages: Option<i64>| -> rusqlite::Result<u64> {
        let size = number("PRAGMA page_size")?.unwrap_or(0);
        Ok((pages.unwrap_or(0) * size).unsigned_abs())
    };
    let (all, free) = (
        bytes(number("PRAGMA page_count")?)?,
        bytes(number("PRAGMA freelist_count")?)?,
    );
    let wiped = number("SELECT sum(length(zeros)) FROM wiped_pages")?.unwrap_or(0);
    let occurrences = occurrences(c)?;
    Ok(Measure {
        events: occurrences.saturating_sub(thinned_before(c, i64::MAX)?.unsigned_abs()),
        occurrences,
        oldest_ms: number("SELECT min(at) FROM events")?.map(ms_of),
        used_bytes: all.saturating_sub(free).saturating_sub(wiped.unsigned_abs()),
        free_bytes: free,
        gives_back: number("PRAGMA auto_vacuum")? == Some(INCREMENTAL),
        space: path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .and_then(Space::of),
    })
}

/// How many occurrences before a place are counted on rows of others: so many fewer rows there are than events were
/// counted. Reads the index of such rows, which are few.
fn thinned_before(c: &Connection, end: i64) -> rusqlite::Result<i64> {
    c.prepare_cached(
        "SELECT coalesce(sum(occurrences - 1), 0) FROM events INDEXED BY events_thinned
         WHERE occurrences > 1 AND at < ?1",
    )?
    .query_row([end], |row| row.get(0))
}

/// Counts what a job removed, beside it.
///
/// # Errors
/// Those of SQLite.
pub fn note_removed(c: &Connection, reason: Reason, removed: &Removed) -> rusqlite::Result<()> {
    note_left(c, reason.name(), removed)
}

/// What ever left, by reason, in the order of [`Reason::ALL`].
///
/// # Errors
/// Those of SQLite.
pub fn left(c: &Connection) -> rusqlite::Result<[Left; Reason::ALL.len()]> {
    let mut left = [Left::default(); Reason::ALL.len()];
    let mut known = c.prepare_cached("SELECT reason, events, bytes FROM retention_removed")?;
    let mut rows = known.query([])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        if let Some(reason) = Reason::ALL.into_iter().find(|reason| reason.name() == name) {
            left[reason as usize] = Left {
                events: row.get::<_, i64>(1)?.unsigned_abs(),
                bytes: row.get::<_, i64>(2)?.unsigned_abs(),
            };
        }
    }
    Ok(left)
}

/// Events that hands removed: by purges, or of one event, and by the erasure of users; as the receipts tell, also those
/// that are no longer kept.
///
/// # Errors
/// Those of SQLite.
pub fn left_by_hand(c: &Connection) -> rusqlite::Result<[u64; 2]> {
    let sums = "SELECT coalesce(sum(json_extract(tally, '$.events')) FILTER (WHERE kind <> ?1), 0)
                         + coalesce((SELECT events FROM retention_removed WHERE reason = ?2), 0),
                       coalesce(sum(json_extract(tally, '$.events')) FILTER (WHERE kind = ?1), 0) FROM purges";
    let count = |row: &rusqlite::Row<'_>, index| Ok::<_, rusqlite::Error>(row.get::<_, i64>(index)?.unsigned_abs());
    c.prepare_cached(sums)?
        .query_row((ERASURE, FORGOTTEN), |row| Ok([count(row, 0)?, count(row, 1)?]))
}

/// Gives back about so many free pages; how many are left.
///
/// # Errors
/// Those of SQLite.
pub fn give_back(c: &Connection, pages: u32) -> rusqlite::Result<u64> {
    c.execute_batch(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let left: i64 = c.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    Ok(left.unsigned_abs())
}

/// The places before a time, after another place.
///
/// # Errors
/// Those of SQLite.
pub fn before(c: &Connection, end: i64, after: i64, most: usize) -> rusqlite::Result<Vec<i64>> {
    c.prepare_cached("SELECT at FROM events WHERE at > ?1 AND at < ?2 ORDER BY at LIMIT ?3")?
        .query_map((after, end, i64::try_from(most).unwrap_or(i64::MAX)), |row| row.get(0))?
        .collect()
}

/// How often what there is occurred.
///
/// # Errors
/// Those of SQLite.
fn occurrences(c: &Connection) -> rusqlite::Result<u64> {
    let all: Option<i64> = c
        .prepare_cached("SELECT sum(count) FROM event_totals")?
        .query_row([], |row| row.get(0))?;
    Ok(all.unwrap_or(0).unsigned_abs())
}

/// How many occurrences the rows of these places stand for beyond one each; the places ascend.
///
/// # Errors
/// Those of SQLite.
pub fn beyond_rows(c: &Connection, places: &[i64]) -> rusqlite::Result<u64> {
    let (Some(first), Some(last)) = (places.first(), places.last()) else {
        return Ok(0);
    };
    let mut thinned = c.prepare_cached(
        "SELECT at, occurrences - 1 FROM events INDEXED BY events_thinned
         WHERE occurrences > 1 AND at BETWEEN ?1 AND ?2",
    )?;
    let mut rows = thinned.query([*first, *last])?;
    let mut beyond = 0;
    while let Some(row) = rows.next()? {
        let more: i64 = row.get(1)?;
        beyond += places.binary_search(&row.get(0)?).map_or(0, |_| more);
    }
    Ok(beyond.unsigned_abs())
}

/// How many rows there are before a place, and how often they occurred: whole hours are known, the last one is counted.
///
/// # Errors
/// Those of SQLite.
pub fn count_before(c: &Connection, end: i64) -> rusqlite::Result<(u64, u64)> {
    let hour = ms_of(end).div_euclid(HOUR_MS);
    let whole: i64 = c.query_row(
        "SELECT coalesce(sum(count), 0) FROM event_hours WHERE hour < ?1",
        [hour],
        |row| row.get(0),
    )?;
    let begins = crate::events::order::first_place(hour * HOUR_MS);
    let rest: i64 = c.query_row(
        "SELECT count(*) FROM events WHERE at >= ?1 AND at < ?2",
        [begins, end],
        |row| row.get(0),
    )?;
    let rows = whole - thinned_before(c, begins)? + rest;
    Ok((rows.unsigned_abs(), (rows + thinned_before(c, end)?).unsigned_abs()))
}

/// Groups that are left, want nobody's attention and were last seen before a time, from the oldest on, after one of them.
///
/// # Errors
/// Those of SQLite.
pub fn old_groups(c: &Connection, until_ms: i64, after: (i64, i64), most: u32) -> rusqlite::Result<Vec<(i64, i64)>> {
    c.prepare_cached(
        "SELECT last_seen, id FROM groups WHERE parent IS NULL AND status = 0 AND last_seen < ?1
           AND (last_seen, id) > (?2, ?3) ORDER BY last_seen, id LIMIT ?4",
    )?
    .query_map((until_ms, after.0, after.1, most), |row| Ok((row.get(0)?, row.get(1)?)))?
    .collect()
}

/// Keeps a sample of what is in use, and forgets the oldest.
///
/// # Errors
/// Those of SQLite.
pub fn keep_sample(c: &Connection, sample: Sample) -> rusqlite::Result<()> {
    let hour = sample.at_ms.div_euclid(HOUR_MS);
    let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    c.execute(
        "INSERT OR REPLACE INTO disk_use (hour, events, others) VALUES (?1, ?2, ?3)",
        params![hour, number(sample.events), number(sample.others)],
    )?;
    c.execute(
        "DELETE FROM disk_use WHERE hour NOT BETWEEN ?1 AND ?2",
        [hour - HOURS_KEPT as i64, hour],
    )?;
    Ok(())
}

/// The samples that were kept, in order.
///
/// # Errors
/// Those of SQLite.
pub fn samples(c: &Connection) -> rusqlite::Result<Vec<Sample>> {
    let mut kept = c.prepare_cached("SELECT hour, events, others FROM disk_use ORDER BY hour")?;
    kept.query_map([], |row| {
        Ok(Sample {
            at_ms: row.get::<_, i64>(0)? * HOUR_MS,
            events: row.get::<_, i64>(1)?.unsigned_abs(),
            others: row.get::<_, i64>(2)?.unsigned_abs(),
        })
    })?
    .collect()
}

#[cfg(test)]
mod tests;
