//! Places against a plain loop: each event takes the next free one of its millisecond, also in a full one.

use std::collections::BTreeSet;

use super::*;
use crate::clock::{from_epoch_ms, rfc3339_ms};
use crate::events::group::Engine;
use crate::events::store::insert;
use crate::events::{parse, schema};

const NOW: i64 = 1_750_000_000_000;

fn event(at_ms: i64) -> Prepared {
    let json = serde_json::json!({ "message": "m", "timestamp": rfc3339_ms(from_epoch_ms(at_ms)) });
    Prepared::new(parse::event(&json.to_string(), from_epoch_ms(NOW)).unwrap())
}

fn place_of(connection: &Connection, event: &Prepared) -> i64 {
    connection
        .query_row(
            "SELECT at FROM events WHERE id = ?1",
            [event.event.id.as_bytes()],
            |row| row.get(0),
        )
        .unwrap()
}

#[test]
fn events_take_the_next_free_place_of_their_millisecond_in_any_batches() {
    for seed in 0..20 {
        let connection = schema::connection();
        let mut random = fastrand::Rng::with_seed(seed);
        // Some milliseconds are full, save one or two places.
        let mut taken = BTreeSet::new();
        for ms in 0..6 {
            if random.bool() {
                continue;
            }
            let at = first_place(NOW - ms + 1) - 1 - random.i64(0..2);
            let mut full = connection
                .prepare(
                    "INSERT INTO events (at, id, received, type, severity, assessed, class, group_id, message)
                          VALUES (?1, randomblob(16), 0, 0, 0, 0, 0, 1, '')",
                )
                .unwrap();
            full.execute([at]).unwrap();
            taken.insert(at);
        }
        for _ in 0..6 {
            let batch: Vec<_> = (0..random.usize(1..9)).map(|_| event(NOW - random.i64(0..6))).collect();
            insert(&connection, &batch, &mut Engine::default()).unwrap();
            for one in &batch {
                let mut expected = first_place(one.event.timestamp_ms);
                loop {
                    let last = taken.range(expected..end_of_ms(expected)).next_back();
                    expected = last.map_or(expected, |last| last + 1);
                    if !taken.contains(&expected) && last.is_none_or(|last| ms_of(*last) == ms_of(expected)) {
                        break;
                    }
                }
                assert_eq!(place_of(&connection, one), expected, "seed {seed}");
                assert!(taken.insert(expected));
            }
        }
        let told: Vec<i64> = connection
            .prepare("SELECT coalesce(ts, at >> 20) FROM events WHERE ts IS NOT NULL")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert!(
            told.iter().all(|ts| (NOW - 6..=NOW).contains(ts)),
            "the true time is kept"
        );
    }
}

#[test]
fn a_batch_amid_many_events_looks_for_each_place() {
    let connection = schema::connection();
    let many: Vec<_> = (0..MOST_KNOWN as i64 + 50).map(|n| event(NOW - n)).collect();
    insert(&connection, &many, &mut Engine::default()).unwrap();
    let late: Vec<_> = (0..MOST_KNOWN as i64 + 50).map(|n| event(NOW - n)).collect();
    insert(&connection, &late, &mut Engine::default()).unwrap();
    for (n, one) in (0_i64..).zip(&late) {
        assert_eq!(place_of(&connection, one), first_place(NOW - n) + 1);
    }
    let queued: i64 = connection
        .query_row("SELECT count(*) FROM to_index", [], |row| row.get(0))
        .unwrap();
    assert_eq!(queued as usize, many.len() + late.len());
}
