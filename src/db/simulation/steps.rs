//! What a simulation may do in a step (floor 1, tests only): callers come and go, the disk fails, time passes.
//!
//! What must stay true: each step is chosen by the world's generator alone; every caller's answer is told to the model.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::entries::{Kind, PATH, work};
use super::faults::End;
use super::run::Run;
use crate::clock;
use crate::config::DatabaseSettings;
use crate::db::{COMMIT_GRACE, Database, DbError, Effect, ErrorKind, Operation};

/// What an answer may take longer than its deadline: the slowest single call of the simulated disk, several times.
const SLACK: Duration = Duration::from_secs(3);
const PUT: Operation = Operation::write("put");

/// A caller on its way.
pub struct Call {
    /// When it must have its answer.
    pub until: Instant,
    /// What it asked.
    pub what: String,
    /// The job that it wants done.
    pub job: Option<i64>,
    /// Its number in the world.
    pub caller: u64,
}

/// The defaults, with few readers so that they run out.
pub fn settings() -> DatabaseSettings {
    let mut settings = DatabaseSettings::default();
    settings.pool.max = 4;
    settings.pool.min = 1;
    settings
}

impl Run {
    /// Adds a caller who must have an answer within `limit` and the slack, and who may want this job done.
    pub fn call(&self, what: String, job: Option<i64>, limit: Duration, caller: impl Future<Output = ()> + 'static) {
        let (calls, name) = (Rc::clone(&self.calls), self.names.get() + 1);
        self.names.set(name);
        let until = clock::now() + limit + SLACK;
        let caller = self.world.spawn(async move {
            caller.await;
            calls.borrow_mut().remove(&name);
        });
        self.calls.borrow_mut().insert(
            name,
            Call {
                until,
                what,
                job,
                caller,
            },
        );
    }

    pub fn write(&self, database: &Database) {
        let kind = match self.world.below(20) {
            0 => Kind::Slow,
            1 | 2 => Kind::Conflicts,
            3 => Kind::Panics,
            4 => Kind::RollsBack,
            5 => Kind::Large,
            6 | 7 => Kind::Repeatable,
            _ => Kind::Plain,
        };
        let job = self.model.begin();
        let timeout = Duration::from_millis([10_000, 10_000, 2_000, 200][self.world.below(4) as usize]);
        self.world
            .trace
            .line(|| format!("write {job} {kind:?} within {timeout:?}"));
        let (database, model, world) = (database.clone(), Rc::clone(&self.model), Rc::clone(&self.world));
        let caller = async move {
            let operation = if kind == Kind::Repeatable {
                PUT.idempotent()
            } else {
                PUT
            };
            let answer = database
                .write(operation.within(timeout), move |c| work(c, job, kind))
                .await;
            if world.ended().is_some() {
                return;
            }
            world.trace.line(|| {
                format!(
                    "write {job}: {}",
                    answer.as_ref().map_or_else(shown, |()| "ok".to_owned())
                )
            });
            let told = match (&answer, kind) {
                (Ok(()), Kind::RollsBack) => model.rolled_back(job),
                (Ok(()), Kind::Conflicts | Kind::Panics) => Err(format!("job {job} can't have been committed")),
                (Ok(()), _) => model.acked(job),
                (Err(error), _) if error.nothing_done() => model.refused(job, &error.kind),
                (Err(_), _) => model.unknown(job),
            };
            told.unwrap_or_else(|what| world.fail(what));
        };
        self.call(format!("write {job}"), Some(job), timeout + COMMIT_GRACE, caller);
    }

    fn trim(&self, database: &Database) {
        let floor = self.model.trim();
        self.world.trace.line(|| format!("trim below {floor}"));
        let (database, model, world) = (database.clone(), Rc::clone(&self.model), Rc::clone(&self.world));
        self.call(
            format!("trim {floor}"),
            None,
            Duration::from_secs(10) + COMMIT_GRACE,
            async move {
                let trimmed = database.write(Operation::write("trim"), move |c| {
                    c.execute("DELETE FROM entry WHERE job < ?1", [floor])?;
                    c.execute("UPDATE floor SET job = ?1", [floor])?;
                    Ok(Effect::Commit(()))
                });
                if trimmed.await.is_ok() && world.ended().is_none() {
                    model.trimmed(floor);
                }
            },
        );
    }

    /// A caller on its way leaves: what it held is given back, and what it asked for may still be done.
    fn leave(&self) {
        let chosen = self.world.below(8) as usize;
        let found = self
            .calls
            .borrow()
            .iter()
            .nth(chosen)
            .map(|(name, call)| (*name, call.caller));
        let Some((name, caller)) = found else { return };
        if !self.world.leave(caller) {
            return;
        }
        let Some(call) = self.calls.borrow_mut().remove(&name) else {
            return;
        };
        self.world.trace.line(|| format!("the caller of {} leaves", call.what));
        if let Some(job) = call.job {
            self.model.left(job);
        }
    }

    fn pass_time(&self) {
        let most = match self.world.below(100) {
            0..60 => 5,
            60..85 => 100,
            85..97 => 3_000,
            _ => 40_000,
        };
        self.world
            .advance(Duration::from_millis(1 + self.world.below(most)), PATH);
    }
}

pub fn shown(error: &DbError) -> String {
    match &error.kind {
        ErrorKind::PoolTimeout { .. } | ErrorKind::Panicked => format!("{:?}", error.kind),
        _ => error.to_string(),
    }
}

/// One step.
pub fn step(run: &mut Run) {
    let Some(database) = run.database.clone() else { return };
    let world = Rc::clone(&run.world);
    match world.below(1000) {
        0..220 => run.write(&database),
        220..250 => run.write_once(&database),
        250..290 => (0..2 + world.below(6)).for_each(|_| run.write(&database)),
        290..430 => run.read_one(&database),
        430..480 => run.read_all(&database),
        480..484 => run.run_away(&database),
        484..487 => run.leave_open(&database),
        487..515 => run.leave(),
        515..700 => world.turn(),
        700..930 => run.pass_time(),
        930..955 => run.break_something(),
        955..965 => world.disk.faults.lift(),
        965..972 => run.lock_from_outside(),
        972..975 => {
            let used = world.disk.used();
            world.disk.faults.capacity.set(used + world.below(100_000) as usize);
        }
        975..978 => run.by_hand(&database),
        978..983 => {
            let end = if world.once_in(2) { End::PowerLost } else { End::Killed };
            world.disk.faults.plan_end(world.below(40) as u32, end);
        }
        983..986 => world.end(if world.once_in(2) { End::PowerLost } else { End::Killed }),
        986..988 => {
            drop(database);
            run.close();
        }
        988 => run.vanish(&database),
        989 => run.displace(&database),
        990..993 => {
            drop(database);
            run.recover();
        }
        _ if run.model.remembered() > 200 => run.trim(&database),
        _ => run.read_all(&database),
    }
}
