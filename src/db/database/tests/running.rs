//! What runs: seen with its call site, stopped by its name, bounded by its deadline.

use super::*;
use crate::config::PoolSettings;
use crate::db::ActiveOperation;
use crate::db::Cancel;

const RUNAWAY: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

async fn one_active(database: &Database) -> ActiveOperation {
    loop {
        match database.active().pop() {
            Some(found) if found.held.is_some() => return found,
            _ => tokio::task::yield_now().await,
        }
    }
}

fn runaway(c: &Connection) -> rusqlite::Result<i64> {
    c.query_row(RUNAWAY, [], |r| r.get(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_stopped_by_its_name_and_the_next_is_not() {
    let bench = bench();
    let origin = Arc::new(Origin {
        request_id: "r-1".into(),
        ip: None,
        path: "/".into(),
    });
    let database = bench.database.on_behalf_of(origin);
    let reader = tokio::spawn(async move { database.read(COUNT, runaway).await });
    let found = one_active(&bench.database).await;
    assert_eq!(
        (found.operation, found.writes, found.snapshot),
        ("t.count", false, true)
    );
    assert!(found.call_site.contains("running.rs:"), "{}", found.call_site);
    assert_eq!(found.request_id.as_deref(), Some("r-1"));
    assert_eq!(bench.database.cancel(found.id), Cancel::Asked);
    let error = reader.await.expect("joined").expect_err("stopped");
    assert_eq!((&error.kind, error.is_retryable()), (&ErrorKind::Cancelled, false));
    assert_eq!(bench.database.cancel(found.id), Cancel::Over);
    assert_eq!(bench.count().await, 0);
    let breaker = &bench.database.status().breakers[0];
    assert_eq!((breaker.state, breaker.failed_calls), ("CLOSED", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_stopped_undoes_itself_alone() {
    let bench = bench();
    let database = bench.database.clone();
    let job = |c: &Connection| insert(c, "stopped", 1).and_then(|()| runaway(c)).map(Effect::Commit);
    let writer = tokio::spawn(async move { database.write(PUT, job).await });
    let found = one_active(&bench.database).await;
    assert!(found.writes);
    let beside = tokio::spawn({
        let database = bench.database.clone();
        async move { database.write(PUT, |c| insert(c, "kept", 1).map(Effect::Commit)).await }
    });
    assert_eq!(bench.database.cancel(found.id), Cancel::Asked);
    assert_eq!(
        writer.await.expect("joined").expect_err("stopped").kind,
        ErrorKind::Cancelled
    );
    beside.await.expect("joined").expect("written");
    assert_eq!(bench.count().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_that_runs_without_steps_ends_at_its_deadline() {
    let bench = bench();
    let fill = |c: &Connection| {
        let sql = "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000)
                   SELECT i || hex(zeroblob(400)), i FROM n";
        c.execute_batch(sql).map(Effect::Commit)
    };
    bench.database.write(PUT, fill).await.expect("filled");
    // One statement after the other, each with too few steps for the progress handler to be asked.
    fn counting(c: &Connection) -> rusqlite::Result<()> {
        loop {
            c.query_row("SELECT count(*) FROM t", [], |r| r.get::<_, i64>(0))?;
        }
    }
    let started = Instant::now();
    let read = bench.database.read(COUNT.within(Duration::from_millis(200)), counting);
    assert_eq!(read.await.expect_err("stopped").kind, ErrorKind::DeadlineExceeded);
    assert!(
        started.elapsed() < Duration::from_millis(1500),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(bench.count().await, 5000, "the next borrower is unaffected");
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_25_leaked_connections_are_told_of_once_and_shed_rather_than_hang() {
    #[derive(Default)]
    struct Leaks(Mutex<Vec<String>>);
    impl Observer for Leaks {
        fn leak_suspected(&self, _database: &str, operation: &ActiveOperation) {
            self.0.lock().push(operation.call_site.clone());
        }
    }
    let leaks = Arc::new(Leaks::default());
    let mut settings = settings();
    settings.pool = PoolSettings {
        max: 1,
        min: 1,
        ..settings.pool
    };
    let bench = bench_with(settings, leaks.clone());
    let gate = Gate::default();
    let short = COUNT.within(Duration::from_millis(100));
    let leaked = tokio::spawn({
        let (database, gate) = (bench.database.clone(), gate.clone());
        async move {
            database
                .read(short, move |_| {
                    gate.pass();
                    Ok(())
                })
                .await
        }
    });
    gate.wait_for_arrival().await;
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let database = bench.database.clone();
            tokio::spawn(async move {
                database
                    .read(COUNT.within(Duration::from_millis(400)), |_| Ok(()))
                    .await
            })
        })
        .collect();
    for caller in callers {
        let error = caller.await.expect("joined").expect_err("none is free");
        assert!(
            matches!(error.kind, ErrorKind::Overloaded | ErrorKind::PoolTimeout { .. }),
            "{error}"
        );
    }
    // Long after its time and still there.
    while leaks.0.lock().is_empty() {
        bench.database.inner.readers.check_leaks();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bench.database.inner.readers.check_leaks();
    assert_eq!(leaks.0.lock().len(), 1);
    assert!(leaks.0.lock()[0].contains("running.rs:"));
    assert_eq!(bench.database.status().pool.leaks_suspected, 1);
    assert!(bench.database.active()[0].leak_suspected);
    gate.open();
    let _ = leaked.await.expect("joined");
    bench.count().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_runaway_query_called_over_and_over_does_not_open_the_breaker_and_slowness_all_over_does() {
    let bench = bench();
    let soon = Duration::from_millis(10);
    let run_away = |operation: Operation| {
        let database = bench.database.clone();
        async move { database.read(operation.within(soon), runaway).await }
    };
    for _ in 0..25 {
        let error = run_away(COUNT).await.expect_err("stopped");
        assert_eq!(error.kind, ErrorKind::DeadlineExceeded);
    }
    let breaker = bench.database.status().breakers[0].clone();
    assert_eq!((breaker.state, breaker.buffered_calls), ("CLOSED", 25));
    assert!(breaker.slow_call_rate > 0.99, "{breaker:?}");
    run_away(Operation::scan("t.search")).await.expect_err("stopped");
    let breaker = bench.database.status().breakers[0].clone();
    assert_eq!(
        (breaker.state, breaker.cause.as_str()),
        ("OPEN", "26 of 26 calls were slow")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_says_what_ended_its_repetition() {
    let broken = |_: &Connection| -> rusqlite::Result<()> {
        const IOERR_READ: i32 = 266;
        let code = rusqlite::ffi::Error::new(IOERR_READ);
        Err(rusqlite::Error::SqliteFailure(code, None))
    };
    let cases = [
        (Duration::from_millis(1), "given up: all attempts are used"),
        (
            Duration::from_secs(10),
            "given up: the next attempt would begin after the deadline",
        ),
    ];
    for (base_delay, words) in cases {
        let mut settings = settings();
        settings.retry.base_delay = base_delay;
        let bench = bench_with(settings, Arc::new(Unobserved));
        let error = bench.database.read(COUNT, broken).await.expect_err("broken");
        assert!(error.detail.ends_with(words), "{error}");
        let write = bench.database.write(PUT, |_| Err::<Effect<()>, _>(no_such_table()));
        let never = write.await.expect_err("refused");
        assert!(!never.detail.contains("given up"), "{never}");
    }
}

fn no_such_table() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR), None)
}
