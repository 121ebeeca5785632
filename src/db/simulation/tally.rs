//! What happened in a simulation, in numbers (floor 1, tests only).
//!
//! What must stay true: what is counted has a name that says what it was; sums over seeds are sums of each number.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::db::ErrorKind;

/// What happened, in numbers.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
pub struct Tally {
    pub acked: u64,
    pub unknown: u64,
    pub left: u64,
    /// Calls under a key that was used before.
    pub repeats: u64,
    /// Files taken away or displaced by another, and those that rotted or were put back older.
    pub vanished: u64,
    pub displaced: u64,
    pub rotten: u64,
    /// Rot that was told or refused.
    pub told: u64,
    /// Jobs that were looked for.
    pub seen: u64,
    pub failed_reads: u64,
    pub opens: u64,
    pub failed_opens: u64,
    pub kills: u64,
    pub power_losses: u64,
    pub transitions: u64,
    pub recoveries: u64,
    pub virtual_seconds: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.acked += other.acked;
        self.unknown += other.unknown;
        self.left += other.left;
        self.repeats += other.repeats;
        self.vanished += other.vanished;
        self.displaced += other.displaced;
        self.rotten += other.rotten;
        self.told += other.told;
        self.seen += other.seen;
        self.failed_reads += other.failed_reads;
        self.opens += other.opens;
        self.failed_opens += other.failed_opens;
        self.kills += other.kills;
        self.power_losses += other.power_losses;
        self.transitions += other.transitions;
        self.recoveries += other.recoveries;
        self.virtual_seconds += other.virtual_seconds;
    }
}

/// How often each of some things happened.
#[derive(Default, Clone, Serialize, Deserialize)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    pub fn count(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_default() += 1;
    }

    pub fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what.clone()).or_default() += count;
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: u64 = self.0.values().sum();
        write!(f, "{all}")?;
        let mut counts: Vec<_> = self.0.iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (what, count) in counts {
            write!(f, "\n    {:5.1} %  {what}: {count}", *count as f64 * 100.0 / all as f64)?;
        }
        Ok(())
    }
}

/// Why a write was refused, without what differs between two refusals of one kind.
pub fn reason(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::CircuitOpen { .. } => "circuit open".to_owned(),
        ErrorKind::Isolated { .. } => "isolated".to_owned(),
        other => format!("{other:?}"),
    }
}
