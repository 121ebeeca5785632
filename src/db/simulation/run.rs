//! One run of the simulation (floor 1, tests only): lives of a process, one after the other, over one disk.
//!
//! What must stay true: a life ends with a kill, a power loss or an orderly close, and the next one must open what it
//! left; after each the whole file is checked by SQLite and against the model.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::entries::{MIGRATIONS, PATH, look};
use super::faults::End;
use super::model::Model;
use super::steps::{self, Call};
use super::tally::{Counts, Tally};
use super::vfs;
use super::watcher::Watcher;
use super::world::{self, World};
use crate::clock::{self, Clock, Simulated};
use crate::db::{Database, OpenError, Options};

/// A run.
pub struct Run {
    pub world: Rc<World>,
    pub model: Rc<Model>,
    pub database: Option<Database>,
    pub calls: Rc<RefCell<BTreeMap<u64, Call>>>,
    pub names: Cell<u64>,
    observer: Arc<Watcher>,
}

/// A run that held.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Done {
    pub tally: Tally,
    pub refusals: Counts,
    pub faults: Counts,
    /// The trace's hash after each step.
    pub steps: Vec<u64>,
}

impl Run {
    fn new(seed: u64) -> Self {
        Self {
            world: World::new(seed),
            model: Rc::default(),
            database: None,
            calls: Rc::default(),
            names: Cell::new(0),
            observer: Arc::default(),
        }
    }

    pub fn check(&self, checked: Result<(), String>) {
        if let Err(what) = checked {
            self.world.fail(what);
        }
    }

    /// One try to open the file.
    pub fn try_open(&self) -> Result<Database, OpenError> {
        self.observer.forget();
        self.world.reckoning.forget();
        let options = Options {
            name: "app",
            path: PathBuf::from(PATH),
            application_id: 0x5349_4d30,
            migrations: MIGRATIONS,
            settings: steps::settings(),
        };
        let clock: Arc<dyn Clock> = self.world.clock.clone();
        Database::open(options, clock, self.observer.clone())
    }

    /// Starts a life. Faults may be on; then a start may fail, and the next one is tried without.
    pub fn open(&mut self) {
        for attempt in 0..2 {
            let opened = self.try_open();
            if self.world.ended().is_some() {
                drop(opened);
                return self.after_end();
            }
            match opened {
                Ok(database) => {
                    self.model.tally.borrow_mut().opens += 1;
                    if let Some(missing) = database.status().missing_commits {
                        self.world
                            .fail(format!("told at a start, with nothing done to the files: {missing}"));
                    }
                    let watched = database.clone();
                    self.world.spawn(async move { watched.watch().await });
                    self.database = Some(database);
                    return;
                }
                Err(error) if attempt == 0 => {
                    self.world.trace.line(|| format!("open failed: {error}"));
                    self.model.tally.borrow_mut().failed_opens += 1;
                    self.world.bury();
                    self.world.disk.faults.lift();
                    self.world.release_foreign(PATH, true);
                }
                Err(error) => return self.world.fail(format!("can't be opened without a fault: {error}")),
            }
        }
    }

    /// What is there, with nothing on its way.
    pub fn verify(&self, still: bool) {
        let before = self.model.before();
        match look() {
            Ok((integrity, snapshot)) => {
                if integrity != "ok" {
                    self.world.fail(format!("integrity_check: {integrity}"));
                }
                self.check(self.model.saw_all(before, &snapshot, still));
            }
            Err(error) => self.world.fail(format!("can't be read without a fault: {error}")),
        }
    }

    /// The process has ended: the next one begins on what is left.
    pub fn after_end(&mut self) {
        let power_lost = self.world.ended() == Some(End::PowerLost);
        let mut tally = self.model.tally.borrow_mut();
        if power_lost {
            tally.power_losses += 1
        } else {
            tally.kills += 1
        }
        drop(tally);
        self.begin_anew(power_lost);
    }

    fn begin_anew(&mut self, power_lost: bool) {
        self.model.process_ended(power_lost);
        self.calls.borrow_mut().clear();
        let database = self.database.take();
        self.world.bury();
        drop(database);
        let keeps_faults = self.world.once_in(4);
        if !keeps_faults {
            self.world.disk.faults.lift();
        }
        self.open();
        if self.world.failure().is_none() && !keeps_faults {
            self.verify(true);
        }
    }

    /// An orderly end: whoever waits gets an answer.
    pub fn close(&mut self) {
        let Some(database) = self.database.clone() else { return };
        self.world.trace.line(|| "close".to_owned());
        database.close(Duration::from_secs(5));
        if let Some(writer) = self.world.writer() {
            writer.finish();
        }
        if self.world.ended().is_none() {
            self.world.advance(Duration::from_secs(13), PATH);
        }
        if self.world.ended().is_some() {
            drop(database);
            return self.after_end();
        }
        if let Some((_, call)) = self.calls.borrow().first_key_value() {
            self.world
                .fail(format!("{} has no answer after an orderly end", call.what));
        }
        drop(database);
        self.world.disk.kill();
        self.begin_anew(false);
    }

    /// Everything works again: it must come back by itself.
    pub fn recover(&mut self) {
        self.world.trace.line(|| "all faults are lifted".to_owned());
        self.world.disk.faults.lift();
        self.world.release_foreign(PATH, true);
        let Some(database) = self.database.clone() else { return };
        // An escalated breaker stays open for up to 5 minutes and 10 per cent.
        for _ in 0..200 {
            // What was set by hand on an isolated file comes into force after its verification.
            for breaker in database.breakers() {
                if matches!(breaker.status().state, "FORCED_OPEN" | "DISABLED") {
                    breaker.reset("end of the exercise", None);
                }
            }
            self.world.advance(Duration::from_secs(2), PATH);
            let status = database.status();
            let is_idle = status.writer.queued == 0 && status.pool.in_use == 0 && status.pool.waiting == 0;
            if status.is_healthy() && is_idle && self.calls.borrow().is_empty() {
                self.model.tally.borrow_mut().recoveries += 1;
                drop(database);
                return self.verify(true);
            }
            if self.world.failure().is_some() {
                return;
            }
        }
        let status = database.status();
        self.world.fail(format!(
            "doesn't come back: {:?} {:?} {:?}",
            status.breakers, status.probe, status.writer.queued
        ));
    }

    /// What must hold after every step.
    fn hold(&self) {
        let now = clock::now();
        for Call { until, what, .. } in self.calls.borrow().values() {
            if now > *until {
                self.world
                    .fail(format!("{what} has no answer {:?} after its time", now - *until));
            }
        }
        let Some(database) = &self.database else { return };
        let status = database.status();
        if status.retries.budget_left > 100 {
            self.world
                .fail(format!("the retry budget is {}", status.retries.budget_left));
        }
        for breaker in database.breakers() {
            self.check(self.world.reckoning.holds(breaker));
        }
        if status.pool.in_use > status.pool.limit || status.pool.open > status.pool.max {
            self.world.fail(format!("more readers than allowed: {:?}", status.pool));
        }
    }

    fn steps(&mut self, steps: u64) {
        self.open();
        for step in 0..steps {
            if self.world.failure().is_some() {
                return;
            }
            self.world
                .trace
                .line(|| format!("step {step} at {} ms", self.world.elapsed_ms()));
            steps::step(self);
            if self.world.ended().is_some() {
                self.after_end();
            }
            self.hold();
            self.world.trace.step();
        }
        if self.world.failure().is_none() {
            self.recover();
        }
        if self.world.failure().is_none() {
            self.rot();
        }
        self.world.trace.step();
    }
}

/// Runs a seed.
///
/// # Errors
/// What failed, and what happened before.
pub fn run(seed: u64, steps: u64) -> Result<Done, String> {
    fastrand::seed(seed);
    let mut run = Run::new(seed);
    let world = Rc::clone(&run.world);
    let _time = Simulated::enter(world.clock.clone());
    vfs::install(Some(Rc::clone(&world.disk)));
    world::install(Some(Rc::clone(&world)));
    let ran = catch_unwind(AssertUnwindSafe(|| run.steps(steps)));
    if let Err(panic) = &ran {
        world.fail(format!("panicked: {}", crate::db::panic_text::panic_text(&**panic)));
    }
    let mut tally = *run.model.tally.borrow();
    tally.transitions = run.observer.transitions();
    tally.virtual_seconds = world.clock.elapsed().as_secs();
    let refusals = run.model.refusals.borrow().clone();
    let faults = world.disk.faults.struck.borrow().clone();
    // From here on nothing gets a turn any more.
    world.end(End::Killed);
    run.database = None;
    world.bury();
    drop(run);
    world::install(None);
    vfs::install(None);
    match world.failure() {
        Some(what) => Err(format!("{what}\n{}", world.trace.last())),
        None => Ok(Done {
            tally,
            refusals,
            faults,
            steps: world.trace.steps(),
        }),
    }
}
