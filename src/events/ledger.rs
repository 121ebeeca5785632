//! The event path's account (floor 2): accepted = stored + spooled + dropped + in flight, at every moment. Events are counted
//! as they occurred: one that is counted on another's row is stored like one with a row of its own.
//!
//! What must stay true: each change moves events from one column to another under one lock, so that no snapshot is ever out of
//! balance; an event that was admitted leaves exactly once, even when the task that carries it is cancelled or panics.
//! Shared by capture, ingest, replay and the statistics. Counts start anew with each process; the spool's find at the start is accepted.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// Why an event was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Its source sent too many.
    RateLimited,
    /// The capture channel was full.
    CaptureFull,
    /// Neither events.db nor the spool had room.
    SpoolFull,
    /// Neither events.db nor the spool could write.
    SpoolFailed,
    /// It was in the spool and could not be read back; the segment is kept aside.
    SpoolDamaged,
    /// The task that carried it ended before it was done.
    Interrupted,
}

impl DropReason {
    /// Every reason, by its index.
    pub const ALL: [DropReason; 6] = [
        Self::RateLimited,
        Self::CaptureFull,
        Self::SpoolFull,
        Self::SpoolFailed,
        Self::SpoolDamaged,
        Self::Interrupted,
    ];

    /// The name in statistics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RateLimited => "rateLimited",
            Self::CaptureFull => "captureFull",
            Self::SpoolFull => "spoolFull",
            Self::SpoolFailed => "spoolFailed",
            Self::SpoolDamaged => "spoolDamaged",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Events that were not kept, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped([u64; DropReason::ALL.len()]);

impl Dropped {
    /// Those of one reason.
    pub const fn of(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl Serialize for Dropped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(DropReason::ALL.len()))?;
        for reason in DropReason::ALL {
            map.serialize_entry(reason.name(), &self.of(reason))?;
        }
        map.end()
    }
}

/// The account at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerSnapshot {
    /// Events that came in and were not known before.
    pub accepted: u64,
    /// On disk in events.db, as rows or counted on rows.
    pub stored: u64,
    /// Those of the stored that are counted on another event's row, because their group was in a storm.
    pub counted: u64,
    /// On disk in the spool.
    pub spooled: u64,
    /// On their way.
    pub in_flight: u64,
    /// Not kept.
    pub dropped: Dropped,
    /// Sent again by their senders; not among the accepted.
    pub duplicates: u64,
}

impl LedgerSnapshot {
    /// Events that were lost without their sender's being at fault; one that sends too many is told so.
    pub fn lost(&self) -> u64 {
        self.dropped.total() - self.dropped.of(DropReason::RateLimited)
    }

    /// Whether every accepted event is accounted for.
    pub fn balanced(&self) -> bool {
        self.accepted == self.stored + self.spooled + self.in_flight + self.dropped.total()
    }
}

/// The account itself; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    counts: Arc<Mutex<LedgerSnapshot>>,
}

impl Ledger {
    /// The account now.
    pub fn snapshot(&self) -> LedgerSnapshot {
        *self.counts.lock()
    }

    /// Events that come in; they are in flight until the admission settles them.
    pub fn admit(&self, count: u64) -> Admission {
        let mut counts = self.counts.lock();
        counts.accepted += count;
        counts.in_flight += count;
        Admission {
            ledger: self.clone(),
            left: count,
        }
    }

    /// Events that the spool held when the process started.
    pub(super) fn found_in_spool(&self, count: u64) {
        let mut counts = self.counts.lock();
        counts.accepted += count;
        counts.spooled += count;
    }

    /// Events that went from the spool into events.db, `counted` of them on other events' rows, and those that were there
    /// already under their ids.
    pub(super) fn replayed(&self, stored: u64, counted: u64, duplicates: u64) {
        let mut counts = self.counts.lock();
        let stored = stored.min(counts.spooled);
        counts.spooled -= stored;
        counts.stored += stored;
        counts.counted += counted.min(stored);
        let known = duplicates.min(counts.spooled);
        counts.spooled -= known;
        counts.accepted -= known;
        counts.duplicates += known;
    }

    /// Events of the spool that could not be read back or written.
    pub(super) fn lost_from_spool(&self, count: u64) {
        let mut counts = self.counts.lock();
        let moved = count.min(counts.spooled);
        counts.spooled -= moved;
        counts.dropped.0[DropReason::SpoolDamaged as usize] += moved;
    }
}

/// The right to settle admitted events, each once; what is left when it goes counts as interrupted.
#[derive(Debug)]
#[must_use]
pub struct Admission {
    ledger: Ledger,
    left: u64,
}

impl Admission {
    /// Takes over the events of another admission.
    pub fn join(&mut self, mut other: Admission) {
        self.left += std::mem::take(&mut other.left);
    }

    /// They are in events.db.
    pub fn stored(&mut self, count: u64) {
        self.settle(count, |counts, n| counts.stored += n);
    }

    /// They are in events.db, counted on other events' rows.
    pub fn counted(&mut self, count: u64) {
        self.settle(count, |counts, n| {
            counts.stored += n;
            counts.counted += n;
        });
    }

    /// They are in the spool.
    pub fn spooled(&mut self, count: u64) {
        self.settle(count, |counts, n| counts.spooled += n);
    }

    /// They were known already and are not accepted again.
    pub fn duplicate(&mut self, count: u64) {
        self.settle(count, |counts, n| {
            counts.accepted -= n;
            counts.duplicates += n;
        });
    }

    /// They were not kept.
    pub fn dropped(&mut self, reason: DropReason, count: u64) {
        self.settle(count, |counts, n| counts.dropped.0[reason as usize] += n);
    }

    fn settle(&mut self, count: u64, change: impl FnOnce(&mut LedgerSnapshot, u64)) {
        let count = count.min(self.left);
        self.left -= count;
        let mut counts = self.ledger.counts.lock();
        counts.in_flight -= count;
        change(&mut counts, count);
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if self.left > 0 {
            self.dropped(DropReason::Interrupted, self.left);
        }
    }
}

#[cfg(test)]
mod tests;
