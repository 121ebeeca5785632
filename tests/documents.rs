//! Application data at the front door of the real binary: a document's whole life, and lists to their end.

mod common;

use std::collections::BTreeSet;

use common::with_notes;
use serde_json::json;

#[test]
fn a_document_lives_from_post_to_delete_with_its_versions() {
    let (_server, client) = with_notes();
    let made = client
        .post("/api/data/notes", &json!({ "title": "a", "tags": { "x": 1, "y": 2 } }))
        .expect(201);
    let path = made.header("Location").expect("a place").to_owned();
    assert_eq!(made.header("ETag"), Some("\"1\""));
    assert_eq!(client.get(&path).expect(200).json(), made.json());
    client.with("If-None-Match", "\"1\"").get(&path).expect(304);

    let patched = client
        .patch(&path, &json!({ "tags": { "x": null }, "n": 1.5 }))
        .expect(200);
    assert_eq!(patched.header("ETag"), Some("\"2\""));
    assert_eq!(
        (&patched.json()["tags"], &patched.json()["title"]),
        (&json!({ "y": 2 }), &json!("a"))
    );
    assert_eq!(patched.json()["createdAt"], made.json()["createdAt"]);

    let stale = client.with("If-Match", "\"1\"");
    let refused = stale.put(&path, &json!({ "title": "lost" })).expect(412);
    assert_eq!(
        (&refused.json()["currentVersion"], refused.header("ETag")),
        (&json!(2), Some("\"2\""))
    );
    stale.patch(&path, &json!({})).expect(412);
    stale.delete(&path).expect(412);
    client.with("If-Match", "2").put(&path, &json!({})).expect(400);

    let replaced = client
        .with("If-Match", "\"2\"")
        .put(&path, &json!({ "title": "b" }))
        .expect(200)
        .json();
    assert_eq!(
        (&replaced["version"], &replaced["title"], replaced.get("tags")),
        (&json!(3), &json!("b"), None)
    );
    client.delete(&path).expect(204);
    client.get(&path).expect(404);
    client.delete(&path).expect(404);
}

#[test]
fn an_id_of_ones_own_is_created_once() {
    let (_server, client) = with_notes();
    client.post("/api/data/notes", &json!({ "id": "n1" })).expect(201);
    let conflict = client
        .post("/api/data/notes", &json!({ "id": "n1" }))
        .expect(409)
        .json();
    assert_eq!(conflict["code"], "conflict");
    client.put("/api/data/notes/n2", &json!({ "a": 1 })).expect(201);
    client.put("/api/data/notes/n2", &json!({ "a": 2 })).expect(200);
    client
        .with("If-None-Match", "*")
        .put("/api/data/notes/n2", &json!({}))
        .expect(412);
    client.put("/api/data/notes/n2", &json!({ "id": "n3" })).expect(422);
    assert_eq!(client.get("/api/data/notes/n2").json()["a"], 2);
}

#[test]
fn a_list_is_paged_to_its_end_without_gaps_or_doubles() {
    let (_server, client) = with_notes();
    let mut expected = BTreeSet::new();
    for number in 0..23 {
        let id = format!("n{number}");
        client.post("/api/data/notes", &json!({ "id": id })).expect(201);
        expected.insert(id);
    }
    let (mut seen, mut path, mut pages) = (Vec::new(), "/api/data/notes?limit=5".to_owned(), 0);
    loop {
        let page = client.get(&path).expect(200).json();
        let items = page["items"].as_array().expect("a list");
        seen.extend(items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
        pages += 1;
        match page["nextCursor"].as_str() {
            Some(cursor) => path = format!("/api/data/notes?limit=5&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!((seen.len(), pages), (23, 5));
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn a_collection_is_made_once_and_goes_only_when_it_is_empty_or_forced() {
    let (_server, client) = with_notes();
    client.put("/api/data/notes", &json!({})).expect(200);
    client.post("/api/data/notes", &json!({})).expect(201);
    let refused = client.delete("/api/data/notes").expect(409).json();
    assert_eq!(refused["documents"], 1);
    client.delete("/api/data/notes?force=yes").expect(400);
    client.delete("/api/data/notes?force=true").expect(204);
    client.get("/api/data/notes").expect(404);
    assert_eq!(client.get("/api/data").json()["items"], json!([]));
}
