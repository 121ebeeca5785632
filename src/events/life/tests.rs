//! The life of groups on a connection of its own: what events and hands make of it.

use std::cell::Cell;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::acts::perform;
use super::*;
use crate::clock::from_epoch_ms;
use crate::events::store::{Inserted, Prepared};
use crate::events::{parse, schema};

mod model;
mod parting;

pub(super) const NOW: i64 = 1_750_000_000_000;

/// A log with a clock.
pub(super) struct Log {
    pub c: Connection,
    pub now: Cell<i64>,
}

impl Log {
    pub fn new() -> Self {
        Self {
            c: schema::connection(),
            now: Cell::new(NOW),
        }
    }

    pub fn pass(&self, ms: i64) {
        self.now.set(self.now.get() + ms);
    }

    /// Stores events as one batch; the groups of the new ones.
    pub fn store(&self, events: &[Value]) -> Vec<i64> {
        let now = from_epoch_ms(self.now.get());
        let batch: Vec<Prepared> = events
            .iter()
            .map(|event| prepare(parse::event(&event.to_string(), now).unwrap()))
            .collect();
        let new = |one: Inserted| match one {
            Inserted::New { group_id } => Some(group_id),
            Inserted::Counted { .. } | Inserted::Duplicate => None,
        };
        insert(&self.c, &batch).into_iter().filter_map(new).collect()
    }

    /// Stores one event of the message; its group.
    pub fn event(&self, message: &str, release: Option<&str>) -> i64 {
        let mut event = json!({ "message": message, "source": "shop" });
        if let Some(release) = release {
            event["release"] = json!(release);
        }
        self.store(&[event])[0]
    }

    pub fn by(&self) -> By {
        By {
            actor: "ada".to_owned(),
            reason: None,
            at_ms: self.now.get(),
        }
    }

    pub fn act(&self, group: i64, act: Act) -> Acted {
        perform(&self.c, group, &act, &self.by()).unwrap()
    }

    /// The group as the wire shows it.
    pub fn shown(&self, group: i64) -> Value {
        let shown = view::one(&self.c, group, self.now.get()).unwrap();
        serde_json::to_value(shown).unwrap()
    }

    pub fn status(&self, group: i64) -> String {
        self.shown(group)["status"].as_str().unwrap().to_owned()
    }

    /// What happened, newest first.
    pub fn actions(&self, group: i64) -> Vec<String> {
        let family = crate::events::group::family(&self.c, group).unwrap();
        let entries = history::page(&self.c, &family, i64::MAX, 100).unwrap();
        entries.history.into_iter().map(|entry| entry.action).collect()
    }
}

fn prepare(event: crate::events::ErrorEvent) -> Prepared {
    Prepared::new(event)
}

fn insert(c: &Connection, batch: &[Prepared]) -> Vec<Inserted> {
    crate::events::store::insert(c, batch, &mut crate::events::group::Engine::default()).unwrap()
}

fn resolve() -> Act {
    Act::Resolve(None)
}

fn mute(until_ms: Option<i64>, more: Option<(u32, Option<i64>)>) -> Act {
    Act::Mute { until_ms, more }
}

#[test]
fn an_event_of_a_resolved_group_brings_it_back() {
    let log = Log::new();
    let group = log.event("a", None);
    assert_eq!(log.act(group, resolve()), Acted::Done);
    assert_eq!(log.act(group, resolve()), Acted::Unchanged);
    assert_eq!(log.status(group), "resolved");
    log.pass(10);
    let id = "0192f0c1-a2b3-7c4d-8e9f-001122334455";
    let event = json!({ "id": id, "message": "a", "source": "shop", "release": "1.2.0" });
    log.store(std::slice::from_ref(&event));
    let shown = log.shown(group);
    assert_eq!(
        (&shown["status"], &shown["regressed"]),
        (&json!("unresolved"), &json!(true))
    );
    assert_eq!(shown["regressedAt"], "2025-06-15T15:06:40.010Z");
    assert_eq!(log.actions(group), ["regressed", "resolved"]);
    // Once it is dealt with again, the same event doesn't bring it back.
    log.act(group, resolve());
    assert_eq!(log.shown(group)["regressed"], false);
    log.store(&[event]);
    assert_eq!(log.status(group), "resolved");
}

#[test]
fn what_happened_before_it_was_resolved_does_not_bring_it_back() {
    let log = Log::new();
    let group = log.event("a", None);
    log.pass(5000);
    log.act(group, resolve());
    log.pass(5000);
    // It waited in the spool, or its sender was offline.
    log.store(&[json!({ "message": "a", "source": "shop", "timestamp": "2025-06-15T15:06:41Z" })]);
    assert_eq!(log.status(group), "resolved");
    assert_eq!(log.shown(group)["count"], 2);
    log.store(&[json!({ "message": "a", "source": "shop", "timestamp": "2025-06-15T15:06:45Z" })]);
    assert_eq!(log.status(group), "unresolved");
}

#[test]
fn resolved_in_a_release_it_comes_back_with_that_or_a_later_one() {
    let cases: [(InRelease, &[&str], &[&str]); 3] = [
        (
            InRelease::Named("shop@1.3.0".into()),
            &["shop@1.2.9", "shop@1.3.0-rc.1", "shop@0.9"],
            &["shop@1.3.0"],
        ),
        (InRelease::Current, &["shop@1.1.0"], &["shop@1.2.0", "shop@1.10.0"]),
        (InRelease::Next, &["shop@1.1.0", "shop@1.2.0"], &["shop@1.2.1"]),
    ];
    for (release, quiet, loud) in cases {
        for loud in loud {
            let log = Log::new();
            let group = log.event("a", Some("shop@1.2.0"));
            assert_eq!(log.act(group, Act::Resolve(Some(release.clone()))), Acted::Done);
            for quiet in quiet {
                log.event("a", Some(quiet));
                assert_eq!(log.status(group), "resolved", "{release:?} {quiet}");
            }
            log.event("a", None);
            assert_eq!(log.status(group), "resolved", "which release it is can't be known");
            log.event("a", Some(loud));
            assert_eq!(log.status(group), "unresolved", "{release:?} {loud}");
        }
    }
    let log = Log::new();
    let group = log.event("a", None);
    let source = "shop".to_owned();
    let refused = Acted::Not(Undone::NoRelease { group, source });
    assert_eq!(log.act(group, Act::Resolve(Some(InRelease::Next))), refused);
    assert_eq!(log.status(group), "unresolved");
}

#[test]
fn a_mute_ends_with_its_time() {
    let log = Log::new();
    let group = log.event("a", None);
    log.act(group, mute(Some(NOW + 1000), None));
    log.pass(999);
    log.event("a", None);
    assert_eq!(
        (log.status(group), log.shown(group)["count"].as_i64()),
        ("muted".into(), Some(2))
    );
    log.pass(1);
    assert_eq!(log.status(group), "unresolved", "a look is enough");
    assert_eq!(log.shown(group).get("mutedUntil"), None);
    assert_eq!(log.actions(group), ["muted"]);
    log.event("a", None);
    assert_eq!(log.actions(group), ["unmuted", "muted"]);
    log.pass(1000);
    log.act(group, mute(Some(NOW + 5000), None));
    log.pass(9000);
    // A hand finds it unresolved too.
    assert_eq!(log.act(group, Act::Reopen), Acted::Unchanged);
    assert_eq!(log.actions(group)[..2], ["unmuted", "muted"]);
}

#[test]
fn a_mute_ends_when_enough_events_came() {
    let log = Log::new();
    let group = log.event("a", None);
    log.act(group, mute(None, Some((3, None))));
    log.event("a", None);
    log.pass(1_000_000);
    log.event("a", None);
    assert_eq!(log.shown(group)["mutedUntilCount"], json!({ "count": 3, "seen": 2 }));
    log.event("a", None);
    assert_eq!(
        (log.status(group), log.shown(group)["regressed"] == false),
        ("unresolved".into(), true)
    );
    // Within a span, the last three count.
    log.act(group, mute(None, Some((3, Some(60_000)))));
    for (wait, status) in [
        (1, "muted"),
        (50_000, "muted"),
        (50_000, "muted"),
        (9_000, "unresolved"),
    ] {
        log.pass(wait);
        log.event("a", None);
        assert_eq!(log.status(group), status, "{wait}");
    }
    let expected = ["unmuted", "muted", "unmuted", "muted"];
    assert_eq!(log.actions(group), expected);
}

#[test]
fn a_batch_adds_up_hours_users_and_releases() {
    let log = Log::new();
    let event = |user: Value, release: &str| json!({ "message": "a", "userId": user, "release": release });
    let group = log.store(&[
        event(json!(7), "1.0"),
        event(json!("7"), "1.1"),
        event(json!("b"), "1.1"),
    ])[0];
    log.pass(3_600_000);
    log.store(&[event(json!("b"), "1.1"), event(json!("c"), "1.0")]);
    let shown = log.shown(group);
    assert_eq!((&shown["usersAffected"], &shown["count"]), (&json!(3), &json!(5)));
    assert_eq!(
        shown["releases"],
        json!(["1.0", "1.1"]),
        "both were seen last at the same moment"
    );
    let trend = shown["trend"].as_array().unwrap();
    assert_eq!((trend.len(), &trend[22], &trend[23]), (24, &json!(3), &json!(2)));
    log.pass(30 * 3_600_000);
    assert!(
        log.shown(group)["trend"]
            .as_array()
            .unwrap()
            .iter()
            .all(|hour| hour == 0)
    );
}

#[test]
fn users_and_releases_are_bounded() {
    let log = Log::new();
    let event = |number: i64| json!({ "message": "a", "userId": number, "release": format!("{number}.0.0") });
    let batch: Vec<Value> = (0..MOST_USERS + 20).map(event).collect();
    let group = log.store(&batch)[0];
    let shown = log.shown(group);
    assert_eq!(
        (&shown["usersAffected"], &shown["usersAffectedIsAtLeast"]),
        (&json!(MOST_USERS), &json!(true))
    );
    let kept: i64 = log
        .c
        .query_row("SELECT count(*) FROM group_releases", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, MOST_RELEASES);
}

#[test]
fn what_is_united_is_as_awake_as_its_wakest_part_and_parts_as_it_was() {
    let log = Log::new();
    let one = log.store(&[
        json!({ "message": "alpha", "userId": 1 }),
        json!({ "message": "alpha", "userId": 2 }),
    ])[0];
    let other = log.store(&[json!({ "message": "omega", "userId": 2 })])[0];
    log.act(one, mute(None, None));
    log.c
        .execute("UPDATE groups SET parent = ?1 WHERE id = ?2", [one, other])
        .unwrap();
    swallowed(&log.c, other, one, NOW).unwrap();
    let shown = log.shown(other);
    assert_eq!(
        (&shown["id"], &shown["status"]),
        (&json!(format!("E-{one}")), &json!("unresolved"))
    );
    assert_eq!(shown["usersAffected"], 2, "one of them is the same");
    assert_eq!(shown["trend"][23], 3);
    // An act on either is one on the whole.
    log.act(other, resolve());
    assert_eq!(log.status(one), "resolved");
    log.c
        .execute("UPDATE groups SET parent = NULL WHERE id = ?1", [other])
        .unwrap();
    parted(&log.c, one, other).unwrap();
    assert_eq!(
        (log.status(one), log.status(other)),
        ("resolved".into(), "resolved".into())
    );
    assert_eq!(
        (&log.shown(one)["usersAffected"], &log.shown(other)["usersAffected"]),
        (&json!(2), &json!(1))
    );
    log.store(&[json!({ "message": "omega" })]);
    assert_eq!(
        (log.status(one), log.status(other)),
        ("resolved".into(), "unresolved".into())
    );
}

#[test]
fn nothing_is_left_of_a_removed_group() {
    let log = Log::new();
    let group = log.store(&[json!({ "message": "a", "userId": 1, "release": "1" })])[0];
    log.act(group, resolve());
    log.c.execute("DELETE FROM groups WHERE id = ?1", [group]).unwrap();
    for table in [
        "group_life",
        "group_history",
        "group_hours",
        "group_users",
        "group_releases",
        "group_text",
    ] {
        let left: i64 = log
            .c
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
            .unwrap();
        assert_eq!(left, 0, "{table}");
    }
}
