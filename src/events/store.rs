//! Events into events.db (floor 2): the SQL of one write job.
//!
//! What must stay true: inserting an event again changes nothing (its id decides), and the groups' and hours' counts change in
//! the same transaction as the rows they count. Runs on the writer thread inside a savepoint; called through the sink only.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::group::{GroupKey, Grouper};
use super::life::Tallies;
use super::model::{ErrorEvent, Severity};

mod hours;
mod row;
pub(super) use hours::HOUR_MS;
use hours::Hours;
use row::Places;

/// An event that is ready to be written: everything that costs time was done before it reached the writer thread.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The event.
    pub event: ErrorEvent,
    /// Its group's key.
    pub key: GroupKey,
    body: Option<String>,
}

impl Prepared {
    /// Computes the group's key and the stored JSON.
    pub fn new(event: ErrorEvent, grouper: &dyn Grouper) -> Self {
        let key = grouper.key(&event);
        // Strings, numbers and raw JSON that was valid when it came in always serialise.
        let body = (!event.extras.is_empty()).then(|| serde_json::to_string(&event.extras).unwrap_or_default());
        Self { event, key, body }
    }

    /// About how much memory it takes: its longest texts, twice where they are held as members and as text.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.event.message.len() + 2 * self.body.as_ref().map_or(0, String::len)
    }
}

/// What became of one event of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It is a new row of this group.
    New {
        /// The group.
        group_id: i64,
    },
    /// An event with its id was there already.
    Duplicate,
}

/// What a batch adds to one group.
struct Tally {
    group_id: i64,
    created: bool,
    count: i64,
    first_seen: i64,
    last_seen: i64,
    severity: Severity,
}

impl Tally {
    fn add(&mut self, event: &ErrorEvent) {
        self.count += 1;
        self.first_seen = self.first_seen.min(event.timestamp_ms);
        self.last_seen = self.last_seen.max(event.timestamp_ms);
        self.severity = self.severity.max(event.severity);
    }
}

/// Writes a batch; the answers are in its order.
///
/// # Errors
/// Those of SQLite; the caller's savepoint undoes the whole batch.
pub fn insert(connection: &Connection, batch: &[Prepared]) -> rusqlite::Result<Vec<Inserted>> {
    let mut tallies: HashMap<[u8; 16], Tally> = HashMap::new();
    let (mut hours, mut places) = (Hours::default(), Places::around(connection, batch)?);
    let mut lives = Tallies::default();
    let mut inserted = Vec::with_capacity(batch.len());
    for prepared in batch {
        let tally = match tallies.entry(prepared.key.hash) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(open) => open.insert(resolve(connection, prepared)?),
        };
        if let Some(at) = places.insert(connection, prepared, tally.group_id)? {
            tally.add(&prepared.event);
            hours.add(at, &prepared.event);
            lives.add(tally.group_id, at, &prepared.event);
            inserted.push(Inserted::New {
                group_id: tally.group_id,
            });
        } else {
            inserted.push(Inserted::Duplicate);
        }
    }
    for (hash, tally) in &tallies {
        settle_group(connection, hash, tally)?;
    }
    places.hand_over(connection)?;
    hours.write(connection)?;
    lives.write(connection)?;
    Ok(inserted)
}

/// The group of an event's key, made when it is new.
fn resolve(connection: &Connection, prepared: &Prepared) -> rusqlite::Result<Tally> {
    let (event, key) = (&prepared.event, &prepared.key);
    let known: Option<i64> = connection
        .prepare_cached("SELECT group_id FROM group_keys WHERE hash = ?1")?
        .query_row([&key.hash], |row| row.get(0))
        .optional()?;
    let group_id = match known {
        Some(id) => id,
        None => create_group(connection, event, key)?,
    };
    Ok(Tally {
        group_id,
        created: known.is_none(),
        count: 0,
        first_seen: event.timestamp_ms,
        last_seen: event.timestamp_ms,
        severity: event.severity,
    })
}

fn create_group(connection: &Connection, event: &ErrorEvent, key: &GroupKey) -> rusqlite::Result<i64> {
    let explanation = serde_json::to_string(&key.explanation).unwrap_or_default();
    connection
        .prepare_cached(
            "INSERT INTO groups (title, type, source, severity, explanation, first_seen, last_seen)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        )?
        .execute(params![
            key.title,
            event.kind.number(),
            event.source,
            event.severity.number(),
            explanation,
            event.timestamp_ms
        ])?;
    let id = connection.last_insert_rowid();
    connection
        .prepare_cached("INSERT INTO group_keys (hash, group_id) VALUES (?1, ?2)")?
        .execute(params![key.hash, id])?;
    Ok(id)
}

/// A group that was made for duplicates alone goes again; the others grow.
fn settle_group(connection: &Connection, hash: &[u8; 16], tally: &Tally) -> rusqlite::Result<()> {
    if tally.count == 0 {
        if tally.created {
            connection
                .prepare_cached("DELETE FROM group_keys WHERE hash = ?1")?
                .execute([hash])?;
            connection
                .prepare_cached("DELETE FROM groups WHERE id = ?1")?
                .execute([tally.group_id])?;
        }
        return Ok(());
    }
    connection
        .prepare_cached(
            "UPDATE groups SET count = count + ?2, first_seen = min(first_seen, ?3), last_seen = max(last_seen, ?4),
             severity = max(severity, ?5) WHERE id = ?1",
        )?
        .execute(params![
            tally.group_id,
            tally.count,
            tally.first_seen,
            tally.last_seen,
            tally.severity.number()
        ])?;
    Ok(())
}

#[cfg(test)]
mod tests;
