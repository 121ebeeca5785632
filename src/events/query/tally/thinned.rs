//! How often the events of a storm occurred that have no rows (floor 2): read beside the places that a count walks.
//!
//! What must stay true: places are asked for newest first, each once. Called by the tally only.

use rusqlite::{CachedStatement, Connection, Row};

use crate::events::index::words::Field;
use crate::events::order::first_place;
use crate::events::query::{Filter, Meant, Rows};
use crate::events::store::HOUR_MS;

/// Most samples that are looked at for what they may hide; of more it is taken for granted.
const MOST_LOOKED_AT: usize = 1000;

/// The rows that stand for more than one occurrence, newest first like the places that are walked: few, so that they are
/// read beside them and no row of the others is.
pub(super) struct Thinned<'r> {
    rows: rusqlite::Rows<'r>,
    next: Option<(i64, u64)>,
}

impl<'r> Thinned<'r> {
    /// What [`Thinned::of`] reads from, with the first place and the one behind the last.
    ///
    /// # Errors
    /// Those of SQLite.
    pub(super) fn statement(connection: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
        connection.prepare_cached(
            "SELECT at, occurrences FROM events INDEXED BY events_thinned
             WHERE occurrences > 1 AND at >= ?1 AND at < ?2 ORDER BY at DESC",
        )
    }

    pub(super) fn of(rows: rusqlite::Rows<'r>) -> rusqlite::Result<Self> {
        let mut made = Self { rows, next: None };
        made.advance()?;
        Ok(made)
    }

    fn advance(&mut self) -> rusqlite::Result<()> {
        self.next = match self.rows.next()? {
            Some(row) => Some((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())),
            None => None,
        };
        Ok(())
    }

    /// Of this place, which is older than the one before.
    pub(super) fn occurrences(&mut self, place: i64) -> rusqlite::Result<u64> {
        while self.next.is_some_and(|(at, _)| at > place) {
            self.advance()?;
        }
        Ok(self.next.filter(|(at, _)| *at == place).map_or(1, |(_, count)| count))
    }
}

/// Whether something that the filter wants may be counted on a sample, whose row says nothing of that.
///
/// # Errors
/// Those of SQLite.
pub(super) fn may_hide(connection: &Connection, meant: &Meant<'_>, rows: &mut Rows<'_>) -> rusqlite::Result<bool> {
    let filter = meant.filter();
    // What is counted on a sample is of its hour.
    let hour = |ms: i64| first_place(ms.div_euclid(HOUR_MS).saturating_mul(HOUR_MS));
    let first = filter.since_ms.map_or(i64::MIN, hour);
    let before = filter
        .until_ms
        .map_or(i64::MAX, |ms| hour(ms.saturating_add(HOUR_MS - 1)));
    let mut samples = connection.prepare_cached(
        "SELECT at, source, release, environment FROM events INDEXED BY events_thinned
         WHERE occurrences > 1 AND at >= ?1 AND at < ?2 ORDER BY at DESC",
    )?;
    let mut samples = samples.query([first, before])?;
    let mut looked_at = 0;
    while let Some(sample) = samples.next()? {
        looked_at += 1;
        if looked_at > MOST_LOOKED_AT || (agrees(filter, sample)? && rows.counts(sample.get(0)?)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether what is counted on a sample may have the wanted values.
fn agrees(filter: &Filter, sample: &Row<'_>) -> rusqlite::Result<bool> {
    for (field, wanted) in &filter.values {
        let column = match field {
            Field::Source => 1,
            Field::Release => 2,
            Field::Environment => 3,
            Field::Path | Field::UserId | Field::Ip | Field::RequestId => continue,
        };
        if sample.get::<_, Option<String>>(column)?.as_ref() != Some(wanted) {
            return Ok(false);
        }
    }
    Ok(true)
}
