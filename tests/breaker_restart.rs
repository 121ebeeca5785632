//! Breakers across a restart of the real binary: what a hand has set is still set, with the time it had left.

mod common;

use common::{Client, SHORT, Server, eventually};
use jiff::Timestamp;
use serde_json::{Value, json};

const BREAKERS: &str = "/api/monitoring/circuit-breaker";

fn breaker(client: &Client, name: &str) -> Value {
    let shown = client.get(BREAKERS).expect(200).json();
    let all = shown["circuitBreakers"].as_array().expect("breakers");
    all.iter().find(|one| one["name"] == name).expect("it is there").clone()
}

fn time(value: &Value) -> Timestamp {
    value.as_str().expect("a time").parse().expect("RFC 3339")
}

/// The time of `retryAt`, which is shown to the millisecond and counted from the present at each look.
fn assert_same_end(before: &Value, after: &Value) {
    let apart = time(&before["retryAt"]).duration_since(time(&after["retryAt"])).abs();
    assert!(apart.as_millis() <= 1000, "{before} {after}");
}

#[test]
fn forced_open_outlives_restart_and_kill_with_the_same_end_until_it_is_reset() {
    let mut server = Server::start(&[]);
    let file = server.data_dir().join("app.db-breakers.json");
    let client = server.client();
    client.put("/api/data/notes", &json!({})).expect(201);
    assert!(!file.exists(), "nothing is written while all is closed");
    let body = json!({ "forSeconds": 600, "reason": "drill" });
    let set = client
        .post(&format!("{BREAKERS}/app.read/force-open"), &body)
        .expect(200)
        .json();
    client
        .post(&format!("{BREAKERS}/app.write/disable"), &json!({}))
        .expect(200);

    server.stop();
    server.restart();
    let client = server.client();
    let kept = breaker(&client, "app.read");
    assert_eq!(
        (&kept["state"], &kept["cause"]),
        (&set["state"], &set["cause"]),
        "{kept}"
    );
    assert_eq!((&kept["openedAt"], &kept["since"]), (&set["openedAt"], &set["since"]));
    assert_same_end(&set, &kept);
    client.get("/api/data/notes").expect(503);
    let disabled = breaker(&client, "app.write");
    assert_eq!(
        (&disabled["state"], &disabled["retryAt"]),
        (&json!("DISABLED"), &Value::Null)
    );

    server.kill();
    server.restart();
    let client = server.client();
    let kept = breaker(&client, "app.read");
    assert_eq!(kept["state"], "FORCED_OPEN");
    assert_same_end(&set, &kept);

    client.post(&format!("{BREAKERS}/reset"), &json!({})).expect(200);
    eventually("the file goes without a stop", || (!file.exists()).then_some(()));
    server.stop();
    server.restart();
    let client = server.client();
    assert_eq!(breaker(&client, "app.read")["state"], "CLOSED");
    client.get("/api/data/notes").expect(200);
}

#[test]
fn what_was_answered_with_200_outlives_a_kill_right_after() {
    let mut server = Server::start(&[]);
    let file = server.data_dir().join("app.db-breakers.json");
    // Without a look at anything in between: the watch, which keeps it as well, comes by four times a second only.
    for (action, state) in [
        ("force-open", "FORCED_OPEN"),
        ("disable", "DISABLED"),
        ("reset", "CLOSED"),
    ] {
        let client = server.client();
        let path = format!("{BREAKERS}/app.write/{action}");
        client.post(&path, &json!({})).expect(200);
        let is_kept = file.exists();
        server.kill();
        assert_eq!(is_kept, action != "reset", "{action}");
        server.restart();
        assert_eq!(breaker(&server.client(), "app.write")["state"], state, "{action}");
    }
}

#[test]
fn a_disk_that_was_full_before_a_crash_is_not_believed_before_room_was_seen() {
    let mut server = Server::start(SHORT);
    server.client().put("/api/data/notes", &json!({})).expect(201);
    server.stop();
    let file = server.data_dir().join("app.db-breakers.json");
    let now = Timestamp::now().as_millisecond();
    let kept = json!({
        "format": "mainstay circuit breakers", "version": 1, "savedAtMs": now,
        "breakers": [{
            "name": "app.write", "state": "OPEN", "untilMs": now, "cause": "SQLite FULL (13)", "held": true,
            "told": "read_only", "reopened": 0, "sinceMs": now - 1000, "openedAtMs": now - 9000,
        }],
    });
    std::fs::write(&file, kept.to_string()).expect("written");
    server.restart();
    eventually("the watch finds room and a probe closes it", || {
        (breaker(&server.client(), "app.write")["state"] == "CLOSED").then_some(())
    });
    assert!(
        server.log().contains("there is room on the disk again"),
        "not by a small probe"
    );
    eventually("the file goes", || (!file.exists()).then_some(()));
}

#[test]
fn an_open_breaker_stays_open_over_a_restart_and_its_probe_closes_it() {
    let mut server = Server::start(SHORT);
    let client = server.client();
    client.put("/api/data/notes", &json!({})).expect(201);
    server.stop();
    // As a crash during an outage leaves it.
    let file = server.data_dir().join("app.db-breakers.json");
    let now = Timestamp::now().as_millisecond();
    let kept = json!({
        "format": "mainstay circuit breakers", "version": 1, "savedAtMs": now,
        "breakers": [{
            "name": "app.write", "state": "OPEN", "untilMs": now + 10_000, "cause": "SQLite FULL (13)",
            "told": "read_only", "reopened": 1, "sinceMs": now - 1000, "openedAtMs": now - 9000,
        }],
    });
    std::fs::write(&file, kept.to_string()).expect("written");
    server.restart();
    let client = server.client();
    let shown = breaker(&client, "app.write");
    assert_eq!(
        (&shown["state"], &shown["cause"]),
        (&json!("OPEN"), &json!("SQLite FULL (13)"))
    );
    client.post("/api/data/notes", &json!({ "text": "x" })).expect(503);
    eventually("a probe closes it", || {
        (breaker(&client, "app.write")["state"] == "CLOSED").then_some(())
    });
    client.post("/api/data/notes", &json!({ "text": "x" })).expect(201);
    eventually("the file goes", || (!file.exists()).then_some(()));
}

#[test]
fn a_file_that_is_not_ours_never_stops_a_start() {
    let mut server = Server::start(&[]);
    server.stop();
    let file = server.data_dir().join("app.db-breakers.json");
    std::fs::write(&file, "{ broken").expect("written");
    server.restart();
    let client = server.client();
    assert_eq!(breaker(&client, "app.read")["state"], "CLOSED");
    eventually("the warning", || {
        server.log().contains("kept states are ignored").then_some(())
    });
}
