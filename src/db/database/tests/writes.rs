//! Writing: what is repeated and what is not, keys, numbers of commits, and a storage that hangs.

use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::ffi;

use super::*;
use crate::db::{Answered, Gap, MissingCommits, Once};

fn once(key: &str) -> Once {
    Once {
        key: key.to_owned(),
        fingerprint: [1; 32],
    }
}

/// SQLite's own way to fail a COMMIT that has taken effect: the hook runs after it, and its code is the statement's.
pub(super) fn fail_after_commit(connection: &Connection) {
    extern "C" fn hook(_: *mut c_void, _: *mut ffi::sqlite3, _: *const c_char, _: c_int) -> c_int {
        ffi::SQLITE_IOERR_WRITE
    }
    // SAFETY: the handle belongs to this open connection, and the hook is a function that keeps nothing.
    unsafe { ffi::sqlite3_wal_hook(connection.handle(), Some(hook), std::ptr::null_mut()) };
}

/// A job that inserts and whose first COMMIT succeeds but says that it failed.
fn committed_in_secret(runs: Arc<AtomicUsize>) -> impl FnMut(&Connection) -> rusqlite::Result<Effect<i64>> + Send {
    move |c| {
        if runs.fetch_add(1, Ordering::Relaxed) == 0 {
            fail_after_commit(c);
        }
        c.execute("INSERT INTO t(k, v) VALUES (hex(randomblob(8)), 1)", [])?;
        Ok(Effect::Commit(7))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_one_effect_and_one_answer() {
    let bench = bench();
    let call = |value: i64| {
        bench.database.write_once(PUT, once("k"), move |c| {
            insert(c, &format!("k{value}"), value)?;
            Ok(Effect::Commit(value))
        })
    };
    assert_eq!(call(1).await, Ok(Answered::First(1)));
    assert_eq!(call(2).await, Ok(Answered::Again(1)));
    let other = Once {
        fingerprint: [2; 32],
        ..once("k")
    };
    let refused = bench.database.write_once(PUT, other, |_| Ok(Effect::Commit(3))).await;
    assert_eq!(refused, Ok(Answered::Mismatch));
    let calls = (0..20).map(|n| {
        let database = bench.database.clone();
        tokio::spawn(async move {
            let job = move |c: &Connection| insert(c, &format!("c{n}"), n).map(|()| Effect::Commit(n));
            database.write_once(PUT, once("shared"), job).await
        })
    });
    let mut first = 0;
    for call in calls.collect::<Vec<_>>() {
        first += usize::from(matches!(call.await.expect("no panic"), Ok(Answered::First(_))));
    }
    assert_eq!((first, bench.count().await), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_is_settled_by_the_key_and_never_by_a_guess() {
    let bench = bench();
    let runs = Arc::new(AtomicUsize::new(0));
    let done = bench
        .database
        .write_once(PUT, once("k"), committed_in_secret(Arc::clone(&runs)));
    assert_eq!(done.await, Ok(Answered::First(7)), "the first attempt was ours");
    assert_eq!((runs.load(Ordering::Relaxed), bench.count().await), (1, 1));
    assert_eq!(bench.database.status().retries.attempts, 1);

    let runs = Arc::new(AtomicUsize::new(0));
    let unknown = bench.database.write(PUT, committed_in_secret(Arc::clone(&runs))).await;
    assert_eq!(unknown.expect_err("not known").kind, ErrorKind::OutcomeUnknown);
    assert_eq!((runs.load(Ordering::Relaxed), bench.count().await), (1, 2));

    let runs = Arc::new(AtomicUsize::new(0));
    let idempotent = PUT.idempotent();
    let again = bench
        .database
        .write(idempotent, committed_in_secret(Arc::clone(&runs)))
        .await;
    assert_eq!(
        (again, runs.load(Ordering::Relaxed)),
        (Ok(7), 2),
        "declared, so it is believed"
    );
}

/// Fault 30.
#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_during_commit_is_unknown_and_the_same_key_has_one_effect() {
    let bench = bench();
    let gate = Gate::default();
    let hanging = bench
        .database
        .write_once(PUT.within(Duration::from_millis(100)), once("k"), {
            let gate = gate.clone();
            move |c| {
                let gate = gate.clone();
                c.commit_hook(Some(move || {
                    gate.pass();
                    false
                }))?;
                insert(c, "a", 1).map(|()| Effect::Commit(1))
            }
        });
    assert_eq!(hanging.await.expect_err("too late").kind, ErrorKind::OutcomeUnknown);
    gate.open();
    let again = bench
        .database
        .write_once(PUT, once("k"), |c| insert(c, "b", 2).map(|()| Effect::Commit(2)));
    assert_eq!(again.await, Ok(Answered::Again(1)));
    assert_eq!(bench.count().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_violation_is_its_own_jobs_alone() {
    let bench = bench();
    let schema = "CREATE TABLE child(p TEXT REFERENCES t(k) DEFERRABLE INITIALLY DEFERRED)";
    let made = bench
        .database
        .write(PUT, move |c| c.execute_batch(schema).map(Effect::Commit));
    made.await.expect("made");
    let gate = Gate::default();
    let held = bench.hold(&gate);
    gate.wait_for_arrival().await;
    let spawned = |number: i64| {
        let database = bench.database.clone();
        tokio::spawn(async move {
            let job = move |c: &Connection| match number {
                3 => c
                    .execute("INSERT INTO child VALUES ('nobody')", [])
                    .map(drop)
                    .map(Effect::Commit),
                _ => insert(c, &format!("k{number}"), number).map(Effect::Commit),
            };
            database.write(PUT, job).await
        })
    };
    let callers: Vec<_> = (0..8).map(spawned).collect();
    while bench.database.status().writer.queued < 8 {
        tokio::task::yield_now().await;
    }
    gate.open();
    held.await.expect("no panic").expect("written");
    for (number, caller) in callers.into_iter().enumerate() {
        let result = caller.await.expect("no panic");
        match number {
            3 => assert_eq!(result.expect_err("refused").kind, ErrorKind::Sqlite { code: 787 }),
            _ => result.expect("written"),
        }
    }
    assert_eq!(bench.count().await, 7);
    assert!(bench.database.is_healthy());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_the_background_lets_others_go_first_and_is_the_next_one() {
    let bench = bench();
    let (gate, order) = (Gate::default(), Arc::new(Mutex::new(Vec::new())));
    let held = bench.hold(&gate);
    gate.wait_for_arrival().await;
    let spawned = |operation: Operation, number: i64| {
        let (database, order) = (bench.database.clone(), Arc::clone(&order));
        tokio::spawn(async move {
            let job = move |c: &Connection| {
                order.lock().push(number);
                insert(c, &format!("k{number}"), number).map(Effect::Commit)
            };
            database.write(operation, job).await
        })
    };
    let mut callers = Vec::new();
    for (number, operation) in [PUT.in_background(), PUT, PUT.in_background(), PUT]
        .into_iter()
        .enumerate()
    {
        callers.push(spawned(operation, number as i64));
        while bench.database.status().writer.queued <= number {
            tokio::task::yield_now().await;
        }
    }
    let commits = bench.database.status().writer.commits;
    gate.open();
    held.await.expect("no panic").expect("written");
    for caller in callers {
        caller.await.expect("no panic").expect("written");
    }
    assert_eq!(*order.lock(), [1, 3, 0, 2], "in their order otherwise");
    let status = bench.database.status().writer;
    assert_eq!(status.commits - commits, 3, "each of the background has its own");
    assert_eq!(status.queued, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_storage_is_counted_and_later_callers_are_refused_at_once() {
    let mut settings = settings();
    settings.operation.timeout = Duration::from_millis(200);
    let bench = bench_with(settings, Arc::new(Unobserved));
    let gate = Gate::default();
    let hanging = tokio::spawn({
        let (database, gate) = (bench.database.clone(), gate.clone());
        let hold = move |_: &Connection| {
            gate.pass();
            Ok(Effect::Commit(()))
        };
        async move { database.write(PUT, hold).await }
    });
    gate.wait_for_arrival().await;
    let unknown = hanging.await.expect("no panic").expect_err("never answered");
    assert_eq!(unknown.kind, ErrorKind::OutcomeUnknown);
    let mut kinds = Vec::new();
    while bench.database.admits_write().is_ok() {
        let began = Instant::now();
        kinds.push(bench.put("a", 1).await.expect_err("refused").kind);
        assert!(
            began.elapsed() < Duration::from_secs(2) && kinds.len() < 20,
            "{kinds:?}"
        );
    }
    assert!(kinds.contains(&ErrorKind::Stuck), "{kinds:?}");
    gate.open();
    let until = Instant::now() + Duration::from_secs(30);
    while bench.put("a", 1).await.is_err() {
        assert!(Instant::now() < until, "it recovers unaided");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_patient_write_waits_for_an_open_breaker() {
    let bench = bench();
    let lasting = Some(Duration::from_millis(300));
    bench.database.breakers()[1].force_open(lasting, "by hand", None);
    let refused = bench.put("a", 1).await.expect_err("refused");
    assert!(matches!(refused.kind, ErrorKind::CircuitOpen { .. }));
    if refused.retry_after.is_some() {
        let job = |c: &Connection| insert(c, "b", 2).map(Effect::Commit);
        bench.database.write(PUT.patient(), job).await.expect("waited");
        bench.database.breakers()[1].force_open(Some(Duration::from_secs(60)), "by hand", None);
        let too_long = bench
            .database
            .write(PUT.patient(), job)
            .await
            .expect_err("refused at once");
        assert!(matches!(too_long.kind, ErrorKind::CircuitOpen { .. }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_is_noticed_and_numbers_go_on() {
    struct Seen(Mutex<Vec<Gap>>);
    impl crate::db::Observer for Seen {
        fn commits_missing(&self, _: &str, gap: &Gap) {
            self.0.lock().push(gap.clone());
        }
    }
    let bench = bench();
    let path = bench.database.path().to_owned();
    let reopened = |bench: Bench, observer: Arc<dyn crate::db::Observer>| {
        let options = bench.database.inner.options.clone();
        let database = Database::open(options, SystemClock::shared(), observer).expect("opens");
        Bench { database, ..bench }
    };
    bench.put("a", 1).await.expect("written");
    bench.database.close(Duration::from_secs(5));
    let copy = std::fs::read(&path).expect("read");
    let bench = reopened(bench, Arc::new(Unobserved));
    assert_eq!(bench.database.status().missing_commits, None);
    bench.put("b", 2).await.expect("written");
    bench.put("c", 3).await.expect("written");
    bench.database.close(Duration::from_secs(5));
    let seen = Arc::new(Seen(Mutex::default()));
    // Every connection of the old handle is gone before the file is replaced.
    let Bench { folder, database } = bench;
    let options = database.inner.options.clone();
    drop(database);
    std::fs::write(&path, copy).expect("put back");
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", path.display()));
    }
    let database = Database::open(options, SystemClock::shared(), Arc::clone(&seen) as _).expect("opens");
    let missing = MissingCommits::Behind { expected: 3, found: 1 };
    let told = database.status().missing_commits.expect("told");
    assert_eq!((told.missing, &told.evidence), (missing, &None));
    assert_eq!(*seen.0.lock(), std::slice::from_ref(&told));
    let bench = Bench { folder, database };
    bench.put("d", 4).await.expect("it goes on");
    bench.database.close(Duration::from_secs(5));
    let bench = reopened(bench, Arc::clone(&seen) as _);
    let still = bench.database.status().missing_commits;
    assert_eq!(
        (still, bench.count().await),
        (Some(told), 2),
        "a restart doesn't hide it"
    );
    assert_eq!(seen.0.lock().len(), 1, "and it is one occurrence");
}

/// Panics whenever it is told of a repetition, and of a slow statement.
struct Panicking;

impl crate::db::Observer for Panicking {
    fn retrying(&self, _: &DbError, _: u32, _: Duration) {
        panic!("told of a retry");
    }

    fn slow_statement(&self, _: &crate::db::SlowStatement<'_>) {
        panic!("told of a slow statement");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_the_writer_itself_costs_its_batch_and_says_what_is_certain() {
    let mut settings = settings();
    settings.operation.slow_query = Duration::from_millis(50);
    let bench = bench_with(settings, Arc::new(Panicking));
    let other = bench.other();
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let undone = bench.put("a", 1).await.expect_err("the lock was met");
    assert_eq!(undone.kind, ErrorKind::Panicked, "nothing was done, and it says so");
    other.execute_batch("ROLLBACK").expect("let go");
    bench.put("a", 1).await.expect("the thread goes on");

    // Told after the commit: the caller can't know, and the row is there.
    let slow = |c: &Connection| {
        insert(c, "b", 2)?;
        let spin =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) SELECT max(i) FROM n";
        c.query_row(spin, [], |_| Ok(()))?;
        Ok(Effect::Commit(()))
    };
    let unknown = bench.database.write(PUT, slow).await.expect_err("nobody answered");
    assert_eq!(unknown.kind, ErrorKind::OutcomeUnknown);
    assert_eq!(bench.count().await, 2);
    bench.put("c", 3).await.expect("the thread goes on");
    assert!(bench.database.is_healthy());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uncertain_job_waits_for_a_breaker_that_refuses_and_is_settled_by_its_key() {
    let bench = bench();
    let (runs, breaker) = (Arc::new(AtomicUsize::new(0)), Arc::clone(bench.database.breakers()[1]));
    let lasting = Duration::from_millis(300);
    let mut commit_in_secret = committed_in_secret(Arc::clone(&runs));
    let began = Instant::now();
    let answered = bench
        .database
        .write_once(PUT, once("k"), move |c| {
            // While the attempt is under way, so that its failure finds the door shut.
            breaker.force_open(Some(lasting), "by hand", None);
            commit_in_secret(c)
        })
        .await;
    assert_eq!(
        answered,
        Ok(Answered::First(7)),
        "nobody may be told that it was refused"
    );
    assert!(began.elapsed() >= lasting, "it was let through only then");
    assert_eq!((runs.load(Ordering::Relaxed), bench.count().await), (1, 1));

    let (runs, breaker) = (Arc::new(AtomicUsize::new(0)), Arc::clone(bench.database.breakers()[1]));
    let mut commit_in_secret = committed_in_secret(Arc::clone(&runs));
    let late = PUT.within(Duration::from_millis(200));
    let unknown = bench.database.write_once(late, once("l"), move |c| {
        breaker.force_open(Some(Duration::from_secs(60)), "by hand", None);
        commit_in_secret(c)
    });
    let unknown = unknown.await.expect_err("its deadline came first");
    assert_eq!(unknown.kind, ErrorKind::OutcomeUnknown);
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}
