//! The bounds of the event log (floor 2): what is too old, too much or too large leaves, the least valuable first.
//!
//! ```text
//! measure (a few numbers) ─▶ bounds: what has to leave? ─┬─ too old: all of it, from the oldest on
//!                                                        └─ too much: survey ─▶ choice ─▶ sweep
//! what leaves: remove, in chunks ─▶ the text index merges ─▶ free pages go back to the disk
//! ```
//! Age is a promise: what is older leaves whatever it is worth, by a clock that can be believed. Count and bytes are pruned by worth ([`Tier`]): duplicates
//! first, and samples of every group as long as anything else can leave; in the end a bound is a bound. On a low disk the
//! log gives up to three quarters of its budget, and an event tells of it.
//!
//! What must stay true: choosing what leaves takes no lock and holds no snapshot for longer than a few milliseconds, and
//! its memory doesn't grow with the log; a write job takes some 15 ms; what left is counted for good, by reason, in the
//! transaction that removes it; a kill at any moment leaves whole chunks done and every number true. The service keeps
//! [`Retention::run`] running; statistics read [`Retention::status`].

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::capture::Capture;
use super::log::EventLog;
use crate::clock::SharedClock;
use crate::db::{Database, DbError, Operation};

mod bounds;
mod forecast;
mod giving;
mod preview;
mod pruning;
mod runner;
mod space;
mod survey;
#[cfg(test)]
mod tests;
mod trust;
mod value;
mod walk;

pub use bounds::{Bounds, Measure, Reason, is_too_old};
pub use forecast::Forecast;
pub use preview::Preview;
pub use space::Left;
#[cfg(test)]
pub(in crate::events) use space::left_by_hand;
pub use trust::ClockStatus;
pub use value::Tier;

use forecast::{Sample, Samples};

/// What one run did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    /// When it began.
    pub began: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// Events that left, in the order of [`Reason::ALL`].
    pub removed: [u64; Reason::ALL.len()],
    /// Groups that left.
    pub groups: u64,
    /// Bytes that were given back to the disk.
    pub given_back_bytes: u64,
    /// The longest of its write jobs, with its commit.
    pub longest_step: Duration,
}

/// What can be seen of the bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct RetentionStatus {
    /// The bounds in force.
    pub bounds: Bounds,
    /// What there was at the last look; `None` before the first.
    pub measure: Option<Measure>,
    /// Most bytes that events.db may hold now.
    pub budget_bytes: Option<u64>,
    /// What ever left, in the order of [`Reason::ALL`].
    pub left: [Left; Reason::ALL.len()],
    /// What hands removed: by purges, and by the erasure of users.
    pub left_by_hand: [u64; 2],
    /// The last run that did something, since the start.
    pub last_run: Option<Run>,
    /// Whether one runs now.
    pub is_running: bool,
    /// When it will be looked again at the latest.
    pub next_look: Timestamp,
    /// Whether events leave earlier than they would, because the disk is low.
    pub makes_room: bool,
    /// Why a bound isn't held, in words.
    pub unmet: Option<String>,
    /// Why the last look didn't come to its end.
    pub last_error: Option<String>,
    /// How long the disk will last; `None` while too little is known.
    pub forecast: Option<Forecast>,
    /// By which time ages are judged; `None` before the first look.
    pub clock: Option<ClockStatus>,
}

impl RetentionStatus {
    /// Why the log isn't what its bounds say, in words; `None` while it is.
    pub fn problem(&self) -> Option<String> {
        let early = || "the disk is low, and events of least value leave before their time".to_owned();
        self.unmet
            .clone()
            .or_else(|| self.clock_problem())
            .or_else(|| self.makes_room.then(early))
    }

    /// What is wrong with the clock, as far as it matters here, in words.
    pub fn clock_problem(&self) -> Option<String> {
        let clock = self.clock?;
        let by_wall = self.bounds.cutoff_ms(clock.believed_ms.saturating_add(clock.ahead_ms));
        let oldest = self.measure.and_then(|measure| measure.oldest_ms);
        clock.problem(oldest.is_some_and(|oldest| is_too_old(oldest, by_wall)))
    }
}

#[derive(Default)]
struct State {
    measure: Option<Measure>,
    left: [Left; Reason::ALL.len()],
    left_by_hand: [u64; 2],
    last_run: Option<Run>,
    is_running: bool,
    next_look: Timestamp,
    makes_room: bool,
    unmet: Option<String>,
    last_error: Option<String>,
    samples: Samples,
    has_samples: bool,
    forecast: Option<Forecast>,
    clock: Option<trust::Known>,
}

/// The bounds of one event log; clones share them.
#[derive(Clone)]
pub struct Retention {
    database: Database,
    log: EventLog,
    bounds: Bounds,
    capture: Capture,
    clock: SharedClock,
    state: Arc<Mutex<State>>,
}

impl Retention {
    /// For the log in this database; nothing happens before [`Retention::run`]. On a low disk `capture` is told.
    pub fn new(database: Database, log: EventLog, bounds: Bounds, capture: Capture, clock: SharedClock) -> Self {
        let state = State {
            next_look: clock.wall(),
            ..State::default()
        };
        Self {
            database,
            log,
            bounds,
            capture,
            clock,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// What can be seen now; no I/O.
    pub fn status(&self) -> RetentionStatus {
        let state = self.state.lock();
        RetentionStatus {
            bounds: self.bounds,
            measure: state.measure,
            budget_bytes: self.bounds.budget(state.measure.and_then(|measure| measure.space)),
            left: state.left,
            left_by_hand: state.left_by_hand,
            last_run: state.last_run,
            is_running: state.is_running,
            next_look: state.next_look,
            makes_room: state.makes_room,
            unmet: state.unmet.clone(),
            last_error: state.last_error.clone(),
            forecast: state.forecast,
            clock: state.clock.map(|known| known.status()),
        }
    }

    /// Looks at what there is, and notes it.
    async fn measure(&self) -> Result<Measure, DbError> {
        const MEASURE: Operation = Operation::point("retention.measure");
        let path = self.database.path().to_owned();
        let read =
            move |c: &rusqlite::Connection| Ok((space::measure(c, &path)?, space::left(c)?, space::left_by_hand(c)?));
        let (measure, left, by_hand) = self.database.read(MEASURE, read).await?;
        let mut state = self.state.lock();
        (state.measure, state.left, state.left_by_hand) = (Some(measure), left, by_hand);
        Ok(measure)
    }

    /// Takes a sample of what is in use on the disk: the one to be kept, once an hour.
    fn sample(&self, measure: &Measure, now_ms: i64) -> Option<Sample> {
        let space = measure.space?;
        let events = measure.used_bytes + measure.free_bytes + self.database.status().wal.bytes;
        let in_use = space.total_bytes.saturating_sub(space.free_bytes);
        let sample = Sample {
            at_ms: now_ms,
            events,
            others: in_use.saturating_sub(events),
        };
        let budget = self.bounds.budget(measure.space);
        let room = budget.map(|budget| budget.saturating_sub(measure.used_bytes));
        let mut state = self.state.lock();
        let begins_hour = state.samples.add(sample);
        state.forecast = state.samples.forecast(space.free_bytes, room);
        begins_hour.then_some(sample)
    }
}
