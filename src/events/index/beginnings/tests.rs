//! The words that begin so against `fts5vocab`, on indexes of tiny leaves in any state of merging and removing.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::events::schema;

/// An index whose leaves hold few words, so that they are many, and whose frequent words have many leaves.
fn connection(leaf_bytes: i64) -> Connection {
    let connection = schema::connection();
    connection
        .execute(
            "INSERT INTO event_text (event_text, rank) VALUES ('pgsz', ?1)",
            [leaf_bytes],
        )
        .unwrap();
    connection
        .execute_batch("CREATE VIRTUAL TABLE vocabulary USING fts5vocab (event_text, row)")
        .unwrap();
    connection
}

fn add(connection: &Connection, key: i64, text: &str) {
    connection
        .execute(
            "INSERT INTO event_text (rowid, text, terms) VALUES (?1, ?2, 'k00')",
            params![key, text],
        )
        .unwrap();
}

fn merge(connection: &Connection, pages: i64) {
    connection
        .execute(
            "INSERT INTO event_text (event_text, rank) VALUES ('merge', ?1)",
            [pages],
        )
        .unwrap();
}

fn in_vocabulary(connection: &Connection, beginning: &str) -> BTreeSet<String> {
    connection
        .prepare("SELECT term FROM vocabulary WHERE term >= ?1 AND term < ?1 || '\u{10ffff}'")
        .unwrap()
        .query_map([beginning], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

#[derive(Debug, Clone)]
enum Step {
    /// Texts of one commit.
    Add(Vec<Vec<usize>>),
    /// The text at this share of all goes.
    Remove(usize),
    /// A step of so many pages; of less than one of all there is, begun.
    Merge(i64),
}

const WORDS: [&str; 14] = [
    "a",
    "ab",
    "aba",
    "abacus",
    "abb",
    "b",
    "ba",
    "bab",
    "öffnen",
    "offen",
    "слово",
    "словарь",
    "12",
    "1234567890123456789012345",
];

fn step() -> impl Strategy<Value = Step> {
    let text = prop::collection::vec(0..400_usize, 1..6);
    prop_oneof![
        6 => prop::collection::vec(text, 1..20).prop_map(Step::Add),
        2 => any::<usize>().prop_map(Step::Remove),
        3 => (-3..6_i64).prop_map(Step::Merge),
    ]
}

/// The known words, and numbers behind the first two.
fn word(number: usize) -> String {
    match WORDS.get(number / 20) {
        Some(word) => (*word).to_owned(),
        None => format!("{}{number}", WORDS[number % 2]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_words_are_told_in_any_state_of_the_index(leaf_bytes in 32..300_i64,
                                                    steps in prop::collection::vec(step(), 1..40)) {
        let connection = connection(leaf_bytes);
        let (mut next, mut there) = (0, BTreeSet::new());
        for step in steps {
            match step {
                Step::Add(texts) => {
                    connection.execute_batch("BEGIN").unwrap();
                    for text in texts {
                        let text: Vec<String> = text.into_iter().map(word).collect();
                        add(&connection, next, &text.join(" "));
                        there.insert(next);
                        next += 1;
                    }
                    connection.execute_batch("COMMIT").unwrap();
                }
                Step::Remove(share) if !there.is_empty() => {
                    let key = *there.iter().nth(share % there.len()).unwrap();
                    connection.execute("DELETE FROM event_text WHERE rowid = ?1", [key]).unwrap();
                    there.remove(&key);
                }
                Step::Remove(_) => {}
                Step::Merge(pages) => merge(&connection, pages),
            }
            for beginning in ["a", "ab", "aba", "abacus", "b", "ba1", "o", "offn", "слов", "123", "k", "zz"] {
                let told: BTreeSet<String> = words(&connection, beginning, usize::MAX).unwrap().unwrap().into_iter().collect();
                let expected = in_vocabulary(&connection, beginning);
                prop_assert!(told.is_superset(&expected), "{beginning}: {told:?} lacks some of {expected:?}");
                prop_assert!(told.iter().all(|word| word.starts_with(beginning)));
            }
        }
    }

    #[test]
    fn whatever_stands_where_a_leaf_should_be_is_no_panic(leaf in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = on_leaf(&leaf, b"0a");
    }
}

#[test]
fn more_words_than_asked_for_are_not_told() {
    let connection = connection(1000);
    for number in 0..30 {
        add(&connection, number, &format!("word{number} other"));
    }
    assert_eq!(words(&connection, "word", 29).unwrap(), None);
    assert_eq!(
        words(&connection, "word", 30).unwrap().map(|words| words.len()),
        Some(30)
    );
    assert_eq!(words(&connection, "oth", 30).unwrap(), Some(vec!["other".to_owned()]));
    assert_eq!(words(&connection, "none", 30).unwrap(), Some(vec![]));
    assert_eq!(words(&connection, "", 30).unwrap(), None);
    assert_eq!(words(&connection, &"w".repeat(LONGEST + 1), 30).unwrap(), None);
}

/// What `fts5vocab` would read through: the leaves between two words are not read.
#[test]
fn the_places_of_a_frequent_word_are_not_read() {
    let connection = connection(100);
    connection.execute_batch("BEGIN").unwrap();
    (0..20_000).for_each(|key| add(&connection, key, "frequent"));
    connection.execute_batch("COMMIT").unwrap();
    connection
        .execute(
            "UPDATE event_text_data SET block = x'00' WHERE id NOT IN (1, 10) AND id NOT IN
        (SELECT (segid << 37) + (pgno >> 1) FROM event_text_idx)",
            [],
        )
        .unwrap();
    let left: i64 = connection
        .query_row(
            "SELECT count(*) FROM event_text_data WHERE length(block) > 1",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!(left < 10, "{left} leaves have words");
    assert_eq!(
        words(&connection, "freq", 5).unwrap(),
        Some(vec!["frequent".to_owned()])
    );
}

#[test]
fn the_leaves_are_looked_up_and_never_scanned() {
    let connection = schema::connection();
    let plan: Vec<String> = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {LEAVES}"))
        .unwrap()
        .query_map(params![b"0a", b"0b"], |row| row.get(3))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let searched = |table: &str| {
        plan.iter()
            .any(|line| line.starts_with(&format!("SEARCH {table} USING")))
    };
    assert!(searched("named") && searched("leaf"), "{plan:?}");
    assert!(
        !plan
            .iter()
            .any(|line| line.contains("SCAN event_text") || line.contains("SCAN named") || line.contains("SCAN leaf")),
        "{plan:?}"
    );
}
