//! Tests of the store on a connection of its own: idempotency, groups, counts.

use super::*;
use crate::clock::from_epoch_ms;
use crate::events::{parse, schema};

const NOW: i64 = 1_750_000_000_000;

fn prepared(json: serde_json::Value) -> Prepared {
    Prepared::new(parse::event(&json.to_string(), from_epoch_ms(NOW)).unwrap())
}

/// By an engine that remembers nothing from before.
fn insert(connection: &Connection, batch: &[Prepared]) -> rusqlite::Result<Vec<Inserted>> {
    super::insert(connection, batch, &mut Engine::default())
}

fn message(text: &str) -> Prepared {
    prepared(serde_json::json!({ "message": text }))
}

fn number(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_batch_is_inserted_once_however_often_it_comes() {
    let connection = schema::connection();
    let batch = [message("a 1"), message("a 2"), message("b"), message("a 3")];
    let first = insert(&connection, &batch).unwrap();
    let Inserted::New { group_id } = first[0] else {
        panic!("new")
    };
    assert_eq!(first[3], Inserted::New { group_id });
    assert_ne!(first[2], Inserted::New { group_id });
    for _ in 0..3 {
        assert_eq!(insert(&connection, &batch).unwrap(), [Inserted::Duplicate; 4]);
    }
    assert_eq!(number(&connection, "SELECT count(*) FROM events"), 4);
    assert_eq!(number(&connection, "SELECT sum(count) FROM groups"), 4);
    assert_eq!(number(&connection, "SELECT sum(count) FROM event_hours"), 4);
    assert_eq!(number(&connection, "SELECT sum(count) FROM event_totals"), 4);
    assert_eq!(number(&connection, "SELECT count(*) FROM groups"), 2);
}

#[test]
fn the_same_id_twice_in_one_batch_is_one_event() {
    let connection = schema::connection();
    let one = message("x");
    let answers = insert(&connection, &[one.clone(), one]).unwrap();
    assert!(matches!(answers[..], [Inserted::New { .. }, Inserted::Duplicate]));
    assert_eq!(number(&connection, "SELECT count FROM groups"), 1);
}

#[test]
fn a_duplicate_with_another_text_makes_no_group() {
    let connection = schema::connection();
    let id = "0192f0c1-a2b3-7c4d-8e9f-001122334455";
    insert(
        &connection,
        &[prepared(serde_json::json!({ "id": id, "message": "first" }))],
    )
    .unwrap();
    let again = prepared(serde_json::json!({ "id": id, "message": "second text" }));
    assert_eq!(insert(&connection, &[again]).unwrap(), [Inserted::Duplicate]);
    assert_eq!(number(&connection, "SELECT count(*) FROM groups"), 1);
    assert_eq!(number(&connection, "SELECT count(*) FROM group_keys"), 1);
}

#[test]
fn groups_know_their_span_and_worst_severity() {
    let connection = schema::connection();
    let at = |time: &str, severity: &str| {
        prepared(serde_json::json!({ "message": "m", "timestamp": time, "severity": severity }))
    };
    insert(
        &connection,
        &[at("2025-01-02T00:00:00Z", "high"), at("2025-01-03T00:00:00Z", "low")],
    )
    .unwrap();
    insert(&connection, &[at("2025-01-01T00:00:00Z", "low")]).unwrap();
    let span: (i64, i64, u8, i64) = connection
        .query_row("SELECT first_seen, last_seen, severity, count FROM groups", [], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?))
        })
        .unwrap();
    assert_eq!(span, (1_735_689_600_000, 1_735_862_400_000, Severity::High.number(), 3));
    assert_eq!(number(&connection, "SELECT count(*) FROM event_hours"), 3);
}

#[test]
fn a_rolled_back_batch_leaves_nothing() {
    let connection = schema::connection();
    connection.execute_batch("SAVEPOINT job").unwrap();
    insert(&connection, &[message("x")]).unwrap();
    connection.execute_batch("ROLLBACK TO job; RELEASE job").unwrap();
    for table in ["events", "groups", "group_keys", "event_hours", "event_totals"] {
        assert_eq!(
            number(&connection, &format!("SELECT count(*) FROM {table}")),
            0,
            "{table}"
        );
    }
}
