//! Events of a file: past limits, storms and the spool, and the account balances.

use super::*;
use crate::clock::from_epoch_ms;
use crate::events::parse::{Exported, exported};
use uuid::Uuid;

const NOW: i64 = 1_750_000_000_000;

fn file(count: u128) -> Vec<Exported> {
    let line = |number: u128| {
        let json = r#"{"message":"disk failed","type":"api","severity":"high","source":"shop","release":"1","occurrences":10}"#;
        exported(json, from_epoch_ms(NOW), || Uuid::from_u128(number + 1)).unwrap()
    };
    (0..count).map(line).collect()
}

fn number(bench: &Bench, sql: &str) -> i64 {
    bench
        .sink
        .connection
        .lock()
        .query_row(sql, [], |row| row.get(0))
        .unwrap()
}

#[tokio::test]
async fn each_line_is_a_row_of_its_own_that_stands_for_as_many_as_before() {
    let mut bench = bench();
    *bench.sink.groups.lock() = Groups::new(1, Arc::default());
    bench.log.limit(1, Arc::default());
    let are_new = bench.log.import(file(300)).await.unwrap();
    assert_eq!(are_new, [true; 300]);
    assert_eq!(
        bench.log.import(file(301)).await.unwrap(),
        [&[false; 300][..], &[true]].concat()
    );
    assert_eq!(
        number(&bench, "SELECT count(*) FROM events WHERE occurrences = 10"),
        301
    );
    for counted in ["groups", "event_hours", "event_totals", "group_hours", "group_releases"] {
        assert_eq!(
            number(&bench, &format!("SELECT sum(count) FROM {counted}")),
            3010,
            "{counted}"
        );
    }
    let ledger = bench.log.ledger();
    assert_eq!((ledger.accepted, ledger.stored, ledger.duplicates), (301, 301, 300));
    assert!(ledger.balanced() && bench.log.unindexed() == 301);
}

#[tokio::test]
async fn what_events_db_does_not_take_is_not_spooled_and_may_come_again() {
    let bench = bench();
    for mood in [Mood::Open, Mood::Unknown] {
        *bench.sink.mood.lock() = mood;
        bench.log.import(file(2)).await.unwrap_err();
        assert_eq!(bench.log.spool_status().events, 0);
        assert!(bench.log.ledger().balanced() && bench.log.ledger().accepted == 0);
    }
    *bench.sink.mood.lock() = Mood::Well;
    // They were stored all the same, and are known.
    assert_eq!(bench.log.import(file(3)).await.unwrap(), [false, false, true]);
}
