//! The words the breaker's machine speaks (floor 1): states, outcomes, tickets, refusals, transitions.
//!
//! What must stay true: a state's variant holds only what is valid in that state.

use std::time::{Duration, Instant};

use crate::db::classify::Told;

/// A state holds only what is valid in it.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Everything passes.
    Closed {
        /// Counted failures in a row.
        consecutive: u32,
        /// The operation of the first of them.
        first_operation: u64,
        /// Whether another operation failed too.
        several: bool,
    },
    /// Nothing passes until `retry_at`.
    Open {
        /// When a probe is let through.
        retry_at: Instant,
    },
    /// Some pass, each under a lease.
    HalfOpen {
        /// How many may be on their way at once.
        permits: u32,
        /// Successes so far.
        successes: u32,
        /// Number and end of each lease that is out.
        leases: Vec<(u64, Instant)>,
    },
    /// Nothing passes, by hand.
    ForcedOpen {
        /// When this ends by itself.
        until: Option<Instant>,
    },
    /// Everything passes and nothing counts, by hand.
    Disabled {
        /// When this ends by itself.
        until: Option<Instant>,
    },
    /// Nothing passes until the file was verified.
    Isolated {
        /// What was set by hand and comes back then.
        then: Option<ByHand>,
    },
}

/// What people set by hand.
#[derive(Debug, Clone, PartialEq)]
pub struct ByHand {
    /// Nothing passes, or everything does.
    pub forced_open: bool,
    /// When it ends by itself.
    pub until: Option<Instant>,
    /// Why.
    pub cause: String,
}

impl ByHand {
    /// The state it sets.
    pub fn state(&self) -> State {
        match self.forced_open {
            true => State::ForcedOpen { until: self.until },
            false => State::Disabled { until: self.until },
        }
    }
}

/// The present, as the machine wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// For timers.
    pub at: Instant,
    /// For the window: see [`crate::clock::Clock::second`].
    pub second: u64,
}

impl State {
    /// The state's name on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            State::Closed { .. } => "CLOSED",
            State::Open { .. } => "OPEN",
            State::HalfOpen { .. } => "HALF_OPEN",
            State::ForcedOpen { .. } => "FORCED_OPEN",
            State::Disabled { .. } => "DISABLED",
            State::Isolated { .. } => "ISOLATED",
        }
    }

    /// Whether the file is isolated.
    pub const fn is_isolated(&self) -> bool {
        matches!(self, State::Isolated { .. })
    }

    pub(super) const fn closed() -> Self {
        State::Closed {
            consecutive: 0,
            first_operation: 0,
            several: false,
        }
    }
}

/// Why a breaker opens.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    /// In words.
    pub text: String,
    /// What clients are told.
    pub told: Told,
}

/// What became of a permitted call.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It worked, and soon enough.
    Success,
    /// It took at least half of its time. No proof of health, and no failure.
    Slow {
        /// The operation's name: one operation that is slow by nature says nothing about the database.
        operation: &'static str,
        /// Whether it came to its end, rather than being stopped at its deadline.
        worked: bool,
    },
    /// A counted failure.
    Failure {
        /// In words, and what clients are told while the breaker is open because of it.
        cause: Cause,
    },
    /// A failure that opens at once (disk full, read-only).
    Trip {
        /// In words, and what clients are told while the breaker is open because of it.
        cause: Cause,
    },
    /// A failure that isolates the file.
    Isolate {
        /// In words.
        cause: String,
    },
    /// Says nothing about the database.
    Ignored,
}

/// What a permitted call carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// The generation in which it was let through.
    pub generation: u64,
    /// Its half-open lease.
    pub lease: Option<u64>,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// When to come back, where that is known.
    pub retry_after: Option<Duration>,
    /// Why the breaker is open.
    pub cause: Cause,
    /// Whether the file is isolated.
    pub isolated: bool,
}

/// Why a reset by hand did nothing: only verification ends an isolation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StillIsolated;

/// A state change that just happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// State before.
    pub from: &'static str,
    /// State after.
    pub to: &'static str,
    /// Why.
    pub cause: String,
}
