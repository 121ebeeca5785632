//! Who runs when (floor 1, tests only): turns of callers, threads and the writer, and the passing of time.
//!
//! What must stay true: whoever sleeps lets the others run as deep as the stack allows; time stops wherever somebody waits
//! for it.

use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::World;
use crate::clock::Clock;
use crate::db::simulation::entries::PATH;
use crate::db::{deadline, statements};

/// Deeper than this nobody else gets a turn while somebody sleeps.
const DEEPEST: u32 = 3;
/// Callers are looked after at any of these depths, so that they leave in time.
const DEEPEST_CALLERS: u32 = 8;

impl World {
    /// Polls every caller once, beginning anywhere; whether one came to its end.
    fn poll_callers(&self) -> bool {
        self.due.set(None);
        let mut numbers: Vec<u64> = self.callers.borrow().keys().copied().collect();
        let first = self.below(numbers.len() as u64) as usize;
        numbers.rotate_left(first);
        let mut ended = false;
        for number in numbers {
            let taken = self.callers.borrow_mut().get_mut(&number).and_then(Option::take);
            let Some(mut caller) = taken else { continue };
            let outer = self.is_polling.replace(true);
            let done = caller.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
            self.is_polling.set(outer);
            let mut callers = self.callers.borrow_mut();
            if done {
                callers.remove(&number);
            } else if let Some(place) = callers.get_mut(&number) {
                *place = Some(caller);
            }
            drop(callers);
            ended |= done;
            if self.ended.get().is_some() {
                break;
            }
        }
        ended
    }

    /// Gives one thread its turn; whether there was one.
    fn run_a_thread(&self) -> bool {
        let waiting = self.threads.borrow().len() as u64;
        let writer = if self.is_writing.get() { None } else { self.writer() };
        let choice = self.below(waiting + 1);
        if choice < waiting {
            let work = self.threads.borrow_mut().swap_remove(choice as usize);
            work();
            return true;
        }
        let Some(writer) = writer else { return false };
        self.is_writing.set(true);
        let worked = writer.turn();
        self.is_writing.set(false);
        worked
    }

    /// Everybody runs until all wait for time to pass.
    pub fn settle(&self) {
        for _ in 0..10_000 {
            let ended = self.poll_callers();
            let mut ran = self.run_a_thread();
            if !ran && !self.threads.borrow().is_empty() {
                ran = true; // The writer had nothing; the next round asks a thread.
            }
            if self.ended.get().is_some() || (!ended && !ran) {
                return;
            }
        }
        self.fail("nobody ever waits");
    }

    /// A single turn of somebody.
    pub fn turn(&self) {
        if self.below(2) == 0 {
            self.poll_callers();
        } else {
            self.run_a_thread();
        }
    }

    /// Lets time pass while everybody runs.
    pub fn advance(&self, span: Duration, database: &str) {
        let until = self.clock.now() + span;
        while self.ended.get().is_none() && self.failure.borrow().is_none() {
            self.release_foreign(database, false);
            self.settle();
            let now = self.clock.now();
            if now >= until {
                return;
            }
            self.pass(self.next(now, until) - now);
        }
    }

    fn pass(&self, span: Duration) {
        self.clock.pass(span);
    }

    /// Where time stops next on its way to `until`.
    fn next(&self, now: Instant, until: Instant) -> Instant {
        let due = self.due.get().into_iter().chain(self.foreign_until.get()).min();
        due.map_or(until, |due| due.max(now + Duration::from_micros(10)).min(until))
    }

    /// Somebody sleeps in the midst of a call: time passes, and as far as the stack allows, the others run.
    pub(in crate::db::simulation) fn sleep(&self, span: Duration) {
        let until = self.clock.now() + span;
        loop {
            self.release_foreign(PATH, false);
            let depth = self.depth.get();
            if self.ended.get().is_none() && depth < DEEPEST_CALLERS {
                self.depth.set(depth + 1);
                let others = || {
                    self.poll_callers();
                    if depth < DEEPEST && !self.is_polling.get() {
                        self.run_a_thread();
                    }
                };
                deadline::aside(|| statements::aside(others));
                self.depth.set(depth);
            } else {
                self.due.set(None);
            }
            let now = self.clock.now();
            if now >= until {
                return;
            }
            self.pass(self.next(now, until) - now);
        }
    }
}
