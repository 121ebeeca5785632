//! Documents on a connection in memory with the real schema.
mod pages;

use rusqlite::Connection;
use serde_json::{Map, json};

use super::*;
use crate::records::collections::{create as create_collection, list as list_collections};
use crate::records::schema::fresh;
use crate::records::{Body, CollectionName, Conditions, DocumentId, Key, Versions};

const T1: i64 = 1_700_000_000_000;
const T2: i64 = T1 + 1500;

fn notes() -> Connection {
    let db = fresh();
    create_collection(&db, &CollectionName::parse("notes").unwrap(), T1).unwrap();
    db
}

fn key_in(collection: &str, id: &str) -> Key {
    Key {
        collection: CollectionName::parse(collection).unwrap(),
        id: DocumentId::parse(id).unwrap(),
    }
}

fn key(id: &str) -> Key {
    key_in("notes", id)
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn body(value: Value) -> Body {
    Body::from_members(&object(value)).unwrap()
}

fn if_match(version: i64) -> Conditions {
    Conditions {
        if_match: Some(Versions::OneOf(vec![version])),
        if_none_match: None,
    }
}

fn counted(db: &Connection) -> i64 {
    let kept = list_collections(db, None, 1).unwrap().items[0].documents;
    let real: i64 = db
        .query_row("SELECT count(*) FROM documents", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, real, "the kept count is the real one");
    kept
}

fn read(db: &Connection, id: &str) -> Value {
    serde_json::from_str(&get(db, &key(id)).unwrap().unwrap().json).unwrap()
}

#[test]
fn a_created_document_is_read_as_it_was_answered() {
    let db = notes();
    let made = create(&db, &key("n1"), &body(json!({"title": "a \"b\"", "n": [1, {}]})), T1)
        .unwrap()
        .unwrap();
    assert_eq!(made.version, 1);
    assert_eq!(get(&db, &key("n1")).unwrap(), Ok(made));
    assert_eq!(
        read(&db, "n1"),
        json!({"id": "n1", "createdAt": "2023-11-14T22:13:20.000Z", "updatedAt": "2023-11-14T22:13:20.000Z",
               "version": 1, "title": "a \"b\"", "n": [1, {}]})
    );
    assert_eq!(counted(&db), 1);
}

#[test]
fn a_document_without_members_is_json_too() {
    let db = notes();
    create(&db, &key("n1"), &body(json!({})), T1).unwrap().unwrap();
    assert_eq!(read(&db, "n1").as_object().unwrap().len(), 4);
}

#[test]
fn a_taken_id_is_refused_and_nothing_changes() {
    let db = notes();
    create(&db, &key("n1"), &body(json!({"a": 1})), T1).unwrap().unwrap();
    assert_eq!(
        create(&db, &key("n1"), &body(json!({"a": 2})), T2).unwrap(),
        Err(Refusal::Exists)
    );
    assert_eq!(read(&db, "n1")["a"], 1);
    assert_eq!(counted(&db), 1);
}

#[test]
fn missing_collections_and_documents_are_told_apart() {
    let db = notes();
    let nowhere = key_in("tasks", "n1");
    let (any, empty) = (Conditions::default(), body(json!({})));
    assert_eq!(get(&db, &nowhere).unwrap(), Err(Refusal::NoCollection));
    assert_eq!(create(&db, &nowhere, &empty, T1).unwrap(), Err(Refusal::NoCollection));
    assert_eq!(
        put(&db, &nowhere, &empty, &any, T1).unwrap(),
        Err(Refusal::NoCollection)
    );
    assert_eq!(
        patch(&db, &nowhere, &Map::new(), &any, T1).unwrap(),
        Err(Refusal::NoCollection)
    );
    assert_eq!(delete(&db, &nowhere, &any).unwrap(), Err(Refusal::NoCollection));
    assert_eq!(list(&db, &nowhere.collection, None, 9).unwrap(), None);
    assert_eq!(get(&db, &key("n1")).unwrap(), Err(Refusal::NoDocument));
    assert_eq!(
        patch(&db, &key("n1"), &Map::new(), &if_match(1), T1).unwrap(),
        Err(Refusal::NoDocument)
    );
    assert_eq!(delete(&db, &key("n1"), &if_match(1)).unwrap(), Err(Refusal::NoDocument));
}

#[test]
fn put_creates_then_replaces() {
    let db = notes();
    let any = Conditions::default();
    let first = put(&db, &key("n1"), &body(json!({"a": 1})), &any, T1).unwrap().unwrap();
    assert!(matches!(first, Put::Created(Document { version: 1, .. })));
    let second = put(&db, &key("n1"), &body(json!({"b": 2})), &any, T2).unwrap().unwrap();
    assert!(matches!(&second, Put::Replaced(Document { version: 2, .. })));
    let stored = read(&db, "n1");
    assert_eq!(stored["createdAt"], "2023-11-14T22:13:20.000Z");
    assert_eq!(stored["updatedAt"], "2023-11-14T22:13:21.500Z");
    assert_eq!((stored.get("a"), &stored["b"]), (None, &json!(2)));
    assert_eq!(counted(&db), 1);
}

#[test]
fn conditions_that_do_not_hold_change_nothing() {
    let db = notes();
    let stale = if_match(7);
    let create_only = Conditions {
        if_match: None,
        if_none_match: Some(Versions::Any),
    };
    assert_eq!(
        put(&db, &key("n1"), &body(json!({})), &stale, T1).unwrap(),
        Err(Refusal::Unmet(None))
    );
    put(&db, &key("n1"), &body(json!({"a": 1})), &create_only, T1)
        .unwrap()
        .unwrap();
    let unmet = Refusal::Unmet(Some(1));
    assert_eq!(
        put(&db, &key("n1"), &body(json!({})), &create_only, T2).unwrap(),
        Err(unmet)
    );
    assert_eq!(put(&db, &key("n1"), &body(json!({})), &stale, T2).unwrap(), Err(unmet));
    assert_eq!(
        patch(&db, &key("n1"), &object(json!({"a": 2})), &stale, T2).unwrap(),
        Err(unmet)
    );
    assert_eq!(delete(&db, &key("n1"), &stale).unwrap(), Err(unmet));
    assert_eq!(
        (&read(&db, "n1")["a"], &read(&db, "n1")["version"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(counted(&db), 1);
}

#[test]
fn patch_merges_and_counts_the_version() {
    let db = notes();
    create(
        &db,
        &key("n1"),
        &body(json!({"a": 1, "b": {"c": 1, "d": 2}, "gone": 0})),
        T1,
    )
    .unwrap()
    .unwrap();
    let change = object(json!({"a": 5, "b": {"c": null, "e": [3]}, "gone": null}));
    let patched = patch(&db, &key("n1"), &change, &if_match(1), T2).unwrap().unwrap();
    assert_eq!(patched.version, 2);
    assert_eq!(get(&db, &key("n1")).unwrap(), Ok(patched));
    let stored = read(&db, "n1");
    assert_eq!(
        (&stored["a"], &stored["b"], stored.get("gone")),
        (&json!(5), &json!({"d": 2, "e": [3]}), None)
    );
    assert_eq!(stored["updatedAt"], "2023-11-14T22:13:21.500Z");
}

#[test]
fn numbers_are_stored_as_sent_and_a_patch_of_another_member_leaves_them() {
    let db = notes();
    let sent: Value =
        serde_json::from_str(r#"{"a":501.20687528192053,"b":103.69148554680059,"c":-9007199254740993}"#).unwrap();
    create(&db, &key("n1"), &body(sent), T1).unwrap().unwrap();
    let patched = patch(&db, &key("n1"), &object(json!({"d": 1})), &Conditions::default(), T2)
        .unwrap()
        .unwrap();
    let numbers = r#""a":501.20687528192053,"b":103.69148554680059,"c":-9007199254740993,"d":1}"#;
    assert!(patched.json.ends_with(numbers), "{}", patched.json);
}

#[test]
fn a_patch_cannot_grow_a_document_past_the_limit() {
    let db = notes();
    let half = "x".repeat(600_000);
    create(&db, &key("n1"), &body(json!({"a": half})), T1).unwrap().unwrap();
    let grow = object(json!({"b": half}));
    assert_eq!(
        patch(&db, &key("n1"), &grow, &Conditions::default(), T2).unwrap(),
        Err(Refusal::TooLarge)
    );
    assert_eq!(read(&db, "n1")["version"], 1);
}

#[test]
fn delete_removes_one_document_and_its_count() {
    let db = notes();
    create(&db, &key("n1"), &body(json!({})), T1).unwrap().unwrap();
    create(&db, &key("n2"), &body(json!({})), T1).unwrap().unwrap();
    assert_eq!(delete(&db, &key("n1"), &if_match(1)).unwrap(), Ok(()));
    assert_eq!(get(&db, &key("n1")).unwrap(), Err(Refusal::NoDocument));
    assert_eq!(counted(&db), 1);
    read(&db, "n2");
}

#[test]
fn collections_do_not_share_ids() {
    let db = notes();
    create_collection(&db, &CollectionName::parse("tasks").unwrap(), T1).unwrap();
    create(&db, &key("n1"), &body(json!({"of": "notes"})), T1)
        .unwrap()
        .unwrap();
    create(&db, &key_in("tasks", "n1"), &body(json!({"of": "tasks"})), T1)
        .unwrap()
        .unwrap();
    assert_eq!(
        delete(&db, &key_in("tasks", "n1"), &Conditions::default()).unwrap(),
        Ok(())
    );
    assert_eq!(read(&db, "n1")["of"], "notes");
}

#[test]
fn a_body_that_is_no_json_any_more_is_an_error_and_not_absence() {
    let db = notes();
    create(&db, &key("n1"), &body(json!({})), T1).unwrap().unwrap();
    db.execute_batch("PRAGMA ignore_check_constraints = ON; UPDATE documents SET body = '{broken'")
        .unwrap();
    assert!(patch(&db, &key("n1"), &Map::new(), &Conditions::default(), T2).is_err());
}
