//! Limits on real statements and real locks.

use super::*;

fn limits(deadline: Duration, lock_budget: Duration) -> Limits {
    Limits {
        deadline: Instant::now() + deadline,
        lock_budget,
        cancelled: None,
    }
}

const FOREVER: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

fn endless(connection: &rusqlite::Connection) -> rusqlite::Result<i64> {
    connection.query_row(FOREVER, [], |row| row.get(0))
}

#[test]
fn a_runaway_query_is_stopped_and_the_next_borrower_is_not() {
    let connection = rusqlite::Connection::open_in_memory().expect("opens");
    obey_scopes(&connection).expect("set");
    let scope = Scope::enter(limits(Duration::from_millis(20), Duration::ZERO));
    let error = endless(&connection).expect_err("stopped");
    assert_eq!(crate::db::classify::code_of(&error), Some(9));
    drop(scope);
    let _next = Scope::enter(limits(Duration::from_secs(60), Duration::ZERO));
    let one: i64 = connection
        .query_row("SELECT 1", [], |row| row.get(0))
        .expect("unaffected");
    assert_eq!(one, 1);
}

#[test]
fn a_caller_that_leaves_stops_its_query() {
    let connection = rusqlite::Connection::open_in_memory().expect("opens");
    obey_scopes(&connection).expect("set");
    let cancelled = Arc::new(AtomicBool::new(true));
    let mut limits = limits(Duration::from_secs(60), Duration::ZERO);
    limits.cancelled = Some(cancelled);
    let _scope = Scope::enter(limits);
    assert!(endless(&connection).is_err());
}

#[test]
fn a_lock_is_waited_for_exactly_as_long_as_the_budget_says() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("a.db");
    let holder = rusqlite::Connection::open(&path).expect("opens");
    holder
        .execute_batch("CREATE TABLE t(a); BEGIN IMMEDIATE")
        .expect("locks");
    let waiter = rusqlite::Connection::open(&path).expect("opens");
    obey_scopes(&waiter).expect("set");
    let scope = Scope::enter(limits(Duration::from_secs(60), Duration::from_millis(30)));
    let started = Instant::now();
    assert!(waiter.execute_batch("BEGIN IMMEDIATE").is_err());
    assert!(started.elapsed() >= Duration::from_millis(30));
    assert!(scope.lock_budget_spent());
    drop(scope);
    let scope = Scope::enter(limits(Duration::from_secs(60), Duration::ZERO));
    assert!(
        waiter.execute_batch("BEGIN IMMEDIATE").is_err(),
        "zero means don't wait"
    );
    assert!(!scope.lock_budget_spent());
    drop(scope);
    holder.execute_batch("COMMIT").expect("releases");
    let _scope = Scope::enter(limits(Duration::from_secs(60), Duration::ZERO));
    waiter.execute_batch("BEGIN IMMEDIATE").expect("free");
}

#[test]
fn naps_are_short_and_differ() {
    assert_eq!(nap(Duration::ZERO, 0.5), SHORTEST_NAP);
    assert_eq!(nap(Duration::from_secs(60), 0.5), LONGEST_NAP);
    assert!(nap(Duration::from_millis(150), 0.0) < nap(Duration::from_millis(150), 0.9));
}

#[test]
fn what_keeps_a_waiter_out_is_named_when_its_budget_is_spent_and_not_before() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("a.db");
    let holder = rusqlite::Connection::open(&path).expect("opens");
    holder
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t(a); BEGIN IMMEDIATE")
        .expect("locks");
    let waiter = rusqlite::Connection::open(&path).expect("opens");
    obey_scopes(&waiter).expect("set");
    let holders = Arc::new(Holders::new(&path));
    let scope = Scope::enter(limits(Duration::from_secs(60), Duration::from_millis(250))).watching(&holders);
    assert_eq!(scope.lock_holder(true), None);
    assert!(waiter.execute_batch("BEGIN IMMEDIATE").is_err());
    if cfg!(target_os = "linux") {
        let found = scope.lock_holder(true).expect("seen");
        assert!(found.ours && found.held_ms > 0, "{found:?}");
    }
}
