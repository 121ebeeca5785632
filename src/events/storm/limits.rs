//! How many events a source may report (floor 2): a generic cell rate algorithm, one number a source.
//!
//! What must stay true: a source may report a whole minute's worth at once and then as many a minute, whatever the others
//! do; a judgement takes one short lock and no allocation; made-up names share one limit once there are too many, and an
//! idle source costs nothing. Called by the event log before anything is written, and by capture for our own events.
//!
//! The algorithm is that of ATM's traffic management (ITU-T I.371, annex A): of each source the moment is kept at which
//! its bucket will be full again.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::events::clients;

const MINUTE_NS: u64 = 60_000_000_000;
/// A refused source is told to come back when this much of its minute is free again, not for one event.
const WORTH_COMING_BACK_NS: u64 = MINUTE_NS / 10;
/// Sources whose bucket isn't full that are told apart; the others share one bucket.
const MOST_SOURCES: usize = 4096;
/// Between two looks for sources that are idle again, when there are too many.
const SWEEP_NS: u64 = 1_000_000_000;
/// All reports that name their source themselves together may be so many times the limit of one source: names cost nothing.
const DECLARED_TOGETHER: u32 = 10;
/// The bucket of the sources that are too many.
const OTHERS: u64 = 0;

/// Whose limit a report counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reporter<'a> {
    /// Whatever each event says of its source: a token, or open local use.
    Declared,
    /// The source that a key has proven.
    Source {
        /// Its name.
        name: &'a str,
        /// Its own limit, events a minute, where it has one.
        per_minute: Option<u32>,
    },
}

/// An event was one too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// When to come back.
    pub retry_after: Duration,
    /// The limit, events a minute.
    pub per_minute: u32,
}

/// When the bucket of a source that was full at `due` or earlier is full again after one more event; nanoseconds.
///
/// # Errors
/// There is no room for it.
fn one_more(due: u64, now: u64, per_minute: u32) -> Result<u64, Refusal> {
    let cost = MINUTE_NS / u64::from(per_minute.max(1));
    let owed = due.saturating_sub(now);
    if owed + cost <= MINUTE_NS {
        return Ok(due.max(now) + cost);
    }
    let wait = (owed + WORTH_COMING_BACK_NS.max(cost)).saturating_sub(MINUTE_NS);
    Err(Refusal {
        retry_after: Duration::from_nanos(wait),
        per_minute,
    })
}

/// The limits of all sources.
pub struct Limits {
    per_minute: u32,
    started: Instant,
    hasher: RandomState,
    buckets: Mutex<Buckets>,
    refused: Mutex<BTreeMap<String, u64>>,
}

#[derive(Default)]
struct Buckets {
    /// When each is full again, by the hash of its name; one that is full already may be forgotten.
    due: HashMap<u64, u64, BuildHasherDefault<Hashed>>,
    /// The same of all reports that name their source themselves.
    together: u64,
    swept: u64,
}

/// The keys are hashes already, with a secret of this process.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only for keys of another kind, which there are none of.
        self.0 = bytes
            .iter()
            .fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Limits {
    /// `per_minute` for each source that has no limit of its own.
    pub fn new(per_minute: u32, now: Instant) -> Self {
        Self {
            per_minute,
            started: now,
            hasher: RandomState::new(),
            buckets: Mutex::default(),
            refused: Mutex::default(),
        }
    }

    /// Takes one event of a source, `named` by itself.
    ///
    /// # Errors
    /// It is one too many, and counted as such by its source.
    pub fn take(&self, reporter: Reporter<'_>, named: Option<&str>, now: Instant) -> Result<(), Refusal> {
        let now = nanos(self.started, now);
        let (name, limit, together) = match reporter {
            Reporter::Declared => (named.unwrap_or_default(), self.per_minute, true),
            Reporter::Source { name, per_minute } => (name, per_minute.unwrap_or(self.per_minute), false),
        };
        // A name that is only claimed never drains the bucket of one that is proven.
        let key = self.hasher.hash_one((together, name)).max(OTHERS + 1);
        let all = together.then(|| limit.saturating_mul(DECLARED_TOGETHER));
        let taken = self.buckets.lock().take(key, limit, all, now);
        taken.inspect_err(|_| {
            let shown = if name.is_empty() { "unnamed" } else { name };
            clients::add(&mut self.refused.lock(), shown, 1);
        })
    }

    /// How many events were refused since the start, by source.
    pub fn refused(&self) -> BTreeMap<String, u64> {
        self.refused.lock().clone()
    }
}

impl Buckets {
    fn take(&mut self, key: u64, limit: u32, all: Option<u32>, now: u64) -> Result<(), Refusal> {
        let key = self.known_or_others(key, now);
        let due = self.due.entry(key).or_default();
        let then = one_more(*due, now, limit)?;
        if let Some(all) = all {
            self.together = one_more(self.together, now, all)?;
        }
        *due = then;
        Ok(())
    }

    fn known_or_others(&mut self, key: u64, now: u64) -> u64 {
        if self.due.len() < MOST_SOURCES || self.due.contains_key(&key) {
            return key;
        }
        if now.saturating_sub(self.swept) >= SWEEP_NS {
            self.swept = now;
            self.due.retain(|_, due| *due > now);
        }
        if self.due.len() < MOST_SOURCES { key } else { OTHERS }
    }
}

/// One limit without a name, for callers that may be anywhere: it never waits.
pub struct Gcra {
    per_minute: u32,
    started: Instant,
    due: AtomicU64,
}

impl Gcra {
    pub fn new(per_minute: u32, now: Instant) -> Self {
        Self {
            per_minute,
            started: now,
            due: AtomicU64::new(0),
        }
    }

    /// Whether there is room for one more.
    pub fn take(&self, now: Instant) -> bool {
        let now = nanos(self.started, now);
        let more = |due| one_more(due, now, self.per_minute).ok();
        // One number, which guards nothing else.
        self.due
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }
}

/// Nanoseconds since the start; in 584 years they end.
fn nanos(started: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(started).as_nanos()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests;
