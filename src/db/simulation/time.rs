//! Time in a simulated world (floor 1, tests only).
//!
//! What must stay true: it passes by looking at it, by sleeping in it, and when the world lets it; never by itself.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;

use super::world::current;
use crate::clock::{Clock, from_epoch_ms};

/// One look at the clock takes this long, so that whoever spins gets on.
const LOOK: Duration = Duration::from_micros(1);

/// Time in a world.
pub struct SimClock {
    began: Instant,
    passed: Mutex<Duration>,
    look: Mutex<Duration>,
}

impl SimClock {
    pub fn new() -> Self {
        let (began, passed) = (Instant::now(), Mutex::default());
        Self {
            began,
            passed,
            look: Mutex::new(LOOK),
        }
    }

    pub fn elapsed(&self) -> Duration {
        *self.passed.lock()
    }

    /// Lets time pass.
    pub fn pass(&self, span: Duration) {
        *self.passed.lock() += span;
    }

    /// How long a look at the clock takes, until told otherwise: what only computes gets older by looking.
    pub fn set_look(&self, span: Option<Duration>) {
        *self.look.lock() = span.unwrap_or(LOOK);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Instant {
        let mut passed = self.passed.lock();
        *passed += *self.look.lock();
        self.began + *passed
    }

    fn wall(&self) -> Timestamp {
        from_epoch_ms(1_700_000_000_000 + self.elapsed().as_millis() as i64)
    }

    fn second(&self) -> u64 {
        self.elapsed().as_secs()
    }

    fn sleep(&self, span: Duration) {
        match current() {
            Some(world) => world.sleep(span),
            None => self.pass(span),
        }
    }
}
