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
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::faults::End;
use super::model::{Model, Snapshot, Tally};
use super::world::{self, World};
use super::{steps, vfs};
use crate::clock::{self, Clock, Simulated};
use crate::config::DatabaseSettings;
use crate::db::{BreakerChange, Database, DbError, Migration, Observer, Options};

/// The database of every simulation; each has a disk of its own.
pub const PATH: &str = "/simulated/app.db";

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "entries",
        sql: "CREATE TABLE entry(job INTEGER NOT NULL, side INTEGER NOT NULL, filler BLOB NOT NULL);
              CREATE INDEX entry_job ON entry(job);
              CREATE TABLE only(one INTEGER PRIMARY KEY); INSERT INTO only VALUES (1);",
    },
    Migration {
        version: 2,
        name: "floor",
        sql: "CREATE TABLE floor(job INTEGER NOT NULL); INSERT INTO floor VALUES (0);",
    },
];

/// Watches the breakers keep to their states, and retries to their number.
#[derive(Default)]
pub struct Watcher {
    states: Mutex<BTreeMap<String, &'static str>>,
    transitions: AtomicU64,
}

impl Observer for Watcher {
    fn breaker_changed(&self, change: &BreakerChange) {
        self.transitions.fetch_add(1, Ordering::Relaxed);
        let Some(world) = world::current() else { return };
        world
            .trace
            .line(|| format!("{}: {} -> {} ({})", change.name, change.from, change.to, change.cause));
        let before = self
            .states
            .lock()
            .insert(change.name.clone(), change.to)
            // What it was kept as from the life before.
            .unwrap_or(change.from);
        let is_known = matches!(
            (change.from, change.to),
            ("CLOSED", "OPEN")
                | ("OPEN", "HALF_OPEN")
                | ("HALF_OPEN", "OPEN" | "CLOSED")
                | ("ISOLATED", "CLOSED" | "FORCED_OPEN" | "DISABLED")
        );
        let by_hand = change.from != "ISOLATED"
            && change.from != change.to
            && matches!(change.to, "ISOLATED" | "FORCED_OPEN" | "DISABLED" | "CLOSED")
            || change.from == change.to && matches!(change.to, "FORCED_OPEN" | "DISABLED");
        if before != change.from || !(is_known || by_hand) {
            world.fail(format!(
                "{} went from {} to {}, and was {before}",
                change.name, change.from, change.to
            ));
        }
    }

    fn retrying(&self, error: &DbError, attempt: u32, _delay: Duration) {
        let Some(world) = world::current() else { return };
        world.trace.line(|| format!("retry {attempt} after {error}"));
        if attempt >= DatabaseSettings::default().retry.max_attempts {
            world.fail(format!("attempt {attempt} is repeated"));
        }
    }
}

/// A run.
pub struct Run {
    pub world: Rc<World>,
    pub model: Rc<Model>,
    pub database: Option<Database>,
    /// Callers on their way: when they must have their answer, and what they asked.
    pub calls: Rc<RefCell<BTreeMap<u64, (Instant, String)>>>,
    pub names: Cell<u64>,
    /// Writes on their way, by job: the callers' numbers.
    pub writes: Rc<RefCell<BTreeMap<i64, u64>>>,
    observer: Arc<Watcher>,
}

/// A run that held.
pub struct Done {
    pub tally: Tally,
    pub hash: u64,
}

/// Everything, read on a connection that the layer knows nothing of.
fn look() -> rusqlite::Result<(String, Snapshot)> {
    let connection = rusqlite::Connection::open(PATH)?;
    let integrity = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    Ok((integrity, read_all(&connection)?))
}

/// Everything, in the transaction of the caller.
pub fn read_all(connection: &rusqlite::Connection) -> rusqlite::Result<Snapshot> {
    let floor = connection.query_row("SELECT job FROM floor", [], |row| row.get(0))?;
    let mut all = connection.prepare_cached("SELECT job, side FROM entry ORDER BY job, side")?;
    let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Snapshot {
        floor,
        rows: rows.collect::<rusqlite::Result<_>>()?,
    })
}

impl Run {
    fn new(seed: u64) -> Self {
        Self {
            world: World::new(seed),
            model: Rc::default(),
            database: None,
            calls: Rc::default(),
            names: Cell::new(0),
            writes: Rc::default(),
            observer: Arc::default(),
        }
    }

    pub fn check(&self, checked: Result<(), String>) {
        if let Err(what) = checked {
            self.world.fail(what);
        }
    }

    /// Starts a life. Faults may be on; then a start may fail, and the next one is tried without.
    pub fn open(&mut self) {
        for attempt in 0..2 {
            self.observer.states.lock().clear();
            let options = Options {
                name: "app",
                path: PathBuf::from(PATH),
                application_id: 0x5349_4d30,
                migrations: MIGRATIONS,
                settings: steps::settings(),
            };
            let clock: Arc<dyn Clock> = self.world.clock.clone();
            let opened = Database::open(options, clock, self.observer.clone());
            if self.world.ended().is_some() {
                drop(opened);
                return self.after_end();
            }
            match opened {
                Ok(database) => {
                    self.model.tally.borrow_mut().opens += 1;
                    if let Some(missing) = database.status().missing_commits {
                        self.world.fail(format!("a false alarm: {missing}"));
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
    fn verify(&self, still: bool) {
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
        self.writes.borrow_mut().clear();
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
        if let Some((_, (_, what))) = self.calls.borrow().first_key_value() {
            self.world.fail(format!("{what} has no answer after an orderly end"));
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
        for (limit, what) in self.calls.borrow().values() {
            if now > *limit {
                self.world
                    .fail(format!("{what} has no answer {:?} after its time", now - *limit));
            }
        }
        let Some(database) = &self.database else { return };
        let status = database.status();
        if status.retries.budget_left > 100 {
            self.world
                .fail(format!("the retry budget is {}", status.retries.budget_left));
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
        }
        if self.world.failure().is_none() {
            self.recover();
        }
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
    tally.transitions = run.observer.transitions.load(Ordering::Relaxed);
    tally.faults = world.disk.faults.struck.get();
    tally.virtual_seconds = world.clock.elapsed().as_secs();
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
            hash: world.trace.hash(),
        }),
    }
}
