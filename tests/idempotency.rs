//! `Idempotency-Key` at the front door of the real binary: one effect, one answer.

mod common;

use common::{Answer, with_notes};
use serde_json::json;

fn is_replayed(answer: &Answer) -> bool {
    answer.header("Idempotency-Replayed") == Some("true")
}

/// The same status, body and headers, marked as a repetition.
#[track_caller]
fn assert_repeats(first: &Answer, again: &Answer) {
    assert!(!is_replayed(first) && is_replayed(again), "{again:?}");
    assert_eq!((first.status, &first.text), (again.status, &again.text));
    for name in ["ETag", "Location", "Content-Type"] {
        assert_eq!(first.header(name), again.header(name), "{name}");
    }
}

#[test]
fn every_change_of_a_document_is_done_once_for_its_key() {
    let (mut server, client) = with_notes();
    let keyed = client.with("Idempotency-Key", "order-1");
    let made = keyed.post("/api/data/notes", &json!({ "n": 1 })).expect(201);
    let path = made.header("Location").expect("a place").to_owned();
    assert_repeats(&made, &keyed.post("/api/data/notes", &json!({ "n": 1 })));
    assert_eq!(
        client.get("/api/data/notes").json()["items"]
            .as_array()
            .expect("a list")
            .len(),
        1
    );

    let patched = keyed.patch(&path, &json!({ "n": 2 })).expect(200);
    assert_repeats(&patched, &keyed.patch(&path, &json!({ "n": 2 })));
    let put = keyed.put(&path, &json!({ "n": 3 })).expect(200);
    assert_repeats(&put, &keyed.put(&path, &json!({ "n": 3 })));
    assert_eq!(client.get(&path).header("ETag"), Some("\"3\""));

    server.kill();
    server.restart();
    let (client, keyed) = (server.client(), server.client().with("Idempotency-Key", "order-1"));
    assert_repeats(&made, &keyed.post("/api/data/notes", &json!({ "n": 1 })));
    let gone = keyed.delete(&path).expect(204);
    assert_repeats(&gone, &keyed.delete(&path));
    client.delete(&path).expect(404);
}

#[test]
fn a_key_belongs_to_one_request_and_a_refusal_takes_none() {
    let (_server, client) = with_notes();
    let keyed = client.with("Idempotency-Key", "k");
    keyed.put("/api/data/notes/a", &json!({ "n": 1 })).expect(201);
    let other = keyed.put("/api/data/notes/a", &json!({ "n": 2 })).expect(422);
    assert_eq!(other.json()["code"], "idempotency_mismatch");
    let conditional = keyed.with("If-Match", "\"1\"");
    conditional.put("/api/data/notes/a", &json!({ "n": 1 })).expect(422);
    keyed.put("/api/data/notes/b", &json!({ "n": 2 })).expect(201);
    assert_eq!(client.get("/api/data/notes/a").json()["n"], 1);

    let late = client.with("Idempotency-Key", "late");
    late.patch("/api/data/notes/c", &json!({ "n": 1 })).expect(404);
    client.put("/api/data/notes/c", &json!({})).expect(201);
    assert!(!is_replayed(
        &late.patch("/api/data/notes/c", &json!({ "n": 1 })).expect(200)
    ));
}

#[test]
fn a_malformed_key_is_refused() {
    let (_server, client) = with_notes();
    for key in ["", "a b", "é", "x".repeat(256).as_str()] {
        let keyed = client.with("Idempotency-Key", key);
        let refused = keyed.put("/api/data/notes/a", &json!({})).expect(400).json();
        assert_eq!(refused["errors"][0]["pointer"], "Idempotency-Key", "{key:?}");
    }
    let twice = client.with("Idempotency-Key", "a").with("Idempotency-Key", "b");
    twice.put("/api/data/notes/a", &json!({})).expect(400);
    client.get("/api/data/notes/a").expect(404);
    let longest = client.with("Idempotency-Key", &"x".repeat(255));
    longest.put("/api/data/notes/a", &json!({})).expect(201);
}

#[test]
fn duplicates_at_the_same_time_have_one_effect() {
    let (_server, client) = with_notes();
    let keyed = client.with("Idempotency-Key", "same");
    let answers: Vec<_> = std::thread::scope(|scope| {
        let send = || keyed.post("/api/data/notes", &json!({ "n": 1 })).expect(201);
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(send)).collect();
        threads.into_iter().map(|t| t.join().expect("answered")).collect()
    });
    assert_eq!(answers.iter().filter(|answer| !is_replayed(answer)).count(), 1);
    assert!(answers.iter().all(|answer| answer.text == answers[0].text));
    assert_eq!(
        client.get("/api/data/notes").json()["items"]
            .as_array()
            .expect("a list")
            .len(),
        1
    );
}
