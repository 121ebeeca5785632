//! Whatever is stored, removed, united, parted and indexed in whatever order: every derived number is that of a recount.

use rusqlite::Connection;
use serde_json::json;

use super::recount::recount;
use super::*;
use crate::clock::from_epoch_ms;
use crate::events::group::{self, Engine, Selection};
use crate::events::index::rows as index;
use crate::events::store::{Prepared, insert, insert_thinned};
use crate::events::storm::Groups;
use crate::events::{parse, schema};

const NOW: i64 = 1_750_000_000_000;

/// A log with an engine, and a source of chance.
struct Log {
    c: Connection,
    engine: Engine,
    groups: Groups,
    chance: fastrand::Rng,
    number: u64,
}

impl Log {
    fn new(seed: u64) -> Self {
        Self {
            c: schema::connection(),
            engine: Engine::default(),
            groups: Groups::new(u32::MAX, std::sync::Arc::default()),
            chance: fastrand::Rng::with_seed(seed),
            number: 0,
        }
    }

    fn count(&self, sql: &str) -> i64 {
        self.c.query_row(sql, [], |row| row.get(0)).expect(sql)
    }

    fn list(&self, sql: &str) -> Vec<i64> {
        let mut statement = self.c.prepare(sql).expect(sql);
        let found = statement.query_map([], |row| row.get(0)).expect(sql);
        found.map(|row| row.expect(sql)).collect()
    }

    /// Some events of a few groups, kinds, users, releases, hours and crowded milliseconds.
    fn store(&mut self, most: usize) {
        let words = ["alpha", "beta", "gamma", "delta", "omega", "kappa"];
        let batch: Vec<Prepared> = (0..self.chance.usize(1..=most))
            .map(|_| {
                self.number += 1;
                let word = words[self.chance.usize(..words.len())];
                let event = json!({
                    "message": format!("the {word} job {} failed", self.chance.u8(..3)),
                    "type": self.chance.choice(["database", "api", "system"]),
                    "severity": self.chance.choice(["low", "high"]),
                    "userId": self.chance.u8(..6),
                    "release": format!("1.{}", self.chance.u8(..3)),
                    "timestamp": crate::clock::rfc3339_ms(from_epoch_ms(NOW + self.chance.i64(-9..9) * 1_800_000)),
                });
                Prepared::new(parse::event(&event.to_string(), from_epoch_ms(NOW)).expect("sound"))
            })
            .collect();
        insert_thinned(&self.c, &batch, &mut self.engine, &mut self.groups).expect("stored");
    }

    /// Groups are in a storm from so many events on.
    fn thinned_from(mut self, limit: u32) -> Self {
        self.groups = Groups::new(limit, std::sync::Arc::default());
        self
    }

    fn index(&self, most: usize) {
        let found = index::next(&self.c, most).expect("read");
        index::index(&self.c, &found).expect("indexed");
        index::merge(&self.c, 16).expect("merged");
    }

    fn remove(&mut self, most: usize) -> Taken {
        let mut places = self.list("SELECT at FROM events");
        self.chance.shuffle(&mut places);
        places.truncate(self.chance.usize(..=most));
        remove(&self.c, &places, unhurried()).expect("removed")
    }

    /// A hand unites, parts, undoes or resolves something.
    fn touch(&mut self) {
        let groups = self.list("SELECT id FROM groups ORDER BY id");
        let Some(&one) = self.chance.choice(&groups) else {
            return;
        };
        let Some(&other) = self.chance.choice(&groups) else {
            return;
        };
        let done = match self.chance.u8(..4) {
            0 => group::merge(&self.c, &[one, other], Some("me"), NOW),
            1 => {
                let aliases = group::aliases(&self.c, one).expect("read");
                group::split(&self.c, one, &Selection::Aliases(aliases), Some("me"), NOW)
            }
            2 => {
                let ids = self
                    .c
                    .query_row("SELECT id FROM events WHERE group_id = ?1 LIMIT 1", [one], |row| {
                        row.get(0)
                    });
                let ids: Vec<_> = ids.ok().map(uuid::Uuid::from_bytes).into_iter().collect();
                group::split(&self.c, one, &Selection::Events(ids), Some("me"), NOW)
            }
            _ => {
                let change = self.count("SELECT coalesce(max(id), 0) FROM group_changes");
                group::undo(&self.c, change, None, NOW)
            }
        };
        let _refused_or_not = done.expect("no error of SQLite's");
    }
}

#[test]
fn whatever_happens_every_number_is_that_of_a_recount() {
    for seed in 0..24 {
        let mut log = Log::new(seed).thinned_from(if seed % 2 == 0 { 3 } else { u32::MAX });
        for _ in 0..40 {
            match log.chance.u8(..12) {
                0..=3 => log.store(30),
                4..=6 => drop(log.remove(20)),
                7 => log.index(40),
                8 => log.touch(),
                9 => log.engine = Engine::default(),
                10 => {
                    let groups = log.list("SELECT id FROM groups");
                    remove_groups(&log.c, &groups, Duration::MAX).expect("removed");
                }
                _ => {
                    // A job that is undone leaves nothing, nor does it confuse the engine.
                    log.c.execute_batch("SAVEPOINT job").expect("begun");
                    log.store(5);
                    log.remove(10);
                    log.c.execute_batch("ROLLBACK TO job; RELEASE job").expect("undone");
                }
            }
            recount(&log.c);
        }
        // A busy machine's share of time may end before the last row.
        while let left = log.list("SELECT at FROM events")
            && !left.is_empty()
        {
            let taken = remove(&log.c, &left, Terms::default()).expect("removed");
            assert!(taken.done > 0, "seed {seed}");
        }
        recount(&log.c);
    }
}

/// Time enough for every row, however busy the machine is.
fn unhurried() -> Terms {
    Terms {
        share: Duration::MAX,
        ..Terms::default()
    }
}

#[test]
fn what_was_seen_stays_and_what_is_kept_goes_down() {
    let mut log = Log::new(7);
    log.store(1);
    log.store(40);
    let before = log.count("SELECT sum(count) FROM groups");
    let hours = log.count("SELECT sum(count) FROM group_hours");
    let places = log.list("SELECT at FROM events ORDER BY at");
    let taken = remove(&log.c, &places[1..], unhurried()).expect("removed");
    assert_eq!(
        (taken.done, taken.removed.events),
        (places.len() - 1, places.len() as u64 - 1)
    );
    assert_eq!(taken.groups.values().sum::<i64>(), taken.removed.events as i64);
    assert_eq!(taken.removed.kinds.iter().flatten().sum::<u64>(), taken.removed.events);
    let (oldest, newest) = taken.removed.span_ms.expect("a span");
    assert!(oldest <= newest && newest == places[places.len() - 1] >> 20 && taken.removed.bytes > 0);
    assert_eq!(log.count("SELECT sum(count) FROM groups"), before);
    assert_eq!(log.count("SELECT sum(count) FROM group_hours"), hours);
    assert_eq!(log.count("SELECT sum(count) - sum(removed) FROM groups"), 1);
    let again = remove(&log.c, &places[1..], unhurried()).expect("nothing to do");
    assert_eq!((again.done, again.removed), (places.len() - 1, Removed::default()));
    recount(&log.c);
}

#[test]
fn a_sample_of_a_storm_leaves_with_all_that_was_counted_on_it() {
    let mut log = Log::new(8).thinned_from(3);
    (0..20).for_each(|_| log.store(40));
    let stored = log.count("SELECT sum(count) FROM groups");
    let places = log.list("SELECT at FROM events ORDER BY at");
    assert!((places.len() as i64) < stored, "some are counted on others");
    recount(&log.c);
    let taken = remove(&log.c, &places, unhurried()).expect("removed");
    assert_eq!(taken.removed.events as i64, stored);
    assert_eq!(log.count("SELECT sum(count) FROM event_totals"), 0);
    assert_eq!(log.count("SELECT sum(count - removed) FROM groups"), 0);
    recount(&log.c);
}

#[test]
fn what_came_later_stays_at_its_place() {
    let mut log = Log::new(1);
    log.store(5);
    let places = log.list("SELECT at FROM events");
    let terms = Terms {
        received_until_ms: NOW - 1,
        ..unhurried()
    };
    let taken = remove(&log.c, &places, terms).expect("nothing to do");
    assert_eq!((taken.done, taken.removed.events), (places.len(), 0));
    let stored = log.count("SELECT min(stored) FROM events");
    let terms = Terms {
        stored_until: stored,
        ..unhurried()
    };
    let taken = remove(&log.c, &places, terms).expect("the first");
    assert_eq!((taken.done, taken.removed.events), (places.len(), 1));
    recount(&log.c);
}

#[test]
fn a_job_ends_when_its_share_is_over_and_has_done_something() {
    let mut log = Log::new(2);
    (0..4).for_each(|_| log.store(30));
    let places = log.list("SELECT at FROM events");
    let terms = Terms {
        share: Duration::ZERO,
        ..Terms::default()
    };
    let taken = remove(&log.c, &places, terms).expect("removed");
    assert_eq!((taken.done, taken.removed.events), (1, 1), "a row may be long");
    recount(&log.c);
}

#[test]
fn a_place_that_is_given_anew_is_indexed_by_the_words_of_its_new_event() {
    let log = Log::new(3);
    let store = |word: &str| {
        let event = json!({ "message": word, "timestamp": "2025-06-15T00:00:00Z" }).to_string();
        let batch = [Prepared::new(parse::event(&event, from_epoch_ms(NOW)).expect("sound"))];
        insert(&log.c, &batch, &mut Engine::default()).expect("stored");
    };
    store("forgotten");
    let read_before = index::next(&log.c, 10).expect("read");
    let places = log.list("SELECT at FROM events");
    remove(&log.c, &places, unhurried()).expect("removed");
    store("remembered");
    assert_eq!(log.list("SELECT at FROM events"), places, "the same place");
    index::index(&log.c, &read_before).expect("nothing to do");
    index::index(&log.c, &index::next(&log.c, 10).expect("read")).expect("indexed");
    let found = |word: &str| {
        log.count(&format!(
            "SELECT count(*) FROM event_text WHERE event_text MATCH 'text : {word}'"
        ))
    };
    assert_eq!((found("forgotten"), found("remembered")), (0, 1));
}

#[test]
fn a_group_that_somebody_touched_stays_without_events_and_comes_back() {
    let log = Log::new(4);
    let mut engine = Engine::default();
    let event = |engine: &mut Engine, word: &str| {
        let event = json!({ "message": word, "fingerprint": [word] }).to_string();
        let batch = [Prepared::new(parse::event(&event, from_epoch_ms(NOW)).expect("sound"))];
        insert(&log.c, &batch, engine).expect("stored");
        log.count("SELECT max(group_id) FROM events")
    };
    let resolved = event(&mut engine, "resolved");
    let untouched = event(&mut engine, "untouched");
    log.c
        .execute_batch(&format!(
            "UPDATE groups SET status = 1 WHERE id = {resolved};
             INSERT INTO group_life (group_id, since) VALUES ({resolved}, {})",
            NOW - 1
        ))
        .expect("resolved");
    let all = log.list("SELECT id FROM groups");
    let looked = remove_groups(&log.c, &all, Duration::MAX).expect("looked");
    assert_eq!(looked, (2, Vec::new()), "they have events");
    let places = log.list("SELECT at FROM events");
    remove(&log.c, &places, unhurried()).expect("removed");
    let removed = |groups: &[i64]| remove_groups(&log.c, groups, Duration::ZERO).expect("removed");
    assert_eq!(
        removed(&all),
        (1, Vec::new()),
        "its share of time is over after the first"
    );
    assert_eq!(removed(&all[1..]), (1, vec![untouched]));
    recount(&log.c);
    let back = event(&mut engine, "resolved");
    assert_eq!(back, resolved);
    assert_eq!(
        log.count(&format!(
            "SELECT status = 0 AND regressed_at IS NOT NULL FROM groups WHERE id = {resolved}"
        )),
        1
    );
    let anew = event(&mut engine, "untouched");
    assert!(anew > untouched, "an id never names another group");
    recount(&log.c);
}

#[test]
fn a_union_that_leaves_is_one_group() {
    let log = Log::new(5);
    let mut engine = Engine::default();
    for name in ["p", "q", "r", "s"] {
        let event = json!({ "message": format!("table {name} was dropped") }).to_string();
        let batch = [Prepared::new(parse::event(&event, from_epoch_ms(NOW)).expect("sound"))];
        insert(&log.c, &batch, &mut engine).expect("stored");
    }
    let (all, roots) = (
        log.list("SELECT id FROM groups"),
        log.list("SELECT id FROM groups WHERE parent IS NULL"),
    );
    assert_eq!((all.len(), roots.len()), (3, 1));
    remove(&log.c, &log.list("SELECT at FROM events"), unhurried()).expect("removed");
    let gone = remove_groups(&log.c, &roots, Duration::MAX).expect("removed");
    assert_eq!((gone, log.count("SELECT count(*) FROM groups")), ((1, roots), 0));
}
