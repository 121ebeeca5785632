//! One event's row (floor 2): its place in the order of lists, its number in the order of storing, and what is bound for its
//! columns.
//!
//! What must stay true: an event takes the next free place of its millisecond, so those of one millisecond keep the order
//! in which they came; its true time is kept apart where its place can't tell it. Numbers of storing only grow, whatever
//! is removed, and are on disk with the rows that have them (`events/tail.rs` says what that is for). Called by the
//! store's insert only.

use std::borrow::Borrow;
use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::Prepared;
use crate::events::model::UserId;
use crate::events::order::{end_of_ms, first_place, ms_of};

/// Most places that are looked up at once for a batch.
const MOST_KNOWN: usize = 1024;

/// The places of a batch.
#[derive(Debug)]
pub(super) struct Places {
    /// The next free place by the first one of its millisecond.
    next: HashMap<i64, i64>,
    /// Whether every millisecond of the batch that isn't in `next` is empty.
    is_complete: bool,
    taken: Vec<i64>,
    /// The number of storing that was given last.
    last_stored: i64,
}

impl Places {
    /// Looks at what lies around a batch: where that is little, one look serves all of it.
    pub(super) fn around<P: Borrow<Prepared>>(connection: &Connection, batch: &[P]) -> rusqlite::Result<Self> {
        let wanted = || batch.iter().map(|one| first_place(one.borrow().event.timestamp_ms));
        let (first, last) = (wanted().min().unwrap_or(0), wanted().max().unwrap_or(0));
        let mut around =
            connection.prepare_cached("SELECT at FROM events WHERE at >= ?1 AND at < ?2 ORDER BY at LIMIT ?3")?;
        let mut found = around.query((first, end_of_ms(last), MOST_KNOWN as i64))?;
        let (mut next, mut count) = (HashMap::with_capacity(batch.len()), 0);
        while let Some(row) = found.next()? {
            let at: i64 = row.get(0)?;
            next.insert(first_place(ms_of(at)), at + 1);
            count += 1;
        }
        let is_complete = count < MOST_KNOWN;
        if !is_complete {
            next.clear();
        }
        let taken = Vec::with_capacity(batch.len());
        let last_stored = connection
            .prepare_cached("SELECT last FROM event_sequence")?
            .query_row([], |row| row.get(0))?;
        Ok(Self {
            next,
            is_complete,
            taken,
            last_stored,
        })
    }

    /// Inserts an event's row; its place, or `None` when an event with its id is there already.
    pub(super) fn insert(
        &mut self,
        connection: &Connection,
        prepared: &Prepared,
        group_id: i64,
    ) -> rusqlite::Result<Option<i64>> {
        let wanted = first_place(prepared.event.timestamp_ms);
        let at = match self.next.get(&wanted) {
            // The last of its millisecond was taken: the next one may hold events already.
            Some(next) if ms_of(*next) != ms_of(wanted) => free_from(connection, *next)?,
            Some(next) => *next,
            None if self.is_complete => wanted,
            None => free_from(connection, wanted)?,
        };
        if !insert_row(connection, prepared, group_id, (at, self.last_stored + 1))? {
            return Ok(None);
        }
        self.last_stored += 1;
        self.next.insert(wanted, at + 1);
        if ms_of(at) != ms_of(wanted) {
            // What was known of the milliseconds up to there is no longer so.
            self.next.retain(|first, _| *first <= wanted || *first > at);
            self.is_complete = false;
        }
        self.taken.push(at);
        Ok(Some(at))
    }

    /// Keeps the number that was given last, and hands the new events to the text index, all with one statement.
    pub(super) fn hand_over(mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.taken.is_empty() {
            return Ok(());
        }
        self.taken.sort_unstable();
        let places = serde_json::to_string(&self.taken).unwrap_or_default();
        connection
            .prepare_cached("INSERT INTO to_index SELECT value FROM json_each(?1)")?
            .execute([places])?;
        connection
            .prepare_cached("UPDATE event_sequence SET last = ?1")?
            .execute([self.last_stored])?;
        Ok(())
    }
}

/// The first free place from the first one of a millisecond on: after the last that is taken there.
fn free_from(connection: &Connection, mut wanted: i64) -> rusqlite::Result<i64> {
    let mut last = connection.prepare_cached("SELECT max(at) FROM events WHERE at >= ?1 AND at < ?2")?;
    loop {
        let end = end_of_ms(wanted);
        let taken: Option<i64> = last.query_row([wanted, end], |row| row.get(0))?;
        match taken {
            Some(taken) if taken + 1 == end => wanted = end,
            Some(taken) => return Ok(taken + 1),
            None => return Ok(wanted),
        }
    }
}

/// Whether the event was new; it has this place and this number of storing.
fn insert_row(
    connection: &Connection,
    prepared: &Prepared,
    group_id: i64,
    (at, stored): (i64, i64),
) -> rusqlite::Result<bool> {
    let event = &prepared.event;
    let (number, text) = match &event.user_id {
        Some(UserId::Number(number)) => (Some(*number), None),
        Some(UserId::Text(text)) => (None, Some(text.as_str())),
        None => (None, None),
    };
    let time = (ms_of(at) != event.timestamp_ms).then_some(event.timestamp_ms);
    let changed = connection
        .prepare_cached(include_str!("insert_event.sql"))?
        .execute(params![
            at,
            event.id.as_bytes(),
            time,
            event.received_ms,
            event.kind.number(),
            event.severity.number(),
            event.assessed.number(),
            event.class.number(),
            group_id,
            number,
            text,
            event.ip,
            event.path,
            event.request_id,
            event.source,
            event.release,
            event.environment,
            event.message,
            prepared.body,
            prepared.occurrences(),
            stored,
        ])?;
    Ok(changed == 1)
}

#[cfg(test)]
mod tests;
