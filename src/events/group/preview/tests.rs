//! Tests of the preview.

use super::*;
use crate::events::parse;
use crate::events::store::{Prepared, insert};

#[test]
fn it_says_what_would_change_and_changes_nothing() {
    let c = schema::connection();
    let mut engine = Engine::default();
    let add = |engine: &mut Engine, message: &str| {
        let json = serde_json::json!({ "message": message }).to_string();
        let event = parse::event(&json, crate::clock::from_epoch_ms(1_750_000_000_000)).unwrap();
        insert(&c, &[Prepared::new(event)], engine).unwrap();
    };
    for message in [
        "a 1",
        "a 2",
        "b 1",
        "table x is gone",
        "table y is gone",
        "table z is gone",
    ] {
        add(&mut engine, message);
    }
    let same = preview(&c, 100, &Otherwise::default()).unwrap();
    assert_eq!((same.events, same.groups_now, same.groups_then), (6, 3, 3));
    assert!(same.split.is_empty() && same.merged.is_empty());

    // As if other rules had put a and b together, and one of a's events elsewhere.
    c.execute_batch(
        "UPDATE events SET group_id = 1 WHERE message = 'b 1'; UPDATE events SET group_id = 3 WHERE message = 'a 2'",
    )
    .unwrap();
    let other = preview(&c, 100, &Otherwise::default()).unwrap();
    assert_eq!(other.split.len(), 2, "{other:?}");
    assert_eq!(
        other.split[0],
        Regrouped {
            groups: vec!["E-1".into()],
            templates: vec!["a <*>".into(), "b <*>".into()]
        }
    );
    assert_eq!(other.merged[0].groups, ["E-1", "E-3"]);
    assert_eq!(preview(&c, 1, &Otherwise::default()).unwrap().events, 1);
}

#[test]
fn other_rules_can_be_tried_on_what_is_stored() {
    let c = schema::connection();
    let mut engine = Engine::default();
    for message in [
        "table x is gone",
        "table y is gone",
        "table z is gone",
        "row 1",
        "row 2",
    ] {
        let json = serde_json::json!({ "message": message, "source": "shop" }).to_string();
        let event = parse::event(&json, crate::clock::from_epoch_ms(1_750_000_000_000)).unwrap();
        insert(&c, &[Prepared::new(event)], &mut engine).unwrap();
    }
    let of = |mode: Option<Mode>, threshold| {
        let mode = mode.map(|mode| ("shop".to_owned(), mode));
        preview(
            &c,
            100,
            &Otherwise {
                mode,
                threshold,
                ..Otherwise::default()
            },
        )
        .unwrap()
    };
    let now = of(None, None);
    assert_eq!(of(Some(Mode::Exact), None).groups_then, 5);
    assert_eq!(of(Some(Mode::Fingerprint), None).groups_then, 1);
    assert_eq!(of(None, Some(2)).groups_then, 2, "{now:?}");
    assert_eq!(of(None, Some(16)).groups_then, 4);
    // What was chosen already is part of the present rules.
    let choice = Choice {
        source: "shop".to_owned(),
        mode: Mode::Exact,
        actor: None,
        at_ms: None,
    };
    set_mode(&c, &choice).unwrap();
    assert_eq!(of(None, None).groups_then, 5);
    assert_eq!(of(Some(Mode::Learned), None).groups_then, now.groups_then);
}
