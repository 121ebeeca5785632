//! A plain count of what a simulation's breakers were told (floor 1, tests only), against what they do.
//!
//! What must stay true: a closed breaker opens with the fifth counted failure in a row, of two operations at least, and
//! not before unless it was tripped, or by the rates of the last minute; a half-open one has never more leases out
//! than permits, and none for longer than any call may last.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::db::breaker::{Breaker, Outcome};

const THRESHOLD: u32 = 5;
/// A rate needs this many calls.
const CALLS: u32 = 20;

/// What is left of a lease of 30 s that was out for longer than a call's 10 s, its grace and a slow disk's slack.
const LEASE_OF_A_LEAK: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Count {
    in_a_row: u32,
    operations: Vec<u64>,
    calls: u32,
    failures: u32,
    is_tripped: bool,
}

impl Count {
    fn must_open(&self) -> bool {
        self.in_a_row >= THRESHOLD && self.operations.len() > 1
    }

    /// As far as can be told without a window: the rate of a minute needs its calls and ten failures among them.
    fn may_open(&self) -> bool {
        self.must_open() || self.is_tripped || self.calls >= CALLS && self.failures >= CALLS / 2
    }
}

/// The counts of all breakers since each changed its state.
#[derive(Default)]
pub struct Reckoning(Mutex<BTreeMap<String, Count>>);

impl Reckoning {
    /// A permit is about to be settled; a result of an earlier state says nothing.
    pub fn settling(&self, breaker: &str, is_current: bool, operation: u64, outcome: &Outcome) {
        if !is_current {
            return;
        }
        let mut counts = self.0.lock();
        let count = counts.entry(breaker.to_owned()).or_default();
        match outcome {
            // Stopped at its deadline: a call, and neither a proof of health nor a failure.
            Outcome::Slow { worked: false, .. } => count.calls += 1,
            Outcome::Success | Outcome::Slow { worked: true, .. } => {
                count.calls += 1;
                count.in_a_row = 0;
                count.operations.clear();
            }
            Outcome::Failure { .. } => {
                count.calls += 1;
                count.failures += 1;
                count.in_a_row += 1;
                if !count.operations.contains(&operation) {
                    count.operations.push(operation);
                }
            }
            Outcome::Trip { .. } => count.is_tripped = true,
            Outcome::Isolate { .. } | Outcome::Ignored => {}
        }
    }

    /// It changed its state.
    pub fn changed(&self, breaker: &str, from: &str, to: &str, cause: &str) -> Result<(), String> {
        let count = self.0.lock().remove(breaker).unwrap_or_default();
        let by_slowness = cause.ends_with("calls were slow");
        if (from, to) == ("CLOSED", "OPEN") && !by_slowness && !count.may_open() {
            return Err(format!(
                "{breaker} opened after {} failures in a row of {} operations, {} of {} calls",
                count.in_a_row,
                count.operations.len(),
                count.failures,
                count.calls
            ));
        }
        Ok(())
    }

    /// A life begins.
    pub fn forget(&self) {
        self.0.lock().clear();
    }

    /// Its counts begin anew.
    pub fn begin_anew(&self, breaker: &str) {
        self.0.lock().remove(breaker);
    }

    /// What must hold between any two settlements.
    pub fn holds(&self, breaker: &Breaker) -> Result<(), String> {
        let name = breaker.name();
        if let Some((permits, left)) = breaker.leases()
            && left.len() > permits as usize
        {
            return Err(format!("{name} has {} leases out of {permits}", left.len()));
        }
        let is_leaked = |(_, left): (u32, Vec<Duration>)| left.iter().any(|left| *left < LEASE_OF_A_LEAK);
        if breaker.leases().is_some_and(is_leaked) {
            return Err(format!("{name} has a lease out for longer than any call lasts"));
        }
        // Looking may end what was set by hand, and that begins a new count.
        let is_closed = breaker.status().state == "CLOSED";
        let is_overdue = self.0.lock().get(name).is_some_and(Count::must_open);
        if is_overdue && is_closed {
            return Err(format!("{name} should have opened"));
        }
        Ok(())
    }
}
