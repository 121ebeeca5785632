//! Events out of events.db (floor 2): list, search, get, count.
//!
//! ```text
//! filter ─▶ meant (its groups now) ─▶ find (text index, else kinds, groups or all: places, newest first)
//!   ─▶ rows (read, compared) ─▶ page;  places ─▶ tally (total, histogram)
//! ```
//! What must stay true: lists are newest first by place, and a cursor neither skips nor repeats an event while others come
//! and go; every value is bound; a page looks at a bounded number of rows, whatever the filter and however many there are.
//! The SQL functions take a connection; the async ones are what handlers call.

use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

use super::wire::LoggedEvent;
use crate::db::{Database, DbError, Operation};

mod cursor;
mod export;
mod filter;
mod find;
mod meant;
mod rows;
pub mod search;
mod spelled;
mod steps;
mod tally;
pub use cursor::Position;
pub use export::{Stretch, stretch};
pub use filter::{Filter, GroupStatus, Sought};
use find::Finder;
pub(super) use meant::{Meant, groups_meant};
pub(super) use rows::Rows;
pub(super) use spelled::match_text;
pub(super) use tally::count;
pub use tally::{Histogram, Tally};

/// Up to this many events a list is a short read.
const SHORT_LIST: u32 = 100;
/// Most rows that one page looks at when the filter has to be compared with each. What it found by then is a page like
/// any other, with a cursor to go on from.
const MOST_EXAMINED: usize = 10_000;
/// First and most places that are looked up at once when rows have to be compared.
const CHUNK: (usize, usize) = (128, 2048);

/// One page of a list.
#[derive(Debug)]
pub struct Page {
    /// The events, newest first.
    pub events: Vec<LoggedEvent>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<Position>,
    /// What matches in all, when it was asked for.
    pub tally: Option<Tally>,
}

/// A list's request.
#[derive(Debug, Clone)]
pub struct List {
    /// Which events.
    pub filter: Filter,
    /// Only what is older than this.
    pub after: Option<Position>,
    /// Most events.
    pub limit: u32,
    /// Whether to count what matches.
    pub count: bool,
    /// Whether to count it by time, up to the present where the filter has no end.
    pub histogram: bool,
    /// The present time, milliseconds since the epoch.
    pub now_ms: i64,
}

/// Reads one page. It may hold fewer events than the limit and still have a next one.
///
/// # Errors
/// Those of the database layer.
pub async fn list(database: &Database, list: List) -> Result<Page, DbError> {
    let counts = list.count || list.histogram;
    let filter = &list.filter;
    // What groups mean, and their events, are to be of one snapshot.
    let is_plain = filter.statuses.is_empty() && filter.groups.is_empty() && !filter.needs_index();
    let short = list.limit <= SHORT_LIST && !counts && is_plain;
    let operation = match (short, list.filter.needs_index()) {
        (true, _) => Operation::point("events.list"),
        (false, false) => Operation::scan("events.list"),
        (false, true) => Operation::scan("events.search"),
    };
    database
        .read(operation, move |connection| page(connection, &list))
        .await
}

/// Reads one event; for the id of one that was counted on a sample, the sample. `None` when there is none.
///
/// # Errors
/// Those of the database layer.
pub async fn get(database: &Database, id: Uuid) -> Result<Option<LoggedEvent>, DbError> {
    database
        .read(Operation::point("events.get"), move |connection| event(connection, id))
        .await
}

pub(super) fn page(connection: &Connection, list: &List) -> rusqlite::Result<Page> {
    let limit = list.limit as usize;
    let mut events = Vec::with_capacity(limit);
    let meant = Meant::of(connection, &list.filter)?;
    let next = walk(connection, &meant, (list.after, list.now_ms), limit, |event| {
        events.push(event);
        events.len() < limit
    })?;
    let tally = if list.count || list.histogram {
        Some(tally::tally(connection, &meant, list.now_ms, list.histogram)?)
    } else {
        None
    };
    Ok(Page { events, next, tally })
}

/// Hands events to `take` as long as that has room for one more, of at most `limit`; where the next page starts, `None`
/// at the end. Groups stand as they do at `now_ms`.
fn walk(
    connection: &Connection,
    meant: &Meant<'_>,
    (after, now_ms): (Option<Position>, i64),
    limit: usize,
    mut take: impl FnMut(LoggedEvent) -> bool,
) -> rusqlite::Result<Option<Position>> {
    let finder = Finder::new(connection, meant)?;
    let mut rows = Rows::new(connection, meant, now_ms)?;
    let (first, mut before) = meant.filter().span(after);
    // One more tells whether there is a next page.
    let mut chunk = if finder.must_compare() {
        CHUNK.0.max(limit + 1)
    } else {
        limit + 1
    };
    let (mut has_room, mut examined) = (limit > 0, 0);
    loop {
        let places = finder.places(connection, first, before, chunk)?;
        for place in &places {
            if !has_room || examined == MOST_EXAMINED {
                return Ok(Some(Position(before)));
            }
            // A row that retention removed in between is no longer part of the list.
            if let Some(event) = rows.matching(*place)? {
                has_room = take(event);
            }
            (before, examined) = (*place, examined + 1);
        }
        if places.len() < chunk {
            return Ok(None);
        }
        chunk = (chunk * 2).min(CHUNK.1);
    }
}

/// The places of the next events that match before this one, newest first, out of the next `most` that an index names;
/// and where to go on from, `None` at the end. Groups stand as they do at `now_ms`.
///
/// # Errors
/// Those of SQLite.
pub(super) fn places(
    connection: &Connection,
    filter: &Filter,
    (before, most): (i64, usize),
    now_ms: i64,
) -> rusqlite::Result<(Vec<i64>, Option<i64>)> {
    let meant = Meant::of(connection, filter)?;
    let finder = Finder::new(connection, &meant)?;
    let (first, until) = filter.span(None);
    let mut found = finder.places(connection, first, before.min(until), most)?;
    let next = found.last().copied().filter(|_| found.len() == most);
    if finder.must_compare() || filter.needs_index() {
        let mut rows = Rows::new(connection, &meant, now_ms)?;
        let mut matching = Vec::with_capacity(found.len());
        for place in found {
            if rows.matching(place)?.is_some() {
                matching.push(place);
            }
        }
        found = matching;
    }
    Ok((found, next))
}

pub(super) fn event(connection: &Connection, id: Uuid) -> rusqlite::Result<Option<LoggedEvent>> {
    const BY_ID: [&str; 2] = [
        concat!(include_str!("query/columns.sql"), " WHERE id = ?1"),
        concat!(
            include_str!("query/columns.sql"),
            " WHERE id = (SELECT sample FROM counted WHERE id = ?1)"
        ),
    ];
    for sql in BY_ID {
        let found = connection
            .prepare_cached(sql)?
            .query_row([id.as_bytes()], rows::read_event)
            .optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
