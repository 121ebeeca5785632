//! A server with a source for Sentry's SDKs, and what they reported to it.

use std::process::Stdio;

use serde_json::{Value, json};

use super::{Client, Server, eventually, mainstay};

/// Makes a source in the server's folder, whether it runs or not.
pub fn make_source(server: &Server, name: &str) -> String {
    let made = mainstay(server.folder())
        .args(["source", "create", name])
        .stderr(Stdio::null())
        .output()
        .expect("runs");
    assert!(made.status.success(), "{made:?}");
    String::from_utf8(made.stdout).expect("text").trim().to_owned()
}

/// The key in a DSN.
pub fn key(dsn: &str) -> &str {
    let (_, rest) = dsn.split_once("://").expect("a DSN");
    rest.split_once('@').expect("a DSN").0
}

/// A server that has a source, and the DSN under which it really listens.
pub fn with_source(settings: &[(&str, &str)]) -> (Server, Client, String) {
    let mut server = Server::start(settings);
    assert!(server.stop().success());
    let dsn = make_source(&server, "shop");
    server.restart();
    let place = server.url("");
    let dsn = format!("http://{}@{}/1", key(&dsn), place.trim_start_matches("http://"));
    let client = server.client();
    (server, client, dsn)
}

/// The events that `wanted` picks, once there is at least one and nothing waits in the spool.
pub fn found(client: &Client, what: &str, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    eventually(&format!("an event: {what}"), || {
        let page = client.try_send("GET", "/api/monitoring/errors?limit=500", None)?;
        if page.status != 200 {
            return None;
        }
        let page = page.json();
        let mut events = page["errors"].as_array().expect("a list").clone();
        events.retain(&wanted);
        (!events.is_empty() && page.get("pending").is_none()).then_some(events)
    })
}

/// The message and the error that a script under `mark` sent are there, once, with everything in its place; the error.
pub fn check_reported(client: &Client, mark: &str) -> Value {
    let text = format!("message {mark}");
    let messages = found(client, &text, |event| event["message"] == text.as_str());
    assert_eq!(messages.len(), 1, "{messages:#?}");
    assert_eq!(messages[0]["severity"], "medium");
    let is_ours = |event: &Value| event["exception"]["value"] == "no price for tea" && event["tags"]["mark"] == mark;
    let mut errors = found(client, "the error", is_ours);
    assert_eq!(errors.len(), 1, "{errors:#?}");
    let event = errors.remove(0);
    for (member, expected) in [
        ("severity", json!("high")),
        ("type", json!("system")),
        ("source", json!("shop")),
        ("release", json!("shop@1.4.2")),
        ("environment", json!("production")),
    ] {
        assert_eq!(event[member], expected, "{member} of {event:#}");
    }
    assert!(event["userId"] == 42 || event["userId"] == "42", "{event:#}");
    assert_eq!(event["user"]["email"], "ann@example.com");
    assert!(event.get("breadcrumbs").is_none(), "a list is short");
    let id = event["id"].as_str().expect("an id");
    let event = client.get(&format!("/api/monitoring/errors/{id}")).expect(200).json();
    let crumbs = event["breadcrumbs"].as_array().expect("breadcrumbs");
    assert!(crumbs.iter().any(|crumb| crumb["message"] == "opened"), "{crumbs:?}");
    assert!(event["causes"][0]["type"].is_string(), "{event:#}");
    assert!(event["details"].get("_dropped").is_none(), "{event:#}");
    event
}
