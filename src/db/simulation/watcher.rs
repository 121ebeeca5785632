//! Who watches a simulation's breakers and retries (floor 1, tests only).
//!
//! What must stay true: a breaker goes only along the arrows of its machine, from where it was last; nothing is repeated
//! more often than the settings allow.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::world;
use crate::config::DatabaseSettings;
use crate::db::{BreakerChange, DbError, Observer};

/// Watches the breakers keep to their states, and retries to their number.
#[derive(Default)]
pub struct Watcher {
    states: Mutex<BTreeMap<String, &'static str>>,
    transitions: AtomicU64,
}

impl Watcher {
    /// A life begins: what was kept of the one before comes with the first change.
    pub fn forget(&self) {
        self.states.lock().clear();
    }

    pub fn transitions(&self) -> u64 {
        self.transitions.load(Ordering::Relaxed)
    }
}

impl Observer for Watcher {
    fn breaker_changed(&self, change: &BreakerChange) {
        self.transitions.fetch_add(1, Ordering::Relaxed);
        let Some(world) = world::current() else { return };
        world
            .trace
            .line(|| format!("{}: {} -> {} ({})", change.name, change.from, change.to, change.cause));
        if let Err(what) = world
            .reckoning
            .changed(&change.name, change.from, change.to, &change.cause)
        {
            world.fail(what);
        }
        let before = self
            .states
            .lock()
            .insert(change.name.clone(), change.to)
            // What it was kept as from the life before.
            .unwrap_or(change.from);
        let is_known = matches!(
            (change.from, change.to),
            ("CLOSED", "OPEN")
                | ("OPEN", "HALF_OPEN")
                | ("HALF_OPEN", "OPEN" | "CLOSED")
                | ("ISOLATED", "CLOSED" | "FORCED_OPEN" | "DISABLED")
        );
        let by_hand = change.from != "ISOLATED"
            && change.from != change.to
            && matches!(change.to, "ISOLATED" | "FORCED_OPEN" | "DISABLED" | "CLOSED")
            || change.from == change.to && matches!(change.to, "FORCED_OPEN" | "DISABLED");
        if before != change.from || !(is_known || by_hand) {
            world.fail(format!(
                "{} went from {} to {}, and was {before}",
                change.name, change.from, change.to
            ));
        }
    }

    fn retrying(&self, error: &DbError, attempt: u32, _delay: Duration) {
        let Some(world) = world::current() else { return };
        world.trace.line(|| format!("retry {attempt} after {error}"));
        if attempt >= DatabaseSettings::default().retry.max_attempts {
            world.fail(format!("attempt {attempt} is repeated"));
        }
    }
}
