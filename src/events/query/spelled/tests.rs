//! Searches against those of before: a second index in the order of places, asked with the beginnings as they are.

use super::*;
use crate::events::index::rows;
use crate::events::order::first_place;
use crate::events::query::Meant;
use crate::events::query::find::Finder;
use crate::events::schema;

const WORDS: [&str; 16] = [
    "time",
    "timeout",
    "timeouts",
    "timed",
    "Zürich",
    "zurück",
    "ZÜRICH",
    "naïve",
    "слово",
    "словарь",
    "foo_bar",
    "a.b.C",
    "refused",
    "refuse",
    "\"quoted\"",
    "12:30",
];
/// What is looked for besides whole words.
const BEGINNINGS: [&str; 14] = [
    "ti", "tim", "time", "zur", "Zür", "ZU", "сло", "foo_b", "a.b", "ref", "quo", "\"quo", "nu", "zz",
];

struct Both {
    connection: Connection,
    places: Vec<i64>,
    random: fastrand::Rng,
}

impl Both {
    fn new(seed: u64) -> Self {
        let connection = schema::connection();
        let before = "CREATE VIRTUAL TABLE before USING fts5 (
            text, terms, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2')";
        connection.execute_batch(before).unwrap();
        for table in ["before", "event_text"] {
            connection
                .execute(&format!("INSERT INTO {table} ({table}, rank) VALUES ('pgsz', 64)"), [])
                .unwrap();
        }
        Self {
            connection,
            places: Vec::new(),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    fn text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.random.usize(1..5) {
            text.push_str(WORDS[self.random.usize(..WORDS.len())]);
            // Some beginnings have more words than are written out.
            if self.random.u8(..3) == 0 {
                text.push_str(&format!(" num{} nu{}", self.random.u8(..150), self.random.u8(..9)));
            }
            text.push([' ', '-', '\n', '\0'][self.random.usize(..4)]);
        }
        text
    }

    /// One commit.
    fn add(&mut self) {
        let count = self.random.usize(1..30);
        let mut rows: Vec<(i64, String)> = (0..count).map(|_| (self.place(), self.text())).collect();
        rows.retain(|(place, _)| !self.places.contains(place));
        rows.sort_unstable();
        rows.dedup_by_key(|(place, _)| *place);
        self.connection.execute_batch("BEGIN").unwrap();
        for (place, text) in &rows {
            let kind = format!("k0{}", place.rem_euclid(4));
            let put = "INSERT INTO before (rowid, text, terms) VALUES (?1, ?2, ?3)";
            self.connection.execute(put, (place, text, &kind)).unwrap();
        }
        for (place, text) in rows.iter().rev() {
            let kind = format!("k0{}", place.rem_euclid(4));
            let put = "INSERT INTO event_text (rowid, text, terms) VALUES (~?1, ?2, ?3)";
            self.connection.execute(put, (place, text, &kind)).unwrap();
        }
        self.connection.execute_batch("COMMIT").unwrap();
        self.places.extend(rows.into_iter().map(|(place, _)| place));
    }

    /// On both sides of 1970, and at the ends of what a place can be.
    fn place(&mut self) -> i64 {
        match self.random.u8(..20) {
            0 => first_place(i64::MIN) + self.random.i64(0..3),
            1 => first_place(i64::MAX) + self.random.i64(0..3),
            _ => first_place(self.random.i64(-200..200)) + self.random.i64(0..3),
        }
    }

    fn change(&mut self) {
        match self.random.u8(..4) {
            0 if !self.places.is_empty() => {
                let place = self.places.swap_remove(self.random.usize(..self.places.len()));
                self.connection
                    .execute("DELETE FROM before WHERE rowid = ?1", [place])
                    .unwrap();
                self.connection
                    .execute("DELETE FROM event_text WHERE rowid = ~?1", [place])
                    .unwrap();
            }
            1 => drop(rows::merge(&self.connection, self.random.u32(1..8)).unwrap()),
            _ => self.add(),
        }
    }

    fn sought(&mut self) -> Sought {
        let mut text = String::new();
        for _ in 0..self.random.usize(..3) {
            text.push_str(WORDS[self.random.usize(..WORDS.len())]);
            text.push([' ', '-', '\0'][self.random.usize(..3)]);
        }
        let is_prefix = self.random.bool();
        text.push_str(if is_prefix {
            BEGINNINGS[self.random.usize(..BEGINNINGS.len())]
        } else {
            WORDS[self.random.usize(..WORDS.len())]
        });
        if self.random.u8(..8) == 0 {
            text.push_str(" -\"");
        }
        Sought {
            text,
            is_prefix,
            is_excluded: self.random.u8(..4) == 0,
        }
    }

    fn filter(&mut self) -> Filter {
        let count = self.random.usize(1..4);
        Filter {
            text: (0..count).map(|_| self.sought()).collect(),
            severities: crate::events::model::Severity::ALL[..self.random.usize(1..5)].to_vec(),
            ..Filter::default()
        }
    }

    fn compare(&mut self) -> usize {
        let filter = self.filter();
        let most = self.random.usize(1..40);
        let (mut first, mut before) = (i64::MIN, i64::MAX);
        if self.random.bool() {
            first = self.place();
        }
        if self.random.bool() {
            before = self.place();
        }
        let plain = filter
            .match_text(|one| Ok::<_, ()>(search::match_one(one)))
            .unwrap()
            .unwrap();
        let sql = "SELECT rowid FROM before WHERE before MATCH ?1 AND rowid >= ?2 AND rowid < ?3 ORDER BY rowid DESC LIMIT ?4";
        let expected: Vec<i64> = self
            .connection
            .prepare_cached(sql)
            .unwrap()
            .query_map((&plain, first, before, most as i64), |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let meant = Meant::of(&self.connection, &filter).unwrap();
        let finder = Finder::new(&self.connection, &meant).unwrap();
        let found = finder.places(&self.connection, first, before, most).unwrap();
        assert_eq!(found, expected, "{filter:?} from {first} to {before}");
        found.len()
    }
}

#[test]
fn searches_find_what_they_found_before_in_any_state_of_the_index() {
    for seed in 0..12 {
        let mut both = Both::new(seed);
        let mut found = 0;
        for _ in 0..40 {
            both.change();
            found += (0..20).map(|_| both.compare()).sum::<usize>();
        }
        assert!(found > 500, "{found} events were found in all");
    }
}

#[test]
fn a_beginning_is_written_out_as_the_words_there_are() {
    let connection = schema::connection();
    let put = "INSERT INTO event_text (rowid, text, terms) VALUES (?1, ?2, 'k00')";
    for (key, text) in [(1, "time Timeout übermut"), (2, "timeouts über, 1.2")] {
        connection.execute(put, (key, text)).unwrap();
    }
    for n in 10..80 {
        connection.execute(put, (n, format!("many{n}"))).unwrap();
    }
    let asked = |text: &str, is_prefix| {
        let sought = Sought {
            text: text.to_owned(),
            is_prefix,
            is_excluded: false,
        };
        let filter = Filter {
            text: vec![sought],
            ..Filter::default()
        };
        match_text(&connection, &filter).unwrap().unwrap()
    };
    assert_eq!(asked("time", false), "text : \"time\"");
    assert_eq!(asked("Timeo", true), r#"text : ("timeout" OR "timeouts")"#);
    assert_eq!(
        asked("\"Time-TIMEO- ", true),
        r#"text : ("""Time-timeout" OR """Time-timeouts")"#
    );
    assert_eq!(
        asked("Timeouts ÜB", true),
        r#"text : ("timeouts uber" OR "timeouts ubermut")"#
    );
    assert_eq!(asked("none", true), r#"text : "none" *"#);
    assert_eq!(asked("man", true), r#"text : "man" *"#, "more than a bound");
    assert_eq!(asked("many6", true).matches(" OR ").count(), 9);
}
