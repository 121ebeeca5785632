//! From an event's key to its group (floor 2): the stateful half of the grouping.
//!
//! What must stay true: the tables in events.db decide, memory only spares asking them, so that groups are the same after a
//! restart, in any batches, and after a transaction was rolled back: [`Engine::begin`] compares the tables' epoch with
//! memory's, and every change gives both a new one. Runs on the writer thread, inside the transaction, in commit order; the
//! store calls it.
//!
//! Memory: at most [`MOST_KEYS`] keys (about 48 bytes each) and [`MOST_HOLES`] places of words (about 48 bytes, and 24 for
//! each of their few words): below 5 MB and 60 MB, when that many are in use.

use std::collections::HashMap;

use rusqlite::Connection;

use super::Scanned;
use super::modes::{self, Mode};
use super::recent::Recent;
use super::subject::Subject;
use super::tables::{self, Known, Variant};
use super::template::Key;

mod miss;
pub use miss::THRESHOLDS;

/// Most keys that are remembered.
pub const MOST_KEYS: usize = 100_000;
/// Most places of words that are remembered.
pub const MOST_HOLES: usize = 500_000;
/// Most swallowed groups that memory redirects before it begins anew.
const MOST_MERGED: usize = 100_000;

/// Gives each event its group.
pub struct Engine {
    keys: Recent<Known>,
    holes: Recent<Vec<Variant>>,
    /// Groups that were swallowed since their keys were read.
    merged: HashMap<i64, i64>,
    modes: HashMap<String, Mode>,
    epoch: Option<i64>,
    touched: bool,
    /// Distinct words that make a place one of a value, where that isn't as the place's own kind asks for.
    threshold: Option<usize>,
}

impl Default for Engine {
    fn default() -> Self {
        Self::remembering(MOST_KEYS, MOST_HOLES)
    }
}

impl Engine {
    /// An engine that remembers at most so many keys and places.
    pub fn remembering(keys: usize, holes: usize) -> Self {
        Self {
            keys: Recent::new(keys),
            holes: Recent::new(holes),
            merged: HashMap::new(),
            modes: HashMap::new(),
            epoch: None,
            touched: false,
            threshold: None,
        }
    }

    /// An engine that takes a place of words for one of a value after so many distinct ones, within [`THRESHOLDS`], whatever
    /// kind of words they are: for previews.
    pub fn with_threshold(threshold: usize) -> Self {
        Self {
            threshold: Some(threshold.clamp(THRESHOLDS.0, THRESHOLDS.1)),
            ..Self::default()
        }
    }

    /// Begins a job: drops a memory that isn't of the tables' present state. Must be called in every transaction or savepoint
    /// before the first event.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn begin(&mut self, c: &Connection) -> rusqlite::Result<()> {
        let epoch = tables::epoch(c)?;
        if self.epoch != Some(epoch) || self.merged.len() > MOST_MERGED {
            self.epoch = None;
            self.keys.clear();
            self.holes.clear();
            self.merged = HashMap::new();
            self.modes = modes::all(c)?;
            self.epoch = Some(epoch);
        }
        self.touched = false;
        Ok(())
    }

    /// The group of an event whose key is known; asking changes nothing.
    ///
    /// # Errors
    /// Those of SQLite.
    #[inline]
    pub fn known(&mut self, c: &Connection, scanned: &Scanned, subject: &Subject<'_>) -> rusqlite::Result<Option<i64>> {
        let key = self.key_by_mode(scanned, subject);
        Ok(self.lookup(c, key)?.map(|known| known.group))
    }

    /// The group of an event: the known one, one that it joins, or a new one.
    ///
    /// # Errors
    /// Those of SQLite; the caller rolls back then.
    #[inline]
    pub fn resolve(&mut self, c: &Connection, scanned: &Scanned, subject: &Subject<'_>) -> rusqlite::Result<i64> {
        let key = self.key_by_mode(scanned, subject);
        match self.lookup(c, key)? {
            Some(known) => Ok(known.group),
            None => self.miss(c, key, subject),
        }
    }

    /// Where a group's events are by now: itself, or the one that swallowed it in this job.
    pub fn root(&self, group: i64) -> i64 {
        let mut group = group;
        while let Some(&into) = self.merged.get(&group) {
            group = into;
        }
        group
    }

    fn mode(&self, source: Option<&str>) -> Mode {
        if self.modes.is_empty() {
            return Mode::Learned;
        }
        self.modes.get(source.unwrap_or_default()).copied().unwrap_or_default()
    }

    fn key_by_mode(&self, scanned: &Scanned, subject: &Subject<'_>) -> Key {
        match self.mode(subject.source) {
            Mode::Learned => scanned.key,
            mode => subject.key_in(mode),
        }
    }

    #[inline]
    fn lookup(&mut self, c: &Connection, key: Key) -> rusqlite::Result<Option<Known>> {
        if let Some(known) = self.keys.get(key).copied() {
            let group = if self.merged.is_empty() {
                known.group
            } else {
                self.root(known.group)
            };
            return Ok(Some(Known { group, ..known }));
        }
        let found = tables::key(c, key)?;
        if let Some(known) = found {
            self.keys.insert(key, known);
        }
        Ok(found)
    }

    /// Before the first change of a job.
    fn touch(&mut self, c: &Connection) -> rusqlite::Result<()> {
        if !self.touched {
            // Memory is of no known state until the write has succeeded.
            self.epoch = None;
            self.epoch = Some(tables::touch(c)?);
            self.touched = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
