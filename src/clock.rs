//! The time source (floor 0): monotonic instants for every timer, wall time only for what people read.
//!
//! What must stay true: no timer, breaker or deadline ever looks at the wall clock, so that a clock that
//! jumps an hour changes timestamps and nothing else. Anyone may call it; tests pass a [`ManualClock`]. Code that runs
//! deep below a plain callback (SQLite's busy handler) has nowhere to be handed a clock: it asks [`now`] and [`sleep`],
//! which are the machine's unless the thread was put under another clock with [`Simulated::enter`].

use std::cell::RefCell;
use std::fmt::Write;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use parking_lot::Mutex;

/// Where time comes from.
pub trait Clock: Send + Sync + 'static {
    /// Monotonic time, for deadlines and timers.
    fn now(&self) -> Instant;
    /// Wall time in UTC, for timestamps that people and files see.
    fn wall(&self) -> Timestamp;
    /// Whole seconds of monotonic time since some moment that stays the same; cheaper than [`Clock::now`] where the
    /// machine has a coarse clock, and a few milliseconds late there.
    fn second(&self) -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        let now = self.now();
        now.saturating_duration_since(*START.get_or_init(|| now)).as_secs()
    }
    /// Lets this much monotonic time pass on the calling thread.
    fn sleep(&self, span: Duration) {
        std::thread::sleep(span);
    }
}

/// A clock that rooms share.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clocks.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl SystemClock {
    /// The machine's clocks, ready to be shared.
    pub fn shared() -> SharedClock {
        Arc::new(Self)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    #[cfg(target_os = "linux")]
    fn second(&self) -> u64 {
        use rustix::time::{ClockId, clock_gettime};
        // Time since the machine's start is never negative.
        clock_gettime(ClockId::MonotonicCoarse).tv_sec.unsigned_abs()
    }
}

/// A clock that moves only when told to; monotonic and wall time move apart when a test says so.
#[derive(Debug)]
pub struct ManualClock {
    start: Instant,
    hands: Mutex<(Instant, Timestamp)>,
}

impl ManualClock {
    /// Starts at the present instant and at `wall`.
    pub fn starting_at(wall: Timestamp) -> Self {
        let start = Instant::now();
        Self {
            start,
            hands: Mutex::new((start, wall)),
        }
    }

    /// Moves both hands forward.
    pub fn advance(&self, by: Duration) {
        let mut hands = self.hands.lock();
        hands.0 += by;
        hands.1 += by;
    }

    /// Sets the wall clock alone, as an administrator or NTP would.
    pub fn set_wall(&self, wall: Timestamp) {
        self.hands.lock().1 = wall;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.hands.lock().0
    }

    fn wall(&self) -> Timestamp {
        self.hands.lock().1
    }

    fn second(&self) -> u64 {
        (self.now() - self.start).as_secs()
    }

    fn sleep(&self, span: Duration) {
        self.advance(span);
    }
}

thread_local! {
    static SIMULATED: RefCell<Option<SharedClock>> = const { RefCell::new(None) };
}

/// While it lives, [`now`] and [`sleep`] on this thread follow another clock.
#[must_use]
pub struct Simulated {
    // Bound to the thread whose time it sets.
    _not_send: std::marker::PhantomData<*const ()>,
}

impl Simulated {
    /// Puts this thread under `clock`.
    pub fn enter(clock: SharedClock) -> Self {
        SIMULATED.set(Some(clock));
        Self {
            _not_send: std::marker::PhantomData,
        }
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        SIMULATED.set(None);
    }
}

/// Monotonic time on this thread.
pub fn now() -> Instant {
    SIMULATED.with_borrow(|clock| clock.as_ref().map_or_else(Instant::now, |clock| clock.now()))
}

/// How long ago `at` was, on this thread.
pub fn since(at: Instant) -> Duration {
    now().saturating_duration_since(at)
}

/// Sleeps on this thread.
pub fn sleep(span: Duration) {
    let simulated = SIMULATED.with_borrow(Clone::clone);
    match simulated {
        Some(clock) => clock.sleep(span),
        None => std::thread::sleep(span),
    }
}

/// RFC 3339 in UTC with milliseconds, the one form in which times leave this program.
pub fn rfc3339_ms(at: Timestamp) -> String {
    let mut text = String::with_capacity(LENGTH_OF_RFC3339_MS);
    push_rfc3339_ms(&mut text, at);
    text
}

const LENGTH_OF_RFC3339_MS: usize = "2023-11-14T22:13:20.005Z".len();

/// Appends what [`rfc3339_ms`] gives. Digit by digit: every document and every event has two of them, and the general
/// formatting of a number takes longer than all of this.
pub fn push_rfc3339_ms(out: &mut String, at: Timestamp) {
    let moment = TimeZone::UTC.to_datetime(at);
    let Some(year) = u32::try_from(moment.year()).ok() else {
        // Before our era; text takes what it is given.
        let _ = write!(out, "{at:.3}");
        return;
    };
    let parts = [
        (year, 4, '-'),
        (moment.month().unsigned_abs().into(), 2, '-'),
        (moment.day().unsigned_abs().into(), 2, 'T'),
        (moment.hour().unsigned_abs().into(), 2, ':'),
        (moment.minute().unsigned_abs().into(), 2, ':'),
        (moment.second().unsigned_abs().into(), 2, '.'),
        (moment.millisecond().unsigned_abs().into(), 3, 'Z'),
    ];
    for (number, digits, behind) in parts {
        let places = [1000, 100, 10, 1];
        for place in &places[places.len() - digits..] {
            out.push(char::from(b'0' + (number / place % 10) as u8));
        }
        out.push(behind);
    }
}

/// Milliseconds since the epoch, the form in which times are stored.
pub fn epoch_ms(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// The timestamp of stored milliseconds; values outside the calendar are held at its ends.
pub fn from_epoch_ms(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_with_milliseconds() {
        let at = from_epoch_ms(1_700_000_000_005);
        assert_eq!(rfc3339_ms(at), "2023-11-14T22:13:20.005Z");
        assert_eq!(epoch_ms(at), 1_700_000_000_005);
    }

    #[test]
    fn times_are_written_as_jiff_writes_them() {
        let nanos = [0, 1, 999_999, 1_000_000, 5_123_456, 999_999_999];
        let seconds = (-62_167_219_300..253_402_200_000).step_by(86_400 * 77 + 4_321);
        for (second, nanos) in seconds.zip(nanos.into_iter().cycle()) {
            let at = Timestamp::new(second, nanos).expect("within the calendar");
            assert_eq!(rfc3339_ms(at), format!("{at:.3}"));
        }
        for at in [Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH] {
            assert_eq!(rfc3339_ms(at), format!("{at:.3}"));
        }
    }

    #[test]
    fn the_wall_clock_can_jump_without_the_monotonic_one() {
        let clock = ManualClock::starting_at(from_epoch_ms(0));
        let before = clock.now();
        clock.set_wall(from_epoch_ms(3_600_000));
        assert_eq!(clock.now(), before);
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.now() - before, Duration::from_secs(1));
        assert_eq!(epoch_ms(clock.wall()), 3_601_000);
    }

    #[test]
    fn a_simulated_thread_sleeps_without_waiting() {
        let clock: SharedClock = Arc::new(ManualClock::starting_at(from_epoch_ms(0)));
        let (real, began) = (Instant::now(), clock.now());
        let simulated = Simulated::enter(clock);
        sleep(Duration::from_secs(3600));
        assert_eq!(now() - began, Duration::from_secs(3600));
        drop(simulated);
        assert!(now() - real < Duration::from_secs(3600));
    }
}
