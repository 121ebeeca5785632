//! What can be seen of a breaker (floor 1).
//!
//! What must stay true: state, time and counts of one status are of one moment.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;

use super::Breaker;
#[cfg(test)]
use super::state::State;
use crate::db::observe::BreakerChange;

/// What the API shows of a breaker.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerStatus {
    /// `app.write` and the like.
    pub name: String,
    /// CLOSED, OPEN, HALF_OPEN, FORCED_OPEN, DISABLED or ISOLATED.
    pub state: &'static str,
    /// Since when.
    pub since: Timestamp,
    /// When it stopped letting everything through; `None` while it does.
    pub opened_at: Option<Timestamp>,
    /// Why; empty when nothing ever happened.
    pub cause: String,
    /// When a probe will be let through, counted from now.
    pub retry_after: Option<Duration>,
    /// Failures over calls in the last minute.
    pub failure_rate: f64,
    /// Slow calls over calls in the last minute.
    pub slow_call_rate: f64,
    /// Settled calls in the last minute.
    pub buffered_calls: u64,
    /// Counted failures in the last minute.
    pub failed_calls: u64,
    /// Refusals since the start.
    pub not_permitted_calls: u64,
}

impl BreakerStatus {
    /// Whether calls pass freely.
    pub fn is_healthy(&self) -> bool {
        matches!(self.state, "CLOSED" | "DISABLED")
    }
}

impl Breaker {
    /// What the API shows. Looking ends what was set by hand for a time that is over: without callers nobody else would.
    pub fn status(&self) -> BreakerStatus {
        let now = self.moment();
        self.change(None, |m| ((), m.end_by_hand(now.at)));
        self.gate.locked(|inner| {
            let totals = inner.machine.totals(now.second);
            let retry_at = inner.machine.retry_at(now.at);
            BreakerStatus {
                name: self.name.clone(),
                state: inner.machine.state().name(),
                since: inner.since,
                opened_at: inner.opened_at,
                cause: inner.machine.cause().to_owned(),
                retry_after: retry_at.map(|at| at.saturating_duration_since(now.at)),
                failure_rate: totals.failure_rate(),
                slow_call_rate: totals.slow_rate(),
                buffered_calls: totals.calls,
                failed_calls: totals.failures,
                not_permitted_calls: self.refused.load(Ordering::Relaxed),
            }
        })
    }

    /// `app.write` and the like.
    #[cfg(test)]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A half-open breaker's permits, and how long each lease that is out still runs.
    #[cfg(test)]
    pub fn leases(&self) -> Option<(u32, Vec<Duration>)> {
        let now = self.clock.now();
        self.gate.locked(|inner| match inner.machine.state() {
            State::HalfOpen { permits, leases, .. } => {
                let left = leases.iter().filter(|lease| lease.1 > now);
                Some((*permits, left.map(|lease| lease.1 - now).collect()))
            }
            _ => None,
        })
    }

    /// Whether this lease is out.
    #[cfg(test)]
    pub fn has_lease(&self, number: u64) -> bool {
        self.gate.locked(|inner| match inner.machine.state() {
            State::HalfOpen { leases, .. } => leases.iter().any(|lease| lease.0 == number),
            _ => false,
        })
    }

    /// The latest changes, newest first.
    pub fn recent(&self) -> Vec<BreakerChange> {
        self.gate.locked(|inner| inner.recent.iter().cloned().collect())
    }
}
