//! What the database layer costs over bare rusqlite, and what group commit gains over it, on this machine's disk.
//!
//! `cargo bench --bench database` (`-- --quick` only checks that it runs; `-- breaker`, `reads` or `writes` runs that
//! part alone). Rounds of both sides take turns.

mod common;
mod permits;
mod reads;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mainstay::clock::SystemClock;
use mainstay::config::DatabaseSettings;
use mainstay::db::rusqlite::{Connection, params};
use mainstay::db::{Database, Effect, Migration, Operation, Options, Unobserved};
use rocket::tokio;

use common::{Extent, Table, cores, folder, median, ratio};

const CALLERS: usize = 64;
const ROWS: i64 = 1000;
const INSERT: &str = "INSERT INTO rows (n, body) VALUES (?1, ?2)";
const SCHEMA: &str = "CREATE TABLE rows (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, body TEXT NOT NULL) STRICT";
const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "rows",
    sql: SCHEMA,
}];

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
        runtime.block_on(reads::compare(extent, &db));
    }
    if extent.wants("writes") {
        writes(extent, &runtime, &db);
    }
    db.close(Duration::from_secs(5));
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
