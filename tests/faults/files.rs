//! Files that vanish or rot.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::common::eventually;
use crate::common::work::{all_documents, all_events, assert_once, await_breaker, await_empty_spool, member};
use crate::{NOTES, assert_refused, create, created, numbered, reported, started, until_well};

#[test]
fn fault_16_a_renamed_app_db_is_isolated_never_re_created_and_back_when_it_returns() {
    let (server, client) = started();
    let documents = created(&client, numbered("before", 20));
    let (path, away) = (server.data_dir().join("app.db"), server.data_dir().join("away.db"));
    std::fs::rename(&path, &away).expect("renamed");
    for name in ["app.write", "app.read"] {
        let isolated = await_breaker(&client, name, "ISOLATED");
        assert!(
            isolated["cause"]
                .as_str()
                .is_some_and(|cause| cause.contains("deleted")),
            "{isolated}"
        );
    }
    assert_refused(create(&client, "never"), &["database_damaged"]);
    assert_refused(client.get(NOTES), &["database_damaged"]);
    client
        .post("/api/monitoring/circuit-breaker/reset", &json!({ "name": "app.write" }))
        .expect(409);
    let health = client.get("/api/monitoring/health").expect(503).json();
    assert_eq!(health["status"], "unhealthy");
    let told = reported(&client, ["the log goes on".to_owned()]);
    let isolation = eventually("an event tells", || {
        let is_it = |event: &Value| event["details"]["to"] == "ISOLATED" && event["details"]["breaker"] == "app.write";
        all_events(&client).into_iter().find(is_it)
    });
    assert_eq!(isolation["severity"], "critical");
    assert!(!path.exists(), "an empty one was made");

    std::fs::rename(&away, &path).expect("back");
    await_breaker(&client, "app.write", "CLOSED");
    await_breaker(&client, "app.read", "CLOSED");
    create(&client, "after").expect(201);
    assert_once(
        "documents",
        &documents,
        &member(&all_documents(&client, "notes"), "marker"),
    );
    assert_once("events", &told, &member(&all_events(&client), "id"));
    until_well(&client);
}

#[test]
fn fault_16_events_reported_while_events_db_is_away_are_found_once_when_it_returns() {
    let (server, client) = started();
    let mut events = reported(&client, numbered("before", 10));
    let (path, away) = (server.data_dir().join("events.db"), server.data_dir().join("away.db"));
    std::fs::rename(&path, &away).expect("renamed");
    events.extend(reported(&client, numbered("between", 10)));
    await_breaker(&client, "events.write", "ISOLATED");
    events.extend(reported(&client, numbered("isolated", 10)));
    create(&client, "the other file is well").expect(201);
    assert!(!path.exists(), "an empty one was made");

    std::fs::rename(&away, &path).expect("back");
    await_breaker(&client, "events.write", "CLOSED");
    await_empty_spool(&client);
    assert_once("events", &events, &member(&all_events(&client), "id"));
}

#[test]
fn fault_13_a_damaged_page_isolates_app_db_while_events_go_on_until_the_page_is_right_again() {
    let (server, client) = started();
    let documents = created(&client, numbered("before", 50));
    let root: i64 = {
        let other = server.other_party("app.db");
        // Everything into the file itself, so that the page is read from there.
        eventually("the WAL is empty", || {
            let busy: i64 = other
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
                .expect("tried");
            (busy == 0).then_some(())
        });
        other
            .query_row(
                "SELECT rootpage FROM sqlite_schema WHERE name = 'documents'",
                [],
                |row| row.get(0),
            )
            .expect("a root")
    };
    let (offset, path) = (
        u64::try_from(root - 1).expect("a page") * 4096,
        server.data_dir().join("app.db"),
    );
    let right = exchange_page(&path, offset, &[0xA5; 4096]);
    let refused = eventually("the damage is met", || {
        Some(client.get(&format!("{NOTES}?limit=500"))).filter(|answer| answer.status != 200)
    });
    assert_refused(refused, &["database_damaged"]);
    let isolated = await_breaker(&client, "app.read", "ISOLATED");
    assert!(
        isolated["cause"]
            .as_str()
            .is_some_and(|cause| cause.contains("CORRUPT")),
        "{isolated}"
    );
    await_breaker(&client, "app.write", "ISOLATED");
    assert_refused(create(&client, "never"), &["database_damaged"]);
    let told = reported(&client, numbered("the log goes on", 3));
    assert_once("events", &told, &member(&all_events(&client), "id"));

    exchange_page(&path, offset, &right);
    await_breaker(&client, "app.read", "CLOSED");
    await_breaker(&client, "app.write", "CLOSED");
    create(&client, "after").expect(201);
    assert_once(
        "documents",
        &documents,
        &member(&all_documents(&client, "notes"), "marker"),
    );
}

/// Overwrites a page; gives what was there.
fn exchange_page(path: &Path, offset: u64, with: &[u8]) -> Vec<u8> {
    let mut file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .expect("opens");
    let mut there = vec![0; with.len()];
    file.seek(SeekFrom::Start(offset)).expect("found");
    file.read_exact(&mut there).expect("read");
    file.seek(SeekFrom::Start(offset)).expect("found");
    file.write_all(with).expect("written");
    there
}
