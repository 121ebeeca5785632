//! What a simulated database holds (floor 1, tests only): its schema, the jobs that write it, the looks that read it.
//!
//! What must stay true: a job's two rows are written by two statements, so that half a job can be told from a whole one.

use std::time::Duration;

use rusqlite::Connection;

use super::model::Snapshot;
use super::scars;
use crate::clock;
use crate::db::{Effect, Migration};

/// The database of every simulation; each has a disk of its own.
pub const PATH: &str = "/simulated/app.db";

/// Its schema.
pub const MIGRATIONS: &[Migration] = &[
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

/// What a job does besides writing its two rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Plain,
    Slow,
    Conflicts,
    Panics,
    RollsBack,
    Large,
    /// May run again after it was committed, and is declared so.
    Repeatable,
}

fn insert(connection: &Connection, job: i64, side: i64, bytes: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO entry(job, side, filler) VALUES (?1, ?2, zeroblob(?3))")?
        .execute((job, side, bytes))
        .map(drop)
}

fn is_there(connection: &Connection, job: i64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM entry WHERE job = ?1")?
        .exists([job])
}

/// Does a job.
pub fn work(connection: &Connection, job: i64, kind: Kind) -> rusqlite::Result<Effect<()>> {
    scars::watch(connection, |connection| do_job(connection, job, kind))
}

fn do_job(connection: &Connection, job: i64, kind: Kind) -> rusqlite::Result<Effect<()>> {
    let bytes = if kind == Kind::Large { 20_000 } else { 40 };
    if kind == Kind::Repeatable && is_there(connection, job)? {
        return Ok(Effect::Commit(()));
    }
    insert(connection, job, 0, bytes)?;
    match kind {
        Kind::Slow => clock::sleep(Duration::from_millis(300)),
        Kind::Conflicts => drop(connection.execute("INSERT INTO only VALUES (1)", [])?),
        Kind::Panics => {
            scars::mark(connection);
            // Without the panic hook, which would print each of them.
            std::panic::resume_unwind(Box::new("a job's own fault"))
        }
        _ => {}
    }
    insert(connection, job, 1, bytes)?;
    Ok(if kind == Kind::RollsBack {
        Effect::Rollback(())
    } else {
        Effect::Commit(())
    })
}

/// Everything, read on a connection that the layer knows nothing of.
pub fn look() -> rusqlite::Result<(String, Snapshot)> {
    let connection = Connection::open(PATH)?;
    let integrity = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    Ok((integrity, read_all(&connection)?))
}

/// Everything, in the transaction of the caller.
pub fn read_all(connection: &Connection) -> rusqlite::Result<Snapshot> {
    let floor = connection.query_row("SELECT job FROM floor", [], |row| row.get(0))?;
    let mut all = connection.prepare_cached("SELECT job, side FROM entry ORDER BY job, side")?;
    let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Snapshot {
        floor,
        rows: rows.collect::<rusqlite::Result<_>>()?,
    })
}
