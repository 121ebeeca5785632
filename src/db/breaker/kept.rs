//! The breakers' states across a restart (floor 1): a small file beside the database, outside SQLite.
//!
//! What must stay true: it is replaced whole or not at all; a file that can't be read or isn't ours is a warning and
//! never stops a start; nothing is written while all is closed and no file exists; whatever the wall clock did
//! meanwhile, an OPEN breaker stays so for 5 minutes at most and no time lasts longer than it had left when it was
//! written. Called by `Database` at its start, by its watch, after a setting by hand and at its close, never on an
//! async worker.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::Breaker;
use super::machine::{Kept, MOST_OPEN};
use super::state::{ByHand, State};
use crate::clock::{epoch_ms, from_epoch_ms};
use crate::db::classify::Told;

const FORMAT: &str = "mainstay circuit breakers";
const VERSION: u32 = 1;
/// Longest wait for another thread that writes the file.
const MOST_WAIT: Duration = Duration::from_secs(5);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    format: String,
    version: u32,
    saved_at_ms: i64,
    breakers: Vec<Record>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    name: String,
    #[serde(flatten)]
    state: Stored,
    cause: String,
    told: Told,
    reopened: i32,
    /// Absent from files that were written before it was kept.
    #[serde(default)]
    held: bool,
    since_ms: i64,
    opened_at_ms: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
enum Stored {
    Open { until_ms: i64 },
    ForcedOpen { until_ms: Option<i64> },
    Disabled { until_ms: Option<i64> },
    Isolated { then: Option<StoredHand> },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredHand {
    forced_open: bool,
    until_ms: Option<i64>,
    cause: String,
}

/// The present on both clocks: where monotonic and wall time are exchanged.
#[derive(Clone, Copy)]
struct Present {
    at: Instant,
    wall: Timestamp,
}

impl Present {
    fn to_wall(self, at: Instant) -> i64 {
        let left = at.saturating_duration_since(self.at);
        epoch_ms(self.wall).saturating_add(i64::try_from(left.as_millis()).unwrap_or(i64::MAX))
    }

    /// The end that was `until` when it was written, at `saved`; the wall clock can shorten what was left, not extend it.
    fn at_wall(self, until: i64, saved: i64) -> Instant {
        let left = until
            .saturating_sub(epoch_ms(self.wall))
            .min(until.saturating_sub(saved))
            .max(0);
        let left = Duration::from_millis(left.unsigned_abs());
        // What no clock can hold is as good as a year.
        let year = Duration::from_secs(365 * 24 * 3600);
        self.at + left.min(year)
    }
}

impl Stored {
    fn of(state: &State, present: Present) -> Option<Self> {
        let wall = |until: &Option<Instant>| until.map(|at| present.to_wall(at));
        Some(match state {
            State::Closed { .. } | State::HalfOpen { .. } => return None,
            State::Open { retry_at } => Stored::Open {
                until_ms: present.to_wall(*retry_at),
            },
            State::ForcedOpen { until } => Stored::ForcedOpen { until_ms: wall(until) },
            State::Disabled { until } => Stored::Disabled { until_ms: wall(until) },
            State::Isolated { then } => Stored::Isolated {
                then: then.as_ref().map(|hand| StoredHand {
                    forced_open: hand.forced_open,
                    until_ms: wall(&hand.until),
                    cause: hand.cause.clone(),
                }),
            },
        })
    }

    fn into_state(self, present: Present, saved: i64) -> State {
        let until = |ms: Option<i64>| ms.map(|ms| present.at_wall(ms, saved));
        match self {
            Stored::Open { until_ms } => State::Open {
                retry_at: present.at_wall(until_ms, saved).min(present.at + MOST_OPEN),
            },
            Stored::ForcedOpen { until_ms } => State::ForcedOpen { until: until(until_ms) },
            Stored::Disabled { until_ms } => State::Disabled { until: until(until_ms) },
            Stored::Isolated { then } => State::Isolated {
                then: then.map(|hand| ByHand {
                    forced_open: hand.forced_open,
                    until: until(hand.until_ms),
                    cause: hand.cause,
                }),
            },
        }
    }
}

impl Breaker {
    fn present(&self) -> Present {
        Present {
            at: self.clock.now(),
            wall: self.clock.wall(),
        }
    }

    fn revision(&self) -> u64 {
        self.gate.locked(|inner| inner.machine.revision())
    }

    fn record(&self) -> Option<Record> {
        let present = self.present();
        self.gate.locked(|inner| {
            let kept = inner.machine.kept(present.at)?;
            Some(Record {
                name: self.name.clone(),
                state: Stored::of(&kept.state, present)?,
                cause: kept.cause,
                told: kept.told,
                reopened: kept.reopened,
                held: kept.held,
                since_ms: epoch_ms(inner.since),
                opened_at_ms: inner.opened_at.map(epoch_ms),
            })
        })
    }

    /// Goes on where it was. Nothing has changed by that, so nobody is told.
    fn restore(&self, record: Record, saved_ms: i64) {
        let state = record.state.into_state(self.present(), saved_ms);
        tracing::warn!(
            breaker = self.name,
            state = state.name(),
            cause = record.cause,
            "kept from before the restart"
        );
        let kept = Kept {
            state,
            cause: record.cause,
            told: record.told,
            reopened: record.reopened.max(0),
            held: record.held,
        };
        self.gate.locked(|inner| {
            inner.machine.restore(kept);
            inner.since = from_epoch_ms(record.since_ms);
            inner.opened_at = record.opened_at_ms.map(from_epoch_ms);
        });
    }
}

/// The file that keeps the states of one database's breakers.
pub struct KeptStates {
    path: PathBuf,
    written: Mutex<Written>,
}

/// What the file holds: the breakers' revisions, and whether the latest try to write failed.
struct Written {
    revisions: Vec<u64>,
    failed: bool,
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn revisions(breakers: &[&Arc<Breaker>]) -> Vec<u64> {
    breakers.iter().map(|breaker| breaker.revision()).collect()
}

impl KeptStates {
    /// Brings the breakers of the database at this path to where they were. Blocking.
    pub fn restore(database: &Path, breakers: &[&Arc<Breaker>]) -> Self {
        let path = beside(database, "-breakers.json");
        match file::read(&path) {
            Ok(None) => {}
            Ok(Some(document)) => {
                for record in document.breakers {
                    if let Some(breaker) = breakers.iter().find(|breaker| breaker.name == record.name) {
                        breaker.restore(record, document.saved_at_ms);
                    }
                }
            }
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "the circuit breakers' kept states are ignored");
            }
        }
        let written = Written {
            revisions: revisions(breakers),
            failed: false,
        };
        Self {
            path,
            written: Mutex::new(written),
        }
    }

    /// Whether something changed since the file was written. Not while somebody writes it, who may hang with the disk:
    /// this never waits.
    pub fn is_due(&self, breakers: &[&Arc<Breaker>]) -> bool {
        let written = self.written.try_lock();
        written.is_some_and(|written| written.revisions != revisions(breakers))
    }

    /// Writes what changed; once all is closed the file goes. A failure is told once and tried again. Blocking.
    pub fn keep(&self, breakers: &[&Arc<Breaker>]) {
        let Some(mut written) = self.written.try_lock_for(MOST_WAIT) else {
            return; // Another thread hangs in here, and the disk is known to be in trouble.
        };
        let seen = revisions(breakers);
        if written.revisions == seen {
            return;
        }
        let records: Vec<_> = breakers.iter().filter_map(|breaker| breaker.record()).collect();
        let saved_at = breakers
            .first()
            .map_or(Timestamp::UNIX_EPOCH, |breaker| breaker.clock.wall());
        let done = if records.is_empty() {
            file::remove(&self.path)
        } else {
            file::replace(
                &self.path,
                &Document {
                    format: FORMAT.to_owned(),
                    version: VERSION,
                    saved_at_ms: epoch_ms(saved_at),
                    breakers: records,
                },
            )
        };
        let failed = done.is_err();
        match done {
            Ok(()) => written.revisions = seen,
            Err(error) if !written.failed => {
                tracing::warn!(file = %self.path.display(), %error, "the circuit breakers' states can't be kept; tried again");
            }
            Err(_) => {}
        }
        written.failed = failed;
    }
}

mod file;

#[cfg(test)]
mod tests;
