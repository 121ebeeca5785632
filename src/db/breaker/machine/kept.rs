//! What of the machine a restart must not undo (floor 1).
//!
//! What must stay true: a closed breaker has nothing to keep; a probe that was on its way is asked for again.

use std::time::Instant;

use super::{Machine, State, Told};

/// What is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The state; HALF_OPEN is kept as OPEN whose time has come.
    pub state: State,
    /// Why.
    pub cause: String,
    /// What clients are told.
    pub told: Told,
    /// How often a probe failed since it last was closed.
    pub reopened: i32,
    /// Whether it is held open past its time: the disk was full and no room was seen since.
    pub held: bool,
}

impl Machine {
    /// What a restart must not undo; `None` while it is closed.
    pub fn kept(&self, now: Instant) -> Option<Kept> {
        let state = match &self.state {
            State::Closed { .. } => return None,
            State::HalfOpen { .. } => State::Open { retry_at: now },
            other => other.clone(),
        };
        Some(Kept {
            state,
            cause: self.cause.clone(),
            told: self.told,
            reopened: self.reopened,
            held: self.held,
        })
    }

    /// Goes on where it was before the restart.
    pub fn restore(&mut self, kept: Kept) {
        self.told = kept.told;
        self.reopened = kept.reopened;
        self.held = kept.held;
        self.go(kept.state, kept.cause);
    }
}
