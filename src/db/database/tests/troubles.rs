//! Troubles that meet each other: a log that goes while somebody reads, callers that leave one after the other, a pool
//! that can't grow, a repetition that ends otherwise than its first attempt.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::writes::fail_after_commit;
use super::*;
use crate::db::{Checkpoint, MissingCommits};

const RUNAWAY: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
const PATIENCE: Duration = Duration::from_secs(30);

fn state(bench: &Bench, breaker: usize) -> &'static str {
    bench.database.breakers()[breaker].status().state
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_log_is_saved_although_a_reader_keeps_it_for_long() {
    let bench = bench();
    bench.put("a", 1).await.expect("written");
    let other = bench.other();
    other.execute_batch("BEGIN").expect("begun");
    other
        .query_row("SELECT count(*) FROM t", [], |_| Ok(()))
        .expect("a snapshot");
    for key in ["b", "c", "d"] {
        bench.put(key, 1).await.expect("written");
    }
    std::fs::remove_file(bench.folder.path().join("app.db-wal")).expect("removed");
    let database = bench.database.clone();
    let watch = tokio::spawn(async move { database.watch().await });
    // Longer than one try to save it.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!([state(&bench, 0), state(&bench, 1)], ["ISOLATED"; 2]);
    other.execute_batch("ROLLBACK").expect("ended");
    drop(other);
    let until = Instant::now() + PATIENCE;
    while state(&bench, 0) == "ISOLATED" || state(&bench, 1) == "ISOLATED" {
        assert!(Instant::now() < until, "{:?}", bench.database.inner.health.damage());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    watch.abort();
    assert_eq!(bench.count().await, 4);
    let copy = tempfile::tempdir().expect("folder");
    for name in ["app.db", "app.db-wal"] {
        std::fs::copy(bench.folder.path().join(name), copy.path().join(name)).expect("copied");
    }
    let found = Connection::open(copy.path().join("app.db")).expect("opens");
    let rows = found.query_row("SELECT count(*) FROM t", [], |r| r.get(0));
    assert_eq!(rows, Ok(4), "what a start after a crash would find");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_deleted_just_before_the_end_is_saved_although_a_read_was_under_way() {
    const ENDLESS: &str =
        "WITH RECURSIVE n(i) AS (SELECT count(*) FROM t UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    let bench = bench();
    bench.put("a", 1).await.expect("written");
    let database = bench.database.clone();
    let read = tokio::spawn(async move {
        database
            .read(COUNT, |c| c.query_row(ENDLESS, [], |r| r.get::<_, i64>(0)))
            .await
    });
    let until = Instant::now() + PATIENCE;
    while !bench.database.active().iter().any(|operation| operation.snapshot) {
        assert!(Instant::now() < until, "it reads");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for key in ["b", "c", "d"] {
        bench.put(key, 1).await.expect("written");
    }
    // Nobody watches, and the writer's own last checkpoint meets the reader.
    std::fs::remove_file(bench.folder.path().join("app.db-wal")).expect("removed");
    let database = bench.database.clone();
    tokio::task::spawn_blocking(move || database.close(Duration::from_secs(10)))
        .await
        .expect("closed");
    read.await.expect("joined").expect_err("stopped");
    // What a start finds if this process ends here.
    let copy = tempfile::tempdir().expect("folder");
    std::fs::copy(bench.folder.path().join("app.db"), copy.path().join("app.db")).expect("copied");
    let found = Connection::open(copy.path().join("app.db")).expect("opens");
    let rows = found.query_row("SELECT count(*) FROM t", [], |r| r.get(0));
    assert_eq!(rows, Ok(4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_caller_that_leaves_interrupts_nobody_else() {
    const SPIN: &str =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT max(i) FROM n";
    let mut settings = settings();
    settings.pool.min = 1;
    settings.pool.max = 1;
    let bench = bench_with(settings, Arc::new(Unobserved));
    let spin = |c: &Connection| c.query_row(SPIN, [], |r| r.get::<_, i64>(0));
    let until = Instant::now() + Duration::from_secs(4);
    let impatient: Vec<_> = (0..3)
        .map(|_| {
            let database = bench.database.clone();
            tokio::spawn(async move {
                while Instant::now() < until {
                    let patience = Duration::from_micros(fastrand::u64(200..1700));
                    let _ = tokio::time::timeout(patience, database.read(COUNT, spin)).await;
                }
            })
        })
        .collect();
    let mut done = 0;
    while Instant::now() < until {
        match bench.database.read(COUNT, spin).await {
            Ok(_) => done += 1,
            Err(error) => assert!(
                matches!(error.kind, ErrorKind::PoolTimeout { .. } | ErrorKind::Overloaded),
                "{error} after {done}"
            ),
        }
    }
    for task in impatient {
        task.await.expect("ended");
    }
    assert!(done > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_cannot_grow_waits_for_the_connections_it_has() {
    let mut settings = settings();
    settings.pool.min = 0;
    settings.pool.max = 2;
    let bench = bench_with(settings, Arc::new(Unobserved));
    let pool = &bench.database.inner.readers.pool;
    let within = |ms| Instant::now() + Duration::from_millis(ms);
    let held = pool.checkout("held", within(5000)).expect("connects");
    // Connecting fails from here on.
    let (path, aside) = (bench.folder.path().join("app.db"), bench.folder.path().join("aside"));
    std::fs::rename(&path, &aside).expect("moved");
    let none = pool.checkout("none", within(300)).map(drop).expect_err("taken");
    assert!(matches!(none.kind, ErrorKind::PoolTimeout { .. }), "{none}");
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| pool.checkout("waits", within(10_000)).map(drop));
        std::thread::sleep(Duration::from_millis(300));
        drop(held);
        waits.join().expect("joined").expect("the one that came back");
    });
    let mut last = pool.checkout("last", within(5000)).expect("still there");
    last.poison();
    drop(last);
    let failed = pool
        .checkout("failed", within(10_000))
        .map(drop)
        .expect_err("none left");
    assert!(matches!(failed.kind, ErrorKind::Isolated { .. }), "{failed}");
    std::fs::rename(&aside, &path).expect("moved back");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_nothing_done_after_a_commit_that_may_have_taken_effect() {
    for second in ["panic", "constraint", "deadline"] {
        let bench = bench();
        let runs = AtomicUsize::new(0);
        let done = bench.database.write(PUT.idempotent(), move |c| {
            if runs.fetch_add(1, Ordering::Relaxed) == 0 {
                fail_after_commit(c);
                return insert(c, "x", 1).map(Effect::Commit);
            }
            match second {
                "panic" => panic!("the second run"),
                "constraint" => insert(c, "x", 1)?,
                _ => c.query_row(RUNAWAY, [], |_| Ok(()))?,
            }
            Ok(Effect::Commit(()))
        });
        let error = done.await.expect_err("not settled");
        assert_eq!(error.kind, ErrorKind::OutcomeUnknown, "{second}");
        assert!(!error.nothing_done(), "{second}");
        assert_eq!(bench.count().await, 1, "{second}: it had taken effect");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_migrations_stays_its_own() {
    let folder = tempfile::tempdir().expect("folder");
    let options = Options {
        name: "app",
        path: folder.path().join("app.db"),
        application_id: 7,
        migrations: &[],
        settings: settings(),
    };
    for time in ["made", "found again"] {
        let database = Database::open(options.clone(), SystemClock::shared(), Arc::new(Unobserved)).expect(time);
        for _ in 0..2 {
            assert_eq!(database.probe().await.problem(), None, "{time}");
        }
        assert_eq!(database.breakers()[0].status().state, "CLOSED", "{time}");
        database.close(Duration::from_secs(5));
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_last_number_that_hangs_is_counted() {
    let mut settings = settings();
    settings.operation.timeout = Duration::from_millis(300);
    let bench = bench_with(settings, Arc::new(Unobserved));
    let path = bench.folder.path().join("app.db-sequence");
    // Opening a pipe for writing hangs until somebody reads it.
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("run");
    assert!(made.success());
    let first = bench.put("a", 1).await.expect_err("hangs");
    assert_eq!(first.kind, ErrorKind::OutcomeUnknown);
    for _ in 0..10 {
        let _ = bench.put("b", 1).await;
    }
    let found = bench.database.breakers()[1].status();
    drop(std::fs::File::open(&path).expect("opens"));
    std::fs::remove_file(&path).expect("removed");
    assert_ne!(found.state, "CLOSED", "{}", found.cause);
    let until = Instant::now() + PATIENCE;
    while bench.put("c", 1).await.is_err() {
        assert!(Instant::now() < until, "goes on by itself");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_one_direction_knows_to_be_bad_is_kept_from_both() {
    let Bench { folder, database } = bench();
    database.breakers()[1].isolate("found bad");
    let options = database.inner.options.clone();
    database.close(Duration::from_secs(5));
    drop(database);
    let database = Database::open(options, SystemClock::shared(), Arc::new(Unobserved)).expect("opens");
    let bench = Bench { folder, database };
    assert_eq!([state(&bench, 0), state(&bench, 1)], ["ISOLATED"; 2], "kept, for both");
    bench.database.probe().await;
    assert_eq!(
        [state(&bench, 0), state(&bench, 1)],
        ["CLOSED"; 2],
        "verified, for both"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_an_isolated_file_does_not_excuse_what_was_found_in_it() {
    let bench = bench();
    bench.put("a", 1).await.expect("written");
    bench.database.breakers()[0].isolate("found bad");
    std::fs::remove_file(bench.folder.path().join("app.db-wal")).expect("removed");
    bench.database.probe().await;
    let evidence = bench.folder.path().join("evidence");
    assert!(evidence.exists(), "secured before it was let back");
    assert_eq!([state(&bench, 0), state(&bench, 1)], ["CLOSED"; 2]);
}

/// A file with what a log that rots can do to it: one commit is in both, the next one is dropped from the log although a
/// checkpoint had brought it into the file.
async fn of_different_ages() -> (tempfile::TempDir, Options) {
    let bench = bench();
    let rows = |from: i64, to: i64| {
        move |c: &Connection| {
            let sql = "WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
                       INSERT INTO t SELECT printf('k%05d', i), i FROM n";
            c.execute(sql, [from, to]).map(|_| Effect::Commit(()))
        }
    };
    bench.database.write(PUT, rows(1, 2000)).await.expect("filled");
    bench
        .database
        .checkpoint(Checkpoint::Truncate)
        .expect("all in the file");
    // Both change the same page of the index; the table's pages are far apart.
    bench.database.write(PUT, rows(0, 0)).await.expect("written");
    let delete = |c: &Connection| {
        c.execute("DELETE FROM t WHERE k = 'k00001'", [])
            .map(|_| Effect::Commit(()))
    };
    bench.database.write(PUT, delete).await.expect("written");
    assert!(
        bench
            .database
            .checkpoint(Checkpoint::Passive)
            .expect("made")
            .is_complete()
    );
    // The files as a kill leaves them.
    let folder = tempfile::tempdir().expect("folder");
    for name in ["app.db", "app.db-wal", "app.db-sequence"] {
        std::fs::copy(bench.folder.path().join(name), folder.path().join(name)).expect("copied");
    }
    let log = folder.path().join("app.db-wal");
    let mut bytes = std::fs::read(&log).expect("read");
    *bytes.last_mut().expect("a frame") ^= 1;
    std::fs::write(&log, bytes).expect("written");
    let mut options = bench.database.inner.options.clone();
    options.path = folder.path().join("app.db");
    (folder, options)
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_different_ages_after_a_gap_are_found_and_isolated() {
    let (folder, options) = of_different_ages().await;
    let database = Database::open(options, SystemClock::shared(), Arc::new(Unobserved)).expect("opens");
    let gap = database.status().missing_commits.expect("told");
    assert_eq!(gap.missing, MissingCommits::Behind { expected: 3, found: 2 });
    let bench = Bench { folder, database };
    let watched = bench.database.clone();
    let watch = tokio::spawn(async move { watched.watch().await });
    // At once, although the first probe runs at the same time, and not with the next regular one.
    let until = Instant::now() + PATIENCE / 3;
    while bench.database.inner.health.damage().is_none() {
        assert!(Instant::now() < until, "nothing was found");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    watch.abort();
    assert_eq!([state(&bench, 0), state(&bench, 1)], ["ISOLATED"; 2]);
    let report = bench.database.inner.health.damage().expect("told");
    assert!(report.cause.contains("different ages"), "{report:?}");
    assert_eq!(report.indexes, ["sqlite_autoindex_t_1"]);
}
