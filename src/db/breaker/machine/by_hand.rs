//! What isn't decided by calls (floor 1): isolation and its end, and what people set by hand.
//!
//! What must stay true: nothing but verification ends an isolation, and it doesn't end what a hand has set.

use std::time::Instant;

use super::{Machine, State, Told, Transition};
use crate::db::breaker::state::{ByHand, StillIsolated};

impl Machine {
    /// The file was found bad. What was set by hand waits for the verification.
    pub fn isolate(&mut self, cause: String) -> Option<Transition> {
        let (forced_open, until) = match self.state {
            State::Isolated { .. } => return None,
            State::ForcedOpen { until } => (true, until),
            State::Disabled { until } => (false, until),
            _ => return Some(self.go(State::Isolated { then: None }, cause)),
        };
        let then = Some(ByHand {
            forced_open,
            until,
            cause: self.cause.clone(),
        });
        Some(self.go(State::Isolated { then }, cause))
    }

    /// The isolated file was verified: closed, or back to what was set by hand, unless its time is over.
    pub fn verified(&mut self, now: Instant) -> Option<Transition> {
        let State::Isolated { then } = &mut self.state else {
            return None;
        };
        match then.take().filter(|hand| hand.until.is_none_or(|at| now < at)) {
            Some(hand) => Some(self.go(hand.state(), hand.cause)),
            None => Some(self.close("the file was verified".into())),
        }
    }

    /// Open or let everything through by hand; an isolated file stays isolated until verified, and this comes after.
    pub fn set_by_hand(&mut self, hand: ByHand) -> Option<Transition> {
        if let State::Isolated { then } = &mut self.state {
            *then = Some(hand);
            self.revision += 1;
            return None;
        }
        self.told = Told::Unavailable;
        Some(self.go(hand.state(), hand.cause))
    }

    /// Keeps an OPEN breaker open past its time, until the hold is lifted: small writes pass on a full disk, so that their
    /// success proves nothing before somebody has seen that there is room again. Any other state goes on as usual.
    pub fn hold(&mut self, held: bool) {
        // A restart must not undo a hold: without it, the next small write would close the breaker on a full disk.
        self.revision += u64::from(self.held != held);
        self.held = held;
    }

    /// Whether it is held.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Back to CLOSED with clean counts, by hand; no transition when it is closed already, but what is still on its way
    /// counts no more.
    ///
    /// # Errors
    /// An isolated file stays isolated.
    pub fn reset(&mut self, cause: String) -> Result<Option<Transition>, StillIsolated> {
        if self.state.is_isolated() {
            return Err(StillIsolated);
        }
        self.reopened = 0;
        self.held = false;
        let was_closed = matches!(self.state, State::Closed { .. });
        let cause = if was_closed { self.cause.clone() } else { cause };
        let transition = self.close(cause);
        Ok((!was_closed).then_some(transition))
    }
}
