//! Which time ages are judged by (floor 2): the wall clock's, unless it says that years have passed of which the log knows
//! nothing.
//!
//! A machine that starts with a wrong clock, or a restored copy, would make every event too old at once, and what has left
//! doesn't come back when the clock is mended. So the time that the log last saw is kept in the file, and goes on with
//! the monotonic clock. A wall clock that is further from it than a machine is off for a while is believed once it has been
//! consistent for a day of running; until then nothing leaves that is too old by it alone. A clock that is behind makes
//! nothing too old: it is told, and the time that was known is kept.
//!
//! What must stay true: what is believed never runs faster than the wall clock or the monotonic one, but for jumps within the
//! bound and clocks that were confirmed; a restart neither confirms a clock nor forgets how long it was consistent.
//! Called by the runner and the preview.

use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, params};

use super::Retention;
use super::bounds::Bounds;
use crate::clock::epoch_ms;
use crate::db::{DbError, Effect, Operation};
use crate::events::remove::newest_received;

/// A clock that was consistent for so long, while the log was kept, is believed.
const CONFIRMED_AFTER_MS: i64 = DAY_MS;
/// A jump of this part of the greatest age is believed at once, and one of a day: so long a machine may be off.
const JUMP_PART: i64 = 10;
const DAY_MS: i64 = 86_400_000;
/// Where no age is bounded: 9 days.
const LEAST_KNOWN_AGE_MS: i64 = 90 * DAY_MS;
/// It is kept in the file so often, and when it turns.
const KEEP_EVERY: Duration = Duration::from_secs(600);

/// A wall clock that isn't believed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Doubted {
    /// What it said last, milliseconds since the epoch.
    wall_ms: i64,
    /// How long it has been consistent.
    held_ms: i64,
}

/// What is believed of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trust {
    /// Milliseconds since the epoch.
    at_ms: i64,
    doubted: Option<Doubted>,
}

/// What can be seen of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockStatus {
    /// The time by which ages are judged, milliseconds since the epoch.
    pub believed_ms: i64,
    /// How far the wall clock is ahead of the time that is known; behind it below 0, and 0 while it is believed.
    pub ahead_ms: i64,
    /// After so much more running the wall clock is believed.
    pub confirmed_in: Duration,
}

impl ClockStatus {
    /// What is wrong with the clock, in words; `withholds` says whether events are kept because of it.
    pub(super) fn problem(&self, withholds: bool) -> Option<String> {
        let hours = self.confirmed_in.as_secs().div_ceil(3600);
        let apart = in_words(self.ahead_ms.unsigned_abs());
        let after = format!("it is believed after {hours} h more of running");
        match self.ahead_ms {
            0 => None,
            1.. if !withholds => None,
            1.. => Some(format!(
                "the clock is {apart} ahead of the time that the log knows, and events that are too old by it alone stay; {after}"
            )),
            _ => Some(format!(
                "the clock is {apart} behind the time that the log knows, and what comes in is dated by it; {after}"
            )),
        }
    }
}

fn in_words(ms: u64) -> String {
    let days = ms / DAY_MS.unsigned_abs();
    if days >= 730 {
        format!("{} years", days / 365)
    } else {
        format!("{days} days")
    }
}

impl Trust {
    /// Believing this time, milliseconds since the epoch.
    pub fn new(at_ms: i64) -> Self {
        Self { at_ms, doubted: None }
    }

    /// After `passed_ms` of the monotonic clock, while the wall clock says `wall_ms`.
    #[must_use]
    pub fn after(self, passed_ms: i64, wall_ms: i64, jump_ms: i64) -> Self {
        let expected = self.at_ms.saturating_add(passed_ms);
        let is_near = |known: i64| wall_ms.abs_diff(known.saturating_add(passed_ms)) <= jump_ms.unsigned_abs();
        if is_near(self.at_ms) {
            return Self::new(wall_ms);
        }
        let held_ms = match self.doubted {
            Some(doubted) if is_near(doubted.wall_ms) => doubted.held_ms.saturating_add(passed_ms),
            _ => 0,
        };
        if held_ms >= CONFIRMED_AFTER_MS {
            return Self::new(wall_ms);
        }
        Self {
            at_ms: expected,
            doubted: Some(Doubted { wall_ms, held_ms }),
        }
    }

    /// What can be seen of it.
    pub fn status(&self) -> ClockStatus {
        let wall_ms = self.doubted.map_or(self.at_ms, |doubted| doubted.wall_ms);
        let held_ms = self.doubted.map_or(CONFIRMED_AFTER_MS, |doubted| doubted.held_ms);
        let left = (CONFIRMED_AFTER_MS - held_ms).max(0).unsigned_abs();
        ClockStatus {
            believed_ms: self.at_ms.min(wall_ms),
            ahead_ms: wall_ms.saturating_sub(self.at_ms),
            confirmed_in: Duration::from_millis(left),
        }
    }

    /// What was kept; where nothing was, the time at which the newest event came in, if there is one.
    ///
    /// # Errors
    /// Those of SQLite.
    fn load(c: &Connection) -> rusqlite::Result<Option<Self>> {
        let kept = c
            .prepare_cached("SELECT at, wall, held FROM retention_clock")?
            .query_row([], |row| {
                let (wall, held_ms): (Option<i64>, i64) = (row.get(1)?, row.get(2)?);
                let doubted = wall.map(|wall_ms| Doubted { wall_ms, held_ms });
                Ok(Self {
                    at_ms: row.get(0)?,
                    doubted,
                })
            })
            .optional()?;
        if kept.is_some() {
            return Ok(kept);
        }
        let newest = newest_received(c)?;
        Ok((newest > i64::MIN).then(|| Self::new(newest)))
    }

    fn keep(self, c: &Connection) -> rusqlite::Result<()> {
        let (wall, held) = (self.doubted.map(|d| d.wall_ms), self.doubted.map_or(0, |d| d.held_ms));
        c.prepare_cached("INSERT OR REPLACE INTO retention_clock (one, at, wall, held) VALUES (1, ?1, ?2, ?3)")?
            .execute(params![self.at_ms, wall, held])
            .map(drop)
    }
}

/// Which jump of the clock is believed at once, in milliseconds.
fn jump_ms(bounds: &Bounds) -> i64 {
    let age = bounds
        .max_age
        .map(|age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    (age.unwrap_or(LEAST_KNOWN_AGE_MS) / JUMP_PART).max(DAY_MS)
}

/// What is believed, when that was found, and what of it the file has since when.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    trust: Trust,
    at: Instant,
    kept: Option<(Trust, Instant)>,
}

impl Known {
    /// What can be seen of it.
    pub fn status(&self) -> ClockStatus {
        self.trust.status()
    }
}

impl Retention {
    /// The time by which ages are judged now, milliseconds since the epoch.
    pub(super) async fn believed_ms(&self) -> Result<i64, DbError> {
        const LOAD: Operation = Operation::point("retention.clock");
        let known = self.state.lock().clock;
        let (now, wall_ms) = (self.clock.now(), epoch_ms(self.clock.wall()));
        let known = match known {
            Some(known) => known,
            None => Known {
                trust: self
                    .database
                    .read(LOAD, Trust::load)
                    .await?
                    .unwrap_or(Trust::new(wall_ms)),
                at: now,
                kept: None,
            },
        };
        let passed_ms = i64::try_from(now.saturating_duration_since(known.at).as_millis()).unwrap_or(i64::MAX);
        let trust = known.trust.after(passed_ms, wall_ms, jump_ms(&self.bounds));
        self.state.lock().clock = Some(Known {
            trust,
            at: now,
            ..known
        });
        Ok(trust.status().believed_ms)
    }

    /// Keeps in the file what is believed, where that is due.
    pub(super) async fn keep_clock(&self) -> Result<(), DbError> {
        const KEEP: Operation = Operation::write("retention.clock").in_background().idempotent();
        let Some(Known { trust, at, kept }) = self.state.lock().clock else {
            return Ok(());
        };
        let is_due = |(before, since): (Trust, Instant)| {
            before.doubted.is_some() != trust.doubted.is_some() || at.saturating_duration_since(since) >= KEEP_EVERY
        };
        if kept.is_none_or(is_due) {
            self.database
                .write(KEEP, move |c| trust.keep(c).map(Effect::Commit))
                .await?;
            if let Some(known) = &mut self.state.lock().clock {
                known.kept = Some((trust, at));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
