//! What isn't decided by calls (floor 1): isolation and its end, and what people set by hand.
//!
//! What must stay true: nothing but verification ends an isolation.

use std::time::Instant;

use super::{Machine, State, Told, Transition};
use crate::db::breaker::state::StillIsolated;

impl Machine {
    /// The file was found bad.
    pub fn isolate(&mut self, cause: String) -> Option<Transition> {
        (self.state != State::Isolated).then(|| self.go(State::Isolated, cause))
    }

    /// The isolated file was verified.
    pub fn verified(&mut self) -> Option<Transition> {
        (self.state == State::Isolated).then(|| {
            self.window.clear();
            self.go(State::closed(), "the file was verified".into())
        })
    }

    /// Open by hand; an isolated file stays isolated.
    pub fn force_open(&mut self, until: Option<Instant>, cause: String) -> Option<Transition> {
        self.told = Told::Unavailable;
        (self.state != State::Isolated).then(|| self.go(State::ForcedOpen { until }, cause))
    }

    /// Let everything through by hand; an isolated file stays isolated.
    pub fn disable(&mut self, until: Option<Instant>, cause: String) -> Option<Transition> {
        (self.state != State::Isolated).then(|| self.go(State::Disabled { until }, cause))
    }

    /// Keeps an OPEN breaker open past its time, until the hold is lifted: small writes pass on a full disk, so that their
    /// success proves nothing before somebody has seen that there is room again. Any other state goes on as usual.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Back to CLOSED with clean counts, by hand; no transition when it is closed already.
    ///
    /// # Errors
    /// An isolated file stays isolated.
    pub fn reset(&mut self, cause: String) -> Result<Option<Transition>, StillIsolated> {
        if self.state == State::Isolated {
            return Err(StillIsolated);
        }
        self.window.clear();
        self.reopened = 0;
        self.held = false;
        if let State::Closed { .. } = self.state {
            self.state = State::closed();
            return Ok(None);
        }
        Ok(Some(self.go(State::closed(), cause)))
    }
}
