//! Tests of the trace on a connection of its own: whose run counts as slow.

use super::*;
use crate::db::deadline::{Limits, Scope, obey_scopes};

const THRESHOLD: Duration = Duration::from_millis(1);
/// Well past the threshold, so that what is stopped then has taken long enough to be slow.
const TIME: Duration = Duration::from_millis(20);
const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

/// Runs without end below these limits, until it is stopped; slow runs that are told, and that are counted, of all.
fn stopped(deadline: Instant, lock_budget: Duration, by_another: bool) -> (usize, u64, u64) {
    let statements = Arc::new(Statements::new(THRESHOLD, jiff::Timestamp::UNIX_EPOCH));
    let connection = Connection::open_in_memory().unwrap();
    obey_scopes(&connection).unwrap();
    watch(&connection, &statements);
    let _scope = Scope::enter(Limits {
        deadline,
        lock_budget,
        cancelled: None,
    });
    let watch = Watch::enter("test");
    let interrupt = connection.get_interrupt_handle();
    let ended = std::thread::scope(|scope| {
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        if by_another {
            scope.spawn(move || {
                std::thread::sleep(TIME);
                // Again and again: an interrupt that finds no statement running is dropped.
                while is_done.recv_timeout(Duration::from_millis(1)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
                {
                    interrupt.interrupt();
                }
            });
        }
        let ended = connection.query_row(ENDLESS, [], |row| row.get::<_, i64>(0));
        drop(done);
        ended
    });
    assert_eq!(code_of(&ended.unwrap_err()), Some(ffi::SQLITE_INTERRUPT));
    let figures = statements.kept().statements.remove(0).1;
    (watch.take().slow.len(), figures.slow, figures.calls)
}

#[test]
fn what_is_stopped_in_place_is_counted_but_never_slow() {
    let soon = || clock::now() + TIME;
    let later = || clock::now() + Duration::from_secs(60);
    assert_eq!(stopped(soon(), Duration::ZERO, false), (0, 0, 1), "by its deadline");
    assert_eq!(stopped(later(), Duration::ZERO, true), (0, 0, 1), "by another thread");
}

#[test]
fn what_is_stopped_for_good_is_slow() {
    let budget = Duration::from_secs(1);
    assert_eq!(
        stopped(clock::now() + TIME, budget, false),
        (1, 1, 1),
        "by its deadline"
    );
    let later = clock::now() + Duration::from_secs(60);
    assert_eq!(stopped(later, budget, true), (1, 1, 1), "by another thread");
}
