//! What a read through the layer takes beside the same statement called bare, on the same file in the same run.
//!
//! What must stay true: both sides fetch the same rows into the same values; rounds of both sides take turns. The bare
//! side has its statement prepared once and for all; ours looks it up in its connection's cache, as every caller does.

use std::hint::black_box;
use std::time::Instant;

use mainstay::db::rusqlite::{self, Connection, Statement, params};
use mainstay::db::{Database, Effect, Operation};

use crate::common::{Extent, Table, quantile, ratio};
use crate::{INSERT, ROWS, body};

type Row = (i64, String);

/// A read that is measured.
#[derive(Clone, Copy)]
struct Read {
    name: &'static str,
    sql: &'static str,
    /// How many rows it gives.
    rows: i64,
    operation: Operation,
    /// Calls a round.
    calls: i64,
}

const BY_KEY: &str = "SELECT n, body FROM rows WHERE id = ?1";
const LIST: &str = "SELECT n, body FROM rows WHERE id >= ?1 ORDER BY id LIMIT ?2";
const READS: [Read; 4] = [
    Read {
        name: "one row",
        sql: BY_KEY,
        rows: 1,
        operation: Operation::point("row"),
        calls: 20_000,
    },
    Read {
        name: "10 rows",
        sql: LIST,
        rows: 10,
        operation: Operation::point("page"),
        calls: 5_000,
    },
    Read {
        name: "1,000 rows",
        sql: LIST,
        rows: 1000,
        operation: Operation::point("all"),
        calls: 200,
    },
    Read {
        name: "1,000 rows, on a reader thread",
        sql: LIST,
        rows: 1000,
        operation: Operation::scan("all"),
        calls: 200,
    },
];

impl Read {
    /// The first key of the call with this number.
    fn first(&self, call: i64) -> i64 {
        call % (ROWS - self.rows + 1) + 1
    }

    fn fetch(&self, statement: &mut Statement<'_>, first: i64) -> rusqlite::Result<Vec<Row>> {
        statement.query_map([first, self.rows], row)?.collect()
    }

    /// Both sides of one call in nanoseconds: bare, ours.
    async fn measure(self, extent: Extent, db: &Database, connection: &Connection) -> (Vec<u32>, Vec<u32>) {
        let mut statement = connection.prepare(self.sql).expect("prepares");
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        let calls = extent.pick(self.calls, self.calls / 40);
        // The first round warms the pool and both caches.
        for round in 0..extent.pick(16, 2) {
            for call in 0..calls {
                let first = self.first(call);
                let started = Instant::now();
                if self.rows == 1 {
                    black_box(statement.query_row([first], row).expect("a row"));
                } else {
                    black_box(self.fetch(&mut statement, first).expect("rows"));
                }
                bare.push(nanoseconds(started));
            }
            for call in 0..calls {
                let first = self.first(call);
                let started = Instant::now();
                if self.rows == 1 {
                    let query = move |c: &Connection| c.prepare_cached(self.sql)?.query_row([first], row);
                    black_box(db.read(self.operation, query).await.expect("a row"));
                } else {
                    let query = move |c: &Connection| self.fetch(&mut *c.prepare_cached(self.sql)?, first);
                    black_box(db.read(self.operation, query).await.expect("rows"));
                }
                ours.push(nanoseconds(started));
            }
            if round == 0 {
                bare.clear();
                ours.clear();
            }
        }
        (bare, ours)
    }
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok((row.get(0)?, row.get(1)?))
}

fn nanoseconds(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_nanos()).unwrap_or(u32::MAX)
}

/// Measures and prints.
pub async fn compare(extent: Extent, db: &Database) {
    let fill = |connection: &Connection| {
        let mut insert = connection.prepare_cached(INSERT)?;
        for n in 0..ROWS {
            insert.execute(params![n, body()])?;
        }
        Ok(Effect::Commit(()))
    };
    db.write(Operation::write("fill"), fill).await.expect("filled");
    let connection = Connection::open(db.path()).expect("opens");
    let headings = [
        "Database::read",
        "bare p50 ns",
        "p99",
        "p50 ns",
        "p99",
        "added at p50",
        "ratio",
    ];
    let mut table = Table::new(&headings);
    for read in READS {
        let (mut bare, mut ours) = read.measure(extent, db, &connection).await;
        let (bare50, ours50) = (quantile(&mut bare, 0.5), quantile(&mut ours, 0.5));
        table.row(vec![
            read.name.into(),
            bare50.to_string(),
            quantile(&mut bare, 0.99).to_string(),
            ours50.to_string(),
            quantile(&mut ours, 0.99).to_string(),
            format!("{} ns", i64::from(ours50) - i64::from(bare50)),
            format!("{:.2}", ratio(f64::from(ours50), f64::from(bare50))),
        ]);
    }
    table.print();
}
