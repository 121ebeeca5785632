//! What the database layer costs over bare rusqlite, and what group commit gains over it, on this machine's disk.
//!
//! `cargo bench --bench database` (`-- --quick` only checks that it runs; `-- breaker`, `reads` or `writes` runs that
//! part alone). Rounds of both sides take turns.

mod common;
mod permits;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mainstay::clock::SystemClock;
use mainstay::config::DatabaseSettings;
use mainstay::db::rusqlite::{Connection, params};
use mainstay::db::{Database, Effect, Migration, Operation, Options, Unobserved};
use rocket::tokio;

use common::{Extent, Table, cores, folder, median, quantile, ratio};

const CALLERS: usize = 64;
const ROWS: i64 = 1000;
const SELECT: &str = "SELECT n, body FROM rows WHERE id = ?1";
const INSERT: &str = "INSERT INTO rows (n, body) VALUES (?1, ?2)";
const SCHEMA: &str = "CREATE TABLE rows (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, body TEXT NOT NULL) STRICT";
const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "rows",
    sql: SCHEMA,
}];

type Row = (i64, String);

fn body() -> String {
    format!(
        r#"{{"title":"Groceries","text":"{}","done":false}}"#,
        "milk, bread ".repeat(12)
    )
}

fn main() {
    let extent = Extent::of_parts(&["breaker", "reads", "writes"]);
    let folder = folder();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let options = Options {
        name: "app",
        path: folder.path().join("bench.db"),
        application_id: 0x6265_6e63,
        migrations: MIGRATIONS,
        settings: DatabaseSettings::default(),
    };
    let db = Database::open(options, SystemClock::shared(), Arc::new(Unobserved)).expect("opens");
    println!(
        "Database layer against bare rusqlite in one run, on {} cores.\n",
        cores()
    );
    if extent.wants("breaker") {
        permits::compare(extent);
    }
    if extent.wants("reads") {
        runtime.block_on(reads(extent, &db));
    }
    if extent.wants("writes") {
        writes(extent, &runtime, &db);
    }
    db.close(Duration::from_secs(5));
}

fn row(row: &mainstay::db::rusqlite::Row<'_>) -> mainstay::db::rusqlite::Result<Row> {
    Ok((row.get(0)?, row.get(1)?))
}

/// One row by its key: the same statement on the same file, bare and through the layer.
async fn reads(extent: Extent, db: &Database) {
    let fill = |connection: &Connection| {
        let mut insert = connection.prepare_cached(INSERT)?;
        for n in 0..ROWS {
            insert.execute(params![n, body()])?;
        }
        Ok(Effect::Commit(()))
    };
    db.write(Operation::write("fill"), fill).await.expect("filled");
    let connection = Connection::open(db.path()).expect("opens");
    let mut statement = connection.prepare(SELECT).expect("prepares");
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    let calls = extent.pick(20_000_i64, 500);
    // The first round warms the pool and both caches.
    for round in 0..extent.pick(11, 2) {
        for call in 0..calls {
            let started = Instant::now();
            black_box(statement.query_row([call % ROWS + 1], row).expect("a row"));
            bare.push(nanoseconds(started));
        }
        for call in 0..calls {
            let started = Instant::now();
            let query = move |c: &Connection| c.prepare_cached(SELECT)?.query_row([call % ROWS + 1], row);
            black_box(db.read(Operation::point("row"), query).await.expect("a row"));
            ours.push(nanoseconds(started));
        }
        if round == 0 {
            bare.clear();
            ours.clear();
        }
    }
    let mut table = Table::new(&["read of one row", "p50 ns", "p99 ns", "added at p50", "ratio"]);
    let (bare50, ours50) = (quantile(&mut bare, 0.5), quantile(&mut ours, 0.5));
    let cells = |name: &str, samples: &mut [u32]| {
        vec![
            name.into(),
            quantile(samples, 0.5).to_string(),
            quantile(samples, 0.99).to_string(),
        ]
    };
    table.row([cells("bare rusqlite", &mut bare), vec![String::new(), String::new()]].concat());
    let added = format!("{} ns", i64::from(ours50) - i64::from(bare50));
    let times = format!("{:.2}", ratio(f64::from(ours50), f64::from(bare50)));
    table.row([cells("Database::read", &mut ours), vec![added, times]].concat());
    table.print();
}

fn nanoseconds(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_nanos()).unwrap_or(u32::MAX)
}

/// Durable writes: one commit for each against one commit for all who wait.
fn writes(extent: Extent, runtime: &tokio::runtime::Runtime, db: &Database) {
    let lasting = extent.pick(Duration::from_millis(1500), Duration::from_millis(150));
    let bare = Connection::open(db.path().with_file_name("bare.db")).expect("opens");
    bare.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
        .expect("set");
    bare.execute_batch("PRAGMA synchronous = FULL").expect("set");
    bare.execute_batch(SCHEMA).expect("made");
    let (mut each, mut grouped, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // The first round warms up.
    for round in 0..extent.pick(6, 2) {
        let one = commit_each(&bare, lasting);
        let all = runtime.block_on(commit_grouped(db, lasting));
        if round > 0 {
            each.push(one);
            grouped.push(all);
            ratios.push(ratio(all, one));
        }
    }
    let status = db.status().writer;
    let mut table = Table::new(&["durable writes (fsync before the answer)", "writes/s", "ratio"]);
    let of = |figures: &[f64]| format!("{:.0}", median(figures));
    table.row(vec![
        "bare rusqlite, one commit a write".into(),
        of(&each),
        String::new(),
    ]);
    let name = format!("Database::write, {CALLERS} callers");
    table.row(vec![name, of(&grouped), format!("{:.1}", median(&ratios))]);
    table.print();
    println!(
        "writes a commit: p50 {}; commit p50 {} ms",
        status.batch_size.p50, status.commit_ms.p50
    );
}

fn commit_each(connection: &Connection, lasting: Duration) -> f64 {
    let mut insert = connection.prepare(INSERT).expect("prepares");
    let body = body();
    let started = Instant::now();
    let mut written = 0_u64;
    while started.elapsed() < lasting {
        insert.execute(params![written as i64, body]).expect("written");
        written += 1;
    }
    written as f64 / started.elapsed().as_secs_f64()
}

async fn commit_grouped(db: &Database, lasting: Duration) -> f64 {
    let written = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let (db, written, body) = (db.clone(), Arc::clone(&written), body());
        callers.spawn(async move {
            while started.elapsed() < lasting {
                let body = body.clone();
                let insert = move |c: &Connection| {
                    c.prepare_cached(INSERT)?.execute(params![caller as i64, body])?;
                    Ok(Effect::Commit(()))
                };
                db.write(Operation::write("insert"), insert).await.expect("written");
                written.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.expect("no panic");
    }
    written.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64()
}
