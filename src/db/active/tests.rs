//! Entries, generations, stops and leaks.

use std::panic::Location;

use super::*;
use crate::db::deadline::{Limits, Scope, obey_scopes};

#[track_caller]
fn caller() -> Caller {
    Caller {
        site: Location::caller(),
        origin: None,
    }
}

fn begin(active: &Arc<Active>, now: Instant, time: Duration, connection: Option<&Connection>) -> Running {
    begin_with_flag(active, now, time, connection).0
}

fn begin_with_flag(
    active: &Arc<Active>,
    now: Instant,
    time: Duration,
    connection: Option<&Connection>,
) -> (Running, Flag) {
    let beginning = Beginning {
        operation: "t.get",
        writes: false,
        snapshot: false,
        caller: &caller(),
        now,
        deadline: now + time,
    };
    Active::begin(Arc::clone(active), &beginning, connection)
}

#[test]
fn an_entry_is_there_exactly_as_long_as_its_operation() {
    let active = Active::new(1);
    let now = Instant::now();
    let (first, second) = (
        begin(&active, now, Duration::from_secs(1), None),
        begin(&active, now + Duration::from_secs(1), Duration::from_secs(1), None),
    );
    let listed = active.list(now + Duration::from_secs(3));
    assert_eq!(listed.len(), 2, "one more than it had places for");
    assert_eq!((listed[0].id, listed[0].age), (first.id(), Duration::from_secs(3)));
    assert!(
        listed[0].call_site.contains("active/tests.rs:"),
        "{}",
        listed[0].call_site
    );
    drop(first);
    assert_eq!(active.list(now)[0].id, second.id());
    drop(second);
    assert!(active.list(now).is_empty());
}

#[test]
fn a_stale_name_stops_nobody() {
    let active = Active::new(1);
    let first = begin(&active, Instant::now(), Duration::from_secs(1), None);
    let stale = first.id();
    drop(first);
    let (second, flag) = begin_with_flag(&active, Instant::now(), Duration::from_secs(1), None);
    assert_eq!(second.id().slot, stale.slot, "the same place");
    assert_eq!(active.cancel(stale), Cancel::Over);
    assert!(!flag.load(Ordering::Relaxed) && !active.was_cancelled(second.id()));
    assert_eq!(active.cancel(second.id()), Cancel::Asked);
    assert!(flag.load(Ordering::Relaxed) && active.was_cancelled(second.id()));
    drop(second);
    let (_third, flag) = begin_with_flag(&active, Instant::now(), Duration::from_secs(1), None);
    assert!(!flag.load(Ordering::Relaxed), "a place is clean when it is used again");
}

#[test]
fn names_are_read_as_they_are_written() {
    let id = OperationId {
        slot: 12,
        generation: 7,
    };
    assert_eq!(id.to_string().parse(), Ok(id));
    let waiting = OperationId {
        slot: pending::NO_SLOT,
        generation: 7,
    };
    assert_eq!((waiting.to_string().as_str(), "w-7".parse()), ("w-7", Ok(waiting)));
    for bad in ["", "12", "12-", "-7", "12-7-1", "a-b"] {
        assert!(bad.parse::<OperationId>().is_err(), "{bad}");
    }
}

#[test]
fn a_connection_kept_too_long_is_told_of_once() {
    let active = Active::new(4);
    let connection = Connection::open_in_memory().expect("opens");
    let now = Instant::now();
    let _long = begin(&active, now, Duration::from_secs(60), Some(&connection));
    let _short = begin(&active, now, Duration::from_secs(1), Some(&connection));
    let _waiting = begin(&active, now, Duration::from_secs(1), None);
    assert!(active.new_leaks(now + Duration::from_millis(1900)).is_empty());
    assert_eq!(
        active.new_leaks(now + Duration::from_secs(2)).len(),
        1,
        "past its own time"
    );
    assert_eq!(active.new_leaks(now + LEAK_AFTER).len(), 1, "past what is usual");
    assert!(
        active.new_leaks(now + Duration::from_secs(90)).is_empty(),
        "told of already"
    );
    assert_eq!(active.leaks(), 2);
}

/// A table whose `count(*)` takes long and runs without a step.
fn wide() -> Connection {
    let connection = Connection::open_in_memory().expect("opens");
    obey_scopes(&connection).expect("set");
    connection
        .execute_batch(
            "PRAGMA page_size = 512; VACUUM; CREATE TABLE t(a);
             INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000)
             SELECT zeroblob(400) FROM n",
        )
        .expect("filled");
    connection
}

#[test]
fn an_interrupt_ends_what_runs_without_steps_and_never_meets_the_next() {
    let connection = wide();
    let count = |c: &Connection| c.query_row("SELECT count(*) FROM t", [], |r| r.get::<_, i64>(0));
    let active = Active::new(1);
    let limits = || Limits {
        deadline: Instant::now() + Duration::from_secs(60),
        lock_budget: Duration::ZERO,
        cancelled: None,
    };
    let overdue = Arc::new(AtomicBool::new(false));
    let stopper = std::thread::spawn({
        let (active, over) = (Arc::clone(&active), Arc::clone(&overdue));
        move || {
            while !over.load(Ordering::Relaxed) {
                active.stop_overdue(Instant::now());
            }
        }
    });
    let mut stopped = 0;
    for _ in 0..50 {
        let running = begin(&active, Instant::now(), Duration::ZERO, Some(&connection));
        let scope = Scope::enter(limits());
        stopped += u32::from(count(&connection).is_err());
        drop(scope);
        drop(running);
        let _next = begin(&active, Instant::now(), Duration::from_secs(60), Some(&connection));
        assert_eq!(count(&connection).expect("the next one is unaffected"), 300_000);
    }
    overdue.store(true, Ordering::Relaxed);
    stopper.join().expect("ends");
    assert!(stopped > 0, "not one was stopped");
}
