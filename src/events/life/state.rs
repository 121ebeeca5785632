//! A group's status and what ends it (floor 2, pure).
//!
//! What must stay true: an event that happened before a hand resolved or muted the group doesn't change that; a muted group
//! stays muted until its time is over or its events have come; what was met decides, never when it was asked.

use std::cmp::Ordering;
use std::collections::VecDeque;

/// Most events that a mute within a span waits for: so many times are kept.
pub const MOST_WINDOWED: u32 = 1000;

/// Where a group is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It wants attention.
    Unresolved = 0,
    /// It was dealt with.
    Resolved = 1,
    /// Nobody wants to hear of it.
    Muted = 2,
}

impl Status {
    /// Every status, by its number.
    pub const ALL: [Status; 3] = [Self::Unresolved, Self::Resolved, Self::Muted];

    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unresolved => "unresolved",
            Self::Resolved => "resolved",
            Self::Muted => "muted",
        }
    }

    /// The status of a number in events.db; an unknown one reads as unresolved.
    pub fn from_number(number: i64) -> Self {
        usize::try_from(number)
            .ok()
            .and_then(|at| Self::ALL.get(at))
            .copied()
            .unwrap_or(Self::Unresolved)
    }

    /// The status at this moment of a group with these columns. A mute whose time is over has ended, although nothing may
    /// have written that down: the next event does, or the next hand.
    pub fn at(number: i64, muted_until_ms: Option<i64>, now_ms: i64) -> Self {
        match Self::from_number(number) {
            Self::Muted if muted_until_ms.is_some_and(|until| until <= now_ms) => Self::Unresolved,
            status => status,
        }
    }
}

/// Which events bring a resolved group back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reopens {
    /// Any.
    Any,
    /// Those of this release or a later one.
    From(String),
    /// Those of later releases.
    After(String),
}

/// So many events end a mute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct More {
    /// How many; at least 1, and at most [`MOST_WINDOWED`] with a span.
    pub wanted: u32,
    /// Within so many milliseconds; `None` however long it takes.
    pub span_ms: Option<i64>,
    /// How many came.
    pub seen: u32,
    /// When the last of them came, at most `wanted`; only with a span.
    pub times: VecDeque<i64>,
}

impl More {
    /// Waits for so many.
    pub fn new(wanted: u32, span_ms: Option<i64>) -> Self {
        Self {
            wanted,
            span_ms,
            seen: 0,
            times: VecDeque::new(),
        }
    }

    /// Counts one; whether it was the last that was wanted.
    fn count(&mut self, received_ms: i64) -> bool {
        self.seen = self.seen.saturating_add(1);
        let Some(span) = self.span_ms else {
            return self.seen >= self.wanted;
        };
        self.times.push_back(received_ms);
        if self.times.len() > self.wanted as usize {
            self.times.pop_front();
        }
        let first = self.times.front().copied().unwrap_or(received_ms);
        self.times.len() == self.wanted as usize && received_ms.saturating_sub(first) <= span
    }
}

/// The status with what ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It wants attention.
    Unresolved,
    /// It was dealt with at `since_ms`.
    Resolved {
        /// When.
        since_ms: i64,
        /// What brings it back.
        reopens: Reopens,
    },
    /// It was muted at `since_ms`.
    Muted {
        /// When.
        since_ms: i64,
        /// Until this moment.
        until_ms: Option<i64>,
        /// Until so many events came.
        more: Option<More>,
    },
}

/// A group's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Its status.
    pub standing: Standing,
    /// When it came back after it was resolved, while nobody has looked after it since.
    pub regressed_ms: Option<i64>,
}

/// What matters of an event.
#[derive(Debug, Clone, Copy)]
pub struct Met<'e> {
    /// When it happened, by its sender's clock.
    pub timestamp_ms: i64,
    /// When it came here.
    pub received_ms: i64,
    /// Of which release it is.
    pub release: Option<&'e str>,
}

impl Met<'_> {
    /// When it happened: not later than it came, whatever its sender's clock said.
    fn moment_ms(&self) -> i64 {
        self.timestamp_ms.min(self.received_ms)
    }
}

/// What an event changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// A resolved group came back.
    Regressed,
    /// The time of a mute was over.
    TimeOver,
    /// The events that a mute waited for have come.
    EnoughCame,
}

impl State {
    /// Takes an event in. `compare` tells how its release stands to the other one, the second.
    ///
    /// # Errors
    /// Those of `compare`.
    pub fn meet<E>(
        &mut self,
        event: &Met<'_>,
        mut compare: impl FnMut(&str, &str) -> Result<Ordering, E>,
    ) -> Result<Option<Turn>, E> {
        let turn = match &mut self.standing {
            Standing::Unresolved => None,
            Standing::Resolved { since_ms, reopens } => {
                let comes_back = event.moment_ms() >= *since_ms
                    && match (reopens, event.release) {
                        (Reopens::Any, _) => true,
                        (Reopens::From(fixed), Some(release)) => compare(release, fixed)?.is_ge(),
                        (Reopens::After(fixed), Some(release)) => compare(release, fixed)?.is_gt(),
                        // Of which release it is can't be known: most likely one that is still in use.
                        (_, None) => false,
                    };
                comes_back.then_some(Turn::Regressed)
            }
            Standing::Muted { until_ms, .. } if until_ms.is_some_and(|until| event.received_ms >= until) => {
                Some(Turn::TimeOver)
            }
            Standing::Muted { since_ms, more, .. } => {
                let counts = event.moment_ms() >= *since_ms;
                let enough = counts && more.as_mut().is_some_and(|more| more.count(event.received_ms));
                enough.then_some(Turn::EnoughCame)
            }
        };
        if let Some(turn) = turn {
            self.standing = Standing::Unresolved;
            self.regressed_ms = (turn == Turn::Regressed).then(|| event.moment_ms());
        }
        Ok(turn)
    }

    /// The status that is stored.
    pub const fn status(&self) -> Status {
        match self.standing {
            Standing::Unresolved => Status::Unresolved,
            Standing::Resolved { .. } => Status::Resolved,
            Standing::Muted { .. } => Status::Muted,
        }
    }

    /// The end of a mute, milliseconds since the epoch.
    pub const fn muted_until_ms(&self) -> Option<i64> {
        match self.standing {
            Standing::Muted { until_ms, .. } => until_ms,
            _ => None,
        }
    }

    /// Ends a mute whose time is over; whether it did.
    pub fn look(&mut self, now_ms: i64) -> bool {
        let over = self.muted_until_ms().is_some_and(|until| until <= now_ms);
        if over {
            self.standing = Standing::Unresolved;
        }
        over
    }
}
