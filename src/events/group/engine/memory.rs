//! What the engine remembers of the tables (floor 2): keys, places of words, and that there are no others.
//!
//! What must stay true: it never says anything that the tables don't; it is dropped when their epoch isn't the one it was
//! left with, and what it took in of all their keys when their mark isn't: a transaction that was rolled back, or another
//! engine, brings another one. Called by the engine alone, inside its transaction.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::Connection;

use super::{MOST_HOLES, MOST_JOINED, MOST_KEYS};
use crate::events::group::complete::Complete;
use crate::events::group::modes::{self, Mode};
use crate::events::group::recent::Recent;
use crate::events::group::tables::{self, Known, Variant};
use crate::events::group::template::Key;

/// Most swallowed groups that are redirected, and groups whose keys are counted, before memory begins anew.
const MOST_MERGED: usize = 100_000;
/// Rows that a job reads at its beginning, as long as not all of them were: one or two milliseconds.
const ROWS_A_JOB: u16 = 2048;

/// The engine's memory.
pub(super) struct Memory {
    keys: Recent<Known>,
    holes: Recent<Vec<Variant>>,
    /// Groups that were swallowed since their keys were read.
    merged: HashMap<i64, i64>,
    /// How many keys joined a group, of those that something joined lately.
    joined: HashMap<i64, usize>,
    pub modes: HashMap<String, Mode>,
    all_keys: Complete,
    all_holes: Complete,
    rows_a_job: u16,
    epoch: Option<i64>,
    mark: Option<u32>,
    touched: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self::of(MOST_KEYS, MOST_HOLES, ROWS_A_JOB)
    }
}

impl Memory {
    /// At most so many keys and places, and so many rows that are read at the beginning of a job.
    pub(super) fn of(keys: usize, holes: usize, rows_a_job: u16) -> Self {
        Self {
            keys: Recent::new(keys),
            holes: Recent::new(holes),
            merged: HashMap::new(),
            joined: HashMap::new(),
            modes: HashMap::new(),
            all_keys: Complete::default(),
            all_holes: Complete::default(),
            rows_a_job,
            epoch: None,
            mark: None,
            touched: false,
        }
    }

    pub(super) fn begin(&mut self, c: &Connection) -> rusqlite::Result<()> {
        let epoch = tables::epoch(c)?;
        if self.epoch != Some(epoch) || self.merged.len() > MOST_MERGED {
            self.epoch = None;
            self.keys.clear();
            self.holes.clear();
            self.merged = HashMap::new();
            self.joined = HashMap::new();
            self.modes = modes::all(c)?;
            self.epoch = Some(epoch);
        }
        if self.mark != Some(tables::mark_of(epoch)) {
            self.all_keys = Complete::default();
            self.all_holes = Complete::default();
        }
        self.touched = false;
        self.read_on(c)
    }

    /// Takes in the tables' next rows, as long as there are any. What was read counts if this transaction does: each piece
    /// leaves another mark, which a rollback takes back.
    fn read_on(&mut self, c: &Connection) -> rusqlite::Result<()> {
        let (keys, holes) = (self.all_keys.wants(), self.all_holes.wants());
        if keys.is_none() && holes.is_none() {
            return Ok(());
        }
        self.mark = None;
        if let Some(from) = keys {
            let rows = tables::keys_from(c, from, self.rows_a_job)?;
            self.all_keys.take(&rows, rows.len() < usize::from(self.rows_a_job));
        }
        if let Some(from) = holes {
            let rows = tables::holes_from(c, from, self.rows_a_job)?;
            self.all_holes.take(&rows, rows.len() < usize::from(self.rows_a_job));
        }
        self.epoch = None;
        let mark = fastrand::u32(..);
        self.epoch = Some(tables::mark(c, mark)?);
        (self.mark, self.touched) = (Some(mark), true);
        Ok(())
    }

    /// Before the first change of a job.
    pub(super) fn touch(&mut self, c: &Connection) -> rusqlite::Result<()> {
        if !self.touched {
            // Memory is of no known state until the write has succeeded.
            self.epoch = None;
            self.epoch = Some(tables::touch(c)?);
            self.touched = true;
        }
        Ok(())
    }

    /// Where a group's events are by now: itself, or the one that swallowed it.
    pub(super) fn root(&self, group: i64) -> i64 {
        let mut group = group;
        while let Some(&into) = self.merged.get(&group) {
            group = into;
        }
        group
    }

    /// A group was swallowed by another.
    pub(super) fn swallowed(&mut self, group: i64, into: i64) {
        self.merged.insert(group, into);
    }

    #[inline]
    pub(super) fn key(&mut self, c: &Connection, key: Key) -> rusqlite::Result<Option<Known>> {
        if let Some(known) = self.keys.copied(key) {
            let group = if self.merged.is_empty() {
                known.group
            } else {
                self.root(known.group)
            };
            return Ok(Some(Known { group, ..known }));
        }
        if self.all_keys.lacks(key) {
            return Ok(None);
        }
        let found = tables::key(c, key)?;
        if let Some(known) = found {
            self.keys.insert(key, known);
        }
        Ok(found)
    }

    /// The same for a key that hardly any group has.
    #[inline]
    pub(super) fn rare_key(&mut self, c: &Connection, key: Key) -> rusqlite::Result<Option<Known>> {
        if self.all_keys.lacks(key) {
            return Ok(None);
        }
        self.key(c, key)
    }

    /// The tables are about to have this key.
    pub(super) fn add_key(&mut self, key: Key, group: i64) {
        self.all_keys.add(key);
        self.keys.insert(key, Known { group, barred: false });
    }

    /// Whether one more key may join a group, and counts it if so.
    pub(super) fn may_join(&mut self, c: &Connection, group: i64) -> rusqlite::Result<bool> {
        if self.joined.len() >= MOST_MERGED {
            self.joined = HashMap::new();
        }
        let count = match self.joined.entry(group) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(tables::joined(c, group, MOST_JOINED)?),
        };
        let may = *count < MOST_JOINED;
        *count += usize::from(may);
        Ok(may)
    }

    /// The words that were seen at a place.
    pub(super) fn variants(&mut self, c: &Connection, key: Key) -> rusqlite::Result<&mut Vec<Variant>> {
        if self.holes.get(key).is_none() {
            let found = if self.all_holes.lacks(key) {
                Vec::new()
            } else {
                tables::variants(c, key)?
            };
            self.holes.insert(key, found);
        }
        // Inserted above when it wasn't there.
        Ok(self.holes.get(key).expect("just inserted"))
    }

    /// The tables are about to have words at this place.
    pub(super) fn add_hole(&mut self, key: Key) {
        self.all_holes.add(key);
    }

    /// The words at this place are no longer counted.
    pub(super) fn forget_hole(&mut self, key: Key) {
        self.holes.remove(key);
    }

    /// How many keys and places are remembered.
    #[cfg(test)]
    pub(super) fn lengths(&self) -> (usize, usize) {
        (self.keys.len(), self.holes.len())
    }
}
