//! What a simulation may do in a step (floor 1, tests only): callers come and go, the disk fails, time passes.
//!
//! What must stay true: each step is chosen by the world's generator alone; every caller's answer is told to the model.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::entries::{Kind, PATH, read_all, work};
use super::faults::End;
use super::run::Run;
use crate::clock;
use crate::config::DatabaseSettings;
use crate::db::{COMMIT_GRACE, Database, DbError, Effect, ErrorKind, Operation};

/// What an answer may take longer than its deadline: the slowest single call of the simulated disk, several times.
const SLACK: Duration = Duration::from_secs(3);
const PUT: Operation = Operation::write("put");
const GET: Operation = Operation::point("get");
const LIST: Operation = Operation::scan("list");

/// The defaults, with few readers so that they run out.
pub fn settings() -> DatabaseSettings {
    let mut settings = DatabaseSettings::default();
    settings.pool.max = 4;
    settings.pool.min = 1;
    settings
}

impl Run {
    /// Adds a caller who must have an answer within `limit` and the slack.
    pub fn call(&self, what: String, limit: Duration, caller: impl Future<Output = ()> + 'static) -> u64 {
        let (calls, name) = (Rc::clone(&self.calls), self.names.get() + 1);
        self.names.set(name);
        calls.borrow_mut().insert(name, (clock::now() + limit + SLACK, what));
        self.world.spawn(async move {
            caller.await;
            calls.borrow_mut().remove(&name);
        })
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
        let (database, model, world, writes) = (
            database.clone(),
            Rc::clone(&self.model),
            Rc::clone(&self.world),
            Rc::clone(&self.writes),
        );
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
            writes.borrow_mut().remove(&job);
            let told = match (&answer, kind) {
                (Ok(()), Kind::RollsBack) => model.rolled_back(job),
                (Ok(()), Kind::Conflicts | Kind::Panics) => Err(format!("job {job} can't have been committed")),
                (Ok(()), _) => model.acked(job),
                (Err(error), _) if error.nothing_done() => model.refused(job, &error.kind),
                (Err(_), _) => model.unknown(job),
            };
            told.unwrap_or_else(|what| world.fail(what));
        };
        let number = self.call(format!("write {job}"), timeout + COMMIT_GRACE, caller);
        self.writes.borrow_mut().insert(job, number);
    }

    fn trim(&self, database: &Database) {
        let floor = self.model.trim();
        self.world.trace.line(|| format!("trim below {floor}"));
        let (database, model, world) = (database.clone(), Rc::clone(&self.model), Rc::clone(&self.world));
        self.call(
            format!("trim {floor}"),
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

    fn read_one(&self, database: &Database) {
        let Some(job) = self.model.some_job(self.world.below(1 << 30)) else {
            return;
        };
        let (database, model, world) = (database.clone(), Rc::clone(&self.model), Rc::clone(&self.world));
        let before = model.before();
        self.call(format!("read {job}"), Duration::from_secs(11), async move {
            let sql = "SELECT count(*) FROM entry WHERE job = ?1";
            let count = database.read(GET, move |c| c.prepare_cached(sql)?.query_row([job], |row| row.get(0)));
            let count: Result<i64, DbError> = count.await;
            if world.ended().is_some() {
                return;
            }
            world
                .trace
                .line(|| format!("read {job}: {}", count.as_ref().map_or_else(shown, i64::to_string)));
            let seen = count.map_or_else(|_| failed_read(&model), |count| model.saw_one(before, job, count));
            seen.unwrap_or_else(|what| world.fail(what));
        });
    }

    fn read_all(&self, database: &Database) {
        let (database, model, world) = (database.clone(), Rc::clone(&self.model), Rc::clone(&self.world));
        let before = model.before();
        self.call("list".to_owned(), Duration::from_secs(11), async move {
            let all = database.read(LIST, read_all).await;
            if world.ended().is_some() {
                return;
            }
            world.trace.line(|| {
                format!(
                    "list: {}",
                    all.as_ref().map_or_else(shown, |s| format!("{} rows", s.rows.len()))
                )
            });
            let seen = all.map_or_else(|_| failed_read(&model), |all| model.saw_all(before, &all, false));
            seen.unwrap_or_else(|what| world.fail(what));
        });
    }

    /// A query without an end: only its deadline stops it.
    fn run_away(&self, database: &Database) {
        let (database, world) = (database.clone(), Rc::clone(&self.world));
        let timeout = Duration::from_secs(1);
        self.call("runaway".to_owned(), timeout + Duration::from_secs(1), async move {
            let clock = Arc::clone(&world.clock);
            let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
            let asked = database.read(LIST.within(timeout), move |c| {
                clock.set_look(Some(Duration::from_millis(20)));
                let answer = c.query_row(endless, [], |row| row.get::<_, i64>(0));
                clock.set_look(None);
                answer
            });
            let answer = asked.await;
            world
                .trace
                .line(|| format!("runaway: {}", answer.as_ref().map_or_else(shown, i64::to_string)));
            if answer.is_ok() {
                world.fail("an endless query came to its end");
            }
        });
    }

    fn leave(&self) {
        let chosen = self.world.below(4) as usize;
        let found = self
            .writes
            .borrow()
            .iter()
            .nth(chosen)
            .map(|(job, number)| (*job, *number));
        let Some((job, number)) = found else { return };
        if self.world.leave(number) {
            self.writes.borrow_mut().remove(&job);
            self.world.trace.line(|| format!("the caller of write {job} leaves"));
            self.model.left(job);
            self.calls
                .borrow_mut()
                .retain(|_, (_, what)| *what != format!("write {job}"));
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

fn shown(error: &DbError) -> String {
    match &error.kind {
        ErrorKind::PoolTimeout { .. } | ErrorKind::Panicked => format!("{:?}", error.kind),
        _ => error.to_string(),
    }
}

fn failed_read(model: &super::model::Model) -> Result<(), String> {
    model.tally.borrow_mut().failed_reads += 1;
    Ok(())
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
        480..485 => run.run_away(&database),
        485..515 => run.leave(),
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
        989..992 => {
            drop(database);
            run.recover();
        }
        _ if run.model.remembered() > 200 => run.trim(&database),
        _ => run.read_all(&database),
    }
}
