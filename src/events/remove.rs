//! Events that leave events.db (floor 2): the one way out, for retention, purges and erasures alike.
//!
//! ```text
//! places ─▶ chunks (write jobs of some milliseconds each, ingest goes in between) ─▶ rows: delete, count, tell
//! groups without events that nobody touched ─▶ groups
//! a person: preview ─▶ purges (the task) ─▶ receipts; of a user: erasure, erased (never taken in again)
//! ```
//! What a group is once events of it left: its row stays, with status, history and keys, so that a resolved group can come
//! back and every id that was ever told goes on naming it. Its `count`, `firstSeen`, `lastSeen`, hours, releases and users
//! tell what was ever seen, and a removal changes none of them: pruning the duplicates of a storm must not make the storm
//! look smaller. `kept` is how many of its events there still are: the count without `groups.removed`, which a removal
//! adds to. Lists, searches, histograms and statistics count events that there are, and so agree with `kept`.
//!
//! What must stay true: the rows, `event_hours`, `event_totals`, `groups.removed` and the text index change in one
//! transaction, so a kill between chunks leaves every number true; removing what is gone changes nothing, so each step can
//! be repeated; no write job takes much longer than its share of time.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::model::{ErrorType, Severity};

mod chunks;
mod confirm;
mod erased;
mod erasure;
mod groups;
mod preview;
mod purges;
mod receipts;
mod rows;

pub use chunks::{Beside, MOST_IN_CHUNK, Pace, in_chunks};
pub use confirm::{Fixed, Seen, Token};
pub(in crate::events) use erased::Erased;
pub use groups::remove_groups;
pub use preview::{fix, preview};
pub use purges::Purges;
pub(in crate::events) use receipts::FORGOTTEN;
pub use receipts::{Asked, Counts, Kind, Receipt, Status};
use rows::Counted;
pub use rows::{newest_received, remove};

#[cfg(test)]
mod recount;
#[cfg(test)]
mod tests;

/// What a removal is bound by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// An event that was received later stays: a place may have been given to a newer event since it was found.
    /// Milliseconds since the epoch.
    pub received_until_ms: i64,
    /// An event that was stored after this number stays.
    pub stored_until: i64,
    /// A job ends after so long, with the rest of its places undone; it removes one event at least.
    pub share: Duration,
}

impl Default for Terms {
    /// Whatever stands at the places, in jobs of 12 ms and their commit at most.
    fn default() -> Self {
        Self {
            received_until_ms: i64::MAX,
            stored_until: i64::MAX,
            share: Duration::from_millis(12),
        }
    }
}

/// Events that left, or would, counted as often as they occurred.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// How many.
    pub events: u64,
    /// How many of them had no row: they were counted on samples of a storm that left, whoever's they were.
    #[serde(default)]
    pub counted: u64,
    /// About how many bytes of the file they took with their indexes; free pages are given back by others.
    pub bytes: u64,
    /// How many, by the numbers of type and severity.
    pub kinds: [[u64; Severity::ALL.len()]; ErrorType::ALL.len()],
    /// When the oldest and the newest of them happened, milliseconds since the epoch.
    pub span_ms: Option<(i64, i64)>,
}

impl Removed {
    /// One more row.
    fn add(&mut self, row: &Counted) {
        let occurrences = row.occurrences.unsigned_abs();
        self.events += occurrences;
        self.counted += occurrences.saturating_sub(1);
        self.bytes += row.bytes;
        self.kinds[usize::from(row.kind.number())][usize::from(row.severity.number())] += occurrences;
        let (oldest, newest) = self.span_ms.unwrap_or((row.time_ms, row.time_ms));
        self.span_ms = Some((oldest.min(row.time_ms), newest.max(row.time_ms)));
    }

    /// Those of another part of the same removal.
    pub fn join(&mut self, other: &Self) {
        self.events += other.events;
        self.counted += other.counted;
        self.bytes += other.bytes;
        for (row, others) in self.kinds.iter_mut().zip(&other.kinds) {
            row.iter_mut().zip(others).for_each(|(count, more)| *count += more);
        }
        self.span_ms = match (self.span_ms, other.span_ms) {
            (Some((oldest, newest)), Some((older, newer))) => Some((oldest.min(older), newest.max(newer))),
            (own, others) => own.or(others),
        };
    }
}

/// What one job removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// How many of the places were gone through, from the first on.
    pub done: usize,
    /// The events.
    pub removed: Removed,
    /// The groups that their rows named, and how often those of each occurred.
    pub groups: BTreeMap<i64, i64>,
}

/// Counts for good what left under this word, in the transaction in which it does.
///
/// # Errors
/// Those of SQLite.
pub(in crate::events) fn note_left(c: &Connection, word: &str, removed: &Removed) -> rusqlite::Result<()> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    c.prepare_cached(
        "INSERT INTO retention_removed (reason, events, bytes) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET events = events + excluded.events, bytes = bytes + excluded.bytes",
    )?
    .execute((word, number(removed.events), number(removed.bytes)))?;
    Ok(())
}

/// How many events of each of these groups, and of those it swallowed, have left; `roots` is a JSON list.
///
/// # Errors
/// Those of SQLite.
pub(in crate::events) fn gone(c: &Connection, roots: &str) -> rusqlite::Result<HashMap<i64, i64>> {
    c.prepare_cached(
        "SELECT coalesce(parent, id), sum(removed) FROM groups
         WHERE id IN (SELECT value FROM json_each(?1)) OR parent IN (SELECT value FROM json_each(?1)) GROUP BY 1",
    )?
    .query_map([roots], |row| Ok((row.get(0)?, row.get(1)?)))?
    .collect()
}
