//! Fault 33: SQLite runs out of memory: the workload of the sweep, over and over, with its Nth allocation failing, once and
//! then for good.
//!
//! What must stay true: nothing aborts or panics; what holds after a failed call to the storage holds here too. A file of
//! its own, because the allocator belongs to the whole process: one run at a time.
//!
//! N goes in random steps of `MAINSTAY_TEST_STEP` (100) on average, so that each run tries others; 1 tries all. The seed
//! is printed, and taken from `MAINSTAY_TEST_SEED`.

mod common;
mod vfs;
#[path = "sweep/workload.rs"]
mod workload;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use mainstay::clock::SystemClock;
use mainstay::db::rusqlite::{Connection, ffi};
use mainstay::db::{Database, DatabaseSettings, Effect, ErrorKind, Migration, Operation, Options, Unobserved};
use vfs::memory;
use workload::{Tally, run, verify};

/// One at a time: the allocator is everybody's.
static ALLOCATOR: Mutex<()> = Mutex::new(());

fn one_run(number: u64, times: u64) -> (u64, u64, Tally) {
    let folder = tempfile::tempdir().expect("a folder");
    memory::run_out(number, times);
    let done = run(folder.path());
    let (asked, failed) = memory::recover();
    (
        asked,
        failed,
        verify(folder.path(), done, &format!("allocation {number}, {times} failing")),
    )
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|value| value.parse().expect("a number"))
}

fn sweep(times: u64, random: &mut fastrand::Rng) {
    let step = number_from("MAINSTAY_TEST_STEP").unwrap_or(100);
    let began = Instant::now();
    let (undisturbed, _, _) = one_run(u64::MAX, times);
    let (mut number, mut runs, mut tally) = (0, 0_u64, Tally::new());
    loop {
        let (_, failed, outcomes) = one_run(number, times);
        runs += 1;
        outcomes
            .iter()
            .for_each(|(kind, count)| *tally.entry(kind).or_default() += count);
        if failed == 0 && number >= undisturbed {
            break;
        }
        number += random.u64(1..2 * step);
    }
    println!(
        "sweep of allocations ({}): {runs} runs, {undisturbed} allocations, {:.1} s; writes by outcome: {tally:?}",
        if times == 1 { "once" } else { "for good" },
        began.elapsed().as_secs_f64(),
    );
}

const FILL: Operation = Operation::write("filler.fill");
const SUM: Operation = Operation::scan("filler.sum");
const FILLER: &[Migration] = &[Migration {
    version: 1,
    name: "filler",
    sql: "CREATE TABLE filler(content BLOB)",
}];

#[test]
fn fault_33_what_caches_hold_is_given_back_and_fewer_are_let_in() {
    const MIB: i64 = 1 << 20;
    let _alone = ALLOCATOR.lock();
    vfs::install();
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        name: "app",
        path: folder.path().join("app.db"),
        application_id: 7,
        migrations: FILLER,
        settings: DatabaseSettings::default(),
    };
    let database = Database::open(options, SystemClock::shared(), Arc::new(Unobserved)).expect("opens");
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000)
                INSERT INTO filler SELECT randomblob(2000) FROM n";
    // SAFETY: it only reads a number.
    let used = || unsafe { ffi::sqlite3_memory_used() };
    let sum = |c: &Connection| {
        c.query_row(
            "SELECT sum(length(content) + (content > x'80')) FROM filler",
            [],
            |row| row.get::<_, i64>(0),
        )
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let filled = database.write(FILL, move |c| c.execute(fill, []).map(Effect::Commit));
        filled.await.expect("filled");
        let (a, b, c) = tokio::join!(
            database.read(SUM, sum),
            database.read(SUM, sum),
            database.read(SUM, sum)
        );
        assert!(a.is_ok() && b.is_ok() && c.is_ok());
        let (before, limit) = (used(), database.status().pool.limit);
        assert!(
            before > 3 * MIB && limit > 5,
            "{before} bytes in caches, {limit} readers"
        );
        memory::run_out(0, u64::MAX);
        let refused = database
            .read(SUM, |c| c.query_row("SELECT randomblob(1000000)", [], |_| Ok(())))
            .await;
        let (_, failed) = memory::recover();
        let error = refused.expect_err("there was no memory");
        assert!(failed > 0 && error.kind == ErrorKind::Sqlite { code: 7 }, "{error}");
        assert!(used() < before - 2 * MIB, "{before} bytes before, {} after", used());
        let pool = database.status().pool;
        assert_eq!(
            (pool.limit, pool.moved),
            ((limit / 2).max(5), "there was no memory for more")
        );
        database.read(SUM, sum).await.expect("it goes on");
    });
    database.close(std::time::Duration::from_secs(5));
}

#[test]
fn fault_33_any_allocation_fails_once_and_for_good() {
    let _alone = ALLOCATOR.lock();
    vfs::install();
    let seed = number_from("MAINSTAY_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for times in [1, u64::MAX] {
        sweep(times, &mut random);
    }
}
