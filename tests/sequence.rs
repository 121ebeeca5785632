//! Fault 17 at the front door of the real binary: acknowledged changes that the file has lost are told, by number.

mod common;

use common::{Client, Server, eventually};
use serde_json::{Value, json};

const HEADER_BYTES: usize = 32;

/// In the middle of a log's frames: what comes before is whole, what comes after is lost with it. The log as it is then.
fn flip_a_bit(server: &Server, log: &str) -> Vec<u8> {
    let log = server.data_dir().join(log);
    let mut bytes = std::fs::read(&log).expect("a log");
    let middle = HEADER_BYTES + (bytes.len() - HEADER_BYTES) / 2;
    bytes[middle] ^= 1;
    std::fs::write(&log, &bytes).expect("written");
    bytes
}

/// The health is degraded, because acknowledged commits of this file are missing.
#[track_caller]
fn assert_told_missing(client: &Client, file: &str) {
    let health = client.get("/api/monitoring/health").json();
    assert_eq!(health["status"], "degraded", "{health}");
    let because = health["because"].to_string();
    assert!(
        because.contains(&format!("{file}: acknowledged commits")) && because.contains("are missing"),
        "{because}"
    );
}

/// An alert of its own tells it, with steps to take.
#[track_caller]
fn assert_alerted(client: &Client, name: &str) {
    let alerts = client.get("/api/monitoring/alerts").json();
    let id = format!("commits-missing:{name}");
    let alert = alerts["alerts"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|alert| alert["id"] == *id);
    let alert = alert.unwrap_or_else(|| panic!("{alerts}"));
    assert!(
        alert["severity"] == "critical" && alert["runbook"].as_array().is_some_and(|steps| steps.len() > 2),
        "{alert}"
    );
}

/// As if the start that found what is missing in this file had been more than a day ago.
fn let_a_day_pass(server: &Server, file: &str) {
    const GAP: usize = 8192;
    let path = server.data_dir().join(format!("{file}-sequence"));
    let mut bytes = std::fs::read(&path).expect("there");
    let at_ms = i64::from_le_bytes(bytes[GAP + 40..GAP + 48].try_into().expect("a time"));
    bytes[GAP + 40..GAP + 48].copy_from_slice(&(at_ms - 25 * 3_600_000).to_le_bytes());
    let sum = crc32fast::hash(&bytes[GAP..GAP + 50]).to_le_bytes();
    bytes[GAP + 50..GAP + 54].copy_from_slice(&sum);
    std::fs::write(&path, bytes).expect("written");
}

/// The log of this file in the only evidence there is, with what was found in words.
fn kept_log(server: &Server, log: &str) -> (Vec<u8>, String) {
    let folders = std::fs::read_dir(server.data_dir().join("evidence")).expect("evidence");
    let folders: Vec<_> = folders.map(|entry| entry.expect("read").path()).collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    let text = std::fs::read_to_string(folders[0].join("found.txt")).expect("a text");
    (std::fs::read(folders[0].join(log)).expect("a log"), text)
}

#[test]
fn fault_17_a_flipped_bit_in_the_log_is_told_by_the_next_start() {
    let mut server = Server::start(&[]);
    let client = server.client();
    client.put("/api/data/notes", &json!({})).expect(201);
    for number in 0..10 {
        let path = format!("/api/data/notes/n{number}");
        client.put(&path, &json!({ "n": number })).expect(201);
    }
    server.kill();
    let rotten = flip_a_bit(&server, "app.db-wal");
    server.restart();
    let client = server.client();
    assert_told_missing(&client, "app.db");
    assert_alerted(&client, "app");
    let (kept, text) = kept_log(&server, "app.db-wal");
    assert!(kept == rotten, "it was kept before SQLite cut it");
    assert!(text.contains("are dropped") && text.contains("are missing"), "{text}");
    let left = client.get("/api/data/notes").json()["items"]
        .as_array()
        .map_or(0, Vec::len);
    assert!(left < 10, "the bit lost nothing, so this shows nothing");
    let event = eventually("the event", || {
        let events = client.get("/api/monitoring/errors?severity=critical").json();
        let items = events["errors"].as_array()?.clone();
        items
            .into_iter()
            .find(|e| e["message"].as_str().is_some_and(|m| m.contains("are missing")))
    });
    assert!(
        event["details"]["expected"].as_u64() > event["details"]["found"].as_u64(),
        "{event}"
    );

    client.put("/api/data/notes", &json!({}));
    client.put("/api/data/notes/after", &json!({})).expect(201);
    server.stop();
    server.restart();
    let client = server.client();
    assert_told_missing(&client, "app.db");
    assert_alerted(&client, "app");
    assert!(
        client.get("/api/monitoring/health").json()["because"]
            .to_string()
            .contains("evidence/")
    );
    server.stop();
    let_a_day_pass(&server, "app.db");
    server.restart();
    let health = server.client().get("/api/monitoring/health").json();
    assert_eq!(
        health["status"], "healthy",
        "told for a day, and gone on from there: {health}"
    );
}

#[test]
fn fault_17_a_flipped_bit_in_the_log_of_the_events_is_told_by_the_next_start() {
    const REPORTS: usize = 10;
    let mut server = Server::start(&[]);
    let client = server.client();
    let report = |message: &str| {
        let event = json!({ "message": message, "source": "sequence" });
        client.post("/api/monitoring/errors", &event).expect(201).json()
    };
    for number in 0..REPORTS {
        // In the file, not in the spool, whose events the next start would bring back.
        let told = report(&format!("before {number}"));
        assert_ne!(told["stored"], "spool", "{told}");
    }
    server.kill();
    flip_a_bit(&server, "events.db-wal");
    server.restart();
    let client = server.client();
    assert_told_missing(&client, "events.db");
    let all = || -> Vec<Value> {
        let page = client.get("/api/monitoring/errors?limit=500").json();
        page["errors"].as_array().expect("a list").clone()
    };
    let left = all().iter().filter(|event| event["source"] == "sequence").count();
    assert!(left < REPORTS, "the bit lost nothing, so this shows nothing");
    // The gap is told where it is.
    let gap = eventually("the event", || {
        let is_it = |event: &Value| event["message"].as_str().is_some_and(|m| m.contains("are missing"));
        all().into_iter().find(is_it)
    });
    assert!(gap["message"].as_str().is_some_and(|m| m.contains("events")), "{gap}");
    assert!(
        gap["severity"] == "critical" && gap["details"]["expected"].as_u64() > gap["details"]["found"].as_u64(),
        "{gap}"
    );

    let event = json!({ "message": "after", "source": "sequence" });
    client.post("/api/monitoring/errors", &event).expect(201);
    server.stop();
    server.restart();
    let client = server.client();
    assert_told_missing(&client, "events.db");
    assert_alerted(&client, "events");
}

#[test]
fn a_write_that_was_under_way_at_a_kill_is_no_rot() {
    let mut server = Server::start(&[]);
    let client = server.client();
    client.put("/api/data/notes", &json!({})).expect(201);
    server.kill();
    // A frame whose page was never written: the head is of this log, the rest of nothing.
    let log = server.data_dir().join("app.db-wal");
    let mut bytes = std::fs::read(&log).expect("a log");
    let head = bytes[HEADER_BYTES..HEADER_BYTES + 24].to_vec();
    bytes.extend(head);
    bytes.extend([0x5A; 4096]);
    std::fs::write(&log, bytes).expect("written");
    server.restart();
    let health = server.client().get("/api/monitoring/health").json();
    assert_eq!(health["status"], "healthy", "{health}");
    let evidence = std::fs::read_dir(server.data_dir().join("evidence")).map_or(0, Iterator::count);
    assert_eq!(evidence, 0, "the copy of its log went again");
}

#[test]
fn an_unreadable_record_of_commits_is_told_and_begun_anew() {
    let mut server = Server::start(&[]);
    server.client().put("/api/data/notes", &json!({})).expect(201);
    assert!(server.stop().success());
    std::fs::write(server.data_dir().join("app.db-sequence"), "garbage").expect("written");
    server.restart();
    let client = server.client();
    let health = client.get("/api/monitoring/health").json();
    assert!(
        health["status"] == "degraded" && health["because"].to_string().contains("loss detection begins anew"),
        "{health}"
    );
    eventually("the event", || {
        let events = client.get("/api/monitoring/errors?severity=critical").json();
        let is_it = |e: &Value| e["message"].as_str().is_some_and(|m| m.contains("was unreadable"));
        events["errors"].as_array()?.iter().find(|e| is_it(e)).map(|_| ())
    });
    client.put("/api/data/notes/after", &json!({})).expect(201);
    assert!(server.stop().success());
    let_a_day_pass(&server, "app.db");
    server.restart();
    assert_eq!(
        server.client().get("/api/monitoring/health").json()["status"],
        "healthy"
    );
}
