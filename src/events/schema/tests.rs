//! Files of the first version become files of the present one, with everything in them.

use rusqlite::Connection;

use super::MIGRATIONS;
use crate::events::index::rows;
use crate::events::order::{first_place, ms_of};

#[test]
fn events_of_the_first_version_are_moved_in_their_order() {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(MIGRATIONS[0].sql).unwrap();
    let times = [50, 7, i64::MIN / 4, 50, i64::MAX / 4, 50, -3_600_001];
    for (seq, ts) in (0_i64..).zip(times) {
        connection
            .execute(
                "INSERT INTO events (seq, id, ts, received, type, severity, assessed, class, group_id, message)
                 VALUES (?1, randomblob(16), ?2, 9, 2, 1, 1, 3, 1, 'word ' || ?1)",
                (seq, ts),
            )
            .unwrap();
    }
    MIGRATIONS[1..]
        .iter()
        .for_each(|step| connection.execute_batch(step.sql).expect(step.name));
    let mut statement = connection
        .prepare("SELECT at, message, ts FROM events ORDER BY at")
        .unwrap();
    let moved: Vec<(i64, String, Option<i64>)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let expected = [
        (first_place(i64::MIN), "word 2", Some(i64::MIN / 4)),
        (first_place(-3_600_001), "word 6", None),
        (first_place(7), "word 1", None),
        (first_place(50), "word 0", None),
        (first_place(50) + 1, "word 3", None),
        (first_place(50) + 2, "word 5", None),
        (first_place(i64::MAX), "word 4", Some(i64::MAX / 4)),
    ];
    let shown: Vec<_> = moved
        .iter()
        .map(|(at, message, ts)| (*at, message.as_str(), *ts))
        .collect();
    assert_eq!(shown, expected);
    let hours: Vec<(i64, i64)> = connection
        .prepare("SELECT hour, count FROM event_hours ORDER BY hour")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let hour = |ms: i64| ms_of(first_place(ms)).div_euclid(3_600_000);
    assert_eq!(hours, [(hour(i64::MIN), 1), (-2, 1), (0, 4), (hour(i64::MAX), 1)]);
    let waiting: i64 = connection
        .query_row("SELECT count(*) FROM to_index", [], |row| row.get(0))
        .unwrap();
    assert_eq!(waiting, 7, "the text index takes them after the start");
}

#[test]
fn the_text_index_is_made_anew_newest_first() {
    let connection = Connection::open_in_memory().unwrap();
    let (before, after) = MIGRATIONS.split_at(10);
    before
        .iter()
        .for_each(|step| connection.execute_batch(step.sql).expect(step.name));
    for (at, queue) in [
        (first_place(3), None),
        (first_place(5), Some("to_index")),
        (first_place(4), None),
    ] {
        let insert = "INSERT INTO events (at, id, received, type, severity, assessed, class, group_id, message)
             VALUES (?1, randomblob(16), 9, 2, 1, 1, 3, 1, 'word')";
        connection.execute(insert, [at]).unwrap();
        let how = match queue {
            Some(_) => "INSERT INTO to_index VALUES (?1)",
            None => "INSERT INTO event_text (rowid, text, terms) VALUES (?1, 'word', 'k21')",
        };
        connection.execute(how, [at]).unwrap();
    }
    after
        .iter()
        .for_each(|step| connection.execute_batch(step.sql).expect(step.name));
    let found = || {
        let sql = "SELECT ~rowid FROM event_text WHERE event_text MATCH 'word' ORDER BY rowid";
        let mut statement = connection.prepare(sql).unwrap();
        let places = statement.query_map([], |row| row.get(0)).unwrap();
        places.map(|place| ms_of(place.unwrap())).collect::<Vec<_>>()
    };
    assert!(found().is_empty());
    rows::index(&connection, &rows::next(&connection, 9).unwrap()).unwrap();
    assert_eq!(found(), [5, 4, 3]);
    connection
        .execute("DELETE FROM events WHERE at = ?1", [first_place(4)])
        .unwrap();
    assert_eq!(found(), [5, 3]);
}
