//! The breaker's state machine (floor 1, pure): time and randomness come in, transitions go out.
//!
//! ```text
//! CLOSED ──5 consecutive failures of ≥ 2 operations, ≥ 50 % of ≥ 20 calls failed, ≥ 80 % slow (≥ 2 operations), trip──▶ OPEN
//! OPEN ──timeout passed, first caller──▶ HALF_OPEN ──3 successes──▶ CLOSED
//! HALF_OPEN ──one failure or slow call──▶ OPEN (×1.5, at most 5 min)
//! any ──isolate──▶ ISOLATED ──verified──▶ CLOSED, or back to what was set by hand;   any ──by hand──▶ FORCED_OPEN | DISABLED ──reset, expiry──▶ CLOSED
//! ```
//! What must stay true: every state change raises the generation; a result that carries an older generation, or a
//! half-open lease that ran out, changes nothing; only `verified` leaves ISOLATED; only time or a hand leaves
//! FORCED_OPEN and DISABLED; a held breaker doesn't leave OPEN by time. Called by [`super::Breaker`] only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::state::{Cause, Moment, Outcome, State, Ticket, Transition};
use super::tally::Tally;
use super::window::{How, Slow, Totals, Window};
use crate::config::BreakerSettings;
use crate::db::backoff::within_ten_percent;
use crate::db::classify::Told;

/// A half-open probe that says nothing for this long has lost its lease.
pub const LEASE: Duration = Duration::from_secs(30);
/// How long a caller of a held breaker is told to stay away: whoever holds it looks more often than that.
pub const HELD_LOOK: Duration = Duration::from_secs(1);
/// Longest time an OPEN breaker waits for its next probe.
pub const MOST_OPEN: Duration = Duration::from_secs(300);
const ESCALATION: f64 = 1.5;
const SUCCESSES_TO_CLOSE: u32 = 3;
const MIN_CALLS: u64 = 20;
const FAILURE_RATE: f64 = 0.5;
const SLOW_RATE: f64 = 0.8;

/// The machine.
#[derive(Debug)]
pub struct Machine {
    settings: BreakerSettings,
    state: State,
    generation: u64,
    revision: u64,
    next_lease: u64,
    reopened: i32,
    held: bool,
    cause: String,
    told: Told,
    window: Window,
}

impl Machine {
    /// Closed.
    pub fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            state: State::closed(),
            generation: 1,
            revision: 0,
            next_lease: 0,
            reopened: 0,
            held: false,
            cause: String::new(),
            told: Told::Unavailable,
            window: Window::new(1),
        }
    }

    /// The state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The generation.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What the door shows of it: see [`super::gate`].
    pub fn word(&self) -> u64 {
        match self.state {
            State::Closed { consecutive, .. } => self.generation << 1 | u64::from(consecutive > 0),
            _ => 0,
        }
    }

    /// Where quick successes are counted without the lock.
    pub fn tally(&self) -> &Arc<Tally> {
        self.window.tally()
    }

    /// Goes up with every change that a restart must not undo.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Why the state is what it is; empty when nothing ever happened.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// The sums of the last minute.
    pub fn totals(&self, second: u64) -> Totals {
        self.window.totals(second)
    }

    /// When a probe will be let through, in the states that say so; for a held breaker, when to look again.
    pub fn retry_at(&self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Open { retry_at } if self.held => Some(retry_at.max(now + HELD_LOOK)),
            State::Open { retry_at } => Some(retry_at),
            State::ForcedOpen { until } => until,
            _ => None,
        }
    }

    fn go(&mut self, to: State, cause: String) -> Transition {
        let transition = Transition {
            from: self.state.name(),
            to: to.name(),
            cause: cause.clone(),
        };
        self.state = to;
        self.generation += 1;
        self.revision += 1;
        self.cause = cause;
        transition
    }

    /// Closed, with an empty window: only what passes from now on counts.
    fn close(&mut self, cause: String) -> Transition {
        let transition = self.go(State::closed(), cause);
        self.window.begin(self.generation);
        transition
    }

    fn open(&mut self, now: Instant, cause: Cause, random: f64) -> Transition {
        self.told = cause.told;
        let escalated = self.settings.open_for.mul_f64(ESCALATION.powi(self.reopened.min(30)));
        let open_for = within_ten_percent(escalated.min(MOST_OPEN.max(self.settings.open_for)), random);
        self.go(
            State::Open {
                retry_at: now + open_for,
            },
            cause.text,
        )
    }

    fn open_for_slowness(&mut self, now: Instant, text: String, random: f64) -> Transition {
        let told = Told::Unavailable;
        self.open(now, Cause { text, told }, random)
    }

    /// A permitted call of operation number `operation` is over; `random` in [0, 1) spreads the open time.
    pub fn settle(
        &mut self,
        now: Moment,
        ticket: Ticket,
        operation: u64,
        outcome: Outcome,
        random: f64,
    ) -> Option<Transition> {
        if let Outcome::Isolate { cause } = outcome {
            // A fatal code is true whatever the generation: the file itself was found bad.
            return self.isolate(cause);
        }
        if ticket.generation != self.generation {
            return None;
        }
        match self.state {
            State::Closed { .. } => self.settle_closed(now, operation, outcome, random),
            State::HalfOpen { .. } => self.settle_half_open(now.at, ticket, outcome, random),
            _ => None,
        }
    }

    fn settle_closed(&mut self, now: Moment, operation: u64, outcome: Outcome, random: f64) -> Option<Transition> {
        let State::Closed {
            consecutive,
            first_operation,
            several,
        } = &mut self.state
        else {
            return None;
        };
        match outcome {
            Outcome::Ignored | Outcome::Isolate { .. } => None,
            Outcome::Trip { cause } => Some(self.open(now.at, cause, random)),
            Outcome::Success => {
                *consecutive = 0;
                self.window.record(now.second, How::Success);
                None
            }
            Outcome::Slow { operation, worked } => {
                if worked {
                    *consecutive = 0; // What was stopped neither ends a row of failures nor extends it.
                }
                self.window.record(now.second, How::Slow(operation));
                let totals = self.window.totals(now.second);
                let mostly = totals.calls >= MIN_CALLS && totals.slow_rate() >= SLOW_RATE;
                let text = || format!("{} of {} calls were slow", totals.slow, totals.calls);
                // Whoever calls one slow query over and over has only themselves to blame.
                (mostly && totals.slow_operations == Slow::Several)
                    .then(|| self.open_for_slowness(now.at, text(), random))
            }
            Outcome::Failure { cause } => {
                if *consecutive == 0 {
                    (*first_operation, *several) = (operation, false);
                }
                *several |= *first_operation != operation;
                *consecutive += 1;
                let in_a_row = *consecutive >= self.settings.threshold && (*several || self.settings.threshold == 1);
                self.window.record(now.second, How::Failure);
                let totals = self.window.totals(now.second);
                let rate = totals.calls >= MIN_CALLS && totals.failure_rate() >= FAILURE_RATE;
                (in_a_row || rate).then(|| self.open(now.at, cause, random))
            }
        }
    }

    fn settle_half_open(&mut self, now: Instant, ticket: Ticket, outcome: Outcome, random: f64) -> Option<Transition> {
        let State::HalfOpen {
            permits,
            successes,
            leases,
        } = &mut self.state
        else {
            return None;
        };
        let is_own = |lease: &(u64, Instant)| Some(lease.0) == ticket.lease;
        let held = leases.iter().any(|lease| is_own(lease) && lease.1 > now);
        leases.retain(|lease| !is_own(lease) && lease.1 > now);
        if !held {
            return None; // The lease had run out: somebody else may hold its place by now.
        }
        match outcome {
            Outcome::Ignored | Outcome::Isolate { .. } => None,
            Outcome::Success => {
                *successes += 1;
                *permits = (*permits * 2).min(64);
                let enough = *successes >= SUCCESSES_TO_CLOSE;
                enough.then(|| {
                    self.reopened = 0;
                    self.close(format!("{SUCCESSES_TO_CLOSE} probes succeeded"))
                })
            }
            Outcome::Failure { cause } | Outcome::Trip { cause } => {
                self.reopened += 1;
                Some(self.open(now, cause, random))
            }
            Outcome::Slow { operation, .. } => {
                self.reopened += 1;
                Some(self.open_for_slowness(now, format!("still slow: {operation}"), random))
            }
        }
    }
}

impl AsRef<Machine> for Machine {
    fn as_ref(&self) -> &Machine {
        self
    }
}

mod admission;
mod by_hand;
mod kept;

pub use kept::Kept;

#[cfg(test)]
mod tests;
