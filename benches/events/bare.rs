//! What batch ingest is measured against: a loop of rusqlite that writes the same rows, 256 to a transaction, into the same
//! table with the same indexes, each commit synced; it parses, groups, counts and indexes nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use mainstay::db::rusqlite::types::Value;
use mainstay::db::rusqlite::{Connection, params_from_iter};

const ROWS_A_COMMIT: usize = 256;

/// Rows a second of copying the events of `file` into a new table beside it, which is removed again.
pub fn rows_per_second(file: &Path) -> f64 {
    let source = Connection::open(file).expect("opens");
    let mut read = source.prepare("SELECT * FROM events ORDER BY at").expect("prepares");
    let columns = read.column_count();
    let beside = tempfile::tempdir_in(file.parent().expect("a folder")).expect("a folder");
    let target = Connection::open(beside.path().join("bare.db")).expect("opens");
    let pragma = |sql: &str| {
        target.query_row(sql, [], |_| Ok(())).or_else(|e| match e {
            mainstay::db::rusqlite::Error::QueryReturnedNoRows => Ok(()),
            other => Err(other),
        })
    };
    pragma("PRAGMA journal_mode = WAL").expect("set");
    pragma("PRAGMA synchronous = FULL").expect("set");
    let mut schema = source
        .prepare("SELECT sql FROM sqlite_schema WHERE tbl_name = 'events' AND type IN ('table', 'index') AND sql IS NOT NULL")
        .expect("prepares");
    let schema: Vec<String> = schema
        .query_map([], |row| row.get(0))
        .and_then(Iterator::collect)
        .expect("read");
    schema.iter().for_each(|sql| target.execute_batch(sql).expect("made"));
    let places = vec!["?"; columns].join(", ");
    let mut insert = target
        .prepare(&format!("INSERT INTO events VALUES ({places})"))
        .expect("prepares");
    let mut rows = read.query([]).expect("read");
    let (mut written, mut spent) = (0_u32, Duration::ZERO);
    loop {
        // Read apart from the clock, and never more than one transaction's rows in memory.
        let mut batch: Vec<Vec<Value>> = Vec::with_capacity(ROWS_A_COMMIT);
        while batch.len() < ROWS_A_COMMIT
            && let Some(row) = rows.next().expect("read")
        {
            batch.push(
                (0..columns)
                    .map(|n| row.get(n))
                    .collect::<Result<_, _>>()
                    .expect("read"),
            );
        }
        if batch.is_empty() {
            return f64::from(written) / spent.as_secs_f64();
        }
        let started = Instant::now();
        target.execute_batch("BEGIN IMMEDIATE").expect("begun");
        for row in &batch {
            insert.execute(params_from_iter(row)).expect("written");
        }
        target.execute_batch("COMMIT").expect("committed");
        spent += started.elapsed();
        written += batch.len() as u32;
    }
}
