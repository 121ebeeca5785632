//! Who is let through (floor 1): permits, refusals, and what time alone changes.
//!
//! What must stay true: in HALF_OPEN never more calls are on their way than the permits allow; a refusal carries the
//! cause and, where it is known, the time to come back.

use std::time::{Duration, Instant};

use super::{LEASE, Machine, State, Ticket, Transition};
use crate::db::breaker::state::{Cause, Refusal};

impl Machine {
    fn refusal(&self, now: Instant) -> Refusal {
        let until = match &self.state {
            State::HalfOpen { leases, .. } => leases
                .iter()
                .map(|l| l.1)
                .min()
                .map(|at| at.min(now + Duration::from_secs(1))),
            _ => self.retry_at(now),
        };
        let isolated = self.state.is_isolated();
        let retry_after = until.map(|at| at.saturating_duration_since(now));
        let cause = Cause {
            text: self.cause.clone(),
            told: self.told,
        };
        Refusal {
            retry_after,
            cause,
            isolated,
        }
    }

    /// Whether a call would be let through now; changes nothing.
    ///
    /// # Errors
    /// The refusal it would get.
    pub fn peek(&self, now: Instant) -> Result<(), Refusal> {
        let passes = match &self.state {
            State::Closed { .. } | State::Disabled { .. } => true,
            State::Open { retry_at } => !self.held && now >= *retry_at,
            State::HalfOpen { permits, leases, .. } => (leases.iter().filter(|l| l.1 > now).count() as u32) < *permits,
            State::ForcedOpen { until } => until.is_some_and(|at| now >= at),
            State::Isolated { .. } => false,
        };
        if passes { Ok(()) } else { Err(self.refusal(now)) }
    }

    /// Asks for a permit. Time may move the state first (OPEN to HALF_OPEN, a hand's setting to CLOSED).
    ///
    /// # Errors
    /// The refusal, with the time to come back and the cause.
    pub fn acquire(&mut self, now: Instant) -> (Result<Ticket, Refusal>, Option<Transition>) {
        let moved = self.tick(now);
        let next_lease = self.next_lease;
        let lease = match &mut self.state {
            State::Closed { .. } | State::Disabled { .. } => None,
            State::HalfOpen { permits, leases, .. } => {
                leases.retain(|l| l.1 > now);
                if leases.len() >= *permits as usize {
                    return (Err(self.refusal(now)), moved);
                }
                leases.push((next_lease, now + LEASE));
                self.next_lease += 1;
                Some(next_lease)
            }
            _ => return (Err(self.refusal(now)), moved),
        };
        (
            Ok(Ticket {
                generation: self.generation,
                lease,
            }),
            moved,
        )
    }

    /// What time alone changes.
    fn tick(&mut self, now: Instant) -> Option<Transition> {
        match &self.state {
            State::Open { retry_at } if !self.held && now >= *retry_at => {
                let cause = self.cause.clone();
                Some(self.go(
                    State::HalfOpen {
                        permits: 1,
                        successes: 0,
                        leases: Vec::new(),
                    },
                    cause,
                ))
            }
            _ => self.end_by_hand(now),
        }
    }

    /// Ends what was set by hand for a time that is over.
    pub fn end_by_hand(&mut self, now: Instant) -> Option<Transition> {
        let (State::ForcedOpen { until } | State::Disabled { until }) = self.state else {
            return None;
        };
        until.filter(|at| now >= *at)?;
        Some(self.close("the time set by hand is over".into()))
    }
}
