//! What can be seen of a limiter, and why it refuses (floor 1).
//!
//! What must stay true: a view is of one moment, taken under one lock.

use std::time::Duration;

use crate::db::adaptive::Moved;

/// Why nobody was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Its patience ran out.
    TimedOut,
    /// Too many wait.
    Shed,
}

/// What can be seen of a limiter.
#[derive(Debug, Clone, PartialEq)]
pub struct LimiterView {
    /// Admitted at once, at most.
    pub limit: u32,
    /// What the limit moves between.
    pub bounds: (u32, u32),
    /// Whether it moves by itself.
    pub adaptive: bool,
    /// Why it last moved.
    pub moved: Moved,
    /// How long a step usually takes.
    pub usual_step: Option<Duration>,
    /// Admitted now.
    pub in_use: u32,
    /// Waiting now.
    pub waiting: u64,
    /// Waits that ran out since the start.
    pub timeouts: u64,
    /// Turned away under overload since the start.
    pub shed: u64,
    /// Whether it is overloaded now.
    pub overloaded: bool,
}

impl LimiterView {
    /// How many are ahead of a caller.
    pub fn sentence(&self) -> String {
        let (in_use, limit, waiting) = (self.in_use, self.limit, self.waiting);
        format!("{in_use} of {limit} readers busy, {waiting} more waiting")
    }
}
