//! The layer as a whole, on real files, with real locks and real damage.

mod troubles;
mod writes;

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rusqlite::Connection;

use super::*;
use crate::clock::SystemClock;
use crate::config::{BreakerSettings, OperationSettings, RetrySettings};
use crate::db::operation::Effect;
use crate::db::{BreakerChange, Migration, Unobserved};

const STEPS: &[Migration] = &[Migration {
    version: 1,
    name: "t",
    sql: "CREATE TABLE t(k TEXT PRIMARY KEY, v INTEGER)",
}];
const GET: Operation = Operation::point("t.get");
const COUNT: Operation = Operation::scan("t.count");
const PUT: Operation = Operation::write("t.put");

/// What is said of a lock that a connection of this very process holds.
const KEPT_OUT: &str = if cfg!(target_os = "linux") {
    "this process itself"
} else {
    "another connection"
};

struct Bench {
    folder: tempfile::TempDir,
    database: Database,
}

fn settings() -> DatabaseSettings {
    DatabaseSettings {
        retry: RetrySettings {
            base_delay: Duration::from_millis(5),
            max_attempts: 5,
        },
        breaker: BreakerSettings {
            threshold: 5,
            open_for: Duration::from_millis(200),
        },
        operation: OperationSettings {
            timeout: Duration::from_millis(3000),
            lock_timeout: Duration::from_millis(20),
            ..OperationSettings::default()
        },
        ..DatabaseSettings::default()
    }
}

fn bench_with(settings: DatabaseSettings, observer: Arc<dyn Observer>) -> Bench {
    let folder = tempfile::tempdir().expect("folder");
    let options = Options {
        name: "app",
        path: folder.path().join("app.db"),
        application_id: 7,
        migrations: STEPS,
        settings,
    };
    let database = Database::open(options, SystemClock::shared(), observer).expect("opens");
    Bench { folder, database }
}

fn bench() -> Bench {
    bench_with(settings(), Arc::new(Unobserved))
}

impl Bench {
    fn other(&self) -> Connection {
        let other = Connection::open(self.folder.path().join("app.db")).expect("opens");
        other.busy_timeout(Duration::from_secs(10)).expect("set");
        other
    }

    async fn put(&self, key: &'static str, value: i64) -> Result<(), DbError> {
        self.database
            .write(PUT, move |c| insert(c, key, value).map(Effect::Commit))
            .await
    }

    /// A write that keeps the writer until the gate is opened.
    fn hold(&self, gate: &Gate) -> tokio::task::JoinHandle<Result<(), DbError>> {
        let (database, gate) = (self.database.clone(), gate.clone());
        tokio::spawn(async move {
            let hold = move |_: &Connection| {
                gate.pass();
                Ok(Effect::Commit(()))
            };
            database.write(PUT, hold).await
        })
    }

    async fn count(&self) -> i64 {
        self.database
            .read(COUNT, |c| c.query_row("SELECT count(*) FROM t", [], |r| r.get(0)))
            .await
            .expect("counts")
    }
}

/// Holds a job until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<(bool, bool)>, parking_lot::Condvar)>);

impl Gate {
    fn pass(&self) {
        let mut state = self.0.0.lock();
        state.0 = true;
        while !state.1 {
            self.0.1.wait(&mut state);
        }
    }

    async fn wait_for_arrival(&self) {
        while !self.0.0.lock().0 {
            tokio::task::yield_now().await;
        }
    }

    fn open(&self) {
        self.0.0.lock().1 = true;
        self.0.1.notify_all();
    }
}

fn insert(c: &Connection, key: &str, value: i64) -> rusqlite::Result<()> {
    c.prepare_cached("INSERT INTO t(k, v) VALUES (?1, ?2)")?
        .execute((key, value))
        .map(drop)
}

fn value(c: &Connection, key: &str) -> rusqlite::Result<i64> {
    c.prepare_cached("SELECT v FROM t WHERE k = ?1")?
        .query_row([key], |r| r.get(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_read_in_place_and_on_a_thread() {
    let bench = bench();
    bench.put("a", 1).await.expect("written");
    assert_eq!(bench.database.read(GET, |c| value(c, "a")).await.expect("read"), 1);
    assert_eq!(bench.count().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_share_commits_and_each_gets_its_own_answer() {
    let bench = bench();
    let gate = Gate::default();
    let held = bench.hold(&gate);
    gate.wait_for_arrival().await;
    let waiting: Vec<_> = (0..64_i64)
        .map(|i| {
            let database = bench.database.clone();
            tokio::spawn(async move {
                database
                    .write(PUT, move |c| {
                        insert(c, &format!("k{}", i % 60), i).map(|()| Effect::Commit(i))
                    })
                    .await
            })
        })
        .collect();
    while bench.database.status().writer.queued < 64 {
        tokio::task::yield_now().await;
    }
    gate.open();
    held.await.expect("joined").expect("held");
    let mut refused = 0;
    for (i, handle) in waiting.into_iter().enumerate() {
        match handle.await.expect("joined") {
            Ok(answer) => assert_eq!(answer, i as i64),
            Err(error) => {
                assert_eq!(error.class().expect("a code").name, "CONSTRAINT_PRIMARYKEY");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 4, "k0 to k3 came twice");
    assert_eq!(bench.count().await, 60);
    let writer = bench.database.status().writer;
    assert_eq!(
        (writer.commits, writer.jobs),
        (1, 65),
        "who came while it ran joined its transaction"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_can_undo_itself_and_still_answer() {
    let bench = bench();
    let said = bench
        .database
        .write(PUT, |c| insert(c, "a", 1).map(|()| Effect::Rollback("no")))
        .await;
    assert_eq!(said.expect("answered"), "no");
    assert_eq!(bench.count().await, 0);
}

/// How often each kind of job ran in a batch of them all.
async fn mixed(bench: &Bench, round: i64) -> [u64; 4] {
    let gate = Gate::default();
    let held = bench.hold(&gate);
    gate.wait_for_arrival().await;
    let runs: Arc<[AtomicU64; 4]> = Arc::default();
    let mut queued = Vec::new();
    for kind in 0..4_usize {
        let (database, runs) = (bench.database.clone(), Arc::clone(&runs));
        let job = move |c: &Connection| {
            runs[kind].fetch_add(1, Ordering::Relaxed);
            match kind {
                0 => insert(c, &format!("kept{round}"), round).map(|()| Effect::Commit(kind)),
                1 => value(c, "a").map(|_| Effect::Rollback(kind)),
                2 if round > 0 => insert(c, "undone", round).map(|()| Effect::Rollback(kind)),
                3 if round > 0 => {
                    insert(c, "refused", round)?;
                    insert(c, "a", round).map(|()| Effect::Commit(kind))
                }
                _ => Ok(Effect::Commit(kind)),
            }
        };
        queued.push(tokio::spawn(async move { database.write(PUT, job).await }));
        // In this order, because who comes after one that must be undone runs once.
        while bench.database.status().writer.queued <= kind {
            tokio::task::yield_now().await;
        }
    }
    gate.open();
    held.await.expect("joined").expect("held");
    for (kind, handle) in queued.into_iter().enumerate() {
        match handle.await.expect("joined") {
            Ok(said) => assert!(said == kind && (kind < 3 || round == 0)),
            Err(error) => {
                assert_eq!(error.class().expect("a code").name, "CONSTRAINT_PRIMARYKEY");
                assert!(kind == 3 && round > 0);
            }
        }
    }
    [0, 1, 2, 3].map(|kind| runs[kind].load(Ordering::Relaxed))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_not_kept_leaves_nothing_with_and_without_a_savepoint() {
    let bench = bench();
    bench.put("a", 1).await.expect("written");
    let fine = mixed(&bench, 0).await;
    assert_eq!(fine, [1, 1, 1, 1], "who undoes nothing costs nobody a second run");
    let first = mixed(&bench, 1).await;
    assert_eq!(
        first[0], 2,
        "one that had written was undone alone, which takes a savepoint"
    );
    assert_eq!(mixed(&bench, 2).await, [1, 1, 1, 1], "the batches after it have them");
    assert_eq!(bench.count().await, 4, "a and what was kept three times");
    for i in 0..64_i64 {
        let one = move |c: &Connection| insert(c, &format!("b{i}"), i).map(Effect::Commit);
        bench.database.write(PUT, one).await.expect("written");
    }
    assert_eq!(mixed(&bench, 3).await[0], 2, "they are left out again in time");
    assert_eq!(bench.count().await, 4 + 64 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panicking_job_harms_nobody_else() {
    let bench = bench();
    for round in 0..5 {
        let bad = bench.database.write(PUT, |c| -> rusqlite::Result<Effect<()>> {
            insert(c, "bad", 1)?;
            panic!("in a job");
        });
        let good = bench
            .database
            .write(PUT, move |c| insert(c, &format!("good{round}"), 1).map(Effect::Commit));
        let (bad, good) = tokio::join!(bad, good);
        assert_eq!(bad.expect_err("panicked").kind, ErrorKind::Panicked);
        good.expect("written");
    }
    assert_eq!(bench.count().await, 5);
    let panicked = bench
        .database
        .read(GET, |_| -> rusqlite::Result<()> { panic!("in a read") })
        .await;
    assert_eq!(panicked.expect_err("panicked").kind, ErrorKind::Panicked);
    assert!(bench.database.status().is_healthy());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_held_for_a_while_is_waited_out() {
    let mut settings = settings();
    settings.operation.lock_timeout = Duration::from_millis(500);
    let bench = bench_with(settings, Arc::new(Unobserved));
    let other = bench.other();
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let (written, ()) = tokio::join!(bench.put("a", 1), async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        other.execute_batch("COMMIT").expect("released");
    });
    written.expect("written");
    assert_eq!(bench.database.status().breakers[1].failed_calls, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lasting_lock_opens_the_write_breaker_while_reads_go_on_and_recovery_needs_nobody() {
    struct Changes(Mutex<Vec<BreakerChange>>);
    impl Observer for Changes {
        fn breaker_changed(&self, change: &BreakerChange) {
            self.0.lock().push(change.clone());
        }
    }
    let changes = Arc::new(Changes(Mutex::default()));
    let bench = bench_with(settings(), changes.clone());
    bench.put("a", 1).await.expect("written");
    let other = bench.other();
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let mut last = None;
    while bench.database.admits_write().is_ok() {
        last = bench.put("b", 1).await.err();
    }
    assert!(last.is_some_and(|e| e.nothing_done()));
    let refused = bench.put("c", 1).await.expect_err("open");
    assert!(
        matches!(&refused.kind, ErrorKind::CircuitOpen { cause, .. } if cause.contains(KEPT_OUT)),
        "{refused}"
    );
    assert!(refused.retry_after.is_some());
    assert_eq!(
        bench.database.read(GET, |c| value(c, "a")).await.expect("reads go on"),
        1
    );
    other.execute_batch("COMMIT").expect("released");
    let watched = bench.database.clone();
    let watching = tokio::spawn(async move { watched.watch().await });
    while bench.database.breakers()[1].status().state != "CLOSED" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    watching.abort();
    bench.put("d", 1).await.expect("recovered");
    let seen: Vec<_> = changes.0.lock().iter().map(|c| (c.from, c.to)).collect();
    assert_eq!(seen[0], ("CLOSED", "OPEN"));
    assert_eq!(seen.last(), Some(&("HALF_OPEN", "CLOSED")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_trips_writing_at_once_and_undoes_the_whole_batch() {
    let bench = bench();
    bench
        .database
        .write(PUT, |c| {
            let pages: i64 = c.query_row("PRAGMA page_count", [], |r| r.get(0))?;
            c.query_row(&format!("PRAGMA max_page_count = {}", pages + 2), [], |_| Ok(()))
                .map(Effect::Commit)
        })
        .await
        .expect("limited");
    let error = bench
        .database
        .write(PUT, |c| {
            insert(c, "small", 1)?;
            c.execute("INSERT INTO t(k, v) VALUES (hex(zeroblob(100000)), 1)", [])
                .map(|_| Effect::Commit(()))
        })
        .await
        .expect_err("full");
    assert_eq!(error.class().expect("a code").name, "FULL");
    assert_eq!(bench.database.breakers()[1].status().state, "OPEN");
    assert_eq!(bench.count().await, 0, "nothing was left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn constraint_violations_never_count() {
    let bench = bench();
    bench.put("a", 1).await.expect("written");
    for _ in 0..100 {
        assert!(bench.put("a", 1).await.is_err());
    }
    assert_eq!(bench.database.breakers()[1].status().state, "CLOSED");
    assert_eq!(bench.database.breakers()[1].status().failed_calls, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn runaway_statements_end_at_their_deadline_and_cost_others_nothing() {
    const FOREVER: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    let bench = bench();
    let limit = Duration::from_millis(50);
    let read = bench.database.read(COUNT.within(limit), |c| {
        c.query_row(FOREVER, [], |r| r.get::<_, i64>(0))
    });
    assert_eq!(read.await.expect_err("stopped").kind, ErrorKind::DeadlineExceeded);
    let write = bench.database.write(PUT.within(limit), |c| {
        c.query_row(FOREVER, [], |r| r.get::<_, i64>(0)).map(Effect::Commit)
    });
    let (stopped, written) = tokio::join!(write, bench.put("a", 1));
    assert_eq!(stopped.expect_err("stopped").kind, ErrorKind::DeadlineExceeded);
    written.expect("written");
    assert_eq!(bench.count().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_file_is_isolated_and_never_comes_back_empty() {
    let bench = bench();
    bench.put("a", 1).await.expect("written");
    let path = bench.folder.path().join("app.db");
    let aside = bench.folder.path().join("aside.db");
    std::fs::rename(&path, &aside).expect("moved away");
    bench.database.probe().await;
    assert!(matches!(
        bench.put("b", 1).await.expect_err("isolated").kind,
        ErrorKind::Isolated { .. }
    ));
    assert!(!path.exists());
    std::fs::rename(&aside, &path).expect("moved back");
    bench.database.probe().await;
    bench.put("b", 1).await.expect("verified and back");
    assert_eq!(bench.count().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overwritten_file_is_found_by_the_probe() {
    let bench = bench();
    bench.put("a", 1).await.expect("written");
    let other = bench.other();
    other
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .expect("checkpointed");
    let path = bench.folder.path().join("app.db");
    let pages = std::fs::metadata(&path).expect("there").len();
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("opens");
    std::os::unix::fs::FileExt::write_all_at(&file, &vec![0xA5; usize::try_from(pages).expect("small")], 0)
        .expect("damaged");
    let report = bench.database.probe().await;
    assert!(report.read_problem.is_some());
    assert_eq!(bench.database.breakers()[0].status().state, "ISOLATED");
    assert_eq!(bench.database.breakers()[1].status().state, "ISOLATED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_left_before_its_turn_changes_nothing() {
    let bench = bench();
    let gate = Gate::default();
    let first = tokio::spawn({
        let (database, gate) = (bench.database.clone(), gate.clone());
        async move {
            let job = move |c: &Connection| {
                gate.pass();
                insert(c, "first", 1).map(Effect::Commit)
            };
            database.write(PUT, job).await
        }
    });
    gate.wait_for_arrival().await;
    let left = bench.database.write(PUT.within(Duration::from_millis(50)), |c| {
        insert(c, "left", 1).map(Effect::Commit)
    });
    let error = left.await.expect_err("left");
    assert_eq!(error.kind, ErrorKind::NotBegun);
    assert!(error.nothing_done());
    gate.open();
    first.await.expect("joined").expect("written");
    assert_eq!(bench.count().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_drains_what_was_queued_and_refuses_the_rest() {
    let bench = bench();
    let waiting: Vec<_> = (0..50_i64)
        .map(|i| {
            let database = bench.database.clone();
            tokio::spawn(async move {
                database
                    .write(PUT, move |c| insert(c, &format!("k{i}"), i).map(Effect::Commit))
                    .await
            })
        })
        .collect();
    while bench.database.status().writer.jobs == 0 {
        tokio::task::yield_now().await;
    }
    let database = bench.database.clone();
    tokio::task::spawn_blocking(move || database.close(Duration::from_secs(10)))
        .await
        .expect("closed");
    let mut kept = 0;
    for handle in waiting {
        match handle.await.expect("joined") {
            Ok(()) => kept += 1,
            Err(error) => assert_eq!(error.kind, ErrorKind::ShuttingDown),
        }
    }
    assert!(kept > 0);
    assert_eq!(
        bench.put("late", 1).await.expect_err("closed").kind,
        ErrorKind::ShuttingDown
    );
    let count: i64 = bench
        .other()
        .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        .expect("read");
    assert_eq!(count, kept);
}

#[test]
fn a_senseless_setting_is_refused_by_name_and_nothing_is_made() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("app.db");
    let refused = |spoil: fn(&mut DatabaseSettings)| {
        let mut settings = settings();
        spoil(&mut settings);
        let options = Options {
            name: "app",
            path: path.clone(),
            application_id: 7,
            migrations: STEPS,
            settings,
        };
        match Database::open(options, SystemClock::shared(), Arc::new(Unobserved)) {
            Ok(_) => panic!("it opened"),
            Err(error) => error.to_string(),
        }
    };
    let told = refused(|settings| settings.pool.max = 0);
    assert_eq!(told, "the database's setting pool.max is 0; it must be at least 1");
    let told = refused(|settings| (settings.pool.min, settings.pool.max) = (3, 2));
    assert_eq!(
        told,
        "the database's setting pool.min is 3; it must be at most pool.max, which is 2"
    );
    let told = refused(|settings| settings.pool.connect_timeout = Duration::ZERO);
    assert!(told.contains("pool.connect_timeout is 0ns"), "{told}");
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_refuses_reads_stops_those_that_run_and_ends_the_watch() {
    const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    let bench = bench();
    bench.put("a", 1).await.expect("written");
    let (watched, reading) = (bench.database.clone(), bench.database.clone());
    let watching = tokio::spawn(async move { watched.watch().await });
    let read = tokio::spawn(async move {
        let operation = Operation::scan("t.endless");
        reading
            .read(operation, |c| c.query_row(ENDLESS, [], |row| row.get::<_, i64>(0)))
            .await
    });
    let is_on_its_way = |bench: &Bench| {
        let mut all = bench.database.active().into_iter();
        all.any(|one| one.operation == "t.endless" && one.held.is_some())
    };
    while !is_on_its_way(&bench) {
        tokio::task::yield_now().await;
    }
    let database = bench.database.clone();
    tokio::task::spawn_blocking(move || database.drain(Duration::from_secs(5)))
        .await
        .expect("drained");
    watching.await.expect("it ends by itself");
    bench.database.read(GET, |c| value(c, "a")).await.expect("reads go on");
    let database = bench.database.clone();
    tokio::task::spawn_blocking(move || database.close(Duration::from_secs(5)))
        .await
        .expect("closed");
    let shutting_down = |error: DbError| error.kind == ErrorKind::ShuttingDown;
    let stopped = read.await.expect("no panic").expect_err("it has no end of its own");
    assert!(shutting_down(stopped));
    let late = bench.database.read(GET, |c| value(c, "a")).await.expect_err("closed");
    assert!(shutting_down(late));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_jobs_carry_is_bounded_together() {
    const HALF: usize = 40 << 20;
    let bench = bench();
    let (entered, is_in) = std::sync::mpsc::channel();
    let (let_go, may_go) = std::sync::mpsc::channel::<()>();
    let database = bench.database.clone();
    let first = tokio::spawn(async move {
        let job = move |_: &Connection| {
            entered.send(()).expect("heard");
            may_go.recv().expect("told");
            Ok(Effect::Commit(()))
        };
        database.write(PUT.carrying(HALF), job).await
    });
    tokio::task::spawn_blocking(move || is_in.recv().expect("it runs"))
        .await
        .expect("no panic");
    assert_eq!(bench.database.status().writer.queued_bytes, HALF);
    let put = |bytes| {
        bench
            .database
            .write(PUT.carrying(bytes), |c| insert(c, "b", 1).map(Effect::Commit))
    };
    let refused = put(HALF).await.expect_err("together they are too much");
    assert_eq!(refused.kind, ErrorKind::QueueFull);
    assert!(refused.detail.contains("MiB"), "{refused:?}");
    let_go.send(()).expect("it waits");
    first.await.expect("no panic").expect("written");
    put(HALF).await.expect("there is room again");
    assert_eq!(bench.database.status().writer.queued_bytes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_are_bounded_and_refuse_in_time() {
    let mut settings = settings();
    settings.pool.max = 1;
    settings.pool.min = 1;
    settings.pool.connect_timeout = Duration::from_millis(50);
    let bench = bench_with(settings, Arc::new(Unobserved));
    let gate = Gate::default();
    let held = tokio::spawn({
        let (database, gate) = (bench.database.clone(), gate.clone());
        async move {
            let hold = move |_: &Connection| {
                gate.pass();
                Ok(())
            };
            database.read(COUNT, hold).await
        }
    });
    gate.wait_for_arrival().await;
    let refused = bench.database.read(COUNT, |_| Ok(())).await.expect_err("none free");
    assert_eq!(refused.kind, ErrorKind::PoolTimeout { at_ceiling: true });
    let pool = bench.database.status().pool;
    assert_eq!((pool.timeouts, pool.in_use, pool.waiting), (1, 1, 0));
    gate.open();
    held.await.expect("joined").expect("read");
    bench.database.read(COUNT, |_| Ok(())).await.expect("free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_write_ahead_log_costs_nothing_that_was_acknowledged() {
    let bench = bench();
    bench.put("before", 1).await.expect("written");
    std::fs::remove_file(bench.folder.path().join("app.db-wal")).expect("removed");
    bench.put("after", 2).await.expect("written into the log that is gone");
    bench.database.probe().await;
    bench.put("later", 3).await.expect("verified and back");
    assert_eq!(bench.count().await, 3);
    // What a start after a crash would find: the files as they lie there.
    let copy = tempfile::tempdir().expect("folder");
    for name in ["app.db", "app.db-wal"] {
        std::fs::copy(bench.folder.path().join(name), copy.path().join(name)).expect("copied");
    }
    let found = Connection::open(copy.path().join("app.db")).expect("opens");
    let rows: i64 = found
        .query_row("SELECT count(*) FROM t", [], |r| r.get(0))
        .expect("counted");
    assert_eq!(rows, 3);
}

mod running;
