//! The statements on a file of the present schema.

use super::*;
use crate::events::order::first_place;
use crate::events::schema;

const NOW: i64 = 1_800_000_000_000;

/// Events at these times, counted by the hour as the store does.
fn with_events(times: &[i64]) -> Connection {
    let c = schema::connection();
    for ms in times {
        c.execute(
            "INSERT INTO events (at, id, received, type, severity, assessed, class, group_id, message)
             VALUES (?1, randomblob(16), 0, 0, 0, 0, 0, 1, '')",
            [first_place(*ms)],
        )
        .expect("an event");
        c.execute(
            "INSERT INTO event_hours VALUES (?1, 0, 0, 1) ON CONFLICT DO UPDATE SET count = count + 1",
            [ms.div_euclid(HOUR_MS)],
        )
        .expect("counted");
    }
    c
}

#[test]
fn what_is_before_a_time_is_counted_exactly_without_reading_whole_hours() {
    let times: Vec<i64> = (0..500).map(|number| NOW - number * 777_777).collect();
    let c = with_events(&times);
    for cutoff in [
        NOW - 200_000_000,
        NOW - 199_999_123,
        NOW - 400_000_000,
        NOW - HOUR_MS * 7,
        NOW + 1,
        0,
    ] {
        let counted = times.iter().filter(|ms| **ms < cutoff).count() as u64;
        assert_eq!(
            count_before(&c, first_place(cutoff)).expect("counted"),
            (counted, counted),
            "{cutoff}"
        );
    }
    let places = before(&c, first_place(NOW - 200_000_000), i64::MIN, 3).expect("read");
    assert_eq!(places.len(), 3);
    assert!(places.is_sorted());
    let next = before(&c, first_place(NOW - 200_000_000), places[2], 3).expect("read");
    assert!(next[0] > places[2]);
}

#[test]
fn a_storm_counts_by_its_rows_and_pages_that_are_being_wiped_hold_nothing() {
    let c = with_events(&[NOW - HOUR_MS, NOW - 5]);
    c.execute_batch(
        "UPDATE events SET occurrences = 5000;
         UPDATE event_hours SET count = 5000 * count;
         INSERT OR REPLACE INTO event_totals (type, severity, count) VALUES (0, 0, 10000)",
    )
    .expect("a storm");
    let before = measure(&c, Path::new("")).expect("measured");
    assert_eq!((before.events, before.occurrences), (2, 10_000));
    for (cutoff, rows) in [(NOW, 2), (NOW - 5, 1), (NOW - HOUR_MS, 0)] {
        assert_eq!(
            count_before(&c, first_place(cutoff)).expect("counted"),
            (rows, 5000 * rows)
        );
    }
    c.execute("INSERT INTO wiped_pages (zeros) VALUES (zeroblob(1000000))", [])
        .expect("wiping");
    let used = measure(&c, Path::new("")).expect("measured").used_bytes;
    assert!(used < before.used_bytes + 50_000, "{used}");
}

#[test]
fn what_left_is_added_up_by_reason_and_what_hands_removed_is_read_from_the_receipts() {
    let c = schema::connection();
    let removed = Removed {
        events: 3,
        bytes: 500,
        ..Removed::default()
    };
    for reason in [Reason::Bytes, Reason::Bytes, Reason::Age] {
        note_removed(&c, reason, &removed).expect("noted");
    }
    let left = left(&c).expect("read");
    assert_eq!(
        (left[Reason::Bytes as usize].events, left[Reason::Bytes as usize].bytes),
        (6, 1000)
    );
    assert_eq!(
        (left[Reason::Age as usize].events, left[Reason::Count as usize].events),
        (3, 0)
    );
    assert_eq!(left_by_hand(&c).expect("read"), [0, 0]);
    let tally = serde_json::to_string(&removed).expect("JSON");
    for kind in 0..3 {
        c.execute(
            "INSERT INTO purges (kind, actor, began, bound, asked, place, tally) VALUES (?1, '', 0, 0, '', 0, ?2)",
            params![kind, tally],
        )
        .expect("a receipt");
    }
    assert_eq!(left_by_hand(&c).expect("read"), [6, 3]);
}

#[test]
fn samples_are_kept_for_two_weeks_and_come_back_in_order() {
    let c = schema::connection();
    for hour in (0..400).rev() {
        let sample = Sample {
            at_ms: NOW - hour * HOUR_MS,
            events: hour.unsigned_abs(),
            others: 7,
        };
        keep_sample(&c, sample).expect("kept");
    }
    let kept = samples(&c).expect("read");
    assert_eq!(kept.len(), HOURS_KEPT + 1);
    assert!(kept.is_sorted_by_key(|sample| sample.at_ms));
    assert_eq!(kept.last().map(|sample| sample.events), Some(0));
}

#[test]
fn old_groups_are_found_from_the_oldest_on_by_an_index() {
    let c = schema::connection();
    for (id, last_seen) in [(1, 50), (2, 10), (3, 10), (4, 99)] {
        c.execute(
            "INSERT INTO groups (id, title, type, severity, explanation, first_seen, last_seen) VALUES (?1, '', 0, 0, '', 0, ?2)",
            [id, last_seen],
        )
        .expect("a group");
    }
    assert_eq!(
        old_groups(&c, 60, (i64::MIN, i64::MIN), 2).expect("read"),
        [(10, 2), (10, 3)]
    );
    assert_eq!(old_groups(&c, 60, (10, 3), 2).expect("read"), [(50, 1)]);
}
