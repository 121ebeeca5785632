//! Breakage through the front door: clients that leave, full disks, files that vanish or rot, a spool without a folder.
//!
//! What must stay true: nothing half-done stays; the rest goes on; what can't be kept is refused, never lost in silence;
//! nothing is re-created empty; recovery needs nobody once the cause is gone.

mod common;

use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;

use common::work::{
    OtherProcess, all_documents, all_events, assert_once, await_breaker, await_empty_spool, be_the_other_process,
    member, stats,
};
use common::{Answer, Client, SHORT, Server, eventually};
use rustix::process::{Pid, Resource, Rlimit};
use serde_json::{Value, json};

const ERRORS: &str = "/api/monitoring/errors";
const NOTES: &str = "/api/data/notes";

#[test]
#[ignore = "the other process, which the other tests start"]
fn the_other_process() {
    be_the_other_process();
}

fn started() -> (Server, Client) {
    let server = Server::start(SHORT);
    let client = server.client();
    client.put(NOTES, &json!({})).expect(201);
    (server, client)
}

fn create(client: &Client, marker: &str) -> Answer {
    client.post(NOTES, &json!({ "marker": marker, "text": "x".repeat(1000) }))
}

fn report(client: &Client, message: &str) -> Answer {
    client.post(ERRORS, &json!({ "message": message, "source": "faults" }))
}

fn created(client: &Client, markers: impl IntoIterator<Item = String>) -> Vec<String> {
    markers
        .into_iter()
        .inspect(|marker| drop(create(client, marker).expect(201)))
        .collect()
}

/// The ids of events that were reported and accepted.
fn reported(client: &Client, messages: impl IntoIterator<Item = String>) -> Vec<String> {
    let id = |message: String| {
        report(client, &message).expect(201).json()["id"]
            .as_str()
            .expect("an id")
            .to_owned()
    };
    messages.into_iter().map(id).collect()
}

fn numbered(what: &str, count: usize) -> impl Iterator<Item = String> + use<'_> {
    (0..count).map(move |number| format!("{what} {number}"))
}

/// The path of a document, which is there.
fn one_document(client: &Client) -> String {
    let id = create(client, "one").expect(201).json()["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    format!("{NOTES}/{id}")
}

/// A problem with status 503 and one of these codes.
#[track_caller]
fn assert_refused(answer: Answer, codes: &[&str]) -> Value {
    let answer = answer.expect(503);
    let body = answer.json();
    assert!(codes.iter().any(|code| body["code"] == *code), "{body}");
    assert!(answer.header("Retry-After").is_some(), "{answer:?}");
    body
}

fn until_well(client: &Client) {
    eventually("healthy again", || {
        (client.get("/api/monitoring/health").json()["status"] == "healthy").then_some(())
    });
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_body_leaves_nothing() {
    let (server, client) = started();
    let before = stats(&client)["requests"]["total"].as_u64().expect("a count");
    let event = json!({ "message": "cut", "source": "faults" });
    let whole = [
        (NOTES, "application/json", json!({ "marker": "cut" }).to_string()),
        (ERRORS, "application/json", event.to_string()),
        (ERRORS, "application/x-ndjson", format!("{event}\n").repeat(20)),
    ];
    for (path, kind, body) in &whole {
        let mut stream = TcpStream::connect(server.url("").replace("http://", "")).expect("connects");
        // What came is valid as it is; only the announced length tells that it isn't whole.
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: 4000\r\n\r\n");
        stream
            .write_all(format!("{head}{body:<1000}").as_bytes())
            .expect("sent");
        eventually("it is under way", || {
            (stats(&client)["requests"]["inFlight"] == 2).then_some(())
        });
        stream.shutdown(Shutdown::Both).expect("gone");
        eventually("it has ended", || {
            (stats(&client)["requests"]["inFlight"] == 1).then_some(())
        });
    }
    let after = stats(&client);
    assert!(
        after["requests"]["total"].as_u64() >= Some(before + whole.len() as u64),
        "{after}"
    );
    assert_eq!(after["ledger"]["accepted"], 0, "{after}");
    assert!(all_documents(&client, "notes").is_empty());
    assert!(all_events(&client).is_empty());
}

/// Bounds the size of every file that the server writes; past it each write fails as on a full disk.
fn limit_files(server: &Server, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(server.pid()).expect("a pid"));
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    rustix::process::prlimit(pid, Resource::Fsize, limit).expect("set");
}

/// What was refused is called "never…" and must not be among these events.
#[track_caller]
fn assert_nothing_refused(events: &[Value]) {
    let refused = |event: &Value| {
        event["message"]
            .as_str()
            .is_some_and(|message| message.starts_with("never"))
    };
    assert!(!events.iter().any(refused), "what was refused is not there");
}

#[test]
fn a_full_disk_refuses_writes_keeps_reading_and_recovers_when_there_is_room() {
    const FULL: [&str; 1] = ["database_read_only"];
    // With no byte to write at all SQLite can't even make its shared memory, which it doesn't call full.
    const NOTHING: [&str; 2] = ["database_read_only", "database_unavailable"];
    let (server, client) = started();
    let mut documents = created(&client, numbered("before", 100));
    let mut events = reported(&client, numbered("before", 100));
    let document = one_document(&client);

    // The databases are past this limit, the spool isn't.
    limit_files(&server, Some(64 << 10));
    let first = eventually("writes are refused", || {
        Some(create(&client, "never")).filter(|answer| answer.status != 201)
    });
    assert_refused(first, &FULL);
    await_breaker(&client, "app.write", "OPEN");
    assert_refused(create(&client, "never"), &FULL);
    client.get(&document).expect(200);
    eventually("events go to the spool", || {
        let answer = report(&client, "full").expect(201).json();
        events.push(answer["id"].as_str().expect("an id").to_owned());
        (answer["stored"] == "spool").then_some(())
    });

    // Nothing can be written any more, the log's lines included.
    limit_files(&server, Some(1));
    for number in 0..20 {
        assert_refused(create(&client, "never"), &NOTHING);
        assert_refused(report(&client, &format!("never {number}")), &["events_not_accepted"]);
        client.get(&document).expect(200);
        client.get(ERRORS).expect(200);
    }
    let account = stats(&client)["ledger"].clone();
    assert_eq!(account["balanced"], true, "{account}");
    assert!(
        account["dropped"]["spoolFailed"]
            .as_u64()
            .max(account["dropped"]["spoolFull"].as_u64())
            >= Some(20),
        "{account}"
    );

    limit_files(&server, None);
    eventually("the spool is replayed", || {
        (stats(&client)["ledger"]["spooled"] == 0).then_some(())
    });
    await_breaker(&client, "app.write", "CLOSED");
    documents.extend(created(&client, numbered("after", 5)));
    events.extend(reported(&client, numbered("after", 5)));
    let there = member(&all_documents(&client, "notes"), "marker");
    assert_once("documents", &documents, &there);
    assert!(!there.iter().any(|marker| marker == "never"));
    let found = all_events(&client);
    assert_once("events", &events, &member(&found, "id"));
    assert_nothing_refused(&found);
}

#[test]
fn a_renamed_app_db_is_isolated_never_re_created_and_back_when_it_returns() {
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
fn events_reported_while_events_db_is_away_are_found_once_when_it_returns() {
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
fn a_damaged_page_isolates_app_db_while_events_go_on_until_the_page_is_right_again() {
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

#[test]
fn a_spool_whose_folder_is_gone_refuses_and_counts_and_comes_back() {
    let (server, client) = started();
    let folder = server.data_dir().join("spool");
    let lock = OtherProcess::hold(&server, "events.db");
    let destroyed = reported(&client, numbered("destroyed", 3));
    // Moved first, in one step, because events of Mainstay's own may just be going there.
    let aside = server.folder().join("aside");
    std::fs::rename(&folder, &aside).expect("moved");
    std::fs::remove_dir_all(&aside).expect("removed");
    // It would be made again by itself, if nothing stood in its place.
    std::fs::write(&folder, "in the way").expect("written");
    for number in 0..10 {
        assert_refused(report(&client, &format!("never {number}")), &["events_not_accepted"]);
    }
    create(&client, "the other file is well").expect(201);
    let account = stats(&client)["ledger"].clone();
    assert_eq!(account["balanced"], true, "{account}");
    assert!(account["dropped"]["spoolFailed"].as_u64() >= Some(10), "{account}");

    std::fs::remove_file(&folder).expect("out of the way");
    let kept = reported(&client, numbered("kept", 10));
    lock.release();
    let account = eventually("the spool is empty", || {
        Some(stats(&client)["ledger"].clone()).filter(|seen| seen["spooled"] == 0 && seen["inFlight"] == 0)
    });
    assert_eq!(account["balanced"], true, "{account}");
    // What an operator destroys is gone, as far as replay hadn't read it yet, but not in silence.
    let found = all_events(&client);
    let there = member(&found, "id");
    let gone = destroyed.iter().filter(|id| !there.contains(id)).count();
    assert!(
        account["dropped"]["spoolDamaged"].as_u64() >= Some(gone as u64),
        "{account}"
    );
    assert_once("events", &kept, &there);
    assert_nothing_refused(&found);
}

#[test]
fn read_only_files_refuse_writes_and_keep_reading() {
    use std::os::unix::fs::PermissionsExt;
    if rustix::process::geteuid().is_root() {
        println!("skipped: permissions don't bind root");
        return;
    }
    // Connections open for long keep their rights, as descriptors do; new ones have those of now.
    let server = Server::start(&[SHORT, &[("DB_MAX_LIFETIME", "1")]].concat());
    let client = server.client();
    client.put(NOTES, &json!({})).expect(201);
    let document = one_document(&client);
    let permit = |mode: u32, folder_mode: u32| {
        let set = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("set");
        set(&server.data_dir().join("app.db"), mode);
        set(&server.data_dir(), folder_mode);
    };
    permit(0o444, 0o555);
    eventually("writes are refused", || {
        (create(&client, "refused").status == 503).then_some(())
    });
    await_breaker(&client, "app.write", "OPEN");
    assert_refused(create(&client, "refused"), &["database_read_only"]);
    client.get(&document).expect(200);
    permit(0o644, 0o755);
    await_breaker(&client, "app.write", "CLOSED");
    create(&client, "after").expect(201);
}
