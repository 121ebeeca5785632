//! How sources are grouped, chosen and tried out through the front door.

mod common;

use common::{Client, Server};
use serde_json::{Value, json};

const GROUPING: &str = "/api/monitoring/grouping";

fn report(client: &Client, source: Option<&str>, message: &str) -> String {
    let mut event = json!({ "message": message });
    if let Some(source) = source {
        event["source"] = json!(source);
    }
    let made = client.post("/api/monitoring/errors", &event).expect(201).json();
    made["groupId"].as_str().expect("a group").to_owned()
}

fn preview(client: &Client, query: &str) -> Value {
    client.get(&format!("{GROUPING}/preview{query}")).expect(200).json()
}

#[test]
fn a_source_opts_out_and_comes_back_also_over_a_restart() {
    let mut server = Server::start(&[]);
    let client = server.client();
    let shown = client.get(GROUPING).expect(200).json();
    assert_eq!((&shown["default"], &shown["modes"]), (&json!("learned"), &json!([])));
    assert_eq!(shown["version"], 3);
    let learned = report(&client, Some("shop"), "order 1");
    assert_eq!(report(&client, Some("shop"), "order 2"), learned);

    let chosen = client
        .post(GROUPING, &json!({ "source": "shop", "mode": "exact" }))
        .expect(200)
        .json();
    assert_eq!(chosen["modes"][0]["source"], "shop");
    assert_eq!(chosen["modes"][0]["mode"], "exact");
    assert_eq!(chosen["modes"][0]["by"], "local");
    assert!(chosen["modes"][0]["at"].is_string());
    client
        .post(GROUPING, &json!({ "source": null, "mode": "fingerprint" }))
        .expect(200);
    server.kill();
    server.restart();
    let client = server.client();
    let modes = client.get(GROUPING).expect(200).json()["modes"].clone();
    assert_eq!(
        (&modes[0]["source"], &modes[0]["mode"]),
        (&Value::Null, &json!("fingerprint"))
    );
    let three = report(&client, Some("shop"), "order 3");
    assert!(three != learned && report(&client, Some("shop"), "order 4") != three);
    assert_eq!(report(&client, Some("shop"), "order 3"), three);
    assert_eq!(report(&client, None, "this"), report(&client, None, "that"));
    assert_ne!(
        report(&client, Some("desk"), "this 1"),
        report(&client, Some("desk"), "that 1")
    );

    client
        .post(GROUPING, &json!({ "source": "shop", "mode": "learned" }))
        .expect(200);
    assert_eq!(
        report(&client, Some("shop"), "order 5"),
        learned,
        "its own groups are still there"
    );
    assert_eq!(
        client.get(GROUPING).expect(200).json()["modes"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

#[test]
fn a_preview_tells_what_would_change_and_changes_nothing() {
    let server = Server::start(&[]);
    let client = server.client();
    for message in ["order 1", "order 2", "table x is gone", "table y is gone"] {
        report(&client, Some("shop"), message);
    }
    let same = preview(&client, "");
    assert_eq!(
        (&same["events"], &same["groupsNow"], &same["groupsThen"]),
        (&json!(4), &json!(3), &json!(3))
    );
    let exact = preview(&client, "?source=shop&mode=exact");
    assert_eq!(exact["groupsThen"], 4);
    assert_eq!(exact["split"][0]["groups"], json!(["E-1"]));
    assert_eq!(
        preview(&client, "?source=desk&mode=exact")["groupsThen"],
        3,
        "of another source"
    );
    let wide = preview(&client, "?threshold=2");
    assert_eq!(wide["groupsThen"], 2);
    assert_eq!(wide["merged"][0]["groups"], json!(["E-2", "E-3"]));
    assert_eq!(preview(&client, "?events=1")["events"], 1);
    assert_eq!(client.get(GROUPING).expect(200).json()["modes"], json!([]));
    let groups = client.get("/api/monitoring/groups").expect(200).json();
    assert_eq!(groups["groups"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_preview_tells_what_another_version_of_the_rules_would_make_of_it() {
    let server = Server::start(&[]);
    let client = server.client();
    for name in ["Old Orders", "New Lab", "Main"] {
        report(&client, Some("desk"), &format!("channel {name} stopped"));
    }
    let (older, newer) = (preview(&client, "?version=2"), preview(&client, "?version=3"));
    assert_eq!((&older["version"], &older["groupsThen"]), (&json!(2), &json!(3)));
    assert_eq!((&newer["version"], &newer["groupsThen"]), (&json!(3), &json!(1)));
    assert_eq!(older["split"][0]["templates"].as_array().map(Vec::len), Some(3));
}

#[test]
fn what_is_wrong_is_refused_with_what_is_allowed() {
    let server = Server::start(&[]);
    let client = server.client();
    let long = "x".repeat(129);
    for (body, pointer) in [
        (json!([]), ""),
        (json!({ "mode": "exact" }), "/source"),
        (json!({ "source": "", "mode": "exact" }), "/source"),
        (json!({ "source": long, "mode": "exact" }), "/source"),
        (json!({ "source": "shop" }), "/mode"),
        (json!({ "source": "shop", "mode": "none" }), "/mode"),
        (json!({ "source": "shop", "mode": "exact", "x": 1 }), "/x"),
    ] {
        let refused = client.post(GROUPING, &body).expect(422).json();
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{body}");
    }
    for (query, pointer) in [
        ("?events=0", "events"),
        ("?events=20001", "events"),
        ("?threshold=1", "threshold"),
        ("?threshold=17", "threshold"),
        ("?version=1", "version"),
        ("?version=4", "version"),
        ("?mode=exact", "source"),
        ("?source=shop", "mode"),
        ("?source=shop&mode=none", "mode"),
        ("?version=1", "version"),
    ] {
        let refused = client.get(&format!("{GROUPING}/preview{query}")).expect(400).json();
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{query}");
    }
}

#[test]
fn choosing_wants_the_right_to_write() {
    let server = Server::start(&[]);
    let token = server.token(&["create", "--scope", "monitor:read"]);
    let client = server.client().with("Authorization", &format!("Bearer {token}"));
    common::eventually("the token is known", || {
        (server.client().get(GROUPING).status == 401 && client.get(GROUPING).status == 200).then_some(())
    });
    preview(&client, "");
    let refused = client
        .post(GROUPING, &json!({ "source": "shop", "mode": "exact" }))
        .expect(403)
        .json();
    assert!(refused["detail"].as_str().expect("text").contains("monitor:write"));
}
