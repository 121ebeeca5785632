//! SQLite's own error log (floor 1): what it notes for people, such as a log that was recovered or the system's error
//! behind a failed call, goes to `tracing`. <https://sqlite.org/errlog.html>
//!
//! What must stay true: SQLite calls in the middle of its work and may hold its locks, so nothing here calls SQLite,
//! waits, or comes back to itself; a storm of the same trouble is counted, not written line by line; the texts may quote
//! statements, so they go to the log and to nobody else. Installed by the command line before SQLite is first used.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::classify::{Gravity, Impact, classify};

/// Lines in each [`SPAN`]; what goes beyond is counted.
const MOST_LINES: u32 = 20;
const SPAN: Duration = Duration::from_secs(10);
/// Characters of a text: it may quote a whole statement.
const MOST_CHARACTERS: usize = 500;

static SLUICE: Mutex<Sluice> = Mutex::new(Sluice::new());

/// Sends SQLite's own error log to `tracing`, from now on and for the whole process: notices as info, warnings and
/// errors by their weight, and what every operation tells by itself (a lock, a constraint, a cancellation) as debug; at
/// most 20 lines in 10 s, and how many were left out. Gives `false` when SQLite is in use already, which it refuses then.
///
/// # Safety
/// No other thread may use SQLite meanwhile. The `tracing` subscriber must never use SQLite in the thread that logs.
pub unsafe fn log_notices() -> bool {
    // SAFETY: nobody else uses SQLite, as the caller promises. The callback may run on many threads at once, and calls
    // nothing of SQLite's.
    unsafe { rusqlite::trace::config_log(Some(noted)) }.is_ok()
}

/// Tells how many lines were left out of a storm that has simply ended; to be called every second or so. Never waits.
pub fn sum_up_notices() {
    let left_out = SLUICE.try_lock().map_or(0, |mut sluice| sluice.sum_up(Instant::now()));
    if left_out > 0 {
        tracing::warn!(left_out, "SQLite noted more than is written");
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

fn level_of(code: i32) -> Level {
    let class = classify(code);
    match (code & 0xff, class.impact, class.gravity) {
        (27, ..) => Level::Info,
        (28, ..) => Level::Warn,
        (_, Impact::LockBudget, _) | (_, _, Gravity::Low | Gravity::Medium) => Level::Debug,
        (_, _, Gravity::High) => Level::Warn,
        (_, _, Gravity::Critical) => Level::Error,
    }
}

fn noted(code: i32, text: &str) {
    let level = level_of(code);
    let name = classify(code).name;
    let text = shown(text);
    if level == Level::Debug {
        // Written only by somebody who asked for it.
        return tracing::debug!(code, name, text, "SQLite notes");
    }
    // Taken means that another thread is about to write a line, or this one further up: nobody waits here.
    let passed = SLUICE.try_lock().and_then(|mut sluice| sluice.pass(Instant::now()));
    let Some(left_out) = passed else { return };
    if left_out > 0 {
        tracing::warn!(left_out, "SQLite noted more than is written");
    }
    match level {
        Level::Error => tracing::error!(code, name, text, "SQLite notes"),
        Level::Warn => tracing::warn!(code, name, text, "SQLite notes"),
        _ => tracing::info!(code, name, text, "SQLite notes"),
    }
}

/// On one line, whatever a statement quotes.
fn shown(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(MOST_CHARACTERS).map(visible).collect()
}

/// Lets so many lines through in each span.
struct Sluice {
    began: Option<Instant>,
    passed: u32,
    left_out: u64,
}

impl Sluice {
    const fn new() -> Self {
        Self {
            began: None,
            passed: 0,
            left_out: 0,
        }
    }

    /// Whether a line may be written, and how many were left out since the last that was.
    fn pass(&mut self, now: Instant) -> Option<u64> {
        if self
            .began
            .is_none_or(|began| now.saturating_duration_since(began) >= SPAN)
        {
            (self.began, self.passed) = (Some(now), 0);
        }
        if self.passed == MOST_LINES {
            self.left_out += 1;
            return None;
        }
        self.passed += 1;
        Some(std::mem::take(&mut self.left_out))
    }

    /// How many lines were left out in a span that is over, and were not told yet.
    fn sum_up(&mut self, now: Instant) -> u64 {
        let is_over = self
            .began
            .is_some_and(|began| now.saturating_duration_since(began) >= SPAN);
        if is_over { std::mem::take(&mut self.left_out) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_counted_and_told_afterwards() {
        let mut sluice = Sluice::new();
        let now = Instant::now();
        let passed = (0..1000).filter(|_| sluice.pass(now).is_some()).count();
        assert_eq!(passed, MOST_LINES as usize);
        assert_eq!(sluice.pass(now + SPAN / 2), None);
        assert_eq!(sluice.pass(now + SPAN), Some(1001 - u64::from(MOST_LINES)));
        assert_eq!(sluice.pass(now + SPAN), Some(0));
    }

    #[test]
    fn a_storm_that_simply_ends_is_summed_up_once() {
        let mut sluice = Sluice::new();
        let now = Instant::now();
        let passed = (0..100).filter(|_| sluice.pass(now).is_some()).count();
        assert_eq!(passed, MOST_LINES as usize);
        assert_eq!(sluice.sum_up(now + SPAN / 2), 0, "it may go on");
        assert_eq!(sluice.sum_up(now + SPAN), u64::from(100 - MOST_LINES));
        assert_eq!(sluice.sum_up(now + SPAN * 2), 0);
    }

    #[test]
    fn the_code_decides_the_level() {
        for (code, level) in [
            (283, Level::Info),
            (284, Level::Warn),
            (11, Level::Error),
            (13, Level::Error),
            (7, Level::Error),
            (14, Level::Warn),
            (778, Level::Warn),
            (1, Level::Warn),
            (5, Level::Debug),
            (2067, Level::Debug),
            (9, Level::Debug),
            (17, Level::Debug),
        ] {
            assert_eq!(level_of(code), level, "{code}");
        }
    }

    #[test]
    fn a_text_stays_one_line_of_bounded_length() {
        let text = shown(&format!("one\n{}", "x".repeat(10_000)));
        assert!(text.starts_with("one x") && text.chars().count() == MOST_CHARACTERS);
    }
}
