//! Tests of what hands do: each act can be undone, and the rules respect it.

use super::*;
use crate::events::group::{Engine, explain, undo};
use crate::events::store::{Inserted, Prepared, insert};
use crate::events::{parse, schema};

struct Log {
    c: Connection,
    engine: Engine,
}

impl Log {
    fn new() -> Self {
        Self {
            c: schema::connection(),
            engine: Engine::default(),
        }
    }

    /// Stores a message; its group, resolved by now.
    fn add(&mut self, message: &str) -> i64 {
        let json = serde_json::json!({ "message": message }).to_string();
        let event = parse::event(&json, crate::clock::from_epoch_ms(1_750_000_000_000)).unwrap();
        match insert(&self.c, &[Prepared::new(event)], &mut self.engine).unwrap()[..] {
            [Inserted::New { group_id }] => group_id,
            _ => panic!("not new"),
        }
    }

    fn counts(&self) -> Vec<(i64, i64)> {
        let mut statement = self
            .c
            .prepare("SELECT id, count FROM groups WHERE parent IS NULL ORDER BY id")
            .unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn change_of(&self, group: i64, what: &str) -> i64 {
        let explained = explain(&self.c, group).unwrap().unwrap();
        explained
            .changes
            .iter()
            .find(|change| change.what == what && !change.undone)
            .unwrap()
            .id
    }
}

#[test]
fn a_merge_moves_counts_and_later_events_and_can_be_undone() {
    let mut log = Log::new();
    assert_eq!(
        [
            log.add("disk is full"),
            log.add("no space left"),
            log.add("no space left")
        ],
        [1, 2, 2]
    );
    let done = merge(&log.c, &[2, 1], Some("ann"), 7).unwrap().unwrap();
    assert_eq!((done.group, log.counts()), (1, vec![(1, 3)]));
    assert_eq!(log.add("no space left"), 1);
    assert_eq!(family(&log.c, 2).unwrap(), [1, 2]);
    assert_eq!(merge(&log.c, &[1, 2], None, 7).unwrap(), Err(Refused::NothingToMerge));
    assert_eq!(merge(&log.c, &[1, 9], None, 7).unwrap(), Err(Refused::NoGroup(9)));

    undo(&log.c, done.change, Some("ann"), 8).unwrap().unwrap();
    assert_eq!(log.counts(), [(1, 1), (2, 3)], "what came since goes with its key");
    assert_eq!(log.add("no space left"), 2);
    assert_eq!(
        undo(&log.c, done.change, None, 9).unwrap(),
        Err(Refused::NotUndoable(done.change))
    );
    assert_eq!(undo(&log.c, 99, None, 9).unwrap(), Err(Refused::NoChange(99)));
}

#[test]
fn an_undone_widening_never_comes_again() {
    let mut log = Log::new();
    for name in ["p", "q", "r"] {
        log.add(&format!("table {name} was dropped"));
    }
    assert_eq!(log.counts(), [(1, 3)]);
    let change = log.change_of(1, "widened");
    undo(&log.c, change, None, 5).unwrap().unwrap();
    // The event that made it wide was stored with the united group.
    assert_eq!(log.counts(), [(1, 1), (2, 1), (3, 1)]);
    for name in ["p", "q", "r", "s", "t", "u", "v"] {
        log.add(&format!("table {name} was dropped"));
    }
    let roots = log.counts();
    assert_eq!(
        (roots.len(), &roots[..3]),
        (7, &[(1, 2), (2, 2), (3, 2)][..]),
        "{roots:?}"
    );
}

#[test]
fn an_alias_is_taken_out_and_stays_out() {
    let mut log = Log::new();
    for name in ["p", "q", "r"] {
        log.add(&format!("table {name} was dropped"));
    }
    let done = split(&log.c, 1, &Selection::Aliases(vec![2]), None, 5)
        .unwrap()
        .unwrap();
    assert_eq!((done.group, log.counts()), (2, vec![(1, 2), (2, 1)]));
    assert_eq!([log.add("table q was dropped"), log.add("table z was dropped")], [2, 1]);
    let wrong = split(&log.c, 1, &Selection::Aliases(vec![1]), None, 5).unwrap();
    assert_eq!(wrong, Err(Refused::NothingToSplit));
    undo(&log.c, done.change, None, 6).unwrap().unwrap();
    assert_eq!(log.counts(), [(1, 5)]);
    assert_eq!(log.add("table q was dropped"), 1);
}

#[test]
fn keys_and_events_are_taken_out_with_what_is_stored() {
    let mut log = Log::new();
    for name in ["p", "q", "r", "s", "s"] {
        log.add(&format!("table {name} was dropped"));
    }
    let id: [u8; 16] = log
        .c
        .query_row(
            "SELECT id FROM events WHERE message = 'table s was dropped' LIMIT 1",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let events = Selection::Events(vec![uuid::Uuid::from_bytes(id)]);
    let done = split(&log.c, 1, &events, Some("ann"), 5).unwrap().unwrap();
    assert_eq!((done.events, log.counts()), (2, vec![(1, 3), (done.group, 2)]));
    assert_eq!(log.add("table s was dropped"), done.group);
    assert_eq!(log.add("table t was dropped"), 1);

    undo(&log.c, done.change, None, 6).unwrap().unwrap();
    assert_eq!(log.counts(), [(1, 7)]);
    assert_eq!(log.add("table s was dropped"), 1);

    let keys = explain(&log.c, 1).unwrap().unwrap().keys;
    let joined = keys.iter().find(|key| key.how == "joined").unwrap();
    let done = split(
        &log.c,
        1,
        &Selection::Keys(vec![parse_key(&joined.key).unwrap()]),
        None,
        7,
    )
    .unwrap()
    .unwrap();
    assert!(done.events > 0 && done.group > 1);
    assert_eq!(
        split(&log.c, 1, &Selection::Keys(vec![5]), None, 7).unwrap(),
        Err(Refused::NothingToSplit)
    );
}

#[test]
fn the_explanation_says_what_was_masked_and_what_was_united() {
    let mut log = Log::new();
    for name in ["p", "q", "r"] {
        log.add(&format!("table {name} was dropped by 17"));
    }
    let explained = serde_json::to_value(explain(&log.c, 3).unwrap().unwrap()).unwrap();
    assert_eq!(explained["basis"], "message");
    assert_eq!(
        (&explained["template"], &explained["version"]),
        (&"table <*> was dropped by <*>".into(), &3.into())
    );
    assert_eq!(
        explained["masked"][0],
        serde_json::json!({ "at": 23, "text": "17", "class": "number" })
    );
    assert_eq!(
        (&explained["keys"][0]["how"], &explained["keyCount"]),
        (&"widened".into(), &4.into())
    );
    let why = explained["changes"][0]["why"].as_str().unwrap();
    assert!(why.starts_with("3 distinct words"), "{why}");
    assert!(explain(&log.c, 99).unwrap().is_none());
}

#[test]
fn a_source_can_opt_out() {
    use crate::events::group::{Choice, Mode, set_mode};
    let mut log = Log::new();
    let add = |log: &mut Log, message: &str, fingerprint: &[&str]| {
        let json = serde_json::json!({ "message": message, "source": "shop", "fingerprint": fingerprint }).to_string();
        let event = parse::event(&json, crate::clock::from_epoch_ms(1_750_000_000_000)).unwrap();
        match insert(&log.c, &[Prepared::new(event)], &mut log.engine).unwrap()[..] {
            [Inserted::New { group_id }] => group_id,
            _ => panic!("not new"),
        }
    };
    let choose = |log: &Log, mode| {
        let choice = Choice {
            source: "shop".to_owned(),
            mode,
            actor: None,
            at_ms: None,
        };
        set_mode(&log.c, &choice).unwrap();
    };
    assert_eq!([add(&mut log, "a 1", &[]), add(&mut log, "a 2", &[])], [1, 1]);
    choose(&log, Mode::Exact);
    assert_eq!(
        [
            add(&mut log, "a 1", &[]),
            add(&mut log, "a 2", &[]),
            add(&mut log, "a 2", &[])
        ],
        [2, 3, 3]
    );
    choose(&log, Mode::Fingerprint);
    assert_eq!(
        [
            add(&mut log, "a 1", &[]),
            add(&mut log, "b", &[]),
            add(&mut log, "b", &["x"])
        ],
        [4, 4, 5]
    );
    choose(&log, Mode::Learned);
    assert_eq!(add(&mut log, "a 3", &[]), 1);
}

/// Three groups of one event each.
fn three(log: &mut Log) {
    let words = ["disk is full", "no space left", "quota was reached"];
    assert_eq!(words.map(|word| log.add(word)), [1, 2, 3]);
}

/// No group is swallowed by one that is swallowed itself: it would be in no list.
fn parents(log: &Log) -> Vec<(i64, Option<i64>)> {
    let mut statement = log.c.prepare("SELECT id, parent FROM groups ORDER BY id").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let parents: Vec<(i64, Option<i64>)> = rows.map(Result::unwrap).collect();
    let is_root = |id: i64| parents.contains(&(id, None));
    assert!(
        parents.iter().all(|(_, parent)| parent.is_none_or(is_root)),
        "{parents:?}"
    );
    parents
}

#[test]
fn a_merge_is_undone_in_what_was_merged_further_since() {
    let mut log = Log::new();
    three(&mut log);
    let first = merge(&log.c, &[2, 3], None, 5).unwrap().unwrap();
    let second = merge(&log.c, &[1, 2], None, 6).unwrap().unwrap();
    assert_eq!(log.add("quota was reached"), 1);

    let done = undo(&log.c, first.change, None, 7).unwrap().unwrap();
    assert_eq!(
        (done.events, parents(&log)),
        (1, vec![(1, None), (2, Some(1)), (3, None)])
    );
    assert_eq!(log.counts(), [(1, 2), (3, 2)]);
    assert_eq!([log.add("quota was reached"), log.add("no space left")], [3, 1]);
    undo(&log.c, second.change, None, 8).unwrap().unwrap();
    assert_eq!(parents(&log), [(1, None), (2, None), (3, None)]);
    assert_eq!(log.counts(), [(1, 1), (2, 2), (3, 3)]);
}

#[test]
fn later_merges_are_undone_first_or_last_alike() {
    let mut log = Log::new();
    three(&mut log);
    let first = merge(&log.c, &[2, 3], None, 5).unwrap().unwrap();
    let second = merge(&log.c, &[1, 2], None, 6).unwrap().unwrap();
    undo(&log.c, second.change, None, 7).unwrap().unwrap();
    assert_eq!(parents(&log), [(1, None), (2, None), (3, Some(2))]);
    undo(&log.c, first.change, None, 8).unwrap().unwrap();
    assert_eq!(log.counts(), [(1, 1), (2, 1), (3, 1)]);
}

#[test]
fn what_was_taken_out_goes_back_into_what_the_whole_has_become() {
    let mut log = Log::new();
    three(&mut log);
    merge(&log.c, &[2, 3], None, 5).unwrap().unwrap();
    let out = split(&log.c, 2, &Selection::Aliases(vec![3]), None, 6)
        .unwrap()
        .unwrap();
    merge(&log.c, &[1, 2], None, 7).unwrap().unwrap();
    undo(&log.c, out.change, None, 8).unwrap().unwrap();
    assert_eq!(parents(&log), [(1, None), (2, Some(1)), (3, Some(1))]);
    assert_eq!((log.add("quota was reached"), log.counts()), (1, vec![(1, 4)]));
}

#[test]
fn what_was_taken_out_brings_what_it_swallowed_since() {
    let mut log = Log::new();
    three(&mut log);
    merge(&log.c, &[1, 2], None, 5).unwrap().unwrap();
    let out = split(&log.c, 1, &Selection::Aliases(vec![2]), None, 6)
        .unwrap()
        .unwrap();
    let later = merge(&log.c, &[2, 3], None, 7).unwrap().unwrap();
    undo(&log.c, out.change, None, 8).unwrap().unwrap();
    assert_eq!(parents(&log), [(1, None), (2, Some(1)), (3, Some(1))]);
    assert_eq!(log.counts(), [(1, 3)]);
    undo(&log.c, later.change, None, 9).unwrap().unwrap();
    assert_eq!(parents(&log), [(1, None), (2, Some(1)), (3, None)]);
    assert_eq!(log.counts(), [(1, 2), (3, 1)]);
}

#[test]
fn an_alias_that_is_taken_out_takes_what_came_for_it_meanwhile() {
    let mut log = Log::new();
    three(&mut log);
    merge(&log.c, &[1, 2, 3], None, 5).unwrap().unwrap();
    for word in ["no space left", "no space left", "disk is full"] {
        assert_eq!(log.add(word), 1);
    }
    let done = split(&log.c, 1, &Selection::Aliases(vec![2]), None, 6)
        .unwrap()
        .unwrap();
    assert_eq!((done.events, log.counts()), (2, vec![(1, 3), (2, 3)]));
}

#[test]
fn events_of_a_source_that_opted_out_go_with_their_keys_too() {
    use crate::events::group::{Choice, Mode, set_mode};
    let mut log = Log::new();
    let choice = Choice {
        source: String::new(),
        mode: Mode::Exact,
        actor: None,
        at_ms: None,
    };
    set_mode(&log.c, &choice).unwrap();
    assert_eq!([log.add("table 1 was dropped"), log.add("table 2 was dropped")], [1, 2]);
    let merged = merge(&log.c, &[1, 2], None, 5).unwrap().unwrap();
    assert_eq!(log.add("table 2 was dropped"), 1);
    let key = explain(&log.c, 1).unwrap().unwrap().keys;
    let key = key.iter().find(|key| key.group_id == "E-2").unwrap();
    let selection = Selection::Keys(vec![parse_key(&key.key).unwrap()]);
    let done = split(&log.c, 1, &selection, None, 6).unwrap().unwrap();
    assert_eq!((done.events, log.counts()), (2, vec![(1, 1), (done.group, 2)]));
    undo(&log.c, done.change, None, 7).unwrap().unwrap();
    undo(&log.c, merged.change, None, 8).unwrap().unwrap();
    assert_eq!(log.counts().iter().map(|(_, count)| count).sum::<i64>(), 3);
    parents(&log);
}
