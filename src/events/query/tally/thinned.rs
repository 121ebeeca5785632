//! How often the events of a storm occurred that have no rows (floor 2): read beside the places that a count walks.
//!
//! What must stay true: places are asked for newest first, each once. Called by the tally only.

use rusqlite::{CachedStatement, Connection};

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
