//! A breaker's changes, told in the order in which they happened (floor 1).
//!
//! What must stay true: a change is noted under the lock and told outside it; two changes never overtake each other; an
//! observer may call the breaker it hears of, and one that panics keeps no later change from being told.

use std::sync::Arc;

use super::state::Transition;
use super::{Breaker, Inner};
use crate::db::observe::BreakerChange;
use crate::db::operation::Origin;

/// State changes kept for the API.
const RECENT: usize = 100;

impl Breaker {
    pub(super) fn note(&self, inner: &mut Inner, transition: Transition, origin: Option<&Arc<Origin>>) {
        let now = self.clock.now();
        let told = BreakerChange {
            name: self.name.clone(),
            from: transition.from,
            to: transition.to,
            cause: transition.cause,
            retry_after: inner.machine.retry_at(now).map(|at| at.saturating_duration_since(now)),
            at: self.clock.wall(),
            origin: origin.cloned(),
        };
        inner.since = told.at;
        match told.to {
            "CLOSED" | "DISABLED" => inner.opened_at = None,
            _ => drop(inner.opened_at.get_or_insert(told.at)),
        }
        inner.recent.push_front(told.clone());
        inner.recent.truncate(RECENT);
        inner.untold.push_back(told);
    }

    /// Tells the observer what it hasn't heard, in the order in which it happened: one thread at a time, outside the
    /// lock. Who finds another one telling leaves its own change to it, so that an observer may call the breaker.
    pub(super) fn tell(&self) {
        /// Also a panicking observer leaves the door open for the next change.
        struct Telling<'a>(&'a Breaker, bool);
        impl Drop for Telling<'_> {
            fn drop(&mut self) {
                if self.1 {
                    self.0.gate.locked(|inner| inner.telling = false);
                }
            }
        }
        if self.gate.locked(|inner| std::mem::replace(&mut inner.telling, true)) {
            return;
        }
        let mut telling = Telling(self, true);
        // Nothing left and nobody telling is one decision: what is noted after it finds nobody telling.
        while let Some(change) = self.gate.locked(|inner| {
            let next = inner.untold.pop_front();
            inner.telling = next.is_some();
            next
        }) {
            self.observer.breaker_changed(&change);
        }
        telling.1 = false;
    }
}
