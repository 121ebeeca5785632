//! Occurrences that are counted instead of stored (floor 2): the SQL of a batch.
//!
//! What must stay true: an occurrence is counted in the transaction that its answer waits for, and its id is kept beside the
//! sample's, so that it is counted once however often it comes and whoever got the id finds the sample; the ids are kept for a
//! day, and the newest hundred thousand of them. Called by the store, in the transaction of the batch.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::groups::{Groups, Sample, Verdict};
use crate::events::model::ErrorEvent;

/// Ids of counted occurrences that are kept.
const MOST_IDS: i64 = 100_000;
/// How long they are kept, in milliseconds.
const KEPT_MS: i64 = 24 * 3_600_000;
/// Most ids that one batch removes; more than one adds.
const REMOVED_AT_ONCE: i64 = 512;

/// A sample that is in events.db.
struct Seen {
    id: Uuid,
    group: i64,
    /// What this batch counted on it.
    count: i64,
}

/// What a batch does with groups in a storm.
pub struct Thinning<'c, 'g> {
    connection: &'c Connection,
    groups: &'g mut Groups,
    /// The number of the newest id that is kept; `None` where there is none.
    newest: Option<i64>,
    /// Samples that are seen to be in events.db, by their places.
    samples: BTreeMap<i64, Seen>,
    storming: BTreeSet<i64>,
    received_ms: i64,
}

impl<'c, 'g> Thinning<'c, 'g> {
    /// For one batch.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn begin(connection: &'c Connection, groups: &'g mut Groups) -> rusqlite::Result<Self> {
        let newest = connection
            .prepare_cached("SELECT max(n) FROM counted")?
            .query_row([], |row| row.get(0))?;
        Ok(Self {
            connection,
            groups,
            newest,
            samples: BTreeMap::new(),
            storming: BTreeSet::new(),
            received_ms: i64::MIN,
        })
    }

    /// Whether an occurrence with this id was counted already.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn knows(&self, id: Uuid) -> rusqlite::Result<bool> {
        if self.newest.is_none() {
            return Ok(false);
        }
        self.connection
            .prepare_cached("SELECT 1 FROM counted WHERE id = ?1")?
            .exists([id.as_bytes()])
    }

    /// What is to be done with an event of this group; a sample that it names is there.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn judge(&mut self, group: i64, event: &ErrorEvent) -> rusqlite::Result<Verdict> {
        self.received_ms = self.received_ms.max(event.received_ms);
        let verdict = self.groups.judge(group, event);
        if verdict == Verdict::Whole {
            return Ok(verdict);
        }
        self.storming.insert(group);
        match verdict {
            // It may have been removed, moved to another group, or rolled back.
            Verdict::Onto(sample) if !self.is_there(group, &sample)? => {
                Ok(Verdict::Sample(self.groups.lost(group, &sample)))
            }
            verdict => Ok(verdict),
        }
    }

    fn is_there(&mut self, group: i64, sample: &Sample) -> rusqlite::Result<bool> {
        // A place may have another event now than the one that memory knows there.
        if let Some(seen) = self.samples.get(&sample.at) {
            return Ok((seen.id, seen.group) == (sample.id, group));
        }
        let found = self
            .connection
            .prepare_cached("SELECT 1 FROM events WHERE at = ?1 AND id = ?2 AND group_id = ?3")?
            .exists(params![sample.at, sample.id.as_bytes(), group])?;
        if found {
            self.see(sample.at, sample.id, group);
        }
        Ok(found)
    }

    fn see(&mut self, at: i64, id: Uuid, group: i64) {
        self.samples.insert(at, Seen { id, group, count: 0 });
    }

    /// A row that others are to be counted on took this place.
    pub fn took(&mut self, group: i64, variant: u64, at: i64, event: &ErrorEvent) {
        self.see(at, event.id, group);
        self.groups.took(group, variant, at, event.id);
    }

    /// Counts an event on a sample; `false` when one with its id is there already, as a row or counted.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn count(&mut self, group: i64, sample: &Sample, event: &ErrorEvent) -> rusqlite::Result<bool> {
        let is_row = self
            .connection
            .prepare_cached("SELECT 1 FROM events WHERE id = ?1")?
            .exists([event.id.as_bytes()])?;
        if is_row {
            return Ok(false);
        }
        let number = self.newest.unwrap_or(0) + 1;
        let added = self
            .connection
            .prepare_cached(
                "INSERT INTO counted (n, id, sample, received) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO NOTHING",
            )?
            .execute(params![
                number,
                event.id.as_bytes(),
                sample.id.as_bytes(),
                event.received_ms
            ])?;
        if added == 0 {
            return Ok(false);
        }
        self.newest = Some(number);
        if let Some(seen) = self.samples.get_mut(&sample.at) {
            seen.count += 1;
        }
        self.groups.counted(group, sample);
        Ok(true)
    }

    /// Writes what was counted, and lets go of ids that were kept long enough.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn finish(self) -> rusqlite::Result<()> {
        let mut add = self
            .connection
            .prepare_cached("UPDATE events SET occurrences = occurrences + ?2 WHERE at = ?1")?;
        for (at, seen) in self.samples.iter().filter(|(_, seen)| seen.count > 0) {
            add.execute([*at, seen.count])?;
        }
        if let Some(newest) = self.newest {
            forget(self.connection, newest, self.received_ms)?;
        }
        self.storming.iter().for_each(|group| self.groups.tell(*group));
        Ok(())
    }
}

/// Removes the oldest ids beyond what is kept.
fn forget(connection: &Connection, newest: i64, now_ms: i64) -> rusqlite::Result<()> {
    let oldest: Option<(i64, i64)> = connection
        .prepare_cached("SELECT n, received FROM counted ORDER BY n LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (too_many, too_old) = (newest - MOST_IDS, now_ms.saturating_sub(KEPT_MS));
    let Some((first, received)) = oldest else { return Ok(()) };
    if first > too_many && received >= too_old {
        return Ok(());
    }
    connection
        .prepare_cached("DELETE FROM counted WHERE n < ?1 AND (n <= ?2 OR received < ?3)")?
        .execute([first + REMOVED_AT_ONCE, too_many, too_old])?;
    Ok(())
}

#[cfg(test)]
mod tests;
