//! What takes too long, at the library: it ends soon after its time, and whoever comes next notices nothing.

use std::time::{Duration, Instant};

use mainstay::db::classify::Told;
use mainstay::db::rusqlite::{self, Connection, ffi};
use mainstay::db::{Effect, ErrorKind};

use crate::library::{POINT, SCAN, WRITE, bench};

const LIMIT: Duration = Duration::from_millis(300);
/// What is promised: this much past the deadline at most.
const LATE: Duration = Duration::from_millis(100);
/// A loaded machine may add to some of so many runs; what the program itself adds, it adds to each.
const RUNS: usize = 5;

fn count(c: &Connection) -> rusqlite::Result<i64> {
    c.query_row("SELECT count(*) FROM words", [], |row| row.get(0))
}

fn endless(c: &Connection) -> rusqlite::Result<i64> {
    const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    c.query_row(ENDLESS, [], |row| row.get(0))
}

/// A bare count takes hardly a step of SQLite's machine, so that nothing is asked while it runs.
fn counts(c: &Connection) -> rusqlite::Result<i64> {
    loop {
        count(c)?;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_22_a_runaway_query_is_stopped_and_the_next_borrower_is_not() {
    const ROWS: i64 = 50_000;
    type Query = fn(&Connection) -> rusqlite::Result<i64>;
    let bench = bench();
    let fill = |c: &Connection| {
        let sql = "INSERT INTO words WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?1)
                   SELECT i || hex(zeroblob(100)) FROM n";
        c.execute(sql, [ROWS]).map(Effect::Commit)
    };
    bench.database.write(WRITE, fill).await.expect("filled");
    let queries: [(&str, Query); 2] = [("steps without end", endless), ("counts without steps", counts)];
    for (name, query) in queries {
        let mut best = Duration::MAX;
        for _ in 0..RUNS {
            let began = Instant::now();
            let stopped = bench.database.read(SCAN.within(LIMIT), query).await;
            let took = began.elapsed();
            assert_eq!(stopped.expect_err("endless").told(), Told::TooLong);
            assert!(took >= LIMIT, "{name}: {took:?}");
            best = best.min(took - LIMIT);
            assert_eq!(bench.count().await, Ok(ROWS), "whoever gets its connection next");
        }
        println!("{name}: stopped {best:?} after its deadline, the best of {RUNS}");
        assert!(best <= LATE, "{name}: {best:?}");
    }
    let stopped = bench
        .database
        .write(WRITE.within(LIMIT), |c| endless(c).map(Effect::Commit));
    assert_eq!(stopped.await.expect_err("endless").kind, ErrorKind::DeadlineExceeded);
    bench.put("the next write").await.expect("written");
}

/// Readers of this process are stopped at their deadline; readers of others can only be named, which
/// `tests/contention.rs` shows.
#[tokio::test(flavor = "multi_thread")]
async fn fault_21_a_reader_of_ours_is_named_and_stopped_at_its_limit_and_the_log_shrinks() {
    const LARGE: u64 = 64 << 20;
    const PIECE: u32 = 6 << 20;
    let bench = bench();
    bench.put("so that there is something to read").await.expect("written");
    let (begun, began) = tokio::sync::oneshot::channel();
    let begun = parking_lot::Mutex::new(Some(begun));
    let database = bench.database.clone();
    let pinned = tokio::spawn(async move {
        let query = move |c: &Connection| {
            count(c)?;
            if let Some(begun) = begun.lock().take() {
                begun.send(()).expect("somebody waits");
            }
            endless(c)
        };
        database.read(SCAN.within(Duration::from_secs(8)), query).await
    });
    began.await.expect("it has its snapshot");
    let log = || bench.database.status().wal;
    while log().bytes <= LARGE {
        let write = |c: &Connection| c.execute("INSERT INTO words VALUES (randomblob(?1))", [PIECE]);
        let written = bench.database.write(WRITE, move |c| write(c).map(Effect::Commit));
        written.await.expect("no writer waits for a reader");
    }
    while log().pinned_by.is_none() {
        assert!(!pinned.is_finished(), "named before its end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let named = log().pinned_by.expect("just seen");
    assert!(named.contains("words.scan") && named.contains("limits.rs:"), "{named}");
    let stopped = pinned.await.expect("no panic").expect_err("endless");
    assert_eq!(stopped.kind, ErrorKind::DeadlineExceeded);
    let until = Instant::now() + Duration::from_secs(30);
    while log().bytes >= LARGE {
        assert!(Instant::now() < until, "{:?}", log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_11_a_refusal_of_the_open_breaker_takes_less_than_a_millisecond() {
    let bench = bench();
    let broken = |_: &Connection| {
        let failed = ffi::Error::new(ffi::SQLITE_IOERR_READ);
        Err::<(), _>(rusqlite::Error::SqliteFailure(failed, None))
    };
    while bench.database.breakers()[0].status().state == "CLOSED" {
        bench.database.read(SCAN, broken).await.expect_err("broken");
    }
    let mut times = Vec::with_capacity(1000);
    for _ in 0..1000 {
        let began = Instant::now();
        let refused = bench.database.read(POINT, count).await.expect_err("open");
        times.push(began.elapsed());
        assert!(matches!(refused.kind, ErrorKind::CircuitOpen { .. }), "{refused}");
        assert!(refused.retry_after.is_some(), "{refused}");
    }
    times.sort();
    println!("refused in {:?} at the median, {:?} at most", times[500], times[999]);
    assert!(times[500] < Duration::from_millis(1), "{times:?}");
}
