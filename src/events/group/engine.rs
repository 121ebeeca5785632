//! From an event's key to its group (floor 2): the stateful half of the grouping.
//!
//! What must stay true: the tables in events.db decide, memory only spares asking them, so that groups are the same after a
//! restart, in any batches, and after a transaction was rolled back: [`Engine::begin`] compares the tables' epoch with
//! memory's, and every change gives both a new one. Runs on the writer thread, inside the transaction, in commit order; the
//! store calls it.
//!
//! Memory: at most [`MOST_KEYS`] keys (about 48 bytes each) and [`MOST_HOLES`] places of words (about 48 bytes, and 24 for
//! each of their few words): below 5 MB and 60 MB, when that many are in use. Beside them two filters tell what the tables
//! certainly don't have, so that a new key needs no question: 128 KiB each at first, 8 MiB at most.

use rusqlite::Connection;

use self::judge::Miss;
use self::memory::Memory;
use super::modes::Mode;
use super::subject::Subject;
use super::template::{Candidate, Key, Spare};
use super::{Rules, Scanned};

mod judge;
mod memory;
mod miss;
pub use miss::THRESHOLDS;

/// Most keys that are remembered.
pub const MOST_KEYS: usize = 100_000;
/// Most places of words that are remembered.
pub const MOST_HOLES: usize = 500_000;
/// Most keys that join one group and are stored with it. Further words where its template has a mask are found through the
/// template each time: what a program writes there must not fill the disk.
pub const MOST_JOINED: usize = 10_000;

/// Gives each event its group.
#[derive(Default)]
pub struct Engine {
    memory: Memory,
    rules: Rules,
    /// Distinct words that make a place one of a value, where that isn't as the place's own kind asks for.
    threshold: Option<usize>,
    /// Memory of the last miss, for the next one.
    spare: Spare,
    candidates: Vec<Candidate>,
}

/// What an event comes to, before anything is written.
pub struct Decision<'e>(Decided<'e>);

enum Decided<'e> {
    Known(i64),
    Miss(Miss<'e>),
}

impl Decision<'_> {
    /// Whether there is nothing to write: its key was known.
    pub fn is_known(&self) -> bool {
        matches!(self.0, Decided::Known(_))
    }
}

impl Engine {
    /// An engine that remembers at most so many keys and places, and reads so many rows at the beginning of each job until
    /// it knows which keys there are.
    #[cfg(test)]
    fn remembering(keys: usize, holes: usize, rows_a_job: u16) -> Self {
        Self {
            memory: Memory::of(keys, holes, rows_a_job),
            ..Self::default()
        }
    }

    /// An engine of a version of the rules: for previews and comparisons.
    pub fn of(rules: Rules) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    /// The same, which takes a place of words for one of a value after so many distinct ones, within [`THRESHOLDS`], whatever
    /// kind of words they are.
    #[must_use]
    pub fn with_threshold(self, threshold: usize) -> Self {
        Self {
            threshold: Some(threshold.clamp(THRESHOLDS.0, THRESHOLDS.1)),
            ..self
        }
    }

    /// Begins a job: drops a memory that isn't of the tables' present state, and takes in a little more of what there is,
    /// until it knows all keys. Must be called in every write transaction or savepoint before the first event.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn begin(&mut self, c: &Connection) -> rusqlite::Result<()> {
        self.memory.begin(c)
    }

    /// The group of an event whose key is known; asking changes nothing.
    ///
    /// # Errors
    /// Those of SQLite.
    #[inline]
    pub fn known(&mut self, c: &Connection, scanned: &Scanned, subject: &Subject<'_>) -> rusqlite::Result<Option<i64>> {
        let key = self.key_by_mode(scanned, subject);
        Ok(self.memory.key(c, key)?.map(|known| known.group))
    }

    /// The group of an event: the known one, one that it joins, or a new one.
    ///
    /// # Errors
    /// Those of SQLite; the caller rolls back then.
    #[inline]
    pub fn resolve(&mut self, c: &Connection, scanned: &Scanned, subject: &Subject<'_>) -> rusqlite::Result<i64> {
        let decision = self.decide(c, scanned, subject)?;
        self.settle(c, decision, subject)
    }

    /// The first half of [`Self::resolve`], which only reads, and asks the tables for what memory let go alone.
    ///
    /// # Errors
    /// Those of SQLite.
    #[inline]
    pub fn decide<'e>(
        &mut self,
        c: &Connection,
        scanned: &Scanned,
        subject: &Subject<'e>,
    ) -> rusqlite::Result<Decision<'e>> {
        let key = self.key_by_mode(scanned, subject);
        Ok(Decision(match self.memory.key(c, key)? {
            Some(known) => Decided::Known(known.group),
            None => Decided::Miss(self.judge(c, key, subject)?),
        }))
    }

    /// The second half: writes what the event brings that is new, and gives its group. Nothing may be resolved in between.
    ///
    /// # Errors
    /// Those of SQLite; the caller rolls back then.
    #[inline]
    pub fn settle(&mut self, c: &Connection, decision: Decision<'_>, subject: &Subject<'_>) -> rusqlite::Result<i64> {
        match decision.0 {
            Decided::Known(group) => Ok(group),
            Decided::Miss(miss) => self.learn(c, miss, subject),
        }
    }

    /// Where a group's events are by now: itself, or the one that swallowed it in this job.
    pub fn root(&self, group: i64) -> i64 {
        self.memory.root(group)
    }

    fn mode(&self, source: Option<&str>) -> Mode {
        if self.memory.modes.is_empty() {
            return Mode::Learned;
        }
        self.memory
            .modes
            .get(source.unwrap_or_default())
            .copied()
            .unwrap_or_default()
    }

    fn key_by_mode(&self, scanned: &Scanned, subject: &Subject<'_>) -> Key {
        match self.mode(subject.source) {
            Mode::Learned => scanned.key,
            mode => subject.key_in(mode),
        }
    }
}

#[cfg(test)]
mod tests;
