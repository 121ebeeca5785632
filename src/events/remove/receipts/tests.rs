//! The receipts' statements on a file of the present schema.

use super::*;
use crate::events::index::words::Field;
use crate::events::remove::erasure;
use crate::events::schema;

const NOW: i64 = 1_750_000_000_000;

fn asked(kind: Kind, shown: &str, bound_ms: i64) -> Asked {
    Asked {
        kind,
        filter: Filter {
            values: vec![(Field::UserId, "bob".to_owned())],
            ..Filter::default()
        },
        shown: shown.to_owned(),
        actor: "me".to_owned(),
        reason: None,
        now_ms: bound_ms,
        bound_ms,
        token: None,
    }
}

fn next(c: &Connection) -> (i64, i64, i64) {
    let next = unfinished(c).expect("read").expect("one");
    (next.id, next.bound_ms, next.place)
}

#[test]
fn an_erasure_that_is_wanted_again_reaches_what_came_in_between() {
    let c = schema::connection();
    let id = begin(&c, &asked(Kind::Erasure, "{}", NOW)).expect("begun");
    let nothing = Taken::default();
    assert!(advance(&c, (id, NOW), &nothing, 40).expect("advanced"));
    assert_eq!(next(&c), (id, NOW, 40));
    assert_eq!(begin(&c, &asked(Kind::Erasure, "{}", NOW + 9)).expect("begun"), id);
    assert_eq!(next(&c), (id, NOW + 9, i64::MAX), "from the beginning");
    // The walk under way knows nothing of it, and a kill must not let it skip what it has not looked for.
    assert!(advance(&c, (id, NOW), &nothing, 30).expect("advanced"));
    assert_eq!(next(&c), (id, NOW + 9, i64::MAX));
    assert_eq!(walked(&c, id, NOW).expect("walked"), Some(NOW + 9));
    assert_eq!(walked(&c, id, NOW + 9).expect("walked"), None);
    let later = begin(&c, &asked(Kind::Erasure, "{}", NOW + 20)).expect("begun");
    assert_ne!(later, id, "it has stopped looking");
}

#[test]
fn what_was_stopped_is_not_taken_for_the_same_that_is_wanted_now() {
    let c = schema::connection();
    let wanted = asked(Kind::Purge, r#"{"source":"shop"}"#, NOW);
    let id = begin(&c, &wanted).expect("begun");
    assert_eq!(begin(&c, &wanted).expect("begun"), id);
    assert!(stop(&c, id).expect("stopped"));
    assert_ne!(begin(&c, &wanted).expect("begun"), id);
}

#[test]
fn no_receipt_names_an_erased_user() {
    let c = schema::connection();
    let shown = [
        r#"{"userId":"bob"}"#,
        r#"{"q":"userId:bob card"}"#,
        r#"{"q":"userId:\"bob\""}"#,
        r#"{"q":"bob's"}"#,
        r#"{"userId":"bobby"}"#,
    ];
    for shown in shown {
        begin(&c, &asked(Kind::Purge, shown, NOW)).expect("begun");
    }
    forget_user(&c, "bob").expect("forgotten");
    let left: Vec<String> = c
        .prepare("SELECT asked FROM purges ORDER BY id")
        .and_then(|mut all| all.query_map([], |row| row.get(0))?.collect())
        .expect("read");
    assert_eq!(
        left,
        [
            r#"{"userId":"erased"}"#,
            r#"{"q":"erased"}"#,
            r#"{"q":"erased"}"#,
            shown[3],
            shown[4]
        ]
    );
}

#[test]
fn an_erasure_reaches_what_came_before_the_clock_was_set_back() {
    let c = schema::connection();
    let mut first = asked(Kind::Erasure, "", NOW);
    erasure::announce(&c, &mut first).expect("announced");
    assert_eq!(first.bound_ms, NOW);
    assert!(!first.shown.contains("bob"));
    c.execute(
        "INSERT INTO events (at, id, received, type, severity, assessed, class, group_id, message)
         VALUES (1, randomblob(16), ?1, 0, 0, 0, 0, 1, '')",
        [NOW + 5],
    )
    .expect("an event");
    erasure::announce(&c, &mut first).expect("announced");
    assert_eq!(first.bound_ms, NOW + 5);
}

#[test]
fn groups_that_never_named_the_user_are_looked_after_when_an_event_of_theirs_left() {
    let c = schema::connection();
    c.execute_batch(
        "INSERT INTO groups (id, title, type, severity, explanation, first_seen, last_seen, parent)
           VALUES (1, '', 0, 0, '', 0, 0, NULL), (2, '', 0, 0, '', 0, 0, 1), (3, '', 0, 0, '', 0, 0, NULL),
                  (4, '', 0, 0, '', 0, 0, NULL);
         INSERT INTO group_users VALUES (3, 'bob'), (4, 'else');
         INSERT INTO purge_groups VALUES (7, 1), (8, 4)",
    )
    .expect("groups");
    assert_eq!(erasure::groups_of(&c, 7, "bob").expect("read"), [1, 2, 3]);
}

#[test]
fn receipts_of_single_removals_are_bounded_and_what_they_counted_is_not_lost() {
    let c = schema::connection();
    let purge = begin(&c, &asked(Kind::Purge, "{}", NOW)).expect("begun");
    let removed = Removed {
        events: 3,
        ..Removed::default()
    };
    let taken = Taken {
        removed,
        ..Taken::default()
    };
    let left = || crate::events::retention::left_by_hand(&c).expect("read");
    let singles = SINGLES_KEPT + 30;
    for number in 1..=singles {
        let id = begin(&c, &asked(Kind::One, &number.to_string(), NOW)).expect("begun");
        assert!(advance(&c, (id, NOW), &taken, 0).expect("advanced"));
        end(&c, id, Status::Done, NOW, None).expect("ended");
        forget_singles(&c).expect("forgotten");
        assert_eq!(left(), [3 * number.unsigned_abs(), 0]);
    }
    let kept: (i64, i64) = c
        .query_row("SELECT count(*), max(id) FROM purges WHERE kind = 2", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .expect("read");
    assert_eq!(kept.0, SINGLES_KEPT);
    assert!(one(&c, kept.1).expect("read").is_some(), "the newest are kept");
    assert!(one(&c, purge).expect("read").is_some(), "those of purges stay");
}

#[test]
fn what_another_version_looks_for_is_not_taken_for_less_than_it_is() {
    let c = schema::connection();
    let id = begin(&c, &asked(Kind::Purge, "{}", NOW)).expect("begun");
    let kept: String = c
        .query_row("SELECT filter FROM purges WHERE id = ?1", [id], |row| row.get(0))
        .expect("read");
    let rest = |filter: &str| {
        c.execute("UPDATE purges SET filter = ?2 WHERE id = ?1", (id, filter))
            .expect("written");
        unfinished(&c).expect("read").expect("one").rest
    };
    assert!(matches!(rest(&kept), Rest::Matching(_)));
    let narrower = kept.replacen('{', r#"{"regions":["eu"],"#, 1);
    assert!(
        matches!(rest(&narrower), Rest::Unreadable),
        "it would match more than was asked for"
    );
    assert!(matches!(rest("of another shape"), Rest::Unreadable));
}
