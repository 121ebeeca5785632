//! What a simulation's callers read (floor 1, tests only).
//!
//! What must stay true: what was read is told to the model, with what was known when the read began; a failed read is
//! counted, and says nothing.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::entries::read_all;
use super::run::Run;
use super::scars;
use super::steps::shown;
use crate::db::{Database, DbError, Operation};

const GET: Operation = Operation::point("get");
const LIST: Operation = Operation::scan("list");

fn count_of(connection: &Connection, job: i64) -> rusqlite::Result<i64> {
    let sql = "SELECT count(*) FROM entry WHERE job = ?1";
    connection.prepare_cached(sql)?.query_row([job], |row| row.get(0))
}

fn failed_read(model: &super::model::Model) -> Result<(), String> {
    model.tally.borrow_mut().failed_reads += 1;
    Ok(())
}

impl Run {
    pub fn read_one(&self, database: &Database) {
        let Some(job) = self.model.some_job(self.world.below(1 << 30)) else {
            return;
        };
        let (database, model, world) = (database.clone(), Rc::clone(&self.model), Rc::clone(&self.world));
        let before = model.before();
        self.call(format!("read {job}"), None, Duration::from_secs(11), async move {
            let count = database.read(GET, move |c| scars::watch(c, |c| count_of(c, job)));
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

    pub fn read_all(&self, database: &Database) {
        let (database, model, world) = (database.clone(), Rc::clone(&self.model), Rc::clone(&self.world));
        let before = model.before();
        self.call("list".to_owned(), None, Duration::from_secs(11), async move {
            let all = database.read(LIST, |c| scars::watch(c, read_all)).await;
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
    pub fn run_away(&self, database: &Database) {
        let (database, world) = (database.clone(), Rc::clone(&self.world));
        let timeout = Duration::from_secs(1);
        self.call(
            "runaway".to_owned(),
            None,
            timeout + Duration::from_secs(1),
            async move {
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
            },
        );
    }

    /// A read that begins a transaction and forgets it: its connection would show everybody after it the past.
    pub fn leave_open(&self, database: &Database) {
        let database = database.clone();
        self.call("an open end".to_owned(), None, Duration::from_secs(11), async move {
            let read = database.read(GET, |c| {
                scars::watch(c, |c| c.execute_batch("BEGIN; SELECT job FROM floor")).map(|()| scars::mark(c))
            });
            drop(read.await);
        });
    }
}
