//! Looks against a log in memory: every event once, in the order of storing, whatever the filter and whatever was removed.

use rusqlite::Connection;
use uuid::Uuid;

use super::look::{look, rename};
use super::{After, Gap, Position};
use crate::clock::{from_epoch_ms, rfc3339_ms};
use crate::db::Migration;
use crate::events::group::Engine;
use crate::events::index::rows as index;
use crate::events::parse;
use crate::events::query::{Filter, search};
use crate::events::remove::{Terms, remove};
use crate::events::schema;
use crate::events::store::{Prepared, insert};

const NOW: i64 = 1_750_000_000_000;

fn prepared(message: &str, at_ms: i64) -> Prepared {
    let json = serde_json::json!({ "message": message, "timestamp": rfc3339_ms(from_epoch_ms(at_ms)) });
    Prepared::new(parse::event(&json.to_string(), from_epoch_ms(NOW)).unwrap())
}

fn store(connection: &Connection, message: &str, at_ms: i64) -> Uuid {
    let one = prepared(message, at_ms);
    let id = one.event.id;
    insert(connection, &[one], &mut Engine::default()).unwrap();
    id
}

fn index_all(connection: &Connection) {
    let waiting = index::next(connection, 1000).unwrap();
    index::index(connection, &waiting).unwrap();
}

fn sought(text: &str) -> Filter {
    let mut filter = Filter::default();
    search::compile(text, &mut filter).unwrap();
    filter
}

/// The ids of what follows, with where the reading ended.
fn follow(connection: &Connection, filter: &Filter, mut after: After) -> (Vec<String>, Position) {
    let mut ids = Vec::new();
    loop {
        let look = look(connection, filter, after, i64::MAX, NOW).unwrap();
        ids.extend(look.found.iter().map(|(_, json)| {
            let event: serde_json::Value = serde_json::from_str(json).unwrap();
            event["id"].as_str().unwrap().to_owned()
        }));
        if !look.is_more {
            return (ids, look.ended);
        }
        after = After::Position(look.ended);
    }
}

fn place_of(connection: &Connection, id: Uuid) -> i64 {
    connection
        .query_row("SELECT at FROM events WHERE id = ?1", [id.as_bytes()], |row| row.get(0))
        .unwrap()
}

#[test]
fn what_comes_late_or_is_dated_back_is_read_in_its_turn() {
    let connection = schema::connection();
    let mut random = fastrand::Rng::with_seed(3);
    let mut wanted = Vec::new();
    let (mut read, mut after) = (Vec::new(), After::Beginning);
    for _ in 0..600 {
        // Anywhere in two days, many in one millisecond.
        let id = store(&connection, "late", NOW - random.i64(0..200) * 864_000);
        wanted.push(id.to_string());
        if random.u8(..40) == 0 {
            let (ids, ended) = follow(&connection, &Filter::default(), after);
            read.extend(ids);
            after = After::Position(ended);
        }
    }
    read.extend(follow(&connection, &Filter::default(), after).0);
    assert_eq!(read, wanted);
}

#[test]
fn a_duplicate_takes_no_number_and_an_undone_batch_gives_its_numbers_back() {
    let connection = schema::connection();
    let one = prepared("one", NOW);
    for _ in 0..2 {
        insert(&connection, std::slice::from_ref(&one), &mut Engine::default()).unwrap();
    }
    connection.execute_batch("SAVEPOINT job").unwrap();
    store(&connection, "undone", NOW);
    connection.execute_batch("ROLLBACK TO job; RELEASE job").unwrap();
    let two = store(&connection, "two", NOW);
    let (ids, ended) = follow(&connection, &Filter::default(), After::Beginning);
    assert_eq!(ids, [one.event.id.to_string(), two.to_string()]);
    assert_eq!(ended.stored, 2);
}

#[test]
fn a_number_is_never_given_again_and_what_was_removed_unread_is_told() {
    let connection = schema::connection();
    let ids: Vec<Uuid> = (0..3).map(|n| store(&connection, &format!("e {n}"), NOW)).collect();
    let (_, read) = follow(&connection, &Filter::default(), After::Beginning);
    let before = Position { stored: 1, ..read };
    for id in &ids[1..] {
        remove(&connection, &[place_of(&connection, *id)], Terms::default()).unwrap();
    }
    // It takes the place of one that was read before, in the same millisecond.
    let next = store(&connection, "next", NOW);
    let look_after =
        |position, told| look(&connection, &Filter::default(), After::Position(position), told, NOW).unwrap();
    let found = look_after(read, 0);
    assert_eq!((found.gap, found.found.len()), (None, 1));
    assert!(found.found[0].1.contains(&next.to_string()));
    let found = look_after(before, 0);
    assert_eq!(
        (found.gap, found.found.len(), found.removed),
        (Some(Gap::Removed), 1, 3)
    );
    assert_eq!(look_after(before, found.removed).gap, None, "told once");
    rename(&connection).unwrap();
    let found = look_after(read, 0);
    assert_eq!((found.gap, found.found.len()), (Some(Gap::OtherLog), 2));
}

#[test]
fn a_search_waits_for_the_text_index_and_passes_nothing_over() {
    let connection = schema::connection();
    let filter = sought("refused -retry");
    let first = store(&connection, "connection refused", NOW);
    store(&connection, "something else", NOW);
    index_all(&connection);
    let (ids, ended) = follow(&connection, &filter, After::Beginning);
    assert_eq!((ids, ended.stored), (vec![first.to_string()], 2));
    let late = store(&connection, "refused again", NOW - 5000);
    store(&connection, "refused, retry", NOW);
    let (ids, ended) = follow(&connection, &filter, After::Position(ended));
    assert_eq!((ids.len(), ended.stored), (0, 2), "the index is behind");
    index_all(&connection);
    let (ids, ended) = follow(&connection, &filter, After::Position(ended));
    assert_eq!((ids, ended.stored), (vec![late.to_string()], 4));
}

#[test]
fn a_look_is_bounded_in_events_and_bytes() {
    let connection = schema::connection();
    let large = "x".repeat(8 << 10);
    for _ in 0..100 {
        store(&connection, &large, NOW);
    }
    let found = look(&connection, &Filter::default(), After::Beginning, 0, NOW).unwrap();
    assert!(found.is_more && found.found.len() < 100, "{}", found.found.len());
    for _ in 0..300 {
        store(&connection, "small", NOW);
    }
    let (ids, _) = follow(&connection, &Filter::default(), After::Beginning);
    assert_eq!(ids.len(), 400);
    let behind = Position {
        stored: 100,
        ..found.began
    };
    let found = look(&connection, &Filter::default(), After::Position(behind), 0, NOW).unwrap();
    assert_eq!((found.is_more, found.found.len()), (true, 100));
}

#[test]
fn events_of_before_the_sequence_are_a_gap_and_later_ones_follow() {
    let connection = Connection::open_in_memory().unwrap();
    let (before, after): (Vec<&Migration>, Vec<&Migration>) =
        schema::MIGRATIONS.iter().partition(|step| step.version < 8);
    before
        .iter()
        .for_each(|step| connection.execute_batch(step.sql).expect(step.name));
    connection
        .execute(
            "INSERT INTO events (at, id, received, type, severity, assessed, class, group_id, message)
             VALUES (1, randomblob(16), 9, 2, 1, 1, 3, 1, 'old')",
            [],
        )
        .unwrap();
    after
        .iter()
        .for_each(|step| connection.execute_batch(step.sql).expect(step.name));
    let new = store(&connection, "new", NOW);
    let found = look(&connection, &Filter::default(), After::Beginning, 0, NOW).unwrap();
    assert_eq!((found.gap, found.found.len()), (Some(Gap::Removed), 1));
    assert!(found.found[0].1.contains(&new.to_string()));
}

#[test]
fn a_look_reads_the_index_of_the_order_of_storing() {
    let connection = schema::connection();
    let plan: String = connection
        .query_row(
            "EXPLAIN QUERY PLAN
             SELECT stored, at FROM events INDEXED BY events_by_stored WHERE stored > ?1 ORDER BY stored LIMIT ?2",
            [1, 2],
            |row| row.get(3),
        )
        .unwrap();
    assert_eq!(plan, "SEARCH events USING COVERING INDEX events_by_stored (stored>?)");
}
