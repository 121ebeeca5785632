//! How the writer wakes the keeper of the log (floor 1): after so many pages, long before a commit would have to make a
//! checkpoint itself, which everybody behind it would wait for.
//!
//! What must stay true: ringing never waits for a checkpoint; what is rung while one runs is heard after it. The writer
//! rings, the keeper sleeps on it.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Pages in the log since the last ring (16 MiB), a quarter of the backstop's. Most pages that a commit writes were written
/// by one shortly before as well: four times as much as SQLite waits for by itself, and a checkpoint writes each once.
pub const GROWN_PAGES: u64 = 4000;

/// Why a sleep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// There is nothing more to keep.
    Stopped,
    /// The log has grown.
    Rung,
    /// Its time is over.
    InTime,
}

#[derive(Default)]
struct State {
    stopped: bool,
    rung: bool,
}

/// Shared by the writer and the keeper of one log.
#[derive(Default)]
pub struct Alarm {
    state: Mutex<State>,
    woken: Condvar,
}

impl Alarm {
    /// The log has grown by [`GROWN_PAGES`].
    pub fn ring(&self) {
        self.state.lock().rung = true;
        self.woken.notify_all();
    }

    /// No more sleeps.
    pub fn stop(&self) {
        self.state.lock().stopped = true;
        self.woken.notify_all();
    }

    /// Whether it was stopped.
    #[cfg(test)]
    pub fn is_stopped(&self) -> bool {
        self.state.lock().stopped
    }

    /// Sleeps for at most `span`.
    pub fn sleep(&self, span: Duration) -> Woken {
        let until = Instant::now() + span;
        let mut state = self.state.lock();
        loop {
            if state.stopped {
                return Woken::Stopped;
            }
            if std::mem::take(&mut state.rung) {
                return Woken::Rung;
            }
            if self.woken.wait_until(&mut state, until).timed_out() {
                return Woken::InTime;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn a_ring_is_heard_once_also_when_nobody_slept() {
        let alarm = Alarm::default();
        alarm.ring();
        alarm.ring();
        assert_eq!(alarm.sleep(LONG), Woken::Rung);
        assert_eq!(alarm.sleep(Duration::ZERO), Woken::InTime);
        alarm.stop();
        alarm.ring();
        assert_eq!(alarm.sleep(LONG), Woken::Stopped);
    }

    #[test]
    fn who_sleeps_is_woken() {
        let alarm = Arc::new(Alarm::default());
        let sleeper = Arc::clone(&alarm);
        let slept = std::thread::spawn(move || (sleeper.sleep(LONG), sleeper.sleep(LONG)));
        alarm.ring();
        while alarm.state.lock().rung {
            std::thread::yield_now();
        }
        alarm.stop();
        assert_eq!(slept.join().expect("no panic"), (Woken::Rung, Woken::Stopped));
    }
}
