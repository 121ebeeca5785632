//! Groups counted anew after they parted (floor 2): how many events, when they were seen, how severe.
//!
//! What must stay true: where all events of a group have their rows, its numbers are those of the rows. Where some left, or
//! a row stands for many, what is known besides is taken: what was kept of the parts before they were united, and in which
//! hours events came, so that a time may be wrong by an hour then. Runs inside the caller's write transaction.

use rusqlite::{Connection, Row};

use crate::events::life::{self, HOURS_KEPT};
use crate::events::store::HOUR_MS;

/// Counts a group's events anew, those that left among them, and its users.
pub(in crate::events) fn recount(c: &Connection, group: i64) -> rusqlite::Result<()> {
    c.prepare_cached(
        "UPDATE groups SET count =
           (SELECT coalesce(sum(occurrences), 0) FROM events WHERE group_id IN
             (SELECT id FROM groups AS member WHERE member.id = ?1 OR member.parent = ?1))
           + (SELECT sum(removed) FROM groups AS member WHERE member.id = ?1 OR member.parent = ?1)
         WHERE id = ?1",
    )?
    .execute([group])?;
    life::users_counted(c, group)
}

/// First and last, milliseconds since the epoch.
type Span = (i64, i64);

/// The span of both.
fn wider(one: Option<Span>, other: Option<Span>) -> Option<Span> {
    match (one, other) {
        (Some((first, last)), Some((earlier, later))) => Some((first.min(earlier), last.max(later))),
        (one, other) => one.or(other),
    }
}

fn span(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Span>> {
    let first: Option<i64> = row.get(at)?;
    Ok(first.zip(row.get(at + 1)?))
}

/// When the events of a group that stands for itself were seen first and last, and how severe the worst was.
pub(super) fn count_span(c: &Connection, group: i64) -> rusqlite::Result<()> {
    let family = super::family::family(c, group)?;
    let (mut rows, mut kept, mut severity, mut whole) = (None, None, None, true);
    let hours = hours(c, &family)?;
    for &member in &family {
        let found = of_rows(c, member)?;
        (rows, severity) = (wider(rows, found.span), severity.max(found.severity));
        whole &= life::is_whole(c, member)?;
        kept = wider(kept, likely(own(c, member, member == group)?, &hours));
    }
    let (Some(_), true) = (rows, whole) else {
        return of_what_is_known(c, group, wider(rows, kept), &hours);
    };
    let Some((first, last)) = rows else { return Ok(()) };
    c.prepare_cached("UPDATE groups SET first_seen = ?2, last_seen = ?3, severity = ?4 WHERE id = ?1")?
        .execute((group, first, last, severity))?;
    Ok(())
}

/// Rows alone don't tell all.
fn of_what_is_known(c: &Connection, group: i64, known: Option<Span>, hours: &[i64]) -> rusqlite::Result<()> {
    let present: Span = c
        .prepare_cached("SELECT first_seen, last_seen FROM groups WHERE id = ?1")?
        .query_row([group], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (mut first, mut last) = known.unwrap_or(present);
    if let (Some(earliest), Some(latest)) = (hours.first(), hours.last()) {
        let (begin, end) = (earliest * HOUR_MS, (latest + 1) * HOUR_MS);
        if begin + HOUR_MS <= first {
            first = present.0.clamp(begin, first);
        }
        if end - HOUR_MS > last {
            last = present.1.clamp(last, end - 1);
        }
    }
    c.prepare_cached("UPDATE groups SET first_seen = ?2, last_seen = ?3 WHERE id = ?1")?
        .execute((group, first, last))?;
    Ok(())
}

/// What the rows that name a group tell.
struct OfRows {
    span: Option<Span>,
    severity: Option<i64>,
}

fn of_rows(c: &Connection, member: i64) -> rusqlite::Result<OfRows> {
    c.prepare_cached(
        "SELECT min(coalesce(ts, at >> 20)), max(coalesce(ts, at >> 20)), max(severity) FROM events WHERE group_id = ?1",
    )?
    .query_row([member], |row| {
        Ok(OfRows {
            span: span(row, 0)?,
            severity: row.get(2)?,
        })
    })
}

/// What is kept of a group for itself: of one that was swallowed its row, of the one that is left how it was before.
fn own(c: &Connection, member: i64, is_left: bool) -> rusqlite::Result<Option<Span>> {
    let before = c
        .prepare_cached("SELECT max(first_seen), min(last_seen) FROM group_moves WHERE group_id = ?1")?
        .query_row([member], |row| span(row, 0))?;
    if let (true, Some(before)) = (is_left, before) {
        return Ok(Some(before));
    }
    c.prepare_cached("SELECT first_seen, last_seen FROM groups WHERE id = ?1")?
        .query_row([member], |row| span(row, 0))
}

/// What is in an hour in which events of the group came, or is older than hours are kept.
fn likely(span: Option<Span>, hours: &[i64]) -> Option<Span> {
    let (first, last) = span?;
    let Some(newest) = hours.last() else {
        return Some((first, last));
    };
    let fits = |ms: i64| {
        let hour = ms.div_euclid(HOUR_MS);
        // What is counted on a sample may have come when the next hour had begun.
        hour <= newest - HOURS_KEPT || hours.binary_search(&hour).is_ok() || hours.binary_search(&(hour - 1)).is_ok()
    };
    match (fits(first), fits(last)) {
        (true, true) => Some((first, last)),
        (true, false) => Some((first, first)),
        (false, true) => Some((last, last)),
        (false, false) => None,
    }
}

/// The hours in which events of these groups came, in order.
fn hours(c: &Connection, family: &[i64]) -> rusqlite::Result<Vec<i64>> {
    c.prepare_cached(
        "SELECT DISTINCT hour FROM group_hours WHERE group_id IN (SELECT value FROM json_each(?1)) ORDER BY hour",
    )?
    .query_map([serde_json::json!(family).to_string()], |row| row.get(0))?
    .collect()
}
