//! What groups tell after they parted, and where a change is to be seen.

use serde_json::json;

use super::{Log, NOW};
use crate::clock::{from_epoch_ms, rfc3339_ms};
use crate::events::group::{Done, Refused, Selection};
use crate::events::life::together::{Change, perform};

const DAY_MS: i64 = 24 * 3_600_000;

impl Log {
    fn at(&self, message: &str, ago_ms: i64, user: u32) -> i64 {
        let time = rfc3339_ms(from_epoch_ms(NOW - ago_ms));
        self.store(&[json!({ "message": message, "timestamp": time, "userId": user })])[0]
    }

    fn change(&self, wanted: &Change) -> Done {
        perform(&self.c, wanted, &self.by()).unwrap().unwrap()
    }

    fn seen(&self, group: i64) -> (i64, i64, i64) {
        let sql = "SELECT first_seen, last_seen, users FROM groups WHERE id = ?1";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        self.c.query_row(sql, [group], row).unwrap()
    }

    fn prune(&self, message: &str) {
        let places: Vec<i64> = self
            .c
            .prepare("SELECT at FROM events WHERE message = ?1")
            .unwrap()
            .query_map([message], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let taken = crate::events::remove::remove(&self.c, &places, Default::default()).unwrap();
        assert_eq!(taken.done, places.len());
    }
}

#[test]
fn what_an_undone_merge_parts_was_seen_when_its_own_events_were() {
    let log = Log::new();
    let (old, new) = (log.at("old noise", 30 * DAY_MS, 1), log.at("new breakage", 0, 2));
    let merged = log.change(&Change::Merge(vec![old, new]));
    assert_eq!(log.seen(old), (NOW - 30 * DAY_MS, NOW, 2));
    log.change(&Change::Undo(old, merged.change));
    assert_eq!(log.seen(old), (NOW - 30 * DAY_MS, NOW - 30 * DAY_MS, 1));
    assert_eq!(log.seen(new), (NOW, NOW, 1));
}

#[test]
fn a_user_who_was_known_by_the_other_part_is_counted_in_both() {
    let log = Log::new();
    let (one, other) = (log.at("old noise", 0, 1), log.at("new breakage", 0, 2));
    let merged = log.change(&Change::Merge(vec![one, other]));
    log.at("old noise", 0, 2);
    log.change(&Change::Undo(one, merged.change));
    assert_eq!((log.seen(one).2, log.seen(other).2), (2, 1));
}

#[test]
fn users_leave_with_their_last_event() {
    let log = Log::new();
    let (one, other) = (log.at("old noise", DAY_MS, 1), log.at("new breakage", 0, 2));
    log.change(&Change::Merge(vec![one, other]));
    log.at("new breakage", DAY_MS / 2, 3);
    log.change(&Change::Split(one, Selection::Aliases(vec![other])));
    assert_eq!(log.seen(one), (NOW - DAY_MS, NOW - DAY_MS, 1));
    assert_eq!(log.seen(other), (NOW - DAY_MS / 2, NOW, 2));
}

#[test]
fn of_events_that_left_what_was_kept_of_the_parts_counts() {
    let log = Log::new();
    let (old, new) = (log.at("old noise", 30 * DAY_MS, 1), log.at("new breakage", 0, 2));
    log.prune("old noise");
    let merged = log.change(&Change::Merge(vec![old, new]));
    log.prune("new breakage");
    log.change(&Change::Undo(old, merged.change));
    assert_eq!(log.seen(old), (NOW - 30 * DAY_MS, NOW - 30 * DAY_MS, 1));
    assert_eq!(log.seen(new), (NOW, NOW, 1));
    let counts = [old, new].map(|group| log.shown(group)["count"].clone());
    assert_eq!(counts, [json!(1), json!(1)]);
}

#[test]
fn a_change_is_seen_and_undone_under_every_group_that_it_touched() {
    let log = Log::new();
    let (one, other) = (log.at("old noise", 0, 1), log.at("new breakage", 0, 2));
    let third = log.at("third thing", 0, 2);
    log.change(&Change::Merge(vec![one, other]));
    let event = log
        .c
        .query_row("SELECT id FROM events WHERE message = 'new breakage'", [], |row| {
            row.get(0)
        });
    let events = Selection::Events(vec![uuid::Uuid::from_bytes(event.unwrap())]);
    let out = log.change(&Change::Split(one, events));
    assert_eq!(log.actions(out.group), ["split"]);
    assert!(log.actions(one).contains(&"split".to_owned()));
    let explained = crate::events::group::explain(&log.c, out.group).unwrap().unwrap();
    assert_eq!(
        explained.changes.iter().map(|change| change.id).collect::<Vec<_>>(),
        [out.change]
    );
    let strange = perform(&log.c, &Change::Undo(third, out.change), &log.by()).unwrap();
    assert_eq!(strange, Err(Refused::NoChange(out.change)));
    log.change(&Change::Undo(out.group, out.change));
    let merge = crate::events::group::explain(&log.c, one).unwrap().unwrap().changes;
    let merge = merge.iter().find(|change| change.what == "merged").unwrap().id;
    log.change(&Change::Undo(out.group, merge));
    assert_eq!((log.seen(one).2, log.seen(other).2), (1, 1));
    assert!(log.actions(other).contains(&"undone".to_owned()));
}
