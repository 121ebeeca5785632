//! Tests of the engine: groups are the same whatever happens between two events.

mod whatever;

use proptest::prelude::*;
use rusqlite::Connection;

use crate::events::group::{Engine, Rules, Scanned, Subject, family, root, scan};
use crate::events::model::{ErrorType, Severity};
use crate::events::schema;

fn subject(message: &str) -> Subject<'_> {
    Subject {
        kind: ErrorType::System,
        source: None,
        message,
        thrown: None,
        causes: &[],
        fingerprint: &[],
        severity: Severity::Low,
        timestamp_ms: 1,
        received_ms: 1,
    }
}

fn of(c: &Connection, engine: &mut Engine, message: &str) -> i64 {
    let subject = subject(message);
    let scanned: Scanned = scan(subject);
    engine.resolve(c, &scanned, &subject).unwrap()
}

/// The groups of messages by one engine, resolved at the end.
fn groups(messages: &[&str]) -> Vec<i64> {
    let c = schema::connection();
    let mut engine = Engine::default();
    engine.begin(&c).unwrap();
    let ids: Vec<i64> = messages.iter().map(|m| of(&c, &mut engine, m)).collect();
    ids.iter().map(|id| root(&c, *id).unwrap().unwrap()).collect()
}

#[test]
fn names_are_told_from_words_by_how_many_there_are() {
    let quoted = groups(&["no table 'a' in here", "no table 'b' in here", "no table 'c' in here"]);
    assert_eq!(quoted, [1, 1, 1]);
    let keyed = groups(&[
        "dropped table p now",
        "dropped table q now",
        "dropped table r now",
        "dropped table s now",
    ]);
    assert_eq!(keyed, [1, 1, 1, 1]);
    let two = groups(&["dropped table p now", "dropped table q now"]);
    assert_eq!(two, [1, 2]);
    let plain = ["red", "green", "blue", "brown", "white", "black"].map(|word| format!("cannot paint it {word} today"));
    let plain: Vec<&str> = plain.iter().map(String::as_str).collect();
    assert_eq!(groups(&plain[..4]), [1, 2, 3, 4]);
    assert_eq!(groups(&plain), [1; 6]);
}

#[test]
fn a_value_absorbs_the_words_that_stood_in_its_place() {
    assert_eq!(
        groups(&["cannot bind port http here", "cannot bind port 80 here"]),
        [1, 1]
    );
    assert_eq!(
        groups(&["cannot bind port 80 here", "cannot bind port http here"]),
        [1, 1]
    );
}

#[test]
fn constants_exceptions_and_neighbours_of_values_stay_apart() {
    let constants = groups(&["all done, ok=true", "all done, ok=false", "all done, ok=null"]);
    assert_eq!(constants, [1, 2, 3]);
    let thrown = ["Io", "Bad", "Odd", "Sad", "Mad", "Old"].map(|name| format!("worker stopped by {name}Exception"));
    let thrown: Vec<&str> = thrown.iter().map(String::as_str).collect();
    assert_eq!(groups(&thrown), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn the_oldest_id_stays_and_the_family_has_all() {
    let c = schema::connection();
    let mut engine = Engine::default();
    engine.begin(&c).unwrap();
    let ids = ["user p left us", "user q left us", "user r left us"].map(|m| of(&c, &mut engine, m));
    assert_eq!(ids, [1, 2, 1]);
    assert_eq!((engine.root(2), family(&c, 2).unwrap()), (1, vec![1, 2, 3]));
    let template: String = c
        .query_row("SELECT title FROM groups WHERE id = 1", [], |row| row.get(0))
        .unwrap();
    assert_eq!(template, "user <*> left us");
}

#[test]
fn names_of_several_words_vary_as_one() {
    let names = [
        "Acme North",
        "Acme",
        "Red Pine Lodge",
        "Old Mill",
        "Acme South",
        "Teal Bay",
    ];
    let stopped = names.map(|name| format!("import of {name} failed at the end"));
    let stopped: Vec<&str> = stopped.iter().map(String::as_str).collect();
    assert_eq!(groups(&stopped[..4]), [1, 2, 3, 4]);
    assert_eq!(groups(&stopped), [1; 6]);
    let keyed = [
        "channel Old Orders stopped",
        "channel New Lab stopped",
        "channel Main stopped",
    ];
    assert_eq!(groups(&keyed), [1; 3]);
    let value = [
        "channel Old Orders stopped",
        "channel 'Lab' stopped",
        "channel 4 stopped",
    ];
    assert_eq!(groups(&value), [1; 3], "a value takes in both");
    let parts = [
        "needed package b-c 1.2",
        "needed package d-e 1.3",
        "needed package f-g 4",
        "needed package h 4",
    ];
    assert_eq!(groups(&parts), [1, 1, 1, 4]);
}

#[test]
fn two_names_and_a_word_join_what_has_values_there() {
    let two = [
        "badge 4 of 17 was given to 'b2' again",
        "badge 4 of Acme North was given to Ann Berg again",
        "badge red of Acme North was given to Ann Berg again",
    ];
    assert_eq!(groups(&two[..2]), [1, 1]);
    let word = [
        "alarm 7 of 8 reset by 9 now",
        "alarm red of Old Mill reset by Ann Berg now",
    ];
    assert_eq!(groups(&word), [1, 1]);
}

#[test]
fn a_name_at_the_beginning_of_a_sentence_needs_other_first_words() {
    let message = |name: &str| format!("{name} could not be found in time");
    let of = |names: &[&str]| {
        let messages: Vec<String> = names.iter().map(|name| message(name)).collect();
        groups(&messages.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let other = [
        "Old Mill",
        "New Mill",
        "Red Pine",
        "Acme North",
        "Teal Bay",
        "Blue River Foods",
    ];
    assert_eq!(of(&other), [1; 6]);
    let same = [
        "Customer Al",
        "Customer Bo",
        "Customer Cy",
        "Supplier Al",
        "Supplier Bo",
        "Supplier Cy",
        "Customer Di",
    ];
    assert_eq!(of(&same), [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn what_older_rules_grouped_stays_there() {
    let c = schema::connection();
    let mut older = Engine::of(Rules::Two);
    older.begin(&c).unwrap();
    let words = ["Orders", "Items", "Tags", "Notes", "Stock"];
    let old: Vec<String> = words.iter().map(|word| format!("channel Old {word} stopped")).collect();
    let new: Vec<String> = ["New Lab", "Main Lab"]
        .iter()
        .map(|name| format!("channel {name} stopped"))
        .collect();
    let mut ids: Vec<i64> = old
        .iter()
        .chain(&new)
        .map(|message| of(&c, &mut older, message))
        .collect();
    assert_eq!(groups_now(&c, &mut ids), [1, 1, 1, 1, 1, 6, 7]);
    let mut engine = Engine::default();
    engine.begin(&c).unwrap();
    let mut again: Vec<i64> = old
        .iter()
        .chain(&new)
        .map(|message| of(&c, &mut engine, message))
        .collect();
    assert_eq!(groups_now(&c, &mut again), ids, "no known message moves");
    let late = "channel Old Carts stopped";
    assert_eq!(of(&c, &mut engine, late), 1, "nor what would have joined");
    let names = ["Spare Lab", "Fast Lab", "Slow Lab"].map(|name| format!("channel {name} stopped"));
    let mut new: Vec<i64> = names.iter().map(|message| of(&c, &mut engine, message)).collect();
    let united = groups_now(&c, &mut new)[0];
    assert_eq!(new, [united; 3]);
    let version = |group: i64| -> i64 {
        c.query_row("SELECT version FROM groups WHERE id = ?1", [group], |row| row.get(0))
            .unwrap()
    };
    assert_eq!((version(1), version(united)), (2, 3));
    let mut again: Vec<i64> = old.iter().map(|message| of(&c, &mut engine, message)).collect();
    assert_eq!(groups_now(&c, &mut again), [1; 5]);
}

/// The groups that stand for these by now.
fn groups_now<'i>(c: &Connection, ids: &'i mut [i64]) -> &'i [i64] {
    for id in ids.iter_mut() {
        *id = root(c, *id).unwrap().unwrap();
    }
    ids
}

/// Messages that meet, widen, absorb and join in every order.
fn message() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "a",
        "b_c",
        "d-e",
        "fox",
        "gnu",
        "hen",
        "ibis",
        "17",
        "'x'",
        "'y'",
        "true",
        "x.y",
        "Old Orders",
        "Acme North",
        "Red Pine Lodge",
        "Acme",
    ]);
    let frame = prop::sample::select(vec![
        "user {} left",
        "cannot open table {} for {} now",
        "{} is not known here",
        "value {} of key {} is bad",
        "wait for {} ({}) to end",
        "Import of {} from {} failed",
        "{} could not find {} in time",
    ]);
    (frame, word.clone(), word).prop_map(|(frame, one, two)| frame.replacen("{}", one, 1).replacen("{}", two, 1))
}

/// Everything that the tables know, in order.
fn state(c: &Connection) -> Vec<String> {
    let mut lines = Vec::new();
    for sql in [
        "SELECT id, parent, title, template, explanation, apart FROM groups ORDER BY id",
        "SELECT hex(hash), group_id, how, template FROM group_keys ORDER BY hash",
        "SELECT hex(hash), variant, group_id, class FROM group_holes ORDER BY hash, variant",
        "SELECT id, what, group_id, variants, undone FROM group_changes ORDER BY id",
        "SELECT change_id, group_id, hex(hash), was, became FROM group_moves ORDER BY 1, 2, 3",
    ] {
        let mut statement = c.prepare(sql).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            lines.push(
                (0..columns)
                    .map(|i| format!("{:?}|", row.get_ref(i).unwrap()))
                    .collect(),
            );
        }
    }
    lines
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_swallowed_group_has_a_root_and_every_count_is_kept(stream in prop::collection::vec(message(), 1..60)) {
        let c = schema::connection();
        let mut engine = Engine::default();
        engine.begin(&c).unwrap();
        for message in &stream {
            let id = of(&c, &mut engine, message);
            c.execute("UPDATE groups SET count = count + 1 WHERE id = ?1", [id]).unwrap();
        }
        let (deep, count): (i64, i64) = c
            .query_row(
                "SELECT (SELECT count(*) FROM groups a JOIN groups b ON b.id = a.parent WHERE b.parent IS NOT NULL OR b.id > a.id),
                        (SELECT sum(count) FROM groups WHERE parent IS NULL)",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        prop_assert_eq!((deep, count), (0, stream.len() as i64));
    }
}
