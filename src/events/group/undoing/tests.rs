//! Whatever hands do and undo in whatever order: groups are where a plain model says, and every number is that of the rows.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use super::*;
use crate::events::group::{Engine, Selection, aliases, merge, root, split};
use crate::events::store::{Inserted, Prepared, insert};
use crate::events::{parse, schema};

const MESSAGES: [&str; 6] = [
    "disk is full",
    "no space left",
    "quota was reached",
    "beta failure",
    "gamma trouble seen",
    "nothing answers here",
];
const NOW: i64 = 1_750_000_000_000;

/// What a hand did, by the groups that it meant.
#[derive(Debug, Clone)]
enum Did {
    Merged(Vec<i64>),
    Released(i64),
    Parted { made: i64, message: usize, was: i64 },
}

/// A change's id, what it was, and whether it stands.
#[derive(Debug, Clone)]
struct Acted(i64, Did, bool);

struct Log {
    c: Connection,
    engine: Engine,
    chance: fastrand::Rng,
    acts: Vec<Acted>,
    /// The groups that the messages began with.
    first: Vec<i64>,
}

impl Log {
    fn new(seed: u64) -> Self {
        let mut log = Self {
            c: schema::connection(),
            engine: Engine::default(),
            chance: fastrand::Rng::with_seed(seed),
            acts: Vec::new(),
            first: Vec::new(),
        };
        log.first = (0..MESSAGES.len()).map(|message| log.add(message)).collect();
        log
    }

    /// Stores one event of a message; its group.
    fn add(&mut self, message: usize) -> i64 {
        let time = crate::clock::from_epoch_ms(NOW - self.chance.i64(0..200) * 3_000_000);
        let event = serde_json::json!({
            "message": MESSAGES[message], "userId": self.chance.u8(0..5), "timestamp": crate::clock::rfc3339_ms(time),
            "release": format!("1.{}", self.chance.u8(0..3)), "severity": (["low", "high"][self.chance.usize(0..2)]),
        });
        let event = parse::event(&event.to_string(), crate::clock::from_epoch_ms(NOW)).unwrap();
        match insert(&self.c, &[Prepared::new(event)], &mut self.engine).unwrap()[..] {
            [Inserted::New { group_id }] => group_id,
            _ => panic!("not new"),
        }
    }

    fn rows<T: rusqlite::types::FromSql>(&self, sql: &str) -> Vec<T> {
        let mut statement = self.c.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn roots(&self) -> Vec<i64> {
        self.rows("SELECT id FROM groups WHERE parent IS NULL ORDER BY id")
    }

    fn event_of(&self, message: usize) -> uuid::Uuid {
        let sql = "SELECT id FROM events WHERE message = ?1 ORDER BY at LIMIT 1";
        let id = self.c.query_row(sql, [MESSAGES[message]], |row| row.get(0)).unwrap();
        uuid::Uuid::from_bytes(id)
    }

    fn home(&self, message: usize) -> i64 {
        let sql = "SELECT DISTINCT coalesce(g.parent, g.id) FROM events e JOIN groups g ON g.id = e.group_id WHERE message = ?1";
        let mut statement = self.c.prepare(sql).unwrap();
        let homes: Vec<i64> = statement
            .query_map([MESSAGES[message]], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(homes.len(), 1, "all of {:?} are in one group", MESSAGES[message]);
        homes[0]
    }

    fn homes(&self) -> Vec<i64> {
        (0..MESSAGES.len()).map(|message| self.home(message)).collect()
    }

    fn act(&mut self) {
        let roots = self.roots();
        let one = *self.chance.choice(&roots).unwrap();
        let at = NOW + 1;
        let did = match self.chance.u8(0..3) {
            0 => {
                let mut some = self.chance.choose_multiple(roots.iter().copied(), 2);
                some.sort_unstable();
                merge(&self.c, &some, Some("me"), at)
                    .unwrap()
                    .map(|done| (done, Did::Merged(some)))
            }
            1 => {
                let all = aliases(&self.c, one).unwrap();
                let Some(&alias) = self.chance.choice(&all) else { return };
                let done = split(&self.c, one, &Selection::Aliases(vec![alias]), Some("me"), at).unwrap();
                done.map(|done| (done, Did::Released(alias)))
            }
            _ => {
                let message = self.chance.usize(0..MESSAGES.len());
                let was = self.literal(message);
                let events = Selection::Events(vec![self.event_of(message)]);
                let done = split(&self.c, self.home(message), &events, Some("me"), at).unwrap();
                done.map(|done| {
                    (
                        Did::Parted {
                            made: done.group,
                            message,
                            was,
                        },
                        done,
                    )
                })
                .map(|(did, done)| (done, did))
            }
        };
        if let Ok((done, did)) = did {
            self.acts.push(Acted(done.change, did, true));
        }
    }

    /// Undoes one that stands; whether it was done.
    fn undo_one(&mut self, nth: usize) -> bool {
        let standing: Vec<usize> = (0..self.acts.len()).filter(|at| self.acts[*at].2).collect();
        let at = standing[nth % standing.len()];
        let (change, before) = (self.acts[at].0, self.homes());
        match undo(&self.c, change, Some("me"), NOW + 2).unwrap() {
            Ok(_) => {
                self.acts[at].2 = false;
                assert_ne!(self.homes(), before, "an undoing changes something: {:?}", self.acts);
                true
            }
            Err(Refused::After { first, .. }) => {
                let later = self
                    .acts
                    .iter()
                    .any(|Acted(id, _, stands)| *id == first && *id > change && *stands);
                assert!(later && at + 1 < self.acts.len(), "{change}, {first}: {:?}", self.acts);
                assert_eq!(self.homes(), before);
                false
            }
            Err(other) => panic!("{other}: {:?}", self.acts),
        }
    }

    /// A made group whose split was undone is what its key came from.
    fn own(&self, group: i64) -> i64 {
        let undone = self.acts.iter().find_map(|act| match act {
            Acted(_, Did::Parted { made, was, .. }, false) if *made == group => Some(*was),
            _ => None,
        });
        undone.map_or(group, |was| self.own(was))
    }

    /// The group that a message's key is in, whatever stands for it.
    fn literal(&self, message: usize) -> i64 {
        let parted = self.acts.iter().rev().find_map(|act| match act {
            Acted(_, Did::Parted { made, message: of, .. }, true) if *of == message => Some(*made),
            _ => None,
        });
        parted.unwrap_or(self.first[message])
    }

    /// The model: what stands is done once more, from the beginning.
    fn expected(&self) -> Vec<i64> {
        let mut classes: Vec<BTreeSet<i64>> = self.first.iter().map(|group| BTreeSet::from([*group])).collect();
        for Acted(_, did, stands) in &self.acts {
            match did {
                Did::Parted { made, .. } if *stands => classes.push(BTreeSet::from([*made])),
                Did::Merged(groups) if *stands => {
                    let groups: Vec<i64> = groups.iter().map(|group| self.own(*group)).collect();
                    let is_in = |class: &BTreeSet<i64>| groups.iter().any(|group| class.contains(group));
                    let (joined, mut rest): (Vec<_>, Vec<_>) = classes.into_iter().partition(is_in);
                    rest.push(joined.into_iter().flatten().collect());
                    classes = rest;
                }
                Did::Released(group) if *stands => {
                    let group = self.own(*group);
                    classes.iter_mut().for_each(|class| class.retain(|one| *one != group));
                    classes.push(BTreeSet::from([group]));
                }
                _ => {}
            }
        }
        let root = |message| {
            let group = self.literal(message);
            let class = classes.iter().find(|class| class.contains(&group)).unwrap();
            *class.first().unwrap()
        };
        (0..MESSAGES.len()).map(root).collect()
    }

    /// Everything that is kept of groups is what their rows say.
    fn check(&self) {
        assert_eq!(self.homes(), self.expected(), "{:?}", self.acts);
        let homes: BTreeSet<i64> = self.homes().into_iter().collect();
        assert_eq!(
            self.roots(),
            homes.into_iter().collect::<Vec<_>>(),
            "none is empty: {:?}",
            self.acts
        );
        let kept = "SELECT json_array(id, count, first_seen, last_seen, severity, users) FROM groups WHERE parent IS NULL ORDER BY id";
        let counted = "SELECT json_array(coalesce(g.parent, g.id), sum(occurrences), min(coalesce(ts, at >> 20)),
             max(coalesce(ts, at >> 20)), max(e.severity), count(DISTINCT user_id))
             FROM events e JOIN groups g ON g.id = e.group_id GROUP BY coalesce(g.parent, g.id) ORDER BY coalesce(g.parent, g.id)";
        assert_eq!(
            self.rows::<String>(kept),
            self.rows::<String>(counted),
            "{:?}",
            self.acts
        );
        let kept = "SELECT json_array(coalesce(g.parent, g.id), release, sum(r.count), min(r.first_seen), max(r.last_seen))
             FROM group_releases r JOIN groups g ON g.id = group_id GROUP BY coalesce(g.parent, g.id), release ORDER BY 1";
        let counted =
            "SELECT json_array(coalesce(g.parent, g.id), release, sum(occurrences), min(coalesce(ts, at >> 20)),
             max(coalesce(ts, at >> 20)))
             FROM events e JOIN groups g ON g.id = e.group_id GROUP BY coalesce(g.parent, g.id), release ORDER BY 1";
        assert_eq!(
            self.rows::<String>(kept),
            self.rows::<String>(counted),
            "{:?}",
            self.acts
        );
    }

    /// New events go where the old ones are.
    fn send(&mut self) {
        let message = self.chance.usize(0..MESSAGES.len());
        let home = self.home(message);
        let got = self.add(message);
        assert_eq!(root(&self.c, got).unwrap(), Some(home), "{:?}", self.acts);
    }
}

#[test]
fn in_any_order_of_undoing_everything_is_where_the_model_says() {
    let mut refused = BTreeMap::new();
    for seed in 0..60 {
        let mut log = Log::new(seed);
        for _ in 0..24 {
            match log.chance.u8(0..8) {
                0..4 => log.act(),
                4..6 => log.send(),
                6 if log.acts.iter().any(|act| act.2) => {
                    let nth = log.chance.usize(..);
                    log.undo_one(nth);
                }
                _ => log.engine = Engine::default(),
            }
            log.check();
        }
        while log.acts.iter().any(|act| act.2) {
            let nth = log.chance.usize(..);
            *refused.entry(log.undo_one(nth)).or_insert(0) += 1;
            log.send();
            log.check();
        }
        assert_eq!(log.homes(), log.first);
    }
    assert!(refused.len() == 2, "both happen: {refused:?}");
}

#[test]
fn the_newest_change_can_always_be_undone() {
    for seed in 0..20 {
        let mut log = Log::new(seed);
        (0..16).for_each(|_| log.act());
        while let Some(newest) = log.acts.iter().filter(|act| act.2).count().checked_sub(1) {
            assert!(log.undo_one(newest), "{:?}", log.acts);
            log.check();
        }
        assert_eq!(log.homes(), log.first);
    }
}

#[test]
fn a_merge_is_not_undone_while_a_split_has_all_of_a_part() {
    let mut log = Log::new(1);
    let merged = merge(&log.c, &[1, 2], None, NOW).unwrap().unwrap();
    let events = Selection::Events(vec![log.event_of(1)]);
    let out = split(&log.c, 1, &events, None, NOW).unwrap().unwrap();
    let refused = undo(&log.c, merged.change, None, NOW).unwrap().unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "change {} can't be undone while change {} stands; undo change {1} first",
            merged.change, out.change
        )
    );
    undo(&log.c, out.change, None, NOW).unwrap().unwrap();
    undo(&log.c, merged.change, None, NOW).unwrap().unwrap();
    assert_eq!(log.homes(), log.first);
    assert_eq!((log.add(1), log.roots()), (2, log.first.clone()));
}

#[test]
fn a_merge_whose_parts_were_taken_out_since_waits_for_that_to_be_undone() {
    let log = Log::new(2);
    let merged = merge(&log.c, &[1, 2], None, NOW).unwrap().unwrap();
    let out = split(&log.c, 1, &Selection::Aliases(vec![2]), None, NOW)
        .unwrap()
        .unwrap();
    let wait = Refused::After {
        change: merged.change,
        first: out.change,
    };
    assert_eq!(undo(&log.c, merged.change, None, NOW).unwrap(), Err(wait));
    undo(&log.c, out.change, None, NOW).unwrap().unwrap();
    assert_eq!(log.home(1), 1);
    undo(&log.c, merged.change, None, NOW).unwrap().unwrap();
    assert_eq!(log.homes(), log.first);
}

#[test]
fn keys_that_joined_while_groups_were_one_part_with_the_template_that_they_joined() {
    let mut log = Log::new(3);
    let add = |log: &mut Log, name: &str| {
        let event = serde_json::json!({ "message": format!("table {name} was dropped") }).to_string();
        let event = parse::event(&event, crate::clock::from_epoch_ms(NOW)).unwrap();
        match insert(&log.c, &[Prepared::new(event)], &mut log.engine).unwrap()[..] {
            [Inserted::New { group_id }] => root(&log.c, group_id).unwrap().unwrap(),
            _ => panic!("not new"),
        }
    };
    let tables: Vec<i64> = ["p", "q", "r", "s"].map(|name| add(&mut log, name)).to_vec();
    assert_eq!(tables[3], tables[0]);
    let merged = merge(&log.c, &[1, tables[0]], None, NOW).unwrap().unwrap();
    assert_eq!([add(&mut log, "t"), add(&mut log, "u")], [1, 1]);
    undo(&log.c, merged.change, None, NOW).unwrap().unwrap();
    assert_eq!(["p", "t", "u", "v"].map(|name| add(&mut log, name)), [tables[0]; 4]);
    assert_eq!(log.home(0), 1);
    let counts: Vec<i64> = log.rows("SELECT count FROM groups WHERE parent IS NULL ORDER BY id");
    assert_eq!(counts, [1, 1, 1, 1, 1, 1, 10], "what came meanwhile went with its keys");
}

#[test]
fn what_the_rules_united_by_means_of_a_merged_group_stays_without_it() {
    let mut log = Log::new(4);
    let add = |log: &mut Log, name: &str| {
        let event = serde_json::json!({ "message": format!("table {name} was dropped") }).to_string();
        let event = parse::event(&event, crate::clock::from_epoch_ms(NOW)).unwrap();
        insert(&log.c, &[Prepared::new(event)], &mut log.engine).unwrap();
    };
    add(&mut log, "p");
    let merged = merge(&log.c, &[1, 7], None, NOW).unwrap().unwrap();
    ["q", "r"].iter().for_each(|name| add(&mut log, name));
    assert_eq!(root(&log.c, 8).unwrap(), Some(1));
    undo(&log.c, merged.change, None, NOW).unwrap().unwrap();
    assert_eq!([7, 8, 9].map(|group| root(&log.c, group).unwrap()), [Some(7); 3]);
    let counts: Vec<i64> = log.rows("SELECT count FROM groups WHERE parent IS NULL ORDER BY id");
    assert_eq!(counts, [1, 1, 1, 1, 1, 1, 3]);
}
