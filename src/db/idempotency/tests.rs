//! The ledger on a file of its own.

use super::*;
use crate::db::internal;

fn ledger() -> Connection {
    let mut connection = Connection::open_in_memory().expect("opens");
    internal::ensure(&mut connection, 7).expect("made");
    connection
}

fn once(key: &str, fingerprint: u8) -> Once {
    Once {
        key: key.to_owned(),
        fingerprint: [fingerprint; 32],
    }
}

fn kept(connection: &Connection) -> i64 {
    connection
        .query_row("SELECT count(*) FROM mainstay_answers", [], |row| row.get(0))
        .expect("counted")
}

fn say(connection: &Connection, key: &str, at: i64, answer: &str) -> Effect<Answered<String>> {
    run(connection, &once(key, 1), at, &mut false, &mut |_| {
        Ok(Effect::Commit(answer.to_owned()))
    })
    .expect("ran")
}

const DAY_MS: i64 = 24 * 3_600_000;

#[test]
fn the_first_answer_stands_until_it_is_too_old() {
    let db = ledger();
    assert_eq!(say(&db, "k", 0, "one"), Effect::Commit(Answered::First("one".into())));
    assert_eq!(
        say(&db, "k", DAY_MS, "two"),
        Effect::Rollback(Answered::Again("one".into()))
    );
    let other = run(&db, &once("k", 2), 5, &mut false, &mut |_| {
        Ok(Effect::Commit(String::new()))
    })
    .expect("ran");
    assert_eq!(other, Effect::Rollback(Answered::Mismatch));
    assert_eq!(
        say(&db, "k", DAY_MS + 1, "two"),
        Effect::Commit(Answered::First("two".into()))
    );
    assert_eq!(kept(&db), 1, "the old entry made room for the new one");
}

#[test]
fn what_was_refused_is_not_kept() {
    let db = ledger();
    let refused = run(&db, &once("k", 1), 0, &mut false, &mut |_| {
        Ok(Effect::Rollback("no".to_owned()))
    })
    .expect("ran");
    assert_eq!(refused, Effect::Rollback(Answered::First("no".into())));
    assert_eq!(say(&db, "k", 1, "yes"), Effect::Commit(Answered::First("yes".into())));
}

#[test]
fn old_answers_go_with_new_ones_and_when_idle() {
    let db = ledger();
    for n in 0..600 {
        say(&db, &format!("k{n}"), 0, "x");
    }
    say(&db, "new", DAY_MS + 1, "x");
    assert_eq!(kept(&db), 601 - WITH_EACH);
    assert_eq!(prune_chunk(&db, DAY_MS + 1).expect("pruned"), Effect::Commit(true));
    while prune_chunk(&db, DAY_MS + 1).expect("pruned") == Effect::Commit(true) {}
    assert_eq!(prune_chunk(&db, DAY_MS + 1).expect("pruned"), Effect::Rollback(false));
    assert_eq!(kept(&db), 1);
}

#[test]
fn the_bytes_held_are_bounded() {
    let db = ledger();
    let answer = "x".repeat(1 << 20);
    for n in 0..80 {
        say(&db, &format!("k{n}"), n, &answer);
    }
    let bytes: i64 = db
        .query_row("SELECT sum(length(answer)) FROM mainstay_answers", [], |row| row.get(0))
        .expect("summed");
    assert!(bytes <= MOST_BYTES + (1 << 21), "{bytes}");
    assert!(kept(&db) >= 60);
    assert!(matches!(say(&db, "k79", 90, ""), Effect::Rollback(Answered::Again(_))));
}
