//! What was stored after a position (floor 2): the SQL of one look.
//!
//! What must stay true: one look is one snapshot, bounded in rows, events and bytes; it ends before the first event that the
//! filter can't be answered for yet, so that no event is passed over because the text index is behind. Called by a reader.

use rusqlite::{CachedStatement, Connection};

use super::position::{After, Gap, Head, Position, begin};
use crate::events::query::{self, Filter, Meant, Rows};

/// Most rows that one look compares with the filter.
const MOST_EXAMINED: usize = 1000;
/// Most events that one look gives.
const MOST_EVENTS: usize = 100;
/// A look ends with the event that makes it so many bytes.
const ENOUGH_BYTES: usize = 256 << 10;

/// What a look found.
#[derive(Debug)]
pub struct Look {
    /// Where it began, as far as the reader has to be told.
    pub began: Position,
    /// How far it got.
    pub ended: Position,
    /// Why something may be missing.
    pub gap: Option<Gap>,
    /// The largest number of an event that was removed.
    pub removed: i64,
    /// The events that the filter wants as JSON, each with the position behind it, in the order of storing.
    pub found: Vec<(Position, String)>,
    /// Whether it ended because it was long enough.
    pub is_more: bool,
}

/// Looks at what was stored after `after`; `told` is the largest removed number that the reader heard of. Groups stand as
/// they do at `now_ms`.
///
/// # Errors
/// Those of SQLite.
pub fn look(connection: &Connection, filter: &Filter, after: After, told: i64, now_ms: i64) -> rusqlite::Result<Look> {
    let head = head(connection)?;
    let (from, gap) = begin(after, head, told);
    let position = |stored| Position { stored, log: head.log };
    let mut look = Look {
        began: position(from),
        ended: position(from),
        gap,
        removed: head.removed,
        found: Vec::new(),
        is_more: false,
    };
    let meant = Meant::of(connection, filter)?;
    let mut judge = Judge::new(connection, &meant, now_ms)?;
    let mut stored = connection.prepare_cached(
        "SELECT stored, at FROM events INDEXED BY events_by_stored WHERE stored > ?1 ORDER BY stored LIMIT ?2",
    )?;
    let mut rows = stored.query((from, MOST_EXAMINED as i64))?;
    let (mut bytes, mut examined) = (0, 0);
    while let Some(row) = rows.next()? {
        if look.found.len() == MOST_EVENTS || bytes >= ENOUGH_BYTES {
            look.is_more = true;
            return Ok(look);
        }
        let (number, at) = (row.get(0)?, row.get(1)?);
        if judge.must_wait(at)? {
            return Ok(look);
        }
        look.ended = position(number);
        if let Some(event) = judge.wanted(at)? {
            bytes += event.len();
            look.found.push((look.ended, event));
        }
        examined += 1;
    }
    look.is_more = examined == MOST_EXAMINED;
    Ok(look)
}

fn head(connection: &Connection) -> rusqlite::Result<Head> {
    connection
        .prepare_cached("SELECT log, last, removed FROM event_sequence")?
        .query_row([], |row| {
            Ok(Head {
                log: row.get(0)?,
                last: row.get(1)?,
                removed: row.get(2)?,
            })
        })
}

/// Compares events with a filter.
struct Judge<'c> {
    rows: Rows<'c>,
    /// The places of the filter's span of time.
    span: (i64, i64),
    search: Option<Search<'c>>,
}

/// Only the text index knows which words an event has.
struct Search<'c> {
    sought: String,
    is_behind: CachedStatement<'c>,
    has_words: CachedStatement<'c>,
}

impl<'c> Judge<'c> {
    fn new(connection: &'c Connection, meant: &'c Meant<'c>, now_ms: i64) -> rusqlite::Result<Self> {
        let filter = meant.filter();
        let sought = if filter.text.is_empty() {
            None
        } else {
            query::match_text(connection, filter)?
        };
        let search = match sought {
            Some(sought) => Some(Search {
                sought,
                is_behind: connection.prepare_cached("SELECT 1 FROM to_index WHERE at = ?1")?,
                has_words: connection
                    .prepare_cached("SELECT 1 FROM event_text WHERE event_text MATCH ?1 AND rowid = ~?2")?,
            }),
            None => None,
        };
        Ok(Self {
            rows: Rows::new(connection, meant, now_ms)?,
            span: filter.span(None),
            search,
        })
    }

    /// Whether it can't be said yet if the event is wanted.
    fn must_wait(&mut self, at: i64) -> rusqlite::Result<bool> {
        match &mut self.search {
            Some(search) => search.is_behind.exists([at]),
            None => Ok(false),
        }
    }

    /// The event of a place as it is in a list, if the filter wants it.
    fn wanted(&mut self, at: i64) -> rusqlite::Result<Option<String>> {
        if at < self.span.0 || at >= self.span.1 {
            return Ok(None);
        }
        let Some(mut event) = self.rows.matching(at)? else {
            return Ok(None);
        };
        if let Some(search) = &mut self.search
            && !search.has_words.exists((&search.sought, at))?
        {
            return Ok(None);
        }
        event.abridge();
        let json = serde_json::to_string(&event);
        json.map(Some)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
    }
}

/// Gives the sequence another name: positions in it that were told before may be of events that are no longer there.
///
/// # Errors
/// Those of SQLite.
pub fn rename(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .execute("UPDATE event_sequence SET log = random() & 0xffffffff", [])
        .map(drop)
}
