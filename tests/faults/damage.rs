//! Files that rot: a page, an index.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::common::trouble::root_page_of;
use crate::common::work::{
    OtherProcess, all_documents, all_events, assert_once, await_breaker, await_empty_spool, member, stats,
};
use crate::common::{Client, Server, eventually};
use crate::{NOTES, assert_refused, await_reason, create, created, numbered, report, reported, started, until_well};

/// Several times the open time of a breaker in these tests: one that is not isolated would have let a probe through.
const LONG_ENOUGH_FOR_PROBES: Duration = Duration::from_secs(4);

/// Everything into the file itself, so that its pages are read from there.
fn empty_log(server: &Server, file: &str) {
    let other = server.other_party(file);
    eventually("the log is empty", || {
        let tried = other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        (tried.expect("tried") == 0).then_some(())
    });
}

fn only_evidence(data_dir: &Path) -> PathBuf {
    let mut all: Vec<_> = fs::read_dir(data_dir.join("evidence"))
        .expect("a folder")
        .map(|entry| entry.expect("read").path())
        .collect();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn fault_13_a_corrupt_page_is_isolated_with_its_evidence_while_events_go_on_and_back_when_it_is_right() {
    let (server, client) = started();
    let documents = created(&client, numbered("before", 50));
    until_well(&client);
    let (path, offset) = (
        server.data_dir().join("app.db"),
        root_page_of(&server, "app.db", "documents"),
    );
    // A probe's write may come in between and have the page in the log again.
    let (refused, right) = eventually("the damage is met", || {
        empty_log(&server, "app.db");
        let file = fs::File::options().read(true).write(true).open(&path).expect("opens");
        let mut right = vec![0; 4096];
        file.read_exact_at(&mut right, offset).expect("read");
        file.write_all_at(&[0xA5; 4096], offset).expect("written");
        let answer = client.get(&format!("{NOTES}?limit=500"));
        (answer.status != 200).then_some((answer, right))
    });
    assert_refused(refused, &["database_damaged"]);
    let isolated = await_breaker(&client, "app.read", "ISOLATED");
    let cause = isolated["cause"].as_str().unwrap_or_default();
    assert!(cause.contains("CORRUPT"), "{isolated}");
    await_breaker(&client, "app.write", "ISOLATED");
    assert_refused(create(&client, "never"), &["database_damaged"]);
    await_reason(&client, &["app: ", "the table documents is damaged"]);
    let told = await_reason(&client, &["app: a copy of the file", "evidence/"]);
    let evidence = only_evidence(&server.data_dir());
    assert!(
        told.ends_with(evidence.file_name().expect("a name").to_str().expect("text")),
        "{told}"
    );
    let copy = fs::read(evidence.join("app.db")).expect("copied");
    let start = usize::try_from(offset).expect("small");
    assert!(
        copy[start..start + 4096].iter().all(|byte| *byte == 0xA5),
        "as it was found"
    );
    let found = fs::read_to_string(evidence.join("found.txt")).expect("a text");
    assert!(found.contains("Database: app"), "{found}");
    let told = reported(&client, numbered("the log goes on", 3));
    assert_once("events", &told, &member(&all_events(&client), "id"));
    // There is no index to make anew, and only a good verdict lets it back.
    client
        .post("/api/monitoring/databases/app/reindex", &json!({}))
        .expect(409);

    let file = fs::File::options().write(true).open(&path).expect("opens");
    file.write_all_at(&right, offset).expect("written");
    await_breaker(&client, "app.read", "CLOSED");
    await_breaker(&client, "app.write", "CLOSED");
    until_well(&client);
    create(&client, "after").expect(201);
    let there = member(&all_documents(&client, "notes"), "marker");
    assert_once("documents", &documents, &there);
}

/// Rows change while the index doesn't look: a file whose data is whole and whose index is wrong.
fn spoil_index(server: &Server, file: &str, index: &str, change: &str) {
    let other = server.other_party(file);
    let read = "SELECT rootpage, tbl_name, sql FROM sqlite_schema WHERE name = ?1";
    let (root, table, sql): (i64, String, String) = other
        .query_row(read, [index], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .expect("an index");
    other.execute_batch("PRAGMA writable_schema = ON").expect("set");
    other
        .execute("DELETE FROM sqlite_schema WHERE name = ?1", [index])
        .expect("hidden");
    drop(other);
    let other = server.other_party(file);
    other.execute_batch(change).expect("changed");
    other.execute_batch("PRAGMA writable_schema = ON").expect("set");
    other
        .execute(
            "INSERT INTO sqlite_schema(type, name, tbl_name, rootpage, sql) VALUES ('index', ?1, ?2, ?3, ?4)",
            (index, table, root, sql),
        )
        .expect("shown again");
}

#[test]
fn fault_14_a_corrupt_index_is_named_and_made_anew_on_request() {
    let (server, client) = started();
    let reindex = |name: &str| client.post(&format!("/api/monitoring/databases/{name}/reindex"), &json!({}));
    reindex("app").expect(409);
    reindex("nothing").expect(404);
    report(&client, "again and again").expect(201);
    eventually("it is stored", || {
        (stats(&client)["ledger"]["stored"].as_u64() > Some(0)).then_some(())
    });
    spoil_index(
        &server,
        "events.db",
        "groups_by_count",
        "UPDATE groups SET count = count + 1000",
    );
    report(&client, "again and again").expect(201);
    await_breaker(&client, "events.write", "ISOLATED");
    await_reason(
        &client,
        &[
            "events: ",
            "only the index groups_by_count is wrong",
            "/databases/events/reindex",
        ],
    );
    // Its pages are in order, and still it is not let back by itself.
    std::thread::sleep(LONG_ENOUGH_FOR_PROBES);
    await_breaker(&client, "events.write", "ISOLATED");
    assert!(only_evidence(&server.data_dir()).join("events.db").exists());

    let made = reindex("events").expect(200).json();
    assert_eq!(made["reindexed"], json!(["groups_by_count"]), "{made}");
    await_breaker(&client, "events.write", "CLOSED");
    until_well(&client);
    report(&client, "again and again").expect(201);
    reindex("events").expect(409);
}

fn replayed_segments(server: &Server) -> usize {
    let files = fs::read_dir(server.data_dir().join("spool")).expect("a folder");
    let names = files.map(|entry| entry.expect("read").path());
    names
        .filter(|path| path.extension().is_some_and(|end| end == "replayed"))
        .count()
}

#[test]
fn fault_17_events_that_went_through_the_spool_are_replayed_again_when_the_log_that_took_them_rots() {
    let (mut server, client) = started();
    // What is committed from here on is in the log alone: another process reads what was before.
    let reader = OtherProcess::hold_with(&server, "events.db", "BEGIN; SELECT count(*) FROM events");
    let direct = reported(&client, numbered("direct", 5));
    let lock = OtherProcess::hold(&server, "events.db");
    let spooled = reported(&client, numbered("spooled", 20));
    assert!(stats(&client)["ledger"]["spooled"].as_u64() >= Some(20));
    lock.release();
    await_empty_spool(&client);
    let found = member(&all_events(&client), "id");
    assert_once("events", &direct, &found);
    assert_once("events", &spooled, &found);
    assert!(replayed_segments(&server) > 0, "kept until the log is begun anew");
    server.kill();
    // Killed as well: the last one that closes a file would bring its log into it.
    drop(reader);
    let log = server.data_dir().join("events.db-wal");
    let mut bytes = fs::read(&log).expect("a log");
    bytes[100] ^= 1;
    fs::write(&log, bytes).expect("written");

    server.restart();
    let client = server.client();
    await_reason(
        &client,
        &["events.db: acknowledged commits", "are missing", "evidence/"],
    );
    await_empty_spool(&client);
    let found = member(&all_events(&client), "id");
    assert_once("events", &spooled, &found);
    let lost = direct.iter().filter(|id| !found.contains(id)).count();
    assert_eq!(lost, direct.len(), "the bit lost nothing, so this shows nothing");
    assert_eq!(stats(&client)["ledger"]["balanced"], true);
    eventually("the log is begun anew, and the files go", || {
        (replayed_segments(&server) == 0 && stats(&client)["spool"]["replayedBytes"] == 0).then_some(())
    });
    assert_once("events", &spooled, &member(&all_events(&client), "id"));
}

/// Overwrites a page of a tree in the file: of several of this kind the one in the middle.
fn spoil_page(server: &Server, file: &str, tree: &str, kind: &str) {
    empty_log(server, file);
    let other = server.other_party(file);
    let mut asked = other
        .prepare("SELECT pageno FROM dbstat WHERE name = ?1 AND pagetype = ?2 ORDER BY path")
        .expect("asked");
    let pages: Vec<i64> = asked
        .query_map([tree, kind], |row| row.get(0))
        .expect("asked")
        .map(|page| page.expect("a page"))
        .collect();
    let page = *pages.get(pages.len() / 2).expect("such a page");
    let path = fs::File::options()
        .write(true)
        .open(server.data_dir().join(file))
        .expect("opens");
    path.write_all_at(&[0xA5; 4096], u64::try_from(page - 1).expect("a page") * 4096)
        .expect("written");
    // What others remember of the file is stale by this.
    other
        .execute_batch("CREATE TABLE IF NOT EXISTS other(a); INSERT INTO other VALUES (1)")
        .expect("another's write");
}

const ANSWERS: &str = "sqlite_autoindex_mainstay_answers_1";

fn create_once(client: &Client, number: usize) -> u16 {
    // Not in order, so that they go to every page of the index.
    let key = format!("{:09}-{}", number * 7_919 % 1_000_003, "k".repeat(100));
    let marker = json!({ "marker": format!("once {number}") });
    client.with("Idempotency-Key", &key).post(NOTES, &marker).status
}

#[test]
fn fault_14_torn_pages_of_an_index_are_told_from_those_of_a_table_and_made_anew() {
    let (server, client) = started();
    let reindex = |name: &str| client.post(&format!("/api/monitoring/databases/{name}/reindex"), &json!({}));
    let mut number = 0;
    let mut once = || {
        number += 1;
        (number, create_once(&client, number))
    };
    let mut acknowledged: Vec<_> = (0..200)
        .map(|_| once())
        .inspect(|(_, status)| assert_eq!(*status, 201))
        .map(|(number, _)| format!("once {number}"))
        .collect();
    until_well(&client);
    for kind in ["leaf", "internal"] {
        spoil_page(&server, "app.db", ANSWERS, kind);
        let mut hit = || match once() {
            (number, 201) => {
                acknowledged.push(format!("once {number}"));
                None
            }
            _ => Some(()),
        };
        eventually("the damage is met", &mut hit);
        await_breaker(&client, "app.write", "ISOLATED");
        await_reason(
            &client,
            &[
                ANSWERS,
                "is wrong, every table could be read whole",
                "/databases/app/reindex",
            ],
        );
        let made = reindex("app").expect(200).json();
        assert_eq!(made["reindexed"], json!([ANSWERS]), "{kind}: {made}");
        until_well(&client);
    }
    let there = member(&all_documents(&client, "notes"), "marker");
    assert_once("documents", &acknowledged, &there);

    report(&client, "again and again").expect(201);
    eventually("it is stored", || {
        (stats(&client)["ledger"]["stored"].as_u64() > Some(0)).then_some(())
    });
    spoil_page(&server, "events.db", "groups_by_count", "leaf");
    report(&client, "again and again").expect(201);
    await_reason(&client, &["only the index groups_by_count is wrong"]);
    assert_eq!(
        reindex("events").expect(200).json()["reindexed"],
        json!(["groups_by_count"])
    );
    until_well(&client);

    // Rows that can't be read can't be made anew from anything: no index is offered then.
    spoil_page(&server, "app.db", ANSWERS, "leaf");
    spoil_page(&server, "app.db", "documents", "leaf");
    eventually("the damage is met", || {
        (client.get(&format!("{NOTES}?limit=500")).status != 200).then_some(())
    });
    await_reason(&client, &["the table documents is damaged", "a backup"]);
    reindex("app").expect(409);
    await_breaker(&client, "app.write", "ISOLATED");
}
