//! Events into events.db (floor 2): the SQL of one write job.
//!
//! What must stay true: inserting an event again changes nothing (its id decides), and the groups' and hours' counts change in
//! the same transaction as the rows they count. Runs on the writer thread inside a savepoint; called through the sink only.

use std::borrow::Borrow;
use std::collections::HashMap;

use rusqlite::Connection;
use uuid::Uuid;

use super::group::{self, Engine, Scanned, Subject};
use super::life::Tallies;
use super::model::{ErrorEvent, Severity};
use super::remove::Erased;
use super::storm::{Groups, Thinning, Verdict};

mod hours;
mod row;
pub(super) use hours::{HOUR_MS, Hours};
use row::Places;

/// An event that is ready to be written: everything that costs time was done before it reached the writer thread.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The event.
    pub event: ErrorEvent,
    /// Its group's key.
    scanned: Scanned,
    body: Option<String>,
    /// How many occurrences its row stands for, where it is taken in from a file: never thinned.
    imported: Option<u32>,
}

impl Prepared {
    /// Computes the group's key and the stored JSON.
    pub fn new(event: ErrorEvent) -> Self {
        let scanned = group::scan(&event);
        // Strings, numbers and raw JSON that was valid when it came in always serialise.
        let body = (!event.extras.is_empty()).then(|| serde_json::to_string(&event.extras).unwrap_or_default());
        Self {
            event,
            scanned,
            body,
            imported: None,
        }
    }

    /// The same for an event from a file: it gets a row of its own, which stands for so many occurrences.
    pub fn imported(event: ErrorEvent, occurrences: u32) -> Self {
        Self {
            imported: Some(occurrences.max(1)),
            ..Self::new(event)
        }
    }

    /// How many occurrences it brings.
    fn occurrences(&self) -> u32 {
        self.imported.unwrap_or(1)
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
    /// It is counted on a row of this group.
    Counted {
        /// The group.
        group_id: i64,
        /// The row's event.
        sample: Uuid,
    },
    /// An event with its id was there already, or it is older than the erasure of its user.
    Duplicate,
}

/// What a batch adds to one group.
struct Tally {
    count: i64,
    first_seen: i64,
    last_seen: i64,
    severity: Severity,
}

impl Tally {
    fn begin(event: &ErrorEvent) -> Self {
        Self {
            count: 0,
            first_seen: event.timestamp_ms,
            last_seen: event.timestamp_ms,
            severity: event.severity,
        }
    }

    fn add(&mut self, event: &ErrorEvent, occurrences: u32) {
        self.count += i64::from(occurrences);
        self.first_seen = self.first_seen.min(event.timestamp_ms);
        self.last_seen = self.last_seen.max(event.timestamp_ms);
        self.severity = self.severity.max(event.severity);
    }
}

/// Writes a batch; the answers are in its order. Groups in a storm are thinned as `groups` says.
///
/// # Errors
/// Those of SQLite; the caller's savepoint undoes the whole batch.
pub fn insert_thinned<P: Borrow<Prepared>>(
    connection: &Connection,
    batch: &[P],
    engine: &mut Engine,
    groups: &mut Groups,
) -> rusqlite::Result<Vec<Inserted>> {
    engine.begin(connection)?;
    let mut thinning = Thinning::begin(connection, groups)?;
    let mut tallies: HashMap<i64, Tally> = HashMap::new();
    let (mut hours, mut places) = (Hours::default(), Places::around(connection, batch)?);
    let mut lives = Tallies::default();
    let erased = Erased::load(connection)?;
    let mut inserted = Vec::with_capacity(batch.len());
    for prepared in batch.iter().map(Borrow::borrow) {
        if erased.as_ref().is_some_and(|erased| erased.has(&prepared.event)) {
            inserted.push(Inserted::Duplicate);
            continue;
        }
        let Some((group_id, at, done)) = place(connection, prepared, engine, &mut thinning, &mut places)? else {
            inserted.push(Inserted::Duplicate);
            continue;
        };
        let (event, occurrences) = (&prepared.event, prepared.occurrences());
        tallies
            .entry(group_id)
            .or_insert_with(|| Tally::begin(event))
            .add(event, occurrences);
        hours.add(at, event, occurrences);
        lives.add(group_id, at, event, occurrences);
        inserted.push(done);
    }
    for (group, tally) in &tallies {
        // It may have been swallowed by a later event of the batch.
        settle_group(connection, engine.root(*group), tally)?;
    }
    places.hand_over(connection)?;
    hours.write(connection)?;
    lives.write(connection)?;
    thinning.finish()?;
    Ok(inserted)
}

/// The same without a limit for groups.
///
/// # Errors
/// As for [`insert_thinned`].
#[cfg(test)]
pub fn insert(connection: &Connection, batch: &[Prepared], engine: &mut Engine) -> rusqlite::Result<Vec<Inserted>> {
    insert_thinned(
        connection,
        batch,
        engine,
        &mut Groups::new(u32::MAX, std::sync::Arc::default()),
    )
}

/// Gives an event a row or counts it on one: its group, the row's place, and what became of it; `None` for a duplicate.
fn place(
    connection: &Connection,
    prepared: &Prepared,
    engine: &mut Engine,
    thinning: &mut Thinning<'_, '_>,
    places: &mut Places,
) -> rusqlite::Result<Option<(i64, i64, Inserted)>> {
    let event = &prepared.event;
    let Some(group_id) = resolve(connection, prepared, engine, thinning)? else {
        return Ok(None);
    };
    let verdict = match prepared.imported {
        Some(_) => Verdict::Whole,
        None => thinning.judge(group_id, event)?,
    };
    if let Verdict::Onto(sample) = &verdict {
        let counted = Inserted::Counted {
            group_id,
            sample: sample.id,
        };
        let is_new = thinning.count(group_id, sample, event)?;
        return Ok(is_new.then_some((group_id, sample.at, counted)));
    }
    if thinning.knows(event.id)? {
        return Ok(None);
    }
    let Some(at) = places.insert(connection, prepared, group_id)? else {
        return Ok(None);
    };
    if let Verdict::Sample(variant) = verdict {
        thinning.took(group_id, variant, at, event);
    }
    Ok(Some((group_id, at, Inserted::New { group_id })))
}

/// The group of an event; `None` when it is there already, so that a duplicate teaches the grouping nothing.
fn resolve(
    connection: &Connection,
    prepared: &Prepared,
    engine: &mut Engine,
    thinning: &Thinning<'_, '_>,
) -> rusqlite::Result<Option<i64>> {
    let subject = Subject::from(&prepared.event);
    if let Some(known) = engine.known(connection, &prepared.scanned, &subject)? {
        return Ok(Some(known));
    }
    let is_row = connection
        .prepare_cached("SELECT 1 FROM events WHERE id = ?1")?
        .exists([prepared.event.id.as_bytes()])?;
    if is_row || thinning.knows(prepared.event.id)? {
        return Ok(None);
    }
    engine.resolve(connection, &prepared.scanned, &subject).map(Some)
}

/// A group grows by what the batch has of it. Its beginning and its severity seldom change, and each is in indexes that
/// an UPDATE would write anew whatever the values.
fn settle_group(connection: &Connection, group: i64, tally: &Tally) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE groups SET count = count + ?2, last_seen = max(last_seen, ?3) WHERE id = ?1")?
        .execute([group, tally.count, tally.last_seen])?;
    connection
        .prepare_cached(
            "UPDATE groups SET first_seen = min(first_seen, ?2), severity = max(severity, ?3)
             WHERE id = ?1 AND (first_seen > ?2 OR severity < ?3)",
        )?
        .execute([group, tally.first_seen, tally.severity.number().into()])?;
    Ok(())
}

#[cfg(test)]
mod tests;
