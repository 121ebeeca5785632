//! How long the writer's thread is at what it does now (floor 1), seen from outside while it hangs.
//!
//! What must stay true: looking never waits. Set by the writer's thread, asked by its callers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::clock;

/// Since when the thread is in an attempt: what a hanging disk looks like from outside.
pub struct Underway {
    began: Instant,
    /// Milliseconds after `began`, plus one; 0 between attempts.
    since_ms: AtomicU64,
}

impl Default for Underway {
    fn default() -> Self {
        Self {
            began: clock::now(),
            since_ms: AtomicU64::new(0),
        }
    }
}

impl Underway {
    fn milliseconds(&self) -> u64 {
        clock::now().saturating_duration_since(self.began).as_millis() as u64
    }

    pub(super) fn begin(&self) {
        self.since_ms.store(self.milliseconds() + 1, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.since_ms.store(0, Ordering::Relaxed);
    }

    /// Whether one attempt has lasted for at least `limit`.
    pub fn is_longer_than(&self, limit: Duration) -> bool {
        let since = self.since_ms.load(Ordering::Relaxed);
        since > 0 && self.milliseconds().saturating_sub(since - 1) >= limit.as_millis() as u64
    }
}
