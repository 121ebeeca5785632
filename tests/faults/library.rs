//! Faults inside an operation, which no route of the server can be made to commit: at the library, with nothing between
//! the test and `mainstay::db`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mainstay::clock::{Clock, SharedClock, SystemClock};
use mainstay::config::{BreakerSettings, DatabaseSettings, OperationSettings, PoolSettings, RetrySettings};
use mainstay::db::classify::Told;
use mainstay::db::rusqlite::{self, Connection, ffi};
use mainstay::db::{Database, DbError, Effect, ErrorKind, Migration, Operation, Options, Unobserved};

const SCHEMA: &[Migration] = &[Migration {
    version: 1,
    name: "words",
    sql: "CREATE TABLE words(word TEXT PRIMARY KEY)",
}];
pub const WRITE: Operation = Operation::write("words.write");
pub const POINT: Operation = Operation::point("words.point");
pub const SCAN: Operation = Operation::scan("words.scan");

pub struct Bench {
    pub database: Database,
    _folder: tempfile::TempDir,
}

/// A database with two readers at most, and short delays.
pub fn bench() -> Bench {
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
        operation: OperationSettings {
            lock_timeout: Duration::from_millis(100),
            ..OperationSettings::default()
        },
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

/// As SQLite itself would say it.
fn failure(code: i32) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
}

impl Bench {
    /// Another party's connection to the same file.
    fn other_party(&self) -> Connection {
        Connection::open(self.database.path()).expect("opens")
    }

    pub async fn put(&self, word: &'static str) -> Result<(), DbError> {
        self.database
            .write(WRITE, move |c| insert(c, word).map(Effect::Commit))
            .await
    }

    pub async fn count(&self) -> Result<i64, DbError> {
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
/// same has its whole transaction repeated. What it says here is what another connection was told for real.
#[tokio::test(flavor = "multi_thread")]
async fn fault_03_a_snapshot_conflict_restarts_the_transaction_and_has_one_effect() {
    let bench = bench();
    let other = bench.other_party();
    other
        .execute_batch("BEGIN; SELECT count(*) FROM words")
        .expect("a snapshot");
    bench.put("newer than the snapshot").await.expect("written");
    let conflicts: Vec<_> = (0..2)
        .map(|_| insert(&other, "stale").expect_err("its snapshot is old"))
        .collect();
    for conflict in &conflicts {
        assert_eq!(
            conflict.sqlite_error().map(|error| error.extended_code),
            Some(ffi::SQLITE_BUSY_SNAPSHOT)
        );
    }
    drop(other);
    let runs = Arc::new(AtomicUsize::new(0));
    let (counted, mut conflicts) = (Arc::clone(&runs), conflicts);
    let written = bench.database.write(WRITE, move |c| {
        insert(c, "once")?;
        counted.fetch_add(1, Ordering::Relaxed);
        conflicts.pop().map_or(Ok(Effect::Commit(())), Err)
    });
    written.await.expect("written");
    assert_eq!(runs.load(Ordering::Relaxed), 3);
    assert_eq!(bench.count().await, Ok(2));
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
async fn fault_28_a_success_that_began_before_the_breaker_opened_does_not_close_it() {
    let bench = bench();
    let (release, held) = mpsc::channel::<()>();
    let (begun, began) = tokio::sync::oneshot::channel();
    let both = parking_lot::Mutex::new((held, Some(begun)));
    let database = bench.database.clone();
    let stale = tokio::spawn(async move {
        let query = move |_: &Connection| {
            let (held, begun) = &mut *both.lock();
            begun.take().expect("once").send(()).expect("somebody waits");
            // Until everything that can release is gone.
            let _ = held.recv();
            Ok(())
        };
        database.read(SCAN, query).await
    });
    began.await.expect("begun");
    let read_breaker = bench.database.breakers()[0];
    let broken = |_: &Connection| Err::<(), _>(failure(ffi::SQLITE_IOERR_READ));
    while read_breaker.status().state == "CLOSED" {
        bench.database.read(SCAN, broken).await.expect_err("broken");
    }
    let open = read_breaker.status();
    assert_eq!(open.state, "OPEN");
    drop(release);
    stale.await.expect("no panic").expect("it read what there was");
    let after = read_breaker.status();
    assert_eq!((after.state, after.since), ("OPEN", open.since));
    assert_eq!(after.buffered_calls, open.buffered_calls, "it counts for nothing");
    assert!(matches!(
        bench.count().await.expect_err("refused").kind,
        ErrorKind::CircuitOpen { .. }
    ));
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
        let other = bench.other_party();
        other.execute_batch("BEGIN IMMEDIATE").expect("locked");
        let mut opened = Instant::now();
        while write_breaker.status().state == "CLOSED" {
            opened = Instant::now();
            bench.put("never").await.expect_err("locked");
        }
        assert_eq!(write_breaker.status().state, "OPEN");
        drop(other);
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

/// A full disk that was none, or is none any more: held by the breaker until a write of full size has passed, and no longer.
#[tokio::test(flavor = "multi_thread")]
async fn fault_06_the_breaker_that_a_full_disk_holds_is_let_go_by_the_watch() {
    let bench = bench_by(SystemClock::shared(), Duration::from_millis(50));
    let write_breaker = bench.database.breakers()[1];
    let full = |_: &Connection| Err::<Effect<()>, _>(failure(ffi::SQLITE_FULL));
    let refused = bench.database.write(WRITE, full).await.expect_err("full");
    assert_eq!(refused.told(), Told::ReadOnly);
    // Its time is over again and again, and still nothing small gets through.
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let refused = bench.put("never").await.expect_err("held");
        assert_eq!(refused.told(), Told::ReadOnly, "{refused}");
    }
    let watching = tokio::spawn({
        let database = bench.database.clone();
        async move { database.watch().await }
    });
    let began = Instant::now();
    while write_breaker.status().state != "CLOSED" {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "{:?}",
            write_breaker.status()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bench.put("after").await.expect("written");
    watching.abort();
}
