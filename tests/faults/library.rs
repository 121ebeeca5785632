//! Faults inside an operation, which no route of the server can be made to commit: at the library, with nothing between
//! the test and `mainstay::db`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mainstay::clock::{Clock, SharedClock, SystemClock};
use mainstay::config::{BreakerSettings, DatabaseSettings, PoolSettings, RetrySettings};
use mainstay::db::classify::Told;
use mainstay::db::rusqlite::{self, Connection, ffi};
use mainstay::db::{Database, DbError, Effect, ErrorKind, Migration, Operation, Options, Unobserved};

const SCHEMA: &[Migration] = &[Migration {
    version: 1,
    name: "words",
    sql: "CREATE TABLE words(word TEXT PRIMARY KEY)",
}];
const WRITE: Operation = Operation::write("words.write");
const POINT: Operation = Operation::point("words.point");
const SCAN: Operation = Operation::scan("words.scan");

struct Bench {
    database: Database,
    _folder: tempfile::TempDir,
}

/// A database with two readers at most, and short delays.
fn bench() -> Bench {
    bench_by(SystemClock::shared(), Duration::from_secs(30))
}

fn bench_by(clock: SharedClock, open_for: Duration) -> Bench {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = DatabaseSettings {
        pool: PoolSettings {
            max: 2,
            min: 1,
            ..PoolSettings::default()
        },
        retry: RetrySettings {
            base_delay: Duration::from_millis(5),
            max_attempts: 5,
        },
        breaker: BreakerSettings { threshold: 5, open_for },
        ..DatabaseSettings::default()
    };
    let options = Options {
        name: "app",
        path: folder.path().join("app.db"),
        application_id: 7,
        migrations: SCHEMA,
        settings,
    };
    let database = Database::open(options, clock, Arc::new(Unobserved)).expect("opens");
    Bench {
        database,
        _folder: folder,
    }
}

fn insert(connection: &Connection, word: &str) -> rusqlite::Result<()> {
    connection
        .execute("INSERT INTO words(word) VALUES (?1)", [word])
        .map(drop)
}

impl Bench {
    async fn put(&self, word: &'static str) -> Result<(), DbError> {
        self.database
            .write(WRITE, move |c| insert(c, word).map(Effect::Commit))
            .await
    }

    async fn count(&self) -> Result<i64, DbError> {
        self.database
            .read(SCAN, |c| {
                c.query_row("SELECT count(*) FROM words", [], |row| row.get(0))
            })
            .await
    }

    fn assert_closed(&self) {
        for breaker in self.database.breakers() {
            assert_eq!(breaker.status().state, "CLOSED", "{:?}", breaker.status());
        }
    }
}

/// A write begins with `BEGIN IMMEDIATE`, so that SQLite itself has no reason to say so; a statement that says so all the
/// same has its whole transaction repeated.
#[tokio::test(flavor = "multi_thread")]
async fn fault_03_a_snapshot_conflict_restarts_the_transaction_and_has_one_effect() {
    let bench = bench();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let conflict = || rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY_SNAPSHOT), None);
    let written = bench.database.write(WRITE, move |c| {
        insert(c, "once")?;
        match counted.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => Err(conflict()),
            _ => Ok(Effect::Commit(())),
        }
    });
    written.await.expect("written");
    assert_eq!(runs.load(Ordering::Relaxed), 3);
    assert_eq!(bench.count().await, Ok(1));
    bench.assert_closed();
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_04_a_thousand_constraint_violations_leave_the_breaker_closed() {
    let bench = bench();
    bench.put("taken").await.expect("written");
    for _ in 0..1000 {
        let refused = bench.put("taken").await.expect_err("taken");
        assert_eq!(refused.kind, ErrorKind::Sqlite { code: 1555 });
        assert_eq!(refused.told(), Told::Conflict);
        assert!(refused.nothing_done());
    }
    bench.assert_closed();
    assert_eq!(bench.count().await, Ok(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_22_a_runaway_query_is_stopped_and_the_next_borrower_is_not() {
    const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    let limit = Duration::from_millis(300);
    let bench = bench();
    for _ in 0..3 {
        let began = Instant::now();
        let stopped = bench
            .database
            .read(SCAN.within(limit), |c| {
                c.query_row(ENDLESS, [], |row| row.get::<_, i64>(0))
            })
            .await
            .expect_err("endless");
        assert_eq!(stopped.told(), Told::TooLong);
        // 100 ms past the deadline; the rest is what a loaded machine may add.
        assert!(
            began.elapsed() >= limit && began.elapsed() < limit + Duration::from_millis(600),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(bench.count().await, Ok(0), "whoever gets its connection next");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_23_a_panic_in_a_transaction_is_rolled_back_and_costs_no_capacity() {
    let bench = bench();
    for _ in 0..10 {
        let written: Result<(), _> = bench
            .database
            .write(WRITE, |c| {
                insert(c, "half")?;
                panic!("in a write")
            })
            .await;
        assert_eq!(written.expect_err("panicked").kind, ErrorKind::Panicked);
        let read: Result<(), _> = bench
            .database
            .read(POINT, |c| {
                let _open = c.unchecked_transaction()?;
                panic!("in a read")
            })
            .await;
        assert_eq!(read.expect_err("panicked").kind, ErrorKind::Panicked);
    }
    assert_eq!(bench.count().await, Ok(0));
    bench.put("after").await.expect("written");
    // Both readers are there at once: neither answers before the other has begun.
    let barrier = Arc::new(std::sync::Barrier::new(2));
    let both = [Arc::clone(&barrier), barrier].map(|barrier| {
        bench.database.read(SCAN, move |c| {
            barrier.wait();
            c.query_row("SELECT count(*) FROM words", [], |row| row.get::<_, i64>(0))
        })
    });
    let [first, second] = both;
    assert_eq!(tokio::join!(first, second), (Ok(1), Ok(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_25_leaked_connections_shed_the_others_and_hang_nobody() {
    let bench = bench();
    let (release, held) = mpsc::channel::<()>();
    let held = Arc::new(parking_lot::Mutex::new(held));
    let (tell, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let leaks: Vec<_> = (0..2)
        .map(|_| {
            let (database, held, tell) = (bench.database.clone(), Arc::clone(&held), tell.clone());
            tokio::spawn(async move {
                let leak = move |_: &Connection| {
                    tell.send(()).expect("told");
                    // Until everything that can release is gone.
                    let _ = held.lock().recv();
                    Ok(())
                };
                database.read(SCAN.within(Duration::from_secs(60)), leak).await
            })
        })
        .collect();
    begun.recv().await.expect("begun");
    begun.recv().await.expect("begun");
    let began = Instant::now();
    let limit = Duration::from_millis(500);
    let count = |c: &Connection| c.query_row("SELECT count(*) FROM words", [], |row| row.get::<_, i64>(0));
    let shed = bench
        .database
        .read(SCAN.within(limit), count)
        .await
        .expect_err("no connection");
    assert_eq!(shed.kind, ErrorKind::PoolTimeout);
    assert!(
        began.elapsed() < limit + Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    bench.put("writes go on").await.expect("written");
    drop(release);
    for leak in leaks {
        // They were past nothing: a slow read is no error.
        leak.await.expect("no panic").expect("released");
    }
    assert_eq!(bench.count().await, Ok(1));
}

/// A clock whose wall time somebody sets; the monotonic time is the machine's.
#[derive(Default)]
struct SetClock(std::sync::atomic::AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::now() + jiff::SignedDuration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_29_a_wall_clock_that_jumps_an_hour_moves_no_timer() {
    const OPEN_FOR: Duration = Duration::from_millis(500);
    for jump in [-3600, 3600] {
        let clock = Arc::new(SetClock::default());
        let bench = bench_by(Arc::clone(&clock) as _, OPEN_FOR);
        let write_breaker = bench.database.breakers()[1];
        let full = || rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
        let opened = Instant::now();
        let refused = bench.database.write(WRITE, move |_| Err::<Effect<()>, _>(full())).await;
        assert_eq!(refused.expect_err("full").told(), Told::ReadOnly);
        assert_eq!(write_breaker.status().state, "OPEN");
        clock.0.store(jump, Ordering::Relaxed);
        while write_breaker.status().state != "CLOSED" {
            // Refused until its time has come, then the probes that close it.
            if bench.put("after").await.is_ok() {
                assert!(opened.elapsed() >= OPEN_FOR.mul_f64(0.9), "{:?}", opened.elapsed());
                bench.database.probe().await;
            }
            assert!(
                opened.elapsed() < Duration::from_secs(30),
                "{:?}",
                write_breaker.status()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
