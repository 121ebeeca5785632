//! Tests of thinned groups on a connection of its own: few rows, every occurrence counted once, everywhere.

use std::sync::Arc;

use rusqlite::Connection;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::clock::from_epoch_ms;
use crate::events::group::{self, Engine};
use crate::events::query::{self, Filter, List};
use crate::events::store::{Inserted, Prepared, insert_thinned};
use crate::events::storm::Status;
use crate::events::{parse, schema};

const NOW: i64 = 1_750_000_000_000;
const LIMIT: u32 = 10;

struct Bench {
    connection: Connection,
    engine: Engine,
    groups: Groups,
}

fn bench() -> Bench {
    Bench {
        connection: schema::connection(),
        engine: Engine::default(),
        groups: Groups::new(LIMIT, Arc::<Status>::default()),
    }
}

fn prepared(json: &Value, now: i64) -> Prepared {
    Prepared::new(parse::event(&json.to_string(), from_epoch_ms(now)).unwrap())
}

fn events(count: usize) -> Vec<Prepared> {
    let event = |number| {
        prepared(
            &json!({ "message": format!("slow query {number}"), "source": "shop" }),
            NOW,
        )
    };
    (0..count).map(event).collect()
}

impl Bench {
    fn insert(&mut self, batch: &[Prepared]) -> Vec<Inserted> {
        insert_thinned(&self.connection, batch, &mut self.engine, &mut self.groups).unwrap()
    }

    fn number(&self, sql: &str) -> i64 {
        self.connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// How many events every count tells, all of which must agree; and how many rows there are.
    fn counts(&self) -> (i64, i64) {
        let occurrences = self.number("SELECT coalesce(sum(occurrences), 0) FROM events");
        for sql in [
            "SELECT coalesce(sum(count), 0) FROM groups",
            "SELECT coalesce(sum(count), 0) FROM event_hours",
            "SELECT coalesce(sum(count), 0) FROM event_totals",
            "SELECT coalesce(sum(count), 0) FROM group_hours",
        ] {
            assert_eq!(self.number(sql), occurrences, "{sql}");
        }
        (occurrences, self.number("SELECT count(*) FROM events"))
    }

    fn total(&self, filter: Filter) -> (u64, u64) {
        let list = List {
            filter,
            after: None,
            limit: 1,
            count: true,
            histogram: true,
            now_ms: NOW + 1,
        };
        let tally = query::page(&self.connection, &list).unwrap().tally.unwrap();
        (tally.total, tally.histogram.unwrap().counts.iter().sum())
    }
}

#[test]
fn a_storm_leaves_few_rows_and_every_count_is_one_of_occurrences() {
    let mut bench = bench();
    let batch = events(5000);
    let done: Vec<Inserted> = batch.chunks(256).flat_map(|chunk| bench.insert(chunk)).collect();
    let (occurrences, rows) = bench.counts();
    assert_eq!(occurrences, 5000);
    assert!((11..100).contains(&rows), "{rows} rows");
    let counted = done
        .iter()
        .filter(|one| matches!(one, Inserted::Counted { .. }))
        .count();
    assert_eq!(counted as i64, 5000 - rows);
    assert_eq!(bench.total(Filter::default()), (5000, 5000));
    let minute = Filter {
        since_ms: Some(NOW - 60_000),
        until_ms: Some(NOW + 60_000),
        ..Filter::default()
    };
    assert_eq!(bench.total(minute), (5000, 5000));
    let of_group = Filter {
        groups: vec![1],
        ..Filter::default()
    };
    assert_eq!(bench.total(of_group), (5000, 5000));
    group::recount(&bench.connection, 1).unwrap();
    assert_eq!(bench.counts().0, 5000);
}

#[test]
fn what_was_counted_is_known_by_its_id_and_not_counted_again() {
    let mut bench = bench();
    let batch = events(300);
    let done = bench.insert(&batch);
    let Inserted::Counted { sample, group_id } = done[299] else {
        panic!("{:?}", done[299])
    };
    let found = query::event(&bench.connection, batch[299].event.id).unwrap().unwrap();
    assert_eq!((found.event.id, found.group_id), (sample, Some(group_id)));
    assert!(found.occurrences > 1);
    assert!(query::event(&bench.connection, Uuid::nil()).unwrap().is_none());
    for _ in 0..2 {
        assert_eq!(bench.insert(&batch), [Inserted::Duplicate; 300]);
    }
    // Nor when the storm is over, or another process has forgotten it, or the text says something else.
    bench.groups = Groups::new(LIMIT, Arc::default());
    assert_eq!(bench.insert(&batch[299..]), [Inserted::Duplicate]);
    let other = prepared(&json!({ "id": batch[299].event.id, "message": "other words" }), NOW);
    assert_eq!(bench.insert(&[other]), [Inserted::Duplicate]);
    assert_eq!(bench.counts().0, 300);
    assert_eq!(bench.number("SELECT count(*) FROM groups"), 1);
}

#[test]
fn the_first_of_its_kind_is_never_thinned() {
    let mut bench = bench();
    bench.insert(&events(100));
    let kinds = ["critical", "high", "low"].map(|severity| json!({ "message": "slow query 7", "severity": severity }));
    let done = bench.insert(&kinds.map(|kind| prepared(&kind, NOW)));
    assert!(done.iter().all(|one| matches!(one, Inserted::New { .. })), "{done:?}");
}

#[test]
fn a_sample_that_is_gone_is_followed_by_another_one() {
    let mut bench = bench();
    bench.insert(&events(100));
    // As a purge does, or a transaction that was rolled back.
    bench.connection.execute_batch("DELETE FROM events").unwrap();
    let done = bench.insert(&events(50));
    assert!(matches!(done[0], Inserted::New { .. }), "{done:?}");
    assert_eq!(bench.number("SELECT sum(occurrences) FROM events"), 50);
    let savepoint = bench.connection.unchecked_transaction().unwrap();
    let more = events(2000);
    insert_thinned(&savepoint, &more, &mut bench.engine, &mut bench.groups).unwrap();
    savepoint.rollback().unwrap();
    bench.insert(&more);
    assert_eq!(bench.number("SELECT sum(occurrences) FROM events"), 2050);
}

#[test]
fn the_ids_are_bounded_by_number_and_by_age() {
    let mut bench = bench();
    bench.insert(&events(300));
    let before = bench.number("SELECT count(*) FROM counted");
    assert!(before > 250);
    let next_day = NOW + KEPT_MS + 1;
    bench.insert(&[prepared(&json!({ "message": "calm" }), next_day)]);
    assert_eq!(bench.number("SELECT count(*) FROM counted"), 0);
    let add = "INSERT INTO counted VALUES (?1, randomblob(16), zeroblob(16), 1 << 62)";
    for number in [1, 2, 3, MOST_IDS + 3] {
        bench.connection.execute(add, [number]).unwrap();
    }
    bench.insert(&[prepared(&json!({ "message": "calm" }), next_day)]);
    assert_eq!(bench.number("SELECT count(*) FROM counted "), 1);
}

#[test]
fn what_the_spool_brings_late_is_judged_by_the_minute_in_which_it_came() {
    let mut bench = bench();
    let at = |minute: i64| prepared(&json!({ "message": "slow query 1" }), NOW - minute * 60_000);
    // One a minute for an hour, replayed at once among events of now: no storm.
    let batch: Vec<Prepared> = (1..=60).rev().flat_map(|minute| [at(minute), at(0)]).take(18).collect();
    bench.insert(&batch);
    assert_eq!(bench.counts(), (18, 18));
}
