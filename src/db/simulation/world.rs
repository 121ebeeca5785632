//! The world of a simulation (floor 1, tests only): its time, its tasks, and who gets to run next.
//!
//! What must stay true: everything runs on one thread, and all that is left to chance comes from one seeded generator,
//! so that a seed always gives the same run. Whoever sleeps lets the others run meanwhile: callers are polled, reader
//! threads and the writer take turns, at the very points where threads would be interleaved.

mod turns;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::disk::Disk;
use super::faults::End;
use super::reckoning::Reckoning;
use super::time::SimClock;
use super::trace::Trace;
use crate::clock::Clock;
use crate::db::writer::Unattended;

thread_local! {
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

/// The world of this thread.
pub fn current() -> Option<Rc<World>> {
    WORLD.with_borrow(Clone::clone)
}

/// Enters a world, or leaves it.
pub fn install(world: Option<Rc<World>>) {
    WORLD.set(world);
}

/// The process ends here and now; what it does from here on reaches nobody.
pub fn end(end: End) {
    if let Some(world) = current() {
        world.end(end);
    }
}

type Caller = Pin<Box<dyn Future<Output = ()>>>;

/// The world.
pub struct World {
    pub clock: Arc<SimClock>,
    pub disk: Rc<Disk>,
    pub trace: Trace,
    pub reckoning: Reckoning,
    rng: RefCell<fastrand::Rng>,
    callers: RefCell<BTreeMap<u64, Option<Caller>>>,
    numbers: Cell<u64>,
    threads: RefCell<Vec<Box<dyn FnOnce()>>>,
    writer: RefCell<Option<Rc<Unattended>>>,
    is_writing: Cell<bool>,
    /// A caller is being polled: a read in place sleeps on the async worker, where no other thread has its stack.
    is_polling: Cell<bool>,
    depth: Cell<u32>,
    /// The earliest time that a waiting caller waits for.
    due: Cell<Option<Instant>>,
    foreign_until: Cell<Option<Instant>>,
    ended: Cell<Option<End>>,
    failure: RefCell<Option<String>>,
}

impl World {
    pub fn new(seed: u64) -> Rc<Self> {
        Rc::new(Self {
            clock: Arc::new(SimClock::new()),
            disk: Rc::default(),
            trace: Trace::new(seed),
            reckoning: Reckoning::default(),
            rng: RefCell::new(fastrand::Rng::with_seed(seed)),
            callers: RefCell::default(),
            numbers: Cell::new(0),
            threads: RefCell::default(),
            writer: RefCell::default(),
            is_writing: Cell::new(false),
            is_polling: Cell::new(false),
            depth: Cell::new(0),
            due: Cell::new(None),
            foreign_until: Cell::new(None),
            ended: Cell::new(None),
            failure: RefCell::default(),
        })
    }

    pub fn elapsed_ms(&self) -> i64 {
        self.clock.elapsed().as_millis() as i64
    }

    /// A number below `limit`.
    pub fn below(&self, limit: u64) -> u64 {
        self.rng.borrow_mut().u64(0..limit.max(1))
    }

    /// True once in `times`.
    pub fn once_in(&self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// What must not be. The first one counts.
    pub fn fail(&self, what: impl Into<String>) {
        let what = what.into();
        self.trace.line(|| format!("FAILED: {what}"));
        self.failure.borrow_mut().get_or_insert(what);
    }

    pub fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    pub fn ended(&self) -> Option<End> {
        self.ended.get()
    }

    /// The process ends: see [`Disk::kill`] and [`Disk::lose_power`].
    pub fn end(&self, end: End) {
        if self.ended.replace(Some(end)).is_some() {
            return;
        }
        self.trace.line(|| format!("the process ends: {end:?}"));
        match end {
            End::Killed => self.disk.kill(),
            End::PowerLost => self.disk.lose_power(&mut self.rng.borrow_mut()),
        }
    }

    /// Forgets the process that ended, so that the next one can begin.
    pub fn bury(&self) {
        let callers = std::mem::take(&mut *self.callers.borrow_mut());
        drop(callers);
        let threads = std::mem::take(&mut *self.threads.borrow_mut());
        drop(threads);
        drop(self.writer.take());
        self.foreign_until.set(None);
        self.is_writing.set(false);
        self.ended.set(None);
        self.disk.is_dark.set(false);
    }

    pub fn adopt(&self, writer: Unattended) {
        self.writer.replace(Some(Rc::new(writer)));
    }

    /// The writer, to be run to its end.
    pub fn writer(&self) -> Option<Rc<Unattended>> {
        self.writer.borrow().clone()
    }

    /// Adds a caller; its number lets it leave.
    pub fn spawn(&self, caller: impl Future<Output = ()> + 'static) -> u64 {
        self.numbers.set(self.numbers.get() + 1);
        let number = self.numbers.get();
        self.callers.borrow_mut().insert(number, Some(Box::pin(caller)));
        number
    }

    /// A caller leaves, if it is still there and not just running.
    pub fn leave(&self, number: u64) -> bool {
        let mut callers = self.callers.borrow_mut();
        let there = matches!(callers.get(&number), Some(Some(_)));
        let caller = if there { callers.remove(&number).flatten() } else { None };
        drop(callers);
        caller.is_some()
    }

    /// Adds work for a thread of its own.
    pub fn thread(&self, work: Box<dyn FnOnce()>) {
        self.threads.borrow_mut().push(work);
    }

    /// A waiting caller wants to be looked at by then.
    pub fn wanted_at(&self, at: Instant) {
        self.due.set(Some(self.due.get().map_or(at, |due| due.min(at))));
    }

    /// Another process holds these locks of the database's shared memory for a while.
    pub fn hold_foreign(&self, name: &str, mask: u8, span: Duration) -> bool {
        let Some(file) = self.disk.find(name) else { return false };
        let memory = Rc::clone(&file.borrow().memory);
        if !memory.is_free(mask) {
            return false;
        }
        memory.foreign.set(mask);
        self.foreign_until.set(Some(self.clock.now() + span));
        true
    }

    /// The other process lets go, when its time has come or `now`.
    pub fn release_foreign(&self, name: &str, now: bool) {
        let is_over = |until: Instant| now || self.clock.now() >= until;
        if self.foreign_until.get().is_some_and(is_over) {
            self.foreign_until.set(None);
            if let Some(file) = self.disk.find(name) {
                file.borrow().memory.foreign.set(0);
            }
        }
    }
}
