//! How many readers may run at once (floor 1, pure): a limit that follows what the step times say.
//!
//! What must stay true: the limit stays within its bounds; it grows only while at least half of it is used and the
//! steps are no slower than usual; waiting is no part of a step, so that a queue can't make it grow; constant
//! timeouts and lasting overload only ever lower it. Called by the limiter under its lock: nothing here blocks.
//!
//! The idea of a limit that follows the gradient of the latency comes from Netflix's concurrency-limits. Theirs learns
//! its idea of "usual" also while overloaded, and so drifts up. Here the usual step only becomes shorter while the limit
//! is above its floor, save for a slow drift in windows that left half of it unused; at the floor, where crowding can't be the
//! cause, it is learned anew.

use std::time::{Duration, Instant};

/// Steps a window; the window's step is their median, which a few long scans don't move.
pub const WINDOW: usize = 50;
/// A window's step up to this many times the usual one is no sign of crowding.
const TOLERANCE: f64 = 1.5;
const DECREASE: f64 = 0.9;
const DECREASE_FOR_MEMORY: f64 = 0.5;
/// Operations that find no memory within this are one shortage, which has been answered already.
const ONE_SHORTAGE: Duration = Duration::from_secs(1);
/// How much of a window's step goes into the usual one: when it is shorter, at the floor, and otherwise.
const LEARN_SHORTER: f64 = 0.3;
const LEARN_AT_FLOOR: f64 = 0.2;
const LEARN_LONGER: f64 = 0.02;

/// Why the limit last moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// It is where it began.
    Start,
    /// The steps were as short as usual and the places were used.
    Grew,
    /// The steps became longer than usual.
    Slower,
    /// An operation ran out of time.
    TimedOut,
    /// There was no memory for more.
    OutOfMemory,
    /// Somebody set it.
    Set,
}

impl Moved {
    /// In words.
    pub const fn sentence(self) -> &'static str {
        match self {
            Moved::Start => "where it began",
            Moved::Grew => "steps were as short as usual and the places were used",
            Moved::Slower => "steps became longer than usual",
            Moved::TimedOut => "an operation ran out of time",
            Moved::OutOfMemory => "there was no memory for more",
            Moved::Set => "set by hand",
        }
    }
}

/// The limit and what it is learned from.
#[derive(Debug)]
pub struct Adaptive {
    limit: f64,
    min: u32,
    max: u32,
    enabled: bool,
    usual: Option<f64>,
    window: [f64; WINDOW],
    samples: usize,
    most_in_use: u32,
    lowered_at: Option<Instant>,
    short_at: Option<Instant>,
    moved: Moved,
}

impl Adaptive {
    /// Starts at `start`, within `min` to `max`; `min` is at least one and at most `max`.
    pub fn new(start: u32, min: u32, max: u32) -> Self {
        let min = min.max(1);
        let max = max.max(min);
        Self {
            limit: f64::from(start.clamp(min, max)),
            min,
            max,
            enabled: true,
            usual: None,
            window: [0.0; WINDOW],
            samples: 0,
            most_in_use: 0,
            lowered_at: None,
            short_at: None,
            moved: Moved::Start,
        }
    }

    /// The limit.
    pub fn limit(&self) -> u32 {
        self.limit as u32
    }

    /// Its bounds.
    pub fn bounds(&self) -> (u32, u32) {
        (self.min, self.max)
    }

    /// Whether it moves by itself.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Why it last moved.
    pub fn moved(&self) -> Moved {
        self.moved
    }

    /// How long a step usually takes; `None` before the first window is full.
    pub fn usual_step(&self) -> Option<Duration> {
        self.usual.map(Duration::from_secs_f64)
    }

    /// Sets the bounds, and pulls the limit into them.
    pub fn set_bounds(&mut self, min: u32, max: u32) {
        (self.min, self.max) = (min.max(1), max.max(min).max(1));
        self.set_limit(self.limit());
    }

    /// Sets the limit, within the bounds.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = f64::from(limit.clamp(self.min, self.max));
        self.moved = Moved::Set;
        self.begin_window();
    }

    /// Lets it move by itself, or holds it where it is.
    pub fn enable(&mut self, enabled: bool) {
        self.enabled = enabled;
        self.begin_window();
    }

    /// A step ended, while `in_use` operations ran (itself included).
    pub fn ended(&mut self, step: Duration, in_use: u32) {
        self.window[self.samples] = step.as_secs_f64();
        self.samples += 1;
        self.most_in_use = self.most_in_use.max(in_use);
        if self.samples == WINDOW {
            self.window_ended();
        }
    }

    /// A step that began at `began` was stopped at its deadline. Those that began before the limit was last lowered
    /// are part of the same overload, which has been answered already.
    pub fn timed_out(&mut self, began: Instant, now: Instant) {
        if self.lowered_at.is_none_or(|at| began >= at) {
            self.lower(Moved::TimedOut, DECREASE);
            self.lowered_at = Some(now);
            self.begin_window();
        }
    }

    /// A step found no memory. What several readers hold at once is what they could do without.
    pub fn out_of_memory(&mut self, now: Instant) {
        if self
            .short_at
            .is_none_or(|at| now.saturating_duration_since(at) >= ONE_SHORTAGE)
        {
            self.lower(Moved::OutOfMemory, DECREASE_FOR_MEMORY);
            self.short_at = Some(now);
            self.begin_window();
        }
    }

    fn begin_window(&mut self) {
        self.samples = 0;
        self.most_in_use = 0;
    }

    fn window_ended(&mut self) {
        let (_, median, _) = self.window.select_nth_unstable_by(WINDOW / 2, f64::total_cmp);
        let step = median.max(1e-9);
        let most_in_use = self.most_in_use;
        self.begin_window();
        let usual = *self.usual.get_or_insert(step);
        let was_used = f64::from(most_in_use) >= self.limit / 2.0;
        let is_slower = step > usual * TOLERANCE;
        let learn = match () {
            () if step < usual => LEARN_SHORTER,
            () if self.limit() <= self.min => LEARN_AT_FLOOR,
            // Only few ran at once, so crowding made none of them longer.
            () if !was_used => LEARN_LONGER,
            () => 0.0,
        };
        self.usual = Some(usual + (step - usual) * learn);
        if is_slower {
            self.lower(Moved::Slower, DECREASE);
        } else if was_used && self.enabled && self.limit() < self.max {
            self.limit = (self.limit + 1.0).min(f64::from(self.max));
            self.moved = Moved::Grew;
        }
    }

    fn lower(&mut self, why: Moved, to: f64) {
        if self.enabled && self.limit() > self.min {
            self.limit = (self.limit * to).max(f64::from(self.min));
            self.moved = why;
        }
    }
}

#[cfg(test)]
mod tests;
